// The judge: runs every check over the evidence, names the earliest layer at which the truth was lost, and gives a verdict.
//
// SAME needs every check without finding, nothing unproven, and more than zero keys and entries compared. A tool that failed
// loudly under a fault or trigger is an honest failure; success over any finding is a false success.
#pragma once

#include <set>
#include <string>

#include "harness/judge/checks.h"
#include "harness/judge/evidence.h"
#include "proto/kvjury/verdict.pb.h"

namespace kvjury::judge {

struct Judgement {
  record::Outcome outcome = record::OUTCOME_NOTHING;
  bool false_success = false;
  std::vector<record::CheckResult> checks;
  /// Worst first: the earliest layer, then check order, then key.
  std::vector<record::Finding> findings;
  record::Scope scope;
  std::vector<std::string> unproven;
};

/// `codes`: the checks to be run; if empty, all, and of a tool that writes the volume anew all that can be asked of one. A scope in which
/// DIFF was not asked for needs no keys to be SAME.
Judgement Judge(const Evidence& evidence, const std::set<std::string>& codes = {});

}  // namespace kvjury::judge
