#include "harness/client/scripted_cluster.h"

namespace kvjury::client {

namespace {

sim::Task<void> JoinClient(Client* client) {
  auto join = client->Join();
  co_await std::move(join);
}

}  // namespace

ScriptedCluster::ScriptedCluster()
    : client(world.fabric().ChannelFrom("w1"), &world.scheduler(), "client-w1", pd::kAddress, &world.log()) {
  routes.push_back(MakeRegion(2, "", "m", 5));
  routes.push_back(MakeRegion(3, "m", "", 5));
  Add<&ScriptedCluster::tso>(pd::kTso);
  Add<&ScriptedCluster::get_members>(pd::kGetMembers);
  Add<&ScriptedCluster::get_region>(pd::kGetRegion);
  Add<&ScriptedCluster::get_store>(pd::kGetStore);
  Add<&ScriptedCluster::get>(tikv::kKvGet);
  Add<&ScriptedCluster::batch_get>(tikv::kKvBatchGet);
  Add<&ScriptedCluster::scan>(tikv::kKvScan);
  Add<&ScriptedCluster::prewrite>(tikv::kKvPrewrite);
  Add<&ScriptedCluster::commit>(tikv::kKvCommit);
  Add<&ScriptedCluster::rollback>(tikv::kKvBatchRollback);
  Add<&ScriptedCluster::check_txn_status>(tikv::kKvCheckTxnStatus);
  Add<&ScriptedCluster::check_secondary_locks>(tikv::kKvCheckSecondaryLocks);
  Add<&ScriptedCluster::resolve_lock>(tikv::kKvResolveLock);
  Add<&ScriptedCluster::scan_lock>(tikv::kKvScanLock);
  for (const char* address : {"pd", "store-1", "store-2", "store-3"}) {
    world.fabric().Listen(address, &table_);
  }
  get_members.Always([](const auto&) {
    pdpb::GetMembersResponse response;
    response.mutable_header()->set_cluster_id(7);
    return response;
  });
  tso.Always([this](const auto&) {
    pdpb::TsoResponse response;
    response.set_count(1);
    response.mutable_timestamp()->set_physical(clock_ms + world.scheduler().now_us() / 1000);
    response.mutable_timestamp()->set_logical(++next_logical_);
    return response;
  });
  get_store.Always([](const auto& seen) {
    pdpb::GetStoreResponse response;
    response.mutable_store()->set_id(seen.request.store_id());
    response.mutable_store()->set_address("store-" + std::to_string(seen.request.store_id()));
    return response;
  });
  get_region.Always([this](const auto& seen) {
    pdpb::GetRegionResponse response;
    for (const metapb::Region& region : routes) {
      if (RangeContains(region.start_key(), region.end_key(), seen.request.region_key())) {
        *response.mutable_region() = region;
        *response.mutable_leader() = region.peers(static_cast<int>(leader_store) - 1);
      }
    }
    return response;
  });
}

ScriptedCluster::~ScriptedCluster() { Join(); }

void ScriptedCluster::Join() {
  CHECK(world.Run(JoinClient(&client), Micros{3600} * 1'000'000) == sim::RunEnd::kDone);
  while (world.scheduler().RunOne()) {
  }
}

metapb::Region ScriptedCluster::MakeRegion(uint64_t id, const Bytes& start, const Bytes& end, uint64_t version) {
  metapb::Region region;
  region.set_id(id);
  region.set_start_key(EncodeBoundary(start));
  region.set_end_key(EncodeBoundary(end));
  region.mutable_region_epoch()->set_version(version);
  region.mutable_region_epoch()->set_conf_ver(1);
  for (uint64_t store = 1; store <= 3; ++store) {
    metapb::Peer* peer = region.add_peers();
    peer->set_id(10 * id + store);
    peer->set_store_id(store);
  }
  return region;
}

}  // namespace kvjury::client
