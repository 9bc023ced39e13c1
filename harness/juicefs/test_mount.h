// Test support: a formatted volume with one or more running sessions on a store in memory, with or without blocks.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fakes/objects/object_store.h"
#include "harness/juicefs/image.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {

class TestMount {
 public:
  struct Options {
    uint32_t trash_days = 1;
    uint32_t writers = 1;
    bool blocks = false;
    bool acl = false;  // formatted with --enable-acl
    uint32_t block_bytes = 4096;
    MountOptions mount;               // of the first writer; all others have defaults
    std::string failing_object_step;  // label of a call to the bucket that fails
  };
  explicit TestMount(Options options);
  ~TestMount();

  /// Carries out an operation in protobuf text, `mkdir { path: "d" }`. The operations of a writer are numbered from 1 on.
  OperationResult Do(const std::string& text, uint32_t writer = 1);
  int Errno(const std::string& text, uint32_t writer = 1) { return Do(text, writer).error; }
  /// The same without an operation's end: the client dies once `commits` more transactions were committed.
  void DoAndDie(const std::string& text, uint32_t commits);
  void Stop(uint32_t writer = 1);

  [[nodiscard]] KeyValues Pairs();
  /// The value in hex; "absent".
  [[nodiscard]] std::string HexOf(const Key& key);
  [[nodiscard]] Attr AttrOf(Inode inode);
  /// The inode that a path leads to.
  [[nodiscard]] Inode InodeOf(const std::string& path);
  /// Names of all blocks.
  [[nodiscard]] std::vector<std::string> BlockNames();
  /// Violations of invariants; empty when all hold.
  [[nodiscard]] std::vector<std::string> Violations();

  TestStore& store() { return store_; }
  Writer& writer(uint32_t number = 1) { return *writers_[number - 1]; }
  objects::MemoryObjectStore& bucket() { return bucket_; }
  sim::World& world() { return world_; }

 private:
  void Run(sim::Task<void> task);

  sim::World world_;
  TestStore store_;
  objects::MemoryObjectStore bucket_;
  std::unique_ptr<BlockStore> blocks_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::vector<uint32_t> last_ids_;
};

}  // namespace kvjury::juicefs
