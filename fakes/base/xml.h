// Text inside of XML: S3's answers, JUnit's reports, pages.
//
// Markup is escaped and nothing else is decided. Bytes below a blank become references, of which XML 1.0 allows those of tab, newline and
// carriage return alone: an S3 endpoint sends the others all the same, since a key is told as it is (for clients whose parser fails on
// them there is encoding-type=url); a report makes what nobody sees visible before (CleanUtf8, reports/text.h).
// Source: XML 1.0, 2.2 and 2.4; Amazon S3 API Reference, ListObjectsV2, encoding-type.
#pragma once

#include <string>
#include <string_view>

namespace kvjury {

/// With & < > " ' and all bytes below a blank escaped, for the text of elements and the values of attributes alike.
std::string XmlText(std::string_view text);

}  // namespace kvjury
