// HttpApi: labels of regions. What is set reads back; nothing is scheduled by it. Labels that expire are kept.
#include "fakes/base/bytes.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

using Json = nlohmann::ordered_json;

// What PD wants of a rule; empty if it is in order.
std::string WhyWrong(const Json& rule) {
  const std::string prefix = "[PD:region:ErrRegionRuleContent]invalid region rule content, ";
  const auto text = [](const Json& object, const char* name) {
    return object.is_object() && object.contains(name) && object[name].is_string() ? object[name].get<std::string>()
                                                                                   : std::string();
  };
  if (text(rule, "id").empty()) {
    return prefix + "empty rule id";
  }
  if (!rule.contains("labels") || !rule["labels"].is_array() || rule["labels"].empty()) {
    return prefix + "no region labels";
  }
  for (const Json& label : rule["labels"]) {
    if (text(label, "key").empty()) {
      return prefix + "empty region label key";
    }
    if (text(label, "value").empty()) {
      return prefix + "empty region label value";
    }
  }
  if (text(rule, "rule_type") != "key-range") {
    return prefix + "invalid rule type: " + text(rule, "rule_type");
  }
  if (!rule.contains("data") || !rule["data"].is_array() || rule["data"].empty()) {
    return prefix + "no key ranges";
  }
  for (const Json& range : rule["data"]) {
    const Result<Bytes> start = FromHex(text(range, "start_key"));
    const Result<Bytes> end = FromHex(text(range, "end_key"));
    if (!start.ok() || !end.ok()) {
      return "[PD:hex:ErrHexDecodingString]decode string " + text(range, start.ok() ? "end_key" : "start_key") + " error";
    }
    if (!end->empty() && *end <= *start) {
      return prefix + "endKey should be greater than startKey";
    }
  }
  return {};
}

// PD's own members in its order.
Json Adjusted(const Json& rule) {
  Json adjusted = {{"id", rule["id"]},
                   {"index", rule.value("index", 0)},
                   {"labels", Json::array()},
                   {"rule_type", rule["rule_type"]},
                   {"data", Json::array()}};
  for (const Json& label : rule["labels"]) {
    Json kept = {{"key", label["key"]}, {"value", label["value"]}};
    for (const char* name : {"ttl", "start_at"}) {
      if (const std::string value = label.value(name, ""); !value.empty()) {
        kept[name] = value;
      }
    }
    adjusted["labels"].push_back(std::move(kept));
  }
  for (const Json& range : rule["data"]) {
    adjusted["data"].push_back({{"start_key", range["start_key"]}, {"end_key", range["end_key"]}});
  }
  return adjusted;
}

}  // namespace

void HttpApi::Impl::PutRegionLabel(Json rule) {
  RemoveRegionLabel(rule["id"]);
  region_labels_.push_back(std::move(rule));
}

bool HttpApi::Impl::RemoveRegionLabel(const std::string& id) {
  for (size_t i = 0; i < region_labels_.size(); ++i) {
    if (region_labels_[i]["id"] == id) {
      region_labels_.erase(i);
      return true;
    }
  }
  return false;
}

// All, those that the body names, or one.
::http::Response HttpApi::Impl::GetRegionLabels(const Question& question) {
  if (!question.pieces.empty()) {
    for (const Json& rule : region_labels_) {
      if (rule["id"] == question.pieces[0]) {
        return JsonAnswer(200, rule);
      }
    }
    return JsonAnswer(404, nullptr);
  }
  if (!question.request->path().ends_with("/ids")) {
    return JsonAnswer(200, region_labels_);
  }
  const Json ids = question.Body();
  if (!ids.is_array()) {
    return BadBodyAnswer();
  }
  Json found = Json::array();
  for (const Json& rule : region_labels_) {
    if (std::find(ids.begin(), ids.end(), rule["id"]) != ids.end()) {
      found.push_back(rule);
    }
  }
  return JsonAnswer(200, found);
}

::http::Response HttpApi::Impl::SetRegionLabel(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  if (const std::string wrong = WhyWrong(body); !wrong.empty()) {
    return SentenceAnswer(400, wrong);
  }
  PutRegionLabel(Adjusted(body));
  Changed();
  return SentenceAnswer(200, "Update region label rule successfully.");
}

::http::Response HttpApi::Impl::PatchRegionLabels(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  const Json sets = body.value("sets", Json::array());
  for (const Json& rule : sets) {
    if (const std::string wrong = WhyWrong(rule); !wrong.empty()) {
      return SentenceAnswer(400, wrong);
    }
  }
  for (const Json& id : body.value("deletes", Json::array())) {
    if (id.is_string()) {
      RemoveRegionLabel(id);
    }
  }
  for (const Json& rule : sets) {
    PutRegionLabel(Adjusted(rule));
  }
  Changed();
  return SentenceAnswer(200, "Update region label rules successfully.");
}

::http::Response HttpApi::Impl::DeleteRegionLabel(const Question& question) {
  if (!RemoveRegionLabel(question.pieces[0])) {
    return SentenceAnswer(404, "[PD:region:ErrRegionRuleNotFound]region label rule not found for id " + question.pieces[0]);
  }
  Changed();
  return TextAnswer(200, "Delete rule successfully.");
}

}  // namespace kvjury::pd
