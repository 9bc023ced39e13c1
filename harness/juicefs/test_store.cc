#include "harness/juicefs/test_store.h"

#include <utility>

#include "fakes/base/digest.h"

namespace kvjury::juicefs {

namespace {

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

class TestStore::Txn final : public client::Transaction {
 public:
  Txn(TestStore* store, Timestamp start_ts, sim::Label label)
      : store_(store), start_ts_(start_ts), label_(std::move(label)) {}

  [[nodiscard]] Timestamp start_ts() const override { return start_ts_; }

  sim::Task<Result<std::optional<Bytes>>> Get(Bytes key) override {
    co_await Wait();
    const auto own = writes_.find(key);
    co_return own != writes_.end() ? own->second : store_->Read(key, start_ts_);
  }

  sim::Task<Result<std::map<Bytes, Bytes>>> BatchGet(std::vector<Bytes> keys) override {
    co_await Wait();
    std::map<Bytes, Bytes> found;
    for (const Bytes& key : keys) {
      const auto own = writes_.find(key);
      const std::optional<Bytes> value = own != writes_.end() ? own->second : store_->Read(key, start_ts_);
      if (value.has_value()) {
        found[key] = *value;
      }
    }
    co_return found;
  }

  sim::Task<Result<std::vector<client::Pair>>> Scan(Bytes start, Bytes end, uint32_t limit) override {
    co_await Wait();
    KeyValues merged;
    for (auto at = store_->data_.lower_bound(start); at != store_->data_.end() && (end.empty() || at->first < end); ++at) {
      const std::optional<Bytes> value = store_->Read(at->first, start_ts_);
      if (value.has_value()) {
        merged[at->first] = *value;
      }
    }
    for (const auto& [key, value] : writes_) {
      if (!RangeContains(start, end, key)) {
        continue;
      }
      merged.erase(key);
      if (value.has_value()) {
        merged[key] = *value;
      }
    }
    std::vector<client::Pair> pairs;
    for (const auto& pair : merged) {
      if (limit != 0 && pairs.size() == limit) {
        break;
      }
      pairs.emplace_back(pair.first, pair.second);
    }
    co_return pairs;
  }

  void Put(Bytes key, Bytes value) override {
    CHECK(!start_ts_.is_max() && !value.empty());
    writes_[std::move(key)] = std::move(value);
  }
  void Delete(Bytes key) override {
    CHECK(!start_ts_.is_max());
    writes_[std::move(key)] = std::nullopt;
  }

  sim::Task<Result<client::CommitInfo>> Commit() override {
    CHECK(!committed_) << "a transaction commits once";
    committed_ = true;
    if (writes_.empty()) {
      co_return client::CommitInfo{};
    }
    co_await Wait();
    if (store_->commits_left_ == 0U) {
      co_return Status::Unavailable("the client is dead");
    }
    for (const auto& [key, value] : writes_) {
      const auto versions = store_->data_.find(key);
      if (versions != store_->data_.end() && versions->second.rbegin()->first > start_ts_) {
        co_return Status::Conflict("write conflict on " + Printable(key));
      }
    }
    const std::string text = label_.text();
    auto& [label_end, takes_place] = store_->lose_;
    bool lost = store_->options_.undetermined_ppm > Mix64(store_->options_.seed, label_.hash()) % 1'000'000;
    bool effective = Mix64(store_->options_.seed + 1, label_.hash()) % 2 == 0;
    if (!label_end.empty() && EndsWith(text, label_end)) {
      lost = true;
      effective = takes_place;
      label_end.clear();
    }
    client::CommitInfo info;
    info.mode = client::CommitMode::kOnePhase;
    if (!lost || effective) {
      info.commit_ts = store_->Now();
      for (const auto& [key, value] : writes_) {
        store_->data_[key][info.commit_ts] = value;
      }
      store_->commits_[start_ts_] = info.commit_ts;
      if (store_->commits_left_.has_value()) {
        *store_->commits_left_ -= 1;
      }
      if (store_->after_.second && EndsWith(text, store_->after_.first)) {
        std::exchange(store_->after_.second, nullptr)();
      }
    }
    co_await Wait();
    if (lost) {
      store_->undetermined_ += 1;
      co_return Status::Undetermined("the answer of the commit was lost");
    }
    co_return info;
  }

 private:
  sim::Scheduler::SleepAwaiter Wait() {
    requests_ += 1;
    const sim::Label label = label_.Numbered("request", requests_);
    return store_->scheduler_->Sleep(store_->Delay(label), label.hash());
  }

  TestStore* store_;
  Timestamp start_ts_;
  sim::Label label_;
  uint64_t requests_ = 0;
  bool committed_ = false;
  std::map<Bytes, std::optional<Bytes>> writes_;
};

Micros TestStore::Delay(const sim::Label& label) const {
  const uint64_t drawn = Mix64(options_.seed, label.hash());
  return options_.delay_us_max == 0 ? 0 : static_cast<Micros>(drawn % static_cast<uint64_t>(options_.delay_us_max));
}

sim::Task<Result<std::unique_ptr<client::Transaction>>> TestStore::Begin(sim::Label label) {
  co_await scheduler_->Sleep(Delay(label), label.hash());
  if (commits_left_ == 0U) {
    co_return Status::Unavailable("the client is dead");
  }
  const Timestamp ts = Now();
  co_return std::unique_ptr<client::Transaction>(std::make_unique<Txn>(this, ts, label));
}

std::unique_ptr<client::Transaction> TestStore::BeginAt(Timestamp ts, sim::Label label) {
  return std::make_unique<Txn>(this, ts, std::move(label));
}

sim::Task<Result<Timestamp>> TestStore::CurrentTimestamp(sim::Label label) {
  co_await scheduler_->Sleep(Delay(label), label.hash());
  co_return Now();
}

Timestamp TestStore::Now() {
  last_ = std::max(last_.Next(), Timestamp::Compose(options_.start_ms + scheduler_->now_us() / 1000, 0));
  return last_;
}

void TestStore::Preload(const KeyValues& full_pairs) {
  const Timestamp ts = Now();
  for (const auto& [key, value] : full_pairs) {
    data_[key][ts] = value;
  }
}

std::optional<Bytes> TestStore::Read(const Bytes& key, Timestamp ts) const {
  const auto versions = data_.find(key);
  if (versions == data_.end()) {
    return std::nullopt;
  }
  const auto after = versions->second.upper_bound(ts);
  return after == versions->second.begin() ? std::nullopt : std::prev(after)->second;
}

KeyValues TestStore::Snapshot(Timestamp ts) const {
  KeyValues pairs;
  for (const auto& [key, versions] : data_) {
    const std::optional<Bytes> value = Read(key, ts);
    if (value.has_value()) {
      pairs[key] = *value;
    }
  }
  return pairs;
}

std::optional<Timestamp> TestStore::CommitOf(Timestamp start_ts) const {
  const auto found = commits_.find(start_ts);
  return found == commits_.end() ? std::nullopt : std::optional<Timestamp>(found->second);
}

}  // namespace kvjury::juicefs
