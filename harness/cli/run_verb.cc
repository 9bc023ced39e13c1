// kvjury run: simulated proofs. Without a file: the profile `quick`, that is the bundled real volume and then drawn cases.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "harness/cli/case_session.h"
#include "harness/cli/verb.h"
#include "harness/explore/case_file.h"
#include "harness/explore/case_shape.h"

namespace kvjury::cli {
namespace {

constexpr char kBundledVolume[] = "kv://scenarios/volumes/rich/kv.tsv.gz";
constexpr int64_t kQuickMs = 30'000;

class RunVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("run", "Simulated proofs: a case file, a volume, or the profile quick");
    verb->add_option("FILE", file_, "A case file; without it the profile is run");
    verb->add_option("--profile", profile_, "quick: the volume, then drawn cases for 30 s")->check(CLI::IsMember({"quick"}));
    verb->add_option("--volume", volume_, "The volume to start from, an address such as kv:///keys.txt.gz or br:///dir#vol");
    verb->add_option("--seed", options_.seed, "What is drawn comes from this number")->capture_default_str();
    verb->add_option("--cases", cases_, "This many drawn cases instead of 30 s of them");
    verb->add_option("--keep-backup", keep_backup_in_, "Keep the files of the (first) case's backup in this folder, as br:// reads them");
    verb->add_option("--bug", bugs_, "Switch a planted bug on (kvjury list bugs)");
    verb->add_option("--out", options_.out, "Folder for the results")->capture_default_str();
    verb->add_flag("--json", options_.json, "The verdict as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    options_.verb = "run";
    options_.replay_command = fmt::format("kvjury run --seed {}{}{}", options_.seed, file_.empty() ? "" : " " + file_,
                                          volume_.empty() ? "" : " --volume " + volume_);
    for (const std::string& bug : bugs_) {
      const Status known = sim::FindBug(bug).status();
      if (!known.ok()) {
        return Fail(terminal, known);
      }
      options_.replay_command += " --bug " + bug;
    }
    if (cases_.has_value()) {
      options_.replay_command += fmt::format(" --cases {}", *cases_);
    }
    return file_.empty() ? RunProfile(terminal) : RunFile(terminal);
  }

 private:
  ExitCode RunFile(Terminal* terminal) {
    Result<record::Case> c = explore::ReadCaseFile(file_);
    if (!c.ok()) {
      return Fail(terminal, c.error());
    }
    if (!keep_backup_in_.empty() && c->tool().memory_sst()) {
      return Fail(terminal, Status::InvalidArgument(file_ + ": its backup cannot be kept while tool.memory_sst is set: only RocksDB files can"));
    }
    AddBugs(&*c);
    if (c->name().empty()) {
      c->set_name(file_);
    }
    Result<std::unique_ptr<CaseSession>> session = CaseSession::Open(options_, terminal);
    if (!session.ok()) {
      return Fail(terminal, session.error());
    }
    const Result<record::CaseRecord> record = (*session)->Run(*c, keep_backup_in_);
    if (!record.ok()) {
      return Fail(terminal, record.error());
    }
    *terminal->err << CaseWords(*record);
    CheckExpectations(*c, *record, session->get());
    return (*session)->Finish();
  }

  static void CheckExpectations(const record::Case& c, const record::CaseRecord& record, CaseSession* session) {
    const std::string outcome = reports::OutcomeName(record.outcome());
    if (!c.expect().verdict().empty() && c.expect().verdict() != outcome) {
      session->AddProblem(ExitCode::kStale, c.name() + ": expected " + c.expect().verdict() + ", got " + outcome);
    }
    for (const std::string& check : c.expect().check()) {
      bool found = false;
      for (const record::CheckResult& result : record.check()) {
        found = found || (result.check() == check && result.findings() > 0);
      }
      if (!found) {
        session->AddProblem(ExitCode::kStale, c.name() + ": expected a finding of " + check + ", there is none");
      }
    }
    for (const std::string& label : record.stale_label()) {
      session->AddProblem(ExitCode::kStale, c.name() + ": nothing happened at the label \"" + label + "\"");
    }
  }

  ExitCode RunProfile(Terminal* terminal) {
    Result<std::unique_ptr<CaseSession>> session = CaseSession::Open(options_, terminal);
    if (!session.ok()) {
      return Fail(terminal, session.error());
    }
    const GracefulStop stop;
    Status ran = RunVolume(terminal, session->get());
    if (ran.ok() && volume_.empty()) {
      ran = RunDrawn(terminal, session->get(), stop);
    }
    if (!ran.ok()) {
      return Fail(terminal, ran);
    }
    const ExitCode code = (*session)->Finish();
    return stop.requested().value_or(code);
  }

  Status RunVolume(Terminal* terminal, CaseSession* session) {
    explore::CaseShape shape = explore::MainJobShape(options_.seed);
    shape.volume_address = volume_.empty() ? kBundledVolume : volume_;
    ASSIGN_OR_RETURN(record::Case c, explore::MakeCase(shape, session->volumes()));
    c.set_name(volume_.empty() ? "real-volume-rich" : "volume");
    AddBugs(&c);
    ASSIGN_OR_RETURN(record::CaseRecord record, session->Run(c, keep_backup_in_));
    *terminal->err << CaseWords(record) << std::flush;
    return Status::Ok();
  }

  Status RunDrawn(Terminal* terminal, CaseSession* session, const GracefulStop& stop) {
    const int64_t begin_ms = SteadyNowMs();
    Progress progress(terminal, "drawn cases", cases_.value_or(0));
    for (uint64_t index = 0; !stop.requested().has_value(); ++index) {
      if (cases_.has_value() ? index >= *cases_ : SteadyNowMs() - begin_ms >= kQuickMs) {
        break;
      }
      RandomStream random = RandomStream(options_.seed, "run").Fork(std::to_string(index));
      const explore::CaseShape shape = explore::DrawShape(&random, explore::Trouble::kAll);
      ASSIGN_OR_RETURN(record::Case c, explore::MakeCase(shape, session->volumes()));
      c.set_name(fmt::format("drawn-{}-{}", options_.seed, index));
      AddBugs(&c);
      ASSIGN_OR_RETURN(const record::CaseRecord record, session->Run(c));
      session->SayFirstFailure(record);
      progress.Update(index + 1, fmt::format("{} different", session->report().tally().different));
    }
    return Status::Ok();
  }

  void AddBugs(record::Case* c) const {
    for (const std::string& bug : bugs_) {
      c->add_bug(bug);
    }
  }

  SessionOptions options_;
  std::string file_;
  std::string profile_ = "quick";
  std::string volume_;
  std::optional<uint64_t> cases_;
  std::vector<std::string> bugs_;
  std::string keep_backup_in_;
};

}  // namespace

std::unique_ptr<Verb> MakeRunVerb() { return std::make_unique<RunVerb>(); }

}  // namespace kvjury::cli
