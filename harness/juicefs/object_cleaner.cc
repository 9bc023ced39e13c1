#include "harness/juicefs/object_cleaner.h"

#include "harness/juicefs/volumes.h"

namespace kvjury::juicefs {

namespace {

constexpr char kInodeFamily[] = "A";
constexpr char kDelayedFamily[] = "L";

// Reads all keys that begin with the volume's prefix and `family`, in pages.
sim::Task<Status> ReadFamily(client::Store* store, const CleanerOptions* options, Bytes family, const sim::Label* label, CleanerReport* report,
                             KeyValues* records) {
  const Bytes prefix = VolumePrefix(options->volume_name);
  const Bytes end = PrefixEnd(prefix + family);
  Bytes start = prefix + family;
  for (;;) {
    const sim::Label page = label->Numbered("page", report->pages + 1);
    auto ask = store->CurrentTimestamp(page / "timestamp");
    CO_ASSIGN_OR_RETURN(const Timestamp ts, co_await std::move(ask));
    const std::unique_ptr<client::Transaction> reader = store->BeginAt(ts, page);
    auto scan = reader->Scan(start, end, options->page_keys);
    CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> pairs, co_await std::move(scan));
    for (const auto& [key, value] : pairs) {
      (*records)[key.substr(prefix.size())] = value;
    }
    ++report->pages;
    if (options->after_page) {
      options->after_page(report->pages);
    }
    if (pairs.size() < options->page_keys) {
      co_return Status::Ok();
    }
    start = pairs.back().first + '\0';
  }
}

}  // namespace

sim::Task<CleanerReport> DeleteLeakedObjects(client::Store* store, objects::WorldObjectStore bucket, CleanerOptions options, sim::Label label) {
  CleanerReport report;
  KeyValues records;
  for (const char* family : {kInodeFamily, kDelayedFamily}) {
    auto read = ReadFamily(store, &options, family, &label, &report, &records);
    const Status status = co_await std::move(read);
    if (!status.ok() && !options.trusts_broken_listing) {
      report.failure = status.WithContext("the slices cannot be listed, nothing was deleted");
      co_return report;
    }
  }
  const std::set<SliceName> slices = SlicesOf(BuildImage(records));
  report.slices = slices.size();
  std::set<std::string> needed;
  for (const SliceName& slice : slices) {
    for (SliceBlock& block : BlocksOfSlice(options.layout, slice.id, slice.size)) {
      needed.insert(std::move(block.name));
    }
  }
  auto list = bucket.List(label / "list", options.layout.volume_name + "/chunks/");
  const Result<std::vector<objects::ObjectInfo>> objects = co_await std::move(list);
  if (!objects.ok()) {
    report.failure = objects.status().WithContext("the bucket cannot be listed, nothing was deleted");
    co_return report;
  }
  for (const objects::ObjectInfo& object : *objects) {
    ++report.objects;
    if (needed.count(object.name) > 0 || !SliceOfBlock(options.layout, object.name).has_value()) {
      continue;
    }
    auto remove = bucket.Delete(label.Numbered("delete", report.deleted + 1), object.name);
    const Status removed = co_await std::move(remove);
    if (!removed.ok()) {
      report.failure = removed;
      co_return report;
    }
    ++report.deleted;
  }
  co_return report;
}

}  // namespace kvjury::juicefs
