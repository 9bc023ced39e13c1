// kvjury drift PD CALLS: does a cluster answer recorded calls as the recorded one did? Also makes such recordings.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "harness/cli/verb.h"
#include "harness/drift/player.h"
#include "harness/drift/reasons.h"
#include "harness/drift/recorder.h"
#include "harness/drift/scratch_check.h"
#include "harness/remote/remote_world.h"
#include "reports/out_files.h"
#include "reports/text.h"

namespace kvjury::cli {
namespace {

constexpr Micros kCallTimeoutUs = 30'000'000;

struct Known {
  std::vector<drift::KnownDifference> reasons;
  std::vector<drift::KnownDifference> unused;
};

std::vector<sim::Address> SplitMembers(const std::string& text) {
  std::vector<sim::Address> members;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    std::string member = text.substr(at, comma - at);
    const size_t scheme = member.find("://");
    members.push_back(scheme == std::string::npos ? member : member.substr(scheme + 3));
    at = comma + 1;
  }
  return members;
}

class DriftVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("drift", "Does a cluster answer recorded calls as the recorded one did? It is written to");
    verb->add_option("PD", pd_, "PD of a throw-away cluster: host:port[,host:port...]")->required();
    CLI::Option* calls = verb->add_option("CALLS", calls_, "Recorded calls, one JSON object a line [.gz|.zst|.xz]");
    verb->add_flag("--scratch-cluster", scratch_, "Yes, the cluster may be written to and thrown away");
    verb->add_option("--left-out", left_out_, "Calls that the recording leaves out: made in front of their lines, not compared");
    verb->add_option("--reasons", reasons_, "Known differences with their reasons, one JSON object a line");
    verb->add_option("--folder", folder_, "Where the stores may write what recorded calls write to local folders");
    verb->add_option("--ca", tls_.ca, "TLS: the CA (PEM) that signed the cluster's certificates");
    CLI::Option* cert = verb->add_option("--cert", tls_.certificate, "TLS: our certificate (PEM)");
    CLI::Option* key = verb->add_option("--key", tls_.key, "TLS: its key (PEM)");
    cert->needs(key);
    key->needs(cert);
    CLI::Option* record = verb->add_option("--record", record_, "Instead: make these calls as they stand and write them with their answers");
    verb->add_option("--out", out_, "The file that --record writes")->needs(record);
    record->excludes(calls);
    verb->add_flag("--json", json_, "The result as one JSON object on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const Status wrong = CheckArguments();
    if (!wrong.ok()) {
      return Fail(terminal, wrong);
    }
    const std::string& name = record_.empty() ? calls_ : record_;
    Result<std::vector<drift::RecordedCall>> calls = record_.empty() ? drift::LoadCalls(name) : drift::LoadRequests(name);
    if (calls.ok() && !left_out_.empty()) {
      calls = drift::WithLeftOut(*std::move(calls), left_out_);
    }
    Known known;
    Status loaded = calls.status();
    if (loaded.ok() && !reasons_.empty()) {
      Result<std::vector<drift::KnownDifference>> reasons = drift::LoadReasons(reasons_);
      loaded = reasons.status();
      known.reasons = reasons.ok() ? *std::move(reasons) : known.reasons;
    }
    if (!loaded.ok()) {
      return Fail(terminal, loaded);
    }
    if (calls->empty()) {
      *terminal->err << "kvjury: " << name << " holds no calls\n" << std::flush;
      return ExitCode::kNothingChecked;
    }
    Result<std::unique_ptr<remote::RemoteWorld>> world = remote::RemoteWorld::Start(tls_);
    if (!world.ok()) {
      return Fail(terminal, world.error());
    }
    return Connected(world->get(), *std::move(calls), std::move(known), terminal);
  }

 private:
  Status CheckArguments() const {
    if (!scratch_) {
      return Status::InvalidArgument("drift writes to the cluster; say --scratch-cluster if " + pd_ + " may be thrown away");
    }
    if (calls_.empty() && record_.empty()) {
      return Status::InvalidArgument("drift needs CALLS, or --record REQUESTS --out FILE");
    }
    if (!record_.empty() && out_.empty()) {
      return Status::InvalidArgument("--record needs --out FILE");
    }
    if (!tls_.certificate.empty() && tls_.ca.empty()) {
      return Status::InvalidArgument("--cert and --key need --ca");
    }
    return Status::Ok();
  }

  ExitCode Connected(remote::RemoteWorld* world, std::vector<drift::RecordedCall> calls, Known known, Terminal* terminal) {
    const Result<sim::Address> leader = world->Run(remote::FindPdLeader(world->channel(), SplitMembers(pd_)));
    if (!leader.ok()) {
      return Fail(terminal, leader.error());
    }
    const Result<std::string> held = world->Run(drift::FirstKeyOf(world->channel(), *leader));
    if (!held.ok()) {
      return Fail(terminal, held.error());
    }
    if (!held->empty()) {
      return Fail(terminal, Status::InvalidArgument("the cluster of " + pd_ + " holds data (the first key is " + *held +
                                                    "); drift only plays against an empty one"));
    }
    if (!record_.empty()) {
      return Record(world, *leader, std::move(calls), terminal);
    }
    drift::PlayOptions options;
    options.pd = *leader;
    options.folder = folder_;
    options.timeout_us = kCallTimeoutUs;
    drift::Player player(world->channel(), options);
    Result<drift::Played> played = world->Run(player.Play(std::move(calls)));
    if (!played.ok()) {
      return Fail(terminal, played.error());
    }
    known.unused = drift::Explain(known.reasons, &played->differences);
    return Report(*played, known, terminal);
  }

  ExitCode Record(remote::RemoteWorld* world, const sim::Address& leader, std::vector<drift::RecordedCall> calls, Terminal* terminal) {
    drift::Recorder recorder(world->channel(), leader, kCallTimeoutUs);
    const Result<std::vector<drift::RecordedCall>> recorded = world->Run(recorder.Record(std::move(calls)));
    if (!recorded.ok()) {
      return Fail(terminal, recorded.error());
    }
    std::string text;
    for (const drift::RecordedCall& call : *recorded) {
      text += drift::ToLine(call) + "\n";
    }
    const Status written = reports::WriteFileWhole(out_, text);
    if (!written.ok()) {
      return Fail(terminal, written);
    }
    *terminal->err << fmt::format("kvjury drift: {} calls recorded in {}\n", recorded->size(), out_) << std::flush;
    return ExitCode::kSame;
  }

  ExitCode Report(const drift::Played& played, const Known& known, Terminal* terminal) {
    size_t unexplained = 0;
    for (const drift::Difference& difference : played.differences) {
      unexplained += difference.reason.empty() ? 1 : 0;
      *terminal->err << ToText(difference) << (difference.reason.empty() ? "" : " (known: " + difference.reason + ")") << "\n";
    }
    for (const drift::KnownDifference& unused : known.unused) {
      *terminal->err << fmt::format("{} line {} explains nothing: {}\n", reasons_, unused.line, unused.reason);
    }
    if (!played.stopped.ok()) {
      *terminal->err << "kvjury: stopped at " << played.stopped.message() << "\n";
    }
    const ExitCode code = unexplained > 0          ? ExitCode::kDifferent
                          : !known.unused.empty()  ? ExitCode::kStale
                          : !played.stopped.ok()   ? ExitCode::kUnproven
                          : played.compared == 0   ? ExitCode::kNothingChecked
                                                   : ExitCode::kSame;
    *terminal->err << fmt::format("kvjury drift: {}: {} calls made, {} compared, {} not compared; {} differences, {} of them known\n",
                                  reports::ExitCodeMeaning(code), played.calls, played.compared, played.unrecorded,
                                  played.differences.size(), played.differences.size() - unexplained)
                   << std::flush;
    if (!json_) {
      return code;
    }
    *terminal->out << ToJson(played, known, code).dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    const Status flushed = FlushOut(terminal);
    return flushed.ok() ? code : Fail(terminal, flushed);
  }

  nlohmann::ordered_json ToJson(const drift::Played& played, const Known& known, ExitCode code) const {
    nlohmann::ordered_json object;
    object["schema"] = "kvjury.drift/1";
    object["exit_code"] = static_cast<int>(code);
    object["calls"] = played.calls;
    object["compared"] = played.compared;
    object["unrecorded"] = played.unrecorded;
    object["differences"] = nlohmann::ordered_json::array();
    for (const drift::Difference& difference : played.differences) {
      nlohmann::ordered_json one;
      one["case"] = difference.case_name;
      one["number"] = difference.number;
      one["line"] = difference.line;
      one["method"] = difference.method;
      one["field"] = difference.what.field;
      one["recorded"] = difference.what.recorded;
      one["got"] = difference.what.got;
      if (!difference.reason.empty()) {
        one["reason"] = difference.reason;
      }
      object["differences"].push_back(std::move(one));
    }
    object["unused_reasons"] = nlohmann::ordered_json::array();
    for (const drift::KnownDifference& unused : known.unused) {
      object["unused_reasons"].push_back({{"line", unused.line}, {"reason", unused.reason}});
    }
    if (!played.stopped.ok()) {
      object["stopped"] = played.stopped.message();
    }
    return object;
  }

  std::string pd_;
  std::string calls_;
  std::string left_out_;
  std::string reasons_;
  std::string folder_;
  std::string record_;
  std::string out_;
  ports::TlsFiles tls_;
  bool scratch_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeDriftVerb() { return std::make_unique<DriftVerb>(); }

}  // namespace kvjury::cli
