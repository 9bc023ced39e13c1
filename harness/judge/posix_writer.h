// What a session of ours answered (harness/juicefs/writer.h), in the words of POSIX.
//
// What the session did not look at is left out: bytes of a read without blocks, for example. Not here: what the operation did to the keys.
#pragma once

#include "harness/juicefs/writer.h"
#include "harness/judge/posix_result.h"

namespace kvjury::judge {

PosixResult ResultOfWriter(const record::Operation& operation, const juicefs::OperationResult& seen);

/// The inode that the operation made; invalid: none.
Inode InodeMadeBy(const juicefs::OperationResult& seen);

}  // namespace kvjury::judge
