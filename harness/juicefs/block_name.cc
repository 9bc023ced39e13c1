#include "harness/juicefs/block_name.h"

#include <fmt/format.h>

namespace kvjury::juicefs {

std::string BlockName(bool hash_prefix, uint64_t slice, uint64_t index, uint64_t bytes) {
  const uint64_t millions = slice / 1'000'000;
  return hash_prefix ? fmt::format("{:02X}/{}/{}_{}_{}", slice % 256, millions, slice, index, bytes)
                     : fmt::format("{}/{}/{}_{}_{}", millions, slice / 1'000, slice, index, bytes);
}

}  // namespace kvjury::juicefs
