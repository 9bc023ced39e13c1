// Invariants hold on the recorded volumes, and one planted damage of each kind is found by exactly the check meant for it.
#include "harness/juicefs/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "harness/juicefs/test_patient.h"

namespace kvjury::juicefs {
namespace {

std::vector<InvariantResult> Check(const KeyValues& pairs) { return CheckInvariants(BuildImage(pairs)); }

TEST(Invariants, HoldOnTheRecordedVolumesAndEachCountedSomething) {
  std::map<std::string, uint64_t> counted;
  for (const std::string& volume : RealVolumeNames()) {
    const std::vector<InvariantResult> results = Check(RealVolume(volume));
    ASSERT_EQ(results.size(), 15u);
    for (const InvariantResult& result : results) {
      counted[result.name] += result.counted;
      for (const InvariantIssue& issue : result.issues) {
        ADD_FAILURE() << volume << " " << result.name << " " << issue.ToString();
      }
    }
  }
  ASSERT_EQ(counted.size(), 15u);
  for (const auto& [name, count] : counted) {
    // No recorded volume holds half a clone.
    EXPECT_EQ(count > 0, name != kInvariantDetached) << name;
  }
}

struct Damage {
  std::string title;
  std::string volume;
  std::string check;  // the only one that may report violations
  std::function<void(Patient*)> inflict;
};

void PutDentry(Patient* p, const Key& key, uint8_t type, Inode inode) { p->Put(key, Dentry{type, inode}); }

const std::vector<Damage>& TreeDamages() {
  static const std::vector<Damage> damages = {
      {"setting removed", "rich", kInvariantSetting, [](Patient* p) { p->Remove(SettingKey()); }},
      {"nextInode removed", "rich", kInvariantSetting, [](Patient* p) { p->Remove(CounterKey("nextInode")); }},
      {"nextChunk removed", "busy", kInvariantSetting, [](Patient* p) { p->Remove(CounterKey("nextChunk")); }},
      {"inode of an empty file removed", "rich", kInvariantDentries,
       [](Patient* p) { p->Remove(AttrKey(p->EmptyFile())); }},
      {"inode of a directory removed", "busy", kInvariantDentries,
       [](Patient* p) { p->Remove(AttrKey(p->Find(kTypeDirectory))); }},
      {"type in an entry changed", "rich", kInvariantDentries,
       [](Patient* p) {
         const Inode file = p->Find(kTypeFile);
         PutDentry(p, p->PlaceOf(file), kTypeFifo, file);
       }},
      {"type in an entry out of range", "rich", kInvariantDentries,
       [](Patient* p) {
         const Inode file = p->Find(kTypeFile);
         PutDentry(p, p->PlaceOf(file), 9, file);
       }},
      {"inode of the trash removed", "rich", kInvariantDentries, [](Patient* p) { p->Remove(AttrKey(kTrashInode)); }},
      {"nlink of a file changed", "busy", kInvariantLinks,
       [](Patient* p) { p->ChangeAttr(p->Find(kTypeFile), [](Attr* attr) { ++attr->nlink; }); }},
      {"parent of a file changed", "rich", kInvariantLinks,
       [](Patient* p) { p->ChangeAttr(p->Find(kTypeFile), [](Attr* attr) { attr->parent = Inode(999); }); }},
      {"link count removed", "busy", kInvariantLinks,
       [](Patient* p) {
         const auto& [inode, counts] = *p->image().link_counts.begin();
         p->Remove(LinkCountKey(inode, counts.begin()->first));
       }},
      {"link count changed", "busy", kInvariantLinks,
       [](Patient* p) {
         const auto& [inode, counts] = *p->image().link_counts.begin();
         p->Put(LinkCountKey(inode, counts.begin()->first), counts.begin()->second + 1);
       }},
      {"one entry of a hard link removed", "busy", kInvariantLinks,
       [](Patient* p) { p->Remove(p->PlaceOf(p->image().link_counts.begin()->first)); }},
      {"sustained inode with a link", "crashed", kInvariantLinks,
       [](Patient* p) { p->ChangeAttr(p->image().sustained.begin()->second, [](Attr* attr) { attr->nlink = 1; }); }},
      {"parent of a directory changed", "rich", kInvariantDirectories,
       [](Patient* p) { p->ChangeAttr(p->Find(kTypeDirectory), [](Attr* attr) { attr->parent = Inode(999); }); }},
      {"nlink of a directory changed", "rich", kInvariantDirectoryNlink,
       [](Patient* p) { p->ChangeAttr(p->Find(kTypeDirectory), [](Attr* attr) { ++attr->nlink; }); }},
      {"nlink of an hour directory changed", "rich", kInvariantDirectoryNlink,
       [](Patient* p) { p->ChangeAttr(Inode(kTrashInode.value() + 1), [](Attr* attr) { attr->nlink = 3; }); }},
      {"entry of a file removed", "busy", kInvariantReachable,
       [](Patient* p) { p->Remove(p->PlaceOf(p->Find(kTypeFile))); }},
      {"sustained mark removed", "crashed", kInvariantReachable,
       [](Patient* p) {
         const auto& [session, inode] = *p->image().sustained.begin();
         p->Remove(SustainedKey(session, inode));
       }},
      {"hour directory renamed", "rich", kInvariantTrash,
       [](Patient* p) {
         const auto [name, dentry] = *p->image().dentries.at(kTrashInode).begin();
         p->Remove(DentryKey(kTrashInode, name));
         PutDentry(p, DentryKey(kTrashInode, "yesterday"), dentry.type, dentry.inode);
       }},
      {"entry in the trash renamed", "rich", kInvariantTrash,
       [](Patient* p) {
         const Inode hour(kTrashInode.value() + 1);
         const auto [name, dentry] = *p->image().dentries.at(hour).begin();
         p->Remove(DentryKey(hour, name));
         PutDentry(p, DentryKey(hour, "1-2-other"), dentry.type, dentry.inode);
       }},
  };
  return damages;
}

const std::vector<Damage>& RecordDamages() {
  static const std::vector<Damage> damages = {
      {"link target removed", "rich", kInvariantOwners,
       [](Patient* p) { p->Remove(SymlinkKey(p->Find(kTypeSymlink))); }},
      {"link target of a file", "rich", kInvariantOwners,
       [](Patient* p) { p->Put(SymlinkKey(p->Find(kTypeFile)), Bytes("x")); }},
      {"deletion mark of a living inode", "busy", kInvariantOwners,
       [](Patient* p) { p->Put(DeletedFileKey(p->Find(kTypeFile), 5), int64_t{1}); }},
      {"chunk of nobody", "rich", kInvariantOwners,
       [](Patient* p) { p->Put(ChunkKey(Inode(99'999), 0), std::vector<SliceRecord>{{0, 0, 0, 0, 5}}); }},
      {"chunk cut in the middle of a record", "rich", kInvariantChunks,
       [](Patient* p) {
         const Key key = ChunkKey(p->FileWithOneSlice(), 0);
         p->PutBytes(key, p->pairs().at(EncodeKey(key)).substr(0, 20));
       }},
      {"record longer than its slice", "busy", kInvariantChunks,
       [](Patient* p) { p->ChangeChunk(p->FileWithOneSlice(), [](SliceRecord* r) { r->length = r->size + 1; }); }},
      {"record behind the chunk", "rich", kInvariantChunks,
       [](Patient* p) { p->ChangeChunk(p->FileWithOneSlice(), [](SliceRecord* r) { r->position = 0xFFFFFFFF; }); }},
      {"slice from the future", "rich", kInvariantChunks,
       [](Patient* p) { p->ChangeChunk(p->FileWithOneSlice(), [](SliceRecord* r) { r->id = 1'000'000; }); }},
      {"nextChunk set back", "rich", kInvariantChunks, [](Patient* p) { p->Put(CounterKey("nextChunk"), int64_t{2}); }},
      {"references removed", "rich", kInvariantSliceReferences,
       [](Patient* p) {
         for (const auto& [slice, extra] : p->image().slice_references) {
           if (extra > 0) {
             p->Remove(SliceReferencesKey(slice.id, slice.size));
             return;
           }
         }
         FAIL() << "no slice with references";
       }},
      {"references of a slice that nothing uses", "busy", kInvariantSliceReferences,
       [](Patient* p) { p->Put(SliceReferencesKey(77, 1), int64_t{1}); }},
      {"delayed slices removed", "rich", kInvariantSliceReferences,
       [](Patient* p) {
         for (const auto& [when, slices] : p->image().delayed_slices) {
           p->Remove(DelayedSlicesKey(when.first, when.second));
         }
         // Where every delayed slice had one reference only, nothing else shows it.
         const auto& slices = p->image().delayed_slices.begin()->second;
         p->Put(SliceReferencesKey(slices[0].id, slices[0].size), int64_t{0});
       }},
      {"nextInode set back", "busy", kInvariantCounters,
       [](Patient* p) { p->Put(CounterKey("nextInode"), int64_t{5}); }},
      {"nextTrash removed", "rich", kInvariantCounters, [](Patient* p) { p->Remove(CounterKey("nextTrash")); }},
      {"nextSession removed", "crashed", kInvariantCounters, [](Patient* p) { p->Remove(CounterKey("nextSession")); }},
      {"ACL rule removed", "rich", kInvariantCounters, [](Patient* p) { p->Remove(AclRuleKey(1)); }},
      {"aclMaxId removed", "rich", kInvariantCounters, [](Patient* p) { p->Remove(CounterKey("aclMaxId")); }},
      {"inode cut by a byte", "rich", kInvariantForms,
       [](Patient* p) {
         const Key key = AttrKey(p->Find(kTypeFile));
         p->PutBytes(key, p->pairs().at(EncodeKey(key)).substr(0, 71));
       }},
      {"setting that is no JSON", "rich", kInvariantForms, [](Patient* p) { p->PutBytes(SettingKey(), "{"); }},
      {"counter of seven bytes", "rich", kInvariantForms,
       [](Patient* p) { p->PutBytes(CounterKey("usedSpace"), Bytes(7, '\0')); }},
      {"statistics cut", "rich", kInvariantForms,
       [](Patient* p) { p->PutBytes(DirStatKey(p->image().dir_stats.begin()->first), "short"); }},
  };
  return damages;
}

const std::vector<Damage>& OwnerDamages() {
  static const std::vector<Damage> damages = {
      {"a file in the trash's root", "rich", kInvariantTrash,
       [](Patient* p) {
         const Inode hour(kTrashInode.value() + 2);
         Attr attr;
         attr.type = kTypeFile;
         attr.nlink = 1;
         attr.parent = kTrashInode;
         p->Put(AttrKey(hour), attr);
         p->Put(CounterKey("nextTrash"), int64_t{2});
         PutDentry(p, DentryKey(kTrashInode, "2026-11-26-01"), kTypeFile, hour);
       }},
      {"delayed slice from the future", "rich", kInvariantChunks,
       [](Patient* p) {
         p->Put(DelayedSlicesKey(5, 7), std::vector<SliceName>{{1'000'000, 4096}});
       }},
      {"token beyond its counter", "rich", kInvariantCounters, [](Patient* p) { p->Put(DelegationTokenKey(1), Bytes("token")); }},
      {"heartbeat of a session that was never opened", "rich", kInvariantCounters,
       [](Patient* p) { p->Put(SessionKey(KeyKind::kSessionHeartbeat, 4'000), int64_t{1}); }},
      {"session of a sustained inode removed", "crashed", kInvariantSustainedSessions,
       [](Patient* p) {
         p->Remove(SessionKey(KeyKind::kSessionExpiry, p->image().sustained.begin()->first));
         for (const auto& [inode, locks] : p->image().flocks) {
           p->Remove(FlocksKey(inode));
         }
         for (const auto& [inode, locks] : p->image().plocks) {
           p->Remove(PlocksKey(inode));
         }
       }},
      {"BSD lock of no session", "crashed", kInvariantLockSessions,
       [](Patient* p) { p->Put(FlocksKey(p->Find(kTypeFile)), std::vector<Flock>{{0, 1, 'W'}}); }},
      {"POSIX lock of no session", "crashed", kInvariantLockSessions,
       [](Patient* p) { p->Put(PlocksKey(p->Find(kTypeFile)), std::vector<Plock>{{0, 1, {{1, 1, 0, 9}}}}); }},
      {"mark of a clone without an inode", "rich", kInvariantDetached, [](Patient* p) { p->Put(DetachedKey(Inode(900)), int64_t{1}); }},
  };
  return damages;
}

void ExpectFoundOnlyByItsCheck(const Damage& damage) {
  SCOPED_TRACE(damage.title);
  Patient patient(RealVolume(damage.volume));
  damage.inflict(&patient);
  ASSERT_FALSE(patient.pairs() == RealVolume(damage.volume)) << "nothing was damaged";
  std::set<std::string> convicting;
  for (const InvariantResult& result : Check(patient.pairs())) {
    if (result.Violations() != 0) {
      convicting.insert(result.name);
    }
    for (const InvariantIssue& issue : result.issues) {
      EXPECT_FALSE(issue.key.empty()) << result.name << " " << issue.text;
    }
  }
  EXPECT_THAT(convicting, testing::ElementsAre(damage.check));
}

TEST(Invariants, EachDamageIsFoundByExactlyTheCheckMeantForIt) {
  std::set<std::string> checks;
  for (const std::vector<Damage>* damages : {&TreeDamages(), &RecordDamages(), &OwnerDamages()}) {
    for (const Damage& damage : *damages) {
      ExpectFoundOnlyByItsCheck(damage);
      checks.insert(damage.check);
    }
  }
  EXPECT_EQ(checks.size(), 15u) << "a check without a planted damage is unproven";
}

std::string HazardOf(const KeyValues& pairs, const std::string& check) {
  std::string found;
  for (const InvariantResult& result : Check(pairs)) {
    EXPECT_EQ(result.Violations(), 0u) << result.name << " " << (result.issues.empty() ? "" : result.issues[0].ToString());
    if (result.name == check && result.Hazards() != 0) {
      found = result.issues[0].text;
    }
  }
  return found;
}

TEST(Invariants, LegalAnomaliesAreHazardsAndNotViolations) {
  Attr file;
  file.type = kTypeFile;
  file.nlink = 1;
  file.parent = Inode(900);
  Patient created(RealVolume("rich"));  // a file created in a directory that was removed at the same time
  created.Put(AttrKey(Inode(901)), file);
  created.Put(DentryKey(Inode(900), "late"), Dentry{kTypeFile, Inode(901)});
  EXPECT_THAT(HazardOf(created.pairs(), kInvariantDentries), testing::HasSubstr("removed directory"));
  EXPECT_THAT(HazardOf(created.pairs(), kInvariantReachable), testing::HasSubstr("removed directory"));

  Patient cycle(RealVolume("rich"));  // two renames put two directories into each other
  Attr directory;
  directory.type = kTypeDirectory;
  directory.nlink = 3;
  for (const auto& [inode, parent] : std::map<Inode, Inode>{{Inode(900), Inode(901)}, {Inode(901), Inode(900)}}) {
    directory.parent = parent;
    cycle.Put(AttrKey(inode), directory);
    cycle.Put(DentryKey(parent, "d"), Dentry{kTypeDirectory, inode});
  }
  EXPECT_THAT(HazardOf(cycle.pairs(), kInvariantReachable), testing::HasSubstr("cycle"));

  Patient detached(RealVolume("rich"));  // a clone that was not finished
  directory.nlink = 7;
  directory.parent = kRootInode;
  detached.Put(AttrKey(Inode(900)), directory);
  detached.Put(DetachedKey(Inode(900)), int64_t{1});
  EXPECT_EQ(HazardOf(detached.pairs(), kInvariantReachable), "");

  Patient unknown(RealVolume("rich"));
  KeyValues with_unknown = unknown.pairs();
  with_unknown["Zfuture"] = "1";
  EXPECT_THAT(HazardOf(with_unknown, kInvariantForms), testing::HasSubstr("no known kind"));
  EXPECT_EQ(Check({}).size(), 15u);
}

TEST(Invariants, AnOrphanedDirectoryIsReportedOnceAndNotForEverythingBelowIt) {
  Patient patient(RealVolume("busy"));
  const Inode directory = patient.Find(kTypeDirectory, [&](Inode inode, const Attr&) {
    const auto entries = patient.image().dentries.find(inode);
    return entries != patient.image().dentries.end() && entries->second.size() > 10;
  });
  patient.Remove(patient.PlaceOf(directory));
  const std::vector<InvariantResult> results = Check(patient.pairs());
  EXPECT_EQ(results[5].name, kInvariantReachable);
  ASSERT_EQ(results[5].Violations(), 1u);
  EXPECT_EQ(results[5].issues[0].inode, directory);
}

TEST(Invariants, EachBracketedExceptionIsAHazardWhereItIsSaidToApply) {
  const auto expect = [](Patient patient, const char* check, InvariantOptions options) {
    const auto violations = [&patient, check](const InvariantOptions& chosen) {
      std::map<std::string, std::pair<uint64_t, uint64_t>> counts;
      for (const InvariantResult& result : CheckInvariants(BuildImage(patient.pairs()), chosen)) {
        counts[result.name] = {result.Violations(), result.Hazards()};
      }
      return counts.at(check);
    };
    EXPECT_GT(violations({}).first, 0u) << check;
    EXPECT_EQ(violations(options).first, 0u) << check;
    EXPECT_GT(violations(options).second, 0u) << check;
  };
  Patient nlink(RealVolume("rich"));
  nlink.ChangeAttr(nlink.Find(kTypeDirectory), [](Attr* attr) { ++attr->nlink; });
  InvariantOptions skipped;
  skipped.skipped_directory_nlink = true;
  expect(nlink, kInvariantDirectoryNlink, skipped);

  Patient loaded(RealVolume("crashed"));
  loaded.Remove(SessionKey(KeyKind::kSessionExpiry, loaded.image().sustained.begin()->first));
  InvariantOptions binary;
  binary.after_binary_load = true;
  expect(loaded, kInvariantSustainedSessions, binary);

  Patient dropped(RealVolume("rich"));
  for (const auto& [when, slices] : dropped.image().delayed_slices) {
    dropped.Remove(DelayedSlicesKey(when.first, when.second));
  }
  const auto& delayed = dropped.image().delayed_slices.begin()->second;
  dropped.Put(SliceReferencesKey(delayed[0].id, delayed[0].size), int64_t{0});
  expect(dropped, kInvariantSliceReferences, binary);

  Patient conflict(RealVolume("rich"));
  const SliceRecord slice = conflict.image().chunks.at(conflict.FileWithOneSlice()).at(0).front();
  conflict.Put(SliceReferencesKey(slice.id, slice.size), int64_t{-1});
  InvariantOptions compaction;
  compaction.after_compaction_conflicts = true;
  expect(conflict, kInvariantSliceReferences, compaction);

  Patient half(RealVolume("rich"));
  half.Remove(CounterKey("nextInode"));
  InvariantOptions loading;
  loading.during_load = true;
  expect(half, kInvariantSetting, loading);
}

TEST(Invariants, AFileOfWhichOneLinkHangsBelowARemovedDirectoryIsReachable) {
  Patient patient(RealVolume("busy"));
  const auto& [inode, counts] = *patient.image().link_counts.begin();
  // The first of its places, in the order of directories, is in a directory that is gone.
  const Inode gone(0);
  Attr attr = patient.image().inodes.at(inode);
  ++attr.nlink;
  patient.Put(AttrKey(inode), attr);
  patient.Put(LinkCountKey(inode, gone), int64_t{1});
  PutDentry(&patient, DentryKey(gone, "late"), kTypeFile, inode);
  EXPECT_THAT(HazardOf(patient.pairs(), kInvariantDentries), testing::HasSubstr("removed directory"));
  EXPECT_EQ(HazardOf(patient.pairs(), kInvariantReachable), "");
}

TEST(Invariants, AClonedHardLinkThatIsNoFileKeepsItsNumberOfLinksAndHalfACloneIsNamed) {
  Patient clone(RealVolume("rich"));
  clone.ChangeAttr(clone.Find(kTypeSymlink), [](Attr* attr) { attr->nlink = 2; });
  EXPECT_THAT(HazardOf(clone.pairs(), kInvariantLinks), testing::HasSubstr("a clone of a hard link"));

  Patient half(RealVolume("rich"));
  Attr attr;
  attr.type = kTypeDirectory;
  attr.nlink = 2;
  attr.parent = kRootInode;
  half.Put(AttrKey(Inode(400)), attr);
  half.Put(DetachedKey(Inode(400)), int64_t{1});
  attr.type = kTypeFile;
  attr.nlink = 1;
  attr.parent = Inode(400);
  half.Put(AttrKey(Inode(401)), attr);
  half.Put(DentryKey(Inode(400), "a"), Dentry{kTypeFile, Inode(401)});
  EXPECT_EQ(HazardOf(half.pairs(), kInvariantDetached), "half a clone: a directory with 1 inodes below it is not attached yet");
}

}  // namespace
}  // namespace kvjury::juicefs
