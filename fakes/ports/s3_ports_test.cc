// S3 on both sides of a real port: our client against our server, what goes wrong on the way, large objects, the past over a folder.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "fakes/base/digest.h"
#include "fakes/ports/s3_client.h"
#include "fakes/ports/s3_server.h"

namespace kvjury::ports {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::unique_ptr<S3Server> Start(S3ServerOptions options = {}) {
  options.buckets.emplace_back("bkt");
  Result<std::unique_ptr<S3Server>> server = S3Server::Start(std::move(options));
  CHECK(server.ok()) << server.status();
  return *std::move(server);
}

::backup::S3 TargetOf(const S3Server& server, const std::string& prefix = "some/prefix/") {
  ::backup::S3 target;
  target.set_endpoint(server.endpoint() + "/");
  target.set_bucket("bkt");
  target.set_prefix(prefix);
  target.set_access_key("kvjury");
  target.set_secret_access_key("kvjurysecret");
  target.set_force_path_style(true);
  return target;
}

std::unique_ptr<objects::ObjectStore> Connect(const ::backup::S3& target, S3ClientOptions options = {}) {
  options.first_pause_ms = 1;
  Result<std::unique_ptr<objects::ObjectStore>> store = S3ObjectStore::Open(target, std::move(options));
  CHECK(store.ok()) << store.status();
  return *std::move(store);
}

record::Case Plan(const std::string& at, const std::function<void(record::Fault*)>& make) {
  record::Case c;
  c.add_fault()->set_at(at);
  make(c.mutable_fault(0));
  return c;
}

uint64_t Fired(const S3Server& server, const std::string& kind) {
  const std::map<std::string, uint64_t> counts = server.fired_counts();
  const auto found = counts.find(kind);
  return found == counts.end() ? 0 : found->second;
}

TEST(S3Ports, TheClientKeepsTheContractOfAStore) {
  const auto server = Start();
  const auto store = Connect(TargetOf(*server));
  EXPECT_TRUE(store->is_slow());
  EXPECT_EQ(store->Get("none").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store->Head("none").status().code(), StatusCode::kNotFound);
  const std::string odd = "1/a b+c&d=\xc3\xa9%.sst";
  for (const std::string& name : {std::string("backupmeta"), odd}) {
    EXPECT_TRUE(store->Put(name, "old").ok());
    EXPECT_TRUE(store->Put(name, std::string("b\0b", 3)).ok());
    EXPECT_EQ(*store->Get(name), std::string("b\0b", 3));
    EXPECT_EQ(store->Head(name)->bytes, 3U);
  }
  EXPECT_TRUE(store->Put("empty", "").ok());
  EXPECT_EQ(*store->Get("empty"), "");
  const std::vector<objects::ObjectInfo> all = {{odd, 3}, {"backupmeta", 3}, {"empty", 0}};
  EXPECT_EQ(*store->List(""), all);
  EXPECT_EQ(store->List("1/")->size(), 1U);
  EXPECT_EQ(*server->Get("bkt", "some/prefix/" + odd), std::string("b\0b", 3));
  EXPECT_TRUE(store->Delete("empty").ok());
  EXPECT_TRUE(store->Delete("empty").ok());
  EXPECT_EQ(store->List("")->size(), 2U);
}

TEST(S3Ports, ListingsOfManyPages) {
  const auto server = Start();
  const auto store = Connect(TargetOf(*server, ""));
  for (int i = 0; i < 1'005; ++i) {
    ASSERT_TRUE(store->Put("k" + std::to_string(10'000 + i), "").ok());
  }
  EXPECT_EQ(store->List("k")->size(), 1'005U);
}

TEST(S3Ports, LargeObjectsGoInParts) {
  const auto server = Start();
  const auto store = Connect(TargetOf(*server));
  std::string large(size_t{64} << 20, '\0');
  for (size_t i = 0; i < large.size(); i += 8) {
    const uint64_t value = Mix64(i, 1);
    large.replace(i, 8, reinterpret_cast<const char*>(&value), 8);
  }
  ASSERT_TRUE(store->Put("large", large).ok());
  EXPECT_EQ(server->calls().counts().at({"s3", "UploadPart"}).calls, 13U);
  EXPECT_EQ(*store->Get("large"), large);
  S3ClientOptions whole;
  whole.part_bytes = UINT64_MAX;
  ASSERT_TRUE(Connect(TargetOf(*server), whole)->Put("whole", large).ok());
  EXPECT_EQ(store->Head("whole")->bytes, large.size());
}

TEST(S3Ports, WrongKeysAndTargets) {
  const auto server = Start();
  ::backup::S3 target = TargetOf(*server);
  target.set_secret_access_key("hunter2");
  const Status wrong = Connect(target)->Put("x", "1");
  EXPECT_EQ(wrong.code(), StatusCode::kRejected);
  EXPECT_THAT(wrong.message(), HasSubstr("<Code>SignatureDoesNotMatch</Code>"));
  EXPECT_THAT(wrong.message(), Not(HasSubstr("hunter2")));
  target.set_access_key("somebody");
  EXPECT_THAT(Connect(target)->Get("x").status().message(), HasSubstr("InvalidAccessKeyId"));
  target = TargetOf(*server);
  target.set_bucket("none");
  EXPECT_EQ(Connect(target)->Put("x", "1").code(), StatusCode::kRejected) << "no bucket is not a missing object";
  target.set_endpoint("127.0.0.1:9000");
  EXPECT_EQ(S3ObjectStore::Open(target).status().code(), StatusCode::kInvalidArgument);
  target.set_bucket("");
  EXPECT_EQ(S3ObjectStore::Open(target).status().code(), StatusCode::kInvalidArgument);
}

TEST(S3Ports, CredentialsOfTheEnvironment) {
  const auto server = Start();
  ::backup::S3 target = TargetOf(*server);
  target.clear_access_key();
  target.clear_secret_access_key();
  unsetenv("AWS_ACCESS_KEY_ID");
  unsetenv("AWS_SECRET_ACCESS_KEY");
  EXPECT_THAT(S3ObjectStore::Open(target).status().message(), HasSubstr("credential info not found"));
  setenv("AWS_ACCESS_KEY_ID", "kvjury", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "kvjurysecret", 1);
  EXPECT_TRUE(Connect(target)->Put("x", "1").ok());
}

TEST(S3Ports, PassingTroubleIsTriedAgain) {
  const auto server = Start();
  const auto store = Connect(TargetOf(*server));
  using Make = void (*)(record::Fault*);
  const std::vector<std::pair<std::string, Make>> kTroubles = {
      {"object_error", [](record::Fault* fault) { fault->mutable_object_error(); }},
      {"object_error", [](record::Fault* fault) { fault->mutable_object_error()->set_after_effect(true); }},
      {"object_throttle", [](record::Fault* fault) { fault->mutable_object_throttle(); }},
      {"object_full", [](record::Fault* fault) { fault->mutable_object_full(); }},
      {"lose_request", [](record::Fault* fault) { fault->mutable_lose_request(); }},
      {"lose_reply", [](record::Fault* fault) { fault->mutable_lose_reply(); }}};
  int i = 0;
  for (const auto& [kind, make] : kTroubles) {
    const std::string name = "t" + std::to_string(i++);
    const uint64_t before = Fired(*server, kind);
    server->AddFaults(Plan("external/s3/PutObject[bkt/some/prefix/" + name + "]#1", make));
    EXPECT_TRUE(store->Put(name, name).ok()) << kind;
    EXPECT_EQ(Fired(*server, kind), before + 1) << kind;
    EXPECT_EQ(*store->Get(name), name);
  }
  server->AddFaults(Plan("external/s3/GetObject[bkt/some/prefix/t0]#2", [](record::Fault* fault) { fault->mutable_stream_reset(); }));
  EXPECT_EQ(*store->Get("t0"), "t0") << "a body that ends too early is no body";
  EXPECT_EQ(Fired(*server, "stream_reset"), 1U);
  EXPECT_TRUE(server->never_fired().empty());
}

TEST(S3Ports, TroubleThatStaysIsAnErrorWithS3sCode) {
  const auto server = Start();
  S3ClientOptions options;
  options.tries_max = 2;
  const auto store = Connect(TargetOf(*server), options);
  for (int i = 1; i <= 2; ++i) {
    server->AddFaults(Plan("external/s3/PutObject#" + std::to_string(i), [](record::Fault* fault) { fault->mutable_object_throttle(); }));
  }
  const Status put = store->Put("x", "1");
  EXPECT_EQ(put.code(), StatusCode::kUnavailable);
  EXPECT_THAT(put.message(), HasSubstr("<Code>SlowDown</Code>"));
  EXPECT_EQ(server->List("bkt", "")->size(), 0U);
}

TEST(S3Ports, AnErrorInsideSuccessIsAnErrorAndLeavesNoParts) {
  const auto server = Start();
  S3ClientOptions options;
  options.tries_max = 1;
  const auto store = Connect(TargetOf(*server), options);
  server->AddFaults(Plan("external/s3/CompleteMultipartUpload#1", [](record::Fault* fault) { fault->mutable_object_error()->set_in_body(true); }));
  const std::string large(size_t{6} << 20, 'x');
  EXPECT_EQ(store->Put("large", large).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store->Head("large").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(server->calls().counts().at({"s3", "AbortMultipartUpload"}).calls, 1U);
  EXPECT_TRUE(store->Put("large", large).ok());
}

TEST(S3Ports, CorruptSlowAndDelayed) {
  const auto server = Start();
  const auto store = Connect(TargetOf(*server, ""));
  ASSERT_TRUE(store->Put("x", std::string(1'000, 'a')).ok());
  server->AddFaults(Plan("external/s3/GetObject[bkt/x]#1", [](record::Fault* fault) { fault->mutable_object_corrupt(); }));
  const Bytes corrupt = *store->Get("x");
  EXPECT_EQ(corrupt.size(), 1'000U);
  EXPECT_NE(corrupt, std::string(1'000, 'a'));
  const auto taken_ms = [&store]() {
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_EQ(*store->Get("x"), std::string(1'000, 'a'));
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count();
  };
  server->AddFaults(Plan("external/s3/GetObject[bkt/x]#2", [](record::Fault* fault) { fault->mutable_object_slow()->set_bytes_per_s(4'000); }));
  EXPECT_GE(taken_ms(), 240);
  record::Case delay;
  delay.add_nudge()->set_at("external/s3/GetObject[bkt/x]#3");
  delay.mutable_nudge(0)->set_delay_us(200'000);
  server->AddFaults(delay);
  EXPECT_GE(taken_ms(), 200);
  EXPECT_EQ(Fired(*server, "object_slow"), 1U);
}

TEST(S3Ports, ThePastOutlivesTheServerOverAFolder) {
  const std::string folder = ::testing::TempDir() + "kvjury-s3-" + std::to_string(getpid());
  S3ServerOptions options;
  options.data = folder;
  int64_t before_ms = 0;
  {
    const auto server = Start(options);
    const auto store = Connect(TargetOf(*server, ""));
    ASSERT_TRUE(store->Put("chunks/0/1", "block").ok());
    before_ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ASSERT_TRUE(store->Delete("chunks/0/1").ok());
  }
  const auto server = Start(options);
  EXPECT_EQ(server->Get("bkt", "chunks/0/1").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(*server->Get("bkt", "chunks/0/1", before_ms), "block");
  ::backup::S3 past = TargetOf(*server, "");
  past.set_bucket("bkt-at-" + std::to_string(before_ms));
  EXPECT_EQ(*Connect(past)->Get("chunks/0/1"), "block");
  EXPECT_EQ(Connect(past)->List("")->size(), 1U);
  EXPECT_EQ(Connect(past)->Put("x", "1").code(), StatusCode::kRejected);
  std::filesystem::remove_all(folder);
}

TEST(S3Ports, OverTls) {
  const std::string folder = ::testing::TempDir() + "kvjury-s3-tls-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  ASSERT_TRUE(MakeTestCertificates(folder).ok());
  S3ServerOptions options;
  options.tls = {"", folder + "/server.pem", folder + "/server-key.pem"};
  const auto server = Start(options);
  S3ClientOptions once;
  once.tries_max = 1;
  EXPECT_EQ(Connect(TargetOf(*server), once)->Put("x", "1").code(), StatusCode::kUnavailable) << "an unknown authority";
  setenv("AWS_CA_BUNDLE", (folder + "/ca.pem").c_str(), 1);
  EXPECT_TRUE(Connect(TargetOf(*server), once)->Put("x", "1").ok());
  unsetenv("AWS_CA_BUNDLE");
  std::filesystem::remove_all(folder);
}

TEST(S3Ports, StartNamesWhatIsWrong) {
  S3ServerOptions options;
  options.buckets = {"No_Bucket"};
  EXPECT_EQ(S3Server::Start(options).status().code(), StatusCode::kInvalidArgument);
  const auto server = Start();
  options = {};
  options.port = std::stoi(server->address().substr(server->address().rfind(':') + 1));
  EXPECT_EQ(S3Server::Start(options).status().code(), StatusCode::kEnvironment);
}

}  // namespace
}  // namespace kvjury::ports
