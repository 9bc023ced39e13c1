// Cast: the writers of a case at work on the source, and those that die on the way.
//
// Each writer has a client of its own, mounted as the case says, and carries out its operations in order, with the case's think time between
// them, until it dies (the operation Die, or a volume that is gone).
// Orphans (a trigger) are further sessions that create files without pause until they are killed when the backup starts,
// so that locks of dead clients stand in its way. Nobody stops for the backup.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/backup/automatic_backup_model.h"
#include "harness/client/client.h"
#include "harness/explore/stage.h"
#include "harness/juicefs/writer.h"

namespace kvjury::explore {

class Cast {
 public:
  explicit Cast(Stage* stage);
  Cast(const Cast&) = delete;
  Cast& operator=(const Cast&) = delete;

  /// Starts all writers in a scope of its own.
  void Start();
  /// Ends when the moment of the case's backup has come, or no writer is left. Suspends.
  sim::Task<void> WaitForBackup();
  /// The backup starts: orphans die, operations that end from now on are counted as during the backup.
  void BackupStarts();
  void BackupEnds() { in_backup_ = false; }
  /// Ends when all writers and their clients have ended. Suspends.
  sim::Task<void> Join();

  struct Tally {
    uint64_t operations = 0;
    uint64_t failed = 0;
    uint64_t during_backup = 0;
    std::map<std::string, uint64_t> by_kind;
    std::map<int, uint64_t> by_errno;
  };
  [[nodiscard]] const Tally& tally() const { return tally_; }
  /// Every transaction that any writer sent, in order of the writers.
  [[nodiscard]] std::vector<juicefs::DeclaredTransaction> History() const;
  /// Sessions that stand still for the afterlife (Afterlife.old_clients), in order of the writers. The pointers live as long as this.
  struct HeldSession {
    uint32_t id = 0;
    juicefs::Writer* writer = nullptr;
  };
  [[nodiscard]] std::vector<HeldSession> held_sessions() const;
  /// What every session gave out so far.
  struct SourceIds {
    std::string name;
    juicefs::Writer::IssuedIds issued;
  };
  [[nodiscard]] std::vector<SourceIds> IssuedIds() const;
  /// Counters of all clients together.
  [[nodiscard]] client::Counters ClientCounters() const;
  [[nodiscard]] size_t writers() const { return players_.size(); }

 private:
  struct Player {
    record::Writer script;
    bool orphan = false;
    bool held = false;
    std::unique_ptr<client::Client> client;
    std::unique_ptr<juicefs::BlockStore> blocks;
    std::unique_ptr<backup::SessionBackup> backup;
    std::unique_ptr<juicefs::Writer> writer;
  };
  void AddPlayer(record::Writer script, bool orphan);
  sim::Task<void> Play(Player* player);
  sim::Task<void> PlayOperations(Player* player);
  void Count(const Player& player, const record::Operation& operation, const juicefs::OperationResult& result);
  [[nodiscard]] bool Finished() const { return playing_ == 0; }

  Stage* stage_;
  sim::Scope scope_;
  sim::Notifier progress_;
  std::vector<std::unique_ptr<Player>> players_;
  std::set<std::string> done_;
  size_t playing_ = 0;  // writers that are no orphans
  bool in_backup_ = false;
  Tally tally_;
};

}  // namespace kvjury::explore
