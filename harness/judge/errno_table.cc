#include "harness/judge/errno_table.h"

#include <fmt/format.h>
#include <google/protobuf/text_format.h>

#include <algorithm>

namespace kvjury::judge {

namespace {

constexpr char kArrow[] = " => ";
constexpr char kNext[] = " ; ";

std::vector<std::string> Split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t at = text.find(separator); at != std::string::npos; at = text.find(separator, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + separator.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

bool IsRow(const std::string& line) { return !line.empty() && line[0] != '#'; }

/// `@` and `{N}` filled in.
std::string Expanded(const std::string& text, const std::string& folder) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const size_t close = text[at] == '{' ? text.find('}', at) : std::string::npos;
    const std::string number = close == std::string::npos ? "" : text.substr(at + 1, close - at - 1);
    if (text[at] == '@') {
      out += folder;
    } else if (!number.empty() && number.size() < 6 && std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      out += std::string(std::stoul(number), 'l');
      at = close;
    } else {
      out += text[at];
    }
  }
  return out;
}

}  // namespace

Result<std::vector<ErrnoRow>> ParseErrnoTable(const std::string& text) {
  std::vector<ErrnoRow> rows;
  uint32_t line_number = 0;
  uint32_t id = 1;
  for (const std::string& line : Split(text, "\n")) {
    ++line_number;
    if (!IsRow(line)) {
      continue;
    }
    const std::vector<std::string> sides = Split(line, kArrow);
    ErrnoRow row;
    row.text = sides[0];
    row.answer = sides.size() > 1 ? sides[1] : "";
    const std::string folder = fmt::format("t{}", rows.size());
    row.operations.emplace_back();
    row.operations.back().mutable_mkdir()->set_path(folder);
    row.operations.back().mutable_mkdir()->set_mode(0777);
    row.operations.back().set_id(id++);
    for (const std::string& part : Split(row.text, kNext)) {
      row.operations.emplace_back();
      const bool parsed = google::protobuf::TextFormat::ParseFromString(Expanded(part, folder), &row.operations.back());
      if (!parsed || row.operations.back().kind_case() == record::Operation::KIND_NOT_SET || sides.size() > 2) {
        return Status::InvalidArgument(fmt::format("line {}: no operation: {}", line_number, part));
      }
      row.operations.back().set_id(id++);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string PrintErrnoTable(const std::string& text, const std::vector<ErrnoRow>& rows) {
  std::string out;
  size_t row = 0;
  for (const std::string& line : Split(text, "\n")) {
    out += IsRow(line) && row < rows.size() ? rows[row].text + kArrow + rows[row].answer : line;
    row += IsRow(line) ? 1 : 0;
    out += "\n";
  }
  out.pop_back();
  return out;
}

Result<std::vector<KnownDifference>> ParseKnownDifferences(const std::string& text) {
  std::vector<KnownDifference> known;
  uint32_t line_number = 0;
  for (const std::string& line : Split(text, "\n")) {
    ++line_number;
    if (!IsRow(line)) {
      continue;
    }
    const std::vector<std::string> fields = Split(line, "\t");
    if (fields.size() != 4 || fields[3].empty()) {
      return Status::InvalidArgument(fmt::format("line {}: wanted: witness, kind, what, reason, with tabs between", line_number));
    }
    known.push_back({fields[0], fields[1], fields[2], fields[3]});
  }
  return known;
}

const KnownDifference* FindKnown(const std::vector<KnownDifference>& known, const std::string& witness, const std::string& kind, const std::string& what) {
  for (const KnownDifference& one : known) {
    if (one.witness == witness && (one.kind == "*" || one.kind == kind) && what.find(one.what) != std::string::npos) {
      return &one;
    }
  }
  return nullptr;
}

std::string KindName(const record::Operation& operation) {
  const auto* field = record::Operation::descriptor()->FindFieldByNumber(operation.kind_case());
  return field == nullptr ? "none" : field->name();
}

}  // namespace kvjury::judge
