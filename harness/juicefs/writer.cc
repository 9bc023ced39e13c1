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
      label_(fmt::format("w{}", options_.id)),
      timers_(store_->scheduler()),
      changed_(store_->scheduler()) {
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
  AppendToChangeLog(attempt, transaction->start_ts());
  if (!attempt->wrote()) {
    co_return 0;
  }
  if (dead_) {
    co_return EIO;
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
    co_await ChargeTrees(attempt->usage.trees);
    co_await ChargeLinks(context, attempt->usage.links);
    if (!quotas_.Pending().empty()) {
      changed_.NotifyAll();
    }
    for (const Effect& effect : attempt->effects) {
      if (const auto* stored = std::get_if<SetAclRuleEffect>(&effect)) {
        acl_cache_.Put(stored->id, stored->rule);
      }
    }
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
  attempt->log = fmt::format("INCR_COUNTER({},{})", arguments->counter, arguments->step);
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

sim::Task<OperationResult> Writer::Do(record::Operation operation) {
  CHECK(!busy_) << "a writer carries out one operation at a time";
  CHECK(dead_ || !stopped_) << "the writer was stopped";
  busy_ = true;
  Context context = MakeContext(label_ / fmt::format("op{}", operation.id()));
  context.uid = operation.uid();
  context.gid = operation.gid();
  int error = ENOTCONN;  // as a mount point answers whose client is gone
  if (!dead_) {
    sim::Task<int> run = Dispatch(&context, &operation);
    error = co_await std::move(run);
  }
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
