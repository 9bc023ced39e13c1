// Random sessions of ours at once against the model of POSIX: results, not only the final tree, by the order of their commits, with what was looked up,
// read or refused explained by some state between the call and its answer (open files and locks left out: they are a session's own).
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <variant>

#include "fakes/base/check.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/test_store.h"
#include "harness/judge/posix_model.h"
#include "harness/judge/posix_writer.h"
#include "harness/judge/test_posix.h"

namespace kvjury::judge {
namespace {

using juicefs::OperationResult;
using juicefs::TransactionKind;

constexpr char kVolume[] = "vol";

struct Answered {
  uint32_t session = 0;
  record::Operation operation;
  OperationResult result;
  Timestamp commit_ts;  // of what it did; invalid: it changed nothing
  Micros committed_us = 0;
};

sim::Task<void> RunSession(juicefs::Writer* writer, uint32_t number, std::vector<record::Operation> operations, std::vector<Answered>* answers) {
  sim::Task<Status> start = writer->Start();
  const Status started = co_await std::move(start);
  EXPECT_TRUE(started.ok()) << started;
  for (const record::Operation& operation : operations) {
    sim::Task<OperationResult> run = writer->Do(operation);
    OperationResult result = co_await std::move(run);
    Answered answered;
    answered.session = number;
    answered.operation = operation;
    answered.result = std::move(result);
    for (const juicefs::DeclaredTransaction& transaction : answered.result.transactions) {
      if (transaction.kind == TransactionKind::kOperation && !transaction.effects.empty()) {
        answered.commit_ts = transaction.commit_ts;
        answered.committed_us = transaction.acknowledged_us;
      }
    }
    answers->push_back(std::move(answered));
  }
  sim::Task<Status> stop = writer->Stop();
  const Status stopped = co_await std::move(stop);
  EXPECT_TRUE(stopped.ok()) << stopped;
}

std::vector<Answered> RunTogether(uint64_t seed, uint32_t writers, uint32_t operations) {
  sim::Scheduler scheduler;
  juicefs::TestStore::Options store_options;
  store_options.seed = seed;
  juicefs::TestStore store(&scheduler, store_options);
  juicefs::Format format = juicefs::DefaultFormat(kVolume, seed % 3 == 0 ? 0 : 1);
  format.enable_acl = true;
  store.Preload(juicefs::WithPrefix(juicefs::FormatPairs(format, store.wall_ns()), kVolume));
  std::vector<Answered> answers;
  std::vector<std::unique_ptr<juicefs::Writer>> sessions;
  sim::Scope scope(&scheduler);
  for (uint32_t id = 1; id <= writers; ++id) {
    juicefs::WriterOptions options;
    options.id = id;
    options.volume_name = kVolume;
    options.wall_ns = [&store] { return store.wall_ns(); };
    sessions.push_back(std::make_unique<juicefs::Writer>(&store, options));
    scope.Spawn("writer-" + std::to_string(id), RunSession(sessions.back().get(), id, DrawForPosix(seed, id, operations, 0, false), &answers));
  }
  while (scope.running() > 0) {
    CHECK(scheduler.RunOne()) << "stuck";
  }
  scope.RethrowFirst();
  return answers;
}

/// The states that an operation may have seen: from `first` on, up to `last`.
struct Window {
  size_t first = 0;
  size_t last = 0;
};

/// Every inode that the effects of an operation name.
std::set<uint64_t> NamedInodes(const OperationResult& result) {
  std::set<uint64_t> named;
  for (const juicefs::DeclaredTransaction& transaction : result.transactions) {
    for (const juicefs::Effect& effect : transaction.effects) {
      std::visit(
          [&named](const auto& e) {
            if constexpr (requires { e.directory; }) {
              named.insert(e.directory.value());
            }
            if constexpr (requires { e.inode; }) {
              named.insert(e.inode.value());
            }
          },
          effect);
    }
  }
  return named;
}

/// A name may have led to two files in turn: which one a commit meant is its effects' to say. What it answers is the model's.
bool IsMeant(const PosixModel& state, const PosixModel::Places& places, const Answered& answered) {
  std::vector<NodeId> meant;
  switch (answered.operation.kind_case()) {
    case record::Operation::kMkdir:
    case record::Operation::kCreate:
    case record::Operation::kMknod:
    case record::Operation::kSymlink:
    case record::Operation::kUnlink:
    case record::Operation::kRmdir:
      meant = {places.first.parent};
      break;
    case record::Operation::kRename:
      meant = {places.first.parent, places.second.parent};
      break;
    case record::Operation::kLink:
      meant = {places.first.node, places.second.parent};
      break;
    case record::Operation::kCopyFileRange:
      meant = {places.second.node};
      break;
    default:
      meant = {places.first.node};
      break;
  }
  const std::set<uint64_t> named = NamedInodes(answered.result);
  return std::all_of(meant.begin(), meant.end(), [&](NodeId node) { return node == kNoNode || named.count(state.tree().InodeOf(node)) > 0; });
}

/// Between look-up and write a mount opens the file: what went to the trash before that is not opened for writing.
PosixModel::Places OpenedLate(const PosixModel& state, PosixModel::Places places, const record::Operation& operation) {
  if (operation.has_write() || operation.has_fallocate() || operation.has_copy_file_range()) {
    for (PosixPlace* place : {&places.first, &places.second}) {
      if (place->node != kNoNode && state.tree().IsTrash(state.tree().at(place->node).parent)) {
        place->parent = state.tree().at(place->node).parent;
      }
    }
  }
  return places;
}

/// The state of the look-up, and the state after the operation, that give the answer: a look-up in the window, then the operation in a state not
/// before it, of what was committed in the window's last state. `skew`: or in one before it, which the commit read: snapshot isolation lets
/// a folder be removed while a file is made in it, because neither writes what the other reads.
struct Explanation {
  bool overtaken = false;
  PosixModel after;
};
std::optional<Explanation> Explained(const std::vector<PosixModel>& states, Window window, const Answered& answered, bool skew) {
  const PosixResult expected = ResultOfWriter(answered.operation, answered.result);
  const size_t earliest = answered.commit_ts.valid() && !skew ? window.last : window.first;
  const bool two_paths = PathsOf(answered.operation).second.has_value();
  for (size_t last = window.last + 1; last-- > earliest;) {
    for (size_t first = last + 1; first-- > window.first;) {
      // The second path is looked up after the first.
      for (size_t second = (two_paths ? last : first) + 1; second-- > first;) {
        const PosixModel::Places places{states[first].Resolve(answered.operation).first, states[second].Resolve(answered.operation).second};
        if (answered.commit_ts.valid() && !IsMeant(states[last], places, answered)) {
          continue;
        }
        for (const PosixModel::Places& at : {places, OpenedLate(states[last], places, answered.operation)}) {
          Explanation explanation{first != last, states[last]};
          const PosixResult said = explanation.after.DoAt(answered.session, answered.operation, at, {0, 0});
          if (ResultDifferences(said, expected, false).empty()) {
            return explanation;
          }
        }
      }
    }
  }
  return std::nullopt;
}

/// Several sessions; empty when every answer is explained.
std::vector<std::string> Explain(const std::vector<Answered>& answers, bool trash, Seen* seen, const std::vector<KnownDifference>& known) {
  std::vector<const Answered*> commits;
  for (const Answered& answered : answers) {
    if (answered.commit_ts.valid()) {
      commits.push_back(&answered);
    }
  }
  std::sort(commits.begin(), commits.end(), [](const Answered* a, const Answered* b) { return a->commit_ts < b->commit_ts; });
  PosixModelOptions options;
  options.trash = trash;
  std::vector<PosixModel> states = {PosixModel(options)};
  const auto window_of = [&](const Answered& answered) {
    Window window;
    for (size_t i = 0; i < commits.size(); ++i) {
      window.first = window.first == i && commits[i]->committed_us <= answered.result.invoked_us ? i + 1 : window.first;
      window.last = commits[i]->result.invoked_us < answered.result.completed_us ? i + 1 : window.last;
    }
    return window;
  };
  std::vector<std::string> wrong;
  /// The state after it.
  const auto judge = [&](const Answered& answered, Window window) {
    seen->operations += 1;
    seen->done[answered.operation.kind_case()] += answered.result.error == 0 ? 1 : 0;
    seen->errors[ErrnoName(answered.result.error)] += 1;
    std::optional<Explanation> explanation = Explained(states, window, answered, false);
    if (explanation.has_value()) {
      seen->overtaken += explanation->overtaken ? 1 : 0;
      return std::move(explanation->after);
    }
    if (answered.commit_ts.valid() && Explained(states, window, answered, true).has_value()) {
      seen->skewed += 1;
      return states[window.last];
    }
    std::string what;
    for (size_t i = window.first; i <= window.last; ++i) {
      const PosixResult said = PosixModel(states[i]).Do(answered.session, answered.operation, {0, 0});
      what = "error: " + DescribeResult(ResultOfWriter(answered.operation, answered.result)) + " against " + DescribeResult(said);
      if (FindKnown(known, "session", KindName(answered.operation), what) != nullptr) {
        seen->excused += 1;
        return states[window.last];
      }
    }
    wrong.push_back("w" + std::to_string(answered.session) + " " + TextOf(answered.operation) + ": " + what);
    return states[window.last];
  };
  for (size_t i = 0; i < commits.size(); ++i) {
    const Answered& answered = *commits[i];
    PosixModel next = judge(answered, {std::min(window_of(answered).first, i), i});
    const auto& made = answered.operation;
    if (next.created() != kNoNode && (made.has_mkdir() || made.has_create() || made.has_mknod() || made.has_symlink())) {
      next.SetInode(next.created(), InodeMadeBy(answered.result).value());
    }
    states.push_back(std::move(next));
    seen->commits += 1;
    if (seen->skewed > 0) {
      return wrong;  // the volume is none that POSIX knows from here on
    }
  }
  for (const Answered& answered : answers) {
    if (!answered.commit_ts.valid()) {
      judge(answered, window_of(answered));
    }
  }
  return wrong;
}

TEST(PosixProperty, SessionsAtOnceAreExplainedByTheOrderOfTheirCommits) {
  const std::vector<KnownDifference> known = ReadKnownDifferences();
  Seen all;
  const bool held = rc::check("every answer is that of some state between the call and its end", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    const auto writers = *rc::gen::inRange<uint32_t>(2, 5);
    Seen seen;
    const std::vector<std::string> wrong = Explain(RunTogether(seed, writers, 25), seed % 3 != 0, &seen, known);
    RC_CLASSIFY(seed % 3 == 0, "no trash");
    RC_CLASSIFY(seen.overtaken > 0, "overtaken by another session");
    RC_CLASSIFY(seen.skewed > 0, "write skew");
    RC_CLASSIFY(seen.excused > 0, "known differences");
    all.operations += seen.operations;
    all.commits += seen.commits;
    all.overtaken += seen.overtaken;
    if (!wrong.empty()) {
      RC_FAIL(Joined(wrong));
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(all.commits, 500U);
  EXPECT_GT(all.overtaken, 0U);
}

TEST(PosixProperty, AnAnswerThatNoStateGivesIsSeen) {
  const std::vector<KnownDifference> known = ReadKnownDifferences();
  std::vector<Answered> answers = RunTogether(5, 3, 25);
  Seen seen;
  ASSERT_EQ(Explain(answers, true, &seen, known), std::vector<std::string>());
  uint64_t planted = 0;
  uint64_t found = 0;
  for (size_t i = 0; i < answers.size() && planted < 12; ++i) {
    if (answers[i].commit_ts.valid() || answers[i].result.error == 0 || answers[i].result.error == EXDEV) {
      continue;
    }
    std::vector<Answered> other = answers;
    other[i].result.error = EXDEV;
    planted += 1;
    found += Explain(other, true, &seen, known).empty() ? 0 : 1;
  }
  EXPECT_GT(planted, 5U);
  EXPECT_EQ(found, planted);
}

}  // namespace
}  // namespace kvjury::judge
