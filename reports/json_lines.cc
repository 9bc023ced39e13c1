#include "reports/json_lines.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>

#include "reports/text.h"

namespace kvjury::reports {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Result<std::string> JsonLine(const Message& record, const std::string& what) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  const auto status = google::protobuf::util::MessageToJsonString(record, &line, options);
  if (!status.ok()) {
    return Status::InvalidArgument(CleanUtf8(what) + " has no JSON form: " + status.ToString());
  }
  return line;
}

void CleanTexts(Message* record) {
  const Reflection* reflection = record->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*record, &fields);
  for (const FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(*record, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        CleanTexts(field->is_repeated() ? reflection->MutableRepeatedMessage(record, field, i)
                                        : reflection->MutableMessage(record, field));
      } else if (field->type() == FieldDescriptor::TYPE_STRING && field->is_repeated()) {
        reflection->SetRepeatedString(record, field, i, CleanUtf8(reflection->GetRepeatedString(*record, field, i)));
      } else if (field->type() == FieldDescriptor::TYPE_STRING) {
        reflection->SetString(record, field, CleanUtf8(reflection->GetString(*record, field)));
      }
    }
  }
}

Result<bool> ParseJsonLines(const std::string& file_name, std::string_view text, const std::string& what,
                            const std::function<Message*()>& add) {
  uint64_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return true;
    }
    const auto status = google::protobuf::util::JsonStringToMessage(std::string(text.substr(0, end)), add());
    if (!status.ok()) {
      return Status::DataLoss(file_name + " line " + std::to_string(number) + ": expected a " + what + ": " +
                              CleanUtf8(status.ToString()));
    }
    text.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace kvjury::reports
