// The `setting` record: a volume's format, JSON as Go's encoder writes it (a member a line, no indentation).
//
// Decoding is lenient as the clients' is: unknown members are ignored, names match in any case, null means zero.
// A Setting keeps the bytes it came from; encoding gives them back as long as no field was changed.
// Not here: decrypting the secrets. `SettingWithoutCredentials` is what drills, recordings and reports may hold.
// Source: JuiceFS 1.4, Format.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "fakes/base/bytes.h"

namespace kvjury::juicefs {

struct StorageTier {
  int64_t id = 0;
  std::string storage_class;
  std::string tag;
  friend bool operator==(const StorageTier&, const StorageTier&) = default;
};

struct Format {
  std::string name;
  std::string uuid;
  std::string storage;
  std::string storage_class;
  std::optional<std::map<std::string, StorageTier>> tiers;  // absent: written as null
  std::string bucket;
  std::string access_key;
  std::string secret_key;
  std::string session_token;
  int64_t block_size_kib = 0;
  std::string compression;
  int64_t shards = 0;
  bool hash_prefix = false;
  uint64_t capacity_bytes = 0;  // 0: no limit
  uint64_t inodes = 0;          // 0: no limit
  std::string encrypt_key;
  std::string encrypt_algorithm;
  bool key_encrypted = false;
  int64_t upload_limit_mbps = 0;
  int64_t download_limit_mbps = 0;
  int64_t trash_days = 0;
  int64_t meta_version = 0;
  std::string min_client_version;
  std::string max_client_version;
  bool dir_stats = false;
  bool user_group_quota = false;
  bool enable_acl = false;
  std::string ranger_rest_url;
  std::string ranger_service;
  bool change_log = false;
  int64_t change_log_age_s_max = 0;
  int64_t change_log_lines_max = 0;
  std::string kerberos_config;
  /// Tiers stood in the text (JuiceFS 1.4 always writes them, as null when unset; older versions never).
  bool tiers_present = true;
  /// Likewise EnableACL (1.2 and later).
  bool enable_acl_present = true;

  friend bool operator==(const Format&, const Format&) = default;
};

struct Setting {
  Format format;
  Bytes text;  // what was decoded; empty for a new one

  friend bool operator==(const Setting&, const Setting&) = default;
};

/// Errors: kDataLoss when the text is not a JSON object or a known member has the wrong type.
Result<Setting> DecodeSetting(std::string_view text);

/// `text` if it still says what `format` says, else the format newly written.
Bytes EncodeSetting(const Setting& setting);

/// Which of Go's encoders writes: the standard library's (all records and binary dumps), or the one of JSON dumps, which knows no \b and \f.
enum class GoEncoder { kStandard, kOfDumps };

/// As Go's encoder with line breaks and without indentation.
Bytes EncodeFormat(const Format& format, GoEncoder encoder = GoEncoder::kStandard);

/// The text with AccessKey, SecretKey, SessionToken and EncryptKey empty, as of a volume whose clients bring their own; other bytes of a
/// canonical text stay. Errors: those of DecodeSetting.
Result<Bytes> SettingWithoutCredentials(std::string_view text);

/// One JSON string as Go writes it: quotes, \u003c \u003e \u0026 for <, >, &, \u2028 and \u2029 escaped, \ufffd for each byte that is no text.
void AppendGoJsonString(std::string* out, std::string_view text, GoEncoder encoder = GoEncoder::kStandard);

}  // namespace kvjury::juicefs
