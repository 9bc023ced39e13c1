#include "harness/backup/automatic_backup_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "fakes/base/civil_time.h"
#include "fakes/base/compress_stream.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/rfc3339.h"
#include "harness/juicefs/values.h"
#include "harness/juicefs/writer.h"

namespace kvjury::backup {

namespace {

using sim::Label;
using sim::Task;

constexpr int64_t kDayS = 86'400;
constexpr int64_t kHourS = 3600;
constexpr int64_t kInodesMaxOfShortIntervals = 1'000'000;
constexpr int64_t kInodesOfWalks = 100'000;
constexpr size_t kNameLength = 30;  // dump-2006-01-02-150405.json.gz

std::string ObjectName(int64_t seconds) {
  const CivilTime at = ToCivilTime(seconds);
  return fmt::format("dump-{:04}-{:02}-{:02}-{:02}{:02}{:02}.json.gz", at.year, at.month, at.day, at.hour, at.minute, at.second);
}

std::optional<int64_t> TimeOfName(const std::string& name) {
  CivilTime at;
  if (name.size() != kNameLength ||
      std::sscanf(name.c_str() + 5, "%4d-%2d-%2d-%2d%2d%2d", &at.year, &at.month, &at.day, &at.hour, &at.minute, &at.second) != 6) {
    return std::nullopt;
  }
  return ToUnixSeconds(at);
}

Task<Result<std::optional<Bytes>>> PointRead(client::Store* store, Label label, Bytes key) {
  const std::unique_ptr<client::Transaction> reader = store->BeginAt(Timestamp::Max(), std::move(label));
  auto get = reader->Get(std::move(key));
  co_return co_await std::move(get);
}

/// Reads and writes it; again after conflicts.
Task<Status> SetLastBackup(client::Store* store, Label label, Bytes key, Bytes value) {
  Status status;
  for (uint32_t attempt = 1; attempt <= juicefs::kTransactionTriesMax; ++attempt) {
    auto begin = store->Begin(label.Numbered("try", attempt));
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(begin));
    auto get = transaction->Get(key);
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> before, co_await std::move(get));
    if (before == value) {
      co_return Status::Ok();
    }
    transaction->Put(key, value);
    auto commit = transaction->Commit();
    status = (co_await std::move(commit)).status();
    if (status.code() != StatusCode::kConflict) {
      break;
    }
  }
  co_return status;
}

}  // namespace

std::vector<std::string> BackupsToRemove(std::vector<std::string> names, int64_t now_s) {
  CivilTime two_years = ToCivilTime(now_s);
  two_years.year -= 2;
  if (two_years.month == 2 && two_years.day == 29) {  // as Go counts: the day after the 28th
    two_years.month = 3;
    two_years.day = 1;
  }
  const int64_t cutoff = ToUnixSeconds(two_years).value();
  int64_t days = 2;
  int64_t edge = now_s - days * kDayS;
  const auto next = [&days, &edge] {
    const int64_t step = days < 14 ? 1 : days < 60 ? 7 : 30;
    days += step;
    edge -= step * kDayS;
  };
  std::vector<std::string> remove;
  std::vector<std::string> within;  // of one span of time, latest first
  const auto close_span = [&remove, &within] {
    if (!within.empty()) {
      remove.insert(remove.end(), within.begin(), within.end() - 1);
      within.clear();
    }
  };
  std::sort(names.begin(), names.end());
  for (size_t i = names.size(); i-- > 0;) {
    const std::optional<int64_t> at = TimeOfName(names[i]);
    if (!at.has_value()) {
      continue;
    }
    if (*at < cutoff) {
      remove.insert(remove.end(), names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      break;
    }
    if (*at < edge) {
      close_span();
      while (*at < edge) {
        next();
      }
      within.push_back(names[i]);
    } else if (days > 2) {
      within.push_back(names[i]);
    }
  }
  close_span();
  return remove;
}

Task<Result<AutomaticBackupReport>> WriteAutomaticBackup(client::Store* store, objects::ObjectStore* objects, Label label,
                                                         AutomaticBackupOptions options, bool fast, int64_t wall_ns) {
  AutomaticBackupReport report;
  report.fast = fast;
  const int64_t now_s = wall_ns / 1'000'000'000;
  JuicefsDumpOptions dump_options;
  dump_options.volume_name = options.volume_name;
  dump_options.threads = options.threads;
  dump_options.dump.skip_trash = options.skip_trash;
  dump_options.dump.bugs = options.bugs;
  dump_options.dump.form = report.fast ? juicefs::DumpForm::kFast : juicefs::DumpForm::kWalk;
  Bytes packed;
  MemorySink memory(&packed);
  const std::unique_ptr<ByteSink> gzip = MakeCompressor(Compression::kGzip, &memory);
  auto dump = RunJuicefsDump(store, label / "dump", dump_options, gzip.get());
  CO_ASSIGN_OR_RETURN(report.dump, co_await std::move(dump));
  CO_RETURN_IF_ERROR(gzip->Finish());
  const std::string folder = options.bucket_folder + "/meta/";
  report.object = folder + ObjectName(now_s);
  CO_RETURN_IF_ERROR(objects->Put(report.object, packed));
  report.outcome = AutomaticBackupReport::Outcome::kDone;
  CO_ASSIGN_OR_RETURN(const std::vector<objects::ObjectInfo> listed, objects->List(folder));
  std::vector<std::string> names;
  for (const objects::ObjectInfo& object : listed) {
    names.push_back(object.name.substr(folder.size()));
  }
  for (const std::string& name : BackupsToRemove(names, now_s)) {
    if (objects->Delete(folder + name).ok()) {  // an error is a warning of the program
      report.removed.push_back(folder + name);
    }
  }
  co_return report;
}

Task<Result<AutomaticBackupReport>> RunAutomaticBackup(client::Store* store, objects::ObjectStore* objects, Label label,
                                                       AutomaticBackupOptions options, int64_t wall_ns) {
  AutomaticBackupReport report;
  const Bytes prefix = juicefs::VolumePrefix(options.volume_name);
  const int64_t now_s = wall_ns / 1'000'000'000;
  const Bytes key = prefix + juicefs::EncodeKey(juicefs::XattrKey(juicefs::kRootInode, "lastBackup"));
  auto read_last = PointRead(store, label / "last-backup", key);
  CO_ASSIGN_OR_RETURN(const std::optional<Bytes> last_text, co_await std::move(read_last));
  if (last_text.has_value()) {
    CO_ASSIGN_OR_RETURN(const int64_t last_s, juicefs::ParseRfc3339(*last_text));
    if (now_s - last_s < options.interval_s) {
      co_return report;
    }
  }
  auto read_total = PointRead(store, label / "total-inodes", prefix + juicefs::EncodeKey(juicefs::CounterKey("totalInodes")));
  CO_ASSIGN_OR_RETURN(const std::optional<Bytes> total, co_await std::move(read_total));
  int64_t inodes = 0;
  if (total.has_value()) {
    CO_ASSIGN_OR_RETURN(inodes, juicefs::DecodeInt64Le(*total));
  }
  if (options.interval_s <= kHourS && inodes > kInodesMaxOfShortIntervals) {
    report.outcome = AutomaticBackupReport::Outcome::kTooManyInodes;
    co_return report;
  }
  auto set = SetLastBackup(store, label / "set-last-backup", key, juicefs::Rfc3339Seconds(now_s));
  CO_RETURN_IF_ERROR(co_await std::move(set));
  auto write = WriteAutomaticBackup(store, objects, std::move(label), std::move(options), inodes < kInodesOfWalks, wall_ns);
  co_return co_await std::move(write);
}

Task<Status> SessionBackup::Make(Request request) {
  AutomaticBackupOptions options = options_;
  options.skip_trash = request.skip_trash;
  auto write = WriteAutomaticBackup(request.store, objects_, std::move(request.label), std::move(options), request.fast, request.wall_ns);
  co_return (co_await std::move(write)).status();
}

}  // namespace kvjury::backup
