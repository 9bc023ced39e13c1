// What records without their writers show at a timestamp: every fate that a lock can have.
#include "fakes/tikv/settled_read.h"

#include <google/protobuf/text_format.h>
#include <gmock/gmock.h>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_test_store.h"

namespace kvjury::tikv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SettledReadTest : public ::testing::Test {
 protected:
  template <class Request>
  auto Call(const std::string& text) {
    Request request;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    return store_.Call(request);
  }
  void Prewrite(const std::string& text) {
    const auto answer = Call<kvrpcpb::PrewriteRequest>("lock_ttl:3000 " + text);
    CHECK_EQ(answer.errors_size(), 0) << answer.ShortDebugString();
  }
  void Commit(const std::string& text) {
    const auto answer = Call<kvrpcpb::CommitRequest>(text);
    CHECK(!answer.has_error()) << answer.ShortDebugString();
  }
  void Put(const std::string& key, const std::string& value, uint64_t start_ts, uint64_t commit_ts) {
    Prewrite("mutations{key:'" + key + "' value:'" + value + "'} primary_lock:'" + key + "' start_version:" + std::to_string(start_ts));
    Commit("keys:'" + key + "' start_version:" + std::to_string(start_ts) + " commit_version:" + std::to_string(commit_ts));
  }
  SettledRead At(uint64_t ts) { return ReadSettledAt(store_.engine.Latest(), Timestamp(ts)).value(); }
  /// "key=value@start,commit" each.
  std::vector<std::string> ShownAt(uint64_t ts) {
    std::vector<std::string> shown;
    for (const UserVersion& version : At(ts).versions) {
      shown.push_back(version.key + "=" + version.value.substr(0, 4) + "@" + std::to_string(version.start_ts.value()) + "," +
                      std::to_string(version.commit_ts.value()));
    }
    return shown;
  }

  MvccTestStore store_;
};

TEST_F(SettledReadTest, CommittedVersionsKeepTheirTimestamps) {
  Put("a", "old", 10, 20);
  Put("a", "new", 30, 40);
  Put("b", std::string(300, 'x'), 50, 60);
  EXPECT_THAT(ShownAt(19), IsEmpty());
  EXPECT_THAT(ShownAt(39), ElementsAre("a=old@10,20"));
  EXPECT_THAT(ShownAt(60), ElementsAre("a=new@30,40", "b=xxxx@50,60"));
}

TEST_F(SettledReadTest, ALockOfACommittedPrimaryIsItsCommit) {
  Put("b", "old", 10, 20);
  Put("d", "gone", 10, 20);
  Put("z", "last", 10, 20);
  Prewrite("mutations{key:'a' value:'1'} mutations{key:'b' value:'2'} mutations{key:'c' value:'" + std::string(300, 'y') +
           "'} mutations{op:Del key:'d'} primary_lock:'a' start_version:30");
  Commit("keys:'a' start_version:30 commit_version:40");
  EXPECT_THAT(ShownAt(39), ElementsAre("b=old@10,20", "d=gone@10,20", "z=last@10,20"));
  EXPECT_THAT(ShownAt(40), ElementsAre("a=1@30,40", "b=2@30,40", "c=yyyy@30,40", "z=last@10,20"));
  EXPECT_EQ(At(40).committed_locks, 3U);
  EXPECT_EQ(At(40).undecided_locks, 0U);
}

TEST_F(SettledReadTest, ALockOfARolledBackOrUnknownPrimaryIsNothing) {
  Put("b", "old", 10, 20);
  Prewrite("mutations{key:'b' value:'2'} primary_lock:'a' start_version:30");
  EXPECT_THAT(ShownAt(99), ElementsAre("b=old@10,20"));
  Call<kvrpcpb::BatchRollbackRequest>("start_version:30 keys:'a'");
  EXPECT_THAT(ShownAt(99), ElementsAre("b=old@10,20"));
  EXPECT_EQ(At(99).other_locks, 1U);
  EXPECT_EQ(At(99).undecided_locks, 0U);
}

TEST_F(SettledReadTest, AnUndecidedPrimaryIsNotCommittedAndIsNamed) {
  Put("b", "old", 10, 20);
  Prewrite("mutations{key:'a' value:'1'} mutations{key:'b' value:'2'} primary_lock:'a' start_version:30");
  EXPECT_THAT(ShownAt(99), ElementsAre("b=old@10,20"));
  const SettledRead read = At(99);
  EXPECT_EQ(read.undecided_locks, 2U);
  EXPECT_THAT(read.first_undecided, HasSubstr("0x61 is locked by the transaction that began at 30"));
  EXPECT_EQ(At(29).other_locks, 0U) << "it began later";
}

TEST_F(SettledReadTest, AsyncCommitIsDecidedByAllItsKeys) {
  const std::string primary = "mutations{key:'a' value:'1'} primary_lock:'a' start_version:30 use_async_commit:true secondaries:'b' min_commit_ts:35";
  Prewrite(primary);
  EXPECT_THAT(ShownAt(99), IsEmpty()) << "b is not locked";
  Prewrite("mutations{key:'b' value:'2'} primary_lock:'a' start_version:30 use_async_commit:true min_commit_ts:37");
  EXPECT_THAT(ShownAt(36), IsEmpty()) << "the largest minimum decides, for every key";
  EXPECT_THAT(ShownAt(37), ElementsAre("a=1@30,37", "b=2@30,37"));
  // A secondary that was committed already says the same.
  Commit("keys:'b' start_version:30 commit_version:37");
  EXPECT_THAT(ShownAt(37), ElementsAre("a=1@30,37", "b=2@30,37"));
}

TEST_F(SettledReadTest, AsyncCommitThatFellBackIsUndecided) {
  Prewrite("mutations{key:'a' value:'1'} primary_lock:'a' start_version:30 use_async_commit:true secondaries:'b' min_commit_ts:35");
  Prewrite("mutations{key:'b' value:'2'} primary_lock:'a' start_version:30");
  EXPECT_THAT(ShownAt(99), IsEmpty());
  EXPECT_EQ(At(99).undecided_locks, 2U);
}

TEST_F(SettledReadTest, AMissingValueIsDamage) {
  Put("a", std::string(300, 'x'), 10, 20);
  WriteBatch damage;
  damage.Delete(ColumnFamily::kDefault, EncodeVersionedKey("a", Timestamp(10)));
  store_.engine.Apply(std::move(damage));
  EXPECT_EQ(ReadSettledAt(store_.engine.Latest(), Timestamp(99)).status().code(), StatusCode::kDataLoss);
}

TEST_F(SettledReadTest, ChangesComeInTheOrderOfCommitsWithTheirLocksSettled) {
  Put("b", "old", 10, 20);
  Put("a", "one", 30, 35);
  Put("b", std::string(300, 'x'), 50, 60);
  Prewrite("mutations{key:'a' value:'two'} mutations{op:Del key:'b'} mutations{key:'c' value:'new'} primary_lock:'a' start_version:70");
  Commit("keys:'a' start_version:70 commit_version:80");
  Prewrite("mutations{key:'d' value:'never'} primary_lock:'d' start_version:90");
  const auto changes = [this](uint64_t from, uint64_t to) {
    std::vector<std::string> shown;
    const std::vector<UserChange> read = ReadSettledChanges(store_.engine.Latest(), Timestamp(from), Timestamp(to)).value();
    for (const UserChange& change : read) {
      shown.push_back(std::to_string(change.commit_ts.value()) + " " + change.key + "=" + change.value.value_or("-").substr(0, 4));
    }
    return shown;
  };
  EXPECT_THAT(changes(0, 99), ElementsAre("20 b=old", "35 a=one", "60 b=xxxx", "80 a=two", "80 b=-", "80 c=new"));
  EXPECT_THAT(changes(20, 79), ElementsAre("35 a=one", "60 b=xxxx"));
  EXPECT_THAT(changes(60, 80), ElementsAre("80 a=two", "80 b=-", "80 c=new"));
}

}  // namespace
}  // namespace kvjury::tikv
