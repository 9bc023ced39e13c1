#include "fakes/sim/faults.h"

#include <algorithm>

#include "fakes/base/check.h"
#include "fakes/base/digest.h"

namespace kvjury::sim {

namespace {

constexpr uint32_t kDrawnFaultsMax = 64;
constexpr Micros kDrawnDelayUsMax = 20'000;

const google::protobuf::OneofDescriptor* KindOneof() { return record::Fault::descriptor()->FindOneofByName("kind"); }

bool IsWriteMethod(const std::string& method) {
  return method.find("Prewrite") != std::string::npos || method.find("Commit") != std::string::npos ||
         method.find("Ingest") != std::string::npos || method.find("Resolve") != std::string::npos;
}

bool IsObjectStep(const FaultSite& site) { return site.to.empty() && site.method.rfind("objects.", 0) == 0; }

bool IsStreamMethod(const std::string& method) { return method.find("/backup.") != std::string::npos; }

// "pd", "source/pd": addresses of PD begin so behind the name of their cluster.
bool IsPdAddress(const std::string& address) {
  const size_t slash = address.rfind('/');
  return address.compare(slash == std::string::npos ? 0 : slash + 1, 2, "pd") == 0;
}

bool IsS3Call(const FaultSite& site) { return site.to == kS3Address; }

bool IsOfS3Alone(const std::string& kind) { return kind.rfind("object_", 0) == 0 && kind != "object_error"; }

// Kinds that make sense at this message; a draw of another kind is dropped.
bool Fits(const std::string& kind, const FaultSite& site) {
  if (IsS3Call(site)) {
    return kind.rfind("object_", 0) == 0 || kind == "lose_request" || kind == "lose_reply" || kind == "stream_reset";
  }
  if (IsOfS3Alone(kind)) {
    return false;
  }
  if (site.to.empty()) {
    return kind == "gc_now" || kind == "clock_jump" || (kind == "object_error" && IsObjectStep(site));
  }
  const bool to_pd = IsPdAddress(site.to);
  if (kind == "stale_route" || kind == "pd_leader_change" || kind == "clock_jump") {
    return to_pd;
  }
  if (kind == "stream_reset") {
    return IsStreamMethod(site.method);
  }
  if (kind == "drop_proposal") {
    return !to_pd && IsWriteMethod(site.method);
  }
  if (kind == "object_error") {
    return false;
  }
  if (kind == "lose_request" || kind == "lose_reply" || kind == "duplicate") {
    return true;
  }
  return !to_pd;
}

}  // namespace

std::string FaultKindName(const record::Fault& fault) {
  const auto* field = fault.GetReflection()->GetOneofFieldDescriptor(fault, KindOneof());
  return field == nullptr ? std::string() : field->name();
}

std::vector<std::string> AllFaultKinds() {
  std::vector<std::string> names;
  for (int i = 0; i < KindOneof()->field_count(); ++i) {
    names.push_back(KindOneof()->field(i)->name());
  }
  return names;
}

std::vector<std::string> SimulatedFaultKinds() {
  std::vector<std::string> names = AllFaultKinds();
  names.erase(std::remove_if(names.begin(), names.end(), IsOfS3Alone), names.end());
  return names;
}

void FaultPlan::Load(const record::Case& c) {
  for (const record::Fault& fault : c.fault()) {
    Planned& planned = planned_[LabelHash(fault.at())];
    planned.label = fault.at();
    planned.faults.push_back(fault);
  }
  for (const record::Nudge& nudge : c.nudge()) {
    Planned& planned = planned_[LabelHash(nudge.at())];
    planned.label = nudge.at();
    planned.delay_us += nudge.delay_us();
  }
  exploring_ = c.has_explore();
  explore_ = c.explore();
  drawn_kinds_.assign(explore_.kind().begin(), explore_.kind().end());
  if (drawn_kinds_.empty()) {
    drawn_kinds_ = SimulatedFaultKinds();
  }
}

FaultPlan::MessageFate FaultPlan::At(const FaultSite& site) {
  MessageFate fate;
  if (healed_) {
    return fate;
  }
  if (auto found = planned_.find(site.label.hash()); found != planned_.end()) {
    Planned& planned = found->second;
    planned.fired = true;
    for (const record::Fault& fault : planned.faults) {
      Apply(fault, site, &fate);
    }
    fate.delay_us += FireNudge(planned.label, planned.delay_us);
  }
  if (exploring_) {
    DrawAt(site, &fate);
  }
  return fate;
}

void FaultPlan::Apply(const record::Fault& fault, const FaultSite& site, MessageFate* fate) {
  bool effective = true;
  switch (fault.kind_case()) {
    case record::Fault::kLoseRequest:
      fate->lose_request = true;
      break;
    case record::Fault::kLoseReply:
      fate->lose_reply = true;
      break;
    case record::Fault::kDuplicate:
      fate->duplicate_after_us = fault.duplicate().delay_us();
      break;
    case record::Fault::kStreamReset:
      effective = !IsS3Call(site) || (executor_ != nullptr && executor_(fault, site));
      fate->reset_stream = effective;
      break;
    case record::Fault::kObjectError:
      if (IsS3Call(site)) {
        effective = executor_ != nullptr && executor_(fault, site);
        break;
      }
      effective = IsObjectStep(site);
      fate->fail_after_effect = effective && fault.object_error().after_effect();
      fate->fail_before_effect = effective && !fault.object_error().after_effect();
      break;
    default:
      effective = executor_ != nullptr && executor_(fault, site);
      break;
  }
  if (effective) {
    fired_faults_.push_back(fault);
    ++fired_counts_[FaultKindName(fault)];
  }
}

std::optional<record::Fault> FaultPlan::DrawFault(RandomStream* random, const FaultSite& site) const {
  std::vector<std::string> kinds = drawn_kinds_;
  if (IsObjectStep(site)) {
    // Few steps are the bucket's: there is no draw to be dropped.
    std::erase_if(kinds, [&site](const std::string& kind) { return !Fits(kind, site); });
  }
  if (kinds.empty()) {
    return std::nullopt;
  }
  const std::string& kind = kinds[random->Below(kinds.size())];
  // A safe point at the present passes requests that are still under way, and a late copy of one would commit again; real
  // collectors stay an hour behind. So this one happens only where a case asks for it by name or at a label.
  if (!Fits(kind, site) || (kind == "gc_now" && explore_.kind_size() == 0)) {
    return std::nullopt;
  }
  record::Fault fault;
  fault.set_at(site.label.text());
  const auto* field = record::Fault::descriptor()->FindFieldByName(kind);
  CHECK(field != nullptr) << kind;
  google::protobuf::Message* body = fault.GetReflection()->MutableMessage(&fault, field);
  // Whatever a kind is measured in gets a length of time between half a millisecond and two seconds.
  const auto* descriptor = body->GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* number = descriptor->field(i);
    if (number->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_INT64) {
      continue;
    }
    const bool milliseconds = number->name().size() > 3 && number->name().substr(number->name().size() - 3) == "_ms";
    // One draw a statement: the order of two in one expression is the compiler's.
    const int64_t times = random->Between(1, 4);
    const uint64_t quadruplings = random->Below(6);
    const int64_t us = times * (int64_t{500} << (2 * quadruplings));
    body->GetReflection()->SetInt64(body, number, milliseconds ? us / 1000 + 1 : us);
  }
  if (fault.has_object_error()) {
    fault.mutable_object_error()->set_after_effect(random->Below(2) == 0);
  }
  return fault;
}

Micros FaultPlan::DelayAt(const Label& label) {
  if (healed_) {
    return 0;
  }
  Micros delay_us = 0;
  if (auto found = planned_.find(label.hash()); found != planned_.end()) {
    found->second.fired = true;
    delay_us += FireNudge(found->second.label, found->second.delay_us);
  }
  if (exploring_) {
    RandomStream random(Mix64(explore_.seed(), label.hash()));
    delay_us += DrawNudge(&random, label);
  }
  return delay_us;
}

Micros FaultPlan::FireNudge(const std::string& label, Micros delay_us) {
  if (delay_us > 0) {
    record::Nudge nudge;
    nudge.set_at(label);
    nudge.set_delay_us(delay_us);
    fired_nudges_.push_back(std::move(nudge));
  }
  return delay_us;
}

Micros FaultPlan::DrawNudge(RandomStream* random, const Label& label) {
  if (!random->Chance(explore_.nudge_ppm())) {
    return 0;
  }
  const Micros delay_us_max = explore_.delay_us_max() > 0 ? explore_.delay_us_max() : kDrawnDelayUsMax;
  const Micros delay_us = random->Between(1, delay_us_max);
  return FireNudge(label.text(), delay_us);
}

void FaultPlan::DrawAt(const FaultSite& site, MessageFate* fate) {
  RandomStream random(Mix64(explore_.seed(), site.label.hash()));
  fate->delay_us += DrawNudge(&random, site.label);
  const bool faulty = random.Chance(explore_.fault_ppm());
  const uint32_t count_max = explore_.fault_count_max() > 0 ? explore_.fault_count_max() : kDrawnFaultsMax;
  if (faulty && fired_faults_.size() < count_max) {
    if (auto fault = DrawFault(&random, site)) {
      Apply(*fault, site, fate);
    }
  }
}

bool FaultPlan::IsPlanned(const Label& label) const { return planned_.contains(label.hash()); }

std::vector<std::string> FaultPlan::never_fired() const {
  std::vector<std::string> labels;
  for (const auto& [hash, planned] : planned_) {
    if (!planned.fired) {
      labels.push_back(planned.label);
    }
  }
  return labels;
}

}  // namespace kvjury::sim
