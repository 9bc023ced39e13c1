// kvjury soak: drawn cases until the time budget is used up, in several processes: the plain nightly loop.
//
// Each child process takes every N-th case and writes a folder of its own; what it has finished stays readable whatever
// happens to it. The parent joins the records at the end.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include <chrono>

#include "harness/cli/case_session.h"
#include "harness/cli/verb.h"
#include "harness/explore/case_shape.h"

namespace kvjury::cli {
namespace {

constexpr uint32_t kJobsMax = 64;

class SoakVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("soak", "Drawn cases until a time budget is used up");
    verb->add_option("--time-budget", budget_, "How long, for example 30s, 10m, 8h")->capture_default_str();
    verb->add_option("--jobs", jobs_, "Processes side by side")->check(CLI::Range(1u, kJobsMax))->capture_default_str();
    verb->add_option("--seed", seed_, "What is drawn comes from this number; by default from the clock");
    verb->add_option("--cases", cases_, "End after this many cases even if time is left");
    verb->add_option("--out", options_.out, "Folder for the results")->capture_default_str();
    verb->add_flag("--json", options_.json, "The verdict as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const Result<int64_t> budget_ms = ParseDurationMs(budget_);
    if (!budget_ms.ok()) {
      return Fail(terminal, budget_ms.error());
    }
    options_.verb = "soak";
    options_.seed = seed_.value_or(static_cast<uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count()));
    options_.replay_command = fmt::format("kvjury soak --seed {} --time-budget {} --jobs {}", options_.seed, budget_, jobs_);
    Result<std::unique_ptr<CaseSession>> session = CaseSession::Open(options_, terminal);
    if (!session.ok()) {
      return Fail(terminal, session.error());
    }
    const GracefulStop stop;
    const Status ran = jobs_ == 1 ? RunShare(session->get(), 0, *budget_ms, stop, terminal)
                                  : RunJobs(session->get(), *budget_ms, stop, terminal);
    if (!ran.ok()) {
      return Fail(terminal, ran);
    }
    const ExitCode code = (*session)->Finish();
    return stop.requested().value_or(code);
  }

 private:
  static Result<int64_t> ParseDurationMs(const std::string& text) {
    int64_t number = 0;
    size_t at = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && number < 1'000'000'000) {
      number = number * 10 + (text[at++] - '0');
    }
    const std::string unit = text.substr(at);
    const int64_t unit_ms = unit == "s" ? 1'000 : unit == "m" ? 60'000 : unit == "h" ? 3'600'000 : 0;
    if (at == 0 || number == 0 || unit_ms == 0) {
      return Status::InvalidArgument("--time-budget: expected a number and s, m or h, for example 30s; got \"" + text + "\"");
    }
    return number * unit_ms;
  }

  // Every jobs_-th case, beginning with `first`.
  Status RunShare(CaseSession* session, uint64_t first, int64_t budget_ms, const GracefulStop& stop, Terminal* terminal) {
    const int64_t begin_ms = SteadyNowMs();
    Progress progress(terminal, "soak", cases_.value_or(0));
    for (uint64_t index = first; !stop.requested().has_value(); index += jobs_) {
      if (SteadyNowMs() - begin_ms >= budget_ms || (cases_.has_value() && index >= *cases_)) {
        break;
      }
      RandomStream random = RandomStream(options_.seed, "soak").Fork(std::to_string(index));
      const explore::CaseShape shape = explore::DrawShape(&random, explore::Trouble::kAll);
      ASSIGN_OR_RETURN(record::Case c, explore::MakeCase(shape, session->volumes()));
      c.set_name(fmt::format("soak-{}-{}", options_.seed, index));
      ASSIGN_OR_RETURN(const record::CaseRecord record, session->Run(c));
      session->SayFirstFailure(record);
      progress.Update(index + 1, fmt::format("{} different", session->report().tally().different));
    }
    return Status::Ok();
  }

  [[nodiscard]] std::string JobFolder(uint32_t job) const { return fmt::format("{}/job-{}", options_.out, job); }

  // In the child: works its share off and ends the process.
  [[noreturn]] void RunChild(uint32_t job, int64_t budget_ms, const GracefulStop& stop, Terminal* terminal) {
    SessionOptions own = options_;
    own.out = JobFolder(job);
    own.json = false;
    Result<std::unique_ptr<CaseSession>> session = CaseSession::Open(own, terminal);
    if (!session.ok()) {
      _exit(static_cast<int>(Fail(terminal, session.error())));
    }
    const Status ran = RunShare(session->get(), job, budget_ms, stop, terminal);
    _exit(ran.ok() ? 0 : static_cast<int>(Fail(terminal, ran)));
  }

  Status RunJobs(CaseSession* session, int64_t budget_ms, const GracefulStop& stop, Terminal* terminal) {
    std::vector<pid_t> children;
    for (uint32_t job = 0; job < jobs_; ++job) {
      const pid_t child = fork();
      if (child == 0) {
        RunChild(job, budget_ms, stop, terminal);
      }
      if (child < 0) {
        session->AddProblem(ExitCode::kEnvironment, fmt::format("job {} could not be started", job));
        continue;
      }
      children.push_back(child);
    }
    for (size_t i = 0; i < children.size(); ++i) {
      int ended = 0;
      while (waitpid(children[i], &ended, 0) < 0 && errno == EINTR) {
      }
      if (!WIFEXITED(ended) || WEXITSTATUS(ended) != 0) {
        session->AddProblem(ExitCode::kEnvironment, fmt::format("job {} did not end well; its finished cases are counted", i));
      }
      RETURN_IF_ERROR(session->Adopt(JobFolder(static_cast<uint32_t>(i))));
    }
    return Status::Ok();
  }

  SessionOptions options_ = [] {
    SessionOptions options;
    options.out = "out/soak";
    return options;
  }();
  std::string budget_ = "10m";
  uint32_t jobs_ = 1;
  std::optional<uint64_t> seed_;
  std::optional<uint64_t> cases_;
};

}  // namespace

std::unique_ptr<Verb> MakeSoakVerb() { return std::make_unique<SoakVerb>(); }

}  // namespace kvjury::cli
