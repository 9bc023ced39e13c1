#include "fakes/ports/call_script.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "fakes/base/digest.h"
#include "fakes/ports/recorder.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::ports {

namespace {

namespace protobuf = google::protobuf;

Bytes KeyIn(const protobuf::Message& message, const char* name) {
  const protobuf::FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() || field->cpp_type() != protobuf::FieldDescriptor::CPPTYPE_STRING) {
    return {};
  }
  return message.GetReflection()->GetString(message, field);
}

// Whether a wish for `wished` is about this call.
bool IsAbout(const std::string& wished, const std::string& method, const protobuf::Message& request) {
  if (wished.empty() || wished == method) {
    return true;
  }
  const auto* http = dynamic_cast<const ::http::Request*>(&request);
  return http != nullptr && ("http/" + http->method() + http->path()).compare(0, wished.size(), wished) == 0;
}

// Bytes in one order whatever maps a message holds.
std::string Canonical(const protobuf::Message& message) {
  std::string bytes;
  {
    protobuf::io::StringOutputStream stream(&bytes);
    protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return bytes;
}

}  // namespace

std::string CallLine(const CallRecord& call) {
  return fmt::format("{}\t{}\t{}\t{}\t{:016x}\t{}\t{:016x}\t{}\n", call.begun_us, call.ended_us, StatusCodeName(call.code), call.request_bytes,
                     call.request_digest, call.answer_bytes, call.answer_digest, call.label.text());
}

void CallScript::Record(const sim::Label& label, Micros begun_us, const protobuf::Message* request, const Status& status,
                        const protobuf::Message* answer) {
  if (on_call_ == nullptr) {
    return;
  }
  CallRecord record{label, begun_us, world_->scheduler().now_us(), status.code()};
  const std::unique_ptr<protobuf::Message> masked = request == nullptr ? nullptr : WithoutCredentials(*request);
  const std::string asked = request == nullptr ? std::string() : Canonical(masked != nullptr ? *masked : *request);
  const std::string answered = answer == nullptr ? std::string() : Canonical(*answer);
  record.request_bytes = asked.size();
  record.request_digest = Hash64(asked);
  record.answer_bytes = answered.size();
  record.answer_digest = Hash64(answered);
  on_call_(record);
}

sim::Label CallScript::Next(const sim::Address& to, const std::string& method, const protobuf::Message& request) {
  const Bytes start = region_start_ ? region_start_(request) : Bytes();
  const uint64_t number = ++calls_[{method, start}];
  sim::Label label = (root_ / method).Keyed("region", start, number);
  if (!wishes_.empty()) {
    MeetWishes(to, method, request, label);
  }
  return label;
}

sim::Label CallScript::NextAnswer(const std::string& method, const protobuf::Message& answer) {
  const Bytes range = Printable(KeyIn(answer, "start_key")) + ".." + Printable(KeyIn(answer, "end_key"));
  const uint64_t number = ++answers_[{method, range}];
  return (root_ / method).Numbered("answer[" + range + "]", number);
}

size_t CallScript::Clear() {
  const size_t count = wishes_.size();
  wishes_.clear();
  return count;
}

bool CallScript::TakeRefusal(const protobuf::Message& request) {
  for (auto wish = wishes_.begin(); wish != wishes_.end(); ++wish) {
    if (wish->refuse && IsAbout(wish->method, {}, request)) {
      ++met_;
      if (wish->count > 0 && --wish->count == 0) {
        wishes_.erase(wish);
      }
      return true;
    }
  }
  return false;
}

void CallScript::MeetWishes(const sim::Address& to, const std::string& method, const protobuf::Message& request, const sim::Label& label) {
  // Loading again adds to what is planned; what is drawn stays as it is.
  record::Case addition;
  if (world_->spec().has_explore()) {
    *addition.mutable_explore() = world_->spec().explore();
  }
  for (auto wish = wishes_.begin(); wish != wishes_.end();) {
    if (wish->until_us > 0 && wish->until_us <= world_->scheduler().now_us()) {
      wish = wishes_.erase(wish);
      continue;
    }
    const bool at_store = to.find("store-") != sim::Address::npos;
    if (wish->refuse || !IsAbout(wish->method, method, request) || (wish->only_at_stores && !at_store)) {
      ++wish;
      continue;
    }
    if (wish->fault.kind_case() != record::Fault::KIND_NOT_SET) {
      *addition.add_fault() = wish->fault;
      addition.mutable_fault()->rbegin()->set_at(label.text());
    }
    if (wish->delay_us > 0) {
      record::Nudge* nudge = addition.add_nudge();
      nudge->set_at(label.text());
      nudge->set_delay_us(wish->delay_us);
    }
    ++met_;
    wish = wish->count > 0 && --wish->count == 0 ? wishes_.erase(wish) : std::next(wish);
  }
  if (addition.fault_size() + addition.nudge_size() > 0) {
    world_->faults().Load(addition);
  }
}

}  // namespace kvjury::ports
