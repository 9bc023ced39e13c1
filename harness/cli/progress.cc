#include "harness/cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace kvjury::cli {
namespace {

constexpr uint64_t kBarWidth = 24;

}  // namespace

int64_t SteadyNowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

Progress::Progress(Terminal* terminal, std::string what, uint64_t total, NowMs now_ms)
    : terminal_(terminal), what_(std::move(what)), total_(total), now_ms_(now_ms ? std::move(now_ms) : NowMs(SteadyNowMs)) {
  begin_ms_ = now_ms_();
  drawn_ms_ = begin_ms_;
}

Progress::~Progress() {
  if (drawn_ && terminal_->err_is_terminal) {
    *terminal_->err << "\r\x1b[K" << std::flush;
  }
}

void Progress::Update(uint64_t done, const std::string& note) {
  const int64_t now = now_ms_();
  if (now - drawn_ms_ < (terminal_->err_is_terminal ? kBarMs : kLineMs)) {
    return;
  }
  drawn_ms_ = now;
  drawn_ = true;
  const std::string text = Text(done, note, now - begin_ms_);
  if (terminal_->err_is_terminal) {
    *terminal_->err << "\r\x1b[K" << text << std::flush;
  } else {
    *terminal_->err << text << "\n" << std::flush;
  }
}

std::string Progress::Text(uint64_t done, const std::string& note, int64_t elapsed_ms) const {
  std::string text;
  if (total_ > 0 && terminal_->err_is_terminal) {
    const uint64_t filled = std::min(done, total_) * kBarWidth / total_;
    text += "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] ";
  }
  text += fmt::format("{} {}", done, what_);
  text += total_ > 0 ? fmt::format(" of {}", total_) : "";
  text += fmt::format(", {} s", elapsed_ms / 1000);
  return note.empty() ? text : text + ", " + note;
}

}  // namespace kvjury::cli
