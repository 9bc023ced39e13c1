// Records as lines of protobuf's own JSON form: 64-bit numbers as strings, bytes as base64, names as in the .proto files.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/status.h"

namespace kvjury::reports {

/// The record without newlines. `what` names it in errors: "case rich". Errors: kInvalidArgument if a text field is not UTF-8.
Result<std::string> JsonLine(const google::protobuf::Message& record, const std::string& what);

/// Makes every text field fit for JSON (CleanUtf8). For records that hold what a foreign program printed.
void CleanTexts(google::protobuf::Message* record);

/// Parses each whole line into what `add` makes. True when the last line has no newline: its writer was killed; it is left out.
/// Errors: kDataLoss naming file and line for a whole line that is no `what`.
Result<bool> ParseJsonLines(const std::string& file_name, std::string_view text, const std::string& what,
                            const std::function<google::protobuf::Message*()>& add);

template <class Record>
struct RecordLines {
  std::vector<Record> records;
  /// The last line has no newline: the writer was killed while it wrote; it is not among the records.
  bool last_line_cut = false;
};

template <class Record>
Result<RecordLines<Record>> ParseRecordLines(const std::string& file_name, std::string_view text, const std::string& what) {
  RecordLines<Record> out;
  ASSIGN_OR_RETURN(out.last_line_cut, ParseJsonLines(file_name, text, what, [&out] { return &out.records.emplace_back(); }));
  return out;
}

}  // namespace kvjury::reports
