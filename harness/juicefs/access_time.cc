// Access times: when a mount writes them, and the transaction that does.
//
// Opening a file (for writing too; what a case does by path opens it), reading it, listing a directory and reading a link look at the time that
// they have just seen, and write only when it is due; the transaction looks again. Not modelled: a mount keeps the targets of links that it has
// read, and looks then at the age of the access time alone.
#include <fmt/format.h>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kDayNs = 86'400 * kSecondNs;

int64_t TimeNs(int64_t seconds, uint32_t nanoseconds) {
  return static_cast<int64_t>(static_cast<uint64_t>(seconds) * kSecondNs + nanoseconds);
}

}  // namespace

bool Writer::IsAccessTimeDue(const Attr& attr) const {
  if (!KeepsAccessTimes()) {
    return false;
  }
  const int64_t accessed_ns = TimeNs(attr.atime_s, attr.atime_ns);
  const int64_t age_ns = options_.wall_ns() - accessed_ns;
  const bool changed_since = TimeNs(attr.mtime_s, attr.mtime_ns) > accessed_ns || TimeNs(attr.ctime_s, attr.ctime_ns) > accessed_ns;
  return changed_since || age_ns > kDayNs || (options_.mount.atime == AtimeMode::kStrictAtime && age_ns > kSecondNs);
}

void Writer::WriteAccessTime(Attempt* attempt, Inode inode, Attr attr) {
  if (!IsAccessTimeDue(attr)) {
    return;
  }
  const int64_t now_ns = options_.wall_ns();
  attr.atime_s = now_ns / kSecondNs;
  attr.atime_ns = static_cast<uint32_t>(now_ns % kSecondNs);
  attempt->PutAttr(inode, attr);
  attempt->log = fmt::format("ACCESS({})", inode.value());
}

sim::Task<void> Writer::TouchAccessTime(Context* context, Inode inode, std::optional<Attr> known) {
  if (!KeepsAccessTimes()) {
    co_return;
  }
  if (!known.has_value()) {
    sim::Label label = context->label / "getattr";
    std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), label);
    Attempt reader(transaction.get(), &prefix_, 0);
    Result<std::optional<Attr>> attr = co_await reader.GetAttr(inode);
    if (!attr.ok() || !attr->has_value()) {
      co_return;
    }
    known = **attr;
  }
  if (!IsAccessTimeDue(*known)) {
    co_return;
  }
  InodeArguments arguments{inode};
  co_await Run(context, TransactionKind::kOperation, &Writer::TouchBody, &arguments);
}

sim::Task<Status> Writer::TouchBody(Attempt* attempt, InodeArguments* arguments) {
  Result<std::optional<Attr>> attr = co_await attempt->GetAttr(arguments->inode);
  if (!attr.ok()) {
    co_return attr.error();
  }
  if (attr->has_value()) {
    WriteAccessTime(attempt, arguments->inode, **attr);
  } else {
    attempt->error = ENOENT;
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
