#include "harness/explore/forge.h"

#include <vector>

#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/sst_file.h"

namespace kvjury::explore {

namespace {

constexpr size_t kTriesMax = 64;

std::optional<Bytes> WriteAll(const std::vector<tikv::SstEntry>& entries, tikv::SstCodec codec) {
  std::unique_ptr<tikv::SstFileWriter> writer = tikv::MakeSstFileWriter(codec, tikv::SstCompression::kZstd);
  for (const tikv::SstEntry& entry : entries) {
    if (!writer->Add(entry.key, entry.value).ok()) {
      return std::nullopt;
    }
  }
  Result<Bytes> bytes = writer->Finish();
  return bytes.ok() ? std::optional<Bytes>(*std::move(bytes)) : std::nullopt;
}

// The record with one bit of its short value turned; nothing if it has none.
std::optional<Bytes> TurnBit(std::string_view value) {
  Result<WriteRecord> write = WriteRecord::Decode(value);
  if (!write.ok() || write->type != WriteType::kPut || !write->short_value.has_value() || write->short_value->empty()) {
    return std::nullopt;
  }
  write->short_value->back() = static_cast<char>(write->short_value->back() ^ 1);
  return write->Encode();
}

}  // namespace

std::optional<Bytes> ForgeSst(std::string_view sst) {
  Result<std::unique_ptr<tikv::SstFileReader>> reader = tikv::SstFileReader::Open(sst);
  if (!reader.ok()) {
    return std::nullopt;
  }
  std::vector<tikv::SstEntry> entries;
  const Status read = (*reader)->Visit([&entries](std::string_view key, std::string_view value) {
    entries.push_back({Bytes(key), Bytes(value)});
    return Status::Ok();
  });
  if (!read.ok()) {
    return std::nullopt;
  }
  size_t tries = 0;
  for (tikv::SstEntry& entry : entries) {
    const std::optional<Bytes> turned = TurnBit(entry.value);
    if (!turned.has_value() || tries == kTriesMax) {
      continue;
    }
    ++tries;
    Bytes former = std::exchange(entry.value, *turned);
    std::optional<Bytes> other = WriteAll(entries, (*reader)->codec());
    if (other.has_value() && other->size() == sst.size()) {
      return other;
    }
    entry.value = std::move(former);
  }
  return std::nullopt;
}

}  // namespace kvjury::explore
