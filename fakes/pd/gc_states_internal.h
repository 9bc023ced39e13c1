// What the files of GcStates share.
#pragma once

#include "fakes/pd/gc_states.h"
#include "proto/tikv/keyspacepb.pb.h"

namespace kvjury::pd {

inline constexpr char kGcWorker[] = "gc_worker";

/// Whether safe points of the key space may change. Errors: kRejected with PD's words.
inline Status CheckMayUpdate(const Result<keyspacepb::KeyspaceMeta>& keyspace) {
  if (!keyspace.ok()) {
    return Status::Rejected(keyspace.error().message());
  }
  if (keyspace->state() != keyspacepb::ENABLED && keyspace->state() != keyspacepb::DISABLED) {
    return Status::Rejected("cannot update keyspace that's " + keyspacepb::KeyspaceState_Name(keyspace->state()));
  }
  return Status::Ok();
}

}  // namespace kvjury::pd
