// The transaction core against the recorded answers of a real TiKV 8.5.0.
#include "fakes/tikv/mvcc_conformance.h"

#include <gtest/gtest.h>

#include <set>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_test_store.h"

namespace kvjury::tikv {
namespace {

template <class Request>
Bytes Answer(MvccTestStore* store, const Bytes& bytes) {
  Request request;
  EXPECT_TRUE(request.ParseFromString(bytes));
  return store->Call(request).SerializeAsString();
}

Dispatch DispatchTo(MvccTestStore* store) {
  return [store](const std::string& method, const Bytes& request) -> Bytes {
#define KVJURY_CASE(name, message)                        \
  if (method == name) {                                   \
    return Answer<kvrpcpb::message##Request>(store, request); \
  }
    KVJURY_CASE("KvGet", Get)
    KVJURY_CASE("KvScan", Scan)
    KVJURY_CASE("KvBatchGet", BatchGet)
    KVJURY_CASE("KvPrewrite", Prewrite)
    KVJURY_CASE("KvCommit", Commit)
    KVJURY_CASE("KvCleanup", Cleanup)
    KVJURY_CASE("KvBatchRollback", BatchRollback)
    KVJURY_CASE("KvScanLock", ScanLock)
    KVJURY_CASE("KvResolveLock", ResolveLock)
    KVJURY_CASE("KvCheckTxnStatus", CheckTxnStatus)
    KVJURY_CASE("KvPessimisticLock", PessimisticLock)
    KVJURY_CASE("KVPessimisticRollback", PessimisticRollback)
    KVJURY_CASE("KvDeleteRange", DeleteRange)
    KVJURY_CASE("MvccGetByKey", MvccGetByKey)
    KVJURY_CASE("MvccGetByStartTs", MvccGetByStartTs)
#undef KVJURY_CASE
    ADD_FAILURE() << "no such method: " << method;
    return {};
  };
}

bool IsStoreError(const RecordedCall& call) {
  // Region errors, API versions and splits are the store's and tested there.
  kvrpcpb::GetResponse response;
  kvrpcpb::GetRequest request;
  if (call.method == "SplitRegion" || !response.ParseFromString(call.response) ||
      !request.ParseFromString(call.request)) {
    return true;
  }
  return response.has_region_error() || request.context().api_version() != kvrpcpb::V1;
}

TEST(MvccConformance, EveryTransactionAnswerIsThatOfTiKV) {
  MvccTestStore store;
  const Dispatch dispatch = DispatchTo(&store);
  std::set<std::string> compared_cases;
  size_t compared = 0;
  for (const RecordedCall& call : LoadRecordedCalls("tikv-8.5.0.jsonl.gz")) {
    if (call.method == "SplitRegion" || (call.case_name.rfind("11", 0) == 0 && IsStoreError(call)) ||
        (call.case_name.rfind("15", 0) == 0 && IsStoreError(call))) {
      continue;
    }
    store.region = {4, "", EncodeKey(Bytes("r\0\0\0", 4))};
    if (call.case_name.rfind("15", 0) == 0) {
      store.region = {18, EncodeKey("p/15c"), EncodeKey("p/15m")};
    }
    EXPECT_EQ(DifferenceToRecorded(call, dispatch(call.method, call.request)), "");
    ++compared;
    compared_cases.insert(call.case_name.substr(0, 2));
  }
  EXPECT_EQ(compared_cases, (std::set<std::string>{"01", "03", "05", "07", "09", "11", "13", "15"}));
  EXPECT_GT(compared, 130u);
}

TEST(MvccConformance, LeftOverLocksAreMadeAsTiKVMakesThem) {
  MvccTestStore store;
  const Dispatch dispatch = DispatchTo(&store);
  size_t compared = 0;
  for (const RecordedCall& call : LoadRecordedCalls("leftover-locks.jsonl.gz")) {
    EXPECT_EQ(DifferenceToRecorded(call, dispatch(call.method, call.request)), "");
    ++compared;
  }
  EXPECT_GT(compared, 4u);
}

}  // namespace
}  // namespace kvjury::tikv
