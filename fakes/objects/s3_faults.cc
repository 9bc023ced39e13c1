#include "fakes/objects/s3_faults.h"

#include <algorithm>
#include <array>

namespace kvjury::objects {

namespace {

constexpr char kRoot[] = "external/s3/";
constexpr uint32_t kSlowBytesPerS = 64 << 10;
constexpr std::array<const char*, 6> kOwnKinds = {"object_error",   "object_throttle", "object_full",
                                                  "object_corrupt", "object_slow",     "object_stale_list"};

bool IsWrite(S3Kind kind) {
  return kind == S3Kind::kPutObject || kind == S3Kind::kCopyObject || kind == S3Kind::kUploadPart || kind == S3Kind::kCompleteMultipartUpload;
}

S3Error InternalError() { return {500, "InternalError", "We encountered an internal error. Please try again."}; }
S3Error SlowDown() { return {503, "SlowDown", "Please reduce your request rate."}; }

}  // namespace

record::Case TakeS3Faults(record::Case* c) {
  record::Case taken;
  if (c->has_explore()) {
    *taken.mutable_explore() = c->explore();
  }
  record::Case rest = *c;
  rest.clear_fault();
  rest.clear_nudge();
  for (const record::Fault& fault : c->fault()) {
    *(fault.at().rfind(kRoot, 0) == 0 ? taken : rest).add_fault() = fault;
  }
  for (const record::Nudge& nudge : c->nudge()) {
    *(nudge.at().rfind(kRoot, 0) == 0 ? taken : rest).add_nudge() = nudge;
  }
  *c = std::move(rest);
  return taken;
}

S3Faults::S3Faults(const record::Case& c) {
  record::Case own = c;
  if (own.has_explore() && own.explore().kind_size() == 0) {
    for (const char* kind : kOwnKinds) {
      own.mutable_explore()->add_kind(kind);
    }
  }
  plan_.Load(own);
  plan_.SetExecutor([this](const record::Fault& fault, const sim::FaultSite&) { return Strike(fault); });
}

bool S3Faults::Strike(const record::Fault& fault) {
  bool effective = true;
  const S3Kind kind = action_->kind;
  switch (fault.kind_case()) {
    case record::Fault::kObjectError:
      effective = !fault.object_error().in_body() || kind == S3Kind::kCompleteMultipartUpload || kind == S3Kind::kCopyObject;
      break;
    case record::Fault::kObjectThrottle:
      break;
    case record::Fault::kObjectFull:
      effective = IsWrite(kind);
      break;
    case record::Fault::kObjectCorrupt:
    case record::Fault::kObjectSlow:
    case record::Fault::kStreamReset: {
      KeepingObjectStore* store = service_->bucket(action_->bucket);
      const Result<ObjectInfo> object = store == nullptr ? Status::NotFound("") : store->Head(action_->key);
      effective = kind == S3Kind::kGetObject && object.ok() && object->bytes > 0;
      break;
    }
    case record::Fault::kObjectStaleList: {
      KeepingObjectStore* store = service_->bucket(action_->bucket);
      const bool lists = store != nullptr && (kind == S3Kind::kListObjects || kind == S3Kind::kListObjectsV2);
      action_->hidden_key = lists ? store->Newest(action_->Query("prefix")) : std::string();
      effective = !action_->hidden_key.empty();
      break;
    }
    default:
      effective = false;
  }
  if (effective) {
    struck_.push_back(fault);
  }
  return effective;
}

::http::Response S3Faults::Answer(S3Service* service, S3Action action, Micros* delay_us) {
  const std::string name = S3KindName(action.kind);
  const std::string key = action.bucket + (action.key.empty() ? "" : "/" + action.key);
  const std::string resource = "/" + key;
  const sim::Label root = sim::Label("external") / "s3";
  const sim::Label keyed = root.Keyed(name, key, ++calls_[{name, key}]);
  const sim::Label numbered = root.Numbered(name, ++calls_[{name, ""}]);
  service_ = service;
  action_ = &action;
  struck_.clear();
  sim::FaultSite site;
  site.label = plan_.IsPlanned(numbered) && !plan_.IsPlanned(keyed) ? numbered : keyed;
  site.to = sim::kS3Address;
  site.method = name;
  const sim::FaultPlan::MessageFate fate = plan_.At(site);
  *delay_us = fate.delay_us;
  const auto find = [this](record::Fault::KindCase kind) {
    const auto found = std::find_if(struck_.begin(), struck_.end(), [kind](const record::Fault& fault) { return fault.kind_case() == kind; });
    return found == struck_.end() ? nullptr : &*found;
  };
  const record::Fault* error = find(record::Fault::kObjectError);
  if (fate.lose_request) {
    return EmptyAnswer(0);
  }
  if (find(record::Fault::kObjectThrottle) != nullptr) {
    return S3ErrorAnswer(SlowDown(), resource);
  }
  if (find(record::Fault::kObjectFull) != nullptr) {
    return S3ErrorAnswer(StorageFull(), resource);
  }
  ::http::Response answer = EmptyAnswer();
  if (error == nullptr || error->object_error().after_effect()) {
    answer = service->Answer(std::move(action));
  }
  if (error != nullptr) {
    answer = S3ErrorAnswer(InternalError(), resource);
    answer.set_status(error->object_error().in_body() ? 200 : answer.status());
  }
  if (fate.lose_reply) {
    return EmptyAnswer(0);
  }
  if (find(record::Fault::kObjectCorrupt) != nullptr && !answer.body().empty()) {
    char& middle = (*answer.mutable_body())[answer.body().size() / 2];
    middle = static_cast<char>(middle ^ 1);
  }
  if (const record::Fault* slow = find(record::Fault::kObjectSlow)) {
    answer.set_bytes_per_s(slow->object_slow().bytes_per_s() > 0 ? slow->object_slow().bytes_per_s() : kSlowBytesPerS);
  }
  if (find(record::Fault::kStreamReset) != nullptr) {
    answer.set_cut_after(answer.body().size() / 2);
  }
  return answer;
}

}  // namespace kvjury::objects
