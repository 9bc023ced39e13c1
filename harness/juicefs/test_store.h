// Test support: an in-memory store with snapshot isolation, first committer wins, and answers that take virtual time, so
// that writers interleave. Times hang on labels: a run is a function of its labels.
// Not modelled: locks (a commit is one step), regions, garbage collection, the wire.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/client/kv.h"
#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

class TestStore final : public client::Store {
 public:
  struct Options {
    int64_t start_ms = 1'795'361'340'000;  // wall time at virtual time 0
    Micros delay_us_max = 3000;            // of each request
    uint32_t undetermined_ppm = 0;         // commits whose answer is lost; every second of them takes place
    uint64_t seed = 1;
  };
  TestStore(sim::Scheduler* scheduler, Options options) : scheduler_(scheduler), options_(options) {}

  sim::Task<Result<std::unique_ptr<client::Transaction>>> Begin(sim::Label label) override;
  std::unique_ptr<client::Transaction> BeginAt(Timestamp ts, sim::Label label) override;
  sim::Task<Result<Timestamp>> CurrentTimestamp(sim::Label label) override;
  sim::Scheduler* scheduler() override { return scheduler_; }

  /// Stores pairs as one commit, at once.
  void Preload(const KeyValues& full_pairs);
  [[nodiscard]] KeyValues Snapshot(Timestamp ts) const;
  [[nodiscard]] Timestamp Now();
  [[nodiscard]] int64_t wall_ns() const { return options_.start_ms * 1'000'000 + scheduler_->now_us() * 1000; }
  /// The commit timestamp of a transaction; absent if it did not commit.
  [[nodiscard]] std::optional<Timestamp> CommitOf(Timestamp start_ts) const;
  [[nodiscard]] uint64_t undetermined() const { return undetermined_; }
  /// The next commit whose label ends like this loses its answer, with or without effect.
  void LoseAnswer(std::string label_end, bool takes_place) { lose_ = {std::move(label_end), takes_place}; }
  /// After this many more commits the client is dead: nothing that it asks is answered or has an effect.
  void DieAfter(uint32_t commits) { commits_left_ = commits; }
  /// `then` runs right after the next commit whose label ends like this.
  void AfterCommit(std::string label_end, std::function<void()> then) { after_ = {std::move(label_end), std::move(then)}; }

 private:
  class Txn;
  using Versions = std::map<Timestamp, std::optional<Bytes>>;
  [[nodiscard]] std::optional<Bytes> Read(const Bytes& key, Timestamp ts) const;
  [[nodiscard]] Micros Delay(const sim::Label& label) const;

  sim::Scheduler* scheduler_;
  Options options_;
  std::map<Bytes, Versions> data_;
  std::map<Timestamp, Timestamp> commits_;
  Timestamp last_;
  uint64_t undetermined_ = 0;
  std::pair<std::string, bool> lose_;
  std::optional<uint32_t> commits_left_;
  std::pair<std::string, std::function<void()>> after_;
};

}  // namespace kvjury::juicefs
