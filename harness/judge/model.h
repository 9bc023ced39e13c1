// The model: a plain tree of values that says what a volume must show, ignorant of keys and their encodings.
//
// It starts from what was there before the writers began and is given the declared effects of committed transactions in
// commit order up to a cut. Its view is computed by its own code: its own overlay of slices, its own walk. An effect that
// contradicts the state (removing what is not there) is an anomaly to be judged with the history, never a crash.
// Legal write skew needs no rule here: the effects say what happened. Eventual values (statfs, directory statistics) are
// not modelled; the view has no statfs. Names, modes and times of the trash's root are made up as a mount does.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/juicefs/effects.h"
#include "harness/juicefs/image.h"
#include "harness/juicefs/view.h"

namespace kvjury::judge {

struct ModelAnomaly {
  std::string label;  // of the transaction
  Timestamp commit_ts;
  std::string text;
};

/// When an undetermined transaction committed, by the store's own records; absent: it did not.
using FindCommit = std::function<std::optional<Timestamp>(const juicefs::DeclaredTransaction&)>;

class Model {
 public:
  /// `initial`: the volume before the first transaction that will be applied.
  explicit Model(const juicefs::VolumeImage& initial);

  /// Applies one transaction that committed at `commit_ts`. Timestamps may not go back.
  void Apply(const juicefs::DeclaredTransaction& transaction, Timestamp commit_ts);

  /// Sorts by commit timestamp and applies those at or below `cut`; returns how many. `find_commit` is asked for each
  /// undetermined one.
  uint64_t ApplyUpTo(const std::vector<juicefs::DeclaredTransaction>& transactions, Timestamp cut,
                     const FindCommit& find_commit);

  /// What a mount shows of the present state; never has statfs.
  [[nodiscard]] juicefs::View MakeView() const;

  [[nodiscard]] const std::vector<ModelAnomaly>& anomalies() const { return anomalies_; }
  [[nodiscard]] uint64_t transactions_applied() const { return transactions_applied_; }
  [[nodiscard]] uint64_t effects_applied() const { return effects_applied_; }

 private:
  struct Slice {
    uint64_t position = 0;
    uint64_t length = 0;
    uint64_t id = 0;
    uint64_t offset = 0;
  };
  struct Entry {
    Inode inode;
    uint8_t type = 0;
  };
  struct Applier;
  struct Walk;

  [[nodiscard]] std::string ContentOf(Inode inode, uint64_t length) const;
  [[nodiscard]] juicefs::ViewEntry EntryOf(Inode inode, uint8_t entry_type) const;

  std::map<Inode, juicefs::Attr> inodes_;
  std::map<Inode, std::map<Bytes, Entry>> directories_;
  std::map<Inode, std::map<uint32_t, std::vector<Slice>>> contents_;
  std::map<Inode, Bytes> symlinks_;
  std::map<Inode, std::map<Bytes, Bytes>> xattrs_;
  std::map<uint32_t, Bytes> acl_xattrs_;  // by rule id, in the kernel's form
  std::vector<ModelAnomaly> anomalies_;
  Timestamp last_ts_;
  uint64_t transactions_applied_ = 0;
  uint64_t effects_applied_ = 0;
};

}  // namespace kvjury::judge
