#include "fakes/ports/preface.h"

#include <algorithm>
#include <cctype>

namespace kvjury::ports {

namespace {

constexpr char kTlsHandshake = 0x16;
constexpr char kTlsMajor = 0x03;
// The longest method name that a request line may begin with ("DELETE", "OPTIONS", "CONNECT").
constexpr size_t kMethodSizeMax = 16;

}  // namespace

Speech Recognize(std::string_view bytes) {
  if (bytes.empty()) {
    return Speech::kNeedMore;
  }
  if (bytes[0] == kTlsHandshake) {
    return bytes.size() == 1 ? Speech::kNeedMore : bytes[1] == kTlsMajor ? Speech::kTls : Speech::kGarbage;
  }
  const std::string_view head = bytes.substr(0, kHttp2Preface.size());
  if (kHttp2Preface.starts_with(head)) {
    return head.size() == kHttp2Preface.size() ? Speech::kHttp2 : Speech::kNeedMore;
  }
  const size_t space = bytes.find(' ');
  const std::string_view method = bytes.substr(0, space);
  if (method.empty() || method.size() > kMethodSizeMax ||
      !std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return Speech::kGarbage;
  }
  return space == std::string_view::npos ? Speech::kNeedMore : Speech::kHttp1;
}

}  // namespace kvjury::ports
