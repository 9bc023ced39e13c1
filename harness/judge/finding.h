// Small makers of findings, shared by the checks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/judge/evidence.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::judge {

/// Findings that one check keeps; further ones are only counted.
inline constexpr size_t kFindingsKeptMax = 50;

/// The result of one check: counts and findings together.
struct Checked {
  record::CheckResult result;
  std::vector<record::Finding> findings;
};

/// Grows one check's result.
class Recorder {
 public:
  Recorder(std::string check, std::string unit) {
    checked_.result.set_check(std::move(check));
    checked_.result.set_unit(std::move(unit));
  }
  void Count(uint64_t more = 1) { checked_.result.set_counted(checked_.result.counted() + more); }
  void CountFields(uint64_t more) { checked_.result.set_fields(checked_.result.fields() + more); }
  void Unproven(std::string why) {
    if (checked_.result.unproven().empty()) {
      checked_.result.set_unproven(std::move(why));
    }
  }
  /// Counts a finding and returns it for filling in; beyond the bound a scratch one.
  record::Finding* Add(std::string kind, std::string message);
  /// Takes over a finding made elsewhere.
  void Add(record::Finding finding);

  Checked Take() { return std::move(checked_); }

 private:
  Checked checked_;
  record::Finding scratch_;
};

/// What a whole-cluster key means: `vol: D(1,"a.bin")`, or the printable bytes for keys of no volume.
std::string KeyText(std::string_view key);

/// Fills in key, key_text, inode and who wrote the version (by start timestamp) where it is known.
void DescribeKeyInto(const Evidence& evidence, std::string_view key, Timestamp start_ts, record::Finding* finding);

}  // namespace kvjury::judge
