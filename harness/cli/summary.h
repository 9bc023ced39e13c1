// What `kvjury view --summary` says: the operator's questions about a source, in numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "harness/backup/address.h"
#include "harness/juicefs/view_summary.h"

namespace kvjury::cli {

struct SourceSummary {
  std::string address;
  std::map<Bytes, juicefs::ViewSummary> volumes;
  /// Of `below`, a path of the views, as juicefs info and summary count.
  Bytes below;
  std::map<Bytes, juicefs::TreeSummary> trees;
  /// Of the records, where there are any; keys of no volume, too.
  bool has_records = false;
  uint64_t keys = 0;
  uint64_t record_bytes = 0;  // keys and values
  std::optional<Timestamp> cut;
  int64_t now_ms = 0;
  /// Of a backup.
  bool is_backup = false;
  uint64_t backup_files = 0;
  uint64_t backup_bytes = 0;
  /// Bytes a second that one stream may take, as br's --ratelimit. 0: not asked for.
  uint64_t rate = 0;
};

/// `below`: "/" or an absolute path. Errors: kNotFound where no volume shows it; kInvalidArgument.
Result<SourceSummary> SummarizeSource(const backup::OpenedSource& source, const std::map<Bytes, juicefs::View>& views, const std::string& below,
                                      int64_t now_ms, uint64_t rate);

/// Lines for people.
std::string SummaryText(const SourceSummary& summary);
/// One JSON object; 64-bit numbers as strings.
std::string SummaryJson(const SourceSummary& summary);

}  // namespace kvjury::cli
