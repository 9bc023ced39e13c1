// Regions as PD's answers show them.
#pragma once

#include "fakes/pd/region_view.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::pd {

inline void FillRegion(const RegionInfo& info, pdpb::Region* region) {
  *region->mutable_region() = info.region;
  if (info.leader.id() != 0) {
    *region->mutable_leader() = info.leader;
  }
}

/// An unknown region leaves the response empty.
inline void FillRegion(const RegionInfoPtr& info, pdpb::GetRegionResponse* response) {
  if (info == nullptr) {
    return;
  }
  *response->mutable_region() = info->region;
  if (info->leader.id() != 0) {
    *response->mutable_leader() = info->leader;
  }
}

}  // namespace kvjury::pd
