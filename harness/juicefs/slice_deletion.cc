// Deletion of data: the chunks of a removed file, the counts of slices, and their blocks once nothing refers to them.
#include <fmt/format.h>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

sim::Task<int> Writer::DeleteFileData(Context* context, Inode inode, uint64_t length) {
  ChunkDeletionArguments arguments;
  arguments.inode = inode;
  arguments.length = length;
  int error = co_await Run(context, TransactionKind::kDataDeletion, &Writer::ListChunks, &arguments);
  if (error != 0) {
    co_return error;
  }
  const std::vector<uint32_t> chunks = arguments.chunks;
  for (const uint32_t chunk : chunks) {
    arguments.chunk = chunk;
    error = co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteChunk, &arguments);
    if (error != 0) {
      co_return error;
    }
    co_await DeleteSlices(context, arguments.dropped);
  }
  co_return co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteMarker, &arguments);
}

sim::Task<Status> Writer::ListChunks(Attempt* attempt, ChunkDeletionArguments* arguments) {
  arguments->chunks.clear();
  const Key first = ChunkKey(arguments->inode, 0);
  Result<std::vector<std::pair<Key, Bytes>>> chunks = co_await attempt->ScanFamily(first, 0);
  if (!chunks.ok()) {
    co_return chunks.error();
  }
  for (const auto& [key, value] : *chunks) {
    arguments->chunks.push_back(static_cast<uint32_t>(key.number));
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::DeleteChunk(Attempt* attempt, ChunkDeletionArguments* arguments) {
  arguments->dropped.clear();
  Result<std::vector<SliceRecord>> records = co_await attempt->GetChunk(arguments->inode, arguments->chunk);
  if (!records.ok()) {
    co_return records.error();
  }
  std::map<SliceName, int64_t> references;
  for (const SliceRecord& record : *records) {
    if (record.id == 0) {
      continue;
    }
    const SliceName slice{record.id, record.size};
    if (references.find(slice) == references.end()) {
      Result<int64_t> count = co_await attempt->GetReferences(slice);
      if (!count.ok()) {
        co_return count.error();
      }
      references[slice] = *count;
    }
    references[slice] -= 1;
  }
  attempt->DeleteRaw(ChunkKey(arguments->inode, arguments->chunk));
  attempt->log = fmt::format("DELCHUNK({},{})", arguments->inode.value(), arguments->chunk);
  for (const auto& [slice, count] : references) {
    attempt->PutReferences(slice, count);
    if (count < 0) {
      arguments->dropped.push_back(slice);
    }
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::DeleteMarker(Attempt* attempt, ChunkDeletionArguments* arguments) {
  attempt->DeleteRaw(DeletedFileKey(arguments->inode, arguments->length));
  co_return Status::Ok();
}

sim::Task<void> Writer::DeleteSlices(Context* context, std::vector<SliceName> slices) {
  for (const SliceName& slice : slices) {
    if (options_.blocks != nullptr) {
      auto remove = options_.blocks->Remove(context->label / fmt::format("delete-slice{}", slice.id), slice.id, slice.size);
      const Status removed = co_await std::move(remove);
      if (!removed.ok()) {
        continue;
      }
    }
    SliceArguments arguments;
    arguments.slice = slice;
    co_await Run(context, TransactionKind::kDataDeletion, &Writer::DeleteReferences, &arguments);
  }
}

sim::Task<Status> Writer::DeleteReferences(Attempt* attempt, SliceArguments* arguments) {
  if (arguments->only_if_zero) {
    const SliceName slice = arguments->slice;
    Result<int64_t> references = co_await attempt->GetReferences(slice);
    if (!references.ok()) {
      co_return references.error();
    }
    if (*references != 0) {
      attempt->error = EINVAL;
      co_return Status::Ok();
    }
  }
  attempt->DeleteRaw(SliceReferencesKey(arguments->slice.id, arguments->slice.size));
  if (!arguments->only_if_zero) {
    attempt->log = fmt::format("DELETESLICE({},{})", arguments->slice.id, arguments->slice.size);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::ReadReferences(Attempt* attempt, SliceArguments* arguments) {
  const SliceName slice = arguments->slice;
  Result<int64_t> references = co_await attempt->GetReferences(slice);
  if (!references.ok()) {
    co_return references.error();
  }
  arguments->references = *references;
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
