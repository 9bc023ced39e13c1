#include "fakes/tikv/lock_waits.h"

#include <algorithm>
#include <utility>

#include "fakes/base/digest.h"

namespace kvjury::tikv {

WaitForLock LockWaits::Waiter::ToWait() const {
  return {entry.start_ts, Timestamp(lock.lock_version()), UserKey(entry.key), entry.resource_group_tag};
}

LockWaits::WaiterPtr LockWaits::Add(Entry entry, kvrpcpb::LockInfo lock) {
  auto waiter = std::make_shared<Waiter>(scheduler_, std::move(entry));
  waiter->lock = std::move(lock);
  waiter->number = ++last_number_;
  Queue& queue = queues_[waiter->entry.key];
  waiter->wake_ups_seen = queue.wake_ups;
  queue.waiters.emplace(Place(waiter->entry.start_ts, waiter->number), waiter);
  const Micros left_us = std::max<Micros>(waiter->entry.give_up_us - scheduler_->now_us(), 0);
  scheduler_->After(left_us, waiter->entry.order, [self = weak_from_this(), ended = std::weak_ptr<Waiter>(waiter)]() {
    const std::shared_ptr<LockWaits> waits = self.lock();
    const WaiterPtr late = ended.lock();
    if (waits != nullptr && late != nullptr) {
      waits->Finish(late, WakeUp());
    }
  });
  return waiter;
}

void LockWaits::Forget(std::map<Bytes, Queue>::iterator queue) {
  if (queue->second.waiters.empty()) {
    queues_.erase(queue);
  }
}

void LockWaits::Finish(const WaiterPtr& waiter, WakeUp wake_up) {
  const auto queue = queues_.find(waiter->entry.key);
  if (queue == queues_.end() || queue->second.waiters.erase(Place(waiter->entry.start_ts, waiter->number)) == 0) {
    return;
  }
  Forget(queue);
  const bool first = waiter->woken.Set(std::move(wake_up));
  CHECK(first) << "a wait ends once";
}

LockWaits::WakeUp LockWaits::WakeUpFor(const Waiter& waiter, const Queue& queue) {
  WakeUp wake_up;
  wake_up.end = waiter.entry.may_lock_in_conflict ? End::kTryAgain : End::kConflict;
  wake_up.conflict_start_ts = queue.last_start_ts;
  wake_up.conflict_commit_ts = queue.last_commit_ts;
  return wake_up;
}

void LockWaits::Released(const std::vector<ReleasedLock>& released, Micros delay_us) {
  for (const ReleasedLock& lock : released) {
    const auto found = queues_.find(lock.key);
    if (found == queues_.end()) {
      continue;
    }
    Queue& queue = found->second;
    queue.last_start_ts = lock.start_ts;
    queue.last_commit_ts = lock.commit_ts;
    const WaiterPtr first = queue.waiters.begin()->second;
    if (!first->entry.may_lock_in_conflict) {
      ++queue.wake_ups;
      if (queue.waiters.size() > 1) {
        WakeOthersAt(lock.key, &queue, scheduler_->now_us() + delay_us);
      }
    }
    Finish(first, WakeUpFor(*first, queue));
  }
}

void LockWaits::WakeOthersAt(const Bytes& key, Queue* queue, Micros at_us) {
  const bool is_planned = queue->wake_others_us != 0;
  queue->wake_others_us = at_us;  // a later wake-up moves it
  if (!is_planned) {
    queue->plan = ++last_plan_;
    Schedule(key, queue->plan, at_us);
  }
}

void LockWaits::Schedule(const Bytes& key, uint64_t plan, Micros at_us) {
  scheduler_->After(at_us - scheduler_->now_us(), Hash64(key), [self = weak_from_this(), key, plan]() {
    if (const std::shared_ptr<LockWaits> waits = self.lock()) {
      waits->WakeOthersIsDue(key, plan);
    }
  });
}

void LockWaits::WakeOthersIsDue(const Bytes& key, uint64_t plan) {
  const auto found = queues_.find(key);
  if (found == queues_.end() || found->second.plan != plan) {
    return;
  }
  Queue& queue = found->second;
  if (queue.wake_others_us > scheduler_->now_us()) {
    Schedule(key, plan, queue.wake_others_us);
    return;
  }
  queue.wake_others_us = 0;
  std::vector<WaiterPtr> woken;
  for (const auto& [place, waiter] : queue.waiters) {
    if (waiter->wake_ups_seen >= queue.wake_ups) {
      continue;  // came later; whoever holds the lock now will wake it
    }
    woken.push_back(waiter);
    if (waiter->entry.may_lock_in_conflict) {
      break;  // it takes the lock itself, and its release wakes the next
    }
  }
  const Queue last = {{}, queue.wake_ups, queue.last_start_ts, queue.last_commit_ts, 0, 0};
  for (const WaiterPtr& waiter : woken) {
    Finish(waiter, WakeUpFor(*waiter, last));  // the queue may be gone after it
  }
}

std::vector<LockWaits::WaiterPtr> LockWaits::Acquired(const Bytes& key, const kvrpcpb::LockInfo& lock) {
  std::vector<WaiterPtr> changed;
  const auto found = queues_.find(key);
  if (found == queues_.end()) {
    return changed;
  }
  for (const auto& [place, waiter] : found->second.waiters) {
    const bool is_other = waiter->lock.lock_version() != lock.lock_version();
    waiter->lock = lock;
    if (is_other) {
      waiter->owner_changed_us = scheduler_->now_us();
      changed.push_back(waiter);
    }
  }
  return changed;
}

std::vector<WaitForLock> LockWaits::List() const {
  std::vector<WaitForLock> waits;
  for (const auto& [key, queue] : queues_) {
    for (const auto& [place, waiter] : queue.waiters) {
      waits.push_back(waiter->ToWait());
    }
  }
  return waits;
}

}  // namespace kvjury::tikv
