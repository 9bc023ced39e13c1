// HttpApi: stores, regions and their statistics.
#include <charconv>

#include "fakes/base/bytes.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMicrosPerSecond = 1'000'000;

std::string UpperHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<unsigned char>(c) >> 4];
    text += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return text;
}

Json PeerJson(const metapb::Peer& peer) {
  return {{"role_name", metapb::PeerRole_Name(peer.role())}, {"id", peer.id()}, {"store_id", peer.store_id()}};
}

Json RegionJson(const RegionInfo& info) {
  Json peers = Json::array();
  for (const metapb::Peer& peer : info.region.peers()) {
    peers.push_back(PeerJson(peer));
  }
  Json region = {{"id", info.region.id()},
                 {"start_key", UpperHex(info.region.start_key())},
                 {"end_key", UpperHex(info.region.end_key())},
                 {"epoch", {{"conf_ver", info.region.region_epoch().conf_ver()}, {"version", info.region.region_epoch().version()}}},
                 {"peers", peers}};
  if (info.leader.id() != 0) {
    region["leader"] = PeerJson(info.leader);
  }
  for (const char* flow : {"cpu_usage", "written_bytes", "read_bytes", "written_keys", "read_keys"}) {
    region[flow] = 0;
  }
  region["approximate_size"] = 1;
  region["approximate_keys"] = 0;
  return region;
}

// These answers are written without indentation and under another content type.
::http::Response PlainJson(const Json& body) {
  ::http::Response response;
  response.set_status(200);
  response.set_content_type("application/octet-stream");
  response.set_body(body.dump());
  return response;
}

::http::Response RegionsAnswer(const std::vector<RegionInfoPtr>& found) {
  Json regions = Json::array();
  for (const RegionInfoPtr& info : found) {
    regions.push_back(RegionJson(*info));
  }
  return PlainJson({{"count", regions.size()}, {"regions", regions}});
}

uint64_t NumberOf(std::string_view text) {
  uint64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? number : 0;
}

std::string UptimeText(int64_t us) {
  const int64_t seconds = us / kMicrosPerSecond;
  std::string text = seconds >= 3600 ? std::to_string(seconds / 3600) + "h" : "";
  text += seconds >= 60 ? std::to_string(seconds / 60 % 60) + "m" : "";
  return text + std::to_string(seconds % 60) + "s";
}

}  // namespace

HttpApi::Json HttpApi::StoreJson(uint64_t id) const {
  const metapb::Store& store = pd_->stores_.at(id);
  const RegionTable& table = pd_->views_.newest();
  int leaders = 0;
  int peers = 0;
  for (const auto& [start, info] : table) {
    leaders += info->leader.store_id() == id ? 1 : 0;
    for (const metapb::Peer& peer : info->region.peers()) {
      peers += peer.store_id() == id ? 1 : 0;
    }
  }
  const int64_t started_us = store.start_timestamp() * kMicrosPerSecond;
  const int64_t now_us = pd_->options_.clock_start_ms * 1000 + pd_->now_us();
  Json meta = {{"id", id}, {"address", store.address()}};
  if (store.labels_size() > 0) {
    meta["labels"] = Json::array();
    for (const metapb::StoreLabel& label : store.labels()) {
      meta["labels"].push_back({{"key", label.key()}, {"value", label.value()}});
    }
  }
  meta["version"] = store.version();
  meta["peer_address"] = store.peer_address();
  meta["status_address"] = store.status_address();
  meta["git_hash"] = "";
  meta["start_timestamp"] = store.start_timestamp();
  meta["deploy_path"] = "";
  meta["last_heartbeat"] = now_us * 1000;
  meta["node_state"] = static_cast<int>(store.node_state());
  meta["state_name"] = metapb::StoreState_Name(store.state());
  Json status = {{"capacity", "8GiB"}, {"available", "8GiB"}, {"used_size", "0B"}, {"leader_count", leaders}, {"leader_weight", 1},
                 {"leader_score", leaders}, {"leader_size", leaders}, {"region_count", peers}, {"region_weight", 1},
                 {"region_score", peers}, {"region_size", peers}, {"slow_score", 1},
                 {"slow_trend", {{"cause_value", 0}, {"cause_rate", 0}, {"result_value", 0}, {"result_rate", 0}}},
                 {"start_ts", TimeText(started_us)}, {"last_heartbeat_ts", TimeText(now_us)}, {"uptime", UptimeText(now_us - started_us)}};
  return {{"store", meta}, {"status", status}};
}

::http::Response HttpApi::Stores(const Question& question) {
  if (question.method != "GET") {
    return NotFoundAnswer();
  }
  if (question.path == "/stores") {
    Json stores = Json::array();
    for (const auto& [id, store] : pd_->stores_) {
      stores.push_back(StoreJson(id));
    }
    return JsonAnswer(200, {{"count", stores.size()}, {"stores", stores}});
  }
  const uint64_t id = NumberOf(std::string_view(question.path).substr(sizeof("/store/") - 1));
  if (!pd_->stores_.contains(id)) {
    return SentenceAnswer(404, "invalid store ID " + std::to_string(id) + ", not found");
  }
  return JsonAnswer(200, StoreJson(id));
}

::http::Response HttpApi::Regions(const Question& question) {
  const RegionTable& table = pd_->views_.newest();
  const std::string_view path = question.path;
  if (question.method != "GET") {
    return NotFoundAnswer();
  }
  if (path == "/regions") {
    return RegionsAnswer(ScanRegions(table, "", "", 0));
  }
  if (path == "/regions/key") {
    const uint64_t limit = NumberOf(question.Query("limit"));
    return RegionsAnswer(ScanRegions(table, question.Query("key"), question.Query("end_key"), static_cast<int32_t>(limit)));
  }
  if (path.starts_with("/region/id/")) {
    const RegionInfoPtr info = FindRegionById(table, RegionId(NumberOf(path.substr(sizeof("/region/id/") - 1))));
    return info == nullptr ? PlainJson(nullptr) : PlainJson(RegionJson(*info));
  }
  if (path.starts_with("/region/key/")) {
    const RegionInfoPtr info = FindRegion(table, path.substr(sizeof("/region/key/") - 1));
    return info == nullptr ? PlainJson(nullptr) : PlainJson(RegionJson(*info));
  }
  if (path.starts_with("/regions/sibling/")) {
    const RegionInfoPtr info = FindRegionById(table, RegionId(NumberOf(path.substr(sizeof("/regions/sibling/") - 1))));
    if (info == nullptr) {
      return SentenceAnswer(404, "region not found");
    }
    std::vector<RegionInfoPtr> siblings;
    if (const RegionInfoPtr left = FindPrevRegion(table, info->region.start_key()); left != nullptr) {
      siblings.push_back(left);
    }
    if (!info->region.end_key().empty()) {
      siblings.push_back(FindRegion(table, info->region.end_key()));
    }
    return RegionsAnswer(siblings);
  }
  return NotFoundAnswer();
}

::http::Response HttpApi::RegionStatistics(const Question& question) {
  if (!question.Is("GET", "/stats/region")) {
    return NotFoundAnswer();
  }
  const std::vector<RegionInfoPtr> found = ScanRegions(pd_->views_.newest(), question.Query("start_key"), question.Query("end_key"), 0);
  const auto count = static_cast<int64_t>(found.size());
  const bool count_only = question.query.contains("count");
  Json stats = {{"count", count}, {"empty_count", count_only ? 0 : count}, {"storage_size", count_only ? 0 : count}, {"user_storage_size", 0}, {"storage_keys", 0}};
  if (count_only) {
    for (const char* name : {"store_leader_count", "store_peer_count", "store_leader_size", "store_leader_keys", "store_peer_size", "store_peer_keys"}) {
      stats[name] = nullptr;
    }
    return JsonAnswer(200, stats);
  }
  // Every region counts as one mebibyte, as PD has it for the smallest; keys are not counted.
  std::map<std::string, int64_t> leaders;
  std::map<std::string, int64_t> peers;
  for (const RegionInfoPtr& info : found) {
    if (info->leader.id() != 0) {
      ++leaders[std::to_string(info->leader.store_id())];
    }
    for (const metapb::Peer& peer : info->region.peers()) {
      ++peers[std::to_string(peer.store_id())];
    }
  }
  std::map<std::string, int64_t> no_leader_keys;
  std::map<std::string, int64_t> no_peer_keys;
  for (const auto& [id, n] : leaders) {
    no_leader_keys[id] = 0;
  }
  for (const auto& [id, n] : peers) {
    no_peer_keys[id] = 0;
  }
  stats["store_leader_count"] = leaders;
  stats["store_peer_count"] = peers;
  stats["store_leader_size"] = leaders;
  stats["store_leader_keys"] = no_leader_keys;
  stats["store_peer_size"] = peers;
  stats["store_peer_keys"] = no_peer_keys;
  return JsonAnswer(200, stats);
}

}  // namespace kvjury::pd
