#include "harness/explore/run_case.h"

#include <set>

#include "harness/explore/case_classes.h"
#include "harness/explore/proof.h"
#include "harness/judge/judge.h"

namespace kvjury::explore {

namespace {

constexpr uint32_t kRunSecondsByDefault = 1800;
// Far above what the largest case needs; a run that passes it goes in circles.
constexpr uint64_t kEventsMax = 50'000'000;

std::string HangText(sim::RunEnd end, const std::vector<std::string>& late) {
  if (end == sim::RunEnd::kDone) {
    return "";
  }
  std::string text = end == sim::RunEnd::kStuck ? "nothing is left to happen and these have not ended:"
                                                : "these have not ended within the run's bounds:";
  constexpr size_t kNamesMax = 8;
  for (size_t i = 0; i < late.size() && i < kNamesMax; ++i) {
    text += " " + late[i] + ";";
  }
  return text;
}

void FillInCounts(Stage* stage, const Proof& proof, record::Counts* counts) {
  const Cast::Tally& tally = proof.cast().tally();
  const client::Counters clients = proof.cast().ClientCounters();
  counts->set_writers(stage->spec().writers_size());
  counts->set_operations(tally.operations);
  counts->set_operations_failed(tally.failed);
  counts->set_operations_during_backup(tally.during_backup);
  counts->set_transactions_committed(clients.committed_one_phase + clients.committed_async + clients.committed_two_phase);
  counts->set_transactions_undetermined(clients.undetermined);
  counts->set_commits_one_phase(clients.committed_one_phase);
  counts->set_commits_async(clients.committed_async);
  counts->set_commits_two_phase(clients.committed_two_phase);
  counts->set_locks_met(clients.locks_met);
  counts->set_regions_at_end(stage->source().regions().size());
  counts->set_rpcs(stage->world().fabric().calls());
  counts->set_events(stage->scheduler().events_run());
  counts->set_virtual_us(stage->scheduler().now_us());
  counts->set_nudges_fired(stage->world().faults().fired_nudges().size());
  counts->set_tool_attempts(proof.attempts());
  for (const auto& [kind, count] : stage->world().faults().fired_counts()) {
    (*counts->mutable_faults_fired())[kind] = count;
  }
  if (proof.backup().has_value()) {
    counts->set_backup_rounds(proof.backup()->rounds);
  }
}

void FillInDigests(Stage* stage, record::CaseRecord* record) {
  record->set_digest(stage->world().DigestText());
  for (const auto& [component, digest] : stage->world().log().digests()) {
    record::ComponentDigest* entry = record->add_component();
    entry->set_component(component);
    entry->set_digest(digest.ToString());
    entry->set_decisions(digest.count());
  }
}

// Everything that fired, written out; nothing is left to draw.
record::Case Explicit(Stage* stage, const std::string& digest, record::Outcome outcome) {
  record::Case c = stage->spec();
  c.clear_explore();
  c.clear_fault();
  c.clear_nudge();
  // A label may come up twice (a rename that looks one directory up for both names); one entry strikes each time.
  std::set<std::string> written;
  for (const record::Fault& fault : stage->world().faults().fired_faults()) {
    if (written.insert("fault " + fault.at() + " " + sim::FaultKindName(fault)).second) {
      *c.add_fault() = fault;
    }
  }
  for (const record::Nudge& nudge : stage->world().faults().fired_nudges()) {
    if (written.insert("nudge " + nudge.at()).second) {
      *c.add_nudge() = nudge;
    }
  }
  c.mutable_expect()->set_verdict(record::Outcome_Name(outcome));
  c.mutable_expect()->set_digest(digest);
  return c;
}

std::string ClaimText(const judge::ToolClaim& claim) {
  return claim.success ? "success: " + std::to_string(claim.keys) + " keys in " + std::to_string(claim.files) + " files"
                       : "failed: " + claim.message;
}

// Virtual time that a writer spends asleep at most.
Micros AsleepUsMax(const record::Case& c) {
  Micros longest_us = 0;
  for (const record::Writer& writer : c.writers()) {
    Micros asleep_us = 0;
    for (const record::Operation& operation : writer.op()) {
      asleep_us += operation.kind_case() == record::Operation::kSleep ? std::max<Micros>(operation.sleep().duration_us(), 0) : 0;
    }
    longest_us = std::max(longest_us, asleep_us);
  }
  return longest_us;
}

// Copies the backup's files into a folder of the local file system.
Status KeepBackup(objects::ObjectStore* from, const std::string& folder) {
  ASSIGN_OR_RETURN(std::unique_ptr<objects::ObjectStore> to,
                   objects::DirectoryObjectStore::Open(folder, objects::DirectoryObjectStore::Access::kReadWrite));
  ASSIGN_OR_RETURN(std::vector<objects::ObjectInfo> objects, from->List(""));
  for (const objects::ObjectInfo& object : objects) {
    ASSIGN_OR_RETURN(Bytes bytes, from->Get(object.name));
    RETURN_IF_ERROR(to->Put(object.name, bytes));
  }
  return Status::Ok();
}

}  // namespace

Result<record::CaseRecord> RunCase(const record::Case& c, VolumeLibrary* volumes, const RunCaseOptions& options) {
  RETURN_IF_ERROR(sim::CheckBugNames(c));
  RETURN_IF_ERROR(FindToolModel(c.tool().model()).status());
  ASSIGN_OR_RETURN(std::shared_ptr<const LoadedVolume> volume, volumes->Load(c.volume()));
  Stage stage(c, volume);
  Proof proof(&stage);
  const Micros run_us_max = Micros{1'000'000} * (c.cluster().run_s_max() > 0 ? c.cluster().run_s_max() : kRunSecondsByDefault) +
                            AsleepUsMax(c) + AfterlifeUsMax(c, volume->trash_days);
  const sim::RunEnd end = stage.world().Run(proof.Play(), run_us_max, kEventsMax);
  const judge::Evidence evidence = proof.TakeEvidence(HangText(end, stage.world().late()));
  if (end != sim::RunEnd::kDone) {
    stage.scheduler().Abandon();  // whoever still works is where it is
  }
  judge::Judgement judgement = judge::Judge(evidence);

  record::CaseRecord record;
  record.set_schema(1);
  record.set_name(c.name());
  record.set_outcome(judgement.outcome);
  record.set_false_success(judgement.false_success);
  record.set_cut_ts(evidence.cut.value());
  record.set_tool_claim(ClaimText(evidence.claim));
  *record.mutable_scope() = judgement.scope;
  for (record::CheckResult& result : judgement.checks) {
    *record.add_check() = std::move(result);
  }
  for (record::Finding& finding : judgement.findings) {
    *record.add_finding() = std::move(finding);
  }
  for (std::string& why : judgement.unproven) {
    record.add_unproven(std::move(why));
  }
  for (std::string& label : stage.world().faults().never_fired()) {
    record.add_stale_label(std::move(label));
  }
  FillInCounts(&stage, proof, record.mutable_counts());
  FillInDigests(&stage, &record);
  for (std::string& name : ClassesOf(c, *volume, record)) {
    record.add_class_(std::move(name));
  }
  if (judgement.outcome != record::SAME || options.always_explicit) {
    *record.mutable_case_() = Explicit(&stage, record.digest(), judgement.outcome);
  }
  if (!options.keep_backup_in.empty() && proof.backup().has_value()) {
    RETURN_IF_ERROR(KeepBackup(proof.storage(), options.keep_backup_in));
  }
  return record;
}

}  // namespace kvjury::explore
