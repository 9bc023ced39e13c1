// WrittenBytes: what a Write of a case puts into a file: a pattern that seed and place alone decide.
//
// Any part can be made without the rest, so that a test or a judge that knows an operation's seed knows every byte that it wrote.
// Neighbouring seeds share no stretch. Units: bytes, counted from the first one of the operation.
#pragma once

#include <cstdint>
#include <string_view>

#include "fakes/base/bytes.h"

namespace kvjury::juicefs {

/// The seed of an operation: `asked` (Write.seed), or one made from the operation's label ("w1/op6") where that is 0.
uint64_t SeedOfWrite(std::string_view operation_label, uint64_t asked);

/// `length` bytes from `begin` of what an operation with this seed writes.
Bytes WrittenBytes(uint64_t seed, uint64_t begin, uint64_t length);

}  // namespace kvjury::juicefs
