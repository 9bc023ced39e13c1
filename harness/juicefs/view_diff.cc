#include "harness/juicefs/view_diff.h"

#include <fmt/format.h>
#include <sys/stat.h>

namespace kvjury::juicefs {

namespace {

constexpr char kAbsent[] = "absent";

std::string Text(uint64_t number) { return std::to_string(number); }
std::string Text(int64_t number) { return std::to_string(number); }
std::string Text(uint32_t number) { return std::to_string(number); }
std::string Text(Inode inode) { return std::to_string(inode.value()); }
std::string Text(const std::string& bytes) { return "\"" + Printable(bytes) + "\""; }
std::string Text(const std::optional<Bytes>& bytes) { return bytes.has_value() ? Text(*bytes) : kAbsent; }

class Differ {
 public:
  Differ(const ViewDiffOptions& options, ViewDiff* diff) : options_(options), diff_(diff) {}

  void OnlyLeft(const Bytes& path, const ViewEntry& entry) {
    ++diff_->entries_compared;
    ++diff_->entries_only_left;
    diff_->differences.push_back({path, entry.inode, "entry", "inode " + Text(entry.inode), kAbsent});
  }

  void OnlyRight(const Bytes& path, const ViewEntry& entry) {
    ++diff_->entries_compared;
    ++diff_->entries_only_right;
    diff_->differences.push_back({path, entry.inode, "entry", kAbsent, "inode " + Text(entry.inode)});
  }

  void Both(const Bytes& path, const ViewEntry& left, const ViewEntry& right) {
    ++diff_->entries_compared;
    path_ = path;
    inode_ = left.inode;
    diff_->files_compared += S_ISREG(left.mode) && S_ISREG(right.mode) ? 1 : 0;
    Field("inode", left.inode, right.inode);
    ++diff_->fields_compared;
    if (left.mode != right.mode) {
      Report("mode", fmt::format("0o{:o}", left.mode), fmt::format("0o{:o}", right.mode));
    }
    Field("uid", left.uid, right.uid);
    Field("gid", left.gid, right.gid);
    Field("nlink", left.nlink, right.nlink);
    Field("size", left.size, right.size);
    Field("rdev", left.rdev, right.rdev);
    if (options_.compare_times && (path != kTrashName || options_.compare_trash_root_times)) {
      Field("atime_ns", left.atime_ns, right.atime_ns);
      Field("mtime_ns", left.mtime_ns, right.mtime_ns);
      Field("ctime_ns", left.ctime_ns, right.ctime_ns);
    }
    Field("target", left.target, right.target);
    if (options_.compare_content) {
      const bool pieces = !left.content.empty() && !right.content.empty();
      const bool bytes = !left.sha256.empty() && !right.sha256.empty();
      diff_->contents_compared += pieces || bytes ? 1 : 0;
      if (left.content.empty() == right.content.empty()) {
        Field("content", left.content, right.content);
      }
      if (bytes) {
        Field("sha256", left.sha256, right.sha256);
      }
    }
    Xattrs(left.xattrs, right.xattrs);
  }

  void BothStatFs(const StatFs& left, const StatFs& right) {
    path_ = ".";
    inode_ = kRootInode;
    Field("statfs.total_bytes", left.total_bytes, right.total_bytes);
    Field("statfs.available_bytes", left.available_bytes, right.available_bytes);
    Field("statfs.used_inodes", left.used_inodes, right.used_inodes);
    Field("statfs.available_inodes", left.available_inodes, right.available_inodes);
  }

 private:
  void Xattrs(const std::map<Bytes, Bytes>& left, const std::map<Bytes, Bytes>& right) {
    for (const auto& [name, value] : left) {
      const auto other = right.find(name);
      Field("xattrs." + Printable(name), std::optional<Bytes>(value),
            other == right.end() ? std::nullopt : std::optional<Bytes>(other->second));
    }
    for (const auto& [name, value] : right) {
      if (left.count(name) == 0) {
        Field("xattrs." + Printable(name), std::optional<Bytes>(), std::optional<Bytes>(value));
      }
    }
  }

  template <class T>
  void Field(const std::string& field, const T& left, const T& right) {
    ++diff_->fields_compared;
    if (left != right) {
      Report(field, Text(left), Text(right));
    }
  }

  void Report(const std::string& field, std::string left, std::string right) {
    diff_->differences.push_back({path_, inode_, field, std::move(left), std::move(right)});
  }

  const ViewDiffOptions& options_;
  ViewDiff* diff_;
  Bytes path_;
  Inode inode_;
};

}  // namespace

std::string ViewDifference::ToString() const {
  return fmt::format("{}: {}: {} against {}", Printable(path), field, left, right);
}

ViewDiff DiffViews(const View& left, const View& right, const ViewDiffOptions& options) {
  ViewDiff diff;
  Differ differ(options, &diff);
  auto a = left.entries.begin();
  auto b = right.entries.begin();
  while (a != left.entries.end() || b != right.entries.end()) {
    if (b == right.entries.end() || (a != left.entries.end() && a->first < b->first)) {
      differ.OnlyLeft(a->first, a->second);
      ++a;
    } else if (a == left.entries.end() || b->first < a->first) {
      differ.OnlyRight(b->first, b->second);
      ++b;
    } else {
      differ.Both(a->first, a->second, b->second);
      ++a;
      ++b;
    }
  }
  if (options.compare_statfs && left.statfs.has_value() && right.statfs.has_value()) {
    differ.BothStatFs(*left.statfs, *right.statfs);
  }
  return diff;
}

}  // namespace kvjury::juicefs
