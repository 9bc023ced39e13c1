#include "fakes/ports/replayed_cluster.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/delimited_message_util.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "fakes/base/digest.h"
#include "fakes/ports/control_socket.h"
#include "fakes/ports/recorder.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::ports {
namespace {

using record::RecordedInput;
using testing::HasSubstr;

struct Recorded {
  std::string recording;
  std::string calls;
  uint64_t answers = 0;
};

std::vector<std::string> Keys(tikv::Cluster* cluster) {
  std::vector<std::string> keys;
  for (const tikv::UserVersion& version : tikv::ReadRangeAt(cluster->engine().Latest(), "", "", Timestamp::Max(), 0)) {
    keys.push_back(version.key + "=" + version.value);
  }
  return keys;
}

// Several clients write at once while regions split and leaders move, one asks for a batch and a lock waits for another; then a backup.
Recorded RecordALife(const std::string& folder, const record::Case& faults = {}) {
  Recorded recorded;
  ServeOptions options;
  options.pd_port = 0;
  options.stores = 3;
  options.faults = faults;
  options.control = folder + "/control";
  options.versions = {{"loaded", "before", {}, {}}, {"loaded2", "before", {}, {}}};
  options.on_recorded = [&recorded](std::string_view bytes) { recorded.recording += bytes; };
  options.on_call = [&recorded](const CallRecord& call) {
    recorded.calls += CallLine(call);
    ++recorded.answers;
  };
  std::unique_ptr<ServedCluster> served = *ServedCluster::Start(std::move(options));
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&served, i]() {
      TestClusterClient client(served->pd_addresses().front());
      for (int n = 0; n < 40; ++n) {
        client.PutSoon("k" + std::to_string(n % 7), std::to_string(i) + "/" + std::to_string(n));
        client.Get("k" + std::to_string(n % 5));
      }
    });
  }
  for (const char* line : {"split key=6b33", "transfer-leader key=6b34 store=2", "slow method=KvGet by_ms=5 count=20", "lose-reply method=KvPrewrite count=2"}) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_THAT(*CallControlSocket(folder + "/control", line), HasSubstr("\"effect\""));
  }
  for (std::thread& client : clients) {
    client.join();
  }
  TestClusterClient client(served->pd_addresses().front());
  std::filesystem::create_directory(folder + "/backup");
  for (const ServedStore& address : served->stores()) {
    backup::BackupRequest request;
    request.set_cluster_id(client.cluster_id());
    request.set_end_version(client.Now());
    request.mutable_storage_backend()->mutable_local()->set_path(folder + "/backup");
    TestClient store(address.address);
    grpc::ClientContext context;
    auto reader = store.ServerStream<backup::BackupRequest, backup::BackupResponse>(tikv::kBackup.path, &context, request);
    for (backup::BackupResponse response; reader->Read(&response);) {
      EXPECT_FALSE(response.has_error()) << response.ShortDebugString();
    }
    EXPECT_TRUE(reader->Finish().ok());
  }
  served->live().Run([&served]() { served->Mark("looked"); });
  served->Stop();
  return recorded;
}

class ReplayedCluster : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/replayed-" + std::to_string(getpid()) + "-" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

TEST_F(ReplayedCluster, EveryCallIsAnsweredAsItWasAndTheKeysAreTheSame) {
  const Recorded recorded = RecordALife(folder_);
  ASSERT_GT(recorded.answers, 300U);
  std::filesystem::remove_all(folder_ + "/backup");  // nothing of it is needed
  std::string calls;
  std::vector<std::string> keys;
  ReplayOptions options;
  options.on_call = [&calls](const CallRecord& call) { calls += CallLine(call); };
  options.on_mark = [&keys](const std::string& mark, tikv::Cluster* cluster) {
    EXPECT_EQ(mark, "looked");
    keys = Keys(cluster);
  };
  const Result<ReplayCounts> replayed = ReplayRecording(recorded.recording, options);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_EQ(calls, recorded.calls);
  EXPECT_GE(keys.size(), 9U);
  EXPECT_THAT(keys, testing::Contains("loaded=before"));
  EXPECT_FALSE(std::filesystem::exists(folder_ + "/backup"));
  // Again, and from the recording alone.
  const std::string first = std::exchange(calls, {});
  ASSERT_TRUE(ReplayRecording(recorded.recording, options).ok());
  EXPECT_EQ(calls, first);
}

// Every input of `recording`, as messages.
std::vector<RecordedInput> Inputs(const std::string& recording, record::RecordingBegin* begin) {
  google::protobuf::io::ArrayInputStream stream(recording.data(), static_cast<int>(recording.size()));
  bool at_end = false;
  EXPECT_TRUE(google::protobuf::util::ParseDelimitedFromZeroCopyStream(begin, &stream, &at_end));
  std::vector<RecordedInput> inputs;
  for (RecordedInput input; google::protobuf::util::ParseDelimitedFromZeroCopyStream(&input, &stream, &at_end); input.Clear()) {
    inputs.push_back(input);
  }
  return inputs;
}

std::string Written(const record::RecordingBegin& begin, const std::vector<RecordedInput>& inputs) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    EXPECT_TRUE(google::protobuf::util::SerializeDelimitedToZeroCopyStream(begin, &stream));
    for (const RecordedInput& input : inputs) {
      EXPECT_TRUE(google::protobuf::util::SerializeDelimitedToZeroCopyStream(input, &stream));
    }
  }
  return bytes;
}

TEST_F(ReplayedCluster, AnotherValueInOneRequestIsAnotherAnswerAndAnotherFile) {
  const Recorded recorded = RecordALife(folder_);
  record::RecordingBegin begin;
  std::vector<RecordedInput> inputs = Inputs(recorded.recording, &begin);
  const auto written = std::find_if(inputs.rbegin(), inputs.rend(), [](const RecordedInput& input) {
    return input.call().path() == "/tikvpb.Tikv/KvPrewrite" && input.call().request().find("/39") != std::string::npos;
  });
  ASSERT_NE(written, inputs.rend());
  std::string* request = written->mutable_call()->mutable_request();
  (*request)[request->find("/39") + 1] = 'X';
  const Result<ReplayCounts> replayed = ReplayRecording(Written(begin, inputs), {});
  EXPECT_EQ(replayed.status().code(), StatusCode::kConflict);
  EXPECT_THAT(replayed.status().message(), HasSubstr("is not what the recorded one wrote"));
}

TEST_F(ReplayedCluster, ACallThatIsLeftOutIsAnotherWorld) {
  const Recorded recorded = RecordALife(folder_);
  record::RecordingBegin begin;
  std::vector<RecordedInput> inputs = Inputs(recorded.recording, &begin);
  const auto call = std::find_if(inputs.begin(), inputs.end(), [](const RecordedInput& input) { return input.has_call(); });
  ASSERT_NE(call, inputs.end());
  inputs.erase(call);
  inputs.back().mutable_end()->set_inputs(inputs.back().end().inputs() - 1);
  const Result<ReplayCounts> replayed = ReplayRecording(Written(begin, inputs), {});
  EXPECT_EQ(replayed.status().code(), StatusCode::kConflict) << replayed.status();
}

TEST_F(ReplayedCluster, WhatBreaksOffOrIsNoRecordingIsRefused) {
  const Recorded recorded = RecordALife(folder_);
  EXPECT_EQ(ReplayRecording("", {}).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ReplayRecording("no recording at all", {}).status().code(), StatusCode::kDataLoss);
  const std::string_view half = std::string_view(recorded.recording).substr(0, recorded.recording.size() / 2);
  EXPECT_THAT(ReplayRecording(half, {}).status().message(), HasSubstr("breaks off after"));
  record::RecordingBegin begin;
  const std::vector<RecordedInput> inputs = Inputs(recorded.recording, &begin);
  begin.set_schema(kRecordingSchema + 1);
  EXPECT_EQ(ReplayRecording(Written(begin, inputs), {}).status().code(), StatusCode::kUnsupported);
}

TEST_F(ReplayedCluster, DamageAnywhereIsRefusedOrAnotherWorldAndNeverACrash) {
  std::string recording;
  {
    ServeOptions options;
    options.pd_port = 0;
    options.stores = 1;
    options.versions = {{"loaded", "before", {}, {}}};
    options.on_recorded = [&recording](std::string_view bytes) { recording += bytes; };
    const std::unique_ptr<ServedCluster> served = *ServedCluster::Start(std::move(options));
    TestClusterClient client(served->pd_addresses().front());
    for (const char* key : {"a", "b", "c"}) {
      ASSERT_TRUE(client.Put(key, "value").has_value());
    }
    served->Stop();
  }
  ReplayOptions options;
  options.virtual_us_max = 60'000'000;
  ASSERT_TRUE(ReplayRecording(recording, options).ok());
  std::map<StatusCode, int> ends;
  uint64_t state = 1;
  for (int i = 0; i < 2000; ++i) {
    std::string damaged = recording;
    state = Mix64(state, 7);
    damaged[state % damaged.size()] = static_cast<char>(static_cast<unsigned char>(damaged[state % damaged.size()]) ^ (1U << (state >> 32) % 8));
    ++ends[ReplayRecording(damaged, options).status().code()];
  }
  EXPECT_GT(ends[StatusCode::kDataLoss], 20);
  EXPECT_GT(ends[StatusCode::kConflict], 20);
}

TEST(Recorder, CredentialsOfAStorageAreMaskedWithAsManyBytesAndNothingElseIs) {
  backup::BackupRequest request;
  request.set_start_key("secret_access_key");
  EXPECT_EQ(WithoutCredentials(request), nullptr);
  request.mutable_storage_backend()->mutable_s3()->set_secret_access_key("kvjurysecret");
  request.mutable_storage_backend()->mutable_s3()->set_bucket("bucket");
  const std::unique_ptr<google::protobuf::Message> masked = WithoutCredentials(request);
  ASSERT_NE(masked, nullptr);
  const auto& without = static_cast<const backup::BackupRequest&>(*masked);
  EXPECT_EQ(without.storage_backend().s3().secret_access_key(), "xxxxxxxxxxxx");
  EXPECT_EQ(without.storage_backend().s3().bucket(), "bucket");
  EXPECT_EQ(without.start_key(), request.start_key());
  EXPECT_EQ(without.ByteSizeLong(), request.ByteSizeLong());
}

}  // namespace
}  // namespace kvjury::ports
