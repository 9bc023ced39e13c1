// Distinct types for the numbers of the field. None converts to another or from a bare integer by itself.
//
// Source: metapb (region, store, peer ids share one PD id space, 0 is invalid), pdpb.Timestamp (physical ms << 18 | logical).
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>

namespace kvjury {

template <class Tag>
class StrongId {
 public:
  constexpr StrongId() = default;
  constexpr explicit StrongId(uint64_t value) : value_(value) {}
  [[nodiscard]] constexpr uint64_t value() const { return value_; }
  [[nodiscard]] constexpr bool valid() const { return value_ != 0; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  friend std::ostream& operator<<(std::ostream& out, StrongId id) { return out << id.value_; }

 private:
  uint64_t value_ = 0;
};

using RegionId = StrongId<struct RegionIdTag>;
using StoreId = StrongId<struct StoreIdTag>;
using PeerId = StrongId<struct PeerIdTag>;
using Inode = StrongId<struct InodeTag>;

/// Microseconds; negative only as a difference.
using Micros = int64_t;

/// A timestamp of the oracle: milliseconds since the epoch << 18 | logical counter. Zero is "none"; Max() is the
/// "latest committed" of point reads and never comes from the oracle.
class Timestamp {
 public:
  static constexpr int kLogicalBits = 18;

  constexpr Timestamp() = default;
  constexpr explicit Timestamp(uint64_t value) : value_(value) {}
  static constexpr Timestamp Compose(int64_t physical_ms, int64_t logical) {
    return Timestamp((static_cast<uint64_t>(physical_ms) << kLogicalBits) + static_cast<uint64_t>(logical));
  }
  static constexpr Timestamp Max() { return Timestamp(UINT64_MAX); }

  [[nodiscard]] constexpr uint64_t value() const { return value_; }
  [[nodiscard]] constexpr bool valid() const { return value_ != 0; }
  [[nodiscard]] constexpr bool is_max() const { return value_ == UINT64_MAX; }
  [[nodiscard]] constexpr int64_t physical_ms() const { return static_cast<int64_t>(value_ >> kLogicalBits); }
  [[nodiscard]] constexpr int64_t logical() const {
    return static_cast<int64_t>(value_ & ((uint64_t{1} << kLogicalBits) - 1));
  }
  [[nodiscard]] constexpr Timestamp Next() const { return Timestamp(value_ + 1); }
  [[nodiscard]] constexpr Timestamp Previous() const { return Timestamp(value_ - 1); }
  friend constexpr auto operator<=>(Timestamp, Timestamp) = default;
  friend std::ostream& operator<<(std::ostream& out, Timestamp ts) { return out << ts.value_; }

 private:
  uint64_t value_ = 0;
};

}  // namespace kvjury
