#include "harness/remote/remote_world.h"

#include "fakes/pd/methods.h"

namespace kvjury::remote {

namespace {

constexpr Micros kAskMemberUs = 3'000'000;

// "https://pd1:2379" is "pd1:2379".
sim::Address WithoutScheme(const std::string& url) {
  const size_t scheme = url.find("://");
  const std::string address = scheme == std::string::npos ? url : url.substr(scheme + 3);
  return address.substr(0, address.find('/'));
}

}  // namespace

Result<std::unique_ptr<RemoteWorld>> RemoteWorld::Start(const ports::TlsFiles& tls) {
  std::unique_ptr<RemoteWorld> remote(new RemoteWorld());
  Result<std::unique_ptr<RemoteChannel>> channel = RemoteChannel::Create(&remote->live_, tls);
  RETURN_IF_ERROR(channel.status());
  remote->channel_ = *std::move(channel);
  remote->live_.Start();
  return remote;
}

RemoteWorld::~RemoteWorld() {
  live_.Stop();
  channel_.reset();
}

sim::Task<Result<sim::Address>> FindPdLeader(sim::Channel* channel, std::vector<sim::Address> members) {
  Status last = Status::Unavailable("no PD was named");
  for (const sim::Address& member : members) {
    sim::CallOptions options;
    options.label = sim::Label("members") / member;
    options.timeout_us = kAskMemberUs;
    auto call = sim::Call(channel, pd::kGetMembers, member, pdpb::GetMembersRequest(), std::move(options));
    const auto answer = co_await std::move(call);
    if (!answer.ok()) {
      last = answer.error().WithContext("PD at " + member);
      continue;
    }
    if ((*answer)->members_size() == 1) {
      co_return member;  // as its user knows it
    }
    if ((*answer)->leader().client_urls_size() > 0) {
      co_return WithoutScheme((*answer)->leader().client_urls(0));
    }
    last = Status::Unavailable("PD at " + member + " knows no leader");
  }
  co_return last;
}

}  // namespace kvjury::remote
