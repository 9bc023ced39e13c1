// A view as text: one JSON object a line, the same fields in the same form as a recorded walk of a mount.
//
// Members sorted by name; 64-bit numbers as strings; `mode` as "0o100644"; bytes (paths, targets, xattrs) as Latin-1 text
// with \u00NN escapes, so that every byte survives. A walk of a mount has `sha256` of the bytes where records give `content`.
#pragma once

#include <string>
#include <string_view>

#include "harness/juicefs/view.h"

namespace kvjury::juicefs {

/// One line without its newline.
std::string ViewEntryJson(const Bytes& path, const ViewEntry& entry);

/// Every entry, in byte order of the paths, a newline after each.
std::string ViewJson(const View& view);

/// Reads such lines, those of a recorded walk too (plain, gzip or zstd). Unknown members are ignored; statfs is absent.
/// Errors: kDataLoss with file, line and what was expected; kInvalidArgument when larger than `text_bytes_max`.
Result<View> ParseViewJson(const std::string& file_name, std::string_view file_bytes,
                           size_t text_bytes_max = size_t{4} << 30);

}  // namespace kvjury::juicefs
