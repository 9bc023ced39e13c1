// One random session of ours against the model of POSIX: every answer and every time, and at the end each entry; the volume's numbers after each operation.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/test_mount.h"
#include "harness/judge/posix_model.h"
#include "harness/judge/posix_writer.h"
#include "harness/judge/test_posix.h"

namespace kvjury::judge {
namespace {

using juicefs::OperationResult;

/// One session of a volume of its own, and the model beside it.
class Pair {
 public:
  Pair(uint64_t seed, Seen* seen, const std::vector<KnownDifference>& known)
      : seen_(*seen), known_(known), mount_(MountOptionsOf(seed)), model_(ModelOptionsOf(seed, mount_.store().wall_ns())) {}

  void Do(const record::Operation& operation) {
    const int64_t begin_ns = mount_.store().wall_ns();
    PosixModel kernel = model_;
    kernel.Do(1, operation, {begin_ns, begin_ns});
    if (kernel.refused_in_front()) {
      seen_.in_front += 1;
      return;
    }
    const OperationResult answer = mount_.Do(TextOf(operation));
    const PosixResult expected = model_.Do(1, operation, {begin_ns, mount_.store().wall_ns()});
    if (model_.created() != kNoNode && answer.error == 0) {
      model_.SetInode(model_.created(), InodeMadeBy(answer).value());
    }
    seen_.operations += 1;
    (answer.error == 0 ? seen_.done : seen_.refused)[operation.kind_case()] += 1;
    seen_.errors[ErrnoName(answer.error)] += 1;
    for (const std::string& what : ResultDifferences(ResultOfWriter(operation, answer), expected, true)) {
      if (FindKnown(known_, "session", KindName(operation), what) != nullptr) {
        seen_.excused += 1;
      } else {
        wrong_.push_back(TextOf(operation) + ": " + what + HowItCame(PathsOf(operation).first.value_or("")));
      }
    }
    texts_.push_back(TextOf(operation) + ": " + DescribeResult(expected));
  }

  void LookAtAll() {
    std::vector<std::pair<NodeId, Bytes>> waiting = {{kRootNode, ""}};
    while (!waiting.empty()) {
      const auto [id, path] = waiting.back();
      waiting.pop_back();
      Look(id, path);
      for (const auto& [name, child] : model_.tree().at(id).entries) {
        waiting.emplace_back(child, path.empty() ? name : path + "/" + name);
      }
    }
  }

  [[nodiscard]] const std::vector<std::string>& wrong() const { return wrong_; }

 private:
  static juicefs::TestMount::Options MountOptionsOf(uint64_t seed) {
    juicefs::TestMount::Options options;
    options.trash_days = seed % 3 == 0 ? 0 : 1;
    options.blocks = true;
    options.acl = seed % 4 != 0;
    options.mount.atime = static_cast<juicefs::AtimeMode>(seed % 5 % 3);
    return options;
  }
  static PosixModelOptions ModelOptionsOf(uint64_t seed, int64_t formatted_ns) {
    PosixModelOptions options;
    options.formatted_ns = {0, formatted_ns};
    options.trash = MountOptionsOf(seed).trash_days > 0;
    options.acl = MountOptionsOf(seed).acl;
    options.atime = MountOptionsOf(seed).mount.atime;
    options.protected_hardlinks = seed % 2 == 0;
    return options;
  }

  void Look(NodeId id, const Bytes& path) {
    record::Operation look;
    look.mutable_lookup()->set_path(path);
    Do(look);
    look.mutable_list_xattr()->set_path(path);
    Do(look);
    look.mutable_stat_fs()->set_path(path);
    Do(look);
    for (const bool is_default : {false, true}) {
      look.mutable_get_acl()->set_path(path);
      look.mutable_get_acl()->set_is_default(is_default);
      Do(look);
    }
    const PosixNode node = model_.tree().at(id);
    for (const auto& [name, value] : node.xattrs) {
      look.mutable_get_xattr()->set_path(path);
      look.mutable_get_xattr()->set_name(name);
      Do(look);
    }
    if (node.type == juicefs::kTypeSymlink) {
      look.mutable_readlink()->set_path(path);
      Do(look);
    }
    if (node.IsDirectory()) {
      look.mutable_readdir()->set_path(path);
      Do(look);
    }
    for (const auto& [offset, length] : node.content.WrittenRanges()) {
      look.mutable_read()->set_path(path);
      look.mutable_read()->set_offset(offset - std::min<uint64_t>(offset, 10));
      look.mutable_read()->set_length(static_cast<uint32_t>(length + 20));
      Do(look);
    }
  }

  /// What was done to the path's last name, as far as names tell.
  [[nodiscard]] std::string HowItCame(const Bytes& path) const {
    std::string lines;
    for (const std::string& text : texts_) {
      if (!path.empty() && text.find(path.substr(path.rfind('/') + 1)) != std::string::npos) {
        lines += "\n    " + text;
      }
    }
    return lines;
  }

  Seen& seen_;
  const std::vector<KnownDifference>& known_;
  juicefs::TestMount mount_;
  PosixModel model_;
  std::vector<std::string> wrong_;
  std::vector<std::string> texts_;
};

/// Empty when every answer is the model's.
std::vector<std::string> RunAlone(uint64_t seed, Seen* seen, const std::vector<KnownDifference>& known) {
  Pair pair(seed, seen, known);
  for (const record::Operation& operation : DrawForPosix(seed, 1, 80, 50'000, true)) {
    pair.Do(operation);
    record::Operation numbers;
    numbers.mutable_stat_fs();
    pair.Do(numbers);
  }
  pair.LookAtAll();
  return pair.wrong();
}

TEST(PosixProperty, OneSessionAnswersAsTheModel) {
  const std::vector<KnownDifference> known = ReadKnownDifferences();
  Seen all;
  const bool held = rc::check("results of one session are those of the model", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1'000'000);
    Seen seen;
    const std::vector<std::string> wrong = RunAlone(seed, &seen, known);
    RC_CLASSIFY(seed % 3 == 0, "no trash");
    RC_CLASSIFY(seen.errors["EINVAL"] > 0, "something moved into itself");
    RC_CLASSIFY(seen.errors["ENAMETOOLONG"] > 0, "names too long");
    RC_CLASSIFY(seen.excused > 0, "known differences");
    RC_CLASSIFY(seed % 4 == 0, "no ACLs");
    RC_CLASSIFY(seed % 5 % 3 == 1, "relatime");
    RC_CLASSIFY(seed % 5 % 3 == 2, "strictatime");
    RC_CLASSIFY(seen.in_front > 0, "refused in front of the session");
    all.operations += seen.operations;
    for (const auto& [kind, count] : seen.done) {
      all.done[kind] += count;
    }
    for (const auto& [kind, count] : seen.refused) {
      all.refused[kind] += count;
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
  for (int kind = record::Operation::kMkdir; kind <= record::Operation::kStatFs; ++kind) {
    const bool of_juicefs = kind >= record::Operation::kClone && kind <= record::Operation::kRemoveTree;
    EXPECT_EQ(all.done[kind] > 0, !of_juicefs) << "operation kind " << kind << " never succeeded";
    EXPECT_EQ(all.refused[kind] > 0, !of_juicefs) << "operation kind " << kind << " never failed";
  }
  for (const char* error : {"ENOENT", "EEXIST", "ENOTEMPTY", "ENOTDIR", "EISDIR", "EINVAL", "ENODATA", "ENAMETOOLONG", "EPERM", "EAGAIN", "ENOTSUP"}) {
    EXPECT_GT(all.errors[error], 0U) << error << " never came up";
  }
}

}  // namespace
}  // namespace kvjury::judge
