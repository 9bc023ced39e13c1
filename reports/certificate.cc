#include "reports/certificate.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "fakes/base/bytes.h"
#include "fakes/base/digest.h"
#include "reports/drill_words.h"
#include "reports/json_lines.h"
#include "reports/not_proved.h"
#include "reports/out_files.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kSha256HexDigits = 64;

uint64_t Compared(const record::Scope& scope) { return scope.keys_compared() + scope.entries_compared(); }

/// Why a drill cannot be certified; empty when it can.
std::string Refusal(const record::DrillRecord& drill) {
  if (drill.outcome() != record::DRILL_SAME) {
    return fmt::format("it is {}, and only what is same can be certified", DrillWord(drill.outcome()));
  }
  if (Compared(drill.scope()) == 0) {
    return "it compared no key and no entry";
  }
  if (!drill.finding().empty()) {
    return "it is called same and has findings";
  }
  if (drill.input().empty()) {
    return "it names no input that the verdict stands on";
  }
  for (const record::DrillInput& input : drill.input()) {
    const Result<Bytes> digest = FromHex(input.sha256());
    if (!digest.ok() || input.sha256().size() != kSha256HexDigits) {
      return "its input " + OneLine(input.file()) + " has no SHA-256 of 64 hex digits";
    }
  }
  return "";
}

/// Below the folder: relative, and nothing climbs.
bool StaysInside(const std::string& file) {
  const std::filesystem::path path(file);
  if (file.empty() || path.is_absolute() || file.find('\0') != std::string::npos) {
    return false;
  }
  for (const std::filesystem::path& part : path) {
    if (part == "..") {
      return false;
    }
  }
  return true;
}

Status VerifyInput(const record::DrillInput& input, const std::string& folder) {
  const std::string name = OneLine(input.file());
  if (!StaysInside(input.file())) {
    return Status::DataLoss("the certificate names \"" + name + "\", which is no file below its folder");
  }
  const std::string path = folder + "/" + input.file();
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return Status::DataLoss(OneLine(path) + " (" + OneLine(input.what()) + ") is missing: the certificate stands on it");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) {
    return Status::Environment("cannot read " + OneLine(path) + ": " + std::generic_category().message(errno));
  }
  Sha256Stream digest;
  uint64_t bytes = 0;
  std::string piece(kPieceBytes, '\0');
  while (file.good()) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const auto count = static_cast<size_t>(file.gcount());
    digest.Add(std::string_view(piece).substr(0, count));
    bytes += count;
  }
  if (file.bad()) {
    return Status::Environment("cannot read " + OneLine(path) + " to its end");
  }
  const std::string found = ToHex(digest.Finish());
  const Result<Bytes> expected = FromHex(input.sha256());
  if (bytes != input.bytes() || !expected.ok() || ToHex(*expected) != found) {
    return Status::DataLoss(
        fmt::format("{} ({}) is not the file of the certificate: expected {} bytes with SHA-256 {}, found {} bytes with {}",
                    OneLine(path), OneLine(input.what()), input.bytes(), input.sha256(), bytes, found));
  }
  return Status::Ok();
}

}  // namespace

Result<record::Certificate> MakeCertificate(const record::DrillRecord& drill, const std::string& program_version) {
  const std::string refusal = Refusal(drill);
  if (!refusal.empty()) {
    return Status::InvalidArgument("no certificate for " + OneLine(DrillName(drill)) + ": " + refusal);
  }
  record::Certificate certificate;
  certificate.set_schema(kCertificateSchema);
  certificate.set_program_version(program_version);
  *certificate.mutable_drill() = drill;
  for (const std::string& sentence : NotProved(drill)) {
    certificate.add_not_proved(sentence);
  }
  CleanTexts(&certificate);
  return certificate;
}

Result<std::string> CertificateJson(const record::Certificate& certificate) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.add_whitespace = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(certificate, &text, options);
  if (!status.ok()) {
    return Status::InvalidArgument("the certificate has no JSON form: " + status.ToString());
  }
  return text;
}

Status WriteCertificate(const std::string& folder, const record::Certificate& certificate) {
  ASSIGN_OR_RETURN(const std::string json, CertificateJson(certificate));
  RETURN_IF_ERROR(WriteFileWhole(folder + "/certificate.html", CertificateHtml(certificate, json)));
  return WriteFileWhole(folder + "/" + kCertificateFile, json);
}

Result<record::Certificate> ParseCertificate(const std::string& file_name, std::string_view text) {
  record::Certificate certificate;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(text), &certificate);
  if (!status.ok()) {
    return Status::DataLoss(file_name + ": expected a certificate of kvjury: " + CleanUtf8(status.ToString()));
  }
  if (certificate.schema() != kCertificateSchema) {
    return Status::DataLoss(
        fmt::format("{}: expected a certificate of schema {}, found {}", file_name, kCertificateSchema, certificate.schema()));
  }
  const std::string refusal = Refusal(certificate.drill());
  if (!refusal.empty()) {
    return Status::DataLoss(fmt::format("{}: its drill cannot have been certified: {}", file_name, refusal));
  }
  return certificate;
}

Result<uint64_t> VerifyInputs(const record::Certificate& certificate, const std::string& folder) {
  for (const record::DrillInput& input : certificate.drill().input()) {
    RETURN_IF_ERROR(VerifyInput(input, folder));
  }
  return static_cast<uint64_t>(certificate.drill().input_size());
}

}  // namespace kvjury::reports
