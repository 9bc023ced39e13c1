// kvjury dump ADDRESS FILE: writes the volume behind an address as `juicefs dump` writes it.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "harness/cli/open_source.h"
#include "harness/cli/output_file.h"
#include "harness/cli/verb.h"
#include "harness/juicefs/write_dump.h"

namespace kvjury::cli {
namespace {

class DumpVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("dump", "Writes the volume behind an address as juicefs dump does, for juicefs load");
    verb->add_option("ADDRESS", address_, kAddressHelp)->required();
    verb->add_option("FILE", file_, "Where to; compressed if its name ends in .gz, .zst or .zstd")->required();
    CLI::Option* binary = verb->add_flag("--binary", binary_, "The binary form, which keeps more");
    verb->add_flag("--fast", fast_, "JSON as juicefs dump --fast makes it: with chunks beyond the end of a file")->excludes(binary);
    verb->add_flag("--skip-trash", options_.skip_trash, "JSON without the trash")->excludes(binary);
    verb->add_option("--subdir", subdir_, "JSON of this directory only")->excludes(binary);
    verb->add_flag("--keep-secret-key", options_.keep_secrets, "With the secrets of the setting, instead of the word `removed`");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const Result<juicefs::DumpReport> report = Dump(terminal);
    if (!report.ok()) {
      const ExitCode code = Fail(terminal, report.error());
      return signal_.value_or(code);
    }
    for (const std::string& problem : report->problems) {
      Warn(terminal, problem);
    }
    *terminal->err << fmt::format("kvjury dump: {} entries, {} problems, into {}\n", report->entry_count, report->problem_count, file_) << std::flush;
    return ExitCode::kSame;
  }

 private:
  Result<juicefs::DumpReport> Dump(Terminal* terminal) {
    ASSIGN_OR_RETURN(const backup::OpenedSource source, OpenSource(address_, {.records = true}));
    RETURN_IF_ERROR(CheckIntact(source));
    if (source.content == backup::OpenedSource::Content::kViews) {
      return Status::InvalidArgument(source.address.text + " shows entries and no keys, of which a dump is made");
    }
    if (source.volume_names.size() != 1) {
      return Status::InvalidArgument(fmt::format("{} holds {} volumes; one is dumped: name it behind '#'", source.address.text, source.volume_names.size()));
    }
    juicefs::KeyValues chosen;
    const bool one_volume = source.content == backup::OpenedSource::Content::kVolume;
    if (!one_volume) {
      chosen = source.PairsOf(source.volume_names.front());
    }
    const Result<juicefs::DumpReport> report = Write(one_volume ? source.pairs : chosen);
    if (!report.ok()) {
      return report.error().WithContext(source.address.text);
    }
    for (const std::string& warning : source.warnings) {
      Warn(terminal, warning);
    }
    return report;
  }

  Result<juicefs::DumpReport> Write(const juicefs::KeyValues& records) {
    options_.form = fast_ ? juicefs::DumpForm::kFast : juicefs::DumpForm::kWalk;
    if (!subdir_.empty()) {
      ASSIGN_OR_RETURN(options_.root, juicefs::FindDirectory(records, subdir_));
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file, OutputFile::Open(file_));
    Result<juicefs::DumpReport> report = binary_ ? juicefs::WriteDumpBinary(records, options_, file.get())
                                                 : juicefs::WriteDumpJson(records, options_, file.get());
    signal_ = file->signal();
    if (report.ok()) {
      RETURN_IF_ERROR(file->Finish());
    }
    return report;
  }

  std::string address_;
  std::string file_;
  std::string subdir_;
  bool binary_ = false;
  bool fast_ = false;
  juicefs::DumpOptions options_;
  std::optional<ExitCode> signal_;
};

}  // namespace

std::unique_ptr<Verb> MakeDumpVerb() { return std::make_unique<DumpVerb>(); }

}  // namespace kvjury::cli
