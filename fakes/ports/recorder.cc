#include "fakes/ports/recorder.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <set>

#include "fakes/base/digest.h"

namespace kvjury::ports {

namespace {

namespace protobuf = google::protobuf;

// Fields of a storage's address, in any message that holds one.
const std::set<std::string>& CredentialFields() {
  static const std::set<std::string> fields = {"access_key", "secret_access_key", "session_token", "credentials_blob"};
  return fields;
}

// Whether a message of this type may hold credentials somewhere.
bool MayHoldCredentials(const protobuf::Descriptor* type, std::set<const protobuf::Descriptor*>* seen) {
  if (!seen->insert(type).second) {
    return false;
  }
  for (int i = 0; i < type->field_count(); ++i) {
    const protobuf::FieldDescriptor* field = type->field(i);
    if (CredentialFields().count(field->name()) > 0 ||
        (field->message_type() != nullptr && MayHoldCredentials(field->message_type(), seen))) {
      return true;
    }
  }
  return false;
}

bool MaskIn(protobuf::Message* message) {
  const protobuf::Reflection* reflection = message->GetReflection();
  std::vector<const protobuf::FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  bool masked = false;
  for (const protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() == protobuf::FieldDescriptor::CPPTYPE_STRING && CredentialFields().count(field->name()) > 0) {
      reflection->SetString(message, field, std::string(reflection->GetString(*message, field).size(), 'x'));
      masked = true;
    } else if (field->message_type() != nullptr && !field->is_repeated()) {
      masked |= MaskIn(reflection->MutableMessage(message, field));
    } else if (field->message_type() != nullptr) {
      for (int i = 0; i < reflection->FieldSize(*message, field); ++i) {
        masked |= MaskIn(reflection->MutableRepeatedMessage(message, field, i));
      }
    }
  }
  return masked;
}

// Records what one storage answers.
class RecordedStore final : public objects::ObjectStore {
 public:
  RecordedStore(Recorder* recorder, std::string name, std::unique_ptr<objects::ObjectStore> store)
      : recorder_(recorder), name_(std::move(name)), store_(std::move(store)) {}

  Status Put(const std::string& name, std::string_view bytes) override {
    Status done = store_->Put(name, bytes);
    record::RecordedInput::Storage answer = About("put", name, done);
    answer.set_digest(Hash64(bytes));
    recorder_->Storage(std::move(answer));
    return done;
  }
  Result<Bytes> Get(const std::string& name) override {
    Result<Bytes> read = store_->Get(name);
    record::RecordedInput::Storage answer = About("get", name, read.status());
    if (read.ok()) {
      answer.set_content(*read);
    }
    recorder_->Storage(std::move(answer));
    return read;
  }
  Result<objects::ObjectInfo> Head(const std::string& name) override {
    Result<objects::ObjectInfo> found = store_->Head(name);
    record::RecordedInput::Storage answer = About("head", name, found.status());
    if (found.ok()) {
      Add(*found, &answer);
    }
    recorder_->Storage(std::move(answer));
    return found;
  }
  Result<std::vector<objects::ObjectInfo>> List(const std::string& prefix) override {
    Result<std::vector<objects::ObjectInfo>> found = store_->List(prefix);
    record::RecordedInput::Storage answer = About("list", prefix, found.status());
    for (size_t i = 0; found.ok() && i < found->size(); ++i) {
      Add((*found)[i], &answer);
    }
    recorder_->Storage(std::move(answer));
    return found;
  }
  Status Delete(const std::string& name) override {
    Status done = store_->Delete(name);
    recorder_->Storage(About("delete", name, done));
    return done;
  }
  [[nodiscard]] std::string description() const override { return store_->description(); }
  [[nodiscard]] bool is_slow() const override { return store_->is_slow(); }

 private:
  [[nodiscard]] record::RecordedInput::Storage About(const char* call, const std::string& name, const Status& status) const {
    record::RecordedInput::Storage answer;
    answer.set_storage(name_);
    answer.set_call(call);
    answer.set_name(name);
    answer.set_code(static_cast<uint32_t>(status.code()));
    answer.set_error(status.message());
    return answer;
  }
  static void Add(const objects::ObjectInfo& info, record::RecordedInput::Storage* answer) {
    record::RecordedInput::Storage::Object* object = answer->add_object();
    object->set_name(info.name);
    object->set_bytes(info.bytes);
  }

  Recorder* recorder_;
  std::string name_;
  std::unique_ptr<objects::ObjectStore> store_;
};

void FillCall(const sim::Address& address, const std::string& path, Micros timeout_us, const protobuf::Message& request,
              record::RecordedInput::Call* call) {
  const std::unique_ptr<protobuf::Message> masked = WithoutCredentials(request);
  call->set_address(address);
  call->set_path(path);
  call->set_timeout_us(timeout_us);
  call->set_request((masked != nullptr ? *masked : request).SerializeAsString());
}

Result<std::unique_ptr<objects::ObjectStore>> RecordOpened(Recorder* recorder, const std::string& name,
                                                           Result<std::unique_ptr<objects::ObjectStore>> opened) {
  record::RecordedInput::Storage answer;
  answer.set_storage(name);
  answer.set_call("open");
  answer.set_code(static_cast<uint32_t>(opened.status().code()));
  answer.set_error(opened.status().message());
  if (opened.ok()) {
    answer.set_is_slow((*opened)->is_slow());
    answer.set_description((*opened)->description());
  }
  recorder->Storage(std::move(answer));
  if (!opened.ok()) {
    return opened;
  }
  return std::unique_ptr<objects::ObjectStore>(std::make_unique<RecordedStore>(recorder, name, *std::move(opened)));
}

}  // namespace

std::unique_ptr<protobuf::Message> WithoutCredentials(const protobuf::Message& request) {
  static std::mutex mutex;
  static std::map<const protobuf::Descriptor*, bool> may_hold;
  {
    const std::lock_guard lock(mutex);
    const auto [found, is_new] = may_hold.try_emplace(request.GetDescriptor(), false);
    if (is_new) {
      std::set<const protobuf::Descriptor*> seen;
      found->second = MayHoldCredentials(request.GetDescriptor(), &seen);
    }
    if (!found->second) {
      return nullptr;
    }
  }
  std::unique_ptr<protobuf::Message> copy(request.New());
  copy->CopyFrom(request);
  return MaskIn(copy.get()) ? std::move(copy) : nullptr;
}

std::string StorageName(const ::backup::S3& target) { return "s3://" + target.bucket() + "/" + target.prefix() + " at " + target.endpoint(); }

objects::Storages::Factory RecordedStorages(Recorder* recorder, objects::Storages::Factory open) {
  return [recorder, open = std::move(open)](const std::string& path) { return RecordOpened(recorder, path, open(path)); };
}

objects::Storages::S3Factory RecordedStorages(Recorder* recorder, objects::Storages::S3Factory open_s3) {
  return [recorder, open_s3 = std::move(open_s3)](const ::backup::S3& target) {
    return RecordOpened(recorder, StorageName(target), open_s3(target));
  };
}

record::RecordedInput Recorder::Now() const {
  record::RecordedInput input;
  input.set_events_run(world_->scheduler().events_run());
  input.set_now_us(world_->scheduler().now_us());
  return input;
}

void Recorder::Write(const protobuf::Message& message) {
  std::string bytes;
  {
    protobuf::io::StringOutputStream stream(&bytes);
    CHECK(protobuf::util::SerializeDelimitedToZeroCopyStream(message, &stream));
  }
  const std::lock_guard lock(mutex_);
  ++inputs_;
  sink_(bytes);
}

void Recorder::Begin(const record::RecordingBegin& begin) {
  Write(begin);
  inputs_ = 0;
}

void Recorder::Call(const sim::Address& address, const std::string& path, Micros timeout_us, const protobuf::Message& request) {
  record::RecordedInput input = Now();
  FillCall(address, path, timeout_us, request, input.mutable_call());
  Write(input);
}

void Recorder::Stream(const sim::Address& address, const std::string& path, Micros timeout_us, const protobuf::Message& request) {
  record::RecordedInput input = Now();
  FillCall(address, path, timeout_us, request, input.mutable_stream());
  Write(input);
}

void Recorder::Written(uint64_t stream, uint64_t message) {
  record::RecordedInput input = Now();
  input.mutable_written()->set_stream(stream);
  input.mutable_written()->set_number(message);
  Write(input);
}

void Recorder::StreamEnded(uint64_t stream, uint64_t look) {
  record::RecordedInput input = Now();
  input.mutable_stream_ended()->set_stream(stream);
  input.mutable_stream_ended()->set_number(look);
  Write(input);
}

void Recorder::Offloaded(uint64_t number) {
  record::RecordedInput input = Now();
  input.set_offloaded(number);
  Write(input);
}

void Recorder::Command(std::string_view line) {
  record::RecordedInput input = Now();
  input.set_command(std::string(line));
  Write(input);
}

void Recorder::Echo(Micros delay_us, uint64_t order) {
  record::RecordedInput input = Now();
  input.mutable_echo()->set_delay_us(delay_us);
  input.mutable_echo()->set_order(order);
  Write(input);
}

void Recorder::Mark(const std::string& what) {
  record::RecordedInput input = Now();
  input.set_mark(what);
  Write(input);
}

void Recorder::Storage(record::RecordedInput::Storage answer) {
  record::RecordedInput input;
  {
    const std::lock_guard lock(mutex_);
    answer.set_number(++storage_calls_[answer.storage() + "\n" + answer.call() + "\n" + answer.name()]);
  }
  *input.mutable_storage() = std::move(answer);
  Write(input);
}

void Recorder::End() {
  record::RecordedInput input = Now();
  input.mutable_end()->set_digest(world_->scheduler().digest().ToString());
  input.mutable_end()->set_inputs(inputs_);
  Write(input);
}

}  // namespace kvjury::ports
