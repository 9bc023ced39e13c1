#include "fakes/ports/call_log.h"

#include <algorithm>
#include <bit>

namespace kvjury::ports {

uint64_t CallLog::Counts::UsOfShare(double share) const {
  const auto wanted = static_cast<uint64_t>(share * static_cast<double>(calls));
  uint64_t seen = 0;
  for (size_t i = 0; i < by_log2_us.size(); ++i) {
    seen += by_log2_us[i];
    if (seen > 0 && seen >= wanted) {
      return uint64_t{1} << i;
    }
  }
  return 0;
}

void CallLog::Add(const std::string& address, const std::string& method, uint64_t us, bool ok) {
  const std::lock_guard lock(mutex_);
  Counts& counts = counts_[{address, method}];
  ++counts.calls;
  counts.failed += ok ? 0 : 1;
  counts.us_total += us;
  ++counts.by_log2_us[std::min<size_t>(std::bit_width(us), counts.by_log2_us.size() - 1)];
}

std::map<std::pair<std::string, std::string>, CallLog::Counts> CallLog::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace kvjury::ports
