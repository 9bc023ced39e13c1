// write, truncate and read: chunks and their lists of slices. Blocks are written, not read.
#include <fmt/format.h>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint64_t kFileBytesMax = kChunkBytes << 31;

int CheckFile(const Dentry& entry) {
  return entry.type == kTypeDirectory ? EISDIR : entry.type == kTypeFile ? 0 : EINVAL;
}

/// Usage after a change of length.
void AddLengthChange(Inode parent, uint64_t old_length, uint64_t new_length, UsageDelta* usage) {
  const int64_t space = static_cast<int64_t>(SpaceOf(new_length)) - static_cast<int64_t>(SpaceOf(old_length));
  usage->space += space;
  if (parent.valid()) {
    usage->directories.push_back(
        {parent, DirStat{static_cast<int64_t>(new_length) - static_cast<int64_t>(old_length), space, 0}});
  }
}

}  // namespace

sim::Task<int> Writer::WriteAt(Context* context, Bytes path, uint64_t offset, uint64_t length) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  int error = co_await std::move(find);
  error = error != 0 ? error : CheckFile(entry);
  if (error != 0) {
    co_return error;
  }
  if (offset > kFileBytesMax || length > kFileBytesMax - offset) {
    co_return EFBIG;
  }
  // One slice and one transaction for each chunk touched.
  const uint64_t end = offset + length;
  while (offset < end) {
    WriteArguments arguments;
    arguments.inode = entry.inode;
    arguments.chunk = static_cast<uint32_t>(offset / kChunkBytes);
    const uint64_t position = offset % kChunkBytes;
    const auto part = static_cast<uint32_t>(std::min(end - offset, kChunkBytes - position));
    uint64_t id = 0;
    error = co_await TakeSlice(context, &id);
    if (error != 0) {
      co_return error;
    }
    if (options_.blocks != nullptr) {
      sim::Task<Status> upload = options_.blocks->Upload(context->label / fmt::format("slice{}", id), id, Bytes(part, static_cast<char>(id)));
      const Status uploaded = co_await std::move(upload);
      if (!uploaded.ok()) {
        co_return EIO;
      }
    }
    arguments.slice.position = static_cast<uint32_t>(position);
    arguments.slice.id = id;
    arguments.slice.size = part;
    arguments.slice.length = part;
    error = co_await Run(context, TransactionKind::kOperation, &Writer::WriteBody, &arguments);
    if (error != 0) {
      co_return error;
    }
    offset += part;
  }
  co_return 0;
}

sim::Task<Status> Writer::WriteBody(Attempt* attempt, WriteArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  Attr attr = **read;
  if ((attr.flags & kFlagImmutable) != 0 || attr.type != kTypeFile) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  Result<std::vector<SliceRecord>> records = co_await attempt->GetChunk(arguments->inode, arguments->chunk);
  if (!records.ok()) {
    co_return records.error();
  }
  if (!records->empty() && records->back() == arguments->slice) {
    co_return Status::Ok();  // an earlier try was committed after all
  }
  const uint64_t end = arguments->chunk * kChunkBytes + arguments->slice.position + arguments->slice.length;
  AddLengthChange(attr.parent, attr.length, std::max(attr.length, end), &attempt->usage);
  attr.length = std::max(attr.length, end);
  SetModified(&attr, options_.wall_ns());
  attempt->PutAttr(arguments->inode, attr);
  attempt->AppendSlice(arguments->inode, arguments->chunk, *std::move(records), arguments->slice);
  co_return Status::Ok();
}

sim::Task<int> Writer::TruncateAt(Context* context, Bytes path, uint64_t length) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  int error = co_await std::move(find);
  error = error != 0 ? error : CheckFile(entry);
  if (error != 0) {
    co_return error;
  }
  if (length > kFileBytesMax) {
    co_return EFBIG;
  }
  TruncateArguments arguments;
  arguments.inode = entry.inode;
  arguments.length = length;
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::TruncateBody, &arguments);
}

sim::Task<Status> Writer::TruncateBody(Attempt* attempt, TruncateArguments* arguments) {
  const Inode inode = arguments->inode;
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  Attr attr = **read;
  if ((attr.flags & (kFlagImmutable | kFlagAppend)) != 0 || attr.type != kTypeFile) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  if (attr.length == arguments->length) {
    co_return Status::Ok();
  }
  const uint64_t low = std::min(attr.length, arguments->length);
  const uint64_t high = std::max(attr.length, arguments->length);
  const auto low_chunk = static_cast<uint32_t>(low / kChunkBytes);
  const auto high_chunk = static_cast<uint32_t>(high / kChunkBytes);
  if (high_chunk - low_chunk > 1) {
    // Whole chunks between: only those that exist are covered with zeros.
    const Key first = ChunkKey(inode, 0);
    Result<std::vector<std::pair<Key, Bytes>>> chunks = co_await attempt->ScanFamily(first, 0);
    if (!chunks.ok()) {
      co_return chunks.error();
    }
    for (const auto& [key, value] : *chunks) {
      if (key.number <= low_chunk || key.number >= high_chunk) {
        continue;
      }
      Result<std::vector<SliceRecord>> records = DecodeChunk(value);
      if (!records.ok()) {
        co_return records.error();
      }
      SliceRecord zeros;
      zeros.length = static_cast<uint32_t>(kChunkBytes);
      attempt->AppendSlice(inode, static_cast<uint32_t>(key.number), *std::move(records), zeros);
    }
  }
  Result<std::vector<SliceRecord>> low_records = co_await attempt->GetChunk(inode, low_chunk);
  if (!low_records.ok()) {
    co_return low_records.error();
  }
  SliceRecord zeros;
  zeros.position = static_cast<uint32_t>(low % kChunkBytes);
  zeros.length = static_cast<uint32_t>(std::min(high - low, kChunkBytes - low % kChunkBytes));
  attempt->AppendSlice(inode, low_chunk, *std::move(low_records), zeros);
  if (high_chunk > low_chunk && high % kChunkBytes > 0) {
    Result<std::vector<SliceRecord>> high_records = co_await attempt->GetChunk(inode, high_chunk);
    if (!high_records.ok()) {
      co_return high_records.error();
    }
    SliceRecord rest;
    rest.length = static_cast<uint32_t>(high % kChunkBytes);
    attempt->AppendSlice(inode, high_chunk, *std::move(high_records), rest);
  }
  AddLengthChange(attr.parent, attr.length, arguments->length, &attempt->usage);
  attr.length = arguments->length;
  SetModified(&attr, options_.wall_ns());
  attempt->PutAttr(inode, attr);
  co_return Status::Ok();
}

sim::Task<int> Writer::ReadAt(Context* context, Bytes path, uint64_t offset, uint64_t length) {
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  int error = co_await std::move(find);
  error = error != 0 ? error : CheckFile(entry);
  if (error != 0) {
    co_return error;
  }
  ReadArguments arguments;
  arguments.inode = entry.inode;
  arguments.offset = offset;
  arguments.length = length;
  sim::Label label = context->label / "read";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  const Status status = co_await ReadBody(&reader, &arguments);
  if (!status.ok()) {
    co_return EIO;
  }
  context->result.attr = arguments.attr;
  context->result.extents = arguments.extents;
  co_return reader.error;
}

sim::Task<Status> Writer::ReadBody(Attempt* attempt, ReadArguments* arguments) {
  Result<std::optional<Attr>> attr = co_await attempt->GetAttr(arguments->inode);
  if (!attr.ok()) {
    co_return attr.error();
  }
  if (!attr->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  arguments->attr = **attr;
  const uint64_t begin = std::min(arguments->offset, arguments->attr.length);
  const uint64_t end = begin + std::min(arguments->length, arguments->attr.length - begin);
  if (begin == end) {
    co_return Status::Ok();
  }
  for (uint64_t chunk = begin / kChunkBytes; chunk <= (end - 1) / kChunkBytes; ++chunk) {
    Result<std::vector<SliceRecord>> records =
        co_await attempt->GetChunk(arguments->inode, static_cast<uint32_t>(chunk));
    if (!records.ok()) {
      co_return records.error();
    }
    arguments->extents[static_cast<uint32_t>(chunk)] = *std::move(records);
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
