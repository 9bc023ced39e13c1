// kvjury replay: runs recorded cases again, or judges the evidence of a drill again, and compares verdict and digest with what was recorded.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>

#include "harness/cli/case_session.h"
#include "harness/cli/verb.h"
#include "harness/cli/version.h"
#include "harness/explore/case_file.h"
#include "harness/explore/proto_text.h"
#include "harness/tools/drill.h"
#include "reports/certificate.h"
#include "reports/drill_report.h"
#include "reports/drill_words.h"

namespace kvjury::cli {
namespace {

class ReplayVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("replay", "Runs a recorded case again, or makes a drill's clusters again and judges them: same verdict, same digest?");
    verb->add_option("FILE|BUNDLE", path_, "A case file, a folder of results with case files in it, or a drill's folder or certificate")->required();
    verb->add_option("--out", options_.out, "Folder for the results")->capture_default_str();
    verb->add_flag("--json", options_.json, "The verdict as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    if (IsOfDrill()) {
      return ReplayDrill(terminal);
    }
    options_.verb = "replay";
    options_.repeat_ppm = 0;
    options_.replay_command = "kvjury replay " + path_;
    const Result<std::vector<std::string>> files = CaseFiles();
    if (!files.ok()) {
      return Fail(terminal, files.error());
    }
    std::vector<record::Case> cases;
    for (const std::string& file : *files) {
      Result<record::Case> c = explore::ReadCaseFile(file);
      if (!c.ok()) {
        return Fail(terminal, c.error());
      }
      cases.push_back(*std::move(c));
    }
    Result<std::unique_ptr<CaseSession>> session = CaseSession::Open(options_, terminal);
    if (!session.ok()) {
      return Fail(terminal, session.error());
    }
    for (const record::Case& c : cases) {
      const Status replayed = Replay(c, terminal, session->get());
      if (!replayed.ok()) {
        return Fail(terminal, replayed);
      }
    }
    return (*session)->Finish();
  }

 private:
  /// A drill's folder, or the certificate in it.
  [[nodiscard]] bool IsOfDrill() const {
    std::error_code error;
    return std::filesystem::exists(path_ + "/" + tools::kDrillRecordFile, error) ||
           std::filesystem::path(path_).filename() == reports::kCertificateFile;
  }

  /// The inputs are those of the certificate, if there is one, and they still say what they said.
  ExitCode ReplayDrill(Terminal* terminal) {
    std::error_code error;
    const bool is_folder = std::filesystem::is_directory(path_, error);
    const std::string folder = is_folder ? path_ : std::filesystem::absolute(path_).parent_path().string();
    const std::string certificate_file = folder + "/" + reports::kCertificateFile;
    if (!is_folder || std::filesystem::exists(certificate_file, error)) {
      const Result<uint64_t> verified = VerifyCertificate(certificate_file, folder);
      if (!verified.ok()) {
        return Fail(terminal, verified.error());
      }
      *terminal->err << fmt::format("kvjury replay: {} inputs are those of the certificate\n", *verified);
    }
    const Result<record::DrillRecord> before = tools::ReadDrillRecord(folder);
    const Result<tools::DrillReplay> replayed = before.ok() ? tools::ReplayDrill(folder) : Result<tools::DrillReplay>(before.status());
    if (!replayed.ok() && replayed.status().code() == StatusCode::kConflict) {
      *terminal->err << fmt::format("kvjury replay: {}\n", replayed.error().message());
      return ExitCode::kNotSameRun;
    }
    if (!replayed.ok()) {
      return Fail(terminal, replayed.error());
    }
    const record::DrillRecord* again = &replayed->record;
    const tools::PlayedCalls& played = replayed->played;
    *terminal->err << (played.clusters == 0
                           ? "kvjury replay: the drill recorded nothing to play again; the evidence alone is judged\n"
                           : fmt::format("kvjury replay: {} played again through {} s, {} calls answered as they were; the evidence holds the keys that "
                                         "came of them\n",
                                         played.clusters == 1 ? "the cluster" : "both clusters", played.took_us / 1'000'000, played.calls))
                   << fmt::format("{}: {}: {}\ndigest {}\n", reports::DrillName(*again), reports::DrillWord(again->outcome()), reports::WhyOf(*again),
                                  again->digest())
                   << std::flush;
    if (options_.json) {
      reports::DrillReport report({kVersion, again->seed(), "kvjury replay " + path_, folder});
      report.Add(*again);
      *terminal->out << report.VerdictJson();
      const Status flushed = FlushOut(terminal);
      if (!flushed.ok()) {
        return Fail(terminal, flushed);
      }
    }
    if (again->outcome() != before->outcome() || again->digest() != before->digest()) {
      *terminal->err << fmt::format("kvjury replay: recorded was {}, digest {}\n", reports::DrillWord(before->outcome()), before->digest());
      return ExitCode::kNotSameRun;
    }
    return reports::DrillExitCode(again->outcome());
  }

  static Result<uint64_t> VerifyCertificate(const std::string& file, const std::string& folder) {
    ASSIGN_OR_RETURN(const std::string text, explore::ReadTextFile(file, "certificate"));
    ASSIGN_OR_RETURN(const record::Certificate certificate, reports::ParseCertificate(file, text));
    return reports::VerifyInputs(certificate, folder);
  }

  Result<std::vector<std::string>> CaseFiles() const {
    std::error_code error;
    if (!std::filesystem::is_directory(path_, error)) {
      return std::vector<std::string>{path_};
    }
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(path_, error)) {
      if (entry.path().extension() == ".case") {
        files.push_back(entry.path().string());
      }
    }
    if (error) {
      return Status::Environment("cannot read the folder " + path_ + ": " + error.message());
    }
    if (files.empty()) {
      return Status::InvalidArgument(path_ + ": holds no case file; expected *.case");
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  static Status Replay(const record::Case& c, Terminal* terminal, CaseSession* session) {
    ASSIGN_OR_RETURN(record::CaseRecord record, session->Run(c));
    *terminal->err << CaseWords(record) << std::flush;
    const std::string& expected = c.expect().digest();
    if (!expected.empty() && expected != record.digest()) {
      session->AddProblem(ExitCode::kNotSameRun,
                          c.name() + ": the digest is " + record.digest() + ", recorded was " + expected);
    }
    const std::string outcome = reports::OutcomeName(record.outcome());
    if (!c.expect().verdict().empty() && c.expect().verdict() != outcome) {
      session->AddProblem(ExitCode::kStale, c.name() + ": recorded was " + c.expect().verdict() + ", got " + outcome);
    }
    return Status::Ok();
  }

  SessionOptions options_ = [] {
    SessionOptions options;
    options.out = "out/replay";
    return options;
  }();
  std::string path_;
};

}  // namespace

std::unique_ptr<Verb> MakeReplayVerb() { return std::make_unique<ReplayVerb>(); }

}  // namespace kvjury::cli
