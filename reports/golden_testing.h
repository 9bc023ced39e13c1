// Golden files of reports/golden: `KVJURY_UPDATE_GOLDEN=1` in the environment of the tests writes them anew, and the change is
// reviewed like code.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace kvjury::reports {

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void ExpectGolden(const std::string& name, const std::string& actual) {
  const std::string path = std::string(KVJURY_SOURCE_DIR) + "/reports/golden/" + name;
  if (std::getenv("KVJURY_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << actual;
  }
  const std::string expected = ReadAll(path);
  ASSERT_GT(expected.size(), 100u) << path;
  EXPECT_EQ(actual, expected) << path;
}

}  // namespace kvjury::reports
