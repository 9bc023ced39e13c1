#include "harness/explore/cutover.h"

#include "harness/judge/evidence.h"
#include "harness/juicefs/attempt.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::explore {

namespace {

constexpr const char* kIdCounters[] = {"nextInode", "nextChunk", "nextSession", "nextTrash", "aclMaxId"};

// The counter's value by what is in use: of slices the largest id in the bucket, of others what was restored.
int64_t InUse(const Stage& stage, const VolumeBucket& bucket, std::string_view counter) {
  if (counter != "nextChunk") {
    return 0;
  }
  int64_t next = 0;
  for (const auto& [name, bytes] : bucket.Sizes()) {
    const std::optional<uint64_t> id = juicefs::SliceOfBlock(stage.block_layout(), name);
    next = id.has_value() ? std::max(next, static_cast<int64_t>(*id) + 1) : next;
  }
  return next;
}

sim::Task<Status> CommitOrSay(client::Transaction* transaction) {
  auto commit = transaction->Commit();
  const Result<client::CommitInfo> committed = co_await std::move(commit);
  co_return committed.ok() ? Status::Ok() : committed.status();
}

}  // namespace

void BringObjectsBack(Stage* stage, VolumeBucket* bucket, Micros cut_us) {
  if (!stage->world().bugs().On(sim::Bug::kMetadataOlderThanObjects)) {
    bucket->BringBack(cut_us);
  }
}

sim::Task<Status> RaiseCounters(Stage* stage, client::Client* source, client::Client* target, const VolumeBucket* bucket) {
  if (stage->world().bugs().On(sim::Bug::kSliceIdsReissued)) {
    co_return Status::Ok();
  }
  const bool only_in_use = stage->world().bugs().On(sim::Bug::kClientsKeepOldIdBatches);
  const Bytes prefix = juicefs::VolumePrefix(stage->volume().name);
  auto begin_reading = source->Begin(sim::Label("cutover/source"));
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> reader, co_await std::move(begin_reading));
  auto begin = target->Begin(sim::Label("cutover/counters"));
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> writer, co_await std::move(begin));
  juicefs::Attempt from(reader.get(), &prefix, 0);
  juicefs::Attempt to(writer.get(), &prefix, 0);
  for (const char* counter : kIdCounters) {
    auto read_source = from.GetCounter(counter);
    CO_ASSIGN_OR_RETURN(int64_t above, co_await std::move(read_source));
    auto read_target = to.GetCounter(counter);
    CO_ASSIGN_OR_RETURN(const int64_t restored, co_await std::move(read_target));
    above = only_in_use ? InUse(*stage, *bucket, counter) : above;
    if (above > restored) {
      to.PutCounter(counter, above);
    }
  }
  if (!to.wrote()) {
    co_return Status::Ok();
  }
  auto commit = CommitOrSay(writer.get());
  co_return co_await std::move(commit);
}

sim::Task<Status> RepairUsage(Stage* stage, client::Client* target, Micros pause_us) {
  const Bytes prefix = juicefs::VolumePrefix(stage->volume().name);
  auto ask = target->CurrentTimestamp(sim::Label("repair/timestamp"));
  CO_ASSIGN_OR_RETURN(const Timestamp ts, co_await std::move(ask));
  const std::unique_ptr<client::Transaction> reader = target->BeginAt(ts, sim::Label("repair/scan"));
  auto scan = reader->Scan(prefix, PrefixEnd(prefix), 0);
  CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> pairs, co_await std::move(scan));
  juicefs::KeyValues records;
  for (const auto& [key, value] : pairs) {
    records.emplace_hint(records.end(), key.substr(prefix.size()), value);
  }
  const juicefs::CountedUsage usage = juicefs::CountUsage(juicefs::BuildImage(records));
  if (pause_us > 0) {
    co_await stage->scheduler().Sleep(pause_us);
  }
  for (;;) {
    auto begin = target->Begin(sim::Label("repair/totals"));
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> writer, co_await std::move(begin));
    juicefs::Attempt totals(writer.get(), &prefix, 0);
    totals.PutCounter("usedSpace", usage.space);
    totals.PutCounter("totalInodes", usage.inodes);
    auto commit = CommitOrSay(writer.get());
    const Status committed = co_await std::move(commit);
    if (committed.code() != StatusCode::kConflict) {
      co_return committed;
    }
  }
}

}  // namespace kvjury::explore
