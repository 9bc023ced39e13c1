#include "harness/juicefs/test_mount.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/invariants.h"

namespace kvjury::juicefs {

namespace {

constexpr char kVolume[] = "vol";

sim::Task<void> StartWriter(Writer* writer) {
  sim::Task<Status> start = writer->Start();
  const Status started = co_await std::move(start);
  EXPECT_TRUE(started.ok()) << started;
}
sim::Task<void> StopWriter(Writer* writer) {
  sim::Task<Status> stop = writer->Stop();
  const Status stopped = co_await std::move(stop);
  EXPECT_TRUE(stopped.ok()) << stopped;
}
sim::Task<void> DoOne(Writer* writer, record::Operation operation, OperationResult* result) {
  sim::Task<OperationResult> run = writer->Do(operation);
  *result = co_await std::move(run);
}

record::Operation Parse(const std::string& text, uint32_t id) {
  record::Operation operation;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &operation)) << text;
  operation.set_id(id);
  return operation;
}

record::Case CaseOf(const TestMount::Options& options) {
  record::Case c;
  if (!options.failing_object_step.empty()) {
    record::Fault* fault = c.add_fault();
    fault->set_at(options.failing_object_step);
    fault->mutable_object_error();
  }
  return c;
}

}  // namespace

TestMount::TestMount(Options options) : world_(CaseOf(options)), store_(&world_.scheduler(), {}), last_ids_(options.writers) {
  Format format = DefaultFormat(kVolume, options.trash_days);
  format.enable_acl = options.acl;
  store_.Preload(WithPrefix(FormatPairs(format, store_.wall_ns()), kVolume));
  if (options.blocks) {
    const BlockLayout layout{kVolume, options.block_bytes, false};
    blocks_ = std::make_unique<BlockStore>(objects::WorldObjectStore(&world_, &bucket_), layout);
  }
  for (uint32_t id = 1; id <= options.writers; ++id) {
    WriterOptions writer;
    writer.id = id;
    writer.volume_name = kVolume;
    writer.wall_ns = [this] { return store_.wall_ns(); };
    writer.blocks = blocks_.get();
    writer.mount = id == 1 ? options.mount : MountOptions();
    writers_.push_back(std::make_unique<Writer>(&store_, writer));
    Run(StartWriter(writers_.back().get()));
  }
}

TestMount::~TestMount() = default;

OperationResult TestMount::Do(const std::string& text, uint32_t writer) {
  OperationResult result;
  Run(DoOne(writers_[writer - 1].get(), Parse(text, ++last_ids_[writer - 1]), &result));
  return result;
}

void TestMount::DoAndDie(const std::string& text, uint32_t commits) {
  store_.DieAfter(commits);
  EXPECT_EQ(Do(text).error, EIO) << text << " ended before the client died";
}

void TestMount::Stop(uint32_t writer) { Run(StopWriter(writers_[writer - 1].get())); }

void TestMount::Run(sim::Task<void> task) {
  sim::Scope scope(&world_.scheduler());
  scope.Spawn("test", std::move(task));
  while (scope.running() > 0) {
    ASSERT_TRUE(world_.scheduler().RunOne());
  }
  scope.RethrowFirst();
}

KeyValues TestMount::Pairs() { return SelectVolume(store_.Snapshot(store_.Now()), kVolume); }

std::string TestMount::HexOf(const Key& key) {
  const KeyValues pairs = Pairs();
  const auto found = pairs.find(EncodeKey(key));
  return found == pairs.end() ? "absent" : ToHex(found->second);
}

Attr TestMount::AttrOf(Inode inode) {
  const VolumeImage image = BuildImage(Pairs());
  const Attr* attr = image.FindAttr(inode);
  EXPECT_NE(attr, nullptr) << "inode " << inode.value();
  return attr == nullptr ? Attr() : *attr;
}

Inode TestMount::InodeOf(const std::string& path) {
  const VolumeImage image = BuildImage(Pairs());
  Inode at = kRootInode;
  for (size_t begin = 0; begin < path.size();) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    const auto entries = image.dentries.find(at);
    const Bytes name = path.substr(begin, slash - begin);
    if (entries == image.dentries.end() || entries->second.count(name) == 0) {
      return Inode();
    }
    at = entries->second.at(name).inode;
    begin = slash + 1;
  }
  return at;
}

std::vector<std::string> TestMount::BlockNames() {
  std::vector<std::string> names;
  const Result<std::vector<objects::ObjectInfo>> listed = bucket_.List("");
  for (const objects::ObjectInfo& object : *listed) {
    names.push_back(object.name);
  }
  return names;
}

std::vector<std::string> TestMount::Violations() {
  std::vector<std::string> violations;
  for (const InvariantResult& result : CheckInvariants(BuildImage(Pairs()))) {
    for (const InvariantIssue& issue : result.issues) {
      if (issue.severity == IssueSeverity::kViolation) {
        violations.push_back(result.name + ": " + issue.ToString());
      }
    }
  }
  return violations;
}

}  // namespace kvjury::juicefs
