#include "harness/juicefs/kv_text.h"

#include <fmt/format.h>

#include "fakes/base/compress.h"

namespace kvjury::juicefs {

namespace {

Status ParseLine(std::string_view line, KeyValues* pairs) {
  const size_t separator = line.find_first_of("\t ");
  if (separator == std::string_view::npos) {
    return Status::DataLoss("expected a hex key, a tab or space, and a hex value");
  }
  const Result<Bytes> key = FromHex(line.substr(0, separator));
  if (!key.ok()) {
    return Status::DataLoss("expected a hex key: " + key.error().message());
  }
  Result<Bytes> value = FromHex(line.substr(separator + 1));
  if (!value.ok()) {
    return Status::DataLoss("expected a hex value after the key: " + value.error().message());
  }
  if (!pairs->emplace(*key, *std::move(value)).second) {
    return Status::DataLoss("expected every key once, found " + std::string(line.substr(0, separator)) + " again");
  }
  return Status::Ok();
}

}  // namespace

Result<KeyValues> ParseKvText(const std::string& file_name, std::string_view file_bytes, size_t text_bytes_max) {
  const Result<Bytes> decompressed = DecompressByMagic(file_bytes, text_bytes_max);
  if (!decompressed.ok()) {
    return decompressed.error().WithContext(file_name);
  }
  KeyValues pairs;
  std::string_view rest = *decompressed;
  for (uint64_t line_number = 1; !rest.empty(); ++line_number) {
    const size_t end = rest.find('\n');
    const Status status = ParseLine(rest.substr(0, end), &pairs);
    if (!status.ok()) {
      return status.WithContext(fmt::format("{} line {}", file_name, line_number));
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return pairs;
}

std::string FormatKvText(const KeyValues& pairs) {
  std::string text;
  for (const auto& [key, value] : pairs) {
    text += ToHex(key);
    text += '\t';
    text += ToHex(value);
    text += '\n';
  }
  return text;
}

}  // namespace kvjury::juicefs
