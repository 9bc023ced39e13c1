#include "harness/explore/proof.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "harness/backup/backup_reader.h"
#include "harness/explore/forge.h"
#include "harness/judge/model.h"

namespace kvjury::explore {

namespace {

constexpr size_t kReadingRanges = 8;
constexpr Micros kTargetLeaderChangeUs = 100'000;
constexpr uint64_t kBuriedBelowKeys = 1'000'000;
constexpr char kJudge[] = "judge";

// Keys that cut `pairs` into about equal ranges.
std::vector<Bytes> CutEvenly(const std::vector<Bytes>& keys, size_t ranges) {
  std::vector<Bytes> bounds;
  for (size_t i = 1; i < ranges; ++i) {
    const size_t at = keys.size() * i / ranges;
    if (at > 0 && at < keys.size() && (bounds.empty() || bounds.back() < keys[at])) {
      bounds.push_back(keys[at]);
    }
  }
  return bounds;
}

::backup::CompressionType CompressionOf(const std::string& name) {
  if (name == "lz4") {
    return ::backup::LZ4;
  }
  if (name == "snappy") {
    return ::backup::SNAPPY;
  }
  return ::backup::ZSTD;
}

}  // namespace

Proof::Proof(Stage* stage)
    : stage_(stage),
      tool_(FindToolModel(stage->spec().tool().model()).value()),
      cast_(stage),
      backup_client_(stage->world().fabric().ChannelFrom("backup"), &stage->scheduler(), "client-backup",
                     stage->source().pd_address(), &stage->world().log()),
      restore_client_(stage->world().fabric().ChannelFrom("restore"), &stage->scheduler(), "client-restore",
                      stage->target().pd_address(), &stage->world().log()),
      judge_client_(stage->world().fabric().ChannelFrom(kJudge), &stage->scheduler(), "client-judge",
                    stage->source().pd_address(), &stage->world().log()),
      reader_client_(stage->world().fabric().ChannelFrom("reader"), &stage->scheduler(), "client-reader",
                     stage->target().pd_address(), &stage->world().log()) {}

sim::Task<void> Proof::Play() {
  cast_.Start();
  co_await cast_.WaitForBackup();
  cast_.BackupStarts();
  co_await BackUp();
  cast_.BackupEnds();
  co_await cast_.Join();
  if (backup_.has_value() && backup_->success) {
    ForgeFiles();
    BuryTarget();
    co_await Restore();
  }
  stage_->Heal();
  co_await SettleHistory();
  if (restore_.has_value() && restore_->success) {
    co_await ReadTargetBack();
    target_records_ = ReadRecords(&stage_->target());
    // Where timestamps are older than what was restored every write conflicts: nobody can use that.
    // (What a load writes is of the target's own time.)
    const bool usable = tool_.rewrites || (!target_timestamps_.empty() && target_timestamps_.back() > backup_->cut);
    if (stage_->spec().has_afterlife() && usable) {
      auto afterlife = std::make_unique<Afterlife>(stage_, &cast_);
      auto use = afterlife->Play(backup_->cut_asked_us);
      co_await std::move(use);
      afterlife_ = std::move(afterlife);
    }
  }
  co_await backup_client_.Join();
  co_await restore_client_.Join();
  co_await judge_client_.Join();
  co_await reader_client_.Join();
  stage_->Shutdown();
  co_await stage_->world().fabric().Join();
}

backup::ToolHost Proof::HostOf(const std::string& name, uint64_t attempt, client::Client* client) {
  backup::ToolHost host;
  host.world = &stage_->world();
  host.client = client;
  host.channel = stage_->world().fabric().ChannelFrom(name);
  host.objects = storage();
  host.storage = objects::LocalStorage(StoragePath());
  host.label = sim::Label(attempt == 1 ? name : name + "-" + std::to_string(attempt));
  return host;
}

sim::Task<void> Proof::BackUp() {
  const uint32_t attempts_max = 1 + stage_->spec().tool().retries();
  while (attempts_ < attempts_max) {
    ++attempts_;
    if (attempts_ > 1) {
      stage_->Heal();
    }
    auto run = BackUpOnce();
    co_await std::move(run);
    if (backup_->success) {
      co_return;
    }
  }
}

sim::Task<void> Proof::BackUpOnce() {
  if (tool_.rewrites) {
    auto dump = RunDumpTool(HostOf("backup", attempts_, &backup_client_), stage_->spec(), stage_->volume().name, stage_->wall_ns());
    dump_ = co_await std::move(dump);
    backup_ = dump_->report;
    co_return;
  }
  backup::BackupOptions options;
  options.compression = CompressionOf(stage_->spec().tool().compression());
  auto run = backup::RunReferenceBackup(HostOf("backup", attempts_, &backup_client_), options);
  backup_ = co_await std::move(run);
}

sim::Task<void> Proof::Restore() {
  const uint32_t attempts_max = 1 + stage_->spec().tool().retries();
  for (uint32_t attempt = 1; attempt <= attempts_max; ++attempt) {
    if (attempt > 1) {
      stage_->Heal();
      ++retries_of_restore_;
    }
    auto run = RestoreOnce(attempt);
    co_await std::move(run);
    if (restore_->success) {
      co_return;
    }
  }
}

sim::Task<void> Proof::RestoreOnce(uint64_t attempt) {
  if (tool_.rewrites) {
    auto load = RunLoadTool(HostOf("restore", attempt, &restore_client_), stage_->spec(), stage_->volume().name, dump_->object, attempt > 1);
    load_ = co_await std::move(load);
    restore_ = load_->report;
    co_return;
  }
  auto run = backup::RunReferenceRestore(HostOf("restore", attempt, &restore_client_), backup::RestoreOptions());
  restore_ = co_await std::move(run);
}

objects::ObjectStore* Proof::storage() {
  Result<objects::ObjectStore*> store = stage_->storages().Open(objects::LocalStorage(StoragePath()));
  CHECK(store.ok()) << store.status().ToString();
  return *store;
}

// Right names over the wrong files: other well-formed files of the same length take their places.
void Proof::ForgeFiles() {
  const uint32_t count = stage_->spec().trigger().swapped_files();
  if (count == 0) {
    return;
  }
  Result<std::vector<objects::ObjectInfo>> objects = storage()->List("");
  CHECK(objects.ok()) << objects.status().ToString();
  uint32_t forged = 0;
  for (const objects::ObjectInfo& object : *objects) {
    if (forged == count || object.name.find("_write.sst") == std::string::npos) {
      continue;
    }
    Result<Bytes> bytes = storage()->Get(object.name);
    CHECK(bytes.ok()) << bytes.status().ToString();
    const std::optional<Bytes> other = ForgeSst(*bytes);
    if (other.has_value()) {
      CHECK(storage()->Put(object.name, *other).ok());
      ++forged;
    }
  }
  triggered_ = triggered_ || forged > 0;
}

// Tombstones newer than the backup stand on the target under keys that will be restored.
void Proof::BuryTarget() {
  const uint32_t count = stage_->spec().trigger().target_tombstones();
  if (count == 0) {
    return;
  }
  const judge::Pairs truth = ReadTruth(&stage_->source(), backup_->cut);
  const Timestamp newer = Timestamp(backup_->cut.value() + kBuriedBelowKeys);
  const uint64_t every = std::max<uint64_t>(truth.size() / count, 1);
  tikv::WriteBatch batch;
  uint64_t at = 0;
  for (const auto& [key, version] : truth) {
    if (at++ % every == 0) {
      const WriteRecord tombstone{.type = WriteType::kDelete, .start_ts = newer};
      batch.Put(tikv::ColumnFamily::kWrite, EncodeVersionedKey(key, newer.Next()), tombstone.Encode());
      triggered_ = true;
    }
  }
  stage_->target().ApplyBatch(std::move(batch));
}

sim::Task<void> Proof::SettleHistory() {
  history_ = cast_.History();
  std::map<Timestamp, std::string> refused;
  uint64_t number = 0;
  for (juicefs::DeclaredTransaction& transaction : history_) {
    if (!transaction.undetermined) {
      continue;
    }
    const sim::Label label = sim::Label(kJudge).Numbered("settle", ++number);
    auto settle = judge_client_.Settle(transaction.start_ts, transaction.primary_key, label);
    const Result<std::optional<Timestamp>> settled = co_await std::move(settle);
    if (!settled.ok()) {
      refused[transaction.start_ts] = settled.status().message();
    }
  }
  // The store's own record is what counts, for acknowledged ones too: a client may learn another timestamp than the one
  // that stands (the answer of a one-phase commit lost, its repetition in two phases).
  for (const juicefs::DeclaredTransaction& transaction : history_) {
    const auto fate = stage_->source().OracleTransaction(transaction.start_ts, transaction.primary_key);
    if (fate.fate == tikv::Cluster::Fate::kCommitted) {
      settled_[transaction.start_ts] = fate.commit_ts;
    } else if (auto why = refused.find(transaction.start_ts);
               why != refused.end() && fate.fate != tikv::Cluster::Fate::kRolledBack) {
      unsettled_.push_back(transaction.label + " (" + why->second + ")");
    }
  }
}

sim::Task<void> Proof::ReadTargetBack() {
  sim::Scheduler& scheduler = stage_->scheduler();
  auto first = reader_client_.CurrentTimestamp(sim::Label("reader/timestamp#1"));
  const Result<Timestamp> before = co_await std::move(first);
  if (before.ok()) {
    target_timestamps_.push_back(*before);
    std::vector<Bytes> keys;
    for (const auto& [key, version] : ReadTruth(&stage_->source(), backup_->cut)) {
      keys.push_back(key);
    }
    auto read = ReadTarget(&reader_client_, *before, CutEvenly(keys, kReadingRanges), sim::Label("reader"));
    reading_ = co_await std::move(read);
  }
  // Timestamps must go on growing over a change of PD's leader.
  static_cast<void>(stage_->target().PdLeaderChange(kTargetLeaderChangeUs));
  co_await scheduler.Sleep(2 * kTargetLeaderChangeUs);
  auto second = reader_client_.CurrentTimestamp(sim::Label("reader/timestamp#2"));
  const Result<Timestamp> after = co_await std::move(second);
  if (after.ok()) {
    target_timestamps_.push_back(*after);
  }
}

bool Proof::Trouble() const { return triggered_ || !stage_->world().faults().fired_faults().empty(); }

void Proof::AddHistory(judge::Evidence* evidence) const {
  for (const juicefs::DeclaredTransaction& transaction : history_) {
    judge::DeclaredTransaction declared;
    declared.label = transaction.label;
    declared.start_ts = transaction.start_ts;
    declared.acknowledged = !transaction.undetermined;
    declared.acknowledged_us = transaction.acknowledged_us;
    if (auto settled = settled_.find(transaction.start_ts); settled != settled_.end()) {
      declared.committed = true;
      declared.commit_ts = settled->second;
    }
    evidence->transactions.push_back(std::move(declared));
  }
  evidence->unsettled = unsettled_;
}

// Effects of the committed transactions up to the cut, in the order of their commits.
void Proof::AddModel(judge::Evidence* evidence) {
  judge::Model model(stage_->volume().image);
  std::vector<juicefs::DeclaredTransaction> to_settle = history_;
  for (juicefs::DeclaredTransaction& transaction : to_settle) {
    transaction.undetermined = true;
  }
  const auto find_commit = [this](const juicefs::DeclaredTransaction& transaction) -> std::optional<Timestamp> {
    auto settled = settled_.find(transaction.start_ts);
    return settled == settled_.end() ? std::nullopt : std::optional<Timestamp>(settled->second);
  };
  model.ApplyUpTo(to_settle, evidence->cut, find_commit);
  evidence->model_view = model.MakeView();
  for (const judge::ModelAnomaly& anomaly : model.anomalies()) {
    evidence->model_anomalies.push_back(anomaly.label + ": " + anomaly.text);
  }
}

judge::Evidence Proof::TakeEvidence(std::string hang) {
  judge::Evidence evidence;
  evidence.volume = stage_->volume().name;
  evidence.trouble = Trouble();
  evidence.hang = std::move(hang);
  AddHistory(&evidence);
  if (!backup_.has_value()) {
    evidence.claim.message = "the backup did not end";
    return evidence;
  }
  evidence.cut = backup_->cut;
  evidence.cut_us = backup_->cut_asked_us;
  evidence.claim.backup_ran = backup_->success;
  evidence.claim.restore_ran = restore_.has_value() && restore_->success;
  evidence.claim.success = evidence.claim.backup_ran && evidence.claim.restore_ran;
  evidence.claim.message = (restore_.has_value() ? *restore_ : *backup_).Sentence();
  evidence.claim.files = backup_->files;
  evidence.claim.keys = backup_->keys;
  if (tool_.rewrites) {
    AddTarget(&evidence);
    AddRewrite(&evidence);
    AddModel(&evidence);
  } else {
    evidence.source = ReadTruth(&stage_->source(), backup_->cut);
    AddModel(&evidence);
    AddFiles(&evidence);
    AddTarget(&evidence);
  }
  AddBucket(&evidence);
  judge::DecodeImages(&evidence);
  return evidence;
}

void Proof::AddFiles(judge::Evidence* evidence) {
  if (!backup_->success) {
    return;
  }
  for (const backup::CoveredRange& covered : backup_->ranges) {
    evidence->claimed_ranges.push_back({covered.range.start, covered.range.end, covered.end_ts, covered.region});
  }
  Result<backup::BackupContents> contents = backup::ReadBackup(storage());
  if (!contents.ok()) {
    return;
  }
  evidence->files = FilesOf(*std::move(contents));
}

// The source at every moment at which the dump read, and the one of them that the target shows.
void Proof::AddRewrite(judge::Evidence* evidence) {
  judge::Rewrite rewrite;
  rewrite.form = RewriteFormOf(stage_->spec());
  rewrite.begin = dump_->first_ts;
  rewrite.end = dump_->last_ts;
  if (rewrite.begin.valid()) {
    rewrite.at_begin = ReadTruth(&stage_->source(), rewrite.begin);
    rewrite.changes = ReadChanges(&stage_->source(), rewrite.begin, rewrite.end);
  }
  rewrite.entries_dumped = dump_->entries;
  rewrite.entries_loaded = load_.has_value() ? load_->entries : 0;
  evidence->claim.keys = restore_.has_value() ? restore_->keys : 0;
  evidence->rewrite = std::move(rewrite);
  judge::SettleRewrite(evidence);
}

void Proof::AddTarget(judge::Evidence* evidence) {
  if (!evidence->claim.restore_ran) {
    return;
  }
  evidence->target_timestamps = target_timestamps_;
  if (reading_.has_value()) {
    evidence->target = reading_->pairs;
    evidence->unreadable_ranges = reading_->unreadable;
  }
  evidence->target_records = target_records_;
}

// Without an afterlife nobody uses the bucket; the restored volume must find its blocks there all the same.
void Proof::AddBucket(judge::Evidence* evidence) {
  evidence->afterlife_asked = stage_->spec().has_afterlife();
  if (afterlife_ != nullptr) {
    evidence->bucket = afterlife_->TakeBucket();
    evidence->afterlife = afterlife_->TakeEvidence();
    return;
  }
  BringObjectsBack(stage_, &stage_->bucket(), backup_->cut_asked_us);
  evidence->bucket.emplace();
  evidence->bucket->layout = stage_->block_layout();
  evidence->bucket->objects = stage_->bucket().Sizes();
}

}  // namespace kvjury::explore
