#include "harness/client/key_error.h"

#include <string>

#include "fakes/base/bytes.h"

namespace kvjury::client {

Status KeyErrorStatus(const kvrpcpb::KeyError& error) {
  if (error.has_conflict()) {
    const kvrpcpb::WriteConflict& conflict = error.conflict();
    return Status::Conflict("write conflict at " + Printable(conflict.key()) + ": started at " +
                            std::to_string(conflict.start_ts()) + ", met " + std::to_string(conflict.conflict_ts()) +
                            " committed at " + std::to_string(conflict.conflict_commit_ts()));
  }
  if (!error.retryable().empty()) {
    return Status::Conflict(error.retryable());
  }
  if (error.has_assertion_failed()) {
    return Status::Rejected("an assertion failed at " + Printable(error.assertion_failed().key()));
  }
  if (!error.abort().empty()) {
    return Status::Rejected(error.abort());
  }
  if (error.has_already_exist()) {
    return Status::Rejected("the key exists: " + Printable(error.already_exist().key()));
  }
  if (error.has_commit_ts_expired()) {
    return Status::Rejected("the commit timestamp is below the lock's least");
  }
  if (error.has_commit_ts_too_large()) {
    return Status::Rejected("the commit timestamp is too large");
  }
  if (error.has_txn_not_found()) {
    return Status::Rejected("the transaction is not found");
  }
  return Status::Rejected("unexpected key error: " + error.ShortDebugString());
}

}  // namespace kvjury::client
