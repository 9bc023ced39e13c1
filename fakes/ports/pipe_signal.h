// NoPipeSignal: on this thread, while it lives, writing to a connection that its peer has closed is an error and no signal.
//
// For libraries that write without MSG_NOSIGNAL (OpenSSL): else one vanishing peer ends the process with SIGPIPE.
#pragma once

#include <pthread.h>

#include <csignal>
#include <ctime>

namespace kvjury::ports {

class NoPipeSignal {
 public:
  NoPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  NoPipeSignal(const NoPipeSignal&) = delete;
  NoPipeSignal& operator=(const NoPipeSignal&) = delete;
  ~NoPipeSignal() {
    if (sigismember(&before_, SIGPIPE) == 0) {
      // One that waits would strike as soon as it may.
      const timespec now{0, 0};
      sigtimedwait(&pipe_, nullptr, &now);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

}  // namespace kvjury::ports
