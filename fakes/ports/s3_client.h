// S3ObjectStore: a bucket of some S3 server as an object store, over libcurl with our own signatures.
//
// What a served store does when br names an s3:// storage, and how br+s3:// addresses are read: PutObject, or above `part_bytes`
// a multipart upload as TiKV's stores make it (5 MiB, never more than 10,000 parts, aborted when it fails), GetObject, HeadObject,
// ListObjectsV2, DeleteObject. An error inside an answer with the status 200 is an error.
// Tried again, with growing pauses: lost connections, cut bodies, 429, 5xx. An error that stays says S3's code in its own tags
// (<Code>SlowDown</Code>), since br tells by them what to try again; keys and signatures are in no message.
// Not modelled: redirects to other regions, roles to assume, instance credentials, SSE with customer keys, checksums on reading.
// Source: Amazon S3 API Reference; TiKV 8.5, components/cloud/aws; br's --s3.* flags. Any thread; calls block.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fakes/objects/object_store.h"
#include "fakes/objects/s3_signature.h"
#include "proto/tikv/backup.pb.h"

namespace kvjury::ports {

struct S3ClientOptions {
  uint64_t part_bytes = uint64_t{5} << 20;
  /// Calls in all for one request.
  int tries_max = 5;
  int first_pause_ms = 100;
  /// Says that the wait for an answer should end. May be empty.
  std::function<bool()> stopping;
};

class S3ObjectStore final : public objects::ObjectStore {
 public:
  /// Without an access key in `target` that of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN) counts; AWS_CA_BUNDLE
  /// names other certificates of authorities. Names are put behind the prefix and a slash. Asks nobody yet.
  /// Errors: kInvalidArgument for a target without bucket or credentials, or an endpoint that is no URL; kUnsupported for roles.
  static Result<std::unique_ptr<objects::ObjectStore>> Open(const ::backup::S3& target, S3ClientOptions options = {});
  S3ObjectStore(const S3ObjectStore&) = delete;
  S3ObjectStore& operator=(const S3ObjectStore&) = delete;
  ~S3ObjectStore() override;

  /// Errors, of all: kNotFound (no such object); kUnavailable after the last try; kRejected for every other answer that is an error.
  Status Put(const std::string& name, std::string_view bytes) override;
  Result<Bytes> Get(const std::string& name) override;
  Result<objects::ObjectInfo> Head(const std::string& name) override;
  Result<std::vector<objects::ObjectInfo>> List(const std::string& prefix) override;
  Status Delete(const std::string& name) override;
  /// "s3://bucket/prefix at http://127.0.0.1:9000".
  [[nodiscard]] std::string description() const override;
  [[nodiscard]] bool is_slow() const override { return true; }

 private:
  class Impl;
  explicit S3ObjectStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::ports
