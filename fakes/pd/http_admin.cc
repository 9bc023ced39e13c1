// HttpApi: safe points, timestamps, ids, marks, and the key spaces of /pd/api/v2.
#include <algorithm>
#include <array>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMicrosPerSecond = 1'000'000;

Json KeyspaceJson(const keyspacepb::KeyspaceMeta& meta) {
  Json json = {{"id", meta.id()},
               {"name", meta.name()},
               {"state", keyspacepb::KeyspaceState_Name(meta.state())},
               {"created_at", meta.created_at()},
               {"state_changed_at", meta.state_changed_at()}};
  const std::map<std::string, std::string> config(meta.config().begin(), meta.config().end());
  if (!config.empty()) {
    json["config"] = config;
  }
  return json;
}

// The second interface writes with four spaces and no line end.
::http::Response IndentedAnswer(uint32_t status, const Json& body) {
  ::http::Response response = JsonAnswer(status, body);
  response.set_content_type("application/json; charset=utf-8");
  response.set_body(body.dump(4));
  return response;
}

::http::Response PlainAnswer(uint32_t status, const Json& body) {
  ::http::Response response = IndentedAnswer(status, body);
  response.set_body(body.dump());
  return response;
}

::http::Response KeyspaceAnswer(const Result<keyspacepb::KeyspaceMeta>& result) {
  return result.ok() ? IndentedAnswer(200, KeyspaceJson(*result)) : PlainAnswer(500, result.error().message());
}

// The four boundaries of a key space, raw and transactional, as regions keep them.
std::array<Bytes, 4> BoundariesOf(uint32_t id) {
  const auto key = [](char mode, uint32_t number) {
    return EncodeKey(Bytes{mode, static_cast<char>(number >> 16), static_cast<char>(number >> 8), static_cast<char>(number)});
  };
  return {key('r', id), key('r', id + 1), key('x', id), key('x', id + 1)};
}

}  // namespace

// --- safe points ---

::http::Response HttpApi::Impl::GetSafePoints(const Question&) {
  Json services = Json::array();
  uint64_t smallest = UINT64_MAX;
  for (const auto& [name, entry] : pd_->gc_.LiveServices()) {
    const int64_t expires = entry.expires_us == INT64_MAX ? INT64_MAX : pd_->UnixMicros(entry.expires_us) / kMicrosPerSecond;
    services.push_back({{"service_id", name}, {"expired_at", expires}, {"safe_point", entry.ts.value()}});
    smallest = std::min(smallest, entry.ts.value());
  }
  Json answer = {{"service_gc_safe_points", services}};
  if (!services.empty() && smallest != 0) {
    answer["min_service_gc_safe_point"] = smallest;
  }
  answer["gc_safe_point"] = pd_->gc_safe_point().value();
  return JsonAnswer(200, answer);
}

::http::Response HttpApi::Impl::DeleteSafePoint(const Question& question) {
  if (question.pieces[0] == "gc_worker") {
    return SentenceAnswer(500, "cannot remove service safe point of gc_worker");
  }
  pd_->gc_.RemoveService(question.pieces[0]);
  return SentenceAnswer(200, "Delete service GC safepoint successfully.");
}

// --- timestamps ---

uint64_t HttpApi::Impl::MinResolvedTsOf(uint64_t store, uint64_t now) const {
  if (!pd_->stores_.contains(store)) {
    return UINT64_MAX;
  }
  // The cluster's own stores report at once; others as they said last.
  const auto reported = pd_->min_resolved_ts_.find(store);
  if (reported != pd_->min_resolved_ts_.end()) {
    return reported->second;
  }
  return pd_->placement_ == nullptr ? now : pd_->placement_->Resolved("", "", Timestamp(now)).value();
}

::http::Response HttpApi::Impl::GetMinResolvedTs(const Question& question) {
  const Result<Timestamp> allocated = pd_->AllocateTimestamp();
  const uint64_t now = allocated.ok() ? allocated->value() : 0;
  Json stores;
  uint64_t smallest = UINT64_MAX;
  for (const auto& [id, store] : pd_->stores_) {
    smallest = std::min(smallest, MinResolvedTsOf(id, now));
  }
  if (!question.pieces.empty()) {
    const std::optional<uint64_t> store = ParseNumber(question.pieces[0]);
    if (!store) {
      return SentenceAnswer(400, "strconv.ParseUint: parsing \"" + question.pieces[0] + "\": invalid syntax");
    }
    smallest = MinResolvedTsOf(*store, now);
  } else if (std::string scope = question.Query("scope"); scope == "cluster") {
    for (const auto& [id, store] : pd_->stores_) {
      stores[std::to_string(id)] = MinResolvedTsOf(id, now);
    }
  } else if (!scope.empty()) {
    smallest = UINT64_MAX;
    std::map<std::string, uint64_t> told;
    for (scope += ","; !scope.empty(); scope.erase(0, scope.find(',') + 1)) {
      const std::string text = scope.substr(0, scope.find(','));
      const std::optional<uint64_t> store = ParseNumber(text);
      if (!store) {
        return SentenceAnswer(400, "strconv.ParseUint: parsing \"" + text + "\": invalid syntax");
      }
      told[text] = MinResolvedTsOf(*store, now);
      smallest = std::min(smallest, told[text]);
    }
    stores = told;
  }
  return JsonAnswer(
      200, {{"is_real_time", true}, {"min_resolved_ts", smallest}, {"persist_interval", "1s"}, {"stores_min_resolved_ts", stores}});
}

::http::Response HttpApi::Impl::ResetTs(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  if (!body.contains("tso") || !body["tso"].is_string()) {
    return SentenceAnswer(400, "invalid tso value");
  }
  if (body.contains("force-use-larger") && !body["force-use-larger"].is_boolean()) {
    return SentenceAnswer(400, "invalid force-use-larger value");
  }
  const pdhttp::ResetTsResponse done = pd_->ResetTsTo(body["tso"].get<std::string>(), body.value("force-use-larger", false));
  return JsonAnswer(done.status(), Json::parse(done.body(), nullptr, false));
}

// --- ids and marks ---

::http::Response HttpApi::Impl::SetBaseId(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  const std::optional<uint64_t> id =
      body.contains("id") && body["id"].is_string() ? ParseNumber(body["id"].get<std::string>()) : std::nullopt;
  if (!id) {
    return TextAnswer(400, "invalid id value");
  }
  if (!pd_->etcd_.Find(pd_->SnapshotRecoveringKey())) {
    return TextAnswer(403, "can only recover alloc id when recovering mark marked");
  }
  pd_->last_id_ = std::max(pd_->last_id_, *id);
  pd_->StateChanged();
  return TextAnswer(200, "");
}

::http::Response HttpApi::Impl::GetSnapshotMark(const Question&) {
  return JsonAnswer(200, {{"marked", pd_->etcd_.Find(pd_->SnapshotRecoveringKey()).has_value()}});
}

::http::Response HttpApi::Impl::SetSnapshotMark(const Question& question) {
  if (question.method == "POST") {
    pd_->etcd_.Set(pd_->SnapshotRecoveringKey(), "on");
  } else {
    etcdserverpb::DeleteRangeRequest erase;
    erase.set_key(pd_->SnapshotRecoveringKey());
    pd_->etcd_.Erase(erase);
  }
  return TextAnswer(200, "");
}

// --- key spaces ---

::http::Response HttpApi::Impl::GetKeyspaces(const Question& question) {
  const std::string token = question.Query("page_token");
  const std::string limit_text = question.Query("limit");
  const std::optional<uint64_t> start = token.empty() ? 0 : ParseNumber(token);
  const std::optional<uint64_t> limit = limit_text.empty() ? 0 : ParseNumber(limit_text);
  if (!start || !limit) {
    return PlainAnswer(400, "strconv.ParseUint: parsing \"" + (start ? limit_text : token) + "\": invalid syntax");
  }
  // One more tells whether there is a next page.
  Result<std::vector<keyspacepb::KeyspaceMeta>> found =
      pd_->keyspaces_.List(static_cast<uint32_t>(std::min<uint64_t>(*start, UINT32_MAX)), *limit == 0 ? 0 : *limit + 1);
  if (!found.ok()) {
    return PlainAnswer(500, found.error().message());
  }
  std::string next;
  if (*limit != 0 && found->size() > *limit) {
    next = std::to_string(found->back().id());
    found->pop_back();
  }
  Json all;
  for (const keyspacepb::KeyspaceMeta& meta : *found) {
    all.push_back(KeyspaceJson(meta));
  }
  return IndentedAnswer(200, {{"keyspaces", all}, {"next_page_token", next}});
}

::http::Response HttpApi::Impl::GetKeyspace(const Question& question) {
  if (question.request->path().find("/keyspaces/id/") == std::string::npos) {
    return KeyspaceAnswer(pd_->keyspaces_.Find(question.pieces[0]));
  }
  const std::optional<uint64_t> id = ParseNumber(question.pieces[0]);
  return id ? KeyspaceAnswer(pd_->keyspaces_.Find(static_cast<uint32_t>(*id))) : PlainAnswer(500, "invalid keyspace id");
}

// Regions split at its boundaries, and they get its label.
::http::Response HttpApi::Impl::CreateKeyspace(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object() || !body.contains("name") || !body["name"].is_string()) {
    return PlainAnswer(400, "[PD:gin:ErrBindJSON]bind JSON error");
  }
  std::map<std::string, std::string> config;
  const Json given = body.value("config", Json::object());
  for (const auto& [key, value] : given.items()) {
    if (!value.is_string()) {
      return PlainAnswer(400, "[PD:gin:ErrBindJSON]bind JSON error");
    }
    config[key] = value.get<std::string>();
  }
  const Result<keyspacepb::KeyspaceMeta> made = pd_->keyspaces_.Create(body["name"].get<std::string>(), config);
  if (made.ok()) {
    const std::array<Bytes, 4> boundaries = BoundariesOf(made->id());
    PutRegionLabel({{"id", "keyspaces/" + std::to_string(made->id())},
                    {"index", 0},
                    {"labels", Json::array({{{"key", "id"}, {"value", std::to_string(made->id())}}})},
                    {"rule_type", "key-range"},
                    {"data", Json::array({{{"start_key", ToHex(boundaries[0])}, {"end_key", ToHex(boundaries[1])}},
                                          {{"start_key", ToHex(boundaries[2])}, {"end_key", ToHex(boundaries[3])}}})}});
    Changed();
    for (const Bytes& boundary : boundaries) {
      if (pd_->placement_ != nullptr) {
        pd_->placement_->SplitAtEncoded(boundary);
      }
    }
  }
  return KeyspaceAnswer(made);
}

::http::Response HttpApi::Impl::SetKeyspaceConfig(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object() || !body.contains("config") || !body["config"].is_object()) {
    return PlainAnswer(400, "[PD:gin:ErrBindJSON]bind JSON error");
  }
  std::map<std::string, std::optional<std::string>> changes;
  for (const auto& [key, value] : body["config"].items()) {
    if (key == "gc_management_type" && value == "keyspace_level_gc") {
      return PlainAnswer(500, "it's a unsupported operation");
    }
    changes[key] = value.is_string() ? std::optional(value.get<std::string>()) : std::nullopt;
  }
  return KeyspaceAnswer(pd_->keyspaces_.SetConfig(question.pieces[0], changes));
}

::http::Response HttpApi::Impl::SetKeyspaceState(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object() || !body.contains("state") || !body["state"].is_string()) {
    return PlainAnswer(400, "[PD:gin:ErrBindJSON]bind JSON error");
  }
  std::string name = body["state"];
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  keyspacepb::KeyspaceState state = keyspacepb::ENABLED;
  if (!keyspacepb::KeyspaceState_Parse(name, &state)) {
    return PlainAnswer(400, Json::object());
  }
  const Result<keyspacepb::KeyspaceMeta> found = pd_->keyspaces_.Find(question.pieces[0]);
  return KeyspaceAnswer(found.ok() ? pd_->keyspaces_.SetState(found->id(), state) : found);
}

}  // namespace kvjury::pd
