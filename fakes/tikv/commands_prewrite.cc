#include "fakes/tikv/commands_prewrite.h"

#include <algorithm>
#include <map>
#include <optional>

#include "fakes/base/check.h"
#include "fakes/base/memcomparable.h"
#include "fakes/tikv/mvcc_reader.h"

namespace kvjury::tikv {

namespace {

using Request = kvrpcpb::PrewriteRequest;

/// A mutation that passed its checks and waits for the whole command to pass.
struct PendingLock {
  Bytes key;
  LockRecord lock;
  const Bytes* value = nullptr;  // of the request
  bool has_long_value = false;
  bool replaces_pessimistic = false;
  bool replaces_flushed = false;
};

/// What became of one mutation.
struct Outcome {
  enum class Kind { kDone, kLocked, kAssertionFailed, kFatal };
  Kind kind = Kind::kDone;
  kvrpcpb::KeyError error;
  /// True if a commit record of this very transaction turns the error into success.
  bool may_be_committed = false;
  /// kDone: the bound on the commit timestamp so far; zero asks for two phases (see `is_final`).
  Timestamp min_commit_ts;
  /// kDone without a pending lock: `min_commit_ts` is the key's answer.
  bool is_final = false;
};

Outcome Fail(Outcome::Kind kind, kvrpcpb::KeyError error, bool may_be_committed) {
  Outcome outcome;
  outcome.kind = kind;
  outcome.error = std::move(error);
  outcome.may_be_committed = may_be_committed;
  return outcome;
}

class PrewriteCommand {
 public:
  PrewriteCommand(const Snapshot& snapshot, ConcurrencyManager* concurrency, const Request& request, uint64_t generation)
      : reader_(snapshot), concurrency_(concurrency), request_(request), generation_(generation),
        start_ts_(request.start_version()), for_update_ts_(request.for_update_ts()),
        is_pessimistic_(request.for_update_ts() != 0) {
    for (const auto& constraint : request.for_update_ts_constraints()) {
      expected_for_update_ts_[constraint.index()] = Timestamp(constraint.expected_for_update_ts());
    }
  }

  CommandResult<kvrpcpb::PrewriteResponse> Run() {
    for (const auto& mutation : request_.mutations()) {
      const size_t encoded_bytes = (mutation.key().size() / 8 + 1) * 9;
      if (encoded_bytes > kEncodedKeyBytesMax) {
        return FailWith(KeyTooLargeError(encoded_bytes));
      }
    }
    std::vector<kvrpcpb::KeyError> locked;
    std::optional<kvrpcpb::KeyError> failed_assertion;
    for (int index = 0; index < request_.mutations_size(); ++index) {
      const Bytes key = EncodeKey(request_.mutations(index).key());
      Outcome outcome = PrewriteOne(key, index);
      if (outcome.may_be_committed) {
        const CommitRecord record = reader_.FindCommitRecord(key, start_ts_);
        if (record.is_commit()) {
          return AnswerCommitted(record.record->commit_ts);
        }
      }
      switch (outcome.kind) {
        case Outcome::Kind::kFatal:
          return FailWith(std::move(outcome.error));
        case Outcome::Kind::kLocked:
          locked.push_back(std::move(outcome.error));
          break;
        case Outcome::Kind::kAssertionFailed:
          if (!failed_assertion.has_value()) {
            failed_assertion = std::move(outcome.error);
          }
          break;
        case Outcome::Kind::kDone:
          if (outcome.is_final) {
            NoteMinCommitTs(outcome.min_commit_ts);
          }
          break;
      }
    }
    if (failed_assertion.has_value()) {
      return FailWith(std::move(*failed_assertion));
    }
    if (!locked.empty()) {
      for (kvrpcpb::KeyError& error : locked) {
        *result_.response.add_errors() = std::move(error);
      }
      return std::move(result_);
    }
    return Write();
  }

 private:
  [[nodiscard]] bool needs_min_commit_ts() const { return request_.use_async_commit() || request_.try_one_pc(); }

  Request::PessimisticAction ActionOf(int index) const {
    return index < request_.pessimistic_actions_size() ? request_.pessimistic_actions(index)
                                                       : Request::SKIP_PESSIMISTIC_CHECK;
  }

  // A zero bound while one is needed: the transaction fell back to two phases in an earlier request.
  void NoteMinCommitTs(Timestamp ts) {
    if (needs_min_commit_ts() && !ts.valid()) {
      falls_back_ = true;
    }
    min_commit_ts_ = std::max(min_commit_ts_, ts);
  }

  CommandResult<kvrpcpb::PrewriteResponse> FailWith(kvrpcpb::KeyError error) {
    CommandResult<kvrpcpb::PrewriteResponse> failed;
    *failed.response.add_errors() = std::move(error);
    return failed;
  }

  CommandResult<kvrpcpb::PrewriteResponse> AnswerCommitted(Timestamp commit_ts) {
    CommandResult<kvrpcpb::PrewriteResponse> committed;
    committed.response.set_min_commit_ts(commit_ts.value());
    if (request_.try_one_pc()) {
      committed.response.set_one_pc_commit_ts(commit_ts.value());
    }
    return committed;
  }

  Outcome PrewriteOne(const Bytes& key, int index) {
    const kvrpcpb::Mutation& mutation = request_.mutations(index);
    const bool is_check = mutation.op() == kvrpcpb::CheckNotExists;
    const bool must_not_exist = is_check || mutation.op() == kvrpcpb::Insert;
    const bool does_pessimistic_check = is_pessimistic_ && ActionOf(index) == Request::DO_PESSIMISTIC_CHECK;
    if (is_pessimistic_ && is_check) {
      return Fail(Outcome::Kind::kFatal,
                  MvccAbortError("Other(\"[src/storage/txn/actions/prewrite.rs]: cannot handle checkNotExists in "
                                 "pessimistic prewrite\")"),
                  false);
    }
    if (must_not_exist) {
      concurrency_->UpdateMaxTs(start_ts_);
    }
    PendingLock pending;
    pending.key = key;
    pending.value = &mutation.value();
    pending.lock = NewLock(mutation);
    bool is_amended = false;
    const std::optional<LockRecord> lock = reader_.LoadLock(key);
    if (lock.has_value()) {
      std::optional<Outcome> decided = CheckLock(key, index, *lock, must_not_exist, &pending);
      if (decided.has_value()) {
        return std::move(*decided);
      }
    } else if (does_pessimistic_check) {
      const std::optional<CommittedWrite> newest = reader_.SeekWrite(key, Timestamp::Max());
      if (newest.has_value() && newest->commit_ts >= start_ts_) {
        return Fail(Outcome::Kind::kFatal, PessimisticLockNotFoundError(key, start_ts_, "LockMissingAmendFail"), true);
      }
      is_amended = true;
    }
    Outcome outcome;
    Versions versions;
    if (!SkipsVersionCheck(index)) {
      std::optional<Outcome> conflict = CheckVersions(key, index, must_not_exist, &versions);
      if (conflict.has_value()) {
        return std::move(*conflict);
      }
    }
    // Of a key that is flushed again only the first assertion counts.
    if (!is_amended && !pending.replaces_flushed) {
      std::optional<Outcome> failed = CheckAssertion(key, index, must_not_exist, &versions);
      if (failed.has_value()) {
        return std::move(*failed);
      }
    }
    if (is_check) {
      concurrency_->UpdateMaxTs(start_ts_);
      outcome.is_final = true;
      outcome.min_commit_ts = std::max(Timestamp(request_.min_commit_ts()), start_ts_.Next());
      return outcome;
    }
    if (is_pessimistic_ && !does_pessimistic_check && request_.context().is_retry_request() &&
        request_.use_async_commit()) {
      outcome.may_be_committed = true;  // a repeated prewrite of a key without a pessimistic lock
    }
    if (pending.lock.type == LockType::kLock && versions.is_loaded) {
      pending.lock.last_change = LastChangeAfter(versions.newest);
    }
    pending_.push_back(std::move(pending));
    return outcome;
  }

  LockRecord NewLock(const kvrpcpb::Mutation& mutation) const {
    LockRecord lock;
    lock.type = mutation.op() == kvrpcpb::Del    ? LockType::kDelete
                : mutation.op() == kvrpcpb::Lock ? LockType::kLock
                                                 : LockType::kPut;
    lock.primary = request_.primary_lock();
    lock.start_ts = start_ts_;
    lock.ttl_ms = request_.lock_ttl();
    lock.for_update_ts = for_update_ts_;
    lock.txn_size = request_.txn_size();
    lock.min_commit_ts = Timestamp(request_.min_commit_ts());
    lock.txn_source = request_.context().txn_source();
    lock.generation = generation_;
    return lock;
  }

  // A lock is on the key: an answer, or nothing if it is the pessimistic lock that this prewrite replaces.
  std::optional<Outcome> CheckLock(const Bytes& key, int index, const LockRecord& lock, bool must_not_exist,
                                   PendingLock* pending) {
    if (lock.start_ts != start_ts_) {
      if (is_pessimistic_ && ActionOf(index) == Request::DO_PESSIMISTIC_CHECK) {
        return Fail(Outcome::Kind::kFatal, PessimisticLockNotFoundError(key, start_ts_, "LockTsMismatch"), true);
      }
      kvrpcpb::KeyError error = LockedError(key, lock);
      if (is_pessimistic_) {
        error.mutable_locked()->set_lock_ttl(0);  // lets the client resolve it at once
      }
      return Fail(Outcome::Kind::kLocked, std::move(error), true);
    }
    if (lock.type != LockType::kPessimistic) {
      return CheckOwnLock(key, lock, must_not_exist, pending);
    }
    if (!is_pessimistic_) {
      return Fail(Outcome::Kind::kFatal, LockTypeNotMatchError(key, start_ts_, true), false);
    }
    const auto expected = expected_for_update_ts_.find(static_cast<uint32_t>(index));
    if (expected != expected_for_update_ts_.end() && expected->second != lock.for_update_ts) {
      return Fail(Outcome::Kind::kFatal, PessimisticLockNotFoundError(key, start_ts_, "LockForUpdateTsMismatch"), true);
    }
    pending->replaces_pessimistic = true;
    pending->lock.ttl_ms = std::max(pending->lock.ttl_ms, lock.ttl_ms);
    pending->lock.min_commit_ts = std::max(pending->lock.min_commit_ts, lock.min_commit_ts);
    pending->lock.for_update_ts = std::max(pending->lock.for_update_ts, lock.for_update_ts);
    if (pending->lock.type == LockType::kLock) {
      pending->lock.last_change = lock.last_change;
    }
    return std::nullopt;
  }

  // A lock that this transaction has written before: a repeated request, or a later flush of the key.
  std::optional<Outcome> CheckOwnLock(const Bytes& key, const LockRecord& lock, bool must_not_exist, PendingLock* pending) {
    if (generation_ > 0 && lock.generation >= generation_) {
      return Outcome();
    }
    if (lock.generation > 0 && must_not_exist && lock.type == LockType::kPut) {
      return Fail(Outcome::Kind::kFatal, AlreadyExistError(key), false);
    }
    if (generation_ > 0) {
      pending->replaces_flushed = true;
      return std::nullopt;
    }
    Outcome repeated;
    repeated.is_final = true;
    repeated.min_commit_ts = lock.use_async_commit ? lock.min_commit_ts : Timestamp();
    return repeated;
  }

  [[nodiscard]] bool SkipsVersionCheck(int index) const {
    if (!is_pessimistic_) {
      return request_.skip_constraint_check();
    }
    switch (ActionOf(index)) {
      case Request::DO_CONSTRAINT_CHECK:
        return false;
      case Request::SKIP_PESSIMISTIC_CHECK:
        return !request_.context().is_retry_request();
      default:
        return true;
    }
  }

  /// The newest record of a key, if it was looked at.
  struct Versions {
    bool is_loaded = false;
    std::optional<CommittedWrite> newest;
  };

  std::optional<Outcome> CheckVersions(const Bytes& key, int index, bool must_not_exist, Versions* versions) {
    versions->is_loaded = true;
    versions->newest = reader_.SeekWrite(key, Timestamp::Max());
    if (!versions->newest.has_value()) {
      return std::nullopt;
    }
    const CommittedWrite& newest = *versions->newest;
    const auto conflict = [&](kvrpcpb::WriteConflict::Reason reason) {
      return Fail(Outcome::Kind::kFatal, WriteConflictError(key, start_ts_, newest, request_.primary_lock(), reason),
                  newest.commit_ts > start_ts_);
    };
    if (newest.commit_ts == start_ts_ &&
        (newest.write.type == WriteType::kRollback || newest.write.has_overlapped_rollback)) {
      return conflict(kvrpcpb::WriteConflict::SelfRolledBack);
    }
    if (!is_pessimistic_ && newest.commit_ts > start_ts_) {
      return conflict(kvrpcpb::WriteConflict::Optimistic);
    }
    if (is_pessimistic_ && ActionOf(index) == Request::DO_CONSTRAINT_CHECK && newest.commit_ts > start_ts_) {
      return conflict(kvrpcpb::WriteConflict::LazyUniquenessCheck);
    }
    if (is_pessimistic_ && HasCommitBehind(key, newest)) {
      return Fail(Outcome::Kind::kFatal, PessimisticLockNotFoundError(key, start_ts_, "NonLockKeyConflict"), true);
    }
    if (must_not_exist && reader_.FindVisiblePut(key, Timestamp::Max()).has_value()) {
      return Fail(Outcome::Kind::kFatal, AlreadyExistError(key), false);
    }
    return std::nullopt;
  }

  // A record newer than for_update_ts that is no rollback.
  bool HasCommitBehind(const Bytes& key, const CommittedWrite& newest) const {
    std::optional<CommittedWrite> at = newest;
    while (at.has_value() && at->commit_ts > for_update_ts_) {
      if (at->write.type != WriteType::kRollback) {
        return true;
      }
      at = reader_.SeekWrite(key, at->commit_ts.Previous());
    }
    return false;
  }

  std::optional<Outcome> CheckAssertion(const Bytes& key, int index, bool must_not_exist, Versions* versions) {
    const kvrpcpb::Assertion assertion = request_.mutations(index).assertion();
    if (assertion == kvrpcpb::None || request_.assertion_level() == kvrpcpb::Off) {
      return std::nullopt;
    }
    if (!versions->is_loaded) {
      if (request_.assertion_level() != kvrpcpb::Strict) {
        return std::nullopt;
      }
      versions->is_loaded = true;
      versions->newest = reader_.SeekWrite(key, Timestamp::Max());
    }
    // Locks and rollbacks say nothing about the value: look at the newest change.
    std::optional<CommittedWrite> change = versions->newest;
    while (change.has_value() && (change->write.type == WriteType::kLock || change->write.type == WriteType::kRollback)) {
      change = reader_.SeekWrite(key, change->commit_ts.Previous());
    }
    const bool exists = change.has_value() && change->write.type == WriteType::kPut &&
                        !(change->write.gc_fence.has_value() && change->write.gc_fence->valid());
    if (exists == (assertion == kvrpcpb::Exist)) {
      return std::nullopt;
    }
    if (SkipsVersionCheck(index)) {
      Versions unused;
      std::optional<Outcome> conflict = CheckVersions(key, index, must_not_exist, &unused);
      if (conflict.has_value()) {
        return conflict;  // a conflict explains the failure and wins
      }
    }
    kvrpcpb::KeyError error;
    kvrpcpb::AssertionFailed* detail = error.mutable_assertion_failed();
    detail->set_start_ts(start_ts_.value());
    detail->set_key(UserKey(key));
    detail->set_assertion(assertion);
    if (change.has_value()) {
      detail->set_existing_start_ts(change->write.start_ts.value());
      detail->set_existing_commit_ts(change->commit_ts.value());
    }
    return Fail(Outcome::Kind::kAssertionFailed, std::move(error), false);
  }

  // All checks passed: fix the commit timestamps, place the memory locks, make the records.
  CommandResult<kvrpcpb::PrewriteResponse> Write() {
    AttachValues();
    if (needs_min_commit_ts() && !falls_back_) {
      PlaceMemoryLocks();
    }
    const bool is_promised = needs_min_commit_ts() && !falls_back_;
    for (PendingLock& pending : pending_) {
      if (pending.has_long_value) {
        result_.writes.Put(ColumnFamily::kDefault, VersionKey(pending.key, start_ts_), *pending.value);
      }
      if (is_promised && request_.try_one_pc()) {
        CommitAtOnce(pending);
      } else {
        result_.writes.Put(ColumnFamily::kLock, pending.key, pending.lock.Encode());
      }
    }
    if (is_promised) {
      if (request_.use_async_commit()) {
        result_.response.set_min_commit_ts(min_commit_ts_.value());
      }
      if (request_.try_one_pc()) {
        result_.response.set_one_pc_commit_ts(min_commit_ts_.value());
      }
    }
    return std::move(result_);
  }

  void AttachValues() {
    for (PendingLock& pending : pending_) {
      if (pending.lock.type != LockType::kPut) {
        continue;
      }
      if (pending.value->size() <= kShortValueBytesMax) {
        pending.lock.short_value = *pending.value;
      } else {
        pending.has_long_value = true;
      }
    }
  }

  void PlaceMemoryLocks() {
    const Timestamp floor = std::max({concurrency_->max_ts(), start_ts_, for_update_ts_}).Next();
    const Timestamp limit(request_.max_commit_ts());
    for (const PendingLock& pending : pending_) {
      const Timestamp bound = std::max(pending.lock.min_commit_ts, floor);
      if (limit.valid() && bound > limit) {
        falls_back_ = true;
        return;
      }
    }
    for (PendingLock& pending : pending_) {
      pending.lock.min_commit_ts = std::max(pending.lock.min_commit_ts, floor);
      min_commit_ts_ = std::max(min_commit_ts_, pending.lock.min_commit_ts);
      if (request_.use_async_commit()) {
        pending.lock.use_async_commit = true;
        if (EncodeKey(request_.primary_lock()) == pending.key) {
          pending.lock.secondaries.assign(request_.secondaries().begin(), request_.secondaries().end());
        }
      }
      if (concurrency_->Find(pending.key) != nullptr) {
        continue;  // the request names the key twice
      }
      result_.memory_locks.push_back(MemoryLock{pending.key, pending.lock, request_.try_one_pc()});
      concurrency_->Place(result_.memory_locks.back());
    }
  }

  void CommitAtOnce(const PendingLock& pending) {
    WriteRecord write;
    write.type = WriteTypeOf(pending.lock.type);
    write.start_ts = start_ts_;
    write.short_value = pending.lock.short_value;
    write.last_change = pending.lock.last_change;
    write.txn_source = pending.lock.txn_source;
    result_.writes.Put(ColumnFamily::kWrite, VersionKey(pending.key, min_commit_ts_), write.Encode());
    if (pending.replaces_pessimistic) {
      result_.writes.Delete(ColumnFamily::kLock, pending.key);
      result_.released.push_back(ReleasedLock{pending.key, start_ts_, min_commit_ts_});
    }
  }

  MvccReader reader_;
  ConcurrencyManager* concurrency_;
  const Request& request_;
  uint64_t generation_;
  Timestamp start_ts_;
  Timestamp for_update_ts_;
  bool is_pessimistic_;
  std::map<uint32_t, Timestamp> expected_for_update_ts_;
  std::vector<PendingLock> pending_;
  bool falls_back_ = false;
  Timestamp min_commit_ts_;
  CommandResult<kvrpcpb::PrewriteResponse> result_;
};

}  // namespace

CommandResult<kvrpcpb::PrewriteResponse> Prewrite(const Snapshot& snapshot, ConcurrencyManager* concurrency,
                                                  const kvrpcpb::PrewriteRequest& request, uint64_t generation) {
  return PrewriteCommand(snapshot, concurrency, request, generation).Run();
}

}  // namespace kvjury::tikv
