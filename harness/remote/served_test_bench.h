// For tests: a served cluster in this process, and recordings played against it over its real ports.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "fakes/base/memcomparable.h"
#include "fakes/ports/served_cluster.h"
#include "harness/drift/player.h"
#include "harness/drift/reasons.h"
#include "harness/remote/remote_world.h"

namespace kvjury::remote {

/// A folder that is gone with its owner.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = testing::TempDir() + "/kvjury-XXXXXX";
    CHECK(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::unique_ptr<ports::ServedCluster> ServeCluster(uint32_t stores, const ports::TlsFiles& tls = {},
                                                          std::vector<std::pair<Bytes, Bytes>> pairs = {}) {
  ports::ServeOptions options;
  options.pd_port = 0;
  options.stores = stores;
  options.tls = tls;
  for (auto& [key, value] : pairs) {
    options.versions.push_back({std::move(key), std::move(value), {}, {}});
  }
  Result<std::unique_ptr<ports::ServedCluster>> served = ports::ServedCluster::Start(std::move(options));
  CHECK(served.ok()) << served.status();
  return *std::move(served);
}

inline std::unique_ptr<RemoteWorld> Connect(const ports::TlsFiles& tls = {}) {
  Result<std::unique_ptr<RemoteWorld>> world = RemoteWorld::Start(tls);
  CHECK(world.ok()) << world.status();
  return *std::move(world);
}

inline std::string ProbePath(const std::string& name) { return std::string(KVJURY_SOURCE_DIR) + "/scenarios/probes/" + name; }

/// Cuts the cluster at every region boundary of a recording.
inline void CutLike(ports::ServedCluster* served, const std::vector<drift::RecordedCall>& calls) {
  const Result<drift::RecordedCluster> recorded = drift::DescribeCluster(calls);
  CHECK(recorded.ok()) << recorded.status();
  CHECK(served->live().Run([served, &recorded]() {
    for (const metapb::Region& region : recorded->regions) {
      if (!region.start_key().empty()) {
        static_cast<void>(served->cluster().SplitAt(DecodeKey(region.start_key()).value()));
      }
    }
  }));
  // Until PD has heard of it.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
}

/// What differs and has no reason, one line each, and the reasons that explain nothing.
inline std::string PlayOverPorts(RemoteWorld* world, const std::string& pd, std::vector<drift::RecordedCall> calls,
                                 const std::string& folder, const std::string& reasons_name, size_t compared_wanted) {
  drift::PlayOptions options;
  options.pd = pd;
  options.folder = folder;
  drift::Player player(world->channel(), options);
  Result<drift::Played> played = world->Run(player.Play(std::move(calls)));
  if (!played.ok()) {
    return played.status().ToString();
  }
  EXPECT_EQ(played->compared, compared_wanted);
  std::vector<drift::KnownDifference> reasons;
  if (!reasons_name.empty()) {
    reasons = drift::LoadReasons(ProbePath(reasons_name)).value();
  }
  std::string text = played->stopped.ok() ? "" : played->stopped.ToString() + "\n";
  for (const drift::KnownDifference& known : drift::Explain(reasons, &played->differences)) {
    text += "unused reason, line " + std::to_string(known.line) + "\n";
  }
  for (const drift::Difference& difference : played->differences) {
    text += difference.reason.empty() ? ToText(difference) + "\n" : "";
  }
  return text;
}

}  // namespace kvjury::remote
