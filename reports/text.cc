#include "reports/text.h"

#include <algorithm>
#include <cstdint>

#include "fakes/base/bytes.h"

namespace kvjury::reports {
namespace {

/// Length of the valid UTF-8 character at the front (no surrogates, nothing overlong), 0 if there is none. The two last
/// characters of plane 0 are no XML characters and count as not valid.
size_t CharacterLength(std::string_view text, uint32_t* character) {
  const auto byte = [&](size_t index) { return static_cast<uint8_t>(text[index]); };
  const uint8_t first = byte(0);
  if (first < 0x80) {
    *character = first;
    return 1;
  }
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) {
    return 0;
  }
  uint32_t code = first & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80) {
      return 0;
    }
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kSmallest[length] || code > 0x10FFFF || surrogate || code == 0xFFFE || code == 0xFFFF) {
    return 0;
  }
  *character = code;
  return length;
}

/// Characters that are valid and that nobody sees as they are: controls, and marks that turn the direction of a line or end it.
bool Hidden(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x200E || code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069);
}

}  // namespace

size_t ShownLength(std::string_view text) {
  uint32_t code = 0;
  const size_t length = CharacterLength(text, &code);
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

std::string EscapeXml(std::string_view text) {
  std::string out;
  for (const char c : CleanUtf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&apos;";
        break;
      case '\n':
        out += "&#10;";
        break;
      case '\t':
        out += "&#9;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

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
