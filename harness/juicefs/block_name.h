// BlockName: what the object of one block of a slice is called in a volume's bucket.
//
// A slice is cut into blocks of the setting's BlockSize, the last one shorter; names carry slice id, number and size before compression.
// Source: JuiceFS 1.4, chunk store; the names agree with the objects of real volumes. Units: bytes.
#pragma once

#include <cstdint>
#include <string>

namespace kvjury::juicefs {

/// Behind "VOLUME/chunks/": "0/1/1234_0_4194304", or with HashPrefix "D2/0/1234_0_4194304".
std::string BlockName(bool hash_prefix, uint64_t slice, uint64_t index, uint64_t bytes);

}  // namespace kvjury::juicefs
