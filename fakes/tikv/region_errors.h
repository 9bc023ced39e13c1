// The region errors a store answers, with TiKV 8.5.0's own words.
//
// Keys inside are encoded region keys. Clients act on the field; the text is for people, and tests compare it.
// Source: errorpb of TiKV 8.5; the texts as a real 8.5.0 answered.
#pragma once

#include <string>
#include <vector>

#include "fakes/tikv/region.h"
#include "proto/tikv/errorpb.pb.h"

namespace kvjury::tikv {

errorpb::Error StoreNotMatchError(uint64_t requested, StoreId actual);
errorpb::Error RegionNotFoundError(uint64_t region);
errorpb::Error MismatchPeerIdError(uint64_t requested, PeerId actual);
/// `leader` may be null: not known.
errorpb::Error NotLeaderError(RegionId region, const Peer* leader);
errorpb::Error StaleCommandError();
/// `listed` is what RegionMap::Siblings gives.
errorpb::Error EpochNotMatchError(const Region& region, const metapb::RegionEpoch& requested,
                                  const std::vector<const Region*>& listed);
errorpb::Error KeyNotInRegionError(std::string_view encoded_key, const Region& region);
errorpb::Error KeyNotInRegionError(std::string_view encoded_key, RegionId region, const Bytes& start, const Bytes& end);
errorpb::Error ServerIsBusyError(const std::string& reason, uint64_t backoff_ms);
errorpb::Error MaxTimestampNotSyncedError(RegionId region);
errorpb::Error ProposalInMergingModeError(RegionId region);
errorpb::Error MessageError(const std::string& message);

/// Upper-case hex, as TiKV prints keys.
std::string UpperHex(std::string_view bytes);

}  // namespace kvjury::tikv
