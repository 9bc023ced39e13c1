// RocksDbState: a cluster's state in a folder, so that `serve` goes on where it ended, or was killed.
//
// The folder holds a file KVJURY (what this is, its format; locked while in use) and a RocksDB under db/ with one column
// family for each of TiKV's three and one for the records about the cluster. Data keys carry TiKV's 'z' in front.
// A thread of its own writes what has come together meanwhile as one batch with one fsync; Write only hands over, so that the
// world never waits for a disk. Whoever acknowledges a change asks WhenKept first.
// Promised: what is kept survives the end of the process however it ends (kill -9 included) and, unless `sync` is off, the loss
// of power; all or nothing for each call, in their order. A torn end of the log is cut off; damage anywhere else stops the
// start, it is never skipped.
// Not modelled: one engine a store, Raft logs. Threads: any may call.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "fakes/base/status.h"
#include "fakes/tikv/durable.h"

namespace kvjury::ports {

class RocksDbState : public tikv::DurableState {
 public:
  struct Options {
    /// What is kept is on the disk, not only handed to the operating system.
    bool sync = true;
    /// The folder must hold a state, nobody may write there meanwhile, and nothing in it is changed. Write is not for it.
    bool read_only = false;
    /// Told what went wrong with a write, once, from the writer's thread. Nothing is kept from then on. Null: a failed CHECK.
    std::function<void(const Status&)> on_failure;
  };

  /// Opens the folder, or makes it: one that does not exist or is empty. Errors: kEnvironment, in one sentence, for a folder
  /// that is in use, holds something else (`read_only`: or nothing), or cannot be read; kUnsupported for another format; nothing was
  /// changed there then.
  static Result<std::unique_ptr<RocksDbState>> Open(const std::string& folder, Options options);
  RocksDbState(const RocksDbState&) = delete;
  RocksDbState& operator=(const RocksDbState&) = delete;
  /// Keeps what was written, then closes.
  ~RocksDbState() override;

  /// Both wait until what was written before is kept.
  [[nodiscard]] Result<std::map<Bytes, Bytes>> LoadMeta() override;
  Status LoadData(const std::function<void(tikv::ColumnFamily cf, std::string_view key, std::string_view value)>& visit) override;
  /// Waits only while the disk is far behind.
  void Write(const tikv::WriteBatch& data, const std::vector<tikv::MetaChange>& meta) override;

  /// True if everything written so far is kept; else `done` is called once it is, from the writer's thread, unless a write fails.
  /// With `only_meta` changes of data alone do not count.
  bool WhenKept(bool only_meta, std::function<void()> done);
  /// Waits until everything written so far is kept. Errors: kEnvironment, that of the write that failed.
  Status Drain();

 private:
  struct Database;
  RocksDbState(std::unique_ptr<Database> database, Options options);
  void Loop();
  [[nodiscard]] bool Failed() const { return !failure_.ok(); }

  std::unique_ptr<Database> database_;
  Options options_;
  std::mutex mutex_;
  std::condition_variable written_something_;
  std::condition_variable kept_something_;
  // Calls of Write: all, the last one with records about the cluster, those that are kept.
  uint64_t written_ = 0;
  uint64_t written_meta_ = 0;
  uint64_t kept_ = 0;
  std::multimap<uint64_t, std::function<void()>> waiting_;
  Status failure_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kvjury::ports
