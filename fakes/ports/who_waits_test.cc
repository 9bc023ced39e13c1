// The account of who waits, and its sentences, in a simulated cluster: calls are told to the account as outside_calls.cc does.
#include "fakes/ports/who_waits.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/tikv/cluster_test_bench.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::ports {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr Micros kSecond = 1'000'000;

class WhoWaitsTest : public testing::Test {
 protected:
  ~WhoWaitsTest() override { bench_.cluster.Shutdown(); }

  /// One of several that happen at the same time, `at_us` from now: a call, or a look if `path` is null.
  struct Event {
    Micros at_us = 0;
    const char* path = nullptr;
    StoreId store;
    sim::MessagePtr request;
    std::vector<std::string>* looked = nullptr;
  };
  template <class Request, class Response>
  static Event Call(Micros at_us, sim::UnaryMethod<Request, Response> method, Request request) {
    const StoreId store(request.context().peer().store_id());
    return {at_us, method.path, store, std::make_shared<const Request>(std::move(request)), nullptr};
  }
  static Event Look(Micros at_us, std::vector<std::string>* looked) { return {at_us, nullptr, StoreId(), nullptr, looked}; }

  static sim::Task<void> Happen(WhoWaitsTest* test, Event event) {
    co_await test->bench_.world.scheduler().Sleep(event.at_us);
    if (event.path == nullptr) {
      *event.looked = test->Sentences();
      co_return;
    }
    const std::string path = event.path;
    const std::string method = path.substr(path.rfind('/') + 1);
    sim::CallOptions options;
    options.label = sim::Label("external").Numbered(method, ++test->numbers_[method]);
    const sim::Address to = test->bench_.cluster.store_address(event.store);
    WaitingCalls::Call waiting = test->calls_.Begin(to, method, options.label, event.request);
    auto asking = test->bench_.channel->CallRaw(event.path, to, event.request, std::move(options));
    const Result<sim::MessagePtr> answer = co_await std::move(asking);
    waiting.Answered(answer);
  }
  static sim::Task<void> HappenAll(WhoWaitsTest* test, std::vector<Event> events) {
    sim::Scope scope(&test->bench_.world.scheduler());
    for (const Event& event : events) {
      scope.Spawn("event", Happen(test, event));
    }
    sim::Task<void> joining = scope.Join();
    co_await std::move(joining);
  }
  void Play(std::vector<Event> events) {
    ASSERT_EQ(bench_.world.Run(HappenAll(this, std::move(events)), 600 * kSecond), sim::RunEnd::kDone);
  }

  std::vector<std::string> Sentences() {
    WhoWaitsQuery query;
    query.since_us = bench_.world.scheduler().now_us() - 30 * kSecond;
    return WhoWaits(&bench_.cluster, calls_, query);
  }

  kvrpcpb::Context ContextFor(const Bytes& key) {
    StoreId leader;
    return bench_.ContextFor(key, &leader);
  }
  kvrpcpb::PessimisticLockRequest Lock(const Bytes& key, Timestamp start_ts, const Bytes& primary) {
    kvrpcpb::PessimisticLockRequest request;
    *request.mutable_context() = ContextFor(key);
    request.add_mutations()->set_op(kvrpcpb::PessimisticLock);
    request.mutable_mutations(0)->set_key(key);
    request.set_primary_lock(primary);
    request.set_start_version(start_ts.value());
    request.set_for_update_ts(start_ts.value());
    request.set_lock_ttl(3'000);
    request.set_wait_timeout(20'000);
    return request;
  }
  kvrpcpb::PrewriteRequest Prewrite(const Bytes& key, Timestamp start_ts) {
    kvrpcpb::PrewriteRequest request;
    *request.mutable_context() = ContextFor(key);
    request.add_mutations()->set_key(key);
    request.mutable_mutations(0)->set_value("v");
    request.set_primary_lock(key);
    request.set_start_version(start_ts.value());
    request.set_lock_ttl(3'000);
    request.set_txn_size(1);
    return request;
  }
  kvrpcpb::CommitRequest Commit(const Bytes& key, Timestamp start_ts) {
    kvrpcpb::CommitRequest request;
    *request.mutable_context() = ContextFor(key);
    request.add_keys(key);
    request.set_start_version(start_ts.value());
    request.set_commit_version(bench_.Tso().value());
    return request;
  }
  kvrpcpb::GetRequest Get(const Bytes& key, Timestamp ts) {
    kvrpcpb::GetRequest request;
    *request.mutable_context() = ContextFor(key);
    request.set_key(key);
    request.set_version(ts.value());
    return request;
  }

  tikv::ClusterBench bench_{3};
  WaitingCalls calls_{&bench_.world};
  std::map<std::string, uint64_t> numbers_;
};

TEST_F(WhoWaitsTest, NobodyWaitsWhereEverythingIsAnswered) {
  Play({Call(0, tikv::kKvGet, Get("a", bench_.Tso())), Call(0, tikv::kKvPrewrite, Prewrite("b", bench_.Tso()))});
  EXPECT_THAT(Sentences(), IsEmpty());
  EXPECT_THAT(calls_.held(), IsEmpty());
}

TEST_F(WhoWaitsTest, ACallInALocksQueueIsNamedWithTheLockAndWhoHoldsIt) {
  const Timestamp owner = bench_.Tso();
  const Timestamp waiter = bench_.Tso();
  std::vector<std::string> looked;
  Play({Call(0, tikv::kKvPessimisticLock, Lock("a\xfd", owner, "p")), Call(kSecond, tikv::kKvPessimisticLock, Lock("a\xfd", waiter, "q")),
        Look(1'800'000, &looked)});
  ASSERT_THAT(looked, SizeIs(1));
  EXPECT_THAT(looked[0], StartsWith(fmt::format("KvPessimisticLock of transaction {} on store 1 is not answered for 0.8 s: ", waiter.value())));
  EXPECT_THAT(looked[0], HasSubstr(fmt::format("it waits in the queue of \"a\\xfd\", which is locked by transaction {}, primary \"p\", whose time to "
                                               "live ends in 1.2 s, whose client was last heard 1.8 s ago (KvPessimisticLock)",
                                               owner.value())));
  // The store ended the wait after a second with the words that the key is locked, and nothing is under way any more.
  EXPECT_THAT(calls_.held(), IsEmpty());
  EXPECT_THAT(Sentences(), ElementsAre(AllOf(HasSubstr("asked once, the last time"), HasSubstr("is locked by"))));
}

TEST_F(WhoWaitsTest, AnswersThatAKeyIsLockedAreCountedAsLongAsTheLockIsThere) {
  const Timestamp owner = bench_.Tso();
  Play({Call(0, tikv::kKvPrewrite, Prewrite("a", owner))});
  const Timestamp reader = bench_.Tso();
  std::vector<Event> reads;
  for (Micros at_us = kSecond; at_us <= 34 * kSecond; at_us += kSecond) {
    reads.push_back(Call(at_us, tikv::kKvGet, Get("a", reader)));
  }
  Play(reads);
  EXPECT_THAT(Sentences(),
              ElementsAre(AllOf(StartsWith(fmt::format("KvGet of transaction {} on store 1, asked 34 times within 33 s, ", reader.value())),
                                HasSubstr(fmt::format("\"a\" is locked by transaction {}, its primary, whose time to live ended", owner.value())),
                                HasSubstr("last heard 34 s ago (KvPrewrite)"))));
  Play({Call(0, tikv::kKvCommit, Commit("a", owner))});
  EXPECT_THAT(Sentences(), ElementsAre("and besides: \"locked, and no longer\" 34 times"));
  EXPECT_EQ(calls_.FindHeard(owner), nullptr) << "it is decided";
}

TEST_F(WhoWaitsTest, AClientThatComesAgainIntoAQueueIsNamedOnceWithHowOftenItCame) {
  const Timestamp owner = bench_.Tso();
  const Timestamp waiter = bench_.Tso();
  std::vector<std::string> looked;
  std::vector<Event> events = {Call(0, tikv::kKvPessimisticLock, Lock("a", owner, "a")), Look(30'500'000, &looked)};
  for (Micros at_us = kSecond; at_us <= 30 * kSecond; at_us += 2 * kSecond) {
    events.push_back(Call(at_us, tikv::kKvPessimisticLock, Lock("a", waiter, "b")));
  }
  events.push_back(Call(30 * kSecond, tikv::kKvPessimisticLock, Lock("a", waiter, "b")));
  Play(events);
  EXPECT_THAT(looked, ElementsAre(HasSubstr(fmt::format("KvPessimisticLock of transaction {} on store 1, asked 15 times within 28 s", waiter.value()))));
}

TEST_F(WhoWaitsTest, AChainOfTransactionsIsFollowed) {
  const Timestamp first = bench_.Tso();
  const Timestamp second = bench_.Tso();
  const Timestamp third = bench_.Tso();
  std::vector<std::string> looked;
  Play({Call(0, tikv::kKvPessimisticLock, Lock("a", first, "a")), Call(0, tikv::kKvPessimisticLock, Lock("b", second, "b")),
        Call(kSecond, tikv::kKvPessimisticLock, Lock("a", second, "b")), Call(2 * kSecond, tikv::kKvPessimisticLock, Lock("b", third, "b")),
        Look(5 * kSecond, &looked)});
  ASSERT_THAT(looked, SizeIs(2));
  EXPECT_THAT(looked[0], AllOf(HasSubstr(fmt::format("of transaction {} on", second.value())), Not(HasSubstr("itself"))));
  EXPECT_THAT(looked[1], AllOf(HasSubstr(fmt::format("of transaction {} on", third.value())),
                               HasSubstr(fmt::format("and which itself waits for transaction {}", first.value()))));
}

TEST_F(WhoWaitsTest, AClientThatAsksWhoDoesNotLeadIsToldWhereAndHowOften) {
  const StoreId former(ContextFor("a").peer().store_id());
  kvrpcpb::GetRequest request = Get("a", bench_.Tso());
  const StoreId leader(former.value() % 3 + 1);
  ASSERT_TRUE(bench_.cluster.TransferLeader(RegionId(request.context().region_id()), leader));
  bench_.Pass(kSecond);
  for (int i = 0; i < 7; ++i) {
    Play({Call(kSecond, tikv::kKvGet, request)});
  }
  EXPECT_THAT(Sentences(), ElementsAre(AllOf(HasSubstr(fmt::format("on store {}, asked 7 times within 6.0 s", former.value())),
                                             HasSubstr(fmt::format("it does not lead region {}", request.context().region_id())),
                                             HasSubstr(fmt::format("names store {}", leader.value())))));
}

TEST_F(WhoWaitsTest, WhatAFaultHoldsIsSaidToBeHeldByIt) {
  record::Case faults;
  faults.add_fault()->set_at("external/KvGet#1");
  faults.mutable_fault(0)->mutable_lose_reply();
  faults.add_nudge()->set_at("external/KvGet#2");
  faults.mutable_nudge(0)->set_delay_us(8 * kSecond);
  bench_.world.faults().Load(faults);
  std::vector<std::string> looked;
  Play({Call(0, tikv::kKvGet, Get("a", bench_.Tso())), Call(kSecond, tikv::kKvGet, Get("a", bench_.Tso())), Look(4 * kSecond, &looked)});
  EXPECT_THAT(looked, ElementsAre(HasSubstr("is not answered for 4.0 s: the fault lose_reply holds it (external/KvGet#1)"),
                                  HasSubstr("is not answered for 3.0 s: a planned delay of 8.0 s holds it (external/KvGet#2)")));
  // A lost answer ends with the deadline, and then it is no answer.
  EXPECT_THAT(Sentences(), ElementsAre(HasSubstr("asked once, the last time 0.0 s ago: no answer but ")));
}

TEST_F(WhoWaitsTest, AStoreThatStandsStillOrIsDownIsNamedFirst) {
  const kvrpcpb::GetRequest request = Get("a", bench_.Tso());
  const StoreId store(request.context().peer().store_id());
  std::vector<std::string> looked;
  ASSERT_TRUE(bench_.cluster.PauseStore(store, 9 * kSecond));
  Play({Call(0, tikv::kKvGet, request), Look(5 * kSecond, &looked)});
  EXPECT_THAT(looked, ElementsAre(fmt::format("store {} stands still", store.value()), HasSubstr(": the store stands still (external/KvGet#1)")));
  ASSERT_TRUE(bench_.cluster.KillStore(store, 0));
  EXPECT_THAT(Sentences(), testing::Contains(StartsWith(fmt::format("store {} is down", store.value()))));
}

TEST_F(WhoWaitsTest, WhatTakesTooManySentencesIsCounted) {
  const Timestamp owner = bench_.Tso();
  std::vector<Event> events;
  for (const char* key : {"a", "b", "c", "d", "e", "f", "g"}) {
    events.push_back(Call(0, tikv::kKvPrewrite, Prewrite(key, owner)));
    events.push_back(Call(kSecond, tikv::kKvGet, Get(key, Timestamp::Max().Previous())));
  }
  Play(events);
  const std::vector<std::string> sentences = Sentences();
  ASSERT_THAT(sentences, SizeIs(6));
  EXPECT_EQ(sentences[5], "and besides: \"locked\" 2 times");
  EXPECT_EQ(Sentences(), sentences) << "the same again";
}

TEST_F(WhoWaitsTest, WhatCameBeforeALongPauseIsNoMoreCounted) {
  const Timestamp owner = bench_.Tso();
  Play({Call(0, tikv::kKvPrewrite, Prewrite("a", owner))});
  const Timestamp reader = bench_.Tso();
  Play({Call(0, tikv::kKvGet, Get("a", reader)), Call(kSecond, tikv::kKvGet, Get("a", reader))});
  bench_.Pass(31 * kSecond);
  EXPECT_THAT(Sentences(), IsEmpty()) << "nobody was told anything since then";
  bench_.Pass(WaitingCalls::kPauseUsMax);
  Play({Call(0, tikv::kKvGet, Get("a", reader))});
  EXPECT_THAT(Sentences(), ElementsAre(HasSubstr("asked once,")));
}

TEST_F(WhoWaitsTest, AnswersOfPdAndOfHttpThatSayNoAreTold) {
  auto region = std::make_shared<pdpb::GetRegionResponse>();
  region->mutable_header()->mutable_error()->set_type(pdpb::REGION_NOT_FOUND);
  auto refused = std::make_shared<::http::Response>();
  refused->set_status(503);
  auto asked = std::make_shared<::http::Request>();
  asked->set_method("GET");
  asked->set_path("/pd/api/v1/stores");
  for (int i = 0; i < 2; ++i) {
    calls_.Begin("source/pd", "GetRegion", sim::Label("x"), std::make_shared<pdpb::GetRegionRequest>()).Answered(sim::MessagePtr(region));
    calls_.Begin("source/pd", "http", sim::Label("y"), asked).Answered(sim::MessagePtr(refused));
  }
  EXPECT_THAT(Sentences(), ElementsAre(AllOf(HasSubstr("GetRegion at source/pd, asked 2 times"), HasSubstr("REGION_NOT_FOUND")),
                                       HasSubstr("GET /pd/api/v1/stores is answered 503")));
  // A call of another kind that was answered so once is only counted.
  calls_.Begin("source/pd", "GetStore", sim::Label("z"), std::make_shared<pdpb::GetStoreRequest>()).Answered(sim::MessagePtr(region));
  EXPECT_THAT(Sentences(), ElementsAre(HasSubstr("GetRegion"), HasSubstr("503"), "and besides: \"header\" once"));
}

// Tells who waits while it is written to.
class LookedAtStore : public objects::ObjectStore {
 public:
  explicit LookedAtStore(std::function<void()> look) : look_(std::move(look)) {}
  Status Put(const std::string&, std::string_view) override {
    look_();
    return Status::Ok();
  }
  Result<Bytes> Get(const std::string& name) override { return Status::NotFound(name); }
  Result<objects::ObjectInfo> Head(const std::string& name) override { return Status::NotFound(name); }
  Result<std::vector<objects::ObjectInfo>> List(const std::string&) override { return std::vector<objects::ObjectInfo>(); }
  Status Delete(const std::string&) override { return Status::Ok(); }
  [[nodiscard]] std::string description() const override { return "memory"; }

 private:
  std::function<void()> look_;
};

TEST_F(WhoWaitsTest, AStoreThatWaitsForItsObjectStorageIsSaidToDoSo) {
  std::vector<std::string> looked;
  const std::unique_ptr<objects::ObjectStore> store =
      calls_.storage().Watched(std::make_unique<LookedAtStore>([&]() { looked = Sentences(); }));
  auto download = std::make_shared<import_sstpb::DownloadRequest>();
  download->set_name("1/x.sst");
  const WaitingCalls::Call backup =
      calls_.Begin(bench_.cluster.store_address(StoreId(1)), "backup", sim::Label("x"), std::make_shared<::backup::BackupRequest>());
  const WaitingCalls::Call other =
      calls_.Begin(bench_.cluster.store_address(StoreId(2)), "backup", sim::Label("y"), std::make_shared<::backup::BackupRequest>());
  const WaitingCalls::Call downloading = calls_.Begin(bench_.cluster.store_address(StoreId(3)), "Download", sim::Label("z"), download);
  bench_.Pass(2 * kSecond);
  ASSERT_TRUE(store->Put("1/x.sst", "bytes").ok());
  const std::string waits = "the store waits for its object storage, for 0.0 s now for the Put of \"1/x.sst\" in memory";
  EXPECT_THAT(looked, ElementsAre(HasSubstr("backup on store 1 is not answered for 2.0 s: " + waits),
                                  HasSubstr("backup on store 2 is not answered for 2.0 s: what it waits for is not known"),
                                  HasSubstr("Download on store 3 is not answered for 2.0 s: " + waits)));
  EXPECT_THAT(Sentences(), SizeIs(3));
  EXPECT_THAT(Sentences(), testing::Each(HasSubstr("what it waits for is not known")));
}

TEST_F(WhoWaitsTest, CallsOfOneTransactionAtOnePlaceAreToldTogether) {
  const kvrpcpb::GetRequest request = Get("a", bench_.Tso());
  std::vector<std::string> looked;
  ASSERT_TRUE(bench_.cluster.PauseStore(StoreId(request.context().peer().store_id()), 9 * kSecond));
  Play({Call(0, tikv::kKvGet, request), Call(kSecond, tikv::kKvGet, request), Call(2 * kSecond, tikv::kKvGet, request), Look(5 * kSecond, &looked)});
  EXPECT_THAT(looked, ElementsAre(HasSubstr("stands still"), AllOf(HasSubstr("not answered for 5.0 s"), HasSubstr(", and 2 more like it"))));
}

TEST_F(WhoWaitsTest, TheAccountIsBounded) {
  for (uint64_t i = 1; i <= 3 * WaitingCalls::kRememberedMax; ++i) {
    auto request = std::make_shared<kvrpcpb::PrewriteRequest>();
    request->set_start_version(i);
    auto answer = std::make_shared<kvrpcpb::PrewriteResponse>();
    answer->add_errors()->mutable_locked()->set_key(std::to_string(i));
    calls_.Begin("source/store-1", "KvPrewrite", sim::Label("x"), request).Answered(sim::MessagePtr(answer));
    bench_.world.scheduler().AdvanceTo(bench_.world.scheduler().now_us() + 1);
  }
  EXPECT_LE(calls_.DeferredSince(0).size(), WaitingCalls::kRememberedMax);
  EXPECT_GE(calls_.DeferredSince(0).size(), WaitingCalls::kRememberedMax / 2);
  EXPECT_EQ(calls_.FindHeard(Timestamp(1)), nullptr);
  EXPECT_NE(calls_.FindHeard(Timestamp(3 * WaitingCalls::kRememberedMax)), nullptr);
}

}  // namespace
}  // namespace kvjury::ports
