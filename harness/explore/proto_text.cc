#include "harness/explore/proto_text.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kvjury::explore {

namespace {

class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  explicit FirstError(std::string name) : name_(std::move(name)) {}
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) {
      text_ = name_ + ":" + std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": " + message;
    }
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string name_;
  std::string text_;
};

}  // namespace

Result<std::string> ReadTextFile(const std::string& path, const std::string& what) {
  // A folder opens as a file does, and reads as an empty one.
  std::error_code no_error;
  if (std::filesystem::is_directory(path, no_error)) {
    return Status::InvalidArgument("cannot read the " + what + " " + path + ": it is a folder");
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return Status::NotFound("cannot read the " + what + " " + path + ": " + std::strerror(errno));
  }
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) {
    return Status::NotFound("cannot read the " + what + " " + path + ": " + std::strerror(errno));
  }
  return text.str();
}

Status ParseProtoText(const std::string& text, const std::string& name, const std::string& what, google::protobuf::Message* message) {
  FirstError error(name);
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  if (parser.ParseFromString(text, message)) {
    return Status::Ok();
  }
  return Status::InvalidArgument(error.text().empty() ? name + ": not " + what : error.text());
}

}  // namespace kvjury::explore
