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
};

/// Every entry must decode as a record of the column family, which TiKV learns only when it reads them.
/// Errors: kDataLoss for a broken file, kInvalidArgument in TiKV's words for keys that do not have the rule's prefix.
Result<ImportedFile> ImportFile(std::string_view content, const import_sstpb::SSTMeta& meta,
                                const import_sstpb::RewriteRule& rule);

}  // namespace kvjury::tikv
