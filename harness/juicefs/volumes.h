// Volumes inside the key space of a whole cluster.
//
// A volume NAME owns the keys [NAME FD, NAME FE). Which volumes exist is told by their `setting` keys alone; keys of
// other applications, or of a volume whose setting is gone, belong to none and are returned as the remainder.
// Source: JuiceFS 1.4, TiKV client: prefix = path of the metadata address + byte 0xFD.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::juicefs {

/// Pairs of one volume, keys without the volume's prefix; or of a whole cluster with full keys.
using KeyValues = std::map<Bytes, Bytes>;

/// NAME + 0xFD.
Bytes VolumePrefix(std::string_view volume_name);

/// Names of the volumes that have a setting key among the full keys, in byte order. `sorted_keys` must be ascending.
/// A name that itself lies inside another volume's range (its path holds byte 0xFD) is taken for a key of that volume.
std::vector<Bytes> FindVolumes(const std::vector<Bytes>& sorted_keys);
std::vector<Bytes> FindVolumes(const KeyValues& pairs);

/// The pairs of one volume, prefix removed. Empty if there are none.
KeyValues SelectVolume(const KeyValues& pairs, std::string_view volume_name);

struct VolumePairs {
  Bytes name;             // empty also for pairs that carry no prefix
  bool prefixed = false;  // false: the keys stood there without any prefix
  KeyValues pairs;
};

struct VolumeSplit {
  std::vector<VolumePairs> volumes;
  KeyValues remainder;  // full keys that belong to no volume
};

/// Splits a key space into its volumes. Pairs with a bare `setting` key are one volume without prefix.
VolumeSplit SplitVolumes(const KeyValues& pairs);

}  // namespace kvjury::juicefs
