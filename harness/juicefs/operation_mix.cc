#include "harness/juicefs/operation_mix.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "harness/juicefs/constants.h"
#include "harness/juicefs/operation_mix_draw.h"

namespace kvjury::juicefs {

namespace {

using Kind = record::Operation::KindCase;

constexpr std::array<std::pair<Kind, uint64_t>, kOperationKinds> kWeights = {{
    {record::Operation::kMkdir, 10},    {record::Operation::kCreate, 16},    {record::Operation::kMknod, 2},
    {record::Operation::kWrite, 16},    {record::Operation::kTruncate, 5},   {record::Operation::kLink, 5},
    {record::Operation::kSymlink, 3},   {record::Operation::kUnlink, 9},     {record::Operation::kRmdir, 5},
    {record::Operation::kRename, 14},   {record::Operation::kSetattr, 5},    {record::Operation::kSetxattr, 5},
    {record::Operation::kRemovexattr, 4}, {record::Operation::kReaddir, 2},  {record::Operation::kLookup, 2},
    {record::Operation::kRead, 4},      {record::Operation::kOpen, 4},       {record::Operation::kClose, 3},
    {record::Operation::kFallocate, 4}, {record::Operation::kCopyFileRange, 4}, {record::Operation::kClone, 3},
    {record::Operation::kCompact, 2},   {record::Operation::kRemoveTree, 1}, {record::Operation::kGetXattr, 2},
    {record::Operation::kListXattr, 1}, {record::Operation::kReadlink, 2},   {record::Operation::kFlock, 3},
    {record::Operation::kSetLock, 4},   {record::Operation::kGetLock, 2},    {record::Operation::kSetAcl, 5},
    {record::Operation::kGetAcl, 3},    {record::Operation::kStatFs, 2},     {record::Operation::kSetQuota, 3},
    {record::Operation::kDeleteQuota, 2}, {record::Operation::kRestoreTrash, 2},
}};

bool IsDrawn(Kind kind, const MixOptions& options) {
  switch (kind) {
    case record::Operation::kSetAcl:
    case record::Operation::kGetAcl:
      return options.acl;
    case record::Operation::kSetQuota:
    case record::Operation::kDeleteQuota:
      return options.quotas;
    case record::Operation::kRestoreTrash:
      return !options.trash_hour.empty();
    default:
      return true;
  }
}

}  // namespace

Mix::Mix(RandomStream* random, const MixOptions& options, PathPicture* picture)
    : random_(*random), options_(options), picture_(*picture), own_(fmt::format("own-{}", options.writer)), callers_(options.callers_ppm) {
  if (picture_.directories.empty()) {
    picture_.directories.push_back("");
  }
}

record::Operation Mix::Draw(uint32_t number) {
  record::Operation operation;
  operation.set_id(options_.first_id + number);
  if (number == 0) {
    operation.mutable_mkdir()->set_path(own_);
    operation.mutable_mkdir()->set_mode(0755);
    picture_.directories.push_back(own_);
    return operation;
  }
  if (!flagged_.empty() && random_.Chance(250'000)) {
    operation.mutable_setattr()->set_path(flagged_.back());
    operation.mutable_setattr()->set_flags(0);
    flagged_.pop_back();
    return operation;
  }
  DrawOf(DrawKind(), &operation);
  callers_.Draw(&random_, &operation);
  return operation;
}

void Mix::DrawOf(Kind kind, record::Operation* operation) {
  switch (kind) {
    case record::Operation::kMkdir:
    case record::Operation::kCreate:
    case record::Operation::kMknod:
    case record::Operation::kSymlink:
    case record::Operation::kLink:
      DrawCreation(operation);
      break;
    case record::Operation::kWrite:
    case record::Operation::kTruncate:
    case record::Operation::kRead:
      DrawData(operation);
      break;
    case record::Operation::kOpen:
    case record::Operation::kClose:
      DrawHandle(operation);
      break;
    case record::Operation::kFallocate:
    case record::Operation::kCopyFileRange:
      DrawRange(operation);
      break;
    case record::Operation::kClone:
    case record::Operation::kCompact:
    case record::Operation::kRemoveTree:
      DrawTree(operation);
      break;
    case record::Operation::kUnlink:
    case record::Operation::kRmdir:
    case record::Operation::kRename:
      DrawMove(operation);
      break;
    case record::Operation::kFlock:
    case record::Operation::kSetLock:
    case record::Operation::kGetLock:
      DrawLock(operation);
      break;
    case record::Operation::kSetAcl:
    case record::Operation::kGetAcl:
      DrawAcl(operation);
      break;
    case record::Operation::kSetattr:
      DrawSetAttr(operation);
      break;
    case record::Operation::kSetQuota:
    case record::Operation::kDeleteQuota:
      DrawQuota(operation);
      break;
    case record::Operation::kRestoreTrash:
      operation->mutable_restore_trash()->set_hour(options_.trash_hour);
      operation->mutable_restore_trash()->set_put_back(random_.Chance(600'000));
      break;
    default:
      DrawAttribute(operation);
      break;
  }
}

Kind Mix::DrawKind() {
  uint64_t total = 0;
  for (const auto& [kind, weight] : kWeights) {
    total += IsDrawn(kind, options_) ? weight : 0;
  }
  uint64_t drawn = random_.Below(total);
  kind_ = kWeights[0].first;
  for (const auto& [kind, weight] : kWeights) {
    if (!IsDrawn(kind, options_)) {
      continue;
    }
    if (drawn < weight) {
      kind_ = kind;
      break;
    }
    drawn -= weight;
  }
  return kind_;
}

Bytes Mix::NewPath() {
  const Bytes directory = Directory();
  Bytes name = fmt::format("n{}", random_.Below(options_.names));
  if (random_.Chance(10'000)) {
    name = "\xff\xfe\xfd raw";  // not UTF-8
  }
  if (options_.odd_path_ppm > 0 && random_.Chance(options_.odd_path_ppm)) {
    return OddPath(directory, name);
  }
  return directory.empty() ? name : directory + "/" + name;
}

Bytes Mix::OddPath(const Bytes& directory, const Bytes& name) {
  const Bytes prefix = directory.empty() ? directory : directory + "/";
  switch (random_.Below(6)) {
    case 0:
      return prefix + Bytes(kNameBytesMax, 'l');
    case 1:
      return prefix + Bytes(kNameBytesMax + 1, 'l');
    case 2:
      return prefix + "/./" + name;
    case 3:
      return prefix + "missing/" + name;
    case 4:
      return (picture_.files.empty() ? name : random_.Pick(picture_.files)) + "/" + name;
    default:
      return prefix + "caf\xc3\xa9 \n\t\x01";
  }
}

Bytes Mix::File() {
  if (!flagged_.empty() && random_.Chance(200'000)) {
    return flagged_.back();
  }
  if (picture_.files.empty() || random_.Chance(100'000)) {
    return NewPath();
  }
  return random_.Pick(picture_.files);
}

std::vector<record::Operation> DrawOperations(RandomStream* random, const MixOptions& options, PathPicture* picture) {
  Mix mix(random, options, picture);
  std::vector<record::Operation> operations;
  for (uint32_t i = 0; i < options.operations; ++i) {
    operations.push_back(mix.Draw(i));
  }
  return operations;
}

}  // namespace kvjury::juicefs
