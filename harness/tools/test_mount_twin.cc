// Test support of posix_test.py: one sequence of operations carried out by three witnesses, whose answers are compared one by one.
//
//   kvjury_mount_twin draw PD BUCKET MOUNT SEED OPERATIONS ACL ATIME   a drawn sequence: a session of ours on the cluster at PD (with its blocks in BUCKET), a
//                                                 mounted folder of another cluster, the model of POSIX. At the end each entry is looked at by all.
//                                                 ACL: acl, or no-acl as the volumes were formatted. ATIME: the mode of both mounts. What the kernel
//                                                 refuses a session is not asked.
//   kvjury_mount_twin table FILE MOUNT            the rows of an errno table (harness/judge/errno_table.h) on a mounted folder: the file as it should be
// stdout of draw: a JSON object a difference; then one of counts, with the inodes of both sides. Exit code 0 when it ran to its end, 6 otherwise.
#include <google/protobuf/text_format.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "fakes/base/check.h"
#include "harness/client/client.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/operation_mix.h"
#include "harness/juicefs/writer.h"
#include "harness/judge/errno_table.h"
#include "harness/judge/posix_model.h"
#include "harness/judge/posix_writer.h"
#include "harness/remote/remote_world.h"
#include "harness/tools/mount_operations.h"
#include "proto/tikv/tikvpb.pb.h"

namespace kvjury::tools {
namespace {

using judge::PosixResult;
using Json = nlohmann::ordered_json;

constexpr char kVolume[] = "vol1";
constexpr uint32_t kSession = 1;

int64_t WallNow() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string TextOf(const record::Operation& operation) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(operation, &text);
  return text;
}

/// A session of ours on a served cluster; everything of it lives on the world's thread.
class OurSession {
 public:
  OurSession(remote::RemoteWorld* world, std::string pd, const std::string& bucket, juicefs::AtimeMode atime)
      : world_(*world), pd_(std::move(pd)), atime_(atime), bucket_(objects::DirectoryObjectStore::Open(bucket, objects::DirectoryObjectStore::Access::kReadWrite)) {}

  Status Start() { return world_.Run(Begin()); }
  juicefs::OperationResult Do(const record::Operation& operation) { return world_.Run(Carry(operation)); }
  Status Stop() { return world_.Run(End()); }

 private:
  sim::Task<Status> Begin() {
    CO_RETURN_IF_ERROR(bucket_.status());
    client_ = std::make_unique<client::Client>(world_.channel(), world_.scheduler(), "client-w1", pd_, nullptr);
    blocks_ = std::make_unique<juicefs::BlockStore>(objects::WorldObjectStore(world_.world(), bucket_->get(), 0), juicefs::BlockLayout{kVolume});
    juicefs::WriterOptions options;
    options.id = kSession;
    options.volume_name = kVolume;
    options.wall_ns = WallNow;
    options.blocks = blocks_.get();
    options.mount.atime = atime_;
    writer_ = std::make_unique<juicefs::Writer>(client_.get(), options);
    sim::Task<Status> start = writer_->Start();
    co_return co_await std::move(start);
  }
  sim::Task<juicefs::OperationResult> Carry(record::Operation operation) {
    sim::Task<juicefs::OperationResult> run = writer_->Do(std::move(operation));
    co_return co_await std::move(run);
  }
  sim::Task<Status> End() {
    sim::Task<Status> stop = writer_->Stop();
    const Status stopped = co_await std::move(stop);
    writer_.reset();
    sim::Task<void> close = client_->Close();
    co_await std::move(close);
    client_.reset();
    co_return stopped;
  }

  remote::RemoteWorld& world_;
  std::string pd_;
  juicefs::AtimeMode atime_;
  Result<std::unique_ptr<objects::ObjectStore>> bucket_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<juicefs::BlockStore> blocks_;
  std::unique_ptr<juicefs::Writer> writer_;
};

class Twin {
 public:
  Twin(OurSession* ours, std::string mount, uint64_t seed, const judge::PosixModelOptions& options)
      : ours_(*ours), mount_(std::move(mount)), seed_(seed), model_(options) {}

  void Do(record::Operation operation) {
    ++operations_;
    const int64_t begin_ns = WallNow();
    judge::PosixModel kernel = model_;
    kernel.Do(kSession, operation, {begin_ns, begin_ns});
    const bool asked = !kernel.refused_in_front();
    juicefs::OperationResult writer = asked ? ours_.Do(operation) : juicefs::OperationResult();
    PosixResult real = mount_.Do(kSession, operation);
    const PosixResult model = model_.Do(kSession, operation, {begin_ns, WallNow()});
    if (operation.has_stat_fs()) {
      const auto ask_ours = [&] { return judge::ResultOfWriter(operation, writer = ours_.Do(operation)); };
      if (asked) {
        InTheEnd(model, judge::ResultOfWriter(operation, writer), ask_ours);
      }
      real = InTheEnd(model, real, [&] { return mount_.Do(kSession, operation); });
      statfs_ += real.statfs.has_value() && model.statfs.has_value() ? 1 : 0;
      if (!model.statfs.has_value()) {
        real.statfs.reset();
      }
    }
    ++answers_[judge::ErrnoName(real.error)];
    texts_.push_back(TextOf(operation) + "=> " + judge::DescribeResult(real));
    Compare(operation, "model", model, "mount", real, true);
    if (writer.error == ENOSYS) {
      ++not_ours_[operation.kind_case()];
    } else if (!asked) {
      ++in_front_[judge::ErrnoName(real.error)];
    } else {
      // Two sides act one after the other: each one's times are within the model's spans.
      const PosixResult session = judge::ResultOfWriter(operation, writer);
      Compare(operation, "session", session, "mount", real, false);
      if (judge::ResultDifferences(session, real, false).empty()) {
        Compare(operation, "session", session, "model", model, true);
      }
    }
    if (model_.created() != judge::kNoNode && real.error == 0) {
      const uint64_t inode = mount_.InodeAt(*judge::PathsOf(operation).first);
      model_.SetInode(model_.created(), inode);
      inodes_.push_back({inode, judge::InodeMadeBy(writer).value()});
    }
  }

  /// Every entry that the model knows, looked at by all three; the trash is not, whose names differ.
  void LookAtAll() {
    std::vector<std::pair<judge::NodeId, Bytes>> waiting = {{judge::kRootNode, ""}};
    while (!waiting.empty()) {
      const auto [id, path] = waiting.back();
      waiting.pop_back();
      Look(id, path);
      for (const auto& [name, child] : model_.tree().at(id).entries) {
        waiting.emplace_back(child, path.empty() ? name : path + "/" + name);
      }
    }
  }

  [[nodiscard]] Json Counts() const {
    Json counts;
    counts["operations"] = operations_;
    counts["entries"] = entries_;
    counts["bytes"] = bytes_;
    counts["statfs"] = statfs_;
    counts["differences"] = differences_;
    counts["answers"] = answers_;
    counts["in_front"] = in_front_;
    counts["not_ours"] = Json::object();
    for (const auto& [kind, count] : not_ours_) {
      counts["not_ours"][record::Operation::descriptor()->FindFieldByNumber(kind)->name()] = count;
    }
    counts["inodes"] = inodes_;
    return counts;
  }

 private:
  /// What a witness says of the volume's numbers once it agrees with the model, or after two seconds: what is being flushed may be counted twice for
  /// a moment, counters that are slow to read are taken as they were, and what a handle kept is given back after its close.
  static PosixResult InTheEnd(const PosixResult& model, PosixResult said, const std::function<PosixResult()>& ask) {
    constexpr uint32_t kTries = 40;
    for (uint32_t i = 0; i < kTries && !judge::ResultDifferences(model, said, false).empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      said = ask();
    }
    return said;
  }

  void Look(judge::NodeId id, const Bytes& path) {
    ++entries_;
    const judge::PosixNode node = model_.tree().at(id);
    record::Operation operation;
    operation.set_id(1'000'000 + static_cast<uint32_t>(entries_));
    operation.mutable_lookup()->set_path(path);
    Do(operation);
    operation.mutable_list_xattr()->set_path(path);
    Do(operation);
    operation.mutable_stat_fs()->set_path(path);
    Do(operation);
    for (const bool is_default : {false, true}) {
      operation.mutable_get_acl()->set_path(path);
      operation.mutable_get_acl()->set_is_default(is_default);
      Do(operation);
    }
    for (const auto& [name, value] : node.xattrs) {
      operation.mutable_get_xattr()->set_path(path);
      operation.mutable_get_xattr()->set_name(name);
      Do(operation);
    }
    if (node.IsDirectory()) {
      operation.mutable_readdir()->set_path(path);
      Do(operation);
    } else if (node.type == juicefs::kTypeSymlink) {
      operation.mutable_readlink()->set_path(path);
      Do(operation);
    }
    for (const auto& [offset, length] : node.content.WrittenRanges()) {
      bytes_ += length;
      record::Read* read = operation.mutable_read();
      read->set_path(path);
      read->set_offset(offset - std::min<uint64_t>(offset, 64));
      read->set_length(static_cast<uint32_t>(offset - read->offset() + length + 64));
      Do(operation);
    }
  }

  void Compare(const record::Operation& operation, const char* left_name, const PosixResult& left, const char* right_name,
               const PosixResult& right, bool times) {
    for (const std::string& what : judge::ResultDifferences(left, right, times)) {
      ++differences_;
      Json line;
      line["seed"] = seed_;
      line["operation"] = TextOf(operation);
      line["kind"] = judge::KindName(operation);
      line["witness"] = left_name;
      line["against"] = right_name;
      line["what"] = what;
      line["before"] = Json::array();
      for (const std::string& text : Before(operation)) {
        line["before"].push_back(text);
      }
      std::cout << line.dump(-1, ' ', true, Json::error_handler_t::replace) << "\n";
    }
  }

  /// What was done to the last name of the operation's path, as far as names tell.
  [[nodiscard]] std::vector<std::string> Before(const record::Operation& operation) const {
    const Bytes path = judge::PathsOf(operation).first.value_or("");
    const Bytes name = path.substr(path.rfind('/') + 1);
    std::vector<std::string> found;
    for (const std::string& text : texts_) {
      if (!name.empty() && text.find(name) != std::string::npos) {
        found.push_back(text);
      }
    }
    return {found.end() - static_cast<ptrdiff_t>(std::min<size_t>(found.size(), 12)), found.end()};
  }

  OurSession& ours_;
  MountOperations mount_;
  uint64_t seed_;
  judge::PosixModel model_;
  uint64_t operations_ = 0, entries_ = 0, bytes_ = 0, statfs_ = 0, differences_ = 0;
  std::map<std::string, uint64_t> answers_;  // of the mount
  std::map<std::string, uint64_t> in_front_;  // of the mount where our session was not asked
  std::map<int, uint64_t> not_ours_;
  std::vector<std::string> texts_;  // every operation so far, with the mount's answer
  std::vector<std::pair<uint64_t, uint64_t>> inodes_;
};

/// fs.protected_hardlinks of this machine.
bool ProtectsHardlinks() {
  std::ifstream setting("/proc/sys/fs/protected_hardlinks");
  int value = 0;
  setting >> value;
  return value != 0;
}

int Draw(const std::string& pd, const std::string& bucket, const std::string& mount, uint64_t seed, uint32_t operations, bool acl,
         const std::string& atime) {
  // The channel finds the methods of stores in the descriptors of this file, which a linker takes only when somebody names it.
  CHECK(tikvpb::BatchCommandsRequest::descriptor() != nullptr);
  Result<std::unique_ptr<remote::RemoteWorld>> world = remote::RemoteWorld::Start(ports::TlsFiles());
  if (!world.ok()) {
    std::cerr << world.error().ToString() << "\n";
    return 6;
  }
  record::Mount mount_as;
  mount_as.set_atime(atime);
  const Result<juicefs::MountOptions> mount_options = juicefs::MountOptionsOf(mount_as);
  if (!mount_options.ok()) {
    std::cerr << mount_options.error().ToString() << "\n";
    return 6;
  }
  OurSession ours(world->get(), pd, bucket, mount_options->atime);
  const Status started = ours.Start();
  if (!started.ok()) {
    std::cerr << started.ToString() << "\n";
    return 6;
  }
  RandomStream random(seed, "twin");
  juicefs::MixOptions mix;
  mix.operations = operations;
  mix.mount_only = true;
  mix.odd_path_ppm = 60'000;
  mix.acl = true;
  juicefs::PathPicture picture;
  judge::PosixModelOptions options;
  options.formatted_ns = {0, WallNow()};
  options.acl = acl;
  options.atime = mount_options->atime;
  options.protected_hardlinks = ProtectsHardlinks();
  Twin twin(&ours, mount, seed, options);
  for (const record::Operation& operation : juicefs::DrawOperations(&random, mix, &picture)) {
    if (MountOperations::KnowsOperation(operation) && judge::PosixModel::KnowsOperation(operation)) {
      twin.Do(operation);
    }
  }
  for (uint32_t handle = 1; handle <= juicefs::kMixHandles; ++handle) {
    // What is still open may not be counted yet.
    record::Operation close;
    close.mutable_close()->set_handle(handle);
    twin.Do(close);
  }
  twin.LookAtAll();
  const Status stopped = ours.Stop();
  Json counts = twin.Counts();
  counts["stopped"] = stopped.ToString();
  std::cout << counts.dump() << "\n";
  return stopped.ok() ? 0 : 6;
}

int Table(const std::string& file, const std::string& mount) {
  std::ifstream input(file);
  std::string text((std::istreambuf_iterator<char>(input)), std::istreambuf_iterator<char>());
  Result<std::vector<judge::ErrnoRow>> rows = judge::ParseErrnoTable(text);
  if (!rows.ok()) {
    std::cerr << rows.error().ToString() << "\n";
    return 6;
  }
  MountOperations operations(mount);
  for (judge::ErrnoRow& row : *rows) {
    for (const record::Operation& operation : row.operations) {
      row.answer = judge::DescribeResult(operations.Do(kSession, operation));
    }
  }
  std::cout << judge::PrintErrnoTable(text, *rows);
  return 0;
}

}  // namespace
}  // namespace kvjury::tools

int main(int count, char** words) {
  const std::vector<std::string> arguments(words + 1, words + count);
  if (arguments.size() == 8 && arguments[0] == "draw") {
    return kvjury::tools::Draw(arguments[1], arguments[2], arguments[3], std::stoull(arguments[4]), static_cast<uint32_t>(std::stoul(arguments[5])),
                               arguments[6] == "acl", arguments[7]);
  }
  if (arguments.size() == 3 && arguments[0] == "table") {
    return kvjury::tools::Table(arguments[1], arguments[2]);
  }
  std::cerr << "usage: draw PD BUCKET MOUNT SEED OPERATIONS ACL ATIME, or table FILE MOUNT\n";
  return 2;
}
