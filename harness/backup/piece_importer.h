// PieceImporter: brings the files of one range into one region: both column families to all its peers, then in together.
//
// One try; whatever goes wrong is an error, and the caller looks at the regions again and repeats the whole piece, with new
// ids. Doing so twice is harmless. Site of the planted bug value-or-commit-family-missing.
// Source: import_sstpb of TiKV 8.5.
#pragma once

#include <optional>

#include "harness/backup/backup_meta.h"
#include "harness/backup/region_calls.h"
#include "proto/tikv/import_sstpb.pb.h"

namespace kvjury::backup {

class PieceImporter {
 public:
  /// `calls` must outlive the importer.
  explicit PieceImporter(RegionCalls* calls) : calls_(calls) {}

  /// `cursor` is the encoded key at which the piece begins, for labels. Errors: kUnavailable and those of the channel.
  /// Suspends.
  sim::Task<Status> Import(const RangeFiles& range, RegionRoute route, Bytes cursor);

 private:
  /// To every peer of the region. No value: none of the file's entries lies in the region.
  sim::Task<Result<std::optional<import_sstpb::SSTMeta>>> Download(const File& file, ColumnFamily family,
                                                                   RegionRoute route, Bytes cursor);
  void FillDownload(const File& file, ColumnFamily family, const RegionRoute& route, const Bytes& cursor,
                    import_sstpb::DownloadRequest* request);

  RegionCalls* calls_;
};

}  // namespace kvjury::backup
