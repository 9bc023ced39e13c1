#include "harness/client/messenger.h"

namespace kvjury::client {

Messenger::Messenger(sim::Channel* channel, sim::Scheduler* scheduler, std::string name, sim::EventLog* log,
                     ClientOptions options)
    : channel_(channel), scheduler_(scheduler), name_(std::move(name)), log_(log), options_(options) {
  if (log_ != nullptr) {
    digest_ = log_->Component(name_);
  }
}

void Messenger::Note(std::string_view kind, uint64_t a, uint64_t b) {
  if (log_ != nullptr) {
    log_->Add(digest_, kind, a, b);
  }
}

}  // namespace kvjury::client
