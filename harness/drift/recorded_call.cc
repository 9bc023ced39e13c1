#include "harness/drift/recorded_call.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "fakes/base/compress.h"

namespace kvjury::drift {

namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kFileBytesMax = size_t{1} << 30;
constexpr std::string_view kStreamSuffix = " (stream)";
constexpr std::string_view kErrorPrefix = "rpc error: code = ";
constexpr std::string_view kErrorMiddle = " desc = ";

Result<Bytes> ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.good()) {
    return errno == ENOENT ? Status::NotFound("no file \"" + path + "\"") : Status::Environment("cannot read \"" + path + "\"");
  }
  const Bytes packed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) {
    return Status::Environment("cannot read \"" + path + "\"");
  }
  Result<Bytes> text = DecompressByMagic(packed, kFileBytesMax);
  return text.ok() ? std::move(text) : text.error().WithContext(path);
}

// Members of one line, with the first complaint about them.
class LineReader {
 public:
  explicit LineReader(const Json& object) : object_(object) {}

  std::string Text(const char* name, bool needed = false) {
    if (!object_.contains(name)) {
      return needed ? Complain(std::string("no member \"") + name + "\"") : "";
    }
    const Json& member = object_.at(name);
    return member.is_string() ? member.get<std::string>() : Complain(std::string("\"") + name + "\" is no text");
  }
  Bytes Hex(const char* name) { return FromHexText(name, Text(name)); }
  uint64_t Number(const char* name) {
    const Json& member = object_.at(name);
    if (!member.is_number_unsigned()) {
      Complain(std::string("\"") + name + "\" is no number");
      return 0;
    }
    return member.get<uint64_t>();
  }
  bool Flag(const char* name) {
    const auto member = object_.find(name);
    return member != object_.end() && member->is_boolean() && member->get<bool>();
  }
  // Each answer of a stream ends with a space; an answer without fields is an empty word.
  std::vector<Bytes> Answers(bool server_stream) {
    const std::string hex = Text("resp_hex");
    std::vector<Bytes> answers;
    for (size_t at = 0; server_stream ? at < hex.size() : at <= hex.size();) {
      const size_t space = std::min(hex.find(' ', at), hex.size());
      answers.push_back(FromHexText("resp_hex", std::string_view(hex).substr(at, space - at)));
      at = space + 1;
    }
    return answers;
  }
  [[nodiscard]] bool Has(const char* name) const { return object_.contains(name); }
  std::string Complain(std::string words) {
    if (complaint_.empty()) {
      complaint_ = std::move(words);
    }
    return {};
  }
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  Bytes FromHexText(const char* name, std::string_view hex) {
    Result<Bytes> bytes = FromHex(hex);
    return bytes.ok() ? *std::move(bytes) : Complain(std::string("\"") + name + "\": " + bytes.error().message());
  }

  const Json& object_;
  std::string complaint_;
};

void ReadMethod(LineReader* line, RecordedCall* call) {
  std::string method = line->Text("method", true);
  if (method.ends_with(kStreamSuffix)) {
    method.resize(method.size() - kStreamSuffix.size());
    call->stream = true;
  }
  const size_t space = method.find(' ');
  if (method.starts_with("/") && space == std::string::npos) {
    call->method = std::move(method);
  } else if (space != std::string::npos && method.compare(space + 1, 1, "/") == 0) {
    call->method = method.substr(0, space);
    call->path = method.substr(space + 1);
  } else {
    line->Complain("\"method\" is neither \"/package.Service/Method\" nor \"GET /path\"");
  }
}

void ReadError(LineReader* line, RecordedCall* call) {
  const std::string error = line->Text("grpc_error");
  if (error.empty() || error == "EOF") {
    return;
  }
  const size_t middle = error.find(kErrorMiddle);
  if (!error.starts_with(kErrorPrefix) || middle == std::string::npos) {
    line->Complain("\"grpc_error\" is not of the form \"rpc error: code = ... desc = ...\"");
    return;
  }
  call->error_code = error.substr(kErrorPrefix.size(), middle - kErrorPrefix.size());
  call->error_text = error.substr(middle + kErrorMiddle.size());
}

// `before`: where a left-out call belongs, 0 if the line does not say.
Result<RecordedCall> ParseLine(std::string_view text, bool with_answers, size_t* before) {
  const Json object = Json::parse(text, nullptr, false);
  if (!object.is_object()) {
    return Status::DataLoss("no JSON object");
  }
  LineReader line(object);
  RecordedCall call;
  call.case_name = line.Text("case");
  ReadMethod(&line, &call);
  call.request = line.Hex("req_hex");
  call.unrecorded = !with_answers || line.Flag("unrecorded");
  *before = line.Has("before") ? line.Number("before") : 0;
  if (call.http() && !call.unrecorded) {
    if (!line.Has("status")) {
      line.Complain("no member \"status\"");
    } else {
      call.http_status = line.Number("status");
    }
    call.content_type = line.Text("content_type");
    call.answers.push_back(line.Text("body"));
  } else if (!call.unrecorded) {
    ReadError(&line, &call);
    if (call.error_code.empty() || line.Has("resp_hex")) {
      call.answers = line.Answers(call.stream && line.Has("grpc_error"));
    }
  }
  if (!line.complaint().empty()) {
    return Status::DataLoss(line.complaint());
  }
  return call;
}

template <class OnCall>
Status ForEachLine(const std::string& name, std::string_view text, bool with_answers, OnCall on_call) {
  size_t number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    size_t before = 0;
    Result<RecordedCall> call = ParseLine(line, with_answers, &before);
    if (!call.ok()) {
      return call.error().WithContext(name + " line " + std::to_string(number));
    }
    call->line = number;
    on_call(*std::move(call), before);
  }
  return Status::Ok();
}

}  // namespace

Result<std::vector<RecordedCall>> ParseCalls(const std::string& name, std::string_view text) {
  std::vector<RecordedCall> calls;
  RETURN_IF_ERROR(ForEachLine(name, text, true, [&calls](RecordedCall call, size_t) { calls.push_back(std::move(call)); }));
  return calls;
}

Result<std::vector<RecordedCall>> LoadCalls(const std::string& path) {
  ASSIGN_OR_RETURN(const Bytes text, ReadWhole(path));
  return ParseCalls(path, text);
}

Result<std::vector<RecordedCall>> LoadRequests(const std::string& path) {
  ASSIGN_OR_RETURN(const Bytes text, ReadWhole(path));
  std::vector<RecordedCall> calls;
  RETURN_IF_ERROR(ForEachLine(path, text, false, [&calls](RecordedCall call, size_t) { calls.push_back(std::move(call)); }));
  return calls;
}

Result<std::vector<RecordedCall>> WithLeftOut(std::vector<RecordedCall> calls, const std::string& left_out_path) {
  ASSIGN_OR_RETURN(const Bytes text, ReadWhole(left_out_path));
  std::multimap<size_t, RecordedCall> left_out;
  std::optional<size_t> homeless;
  RETURN_IF_ERROR(ForEachLine(left_out_path, text, true, [&](RecordedCall call, size_t before) {
    if (before == 0 || !call.unrecorded) {
      homeless = homeless.value_or(call.line);
    }
    left_out.emplace(before, std::move(call));
  }));
  if (homeless) {
    return Status::DataLoss(left_out_path + " line " + std::to_string(*homeless) +
                            ": a left-out call has \"before\", a line number, and \"unrecorded\": true");
  }
  std::vector<RecordedCall> merged;
  for (RecordedCall& call : calls) {
    const auto [begin, end] = left_out.equal_range(call.line);
    std::transform(begin, end, std::back_inserter(merged), [](auto& entry) { return std::move(entry.second); });
    left_out.erase(begin, end);
    merged.push_back(std::move(call));
  }
  if (!left_out.empty()) {
    return Status::DataLoss(left_out_path + " line " + std::to_string(left_out.begin()->second.line) + ": \"before\" is line " +
                            std::to_string(left_out.begin()->first) + ", which holds no call");
  }
  return merged;
}

std::string ToLine(const RecordedCall& call) {
  Json object;
  object["case"] = call.case_name;
  object["method"] = call.MethodText() + (call.stream ? std::string(kStreamSuffix) : std::string());
  object["req_hex"] = ToHex(call.request);
  if (call.unrecorded) {
    object["unrecorded"] = true;
  } else if (call.http()) {
    object["status"] = call.http_status;
    object["content_type"] = call.content_type;
    object["body"] = call.answers.empty() ? "" : call.answers.front();
  } else if (!call.error_code.empty()) {
    object["grpc_error"] = std::string(kErrorPrefix) + call.error_code + std::string(kErrorMiddle) + call.error_text;
  } else {
    std::string hex;
    for (const Bytes& answer : call.answers) {
      hex += ToHex(answer) + (call.stream ? " " : "");
    }
    object["resp_hex"] = hex;
    if (call.stream) {
      object["grpc_error"] = "EOF";
    }
  }
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvjury::drift
