#include "harness/explore/case_classes.h"

#include <set>

namespace kvjury::explore {

namespace {

class Classes {
 public:
  void Add(bool holds, std::string name) {
    if (holds) {
      names_.insert(std::move(name));
    }
  }
  void AddEither(bool holds, std::string name, std::string otherwise) {
    names_.insert(holds ? std::move(name) : std::move(otherwise));
  }
  [[nodiscard]] std::vector<std::string> Take() const { return {names_.begin(), names_.end()}; }

 private:
  std::set<std::string> names_;
};

void AddAsked(const record::Case& c, const LoadedVolume& volume, Classes* classes) {
  classes->AddEither(c.explore().fault_ppm() > 0 || c.fault_size() > 0, "faults", "no faults");
  classes->AddEither(c.explore().nudge_ppm() > 0 || c.nudge_size() > 0, "nudges", "no nudges");
  classes->AddEither(c.cluster().stores() == 1, "one store", "several stores");
  classes->AddEither(c.cluster().regions() == 1, "one region", "several regions");
  classes->AddEither(c.writers_size() == 1, "one writer", "several writers");
  classes->AddEither(volume.trash_days > 0, "trash", "no trash");
  // The last of the boundaries that PD puts into a fresh cluster is "x".
  classes->AddEither(volume.name > "x", "in the last region", "in middle regions");
  classes->AddEither(c.tool().memory_sst(), "memory files", "real files");
  classes->Add(true, "tool: " + (c.tool().model().empty() ? "reference" : c.tool().model()));
  classes->Add(c.tool().skip_trash(), "dump without trash");
  classes->Add(c.bug_size() > 0, "planted bug");
}

void AddTriggers(const record::Trigger& trigger, Classes* classes) {
  classes->AddEither(trigger.ByteSizeLong() > 0, "trigger", "no trigger");
  classes->Add(trigger.target_clock_lag_ms() > 0, "trigger: target clock behind");
  classes->Add(trigger.target_tombstones() > 0, "trigger: tombstones on the target");
  classes->Add(trigger.swapped_files() > 0, "trigger: swapped files");
  classes->Add(trigger.empty_key_region(), "trigger: region ends at the empty key");
  classes->Add(trigger.orphan_locks() > 0, "trigger: writers died");
  classes->Add(trigger.half_clones() > 0, "trigger: cloners died");
  classes->Add(trigger.dump_inode() > 0, "trigger: dump of a subdirectory");
}

void AddEvents(const record::Case& c, const record::CaseRecord& record, Classes* classes) {
  const record::Counts& counts = record.counts();
  classes->Add(counts.commits_one_phase() > 0, "commit: one phase");
  classes->Add(counts.commits_async() > 0, "commit: async");
  classes->Add(counts.commits_two_phase() > 0, "commit: two phases");
  classes->Add(counts.transactions_undetermined() > 0, "commit: undetermined");
  classes->Add(counts.locks_met() > 0, "locks met");
  classes->Add(counts.operations_during_backup() > 0, "writers during the backup");
  classes->Add(counts.operations_failed() > 0, "operations refused");
  classes->Add(counts.nudges_fired() > 0, "nudges fired");
  classes->Add(counts.backup_rounds() > 1, "backup in several rounds");
  classes->Add(counts.tool_attempts() > 1, "tool started again");
  const bool one_range = c.cluster().regions() == 1 && counts.regions_at_end() == 1;
  classes->Add(one_range && record.scope().files_checked() > 2, "several file pairs in a region");
  for (const auto& [kind, count] : counts.faults_fired()) {
    classes->Add(count > 0, "fault: " + kind);
  }
}

}  // namespace

std::vector<std::string> ClassesOf(const record::Case& c, const LoadedVolume& volume, const record::CaseRecord& record) {
  Classes classes;
  AddAsked(c, volume, &classes);
  AddTriggers(c.trigger(), &classes);
  AddEvents(c, record, &classes);
  return classes.Take();
}

}  // namespace kvjury::explore
