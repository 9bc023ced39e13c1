// Streaming reader of JSON documents in the shape of a metadata dump: small members as values, the tree as events.
//
// Every member outside the trees FSTree and Trash, and every member of an entry other than `entries`, is handed over as a
// complete value. The nesting of the tree costs no recursion and only one frame a level.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/byte_stream.h"

namespace kvjury::juicefs {

/// What a reader of a dump is told, in document order. A non-ok status ends the reading.
class JsonDumpEvents {
 public:
  virtual ~JsonDumpEvents() = default;
  /// A member of the document other than the trees.
  virtual Status Member(const std::string& name, const nlohmann::json& value) = 0;
  /// A tree (`tree` is its member name, `name` empty) or an entry of the entry begun last begins.
  virtual Status BeginEntry(const std::string& tree, const std::string& name) = 0;
  /// A member of the current entry.
  virtual Status EntryMember(const std::string& name, const nlohmann::json& value) = 0;
  virtual Status EndEntry() = 0;
};

/// Reads `source` (decompressed) piece by piece. Errors: kDataLoss with the byte offset for text that is no such document; what `source` or
/// `events` returned.
Status ReadJsonDump(ByteSource* source, JsonDumpEvents* events);

}  // namespace kvjury::juicefs
