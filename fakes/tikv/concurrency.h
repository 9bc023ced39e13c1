// ConcurrencyManager: what one store remembers in memory for async commit and 1PC: max_ts and the memory
// locks.
//
// A read raises max_ts to its timestamp *before* it looks at locks; a prewrite places its memory lock and
// then takes its min_commit_ts from max_ts; so either the read sees the lock or the commit comes after the
// read. Both halves run without suspension. It belongs to a store and dies with it. Keys are memcomparable
// keys. Source: TiKV 8.5, concurrency_manager.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "fakes/base/mvcc_records.h"

namespace kvjury::tikv {

/// A lock that is visible to readers before its write is applied.
struct MemoryLock {
  Bytes key;  // memcomparable
  LockRecord lock;
  /// A one-phase commit writes no lock record; its memory lock blocks point reads at the greatest timestamp,
  /// too.
  bool is_one_phase = false;
};

class ConcurrencyManager {
 public:
  [[nodiscard]] Timestamp max_ts() const { return max_ts_; }
  /// Monotone; Timestamp::Max() is ignored, since it stands for "the latest" and is no point in time.
  void UpdateMaxTs(Timestamp ts);

  /// The key must have no memory lock (latches see to that).
  void Place(const MemoryLock& lock);
  /// After the write was applied or has failed. Locks that are gone already (a store that restarted) are
  /// ignored.
  void Release(const std::vector<MemoryLock>& locks);
  [[nodiscard]] size_t lock_count() const { return locks_.size(); }

  /// Null when the key has none.
  [[nodiscard]] const MemoryLock* Find(std::string_view key) const;
  /// Ascending over [lower, upper), an empty `upper` being no bound. Pointers stay valid until the lock is
  /// released.
  [[nodiscard]] std::vector<const MemoryLock*> FindInRange(std::string_view lower, std::string_view upper) const;

 private:
  Timestamp max_ts_;
  std::map<Bytes, MemoryLock, std::less<>> locks_;
};

}  // namespace kvjury::tikv
