#include "harness/judge/evidence.h"

#include "harness/juicefs/volumes.h"

namespace kvjury::judge {

juicefs::VolumeImage ImageOf(const Pairs& pairs, const std::string& volume) {
  const Bytes prefix = juicefs::VolumePrefix(volume);
  const Bytes end = PrefixEnd(prefix);
  juicefs::KeyValues records;
  for (auto it = pairs.lower_bound(prefix); it != pairs.end() && (end.empty() || it->first < end); ++it) {
    records.emplace_hint(records.end(), it->first.substr(prefix.size()), it->second.value);
  }
  return juicefs::BuildImage(records);
}

void DecodeImages(Evidence* evidence) {
  evidence->source_image = ImageOf(evidence->source, evidence->volume);
  if (evidence->target.has_value()) {
    evidence->target_image = ImageOf(*evidence->target, evidence->volume);
  }
}

void SettleRewrite(Evidence* evidence) {
  Rewrite& rewrite = *evidence->rewrite;
  evidence->cut = rewrite.begin;
  evidence->source = rewrite.at_begin;
  if (!evidence->target.has_value()) {
    return;
  }
  const Result<juicefs::View> target = juicefs::BuildView(ImageOf(*evidence->target, evidence->volume));
  if (!target.ok()) {
    return;  // the target shows no volume, which TREE says
  }
  rewrite.window = JudgeWindow(evidence->volume, rewrite.at_begin, rewrite.begin, rewrite.changes, *target, rewrite.form);
  if (rewrite.window->best.valid()) {
    evidence->cut = rewrite.window->best;
    evidence->source = rewrite.window->source_at_best;
  }
}

}  // namespace kvjury::judge
