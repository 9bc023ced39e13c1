#include "harness/juicefs/writer.h"

#include <fmt/format.h>

#include "harness/juicefs/volumes.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

Writer::Writer(client::Store* store, WriterOptions options)
    : store_(store),
      options_(std::move(options)),
      prefix_(VolumePrefix(options_.volume_name)),
      label_(fmt::format("w{}", options_.id)) {
  CHECK(store_ != nullptr);
  CHECK(options_.wall_ns != nullptr) << "a writer needs the cluster's clock";
}

Writer::~Writer() = default;

Writer::Context Writer::MakeContext(sim::Label label) {
  Context context;
  context.label = std::move(label);
  context.invoked_us = store_->scheduler()->now_us();
  return context;
}

sim::Task<std::optional<int>> Writer::Finish(Context* context, TransactionKind kind, std::string label, Attempt* attempt,
                                             client::Transaction* transaction) {
  if (attempt->error != 0) {
    co_return attempt->error;
  }
  if (!attempt->wrote()) {
    co_return 0;
  }
  DeclaredTransaction declared;
  declared.label = std::move(label);
  declared.kind = kind;
  declared.start_ts = transaction->start_ts();
  declared.primary_key = attempt->primary_key();
  declared.invoked_us = context->invoked_us;
  declared.effects = attempt->effects;
  sim::Task<Result<client::CommitInfo>> commit = transaction->Commit();
  const Result<client::CommitInfo> info = co_await std::move(commit);
  declared.acknowledged_us = store_->scheduler()->now_us();
  if (!info.ok() && info.error().code() == StatusCode::kConflict) {
    co_return std::nullopt;
  }
  if (!info.ok() && info.error().code() == StatusCode::kUnavailable) {
    co_return EIO;  // certainly not committed
  }
  declared.undetermined = !info.ok();
  if (info.ok()) {
    CHECK(info->commit_ts > declared.start_ts) << declared.label << ": a commit lies after its start";
    declared.commit_ts = info->commit_ts;
    AddUsage(attempt->usage);
  }
  context->result.transactions.push_back(declared);
  history_.push_back(std::move(declared));
  if (!info.ok()) {
    context->result.undetermined = true;
    co_return EIO;
  }
  co_return 0;
}

sim::Task<Status> Writer::IncrementCounter(Attempt* attempt, IdArguments* arguments) {
  Result<int64_t> value = co_await attempt->GetCounter(arguments->counter);
  if (!value.ok()) {
    co_return value.error();
  }
  arguments->value = *value + arguments->step;
  attempt->PutCounter(arguments->counter, arguments->value);
  co_return Status::Ok();
}

sim::Task<int> Writer::TakeInode(Context* context, Inode* inode) {
  if (next_inode_ == end_inode_) {
    IdArguments arguments{"nextInode", static_cast<int64_t>(kInodeBatch), 0};
    const int error = co_await Run(context, TransactionKind::kIdBatch, &Writer::IncrementCounter, &arguments);
    if (error != 0) {
      co_return error;
    }
    end_inode_ = static_cast<uint64_t>(arguments.value);
    next_inode_ = std::max<uint64_t>(end_inode_ - kInodeBatch, 2);  // 0 and 1 are never given out
  }
  *inode = Inode(next_inode_++);
  issued_.inodes.push_back(*inode);
  co_return 0;
}

sim::Task<int> Writer::TakeSlice(Context* context, uint64_t* id) {
  if (next_slice_ == end_slice_) {
    IdArguments arguments{"nextChunk", static_cast<int64_t>(kSliceBatch), 0};
    const int error = co_await Run(context, TransactionKind::kIdBatch, &Writer::IncrementCounter, &arguments);
    if (error != 0) {
      co_return error;
    }
    end_slice_ = static_cast<uint64_t>(arguments.value);
    next_slice_ = std::max<uint64_t>(end_slice_ - kSliceBatch, 1);
  }
  *id = next_slice_++;
  issued_.slices.push_back(*id);
  co_return 0;
}

sim::Task<Status> Writer::PutSessionRecord(Attempt* attempt, SessionArguments* arguments) {
  if (arguments->read_first) {
    const Key key = arguments->key;
    Result<std::optional<Bytes>> old = co_await attempt->GetRaw(key);
    if (!old.ok()) {
      co_return old.error();
    }
  }
  attempt->PutRaw(arguments->key, arguments->value);
  co_return Status::Ok();
}

sim::Task<Status> Writer::RemoveSessionRecords(Attempt* attempt, SessionArguments*) {
  attempt->DeleteRaw(SessionKey(KeyKind::kSessionExpiry, session_id_));
  attempt->DeleteRaw(SessionKey(KeyKind::kSessionInfo, session_id_));
  co_return Status::Ok();
}

sim::Task<Status> Writer::Start() {
  CHECK_EQ(session_id_, uint64_t{0}) << "a writer starts once";
  Context context = MakeContext(label_ / "session");
  IdArguments number{"nextSession", 1, 0};
  int error = co_await Run(&context, TransactionKind::kSession, &Writer::IncrementCounter, &number);
  if (error != 0) {
    co_return Status::Unavailable("no session number");
  }
  session_id_ = static_cast<uint64_t>(number.value);
  const int64_t lease_s = 5 * options_.mount.heartbeat_period_us / 1'000'000;
  SessionArguments expiry{SessionKey(KeyKind::kSessionExpiry, session_id_), EncodeInt64Be(WallSeconds() + lease_s), false};
  error = co_await Run(&context, TransactionKind::kSession, &Writer::PutSessionRecord, &expiry);
  if (error != 0) {
    co_return Status::Unavailable("no session expiry");
  }
  SessionArguments info{SessionKey(KeyKind::kSessionInfo, session_id_),
                        fmt::format("{{\"Version\":\"1.4.1\",\"HostName\":\"writer-{}\",\"IPAddrs\":[\"10.0.0.{}\"],"
                                    "\"MountPoint\":\"/jfs\",\"MountTime\":\"{}\",\"ProcessID\":{}}}",
                                    options_.id, options_.id % 250 + 1, Rfc3339(options_.wall_ns()), 1000 + options_.id),
                        false};
  error = co_await Run(&context, TransactionKind::kSession, &Writer::PutSessionRecord, &info);
  if (error != 0) {
    co_return Status::Unavailable("no session information");
  }
  co_return Status::Ok();
}

sim::Task<void> Writer::RunBackground() {
  Micros next_heartbeat_us = store_->scheduler()->now_us() + options_.mount.heartbeat_period_us;
  while (!stopped_) {
    co_await store_->scheduler()->Sleep(options_.mount.flush_period_us, label_.hash());
    if (stopped_) {
      break;
    }
    background_steps_ += 1;
    Context context = MakeContext(label_.Numbered("background", background_steps_));
    co_await Flush(&context);
    if (store_->scheduler()->now_us() >= next_heartbeat_us && !stopped_) {
      next_heartbeat_us += options_.mount.heartbeat_period_us;
      const int64_t lease_s = 5 * options_.mount.heartbeat_period_us / 1'000'000;
      SessionArguments expiry{SessionKey(KeyKind::kSessionExpiry, session_id_), EncodeInt64Be(WallSeconds() + lease_s),
                              true};
      co_await Run(&context, TransactionKind::kSession, &Writer::PutSessionRecord, &expiry);
    }
  }
}

sim::Task<Status> Writer::Stop() {
  stopped_ = true;
  Context context = MakeContext(label_ / "close");
  while (!open_files_.empty()) {
    co_await CloseHandle(&context, open_files_.begin()->first);
  }
  int error = co_await Flush(&context);
  SessionArguments none;
  const int removed = co_await Run(&context, TransactionKind::kSession, &Writer::RemoveSessionRecords, &none);
  error = error != 0 ? error : removed;
  if (error != 0) {
    co_return Status::Unavailable("the session was not closed whole");
  }
  co_return Status::Ok();
}

void Writer::Redirect(client::Store* store, BlockStore* blocks) {
  CHECK(stopped_ && !busy_) << "a session is redirected while it stands still";
  store_ = store;
  options_.blocks = blocks;
  stopped_ = false;
}

void Writer::ForgetCaches() {
  trash_hour_name_.clear();
  trash_hour_ = Inode();
  open_files_.clear();
  removed_open_files_.clear();
}

sim::Task<OperationResult> Writer::Do(record::Operation operation) {
  CHECK(!busy_) << "a writer carries out one operation at a time";
  CHECK(!stopped_) << "the writer was stopped";
  busy_ = true;
  Context context = MakeContext(label_ / fmt::format("op{}", operation.id()));
  context.uid = operation.uid();
  context.gid = operation.gid();
  sim::Task<int> run = Dispatch(&context, &operation);
  const int error = co_await std::move(run);
  busy_ = false;
  context.result.error = error;
  context.result.acknowledged = error == 0;
  context.result.invoked_us = context.invoked_us;
  context.result.completed_us = store_->scheduler()->now_us();
  co_return std::move(context.result);
}

bool Writer::TouchParent(const Attempt& attempt, bool nlink_changed, Attr* parent) const {
  const int64_t now_ns = options_.wall_ns();
  const int64_t mtime_ns = parent->mtime_s * 1'000'000'000 + parent->mtime_ns;
  if (!nlink_changed && now_ns - mtime_ns < options_.mount.skip_dir_mtime_us * 1000 * (int64_t{attempt.retry()} + 1)) {
    return false;
  }
  SetModified(parent, now_ns);
  return true;
}

}  // namespace kvjury::juicefs
