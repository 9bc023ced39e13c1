// Control: carries the commands of control_commands.h out on a served cluster, and tells its state.
//
// An answer is one JSON object: {"effect": true, "words": "..."}; {"effect": false, ...} when nothing could happen (no such
// region, a majority would be lost); "planned": true where calls that are still to come are meant; {"error": "..."} for no
// command. `state` answers with the state instead.
// Only on the world's thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "fakes/ports/call_log.h"
#include "fakes/ports/call_script.h"
#include "fakes/ports/control_commands.h"
#include "fakes/tikv/cluster.h"

namespace kvjury::ports {

class Control {
 public:
  /// All must outlive this.
  Control(tikv::Cluster* cluster, CallScript* script, const CallLog* calls) : cluster_(cluster), script_(script), calls_(calls) {}
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// One line of JSON without a line end.
  std::string Execute(std::string_view line);
  /// How often each command had an effect.
  [[nodiscard]] const std::map<std::string, uint64_t>& effects() const { return effects_; }

 private:
  bool Act(const ControlCommand& command);
  void Wish(const ControlCommand& command, record::Fault fault, uint64_t delay_ms);
  [[nodiscard]] RegionId RegionOf(const ControlCommand& command) const;
  [[nodiscard]] std::string State() const;

  tikv::Cluster* cluster_;
  CallScript* script_;
  const CallLog* calls_;
  std::map<std::string, uint64_t> effects_;
};

}  // namespace kvjury::ports
