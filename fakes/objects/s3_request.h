// What a request to an S3 server asks for: path style (/bucket/key?sub-resource), told by method, path, query and headers alone.
//
// Read here: what s3cmd, boto3, juicefs, br and TiKV send. Everything else that S3 knows (policies, tags, versions, copies of parts,
// lifecycle ...) is NotImplemented with its name, never taken for something else.
// Source: Amazon S3 API Reference.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fakes/objects/s3_signature.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::objects {

enum class S3Kind {
  kListBuckets,
  kHeadBucket,
  kCreateBucket,
  kDeleteBucket,
  kGetBucketLocation,
  kGetBucketVersioning,
  kGetBucketAcl,
  kGetObjectLockConfiguration,
  kListObjects,
  kListObjectsV2,
  kListMultipartUploads,
  kDeleteObjects,
  kPutObject,
  kCopyObject,
  kGetObject,
  kHeadObject,
  kDeleteObject,
  kGetObjectAcl,
  kCreateMultipartUpload,
  kUploadPart,
  kCompleteMultipartUpload,
  kAbortMultipartUpload,
  kListParts,
};

/// S3's own name: "PutObject".
const char* S3KindName(S3Kind kind);

struct S3Action {
  S3Kind kind = S3Kind::kListBuckets;
  std::string bucket;
  std::string key;
  /// Of the query, decoded; without the parts of a signature.
  std::map<std::string, std::string> query;
  /// Lower-case names.
  std::map<std::string, std::string> headers;
  S3Payload payload;
  /// A listing leaves this key out (fault object_stale_list).
  std::string hidden_key;

  [[nodiscard]] std::string Query(const std::string& name) const;
  [[nodiscard]] std::string Header(const std::string& name) const;
};

/// The action, without its payload, or the error that S3 answers.
std::variant<S3Action, S3Error> ParseS3Request(const ::http::Request& request);

/// The keys of a `POST ?delete`, at most 1000.
struct S3Deletion {
  std::vector<std::string> keys;
  bool quiet = false;
};
std::variant<S3Deletion, S3Error> ParseDeletion(std::string_view xml);

/// The parts of a CompleteMultipartUpload, in its order: number and ETag without quotes.
using S3PartList = std::vector<std::pair<uint32_t, std::string>>;
std::variant<S3PartList, S3Error> ParsePartList(std::string_view xml);

/// "bytes=0-99" of an object: first byte and count; nothing for a header that S3 does not heed, an error (416) for one that it
/// cannot satisfy.
struct S3Range {
  uint64_t first = 0;
  uint64_t count = 0;
};
std::variant<std::monostate, S3Range, S3Error> ParseRange(std::string_view header, uint64_t size);

/// `x-amz-copy-source`: bucket and key.
std::variant<std::pair<std::string, std::string>, S3Error> ParseCopySource(std::string_view header);

}  // namespace kvjury::objects
