// Every object store keeps the same contract; the world's front adds time and faults and nothing else.
#include "fakes/objects/object_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace kvjury::objects {
namespace {

/// A fresh folder that goes away with the test.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "kvjury-objects-XXXXXX").string();
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void ExpectContract(ObjectStore* store) {
  EXPECT_EQ(store->Get("1/a.sst").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store->Head("1/a.sst").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(store->Put("1/b.sst", std::string("b\0b", 3)).ok());
  EXPECT_TRUE(store->Put("1/a.sst", "old").ok());
  EXPECT_TRUE(store->Put("1/a.sst", "").ok());
  EXPECT_TRUE(store->Put("backupmeta", "meta").ok());
  EXPECT_EQ(*store->Get("1/a.sst"), "");
  EXPECT_EQ(*store->Get("1/b.sst"), std::string("b\0b", 3));
  EXPECT_EQ(store->Head("1/b.sst")->bytes, 3U);
  const std::vector<ObjectInfo> all = {{"1/a.sst", 0}, {"1/b.sst", 3}, {"backupmeta", 4}};
  EXPECT_EQ(*store->List(""), all);
  EXPECT_EQ(store->List("1/")->size(), 2U);
  EXPECT_TRUE(store->Delete("1/a.sst").ok());
  EXPECT_TRUE(store->Delete("1/a.sst").ok()) << "deleting twice is no error";
  EXPECT_EQ(store->Get("1/a.sst").status().code(), StatusCode::kNotFound);
  for (const char* name : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "."}) {
    EXPECT_EQ(store->Put(name, "x").code(), StatusCode::kInvalidArgument) << name;
    EXPECT_EQ(store->Get(name).status().code(), StatusCode::kInvalidArgument) << name;
  }
}

TEST(ObjectStore, MemoryKeepsTheContract) {
  MemoryObjectStore store;
  ExpectContract(&store);
}

TEST(ObjectStore, AFolderKeepsTheContract) {
  const ScratchFolder folder;
  Result<std::unique_ptr<ObjectStore>> store =
      DirectoryObjectStore::Open(folder.path() + "/new", DirectoryObjectStore::Access::kReadWrite);
  ASSERT_TRUE(store.ok()) << store.status();
  ExpectContract(store->get());
}

TEST(ObjectStore, AHalfWrittenFileIsNoObject) {
  const ScratchFolder folder;
  std::ofstream(folder.path() + "/x.sst.tmp") << "half";
  Result<std::unique_ptr<ObjectStore>> store =
      DirectoryObjectStore::Open(folder.path(), DirectoryObjectStore::Access::kReadWrite);
  ASSERT_TRUE(store.ok());
  EXPECT_TRUE((*store)->List("")->empty());
  EXPECT_TRUE((*store)->Put("x.sst", "whole").ok());
  EXPECT_EQ((*store)->List("")->size(), 1U);
}

TEST(ObjectStore, AReadOnlyFolderRefusesEveryChange) {
  const ScratchFolder folder;
  std::ofstream(folder.path() + "/x") << "1";
  Result<std::unique_ptr<ObjectStore>> store =
      DirectoryObjectStore::Open(folder.path(), DirectoryObjectStore::Access::kReadOnly);
  ASSERT_TRUE(store.ok());
  EXPECT_EQ((*store)->Put("y", "2").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ((*store)->Delete("x").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(*(*store)->Get("x"), "1");
  EXPECT_EQ(DirectoryObjectStore::Open(folder.path() + "/none", DirectoryObjectStore::Access::kReadOnly).status().code(),
            StatusCode::kNotFound);
}

TEST(Storages, OneAddressIsOneStoreAndUnknownKindsAreRefused) {
  Storages storages;
  Result<ObjectStore*> first = storages.Open(LocalStorage("/backup"));
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE((*first)->Put("x", "1").ok());
  EXPECT_EQ(*storages.Open(LocalStorage("/backup")), *first);
  EXPECT_TRUE((*storages.Open(LocalStorage("/other")))->List("")->empty());
  ::backup::StorageBackend s3;
  s3.mutable_s3()->set_bucket("b");
  EXPECT_EQ(storages.Open(s3).status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(storages.Open(::backup::StorageBackend()).status().code(), StatusCode::kInvalidArgument);
  ::backup::StorageBackend noop;
  noop.mutable_noop();
  EXPECT_TRUE((*storages.Open(noop))->Put("x", "1").ok());
  EXPECT_EQ((*storages.Open(noop))->Get("x").status().code(), StatusCode::kNotFound);
}

sim::Task<void> PutTwo(sim::World* world, ObjectStore* plain, std::vector<Status>* answers) {
  WorldObjectStore store(world, plain, 100);
  for (const char* name : {"a", "b", "c"}) {
    sim::Task<Status> put = store.Put(sim::Label("up") / name, name, "bytes");
    answers->push_back(co_await std::move(put));
  }
}

TEST(WorldObjectStore, ObjectErrorsComeBeforeOrAfterTheEffectAndAreCounted) {
  record::Case c;
  record::Fault* before = c.add_fault();
  before->set_at("up/a");
  before->mutable_object_error();
  record::Fault* after = c.add_fault();
  after->set_at("up/b");
  after->mutable_object_error()->set_after_effect(true);
  sim::World world(c);
  MemoryObjectStore plain;
  std::vector<Status> answers;
  ASSERT_EQ(world.Run(PutTwo(&world, &plain, &answers), 1'000'000), sim::RunEnd::kDone);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[0].code(), StatusCode::kUnavailable);
  EXPECT_EQ(answers[1].code(), StatusCode::kUnavailable);
  EXPECT_TRUE(answers[2].ok());
  EXPECT_FALSE(plain.Get("a").ok()) << "failed before the effect";
  EXPECT_TRUE(plain.Get("b").ok()) << "failed after the effect";
  EXPECT_EQ(world.faults().fired_counts().at("object_error"), 2U);
  EXPECT_EQ(world.scheduler().now_us(), 300);
}

}  // namespace
}  // namespace kvjury::objects
