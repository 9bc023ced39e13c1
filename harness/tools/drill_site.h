// DrillSite: what a drill stands on: two served clusters, a third one that shows the source at the cut, an S3 endpoint, mounts, writers,
// the tool.
//
// The volume's objects are in the bucket kBucket of the endpoint, which keeps what is overwritten or deleted; the mount at the cut has the
// bucket as it was then. A backup may go to kBackupBucket of the same endpoint.
// Everything lives inside a confinement (confinement.h): ports have fixed numbers, and the end of this process is the end of it all.
// No file of a mount is touched by this process itself: a mount whose cluster hangs would take it along. Writers, walks and removals are
// processes with time limits. Threads: those of the served clusters; all calls here from one.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fakes/ports/s3_server.h"
#include "fakes/ports/served_cluster.h"
#include "harness/judge/evidence.h"
#include "harness/juicefs/view.h"
#include "harness/tools/process.h"
#include "harness/tools/recipe.h"
#include "proto/kvjury/drill.pb.h"

namespace kvjury::tools {

struct DrillOptions {
  record::Recipe recipe;
  /// Without a name: none.
  record::DrillFault fault;
  uint32_t number = 1;
  uint64_t seed = 1;
  /// The volume that the source holds, for people; its name; all keys of the source.
  std::string volume;
  std::string volume_name;
  std::vector<tikv::UserVersion> versions;
  uint32_t writers = 3;
  /// Of one phase of the tool.
  std::chrono::milliseconds time_limit{180'000};
  /// What stays: logs, views, keys, the record.
  std::string folder;
  /// Memory.
  std::string scratch;
  /// Where the tool's commands run: that of whoever asked for the drill.
  std::string working_folder;
  /// This program.
  std::string kvjury;
  std::vector<FoundTool> tools;
  /// A word on what is being done, for a terminal. May be empty.
  std::function<void(const std::string&)> on_step;
};

/// Of this machine's clock.
int64_t UnixMs();

/// A volume mounted by juicefs.
class DrillMount {
 public:
  DrillMount(Process process, std::string path) : process_(std::move(process)), path_(std::move(path)) {}
  [[nodiscard]] const std::string& path() const { return path_; }
  Process& process() { return process_; }

 private:
  Process process_;
  std::string path_;
};

class DrillSite {
 public:
  explicit DrillSite(const DrillOptions& options);
  DrillSite(const DrillSite&) = delete;
  DrillSite& operator=(const DrillSite&) = delete;
  ~DrillSite();

  /// Source and target. Errors: those of ServedCluster::Start.
  Status Start();
  ports::ServedCluster& source() { return *source_; }
  /// The source itself where the restore goes into it.
  ports::ServedCluster& target() { return target_ != nullptr ? *target_ : *source_; }
  /// A third cluster that shows these pairs as of the cut and takes no others.
  Status StartFrozen(const judge::Pairs& pairs, Timestamp cut);

  /// What the tool wrote to {storage}, to be read. Errors: kNotFound, kEnvironment.
  Result<std::unique_ptr<objects::ObjectStore>> Storage();

  /// Files under {storage} and {dump}, and their bytes.
  [[nodiscard]] std::pair<uint64_t, uint64_t> StorageSize() const;

  /// Of the source's PD: everything that is committed is at or below it.
  Timestamp Now();
  [[nodiscard]] const Words& words() const { return words_; }
  void SetWord(const std::string& name, std::string value) { words_[name] = std::move(value); }
  /// host:port of PD of "source", "target" or "frozen".
  [[nodiscard]] std::string MetaOf(const std::string& pd) const;
  [[nodiscard]] ports::TlsFiles ClientTls() const;

  /// `bucket_at`: the objects as they were then; invalid: as they are. Errors: kNotFound (no juicefs), kUndetermined (it did not get
  /// ready in time), with what it said.
  Result<std::unique_ptr<DrillMount>> Mount(const std::string& meta, const std::string& name, const std::vector<std::string>& flags,
                                            Timestamp bucket_at = Timestamp());
  /// Flushes what it holds; killed if that takes too long.
  void Unmount(std::unique_ptr<DrillMount> mount);
  /// What the mount shows, contents included, read by a process of its own; also kept as NAME in the drill's folder.
  Result<juicefs::View> WalkOf(const DrillMount& mount, const std::string& name);

  /// Errors: kUndetermined when they do not get going.
  Status StartWriters(const DrillMount& mount);
  [[nodiscard]] uint64_t OperationsOfWriters() const;
  /// Errors: kEnvironment when one of them failed.
  Status StopWriters();
  /// Removes everything in the mounted folder but the trash.
  Status RemoveAll(const DrillMount& mount);

  /// Runs the commands of "backup" or "restore" one after another, with what the fault does meanwhile. Adds them to `record`.
  /// Errors: those of Expand. A tool that failed or did not end is no error: see the commands.
  Status RunPhase(const std::string& phase, record::DrillRecord* record);
  /// How often each kind of fault struck so far, in all of the site.
  [[nodiscard]] std::map<std::string, uint64_t> FaultsFired();
  /// What went on at a cluster's ports: a line for each call that was answered (ports::CallLine), and the recording of all that reached it.
  struct Recorded {
    std::string calls;
    std::string inputs;
  };
  /// Ends the clusters and the endpoint; nothing else may be asked of the site afterwards.
  void Stop();
  /// Of "source" or "target"; after Stop.
  [[nodiscard]] const Recorded& RecordedOf(const std::string& cluster) { return recorded_[cluster]; }
  /// A line for each request that the S3 endpoint answered: milliseconds since the epoch, status, call, bucket and key as sent. After Stop.
  [[nodiscard]] const std::string& S3Calls() const { return s3_calls_; }
  /// Why a phase that was ended by its limit counts as a hang: which call waits for which, and who was asked what
  /// meanwhile. Empty: it was still getting on.
  [[nodiscard]] const std::string& stuck() const { return stuck_; }

 private:
  struct Progress;
  /// Files and bytes of the backup; in a restore also files in the stores' import folders and what changed in the target.
  struct Written {
    uint64_t files = 0;
    uint64_t bytes = 0;
    uint64_t changes = 0;
    friend bool operator==(const Written&, const Written&) = default;
  };
  Written WrittenSoFar(const std::string& phase);
  Status StartCluster(const std::string& name, ports::ServeOptions options, std::unique_ptr<ports::ServedCluster>* cluster);
  record::DrillCommand RunCommand(const std::string& phase, const std::string& line, int number, Progress* progress);
  std::string Stuck(const std::string& phase, const Progress& progress);
  Status FireEvents(const std::string& phase, int64_t elapsed_ms, size_t* next);
  [[nodiscard]] std::string PathOf(const std::string& tool) const;
  [[nodiscard]] std::map<std::string, std::string> Environment() const;

  const DrillOptions& options_;
  Words words_;
  // By cluster; each grows on the thread of its world, so that they outlive the clusters.
  std::map<std::string, Recorded> recorded_;
  std::mutex s3_mutex_;
  std::string s3_calls_;
  std::unique_ptr<ports::ServedCluster> source_;
  std::unique_ptr<ports::ServedCluster> target_;
  std::unique_ptr<ports::ServedCluster> frozen_;
  std::unique_ptr<ports::S3Server> s3_;
  std::vector<Process> writers_;
  std::map<std::string, uint64_t> pokes_;
  Status event_failure_;
  std::string stuck_;
};

}  // namespace kvjury::tools
