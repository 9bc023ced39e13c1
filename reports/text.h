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

/// Length of the character at the front of a text that is not empty; 0 when its first byte is to be written as \xNN: it is not
/// part of a valid character, or the character is one that nobody sees (a control, a mark of direction).
size_t ShownLength(std::string_view text);

/// Every byte that ShownLength does not let stand as \xNN, but newline and tab as they are.
std::string CleanUtf8(std::string_view text);

/// CleanUtf8 with newlines and tabs as spaces.
std::string OneLine(std::string_view text);

/// XmlText (fakes/base/xml.h) of CleanUtf8: a reader sees every byte, and no record is able to begin markup.
std::string EscapeXml(std::string_view text);

/// CleanUtf8 on one line, with what would start markup or end a table cell escaped.
std::string EscapeMarkdown(std::string_view text);

}  // namespace kvjury::reports
