// RATE: what a drill's phases moved against the limit asked for.
#include <algorithm>

#include "harness/judge/checks.h"

namespace kvjury::judge {

namespace {

constexpr uint64_t kMsPerSecond = 1000;
// A second's bytes are free: ten times what TiKV's bucket begins with, for requests that are sent again.
constexpr uint64_t kBurstMs = kMsPerSecond;
// Of the limit: one part of so many may be exceeded without being a finding.
constexpr uint64_t kToleratedPart = 4;

// Bytes in a second, with the burst spread over a second of its own. `bytes` may be as large as it likes.
uint64_t AverageBytesPerS(uint64_t bytes, uint64_t took_ms) {
  const uint64_t ms = took_ms + kBurstMs;
  return bytes / ms * kMsPerSecond + bytes % ms * kMsPerSecond / ms;
}

std::string WhyNotJudged(const record::DrillRate& rate) {
  if (rate.store_bytes_max() == 0) {
    return "the " + rate.phase() + " moved nothing that tells of stores";
  }
  if (rate.store_bytes_max() <= rate.limit_bytes_per_s()) {
    return "the " + rate.phase() + " moved no more through a store than what the limit lets pass in a second";
  }
  return {};
}

}  // namespace

Checked CheckRates(const google::protobuf::RepeatedPtrField<record::DrillRate>& rates,
                   google::protobuf::RepeatedPtrField<record::DrillRate>* judged) {
  Recorder recorder("RATE", "phases with a limit");
  *judged = rates;
  bool any_limit = false;
  for (record::DrillRate& rate : *judged) {
    rate.set_judgement(record::DrillRate::NOT_JUDGED);
    const uint64_t limit = rate.limit_bytes_per_s();
    if (limit == 0) {
      continue;
    }
    any_limit = true;
    if (const std::string why = WhyNotJudged(rate); !why.empty()) {
      recorder.Unproven(why);
      continue;
    }
    recorder.Count();
    const uint64_t took_ms = static_cast<uint64_t>(std::max<int64_t>(rate.took_ms(), 0));
    const uint64_t seen = AverageBytesPerS(rate.store_bytes_max(), took_ms);
    if (seen <= limit || seen - limit <= limit / kToleratedPart) {
      rate.set_judgement(record::DrillRate::KEPT);
      continue;
    }
    rate.set_judgement(record::DrillRate::EXCEEDED);
    record::Finding* finding = recorder.Add(
        "faster-than-asked", "the " + rate.phase() + " moved " + std::to_string(rate.store_bytes_max()) + " bytes through one store in " +
                                 std::to_string(took_ms) + " ms, at least " + std::to_string(seen) + " a second where " +
                                 std::to_string(limit) + " were asked for");
    finding->set_field(rate.phase());
    finding->set_expected(std::to_string(limit));
    finding->set_actual(std::to_string(seen));
    finding->set_expected_present(true);
    finding->set_actual_present(true);
  }
  if (!any_limit) {
    recorder.Unproven("no command names a limit");
  }
  return recorder.Take();
}

}  // namespace kvjury::judge
