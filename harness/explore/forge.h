// Forging an SST: another well-formed file of the same length, as an old run or a swapped copy would leave it.
#pragma once

#include <optional>

#include "fakes/base/bytes.h"

namespace kvjury::explore {

/// A file in which one short value of the write column family is another one; nothing if no such file of the same length
/// can be made (no short value, or compression gives another length each time).
std::optional<Bytes> ForgeSst(std::string_view sst);

}  // namespace kvjury::explore
