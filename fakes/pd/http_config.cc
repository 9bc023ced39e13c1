// HttpApi: the configuration. An item that is set must be there already and keeps its type.
#include <algorithm>
#include <array>
#include <charconv>

#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

// What may have a value for a while.
constexpr std::array kForAWhile = {
    "schedule.max-snapshot-count",
    "schedule.max-merge-region-size",
    "schedule.max-pending-peer-count",
    "schedule.max-merge-region-keys",
    "schedule.leader-schedule-limit",
    "schedule.region-schedule-limit",
    "schedule.replica-schedule-limit",
    "schedule.merge-schedule-limit",
    "schedule.hot-region-schedule-limit",
    "schedule.split-scatter-schedule-limit",
    "schedule.scheduler-max-waiting-operator",
    "schedule.enable-location-replacement",
    "schedule.enable-tikv-split-region",
    "default-add-peer",
    "default-remove-peer",
};

bool MayBeForAWhile(const std::string& key) {
  return std::find(kForAWhile.begin(), kForAWhile.end(), key) != kForAWhile.end() || key.starts_with("add-peer-") ||
         key.starts_with("remove-peer-");
}

// "leader-schedule-limit" is "schedule.leader-schedule-limit"; empty if there is no such item.
std::string FullKey(const Json& config, const std::string& key) {
  if (key.find('.') != std::string::npos || config.contains(key)) {
    return key;
  }
  for (const char* section : {"schedule", "replication", "pd-server", "replication-mode", "keyspace", "micro-service"}) {
    if (config[section].contains(key)) {
      return std::string(section) + "." + key;
    }
  }
  return {};
}

// Numbers and truth values may come as text, and the other way round: PD's truth values are text.
Json OfTheSameType(const Json& old, const Json& given) {
  if (old.is_string() && given.is_boolean()) {
    return given.get<bool>() ? "true" : "false";
  }
  if (old.is_number() && given.is_string()) {
    const Json number = Json::parse(given.get<std::string>(), nullptr, false);
    return number.is_number() ? number : Json();
  }
  const bool fits = old.is_null() || old.type() == given.type() || (old.is_number() && given.is_number());
  return fits ? given : Json();
}

// Errors carry PD's sentences.
Status SetItem(Json* config, const std::string& key, const Json& value) {
  Json* at = config;
  std::string_view left = key;
  const std::string prefix(left.substr(0, left.find('.')));
  constexpr std::array kSections = {"schedule", "replication",     "replication-mode", "pd-server",
                                    "log",      "cluster-version", "keyspace",         "micro-service"};
  if (std::find(kSections.begin(), kSections.end(), prefix) == kSections.end()) {
    return Status::InvalidArgument("config prefix " + prefix + " not found");
  }
  while (!left.empty()) {
    const std::string piece(left.substr(0, left.find('.')));
    left.remove_prefix(std::min(piece.size() + 1, left.size()));
    if (!at->is_object() || !at->contains(piece)) {
      return Status::InvalidArgument("config item " + piece + " not found");
    }
    at = &(*at)[piece];
  }
  Json fitting = OfTheSameType(*at, value);
  if (fitting.is_null() && !value.is_null()) {
    return Status::InvalidArgument("input value " + value.dump() + " is illegal");
  }
  *at = std::move(fitting);
  return Status::Ok();
}

Json StoreLimits(const std::vector<uint64_t>& stores) {
  Json limits = Json::object();
  for (const uint64_t id : stores) {
    limits[std::to_string(id)] = {{"add-peer", 15}, {"remove-peer", 15}};
  }
  return limits;
}

}  // namespace

HttpApi::Impl::Json HttpApi::Impl::ConfigOf(size_t place) {
  Json config = config_;
  const std::vector<Etcd::Member> members = pd_->Members();
  const Etcd::Member& member = members[place];
  for (const char* name : {"client-urls", "advertise-client-urls"}) {
    config[name] = member.client_urls.front();
  }
  for (const char* name : {"peer-urls", "advertise-peer-urls"}) {
    config[name] = member.peer_urls.front();
  }
  config["name"] = member.name;
  config["metric"]["job"] = member.name;
  std::string all;
  for (const Etcd::Member& each : members) {
    all += (all.empty() ? "" : ",") + each.name + "=" + each.peer_urls.front();
  }
  config["initial-cluster"] = all;
  std::vector<uint64_t> stores;
  for (const auto& [id, store] : pd_->stores_) {
    stores.push_back(id);
  }
  config["schedule"]["store-limit"] = StoreLimits(stores);
  return config;
}

bool HttpApi::Impl::HasOverride(const std::string& key) {
  std::erase_if(overrides_, [now_us = pd_->now_us()](const auto& entry) { return entry.second.expires_us <= now_us; });
  return overrides_.contains(key);
}

::http::Response HttpApi::Impl::GetConfig(const Question& question) { return JsonAnswer(200, ConfigOf(question.member)); }

::http::Response HttpApi::Impl::GetClusterVersion(const Question&) {
  return JsonAnswer(200, pd_->stores_.empty() || pd_->stores_.begin()->second.version().empty()
                             ? config_["cluster-version"]
                             : Json(pd_->stores_.begin()->second.version()));
}

::http::Response HttpApi::Impl::GetConfigSection(const Question& question) {
  const std::string& section = question.pieces[0];
  if (section == "default") {
    return JsonAnswer(200, config_);
  }
  if (section == "schedule" || section == "pd-server" || section == "replication-mode" || section == "label-property") {
    return JsonAnswer(200, ConfigOf(question.member)[section]);
  }
  return section == "replicate" ? JsonAnswer(200, config_["replication"]) : NotFoundAnswer();
}

::http::Response HttpApi::Impl::SetConfig(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return SentenceAnswer(400, "invalid character in the body");
  }
  if (const std::string ttl = question.Query("ttlSecond"); !ttl.empty()) {
    return SetConfigForAWhile(body, ttl);
  }
  Json changed = config_;
  for (const auto& [key, value] : body.items()) {
    const std::string item = FullKey(config_, key);
    if (item.empty()) {
      return SentenceAnswer(400, "config item " + key + " not found");
    }
    if (HasOverride(item)) {
      return SentenceAnswer(400, "need to clean up TTL first for " + item);
    }
    if (const Status set = SetItem(&changed, item, value); !set.ok()) {
      return SentenceAnswer(400, set.message());
    }
  }
  config_ = std::move(changed);
  Changed();
  return SentenceAnswer(200, "The config is updated.");
}

::http::Response HttpApi::Impl::SetConfigForAWhile(const Json& items, const std::string& ttl) {
  int64_t seconds = 0;
  const auto parsed = std::from_chars(ttl.data(), ttl.data() + ttl.size(), seconds);
  if (parsed.ec != std::errc() || parsed.ptr != ttl.data() + ttl.size()) {
    return SentenceAnswer(400, "strconv.Atoi: parsing \"" + ttl + "\": invalid syntax");
  }
  for (const auto& [key, value] : items.items()) {
    if (!MayBeForAWhile(key)) {
      return SentenceAnswer(400, "unsupported ttl config " + key);
    }
  }
  for (const auto& [key, value] : items.items()) {
    if (seconds > 0) {
      overrides_[key] = Override{value, pd_->now_us() + seconds * 1'000'000};
    } else {
      overrides_.erase(key);
    }
  }
  Changed();
  return SentenceAnswer(200, seconds == 0 ? "The ttl config is deleted." : "The ttl config is updated.");
}

::http::Response HttpApi::Impl::SetConfigSection(const Question& question) {
  const std::string& name = question.pieces[0];
  const std::string section = name == "replicate" ? "replication" : name == "schedule" || name == "replication-mode" ? name : "";
  if (section.empty()) {
    return NotFoundAnswer();
  }
  const Json body = question.Body();
  if (!body.is_object()) {
    return SentenceAnswer(400, "invalid character in the body");
  }
  Json changed = config_;
  for (const auto& [key, value] : body.items()) {
    if (HasOverride(section + "." + key)) {
      return SentenceAnswer(400, "need to clean up TTL first for " + section + "." + key);
    }
    // What the section does not know is passed over, as JSON decoding does.
    if (config_[section].contains(key)) {
      if (const Status set = SetItem(&changed, section + "." + key, value); !set.ok()) {
        return SentenceAnswer(400, set.message());
      }
    }
  }
  config_ = std::move(changed);
  Changed();
  return SentenceAnswer(200, "The config is updated.");
}

}  // namespace kvjury::pd
