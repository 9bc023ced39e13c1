// CaseShape: the handful of numbers that a drawn case is made from, and the drawing itself.
//
// A shape is what properties and the self-test draw; MakeCase turns it into a whole case, as a pure function: topology,
// volume, writers with their operations, tool, faults and nudges (as drawing rules that hang on labels) and triggers.
// Units: parts per million, virtual microseconds, counts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fakes/base/random.h"
#include "fakes/base/status.h"
#include "fakes/sim/planted_bugs.h"
#include "harness/explore/volume_library.h"
#include "harness/juicefs/operation_mix.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::explore {

/// Which kinds of trouble a drawn case may have.
enum class Trouble {
  kNone,      // no fault, no trigger: only nudges (delays), which every network has
  kFaults,    // drawn faults
  kTriggers,  // world conditions that planted bugs need, guards in place
  kAll,
};

struct CaseShape {
  uint64_t seed = 0;
  uint32_t stores = 3;
  uint32_t target_stores = 3;
  uint32_t regions = 4;
  uint32_t writers = 2;
  uint32_t operations_per_writer = 10;
  /// Where the volume comes from; empty: one is made from the numbers below.
  std::string volume_address;
  /// The name decides where the volume lies among the regions; behind "x" it is in the last one.
  std::string volume_name = "vol";
  uint32_t directories = 4;
  uint32_t files = 12;
  uint32_t trash_days = 1;
  /// Members of the setting and limits of the volume that is made; nothing else of the message is looked at.
  record::Volume settings;
  uint32_t fault_ppm = 0;
  uint32_t nudge_ppm = 0;
  int64_t delay_us_max = 20'000;
  int64_t think_us = 2'000;
  /// See tool_model.h.
  std::string tool_model = "reference";
  bool skip_trash = false;
  bool memory_sst = true;
  uint64_t sst_bytes_max = 0;
  /// Share of the operations that are over when the backup starts, in parts per thousand.
  uint32_t backup_after_permille = 300;
  record::Trigger trigger;
  /// What happens with the restored volume; nothing if it is not set.
  std::optional<record::Afterlife> afterlife;
};

/// Draws a shape. The seed of the shape is drawn too, so that shapes of one stream differ in everything. One in five has a tool that dumps and
/// loads; what such a walk of a volume shows while writers write is of no one moment, so that it starts when its one writer has ended. Of volumes
/// that are made, some have ACLs, quotas of users and groups, a change log, hashed names of blocks, or limits that writers run into.
CaseShape DrawShape(RandomStream* random, Trouble trouble);

/// The bundled volume that holds one of everything (scenarios/volumes/full).
inline constexpr char kFullVolume[] = "kv://scenarios/volumes/full/kv.tsv.gz";

/// The main job on a real volume: several clients, hundreds of operations, many regions, faults and nudges, real files.
CaseShape MainJobShape(uint64_t seed);

/// Adds what `bug` needs to matter to a drawn shape: its trigger, or the traffic that meets its window.
void AimAt(sim::Bug bug, RandomStream* random, CaseShape* shape);

/// What writers know of a volume when they begin: everything outside the trash.
juicefs::PathPicture PictureOf(const juicefs::View& view);

/// The case of a shape. The writers' operations are drawn with the volume's view (at its start) in mind.
/// Errors: those of loading the volume.
Result<record::Case> MakeCase(const CaseShape& shape, VolumeLibrary* volumes);

}  // namespace kvjury::explore
