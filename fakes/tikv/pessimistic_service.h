// PessimisticService: locks that a transaction takes before it writes, and waiting for them.
//
// A request that meets another transaction's lock joins the queue of that key (lock_waits.h) while it holds the key's latch, so
// that no release can slip in between; it answers when it is woken, found in a deadlock, or out of time.
// Modelled: waiting with the request's time and the store's limit, wake-ups, deadlocks over the whole cluster, requests that may
// lock in spite of conflicts and go on by themselves when woken, the list of all waits.
// Not modelled: waits do not move to a region's new leader (they time out, as in TiKV); a woken request takes its latch anew, so
// that a newcomer may come first (TiKV hands the latch over).
// Source: TiKV 8.5.0, src/storage/txn/scheduler.rs, src/server/lock_manager.
#pragma once

#include "fakes/tikv/store_calls.h"

namespace kvjury::tikv {

class PessimisticService {
 public:
  /// `calls` must outlive it.
  explicit PessimisticService(const StoreCalls* calls) : calls_(calls) {}
  PessimisticService(const PessimisticService&) = delete;
  PessimisticService& operator=(const PessimisticService&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  template <class Message>
  using Ptr = StoreCalls::Ptr<Message>;
  template <class Message>
  using Answer = StoreCalls::Answer<Message>;
  using Request = kvrpcpb::PessimisticLockRequest;
  using Response = kvrpcpb::PessimisticLockResponse;

  /// An answer, or the wait that has begun instead.
  struct Attempt {
    Result<Response> response = Response();
    LockWaits::WaiterPtr waiter;
  };

  Answer<Response> Lock(Ptr<Request> request, sim::CallContext context);
  Answer<kvrpcpb::PessimisticRollbackResponse> Rollback(Ptr<kvrpcpb::PessimisticRollbackRequest> request,
                                                        sim::CallContext context);
  Answer<kvrpcpb::GetLockWaitInfoResponse> GetLockWaitInfo(Ptr<kvrpcpb::GetLockWaitInfoRequest> request,
                                                           sim::CallContext context);

  /// One attempt under latches, which ends with the request in the queue if it must wait. A repeated attempt was woken by the
  /// release of `woken_by`, and passes that on if it leaves the key without a lock. Suspends.
  sim::Task<Attempt> TryLock(Ptr<Request> request, sim::CallContext context, StoreRunPtr run, Micros give_up_us,
                             std::optional<ReleasedLock> woken_by) const;
  [[nodiscard]] LockWaits::Entry EntryOf(const Request& request, const kvrpcpb::LockInfo& lock, uint64_t order,
                                         Micros give_up_us) const;

  const StoreCalls* calls_;
};

}  // namespace kvjury::tikv
