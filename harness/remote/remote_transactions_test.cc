// The transaction layer over real ports: several clients move money between accounts while regions split and leaders move; every
// snapshot shows the same sum, and nothing is lost.
#include <gmock/gmock.h>

#include <atomic>

#include "fakes/base/random.h"
#include "harness/client/client.h"
#include "harness/remote/read_cluster.h"
#include "harness/remote/served_test_bench.h"

namespace kvjury::remote {
namespace {

constexpr size_t kAccounts = 8;
constexpr int kMoney = 100;
constexpr size_t kClients = 4;
constexpr size_t kTransfers = 40;

Bytes AccountKey(size_t i) { return "bank/" + std::to_string(10 + i); }

struct Tally {
  size_t committed = 0;
  size_t conflicts = 0;
  size_t undetermined = 0;
  size_t failed = 0;
  size_t snapshots = 0;
  size_t wrong_sums = 0;
};

sim::Task<Status> SumOnce(client::Client* client, sim::Label label, Tally* tally) {
  auto beginning = client->Begin(std::move(label));
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(beginning));
  auto scanning = transaction->Scan("bank/", "bank0", 0);
  CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> pairs, co_await std::move(scanning));
  int sum = 0;
  for (const client::Pair& pair : pairs) {
    sum += std::stoi(pair.second);
  }
  ++tally->snapshots;
  tally->wrong_sums += sum == static_cast<int>(kAccounts) * kMoney ? 0 : 1;
  co_return Status::Ok();
}

sim::Task<Status> MoveOnce(client::Client* client, size_t from, size_t to, int amount, sim::Label label) {
  auto beginning = client->Begin(std::move(label));
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(beginning));
  std::vector<Bytes> keys = {AccountKey(from), AccountKey(to)};
  auto reading = transaction->BatchGet(keys);
  CO_ASSIGN_OR_RETURN(auto found, co_await std::move(reading));
  transaction->Put(keys[0], std::to_string(std::stoi(found[keys[0]]) - amount));
  transaction->Put(keys[1], std::to_string(std::stoi(found[keys[1]]) + amount));
  auto committing = transaction->Commit();
  const Result<client::CommitInfo> committed = co_await std::move(committing);
  co_return committed.status();
}

// One process's client: its own world, connections and caches.
sim::Task<Tally> WriterMain(RemoteWorld* world, sim::Address pd, size_t index) {
  client::Client client(world->channel(), world->scheduler(), "client-" + std::to_string(index), std::move(pd), nullptr);
  RandomStream random(index + 1);
  Tally tally;
  for (size_t i = 0; i < kTransfers; ++i) {
    const size_t from = random.Below(kAccounts);
    const size_t to = (from + 1 + random.Below(kAccounts - 1)) % kAccounts;
    const int amount = static_cast<int>(random.Between(1, 20));
    const sim::Label label = (sim::Label("w") / std::to_string(index)).Numbered("op", i);
    auto moving = MoveOnce(&client, from, to, amount, label);
    const Status moved = co_await std::move(moving);
    tally.committed += moved.ok() ? 1 : 0;
    tally.conflicts += moved.code() == StatusCode::kConflict ? 1 : 0;
    tally.undetermined += moved.code() == StatusCode::kUndetermined ? 1 : 0;
    tally.failed += moved.ok() || moved.code() == StatusCode::kConflict || moved.code() == StatusCode::kUndetermined ? 0 : 1;
    if (i % 4 == 0) {
      auto summing = SumOnce(&client, label / "sum", &tally);
      const Status summed = co_await std::move(summing);
      tally.failed += summed.ok() ? 0 : 1;
    }
  }
  auto closing = client.Close();
  co_await std::move(closing);
  co_return tally;
}

// Reads of everything from outside, whose sum is right and whose versions are those that the records show afterwards.
void ReadNowAndThen(ports::ServedCluster* served, const ports::TlsFiles& tls, const std::atomic<bool>* stop, std::vector<ReadResult>* reads) {
  ReadRequest request;
  request.members = served->pd_addresses();
  request.tls = tls;
  request.with_timestamps = true;
  while (!*stop) {
    Result<ReadResult> read = ReadCluster(request);
    EXPECT_TRUE(read.ok()) << read.status();
    if (read.ok()) {
      reads->push_back(*std::move(read));
    }
  }
}

void CheckReads(ports::ServedCluster* served, const std::vector<ReadResult>& reads) {
  EXPECT_GT(reads.size(), 3U);
  for (const ReadResult& read : reads) {
    std::vector<tikv::UserVersion> truth;
    ASSERT_TRUE(served->live().Run([&]() { truth = tikv::ReadRangeAt(served->cluster().engine().Latest(), {}, {}, read.cut, 0); }));
    EXPECT_EQ(read.versions, truth) << "at " << read.cut;
  }
}

Tally RunClients(ports::ServedCluster* served, const ports::TlsFiles& tls) {
  std::vector<Tally> tallies(kClients);
  std::vector<std::thread> threads;
  std::atomic<bool> stop = false;
  std::vector<ReadResult> reads;
  std::thread reader(ReadNowAndThen, served, tls, &stop, &reads);
  for (size_t i = 0; i < kClients; ++i) {
    threads.emplace_back([&tallies, served, &tls, i]() {
      const auto world = Connect(tls);
      tallies[i] = world->Run(WriterMain(world.get(), served->pd_addresses().front(), i));
    });
  }
  for (size_t i = 1; i < kAccounts; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    served->live().Run([served, i]() {
      tikv::Cluster& cluster = served->cluster();
      cluster.SplitAt(AccountKey(i));
      cluster.TransferLeader(cluster.regions().FindByKey(EncodeKey(AccountKey(i)))->id);
    });
  }
  Tally all;
  for (size_t i = 0; i < kClients; ++i) {
    threads[i].join();
    all.committed += tallies[i].committed;
    all.conflicts += tallies[i].conflicts;
    all.undetermined += tallies[i].undetermined;
    all.failed += tallies[i].failed;
    all.snapshots += tallies[i].snapshots;
    all.wrong_sums += tallies[i].wrong_sums;
  }
  stop = true;
  reader.join();
  CheckReads(served, reads);
  return all;
}

void MoneyStays(const ports::TlsFiles& server, const ports::TlsFiles& clients) {
  std::vector<std::pair<Bytes, Bytes>> pairs;
  for (size_t i = 0; i < kAccounts; ++i) {
    pairs.emplace_back(AccountKey(i), std::to_string(kMoney));
  }
  const auto served = ServeCluster(3, server, pairs);
  const Tally all = RunClients(served.get(), clients);
  EXPECT_EQ(all.wrong_sums, 0U);
  EXPECT_EQ(all.failed, 0U);
  EXPECT_EQ(all.committed + all.conflicts + all.undetermined, kClients * kTransfers);
  EXPECT_EQ(all.snapshots, kClients * kTransfers / 4);
  EXPECT_GT(all.committed, kClients * kTransfers / 4);
  EXPECT_GT(all.conflicts, 0U) << "nobody met anybody";
  size_t left = 0;
  ASSERT_TRUE(served->live().Run([&]() { left = served->cluster().LockCount(); }));
  EXPECT_EQ(left, 0U);
}

TEST(TransactionsOverPorts, MoneyIsNeitherMadeNorLostWhileRegionsSplitAndLeadersMove) { MoneyStays({}, {}); }

TEST(TransactionsOverPorts, NorUnderTls) {
  const TemporaryFolder folder;
  ASSERT_TRUE(ports::MakeTestCertificates(folder.path() + "/c").ok());
  const std::string c = folder.path() + "/c/";
  MoneyStays({c + "ca.pem", c + "server.pem", c + "server-key.pem"}, {c + "ca.pem", c + "client.pem", c + "client-key.pem"});
}

}  // namespace
}  // namespace kvjury::remote
