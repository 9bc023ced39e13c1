#include "fakes/pd/http_api.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "fakes/pd/config_defaults.h"
#include "fakes/pd/http_api_internal.h"
#include "fakes/sim/http.h"

namespace kvjury::pd {

namespace {

constexpr std::string_view kRoot = "/pd/api/v1";
constexpr char kPdVersion[] = "v8.5.7";
constexpr std::array kSchedulers = {"balance-region-scheduler", "balance-leader-scheduler", "balance-hot-region-scheduler",
                                    "evict-slow-store-scheduler", "evict-stopping-store-scheduler"};

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

nlohmann::ordered_json DefaultRegionLabels() {
  return nlohmann::ordered_json::parse(
      R"([{"id":"keyspaces/0","index":0,"labels":[{"key":"id","value":"0"}],"rule_type":"key-range","data":[)"
      R"({"start_key":"7200000000000000fb","end_key":"7200000100000000fb"},)"
      R"({"start_key":"7800000000000000fb","end_key":"7800000100000000fb"}]}])");
}

}  // namespace

::http::Response JsonAnswer(uint32_t status, const nlohmann::ordered_json& body) {
  ::http::Response response;
  response.set_status(status);
  response.set_content_type("application/json; charset=UTF-8");
  response.set_body(body.dump(2) + "\n");
  return response;
}

::http::Response SentenceAnswer(uint32_t status, const std::string& sentence) { return JsonAnswer(status, sentence); }

::http::Response NotFoundAnswer() {
  ::http::Response response;
  response.set_status(404);
  response.set_content_type("text/plain; charset=utf-8");
  response.set_body("404 page not found\n");
  return response;
}

std::string TimeText(int64_t unix_us) {
  const int64_t seconds = unix_us / 1'000'000;
  const int64_t days = seconds / 86'400;
  // Civil date from days since 1970, by the usual shift to eras of 400 years that begin in March.
  const int64_t z = days + 719'468;
  const int64_t era = z / 146'097;
  const int64_t day_of_era = z - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_of_shift = (5 * day_of_year + 2) / 153;
  const int day = static_cast<int>(day_of_year - (153 * month_of_shift + 2) / 5 + 1);
  const int month = static_cast<int>(month_of_shift < 10 ? month_of_shift + 3 : month_of_shift - 9);
  const int year = static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0));
  const int of_day = static_cast<int>(seconds % 86'400);
  char text[80];
  int size = std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day, of_day / 3600, of_day / 60 % 60, of_day % 60);
  if (const int us = static_cast<int>(unix_us % 1'000'000); us != 0) {
    size += std::snprintf(text + size, sizeof(text) - static_cast<size_t>(size), ".%06d", us);
    while (text[size - 1] == '0') {
      --size;
    }
  }
  return std::string(text, static_cast<size_t>(size)) + "Z";
}

HttpApi::HttpApi(Pd* pd) : pd_(pd), state_(std::make_unique<State>()) {
  state_->config = Json::parse(kConfigDefaults);
  for (const char* name : kSchedulers) {
    state_->schedulers.emplace_back(name, 0);
  }
  state_->region_labels = DefaultRegionLabels();
}

HttpApi::~HttpApi() = default;

void HttpApi::Register(sim::MethodTable* methods) { methods->Add(sim::kHttp, this, &HttpApi::Handle); }

sim::Task<Result<::http::Response>> HttpApi::Handle(std::shared_ptr<const ::http::Request> request, sim::CallContext) {
  struct Route {
    std::string_view prefix;
    Handler handler;
  };
  // The longest prefix comes first.
  static constexpr std::array kRoutes = {
      Route{"/config/region-label", &HttpApi::RegionLabels}, Route{"/config/placement-rule", &HttpApi::Rules},
      Route{"/config/rules", &HttpApi::Rules},       Route{"/config/rule", &HttpApi::Rules},
      Route{"/config", &HttpApi::Config},            Route{"/members", &HttpApi::Members},
      Route{"/leader", &HttpApi::Members},           Route{"/health", &HttpApi::Members},
      Route{"/stores", &HttpApi::Stores},            Route{"/store/", &HttpApi::Stores},
      Route{"/regions", &HttpApi::Regions},          Route{"/region/", &HttpApi::Regions},
      Route{"/stats/region", &HttpApi::RegionStatistics}, Route{"/schedulers", &HttpApi::Schedulers},
      Route{"/gc/safepoint", &HttpApi::Gc},          Route{"/min-resolved-ts", &HttpApi::Gc},
      Route{"/admin/reset-ts", &HttpApi::ResetTs},   Route{"", &HttpApi::Cluster},
  };
  if (!pd_->available()) {
    co_return SentenceAnswer(503, "no leader");
  }
  Question question;
  question.request = request.get();
  question.method = request->method();
  question.path = PercentDecode(request->path(), false);
  question.query = ParseQuery(request->query());
  if (!question.path.starts_with(kRoot)) {
    co_return NotFoundAnswer();
  }
  question.path.erase(0, kRoot.size());
  while (question.path.size() > 1 && question.path.back() == '/') {
    question.path.pop_back();
  }
  for (const Route& route : kRoutes) {
    if (question.path.starts_with(route.prefix)) {
      co_return (this->*route.handler)(question);
    }
  }
  co_return NotFoundAnswer();
}

::http::Response HttpApi::Members(const Question& question) {
  Json members = Json::array();
  Json health = Json::array();
  for (const Etcd::Member& known : pd_->Members()) {
    members.push_back({{"name", known.name}, {"member_id", known.id}, {"peer_urls", known.peer_urls}, {"client_urls", known.client_urls}});
    health.push_back({{"name", known.name}, {"member_id", known.id}, {"client_urls", known.client_urls}, {"health", true}});
  }
  if (question.Is("GET", "/leader")) {
    return JsonAnswer(200, members[0]);
  }
  if (question.Is("GET", "/health")) {
    return JsonAnswer(200, health);
  }
  if (!question.Is("GET", "/members")) {
    return NotFoundAnswer();
  }
  for (Json& member : members) {
    member["deploy_path"] = "";
    member["binary_version"] = kPdVersion;
    member["git_hash"] = "";
  }
  return JsonAnswer(200, {{"header", {{"cluster_id", pd_->cluster_id()}}}, {"members", members}, {"leader", members[0]}, {"etcd_leader", members[0]}});
}

::http::Response HttpApi::Cluster(const Question& question) {
  if (question.Is("GET", "/version")) {
    return JsonAnswer(200, {{"version", kPdVersion}, {"build_time", ""}, {"hash", ""}, {"branch", ""}});
  }
  if (question.Is("GET", "/cluster")) {
    return JsonAnswer(200, {{"id", pd_->cluster_id()}, {"max_peer_count", ConfigJson()["replication"]["max-replicas"]}});
  }
  if (question.Is("GET", "/cluster/status")) {
    return JsonAnswer(200, {{"raft_bootstrap_time", TimeText(pd_->options_.clock_start_ms * 1000)}, {"is_initialized", true}, {"replication_status", ""}});
  }
  if (question.Is("GET", "/status")) {
    return JsonAnswer(200, {{"build_ts", "None"}, {"version", kPdVersion}, {"git_hash", ""}, {"start_timestamp", pd_->options_.clock_start_ms / 1000}});
  }
  if (question.Is("GET", "/operators")) {
    return JsonAnswer(200, Json::array());
  }
  if (question.Is("GET", "/labels")) {
    return JsonAnswer(200, nullptr);
  }
  if (question.Is("GET", "/replication_mode/status")) {
    return JsonAnswer(200, {{"mode", "majority"}, {"dr-auto-sync", {{"label_key", ""}, {"state", ""}, {"acid_consistent", false}}}});
  }
  if (question.Is("GET", "/service-middleware/config")) {
    return JsonAnswer(200, {{"audit", {{"enable-audit", "true"}}},
                            {"rate-limit", {{"enable-rate-limit", "true"}, {"limiter-config", Json::object()}}},
                            {"grpc-rate-limit", {{"enable-grpc-rate-limit", "true"}, {"grpc-limiter-config", Json::object()}}}});
  }
  if (question.Is("GET", "/admin/cluster/markers/snapshot-recovering")) {
    return JsonAnswer(200, {{"marked", false}});
  }
  if (question.Is("GET", "/ping")) {
    ::http::Response response;
    response.set_status(200);
    return response;
  }
  return NotFoundAnswer();
}

::http::Response HttpApi::Schedulers(const Question& question) {
  constexpr std::string_view kPrefix = "/schedulers/";
  const Micros now = pd_->now_us();
  if (question.Is("GET", "/schedulers")) {
    const bool paused_only = question.Query("status") == "paused";
    Json names = Json::array();
    for (const auto& [name, paused_until] : state_->schedulers) {
      if (!paused_only || paused_until > now) {
        names.push_back(name);
      }
    }
    return JsonAnswer(200, names);
  }
  if (!question.path.starts_with(kPrefix)) {
    return NotFoundAnswer();
  }
  const std::string name = question.path.substr(kPrefix.size());
  const auto found = std::find_if(state_->schedulers.begin(), state_->schedulers.end(), [&name](const auto& s) { return s.first == name; });
  if (found == state_->schedulers.end()) {
    return SentenceAnswer(404, "scheduler not found");
  }
  if (question.method == "DELETE") {
    state_->schedulers.erase(found);
    return SentenceAnswer(200, "The scheduler is removed.");
  }
  const Json body = Json::parse(question.request->body(), nullptr, false);
  if (question.method != "POST" || !body.is_object() || !body.contains("delay") || !body["delay"].is_number()) {
    return SentenceAnswer(400, "missing pause time");
  }
  found->second = now + static_cast<Micros>(body["delay"].get<int64_t>()) * 1'000'000;
  return SentenceAnswer(200, "Pause or resume the scheduler successfully.");
}

::http::Response HttpApi::Gc(const Question& question) {
  if (question.Is("GET", "/min-resolved-ts")) {
    const Result<Timestamp> now = pd_->AllocateTimestamp();
    return JsonAnswer(200, {{"is_real_time", true}, {"min_resolved_ts", now.ok() ? now->value() : 0}, {"persist_interval", "1s"}, {"stores_min_resolved_ts", nullptr}});
  }
  if (question.Is("GET", "/gc/safepoint")) {
    Json services = Json::array();
    for (const auto& [name, entry] : pd_->service_safe_points_) {
      if (entry.expires_us > pd_->now_us()) {
        const int64_t expires = entry.expires_us == INT64_MAX ? INT64_MAX : (pd_->options_.clock_start_ms * 1000 + entry.expires_us) / 1'000'000;
        services.push_back({{"service_id", name}, {"expired_at", expires}, {"safe_point", entry.safe_point.value()}});
      }
    }
    Json answer = {{"service_gc_safe_points", services}};
    if (!services.empty()) {
      answer["min_service_gc_safe_point"] = pd_->service_safe_point().value();
    }
    answer["gc_safe_point"] = pd_->gc_safe_point().value();
    return JsonAnswer(200, answer);
  }
  constexpr std::string_view kPrefix = "/gc/safepoint/";
  if (question.method == "DELETE" && question.path.starts_with(kPrefix)) {
    pd_->service_safe_points_.erase(question.path.substr(kPrefix.size()));
    return SentenceAnswer(200, "Delete service GC safepoint successfully.");
  }
  return NotFoundAnswer();
}

::http::Response HttpApi::ResetTs(const Question& question) {
  const Json body = Json::parse(question.request->body(), nullptr, false);
  if (question.method != "POST" || !body.is_object() || !body.contains("tso") || !body["tso"].is_string()) {
    return SentenceAnswer(400, "invalid tso value");
  }
  const pdhttp::ResetTsResponse done = pd_->ResetTsTo(body["tso"].get<std::string>(), body.value("force-use-larger", false));
  ::http::Response response = JsonAnswer(done.status(), Json::parse(done.body(), nullptr, false));
  return response;
}

}  // namespace kvjury::pd
