// Addresses of things that hold a volume, and opening those that are files.
//
//   kv:///keys.txt[.gz|.zst]     `hexkey hexvalue` lines, with or without volume prefixes
//   dump:///m.json[.gz|.zst]     juicefs dump in JSON: a view, no pairs
//   dump-bin:///m.bin[.gz|.zst]  juicefs dump --binary: the records of one volume
//   br:///dir                    a br backup folder; of an encrypted one with its key behind the path, as br takes it:
//                                ?crypter.method=aes128-ctr&crypter.key=HEX, or &crypter.key-file=PATH (a file with the hex)
//   br+s3://bucket/prefix        the same in a bucket of S3; behind '?' as br takes it: endpoint, region, access-key, secret-access-key,
//                                session-token, force-path-style, and the keys of an encrypted one. Parsed here, read with a store
//                                that a layer with sockets gives
//   tikv://pd1:2379,pd2:2379/vol[@TS][?ca=PATH&cert=PATH&key=PATH]
//                                one volume of a running cluster, JuiceFS's own form, at a timestamp of PD; without a volume
//                                the whole cluster. Parsed here, read by harness/remote
//   mount:///mnt/jfs             a mounted volume, read through the kernel. Parsed here, read by harness/tools
//   view:///v.jsonl[.gz|.zst]    what `view --json` of one volume wrote, or a recorded walk of a mount: a view, no pairs
// A path may be relative: kv://keys.txt. `#vol` behind an address names one volume of those it holds; without it all are
// meant. A '#' that belongs to the path is written %23, a '%' as %25, and behind br:// a '?' as %3F. Messages do not show keys.
// Another scheme (sim) is named by its error.
// Read-only: nothing is written, created or locked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/backup/backup_reader.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/volumes.h"
#include "proto/tikv/backup.pb.h"

namespace kvjury::backup {

enum class Scheme { kKv, kDump, kDumpBinary, kBr, kBrS3, kTikv, kMount, kView };

struct Address {
  Scheme scheme = Scheme::kKv;
  std::string path;
  std::optional<Bytes> volume;
  Cipher cipher;
  /// Of br+s3://.
  ::backup::S3 s3;
  /// Of tikv://: host:port of PD's members; the timestamp, if one was given; PEM files, empty for a cluster without TLS.
  std::vector<std::string> members;
  std::optional<Timestamp> cut;
  std::string ca;
  std::string certificate;
  std::string key;
  /// As it was given, without what stands behind '?'.
  std::string text;
};

/// Errors: kInvalidArgument saying what was expected; kUnsupported for a scheme that is known and not a file.
Result<Address> ParseAddress(std::string_view text);

struct OpenedSource {
  enum class Content {
    kCluster,  // `pairs` have full keys of a whole cluster
    kVolume,   // `pairs` are one volume's, without prefix
    kViews,    // no pairs: `views` only
  };

  Address address;
  Content content = Content::kCluster;
  juicefs::KeyValues pairs;
  /// The volumes that it holds (or the one that was asked for), by name; a volume without a prefix has the empty name.
  std::vector<Bytes> volume_names;
  /// Of a JSON dump: the view of its one volume, under the volume's own name from its settings. Of a mount and a written view: the view
  /// under the empty name.
  std::map<Bytes, juicefs::View> views;
  /// Of a JSON dump: what its view was computed from.
  std::optional<juicefs::VolumeImage> image;
  /// Where the source says it: the timestamp at which the pairs were visible.
  std::optional<Timestamp> cut;
  /// Of a backup: the verified contents, without the pairs.
  std::optional<BackupContents> backup;
  /// What a reader should know before believing it: gaps, hazards, losses of a dump, keys of no volume.
  std::vector<std::string> warnings;

  /// The pairs of one volume without prefix. `name` must be one of volume_names; content must not be kViews.
  [[nodiscard]] juicefs::KeyValues PairsOf(const Bytes& name) const;
};

/// Finds the volumes among pairs with full keys that were read from `address`, and keeps the one that was asked for. Errors:
/// kNotFound (no such volume).
Result<OpenedSource> SourceFromPairs(const Address& address, juicefs::KeyValues pairs);

/// A source that shows one volume whose name it does not know. Errors: kNotFound (a volume was asked for by its name).
Result<OpenedSource> SourceFromView(const Address& address, juicefs::View view);

/// A backup in any object store, as that of a br:// address. Errors: as OpenAddress.
Result<OpenedSource> OpenBackup(const Address& address, objects::ObjectStore* store);

/// Not for br+s3://, tikv:// and mount://, whose error is kUnsupported. Errors: kInvalidArgument, kNotFound (no such file or volume), kDataLoss, kUnsupported, kEnvironment; each names the
/// address, and the line or offset where there is one. Damage inside a readable backup is no error: see backup->findings.
Result<OpenedSource> OpenAddress(const Address& address);
Result<OpenedSource> OpenAddress(std::string_view text);

}  // namespace kvjury::backup
