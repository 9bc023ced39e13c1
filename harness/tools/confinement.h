// Confinement: work in a process of its own, in namespaces of its own, of which nothing is left when it ends, however it ends.
//
// The child has its own process ids, mounts, network and System V objects: when it ends, is killed, or this process is, the kernel ends
// every process in it, takes every mount away and closes every port. Its network is a loopback of its own, so that ports may have
// fixed numbers and nothing reaches the outside. Its scratch folder is memory; what programs write to /tmp, /var and /run goes to memory
// too, while they see what stands there. Only what is written below the kept folder stays.
// Needs root or unprivileged user namespaces; Linux alone. The caller must have one thread (fork). Source: namespaces(7),
// pid_namespaces(7), user_namespaces(7), PR_SET_PDEATHSIG.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "fakes/base/status.h"

namespace kvjury::tools {

struct Confinement {
  /// An existing folder; nothing that is written into it stays.
  std::string scratch;
  /// An existing folder whose content stays. May hold `scratch`.
  std::string kept;
  std::chrono::milliseconds time_limit{0};
  /// Asked now and then: true ends everything. May be empty.
  std::function<bool()> stop_requested;
};

struct ConfinedEnd {
  /// Of the work; 128 and the signal's number if a signal ended it.
  int exit_code = 0;
  bool timed_out = false;
  bool stopped = false;
};

/// Runs `work` confined and waits. Errors: kEnvironment with the step that this machine does not allow.
Result<ConfinedEnd> RunConfined(const Confinement& confinement, const std::function<int()>& work);

}  // namespace kvjury::tools
