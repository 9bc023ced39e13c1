// Random sessions of ours against the model of POSIX: results, not only the final tree. One session exactly, in every answer and time; several at once
// by the order of their commits, with what was looked up, read or refused explained by some state between the call and its answer (open files left
// out: they are a session's own).
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>
#include <variant>

#include <google/protobuf/text_format.h>

#include "fakes/base/check.h"
#include "fakes/base/random.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/operation_mix.h"
#include "harness/juicefs/test_mount.h"
#include "harness/judge/errno_table.h"
#include "harness/judge/posix_model.h"
#include "harness/judge/posix_writer.h"

namespace kvjury::judge {
namespace {

using juicefs::OperationResult;
using juicefs::TransactionKind;

constexpr char kVolume[] = "vol";

std::string TextOf(const record::Operation& operation) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(operation, &text);
  return text;
}

void ClearHandle(record::Operation* operation) {
  if (operation->has_write()) {
    operation->mutable_write()->clear_handle();
  } else if (operation->has_read()) {
    operation->mutable_read()->clear_handle();
  } else if (operation->has_truncate()) {
    operation->mutable_truncate()->clear_handle();
  } else if (operation->has_fallocate()) {
    operation->mutable_fallocate()->clear_handle();
  }
}

/// `handles`: also open files, which are a session's own and commit nothing.
std::vector<record::Operation> Drawn(uint64_t seed, uint32_t writer, uint32_t count, uint32_t odd_path_ppm, bool handles) {
  RandomStream random(seed, "operations-of-writer-" + std::to_string(writer));
  juicefs::PathPicture picture;
  juicefs::MixOptions mix;
  mix.writer = writer;
  mix.operations = count;
  mix.names = 6;
  mix.odd_path_ppm = odd_path_ppm;
  std::vector<record::Operation> operations;
  for (record::Operation& operation : juicefs::DrawOperations(&random, mix, &picture)) {
    if (!PosixModel::KnowsOperation(operation) || (!handles && (operation.has_open() || operation.has_close()))) {
      continue;
    }
    if (!handles) {
      ClearHandle(&operation);
      if (operation.setattr().has_mode()) {
        // No set-id bits: what is made in a set-gid folder gets the group that the folder had when it was read, a skew that no answer tells at
        // once; what a chown does to them is asked of one session alone.
        operation.mutable_setattr()->set_mode(operation.setattr().mode() & 01777);
      }
    }
    if (operation.has_write()) {
      // A write over the end of a chunk is two commits, between which others come.
      record::Write* write = operation.mutable_write();
      const uint64_t room = juicefs::kChunkBytes - write->offset() % juicefs::kChunkBytes;
      write->set_length(static_cast<uint32_t>(std::min<uint64_t>(write->length(), room)));
      write->set_seed(seed * 1000 + operation.id());
    }
    operations.push_back(std::move(operation));
  }
  return operations;
}

std::vector<KnownDifference> Known() {
  const std::string path = std::string(KVJURY_SOURCE_DIR) + "/scenarios/posix/known_differences.txt";
  FILE* file = std::fopen(path.c_str(), "rb");
  CHECK(file != nullptr) << path;
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return *ParseKnownDifferences(text);
}

struct Seen {
  uint64_t operations = 0;
  uint64_t excused = 0;
  uint64_t commits = 0;
  uint64_t overtaken = 0;  // operations that are explained only by an earlier look-up
  uint64_t skewed = 0;     // commits that are explained only by what they read before another's commit
  std::map<int, uint64_t> done;
  std::map<std::string, uint64_t> errors;
};

/// One session; empty when every answer is the model's.
std::vector<std::string> RunAlone(uint64_t seed, Seen* seen, const std::vector<KnownDifference>& known) {
  juicefs::TestMount::Options options;
  options.trash_days = seed % 3 == 0 ? 0 : 1;
  options.blocks = true;
  juicefs::TestMount mount(options);
  PosixModelOptions model_options;
  model_options.formatted_ns = {0, mount.store().wall_ns()};
  model_options.trash = options.trash_days > 0;
  PosixModel model(model_options);
  std::vector<std::string> wrong;
  std::vector<std::string> texts;
  const auto step = [&](const record::Operation& operation) {
    const int64_t begin_ns = mount.store().wall_ns();
    const OperationResult answer = mount.Do(TextOf(operation));
    const PosixResult expected = model.Do(1, operation, {begin_ns, mount.store().wall_ns()});
    if (answer.error == ENOSYS) {
      return;
    }
    if (model.created() != kNoNode && answer.error == 0) {
      model.SetInode(model.created(), InodeMadeBy(answer).value());
    }
    seen->operations += 1;
    seen->done[operation.kind_case()] += answer.error == 0 ? 1 : 0;
    seen->errors[ErrnoName(answer.error)] += 1;
    for (const std::string& what : ResultDifferences(ResultOfWriter(operation, answer), expected, true)) {
      if (FindKnown(known, "session", KindName(operation), what) != nullptr) {
        seen->excused += 1;
      } else {
        wrong.push_back(TextOf(operation) + ": " + what);
        const std::string path = PathsOf(operation).first.value_or("");
        for (const std::string& text : texts) {
          // How it came to be, as far as its last name tells.
          if (!path.empty() && text.find(path.substr(path.rfind('/') + 1)) != std::string::npos) {
            wrong.back() += "\n    " + text;
          }
        }
      }
    }
    texts.push_back(TextOf(operation) + ": " + DescribeResult(expected));
  };
  for (const record::Operation& operation : Drawn(seed, 1, 80, 50'000, true)) {
    step(operation);
  }
  std::vector<std::pair<NodeId, Bytes>> waiting = {{kRootNode, ""}};
  while (!waiting.empty()) {
    const auto [id, path] = waiting.back();
    waiting.pop_back();
    record::Operation look;
    look.mutable_lookup()->set_path(path);
    step(look);
    const PosixNode& node = model.tree().at(id);
    if (node.IsDirectory()) {
      look.mutable_readdir()->set_path(path);
      step(look);
    }
    for (const auto& [offset, length] : node.content.WrittenRanges()) {
      look.mutable_read()->set_path(path);
      look.mutable_read()->set_offset(offset - std::min<uint64_t>(offset, 10));
      look.mutable_read()->set_length(static_cast<uint32_t>(length + 20));
      step(look);
    }
    for (const auto& [name, child] : model.tree().at(id).entries) {
      waiting.emplace_back(child, path.empty() ? name : path + "/" + name);
    }
  }
  return wrong;
}

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
  store.Preload(juicefs::WithPrefix(juicefs::FormatPairs(juicefs::DefaultFormat(kVolume, seed % 3 == 0 ? 0 : 1), store.wall_ns()), kVolume));
  std::vector<Answered> answers;
  std::vector<std::unique_ptr<juicefs::Writer>> sessions;
  sim::Scope scope(&scheduler);
  for (uint32_t id = 1; id <= writers; ++id) {
    juicefs::WriterOptions options;
    options.id = id;
    options.volume_name = kVolume;
    options.wall_ns = [&store] { return store.wall_ns(); };
    sessions.push_back(std::make_unique<juicefs::Writer>(&store, options));
    scope.Spawn("writer-" + std::to_string(id), RunSession(sessions.back().get(), id, Drawn(seed, id, operations, 0, false), &answers));
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
        Explanation explanation{first != last, states[last]};
        const PosixResult said = explanation.after.DoAt(answered.session, answered.operation, places, {0, 0});
        if (ResultDifferences(said, expected, false).empty()) {
          return explanation;
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

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(lines.size(), 10); ++i) {
    text += lines[i] + "\n";
  }
  return text;
}

TEST(PosixProperty, OneSessionAnswersAsTheModel) {
  const std::vector<KnownDifference> known = Known();
  Seen all;
  const bool held = rc::check("results of one session are those of the model", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    Seen seen;
    const std::vector<std::string> wrong = RunAlone(seed, &seen, known);
    RC_CLASSIFY(seed % 3 == 0, "no trash");
    RC_CLASSIFY(seen.errors["EINVAL"] > 0, "something moved into itself");
    RC_CLASSIFY(seen.errors["ENAMETOOLONG"] > 0, "names too long");
    RC_CLASSIFY(seen.excused > 0, "known differences");
    all.operations += seen.operations;
    for (const auto& [kind, count] : seen.done) {
      all.done[kind] += count;
    }
    for (const auto& [error, count] : seen.errors) {
      all.errors[error] += count;
    }
    if (!wrong.empty()) {
      RC_FAIL(Joined(wrong));
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(all.operations, 1'000U);
  for (int kind = record::Operation::kMkdir; kind <= record::Operation::kRead; ++kind) {
    EXPECT_GT(all.done[kind], 0U) << "operation kind " << kind << " never succeeded";
  }
  for (const char* error : {"ENOENT", "EEXIST", "ENOTEMPTY", "ENOTDIR", "EISDIR", "EINVAL", "ENODATA", "ENAMETOOLONG"}) {
    EXPECT_GT(all.errors[error], 0U) << error << " never came up";
  }
}

TEST(PosixProperty, SessionsAtOnceAreExplainedByTheOrderOfTheirCommits) {
  const std::vector<KnownDifference> known = Known();
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
  const std::vector<KnownDifference> known = Known();
  std::vector<Answered> answers = RunTogether(5, 3, 25);
  Seen seen;
  ASSERT_EQ(Explain(answers, true, &seen, known), std::vector<std::string>());
  uint64_t planted = 0;
  uint64_t found = 0;
  for (size_t i = 0; i < answers.size() && planted < 12; ++i) {
    if (answers[i].commit_ts.valid() || answers[i].result.error == 0) {
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
