// Digests: CRC-64/XZ and SHA-256 as br writes them, and the rolling digests of runs.
//
// CRC-64/XZ: reflected ECMA-182, init and final XOR all ones (as br 8.5 does). Runs: XXH3, 64 bit, over our own encoding of
// decisions; never over protobuf bytes, pointers or anything a library chooses.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace kvjury {

/// CRC-64/XZ of `first` followed by `second`.
uint64_t Crc64Xz(std::string_view first, std::string_view second = {});

/// The 32 raw bytes.
std::string Sha256(std::string_view bytes);

/// The same in pieces, for what is larger than memory should hold.
class Sha256Stream {
 public:
  Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;
  ~Sha256Stream();
  void Add(std::string_view bytes);
  /// The 32 raw bytes. Once, at the end.
  std::string Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// XXH3, 64 bit, of the bytes with a seed.
uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);

/// Mixes two numbers into one; order matters.
uint64_t Mix64(uint64_t a, uint64_t b);

/// A digest that grows with each decision of one component. Two runs are the same iff all digests are equal.
class RollingDigest {
 public:
  void Add(uint64_t value) {
    state_ = Mix64(state_, value);
    ++count_;
  }
  void Add(std::string_view bytes) { Add(Hash64(bytes, bytes.size())); }
  [[nodiscard]] uint64_t value() const { return state_; }
  [[nodiscard]] uint64_t count() const { return count_; }
  /// Sixteen lower-case hex digits.
  [[nodiscard]] std::string ToString() const;

 private:
  uint64_t state_ = 0x6b766a7572790000;
  uint64_t count_ = 0;
};

}  // namespace kvjury
