// The invariants of a volume at rest hold on recorded volumes that were left in peace, and each is broken by what it is meant for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "harness/juicefs/invariants.h"
#include "harness/juicefs/test_patient.h"

namespace kvjury::juicefs {
namespace {

std::map<std::string, InvariantResult> CheckAtRest(const KeyValues& pairs, InvariantOptions options = {}) {
  options.at_rest = true;
  std::map<std::string, InvariantResult> named;
  std::vector<InvariantResult> results = CheckInvariants(BuildImage(pairs), options);
  EXPECT_EQ(results.size(), 22u);
  for (size_t i = 15; i < results.size(); ++i) {
    named[results[i].name] = std::move(results[i]);
  }
  return named;
}

std::map<std::string, std::pair<uint64_t, uint64_t>> ViolationsAndHazards(const std::map<std::string, InvariantResult>& results) {
  std::map<std::string, std::pair<uint64_t, uint64_t>> found;
  for (const auto& [name, result] : results) {
    if (!result.issues.empty()) {
      found[name] = {result.Violations(), result.Hazards()};
    }
  }
  return found;
}

TEST(InvariantsAtRest, HoldOnTheRecordedVolumesThatWereLeftInPeaceAndEachCountedSomething) {
  // `rich` has a cloned directory, whose statistics nobody corrects, and quotas; of `crashed` the client was killed.
  InvariantOptions clones;
  clones.clones = true;
  const std::map<std::string, InvariantResult> rich = CheckAtRest(RealVolume("rich"), clones);
  using Found = std::map<std::string, std::pair<uint64_t, uint64_t>>;
  EXPECT_EQ(ViolationsAndHazards(rich), (Found{{kInvariantDirectoryStatistics, {0, 1}}}));
  EXPECT_EQ(ViolationsAndHazards(CheckAtRest(RealVolume("rich"))), (Found{{kInvariantDirectoryStatistics, {1, 0}}}));
  EXPECT_EQ(ViolationsAndHazards(CheckAtRest(RealVolume("busy"))), Found());
  EXPECT_EQ(ViolationsAndHazards(CheckAtRest(RealVolume("crashed"), clones)),
            (Found{{kInvariantDirectoryStatistics, {0, 1}}, {kInvariantLeftovers, {11, 0}}}));
  for (const auto& [name, result] : rich) {
    EXPECT_GT(result.counted, 0u) << name;
  }
  EXPECT_EQ(rich.at(kInvariantUsedSpace).counted, 392u);
}

struct Unrest {
  std::string check;  // the only one that may report violations
  std::function<void(Patient*)> inflict;
  std::function<void(InvariantOptions*)> excuse;  // null: nothing excuses it
};

void LostFlush(InvariantOptions* options) { options->lost_flushes = true; }

const std::vector<Unrest>& Unrests() {
  static const std::vector<Unrest> unrests = {
      {kInvariantUsedSpace, [](Patient* p) { p->Put(CounterKey("usedSpace"), p->image().Counter("usedSpace") - 4096); }, LostFlush},
      {kInvariantTotalInodes, [](Patient* p) { p->Put(CounterKey("totalInodes"), p->image().Counter("totalInodes") + 1); }, LostFlush},
      {kInvariantDirectoryStatistics, [](Patient* p) { p->Put(DirStatKey(kRootInode), DirStat{1, 4096, 1}); }, LostFlush},
      {kInvariantDirectoryStatistics, [](Patient* p) { p->Remove(DirStatKey(kRootInode)); },
       [](InvariantOptions* options) { options->old_versions = true; }},
      {kInvariantDirectoryStatistics, [](Patient* p) { p->Put(DirStatKey(Inode(kTrashInode.value() + 1)), DirStat()); },
       [](InvariantOptions* options) { options->old_versions = true; }},
      {kInvariantDirectoryQuotas, [](Patient* p) { p->Put(DirQuotaKey(p->Find(kTypeDirectory)), Quota{1 << 30, 10, 1, 1}); }, LostFlush},
      {kInvariantDirectoryQuotas, [](Patient* p) { p->Put(DirQuotaKey(p->Find(kTypeDirectory)), Quota{1 << 30, 10, 1, 1}); },
       [](InvariantOptions* options) { options->clones = true; }},
      {kInvariantUserQuotas, [](Patient* p) { p->Put(UserQuotaKey(4'711), Quota{-1, -1, 4096, 1}); }, LostFlush},
      {kInvariantGroupQuotas, [](Patient* p) { p->Put(GroupQuotaKey(4'711), Quota{-1, -1, 4096, 1}); }, LostFlush},
      {kInvariantLeftovers, [](Patient* p) { p->Put(SessionKey(KeyKind::kSessionExpiry, 1), int64_t{1}); }, nullptr},
      {kInvariantLeftovers, [](Patient* p) { p->Put(DeletedFileKey(Inode(1'000), 5), int64_t{1}); }, nullptr},
      {kInvariantLeftovers, [](Patient* p) { p->Put(SliceReferencesKey(1'000, 4096), int64_t{-1}); }, nullptr},
      {kInvariantLeftovers, [](Patient* p) { p->Put(FlocksKey(p->Find(kTypeFile)), std::vector<Flock>{{1, 1, 'R'}}); }, nullptr},
  };
  return unrests;
}

TEST(InvariantsAtRest, EachUnrestIsFoundByItsCheckAndExcusedByItsException) {
  std::set<std::string> checks;
  for (const Unrest& unrest : Unrests()) {
    SCOPED_TRACE(unrest.check);
    Patient patient(RealVolume("rich"));
    unrest.inflict(&patient);
    InvariantOptions options;
    const bool quotas = unrest.check == kInvariantDirectoryQuotas;
    options.clones = unrest.check != kInvariantDirectoryStatistics && !quotas;
    std::set<std::string> convicting;
    for (const auto& [name, result] : CheckAtRest(patient.pairs(), options)) {
      if (result.Violations() > 0) {
        convicting.insert(name);
      }
    }
    if (quotas) {
      EXPECT_EQ(convicting.erase(kInvariantDirectoryStatistics), 1u) << "of the volume's cloned directory";
    }
    EXPECT_THAT(convicting, testing::ElementsAre(unrest.check));
    checks.insert(unrest.check);
    if (unrest.excuse == nullptr) {
      continue;
    }
    unrest.excuse(&options);
    // The cloned directory stays where only old versions are excused.
    const InvariantResult excused = CheckAtRest(patient.pairs(), options).at(unrest.check);
    EXPECT_EQ(excused.Violations(), options.old_versions ? 1u : 0u);
    EXPECT_GT(excused.Hazards(), 0u);
  }
  EXPECT_EQ(checks.size(), 7u) << "a check without a planted unrest is unproven";
}

}  // namespace
}  // namespace kvjury::juicefs
