#include "fakes/tikv/raw_service.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "fakes/base/digest.h"
#include "fakes/tikv/cluster_test_bench.h"

namespace kvjury::tikv {
namespace {

class RawCalls : public testing::Test {
 protected:
  RawCalls() : bench_(3, {}, true, false) {}
  ~RawCalls() override { bench_.cluster.Shutdown(); }

  /// The answer's text to a request in text form, sent to the region of `place` (a key as it stands).
  template <class Request, class Response>
  std::string Ask(sim::UnaryMethod<Request, Response> method, const Bytes& place, const std::string& text) {
    Request request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    StoreId leader;
    kvrpcpb::Context context = bench_.ContextForEncoded(place, &leader);
    context.set_api_version(request.context().api_version());
    *request.mutable_context() = context;
    const Result<Response> answer = bench_.Ask(method, leader, std::move(request));
    return answer.ok() ? answer->ShortDebugString() : answer.status().ToString();
  }
  void Put(const Bytes& key, const Bytes& value) {
    EXPECT_EQ(Ask(kRawPut, key, "key:'" + key + "' value:'" + value + "'"), "");
  }
  void SplitRaw(const Bytes& key) {
    EXPECT_NE(Ask(kSplitRegion, key, "split_keys:'" + key + "' is_raw_kv:true"), "");
    ASSERT_EQ(bench_.cluster.regions().FindByKey(key)->start, key);
  }

  ClusterBench bench_;
};

TEST_F(RawCalls, PutGetAndDeleteTouchExactlyTheNamedKeyAndFamily) {
  Put("k", "one");
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k'"), "value: \"one\"");
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k' cf:'default'"), "value: \"one\"");
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k' cf:'write'"), "not_found: true");
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k\\000'"), "not_found: true");
  Put("k", "");
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k'"), "") << "an empty value is found";
  Put("", "empty key");
  EXPECT_EQ(Ask(kRawGet, "", ""), "value: \"empty key\"");
  EXPECT_EQ(Ask(kRawDelete, "k", "key:'k'"), "");
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k'"), "not_found: true");
  EXPECT_EQ(Ask(kRawDelete, "k", "key:'k'"), "") << "what is not there can be deleted";
}

TEST_F(RawCalls, BatchesWriteAllAndReadWhatIsThere) {
  EXPECT_EQ(Ask(kRawBatchPut, "a", "pairs{key:'a' value:'1'} pairs{key:'b' value:'2'} pairs{key:'a' value:'3'}"), "");
  EXPECT_EQ(Ask(kRawBatchGet, "a", "keys:'b' keys:'x' keys:'a'"),
            "pairs { key: \"b\" value: \"2\" } pairs { key: \"a\" value: \"3\" }");
  EXPECT_EQ(Ask(kRawBatchDelete, "a", "keys:'b' keys:'x'"), "");
  EXPECT_EQ(Ask(kRawBatchGet, "a", "keys:'b' keys:'a'"), "pairs { key: \"a\" value: \"3\" }");
}

TEST_F(RawCalls, ScansGoBothWaysWithinBoundsLimitAndRegion) {
  for (const char* key : {"a", "b", "c", "d"}) {
    Put(key, std::string("v") + key);
  }
  SplitRaw("c");
  const std::string a = "kvs { key: \"a\" value: \"va\" }";
  const std::string b = "kvs { key: \"b\" value: \"vb\" }";
  EXPECT_EQ(Ask(kRawScan, "a", "limit:9"), a + " " + b) << "cut at the region's end";
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'a' end_key:'z' limit:9"), a + " " + b);
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'a' end_key:'b' limit:9"), a);
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'a' limit:1"), a);
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'a'"), "") << "no limit means none";
  EXPECT_EQ(Ask(kRawScan, "a", "limit:9 key_only:true"), "kvs { key: \"a\" } kvs { key: \"b\" }");
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'b' end_key:'a' limit:9"), "") << "nothing between";
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'c' limit:9 reverse:true"), b + " " + a) << "the start is exclusive";
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'c' end_key:'b' limit:9 reverse:true"), b) << "the end is inclusive";
  EXPECT_EQ(Ask(kRawScan, "a", "limit:9 reverse:true"), "") << "nothing is smaller than the empty key";
  EXPECT_EQ(Ask(kRawScan, "a", "start_key:'c' limit:9"), "") << "the border itself is a place to begin";
  EXPECT_NE(Ask(kRawScan, "a", "start_key:'d' limit:9").find("key_not_in_region { key: \"d\" region_id: "), std::string::npos);
  EXPECT_NE(Ask(kRawScan, "c", "start_key:'b' limit:9").find("key 62 is not in region key range [63, ) for region "),
            std::string::npos);
  EXPECT_EQ(Ask(kRawBatchScan, "a", "ranges{start_key:'a'} ranges{start_key:'b' end_key:'z'} each_limit:9"), a + " " + b);
  EXPECT_EQ(Ask(kRawBatchScan, "a", "ranges{start_key:'a' end_key:'c'} ranges{start_key:'a' end_key:'c'} each_limit:1"), a + " " + a);
  EXPECT_EQ(Ask(kRawBatchScan, "a", "ranges{start_key:'c' end_key:'b'} ranges{start_key:'b' end_key:'a'} each_limit:9 reverse:true"),
            b + " " + a);
}

TEST_F(RawCalls, RangesAreDeletedOnlyInsideTheRegion) {
  for (const char* key : {"a", "b", "c", "d"}) {
    Put(key, "v");
  }
  SplitRaw("c");
  EXPECT_NE(Ask(kRawDeleteRange, "a", "start_key:'a' end_key:'d'").find("key_not_in_region { key: \"d\""), std::string::npos);
  EXPECT_NE(Ask(kRawDeleteRange, "a", "start_key:'a'").find("key_not_in_region { region_id"), std::string::npos);
  EXPECT_NE(Ask(kRawDeleteRange, "a", "start_key:'b' end_key:'a'")
                .find("invalid delete range command, start_key: [98], end_key: [97]"),
            std::string::npos);
  EXPECT_EQ(Ask(kRawDeleteRange, "a", "start_key:'b' end_key:'c'"), "");
  EXPECT_EQ(Ask(kRawDeleteRange, "c", "start_key:'d'"), "") << "the last region has no end";
  EXPECT_EQ(Ask(kRawScan, "a", "limit:9 key_only:true"), "kvs { key: \"a\" }");
  EXPECT_EQ(Ask(kRawScan, "c", "start_key:'c' limit:9 key_only:true"), "kvs { key: \"c\" }");
}

TEST_F(RawCalls, KeysOutsideTheRegionAreRefusedInTiKVsWords) {
  SplitRaw("m");
  const std::string id = std::to_string(bench_.cluster.regions().FindByKey("a")->id.value());
  StoreId leader;
  kvrpcpb::RawGetRequest get;
  *get.mutable_context() = bench_.ContextForEncoded("a", &leader);
  get.set_key("z");
  EXPECT_EQ(bench_.Ask(kRawGet, leader, get)->error(),
            "unknown error \"[components/tikv_kv/src/raftstore_impls.rs:86]: "
            "\\\"[components/raftstore/src/store/region_snapshot.rs:289]: Key 7A is out of [region " +
                id + "] [, 6D)\\\"\"");
  EXPECT_NE(Ask(kRawBatchGet, "a", "keys:'z'").find("abort: \"Error(Kv(Error(Other("), std::string::npos);
  EXPECT_NE(Ask(kRawPut, "a", "key:'z' value:'v'").find("key_not_in_region { key: \"z\""), std::string::npos);
  EXPECT_NE(Ask(kRawDelete, "a", "key:'z'").find("key_not_in_region { key: \"z\""), std::string::npos);
  EXPECT_NE(Ask(kRawBatchPut, "a", "pairs{key:'b' value:'v'} pairs{key:'z' value:'v'}").find("key_not_in_region"), std::string::npos);
  EXPECT_NE(Ask(kRawBatchDelete, "a", "keys:'b' keys:'z'").find("key_not_in_region"), std::string::npos);
  EXPECT_EQ(Ask(kRawGet, "b", "key:'b'"), "not_found: true") << "nothing of a refused batch is written";
  EXPECT_NE(Ask(kRawCompareAndSwap, "a", "key:'z' previous_not_exist:true").find("error: \"unknown error"), std::string::npos);
  EXPECT_NE(Ask(kRawChecksum, "a", "ranges{start_key:'z'}").find("key_not_in_region"), std::string::npos);
}

TEST_F(RawCalls, RefusesFamiliesSizesLifetimesAndVersionsInTiKVsWords) {
  const std::string long_key(8193, 'k');
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k' cf:'raft'"), "error: \"invalid cf name: raft\"");
  EXPECT_EQ(Ask(kRawBatchGet, "k", "keys:'k' cf:'x'"), "pairs { error { abort: \"Error(InvalidCf(\\\"x\\\"))\" } }");
  EXPECT_EQ(Ask(kRawScan, "k", "cf:'x'"), "kvs { error { abort: \"Error(InvalidCf(\\\"x\\\"))\" } }");
  EXPECT_EQ(Ask(kRawPut, "k", "key:'k' cf:'x'"), "error: \"invalid cf name: x\"");
  EXPECT_EQ(Ask(kRawPut, "k", "key:'k' for_cas:true cf:'x'"), "error: \"invalid cf name: x\"");
  EXPECT_EQ(Ask(kRawPut, "k", "key:'" + long_key + "'"), "error: \"max key size exceeded, size: 8193, limit: 8192\"");
  EXPECT_EQ(Ask(kRawPut, "k", "key:'" + long_key.substr(1) + "'"), "");
  EXPECT_EQ(Ask(kRawBatchDelete, "k", "keys:'" + long_key + "'"), "error: \"max key size exceeded, size: 8193, limit: 8192\"");
  EXPECT_EQ(Ask(kRawPut, "k", "key:'k' ttl:5"), "error: \"ttl is not enabled, but get put request with ttl\"");
  EXPECT_EQ(Ask(kRawBatchPut, "k", "pairs{key:'k'} ttls:0 ttls:5"), "error: \"ttl is not enabled, but get put request with ttl\"");
  EXPECT_EQ(Ask(kRawCompareAndSwap, "k", "key:'k' ttl:5"), "error: \"ttl is not enabled, but get put request with ttl\"");
  EXPECT_EQ(Ask(kRawGetKeyTtl, "k", "key:'k'"), "error: \"get ttl on non-ttl store\"");
  EXPECT_EQ(Ask(kRawGet, "k", "context{api_version:V2} key:'k'"),
            "error: \"Api version in request does not match with TiKV storage, cmd: raw_get, storage: V1, request: V2\"");
  EXPECT_EQ(Ask(kRawScan, "k", "context{api_version:V1TTL}"),
            "kvs { error { abort: \"Error(ApiVersionNotMatched { cmd: raw_scan, storage_api_version: V1, req_api_version: V1ttl "
            "})\" } }");
  EXPECT_EQ(Ask(kRawBatchScan, "k", "ranges{start_key:'b' end_key:'a'}"),
            "kvs { error { abort: \"Error(Other(\\\"[src/storage/mod.rs:2840]: Invalid KeyRanges\\\"))\" } }");
}

TEST_F(RawCalls, WhatTransactionsReadMustStayReadable) {
  EXPECT_NE(Ask(kRawPut, "k", "key:'k' value:'v' cf:'write'"), "");
  EXPECT_NE(Ask(kRawPut, "k", "key:'k' value:'v' cf:'lock'"), "");
  EXPECT_NE(Ask(kRawBatchPut, "k", "pairs{key:'k' value:'v'} cf:'lock'"), "");
  EXPECT_NE(Ask(kRawCompareAndSwap, "k", "key:'k' value:'v' previous_not_exist:true cf:'write'"), "");
  const auto put = bench_.PutOnePhase("t", std::string(300, 'v'));
  ASSERT_TRUE(put.ok());
  const Timestamp ts(put->one_pc_commit_ts());
  // The record of a commit is a raw pair like others, and may be carried from one key to another.
  StoreId leader;
  kvrpcpb::RawScanRequest scan;
  *scan.mutable_context() = bench_.ContextFor("t", &leader);
  scan.set_cf("write");
  scan.set_limit(9);
  const auto found = bench_.Ask(kRawScan, leader, scan);
  ASSERT_EQ(found->kvs_size(), 1);
  EXPECT_EQ(found->kvs(0).key(), VersionKey(EncodeKey("t"), ts));
  kvrpcpb::RawPutRequest copy;
  *copy.mutable_context() = scan.context();
  copy.set_cf("write");
  copy.set_key(VersionKey(EncodeKey("gone"), ts));
  WriteRecord tombstone;
  tombstone.type = WriteType::kDelete;
  tombstone.start_ts = ts;
  copy.set_value(tombstone.Encode());
  EXPECT_EQ(bench_.Ask(kRawPut, leader, copy)->error(), "");
  EXPECT_TRUE(bench_.Get("gone", Timestamp(ts.value() + 1))->not_found());
  EXPECT_EQ(bench_.Get("t", Timestamp(ts.value() + 1))->value(), std::string(300, 'v'));
}

TEST_F(RawCalls, CompareAndSwapAnswersWhatWasThereAndWritesOnlyOnAMatch) {
  EXPECT_EQ(Ask(kRawCompareAndSwap, "k", "key:'k' value:'1' previous_value:'0'"), "previous_not_exist: true");
  EXPECT_EQ(Ask(kRawCompareAndSwap, "k", "key:'k' value:'1' previous_not_exist:true"), "succeed: true previous_not_exist: true");
  EXPECT_EQ(Ask(kRawCompareAndSwap, "k", "key:'k' value:'2' previous_not_exist:true"), "previous_value: \"1\"");
  EXPECT_EQ(Ask(kRawCompareAndSwap, "k", "key:'k' value:'' previous_value:'1'"), "succeed: true previous_value: \"1\"");
  EXPECT_EQ(Ask(kRawCompareAndSwap, "k", "key:'k' value:'3'"), "succeed: true") << "an empty value is there, and matches";
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k'"), "value: \"3\"");
}

TEST_F(RawCalls, OfManyThatSwapTheSameValueExactlyOneSucceeds) {
  std::vector<ClusterBench::Timed> all;
  for (int i = 0; i < 8; ++i) {
    kvrpcpb::RawCASRequest request;
    ClusterBench::Timed call;
    *request.mutable_context() = bench_.ContextForEncoded("k", &call.store);
    request.set_key("k");
    request.set_value(std::to_string(i));
    request.set_previous_not_exist(true);
    call.path = kRawCompareAndSwap.path;
    call.request = std::make_shared<const kvrpcpb::RawCASRequest>(request);
    all.push_back(std::move(call));
  }
  bench_.AskTogether(&all);
  int succeeded = 0;
  Bytes written;
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_TRUE(all[i].answer->ok());
    if (static_cast<const kvrpcpb::RawCASResponse&>(***all[i].answer).succeed()) {
      ++succeeded;
      written = std::to_string(i);
    }
  }
  EXPECT_EQ(succeeded, 1);
  EXPECT_EQ(Ask(kRawGet, "k", "key:'k'"), "value: \"" + written + "\"");
}

TEST_F(RawCalls, ChecksumsCountEveryPairOnce) {
  Put("a", "1");
  Put("b", "22");
  Put("c", "333");
  const uint64_t expected = Crc64Xz("a", "1") ^ Crc64Xz("b", "22");
  const std::string two = "checksum: " + std::to_string(expected) + " total_kvs: 2 total_bytes: 5";
  EXPECT_EQ(Ask(kRawChecksum, "a", "ranges{start_key:'a' end_key:'c'}"), two);
  EXPECT_EQ(Ask(kRawChecksum, "a", "ranges{start_key:'a' end_key:'b'} ranges{start_key:'b' end_key:'c'}"), two);
  SplitRaw("c");
  EXPECT_EQ(Ask(kRawChecksum, "a", "ranges{end_key:'z'}"), two) << "cut at the region's end";
  EXPECT_EQ(Ask(kRawChecksum, "a", "ranges{start_key:'c' end_key:'z'}"), "");
}

// A model of the whole key space against calls that are cut by regions, which split meanwhile.
struct ModelledRun {
  ClusterBench bench{3, {}, true, false};
  std::map<Bytes, Bytes> model;
  uint64_t splits = 0;

  static Bytes KeyAt(uint32_t n) {
    return n % 23 == 0 ? Bytes() : Bytes(1, static_cast<char>('a' + n % 5)) + Bytes(n % 3, '\0');
  }
  [[nodiscard]] std::map<Bytes, Bytes>::iterator EndOf(const Region& region) {
    return region.end.empty() ? model.end() : model.lower_bound(region.end);
  }
  template <class Request>
  Request At(const Bytes& key, StoreId* leader) {
    Request request;
    *request.mutable_context() = bench.ContextForEncoded(key, leader);
    return request;
  }

  void Put(const Bytes& key, uint32_t step) {
    StoreId leader;
    auto request = At<kvrpcpb::RawPutRequest>(key, &leader);
    request.set_key(key);
    request.set_value(std::to_string(step));
    request.set_for_cas(step % 3 == 0);
    RC_ASSERT(bench.Ask(kRawPut, leader, request)->ShortDebugString().empty());
    model[key] = request.value();
  }
  void Delete(const Bytes& key, uint32_t step) {
    StoreId leader;
    auto request = At<kvrpcpb::RawDeleteRequest>(key, &leader);
    request.set_key(key);
    request.set_for_cas(step % 3 == 0);
    RC_ASSERT(bench.Ask(kRawDelete, leader, request)->ShortDebugString().empty());
    model.erase(key);
  }
  void DeleteToTheBorder(const Bytes& key, const Region& region) {
    StoreId leader;
    auto request = At<kvrpcpb::RawDeleteRangeRequest>(key, &leader);
    request.set_start_key(key);
    request.set_end_key(region.end);
    RC_ASSERT(bench.Ask(kRawDeleteRange, leader, request)->ShortDebugString().empty());
    model.erase(model.lower_bound(key), EndOf(region));
  }
  void Split(const Bytes& key) {
    StoreId leader;
    auto request = At<kvrpcpb::SplitRegionRequest>(key, &leader);
    request.add_split_keys(key);
    request.set_is_raw_kv(true);
    splits += bench.Ask(kSplitRegion, leader, request)->has_region_error() ? 0 : 1;
    bench.Pass(50'000);
  }
  void Scan(const Bytes& key, const Region& region, uint32_t limit, bool reverse) {
    StoreId leader;
    auto request = At<kvrpcpb::RawScanRequest>(key, &leader);
    request.set_reverse(reverse);
    request.set_limit(limit);
    request.set_start_key(key);
    const auto answer = bench.Ask(kRawScan, leader, request);
    std::vector<std::pair<Bytes, Bytes>> expected(model.lower_bound(reverse ? region.start : key),
                                                  reverse ? model.lower_bound(key) : EndOf(region));
    if (reverse) {
      std::reverse(expected.begin(), expected.end());
    }
    expected.resize(std::min<size_t>(expected.size(), limit));
    std::vector<std::pair<Bytes, Bytes>> found;
    for (const kvrpcpb::KvPair& pair : answer->kvs()) {
      found.emplace_back(pair.key(), pair.value());
    }
    RC_ASSERT(found == expected);
  }
};

RC_GTEST_PROP(RawCallsProperty, BehaveLikeOneMapOverAllRegions, ()) {
  ModelledRun run;
  const auto steps = *rc::gen::container<std::vector<uint32_t>>(rc::gen::inRange<uint32_t>(0, 1'000'000));
  for (const uint32_t step : steps) {
    const Bytes key = ModelledRun::KeyAt(step / 16);
    const Region region = *run.bench.cluster.regions().FindByKey(key);
    const uint32_t kind = step % 8;
    if (kind == 0) {
      run.Delete(key, step);
    } else if (kind == 1) {
      run.Split(key);
    } else if (kind == 2) {
      run.DeleteToTheBorder(key, region);
    } else if (kind <= 4) {
      run.Scan(key, region, 1 + step % 4, kind == 4);
    } else {
      run.Put(key, step);
    }
  }
  RC_CLASSIFY(run.splits > 0, "split");
  RC_CLASSIFY(!run.model.empty(), "keys left");
  std::map<Bytes, Bytes> found;
  for (Iterator at = run.bench.cluster.engine().Latest().Scan(ColumnFamily::kDefault, "", ""); at.Valid(); at.Next()) {
    found[at.key()] = at.value();
  }
  RC_ASSERT(found == run.model);
  run.bench.cluster.Shutdown();
}

}  // namespace
}  // namespace kvjury::tikv
