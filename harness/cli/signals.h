// Signals: SIGINT ends the program with exit code 130, SIGTERM with 143.
//
// At once, unless a verb holds a GracefulStop: then the first signal only asks, the verb ends at the next finished case with
// its records written, and a second signal ends at once, unless what would be left behind then outlives the process. The state is the process's, as signals are.
#pragma once

#include <optional>

#include "reports/exit_code.h"

namespace kvjury::cli {

/// Call once, first thing in main.
void InstallSignalHandlers();

class GracefulStop {
 public:
  enum class SecondSignal { kEndsAtOnce, kIsIgnored };
  explicit GracefulStop(SecondSignal second = SecondSignal::kEndsAtOnce);
  GracefulStop(const GracefulStop&) = delete;
  GracefulStop& operator=(const GracefulStop&) = delete;
  ~GracefulStop();

  /// The exit code to end with, once a signal has come.
  [[nodiscard]] std::optional<reports::ExitCode> requested() const;
};

}  // namespace kvjury::cli
