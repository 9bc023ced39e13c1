// Any first bytes lead to one decision, which more bytes do not change.
#include <cstdint>
#include <cstdlib>

#include "fakes/ports/preface.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvjury::ports::Recognize;
  using kvjury::ports::Speech;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Speech before = Speech::kNeedMore;
  for (size_t i = 0; i <= bytes.size(); ++i) {
    const Speech now = Recognize(bytes.substr(0, i));
    if (before != Speech::kNeedMore && now != before) {
      std::abort();
    }
    before = now;
  }
  return 0;
}
