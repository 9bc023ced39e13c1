#include <fmt/format.h>

#include <set>

#include "harness/juicefs/write_dump.h"

namespace kvjury::juicefs {

namespace {

/// Walks one or two trees depth first, names in byte order.
class TreeWalk {
 public:
  TreeWalk(const KeyValues& records, DumpForm form, JsonDumpText* text, DumpReport* report, sim::PlantedBugs* bugs)
      : records_(records), form_(form), text_(text), report_(report), bugs_(bugs) {}

  Status Write(const char* name, Inode root, uint8_t type) {
    ASSIGN_OR_RETURN(const DumpEntry entry, DumpEntryOf(records_, root, type, form_, report_, bugs_));
    RETURN_IF_ERROR(Enter(name, entry));
    while (!open_.empty()) {
      RETURN_IF_ERROR(Step());
    }
    return Status::Ok();
  }

 private:
  struct Directory {
    Inode inode;
    Bytes prefix;
    KeyValues::const_iterator next;
  };

  Status Enter(std::string_view name, const DumpEntry& entry) {
    if (!inside_.insert(entry.inode).second) {
      return Status::DataLoss("the directory " + InodeText(entry.inode) + " is inside itself");
    }
    RETURN_IF_ERROR(text_->BeginDirectory(name, entry));
    Bytes prefix = InodeKeyPrefix(entry.inode, KeyKind::kDentry);
    const auto first = records_.lower_bound(prefix);
    open_.push_back({entry.inode, std::move(prefix), first});
    return Status::Ok();
  }

  /// The next name of the innermost directory, or its end.
  Status Step() {
    Directory& directory = open_.back();
    const Bytes& prefix = directory.prefix;
    if (directory.next == records_.end() || directory.next->first.compare(0, prefix.size(), prefix) != 0) {
      inside_.erase(directory.inode);
      open_.pop_back();
      return text_->EndDirectory();
    }
    const auto& [key, value] = *directory.next++;
    const Result<Dentry> dentry = DecodeDentry(value);
    if (!dentry.ok()) {
      return dentry.error().WithContext(DescribeKey(key));
    }
    ++report_->entry_count;
    const std::string_view name = std::string_view(key).substr(prefix.size());
    ASSIGN_OR_RETURN(DumpEntry entry, DumpEntryOf(records_, dentry->inode, dentry->type, form_, report_, bugs_));
    if (entry.attr.type == kTypeDirectory) {
      return Enter(name, entry);
    }
    if (form_ == DumpForm::kFast && !entry.xattrs.empty() && !entry.attr.parent.valid()) {
      entry.xattr_escapes = ++times_written_[dentry->inode];
    }
    return text_->Leaf(name, entry);
  }

  const KeyValues& records_;
  DumpForm form_;
  JsonDumpText* text_;
  DumpReport* report_;
  sim::PlantedBugs* bugs_;
  std::vector<Directory> open_;
  std::set<Inode> inside_;
  std::map<Inode, uint32_t> times_written_;  // of files with several links and xattrs
};

bool HasRecord(const KeyValues& records, Inode inode) {
  Bytes prefix = EncodeKey(AttrKey(inode));
  prefix.pop_back();
  const auto first = records.lower_bound(prefix);
  return first != records.end() && first->first.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

Result<DumpReport> WriteDumpJson(const KeyValues& records, const DumpOptions& options, ByteSink* to) {
  DumpReport report;
  const bool whole = options.root == kRootInode;
  const DumpForm form = whole ? options.form : DumpForm::kWalk;
  ASSIGN_OR_RETURN(const DumpHead head, DumpHeadOf(records, options));
  if (form == DumpForm::kFast && !HasRecord(records, kRootInode)) {
    return Status::NotFound("the root has no record");
  }
  JsonDumpText text(to, options.bugs);
  RETURN_IF_ERROR(text.Head(head));
  TreeWalk walk(records, form, &text, &report, options.bugs);
  // A fast dump knows types from the records that name an inode, and none names the roots.
  const bool fast = form == DumpForm::kFast;
  RETURN_IF_ERROR(walk.Write("FSTree", options.root, fast ? 0 : kTypeDirectory));
  if (whole && !options.skip_trash) {
    RETURN_IF_ERROR(walk.Write("Trash", kTrashInode, fast && HasRecord(records, kTrashInode) ? 0 : kTypeDirectory));
  }
  RETURN_IF_ERROR(text.End());
  return report;
}

}  // namespace kvjury::juicefs
