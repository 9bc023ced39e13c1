// Mix: one writer's draws, an operation at a time; what operation_mix.h promises is made of it. Private to the mix.
//
// It remembers roughly what its own operations would make (picture, xattrs, handles, locks), so that most operations meet something.
#pragma once

#include <utility>
#include <vector>

#include "harness/juicefs/operation_callers.h"
#include "harness/juicefs/operation_mix.h"

namespace kvjury::juicefs {

class Mix {
 public:
  Mix(RandomStream* random, const MixOptions& options, PathPicture* picture);

  record::Operation Draw(uint32_t number);

 private:
  using Kind = record::Operation::KindCase;

  // operation_mix.cc
  void DrawOf(Kind kind, record::Operation* operation);
  Kind DrawKind();
  Bytes Directory() { return random_.Chance(options_.own_ppm) ? own_ : random_.Pick(picture_.directories); }
  Bytes NewPath();
  Bytes OddPath(const Bytes& directory, const Bytes& name);
  Bytes File();
  /// In one of the two folders that are nearly always there.
  [[nodiscard]] bool IsNear(const Bytes& path) const { return path.substr(0, path.rfind('/') + 1) == own_ + "/" || path.find('/') == Bytes::npos; }
  /// The newest one, which is there more often than what was made long ago; or any.
  Bytes NewFile() { return !new_file_.empty() && random_.Chance(600'000) ? new_file_ : File(); }
  Bytes Anything() { return random_.Chance(300'000) ? random_.Pick(picture_.directories) : File(); }

  // operation_mix_contents.cc
  void DrawCreation(record::Operation* operation);
  /// Mostly near the beginning; sometimes across the end of a chunk.
  uint64_t Offset();
  /// 0: by path. Handles that were never opened, or closed again, are rare.
  uint32_t Handle();
  void DrawData(record::Operation* operation);
  void DrawHandle(record::Operation* operation);
  void DrawRange(record::Operation* operation);
  void DrawTree(record::Operation* operation);
  void DrawMove(record::Operation* operation);

  // operation_mix_attributes.cc
  void DrawSetAttr(record::Operation* operation);
  /// Of few files, so that owners meet.
  void DrawLock(record::Operation* operation);
  void DrawAcl(record::Operation* operation);
  void DrawQuota(record::Operation* operation);
  void DrawAttribute(record::Operation* operation);

  RandomStream& random_;
  const MixOptions& options_;
  PathPicture& picture_;
  Bytes own_;
  std::vector<std::pair<Bytes, Bytes>> xattrs_;  // set by this writer: path and name
  std::vector<uint32_t> open_;                   // handles that this writer believes to be open
  Bytes new_file_;
  Bytes new_directory_;
  std::vector<Bytes> links_;
  std::vector<Bytes> flagged_;  // that still forbid something
  Bytes locked_;                // where the last lock was asked for
  std::vector<Bytes> with_acl_;
  std::vector<record::SetQuota> quotas_;  // set by this writer
  CallerDraw callers_;
  Kind kind_ = record::Operation::KIND_NOT_SET;
};

}  // namespace kvjury::juicefs
