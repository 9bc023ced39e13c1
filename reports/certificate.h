// The certificate: what may be kept and signed of a drill that is same.
//
// certificate.json is the record, with what it stands on by SHA-256; certificate.html is one page for people that names the
// JSON file's own digest, so that a signed print pins the file. Nothing here judges: that the inputs are the ones of the
// certificate is checked by VerifyInputs, that they still say SAME by `kvjury replay`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "fakes/base/status.h"
#include "proto/kvjury/drill.pb.h"

namespace kvjury::reports {

inline constexpr uint32_t kCertificateSchema = 1;
inline constexpr char kCertificateFile[] = "certificate.json";

/// Errors: kInvalidArgument with a sentence when the drill is not same, compared nothing, or names no digest of an input.
Result<record::Certificate> MakeCertificate(const record::DrillRecord& drill, const std::string& program_version);

/// certificate.json, a pure function of the certificate.
Result<std::string> CertificateJson(const record::Certificate& certificate);

/// certificate.html; `json` is the text of certificate.json.
std::string CertificateHtml(const record::Certificate& certificate, std::string_view json);

/// Writes both into a folder, certificate.json last. Errors: kEnvironment.
Status WriteCertificate(const std::string& folder, const record::Certificate& certificate);

/// Reads the text of a certificate.json. Errors: kDataLoss naming the file: no certificate, a newer schema, a drill that is not
/// same, or no inputs.
Result<record::Certificate> ParseCertificate(const std::string& file_name, std::string_view text);

/// Reads every input below `folder` and compares size and SHA-256. Returns how many there were. Errors: kDataLoss naming the
/// first that is missing, differs, or would stand outside of the folder; kEnvironment for one that cannot be read.
Result<uint64_t> VerifyInputs(const record::Certificate& certificate, const std::string& folder);

}  // namespace kvjury::reports
