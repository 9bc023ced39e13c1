// For tests: plays a recording of scenarios/probes against a cluster in a world, and words for what differs.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "fakes/tikv/cluster_test_bench.h"
#include "harness/drift/player.h"
#include "harness/drift/reasons.h"

namespace kvjury::drift {

inline std::string Probe(const std::string& name) { return std::string(KVJURY_SOURCE_DIR) + "/scenarios/probes/" + name; }

inline sim::Task<void> RunPlayer(Player* player, std::vector<RecordedCall> calls, std::optional<Result<Played>>* out) {
  auto playing = player->Play(std::move(calls));
  Result<Played> played = co_await std::move(playing);
  out->emplace(std::move(played));
}

/// The world stands still again afterwards.
inline Result<Played> PlayInWorld(tikv::ClusterBench* bench, std::vector<RecordedCall> calls) {
  PlayOptions options;
  options.pd = bench->cluster.pd_address();
  Player player(bench->channel, options);
  std::optional<Result<Played>> played;
  constexpr Micros kHourUs = 3'600'000'000;
  CHECK(bench->world.Run(RunPlayer(&player, std::move(calls), &played), kHourUs) == sim::RunEnd::kDone);
  return *std::move(played);
}

/// One line for each difference that has no reason, and for each reason without a difference.
inline std::string Unexplained(Played* played, const std::vector<KnownDifference>& reasons = {}) {
  std::string text = played->stopped.ok() ? "" : played->stopped.ToString() + "\n";
  for (const KnownDifference& known : Explain(reasons, &played->differences)) {
    text += "unused reason, line " + std::to_string(known.line) + ": " + known.reason + "\n";
  }
  for (const Difference& difference : played->differences) {
    text += difference.reason.empty() ? ToText(difference) + "\n" : "";
  }
  return text;
}

}  // namespace kvjury::drift
