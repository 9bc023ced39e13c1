// Model of `juicefs dump` as a client of a cluster: which keys it reads, in how many transactions, in which order and how many at once.
//
// A plain dump is no snapshot: deleted files, each inode, each directory, counters, sustained files and quotas come from transactions of their own, so
// that writers that go on tear it as they tear the real one. --fast reads the tree at one timestamp and the rest at others; --binary reads
// everything at one timestamp, except the setting. The bytes are those of harness/juicefs/write_dump.h; only what chance decides there differs.
//
//   walk     setting; (change log); deleted files; root and trash; counters; sustained; quotas; then the tree: `threads` readers take a
//            directory's entries in turn and run ahead of the text by one entry each; a directory's names are read with it, those of more
//            than 10,000 entries once more when its turn comes
//   fast     setting; (change log); deleted files; ACL rules; all keys in one scan; counters; sustained; quotas
//   binary   setting; a timestamp; counters; `threads` scans over the tree, whose records are written as they arrive; the rest
//
// Not modelled: progress bars, a scan that begins anew at another timestamp because GC was faster, retries of a dump by its user.
// Source: JuiceFS 1.4, dump (KV engine on TiKV).
#pragma once

#include "harness/client/kv.h"
#include "harness/juicefs/write_dump.h"

namespace kvjury::backup {

struct JuicefsDumpOptions {
  Bytes volume_name;
  bool binary = false;
  juicefs::DumpOptions dump;
  uint32_t threads = 10;  // at least 1
};

struct JuicefsDumpReport {
  juicefs::DumpReport dump;
  uint64_t transactions = 0;  // with a timestamp of their own; in a binary dump, at the one that it took
  Timestamp first_ts;
  Timestamp last_ts;
};

/// Writes the dump to `to`, which is not finished and must, as `store`, outlive the task. Labels begin with `label` and name inodes and kinds of
/// records. Errors: kNotFound (no setting: the volume is not formatted), those of WriteDumpJson, of the store and of the sink. Suspends.
sim::Task<Result<JuicefsDumpReport>> RunJuicefsDump(client::Store* store, sim::Label label, JuicefsDumpOptions options, ByteSink* to);

}  // namespace kvjury::backup
