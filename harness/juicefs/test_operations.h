// Test support: operations by their arguments.
#pragma once

#include "fakes/base/bytes.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

inline constexpr int64_t kNoLimitSpace = int64_t{1} << 40;
inline constexpr int64_t kNoLimitInodes = 1'000'000;

inline record::Operation MkdirOp(const Bytes& path) {
  record::Operation operation;
  operation.mutable_mkdir()->set_path(path);
  operation.mutable_mkdir()->set_mode(0755);
  return operation;
}

inline record::Operation RenameOp(const Bytes& from, const Bytes& to, uint32_t flags = 0) {
  record::Operation operation;
  operation.mutable_rename()->set_from(from);
  operation.mutable_rename()->set_to(to);
  operation.mutable_rename()->set_flags(flags);
  return operation;
}

inline record::Operation LinkOp(const Bytes& from, const Bytes& to) {
  record::Operation operation;
  operation.mutable_link()->set_from(from);
  operation.mutable_link()->set_to(to);
  return operation;
}

inline record::Operation CloneOp(const Bytes& from, const Bytes& to) {
  record::Operation operation;
  operation.mutable_clone()->set_from(from);
  operation.mutable_clone()->set_to(to);
  return operation;
}

inline record::Operation TruncateOp(const Bytes& path, uint64_t length) {
  record::Operation operation;
  operation.mutable_truncate()->set_path(path);
  operation.mutable_truncate()->set_length(length);
  return operation;
}

inline record::Operation SetQuotaOp(const Bytes& path, int64_t space_max, int64_t inodes_max) {
  record::Operation operation;
  operation.mutable_set_quota()->set_path(path);
  operation.mutable_set_quota()->set_space_max(static_cast<uint64_t>(space_max));
  operation.mutable_set_quota()->set_inodes_max(static_cast<uint64_t>(inodes_max));
  return operation;
}

}  // namespace kvjury::juicefs
