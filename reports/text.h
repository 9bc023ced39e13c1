// Text forms of a report: arbitrary bytes and sentences made safe for JSON, XML and Markdown.
//
// In JSON, bytes (paths, names) are Latin-1 text, as in the lines of `kvjury view --json`: each byte is the character of the
// same number, so that every byte survives. Sentences are UTF-8; what is not valid UTF-8 is written as \xNN.
#pragma once

#include <string>
#include <string_view>

namespace kvjury::reports {

/// UTF-8 text whose characters are the bytes.
std::string Latin1(std::string_view bytes);

/// Valid UTF-8 as it is; every byte that is not part of a valid character, and every control character but newline and
/// tab, as \xNN.
std::string CleanUtf8(std::string_view text);

/// CleanUtf8 with & < > " ' escaped, for XML text and attributes alike.
std::string EscapeXml(std::string_view text);

/// CleanUtf8 on one line, with what would start markup or end a table cell escaped.
std::string EscapeMarkdown(std::string_view text);

}  // namespace kvjury::reports
