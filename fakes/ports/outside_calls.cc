#include "fakes/ports/outside_calls.h"

#include <google/protobuf/descriptor.h>

#include "fakes/ports/messages.h"

namespace kvjury::ports {

namespace {

// "/tikvpb.Tikv/KvGet" is "KvGet" in labels and counts.
std::string ShortName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// The region that a request names in its kvrpcpb.Context, 0 without one.
uint64_t RegionOf(const google::protobuf::Message& request) {
  const google::protobuf::FieldDescriptor* context = request.GetDescriptor()->FindFieldByName("context");
  if (context == nullptr || context->message_type() == nullptr) {
    return 0;
  }
  const google::protobuf::FieldDescriptor* region = context->message_type()->FindFieldByName("region_id");
  if (region == nullptr || region->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_UINT64) {
    return 0;
  }
  const google::protobuf::Message& message = request.GetReflection()->GetMessage(request, context);
  return message.GetReflection()->GetUInt64(message, region);
}

// The range that a request starts at, for those that name no region (Backup).
Bytes StartKeyOf(const google::protobuf::Message& request) {
  const google::protobuf::FieldDescriptor* start = request.GetDescriptor()->FindFieldByName("start_key");
  if (start == nullptr || start->is_repeated() || start->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) {
    return {};
  }
  return request.GetReflection()->GetString(request, start);
}

}  // namespace

OutsideCalls::OutsideCalls(LiveWorld* live, const sim::MethodTable* methods, CallLog* log, sim::Address address,
                           RegionStart region_start)
    : live_(live), methods_(methods), log_(log), address_(std::move(address)), region_start_(std::move(region_start)) {
  // What PD tells depends on no data.
  about_cluster_ = methods->FindUnary("/pdpb.PD/Tso") != nullptr;
}

void OutsideCalls::Start(std::string path, sim::MessagePtr request, Micros timeout_us, Done done) {
  live_->Post([this, path = std::move(path), request = std::move(request), timeout_us, done = std::move(done)]() mutable {
    StartNow(std::move(path), std::move(request), timeout_us, std::move(done));
  });
}

void OutsideCalls::StartNow(std::string path, sim::MessagePtr request, Micros timeout_us, Done done) {
  std::string name = ShortName(path);
  live_->SpawnNow(std::move(name), Unary(std::move(path), std::move(request), timeout_us, std::move(done)));
}

void OutsideCalls::Open(std::string path, sim::MessagePtr request, Micros timeout_us, Exchange::Ptr exchange) {
  live_->Post([this, path = std::move(path), request = std::move(request), timeout_us, exchange = std::move(exchange)]() mutable {
    std::string name = ShortName(path);
    live_->SpawnNow(std::move(name), Stream(std::move(path), std::move(request), timeout_us, std::move(exchange)));
  });
}

sim::Label OutsideCalls::NextLabel(const std::string& path, const google::protobuf::Message& request) {
  const std::string name = ShortName(path);
  const uint64_t region = RegionOf(request);
  const Bytes start = region != 0 && region_start_ ? region_start_(region) : StartKeyOf(request);
  const uint64_t number = ++numbers_[{name, start}];
  return (root_ / name).Keyed("region", start, number);
}

void OutsideCalls::Count(const std::string& path, std::chrono::steady_clock::time_point begun, bool ok) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  log_->Add(address_, ShortName(path), static_cast<uint64_t>(took.count()), ok);
}

sim::Task<void> OutsideCalls::Unary(std::string path, sim::MessagePtr request, Micros timeout_us, Done done) {
  const auto begun = std::chrono::steady_clock::now();
  sim::CallOptions options;
  options.label = NextLabel(path, *request);
  options.timeout_us = timeout_us;
  sim::Channel* channel = live_->world().fabric().ChannelFrom("outside");
  sim::Task<Result<sim::MessagePtr>> call = channel->CallRaw(path.c_str(), address_, std::move(request), std::move(options));
  Result<sim::MessagePtr> answer = co_await std::move(call);
  if (live_->keeps()) {
    sim::Task<void> keeping = live_->Kept(about_cluster_);
    co_await std::move(keeping);
  }
  Count(path, begun, answer.ok());
  done(std::move(answer));
}

sim::Task<void> OutsideCalls::Stream(std::string path, sim::MessagePtr request, Micros timeout_us, Exchange::Ptr exchange) {
  const auto begun = std::chrono::steady_clock::now();
  sim::CallOptions options;
  options.label = NextLabel(path, *request);
  options.timeout_us = timeout_us;
  sim::Channel* channel = live_->world().fabric().ChannelFrom("outside");
  sim::Task<Result<std::unique_ptr<sim::StreamReader>>> opening =
      channel->OpenRaw(path.c_str(), address_, std::move(request), std::move(options));
  Result<std::unique_ptr<sim::StreamReader>> opened = co_await std::move(opening);
  Status end = opened.status();
  while (end.ok() && !exchange->ended()) {
    sim::Task<Result<sim::MessagePtr>> next = (*opened)->Next();
    Result<sim::MessagePtr> message = co_await std::move(next);
    if (!message.ok()) {
      end = message.error();
      break;
    }
    if (*message == nullptr) {
      break;
    }
    if (live_->keeps()) {
      sim::Task<void> keeping = live_->Kept(about_cluster_);
      co_await std::move(keeping);
    }
    auto written = std::make_shared<sim::OneShot<bool>>(&live_->world().scheduler());
    exchange->Send(Serialize(**message), [live = live_, written]() { live->Post([written]() { written->Set(true); }); });
    if (exchange->ended()) {
      break;
    }
    co_await *written;
  }
  Count(path, begun, end.ok());
  exchange->End(ToGrpc(end));
}

void OrderedCalls::Add(const Exchange::Ptr& exchange, sim::MessagePtr request) {
  calls_->live()->Post([self = shared_from_this(), exchange, request = std::move(request)]() mutable {
    self->waiting_.push_back(std::move(request));
    if (!self->running_) {
      self->Next(exchange);
    }
  });
}

void OrderedCalls::Close(const Exchange::Ptr& exchange) {
  calls_->live()->Post([self = shared_from_this(), exchange]() {
    self->closed_ = true;
    if (!self->running_) {
      exchange->End(grpc::Status::OK);
    }
  });
}

void OrderedCalls::Next(const Exchange::Ptr& exchange) {
  if (waiting_.empty() || exchange->ended()) {
    running_ = false;
    if (closed_) {
      exchange->End(grpc::Status::OK);
    }
    return;
  }
  running_ = true;
  sim::MessagePtr request = std::move(waiting_.front());
  waiting_.pop_front();
  constexpr Micros kTimeoutUs = 60'000'000;
  calls_->StartNow(path_, std::move(request), kTimeoutUs, [self = shared_from_this(), exchange](Result<sim::MessagePtr> answer) {
    if (!answer.ok()) {
      exchange->End(ToGrpc(answer.error()));
    } else {
      exchange->Send(Serialize(**answer));
    }
    self->Next(exchange);
  });
}

}  // namespace kvjury::ports
