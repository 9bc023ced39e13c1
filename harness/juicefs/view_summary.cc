#include "harness/juicefs/view_summary.h"

#include <sys/stat.h>

#include <algorithm>
#include <set>

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

}  // namespace kvjury::juicefs
