#include "reports/html.h"

#include <fmt/format.h>

#include "fakes/base/bytes.h"
#include "reports/drill_words.h"
#include "reports/html_style.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

bool Alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool OneOf(std::string_view characters, char c) { return characters.find(c) != std::string_view::npos; }

}  // namespace

std::string Html(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const size_t length = ShownLength(text);
    if (length > 0) {
      out += EscapeXml(text.substr(0, length));
      text.remove_prefix(length);
      continue;
    }
    out += "<span class=\"hid\">";
    while (!text.empty() && ShownLength(text) == 0) {
      out += "\\x" + ToHex(text.substr(0, 1));
      text.remove_prefix(1);
    }
    out += "</span>";
  }
  return out;
}

std::string HtmlBytes(std::string_view bytes, size_t bytes_max) {
  std::string out = "<span class=\"bytes\">" + Html(bytes.substr(0, bytes_max)) + "</span>";
  if (bytes.size() > bytes_max) {
    out += fmt::format(" <small>(the first {} of {} bytes)</small>", Grouped(bytes_max), Grouped(bytes.size()));
  }
  return out;
}

std::string Href(std::string_view path) {
  std::string out = "./";
  for (const char c : path) {
    out += Alphanumeric(c) || OneOf("-._~/", c) ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  return out;
}

std::string HtmlCommand(std::string_view command) {
  return "<pre class=\"command\" tabindex=\"0\"><code>" + Html(command) + "</code></pre>\n";
}

std::string HtmlFact(std::string_view name, const std::string& value) {
  return value.empty() ? "" : fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, value);
}

std::string ShellWord(std::string_view text) {
  bool plain = !text.empty();
  bool seen = true;
  for (const char c : text) {
    plain = plain && (Alphanumeric(c) || OneOf("-._/:=,@%+", c));
    seen = seen && c >= 0x20 && c < 0x7F;
  }
  if (plain) {
    return std::string(text);
  }
  std::string out = seen ? "'" : "$'";
  for (const char c : text) {
    const bool quote = c == '\'' || (!seen && c == '\\');
    if (quote) {
      out += seen ? "'\\''" : std::string("\\") + c;
    } else {
      out += c >= 0x20 && c < 0x7F ? std::string(1, c) : fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  return out + "'";
}

std::string HtmlPage(std::string_view title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{}</title>\n<style>{}</style>\n</head>\n"
      "<body>\n<main>\n{}</main>\n</body>\n</html>\n",
      EscapeXml(title), kStyle, body);
}

}  // namespace kvjury::reports
