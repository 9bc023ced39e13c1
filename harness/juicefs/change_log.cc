#include "harness/juicefs/change_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr size_t kBatchRecords = 1000;
constexpr std::string_view kEscaped = ",%()\"\\";

/// Bits of the mask in SETATTR.
enum SetMask : uint32_t { kMode = 1, kUid = 2, kGid = 4, kAtime = 16, kMtime = 32, kTier = 1024, kFlags = 1 << 15 };

int64_t Number(std::string_view digits) {
  int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

}  // namespace

uint8_t ChangeLogShard(Timestamp start_ts) {
  const uint64_t ts = start_ts.value();
  return static_cast<uint8_t>((ts ^ ts >> 18) % kChangeLogShards);
}

std::string ChangeLogText(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 32 || byte >= 127 || kEscaped.find(c) != std::string_view::npos) {
      text += fmt::format("%{:02X}", byte);
    } else {
      text.push_back(c);
    }
  }
  return text;
}

std::string SetAttrLog(Inode inode, const record::SetAttr& change, const Attr& attr) {
  const uint32_t mask = (change.has_mode() ? kMode : 0U) | (change.has_uid() ? kUid : 0U) | (change.has_gid() ? kGid : 0U) |
                        (change.has_atime_ns() ? kAtime : 0U) | (change.has_mtime_ns() ? kMtime : 0U) | (change.has_flags() ? kFlags : 0U) |
                        (change.has_tier() ? kTier : 0U);
  return fmt::format("SETATTR({},{},0,{},{},{},{},{},{},{},{},{},{},{})", inode.value(), mask, attr.uid, attr.gid, attr.mode, attr.flags,
                     attr.atime_s, attr.mtime_s, attr.atime_ns, attr.mtime_ns, attr.ctime_s, attr.ctime_ns, attr.access_acl);
}

int64_t ChangeLogTimeNs(std::string_view text) {
  const size_t bar = text.find('|');
  const size_t dot = text.substr(0, bar).find('.');
  if (bar == std::string_view::npos || dot == std::string_view::npos) {
    return 0;
  }
  return Number(text.substr(0, dot)) * kSecondNs + Number(text.substr(dot + 1, bar - dot - 1));
}

void Writer::AppendToChangeLog(Attempt* attempt, Timestamp start_ts) {
  if (!setting_.change_log || attempt->log.empty()) {
    return;
  }
  logged_ += 1;
  const int64_t now_ns = options_.wall_ns();
  attempt->PutRaw(ChangelogKey(ChangeLogShard(start_ts), start_ts.value()),
                  fmt::format("{}.{:09}|{}|({},{})", now_ns / kSecondNs, now_ns % kSecondNs, attempt->log, session_id_, logged_));
}

sim::Task<void> Writer::CleanChangeLog(Context* context, bool elect) {
  const int64_t lines_max = setting_.change_log_lines_max;
  const int64_t age_ns_max = setting_.change_log_age_s_max * kSecondNs;
  if (elect && !co_await Elected(context, "lastCleanupChangelog", kChangeLogPeriodUs)) {
    co_return;
  }
  if (lines_max <= 0 && age_ns_max <= 0) {
    co_return;
  }
  int64_t surplus = 0;
  if (lines_max > 0) {
    sim::Task<std::vector<std::pair<Key, Bytes>>> count = Find(context, "XLOG", "XLOH");
    const std::vector<std::pair<Key, Bytes>> all = co_await std::move(count);
    surplus = static_cast<int64_t>(all.size()) - lines_max;
  }
  const int64_t oldest_ns = options_.wall_ns() - age_ns_max;
  for (bool more = true; more;) {
    sim::Task<std::vector<std::pair<Key, Bytes>>> find = Find(context, "XLOG", "XLOH");
    std::vector<std::pair<Key, Bytes>> records = co_await std::move(find);
    std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.first.number < b.first.number; });
    FindArguments batch;
    for (auto& record : records) {
      const int64_t time_ns = ChangeLogTimeNs(record.second);
      const bool expired = age_ns_max > 0 && time_ns != 0 && time_ns < oldest_ns;
      if (batch.records.size() == kBatchRecords || (!expired && surplus <= 0)) {
        break;
      }
      surplus -= 1;
      batch.records.push_back(std::move(record));
    }
    if (batch.records.empty()) {
      co_return;
    }
    const int error = co_await Run(context, TransactionKind::kCleanup, &Writer::DeleteRecords, &batch);
    more = error == 0 && batch.records.size() == kBatchRecords;
  }
}

}  // namespace kvjury::juicefs
