// fallocate and copy_file_range: ranges of files without a byte being moved.
//
// The errno of odd calls is what a mount gives: the kernel looks at the mode before JuiceFS does (and knows no collapse and no insert
// through FUSE). A copy whose source ends before the range begins copies nothing and is no error.
#include <fmt/format.h>

#include "harness/juicefs/compaction_plan.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr uint64_t kFileBytesMax = kChunkBytes << 31;
constexpr uint32_t kKeepSize = 1;
constexpr uint32_t kPunchHole = 2;
constexpr uint32_t kCollapseRange = 8;
constexpr uint32_t kZeroRange = 16;
constexpr uint32_t kInsertRange = 32;

int CheckMode(const record::Fallocate& fallocate) {
  const uint32_t mode = fallocate.mode();
  if (fallocate.length() == 0) {
    return EINVAL;
  }
  if ((mode & ~(kKeepSize | kPunchHole | kCollapseRange | kZeroRange | kInsertRange)) != 0 ||
      ((mode & kPunchHole) != 0 && ((mode & kZeroRange) != 0 || (mode & kKeepSize) == 0))) {
    return EOPNOTSUPP;
  }
  for (const uint32_t exclusive : {kCollapseRange, kInsertRange}) {
    if ((mode & exclusive) != 0) {
      return mode == exclusive ? EOPNOTSUPP : EINVAL;
    }
  }
  return 0;
}

/// True if the range ends beyond what a file can hold.
bool IsTooFar(uint64_t offset, uint64_t length) { return offset >= kFileBytesMax || length >= kFileBytesMax - offset; }

}  // namespace

sim::Task<int> Writer::FallocateAt(Context* context, const record::Fallocate* fallocate) {
  FallocateArguments arguments;
  arguments.mode = fallocate->mode();
  arguments.offset = fallocate->offset();
  arguments.length = fallocate->length();
  Bytes path = fallocate->path();
  sim::Task<int> find = FindFile(context, std::move(path), fallocate->handle(), FileUse::kWrite, &arguments.inode);
  int error = co_await std::move(find);
  if (error != 0) {
    co_return error;
  }
  arguments.by_handle = fallocate->handle() != 0;
  error = CheckMode(*fallocate);
  error = error == 0 && IsTooFar(arguments.offset, arguments.length) ? EFBIG : error;
  if (error != 0) {
    co_return co_await RefuseAfterOpen(context, arguments.inode, fallocate->handle(), error);
  }
  co_return co_await Run(context, TransactionKind::kOperation, &Writer::FallocateBody, &arguments);
}

sim::Task<Status> Writer::FallocateBody(Attempt* attempt, FallocateArguments* arguments) {
  Result<std::optional<Attr>> read = co_await attempt->GetAttr(arguments->inode);
  if (!read.ok()) {
    co_return read.error();
  }
  if (!read->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  Attr attr = **read;
  // A file that is append-only, or lies in the trash, is not opened for this; through an older handle it may still grow.
  const bool append_only = (attr.flags & kFlagAppend) != 0;
  const bool may_open = arguments->by_handle || (!append_only && !(attr.parent > kTrashInode));
  if (attr.type != kTypeFile || !may_open || (attr.flags & kFlagImmutable) != 0 || (append_only && (arguments->mode & ~kKeepSize) != 0)) {
    attempt->error = EPERM;
    co_return Status::Ok();
  }
  const uint64_t old_length = attr.length;
  const uint64_t end = arguments->offset + arguments->length;
  const uint64_t new_length = (arguments->mode & kKeepSize) == 0 ? std::max(old_length, end) : old_length;
  sim::Task<Status> charge = ChargeLength(attempt, arguments->inode, attr, new_length);
  const Status charged = co_await std::move(charge);
  CO_RETURN_IF_ERROR(charged);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  attr.length = new_length;
  SetModified(&attr, options_.wall_ns());
  attempt->PutAttr(arguments->inode, attr);
  attempt->log = fmt::format("FALLOCATE({},{},{},{})", arguments->inode.value(), arguments->offset, arguments->length, arguments->mode);
  if ((arguments->mode & (kZeroRange | kPunchHole)) == 0) {
    co_return Status::Ok();
  }
  // Only what was there needs zeros.
  for (uint64_t offset = arguments->offset; offset < std::min(end, old_length);) {
    const auto chunk = static_cast<uint32_t>(offset / kChunkBytes);
    SliceRecord zeros;
    zeros.position = static_cast<uint32_t>(offset % kChunkBytes);
    zeros.length = static_cast<uint32_t>(std::min(std::min(end, old_length) - offset, kChunkBytes - zeros.position));
    Result<std::vector<SliceRecord>> records = co_await attempt->GetChunk(arguments->inode, chunk);
    if (!records.ok()) {
      co_return records.error();
    }
    attempt->AppendSlice(arguments->inode, chunk, *std::move(records), zeros);
    offset += zeros.length;
  }
  co_return Status::Ok();
}

sim::Task<int> Writer::CopyFileRangeAt(Context* context, const record::CopyFileRange* copy) {
  CopyArguments arguments;
  arguments.from_offset = copy->from_offset();
  arguments.to_offset = copy->to_offset();
  arguments.length = copy->length();
  Bytes from = copy->from();
  sim::Task<int> find_source = FindFile(context, std::move(from), 0, FileUse::kRead, &arguments.from);
  int error = co_await std::move(find_source);
  if (error != 0) {
    co_return error;
  }
  Bytes to = copy->to();
  sim::Task<int> find_target = FindFile(context, std::move(to), 0, FileUse::kWrite, &arguments.to);
  error = co_await std::move(find_target);
  if (error != 0) {
    co_return error;
  }
  if (IsTooFar(arguments.from_offset, arguments.length) || IsTooFar(arguments.to_offset, arguments.length)) {
    co_return co_await RefuseAfterOpen(context, arguments.to, 0, EFBIG);
  }
  // The kernel cuts the range at the end of the source before it looks for an overlap.
  Attr attr;
  error = co_await ReadAttr(context, arguments.from, &attr);
  if (error != 0) {
    co_return error;
  }
  const uint64_t left = attr.length - std::min(attr.length, arguments.from_offset);
  arguments.length = std::min(arguments.length, left);
  if (arguments.from == arguments.to && arguments.to_offset + arguments.length > arguments.from_offset &&
      arguments.to_offset < arguments.from_offset + arguments.length) {
    co_return co_await RefuseAfterOpen(context, arguments.to, 0, EINVAL);
  }
  if (arguments.length == 0) {
    co_return co_await RefuseAfterOpen(context, arguments.to, 0, 0);
  }
  error = co_await Run(context, TransactionKind::kOperation, &Writer::CopyFileRangeBody, &arguments);
  context->result.copied_bytes = error == 0 ? arguments.copied_bytes : 0;
  co_return error;
}

sim::Task<Status> Writer::CopyFileRangeBody(Attempt* attempt, CopyArguments* arguments) {
  arguments->copied_bytes = 0;
  Result<std::optional<Attr>> read_source = co_await attempt->GetAttr(arguments->from);
  if (!read_source.ok()) {
    co_return read_source.error();
  }
  Result<std::optional<Attr>> read_target = co_await attempt->GetAttr(arguments->to);
  if (!read_target.ok()) {
    co_return read_target.error();
  }
  if (!read_source->has_value() || !read_target->has_value()) {
    attempt->error = ENOENT;
    co_return Status::Ok();
  }
  const Attr source = **read_source;
  Attr target = **read_target;
  if (source.type != kTypeFile) {
    attempt->error = EINVAL;
    co_return Status::Ok();
  }
  if (arguments->from_offset >= source.length) {
    co_return Status::Ok();
  }
  if (target.type != kTypeFile || (target.flags & (kFlagImmutable | kFlagAppend)) != 0 || target.parent > kTrashInode) {
    attempt->error = target.type != kTypeFile ? EINVAL : EPERM;
    co_return Status::Ok();
  }
  arguments->copied_bytes = std::min(arguments->length, source.length - arguments->from_offset);
  const uint64_t new_length = std::max(target.length, arguments->to_offset + arguments->copied_bytes);
  sim::Task<Status> charge = ChargeLength(attempt, arguments->to, target, new_length);
  const Status charged = co_await std::move(charge);
  CO_RETURN_IF_ERROR(charged);
  if (attempt->error != 0) {
    co_return Status::Ok();
  }
  target.length = new_length;
  SetModified(&target, options_.wall_ns());
  sim::Task<Status> find = PiecesToCopy(attempt, arguments);
  const Status found = co_await std::move(find);
  CO_RETURN_IF_ERROR(found);
  const std::map<uint32_t, std::vector<SliceRecord>> added = arguments->added;
  for (const auto& [chunk, pieces] : added) {
    Result<std::vector<SliceRecord>> records = co_await attempt->GetChunk(arguments->to, chunk);
    if (!records.ok()) {
      co_return records.error();
    }
    attempt->AppendSlices(arguments->to, chunk, *std::move(records), pieces);
  }
  attempt->PutAttr(arguments->to, target);
  attempt->log = fmt::format("COPYFILERANGE({},{},{},{},{}):{}", arguments->from.value(), arguments->from_offset, arguments->to.value(),
                             arguments->to_offset, arguments->copied_bytes, target.length);
  std::map<SliceName, int64_t> references = arguments->references;
  sim::Task<Status> count = attempt->AddReferences(std::move(references));
  co_return co_await std::move(count);
}

sim::Task<Status> Writer::PiecesToCopy(Attempt* attempt, CopyArguments* arguments) {
  arguments->added.clear();
  arguments->references.clear();
  const uint64_t begin = arguments->from_offset;
  const uint64_t end = begin + arguments->copied_bytes;
  const auto first_chunk = static_cast<uint32_t>(begin / kChunkBytes);
  Result<std::map<uint32_t, std::vector<SliceRecord>>> chunks =
      co_await attempt->ScanChunks(arguments->from, first_chunk, static_cast<uint32_t>(end / kChunkBytes));
  if (!chunks.ok()) {
    co_return chunks.error();
  }
  const auto add = [arguments](uint64_t place, const SliceRecord& piece) {
    SliceRecord record = piece;
    record.position = static_cast<uint32_t>(place % kChunkBytes);
    arguments->added[static_cast<uint32_t>(place / kChunkBytes)].push_back(record);
    if (record.id != 0) {
      arguments->references[{record.id, record.size}] += 1;
    }
  };
  for (uint64_t chunk = first_chunk; chunk * kChunkBytes < end; ++chunk) {
    // Under everything lie zeros, which become the holes.
    std::vector<SliceRecord> records(1);
    records[0].length = static_cast<uint32_t>(kChunkBytes);
    const std::vector<SliceRecord>& present = (*chunks)[static_cast<uint32_t>(chunk)];
    records.insert(records.end(), present.begin(), present.end());
    for (SliceRecord piece : OverlayRecords(records)) {
      const uint64_t place = chunk * kChunkBytes + piece.position;
      const uint64_t first = std::max(place, begin);
      const uint64_t last = std::min(place + piece.length, end);
      if (first >= last) {
        continue;
      }
      piece.offset += static_cast<uint32_t>(first - place);
      piece.length = static_cast<uint32_t>(last - first);
      const uint64_t target = first - begin + arguments->to_offset;
      const auto fits = static_cast<uint32_t>(std::min<uint64_t>(piece.length, kChunkBytes - target % kChunkBytes));
      SliceRecord rest = piece;
      piece.length = fits;
      add(target, piece);
      if (rest.length > fits) {
        rest.offset += fits;
        rest.length -= fits;
        add(target + fits, rest);
      }
    }
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
