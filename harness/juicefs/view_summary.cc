#include "harness/juicefs/view_summary.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "harness/juicefs/constants.h"

namespace kvjury::juicefs {

namespace {

bool IsInTrash(const Bytes& path) { return path.starts_with(std::string(kTrashName) + "/"); }

}  // namespace

ViewSummary Summarize(const View& view) {
  ViewSummary summary;
  summary.damaged = view.problems.size();
  std::set<Inode> counted;
  for (const auto& [path, entry] : view.entries) {
    if (path == kTrashName) {
      continue;
    }
    summary.latest_ctime_ns = std::max(summary.latest_ctime_ns, entry.ctime_ns);
    if (IsInTrash(path)) {
      ++summary.in_trash;
      continue;
    }
    const bool first_link = S_ISREG(entry.mode) && counted.insert(entry.inode).second;
    summary.files += first_link ? 1 : 0;
    summary.bytes += first_link ? entry.size : 0;
    summary.directories += S_ISDIR(entry.mode) ? 1 : 0;
    summary.symlinks += S_ISLNK(entry.mode) ? 1 : 0;
    summary.others += S_ISREG(entry.mode) || S_ISDIR(entry.mode) || S_ISLNK(entry.mode) ? 0 : 1;
  }
  // A file that has a link outside, too, is not in the trash.
  for (const auto& [path, entry] : view.entries) {
    if (IsInTrash(path) && S_ISREG(entry.mode) && counted.insert(entry.inode).second) {
      summary.bytes_in_trash += entry.size;
    }
  }
  return summary;
}

Result<TreeSummary> SummarizeTree(const View& view, const Bytes& path) {
  if (view.entries.count(path) == 0) {
    return Status::NotFound("the volume shows no \"" + Printable(path) + "\"");
  }
  TreeSummary tree;
  const Bytes below = path + "/";
  for (const auto& [at, entry] : view.entries) {
    const bool inside = path == "." ? at != kTrashName && !IsInTrash(at) : at == path || at.starts_with(below);
    if (!inside) {
      continue;
    }
    ++(S_ISDIR(entry.mode) ? tree.directories : tree.files);
    tree.length += S_ISREG(entry.mode) ? entry.size : 0;
    tree.size += SpaceOf(S_ISDIR(entry.mode) ? 0 : entry.size);
  }
  return tree;
}

}  // namespace kvjury::juicefs
