// The small text forms of S3: percent-encoding, times, base64 and the digests of its headers.
//
// Source: Amazon S3 API Reference; RFC 3986 (unreserved characters), RFC 9110 (dates). Times are milliseconds since the epoch, UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::objects {

/// Everything but A-Z a-z 0-9 - . _ ~ becomes %XX, upper case; '/' too unless it is kept.
std::string UriEncode(std::string_view text, bool keep_slash);
/// Errors: kInvalidArgument for a '%' without two hex digits. A '+' is a plus.
Result<Bytes> UriDecode(std::string_view text);

/// name=value pairs of a query in their order, decoded; a name alone has an empty value. Errors: as UriDecode.
Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

std::string Base64(std::string_view bytes);
Bytes Md5(std::string_view bytes);
Bytes Sha1(std::string_view bytes);
/// As zlib's.
uint32_t Crc32(std::string_view bytes);
Bytes HmacSha256(std::string_view key, std::string_view text);

/// "20130524T000000Z".
std::string BasicTime(int64_t unix_ms);
std::optional<int64_t> ParseBasicTime(std::string_view text);
/// "2013-05-24T00:00:00.000Z".
std::string IsoTime(int64_t unix_ms);
/// "Fri, 24 May 2013 00:00:00 GMT".
std::string HttpTime(int64_t unix_ms);
std::optional<int64_t> ParseHttpTime(std::string_view text);

/// All digits, no sign, no overflow.
std::optional<uint64_t> ParseNumber(std::string_view digits);
std::string Lower(std::string_view text);
/// Without blanks and tabs at both ends.
std::string_view Trim(std::string_view text);

}  // namespace kvjury::objects
