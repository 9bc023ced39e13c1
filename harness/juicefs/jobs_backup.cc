// The automatic backup of the metadata: who makes it, and when.
//
// Modelled: a look every tenth of the interval, the first one a tenth after the mount; the time of the last backup is the xattr `lastBackup` of the
// root, read without a transaction and then set without comparing, so that two clients may both back up; set before the dump, so that the
// dump holds it and one that failed waits for the next interval; nothing above a million inodes where the interval is an hour or less. Not
// modelled: that juicefs refuses intervals below five minutes, the client's time zone (UTC here). Source: JuiceFS 1.4, backup of metadata.
#include "harness/juicefs/rfc3339.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr char kLastBackup[] = "lastBackup";
constexpr Micros kHourUs = 3'600'000'000;
constexpr uint64_t kInodesMaxOfShortIntervals = 1'000'000;
constexpr uint64_t kInodesOfWalks = 100'000;

}  // namespace

sim::Task<void> Writer::BackupLoop() {
  for (uint64_t number = 1;; ++number) {
    sim::Label label = label_.Numbered("backup", number);
    sim::Task<bool> sleep = SleepUntil(store_->scheduler()->now_us() + Jittered(options_.mount.backup_meta_us / 10, label), label.text());
    const bool due = co_await std::move(sleep);
    if (!due) {
      co_return;
    }
    Context context = MakeContext(std::move(label));
    co_await BackUpIfDue(&context);
  }
}

sim::Task<void> Writer::BackUpIfDue(Context* context) {
  sim::Task<Result<std::optional<Bytes>>> read = PointRead(context->label / "last-backup", XattrKey(kRootInode, kLastBackup));
  const Result<std::optional<Bytes>> last = co_await std::move(read);
  const Result<int64_t> last_s = last.ok() && last->has_value() ? ParseRfc3339(**last) : Result<int64_t>(0);
  const int64_t now_ns = options_.wall_ns();
  if (!last.ok() || !last_s.ok() || now_ns - *last_s * 1'000'000'000 < options_.mount.backup_meta_us * 1000) {
    co_return;
  }
  sim::Task<StatFs> count = StatFsOfInode(context, kRootInode);
  const uint64_t inodes = (co_await std::move(count)).used_inodes;
  if (options_.mount.backup_meta_us <= kHourUs && inodes > kInodesMaxOfShortIntervals) {
    co_return;  // a warning
  }
  XattrArguments time;
  time.inode = kRootInode;
  time.name = kLastBackup;
  time.value = Rfc3339Seconds(now_ns / 1'000'000'000);
  const int error = co_await Run(context, TransactionKind::kElection, &Writer::XattrBody, &time);
  if (error != 0 || stopped_) {
    co_return;
  }
  MetadataBackup::Request request{context->label / "dump", store_, inodes < kInodesOfWalks, options_.mount.backup_skip_trash, now_ns};
  sim::Task<Status> make = options_.backup->Make(std::move(request));
  static_cast<void>(co_await std::move(make));  // a failure is a warning
}

}  // namespace kvjury::juicefs
