// HttpApi: members, the leader, and what describes the cluster as a whole.
#include "fakes/pd/go_text.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

constexpr char kPdVersion[] = "v8.5.7";

nlohmann::ordered_json MemberJson(const Etcd::Member& member) {
  return {{"name", member.name}, {"member_id", member.id}, {"peer_urls", member.peer_urls}, {"client_urls", member.client_urls}};
}

}  // namespace

::http::Response HttpApi::Impl::GetMembers(const Question&) {
  Json members = Json::array();
  for (const Etcd::Member& known : pd_->Members()) {
    Json& member = members.emplace_back(MemberJson(known));
    member["deploy_path"] = "";
    member["binary_version"] = kPdVersion;
    member["git_hash"] = "";
  }
  const Json leader = members[pd_->leader_];
  return JsonAnswer(
      200, {{"header", {{"cluster_id", pd_->cluster_id()}}}, {"members", members}, {"leader", leader}, {"etcd_leader", leader}});
}

::http::Response HttpApi::Impl::GetLeader(const Question&) { return JsonAnswer(200, MemberJson(pd_->Members()[pd_->leader_])); }

::http::Response HttpApi::Impl::GetHealth(const Question&) {
  Json health = Json::array();
  for (const Etcd::Member& known : pd_->Members()) {
    health.push_back({{"name", known.name}, {"member_id", known.id}, {"client_urls", known.client_urls}, {"health", true}});
  }
  return JsonAnswer(200, health);
}

::http::Response HttpApi::Impl::Ping(const Question&) {
  Response response;
  response.set_status(200);
  return response;
}

// The next member leads at once; a single one has nobody to hand over to.
::http::Response HttpApi::Impl::ResignLeader(const Question&) {
  if (pd_->options_.members < 2) {
    return SentenceAnswer(500, "no valid pd to transfer leader");
  }
  pd_->ChangeLeader(0);
  return SentenceAnswer(200, "The resign command is submitted.");
}

::http::Response HttpApi::Impl::TransferLeader(const Question& question) {
  const std::vector<Etcd::Member> members = pd_->Members();
  for (size_t place = 0; place < members.size(); ++place) {
    if (members[place].name == question.pieces[0] && place != pd_->leader_) {
      pd_->MoveLeadership(place, 0);
      return SentenceAnswer(200, "The transfer command is submitted.");
    }
  }
  return SentenceAnswer(500, "no valid pd to transfer leader");
}

::http::Response HttpApi::Impl::GetVersion(const Question&) {
  return JsonAnswer(200, {{"version", kPdVersion}, {"build_time", ""}, {"hash", ""}, {"branch", ""}});
}

::http::Response HttpApi::Impl::GetStatus(const Question&) {
  return JsonAnswer(
      200,
      {{"build_ts", "None"}, {"version", kPdVersion}, {"git_hash", ""}, {"start_timestamp", pd_->options_.clock_start_ms / 1000}});
}

::http::Response HttpApi::Impl::GetCluster(const Question&) {
  return JsonAnswer(200, {{"id", pd_->cluster_id()}, {"max_peer_count", pd_->max_peer_count_}});
}

::http::Response HttpApi::Impl::GetClusterStatus(const Question&) {
  return JsonAnswer(200, {{"raft_bootstrap_time", Rfc3339(pd_->options_.clock_start_ms * 1000)},
                          {"is_initialized", true},
                          {"replication_status", ""}});
}

::http::Response HttpApi::Impl::GetLabels(const Question&) {
  // Each label once, by key and value.
  std::map<std::pair<std::string, std::string>, bool> seen;
  Json labels;
  for (const auto& [id, store] : pd_->stores_) {
    for (const metapb::StoreLabel& label : store.labels()) {
      if (!std::exchange(seen[{label.key(), label.value()}], true)) {
        labels.push_back({{"key", label.key()}, {"value", label.value()}});
      }
    }
  }
  return JsonAnswer(200, labels);
}

::http::Response HttpApi::Impl::GetReplicationStatus(const Question&) {
  return JsonAnswer(200, {{"mode", "majority"}, {"dr-auto-sync", {{"label_key", ""}, {"state", ""}, {"acid_consistent", false}}}});
}

::http::Response HttpApi::Impl::GetServiceMiddleware(const Question&) {
  return JsonAnswer(200, {{"audit", {{"enable-audit", "true"}}},
                          {"rate-limit", {{"enable-rate-limit", "true"}, {"limiter-config", Json::object()}}},
                          {"grpc-rate-limit", {{"enable-grpc-rate-limit", "true"}, {"grpc-limiter-config", Json::object()}}}});
}

}  // namespace kvjury::pd
