// HttpApi: schedulers, operators, and what may be asked of scheduling.
#include <algorithm>

#include "fakes/base/bytes.h"
#include "fakes/pd/go_text.h"
#include "fakes/pd/http_api_internal.h"

namespace kvjury::pd {

namespace {

constexpr char kNoScheduler[] = "[PD:scheduler:ErrSchedulerNotFound]scheduler not found";
constexpr char kNoOperator[] = "[PD:operator:ErrOperatorNotFound]operator not found";
constexpr Micros kMicrosPerSecond = 1'000'000;
constexpr int64_t kPauseSecondsMax = int64_t{1} << 40;

}  // namespace

// --- schedulers ---

::http::Response HttpApi::Impl::GetSchedulers(const Question& question) {
  const std::string status = question.Query("status");
  const Micros now_us = pd_->now_us();
  Json names = Json::array();
  for (const Scheduler& scheduler : schedulers_) {
    if (status == "disabled" || (status == "paused" && scheduler.paused_until_us <= now_us)) {
      continue;
    }
    if (status == "paused" && question.query.contains("timestamp")) {
      names.push_back({{"name", scheduler.name},
                       {"paused_at", Rfc3339(pd_->UnixMicros(scheduler.paused_at_us) / kMicrosPerSecond * kMicrosPerSecond)},
                       {"resume_at", Rfc3339(pd_->UnixMicros(scheduler.paused_until_us) / kMicrosPerSecond * kMicrosPerSecond)}});
    } else {
      names.push_back(scheduler.name);
    }
  }
  return JsonAnswer(200, names);
}

::http::Response HttpApi::Impl::CreateScheduler(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  if (!body.contains("name") || !body["name"].is_string()) {
    return SentenceAnswer(400, "missing scheduler name");
  }
  const std::string name = body["name"];
  if (!name.ends_with("-scheduler")) {
    return SentenceAnswer(400, "unknown scheduler");
  }
  if (std::any_of(schedulers_.begin(), schedulers_.end(), [&name](const Scheduler& s) { return s.name == name; })) {
    return SentenceAnswer(500, "[PD:scheduler:ErrSchedulerExisted]scheduler existed");
  }
  schedulers_.push_back({name});
  Changed();
  return SentenceAnswer(200, "The scheduler is created.");
}

::http::Response HttpApi::Impl::PauseScheduler(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object() || (body.contains("delay") && !body["delay"].is_number_integer())) {
    return BadBodyAnswer();
  }
  if (!body.contains("delay")) {
    return SentenceAnswer(400, "missing pause time");
  }
  const int64_t seconds = std::clamp<int64_t>(body["delay"].get<int64_t>(), 0, kPauseSecondsMax);
  bool found = question.pieces[0] == "all";
  for (Scheduler& scheduler : schedulers_) {
    if (question.pieces[0] == "all" || scheduler.name == question.pieces[0]) {
      found = true;
      scheduler.paused_at_us = seconds == 0 ? 0 : pd_->now_us();
      scheduler.paused_until_us = seconds == 0 ? 0 : pd_->now_us() + seconds * kMicrosPerSecond;
    }
  }
  if (!found) {
    return SentenceAnswer(500, kNoScheduler);
  }
  Changed();
  return SentenceAnswer(200, "Pause or resume the scheduler successfully.");
}

::http::Response HttpApi::Impl::DeleteScheduler(const Question& question) {
  if (std::erase_if(schedulers_, [&question](const Scheduler& s) { return s.name == question.pieces[0]; }) == 0) {
    return SentenceAnswer(404, kNoScheduler);
  }
  Changed();
  return SentenceAnswer(200, "The scheduler is removed.");
}

// --- operators ---

std::string HttpApi::Impl::OperatorText(uint64_t region) const {
  std::string epoch;
  if (const RegionInfoPtr info = FindRegionById(pd_->views_.newest(), RegionId(region)); info != nullptr) {
    epoch = std::to_string(info->region.region_epoch().version()) + ", " + std::to_string(info->region.region_epoch().conf_ver());
  }
  return "scatter-region {transfer leader} (kind:admin,leader, region:" + std::to_string(region) + "(" + epoch + "))";
}

::http::Response HttpApi::Impl::GetOperators(const Question&) {
  Json running = Json::array();
  for (const auto& [region, known] : pd_->operators_) {
    if (known.running) {
      running.push_back(OperatorText(region));
    }
  }
  return JsonAnswer(200, running);
}

::http::Response HttpApi::Impl::GetOperator(const Question& question) {
  const std::optional<uint64_t> region = ParseNumber(question.pieces[0]);
  if (!region) {
    return SentenceAnswer(400, "strconv.ParseUint: parsing \"" + question.pieces[0] + "\": invalid syntax");
  }
  const auto found = pd_->operators_.find(*region);
  if (found == pd_->operators_.end() || found->second.known_until_us < pd_->now_us()) {
    return SentenceAnswer(500, kNoOperator);
  }
  return SentenceAnswer(
      200, std::string("status: ") + (found->second.running ? "RUNNING" : "SUCCESS") + ", operator: " + OperatorText(*region));
}

// One, or all: what has begun is not undone, it is only no longer told of.
::http::Response HttpApi::Impl::DeleteOperators(const Question& question) {
  if (question.pieces.empty()) {
    pd_->operators_.clear();
    return SentenceAnswer(200, "All pending operators are canceled.");
  }
  const std::optional<uint64_t> region = ParseNumber(question.pieces[0]);
  const auto found = region ? pd_->operators_.find(*region) : pd_->operators_.end();
  if (found == pd_->operators_.end() || !found->second.running) {
    return SentenceAnswer(500, kNoOperator);
  }
  pd_->operators_.erase(found);
  return SentenceAnswer(200, "The pending operator is canceled.");
}

// --- regions ---

::http::Response HttpApi::Impl::SplitRegions(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  if (!body.contains("split_keys") || !body["split_keys"].is_array()) {
    return SentenceAnswer(400, "split_keys should be provided.");
  }
  if (body["split_keys"].empty()) {
    return SentenceAnswer(400, "empty split keys.");
  }
  std::vector<Bytes> keys;
  for (const Json& hex : body["split_keys"]) {
    const Result<Bytes> key =
        hex.is_string() ? FromHex(hex.get<std::string>()) : Result<Bytes>(Status::InvalidArgument("not a text"));
    if (!key.ok()) {
      return SentenceAnswer(500, "encoding/hex: " + key.error().message());
    }
    keys.push_back(*key);
  }
  Json regions = Json::array();
  for (const Bytes& key : keys) {
    const RegionId region = pd_->placement_ == nullptr ? RegionId() : pd_->placement_->SplitAtEncoded(key);
    if (region.valid()) {
      regions.push_back(region.value());
    }
  }
  const size_t percent = regions.size() * 100 / keys.size();
  return JsonAnswer(200, {{"processed-percentage", percent}, {"regions-id", regions}});
}

::http::Response HttpApi::Impl::ScatterRegions(const Question& question) {
  const Json body = question.Body();
  if (!body.is_object()) {
    return BadBodyAnswer();
  }
  const RegionTable& table = pd_->views_.newest();
  std::vector<RegionInfoPtr> found;
  size_t failed = 0;
  if (body.contains("start_key") && body["start_key"].is_string() && body.contains("end_key") && body["end_key"].is_string()) {
    const Result<Bytes> start = FromHex(body["start_key"].get<std::string>());
    const Result<Bytes> end = FromHex(body["end_key"].get<std::string>());
    if (!start.ok() || !end.ok()) {
      return SentenceAnswer(500, "encoding/hex: " + (start.ok() ? end : start).error().message());
    }
    found = pd::ScanRegions(table, *start, *end, 0);
  } else if (body.contains("regions_id") && body["regions_id"].is_array()) {
    for (const Json& id : body["regions_id"]) {
      if (!id.is_number_unsigned()) {
        return SentenceAnswer(500, "regions_id is invalid");
      }
      if (RegionInfoPtr info = FindRegionById(table, RegionId(id.get<uint64_t>()))) {
        found.push_back(std::move(info));
      } else {
        ++failed;
      }
    }
  } else {
    return SentenceAnswer(500, "regions_id is invalid");
  }
  if (found.empty()) {
    return SentenceAnswer(500, "region not found");
  }
  for (const RegionInfoPtr& info : found) {
    pd_->StartScatter(*info);
  }
  return JsonAnswer(200, {{"processed-percentage", 100 - 100 * failed / (found.size() + failed)}});
}

// Nothing waits for its turn here: only the answer.
::http::Response HttpApi::Impl::AccelerateSchedule(const Question& question) {
  const Json body = question.Body();
  const bool batch = question.request->path().ends_with("/batch");
  if (batch ? !body.is_array() : !body.is_object()) {
    return BadBodyAnswer();
  }
  std::string text = batch ? "Accelerate regions scheduling in given ranges: " : "Accelerate regions scheduling in a given range ";
  for (const Json& range : batch ? body : Json::array({body})) {
    const bool keys = range.is_object() && range.contains("start_key") && range["start_key"].is_string() &&
                      range.contains("end_key") && range["end_key"].is_string();
    if (!keys) {
      return SentenceAnswer(400, batch ? "missing start_key" : "start_key or end_key is not string");
    }
    const std::string start = range["start_key"];
    const std::string end = range["end_key"];
    if (!FromHex(start).ok() || !FromHex(end).ok()) {
      return batch
                 ? SentenceAnswer(400, "split key " + (FromHex(start).ok() ? std::string("end_key") : std::string("start_key")) +
                                           " is not in hex format")
                 : SentenceAnswer(500, "encoding/hex: " + (FromHex(start).ok() ? FromHex(end) : FromHex(start)).error().message());
    }
    text += "[" + start + "," + end + (batch ? "), " : ")");
  }
  return TextAnswer(200, text);
}

}  // namespace kvjury::pd
