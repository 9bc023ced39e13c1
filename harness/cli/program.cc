#include <CLI/CLI.hpp>

#include "harness/cli/verb.h"
#include "harness/cli/version.h"

namespace kvjury::cli {
namespace {

constexpr char kAbout[] =
    "Is the JuiceFS-on-TiKV volume that was restored the volume that was backed up?\n"
    "Exit codes: 0 same, 1 different, 2 wrong use, 3 unproven, 4 nothing was checked, 5 not the same run,\n"
    "6 environment, 7 stale expectation, 70 blind judge, 75 time ran out, 130 and 143 signals.";

std::string OneLine(std::string text) {
  for (char& c : text) {
    c = c == '\n' || c == '\r' ? ' ' : c;
  }
  return text;
}

/// CLI11 would only say that a subcommand is missing.
Status CheckVerbKnown(int argument_count, const char* const* arguments, const std::vector<CLI::App*>& subcommands) {
  if (argument_count < 2 || arguments[1][0] == '-') {
    return Status::Ok();
  }
  std::string names;
  for (const CLI::App* subcommand : subcommands) {
    if (subcommand->get_name() == arguments[1]) {
      return Status::Ok();
    }
    names += (names.empty() ? "" : ", ") + subcommand->get_name();
  }
  return Status::InvalidArgument("unknown verb \"" + std::string(arguments[1]) + "\"; known are: " + names);
}

}  // namespace

int RunProgram(int argument_count, const char* const* arguments, Terminal* terminal) {
  CLI::App program(kAbout, "kvjury");
  program.set_version_flag("--version", std::string("kvjury ") + kVersion);
  program.require_subcommand(1);
  const std::vector<std::unique_ptr<Verb>> verbs = MakeVerbs();
  std::vector<CLI::App*> subcommands;
  for (const std::unique_ptr<Verb>& verb : verbs) {
    subcommands.push_back(verb->Register(&program));
  }
  const Status known = CheckVerbKnown(argument_count, arguments, subcommands);
  if (!known.ok()) {
    return static_cast<int>(Fail(terminal, known));
  }
  try {
    program.parse(argument_count, arguments);
  } catch (const CLI::Success& asked) {  // --help, --version
    program.exit(asked, *terminal->out, *terminal->err);
    const Status flushed = FlushOut(terminal);
    return static_cast<int>(flushed.ok() ? ExitCode::kSame : Fail(terminal, flushed));
  } catch (const CLI::ParseError& error) {
    *terminal->err << "kvjury: " << OneLine(error.what()) << "; see kvjury --help\n";
    return static_cast<int>(ExitCode::kUsage);
  }
  for (size_t i = 0; i < verbs.size(); ++i) {
    if (subcommands[i]->parsed()) {
      return static_cast<int>(verbs[i]->Run(terminal));
    }
  }
  return static_cast<int>(ExitCode::kUsage);
}

ExitCode Fail(Terminal* terminal, const Status& status) {
  *terminal->err << "kvjury: " << OneLine(status.message()) << "\n" << std::flush;
  return reports::ExitCodeOf(status);
}

void Warn(Terminal* terminal, const std::string& sentence) {
  *terminal->err << "kvjury: warning: " << OneLine(sentence) << "\n" << std::flush;
}

Status FlushOut(Terminal* terminal) {
  terminal->out->flush();
  return terminal->out->good() ? Status::Ok() : Status::Environment("cannot write to the standard output");
}

}  // namespace kvjury::cli
