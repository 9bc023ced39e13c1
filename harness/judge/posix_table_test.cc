// The errno table, which posix_test.py records from a real mount: the model of POSIX and a session of ours answer as the mount did.
#include <gtest/gtest.h>

#include <fstream>

#include "harness/juicefs/test_mount.h"
#include "harness/judge/errno_table.h"
#include "harness/judge/posix_model.h"
#include "harness/judge/posix_writer.h"
#include "harness/judge/test_posix.h"

namespace kvjury::judge {
namespace {

std::string ReadScenario(const std::string& name) {
  std::ifstream input(std::string(KVJURY_SOURCE_DIR) + "/scenarios/posix/" + name);
  return {std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
}

struct Tally {
  uint64_t same = 0;
  std::map<std::string, uint64_t> known;  // by reason
  std::vector<std::string> wrong;
};

/// `answer` gives what the witness says to each operation; the last one's of a row counts.
template <class Answer>
Tally CheckRows(const std::string& witness, Answer answer) {
  Tally tally;
  const Result<std::vector<ErrnoRow>> rows = ParseErrnoTable(ReadScenario("errno_table.txt"));
  const Result<std::vector<KnownDifference>> known = ParseKnownDifferences(ReadScenario("known_differences.txt"));
  EXPECT_TRUE(rows.ok()) << rows.status();
  EXPECT_TRUE(known.ok()) << known.status();
  if (!rows.ok() || !known.ok()) {
    return tally;
  }
  for (const ErrnoRow& row : *rows) {
    std::string last;
    for (const record::Operation& operation : row.operations) {
      last = DescribeResult(answer(operation));
    }
    const std::string what = row.text + ": " + last + " against " + row.answer;
    if (last == row.answer) {
      tally.same += 1;
    } else if (const KnownDifference* one = FindKnown(*known, witness, "row", what)) {
      tally.known[one->reason] += 1;
    } else {
      tally.wrong.push_back(what);
    }
  }
  for (const std::string& wrong : tally.wrong) {
    std::cout << "wrong: " << wrong << "\n";
  }
  for (const auto& [reason, count] : tally.known) {
    std::cout << count << " known differences: " << reason << "\n";
  }
  return tally;
}

TEST(ErrnoTable, TheModelAnswersAsTheMountDid) {
  PosixModelOptions options;
  options.formatted_ns = {1'000'000'000, 1'000'000'000};
  options.capacity_bytes = uint64_t{1} << 30;
  PosixModel model(options);
  int64_t now_ns = 2'000'000'000;
  const Tally tally = CheckRows("model", [&](const record::Operation& operation) {
    now_ns += 1'000'000'000;
    return model.Do(1, operation, {now_ns, now_ns});
  });
  EXPECT_EQ(tally.wrong, std::vector<std::string>());
  EXPECT_GT(tally.same, 150U);
}

TEST(ErrnoTable, ASessionOfOursAnswersAsTheMountDid) {
  juicefs::TestMount::Options options;
  options.blocks = true;
  options.acl = true;
  juicefs::TestMount mount(options);
  // Knows what the kernel refuses, of which a mount's session hears nothing.
  PosixModelOptions model_options;
  model_options.capacity_bytes = uint64_t{1} << 30;
  PosixModel model(model_options);
  uint64_t in_front = 0;
  const Tally tally = CheckRows("session", [&](const record::Operation& operation) {
    const PosixResult expected = model.Do(1, operation, {mount.store().wall_ns(), mount.store().wall_ns()});
    in_front += model.refused_in_front() ? 1 : 0;
    return model.refused_in_front() ? expected : ResultOfWriter(operation, mount.Do(TextOf(operation)));
  });
  std::cout << in_front << " operations are refused in front of the session\n";
  EXPECT_EQ(tally.wrong, std::vector<std::string>());
  EXPECT_GT(tally.same, 200U);
  EXPECT_GT(in_front, 20U);
  EXPECT_LT(in_front, 60U);
}

TEST(ErrnoTable, ARowThatIsNoOperationIsRefusedWithItsLine) {
  EXPECT_FALSE(ParseErrnoTable("# x\nmkdir { pth: \"@\" } => 0\n").ok());
  EXPECT_NE(ParseErrnoTable("# x\nfly { } => 0\n").status().ToString().find("line 2"), std::string::npos);
  EXPECT_FALSE(ParseKnownDifferences("model\trename\twhat\n").ok());
}

TEST(ErrnoTable, AnAnswerThatIsNotTheRecordedOneIsSeen) {
  // A model without its limit lets a file grow over the volume.
  PosixModel model(PosixModelOptions{});
  const Tally tally = CheckRows("model", [&](const record::Operation& operation) { return model.Do(1, operation, {1, 1}); });
  EXPECT_GE(tally.wrong.size(), 2U);
}

}  // namespace
}  // namespace kvjury::judge
