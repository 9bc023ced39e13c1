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
/// Of one of its members: the first is the cluster's own, then "source/pd-2".
inline sim::Address MemberAddress(const std::string& cluster, size_t place) {
  return ClusterAddress(cluster) + (place == 0 ? "" : "-" + std::to_string(place + 1));
}

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

// What stores tell PD and ask of it.
inline constexpr sim::UnaryMethod<pdpb::BootstrapRequest, pdpb::BootstrapResponse> kBootstrap{"/pdpb.PD/Bootstrap"};
inline constexpr sim::UnaryMethod<pdpb::PutStoreRequest, pdpb::PutStoreResponse> kPutStore{"/pdpb.PD/PutStore"};
inline constexpr sim::UnaryMethod<pdpb::PutClusterConfigRequest, pdpb::PutClusterConfigResponse> kPutClusterConfig{
    "/pdpb.PD/PutClusterConfig"};
inline constexpr sim::UnaryMethod<pdpb::AskSplitRequest, pdpb::AskSplitResponse> kAskSplit{"/pdpb.PD/AskSplit"};
inline constexpr sim::UnaryMethod<pdpb::AskBatchSplitRequest, pdpb::AskBatchSplitResponse> kAskBatchSplit{
    "/pdpb.PD/AskBatchSplit"};
inline constexpr sim::UnaryMethod<pdpb::ReportSplitRequest, pdpb::ReportSplitResponse> kReportSplit{"/pdpb.PD/ReportSplit"};
inline constexpr sim::UnaryMethod<pdpb::ReportBatchSplitRequest, pdpb::ReportBatchSplitResponse> kReportBatchSplit{
    "/pdpb.PD/ReportBatchSplit"};
inline constexpr sim::UnaryMethod<pdpb::ReportMinResolvedTsRequest, pdpb::ReportMinResolvedTsResponse> kReportMinResolvedTs{
    "/pdpb.PD/ReportMinResolvedTS"};
inline constexpr sim::UnaryMethod<pdpb::SyncMaxTSRequest, pdpb::SyncMaxTSResponse> kSyncMaxTs{"/pdpb.PD/SyncMaxTS"};
inline constexpr sim::UnaryMethod<pdpb::GetDCLocationInfoRequest, pdpb::GetDCLocationInfoResponse> kGetDcLocationInfo{
    "/pdpb.PD/GetDCLocationInfo"};

// Safe points of one key space, and the calls that are newer than 8.5.
inline constexpr sim::UnaryMethod<pdpb::GetGCSafePointV2Request, pdpb::GetGCSafePointV2Response> kGetGcSafePointV2{
    "/pdpb.PD/GetGCSafePointV2"};
inline constexpr sim::UnaryMethod<pdpb::UpdateGCSafePointV2Request, pdpb::UpdateGCSafePointV2Response> kUpdateGcSafePointV2{
    "/pdpb.PD/UpdateGCSafePointV2"};
inline constexpr sim::UnaryMethod<pdpb::UpdateServiceSafePointV2Request, pdpb::UpdateServiceSafePointV2Response>
    kUpdateServiceSafePointV2{"/pdpb.PD/UpdateServiceSafePointV2"};
inline constexpr sim::UnaryMethod<pdpb::GetAllGCSafePointV2Request, pdpb::GetAllGCSafePointV2Response> kGetAllGcSafePointV2{
    "/pdpb.PD/GetAllGCSafePointV2"};
inline constexpr sim::UnaryMethod<pdpb::AdvanceGCSafePointRequest, pdpb::AdvanceGCSafePointResponse> kAdvanceGcSafePoint{
    "/pdpb.PD/AdvanceGCSafePoint"};
inline constexpr sim::UnaryMethod<pdpb::AdvanceTxnSafePointRequest, pdpb::AdvanceTxnSafePointResponse> kAdvanceTxnSafePoint{
    "/pdpb.PD/AdvanceTxnSafePoint"};
inline constexpr sim::UnaryMethod<pdpb::SetGCBarrierRequest, pdpb::SetGCBarrierResponse> kSetGcBarrier{
    "/pdpb.PD/SetGCBarrier"};
inline constexpr sim::UnaryMethod<pdpb::DeleteGCBarrierRequest, pdpb::DeleteGCBarrierResponse> kDeleteGcBarrier{
    "/pdpb.PD/DeleteGCBarrier"};
inline constexpr sim::UnaryMethod<pdpb::SetGlobalGCBarrierRequest, pdpb::SetGlobalGCBarrierResponse> kSetGlobalGcBarrier{
    "/pdpb.PD/SetGlobalGCBarrier"};
inline constexpr sim::UnaryMethod<pdpb::DeleteGlobalGCBarrierRequest, pdpb::DeleteGlobalGCBarrierResponse>
    kDeleteGlobalGcBarrier{"/pdpb.PD/DeleteGlobalGCBarrier"};
inline constexpr sim::UnaryMethod<pdpb::GetGCStateRequest, pdpb::GetGCStateResponse> kGetGcState{"/pdpb.PD/GetGCState"};
inline constexpr sim::UnaryMethod<pdpb::GetAllKeyspacesGCStatesRequest, pdpb::GetAllKeyspacesGCStatesResponse>
    kGetAllKeyspacesGcStates{"/pdpb.PD/GetAllKeyspacesGCStates"};

/// Not gRPC but PD's HTTP interface; the fields are those of the JSON body.
inline constexpr sim::UnaryMethod<pdhttp::ResetTsRequest, pdhttp::ResetTsResponse> kResetTs{
    "/pd/api/v1/admin/reset-ts"};

}  // namespace kvjury::pd
