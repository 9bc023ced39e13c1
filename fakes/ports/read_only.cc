#include "fakes/ports/read_only.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "fakes/base/check.h"
#include "fakes/ports/messages.h"

namespace kvjury::ports {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::array<std::string_view, 14> kWrites = {
    "/tikvpb.Tikv/KvPrewrite",      "/tikvpb.Tikv/KvPessimisticLock",   "/tikvpb.Tikv/KvFlush",
    "/tikvpb.Tikv/KvDeleteRange",   "/tikvpb.Tikv/UnsafeDestroyRange",  "/tikvpb.Tikv/RawPut",
    "/tikvpb.Tikv/RawBatchPut",     "/tikvpb.Tikv/RawDelete",           "/tikvpb.Tikv/RawBatchDelete",
    "/tikvpb.Tikv/RawDeleteRange",  "/tikvpb.Tikv/RawCompareAndSwap",   "/import_sstpb.ImportSST/Download",
    "/import_sstpb.ImportSST/Ingest", "/import_sstpb.ImportSST/MultiIngest",
};

// Into the error's field for people: KeyError.abort, or the message of the two other kinds.
void PutSentence(const std::string& sentence, Message* error) {
  const auto* fields = error->GetDescriptor();
  const FieldDescriptor* field = fields->FindFieldByName("abort");
  field = field == nullptr ? fields->FindFieldByName("message") : field;
  CHECK(field != nullptr) << fields->full_name();
  error->GetReflection()->SetString(error, field, sentence);
}

}  // namespace

sim::MessagePtr RefusedWrite(const std::string& path, const std::string& sentence) {
  if (std::find(kWrites.begin(), kWrites.end(), path) == kWrites.end()) {
    return nullptr;
  }
  const std::optional<MethodTypes> types = FindMethod(path);
  CHECK(types.has_value()) << path;
  std::shared_ptr<Message> answer(types->response->New());
  const auto* reflection = answer->GetReflection();
  if (const FieldDescriptor* errors = answer->GetDescriptor()->FindFieldByName("errors"); errors != nullptr) {
    PutSentence(sentence, reflection->AddMessage(answer.get(), errors));
    return answer;
  }
  const FieldDescriptor* error = answer->GetDescriptor()->FindFieldByName("error");
  CHECK(error != nullptr) << path;
  if (error->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    reflection->SetString(answer.get(), error, sentence);
  } else {
    PutSentence(sentence, reflection->MutableMessage(answer.get(), error));
  }
  return answer;
}

}  // namespace kvjury::ports
