// ParentTable: inode -> the directory in which a dump showed it first. 16 bytes an inode and as much again free, in one piece, because a load must remember
// every inode that it has seen. Never iterated, so that its order is nobody's.
#pragma once

#include <vector>

#include "fakes/base/ids.h"

namespace kvjury::juicefs {

class ParentTable {
 public:
  ParentTable() : slots_(kSlotsFirst) {}

  /// False, and nothing changes, if the inode is there. `inode` is valid.
  bool Insert(Inode inode, Inode parent) {
    if (2 * (count_ + 1) > slots_.size()) {
      Grow();
    }
    Slot& slot = slots_[IndexOf(slots_, inode)];
    if (slot.inode.valid()) {
      return false;
    }
    slot = {inode, parent};
    ++count_;
    return true;
  }

  /// Invalid where there is none.
  [[nodiscard]] Inode Find(Inode inode) const { return slots_[IndexOf(slots_, inode)].parent; }

 private:
  struct Slot {
    Inode inode;
    Inode parent;
  };
  static constexpr size_t kSlotsFirst = 1024;  // a power of two, as every later size

  /// Where the inode is, or the free slot where it belongs.
  static size_t IndexOf(const std::vector<Slot>& slots, Inode inode) {
    const size_t mask = slots.size() - 1;
    size_t at = (inode.value() * 0x9E3779B97F4A7C15u >> 32) & mask;
    while (slots[at].inode.valid() && slots[at].inode != inode) {
      at = (at + 1) & mask;
    }
    return at;
  }

  void Grow() {
    std::vector<Slot> larger(2 * slots_.size());
    for (const Slot& slot : slots_) {
      if (slot.inode.valid()) {
        larger[IndexOf(larger, slot.inode)] = slot;
      }
    }
    slots_ = std::move(larger);
  }

  std::vector<Slot> slots_;
  size_t count_ = 0;
};

}  // namespace kvjury::juicefs
