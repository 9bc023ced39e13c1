// The segments of a binary dump, written as their records come: for whoever reads a volume in another way than write_dump.h.
//
// The records of a tree (keys A...) may come in any order; the others come as one segment a kind, in the order of the functions here.
// Source: JuiceFS 1.4, dump --binary.
#pragma once

#include <map>
#include <memory>

#include "harness/juicefs/write_dump.h"

namespace kvjury::juicefs {

class BinaryDumpSegments {
 public:
  /// `to` must outlive it, and is not finished by it; so must `bugs`, which may be null.
  BinaryDumpSegments(ByteSink* to, BinaryDumpOrder order, sim::PlantedBugs* bugs = nullptr);
  ~BinaryDumpSegments();
  BinaryDumpSegments(const BinaryDumpSegments&) = delete;
  BinaryDumpSegments& operator=(const BinaryDumpSegments&) = delete;

  // In this order. Errors of all: those of the sink.

  /// The setting, newly encoded, and the counters.
  Status Head(const DumpHead& head, bool keep_secrets);
  /// One record of the tree; keys of other kinds are passed over. Errors: kDataLoss for one that does not parse; kUnsupported for an xattr
  /// whose name is not UTF-8.
  Status TreeRecord(const Bytes& key, const Bytes& value);
  /// The last batches.
  Status EndTree();
  /// Everything else that a dump keeps, from `records` (those of a tree are passed over), and the footer. Errors: kDataLoss.
  Status Rest(const DumpHead& head, const KeyValues& records);

 private:
  struct Batches;

  Status WriteSegment(SegmentKind kind, const std::string& message, uint64_t count);
  Status WriteBatch(SegmentKind kind);
  Status WriteFooter();

  ByteSink* to_;
  BinaryDumpOrder order_;
  sim::PlantedBugs* bugs_;
  uint64_t position_ = 0;
  struct Written {
    std::vector<uint64_t> offsets;
    uint64_t count = 0;
  };
  std::map<SegmentKind, Written> written_;
  std::unique_ptr<Batches> batches_;
};

}  // namespace kvjury::juicefs
