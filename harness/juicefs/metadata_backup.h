// MetadataBackup: how a JuiceFS client makes the automatic backup of the metadata (`--backup-meta`) that it found to be due: a dump of the whole
// volume, read through the session's own client, as an object of the bucket. Where nobody gives a session one, it makes no backup.
//
// Source: JuiceFS 1.4, backup of metadata. The model of the dump is a layer above (harness/backup/automatic_backup_model.h).
#pragma once

#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/sim/label.h"
#include "fakes/sim/task.h"
#include "harness/client/kv.h"

namespace kvjury::juicefs {

class MetadataBackup {
 public:
  struct Request {
    sim::Label label;
    client::Store* store = nullptr;
    bool fast = false;  // the whole volume in memory instead of a walk
    bool skip_trash = false;
    int64_t wall_ns = 0;  // gives the object its name
  };
  virtual ~MetadataBackup() = default;
  /// Writes the object, and removes those that are too many afterwards. Errors: those of the store and the bucket; then there is no new
  /// object. Suspends.
  virtual sim::Task<Status> Make(Request request) = 0;
};

}  // namespace kvjury::juicefs
