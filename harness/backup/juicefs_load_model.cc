#include "harness/backup/juicefs_load_model.h"

#include <algorithm>

#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/load_json.h"
#include "harness/juicefs/writer.h"

namespace kvjury::backup {

namespace {

using juicefs::KeyKind;
using juicefs::KeyValues;
using sim::Label;
using sim::Task;

constexpr size_t kJsonPairsMax = 10'000;
constexpr size_t kBinaryPairsMax = 10'240;
constexpr size_t kBytesMax = size_t{5} << 20;

using Pairs = std::vector<client::Pair>;

/// What a load puts, in its order, parted by the transactions that it goes into.
class PlannedPuts : public juicefs::LoadTarget {
 public:
  explicit PlannedPuts(bool binary) : binary_(binary) {}

  Pairs bulk;
  Pairs rules;   // JSON: ACL rules and their counter
  Pairs links;   // JSON: inodes with several names, again, and their parents
  Pairs quotas;  // JSON: a transaction each

  Status Put(const Bytes& key_bytes, const Bytes& value) override {
    ListOf(key_bytes)->emplace_back(key_bytes, value);
    if (key_bytes.front() == 'A' && key_bytes.back() == 'I') {
      inodes_[key_bytes] = value;
    }
    return Status::Ok();
  }
  Result<std::optional<Bytes>> Get(const Bytes& key) override {
    const auto found = inodes_.find(key);
    return found == inodes_.end() ? std::optional<Bytes>() : std::optional<Bytes>(found->second);
  }

 private:
  Pairs* ListOf(const Bytes& key_bytes) {
    const Result<juicefs::Key> key = juicefs::ParseKey(key_bytes);
    const bool is_rule_counter = key_bytes == juicefs::EncodeKey(juicefs::CounterKey("aclMaxId"));
    if (is_rule_counter || (!binary_ && key.ok() && key->kind == KeyKind::kAclRule)) {
      return &rules;
    }
    if (binary_ || !key.ok()) {
      return &bulk;
    }
    if (key->kind == KeyKind::kLinkCount || (key->kind == KeyKind::kAttr && inodes_.count(key_bytes) != 0)) {
      return &links;
    }
    const bool is_quota = key->kind == KeyKind::kDirQuota || key->kind == KeyKind::kUserQuota || key->kind == KeyKind::kGroupQuota;
    return is_quota ? &quotas : &bulk;
  }

  bool binary_;
  KeyValues inodes_;
};

class LoadRun {
 public:
  LoadRun(client::Store* store, Label label, JuicefsLoadOptions options, Bytes dump)
      : store_(store), label_(std::move(label)), options_(std::move(options)), dump_(std::move(dump)), prefix_(juicefs::VolumePrefix(options_.volume_name)) {}

  Task<Result<JuicefsLoadReport>> Run() {
    auto check = CheckEmpty();
    CO_RETURN_IF_ERROR(co_await std::move(check));
    PlannedPuts puts(options_.binary);
    MemorySource source(dump_);
    CO_ASSIGN_OR_RETURN(const juicefs::LoadReport read, options_.binary ? juicefs::LoadDumpBinary("dump", &source, &puts, UINT64_MAX, options_.bugs)
                                                                        : juicefs::LoadDumpJson("dump", &source, &puts, options_.bugs));
    report_.entries = read.entry_count;
    auto load = options_.binary ? Binary(&puts) : Json(&puts);
    CO_RETURN_IF_ERROR(co_await std::move(load));
    auto look = HasSetting();
    CO_ASSIGN_OR_RETURN(const bool formatted, co_await std::move(look));
    if (!formatted) {
      co_return Status::NotFound("database is not formatted, please run `juicefs format ...` first");
    }
    co_return report_;
  }

 private:
  Task<Result<bool>> HasSetting() {
    const std::unique_ptr<client::Transaction> reader = store_->BeginAt(Timestamp::Max(), label_.Numbered("setting", ++looks_));
    auto get = reader->Get(prefix_ + juicefs::EncodeKey(juicefs::SettingKey()));
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> value, co_await std::move(get));
    co_return value.has_value();
  }

  Task<Status> CheckEmpty() {
    auto look = HasSetting();
    CO_ASSIGN_OR_RETURN(const bool formatted, co_await std::move(look));
    if (formatted) {
      co_return Status::AlreadyExists("the database is used by a volume");
    }
    auto begin = store_->Begin(label_ / "probe");
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> probe, co_await std::move(begin));
    auto scan = probe->Scan(prefix_, PrefixEnd(prefix_), 1);
    CO_ASSIGN_OR_RETURN(const Pairs found, co_await std::move(scan));
    co_return found.empty() ? Status::Ok() : Status::AlreadyExists("the database is not empty");
  }

  Task<Status> Json(PlannedPuts* puts) {
    std::vector<Pairs> of_writer(std::max<uint32_t>(options_.writers, 1));
    for (size_t i = 0; i < puts->bulk.size(); ++i) {
      of_writer[i % of_writer.size()].push_back(std::move(puts->bulk[i]));
    }
    {
      sim::Scope scope(store_->scheduler());
      for (size_t writer = 0; writer < of_writer.size(); ++writer) {
        const Label label = label_.Numbered("writer", writer);
        scope.Spawn(label.text(), WriteAll(this, label, std::move(of_writer[writer]), kJsonPairsMax));
      }
      auto rules = Commit(label_ / "acl", std::move(puts->rules));
      const Status ruled = co_await std::move(rules);
      failure_ = failure_.ok() ? ruled : failure_;
      auto join = scope.Join();
      co_await std::move(join);
    }
    CO_RETURN_IF_ERROR(failure_);
    auto links = Commit(label_ / "links", std::move(puts->links));
    CO_RETURN_IF_ERROR(co_await std::move(links));
    uint64_t number = 0;
    for (client::Pair& quota : puts->quotas) {
      // An error is a warning of the program, and the load goes on.
      auto put = Commit(label_.Numbered("quota", ++number), Pairs{std::move(quota)});
      const Status status = co_await std::move(put);
      report_.errors_passed_over += status.ok() ? 0 : 1;
    }
    co_return Status::Ok();
  }

  Task<Status> Binary(PlannedPuts* puts) {
    const size_t group_max = kBinaryPairsMax * std::max<uint32_t>(options_.writers, 1);
    uint64_t group = 0;
    for (size_t begin = 0; begin < puts->bulk.size(); begin += group_max) {
      const size_t end = std::min(puts->bulk.size(), begin + group_max);
      Pairs pairs(std::make_move_iterator(puts->bulk.begin() + static_cast<std::ptrdiff_t>(begin)),
                  std::make_move_iterator(puts->bulk.begin() + static_cast<std::ptrdiff_t>(end)));
      std::sort(pairs.begin(), pairs.end());
      auto write = WriteGroup(label_.Numbered("group", ++group), std::move(pairs));
      const Status status = co_await std::move(write);
      if (!status.ok() && end < puts->bulk.size()) {
        co_return status;
      }
      report_.errors_passed_over += status.ok() ? 0 : 1;
    }
    auto rules = Commit(label_ / "acl-counter", std::move(puts->rules));
    const Status counted = co_await std::move(rules);
    report_.errors_passed_over += counted.ok() ? 0 : 1;
    co_return Status::Ok();
  }

  Task<Status> WriteGroup(Label label, Pairs pairs) {
    failure_ = Status::Ok();
    std::vector<Pairs> batches = Batches(std::move(pairs), kBinaryPairsMax);
    sim::Scope scope(store_->scheduler());
    for (size_t i = 0; i < batches.size(); ++i) {  // at most one more than there are writers, for the limit of bytes
      const Label batch = label.Numbered("batch", i);
      scope.Spawn(batch.text(), WriteAll(this, batch, std::move(batches[i]), kBinaryPairsMax));
    }
    auto join = scope.Join();
    co_await std::move(join);
    co_return failure_;
  }

  static std::vector<Pairs> Batches(Pairs pairs, size_t pairs_max) {
    std::vector<Pairs> batches(1);
    size_t bytes = 0;
    for (client::Pair& pair : pairs) {
      if (batches.back().size() >= pairs_max || bytes > kBytesMax) {
        batches.emplace_back();
        bytes = 0;
      }
      bytes += pair.first.size() + pair.second.size();
      batches.back().push_back(std::move(pair));
    }
    return batches;
  }

  /// One writer's pairs, batch after batch; remembers the first failure of all writers.
  static Task<void> WriteAll(LoadRun* self, Label label, Pairs pairs, size_t pairs_max) {
    std::vector<Pairs> batches = Batches(std::move(pairs), pairs_max);
    for (size_t i = 0; i < batches.size() && self->failure_.ok(); ++i) {
      auto commit = self->Commit(label.Numbered("txn", i + 1), std::move(batches[i]));
      const Status status = co_await std::move(commit);
      if (!status.ok() && self->failure_.ok()) {
        self->failure_ = status;
      }
    }
  }

  /// One transaction, again after conflicts. An empty value is refused as the client does.
  Task<Status> Commit(Label label, Pairs pairs) {
    if (pairs.empty()) {
      co_return Status::Ok();
    }
    for (const auto& [key, value] : pairs) {
      if (value.empty()) {
        co_return Status::Rejected("can not set nil value");
      }
    }
    Status status;
    for (uint32_t attempt = 1; attempt <= juicefs::kTransactionTriesMax; ++attempt) {
      auto begin = store_->Begin(label.Numbered("try", attempt));
      CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(begin));
      for (const auto& [key, value] : pairs) {
        transaction->Put(prefix_ + key, value);
      }
      auto commit = transaction->Commit();
      status = (co_await std::move(commit)).status();
      if (status.code() != StatusCode::kConflict) {
        break;
      }
    }
    report_.transactions += 1;
    report_.pairs += status.ok() ? pairs.size() : 0;
    co_return status;
  }

  client::Store* store_;
  Label label_;
  JuicefsLoadOptions options_;
  Bytes dump_;
  Bytes prefix_;
  uint64_t looks_ = 0;
  Status failure_;
  JuicefsLoadReport report_;
};

Task<Result<JuicefsLoadReport>> RunLoad(std::unique_ptr<LoadRun> run) {
  auto task = run->Run();
  co_return co_await std::move(task);
}

}  // namespace

Task<Result<JuicefsLoadReport>> RunJuicefsLoad(client::Store* store, Label label, JuicefsLoadOptions options, Bytes dump) {
  return RunLoad(std::make_unique<LoadRun>(store, std::move(label), std::move(options), std::move(dump)));
}

}  // namespace kvjury::backup
