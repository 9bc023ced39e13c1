#include "fakes/ports/control.h"

#include <nlohmann/json.hpp>

#include "fakes/base/memcomparable.h"
#include "fakes/ports/who_waits.h"

namespace kvjury::ports {

namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kBusyBackoffMs = 100;
// `state` tells of the answers of the last ten seconds: no client that comes again waits for longer in between.
constexpr Micros kWaitingWindowUs = 10'000'000;

Micros UsOf(const std::optional<uint64_t>& ms) { return static_cast<Micros>(ms.value_or(0)) * 1'000; }

bool IsForCalls(const std::string& verb) { 
  return verb == "lose-request" || verb == "lose-reply" || verb == "refuse-http" || verb == "slow" || verb == "server-busy";
}

// Regions keep encoded keys, but for those that a raw key made.
std::string UserKeyHex(const Bytes& encoded) {
  const Result<Bytes> key = DecodeBoundary(encoded);
  return ToHex(key.ok() ? *key : encoded);
}

}  // namespace

std::string Control::Execute(std::string_view line) {
  const Result<ControlCommand> command = ParseControlCommand(line);
  Json answer;
  if (!command.ok()) {
    answer["error"] = command.error().message();
    return answer.dump();
  }
  if (command->verb == "state") {
    return State();
  }
  const bool effect = Act(*command);
  effects_[command->verb] += effect ? 1 : 0;
  answer["command"] = FormatControlCommand(*command);
  answer["effect"] = effect;
  if (IsForCalls(command->verb)) {
    answer["planned"] = true;
  }
  return answer.dump();
}

RegionId Control::RegionOf(const ControlCommand& command) const { return cluster_->regions().FindByKey(EncodeBoundary(*command.key))->id; }

bool Control::Act(const ControlCommand& command) {
  const std::string& verb = command.verb;
  const StoreId store(command.store.value_or(0));
  record::Fault fault;
  if (verb == "split") {
    return cluster_->SplitAt(*command.key);
  }
  if (verb == "merge") {
    return cluster_->MergeWithNext(RegionOf(command));
  }
  if (verb == "transfer-leader") {
    return cluster_->TransferLeader(RegionOf(command), store);
  }
  if (verb == "kill-store") {
    return cluster_->KillStore(store, UsOf(command.for_ms));
  }
  if (verb == "revive-store") {
    return cluster_->ReviveStore(store);
  }
  if (verb == "pause-store") {
    return cluster_->PauseStore(store, UsOf(command.for_ms));
  }
  if (verb == "lose-request") {
    fault.mutable_lose_request();
    Wish(command, std::move(fault), 0);
    return true;
  }
  if (verb == "refuse-http") {
    Wish(command, std::move(fault), 0);
    return true;
  }
  if (verb == "lose-reply") {
    fault.mutable_lose_reply();
    Wish(command, std::move(fault), 0);
    return true;
  }
  if (verb == "slow") {
    Wish(command, std::move(fault), *command.by_ms);
    return *command.by_ms > 0;
  }
  if (verb == "server-busy") {
    fault.mutable_server_busy()->set_backoff_ms(static_cast<int64_t>(command.by_ms.value_or(kBusyBackoffMs)));
    Wish(command, std::move(fault), 0);
    return true;
  }
  if (verb == "pd-leader-change") {
    return cluster_->PdLeaderChange(UsOf(command.for_ms));
  }
  if (verb == "clock-jump") {
    return cluster_->JumpClock(static_cast<int64_t>(*command.by_ms));
  }
  if (verb == "stale-routes") {
    return cluster_->StaleRoutes(UsOf(command.by_ms), UsOf(command.for_ms));
  }
  if (verb == "gc-now") {
    return cluster_->GcNow();
  }
  CHECK(verb == "heal") << verb;
  script_->Clear();
  cluster_->Heal();
  return true;
}

void Control::Wish(const ControlCommand& command, record::Fault fault, uint64_t delay_ms) {
  CallScript::Wish wish;
  wish.method = command.method.value_or("");
  wish.only_at_stores = fault.has_server_busy();
  wish.refuse = command.verb == "refuse-http";
  wish.fault = std::move(fault);
  wish.delay_us = static_cast<Micros>(delay_ms) * 1'000;
  // A delay lasts until something ends it; a loss is for the next call.
  wish.count = command.count.value_or(command.verb == "slow" ? 0 : 1);
  wish.until_us = command.for_ms ? cluster_->world()->scheduler().now_us() + UsOf(command.for_ms) : 0;
  script_->Add(std::move(wish));
}

std::string Control::State() const {
  Json state;
  state["cluster_id"] = std::to_string(cluster_->pd().cluster_id());
  state["pd"] = {{"available", cluster_->pd().available()},
                 {"last_timestamp", std::to_string(cluster_->pd().oracle().last().value())},
                 {"gc_safe_point", std::to_string(cluster_->pd().gc_safe_point().value())},
                 {"service_safe_point", std::to_string(cluster_->pd().service_safe_point().value())}};
  state["stores"] = Json::array();
  for (const StoreId id : cluster_->store_ids()) {
    uint64_t leaders = 0;
    for (const auto& [start, region] : cluster_->regions().by_start()) {
      leaders += cluster_->raft().Leader(region->id) == id ? 1 : 0;
    }
    state["stores"].push_back({{"id", id.value()}, {"alive", cluster_->Run(id)->alive}, {"responds", cluster_->Responds(id)}, {"leaders", leaders}});
  }
  state["regions"] = Json::array();
  for (const auto& [start, region] : cluster_->regions().by_start()) {
    const StoreId leader = cluster_->raft().Leader(region->id);
    Json entry = {{"id", region->id.value()}, {"start", UserKeyHex(region->start)}, {"end", UserKeyHex(region->end)},
                  {"version", region->version}, {"conf_ver", region->conf_ver}, {"leader_store", leader.valid() ? leader.value() : 0}};
    if (region->merging) {
      entry["merging"] = true;
    }
    state["regions"].push_back(std::move(entry));
  }
  state["calls"] = Json::object();
  for (const auto& [where, counts] : calls_->counts()) {
    state["calls"][where.first][where.second] = {{"calls", counts.calls}, {"failed", counts.failed}};
  }
  state["commands"] = effects_;
  state["faults"] = cluster_->world()->faults().fired_counts();
  state["delays"] = cluster_->world()->faults().fired_nudges().size();
  state["open_wishes"] = script_->open_wishes();
  WhoWaitsQuery query;
  query.since_us = cluster_->world()->scheduler().now_us() - kWaitingWindowUs;
  state["waiting"] = WhoWaits(cluster_, script_->waiting(), query);
  return state.dump();
}

}  // namespace kvjury::ports
