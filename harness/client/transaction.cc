#include "harness/client/transaction.h"

#include <algorithm>

namespace kvjury::client {

namespace {

constexpr uint32_t kScanPage = 10240;
constexpr uint32_t kShortScanPage = 256;

using WriteBuffer = std::map<Bytes, std::optional<Bytes>>;

// Adds the union of `pairs` and of the buffered writes of [start, end) to `out`, up to `limit` pairs in all (0: no limit).
void MergeWrites(std::vector<Pair> pairs, const WriteBuffer& writes, const Bytes& start, const Bytes& end, size_t limit,
                 std::vector<Pair>* out) {
  auto write = writes.lower_bound(start);
  const auto write_end = end.empty() ? writes.end() : writes.lower_bound(end);
  auto pair = pairs.begin();
  while ((pair != pairs.end() || write != write_end) && (limit == 0 || out->size() < limit)) {
    if (write == write_end || (pair != pairs.end() && pair->first < write->first)) {
      out->push_back(std::move(*pair++));
      continue;
    }
    if (pair != pairs.end() && pair->first == write->first) {
      ++pair;  // hidden by our own write
    }
    if (write->second.has_value()) {
      out->emplace_back(write->first, *write->second);
    }
    ++write;
  }
}

}  // namespace

ClientTransaction::ClientTransaction(Services services, LockResolver* resolver, Timestamp start_ts, LabelsPtr labels)
    : services_(services),
      resolver_(resolver),
      labels_(labels),
      snapshot_(services, resolver, start_ts, std::move(labels)),
      began_us_(services.messenger->scheduler()->now_us()) {}

sim::Task<Result<std::optional<Bytes>>> ClientTransaction::Get(Bytes key) {
  if (auto own = writes_.find(key); own != writes_.end()) {
    co_return own->second;
  }
  auto read = snapshot_.Get(std::move(key));
  co_return co_await std::move(read);
}

sim::Task<Result<std::map<Bytes, Bytes>>> ClientTransaction::BatchGet(std::vector<Bytes> keys) {
  std::map<Bytes, Bytes> own;
  std::vector<Bytes> wanted;
  for (Bytes& key : keys) {
    auto write = writes_.find(key);
    if (write == writes_.end()) {
      wanted.push_back(std::move(key));
    } else if (write->second.has_value()) {
      own.emplace(key, *write->second);
    }
  }
  auto read = snapshot_.BatchGet(std::move(wanted));
  CO_ASSIGN_OR_RETURN(auto found, co_await std::move(read));
  found.merge(own);
  co_return found;
}

sim::Task<Result<std::vector<Pair>>> ClientTransaction::Scan(Bytes start, Bytes end, uint32_t limit) {
  std::vector<Pair> pairs;
  const uint32_t batch = limit != 0 && limit <= kShortScanPage ? kShortScanPage : kScanPage;
  Bytes next = std::move(start);
  while (end.empty() || next < end) {
    auto read = snapshot_.ScanPage(next, end, batch);
    CO_ASSIGN_OR_RETURN(Snapshot::Page page, co_await std::move(read));
    const Bytes covered = page.done ? end : page.next;
    MergeWrites(std::move(page.pairs), writes_, next, covered, limit, &pairs);
    if (page.done || (limit != 0 && pairs.size() >= limit)) {
      break;
    }
    next = covered;
  }
  co_return pairs;
}

void ClientTransaction::Buffer(Bytes key, std::optional<Bytes> value) {
  CHECK(!start_ts().is_max()) << "a transaction that reads the latest cannot write";
  CHECK(!ended_) << "a write after the commit";
  if (writes_.empty() || key < primary_) {
    primary_ = key;
  }
  writes_[std::move(key)] = std::move(value);
}

void ClientTransaction::Put(Bytes key, Bytes value) {
  CHECK(!value.empty()) << "an empty value for " << Printable(key);
  Buffer(std::move(key), std::move(value));
}

void ClientTransaction::Delete(Bytes key) { Buffer(std::move(key), std::nullopt); }

sim::Task<Result<CommitInfo>> ClientTransaction::Commit() {
  CHECK(!ended_) << "committed twice";
  ended_ = true;
  if (writes_.empty()) {
    co_return CommitInfo();
  }
  auto committer = std::make_shared<Committer>(services_, resolver_, start_ts(), began_us_, std::move(writes_), labels_);
  writes_.clear();
  auto execute = committer->Execute();
  co_return co_await std::move(execute);
}

}  // namespace kvjury::client
