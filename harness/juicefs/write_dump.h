// Dumps of our own: the records of a volume written as `juicefs dump` of 1.4 writes them, in JSON or binary, in one pass and with memory for
// one path of the tree or one batch of records.
//
// The JSON text is byte for byte that of the real program over the same records. A binary dump is, up to what chance decides there: its
// threads hand records over in any order, and a hash table orders the last batches and the footer. Here everything is in key
// order; BinaryDumpOrder asks for another one, which is how a recorded dump is made again.
// Not modelled: that a walk of a live volume reads every inode at another time (harness/backup has that), dumps of juicefs before 1.4.
#pragma once

#include "harness/juicefs/dump_entry.h"
#include "harness/juicefs/dump_segments.h"

namespace kvjury::juicefs {

/// Keys of `records` without a prefix. `to` is not finished. Errors: kNotFound (no setting; no record of the root in a fast dump),
/// kDataLoss where juicefs fails or would never end: attributes or names that do not parse, an ACL rule that is not there, a directory
/// inside itself; those of the sink.
Result<DumpReport> WriteDumpJson(const KeyValues& records, const DumpOptions& options, ByteSink* to);

/// What chance decides in the real program. Each list names every kind that it is about once.
struct BinaryDumpOrder {
  /// In which order the last batches of a tree's kinds are written.
  std::vector<SegmentKind> last_batches = {SegmentKind::kNode,    SegmentKind::kEdge,  SegmentKind::kChunk,
                                           SegmentKind::kSymlink, SegmentKind::kXattr, SegmentKind::kParent};
  /// In which order the footer lists the kinds. Those without a segment are left out; an empty list is by number.
  std::vector<SegmentKind> footer;
};

/// Of the options only keep_secrets matters, as there. `to` is not finished. Errors: as WriteDumpJson; kUnsupported for an xattr whose name is
/// not UTF-8, at which the real program fails, too.
Result<DumpReport> WriteDumpBinary(const KeyValues& records, const DumpOptions& options, ByteSink* to, const BinaryDumpOrder& order = {});

}  // namespace kvjury::juicefs
