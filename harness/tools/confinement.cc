#include "harness/tools/confinement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <string>
#include <string_view>

namespace kvjury::tools {
namespace {

constexpr int kPollUs = 5'000;
// What the first process in the namespaces says through the pipe before the work begins.
constexpr char kBegun = '+';

// Written by the keeper before its handler is installed; read in the handler.
volatile pid_t confined = 0;
// Set by the handler: the end was asked for.
volatile std::sig_atomic_t ending = 0;

extern "C" void EndConfined(int number) {
  (void)number;
  ending = 1;
  if (confined > 0) {
    kill(confined, SIGKILL);
  }
}

std::string Failure(std::string_view step) { return fmt::format("{}: {}", step, std::strerror(errno)); }

bool WriteText(const char* path, const std::string& text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  const bool written = file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (file >= 0) {
    close(file);
  }
  return written;
}

// As a user without rights one becomes root of a user namespace first.
std::string EnterNamespaces() {
  const uid_t user = geteuid();
  const gid_t group = getegid();
  if (unshare((user == 0 ? 0 : CLONE_NEWUSER) | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC) != 0) {
    return Failure("new namespaces");
  }
  if (user != 0 && !(WriteText("/proc/self/setgroups", "deny") && WriteText("/proc/self/uid_map", fmt::format("0 {} 1", user)) &&
                     WriteText("/proc/self/gid_map", fmt::format("0 {} 1", group)))) {
    return Failure("the map of a user namespace");
  }
  return {};
}

std::string RaiseLoopback() {
  const int endpoint = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  const bool raised = endpoint >= 0 && ioctl(endpoint, SIOCSIFFLAGS, &request) == 0;
  const std::string failure = raised ? std::string() : Failure("the loopback");
  if (endpoint >= 0) {
    close(endpoint);
  }
  return failure;
}

// A folder of the machine with memory above it: all is seen, what is written goes to memory.
std::string Overlay(const std::string& folder, const std::string& memory) {
  const std::string upper = memory + "/upper" + folder;
  const std::string work = memory + "/work" + folder;
  struct stat status = {};
  if (stat(folder.c_str(), &status) != 0) {
    return {};
  }
  const std::string options = fmt::format("lowerdir={},upperdir={},workdir={}", folder, upper, work);
  if (mkdir(upper.c_str(), 0755) != 0 || chmod(upper.c_str(), status.st_mode & 07777) != 0 || mkdir(work.c_str(), 0700) != 0 ||
      mount("kvjury", folder.c_str(), "overlay", 0, options.c_str()) != 0) {
    return Failure("memory above " + folder);
  }
  return {};
}

bool IsBelow(const std::string& path, const std::string& folder) { return path.compare(0, folder.size() + 1, folder + "/") == 0; }

// `path` shows what `descriptor` is open on, wherever that is hidden now.
std::string ShowAgain(int descriptor, const std::string& path) {
  const std::string from = fmt::format("/proc/self/fd/{}", descriptor);
  return mount(from.c_str(), path.c_str(), nullptr, MS_BIND | MS_REC, nullptr) == 0 ? std::string() : Failure("the folder " + path);
}

std::string ArrangeMounts(const Confinement& confinement) {
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Failure("private mounts");
  }
  if (mount("kvjury", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    return Failure("/proc");
  }
  if (mount("kvjury", confinement.scratch.c_str(), "tmpfs", MS_NOSUID, "mode=0755") != 0) {
    return Failure("memory at " + confinement.scratch);
  }
  const std::string memory = confinement.scratch + "/.above";
  for (const char* folder : {"", "/upper", "/work"}) {
    if (mkdir((memory + folder).c_str(), 0755) != 0) {
      return Failure("a folder in memory");
    }
  }
  const int kept = open(confinement.kept.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int scratch = open(confinement.scratch.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (kept < 0 || scratch < 0) {
    return Failure("the folder " + confinement.kept);
  }
  // The one that hides the scratch folder, and with it the memory, comes last.
  std::array<std::string, 3> folders = {"/tmp", "/var", "/run"};
  std::stable_partition(folders.begin(), folders.end(), [&confinement](const std::string& folder) { return !IsBelow(confinement.scratch, folder); });
  for (const std::string& folder : folders) {
    if (std::string failure = Overlay(folder, memory); !failure.empty()) {
      return failure;
    }
  }
  std::string failure = ShowAgain(kept, confinement.kept);
  failure = failure.empty() ? ShowAgain(scratch, confinement.scratch) : failure;
  close(kept);
  close(scratch);
  return failure;
}

void Say(int pipe_end, std::string_view words) {
  while (!words.empty()) {
    const ssize_t written = write(pipe_end, words.data(), words.size());
    if (written <= 0) {
      return;
    }
    words.remove_prefix(static_cast<size_t>(written));
  }
}

// Process 1 of the namespaces. Never returns.
[[noreturn]] void BeConfined(const Confinement& confinement, const std::function<int()>& work, int said) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::string failure = RaiseLoopback();
  failure = failure.empty() ? ArrangeMounts(confinement) : failure;
  if (!failure.empty()) {
    Say(said, failure);
    _exit(1);
  }
  // The mounts of /tmp and of the kept folder are new: a working folder there is still the old one.
  if (chdir(confinement.scratch.c_str()) != 0) {
    Say(said, Failure("the working folder"));
    _exit(1);
  }
  Say(said, std::string_view(&kBegun, 1));
  close(said);
  const int code = work();
  std::fflush(nullptr);
  _exit(code);
}

// A FUSE server that is killed while it waits for an answer of its own mount cannot end: its own descriptor keeps the connection, and the
// wait cannot be interrupted. To cut the connection ends the wait. `mounts` is a mountinfo of the namespace.
void CutFuse(int mounts) {
  std::string text;
  char buffer[4096];
  lseek(mounts, 0, SEEK_SET);
  for (ssize_t count = 0; (count = read(mounts, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(count));
  }
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string path;
    for (int i = 0; i < 5; ++i) {
      fields >> path;
    }
    if (line.find(" - fuse") != std::string::npos) {
      umount2(path.c_str(), MNT_FORCE);
    }
  }
}

// Stands between the caller and the namespaces: its end is the end of both. Never returns.
[[noreturn]] void Keep(const Confinement& confinement, const std::function<int()>& work, int said, pid_t caller) {
  // A terminal's Ctrl-C is for the caller, who then ends us.
  setsid();
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  struct sigaction action = {};
  action.sa_handler = &EndConfined;
  sigaction(SIGTERM, &action, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != caller) {
    _exit(1);
  }
  if (const std::string failure = EnterNamespaces(); !failure.empty()) {
    Say(said, failure);
    _exit(1);
  }
  const int mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
  const pid_t first = fork();
  if (first == 0) {
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_UNBLOCK, &ends, nullptr);
    BeConfined(confinement, work, said);
  }
  if (first < 0) {
    Say(said, Failure("a first process"));
    _exit(1);
  }
  confined = first;
  close(said);
  sigprocmask(SIG_UNBLOCK, &ends, nullptr);
  int status = 0;
  while (waitpid(first, &status, WNOHANG) != first) {
    if (ending != 0) {
      CutFuse(mounts);
    }
    usleep(kPollUs);
  }
  _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

// All that is said until the other end is closed.
std::string Listen(int pipe_end) {
  std::string words;
  char buffer[512];
  for (ssize_t count = 0; (count = read(pipe_end, buffer, sizeof buffer)) != 0;) {
    if (count > 0) {
      words.append(buffer, static_cast<size_t>(count));
    } else if (errno != EINTR) {
      break;
    }
  }
  return words;
}

ConfinedEnd WaitFor(pid_t keeper, const Confinement& confinement) {
  ConfinedEnd end;
  const auto deadline = std::chrono::steady_clock::now() + confinement.time_limit;
  int status = 0;
  bool asked = false;
  while (waitpid(keeper, &status, WNOHANG) != keeper) {
    end.stopped = end.stopped || (confinement.stop_requested && confinement.stop_requested());
    end.timed_out = !end.stopped && (end.timed_out || std::chrono::steady_clock::now() > deadline);
    if ((end.stopped || end.timed_out) && !std::exchange(asked, true)) {
      kill(keeper, SIGTERM);
    }
    usleep(kPollUs);
  }
  end.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return end;
}

}  // namespace

Result<ConfinedEnd> RunConfined(const Confinement& confinement, const std::function<int()>& work) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return Status::Environment(Failure("a pipe"));
  }
  const pid_t caller = getpid();
  const pid_t keeper = fork();
  if (keeper == 0) {
    close(ends[0]);
    Keep(confinement, work, ends[1], caller);
  }
  close(ends[1]);
  const std::string said = keeper > 0 ? Listen(ends[0]) : Failure("a process");
  close(ends[0]);
  if (said == std::string(1, kBegun)) {
    return WaitFor(keeper, confinement);
  }
  if (keeper > 0) {
    waitpid(keeper, nullptr, 0);
  }
  return Status::Environment("a drill needs namespaces of its own (root, or user namespaces), and this machine refuses: " +
                             (said.empty() ? std::string("the first process ended at once") : said));
}

}  // namespace kvjury::tools
