// kvjury poke: something happens to a served cluster, now: a region splits, a store dies, answers get lost.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fakes/ports/control_commands.h"
#include "fakes/ports/control_socket.h"
#include "fakes/ports/served_cluster.h"
#include "harness/cli/verb.h"

namespace kvjury::cli {
namespace {

using ports::ControlCommand;

/// "5s", "300ms", "2m"; a number alone is milliseconds.
Result<uint64_t> MillisecondsOf(const std::string& option, const std::string& text) {
  size_t at = 0;
  uint64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && number < 1'000'000'000; ++at) {
    number = number * 10 + static_cast<uint64_t>(text[at] - '0');
  }
  const std::string unit = text.substr(at);
  const uint64_t unit_ms = unit == "ms" || unit.empty() ? 1 : unit == "s" ? 1'000 : unit == "m" ? 60'000 : 0;
  if (at == 0 || unit_ms == 0) {
    return Status::InvalidArgument(option + ": expected a time such as 300ms, 5s or 2m; got \"" + text + "\"");
  }
  return number * unit_ms;
}

/// Raw bytes, in which \xNN and \\ stand for one byte as in labels, or hex.
Result<Bytes> KeyOf(const std::string& text, bool hex) {
  if (hex) {
    return FromHex(text);
  }
  Bytes key;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      key += text[i];
    } else if (text.compare(i, 2, "\\\\") == 0) {
      key += text[++i];
    } else {
      const Result<Bytes> byte = text.compare(i, 2, "\\x") == 0 && i + 3 < text.size() ? FromHex(text.substr(i + 2, 2)) : Status::InvalidArgument("");
      if (!byte.ok()) {
        return Status::InvalidArgument("key: expected \\xNN or \\\\ behind a backslash in \"" + text + "\"");
      }
      key += *byte;
      i += 3;
    }
  }
  return key;
}

class PokeVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("poke", "Something happens to a served cluster: a split, a dead store, lost answers");
    std::string commands;
    for (const ports::ControlVerb& known : ports::ControlVerbs()) {
      commands += fmt::format("  {:<18} {}\n", known.name, known.about);
    }
    verb->footer("COMMAND, then its KEY, STORE, METHOD, COUNT or time in the order of its members:\n" + commands +
                 "Exit codes: 0 it had an effect (or is planned for calls to come), 3 it had none, 2 wrong use, 6 nobody listens.");
    verb->add_option("words", words_, "[SOCKET] COMMAND ...")->required();
    verb->add_option("--data", data_, "The folder of the served cluster, instead of SOCKET");
    verb->add_option("--ready-file", ready_file_, "Its ready file, instead of SOCKET");
    verb->add_option("--for", for_, "How long it lasts (5s, 300ms)");
    verb->add_option("--by", by_, "How much slower, how far, how old (300ms)");
    verb->add_option("--down", for_, "The same as --for");
    verb->add_flag("--hex", hex_, "KEY is hex, not raw bytes with \\xNN");
    verb->add_flag("--json", json_, "The answer as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const Result<std::string> socket = Socket();
    if (!socket.ok()) {
      return Fail(terminal, socket.error());
    }
    const Result<ControlCommand> command = Command();
    if (!command.ok()) {
      return Fail(terminal, command.error());
    }
    const Result<std::string> text = ports::CallControlSocket(*socket, FormatControlCommand(*command));
    if (!text.ok()) {
      return Fail(terminal, text.error());
    }
    const nlohmann::ordered_json answer = nlohmann::ordered_json::parse(*text, nullptr, false);
    if (!answer.is_object()) {
      return Fail(terminal, Status::Environment("the served cluster answered what is no JSON object"));
    }
    if (answer.contains("error")) {
      return Fail(terminal, Status::InvalidArgument(answer["error"].get<std::string>()));
    }
    return Say(terminal, answer);
  }

 private:
  // Takes the socket's word, if there is one.
  Result<std::string> Socket() {
    if (!data_.empty()) {
      return ports::ControlPathIn(data_);
    }
    if (!ready_file_.empty()) {
      std::ifstream file(ready_file_);
      const nlohmann::json ready = nlohmann::json::parse(file, nullptr, false);
      if (!ready.is_object() || !ready.contains("control") || !ready["control"].is_string()) {
        return Status::Environment("\"" + ready_file_ + "\" is no ready file of a served cluster");
      }
      return ready["control"].get<std::string>();
    }
    const std::string socket = words_.front();
    words_.erase(words_.begin());
    return socket;
  }

  Result<ControlCommand> Command() {
    ControlCommand command;
    if (words_.empty()) {
      return Status::InvalidArgument("poke: expected a command behind the socket; see kvjury poke --help");
    }
    command.verb = words_.front();
    size_t at = 1;
    // The members that a word of its own may stand for, in this order; times have their options.
    for (const ports::ControlVerb& verb : ports::ControlVerbs()) {
      if (command.verb != verb.name) {
        continue;
      }
      std::vector<const char*> members = verb.needs;
      members.insert(members.end(), verb.may_have.begin(), verb.may_have.end());
      for (const std::string_view member : members) {
        const bool jump = command.verb == "clock-jump" && member == "by_ms" && by_.empty();
        if (at < words_.size() && (jump || (member != "for_ms" && member != "by_ms"))) {
          RETURN_IF_ERROR(SetWord(member, words_[at++], &command));
        }
      }
    }
    if (at < words_.size() && CheckControlCommand(command).ok()) {
      return Status::InvalidArgument("poke: nothing of " + command.verb + " is meant by \"" + words_[at] + "\"");
    }
    if (!for_.empty()) {
      ASSIGN_OR_RETURN(command.for_ms, MillisecondsOf("--for", for_));
    }
    if (!by_.empty()) {
      ASSIGN_OR_RETURN(command.by_ms, MillisecondsOf("--by", by_));
    }
    RETURN_IF_ERROR(CheckControlCommand(command));
    return command;
  }

  Status SetWord(std::string_view member, const std::string& word, ControlCommand* command) const {
    if (member == "key") {
      ASSIGN_OR_RETURN(command->key, KeyOf(word, hex_));
      return Status::Ok();
    }
    if (member == "by_ms") {
      ASSIGN_OR_RETURN(command->by_ms, MillisecondsOf("clock-jump", word));
      return Status::Ok();
    }
    // The form of the line says what is wrong with a number or a name.
    const Result<ControlCommand> one = ports::ParseControlMember(member, word);
    RETURN_IF_ERROR(one.status());
    command->method = one->method ? one->method : command->method;
    command->store = one->store ? one->store : command->store;
    command->count = one->count ? one->count : command->count;
    return Status::Ok();
  }

  ExitCode Say(Terminal* terminal, const nlohmann::ordered_json& answer) const {
    const bool is_state = !answer.contains("effect");
    const bool effect = is_state || answer["effect"].get<bool>();
    if (is_state || json_) {
      *terminal->out << answer.dump(2) << "\n";
      const Status flushed = FlushOut(terminal);
      if (!flushed.ok()) {
        return Fail(terminal, flushed);
      }
    } else {
      *terminal->err << "kvjury poke: " << answer["command"].get<std::string>()
                     << (!effect ? ": no effect" : answer.contains("planned") ? ": planned" : ": done") << "\n";
    }
    return effect ? ExitCode::kSame : ExitCode::kUnproven;
  }

  std::vector<std::string> words_;
  std::string data_;
  std::string ready_file_;
  std::string for_;
  std::string by_;
  bool hex_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakePokeVerb() { return std::make_unique<PokeVerb>(); }

}  // namespace kvjury::cli
