// kvjury reference backup|restore: the harness's own backup tool on a cluster on real ports, as a backup should be done.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "harness/cli/verb.h"
#include "harness/tools/reference_tool.h"

namespace kvjury::cli {
namespace {

class ReferenceVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("reference", "Our own backup and restore of a whole cluster, in br's format, as it should be done");
    verb->add_option("ACTION", action_, "backup or restore")->required()->check(CLI::IsMember({"backup", "restore"}));
    verb->add_option("--pd", run_.pd, "PD's members, host:port")->required()->delimiter(',');
    verb->add_option("--folder", run_.folder, "Of the backup; the stores must see it under the same path. A restore wants an empty cluster")->required();
    verb->add_option("--ca", run_.tls.ca, "TLS: whose certificates to trust (PEM)");
    verb->add_option("--cert", run_.tls.certificate, "TLS: the client's certificate (PEM)");
    verb->add_option("--key", run_.tls.key, "TLS: its key (PEM)");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const Result<backup::ToolReport> report = action_ == "backup" ? tools::ReferenceBackup(run_) : tools::ReferenceRestore(run_);
    if (!report.ok()) {
      return Fail(terminal, report.error());
    }
    *terminal->err << fmt::format("kvjury reference {}: {}; cut {}\n", action_, report->Sentence(), report->cut.value()) << std::flush;
    return report->success ? ExitCode::kSame : reports::ExitCodeOf(report->failure);
  }

 private:
  std::string action_;
  tools::ReferenceRun run_;
};

}  // namespace

std::unique_ptr<Verb> MakeReferenceVerb() { return std::make_unique<ReferenceVerb>(); }

}  // namespace kvjury::cli
