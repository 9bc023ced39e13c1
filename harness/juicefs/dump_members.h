// Members of JSON objects in a dump, read with their defaults: what Go omits is zero. Used by dump_json.cc alone.
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

/// `what` is for messages. Errors of all three: kDataLoss with `what` and the member.
Result<Attr> ReadDumpAttr(const std::string& what, const nlohmann::json& value, Inode* inode);
Result<AclRule> ReadDumpAcl(const std::string& what, const nlohmann::json& value);
Result<ChunkMap> ReadDumpChunks(const std::string& what, const nlohmann::json& value);

}  // namespace kvjury::juicefs
