// The backup and import services against the recorded answers of a real TiKV 8.5.0, after the transactional calls of the same
// recording: every call of the cases 17 and 18, field by field, and the entries of every file that these backups left.
//
// Mapped, each because it cannot repeat: the milliseconds in file names, sizes and digests of SST files (RocksDB puts a session
// id into each), random vectors. For downloads: the recorded file's name, length and vector to those of our own.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fakes/base/compress.h"
#include "fakes/base/digest.h"
#include "fakes/tikv/backup_files.h"
#include "fakes/tikv/cluster_test_bench.h"
#include "fakes/tikv/mvcc_conformance.h"

namespace kvjury::tikv {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

constexpr char kRecording[] = "tikv-8.5.0.jsonl.gz";

struct RawRecord {
  std::string case_name;
  std::string method;
  std::string grpc_error;
  Bytes request;
  std::vector<Bytes> responses;
};

Bytes ReadWholeFile(const std::string& path) {
  std::ifstream file(std::string(KVJURY_SOURCE_DIR) + "/scenarios/" + path, std::ios::binary);
  CHECK(file.good()) << path;
  return Bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

std::vector<RawRecord> LoadBackupAndImportCalls() {
  std::istringstream lines(
      *DecompressByMagic(ReadWholeFile(std::string("probes/") + kRecording), size_t{64} << 20));
  std::vector<RawRecord> records;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    RawRecord record{json.at("case"), json.at("method"), json.value("grpc_error", ""),
                     FromHex(json.at("req_hex").get<std::string>()).value(), {}};
    if (record.case_name.rfind("17", 0) != 0 && record.case_name.rfind("18", 0) != 0) {
      continue;
    }
    // Each of a stream's answers ends with a space; an answer without fields is an empty word.
    const std::string hex = json.value("resp_hex", "");
    const bool is_stream = record.method.find("stream") != std::string::npos;
    for (size_t at = 0; is_stream ? at < hex.size() : at <= hex.size();) {
      const size_t space = std::min(hex.find(' ', at), hex.size());
      record.responses.push_back(FromHex(hex.substr(at, space - at)).value());
      at = space + 1;
    }
    records.push_back(std::move(record));
  }
  return records;
}

std::shared_ptr<Message> Parse(const std::string& type, const Bytes& bytes) {
  const auto* descriptor = DescriptorPool::generated_pool()->FindMessageTypeByName(type);
  CHECK(descriptor != nullptr) << type;
  std::shared_ptr<Message> message(MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  CHECK(message->ParseFromString(bytes));
  return message;
}

// The files of an answer by range and family, so that both sides can be matched.
std::string FileKey(const backup::File& file) {
  return file.cf() + " " + Printable(file.start_key()) + ".." + Printable(file.end_key());
}

// An answer without what cannot repeat.
std::string Repeatable(backup::BackupResponse response) {
  for (backup::File& file : *response.mutable_files()) {
    EXPECT_EQ(file.sha256().size(), 32U);
    EXPECT_EQ(file.cipher_iv().size(), 16U);
    EXPECT_GT(file.size(), 0U);
    const size_t family = file.name().rfind('_');
    const size_t clock = file.name().rfind('_', family - 1);
    EXPECT_EQ(family - clock, 14U) << "13 digits of milliseconds: " << file.name();
    file.set_name(file.name().substr(0, clock) + file.name().substr(family));
    file.clear_sha256();
    file.clear_cipher_iv();
    file.clear_size();
  }
  return response.DebugString();
}

class RecordedBackups : public testing::Test {
 protected:
  RecordedBackups() : bench_(1, {}, false, true, SstCodec::kRocksDb) {
    for (const RecordedCall& call : LoadRecordedCalls(kRecording)) {
      const bool prefixed = call.method.rfind("Kv", 0) == 0 || call.method.rfind("KV", 0) == 0;
      const std::string type = "kvrpcpb." + (prefixed ? call.method.substr(2) : call.method) + "Request";
      const auto answer = bench_.Ask("/tikvpb.Tikv/" + call.method, bench_.cluster.store_address(StoreId(1)),
                                     Parse(type, call.request), "");
      CHECK(answer.ok()) << call.method;
    }
    CompleteFromFiles();
  }

  // Some calls to the real store are not in the recording. What they left is taken from the files of the cases 17a (all puts)
  // and 17e (deletions, too): few records, counted.
  void CompleteFromFiles() {
    const std::string all = "14_8_e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855_1795376868466_";
    const std::string newer = "14_8_e02a069c5d42bca7a772ec1c005b469994eef9880b1652113a9a09bb8d924eda_1795376868492_";
    WriteBatch missing;
    size_t present = 0;
    for (const std::string& stem : {all, newer}) {
      for (const ColumnFamily family : {ColumnFamily::kDefault, ColumnFamily::kWrite}) {
        const std::string name = stem + std::string(ColumnFamilyName(family)) + ".sst";
        const std::vector<SstEntry> entries = ReadSst(ReadWholeFile("backups/probe-files/1/" + name)).value();
        for (const SstEntry& entry : entries) {
          const Bytes key = entry.key.substr(1);
          const Bytes* stored = bench_.cluster.engine().Latest().Get(family, key);
          if (stored != nullptr && *stored == entry.value) {
            ++present;
          } else {
            missing.Put(family, key, entry.value);
          }
        }
      }
    }
    EXPECT_GE(present, 25U);
    EXPECT_LE(missing.operations.size(), 17U);
    bench_.cluster.ApplyBatch(std::move(missing));
  }

  [[nodiscard]] std::vector<SstEntry> EntriesOf(const backup::BackupRequest& request, const backup::File& file) {
    objects::ObjectStore* folder = *bench_.storages.Open(request.storage_backend());
    const Bytes content = folder->Get(file.name()).value();
    EXPECT_EQ(content.size(), file.size());
    EXPECT_EQ(Sha256(content), file.sha256());
    const Result<Cipher> cipher = CipherOf(request.cipher_info());
    return ReadSst(cipher.ok() ? ApplyCipher(*cipher, file.cipher_iv(), content).value() : content).value();
  }

  // Compares all answers of one recorded stream and the files they name. Returns the number of files compared.
  size_t CompareStream(const RawRecord& record) {
    backup::BackupRequest request;
    CHECK(request.ParseFromString(record.request));
    std::multiset<std::string> expected;
    std::map<std::string, backup::File> expected_files;
    for (const Bytes& bytes : record.responses) {
      backup::BackupResponse response;
      CHECK(response.ParseFromString(bytes));
      expected.insert(Repeatable(response));
      for (const backup::File& file : response.files()) {
        expected_files[FileKey(file)] = file;
      }
    }
    std::multiset<std::string> actual;
    size_t compared = 0;
    for (const backup::BackupResponse& response : bench_.Backup(StoreId(1), request)) {
      actual.insert(Repeatable(response));
      for (const backup::File& file : response.files()) {
        const auto recorded = expected_files.find(FileKey(file));
        EXPECT_NE(recorded, expected_files.end()) << FileKey(file);
        if (recorded == expected_files.end()) {
          continue;
        }
        own_files_[recorded->second.name()] = file;
        const std::vector<SstEntry> theirs =
            ReadSst(ReadWholeFile("backups/probe-files/" + recorded->second.name())).value();
        const std::vector<SstEntry> ours = EntriesOf(request, file);
        EXPECT_EQ(ours.size(), theirs.size()) << record.case_name;
        for (size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
          EXPECT_EQ(ToHex(ours[i].key) + " " + ToHex(ours[i].value), ToHex(theirs[i].key) + " " + ToHex(theirs[i].value))
              << record.case_name;
        }
        ++compared;
      }
    }
    EXPECT_EQ(actual, expected) << record.case_name;
    return compared;
  }

  void CompareUnary(const RawRecord& record) {
    const std::string method = record.method.substr(record.method.rfind('/') + 1);
    if (record.grpc_error.find("Unimplemented") != std::string::npos) {
      const auto answer = bench_.Ask(record.method, bench_.cluster.store_address(StoreId(1)),
                                     std::make_shared<const import_sstpb::ClearRequest>(), "");
      EXPECT_EQ(answer.status().code(), StatusCode::kUnsupported) << method;
      return;
    }
    std::shared_ptr<Message> request = Parse("import_sstpb." + method + "Request", record.request);
    if (method == "Download") {
      auto* download = static_cast<import_sstpb::DownloadRequest*>(request.get());
      ASSERT_EQ(own_files_.count(download->name()), 1U) << download->name();
      const backup::File& own = own_files_.at(download->name());
      download->set_name(own.name());
      download->mutable_sst()->set_length(own.size());
      download->mutable_sst()->set_cipher_iv(own.cipher_iv());
    }
    const auto answer = bench_.Ask(record.method, bench_.cluster.store_address(StoreId(1)), request, "");
    ASSERT_TRUE(answer.ok()) << answer.status();
    const std::string type = "import_sstpb." + (method == "MultiIngest" ? std::string("Ingest") : method) + "Response";
    EXPECT_EQ((*answer)->DebugString(), Parse(type, record.responses.at(0))->DebugString()) << record.case_name;
  }

  ClusterBench bench_;
  std::map<std::string, backup::File> own_files_;  // by the recorded file's name
};

TEST_F(RecordedBackups, EveryCallIsAnsweredAsTheRealOneDid) {
  size_t streams = 0;
  size_t calls = 0;
  size_t files = 0;
  for (const RawRecord& record : LoadBackupAndImportCalls()) {
    if (record.method.find("stream") != std::string::npos) {
      files += CompareStream(record);
      ++streams;
    } else {
      CompareUnary(record);
      ++calls;
    }
  }
  EXPECT_EQ(streams, 9U);
  EXPECT_EQ(calls, 12U);
  EXPECT_EQ(files, 16U);
}

// These were written by a real 8.5.0 with the key "0123456789abcdef"; their vectors were not recorded and are worked out from the
// first block, which equals that of the plain files of the same range.
TEST(RecordedFiles, AnEncryptedOneHoldsWhatThePlainOneHolds) {
  const std::string stem = "backups/probe-files/1/14_8_e02a069c5d42bca7a772ec1c005b469994eef9880b1652113a9a09bb8d924eda_";
  const Cipher cipher{CipherMethod::kAes128Ctr, "0123456789abcdef"};
  size_t entries = 0;
  for (const auto& [family, iv] : {std::pair<std::string, std::string>{"default", "dec747b0c390a33e720097b09d39af3f"},
                                   {"write", "1612c88a9087cd5bc151b2c5902dcad1"}}) {
    const Bytes encrypted = ReadWholeFile(stem + "1795376868513_" + family + ".sst");
    EXPECT_NE(ReadSst(encrypted).status().message().find("Bad table magic number"), std::string::npos);
    const Bytes content = ApplyCipher(cipher, FromHex(iv).value(), encrypted).value();
    const std::vector<SstEntry> read = ReadSst(content).value();
    EXPECT_EQ(read, ReadSst(ReadWholeFile(stem + "1795376868482_" + family + ".sst")).value());
    entries += read.size();
  }
  EXPECT_EQ(entries, 4U);
}

}  // namespace
}  // namespace kvjury::tikv
