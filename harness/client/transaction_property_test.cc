// The transaction layer alone, on a simulated cluster under drawn faults: clients permute a ring, move money, scan and
// delete, some of them die, and everything they saw and did must be one history under snapshot isolation.
//
// Checked: the ring stays one cycle and the sum of the bank constant in every snapshot; every read of every transaction
// equals the model at its start timestamp; the first committer wins; undetermined transactions are settled by asking the
// store, and the store's own record agrees; all locks can be resolved at the end.

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "fakes/tikv/cluster.h"
#include "fakes/tikv/cluster_faults.h"
#include "harness/client/client.h"

namespace kvjury::client {
namespace {

constexpr size_t kNodes = 12;
constexpr size_t kAccounts = 8;
constexpr int kMoney = 100;
constexpr int64_t kClockMs = 1'700'000'000'000;

Bytes NodeKey(size_t i) { return "ring/" + std::to_string(10 + i); }
Bytes AccountKey(size_t i) { return "bank/" + std::to_string(10 + i); }
Bytes ScratchKey(size_t i) { return "scratch/" + std::to_string(10 + i); }
/// Too long for async commit, and with its value too large for one batch.
Bytes FillerKey(size_t i) { return "filler/" + std::to_string(10 + i) + Bytes(1100, 'x'); }

/// Every written value is "number:writer" so that no two writes are the same.
int NumberOf(const Bytes& value) { return std::stoi(value.substr(0, value.find(':'))); }

struct ScanRecord {
  Bytes start;
  Bytes end;
  std::vector<Pair> pairs;
};

struct History {
  enum class Outcome { kCommitted, kNotCommitted, kUnknown };
  Timestamp start_ts;
  Timestamp commit_ts;
  Outcome outcome = Outcome::kNotCommitted;
  Bytes primary;
  std::string label;
  std::map<Bytes, std::optional<Bytes>> reads;
  std::vector<ScanRecord> scans;
  std::map<Bytes, std::optional<Bytes>> writes;
};

struct RunSetup {
  uint64_t seed = 0;
  uint32_t clients = 3;
  uint32_t transactions = 6;
  uint32_t fault_ppm = 0;
  uint32_t nudge_ppm = 0;
  bool crash = false;
};

/// What came up over all runs of the property.
struct Classes {
  std::map<std::string, uint64_t> count;
};

record::Case MakeCase(const RunSetup& setup) {
  record::Case c;
  record::Explore* explore = c.mutable_explore();
  explore->set_seed(setup.seed);
  explore->set_fault_ppm(setup.fault_ppm);
  explore->set_nudge_ppm(setup.nudge_ppm);
  explore->set_delay_us_max(20'000);
  explore->set_fault_count_max(10);
  for (const char* kind : {"lose_request", "lose_reply", "duplicate", "split_region", "merge_region", "transfer_leader",
                           "kill_store", "pause_store", "stale_route", "server_busy", "pd_leader_change", "drop_proposal"}) {
    explore->add_kind(kind);
  }
  return c;
}

tikv::ClusterOptions MakeOptions(objects::Storages* storages) {
  tikv::ClusterOptions options;
  options.clock_start_ms = kClockMs;
  options.cluster_id = 7;
  options.pd_members = 3;
  options.storages = storages;
  return options;
}

class ManyClients {
 public:
  explicit ManyClients(RunSetup setup)
      : setup_(setup), world_(MakeCase(setup)), cluster_(&world_, MakeOptions(&storages_)), faults_(&world_, {&cluster_}) {
    for (uint32_t i = 0; i <= setup_.clients; ++i) {
      const std::string name = i == setup_.clients ? "judge" : "w" + std::to_string(i);
      clients_.push_back(std::make_unique<Client>(world_.fabric().ChannelFrom(name), &world_.scheduler(), "client-" + name,
                                                  cluster_.pd_address(), &world_.log()));
    }
    LoadInitial();
  }

  void Go() {
    const sim::RunEnd end = world_.Run(Main(this), Micros{7200} * 1'000'000);
    RC_ASSERT(end == sim::RunEnd::kDone);
    cluster_.Shutdown();
    while (world_.scheduler().RunOne()) {
    }
    CheckHistory();
  }
  void Count(Classes* classes) {
    for (const auto& [kind, count] : world_.faults().fired_counts()) {
      classes->count["fault " + kind] += count;
    }
    for (const auto& client : clients_) {
      const Counters& c = client->counters();
      classes->count["committed 1PC"] += c.committed_one_phase;
      classes->count["committed async"] += c.committed_async;
      classes->count["committed 2PC"] += c.committed_two_phase;
      classes->count["conflicts"] += c.conflicts;
      classes->count["undetermined"] += c.undetermined;
      classes->count["region errors"] += c.region_errors;
      classes->count["locks met"] += c.locks_met;
      classes->count["locks resolved"] += c.locks_resolved;
      classes->count["async recoveries"] += c.async_recoveries;
    }
    classes->count["crashes"] += setup_.crash ? 1 : 0;
    classes->count["reads compared"] += reads_compared_;
    classes->count["left locks"] += locks_at_end_;
  }
  [[nodiscard]] std::string digest() const { return world_.DigestText(); }

 private:
  void LoadInitial() {
    std::vector<Pair> pairs;
    for (size_t i = 0; i < kAccounts; ++i) {
      pairs.emplace_back(AccountKey(i), std::to_string(kMoney) + ":0");
    }
    for (size_t i = 0; i < kNodes; ++i) {
      pairs.emplace_back(NodeKey(i), std::to_string((i + 1) % kNodes) + ":0");
    }
    cluster_.LoadPairs(pairs, Timestamp::Compose(kClockMs - 1000, 0));
    for (const Pair& pair : pairs) {
      model_[pair.first][Timestamp::Compose(kClockMs - 1000, 0)] = pair.second;
    }
    for (const Bytes& key : {AccountKey(4), NodeKey(0), NodeKey(6), FillerKey(2), Bytes("scratch/")}) {
      cluster_.SplitAt(key);
    }
  }

  static sim::Task<void> Main(ManyClients* run) {
    sim::Scheduler& scheduler = run->world_.scheduler();
    sim::Scope scope(&scheduler);
    for (uint32_t i = 0; i < run->setup_.clients; ++i) {
      scope.Spawn("writer " + std::to_string(i), Writer(run, i));
    }
    co_await scope.Join();
    run->world_.faults().Heal();
    run->cluster_.Heal();
    for (auto& client : run->clients_) {
      auto join = client->Join();
      co_await std::move(join);
    }
    run->locks_at_end_ = run->cluster_.LockCount();
    auto settle = SettleAll(run);
    co_await std::move(settle);
    for (auto& client : run->clients_) {
      auto join = client->Join();
      co_await std::move(join);
    }
  }

  static sim::Task<void> Writer(ManyClients* run, uint32_t index) {
    RandomStream random = run->world_.Random("writer-" + std::to_string(index));
    Client* client = run->clients_[index].get();
    if (run->setup_.crash && index == 0) {
      const Micros at_us = random.Between(1'000, 60'000);
      run->world_.scheduler().After(at_us, 0, [client]() { client->Crash(); });
    }
    for (uint32_t i = 0; i < run->setup_.transactions && !client->crashed(); ++i) {
      run->history_.push_back(std::make_unique<History>());
      History* history = run->history_.back().get();
      history->label = "w" + std::to_string(index) + "/op" + std::to_string(i);
      auto transact = Transact(client, &random, history);
      co_await std::move(transact);
      const Micros think_us = random.Between(0, 3'000);
      co_await run->world_.scheduler().Sleep(think_us);
    }
  }

  static sim::Task<void> Transact(Client* client, RandomStream* random, History* history) {
    auto begin = client->Begin(sim::Label(history->label));
    Result<std::unique_ptr<Transaction>> begun = co_await std::move(begin);
    if (!begun.ok()) {
      co_return;
    }
    Transaction* transaction = begun->get();
    history->start_ts = transaction->start_ts();
    const uint64_t kind = random->Below(10);
    auto work = kind < 4    ? Permute(transaction, random, history, kind == 0)
                : kind < 7  ? MoveMoney(transaction, random, history)
                : kind == 7 ? Scratch(transaction, random, history)
                            : ScanAll(transaction, history);
    const bool complete = co_await std::move(work);
    if (!complete || history->writes.empty()) {
      co_return;
    }
    for (const auto& [key, value] : history->writes) {
      if (value.has_value()) {
        transaction->Put(key, *value);
      } else {
        transaction->Delete(key);
      }
    }
    history->primary = transaction->primary_key();
    auto commit = transaction->Commit();
    const Result<CommitInfo> committed = co_await std::move(commit);
    if (committed.ok()) {
      history->outcome = History::Outcome::kCommitted;
      history->commit_ts = committed->commit_ts;
    } else if (committed.error().code() == StatusCode::kUndetermined ||
               committed.error().code() == StatusCode::kCancelled) {
      history->outcome = History::Outcome::kUnknown;
    }
    const bool consistent = committed.status().code() != StatusCode::kDataLoss;
    RC_ASSERT(consistent);
  }

  // Reads one key into the history; 0 if it could not be read.
  static sim::Task<std::optional<int>> ReadNumber(Transaction* transaction, Bytes key, History* history) {
    auto read = transaction->Get(key);
    Result<std::optional<Bytes>> value = co_await std::move(read);
    if (!value.ok()) {
      co_return std::nullopt;
    }
    history->reads[key] = *value;
    RC_ASSERT(value->has_value());
    co_return NumberOf(**value);
  }

  // a -> b -> c -> d becomes a -> c -> b -> d.
  static sim::Task<bool> Permute(Transaction* transaction, RandomStream* random, History* history, bool large) {
    size_t nodes[4] = {random->Below(kNodes), 0, 0, 0};
    for (size_t i = 0; i < 3; ++i) {
      auto read = ReadNumber(transaction, NodeKey(nodes[i]), history);
      const std::optional<int> next = co_await std::move(read);
      if (!next.has_value()) {
        co_return false;
      }
      nodes[i + 1] = static_cast<size_t>(*next);
    }
    history->writes[NodeKey(nodes[0])] = std::to_string(nodes[2]) + ":" + history->label;
    history->writes[NodeKey(nodes[2])] = std::to_string(nodes[1]) + ":" + history->label;
    history->writes[NodeKey(nodes[1])] = std::to_string(nodes[3]) + ":" + history->label;
    for (size_t i = 0; large && i < 5; ++i) {
      history->writes[FillerKey(i)] = "0:" + history->label + Bytes(5000, 'y');
    }
    co_return true;
  }

  static sim::Task<bool> MoveMoney(Transaction* transaction, RandomStream* random, History* history) {
    const size_t from = random->Below(kAccounts);
    const size_t to = (from + 1 + random->Below(kAccounts - 1)) % kAccounts;
    std::vector<Bytes> keys = {AccountKey(from), AccountKey(to)};
    auto read = transaction->BatchGet(keys);
    Result<std::map<Bytes, Bytes>> found = co_await std::move(read);
    if (!found.ok()) {
      co_return false;
    }
    RC_ASSERT(found->size() == 2U);
    for (const auto& [key, value] : *found) {
      history->reads[key] = value;
    }
    const int amount = static_cast<int>(random->Between(1, 20));
    history->writes[keys[0]] = std::to_string(NumberOf((*found)[keys[0]]) - amount) + ":" + history->label;
    history->writes[keys[1]] = std::to_string(NumberOf((*found)[keys[1]]) + amount) + ":" + history->label;
    co_return true;
  }

  static sim::Task<bool> Scratch(Transaction* transaction, RandomStream* random, History* history) {
    for (int i = 0; i < 3; ++i) {
      const Bytes key = ScratchKey(random->Below(6));
      auto read = transaction->Get(key);
      Result<std::optional<Bytes>> value = co_await std::move(read);
      if (!value.ok()) {
        co_return false;
      }
      history->reads[key] = *value;
      history->writes[key] = value->has_value() ? std::nullopt : std::optional<Bytes>("1:" + history->label);
    }
    co_return true;
  }

  static sim::Task<bool> ScanAll(Transaction* transaction, History* history) {
    for (const auto& [start, end] : std::vector<std::pair<Bytes, Bytes>>{{"bank/", "bank0"}, {"ring/", "ring0"}, {"s", ""}}) {
      auto scan = transaction->Scan(start, end, 0);
      Result<std::vector<Pair>> pairs = co_await std::move(scan);
      if (!pairs.ok()) {
        co_return false;
      }
      history->scans.push_back(ScanRecord{start, end, *std::move(pairs)});
    }
    co_return true;
  }

  static sim::Task<void> SettleAll(ManyClients* run) {
    Client* judge = run->clients_.back().get();
    for (auto& history : run->history_) {
      if (history->outcome == History::Outcome::kUnknown) {
        auto settle = judge->Settle(history->start_ts, history->primary, sim::Label("judge/" + history->label));
        Result<std::optional<Timestamp>> fate = co_await std::move(settle);
        RC_ASSERT(fate.ok());
        history->outcome = fate->has_value() ? History::Outcome::kCommitted : History::Outcome::kNotCommitted;
        history->commit_ts = fate->value_or(Timestamp());
      }
    }
    auto ask = judge->CurrentTimestamp(sim::Label("judge/now"));
    Result<Timestamp> now = co_await std::move(ask);
    RC_ASSERT(now.ok());
    auto resolve = judge->ResolveLocksBelow(*now, "", "", true, sim::Label("judge/locks"));
    Result<uint64_t> resolved = co_await std::move(resolve);
    RC_ASSERT(resolved.ok());
    RC_ASSERT(run->cluster_.LockCount() == 0U);
    run->history_.push_back(std::make_unique<History>());
    History* last = run->history_.back().get();
    last->label = "judge/last";
    last->start_ts = *now;
    std::unique_ptr<Transaction> transaction = judge->BeginAt(*now, sim::Label("judge/last"));
    auto scan = ScanAll(transaction.get(), last);
    const bool complete = co_await std::move(scan);
    RC_ASSERT(complete);
  }

  void CheckHistory() {
    for (const auto& history : history_) {
      const bool committed = history->outcome == History::Outcome::kCommitted;
      if (!history->primary.empty()) {
        const auto fate = cluster_.OracleTransaction(history->start_ts, history->primary);
        RC_ASSERT((fate.fate == tikv::Cluster::Fate::kCommitted) == committed);
        if (committed) {
          RC_ASSERT(fate.commit_ts == history->commit_ts);
        }
      }
      for (const auto& [key, value] : history->writes) {
        if (committed) {
          const bool first_at_this_time = model_[key].emplace(history->commit_ts, value).second;
          RC_ASSERT(first_at_this_time);
        }
      }
    }
    for (const auto& history : history_) {
      CheckReads(*history);
      CheckFirstCommitterWins(*history);
      CheckInvariants(*history);
    }
    RC_ASSERT(reads_compared_ > 0U);
  }

  [[nodiscard]] std::optional<Bytes> ModelAt(const Bytes& key, Timestamp ts) const {
    auto versions = model_.find(key);
    if (versions == model_.end()) {
      return std::nullopt;
    }
    auto after = versions->second.upper_bound(ts);
    return after == versions->second.begin() ? std::nullopt : std::prev(after)->second;
  }

  void CheckReads(const History& history) {
    for (const auto& [key, value] : history.reads) {
      RC_ASSERT(value == ModelAt(key, history.start_ts));
      ++reads_compared_;
    }
    for (const ScanRecord& scan : history.scans) {
      std::vector<Pair> expected;
      for (const auto& [key, versions] : model_) {
        std::optional<Bytes> value = ModelAt(key, history.start_ts);
        if (value.has_value() && RangeContains(scan.start, scan.end, key)) {
          expected.emplace_back(key, *std::move(value));
        }
      }
      RC_ASSERT(scan.pairs == expected);
      reads_compared_ += expected.size();
    }
  }

  void CheckFirstCommitterWins(const History& history) const {
    if (history.outcome != History::Outcome::kCommitted) {
      return;
    }
    for (const auto& [key, value] : history.writes) {
      auto next = model_.at(key).upper_bound(history.start_ts);
      RC_ASSERT(next != model_.at(key).end());
      RC_ASSERT(next->first == history.commit_ts);  // nothing was committed to the key in between
    }
  }

  static void CheckInvariants(const History& history) {
    if (history.scans.size() < 2) {
      return;
    }
    int sum = 0;
    for (const Pair& pair : history.scans[0].pairs) {
      sum += NumberOf(pair.second);
    }
    RC_ASSERT(sum == static_cast<int>(kAccounts) * kMoney);
    RC_ASSERT(history.scans[1].pairs.size() == kNodes);
    size_t at = 0;
    size_t steps = 0;
    do {
      at = static_cast<size_t>(NumberOf(history.scans[1].pairs[at].second));
      ++steps;
    } while (at != 0 && steps <= kNodes);
    RC_ASSERT(steps == kNodes);
  }

  RunSetup setup_;
  sim::World world_;
  objects::Storages storages_;
  tikv::Cluster cluster_;
  tikv::FaultExecutor faults_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::unique_ptr<History>> history_;
  std::map<Bytes, std::map<Timestamp, std::optional<Bytes>>> model_;
  uint64_t reads_compared_ = 0;
  uint64_t locks_at_end_ = 0;
};

RunSetup DrawSetup() {
  RunSetup setup;
  setup.seed = *rc::gen::inRange<uint64_t>(0, uint64_t{1} << 32);
  setup.clients = *rc::gen::inRange<uint32_t>(2, 6);
  setup.transactions = *rc::gen::inRange<uint32_t>(2, 10);
  setup.fault_ppm = *rc::gen::element<uint32_t>(0, 60'000, 150'000);
  setup.nudge_ppm = *rc::gen::element<uint32_t>(0, 100'000, 400'000);
  setup.crash = *rc::gen::element(false, false, true);
  return setup;
}

TEST(TransactionProperty, EveryRunIsOneHistoryUnderSnapshotIsolation) {
  Classes classes;
  const bool held = rc::check([&classes]() {
    const RunSetup setup = DrawSetup();
    ManyClients run(setup);
    run.Go();
    run.Count(&classes);
  });
  EXPECT_TRUE(held);
  for (const char* expected :
       {"committed 1PC", "committed async", "committed 2PC", "conflicts", "region errors", "locks met", "locks resolved",
        "crashes", "reads compared", "fault lose_request", "fault lose_reply", "fault duplicate", "fault split_region",
        "fault transfer_leader", "fault kill_store", "fault server_busy"}) {
    EXPECT_GT(classes.count[expected], 0U) << expected;
  }
  for (const auto& [name, count] : classes.count) {
    std::cout << name << ": " << count << "\n";
  }
}

TEST(TransactionProperty, TheSameSetupRunsTheSameTwice) {
  EXPECT_TRUE(rc::check([]() {
    RunSetup setup = DrawSetup();
    setup.transactions = std::min<uint32_t>(setup.transactions, 4);
    ManyClients first(setup);
    first.Go();
    ManyClients second(setup);
    second.Go();
    RC_ASSERT(first.digest() == second.digest());
  }));
}

}  // namespace
}  // namespace kvjury::client
