// Names without their case, for mounts that find a name whatever its case is.
//
// Letters of ASCII, Latin-1, Greek and Cyrillic in UTF-8 are folded, one by one; all other bytes stand for themselves. The real client folds
// every letter of Unicode by the same simple rule. Only its mounts on Windows look names up so. Source: JuiceFS 1.4, resolveCase.
#pragma once

#include <string_view>

#include "fakes/base/bytes.h"

namespace kvjury::juicefs {

/// Equal for two names that differ in case alone.
Bytes FoldCase(std::string_view name);

}  // namespace kvjury::juicefs
