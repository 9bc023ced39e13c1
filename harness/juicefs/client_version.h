// Which clients may mount a volume: MetaVersion, MinClientVersion and MaxClientVersion of its setting.
//
// Versions are "1.4.2+build" or "1.1.0-A": up to three numbers, then perhaps a pre-release, compared as text; a release is above its
// pre-releases; what stands behind '+' does not count. A text that is no version makes every client refuse.
// Source: JuiceFS 1.0 to 1.4, which all write MetaVersion 1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fakes/base/status.h"
#include "harness/juicefs/format.h"

namespace kvjury::juicefs {

inline constexpr int64_t kMetaVersionMax = 1;

struct ClientVersion {
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t patch = 0;
  std::string pre_release;
};

/// Errors: kInvalidArgument for what a client takes for no version.
Result<ClientVersion> ParseClientVersion(std::string_view text);

/// Negative, zero, positive: `a` is older, the same, newer.
int CompareClientVersions(const ClientVersion& a, const ClientVersion& b);

/// Errors: kRejected with the reason for which a client of that version does not mount the volume.
Status CheckMayMount(const Format& format, const ClientVersion& client);

/// Errors: kRejected when no client at all may.
Status CheckSomeClientMayMount(const Format& format);

}  // namespace kvjury::juicefs
