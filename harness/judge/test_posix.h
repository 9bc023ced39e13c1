// Test support: drawn operations for sessions that are compared with the model of POSIX, and what was seen of them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "harness/judge/errno_table.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::judge {

std::string TextOf(const record::Operation& operation);

/// Operations that the model knows. `alone`: of the one session of a volume, open files, locks and other callers than root among them.
std::vector<record::Operation> DrawForPosix(uint64_t seed, uint32_t writer, uint32_t count, uint32_t odd_path_ppm, bool alone);

/// Rows of scenarios/posix/known_differences.txt.
std::vector<KnownDifference> ReadKnownDifferences();

struct Seen {
  uint64_t operations = 0;
  uint64_t excused = 0;
  uint64_t commits = 0;
  uint64_t overtaken = 0;  // operations that are explained only by an earlier look-up
  uint64_t skewed = 0;     // commits that are explained only by what they read before another's commit
  uint64_t in_front = 0;   // refused by the kernel: the session is not asked
  std::map<int, uint64_t> done;
  std::map<int, uint64_t> refused;
  std::map<std::string, uint64_t> errors;
};

/// The first ten.
std::string Joined(const std::vector<std::string>& lines);

}  // namespace kvjury::judge
