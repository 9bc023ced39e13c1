// HttpApi: the configuration, region labels and placement rules.
#include <charconv>

#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

// "leader-schedule-limit" or "schedule.leader-schedule-limit": the section ("" for the top) and the name; empty if there is none.
std::pair<std::string, std::string> FindItem(const Json& config, const std::string& key) {
  const size_t dot = key.find('.');
  if (dot != std::string::npos) {
    const std::string section = key.substr(0, dot);
    return config.contains(section) && config[section].is_object() ? std::pair(section, key.substr(dot + 1)) : std::pair<std::string, std::string>();
  }
  if (config.contains(key)) {
    return {"", key};
  }
  for (const char* section : {"schedule", "replication", "pd-server", "replication-mode"}) {
    if (config[section].contains(key)) {
      return {section, key};
    }
  }
  return {};
}

void SetItem(Json* config, const std::string& section, const std::string& name, const Json& value) {
  (section.empty() ? *config : (*config)[section])[name] = value;
}

Json StoreLimits(const std::vector<uint64_t>& stores) {
  Json limits = Json::object();
  for (const uint64_t id : stores) {
    limits[std::to_string(id)] = {{"add-peer", 15}, {"remove-peer", 15}};
  }
  return limits;
}

Json DefaultRules(const Json& replicas) {
  return Json::array({{{"group_id", "pd"}, {"id", "default"}, {"start_key", ""}, {"end_key", ""}, {"role", "voter"}, {"is_witness", false}, {"count", replicas}}});
}

}  // namespace

HttpApi::Json HttpApi::ConfigJson() {
  Json config = state_->config;
  const std::vector<Etcd::Member> members = pd_->Members();
  for (const char* name : {"client-urls", "advertise-client-urls"}) {
    config[name] = members.front().client_urls.front();
  }
  for (const char* name : {"peer-urls", "advertise-peer-urls"}) {
    config[name] = members.front().peer_urls.front();
  }
  config["name"] = members.front().name;
  config["metric"]["job"] = members.front().name;
  config["initial-cluster"] = members.front().name + "=" + members.front().peer_urls.front();
  std::vector<uint64_t> stores;
  for (const auto& [id, store] : pd_->stores_) {
    stores.push_back(id);
  }
  config["schedule"]["store-limit"] = StoreLimits(stores);
  for (auto it = state_->overrides.begin(); it != state_->overrides.end();) {
    if (it->second.expires_us <= pd_->now_us()) {
      it = state_->overrides.erase(it);
      continue;
    }
    const size_t dot = it->first.find('.');
    SetItem(&config, it->first.substr(0, dot), it->first.substr(dot + 1), it->second.value);
    ++it;
  }
  return config;
}

::http::Response HttpApi::Config(const Question& question) {
  if (question.method == "GET") {
    const Json config = ConfigJson();
    if (question.path == "/config") {
      return JsonAnswer(200, config);
    }
    if (question.path == "/config/cluster-version") {
      return JsonAnswer(200, pd_->stores_.empty() ? "8.5.0" : pd_->stores_.begin()->second.version());
    }
    const std::string section = question.path.substr(std::min<size_t>(question.path.size(), sizeof("/config")));
    if (section == "schedule" || section == "replication-mode" || section == "pd-server") {
      return JsonAnswer(200, config[section]);
    }
    return section == "replicate" ? JsonAnswer(200, config["replication"]) : NotFoundAnswer();
  }
  const bool whole = question.path == "/config";
  const std::string section = question.path == "/config/schedule" ? "schedule" : question.path == "/config/replicate" ? "replication" : "";
  if (question.method != "POST" || (!whole && section.empty())) {
    return NotFoundAnswer();
  }
  const Json body = Json::parse(question.request->body(), nullptr, false);
  if (!body.is_object()) {
    return SentenceAnswer(400, "the body is no JSON object");
  }
  std::vector<std::pair<std::pair<std::string, std::string>, Json>> changes;
  for (const auto& [key, value] : body.items()) {
    const std::pair<std::string, std::string> item = whole ? FindItem(state_->config, key) : std::pair(section, key);
    if (item.second.empty()) {
      return SentenceAnswer(400, "config item " + key + " not found");
    }
    changes.emplace_back(item, value);
  }
  int64_t seconds = 0;
  const std::string ttl = question.Query("ttlSecond");
  if (!ttl.empty() && std::from_chars(ttl.data(), ttl.data() + ttl.size(), seconds).ec != std::errc()) {
    return SentenceAnswer(400, "strconv.Atoi: parsing \"" + ttl + "\": invalid syntax");
  }
  for (const auto& [item, value] : changes) {
    if (ttl.empty()) {
      SetItem(&state_->config, item.first, item.second, value);
    } else {
      state_->overrides[item.first + "." + item.second] = State::Override{value, pd_->now_us() + seconds * 1'000'000};
    }
  }
  return SentenceAnswer(200, ttl.empty() ? "The config is updated." : "The ttl config is updated.");
}

::http::Response HttpApi::RegionLabels(const Question& question) {
  Json& rules = state_->region_labels;
  constexpr std::string_view kOne = "/config/region-label/rule/";
  auto remove = [&rules](const std::string& id) {
    for (size_t i = 0; i < rules.size(); ++i) {
      if (rules[i].value("id", "") == id) {
        rules.erase(i);
        return true;
      }
    }
    return false;
  };
  if (question.Is("GET", "/config/region-label/rules")) {
    return JsonAnswer(200, rules);
  }
  const Json body = Json::parse(question.request->body(), nullptr, false);
  if (question.Is("POST", "/config/region-label/rule") && body.is_object() && body.contains("id")) {
    remove(body["id"].get<std::string>());
    rules.push_back(body);
    return SentenceAnswer(200, "Update region label rule successfully.");
  }
  if (question.Is("PATCH", "/config/region-label/rules") && body.is_object()) {
    for (const Json& id : body.value("deletes", Json::array())) {
      remove(id.get<std::string>());
    }
    for (const Json& rule : body.value("sets", Json::array())) {
      remove(rule.value("id", ""));
      rules.push_back(rule);
    }
    return SentenceAnswer(200, "Update region label rules successfully.");
  }
  if (question.path.starts_with(kOne)) {
    const std::string id = question.path.substr(kOne.size());
    if (question.method == "DELETE") {
      return remove(id) ? SentenceAnswer(200, "Delete region label rule successfully.") : SentenceAnswer(404, "region label rule not found");
    }
    for (const Json& rule : rules) {
      if (question.method == "GET" && rule.value("id", "") == id) {
        return JsonAnswer(200, rule);
      }
    }
  }
  return NotFoundAnswer();
}

::http::Response HttpApi::Rules(const Question& question) {
  const Json rules = DefaultRules(state_->config["replication"]["max-replicas"]);
  if (question.Is("GET", "/config/rules") || question.Is("GET", "/config/rules/group/pd")) {
    return JsonAnswer(200, rules);
  }
  if (question.Is("GET", "/config/rule/pd/default")) {
    return JsonAnswer(200, rules[0]);
  }
  if (question.Is("GET", "/config/placement-rule")) {
    return JsonAnswer(200, Json::array({{{"group_id", "pd"}, {"group_index", 0}, {"group_override", false}, {"rules", rules}}}));
  }
  return NotFoundAnswer();
}

}  // namespace kvjury::pd
