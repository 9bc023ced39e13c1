// What `juicefs load` makes of a JSON dump: the keys and values of a new volume, read and put in one pass.
//
// As juicefs 1.4 does it: counters are made from what was seen (nextInode the highest inode + 1, nextChunk the highest slice + 1, nextSession
// 0), links, parents, slice references, directory statistics and usage of quotas are counted anew, ACL rules are numbered in order of
// appearance, the root becomes inode 1. Of an inode that stands in several places the first one is taken; the others make it a hard link,
// a directory, too. Sustained files, sessions and the change log are dropped. How this differs from what the dump says of the volume
// (dump_json.h): that one shows the dump, this one the volume that is made from it.
// Memory: one path of the tree, 32 bytes an inode and 16 a slice record. Not made: with a change log in the setting the real program
// adds records of its own transactions, whose keys are timestamps.
// Source: JuiceFS 1.4, load (KV engine).
#pragma once

#include "fakes/base/byte_stream.h"
#include "harness/juicefs/load_target.h"

namespace kvjury::juicefs {

/// `source` is decompressed already; `file_name` is for messages. Keys without a prefix. A target that was given pairs before an error
/// holds a part of a volume. Errors: kDataLoss with the file and what was expected; what `source` or `target` returned.
/// `bugs`: guards that are taken away, of a simulated load; may be null.
Result<LoadReport> LoadDumpJson(const std::string& file_name, ByteSource* source, LoadTarget* target, sim::PlantedBugs* bugs = nullptr);

}  // namespace kvjury::juicefs
