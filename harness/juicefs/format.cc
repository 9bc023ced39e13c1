#include "harness/juicefs/format.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <variant>
#include <vector>

#include "fakes/base/utf8.h"

namespace kvjury::juicefs {

namespace {

using nlohmann::ordered_json;

using FormatMember = std::variant<std::string Format::*, int64_t Format::*, uint64_t Format::*, bool Format::*,
                                  std::optional<std::map<std::string, StorageTier>> Format::*>;

struct FormatField {
  const char* name;
  FormatMember member;
  bool omitted_when_zero;
};

/// In the order in which they are written.
const std::vector<FormatField>& Fields() {
  static const std::vector<FormatField> fields = {
      {"Name", &Format::name, false},
      {"UUID", &Format::uuid, false},
      {"Storage", &Format::storage, false},
      {"StorageClass", &Format::storage_class, true},
      {"Tiers", &Format::tiers, false},
      {"Bucket", &Format::bucket, false},
      {"AccessKey", &Format::access_key, true},
      {"SecretKey", &Format::secret_key, true},
      {"SessionToken", &Format::session_token, true},
      {"BlockSize", &Format::block_size_kib, false},
      {"Compression", &Format::compression, true},
      {"Shards", &Format::shards, true},
      {"HashPrefix", &Format::hash_prefix, true},
      {"Capacity", &Format::capacity_bytes, true},
      {"Inodes", &Format::inodes, true},
      {"EncryptKey", &Format::encrypt_key, true},
      {"EncryptAlgo", &Format::encrypt_algorithm, true},
      {"KeyEncrypted", &Format::key_encrypted, true},
      {"UploadLimit", &Format::upload_limit_mbps, true},
      {"DownloadLimit", &Format::download_limit_mbps, true},
      {"TrashDays", &Format::trash_days, false},
      {"MetaVersion", &Format::meta_version, true},
      {"MinClientVersion", &Format::min_client_version, true},
      {"MaxClientVersion", &Format::max_client_version, true},
      {"DirStats", &Format::dir_stats, true},
      {"UserGroupQuota", &Format::user_group_quota, true},
      {"EnableACL", &Format::enable_acl, false},
      {"RangerRestUrl", &Format::ranger_rest_url, true},
      {"RangerService", &Format::ranger_service, true},
      {"ChangeLog", &Format::change_log, true},
      {"ChangeLogMaxAge", &Format::change_log_age_s_max, true},
      {"ChangeLogMaxLines", &Format::change_log_lines_max, true},
      {"KerbConf", &Format::kerberos_config, true},
  };
  return fields;
}

char LowerAscii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameNameInAnyCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) {
    return false;
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (LowerAscii(a[i]) != LowerAscii(b[i])) {
      return false;
    }
  }
  return true;
}

Status WrongType(const std::string& member, const char* expected) {
  return Status::DataLoss(fmt::format("setting: member {}: expected {}", Printable(member), expected));
}

Status Assign(const std::string& member, const ordered_json& json, std::string* out) {
  if (!json.is_string()) {
    return WrongType(member, "a string");
  }
  *out = json.get<std::string>();
  return Status::Ok();
}

Status Assign(const std::string& member, const ordered_json& json, bool* out) {
  if (!json.is_boolean()) {
    return WrongType(member, "true or false");
  }
  *out = json.get<bool>();
  return Status::Ok();
}

Status Assign(const std::string& member, const ordered_json& json, uint64_t* out) {
  if (!json.is_number_unsigned()) {
    return WrongType(member, "an integer of 0 or more");
  }
  *out = json.get<uint64_t>();
  return Status::Ok();
}

Status Assign(const std::string& member, const ordered_json& json, int64_t* out) {
  const bool too_large = json.is_number_unsigned() && json.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (!json.is_number_integer() || too_large) {
    return WrongType(member, "a 64-bit integer");
  }
  *out = json.get<int64_t>();
  return Status::Ok();
}

Status Assign(const std::string& member, const ordered_json& json,
              std::optional<std::map<std::string, StorageTier>>* out) {
  if (!json.is_object()) {
    return WrongType(member, "an object");
  }
  std::map<std::string, StorageTier> tiers;
  for (const auto& [id, body] : json.items()) {
    if (!body.is_object()) {
      return WrongType(member + "." + id, "an object");
    }
    StorageTier tier;
    for (const auto& [name, value] : body.items()) {
      if (value.is_null()) {
        continue;
      }
      if (SameNameInAnyCase(name, "ID")) {
        RETURN_IF_ERROR(Assign(member + ".ID", value, &tier.id));
      } else if (SameNameInAnyCase(name, "StorageClass")) {
        RETURN_IF_ERROR(Assign(member + ".StorageClass", value, &tier.storage_class));
      } else if (SameNameInAnyCase(name, "Tag")) {
        RETURN_IF_ERROR(Assign(member + ".Tag", value, &tier.tag));
      }
    }
    tiers[id] = tier;
  }
  *out = std::move(tiers);
  return Status::Ok();
}

bool IsZero(const std::string& value) { return value.empty(); }
bool IsZero(bool value) { return !value; }
bool IsZero(int64_t value) { return value == 0; }
bool IsZero(uint64_t value) { return value == 0; }
bool IsZero(const std::optional<std::map<std::string, StorageTier>>& value) { return !value.has_value(); }

void Append(std::string* out, const std::string& value, GoEncoder encoder) { AppendGoJsonString(out, value, encoder); }
void Append(std::string* out, bool value, GoEncoder) { *out += value ? "true" : "false"; }
void Append(std::string* out, int64_t value, GoEncoder) { *out += std::to_string(value); }
void Append(std::string* out, uint64_t value, GoEncoder) { *out += std::to_string(value); }

void Append(std::string* out, const std::optional<std::map<std::string, StorageTier>>& tiers, GoEncoder encoder) {
  if (!tiers.has_value()) {
    *out += "null";
    return;
  }
  if (tiers->empty()) {
    *out += "{}";
    return;
  }
  *out += "{\n";
  const char* separator = "";
  for (const auto& [id, tier] : *tiers) {
    *out += separator;
    separator = ",\n";
    AppendGoJsonString(out, id, encoder);
    *out += fmt::format(": {{\n\"ID\": {},\n\"StorageClass\": ", tier.id);
    AppendGoJsonString(out, tier.storage_class, encoder);
    *out += ",\n\"Tag\": ";
    AppendGoJsonString(out, tier.tag, encoder);
    *out += "\n}";
  }
  *out += "\n}";
}

}  // namespace

void AppendGoJsonString(std::string* out, std::string_view text, GoEncoder encoder) {
  const bool has_short_forms = encoder == GoEncoder::kStandard;
  uint32_t character = 0;
  out->push_back('"');
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte == '"' || byte == '\\') {
      out->push_back('\\');
      out->push_back(text[i]);
    } else if (byte == '\n') {
      *out += "\\n";
    } else if (byte == '\r') {
      *out += "\\r";
    } else if (byte == '\t') {
      *out += "\\t";
    } else if (byte == '\b' && has_short_forms) {
      *out += "\\b";
    } else if (byte == '\f' && has_short_forms) {
      *out += "\\f";
    } else if (byte < 0x20 || byte == '<' || byte == '>' || byte == '&') {
      *out += fmt::format("\\u{:04x}", byte);
    } else if (text.substr(i, 3) == "\xE2\x80\xA8" || text.substr(i, 3) == "\xE2\x80\xA9") {
      *out += text[i + 2] == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else if (byte < 0x80) {
      out->push_back(text[i]);
    } else if (const size_t length = Utf8Length(text.substr(i), &character); length > 0) {
      out->append(text, i, length);
      i += length - 1;
    } else {
      *out += "\\ufffd";
    }
  }
  out->push_back('"');
}

Result<Setting> DecodeSetting(std::string_view text) {
  const ordered_json document = ordered_json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object()) {
    return Status::DataLoss(fmt::format("setting of {} bytes: expected a JSON object", text.size()));
  }
  Setting setting;
  setting.text = Bytes(text);
  setting.format.tiers_present = false;
  setting.format.enable_acl_present = false;
  for (const auto& [name, value] : document.items()) {
    for (const FormatField& field : Fields()) {
      if (!SameNameInAnyCase(name, field.name)) {
        continue;
      }
      setting.format.tiers_present |= SameNameInAnyCase(name, "Tiers");
      setting.format.enable_acl_present |= SameNameInAnyCase(name, "EnableACL");
      if (value.is_null()) {
        continue;
      }
      const std::string& member_name = name;
      const ordered_json& member_value = value;
      RETURN_IF_ERROR(std::visit(
          [&](auto member) { return Assign(member_name, member_value, &(setting.format.*member)); }, field.member));
    }
  }
  return setting;
}

Bytes EncodeFormat(const Format& format, GoEncoder encoder) {
  Bytes text = "{";
  const char* separator = "\n";
  for (const FormatField& field : Fields()) {
    const bool absent = (std::string_view(field.name) == "Tiers" && !format.tiers_present && !format.tiers.has_value()) ||
                        (std::string_view(field.name) == "EnableACL" && !format.enable_acl_present && !format.enable_acl);
    std::visit(
        [&](auto member) {
          if (absent || (field.omitted_when_zero && IsZero(format.*member))) {
            return;
          }
          text += separator;
          separator = ",\n";
          AppendGoJsonString(&text, field.name);
          text += ": ";
          Append(&text, format.*member, encoder);
        },
        field.member);
  }
  text += "\n}";
  return text;
}

Bytes EncodeSetting(const Setting& setting) {
  if (!setting.text.empty()) {
    const Result<Setting> decoded = DecodeSetting(setting.text);
    if (decoded.ok() && decoded->format == setting.format) {
      return setting.text;
    }
  }
  return EncodeFormat(setting.format);
}

Result<Bytes> SettingWithoutCredentials(std::string_view text) {
  ASSIGN_OR_RETURN(Setting setting, DecodeSetting(text));
  Format& format = setting.format;
  for (std::string* credential : {&format.access_key, &format.secret_key, &format.session_token, &format.encrypt_key}) {
    credential->clear();
  }
  return EncodeSetting(setting);
}

}  // namespace kvjury::juicefs
