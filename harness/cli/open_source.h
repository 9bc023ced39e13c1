// Opens any address that holds a volume: files as harness/backup does, a running cluster over its ports, a mount through the kernel.
#pragma once

#include <map>
#include <string>

#include "harness/backup/address.h"
#include "harness/cli/verb.h"
#include "harness/remote/read_cluster.h"
#include "harness/tools/mount_walk.h"

namespace kvjury::cli {

/// What the help says of an address.
inline constexpr char kAddressHelp[] =
    "kv:///keys.txt[.gz], dump:///m.json[.gz], dump-bin:///m.bin[.gz], br:///dir, br+s3://bucket/prefix; #NAME means one volume; "
    "tikv://PD/VOLUME[@TS]; mount:///mnt; view:///v.jsonl[.gz]";

struct OpenOptions {
  /// Of a JSON dump, the records that juicefs load makes of it instead of a view.
  bool records = false;
  /// How a mount is read.
  tools::WalkOptions walk;
  /// Where progress is shown; null: nowhere.
  Terminal* terminal = nullptr;
};

/// Errors: as backup::OpenAddress, remote::ReadCluster and tools::WalkMount.
Result<backup::OpenedSource> OpenSource(const std::string& text, const OpenOptions& options = {});

/// What the tikv:// address means: the whole cluster or one volume, with full keys. Errors: as remote::ReadCluster, naming the address.
Result<remote::ReadResult> ReadRunningCluster(const backup::Address& address, bool with_timestamps);

/// Errors: kDataLoss for a damaged backup, of which nothing is shown: it would look like the truth.
Status CheckIntact(const backup::OpenedSource& source);

/// What a mount shows of each volume in it, by name, computed from its records where there are any. Errors: as CheckIntact and
/// juicefs::BuildView.
Result<std::map<Bytes, juicefs::View>> ViewsOf(const backup::OpenedSource& source);

}  // namespace kvjury::cli
