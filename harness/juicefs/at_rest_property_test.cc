// Random operations of several sessions that all end cleanly: afterwards the usage counters, the statistics of directories and the used numbers of
// quotas are what the volume holds.
//
// What real clients leave wrong is kept out: clones of directories, exchanges of directories between quotas (quotas_test.cc shows both), and, of
// statistics and quotas of directories, what others have not flushed: a directory that is counted anew, because its statistics are absent or
// became negative, holds what another session adds once more; a rename between quotas moves what the session knows. Therefore two properties:
// of counters, users and groups when sessions work beside each other, and of everything when they take turns with time for all to be flushed.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "fakes/base/random.h"
#include "harness/juicefs/invariants.h"
#include "harness/juicefs/test_operations.h"
#include "harness/juicefs/test_sessions.h"

namespace kvjury::juicefs {
namespace {

using Operations = std::vector<record::Operation>;

/// Draws operations on a few names, so that most meet something.
class Drawer {
 public:
  Drawer(uint64_t seed, uint32_t session) : random_(seed, "at-rest-" + std::to_string(session)) {}

  record::Operation Draw(bool quotas) {
    record::Operation operation = DrawKind(quotas);
    // Three users of two groups; of them root may do what needs no permission.
    operation.set_uid(static_cast<uint32_t>(random_.Below(3)));
    operation.set_gid(static_cast<uint32_t>(random_.Below(2)));
    return operation;
  }

 private:
  Bytes Directory() {
    static const std::vector<Bytes> kDirectories = {"", "a", "b", "a/in", "a/d", "b/d"};
    return random_.Pick(kDirectories);
  }
  Bytes Below(const Bytes& directory, const Bytes& name) { return directory.empty() ? name : directory + "/" + name; }
  Bytes File() { return Below(Directory(), "f" + std::to_string(random_.Below(4))); }
  Bytes Tree() { return Below(Directory(), random_.Below(3) == 0 ? "in" : "d"); }

  record::Operation DrawKind(bool quotas) {
    record::Operation operation;
    switch (random_.Below(16)) {
      case 0:
        return MkdirOp(Tree());
      case 1:
      case 2:
        operation.mutable_create()->set_path(File());
        operation.mutable_create()->set_mode(0644);
        return operation;
      case 3:
      case 4:
        operation.mutable_write()->set_path(File());
        operation.mutable_write()->set_offset(random_.Below(20'000));
        operation.mutable_write()->set_length(1 + static_cast<uint32_t>(random_.Below(20'000)));
        return operation;
      case 5:
        return TruncateOp(File(), random_.Below(30'000));
      case 6:
      case 7:
        return LinkOp(File(), File());
      case 8:
        operation.mutable_unlink()->set_path(File());
        operation.mutable_unlink()->set_skip_trash(random_.Below(2) == 0);
        return operation;
      case 9:
        return RenameOp(File(), File(), random_.Below(3) == 0 ? 2 : 0);
      case 10:
        return RenameOp(Tree(), Tree());
      case 11:
        return CloneOp(File(), File());
      case 12:
      case 13:
        operation.mutable_setattr()->set_path(random_.Below(4) == 0 ? Tree() : File());
        if (random_.Below(2) == 0) {
          operation.mutable_setattr()->set_uid(static_cast<uint32_t>(random_.Below(3)));
        } else {
          operation.mutable_setattr()->set_gid(static_cast<uint32_t>(random_.Below(3)));
        }
        return operation;
      case 14:
        operation.mutable_fallocate()->set_path(File());
        operation.mutable_fallocate()->set_offset(random_.Below(20'000));
        operation.mutable_fallocate()->set_length(1 + random_.Below(20'000));
        return operation;
      default:
        if (quotas && random_.Below(2) == 0) {
          operation.mutable_rmdir()->set_path(Tree());
          return operation;
        }
        operation.mutable_remove_tree()->set_path(Tree());
        operation.mutable_remove_tree()->set_skip_trash(random_.Below(2) == 0);
        return operation;
    }
  }

  RandomStream random_;
};

struct Seen {
  std::map<int, uint64_t> done;     // by operation kind
  std::map<int, uint64_t> refused;  // by errno
  std::map<std::string, uint64_t> counted;
};

void Note(const Operations& operations, const std::vector<int>& errors, Seen* seen) {
  for (size_t i = 0; i < errors.size(); ++i) {
    if (errors[i] == 0) {
      seen->done[operations[i].kind_case()] += 1;
    } else {
      seen->refused[errors[i]] += 1;
    }
  }
}

/// What these checks find wrong with the volume at rest.
std::vector<std::string> WrongAtRest(Sessions* sessions, const std::vector<std::string>& checks, Seen* seen) {
  std::vector<std::string> wrong;
  InvariantOptions options;
  options.at_rest = true;
  for (const InvariantResult& result : CheckInvariants(BuildImage(sessions->Pairs()), options)) {
    if (std::find(checks.begin(), checks.end(), result.name) == checks.end()) {
      continue;
    }
    seen->counted[result.name] += result.counted;
    for (const InvariantIssue& issue : result.issues) {
      wrong.push_back(result.name + ": " + issue.ToString());
    }
  }
  return wrong;
}

Format WithOwners(uint64_t seed) {
  Format format = Formatted(static_cast<uint32_t>(seed % 2));
  format.user_group_quota = true;
  return format;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text;
}

void ExpectAllKindsDone(Seen* seen) {
  for (const int kind : {record::Operation::kMkdir, record::Operation::kCreate, record::Operation::kWrite, record::Operation::kTruncate,
                         record::Operation::kLink, record::Operation::kUnlink, record::Operation::kRename, record::Operation::kClone,
                         record::Operation::kSetattr, record::Operation::kFallocate, record::Operation::kRemoveTree}) {
    EXPECT_GT(seen->done[kind], 0U) << "operation kind " << kind << " never succeeded";
  }
  EXPECT_GT(seen->refused[ENOENT], 0U);
  EXPECT_GT(seen->refused[EEXIST], 0U);
}

TEST(AtRest, CountersAndOwnersAreExactWhateverSessionsDidBesideEachOther) {
  const std::vector<std::string> checks = {kInvariantUsedSpace, kInvariantTotalInodes, kInvariantUserQuotas, kInvariantGroupQuotas};
  Seen seen;
  const bool held = rc::check("all that was flushed late has arrived", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    Sessions sessions(WithOwners(seed));
    std::vector<std::pair<Writer*, Operations>> work;
    for (uint32_t i = 0; i < 3; ++i) {
      Drawer drawer(seed, i);
      Operations operations = i == 0 ? Operations{MkdirOp("a"), MkdirOp("b"), MkdirOp("a/in")} : Operations();
      for (uint32_t j = 0; j < 40; ++j) {
        operations.push_back(drawer.Draw(false));
      }
      work.emplace_back(sessions.Mount(), std::move(operations));
    }
    const std::vector<std::vector<int>> errors = sessions.DoAll(work);
    for (size_t i = 0; i < work.size(); ++i) {
      Note(work[i].second, errors[i], &seen);
      sessions.Stop(work[i].first);
    }
    const std::vector<std::string> wrong = WrongAtRest(&sessions, checks, &seen);
    if (!wrong.empty()) {
      RC_FAIL(Joined(wrong));
    }
  });
  EXPECT_TRUE(held);
  ExpectAllKindsDone(&seen);
  for (const std::string& check : checks) {
    EXPECT_GT(seen.counted[check], 0U) << check;
  }
}

TEST(AtRest, StatisticsAndQuotasOfDirectoriesAreExactWhenSessionsTakeTurns) {
  const std::vector<std::string> checks = {kInvariantUsedSpace,       kInvariantTotalInodes, kInvariantDirectoryStatistics,
                                           kInvariantDirectoryQuotas, kInvariantUserQuotas,  kInvariantGroupQuotas};
  Seen seen;
  uint64_t used = 0;
  const bool held = rc::check("what moves between quotas is neither lost nor counted twice", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    Sessions sessions(WithOwners(seed));
    std::vector<Writer*> writers = {sessions.Mount(), sessions.Mount()};
    for (const Bytes& path : {Bytes("a"), Bytes("b"), Bytes("a/in")}) {
      sessions.Pass(20 * kSecondUs);
      ASSERT_EQ(sessions.Do(writers[0], MkdirOp(path)).error, 0);
      // The third so small that what comes second is refused.
      const bool small = path == "a/in";
      ASSERT_EQ(sessions.Do(writers[0], SetQuotaOp(path, small ? 16'384 : kNoLimitSpace, small ? 2 : kNoLimitInodes)).error, 0);
    }
    std::vector<Drawer> drawers = {Drawer(seed, 10), Drawer(seed, 11)};
    RandomStream turns(seed, "turns");
    for (uint32_t i = 0; i < 60; ++i) {
      sessions.Pass(20 * kSecondUs);
      const size_t turn = turns.Below(2);
      const Operations operations = {drawers[turn].Draw(true)};
      Note(operations, {sessions.Do(writers[turn], operations[0]).error}, &seen);
    }
    for (Writer* writer : writers) {
      sessions.Stop(writer);
    }
    for (const auto& [inode, quota] : BuildImage(sessions.Pairs()).dir_quotas) {
      used += quota.used_inodes > 0 ? 1 : 0;
    }
    const std::vector<std::string> wrong = WrongAtRest(&sessions, checks, &seen);
    if (!wrong.empty()) {
      RC_FAIL(Joined(wrong));
    }
  });
  EXPECT_TRUE(held);
  ExpectAllKindsDone(&seen);
  EXPECT_GT(seen.refused[EDQUOT], 0U);
  EXPECT_GT(used, 0U);
  for (const std::string& check : checks) {
    EXPECT_GT(seen.counted[check], 0U) << check;
  }
}

}  // namespace
}  // namespace kvjury::juicefs
