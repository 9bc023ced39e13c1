// How each field of an answer is compared: what belongs to a cluster is mapped or checked for sense, all else must be equal.
//
// One table by full field name, one by plain name for what is named alike in many messages; a field that stands in neither is
// compared as it is. Source: which values two real clusters of one version do not share (kvproto of TiKV 8.5).
#pragma once

#include <google/protobuf/descriptor.h>

namespace kvjury::drift {

enum class FieldRule {
  kSame,       // equal
  kNoise,      // not looked at: timing
  kOwn,        // the cluster's own: set on both sides or on neither, lists of one length
  kClusterId,  // these four: the recorded one's counterpart
  kStoreId,
  kRegionId,
  kPeerId,
  kConfVersion,  // these two: as far from the region's first known epoch as recorded
  kVersion,
  kLeader,       // any of the peers of the region beside it
  kText,         // equal but for ids and epochs inside
  kFileName,     // a backup's file: ids and epoch mapped, thirteen digits of milliseconds, the rest equal
  kFolder,       // in requests: the folder that the target may write to
  kDigest,       // of bytes that RocksDB chose: of one length
  kSecondsLeft,  // five seconds apart at most, or both without an end
};

FieldRule RuleOf(const google::protobuf::FieldDescriptor& field);

}  // namespace kvjury::drift
