// S3Server: an S3 endpoint on a port of this machine, for s3cmd, boto3, juicefs, br and whatever else speaks S3 in path style.
//
// The protocol is fakes/objects/s3_service.h, the faults s3_faults.h; here are the port, the clock and the lock: calls are verified side by
// side and carried out one after another. Everything that was overwritten or deleted is kept and shown as the bucket NAME-at-MS.
// Memory: each call holds its body, at most 1 GiB; without a folder all objects are in memory, at most `bytes_max` of them, and
// `history_bytes_max` of what was.
// Threads: the listener's; all members from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes/base/status.h"
#include "fakes/objects/object_store.h"
#include "fakes/ports/call_log.h"
#include "fakes/ports/tls.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::ports {

struct S3ServerOptions {
  std::string host = "127.0.0.1";
  /// 0: any free one.
  int port = 0;
  std::vector<std::string> buckets;
  std::string access_key = "kvjury";
  std::string secret_key = "kvjurysecret";
  /// A folder with a folder for each bucket, made if it is not there; buckets that it holds already are served too. Empty: in memory.
  std::string data;
  /// With a certificate the endpoint is https://.
  TlsFiles tls;
  uint64_t bytes_max = uint64_t{8} << 30;
  uint64_t history_bytes_max = uint64_t{2} << 30;
  /// Its faults, nudges and what is drawn at external/s3/...; the rest does not count.
  record::Case faults;
  /// Told of each call, from several threads: "PutObject", "bucket/key", the status of the answer (0: none came). May be empty.
  std::function<void(const std::string& call, const std::string& resource, uint32_t status)> on_call;
};

class S3Server {
 public:
  /// Errors: kEnvironment (port, folder, certificates), kInvalidArgument (a bucket's name), kDataLoss (a folder that is no state).
  static Result<std::unique_ptr<S3Server>> Start(S3ServerOptions options);
  S3Server(const S3Server&) = delete;
  S3Server& operator=(const S3Server&) = delete;
  /// Stops.
  ~S3Server();

  /// Cuts connections; nothing listens any more. What was stored can still be read. Idempotent.
  void Stop();

  /// "127.0.0.1:9000".
  [[nodiscard]] std::string address() const;
  /// "http://127.0.0.1:9000".
  [[nodiscard]] std::string endpoint() const;
  [[nodiscard]] std::string access_key() const;
  [[nodiscard]] std::vector<std::string> buckets() const;
  [[nodiscard]] const CallLog& calls() const;

  /// Further faults at external/s3/..., beside those of the options.
  void AddFaults(const record::Case& faults);
  /// How often each kind had an effect.
  [[nodiscard]] std::map<std::string, uint64_t> fired_counts() const;
  /// Labels of explicit entries that never came up.
  [[nodiscard]] std::vector<std::string> never_fired() const;

  /// The object of a bucket as it was at a Unix millisecond; without one, as it is. Errors: kNotFound.
  Result<Bytes> Get(const std::string& bucket, const std::string& key, int64_t at_ms = INT64_MAX);
  /// All objects of a bucket at that time. Errors: kNotFound.
  Result<std::vector<objects::ObjectInfo>> List(const std::string& bucket, const std::string& prefix, int64_t at_ms = INT64_MAX);

 private:
  class Impl;
  explicit S3Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::ports
