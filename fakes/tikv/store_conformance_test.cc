// The whole service of a store against the recorded answers of a real TiKV 8.5.0, in file order on one store: transactional
// calls, context errors, splits. Backup and import: backup_conformance_test.cc.
#include <gtest/gtest.h>

#include "fakes/tikv/cluster_test_bench.h"
#include "fakes/tikv/mvcc_conformance.h"

namespace kvjury::tikv {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MessageFactory;

constexpr char kRecording[] = "tikv-8.5.0.jsonl.gz";

sim::MessagePtr ParseRequest(const std::string& method, const Bytes& bytes) {
  const bool prefixed = method.rfind("Kv", 0) == 0 || method.rfind("KV", 0) == 0;
  const auto* descriptor = DescriptorPool::generated_pool()->FindMessageTypeByName(
      "kvrpcpb." + (prefixed ? method.substr(2) : method) + "Request");
  CHECK(descriptor != nullptr) << method;
  std::shared_ptr<google::protobuf::Message> message(MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  CHECK(message->ParseFromString(bytes));
  return message;
}

class RecordedStore : public testing::Test {
 protected:
  RecordedStore() : bench_(1, {}, false) {}

  size_t ReplayCalls() {
    size_t compared = 0;
    for (const RecordedCall& call : LoadRecordedCalls(kRecording)) {
      const Result<sim::MessagePtr> answer = bench_.Ask("/tikvpb.Tikv/" + call.method, bench_.cluster.store_address(StoreId(1)),
                                                        ParseRequest(call.method, call.request), "");
      EXPECT_TRUE(answer.ok()) << call.case_name << " " << call.method << " " << answer.status();
      if (answer.ok()) {
        EXPECT_EQ(DifferenceToRecorded(call, (*answer)->SerializeAsString()), "");
      }
      ++compared;
    }
    return compared;
  }

  ClusterBench bench_;
};

TEST_F(RecordedStore, AnswersEveryTransactionalCallAsTheRealOneDid) {
  EXPECT_GT(ReplayCalls(), 150U);
  const auto unknown = bench_.Ask("/tikvpb.Tikv/KvGC", bench_.cluster.store_address(StoreId(1)),
                                  std::make_shared<const kvrpcpb::GetRequest>(), "");
  EXPECT_EQ(unknown.error().code(), StatusCode::kUnsupported);
}

}  // namespace
}  // namespace kvjury::tikv
