#include "fakes/ports/http_calls.h"

#include <fmt/format.h>

#include <future>

namespace kvjury::ports {

namespace {

constexpr Micros kTimeoutUs = 30'000'000;

::http::Response Plain(uint32_t status, std::string words) {
  ::http::Response response;
  response.set_status(status);
  response.set_content_type("text/plain; charset=utf-8");
  response.set_body(std::move(words));
  return response;
}

std::string CallMetrics(const CallLog& log, const std::string& address) {
  std::string calls = "# HELP kvjury_calls_total Calls from outside by method.\n# TYPE kvjury_calls_total counter\n";
  std::string failed = "# HELP kvjury_calls_failed_total Those that ended with an error of gRPC.\n# TYPE kvjury_calls_failed_total counter\n";
  std::string seconds = "# HELP kvjury_call_seconds_total Time that their answers took.\n# TYPE kvjury_call_seconds_total counter\n";
  for (const auto& [where, counts] : log.counts()) {
    if (where.first == address) {
      calls += fmt::format("kvjury_calls_total{{method=\"{}\"}} {}\n", where.second, counts.calls);
      failed += fmt::format("kvjury_calls_failed_total{{method=\"{}\"}} {}\n", where.second, counts.failed);
      seconds += fmt::format("kvjury_call_seconds_total{{method=\"{}\"}} {:.6f}\n", where.second, static_cast<double>(counts.us_total) / 1e6);
    }
  }
  return calls + failed + seconds;
}

}  // namespace

::http::Response HttpCalls::Answer(const ::http::Request& request) {
  const bool metrics = request.method() == "GET" && request.path() == "/metrics";
  if (!calls_.Serves(sim::kHttp.path)) {
    return metrics ? Plain(200, CallMetrics(*log_, address_)) : Plain(404, "404 page not found\n");
  }
  auto promise = std::make_shared<std::promise<Result<sim::MessagePtr>>>();
  std::future<Result<sim::MessagePtr>> answered = promise->get_future();
  calls_.Start(sim::kHttp.path, std::make_shared<const ::http::Request>(request), kTimeoutUs,
               [promise = std::move(promise)](Result<sim::MessagePtr> answer) { promise->set_value(std::move(answer)); });
  try {
    const Result<sim::MessagePtr> answer = answered.get();
    if (!answer.ok()) {
      return Plain(503, answer.error().message() + "\n");
    }
    ::http::Response response = static_cast<const ::http::Response&>(**answer);
    if (metrics) {
      response.mutable_body()->append(CallMetrics(*log_, address_));
    }
    return response;
  } catch (const std::future_error&) {
    return Plain(503, "the cluster is stopping\n");
  }
}

}  // namespace kvjury::ports
