#include "fakes/ports/metrics.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace kvjury::ports {

namespace {

void Head(std::string* text, const char* name, const char* type, const char* help) {
  *text += fmt::format("# HELP {0} {2}\n# TYPE {0} {1}\n", name, type, help);
}

void Gauge(std::string* text, const char* name, const char* help, uint64_t value) {
  Head(text, name, "gauge", help);
  *text += fmt::format("{} {}\n", name, value);
}

// Method names come from outside only if there is such a method; other labels are ours. Nothing needs to be escaped.
void ByLabel(std::string* text, const char* name, const char* type, const char* label, const char* help,
             const std::vector<std::pair<std::string, uint64_t>>& values) {
  Head(text, name, type, help);
  for (const auto& [key, value] : values) {
    *text += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, key, value);
  }
}

void Histogram(std::string* text, const std::string& method, const CallLog::Counts& counts) {
  uint64_t seen = 0;
  for (size_t i = 0; i < counts.by_log2_us.size() && seen < counts.calls; ++i) {
    seen += counts.by_log2_us[i];
    if (seen > 0) {
      *text += fmt::format("kvjury_call_duration_seconds_bucket{{method=\"{}\",le=\"{:g}\"}} {}\n", method,
                           static_cast<double>(uint64_t{1} << i) / 1e6, seen);
    }
  }
  *text += fmt::format("kvjury_call_duration_seconds_bucket{{method=\"{}\",le=\"+Inf\"}} {}\n", method, counts.calls);
  *text += fmt::format("kvjury_call_duration_seconds_sum{{method=\"{}\"}} {:.6f}\n", method, static_cast<double>(counts.us_total) / 1e6);
  *text += fmt::format("kvjury_call_duration_seconds_count{{method=\"{}\"}} {}\n", method, counts.calls);
}

uint64_t ResidentBytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0;
  unsigned long resident = 0;
  const bool read = file != nullptr && std::fscanf(file, "%lu %lu", &total, &resident) == 2;
  if (file != nullptr) {
    std::fclose(file);
  }
  return read ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace

std::string MetricsText(const MetricsOfAddress& metrics, const CallLog& log) {
  std::string text;
  Head(&text, "kvjury_calls_total", "counter", "Calls from outside by method and how they ended.");
  std::string durations;
  for (const auto& [where, counts] : log.counts()) {
    if (where.first == metrics.address) {
      text += fmt::format("kvjury_calls_total{{method=\"{}\",result=\"ok\"}} {}\n", where.second, counts.calls - counts.failed);
      text += fmt::format("kvjury_calls_total{{method=\"{}\",result=\"failed\"}} {}\n", where.second, counts.failed);
      Histogram(&durations, where.second, counts);
    }
  }
  Head(&text, "kvjury_call_duration_seconds", "histogram", "How long their answers took.");
  text += durations;
  Gauge(&text, "kvjury_open_connections", "Connections that are open now, this one included.", metrics.connections);
  Gauge(&text, "kvjury_regions", "Regions of the cluster.", metrics.regions);
  Gauge(&text, "kvjury_leaders", "Regions that are led from here.", metrics.leaders);
  if (!metrics.records.empty()) {
    ByLabel(&text, "kvjury_records", "gauge", "cf", "Records by column family, for the whole cluster.", metrics.records);
  }
  ByLabel(&text, "kvjury_faults_total", "counter", "kind", "Faults that had an effect.", metrics.faults);
  Head(&text, "kvjury_longest_step_seconds", "gauge", "The longest that one step kept all others waiting.");
  text += fmt::format("kvjury_longest_step_seconds {:.6f}\n", static_cast<double>(metrics.longest_step_us) / 1e6);
  Gauge(&text, "process_resident_memory_bytes", "Memory of the whole program.", ResidentBytes());
  return text;
}

}  // namespace kvjury::ports
