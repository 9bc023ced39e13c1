#include "harness/drift/field_rules.h"

#include <map>
#include <string>

namespace kvjury::drift {

namespace {

using google::protobuf::FieldDescriptor;

const std::map<std::string, FieldRule, std::less<>>& ByFullName() {
  static const std::map<std::string, FieldRule, std::less<>> table = {
      {"backup.BackupRequest.cluster_id", FieldRule::kClusterId},
      {"backup.File.cipher_iv", FieldRule::kDigest},
      {"backup.File.name", FieldRule::kFileName},
      {"backup.File.sha256", FieldRule::kDigest},
      {"backup.File.size", FieldRule::kOwn},
      {"backup.Local.path", FieldRule::kFolder},
      {"errorpb.MismatchPeerId.request_peer_id", FieldRule::kPeerId},
      {"errorpb.MismatchPeerId.store_peer_id", FieldRule::kPeerId},
      {"errorpb.StoreNotMatch.actual_store_id", FieldRule::kStoreId},
      {"errorpb.StoreNotMatch.request_store_id", FieldRule::kStoreId},
      {"import_sstpb.DownloadRequest.name", FieldRule::kFileName},
      {"kvrpcpb.LockInfo.duration_to_last_update_ms", FieldRule::kNoise},
      {"metapb.Cluster.id", FieldRule::kClusterId},
      {"metapb.Peer.id", FieldRule::kPeerId},
      {"metapb.Region.id", FieldRule::kRegionId},
      {"metapb.RegionEpoch.conf_ver", FieldRule::kConfVersion},
      {"metapb.RegionEpoch.version", FieldRule::kVersion},
      {"metapb.Store.address", FieldRule::kOwn},
      {"metapb.Store.deploy_path", FieldRule::kOwn},
      {"metapb.Store.git_hash", FieldRule::kOwn},
      {"metapb.Store.id", FieldRule::kStoreId},
      {"metapb.Store.last_heartbeat", FieldRule::kOwn},
      {"metapb.Store.peer_address", FieldRule::kOwn},
      {"metapb.Store.start_timestamp", FieldRule::kOwn},
      {"metapb.Store.status_address", FieldRule::kOwn},
      {"metapb.Store.version", FieldRule::kOwn},
      {"pdpb.AllocIDResponse.id", FieldRule::kOwn},
      {"pdpb.GetRegionResponse.leader", FieldRule::kLeader},
      {"pdpb.GetStoreResponse.stats", FieldRule::kOwn},
      {"pdpb.Member.binary_version", FieldRule::kOwn},
      {"pdpb.Member.client_urls", FieldRule::kOwn},
      {"pdpb.Member.deploy_path", FieldRule::kOwn},
      {"pdpb.Member.git_hash", FieldRule::kOwn},
      {"pdpb.Member.member_id", FieldRule::kOwn},
      {"pdpb.Member.name", FieldRule::kOwn},
      {"pdpb.Member.peer_urls", FieldRule::kOwn},
      {"pdpb.QueryRegionResponse.RegionsByIdEntry.key", FieldRule::kRegionId},
      {"pdpb.QueryRegionResponse.key_id_map", FieldRule::kRegionId},
      {"pdpb.QueryRegionResponse.prev_key_id_map", FieldRule::kRegionId},
      {"pdpb.Region.leader", FieldRule::kLeader},
      {"pdpb.RegionResponse.leader", FieldRule::kLeader},
      {"pdpb.ScanRegionsResponse.leaders", FieldRule::kLeader},
      {"pdpb.ServiceSafePoint.expired_at", FieldRule::kOwn},
      {"pdpb.Timestamp.logical", FieldRule::kOwn},
      {"pdpb.Timestamp.physical", FieldRule::kOwn},
      {"pdpb.UpdateServiceGCSafePointResponse.TTL", FieldRule::kSecondsLeft},
  };
  return table;
}

const std::map<std::string, FieldRule, std::less<>>& ByName() {
  static const std::map<std::string, FieldRule, std::less<>> table = {
      {"cluster_id", FieldRule::kClusterId},      {"exec_details", FieldRule::kNoise},
      {"exec_details_v2", FieldRule::kNoise},     {"failed_regions_id", FieldRule::kRegionId},
      {"peer_id", FieldRule::kPeerId},            {"region_id", FieldRule::kRegionId},
      {"regions_id", FieldRule::kRegionId},       {"store_id", FieldRule::kStoreId},
  };
  return table;
}

}  // namespace

FieldRule RuleOf(const FieldDescriptor& field) {
  if (const auto found = ByFullName().find(field.full_name()); found != ByFullName().end()) {
    return found->second;
  }
  if (const auto found = ByName().find(field.name()); found != ByName().end()) {
    return found->second;
  }
  // Key and value bytes are `bytes`; what is `string` is words.
  return field.type() == FieldDescriptor::TYPE_STRING ? FieldRule::kText : FieldRule::kSame;
}

}  // namespace kvjury::drift
