#include "harness/juicefs/view_summary.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace kvjury::juicefs {
namespace {

ViewEntry Entry(uint64_t inode, uint32_t type, uint64_t size = 0, int64_t ctime_ns = 0) {
  ViewEntry entry;
  entry.inode = Inode(inode);
  entry.mode = type | 0644;
  entry.size = size;
  entry.ctime_ns = ctime_ns;
  return entry;
}

TEST(ViewSummary, CountsEveryEntryOnceAndAFileByItsInode) {
  View view;
  view.entries = {{".", Entry(1, S_IFDIR, 4096, 5)},      {".trash", Entry(9, S_IFDIR, 0, 99)}, {"a", Entry(2, S_IFREG, 10, 7)},
                  {"another name of a", Entry(2, S_IFREG, 10)}, {"d", Entry(3, S_IFDIR, 4096)},       {"pipe", Entry(4, S_IFIFO)},
                  {"s", Entry(5, S_IFLNK, 3)}};
  const ViewSummary summary = Summarize(view);
  EXPECT_EQ(summary.files, 1U);
  EXPECT_EQ(summary.bytes, 10U);
  EXPECT_EQ(summary.directories, 2U);
  EXPECT_EQ(summary.symlinks, 1U);
  EXPECT_EQ(summary.others, 1U);
  EXPECT_EQ(summary.in_trash, 0U);
  EXPECT_EQ(summary.latest_ctime_ns, 7) << "the trash's root has the time of the mount";
}

TEST(ViewSummary, AFileIsInTheTrashOnlyIfNoOtherLinkIsOutside) {
  View view;
  view.entries = {{".trash/2026-11-25-10", Entry(10, S_IFDIR)},
                  {".trash/2026-11-25-10/1-2-both", Entry(2, S_IFREG, 100)},
                  {".trash/2026-11-25-10/1-3-gone", Entry(3, S_IFREG, 1'000)},
                  {"both", Entry(2, S_IFREG, 100)}};
  view.problems.push_back({"x", Inode(7), "lost"});
  const ViewSummary summary = Summarize(view);
  EXPECT_EQ(summary.in_trash, 3U);
  EXPECT_EQ(summary.bytes_in_trash, 1'000U);
  EXPECT_EQ(summary.bytes, 100U);
  EXPECT_EQ(summary.files, 1U);
  EXPECT_EQ(summary.damaged, 1U);
}

TEST(ViewSummary, ATreeIsCountedEntryByEntryAsJuicefsInfoAndSummaryDo) {
  View view;
  view.entries = {{".", Entry(1, S_IFDIR, 4096)},   {".trash", Entry(9, S_IFDIR)},        {".trash/2026-11-25-10", Entry(10, S_IFDIR)},
                  {"a", Entry(2, S_IFREG, 4'097)},  {"d", Entry(3, S_IFDIR, 4096)},       {"d/b", Entry(2, S_IFREG, 4'097)},
                  {"d/pipe", Entry(4, S_IFIFO)},    {"d/s", Entry(5, S_IFLNK, 3)},        {"d2", Entry(6, S_IFREG)}};
  const TreeSummary root = SummarizeTree(view, ".").value();
  EXPECT_EQ(root.directories, 2U);
  EXPECT_EQ(root.files, 5U);
  EXPECT_EQ(root.length, 2 * 4'097U);
  EXPECT_EQ(root.size, 2 * 4'096U + 2 * 8'192U + 3 * 4'096U);
  const TreeSummary below = SummarizeTree(view, "d").value();
  EXPECT_EQ(below.directories, 1U);
  EXPECT_EQ(below.files, 3U);
  EXPECT_EQ(below.length, 4'097U);
  EXPECT_EQ(SummarizeTree(view, "a")->files, 1U);
  EXPECT_EQ(SummarizeTree(view, "nothing").status().code(), StatusCode::kNotFound);
}

TEST(ViewSummary, OfNothingIsNothing) { EXPECT_EQ(Summarize(View()).files, 0U); }

}  // namespace
}  // namespace kvjury::juicefs
