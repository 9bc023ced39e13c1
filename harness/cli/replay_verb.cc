// kvjury replay: runs recorded cases again and compares verdict and digest with what was recorded.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>

#include "harness/cli/case_session.h"
#include "harness/cli/verb.h"
#include "harness/explore/case_file.h"

namespace kvjury::cli {
namespace {

class ReplayVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("replay", "Runs a recorded case again: same verdict, same digest?");
    verb->add_option("FILE|BUNDLE", path_, "A case file, or a folder of results with case files in it")->required();
    verb->add_option("--out", options_.out, "Folder for the results")->capture_default_str();
    verb->add_flag("--json", options_.json, "The verdict as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
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
