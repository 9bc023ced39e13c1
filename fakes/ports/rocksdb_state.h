// RocksDbState: a cluster's state in a folder, so that `serve` goes on where it ended, or was killed.
//
// The folder holds a file KVJURY (what this is, its format; locked while in use) and a RocksDB under db/ with one column
// family for each of TiKV's three and one for the records about the cluster. Data keys carry TiKV's 'z' in front.
// Promised: what Write has returned for survives the end of the process however it ends (kill -9 included), all or nothing
// for each call: RocksDB's log is handed to the operating system before. With `sync` also the loss of power, at the price of
// an fsync a write. A torn end of the log is cut off; damage anywhere else stops the start, it is never skipped.
// Not promised without `sync`: anything about a machine that crashes. Not modelled: one engine a store, Raft logs.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "fakes/base/status.h"
#include "fakes/tikv/durable.h"

namespace kvjury::ports {

class RocksDbState : public tikv::DurableState {
 public:
  struct Options {
    /// Each write reaches the disk before it returns.
    bool sync = false;
    /// Told what went wrong with a write or a load, once; must not return. Null: a failed CHECK.
    std::function<void(const Status&)> on_failure;
  };

  /// Opens the folder, or makes it: one that does not exist or is empty. Errors: kEnvironment, in one sentence, for a folder
  /// that is in use, of another format, holds something else, or cannot be read; nothing was changed there then.
  static Result<std::unique_ptr<RocksDbState>> Open(const std::string& folder, Options options);
  ~RocksDbState() override;

  [[nodiscard]] std::map<Bytes, Bytes> LoadMeta() override;
  void LoadData(const std::function<void(tikv::ColumnFamily cf, std::string_view key, std::string_view value)>& visit) override;
  void Write(const tikv::WriteBatch& data, const std::vector<tikv::MetaChange>& meta) override;

 private:
  struct Database;
  RocksDbState(std::unique_ptr<Database> database, Options options);
  [[noreturn]] void Fail(const Status& status) const;

  std::unique_ptr<Database> database_;
  Options options_;
};

}  // namespace kvjury::ports
