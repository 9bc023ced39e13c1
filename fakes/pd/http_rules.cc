// HttpApi: placement rules. What is set reads back in PD's own form and order; nothing is placed by it.
#include <algorithm>
#include <array>

#include "fakes/base/bytes.h"
#include "fakes/base/memcomparable.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

Status WrongRule(const std::string& why) {
  return Status::InvalidArgument("[PD:placement:ErrRuleContent]invalid rule content, " + why);
}

// Of the types that PD decodes into; what is absent is zero.
std::string TextOf(const Json& given, const char* name) {
  return given.contains(name) && given[name].is_string() ? given[name].get<std::string>() : "";
}
int64_t NumberOf(const Json& given, const char* name) {
  return given.contains(name) && given[name].is_number_integer() ? given[name].get<int64_t>() : 0;
}
bool TruthOf(const Json& given, const char* name) {
  return given.contains(name) && given[name].is_boolean() && given[name].get<bool>();
}

Status CheckKey(const std::string& hex, const char* which, Bytes* key) {
  const Result<Bytes> decoded = FromHex(hex);
  if (!decoded.ok()) {
    return Status::InvalidArgument("[PD:hex:ErrHexDecodingString]decode string " + hex + " error");
  }
  *key = *decoded;
  if (!key->empty() && !DecodeKey(*key).ok()) {
    return WrongRule(std::string(which) + " key should be encoded in table mode: insufficient bytes to decode value");
  }
  return Status::Ok();
}

}  // namespace

Result<HttpApi::Impl::Json> HttpApi::Impl::AdjustedRule(const Json& given, const std::string& group) const {
  if (!given.is_object()) {
    return WrongRule("it is no object");
  }
  Json rule = {{"group_id", TextOf(given, "group_id")}, {"id", TextOf(given, "id")}};
  if (const int64_t index = NumberOf(given, "index"); index != 0) {
    rule["index"] = index;
  }
  if (TruthOf(given, "override")) {
    rule["override"] = true;
  }
  rule["start_key"] = TextOf(given, "start_key");
  rule["end_key"] = TextOf(given, "end_key");
  rule["role"] = TextOf(given, "role");
  rule["is_witness"] = TruthOf(given, "is_witness");
  rule["count"] = NumberOf(given, "count");
  for (const char* list : {"label_constraints", "location_labels"}) {
    if (given.contains(list) && given[list].is_array() && !given[list].empty()) {
      rule[list] = given[list];
    }
  }
  if (const std::string level = TextOf(given, "isolation_level"); !level.empty()) {
    rule["isolation_level"] = level;
  }
  Bytes start;
  Bytes end;
  RETURN_IF_ERROR(CheckKey(rule["start_key"], "start", &start));
  RETURN_IF_ERROR(CheckKey(rule["end_key"], "end", &end));
  if (!end.empty() && end <= start) {
    return WrongRule("endKey should be greater than startKey");
  }
  const std::string named = rule["group_id"];
  if (!group.empty() && !named.empty() && named != group) {
    return WrongRule("rule group " + named + " does not match group ID " + group);
  }
  rule["group_id"] = named.empty() ? group : named;
  if (rule["group_id"] == "") {
    return WrongRule("group ID should not be empty");
  }
  if (rule["id"] == "") {
    return WrongRule("ID should not be empty");
  }
  constexpr std::array kRoles = {"voter", "leader", "follower", "learner"};
  const std::string role = rule["role"];
  if (std::find(kRoles.begin(), kRoles.end(), role) == kRoles.end()) {
    return WrongRule("invalid role " + role);
  }
  const int64_t count = rule["count"];
  if (count <= 0) {
    return WrongRule("invalid count " + std::to_string(count));
  }
  if (role == "leader" && count > 1) {
    return WrongRule("define multiple leaders by count " + std::to_string(count));
  }
  return rule;
}

void HttpApi::Impl::PutRule(Json rule) {
  RemoveRule(rule["group_id"], rule["id"]);
  if (rule["group_id"] == "pd" && rule["id"] == "default") {
    config_["replication"]["max-replicas"] = rule["count"];
  }
  const auto order = [this](const Json& r) {
    const std::string group = r["group_id"];
    const auto found = rule_groups_.find(group);
    return std::tuple(found == rule_groups_.end() ? 0 : found->second.index, group, r.value("index", int64_t{0}),
                      r["id"].get<std::string>());
  };
  rules_.push_back(std::move(rule));
  std::stable_sort(rules_.begin(), rules_.end(), [&order](const Json& a, const Json& b) { return order(a) < order(b); });
}

bool HttpApi::Impl::RemoveRule(const std::string& group, const std::string& id) {
  for (size_t i = 0; i < rules_.size(); ++i) {
    if (rules_[i]["group_id"] == group && rules_[i]["id"] == id) {
      rules_.erase(i);
      return true;
    }
  }
  return false;
}

// --- single rules ---

::http::Response HttpApi::Impl::GetRules(const Question& question) {
  if (question.pieces.empty()) {
    return JsonAnswer(200, rules_);
  }
  Json found = Json::array();
  std::copy_if(rules_.begin(), rules_.end(), std::back_inserter(found),
               [&question](const Json& rule) { return rule["group_id"] == question.pieces[0]; });
  return JsonAnswer(200, found.empty() ? Json() : found);
}

::http::Response HttpApi::Impl::SetRules(const Question& question) {
  const Json body = question.Body();
  if (!body.is_array()) {
    return BadBodyAnswer();
  }
  std::vector<Json> adjusted;
  for (const Json& given : body) {
    Result<Json> rule = AdjustedRule(given, "");
    if (!rule.ok()) {
      return SentenceAnswer(400, rule.error().message());
    }
    adjusted.push_back(*std::move(rule));
  }
  for (Json& rule : adjusted) {
    PutRule(std::move(rule));
  }
  Changed();
  return SentenceAnswer(200, "Update rules successfully.");
}

::http::Response HttpApi::Impl::GetRule(const Question& question) {
  for (const Json& rule : rules_) {
    if (rule["group_id"] == question.pieces[0] && rule["id"] == question.pieces[1]) {
      return JsonAnswer(200, rule);
    }
  }
  return SentenceAnswer(404, "[PD:placement:ErrRuleNotFound]rule not found");
}

::http::Response HttpApi::Impl::SetRule(const Question& question) {
  Result<Json> rule = AdjustedRule(question.Body(), "");
  if (!rule.ok()) {
    return SentenceAnswer(400, rule.error().message());
  }
  PutRule(*std::move(rule));
  Changed();
  return SentenceAnswer(200, "Update rule successfully.");
}

::http::Response HttpApi::Impl::DeleteRule(const Question& question) {
  RemoveRule(question.pieces[0], question.pieces[1]);
  Changed();
  return SentenceAnswer(200, "Delete rule successfully.");
}

::http::Response HttpApi::Impl::BatchRules(const Question& question) {
  const Json body = question.Body();
  if (!body.is_array()) {
    return BadBodyAnswer();
  }
  std::vector<std::pair<std::string, Json>> operations;
  for (const Json& operation : body) {
    const std::string action = operation.is_object() ? TextOf(operation, "action") : "";
    if (action == "add") {
      Result<Json> rule = AdjustedRule(operation, "");
      if (!rule.ok()) {
        return SentenceAnswer(400, rule.error().message());
      }
      operations.emplace_back(action, *std::move(rule));
    } else {
      operations.emplace_back(action, operation);
    }
  }
  for (auto& [action, rule] : operations) {
    if (action == "add") {
      PutRule(std::move(rule));
    } else if (action == "del" && !TruthOf(rule, "delete_by_id_prefix")) {
      RemoveRule(TextOf(rule, "group_id"), TextOf(rule, "id"));
    } else if (action == "del") {
      const std::string group = TextOf(rule, "group_id");
      const std::string prefix = TextOf(rule, "id");
      for (size_t i = rules_.size(); i-- > 0;) {
        if (rules_[i]["group_id"] == group && rules_[i]["id"].get<std::string>().starts_with(prefix)) {
          rules_.erase(i);
        }
      }
    }
  }
  Changed();
  return SentenceAnswer(200, "Batch operations successfully.");
}

// --- groups ---

::http::Response HttpApi::Impl::GetRuleGroups(const Question& question) {
  std::map<std::string, RuleGroup> groups = rule_groups_;
  for (const Json& rule : rules_) {
    groups.try_emplace(rule["group_id"].get<std::string>());
  }
  const auto shown = [](const std::string& id, const RuleGroup& group) {
    Json json = {{"id", id}};
    if (group.index != 0) {
      json["index"] = group.index;
    }
    if (group.overrides) {
      json["override"] = true;
    }
    return json;
  };
  if (!question.pieces.empty()) {
    const auto found = groups.find(question.pieces[0]);
    return found == groups.end() ? JsonAnswer(404, nullptr) : JsonAnswer(200, shown(found->first, found->second));
  }
  std::vector<std::pair<std::string, RuleGroup>> sorted(groups.begin(), groups.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.index < b.second.index; });
  Json all = Json::array();
  for (const auto& [id, group] : sorted) {
    all.push_back(shown(id, group));
  }
  return JsonAnswer(200, all);
}

::http::Response HttpApi::Impl::SetRuleGroup(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  rule_groups_[TextOf(body, "id")] = RuleGroup{NumberOf(body, "index"), TruthOf(body, "override")};
  Changed();
  return SentenceAnswer(200, "Update rule group successfully.");
}

::http::Response HttpApi::Impl::DeleteRuleGroup(const Question& question) {
  rule_groups_.erase(question.pieces[0]);
  Changed();
  return SentenceAnswer(200, "Delete rule group successfully.");
}

// --- groups with their rules ---

HttpApi::Impl::Json HttpApi::Impl::BundleOf(const std::string& group) const {
  const auto found = rule_groups_.find(group);
  const RuleGroup known = found == rule_groups_.end() ? RuleGroup() : found->second;
  Json rules;
  for (const Json& rule : rules_) {
    if (rule["group_id"] == group) {
      rules.push_back(rule);
    }
  }
  return {{"group_id", group}, {"group_index", known.index}, {"group_override", known.overrides}, {"rules", rules}};
}

::http::Response HttpApi::Impl::GetBundles(const Question& question) {
  if (!question.pieces.empty()) {
    return JsonAnswer(200, BundleOf(question.pieces[0]));
  }
  std::map<std::string, bool> groups;
  for (const Json& rule : rules_) {
    groups[rule["group_id"].get<std::string>()] = true;
  }
  for (const auto& [id, group] : rule_groups_) {
    groups[id] = true;
  }
  Json bundles = Json::array();
  for (const auto& [id, known] : groups) {
    bundles.push_back(BundleOf(id));
  }
  std::stable_sort(bundles.begin(), bundles.end(),
                   [](const Json& a, const Json& b) { return a["group_index"].get<int64_t>() < b["group_index"].get<int64_t>(); });
  return JsonAnswer(200, bundles);
}

Status HttpApi::Impl::PutBundle(const Json& bundle, const std::string& group) {
  std::vector<Json> adjusted;
  for (const Json& given : bundle.value("rules", Json::array())) {
    Result<Json> rule = AdjustedRule(given, group);
    RETURN_IF_ERROR(rule.status());
    adjusted.push_back(*std::move(rule));
  }
  for (size_t i = rules_.size(); i-- > 0;) {
    if (rules_[i]["group_id"] == group) {
      rules_.erase(i);
    }
  }
  rule_groups_[group] = RuleGroup{NumberOf(bundle, "group_index"), TruthOf(bundle, "group_override")};
  for (Json& rule : adjusted) {
    PutRule(std::move(rule));
  }
  return Status::Ok();
}

::http::Response HttpApi::Impl::SetBundles(const Question& question) {
  const Json body = question.Body();
  const bool one = !question.pieces.empty();
  if (one ? !body.is_object() : !body.is_array()) {
    return BadBodyAnswer();
  }
  if (one) {
    const std::string named = TextOf(body, "group_id");
    if (!named.empty() && named != question.pieces[0]) {
      return SentenceAnswer(400, "group id " + named + " does not match request URI " + question.pieces[0]);
    }
    if (const Status put = PutBundle(body, question.pieces[0]); !put.ok()) {
      return SentenceAnswer(400, put.message());
    }
    Changed();
    return SentenceAnswer(200, "Update group and rules successfully.");
  }
  const Json old_rules = rules_;
  const std::map<std::string, RuleGroup> old_groups = rule_groups_;
  if (!question.query.contains("partial")) {
    rules_ = Json::array();
    rule_groups_.clear();
  }
  for (const Json& bundle : body) {
    if (const Status put = PutBundle(bundle, TextOf(bundle, "group_id")); !put.ok()) {
      rules_ = old_rules;
      rule_groups_ = old_groups;
      return SentenceAnswer(400, put.message());
    }
  }
  Changed();
  return SentenceAnswer(200, "Update rules and groups successfully.");
}

::http::Response HttpApi::Impl::DeleteBundle(const Question& question) {
  for (size_t i = rules_.size(); i-- > 0;) {
    if (rules_[i]["group_id"] == question.pieces[0]) {
      rules_.erase(i);
    }
  }
  rule_groups_.erase(question.pieces[0]);
  Changed();
  return SentenceAnswer(200, "Delete group and rules successfully.");
}

}  // namespace kvjury::pd
