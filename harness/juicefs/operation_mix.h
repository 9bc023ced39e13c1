// The mix: drawing what a writer does, as operations of a case.
//
// Every kind has a weight. Offsets lie near the beginning of a file or around the end of its second chunk, never at both ends of one
// chunk, so that a compaction moves kilobytes. Names are few and shared, so that writers collide; each writer also has a directory of its own
// and moves things between both. The picture of existing paths is rough on purpose: nobody knows what other writers did,
// so that some operations fail with every usual errno. Flags that forbid operations are taken back soon, so that most go on succeeding.
// Some operations are asked by others than root (operation_callers.h); a session carries them out without a look at permission bits (writer.h).
// Determinism: one stream, drawn in a fixed order.
#pragma once

#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/random.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

/// What a writer believes to exist.
struct PathPicture {
  std::vector<Bytes> directories;  // the root is "" and always there
  std::vector<Bytes> files;
};

struct MixOptions {
  uint32_t writer = 1;
  uint32_t operations = 50;
  uint32_t first_id = 1;
  /// Different names per directory; fewer collide more often.
  uint32_t names = 12;
  /// Parts per million of the operations that work in the writer's own directory.
  uint32_t own_ppm = 300'000;
  /// Only what a mount has a system call for: nothing skips the trash.
  bool mount_only = false;
  /// Parts per million of the new paths that are odd: names of 255 and 256 bytes, slashes and dots in excess, a file as a directory.
  uint32_t odd_path_ppm = 0;
  /// Also ACLs, which only a volume that was formatted for them takes.
  bool acl = false;
  /// Also quotas of directories, users and groups, set and deleted. Few are so small that anything is refused.
  bool quotas = false;
  /// The hour of the trash that restores are asked of; empty: there are none.
  Bytes trash_hour;
  /// Parts per million of the operations that somebody else than root asks for, where they can be.
  uint32_t callers_ppm = 60'000;
};

inline constexpr int kOperationKinds = 35;
/// That a writer has open at most; they are numbered from 1 on.
inline constexpr uint32_t kMixHandles = 3;

/// Operations with ids from `first_id` on. `picture` grows with what they would make.
std::vector<record::Operation> DrawOperations(RandomStream* random, const MixOptions& options, PathPicture* picture);

}  // namespace kvjury::juicefs
