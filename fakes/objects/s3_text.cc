#include "fakes/objects/s3_text.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace kvjury::objects {

namespace {

constexpr int64_t kMsPerSecond = 1'000;
constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

bool IsUnreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

Bytes Digest(const EVP_MD* kind, std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), out, &size, kind, nullptr) == 1);
  return {reinterpret_cast<const char*>(out), size};
}

std::tm CivilOf(int64_t unix_ms) {
  const time_t seconds = unix_ms / kMsPerSecond;
  std::tm civil{};
  gmtime_r(&seconds, &civil);
  return civil;
}

std::string Format(const char* form, const std::tm& civil) {
  char text[64];
  return {text, std::strftime(text, sizeof(text), form, &civil)};
}

// The numbers at fixed places of a text, or nothing if one is none.
std::optional<int> NumberAt(std::string_view text, size_t at, size_t digits) {
  const std::optional<uint64_t> number = text.size() < at + digits ? std::nullopt : ParseNumber(text.substr(at, digits));
  return number ? std::optional<int>(static_cast<int>(*number)) : std::nullopt;
}

std::optional<int64_t> Compose(std::optional<int> year, std::optional<int> month, std::optional<int> day, std::string_view text, size_t clock_at,
                               size_t gap) {
  const std::optional<int> hour = NumberAt(text, clock_at, 2);
  const std::optional<int> minute = NumberAt(text, clock_at + 2 + gap, 2);
  const std::optional<int> second = NumberAt(text, clock_at + 4 + 2 * gap, 2);
  if (!year || !month || !day || !hour || !minute || !second) {
    return std::nullopt;
  }
  if (*year < 1970 || *month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  std::tm civil{};
  civil.tm_year = *year - 1900;
  civil.tm_mon = *month - 1;
  civil.tm_mday = *day;
  civil.tm_hour = *hour;
  civil.tm_min = *minute;
  civil.tm_sec = *second;
  return timegm(&civil) * kMsPerSecond;
}

}  // namespace

std::string UriEncode(std::string_view text, bool keep_slash) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (IsUnreserved(c) || (c == '/' && keep_slash)) {
      out += c;
      continue;
    }
    out += '%';
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

Result<Bytes> UriDecode(std::string_view text) {
  Bytes bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes += text[i];
      continue;
    }
    const Result<Bytes> byte = FromHex(text.substr(i + 1, 2));
    if (!byte.ok() || byte->size() != 1) {
      return Status::InvalidArgument("a '%' without two hex digits behind it");
    }
    bytes += *byte;
    i += 2;
  }
  return bytes;
}

Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    if (part.empty()) {
      continue;
    }
    const std::string_view name = part.substr(0, part.find('='));
    ASSIGN_OR_RETURN(Bytes decoded_name, UriDecode(name));
    ASSIGN_OR_RETURN(Bytes decoded_value, UriDecode(part.substr(std::min(part.size(), name.size() + 1))));
    pairs.emplace_back(std::move(decoded_name), std::move(decoded_value));
  }
  return pairs;
}

std::string Base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

Bytes Md5(std::string_view bytes) { return Digest(EVP_md5(), bytes); }
Bytes Sha1(std::string_view bytes) { return Digest(EVP_sha1(), bytes); }

uint32_t Crc32(std::string_view bytes) {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

Bytes HmacSha256(std::string_view key, std::string_view text) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), out,
             &size) != nullptr);
  return {reinterpret_cast<const char*>(out), size};
}

std::string BasicTime(int64_t unix_ms) { return Format("%Y%m%dT%H%M%SZ", CivilOf(unix_ms)); }

std::optional<int64_t> ParseBasicTime(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') {
    return std::nullopt;
  }
  return Compose(NumberAt(text, 0, 4), NumberAt(text, 4, 2), NumberAt(text, 6, 2), text, 9, 0);
}

std::string IsoTime(int64_t unix_ms) {
  char ms[8];
  std::snprintf(ms, sizeof(ms), ".%03dZ", static_cast<int>(unix_ms % kMsPerSecond));
  return Format("%Y-%m-%dT%H:%M:%S", CivilOf(unix_ms)) + ms;
}

std::string HttpTime(int64_t unix_ms) {
  const std::tm civil = CivilOf(unix_ms);
  return std::string(kDays[static_cast<size_t>(civil.tm_wday)]) + Format(", %d ", civil) + kMonths[static_cast<size_t>(civil.tm_mon)] +
         Format(" %Y %H:%M:%S GMT", civil);
}

std::optional<int64_t> ParseHttpTime(std::string_view text) {
  if (text.size() != 29) {
    return std::nullopt;
  }
  const auto* month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  if (month == kMonths.end()) {
    return std::nullopt;
  }
  return Compose(NumberAt(text, 12, 4), static_cast<int>(month - kMonths.begin()) + 1, NumberAt(text, 5, 2), text, 17, 1);
}

std::optional<uint64_t> ParseNumber(std::string_view digits) {
  uint64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return value;
}

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

}  // namespace kvjury::objects
