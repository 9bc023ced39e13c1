// What JuiceFS 1.0 to 1.4 wrote is read, comes back byte for byte, and is judged alike; who may mount it follows the setting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/juicefs/client_version.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/test_patient.h"

namespace kvjury::juicefs {
namespace {

using testing::HasSubstr;

// Members as each version has them: 1.0 leaves TrashDays out when zero, DirStats came with 1.1, EnableACL with 1.2, Ranger with 1.3, tiers, user
// quotas and the change log with 1.4.
const std::map<std::string, std::string>& SettingsByVersion() {
  static const std::string kHead = "{\n\"Name\": \"v\",\n\"UUID\": \"1111\",\n\"Storage\": \"file\",\n";
  static const std::string kBucket = "\"Bucket\": \"/b/\",\n\"BlockSize\": 4096,\n\"Compression\": \"none\",\n";
  static const std::map<std::string, std::string> settings = {
      {"1.0", kHead + kBucket + "\"MetaVersion\": 1\n}"},
      {"1.1", kHead + kBucket + "\"EncryptAlgo\": \"aes256gcm-rsa\",\n\"TrashDays\": 1,\n\"MetaVersion\": 1,\n\"MinClientVersion\": \"1.1.0-A\",\n\"DirStats\": true\n}"},
      {"1.2", kHead + kBucket + "\"EncryptAlgo\": \"aes256gcm-rsa\",\n\"TrashDays\": 0,\n\"MetaVersion\": 1,\n\"MinClientVersion\": \"1.2.0-A\",\n\"DirStats\": true,\n"
                                "\"EnableACL\": true\n}"},
      {"1.3", kHead + kBucket + "\"EncryptAlgo\": \"aes256gcm-rsa\",\n\"TrashDays\": 1,\n\"MetaVersion\": 1,\n\"MinClientVersion\": \"1.3.0-A\",\n"
                                "\"MaxClientVersion\": \"1.4.0\",\n\"DirStats\": true,\n\"EnableACL\": false,\n\"RangerRestUrl\": \"http://r\",\n\"RangerService\": \"s\"\n}"},
      {"1.4", kHead + "\"Tiers\": {\n\"0\": {\n\"ID\": 0,\n\"StorageClass\": \"\",\n\"Tag\": \"\"\n}\n},\n" + kBucket +
                  "\"EncryptAlgo\": \"aes256gcm-rsa\",\n\"TrashDays\": 1,\n\"MetaVersion\": 1,\n\"MinClientVersion\": \"1.4.0-A\",\n\"DirStats\": true,\n"
                  "\"UserGroupQuota\": true,\n\"EnableACL\": false,\n\"ChangeLog\": true,\n\"ChangeLogMaxAge\": 7200,\n\"KerbConf\": \"k\"\n}"}};
  return settings;
}

TEST(FormatVersions, SettingsOfEachVersionComeBackByteForByteAndAbsentFieldsAreZero) {
  for (const auto& [version, text] : SettingsByVersion()) {
    const Result<Setting> setting = DecodeSetting(text);
    ASSERT_TRUE(setting.ok()) << version << " " << setting.error();
    EXPECT_EQ(EncodeSetting(*setting), text) << version;
    if (version != "1.0") {
      EXPECT_EQ(EncodeFormat(setting->format), text) << version;
    }
    EXPECT_EQ(setting->format.meta_version, 1) << version;
    EXPECT_EQ(setting->format.dir_stats, version != "1.0") << version;
    EXPECT_EQ(setting->format.enable_acl_present, version >= "1.2") << version;
    EXPECT_EQ(setting->format.tiers_present, version == "1.4") << version;
    EXPECT_EQ(setting->format.trash_days, version == "1.0" || version == "1.2" ? 0 : 1) << version;
  }
  // Newer clients that change a setting of 1.0 write TrashDays, too.
  Setting changed = DecodeSetting(SettingsByVersion().at("1.0")).value();
  changed.format.trash_days = 2;
  EXPECT_THAT(EncodeSetting(changed), HasSubstr("\"TrashDays\": 2,\n\"MetaVersion\": 1\n}"));
}

TEST(FormatVersions, SessionsOfEachVersionAreReadAndThoseOfBeforeOneZeroCountAsSessions) {
  const std::map<std::string, Bytes> infos = {
      {"1.0", R"({"Version":"1.0.0","HostName":"h","MountPoint":"/m","ProcessID":7})"},
      {"1.1", R"({"Version":"1.1.0","HostName":"h","IPAddrs":["10.0.0.1"],"MountPoint":"/m","ProcessID":7})"},
      {"1.4", R"({"Version":"1.4.2","HostName":"h","MountPoint":"/m","MountTime":"2026-11-22T18:58:44.409243964Z","ProcessID":7})"}};
  for (const auto& [version, text] : infos) {
    const Key key = SessionKey(KeyKind::kSessionInfo, 1);
    const Result<RecordValue> decoded = DecodeValue(key, text);
    ASSERT_TRUE(decoded.ok()) << version;
    EXPECT_EQ(EncodeValue(key, *decoded), text) << version;
  }
  const Key beat = SessionKey(KeyKind::kSessionHeartbeat, 1);
  const Result<RecordValue> decoded = DecodeValue(beat, Hex("000000006b0309ff"));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, RecordValue(int64_t{0x6b0309ff}));
  EXPECT_EQ(ToHex(EncodeValue(beat, *decoded)), "000000006b0309ff");
  EXPECT_FALSE(DecodeValue(beat, Hex("6b0309ff")).ok());

  // An old client has a heartbeat in place of the time at which its session ends.
  Patient old(RealVolume("crashed"));
  const uint64_t session = old.image().sustained.begin()->first;
  old.Remove(SessionKey(KeyKind::kSessionExpiry, session));
  old.Put(SessionKey(KeyKind::kSessionHeartbeat, session), int64_t{0x6b0309ff});
  for (const InvariantResult& result : CheckInvariants(BuildImage(old.pairs()))) {
    EXPECT_EQ(result.Violations(), 0u) << result.name;
  }
}

TEST(FormatVersions, AVolumeWithTheInodesOfAllVersionsIsSoundAndAnAncientInodeIsAWrongForm) {
  // 73, 80 and 81 bytes beside the 72 of the others.
  Patient mixed(RealVolume("busy"));
  std::vector<Inode> files;
  for (const auto& [inode, attr] : mixed.image().inodes) {
    if (attr.type == kTypeFile && files.size() < 3) {
      files.push_back(inode);
    }
  }
  ASSERT_EQ(files.size(), 3u);
  mixed.Put(AclRuleKey(1), AclRule{6, 4, 4, 0, {{1001, 6}}, {}});
  mixed.Put(CounterKey("aclMaxId"), int64_t{1});
  mixed.ChangeAttr(files[0], [](Attr* attr) { attr->tier = 2; });
  mixed.ChangeAttr(files[1], [](Attr* attr) { attr->access_acl = 1; });
  mixed.ChangeAttr(files[2], [](Attr* attr) { attr->access_acl = 1, attr->tier = 1; });
  std::set<size_t> sizes;
  for (const Inode inode : files) {
    sizes.insert(mixed.pairs().at(EncodeKey(AttrKey(inode))).size());
  }
  EXPECT_THAT(sizes, testing::ElementsAre(73u, 80u, 81u));
  for (const InvariantResult& result : CheckInvariants(BuildImage(mixed.pairs()))) {
    EXPECT_TRUE(result.issues.empty()) << result.name;
  }
  // An older client that writes the inode again drops tier and ACL: 72 bytes, sound as before.
  mixed.ChangeAttr(files[2], [](Attr* attr) { attr->access_acl = 0, attr->tier = 0; });
  EXPECT_EQ(mixed.pairs().at(EncodeKey(AttrKey(files[2]))).size(), 72u);

  const Key key = AttrKey(files[0]);
  mixed.PutBytes(key, mixed.pairs().at(EncodeKey(key)).substr(0, 64));  // of ancient clients: no parent
  const VolumeImage ancient = BuildImage(mixed.pairs());
  EXPECT_TRUE(ancient.problems.empty());
  EXPECT_FALSE(ancient.inodes.at(files[0]).parent.valid());
}

TEST(FormatVersions, ClientsAreComparedAsJuiceFsDoes) {
  const auto compare = [](const char* a, const char* b) {
    return CompareClientVersions(ParseClientVersion(a).value(), ParseClientVersion(b).value());
  };
  EXPECT_LT(compare("1.1.0-A", "1.1.0-beta1"), 0) << "pre-releases are compared as text";
  EXPECT_LT(compare("1.1.0-beta1", "1.1.0"), 0) << "a release is above its pre-releases";
  EXPECT_LT(compare("1.9.0", "1.10.0"), 0);
  EXPECT_EQ(compare("1.4.2+2026-10-26.pypi", "1.4.2"), 0);
  EXPECT_EQ(compare("1", "1.0.0"), 0);
  for (const char* text : {"", "x", "1.x", "1.2.3.4", "-A", "1..2"}) {
    EXPECT_FALSE(ParseClientVersion(text).ok()) << text;
  }
}

TEST(FormatVersions, WhoMayMountFollowsTheSetting) {
  const auto may = [](const std::string& version, const std::string& client) {
    return CheckMayMount(DecodeSetting(SettingsByVersion().at(version))->format, ParseClientVersion(client).value());
  };
  EXPECT_TRUE(may("1.0", "0.9.0").ok());
  EXPECT_TRUE(may("1.1", "1.1.0-beta1").ok());
  EXPECT_THAT(may("1.2", "1.1.5").message(), HasSubstr("older than MinClientVersion 1.2.0-A"));
  EXPECT_TRUE(may("1.3", "1.4.0").ok());
  EXPECT_THAT(may("1.3", "1.4.1").message(), HasSubstr("newer than MaxClientVersion 1.4.0"));

  const auto violations = [](const std::function<void(Format*)>& change) {
    Patient patient(RealVolume("rich"));
    Setting setting = *patient.image().setting;
    change(&setting.format);
    patient.Put(SettingKey(), setting);
    const std::vector<InvariantResult> results = CheckInvariants(BuildImage(patient.pairs()));
    EXPECT_EQ(results[0].name, kInvariantSetting);
    return results[0].issues.empty() ? std::string() : results[0].issues[0].ToString();
  };
  EXPECT_EQ(violations([](Format*) {}), "");
  EXPECT_THAT(violations([](Format* format) { format->meta_version = 2; }), HasSubstr("no client mounts it: "));
  EXPECT_THAT(violations([](Format* format) { format->min_client_version = "new"; }), HasSubstr("is no version"));
  EXPECT_THAT(violations([](Format* format) { format->max_client_version = "1.1.0"; }), HasSubstr("newer than MaxClientVersion"));
}

}  // namespace
}  // namespace kvjury::juicefs
