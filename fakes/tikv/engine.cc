#include "fakes/tikv/engine.h"

#include <algorithm>
#include <utility>

#include "fakes/base/check.h"

namespace kvjury::tikv {

std::string_view ColumnFamilyName(ColumnFamily cf) {
  switch (cf) {
    case ColumnFamily::kDefault:
      return "default";
    case ColumnFamily::kLock:
      return "lock";
    case ColumnFamily::kWrite:
      return "write";
  }
  CHECK(false) << "no such column family";
  return {};
}

std::optional<ColumnFamily> FindColumnFamily(std::string_view name) {
  for (const ColumnFamily family : {ColumnFamily::kDefault, ColumnFamily::kLock, ColumnFamily::kWrite}) {
    if (name == ColumnFamilyName(family)) {
      return family;
    }
  }
  return std::nullopt;
}

void WriteBatch::Put(ColumnFamily cf, Bytes key, Bytes value) {
  operations.push_back(Operation{Kind::kPut, cf, std::move(key), std::move(value)});
}

void WriteBatch::Delete(ColumnFamily cf, Bytes key) {
  operations.push_back(Operation{Kind::kDelete, cf, std::move(key), {}});
}

void WriteBatch::DeleteRange(ColumnFamily cf, Bytes lower, Bytes upper) {
  operations.push_back(Operation{Kind::kDeleteRange, cf, std::move(lower), std::move(upper)});
}

void WriteBatch::Collect(ColumnFamily cf, Bytes key) {
  operations.push_back(Operation{Kind::kCollect, cf, std::move(key), {}});
}

void WriteBatch::Append(WriteBatch other) {
  operations.insert(operations.end(), std::make_move_iterator(other.operations.begin()),
                    std::make_move_iterator(other.operations.end()));
}

const Bytes* Engine::Cell::Find(const Snapshot& snapshot) const {
  const Version* version = &newest;
  if (version->sequence > snapshot.sequence_) {
    version = nullptr;
    if (older != nullptr) {
      for (auto candidate = older->rbegin(); candidate != older->rend(); ++candidate) {
        if (candidate->sequence <= snapshot.sequence_) {
          version = &*candidate;
          break;
        }
      }
    }
  }
  if (version == nullptr || version->state == State::kAbsent) {
    return nullptr;
  }
  if (version->state == State::kCollected && !snapshot.with_collected_) {
    return nullptr;
  }
  return &version->value;
}

Sequence Engine::Apply(const WriteBatch& batch) { return Apply(WriteBatch(batch)); }

Sequence Engine::Apply(WriteBatch&& batch) {
  const Sequence sequence = ++last_sequence_;
  for (WriteBatch::Operation& operation : batch.operations) {
    ApplyOperation(std::move(operation), sequence);
  }
  return sequence;
}

void Engine::ApplyOperation(WriteBatch::Operation&& operation, Sequence sequence) {
  Cells& map = cells(operation.cf);
  switch (operation.kind) {
    case WriteBatch::Kind::kPut: {
      auto cell = map.lower_bound(operation.key);
      if (cell == map.end() || cell->first != operation.key) {
        map.emplace_hint(cell, std::move(operation.key),
                         Cell{Version{sequence, State::kPresent, std::move(operation.value)}, nullptr});
        return;
      }
      Replace(operation.cf, cell, sequence, State::kPresent, std::move(operation.value));
      return;
    }
    case WriteBatch::Kind::kDelete: {
      const auto cell = map.find(operation.key);
      if (cell != map.end() && cell->second.newest.state != State::kAbsent) {
        Replace(operation.cf, cell, sequence, State::kAbsent, {});
      }
      return;
    }
    case WriteBatch::Kind::kCollect: {
      const auto cell = map.find(operation.key);
      if (cell != map.end() && cell->second.newest.state == State::kPresent) {
        Replace(operation.cf, cell, sequence, State::kCollected, cell->second.newest.value);
      }
      return;
    }
    case WriteBatch::Kind::kDeleteRange: {
      auto cell = map.lower_bound(operation.key);
      while (cell != map.end() && (operation.value.empty() || cell->first < operation.value)) {
        const auto current = cell++;  // Replace may erase the cell
        if (current->second.newest.state != State::kAbsent) {
          Replace(operation.cf, current, sequence, State::kAbsent, {});
        }
      }
      return;
    }
  }
}

void Engine::Replace(ColumnFamily cf, Cells::iterator cell, Sequence sequence, State state, Bytes value) {
  Version& newest = cell->second.newest;
  if (newest.sequence == sequence) {
    // A second change of the same batch. A cell without older versions is in no queue entry yet.
    if (state == State::kAbsent && cell->second.older == nullptr) {
      cells(cf).erase(cell);
      return;
    }
    newest.state = state;
    newest.value = std::move(value);
    return;
  }
  if (cell->second.older == nullptr) {
    cell->second.older = std::make_unique<std::vector<Version>>();
  }
  cell->second.older->push_back(std::move(newest));
  newest = Version{sequence, state, std::move(value)};
  changes_.push_back(Change{sequence, cf, cell});
}

void Engine::Load(ColumnFamily cf, Bytes key, Bytes value) {
  CHECK_EQ(last_sequence_, 0U) << "loading comes before the first batch";
  Cells& map = cells(cf);
  CHECK(map.empty() || map.rbegin()->first < key) << "records are loaded in ascending order";
  map.emplace_hint(map.end(), std::move(key), Cell{Version{0, State::kPresent, std::move(value)}, nullptr});
}

Snapshot Engine::At(Sequence sequence) const {
  CHECK_LE(sequence, last_sequence_) << "a snapshot of the future";
  CHECK_GE(sequence, pruned_to_) << "a snapshot of a state that was pruned";
  return Snapshot(this, sequence, false);
}

void Engine::Prune(Sequence oldest_needed) {
  CHECK_LE(oldest_needed, last_sequence_);
  pruned_to_ = std::max(pruned_to_, oldest_needed);
  while (!changes_.empty() && changes_.front().sequence <= oldest_needed) {
    const Change change = changes_.front();
    changes_.pop_front();
    Cell& cell = change.cell->second;
    if (cell.older != nullptr) {
      // Everything before `change.sequence` is hidden by the version of that number.
      std::vector<Version>& older = *cell.older;
      const auto kept = std::find_if(older.begin(), older.end(),
                                     [&](const Version& version) { return version.sequence >= change.sequence; });
      older.erase(older.begin(), kept);
      if (older.empty()) {
        cell.older = nullptr;
      }
    }
    // The last entry of a cell carries the number of its newest version, so nothing else refers to it.
    if (cell.newest.sequence == change.sequence && cell.newest.state == State::kAbsent) {
      cells(change.cf).erase(change.cell);
    }
  }
}

size_t Engine::VersionCount() const {
  size_t count = 0;
  for (const Cells& map : cells_) {
    for (const auto& [key, cell] : map) {
      count += 1 + (cell.older == nullptr ? 0 : cell.older->size());
    }
  }
  return count;
}

const Bytes* Snapshot::Get(ColumnFamily cf, std::string_view key) const {
  const Engine::Cells& map = engine_->cells(cf);
  const auto cell = map.find(key);
  return cell == map.end() ? nullptr : cell->second.Find(*this);
}

Iterator Snapshot::Scan(ColumnFamily cf, std::string_view lower, std::string_view upper) const {
  return Iterator(*this, cf, lower, upper, false);
}

Iterator Snapshot::ReverseScan(ColumnFamily cf, std::string_view lower, std::string_view upper) const {
  return Iterator(*this, cf, lower, upper, true);
}

Snapshot Snapshot::IncludingCollected() const { return Snapshot(engine_, sequence_, true); }

Iterator::Iterator(Snapshot snapshot, ColumnFamily cf, std::string_view lower, std::string_view upper, bool descending)
    : snapshot_(snapshot), cf_(cf), lower_(lower), upper_(upper), descending_(descending) {
  if (descending_) {
    cell_ = upper_.empty() ? cells().end() : cells().lower_bound(upper_);
    SettleDescending();
  } else {
    cell_ = cells().lower_bound(lower_);
    SettleAscending();
  }
}

void Iterator::Next() {
  CHECK(Valid());
  if (descending_) {
    SettleDescending();
  } else {
    ++cell_;
    SettleAscending();
  }
}

void Iterator::Seek(std::string_view key) {
  if (descending_) {
    cell_ = (!upper_.empty() && key >= upper_) ? cells().lower_bound(upper_) : cells().upper_bound(key);
    SettleDescending();
  } else {
    cell_ = key < lower_ ? cells().lower_bound(lower_) : cells().lower_bound(key);
    SettleAscending();
  }
}

void Iterator::SettleAscending() {
  value_ = nullptr;
  for (; cell_ != cells().end() && (upper_.empty() || cell_->first < upper_); ++cell_) {
    value_ = cell_->second.Find(snapshot_);
    if (value_ != nullptr) {
      return;
    }
  }
}

void Iterator::SettleDescending() {
  value_ = nullptr;
  while (cell_ != cells().begin()) {
    --cell_;
    if (cell_->first < lower_) {
      return;
    }
    value_ = cell_->second.Find(snapshot_);
    if (value_ != nullptr) {
      return;
    }
  }
}

}  // namespace kvjury::tikv
