// Afterlife: the restored volume in use, after everything else about it was looked at.
//
//   cutover (cutover.h) -> sessions work at once: new ones, and those of the source with the ids that they hold -> PD changes its leader ->
//   GC's safe point moves to the present, all stores compact -> a session stays until every retention is over; `gc --delete` runs, breaks off
//   once because PD is away, and runs again -> PD changes its leader
//
// Between the steps the volume is read whole by an ordinary client. It happens on the target itself: what the other checks look at was taken
// before. No fault strikes any more, so that every step must come to its end. If the bucket stays the living source's, there is only a look:
// nobody mounts, files are read; then the source must still have what it needs.
// Not here: what follows from it (check WRITE, GC, OBJ, TSO). Not modelled: kernel caches, block caches, reading what blocks contain.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "harness/explore/cast.h"
#include "harness/explore/cutover.h"
#include "harness/explore/stage.h"
#include "harness/judge/evidence.h"

namespace kvjury::explore {

/// How long the afterlife of this case may take, virtual microseconds; 0 without one.
Micros AfterlifeUsMax(const record::Case& c, uint32_t trash_days);

class Afterlife {
 public:
  Afterlife(Stage* stage, Cast* cast);
  Afterlife(const Afterlife&) = delete;
  Afterlife& operator=(const Afterlife&) = delete;

  /// The whole course, beginning with the cutover. `cut_us`: when the cut was asked for. Call once, after the source's sessions ended. Suspends.
  sim::Task<void> Play(Micros cut_us);
  /// After Play.
  [[nodiscard]] judge::AfterlifeEvidence TakeEvidence();
  [[nodiscard]] judge::BucketEvidence TakeBucket();

 private:
  struct Session {
    std::string name;
    std::vector<record::Operation> operations;
    std::unique_ptr<client::Client> client;
    std::unique_ptr<juicefs::BlockStore> blocks;
    std::unique_ptr<juicefs::Writer> own;  // of a new session
    juicefs::Writer* writer = nullptr;
    bool old = false;
    size_t history_before = 0;  // of an old one
    size_t inodes_before = 0;
    size_t slices_before = 0;
  };

  sim::Task<void> Prepare(Micros cut_us);
  sim::Task<void> Work();
  void AddNewSession(uint32_t number);
  void AddOldSession(const Cast::HeldSession& held);
  std::vector<record::Operation> DrawFor(uint32_t writer, uint32_t first_id) const;
  sim::Task<void> PlaySession(Session* session);
  sim::Task<void> Look();
  sim::Task<void> Collect();
  sim::Task<void> Clean();
  sim::Task<void> CleanObjects(uint32_t number);
  sim::Task<void> ChangePdLeader();
  /// All pairs of the target, now.
  sim::Task<judge::Pairs> ReadAll(std::string step);
  void Declare(const Session& session);
  void Expect(const Status& status, const std::string& step);
  [[nodiscard]] objects::WorldObjectStore WorldBucket() { return objects::WorldObjectStore(&stage_->world(), bucket_); }

  Stage* stage_;
  Cast* cast_;
  record::Afterlife spec_;
  bool only_look_ = false;
  std::unique_ptr<VolumeBucket> own_bucket_;
  VolumeBucket* bucket_ = nullptr;
  size_t replaced_before_ = 0;
  client::Client source_client_;
  client::Client client_;
  juicefs::View restored_view_;
  std::vector<std::unique_ptr<Session>> sessions_;
  std::vector<juicefs::DeclaredTransaction> history_;
  judge::AfterlifeEvidence evidence_;
  judge::BucketEvidence bucket_evidence_;
};

}  // namespace kvjury::explore
