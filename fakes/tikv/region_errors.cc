#include "fakes/tikv/region_errors.h"

#include <cctype>

namespace kvjury::tikv {

std::string UpperHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

errorpb::Error MessageError(const std::string& message) {
  errorpb::Error error;
  error.set_message(message);
  return error;
}

errorpb::Error StoreNotMatchError(uint64_t requested, StoreId actual) {
  errorpb::Error error =
      MessageError("to store id " + std::to_string(requested) + ", mine " + std::to_string(actual.value()));
  error.mutable_store_not_match()->set_request_store_id(requested);
  error.mutable_store_not_match()->set_actual_store_id(actual.value());
  return error;
}

errorpb::Error RegionNotFoundError(uint64_t region) {
  errorpb::Error error = MessageError("region " + std::to_string(region) + " is missing");
  error.mutable_region_not_found()->set_region_id(region);
  return error;
}

errorpb::Error MismatchPeerIdError(uint64_t requested, PeerId actual) {
  errorpb::Error error =
      MessageError("mismatch peer id " + std::to_string(requested) + " != " + std::to_string(actual.value()));
  error.mutable_mismatch_peer_id()->set_request_peer_id(requested);
  error.mutable_mismatch_peer_id()->set_store_peer_id(actual.value());
  return error;
}

errorpb::Error NotLeaderError(RegionId region, const Peer* leader) {
  std::string who = "None";
  if (leader != nullptr) {
    who = "Some(id: " + std::to_string(leader->id.value()) + " store_id: " + std::to_string(leader->store.value()) + ")";
  }
  errorpb::Error error =
      MessageError("peer is not leader for region " + std::to_string(region.value()) + ", leader may " + who);
  error.mutable_not_leader()->set_region_id(region.value());
  if (leader != nullptr) {
    *error.mutable_not_leader()->mutable_leader() = ToProto(*leader);
  }
  return error;
}

errorpb::Error StaleCommandError() {
  errorpb::Error error = MessageError("stale command");
  error.mutable_stale_command();
  return error;
}

errorpb::Error EpochNotMatchError(const Region& region, const metapb::RegionEpoch& requested,
                                  const std::vector<const Region*>& listed) {
  const auto epoch = [](uint64_t conf_ver, uint64_t version) {
    return "conf_ver: " + std::to_string(conf_ver) + " version: " + std::to_string(version);
  };
  errorpb::Error error = MessageError("EpochNotMatch current epoch of region " + std::to_string(region.id.value()) + " is " +
                                      epoch(region.conf_ver, region.version) + ", but you sent " +
                                      epoch(requested.conf_ver(), requested.version()));
  errorpb::EpochNotMatch* payload = error.mutable_epoch_not_match();
  for (const Region* sibling : listed) {
    *payload->add_current_regions() = sibling->ToProto();
  }
  return error;
}

errorpb::Error KeyNotInRegionError(std::string_view encoded_key, const Region& region) {
  return KeyNotInRegionError(encoded_key, region.id, region.start, region.end);
}

errorpb::Error KeyNotInRegionError(std::string_view encoded_key, RegionId region, const Bytes& start, const Bytes& end) {
  errorpb::Error error = MessageError("key " + UpperHex(encoded_key) + " is not in region key range [" + UpperHex(start) + ", " +
                                      UpperHex(end) + ") for region " + std::to_string(region.value()));
  errorpb::KeyNotInRegion* payload = error.mutable_key_not_in_region();
  payload->set_key(Bytes(encoded_key));
  payload->set_region_id(region.value());
  payload->set_start_key(start);
  payload->set_end_key(end);
  return error;
}

errorpb::Error ServerIsBusyError(const std::string& reason, uint64_t backoff_ms) {
  errorpb::Error error = MessageError(reason);
  error.mutable_server_is_busy()->set_reason(reason);
  error.mutable_server_is_busy()->set_backoff_ms(backoff_ms);
  return error;
}

errorpb::Error MaxTimestampNotSyncedError(RegionId region) {
  errorpb::Error error =
      MessageError("Prewrite for async commit fails due to potentially stale max timestamp, start_ts: 0, region_id: " +
                   std::to_string(region.value()));
  error.mutable_max_timestamp_not_synced();
  return error;
}

errorpb::Error ProposalInMergingModeError(RegionId region) {
  errorpb::Error error = MessageError("region " + std::to_string(region.value()) + " is in merging mode");
  error.mutable_proposal_in_merging_mode()->set_region_id(region.value());
  return error;
}

}  // namespace kvjury::tikv
