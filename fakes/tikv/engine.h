// Engine: the ordered records of one simulated key space, in memory, readable as of any recent sequence
// number.
//
// Three column families as in TiKV. Keys are memcomparable keys without the 'z' prefix: lock: enc(key);
// write: enc(key) and ~commit_ts; default: enc(key) and ~start_ts. Applying a batch is atomic and takes the
// next sequence number; a Snapshot is a cheap value that goes on seeing its state while the engine moves on,
// so that a replica can *be* an applied position. What garbage collection removes (WriteBatch::Collect) is
// hidden from ordinary snapshots and kept for Snapshot::IncludingCollected, the judge's memory: the truth at
// a timestamp that the safe point has passed. Not modelled: disk, compaction, caches, size limits.
// Determinism: ordered maps only. Records are opaque here; the readers above expect that write and lock
// values decode (who ingests foreign files, validates).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::tikv {

enum class ColumnFamily : uint8_t { kDefault = 0, kLock = 1, kWrite = 2 };
inline constexpr size_t kColumnFamilyCount = 3;
/// "default", "lock" or "write", the names of the wire.
std::string_view ColumnFamilyName(ColumnFamily cf);
/// The family of that name; TiKV's "raft" holds no keys of clients and is none.
std::optional<ColumnFamily> FindColumnFamily(std::string_view name);

/// The number of batches applied so far. Zero is the engine as it was loaded, or empty.
using Sequence = uint64_t;

/// Changes that become visible together, in the order given (a later one wins).
struct WriteBatch {
  enum class Kind : uint8_t { kPut, kDelete, kDeleteRange, kCollect };
  struct Operation {
    Kind kind = Kind::kPut;
    ColumnFamily cf = ColumnFamily::kDefault;
    Bytes key;
    Bytes value;  // kDeleteRange: the exclusive upper bound, empty for none

    friend bool operator==(const Operation&, const Operation&) = default;
  };
  std::vector<Operation> operations;

  void Put(ColumnFamily cf, Bytes key, Bytes value);
  void Delete(ColumnFamily cf, Bytes key);
  /// Removes [lower, upper) of one family without a trace, the judge's memory included; an empty `upper` is
  /// no bound.
  void DeleteRange(ColumnFamily cf, Bytes lower, Bytes upper);
  /// Removes a record as garbage collection does: hidden from ordinary snapshots, kept for the judge.
  void Collect(ColumnFamily cf, Bytes key);
  void Append(WriteBatch other);
  [[nodiscard]] bool empty() const { return operations.empty(); }
};

class Engine;
class Iterator;

/// One state of an engine. A value: copy it freely; the engine must outlive it, and Prune must not pass it.
class Snapshot {
 public:
  [[nodiscard]] Sequence sequence() const { return sequence_; }

  /// The value, or null. Valid until the next Apply or Prune of the engine.
  [[nodiscard]] const Bytes* Get(ColumnFamily cf, std::string_view key) const;

  /// Ascending over [lower, upper); an empty `upper` is no bound. The iterator may outlive Apply calls, not
  /// this engine.
  [[nodiscard]] Iterator Scan(ColumnFamily cf, std::string_view lower, std::string_view upper) const;
  /// Descending over the same range.
  [[nodiscard]] Iterator ReverseScan(ColumnFamily cf, std::string_view lower, std::string_view upper) const;

  /// The same state with the records that garbage collection has removed still in it.
  [[nodiscard]] Snapshot IncludingCollected() const;

 private:
  friend class Engine;
  friend class Iterator;
  Snapshot(const Engine* engine, Sequence sequence, bool with_collected)
      : engine_(engine), sequence_(sequence), with_collected_(with_collected) {}

  const Engine* engine_;
  Sequence sequence_;
  bool with_collected_;
};

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Makes the batch visible and returns its sequence number. An empty batch takes a number, too.
  Sequence Apply(const WriteBatch& batch);
  Sequence Apply(WriteBatch&& batch);

  /// Puts a record behind all others of its family, before the first batch: what an earlier run has left.
  void Load(ColumnFamily cf, Bytes key, Bytes value);

  [[nodiscard]] Sequence last_sequence() const { return last_sequence_; }
  /// `sequence` must be neither in the future nor pruned.
  [[nodiscard]] Snapshot At(Sequence sequence) const;
  [[nodiscard]] Snapshot Latest() const { return At(last_sequence_); }

  /// Forgets versions that no snapshot at `oldest_needed` or later can see. Iterators of such snapshots stay
  /// valid. The work is in proportion to the changes since the last call.
  void Prune(Sequence oldest_needed);

  /// Records of a family, hidden ones included.
  [[nodiscard]] size_t RecordCount(ColumnFamily cf) const { return cells(cf).size(); }
  /// Stored versions of all families, hidden ones included: for tests and statistics.
  [[nodiscard]] size_t VersionCount() const;

 private:
  friend class Snapshot;
  friend class Iterator;

  enum class State : uint8_t { kPresent, kAbsent, kCollected };
  struct Version {
    Sequence sequence = 0;
    State state = State::kAbsent;
    Bytes value;
  };
  /// The newest version inline (most cells have only one), older ones ascending behind a pointer.
  struct Cell {
    Version newest;
    std::unique_ptr<std::vector<Version>> older;

    [[nodiscard]] const Bytes* Find(const Snapshot& snapshot) const;
  };
  using Cells = std::map<Bytes, Cell, std::less<>>;
  /// A cell that had something to hide since `sequence`.
  struct Change {
    Sequence sequence;
    ColumnFamily cf;
    Cells::iterator cell;
  };

  [[nodiscard]] const Cells& cells(ColumnFamily cf) const { return cells_[static_cast<size_t>(cf)]; }
  [[nodiscard]] Cells& cells(ColumnFamily cf) { return cells_[static_cast<size_t>(cf)]; }
  void ApplyOperation(WriteBatch::Operation&& operation, Sequence sequence);
  void Replace(ColumnFamily cf, Cells::iterator cell, Sequence sequence, State state, Bytes value);

  Cells cells_[kColumnFamilyCount];
  std::deque<Change> changes_;
  Sequence last_sequence_ = 0;
  Sequence pruned_to_ = 0;
};

/// A position among the visible records of one column family of one snapshot.
class Iterator {
 public:
  [[nodiscard]] bool Valid() const { return value_ != nullptr; }
  [[nodiscard]] const Bytes& key() const { return cell_->first; }
  /// Valid until the next Apply or Prune.
  [[nodiscard]] const Bytes& value() const { return *value_; }
  /// To the next record in the iterator's direction.
  void Next();
  /// To the first record in the iterator's direction that is at or behind `key` (ascending: >= key;
  /// descending: <= key), within its bounds. May move either way.
  void Seek(std::string_view key);

 private:
  friend class Snapshot;
  Iterator(Snapshot snapshot, ColumnFamily cf, std::string_view lower, std::string_view upper, bool descending);
  void SettleAscending();
  /// From `cell_` exclusive downwards.
  void SettleDescending();
  [[nodiscard]] const Engine::Cells& cells() const { return snapshot_.engine_->cells(cf_); }

  Snapshot snapshot_;
  ColumnFamily cf_;
  Bytes lower_;
  Bytes upper_;
  bool descending_;
  Engine::Cells::const_iterator cell_;
  const Bytes* value_ = nullptr;
};

}  // namespace kvjury::tikv
