// A mount that finds names whatever their case, beside one that does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "harness/juicefs/case_folding.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/test_mount.h"

namespace kvjury::juicefs {
namespace {

using testing::ElementsAre;

/// Writer 1 finds names whatever their case, writer 2 does not.
TestMount::Options Insensitive() {
  TestMount::Options options;
  options.writers = 2;
  record::Mount mount;
  mount.set_case_insensitive(true);
  options.mount = MountOptionsOf(mount).value();
  return options;
}

TEST(FoldingCase, MakesNamesEqualThatDifferInCaseAlone) {
  EXPECT_EQ(FoldCase("ReadMe.TXT"), "readme.txt");
  EXPECT_EQ(FoldCase("ÄÖÜ Þ"), FoldCase("äöü þ"));
  EXPECT_EQ(FoldCase("ΟΔΟΣ"), FoldCase("οδος")) << "the sigma at the end, too";
  EXPECT_EQ(FoldCase("ЖЁЏ"), FoldCase("жёџ"));
  EXPECT_NE(FoldCase("×"), FoldCase("÷")) << "no letters";
  EXPECT_NE(FoldCase("@["), FoldCase("`{"));
  EXPECT_EQ(FoldCase("\xff\xc3"), "\xff\xc3") << "no UTF-8";
}

TEST(ACaseInsensitiveMount, FindsEveryPartOfAPath) {
  TestMount mount(Insensitive());
  ASSERT_EQ(mount.Errno("mkdir { path: 'Dir' mode: 0755 }"), 0);
  ASSERT_EQ(mount.Errno("create { path: 'dIR/File' mode: 0644 }"), 0);
  EXPECT_EQ(mount.InodeOf("Dir/File"), Inode(3)) << "in the directory that is there";
  EXPECT_EQ(mount.Errno("write { path: 'DIR/FILE' length: 10 }"), 0);
  EXPECT_EQ(mount.Do("lookup { path: 'dir/file' }").attr->length, 10U);
  EXPECT_EQ(mount.Errno("lookup { path: 'dir/file' }", 2), ENOENT);
  EXPECT_EQ(mount.Errno("lookup { path: 'dir/fil' }"), ENOENT);
  EXPECT_EQ(mount.Errno("lookup { path: 'dir/file/x' }"), ENOTDIR);
}

TEST(ACaseInsensitiveMount, TakesTheExactNameFirstAndListsAllInTheirOrder) {
  TestMount mount(Insensitive());
  ASSERT_EQ(mount.Errno("create { path: 'b' mode: 0600 }", 2), 0);
  ASSERT_EQ(mount.Errno("create { path: 'B' mode: 0640 }", 2), 0);
  ASSERT_EQ(mount.Errno("create { path: 'a' mode: 0644 }", 2), 0);
  EXPECT_EQ(mount.Do("lookup { path: 'b' }").attr->mode, 0600);
  EXPECT_EQ(mount.Do("lookup { path: 'B' }").attr->mode, 0640);
  EXPECT_THAT(mount.Do("readdir { path: '' }").names, ElementsAre("B", "a", "b"));
  EXPECT_EQ(mount.Errno("rename { from: 'b' to: 'B' }"), 0) << "another file: it is replaced";
  EXPECT_THAT(mount.Do("readdir { path: '' }").names, ElementsAre("B", "a"));
  EXPECT_EQ(mount.Do("lookup { path: 'b' }").attr->mode, 0600);
}

TEST(ACaseInsensitiveMount, RefusesANameThatExistsInAnotherCase) {
  TestMount mount(Insensitive());
  ASSERT_EQ(mount.Errno("create { path: 'file' mode: 0644 }"), 0);
  EXPECT_EQ(mount.Errno("create { path: 'FILE' mode: 0644 }"), EEXIST);
  EXPECT_EQ(mount.Errno("mkdir { path: 'File' mode: 0755 }"), EEXIST);
  EXPECT_EQ(mount.Errno("symlink { path: 'fiLe' target: 'x' }"), EEXIST);
  EXPECT_EQ(mount.Errno("link { from: 'FILE' to: 'File' }"), EEXIST);
  EXPECT_EQ(mount.Errno("create { path: 'other' mode: 0644 }"), 0);
  EXPECT_EQ(mount.Errno("rename { from: 'other' to: 'FILE' flags: 1 }"), EEXIST);
  EXPECT_EQ(mount.Errno("create { path: 'FILE' mode: 0644 }", 2), 0) << "the other mount sees no such name";
}

TEST(ACaseInsensitiveMount, RemovesAndReplacesUnderTheStoredName) {
  TestMount mount(Insensitive());
  ASSERT_EQ(mount.Errno("mkdir { path: 'Dir' mode: 0755 }"), 0);
  ASSERT_EQ(mount.Errno("create { path: 'One' mode: 0600 }"), 0);
  ASSERT_EQ(mount.Errno("create { path: 'Two' mode: 0640 }"), 0);
  EXPECT_EQ(mount.Errno("rename { from: 'ONE' to: 'TWO' }"), 0);
  EXPECT_THAT(mount.Do("readdir { path: '' }").names, ElementsAre("Dir", "Two")) << "what is replaced gives its name";
  EXPECT_EQ(mount.Do("lookup { path: 'Two' }").attr->mode, 0600);
  EXPECT_EQ(mount.Errno("rmdir { path: 'DIR' }"), 0);
  EXPECT_EQ(mount.Errno("unlink { path: 'tWO' }"), 0);
  EXPECT_THAT(mount.Do("readdir { path: '' }").names, ElementsAre());
  EXPECT_EQ(mount.Errno("unlink { path: 'tWO' }"), ENOENT);
  EXPECT_THAT(mount.Violations(), ElementsAre());
}

TEST(ACaseInsensitiveMount, GivesANameAnotherCase) {
  TestMount mount(Insensitive());
  ASSERT_EQ(mount.Errno("mkdir { path: 'Dir' mode: 0755 }"), 0);
  ASSERT_EQ(mount.Errno("mkdir { path: 'Dir/Sub' mode: 0755 }"), 0);
  EXPECT_EQ(mount.Errno("rename { from: 'Dir' to: 'DIR' }"), 0);
  EXPECT_EQ(mount.Errno("rename { from: 'dir/sub' to: 'dir/SUB' flags: 1 }"), 0) << "nothing is in the way";
  EXPECT_EQ(mount.Errno("rename { from: 'dIR' to: 'DIR' }"), 0) << "it is called so";
  EXPECT_THAT(mount.Do("readdir { path: '' }").names, ElementsAre("DIR"));
  EXPECT_THAT(mount.Do("readdir { path: 'dir' }").names, ElementsAre("SUB"));
  EXPECT_EQ(mount.Errno("rename { from: 'dir' to: 'DIR/sub/x' }"), EINVAL) << "into itself";
  EXPECT_EQ(mount.Errno("rename { from: 'dir' to: 'Dir' flags: 2 }"), ENOENT);
  EXPECT_THAT(mount.Violations(), ElementsAre());
}

TEST(ACaseInsensitiveMount, LooksAgainInTheTransactionThatCreates) {
  TestMount mount(Insensitive());
  TestStore* store = &mount.store();
  // The first operation takes a batch of inode numbers after its look-up.
  store->AfterCommit("w1/op1/txn#1", [store]() {
    store->Preload(WithPrefix({{EncodeKey(DentryKey(kRootInode, "NAME")), EncodeDentry({kTypeFile, Inode(50)})}}, "vol"));
  });
  const OperationResult result = mount.Do("create { path: 'name' mode: 0644 }");
  EXPECT_EQ(result.error, EEXIST);
  EXPECT_EQ(result.transactions.size(), 1U) << "that of the numbers";
}

}  // namespace
}  // namespace kvjury::juicefs
