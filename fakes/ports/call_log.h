// CallLog: what came from outside, counted by address and method, with how long the answers took.
//
// For `serve -v`, /metrics and tests. Durations are kept in powers of two, so p50 and p99 are upper bounds within a factor of two.
// Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace kvjury::ports {

class CallLog {
 public:
  struct Counts {
    uint64_t calls = 0;
    uint64_t failed = 0;
    uint64_t us_total = 0;
    std::array<uint64_t, 40> by_log2_us{};

    /// The duration in microseconds that `share` (0 to 1) of the calls did not pass, rounded up to a power of two.
    [[nodiscard]] uint64_t UsOfShare(double share) const;
  };

  void Add(const std::string& address, const std::string& method, uint64_t us, bool ok);
  /// By address and method.
  [[nodiscard]] std::map<std::pair<std::string, std::string>, Counts> counts() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Counts> counts_;
};

}  // namespace kvjury::ports
