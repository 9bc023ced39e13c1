// A served store uploads its backup to the bucket that the request names, and tells S3's own words when it cannot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/base/digest.h"
#include "fakes/ports/s3_server.h"
#include "fakes/ports/served_cluster.h"
#include "fakes/ports/test_cluster_client.h"

namespace kvjury::ports {
namespace {

class ServedS3 : public ::testing::Test {
 protected:
  void SetUp() override {
    S3ServerOptions s3;
    s3.buckets = {"bkt"};
    s3_ = *S3Server::Start(std::move(s3));
    ServeOptions options;
    options.pd_port = 0;
    options.stores = 1;
    served_ = *ServedCluster::Start(std::move(options));
    client_ = std::make_unique<TestClusterClient>(served_->pd_addresses().front());
    ASSERT_TRUE(client_->Put("key", "value").has_value());
  }

  /// The answers of a whole backup into a bucket.
  std::vector<backup::BackupResponse> Backup(const std::string& bucket) {
    backup::BackupRequest request;
    request.set_cluster_id(client_->cluster_id());
    request.set_end_version(client_->Now());
    backup::S3* s3 = request.mutable_storage_backend()->mutable_s3();
    s3->set_endpoint(s3_->endpoint());
    s3->set_bucket(bucket);
    s3->set_prefix("/some/prefix");
    s3->set_access_key("kvjury");
    s3->set_secret_access_key("kvjurysecret");
    s3->set_force_path_style(true);
    TestClient store(served_->stores().front().address);
    grpc::ClientContext context;
    auto reader = store.ServerStream<backup::BackupRequest, backup::BackupResponse>(tikv::kBackup.path, &context, request);
    std::vector<backup::BackupResponse> answers(1);
    while (reader->Read(&answers.back())) {
      answers.emplace_back();
    }
    EXPECT_TRUE(reader->Finish().ok());
    answers.pop_back();
    return answers;
  }

  std::unique_ptr<S3Server> s3_;
  std::unique_ptr<ServedCluster> served_;
  std::unique_ptr<TestClusterClient> client_;
};

TEST_F(ServedS3, FilesAreInTheBucketAsTheAnswerTells) {
  size_t files = 0;
  for (const backup::BackupResponse& answer : Backup("bkt")) {
    EXPECT_FALSE(answer.has_error()) << answer.error().msg();
    for (const backup::File& file : answer.files()) {
      ++files;
      const Result<Bytes> object = s3_->Get("bkt", "some/prefix/" + file.name());
      ASSERT_TRUE(object.ok()) << object.status();
      EXPECT_EQ(object->size(), file.size());
      EXPECT_EQ(Sha256(*object), file.sha256());
    }
  }
  EXPECT_GT(files, 0U);
  EXPECT_EQ(s3_->List("bkt", "")->size(), files);
}

TEST_F(ServedS3, AMissingBucketIsToldInS3sWords) {
  bool told = false;
  for (const backup::BackupResponse& answer : Backup("none")) {
    told = told || answer.error().msg().find("NoSuchBucket") != std::string::npos;
    EXPECT_EQ(answer.files_size(), 0);
    EXPECT_EQ(answer.error().msg().find("kvjurysecret"), std::string::npos);
  }
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace kvjury::ports
