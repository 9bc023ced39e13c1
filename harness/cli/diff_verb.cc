// kvjury diff A B: do two addresses show the same volume? Entry by entry and field by field, in both directions.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "harness/cli/open_source.h"
#include "harness/cli/verb.h"
#include "harness/juicefs/view_diff.h"
#include "reports/text.h"

namespace kvjury::cli {
namespace {

constexpr uint64_t kShownMax = 100;

/// One volume of one side.
struct Side {
  Bytes volume;
  const juicefs::View* view = nullptr;
};

struct Pair {
  std::optional<Side> left;
  std::optional<Side> right;
};

/// By name; where each side has one volume these two, whatever they are called: a mount does not tell, a restore may rename.
std::vector<Pair> PairUp(const std::map<Bytes, juicefs::View>& left, const std::map<Bytes, juicefs::View>& right) {
  const auto side = [](const auto& entry) { return Side{entry.first, &entry.second}; };
  std::vector<Pair> pairs;
  if (left.size() == 1 && right.size() == 1) {
    pairs.push_back({side(*left.begin()), side(*right.begin())});
    return pairs;
  }
  for (const auto& entry : left) {
    const auto other = right.find(entry.first);
    pairs.push_back({side(entry), other == right.end() ? std::optional<Side>() : side(*other)});
  }
  for (const auto& entry : right) {
    if (!left.contains(entry.first)) {
      pairs.push_back({std::nullopt, side(entry)});
    }
  }
  return pairs;
}

class DiffVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("diff", "Do two addresses show the same volume? Entry by entry, both ways");
    verb->add_option("A", addresses_[0], kAddressHelp)->required();
    verb->add_option("B", addresses_[1], "The same forms")->required();
    verb->add_flag("--json", json_, "One JSON object on stdout, with every difference");
    verb->add_flag("--contents", open_.walk.read_contents, "Of mounts: reads the files and compares their bytes, where both sides are mounts");
    verb->add_option("--contents-below", open_.walk.contents_below, "With --contents: only of files below this folder of the mount");
    verb->add_option("--contents-max", open_.walk.content_bytes_max, "Files of more bytes are not read")->transform(CLI::AsSizeValue(false))->capture_default_str();
    verb->add_flag("--ignore-times", ignore_times_, "Leaves times of access, modification and change out");
    verb->add_option("--limit", limit_, "Differences in words at most; 0: all")->capture_default_str();
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    std::vector<backup::OpenedSource> sources;
    std::vector<std::map<Bytes, juicefs::View>> views;
    for (const std::string& address : addresses_) {
      open_.terminal = terminal;
      Result<backup::OpenedSource> source = OpenSource(address, open_);
      if (!source.ok()) {
        return Fail(terminal, source.error());
      }
      Result<std::map<Bytes, juicefs::View>> shown = ViewsOf(*source);
      if (!shown.ok()) {
        return Fail(terminal, shown.error());
      }
      if (shown->empty()) {
        *terminal->err << "kvjury: " << source->address.text << " holds no JuiceFS volume, so nothing can be compared\n" << std::flush;
        return ExitCode::kNothingChecked;
      }
      sources.push_back(*std::move(source));
      views.push_back(*std::move(shown));
    }
    for (const backup::OpenedSource& source : sources) {
      for (const std::string& warning : source.warnings) {
        Warn(terminal, source.address.text + ": " + warning);
      }
    }
    const std::vector<Pair> pairs = PairUp(views[0], views[1]);
    for (const Pair& pair : pairs) {
      Compare(pair, pairs.size() > 1);
    }
    return json_ ? SayJson(sources, terminal) : SayWords(terminal);
  }

 private:
  void Compare(const Pair& pair, bool several) {
    const Bytes& name = pair.left ? pair.left->volume : pair.right->volume;
    if (!pair.left || !pair.right) {
      juicefs::ViewDifference whole;
      whole.field = "volume";
      whole.left = pair.left ? "\"" + Printable(name) + "\"" : "absent";
      whole.right = pair.right ? "\"" + Printable(name) + "\"" : "absent";
      found_.push_back({several ? name : Bytes(), std::move(whole)});
      return;
    }
    juicefs::ViewDiffOptions options;
    options.compare_times = !ignore_times_;
    const juicefs::ViewDiff diff = juicefs::DiffViews(*pair.left->view, *pair.right->view, options);
    entries_ += diff.entries_compared;
    fields_ += diff.fields_compared;
    files_ += diff.files_compared;
    contents_compared_ += diff.contents_compared;
    only_left_ += diff.entries_only_left;
    only_right_ += diff.entries_only_right;
    damaged_ += pair.left->view->problems.size() + pair.right->view->problems.size();
    for (const juicefs::ViewDifference& difference : diff.differences) {
      found_.push_back({several ? name : Bytes(), difference});
    }
  }

  [[nodiscard]] ExitCode Code() const {
    return !found_.empty() ? ExitCode::kDifferent : entries_ == 0 ? ExitCode::kNothingChecked : ExitCode::kSame;
  }
  [[nodiscard]] std::string Word() const { return found_.empty() ? "SAME" : "DIFFERENT"; }
  [[nodiscard]] std::string ContentWords() const {
    return fmt::format("contents of {} of {} files compared", contents_compared_, files_);
  }

  // `-` only in A, `+` only in B, `~` another value.
  static std::string Line(const juicefs::ViewDifference& difference) {
    const std::string what = difference.field == "volume" ? "volume" : Printable(difference.path);
    if (difference.field == "entry" || difference.field == "volume") {
      const bool only_left = difference.right == "absent";
      return fmt::format("{} {} ({})", only_left ? '-' : '+', what, only_left ? difference.left : difference.right);
    }
    return fmt::format("~ {}: {}: {} against {}", what, difference.field, difference.left, difference.right);
  }

  ExitCode SayWords(Terminal* terminal) {
    uint64_t shown = 0;
    for (const auto& [volume, difference] : found_) {
      if (limit_ > 0 && shown++ == limit_) {
        *terminal->err << fmt::format("... and {} more (--limit 0 shows all)\n", found_.size() - limit_);
        break;
      }
      *terminal->err << (volume.empty() ? "" : Printable(volume) + ": ") << Line(difference) << "\n";
    }
    if (damaged_ > 0) {
      Warn(terminal, fmt::format("{} damaged entries; kvjury view tells of them", damaged_));
    }
    *terminal->err << fmt::format("{}: {} entries, {} fields, {} differences ({} entries only in A, {} only in B); {}\n", Word(), entries_,
                                  fields_, found_.size(), only_left_, only_right_, ContentWords())
                   << std::flush;
    return Code();
  }

  ExitCode SayJson(const std::vector<backup::OpenedSource>& sources, Terminal* terminal) {
    nlohmann::ordered_json object;
    object["schema"] = 1;
    object["verdict"] = Word();
    object["exit_code"] = static_cast<int>(Code());
    for (size_t i = 0; i < sources.size(); ++i) {
      nlohmann::ordered_json side;
      side["address"] = sources[i].address.text;
      if (sources[i].cut) {
        side["cut"] = std::to_string(sources[i].cut->value());
      }
      object[i == 0 ? "left" : "right"] = side;
    }
    object["scope"] = {{"entries_compared", std::to_string(entries_)},
                       {"fields_compared", std::to_string(fields_)},
                       {"files_compared", std::to_string(files_)},
                       {"contents_compared", std::to_string(contents_compared_)},
                       {"entries_only_left", std::to_string(only_left_)},
                       {"entries_only_right", std::to_string(only_right_)},
                       {"damaged_entries", std::to_string(damaged_)}};
    object["differences"] = nlohmann::ordered_json::array();
    for (const auto& [volume, difference] : found_) {
      nlohmann::ordered_json row;
      if (!volume.empty()) {
        row["volume"] = reports::Latin1(volume);
      }
      row["path"] = reports::Latin1(difference.path);
      row["inode"] = std::to_string(difference.inode.value());
      row["field"] = difference.field;
      row["left"] = difference.left;
      row["right"] = difference.right;
      object["differences"].push_back(row);
    }
    *terminal->out << object.dump(2, ' ', /*ensure_ascii=*/true) << "\n";
    const Status flushed = FlushOut(terminal);
    return flushed.ok() ? Code() : Fail(terminal, flushed);
  }

  std::string addresses_[2];
  OpenOptions open_;
  bool json_ = false;
  bool ignore_times_ = false;
  uint64_t limit_ = kShownMax;
  uint64_t entries_ = 0;
  uint64_t fields_ = 0;
  uint64_t files_ = 0;
  uint64_t contents_compared_ = 0;
  uint64_t only_left_ = 0;
  uint64_t only_right_ = 0;
  uint64_t damaged_ = 0;
  std::vector<std::pair<Bytes, juicefs::ViewDifference>> found_;  // volume (empty: the only one) and difference
};

}  // namespace

std::unique_ptr<Verb> MakeDiffVerb() { return std::make_unique<DiffVerb>(); }

}  // namespace kvjury::cli
