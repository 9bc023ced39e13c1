// Compaction: many records of a chunk become one, which holds what a reader saw of them.
//
// Started by a read that met five records or pieces, by writes at certain counts of records, and by hand. The new slice is written first,
// then one transaction puts its record in place of the old ones, if the chunk still begins with them; otherwise the slice is thrown away.
// With trash the replaced slices are kept (an L record), without it they lose a reference. A commit whose answer was lost is looked up by
// the count of the new slice. Source: JuiceFS 1.4, compaction of the base metadata and of the KV engine.
#include <fmt/format.h>

#include "harness/juicefs/compaction_plan.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr size_t kRecordsForcedMin = 2500;
constexpr int kRoundsMax = 50;  // of one chunk by hand

}  // namespace

sim::Task<int> Writer::CompactAt(Context* context, Bytes path) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  co_return co_await CompactTree(context, entry.inode);
}

sim::Task<int> Writer::CompactTree(Context* context, Inode inode) {
  Attr attr;
  int error = co_await ReadAttr(context, inode, &attr);
  if (error != 0) {
    co_return error;
  }
  if (attr.type == kTypeFile) {
    for (uint64_t chunk = 0; chunk * kChunkBytes < attr.length; ++chunk) {
      bool again = true;
      for (int round = 0; again && round < kRoundsMax; ++round) {
        again = co_await CompactChunk(context, inode, static_cast<uint32_t>(chunk));
      }
    }
    co_return 0;
  }
  if (attr.type != kTypeDirectory) {
    co_return 0;
  }
  ListArguments list;
  list.inode = inode;
  error = co_await Run(context, TransactionKind::kOperation, &Writer::ListBody, &list);
  for (size_t i = 0; error == 0 && i < list.entries.size(); ++i) {
    sim::Task<int> below = CompactTree(context, list.entries[i].inode);
    error = co_await std::move(below);
    error = error == ENOENT ? 0 : error;  // gone meanwhile
  }
  co_return error;
}

sim::Task<void> Writer::CompactAfterWrite(Context* context, Inode inode, uint32_t chunk, size_t records) {
  if (records % 100 == 99 || records > 350) {
    // From kRecordsForcedMin on the real client makes its caller wait for this, which is the same here.
    static_assert(kRecordsForcedMin > kCompactedRecordsMax);
    co_await CompactChunk(context, inode, chunk);
  }
}

sim::Task<bool> Writer::CompactChunk(Context* context, Inode inode, uint32_t chunk) {
  CompactArguments arguments;
  arguments.inode = inode;
  arguments.chunk = chunk;
  sim::Label label = context->label / fmt::format("compact{}:{}", inode.value(), chunk);
  {
    std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
    Attempt reader(transaction.get(), &prefix_, 0);
    Result<std::vector<SliceRecord>> records = co_await reader.GetChunk(inode, chunk);
    if (!records.ok()) {
      co_return false;
    }
    arguments.seen = *std::move(records);
  }
  arguments.seen.resize(std::min(arguments.seen.size(), kCompactedRecordsMax));
  std::optional<CompactionPlan> plan = PlanCompaction(arguments.seen);
  if (!plan.has_value()) {
    co_return false;
  }
  uint64_t id = 0;
  int error = co_await TakeSlice(context, &id);
  if (error != 0) {
    co_return false;
  }
  arguments.skipped = plan->skipped;
  arguments.pieces = std::move(plan->pieces);
  arguments.made = SliceRecord{plan->position, id, plan->size, 0, plan->size};
  sim::Task<bool> move = MoveBlocks(std::move(label), &arguments);
  const bool moved = co_await std::move(move);
  if (!moved) {
    co_return false;
  }
  error = co_await Run(context, TransactionKind::kCompaction, &Writer::CompactBody, &arguments);
  const SliceName made{id, plan->size};
  if (error != 0 && error != EINVAL) {
    std::unique_ptr<client::Transaction> look = store_->BeginAt(Timestamp::Max(), context->label / fmt::format("compacted{}", id));
    Attempt reader(look.get(), &prefix_, 0);
    const Key key = SliceReferencesKey(made.id, made.size);
    Result<std::optional<Bytes>> count = co_await reader.GetRaw(key);
    if (!count.ok()) {
      co_return false;  // the new slice may be left over
    }
    error = count->has_value() ? 0 : EINVAL;
  }
  if (error != 0) {
    co_await Run(context, TransactionKind::kDataDeletion, &Writer::DropNewSlice, &arguments);
    std::vector<SliceName> lost(1, made);
    co_await DeleteSlices(context, std::move(lost));
    co_return false;
  }
  co_await Run(context, TransactionKind::kDataDeletion, &Writer::ForgetZeroReferences, &arguments);
  if (setting_.trash_days == 0) {
    std::set<SliceName> replaced;
    for (size_t i = arguments.skipped; i < arguments.seen.size(); ++i) {
      replaced.insert({arguments.seen[i].id, arguments.seen[i].size});
    }
    replaced.erase(replaced.begin(), replaced.upper_bound(SliceName{0, UINT32_MAX}));  // holes
    for (const SliceName& slice : replaced) {
      SliceArguments look;
      look.slice = slice;
      error = co_await Run(context, TransactionKind::kDataDeletion, &Writer::ReadReferences, &look);
      if (error == 0 && look.references < 0) {
        std::vector<SliceName> unused(1, slice);
        co_await DeleteSlices(context, std::move(unused));
      }
    }
  }
  co_return true;
}

sim::Task<bool> Writer::MoveBlocks(sim::Label label, const CompactArguments* arguments) {
  if (options_.blocks == nullptr) {
    co_return true;
  }
  Bytes data;
  for (const SliceRecord& piece : arguments->pieces) {
    if (piece.id == 0) {
      data.append(piece.length, '\0');
      continue;
    }
    auto read = options_.blocks->Read(label / fmt::format("slice{}+{}", piece.id, piece.offset), piece.id, piece.size, piece.offset,
                                      piece.length);
    const Result<Bytes> part = co_await std::move(read);
    if (!part.ok()) {
      co_return false;
    }
    data += *part;
  }
  auto upload = options_.blocks->Upload(label / "upload", arguments->made.id, std::move(data));
  const Status uploaded = co_await std::move(upload);
  co_return uploaded.ok();
}

sim::Task<Status> Writer::CompactBody(Attempt* attempt, CompactArguments* arguments) {
  const CompactArguments& a = *arguments;
  Result<std::vector<SliceRecord>> read = co_await attempt->GetChunk(a.inode, a.chunk);
  if (!read.ok()) {
    co_return read.error();
  }
  if (read->size() < a.seen.size() || !std::equal(a.seen.begin(), a.seen.end(), read->begin())) {
    attempt->error = EINVAL;  // changed
    co_return Status::Ok();
  }
  const auto replaced = static_cast<uint32_t>(a.seen.size()) - a.skipped;
  attempt->ReplaceSlices(a.inode, a.chunk, *std::move(read), a.skipped, replaced, a.made);
  attempt->PutReferences({a.made.id, a.made.size}, 0);
  attempt->log = fmt::format("COMPACTCHUNK({},{},{},{},{},{},{})", a.inode.value(), a.chunk, a.skipped, replaced, a.made.position, a.made.id,
                             a.made.size);
  std::vector<SliceName> delayed;
  std::map<SliceName, int64_t> references;
  for (size_t i = a.skipped; i < a.seen.size(); ++i) {
    if (a.seen[i].id != 0) {
      delayed.push_back({a.seen[i].id, a.seen[i].size});
      references[delayed.back()] -= 1;
    }
  }
  if (setting_.trash_days > 0) {
    if (!delayed.empty()) {
      attempt->PutRaw(DelayedSlicesKey(static_cast<uint64_t>(WallSeconds()), a.made.id), EncodeSliceNames(delayed));
    }
    co_return Status::Ok();
  }
  sim::Task<Status> count = attempt->AddReferences(std::move(references));
  co_return co_await std::move(count);
}

sim::Task<Status> Writer::DropNewSlice(Attempt* attempt, CompactArguments* arguments) {
  std::map<SliceName, int64_t> references{{{arguments->made.id, arguments->made.size}, -1}};
  sim::Task<Status> count = attempt->AddReferences(std::move(references));
  co_return co_await std::move(count);
}

sim::Task<Status> Writer::ForgetZeroReferences(Attempt* attempt, CompactArguments* arguments) {
  const SliceName made{arguments->made.id, arguments->made.size};
  Result<int64_t> references = co_await attempt->GetReferences(made);
  if (!references.ok()) {
    co_return references.error();
  }
  if (*references == 0) {
    attempt->DeleteRaw(SliceReferencesKey(made.id, made.size));
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
