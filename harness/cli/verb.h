// Verb: one word of the command line (`kvjury view ...`), in one file of its own, registered in verbs.cc.
//
// What was asked for goes to Terminal::out, everything said to people on the way (progress, warnings, errors) to
// Terminal::err. A verb that fails has written nothing to out and one sentence to err.
// Not here: what the verbs do; that is in the layers below, so that tests and other programs reach it without a command line.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "reports/exit_code.h"

namespace CLI {
class App;
}

namespace kvjury::cli {

using reports::ExitCode;

struct Terminal {
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  /// err is a terminal: bars may be drawn over themselves.
  bool err_is_terminal = false;
};

class Verb {
 public:
  virtual ~Verb() = default;

  /// Adds the verb's subcommand with its options, bound to members, and returns it.
  virtual CLI::App* Register(CLI::App* program) = 0;

  /// Called at most once, when the subcommand was chosen and its options are in place.
  virtual ExitCode Run(Terminal* terminal) = 0;
};

/// All verbs, in the order of the help text.
std::vector<std::unique_ptr<Verb>> MakeVerbs();

/// Parses the arguments and runs the chosen verb. Returns the exit code.
int RunProgram(int argument_count, const char* const* arguments, Terminal* terminal);

/// "kvjury: sentence" on one line of err; the exit code that belongs to the status.
ExitCode Fail(Terminal* terminal, const Status& status);

/// "kvjury: warning: sentence" on one line of err.
void Warn(Terminal* terminal, const std::string& sentence);

/// Flushes out. Errors: kEnvironment when not everything could be written (a full disk behind a redirection).
Status FlushOut(Terminal* terminal);

// The verbs, each in NAME_verb.cc.
std::unique_ptr<Verb> MakeCheckVerb();
std::unique_ptr<Verb> MakeDiffVerb();
std::unique_ptr<Verb> MakeDriftVerb();
std::unique_ptr<Verb> MakeDriveVerb();
std::unique_ptr<Verb> MakeDumpVerb();
std::unique_ptr<Verb> MakeListVerb();
std::unique_ptr<Verb> MakeLoadVerb();
std::unique_ptr<Verb> MakePokeVerb();
std::unique_ptr<Verb> MakeReferenceVerb();
std::unique_ptr<Verb> MakeReplayVerb();
std::unique_ptr<Verb> MakeRunVerb();
std::unique_ptr<Verb> MakeSelftestVerb();
std::unique_ptr<Verb> MakeServeVerb();
std::unique_ptr<Verb> MakeSoakVerb();
std::unique_ptr<Verb> MakeViewVerb();
std::unique_ptr<Verb> MakeWriteVerb();

}  // namespace kvjury::cli
