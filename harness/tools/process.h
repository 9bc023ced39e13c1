// Process: a program of somebody else's that a drill runs, with a time limit and its output in a file.
//
// Each one leads a process group of its own, so that what it starts ends with it. Its standard input is empty. A command that has
// not ended when the object goes is killed with its group. Blocks in Wait alone. Threads: may be started from a process with threads.
// Not here: what outlives a killed group on purpose (daemons in a session of their own): that is what confinement.h is for.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/status.h"

namespace kvjury::tools {

struct Command {
  /// The program (a path, or a name that PATH finds) and its arguments.
  std::vector<std::string> arguments;
  /// Set beside what this process has.
  std::map<std::string, std::string> environment;
  /// Where standard output and standard error go, appended; empty: nowhere.
  std::string output;
  /// Standard output alone; empty: with `output`.
  std::string standard_output;
  /// Empty: where this process is.
  std::string folder;
};

class Process {
 public:
  /// Errors: kNotFound for a program that cannot be started, kEnvironment.
  static Result<Process> Start(const Command& command);
  Process(Process&& other) noexcept : id_(std::exchange(other.id_, 0)), exit_code_(other.exit_code_) {}
  Process& operator=(Process&&) = delete;
  ~Process() { Kill(); }

  /// The exit code once it has ended; 128 and the signal's number if a signal ended it.
  std::optional<int> Poll();
  /// Waits for its end until `deadline`, or until `stop` says true; nothing if it goes on.
  std::optional<int> Wait(std::chrono::steady_clock::time_point deadline, const std::function<bool()>& stop = {});
  /// Asks its group to end.
  void Terminate() const;
  /// Ends its group, now, and waits for it. Idempotent.
  void Kill();
  [[nodiscard]] pid_t id() const { return id_; }

 private:
  explicit Process(pid_t id) : id_(id) {}

  pid_t id_ = 0;
  std::optional<int> exit_code_;
};

/// Runs a command to its end. Errors: as Start; kUndetermined when its time was over and it was killed.
Result<int> RunToEnd(const Command& command, std::chrono::milliseconds time_limit);

/// The last line of a file of output that says something, printable and not too long; empty if there is none.
std::string LastLine(const std::string& path);

}  // namespace kvjury::tools
