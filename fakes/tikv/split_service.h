// SplitService: splits that clients ask a store for.
//
// Modelled: TiKV's checks and texts, ids taken from PD, the answer with all pieces; keys that are encoded here, and raw ones.
// Source: TiKV 8.5, src/server/service/kv.rs and raftstore; answers of a real 8.5.0.
#pragma once

#include "fakes/tikv/store_calls.h"

namespace kvjury::tikv {

class SplitService {
 public:
  /// `calls` must outlive it.
  explicit SplitService(const StoreCalls* calls) : calls_(calls) {}
  SplitService(const SplitService&) = delete;
  SplitService& operator=(const SplitService&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  template <class Message>
  using Ptr = StoreCalls::Ptr<Message>;
  template <class Message>
  using Answer = StoreCalls::Answer<Message>;

  Answer<kvrpcpb::SplitRegionResponse> SplitRegion(Ptr<kvrpcpb::SplitRegionRequest> request, sim::CallContext context);
  std::optional<errorpb::Error> CheckSplitKeys(const kvrpcpb::SplitRegionRequest& request, std::vector<Bytes>* keys) const;

  const StoreCalls* calls_;
};

}  // namespace kvjury::tikv
