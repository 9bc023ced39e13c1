// What a download does to the entries of a backup file: clip them to a range, rewrite prefixes and timestamps.
//
// Keys are encoded keys without the data prefix. Source: TiKV 8.5, components/sst_importer, request type "legacy".
#pragma once

#include <string_view>
#include <vector>

#include "fakes/tikv/sst_file.h"
#include "proto/tikv/import_sstpb.pb.h"

namespace kvjury::tikv {

struct ImportedFile {
  std::vector<SstEntry> entries;
  /// The file was taken as it is; it may then be without entries, and its range is the one asked for.
  bool is_unchanged = false;
  /// Of all keys and values of the file, before compression.
  uint64_t raw_bytes = 0;
};

/// Entries of the write family must decode as its records, which TiKV learns only when it reads them; those of the default
/// family may be raw keys and are taken as they are.
/// Errors: kDataLoss for a broken file, kInvalidArgument in TiKV's words for keys that do not have the rule's prefix.
Result<ImportedFile> ImportFile(std::string_view content, const import_sstpb::SSTMeta& meta,
                                const import_sstpb::RewriteRule& rule);

}  // namespace kvjury::tikv
