// ControlCommands: what a person may do to a served cluster while it runs, as lines of text.
//
//   split key=766f6c              transfer-leader key=766f6c store=2      kill-store store=1 for_ms=5000
// A verb and members, each once, separated by single blanks; keys in hex, empty for the first. One line is one command. Reading
// them is a pure function of the line, so that it can be fuzzed; carrying them out happens on the world's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "fakes/base/status.h"

namespace kvjury::ports {

struct ControlCommand {
  std::string verb;
  std::optional<Bytes> key;
  std::optional<uint64_t> store;
  /// Of a call, "KvGet"; of HTTP "http/GET/pd/api/v1/version", the method and how the path begins; empty: any.
  std::optional<std::string> method;
  std::optional<uint64_t> count;
  std::optional<uint64_t> for_ms;
  std::optional<uint64_t> by_ms;

  friend bool operator==(const ControlCommand&, const ControlCommand&) = default;
};

/// Verbs with the members that each needs and those that it may have, for help texts.
struct ControlVerb {
  const char* name;
  std::vector<const char*> needs;
  std::vector<const char*> may_have;
  const char* about;
};
const std::vector<ControlVerb>& ControlVerbs();

/// Errors: kInvalidArgument naming what is wrong.
Result<ControlCommand> ParseControlCommand(std::string_view line);
/// One member alone, of a verb that is still to be named.
Result<ControlCommand> ParseControlMember(std::string_view name, std::string_view value);
/// The other way, without a line end.
std::string FormatControlCommand(const ControlCommand& command);
/// Whether the members fit the verb. Errors: kInvalidArgument.
Status CheckControlCommand(const ControlCommand& command);

}  // namespace kvjury::ports
