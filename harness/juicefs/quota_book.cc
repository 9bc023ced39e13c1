#include "harness/juicefs/quota_book.h"

#include "fakes/base/check.h"

namespace kvjury::juicefs {

Key QuotaKey(QuotaKind kind, uint64_t id) {
  switch (kind) {
    case QuotaKind::kDirectory:
      return DirQuotaKey(Inode(id));
    case QuotaKind::kUser:
      return UserQuotaKey(id);
    case QuotaKind::kGroup:
      return GroupQuotaKey(id);
  }
  CHECK(false) << "no such kind of quota";
}

bool QuotaBook::Entry::ExceededBy(int64_t space, int64_t inodes) const {
  return (space > 0 && stored.max_space > 0 && stored.used_space + new_space + space > stored.max_space) ||
         (inodes > 0 && stored.max_inodes > 0 && stored.used_inodes + new_inodes + inodes > stored.max_inodes);
}

const QuotaBook::Entry* QuotaBook::Find(QuotaKind kind, uint64_t id) const {
  const auto found = Of(kind).find(id);
  return found == Of(kind).end() ? nullptr : &found->second;
}

void QuotaBook::Reload(QuotaKind kind, const std::map<uint64_t, Quota>& stored) {
  Entries& entries = Of(kind);
  for (const auto& [id, quota] : stored) {
    entries[id].stored = quota;
  }
  if (kind == QuotaKind::kDirectory) {
    std::erase_if(entries, [&stored](const auto& entry) { return stored.count(entry.first) == 0; });
  }
}

void QuotaBook::Add(QuotaKind kind, uint64_t id, int64_t space, int64_t inodes) {
  const auto [at, unknown] = Of(kind).try_emplace(id);
  if (unknown) {
    at->second.stored.max_space = -1;
    at->second.stored.max_inodes = -1;
  }
  at->second.new_space += space;
  at->second.new_inodes += inodes;
}

void QuotaBook::AddToDirectory(Inode directory, int64_t space, int64_t inodes) {
  if (Find(QuotaKind::kDirectory, directory.value()) != nullptr) {
    Add(QuotaKind::kDirectory, directory.value(), space, inodes);
  }
}

void QuotaBook::AddToOwner(uint32_t uid, uint32_t gid, int64_t space, int64_t inodes) {
  Add(QuotaKind::kUser, uid, space, inodes);
  Add(QuotaKind::kGroup, gid, space, inodes);
}

std::vector<PendingQuota> QuotaBook::Pending() const {
  std::vector<PendingQuota> pending;
  for (const QuotaKind kind : kQuotaKinds) {
    for (const auto& [id, entry] : Of(kind)) {
      if (entry.new_space != 0 || entry.new_inodes != 0) {
        pending.push_back({kind, id, entry.new_space, entry.new_inodes});
      }
    }
  }
  return pending;
}

void QuotaBook::Flushed(const std::vector<PendingQuota>& written) {
  for (const PendingQuota& one : written) {
    const auto found = Of(one.kind).find(one.id);
    if (found == Of(one.kind).end()) {
      continue;  // the directory's quota was deleted meanwhile
    }
    Entry& entry = found->second;
    entry.new_space -= one.space;
    entry.new_inodes -= one.inodes;
    entry.stored.used_space += one.space;
    entry.stored.used_inodes += one.inodes;
  }
}

}  // namespace kvjury::juicefs
