#include "harness/tools/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace kvjury::tools {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kFolder[] = KVJURY_SOURCE_DIR "/scenarios/drills";

TEST(RecipeTest, EveryBundledRecipeAndFaultCanBeReadAndIsCalledAsItsFile) {
  const std::vector<std::string> recipes = NamesIn(std::string(kFolder) + "/recipes", "recipe");
  ASSERT_GE(recipes.size(), 8U);
  for (const std::string& name : recipes) {
    const Result<record::Recipe> recipe = ReadRecipe(name, std::string(kFolder) + "/recipes");
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    EXPECT_EQ(recipe->name(), name);
    EXPECT_FALSE(recipe->about().empty()) << name;
  }
  const std::vector<std::string> faults = NamesIn(std::string(kFolder) + "/faults", "fault");
  ASSERT_GE(faults.size(), 10U);
  for (const std::string& name : faults) {
    const Result<record::DrillFault> fault = ReadDrillFault(name, std::string(kFolder) + "/faults");
    ASSERT_TRUE(fault.ok()) << fault.status();
    EXPECT_EQ(fault->name(), name);
  }
}

TEST(RecipeTest, WordsAreQuotedAndFlagsAreNot) {
  const Words words = {{"pd", "1.2.3.4:5"}, {"meta", "tikv://a/b?x=1&y='2'"}, {"tls_flags", "--ca a --key b"}};
  const Result<std::string> line = Expand("br --pd {pd} {tls_flags} -m {meta} ${HOME}", words);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(*line, "br --pd '1.2.3.4:5' --ca a --key b -m 'tikv://a/b?x=1&y='\\''2'\\''' ${HOME}");
}

TEST(RecipeTest, UnknownWordsAndOpenBracesAreErrorsThatNameThem) {
  EXPECT_THAT(Expand("br {pdd}", {{"pd", ""}}).status().message(), HasSubstr("unknown word {pdd}; known are pd"));
  EXPECT_THAT(Expand("br {pd", {{"pd", ""}}).status().message(), HasSubstr("not closed"));
}

class RecipeFileTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(root_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string Write(const std::string& text) {
    const std::string path = root_ + "/x.recipe";
    std::ofstream(path) << text;
    return path;
  }
  std::string ErrorOf(const std::string& text) { return ReadRecipe(Write(text), kFolder).status().message(); }
  std::string root_ = testing::TempDir() + "kvjury-recipe-XXXXXX";
};

TEST_F(RecipeFileTest, WhatIsWrongIsNamedWithItsPlace) {
  EXPECT_THAT(ErrorOf("name: \"x\"\nbackup: 7\n"), HasSubstr("x.recipe:2:9"));
  EXPECT_THAT(ErrorOf("name: \"a b\""), HasSubstr("name: expected a word"));
  EXPECT_THAT(ErrorOf("name: \"x\" backup: \"a\""), HasSubstr("\"restore\""));
  EXPECT_THAT(ErrorOf("name: \"x\" backup: \"a\" restore: \"b\""), HasSubstr("expected a \"cut\""));
  EXPECT_THAT(ErrorOf("name: \"x\" backup: \"a\" restore: \"b\" cut: WITHIN_BACKUP"), HasSubstr("logical"));
  EXPECT_EQ(ErrorOf("name: \"x\" backup: \"a\" restore: \"b\" cut: GIVEN"), "");
}

TEST_F(RecipeFileTest, AnUnknownNameTellsTheKnownOnes) {
  const Status status = ReadRecipe("br-txm", std::string(kFolder) + "/recipes").status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("br-txn"));
}

TEST_F(RecipeFileTest, AProgramIsFoundWhereItWasNamedAndTellsItsVersionAndDigest) {
  const std::string path = root_ + "/tool";
  std::ofstream(path) << "#!/bin/sh\necho\necho tool 1.2\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  const Result<FoundTool> tool = FindTool("some-tool", {{"some-tool", path}});
  ASSERT_TRUE(tool.ok()) << tool.status();
  EXPECT_EQ(tool->version, "tool 1.2");
  EXPECT_EQ(tool->sha256.size(), 64U);
  EXPECT_THAT(FindTool("no-such-tool-anywhere", {}).status().message(), HasSubstr("KVJURY_NO_SUCH_TOOL_ANYWHERE"));
}

}  // namespace
}  // namespace kvjury::tools
