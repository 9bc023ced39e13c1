// WhoWaits: sentences for an operator about which call from outside waits for what, from the account of waiting_calls.h and the cluster's
// present state.
//
//   KvPessimisticLock of transaction 4581 on store 2 is not answered for 0.8 s: it waits in the queue of "a", which is locked by transaction 4580 ...
//   backup on store 1, asked 34 times within 63 s: it does not lead the region that starts at "x", and knows no leader
// The order: what serves nobody (dead stores, no leader), calls without an answer (the longest silent first), locks that are still there (the
// longest asked for first), other answers (the most frequent first). What is left out is counted in the last sentence.
// Answers of other kinds that came once or are over are counted, too, unless there is nothing else to say.
// What holds a call is known for a lock's queue, faults, a store that stands still, a PD without leader, the disk, and an object storage that
// a store waits for; else it says that it is not known. The same account and state give the same sentences.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fakes/ports/waiting_calls.h"
#include "fakes/tikv/cluster.h"

namespace kvjury::ports {

struct WhoWaitsQuery {
  /// Answers from then on, in virtual time.
  Micros since_us = 0;
  /// A call is under way for a moment; one that is silent for so long waits. In a lock's queue it waits at once, since a store lets
  /// nobody stay there for more than a second by default: the client comes again.
  Micros silent_us_min = 1'000'000;
  /// Without the one that counts the rest.
  size_t sentences_max = 5;
  /// A user key for people; by default its printable form in quotation marks.
  std::function<std::string(std::string_view key)> key_words;
};

/// Empty: nobody waits for anything. Only on the world's thread.
std::vector<std::string> WhoWaits(tikv::Cluster* cluster, const WaitingCalls& calls, const WhoWaitsQuery& query);

}  // namespace kvjury::ports
