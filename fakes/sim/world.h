// World: owns everything one simulated run consists of. Nothing of a run is global; thousands of worlds may live in one
// process one after another.
//
// Construction takes the case; the cluster, clients and tools are built on it by their own layers. Determinism: two worlds
// of one case run the same events and end with the same digests.
#pragma once

#include <functional>
#include <string>

#include "fakes/base/random.h"
#include "fakes/sim/event_log.h"
#include "fakes/sim/fabric.h"
#include "fakes/sim/faults.h"
#include "fakes/sim/planted_bugs.h"
#include "fakes/sim/scheduler.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::sim {

enum class RunEnd {
  kDone,      // the main task ended
  kTimeLimit, // virtual time or the number of events passed its bound
  kStuck,     // nothing is left to happen and the main task has not ended
};

/// Carries out work that neither suspends nor touches the world (building a file, compressing) somewhere else.
class Offloader {
 public:
  virtual ~Offloader() = default;
  /// Runs `work`, then `done` on the world's own thread.
  virtual void Run(std::function<void()> work, std::function<void()> done) = 0;
};

class World {
 public:
  /// Errors of the case's names (unknown planted bugs) are reported by LoadBugs, before a world is built.
  explicit World(record::Case c, FabricOptions fabric = {});
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] const record::Case& spec() const { return case_; }
  Scheduler& scheduler() { return scheduler_; }
  FaultPlan& faults() { return faults_; }
  PlantedBugs& bugs() { return bugs_; }
  EventLog& log() { return log_; }
  Fabric& fabric() { return fabric_; }

  /// A stream of the component `name`, derived from the case's seed.
  [[nodiscard]] RandomStream Random(std::string_view name) const;

  /// A labelled step that is no message (an upload, the start of the backup): carries out what hangs on the label and
  /// sleeps for its nudge. Returns the fate for kinds that the caller must carry out. `method` is empty, or "objects.Put"
  /// and the like where object_error can strike. May suspend.
  Task<FaultPlan::MessageFate> Step(Label label, std::string method = {});

  /// Pure heavy work of a handler. In the simulation it runs at once and costs no virtual time; with an offloader the handler
  /// waits while other events run. `work` must not touch anything that others may change meanwhile. May suspend.
  Task<void> Offload(std::function<void()> work);
  /// For worlds behind real ports; null, the default, for simulated ones. Must outlive the world's last event.
  void SetOffloader(Offloader* offloader) { offloader_ = offloader; }

  /// Runs `main` and all events until it ends or a bound is passed. Rethrows what `main` threw.
  RunEnd Run(Task<void> main, Micros virtual_us_max, uint64_t events_max = UINT64_MAX);

  /// The digest of all components.
  [[nodiscard]] std::string DigestText() const { return log_.Total().ToString(); }
  /// What has not ended, by name: for hangs.
  [[nodiscard]] std::vector<std::string> late() const;

 private:
  record::Case case_;
  Scheduler scheduler_;
  EventLog log_;
  FaultPlan faults_;
  PlantedBugs bugs_;
  Fabric fabric_;
  Scope main_;
  Offloader* offloader_ = nullptr;
};

/// Errors: kInvalidArgument for a bug name of the case that does not exist.
Status CheckBugNames(const record::Case& c);

}  // namespace kvjury::sim
