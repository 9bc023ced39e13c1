#include "harness/client/committer.h"

#include <algorithm>

#include "harness/client/key_error.h"

namespace kvjury::client {

namespace {

constexpr size_t kBatchBytes = 16 * 1024;
constexpr size_t kAsyncKeysMax = 256;
constexpr size_t kAsyncKeyBytesMax = 4096;
constexpr int64_t kSafeWindowMs = 2000;
constexpr uint64_t kDefaultTtlMs = 3000;
constexpr uint64_t kTtlMsMax = 20000;
constexpr uint64_t kTtlMsPerRootMib = 6000;
constexpr uint64_t kCommitTsGapMax = uint64_t{3'600'000} << Timestamp::kLogicalBits;
constexpr int64_t kTransactionMsMax = 24 * 3'600'000;

uint64_t IntegerRoot(uint64_t value) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit != 0; bit >>= 1) {
    const uint64_t candidate = root | bit;
    if (candidate <= value / candidate) {
      root = candidate;
    }
  }
  return root;
}

// 3 s; 6 s times the root of the size in MiB for transactions of 16 KiB and more.
uint64_t LockTtlMs(size_t bytes) {
  if (bytes < kBatchBytes) {
    return kDefaultTtlMs;
  }
  const uint64_t grown_ms = IntegerRoot(kTtlMsPerRootMib * kTtlMsPerRootMib * bytes / (1024 * 1024));
  return std::clamp(grown_ms, kDefaultTtlMs, kTtlMsMax);
}

}  // namespace

Committer::Committer(Services services, LockResolver* resolver, Timestamp start_ts, Micros began_us,
                     std::map<Bytes, std::optional<Bytes>> writes, LabelsPtr labels)
    : services_(services), resolver_(resolver), start_ts_(start_ts), began_us_(began_us), labels_(std::move(labels)) {
  CHECK(!writes.empty()) << "nothing to commit";
  size_t bytes = 0;
  for (auto& [key, value] : writes) {
    bytes += key.size() + (value.has_value() ? value->size() : 0);
    writes_.emplace_back(key, std::move(value));
  }
  const Micros elapsed_us = services_.messenger->scheduler()->now_us() - began_us_;
  lock_ttl_ms_ = LockTtlMs(bytes) + static_cast<uint64_t>(elapsed_us / 1000);
}

void Committer::ChooseProtocol() {
  size_t key_bytes = 0;
  for (const auto& [key, value] : writes_) {
    key_bytes += key.size();
  }
  async_ = writes_.size() <= kAsyncKeysMax && key_bytes <= kAsyncKeyBytesMax;
  one_phase_ = true;  // until there is more than one batch
}

CommitInfo Committer::Committed(CommitMode mode) {
  Counters& counters = services_.messenger->counters();
  ++(mode == CommitMode::kOnePhase ? counters.committed_one_phase
     : mode == CommitMode::kAsync  ? counters.committed_async
                                   : counters.committed_two_phase);
  services_.messenger->Note("committed", start_ts_.value(), commit_ts_.value());
  CommitInfo info;
  info.commit_ts = commit_ts_;
  info.mode = mode;
  return info;
}

sim::Task<Result<CommitInfo>> Committer::Execute() {
  auto attempt = TryCommit();
  Result<CommitInfo> result = co_await std::move(attempt);
  if (result.ok()) {
    co_return result;
  }
  Counters& counters = services_.messenger->counters();
  services_.messenger->Note("not committed", start_ts_.value(), static_cast<uint64_t>(result.error().code()));
  if (services_.messenger->off()) {
    co_return Status::Cancelled(services_.messenger->name() + " is dead");
  }
  if (undetermined_.has_value()) {
    ++counters.undetermined;
    co_return Status::Undetermined("the result of the commit is undetermined: " + undetermined_->message());
  }
  if (result.error().code() == StatusCode::kConflict) {
    ++counters.conflicts;
  }
  CleanUpInBackground();
  co_return result;
}

sim::Task<Result<CommitInfo>> Committer::TryCommit() {
  ChooseProtocol();
  // The commit timestamp may be chosen by the stores: it must be above every timestamp given out so far.
  Backoffer timestamp_backoff(services_.messenger, labels_, kTimestampBudgetUs);
  auto ask_latest = services_.pd->GetTimestamp(&timestamp_backoff);
  CO_ASSIGN_OR_RETURN(const Timestamp latest, co_await std::move(ask_latest));
  min_commit_ts_ = latest.value() + 1;
  const Micros elapsed_us = services_.messenger->scheduler()->now_us() - began_us_;
  max_commit_ts_ =
      Timestamp::Compose(start_ts_.physical_ms() + elapsed_us / 1000 + kSafeWindowMs, start_ts_.logical()).value();

  Backoffer backoff(services_.messenger, labels_, kPrewriteBudgetUs);
  auto prewrite = PrewriteRange(0, writes_.size(), false, &backoff);
  CO_RETURN_IF_ERROR(co_await std::move(prewrite));

  if (one_phase_) {
    CHECK_NE(one_phase_commit_ts_, 0U) << "a 1PC prewrite succeeded without a commit timestamp";
    commit_ts_ = Timestamp(one_phase_commit_ts_);
    co_return Committed(CommitMode::kOnePhase);
  }
  if (async_) {
    commit_ts_ = Timestamp(min_commit_ts_);
    services_.background->Spawn(services_.messenger->name() + " commits " + labels_->base().text(),
                                CommitRangeInBackground(shared_from_this()));
    co_return Committed(CommitMode::kAsync);
  }
  auto two_phase = CommitTwoPhase();
  CO_RETURN_IF_ERROR(co_await std::move(two_phase));
  co_return Committed(CommitMode::kTwoPhase);
}

sim::Task<Status> Committer::CommitTwoPhase() {
  Backoffer timestamp_backoff(services_.messenger, labels_, kTimestampBudgetUs);
  auto ask = services_.pd->GetTimestamp(&timestamp_backoff);
  CO_ASSIGN_OR_RETURN(commit_ts_, co_await std::move(ask));
  if (commit_ts_.physical_ms() - start_ts_.physical_ms() > kTransactionMsMax) {
    co_return Status::Rejected("the transaction took more than a day");
  }
  Backoffer backoff(services_.messenger, labels_, kCommitBudgetUs);
  auto commit = CommitRange(0, writes_.size(), false, &backoff);
  const Status status = co_await std::move(commit);
  if (committed_) {
    co_return Status::Ok();  // the primary is committed; whatever else went wrong is cleared later
  }
  CHECK(!status.ok()) << "a commit without its primary";
  co_return status;
}

// Sizes as client-go batches them: keys and values to prewrite, keys alone to commit.
size_t Committer::WriteSize(size_t index, Step step) const {
  const auto& [key, value] = writes_[index];
  return key.size() + (step == Step::kPrewrite && value.has_value() ? value->size() : 0);
}

sim::Task<Result<std::vector<Committer::Batch>>> Committer::MakeBatches(size_t begin, size_t end, Step step,
                                                                        Backoffer* backoff) {
  std::vector<Batch> batches;
  size_t index = begin;
  while (index < end) {
    auto locate = services_.regions->LocateKey(writes_[index].first, backoff);
    CO_ASSIGN_OR_RETURN(RegionPtr region, co_await std::move(locate));
    size_t region_end = index;
    while (region_end < end && region->Contains(writes_[region_end].first)) {
      ++region_end;
    }
    CHECK_GT(region_end, index) << "a region without the key it was found by";
    const uint64_t region_keys = region_end - index;
    while (index < region_end) {
      Batch batch;
      batch.region = region;
      batch.begin = index;
      batch.region_keys = region_keys;
      batch.is_primary = index == 0;
      size_t bytes = 0;
      while (index < region_end && bytes < kBatchBytes) {
        bytes += WriteSize(index, step);
        ++index;
      }
      batch.end = index;
      batches.push_back(std::move(batch));
    }
  }
  co_return batches;
}

// ---- prewrite ----

sim::Task<Status> Committer::PrewriteRange(size_t begin, size_t end, bool retry, Backoffer* backoff) {
  auto make = MakeBatches(begin, end, Step::kPrewrite, backoff);
  CO_ASSIGN_OR_RETURN(std::vector<Batch> batches, co_await std::move(make));
  if (batches.size() == 1) {
    auto only = PrewriteBatch(std::move(batches.front()), retry, backoff);
    co_return co_await std::move(only);
  }
  one_phase_ = false;
  std::optional<Status> first_error;
  sim::Scope scope(services_.messenger->scheduler());
  for (const Batch& batch : batches) {
    scope.Spawn("prewrite " + Printable(writes_[batch.begin].first),
                PrewriteInScope(shared_from_this(), batch, retry, backoff->Fork(), &first_error));
  }
  co_await scope.Join();
  co_return first_error.value_or(Status::Ok());
}

sim::Task<void> Committer::PrewriteInScope(Self self, Batch batch, bool retry, Backoffer backoff,
                                           std::optional<Status>* first_error) {
  auto prewrite = self->PrewriteBatch(std::move(batch), retry, &backoff);
  Status status = co_await std::move(prewrite);
  if (status.ok()) {
    co_return;
  }
  self->prewrite_cancelled_ = true;  // the others stop at their next step
  if (!first_error->has_value()) {
    *first_error = std::move(status);
  }
}

sim::Task<Status> Committer::PrewriteBatch(Batch batch, bool retry, Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  auto send = SendPrewrite(std::move(batch), retry, &sender, backoff);
  Status status = co_await std::move(send);
  // Without the reply of a prewrite nobody knows whether it was the one that committed the transaction.
  if (!status.ok() && (async_ || one_phase_) && sender.transport_error().has_value() && !prewrite_cancelled_) {
    undetermined_ = sender.transport_error();
  }
  co_return status;
}

sim::Task<Status> Committer::SendPrewrite(Batch batch, bool retry, RegionSender* sender, Backoffer* backoff) {
  kvrpcpb::PrewriteRequest request = MakePrewrite(batch, retry);
  while (true) {
    if (prewrite_cancelled_) {
      co_return Status::Unavailable("another prewrite of the transaction failed");
    }
    auto send = sender->Send(tikv::kKvPrewrite, "prewrite", batch.region, request);
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::PrewriteResponse> response, co_await std::move(send));
    if (response == nullptr) {
      auto again = PrewriteRange(batch.begin, batch.end, true, backoff);
      co_return co_await std::move(again);
    }
    if (response->errors_size() == 0) {
      sender->ClearTransportError();
      co_return OnPrewritten(*response);
    }
    auto resolve = ResolvePrewriteLocks(std::move(response), backoff);
    CO_RETURN_IF_ERROR(co_await std::move(resolve));
  }
}

kvrpcpb::PrewriteRequest Committer::MakePrewrite(const Batch& batch, bool retry) const {
  kvrpcpb::PrewriteRequest request;
  for (size_t i = batch.begin; i < batch.end; ++i) {
    const auto& [key, value] = writes_[i];
    kvrpcpb::Mutation* mutation = request.add_mutations();
    mutation->set_op(value.has_value() ? kvrpcpb::Put : kvrpcpb::Del);
    mutation->set_key(key);
    if (value.has_value()) {
      mutation->set_value(*value);
    }
  }
  request.set_primary_lock(primary());
  request.set_start_version(start_ts_.value());
  request.set_lock_ttl(lock_ttl_ms_);
  // Unknown on a retry: the largest keeps resolvers from clearing key by key.
  request.set_txn_size(retry ? UINT64_MAX : batch.region_keys);
  request.set_min_commit_ts(std::max(min_commit_ts_, start_ts_.value() + 1));
  request.set_max_commit_ts(max_commit_ts_);
  if (async_) {
    request.set_use_async_commit(true);
    if (batch.is_primary) {
      for (size_t i = 1; i < writes_.size(); ++i) {
        request.add_secondaries(writes_[i].first);
      }
    }
  }
  request.set_try_one_pc(one_phase_);
  return request;
}

Status Committer::OnPrewritten(const kvrpcpb::PrewriteResponse& response) {
  Counters& counters = services_.messenger->counters();
  if (one_phase_) {
    if (response.one_pc_commit_ts() != 0) {
      CHECK_EQ(one_phase_commit_ts_, 0U) << "committed in one phase twice";
      one_phase_commit_ts_ = response.one_pc_commit_ts();
      return Status::Ok();
    }
    if (response.min_commit_ts() != 0) {
      return Status::Rejected("the store declined 1PC and gave a min_commit_ts all the same");
    }
    ++counters.fallbacks_to_two_phase;
    one_phase_ = false;
    async_ = false;
    return Status::Ok();
  }
  if (response.one_pc_commit_ts() != 0) {
    return Status::DataLoss("the store committed in one phase what nobody asked it to");
  }
  if (async_) {
    if (response.min_commit_ts() == 0) {
      ++counters.fallbacks_to_two_phase;
      async_ = false;
    } else {
      min_commit_ts_ = std::max(min_commit_ts_, response.min_commit_ts());
    }
  }
  return Status::Ok();
}

sim::Task<Status> Committer::ResolvePrewriteLocks(std::shared_ptr<const kvrpcpb::PrewriteResponse> response,
                                                  Backoffer* backoff) {
  std::vector<kvrpcpb::LockInfo> locks;
  for (const kvrpcpb::KeyError& error : response->errors()) {
    if (!error.has_locked()) {
      co_return KeyErrorStatus(error);
    }
    if (error.locked().lock_version() > start_ts_.value()) {
      // A younger transaction holds the key: this one is bound to lose, whatever becomes of the lock.
      co_return Status::Conflict("write conflict at " + Printable(error.locked().key()) + ": started at " +
                                 std::to_string(start_ts_.value()) + ", met the lock of " +
                                 std::to_string(error.locked().lock_version()));
    }
    locks.push_back(error.locked());
  }
  CO_RETURN_IF_ERROR(backoff->CountTry("locks are met all the time"));
  ResolveOptions options;
  options.caller_start_ts = start_ts_;
  auto resolve = resolver_->Resolve(std::move(locks), options, backoff);
  CO_ASSIGN_OR_RETURN(const ResolveOutcome outcome, co_await std::move(resolve));
  if (outcome.wait_ms > 0) {
    auto wait = backoff->Wait(BackoffKind::kTxnLock, "a prewrite met the lock of a live transaction", outcome.wait_ms * 1000);
    CO_RETURN_IF_ERROR(co_await std::move(wait));
  }
  co_return Status::Ok();
}

// ---- commit ----

sim::Task<Status> Committer::CommitRange(size_t begin, size_t end, bool retry, Backoffer* backoff) {
  auto make = MakeBatches(begin, end, Step::kCommit, backoff);
  CO_ASSIGN_OR_RETURN(std::vector<Batch> batches, co_await std::move(make));
  if (batches.front().is_primary && !async_) {
    auto primary_first = CommitBatch(batches.front(), backoff);
    CO_RETURN_IF_ERROR(co_await std::move(primary_first));
    batches.erase(batches.begin());
  }
  if (batches.empty()) {
    co_return Status::Ok();
  }
  if (!retry && !async_) {
    services_.background->Spawn(services_.messenger->name() + " commits " + labels_->base().text(),
                                CommitBatchesInBackground(shared_from_this(), std::move(batches)));
    co_return Status::Ok();
  }
  auto rest = CommitBatches(std::move(batches), !retry, backoff);
  co_return co_await std::move(rest);
}

// At the same time, or one after the other when the range was grouped again.
sim::Task<Status> Committer::CommitBatches(std::vector<Batch> batches, bool parallel, Backoffer* backoff) {
  std::optional<Status> first_error;
  if (parallel && batches.size() > 1) {
    sim::Scope scope(services_.messenger->scheduler());
    for (const Batch& batch : batches) {
      scope.Spawn("commit " + Printable(writes_[batch.begin].first),
                  CommitInScope(shared_from_this(), batch, backoff->Fork(), &first_error));
    }
    co_await scope.Join();
    co_return first_error.value_or(Status::Ok());
  }
  for (Batch& batch : batches) {
    auto commit = CommitBatch(std::move(batch), backoff);
    Status status = co_await std::move(commit);
    if (!status.ok() && !first_error.has_value()) {
      first_error = std::move(status);
    }
  }
  co_return first_error.value_or(Status::Ok());
}

sim::Task<void> Committer::CommitInScope(Self self, Batch batch, Backoffer backoff, std::optional<Status>* first_error) {
  auto commit = self->CommitBatch(std::move(batch), &backoff);
  Status status = co_await std::move(commit);
  if (!status.ok() && !first_error->has_value()) {
    *first_error = std::move(status);
  }
}

sim::Task<Status> Committer::CommitBatch(Batch batch, Backoffer* backoff) {
  RegionSender sender(services_, backoff);
  while (true) {
    kvrpcpb::CommitRequest request;
    request.set_start_version(start_ts_.value());
    request.set_commit_version(commit_ts_.value());
    for (size_t i = batch.begin; i < batch.end; ++i) {
      request.add_keys(writes_[i].first);
    }
    auto send = sender.Send(tikv::kKvCommit, "commit", batch.region, std::move(request));
    Result<std::shared_ptr<const kvrpcpb::CommitResponse>> response = co_await std::move(send);
    if (batch.is_primary && sender.transport_error().has_value()) {
      undetermined_ = sender.transport_error();
    }
    if (!response.ok()) {
      co_return response.error();
    }
    if (*response == nullptr) {
      auto again = CommitRange(batch.begin, batch.end, true, backoff);
      co_return co_await std::move(again);
    }
    if (batch.is_primary) {
      undetermined_.reset();  // the store has spoken
      sender.ClearTransportError();
    }
    if (!(*response)->has_error()) {
      committed_ = true;
      co_return Status::Ok();
    }
    const kvrpcpb::KeyError& error = (*response)->error();
    if (!error.has_commit_ts_expired() || committed_ || async_) {
      co_return KeyErrorStatus(error);
    }
    auto renew = TakeNewCommitTs(error.commit_ts_expired(), backoff);
    CO_RETURN_IF_ERROR(co_await std::move(renew));
  }
}

// A reader has pushed the primary's min_commit_ts above the commit timestamp: commit later.
sim::Task<Status> Committer::TakeNewCommitTs(kvrpcpb::CommitTsExpired expired, Backoffer* backoff) {
  ++services_.messenger->counters().commit_ts_expired;
  if (expired.key() != primary()) {
    co_return Status::Rejected("the commit timestamp of a secondary key has expired");
  }
  if (expired.min_commit_ts() - expired.attempted_commit_ts() > kCommitTsGapMax) {
    co_return Status::Rejected("the least commit timestamp lies too far ahead");
  }
  auto ask = services_.pd->GetTimestamp(backoff);
  CO_ASSIGN_OR_RETURN(commit_ts_, co_await std::move(ask));
  co_return Status::Ok();
}

sim::Task<void> Committer::CommitRangeInBackground(Self self) {
  Backoffer backoff(self->services_.messenger, self->labels_, kSecondariesBudgetUs);
  auto commit = self->CommitRange(0, self->writes_.size(), false, &backoff);
  const Status status = co_await std::move(commit);
  self->services_.messenger->Note("background commit", self->start_ts_.value(), static_cast<uint64_t>(status.code()));
}

sim::Task<void> Committer::CommitBatchesInBackground(Self self, std::vector<Batch> batches) {
  Backoffer backoff(self->services_.messenger, self->labels_, kSecondariesBudgetUs);
  auto commit = self->CommitBatches(std::move(batches), true, &backoff);
  const Status status = co_await std::move(commit);
  self->services_.messenger->Note("background commit", self->start_ts_.value(), static_cast<uint64_t>(status.code()));
}

// ---- clean-up ----

// Locks that were written before the failure are rolled back; a failed 1PC has left none.
void Committer::CleanUpInBackground() {
  if (one_phase_) {
    return;
  }
  services_.background->Spawn(services_.messenger->name() + " cleans up " + labels_->base().text(),
                              CleanUp(shared_from_this()));
}

sim::Task<void> Committer::CleanUp(Self self) {
  Backoffer backoff(self->services_.messenger, self->labels_, kCleanupBudgetUs);
  auto clean_up = self->CleanUpRange(0, self->writes_.size(), &backoff);
  const Status status = co_await std::move(clean_up);
  self->services_.messenger->Note("cleaned up", self->start_ts_.value(), static_cast<uint64_t>(status.code()));
}

sim::Task<Status> Committer::CleanUpRange(size_t begin, size_t end, Backoffer* backoff) {
  auto make = MakeBatches(begin, end, Step::kCleanup, backoff);
  CO_ASSIGN_OR_RETURN(std::vector<Batch> batches, co_await std::move(make));
  RegionSender sender(services_, backoff);
  for (const Batch& batch : batches) {
    kvrpcpb::BatchRollbackRequest request;
    request.set_start_version(start_ts_.value());
    for (size_t i = batch.begin; i < batch.end; ++i) {
      request.add_keys(writes_[i].first);
    }
    auto send = sender.Send(tikv::kKvBatchRollback, "rollback", batch.region, std::move(request));
    CO_ASSIGN_OR_RETURN(std::shared_ptr<const kvrpcpb::BatchRollbackResponse> response, co_await std::move(send));
    if (response == nullptr) {
      auto again = CleanUpRange(batch.begin, batch.end, backoff);
      CO_RETURN_IF_ERROR(co_await std::move(again));
    } else if (response->has_error()) {
      co_return KeyErrorStatus(response->error());
    }
  }
  co_return Status::Ok();
}

}  // namespace kvjury::client
