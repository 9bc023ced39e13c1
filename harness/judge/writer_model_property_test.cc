// Random concurrent writers on a store with snapshot isolation: the volume that the keys show equals the one that the
// declared effects make, in every field and at many timestamps; and the volume stays whole.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "fakes/sim/scheduler.h"
#include "fakes/sim/world.h"
#include "harness/judge/model.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/operation_mix.h"
#include "harness/juicefs/written_values.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/view_diff.h"
#include "harness/juicefs/writer.h"
#include "harness/juicefs/written_bytes.h"

namespace kvjury::judge {
namespace {

using juicefs::BuildImage;
using juicefs::DeclaredTransaction;
using juicefs::KeyValues;
using juicefs::OperationResult;
using juicefs::SelectVolume;
using juicefs::TestStore;
using juicefs::VolumeImage;
using juicefs::Writer;

constexpr char kVolume[] = "vol";

struct Outcome {
  std::map<int, uint64_t> done;                    // by operation kind
  std::map<int, std::map<int, uint64_t>> refused;  // by operation kind and errno
  std::vector<DeclaredTransaction> history;
  uint64_t conflicts = 0;
  uint64_t undetermined = 0;
  uint32_t writers = 0;
  uint64_t blocks_compared = 0;
  std::vector<std::string> missing_blocks;  // at the end
  VolumeImage initial;
  std::map<Timestamp, VolumeImage> snapshots;
};

struct Session {
  std::unique_ptr<Writer> writer;
  std::vector<record::Operation> operations;
};

sim::Task<void> RunSession(Session* session, Outcome* outcome) {
  sim::Task<Status> start = session->writer->Start();
  const Status started = co_await std::move(start);
  for (const record::Operation& operation : session->operations) {
    if (!started.ok()) {
      break;  // no mount, and no session that could hold a lock
    }
    sim::Task<OperationResult> run = session->writer->Do(operation);
    const OperationResult result = co_await std::move(run);
    CHECK_EQ(result.acknowledged, result.error == 0);
    if (result.acknowledged) {
      outcome->done[operation.kind_case()] += 1;
    } else {
      outcome->refused[operation.kind_case()][result.error] += 1;
    }
  }
  sim::Task<Status> stop = session->writer->Stop();
  const Status stopped = co_await std::move(stop);
  CHECK(started.ok() || !stopped.ok() || started.code() == StatusCode::kUnavailable) << started;
}

/// Every block of what the volume refers to is in the bucket.
void CompareBlocks(const VolumeImage& image, const juicefs::BlockLayout& layout, objects::ObjectStore* bucket, Outcome* outcome) {
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const juicefs::SliceRecord& record : records) {
        for (const juicefs::SliceBlock& block : juicefs::BlocksOfSlice(layout, record.id, record.size)) {
          outcome->blocks_compared += 1;
          const Result<objects::ObjectInfo> found = bucket->Head(block.name);
          if (!found.ok() || found->bytes != block.bytes) {
            outcome->missing_blocks.push_back(block.name + " of inode " + std::to_string(inode.value()));
          }
        }
      }
    }
  }
}

/// What a generated volume refers to was never written.
void PutBlocks(const VolumeImage& image, const juicefs::BlockLayout& layout, objects::ObjectStore* bucket) {
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const juicefs::SliceRecord& record : records) {
        for (const juicefs::SliceBlock& block : juicefs::BlocksOfSlice(layout, record.id, record.size)) {
          const Status put = bucket->Put(block.name, juicefs::WrittenBytes(record.id, block.offset, block.bytes));
          CHECK(put.ok()) << put;
        }
      }
    }
  }
}

std::vector<record::Operation> DrawFor(uint64_t seed, uint32_t session, uint32_t operations, int64_t wall_ns) {
  RandomStream random(seed, "operations-of-writer-" + std::to_string(session));
  juicefs::PathPicture picture;
  picture.directories = {"", "d0", "d1", "d2", "d3", "d1/n1"};
  picture.files = {"f0", "d0/f1", "f2", "d1/n2", "n3", "n4"};
  juicefs::MixOptions mix;
  mix.writer = session + 1;
  mix.operations = operations;
  mix.acl = true;
  mix.quotas = seed % 3 == 0;
  mix.trash_hour = juicefs::TrashHourName(wall_ns);
  return DrawOperations(&random, mix, &picture);
}

Outcome RunWriters(uint64_t seed, uint32_t writers, uint32_t operations, uint32_t undetermined_ppm) {
  sim::World world{record::Case()};
  sim::Scheduler& scheduler = world.scheduler();
  objects::MemoryObjectStore bucket;
  juicefs::BlockStore blocks(objects::WorldObjectStore(&world, &bucket), {kVolume, 1U << 16, false});
  TestStore::Options store_options;
  store_options.seed = seed;
  store_options.undetermined_ppm = undetermined_ppm;
  TestStore store(&world.scheduler(), store_options);
  juicefs::GenerateOptions generate;
  generate.volume_name = kVolume;
  generate.seed = seed;
  generate.files = 10;
  generate.trash_days = seed % 4 == 0 ? 0 : 1;
  generate.wall_ns = store.wall_ns() - 3'600'000'000'000;
  juicefs::KeyValues pairs = juicefs::GenerateVolume(generate);
  juicefs::Format format = juicefs::DefaultFormat(kVolume, generate.trash_days);
  format.enable_acl = seed % 3 != 0;
  pairs[juicefs::EncodeKey(juicefs::SettingKey())] = juicefs::EncodeFormat(format);
  store.Preload(juicefs::WithPrefix(pairs, kVolume));

  Outcome outcome;
  outcome.writers = writers;
  outcome.initial = BuildImage(SelectVolume(store.Snapshot(store.Now()), kVolume));
  const bool with_blocks = seed % 2 == 0;
  if (with_blocks) {
    PutBlocks(outcome.initial, blocks.layout(), &bucket);
  }
  std::vector<Session> sessions(writers);
  sim::Scope scope(&world.scheduler());
  for (uint32_t i = 0; i < writers; ++i) {
    juicefs::WriterOptions options;
    options.id = i + 1;
    options.volume_name = kVolume;
    options.wall_ns = [&store] { return store.wall_ns(); };
    options.blocks = with_blocks ? &blocks : nullptr;
    sessions[i].writer = std::make_unique<Writer>(&store, options);
    sessions[i].operations = DrawFor(seed, i, operations, store.wall_ns());
    scope.Spawn("writer-" + std::to_string(i), RunSession(&sessions[i], &outcome));
    scope.Spawn("background-" + std::to_string(i), sessions[i].writer->RunBackground());
  }
  RandomStream cuts(seed, "cuts");
  uint64_t events = 0;
  uint64_t next_cut = 200;
  while (scope.running() > 0) {
    CHECK(scheduler.RunOne()) << "stuck";
    events += 1;
    if (events == next_cut && outcome.snapshots.size() < 6) {
      next_cut += 50 + cuts.Below(400);
      const Timestamp cut = store.Now();
      outcome.snapshots[cut] = BuildImage(SelectVolume(store.Snapshot(cut), kVolume));
    }
  }
  const Timestamp end = store.Now();
  outcome.snapshots[end] = BuildImage(SelectVolume(store.Snapshot(end), kVolume));
  if (with_blocks) {
    CompareBlocks(outcome.snapshots[end], blocks.layout(), &bucket, &outcome);
  }
  for (const Session& session : sessions) {
    const auto& history = session.writer->history();
    outcome.history.insert(outcome.history.end(), history.begin(), history.end());
    outcome.conflicts += session.writer->conflicts();
  }
  for (DeclaredTransaction& transaction : outcome.history) {
    if (transaction.undetermined) {
      // What the judge asks the store; written down here because the store ends with this function.
      outcome.undetermined += 1;
      transaction.commit_ts = store.CommitOf(transaction.start_ts).value_or(Timestamp());
    }
  }
  return outcome;
}

std::optional<Timestamp> WrittenDown(const DeclaredTransaction& transaction) {
  return transaction.commit_ts.valid() ? std::optional<Timestamp>(transaction.commit_ts) : std::nullopt;
}

/// Everything that must hold of one run; empty when it does.
std::vector<std::string> Judge(const Outcome& outcome, uint64_t* fields_compared) {
  std::vector<std::string> wrong = outcome.missing_blocks;
  juicefs::InvariantOptions invariants;
  // A clone takes a directory's link count at another time than its entries: others may have made directories in between.
  const bool cloned = outcome.done.count(record::Operation::kClone) != 0 || outcome.refused.count(record::Operation::kClone) != 0;
  invariants.skipped_directory_nlink = cloned && outcome.writers > 1;
  for (const auto& [cut, image] : outcome.snapshots) {
    Model model(outcome.initial);
    model.ApplyUpTo(outcome.history, cut, WrittenDown);
    for (const ModelAnomaly& anomaly : model.anomalies()) {
      wrong.push_back("anomaly: " + anomaly.label + ": " + anomaly.text);
    }
    const Result<juicefs::View> view = BuildView(image);
    if (!view.ok()) {
      wrong.push_back(view.error().ToString());
      continue;
    }
    const juicefs::ViewDiff diff = DiffViews(model.MakeView(), *view);
    *fields_compared += diff.fields_compared;
    for (const juicefs::ViewDifference& difference : diff.differences) {
      wrong.push_back("model against keys: " + difference.ToString());
    }
    if (diff.entries_compared == 0) {
      wrong.push_back("nothing was compared");
    }
    for (const juicefs::InvariantResult& invariant : CheckInvariants(image, invariants)) {
      for (const juicefs::InvariantIssue& issue : invariant.issues) {
        if (issue.severity == juicefs::IssueSeverity::kViolation) {
          wrong.push_back(invariant.name + ": " + issue.ToString());
        }
      }
    }
  }
  return wrong;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(lines.size(), 12); ++i) {
    text += lines[i] + "\n";
  }
  return text;
}

uint64_t RulesStored(const std::vector<DeclaredTransaction>& history) {
  uint64_t rules = 0;
  for (const DeclaredTransaction& transaction : history) {
    rules += static_cast<uint64_t>(std::count_if(transaction.effects.begin(), transaction.effects.end(), [](const juicefs::Effect& effect) {
      return std::holds_alternative<juicefs::SetAclRuleEffect>(effect);
    }));
  }
  return rules;
}

TEST(WritersAndModel, KeysShowWhatTheEffectsSayAtEveryCut) {
  std::map<int, uint64_t> done;
  std::map<int, uint64_t> errors;
  std::map<int, uint64_t> refused;  // by operation kind
  uint64_t blocks = 0;
  uint64_t fields = 0;
  uint64_t conflicts = 0;
  uint64_t rules = 0;
  const bool held = rc::check("the view of the keys equals the view of the effects", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    const auto writers = *rc::gen::inRange<uint32_t>(1, 5);
    const Outcome outcome = RunWriters(seed, writers, 60, 0);
    for (const auto& [kind, count] : outcome.done) {
      done[kind] += count;
    }
    for (const auto& [kind, by_error] : outcome.refused) {
      for (const auto& [error, count] : by_error) {
        errors[error] += count;
        refused[kind] += count;
      }
    }
    blocks += outcome.blocks_compared;
    conflicts += outcome.conflicts;
    const uint64_t own_rules = RulesStored(outcome.history);
    rules += own_rules;
    RC_CLASSIFY(own_rules > 0, "rules of ACLs");
    RC_CLASSIFY(outcome.conflicts > 0, "write conflicts");
    RC_CLASSIFY(outcome.initial.inodes.count(juicefs::kTrashInode) == 0, "no trash");
    const std::vector<std::string> wrong = Judge(outcome, &fields);
    if (!wrong.empty()) {
      RC_FAIL(Joined(wrong));
    }
  });
  EXPECT_TRUE(held);
  for (int kind = record::Operation::kMkdir; kind <= record::Operation::kRestoreTrash; ++kind) {
    EXPECT_GT(done[kind], 0U) << "operation kind " << kind << " never succeeded";
    EXPECT_GT(refused[kind], 0U) << "operation kind " << kind << " never failed";
  }
  EXPECT_GT(blocks, 0U);
  for (const int error : {ENOENT, EEXIST, ENOTEMPTY, ENOTDIR, EISDIR, EINVAL, ENODATA, EBADF, EOPNOTSUPP, EPERM, EAGAIN}) {
    EXPECT_GT(errors[error], 0U) << "errno " << error << " never came up";
  }
  EXPECT_GT(conflicts, 0U);
  EXPECT_GT(rules, 0U);
  EXPECT_GT(fields, 0U);
}

TEST(WritersAndModel, LostAnswersAreResolvedByTheStoreBothWays) {
  uint64_t committed = 0;
  uint64_t vanished = 0;
  uint64_t fields = 0;
  const bool held = rc::check("undetermined commits count as the store says", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    const Outcome outcome = RunWriters(seed, 3, 40, 60'000);
    for (const DeclaredTransaction& transaction : outcome.history) {
      if (transaction.undetermined && !transaction.effects.empty()) {
        (transaction.commit_ts.valid() ? committed : vanished) += 1;
      }
    }
    const std::vector<std::string> wrong = Judge(outcome, &fields);
    if (!wrong.empty()) {
      RC_FAIL(Joined(wrong));
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(committed, 0U);
  EXPECT_GT(vanished, 0U);
  EXPECT_GT(fields, 0U);
}

TEST(WritersAndModel, AForgottenTransactionIsSeen) {
  const Outcome outcome = RunWriters(7, 2, 40, 0);
  uint64_t fields = 0;
  ASSERT_EQ(Judge(outcome, &fields), std::vector<std::string>());
  uint64_t seen = 0;
  uint64_t forgotten = 0;
  for (size_t i = 0; i < outcome.history.size(); ++i) {
    const bool creates = std::any_of(
        outcome.history[i].effects.begin(), outcome.history[i].effects.end(),
        [](const juicefs::Effect& effect) { return std::holds_alternative<juicefs::AddDentryEffect>(effect); });
    if (!creates) {
      continue;
    }
    Outcome without = outcome;
    without.history.erase(without.history.begin() + static_cast<ptrdiff_t>(i));
    forgotten += 1;
    seen += Judge(without, &fields).empty() ? 0 : 1;
  }
  EXPECT_GT(forgotten, 5U);
  // What was made and removed again between two cuts leaves an anomaly; therefore every one is seen.
  EXPECT_EQ(seen, forgotten);
}

TEST(Model, ShowsTheRuleThatAnInodeNamesInTheKernelsForm) {
  const VolumeImage empty = BuildImage(juicefs::FormatPairs(juicefs::DefaultFormat(kVolume, 1), 1'795'000'000'000'000'000));
  DeclaredTransaction transaction;
  transaction.label = "w1/op1/txn#1";
  juicefs::AclRule rule;
  rule.owner = 7;
  rule.group = 5;
  rule.other = 1;
  rule.mask = 6;
  rule.users = {{1001, 4}};
  rule.groups = {{77, 2}};
  juicefs::Attr root = empty.inodes.at(juicefs::kRootInode);
  root.access_acl = 3;
  root.default_acl = 3;
  transaction.effects = {juicefs::SetAclRuleEffect{3, rule}, juicefs::SetAttrEffect{juicefs::kRootInode, root}};
  Model model(empty);
  model.Apply(transaction, Timestamp(10));
  EXPECT_TRUE(model.anomalies().empty());
  const std::string expected = "02000000" "01000700ffffffff" "02000400e9030000" "04000500ffffffff" "080002004d000000" "10000600ffffffff" "20000100ffffffff";
  const juicefs::ViewEntry entry = model.MakeView().entries.at(".");
  EXPECT_EQ(ToHex(entry.xattrs.at("system.posix_acl_access")), expected);
  EXPECT_EQ(ToHex(entry.xattrs.at("system.posix_acl_default")), expected);
  // A rule stands for ever: its id is never stored again.
  rule.mask = 0xFFFF;
  transaction.effects = {juicefs::SetAclRuleEffect{3, rule}};
  model.Apply(transaction, Timestamp(20));
  ASSERT_EQ(model.anomalies().size(), 1U);
  EXPECT_NE(model.anomalies()[0].text.find("ACL rule 3"), std::string::npos);
}

TEST(WritersAndModel, AForgottenRuleOfAnAclIsSeen) {
  uint64_t seen = 0;
  uint64_t forgotten = 0;
  uint64_t fields = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    const Outcome outcome = RunWriters(seed, 1, 60, 0);
    for (size_t i = 0; i < outcome.history.size(); ++i) {
      Outcome without = outcome;
      auto& effects = without.history[i].effects;
      const size_t erased =
          std::erase_if(effects, [](const juicefs::Effect& effect) { return std::holds_alternative<juicefs::SetAclRuleEffect>(effect); });
      forgotten += erased;
      seen += erased > 0 && !Judge(without, &fields).empty() ? 1 : 0;
    }
  }
  EXPECT_GT(forgotten, 3U);
  // One that no inode names at any cut is not missed.
  EXPECT_GT(seen, 1U);
}

}  // namespace
}  // namespace kvjury::judge
