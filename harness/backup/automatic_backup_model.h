// Model of what a mount does for --backup-meta when it looks, every tenth of the interval, whether a backup of the metadata is due.
//
// The time of the last one is the xattr `lastBackup` of the root, read without a transaction and then set by one that compares nothing: two clients may both
// pass. It is set before the dump, so that the dump holds its own time and one that failed is not tried again before the next interval. Then a
// JSON dump without secrets, fast below 100,000 inodes and else a walk, gzip, as VOLUME/meta/dump-YYYY-MM-DD-HHMMSS.json.gz (UTC), and only after
// success old ones are removed. An interval of up to an hour and more than a million inodes: no backup, and a warning.
// Not modelled: the loop and its jitter (of the caller, or of a session: harness/juicefs/jobs_backup.cc), encryption of the object, the temporary file.
// Source: JuiceFS 1.4, backup of metadata.
#pragma once

#include <string>
#include <vector>

#include "fakes/objects/object_store.h"
#include "harness/backup/juicefs_dump_model.h"
#include "harness/juicefs/metadata_backup.h"

namespace kvjury::backup {

struct AutomaticBackupOptions {
  Bytes volume_name;         // in the store
  std::string bucket_folder;  // the name in the volume's setting
  int64_t interval_s = 3600;
  bool skip_trash = false;
  uint32_t threads = 10;
  sim::PlantedBugs* bugs = nullptr;  // may be null
};

struct AutomaticBackupReport {
  enum class Outcome { kNotDue, kTooManyInodes, kDone };
  Outcome outcome = Outcome::kNotDue;
  std::string object;
  bool fast = false;
  JuicefsDumpReport dump;
  std::vector<std::string> removed;  // objects that were too many
};

/// One look at `wall_ns` (nanoseconds since the epoch). Errors: kDataLoss (lastBackup is no time), those of the dump, of the store and of the
/// objects; then there is no object and the xattr may say that there is. Suspends.
sim::Task<Result<AutomaticBackupReport>> RunAutomaticBackup(client::Store* store, objects::ObjectStore* objects, sim::Label label,
                                                            AutomaticBackupOptions options, int64_t wall_ns);

/// The backup alone, after somebody set the xattr: dump, object, and then the removal of old ones. Errors: those of the dump, of the store and of
/// the objects. Suspends.
sim::Task<Result<AutomaticBackupReport>> WriteAutomaticBackup(client::Store* store, objects::ObjectStore* objects, sim::Label label,
                                                              AutomaticBackupOptions options, bool fast, int64_t wall_ns);

/// Which of the objects, given by their names behind meta/, are removed after a backup: all of the last 2 days stay, then the earliest of each day up to
/// 14, of each 7 days up to 60, of each 30 days; none older than 2 years. Names of another form are left alone.
std::vector<std::string> BackupsToRemove(std::vector<std::string> names, int64_t now_s);

/// What a session of the simulation is given for its hourly job: it looks at the time and sets the xattr itself.
class SessionBackup final : public juicefs::MetadataBackup {
 public:
  /// `objects` must outlive it. Interval and skip_trash of the options do not matter: the session knows them.
  SessionBackup(objects::ObjectStore* objects, AutomaticBackupOptions options) : objects_(objects), options_(std::move(options)) {}

  sim::Task<Status> Make(Request request) override;

 private:
  objects::ObjectStore* objects_;
  AutomaticBackupOptions options_;
};

}  // namespace kvjury::backup
