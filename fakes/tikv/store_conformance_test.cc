// The whole service of a store against the recorded answers of a real TiKV 8.5.0, in file order on one store: transactional
// calls, context errors, splits, then backup and import of what those calls left behind.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "fakes/base/compress.h"
#include "fakes/tikv/cluster_test_bench.h"
#include "fakes/tikv/mvcc_conformance.h"

namespace kvjury::tikv {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MessageFactory;

constexpr char kRecording[] = "tikv-8.5.0.jsonl.gz";

sim::MessagePtr ParseRequest(const std::string& method, const Bytes& bytes) {
  const bool prefixed = method.rfind("Kv", 0) == 0 || method.rfind("KV", 0) == 0;
  const auto* descriptor = DescriptorPool::generated_pool()->FindMessageTypeByName(
      "kvrpcpb." + (prefixed ? method.substr(2) : method) + "Request");
  CHECK(descriptor != nullptr) << method;
  std::shared_ptr<google::protobuf::Message> message(MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
  CHECK(message->ParseFromString(bytes));
  return message;
}

struct RawRecord {
  std::string case_name;
  std::string method;
  Bytes request;
  std::vector<Bytes> responses;
};

// The recorded backup and import calls.
std::vector<RawRecord> LoadOtherCalls() {
  std::ifstream file(std::string(KVJURY_SOURCE_DIR) + "/scenarios/probes/" + kRecording, std::ios::binary);
  CHECK(file.good());
  const Bytes packed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream lines(*DecompressByMagic(packed, size_t{64} << 20));
  std::vector<RawRecord> records;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    RawRecord record{json.at("case"), json.at("method"), FromHex(json.at("req_hex").get<std::string>()).value(), {}};
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

// What of a backup answer does not depend on the clock, the compression or the random vector. Without sums where a range
// holds records of calls that are not in the recording.
std::string Essence(const backup::BackupResponse& response, bool with_sums) {
  std::string text = "[" + Printable(response.start_key()) + ", " + Printable(response.end_key()) + ")";
  for (const backup::File& file : response.files()) {
    const std::string stem = file.name().substr(0, file.name().find('_', file.name().find('_', file.name().find('_') + 1) + 1));
    text += " " + stem + " " + file.cf() + " [" + Printable(file.start_key()) + ", " + Printable(file.end_key()) + ") " +
            std::to_string(file.start_version()) + ".." + std::to_string(file.end_version());
    if (with_sums) {
      text += " crc " + std::to_string(file.crc64xor()) + " kvs " + std::to_string(file.total_kvs()) + " bytes " +
              std::to_string(file.total_bytes());
    }
  }
  return text;
}

class RecordedStore : public testing::Test {
 protected:
  RecordedStore() : bench_(1, {}, false) {}

  size_t ReplayCalls() {
    size_t compared = 0;
    for (const RecordedCall& call : LoadRecordedCalls(kRecording)) {
      const Result<sim::MessagePtr> answer = bench_.Ask("/tikvpb.Tikv/" + call.method, bench_.cluster.store_address(StoreId(1)),
                                                        ParseRequest(call.method, call.request), "");
      EXPECT_TRUE(answer.ok()) << call.case_name << " " << call.method << " " << answer.status();
      if (answer.ok()) {
        EXPECT_EQ(DifferenceToRecorded(call, (*answer)->SerializeAsString()), "");
      }
      ++compared;
    }
    return compared;
  }

  ClusterBench bench_;
};

TEST_F(RecordedStore, AnswersEveryTransactionalCallAsTheRealOneDid) {
  EXPECT_GT(ReplayCalls(), 150U);
  const auto unknown = bench_.Ask("/tikvpb.Tikv/KvGC", bench_.cluster.store_address(StoreId(1)),
                                  std::make_shared<const kvrpcpb::GetRequest>(), "");
  EXPECT_EQ(unknown.error().code(), StatusCode::kUnsupported);
}

TEST_F(RecordedStore, BacksUpAndImportsAsTheRealOneDid) {
  ReplayCalls();
  size_t streams = 0;
  size_t imports = 0;
  std::string own_name;
  uint64_t own_length = 0;
  for (const RawRecord& record : LoadOtherCalls()) {
    if (record.method.find("/backup.Backup/") != std::string::npos) {
      backup::BackupRequest request;
      ASSERT_TRUE(request.ParseFromString(record.request));
      const bool with_sums = record.case_name.rfind("17a", 0) != 0 && record.case_name.rfind("17e", 0) != 0;
      std::multiset<std::string> expected;
      for (const Bytes& bytes : record.responses) {
        backup::BackupResponse response;
        ASSERT_TRUE(response.ParseFromString(bytes));
        expected.insert(Essence(response, with_sums));
      }
      std::multiset<std::string> actual;
      for (const backup::BackupResponse& response : bench_.Backup(StoreId(1), request)) {
        actual.insert(Essence(response, with_sums));
        if (record.case_name.rfind("17b", 0) == 0) {
          ASSERT_EQ(response.files_size(), 2);
          own_name = response.files(1).name();
          own_length = response.files(1).size();
        }
      }
      EXPECT_EQ(actual, expected) << record.case_name;
      ++streams;
    } else if (record.method.find("Download") != std::string::npos && record.method.find("Speed") == std::string::npos) {
      import_sstpb::DownloadRequest request;
      ASSERT_TRUE(request.ParseFromString(record.request));
      request.set_name(own_name);
      request.mutable_sst()->set_length(own_length);
      import_sstpb::DownloadResponse expected;
      ASSERT_TRUE(expected.ParseFromString(record.responses.at(0)));
      const auto actual = bench_.Ask(kDownload, StoreId(1), request);
      ASSERT_TRUE(actual.ok());
      EXPECT_EQ(actual->DebugString(), expected.DebugString()) << record.case_name;
      ++imports;
    } else if (record.method.find("MultiIngest") != std::string::npos) {
      import_sstpb::MultiIngestRequest request;
      ASSERT_TRUE(request.ParseFromString(record.request));
      import_sstpb::IngestResponse expected;
      ASSERT_TRUE(expected.ParseFromString(record.responses.at(0)));
      const auto actual = bench_.Ask(kMultiIngest, StoreId(1), request);
      ASSERT_TRUE(actual.ok());
      EXPECT_EQ(actual->DebugString(), expected.DebugString()) << record.case_name;
      ++imports;
    }
  }
  EXPECT_EQ(streams, 9U);
  EXPECT_EQ(imports, 7U);
}

TEST_F(RecordedStore, RefusesDownloadsInTiKVsWords) {
  import_sstpb::DownloadRequest request;
  request.mutable_sst()->set_cf_name("write");
  request.set_name("1/none.sst");
  *request.mutable_storage_backend() = objects::LocalStorage("folder");
  EXPECT_NE(bench_.Ask(kDownload, StoreId(1), request)->error().message().find("Cannot read 1/none.sst"), std::string::npos);
  objects::ObjectStore* folder = *bench_.storages.Open(objects::LocalStorage("folder"));
  ASSERT_TRUE(folder->Put("1/none.sst", "ab").ok());
  request.mutable_sst()->set_length(3);
  EXPECT_EQ(bench_.Ask(kDownload, StoreId(1), request)->error().message(), "\"downloaded size 2, expected 3\"");
  request.mutable_sst()->set_length(2);
  EXPECT_TRUE(bench_.Ask(kDownload, StoreId(1), request)->has_error()) << "no SST at all";
  (*request.mutable_ssts())["x"] = request.sst();
  EXPECT_TRUE(bench_.Ask(kDownload, StoreId(1), request)->has_error());
}

}  // namespace
}  // namespace kvjury::tikv
