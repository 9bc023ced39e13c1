#include "fakes/ports/preface.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace kvjury::ports {
namespace {

TEST(PrefaceTest, EveryPartOfTheHttp2PrefaceNeedsMoreUntilItIsWhole) {
  for (size_t size = 0; size < kHttp2Preface.size(); ++size) {
    EXPECT_EQ(Recognize(kHttp2Preface.substr(0, size)), Speech::kNeedMore) << size;
  }
  EXPECT_EQ(Recognize(kHttp2Preface), Speech::kHttp2);
  EXPECT_EQ(Recognize(std::string(kHttp2Preface) + "more"), Speech::kHttp2);
}

TEST(PrefaceTest, ARequestLineIsHttp1) {
  EXPECT_EQ(Recognize("GET /pd"), Speech::kHttp1);
  EXPECT_EQ(Recognize("PATCH "), Speech::kHttp1);
  EXPECT_EQ(Recognize("PRI /"), Speech::kHttp1);
  EXPECT_EQ(Recognize("P"), Speech::kNeedMore);
  EXPECT_EQ(Recognize("OPTIONS"), Speech::kNeedMore);
}

TEST(PrefaceTest, AClientHelloIsTls) {
  EXPECT_EQ(Recognize(std::string("\x16", 1)), Speech::kNeedMore);
  EXPECT_EQ(Recognize(std::string("\x16\x03\x01", 3)), Speech::kTls);
}

TEST(PrefaceTest, AnythingElseIsGarbage) {
  EXPECT_EQ(Recognize(std::string("\x16\x02", 2)), Speech::kGarbage);
  EXPECT_EQ(Recognize(std::string(1, '\0')), Speech::kGarbage);
  EXPECT_EQ(Recognize("get / "), Speech::kGarbage);
  EXPECT_EQ(Recognize("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), Speech::kGarbage);
  EXPECT_EQ(Recognize(" "), Speech::kGarbage);
}

RC_GTEST_PROP(PrefaceTest, WhatIsDecidedStaysDecidedWhenMoreBytesCome, (const std::string& bytes, const std::string& more)) {
  const Speech speech = Recognize(bytes);
  if (speech != Speech::kNeedMore) {
    RC_ASSERT(Recognize(bytes + more) == speech);
  }
}

}  // namespace
}  // namespace kvjury::ports
