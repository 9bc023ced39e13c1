// The reader against real backups: every rule holds, the pairs are exactly those the source had, the views those that real
// mounts showed. Then planted damage: each kind is found by the rule that is meant for it and by no other.
#include "harness/backup/backup_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <set>

#include "fakes/base/digest.h"
#include "fakes/base/memcomparable.h"
#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/sst_file.h"
#include "harness/backup/test_backups.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/view_json.h"

namespace kvjury::backup {
namespace {

using objects::MemoryObjectStore;

std::string Describe(const BackupContents& contents) {
  std::string text;
  for (const record::Finding& finding : contents.findings) {
    text += finding.kind() + ": " + finding.file() + ": " + finding.message() + "\n";
  }
  return text;
}

struct Expected {
  std::string name;
  uint64_t files;
  uint64_t pairs;
};

class RealBackup : public testing::TestWithParam<Expected> {};

TEST_P(RealBackup, KeepsEveryRuleAndHoldsExactlyTheSourcesPairs) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup(GetParam().name);
  Result<BackupContents> contents = ReadBackup(store.get());
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_TRUE(contents->intact()) << Describe(*contents);
  EXPECT_EQ(contents->files_read, GetParam().files);
  for (const Rule rule : {Rule::kOneTimestamp, Rule::kFileExists, Rule::kFileLength, Rule::kFileSha256, Rule::kSstIntact,
                          Rule::kContentSums}) {
    EXPECT_EQ(contents->ResultOf(rule).counted, GetParam().files) << RuleName(rule);
  }
  EXPECT_EQ(contents->ResultOf(Rule::kMetaParses).counted, 1U);
  EXPECT_GT(contents->ResultOf(Rule::kRangesDisjoint).counted, 0U);
  EXPECT_EQ(contents->ResultOf(Rule::kCommitTimestamps).counted, GetParam().pairs);
  EXPECT_GE(contents->ResultOf(Rule::kRecordsDecode).counted, GetParam().pairs);
  EXPECT_EQ(contents->ResultOf(Rule::kKeysInRange).counted, contents->ResultOf(Rule::kRecordsDecode).counted);
  EXPECT_GT(contents->ResultOf(Rule::kLongValues).counted, 0U);

  const PairsDiff diff = DiffPairs(contents->pairs, RecordedTruth(GetParam().name));
  EXPECT_EQ(diff.different, 0U) << "first at " << ToHex(diff.first_key);
  EXPECT_EQ(diff.compared, GetParam().pairs);
  EXPECT_EQ(contents->versions.size(), contents->pairs.size());
}

INSTANTIATE_TEST_SUITE_P(All, RealBackup,
                         testing::Values(Expected{"quiet", 4, 2789}, Expected{"busy", 5, 3788}, Expected{"lz4", 8, 6185},
                                         Expected{"edge-keys", 3, 27}),
                         [](const auto& test) { return test.param.name == "edge-keys" ? "edge_keys" : test.param.name; });

class RealBackupView : public testing::TestWithParam<std::pair<std::string, std::string>> {};

TEST_P(RealBackupView, ShowsWhatTheRealMountShowed) {
  const auto& [name, volume] = GetParam();
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup(name);
  const BackupContents contents = ReadBackup(store.get()).value();
  const juicefs::View computed =
      juicefs::BuildView(juicefs::BuildImage(juicefs::SelectVolume(contents.pairs, volume))).value();
  uint64_t walks = 0;
  for (const char* kind : {".mount.jsonl.gz", ".restored-mount.jsonl.gz"}) {
    const std::string file = volume + kind;
    if (!store->Head(file).ok()) {
      continue;
    }
    const juicefs::View mounted = juicefs::ParseViewJson(file, ReadRecordedFile(name, file)).value();
    const juicefs::ViewDiff diff = juicefs::DiffViews(mounted, computed, {false, false, true});
    for (const juicefs::ViewDifference& difference : diff.differences) {
      ADD_FAILURE() << file << ": " << difference.ToString();
    }
    EXPECT_GT(diff.entries_compared, 250U);
    EXPECT_GT(diff.fields_compared, 10 * diff.entries_compared);
    ++walks;
  }
  EXPECT_EQ(walks, name == "quiet" ? 2U : 1U);
}

INSTANTIATE_TEST_SUITE_P(All, RealBackupView,
                         testing::Values(std::pair("quiet", "vol1"), std::pair("quiet", "vol2"), std::pair("busy", "vol1"),
                                         std::pair("busy", "vol2")),
                         [](const auto& test) { return test.param.first + "_" + test.param.second; });

TEST(BackupReader, TheSilentlyEmptyBackupHoldsNothingAndProvesNothing) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup("silently-empty");
  const BackupContents contents = ReadBackup(store.get()).value();
  EXPECT_TRUE(contents.intact());
  EXPECT_TRUE(contents.pairs.empty());
  EXPECT_EQ(contents.files_read, 0U);
  EXPECT_EQ(contents.unproven, (std::vector<KeyRange>{{"", ""}}));
}

TEST(BackupReader, GapsBetweenRangesAreUnprovenAndNoDamage) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup("quiet");
  const BackupContents contents = ReadBackup(store.get()).value();
  const std::vector<KeyRange> gaps = {{"", Bytes("r\0\0\x01", 4)}, {Bytes("x\0\0\0", 4), ""}};
  EXPECT_EQ(contents.unproven, gaps);
}

TEST(BackupReader, RecordedRollbackFlagsAndFencesAreKept) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup("edge-keys");
  const BackupContents contents = ReadBackup(store.get()).value();
  uint64_t flagged = 0;
  for (const auto& [key, version] : contents.versions) {
    flagged += version.has_overlapped_rollback ? 1 : 0;
  }
  EXPECT_GT(flagged, 0U);
}

// ---- what is refused ----

TEST(BackupReader, RawBackupsAreRefusedInOneSentence) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup("raw-on-txn");
  const Status status = ReadBackup(store.get()).status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), testing::HasSubstr("raw backup"));
}

Bytes AesCounterMode(std::string_view key, std::string_view iv, std::string_view plain) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  CHECK(context != nullptr);
  Bytes out(plain.size(), '\0');
  int written = 0;
  CHECK_EQ(EVP_EncryptInit_ex(context, EVP_aes_128_ctr(), nullptr, reinterpret_cast<const unsigned char*>(key.data()),
                              reinterpret_cast<const unsigned char*>(iv.data())),
           1);
  CHECK_EQ(EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(out.data()), &written,
                             reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size())),
           1);
  EVP_CIPHER_CTX_free(context);
  return out;
}

TEST(BackupReader, EncryptedBackupsAreNamedAsSuch) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup("quiet");
  const Bytes plain = store->Get(kBackupMetaName).value();
  for (char i = 0; i < 20; ++i) {
    Bytes iv;
    for (char j = 0; j < 16; ++j) {
      iv.push_back(static_cast<char>(i * 37 + j * 101));
    }
    ASSERT_TRUE(store->Put(kBackupMetaName, iv + AesCounterMode("0123456789abcdef", iv, plain)).ok());
    const Status status = ReadBackup(store.get()).status();
    EXPECT_EQ(status.code(), StatusCode::kUnsupported) << status;
    EXPECT_THAT(status.message(), testing::HasSubstr("encrypted"));
  }
}

TEST(BackupReader, ReadsAnEncryptedBackupWithItsKeyAndNoOther) {
  const std::unique_ptr<MemoryObjectStore> plain = LoadRecordedBackup("quiet");
  const BackupContents expected = ReadBackup(plain.get()).value();
  const Cipher cipher{CipherMethod::kAes256Ctr, Bytes(32, 'k')};
  MemoryObjectStore store;
  BackupMeta meta = expected.meta;
  for (File& file : *meta.mutable_files()) {
    const Bytes encrypted = ApplyCipher(cipher, file.cipher_iv(), plain->Get(file.name()).value()).value();
    file.set_sha256(Sha256(encrypted));
    ASSERT_TRUE(store.Put(file.name(), encrypted).ok());
  }
  const Bytes iv(16, 'i');
  ASSERT_TRUE(store.Put(kBackupMetaName, iv + ApplyCipher(cipher, iv, SerializeBackupMeta(meta)).value()).ok());
  BackupReadOptions options;
  options.cipher = cipher;
  const BackupContents contents = ReadBackup(&store, options).value();
  EXPECT_TRUE(contents.intact());
  EXPECT_EQ(contents.pairs, expected.pairs);
  EXPECT_EQ(contents.pairs.size(), 2789U);
  options.cipher.key = Bytes(32, 'x');
  EXPECT_EQ(ReadBackup(&store, options).status().code(), StatusCode::kInvalidArgument);
  options.cipher.key = "short";
  EXPECT_EQ(ReadBackup(&store, options).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadBackup(plain.get(), options).status().code(), StatusCode::kInvalidArgument);
}

TEST(BackupReader, ATruncatedMetaIsDamageAndAMissingOneIsNotFound) {
  const std::unique_ptr<MemoryObjectStore> store = LoadRecordedBackup("quiet");
  const Bytes plain = store->Get(kBackupMetaName).value();
  ASSERT_TRUE(store->Put(kBackupMetaName, plain.substr(0, 500)).ok());
  EXPECT_EQ(ReadBackup(store.get()).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(store->Put(kBackupMetaName, "").ok());
  EXPECT_EQ(ReadBackup(store.get()).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(store->Delete(kBackupMetaName).ok());
  EXPECT_EQ(ReadBackup(store.get()).status().code(), StatusCode::kNotFound);
}

// ---- planted damage ----

/// A real backup that a test damages; the meta is written back by Finish.
class Damaged {
 public:
  explicit Damaged(const std::string& name = "quiet")
      : store(LoadRecordedBackup(name)), meta(ParseBackupMeta(store->Get(kBackupMetaName).value()).value()) {}

  /// The first file of the meta of this column family.
  File* First(ColumnFamily family) {
    for (File& file : *meta.mutable_files()) {
      if (FamilyOfFile(file).value() == family) {
        return &file;
      }
    }
    return nullptr;
  }
  Bytes Content(const File& file) { return store->Get(file.name()).value(); }
  /// Puts other bytes under the file's name; `honest` adapts length and digest in the meta.
  void Replace(File* file, const Bytes& bytes, bool honest) {
    CHECK(store->Put(file->name(), bytes).ok());
    if (honest) {
      file->set_size(bytes.size());
      file->set_sha256(Sha256(bytes));
    }
  }
  void ReplaceEntries(File* file, const std::vector<tikv::SstEntry>& entries) {
    Replace(file, tikv::WriteSst(entries, tikv::SstCodec::kRocksDb, tikv::SstCompression::kZstd).value(), true);
  }
  BackupContents Read() {
    CHECK(store->Put(kBackupMetaName, SerializeBackupMeta(meta)).ok());
    return ReadBackup(store.get()).value();
  }
  /// Exactly this rule has findings.
  void ExpectOnly(Rule expected) {
    const BackupContents contents = Read();
    for (size_t i = 0; i < kRuleCount; ++i) {
      const auto rule = static_cast<Rule>(i);
      EXPECT_EQ(contents.ResultOf(rule).findings > 0, rule == expected) << RuleName(rule) << "\n" << Describe(contents);
    }
    EXPECT_FALSE(contents.intact());
    EXPECT_EQ(contents.findings.front().kind(), RuleName(expected));
  }

  std::unique_ptr<MemoryObjectStore> store;
  BackupMeta meta;
};

TEST(DamagedBackup, AFlippedByteIsFoundByTheDigest) {
  for (const ColumnFamily family : {ColumnFamily::kDefault, ColumnFamily::kWrite}) {
    Damaged damaged;
    File* file = damaged.First(family);
    Bytes bytes = damaged.Content(*file);
    bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 0x10);
    damaged.Replace(file, bytes, false);
    damaged.ExpectOnly(Rule::kFileSha256);
  }
}

TEST(DamagedBackup, AFlippedByteBehindAnAdaptedDigestIsFoundByTheBlockChecksum) {
  Damaged damaged;
  File* file = damaged.First(ColumnFamily::kWrite);
  Bytes bytes = damaged.Content(*file);
  bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 0x10);
  damaged.Replace(file, bytes, true);
  damaged.ExpectOnly(Rule::kSstIntact);
}

TEST(DamagedBackup, ATruncatedFileIsFoundByItsLength) {
  Damaged damaged;
  File* file = damaged.First(ColumnFamily::kWrite);
  const Bytes bytes = damaged.Content(*file);
  damaged.Replace(file, bytes.substr(0, bytes.size() - 1), false);
  damaged.ExpectOnly(Rule::kFileLength);
}

TEST(DamagedBackup, AMissingFileIsFound) {
  Damaged damaged;
  ASSERT_TRUE(damaged.store->Delete(damaged.First(ColumnFamily::kWrite)->name()).ok());
  damaged.ExpectOnly(Rule::kFileExists);
}

TEST(DamagedBackup, TwoFilesOfEqualLengthSwappedAreFoundByTheDigest) {
  Damaged damaged;
  File* first = damaged.meta.mutable_files(1);
  File* second = damaged.meta.mutable_files(3);
  const Bytes first_bytes = damaged.Content(*first);
  damaged.Replace(first, damaged.Content(*second), false);
  damaged.Replace(second, first_bytes, false);
  first->set_size(damaged.Content(*first).size());
  second->set_size(damaged.Content(*second).size());
  damaged.ExpectOnly(Rule::kFileSha256);
}

TEST(DamagedBackup, ChangedCountsAreFoundByTheContentSums) {
  for (int field = 0; field < 3; ++field) {
    Damaged damaged;
    File* file = damaged.First(ColumnFamily::kWrite);
    field == 0   ? file->set_crc64xor(file->crc64xor() ^ 1)
    : field == 1 ? file->set_total_kvs(file->total_kvs() + 1)
                 : file->set_total_bytes(file->total_bytes() - 1);
    damaged.ExpectOnly(Rule::kContentSums);
  }
}

TEST(DamagedBackup, AFileReadAtAnotherTimestampIsFound) {
  Damaged damaged;
  File* file = damaged.First(ColumnFamily::kWrite);
  file->set_end_version(file->end_version() + 1);
  damaged.ExpectOnly(Rule::kOneTimestamp);
}

TEST(DamagedBackup, ABackupTimestampBeforeACommitIsFound) {
  Damaged damaged;
  const BackupContents contents = damaged.Read();
  const uint64_t cut = contents.commit_ts_max.value() - 1;
  damaged.meta.set_end_version(cut);
  for (File& file : *damaged.meta.mutable_files()) {
    file.set_end_version(cut);
  }
  damaged.ExpectOnly(Rule::kCommitTimestamps);
  EXPECT_LT(damaged.Read().pairs.size(), contents.pairs.size()) << "what was committed later is not visible";
}

TEST(DamagedBackup, OverlappingRangesAreFound) {
  Damaged damaged;
  for (File& file : *damaged.meta.mutable_files()) {
    if (file.start_key().rfind("vol2", 0) == 0) {
      file.set_start_key("vol1");
    }
  }
  damaged.ExpectOnly(Rule::kRangesDisjoint);
}

TEST(DamagedBackup, AKeyOutsideItsFilesRangeIsFound) {
  Damaged damaged;
  for (File& file : *damaged.meta.mutable_files()) {
    if (file.end_key().rfind("vol2", 0) == 0) {
      file.set_end_key("vol1\xfd" "A");
    }
  }
  damaged.ExpectOnly(Rule::kKeysInRange);
}

TEST(DamagedBackup, AForgottenColumnFamilyIsFoundByTheLongValues) {
  for (const ColumnFamily family : {ColumnFamily::kDefault, ColumnFamily::kWrite}) {
    Damaged damaged;
    auto* files = damaged.meta.mutable_files();
    const int first = FamilyOfFile(files->Get(0)).value() == family ? 0 : 1;
    files->DeleteSubrange(first, 1);
    damaged.ExpectOnly(Rule::kLongValues);
  }
}

TEST(DamagedBackup, AValueWithoutItsEntryIsFoundByTheLongValues) {
  Damaged damaged;
  File* file = damaged.First(ColumnFamily::kDefault);
  std::vector<tikv::SstEntry> entries = tikv::ReadSst(damaged.Content(*file)).value();
  ASSERT_GT(entries.size(), 1U);
  const DataKey key = DecodeDataKey(entries.back().key).value();
  const ContentSums whole = SumsOfFile(*file);
  ContentSums gone;
  gone.Add(key.user_key, entries.back().value);
  entries.pop_back();
  damaged.ReplaceEntries(file, entries);
  file->set_crc64xor(whole.crc64xor ^ gone.crc64xor);
  file->set_total_kvs(whole.total_kvs - 1);
  file->set_total_bytes(whole.total_bytes - gone.total_bytes);
  damaged.ExpectOnly(Rule::kLongValues);
}

TEST(DamagedBackup, ATombstoneInAWholeBackupIsFoundByTheRecords) {
  Damaged damaged;
  File* file = damaged.First(ColumnFamily::kWrite);
  std::vector<tikv::SstEntry> entries = tikv::ReadSst(damaged.Content(*file)).value();
  WriteRecord tombstone;
  tombstone.type = WriteType::kDelete;
  tombstone.start_ts = Timestamp(1);
  entries.front().value = tombstone.Encode();
  damaged.ReplaceEntries(file, entries);
  damaged.ExpectOnly(Rule::kRecordsDecode);
}

TEST(DamagedBackup, AnEntryThatChangedItsValueIsFoundByTheContentSums) {
  Damaged damaged;
  File* file = damaged.First(ColumnFamily::kWrite);
  std::vector<tikv::SstEntry> entries = tikv::ReadSst(damaged.Content(*file)).value();
  for (tikv::SstEntry& entry : entries) {
    WriteRecord record = WriteRecord::Decode(entry.value).value();
    if (record.short_value.has_value() && !record.short_value->empty()) {
      record.short_value->back() = static_cast<char>(record.short_value->back() ^ 1);
      entry.value = record.Encode();
      break;
    }
  }
  damaged.ReplaceEntries(file, entries);
  damaged.ExpectOnly(Rule::kContentSums);
}

TEST(BackupReader, AFenceAtTheCutHidesAPairAndALaterOneIsAHazard) {
  for (const bool at_cut : {true, false}) {
    Damaged damaged;
    File* file = damaged.First(ColumnFamily::kWrite);
    std::vector<tikv::SstEntry> entries = tikv::ReadSst(damaged.Content(*file)).value();
    WriteRecord record = WriteRecord::Decode(entries.front().value).value();
    record.gc_fence = Timestamp(damaged.meta.end_version() + (at_cut ? 0 : 1));
    entries.front().value = record.Encode();
    damaged.ReplaceEntries(file, entries);
    const BackupContents contents = damaged.Read();
    EXPECT_TRUE(contents.intact()) << Describe(contents);
    EXPECT_EQ(contents.hazards.size(), 1U);
    EXPECT_EQ(contents.pairs.size(), at_cut ? 2788U : 2789U);
  }
}

TEST(BackupMeta, IsWrittenBackAsBrWroteItToTheByte) {
  uint64_t compared = 0;
  for (const char* name : {"quiet", "busy", "lz4", "edge-keys", "silently-empty"}) {
    const Bytes recorded = ReadRecordedFile(name, kBackupMetaName);
    EXPECT_EQ(SerializeBackupMeta(ParseBackupMeta(recorded).value()), recorded) << name;
    compared += recorded.size();
  }
  EXPECT_GT(compared, 4000U);
}

}  // namespace
}  // namespace kvjury::backup
