#include "fakes/base/random.h"

#include "fakes/base/check.h"
#include "fakes/base/digest.h"

namespace kvjury {

RandomStream::RandomStream(uint64_t seed, std::string_view name) : state_(Mix64(seed, Hash64(name))) {}

RandomStream RandomStream::Fork(std::string_view name) const { return RandomStream(Mix64(state_, Hash64(name))); }

uint64_t RandomStream::Next() {
  state_ += 0x9E3779B97F4A7C15;
  uint64_t x = state_;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

uint64_t RandomStream::Below(uint64_t bound) {
  CHECK_GT(bound, 0u);
  // Multiply-shift keeps the bias below bound / 2^64, far under anything a run can show.
  return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
}

int64_t RandomStream::Between(int64_t low, int64_t high) {
  CHECK_LE(low, high);
  return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
}

}  // namespace kvjury
