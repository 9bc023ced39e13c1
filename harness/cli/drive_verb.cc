// kvjury drive RECIPE...: drills. A real tool backs a served, mounted, busy volume up and restores it; two mounts tell the truth.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>

#include "harness/cli/served_content.h"
#include "harness/cli/signals.h"
#include "harness/cli/verb.h"
#include "harness/cli/version.h"
#include "harness/explore/volume_library.h"
#include "harness/juicefs/format.h"
#include "harness/juicefs/volumes.h"
#include "harness/tools/confinement.h"
#include "harness/tools/drill.h"
#include "reports/certificate.h"
#include "reports/drill_folder.h"
#include "reports/drill_words.h"

namespace kvjury::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kNone[] = "none";
constexpr char kAll[] = "all";
// Beside the two phases of the tool: clusters, mounts, writers, reading, judging.
constexpr auto kAroundTheTool = std::chrono::seconds(240);

struct Cell {
  /// As they were asked for: names or files.
  std::string recipe_name;
  std::string fault_name;
  record::Recipe recipe;
  record::DrillFault fault;
  uint32_t number = 1;
};

class DriveVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("drive", "Drills: a real tool backs a live volume up and restores it, and mounts of both are compared");
    verb->add_option("RECIPE", recipe_names_, "Names of `kvjury list recipes`, files, or all")->required();
    verb->add_option("--faults", fault_names_, "Names of `kvjury list drill-faults`, files, none, or all (none and each)")->delimiter(',');
    verb->add_option("--cases", cases_, "Drills of each recipe and fault")->capture_default_str()->check(CLI::Range(1, 10'000));
    verb->add_option("--volume", volume_, "What the source holds: kv://, br:// or tikv:// with one volume")->capture_default_str();
    verb->add_option("--writers", options_.writers, "Processes that write through the mount meanwhile")->capture_default_str()->check(CLI::Range(1, 64));
    verb->add_option("--bin", bins_, "NAME=PATH of a program; else KVJURY_NAME, what ci/tools got, or PATH");
    verb->add_flag("--require-tool", require_tool_, "A program that is missing is an error (6), and no skipped row");
    verb->add_option("--time-out", time_out_s_, "Seconds for each of backup and restore")->capture_default_str()->check(CLI::Range(5, 86'400));
    verb->add_option("--seed", options_.seed, "What the writers do is drawn from it")->capture_default_str();
    verb->add_option("--out", out_, "The folder for results")->capture_default_str();
    verb->add_option("--time-budget", time_budget_s_, "Seconds after which no further drill begins; the rest are unproven. 0: none")->capture_default_str();
    verb->add_flag("--json", json_, "What verdict.json holds, on stdout");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    terminal_ = terminal;
    const GracefulStop stop;
    stop_ = &stop;
    Status prepared = ReadBins();
    prepared = prepared.ok() ? ChooseCells() : prepared;
    prepared = prepared.ok() ? ReadVolume() : prepared;
    if (!prepared.ok()) {
      return Fail(terminal, prepared);
    }
    reports::DrillReport report({kVersion, options_.seed, RepeatCommand(), fs::absolute(out_).string()});
    Result<reports::DrillFolder> folder = reports::DrillFolder::Open(out_);
    if (!folder.ok()) {
      return Fail(terminal, folder.error());
    }
    *terminal->err << fmt::format("kvjury drive: seed {}, {} drills, results in {}\n", options_.seed, cells_.size(), out_) << std::flush;
    const auto begun = std::chrono::steady_clock::now();
    for (const Cell& cell : cells_) {
      const bool is_over = time_budget_s_ > 0 && std::chrono::steady_clock::now() - begun > std::chrono::seconds(time_budget_s_);
      const Result<record::DrillRecord> record =
          is_over ? NoResult(cell, record::DRILL_UNPROVEN, "not begun: the time budget was used up") : RunCell(cell);
      if (stop.requested()) {
        return *stop.requested();
      }
      if (!record.ok()) {
        report.AddProblem(reports::ExitCodeOf(record.error()), record.error().message());
        static_cast<void>(folder->Finish(report));
        return Fail(terminal, record.error());
      }
      const Status kept = Take(*record, &report, &*folder);
      if (!kept.ok()) {
        return Fail(terminal, kept);
      }
    }
    return Finish(report, &*folder);
  }

 private:
  Status ReadBins() {
    for (const std::string& bin : bins_) {
      const size_t equals = bin.find('=');
      if (equals == std::string::npos || equals == 0) {
        return Status::InvalidArgument("--bin " + bin + ": expected NAME=PATH");
      }
      bin_of_[bin.substr(0, equals)] = bin.substr(equals + 1);
    }
    return Status::Ok();
  }

  Status ChooseCells() {
    const std::string recipes = std::string(kSourceFolder) + tools::kRecipesFolder;
    const std::string faults = std::string(kSourceFolder) + tools::kDrillFaultsFolder;
    if (recipe_names_ == std::vector<std::string>{kAll}) {
      recipe_names_ = tools::NamesIn(recipes, "recipe");
    }
    if (fault_names_ == std::vector<std::string>{kAll}) {
      fault_names_ = tools::NamesIn(faults, "fault");
      fault_names_.insert(fault_names_.begin(), kNone);
    } else if (fault_names_.empty()) {
      fault_names_ = {kNone};
    }
    std::vector<record::DrillFault> chosen;
    for (const std::string& name : fault_names_) {
      chosen.emplace_back();
      if (name != kNone) {
        ASSIGN_OR_RETURN(chosen.back(), tools::ReadDrillFault(name, faults));
      }
    }
    for (const std::string& name : recipe_names_) {
      ASSIGN_OR_RETURN(const record::Recipe recipe, tools::ReadRecipe(name, recipes));
      for (size_t i = 0; i < chosen.size(); ++i) {
        const record::DrillFault& fault = chosen[i];
        const bool has_tool = fault.only_tool().empty() || std::count(recipe.tool().begin(), recipe.tool().end(), fault.only_tool()) > 0;
        if (!has_tool || (fault.only_s3() && !recipe.s3())) {
          continue;
        }
        for (uint32_t number = 1; number <= cases_; ++number) {
          cells_.push_back({name, fault_names_[i], recipe, fault, number});
        }
      }
    }
    return cells_.empty() ? Status::InvalidArgument("none of these faults is for any of these recipes") : Status::Ok();
  }

  Status ReadVolume() {
    ASSIGN_OR_RETURN(const std::string address, explore::FindBundled(volume_, kSourceFolder));
    ASSIGN_OR_RETURN(ServedContent content, ReadContent(address, ""));
    // TiKV's client stores no empty value, so that a volume there has none; one that was taken from another engine may.
    const size_t empty = std::erase_if(content.versions, [](const tikv::UserVersion& version) { return version.value.empty(); });
    if (empty > 0) {
      Warn(terminal_, fmt::format("{} keys of {} have empty values, which no volume on TiKV can have: left out", empty, volume_));
    }
    std::vector<Bytes> keys;
    for (const tikv::UserVersion& version : content.versions) {
      keys.push_back(version.key);
    }
    const std::vector<Bytes> names = juicefs::FindVolumes(keys);
    if (names.size() != 1) {
      return Status::InvalidArgument(fmt::format("{} holds {} volumes; a drill is about one (#NAME)", volume_, names.size()));
    }
    options_.versions = std::move(content.versions);
    options_.volume = volume_;
    options_.volume_name = names.front();
    return LeaveOutCredentials();
  }

  /// A drill's mounts bring the keys of the drill's own bucket, and nothing of a drill shall hold those of the volume's.
  Status LeaveOutCredentials() {
    const Bytes key = juicefs::VolumePrefix(options_.volume_name) + "setting";
    for (tikv::UserVersion& version : options_.versions) {
      if (version.key == key) {
        Result<Bytes> without = juicefs::SettingWithoutCredentials(version.value);
        if (!without.ok()) {
          return without.error().WithContext(volume_);
        }
        if (*without != version.value) {
          Warn(terminal_, "the credentials in the setting of " + volume_ + " are left out: nothing of a drill holds them");
          version.value = *std::move(without);
        }
      }
    }
    return Status::Ok();
  }

  /// The programs of the recipe; juicefs, too, which mounts.
  Result<std::vector<tools::FoundTool>> FindTools(const record::Recipe& recipe) {
    std::vector<tools::FoundTool> found;
    std::vector<std::string> names(recipe.tool().begin(), recipe.tool().end());
    if (std::find(names.begin(), names.end(), "juicefs") == names.end()) {
      names.emplace_back("juicefs");
    }
    for (const std::string& name : names) {
      if (found_.count(name) == 0) {
        Result<tools::FoundTool> tool = tools::FindTool(name, bin_of_);
        if (!tool.ok()) {
          return tool.error();
        }
        found_[name] = *std::move(tool);
      }
      found.push_back(found_[name]);
    }
    return found;
  }

  static record::DrillRecord NoResult(const Cell& cell, record::DrillOutcome outcome, const std::string& why) {
    record::DrillRecord record = tools::BeginRecord(cell.recipe, cell.fault, cell.number);
    record.set_outcome(outcome);
    record.set_why(why);
    return record;
  }

  Result<record::DrillRecord> RunCell(const Cell& cell) {
    Result<std::vector<tools::FoundTool>> found = FindTools(cell.recipe);
    if (!found.ok()) {
      return require_tool_ ? Result<record::DrillRecord>(Status::Environment(found.error().message()))
                           : NoResult(cell, record::DRILL_SKIPPED, found.error().message());
    }
    const std::string fault = cell.fault.name().empty() ? kNone : cell.fault.name();
    const std::string relative = fmt::format("{}/{}/{}", cell.recipe.name(), fault, cell.number);
    const fs::path folder = fs::absolute(out_) / relative;
    const fs::path scratch = folder / "scratch";
    std::error_code error;
    fs::remove_all(folder, error);
    if (!fs::create_directories(scratch, error)) {
      return Status::Environment(fmt::format("cannot make the folder {}: {}", scratch.string(), error.message()));
    }
    tools::DrillOptions options = options_;
    options.recipe = cell.recipe;
    options.fault = cell.fault;
    options.number = cell.number;
    options.time_limit = std::chrono::seconds(time_out_s_);
    options.folder = folder.string();
    options.scratch = scratch.string();
    options.working_folder = fs::current_path(error).string();
    options.kvjury = fs::read_symlink("/proc/self/exe", error).string();
    options.tools = *std::move(found);
    if (terminal_->err_is_terminal) {
      options.on_step = [this, relative](const std::string& step) { *terminal_->err << "\r\x1b[K" << relative << ": " << step << std::flush; };
    }
    tools::Confinement confinement;
    confinement.scratch = options.scratch;
    confinement.kept = options.folder;
    confinement.time_limit = 2 * options.time_limit + kAroundTheTool;
    confinement.stop_requested = [this]() { return stop_->requested().has_value(); };
    const Result<tools::ConfinedEnd> end = tools::RunConfined(confinement, [&options]() {
      static_cast<void>(tools::RunDrill(options));
      return 0;
    });
    if (terminal_->err_is_terminal) {
      *terminal_->err << "\r\x1b[K" << std::flush;
    }
    fs::remove(scratch, error);
    if (!end.ok()) {
      fs::remove_all(folder, error);
      return end.error();
    }
    Result<record::DrillRecord> record = tools::ReadDrillRecord(options.folder);
    if (!record.ok()) {
      return NoResult(cell, record::DRILL_UNPROVEN,
                      end->timed_out ? "the drill as a whole took longer than its limit"
                                     : fmt::format("the drill's process ended with {} and left no record", end->exit_code));
    }
    record->set_folder(relative);
    // Writers draw from the sum of seed and number.
    record->set_repeat_command(CommandLine(cell.recipe_name, cell.fault_name, options_.seed + cell.number - 1));
    return record;
  }

  [[nodiscard]] std::string CommandLine(const std::string& recipes, const std::string& faults, uint64_t seed) const {
    std::string command = fmt::format("kvjury drive {} --faults {} --volume {} --writers {} --time-out {} --seed {}", recipes, faults, volume_,
                                      options_.writers, time_out_s_, seed);
    for (const std::string& bin : bins_) {
      command += " --bin " + bin;
    }
    return command;
  }

  /// The command line that carries all drills out again.
  [[nodiscard]] std::string RepeatCommand() const {
    return CommandLine(fmt::format("{}", fmt::join(recipe_names_, " ")), fmt::format("{}", fmt::join(fault_names_, ",")), options_.seed) +
           fmt::format(" --cases {}", cases_);
  }

  Status Take(const record::DrillRecord& record, reports::DrillReport* report, reports::DrillFolder* folder) {
    RETURN_IF_ERROR(folder->Append(record));
    report->Add(record);
    if (record.outcome() == record::DRILL_SAME) {
      ASSIGN_OR_RETURN(const record::Certificate certificate, reports::MakeCertificate(record, kVersion));
      RETURN_IF_ERROR(reports::WriteCertificate(out_ + "/" + record.folder(), certificate));
    }
    *terminal_->err << fmt::format("{}: {}: {}", reports::DrillName(record), reports::DrillWord(record.outcome()), reports::WhyOf(record));
    if (record.took_ms() > 0) {
      *terminal_->err << fmt::format(" ({:.1f} s, {} operations, {} while it was backed up)", static_cast<double>(record.took_ms()) / 1000,
                                     record.operations(), record.operations_during_backup());
    }
    *terminal_->err << "\n" << std::flush;
    return Status::Ok();
  }

  ExitCode Finish(const reports::DrillReport& report, reports::DrillFolder* folder) {
    const Status finished = folder->Finish(report);
    if (!finished.ok()) {
      return Fail(terminal_, finished);
    }
    if (cells_.size() > 1) {
      *terminal_->err << report.matrix().Text();
    }
    *terminal_->err << report.Sentence() << "\nreport: " << out_ << "/report.html\n";
    for (const record::DrillRecord& drill : report.drills()) {
      if (drill.outcome() != record::DRILL_SAME && !drill.folder().empty()) {
        *terminal_->err << "replay: kvjury replay " << out_ << "/" << drill.folder() << "\n";
        break;
      }
    }
    *terminal_->err << std::flush;
    if (json_) {
      *terminal_->out << report.VerdictJson();
      const Status flushed = FlushOut(terminal_);
      return flushed.ok() ? report.exit_code() : Fail(terminal_, flushed);
    }
    return report.exit_code();
  }

  Terminal* terminal_ = nullptr;
  const GracefulStop* stop_ = nullptr;
  std::vector<std::string> recipe_names_;
  std::vector<std::string> fault_names_;
  std::vector<std::string> bins_;
  std::map<std::string, std::string> bin_of_;
  std::map<std::string, tools::FoundTool> found_;
  std::vector<Cell> cells_;
  tools::DrillOptions options_;
  std::string volume_ = "kv://scenarios/volumes/rich/kv.tsv.gz";
  std::string out_ = "out";
  uint32_t cases_ = 1;
  int64_t time_out_s_ = 180;
  int64_t time_budget_s_ = 0;
  bool require_tool_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeDriveVerb() { return std::make_unique<DriveVerb>(); }

}  // namespace kvjury::cli
