#include "fakes/ports/http_calls.h"

#include <future>

namespace kvjury::ports {

namespace {

constexpr Micros kTimeoutUs = 30'000'000;
constexpr auto kStopPoll = std::chrono::milliseconds(50);

::http::Response Plain(uint32_t status, std::string words) {
  ::http::Response response;
  response.set_status(status);
  response.set_content_type("text/plain; charset=utf-8");
  response.set_body(std::move(words));
  return response;
}

}  // namespace

::http::Response HttpCalls::Metrics() {
  MetricsOfAddress metrics;
  if (!calls_.live()->Run([this, &metrics]() { metrics = measure_(); })) {
    return Plain(503, "the cluster is stopping\n");
  }
  ::http::Response response = Plain(200, MetricsText(metrics, *log_));
  response.set_content_type("text/plain; version=0.0.4; charset=utf-8");
  return response;
}

::http::Response HttpCalls::Answer(const ::http::Request& request) {
  if (request.method() == "GET" && request.path() == "/metrics") {
    return Metrics();
  }
  if (!calls_.Serves(sim::kHttp.path)) {
    return Plain(404, "404 page not found\n");
  }
  auto promise = std::make_shared<std::promise<Result<sim::MessagePtr>>>();
  std::future<Result<sim::MessagePtr>> answered = promise->get_future();
  calls_.Start(sim::kHttp.path, std::make_shared<const ::http::Request>(request), kTimeoutUs,
               [promise = std::move(promise)](Result<sim::MessagePtr> answer) { promise->set_value(std::move(answer)); });
  try {
    // A call that a fault holds back must not hold back the end.
    while (answered.wait_for(kStopPoll) == std::future_status::timeout) {
      if (calls_.live()->stopping()) {
        return Plain(503, "the cluster is stopping\n");
      }
    }
    const Result<sim::MessagePtr> answer = answered.get();
    if (!answer.ok()) {
      return Plain(503, answer.error().message() + "\n");
    }
    return static_cast<const ::http::Response&>(**answer);
  } catch (const std::future_error&) {
    return Plain(503, "the cluster is stopping\n");
  }
}

}  // namespace kvjury::ports
