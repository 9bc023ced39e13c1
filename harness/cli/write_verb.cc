// kvjury write FOLDER|ADDRESS: a writer at work in a mounted folder, or our own sessions at work on a volume, until a signal ends it. Drills
// start several in folders; by hand it is one more program.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstring>

#include "harness/cli/progress.h"
#include "harness/cli/signals.h"
#include "harness/cli/verb.h"
#include "harness/tools/mount_writer.h"
#include "harness/tools/volume_writer.h"

namespace kvjury::cli {
namespace {

class WriteVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("write", "Changes files below FOLDER/drill as a program of a user would, or a volume as JuiceFS does");
    verb->add_option("WHERE", where_, "A mounted folder that may be written to, or a volume: tikv://HOST:PORT/VOLUME")->required();
    verb->add_option("--seed", seed_, "What is done is drawn from it")->capture_default_str();
    verb->add_option("--operations", operations_max_, "Ends by itself after so many, of each session; 0: does not")->capture_default_str();
    CLI::App* folder = verb->add_option_group("In a folder");
    folder->add_option("--writer", writing_.writer, "The number of this writer; each has files of its own, and some that all share")
        ->capture_default_str();
    folder->add_option("--count-file", writing_.count_file, "Holds how many operations are done, eight bytes");
    CLI::App* volume = verb->add_option_group("On a volume");
    volume->add_option("--sessions", sessions_, "JuiceFS sessions of ours that work at once")->capture_default_str()->check(CLI::Range(1, 100));
    volume->add_option("--files", files_, "Files that are made first, below made/")->capture_default_str();
    volume->add_option("--bucket", bucket_, "The folder that holds the volume's bucket; without it no block is written")->type_name("FOLDER");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override { return where_.find("://") == std::string::npos ? InFolder(terminal) : OnVolume(terminal); }

 private:
  ExitCode InFolder(Terminal* terminal) {
    if (sessions_ != 1 || files_ != 0 || !bucket_.empty()) {
      return Fail(terminal, Status::InvalidArgument("--sessions, --files and --bucket belong to a volume's address, " + where_ + " is a folder"));
    }
    if (const std::string wrong = CLI::ExistingDirectory(where_); !wrong.empty()) {
      return Fail(terminal, Status::InvalidArgument("WHERE: " + wrong));
    }
    const GracefulStop stop;
    writing_.folder = where_;
    writing_.seed = seed_;
    writing_.operations_max = operations_max_;
    writing_.stop = [&stop]() { return stop.requested().has_value(); };
    const Result<tools::MountWritten> written = tools::WriteToMount(writing_);
    if (!written.ok()) {
      return Fail(terminal, written.error());
    }
    *terminal->err << fmt::format("kvjury write: {} operations, {} refused\n", written->operations, written->refused) << std::flush;
    return ExitCode::kSame;
  }

  ExitCode OnVolume(Terminal* terminal) {
    if (writing_.writer != tools::MountWriting().writer || !writing_.count_file.empty()) {
      return Fail(terminal, Status::InvalidArgument("--writer and --count-file belong to a folder, " + where_ + " is an address"));
    }
    Result<backup::Address> address = backup::ParseAddress(where_);
    if (!address.ok()) {
      return Fail(terminal, address.error());
    }
    const GracefulStop stop;
    Progress progress(terminal, "operations on " + address->text, files_ * 2 + operations_max_ * sessions_);
    tools::VolumeWriting writing;
    writing.address = *std::move(address);
    writing.bucket = bucket_;
    writing.seed = seed_;
    writing.sessions = sessions_;
    writing.files = files_;
    writing.operations_max = operations_max_;
    writing.stop = [&stop]() { return stop.requested().has_value(); };
    writing.progress = [&progress](uint64_t operations) { progress.Update(operations); };
    const int64_t begin_ms = SteadyNowMs();
    const Result<tools::VolumeWritten> written = tools::WriteToVolume(writing);
    if (!written.ok()) {
      return Fail(terminal, written.error());
    }
    const double seconds = static_cast<double>(std::max<int64_t>(SteadyNowMs() - begin_ms, 1)) / 1000;
    std::string refusals;
    for (const auto& [error, times] : written->by_errno) {
      refusals += fmt::format("{}{} {}", refusals.empty() ? ": " : ", ", times, std::strerror(error));
    }
    *terminal->err << fmt::format("kvjury write: {} operations, {} refused{}; {} transactions, {} conflicts, {} of unknown fate; {:.0f} operations a second\n",
                                  written->operations, written->refused, refusals, written->transactions, written->conflicts, written->undetermined,
                                  static_cast<double>(written->operations) / seconds)
                   << std::flush;
    return ExitCode::kSame;
  }

  std::string where_;
  uint64_t seed_ = 1;
  uint64_t operations_max_ = 0;
  tools::MountWriting writing_;
  uint32_t sessions_ = 1;
  uint64_t files_ = 0;
  std::string bucket_;
};

}  // namespace

std::unique_ptr<Verb> MakeWriteVerb() { return std::make_unique<WriteVerb>(); }

}  // namespace kvjury::cli
