#include "fakes/pd/keyspaces.h"

#include <algorithm>
#include <array>

#include "fakes/pd/pd.h"
#include "proto/kvjury/state.pb.h"

namespace kvjury::pd {

namespace {

constexpr uint32_t kDefaultId = 0;
constexpr char kDefaultName[] = "DEFAULT";
constexpr uint32_t kIdMax = 0xffffff;
constexpr char kGcManagement[] = "gc_management_type";
constexpr char kOwnGc[] = "keyspace_level_gc";

Status NoSuchKeyspace() { return Status::NotFound("keyspace does not exist"); }

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool MayBecome(keyspacepb::KeyspaceState from, keyspacepb::KeyspaceState to) {
  using enum keyspacepb::KeyspaceState;
  constexpr std::array kSteps = {std::pair(ENABLED, DISABLED), std::pair(DISABLED, ENABLED), std::pair(DISABLED, ARCHIVED),
                                 std::pair(ARCHIVED, TOMBSTONE)};
  return std::find(kSteps.begin(), kSteps.end(), std::pair(from, to)) != kSteps.end();
}

template <class Response>
void PutError(const Status& status, Response* response) {
  pdpb::Error* error = response->mutable_header()->mutable_error();
  error->set_type(status.code() == StatusCode::kNotFound        ? pdpb::ENTRY_NOT_FOUND
                  : status.code() == StatusCode::kAlreadyExists ? pdpb::DUPLICATED_ENTRY
                                                                : pdpb::UNKNOWN);
  error->set_message(status.message());
}

}  // namespace

Keyspaces::Keyspaces(Pd* pd, int64_t now_s) : pd_(pd) {
  keyspacepb::KeyspaceMeta& meta = by_id_[kDefaultId];
  meta.set_name(kDefaultName);
  meta.set_created_at(now_s);
  meta.set_state_changed_at(now_s);
}

void Keyspaces::Register(sim::MethodTable* methods) {
  methods->Add(kLoadKeyspace, this, &Keyspaces::LoadKeyspace);
  methods->Add(kLoadKeyspaceById, this, &Keyspaces::LoadKeyspaceById);
  methods->Add(kLookupKeyspace, this, &Keyspaces::LookupKeyspace);
  methods->Add(kUpdateKeyspaceState, this, &Keyspaces::UpdateKeyspaceState);
  methods->Add(kGetAllKeyspaces, this, &Keyspaces::GetAllKeyspaces);
}

bool Keyspaces::HasOwnGc(const keyspacepb::KeyspaceMeta& meta) {
  const auto found = meta.config().find(kGcManagement);
  return found != meta.config().end() && found->second == kOwnGc;
}

// --- what there is ---

Result<keyspacepb::KeyspaceMeta> Keyspaces::Find(const std::string& name) const {
  const auto found = std::find_if(by_id_.begin(), by_id_.end(), [&name](const auto& k) { return k.second.name() == name; });
  return found == by_id_.end() ? Result<keyspacepb::KeyspaceMeta>(NoSuchKeyspace()) : found->second;
}

Result<keyspacepb::KeyspaceMeta> Keyspaces::Find(uint32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? Result<keyspacepb::KeyspaceMeta>(NoSuchKeyspace()) : found->second;
}

Result<std::vector<keyspacepb::KeyspaceMeta>> Keyspaces::List(uint32_t start, size_t limit) const {
  if (start > kIdMax) {
    return Status::Rejected("startID of the scan " + std::to_string(start) + " exceeds spaceID Max " + std::to_string(kIdMax));
  }
  std::vector<keyspacepb::KeyspaceMeta> found;
  for (auto at = by_id_.lower_bound(start); at != by_id_.end() && (limit == 0 || found.size() < limit); ++at) {
    found.push_back(at->second);
  }
  return found;
}

// --- changes ---

Result<keyspacepb::KeyspaceMeta> Keyspaces::Create(const std::string& name, const std::map<std::string, std::string>& config) {
  if (name.empty() || !std::all_of(name.begin(), name.end(), &IsNameCharacter)) {
    return Status::Rejected("illegal keyspace name " + name + ", should contain only alphanumerical and underline");
  }
  if (name == kDefaultName) {
    return Status::Rejected("illegal keyspace name " + name + ", collides with default keyspace name");
  }
  // As in PD a refused name has used its id up.
  const uint32_t id = ++last_id_;
  if (Find(name).ok()) {
    pd_->StateChanged();
    return Status::AlreadyExists("keyspace already exists");
  }
  keyspacepb::KeyspaceMeta& meta = by_id_[id];
  meta.set_id(id);
  meta.set_name(name);
  meta.set_created_at(pd_->UnixSeconds());
  meta.set_state_changed_at(meta.created_at());
  meta.mutable_config()->insert(config.begin(), config.end());
  pd_->StateChanged();
  return meta;
}

Result<keyspacepb::KeyspaceMeta> Keyspaces::SetState(uint32_t id, keyspacepb::KeyspaceState state) {
  if (id == kDefaultId) {
    return Status::Rejected("cannot modify default keyspace's state");
  }
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) {
    return NoSuchKeyspace();
  }
  keyspacepb::KeyspaceMeta& meta = found->second;
  if (meta.state() == state) {
    return meta;
  }
  if (!MayBecome(meta.state(), state)) {
    return Status::Rejected("cannot change keyspace state from " + keyspacepb::KeyspaceState_Name(meta.state()) + " to " +
                            keyspacepb::KeyspaceState_Name(state));
  }
  meta.set_state(state);
  meta.set_state_changed_at(pd_->UnixSeconds());
  pd_->StateChanged();
  return meta;
}

Result<keyspacepb::KeyspaceMeta> Keyspaces::SetConfig(const std::string& name,
                                                      const std::map<std::string, std::optional<std::string>>& changes) {
  Result<keyspacepb::KeyspaceMeta> found = Find(name);
  RETURN_IF_ERROR(found.status());
  keyspacepb::KeyspaceMeta& meta = by_id_[found->id()];
  if (meta.state() != keyspacepb::ENABLED && meta.state() != keyspacepb::DISABLED) {
    return Status::Rejected("cannot change config for keyspace with state " + keyspacepb::KeyspaceState_Name(meta.state()));
  }
  for (const auto& [key, value] : changes) {
    if (value) {
      (*meta.mutable_config())[key] = *value;
    } else {
      meta.mutable_config()->erase(key);
    }
  }
  pd_->StateChanged();
  return meta;
}

// --- calls ---

Keyspaces::Answer<keyspacepb::LoadKeyspaceResponse> Keyspaces::LoadKeyspace(Ptr<keyspacepb::LoadKeyspaceRequest> request,
                                                                            sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  keyspacepb::LoadKeyspaceResponse response;
  pd_->PutHeader(&response);
  if (const Result<keyspacepb::KeyspaceMeta> found = Find(request->name()); found.ok()) {
    *response.mutable_keyspace() = *found;
  } else {
    PutError(found.error(), &response);
  }
  co_return response;
}

Keyspaces::Answer<keyspacepb::LoadKeyspaceResponse> Keyspaces::LoadKeyspaceById(Ptr<keyspacepb::LoadKeyspaceByIDRequest> request,
                                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  keyspacepb::LoadKeyspaceResponse response;
  pd_->PutHeader(&response);
  if (const Result<keyspacepb::KeyspaceMeta> found = Find(request->id()); found.ok()) {
    *response.mutable_keyspace() = *found;
  } else {
    PutError(found.error(), &response);
  }
  co_return response;
}

Keyspaces::Answer<keyspacepb::LookupKeyspaceResponse> Keyspaces::LookupKeyspace(Ptr<keyspacepb::LookupKeyspaceRequest> request,
                                                                                sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  keyspacepb::LookupKeyspaceResponse response;
  pd_->PutHeader(&response);
  if (const Result<keyspacepb::KeyspaceMeta> found = Find(request->name()); found.ok()) {
    *response.add_keyspaces() = *found;
  } else {
    PutError(found.error(), &response);
  }
  co_return response;
}

Keyspaces::Answer<keyspacepb::UpdateKeyspaceStateResponse> Keyspaces::UpdateKeyspaceState(
    Ptr<keyspacepb::UpdateKeyspaceStateRequest> request, sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  keyspacepb::UpdateKeyspaceStateResponse response;
  pd_->PutHeader(&response);
  if (const Result<keyspacepb::KeyspaceMeta> changed = SetState(request->id(), request->state()); changed.ok()) {
    *response.mutable_keyspace() = *changed;
  } else {
    PutError(changed.error(), &response);
  }
  co_return response;
}

Keyspaces::Answer<keyspacepb::GetAllKeyspacesResponse> Keyspaces::GetAllKeyspaces(Ptr<keyspacepb::GetAllKeyspacesRequest> request,
                                                                                  sim::CallContext context) {
  CO_RETURN_IF_ERROR(pd_->CheckRequest(*request, context));
  keyspacepb::GetAllKeyspacesResponse response;
  pd_->PutHeader(&response);
  if (const auto found = List(request->start_id(), request->limit()); found.ok()) {
    response.mutable_keyspaces()->Add(found->begin(), found->end());
  } else {
    PutError(found.error(), &response);
  }
  co_return response;
}

// --- over a restart ---

void Keyspaces::Save(record::PdState* state) const {
  state->set_last_keyspace_id(last_id_);
  for (const auto& [id, meta] : by_id_) {
    record::PdState::Keyspace* saved = state->add_keyspace();
    saved->set_id(id);
    saved->set_name(meta.name());
    saved->set_state(static_cast<uint32_t>(meta.state()));
    saved->set_created_at_s(meta.created_at());
    saved->set_state_changed_at_s(meta.state_changed_at());
    saved->mutable_config()->insert(meta.config().begin(), meta.config().end());
  }
}

void Keyspaces::Restore(const record::PdState& state) {
  last_id_ = state.last_keyspace_id();
  for (const record::PdState::Keyspace& saved : state.keyspace()) {
    keyspacepb::KeyspaceMeta& meta = by_id_[saved.id()];
    meta.set_id(saved.id());
    meta.set_name(saved.name());
    meta.set_state(static_cast<keyspacepb::KeyspaceState>(saved.state()));
    meta.set_created_at(saved.created_at_s());
    meta.set_state_changed_at(saved.state_changed_at_s());
    *meta.mutable_config() = {saved.config().begin(), saved.config().end()};
  }
}

}  // namespace kvjury::pd
