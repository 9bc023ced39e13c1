#include "harness/juicefs/change_log.h"

#include <fmt/format.h>

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

sim::Task<int> Writer::CleanUpChangeLog(Context* context, Micros age_us_max, int64_t lines_max) {
  if (age_us_max <= 0 && lines_max <= 0) {
    co_return 0;
  }
  ChangeLogArguments arguments;
  int error = co_await Run(context, TransactionKind::kSession, &Writer::ListChangeLog, &arguments);
  const auto count = static_cast<int64_t>(arguments.records.size());
  const int64_t oldest_ns = options_.wall_ns() - age_us_max * 1000;
  int64_t seen = 0;
  for (const auto& [key, time_ns] : arguments.records) {
    seen += 1;
    const bool expired = age_us_max > 0 && time_ns != 0 && time_ns < oldest_ns;
    const bool beyond = lines_max > 0 && seen <= count - lines_max;
    if (error != 0 || (!expired && !beyond)) {
      break;  // the records are in the order of their timestamps
    }
    arguments.batch.push_back(key);
    if (arguments.batch.size() == kBatchRecords) {
      error = co_await Run(context, TransactionKind::kSession, &Writer::RemoveFromChangeLog, &arguments);
      arguments.batch.clear();
    }
  }
  if (error == 0 && !arguments.batch.empty()) {
    error = co_await Run(context, TransactionKind::kSession, &Writer::RemoveFromChangeLog, &arguments);
  }
  co_return error;
}

sim::Task<Status> Writer::ListChangeLog(Attempt* attempt, ChangeLogArguments* arguments) {
  arguments->records.clear();
  const Key first = ChangelogKey(0, 0);
  Result<std::vector<std::pair<Key, Bytes>>> records = co_await attempt->ScanFamily(first, 0);
  if (!records.ok()) {
    co_return records.error();
  }
  for (const auto& [key, text] : *records) {
    arguments->records.emplace_back(key, ChangeLogTimeNs(text));
  }
  std::sort(arguments->records.begin(), arguments->records.end(), [](const auto& a, const auto& b) { return a.first.number < b.first.number; });
  co_return Status::Ok();
}

sim::Task<Status> Writer::RemoveFromChangeLog(Attempt* attempt, ChangeLogArguments* arguments) {
  for (const Key& key : arguments->batch) {
    attempt->DeleteRaw(key);
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
