// BSD and POSIX locks: one record for each inode and kind, with all owners in it.
//
// A lock that another owner holds is EAGAIN. Who waits asks again, after 1 ms for an exclusive lock and 10 ms for a shared one, until a signal
// interrupts it: here after kLockWaitUsMax, EINTR. The real client writes the owners of a record in no order; here a new one comes last.
// Not here: that closing a file drops its locks (the kernel and the client's file handles ask for that by unlocking), and a dead session's locks.
#include <fmt/format.h>

#include "harness/juicefs/lock_ranges.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr Micros kExclusivePauseUs = 1'000;
constexpr Micros kSharedPauseUs = 10'000;

template <class Lock>
typename std::vector<Lock>::iterator Own(uint64_t session, uint64_t owner, std::vector<Lock>* locks) {
  return std::find_if(locks->begin(), locks->end(), [session, owner](const Lock& lock) { return lock.session == session && lock.owner == owner; });
}

char KindLetter(uint32_t kind) { return kind == kLockRead ? 'R' : kind == kLockWrite ? 'W' : 'U'; }

}  // namespace

sim::Task<int> Writer::LockAt(Context* context, Bytes path, LockArguments arguments, bool block) {
  if (arguments.range.type > kLockNone || arguments.range.start > arguments.range.end) {
    co_return EINVAL;
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  int error = co_await std::move(find);
  if (error != 0 || IsTrash(entry.inode)) {
    co_return error != 0 ? error : EPERM;
  }
  arguments.inode = entry.inode;
  const Micros deadline_us = store_->scheduler()->now_us() + kLockWaitUsMax;
  while (true) {
    error = co_await Run(context, TransactionKind::kOperation, arguments.bsd ? &Writer::FlockBody : &Writer::SetLockBody, &arguments);
    if (error != EAGAIN || !block) {
      co_return error;
    }
    if (store_->scheduler()->now_us() >= deadline_us) {
      co_return EINTR;
    }
    const Micros pause_us = arguments.range.type == kLockWrite ? kExclusivePauseUs : kSharedPauseUs;
    co_await store_->scheduler()->Sleep(pause_us, context->label.hash());
  }
}

sim::Task<Status> Writer::FlockBody(Attempt* attempt, LockArguments* arguments) {
  const Key key = FlocksKey(arguments->inode);
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  std::vector<Flock> locks;
  if (value->has_value()) {
    Result<std::vector<Flock>> decoded = DecodeFlocks(**value);
    if (!decoded.ok()) {
      co_return decoded.error();
    }
    locks = *std::move(decoded);
  }
  const auto own = Own(session_id_, arguments->owner, &locks);
  if (own != locks.end()) {
    locks.erase(own);
  }
  const uint32_t kind = arguments->range.type;
  const bool exclusive_held = std::any_of(locks.begin(), locks.end(), [](const Flock& lock) { return lock.mode == 'W'; });
  if ((kind == kLockWrite && !locks.empty()) || (kind == kLockRead && exclusive_held)) {
    attempt->error = EAGAIN;
    co_return Status::Ok();
  }
  if (kind != kLockNone) {
    locks.push_back({session_id_, arguments->owner, KindLetter(kind)});
  }
  if (locks.empty()) {
    attempt->DeleteRaw(key);
  } else {
    attempt->PutRaw(key, EncodeFlocks(locks));
  }
  attempt->log = fmt::format("FLOCK({},{},{})", arguments->inode.value(), arguments->owner, KindLetter(kind));
  co_return Status::Ok();
}

sim::Task<Status> Writer::ReadPlocks(Attempt* attempt, Inode inode, std::vector<Plock>* locks) {
  locks->clear();
  const Key key = PlocksKey(inode);
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (value->has_value()) {
    Result<std::vector<Plock>> decoded = DecodePlocks(**value);
    if (!decoded.ok()) {
      co_return decoded.error();
    }
    *locks = *std::move(decoded);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::SetLockBody(Attempt* attempt, LockArguments* arguments) {
  std::vector<Plock> locks;
  sim::Task<Status> reading = ReadPlocks(attempt, arguments->inode, &locks);
  const Status read = co_await std::move(reading);
  CO_RETURN_IF_ERROR(read);
  Plock mine{session_id_, arguments->owner, {}};
  const auto own = Own(session_id_, arguments->owner, &locks);
  if (own != locks.end()) {
    mine.ranges = own->ranges;
    locks.erase(own);
  }
  const PlockRange& asked = arguments->range;
  if (asked.type == kLockNone && mine.ranges.empty()) {
    co_return Status::Ok();
  }
  for (const Plock& other : locks) {
    const bool taken = std::any_of(other.ranges.begin(), other.ranges.end(), [&asked](const PlockRange& range) { return LocksConflict(asked, range); });
    if (asked.type != kLockNone && taken) {
      attempt->error = EAGAIN;
      co_return Status::Ok();
    }
  }
  mine.ranges = SetLockRange(mine.ranges, asked);
  if (!mine.ranges.empty()) {
    locks.push_back(mine);
  }
  const Key key = PlocksKey(arguments->inode);
  if (locks.empty()) {
    attempt->DeleteRaw(key);
  } else {
    attempt->PutRaw(key, EncodePlocks(locks));
  }
  attempt->log = fmt::format("SETLK({},{},{},{},{},{})", arguments->inode.value(), arguments->owner, KindLetter(asked.type), asked.start, asked.end,
                             asked.pid);
  co_return Status::Ok();
}

sim::Task<int> Writer::GetLockAt(Context* context, Bytes path, LockArguments arguments) {
  if (arguments.range.type > kLockNone || arguments.range.start > arguments.range.end) {
    co_return EINVAL;
  }
  Dentry entry;
  sim::Task<int> find = ResolveExisting(context, std::move(path), &entry);
  const int error = co_await std::move(find);
  if (error != 0 || IsTrash(entry.inode)) {
    co_return error != 0 ? error : EPERM;
  }
  if (arguments.range.type == kLockNone) {
    co_return 0;
  }
  sim::Label label = context->label / "getlk";
  std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
  Attempt reader(transaction.get(), &prefix_, 0);
  std::vector<Plock> locks;
  sim::Task<Status> reading = ReadPlocks(&reader, entry.inode, &locks);
  const Status read = co_await std::move(reading);
  if (!read.ok()) {
    co_return EIO;
  }
  for (const Plock& other : locks) {
    for (PlockRange range : other.ranges) {
      const bool own = other.session == session_id_ && other.owner == arguments.owner;
      if (!own && !context->result.lock.has_value() && LocksConflict(arguments.range, range)) {
        range.pid = other.session == session_id_ ? range.pid : 0;  // another host's process says nothing here
        context->result.lock = range;
      }
    }
  }
  co_return 0;
}

}  // namespace kvjury::juicefs
