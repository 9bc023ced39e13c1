// kvjury view ADDRESS: what a mount of the volumes behind an address shows, from their records alone; with --mount as a mount (view_mount.h).
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "harness/backup/address.h"
#include "harness/cli/open_source.h"
#include "harness/cli/summary.h"
#include "harness/cli/verb.h"
#include "harness/cli/view_mount.h"
#include "harness/juicefs/view_json.h"
#include "harness/tools/fuse_mount.h"
#include "reports/text.h"

namespace kvjury::cli {
namespace {

constexpr uint32_t kModeTypeMask = 0170000;

/// "drwxr-xr-x", as ls writes it.
std::string ModeText(uint32_t mode) {
  const uint32_t type = mode & kModeTypeMask;
  std::string text = type == 0040000   ? "d"
                     : type == 0120000 ? "l"
                     : type == 0100000 ? "-"
                     : type == 0010000 ? "p"
                     : type == 0020000 ? "c"
                     : type == 0060000 ? "b"
                     : type == 0140000 ? "s"
                                       : "?";
  for (int shift = 6; shift >= 0; shift -= 3) {
    const uint32_t bits = mode >> shift & 7u;
    const bool special = (mode & (shift == 6 ? 04000u : shift == 3 ? 02000u : 01000u)) != 0;
    const char executable = shift == 0 ? 't' : 's';
    text += (bits & 4u) != 0 ? 'r' : '-';
    text += (bits & 2u) != 0 ? 'w' : '-';
    text += special ? ((bits & 1u) != 0 ? executable : static_cast<char>(executable - 'a' + 'A'))
                    : ((bits & 1u) != 0 ? 'x' : '-');
  }
  return text;
}

std::string PeopleLines(const juicefs::View& view) {
  std::string out;
  for (const auto& [path, entry] : view.entries) {
    out += fmt::format("{} {:>4} {:>5} {:>5} {:>12} {}", ModeText(entry.mode), entry.nlink, entry.uid, entry.gid, entry.size,
                       Printable(path));
    out += entry.target ? " -> " + Printable(*entry.target) + "\n" : "\n";
  }
  return out;
}

/// Lines of one volume. When several are shown, each object starts with the member `volume`.
std::string JsonLines(const Bytes& volume, const juicefs::View& view, bool several) {
  const std::string front =
      "{\"volume\": " + nlohmann::json(reports::Latin1(volume)).dump(-1, ' ', /*ensure_ascii=*/true) + ", ";
  std::string out;
  for (const auto& [path, entry] : view.entries) {
    const std::string line = juicefs::ViewEntryJson(path, entry);
    out += several ? front + line.substr(1) : line;
    out += '\n';
  }
  return out;
}

int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string KeyLines(const juicefs::KeyValues& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) {
    out += ToHex(key) + " " + ToHex(value) + "\n";
  }
  return out;
}

class ViewVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("view", "What a mount of the volumes behind an address shows");
    verb->add_option("ADDRESS", address_, kAddressHelp)->required();
    CLI::Option* json = verb->add_flag("--json", json_, "One JSON object an entry");
    verb->add_flag("--keys", keys_, "One line `hexkey hexvalue` a visible pair")->excludes(json);
    verb->add_flag("--summary", summary_, "In numbers: volumes, files, bytes, keys, the cut and its age, a backup's size")->excludes("--keys");
    verb->add_option("--below", below_, "With --summary: also counts this directory of the volume as juicefs info -r --strict does")
        ->needs("--summary")
        ->capture_default_str();
    verb->add_option("--rate", rate_, "With --summary: bytes a second, as br's --ratelimit; says how long a transfer takes (8MiB)")
        ->transform(CLI::AsSizeValue(false))
        ->needs("--summary");
    verb->add_flag("--contents", open_.walk.read_contents, "Of a mount: reads its files of up to 1 GiB, for their SHA-256 with --json");
    verb->add_option("--contents-below", open_.walk.contents_below, "With --contents: only of files below this folder of the mount");
    CLI::Option* mount = verb->add_option("--mount", mount_.folder, "Mounts the volume read-only at this empty folder, until Ctrl-C or fusermount3 -u");
    mount->excludes("--json")->excludes("--keys")->excludes("--summary");
    verb->add_option("--bucket", mount_.bucket,
                     "With --mount: where the contents of files are, a folder or s3://BUCKET/PREFIX?endpoint=URL; without it only names and attributes")
        ->needs(mount);
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    open_.terminal = terminal;
    if (!mount_.folder.empty()) {
      if (const Status mountable = tools::CheckMountable(mount_.folder); !mountable.ok()) {
        return Fail(terminal, mountable);
      }
    }
    Result<backup::OpenedSource> source = OpenSource(address_, open_);
    if (!source.ok()) {
      return Fail(terminal, source.error());
    }
    if (!mount_.folder.empty()) {
      return MountSource(*std::move(source), mount_, terminal);
    }
    return keys_ ? ShowKeys(*source, terminal) : ShowViews(*source, terminal);
  }

 private:
  ExitCode ShowKeys(const backup::OpenedSource& source, Terminal* terminal) {
    if (source.content == backup::OpenedSource::Content::kViews) {
      return Fail(terminal, Status::InvalidArgument(source.address.text + " shows entries and no keys; leave --keys out"));
    }
    if (const Status intact = CheckIntact(source); !intact.ok()) {
      return Fail(terminal, intact);
    }
    const bool one_volume = source.content == backup::OpenedSource::Content::kCluster && source.address.volume.has_value();
    const juicefs::KeyValues chosen = one_volume ? source.PairsOf(*source.address.volume) : source.pairs;
    if (chosen.empty()) {
      return Nothing(terminal, source, "holds no visible key");
    }
    return Write(source, KeyLines(chosen), terminal);
  }

  ExitCode ShowViews(const backup::OpenedSource& source, Terminal* terminal) {
    const Result<std::map<Bytes, juicefs::View>> shown = ViewsOf(source);
    if (!shown.ok()) {
      return Fail(terminal, shown.error());
    }
    const std::map<Bytes, juicefs::View>& views = *shown;
    if (views.empty()) {
      return Nothing(terminal, source, source.pairs.empty() ? "holds no visible key" : "holds keys, but no JuiceFS volume");
    }
    if (summary_) {
      const Result<SourceSummary> summary = SummarizeSource(source, views, below_, WallClockMs(), rate_);
      return summary.ok() ? Write(source, json_ ? SummaryJson(*summary) : SummaryText(*summary), terminal) : Fail(terminal, summary.error());
    }
    std::string text;
    for (const auto& [name, view] : views) {
      if (!json_ && views.size() > 1) {
        text += fmt::format("volume {}:\n", Printable(name));
      }
      text += json_ ? JsonLines(name, view, views.size() > 1) : PeopleLines(view);
      if (!view.problems.empty()) {
        Warn(terminal, fmt::format("volume {}: {} damaged entries; the first: {}: {}", Printable(name), view.problems.size(),
                                   Printable(view.problems.front().path), view.problems.front().text));
      }
    }
    return Write(source, text, terminal);
  }

  static ExitCode Nothing(Terminal* terminal, const backup::OpenedSource& source, const std::string& why) {
    *terminal->err << "kvjury: " << source.address.text << " " << why << ", so nothing can be shown\n" << std::flush;
    return ExitCode::kNothingChecked;
  }

  static ExitCode Write(const backup::OpenedSource& source, const std::string& text, Terminal* terminal) {
    for (const std::string& warning : source.warnings) {
      Warn(terminal, warning);
    }
    *terminal->out << text;
    const Status flushed = FlushOut(terminal);
    return flushed.ok() ? ExitCode::kSame : Fail(terminal, flushed);
  }

  std::string address_;
  bool json_ = false;
  bool keys_ = false;
  bool summary_ = false;
  uint64_t rate_ = 0;
  std::string below_ = "/";
  OpenOptions open_;
  ViewMountOptions mount_;
};

}  // namespace

std::unique_ptr<Verb> MakeViewVerb() { return std::make_unique<ViewVerb>(); }

}  // namespace kvjury::cli
