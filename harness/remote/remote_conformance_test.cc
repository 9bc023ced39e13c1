// Whole recordings of a real cluster against the served one, over its real ports.
#include <gtest/gtest.h>

#include "harness/remote/served_test_bench.h"

namespace kvjury::remote {
namespace {

using drift::LoadCalls;
using drift::RecordedCall;

std::vector<RecordedCall> StoreCalls() {
  Result<std::vector<RecordedCall>> calls = LoadCalls(ProbePath("tikv-8.5.0.jsonl.gz"));
  CHECK(calls.ok()) << calls.status();
  calls = drift::WithLeftOut(*std::move(calls), ProbePath("tikv-8.5.0.left-out.jsonl"));
  CHECK(calls.ok()) << calls.status();
  return *std::move(calls);
}

TEST(ServedStore, AnswersEveryRecordedCallAsARealOne) {
  const TemporaryFolder folder;
  const auto served = ServeCluster(1);
  const auto world = Connect();
  EXPECT_EQ(PlayOverPorts(world.get(), served->pd_addresses().front(), StoreCalls(), folder.path(), "", 180), "");
}

TEST(ServedStore, AnswersEveryRecordedCallUnderMutualTls) {
  const TemporaryFolder certificates;
  const TemporaryFolder folder;
  ASSERT_TRUE(ports::MakeTestCertificates(certificates.path() + "/c").ok());
  const std::string stem = certificates.path() + "/c/";
  const auto served = ServeCluster(1, {stem + "ca.pem", stem + "server.pem", stem + "server-key.pem"});
  const auto world = Connect({stem + "ca.pem", stem + "client.pem", stem + "client-key.pem"});
  EXPECT_EQ(PlayOverPorts(world.get(), served->pd_addresses().front(), StoreCalls(), folder.path(), "", 180), "");
}

class ServedPd : public testing::Test {
 protected:
  std::string Play(const std::string& name, const std::string& reasons, size_t compared_wanted) {
    Result<std::vector<RecordedCall>> calls = LoadCalls(ProbePath(name));
    CHECK(calls.ok()) << calls.status();
    const auto served = ServeCluster(3);
    CutLike(served.get(), *calls);
    const auto world = Connect();
    return PlayOverPorts(world.get(), served->pd_addresses().front(), *std::move(calls), "", reasons, compared_wanted);
  }
};

TEST_F(ServedPd, AnswersEveryRecordedCallAsARealOne) { EXPECT_EQ(Play("pd-8.5.7.jsonl.gz", "pd-8.5.7.differences.jsonl", 53), ""); }

TEST_F(ServedPd, AnswersEveryHttpPathAsARealOne) {
  EXPECT_EQ(Play("pd-http-8.5.7.jsonl.gz", "pd-http-8.5.7.differences.jsonl", 35), "");
  EXPECT_EQ(Play("pd-http-8.5.7-restored.jsonl.gz", "pd-http-8.5.7.differences.jsonl", 35), "");
}

}  // namespace
}  // namespace kvjury::remote
