// Golden bytes of keys and values, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "harness/juicefs/record.h"
#include "harness/juicefs/test_volumes.h"

namespace kvjury::juicefs {
namespace {

const Inode kFirstHour{kTrashInode.value() + 1};

struct GoldenKey {
  Key key;
  std::string hex;
  std::string description;
};

const std::vector<GoldenKey>& GoldenKeys() {
  static const std::vector<GoldenKey> keys = {
      {SettingKey(), "73657474696e67", "setting"},
      {CounterKey("nextInode"), "43 6e657874496e6f6465", "counter nextInode"},
      {AttrKey(kRootInode), "41 0100000000000000 49", "I(1)"},
      {AttrKey(kTrashInode), "41 00000010ffffff7f 49", "I(T)"},
      {DentryKey(kRootInode, "d1"), "41 0100000000000000 44 6431", "D(1,\"d1\")"},
      {DentryKey(kTrashInode, "2026-11-22-15"), "41 00000010ffffff7f 44 323032362d31312d32322d3135",
       "D(T,\"2026-11-22-15\")"},
      {ChunkKey(Inode(3), 0), "41 0300000000000000 43 00000000", "C(3,0)"},
      {ChunkKey(Inode(3), 3), "41 0300000000000000 43 00000003", "C(3,3)"},
      {LinkCountKey(Inode(3), kFirstHour), "41 0300000000000000 50 01000010ffffff7f", "P(3,T+1)"},
      {XattrKey(Inode(3), "user.k"), "41 0300000000000000 58 757365722e6b", "X(3,\"user.k\")"},
      {SymlinkKey(Inode(4)), "41 0400000000000000 53", "S(4)"},
      {SliceReferencesKey(1, 8192), "4b 0000000000000001 00002000", "K(1,8192)"},
      {DelayedSlicesKey(0x6b030a3c, 7), "4c 000000006b030a3c 0000000000000007", "L(1795361340,7)"},
      {DeletedFileKey(Inode(23), 0), "44 1700000000000000 0000000000000000", "del(23,0)"},
      {SessionKey(KeyKind::kSessionExpiry, 1), "5345 0000000000000001", "SE(1)"},
      {SessionKey(KeyKind::kSessionInfo, 1), "5349 0000000000000001", "SI(1)"},
      {SessionKey(KeyKind::kSessionHeartbeat, 1), "5348 0000000000000001", "SH(1)"},
      {SustainedKey(1, Inode(0x188)), "5353 0000000000000001 8801000000000000", "SS(1,392)"},
      {DirStatKey(kRootInode), "55 0100000000000000", "U(1)"},
      {DirStatKey(kFirstHour), "55 01000010ffffff7f", "U(T+1)"},
      {DetachedKey(Inode(9)), "4e 0900000000000000", "N(9)"},
      {DirQuotaKey(Inode(2)), "5144 0200000000000000", "QD(2)"},
      {UserQuotaKey(501), "5155 00000000000001f5", "QU(501)"},
      {GroupQuotaKey(20), "5147 0000000000000014", "QG(20)"},
      {AclRuleKey(1), "52 00000001", "R(1)"},
      {FlocksKey(Inode(3)), "46 0300000000000000", "F(3)"},
      {PlocksKey(Inode(3)), "50 0300000000000000", "plocks(3)"},
      {DelegationTokenKey(5), "584b44 00000005", "XKD(5)"},
      {ChangelogKey(63, 0x0102), "584c4f47 3f 0000000000000102", "XLOG(63,258)"},
  };
  return keys;
}

TEST(Keys, GoldenBytesOfEveryKind) {
  std::set<KeyKind> kinds;
  for (const GoldenKey& golden : GoldenKeys()) {
    EXPECT_EQ(ToHex(EncodeKey(golden.key)), ToHex(Hex(golden.hex))) << golden.description;
    const Result<Key> parsed = ParseKey(Hex(golden.hex));
    ASSERT_TRUE(parsed.ok()) << golden.description << parsed.error();
    EXPECT_EQ(*parsed, golden.key) << golden.description;
    EXPECT_EQ(DescribeKey(Hex(golden.hex)), golden.description);
    kinds.insert(golden.key.kind);
  }
  EXPECT_EQ(kinds.size(), kKeyKindCount);
}

TEST(Keys, WrongFormsAreRefusedAndUnknownKindsToldApart) {
  size_t refused = 0;
  for (const GoldenKey& golden : GoldenKeys()) {
    const Bytes bytes = Hex(golden.hex);
    const bool open_ended = golden.key.kind == KeyKind::kCounter || golden.key.kind == KeyKind::kDentry ||
                            golden.key.kind == KeyKind::kXattr;
    if (!open_ended) {
      const Result<Key> longer = ParseKey(bytes + "x");
      ASSERT_FALSE(longer.ok()) << golden.description;
      refused += 1;
    }
    for (size_t size = 1; size < bytes.size(); ++size) {
      const Result<Key> shorter = ParseKey(std::string_view(bytes).substr(0, size));
      if (shorter.ok()) {
        ASSERT_TRUE(open_ended || shorter->kind != golden.key.kind) << golden.description << " at " << size;
        continue;
      }
      ++refused;
    }
  }
  EXPECT_GT(refused, 250u);
  EXPECT_EQ(ParseKey("Zebra").error().code(), StatusCode::kUnsupported);
  EXPECT_EQ(ParseKey("").error().code(), StatusCode::kUnsupported);
  EXPECT_EQ(ParseKey("Kshort").error().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ParseKey(EncodeKey(DentryKey(Inode(1), "a/b"))).error().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ParseKey(EncodeKey(DentryKey(Inode(1), Bytes(256, 'n')))).error().code(), StatusCode::kDataLoss);
  EXPECT_EQ(DescribeKey("Zebra"), "unknown key 0x5a65627261");
}

template <class T>
void ExpectGolden(const Key& key, const std::string& hex, const T& value) {
  const Bytes bytes = Hex(hex);
  EXPECT_EQ(ToHex(EncodeValue(key, RecordValue(value))), ToHex(bytes)) << key;
  const Result<RecordValue> decoded = DecodeValue(key, bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error();
  EXPECT_EQ(*decoded, RecordValue(value)) << key;
}

TEST(Values, GoldenNumbers) {
  ExpectGolden(CounterKey("nextInode"), "0200000000000000", int64_t{2});
  ExpectGolden(CounterKey("nextInode"), "0204000000000000", int64_t{1026});
  ExpectGolden(CounterKey("nextChunk"), "0110000000000000", int64_t{4097});
  ExpectGolden(CounterKey("lastCleanupFiles"), "000000006ce43d7f", int64_t{0x6ce43d7f});
  ExpectGolden(CounterKey("usedSpace"), "00e0000000000000", int64_t{57344});
  ExpectGolden(SessionKey(KeyKind::kSessionExpiry, 1), "000000006ce43d7f", int64_t{0x6ce43d7f});
  ExpectGolden(SliceReferencesKey(1, 8192), "0200000000000000", int64_t{2});
  ExpectGolden(SliceReferencesKey(1, 8192), "ffffffffffffffff", int64_t{-1});
}

TEST(Values, GoldenEntriesSlicesAndLocks) {
  ExpectGolden(DentryKey(Inode(1), "d"), "02 0000000000000002", Dentry{2, Inode(2)});
  ExpectGolden(DentryKey(Inode(1), "f"), "01 0000000000000003", Dentry{1, Inode(3)});
  ExpectGolden(DentryKey(kTrashInode, "h"), "02 7fffffff10000001", Dentry{2, kFirstHour});
  ExpectGolden(ChunkKey(Inode(3), 0), "00000000 0000000000000001 00002000 00000000 00002000",
               std::vector<SliceRecord>{{0, 1, 8192, 0, 8192}});
  ExpectGolden(ChunkKey(Inode(3), 0),
               "00001000 0000000000000002 00002000 00000000 00002000"
               "00001388 0000000000000000 00000000 00000000 00001c78",
               std::vector<SliceRecord>{{4096, 2, 8192, 0, 8192}, {5000, 0, 0, 0, 7288}});
  ExpectGolden(DelayedSlicesKey(1, 7), "0000000000000001 00002000", std::vector<SliceName>{{1, 8192}});
  ExpectGolden(FlocksKey(Inode(3)), "0000000000000001 0000000000000abc 57", std::vector<Flock>{{1, 0xabc, 'W'}});
  ExpectGolden(PlocksKey(Inode(3)),
               "0000000000000001 0000000000000abc 00000018 00000001 00001092 0000000000000000 0000000000000063",
               std::vector<Plock>{{1, 0xabc, {{1, 4242, 0, 99}}}});
  ExpectGolden(SustainedKey(1, Inode(2)), "01", Bytes("\x01"));
}

TEST(Values, GoldenStatisticsQuotasAndRules) {
  ExpectGolden(DirStatKey(Inode(1)), "0000000000002710 0000000000003000 0000000000000001", DirStat{10000, 12288, 1});
  ExpectGolden(DirQuotaKey(Inode(2)), "0000000040000000 00000000000003e8 0000000000003000 0000000000000001",
               Quota{1 << 30, 1000, 12288, 1});
  ExpectGolden(UserQuotaKey(1), "ffffffffffffffff ffffffffffffffff 0000000000008000 0000000000000002",
               Quota{-1, -1, 32768, 2});
  ExpectGolden(AclRuleKey(1), "0007 0005 0005 0001 00000001 000003e9 0006 00000000",
               AclRule{7, 5, 5, 1, {{1001, 6}}, {}});
}

TEST(Values, WrongLengthsAreDataLossWithTheKeyInWords) {
  const std::vector<std::pair<Key, std::string>> wrong = {
      {DentryKey(Inode(1), "a"), "01 00000000000003"},
      {ChunkKey(Inode(1), 0), ""},
      {ChunkKey(Inode(1), 0), "00"},
      {CounterKey("nextInode"), "02"},
      {FlocksKey(Inode(1)), "0000000000000001 0000000000000abc"},
      {FlocksKey(Inode(1)), "0000000000000001 0000000000000abc 58"},
      {PlocksKey(Inode(1)), "0000000000000001 0000000000000abc 00000018"},
      {PlocksKey(Inode(1)), "0000000000000001 0000000000000abc 00000001 00"},
      {AclRuleKey(1), "0007 0005 0005 0001 ffffffff 000003e9 0006 00000000"},
      {AclRuleKey(1), "0007 0005 0005 0001 00000000 00000000 00"},
      {SustainedKey(1, Inode(2)), "02"},
      {DirStatKey(Inode(1)), "00"},
      {DirQuotaKey(Inode(1)), "00"},
      {AttrKey(Inode(1)), "00"},
      {DelayedSlicesKey(1, 1), "00"},
      {SettingKey(), "5b5d"},
  };
  for (const auto& [key, hex] : wrong) {
    const Result<RecordValue> decoded = DecodeValue(key, Hex(hex));
    ASSERT_FALSE(decoded.ok()) << key;
    EXPECT_EQ(decoded.error().code(), StatusCode::kDataLoss) << key;
    EXPECT_THAT(decoded.error().message(), testing::StartsWith(DescribeKey(key)));
  }
}

Attr RootAttr() {
  Attr attr;
  attr.type = kTypeDirectory;
  attr.mode = 0777;
  attr.atime_s = attr.mtime_s = attr.ctime_s = 0x6b0309ff;
  attr.nlink = 2;
  attr.length = 4096;
  attr.parent = kRootInode;
  return attr;
}

constexpr char kRootHex[] =
    "00 21ff 00000000 00000000 000000006b0309ff 00000000 000000006b0309ff 00000000 000000006b0309ff 00000000 00000002"
    "0000000000001000 00000000 0000000000000001 ";

TEST(Attrs, GoldenFourShapes) {
  Attr attr = RootAttr();
  ExpectGolden(AttrKey(kRootInode), std::string(kRootHex) + "00", attr);
  attr.tier = 2;
  ExpectGolden(AttrKey(kRootInode), std::string(kRootHex) + "02 00", attr);
  attr.tier = 0;
  attr.access_acl = 1;
  ExpectGolden(AttrKey(kRootInode), std::string(kRootHex) + "00000001 00000000 00", attr);
  attr.tier = 2;
  ExpectGolden(AttrKey(kRootInode), std::string(kRootHex) + "00000001 00000000 02 00", attr);
}

TEST(Attrs, GoldenFileWithTierAndWithoutParent) {
  Attr attr;
  attr.type = kTypeFile;
  attr.mode = 0644;
  attr.uid = 501;
  attr.gid = 20;
  attr.atime_s = attr.mtime_s = 0x60c86832;
  attr.ctime_s = 0x60c8684f;
  attr.atime_ns = attr.mtime_ns = attr.ctime_ns = 0x2342f3bd;
  attr.nlink = 2;
  attr.length = 12;
  attr.tier = 1;
  ExpectGolden(AttrKey(Inode(9)),
               "00 11a4 000001f5 00000014 0000000060c86832 2342f3bd 0000000060c86832 2342f3bd 0000000060c8684f 2342f3bd"
               "00000002 000000000000000c 00000000 0000000000000000 01 00",
               attr);
}

TEST(Attrs, AncientAndPaddedFormsDecodeAndComeBackByteForByte) {
  const Bytes full = Hex(std::string(kRootHex) + "00000001 00000002 07 00");
  for (size_t size = 63; size <= full.size(); ++size) {
    const Bytes value = full.substr(0, size);
    const Result<Attr> attr = DecodeAttr(value);
    ASSERT_TRUE(attr.ok()) << size;
    EXPECT_EQ(ToHex(EncodeAttr(*attr)), ToHex(value)) << size;
    EXPECT_EQ(attr->parent, size >= 71 ? kRootInode : Inode(0)) << size;
    EXPECT_EQ(attr->default_acl, size >= 79 ? 2u : 0u) << size;
  }
  EXPECT_FALSE(DecodeAttr(full.substr(0, 62)).ok());
  const Bytes odd_pad = Hex(std::string(kRootHex) + "02 09");
  EXPECT_EQ(DecodeAttr(odd_pad)->tier, 2);
  EXPECT_TRUE(DecodeAttr(odd_pad)->odd_form.has_value());
  EXPECT_EQ(EncodeAttr(*DecodeAttr(odd_pad)), odd_pad);
}

constexpr char kExampleSetting[] =
    "{\n\"Name\": \"myjfs\",\n\"UUID\": \"1111\",\n\"Storage\": \"file\",\n\"Tiers\": {\n\"0\": {\n\"ID\": 0,\n"
    "\"StorageClass\": \"\",\n\"Tag\": \"\"\n}\n},\n\"Bucket\": \"/var/jfs/\",\n\"BlockSize\": 4096,\n"
    "\"Compression\": \"none\",\n\"EncryptAlgo\": \"aes256gcm-rsa\",\n\"TrashDays\": 1,\n\"MetaVersion\": 1,\n"
    "\"MinClientVersion\": \"1.1.0-A\",\n\"DirStats\": true,\n\"EnableACL\": true\n}";

TEST(Format, ExampleIsWrittenAgainByteForByte) {
  const Result<Setting> setting = DecodeSetting(kExampleSetting);
  ASSERT_TRUE(setting.ok()) << setting.error();
  EXPECT_EQ(setting->format.name, "myjfs");
  EXPECT_EQ(setting->format.block_size_kib, 4096);
  EXPECT_EQ(setting->format.trash_days, 1);
  EXPECT_TRUE(setting->format.enable_acl);
  EXPECT_EQ(EncodeFormat(setting->format), kExampleSetting);
}

TEST(Format, UnknownMembersAndOtherCaseSurviveUntilAFieldChanges) {
  const std::string text = "{\"name\":\"a<b\", \"Future\": [1, {}], \"CAPACITY\": 18446744073709551615, \"Shards\": null}";
  Setting setting = DecodeSetting(text).value();
  EXPECT_EQ(setting.format.name, "a<b");
  EXPECT_EQ(setting.format.capacity_bytes, UINT64_MAX);
  EXPECT_EQ(EncodeSetting(setting), text);
  setting.format.shards = 3;
  EXPECT_EQ(EncodeSetting(setting),
            "{\n\"Name\": \"a\\u003cb\",\n\"UUID\": \"\",\n\"Storage\": \"\",\n\"Bucket\": \"\",\n\"BlockSize\": 0,\n"
            "\"Shards\": 3,\n\"Capacity\": 18446744073709551615,\n\"TrashDays\": 0\n}");
}

TEST(Format, WrongTypesNameTheMember) {
  EXPECT_THAT(DecodeSetting("{\"BlockSize\": \"4\"}").error().message(), testing::HasSubstr("BlockSize"));
  EXPECT_THAT(DecodeSetting("{\"Tiers\": {\"0\": 1}}").error().message(), testing::HasSubstr("Tiers.0"));
  EXPECT_FALSE(DecodeSetting("{\"TrashDays\": 1.5}").ok());
  EXPECT_FALSE(DecodeSetting("{").ok());
  EXPECT_FALSE(DecodeSetting("").ok());
}

TEST(Format, CredentialsAreLeftOutAndNothingElseIsTouched) {
  Format format = DecodeSetting(kExampleSetting)->format;
  format.secret_key = "c2VjcmV0";
  format.encrypt_key = "a2V5";
  format.access_key = "AKIA";
  const Bytes without = SettingWithoutCredentials(EncodeFormat(format)).value();
  EXPECT_THAT(without, testing::Not(testing::HasSubstr("c2VjcmV0")));
  EXPECT_THAT(without, testing::Not(testing::HasSubstr("a2V5")));
  EXPECT_THAT(without, testing::Not(testing::HasSubstr("AKIA")));
  EXPECT_EQ(SettingWithoutCredentials(kExampleSetting).value(), kExampleSetting);
  EXPECT_FALSE(SettingWithoutCredentials("{").ok());
}

TEST(Volumes, AreFoundByTheirSettingKeysAndSplitWithoutLoss) {
  KeyValues pairs;
  for (const char* name : {"a", "ab", ""}) {
    pairs[VolumePrefix(name) + "setting"] = "{}";
    pairs[VolumePrefix(name) + EncodeKey(AttrKey(kRootInode))] = name;
  }
  pairs[VolumePrefix("gone") + EncodeKey(AttrKey(kRootInode))] = "no setting";
  pairs["other"] = "application";
  // A file whose name ends like a setting key is not a volume.
  pairs[VolumePrefix("a") + EncodeKey(DentryKey(kRootInode, "x\xFDsetting"))] = "trap";
  EXPECT_THAT(FindVolumes(pairs), testing::ElementsAre("", "a", "ab"));
  EXPECT_EQ(SelectVolume(pairs, "a").size(), 3u);
  EXPECT_EQ(SelectVolume(pairs, "ab").at("setting"), "{}");
  const VolumeSplit split = SplitVolumes(pairs);
  ASSERT_EQ(split.volumes.size(), 3u);
  size_t count = split.remainder.size();
  for (const VolumePairs& volume : split.volumes) {
    EXPECT_TRUE(volume.prefixed);
    count += volume.pairs.size();
  }
  EXPECT_EQ(count, pairs.size());
  EXPECT_EQ(split.remainder.size(), 2u);
  EXPECT_FALSE(SplitVolumes(split.volumes[1].pairs).volumes.at(0).prefixed);
}

}  // namespace
}  // namespace kvjury::juicefs
