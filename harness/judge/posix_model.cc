#include "harness/judge/posix_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "fakes/base/check.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/written_bytes.h"

namespace kvjury::judge {

namespace {

using Kind = record::Operation;

PosixResult Refused(int error) {
  PosixResult result;
  result.error = error;
  return result;
}

}  // namespace

PosixModel::PosixModel(const PosixModelOptions& options) : options_(options), tree_(options.formatted_ns) {}

Bytes BytesOfWrite(uint32_t session, const record::Operation& operation) {
  const uint64_t seed = juicefs::SeedOfWrite(fmt::format("w{}/op{}", session, operation.id()), operation.write().seed());
  return juicefs::WrittenBytes(seed, 0, operation.write().length());
}

OperationPaths PathsOf(const record::Operation& operation) {
  OperationPaths paths;
  const google::protobuf::Reflection* all = operation.GetReflection();
  const google::protobuf::FieldDescriptor* kind = all->GetOneofFieldDescriptor(operation, Kind::descriptor()->FindOneofByName("kind"));
  if (kind == nullptr) {
    return paths;
  }
  const google::protobuf::Message& message = all->GetMessage(operation, kind);
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  const auto field = [&](const char* name) -> std::optional<Bytes> {
    const google::protobuf::FieldDescriptor* found = type->FindFieldByName(name);
    if (found == nullptr || found->type() != google::protobuf::FieldDescriptor::TYPE_BYTES) {
      return std::nullopt;
    }
    return message.GetReflection()->GetString(message, found);
  };
  paths.first = field("from").has_value() ? field("from") : field("path");
  paths.second = field("to");
  return paths;
}

bool PosixModel::KnowsOperation(const record::Operation& operation) {
  switch (operation.kind_case()) {
    case Kind::kClone:
    case Kind::kCompact:
    case Kind::kRemoveTree:
    case Kind::kRestoreTrash:
    case Kind::kDie:
    case Kind::KIND_NOT_SET:
      return false;
    default:
      return true;
  }
}

PosixModel::Places PosixModel::Resolve(const record::Operation& operation) const {
  const OperationPaths paths = PathsOf(operation);
  const auto may_search = [this, &operation](NodeId directory) { return MayAccess(directory, operation, 1); };
  Places places;
  if (paths.first.has_value()) {
    places.first = tree_.Resolve(*paths.first, may_search);
  }
  if (paths.second.has_value()) {
    places.second = tree_.Resolve(*paths.second, may_search);
  }
  return places;
}

PosixResult PosixModel::DoAt(uint32_t session, const record::Operation& operation, const Places& places, TimeSpan now) {
  CHECK(KnowsOperation(operation)) << "no answer is modelled for operation " << operation.id();
  created_ = kNoNode;
  refused_in_front_ = false;
  asked_ = false;
  const Call call{session, operation, places.first, places.second, now};
  for (const auto group : {&PosixModel::DoName, &PosixModel::DoData, &PosixModel::DoAttribute, &PosixModel::DoSession}) {
    std::optional<PosixResult> result = (this->*group)(call);
    if (result.has_value()) {
      // JuiceFS on a default mount leaves nearly all permissions to the kernel.
      refused_in_front_ = refused_in_front_ || (result->error == EACCES && operation.uid() != 0 && !asked_);
      return *std::move(result);
    }
  }
  return Refused(ENOSYS);
}

PosixResult PosixModel::InFront(int error) {
  refused_in_front_ = error != 0;
  return Refused(error);
}

std::optional<PosixResult> PosixModel::DoName(const Call& call) {
  const record::Operation& operation = call.operation;
  switch (operation.kind_case()) {
    case Kind::kMkdir:
      return Create(call, juicefs::kTypeDirectory, operation.mkdir().mode());
    case Kind::kCreate:
      return Create(call, juicefs::kTypeFile, operation.create().mode());
    case Kind::kMknod:
      return Create(call, static_cast<uint8_t>(operation.mknod().type()), operation.mknod().mode());
    case Kind::kSymlink:
      return Create(call, juicefs::kTypeSymlink, 0777);
    case Kind::kLink:
      return Link(call);
    case Kind::kUnlink:
      return Unlink(call);
    case Kind::kRmdir:
      return Rmdir(call);
    case Kind::kRename:
      return Rename(call);
    default:
      return std::nullopt;
  }
}

std::optional<PosixResult> PosixModel::DoData(const Call& call) {
  switch (call.operation.kind_case()) {
    case Kind::kWrite:
      return Write(call);
    case Kind::kTruncate:
      return Truncate(call);
    case Kind::kRead:
      return Read(call);
    case Kind::kOpen:
      return Open(call);
    case Kind::kClose:
      return Close(call);
    case Kind::kFallocate:
      return Fallocate(call);
    case Kind::kCopyFileRange:
      return CopyFileRange(call);
    default:
      return std::nullopt;
  }
}

std::optional<PosixResult> PosixModel::DoAttribute(const Call& call) {
  switch (call.operation.kind_case()) {
    case Kind::kSetattr:
      return SetAttr(call);
    case Kind::kSetxattr:
      return SetXattr(call);
    case Kind::kRemovexattr:
      return RemoveXattr(call);
    case Kind::kSetAcl:
      return SetAcl(call);
    case Kind::kGetAcl:
      return GetAcl(call);
    case Kind::kGetXattr:
      return GetXattr(call);
    case Kind::kListXattr:
      return ListXattr(call);
    case Kind::kLookup:
    case Kind::kReaddir:
    case Kind::kReadlink:
      return Look(call);
    case Kind::kStatFs:
      return StatFs(call);
    case Kind::kSetQuota:
    case Kind::kDeleteQuota:
      return SetQuota(call);
    default:
      return std::nullopt;
  }
}

std::optional<PosixResult> PosixModel::DoSession(const Call& call) {
  const record::Operation& operation = call.operation;
  if (operation.kind_case() == Kind::kSleep) {
    return PosixResult();
  }
  const bool flock = operation.kind_case() == Kind::kFlock;
  if (!flock && operation.kind_case() != Kind::kSetLock && operation.kind_case() != Kind::kGetLock) {
    return std::nullopt;
  }
  // A witness locks through a file that it opens for reading and writing.
  const auto [error, node] = FileOf(call, 0, call.first, 6);
  if (error != 0) {
    return call.first.node == kNoNode ? Refused(error) : InFront(error);
  }
  Touch(node, call.now, false);
  const uint32_t kind = flock ? operation.flock().kind() : operation.has_set_lock() ? operation.set_lock().kind() : operation.get_lock().kind();
  if (kind > 2 || operation.set_lock().start() > operation.set_lock().end() || operation.get_lock().start() > operation.get_lock().end()) {
    return Refused(EINVAL);
  }
  PosixResult result;
  if (flock) {
    result.error = locks_.Flock(node, {call.session, operation.flock().owner()}, operation.flock().kind());
  } else if (operation.kind_case() == Kind::kSetLock) {
    const record::SetLock& lock = operation.set_lock();
    result.error = locks_.SetLock(node, {call.session, lock.owner()}, lock.kind(), lock.start(), lock.end());
  } else {
    const record::GetLock& lock = operation.get_lock();
    result.lock = locks_.GetLock(node, {call.session, lock.owner()}, lock.kind(), lock.start(), lock.end());
  }
  return result;
}

bool PosixModel::MayAccess(NodeId id, const record::Operation& caller, uint32_t mask) const {
  if (caller.uid() == 0) {
    return true;
  }
  const PosixNode& node = tree_.at(id);
  const uint32_t group_bits = node.mode >> 3 & 7;
  if (caller.uid() == node.uid) {
    return (node.mode >> 6 & mask) == mask;
  }
  if (node.access.has_value() && group_bits != 0) {
    // With nothing left to the group Linux does not look at the ACL, and its names are others.
    const PosixAcl& acl = *node.access;
    const uint32_t bound = acl.mask == 0xFFFF ? 7 : acl.mask;
    const auto user = acl.users.find(caller.uid());
    if (user != acl.users.end()) {
      return (user->second & bound & mask) == mask;
    }
    const auto group = acl.groups.find(caller.gid());
    const bool in_group = caller.gid() == node.gid || group != acl.groups.end();
    if (in_group) {
      const bool owning = caller.gid() == node.gid && (acl.group & bound & mask) == mask;
      return owning || (group != acl.groups.end() && (group->second & bound & mask) == mask);
    }
    return (acl.other & mask) == mask;
  }
  return ((caller.gid() == node.gid ? group_bits : node.mode & 7) & mask) == mask;
}

int PosixModel::CheckRemovable(NodeId parent, NodeId node, const record::Operation& caller) const {
  if (!MayAccess(parent, caller, 3)) {
    return EACCES;
  }
  const PosixNode& directory = tree_.at(parent);
  const bool sticky = (directory.mode & 01000) != 0 && caller.uid() != 0 && caller.uid() != directory.uid;
  return sticky && caller.uid() != tree_.at(node).uid ? EPERM : 0;
}

int PosixModel::CheckLimits(NodeId parent, int64_t space, int64_t inodes, uint32_t uid, uint32_t gid) const {
  if (space <= 0 && inodes <= 0) {
    return 0;
  }
  const auto over = [space, inodes](const Limit& limit, uint64_t used_space, uint64_t used_inodes) {
    return (space > 0 && limit.space_max > 0 && used_space + static_cast<uint64_t>(space) > limit.space_max) ||
           (inodes > 0 && limit.inodes_max > 0 && used_inodes + static_cast<uint64_t>(inodes) > limit.inodes_max);
  };
  const auto used = [this](auto belongs) {
    std::pair<uint64_t, uint64_t> sum;
    for (const auto& [id, node] : tree_.nodes()) {
      if (id > kTrashNode && !node.gone && belongs(id, node)) {
        sum.first += node.Space();
        sum.second += 1;
      }
    }
    return sum;
  };
  const auto user = user_limits_.find(uid);
  if (user != user_limits_.end()) {
    const auto [space_used, inodes_used] = used([uid](NodeId, const PosixNode& node) { return node.uid == uid; });
    if (over(user->second, space_used, inodes_used)) {
      return EDQUOT;
    }
  }
  const auto group = group_limits_.find(gid);
  if (group != group_limits_.end()) {
    const auto [space_used, inodes_used] = used([gid](NodeId, const PosixNode& node) { return node.gid == gid; });
    if (over(group->second, space_used, inodes_used)) {
      return EDQUOT;
    }
  }
  if (over({options_.capacity_bytes, options_.inodes_max}, tree_.UsedSpace(), tree_.UsedInodes())) {
    return ENOSPC;
  }
  for (const auto& [directory, limit] : directory_limits_) {
    if (parent != directory && !tree_.IsBelow(parent, directory)) {
      continue;
    }
    const auto [space_used, inodes_used] = used([this, top = directory](NodeId id, const PosixNode&) { return tree_.IsBelow(id, top); });
    if (over(limit, space_used, inodes_used)) {
      return EDQUOT;
    }
  }
  return 0;
}

}  // namespace kvjury::judge
