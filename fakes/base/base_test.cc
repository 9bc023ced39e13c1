#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include "fakes/base/bytes.h"
#include "fakes/base/cipher.h"
#include "fakes/base/digest.h"
#include "fakes/base/memcomparable.h"
#include "fakes/base/mvcc_records.h"
#include "fakes/base/random.h"
#include "fakes/base/utf8.h"
#include "fakes/base/xml.h"

namespace kvjury {
namespace {

Bytes Hex(const std::string& text) {
  std::string compact;
  for (char c : text) {
    if (c != ' ') {
      compact.push_back(c);
    }
  }
  return FromHex(compact).value();
}

TEST(Bytes, HexReadsBothCasesAndNamesTheWrongDigit) {
  EXPECT_EQ(FromHex("00fFaB").value(), std::string("\x00\xff\xab", 3));
  EXPECT_EQ(ToHex(std::string("\x00\xff\xab", 3)), "00ffab");
  EXPECT_THAT(FromHex("0g").error().message(), testing::HasSubstr("offset 1"));
  EXPECT_FALSE(FromHex("0").ok());
}

TEST(Bytes, PrefixEndCarriesAndIsUnboundedForAllOnes) {
  EXPECT_EQ(PrefixEnd("a"), "b");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff\xff"), "");
}

TEST(Bytes, ReaderStaysFailedAfterTheFirstShortRead) {
  ByteReader reader("ab");
  EXPECT_EQ(reader.Be32(), 0u);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.U8(), 0u);
  EXPECT_FALSE(reader.ok());
}

TEST(Bytes, VarintOfMoreThanSixtyFourBitsIsRefused) {
  ByteReader reader("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  reader.Varint();
  EXPECT_FALSE(reader.ok());
}

TEST(Memcomparable, MatchesTheGoldenVectors) {
  EXPECT_EQ(EncodeKey("a"), Hex("61 00 00 00 00 00 00 00 F8"));
  EXPECT_EQ(EncodeKey(""), Hex("00 00 00 00 00 00 00 00 F7"));
  EXPECT_EQ(EncodeKey("abcdefgh"), Hex("61 62 63 64 65 66 67 68 FF 00 00 00 00 00 00 00 00 F7"));
  EXPECT_EQ(EncodeVersionedKey("a", Timestamp(5)), Hex("61 00 00 00 00 00 00 00 F8 FF FF FF FF FF FF FF FA"));
}

TEST(Memcomparable, AnEmptyBoundaryStaysUnbounded) {
  EXPECT_EQ(EncodeBoundary(""), "");
  EXPECT_EQ(DecodeBoundary("").value(), "");
}

TEST(Memcomparable, DamagedKeysAreRefused) {
  EXPECT_EQ(DecodeKey("short").status().code(), StatusCode::kDataLoss);
  EXPECT_FALSE(DecodeKey(Hex("61 00 00 00 00 00 00 01 F8")).ok());
  EXPECT_FALSE(DecodeKey(Hex("61 00 00 00 00 00 00 00 10")).ok());
  EXPECT_FALSE(DecodeKey(Hex("61 00 00 00 00 00 00 00 F8 00")).ok());
}

RC_GTEST_PROP(Memcomparable, DecodesToTheSameKeyAndKeepsTheOrder, (const std::string& a, const std::string& b)) {
  RC_CLASSIFY(a.size() % 8 == 0, "length is a multiple of eight");
  RC_ASSERT(DecodeKey(EncodeKey(a)).value() == a);
  RC_ASSERT((EncodeKey(a) < EncodeKey(b)) == (a < b));
}

TEST(WriteRecord, MatchesTheGoldenVectors) {
  WriteRecord put{.type = WriteType::kPut, .start_ts = Timestamp(5), .short_value = "v"};
  EXPECT_EQ(put.Encode(), Hex("50 05 76 01 76"));
  WriteRecord rollback{.type = WriteType::kRollback, .start_ts = Timestamp(300)};
  EXPECT_EQ(rollback.Encode(), Hex("52 AC 02"));
  rollback.short_value = "p";
  EXPECT_EQ(rollback.Encode(), Hex("52 AC 02 76 01 70"));
  EXPECT_TRUE(rollback.is_protected_rollback());
  WriteRecord overlapped{.type = WriteType::kDelete,
                         .start_ts = Timestamp(5),
                         .has_overlapped_rollback = true,
                         .gc_fence = Timestamp(0)};
  EXPECT_EQ(overlapped.Encode(), Hex("44 05 52 46 00 00 00 00 00 00 00 00"));
  EXPECT_EQ(WriteRecord::Decode(overlapped.Encode()).value(), overlapped);
}

TEST(LockRecord, MatchesTheGoldenVectors) {
  LockRecord lock{.type = LockType::kPut,
                  .primary = "pk",
                  .start_ts = Timestamp(5),
                  .ttl_ms = 3000,
                  .short_value = "v",
                  .txn_size = 1,
                  .min_commit_ts = Timestamp(6)};
  const std::string head = "50 04 70 6B 05 B8 17 76 01 76 74 00 00 00 00 00 00 00 01 63 00 00 00 00 00 00 00 06";
  EXPECT_EQ(lock.Encode(), Hex(head));
  lock.use_async_commit = true;
  lock.secondaries = {"k2"};
  EXPECT_EQ(lock.Encode(), Hex(head + " 61 01 04 6B 32"));
  EXPECT_EQ(LockRecord::Decode(lock.Encode()).value(), lock);
}

TEST(MvccRecords, EveryTruncationIsRefusedOrDecodesToAShorterRecord) {
  LockRecord lock{.type = LockType::kDelete,
                  .primary = "primary",
                  .start_ts = Timestamp(77),
                  .ttl_ms = 9,
                  .for_update_ts = Timestamp(4),
                  .use_async_commit = true,
                  .secondaries = {"x", "y"},
                  .rollback_ts = {Timestamp(3)},
                  .last_change = LastChange{Timestamp(1), 2},
                  .txn_source = 3,
                  .is_locked_with_conflict = true,
                  .generation = 8};
  const Bytes whole = lock.Encode();
  EXPECT_EQ(LockRecord::Decode(whole).value(), lock);
  for (size_t length = 0; length < whole.size(); ++length) {
    auto cut = LockRecord::Decode(whole.substr(0, length));
    if (cut.ok()) {
      EXPECT_EQ(cut->Encode(), whole.substr(0, length));
    }
  }
}

RC_GTEST_PROP(MvccRecords, AnyBytesThatDecodeEncodeToTheSameBytesOrAreRefused, (const std::string& bytes)) {
  auto write = WriteRecord::Decode(bytes);
  auto lock = LockRecord::Decode(bytes);
  RC_CLASSIFY(write.ok() || lock.ok(), "decodes");
}

TEST(Digest, Crc64AndSha256MatchTheGoldenVectors) {
  EXPECT_EQ(Crc64Xz("123456789"), 0x995DC9BBDF1939FAu);
  EXPECT_EQ(Crc64Xz("1234", "56789"), 0x995DC9BBDF1939FAu);
  EXPECT_EQ(ToHex(Sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Cipher, MatchesThePublishedVectorsAndUndoesItself) {
  struct Vector {
    const char* method;
    const char* key;
    const char* encrypted;
  };
  const Bytes iv = Hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  const Bytes plain = Hex("6bc1bee22e409f96e93d7e117393172a");
  for (const Vector& vector :
       {Vector{"aes128-ctr", "2b7e151628aed2a6abf7158809cf4f3c", "874d6191b620e3261bef6864990db6ce"},
        Vector{"aes192-ctr", "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b", "1abc932417521ca24f2b0459fe7e6e0b"},
        Vector{"aes256-ctr", "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
               "601ec313775789a5b7a7f504bbf3d228"}}) {
    const Cipher cipher{ParseCipherMethod(vector.method).value(), Hex(vector.key)};
    EXPECT_EQ(ToHex(ApplyCipher(cipher, iv, plain).value()), vector.encrypted);
    const Bytes longer = plain + plain + "the last block is not full";
    EXPECT_EQ(ApplyCipher(cipher, iv, ApplyCipher(cipher, iv, longer).value()).value(), longer);
    EXPECT_FALSE(ApplyCipher(Cipher{cipher.method, "short"}, iv, plain).ok());
    EXPECT_FALSE(ApplyCipher(cipher, "short", plain).ok());
  }
  EXPECT_EQ(ApplyCipher(Cipher(), "", plain).value(), plain);
  EXPECT_FALSE(ParseCipherMethod("aes128-gcm").ok());
}

TEST(RandomStream, IsTheSameOnEveryMachine) {
  RandomStream stream(42, "test");
  const uint64_t first = stream.Next();
  RandomStream again(42, "test");
  EXPECT_EQ(again.Next(), first);
  EXPECT_NE(RandomStream(42, "other").Next(), first);
  EXPECT_EQ(RandomStream(7).Next(), 0x63cbe1e459320dd7u);
}

TEST(Utf8, TextIsToldFromOtherBytes) {
  for (const char* text : {"", "a/b", "\xc3\xb1" "and\xc3\xba", "\xe6\x97\xa5", "\xf0\x9f\x98\x80", "\xef\xbf\xbf"}) {
    EXPECT_TRUE(IsUtf8(text)) << ToHex(text);
  }
  for (const char* bytes : {"\xff", "a\xc3", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc4\xe3\xba\xc3"}) {
    EXPECT_FALSE(IsUtf8(bytes)) << ToHex(bytes);
  }
}

TEST(Xml, MarkupAndBytesBelowABlankAreEscapedAndEverythingElseStays) {
  EXPECT_EQ(XmlText("<a b=\"c\" d='e'>&"), "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;");
  EXPECT_EQ(XmlText(Bytes("\x00\x01\t\n\r\x1f", 6)), "&#0;&#1;&#9;&#10;&#13;&#31;");
  EXPECT_EQ(XmlText(" ~\x7f\xc3\xa9\xff"), " ~\x7f\xc3\xa9\xff");
  EXPECT_EQ(XmlText("]]>"), "]]&gt;");
}

}  // namespace
}  // namespace kvjury
