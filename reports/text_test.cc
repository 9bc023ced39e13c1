#include "reports/text.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

namespace kvjury::reports {
namespace {

TEST(ReportText, XmlEscapesMarkupAndWritesImpossibleCharactersAsHex) {
  EXPECT_EQ(EscapeXml("<a b=\"c\" d='e'>&\n\t"), "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;&#10;&#9;");
  EXPECT_EQ(EscapeXml(std::string_view("\0\x01\x1b\x7f", 4)), "\\x00\\x01\\x1b\\x7f");
  EXPECT_EQ(EscapeXml("]]>"), "]]&gt;");
}

TEST(ReportText, ValidUtf8StaysAndEverythingElseBecomesHex) {
  EXPECT_EQ(CleanUtf8("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80"), "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80");
  EXPECT_EQ(CleanUtf8("\xff"), "\\xff");
  EXPECT_EQ(CleanUtf8("\xc3"), "\\xc3") << "cut off";
  EXPECT_EQ(CleanUtf8("\xc0\xaf"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(CleanUtf8("\xe0\x80\xaf"), "\\xe0\\x80\\xaf") << "overlong";
  EXPECT_EQ(CleanUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "surrogate";
  EXPECT_EQ(CleanUtf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond Unicode";
  EXPECT_EQ(CleanUtf8("\xef\xbf\xbf"), "\\xef\\xbf\\xbf") << "no XML character";
}

TEST(ReportText, WhatNobodySeesBecomesHexToo) {
  EXPECT_EQ(CleanUtf8("\xc2\x9b" "31m"), "\\xc2\\x9b31m") << "a control sequence in one character";
  EXPECT_EQ(CleanUtf8("a\xe2\x80\xae" "gpj.exe"), "a\\xe2\\x80\\xaegpj.exe") << "right to left";
  EXPECT_EQ(OneLine("a\nb\tc\r"), "a b c\\x0d");
}

TEST(ReportText, MarkdownStaysInsideItsCell) {
  EXPECT_EQ(EscapeMarkdown("a|b\nc_d `e`"), "a\\|b c\\_d \\`e\\`");
}

RC_GTEST_PROP(ReportText, EveryByteSurvivesAsLatin1, (const std::vector<uint8_t>& bytes)) {
  const std::string text(bytes.begin(), bytes.end());
  RC_CLASSIFY(std::any_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte >= 0x80; }), "not ASCII");
  const nlohmann::json json = Latin1(text);
  std::string back;
  const std::string utf8 = nlohmann::json::parse(json.dump()).get<std::string>();
  for (size_t i = 0; i < utf8.size(); ++i) {
    const auto byte = static_cast<uint8_t>(utf8[i]);
    if (byte < 0x80) {
      back += utf8[i];
    } else {
      back += static_cast<char>((byte & 0x03u) << 6 | (static_cast<uint8_t>(utf8.at(++i)) & 0x3Fu));
    }
  }
  RC_ASSERT(back == text);
}

RC_GTEST_PROP(ReportText, WhatIsCleanStaysCleanAndJsonTakesIt, (const std::vector<uint8_t>& bytes)) {
  const std::string clean = CleanUtf8(std::string(bytes.begin(), bytes.end()));
  RC_ASSERT(CleanUtf8(clean) == clean);
  RC_ASSERT(nlohmann::json::parse(nlohmann::json(clean).dump()).get<std::string>() == clean);
}

}  // namespace
}  // namespace kvjury::reports
