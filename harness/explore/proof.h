// Proof: the course of one simulated run, from the writers' first operation to the evidence.
//
//   writers work -> the tool backs up at a timestamp while they go on -> writers end -> triggers strike the files and the target ->
//   the tool restores -> faults heal, lost answers are settled -> the target is read by an ordinary client -> if the case asks, it is used
//
// The tool is the one that the case names (tool_model.h); one that writes the volume anew has a window of moments instead of a timestamp.
// A tool that fails loudly is started again as often as the case allows, with all faults healed first.
// Not here: what a case consists of (case_shape.h), judging (judge.h), the record (run_case.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/backup/reference_backup.h"
#include "harness/backup/reference_restore.h"
#include "harness/client/client.h"
#include "harness/explore/afterlife.h"
#include "harness/explore/cast.h"
#include "harness/explore/gather.h"
#include "harness/explore/stage.h"
#include "harness/explore/tool_model.h"
#include "harness/judge/evidence.h"

namespace kvjury::explore {

class Proof {
 public:
  explicit Proof(Stage* stage);
  Proof(const Proof&) = delete;
  Proof& operator=(const Proof&) = delete;

  /// The whole course. Suspends.
  sim::Task<void> Play();

  /// What was found, after Play or after a run that did not end (`hang` says so in words).
  [[nodiscard]] judge::Evidence TakeEvidence(std::string hang);

  [[nodiscard]] const Cast& cast() const { return cast_; }
  [[nodiscard]] uint64_t attempts() const { return attempts_ + retries_of_restore_; }
  [[nodiscard]] const std::optional<backup::ToolReport>& backup() const { return backup_; }
  /// Where the files of the last backup stand.
  [[nodiscard]] objects::ObjectStore* storage();

 private:
  backup::ToolHost HostOf(const std::string& name, uint64_t attempt, client::Client* client);
  sim::Task<void> BackUp();
  sim::Task<void> BackUpOnce();
  sim::Task<void> Restore();
  sim::Task<void> RestoreOnce(uint64_t attempt);
  void ForgeFiles();
  void BuryTarget();
  sim::Task<void> SettleHistory();
  sim::Task<void> ReadTargetBack();
  void AddModel(judge::Evidence* evidence);
  void AddFiles(judge::Evidence* evidence);
  void AddRewrite(judge::Evidence* evidence);
  void AddTarget(judge::Evidence* evidence);
  void AddBucket(judge::Evidence* evidence);
  void AddHistory(judge::Evidence* evidence) const;
  [[nodiscard]] bool Trouble() const;
  [[nodiscard]] std::string StoragePath() const { return "/backup-" + std::to_string(attempts_); }

  Stage* stage_;
  ToolModel tool_;
  Cast cast_;
  client::Client backup_client_;
  client::Client restore_client_;
  client::Client judge_client_;
  client::Client reader_client_;
  uint64_t attempts_ = 0;
  uint64_t retries_of_restore_ = 0;
  bool triggered_ = false;
  std::optional<backup::ToolReport> backup_;
  std::optional<backup::ToolReport> restore_;
  std::optional<DumpRun> dump_;  // of the last backup, of a tool that writes the volume anew
  std::optional<LoadRun> load_;
  std::vector<juicefs::DeclaredTransaction> history_;
  std::map<Timestamp, Timestamp> settled_;  // of committed transactions: start timestamp -> commit timestamp
  std::vector<std::string> unsettled_;      // neither committed nor rolled back, and why
  std::optional<TargetReading> reading_;
  std::vector<Timestamp> target_timestamps_;
  std::optional<judge::TargetRecords> target_records_;  // before anybody used it
  std::unique_ptr<Afterlife> afterlife_;                // once it is through
};

}  // namespace kvjury::explore
