#include "harness/juicefs/json_dump_reader.h"

#include <fmt/format.h>

#include <istream>
#include <streambuf>

namespace kvjury::juicefs {

namespace {

using nlohmann::json;

/// The SAX side. Levels: the document, entries and maps of entries; anything else is collected into a value.
class DumpSax {
 public:
  using number_integer_t = json::number_integer_t;
  using number_unsigned_t = json::number_unsigned_t;
  using number_float_t = json::number_float_t;
  using string_t = json::string_t;
  using binary_t = json::binary_t;

  explicit DumpSax(JsonDumpEvents* events) : events_(events) {}

  [[nodiscard]] const Status& status() const { return status_; }
  [[nodiscard]] bool complete() const { return complete_; }

  bool null() { return Scalar(nullptr); }
  bool boolean(bool value) { return Scalar(value); }
  bool number_integer(number_integer_t value) { return Scalar(value); }
  bool number_unsigned(number_unsigned_t value) { return Scalar(value); }
  bool number_float(number_float_t value, const string_t&) { return Scalar(value); }
  bool string(string_t& value) { return Scalar(std::move(value)); }
  bool binary(binary_t&) { return Fail("expected text"); }

  bool key(string_t& name) {
    (values_.empty() ? member_ : value_keys_.back()) = std::move(name);
    return true;
  }

  bool start_object(size_t) {
    if (!values_.empty()) {
      return StartValue(json::object());
    }
    if (levels_.empty()) {
      levels_.push_back(Level::kDocument);
      return true;
    }
    switch (levels_.back()) {
      case Level::kDocument:
        if (member_ == "FSTree" || member_ == "Trash") {
          levels_.push_back(Level::kEntry);
          return Forward(events_->BeginEntry(member_, ""));
        }
        return StartValue(json::object());
      case Level::kEntry:
        if (member_ == "entries") {
          levels_.push_back(Level::kEntryMap);
          return true;
        }
        return StartValue(json::object());
      case Level::kEntryMap:
        levels_.push_back(Level::kEntry);
        return Forward(events_->BeginEntry("", member_));
    }
    return false;
  }

  bool end_object() {
    if (!values_.empty()) {
      return EndValue();
    }
    const Level ended = levels_.back();
    levels_.pop_back();
    complete_ = levels_.empty();
    return ended != Level::kEntry || Forward(events_->EndEntry());
  }

  bool start_array(size_t) {
    if (values_.empty() && (levels_.empty() || levels_.back() == Level::kEntryMap)) {
      return Fail("expected an object");
    }
    return StartValue(json::array());
  }

  bool end_array() { return EndValue(); }

  bool parse_error(size_t position, const std::string&, const json::exception& error) {
    if (status_.ok()) {
      status_ = Status::DataLoss(fmt::format("byte {}: expected JSON: {}", position, error.what()));
    }
    return false;
  }

 private:
  enum class Level { kDocument, kEntry, kEntryMap };
  static constexpr size_t kValueDepthMax = 64;  // members of a dump are flat

  bool Fail(const std::string& expected) {
    status_ = Status::DataLoss(fmt::format("member \"{}\": {}", member_, expected));
    return false;
  }

  bool Forward(Status status) {
    status_ = std::move(status);
    return status_.ok();
  }

  bool StartValue(json value) {
    if (values_.size() >= kValueDepthMax) {
      return Fail("nested too deeply");
    }
    values_.push_back(std::move(value));
    value_keys_.emplace_back();
    return true;
  }

  bool EndValue() {
    json value = std::move(values_.back());
    values_.pop_back();
    value_keys_.pop_back();
    return Scalar(std::move(value));
  }

  /// A complete value: into the one that is being collected, or to the receiver.
  bool Scalar(json value) {
    if (!values_.empty()) {
      if (values_.back().is_array()) {
        values_.back().push_back(std::move(value));
      } else {
        values_.back()[value_keys_.back()] = std::move(value);
      }
      return true;
    }
    if (levels_.empty() || levels_.back() == Level::kEntryMap) {
      return Fail("expected an object");
    }
    const bool of_entry = levels_.back() == Level::kEntry;
    return Forward(of_entry ? events_->EntryMember(member_, value) : events_->Member(member_, value));
  }

  JsonDumpEvents* events_;
  Status status_;
  bool complete_ = false;
  std::vector<Level> levels_;
  std::string member_;
  std::vector<json> values_;  // being collected, outermost first
  std::vector<std::string> value_keys_;
};

/// A source as the parser wants it; an error of the source is an end to the parser, and kept.
class SourceBuffer : public std::streambuf {
 public:
  explicit SourceBuffer(ByteSource* source) : source_(source), buffer_(kBufferBytes, '\0') {}
  [[nodiscard]] const Status& status() const { return status_; }

 protected:
  int_type underflow() override {
    const Result<size_t> count = status_.ok() ? source_->Read(buffer_.data(), buffer_.size()) : Result<size_t>(status_);
    if (!count.ok()) {
      status_ = count.error();
    }
    if (!count.ok() || *count == 0) {
      return traits_type::eof();
    }
    setg(buffer_.data(), buffer_.data(), buffer_.data() + *count);
    return traits_type::to_int_type(*gptr());
  }

 private:
  static constexpr size_t kBufferBytes = 64 * 1024;
  ByteSource* source_;
  Bytes buffer_;
  Status status_;
};

}  // namespace

Status ReadJsonDump(ByteSource* source, JsonDumpEvents* events) {
  DumpSax sax(events);
  SourceBuffer buffer(source);
  std::istream stream(&buffer);
  const bool parsed = json::sax_parse(stream, &sax);
  RETURN_IF_ERROR(buffer.status());
  RETURN_IF_ERROR(sax.status());
  if (!parsed || !sax.complete()) {
    return Status::DataLoss("expected a JSON object");
  }
  return Status::Ok();
}

}  // namespace kvjury::juicefs
