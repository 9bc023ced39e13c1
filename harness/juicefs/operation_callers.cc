#include "harness/juicefs/operation_callers.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace kvjury::juicefs {

namespace {

constexpr std::array<record::Operation::KindCase, 17> kAskedByOthers = {
    record::Operation::kMkdir,   record::Operation::kCreate,   record::Operation::kMknod,       record::Operation::kSymlink, record::Operation::kLink,
    record::Operation::kUnlink,  record::Operation::kRmdir,    record::Operation::kRename,      record::Operation::kSetattr, record::Operation::kSetxattr,
    record::Operation::kReaddir, record::Operation::kLookup,   record::Operation::kRemovexattr, record::Operation::kRead,    record::Operation::kGetXattr,
    record::Operation::kSetAcl,  record::Operation::kGetAcl,
};

}  // namespace

void CallerDraw::Draw(RandomStream* random, record::Operation* operation) {
  const bool can_be = std::find(kAskedByOthers.begin(), kAskedByOthers.end(), operation->kind_case()) != kAskedByOthers.end();
  if (!random->Chance(callers_ppm_) || !can_be) {
    return;
  }
  uint32_t uid = kFirstUser + static_cast<uint32_t>(random->Below(kUsers));
  Bytes* path = nullptr;
  if (operation->has_mkdir() || operation->has_create()) {
    owned_.emplace_back(operation->has_mkdir() ? operation->mkdir().path() : operation->create().path(), uid);
  } else if (operation->has_setattr()) {
    path = operation->mutable_setattr()->mutable_path();
    if (operation->setattr().has_mode()) {
      operation->mutable_setattr()->set_mode(operation->setattr().mode() & 05777);
    }
  } else if (operation->has_setxattr()) {
    path = operation->mutable_setxattr()->mutable_path();
  } else if (operation->has_set_acl()) {
    path = operation->mutable_set_acl()->mutable_path();
  }
  if (path != nullptr && !owned_.empty() && random->Chance(600'000)) {
    std::tie(*path, uid) = random->Pick(owned_);
  }
  operation->set_uid(uid);
  operation->set_gid(uid);
}

}  // namespace kvjury::juicefs
