// write, truncate and read: chunks and their lists of slices, and blocks where the writer has a store of them.
#include <fmt/format.h>

#include "harness/juicefs/compaction_plan.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"
#include "harness/juicefs/written_bytes.h"

namespace kvjury::juicefs {

namespace {

constexpr uint64_t kFileBytesMax = kChunkBytes << 31;
constexpr uint32_t kAppendFlag = 1024;  // of open(2)
constexpr size_t kPiecesCompacted = 5;  // a read that meets as many starts a compaction
constexpr uint32_t kReadTriesMax = 3;   // of what a compaction or deletion may take away while it is read

}  // namespace

sim::Task<int> Writer::WriteAt(Context* context, const record::Write* write) {
  const uint32_t handle = write->handle();
  Inode inode;
  Bytes path = write->path();
  sim::Task<int> find = FindFile(context, std::move(path), handle, FileUse::kWrite, &inode);
  int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  uint64_t offset = write->offset();
  if (handle != 0 && (open_files_.at(handle).flags & kAppendFlag) != 0) {
    Attr attr;
    error = co_await ReadAttr(context, inode, &attr);
    if (error != 0) {
      co_return EBADF;
    }
    offset = attr.length;
  }
  if (offset >= kFileBytesMax || write->length() >= kFileBytesMax - offset) {
    co_return co_await RefuseAfterOpen(context, inode, handle, EFBIG);
  }
  // One slice and one transaction for each chunk touched.
  const uint64_t seed = options_.blocks != nullptr ? SeedOfWrite(context->label.text(), write->seed()) : 0;
  const uint64_t begin = offset;
  const uint64_t end = offset + write->length();
  while (offset < end) {
    WriteArguments arguments;
    arguments.inode = inode;
    arguments.by_handle = handle != 0;
    arguments.chunk = static_cast<uint32_t>(offset / kChunkBytes);
    const uint64_t position = offset % kChunkBytes;
    const auto part = static_cast<uint32_t>(std::min(end - offset, kChunkBytes - position));
    uint64_t id = 0;
    error = co_await TakeSlice(context, &id);
    if (error != 0) {
      co_return error;
    }
    arguments.slice.position = static_cast<uint32_t>(position);
    arguments.slice.id = id;
    arguments.slice.size = part;
    arguments.slice.length = part;
    if (options_.blocks != nullptr) {
      Bytes data = WrittenBytes(seed, offset - begin, part);
      auto upload = options_.blocks->Upload(context->label / fmt::format("slice{}", id), id, std::move(data));
      const Status uploaded = co_await std::move(upload);
      if (!uploaded.ok()) {
        co_return EIO;  // nothing refers to the blocks that are there
      }
    }
    error = co_await Run(context, TransactionKind::kOperation, &Writer::WriteBody, &arguments);
    if (error != 0) {
      // Through a handle the file was there and writable once.
      co_return handle != 0 && (error == ENOENT || error == EPERM) ? EBADF : error;
    }
    co_await CompactAfterWrite(context, inode, arguments.chunk, arguments.records);
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
  const bool may_open = (attr.flags & (kFlagImmutable | kFlagAppend)) == 0 && !(attr.parent > kTrashInode);
  if ((!arguments->by_handle && !may_open) || attr.type != kTypeFile) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  Result<std::vector<SliceRecord>> records = co_await attempt->GetChunk(arguments->inode, arguments->chunk);
  if (!records.ok()) {
    co_return records.error();
  }
  arguments->records = records->size() + 1;
  if (std::find(records->begin(), records->end(), arguments->slice) != records->end()) {
    co_return Status::Ok();  // an earlier try was committed after all
  }
  const uint64_t end = arguments->chunk * kChunkBytes + arguments->slice.position + arguments->slice.length;
  sim::Task<Status> charge = ChargeLength(attempt, arguments->inode, attr, std::max(attr.length, end));
  const Status charged = co_await std::move(charge);
  CO_RETURN_IF_ERROR(charged);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  attr.length = std::max(attr.length, end);
  SetModified(&attr, options_.wall_ns());
  attempt->PutAttr(arguments->inode, attr);
  attempt->AppendSlice(arguments->inode, arguments->chunk, *std::move(records), arguments->slice);
  attempt->log = fmt::format("WRITE({},{},{},{},{},{},{}):{}", arguments->inode.value(), arguments->chunk, arguments->slice.position,
                             arguments->slice.id, arguments->slice.length, attr.mtime_s, attr.mtime_ns, arguments->records);
  co_return Status::Ok();
}

sim::Task<int> Writer::TruncateAt(Context* context, Bytes path, uint32_t handle, uint64_t length) {
  TruncateArguments arguments;
  sim::Task<int> find = FindFile(context, std::move(path), handle, FileUse::kTruncate, &arguments.inode);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  if (length >= kFileBytesMax) {
    co_return EFBIG;
  }
  arguments.by_handle = handle != 0;
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
  const bool trashed = attr.parent > kTrashInode && !arguments->by_handle;
  if ((attr.flags & (kFlagImmutable | kFlagAppend)) != 0 || attr.type != kTypeFile || trashed) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  if (attr.length == arguments->length) {
    co_return Status::Ok();
  }
  sim::Task<Status> charge = ChargeLength(attempt, inode, attr, arguments->length);
  const Status charged = co_await std::move(charge);
  CO_RETURN_IF_ERROR(charged);
  if (attempt->error != 0) {
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
  attempt->log = fmt::format("TRUNCATE({},{},{},{})", inode.value(), attr.length, arguments->length, arguments->by_handle ? 1 : 0);
  attr.length = arguments->length;
  SetModified(&attr, options_.wall_ns());
  attempt->PutAttr(inode, attr);
  co_return Status::Ok();
}

sim::Task<int> Writer::ReadAttr(Context* context, Inode inode, Attr* attr) {
  sim::Task<int> read = ReadAttrAt(context->label / "getattr", inode, attr);
  co_return co_await std::move(read);
}

sim::Task<int> Writer::ReadAt(Context* context, const record::Read* read) {
  ReadArguments arguments;
  arguments.context = context;
  arguments.offset = read->offset();
  arguments.length = read->length();
  Bytes path = read->path();
  sim::Task<int> find = FindFile(context, std::move(path), read->handle(), FileUse::kRead, &arguments.inode);
  const int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  for (uint32_t attempt = 1;; ++attempt) {
    sim::Label label = attempt == 1 ? context->label / "read" : context->label.Numbered("read", attempt);
    std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
    Attempt reader(transaction.get(), &prefix_, 0);
    const Status status = co_await ReadBody(&reader, &arguments);
    if (!status.ok()) {
      co_return EIO;
    }
    context->result.attr = arguments.attr;
    context->result.extents = arguments.extents;
    if (reader.error != 0) {
      co_return read->handle() != 0 ? EBADF : reader.error;
    }
    if (options_.blocks == nullptr) {
      break;
    }
    sim::Task<Result<Bytes>> fetch = ReadBlocks(label, &arguments);
    Result<Bytes> data = co_await std::move(fetch);
    if (data.ok()) {
      context->result.data = *std::move(data);
      break;
    }
    if (attempt == kReadTriesMax) {
      co_return EIO;  // what is missing stays missing: no compaction or deletion went by in between
    }
  }
  for (const auto& [chunk, records] : arguments.extents) {
    if (!options_.mount.read_only && (records.size() >= kPiecesCompacted || OverlayRecords(records).size() >= kPiecesCompacted)) {
      co_await CompactChunk(context, arguments.inode, chunk);
    }
  }
  co_return 0;
}

sim::Task<Result<Bytes>> Writer::ReadBlocks(sim::Label label, const ReadArguments* arguments) {
  const uint64_t begin = std::min(arguments->offset, arguments->attr.length);
  const uint64_t end = begin + std::min(arguments->length, arguments->attr.length - begin);
  Bytes bytes(end - begin, '\0');
  for (const auto& [chunk, records] : arguments->extents) {
    const std::vector<SliceRecord> pieces = OverlayRecords(records);
    for (const SliceRecord& piece : pieces) {
      const uint64_t place = chunk * kChunkBytes + piece.position;
      const uint64_t first = std::max(place, begin);
      const uint64_t last = std::min(place + piece.length, end);
      if (piece.id == 0 || first >= last) {
        continue;
      }
      const auto offset = static_cast<uint32_t>(piece.offset + (first - place));
      auto read = options_.blocks->Read(label / fmt::format("slice{}+{}", piece.id, offset), piece.id, piece.size, offset,
                                        static_cast<uint32_t>(last - first));
      Result<Bytes> part = co_await std::move(read);
      if (!part.ok()) {
        co_return part.error();
      }
      bytes.replace(first - begin, part->size(), *part);
    }
  }
  co_return bytes;
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
  arguments->extents.clear();
  if (KeepsAccessTimes() && arguments->context != nullptr) {
    sim::Task<void> touch = TouchAccessTime(arguments->context, arguments->inode, arguments->attr);
    co_await std::move(touch);
  }
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
