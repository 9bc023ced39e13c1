// The decision tables of the transaction commands, row by row: requests and answers as text messages.
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/gc.h"
#include "fakes/tikv/mvcc_test_store.h"

namespace kvjury::tikv {
namespace {

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

template <class Message>
std::string Show(const Message& message) {
  return message.ShortDebugString();
}

class Commands : public ::testing::Test {
 protected:
  template <class Request>
  auto Call(const std::string& text) {
    return store_.Call(Parse<Request>(text));
  }
  /// Expects the answer to be exactly this.
  template <class Request>
  void Expect(const std::string& request, const std::string& answer) {
    const auto actual = Call<Request>(request);
    using Response = std::decay_t<decltype(actual)>;
    EXPECT_EQ(Show(actual), Show(Parse<Response>(answer))) << "for " << request;
  }
  void Put(const std::string& key, const std::string& value, uint64_t start_ts, uint64_t commit_ts) {
    Expect<kvrpcpb::PrewriteRequest>("mutations{key:'" + key + "' value:'" + value + "'} primary_lock:'" + key +
                                         "' lock_ttl:3000 start_version:" + std::to_string(start_ts),
                                     "");
    Expect<kvrpcpb::CommitRequest>("keys:'" + key + "' start_version:" + std::to_string(start_ts) +
                                       " commit_version:" + std::to_string(commit_ts),
                                   "commit_version:" + std::to_string(commit_ts));
  }
  std::optional<LockRecord> Lock(const std::string& key) {
    return MvccReader(store_.engine.Latest()).LoadLock(EncodeKey(key));
  }
  std::vector<CommittedWrite> Writes(const std::string& key) {
    return MvccReader(store_.engine.Latest()).AllWrites(EncodeKey(key));
  }
  void ExpectValue(const std::string& key, uint64_t ts, const std::string& answer) {
    Expect<kvrpcpb::GetRequest>("key:'" + key + "' version:" + std::to_string(ts), answer);
  }

  MvccTestStore store_;
};

using Prewrites = kvrpcpb::PrewriteRequest;
using Check = kvrpcpb::CheckTxnStatusRequest;

TEST_F(Commands, AsyncCommitPromisesATimestampBehindEveryRead) {
  ExpectValue("a", 500, "not_found:true");
  Expect<Prewrites>("mutations{key:'a' value:'1'} mutations{key:'b' value:'2'} primary_lock:'a' start_version:100 "
                    "lock_ttl:3000 min_commit_ts:101 use_async_commit:true secondaries:'b'",
                    "min_commit_ts:501");
  EXPECT_EQ(Lock("a")->secondaries, std::vector<Bytes>{"b"});
  EXPECT_TRUE(Lock("b")->use_async_commit);
  EXPECT_TRUE(Lock("b")->secondaries.empty());
  ExpectValue("a", 500, "not_found:true");  // min_commit_ts is behind this reader
  EXPECT_TRUE(Call<kvrpcpb::GetRequest>("key:'a' version:501").error().has_locked());
  // A repeated request gets the same promise although max_ts has moved on.
  Expect<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'a' start_version:100 lock_ttl:3000 use_async_commit:true",
                    "min_commit_ts:501");
}

TEST_F(Commands, MemoryLocksAreSeenBeforeTheWriteIsApplied) {
  for (const char* kind : {"use_async_commit:true", "try_one_pc:true"}) {
    MvccTestStore store;
    const auto request = Parse<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'a' start_version:100 lock_ttl:9 " +
                                          std::string(kind));
    auto result = Prewrite(store.engine.Latest(), &store.concurrency, request);
    ASSERT_EQ(result.memory_locks.size(), 1u);
    EXPECT_TRUE(store.Call(Parse<kvrpcpb::GetRequest>("key:'a' version:200")).error().has_locked());
    EXPECT_TRUE(store.Call(Parse<kvrpcpb::GetRequest>("key:'a' version:18446744073709551615")).error().has_locked());
    EXPECT_TRUE(store.Call(Parse<kvrpcpb::ScanRequest>("limit:5 version:200")).pairs(0).error().has_locked());
    EXPECT_TRUE(store.Call(Parse<kvrpcpb::ScanLockRequest>("max_version:200")).error().has_locked());
    store.Apply(std::move(result));
    EXPECT_EQ(store.concurrency.lock_count(), 0u);
  }
}

TEST_F(Commands, ExceedingMaxCommitTsFallsBackToTwoPhases) {
  ExpectValue("a", 500, "not_found:true");
  for (const char* kind : {"use_async_commit:true secondaries:'b'", "try_one_pc:true"}) {
    Expect<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'a' start_version:100 lock_ttl:3000 max_commit_ts:400 " +
                          std::string(kind),
                      "");
    EXPECT_FALSE(Lock("a")->use_async_commit);
    EXPECT_TRUE(Lock("a")->secondaries.empty());
    EXPECT_EQ(store_.concurrency.lock_count(), 0u);
    Expect<kvrpcpb::BatchRollbackRequest>("start_version:100 keys:'b'", "");
    Expect<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'a' start_version:100 lock_ttl:3000 try_one_pc:true", "");
  }
}

TEST_F(Commands, OnePhaseCommitLeavesNoLock) {
  Expect<Prewrites>("mutations{key:'a' value:'1'} mutations{key:'b' op:Del} primary_lock:'a' start_version:100 "
                    "try_one_pc:true use_async_commit:true",
                    "min_commit_ts:101 one_pc_commit_ts:101");
  EXPECT_FALSE(Lock("a").has_value());
  ExpectValue("a", 100, "not_found:true");
  ExpectValue("a", 101, "value:'1'");
  // The same request again finds itself committed.
  Expect<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'a' start_version:100 try_one_pc:true",
                    "min_commit_ts:101 one_pc_commit_ts:101");
}

TEST_F(Commands, OnePhaseCommitReplacesPessimisticLocks) {
  Expect<kvrpcpb::PessimisticLockRequest>(
      "mutations{op:PessimisticLock key:'a'} primary_lock:'a' start_version:100 for_update_ts:120 lock_ttl:9", "");
  Expect<Prewrites>("mutations{key:'a' value:'1'} pessimistic_actions:DO_PESSIMISTIC_CHECK primary_lock:'a' "
                    "start_version:100 for_update_ts:120 try_one_pc:true",
                    "one_pc_commit_ts:121");
  EXPECT_FALSE(Lock("a").has_value());
}

TEST_F(Commands, PrewriteRefusesWhatHasChanged) {
  Put("a", "1", 100, 110);
  const auto conflict = Call<Prewrites>("mutations{key:'a' value:'2'} primary_lock:'a' start_version:105");
  EXPECT_EQ(conflict.errors(0).conflict().reason(), kvrpcpb::WriteConflict::Optimistic);
  const auto lazy = Call<Prewrites>("mutations{key:'a' value:'2'} pessimistic_actions:DO_CONSTRAINT_CHECK "
                                    "primary_lock:'a' start_version:105 for_update_ts:120");
  EXPECT_EQ(lazy.errors(0).conflict().reason(), kvrpcpb::WriteConflict::LazyUniquenessCheck);
  const auto amended = Call<Prewrites>("mutations{key:'a' value:'2'} pessimistic_actions:DO_PESSIMISTIC_CHECK "
                                       "primary_lock:'a' start_version:105 for_update_ts:120");
  EXPECT_NE(amended.errors(0).abort().find("PessimisticLockNotFound"), std::string::npos);
  Expect<Prewrites>("mutations{key:'a' value:'2'} primary_lock:'a' start_version:105 skip_constraint_check:true", "");
}

TEST_F(Commands, StrictAssertionsLoadWhatFastOnesDoNot) {
  const std::string request = "mutations{key:'a' value:'2' assertion:Exist} pessimistic_actions:SKIP_PESSIMISTIC_CHECK "
                              "primary_lock:'a' start_version:105 for_update_ts:120 assertion_level:";
  EXPECT_TRUE(Call<Prewrites>(request + "Strict").errors(0).has_assertion_failed());
  Expect<Prewrites>(request + "Fast", "");
}

// Times of the rows below: physical 1000 ms and time to live 3000 ms.
constexpr char kStart[] = "262144000";
const std::string kLock = std::string(" primary_lock:'p' lock_ttl:3000 start_version:") + kStart;

TEST_F(Commands, CheckTxnStatusRow1SecondaryIsNoPrimary) {
  Expect<Prewrites>("mutations{key:'s' value:'1'}" + kLock, "");
  const auto mismatch = Call<Check>("primary_key:'s' lock_ts:262144000 verify_is_primary:true rollback_if_not_exist:true");
  EXPECT_TRUE(mismatch.error().has_primary_mismatch());
  Expect<kvrpcpb::PessimisticLockRequest>("mutations{op:PessimisticLock key:'t'} for_update_ts:262144000" + kLock, "");
  EXPECT_TRUE(Call<Check>("primary_key:'t' lock_ts:262144000 verify_is_primary:true resolving_pessimistic_lock:true")
                  .error().has_primary_mismatch());
  Expect<Check>("primary_key:'t' lock_ts:262144000 verify_is_primary:true rollback_if_not_exist:true",
                "action:LockNotExistRollback");
  EXPECT_FALSE(Lock("t").has_value());
  EXPECT_TRUE(Writes("t").at(0).write.is_protected_rollback());
}

TEST_F(Commands, CheckTxnStatusRow2AsyncCommitLockIsUntouched) {
  Expect<Prewrites>("mutations{key:'p' value:'1'} use_async_commit:true secondaries:'s'" + kLock, "min_commit_ts:262144001");
  const std::string check = "primary_key:'p' lock_ts:262144000 current_ts:18446744073709551615";
  const auto alive = Call<Check>(check);
  EXPECT_EQ(alive.lock_ttl(), 3000u);
  EXPECT_EQ(alive.action(), kvrpcpb::NoAction);
  EXPECT_EQ(alive.lock_info().secondaries(0), "s");
  Expect<Check>(check + " force_sync_commit:true", "action:TTLExpireRollback");
}

TEST_F(Commands, CheckTxnStatusRow3ForcedLockTellsWhatBecameOfTheTransaction) {
  // A repeated forced lock request after the transaction was committed leaves such a lock.
  LockRecord lock;
  lock.type = LockType::kPessimistic;
  lock.primary = "p";
  lock.start_ts = Timestamp(262144000);
  lock.is_locked_with_conflict = true;
  Put("p", "1", 262144000, 262144005);
  WriteBatch batch;
  batch.Put(ColumnFamily::kLock, EncodeKey("p"), lock.Encode());
  store_.engine.Apply(batch);
  Expect<Check>("primary_key:'p' lock_ts:262144000", "commit_version:262144005");
  EXPECT_FALSE(Lock("p").has_value());
}

TEST_F(Commands, CheckTxnStatusRows4And5ExpiredLocksRollBack) {
  const std::string late = "primary_key:'p' lock_ts:262144000 current_ts:1048838144";
  const std::string lock = "mutations{op:PessimisticLock key:'p'} for_update_ts:262144000" + kLock;
  Expect<kvrpcpb::PessimisticLockRequest>(lock, "");
  Expect<Check>(late + " resolving_pessimistic_lock:true", "action:TTLExpirePessimisticRollback");
  EXPECT_TRUE(Writes("p").empty());
  Expect<kvrpcpb::PessimisticLockRequest>(lock, "");
  Expect<Check>(late, "action:TTLExpireRollback");
  EXPECT_TRUE(Writes("p").at(0).write.is_protected_rollback());
}

TEST_F(Commands, CheckTxnStatusRow6PushesTheLiveLock) {
  Expect<Prewrites>("mutations{key:'p' value:'1'} min_commit_ts:262144001" + kLock, "");
  const std::string check = "primary_key:'p' lock_ts:262144000 current_ts:262144010 caller_start_ts:";
  EXPECT_EQ(Call<Check>(check + "0").action(), kvrpcpb::NoAction);
  EXPECT_EQ(Call<Check>(check + "262144005").action(), kvrpcpb::MinCommitTSPushed);
  EXPECT_EQ(Lock("p")->min_commit_ts, Timestamp(262144010));
  EXPECT_EQ(Call<Check>(check + "262144050").lock_info().min_commit_ts(), 262144051u);
  EXPECT_EQ(Call<Check>(check + "18446744073709551615").action(), kvrpcpb::MinCommitTSPushed);
  EXPECT_EQ(Lock("p")->min_commit_ts, Timestamp(262144051));
}

TEST_F(Commands, CheckTxnStatusRows7To11AnswerFromTheRecords) {
  Put("p", "1", 10, 20);
  Expect<Check>("primary_key:'p' lock_ts:10", "commit_version:20");
  EXPECT_TRUE(Call<Check>("primary_key:'p' lock_ts:15").error().has_txn_not_found());
  Expect<Check>("primary_key:'p' lock_ts:15 rollback_if_not_exist:true resolving_pessimistic_lock:true",
                "action:LockNotExistDoNothing");
  Expect<Check>("primary_key:'p' lock_ts:15 rollback_if_not_exist:true", "action:LockNotExistRollback");
  Expect<Check>("primary_key:'p' lock_ts:15 rollback_if_not_exist:true", "");
}

TEST_F(Commands, RollbackIsNotedOnTheRecordThatStandsAtItsTimestamp) {
  Put("p", "old", 10, 20);
  Put("p", "new", 30, 40);
  Expect<Check>("primary_key:'p' lock_ts:20 rollback_if_not_exist:true", "action:LockNotExistRollback");
  const CommittedWrite noted = Writes("p").at(1);
  EXPECT_TRUE(noted.write.has_overlapped_rollback);
  EXPECT_EQ(noted.write.gc_fence, Timestamp(40));
  ExpectValue("p", 39, "value:'old'");  // the fence is above this reader
  Expect<Check>("primary_key:'p' lock_ts:20 rollback_if_not_exist:true", "");
  // An unprotected rollback there leaves no trace.
  Put("q", "old", 10, 20);
  Expect<kvrpcpb::BatchRollbackRequest>("start_version:20 keys:'q'", "");
  EXPECT_FALSE(Writes("q").at(0).write.has_overlapped_rollback);
}

TEST_F(Commands, FencedVersionIsAbsentOnceTheNewerOneWasCollected) {
  Put("p", "old", 10, 20);
  WriteRecord fenced = Writes("p").at(0).write;
  fenced.gc_fence = Timestamp(40);
  WriteBatch batch;
  batch.Put(ColumnFamily::kWrite, VersionKey(EncodeKey("p"), Timestamp(20)), fenced.Encode());
  store_.engine.Apply(batch);
  ExpectValue("p", 39, "value:'old'");
  ExpectValue("p", 40, "not_found:true");
  Expect<Prewrites>("mutations{op:Insert key:'p' value:'x'} primary_lock:'p' start_version:50", "");
}

TEST_F(Commands, ForeignAsyncCommitLockRemembersARollbackAtItsCommitTimestamp) {
  Expect<Prewrites>("mutations{key:'p' value:'1'} primary_lock:'p' start_version:10 use_async_commit:true",
                    "min_commit_ts:11");
  Expect<Check>("primary_key:'p' lock_ts:15 rollback_if_not_exist:true", "action:LockNotExistRollback");
  EXPECT_EQ(Lock("p")->rollback_ts, std::vector<Timestamp>{Timestamp(15)});
  Expect<kvrpcpb::CommitRequest>("keys:'p' start_version:10 commit_version:15", "commit_version:15");
  EXPECT_TRUE(Writes("p").at(0).write.has_overlapped_rollback);
  Expect<Check>("primary_key:'p' lock_ts:15 rollback_if_not_exist:true", "");
}

TEST_F(Commands, UnprotectedRollbacksCollapse) {
  Expect<kvrpcpb::BatchRollbackRequest>("start_version:10 keys:'s'", "");
  Expect<kvrpcpb::BatchRollbackRequest>("start_version:20 keys:'s'", "");
  ASSERT_EQ(Writes("s").size(), 1u);
  EXPECT_EQ(Writes("s").at(0).commit_ts, Timestamp(20));
  Expect<kvrpcpb::CleanupRequest>("start_version:30 key:'s'", "");
  EXPECT_TRUE(Writes("s").at(0).write.is_protected_rollback());
  EXPECT_EQ(Writes("s").size(), 2u);
}

TEST_F(Commands, CleanupLeavesALivingLockAlone) {
  Expect<Prewrites>("mutations{key:'p' value:'1'}" + kLock, "");
  EXPECT_TRUE(Call<kvrpcpb::CleanupRequest>("key:'p' start_version:262144000 current_ts:1048576000").error().has_locked());
  Expect<kvrpcpb::CleanupRequest>("key:'p' start_version:262144000 current_ts:1048838144", "");
  EXPECT_FALSE(Lock("p").has_value());
}

TEST_F(Commands, CheckSecondaryLocksIsDecidedByTheFirstKeyWithoutALock) {
  using Secondaries = kvrpcpb::CheckSecondaryLocksRequest;
  Expect<Prewrites>("mutations{key:'a' value:'1'} mutations{key:'b' value:'1'} primary_lock:'p' start_version:10 "
                    "use_async_commit:true", "min_commit_ts:11");
  EXPECT_EQ(Call<Secondaries>("keys:'a' keys:'b' start_version:10").locks_size(), 2);
  Expect<Secondaries>("keys:'a' keys:'missing' start_version:10", "");
  EXPECT_TRUE(Writes("missing").at(0).write.is_protected_rollback());
  Expect<kvrpcpb::CommitRequest>("keys:'b' start_version:10 commit_version:11", "commit_version:11");
  Expect<Secondaries>("keys:'a' keys:'b' start_version:10", "commit_ts:11");
  Expect<kvrpcpb::PessimisticLockRequest>(
      "mutations{op:PessimisticLock key:'c'} primary_lock:'p' start_version:10 for_update_ts:10", "");
  Expect<Secondaries>("keys:'c' start_version:10", "");
  EXPECT_FALSE(Lock("c").has_value());
  EXPECT_EQ(store_.concurrency.max_ts(), Timestamp(10));
}

TEST_F(Commands, PessimisticLocksTellWhatIsThereInTheFormAskedFor) {
  using Locks = kvrpcpb::PessimisticLockRequest;
  Put("a", "1", 10, 20);
  Put("gone", "1", 10, 20);
  Expect<Prewrites>("mutations{op:Del key:'gone'} primary_lock:'gone' start_version:30", "");
  Expect<kvrpcpb::CommitRequest>("keys:'gone' start_version:30 commit_version:40", "commit_version:40");
  const std::string three = "mutations{op:PessimisticLock key:'a'} mutations{op:PessimisticLock key:'gone'} "
                            "mutations{op:PessimisticLock key:'never'} primary_lock:'a' start_version:50 for_update_ts:50 ";
  Expect<Locks>(three, "");
  Expect<Locks>(three + "return_values:true", "values:'1' values:'' values:'' not_founds:false not_founds:true not_founds:true");
  Expect<Locks>(three + "check_existence:true", "not_founds:false not_founds:true not_founds:true");
  Expect<Locks>(three + "return_values:true check_existence:true",
                "values:'1' values:'' values:'' not_founds:false not_founds:true not_founds:true");
  const std::string one = "mutations{op:PessimisticLock key:'a'} primary_lock:'a' start_version:50 for_update_ts:50 "
                          "wake_up_mode:WakeUpModeForceLock ";
  Expect<Locks>(one, "results{}");
  Expect<Locks>(one + "return_values:true", "results{value:'1' existence:true}");
  Expect<Locks>(one + "check_existence:true", "results{existence:true}");
  const auto many = Call<Locks>(three + "wake_up_mode:WakeUpModeForceLock");
  EXPECT_NE(many.errors(0).abort().find("multiple keys in a single request"), std::string::npos);
  EXPECT_EQ(many.results_size(), 0);
}

TEST_F(Commands, LocksOnlyIfThereIsSomething) {
  using Locks = kvrpcpb::PessimisticLockRequest;
  Put("a", "1", 10, 20);
  const std::string both = "mutations{op:PessimisticLock key:'a'} mutations{op:PessimisticLock key:'b'} primary_lock:'a' "
                           "start_version:50 for_update_ts:50 lock_only_if_exists:true ";
  EXPECT_NE(Call<Locks>(both).errors(0).abort().find("LockIfExistsFailed"), std::string::npos);
  Expect<Locks>(both + "return_values:true", "values:'1' values:'' not_founds:false not_founds:true");
  EXPECT_TRUE(Lock("a").has_value());
  EXPECT_FALSE(Lock("b").has_value());
}

TEST_F(Commands, AForcedLockStandsAtTheConflictUnlessTheKeyIsNotAsItMustBe) {
  using Locks = kvrpcpb::PessimisticLockRequest;
  Put("a", "1", 60, 70);
  const std::string plain = "primary_lock:'a' start_version:50 for_update_ts:55 ";
  const std::string forced = plain + "wake_up_mode:WakeUpModeForceLock ";
  const auto conflict = Call<Locks>("mutations{op:PessimisticLock key:'a'} " + plain);
  EXPECT_EQ(conflict.errors(0).conflict().reason(), kvrpcpb::WriteConflict::PessimisticRetry);
  EXPECT_EQ(conflict.errors(0).conflict().conflict_commit_ts(), 70U);
  // The value that is in the way decides whether it exists; a newer one is a conflict, an older one is there already.
  const auto exists = Call<Locks>("mutations{op:PessimisticLock key:'a' assertion:NotExist} " + forced);
  EXPECT_EQ(exists.errors(0).conflict().conflict_commit_ts(), 70U);
  EXPECT_EQ(exists.results_size(), 0);
  const auto older = Call<Locks>("mutations{op:PessimisticLock key:'a' assertion:NotExist} primary_lock:'a' start_version:80 "
                                 "for_update_ts:80");
  EXPECT_EQ(older.errors(0).already_exist().key(), "a");
  Put("b", "1", 10, 20);
  Expect<Prewrites>("mutations{op:Del key:'b'} primary_lock:'b' start_version:60", "");
  Expect<kvrpcpb::CommitRequest>("keys:'b' start_version:60 commit_version:70", "commit_version:70");
  const auto absent = Call<Locks>("mutations{op:PessimisticLock key:'b'} lock_only_if_exists:true return_values:true " + forced);
  EXPECT_EQ(absent.errors(0).conflict().conflict_commit_ts(), 70U);
  EXPECT_FALSE(Lock("b").has_value());
  Expect<Locks>("mutations{op:PessimisticLock key:'a'} " + forced,
                "results{type:LockResultLockedWithConflict value:'1' existence:true locked_with_conflict_ts:70}");
  EXPECT_EQ(Lock("a")->for_update_ts, Timestamp(70));
  EXPECT_TRUE(Lock("a")->is_locked_with_conflict);
  // Again: the answer that was lost, and what the key must be is asked again.
  Expect<Locks>("mutations{op:PessimisticLock key:'a'} " + forced,
                "results{type:LockResultLockedWithConflict value:'1' existence:true locked_with_conflict_ts:70}");
  const auto repeated = Call<Locks>("mutations{op:PessimisticLock key:'a' assertion:NotExist} " + forced);
  EXPECT_EQ(repeated.errors(0).conflict().conflict_commit_ts(), 70U);
  const auto later = Call<Locks>("mutations{op:PessimisticLock key:'a' assertion:NotExist} primary_lock:'a' start_version:50 "
                                 "for_update_ts:75");
  EXPECT_EQ(later.errors(0).already_exist().key(), "a");
}

TEST_F(Commands, AForeignLockIsAResultOnlyWhereConflictsAreAllowed) {
  using Locks = kvrpcpb::PessimisticLockRequest;
  Expect<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'a' start_version:10 lock_ttl:9", "");
  const std::string request = "mutations{op:PessimisticLock key:'a'} primary_lock:'a' start_version:50 for_update_ts:50 ";
  const auto plain = Call<Locks>(request);
  EXPECT_TRUE(plain.errors(0).has_locked());
  EXPECT_EQ(plain.results_size(), 0);
  const auto forced = Call<Locks>(request + "wake_up_mode:WakeUpModeForceLock");
  EXPECT_TRUE(forced.errors(0).has_locked());
  EXPECT_EQ(forced.results(0).type(), kvrpcpb::LockResultFailed);
}

TEST_F(Commands, LaterFlushesReplaceEarlierOnesAndStaleOnesAreIgnored) {
  using Flushes = kvrpcpb::FlushRequest;
  using Buffer = kvrpcpb::BufferBatchGetRequest;
  const std::string of = " primary_key:'a' start_ts:100 lock_ttl:3000 assertion_level:Strict generation:";
  EXPECT_NE(Call<Flushes>("mutations{key:'a' value:'0'}" + of + "0").errors(0).abort().find(
                "generation should be greater than 0 for Flush requests"),
            std::string::npos);
  Expect<Flushes>("mutations{key:'a' value:'1' assertion:NotExist} mutations{key:'b' value:'1'} mutations{key:'c' value:'1'}" + of + "1", "");
  EXPECT_EQ(Lock("a")->generation, 1U);
  EXPECT_EQ(Lock("a")->min_commit_ts, Timestamp(101));
  EXPECT_EQ(Lock("a")->txn_size, UINT64_MAX);
  const Bytes long_value(300, 'x');
  Expect<Flushes>("mutations{key:'b' value:'" + long_value + "' assertion:Exist} mutations{op:Del key:'c'}" + of + "2", "");
  Expect<Flushes>("mutations{key:'b' value:'stale'} mutations{key:'d' value:'1'}" + of + "1", "");
  Expect<Flushes>("mutations{key:'b' value:'again'}" + of + "2", "");
  Expect<Buffer>("keys:'c' keys:'b' keys:'a' keys:'x' keys:'b' version:100",
                 "pairs{key:'a' value:'1'} pairs{key:'b' value:'" + long_value + "'} pairs{key:'c'}");
  Expect<Buffer>("keys:'a' version:99", "");
  EXPECT_EQ(Call<Flushes>("mutations{op:Insert key:'a' value:'2'}" + of + "3").errors(0).already_exist().key(), "a");
  Put("e", "1", 110, 120);
  EXPECT_EQ(Call<Flushes>("mutations{key:'e' value:'2'}" + of + "3").errors(0).conflict().conflict_commit_ts(), 120U);
  EXPECT_TRUE(Call<Flushes>("mutations{key:'f' value:'1' assertion:Exist}" + of + "3").errors(0).has_assertion_failed());
  Expect<kvrpcpb::CommitRequest>("keys:'a' keys:'b' keys:'c' keys:'d' start_version:100 commit_version:130", "commit_version:130");
  ExpectValue("b", 130, "value:'" + long_value + "'");
  ExpectValue("c", 130, "not_found:true");
}

TEST_F(Commands, HeartBeatOnlyLengthensALife) {
  using Beat = kvrpcpb::TxnHeartBeatRequest;
  EXPECT_TRUE(Call<Beat>("primary_lock:'p' start_version:10 advise_lock_ttl:5").error().has_txn_not_found());
  Expect<Prewrites>("mutations{key:'p' value:'1'} primary_lock:'p' start_version:10 lock_ttl:100", "");
  Expect<Beat>("primary_lock:'p' start_version:10 advise_lock_ttl:5", "lock_ttl:100");
  Expect<Beat>("primary_lock:'p' start_version:10 advise_lock_ttl:500", "lock_ttl:500");
  EXPECT_EQ(Lock("p")->ttl_ms, 500u);
}

TEST_F(Commands, ResolvingARegionHandlesEveryNamedTransaction) {
  Expect<Prewrites>("mutations{key:'a' value:'1'} primary_lock:'x' start_version:10", "");
  Expect<Prewrites>("mutations{key:'b' value:'2'} primary_lock:'y' start_version:20", "");
  Expect<Prewrites>("mutations{key:'c' value:'3'} primary_lock:'z' start_version:30", "");
  Expect<kvrpcpb::ResolveLockRequest>("txn_infos{txn:10 status:40} txn_infos{txn:20}", "");
  ExpectValue("a", 50, "value:'1'");
  ExpectValue("b", 50, "not_found:true");
  EXPECT_TRUE(Lock("c").has_value());
}

TEST_F(Commands, ReadsPassTheLocksThatTheContextNames) {
  Put("a", "old", 10, 20);
  Expect<Prewrites>("mutations{key:'a' value:'new'} primary_lock:'p' start_version:30", "");
  Expect<kvrpcpb::GetRequest>("context{resolved_locks:30} key:'a' version:50", "value:'old'");
  Expect<kvrpcpb::GetRequest>("context{committed_locks:30} key:'a' version:50", "value:'new'");
  Expect<kvrpcpb::GetRequest>("context{isolation_level:RC} key:'a' version:50", "value:'old'");
  EXPECT_EQ(Call<kvrpcpb::GetRequest>("context{isolation_level:RCCheckTS} key:'a' version:5").error().conflict().reason(),
            kvrpcpb::WriteConflict::RcCheckTs);
}

TEST_F(Commands, ValueThatIsGoneFromTheDefaultFamilyIsAnError) {
  Put("a", std::string(300, 'v'), 10, 20);
  WriteBatch batch;
  batch.DeleteRange(ColumnFamily::kDefault, "", "");
  store_.engine.Apply(batch);
  EXPECT_NE(Call<kvrpcpb::GetRequest>("key:'a' version:50").error().abort().find("DefaultNotFound"), std::string::npos);
  EXPECT_TRUE(Call<kvrpcpb::ScanRequest>("limit:5 version:50").has_error());
}

TEST_F(Commands, GarbageCollectionKeepsTheNewestPutAndTheJudgeKeepsAll) {
  Put("a", "1", 10, 20);
  Put("a", std::string(300, '2'), 30, 40);
  Put("a", "3", 50, 60);
  Put("a", "4", 70, 80);
  Put("d", "1", 10, 20);
  Expect<Prewrites>("mutations{op:Del key:'d'} primary_lock:'d' start_version:30", "");
  Expect<kvrpcpb::CommitRequest>("keys:'d' start_version:30 commit_version:40", "commit_version:40");
  store_.engine.Apply(CollectGarbage(store_.engine.Latest(), "", "", Timestamp(60)));
  EXPECT_EQ(Writes("a").size(), 2u);
  EXPECT_TRUE(Writes("d").empty());
  ExpectValue("a", 59, "not_found:true");
  ExpectValue("a", 60, "value:'3'");
  EXPECT_EQ(store_.engine.Latest().Get(ColumnFamily::kDefault, VersionKey(EncodeKey("a"), Timestamp(30))), nullptr);
  store_.engine.Prune(store_.engine.last_sequence());
  const Snapshot truth = store_.engine.Latest().IncludingCollected();
  EXPECT_EQ(ReadRangeAt(truth, "", "", Timestamp(25), 0).size(), 2u);
  const auto at_45 = ReadRangeAt(truth, "", "", Timestamp(45), 0);
  ASSERT_EQ(at_45.size(), 1u);
  EXPECT_EQ(at_45[0].value, std::string(300, '2'));
}

TEST_F(Commands, SampledScanReturnsEveryNthKey) {
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    Put(key, "v", 10, 20);
  }
  const auto sampled = Call<kvrpcpb::ScanRequest>("limit:5 version:50 sample_step:2 key_only:true");
  ASSERT_EQ(sampled.pairs_size(), 3);
  EXPECT_EQ(sampled.pairs(1).key(), "c");
}

}  // namespace
}  // namespace kvjury::tikv
