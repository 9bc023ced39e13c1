// The trash's hours that are over.
#include <algorithm>
#include <cstdio>

#include "fakes/base/civil_time.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

/// The time of an hour directory; nullopt for a name of another form.
std::optional<int64_t> SecondsOfHour(const Bytes& name) {
  CivilTime at;
  int used = 0;
  if (std::sscanf(name.c_str(), "%4d-%2d-%2d-%2d%n", &at.year, &at.month, &at.day, &at.hour, &used) != 4 ||
      static_cast<size_t>(used) != name.size()) {
    return std::nullopt;
  }
  return ToUnixSeconds(at);
}

}  // namespace

sim::Task<void> Writer::ExpireHours(Context* context, int64_t edge_s) {
  const Bytes first = EncodeKey(DentryKey(kTrashInode, ""));
  sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, first, PrefixEnd(first));
  std::vector<std::pair<Key, Bytes>> found = co_await std::move(find);
  std::vector<std::pair<Inode, Bytes>> hours;
  for (const auto& [key, value] : found) {
    const Result<Dentry> hour = DecodeDentry(value);
    if (hour.ok()) {
      hours.emplace_back(hour->inode, key.name);
    }
  }
  std::sort(hours.begin(), hours.end());
  for (const auto& [inode, name] : hours) {
    const std::optional<int64_t> hour_s = SecondsOfHour(name);
    if (!hour_s.has_value()) {
      continue;
    }
    if (*hour_s >= edge_s || dead_) {
      break;
    }
    const int emptied = co_await EmptyDirectory(context, inode, true);
    if (emptied != 0) {
      break;  // a real client tries this one again and again until its time is over
    }
    RemoveArguments remove;
    remove.parent = kTrashInode;
    remove.name = name;
    co_await Run(context, TransactionKind::kCleanup, &Writer::RmdirBody, &remove);
  }
}

}  // namespace kvjury::juicefs
