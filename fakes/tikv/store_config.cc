#include "fakes/tikv/store_config.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace kvjury::tikv {

namespace {

using Json = nlohmann::ordered_json;

constexpr char kPessimistic[] = "pessimistic-txn";
constexpr char kWaitForLockTimeout[] = "wait-for-lock-timeout";
constexpr char kWakeUpDelay[] = "wake-up-delay-duration";

struct Unit {
  std::string_view name;
  Micros us;
};
// In the order in which they may follow each other.
constexpr Unit kUnits[] = {{"d", 86'400'000'000}, {"h", 3'600'000'000}, {"m", 60'000'000},
                           {"s", 1'000'000},      {"ms", 1'000},        {"us", 1}};

std::string TextOf(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

Status CannotParse(const std::string& text) { return Status::InvalidArgument("failed to parse: " + text); }

// The value with the type of the one that it replaces.
Result<Json> Retyped(const Json& old, const std::string& text) {
  if (old.is_boolean()) {
    return text == "true" || text == "false" ? Result<Json>(Json(text == "true")) : CannotParse(text);
  }
  return ParseReadableDuration(text).ok() ? Result<Json>(Json(text)) : CannotParse(text);
}

}  // namespace

Result<Micros> ParseReadableDuration(std::string_view text) {
  Micros total = 0;
  size_t unit = 0;
  std::string_view left = text;
  while (!left.empty()) {
    const size_t digits = std::min(left.find_first_not_of("0123456789"), left.size());
    uint32_t number = 0;
    const auto parsed = std::from_chars(left.data(), left.data() + digits, number);
    left.remove_prefix(digits);
    const std::string_view name = left.substr(0, left.find_first_of("0123456789"));
    while (unit < std::size(kUnits) && kUnits[unit].name != name) {
      ++unit;
    }
    if (parsed.ec != std::errc() || digits == 0 || unit == std::size(kUnits)) {
      return CannotParse(std::string(text));
    }
    total += kUnits[unit++].us * number;
    left.remove_prefix(name.size());
  }
  return text.empty() ? Result<Micros>(CannotParse("")) : Result<Micros>(total);
}

struct StoreConfig::Items {
  Json json;
};

StoreConfig::StoreConfig(const std::string& address, const std::string& status_address)
    : items_(std::make_unique<Items>()), wait_for_lock_timeout_us_(1'000'000), wake_up_delay_us_(20'000) {
  items_->json = {{"server", {{"addr", address}, {"status-addr", status_address}}},
                  {"storage", {{"api-version", 1}, {"enable-ttl", false}}},
                  {"coprocessor",
                   {{"region-max-size", "384MiB"},
                    {"region-split-size", "256MiB"},
                    {"region-max-keys", 3840000},
                    {"region-split-keys", 2560000}}},
                  {"pessimistic-txn",
                   {{kWaitForLockTimeout, "1s"}, {kWakeUpDelay, "20ms"}, {"pipelined", true}, {"in-memory", true}}},
                  {"import", {{"num-threads", 8}}}};
}

StoreConfig::~StoreConfig() = default;

std::string StoreConfig::ToJson() const { return items_->json.dump(); }

Status StoreConfig::Change(std::string_view json) {
  const Json change = Json::parse(json, nullptr, false);
  if (!change.is_object()) {
    return Status::InvalidArgument("failed to decode, error: \"wrong format: " + std::string(json) + "\"");
  }
  Json changed = items_->json;
  for (const auto& [name, value] : change.items()) {
    const size_t dot = name.find('.');
    const std::string section = name.substr(0, dot);
    const std::string item = dot == std::string::npos ? std::string() : name.substr(dot + 1);
    if (!changed.contains(section) || (!item.empty() && !changed[section].contains(item))) {
      const std::string unknown = changed.contains(section) ? item : section;
      return Status::InvalidArgument("failed to update, error: \"unexpect fields: " + unknown + "\"");
    }
    if (section != kPessimistic || item.empty()) {
      return Status::InvalidArgument("failed to update, error: \"config " + (item.empty() ? section : item) +
                                     " can not be changed\"");
    }
    Result<Json> typed = Retyped(changed[section][item], TextOf(value));
    if (!typed.ok()) {
      return Status::InvalidArgument("failed to update, error: \"" + typed.error().message() + "\"");
    }
    changed[section][item] = *std::move(typed);
  }
  items_->json = std::move(changed);
  const Json& waiting = items_->json[kPessimistic];
  wait_for_lock_timeout_us_ = *ParseReadableDuration(waiting[kWaitForLockTimeout].get<std::string>());
  wake_up_delay_us_ = *ParseReadableDuration(waiting[kWakeUpDelay].get<std::string>());
  return Status::Ok();
}

}  // namespace kvjury::tikv
