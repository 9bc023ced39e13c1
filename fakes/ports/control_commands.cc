#include "fakes/ports/control_commands.h"

#include <algorithm>
#include <charconv>

namespace kvjury::ports {

namespace {

// A day and more words than anybody needs: what is larger is a slip.
constexpr uint64_t kNumberMax = 1'000'000'000'000;
constexpr size_t kMethodSizeMax = 100;

Status Wrong(const std::string& words) { return Status::InvalidArgument(words); }

Result<uint64_t> Number(std::string_view name, std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || number > kNumberMax) {
    return Wrong(std::string(name) + ": expected a number up to " + std::to_string(kNumberMax) + ", got \"" + Printable(text) + "\"");
  }
  return number;
}

// "KvGet", or of HTTP "http/POST/pd/api/v1/schedulers".
bool IsMethod(std::string_view text) {
  constexpr std::string_view kOfHttp = "http/";
  const bool is_http = text.compare(0, kOfHttp.size(), kOfHttp) == 0;
  return !text.empty() && text.size() <= kMethodSizeMax && std::all_of(text.begin(), text.end(), [is_http](char c) {
    const bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    return is_word || (is_http && (c == '/' || c == '-' || c == '_' || c == '.'));
  });
}

template <class T>
Status SetOnce(std::string_view name, std::optional<T>* member, Result<T> value) {
  RETURN_IF_ERROR(value.status());
  if (member->has_value()) {
    return Wrong(std::string(name) + " is given twice");
  }
  *member = *std::move(value);
  return Status::Ok();
}

Status SetMember(std::string_view name, std::string_view value, ControlCommand* command) {
  if (name == "key") {
    return SetOnce(name, &command->key, FromHex(value));
  }
  if (name == "method") {
    return SetOnce(name, &command->method, IsMethod(value) ? Result<std::string>(std::string(value)) : Wrong("method: expected a name such as KvGet"));
  }
  for (const auto& [number, member] : {std::pair("store", &command->store), std::pair("count", &command->count),
                                       std::pair("for_ms", &command->for_ms), std::pair("by_ms", &command->by_ms)}) {
    if (name == number) {
      return SetOnce(name, member, Number(name, value));
    }
  }
  return Wrong("unknown member \"" + Printable(name) + "\"");
}

// Names of the members that are there.
std::vector<std::string> MembersOf(const ControlCommand& command) {
  std::vector<std::string> names;
  const auto add = [&names](bool there, const char* name) {
    if (there) {
      names.emplace_back(name);
    }
  };
  add(command.key.has_value(), "key");
  add(command.store.has_value(), "store");
  add(command.method.has_value(), "method");
  add(command.count.has_value(), "count");
  add(command.for_ms.has_value(), "for_ms");
  add(command.by_ms.has_value(), "by_ms");
  return names;
}

bool Holds(const std::vector<const char*>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

}  // namespace

const std::vector<ControlVerb>& ControlVerbs() {
  static const std::vector<ControlVerb> verbs = {
      {"split", {"key"}, {}, "make the key the start of a region"},
      {"merge", {"key"}, {}, "merge the region that holds the key into its right neighbour"},
      {"transfer-leader", {"key"}, {"store"}, "move the leader of the key's region, to the next store if none is named"},
      {"kill-store", {"store"}, {"for_ms"}, "its ports close, its connections are cut, what it had in memory is lost"},
      {"revive-store", {"store"}, {}, "a killed store is back on its ports"},
      {"pause-store", {"store", "for_ms"}, {}, "it answers nothing meanwhile; its regions elect other leaders"},
      {"lose-request", {"method"}, {"count"}, "the next calls of the method do not arrive"},
      {"lose-reply", {"method"}, {"count"}, "the next calls of the method take effect and are not answered"},
      {"refuse-http", {"method"}, {"count"}, "the next HTTP calls (http/POST/pd/api/v1/...) are answered with 403 by what stands before PD"},
      {"slow", {"method", "by_ms"}, {"for_ms", "count"}, "calls of the method take so much longer"},
      {"server-busy", {}, {"method", "count", "by_ms"}, "the next calls to a store are answered that it is busy"},
      {"pd-leader-change", {}, {"for_ms"}, "PD elects another leader, and has none for a while"},
      {"clock-jump", {"by_ms"}, {}, "PD's clock jumps forward"},
      {"stale-routes", {"by_ms", "for_ms"}, {}, "PD tells regions as they were so long ago"},
      {"gc-now", {}, {}, "the GC safe point moves to the present, all stores compact"},
      {"heal", {}, {}, "whatever lasts of all this ends"},
      {"state", {}, {}, "regions, leaders, stores, safe points, counters"},
  };
  return verbs;
}

Status CheckControlCommand(const ControlCommand& command) {
  const auto verb = std::find_if(ControlVerbs().begin(), ControlVerbs().end(), [&command](const ControlVerb& v) { return command.verb == v.name; });
  if (verb == ControlVerbs().end()) {
    std::string names;
    for (const ControlVerb& known : ControlVerbs()) {
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    }
    return Wrong("unknown command \"" + Printable(command.verb) + "\"; known are: " + names);
  }
  const std::vector<std::string> members = MembersOf(command);
  for (const char* needed : verb->needs) {
    if (std::find(members.begin(), members.end(), needed) == members.end()) {
      return Wrong(command.verb + " needs " + needed);
    }
  }
  for (const std::string& member : members) {
    if (!Holds(verb->needs, member) && !Holds(verb->may_have, member)) {
      return Wrong(command.verb + " has no " + member);
    }
  }
  return Status::Ok();
}

Result<ControlCommand> ParseControlCommand(std::string_view line) {
  ControlCommand command;
  size_t blank = line.find(' ');
  command.verb = line.substr(0, blank);
  while (blank != std::string_view::npos) {
    line.remove_prefix(blank + 1);
    blank = line.find(' ');
    const std::string_view word = line.substr(0, blank);
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) {
      return Wrong("expected NAME=VALUE, got \"" + Printable(word) + "\"");
    }
    RETURN_IF_ERROR(SetMember(word.substr(0, equals), word.substr(equals + 1), &command));
  }
  RETURN_IF_ERROR(CheckControlCommand(command));
  return command;
}

Result<ControlCommand> ParseControlMember(std::string_view name, std::string_view value) {
  ControlCommand command;
  RETURN_IF_ERROR(SetMember(name, value, &command));
  return command;
}

std::string FormatControlCommand(const ControlCommand& command) {
  std::string line = command.verb;
  const auto add = [&line](const char* name, const std::optional<uint64_t>& number) {
    if (number) {
      line += " " + std::string(name) + "=" + std::to_string(*number);
    }
  };
  if (command.key) {
    line += " key=" + ToHex(*command.key);
  }
  if (command.method) {
    line += " method=" + *command.method;
  }
  add("store", command.store);
  add("count", command.count);
  add("for_ms", command.for_ms);
  add("by_ms", command.by_ms);
  return line;
}

}  // namespace kvjury::ports
