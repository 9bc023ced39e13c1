#include "harness/tools/drill_site.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "fakes/objects/s3_faults.h"
#include "harness/juicefs/view_json.h"
#include "harness/tools/mount_writer.h"
#include "reports/text.h"

namespace kvjury::tools {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr char kHost[] = "127.0.0.1";
constexpr int kSourcePort = 2379;
constexpr int kTargetPort = 3379;
constexpr int kFrozenPort = 4379;
constexpr int kS3Port = 9000;
constexpr char kBucket[] = "jfs";
constexpr char kBackupBucket[] = "backup";
constexpr int64_t kTimestampLagMs = 100;
constexpr char kBackupPrefix[] = "full";
constexpr uint32_t kStores = 3;
constexpr uint32_t kRegions = 4;
constexpr auto kPoll = milliseconds(20);
constexpr auto kMountLimit = seconds(30);
constexpr auto kUnmountLimit = seconds(20);
constexpr auto kWalkLimit = seconds(120);
constexpr auto kWarmUpLimit = seconds(30);
constexpr uint64_t kWarmUpOperations = 30;

// A prefix of a bucket of our own server, to be read without a socket.
class BucketReader final : public objects::ObjectStore {
 public:
  BucketReader(ports::S3Server* server, std::string bucket, std::string prefix)
      : server_(server), bucket_(std::move(bucket)), prefix_(std::move(prefix) + "/") {}
  Status Put(const std::string& name, std::string_view) override { return OnlyRead(name); }
  Status Delete(const std::string& name) override { return OnlyRead(name); }
  Result<Bytes> Get(const std::string& name) override { return server_->Get(bucket_, prefix_ + name); }
  Result<objects::ObjectInfo> Head(const std::string& name) override {
    ASSIGN_OR_RETURN(const Bytes bytes, Get(name));
    return objects::ObjectInfo{name, bytes.size()};
  }
  Result<std::vector<objects::ObjectInfo>> List(const std::string& prefix) override {
    ASSIGN_OR_RETURN(std::vector<objects::ObjectInfo> found, server_->List(bucket_, prefix_ + prefix));
    for (objects::ObjectInfo& object : found) {
      object.name = object.name.substr(prefix_.size());
    }
    return found;
  }
  [[nodiscard]] std::string description() const override { return "s3://" + bucket_ + "/" + prefix_; }

 private:
  static Status OnlyRead(const std::string& name) { return Status::InvalidArgument(name + " is only to be read"); }
  ports::S3Server* server_;
  std::string bucket_;
  std::string prefix_;
};


bool IsMounted(const std::string& path) {
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) {
      fields >> field;
    }
    if (field == path) {
      return true;
    }
  }
  return false;
}

}  // namespace

int64_t UnixMs() { return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }

DrillSite::DrillSite(const DrillOptions& options) : options_(options) {}

DrillSite::~DrillSite() {
  for (Process& writer : writers_) {
    writer.Kill();
  }
}

Status DrillSite::StartCluster(const std::string& name, ports::ServeOptions options, std::unique_ptr<ports::ServedCluster>* cluster) {
  options.host = kHost;
  options.stores = kStores;
  options.control = options_.scratch + "/" + name + ".control";
  if (options_.recipe.tls()) {
    const std::string folder = options_.scratch + "/tls";
    options.tls = {folder + "/ca.pem", folder + "/server.pem", folder + "/server-key.pem"};
  }
  Recorded* recorded = &recorded_[name];
  options.on_call = [recorded](const ports::CallRecord& call) { recorded->calls += ports::CallLine(call); };
  options.on_recorded = [recorded](std::string_view bytes) { recorded->inputs += bytes; };
  Result<std::unique_ptr<ports::ServedCluster>> started = ports::ServedCluster::Start(std::move(options));
  if (!started.ok()) {
    return started.error().WithContext(name);
  }
  *cluster = *std::move(started);
  return Status::Ok();
}

ports::TlsFiles DrillSite::ClientTls() const {
  const std::string folder = options_.scratch + "/tls";
  return options_.recipe.tls() ? ports::TlsFiles{folder + "/ca.pem", folder + "/client.pem", folder + "/client-key.pem"} : ports::TlsFiles();
}

std::string DrillSite::MetaOf(const std::string& pd) const {
  const int port = pd == "source" ? kSourcePort : pd == "target" ? kTargetPort : kFrozenPort;
  std::string meta = fmt::format("tikv://{}:{}/{}", kHost, port, options_.volume_name);
  if (const ports::TlsFiles tls = ClientTls(); !tls.ca.empty()) {
    meta += fmt::format("?ca={}&cert={}&key={}", tls.ca, tls.certificate, tls.key);
  }
  return meta;
}

Status DrillSite::Start() {
  const std::string& scratch = options_.scratch;
  std::error_code error;
  for (const char* folder : {"/backup", "/home", "/tmp", "/cache", "/tls", "/mounts"}) {
    fs::create_directory(scratch + folder, error);
  }
  if (options_.recipe.tls()) {
    RETURN_IF_ERROR(ports::MakeTestCertificates(scratch + "/tls"));
  }
  record::Case faults = options_.fault.source();
  ports::S3ServerOptions s3;
  s3.host = kHost;
  s3.port = kS3Port;
  s3.buckets = {kBucket, kBackupBucket};
  s3.data = scratch + "/s3";
  s3.on_call = [this](const std::string& call, const std::string& resource, uint32_t status) {
    const std::lock_guard lock(s3_mutex_);
    s3_calls_ += fmt::format("{}\t{}\t{}\t{}\n", UnixMs(), status, call, resource);
  };
  s3.faults = objects::TakeS3Faults(&faults);
  ASSIGN_OR_RETURN(s3_, ports::S3Server::Start(std::move(s3)));
  ports::ServeOptions source;
  source.pd_port = kSourcePort;
  source.regions = kRegions;
  source.keep_collected = true;
  source.versions = options_.versions;
  for (const std::string& key : options_.fault.extra_key()) {
    source.versions.push_back({key, "a value beside the volume", {}, {}});
  }
  std::sort(source.versions.begin(), source.versions.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  source.faults = std::move(faults);
  RETURN_IF_ERROR(StartCluster("source", std::move(source), &source_));
  const bool same_cluster = options_.recipe.same_cluster();
  if (!same_cluster) {
    ports::ServeOptions target;
    target.pd_port = kTargetPort;
    target.faults = options_.fault.target();
    RETURN_IF_ERROR(StartCluster("target", std::move(target), &target_));
  }
  const std::string pd = fmt::format("{}:{}", kHost, kSourcePort);
  words_ = {{"pd", pd},
            {"pd2", same_cluster ? pd : fmt::format("{}:{}", kHost, kTargetPort)},
            {"meta", MetaOf("source")},
            {"meta2", MetaOf(same_cluster ? "source" : "target")},
            {"volume", options_.volume_name},
            {"storage", "local://" + scratch + "/backup"},
            {"storage_folder", scratch + "/backup"},
            {"dump", scratch + "/backup/dump"},
            {"bucket", s3_->endpoint() + "/" + kBucket},
            {"bucket_folder", scratch + "/s3/" + kBucket},
            {"log", options_.folder + "/tool.log"},
            {"work", scratch},
            {"kvjury", options_.kvjury},
            {"tls_flags", ""},
            {"storage_flags", ""},
            {"backup_flags", options_.fault.backup_flags()},
            {"restore_flags", options_.fault.restore_flags()}};
  if (options_.recipe.s3()) {
    words_["storage"] = fmt::format("s3://{}/{}", kBackupBucket, kBackupPrefix);
    words_["storage_folder"] = fmt::format("{}/s3/{}", scratch, kBackupBucket);
    words_["storage_flags"] = fmt::format("--s3.endpoint {}", s3_->endpoint());
  }
  if (const ports::TlsFiles tls = ClientTls(); !tls.ca.empty()) {
    words_["tls_flags"] = fmt::format("--ca {} --cert {} --key {}", tls.ca, tls.certificate, tls.key);
  }
  for (const FoundTool& tool : options_.tools) {
    std::string word = tool.name;
    std::replace(word.begin(), word.end(), '-', '_');
    words_[word] = tool.path;
  }
  return Status::Ok();
}

Status DrillSite::StartFrozen(const judge::Pairs& pairs, Timestamp cut) {
  ports::ServeOptions options;
  options.pd_port = kFrozenPort;
  options.read_only = "this cluster shows the source at the cut of a drill";
  options.at = cut;
  for (const auto& [key, version] : pairs) {
    options.versions.push_back({key, version.value, version.start_ts, version.commit_ts});
  }
  return StartCluster("frozen", std::move(options), &frozen_);
}

Result<std::unique_ptr<objects::ObjectStore>> DrillSite::Storage() {
  if (options_.recipe.s3()) {
    return std::unique_ptr<objects::ObjectStore>(std::make_unique<BucketReader>(s3_.get(), kBackupBucket, kBackupPrefix));
  }
  return objects::DirectoryObjectStore::Open(words_.at("storage_folder"), objects::DirectoryObjectStore::Access::kReadOnly);
}

void DrillSite::Stop() {
  if (s3_ != nullptr) {
    s3_->Stop();
  }
  for (ports::ServedCluster* cluster : {source_.get(), target_.get(), frozen_.get()}) {
    if (cluster != nullptr) {
      cluster->Stop();
    }
  }
}

Timestamp DrillSite::Now() {
  Timestamp now;
  source_->live().Run([this, &now]() { now = source_->cluster().pd().oracle().last(); });
  return now;
}

std::string DrillSite::PathOf(const std::string& tool) const {
  for (const FoundTool& found : options_.tools) {
    if (found.name == tool) {
      return found.path;
    }
  }
  return {};
}

std::map<std::string, std::string> DrillSite::Environment() const {
  std::map<std::string, std::string> environment = {
      {"HOME", options_.scratch + "/home"}, {"TMPDIR", options_.scratch + "/tmp"}, {"SKIP_BACKUP_META_CHECK", "true"},
      {"AWS_ACCESS_KEY_ID", s3_->access_key()}, {"AWS_SECRET_ACCESS_KEY", ports::S3ServerOptions().secret_key}, {"AWS_REGION", "us-east-1"}};
  for (const auto& [name, value] : words_) {
    std::string variable = "KVJURY_" + name;
    std::transform(variable.begin(), variable.end(), variable.begin(), [](unsigned char c) { return std::toupper(c); });
    environment[variable] = value;
  }
  return environment;
}

Result<std::unique_ptr<DrillMount>> DrillSite::Mount(const std::string& meta, const std::string& name,
                                                     const std::vector<std::string>& flags, Timestamp bucket_at) {
  const std::string juicefs = PathOf("juicefs");
  if (juicefs.empty()) {
    return Status::NotFound("no juicefs, so nothing can be mounted");
  }
  const std::string path = options_.scratch + "/mounts/" + name;
  std::error_code error;
  fs::create_directory(path, error);
  std::string bucket = words_.at("bucket");
  if (bucket_at.valid()) {
    // PD's timestamps lag behind its clock by up to its update interval; a clock that is ahead says a time that is still to come.
    bucket += fmt::format("-at-{}", std::min(bucket_at.physical_ms() + kTimestampLagMs, UnixMs()));
  }
  Command command;
  command.arguments = {juicefs,       "mount",        meta,          path, "--no-usage-report", "--no-agent", "--enable-xattr",
                       "--cache-size", "0",           "--cache-dir", options_.scratch + "/cache", "--storage", "s3",
                       "--bucket",    bucket, "--log", options_.folder + "/mount-" + name + ".log"};
  command.arguments.insert(command.arguments.end(), flags.begin(), flags.end());
  command.environment = Environment();
  command.output = options_.folder + "/mount-" + name + ".said";
  ASSIGN_OR_RETURN(Process process, Process::Start(command));
  auto mount = std::make_unique<DrillMount>(std::move(process), path);
  const auto deadline = Clock::now() + kMountLimit;
  while (!IsMounted(path)) {
    if (mount->process().Poll().has_value() || Clock::now() > deadline) {
      return Status::Undetermined(fmt::format("juicefs mount of {} did not get ready: {}", name, LastLine(command.output)));
    }
    std::this_thread::sleep_for(kPoll);
  }
  return mount;
}

void DrillSite::Unmount(std::unique_ptr<DrillMount> mount) {
  Command command;
  command.arguments = {PathOf("juicefs"), "umount", mount->path()};
  command.environment = Environment();
  command.output = options_.folder + "/umount.said";
  static_cast<void>(RunToEnd(command, kUnmountLimit));
  mount->process().Wait(Clock::now() + kUnmountLimit);
  mount->process().Kill();
  umount2(mount->path().c_str(), MNT_DETACH);
}

Result<juicefs::View> DrillSite::WalkOf(const DrillMount& mount, const std::string& name) {
  Command command;
  command.arguments = {options_.kvjury, "view", "--json", "--contents", "--contents-below", kWritersFolder, "mount://" + mount.path()};
  command.standard_output = options_.folder + "/" + name;
  command.output = options_.folder + "/walk.said";
  ASSIGN_OR_RETURN(const int code, RunToEnd(command, kWalkLimit));
  if (code != 0) {
    return Status::Undetermined(fmt::format("the walk of {} ended with {}: {}", mount.path(), code, LastLine(command.output)));
  }
  std::ifstream file(command.standard_output, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return juicefs::ParseViewJson(name, text);
}

Status DrillSite::StartWriters(const DrillMount& mount) {
  for (uint32_t i = 1; i <= options_.writers; ++i) {
    Command command;
    command.arguments = {options_.kvjury,       "write",   mount.path(),  "--seed",
                         std::to_string(options_.seed + options_.number), "--writer", std::to_string(i), "--count-file",
                         fmt::format("{}/writer-{}.count", options_.scratch, i)};
    command.output = fmt::format("{}/writer-{}.said", options_.folder, i);
    ASSIGN_OR_RETURN(Process process, Process::Start(command));
    writers_.push_back(std::move(process));
  }
  const auto deadline = Clock::now() + kWarmUpLimit;
  while (OperationsOfWriters() < kWarmUpOperations * options_.writers) {
    if (Clock::now() > deadline) {
      return Status::Undetermined("the writers do not get on: " + LastLine(options_.folder + "/writer-1.said"));
    }
    std::this_thread::sleep_for(kPoll);
  }
  return Status::Ok();
}

uint64_t DrillSite::OperationsOfWriters() const {
  uint64_t operations = 0;
  for (uint32_t i = 1; i <= options_.writers; ++i) {
    operations += OperationsDone(fmt::format("{}/writer-{}.count", options_.scratch, i));
  }
  return operations;
}

Status DrillSite::StopWriters() {
  for (Process& writer : writers_) {
    writer.Terminate();
  }
  Status failure;
  const auto deadline = Clock::now() + kUnmountLimit;
  for (size_t i = 0; i < writers_.size(); ++i) {
    const std::optional<int> code = writers_[i].Wait(deadline);
    if (failure.ok() && (!code.has_value() || *code != 0)) {
      const std::string said = LastLine(fmt::format("{}/writer-{}.said", options_.folder, i + 1));
      failure = Status::Environment(fmt::format("writer {} {}: {}", i + 1, code.has_value() ? "failed" : "hangs", said));
    }
    writers_[i].Kill();
  }
  writers_.clear();
  return failure;
}

Status DrillSite::RemoveAll(const DrillMount& mount) {
  Command command;
  command.arguments = {"/bin/sh", "-c", "find \"$0\" -mindepth 1 -maxdepth 1 ! -name '.*' -exec rm -rf {} +", mount.path()};
  command.output = options_.folder + "/remove.said";
  ASSIGN_OR_RETURN(const int code, RunToEnd(command, kWalkLimit));
  return code == 0 ? Status::Ok() : Status::Undetermined("the removal of the files ended with " + std::to_string(code));
}

}  // namespace kvjury::tools
