#include "harness/tools/drill.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <utility>

#include "fakes/base/compress.h"
#include "fakes/base/digest.h"
#include "harness/explore/gather.h"
#include "harness/explore/proto_text.h"
#include "harness/judge/judge_drill.h"
#include "harness/juicefs/view_json.h"
#include "harness/remote/read_cluster.h"
#include "harness/tools/drill_recording.h"
#include "reports/out_files.h"
#include "reports/text.h"

namespace kvjury::tools {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kSchema = 1;
constexpr size_t kEvidenceBytesMax = size_t{2} << 30;
// Locks of writers that have ended are gone soon; one that stays is somebody's fault.
constexpr Micros kLockWaitUs = 20'000'000;

bool AllEndedWell(const record::DrillRecord& record, const std::string& phase) {
  bool any = false;
  for (const record::DrillCommand& command : record.command()) {
    if (command.phase() == phase) {
      any = true;
      if (command.exit_code() != 0 || command.timed_out()) {
        return false;
      }
    }
  }
  return any;
}

class Drill {
 public:
  explicit Drill(const DrillOptions& options)
      : options_(options), site_(options), record_(BeginRecord(options.recipe, options.fault, options.number)) {
    record_.set_seed(options.seed);
    record_.set_volume(options.volume);
    record_.set_writers(options.recipe.quiet() ? 0 : options.writers);
    record_.set_began_ms(UnixMs());
    for (const FoundTool& found : options.tools) {
      record::DrillTool& tool = *record_.add_tool();
      tool.set_name(found.name);
      tool.set_path(found.path);
      tool.set_version(reports::Latin1(found.version));
      tool.set_sha256(found.sha256);
    }
    evidence_.set_schema(kSchema);
    evidence_.set_volume(options.volume_name);
    evidence_.set_logical(options.recipe.logical());
    evidence_.set_trouble(!options.fault.name().empty() || !options.recipe.planted().empty());
  }

  record::DrillRecord Run() {
    const auto begun = Clock::now();
    const Status played = Play();
    evidence_.set_not_played(played.ok() ? "" : played.message());
    *evidence_.mutable_rate() = record_.rate();
    Say("judging");
    judge::JudgeDrill(evidence_, walks_, &record_, std::move(window_));
    record_.set_took_ms(std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count());
    const Status kept = Keep();
    if (!kept.ok() && record_.outcome() == record::DRILL_SAME) {
      record_.set_outcome(record::DRILL_UNPROVEN);
      record_.set_why("the evidence could not be kept: " + kept.message());
    }
    return record_;
  }

 private:
  void Say(const std::string& step) {
    if (options_.on_step) {
      options_.on_step(step);
    }
  }

  Status Play() {
    Say("starting clusters");
    RETURN_IF_ERROR(site_.Start());
    RETURN_IF_ERROR(BackUp());
    if (evidence_.backup_ran()) {
      RETURN_IF_ERROR(Restore());
    }
    RETURN_IF_ERROR(ReadSource());
    if (evidence_.backup_ran() && evidence_.restore_ran()) {
      ReadFiles();
      ReadTarget();
      Witness();
    }
    CountFaults();
    return Status::Ok();
  }

  Status BackUp() {
    before_backup_ = site_.Now();
    std::unique_ptr<DrillMount> mount;
    if (!options_.recipe.quiet()) {
      Say("mounting the source");
      std::vector<std::string> flags = {"--backup-meta", "0"};
      if (!options_.recipe.mount_flags().empty()) {
        std::istringstream words(options_.recipe.mount_flags());
        flags.assign(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>());
      }
      ASSIGN_OR_RETURN(mount, site_.Mount(site_.MetaOf("source"), "live", flags));
      Say("writers begin");
      RETURN_IF_ERROR(site_.StartWriters(*mount));
    }
    // A tool of the mount itself may have begun before anybody asked it to.
    before_backup_ = options_.recipe.mount_flags().empty() ? site_.Now() : before_backup_;
    site_.SetWord("ts", std::to_string(before_backup_.value()));
    const uint64_t operations_before = site_.OperationsOfWriters();
    RETURN_IF_ERROR(site_.RunPhase("backup", &record_));
    record_.set_operations_during_backup(site_.OperationsOfWriters() - operations_before);
    after_backup_ = site_.Now();
    evidence_.set_backup_ran(AllEndedWell(record_, "backup"));
    Say("writers end");
    const Status stopped = site_.StopWriters();
    record_.set_operations(site_.OperationsOfWriters());
    if (mount != nullptr && options_.recipe.same_cluster() && evidence_.backup_ran()) {
      Say("removing the files");
      RETURN_IF_ERROR(site_.RemoveAll(*mount));
    }
    if (mount != nullptr) {
      site_.Unmount(std::move(mount));
    }
    // A mount that backs up by itself does so until it has ended.
    after_backup_ = options_.recipe.mount_flags().empty() ? after_backup_ : site_.Now();
    return options_.fault.name().empty() ? stopped : Status::Ok();
  }

  Status Restore() {
    RETURN_IF_ERROR(site_.RunPhase("restore", &record_));
    evidence_.set_restore_ran(AllEndedWell(record_, "restore"));
    return Status::Ok();
  }

  Status FindCut() {
    const record::DrillCommand* last = record_.command().empty() ? nullptr : &*record_.command().rbegin();
    if (last != nullptr) {
      evidence_.set_claim(last->last_line());
      evidence_.set_timed_out(last->timed_out());
      evidence_.set_stuck(site_.stuck());
    }
    cut_ = before_backup_;
    if (evidence_.backup_ran() && !evidence_.restore_ran() && options_.recipe.mount_flags().empty() && site_.StorageSize().first == 0) {
      evidence_.set_no_files("no file was written");
      return Status::Ok();
    }
    if (options_.recipe.cut() != record::Recipe::BACKUPMETA || !evidence_.backup_ran()) {
      return Status::Ok();
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<objects::ObjectStore> storage, site_.Storage());
    contents_.emplace(backup::ReadBackup(storage.get()));
    if (!contents_->ok()) {
      evidence_.set_no_files(contents_->status().message());
      return Status::Ok();
    }
    cut_ = (*contents_)->cut;
    return Status::Ok();
  }

  // From the source's own memory, where GC has removed nothing.
  Status ReadSource() {
    RETURN_IF_ERROR(FindCut());
    evidence_.set_cut_ts(cut_.value());
    if (options_.recipe.logical()) {
      evidence_.set_window_end_ts(after_backup_.value());
    }
    site_.source().live().Run([this]() {
      site_.source().Mark(kSourceMark);
      tools::ReadSource(&site_.source().cluster(), &evidence_);
    });
    source_ = judge::PairsFrom(evidence_.source());
    return Status::Ok();
  }

  void ReadFiles() {
    if (!contents_.has_value() || !contents_->ok()) {
      return;
    }
    judge::FileEvidence files = explore::FilesOf(**std::move(contents_));
    record::DrillEvidence::Files& kept = *evidence_.mutable_files();
    kept.set_end_version(files.end_version.value());
    for (const judge::ManifestFile& file : files.files) {
      record::DrillEvidence::Files::File& row = *kept.add_file();
      row.set_name(file.name);
      row.set_column_family(file.column_family);
      row.set_start(file.start);
      row.set_end(file.end);
      row.set_start_version(file.start_version.value());
      row.set_end_version(file.end_version.value());
    }
    judge::AddPairs(files.pairs, kept.mutable_pair());
    kept.mutable_finding()->Assign(files.findings.begin(), files.findings.end());
  }

  void ReadTarget() {
    Say("reading the target");
    record::DrillEvidence::Target& kept = *evidence_.mutable_target();
    remote::ReadRequest request;
    request.members = {site_.words().at("pd2")};
    request.tls = site_.ClientTls();
    request.lock_wait_us = kLockWaitUs;
    if (options_.recipe.logical()) {
      request.start = juicefs::VolumePrefix(options_.volume_name);
      request.end = PrefixEnd(request.start);
    }
    const Result<remote::ReadResult> read = remote::ReadCluster(request);
    if (read.ok()) {
      for (const tikv::UserVersion& version : read->versions) {
        record::DrillEvidence::Pair& pair = *kept.add_pair();
        pair.set_key(version.key);
        pair.set_value(version.value);
      }
      kept.add_timestamp(read->cut.value());
    } else {
      kept.add_unreadable(read.error().message());
    }
    site_.target().live().Run([this]() {
      site_.target().Mark(kTargetMark);
      ReadTargetRecords(&site_.target().cluster(), &evidence_);
    });
  }

  // Two mounts of the kernel; a tool that names no cut is beside the view that its own keys give.
  void Witness() {
    const Status walked = Walk();
    if (!walked.ok()) {
      evidence_.set_no_walks(walked.message());
      walks_.reset();
    }
  }

  Status Walk() {
    Say("mounting both");
    if (options_.recipe.logical()) {
      window_ = judge::WindowOf(evidence_);
    }
    // A target that shows no volume has the beginning beside it.
    const bool has_best = window_.has_value() && window_->ok();
    const Timestamp cut = has_best ? (*window_)->best : cut_;
    RETURN_IF_ERROR(site_.StartFrozen(has_best ? (*window_)->source_at_best : source_, cut));
    ASSIGN_OR_RETURN(std::unique_ptr<DrillMount> source, site_.Mount(site_.MetaOf("frozen"), "source-at-the-cut", {"--read-only"}, cut));
    Result<std::unique_ptr<DrillMount>> target = site_.Mount(site_.words().at("meta2"), "target", {"--read-only"});
    if (!target.ok()) {
      site_.Unmount(std::move(source));
      return target.error();
    }
    judge::DrillWalks walks;
    Result<juicefs::View> of_source = site_.WalkOf(*source, kSourceWalkFile);
    Result<juicefs::View> of_target = of_source.ok() ? site_.WalkOf(**target, kTargetWalkFile) : Result<juicefs::View>(of_source.status());
    site_.Unmount(std::move(source));
    site_.Unmount(*std::move(target));
    RETURN_IF_ERROR(of_source.status());
    RETURN_IF_ERROR(of_target.status());
    evidence_.set_source_walk(kSourceWalkFile);
    evidence_.set_target_walk(kTargetWalkFile);
    walks_ = judge::DrillWalks{*std::move(of_source), *std::move(of_target)};
    return Status::Ok();
  }

  // A fault that is asked for and does not strike proves nothing.
  void CountFaults() {
    uint64_t struck = 0;
    for (const auto& [kind, count] : site_.FaultsFired()) {
      (*record_.mutable_faults_fired())[kind] = count;
      struck += count;
    }
    const record::DrillFault& fault = options_.fault;
    const bool has_condition = fault.extra_key_size() > 0 || fault.source().has_trigger() || fault.target().has_trigger() ||
                               !fault.backup_flags().empty() || !fault.restore_flags().empty();
    evidence_.set_fault_missed(!fault.name().empty() && struck == 0 && !has_condition);
  }

  void AddInput(const std::string& what, const std::string& file) {
    const Result<std::string> bytes = explore::ReadTextFile(options_.folder + "/" + file, "file of a drill");
    if (bytes.ok()) {
      record::DrillInput& input = *record_.add_input();
      input.set_what(what);
      input.set_file(file);
      input.set_sha256(ToHex(Sha256(*bytes)));
      input.set_bytes(bytes->size());
    }
  }

  // For people; of a tool that names no timestamp the source is that of the beginning.
  Status WriteKeys(const google::protobuf::RepeatedPtrField<record::DrillEvidence::Pair>& pairs, const std::string& file) {
    std::string text;
    for (const record::DrillEvidence::Pair& pair : pairs) {
      text += ToHex(pair.key()) + " " + ToHex(pair.value()) + "\n";
    }
    return reports::WriteFileWhole(options_.folder + "/" + file, GzipCompress(text));
  }

  Status Keep() {
    site_.Stop();
    RETURN_IF_ERROR(reports::WriteFileWhole(options_.folder + "/" + kDrillEvidenceFile, ZstdCompress(evidence_.SerializeAsString())));
    AddInput("all that was judged", kDrillEvidenceFile);
    RETURN_IF_ERROR(WriteKeys(evidence_.source(), kSourceKeysFile));
    AddInput("source at the cut", kSourceKeysFile);
    if (evidence_.has_target()) {
      RETURN_IF_ERROR(WriteKeys(evidence_.target().pair(), kTargetKeysFile));
      AddInput("target", kTargetKeysFile);
    }
    for (const char* cluster : {"source", "target"}) {
      const DrillSite::Recorded& recorded = site_.RecordedOf(cluster);
      if (!recorded.calls.empty()) {
        RETURN_IF_ERROR(reports::WriteFileWhole(options_.folder + "/" + RecordingFile(cluster), ZstdCompress(recorded.inputs)));
        AddInput(std::string("all that reached the ") + cluster, RecordingFile(cluster));
        RETURN_IF_ERROR(reports::WriteFileWhole(options_.folder + "/" + CallsFile(cluster), GzipCompress(recorded.calls)));
        AddInput(std::string("calls that the ") + cluster + " answered", CallsFile(cluster));
      }
    }
    if (!site_.S3Calls().empty()) {
      RETURN_IF_ERROR(reports::WriteFileWhole(options_.folder + "/" + CallsFile("s3"), GzipCompress(site_.S3Calls())));
      AddInput("requests that the object storage answered", CallsFile("s3"));
    }
    if (walks_.has_value()) {
      AddInput("mount of the source at the cut", kSourceWalkFile);
      AddInput("mount of the target", kTargetWalkFile);
    }
    return WriteDrillRecord(options_.folder, record_);
  }

  const DrillOptions& options_;
  DrillSite site_;
  record::DrillRecord record_;
  record::DrillEvidence evidence_;
  Timestamp before_backup_;
  Timestamp after_backup_;
  Timestamp cut_;
  judge::Pairs source_;
  std::optional<Result<backup::BackupContents>> contents_;
  std::optional<Result<judge::WindowJudgement>> window_;
  std::optional<judge::DrillWalks> walks_;
};

Result<juicefs::View> ReadWalk(const std::string& folder, const std::string& name) {
  ASSIGN_OR_RETURN(const std::string text, explore::ReadTextFile(folder + "/" + name, "file of a drill"));
  return juicefs::ParseViewJson(name, text);
}

}  // namespace

record::DrillRecord BeginRecord(const record::Recipe& recipe, const record::DrillFault& fault, uint32_t number) {
  record::DrillRecord record;
  record.set_schema(kSchema);
  record.set_recipe(recipe.name());
  record.set_planted(recipe.planted());
  record.set_fault(fault.name());
  record.set_legal_because(fault.legal_because());
  record.set_number(number);
  return record;
}

record::DrillRecord RunDrill(const DrillOptions& options) { return Drill(options).Run(); }

Result<record::DrillRecord> ReadDrillRecord(const std::string& folder) {
  const std::string path = folder + "/" + kDrillRecordFile;
  ASSIGN_OR_RETURN(const std::string text, explore::ReadTextFile(path, "file of a drill"));
  record::DrillRecord record;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, &record);
  if (!parsed.ok()) {
    return Status::DataLoss(path + " is no record of a drill: " + std::string(parsed.message()));
  }
  return record;
}

Status WriteDrillRecord(const std::string& folder, const record::DrillRecord& record) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(record, &text, options);
  if (!printed.ok()) {
    return Status::InvalidArgument("the record of the drill cannot be written: " + std::string(printed.message()));
  }
  return reports::WriteFileWhole(folder + "/" + kDrillRecordFile, text);
}

Result<DrillReplay> ReplayDrill(const std::string& folder) {
  DrillReplay replay;
  record::DrillRecord& record = replay.record;
  ASSIGN_OR_RETURN(record, ReadDrillRecord(folder));
  ASSIGN_OR_RETURN(const std::string packed, explore::ReadTextFile(folder + "/" + kDrillEvidenceFile, "file of a drill"));
  ASSIGN_OR_RETURN(const Bytes bytes, ZstdDecompress(packed, kEvidenceBytesMax));
  record::DrillEvidence evidence;
  if (!evidence.ParseFromString(bytes)) {
    return Status::DataLoss(folder + "/" + kDrillEvidenceFile + " is no evidence of a drill");
  }
  ASSIGN_OR_RETURN(replay.played, PlayRecordings(folder, record, evidence));
  std::optional<judge::DrillWalks> walks;
  if (!evidence.source_walk().empty()) {
    judge::DrillWalks read;
    ASSIGN_OR_RETURN(read.source, ReadWalk(folder, evidence.source_walk()));
    ASSIGN_OR_RETURN(read.target, ReadWalk(folder, evidence.target_walk()));
    walks = std::move(read);
  }
  record.clear_check();
  record.clear_finding();
  record.clear_scope();
  record.clear_unproven();
  record.clear_outcome();
  record.clear_why();
  judge::JudgeDrill(evidence, walks, &record);
  return replay;
}

}  // namespace kvjury::tools
