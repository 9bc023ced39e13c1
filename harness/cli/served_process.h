// A `kvjury serve` of its own for tests: started, asked where it is, killed or ended.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "fakes/base/check.h"

namespace kvjury::cli {

class TestFolder {
 public:
  TestFolder() { CHECK(::mkdtemp(path_.data()) != nullptr); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_ = "/tmp/kvjury-serve-XXXXXX";
};

class ServedProcess {
 public:
  /// What it says goes to `folder`/err. Look at ready() before anything else.
  ServedProcess(const TestFolder& folder, std::vector<std::string> arguments, int ready_within_ms = 20'000)
      : ready_file_(folder / "ready.json"), err_file_(folder / "err") {
    ::unlink(ready_file_.c_str());
    arguments.insert(arguments.begin(), {KVJURY_PROGRAM, "serve", "--ready-file", ready_file_});
    std::vector<char*> pointers;
    for (std::string& argument : arguments) {
      pointers.push_back(argument.data());
    }
    pointers.push_back(nullptr);
    const auto begun = std::chrono::steady_clock::now();
    pid_ = ::fork();
    CHECK_GE(pid_, 0);
    if (pid_ == 0) {
      const int err = ::open(err_file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
      ::dup2(err, 2);
      ::dup2(err, 1);
      ::execv(KVJURY_PROGRAM, pointers.data());
      ::_exit(127);
    }
    while (ready_.is_null() && std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(ready_within_ms)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      if (::access(ready_file_.c_str(), R_OK) == 0) {
        std::ifstream file(ready_file_);
        ready_ = nlohmann::json::parse(file);
      } else if (::waitpid(pid_, &wait_status_, WNOHANG) == pid_) {
        pid_ = -1;
        return;
      }
    }
    ready_after_ = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  }
  ServedProcess(const ServedProcess&) = delete;
  ServedProcess& operator=(const ServedProcess&) = delete;
  ~ServedProcess() { Kill(); }

  /// Null if it ended instead.
  [[nodiscard]] const nlohmann::json& ready() const { return ready_; }
  [[nodiscard]] std::string pd() const { return ready_["pd"][0]; }
  [[nodiscard]] std::chrono::milliseconds ready_after() const { return ready_after_; }
  [[nodiscard]] std::string err() const {
    std::ifstream file(err_file_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  [[nodiscard]] const std::string& ready_file() const { return ready_file_; }

  void Kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      Wait();
    }
  }
  /// Asks with SIGTERM, or waits for what ended by itself; the exit code.
  int End() {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      Wait();
    }
    return WIFEXITED(wait_status_) ? WEXITSTATUS(wait_status_) : -WTERMSIG(wait_status_);
  }

 private:
  void Wait() {
    ::waitpid(pid_, &wait_status_, 0);
    pid_ = -1;
  }

  std::string ready_file_;
  std::string err_file_;
  pid_t pid_ = -1;
  int wait_status_ = 0;
  nlohmann::json ready_;
  std::chrono::milliseconds ready_after_{0};
};

}  // namespace kvjury::cli
