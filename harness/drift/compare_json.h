// Compares the JSON body of a recorded HTTP answer with the one that came, member by member, the order of members included.
//
// What belongs to a cluster is told by the names of members: ids and epochs are mapped; addresses, names, versions, times, sizes
// and flows are the cluster's own (both sides have a value of one kind); who leads a region may differ. In lists, regions are
// matched by range and stores by id; an object whose members are store ids is compared under the counterparts' ids.
// Source: PD 8.5's HTTP interface.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/drift/compare.h"
#include "harness/drift/identity.h"

namespace kvjury::drift {

/// A recorded body that is no JSON is compared as text.
void CompareBodies(const Identity& identity, std::string_view recorded, std::string_view got, std::vector<FieldDifference>* out);

/// Every region that a body describes; none if it is no JSON.
std::vector<metapb::Region> RegionsInBody(std::string_view body);

}  // namespace kvjury::drift
