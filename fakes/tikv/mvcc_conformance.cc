#include "fakes/tikv/mvcc_conformance.h"

#include <google/protobuf/util/message_differencer.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fakes/base/check.h"
#include "fakes/base/compress.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::tikv {

namespace {

constexpr char kPrefix[] = "/tikvpb.Tikv/";

std::unique_ptr<google::protobuf::Message> NewResponse(const std::string& method) {
  std::string name = method.substr(0, 2) == "Kv" || method.substr(0, 2) == "KV" ? method.substr(2) : method;
  const auto* descriptor = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      "kvrpcpb." + name + "Response");
  CHECK(descriptor != nullptr) << "no response message for " << method;
  return std::unique_ptr<google::protobuf::Message>(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(descriptor)->New());
}

std::unique_ptr<google::protobuf::Message> ParseComparable(const std::string& method, const Bytes& bytes) {
  auto message = NewResponse(method);
  CHECK(message->ParseFromString(bytes)) << "not a response of " << method;
  const auto* details = message->GetDescriptor()->FindFieldByName("exec_details_v2");
  if (details != nullptr) {
    message->GetReflection()->ClearField(message.get(), details);
  }
  return message;
}

}  // namespace

std::vector<RecordedCall> LoadRecordedCalls(const std::string& name) {
  std::ifstream file(std::string(KVJURY_SOURCE_DIR) + "/scenarios/probes/" + name, std::ios::binary);
  CHECK(file.good()) << "no recording " << name;
  const Bytes packed((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  Result<Bytes> text = DecompressByMagic(packed, size_t{64} << 20);
  CHECK(text.has_value()) << text.status().ToString();
  std::istringstream lines(*text);
  std::vector<RecordedCall> calls;
  std::string line;
  for (size_t number = 1; std::getline(lines, line); ++number) {
    const auto json = nlohmann::json::parse(line);
    const std::string method = json.at("method");
    if (method.rfind(kPrefix, 0) != 0 || !json.value("grpc_error", "").empty()) {
      continue;
    }
    RecordedCall call;
    call.line = number;
    call.case_name = json.at("case");
    call.method = method.substr(sizeof(kPrefix) - 1);
    call.request = FromHex(json.at("req_hex").get<std::string>()).value();
    call.response = FromHex(json.value("resp_hex", "")).value();
    calls.push_back(std::move(call));
  }
  CHECK(!calls.empty()) << name << " holds no calls";
  return calls;
}

std::string DifferenceToRecorded(const RecordedCall& call, const Bytes& response) {
  const auto expected = ParseComparable(call.method, call.response);
  const auto actual = ParseComparable(call.method, response);
  google::protobuf::util::MessageDifferencer differencer;
  std::string report;
  differencer.ReportDifferencesToString(&report);
  if (differencer.Compare(*expected, *actual)) {
    return {};
  }
  return "line " + std::to_string(call.line) + ", case " + call.case_name + ", " + call.method + ":\n" + report;
}

}  // namespace kvjury::tikv
