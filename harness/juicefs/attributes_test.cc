// Who asks, extended attributes, ACLs, flags and tiers of one writer: the bytes that they leave, and the errno of what is refused.
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "fakes/sim/scheduler.h"
#include "harness/juicefs/acl_rules.h"
#include "harness/juicefs/change_log.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/lock_ranges.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/test_volumes.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {
namespace {

constexpr char kVolume[] = "vol";

/// A formatted volume with some sessions; operations are given as the text of a case.
class Sessions {
 public:
  explicit Sessions(const Format& format, uint32_t count = 1, MountOptions mount = {}) : store_(&scheduler_, {}) {
    store_.Preload(WithPrefix(FormatPairs(format, store_.wall_ns() - int64_t{3'600'000'000'000}), kVolume));
    for (uint32_t i = 0; i < count; ++i) {
      WriterOptions options;
      options.id = i + 1;
      options.volume_name = kVolume;
      options.wall_ns = [this] { return store_.wall_ns(); };
      options.mount = mount;
      writers_.push_back(std::make_unique<Writer>(&store_, options));
      Run([](Writer* writer) -> sim::Task<void> {
        sim::Task<Status> start = writer->Start();
        const Status started = co_await std::move(start);
        EXPECT_TRUE(started.ok()) << started;
      }(writers_.back().get()));
    }
  }

  OperationResult Do(const std::string& text, uint32_t uid = 0, uint32_t gid = 0, size_t session = 0) {
    record::Operation operation;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &operation)) << text;
    operation.set_id(++last_id_);
    operation.set_uid(uid);
    operation.set_gid(gid);
    OperationResult result;
    Run([](Writer* writer, record::Operation asked, OperationResult* out) -> sim::Task<void> {
      sim::Task<OperationResult> run = writer->Do(std::move(asked));
      *out = co_await std::move(run);
    }(writers_[session].get(), std::move(operation), &result));
    return result;
  }
  int Error(const std::string& text, uint32_t uid = 0, uint32_t gid = 0, size_t session = 0) { return Do(text, uid, gid, session).error; }

  void Sleep(Micros duration_us) {
    Run([](sim::Scheduler* scheduler, Micros how_long_us) -> sim::Task<void> {
      co_await scheduler->Sleep(how_long_us, 7);
    }(&scheduler_, duration_us));
  }

  KeyValues Pairs() { return SelectVolume(store_.Snapshot(store_.Now()), kVolume); }
  Bytes Value(const Key& key) {
    const KeyValues pairs = Pairs();
    const auto found = pairs.find(EncodeKey(key));
    return found == pairs.end() ? Bytes("absent") : found->second;
  }
  Attr AttrOf(uint64_t inode) {
    Result<Attr> attr = DecodeAttr(Value(AttrKey(Inode(inode))));
    EXPECT_TRUE(attr.ok()) << "inode " << inode;
    return attr.ok() ? *attr : Attr();
  }
  TestStore& store() { return store_; }

 private:
  void Run(sim::Task<void> task) {
    sim::Scope scope(&scheduler_);
    scope.Spawn("test", std::move(task));
    while (scope.running() > 0) {
      ASSERT_TRUE(scheduler_.RunOne());
    }
    scope.RethrowFirst();
  }

  sim::Scheduler scheduler_;
  TestStore store_;
  std::vector<std::unique_ptr<Writer>> writers_;
  uint32_t last_id_ = 0;
};

Format WithAcl() {
  Format format = DefaultFormat(kVolume, 1);
  format.enable_acl = true;
  return format;
}

TEST(Callers, OwnWhatTheyMakeAndTakeTheGroupOfASetgidDirectory) {
  Sessions s(DefaultFormat(kVolume, 1));
  ASSERT_EQ(s.Error("mkdir { path: 'd' mode: 0755 }", 501, 20), 0);
  ASSERT_EQ(s.Error("setattr { path: 'd' mode: 02775 gid: 77 }"), 0);
  ASSERT_EQ(s.Error("mkdir { path: 'd/e' mode: 0755 }", 502, 21), 0);
  ASSERT_EQ(s.Error("create { path: 'd/f' mode: 0644 }", 502, 21), 0);
  ASSERT_EQ(s.Error("symlink { path: 'l' target: 't' }", 503, 22), 0);
  EXPECT_EQ(s.AttrOf(2).uid, 501U);
  EXPECT_EQ(s.AttrOf(3).gid, 77U);
  EXPECT_EQ(s.AttrOf(3).mode, 02755);
  EXPECT_EQ(s.AttrOf(4).uid, 502U);
  EXPECT_EQ(s.AttrOf(4).gid, 77U);
  EXPECT_EQ(s.AttrOf(4).mode, 0644);
  EXPECT_EQ(s.AttrOf(5).gid, 22U);
}

TEST(Callers, AreRefusedWhereTheClientItselfLooks) {
  Sessions s(DefaultFormat(kVolume, 1));
  ASSERT_EQ(s.Error("mkdir { path: 'tmp' mode: 01777 }"), 0);
  ASSERT_EQ(s.Error("create { path: 'tmp/f' mode: 0644 }", 501, 20), 0);
  ASSERT_EQ(s.Error("create { path: 'tmp/g' mode: 0644 }", 502, 20), 0);
  ASSERT_EQ(s.Error("mkdir { path: 'tmp/d' mode: 0755 }", 501, 20), 0);
  ASSERT_EQ(s.Error("create { path: 'root' mode: 0644 }"), 0);
  EXPECT_EQ(s.Error("unlink { path: 'tmp/f' }", 502, 20), EACCES);
  EXPECT_EQ(s.Error("rmdir { path: 'tmp/d' }", 502, 20), EACCES);
  EXPECT_EQ(s.Error("rename { from: 'tmp/f' to: 'tmp/x' }", 502, 20), EACCES);
  EXPECT_EQ(s.Error("rename { from: 'tmp/f' to: 'x' }", 502, 20), EACCES);
  EXPECT_EQ(s.Error("rename { from: 'tmp/g' to: 'tmp/f' }", 502, 20), EACCES) << "the replaced one is another's";
  EXPECT_EQ(s.Error("setattr { path: 'tmp/f' mode: 0600 }", 502, 20), EPERM);
  EXPECT_EQ(s.Error("setattr { path: 'tmp/f' gid: 20 }", 502, 20), EPERM);
  EXPECT_EQ(s.Error("setattr { path: 'root' mtime_ns: 5 }", 502, 20), EPERM);
  EXPECT_EQ(s.Error("setattr { path: 'tmp/f' mode: 0600 }", 501, 20), 0);
  EXPECT_EQ(s.Error("unlink { path: 'tmp/f' }", 501, 20), 0);
  const Bytes hour = TrashHourName(s.store().wall_ns());
  EXPECT_EQ(s.Error("unlink { path: '.trash/" + hour + "/2-3-f' }", 501, 20), EPERM) << "only root empties the trash";
  EXPECT_EQ(s.Error("rename { from: '.trash/" + hour + "/2-3-f' to: 'back' }", 501, 20), EPERM);
  EXPECT_EQ(s.Error("setattr { path: '.trash/" + hour + "/2-3-f' mode: 0600 }"), EPERM);
  EXPECT_EQ(s.Error("write { path: '.trash/" + hour + "/2-3-f' length: 1 }"), EPERM);
  EXPECT_EQ(s.Error("unlink { path: '.trash/" + hour + "/2-3-f' }"), 0);
}

TEST(SetAttr, AChownTakesTheSetIdBitsAwayAndATimeBefore1970IsNow) {
  Sessions s(DefaultFormat(kVolume, 1));
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  ASSERT_EQ(s.Error("setattr { path: 'f' mode: 06755 }"), 0);
  ASSERT_EQ(s.Error("setattr { path: 'f' uid: 501 }"), 0);
  EXPECT_EQ(s.AttrOf(2).mode, 0755);
  ASSERT_EQ(s.Error("setattr { path: 'f' mode: 06745 }"), 0);
  ASSERT_EQ(s.Error("setattr { path: 'f' uid: 502 }"), 0);
  EXPECT_EQ(s.AttrOf(2).mode, 02745) << "the group may not execute it: the bit means something else";
  ASSERT_EQ(s.Error("setattr { path: 'f' mtime_ns: -5 }"), 0);
  EXPECT_EQ(s.AttrOf(2).mtime_s, s.store().wall_ns() / 1'000'000'000);
}

TEST(Flags, KeepWhatTheySayInEveryOperation) {
  Sessions s(DefaultFormat(kVolume, 1));
  for (const char* name : {"i", "a", "n"}) {
    ASSERT_EQ(s.Error(std::string("create { path: '") + name + "' mode: 0644 }"), 0);
    ASSERT_EQ(s.Error(std::string("mkdir { path: 'd") + name + "' mode: 0755 }"), 0);
    ASSERT_EQ(s.Error(std::string("create { path: 'd") + name + "/f' mode: 0644 }"), 0);
    ASSERT_EQ(s.Error(std::string("mkdir { path: 'd") + name + "/e' mode: 0755 }"), 0);
  }
  ASSERT_EQ(s.Error("setattr { path: 'i' flags: 1 }"), 0);
  ASSERT_EQ(s.Error("setattr { path: 'di' flags: 1 }"), 0);
  ASSERT_EQ(s.Error("setattr { path: 'a' flags: 2 }"), 0);
  ASSERT_EQ(s.Error("setattr { path: 'da' flags: 2 }"), 0);
  EXPECT_EQ(s.Error("setattr { path: 'n' flags: 4 }"), ENOTSUP);
  for (const char* name : {"i", "a"}) {
    const std::string path = std::string("'") + name + "'";
    EXPECT_EQ(s.Error("write { path: " + path + " length: 1 }"), EPERM) << name;
    EXPECT_EQ(s.Error("truncate { path: " + path + " length: 1 }"), EPERM) << name;
    EXPECT_EQ(s.Error("unlink { path: " + path + " }"), EPERM) << name;
    EXPECT_EQ(s.Error("link { from: " + path + " to: 'x' }"), EPERM) << name;
    EXPECT_EQ(s.Error("rename { from: " + path + " to: 'x' }"), EPERM) << name;
    EXPECT_EQ(s.Error("rename { from: 'n' to: " + path + " }"), EPERM) << name;
    EXPECT_EQ(s.Error("setattr { path: " + path + " mode: 0600 }"), 0) << "no flag keeps the mode from being changed";
    const std::string directory = std::string("'d") + name;
    EXPECT_EQ(s.Error("unlink { path: " + directory + "/f' }"), EPERM) << name;
    EXPECT_EQ(s.Error("rmdir { path: " + directory + "/e' }"), EPERM) << name;
    EXPECT_EQ(s.Error("rename { from: " + directory + "/f' to: 'x' }"), EPERM) << name;
  }
  EXPECT_EQ(s.Error("create { path: 'di/x' mode: 0644 }"), EPERM);
  EXPECT_EQ(s.Error("link { from: 'n' to: 'di/x' }"), EPERM);
  EXPECT_EQ(s.Error("rename { from: 'n' to: 'di/x' }"), EPERM);
  EXPECT_EQ(s.Error("create { path: 'da/x' mode: 0644 }"), 0) << "an append-only directory takes new names";
  EXPECT_EQ(s.Error("rename { from: 'n' to: 'da/y' }"), 0);
}

TEST(Flags, SkipTrashAndTheTierAreInherited) {
  Format format = DefaultFormat(kVolume, 1);
  (*format.tiers)["2"] = StorageTier{2, "STANDARD_IA", ""};
  Sessions s(format);
  ASSERT_EQ(s.Error("mkdir { path: 'd' mode: 0755 }"), 0);
  EXPECT_EQ(s.Error("setattr { path: 'd' tier: 3 }"), EINVAL);
  ASSERT_EQ(s.Error("setattr { path: 'd' tier: 2 flags: 32 }"), 0);
  const Bytes directory = s.Value(AttrKey(Inode(2)));
  ASSERT_EQ(directory.size(), 73U);
  EXPECT_EQ(ToHex(directory.substr(51)), ToHex(Hex("0000000000001000 00000000 0000000000000001 02 00")));
  ASSERT_EQ(s.Error("create { path: 'd/f' mode: 0644 }"), 0);
  EXPECT_EQ(s.AttrOf(3).tier, 2);
  EXPECT_EQ(s.AttrOf(3).flags, 32);
  ASSERT_EQ(s.Error("unlink { path: 'd/f' }"), 0);
  EXPECT_EQ(s.Value(AttrKey(Inode(3))), "absent") << "it went past the trash";
}

TEST(Xattrs, AreSetReadListedAndRefused) {
  Sessions s(DefaultFormat(kVolume, 1));
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: 'v' flags: 2 }"), ENODATA);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: 'v' flags: 1 }"), 0);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: 'w' flags: 1 }"), EEXIST);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: 'w' flags: 2 }"), 0);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: 'w' flags: 3 }"), EINVAL);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: '' value: 'w' }"), EINVAL);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: '' }"), EINVAL);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'user.k' value: '" + std::string(65537, 'x') + "' }"), E2BIG);
  EXPECT_EQ(s.Error("setxattr { path: '.trash' name: 'user.k' value: 'w' }"), EPERM);
  EXPECT_EQ(s.Value(XattrKey(Inode(2), "user.k")), "w");
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'lastBackup' value: 'x' }"), 0);
  EXPECT_EQ(s.Do("get_xattr { path: 'f' name: 'user.k' }").value, "w");
  EXPECT_EQ(s.Error("get_xattr { path: 'f' name: 'user.z' }"), ENODATA);
  EXPECT_EQ(s.Error("get_xattr { path: 'none' name: 'user.z' }"), ENOENT);
  EXPECT_THAT(s.Do("list_xattr { path: 'f' }").names, testing::ElementsAre("lastBackup", "user.k"));
  ASSERT_EQ(s.Error("symlink { path: 'l' target: 'to/there' }"), 0);
  EXPECT_EQ(s.Do("readlink { path: 'l' }").value, "to/there");
  EXPECT_EQ(s.Error("readlink { path: 'f' }"), EINVAL);
  EXPECT_EQ(s.Error("readlink { path: 'none' }"), ENOENT);
}

constexpr char kGoldenAcl[] = "owner: 7 group: 5 mask: 5 other: 1 user { id: 1001 permissions: 6 }";

TEST(Acls, AreRulesOfTheirOwnAndSharedByContent) {
  Sessions s(WithAcl());
  ASSERT_EQ(s.Error("mkdir { path: 'd' mode: 0755 }"), 0);
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  const OperationResult set = s.Do(std::string("set_acl { path: 'd' ") + kGoldenAcl + " }");
  ASSERT_EQ(set.error, 0);
  ASSERT_EQ(set.transactions.size(), 2U) << "the id first, alone";
  EXPECT_EQ(set.transactions[0].kind, TransactionKind::kIdBatch);
  EXPECT_EQ(set.transactions[1].effects.size(), 2U);
  EXPECT_EQ(ToHex(s.Value(AclRuleKey(1))), ToHex(Hex("0007 0005 0005 0001 00000001 000003e9 0006 00000000")));
  EXPECT_EQ(ToHex(s.Value(CounterKey("aclMaxId"))), "0100000000000000");
  const Bytes attr = s.Value(AttrKey(Inode(2)));
  ASSERT_EQ(attr.size(), 80U);
  EXPECT_EQ(ToHex(attr.substr(0, 3)), "0021e9") << "mode 0751: the mask stands for the group";
  EXPECT_EQ(ToHex(attr.substr(47)), ToHex(Hex("00000002 0000000000001000 00000000 0000000000000001 00000001 00000000 00")));

  EXPECT_EQ(s.Do(std::string("set_acl { path: 'f' ") + kGoldenAcl + " }").transactions.size(), 1U) << "a known rule";
  EXPECT_EQ(s.AttrOf(3).access_acl, 1U);
  EXPECT_EQ(s.Error("setattr { path: 'f' mode: 0640 }"), 0);
  EXPECT_EQ(s.AttrOf(3).access_acl, 2U) << "the mode belongs to another rule";
  EXPECT_EQ(ToHex(s.Value(AclRuleKey(2))), ToHex(Hex("0006 0005 0004 0000 00000001 000003e9 0006 00000000")));
  EXPECT_EQ(s.Do("get_acl { path: 'f' }").value, PosixAclXattr(*DecodeAclRule(s.Value(AclRuleKey(2)))));
  EXPECT_EQ(s.Do("get_xattr { path: 'f' name: 'system.posix_acl_access' }").value, s.Do("get_acl { path: 'f' }").value);
  EXPECT_THAT(s.Do("list_xattr { path: 'f' }").names, testing::ElementsAre("system.posix_acl_access"));

  EXPECT_EQ(s.Error("set_acl { path: 'f' owner: 7 group: 0 other: 4 mask: 65535 }"), 0) << "says no more than a mode";
  EXPECT_EQ(s.AttrOf(3).access_acl, 0U);
  EXPECT_EQ(s.AttrOf(3).mode, 0704);
  EXPECT_EQ(s.Error("get_acl { path: 'f' }"), ENODATA);
  EXPECT_EQ(s.Error("set_acl { path: 'd' remove: true }"), 0);
  EXPECT_EQ(s.AttrOf(2).access_acl, 0U);
  EXPECT_EQ(s.AttrOf(2).mode, 0751);
}

TEST(Acls, OfADirectoryAreInherited) {
  Sessions s(WithAcl());
  ASSERT_EQ(s.Error("mkdir { path: 'd' mode: 0755 }"), 0);
  ASSERT_EQ(s.Error(std::string("set_acl { path: 'd' is_default: true ") + kGoldenAcl + " }"), 0);
  EXPECT_EQ(s.AttrOf(2).default_acl, 1U);
  EXPECT_EQ(s.AttrOf(2).mode, 0755) << "a default rule leaves the mode";
  ASSERT_EQ(s.Error("mkdir { path: 'd/e' mode: 0777 }"), 0);
  EXPECT_EQ(s.AttrOf(3).default_acl, 1U);
  EXPECT_EQ(s.AttrOf(3).access_acl, 1U) << "nothing is left out: the same rule";
  EXPECT_EQ(s.AttrOf(3).mode, 0751);
  ASSERT_EQ(s.Error("create { path: 'd/f' mode: 0640 }"), 0);
  EXPECT_EQ(s.AttrOf(4).default_acl, 0U);
  EXPECT_EQ(s.AttrOf(4).access_acl, 2U);
  EXPECT_EQ(s.AttrOf(4).mode, 0640);
  EXPECT_EQ(ToHex(s.Value(AclRuleKey(2))), ToHex(Hex("0006 0005 0004 0000 00000001 000003e9 0006 00000000")));
  ASSERT_EQ(s.Error("symlink { path: 'd/l' target: 't' }"), 0);
  EXPECT_EQ(s.AttrOf(5).access_acl, 0U);
  ASSERT_EQ(s.Error("set_acl { path: 'd' is_default: true owner: 7 group: 5 other: 0 mask: 65535 }"), 0);
  ASSERT_EQ(s.Error("create { path: 'd/g' mode: 0666 }"), 0);
  EXPECT_EQ(s.AttrOf(6).access_acl, 0U) << "a minimal default rule makes a mode";
  EXPECT_EQ(s.AttrOf(6).mode, 0640);
}

TEST(Acls, OfTwoClientsMayHaveTwoIdsForOneRule) {
  Sessions s(WithAcl(), 2);
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  ASSERT_EQ(s.Error("create { path: 'g' mode: 0644 }"), 0);
  ASSERT_EQ(s.Error(std::string("set_acl { path: 'f' ") + kGoldenAcl + " }"), 0);
  ASSERT_EQ(s.Error(std::string("set_acl { path: 'g' ") + kGoldenAcl + " }", 0, 0, 1), 0);
  EXPECT_EQ(s.Value(AclRuleKey(1)), s.Value(AclRuleKey(2)));
  EXPECT_EQ(s.AttrOf(3).access_acl, 2U);
  EXPECT_EQ(s.Error("set_acl { path: 'g' owner: 7 group: 7 mask: 7 other: 7 user { id: 5 permissions: 7 } }", 0, 0, 1), 0);
  EXPECT_EQ(s.AttrOf(3).access_acl, 3U);
  EXPECT_EQ(s.Error(std::string("set_acl { path: 'g' ") + kGoldenAcl + " }", 0, 0, 1), 0);
  EXPECT_EQ(s.AttrOf(3).access_acl, 1U) << "the gap below the highest id was looked up";
}

TEST(Acls, AreRefusedWithTheErrnoOfAMount) {
  Sessions without(DefaultFormat(kVolume, 1));
  ASSERT_EQ(without.Error("create { path: 'f' mode: 0644 }"), 0);
  EXPECT_EQ(without.Error(std::string("set_acl { path: 'f' ") + kGoldenAcl + " }"), ENOTSUP);
  EXPECT_EQ(without.Error("get_acl { path: 'f' }"), ENODATA);
  EXPECT_EQ(without.Error("removexattr { path: 'f' name: 'system.posix_acl_access' }"), ENOTSUP);
  Sessions s(WithAcl());
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }", 501, 20), 0);
  ASSERT_EQ(s.Error("symlink { path: 'l' target: 't' }"), 0);
  EXPECT_EQ(s.Error(std::string("set_acl { path: 'none' ") + kGoldenAcl + " }"), ENOENT);
  EXPECT_EQ(s.Error(std::string("set_acl { path: 'l' ") + kGoldenAcl + " }"), ENOTSUP);
  EXPECT_EQ(s.Error(std::string("set_acl { path: 'f' is_default: true ") + kGoldenAcl + " }"), EACCES);
  EXPECT_EQ(s.Error(std::string("set_acl { path: 'f' ") + kGoldenAcl + " }", 502, 20), EPERM);
  EXPECT_EQ(s.Error(std::string("set_acl { path: '.trash' ") + kGoldenAcl + " }"), EPERM);
  EXPECT_EQ(s.Error("set_acl { path: 'f' owner: 9 group: 5 other: 1 mask: 5 }"), EINVAL);
  EXPECT_EQ(s.Error("set_acl { path: 'f' owner: 7 group: 5 other: 1 mask: 65535 user { id: 1 permissions: 7 } }"), EINVAL);
  EXPECT_EQ(s.Error("setxattr { path: 'f' name: 'system.posix_acl_access' value: 'abc' }"), EINVAL);
  ASSERT_EQ(s.Error("setattr { path: 'f' flags: 1 }"), 0);
  EXPECT_EQ(s.Error(std::string("set_acl { path: 'f' ") + kGoldenAcl + " }"), EPERM);
}

TEST(Acls, GoThroughTheKernelsFormUnchanged) {
  AclRule rule{7, 5, 6, 1, {{1001, 6}, {1002, 0}}, {{20, 4}}};
  EXPECT_EQ(ParsePosixAclXattr(PosixAclXattr(rule)), rule);
  rule = AclRule{6, 4, kAclUndefined, 0, {}, {}};
  EXPECT_EQ(ParsePosixAclXattr(PosixAclXattr(rule)), rule);
  Bytes twice = PosixAclXattr(rule);
  twice += twice.substr(4, 8);
  EXPECT_FALSE(ParsePosixAclXattr(twice).has_value());
  EXPECT_FALSE(ParsePosixAclXattr(Hex("02000000 0200 0700 e9030000")).has_value()) << "a named entry without a mask";
  EXPECT_FALSE(ParsePosixAclXattr(Hex("03000000")).has_value());
}

TEST(Locks, OfAFileAreOneRecordWithEveryOwner) {
  Sessions s(DefaultFormat(kVolume, 1), 2);
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 0xabc kind: 1 }"), 0);
  EXPECT_EQ(ToHex(s.Value(FlocksKey(Inode(2)))), ToHex(Hex("0000000000000001 0000000000000abc 57")));
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 0xabd kind: 0 }"), EAGAIN);
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 0xabc kind: 0 }", 0, 0, 1), EAGAIN) << "the same number of another session";
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 0xabc kind: 0 }"), 0);
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 1 kind: 0 }", 0, 0, 1), 0);
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 0xabc kind: 1 }"), EAGAIN);
  EXPECT_EQ(DecodeFlocks(s.Value(FlocksKey(Inode(2))))->size(), 2U);
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 0xabc kind: 2 }"), 0);
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 1 kind: 2 }", 0, 0, 1), 0);
  EXPECT_EQ(s.Value(FlocksKey(Inode(2))), "absent");
  EXPECT_EQ(s.Error("flock { path: 'f' owner: 1 kind: 3 }"), EINVAL);
  EXPECT_EQ(s.Error("flock { path: 'none' owner: 1 kind: 1 }"), ENOENT);
}

TEST(Locks, OfRangesConflictAndAreFoundByWhoAsks) {
  Sessions s(DefaultFormat(kVolume, 1), 2);
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 0xabc kind: 1 start: 0 end: 99 pid: 4242 }"), 0);
  EXPECT_EQ(ToHex(s.Value(PlocksKey(Inode(2)))),
            ToHex(Hex("0000000000000001 0000000000000abc 00000018 00000001 00001092 0000000000000000 0000000000000063")));
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 2 kind: 0 start: 99 end: 200 }", 0, 0, 1), EAGAIN);
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 2 kind: 0 start: 100 end: 200 pid: 5 }", 0, 0, 1), 0);
  EXPECT_EQ(s.Do("get_lock { path: 'f' owner: 3 kind: 0 start: 50 end: 150 }").lock, (PlockRange{1, 4242, 0, 99}));
  EXPECT_EQ(s.Do("get_lock { path: 'f' owner: 3 kind: 1 start: 150 end: 160 }").lock, (PlockRange{0, 0, 100, 200})) << "no pid of another host";
  EXPECT_FALSE(s.Do("get_lock { path: 'f' owner: 3 kind: 0 start: 150 end: 160 }").lock.has_value());
  EXPECT_FALSE(s.Do("get_lock { path: 'f' owner: 0xabc kind: 1 start: 0 end: 9 }").lock.has_value()) << "one's own";
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 3 kind: 1 start: 0 end: 9 block: true }"), EINTR) << "nobody lets go";
  EXPECT_TRUE(s.Do("set_lock { path: 'f' owner: 9 kind: 2 start: 0 end: 9 }").transactions.empty()) << "nothing is held";
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 0xabc kind: 2 start: 0 end: 99 }"), 0);
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 2 kind: 2 start: 0 end: 999 }", 0, 0, 1), 0);
  EXPECT_EQ(s.Value(PlocksKey(Inode(2))), "absent");
  EXPECT_EQ(s.Error("set_lock { path: 'f' owner: 2 kind: 1 start: 5 end: 4 }"), EINVAL);
}

TEST(LockRanges, MergeAndSplit) {
  using Ranges = std::vector<PlockRange>;
  const Ranges held = {{1, 7, 0, 99}};
  EXPECT_EQ(SetLockRange(held, {2, 7, 40, 49}), (Ranges{{1, 7, 0, 39}, {1, 7, 50, 99}}));
  EXPECT_EQ(SetLockRange(held, {0, 7, 40, 49}), (Ranges{{1, 7, 0, 39}, {0, 7, 40, 49}, {1, 7, 50, 99}}));
  EXPECT_EQ(SetLockRange(held, {1, 7, 100, 120}), (Ranges{{1, 7, 0, 120}}));
  EXPECT_EQ(SetLockRange(held, {1, 8, 100, 120}), (Ranges{{1, 7, 0, 99}, {1, 8, 100, 120}})) << "of another process";
  EXPECT_EQ(SetLockRange({{1, 7, 0, 9}, {1, 7, 20, 29}}, {1, 7, 10, 19}), (Ranges{{1, 7, 0, 19}, {1, 7, 20, 29}})) << "pairs are joined once";
  EXPECT_EQ(SetLockRange({{1, 7, 0, 9}, {1, 7, 20, 29}}, {1, 7, 5, 25}), (Ranges{{1, 7, 0, 9}, {1, 7, 10, 25}, {1, 7, 26, 29}}));
  EXPECT_EQ(SetLockRange({{0, 7, 0, 9}, {0, 7, 20, 29}}, {2, 7, 5, 25}), (Ranges{{0, 7, 0, 4}, {0, 7, 26, 29}}));
  EXPECT_EQ(SetLockRange(held, {2, 7, 0, INT64_MAX}), Ranges());
}

TEST(AccessTimes, AreWrittenAsTheMountSays) {
  for (const AtimeMode mode : {AtimeMode::kNoAtime, AtimeMode::kRelatime, AtimeMode::kStrictAtime}) {
    MountOptions mount;
    mount.atime = mode;
    Sessions s(DefaultFormat(kVolume, 1), 1, mount);
    ASSERT_EQ(s.Error("mkdir { path: 'd' mode: 0755 }"), 0);
    ASSERT_EQ(s.Error("create { path: 'd/f' mode: 0644 }"), 0);
    s.Sleep(2'000'000);
    ASSERT_EQ(s.Error("write { path: 'd/f' length: 10 }"), 0);
    s.Sleep(2'000'000);
    const bool on = mode != AtimeMode::kNoAtime;
    EXPECT_EQ(s.Do("read { path: 'd/f' length: 10 }").transactions.size(), on ? 1U : 0U) << "changed since it was read";
    EXPECT_EQ(s.AttrOf(3).atime_s > s.AttrOf(3).mtime_s, on);
    s.Sleep(2'000'000);
    const size_t strict = mode == AtimeMode::kStrictAtime ? 1 : 0;
    EXPECT_EQ(s.Do("open { path: 'd/f' handle: 1 flags: 1 }").transactions.size(), strict) << "opening alone, for writing too";
    EXPECT_EQ(s.Do("read { path: 'd/f' length: 10 }").transactions.size(), 0U);
    EXPECT_EQ(s.Do("close { handle: 1 }").transactions.size(), 0U);
    s.Sleep(2'000'000);
    ASSERT_EQ(s.Error("setattr { path: 'd/f' flags: 1 }"), 0);
    EXPECT_EQ(s.Error("write { path: 'd/f' length: 1 }"), EPERM);
    EXPECT_LT(s.AttrOf(3).atime_s, s.AttrOf(3).ctime_s) << "what may not be opened is not touched";
    ASSERT_EQ(s.Error("setattr { path: 'd/f' flags: 0 }"), 0);
    EXPECT_EQ(s.Do("read { path: 'd/f' length: 10 }").transactions.size(), on ? 1U : 0U);
    s.Sleep(2'000'000);
    EXPECT_EQ(s.Do("read { path: 'd/f' length: 10 }").transactions.size(), strict);
    EXPECT_EQ(s.Do("readdir { path: 'd' }").transactions.size(), strict);
    EXPECT_EQ(s.Do("read { path: 'd/f' length: 10 }").transactions.size(), 0U) << "less than a second ago";
    s.Sleep(Micros{90'000} * 1'000'000);
    EXPECT_EQ(s.Do("readdir { path: 'd' }").transactions.size(), on ? 1U : 0U) << "a day later";
  }
}

TEST(ChangeLog, HasTheTextOfAnAttributeChangeUnderTheStartTimestamp) {
  Format format = DefaultFormat(kVolume, 1);
  format.change_log = true;
  Sessions s(format);
  ASSERT_EQ(s.Error("create { path: 'f' mode: 0644 }"), 0);
  const OperationResult result = s.Do("setxattr { path: 'f' name: 'user.k,' value: '\\001%' flags: 1 }");
  ASSERT_EQ(result.transactions.size(), 1U);
  const Timestamp ts = result.transactions[0].start_ts;
  const Bytes text = s.Value(ChangelogKey(ChangeLogShard(ts), ts.value()));
  EXPECT_THAT(text, testing::HasSubstr("|SETXATTR(2,user.k%2C,%01%25,1)|(1,"));
  EXPECT_NEAR(static_cast<double>(ChangeLogTimeNs(text)), static_cast<double>(s.store().wall_ns()), 1e9);
  EXPECT_EQ(s.Do("setxattr { path: 'f' name: 'user.k,' value: '\\001%' }").transactions.size(), 1U) << "the text is written all the same";
}

}  // namespace
}  // namespace kvjury::juicefs
