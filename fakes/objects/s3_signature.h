// AWS Signature Version 4 for S3: signing, verifying, and the bodies that are signed in chunks.
//
// One canonical form for both sides: our client signs with it, our server verifies with it; AWS's published examples are the test.
// Verified: the Authorization header and presigned queries; the body by x-amz-content-sha256, UNSIGNED-PAYLOAD, and aws-chunked with
// STREAMING-AWS4-HMAC-SHA256-PAYLOAD (each chunk's signature; also -TRAILER) and STREAMING-UNSIGNED-PAYLOAD-TRAILER; Content-MD5 and
// the checksums crc32, sha1 and sha256, in headers or trailers.
// Not verified: crc32c and crc64nvme (kept and given back with the object); any region is accepted; no security tokens, no SigV4A,
// no Signature Version 2, no browser POST forms.
// Source: "Authenticating Requests (AWS Signature Version 4)" of the Amazon S3 API Reference; "Error responses" there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::objects {

struct S3Credentials {
  std::string access_key;
  std::string secret_key;
  /// Of temporary credentials; sent, never asked for.
  std::string session_token;
};

/// An error as S3 answers it.
struct S3Error {
  uint32_t status = 0;
  std::string code;
  std::string message;
};

inline constexpr char kUnsignedPayload[] = "UNSIGNED-PAYLOAD";

/// The value of a header, whatever the case of its name; several are joined by ','. Nothing if there is none.
std::optional<std::string> HeaderOf(const ::http::Request& request, std::string_view name);
void AddHeader(::http::Request* request, std::string name, std::string value);

/// Adds x-amz-date, x-amz-content-sha256, x-amz-security-token and Authorization. All headers that are there are signed; Host must be.
/// `payload` is the hex SHA-256 of the body, or UNSIGNED-PAYLOAD.
void SignS3(const S3Credentials& credentials, const std::string& region, int64_t now_ms, const std::string& payload, ::http::Request* request);

/// Adds the query of a request that anybody may send for `expires_s` seconds. Only Host is signed; it must be there.
void PresignS3(const S3Credentials& credentials, const std::string& region, int64_t now_ms, uint32_t expires_s, ::http::Request* request);

/// What a verified request carries.
struct S3Payload {
  Bytes body;
  Bytes md5;
  /// Lower-case names: x-amz-checksum-... of headers and trailers.
  std::vector<std::pair<std::string, std::string>> checksums;
};

/// Who it is, when, and that nothing was changed on the way. On success `payload` is the body without the chunks around it.
/// `access_key` is the only one that is known.
std::optional<S3Error> VerifyS3(const S3Credentials& known, int64_t now_ms, const ::http::Request& request, S3Payload* payload);

}  // namespace kvjury::objects
