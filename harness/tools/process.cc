#include "harness/tools/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

#include "fakes/base/bytes.h"
#include "reports/text.h"

namespace kvjury::tools {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(5);

std::vector<std::string> EnvironmentWith(const std::map<std::string, std::string>& added) {
  std::vector<std::string> all;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string entry(*at);
    if (added.count(entry.substr(0, entry.find('='))) == 0) {
      all.push_back(entry);
    }
  }
  for (const auto& [name, value] : added) {
    all.push_back(name + "=" + value);
  }
  return all;
}

std::vector<char*> Pointers(std::vector<std::string>* texts) {
  std::vector<char*> pointers;
  for (std::string& text : *texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

// posix_spawn's lists, which must be destroyed.
class SpawnPlan {
 public:
  explicit SpawnPlan(const Command& command) {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    // A shell may have started us with signals ignored or blocked; that is not for the tool.
    sigset_t none;
    sigset_t usual;
    sigemptyset(&none);
    sigemptyset(&usual);
    for (const int number : {SIGINT, SIGTERM, SIGPIPE, SIGHUP, SIGQUIT}) {
      sigaddset(&usual, number);
    }
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    const char* both = command.output.empty() ? "/dev/null" : command.output.c_str();
    const char* standard = command.standard_output.empty() ? both : command.standard_output.c_str();
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, standard, O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, both, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (!command.folder.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions, command.folder.c_str());
    }
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

int ExitCodeOf(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

Result<Process> Process::Start(const Command& command) {
  std::vector<std::string> arguments = command.arguments;
  std::vector<std::string> environment = EnvironmentWith(command.environment);
  const SpawnPlan plan(command);
  pid_t id = 0;
  const int failed = posix_spawnp(&id, arguments.front().c_str(), &plan.actions, &plan.attributes, Pointers(&arguments).data(),
                                  Pointers(&environment).data());
  if (failed != 0) {
    return failed == ENOENT ? Status::NotFound(fmt::format("cannot start {}: {}", arguments.front(), std::strerror(failed)))
                            : Status::Environment(fmt::format("cannot start {}: {}", arguments.front(), std::strerror(failed)));
  }
  return Process(id);
}

std::optional<int> Process::Poll() {
  if (!exit_code_.has_value() && id_ > 0) {
    int status = 0;
    const pid_t ended = waitpid(id_, &status, WNOHANG);
    if (ended == id_) {
      exit_code_ = ExitCodeOf(status);
    } else if (ended < 0 && errno == ECHILD) {
      exit_code_ = 128 + SIGKILL;  // somebody else has waited for it: how it ended is not to be known
    }
  }
  return exit_code_;
}

std::optional<int> Process::Wait(std::chrono::steady_clock::time_point deadline, const std::function<bool()>& stop) {
  while (!Poll().has_value() && std::chrono::steady_clock::now() < deadline && !(stop && stop())) {
    std::this_thread::sleep_for(kPoll);
  }
  return exit_code_;
}

void Process::Terminate() const {
  if (id_ > 0 && !exit_code_.has_value()) {
    kill(-id_, SIGTERM);
  }
}

void Process::Kill() {
  if (id_ <= 0) {
    return;
  }
  kill(-id_, SIGKILL);
  if (!exit_code_.has_value()) {
    int status = 0;
    exit_code_ = waitpid(id_, &status, 0) == id_ ? ExitCodeOf(status) : 128 + SIGKILL;
  }
  id_ = 0;
}

Result<int> RunToEnd(const Command& command, std::chrono::milliseconds time_limit) {
  ASSIGN_OR_RETURN(Process process, Process::Start(command));
  const std::optional<int> code = process.Wait(std::chrono::steady_clock::now() + time_limit);
  if (!code.has_value()) {
    return Status::Undetermined(fmt::format("{} did not end in {} s", command.arguments.front(), time_limit.count() / 1000));
  }
  return *code;
}

std::string LastLine(const std::string& path) {
  constexpr size_t kLineSizeMax = 400;
  std::ifstream file(path);
  std::string last;
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r-=") != std::string::npos) {
      last = line;
    }
  }
  return reports::Latin1(Printable(last.substr(0, kLineSizeMax)));
}

}  // namespace kvjury::tools
