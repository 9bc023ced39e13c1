// Properties: engine snapshots against copies of a plain map, reads at a timestamp against a naive list of
// versions.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_test_store.h"

namespace kvjury::tikv {
namespace {

using Model = std::map<Bytes, Bytes>;

std::vector<std::pair<Bytes, Bytes>> Collect(Iterator at) {
  std::vector<std::pair<Bytes, Bytes>> found;
  for (; at.Valid(); at.Next()) {
    found.emplace_back(at.key(), at.value());
  }
  return found;
}

Bytes SmallKey() { return Bytes(1, static_cast<char>('a' + *rc::gen::inRange(0, 6))); }

RC_GTEST_PROP(EngineProperty, SnapshotsSeeTheirStateForever, ()) {
  Engine engine;
  std::vector<Model> states{Model{}};
  const int batches = *rc::gen::inRange(1, 25);
  Sequence pruned = 0;
  for (int batch_number = 0; batch_number < batches; ++batch_number) {
    WriteBatch batch;
    Model model = states.back();
    const int operations = *rc::gen::inRange(0, 5);
    for (int i = 0; i < operations; ++i) {
      const Bytes key = SmallKey();
      const int kind = *rc::gen::inRange(0, 4);
      if (kind <= 1) {
        const Bytes value = std::to_string(batch_number) + "/" + std::to_string(i);
        batch.Put(ColumnFamily::kWrite, key, value);
        model[key] = value;
      } else if (kind == 2) {
        batch.Delete(ColumnFamily::kWrite, key);
        model.erase(key);
      } else {
        const Bytes upper = SmallKey();
        batch.DeleteRange(ColumnFamily::kWrite, key, upper);
        if (key < upper) {
          model.erase(model.lower_bound(key), model.lower_bound(upper));
        }
      }
    }
    RC_ASSERT(engine.Apply(batch) == states.size());
    states.push_back(model);
    if (*rc::gen::inRange(0, 4) == 0) {
      pruned = *rc::gen::inRange<Sequence>(pruned, states.size());
      engine.Prune(pruned);
    }
  }
  size_t compared = 0;
  for (Sequence sequence = pruned; sequence < states.size(); ++sequence) {
    const Model& model = states[sequence];
    const Snapshot snapshot = engine.At(sequence);
    const std::vector<std::pair<Bytes, Bytes>> expected(model.begin(), model.end());
    const std::vector<std::pair<Bytes, Bytes>> reversed(model.rbegin(), model.rend());
    RC_ASSERT(Collect(snapshot.Scan(ColumnFamily::kWrite, "", "")) == expected);
    RC_ASSERT(Collect(snapshot.ReverseScan(ColumnFamily::kWrite, "", "")) == reversed);
    const std::vector<std::pair<Bytes, Bytes>> middle(model.lower_bound("b"), model.lower_bound("e"));
    RC_ASSERT(Collect(snapshot.Scan(ColumnFamily::kWrite, "b", "e")) == middle);
    ++compared;
  }
  RC_ASSERT(compared > 0u);
  engine.Prune(engine.last_sequence());
  RC_ASSERT(engine.VersionCount() == states.back().size());
  RC_CLASSIFY(pruned > 0, "pruned");
  RC_CLASSIFY(states.back().empty(), "ends empty");
}

struct NaiveVersion {
  uint64_t commit_ts;
  std::optional<Bytes> value;
};

RC_GTEST_PROP(MvccProperty, ReadsSeeTheNewestCommitUpToTheirTimestamp, ()) {
  MvccTestStore store;
  std::map<Bytes, std::vector<NaiveVersion>> model;
  uint64_t now = 10;
  size_t rollbacks = 0;
  const int transactions = *rc::gen::inRange(1, 25);
  for (int number = 0; number < transactions; ++number) {
    const uint64_t start_ts = ++now;
    const Bytes key = SmallKey();
    const int kind = *rc::gen::inRange(0, 5);
    const size_t length = *rc::gen::element<size_t>(0, 1, 255, 256);
    kvrpcpb::PrewriteRequest prewrite;
    prewrite.set_start_version(start_ts);
    prewrite.set_primary_lock(key);
    kvrpcpb::Mutation* mutation = prewrite.add_mutations();
    mutation->set_key(key);
    mutation->set_op(kind == 1 ? kvrpcpb::Del : kind == 2 ? kvrpcpb::Lock : kvrpcpb::Put);
    const Bytes value(length, static_cast<char>('0' + number % 10));
    mutation->set_value(kind == 1 || kind == 2 ? Bytes() : value);
    RC_ASSERT(store.Call(prewrite).errors_size() == 0);
    if (kind == 3) {
      ++rollbacks;
      kvrpcpb::BatchRollbackRequest rollback;
      rollback.set_start_version(start_ts);
      rollback.add_keys(key);
      RC_ASSERT(!store.Call(rollback).has_error());
      continue;
    }
    kvrpcpb::CommitRequest commit;
    commit.set_start_version(start_ts);
    commit.set_commit_version(++now);
    commit.add_keys(key);
    RC_ASSERT(!store.Call(commit).has_error());
    if (kind != 2) {
      model[key].push_back({now, kind == 1 ? std::nullopt : std::optional<Bytes>(value)});
    }
  }
  size_t compared = 0;
  for (uint64_t ts = 9; ts <= now + 1; ++ts) {
    Model expected;
    for (const auto& [key, versions] : model) {
      for (const NaiveVersion& version : versions) {
        if (version.commit_ts <= ts) {
          expected.erase(key);
          if (version.value.has_value()) {
            expected[key] = *version.value;
          }
        }
      }
    }
    for (const bool reverse : {false, true}) {
      kvrpcpb::ScanRequest scan;
      scan.set_version(ts);
      scan.set_limit(100);
      scan.set_reverse(reverse);
      const kvrpcpb::ScanResponse found = store.Call(scan);
      std::vector<std::pair<Bytes, Bytes>> pairs;
      for (const kvrpcpb::KvPair& pair : found.pairs()) {
        pairs.emplace_back(pair.key(), pair.value());
      }
      const std::vector<std::pair<Bytes, Bytes>> ascending(expected.begin(), expected.end());
      const std::vector<std::pair<Bytes, Bytes>> descending(expected.rbegin(), expected.rend());
      RC_ASSERT(pairs == (reverse ? descending : ascending));
    }
    for (char c = 'a'; c < 'g'; ++c) {
      kvrpcpb::GetRequest get;
      get.set_key(Bytes(1, c));
      get.set_version(ts);
      const kvrpcpb::GetResponse found = store.Call(get);
      RC_ASSERT(found.not_found() == (expected.count(get.key()) == 0));
      RC_ASSERT(found.not_found() || found.value() == expected[get.key()]);
      ++compared;
    }
  }
  RC_ASSERT(compared > 0u);
  RC_CLASSIFY(rollbacks > 0, "with rollbacks");
  RC_CLASSIFY(model.empty(), "without values");
}

}  // namespace
}  // namespace kvjury::tikv
