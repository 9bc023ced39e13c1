// RandomStream: a named stream of numbers that is the same on every machine and compiler.
//
// Each component derives its own stream by name, so that one more draw here shifts nothing there. One draw per statement:
// C++ leaves the order of two draws in one argument list open. Generator: splitmix64 over a counter. Odds are integers in
// parts per million; there is no floating point.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace kvjury {

class RandomStream {
 public:
  explicit RandomStream(uint64_t seed) : state_(seed) {}
  RandomStream(uint64_t seed, std::string_view name);

  /// A stream of its own for `name`; does not advance this one.
  [[nodiscard]] RandomStream Fork(std::string_view name) const;

  /// 64 random bits.
  uint64_t Next();
  /// Uniform in [0, bound). `bound` must be positive.
  uint64_t Below(uint64_t bound);
  /// Uniform in [low, high], both included.
  int64_t Between(int64_t low, int64_t high);
  /// True with `ppm` parts in a million.
  bool Chance(uint64_t ppm) { return Below(1'000'000) < ppm; }

  /// One element; the list must not be empty.
  template <class T>
  const T& Pick(const std::vector<T>& items) {
    return items[Below(items.size())];
  }

  /// Fisher-Yates with this stream.
  template <class T>
  void Shuffle(std::vector<T>* items) {
    for (size_t i = items->size(); i > 1; --i) {
      const size_t j = Below(i);
      std::swap((*items)[i - 1], (*items)[j]);
    }
  }

 private:
  uint64_t state_;
};

}  // namespace kvjury
