#include "harness/juicefs/quota_book.h"

#include <gtest/gtest.h>

namespace kvjury::juicefs {
namespace {

TEST(QuotaBook, CountsItsOwnChangesAgainstTheLimitThatItReadLast) {
  QuotaBook book;
  book.Reload(QuotaKind::kDirectory, {{7, Quota{16384, 3, 4096, 1}}});
  const QuotaBook::Entry* entry = book.Find(QuotaKind::kDirectory, 7);
  ASSERT_NE(entry, nullptr);
  EXPECT_FALSE(entry->ExceededBy(12288, 2)) << "exactly full";
  EXPECT_TRUE(entry->ExceededBy(12289, 0));
  EXPECT_TRUE(entry->ExceededBy(0, 3));
  book.AddToDirectory(Inode(7), 12288, 2);
  EXPECT_TRUE(entry->ExceededBy(1, 0));
  EXPECT_TRUE(entry->ExceededBy(0, 1));
  EXPECT_FALSE(entry->ExceededBy(-4096, -1)) << "giving back is never too much";
  book.AddToDirectory(Inode(8), 4096, 1);
  EXPECT_EQ(book.Find(QuotaKind::kDirectory, 8), nullptr) << "a directory without a record has no quota";
}

TEST(QuotaBook, LimitsOfZeroAndBelowAreNone) {
  QuotaBook book;
  book.Reload(QuotaKind::kUser, {{1, Quota{0, 0, int64_t{1} << 40, 1000}}, {2, Quota{-1, -1, int64_t{1} << 40, 1000}}});
  for (const uint64_t uid : {1, 2}) {
    EXPECT_FALSE(book.Find(QuotaKind::kUser, uid)->ExceededBy(int64_t{1} << 50, 1 << 20));
  }
}

TEST(QuotaBook, AFlushMovesWhatWasWrittenAndKeepsWhatCameMeanwhile) {
  QuotaBook book;
  book.AddToOwner(501, 20, 4096, 1);
  const std::vector<PendingQuota> pending = book.Pending();
  ASSERT_EQ(pending.size(), 2U);
  EXPECT_EQ(pending[0].kind, QuotaKind::kUser);
  EXPECT_EQ(pending[0].id, 501U);
  EXPECT_EQ(pending[1].kind, QuotaKind::kGroup);
  book.AddToOwner(501, 20, 8192, 0);
  book.Flushed(pending);
  const QuotaBook::Entry* user = book.Find(QuotaKind::kUser, 501);
  EXPECT_EQ(user->stored.used_space, 4096);
  EXPECT_EQ(user->stored.max_space, -1);
  EXPECT_EQ(user->new_space, 8192);
  EXPECT_EQ(user->new_inodes, 0);
}

TEST(QuotaBook, OnlyDirectoriesVanishWithTheirRecord) {
  QuotaBook book;
  book.Reload(QuotaKind::kDirectory, {{7, Quota{1, 1, 0, 0}}});
  book.Reload(QuotaKind::kUser, {{7, Quota{1, 1, 0, 0}}});
  book.AddToDirectory(Inode(7), 4096, 1);
  book.Reload(QuotaKind::kDirectory, {});
  book.Reload(QuotaKind::kUser, {});
  EXPECT_EQ(book.Find(QuotaKind::kDirectory, 7), nullptr);
  EXPECT_NE(book.Find(QuotaKind::kUser, 7), nullptr);
  EXPECT_TRUE(book.Pending().empty());
}

}  // namespace
}  // namespace kvjury::juicefs
