// Any key and value: what decodes must encode to the same bytes, and an image of it must survive view and invariants.
// Input: one byte of key length, the key, the value; repeated.
#include <cstddef>
#include <cstdint>

#include "harness/juicefs/invariants.h"
#include "harness/juicefs/view.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  KeyValues pairs = {{"setting", "{}"}};
  while (rest.size() >= 2) {
    const auto key_size = static_cast<uint8_t>(rest[0]);
    const auto value_size = static_cast<uint8_t>(rest[1]);
    const std::string_view key = rest.substr(2, key_size);
    const std::string_view value = rest.substr(2 + key.size(), value_size);
    rest.remove_prefix(2 + key.size() + value.size());
    const Result<Record> record = DecodeRecord(key, value);
    if (record.ok()) {
      const auto [key_again, value_again] = EncodeRecord(*record);
      CHECK(key_again == key) << ToHex(key);
      CHECK(value_again == value) << ToHex(key) << " " << ToHex(value);
    }
    CHECK(!DescribeKey(key).empty());
    pairs[Bytes(key)] = Bytes(value);
  }
  const VolumeImage image = BuildImage(pairs);
  CHECK_EQ(image.pair_count, pairs.size());
  CHECK_EQ(CheckInvariants(image).size(), 15u);
  InvariantOptions at_rest;
  at_rest.at_rest = true;
  CHECK_EQ(CheckInvariants(image, at_rest).size(), 22u);
  const Result<View> view = BuildView(image);
  CHECK(!view.ok() || view->entries.size() >= 2);
  return 0;
}
