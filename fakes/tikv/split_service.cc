#include "fakes/tikv/split_service.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/tikv/methods.h"

namespace kvjury::tikv {

void SplitService::Register(sim::MethodTable* methods) { methods->Add(kSplitRegion, this, &SplitService::SplitRegion); }

std::optional<errorpb::Error> SplitService::CheckSplitKeys(const kvrpcpb::SplitRegionRequest& request,
                                                           std::vector<Bytes>* keys) const {
  const Region* region = calls_->cluster()->regions().Find(RegionId(request.context().region_id()));
  CHECK(region != nullptr) << "checked before";
  for (const Bytes& key : *keys) {
    if (!region->Contains(key)) {
      return KeyNotInRegionError(key, *region);
    }
  }
  if (region->merging) {
    return ProposalInMergingModeError(region->id);
  }
  return std::nullopt;
}

SplitService::Answer<kvrpcpb::SplitRegionResponse> SplitService::SplitRegion(Ptr<kvrpcpb::SplitRegionRequest> request,
                                                                             sim::CallContext context) {
  using Response = kvrpcpb::SplitRegionResponse;
  Cluster* const cluster = calls_->cluster();
  const StoreId store = calls_->store();
  const StoreRunPtr run = cluster->Run(store);
  sim::Task<Result<std::optional<errorpb::Error>>> admitting = calls_->Admit(run, request->context(), kWriteUs, context);
  Result<std::optional<errorpb::Error>> admitted = co_await std::move(admitting);
  if (!admitted.ok()) {
    co_return admitted.error();
  }
  if (admitted->has_value()) {
    co_return RegionErrorOf<Response>(std::move(**admitted));
  }
  const RegionId id(request->context().region_id());
  // An empty key is a key like any other here: it makes a boundary at its encoded form.
  std::vector<Bytes> keys;
  for (const Bytes& key : request->split_keys()) {
    keys.push_back(request->is_raw_kv() ? key : EncodeKey(key));
  }
  if (keys.empty() && !request->split_key().empty()) {
    keys.push_back(request->is_raw_kv() ? request->split_key() : EncodeKey(request->split_key()));
  }
  if (keys.empty()) {
    co_return RegionErrorOf<Response>(MessageError(
        "\"[components/raftstore/src/store/util.rs:1840]: [region " + std::to_string(id.value()) + "] " +
        std::to_string(request->context().peer().id()) + " no split key is specified.\""));
  }
  std::sort(keys.begin(), keys.end());
  if (std::optional<errorpb::Error> error = CheckSplitKeys(*request, &keys)) {
    co_return RegionErrorOf<Response>(std::move(*error));
  }
  // Ids are asked for before repetitions and the region's own start are dropped, as TiKV does.
  std::vector<Bytes> cuts;
  std::vector<NewRegionIds> ids;
  for (const Bytes& key : keys) {
    NewRegionIds fresh = cluster->AllocateRegionIds();
    if (key != cluster->regions().Find(id)->start && (cuts.empty() || cuts.back() != key)) {
      cuts.push_back(key);
      ids.push_back(std::move(fresh));
    }
  }
  if (cuts.empty()) {
    co_return RegionErrorOf<Response>(MessageError(
        "Coprocessor [components/raftstore/src/coprocessor/split_observer.rs:153]: no valid key found for split."));
  }
  std::vector<metapb::Region> pieces;
  sim::Task<ProposalEnd> proposing =
      cluster->Propose(id, store, context.label, [cluster, id, &cuts, &ids, &pieces]() {
        for (const Region* piece : cluster->SplitNow(id, cuts, ids)) {
          pieces.push_back(piece->ToProto());
        }
      });
  const ProposalEnd end = co_await std::move(proposing);
  if (!run->alive) {
    co_return StoreIsDown();
  }
  if (std::optional<errorpb::Error> error = cluster->ProposalError(end, store, request->context())) {
    co_return RegionErrorOf<Response>(std::move(*error));
  }
  Response response;
  for (const metapb::Region& piece : pieces) {
    *response.add_regions() = piece;
  }
  if (pieces.size() == 2) {
    *response.mutable_left() = pieces[0];
    *response.mutable_right() = pieces[1];
  }
  cluster->Log(store, "split", context.label.hash(), pieces.size());
  co_return response;
}

}  // namespace kvjury::tikv
