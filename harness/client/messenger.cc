#include "harness/client/messenger.h"

#include <algorithm>
#include <array>

#include "fakes/pd/methods.h"
#include "fakes/tikv/methods.h"

namespace kvjury::client {

Messenger::Messenger(sim::Channel* channel, sim::Scheduler* scheduler, std::string name, sim::EventLog* log,
                     ClientOptions options)
    : channel_(channel), scheduler_(scheduler), name_(std::move(name)), log_(log), options_(options) {
  if (log_ != nullptr) {
    digest_ = log_->Component(name_);
  }
}

bool Messenger::OnlyReads(std::string_view path) {
  constexpr std::array kReads = {pd::kGetMembers.path, pd::kTso.path,         pd::kGetRegion.path,    pd::kGetStore.path,
                                 pd::kGetGcSafePoint.path, tikv::kKvGet.path, tikv::kKvBatchGet.path, tikv::kKvScan.path,
                                 tikv::kKvScanLock.path, tikv::kMvccGetByKey.path};
  return std::any_of(kReads.begin(), kReads.end(), [path](const char* known) { return path == known; });
}

void Messenger::Note(std::string_view kind, uint64_t a, uint64_t b) {
  if (log_ != nullptr) {
    log_->Add(digest_, kind, a, b);
  }
}

}  // namespace kvjury::client
