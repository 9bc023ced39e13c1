// Members of JSON objects in a dump, read with their defaults: what Go omits is zero. For those who read dumps in JSON.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

/// Reads members of one JSON object; absent numbers are zero, as omitted ones are. Remembers the first wrong one.
class DumpMembers {
 public:
  DumpMembers(std::string what, const nlohmann::json& object) : what_(std::move(what)), object_(object) {
    if (!object.is_object()) {
      Expect("", "an object");
    }
  }

  uint64_t Unsigned(const char* name) {
    const nlohmann::json* value = Find(name);
    if (value != nullptr && !value->is_number_unsigned()) {
      Expect(name, "a number of 0 or more");
      return 0;
    }
    return value == nullptr ? 0 : value->get<uint64_t>();
  }

  uint32_t Unsigned32(const char* name) {
    const uint64_t number = Unsigned(name);
    if (number > UINT32_MAX) {
      Expect(name, "a 32-bit number");
    }
    return static_cast<uint32_t>(number);
  }

  int64_t Signed(const char* name) {
    const nlohmann::json* value = Find(name);
    const bool fits = value == nullptr || (value->is_number_integer() && (!value->is_number_unsigned() ||
                                                                          value->get<uint64_t>() <= uint64_t{INT64_MAX}));
    if (!fits) {
      Expect(name, "a 64-bit number");
      return 0;
    }
    return value == nullptr ? 0 : value->get<int64_t>();
  }

  std::string Text(const char* name) {
    const nlohmann::json* value = Find(name);
    if (value == nullptr || !value->is_string()) {
      Expect(name, "a string");
      return "";
    }
    return value->get<std::string>();
  }

  /// The elements of a list; none for null or an absent one.
  const nlohmann::json& List(const char* name) {
    static const nlohmann::json empty = nlohmann::json::array();
    const nlohmann::json* value = Find(name);
    if (value == nullptr || value->is_null()) {
      return empty;
    }
    if (!value->is_array()) {
      Expect(name, "a list");
      return empty;
    }
    return *value;
  }

  void Expect(const std::string& name, const std::string& expected) {
    if (status_.ok()) {
      status_ = Status::DataLoss(fmt::format("{}: member \"{}\": expected {}", what_, name, expected));
    }
  }

  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const nlohmann::json* Find(const char* name) const {
    const auto found = object_.find(name);
    return !object_.is_object() || found == object_.end() ? nullptr : &*found;
  }

  std::string what_;
  const nlohmann::json& object_;
  Status status_;
};

/// What an entry says of its inode; its children are not here.
struct DumpedInode {
  Inode inode;  // invalid: no attributes were given
  Attr attr;    // with the lengths of the dump: 0 for all but files
  std::optional<Bytes> target;
  std::map<Bytes, Bytes> xattrs;
  ChunkMap chunks;
  std::optional<AclRule> access_acl;
  std::optional<AclRule> default_acl;
};

/// Takes one member of the entry `entry_name` (in bytes, for messages); those that it does not know are passed over.
/// Errors: kDataLoss with entry and member.
Status ReadDumpedMember(std::string_view entry_name, const std::string& member, const nlohmann::json& value, DumpedInode* inode);

/// `Quotas`, `UserQuotas`, `GroupQuotas`: limits by id. Errors: kDataLoss.
Result<std::map<uint64_t, Quota>> ReadDumpedQuotas(const std::string& member, const nlohmann::json& value);

/// `DelFiles`: unix seconds by inode and length. Errors: kDataLoss.
Result<std::map<std::pair<Inode, uint64_t>, int64_t>> ReadDumpedFiles(const nlohmann::json& value);

}  // namespace kvjury::juicefs
