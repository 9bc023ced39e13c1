#include "fakes/ports/waiting_calls.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <set>

#include "proto/tikv/backup.pb.h"
#include "proto/tikv/http.pb.h"
#include "proto/tikv/import_sstpb.pb.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::ports {

namespace {

namespace protobuf = google::protobuf;

constexpr uint32_t kHttpErrorMin = 400;
// Where answers hold errors.
constexpr const char* kErrorFields[] = {"region_error", "error", "errors", "pairs", "header"};

// Forgets the half that was silent for longer.
template <class Entries>
void ForgetHalf(Entries* entries) {
  std::vector<Micros> times;
  for (const auto& [key, entry] : *entries) {
    times.push_back(entry.last_us);
  }
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  std::erase_if(*entries, [limit = *middle](const auto& item) { return item.second.last_us <= limit; });
}

const protobuf::FieldDescriptor* FieldOf(const protobuf::Message& message, const char* name, protobuf::FieldDescriptor::CppType type) {
  const protobuf::FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  return field != nullptr && field->cpp_type() == type ? field : nullptr;
}

uint64_t NumberIn(const protobuf::Message& message, const char* name) {
  const protobuf::FieldDescriptor* field = FieldOf(message, name, protobuf::FieldDescriptor::CPPTYPE_UINT64);
  return field == nullptr || field->is_repeated() ? 0 : message.GetReflection()->GetUInt64(message, field);
}

// The one message that is set, by its field; null if there is none. Texts beside it do not count.
const protobuf::FieldDescriptor* OnlyMessageIn(const protobuf::Message& message) {
  std::vector<const protobuf::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() == protobuf::FieldDescriptor::CPPTYPE_MESSAGE && !field->is_repeated()) {
      return field;
    }
  }
  return nullptr;
}

uint64_t RegionOf(const protobuf::Message& request) {
  const protobuf::FieldDescriptor* field = FieldOf(request, "context", protobuf::FieldDescriptor::CPPTYPE_MESSAGE);
  if (field == nullptr || field->is_repeated()) {
    return 0;
  }
  return NumberIn(request.GetReflection()->GetMessage(request, field), "region_id");
}

bool HasError(const protobuf::Message& answer) {
  return std::any_of(std::begin(kErrorFields), std::end(kErrorFields), [&answer](const char* name) {
    const protobuf::FieldDescriptor* field = FieldOf(answer, name, protobuf::FieldDescriptor::CPPTYPE_MESSAGE);
    return field != nullptr && !field->is_repeated() && answer.GetReflection()->HasField(answer, field);
  });
}

// Calls that only the owner of a transaction makes.
bool IsOfOwner(const std::string& method) {
  static const std::set<std::string> methods = {"KvPrewrite", "KvPessimisticLock", "KvTxnHeartBeat", "KvFlush", "KvCommit"};
  return methods.contains(method);
}

// Calls after which nothing of a transaction is undecided.
bool Decides(const std::string& method) {
  static const std::set<std::string> methods = {"KvCommit", "KvBatchRollback", "KvResolveLock"};
  return methods.contains(method);
}

}  // namespace

Timestamp AskedBy(const protobuf::Message& request) {
  const uint64_t start = NumberIn(request, "start_version");
  return Timestamp(start != 0 ? start : NumberIn(request, "version"));
}

WaitingCalls::Call WaitingCalls::Begin(sim::Address address, std::string method, sim::Label label, sim::MessagePtr request) {
  Held& held = held_.emplace_back();
  held.address = std::move(address);
  held.method = std::move(method);
  held.label = std::move(label);
  held.request = std::move(request);
  held.begun_us = now_us();
  Hear(held);
  return {this, std::prev(held_.end())};
}

void WaitingCalls::Call::Answered(const Result<sim::MessagePtr>& answer) {
  held_->is_answered = true;
  if (!answer.ok()) {
    Ended(answer.error());
  } else if (*answer != nullptr) {
    calls_->Look(*held_, **answer);
    calls_->ForgetDecided(*held_, **answer);
  }
}

void WaitingCalls::Call::Message(const protobuf::Message& message) {
  ++held_->messages;
  held_->last_message_us = calls_->now_us();
  calls_->Look(*held_, message);
}

void WaitingCalls::Call::HeldBack(const sim::Label& label, Micros delay_us) {
  held_->held_back = label.text();
  held_->held_back_until_us = calls_->now_us() + delay_us;
}

void WaitingCalls::Call::Ended(const Status& status) {
  if (!status.ok()) {
    Deferred* deferred = calls_->Count(*held_, "status", RegionOf(*held_->request), {});
    deferred->words = status.ToString();
  }
}

void WaitingCalls::Hear(const Held& held) {
  if (!IsOfOwner(held.method)) {
    return;
  }
  const Timestamp start(NumberIn(*held.request, "start_version"));
  if (start.valid()) {
    heard_[start] = {held.begun_us, held.method};
    if (heard_.size() > kRememberedMax) {
      ForgetHalf(&heard_);
    }
  }
}

void WaitingCalls::ForgetDecided(const Held& held, const protobuf::Message& answer) {
  const bool decided = Decides(held.method) ? !HasError(answer) : NumberIn(answer, "one_pc_commit_ts") != 0;
  if (decided) {
    heard_.erase(Timestamp(NumberIn(*held.request, "start_version")));
  }
}

void WaitingCalls::Look(const Held& held, const protobuf::Message& answer) {
  if (const auto* http = dynamic_cast<const ::http::Response*>(&answer)) {
    if (http->status() >= kHttpErrorMin) {
      const auto* asked = dynamic_cast<const ::http::Request*>(held.request.get());
      Deferred* deferred = Count(held, "http", 0, asked == nullptr ? Bytes() : asked->method() + " " + asked->path());
      deferred->words = std::to_string(http->status());
    }
    return;
  }
  for (const char* name : kErrorFields) {
    const protobuf::FieldDescriptor* field = FieldOf(answer, name, protobuf::FieldDescriptor::CPPTYPE_MESSAGE);
    if (field == nullptr) {
      continue;
    }
    const protobuf::Reflection* reflection = answer.GetReflection();
    if (!field->is_repeated()) {
      if (reflection->HasField(answer, field)) {
        LookAtError(held, reflection->GetMessage(answer, field));
      }
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(answer, field); ++i) {
      LookAtError(held, reflection->GetRepeatedMessage(answer, field, i));
    }
  }
}

void WaitingCalls::LookAtError(const Held& held, const protobuf::Message& error) {
  if (const auto* of_region = dynamic_cast<const errorpb::Error*>(&error)) {
    LookAtRegionError(held, *of_region);
  } else if (const auto* of_key = dynamic_cast<const kvrpcpb::KeyError*>(&error)) {
    LookAtKeyError(held, *of_key);
  } else if (const auto* pair = dynamic_cast<const kvrpcpb::KvPair*>(&error)) {
    if (pair->has_error()) {
      LookAtKeyError(held, pair->error());
    }
  } else if (const auto* of_backup = dynamic_cast<const ::backup::Error*>(&error)) {
    if (of_backup->has_region_error()) {
      LookAtRegionError(held, of_backup->region_error());
    } else if (of_backup->has_kv_error()) {
      LookAtKeyError(held, of_backup->kv_error());
    }
  } else if (const auto* of_import = dynamic_cast<const import_sstpb::Error*>(&error)) {
    if (of_import->has_store_error()) {
      LookAtRegionError(held, of_import->store_error());
    }
  } else if (const auto* header = dynamic_cast<const pdpb::ResponseHeader*>(&error)) {
    if (header->has_error() && header->error().type() != pdpb::OK) {
      Count(held, "header", 0, {})->words = pdpb::ErrorType_Name(header->error().type()) + " " + header->error().message();
    }
  }
}

void WaitingCalls::LookAtKeyError(const Held& held, const kvrpcpb::KeyError& error) {
  const auto locked = [&](const kvrpcpb::LockInfo& lock) {
    Count(held, "locked", 0, lock.key(), Timestamp(lock.lock_version()))->lock = lock;
  };
  if (error.has_locked() && error.locked().shared_lock_infos().empty()) {
    locked(error.locked());
  } else if (error.has_locked()) {
    std::for_each(error.locked().shared_lock_infos().begin(), error.locked().shared_lock_infos().end(), locked);
  } else if (error.has_conflict()) {
    Count(held, "conflict", 0, error.conflict().key());
  } else if (error.has_deadlock()) {
    Count(held, "deadlock", 0, error.deadlock().lock_key(), Timestamp(error.deadlock().lock_ts()));
  } else if (error.has_txn_not_found()) {
    Count(held, "txn_not_found", 0, error.txn_not_found().primary_key(), Timestamp(error.txn_not_found().start_ts()));
  } else if (error.has_commit_ts_expired()) {
    Count(held, "commit_ts_expired", 0, error.commit_ts_expired().key());
  } else if (!error.retryable().empty()) {
    Count(held, "retryable", 0, {})->words = error.retryable();
  }  // all else comes no better by coming again
}

void WaitingCalls::LookAtRegionError(const Held& held, const errorpb::Error& error) {
  const protobuf::FieldDescriptor* field = OnlyMessageIn(error);
  uint64_t region = RegionOf(*held.request);
  if (field != nullptr && region == 0) {
    region = NumberIn(error.GetReflection()->GetMessage(error, field), "region_id");
  }
  Deferred* deferred = Count(held, field == nullptr ? "region_error" : field->name(), region, {});
  deferred->leader_store = error.not_leader().leader().store_id();
  deferred->words = error.message();
}

WaitingCalls::Deferred* WaitingCalls::Count(const Held& held, std::string kind, uint64_t region, Bytes key, Timestamp owner) {
  Subject subject{held.address, held.method, std::move(kind), region, std::move(key), owner};
  if (deferred_.size() >= kRememberedMax && !deferred_.contains(subject)) {
    ForgetHalf(&deferred_);
  }
  Deferred& deferred = deferred_[subject];
  if (deferred.times == 0 || now_us() - deferred.last_us > kPauseUsMax) {
    deferred = Deferred();
    deferred.subject = std::move(subject);
    deferred.first_us = now_us();
  }
  ++deferred.times;
  deferred.last_us = now_us();
  deferred.asked_by = AskedBy(*held.request);
  return &deferred;
}

std::vector<WaitingCalls::Deferred> WaitingCalls::DeferredSince(Micros since_us) const {
  std::vector<Deferred> counted;
  for (const auto& [subject, deferred] : deferred_) {
    if (deferred.last_us >= since_us) {
      counted.push_back(deferred);
    }
  }
  return counted;
}

const WaitingCalls::Heard* WaitingCalls::FindHeard(Timestamp start_ts) const {
  const auto found = heard_.find(start_ts);
  return found == heard_.end() ? nullptr : &found->second;
}

}  // namespace kvjury::ports
