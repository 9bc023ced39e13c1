// The methods of PD that this project serves and calls, as typed constants.
//
// Source: service pdpb.PD of kvproto (TiKV 8.5). On the wire Tso is a bidirectional stream in which each request is answered
// by one response in order; in the simulation each such pair is one call.
#pragma once

#include <string>

#include "fakes/sim/channel.h"
#include "proto/tikv/pdhttp.pb.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::pd {

/// The address of PD's client port in a simulation of one nameless cluster.
inline constexpr char kAddress[] = "pd";

/// The address of PD's client port of a named cluster: "source/pd"; "pd" if the name is empty.
inline sim::Address ClusterAddress(const std::string& cluster) { return cluster.empty() ? kAddress : cluster + "/" + kAddress; }

inline constexpr sim::UnaryMethod<pdpb::TsoRequest, pdpb::TsoResponse> kTso{"/pdpb.PD/Tso"};
inline constexpr sim::UnaryMethod<pdpb::GetMembersRequest, pdpb::GetMembersResponse> kGetMembers{"/pdpb.PD/GetMembers"};
inline constexpr sim::UnaryMethod<pdpb::GetStoreRequest, pdpb::GetStoreResponse> kGetStore{"/pdpb.PD/GetStore"};
inline constexpr sim::UnaryMethod<pdpb::GetAllStoresRequest, pdpb::GetAllStoresResponse> kGetAllStores{
    "/pdpb.PD/GetAllStores"};
inline constexpr sim::UnaryMethod<pdpb::GetRegionRequest, pdpb::GetRegionResponse> kGetRegion{"/pdpb.PD/GetRegion"};
inline constexpr sim::UnaryMethod<pdpb::GetRegionRequest, pdpb::GetRegionResponse> kGetPrevRegion{
    "/pdpb.PD/GetPrevRegion"};
inline constexpr sim::UnaryMethod<pdpb::GetRegionByIDRequest, pdpb::GetRegionResponse> kGetRegionById{
    "/pdpb.PD/GetRegionByID"};
inline constexpr sim::UnaryMethod<pdpb::ScanRegionsRequest, pdpb::ScanRegionsResponse> kScanRegions{
    "/pdpb.PD/ScanRegions"};
inline constexpr sim::UnaryMethod<pdpb::BatchScanRegionsRequest, pdpb::BatchScanRegionsResponse> kBatchScanRegions{
    "/pdpb.PD/BatchScanRegions"};
/// On a port a stream: each message is answered in order.
inline constexpr sim::UnaryMethod<pdpb::QueryRegionRequest, pdpb::QueryRegionResponse> kQueryRegion{"/pdpb.PD/QueryRegion"};
inline constexpr sim::UnaryMethod<pdpb::GetClusterInfoRequest, pdpb::GetClusterInfoResponse> kGetClusterInfo{
    "/pdpb.PD/GetClusterInfo"};
inline constexpr sim::UnaryMethod<pdpb::IsBootstrappedRequest, pdpb::IsBootstrappedResponse> kIsBootstrapped{
    "/pdpb.PD/IsBootstrapped"};
inline constexpr sim::UnaryMethod<pdpb::GetClusterConfigRequest, pdpb::GetClusterConfigResponse> kGetClusterConfig{
    "/pdpb.PD/GetClusterConfig"};
inline constexpr sim::UnaryMethod<pdpb::IsSnapshotRecoveringRequest, pdpb::IsSnapshotRecoveringResponse> kIsSnapshotRecovering{
    "/pdpb.PD/IsSnapshotRecovering"};
inline constexpr sim::UnaryMethod<pdpb::SetExternalTimestampRequest, pdpb::SetExternalTimestampResponse> kSetExternalTimestamp{
    "/pdpb.PD/SetExternalTimestamp"};
inline constexpr sim::UnaryMethod<pdpb::GetExternalTimestampRequest, pdpb::GetExternalTimestampResponse> kGetExternalTimestamp{
    "/pdpb.PD/GetExternalTimestamp"};
inline constexpr sim::UnaryMethod<pdpb::GetMinTSRequest, pdpb::GetMinTSResponse> kGetMinTs{"/pdpb.PD/GetMinTS"};
inline constexpr sim::UnaryMethod<pdpb::SplitRegionsRequest, pdpb::SplitRegionsResponse> kSplitRegions{
    "/pdpb.PD/SplitRegions"};
inline constexpr sim::UnaryMethod<pdpb::SplitAndScatterRegionsRequest, pdpb::SplitAndScatterRegionsResponse>
    kSplitAndScatterRegions{"/pdpb.PD/SplitAndScatterRegions"};
inline constexpr sim::UnaryMethod<pdpb::ScatterRegionRequest, pdpb::ScatterRegionResponse> kScatterRegion{
    "/pdpb.PD/ScatterRegion"};
inline constexpr sim::UnaryMethod<pdpb::GetOperatorRequest, pdpb::GetOperatorResponse> kGetOperator{
    "/pdpb.PD/GetOperator"};
inline constexpr sim::UnaryMethod<pdpb::GetGCSafePointRequest, pdpb::GetGCSafePointResponse> kGetGcSafePoint{
    "/pdpb.PD/GetGCSafePoint"};
inline constexpr sim::UnaryMethod<pdpb::UpdateGCSafePointRequest, pdpb::UpdateGCSafePointResponse> kUpdateGcSafePoint{
    "/pdpb.PD/UpdateGCSafePoint"};
inline constexpr sim::UnaryMethod<pdpb::UpdateServiceGCSafePointRequest, pdpb::UpdateServiceGCSafePointResponse>
    kUpdateServiceGcSafePoint{"/pdpb.PD/UpdateServiceGCSafePoint"};
inline constexpr sim::UnaryMethod<pdpb::AllocIDRequest, pdpb::AllocIDResponse> kAllocId{"/pdpb.PD/AllocID"};

/// Not gRPC but PD's HTTP interface; the fields are those of the JSON body.
inline constexpr sim::UnaryMethod<pdhttp::ResetTsRequest, pdhttp::ResetTsResponse> kResetTs{
    "/pd/api/v1/admin/reset-ts"};

}  // namespace kvjury::pd
