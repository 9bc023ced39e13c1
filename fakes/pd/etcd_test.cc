#include "fakes/pd/etcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/pd/pd_test_bench.h"

namespace kvjury::pd {
namespace {

etcdserverpb::PutRequest PutOf(const Bytes& key, const Bytes& value, int64_t lease = 0) {
  etcdserverpb::PutRequest request;
  request.set_key(key);
  request.set_value(value);
  request.set_lease(lease);
  return request;
}

etcdserverpb::RangeRequest RangeOf(const Bytes& key, const Bytes& end = {}) {
  etcdserverpb::RangeRequest request;
  request.set_key(key);
  request.set_range_end(end);
  return request;
}

std::vector<Bytes> KeysOf(const Result<etcdserverpb::RangeResponse>& response) {
  std::vector<Bytes> keys;
  for (const etcdserverpb::KeyValue& pair : response->kvs()) {
    keys.push_back(pair.key());
  }
  return keys;
}

TEST(Etcd, CountsRevisionsAndVersions) {
  Bench bench;
  EXPECT_EQ(bench.Ask(kEtcdPut, PutOf("a", "1"))->header().revision(), 2);
  EXPECT_EQ(bench.Ask(kEtcdPut, PutOf("a", "2"))->header().revision(), 3);
  const auto read = bench.Ask(kEtcdRange, RangeOf("a"));
  ASSERT_EQ(read->kvs_size(), 1);
  EXPECT_EQ(read->kvs(0).create_revision(), 2);
  EXPECT_EQ(read->kvs(0).mod_revision(), 3);
  EXPECT_EQ(read->kvs(0).version(), 2);
  etcdserverpb::DeleteRangeRequest erase;
  erase.set_key("a");
  erase.set_prev_kv(true);
  EXPECT_EQ(bench.Ask(kEtcdDeleteRange, erase)->prev_kvs(0).value(), "2");
  EXPECT_EQ(bench.Ask(kEtcdDeleteRange, erase)->header().revision(), 4) << "deleting nothing changes nothing";
}

TEST(Etcd, ReadsRangesInEveryOrderWithLimitsAndFilters) {
  Bench bench;
  for (const char* key : {"b", "d", "a", "c"}) {
    ASSERT_TRUE(bench.Ask(kEtcdPut, PutOf(key, key)).ok());
  }
  EXPECT_THAT(KeysOf(bench.Ask(kEtcdRange, RangeOf("a", "c"))), testing::ElementsAre("a", "b"));
  EXPECT_THAT(KeysOf(bench.Ask(kEtcdRange, RangeOf("b", Bytes(1, '\0')))), testing::ElementsAre("b", "c", "d"));
  auto range = RangeOf("a", "z");
  range.set_sort_order(etcdserverpb::RangeRequest::DESCEND);
  range.set_sort_target(etcdserverpb::RangeRequest::CREATE);
  range.set_limit(2);
  const auto newest = bench.Ask(kEtcdRange, range);
  EXPECT_THAT(KeysOf(newest), testing::ElementsAre("c", "a"));
  EXPECT_TRUE(newest->more());
  EXPECT_EQ(newest->count(), 4);
  auto filtered = RangeOf("a", "z");
  filtered.set_min_mod_revision(4);
  EXPECT_THAT(KeysOf(bench.Ask(kEtcdRange, filtered)), testing::ElementsAre("a", "c"));
}

TEST(Etcd, RefusesInItsOwnWords) {
  Bench bench;
  EXPECT_EQ(bench.Ask(kEtcdPut, PutOf("", "1")).error().message(), "etcdserver: key is not provided");
  EXPECT_EQ(bench.Ask(kEtcdPut, PutOf("a", "1", 77)).error().message(), "etcdserver: requested lease not found");
  ASSERT_TRUE(bench.Ask(kEtcdPut, PutOf("a", "1")).ok());
  auto range = RangeOf("a");
  range.set_revision(1);
  EXPECT_EQ(bench.Ask(kEtcdRange, range).error().message(), "etcdserver: mvcc: required revision has been compacted");
  range.set_revision(9);
  EXPECT_EQ(bench.Ask(kEtcdRange, range).error().message(), "etcdserver: mvcc: required revision is a future revision");
  etcdserverpb::CompactionRequest compact;
  compact.set_revision(2);
  EXPECT_TRUE(bench.Ask(kEtcdCompact, compact).ok());
  EXPECT_EQ(bench.Ask(kEtcdCompact, compact).error().message(), "etcdserver: mvcc: required revision has been compacted");
}

TEST(Etcd, ATransactionIsOneRevisionAndItsGuardDecides) {
  Bench bench;
  etcdserverpb::TxnRequest txn;
  etcdserverpb::Compare* absent = txn.add_compare();
  absent->set_key("lock");
  absent->set_target(etcdserverpb::Compare::CREATE);
  absent->set_create_revision(0);
  *txn.add_success()->mutable_request_put() = PutOf("lock", "me");
  *txn.add_success()->mutable_request_put() = PutOf("count", "1");
  *txn.add_failure()->mutable_request_range() = RangeOf("lock");
  const auto first = bench.Ask(kEtcdTxn, txn);
  EXPECT_TRUE(first->succeeded());
  EXPECT_EQ(first->header().revision(), 2);
  const auto second = bench.Ask(kEtcdTxn, txn);
  EXPECT_FALSE(second->succeeded());
  EXPECT_EQ(second->header().revision(), 2);
  ASSERT_EQ(second->responses_size(), 1);
  EXPECT_EQ(second->responses(0).response_range().kvs(0).value(), "me");
  *txn.add_success()->mutable_request_put() = PutOf("lock", "twice");
  EXPECT_EQ(bench.Ask(kEtcdTxn, txn).error().message(), "etcdserver: duplicate key given in txn request");
}

TEST(Etcd, ALeaseTakesItsKeysAlongUnlessItIsKeptAlive) {
  Bench bench;
  etcdserverpb::LeaseGrantRequest grant;
  grant.set_ttl(1);
  const auto lease = bench.Ask(kEtcdLeaseGrant, grant);
  EXPECT_EQ(lease->ttl(), 5) << "no shorter than elections allow";
  ASSERT_TRUE(bench.Ask(kEtcdPut, PutOf("a", "1", lease->id())).ok());
  bench.Pass(4'000'000);
  etcdserverpb::LeaseKeepAliveRequest keep;
  keep.set_id(lease->id());
  EXPECT_EQ(bench.Ask(kEtcdLeaseKeepAlive, keep)->ttl(), 5);
  bench.Pass(4'000'000);
  EXPECT_EQ(bench.Ask(kEtcdRange, RangeOf("a"))->kvs_size(), 1);
  etcdserverpb::LeaseTimeToLiveRequest left;
  left.set_id(lease->id());
  left.set_keys(true);
  EXPECT_EQ(bench.Ask(kEtcdLeaseTimeToLive, left)->keys(0), "a");
  bench.Pass(2'000'000);
  EXPECT_EQ(bench.Ask(kEtcdRange, RangeOf("a"))->kvs_size(), 0);
  EXPECT_EQ(bench.Ask(kEtcdLeaseKeepAlive, keep)->ttl(), 0);
  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(lease->id());
  EXPECT_EQ(bench.Ask(kEtcdLeaseRevoke, revoke).error().message(), "etcdserver: requested lease not found");
}

TEST(MetaStorage, SharesEtcdsPairsAndHoldsTheGlobalConfiguration) {
  Bench bench;
  meta_storagepb::PutRequest put;
  put.set_key("/ms/1/a");
  put.set_value("1");
  EXPECT_EQ(bench.Ask(kMetaPut, put)->header().revision(), 2);
  meta_storagepb::GetRequest get;
  get.set_key("/ms/1/");
  get.set_range_end("/ms/10");
  EXPECT_EQ(bench.Ask(kMetaGet, get)->kvs(0).value(), "1");
  EXPECT_EQ(bench.Ask(kEtcdRange, RangeOf("/ms/1/a"))->kvs_size(), 1);
  meta_storagepb::DeleteRequest erase;
  erase.set_key("/ms/1/a");
  erase.set_prev_kv(true);
  EXPECT_EQ(bench.Ask(kMetaDelete, erase)->prev_kvs(0).value(), "1");

  pdpb::StoreGlobalConfigRequest store;
  store.add_changes()->set_name("x");
  store.mutable_changes(0)->set_value("7");
  ASSERT_TRUE(bench.Ask(kStoreGlobalConfig, store).ok());
  pdpb::LoadGlobalConfigRequest load;
  load.add_names("x");
  load.add_names("y");
  const auto named = bench.Ask(kLoadGlobalConfig, load);
  EXPECT_EQ(named->items(0).payload(), "7");
  EXPECT_EQ(named->items(1).error().type(), pdpb::GLOBAL_CONFIG_NOT_FOUND);
  const auto all = bench.Ask(kLoadGlobalConfig, pdpb::LoadGlobalConfigRequest());
  ASSERT_EQ(all->items_size(), 1);
  EXPECT_EQ(all->items(0).name(), "/global/config/x");
}

}  // namespace
}  // namespace kvjury::pd
