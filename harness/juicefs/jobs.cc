// The elected jobs: data of removed files, slices without references, the trash, slices that a compaction replaced, the change log; and what
// `juicefs gc --delete` does besides.
//
// Modelled: who does a job is elected anew each period; a job's transactions and their order. Jobs of one client run beside each other, but
// the trash and the replaced slices, which go at the same time in a real client, one after the other. Not modelled: the 50 minutes after which a
// real job yields. A job that failed goes on with its next record, as there.
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr Micros kHourUs = 3'600'000'000;
constexpr int64_t kHourS = 3600;
constexpr int64_t kDayS = 86'400;

}  // namespace

sim::Task<void> Writer::JobLoop(const char* name, Micros period_us, Job job) {
  for (uint64_t number = 1;; ++number) {
    sim::Label label = label_.Numbered(name, number);
    sim::Task<bool> sleep = SleepUntil(store_->scheduler()->now_us() + Jittered(period_us, label), label.text());
    const bool due = co_await std::move(sleep);
    if (!due) {
      co_return;
    }
    Context context = MakeContext(std::move(label));
    context.kind = TransactionKind::kCleanup;
    sim::Task<void> run = (this->*job)(&context, true);
    co_await std::move(run);
  }
}

void Writer::SpawnJobs(sim::Scope* scope) {
  const std::string name = label_.text();
  scope->Spawn(name + "/deleted-files", JobLoop("deleted-files", kHourUs, &Writer::CleanDeletedFiles));
  scope->Spawn(name + "/slices", JobLoop("slices", kHourUs, &Writer::CleanSlices));
  scope->Spawn(name + "/trash", JobLoop("trash-expiry", kHourUs, &Writer::CleanTrash));
  if (options_.backup != nullptr && options_.mount.backup_meta_us > 0) {
    scope->Spawn(name + "/backup", BackupLoop());
  }
  if (setting_.change_log) {
    scope->Spawn(name + "/changelog", JobLoop("changelog", kChangeLogPeriodUs, &Writer::CleanChangeLog));
  }
}

sim::Task<void> Writer::CollectGarbage() {
  CHECK(started_ && !options_.mount.read_only) << "garbage is collected by a session that may write";
  Context context = MakeContext(label_.Numbered("garbage", ++collections_));
  context.kind = TransactionKind::kCleanup;
  for (const Job job : {&Writer::CleanDeletedFiles, &Writer::CleanTrash, &Writer::CleanSlices, &Writer::CleanChangeLog, &Writer::CleanDetached}) {
    sim::Task<void> run = (this->*job)(&context, false);
    co_await std::move(run);
  }
}

sim::Task<Status> Writer::FindRecords(Attempt* attempt, FindArguments* arguments) {
  const Bytes start = arguments->start;
  const Bytes end = arguments->end;
  Result<std::vector<std::pair<Key, Bytes>>> records = co_await attempt->ScanRange(start, end, 0);
  if (!records.ok()) {
    co_return records.error();
  }
  arguments->records = *std::move(records);
  co_return Status::Ok();
}

sim::Task<std::vector<std::pair<Key, Bytes>>> Writer::Find(Context* context, Bytes start, Bytes end) {
  FindArguments arguments;
  arguments.start = std::move(start);
  arguments.end = std::move(end);
  const int error = co_await Run(context, TransactionKind::kCleanup, &Writer::FindRecords, &arguments);
  co_return error == 0 ? std::move(arguments.records) : std::vector<std::pair<Key, Bytes>>();
}

sim::Task<void> Writer::CleanDeletedFiles(Context* context, bool elect) {
  if (elect && !co_await Elected(context, "lastCleanupFiles", kHourUs)) {
    co_return;
  }
  const int64_t edge_s = WallSeconds() - kHourS;
  sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, "D", "E");
  const std::vector<std::pair<Key, Bytes>> files = co_await std::move(find);
  for (const auto& [key, value] : files) {
    const Result<int64_t> removed_s = DecodeInt64Be(value);
    if (removed_s.ok() && *removed_s < edge_s && !dead_) {
      co_await DeleteFileData(context, key.inode, key.number);
    }
  }
}

sim::Task<void> Writer::CleanSlices(Context* context, bool elect) {
  if (elect && !co_await Elected(context, "nextCleanupSlices", kHourUs)) {
    co_return;
  }
  if (options_.history != nullptr && options_.mount.gc_interval_us > 0) {
    sim::Task<Status> collect = options_.history->CollectHistory(options_.mount.gc_interval_us, context->label / "gc");
    static_cast<void>(co_await std::move(collect));  // a failure is a warning
  }
  sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, "K", "L");
  const std::vector<std::pair<Key, Bytes>> counts = co_await std::move(find);
  for (const auto& [key, value] : counts) {
    const Result<int64_t> count = DecodeInt64Le(value);
    if (!count.ok() || *count > 0 || dead_) {
      continue;
    }
    const SliceName slice{key.id, static_cast<uint32_t>(key.number)};
    if (*count < 0) {
      std::vector<SliceName> unused = {slice};
      co_await DeleteSlices(context, std::move(unused));
    } else {
      SliceArguments arguments;
      arguments.slice = slice;
      arguments.only_if_zero = true;
      co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteReferences, &arguments);
    }
  }
}

sim::Task<void> Writer::CleanTrash(Context* context, bool elect) {
  sim::Task<Result<std::optional<Bytes>>> read = PointRead(context->label / "trash", AttrKey(kTrashInode));
  const Result<std::optional<Bytes>> trash = co_await std::move(read);
  if (!trash.ok() || !trash->has_value()) {
    co_return;
  }
  if (elect && !co_await Elected(context, "lastCleanupTrash", kHourUs)) {
    co_return;
  }
  const int64_t days = setting_.trash_days;
  co_await ExpireHours(context, WallSeconds() - (24 * days + 2) * kHourS);
  co_await CleanDelayedSlices(context, WallSeconds() - days * kDayS, elect);
}

sim::Task<void> Writer::CleanDelayedSlices(Context* context, int64_t edge_s, bool elected) {
  if (edge_s <= 0) {
    co_return;
  }
  const Bytes start = EncodeKey(DelayedSlicesKey(0, 0));
  const Bytes end = EncodeKey(DelayedSlicesKey(static_cast<uint64_t>(edge_s), 0));
  sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, start, end);
  const std::vector<std::pair<Key, Bytes>> delayed = co_await std::move(find);
  for (const auto& [key, value] : delayed) {
    SliceArguments arguments;
    arguments.delayed = key;
    arguments.elected = elected;
    const int error = co_await Run(context, TransactionKind::kCleanup, &Writer::DropDelayed, &arguments);
    if (error == 0) {
      co_await DeleteSlices(context, arguments.dropped);
    }
  }
}

sim::Task<Status> Writer::DropDelayed(Attempt* attempt, SliceArguments* arguments) {
  arguments->dropped.clear();
  const Key key = arguments->delayed;
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok() || !value->has_value()) {
    co_return value.status();
  }
  Result<std::vector<SliceName>> slices = DecodeSliceNames(**value);
  if (!slices.ok()) {
    co_return slices.error();
  }
  for (const SliceName& slice : *slices) {
    const SliceName name = slice;
    Result<int64_t> count = co_await attempt->GetReferences(name);  // own writes are seen
    if (!count.ok()) {
      co_return count.error();
    }
    attempt->PutReferences(name, *count - 1);
    if (*count - 1 < 0) {
      arguments->dropped.push_back(name);
    }
  }
  attempt->DeleteRaw(key);
  attempt->log = fmt::format("CLEANUP_{}_SLICES({},{})", arguments->elected ? "DELAYED" : "TRASH", key.id, key.number);
  co_return Status::Ok();
}

sim::Task<Status> Writer::DeleteRecords(Attempt* attempt, FindArguments* arguments) {
  for (const auto& [key, value] : arguments->records) {
    attempt->DeleteRaw(key);
  }
  co_return Status::Ok();
}

sim::Task<void> Writer::CleanDetached(Context* context, bool) {
  const int64_t edge_s = WallSeconds() - kDayS;
  sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, "N", "O");
  const std::vector<std::pair<Key, Bytes>> nodes = co_await std::move(find);
  for (const auto& [key, value] : nodes) {
    const Result<int64_t> begun_s = DecodeInt64Be(value);
    if (!begun_s.ok() || *begun_s >= edge_s) {
      continue;
    }
    sim::Task<Result<std::optional<Bytes>>> read = PointRead(context->label.Numbered("detached", key.inode.value()), AttrKey(key.inode));
    const Result<std::optional<Bytes>> attr = co_await std::move(read);
    if (!attr.ok() || !attr->has_value()) {
      continue;
    }
    const int emptied = co_await EmptyDirectory(context, key.inode, true);
    if (emptied == 0) {
      CloneArguments half_made;
      half_made.made = key.inode;
      co_await Run(context, TransactionKind::kCleanup, &Writer::RemoveDetachedBody, &half_made);
    }
  }
}

}  // namespace kvjury::juicefs
