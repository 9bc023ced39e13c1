// HttpApi: stores, regions and their statistics, as an idle cluster of small regions shows them.
#include <algorithm>

#include "fakes/base/bytes.h"
#include "fakes/pd/go_text.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMicrosPerSecond = 1'000'000;
// Without heartbeats for so long a store is disconnected, and then down.
constexpr int64_t kDisconnectedUs = 20 * kMicrosPerSecond;
constexpr int64_t kDownUs = 1800 * kMicrosPerSecond;
constexpr int64_t kRegionsLimit = 16;
constexpr int64_t kRegionsLimitMax = 10240;

std::string UpperHex(std::string_view bytes) {
  std::string text = ToHex(bytes);
  std::transform(text.begin(), text.end(), text.begin(), [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

Json PeerJson(const metapb::Peer& peer) {
  Json json = {{"role_name", metapb::PeerRole_Name(peer.role())}};
  if (peer.role() == metapb::Learner) {
    json["is_learner"] = true;
  }
  json["id"] = peer.id();
  json["store_id"] = peer.store_id();
  if (peer.role() != metapb::Voter) {
    json["role"] = static_cast<int>(peer.role());
  }
  return json;
}

void PutFlows(Json* region, int64_t size) {
  for (const char* flow : {"cpu_usage", "written_bytes", "read_bytes", "written_keys", "read_keys"}) {
    (*region)[flow] = 0;
  }
  (*region)["approximate_size"] = size;
  (*region)["approximate_keys"] = 0;
}

// A region that is not there is told as one without anything.
Json RegionJson(const RegionInfoPtr& info) {
  Json region = {{"id", info == nullptr ? 0 : info->region.id()},
                 {"start_key", info == nullptr ? "" : UpperHex(info->region.start_key())},
                 {"end_key", info == nullptr ? "" : UpperHex(info->region.end_key())}};
  if (info == nullptr) {
    region["leader"] = {{"role_name", ""}};
    PutFlows(&region, 0);
    return region;
  }
  region["epoch"] = {{"conf_ver", info->region.region_epoch().conf_ver()}, {"version", info->region.region_epoch().version()}};
  region["peers"] = Json::array();
  for (const metapb::Peer& peer : info->region.peers()) {
    region["peers"].push_back(PeerJson(peer));
  }
  if (info->leader.id() != 0) {
    region["leader"] = PeerJson(info->leader);
  }
  PutFlows(&region, 1);
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
    regions.push_back(RegionJson(info));
  }
  return PlainJson({{"count", regions.size()}, {"regions", regions}});
}

std::string NotANumber(const std::string& function, const std::string& text) {
  return "strconv." + function + ": parsing \"" + text + "\": invalid syntax";
}

}  // namespace

// --- stores ---

HttpApi::Impl::Json HttpApi::Impl::StoreJson(uint64_t id) const {
  const metapb::Store store = pd_->StoreAsTold(id);
  int leaders = 0;
  int peers = 0;
  for (const auto& [start, info] : pd_->views_.newest()) {
    leaders += info->leader.store_id() == id ? 1 : 0;
    for (const metapb::Peer& peer : info->region.peers()) {
      peers += peer.store_id() == id ? 1 : 0;
    }
  }
  const int64_t started_us = store.start_timestamp() * kMicrosPerSecond;
  const int64_t heard_us = store.last_heartbeat() / 1000;
  const int64_t silent_us = pd_->UnixMicros(pd_->now_us()) - heard_us;
  Json meta = {{"id", id}, {"address", store.address()}};
  if (store.state() != metapb::Up) {
    meta["state"] = static_cast<int>(store.state());
  }
  for (const metapb::StoreLabel& label : store.labels()) {
    meta["labels"].push_back({{"key", label.key()}, {"value", label.value()}});
  }
  meta["version"] = store.version();
  meta["peer_address"] = store.peer_address();
  meta["status_address"] = store.status_address();
  meta["git_hash"] = store.git_hash();
  meta["start_timestamp"] = store.start_timestamp();
  meta["deploy_path"] = store.deploy_path();
  meta["last_heartbeat"] = store.last_heartbeat();
  meta["node_state"] = static_cast<int>(store.node_state());
  meta["state_name"] = store.state() != metapb::Up   ? metapb::StoreState_Name(store.state())
                       : silent_us > kDownUs         ? "Down"
                       : silent_us > kDisconnectedUs ? "Disconnected"
                                                     : "Up";
  Json status = {{"capacity", "8GiB"},
                 {"available", "8GiB"},
                 {"used_size", "0B"},
                 {"leader_count", leaders},
                 {"leader_weight", 1},
                 {"leader_score", leaders},
                 {"leader_size", leaders},
                 {"region_count", peers},
                 {"region_weight", 1},
                 {"region_score", peers},
                 {"region_size", peers},
                 {"slow_score", 1},
                 {"slow_trend", {{"cause_value", 0}, {"cause_rate", 0}, {"result_value", 0}, {"result_rate", 0}}},
                 {"start_ts", Rfc3339(started_us)},
                 {"last_heartbeat_ts", Rfc3339(heard_us)},
                 {"uptime", GoDurationOfMicros(std::max<int64_t>(heard_us - started_us, 0))}};
  return {{"store", meta}, {"status", status}};
}

::http::Response HttpApi::Impl::GetStores(const Question& question) {
  Json stores = Json::array();
  const std::string wanted = question.Query("state");
  for (const auto& [id, store] : pd_->stores_) {
    const bool shown =
        wanted.empty() ? store.state() != metapb::Tombstone : wanted == std::to_string(static_cast<int>(store.state()));
    if (shown) {
      stores.push_back(StoreJson(id));
    }
  }
  return JsonAnswer(200, {{"count", stores.size()}, {"stores", stores}});
}

::http::Response HttpApi::Impl::GetStore(const Question& question) {
  const std::optional<uint64_t> id = ParseNumber(question.pieces[0]);
  if (!id) {
    return BadBodyAnswer();
  }
  if (!pd_->stores_.contains(*id)) {
    return SentenceAnswer(404, "[PD:core:ErrStoreNotFound]store " + std::to_string(*id) + " not found");
  }
  return JsonAnswer(200, StoreJson(*id));
}

// --- regions ---

::http::Response HttpApi::Impl::GetRegions(const Question&) {
  std::vector<RegionInfoPtr> all = ScanRegions(pd_->views_.newest(), "", "", 0);
  std::sort(all.begin(), all.end(), [](const RegionInfoPtr& a, const RegionInfoPtr& b) { return a->region.id() < b->region.id(); });
  return RegionsAnswer(all);
}

::http::Response HttpApi::Impl::GetRegionsByKey(const Question& question) {
  Bytes start = question.Query("key");
  Bytes end = question.Query("end_key");
  if (question.Query("format") == "hex") {
    const Result<Bytes> plain_start = FromHex(start);
    const Result<Bytes> plain_end = FromHex(end);
    if (!plain_start.ok() || !plain_end.ok()) {
      return SentenceAnswer(400, "encoding/hex: " + (plain_start.ok() ? plain_end : plain_start).error().message());
    }
    start = *plain_start;
    end = *plain_end;
  }
  int64_t limit = kRegionsLimit;
  if (const std::string text = question.Query("limit"); !text.empty()) {
    const bool negative = text.front() == '-';
    const std::optional<uint64_t> number = ParseNumber(std::string_view(text).substr(negative ? 1 : 0));
    if (!number) {
      return SentenceAnswer(400, NotANumber("Atoi", text));
    }
    limit = negative ? -1 : std::min<int64_t>(static_cast<int64_t>(std::min<uint64_t>(*number, INT32_MAX)), kRegionsLimitMax);
  }
  return RegionsAnswer(ScanRegions(pd_->views_.newest(), start, end, static_cast<int32_t>(limit)));
}

::http::Response HttpApi::Impl::GetRegionCount(const Question&) {
  return JsonAnswer(200, {{"count", pd_->views_.newest().size()}, {"regions", nullptr}});
}

::http::Response HttpApi::Impl::GetStoreRegions(const Question& question) {
  const std::optional<uint64_t> store = ParseNumber(question.pieces[0]);
  if (!store) {
    return SentenceAnswer(400, NotANumber("Atoi", question.pieces[0]));
  }
  std::vector<RegionInfoPtr> found;
  for (const auto& [start, info] : pd_->views_.newest()) {
    const auto& peers = info->region.peers();
    if (std::any_of(peers.begin(), peers.end(), [&store](const metapb::Peer& peer) { return peer.store_id() == *store; })) {
      found.push_back(info);
    }
  }
  return RegionsAnswer(found);
}

::http::Response HttpApi::Impl::GetRegionById(const Question& question) {
  const std::optional<uint64_t> id = ParseNumber(question.pieces[0]);
  if (!id) {
    return SentenceAnswer(400, NotANumber("ParseUint", question.pieces[0]));
  }
  return PlainJson(RegionJson(FindRegionById(pd_->views_.newest(), RegionId(*id))));
}

::http::Response HttpApi::Impl::GetRegionByKey(const Question& question) {
  Bytes key = question.pieces[0];
  if (question.Query("format") == "hex") {
    const Result<Bytes> plain = FromHex(key);
    if (!plain.ok()) {
      return SentenceAnswer(400, "encoding/hex: " + plain.error().message());
    }
    key = *plain;
  }
  return PlainJson(RegionJson(FindRegion(pd_->views_.newest(), key)));
}

// Always two: where the right one is missing, PD tells the left one again.
::http::Response HttpApi::Impl::GetSiblings(const Question& question) {
  const RegionTable& table = pd_->views_.newest();
  const std::optional<uint64_t> id = ParseNumber(question.pieces[0]);
  if (!id) {
    return SentenceAnswer(400, NotANumber("Atoi", question.pieces[0]));
  }
  const RegionInfoPtr info = FindRegionById(table, RegionId(*id));
  if (info == nullptr) {
    return SentenceAnswer(404, "[PD:region:ErrRegionNotFound]region " + std::to_string(*id) + " not found");
  }
  const RegionInfoPtr left = FindPrevRegion(table, info->region.start_key());
  const RegionInfoPtr right = info->region.end_key().empty() ? left : FindRegion(table, info->region.end_key());
  return RegionsAnswer({left, right});
}

// --- statistics ---

::http::Response HttpApi::Impl::GetRegionStatistics(const Question& question) {
  const std::vector<RegionInfoPtr> found =
      ScanRegions(pd_->views_.newest(), question.Query("start_key"), question.Query("end_key"), 0);
  const auto count = static_cast<int64_t>(found.size());
  const bool count_only = question.query.contains("count");
  Json stats = {{"count", count},
                {"empty_count", count_only ? 0 : count},
                {"storage_size", count_only ? 0 : count},
                {"user_storage_size", 0},
                {"storage_keys", 0}};
  if (count_only) {
    for (const char* name : {"store_leader_count", "store_peer_count", "store_leader_size", "store_leader_keys", "store_peer_size",
                             "store_peer_keys"}) {
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
  const auto zeros = [](const std::map<std::string, int64_t>& counts) {
    Json all = Json::object();
    for (const auto& [id, n] : counts) {
      all[id] = 0;
    }
    return all;
  };
  stats["store_leader_count"] = leaders;
  stats["store_peer_count"] = peers;
  stats["store_leader_size"] = leaders;
  stats["store_leader_keys"] = zeros(leaders);
  stats["store_peer_size"] = peers;
  stats["store_peer_keys"] = zeros(peers);
  return JsonAnswer(200, stats);
}

::http::Response HttpApi::Impl::GetTrend(const Question&) {
  Json stores = Json::array();
  for (const auto& [id, known] : pd_->stores_) {
    const Json store = StoreJson(id);
    stores.push_back({{"id", id},
                      {"address", known.address()},
                      {"state_name", store["store"]["state_name"]},
                      {"capacity", kStoreCapacity},
                      {"available", kStoreCapacity},
                      {"region_count", store["status"]["region_count"]},
                      {"leader_count", store["status"]["leader_count"]},
                      {"start_ts", store["status"]["start_ts"]},
                      {"last_heartbeat_ts", store["status"]["last_heartbeat_ts"]},
                      {"uptime", store["status"]["uptime"]},
                      {"hot_write_flow", 0},
                      {"hot_write_region_flows", nullptr},
                      {"hot_read_flow", 0},
                      {"hot_read_region_flows", nullptr}});
  }
  // The beginning is the year 1 unless it is asked for, and no operator is remembered so far back.
  return JsonAnswer(
      200, {{"stores", stores}, {"history", {{"start", -62135596800}, {"end", pd_->UnixSeconds()}, {"entries", Json::array()}}}});
}

::http::Response HttpApi::Impl::GetHotRegions(const Question& question) {
  if (question.pieces[0] != "write" && question.pieces[0] != "read") {
    return NotFoundAnswer();
  }
  Json stores = Json::object();
  for (const auto& [id, store] : pd_->stores_) {
    Json& flows = stores[std::to_string(id)];
    for (const char* flow : {"store_bytes", "store_keys", "store_query", "store_cpu", "total_flow_bytes", "total_flow_keys",
                             "total_flow_query", "total_flow_cpu", "regions_count"}) {
      flows[flow] = 0;
    }
    flows["statistics"] = Json::array();
  }
  return JsonAnswer(200, {{"as_peer", stores}, {"as_leader", stores}});
}

}  // namespace kvjury::pd
