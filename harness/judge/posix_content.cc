#include "harness/judge/posix_content.h"

#include <algorithm>

namespace kvjury::judge {

void FileContent::Cut(uint64_t at) {
  auto after = pieces_.lower_bound(at);
  if (after == pieces_.begin()) {
    return;
  }
  const auto before = std::prev(after);
  Piece& piece = before->second;
  if (before->first + piece.length <= at) {
    return;
  }
  const uint64_t kept = at - before->first;
  pieces_[at] = Piece{piece.length - kept, piece.source, piece.offset + kept};
  piece.length = kept;
}

void FileContent::Clear(uint64_t offset, uint64_t length) {
  Cut(offset);
  Cut(offset + length);
  pieces_.erase(pieces_.lower_bound(offset), pieces_.lower_bound(offset + length));
}

void FileContent::Write(uint64_t offset, const std::shared_ptr<const Bytes>& source) {
  if (source->empty()) {
    return;
  }
  Clear(offset, source->size());
  pieces_[offset] = Piece{source->size(), source, 0};
  length_ = std::max(length_, offset + source->size());
}

void FileContent::Truncate(uint64_t length) {
  if (length < length_) {
    Clear(length, length_ - length);
  }
  length_ = length;
}

void FileContent::Copy(const FileContent& from, uint64_t from_offset, uint64_t to_offset, uint64_t length) {
  FileContent source = from;
  source.Cut(from_offset);
  source.Cut(from_offset + length);
  Clear(to_offset, length);
  for (auto at = source.pieces_.lower_bound(from_offset); at != source.pieces_.end() && at->first < from_offset + length; ++at) {
    pieces_[to_offset + (at->first - from_offset)] = at->second;
  }
  length_ = std::max(length_, to_offset + length);
}

std::vector<std::pair<uint64_t, uint64_t>> FileContent::WrittenRanges() const {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [offset, piece] : pieces_) {
    ranges.emplace_back(offset, piece.length);
  }
  return ranges;
}

Bytes FileContent::Read(uint64_t offset, uint64_t length) const {
  if (offset >= length_) {
    return {};
  }
  const uint64_t end = offset + std::min(length, length_ - offset);
  Bytes bytes(end - offset, '\0');
  auto at = pieces_.upper_bound(offset);
  at = at == pieces_.begin() ? at : std::prev(at);
  for (; at != pieces_.end() && at->first < end; ++at) {
    const uint64_t begin = std::max(offset, at->first);
    const uint64_t stop = std::min(end, at->first + at->second.length);
    if (begin < stop) {
      std::copy_n(at->second.source->begin() + static_cast<ptrdiff_t>(at->second.offset + (begin - at->first)), stop - begin,
                  bytes.begin() + static_cast<ptrdiff_t>(begin - offset));
    }
  }
  return bytes;
}

}  // namespace kvjury::judge
