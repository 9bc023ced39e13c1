#include "reports/text.h"

#include <algorithm>
#include <cstdint>

#include "fakes/base/bytes.h"
#include "fakes/base/utf8.h"
#include "fakes/base/xml.h"

namespace kvjury::reports {
namespace {

/// Characters that are valid and that nobody sees as they are: controls, and marks that turn the direction of a line or end it. The two last
/// of plane 0 are no XML characters.
bool Hidden(uint32_t code) {
  return code == 0xFFFE || code == 0xFFFF || code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

size_t ShownLength(std::string_view text) {
  uint32_t code = 0;
  const size_t length = Utf8Length(text, &code);
  return length == 0 || Hidden(code) ? 0 : length;
}

std::string Latin1(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      out += c;
    } else {
      out += static_cast<char>(0xC0u | byte >> 6);
      out += static_cast<char>(0x80u | (byte & 0x3Fu));
    }
  }
  return out;
}

std::string CleanUtf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const bool space = text[0] == '\n' || text[0] == '\t';
    const size_t length = space ? 1 : ShownLength(text);
    if (length == 0) {
      out += "\\x" + ToHex(text.substr(0, 1));
      text.remove_prefix(1);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string EscapeXml(std::string_view text) { return XmlText(CleanUtf8(text)); }

std::string OneLine(std::string_view text) {
  std::string out = CleanUtf8(text);
  std::replace_if(out.begin(), out.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return out;
}

std::string EscapeMarkdown(std::string_view text) {
  std::string out;
  for (const char c : OneLine(text)) {
    if (std::string_view("|`*_<>[]\\").find(c) != std::string_view::npos) {
      out += '\\';
    }
    out += c;
  }
  return out;
}

}  // namespace kvjury::reports
