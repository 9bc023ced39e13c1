// A channel to real ports, reading a running cluster without changing it, and what goes wrong on the way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "fakes/ports/listener.h"
#include "fakes/sim/http.h"
#include "harness/client/client.h"
#include "harness/remote/read_cluster.h"
#include "harness/remote/served_test_bench.h"

namespace kvjury::remote {
namespace {

using testing::AnyOf;
using testing::Eq;
using testing::HasSubstr;

template <class Request, class Response>
sim::Task<Result<Response>> AskOnce(sim::Channel* channel, sim::UnaryMethod<Request, Response> method, sim::Address to, Request request,
                                    Micros timeout_us) {
  sim::CallOptions options;
  options.label = sim::Label("ask");
  options.timeout_us = timeout_us;
  auto call = sim::Call(channel, method, std::move(to), std::move(request), std::move(options));
  const auto answer = co_await std::move(call);
  if (!answer.ok()) {
    co_return answer.error();
  }
  co_return Response(**answer);
}

template <class Request, class Response>
Result<Response> Ask(RemoteWorld* world, sim::UnaryMethod<Request, Response> method, const sim::Address& to, Request request = {},
                     Micros timeout_us = 5'000'000) {
  return world->Run(AskOnce(world->channel(), method, to, std::move(request), timeout_us));
}

// A port that accepts (by the kernel) and never says anything.
class SilentPort {
 public:
  SilentPort() {
    ports::ListenerHandlers handlers;
    handlers.on_grpc = [this](int descriptor, const std::string&) { descriptors_.push_back(descriptor); };
    handlers.on_http = [](const ::http::Request&) {
      std::this_thread::sleep_for(std::chrono::milliseconds(700));
      return ::http::Response();
    };
    Result<std::unique_ptr<ports::Listener>> listener = ports::Listener::Start("127.0.0.1", 0, nullptr, std::move(handlers));
    CHECK(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  ~SilentPort() {
    listener_.reset();
    for (const int descriptor : descriptors_) {
      close(descriptor);
    }
  }
  [[nodiscard]] std::string address() const { return listener_->address(); }

 private:
  std::vector<int> descriptors_;
  std::unique_ptr<ports::Listener> listener_;
};

// --- the channel ---

TEST(RemoteChannel, ReachesPdStoresAndHttp) {
  const auto served = ServeCluster(2);
  const auto world = Connect();
  const std::string& pd = served->pd_addresses().front();
  const auto members = Ask(world.get(), pd::kGetMembers, pd);
  ASSERT_TRUE(members.ok()) << members.status();
  EXPECT_NE(members->header().cluster_id(), 0U);

  pdpb::TsoRequest tso;
  tso.mutable_header()->set_cluster_id(members->header().cluster_id());
  tso.set_count(3);
  const auto timestamp = Ask(world.get(), pd::kTso, pd, tso);
  ASSERT_TRUE(timestamp.ok()) << timestamp.status();
  EXPECT_EQ(timestamp->count(), 3U);
  tso.mutable_header()->set_cluster_id(1);
  EXPECT_THAT(Ask(world.get(), pd::kTso, pd, tso).status().message(), HasSubstr("mismatch cluster id"));

  ::http::Request page;
  page.set_method("GET");
  page.set_path("/pd/api/v1/cluster");
  const auto answer = Ask(world.get(), sim::kHttp, pd, page);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status(), 200U);
  EXPECT_THAT(answer->body(), HasSubstr("max_peer_count"));
  page.set_path("/config");
  EXPECT_TRUE(Ask(world.get(), sim::kHttp, served->stores()[1].status_address, page).ok());

  constexpr sim::UnaryMethod<pdpb::GetMembersRequest, pdpb::GetMembersResponse> kUnknown{"/pdpb.PD/NoSuchMethod"};
  EXPECT_EQ(Ask(world.get(), kUnknown, pd).status().code(), StatusCode::kUnsupported);
}

TEST(RemoteChannel, WhatDoesNotAnswerEndsInTime) {
  const SilentPort silent;
  const auto world = Connect();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(Ask(world.get(), pd::kGetMembers, "127.0.0.1:1").status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Ask(world.get(), pd::kGetMembers, silent.address(), {}, 300'000).status().code(),
              AnyOf(Eq(StatusCode::kDeadlineExceeded), Eq(StatusCode::kUnavailable)));
  ::http::Request page;
  page.set_method("GET");
  page.set_path("/");
  EXPECT_EQ(Ask(world.get(), sim::kHttp, "127.0.0.1:1", page).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Ask(world.get(), sim::kHttp, silent.address(), page, 300'000).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Ask(world.get(), sim::kHttp, "nowhere", page).status().code(), StatusCode::kInvalidArgument);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

sim::Task<void> AskAndForget(sim::Channel* channel, sim::Address to, std::shared_ptr<std::atomic<int>> started) {
  ++*started;
  auto call = AskOnce(channel, pd::kGetMembers, std::move(to), pdpb::GetMembersRequest(), 60'000'000);
  static_cast<void>(co_await std::move(call));
}

TEST(RemoteChannel, MayDieTheMomentACallHasEnded) {
  for (int i = 0; i < 600; ++i) {
    const auto world = Connect();
    EXPECT_FALSE(Ask(world.get(), pd::kGetMembers, "127.0.0.1:1").ok());
  }
}

TEST(RemoteChannel, MayDieWithCallsUnderWay) {
  const SilentPort silent;
  record::Case none;
  sim::World inner(none);
  ports::LiveWorld live(&inner);
  auto channel = RemoteChannel::Create(&live, {}).value();
  live.Start();
  auto started = std::make_shared<std::atomic<int>>(0);
  for (int i = 0; i < 5; ++i) {
    live.Post([&]() { live.SpawnNow("ask", AskAndForget(channel.get(), silent.address(), started)); });
  }
  while (*started < 5) {
    std::this_thread::yield();
  }
  live.Stop();
  channel.reset();
}

TEST(RemoteChannel, TlsRefusesWhatItMust) {
  const TemporaryFolder folder;
  const TemporaryFolder other;
  ASSERT_TRUE(ports::MakeTestCertificates(folder.path() + "/c").ok());
  ASSERT_TRUE(ports::MakeTestCertificates(other.path() + "/c").ok());
  const std::string c = folder.path() + "/c/";
  const std::string wrong = other.path() + "/c/";
  const auto served = ServeCluster(1, {c + "ca.pem", c + "server.pem", c + "server-key.pem"});
  const std::string& pd = served->pd_addresses().front();
  const auto code = [&pd](const ports::TlsFiles& tls) {
    const auto world = Connect(tls);
    return Ask(world.get(), pd::kGetMembers, pd).status().code();
  };
  EXPECT_EQ(code({c + "ca.pem", c + "client.pem", c + "client-key.pem"}), StatusCode::kOk);
  EXPECT_EQ(code({wrong + "ca.pem", c + "client.pem", c + "client-key.pem"}), StatusCode::kUnavailable);
  EXPECT_EQ(code({c + "ca.pem", wrong + "client.pem", wrong + "client-key.pem"}), StatusCode::kUnavailable);
  EXPECT_EQ(code({c + "ca.pem", "", ""}), StatusCode::kUnavailable);
  EXPECT_EQ(code({}), StatusCode::kUnavailable);
  EXPECT_EQ(RemoteWorld::Start({"/nowhere.pem", "", ""}).status().code(), StatusCode::kEnvironment);

  ::http::Request page;
  page.set_method("GET");
  page.set_path("/pd/api/v1/version");
  const auto good = Connect({c + "ca.pem", c + "client.pem", c + "client-key.pem"});
  EXPECT_EQ(Ask(good.get(), sim::kHttp, pd, page)->status(), 200U);
  const auto bad = Connect({wrong + "ca.pem", c + "client.pem", c + "client-key.pem"});
  EXPECT_EQ(Ask(bad.get(), sim::kHttp, pd, page).status().code(), StatusCode::kUnavailable);
}

// --- reading a cluster ---

std::vector<std::pair<Bytes, Bytes>> SomePairs(size_t count) {
  std::vector<std::pair<Bytes, Bytes>> pairs;
  for (size_t i = 0; i < count; ++i) {
    pairs.emplace_back("k/" + std::to_string(100'000 + i), "value " + std::to_string(i));
  }
  return pairs;
}

std::map<Bytes, Bytes> PairsOf(Result<ReadResult> read) { return read->TakePairs(); }

ReadRequest RequestOf(const ports::ServedCluster& served) {
  ReadRequest request;
  request.members = served.pd_addresses();
  request.lock_wait_us = 500'000;
  return request;
}

TEST(ReadCluster, BringsEveryPairOfEveryRegionOnceAndNothingElse) {
  const std::vector<std::pair<Bytes, Bytes>> pairs = SomePairs(25'000);  // more than two pages
  const auto served = ServeCluster(3, {}, pairs);
  for (const size_t cut : {1U, 5'000U, 12'345U}) {
    ASSERT_TRUE(served->live().Run([&]() { CHECK(served->cluster().SplitAt(pairs[cut].first)); }));
  }
  const Result<ReadResult> all = ReadCluster(RequestOf(*served));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(PairsOf(all), (std::map<Bytes, Bytes>(pairs.begin(), pairs.end())));

  ReadRequest part = RequestOf(*served);
  part.start = pairs[4'999].first;
  part.end = pairs[5'001].first;
  EXPECT_EQ(ReadCluster(part)->versions.size(), 2U);
  part.cut = Timestamp::Compose(all->cut.physical_ms() - 100'000, 0);
  EXPECT_EQ(ReadCluster(part)->versions.size(), 0U) << "before the pairs were there";
  part.cut = Timestamp::Compose(all->cut.physical_ms() + 100'000, 0);
  EXPECT_EQ(ReadCluster(part).status().code(), StatusCode::kUndetermined) << "in the future";
  part.members = {"127.0.0.1:1", served->pd_addresses().front()};
  part.cut.reset();
  EXPECT_EQ(ReadCluster(part)->versions.size(), 2U) << "one member is down";
}

TEST(ReadCluster, AboveTheSafePointOnly) {
  const auto served = ServeCluster(1, {}, SomePairs(3));
  ReadRequest request = RequestOf(*served);
  const Result<ReadResult> first = ReadCluster(request);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(served->live().Run([&]() { served->cluster().pd().MoveGcSafePoint(first->cut.Next()); }));
  request.cut = first->cut;
  const Status refused = ReadCluster(request).status();
  EXPECT_EQ(refused.code(), StatusCode::kUndetermined);
  EXPECT_THAT(refused.message(), HasSubstr("GC safe point"));
}

Timestamp Now(ports::ServedCluster* served) {
  Timestamp now;
  CHECK(served->live().Run([&]() { now = *served->cluster().pd().AllocateTimestamp(); }));
  return now;
}

// Where a request about the key goes, in a cluster with one store.
kvrpcpb::Context ContextOf(ports::ServedCluster* served, const Bytes& key) {
  kvrpcpb::Context context;
  CHECK(served->live().Run([&]() {
    const tikv::Region* region = served->cluster().regions().FindByKey(EncodeKey(key));
    context.set_region_id(region->id.value());
    context.mutable_region_epoch()->set_conf_ver(region->conf_ver);
    context.mutable_region_epoch()->set_version(region->version);
    *context.mutable_peer() = ToProto(*region->PeerOn(served->cluster().store_ids().front()));
  }));
  return context;
}

// A transaction whose owner stops somewhere on its way, and what the store has of it stays.
class Abandoned {
 public:
  Abandoned(ports::ServedCluster* served, RemoteWorld* world, Bytes primary)
      : served_(served), world_(world), primary_(std::move(primary)), start_(Now(served)) {}
  [[nodiscard]] Timestamp start() const { return start_; }

  /// With secondaries, or as one of them with `async`: async commit. The min_commit_ts, if there is one.
  Timestamp Prewrite(const Bytes& key, const std::vector<Bytes>& secondaries = {}, bool async = false) {
    kvrpcpb::PrewriteRequest request;
    *request.mutable_context() = ContextOf(served_, key);
    kvrpcpb::Mutation* mutation = request.add_mutations();
    mutation->set_key(key);
    mutation->set_value("of nobody");
    request.set_primary_lock(primary_);
    request.set_start_version(start_.value());
    request.set_lock_ttl(1);  // over at once: everybody else would resolve it
    request.set_txn_size(1);
    request.mutable_secondaries()->Assign(secondaries.begin(), secondaries.end());
    request.set_use_async_commit(async || !secondaries.empty());
    request.set_min_commit_ts(request.use_async_commit() ? start_.value() + 1 : 0);
    const auto answer = Ask(world_, tikv::kKvPrewrite, served_->stores().front().address, request);
    CHECK(answer.ok() && answer->errors_size() == 0 && !answer->has_region_error()) << answer.status();
    return Timestamp(answer->min_commit_ts());
  }

  Timestamp Commit(const Bytes& key) {
    kvrpcpb::CommitRequest request;
    *request.mutable_context() = ContextOf(served_, key);
    request.set_start_version(start_.value());
    request.add_keys(key);
    const Timestamp commit_ts = Now(served_);
    request.set_commit_version(commit_ts.value());
    const auto answer = Ask(world_, tikv::kKvCommit, served_->stores().front().address, request);
    CHECK(answer.ok() && !answer->has_error() && !answer->has_region_error()) << answer.status();
    return commit_ts;
  }

 private:
  ports::ServedCluster* served_;
  RemoteWorld* world_;
  Bytes primary_;
  Timestamp start_;
};

size_t Locks(ports::ServedCluster* served) {
  size_t locks = 0;
  CHECK(served->live().Run([&]() { locks = served->cluster().LockCount(); }));
  return locks;
}

TEST(ReadCluster, ALockThatStaysIsToldAndNeverResolved) {
  const auto served = ServeCluster(1, {}, SomePairs(10));
  const auto world = Connect();
  Abandoned transaction(served.get(), world.get(), "k/100005");
  transaction.Prewrite("k/100005");
  const Timestamp start = transaction.start();
  ReadRequest request = RequestOf(*served);
  const auto begun = std::chrono::steady_clock::now();
  const Status status = ReadCluster(request).status();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(15));
  EXPECT_EQ(status.code(), StatusCode::kUndetermined);
  EXPECT_THAT(status.message(), HasSubstr("range [0x, end)"));
  EXPECT_THAT(status.message(), HasSubstr(ToHex("k/100005")));
  EXPECT_THAT(status.message(), HasSubstr(std::to_string(start.value())));
  EXPECT_EQ(Locks(served.get()), 1U);
  request.cut = start.Previous();
  EXPECT_EQ(ReadCluster(request)->versions.size(), 10U) << "the transaction began later";
  for (const auto& [where, counts] : served->calls().counts()) {
    EXPECT_THAT(where.second, AnyOf("GetMembers", "Tso", "GetRegion", "GetStore", "GetGCSafePoint", "KvScan", "KvGet", "KvScanLock", "KvPrewrite"));
  }
}

TEST(ReadCluster, WaitsForALockWhoseOwnerCommits) {
  const auto served = ServeCluster(1, {}, SomePairs(10));
  const auto world = Connect();
  Abandoned transaction(served.get(), world.get(), "k/100005");
  transaction.Prewrite("k/100005");
  std::thread owner([&]() {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    transaction.Commit("k/100005");
  });
  ReadRequest request = RequestOf(*served);
  request.lock_wait_us = 10'000'000;
  const Result<ReadResult> read = ReadCluster(request);
  owner.join();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(PairsOf(read).at("k/100005"), "value 5") << "it committed after the cut";
}

// The version of one key at the cut, with its timestamps; the read must have changed nothing.
tikv::UserVersion ReadOneAt(ports::ServedCluster* served, const Bytes& key, Timestamp cut) {
  ReadRequest request = RequestOf(*served);
  request.start = key;
  request.end = key + "0";
  request.cut = cut;
  request.with_timestamps = true;
  const size_t locks = Locks(served);
  Result<ReadResult> read = ReadCluster(request);
  CHECK(read.ok()) << read.status();
  CHECK_EQ(read->versions.size(), 1U);
  CHECK_EQ(Locks(served), locks);
  return read->versions.front();
}

TEST(ReadCluster, ALockOfACommittedTransactionIsReadThrough) {
  const auto served = ServeCluster(1, {}, SomePairs(10));
  const auto world = Connect();
  const Timestamp before = Now(served.get());
  Abandoned transaction(served.get(), world.get(), "k/100005");
  transaction.Prewrite("k/100005");
  transaction.Prewrite("k/100006");
  const Timestamp commit_ts = transaction.Commit("k/100005");
  const tikv::UserVersion seen = ReadOneAt(served.get(), "k/100006", commit_ts);
  EXPECT_EQ(seen, (tikv::UserVersion{"k/100006", "of nobody", transaction.start(), commit_ts}));
  const tikv::UserVersion former = ReadOneAt(served.get(), "k/100006", commit_ts.Previous());
  EXPECT_EQ(former.value, "value 6") << "it committed later";
  EXPECT_LT(former.commit_ts, before);
  EXPECT_EQ(former.start_ts, former.commit_ts.Previous());
}

TEST(ReadCluster, AsyncCommitIsDecidedByAllItsKeys) {
  const auto served = ServeCluster(1, {}, SomePairs(10));
  const auto world = Connect();
  Abandoned whole(served.get(), world.get(), "k/100001");
  Timestamp commit_ts = whole.Prewrite("k/100001", {"k/100002"});
  commit_ts = std::max(commit_ts, whole.Prewrite("k/100002", {}, true));
  EXPECT_EQ(ReadOneAt(served.get(), "k/100001", Now(served.get())), (tikv::UserVersion{"k/100001", "of nobody", whole.start(), commit_ts}));
  EXPECT_EQ(ReadOneAt(served.get(), "k/100002", Now(served.get())).commit_ts, commit_ts);
  EXPECT_EQ(ReadOneAt(served.get(), "k/100002", commit_ts.Previous()).value, "value 2");

  Abandoned torn(served.get(), world.get(), "k/100003");
  torn.Prewrite("k/100003", {"k/100004"});
  const Timestamp cut = Now(served.get());
  EXPECT_EQ(ReadOneAt(served.get(), "k/100003", cut).value, "value 3") << "its other key is not locked";
  EXPECT_GT(torn.Prewrite("k/100004", {}, true), cut) << "and can only be locked above the read";
}

TEST(ReadCluster, ALockWhosePrimaryWasNeverWrittenIsNothingYet) {
  const auto served = ServeCluster(1, {}, SomePairs(10));
  const auto world = Connect();
  Abandoned transaction(served.get(), world.get(), "k/100005");
  transaction.Prewrite("k/100006");
  EXPECT_EQ(ReadOneAt(served.get(), "k/100006", Now(served.get())).value, "value 6");
}

}  // namespace
}  // namespace kvjury::remote
