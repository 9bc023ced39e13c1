// Addresses: what they mean, what they hold, and that a wrong one says what was expected.
#include "harness/backup/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/backup/test_backups.h"
#include "harness/juicefs/view_diff.h"

namespace kvjury::backup {
namespace {

std::string Recorded(const std::string& scheme, const std::string& rest) { return scheme + "://" + RecordedBackupFolder(rest); }

TEST(Address, HasASchemeAPathAndPerhapsAVolume) {
  const Address plain = ParseAddress("br:///backup/a").value();
  EXPECT_EQ(plain.scheme, Scheme::kBr);
  EXPECT_EQ(plain.path, "/backup/a");
  EXPECT_FALSE(plain.volume.has_value());
  const Address named = ParseAddress("kv://keys.txt.gz#vol1").value();
  EXPECT_EQ(named.scheme, Scheme::kKv);
  EXPECT_EQ(named.path, "keys.txt.gz");
  EXPECT_EQ(named.volume, "vol1");
  const Address escaped = ParseAddress("dump:///a%23b%25.json#v%23").value();
  EXPECT_EQ(escaped.path, "/a#b%.json");
  EXPECT_EQ(escaped.volume, "v#");
}

TEST(Address, AWrongOneSaysWhatWasExpected) {
  for (const char* text : {"", "/backup", "br:/backup", "nfs:///x", "br://", "kv:///x#", "kv:///%zz", "kv:///a%2"}) {
    const Status status = ParseAddress(text).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), testing::AnyOf(testing::HasSubstr("expected"), testing::HasSubstr("two hex digits"))) << text;
  }
  for (const char* text : {"sim:x", "sim://x"}) {
    const Status status = ParseAddress(text).status();
    EXPECT_EQ(status.code(), std::string(text) == "sim:x" ? StatusCode::kInvalidArgument : StatusCode::kUnsupported) << text;
  }
}

TEST(Address, ARunningClusterHasMembersAVolumeATimestampAndCertificates) {
  const Address full = ParseAddress("tikv://pd1:2379,pd2:2380/my%40vol@470647200531087367?ca=/c/ca.pem&cert=/c/a.pem&key=/c/a%20b.pem").value();
  EXPECT_EQ(full.scheme, Scheme::kTikv);
  EXPECT_THAT(full.members, testing::ElementsAre("pd1:2379", "pd2:2380"));
  EXPECT_EQ(full.volume, "my@vol");
  EXPECT_EQ(full.cut, Timestamp(470647200531087367));
  EXPECT_EQ(full.ca + full.certificate + full.key, "/c/ca.pem/c/a.pem/c/a b.pem");
  EXPECT_EQ(full.text, "tikv://pd1:2379,pd2:2380/my%40vol@470647200531087367");
  EXPECT_EQ(ParseAddress("tikv://pd:1").value().volume, std::nullopt);
  EXPECT_EQ(ParseAddress("tikv://pd:1/#v").value().volume, "v");
  EXPECT_EQ(ParseAddress("tikv://pd:1/v").value().cut, std::nullopt);
  for (const char* rest : {"", "/vol", "pd/vol", ":1/vol", "pd:x/vol", "pd:1/vol@now", "pd:1/vol@0", "pd:1/vol@99999999999999999999",
                           "pd:1/vol?crt=x", "pd:1/vol?ca=x&cert=y", "pd:1/vol?cert=x&key=y", "pd:1/vol#other"}) {
    EXPECT_EQ(ParseAddress(std::string("tikv://") + rest).status().code(), StatusCode::kInvalidArgument) << rest;
  }
  EXPECT_EQ(OpenAddress("tikv://pd:1/v").status().code(), StatusCode::kUnsupported);
}

TEST(Address, ABackupInABucketSaysWhereAndDoesNotShowItsSecrets) {
  const Address full = ParseAddress("br+s3://bkt/some/prefix?endpoint=http://127.0.0.1:9000&region=r&access_key=AK&secret-access-key=a%23b%26c"
                                    "&session-token=t&force-path-style=false&crypter.method=aes128-ctr&crypter.key=30313233343536373839616263646566#vol1")
                           .value();
  EXPECT_EQ(full.scheme, Scheme::kBrS3);
  EXPECT_EQ(full.s3.bucket(), "bkt");
  EXPECT_EQ(full.s3.prefix(), "some/prefix");
  EXPECT_EQ(full.s3.endpoint(), "http://127.0.0.1:9000");
  EXPECT_EQ(full.s3.region() + full.s3.access_key() + full.s3.session_token(), "rAKt");
  EXPECT_EQ(full.s3.secret_access_key(), "a#b&c");
  EXPECT_FALSE(full.s3.force_path_style());
  EXPECT_TRUE(full.cipher.encrypts());
  EXPECT_EQ(full.text, "br+s3://bkt/some/prefix#vol1");
  EXPECT_EQ(ParseAddress("br+s3://bkt").value().s3.prefix(), "");
  EXPECT_TRUE(ParseAddress("br+s3://bkt").value().s3.force_path_style());
  for (const char* rest : {"", "/prefix", "bkt?bucket=x", "bkt?force-path-style=perhaps", "bkt?crypter.key=zz"}) {
    EXPECT_EQ(ParseAddress(std::string("br+s3://") + rest).status().code(), StatusCode::kInvalidArgument) << rest;
  }
  EXPECT_EQ(OpenAddress("br+s3://bkt/x").status().code(), StatusCode::kUnsupported);
}

TEST(Address, OneStoreIsReadAsOneFolder) {
  objects::MemoryObjectStore store;
  const Address address = ParseAddress("br+s3://bkt/x").value();
  EXPECT_EQ(OpenBackup(address, &store).status().code(), StatusCode::kNotFound);
}

TEST(Address, AKeyStandsBehindTheFolderAndIsNotShown) {
  const Address address = ParseAddress("br:///b?crypter.method=aes128-ctr&crypter.key=30313233343536373839616263646566#vol1").value();
  EXPECT_EQ(address.path, "/b");
  EXPECT_EQ(address.volume, "vol1");
  EXPECT_EQ(address.cipher.key, "0123456789abcdef");
  EXPECT_EQ(address.text, "br:///b#vol1");
  EXPECT_EQ(ParseAddress("br:///b%3Fc").value().path, "/b?c");
  EXPECT_EQ(ParseAddress("kv:///b?c").value().path, "/b?c") << "only a backup takes a key";
  for (const char* rest : {"crypter.method=rot13", "crypter.method=aes128-ctr", "crypter.method=aes128-ctr&crypter.key=3031",
                           "crypter.key=30313233343536373839616263646566", "crypter.method=aes128-ctr&crypter.key=secret",
                           "crypter.key-file=/none", "x=y", "crypter.key=00&crypter.key=00"}) {
    const Status status = ParseAddress(std::string("br:///b?") + rest).status();
    EXPECT_FALSE(status.ok()) << rest;
    EXPECT_THAT(status.message(), testing::Not(testing::HasSubstr("secret")));
  }
}

TEST(OpenAddress, ABackupAndTheKeyTextOfItsSourceHoldTheSamePairs) {
  const OpenedSource backup = OpenAddress(Recorded("br", "quiet")).value();
  const OpenedSource text = OpenAddress(Recorded("kv", "quiet/kv.txt.gz")).value();
  EXPECT_EQ(backup.content, OpenedSource::Content::kCluster);
  EXPECT_EQ(backup.volume_names, (std::vector<Bytes>{"vol1", "vol2"}));
  EXPECT_EQ(text.volume_names, backup.volume_names);
  const PairsDiff diff = DiffPairs(backup.pairs, text.pairs);
  EXPECT_EQ(diff.different, 0U);
  EXPECT_EQ(diff.compared, 2789U);
  EXPECT_EQ(backup.cut, Timestamp(470647757603602434));
  EXPECT_FALSE(text.cut.has_value());
  ASSERT_TRUE(backup.backup.has_value());
  EXPECT_TRUE(backup.backup->intact());
  EXPECT_THAT(backup.warnings, testing::Contains(testing::HasSubstr("no file covers")));
}

TEST(OpenAddress, OneVolumeOfABackupIsChosenByName) {
  const OpenedSource whole = OpenAddress(Recorded("br", "busy")).value();
  uint64_t compared = 0;
  for (const Bytes name : {"vol1", "vol2"}) {
    const OpenedSource one = OpenAddress(Recorded("br", "busy") + "#" + name).value();
    EXPECT_EQ(one.content, OpenedSource::Content::kVolume);
    EXPECT_EQ(one.pairs, whole.PairsOf(name));
    EXPECT_EQ(one.pairs, one.PairsOf(name));
    compared += one.pairs.size();
  }
  EXPECT_GT(compared, 3700U);
  const Status status = OpenAddress(Recorded("br", "busy") + "#vol3").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), testing::HasSubstr("vol1, vol2"));
}

TEST(OpenAddress, ADumpGivesTheViewOfItsVolume) {
  const OpenedSource dump = OpenAddress(Recorded("dump", "quiet/vol1.dump.json.gz")).value();
  const OpenedSource backup = OpenAddress(Recorded("br", "quiet#vol1")).value();
  EXPECT_EQ(dump.content, OpenedSource::Content::kViews);
  ASSERT_EQ(dump.views.size(), 1U);
  const juicefs::View view = juicefs::BuildView(juicefs::BuildImage(backup.pairs)).value();
  const juicefs::ViewDiff diff = juicefs::DiffViews(view, dump.views.begin()->second, {false, true, false});
  EXPECT_EQ(diff.entries_compared, 282U);
  EXPECT_EQ(diff.entries_only_left, 0U);
  EXPECT_EQ(diff.entries_only_right, 0U);
}

TEST(OpenAddress, WhatCannotBeOpenedNamesItself) {
  const std::vector<std::pair<std::string, StatusCode>> wrong = {
      {"br:///no/such/folder", StatusCode::kNotFound},
      {"kv:///no/such/file.txt", StatusCode::kNotFound},
      {Recorded("br", "quiet/1"), StatusCode::kNotFound},
      {Recorded("br", "raw-on-txn"), StatusCode::kUnsupported},
      {Recorded("kv", "quiet/backupmeta"), StatusCode::kDataLoss},
      {Recorded("dump", "quiet/backupmeta"), StatusCode::kDataLoss},
  };
  for (const auto& [text, code] : wrong) {
    const Status status = OpenAddress(text).status();
    EXPECT_EQ(status.code(), code) << text << ": " << status;
    EXPECT_THAT(status.message(), testing::HasSubstr(text.substr(text.find("://") + 3))) << status;
  }
}

TEST(OpenAddress, ADamagedBackupOpensWithAWarning) {
  const OpenedSource empty = OpenAddress(Recorded("br", "silently-empty")).value();
  EXPECT_TRUE(empty.pairs.empty());
  EXPECT_THAT(empty.warnings, testing::Contains(testing::HasSubstr("it holds no volume")));
}

}  // namespace
}  // namespace kvjury::backup
