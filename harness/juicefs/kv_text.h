// Reader of key and value text: a line `hexkey TAB hexvalue` or `hexkey SPACE hexvalue`, plain, gzip or zstd.
//
// The order of lines is free, a key may occur once. An empty key or value is an empty hex field. Nothing is skipped: a line
// that does not have this form is an error that names file, line and what was expected.
#pragma once

#include <string>
#include <string_view>

#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

/// `file_name` is for messages only. `text_bytes_max` bounds the decompressed size.
/// Errors: kDataLoss for a damaged stream or line; kInvalidArgument for more than `text_bytes_max`.
Result<KeyValues> ParseKvText(const std::string& file_name, std::string_view file_bytes,
                              size_t text_bytes_max = size_t{4} << 30);

/// The same pairs as text, keys ascending, a tab between.
std::string FormatKvText(const KeyValues& pairs);

}  // namespace kvjury::juicefs
