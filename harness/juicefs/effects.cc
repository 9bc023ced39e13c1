#include "harness/juicefs/effects.h"

#include <fmt/format.h>

namespace kvjury::juicefs {

namespace {

struct Describe {
  std::string operator()(const SetAttrEffect& e) const {
    return fmt::format("SetAttr {} type {} mode {:o} nlink {} length {} parent {}", e.inode.value(), e.attr.type,
                       e.attr.mode, e.attr.nlink, e.attr.length, e.attr.parent.value());
  }
  std::string operator()(const RemoveInodeEffect& e) const { return fmt::format("RemoveInode {}", e.inode.value()); }
  std::string operator()(const AddDentryEffect& e) const {
    return fmt::format("AddDentry {}/{} -> {}", e.directory.value(), Printable(e.name), e.inode.value());
  }
  std::string operator()(const RemoveDentryEffect& e) const {
    return fmt::format("RemoveDentry {}/{} -> {}", e.directory.value(), Printable(e.name), e.inode.value());
  }
  std::string operator()(const SetSymlinkEffect& e) const {
    return fmt::format("SetSymlink {} {}", e.inode.value(), Printable(e.target));
  }
  std::string operator()(const SetXattrEffect& e) const {
    return fmt::format("SetXattr {} {}", e.inode.value(), Printable(e.name));
  }
  std::string operator()(const RemoveXattrEffect& e) const {
    return fmt::format("RemoveXattr {} {}", e.inode.value(), Printable(e.name));
  }
  std::string operator()(const AppendSliceEffect& e) const {
    return fmt::format("AppendSlice {} chunk {} at {}: slice {} + {}, {} bytes", e.inode.value(), e.chunk, e.position,
                       e.slice_id, e.offset, e.length);
  }
  std::string operator()(const ReplaceSlicesEffect& e) const {
    return fmt::format("ReplaceSlices {} chunk {} records {} to {}: slice {} at {}, {} bytes", e.inode.value(), e.chunk, e.first,
                       e.first + e.count - 1, e.slice_id, e.position, e.length);
  }
};

}  // namespace

std::string DescribeEffect(const Effect& effect) { return std::visit(Describe{}, effect); }

const char* TransactionKindName(TransactionKind kind) {
  switch (kind) {
    case TransactionKind::kOperation:
      return "operation";
    case TransactionKind::kTrashDirectory:
      return "trash directory";
    case TransactionKind::kIdBatch:
      return "id batch";
    case TransactionKind::kSession:
      return "session";
    case TransactionKind::kUsageFlush:
      return "usage flush";
    case TransactionKind::kDataDeletion:
      return "data deletion";
    case TransactionKind::kCompaction:
      return "compaction";
  }
  return "unknown";
}

}  // namespace kvjury::juicefs
