// Progress: how far a long verb has come, on stderr: a bar that is drawn over itself on a terminal, a plain line now and
// then elsewhere (logs stay short). Never on stdout. Time: the steady clock, read here and nowhere in a decision.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "harness/cli/verb.h"

namespace kvjury::cli {

/// The steady clock, milliseconds.
int64_t SteadyNowMs();

class Progress {
 public:
  using NowMs = std::function<int64_t()>;
  static constexpr int64_t kBarMs = 100;
  static constexpr int64_t kLineMs = 10'000;

  /// `total` 0: the end is not known. `now_ms` is for tests; by default the steady clock.
  Progress(Terminal* terminal, std::string what, uint64_t total, NowMs now_ms = {});
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  /// Clears the bar.
  ~Progress();

  /// Draws if the last drawing is old enough. `note` is a few words: "2 different".
  void Update(uint64_t done, const std::string& note = {});

 private:
  [[nodiscard]] std::string Text(uint64_t done, const std::string& note, int64_t elapsed_ms) const;

  Terminal* terminal_;
  std::string what_;
  uint64_t total_;
  NowMs now_ms_;
  int64_t begin_ms_;
  int64_t drawn_ms_;
  bool drawn_ = false;
};

}  // namespace kvjury::cli
