// MVCC and DIFF: the records under the values, and every visible pair in both directions.
#include "harness/judge/check_rewrite.h"
#include "harness/judge/checks.h"

namespace kvjury::judge {

Checked CheckMvcc(const Evidence& evidence) {
  Recorder recorder("MVCC", "records");
  if (evidence.files.has_value()) {
    recorder.Count(evidence.files->pairs.size());
    for (const record::Finding& finding : evidence.files->findings) {
      if (finding.check() == "MVCC") {
        recorder.Add(finding);
      }
    }
  } else if (!evidence.rewrite.has_value()) {
    recorder.Unproven("the backup files could not be read");
  }
  if (evidence.target_records.has_value()) {
    recorder.Count(evidence.target_records->records_checked);
    for (const record::Finding& finding : evidence.target_records->findings) {
      recorder.Add(finding);
    }
  } else {
    recorder.Unproven("nothing was restored");
  }
  return recorder.Take();
}

Checked CheckDiff(const Evidence& evidence) {
  Recorder recorder("DIFF", "keys");
  if (!evidence.target.has_value()) {
    recorder.Unproven("nothing was restored");
    return recorder.Take();
  }
  if (evidence.rewrite.has_value()) {
    CompareRewrittenKeys(evidence, &recorder);
    return recorder.Take();
  }
  auto source = evidence.source.begin();
  auto target = evidence.target->begin();
  while (source != evidence.source.end() || target != evidence.target->end()) {
    recorder.Count();
    const bool source_first =
        target == evidence.target->end() || (source != evidence.source.end() && source->first < target->first);
    const bool target_first =
        source == evidence.source.end() || (target != evidence.target->end() && target->first < source->first);
    if (source_first) {
      record::Finding* finding = recorder.Add(
          "missing-key", KeyText(source->first) + " was visible at the cut and is not visible on the target");
      DescribeKeyInto(evidence, source->first, source->second.start_ts, finding);
      finding->set_expected(source->second.value);
      finding->set_expected_present(true);
      finding->set_expected_ts(source->second.commit_ts.value());
      ++source;
      continue;
    }
    if (target_first) {
      record::Finding* finding = recorder.Add(
          "extra-key", KeyText(target->first) + " is visible on the target and was not visible at the cut");
      DescribeKeyInto(evidence, target->first, target->second.start_ts, finding);
      finding->set_actual(target->second.value);
      finding->set_actual_present(true);
      finding->set_actual_ts(target->second.commit_ts.value());
      ++target;
      continue;
    }
    if (source->second.value != target->second.value) {
      record::Finding* finding =
          recorder.Add("value-differs", KeyText(source->first) + " has another value on the target");
      DescribeKeyInto(evidence, source->first, source->second.start_ts, finding);
      finding->set_expected(source->second.value);
      finding->set_actual(target->second.value);
      finding->set_expected_present(true);
      finding->set_actual_present(true);
      finding->set_expected_ts(source->second.commit_ts.value());
      finding->set_actual_ts(target->second.commit_ts.value());
    }
    ++source;
    ++target;
  }
  return recorder.Take();
}

}  // namespace kvjury::judge
