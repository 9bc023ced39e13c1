// Contents of files: reads and writes, lengths, holes, copies, and the handles that keep a removed file.
#include <algorithm>
#include <cerrno>

#include "harness/juicefs/constants.h"
#include "harness/judge/posix_model.h"

namespace kvjury::judge {

namespace {

constexpr uint64_t kFileBytesMax = juicefs::kChunkBytes << 31;
constexpr uint32_t kAccessMask = 3;  // of open(2): 0 read, 1 write, 2 both
constexpr uint32_t kTruncate = 512;
constexpr uint32_t kAppend = 1024;
constexpr uint32_t kKeepSize = 1;
constexpr uint32_t kPunchHole = 2;
constexpr uint32_t kZeroRange = 16;

PosixResult Refused(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

bool MayWrite(uint32_t flags) { return (flags & kAccessMask) != 0; }

/// What an open file of ours stands for, or why there is none to carry an operation out on.
int OpenRefused(const PosixNode& node, uint32_t flags, bool in_trash) {
  if (node.IsDirectory()) {
    return EISDIR;
  }
  if (!node.IsFile()) {
    return EINVAL;
  }
  if (node.gone) {
    return ENOENT;
  }
  if (((node.flags & juicefs::kFlagImmutable) != 0 || in_trash) && MayWrite(flags)) {
    return EPERM;
  }
  const bool append_only = (node.flags & juicefs::kFlagAppend) != 0;
  return append_only && ((MayWrite(flags) && (flags & kAppend) == 0) || (flags & kTruncate) != 0) ? EPERM : 0;
}

}  // namespace

std::pair<int, NodeId> PosixModel::FileOf(const Call& call, uint32_t handle, const PosixPlace& place, uint32_t mask) const {
  if (handle != 0) {
    const auto open = handles_.find({call.session, handle});
    return open == handles_.end() ? std::make_pair(EBADF, kNoNode) : std::make_pair(0, open->second.node);
  }
  if (place.error != 0 || place.node == kNoNode) {
    return {place.error != 0 ? place.error : ENOENT, kNoNode};
  }
  const PosixNode& node = tree_.at(place.node);
  // By where it was looked up: what goes to the trash after it was opened is still written.
  const bool in_trash = node.parent != kNoNode && tree_.IsTrash(place.parent);
  const bool right_kind = node.IsFile() && !node.gone;
  const int denied = right_kind && mask != 0 && !MayAccess(place.node, call.operation, mask) ? EACCES : 0;
  const int refused = denied != 0 ? denied : OpenRefused(node, (mask & 2) != 0 ? 1 : 0, in_trash);
  return {refused, place.node};
}

void PosixModel::Changed(NodeId id, bool content, TimeSpan now) {
  PosixNode& node = tree_.Mutable(id);
  node.ctime = now;
  node.mtime = content ? now : node.mtime;
}

bool PosixModel::IsOpen(NodeId node) const {
  return std::any_of(handles_.begin(), handles_.end(), [node](const auto& handle) { return handle.second.node == node; });
}

void PosixModel::TouchOpened(NodeId id, uint32_t handle, TimeSpan now, bool written) {
  if (handle == 0) {
    Touch(id, {now.low_ns, written ? std::max(now.low_ns, now.high_ns - 1) : now.high_ns}, true);
  }
}

PosixResult PosixModel::Write(const Call& call) {
  const record::Write& write = call.operation.write();
  const auto [error, id] = FileOf(call, write.handle(), call.first, 2);
  if (error != 0) {
    return Refused(error);
  }
  TouchOpened(id, write.handle(), call.now, true);
  uint64_t offset = write.offset();
  if (write.handle() != 0) {
    const uint32_t flags = handles_.at({call.session, write.handle()}).flags;
    if (!MayWrite(flags)) {
      return Refused(EBADF);
    }
    offset = (flags & kAppend) != 0 ? tree_.at(id).content.length() : offset;
  }
  if (write.length() == 0) {
    return {};
  }
  if (offset >= kFileBytesMax || write.length() >= kFileBytesMax - offset) {
    return Refused(EFBIG);
  }
  const PosixNode& node = tree_.at(id);
  const uint64_t length = std::max(node.content.length(), offset + write.length());
  const int64_t more = static_cast<int64_t>(juicefs::SpaceOf(length)) - static_cast<int64_t>(node.Space());
  const int over = CheckLimits(node.parent, more, 0, node.uid, node.gid);
  if (over != 0) {
    return Refused(over);
  }
  tree_.Mutable(id).content.Write(offset, std::make_shared<const Bytes>(BytesOfWrite(call.session, call.operation)));
  if (write.handle() != 0) {
    // A mount keeps it for a while before it writes it down; with its times, at the latest when the file is closed.
    PosixNode& written = tree_.Mutable(id);
    written.mtime = {std::min(written.mtime.low_ns, call.now.low_ns), INT64_MAX};
    written.ctime = {std::min(written.ctime.low_ns, call.now.low_ns), INT64_MAX};
  } else {
    Changed(id, true, call.now);
  }
  return {};
}

PosixResult PosixModel::SetLength(NodeId id, uint64_t length, TimeSpan now) {
  PosixNode& node = tree_.Mutable(id);
  if (length >= kFileBytesMax) {
    return Refused(EFBIG);
  }
  if (length == node.content.length()) {
    return {};
  }
  const int64_t more = static_cast<int64_t>(juicefs::SpaceOf(length)) - static_cast<int64_t>(node.Space());
  const int over = CheckLimits(node.parent, more, 0, node.uid, node.gid);
  if (over != 0) {
    return Refused(over);
  }
  node.content.Truncate(length);
  Changed(id, true, now);
  return {};
}

PosixResult PosixModel::Truncate(const Call& call) {
  const record::Truncate& truncate = call.operation.truncate();
  const auto [error, id] = FileOf(call, truncate.handle(), call.first, 0);
  if (error != 0) {
    return Refused(error);
  }
  const PosixNode& node = tree_.at(id);
  const bool in_trash = node.parent != kNoNode && tree_.IsTrash(node.parent);
  if (truncate.handle() == 0 && !MayAccess(id, call.operation, 2)) {
    return Refused(EACCES);
  }
  if (truncate.handle() != 0 && !MayWrite(handles_.at({call.session, truncate.handle()}).flags)) {
    return Refused(EINVAL);
  }
  if ((node.flags & (juicefs::kFlagImmutable | juicefs::kFlagAppend)) != 0 || (in_trash && truncate.handle() == 0)) {
    return Refused(EPERM);
  }
  return SetLength(id, truncate.length(), call.now);
}

PosixResult PosixModel::Read(const Call& call) {
  const record::Read& read = call.operation.read();
  const auto [error, id] = FileOf(call, read.handle(), call.first, 4);
  if (error != 0) {
    return Refused(error);
  }
  if (read.handle() != 0 && (handles_.at({call.session, read.handle()}).flags & kAccessMask) == 1) {
    return Refused(EBADF);
  }
  TouchOpened(id, read.handle(), call.now, false);
  if (read.handle() != 0) {
    Touch(id, call.now, false);  // what is in the kernel's memory is not asked for again
  }
  PosixResult result;
  result.bytes = tree_.at(id).content.Read(read.offset(), read.length());
  return result;
}

PosixResult PosixModel::Open(const Call& call) {
  const record::Open& open = call.operation.open();
  const PosixPlace& place = call.first;
  if (handles_.count({call.session, open.handle()}) > 0 || open.handle() == 0) {
    return Refused(EINVAL);  // a rule of the harness: handles are numbers of the case
  }
  if (place.error != 0 || place.node == kNoNode) {
    return Refused(place.error != 0 ? place.error : ENOENT);
  }
  const PosixNode& node = tree_.at(place.node);
  const uint32_t access = open.flags() & kAccessMask;
  const uint32_t mask = access == 0 ? 4 : access == 1 ? 2 : 6;
  const bool in_trash = node.parent != kNoNode && tree_.IsTrash(node.parent);
  if (node.IsFile() && !MayAccess(place.node, call.operation, mask)) {
    return Refused(EACCES);
  }
  const int refused = OpenRefused(node, open.flags(), in_trash);
  if (refused != 0) {
    return Refused(refused);
  }
  const bool truncates = (open.flags() & kTruncate) != 0;
  TouchOpened(place.node, 0, call.now, truncates);
  if (truncates) {
    SetLength(place.node, 0, call.now);
  }
  handles_[{call.session, open.handle()}] = Handle{place.node, open.flags()};
  return {};
}

PosixResult PosixModel::Close(const Call& call) {
  const auto open = handles_.find({call.session, call.operation.close().handle()});
  if (open == handles_.end()) {
    return Refused(EBADF);
  }
  const NodeId id = open->second.node;
  handles_.erase(open);
  for (TimeSpan* time : {&tree_.Mutable(id).mtime, &tree_.Mutable(id).ctime}) {
    time->high_ns = time->high_ns == INT64_MAX ? call.now.high_ns : time->high_ns;
  }
  if (tree_.at(id).orphan && tree_.at(id).nlink == 0 && !IsOpen(id)) {
    tree_.Mutable(id).gone = true;
  }
  return {};
}

PosixResult PosixModel::Fallocate(const Call& call) {
  const record::Fallocate& change = call.operation.fallocate();
  const auto [error, id] = FileOf(call, change.handle(), call.first, 2);
  if (error != 0) {
    return Refused(error);
  }
  TouchOpened(id, change.handle(), call.now, true);
  const uint64_t end = change.offset() + change.length();
  if (change.length() == 0) {
    return Refused(EINVAL);
  }
  const uint32_t kind = change.mode() & ~kKeepSize;
  const bool keeps_size = (change.mode() & kKeepSize) != 0;
  // Modes that no file system knows come first, those that FUSE does not know after a look at the open file.
  if ((kind & kPunchHole) != 0 && (kind != kPunchHole || !keeps_size)) {
    return Refused(ENOTSUP);
  }
  if (change.handle() != 0 && !MayWrite(handles_.at({call.session, change.handle()}).flags)) {
    return Refused(EBADF);
  }
  if (kind != 0 && kind != kPunchHole && kind != kZeroRange) {
    return Refused(ENOTSUP);
  }
  if (end >= kFileBytesMax) {
    return Refused(EFBIG);
  }
  PosixNode& node = tree_.Mutable(id);
  if ((node.flags & juicefs::kFlagImmutable) != 0 || ((node.flags & juicefs::kFlagAppend) != 0 && kind != 0)) {
    return Refused(EPERM);  // through a handle that is older than the flag
  }
  const uint64_t old_length = node.content.length();
  const uint64_t length = keeps_size ? old_length : std::max(old_length, end);
  const int64_t more = static_cast<int64_t>(juicefs::SpaceOf(length)) - static_cast<int64_t>(node.Space());
  const int over = CheckLimits(node.parent, more, 0, node.uid, node.gid);
  if (over != 0) {
    return Refused(over);
  }
  if (kind != 0 && change.offset() < old_length) {
    node.content.Clear(change.offset(), std::min(end, old_length) - change.offset());
  }
  node.content.Truncate(length);
  Changed(id, true, call.now);
  return {};
}

PosixResult PosixModel::CopyFileRange(const Call& call) {
  const record::CopyFileRange& copy = call.operation.copy_file_range();
  const auto [from_error, from] = FileOf(call, 0, call.first, 4);
  if (from_error != 0) {
    return Refused(from_error);
  }
  TouchOpened(from, 0, call.now, true);
  const auto [to_error, to] = FileOf(call, 0, call.second, 2);
  if (to_error != 0) {
    return Refused(to_error);
  }
  TouchOpened(to, 0, call.now, true);
  const FileContent source = tree_.at(from).content;
  // The kernel cuts the range at the end of the source before it looks for an overlap.
  const uint64_t length = copy.from_offset() >= source.length() ? 0 : std::min(copy.length(), source.length() - copy.from_offset());
  PosixResult result;
  result.count = length;
  if (from == to && copy.from_offset() < copy.to_offset() + length && copy.to_offset() < copy.from_offset() + length) {
    return Refused(EINVAL);
  }
  if (length == 0) {
    return result;
  }
  if (copy.to_offset() >= kFileBytesMax || length >= kFileBytesMax - copy.to_offset()) {
    return Refused(EFBIG);
  }
  PosixNode& node = tree_.Mutable(to);
  if ((node.flags & (juicefs::kFlagImmutable | juicefs::kFlagAppend)) != 0) {
    return Refused(EPERM);
  }
  const uint64_t new_length = std::max(node.content.length(), copy.to_offset() + length);
  const int64_t more = static_cast<int64_t>(juicefs::SpaceOf(new_length)) - static_cast<int64_t>(node.Space());
  const int over = CheckLimits(node.parent, more, 0, node.uid, node.gid);
  if (over != 0) {
    return Refused(over);
  }
  node.content.Copy(source, copy.from_offset(), copy.to_offset(), length);
  Changed(to, true, call.now);
  return result;
}

}  // namespace kvjury::judge
