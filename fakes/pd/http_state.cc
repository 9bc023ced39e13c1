// HttpApi: what people and programs have set, over a restart. One JSON object of PD's own members.
#include "fakes/pd/http_api_internal.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::pd {

void HttpApi::Impl::Save(record::PdState* state, int64_t clock_offset_ms) const {
  if (!touched_) {
    return;
  }
  const auto unix_ms = [clock_offset_ms](Micros us) { return us == 0 ? 0 : clock_offset_ms + us / 1000; };
  Json saved = {
      {"config", config_}, {"ttl", Json::array()},        {"schedulers", Json::array()}, {"region_labels", region_labels_},
      {"rules", rules_},   {"rule_groups", Json::array()}};
  for (const auto& [key, item] : overrides_) {
    saved["ttl"].push_back({{"key", key}, {"value", item.value}, {"expires_ms", unix_ms(item.expires_us)}});
  }
  for (const Scheduler& scheduler : schedulers_) {
    saved["schedulers"].push_back({{"name", scheduler.name},
                                   {"paused_at_ms", unix_ms(scheduler.paused_at_us)},
                                   {"paused_until_ms", unix_ms(scheduler.paused_until_us)}});
  }
  for (const auto& [id, group] : rule_groups_) {
    saved["rule_groups"].push_back({{"id", id}, {"index", group.index}, {"override", group.overrides}});
  }
  state->set_http(saved.dump());
}

Status HttpApi::Impl::Restore(const record::PdState& state, int64_t clock_offset_ms) {
  if (state.http().empty()) {
    return Status::Ok();
  }
  const Json saved = Json::parse(state.http(), nullptr, false);
  for (const char* part : {"config", "ttl", "schedulers", "region_labels", "rules", "rule_groups"}) {
    if (!saved.is_object() || !saved.contains(part)) {
      return Status::DataLoss("PD's record of its configuration is damaged");
    }
  }
  const auto virtual_us = [clock_offset_ms](const Json& unix_ms) {
    return unix_ms.get<int64_t>() == 0 ? 0 : (unix_ms.get<int64_t>() - clock_offset_ms) * 1000;
  };
  touched_ = true;
  config_ = saved["config"];
  region_labels_ = saved["region_labels"];
  rules_ = saved["rules"];
  for (const Json& entry : saved["ttl"]) {
    overrides_[entry["key"].get<std::string>()] = Override{entry["value"], virtual_us(entry["expires_ms"])};
  }
  schedulers_.clear();
  for (const Json& entry : saved["schedulers"]) {
    schedulers_.push_back(
        {entry["name"].get<std::string>(), virtual_us(entry["paused_at_ms"]), virtual_us(entry["paused_until_ms"])});
  }
  for (const Json& entry : saved["rule_groups"]) {
    rule_groups_[entry["id"].get<std::string>()] = RuleGroup{entry["index"].get<int64_t>(), entry["override"].get<bool>()};
  }
  return Status::Ok();
}

}  // namespace kvjury::pd
