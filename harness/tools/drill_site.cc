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
// A tool whose time is over and that wrote nothing for so long got on no more.
constexpr auto kStuckAfter = seconds(30);

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

int64_t UnixMs() { return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count(); }
int64_t MsSince(Clock::time_point begun) { return std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count(); }

/// The last line of a file that says something, printable and not too long.
std::string LastLine(const std::string& path) {
  constexpr size_t kLineSizeMax = 400;
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r-=") != std::string::npos) {
      last = line;
    }
  }
  return reports::Latin1(Printable(last.substr(0, kLineSizeMax)));
}

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

using CallCounts = std::map<std::pair<std::string, std::string>, ports::CallLog::Counts>;

/// "store-2 KvScan 120": what was asked most between two looks.
std::string MostAsked(const CallCounts& before, const CallCounts& after) {
  std::vector<std::pair<uint64_t, std::string>> grown;
  for (const auto& [where, counts] : after) {
    const auto found = before.find(where);
    const uint64_t more = counts.calls - (found == before.end() ? 0 : found->second.calls);
    if (more > 0) {
      grown.emplace_back(more, fmt::format("{} {} {} times", where.first, where.second, more));
    }
  }
  std::sort(grown.rbegin(), grown.rend());
  std::string words;
  for (size_t i = 0; i < std::min<size_t>(grown.size(), 4); ++i) {
    words += (i == 0 ? "" : ", ") + grown[i].second;
  }
  return words.empty() ? "nobody was asked anything" : words;
}

}  // namespace

// What the tool has come to: grows while it gets on.
struct DrillSite::Progress {
  Clock::time_point begun = Clock::now();
  Clock::time_point deadline;
  size_t next_event = 0;
  Clock::time_point changed = Clock::now();
  std::pair<uint64_t, uint64_t> size;
  CallCounts source;
  CallCounts target;
};

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

std::pair<uint64_t, uint64_t> DrillSite::StorageSize() const {
  std::pair<uint64_t, uint64_t> size;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(words_.at("storage_folder"), error)) {
    if (entry.is_regular_file(error)) {
      ++size.first;
      size.second += entry.file_size(error);
    }
  }
  return size;
}

Status DrillSite::FireEvents(const std::string& phase, int64_t elapsed_ms, size_t* next) {
  constexpr int kHadNoEffect = 3;
  const auto& events = phase == "backup" ? options_.fault.during_backup() : options_.fault.during_restore();
  while (*next < static_cast<size_t>(events.size()) && events[static_cast<int>(*next)].after_ms() <= elapsed_ms) {
    const record::DrillFault::Event& event = events[static_cast<int>(*next)];
    ++*next;
    const std::string control = options_.scratch + (event.at_target() && target_ != nullptr ? "/target" : "/source") + ".control";
    Command command;
    command.arguments = {"/bin/sh", "-c", fmt::format("exec \"$0\" poke \"$1\" {}", event.poke()), options_.kvjury, control};
    command.output = options_.folder + "/poke.said";
    ASSIGN_OR_RETURN(const int code, RunToEnd(command, seconds(10)));
    if (code != 0 && code != kHadNoEffect) {
      return Status::InvalidArgument(fmt::format("fault {}, poke \"{}\": {}", options_.fault.name(), event.poke(), LastLine(command.output)));
    }
    pokes_[event.poke().substr(0, event.poke().find(' '))] += code == 0 ? 1 : 0;
  }
  return Status::Ok();
}

std::map<std::string, uint64_t> DrillSite::FaultsFired() {
  std::map<std::string, uint64_t> fired = s3_->fired_counts();
  for (const auto& [kind, count] : pokes_) {
    fired[kind] += count;
  }
  for (ports::ServedCluster* cluster : {source_.get(), target_.get()}) {
    if (cluster != nullptr) {
      cluster->live().Run([&fired, cluster]() {
        sim::FaultPlan& plan = cluster->cluster().world()->faults();
        for (const auto& [kind, count] : plan.fired_counts()) {
          fired[kind] += count;
        }
        if (!plan.fired_nudges().empty()) {
          fired["nudge"] += plan.fired_nudges().size();
        }
      });
    }
  }
  return fired;
}

record::DrillCommand DrillSite::RunCommand(const std::string& phase, const std::string& line, int number, Progress* progress) {
  record::DrillCommand done;
  done.set_phase(phase);
  done.set_line(line);
  done.set_output_file(fmt::format("{}-{}.out", phase, number));
  Command command;
  command.arguments = {"/bin/sh", "-c", line};
  command.environment = Environment();
  command.folder = options_.scratch;
  command.output = options_.folder + "/" + done.output_file();
  done.set_began_ms(UnixMs());
  const auto begun = Clock::now();
  Result<Process> process = Process::Start(command);
  if (!process.ok()) {
    done.set_exit_code(127);
    done.set_last_line(process.error().message());
    return done;
  }
  auto looked = begun;
  while (!process->Poll().has_value() && Clock::now() < progress->deadline) {
    const Status fired = FireEvents(phase, MsSince(progress->begun), &progress->next_event);
    event_failure_ = event_failure_.ok() ? fired : event_failure_;
    if (Clock::now() - looked > seconds(1)) {
      looked = Clock::now();
      if (const auto size = StorageSize(); size != progress->size) {
        progress->size = size;
        progress->changed = looked;
        progress->source = source_->calls().counts();
        progress->target = target().calls().counts();
      }
    }
    std::this_thread::sleep_for(kPoll);
  }
  done.set_timed_out(!process->Poll().has_value());
  if (done.timed_out() && Clock::now() - progress->changed > kStuckAfter) {
    stuck_ = fmt::format("{} wrote nothing for {} s; of the source {}; of the target {}", phase, MsSince(progress->changed) / 1000,
                         MostAsked(progress->source, source_->calls().counts()), MostAsked(progress->target, target().calls().counts()));
  }
  process->Kill();
  done.set_exit_code(process->Poll().value_or(128 + SIGKILL));
  done.set_took_ms(MsSince(begun));
  done.set_last_line(LastLine(command.output));
  return done;
}

Status DrillSite::RunPhase(const std::string& phase, record::DrillRecord* record) {
  Progress progress;
  RETURN_IF_ERROR(FireEvents(phase, 0, &progress.next_event));
  progress.begun = Clock::now();
  progress.deadline = Clock::now() + options_.time_limit;
  progress.source = source_->calls().counts();
  progress.target = target().calls().counts();
  int number = 0;
  for (const std::string& command : phase == "backup" ? options_.recipe.backup() : options_.recipe.restore()) {
    Result<std::string> line = Expand(command, words_);
    if (!line.ok()) {
      return line.error().WithContext(fmt::format("recipe {}, {}", options_.recipe.name(), phase));
    }
    if (options_.on_step) {
      options_.on_step(phase);
    }
    const record::DrillCommand& done = *record->add_command() = RunCommand(phase, *line, ++number, &progress);
    if (done.exit_code() != 0 || done.timed_out()) {
      break;
    }
  }
  return event_failure_;
}

}  // namespace kvjury::tools
