#include "fakes/pd/http_api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "fakes/pd/config_defaults.h"
#include "fakes/pd/http_api_internal.h"
#include "fakes/sim/http.h"

namespace kvjury::pd {

namespace {

constexpr std::string_view kRoot = "/pd/api/v1";
constexpr std::string_view kSecondRoot = "/pd/api/v2";
constexpr std::array kSchedulers = {"balance-region-scheduler", "balance-leader-scheduler", "balance-hot-region-scheduler",
                                    "evict-slow-store-scheduler", "evict-stopping-store-scheduler"};
// How long a follower waits for a leader: 100 ms first, each time twice as long.
constexpr Micros kFirstWaitUs = 100'000;
constexpr Micros kWaitUsMax = 3'000'000;

int HexValue(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && HexValue(text[i + 1]) >= 0 && HexValue(text[i + 2]) >= 0) {
      out += static_cast<char>(HexValue(text[i + 1]) * 16 + HexValue(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

std::map<std::string, std::string> ParseQuery(std::string_view text) {
  std::map<std::string, std::string> query;
  while (!text.empty()) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    const size_t equals = std::min(pair.find('='), pair.size());
    query[PercentDecode(pair.substr(0, equals), true)] =
        PercentDecode(equals < pair.size() ? pair.substr(equals + 1) : std::string_view(), true);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return query;
}

// Whether `path`, still encoded, has the form of `pattern`; {} stands for one piece between slashes.
bool Matches(std::string_view pattern, std::string_view path, std::vector<std::string>* pieces) {
  pieces->clear();
  while (!pattern.empty() && !path.empty()) {
    if (pattern.front() != '/' || path.front() != '/') {
      return false;
    }
    const std::string_view wanted = pattern.substr(1, pattern.find('/', 1) - 1);
    const std::string_view given = path.substr(1, path.find('/', 1) - 1);
    if (wanted == "{}" && !given.empty()) {
      pieces->push_back(PercentDecode(given, false));
    } else if (wanted != given) {
      return false;
    }
    pattern.remove_prefix(wanted.size() + 1);
    path.remove_prefix(given.size() + 1);
  }
  return pattern.empty() && path.empty();
}

}  // namespace

// --- answers ---

::http::Response JsonAnswer(uint32_t status, const nlohmann::ordered_json& body) {
  ::http::Response response;
  response.set_status(status);
  response.set_content_type("application/json; charset=UTF-8");
  response.set_body(body.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  return response;
}

::http::Response SentenceAnswer(uint32_t status, const std::string& sentence) { return JsonAnswer(status, sentence); }

::http::Response TextAnswer(uint32_t status, const std::string& text) {
  ::http::Response response;
  response.set_status(status);
  response.set_content_type("text/plain; charset=UTF-8");
  response.set_body(text);
  return response;
}

::http::Response NotFoundAnswer() {
  ::http::Response response = TextAnswer(404, "404 page not found\n");
  response.set_content_type("text/plain; charset=utf-8");
  return response;
}

::http::Response BadBodyAnswer() {
  return JsonAnswer(400, {{"code", "input"}, {"msg", "the body is no JSON of the expected form"}, {"data", nullptr}});
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                              : std::nullopt;
}

// --- paths ---

HttpApi::Impl::Impl(Pd* pd) : pd_(pd) {
  config_ = Json::parse(kConfigDefaults);
  for (const char* name : kSchedulers) {
    schedulers_.push_back({name});
  }
  region_labels_ =
      Json::parse(R"([{"id":"keyspaces/0","index":0,"labels":[{"key":"id","value":"0"}],"rule_type":"key-range","data":[)"
                  R"({"start_key":"7200000000000000fb","end_key":"7200000100000000fb"},)"
                  R"({"start_key":"7800000000000000fb","end_key":"7800000100000000fb"}]}])");
  rules_.push_back({{"group_id", "pd"},
                    {"id", "default"},
                    {"start_key", ""},
                    {"end_key", ""},
                    {"role", "voter"},
                    {"is_witness", false},
                    {"count", config_["replication"]["max-replicas"]}});
}

std::optional<::http::Response> HttpApi::Impl::Answer(const ::http::Request& request, size_t member, bool leads) {
  std::string_view path = request.path();
  const bool second = path.starts_with(kSecondRoot);
  if (!second && !path.starts_with(kRoot)) {
    return NotFoundAnswer();
  }
  path.remove_prefix(kRoot.size());
  while (path.size() > 1 && path.back() == '/') {
    path.remove_suffix(1);
  }
  Question question{&request, request.method(), {}, ParseQuery(request.query()), member};
  bool other_method = false;
  for (const Route& route : std::span(kRoutes, kRoutesCount)) {
    std::string_view pattern = route.pattern;
    if (second != pattern.starts_with("v2")) {
      continue;
    }
    pattern.remove_prefix(second ? 2 : 0);
    if (!Matches(pattern, path, &question.pieces)) {
      continue;
    }
    if (route.method == question.method) {
      return route.local || leads ? std::optional((this->*route.handler)(question)) : std::nullopt;
    }
    other_method = true;
  }
  Response response = NotFoundAnswer();
  if (other_method) {
    response.Clear();
    response.set_status(405);
  }
  return response;
}

void HttpApi::Impl::Changed() {
  touched_ = true;
  pd_->StateChanged();
}

// --- the interface ---

HttpApi::HttpApi(Pd* pd) : impl_(std::make_unique<Impl>(pd)) {}
HttpApi::~HttpApi() = default;

void HttpApi::Register(sim::MethodTable* methods) { methods->Add(sim::kHttp, this, &HttpApi::Handle); }
void HttpApi::Save(record::PdState* state, int64_t clock_offset_ms) const { impl_->Save(state, clock_offset_ms); }
Status HttpApi::Restore(const record::PdState& state, int64_t clock_offset_ms) { return impl_->Restore(state, clock_offset_ms); }

// Whoever is asked, the leader answers; the way between the two members takes no time.
sim::Task<Result<::http::Response>> HttpApi::Handle(std::shared_ptr<const ::http::Request> request, sim::CallContext context) {
  Pd* pd = impl_->pd();
  const std::vector<sim::Address> members = pd->addresses();
  const auto asked = static_cast<size_t>(std::find(members.begin(), members.end(), context.to) - members.begin());
  Micros waited_us = 0;
  for (Micros wait_us = kFirstWaitUs;; wait_us = std::min(2 * wait_us, kWaitUsMax - waited_us)) {
    const bool has_leader = pd->available();
    const size_t answering = has_leader ? pd->leader_place() : asked;
    if (std::optional<::http::Response> local = impl_->Answer(*request, asked, has_leader && answering == asked)) {
      co_return *std::move(local);
    }
    if (has_leader) {
      co_return *impl_->Answer(*request, answering, true);
    }
    if (waited_us >= kWaitUsMax) {
      ::http::Response response = TextAnswer(503, "[PD:apiutil:ErrRedirectNoLeader]redirect finds no leader\n");
      response.set_content_type("text/plain; charset=utf-8");
      co_return response;
    }
    co_await pd->scheduler()->Sleep(wait_us);
    waited_us += wait_us;
  }
}

}  // namespace kvjury::pd
