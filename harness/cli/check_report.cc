#include "harness/cli/check_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/juicefs/image.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/view.h"
#include "reports/text.h"
#include "reports/units.h"

namespace kvjury::cli {

namespace {

using juicefs::IssueSeverity;
using juicefs::ObjectCheck;
using nlohmann::ordered_json;

std::string PathText(const std::optional<Bytes>& path) { return path.has_value() ? Printable(*path == "." ? Bytes("/") : "/" + *path) : ""; }

void SortViolationsFirst(std::vector<CheckFinding>* findings) {
  std::stable_sort(findings->begin(), findings->end(), [](const CheckFinding& a, const CheckFinding& b) {
    return a.issue.severity < b.issue.severity;
  });
}

bool ObjectsSound(const ObjectCheck& objects) { return objects.lost.empty() && objects.wrong_sizes.empty() && objects.future.empty(); }

std::string FindingLine(const CheckFinding& finding) {
  std::string line = fmt::format("  {}: {}: {}: {}", finding.issue.severity == IssueSeverity::kViolation ? "violation" : "hazard", finding.check,
                                 juicefs::DescribeKey(finding.issue.key), finding.issue.text);
  if (finding.path.has_value()) {
    line += "; path " + PathText(finding.path);
  }
  line += "; key " + ToHex(finding.issue.key);
  if (finding.commits > 0) {
    line += fmt::format("; first at {}, at {} commits up to {}", finding.first.value(), finding.commits, finding.last.value());
  }
  return line + "\n";
}

std::string ObjectsText(const ObjectCheck& objects, uint64_t limit) {
  std::string text = fmt::format("  fsck: found {} blocks ({} bytes), used by {} slices ({} bytes); {} blocks looked for; of {} files that wait for "
                                 "deletion {} slices skipped\n",
                                 objects.blocks_found, objects.block_bytes_found, objects.slices_used, objects.slice_bytes_used,
                                 objects.blocks_checked, objects.files_skipped, objects.slices_skipped);
  if (!objects.lost.empty()) {
    text += fmt::format("  fsck: {} objects are lost ({} bytes), {} broken files\n", objects.lost.size(), objects.bytes_lost, objects.broken_files);
  }
  uint64_t shown = 0;
  const auto add = [&text, &shown, limit](const std::string& line) {
    if (limit == 0 || shown++ < limit) {
      text += "  " + line + "\n";
    }
  };
  for (const juicefs::LostBlock& lost : objects.lost) {
    add(fmt::format("lost: {} of {} bytes, inode {}, {}", lost.object, lost.bytes, lost.inode.value(), Printable(lost.path)));
  }
  for (const ObjectCheck::WrongSize& wrong : objects.wrong_sizes) {
    add(fmt::format("wrong size: {} has {} bytes, its name says {}", Printable(wrong.object), wrong.bytes, wrong.expected_bytes));
  }
  for (const std::string& object : objects.future) {
    add(fmt::format("of the future: {}: its slice is not below nextChunk, the next writers overwrite it", Printable(object)));
  }
  if (!objects.leaked.empty()) {
    text += fmt::format("  {} objects of no slice, the first: {}\n", objects.leaked.size(), Printable(objects.leaked.front()));
  }
  return text;
}

std::string VolumeText(const CheckedVolume& volume, uint64_t limit) {
  std::string text = fmt::format("volume {}: {} pairs", volume.name.empty() ? "(without a name)" : Printable(volume.name), volume.pairs);
  text += volume.is_walk ? fmt::format(" at most; {} changes in {} commits, from {} to {}\n", volume.changes, volume.commits, volume.first.value(),
                                       volume.last.value())
                         : "\n";
  for (const auto& [check, counted] : volume.counted) {
    const auto count = [&volume, &check = check](IssueSeverity severity) {
      return std::count_if(volume.findings.begin(), volume.findings.end(), [&](const CheckFinding& finding) {
        return finding.check == check && finding.issue.severity == severity;
      });
    };
    text += fmt::format("  {:<22} {:>10} counted {:>6} violations {:>6} hazards\n", check, counted, count(IssueSeverity::kViolation),
                        count(IssueSeverity::kHazard));
  }
  uint64_t shown = 0;
  for (const CheckFinding& finding : volume.findings) {
    if (limit > 0 && shown++ == limit) {
      text += fmt::format("  ... and {} more (--limit 0 shows all)\n", volume.findings.size() - limit);
      break;
    }
    text += FindingLine(finding);
  }
  return text + (volume.objects.has_value() ? ObjectsText(*volume.objects, limit) : "");
}

ordered_json FindingJson(const CheckFinding& finding) {
  ordered_json row;
  row["severity"] = finding.issue.severity == IssueSeverity::kViolation ? "violation" : "hazard";
  row["check"] = finding.check;
  if (finding.path.has_value()) {
    row["path"] = reports::Latin1(*finding.path);
  }
  row["inode"] = std::to_string(finding.issue.inode.value());
  row["key"] = ToHex(finding.issue.key);
  row["record"] = reports::CleanUtf8(juicefs::DescribeKey(finding.issue.key));
  row["text"] = reports::CleanUtf8(finding.issue.text);
  if (finding.commits > 0) {
    row["first_commit"] = std::to_string(finding.first.value());
    row["last_commit"] = std::to_string(finding.last.value());
    row["commits"] = std::to_string(finding.commits);
  }
  return row;
}

ordered_json ObjectsJson(const ObjectCheck& objects) {
  ordered_json object = {{"blocks_found", std::to_string(objects.blocks_found)},
                         {"block_bytes_found", std::to_string(objects.block_bytes_found)},
                         {"slices_used", std::to_string(objects.slices_used)},
                         {"slice_bytes_used", std::to_string(objects.slice_bytes_used)},
                         {"blocks_checked", std::to_string(objects.blocks_checked)},
                         {"files_skipped", std::to_string(objects.files_skipped)},
                         {"slices_skipped", std::to_string(objects.slices_skipped)},
                         {"bytes_lost", std::to_string(objects.bytes_lost)},
                         {"broken_files", std::to_string(objects.broken_files)}};
  object["lost"] = ordered_json::array();
  for (const juicefs::LostBlock& lost : objects.lost) {
    object["lost"].push_back({{"object", lost.object},
                              {"bytes", std::to_string(lost.bytes)},
                              {"inode", std::to_string(lost.inode.value())},
                              {"path", reports::Latin1(lost.path)}});
  }
  object["wrong_sizes"] = ordered_json::array();
  for (const ObjectCheck::WrongSize& wrong : objects.wrong_sizes) {
    object["wrong_sizes"].push_back({{"object", reports::Latin1(wrong.object)},
                                     {"expected_bytes", std::to_string(wrong.expected_bytes)},
                                     {"bytes", std::to_string(wrong.bytes)}});
  }
  for (const auto& [name, list] : {std::pair("future", &objects.future), std::pair("leaked", &objects.leaked)}) {
    object[name] = ordered_json::array();
    for (const std::string& each : *list) {
      object[name].push_back(reports::Latin1(each));
    }
  }
  return object;
}

}  // namespace

uint64_t CheckedVolume::Count(IssueSeverity severity) const {
  return static_cast<uint64_t>(
      std::count_if(findings.begin(), findings.end(), [severity](const CheckFinding& f) { return f.issue.severity == severity; }));
}

bool CheckedVolume::sound() const {
  return Count(IssueSeverity::kViolation) == 0 && (!objects.has_value() || ObjectsSound(*objects));
}

ExitCode CheckReport::code() const {
  if (volumes.empty()) {
    return ExitCode::kNothingChecked;
  }
  const bool sound = std::all_of(volumes.begin(), volumes.end(), [](const CheckedVolume& volume) { return volume.sound(); });
  return sound ? ExitCode::kSame : ExitCode::kDifferent;
}

CheckedVolume CheckedNow(const Bytes& name, const juicefs::KeyValues& pairs, const juicefs::InvariantOptions& options) {
  CheckedVolume checked;
  checked.name = name;
  checked.pairs = pairs.size();
  const juicefs::VolumeImage image = juicefs::BuildImage(pairs);
  const Result<juicefs::View> view = juicefs::BuildView(image);
  for (const juicefs::InvariantResult& result : juicefs::CheckInvariants(image, options)) {
    checked.counted.emplace_back(result.name, result.counted);
    for (const juicefs::InvariantIssue& issue : result.issues) {
      const bool has_path = view.ok() && issue.inode.valid();
      checked.findings.push_back({result.name, issue, has_path ? view->PathOfInode(issue.inode) : std::nullopt, {}, {}, 0});
    }
  }
  SortViolationsFirst(&checked.findings);
  return checked;
}

CheckedVolume CheckedWalk(const Bytes& name, const juicefs::CommitWalk& walk) {
  CheckedVolume checked;
  checked.name = name;
  checked.pairs = walk.pairs_max;
  checked.counted = walk.counted;
  checked.is_walk = true;
  checked.commits = walk.commits;
  checked.changes = walk.changes;
  checked.first = walk.first;
  checked.last = walk.last;
  for (const std::vector<juicefs::BrokenInvariant>* list : {&walk.violations, &walk.hazards}) {
    for (const juicefs::BrokenInvariant& broken : *list) {
      checked.findings.push_back({broken.check, broken.issue, broken.path, broken.first, broken.last, broken.commits});
    }
  }
  return checked;
}

std::string CheckText(const CheckReport& report, uint64_t limit) {
  std::string text;
  uint64_t violations = 0;
  uint64_t hazards = 0;
  uint64_t subjects = 0;
  uint64_t commits = 0;
  uint64_t blocks = 0;
  for (const CheckedVolume& volume : report.volumes) {
    text += VolumeText(volume, limit);
    violations += volume.Count(IssueSeverity::kViolation);
    hazards += volume.Count(IssueSeverity::kHazard);
    commits += volume.commits;
    blocks += volume.objects.has_value() ? volume.objects->blocks_checked : 0;
    for (const auto& [check, counted] : volume.counted) {
      subjects += counted;
    }
  }
  text += fmt::format("{}: {} volumes, {} subjects, {} violations, {} hazards", report.code() == ExitCode::kSame ? "SOUND" : "DAMAGED",
                      report.volumes.size(), subjects, violations, hazards);
  text += commits > 0 ? fmt::format(", {} commits", commits) : "";
  text += blocks > 0 ? fmt::format(", {} blocks", blocks) : "";
  return text + "\n";
}

std::string CheckJson(const CheckReport& report) {
  ordered_json object;
  object["schema"] = 1;
  object["verdict"] = report.code() == ExitCode::kSame ? "SOUND" : "DAMAGED";
  object["exit_code"] = static_cast<int>(report.code());
  object["source"] = report.source;
  if (report.cut) {
    object["cut"] = std::to_string(report.cut->value());
  }
  object["volumes"] = ordered_json::array();
  for (const CheckedVolume& volume : report.volumes) {
    ordered_json row;
    row["name"] = reports::Latin1(volume.name);
    row["pairs"] = std::to_string(volume.pairs);
    if (volume.is_walk) {
      row["commits"] = std::to_string(volume.commits);
      row["changes"] = std::to_string(volume.changes);
      row["first_commit"] = std::to_string(volume.first.value());
      row["last_commit"] = std::to_string(volume.last.value());
    }
    row["violations"] = std::to_string(volume.Count(IssueSeverity::kViolation));
    row["hazards"] = std::to_string(volume.Count(IssueSeverity::kHazard));
    row["checks"] = ordered_json::object();
    for (const auto& [check, counted] : volume.counted) {
      row["checks"][check] = std::to_string(counted);
    }
    row["findings"] = ordered_json::array();
    for (const CheckFinding& finding : volume.findings) {
      row["findings"].push_back(FindingJson(finding));
    }
    if (volume.objects.has_value()) {
      row["objects"] = ObjectsJson(*volume.objects);
    }
    object["volumes"].push_back(std::move(row));
  }
  return object.dump(2, ' ', /*ensure_ascii=*/true) + "\n";
}

}  // namespace kvjury::cli
