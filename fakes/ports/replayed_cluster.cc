#include "fakes/ports/replayed_cluster.h"

#include <fmt/format.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>

#include <map>
#include <set>

#include "fakes/base/digest.h"
#include "fakes/ports/control.h"
#include "fakes/ports/messages.h"
#include "fakes/ports/outside_calls.h"
#include "fakes/ports/recorder.h"
#include "fakes/ports/served_world.h"
#include "fakes/sim/http.h"

namespace kvjury::ports {

namespace {

using record::RecordedInput;

constexpr uint32_t kServersMax = 1'000;

// What storages answered, by storage, call, name and number; and where a store asked for something else.
class StorageAnswers {
 public:
  void Add(const RecordedInput::Storage& answer) { answers_[Key(answer.storage(), answer.call(), answer.name(), answer.number())] = answer; }

  /// Null: nobody asked for that.
  const RecordedInput::Storage* Next(const std::string& storage, const std::string& call, const std::string& name) {
    const uint64_t number = ++asked_[Key(storage, call, name, 0)];
    const auto found = answers_.find(Key(storage, call, name, number));
    if (found == answers_.end()) {
      Differs(fmt::format("a store did {} {} in {} for the {}. time, and the recorded one did not", call, name, storage, number));
      return nullptr;
    }
    return &found->second;
  }
  void Differs(std::string what) {
    if (difference_.empty()) {
      difference_ = std::move(what);
    }
  }
  /// Empty: none so far.
  [[nodiscard]] const std::string& difference() const { return difference_; }

 private:
  static std::string Key(const std::string& storage, const std::string& call, const std::string& name, uint64_t number) {
    return storage + "\n" + call + "\n" + name + "\n" + std::to_string(number);
  }
  std::map<std::string, RecordedInput::Storage> answers_;
  std::map<std::string, uint64_t> asked_;
  std::string difference_;
};

Status StatusOf(const RecordedInput::Storage* answer) {
  if (answer == nullptr) {
    return Status::DataLoss("not in the recording");
  }
  const auto code = static_cast<StatusCode>(answer->code());
  return code == StatusCode::kOk ? Status::Ok() : Status(code, answer->error());
}

class ReplayedStore final : public objects::ObjectStore {
 public:
  ReplayedStore(StorageAnswers* answers, const RecordedInput::Storage& opened) : answers_(answers), opened_(opened) {}
  Status Put(const std::string& name, std::string_view bytes) override {
    const RecordedInput::Storage* answer = Next("put", name);
    if (answer != nullptr && answer->digest() != Hash64(bytes)) {
      answers_->Differs(fmt::format("what a store wrote to {} in {} is not what the recorded one wrote", name, opened_.storage()));
    }
    return StatusOf(answer);
  }
  Result<Bytes> Get(const std::string& name) override {
    const RecordedInput::Storage* answer = Next("get", name);
    RETURN_IF_ERROR(StatusOf(answer));
    return answer->content();
  }
  Result<objects::ObjectInfo> Head(const std::string& name) override {
    const RecordedInput::Storage* answer = Next("head", name);
    RETURN_IF_ERROR(StatusOf(answer));
    return answer->object_size() == 1 ? Result<objects::ObjectInfo>({answer->object(0).name(), answer->object(0).bytes()})
                                      : Status::DataLoss("the recording holds no size of " + name);
  }
  Result<std::vector<objects::ObjectInfo>> List(const std::string& prefix) override {
    const RecordedInput::Storage* answer = Next("list", prefix);
    RETURN_IF_ERROR(StatusOf(answer));
    std::vector<objects::ObjectInfo> found;
    for (const RecordedInput::Storage::Object& object : answer->object()) {
      found.push_back({object.name(), object.bytes()});
    }
    return found;
  }
  Status Delete(const std::string& name) override { return StatusOf(Next("delete", name)); }
  [[nodiscard]] std::string description() const override { return opened_.description(); }
  [[nodiscard]] bool is_slow() const override { return opened_.is_slow(); }

 private:
  const RecordedInput::Storage* Next(const char* call, const std::string& name) { return answers_->Next(opened_.storage(), call, name); }

  StorageAnswers* answers_;
  RecordedInput::Storage opened_;
};

Result<std::unique_ptr<objects::ObjectStore>> Open(StorageAnswers* answers, const std::string& name) {
  const RecordedInput::Storage* opened = answers->Next(name, "open", "");
  RETURN_IF_ERROR(StatusOf(opened));
  return std::unique_ptr<objects::ObjectStore>(std::make_unique<ReplayedStore>(answers, *opened));
}

// Takes a stream's messages as fast as its reader did.
class ReplayedSink final : public StreamSink {
 public:
  /// 0: it was read to its end.
  explicit ReplayedSink(uint64_t ended_at_look) : ended_at_look_(ended_at_look) {}
  [[nodiscard]] bool ended() const override {
    ++looks_;
    return over_ || (ended_at_look_ > 0 && looks_ >= ended_at_look_);
  }
  void Send(const google::protobuf::Message&, std::function<void()> written) override { written_.push_back(std::move(written)); }
  void End(const Status&) override { over_ = true; }
  /// By its number in the stream, from 1; empty: it was never sent.
  [[nodiscard]] std::function<void()> TakeWritten(uint64_t number) {
    return number >= 1 && number <= written_.size() ? std::exchange(written_[number - 1], nullptr) : nullptr;
  }

 private:
  uint64_t ended_at_look_;
  mutable uint64_t looks_ = 0;
  bool over_ = false;
  std::vector<std::function<void()>> written_;
};

// Work beside the world waits until the recording says that it is done.
class ReplayedOffloader final : public sim::Offloader {
 public:
  void Run(std::function<void()> work, std::function<void()> done) override { begun_[++number_] = {std::move(work), std::move(done)}; }
  /// False: no such work has begun.
  bool Finish(uint64_t number) {
    const auto found = begun_.find(number);
    if (found == begun_.end()) {
      return false;
    }
    const auto [work, done] = std::move(found->second);
    begun_.erase(found);
    work();
    done();
    return true;
  }

 private:
  uint64_t number_ = 0;
  std::map<uint64_t, std::pair<std::function<void()>, std::function<void()>>> begun_;
};

struct Recording {
  record::RecordingBegin begin;
  std::vector<RecordedInput> inputs;  // with a place of their own, the end among them
  std::map<uint64_t, uint64_t> stream_ended;
};

Result<Recording> Read(std::string_view bytes, Micros virtual_us_max, StorageAnswers* answers) {
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  Recording recording;
  bool at_end = false;
  if (!google::protobuf::util::ParseDelimitedFromZeroCopyStream(&recording.begin, &stream, &at_end)) {
    return Status::DataLoss("no recording of a cluster");
  }
  if (recording.begin.schema() != kRecordingSchema) {
    return Status::Unsupported(fmt::format("a recording of schema {}, expected {}", recording.begin.schema(), kRecordingSchema));
  }
  const record::RecordingBegin& begin = recording.begin;
  if (begin.stores() == 0 || begin.stores() > kServersMax || begin.pd_members() == 0 || begin.pd_members() > kServersMax ||
      begin.clock_start_ms() <= 0 || begin.cluster_id() == 0) {
    return Status::DataLoss("a recording of no cluster that was served");
  }
  for (int i = 0; i < begin.version_size(); ++i) {
    const record::RecordingBegin::Version& version = begin.version(i);
    if (version.start_ts() == 0 || version.commit_ts() <= version.start_ts() || (i > 0 && begin.version(i - 1).key() >= version.key())) {
      return Status::DataLoss("a recording whose cluster begins with keys out of order or without timestamps");
    }
  }
  RETURN_IF_ERROR(sim::CheckBugNames(begin.faults()));
  uint64_t inputs = 0;
  for (RecordedInput input; google::protobuf::util::ParseDelimitedFromZeroCopyStream(&input, &stream, &at_end); input.Clear()) {
    if (input.kind_case() == RecordedInput::kStorage) {
      answers->Add(input.storage());
    } else if (input.kind_case() == RecordedInput::kStreamEnded) {
      recording.stream_ended[input.stream_ended().stream()] = input.stream_ended().number();
    } else {
      recording.inputs.push_back(input);
    }
    if (input.now_us() > virtual_us_max) {
      return Status::DataLoss(fmt::format("an input at {} us, after more than {} s", input.now_us(), virtual_us_max / 1'000'000));
    }
    if (input.has_end() && input.end().inputs() == inputs) {
      return recording;
    }
    ++inputs;
  }
  return Status::DataLoss(fmt::format("the recording breaks off after {} inputs", inputs));
}

class Replay {
 public:
  Replay(const Recording& recording, StorageAnswers* answers, const ReplayOptions& options)
      : recording_(recording),
        answers_(answers),
        options_(options),
        served_(recording.begin.faults(), [answers](const std::string& path) { return Open(answers, path); }),
        live_(&served_.world()) {
    served_.world().SetOffloader(&offloader_);
    served_.storages().ServeS3([answers](const ::backup::S3& target) { return Open(answers, StorageName(target)); });
  }

  Result<ReplayCounts> Run() {
    RETURN_IF_ERROR(served_.MakeCluster(recording_.begin, {}, nullptr, true));
    served_.script().RecordTo(options_.on_call);
    tikv::Cluster& cluster = served_.cluster();
    control_ = std::make_unique<Control>(&cluster, &served_.script(), &log_);
    for (const sim::Address& address : cluster.pd().addresses()) {
      AddAddress(address, &cluster.pd().methods());
    }
    for (const StoreId id : cluster.store_ids()) {
      AddAddress(cluster.store_address(id), &cluster.methods(id));
    }
    ReplayCounts counts;
    Status played;
    for (const RecordedInput& input : recording_.inputs) {
      played = ComeTo(input, counts.inputs);
      played = played.ok() ? Play(input) : played;
      if (played.ok() && !answers_->difference().empty()) {
        played = Status::Conflict(answers_->difference());
      }
      if (!played.ok()) {
        break;
      }
      ++counts.inputs;
    }
    counts.events = served_.world().scheduler().events_run();
    counts.ended_us = served_.world().scheduler().now_us();
    cluster.Shutdown();
    served_.world().scheduler().Abandon();
    RETURN_IF_ERROR(played);
    return counts;
  }

 private:
  void AddAddress(const sim::Address& address, const sim::MethodTable* methods) {
    auto calls = std::make_unique<OutsideCalls>(&live_, methods, &log_, &served_.script(), address);
    calls->RefuseWrites(recording_.begin.read_only());
    calls_[address] = std::move(calls);
  }

  // Runs the world to where the input came in.
  Status ComeTo(const RecordedInput& input, uint64_t number) {
    sim::Scheduler& scheduler = served_.world().scheduler();
    while (scheduler.events_run() < input.events_run()) {
      if (scheduler.next_event_us() < 0 || scheduler.next_event_us() > input.now_us()) {
        return Status::Conflict(fmt::format("after {} inputs and {} events nothing is left to happen until {} us; the recorded world went on to event {}",
                                            number, scheduler.events_run(), input.now_us(), input.events_run()));
      }
      scheduler.RunOne();
    }
    scheduler.AdvanceTo(input.now_us());
    if (scheduler.events_run() != input.events_run() || scheduler.now_us() != input.now_us()) {
      return Status::Conflict(fmt::format("after {} inputs the world is at event {} and {} us, and the recorded one was at event {} and {} us", number,
                                          scheduler.events_run(), scheduler.now_us(), input.events_run(), input.now_us()));
    }
    return Status::Ok();
  }

  Status Play(const RecordedInput& input) {
    switch (input.kind_case()) {
      case RecordedInput::kCall:
        return Call(input.call(), [](OutsideCalls* calls, const RecordedInput::Call& call, sim::MessagePtr request) {
          calls->StartNow(call.path(), std::move(request), call.timeout_us(), [](const Result<sim::MessagePtr>&) {});
        });
      case RecordedInput::kStream: {
        const uint64_t number = ++streams_;
        const auto ended = recording_.stream_ended.find(number);
        auto sink = std::make_shared<ReplayedSink>(ended == recording_.stream_ended.end() ? 0 : ended->second);
        sinks_[number] = sink;
        return Call(input.stream(), [sink](OutsideCalls* calls, const RecordedInput::Call& call, sim::MessagePtr request) {
          calls->OpenNow(call.path(), std::move(request), call.timeout_us(), sink);
        });
      }
      case RecordedInput::kWritten: {
        const auto sink = sinks_.find(input.written().stream());
        const std::function<void()> written = sink == sinks_.end() ? nullptr : sink->second->TakeWritten(input.written().number());
        if (written == nullptr) {
          return Status::Conflict(fmt::format("the recorded stream {} sent a message {}, and here it did not", input.written().stream(),
                                              input.written().number()));
        }
        written();
        return Status::Ok();
      }
      case RecordedInput::kOffloaded:
        return offloader_.Finish(input.offloaded()) ? Status::Ok() : Status::Conflict("work was done in the recording that has not begun here");
      case RecordedInput::kCommand:
        (void)control_->Execute(input.command());
        return Status::Ok();
      case RecordedInput::kEcho:
        if (input.echo().delay_us() < 0) {
          return Status::DataLoss("a delay that is negative");
        }
        served_.world().scheduler().After(input.echo().delay_us(), input.echo().order(), []() {});
        return Status::Ok();
      case RecordedInput::kMark:
        if (options_.on_mark) {
          options_.on_mark(input.mark(), &served_.cluster());
        }
        return Status::Ok();
      case RecordedInput::kEnd: {
        const std::string digest = served_.world().scheduler().digest().ToString();
        return digest == input.end().digest() ? Status::Ok()
                                              : Status::Conflict(fmt::format("the digest of all {} events is {}, recorded was {}", input.events_run(), digest,
                                                                             input.end().digest()));
      }
      default:
        return Status::DataLoss("an input of an unknown kind");
    }
  }

  template <class Start>
  Status Call(const RecordedInput::Call& call, Start start) {
    const auto calls = calls_.find(call.address());
    const std::optional<MethodTypes> types = FindMethod(call.path());
    const google::protobuf::Message* type = types ? types->request : call.path() == sim::kHttp.path ? &::http::Request::default_instance() : nullptr;
    if (calls == calls_.end() || type == nullptr) {
      return Status::DataLoss("a call of " + call.path() + " at " + call.address() + ", which is not there");
    }
    std::shared_ptr<google::protobuf::Message> request(type->New());
    if (!request->ParseFromString(call.request())) {
      return Status::DataLoss("a request of " + call.path() + " that cannot be parsed");
    }
    start(calls->second.get(), call, sim::MessagePtr(std::move(request)));
    return Status::Ok();
  }

  const Recording& recording_;
  StorageAnswers* answers_;
  const ReplayOptions& options_;
  ReplayedOffloader offloader_;
  ServedWorld served_;
  LiveWorld live_;  // never started: what happens and when the recording says
  CallLog log_;
  std::unique_ptr<Control> control_;
  std::map<sim::Address, std::unique_ptr<OutsideCalls>> calls_;
  std::map<uint64_t, std::shared_ptr<ReplayedSink>> sinks_;
  uint64_t streams_ = 0;
};

}  // namespace

Result<ReplayCounts> ReplayRecording(std::string_view recording, const ReplayOptions& options) {
  StorageAnswers answers;
  ASSIGN_OR_RETURN(const Recording read, Read(recording, options.virtual_us_max, &answers));
  return Replay(read, &answers, options).Run();
}

}  // namespace kvjury::ports
