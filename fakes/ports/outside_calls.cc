#include "fakes/ports/outside_calls.h"

#include "fakes/ports/read_only.h"
#include "fakes/ports/recorder.h"
#include "fakes/sim/http.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::ports {

namespace {

// "/tikvpb.Tikv/KvGet" is "KvGet" in labels and counts.
std::string ShortName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

OutsideCalls::OutsideCalls(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, CallScript* script, sim::Address address)
    : live_(live), methods_(methods), log_(log), script_(script), address_(std::move(address)) {
  // What PD tells depends on no data.
  about_cluster_ = methods->FindUnary("/pdpb.PD/Tso") != nullptr;
}

void OutsideCalls::Start(std::string path, sim::MessagePtr request, Micros timeout_us, Done done) {
  live_->Post([this, path = std::move(path), request = std::move(request), timeout_us, done = std::move(done)]() mutable {
    StartNow(std::move(path), std::move(request), timeout_us, std::move(done));
  });
}

void OutsideCalls::StartNow(std::string path, sim::MessagePtr request, Micros timeout_us, Done done) {
  if (live_->recorder() != nullptr) {
    live_->recorder()->Call(address_, path, timeout_us, *request);
  }
  std::string name = ShortName(path);
  live_->SpawnNow(std::move(name), Unary(std::move(path), std::move(request), timeout_us, std::move(done)));
}

void OutsideCalls::Open(std::string path, sim::MessagePtr request, Micros timeout_us, std::shared_ptr<StreamSink> sink) {
  live_->Post([this, path = std::move(path), request = std::move(request), timeout_us, sink = std::move(sink)]() mutable {
    OpenNow(std::move(path), std::move(request), timeout_us, std::move(sink));
  });
}

// The messages of one stream on their way out.
struct OutsideCalls::Messages {
  Messages(LiveWorld* world, uint64_t stream, std::shared_ptr<StreamSink> to) : live(world), number(stream), sink(std::move(to)) {}

  bool ended() {
    ++looks;
    const bool over = sink->ended();
    if (over && !std::exchange(told, true) && live->recorder() != nullptr) {
      live->recorder()->StreamEnded(number, looks);
    }
    return over;
  }
  void Send(const google::protobuf::Message& message, const std::shared_ptr<sim::OneShot<bool>>& written) {
    sink->Send(message, [world = live, stream = number, message_number = ++sent, written]() {
      if (world->recorder() != nullptr) {
        world->recorder()->Written(stream, message_number);
      }
      written->Set(true);
    });
    if (ended()) {
      written->Set(true);
    }
  }

  LiveWorld* live;
  uint64_t number;
  std::shared_ptr<StreamSink> sink;
  uint64_t looks = 0;
  uint64_t sent = 0;
  bool told = false;
};

void OutsideCalls::OpenNow(std::string path, sim::MessagePtr request, Micros timeout_us, std::shared_ptr<StreamSink> sink) {
  if (live_->recorder() != nullptr) {
    live_->recorder()->Stream(address_, path, timeout_us, *request);
  }
  auto messages = std::make_shared<Messages>(live_, script_->NextStream(), std::move(sink));
  std::string name = ShortName(path);
  live_->SpawnNow(std::move(name), Stream(std::move(path), std::move(request), timeout_us, std::move(messages)));
}

void OutsideCalls::Count(const std::string& path, std::chrono::steady_clock::time_point begun, bool ok) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  log_->Add(address_, ShortName(path), static_cast<uint64_t>(took.count()), ok);
}

sim::Task<void> OutsideCalls::Unary(std::string path, sim::MessagePtr request, Micros timeout_us, Done done) {
  const auto begun = std::chrono::steady_clock::now();
  if (!refusal_.empty()) {
    if (sim::MessagePtr refused = RefusedWrite(path, refusal_); refused != nullptr) {
      Count(path, begun, true);
      done(std::move(refused));
      co_return;
    }
  }
  if (path == sim::kHttp.path && script_->TakeRefusal(*request)) {
    auto forbidden = std::make_shared<::http::Response>();
    forbidden->set_status(403);
    forbidden->set_content_type("text/plain; charset=utf-8");
    forbidden->set_body("403 Forbidden\n");
    Count(path, begun, false);
    done(sim::MessagePtr(std::move(forbidden)));
    co_return;
  }
  sim::CallOptions options;
  options.label = script_->Next(address_, ShortName(path), *request);
  options.timeout_us = timeout_us;
  const sim::Label label = options.label;
  const Micros begun_us = live_->world().scheduler().now_us();
  const sim::MessagePtr asked = script_->records() ? request : nullptr;
  WaitingCalls::Call waiting = script_->waiting().Begin(address_, ShortName(path), label, request);
  sim::Channel* channel = live_->world().fabric().ChannelFrom("outside");
  sim::Task<Result<sim::MessagePtr>> call = channel->CallRaw(path.c_str(), address_, std::move(request), std::move(options));
  Result<sim::MessagePtr> answer = co_await std::move(call);
  waiting.Answered(answer);
  if (live_->keeps()) {
    sim::Task<void> keeping = live_->Kept(about_cluster_);
    co_await std::move(keeping);
  }
  Count(path, begun, answer.ok());
  script_->Record(label, begun_us, asked.get(), answer.status(), answer.ok() ? answer->get() : nullptr);
  done(std::move(answer));
}

sim::Task<void> OutsideCalls::Stream(std::string path, sim::MessagePtr request, Micros timeout_us, std::shared_ptr<Messages> messages) {
  const auto begun = std::chrono::steady_clock::now();
  sim::CallOptions options;
  options.label = script_->Next(address_, ShortName(path), *request);
  options.timeout_us = timeout_us;
  const sim::Label label = options.label;
  const Micros begun_us = live_->world().scheduler().now_us();
  const sim::MessagePtr asked = script_->records() ? request : nullptr;
  WaitingCalls::Call waiting = script_->waiting().Begin(address_, ShortName(path), label, request);
  sim::Channel* channel = live_->world().fabric().ChannelFrom("outside");
  sim::Task<Result<std::unique_ptr<sim::StreamReader>>> opening =
      channel->OpenRaw(path.c_str(), address_, std::move(request), std::move(options));
  Result<std::unique_ptr<sim::StreamReader>> opened = co_await std::move(opening);
  Status end = opened.status();
  if (end.ok()) {
    sim::Task<Status> forwarding = Forward(path, opened->get(), messages, &waiting);
    end = co_await std::move(forwarding);
  }
  waiting.Ended(end);
  Count(path, begun, end.ok());
  script_->Record(label, begun_us, asked.get(), end, nullptr);
  messages->sink->End(end);
}

sim::Task<Status> OutsideCalls::Forward(const std::string& path, sim::StreamReader* reader, const std::shared_ptr<Messages>& messages,
                                        WaitingCalls::Call* waiting) {
  sim::Scheduler* scheduler = &live_->world().scheduler();
  std::vector<std::shared_ptr<sim::OneShot<bool>>> held;
  while (!messages->ended()) {
    sim::Task<Result<sim::MessagePtr>> next = reader->Next();
    Result<sim::MessagePtr> message = co_await std::move(next);
    if (!message.ok()) {
      co_return message.error();
    }
    if (*message == nullptr) {
      break;
    }
    waiting->Message(**message);
    if (live_->keeps()) {
      sim::Task<void> keeping = live_->Kept(about_cluster_);
      co_await std::move(keeping);
    }
    sim::FaultSite site;
    site.label = script_->NextAnswer(ShortName(path), **message);
    site.to = address_;
    site.method = path;
    site.request = message->get();
    script_->Record(site.label, scheduler->now_us(), nullptr, Status::Ok(), message->get());
    const sim::FaultPlan::MessageFate fate = live_->world().faults().At(site);
    if (fate.reset_stream || fate.lose_request || fate.lose_reply) {
      co_return Status::Unavailable("stream reset");
    }
    auto written = std::make_shared<sim::OneShot<bool>>(scheduler);
    auto send = [messages, written, answer = *std::move(message)]() { messages->Send(*answer, written); };
    if (fate.delay_us > 0) {
      waiting->HeldBack(site.label, fate.delay_us);
      scheduler->After(fate.delay_us, site.label.hash(), std::move(send));
      held.push_back(std::move(written));
      continue;
    }
    send();
    co_await *written;
  }
  for (const std::shared_ptr<sim::OneShot<bool>>& written : held) {
    co_await *written;
  }
  co_return Status::Ok();
}

}  // namespace kvjury::ports
