// Keyspaces: the named parts of a cluster's key space, as PD keeps and tells them.
//
// Modelled: DEFAULT (id 0) from the start, creating, changes of state by PD's table, configurations, look-ups over gRPC.
// Not modelled: key space groups of an own timestamp service, the watch (UNIMPLEMENTED). Keys are not kept apart here: that
// is their prefixes' work.
// Source: keyspacepb.Keyspace of kvproto and the key space manager of PD 8.5; LookupKeyspace and LoadKeyspaceByID are newer.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fakes/base/status.h"
#include "fakes/sim/channel.h"
#include "proto/tikv/keyspacepb.pb.h"

namespace kvjury::record {
class PdState;
}  // namespace kvjury::record

namespace kvjury::pd {

class Pd;

inline constexpr sim::UnaryMethod<keyspacepb::LoadKeyspaceRequest, keyspacepb::LoadKeyspaceResponse> kLoadKeyspace{
    "/keyspacepb.Keyspace/LoadKeyspace"};
inline constexpr sim::UnaryMethod<keyspacepb::LoadKeyspaceByIDRequest, keyspacepb::LoadKeyspaceResponse> kLoadKeyspaceById{
    "/keyspacepb.Keyspace/LoadKeyspaceByID"};
inline constexpr sim::UnaryMethod<keyspacepb::LookupKeyspaceRequest, keyspacepb::LookupKeyspaceResponse> kLookupKeyspace{
    "/keyspacepb.Keyspace/LookupKeyspace"};
inline constexpr sim::UnaryMethod<keyspacepb::UpdateKeyspaceStateRequest, keyspacepb::UpdateKeyspaceStateResponse>
    kUpdateKeyspaceState{"/keyspacepb.Keyspace/UpdateKeyspaceState"};
inline constexpr sim::UnaryMethod<keyspacepb::GetAllKeyspacesRequest, keyspacepb::GetAllKeyspacesResponse> kGetAllKeyspaces{
    "/keyspacepb.Keyspace/GetAllKeyspaces"};

class Keyspaces {
 public:
  /// `pd` must outlive this. DEFAULT is made at `now_s`, seconds since the epoch.
  Keyspaces(Pd* pd, int64_t now_s);
  Keyspaces(const Keyspaces&) = delete;
  Keyspaces& operator=(const Keyspaces&) = delete;

  void Register(sim::MethodTable* methods);

  /// Errors carry PD's sentences: kNotFound, kAlreadyExists, kRejected.
  Result<keyspacepb::KeyspaceMeta> Find(const std::string& name) const;
  Result<keyspacepb::KeyspaceMeta> Find(uint32_t id) const;
  Result<keyspacepb::KeyspaceMeta> Create(const std::string& name, const std::map<std::string, std::string>& config);
  Result<keyspacepb::KeyspaceMeta> SetState(uint32_t id, keyspacepb::KeyspaceState state);
  /// Empty optionals remove.
  Result<keyspacepb::KeyspaceMeta> SetConfig(const std::string& name,
                                             const std::map<std::string, std::optional<std::string>>& changes);
  /// Ascending ids from `start` on; a limit of 0 is none.
  Result<std::vector<keyspacepb::KeyspaceMeta>> List(uint32_t start, size_t limit) const;
  /// Whether its garbage is collected on its own.
  [[nodiscard]] static bool HasOwnGc(const keyspacepb::KeyspaceMeta& meta);

  void Save(record::PdState* state) const;
  void Restore(const record::PdState& state);

 private:
  template <class Response>
  using Answer = sim::Task<Result<Response>>;
  template <class Request>
  using Ptr = std::shared_ptr<const Request>;

  Answer<keyspacepb::LoadKeyspaceResponse> LoadKeyspace(Ptr<keyspacepb::LoadKeyspaceRequest> request, sim::CallContext context);
  Answer<keyspacepb::LoadKeyspaceResponse> LoadKeyspaceById(Ptr<keyspacepb::LoadKeyspaceByIDRequest> request,
                                                            sim::CallContext context);
  Answer<keyspacepb::LookupKeyspaceResponse> LookupKeyspace(Ptr<keyspacepb::LookupKeyspaceRequest> request,
                                                            sim::CallContext context);
  Answer<keyspacepb::UpdateKeyspaceStateResponse> UpdateKeyspaceState(Ptr<keyspacepb::UpdateKeyspaceStateRequest> request,
                                                                      sim::CallContext context);
  Answer<keyspacepb::GetAllKeyspacesResponse> GetAllKeyspaces(Ptr<keyspacepb::GetAllKeyspacesRequest> request,
                                                              sim::CallContext context);

  Pd* pd_;
  std::map<uint32_t, keyspacepb::KeyspaceMeta> by_id_;
  uint32_t last_id_ = 0;
};

}  // namespace kvjury::pd
