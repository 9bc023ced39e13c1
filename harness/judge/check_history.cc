// HIST: the cut is a consistent one. Versions are compared by the transaction that wrote them, not only by value.
#include <algorithm>
#include <map>

#include "harness/judge/checks.h"

namespace kvjury::judge {

namespace {

struct Share {
  uint64_t at_cut = 0;    // keys of the transaction that are visible at the cut
  uint64_t in_files = 0;  // of those, in the files in the same version
  Bytes first_missing;
  Timestamp commit_ts;
};

const DeclaredTransaction* FindTransaction(const Evidence& evidence, Timestamp start_ts) {
  for (const DeclaredTransaction& transaction : evidence.transactions) {
    if (transaction.start_ts == start_ts) {
      return &transaction;
    }
  }
  return nullptr;
}

std::string NameOf(const Evidence& evidence, Timestamp start_ts) {
  const DeclaredTransaction* transaction = FindTransaction(evidence, start_ts);
  return transaction != nullptr ? transaction->label : "the transaction of start timestamp " + std::to_string(start_ts.value());
}

// Each transaction visible at the cut is in the files with all its visible keys.
void CheckWhole(const Evidence& evidence, Recorder* recorder) {
  std::map<Timestamp, Share> shares;
  for (const auto& [key, version] : evidence.source) {
    Share& share = shares[version.start_ts];
    share.commit_ts = version.commit_ts;
    ++share.at_cut;
    auto found = evidence.files->pairs.find(key);
    if (found != evidence.files->pairs.end() && found->second.start_ts == version.start_ts) {
      ++share.in_files;
    } else if (share.first_missing.empty()) {
      share.first_missing = key;
    }
  }
  for (const auto& [start_ts, share] : shares) {
    recorder->Count();
    if (share.in_files == share.at_cut) {
      continue;
    }
    const bool torn = share.in_files > 0;
    record::Finding* finding = recorder->Add(
        torn ? "torn-transaction" : "missing-transaction",
        NameOf(evidence, start_ts) + " committed at " + std::to_string(share.commit_ts.value()) +
            ", at or below the cut, and " + std::to_string(share.in_files) + " of its " + std::to_string(share.at_cut) +
            " visible keys are in the files");
    DescribeKeyInto(evidence, share.first_missing, start_ts, finding);
    finding->set_expected_ts(share.commit_ts.value());
    finding->set_expected_present(true);
    finding->set_lost_at(record::LOST_AT_FILES);
  }
}

// Nothing in the files committed above the cut or is absent from the truth at the cut.
void CheckNothingLater(const Evidence& evidence, Recorder* recorder) {
  for (const auto& [key, version] : evidence.files->pairs) {
    if (version.commit_ts <= evidence.cut) {
      auto found = evidence.source.find(key);
      if (found != evidence.source.end() && found->second.start_ts == version.start_ts) {
        continue;
      }
    }
    record::Finding* finding = recorder->Add(
        version.commit_ts > evidence.cut ? "commit-above-cut" : "version-not-of-the-cut",
        KeyText(key) + " is in the files as " + NameOf(evidence, version.start_ts) + " wrote it at " +
            std::to_string(version.commit_ts.value()) + ", which is not what was visible at the cut");
    DescribeKeyInto(evidence, key, version.start_ts, finding);
    finding->set_actual_ts(version.commit_ts.value());
    finding->set_actual_present(true);
    finding->set_lost_at(record::LOST_AT_FILES);
  }
}

// What was acknowledged is committed, and below the cut if that was before the tool asked for its timestamp.
void CheckAcknowledged(const Evidence& evidence, Recorder* recorder) {
  for (const DeclaredTransaction& transaction : evidence.transactions) {
    recorder->Count();
    const bool lost = transaction.acknowledged && !transaction.committed;
    const bool late = transaction.acknowledged && transaction.acknowledged_us < evidence.cut_us &&
                      transaction.commit_ts > evidence.cut;
    if (!lost && !late) {
      continue;
    }
    record::Finding* finding =
        lost ? recorder->Add("acknowledged-and-lost", transaction.label + " was acknowledged and is not committed")
             : recorder->Add("acknowledged-after-cut", transaction.label +
                                                           " was acknowledged before the cut was taken but committed above it");
    finding->set_written_by(transaction.label);
    finding->set_expected_ts(transaction.commit_ts.value());
    finding->set_lost_at(record::LOST_AT_SOURCE);
  }
}

// A transaction without a fate may be at or below the cut as well as not: whether the cut holds all of it cannot be said.
void CheckSettled(const Evidence& evidence, Recorder* recorder) {
  if (evidence.unsettled.empty()) {
    return;
  }
  constexpr size_t kNamedMax = 5;
  const size_t count = evidence.unsettled.size();
  std::string names;
  for (size_t i = 0; i < std::min(count, kNamedMax); ++i) {
    names += (i == 0 ? "" : "; ") + evidence.unsettled[i];
  }
  if (count > kNamedMax) {
    names += "; and " + std::to_string(count - kNamedMax) + " more";
  }
  recorder->Unproven("whether these committed could not be settled: " + names);
}

}  // namespace

Checked CheckHistory(const Evidence& evidence) {
  Recorder recorder("HIST", "transactions");
  if (!evidence.claim.backup_ran) {
    recorder.Unproven("no backup ended");
    return recorder.Take();
  }
  CheckSettled(evidence, &recorder);
  CheckAcknowledged(evidence, &recorder);
  for (const std::string& anomaly : evidence.model_anomalies) {
    recorder.Add("model-contradiction", anomaly)->set_lost_at(record::LOST_AT_SOURCE);
  }
  if (evidence.rewrite.has_value()) {
    return recorder.Take();  // no file tells of transactions; whether the target is of one moment is asked by TREE
  }
  if (!evidence.files.has_value()) {
    recorder.Unproven("the backup files could not be read");
    return recorder.Take();
  }
  CheckWhole(evidence, &recorder);
  CheckNothingLater(evidence, &recorder);
  return recorder.Take();
}

}  // namespace kvjury::judge
