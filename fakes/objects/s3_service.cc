#include "fakes/objects/s3_service.h"

#include <algorithm>

#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr std::string_view kAt = "-at-";
constexpr char kEtag[] = "etag";
constexpr size_t kBucketNameSizeMin = 3;
constexpr size_t kBucketNameSizeMax = 63;

std::string Quoted(const std::string& etag) { return "\"" + etag + "\""; }

S3Error InternalError(const Status& status) { return {500, "InternalError", "We encountered an internal error. " + status.message()}; }
S3Error NoSuchKey() { return {404, "NoSuchKey", "The specified key does not exist."}; }
S3Error PreconditionFailed() { return {412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}; }
S3Error ReadOnly() { return {403, "AccessDenied", "This bucket shows a state of the past and cannot be changed."}; }

std::string Owner(const std::string& name) { return "<" + name + "><ID>kvjury</ID><DisplayName>kvjury</DisplayName></" + name + ">"; }

// Where a bucket's name says "as of": the bucket and the time.
std::optional<std::pair<std::string, int64_t>> PastOf(const std::string& name) {
  const size_t at = name.rfind(kAt);
  const std::optional<uint64_t> ms = at == std::string::npos ? std::nullopt : ParseNumber(std::string_view(name).substr(at + kAt.size()));
  return ms && *ms < INT64_MAX ? std::optional(std::pair(name.substr(0, at), static_cast<int64_t>(*ms))) : std::nullopt;
}

bool IsBucketName(const std::string& name) {
  const auto letter_or_digit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return name.size() >= kBucketNameSizeMin && name.size() <= kBucketNameSizeMax && letter_or_digit(name.front()) && letter_or_digit(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter_or_digit(c) || c == '-' || c == '.'; }) && !PastOf(name);
}

// Whether one of the ETags of a condition is this one.
bool NamesEtag(std::string_view condition, const std::string& etag) {
  while (!condition.empty()) {
    std::string_view one = condition.substr(0, condition.find(','));
    condition.remove_prefix(std::min(condition.size(), one.size() + 1));
    one = Trim(one);
    if (one == "*" || one == etag || one == Quoted(etag)) {
      return true;
    }
  }
  return false;
}

}  // namespace

Status S3Service::AddBucket(const std::string& name) {
  if (!IsBucketName(name)) {
    return Status::InvalidArgument("\"" + Printable(name) + "\" is no name of a bucket: 3 to 63 lower-case letters, digits, '-' and '.', and no end \"-at-NUMBER\"");
  }
  if (buckets_.contains(name)) {
    return Status::AlreadyExists("there is a bucket \"" + name + "\" already");
  }
  ASSIGN_OR_RETURN(std::unique_ptr<KeepingObjectStore> store, make_bucket_(name));
  buckets_[name] = {std::move(store), clock_()};
  return Status::Ok();
}

std::vector<std::string> S3Service::bucket_names() const {
  std::vector<std::string> names;
  for (const auto& [name, bucket] : buckets_) {
    names.push_back(name);
  }
  return names;
}

KeepingObjectStore* S3Service::bucket(const std::string& name) {
  const auto found = buckets_.find(name);
  return found == buckets_.end() ? nullptr : found->second.store.get();
}

std::variant<S3Service::Place, S3Error> S3Service::Find(const std::string& bucket) {
  if (KeepingObjectStore* store = this->bucket(bucket)) {
    return Place{store, KeepingObjectStore::kNow};
  }
  const auto past = PastOf(bucket);
  KeepingObjectStore* store = past ? this->bucket(past->first) : nullptr;
  if (store == nullptr) {
    return S3Error{404, "NoSuchBucket", "The specified bucket does not exist"};
  }
  if (past->second < store->complete_since_ms()) {
    return S3Error{404, "NoSuchBucket", "What was in the bucket before " + std::to_string(store->complete_since_ms()) + " ms is kept no longer"};
  }
  return Place{store, past->second};
}

::http::Response S3Service::Answer(S3Action action) {
  const std::string resource = "/" + action.bucket + (action.key.empty() ? "" : "/" + action.key);
  Outcome outcome = Do(&action);
  if (const S3Error* error = std::get_if<S3Error>(&outcome)) {
    return S3ErrorAnswer(*error, resource);
  }
  return std::move(std::get<::http::Response>(outcome));
}

S3Service::Outcome S3Service::Do(S3Action* action) {
  if (action->kind == S3Kind::kListBuckets) {
    return ListBuckets();
  }
  if (action->kind == S3Kind::kCreateBucket) {
    return Create(*action);
  }
  std::variant<Place, S3Error> found = Find(action->bucket);
  if (const S3Error* error = std::get_if<S3Error>(&found)) {
    return *error;
  }
  const Place place = std::get<Place>(found);
  switch (action->kind) {
    case S3Kind::kListObjects:
    case S3Kind::kListObjectsV2:
      return List(*action, place);
    case S3Kind::kGetObject:
    case S3Kind::kHeadObject:
      return Get(*action, place);
    case S3Kind::kHeadBucket:
    case S3Kind::kGetBucketLocation:
    case S3Kind::kGetBucketVersioning:
    case S3Kind::kGetBucketAcl:
    case S3Kind::kGetObjectAcl:
    case S3Kind::kGetObjectLockConfiguration:
      return OfBucket(*action, place);
    default:
      break;
  }
  if (place.at_ms != KeepingObjectStore::kNow) {
    return ReadOnly();
  }
  switch (action->kind) {
    case S3Kind::kDeleteBucket:
      if (place.store->NextAt("", KeepingObjectStore::kNow).second != nullptr) {
        return S3Error{409, "BucketNotEmpty", "The bucket you tried to delete is not empty"};
      }
      return S3Error{501, "NotImplemented", "deleting a bucket is not implemented: what was in it is kept"};
    case S3Kind::kPutObject:
      return Put(action, place);
    case S3Kind::kCopyObject:
      return Copy(*action, place);
    case S3Kind::kDeleteObject: {
      const Status deleted = place.store->Delete(action->key);
      return deleted.ok() ? Outcome(EmptyAnswer(204)) : InternalError(deleted);
    }
    case S3Kind::kDeleteObjects:
      return DeleteMany(*action, place);
    case S3Kind::kListMultipartUploads:
      return ListUploads(*action);
    default:
      return OfUpload(action, place);
  }
}

S3Service::Outcome S3Service::OfBucket(const S3Action& action, const Place& place) {
  constexpr char kGrant[] =
      "<AccessControlList><Grant><Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID>kvjury</ID>"
      "<DisplayName>kvjury</DisplayName></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList>";
  switch (action.kind) {
    case S3Kind::kGetBucketLocation:
      return XmlAnswer("LocationConstraint", "");
    case S3Kind::kGetBucketVersioning:
      return XmlAnswer("VersioningConfiguration", "");
    case S3Kind::kGetObjectLockConfiguration:
      return S3Error{404, "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"};
    case S3Kind::kGetObjectAcl:
      if (place.store->At(action.key, place.at_ms) == nullptr) {
        return NoSuchKey();
      }
      return XmlAnswer("AccessControlPolicy", Owner("Owner") + kGrant);
    case S3Kind::kGetBucketAcl:
      return XmlAnswer("AccessControlPolicy", Owner("Owner") + kGrant);
    default: {
      ::http::Response answer = EmptyAnswer();
      AddHeader(&answer, "x-amz-bucket-region", "us-east-1");
      return answer;
    }
  }
}

S3Service::Outcome S3Service::Create(const S3Action& action) {
  const Status added = AddBucket(action.bucket);
  if (added.code() == StatusCode::kAlreadyExists) {
    return S3Error{409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."};
  }
  if (added.code() == StatusCode::kInvalidArgument) {
    return S3Error{400, "InvalidBucketName", "The specified bucket is not valid."};
  }
  if (!added.ok()) {
    return InternalError(added);
  }
  ::http::Response answer = EmptyAnswer();
  AddHeader(&answer, "Location", "/" + action.bucket);
  return answer;
}

S3Service::Outcome S3Service::ListBuckets() const {
  std::string inside = Owner("Owner") + "<Buckets>";
  for (const auto& [name, bucket] : buckets_) {
    inside += "<Bucket>" + XmlElement("Name", name) + XmlElement("CreationDate", IsoTime(bucket.since_ms)) + "</Bucket>";
  }
  return XmlAnswer("ListAllMyBucketsResult", inside + "</Buckets>");
}

std::string S3Service::EtagOf(KeepingObjectStore* store, const std::string& key, Version* version) {
  std::string& etag = version->headers[kEtag];
  if (etag.empty()) {
    const Result<Bytes> bytes = store->Read(key, *version);
    etag = bytes.ok() ? ToHex(Md5(*bytes)) : std::string();
  }
  return etag;
}

S3Service::Outcome S3Service::Get(const S3Action& action, const Place& place) {
  Version* version = place.store->At(action.key, place.at_ms);
  if (version == nullptr) {
    return NoSuchKey();
  }
  const std::string etag = EtagOf(place.store, action.key, version);
  if (action.headers.contains("if-match") && !NamesEtag(action.Header("if-match"), etag)) {
    return PreconditionFailed();
  }
  if (action.headers.contains("if-none-match") && NamesEtag(action.Header("if-none-match"), etag)) {
    return S3Error{304, "NotModified", ""};
  }
  std::variant<std::monostate, S3Range, S3Error> range = ParseRange(action.Header("range"), version->bytes);
  if (const S3Error* error = std::get_if<S3Error>(&range)) {
    return *error;
  }
  const S3Range* part = std::get_if<S3Range>(&range);
  ::http::Response answer = EmptyAnswer(part != nullptr ? 206 : 200);
  if (action.kind == S3Kind::kHeadObject) {
    answer.set_length(part != nullptr ? part->count : version->bytes);
  } else {
    Result<Bytes> bytes = place.store->Read(action.key, *version);
    if (!bytes.ok()) {
      return InternalError(bytes.error());
    }
    answer.set_body(part != nullptr ? bytes->substr(part->first, part->count) : *std::move(bytes));
  }
  const bool with_checksums = part == nullptr && Lower(action.Header("x-amz-checksum-mode")) == "enabled";
  answer.set_content_type("binary/octet-stream");
  for (const auto& [name, value] : version->headers) {
    if (name == "content-type") {
      answer.set_content_type(value);
    } else if (name != kEtag && (with_checksums || name.rfind("x-amz-checksum-", 0) != 0)) {
      AddHeader(&answer, name, value);
    }
  }
  AddHeader(&answer, "ETag", Quoted(etag));
  AddHeader(&answer, "Last-Modified", HttpTime(version->since_ms));
  AddHeader(&answer, "Accept-Ranges", "bytes");
  if (part != nullptr) {
    AddHeader(&answer, "Content-Range", "bytes " + std::to_string(part->first) + "-" + std::to_string(part->first + part->count - 1) + "/" +
                                      std::to_string(version->bytes));
  }
  return answer;
}

bool S3Service::HasRoom(uint64_t bytes) const {
  for (const auto& [name, bucket] : buckets_) {
    bytes += bucket.store->current_bytes();
  }
  for (const auto& [id, upload] : uploads_) {
    for (const auto& [number, part] : upload.parts) {
      bytes += part.bytes.size();
    }
  }
  return bytes <= bytes_max_;
}

KeepingObjectStore::Headers S3Service::ObjectHeaders(const S3Action& action) {
  KeepingObjectStore::Headers kept;
  for (const auto& [name, value] : action.headers) {
    const bool plain = name == "content-type" || name == "content-disposition" || name == "content-language" || name == "cache-control" || name == "expires";
    if (plain || name.rfind("x-amz-meta-", 0) == 0 || name == "x-amz-storage-class" || name.rfind("x-amz-server-side-encryption", 0) == 0) {
      kept[name] = value;
    } else if (name == "content-encoding" && value.rfind("aws-chunked", 0) != 0) {
      kept[name] = value;
    } else if (name == "content-encoding" && value.rfind("aws-chunked,", 0) == 0) {
      kept[name] = Trim(std::string_view(value).substr(std::string_view("aws-chunked,").size()));
    }
  }
  for (const auto& [name, value] : action.payload.checksums) {
    if (name.rfind("x-amz-checksum-", 0) == 0 && name != "x-amz-checksum-algorithm" && name != "x-amz-checksum-type") {
      kept[name] = value;
    }
  }
  return kept;
}

S3Service::Outcome S3Service::Put(S3Action* action, const Place& place) {
  Version* before = place.store->At(action->key, place.at_ms);
  if (action->headers.contains("if-none-match") && before != nullptr) {
    return PreconditionFailed();
  }
  if (action->headers.contains("if-match") && (before == nullptr || !NamesEtag(action->Header("if-match"), EtagOf(place.store, action->key, before)))) {
    return before == nullptr ? NoSuchKey() : PreconditionFailed();
  }
  if (!HasRoom(action->payload.body.size())) {
    return StorageFull();
  }
  KeepingObjectStore::Headers headers = ObjectHeaders(*action);
  const std::string etag = ToHex(action->payload.md5);
  headers[kEtag] = etag;
  ::http::Response answer = EmptyAnswer();
  AddHeader(&answer, "ETag", Quoted(etag));
  for (const auto& [name, value] : headers) {
    if (name.rfind("x-amz-checksum-", 0) == 0 || name.rfind("x-amz-server-side-encryption", 0) == 0) {
      AddHeader(&answer, name, value);
    }
  }
  const Status put = place.store->PutWith(action->key, action->payload.body, std::move(headers));
  return put.ok() ? Outcome(std::move(answer)) : InternalError(put);
}

S3Service::Outcome S3Service::Copy(const S3Action& action, const Place& place) {
  auto parsed = ParseCopySource(action.Header("x-amz-copy-source"));
  if (const S3Error* error = std::get_if<S3Error>(&parsed)) {
    return *error;
  }
  const auto& [bucket, key] = std::get<0>(parsed);
  std::variant<Place, S3Error> from = Find(bucket);
  if (const S3Error* error = std::get_if<S3Error>(&from)) {
    return *error;
  }
  const Place& source = std::get<Place>(from);
  Version* version = source.store->At(key, source.at_ms);
  if (version == nullptr) {
    return NoSuchKey();
  }
  const std::string etag = EtagOf(source.store, key, version);
  KeepingObjectStore::Headers headers = action.Header("x-amz-metadata-directive") == "REPLACE" ? ObjectHeaders(action) : version->headers;
  headers[kEtag] = etag;
  const Result<Bytes> bytes = source.store->Read(key, *version);
  if (!bytes.ok()) {
    return InternalError(bytes.error());
  }
  if (!HasRoom(bytes->size())) {
    return StorageFull();
  }
  const Status put = place.store->PutWith(action.key, *bytes, std::move(headers));
  return put.ok() ? Outcome(XmlAnswer("CopyObjectResult", XmlElement("LastModified", IsoTime(clock_())) + XmlElement("ETag", Quoted(etag)))) : InternalError(put);
}

S3Service::Outcome S3Service::DeleteMany(const S3Action& action, const Place& place) {
  auto parsed = ParseDeletion(action.payload.body);
  if (const S3Error* error = std::get_if<S3Error>(&parsed)) {
    return *error;
  }
  const auto& deletion = std::get<S3Deletion>(parsed);
  std::string inside;
  for (const std::string& key : deletion.keys) {
    const Status deleted = place.store->Delete(key);
    if (!deleted.ok()) {
      inside += "<Error>" + XmlElement("Key", key) + "<Code>InternalError</Code>" + XmlElement("Message", deleted.message()) + "</Error>";
    } else if (!deletion.quiet) {
      inside += "<Deleted>" + XmlElement("Key", key) + "</Deleted>";
    }
  }
  return XmlAnswer("DeleteResult", inside);
}

}  // namespace kvjury::objects
