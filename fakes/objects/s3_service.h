// S3Service: what an S3 server does, over stores that keep what was overwritten; no sockets, no threads, no clock of its own.
//
// Modelled: buckets, objects with their headers (type, x-amz-meta-*, checksums), ETags (MD5, of multipart uploads S3's composed
// one), ranges, conditions (If-Match, If-None-Match), listings of both versions with delimiter and pages, copies, deletions one and
// many, multipart uploads with S3's rules (order, ETags, 5 MiB but for the last part, 10,000 parts). A put replaces the whole object at
// once; everything is strongly consistent, as S3 is since 2020.
// The bucket `NAME-at-MS` shows the bucket NAME as it was at that Unix millisecond, read-only; it is not listed.
// Not modelled: permissions, versions by S3's own interface, tags, encryption (its headers are given back), several regions, storage
// classes (a name). Parts of unfinished uploads are in memory. After a restart over a folder objects are as if put without headers.
// Bounded: what all buckets hold now is at most `bytes_max`; then puts are answered as MinIO answers on a full disk.
// Source: Amazon S3 API Reference; MinIO's XMinioStorageFull (507). Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes/objects/keeping_store.h"
#include "fakes/objects/s3_answer.h"
#include "fakes/objects/s3_request.h"

namespace kvjury::objects {

class S3Service {
 public:
  using BucketMaker = std::function<Result<std::unique_ptr<KeepingObjectStore>>(const std::string& name)>;

  S3Service(BucketMaker make_bucket, KeepingObjectStore::Clock clock, uint64_t bytes_max)
      : make_bucket_(std::move(make_bucket)), clock_(std::move(clock)), bytes_max_(bytes_max) {}

  /// Errors: kInvalidArgument for a name that S3 does not take or that is one of a state of the past; kAlreadyExists; those of the maker.
  Status AddBucket(const std::string& name);
  [[nodiscard]] std::vector<std::string> bucket_names() const;
  /// Null if there is no such bucket.
  [[nodiscard]] KeepingObjectStore* bucket(const std::string& name);

  ::http::Response Answer(S3Action action);

 private:
  struct Bucket {
    std::unique_ptr<KeepingObjectStore> store;
    int64_t since_ms = 0;
  };
  struct Part {
    Bytes etag;
    Bytes bytes;
  };
  struct Upload {
    std::string bucket;
    std::string key;
    KeepingObjectStore::Headers headers;
    int64_t since_ms = 0;
    std::map<uint32_t, Part> parts;
  };
  /// A bucket, now or as of a time.
  struct Place {
    KeepingObjectStore* store = nullptr;
    int64_t at_ms = KeepingObjectStore::kNow;
  };
  using Outcome = std::variant<::http::Response, S3Error>;
  using Version = KeepingObjectStore::Version;

  std::variant<Place, S3Error> Find(const std::string& bucket);
  Outcome Do(S3Action* action);
  Outcome OfBucket(const S3Action& action, const Place& place);
  Outcome OfUpload(S3Action* action, const Place& place);
  Outcome ListBuckets() const;
  Outcome List(const S3Action& action, const Place& place);
  Outcome Get(const S3Action& action, const Place& place);
  Outcome Put(S3Action* action, const Place& place);
  Outcome Copy(const S3Action& action, const Place& place);
  Outcome DeleteMany(const S3Action& action, const Place& place);
  Outcome Create(const S3Action& action);
  Outcome PutPart(S3Action* action, Upload* upload);
  Outcome Complete(const S3Action& action, const Place& place, const Upload& upload);
  Outcome ListParts(const S3Action& action, const Upload& upload) const;
  Outcome ListUploads(const S3Action& action) const;
  [[nodiscard]] bool HasRoom(uint64_t bytes) const;
  /// Of the headers of a put those that belong to the object.
  static KeepingObjectStore::Headers ObjectHeaders(const S3Action& action);
  /// Computed once for an object from before a restart. Empty: it cannot be read.
  static std::string EtagOf(KeepingObjectStore* store, const std::string& key, Version* version);

  BucketMaker make_bucket_;
  KeepingObjectStore::Clock clock_;
  uint64_t bytes_max_;
  std::map<std::string, Bucket> buckets_;
  // By id.
  std::map<std::string, Upload> uploads_;
  uint64_t last_upload_ = 0;
};

}  // namespace kvjury::objects
