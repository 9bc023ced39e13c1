// Test support: a formatted volume in memory and any number of sessions on it, whose background runs while operations and sleeps take their time.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "fakes/sim/scheduler.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

inline constexpr char kVolume[] = "vol";
inline constexpr Micros kSecondUs = 1'000'000;
inline constexpr Micros kHourUs = 3600 * kSecondUs;

class Sessions {
 public:
  explicit Sessions(Format format) : store_(&scheduler_, {}), scope_(&scheduler_) {
    store_.Preload(WithPrefix(FormatPairs(format, store_.wall_ns()), kVolume));
  }
  ~Sessions() {
    for (const auto& writer : writers_) {
      writer->Die();  // so that the background of those that a test left running ends
    }
    while (scope_.running() > 0) {
      CHECK(scheduler_.RunOne());
    }
  }

  Writer* Mount(MountOptions mount = {}, MetadataBackup* backup = nullptr) {
    WriterOptions options;
    options.id = static_cast<uint32_t>(writers_.size() + 1);
    options.volume_name = kVolume;
    options.mount = mount;
    options.wall_ns = [this] { return store_.wall_ns(); };
    options.backup = backup;
    writers_.push_back(std::make_unique<Writer>(&store_, options));
    Writer* writer = writers_.back().get();
    Status started;
    RunToEnd(StartOne(writer, &started));
    EXPECT_TRUE(started.ok()) << started;
    scope_.Spawn("background", writer->RunBackground());
    return writer;
  }
  void Stop(Writer* writer) {
    Status stopped;
    RunToEnd(StopOne(writer, &stopped));
    EXPECT_TRUE(stopped.ok()) << stopped;
  }
  OperationResult Do(Writer* writer, record::Operation operation) {
    operation.set_id(++last_id_);
    OperationResult result;
    RunToEnd(DoOne(writer, std::move(operation), &result));
    return result;
  }
  int Create(Writer* writer, const Bytes& path) {
    record::Operation operation;
    operation.mutable_create()->set_path(path);
    operation.mutable_create()->set_mode(0644);
    return Do(writer, operation).error;
  }
  int Write(Writer* writer, const Bytes& path, uint32_t length) {
    record::Operation operation;
    operation.mutable_write()->set_path(path);
    operation.mutable_write()->set_length(length);
    return Do(writer, operation).error;
  }
  /// Each session carries out its operations in order, all sessions beside each other; returns the errnos in the order of the operations.
  std::vector<std::vector<int>> DoAll(std::vector<std::pair<Writer*, std::vector<record::Operation>>> work) {
    std::vector<std::vector<int>> errors(work.size());
    sim::Scope scope(&scheduler_);
    for (size_t i = 0; i < work.size(); ++i) {
      scope.Spawn("session", DoInOrder(work[i].first, &work[i].second, &last_id_, &errors[i]));
    }
    while (scope.running() > 0) {
      CHECK(scheduler_.RunOne());
    }
    scope.RethrowFirst();
    return errors;
  }
  void CollectGarbage(Writer* writer) { RunToEnd(writer->CollectGarbage()); }
  void Pass(Micros duration_us) { RunToEnd(SleepOne(&scheduler_, duration_us)); }
  /// Puts raw records in, as somebody else's commit.
  void Put(const KeyValues& pairs) { store_.Preload(WithPrefix(pairs, kVolume)); }
  void Remove(const Key& key) { RunToEnd(RemoveOne(&store_, VolumePrefix(kVolume) + EncodeKey(key))); }

  KeyValues Pairs() { return SelectVolume(store_.Snapshot(store_.Now()), kVolume); }
  std::optional<Bytes> Value(const Key& key) {
    const KeyValues pairs = Pairs();
    const auto found = pairs.find(EncodeKey(key));
    return found == pairs.end() ? std::nullopt : std::optional<Bytes>(found->second);
  }
  int64_t now_s() { return store_.wall_ns() / 1'000'000'000; }
  uint64_t events_run() const { return scheduler_.events_run(); }

 private:
  static sim::Task<void> StartOne(Writer* writer, Status* status) {
    sim::Task<Status> start = writer->Start();
    *status = co_await std::move(start);
  }
  static sim::Task<void> StopOne(Writer* writer, Status* status) {
    sim::Task<Status> stop = writer->Stop();
    *status = co_await std::move(stop);
  }
  static sim::Task<void> DoOne(Writer* writer, record::Operation operation, OperationResult* result) {
    sim::Task<OperationResult> run = writer->Do(operation);
    *result = co_await std::move(run);
  }
  static sim::Task<void> DoInOrder(Writer* writer, const std::vector<record::Operation>* operations, uint32_t* last_id, std::vector<int>* errors) {
    for (record::Operation operation : *operations) {
      operation.set_id(++*last_id);
      OperationResult result;
      sim::Task<void> run = DoOne(writer, std::move(operation), &result);
      co_await std::move(run);
      errors->push_back(result.error);
    }
  }
  static sim::Task<void> SleepOne(sim::Scheduler* scheduler, Micros duration_us) { co_await scheduler->Sleep(duration_us); }
  static sim::Task<void> RemoveOne(TestStore* store, Bytes key) {
    sim::Task<Result<std::unique_ptr<client::Transaction>>> begin = store->Begin(sim::Label("other"));
    const std::unique_ptr<client::Transaction> transaction = (co_await std::move(begin)).value();
    transaction->Delete(key);
    sim::Task<Result<client::CommitInfo>> commit = transaction->Commit();
    EXPECT_TRUE((co_await std::move(commit)).ok());
  }
  void RunToEnd(sim::Task<void> task) {
    sim::Scope scope(&scheduler_);
    scope.Spawn("test", std::move(task));
    while (scope.running() > 0) {
      ASSERT_TRUE(scheduler_.RunOne());
    }
    scope.RethrowFirst();
  }

  sim::Scheduler scheduler_;
  TestStore store_;
  sim::Scope scope_;
  std::vector<std::unique_ptr<Writer>> writers_;
  uint32_t last_id_ = 0;
};

inline Format Formatted(uint32_t trash_days = 1) { return DefaultFormat(kVolume, trash_days); }

inline uint64_t Commits(const Writer& writer, TransactionKind kind) {
  uint64_t count = 0;
  for (const DeclaredTransaction& transaction : writer.history()) {
    count += transaction.kind == kind ? 1 : 0;
  }
  return count;
}

}  // namespace kvjury::juicefs
