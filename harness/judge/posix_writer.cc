#include "harness/judge/posix_writer.h"

#include <algorithm>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/view.h"

namespace kvjury::judge {

namespace {

TimeSpan SpanOf(int64_t seconds, uint32_t nanoseconds) {
  const int64_t ns = seconds * 1'000'000'000 + nanoseconds;
  return {ns, ns};
}

PosixAttr AttrOf(const juicefs::Attr& seen) {
  PosixAttr attr;
  attr.mode = juicefs::ModeTypeBits(seen.type) | seen.mode;
  attr.uid = seen.uid;
  attr.gid = seen.gid;
  attr.nlink = seen.nlink;
  const bool has_size = seen.type == juicefs::kTypeFile || seen.type == juicefs::kTypeDirectory || seen.type == juicefs::kTypeSymlink;
  attr.size = has_size ? seen.length : 0;
  attr.rdev = seen.type == juicefs::kTypeBlockDevice || seen.type == juicefs::kTypeCharDevice ? seen.rdev : 0;
  attr.atime = SpanOf(seen.atime_s, seen.atime_ns);
  attr.mtime = SpanOf(seen.mtime_s, seen.mtime_ns);
  attr.ctime = SpanOf(seen.ctime_s, seen.ctime_ns);
  return attr;
}

}  // namespace

PosixResult ResultOfWriter(const record::Operation& operation, const juicefs::OperationResult& seen) {
  PosixResult result;
  result.error = seen.error;
  if (seen.error != 0) {
    return result;
  }
  if (operation.has_lookup() && seen.attr.has_value()) {
    result.attr = AttrOf(*seen.attr);
  } else if (operation.has_get_xattr() || operation.has_get_acl() || operation.has_readlink()) {
    result.bytes = seen.value;
  } else if (operation.has_get_lock()) {
    result.lock = seen.lock.has_value() ? PosixLock{seen.lock->type, seen.lock->start, seen.lock->end} : PosixLock();
  } else if (operation.has_readdir() || operation.has_list_xattr()) {
    result.names = seen.names;
    std::sort(result.names->begin(), result.names->end());
  } else if (operation.has_read()) {
    result.bytes = seen.data;
  } else if (operation.has_copy_file_range()) {
    result.count = seen.copied_bytes;
  } else if (operation.has_stat_fs() && seen.statfs.has_value()) {
    const juicefs::StatFs& numbers = *seen.statfs;
    result.statfs = PosixStatFs{numbers.total_bytes / kStatFsBlockBytes, numbers.available_bytes / kStatFsBlockBytes, numbers.used_inodes,
                                numbers.available_inodes};
  }
  return result;
}

Inode InodeMadeBy(const juicefs::OperationResult& seen) {
  for (const juicefs::DeclaredTransaction& transaction : seen.transactions) {
    if (transaction.kind != juicefs::TransactionKind::kOperation) {
      continue;
    }
    for (const juicefs::Effect& effect : transaction.effects) {
      if (const auto* added = std::get_if<juicefs::AddDentryEffect>(&effect)) {
        return added->inode;
      }
    }
  }
  return Inode();
}

}  // namespace kvjury::judge
