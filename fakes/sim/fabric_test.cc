#include "fakes/sim/fabric.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/sim/world.h"
#include "proto/tikv/backup.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::sim {
namespace {

constexpr UnaryMethod<kvrpcpb::GetRequest, kvrpcpb::GetResponse> kGet{"/test/Get"};
constexpr ServerStreamMethod<backup::BackupRequest, backup::BackupResponse> kBackup{"/backup.Backup/backup"};

/// Answers every Get with its key, and a backup with three messages.
class EchoService {
 public:
  explicit EchoService(Scheduler* scheduler) : scheduler_(scheduler) {
    table_.Add(kGet, this, &EchoService::Get);
    table_.Add(kBackup, this, &EchoService::Backup);
  }
  const MethodTable* table() const { return &table_; }
  int served() const { return served_; }

 private:
  Task<Result<kvrpcpb::GetResponse>> Get(std::shared_ptr<const kvrpcpb::GetRequest> request, CallContext) {
    ++served_;
    co_await scheduler_->Sleep(100);
    kvrpcpb::GetResponse response;
    response.set_value(request->key());
    co_return response;
  }
  Task<Status> Backup(std::shared_ptr<const backup::BackupRequest>, CallContext, StreamWriter* writer) {
    for (int i = 0; i < 3; ++i) {
      auto message = std::make_shared<backup::BackupResponse>();
      message->set_start_key(std::to_string(i));
      CO_RETURN_IF_ERROR(co_await writer->Write(message));
    }
    co_return Status::Ok();
  }

  Scheduler* scheduler_;
  MethodTable table_;
  int served_ = 0;
};

struct Outcome {
  std::string value;
  Status status;
};

Task<void> GetOnce(World* world, std::string label, Outcome* out) {
  kvrpcpb::GetRequest request;
  request.set_key("key");
  CallOptions options;
  options.label = Label(label);
  options.timeout_us = 5000;
  auto call = Call(world->fabric().ChannelFrom("client"), kGet, "store-1", std::move(request), std::move(options));
  auto response = co_await std::move(call);
  out->status = response.status();
  if (response.ok()) {
    out->value = (*response)->value();
  }
}

record::Case CaseWithFault(const std::string& at, record::Fault::KindCase kind) {
  record::Case c;
  auto* fault = c.add_fault();
  fault->set_at(at);
  if (kind == record::Fault::kLoseRequest) {
    fault->mutable_lose_request();
  } else if (kind == record::Fault::kLoseReply) {
    fault->mutable_lose_reply();
  } else if (kind == record::Fault::kDuplicate) {
    fault->mutable_duplicate()->set_delay_us(50);
  } else {
    fault->mutable_stream_reset();
  }
  return c;
}

struct Served {
  Outcome outcome;
  int served = 0;
  Micros ended_us = 0;
};

Served RunGet(const record::Case& c, bool down = false) {
  Served run;
  World world(c);
  EchoService service(&world.scheduler());
  world.fabric().Listen("store-1", service.table());
  world.fabric().SetDown("store-1", down);
  EXPECT_EQ(world.Run(GetOnce(&world, "get#1", &run.outcome), 1'000'000), RunEnd::kDone);
  run.ended_us = world.scheduler().now_us();
  while (world.scheduler().RunOne()) {
  }
  run.served = service.served();
  return run;
}

TEST(Fabric, ACallTakesTwoLatenciesAndTheHandlersTime) {
  const Served run = RunGet(record::Case());
  EXPECT_EQ(run.outcome.value, "key");
  EXPECT_EQ(run.ended_us, 600);
  EXPECT_EQ(run.served, 1);
}

TEST(Fabric, ALostRequestHasNoEffectAndEndsAtTheDeadline) {
  const Served run = RunGet(CaseWithFault("get#1", record::Fault::kLoseRequest));
  EXPECT_EQ(run.outcome.status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(run.served, 0);
  EXPECT_EQ(run.ended_us, 5000);
}

TEST(Fabric, ALostReplyComesAfterTheEffect) {
  const Served run = RunGet(CaseWithFault("get#1", record::Fault::kLoseReply));
  EXPECT_EQ(run.outcome.status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(run.served, 1);
}

TEST(Fabric, ADuplicateIsServedTwiceAndAnsweredOnce) {
  const Served run = RunGet(CaseWithFault("get#1", record::Fault::kDuplicate));
  EXPECT_EQ(run.outcome.value, "key");
  EXPECT_EQ(run.served, 2);
}

TEST(Fabric, AnAddressThatIsDownIsUnavailable) {
  const Served run = RunGet(record::Case(), true);
  EXPECT_EQ(run.outcome.status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(run.served, 0);
}

Task<void> KillWhileServing(World* world, Outcome* out) {
  Scope scope(&world->scheduler());
  scope.Spawn("get", GetOnce(world, "get#1", out));
  co_await world->scheduler().Sleep(300);
  world->fabric().SetDown("store-1", true);
  co_await scope.Join();
}

TEST(Fabric, ACallInFlightEndsWhenItsAddressGoesDown) {
  World world{record::Case()};
  EchoService service(&world.scheduler());
  world.fabric().Listen("store-1", service.table());
  Outcome outcome;
  EXPECT_EQ(world.Run(KillWhileServing(&world, &outcome), 1'000'000), RunEnd::kDone);
  EXPECT_EQ(outcome.status.code(), StatusCode::kUnavailable);
  EXPECT_EQ(service.served(), 1);
}

Task<void> ReadStream(World* world, std::vector<std::string>* out, Status* end) {
  CallOptions options;
  options.label = Label("backup#1");
  auto open = world->fabric().ChannelFrom("client")->OpenRaw(kBackup.path, "store-1",
                                                             std::make_shared<backup::BackupRequest>(), options);
  auto reader = co_await std::move(open);
  if (!reader.ok()) {
    *end = reader.error();
    co_return;
  }
  while (true) {
    auto next = co_await (*reader)->Next();
    if (!next.ok()) {
      *end = next.error();
      co_return;
    }
    if (*next == nullptr) {
      co_return;
    }
    out->push_back(static_cast<const backup::BackupResponse&>(**next).start_key());
  }
}

TEST(Fabric, AStreamBringsItsMessagesInOrderAndThenItsEnd) {
  World world{record::Case()};
  EchoService service(&world.scheduler());
  world.fabric().Listen("store-1", service.table());
  std::vector<std::string> messages;
  Status end;
  EXPECT_EQ(world.Run(ReadStream(&world, &messages, &end), 1'000'000), RunEnd::kDone);
  EXPECT_THAT(messages, testing::ElementsAre("0", "1", "2"));
  EXPECT_TRUE(end.ok());
}

TEST(Fabric, AResetInMidStreamKeepsWhatCameBefore) {
  World world(CaseWithFault("backup#1/message#3", record::Fault::kStreamReset));
  EchoService service(&world.scheduler());
  world.fabric().Listen("store-1", service.table());
  std::vector<std::string> messages;
  Status end;
  EXPECT_EQ(world.Run(ReadStream(&world, &messages, &end), 1'000'000), RunEnd::kDone);
  EXPECT_THAT(messages, testing::ElementsAre("0", "1"));
  EXPECT_EQ(end.code(), StatusCode::kUnavailable);
}

Task<void> GetMany(World* world, int count, int* ok) {
  for (int i = 0; i < count; ++i) {
    Outcome outcome;
    co_await GetOnce(world, "get#" + std::to_string(i), &outcome);
    *ok += outcome.status.ok() ? 1 : 0;
  }
}

TEST(World, TwoRunsOfOneCaseHaveTheSameDigestAndAnotherSeedAnotherOne) {
  std::vector<std::string> digests;
  for (uint64_t seed : {1, 1, 2}) {
    record::Case c;
    c.mutable_explore()->set_seed(seed);
    c.mutable_explore()->set_nudge_ppm(100'000);
    c.mutable_explore()->set_fault_ppm(50'000);
    World world(c);
    EchoService service(&world.scheduler());
    world.fabric().Listen("store-1", service.table());
    int ok = 0;
    EXPECT_EQ(world.Run(GetMany(&world, 200, &ok), 100'000'000), RunEnd::kDone);
    EXPECT_GT(ok, 100);
    digests.push_back(world.DigestText());
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_NE(digests[0], digests[2]);
}

}  // namespace
}  // namespace kvjury::sim
