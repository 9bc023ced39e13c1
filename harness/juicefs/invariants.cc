#include "harness/juicefs/invariants.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "harness/juicefs/invariant_context.h"

namespace kvjury::juicefs {

std::string InvariantIssue::ToString() const {
  return fmt::format("{}: {}: {}", severity == IssueSeverity::kViolation ? "violation" : "hazard", DescribeKey(key), text);
}

namespace {

uint64_t CountSeverity(const std::vector<InvariantIssue>& issues, IssueSeverity severity) {
  return static_cast<uint64_t>(
      std::count_if(issues.begin(), issues.end(), [&](const InvariantIssue& issue) { return issue.severity == severity; }));
}

}  // namespace

uint64_t InvariantResult::Violations() const { return CountSeverity(issues, IssueSeverity::kViolation); }
uint64_t InvariantResult::Hazards() const { return CountSeverity(issues, IssueSeverity::kHazard); }

InvariantContext::InvariantContext(const VolumeImage& volume, const InvariantOptions& chosen)
    : image(volume), options(chosen) {
  for (const auto& [directory, entries] : image.dentries) {
    for (const auto& [name, dentry] : entries) {
      places[dentry.inode].push_back({directory, name, dentry.type});
    }
  }
  for (const auto& [session, inode] : image.sustained) {
    sustained.insert(inode);
  }
}

size_t InvariantContext::PlaceCount(Inode inode) const {
  const auto found = places.find(inode);
  return found == places.end() ? 0 : found->second.size();
}

bool InvariantContext::InsideDetached(Inode inode) const {
  if (image.detached.empty()) {
    return false;
  }
  std::set<Inode> seen;
  while (seen.insert(inode).second) {
    if (image.detached.count(inode) != 0) {
      return true;
    }
    const auto found = places.find(inode);
    if (found == places.end()) {
      return false;
    }
    inode = found->second.front().directory;
  }
  return false;
}

bool InvariantContext::HasSession(uint64_t session) const {
  if (image.session_expiries.count(session) != 0 || image.session_heartbeats.count(session) != 0) {
    return true;
  }
  return std::any_of(image.problems.begin(), image.problems.end(), [session](const ImageProblem& problem) {
    return problem.key == SessionKey(KeyKind::kSessionExpiry, session) || problem.key == SessionKey(KeyKind::kSessionHeartbeat, session);
  });
}

void InvariantContext::ForEachEntryBelow(Inode top, const std::function<bool(const Dentry& entry)>& visit) const {
  std::set<Inode> seen = {top};
  std::vector<Inode> waiting = {top};
  while (!waiting.empty()) {
    const auto entries = image.dentries.find(waiting.back());
    waiting.pop_back();
    if (entries == image.dentries.end()) {
      continue;
    }
    for (const auto& [name, entry] : entries->second) {
      if (visit(entry) && seen.insert(entry.inode).second) {
        waiting.push_back(entry.inode);
      }
    }
  }
}

void AddIssue(InvariantResult* result, IssueSeverity severity, const Key& key, std::string text) {
  result->issues.push_back({severity, key.inode, EncodeKey(key), std::move(text)});
}

void AddViolation(InvariantResult* result, const Key& key, std::string text) {
  AddIssue(result, IssueSeverity::kViolation, key, std::move(text));
}

void AddHazard(InvariantResult* result, const Key& key, std::string text) {
  AddIssue(result, IssueSeverity::kHazard, key, std::move(text));
}

std::vector<InvariantResult> CheckInvariants(const VolumeImage& image, const InvariantOptions& options) {
  const InvariantContext context(image, options);
  std::vector<InvariantResult> results = {
      CheckSetting(context),          CheckDentries(context),          CheckLinks(context),        CheckDirectories(context),
      CheckDirectoryNlink(context),   CheckReachable(context),         CheckOwners(context),       CheckChunks(context),
      CheckSliceReferences(context),  CheckCounters(context),          CheckForms(context),        CheckTrash(context),
      CheckSustainedSessions(context), CheckLockSessions(context),     CheckDetached(context)};
  if (options.at_rest) {
    std::vector<InvariantResult> at_rest = CheckAtRest(context);
    std::move(at_rest.begin(), at_rest.end(), std::back_inserter(results));
  }
  if (options.during_load) {
    for (InvariantResult& result : results) {
      for (InvariantIssue& issue : result.issues) {
        issue.severity = IssueSeverity::kHazard;
      }
    }
  }
  return results;
}

}  // namespace kvjury::juicefs
