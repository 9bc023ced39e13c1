// What was overwritten or deleted is seen as of its time, also after a restart; what was forgotten is refused, not made up.
#include "fakes/objects/keeping_store.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace kvjury::objects {
namespace {

/// Hands a store to several owners one after another, as a folder would stay.
class Shared final : public ObjectStore {
 public:
  explicit Shared(ObjectStore* store) : store_(store) {}
  Status Put(const std::string& name, std::string_view bytes) override { return store_->Put(name, bytes); }
  Result<Bytes> Get(const std::string& name) override { return store_->Get(name); }
  Result<ObjectInfo> Head(const std::string& name) override { return store_->Head(name); }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override { return store_->List(prefix); }
  Status Delete(const std::string& name) override { return store_->Delete(name); }
  [[nodiscard]] std::string description() const override { return store_->description(); }

 private:
  ObjectStore* store_;
};

std::unique_ptr<KeepingObjectStore> OpenOver(ObjectStore* inner, const int64_t* now_ms, uint64_t history_bytes_max = 1 << 20) {
  Result<std::unique_ptr<KeepingObjectStore>> store =
      KeepingObjectStore::Open(std::make_unique<Shared>(inner), [now_ms]() { return *now_ms; }, history_bytes_max);
  CHECK(store.ok()) << store.status();
  return *std::move(store);
}

TEST(KeepingObjectStore, NamesThatNoFileMayHave) {
  MemoryObjectStore inner;
  int64_t now_ms = 1;
  auto store = OpenOver(&inner, &now_ms);
  const std::vector<std::string> names = {"/", "/a", "a/", "a//b", "a", "a/b", ".", "..", "x/../y", "100%", "a@1-2", "b.tmp", std::string("n\0l", 3), "-deleted"};
  for (const std::string& name : names) {
    ASSERT_TRUE(store->Put(name, name).ok()) << Printable(name);
  }
  EXPECT_EQ(store->Put("", "x").code(), StatusCode::kInvalidArgument);
  store = OpenOver(&inner, &now_ms);
  EXPECT_EQ(store->List("")->size(), names.size());
  for (const std::string& name : names) {
    EXPECT_EQ(*store->Get(name), name) << Printable(name);
  }
}

TEST(KeepingObjectStore, TheOldestPastGoesFirstAndIsNotMadeUp) {
  MemoryObjectStore inner;
  int64_t now_ms = 10;
  auto store = OpenOver(&inner, &now_ms, 10);
  for (; now_ms <= 50; now_ms += 10) {
    ASSERT_TRUE(store->Put("x", std::string(4, static_cast<char>('0' + now_ms / 10))).ok());
  }
  // 4 bytes ended at 20, 30, 40 and 50; the last two are kept.
  EXPECT_EQ(store->history_bytes(), 8U);
  EXPECT_EQ(store->complete_since_ms(), 30);
  for (const bool again : {false, true}) {
    EXPECT_EQ(store->AsOf(29).status().code(), StatusCode::kNotFound) << again;
    EXPECT_EQ(*(*store->AsOf(30))->Get("x"), "3333");
    EXPECT_EQ(*store->Get("x"), "5555");
    store = OpenOver(&inner, &now_ms, 10);
  }
  ASSERT_TRUE(inner.Put("stray", "").ok());
  EXPECT_EQ(KeepingObjectStore::Open(std::make_unique<Shared>(&inner), [&now_ms]() { return now_ms; }, 10).status().code(), StatusCode::kDataLoss);
}

TEST(KeepingObjectStore, TheViewOfThePastIsReadOnly) {
  MemoryObjectStore inner;
  int64_t now_ms = 10;
  auto store = OpenOver(&inner, &now_ms);
  ASSERT_TRUE(store->Put("x", "1").ok());
  const std::unique_ptr<ObjectStore> view = *store->AsOf(10);
  EXPECT_EQ(view->Put("x", "2").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(view->Delete("x").code(), StatusCode::kInvalidArgument);
  now_ms = 5;  // a clock that falls back
  ASSERT_TRUE(store->Put("x", "2").ok());
  EXPECT_EQ(*store->Get("x"), "2");
  EXPECT_EQ((*store->AsOf(9))->Head("x").status().code(), StatusCode::kNotFound);
}

RC_GTEST_PROP(KeepingObjectStoreProperty, EveryMomentIsSeenAsItWas, ()) {
  MemoryObjectStore inner;
  int64_t now_ms = 1;
  auto store = OpenOver(&inner, &now_ms);
  std::map<int64_t, std::map<std::string, std::string>> truth;
  std::map<std::string, std::string> current;
  const int steps = *rc::gen::inRange(1, 30);
  for (int step = 0; step < steps; ++step) {
    now_ms += *rc::gen::inRange(0, 3);
    const std::string name(1, static_cast<char>('a' + *rc::gen::inRange(0, 4)));
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        RC_ASSERT(store->Delete(name).ok());
        current.erase(name);
        break;
      case 1:
        store = OpenOver(&inner, &now_ms);
        break;
      default:
        RC_ASSERT(store->Put(name, std::to_string(step)).ok());
        current[name] = std::to_string(step);
    }
    truth[now_ms] = current;
  }
  for (const auto& [ms, objects] : truth) {
    const std::unique_ptr<ObjectStore> view = *store->AsOf(ms);
    std::map<std::string, std::string> seen;
    const std::vector<ObjectInfo> listed = *view->List("");
    for (const ObjectInfo& object : listed) {
      seen[object.name] = *view->Get(object.name);
    }
    RC_ASSERT(seen == objects);
  }
}

}  // namespace
}  // namespace kvjury::objects
