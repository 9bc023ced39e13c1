// ObjectCleaner: `juicefs gc --delete` at work on a bucket: it lists the slices that records name, and deletes every other block.
//
// Modelled: records are read page by page, each page at a timestamp of its own; chunks and replaced slices that wait for their deletion
// keep their blocks; a page that cannot be read ends the run before anything is deleted.
// Not modelled: the age that an object must have (1 h, so that what a client has uploaded and not committed stays): the caller lets no client
// work for an hour before; compaction, replaced slices whose time is over, what waits for deletion, detached trees (jobs of their own).
// Source: JuiceFS 1.4, `gc`; the defect juicefs#6479. Labels: LABEL/page#N/..., LABEL/list, LABEL/delete#N.
#pragma once

#include <functional>

#include "harness/client/kv.h"
#include "harness/juicefs/block_store.h"

namespace kvjury::juicefs {

struct CleanerOptions {
  Bytes volume_name;  // of the keys
  BlockLayout layout;
  uint32_t page_keys = 32;
  /// Called with the number of pages that were read.
  std::function<void(uint64_t)> after_page;
  /// Takes the pages up to an error for all. Only a planted bug asks for it.
  bool trusts_broken_listing = false;
};

struct CleanerReport {
  Status failure;  // ok: it went through
  uint64_t pages = 0;
  uint64_t slices = 0;
  uint64_t objects = 0;
  uint64_t deleted = 0;
};

/// The report is complete in every case. Suspends.
sim::Task<CleanerReport> DeleteLeakedObjects(client::Store* store, objects::WorldObjectStore bucket, CleanerOptions options, sim::Label label);

}  // namespace kvjury::juicefs
