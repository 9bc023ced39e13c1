// Metrics: what a served address tells Prometheus about itself, in the text form.
//
// Counters and durations of calls from outside, by method; what the cluster holds; the process. Names are our own: dashboards of
// real clusters are not imitated. Source: the text format 0.0.4 of Prometheus.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fakes/ports/call_log.h"

namespace kvjury::ports {

struct MetricsOfAddress {
  std::string address;
  uint64_t connections = 0;
  /// Records by column family; empty for PD.
  std::vector<std::pair<std::string, uint64_t>> records;
  uint64_t regions = 0;
  /// Of this store; of all for PD.
  uint64_t leaders = 0;
  uint64_t longest_step_us = 0;
  /// Faults that had an effect, by kind.
  std::vector<std::pair<std::string, uint64_t>> faults;
};

std::string MetricsText(const MetricsOfAddress& metrics, const CallLog& log);

}  // namespace kvjury::ports
