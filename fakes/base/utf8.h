// UTF-8: the character at the front of bytes, and whether bytes are text. No surrogates, nothing overlong, up to U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvjury {

/// Length of the valid character at the front of `text`, which must not be empty; 0 if there is none. Fills in `character`.
size_t Utf8Length(std::string_view text, uint32_t* character);

bool IsUtf8(std::string_view text);

}  // namespace kvjury
