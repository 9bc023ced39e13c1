// KeepingObjectStore: an object store that forgets nothing: what was overwritten or deleted can still be seen as of its time.
//
// A drill needs that: the cleaners of a restored volume delete blocks that the source still needs, and the other way round, and a
// mount of the source as it was reads blocks that are long gone. Every version of an object has the millisecond at which it became
// current and, later, the one at which it ended; a clock that falls back is taken to stand still.
//
// Each version is one object of an inner store, `NAME@MS-NUMBER`, a deletion an empty one, `NAME@MS-NUMBER-deleted`: nothing is ever
// moved, a killed process loses nothing, and Open finds everything again. Names are S3's keys: any bytes but none at all; parts
// that no file may have are escaped with '%'.
// Bounded: of versions that have ended at most `history_bytes_max` stay, the oldest go first, and what was before `complete_since_ms`
// cannot be seen any more (kNotFound, never another state). Not modelled: headers of objects outlive the process; S3's own versioning.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fakes/objects/object_store.h"

namespace kvjury::objects {

class KeepingObjectStore final : public ObjectStore {
 public:
  using Clock = std::function<int64_t()>;
  using Headers = std::map<std::string, std::string>;
  static constexpr int64_t kNow = std::numeric_limits<int64_t>::max();

  struct Version {
    /// Grows from version to version of the whole store.
    uint64_t number = 0;
    int64_t since_ms = 0;
    /// kNow while it is current.
    int64_t until_ms = kNow;
    uint64_t bytes = 0;
    /// Whatever the writer wants to find with it; in memory alone.
    Headers headers;
  };

  /// Finds what `inner` holds from before. Errors: kDataLoss for an object that is no version; those of `inner`.
  static Result<std::unique_ptr<KeepingObjectStore>> Open(std::unique_ptr<ObjectStore> inner, Clock clock, uint64_t history_bytes_max);

  /// As ObjectStore says, of the current objects; names may be any S3 key.
  Status Put(const std::string& name, std::string_view bytes) override { return PutWith(name, bytes, {}); }
  Result<Bytes> Get(const std::string& name) override;
  Result<ObjectInfo> Head(const std::string& name) override;
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override;
  Status Delete(const std::string& name) override;
  [[nodiscard]] std::string description() const override { return inner_->description(); }
  [[nodiscard]] bool is_slow() const override { return inner_->is_slow(); }

  Status PutWith(const std::string& name, std::string_view bytes, Headers headers);

  /// The version that was current at a time; null if there was no such object. Valid until the next change.
  [[nodiscard]] Version* At(const std::string& name, int64_t at_ms);
  /// The first object at a time whose name is `from` or behind it; the name and its version, or null at the end.
  [[nodiscard]] std::pair<std::string, Version*> NextAt(const std::string& from, int64_t at_ms);
  /// Errors: those of the inner store.
  Result<Bytes> Read(const std::string& name, const Version& version);
  /// The state at a time can be seen from then on.
  [[nodiscard]] int64_t complete_since_ms() const { return complete_since_ms_; }
  /// Of the current objects, and of the ended versions that are kept.
  [[nodiscard]] uint64_t current_bytes() const { return current_bytes_; }
  [[nodiscard]] uint64_t history_bytes() const { return history_bytes_; }
  /// The current object under `prefix` that was written last; empty without any.
  [[nodiscard]] std::string Newest(const std::string& prefix) const;

  /// A read-only store of the state at a time; this one must outlive it. Errors: kNotFound if it cannot be seen any more.
  Result<std::unique_ptr<ObjectStore>> AsOf(int64_t at_ms);

 private:
  KeepingObjectStore(std::unique_ptr<ObjectStore> inner, Clock clock, uint64_t history_bytes_max)
      : inner_(std::move(inner)), clock_(std::move(clock)), history_bytes_max_(history_bytes_max) {}
  Status Load();
  /// A millisecond that is not before any other.
  int64_t Tick();
  void End(const std::string& name, int64_t until_ms);
  Status ForgetOldest();
  Status RememberHorizon(int64_t ms);

  std::unique_ptr<ObjectStore> inner_;
  Clock clock_;
  uint64_t history_bytes_max_;
  // By name; ascending numbers.
  std::map<std::string, std::vector<Version>> objects_;
  // Ended versions in the order of their ends: name and number.
  std::deque<std::pair<std::string, uint64_t>> ended_;
  // The mark of a deletion in the inner store, by name and the number of the version that it ended.
  std::map<std::pair<std::string, uint64_t>, std::string> marks_;
  std::string horizon_object_;
  int64_t complete_since_ms_ = 0;
  int64_t last_ms_ = 0;
  uint64_t last_number_ = 0;
  uint64_t current_bytes_ = 0;
  uint64_t history_bytes_ = 0;
};

}  // namespace kvjury::objects
