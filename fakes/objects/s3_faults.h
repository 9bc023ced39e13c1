// S3Faults: what goes wrong at an S3 endpoint, on labels as everywhere.
//
//   external/s3/PutObject[bucket/key]#2    the second PutObject of this key
//   external/s3/PutObject#7                the seventh PutObject of all; for keys that nobody knows beforehand
// A label of the first form counts before one of the second. Delays are nudges. What strikes, and why it is real:
//
//   object_error        500 InternalError before the effect, or (after_effect) although the write took place: S3's error responses say that
//                       InternalError is to be tried again, without telling which of the two it was. in_body: 200 with an error inside;
//                       the API reference of CompleteMultipartUpload and CopyObject tells of it (TiKV took it for success: tikv#19196)
//   object_throttle     503 SlowDown: S3's error responses; clients must slow down and try again
//   object_full         507 XMinioStorageFull: MinIO on a full disk. S3 itself is never full
//   object_corrupt      a byte of what is read is another, under the right length and ETag: disks, memory and proxies do that; it is what S3
//                       has checksums for. Clients that ask for checksums find it
//   object_slow         the body trickles: a busy disk, a far client, a full link
//   object_stale_list   a listing lacks the newest object: S3 until December 2020 (eventual consistency of listings), and stores behind
//                       caches or replicas today
//   stream_reset        the connection ends in the middle of the body (br read on at a wrong offset: tidb#50451)
//   lose_request, lose_reply   the connection ends before, or after, the effect, without an answer
// Left out: an object that a put leaves truncated. No S3 store does that: a put is whole or it is not there (PutObject: "Amazon S3 never adds
// partial objects"); an upload that lacks a part is what object_error at UploadPart makes of a client that does not look.
// Each counts when it had an effect. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fakes/objects/s3_service.h"
#include "fakes/sim/faults.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::objects {

/// Takes the faults and nudges at external/s3/... out of a case, and copies what is drawn, for those who hand the rest to a cluster.
record::Case TakeS3Faults(record::Case* c);

class S3Faults {
 public:
  /// Loads what hangs on external/s3/...; without named kinds to draw, all that fit are drawn.
  explicit S3Faults(const record::Case& c);
  S3Faults(const S3Faults&) = delete;
  S3Faults& operator=(const S3Faults&) = delete;

  /// Further faults, beside those that are planned.
  void Add(const record::Case& c) { plan_.Load(c); }

  /// Answers in place of `service`, which it asks unless something is in the way. The status 0 is no answer at all.
  ::http::Response Answer(S3Service* service, S3Action action, Micros* delay_us);

  /// Count of what had an effect, by kind.
  [[nodiscard]] const std::map<std::string, uint64_t>& fired_counts() const { return plan_.fired_counts(); }
  [[nodiscard]] std::vector<std::string> never_fired() const { return plan_.never_fired(); }

 private:
  bool Strike(const record::Fault& fault);

  sim::FaultPlan plan_;
  // By name of the call and key, and by name alone.
  std::map<std::pair<std::string, std::string>, uint64_t> calls_;
  // Of the call that is being answered.
  S3Service* service_ = nullptr;
  S3Action* action_ = nullptr;
  std::vector<record::Fault> struck_;
};

}  // namespace kvjury::objects
