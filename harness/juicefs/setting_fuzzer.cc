// Any setting text: unchanged it comes back as it was; written anew it says the same.
#include <cstddef>
#include <cstdint>

#include "harness/juicefs/format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::juicefs;  // NOLINT
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<Setting> setting = DecodeSetting(text);
  if (setting.ok()) {
    CHECK(EncodeSetting(*setting) == text);
    const Result<Setting> again = DecodeSetting(EncodeFormat(setting->format));
    CHECK(again.ok()) << again.status().ToString();
    CHECK(again->format == setting->format) << EncodeFormat(setting->format);
    CHECK(SettingWithoutCredentials(text).ok());
  }
  return 0;
}
