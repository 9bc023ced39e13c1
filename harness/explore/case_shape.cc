#include "harness/explore/case_shape.h"

#include <algorithm>

#include "harness/juicefs/operation_mix.h"
#include "harness/juicefs/written_values.h"

namespace kvjury::explore {

namespace {

constexpr int64_t kClockLagMsMax = 3'600'000;
// "links" of the full volume.
constexpr uint64_t kDirectoryOfFullVolume = 16;

void DrawTrigger(RandomStream* random, record::Trigger* trigger) {
  const uint64_t which = random->Below(6);
  switch (which) {
    case 0:
      trigger->set_target_clock_lag_ms(random->Between(1, kClockLagMsMax));
      break;
    case 1:
      trigger->set_target_tombstones(static_cast<uint32_t>(random->Between(1, 20)));
      break;
    case 2:
      trigger->set_swapped_files(1);
      break;
    case 3:
      trigger->set_empty_key_region(true);
      break;
    case 4:
      trigger->set_half_clones(static_cast<uint32_t>(random->Between(1, 3)));
      break;
    default:
      trigger->set_orphan_locks(static_cast<uint32_t>(random->Between(1, 6)));
      break;
  }
}

void DrawTool(RandomStream* random, CaseShape* shape) {
  static const std::vector<std::string> kDumps = {"juicefs-dump", "juicefs-dump-fast", "juicefs-dump-binary", "backup-meta"};
  if (random->Below(5) != 0) {
    return;
  }
  shape->tool_model = random->Pick(kDumps);
  shape->skip_trash = random->Below(4) == 0;
  if (shape->tool_model == "juicefs-dump") {
    shape->writers = 1;
    shape->backup_after_permille = 1000;
    // What a dying client has sent may still take effect.
    shape->trigger.clear_orphan_locks();
    shape->trigger.clear_half_clones();
  }
  if (shape->tool_model == "juicefs-dump-binary") {
    shape->trigger.clear_half_clones();  // the form is known to lose their marks: see LeaveNothingToSessions
  }
}

// A dump of a quiet volume that holds one of everything: its writer has nothing to do with it.
void DumpFullVolume(const char* model, CaseShape* shape) {
  shape->tool_model = model;
  shape->skip_trash = false;
  shape->volume_address = kFullVolume;
  shape->writers = 1;
  shape->operations_per_writer = std::min(shape->operations_per_writer, 6u);
  shape->backup_after_permille = 1000;
  shape->trigger.Clear();
}

// A tenth of the cases goes on after the restore; it costs more than the rest of a case.
constexpr uint64_t kCasesPerAfterlife = 10;

void DrawAfterlife(RandomStream* random, CaseShape* shape) {
  record::Afterlife& afterlife = shape->afterlife.emplace();
  afterlife.set_writers(static_cast<uint32_t>(random->Between(1, 3)));
  afterlife.set_operations(static_cast<uint32_t>(random->Between(5, 30)));
  afterlife.set_seed(random->Next());
  const uint64_t which = random->Below(5);
  afterlife.set_shared_bucket(which == 0);
  afterlife.set_old_clients(which == 1 || which == 2);
}

// Mostly the volume is as `juicefs format` makes it. The limits are near what generated volumes use, so that some are full, soon or at once.
void DrawSettings(CaseShape* shape) {
  RandomStream random(shape->seed, "volume-settings");
  shape->settings.set_enable_acl(random.Below(4) == 0);
  shape->settings.set_user_group_quota(random.Below(4) == 0);
  shape->settings.set_change_log(random.Below(6) == 0);
  shape->settings.set_hash_prefix(random.Below(4) == 0);
  if (random.Below(10) == 0) {
    shape->settings.set_capacity_bytes(static_cast<uint64_t>(random.Between(1, 512)) << 20);
  }
  if (random.Below(10) == 0) {
    shape->settings.set_inodes_max(shape->directories + shape->files + static_cast<uint64_t>(random.Between(1, 60)));
  }
}

// Sessions that begin to write only after the cut, so that ids and objects of the lost future lie above those of the restored volume.
void WriteAfterTheCut(CaseShape* shape) {
  shape->writers = 4;
  shape->operations_per_writer = std::max(shape->operations_per_writer, 24u);
  shape->think_us = 3'000;
  shape->backup_after_permille = 0;
}

}  // namespace

CaseShape DrawShape(RandomStream* random, Trouble trouble) {
  static const std::vector<uint32_t> kStores = {1, 3, 3, 3, 5};
  CaseShape shape;
  shape.seed = random->Next();
  shape.stores = random->Pick(kStores);
  shape.target_stores = random->Pick(kStores);
  shape.regions = static_cast<uint32_t>(random->Between(1, 12));
  shape.writers = static_cast<uint32_t>(random->Between(1, 5));
  shape.operations_per_writer = static_cast<uint32_t>(random->Between(2, 24));
  shape.volume_name = random->Below(4) == 0 ? "zz" : "vol";
  shape.directories = static_cast<uint32_t>(random->Between(0, 6));
  shape.files = static_cast<uint32_t>(random->Between(0, 30));
  shape.trash_days = static_cast<uint32_t>(random->Below(2));
  shape.nudge_ppm = random->Below(3) == 0 ? 0 : static_cast<uint32_t>(random->Between(1'000, 150'000));
  shape.delay_us_max = random->Between(500, 50'000);
  shape.think_us = random->Between(0, 10'000);
  shape.memory_sst = random->Below(10) != 0;
  shape.sst_bytes_max = random->Below(4) == 0 ? static_cast<uint64_t>(random->Between(512, 8192)) : 0;
  shape.backup_after_permille = static_cast<uint32_t>(random->Between(0, 900));
  const bool faults = trouble == Trouble::kFaults || trouble == Trouble::kAll;
  if (faults) {
    shape.fault_ppm = static_cast<uint32_t>(random->Between(500, 12'000));
  }
  const bool triggers = trouble == Trouble::kTriggers || (trouble == Trouble::kAll && random->Below(2) == 0);
  if (triggers) {
    DrawTrigger(random, &shape.trigger);
  }
  DrawTool(random, &shape);
  // From a stream of its own, so that everything else is drawn as without it.
  RandomStream after(shape.seed, "afterlife");
  if (after.Below(kCasesPerAfterlife) == 0) {
    DrawAfterlife(&after, &shape);
  }
  DrawSettings(&shape);
  return shape;
}

CaseShape MainJobShape(uint64_t seed) {
  CaseShape shape;
  shape.seed = RandomStream(seed, "main-job").Next();
  shape.regions = 12;
  shape.writers = 5;
  shape.operations_per_writer = 120;
  shape.think_us = 0;
  shape.fault_ppm = 8'000;
  shape.nudge_ppm = 20'000;
  shape.memory_sst = false;
  return shape;
}

namespace {

// The bugs of dumps and loads, and of what hangs on sessions. False: it is none of them.
bool AimDumpAt(sim::Bug bug, CaseShape* shape) {
  switch (bug) {
    case sim::Bug::kInodeCounterRewound:
    case sim::Bug::kXattrDoubleEscaped:
    case sim::Bug::kNamesNotUtf8:
    case sim::Bug::kAttributeFieldForgotten:
    case sim::Bug::kSustainedFilesLeak:
    case sim::Bug::kBatchLimitTruncates:
      DumpFullVolume("juicefs-dump", shape);
      return true;
    case sim::Bug::kAclLeaksToNextNode:
    case sim::Bug::kQuotaLost:
    case sim::Bug::kParentSetLost:
    case sim::Bug::kSliceRefsLost:
    case sim::Bug::kDirectoryListingChanges:
    case sim::Bug::kTrashDangling:
      DumpFullVolume("juicefs-dump-fast", shape);
      return true;
    case sim::Bug::kSkipTrashLowersNextId:
    case sim::Bug::kNlinkCountsHiddenLinks:
      DumpFullVolume("backup-meta", shape);
      shape->skip_trash = true;
      return true;
    case sim::Bug::kSubdirLoadWrongRoot:
      DumpFullVolume("juicefs-dump", shape);
      shape->trigger.set_dump_inode(kDirectoryOfFullVolume);
      return true;
    case sim::Bug::kAclIdCollision:
      DumpFullVolume("juicefs-dump-binary", shape);
      return true;
    case sim::Bug::kUsageCountersZero:
    case sim::Bug::kDumpBufferReused:
    case sim::Bug::kKeyPrefixConfusion:
    case sim::Bug::kDanglingEdgeOrInode:
      shape->tool_model = "juicefs-dump-binary";
      shape->files = std::max(shape->files, 30u);
      return true;
    case sim::Bug::kHalfCloneLeft:
      shape->tool_model = "reference";
      shape->skip_trash = false;
      shape->trigger.Clear();
      shape->trigger.set_half_clones(4);
      return true;
    case sim::Bug::kLockWithoutSession:
      shape->tool_model = "reference";
      shape->skip_trash = false;
      shape->volume_address = kFullVolume;
      return true;
    default:
      return false;
  }
}

// False: not a bug of the afterlife.
bool AimAfterlifeAt(sim::Bug bug, RandomStream* random, CaseShape* shape) {
  switch (bug) {
    case sim::Bug::kSliceIdsReissued:
    case sim::Bug::kClientsKeepOldIdBatches:
    case sim::Bug::kConsumersSeeTimeGoBack:
      DrawAfterlife(random, shape);
      WriteAfterTheCut(shape);
      shape->trash_days = 1;
      shape->afterlife->set_shared_bucket(false);
      shape->afterlife->set_old_clients(bug != sim::Bug::kSliceIdsReissued);
      shape->afterlife->set_operations(30);
      return true;
    case sim::Bug::kMetadataOlderThanObjects:
    case sim::Bug::kTwoMastersOneBucket:
    case sim::Bug::kCleanerDeletesLiveBlocks:
    case sim::Bug::kRepairOverwritesNewDelta:
      // What is deleted is deleted at once.
      DrawAfterlife(random, shape);
      WriteAfterTheCut(shape);
      shape->files = std::max(shape->files, 24u);
      shape->trash_days = 0;
      shape->afterlife->set_old_clients(false);
      shape->afterlife->set_shared_bucket(bug == sim::Bug::kTwoMastersOneBucket);
      shape->afterlife->set_operations(30);
      return true;
    default:
      return false;
  }
}

}  // namespace

void AimAt(sim::Bug bug, RandomStream* random, CaseShape* shape) {
  shape->directories = std::max(shape->directories, 2u);
  shape->files = std::max(shape->files, 8u);
  // A full volume has nothing left to go wrong with.
  shape->settings.clear_capacity_bytes();
  shape->settings.clear_inodes_max();
  if (AimDumpAt(bug, shape)) {
    return;
  }
  shape->tool_model = "reference";
  shape->skip_trash = false;
  if (AimAfterlifeAt(bug, random, shape)) {
    return;
  }
  switch (bug) {
    case sim::Bug::kEmptyTreeReadsAsComplete:
    case sim::Bug::kTwoTimestampsOneBackup:
      // A first round in which every range is answered with an error, or some are.
      shape->regions = static_cast<uint32_t>(random->Between(1, 3));
      shape->fault_ppm = 60'000;
      break;
    case sim::Bug::kMaxTsNotPushed:
    case sim::Bug::kMemoryLockUnseen:
      // Commits of one phase in flight while the snapshot is taken: the longer they take, the likelier.
      shape->writers = 5;
      shape->operations_per_writer = 40;
      shape->think_us = 0;
      shape->nudge_ppm = 100'000;
      shape->delay_us_max = 150'000;
      shape->backup_after_permille = static_cast<uint32_t>(random->Between(100, 600));
      break;
    case sim::Bug::kOneKeyOfAPair:
      shape->writers = 4;
      shape->operations_per_writer = 30;
      shape->think_us = 0;
      shape->trigger.set_orphan_locks(static_cast<uint32_t>(random->Between(2, 8)));
      break;
    case sim::Bug::kLastRegionEmptyEndKey:
      shape->volume_name = "zz";
      break;
    case sim::Bug::kEncodedEmptyBoundary:
      shape->trigger.set_empty_key_region(true);
      break;
    case sim::Bug::kValueOrCommitFamilyMissing:
      // Values above 255 bytes live in the default column family.
      shape->files = std::max(shape->files, 20u);
      shape->operations_per_writer = std::max(shape->operations_per_writer, 20u);
      break;
    case sim::Bug::kRightNameWrongFile:
      shape->regions = std::max(shape->regions, 4u);
      shape->trigger.set_swapped_files(1);
      break;
    case sim::Bug::kNewerTombstoneHidesRestore:
      shape->trigger.set_target_tombstones(static_cast<uint32_t>(random->Between(3, 30)));
      break;
    case sim::Bug::kTargetClockBehind:
      shape->trigger.set_target_clock_lag_ms(random->Between(60'000, kClockLagMsMax));
      break;
    case sim::Bug::kSplitKeysUnencoded:
      shape->regions = std::max(shape->regions, 3u);
      break;
    default:
      break;
  }
}

namespace {

constexpr uint32_t kToolRetries = 1;

// Everything but the volume and the operations.
record::Case Frame(const CaseShape& shape) {
  record::Case c;
  c.set_name("drawn-" + std::to_string(shape.seed));
  c.mutable_cluster()->set_stores(shape.stores);
  c.mutable_cluster()->set_target_stores(shape.target_stores);
  c.mutable_cluster()->set_regions(shape.regions);
  c.mutable_tool()->set_model(shape.tool_model);
  c.mutable_tool()->set_skip_trash(shape.skip_trash);
  c.mutable_tool()->set_memory_sst(shape.memory_sst);
  c.mutable_tool()->set_retries(kToolRetries);
  c.mutable_tool()->set_sst_bytes_max(shape.sst_bytes_max);
  if (shape.trigger.ByteSizeLong() > 0) {
    *c.mutable_trigger() = shape.trigger;
  }
  if (shape.afterlife.has_value()) {
    *c.mutable_afterlife() = *shape.afterlife;
  }
  if (shape.fault_ppm > 0 || shape.nudge_ppm > 0) {
    c.mutable_explore()->set_seed(shape.seed);
    c.mutable_explore()->set_fault_ppm(shape.fault_ppm);
    c.mutable_explore()->set_nudge_ppm(shape.nudge_ppm);
    c.mutable_explore()->set_delay_us_max(shape.delay_us_max);
  }
  return c;
}

// A binary dump loses sessions, and so what belongs to one: that is a finding of its own (scenarios/juicefs-dump-binary-of-everything.case),
// which would hide all others if every drawn case had it. A look-up takes the place of what leaves something to a session, and of clones: one
// that a fault ends half-way leaves a tree whose mark such a dump loses, too.
void LeaveNothingToSessions(record::Operation* operation) {
  Bytes path;
  switch (operation->kind_case()) {
    case record::Operation::kOpen:
      path = operation->open().path();
      break;
    case record::Operation::kFlock:
      path = operation->flock().path();
      break;
    case record::Operation::kSetLock:
      path = operation->set_lock().path();
      break;
    case record::Operation::kClone:
      path = operation->clone().from();
      break;
    default:
      return;
  }
  operation->mutable_lookup()->set_path(path);
}

// A fast dump loses ACLs whose rules are made between its two scans: a finding of its own (scenarios/juicefs-dump-fast-loses-a-new-rule.case).
bool LosesNewRules(const std::string& tool_model) { return tool_model == "juicefs-dump-fast" || tool_model == "backup-meta"; }

void AddWriters(const CaseShape& shape, const LoadedVolume& volume, record::Case* c) {
  const juicefs::PathPicture there = PictureOf(volume.view);
  for (uint32_t id = 1; id <= shape.writers; ++id) {
    RandomStream random = RandomStream(shape.seed, "operations").Fork(std::to_string(id));
    juicefs::MixOptions options;
    options.writer = id;
    options.operations = shape.operations_per_writer;
    options.acl = shape.settings.enable_acl() && !LosesNewRules(shape.tool_model);
    options.quotas = RandomStream(shape.seed, "quotas").Below(4) == 0;
    options.trash_hour = juicefs::TrashHourName(volume.clock_start_ms() * 1'000'000);
    juicefs::PathPicture picture = there;
    record::Writer* writer = c->add_writers();
    writer->set_id(id);
    writer->set_think_us(shape.think_us);
    for (record::Operation& operation : juicefs::DrawOperations(&random, options, &picture)) {
      if (shape.tool_model == "juicefs-dump-binary") {
        LeaveNothingToSessions(&operation);
      }
      *writer->add_op() = std::move(operation);
    }
  }
  // The backup waits for one writer; the others stand where they stand.
  const uint32_t after = 1 + shape.operations_per_writer * shape.backup_after_permille / 1000;
  c->mutable_backup()->set_after("w1/op" + std::to_string(std::min(after, shape.operations_per_writer)));
}

}  // namespace

juicefs::PathPicture PictureOf(const juicefs::View& view) {
  constexpr uint32_t kTypeBits = 0170000;
  constexpr uint32_t kDirectory = 0040000;
  constexpr uint32_t kRegular = 0100000;
  juicefs::PathPicture there;
  for (const auto& [path, entry] : view.entries) {
    if (path == "." || path.rfind(juicefs::kTrashName, 0) == 0) {
      continue;
    }
    if ((entry.mode & kTypeBits) == kDirectory) {
      there.directories.push_back(path);
    } else if ((entry.mode & kTypeBits) == kRegular) {
      there.files.push_back(path);
    }
  }
  return there;
}

Result<record::Case> MakeCase(const CaseShape& shape, VolumeLibrary* volumes) {
  record::Case c = Frame(shape);
  if (shape.volume_address.empty()) {
    *c.mutable_volume() = shape.settings;
    c.mutable_volume()->mutable_generate()->set_directories(shape.directories);
    c.mutable_volume()->mutable_generate()->set_files(shape.files);
    c.mutable_volume()->mutable_generate()->set_seed(shape.seed);
    c.mutable_volume()->set_trash_days(shape.trash_days);
    c.mutable_volume()->set_name(shape.volume_name);
  } else {
    c.mutable_volume()->set_address(shape.volume_address);
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const LoadedVolume> volume, volumes->Load(c.volume()));
  AddWriters(shape, *volume, &c);
  return c;
}

}  // namespace kvjury::explore
