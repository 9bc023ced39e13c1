#include "reports/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "reports/golden_testing.h"

namespace kvjury::reports {
namespace {

using ::testing::HasSubstr;

record::CaseRecord Record(int number) {
  record::CaseRecord record;
  record.set_name("case-" + std::to_string(number));
  record.set_outcome(record::SAME);
  record.set_cut_ts(18446744073709551615u);
  record.add_finding()->set_key(std::string("\x00\xff\n\"", 4));
  return record;
}

class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest() : path_(::testing::TempDir() + "kvjury-run-folder-" + std::to_string(getpid())) {
    std::filesystem::remove_all(path_);
  }
  ~RunFolderTest() override { std::filesystem::remove_all(path_); }

  std::string path_;
};

TEST_F(RunFolderTest, KeepsEveryRecordAndWritesTheReportsWhole) {
  Result<RunFolder> folder = RunFolder::Open(path_ + "/a/b");
  ASSERT_TRUE(folder.ok()) << folder.status();
  RunReport report({"run", "0.1.0", 7});
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(folder->Append(Record(i)).ok());
    report.Add(Record(i));
  }
  ASSERT_TRUE(folder->Finish(report).ok());
  EXPECT_EQ(ReadAll(path_ + "/a/b/verdict.json"), report.VerdictJson());
  EXPECT_EQ(ReadAll(path_ + "/a/b/summary.md"), report.SummaryMarkdown());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/a/b/verdict.json.part"));

  const Result<RunLines> lines = ParseRunLines("run.jsonl", ReadAll(path_ + "/a/b/run.jsonl"));
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_FALSE(lines->last_line_cut);
  ASSERT_EQ(lines->records.size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lines->records[static_cast<size_t>(i)].DebugString(), Record(i).DebugString());
  }
}

TEST_F(RunFolderTest, AKilledWriterLeavesAllFinishedCases) {
  int pipe_ends[2];
  ASSERT_EQ(pipe(pipe_ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    Result<RunFolder> folder = RunFolder::Open(path_);
    bool ok = folder.ok();
    for (int i = 0; ok && i < 5; ++i) {
      ok = folder->Append(Record(i)).ok();
    }
    const char done = ok ? 'y' : 'n';
    if (write(pipe_ends[1], &done, 1) == 1) {
      pause();
    }
    _exit(1);
  }
  char done = 0;
  ASSERT_EQ(read(pipe_ends[0], &done, 1), 1);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(done, 'y');
  const Result<RunLines> lines = ParseRunLines("run.jsonl", ReadAll(path_ + "/run.jsonl"));
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_EQ(lines->records.size(), 5u);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/verdict.json"));
}

TEST_F(RunFolderTest, ACutLastLineIsToldAndNotTakenForARecord) {
  const std::string first = RecordLine(Record(1)).value() + "\n";
  const std::string second = RecordLine(Record(2)).value() + "\n";
  for (size_t cut = 1; cut < second.size(); ++cut) {
    const Result<RunLines> lines = ParseRunLines("run.jsonl", first + second.substr(0, cut));
    ASSERT_TRUE(lines.ok()) << lines.status();
    ASSERT_TRUE(lines->last_line_cut);
    ASSERT_EQ(lines->records.size(), 1u);
  }
  const Result<RunLines> damaged = ParseRunLines("run.jsonl", first + "{\"name\": 3, \"no\"}\n" + second);
  ASSERT_FALSE(damaged.ok());
  EXPECT_EQ(damaged.error().code(), StatusCode::kDataLoss);
  EXPECT_THAT(damaged.error().message(), HasSubstr("run.jsonl line 2: expected a case record"));
}

TEST_F(RunFolderTest, OpeningAgainRemovesTheVerdictOfTheEarlierRun) {
  {
    Result<RunFolder> folder = RunFolder::Open(path_);
    ASSERT_TRUE(folder.ok());
    ASSERT_TRUE(folder->Append(Record(1)).ok());
    ASSERT_TRUE(folder->Finish(RunReport({"run", "0.1.0"})).ok());
  }
  ASSERT_TRUE(std::filesystem::exists(path_ + "/verdict.json"));
  Result<RunFolder> folder = RunFolder::Open(path_);
  ASSERT_TRUE(folder.ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/verdict.json"));
  EXPECT_EQ(ReadAll(path_ + "/run.jsonl"), "");
}

TEST_F(RunFolderTest, SaysWhyAFolderCannotBeWritten) {
  // A file where a folder is wanted fails for root too.
  std::filesystem::create_directories(path_);
  ASSERT_TRUE(WriteFileWhole(path_ + "/file", "x").ok());
  const Result<RunFolder> below_file = RunFolder::Open(path_ + "/file/out");
  ASSERT_FALSE(below_file.ok());
  EXPECT_EQ(below_file.error().code(), StatusCode::kEnvironment);
  EXPECT_THAT(below_file.error().message(), HasSubstr("cannot create the folder " + path_ + "/file/out: Not a directory"));

  std::filesystem::create_directories(path_ + "/out/run.jsonl");
  const Result<RunFolder> no_lines = RunFolder::Open(path_ + "/out");
  ASSERT_FALSE(no_lines.ok());
  EXPECT_THAT(no_lines.error().message(), HasSubstr("run.jsonl: Is a directory"));
}

TEST_F(RunFolderTest, AFullDiskLeavesNothingThatLooksWhole) {
  std::filesystem::create_directories(path_ + "/verdict.json");
  const Status status = WriteFileWhole(path_ + "/verdict.json", "{}");
  EXPECT_EQ(status.code(), StatusCode::kEnvironment);
  EXPECT_FALSE(std::filesystem::exists(path_ + "/verdict.json.part"));
  std::filesystem::create_symlink("/dev/full", path_ + "/run.json.part");
  const Status full = WriteFileWhole(path_ + "/run.json", "{}");
  EXPECT_THAT(full.message(), HasSubstr("No space left"));
  EXPECT_FALSE(std::filesystem::exists(path_ + "/run.json"));
}

}  // namespace
}  // namespace kvjury::reports
