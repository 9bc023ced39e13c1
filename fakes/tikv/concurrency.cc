#include "fakes/tikv/concurrency.h"

#include "fakes/base/check.h"

namespace kvjury::tikv {

void ConcurrencyManager::UpdateMaxTs(Timestamp ts) {
  if (!ts.is_max() && ts > max_ts_) {
    max_ts_ = ts;
  }
}

void ConcurrencyManager::Place(const MemoryLock& lock) {
  const bool is_new = locks_.emplace(lock.key, lock).second;
  CHECK(is_new) << "two commands hold the latch of one key: " << ToHex(lock.key);
}

void ConcurrencyManager::Release(const std::vector<MemoryLock>& locks) {
  for (const MemoryLock& lock : locks) {
    const auto found = locks_.find(lock.key);
    if (found != locks_.end() && found->second.lock.start_ts == lock.lock.start_ts) {
      locks_.erase(found);
    }
  }
}

const MemoryLock* ConcurrencyManager::Find(std::string_view key) const {
  const auto found = locks_.find(key);
  return found == locks_.end() ? nullptr : &found->second;
}

std::vector<const MemoryLock*> ConcurrencyManager::FindInRange(std::string_view lower, std::string_view upper) const {
  std::vector<const MemoryLock*> found;
  for (auto lock = locks_.lower_bound(lower); lock != locks_.end() && (upper.empty() || lock->first < upper); ++lock) {
    found.push_back(&lock->second);
  }
  return found;
}

}  // namespace kvjury::tikv
