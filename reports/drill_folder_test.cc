#include "reports/drill_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "reports/drill_testing.h"
#include "reports/golden_testing.h"

namespace kvjury::reports {
namespace {

using ::testing::HasSubstr;

class DrillFolderTest : public ::testing::Test {
 protected:
  DrillFolderTest() : path_(::testing::TempDir() + "kvjury-drill-folder-" + std::to_string(getpid())) {
    std::filesystem::remove_all(path_);
  }
  ~DrillFolderTest() override { std::filesystem::remove_all(path_); }

  std::string path_;
};

TEST_F(DrillFolderTest, KeepsEveryRecordAndWritesTheReportsWhole) {
  Result<DrillFolder> folder = DrillFolder::Open(path_ + "/a/b");
  ASSERT_TRUE(folder.ok()) << folder.status();
  DrillReport report({"0.1.0", 7});
  for (const record::DrillRecord& drill : ManyDrills()) {
    ASSERT_TRUE(folder->Append(drill).ok());
    report.Add(drill);
  }
  EXPECT_FALSE(std::filesystem::exists(path_ + "/a/b/verdict.json"));
  ASSERT_TRUE(folder->Finish(report).ok());
  EXPECT_EQ(ReadAll(path_ + "/a/b/verdict.json"), report.VerdictJson());
  EXPECT_EQ(ReadAll(path_ + "/a/b/report.html"), report.Html());
  EXPECT_EQ(ReadAll(path_ + "/a/b/matrix.md"), report.MatrixMarkdown());
  EXPECT_EQ(ReadAll(path_ + "/a/b/junit.xml"), report.JunitXml());

  const Result<DrillLines> lines = ParseDrillLines("drills.jsonl", ReadAll(path_ + "/a/b/drills.jsonl"));
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->records.size(), ManyDrills().size());
  DrillReport again({"0.1.0", 7});
  for (const record::DrillRecord& drill : lines->records) {
    again.Add(drill);
  }
  EXPECT_EQ(again.Html(), report.Html()) << "a report can be made again from drills.jsonl";

  ASSERT_TRUE(DrillFolder::Open(path_ + "/a/b").ok());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/a/b/verdict.json")) << "that of the earlier run";
  EXPECT_EQ(ReadAll(path_ + "/a/b/drills.jsonl"), "");
}

TEST_F(DrillFolderTest, WhatAForeignProgramPrintedIsNoReasonToLoseTheRecord) {
  Result<DrillFolder> folder = DrillFolder::Open(path_);
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE(folder->Append(HostileDrill()).ok());
  const Result<DrillLines> lines = ParseDrillLines("drills.jsonl", ReadAll(path_ + "/drills.jsonl"));
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->records.size(), 1u);
  EXPECT_THAT(lines->records[0].command(0).last_line(), HasSubstr("\\x1b[31m\\xff\n"));
  EXPECT_EQ(lines->records[0].finding(0).path(), HostileDrill().finding(0).path()) << "bytes are kept as they are";
}

TEST_F(DrillFolderTest, AWholeLineThatIsNoRecordIsNamed) {
  const Result<DrillLines> damaged = ParseDrillLines("drills.jsonl", "{}\n{\"recipe\": 3}\n");
  ASSERT_FALSE(damaged.ok());
  EXPECT_THAT(damaged.error().message(), HasSubstr("drills.jsonl line 2: expected a drill record"));
}

TEST_F(DrillFolderTest, SaysWhyAFolderCannotBeWritten) {
  std::filesystem::create_directories(path_ + "/drills.jsonl");
  const Result<DrillFolder> folder = DrillFolder::Open(path_);
  ASSERT_FALSE(folder.ok());
  EXPECT_EQ(folder.error().code(), StatusCode::kEnvironment);
  EXPECT_THAT(folder.error().message(), HasSubstr("drills.jsonl: Is a directory"));
}

}  // namespace
}  // namespace kvjury::reports
