#include "fakes/objects/s3_request.h"

#include <algorithm>
#include <cstring>
#include <pugixml.hpp>

#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr size_t kKeyBytesMax = 1'024;
constexpr size_t kDeletedKeysMax = 1'000;

S3Error Malformed() {
  return {400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"};
}

S3Error NotImplemented(const std::string& what) { return {501, "NotImplemented", what + " is not implemented"}; }

bool Has(const S3Action& action, const char* name) { return action.query.contains(name); }

// The first of the query's names that is a sub-resource of S3, in upper or lower case as it stands there.
std::string SubResource(const S3Action& action, std::initializer_list<const char*> known) {
  for (const char* name : {"accelerate", "acl", "analytics", "attributes", "cors", "encryption", "intelligent-tiering", "inventory", "legal-hold",
                           "lifecycle", "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "policy",
                           "policyStatus", "publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select", "tagging",
                           "torrent", "uploads", "versionId", "versioning", "versions", "website"}) {
    const bool is_known = std::any_of(known.begin(), known.end(), [name](const char* one) { return std::strcmp(one, name) == 0; });
    if (Has(action, name) && !is_known) {
      return name;
    }
  }
  return {};
}

std::variant<S3Kind, S3Error> KindOfBucketCall(const std::string& method, const S3Action& action) {
  const std::string other = SubResource(action, {"location", "versioning", "acl", "object-lock", "uploads"});
  if (!other.empty()) {
    return NotImplemented(method + " of a bucket's ?" + other);
  }
  if (method == "GET") {
    for (const auto& [name, kind] : {std::pair("location", S3Kind::kGetBucketLocation), std::pair("versioning", S3Kind::kGetBucketVersioning),
                                     std::pair("acl", S3Kind::kGetBucketAcl), std::pair("object-lock", S3Kind::kGetObjectLockConfiguration),
                                     std::pair("uploads", S3Kind::kListMultipartUploads)}) {
      if (Has(action, name)) {
        return kind;
      }
    }
    return action.Query("list-type") == "2" ? S3Kind::kListObjectsV2 : S3Kind::kListObjects;
  }
  if (!SubResource(action, {}).empty()) {
    return NotImplemented(method + " of a bucket's ?" + SubResource(action, {}));
  }
  if (method == "HEAD") {
    return S3Kind::kHeadBucket;
  }
  if (method == "PUT") {
    return S3Kind::kCreateBucket;
  }
  if (method == "DELETE") {
    return S3Kind::kDeleteBucket;
  }
  if (method == "POST" && Has(action, "delete")) {
    return S3Kind::kDeleteObjects;
  }
  return S3Error{405, "MethodNotAllowed", "The specified method is not allowed against this resource."};
}

std::variant<S3Kind, S3Error> KindOfObjectCall(const std::string& method, const S3Action& action) {
  const std::string other = SubResource(action, {"acl", "uploads"});
  const bool acl = Has(action, "acl");
  if (!other.empty() || (acl && method != "GET")) {
    return NotImplemented(method + " of an object's ?" + (other.empty() ? "acl" : other));
  }
  const bool upload = Has(action, "uploadId");
  const bool copy = action.headers.contains("x-amz-copy-source");
  if (method == "GET") {
    return acl ? S3Kind::kGetObjectAcl : upload ? S3Kind::kListParts : S3Kind::kGetObject;
  }
  if (method == "HEAD") {
    return S3Kind::kHeadObject;
  }
  if (method == "PUT" && upload && copy) {
    return NotImplemented("UploadPartCopy");
  }
  if (method == "PUT") {
    return upload ? S3Kind::kUploadPart : copy ? S3Kind::kCopyObject : S3Kind::kPutObject;
  }
  if (method == "DELETE") {
    return upload ? S3Kind::kAbortMultipartUpload : S3Kind::kDeleteObject;
  }
  if (method == "POST" && (upload || Has(action, "uploads"))) {
    return upload ? S3Kind::kCompleteMultipartUpload : S3Kind::kCreateMultipartUpload;
  }
  return S3Error{405, "MethodNotAllowed", "The specified method is not allowed against this resource."};
}

}  // namespace

const char* S3KindName(S3Kind kind) {
  constexpr const char* kNames[] = {"ListBuckets", "HeadBucket", "CreateBucket", "DeleteBucket", "GetBucketLocation", "GetBucketVersioning",
                                    "GetBucketAcl", "GetObjectLockConfiguration", "ListObjects", "ListObjectsV2", "ListMultipartUploads",
                                    "DeleteObjects", "PutObject", "CopyObject", "GetObject", "HeadObject", "DeleteObject", "GetObjectAcl",
                                    "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload", "ListParts"};
  return kNames[static_cast<size_t>(kind)];
}

std::string S3Action::Query(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

std::string S3Action::Header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::variant<S3Action, S3Error> ParseS3Request(const ::http::Request& request) {
  const S3Error bad_uri{400, "InvalidURI", "Couldn't parse the specified URI."};
  S3Action action;
  const auto query = ParseQuery(request.query());
  if (!query.ok() || request.path().empty() || request.path().front() != '/') {
    return bad_uri;
  }
  for (const auto& [name, value] : *query) {
    if (name.rfind("X-Amz-", 0) != 0) {
      action.query[name] = value;
    }
  }
  for (const ::http::Header& header : request.headers()) {
    std::string& value = action.headers[Lower(header.name())];
    value += (value.empty() ? "" : ",") + header.value();
  }
  const std::string_view path = std::string_view(request.path()).substr(1);
  const std::string_view bucket = path.substr(0, path.find('/'));
  const Result<Bytes> decoded_bucket = UriDecode(bucket);
  const Result<Bytes> key = UriDecode(path.substr(std::min(path.size(), bucket.size() + 1)));
  if (!decoded_bucket.ok() || !key.ok()) {
    return bad_uri;
  }
  action.bucket = *decoded_bucket;
  action.key = *key;
  if (action.key.size() > kKeyBytesMax) {
    return S3Error{400, "KeyTooLongError", "Your key is too long"};
  }
  if (action.bucket.empty()) {
    return request.method() == "GET" && action.key.empty() ? std::variant<S3Action, S3Error>(std::move(action))
                                                           : S3Error{405, "MethodNotAllowed", "The specified method is not allowed against this resource."};
  }
  std::variant<S3Kind, S3Error> kind = action.key.empty() ? KindOfBucketCall(request.method(), action) : KindOfObjectCall(request.method(), action);
  if (S3Error* error = std::get_if<S3Error>(&kind)) {
    return std::move(*error);
  }
  action.kind = std::get<S3Kind>(kind);
  return action;
}

std::variant<S3Deletion, S3Error> ParseDeletion(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default | pugi::parse_ws_pcdata_single)) {
    return Malformed();
  }
  const pugi::xml_node root = document.child("Delete");
  S3Deletion deletion;
  deletion.quiet = std::strcmp(root.child_value("Quiet"), "true") == 0;
  for (const pugi::xml_node object : root.children("Object")) {
    deletion.keys.emplace_back(object.child_value("Key"));
    if (deletion.keys.back().empty() || deletion.keys.size() > kDeletedKeysMax) {
      return Malformed();
    }
    if (!object.child("VersionId").empty()) {
      return NotImplemented("deleting a version");
    }
  }
  return deletion.keys.empty() ? std::variant<S3Deletion, S3Error>(Malformed()) : deletion;
}

std::variant<S3PartList, S3Error> ParsePartList(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) {
    return Malformed();
  }
  S3PartList parts;
  for (const pugi::xml_node part : document.child("CompleteMultipartUpload").children("Part")) {
    const std::optional<uint64_t> number = ParseNumber(Trim(part.child_value("PartNumber")));
    std::string etag(Trim(part.child_value("ETag")));
    etag.erase(std::remove(etag.begin(), etag.end(), '"'), etag.end());
    if (!number || *number > UINT32_MAX || etag.empty()) {
      return Malformed();
    }
    parts.emplace_back(static_cast<uint32_t>(*number), std::move(etag));
  }
  return parts.empty() ? std::variant<S3PartList, S3Error>(Malformed()) : parts;
}

std::variant<std::monostate, S3Range, S3Error> ParseRange(std::string_view header, uint64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!header.starts_with(kUnit) || header.find(',') != std::string_view::npos) {
    return std::monostate();
  }
  header.remove_prefix(kUnit.size());
  const size_t dash = header.find('-');
  if (dash == std::string_view::npos) {
    return std::monostate();
  }
  const std::string_view from = header.substr(0, dash);
  const std::string_view to = header.substr(dash + 1);
  const std::optional<uint64_t> first = ParseNumber(from);
  const std::optional<uint64_t> last = ParseNumber(to);
  if ((!from.empty() && !first) || (!to.empty() && !last) || (!first && !last) || (first && last && *last < *first)) {
    return std::monostate();
  }
  const uint64_t begin = first ? *first : size - std::min(size, *last);
  if (begin >= size || (!first && *last == 0)) {
    return S3Error{416, "InvalidRange", "The requested range is not satisfiable"};
  }
  const uint64_t end = first && last ? std::min(size, *last == UINT64_MAX ? size : *last + 1) : size;
  return S3Range{begin, end - begin};
}

std::variant<std::pair<std::string, std::string>, S3Error> ParseCopySource(std::string_view header) {
  const S3Error error{400, "InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"};
  if (header.find("?versionId=") != std::string_view::npos) {
    return NotImplemented("copying a version");
  }
  const Result<Bytes> decoded = UriDecode(header);
  if (!decoded.ok()) {
    return error;
  }
  const size_t begin = decoded->starts_with("/") ? 1 : 0;
  const size_t slash = decoded->find('/', begin);
  if (slash == std::string::npos || slash == begin || slash + 1 == decoded->size()) {
    return error;
  }
  return std::pair(decoded->substr(begin, slash - begin), decoded->substr(slash + 1));
}

}  // namespace kvjury::objects
