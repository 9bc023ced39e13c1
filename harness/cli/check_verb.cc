// kvjury check ADDRESS: do the records of a volume fit together, and are the objects there? As it is, or at every commit of its history.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <set>

#include "fakes/objects/object_store.h"
#include "fakes/ports/folder_at.h"
#include "harness/cli/check_report.h"
#include "harness/cli/open_source.h"
#include "harness/cli/progress.h"
#include "harness/cli/verb.h"
#include "harness/juicefs/keys.h"
#include "harness/tools/recorded_history.h"

namespace kvjury::cli {
namespace {

struct Excuse {
  const char* name;
  bool juicefs::InvariantOptions::*option;
  const char* what;
};

/// The exceptions of invariants.h by their names on the command line.
constexpr std::array<Excuse, 7> kExcuses = {{
    {"skipped-nlink", &juicefs::InvariantOptions::skipped_directory_nlink, "a directory's link count was given up after conflicts"},
    {"binary-load", &juicefs::InvariantOptions::after_binary_load, "juicefs load of a binary dump dropped delayed slices and sessions"},
    {"load", &juicefs::InvariantOptions::during_load, "a load runs, or broke off"},
    {"compaction-conflicts", &juicefs::InvariantOptions::after_compaction_conflicts, "a compaction tried again after it had taken effect"},
    {"lost-flushes", &juicefs::InvariantOptions::lost_flushes, "a client was killed, or two made an hour directory at once"},
    {"clones", &juicefs::InvariantOptions::clones, "directories were cloned"},
    {"old-versions", &juicefs::InvariantOptions::old_versions, "clients before 1.4 wrote, or something was restored from the trash"},
}};

std::string ExcuseHelp() {
  std::string help = "Takes what this explains as a hazard; may be given several times:";
  for (const Excuse& excuse : kExcuses) {
    help += fmt::format(" {} ({});", excuse.name, excuse.what);
  }
  help.back() = '.';
  return help;
}

/// The changes of one volume, keys without its prefix.
std::vector<juicefs::CommittedChange> ChangesOf(const ports::FolderHistory& history, const Bytes& prefix) {
  std::vector<juicefs::CommittedChange> changes;
  for (const tikv::UserChange& change : history.changes) {
    if (change.key.starts_with(prefix)) {
      changes.push_back({change.commit_ts, change.key.substr(prefix.size()), change.value});
    }
  }
  return changes;
}

/// Of every volume that had a setting at some moment.
std::vector<Bytes> VolumesOf(const ports::FolderHistory& history) {
  std::set<Bytes> keys;
  for (const tikv::UserVersion& version : history.versions) {
    keys.insert(version.key);
  }
  for (const tikv::UserChange& change : history.changes) {
    keys.insert(change.key);
  }
  return juicefs::FindVolumes(std::vector<Bytes>(keys.begin(), keys.end()));
}

class CheckVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("check", "Do a volume's records fit together, and are its objects there?");
    CLI::Option* address = verb->add_option("ADDRESS", address_, kAddressHelp);
    verb->add_option("--every-commit", folder_, "Instead of an address: the folder of an ended serve --data or of a drill, at every commit that it remembers")
        ->excludes(address);
    CLI::Option* bucket = verb->add_option("--bucket", bucket_, "The folder that is the volume's bucket: also what juicefs fsck looks for")->check(CLI::ExistingDirectory);
    CLI::Option* at_rest = verb->add_flag("--at-rest", invariants_.at_rest,
                                          "All clients have unmounted: also what they flush late, and that nothing is left to clean");
    bucket->excludes("--every-commit");
    at_rest->excludes("--every-commit");
    std::set<std::string> names;
    for (const Excuse& excuse : kExcuses) {
      names.insert(excuse.name);
    }
    verb->add_option("--excuse", excuses_, ExcuseHelp())->check(CLI::IsMember(names));
    verb->add_flag("--json", json_, "One JSON object on stdout, with every finding");
    verb->add_option("--limit", limit_, "Findings in words at most, of each volume; 0: all")->capture_default_str();
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    if (address_.empty() == folder_.empty()) {
      return Fail(terminal, Status::InvalidArgument("what is to be checked? Give an address, or --every-commit and a folder"));
    }
    for (const Excuse& excuse : kExcuses) {
      for (const std::string& given : excuses_) {
        invariants_.*excuse.option |= given == excuse.name;
      }
    }
    std::vector<std::string> warnings;
    const Result<CheckReport> report = folder_.empty() ? CheckAddress(terminal, &warnings) : CheckHistory(terminal, &warnings);
    if (!report.ok()) {
      return Fail(terminal, report.error());
    }
    if (report->volumes.empty()) {
      *terminal->err << "kvjury: " << report->source << " holds no JuiceFS volume, so nothing can be checked\n" << std::flush;
      return ExitCode::kNothingChecked;
    }
    for (const std::string& warning : warnings) {
      Warn(terminal, warning);
    }
    if (!json_) {
      *terminal->err << CheckText(*report, limit_) << std::flush;
      return report->code();
    }
    *terminal->out << CheckJson(*report);
    const Status flushed = FlushOut(terminal);
    return flushed.ok() ? report->code() : Fail(terminal, flushed);
  }

 private:
  Result<CheckReport> CheckAddress(Terminal* terminal, std::vector<std::string>* warnings) {
    ASSIGN_OR_RETURN(const backup::OpenedSource source, OpenSource(address_, {.records = true, .walk = {}, .terminal = terminal}));
    RETURN_IF_ERROR(CheckIntact(source));
    if (source.content == backup::OpenedSource::Content::kViews) {
      return Status::InvalidArgument(source.address.text + " shows entries and no records, which are what is checked");
    }
    if (!bucket_.empty() && source.volume_names.size() > 1) {
      return Status::InvalidArgument(fmt::format("{} holds {} volumes, --bucket is that of one: name it behind '#'", source.address.text,
                                                 source.volume_names.size()));
    }
    *warnings = source.warnings;
    CheckReport report;
    report.source = source.address.text;
    report.cut = source.cut;
    for (const Bytes& name : source.volume_names) {
      const juicefs::KeyValues pairs = source.PairsOf(name);
      report.volumes.push_back(CheckedNow(name, pairs, invariants_));
      if (!bucket_.empty()) {
        ASSIGN_OR_RETURN(report.volumes.back().objects, CheckBucket(pairs));
      }
    }
    return report;
  }

  Result<juicefs::ObjectCheck> CheckBucket(const juicefs::KeyValues& pairs) const {
    const juicefs::VolumeImage image = juicefs::BuildImage(pairs);
    if (!image.setting.has_value()) {
      return Status::DataLoss("the volume has no setting that tells its name and the size of blocks: its objects cannot be looked for");
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<objects::ObjectStore> store,
                     objects::DirectoryObjectStore::Open(bucket_, objects::DirectoryObjectStore::Access::kReadOnly));
    const std::string prefix = juicefs::BlockPrefix(image);
    ASSIGN_OR_RETURN(const std::vector<objects::ObjectInfo> listed, store->List(prefix));
    std::map<std::string, uint64_t> blocks;
    for (const objects::ObjectInfo& object : listed) {
      blocks[object.name.substr(prefix.size())] = object.bytes;
    }
    return juicefs::CheckObjects(image, blocks);
  }

  Result<CheckReport> CheckHistory(Terminal* terminal, std::vector<std::string>* warnings) {
    ASSIGN_OR_RETURN(const ports::FolderHistory history,
                     tools::HasRecordedHistory(folder_) ? tools::ReadRecordedHistory(folder_) : ports::ReadFolderHistory(folder_));
    *warnings = history.warnings;
    CheckReport report;
    report.source = folder_;
    for (const Bytes& name : VolumesOf(history)) {
      const Bytes prefix = juicefs::VolumePrefix(name);
      juicefs::KeyValues at_begin;
      for (const tikv::UserVersion& version : history.versions) {
        if (version.key.starts_with(prefix)) {
          at_begin.emplace(version.key.substr(prefix.size()), version.value);
        }
      }
      const std::vector<juicefs::CommittedChange> changes = ChangesOf(history, prefix);
      Progress progress(terminal, "commits of volume " + Printable(name), 0);
      juicefs::CommitWalkOptions options;
      options.invariants = invariants_;
      options.on_commit = [&progress](uint64_t commits) { progress.Update(commits); };
      report.volumes.push_back(CheckedWalk(name, juicefs::WalkCommits(at_begin, history.from, changes, options)));
    }
    return report;
  }

  std::string address_;
  std::string folder_;
  std::string bucket_;
  std::vector<std::string> excuses_;
  juicefs::InvariantOptions invariants_;
  bool json_ = false;
  uint64_t limit_ = 100;
};

}  // namespace

std::unique_ptr<Verb> MakeCheckVerb() { return std::make_unique<CheckVerb>(); }

}  // namespace kvjury::cli
