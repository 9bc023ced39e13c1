// Pieces of a page that stands alone: one file, no script, nothing from elsewhere, light and dark, on screen and on paper.
//
// Everything that comes from a record goes through Html: markup is escaped, and bytes that nobody would see (controls, marks of
// direction, what is no UTF-8) are written as \xNN in a box of their own, so that a name that holds "\x0a" as four letters
// looks different. The page's policy forbids to load or run anything, should an escape ever be missing.
#pragma once

#include <string>
#include <string_view>

namespace kvjury::reports {

/// For text and between tags; not for attributes.
std::string Html(std::string_view text);

/// Bytes in a fixed font, cut after `bytes_max` with a note of how many there are.
std::string HtmlBytes(std::string_view bytes, size_t bytes_max = 512);

/// A relative address of a file beside the page, for href="".
std::string Href(std::string_view path);

/// A command to copy: one click selects all of it.
std::string HtmlCommand(std::string_view command);

/// A row of a list of facts; `value` is markup. Empty for an empty value.
std::string HtmlFact(std::string_view name, const std::string& value);

/// One word for a POSIX shell; bytes that cannot be seen in the form $'\xNN' of bash.
std::string ShellWord(std::string_view text);

/// The whole document. `body` is markup, `title` is text.
std::string HtmlPage(std::string_view title, const std::string& body);

}  // namespace kvjury::reports
