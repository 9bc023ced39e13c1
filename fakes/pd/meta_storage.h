// MetaStorage: PD's own key-value interfaces over its etcd: MetaStorage for services, global configuration for programs.
//
// Every member answers, whoever leads, and no cluster id is looked at. Values of the global configuration are payloads.
// Not modelled: watches of either (UNIMPLEMENTED).
// Source: meta_storagepb.MetaStorage and the global configuration calls of pdpb.PD as PD 8.5.7 answers them; MetaStorage
// tells keys and values without revisions, and Delete no count.
#pragma once

#include "fakes/pd/etcd.h"
#include "fakes/sim/channel.h"
#include "proto/tikv/meta_storagepb.pb.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::pd {

inline constexpr sim::UnaryMethod<meta_storagepb::GetRequest, meta_storagepb::GetResponse> kMetaGet{
    "/meta_storagepb.MetaStorage/Get"};
inline constexpr sim::UnaryMethod<meta_storagepb::PutRequest, meta_storagepb::PutResponse> kMetaPut{
    "/meta_storagepb.MetaStorage/Put"};
inline constexpr sim::UnaryMethod<meta_storagepb::DeleteRequest, meta_storagepb::DeleteResponse> kMetaDelete{
    "/meta_storagepb.MetaStorage/Delete"};
inline constexpr sim::UnaryMethod<pdpb::StoreGlobalConfigRequest, pdpb::StoreGlobalConfigResponse> kStoreGlobalConfig{
    "/pdpb.PD/StoreGlobalConfig"};
inline constexpr sim::UnaryMethod<pdpb::LoadGlobalConfigRequest, pdpb::LoadGlobalConfigResponse> kLoadGlobalConfig{
    "/pdpb.PD/LoadGlobalConfig"};

class MetaStorage {
 public:
  /// `etcd` must outlive this.
  MetaStorage(Etcd* etcd, uint64_t cluster_id) : etcd_(etcd), cluster_id_(cluster_id) {}
  MetaStorage(const MetaStorage&) = delete;
  MetaStorage& operator=(const MetaStorage&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;

  Answer<meta_storagepb::GetResponse> Get(Ptr<meta_storagepb::GetRequest> request, sim::CallContext context);
  Answer<meta_storagepb::PutResponse> Put(Ptr<meta_storagepb::PutRequest> request, sim::CallContext context);
  Answer<meta_storagepb::DeleteResponse> Delete(Ptr<meta_storagepb::DeleteRequest> request, sim::CallContext context);
  Answer<pdpb::StoreGlobalConfigResponse> StoreGlobalConfig(Ptr<pdpb::StoreGlobalConfigRequest> request, sim::CallContext context);
  Answer<pdpb::LoadGlobalConfigResponse> LoadGlobalConfig(Ptr<pdpb::LoadGlobalConfigRequest> request, sim::CallContext context);

  template <class Response>
  void PutHeader(Response* response, const Status& status) const;

  Etcd* etcd_;
  uint64_t cluster_id_;
};

}  // namespace kvjury::pd
