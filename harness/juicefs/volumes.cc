#include "harness/juicefs/volumes.h"

#include <set>

namespace kvjury::juicefs {

namespace {

constexpr std::string_view kPrefixedSetting = "\xFDsetting";

/// Adds the volume whose setting key this is, if it is one.
class VolumeFinder {
 public:
  // Keys arrive in ascending order; a prefix sorts before its extensions except for the byte after it, so containment is
  // tested at the end and not on the way.
  void Offer(std::string_view key) {
    if (key.size() >= kPrefixedSetting.size() && key.substr(key.size() - kPrefixedSetting.size()) == kPrefixedSetting) {
      candidates_.insert(Bytes(key.substr(0, key.size() - kPrefixedSetting.size())));
    }
  }

  std::vector<Bytes> Take() const {
    std::vector<Bytes> names;
    for (const Bytes& candidate : candidates_) {
      if (!InsideAnother(candidate)) {
        names.push_back(candidate);
      }
    }
    return names;
  }

 private:
  bool InsideAnother(const Bytes& candidate) const {
    for (size_t at = candidate.find('\xFD'); at != Bytes::npos; at = candidate.find('\xFD', at + 1)) {
      if (candidates_.count(candidate.substr(0, at)) != 0) {
        return true;
      }
    }
    return false;
  }

  std::set<Bytes> candidates_;
};

}  // namespace

Bytes VolumePrefix(std::string_view volume_name) {
  Bytes prefix(volume_name);
  prefix.push_back('\xFD');
  return prefix;
}

std::vector<Bytes> FindVolumes(const std::vector<Bytes>& sorted_keys) {
  VolumeFinder finder;
  for (const Bytes& key : sorted_keys) {
    finder.Offer(key);
  }
  return finder.Take();
}

std::vector<Bytes> FindVolumes(const KeyValues& pairs) {
  VolumeFinder finder;
  for (const auto& [key, value] : pairs) {
    finder.Offer(key);
  }
  return finder.Take();
}

KeyValues SelectVolume(const KeyValues& pairs, std::string_view volume_name) {
  const Bytes prefix = VolumePrefix(volume_name);
  KeyValues selected;
  for (auto it = pairs.lower_bound(prefix); it != pairs.end() && it->first.compare(0, prefix.size(), prefix) == 0; ++it) {
    selected.emplace_hint(selected.end(), it->first.substr(prefix.size()), it->second);
  }
  return selected;
}

VolumeSplit SplitVolumes(const KeyValues& pairs) {
  VolumeSplit split;
  if (pairs.count("setting") != 0) {
    split.volumes.push_back({Bytes(), false, pairs});
    return split;
  }
  split.remainder = pairs;
  for (const Bytes& name : FindVolumes(pairs)) {
    split.volumes.push_back({name, true, SelectVolume(pairs, name)});
    const Bytes prefix = VolumePrefix(name);
    split.remainder.erase(split.remainder.lower_bound(prefix), split.remainder.lower_bound(PrefixEnd(prefix)));
  }
  return split;
}

}  // namespace kvjury::juicefs
