// What the files of HttpApi share.
#pragma once

#include <nlohmann/json.hpp>

#include "fakes/pd/http_api.h"
#include "fakes/pd/pd.h"

namespace kvjury::pd {

struct HttpApi::Question {
  const ::http::Request* request = nullptr;
  std::string method;
  /// Decoded, without "/pd/api/v1" and without a slash at the end: "/config/schedule".
  std::string path;
  /// Decoded.
  std::map<std::string, std::string> query;

  [[nodiscard]] bool Is(std::string_view wanted_method, std::string_view wanted_path) const {
    return method == wanted_method && path == wanted_path;
  }
  [[nodiscard]] std::string Query(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  }
};

struct HttpApi::State {
  struct Override {
    Json value;
    Micros expires_us = 0;
  };
  Json config;
  /// By section and name ("schedule.leader-schedule-limit"): values that end by themselves.
  std::map<std::string, Override> overrides;
  /// By name: until when it is paused, 0 when it runs.
  std::vector<std::pair<std::string, Micros>> schedulers;
  Json region_labels;
};

/// PD's own form: indented by two, a line end behind it.
::http::Response JsonAnswer(uint32_t status, const nlohmann::ordered_json& body);
/// A sentence as a JSON string.
::http::Response SentenceAnswer(uint32_t status, const std::string& sentence);
::http::Response NotFoundAnswer();
/// RFC 3339 in UTC with nanoseconds where there are some.
std::string TimeText(int64_t unix_us);

}  // namespace kvjury::pd
