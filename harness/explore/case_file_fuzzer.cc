// Any bytes as the text of a case: a refusal that names the file, or a case that survives being printed and read.
#include <cstddef>
#include <cstdint>

#include "harness/explore/case_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvjury;           // NOLINT: a fuzzer has no other names
  using namespace kvjury::explore;  // NOLINT
  const Result<record::Case> c = ParseCase(std::string(reinterpret_cast<const char*>(data), size), "fuzz.case");
  if (!c.ok()) {
    CHECK(c.status().message().rfind("fuzz.case", 0) == 0) << c.status().ToString();
    return 0;
  }
  CHECK(CheckCase(*c).ok());
  const Result<record::Case> again = ParseCase(CaseText(*c, "fuzz"), "again.case");
  CHECK(again.ok()) << again.status().ToString();
  CHECK(CaseText(*again, "fuzz") == CaseText(*c, "fuzz"));
  return 0;
}
