// What a client of the backup and import services can ask for beyond the recorded calls: encryption, raw keys, storages, limits,
// and the words of refusals.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "fakes/tikv/backup_files.h"
#include "fakes/tikv/cluster_test_bench.h"

namespace kvjury::tikv {
namespace {

using testing::HasSubstr;

constexpr Bytes::value_type kFill = 'v';

struct Bench : ClusterBench {
  explicit Bench(SstCodec codec = SstCodec::kRocksDb, bool instant = false) : ClusterBench(1, {}, true, true, codec, instant) {
    for (int i = 0; i < 20; ++i) {
      CHECK(PutOnePhase("k" + std::to_string(100 + i), Bytes(i % 2 == 0 ? 10 : 1000, kFill)).ok());
    }
  }

  backup::BackupRequest Request() {
    backup::BackupRequest request;
    request.set_end_version(Tso().value());
    request.set_compression_type(backup::ZSTD);
    *request.mutable_storage_backend() = objects::LocalStorage("/b");
    return request;
  }
  /// The files of a backup of everything.
  std::vector<backup::File> Files(const backup::BackupRequest& request) {
    std::vector<backup::File> files;
    for (const backup::BackupResponse& response : Backup(StoreId(1), request)) {
      CHECK(!response.has_error()) << response.ShortDebugString();
      files.insert(files.end(), response.files().begin(), response.files().end());
    }
    return files;
  }
  Bytes ContentOf(const backup::File& file) { return (*storages.Open(objects::LocalStorage("/b")))->Get(file.name()).value(); }

  import_sstpb::DownloadRequest DownloadOf(const backup::File& file) {
    import_sstpb::DownloadRequest request;
    request.set_name(file.name());
    request.mutable_sst()->set_uuid("0123456789abcdef");
    request.mutable_sst()->set_cf_name(file.cf());
    request.mutable_sst()->set_length(file.size());
    request.mutable_sst()->set_cipher_iv(file.cipher_iv());
    *request.mutable_storage_backend() = objects::LocalStorage("/b");
    return request;
  }
  std::string DownloadError(const import_sstpb::DownloadRequest& request) {
    return Ask(kDownload, StoreId(1), request)->error().message();
  }
};

TEST(BackupService, EncryptsEveryFileAndAStoreDecryptsItWithTheKeyAlone) {
  Bench bench;
  const std::vector<backup::File> plain = bench.Files(bench.Request());
  ASSERT_EQ(plain.size(), 2U);
  bench.Pass(10'000);
  for (const auto& [method, key] : {std::pair<encryptionpb::EncryptionMethod, Bytes>{encryptionpb::AES128_CTR, Bytes(16, 'k')},
                                    {encryptionpb::AES192_CTR, Bytes(24, 'k')},
                                    {encryptionpb::AES256_CTR, Bytes(32, 'k')}}) {
    backup::BackupRequest request = bench.Request();
    request.mutable_cipher_info()->set_cipher_type(method);
    request.mutable_cipher_info()->set_cipher_key(key);
    const std::vector<backup::File> files = bench.Files(request);
    ASSERT_EQ(files.size(), 2U);
    for (size_t i = 0; i < files.size(); ++i) {
      EXPECT_EQ(files[i].crc64xor(), plain[i].crc64xor());
      const Bytes content = bench.ContentOf(files[i]);
      EXPECT_EQ(ReadSst(content).status().code(), StatusCode::kDataLoss);
      const Bytes decrypted = ApplyCipher(CipherOf(request.cipher_info()).value(), files[i].cipher_iv(), content).value();
      EXPECT_EQ(ReadSst(decrypted).value(), ReadSst(bench.ContentOf(plain[i])).value());
      import_sstpb::DownloadRequest download = bench.DownloadOf(files[i]);
      EXPECT_THAT(bench.DownloadError(download), HasSubstr("Corruption: Bad table magic number")) << "without the key";
      *download.mutable_cipher_info() = request.cipher_info();
      EXPECT_EQ(bench.DownloadError(download), "");
    }
    bench.Pass(10'000);
  }
  backup::BackupRequest wrong = bench.Request();
  wrong.mutable_cipher_info()->set_cipher_type(encryptionpb::AES256_CTR);
  wrong.mutable_cipher_info()->set_cipher_key("short");
  const std::vector<backup::BackupResponse> refused = bench.Backup(StoreId(1), wrong);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_THAT(refused[0].error().msg(), HasSubstr("new EncrypterReader error"));
}

TEST(BackupService, CompressionKindsAndLevelsChangeTheFilesAndNotTheirEntries) {
  Bench bench;
  std::map<std::string, std::vector<SstEntry>> entries;
  std::set<uint64_t> sizes;
  for (const auto& [type, level] : {std::pair<backup::CompressionType, int>{backup::ZSTD, 0},
                                    {backup::ZSTD, 19},
                                    {backup::LZ4, 0},
                                    {backup::SNAPPY, 0},
                                    {backup::UNKNOWN, 0}}) {
    backup::BackupRequest request = bench.Request();
    request.set_compression_type(type);
    request.set_compression_level(level);
    for (const backup::File& file : bench.Files(request)) {
      const std::vector<SstEntry> read = ReadSst(bench.ContentOf(file)).value();
      EXPECT_TRUE(entries.emplace(file.cf(), read).first->second == read);
      if (file.cf() == "default") {
        sizes.insert(file.size());
      }
    }
    bench.Pass(10'000);
  }
  EXPECT_EQ(entries.at("default").size(), 10U);
  EXPECT_GE(sizes.size(), 3U) << "zstd, lz4 and snappy differ";
}

TEST(BackupService, ARawBackupCopiesOneFamilyAsItStands) {
  Bench bench;
  backup::BackupRequest request = bench.Request();
  request.set_is_raw_kv(true);
  request.set_cf("default");
  request.set_end_version(0);
  std::vector<SstEntry> entries;
  size_t answers = 0;
  for (const backup::BackupResponse& response : bench.Backup(StoreId(1), request)) {
    ++answers;
    for (const backup::File& file : response.files()) {
      EXPECT_EQ(file.cf(), "default");
      EXPECT_EQ(file.end_version(), 0U);
      EXPECT_EQ(file.start_key(), response.start_key());
      if (file.start_key().empty()) {
        // Neither digest nor clock, as in a real one's name: 1/4_5_default.sst.
        EXPECT_EQ(std::count(file.name().begin(), file.name().end(), '_'), 2);
      }
      const std::vector<SstEntry> read = ReadSst(bench.ContentOf(file)).value();
      EXPECT_EQ(file.total_kvs(), read.size());
      entries.insert(entries.end(), read.begin(), read.end());
    }
  }
  EXPECT_EQ(answers, bench.cluster.regions().size());
  ASSERT_EQ(entries.size(), 10U) << "the long values alone";
  EXPECT_EQ(entries[0].value, Bytes(1000, kFill));
  request.set_dst_api_version(kvrpcpb::V1TTL);
  EXPECT_THAT(bench.Backup(StoreId(1), request).at(0).error().msg(), HasSubstr("invalid backup version, cur: V1, dst: V1TTL"));
}

TEST(BackupService, AMissingFolderAndAnUnknownStorageAreRefusedInTiKVsWords) {
  sim::World world{record::Case()};
  objects::Storages storages(objects::Storages::LocalFolders());
  ClusterOptions options;
  options.stores = 1;
  options.storages = &storages;
  options.clock_start_ms = ClusterBench::kClockStartMs;
  options.cluster_id = 42;
  Cluster cluster(&world, options);
  const std::string folder = std::filesystem::temp_directory_path() / "kvjury-missing-folder";
  std::filesystem::remove_all(folder);
  backup::BackupRequest request;
  request.set_end_version(100);
  *request.mutable_storage_backend() = objects::LocalStorage(folder);
  const auto ask = [&]() {
    std::vector<backup::BackupResponse> answers;
    Status end;
    sim::CallOptions call;
    call.label = sim::Label("backup").Numbered("n", world.scheduler().events_run());
    CHECK(world.Run(ClusterBench::RunStream(world.fabric().ChannelFrom("client"), cluster.store_address(StoreId(1)), request,
                                            call, &answers, &end),
                    60'000'000) == sim::RunEnd::kDone);
    CHECK(answers.size() == 1 && end.ok());
    return answers[0].error().msg();
  };
  EXPECT_EQ(ask(), R"(Io(Os { code: 2, kind: NotFound, message: "No such file or directory" }))");
  EXPECT_FALSE(std::filesystem::exists(folder)) << "a store makes no folder";
  request.mutable_storage_backend()->mutable_s3()->set_bucket("b");
  EXPECT_THAT(ask(), HasSubstr("bad storage backend"));
  request.mutable_storage_backend()->Clear();
  EXPECT_THAT(ask(), HasSubstr("bad storage backend"));
  cluster.Shutdown();
}

TEST(ImportService, RefusesDownloadsInTiKVsWords) {
  Bench bench;
  const std::vector<backup::File> files = bench.Files(bench.Request());
  import_sstpb::DownloadRequest request = bench.DownloadOf(files.at(1));
  ASSERT_EQ(bench.DownloadError(request), "");
  import_sstpb::DownloadRequest missing = request;
  missing.set_name("1/none.sst");
  EXPECT_EQ(bench.DownloadError(missing),
            "Cannot read local:///b/1/none.sst into store-1/import/.temp/30313233-3435-3637-3839-616263646566_0_0_0_write_2.sst: "
            "No such file or directory (os error 2)");
  import_sstpb::DownloadRequest longer = request;
  longer.mutable_sst()->set_length(request.sst().length() + 100);
  EXPECT_THAT(bench.DownloadError(longer), testing::EndsWith("downloaded size " + std::to_string(request.sst().length()) +
                                                             ", expected " + std::to_string(longer.sst().length())));
  Bytes flipped = bench.ContentOf(files[1]);
  flipped[20] = static_cast<char>(flipped[20] ^ 1);
  ASSERT_TRUE((*bench.storages.Open(objects::LocalStorage("/b")))->Put("1/flipped.sst", flipped).ok());
  import_sstpb::DownloadRequest damaged = request;
  damaged.set_name("1/flipped.sst");
  EXPECT_THAT(bench.DownloadError(damaged),
              testing::MatchesRegex("Engine Engine\\(Status \\{ code: IoError, sub_code: None, sev: NoError, state: \"Corruption: "
                                    "block checksum mismatch: stored = [0-9]+, computed = [0-9]+, type = 1  in "
                                    "store-1/import/.temp/[-0-9a-f]+_0_0_0_write_2.sst offset 0 size [0-9]+\" \\}\\)"));
  import_sstpb::DownloadRequest nameless = request;
  nameless.mutable_sst()->set_uuid("x");
  EXPECT_EQ(bench.DownloadError(nameless), "invalid bytes length: expected 16, found 1");
  import_sstpb::DownloadRequest elsewhere = request;
  elsewhere.mutable_storage_backend()->mutable_gcs()->set_bucket("b");
  EXPECT_THAT(bench.DownloadError(elsewhere), HasSubstr("bad storage backend"));
}

TEST(ImportService, ACachedStorageServesLaterRequestsUnderItsName) {
  Bench bench;
  const std::vector<backup::File> files = bench.Files(bench.Request());
  import_sstpb::DownloadRequest request = bench.DownloadOf(files.at(1));
  request.set_storage_cache_id("BR-1");
  ASSERT_EQ(bench.DownloadError(request), "");
  *request.mutable_storage_backend() = objects::LocalStorage("/elsewhere");
  EXPECT_EQ(bench.DownloadError(request), "") << "the first request's storage";
  request.set_storage_cache_id("BR-2");
  EXPECT_THAT(bench.DownloadError(request), HasSubstr("No such file"));
}

TEST(ImportService, ASpeedLimitDelaysDownloads) {
  Bench bench;
  const std::vector<backup::File> files = bench.Files(bench.Request());
  const auto timed = [&]() {
    const Micros begin_us = bench.world.scheduler().now_us();
    EXPECT_EQ(bench.DownloadError(bench.DownloadOf(files.at(0))), "");
    return bench.world.scheduler().now_us() - begin_us;
  };
  const Micros free_us = timed();
  import_sstpb::SetDownloadSpeedLimitRequest limit;
  limit.set_speed_limit(1000);
  ASSERT_TRUE(bench.Ask(kSetDownloadSpeedLimit, StoreId(1), limit).ok());
  EXPECT_GT(timed(), free_us + 9'000'000) << "more than 10,000 bytes of values";
  limit.set_speed_limit(0);
  ASSERT_TRUE(bench.Ask(kSetDownloadSpeedLimit, StoreId(1), limit).ok());
  EXPECT_EQ(timed(), free_us);
}

TEST(ImportService, BehindRealPortsTheSpeedLimitCountsTheBytesOfTheFile) {
  Bench bench(SstCodec::kRocksDb, true);
  const backup::File file = bench.Files(bench.Request()).at(0);
  ASSERT_LT(file.size(), 5'000U) << "compressed";
  import_sstpb::SetDownloadSpeedLimitRequest limit;
  limit.set_speed_limit(1000);
  ASSERT_TRUE(bench.Ask(kSetDownloadSpeedLimit, StoreId(1), limit).ok());
  const Micros begin_us = bench.world.scheduler().now_us();
  EXPECT_EQ(bench.DownloadError(bench.DownloadOf(file)), "");
  const Micros waited_us = bench.world.scheduler().now_us() - begin_us;
  EXPECT_GE(waited_us, static_cast<Micros>(file.size() * 1000));
  EXPECT_LT(waited_us, static_cast<Micros>(file.size() * 1000) + 100'000);
}

TEST(ImportService, SuspendedImportsRefuseIngestsUntilTheirTimeIsOver) {
  Bench bench;
  import_sstpb::SuspendImportRPCRequest suspend;
  suspend.set_should_suspend_imports(true);
  suspend.set_duration_in_secs(60);
  EXPECT_FALSE(bench.Ask(kSuspendImportRpc, StoreId(1), suspend)->already_suspended());
  EXPECT_TRUE(bench.Ask(kSuspendImportRpc, StoreId(1), suspend)->already_suspended());
  const auto refused = bench.Ask(kMultiIngest, StoreId(1), import_sstpb::MultiIngestRequest());
  EXPECT_THAT(refused->error().message(), testing::MatchesRegex("imports are suspended for 59\\.?[0-9]*s"));
  EXPECT_GT(refused->error().server_is_busy().backoff_ms(), 59'000U);
  bench.Pass(61'000'000);
  EXPECT_TRUE(bench.Ask(kMultiIngest, StoreId(1), import_sstpb::MultiIngestRequest())->error().has_store_not_match());
  EXPECT_EQ(bench.Ask(kIngest, StoreId(1), import_sstpb::IngestRequest())->error().message(), "ingest file conflict");
  suspend.set_duration_in_secs(6 * 3600 + 1);
  const auto too_long = bench.Ask(kSuspendImportRpc, StoreId(1), suspend);
  EXPECT_EQ(too_long.status().code(), StatusCode::kRejected);
  EXPECT_THAT(too_long.status().message(), HasSubstr("too long. (for 21601 seconds"));
}

TEST(ImportService, AnIngestedFileIsReadAndAClearedOneIsGone) {
  Bench source;
  const std::vector<backup::File> files = source.Files(source.Request());
  Bench target(SstCodec::kMemory);
  for (const backup::File& file : files) {
    ASSERT_TRUE((*target.storages.Open(objects::LocalStorage("/b")))->Put(file.name(), source.ContentOf(file)).ok());
  }
  StoreId leader;
  const kvrpcpb::Context context = target.ContextFor("k100", &leader);
  import_sstpb::DownloadRequest request = target.DownloadOf(files.at(1));
  request.mutable_sst()->set_region_id(context.region_id());
  *request.mutable_sst()->mutable_region_epoch() = context.region_epoch();
  import_sstpb::IngestRequest ingest;
  *ingest.mutable_context() = context;
  const auto download = [&]() {
    const auto answer = target.Ask(kDownload, StoreId(1), request);
    EXPECT_FALSE(answer->has_error());
    *ingest.mutable_sst() = request.sst();
    *ingest.mutable_sst()->mutable_range() = answer->range();
  };
  download();
  ASSERT_FALSE(target.Ask(kClearFiles, StoreId(1), import_sstpb::ClearRequest())->has_error());
  EXPECT_TRUE(target.Ask(kIngest, StoreId(1), ingest)->error().has_stale_command());
  download();
  import_sstpb::ClearRequest outside;
  outside.set_prefix("../x");
  EXPECT_FALSE(target.Ask(kClearFiles, StoreId(1), outside)->has_error()) << "answered OK, as the real one does";
  EXPECT_FALSE(target.Ask(kIngest, StoreId(1), ingest)->has_error());
  EXPECT_TRUE(target.Ask(kIngest, StoreId(1), ingest)->error().has_stale_command()) << "it is in already";
  EXPECT_TRUE(target.Ask(kImportCompact, StoreId(1), import_sstpb::CompactRequest()).ok());
  request.mutable_sst()->set_api_version(kvrpcpb::V1TTL);
  download();
  EXPECT_EQ(target.Ask(kIngest, StoreId(1), ingest).status().code(), StatusCode::kRejected) << "values with a time to live";
}

}  // namespace
}  // namespace kvjury::tikv
