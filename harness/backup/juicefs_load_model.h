// Model of `juicefs load` as a client of a cluster: which transactions put a dump's records there.
//
// No load is atomic: many transactions in no order that means anything, of at most 10,000 (JSON) or 10,240 (binary) pairs or 5 MiB, several at once; whoever
// looks meanwhile, or finds what a crash left, sees a part of a volume, perhaps with its setting. JSON: the tree's and head's pairs go to ten
// writers; ACL rules, the links of all inodes with several names, and each quota follow by transactions of their own. A write that fails ends it.
// Binary: pairs are sorted in groups and written group by group; an error of the last group is logged by the real program, which then
// reports success if it can read the setting. This model does so, too, and counts these errors in its report.
// NOT modelled: that chance deals the pairs of JSON to the writers (here in turn); what was written before a dump turned out to be damaged (here
// nothing); records that loads add to a change log.
// Source: JuiceFS 1.4, load (KV engine on TiKV).
#pragma once

#include "harness/client/kv.h"
#include "harness/juicefs/load_target.h"

namespace kvjury::backup {

struct JuicefsLoadOptions {
  Bytes volume_name;
  bool binary = false;
  uint32_t writers = 10;
  sim::PlantedBugs* bugs = nullptr;  // may be null
};

struct JuicefsLoadReport {
  uint64_t entries = 0;
  uint64_t pairs = 0;
  uint64_t transactions = 0;
  /// Of a binary load: errors that the program logs and does not report.
  uint64_t errors_passed_over = 0;
};

/// `dump` is decompressed. Errors: kAlreadyExists (the volume is formatted, or keys of it are there), kDataLoss (the dump), kNotFound (after a
/// binary load that passed errors over there is no setting), those of the store. Suspends.
sim::Task<Result<JuicefsLoadReport>> RunJuicefsLoad(client::Store* store, sim::Label label, JuicefsLoadOptions options, Bytes dump);

}  // namespace kvjury::backup
