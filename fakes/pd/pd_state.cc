// The part of Pd that outlives a restart.
#include "fakes/pd/pd.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::pd {

Bytes Pd::SaveState() const {
  record::PdState state;
  const int64_t clock_offset_ms = oracle_.ClockMs(0);
  state.set_last_id(last_id_);
  state.set_timestamp_limit_ms(oracle_.saved_limit_ms());
  state.set_external_timestamp(external_timestamp_);
  state.set_max_peer_count(max_peer_count_);
  gc_.Save(&state, clock_offset_ms);
  etcd_.Save(&state, clock_offset_ms);
  keyspaces_.Save(&state);
  http_.Save(&state, clock_offset_ms);
  return state.SerializeAsString();
}

Status Pd::RestoreState(std::string_view state) {
  record::PdState saved;
  if (!saved.ParseFromArray(state.data(), static_cast<int>(state.size()))) {
    return Status::DataLoss("PD's record is damaged");
  }
  const int64_t clock_offset_ms = oracle_.ClockMs(0);
  last_id_ = saved.last_id();
  external_timestamp_ = saved.external_timestamp();
  if (saved.max_peer_count() != 0) {
    max_peer_count_ = saved.max_peer_count();
  }
  gc_.Restore(saved, clock_offset_ms);
  etcd_.Restore(saved, clock_offset_ms);
  keyspaces_.Restore(saved);
  RETURN_IF_ERROR(http_.Restore(saved, clock_offset_ms));
  oracle_.Restore(saved.timestamp_limit_ms(), now_us());
  written_limit_ms_ = saved.timestamp_limit_ms();
  return Status::Ok();
}

uint64_t Pd::AllocateId() {
  ++last_id_;
  StateChanged();
  return last_id_;
}

void Pd::StateChanged() const {
  if (state_changed_) {
    state_changed_();
  }
}

void Pd::SaveLimitIfMoved() {
  if (written_limit_ms_ != oracle_.saved_limit_ms()) {
    written_limit_ms_ = oracle_.saved_limit_ms();
    StateChanged();
  }
}

}  // namespace kvjury::pd
