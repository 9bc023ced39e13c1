#include "fakes/tikv/import_rewrite.h"

#include "fakes/base/memcomparable.h"
#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/region_errors.h"

namespace kvjury::tikv {

namespace {

bool StartsWith(std::string_view key, std::string_view prefix) { return key.substr(0, prefix.size()) == prefix; }

Status WrongPrefix(const char* what, std::string_view key, std::string_view prefix) {
  return Status::InvalidArgument(std::string(what) + " has wrong prefix: key " + UpperHex(key) +
                                 " does not start with " + UpperHex(prefix));
}

// Bounds are given in keys after rewriting; this is what they were before.
Result<Bytes> UnrewriteBound(const char* what, const Bytes& bound, const import_sstpb::RewriteRule& rule) {
  if (bound.empty() || rule.old_key_prefix() == rule.new_key_prefix()) {
    return bound;
  }
  if (!StartsWith(bound, rule.new_key_prefix())) {
    return WrongPrefix(what, bound, rule.new_key_prefix());
  }
  return rule.old_key_prefix() + bound.substr(rule.new_key_prefix().size());
}

// Bounds are compared with whole keys, timestamp included: an inclusive bound without one excludes its own key's versions.
bool BehindEnd(std::string_view key, const Bytes& end, bool exclusive) {
  return !end.empty() && (exclusive ? key >= end : key > end);
}

Status CheckRecord(const SstEntry& entry, const std::string& cf) {
  if (cf != "write") {
    return Status::Ok();
  }
  RETURN_IF_ERROR(DecodeVersionedKey(entry.key).status());
  return WriteRecord::Decode(entry.value).status();
}

Result<Bytes> RewriteValue(const Bytes& value, const std::string& cf, Timestamp new_ts) {
  if (cf != "write") {
    return value;
  }
  ASSIGN_OR_RETURN(WriteRecord write, WriteRecord::Decode(value));
  write.start_ts = new_ts;
  return write.Encode();
}

}  // namespace

Result<ImportedFile> ImportFile(std::string_view content, const import_sstpb::SSTMeta& meta,
                                const import_sstpb::RewriteRule& rule) {
  ASSIGN_OR_RETURN(const Bytes start, UnrewriteBound("SST start range", meta.range().start(), rule));
  ASSIGN_OR_RETURN(const Bytes end, UnrewriteBound("SST end range", meta.range().end(), rule));
  ASSIGN_OR_RETURN(std::vector<SstEntry> entries, ReadSst(content));
  ImportedFile file;
  for (SstEntry& entry : entries) {
    file.raw_bytes += entry.key.size() + entry.value.size();
    if (entry.key.empty() || entry.key[0] != kDataPrefix) {
      return Status::DataLoss("a key of the file lacks the data prefix");
    }
    entry.key.erase(0, 1);
    RETURN_IF_ERROR(CheckRecord(entry, meta.cf_name()));
  }
  const bool by_timestamp =
      rule.new_timestamp() != 0 || rule.ignore_after_timestamp() != 0 || rule.ignore_before_timestamp() != 0;
  const bool rewrites = by_timestamp || rule.old_key_prefix() != rule.new_key_prefix();
  const bool inside = entries.empty() || (entries.front().key >= start &&
                                          !BehindEnd(entries.back().key, end, meta.end_key_exclusive()));
  if (!rewrites && inside) {
    file.is_unchanged = true;
    file.entries = std::move(entries);
    return file;
  }
  for (SstEntry& entry : entries) {
    if (entry.key < start || BehindEnd(entry.key, end, meta.end_key_exclusive())) {
      continue;
    }
    if (!StartsWith(entry.key, rule.old_key_prefix())) {
      return WrongPrefix("Key in SST", entry.key, rule.old_key_prefix());
    }
    if (by_timestamp) {
      if (entry.key.size() < 8) {
        return Status::DataLoss("bad format key " + UpperHex(entry.key) + ": it has no timestamp");
      }
      const Timestamp ts(~ByteReader(std::string_view(entry.key).substr(entry.key.size() - 8)).Be64());
      if ((rule.ignore_after_timestamp() != 0 && ts.value() > rule.ignore_after_timestamp()) ||
          (rule.ignore_before_timestamp() != 0 && ts.value() < rule.ignore_before_timestamp())) {
        continue;
      }
    }
    SstEntry changed;
    changed.key = rule.new_key_prefix() + entry.key.substr(rule.old_key_prefix().size());
    changed.value = std::move(entry.value);
    if (rule.new_timestamp() != 0 && changed.key.size() >= 8) {
      changed.key.resize(changed.key.size() - 8);
      AppendInvertedTimestamp(&changed.key, Timestamp(rule.new_timestamp()));
      ASSIGN_OR_RETURN(changed.value, RewriteValue(changed.value, meta.cf_name(), Timestamp(rule.new_timestamp())));
    }
    RETURN_IF_ERROR(CheckRecord(changed, meta.cf_name()));
    file.entries.push_back(std::move(changed));
  }
  return file;
}

}  // namespace kvjury::tikv
