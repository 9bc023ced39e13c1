// FileContent: the bytes of one file, as pieces of what was written; everything between is zeros.
//
// Costs by pieces, not by length: a hole of a terabyte is none. Copies share the written bytes. Also: what a Write of a case writes.
// Determinism: pure. Units: bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::judge {

class FileContent {
 public:
  [[nodiscard]] uint64_t length() const { return length_; }

  /// `length` bytes at `offset` are those of `source` from its start; the file grows to hold them.
  void Write(uint64_t offset, const std::shared_ptr<const Bytes>& source);
  /// Bytes at and after `length` are gone; a longer file ends with zeros.
  void Truncate(uint64_t length);
  /// Zeros; the length stays.
  void Clear(uint64_t offset, uint64_t length);
  /// What `from` has there. The file grows to hold it. The caller keeps within `from`'s length; both may be one file.
  void Copy(const FileContent& from, uint64_t from_offset, uint64_t to_offset, uint64_t length);
  /// Less than `length` at the end of the file; none behind it.
  [[nodiscard]] Bytes Read(uint64_t offset, uint64_t length) const;
  /// Offset and length of each stretch that was written, in order.
  [[nodiscard]] std::vector<std::pair<uint64_t, uint64_t>> WrittenRanges() const;

 private:
  struct Piece {
    uint64_t length = 0;
    std::shared_ptr<const Bytes> source;
    uint64_t offset = 0;  // in the source
  };
  /// Afterwards a piece begins at `at`, or none covers it.
  void Cut(uint64_t at);

  std::map<uint64_t, Piece> pieces_;  // by offset; they do not overlap
  uint64_t length_ = 0;
};

}  // namespace kvjury::judge
