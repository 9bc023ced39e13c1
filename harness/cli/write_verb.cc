// kvjury write FOLDER: a writer at work in a mounted folder, until a signal ends it. Drills start several; by hand it is one more program.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "harness/cli/signals.h"
#include "harness/cli/verb.h"
#include "harness/tools/mount_writer.h"

namespace kvjury::cli {
namespace {

class WriteVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("write", "Changes files below FOLDER/drill as a program of a user would, until Ctrl-C");
    verb->add_option("FOLDER", writing_.folder, "A mounted folder that may be written to")->required()->check(CLI::ExistingDirectory);
    verb->add_option("--seed", writing_.seed, "What is done is drawn from it")->capture_default_str();
    verb->add_option("--writer", writing_.writer, "The number of this writer; each has files of its own, and some that all share")
        ->capture_default_str();
    verb->add_option("--count-file", writing_.count_file, "Holds how many operations are done, eight bytes");
    verb->add_option("--operations", writing_.operations_max, "Ends by itself after so many; 0: does not")->capture_default_str();
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const GracefulStop stop;
    writing_.stop = [&stop]() { return stop.requested().has_value(); };
    const Result<tools::MountWritten> written = tools::WriteToMount(writing_);
    if (!written.ok()) {
      return Fail(terminal, written.error());
    }
    *terminal->err << fmt::format("kvjury write: {} operations, {} refused\n", written->operations, written->refused) << std::flush;
    return ExitCode::kSame;
  }

 private:
  tools::MountWriting writing_;
};

}  // namespace

std::unique_ptr<Verb> MakeWriteVerb() { return std::make_unique<WriteVerb>(); }

}  // namespace kvjury::cli
