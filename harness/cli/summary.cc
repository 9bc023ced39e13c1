#include "harness/cli/summary.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reports/text.h"
#include "reports/units.h"

namespace kvjury::cli {

namespace {

using reports::Duration;
using reports::Size;
using reports::Utc;

constexpr int64_t kMsPerSecond = 1'000;

int64_t AgeSeconds(const SourceSummary& summary) { return (summary.now_ms - summary.cut->physical_ms()) / kMsPerSecond; }

/// What a transfer moves: a backup's files, or the records that one would be made of.
uint64_t TransferBytes(const SourceSummary& summary) { return summary.is_backup ? summary.backup_bytes : summary.record_bytes; }

int64_t TransferSeconds(const SourceSummary& summary) {
  return static_cast<int64_t>((TransferBytes(summary) + summary.rate - 1) / summary.rate);
}

/// "/a/b" as the view has it: "a/b"; "/" is ".".
Result<Bytes> PathInView(const std::string& below) {
  if (!below.starts_with("/")) {
    return Status::InvalidArgument("\"" + Printable(below) + "\": expected a path that begins with '/', the root of the volume");
  }
  const size_t begin = below.find_first_not_of('/');
  const size_t end = below.find_last_not_of('/');
  return begin == std::string::npos ? Bytes(".") : below.substr(begin, end - begin + 1);
}

double Ratio(const SourceSummary& summary) {
  return static_cast<double>(summary.backup_bytes) / static_cast<double>(summary.record_bytes);
}

}  // namespace

Result<SourceSummary> SummarizeSource(const backup::OpenedSource& source, const std::map<Bytes, juicefs::View>& views, const std::string& below,
                                      int64_t now_ms, uint64_t rate) {
  ASSIGN_OR_RETURN(const Bytes path, PathInView(below));
  SourceSummary summary;
  summary.address = source.address.text;
  summary.below = path;
  for (const auto& [name, view] : views) {
    summary.volumes.emplace(name, juicefs::Summarize(view));
    if (const Result<juicefs::TreeSummary> tree = juicefs::SummarizeTree(view, path); tree.ok()) {
      summary.trees.emplace(name, *tree);
    }
  }
  if (summary.trees.empty() && path != ".") {
    return Status::NotFound(source.address.text + " shows no \"" + Printable(path) + "\"");
  }
  summary.has_records = source.content != backup::OpenedSource::Content::kViews;
  for (const auto& [key, value] : source.pairs) {
    ++summary.keys;
    summary.record_bytes += key.size() + value.size();
  }
  summary.cut = source.cut;
  summary.now_ms = now_ms;
  if (source.backup) {
    summary.is_backup = true;
    summary.backup_files = source.backup->files_read;
    summary.backup_bytes = source.backup->bytes_read;
  }
  summary.rate = rate;
  return summary;
}

std::string SummaryText(const SourceSummary& summary) {
  std::string text;
  for (const auto& [name, volume] : summary.volumes) {
    text += fmt::format("volume {}: {} files of {}, {} directories, {} symbolic links, {} others; in the trash {} entries of {}; last change {}\n",
                        name.empty() ? "(without a name)" : Printable(name), volume.files, Size(volume.bytes), volume.directories,
                        volume.symlinks, volume.others, volume.in_trash, Size(volume.bytes_in_trash),
                        Utc(volume.latest_ctime_ns / 1'000'000));
    if (const auto tree = summary.trees.find(name); tree != summary.trees.end()) {
      text += fmt::format("  {} as juicefs info counts: {} files, {} dirs, length {} bytes, size {} bytes\n",
                          summary.below == "." ? "/" : "/" + Printable(summary.below), tree->second.files, tree->second.directories,
                          tree->second.length, tree->second.size);
    }
    if (volume.damaged > 0) {
      text += fmt::format("  {} damaged entries\n", volume.damaged);
    }
  }
  if (summary.has_records) {
    text += fmt::format("records: {} keys, {} of keys and values\n", summary.keys, Size(summary.record_bytes));
  }
  if (summary.cut) {
    text += fmt::format("cut: {} ({})", summary.cut->value(), Utc(summary.cut->physical_ms()));
    const int64_t age_s = AgeSeconds(summary);
    text += age_s >= 0 ? fmt::format(", {} old\n", Duration(age_s * kMsPerSecond)) : fmt::format(", {} in the future\n", Duration(-age_s * kMsPerSecond));
  }
  if (summary.is_backup) {
    text += fmt::format("backup: {} files, {}", summary.backup_files, Size(summary.backup_bytes));
    text += summary.record_bytes > 0 ? fmt::format(", {:.2f} of its keys and values\n", Ratio(summary)) : "\n";
  }
  if (summary.rate > 0 && (summary.has_records || summary.is_backup)) {
    text += fmt::format("at {} a second, {} take about {}\n", Size(summary.rate), Size(TransferBytes(summary)),
                        Duration(TransferSeconds(summary) * kMsPerSecond));
  }
  return text;
}

std::string SummaryJson(const SourceSummary& summary) {
  nlohmann::ordered_json object;
  object["schema"] = 1;
  object["address"] = summary.address;
  object["volumes"] = nlohmann::ordered_json::array();
  for (const auto& [name, volume] : summary.volumes) {
    object["volumes"].push_back({{"name", reports::Latin1(name)},
                                 {"files", std::to_string(volume.files)},
                                 {"bytes", std::to_string(volume.bytes)},
                                 {"directories", std::to_string(volume.directories)},
                                 {"symlinks", std::to_string(volume.symlinks)},
                                 {"others", std::to_string(volume.others)},
                                 {"entries_in_trash", std::to_string(volume.in_trash)},
                                 {"bytes_in_trash", std::to_string(volume.bytes_in_trash)},
                                 {"latest_ctime_ns", std::to_string(volume.latest_ctime_ns)},
                                 {"damaged_entries", std::to_string(volume.damaged)}});
    if (const auto tree = summary.trees.find(name); tree != summary.trees.end()) {
      object["volumes"].back()["tree"] = {{"files", std::to_string(tree->second.files)},
                                          {"directories", std::to_string(tree->second.directories)},
                                          {"length", std::to_string(tree->second.length)},
                                          {"size", std::to_string(tree->second.size)}};
    }
  }
  if (summary.has_records) {
    object["keys"] = std::to_string(summary.keys);
    object["record_bytes"] = std::to_string(summary.record_bytes);
  }
  if (summary.cut) {
    object["cut"] = {{"timestamp", std::to_string(summary.cut->value())},
                     {"time", Utc(summary.cut->physical_ms())},
                     {"age_s", std::to_string(AgeSeconds(summary))}};
  }
  if (summary.is_backup) {
    object["backup"] = {{"files", std::to_string(summary.backup_files)}, {"bytes", std::to_string(summary.backup_bytes)}};
    if (summary.record_bytes > 0) {
      object["backup"]["ratio"] = Ratio(summary);
    }
  }
  if (summary.rate > 0 && (summary.has_records || summary.is_backup)) {
    object["transfer"] = {{"bytes", std::to_string(TransferBytes(summary))},
                          {"rate_bytes_per_s", std::to_string(summary.rate)},
                          {"seconds", std::to_string(TransferSeconds(summary))}};
  }
  return object.dump(2, ' ', /*ensure_ascii=*/true) + "\n";
}

}  // namespace kvjury::cli
