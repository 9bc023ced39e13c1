// Whole recordings of a real cluster against the simulated one: every call, field by field.
#include <gtest/gtest.h>

#include "harness/drift/conformance_test_bench.h"

namespace kvjury::drift {
namespace {

TEST(RecordedStore, EveryCallIsAnsweredAsByARealOne) {
  tikv::ClusterBench bench(1, {}, true, true, tikv::SstCodec::kRocksDb);
  Result<std::vector<RecordedCall>> calls = LoadCalls(Probe("tikv-8.5.0.jsonl.gz"));
  ASSERT_TRUE(calls.ok()) << calls.status();
  ASSERT_EQ(calls->size(), 180U);
  calls = WithLeftOut(*std::move(calls), Probe("tikv-8.5.0.left-out.jsonl"));
  ASSERT_TRUE(calls.ok()) << calls.status();
  Result<Played> played = PlayInWorld(&bench, *calls);
  ASSERT_TRUE(played.ok()) << played.status();
  EXPECT_EQ(Unexplained(&*played), "");
  EXPECT_EQ(played->compared, 180U);
  EXPECT_EQ(played->unrecorded, 16U);
}

// PD's answers depend on the regions: the cluster is first cut as the recorded one was.
class RecordedPd : public testing::Test {
 protected:
  std::vector<RecordedCall> Load(const std::string& name) {
    Result<std::vector<RecordedCall>> calls = LoadCalls(Probe(name));
    CHECK(calls.ok()) << calls.status();
    const Result<RecordedCluster> recorded = DescribeCluster(*calls);
    CHECK(recorded.ok()) << recorded.status();
    for (const metapb::Region& region : recorded->regions) {
      if (!region.start_key().empty()) {
        static_cast<void>(bench_.cluster.SplitAt(DecodeKey(region.start_key()).value()));  // false for a fresh cluster's own
      }
    }
    bench_.Pass(1'000'000);
    return *std::move(calls);
  }

  std::string Play(const std::string& name, const std::string& reasons_name, size_t calls_wanted) {
    Result<Played> played = PlayInWorld(&bench_, Load(name));
    const Result<std::vector<KnownDifference>> reasons = LoadReasons(Probe(reasons_name));
    if (!played.ok() || !reasons.ok()) {
      return played.status().ToString() + ", " + reasons.status().ToString();
    }
    EXPECT_EQ(played->compared, calls_wanted);
    return Unexplained(&*played, *reasons);
  }

  tikv::ClusterBench bench_{3};
};

TEST_F(RecordedPd, EveryCallIsAnsweredAsByARealOne) { EXPECT_EQ(Play("pd-8.5.7.jsonl.gz", "pd-8.5.7.differences.jsonl", 53), ""); }

TEST_F(RecordedPd, EveryHttpPathIsAnsweredAsByARealOne) {
  EXPECT_EQ(Play("pd-http-8.5.7.jsonl.gz", "pd-http-8.5.7.differences.jsonl", 35), "");
}

TEST_F(RecordedPd, EveryHttpPathOfARestoredClusterIsAnsweredAsByARealOne) {
  EXPECT_EQ(Play("pd-http-8.5.7-restored.jsonl.gz", "pd-http-8.5.7.differences.jsonl", 35), "");
}

}  // namespace
}  // namespace kvjury::drift
