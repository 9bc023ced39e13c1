#include "reports/finding_forms.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include "fakes/base/bytes.h"
#include "reports/run_report.h"
#include "reports/text.h"

namespace kvjury::reports {

using google::protobuf::FieldDescriptor;

std::string FindingLine(const record::Finding& finding) {
  std::string where = finding.path().empty() ? finding.key_text() : Printable(finding.path());
  if (where.empty()) {
    where = finding.file();
  }
  return fmt::format("{} {}{}{} (lost at {}): {}", finding.check(), finding.kind(), where.empty() ? "" : " ", where,
                     LostAtName(finding.lost_at()), finding.message());
}

nlohmann::ordered_json FindingJson(const std::string& case_name, const record::Finding& finding) {
  nlohmann::ordered_json out = {{"case", CleanUtf8(case_name)},
                                {"check", finding.check()},
                                {"kind", finding.kind()},
                                {"message", CleanUtf8(finding.message())},
                                {"lost_at", LostAtName(finding.lost_at())}};
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) {
      out[name] = value;
    }
  };
  const auto number = [&](const char* name, uint64_t value) { text(name, value == 0 ? "" : std::to_string(value)); };
  text("path", Latin1(finding.path()));
  number("inode", finding.inode());
  text("key", ToHex(finding.key()));
  text("key_text", CleanUtf8(finding.key_text()));
  text("field", CleanUtf8(finding.field()));
  if (finding.expected_present()) {
    out["expected"] = ToHex(finding.expected());
  }
  if (finding.actual_present()) {
    out["actual"] = ToHex(finding.actual());
  }
  number("region_id", finding.region_id());
  number("expected_ts", finding.expected_ts());
  number("actual_ts", finding.actual_ts());
  text("written_by", CleanUtf8(finding.written_by()));
  text("file", CleanUtf8(finding.file()));
  return out;
}

nlohmann::ordered_json NumbersJson(const google::protobuf::Message& message) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  const google::protobuf::Descriptor* type = message.GetDescriptor();
  const google::protobuf::Reflection* reflection = message.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->is_repeated()) {
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      out[field->name()] = std::to_string(reflection->GetUInt64(message, field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      out[field->name()] = std::to_string(reflection->GetInt64(message, field));
    }
  }
  return out;
}

void AddNumbers(const google::protobuf::Message& part, google::protobuf::Message* sum) {
  const google::protobuf::Descriptor* type = part.GetDescriptor();
  const google::protobuf::Reflection* reflection = part.GetReflection();
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    if (field->is_repeated()) {
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
      reflection->SetUInt64(sum, field, reflection->GetUInt64(*sum, field) + reflection->GetUInt64(part, field));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      reflection->SetInt64(sum, field, reflection->GetInt64(*sum, field) + reflection->GetInt64(part, field));
    }
  }
}

}  // namespace kvjury::reports
