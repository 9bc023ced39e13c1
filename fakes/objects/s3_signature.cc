#include "fakes/objects/s3_signature.h"

#include <algorithm>

#include "fakes/base/digest.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr char kAlgorithm[] = "AWS4-HMAC-SHA256";
constexpr int64_t kSkewMsMax = 15LL * 60 * 1'000;
constexpr uint64_t kExpiresSMax = 7ULL * 24 * 3'600;
constexpr char kSignatureField[] = "X-Amz-Signature";

// What a signature tells about itself, in the header or in the query.
struct Claim {
  std::string access_key;
  std::string day;
  std::string region;
  std::string service;
  std::vector<std::string> signed_headers;
  std::string signature;
  std::string time;
  std::string payload;
  std::optional<uint64_t> expires_s;  // presigned

  [[nodiscard]] std::string scope() const { return day + "/" + region + "/" + service + "/aws4_request"; }
};

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::string_view part = text.substr(0, text.find(separator));
    parts.emplace_back(part);
    if (part.size() == text.size()) {
      return parts;
    }
    text.remove_prefix(part.size() + 1);
  }
}

// Blanks at the ends go, several in a row become one.
std::string CanonicalValue(std::string_view value) {
  std::string out;
  for (const char c : Trim(value)) {
    if (c != ' ' || out.empty() || out.back() != ' ') {
      out += c;
    }
  }
  return out;
}

Result<std::string> CanonicalQuery(std::string_view query) {
  ASSIGN_OR_RETURN(auto pairs, ParseQuery(query));
  std::vector<std::pair<std::string, std::string>> encoded;
  for (const auto& [name, value] : pairs) {
    if (name != kSignatureField) {
      encoded.emplace_back(UriEncode(name, false), UriEncode(value, false));
    }
  }
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    out += (out.empty() ? "" : "&") + name + "=" + value;
  }
  return out;
}

Result<std::string> CanonicalRequest(const ::http::Request& request, const Claim& claim) {
  ASSIGN_OR_RETURN(const Bytes path, UriDecode(request.path()));
  ASSIGN_OR_RETURN(const std::string query, CanonicalQuery(request.query()));
  std::string out = request.method() + "\n" + UriEncode(path, true) + "\n" + query + "\n";
  std::string names;
  for (const std::string& name : claim.signed_headers) {
    out += name + ":" + CanonicalValue(HeaderOf(request, name).value_or("")) + "\n";
    names += (names.empty() ? "" : ";") + name;
  }
  return out + "\n" + names + "\n" + claim.payload;
}

Bytes SigningKey(const std::string& secret_key, const Claim& claim) {
  const Bytes day = HmacSha256("AWS4" + secret_key, claim.day);
  return HmacSha256(HmacSha256(HmacSha256(day, claim.region), claim.service), "aws4_request");
}

Result<std::string> SignatureOf(const ::http::Request& request, const Claim& claim, const std::string& secret_key) {
  ASSIGN_OR_RETURN(const std::string canonical, CanonicalRequest(request, claim));
  const std::string text = std::string(kAlgorithm) + "\n" + claim.time + "\n" + claim.scope() + "\n" + ToHex(Sha256(canonical));
  return ToHex(HmacSha256(SigningKey(secret_key, claim), text));
}

std::string Joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += (out.empty() ? "" : ";") + name;
  }
  return out;
}

S3Error Denied(std::string code, std::string message) { return {403, std::move(code), std::move(message)}; }
S3Error Bad(std::string code, std::string message) { return {400, std::move(code), std::move(message)}; }

// "KEY/20130524/us-east-1/s3/aws4_request"; a key may hold slashes.
bool ReadCredential(std::string_view text, Claim* claim) {
  std::vector<std::string> parts = Split(text, '/');
  if (parts.size() < 5 || parts.back() != "aws4_request") {
    return false;
  }
  const size_t scope = parts.size() - 4;
  claim->day = parts[scope];
  claim->region = parts[scope + 1];
  claim->service = parts[scope + 2];
  claim->access_key = text.substr(0, text.size() - claim->scope().size() - 1);
  return true;
}

std::optional<S3Error> ReadHeaderClaim(const ::http::Request& request, const std::string& authorization, Claim* claim) {
  constexpr size_t kWordSize = sizeof(kAlgorithm) - 1;
  if (authorization.rfind(kAlgorithm, 0) != 0) {
    return Bad("InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.");
  }
  bool credential = false;
  for (const std::string& part : Split(std::string_view(authorization).substr(kWordSize), ',')) {
    const std::string_view field = Trim(part);
    const std::string_view name = field.substr(0, field.find('='));
    const std::string_view value = field.substr(std::min(field.size(), name.size() + 1));
    if (name == "Credential") {
      credential = ReadCredential(value, claim);
    } else if (name == "SignedHeaders") {
      claim->signed_headers = Split(value, ';');
    } else if (name == "Signature") {
      claim->signature = value;
    }
  }
  if (!credential || claim->signed_headers.empty() || claim->signature.empty()) {
    return Bad("AuthorizationHeaderMalformed", "The authorization header is malformed; Credential, SignedHeaders and Signature are expected.");
  }
  claim->time = HeaderOf(request, "x-amz-date").value_or("");
  if (claim->time.empty()) {
    const std::optional<int64_t> date = ParseHttpTime(HeaderOf(request, "date").value_or(""));
    claim->time = date ? BasicTime(*date) : "";
  }
  const std::optional<std::string> payload = HeaderOf(request, "x-amz-content-sha256");
  if (!payload) {
    return Bad("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  }
  claim->payload = *payload;
  return std::nullopt;
}

std::optional<S3Error> ReadQueryClaim(const std::vector<std::pair<std::string, std::string>>& query, Claim* claim) {
  bool credential = false;
  for (const auto& [name, value] : query) {
    if (name == "X-Amz-Credential") {
      credential = ReadCredential(value, claim);
    } else if (name == "X-Amz-SignedHeaders") {
      claim->signed_headers = Split(value, ';');
    } else if (name == kSignatureField) {
      claim->signature = value;
    } else if (name == "X-Amz-Date") {
      claim->time = value;
    } else if (name == "X-Amz-Expires") {
      claim->expires_s = ParseNumber(value);
    }
  }
  if (!credential || claim->signed_headers.empty() || claim->signature.empty() || !claim->expires_s || *claim->expires_s > kExpiresSMax) {
    return Bad("AuthorizationQueryParametersError",
               "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
               "X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
  }
  claim->payload = kUnsignedPayload;
  return std::nullopt;
}

std::optional<S3Error> CheckTime(const Claim& claim, int64_t now_ms) {
  const std::optional<int64_t> signed_ms = ParseBasicTime(claim.time);
  if (!signed_ms || claim.time.compare(0, 8, claim.day) != 0) {
    return Denied("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  }
  if (claim.expires_s) {
    const bool expired = now_ms > *signed_ms + static_cast<int64_t>(*claim.expires_s) * 1'000;
    if (expired) {
      return Denied("AccessDenied", "Request has expired");
    }
    return *signed_ms > now_ms + kSkewMsMax ? std::optional<S3Error>(Denied("AccessDenied", "Request is not valid yet")) : std::nullopt;
  }
  if (*signed_ms > now_ms + kSkewMsMax || *signed_ms < now_ms - kSkewMsMax) {
    return Denied("RequestTimeTooSkewed", "The difference between the request time and the current time is too large.");
  }
  return std::nullopt;
}

// Chunks of an aws-chunked body one after another: "size[;chunk-signature=...]\r\n bytes \r\n", a chunk of size 0, trailers.
class ChunkReader {
 public:
  ChunkReader(std::string_view body, const Claim& claim, const std::string& secret_key, bool is_signed)
      : rest_(body), claim_(claim), key_(SigningKey(secret_key, claim)), previous_(claim.signature), signed_(is_signed) {}

  std::optional<S3Error> Read(S3Payload* payload) {
    for (;;) {
      const std::optional<std::string_view> line = Line();
      const std::string_view digits = line ? line->substr(0, line->find(';')) : std::string_view();
      const std::optional<uint64_t> size = Hex(digits);
      if (!size || *size > rest_.size()) {
        return Incomplete();
      }
      const std::string_view bytes = rest_.substr(0, *size);
      rest_.remove_prefix(*size);
      if (signed_ && !Matches(*line, bytes)) {
        return Denied("SignatureDoesNotMatch", "The signature of a chunk does not match the signature we calculated.");
      }
      if (bytes.empty()) {
        return Trailers(payload);
      }
      payload->body += bytes;
      if (rest_.substr(0, 2) != "\r\n") {
        return Incomplete();
      }
      rest_.remove_prefix(2);
    }
  }

 private:
  static S3Error Incomplete() { return Bad("IncompleteBody", "The request body terminated unexpectedly"); }

  static std::optional<uint64_t> Hex(std::string_view digits) {
    constexpr size_t kDigitsMax = 12;
    if (digits.empty() || digits.size() > kDigitsMax) {
      return std::nullopt;
    }
    uint64_t value = 0;
    for (const char c : digits) {
      const size_t digit = std::string_view("0123456789abcdef").find(Lower({&c, 1}));
      if (digit == std::string_view::npos) {
        return std::nullopt;
      }
      value = value << 4 | digit;
    }
    return value;
  }

  std::optional<std::string_view> Line() {
    const size_t end = rest_.find("\r\n");
    if (end == std::string_view::npos) {
      return std::nullopt;
    }
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end + 2);
    return line;
  }

  bool Matches(std::string_view line, std::string_view bytes) {
    constexpr std::string_view kName = ";chunk-signature=";
    const size_t at = line.find(kName);
    if (at == std::string_view::npos) {
      return false;
    }
    previous_ = ToHex(HmacSha256(key_, "AWS4-HMAC-SHA256-PAYLOAD\n" + claim_.time + "\n" + claim_.scope() + "\n" + previous_ + "\n" +
                                           ToHex(Sha256("")) + "\n" + ToHex(Sha256(bytes))));
    return line.substr(at + kName.size()) == previous_;
  }

  std::optional<S3Error> Trailers(S3Payload* payload) {
    std::string canonical;
    while (const std::optional<std::string_view> line = Line()) {
      if (line->empty()) {
        break;
      }
      const std::string name = Lower(Trim(line->substr(0, line->find(':'))));
      const std::string value(Trim(line->substr(std::min(line->size(), name.size() + 1))));
      if (name != "x-amz-trailer-signature") {
        canonical += name + ":" + value + "\n";
        payload->checksums.emplace_back(name, value);
        continue;
      }
      const std::string expected = ToHex(HmacSha256(key_, "AWS4-HMAC-SHA256-TRAILER\n" + claim_.time + "\n" + claim_.scope() + "\n" + previous_ +
                                                              "\n" + ToHex(Sha256(canonical))));
      if (signed_ && value != expected) {
        return Denied("SignatureDoesNotMatch", "The signature of the trailer does not match the signature we calculated.");
      }
    }
    return std::nullopt;
  }

  std::string_view rest_;
  const Claim& claim_;
  Bytes key_;
  std::string previous_;
  bool signed_;
};

std::optional<S3Error> CheckSums(const ::http::Request& request, const S3Payload& payload) {
  const std::optional<std::string> md5 = HeaderOf(request, "content-md5");
  if (md5 && *md5 != Base64(payload.md5)) {
    return Bad("BadDigest", "The Content-MD5 you specified did not match what we received.");
  }
  for (const auto& [name, value] : payload.checksums) {
    Bytes computed;
    if (name == "x-amz-checksum-crc32") {
      AppendBe32(&computed, Crc32(payload.body));
    } else if (name == "x-amz-checksum-sha256") {
      computed = Sha256(payload.body);
    } else if (name == "x-amz-checksum-sha1") {
      computed = Sha1(payload.body);
    } else {
      continue;
    }
    if (Base64(computed) != value) {
      return Bad("BadDigest", "The " + name.substr(std::string_view("x-amz-checksum-").size()) + " you specified did not match the calculated checksum.");
    }
  }
  return std::nullopt;
}

std::optional<S3Error> ReadPayload(const ::http::Request& request, const Claim& claim, const std::string& secret_key, S3Payload* payload) {
  for (const ::http::Header& header : request.headers()) {
    if (Lower(header.name()).rfind("x-amz-checksum-", 0) == 0 && Lower(header.name()) != "x-amz-checksum-mode") {
      payload->checksums.emplace_back(Lower(header.name()), Trim(header.value()));
    }
  }
  const std::string& kind = claim.payload;
  if (kind.rfind("STREAMING-", 0) == 0) {
    const bool is_signed = kind.rfind("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", 0) == 0;
    if (!is_signed && kind != "STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
      return S3Error{501, "NotImplemented", "x-amz-content-sha256 " + kind + " is not implemented"};
    }
    if (std::optional<S3Error> error = ChunkReader(request.body(), claim, secret_key, is_signed).Read(payload)) {
      return error;
    }
    const std::optional<std::string> length = HeaderOf(request, "x-amz-decoded-content-length");
    if (length && ParseNumber(*length) != payload->body.size()) {
      return Bad("IncompleteBody", "You did not provide the number of bytes specified by the x-amz-decoded-content-length header.");
    }
  } else {
    if (kind != kUnsignedPayload && kind != ToHex(Sha256(request.body()))) {
      return Bad("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.");
    }
    payload->body = request.body();
  }
  payload->md5 = Md5(payload->body);
  return CheckSums(request, *payload);
}

}  // namespace

std::optional<std::string> HeaderOf(const ::http::Request& request, std::string_view name) {
  const std::string wanted = Lower(name);
  std::optional<std::string> value;
  for (const ::http::Header& header : request.headers()) {
    if (header.name().size() == wanted.size() && Lower(header.name()) == wanted) {
      value = value ? *value + "," + header.value() : header.value();
    }
  }
  return value;
}

void AddHeader(::http::Request* request, std::string name, std::string value) {
  ::http::Header* header = request->add_headers();
  header->set_name(std::move(name));
  header->set_value(std::move(value));
}

void SignS3(const S3Credentials& credentials, const std::string& region, int64_t now_ms, const std::string& payload, ::http::Request* request) {
  Claim claim;
  claim.time = BasicTime(now_ms);
  claim.day = claim.time.substr(0, 8);
  claim.region = region;
  claim.service = "s3";
  claim.payload = payload;
  AddHeader(request, "x-amz-date", claim.time);
  AddHeader(request, "x-amz-content-sha256", payload);
  if (!credentials.session_token.empty()) {
    AddHeader(request, "x-amz-security-token", credentials.session_token);
  }
  for (const ::http::Header& header : request->headers()) {
    claim.signed_headers.push_back(Lower(header.name()));
  }
  std::sort(claim.signed_headers.begin(), claim.signed_headers.end());
  const Result<std::string> signature = SignatureOf(*request, claim, credentials.secret_key);
  CHECK(signature.ok()) << signature.status();  // our own encoding
  AddHeader(request, "Authorization", std::string(kAlgorithm) + " Credential=" + credentials.access_key + "/" + claim.scope() +
                                          ", SignedHeaders=" + Joined(claim.signed_headers) + ", Signature=" + *signature);
}

void PresignS3(const S3Credentials& credentials, const std::string& region, int64_t now_ms, uint32_t expires_s, ::http::Request* request) {
  Claim claim;
  claim.time = BasicTime(now_ms);
  claim.day = claim.time.substr(0, 8);
  claim.region = region;
  claim.service = "s3";
  claim.payload = kUnsignedPayload;
  claim.signed_headers = {"host"};
  std::string query = request->query();
  query += (query.empty() ? "" : "&") + std::string("X-Amz-Algorithm=") + kAlgorithm +
           "&X-Amz-Credential=" + UriEncode(credentials.access_key + "/" + claim.scope(), false) + "&X-Amz-Date=" + claim.time +
           "&X-Amz-Expires=" + std::to_string(expires_s) + "&X-Amz-SignedHeaders=host";
  request->set_query(query);
  const Result<std::string> signature = SignatureOf(*request, claim, credentials.secret_key);
  CHECK(signature.ok()) << signature.status();
  request->set_query(query + "&" + kSignatureField + "=" + *signature);
}

std::optional<S3Error> VerifyS3(const S3Credentials& known, int64_t now_ms, const ::http::Request& request, S3Payload* payload) {
  const auto query = ParseQuery(request.query());
  if (!query.ok() || !UriDecode(request.path()).ok()) {
    return Bad("InvalidURI", "Couldn't parse the specified URI.");
  }
  Claim claim;
  const std::optional<std::string> authorization = HeaderOf(request, "authorization");
  const bool presigned = std::any_of(query->begin(), query->end(), [](const auto& pair) { return pair.first == kSignatureField; });
  if (!authorization && !presigned) {
    return Denied("AccessDenied", "Access Denied");
  }
  if (std::optional<S3Error> error = authorization ? ReadHeaderClaim(request, *authorization, &claim) : ReadQueryClaim(*query, &claim)) {
    return error;
  }
  if (claim.access_key != known.access_key) {
    return Denied("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.");
  }
  if (std::optional<S3Error> error = CheckTime(claim, now_ms)) {
    return error;
  }
  if (std::find(claim.signed_headers.begin(), claim.signed_headers.end(), "host") == claim.signed_headers.end()) {
    return Denied("AccessDenied", "There were headers present in the request which were not signed");
  }
  const Result<std::string> signature = SignatureOf(request, claim, known.secret_key);
  if (!signature.ok() || *signature != claim.signature) {
    return Denied("SignatureDoesNotMatch",
                  "The request signature we calculated does not match the signature you provided. Check your key and signing method.");
  }
  return ReadPayload(request, claim, known.secret_key, payload);
}

}  // namespace kvjury::objects
