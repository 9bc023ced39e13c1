// The part of Pd that outlives a restart.
#include "fakes/pd/pd.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::pd {

Bytes Pd::SaveState() const {
  record::PdState state;
  state.set_last_id(last_id_);
  state.set_timestamp_limit_ms(oracle_.saved_limit_ms());
  state.set_gc_safe_point(gc_safe_point_.value());
  for (const auto& [service, entry] : service_safe_points_) {
    record::PdState::ServiceSafePoint* added = state.add_service_safe_point();
    added->set_service(service);
    added->set_safe_point(entry.safe_point.value());
    added->set_expires_ms(entry.expires_us == INT64_MAX ? 0 : oracle_.ClockMs(entry.expires_us));
  }
  return state.SerializeAsString();
}

Status Pd::RestoreState(std::string_view state) {
  record::PdState saved;
  if (!saved.ParseFromArray(state.data(), static_cast<int>(state.size()))) {
    return Status::DataLoss("PD's record is damaged");
  }
  last_id_ = saved.last_id();
  gc_safe_point_ = Timestamp(saved.gc_safe_point());
  for (const record::PdState::ServiceSafePoint& entry : saved.service_safe_point()) {
    const Micros expires_us =
        entry.expires_ms() == 0 ? INT64_MAX : now_us() + (entry.expires_ms() - oracle_.ClockMs(now_us())) * 1000;
    service_safe_points_[entry.service()] = ServiceSafePoint{Timestamp(entry.safe_point()), expires_us};
  }
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
