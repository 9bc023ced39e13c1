#include "harness/cli/signals.h"

#include <unistd.h>

#include <csignal>

namespace kvjury::cli {
namespace {

// Only what a signal handler may touch.
volatile std::sig_atomic_t graceful = 0;
volatile std::sig_atomic_t patient = 0;
volatile std::sig_atomic_t received = 0;

extern "C" void OnSignal(int number) {
  if (graceful == 0 || (received != 0 && patient == 0)) {
    _exit(128 + number);
  }
  if (received == 0) {
    received = number;
  }
}

}  // namespace

void InstallSignalHandlers() {
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction before = {};
    // A shell starts background jobs with SIGINT ignored; that stays.
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
      sigaction(number, &action, nullptr);
    }
  }
}

GracefulStop::GracefulStop(SecondSignal second) {
  patient = second == SecondSignal::kIsIgnored ? 1 : 0;
  graceful = 1;
}

GracefulStop::~GracefulStop() {
  graceful = 0;
  patient = 0;
  received = 0;
}

std::optional<reports::ExitCode> GracefulStop::requested() const {
  if (received == 0) {
    return std::nullopt;
  }
  return received == SIGINT ? reports::ExitCode::kInterrupted : reports::ExitCode::kTerminated;
}

}  // namespace kvjury::cli
