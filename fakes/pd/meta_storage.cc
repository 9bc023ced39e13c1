#include "fakes/pd/meta_storage.h"

namespace kvjury::pd {

namespace {

constexpr char kGlobalConfig[] = "/global/config/";

std::string ItemKey(const std::string& folder, const std::string& name) {
  std::string key = folder.empty() ? kGlobalConfig : folder;
  while (!key.empty() && key.back() == '/') {
    key.pop_back();
  }
  return key + "/" + name;
}

}  // namespace

void MetaStorage::Register(sim::MethodTable* methods) {
  methods->Add(kMetaGet, this, &MetaStorage::Get);
  methods->Add(kMetaPut, this, &MetaStorage::Put);
  methods->Add(kMetaDelete, this, &MetaStorage::Delete);
  methods->Add(kStoreGlobalConfig, this, &MetaStorage::StoreGlobalConfig);
  methods->Add(kLoadGlobalConfig, this, &MetaStorage::LoadGlobalConfig);
}

template <class Response>
void MetaStorage::PutHeader(Response* response, const Status& status) const {
  response->mutable_header()->set_cluster_id(cluster_id_);
  if (!status.ok()) {
    response->mutable_header()->mutable_error()->set_type(meta_storagepb::UNKNOWN);
    response->mutable_header()->mutable_error()->set_message(status.message());
    return;
  }
  response->mutable_header()->set_revision(etcd_->revision());
}

MetaStorage::Answer<meta_storagepb::GetResponse> MetaStorage::Get(Ptr<meta_storagepb::GetRequest> request, sim::CallContext) {
  etcdserverpb::RangeRequest range;
  range.set_key(request->key());
  range.set_range_end(request->range_end());
  range.set_limit(request->limit());
  range.set_revision(request->revision());
  const Status allowed = etcd_->CheckRange(range);
  meta_storagepb::GetResponse response;
  if (allowed.ok()) {
    const etcdserverpb::RangeResponse found = etcd_->ReadRange(range);
    response.set_count(found.count());
    response.set_more(found.more());
    for (const etcdserverpb::KeyValue& pair : found.kvs()) {
      meta_storagepb::KeyValue* told = response.add_kvs();
      told->set_key(pair.key());
      told->set_value(pair.value());
    }
  }
  PutHeader(&response, allowed);
  co_return response;
}

MetaStorage::Answer<meta_storagepb::PutResponse> MetaStorage::Put(Ptr<meta_storagepb::PutRequest> request, sim::CallContext) {
  etcdserverpb::PutRequest put;
  put.set_key(request->key());
  put.set_value(request->value());
  put.set_lease(request->lease());
  put.set_prev_kv(request->prev_kv());
  const Result<etcdserverpb::PutResponse> done = etcd_->Write(put);
  meta_storagepb::PutResponse response;
  if (done.ok() && done->has_prev_kv()) {
    response.mutable_prev_kv()->set_key(done->prev_kv().key());
    response.mutable_prev_kv()->set_value(done->prev_kv().value());
  }
  PutHeader(&response, done.status());
  co_return response;
}

// The end of a range is not looked at: one key goes.
MetaStorage::Answer<meta_storagepb::DeleteResponse> MetaStorage::Delete(Ptr<meta_storagepb::DeleteRequest> request,
                                                                        sim::CallContext) {
  etcdserverpb::DeleteRangeRequest erase;
  erase.set_key(request->key());
  erase.set_prev_kv(request->prev_kv());
  meta_storagepb::DeleteResponse response;
  if (request->key().empty()) {
    PutHeader(&response, Status::InvalidArgument("etcdserver: key is not provided"));
    co_return response;
  }
  const etcdserverpb::DeleteRangeResponse erased = etcd_->Erase(erase);
  for (const etcdserverpb::KeyValue& pair : erased.prev_kvs()) {
    meta_storagepb::KeyValue* told = response.add_prev_kvs();
    told->set_key(pair.key());
    told->set_value(pair.value());
  }
  PutHeader(&response, Status::Ok());
  co_return response;
}

MetaStorage::Answer<pdpb::StoreGlobalConfigResponse> MetaStorage::StoreGlobalConfig(Ptr<pdpb::StoreGlobalConfigRequest> request,
                                                                                    sim::CallContext) {
  for (const pdpb::GlobalConfigItem& item : request->changes()) {
    const std::string key = ItemKey(request->config_path(), item.name());
    if (item.kind() == pdpb::DELETE) {
      etcdserverpb::DeleteRangeRequest erase;
      erase.set_key(key);
      etcd_->Erase(erase);
    } else {
      etcd_->Set(key, item.value().empty() ? item.payload() : item.value());
    }
  }
  co_return pdpb::StoreGlobalConfigResponse();
}

MetaStorage::Answer<pdpb::LoadGlobalConfigResponse> MetaStorage::LoadGlobalConfig(Ptr<pdpb::LoadGlobalConfigRequest> request,
                                                                                  sim::CallContext) {
  pdpb::LoadGlobalConfigResponse response;
  for (const std::string& name : request->names()) {
    pdpb::GlobalConfigItem* item = response.add_items();
    item->set_name(name);
    if (const std::optional<Bytes> value = etcd_->Find(ItemKey(request->config_path(), name))) {
      item->set_payload(*value);
    } else {
      item->mutable_error()->set_type(pdpb::GLOBAL_CONFIG_NOT_FOUND);
      item->mutable_error()->set_message("key " + name + " not found");
    }
  }
  if (request->names_size() > 0) {
    co_return response;
  }
  etcdserverpb::RangeRequest range;
  const std::string folder = request->config_path().empty() ? kGlobalConfig : request->config_path();
  range.set_key(folder);
  range.set_range_end(folder.substr(0, folder.size() - 1) + static_cast<char>(folder.back() + 1));
  const etcdserverpb::RangeResponse found = etcd_->ReadRange(range);
  for (const etcdserverpb::KeyValue& pair : found.kvs()) {
    pdpb::GlobalConfigItem* item = response.add_items();
    item->set_name(pair.key());
    item->set_payload(pair.value());
  }
  response.set_revision(etcd_->revision());
  co_return response;
}

}  // namespace kvjury::pd
