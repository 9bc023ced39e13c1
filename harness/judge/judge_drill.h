// The verdict on a drill: a pure function of its evidence and of what two mounts showed.
//
// A tool that copies keys is judged by keys, view, files, invariants, clock and boundaries; one that rewrites the volume by view and
// invariants. A tool that names no timestamp is right if the restored view is the source's view at any commit of its window; if there is
// none, the two entries that no moment of the source showed together are named: the torn pair.
// The pace is judged by the side (RATE, checks.h): a limit that was not kept makes what is same unproven, and never different.
// Proved: what the checks count, and that the kernel showed the same of both. Not proved here, since real clients declare nothing: the
// model, the history, which ranges the stores answered.
#pragma once

#include <optional>
#include <string>

#include "fakes/base/status.h"
#include "harness/judge/evidence.h"
#include "harness/judge/torn_pair.h"
#include "harness/juicefs/view.h"
#include "proto/kvjury/drill.pb.h"

namespace kvjury::judge {

struct DrillWalks {
  juicefs::View source;
  juicefs::View target;
};

/// The target of a tool that names no timestamp, against every moment of its window: the mount beside the target shows the source at the
/// best one, and the verdict is about that one. Of source, changes and target alone. Errors: why the target shows no volume.
Result<WindowJudgement> WindowOf(const record::DrillEvidence& evidence);

/// Fills in outcome, why, cut, checks, findings, scope, unproven and digest of `record`, and rates where the evidence has them; leaves
/// the rest alone. `window`: that of this evidence, for who has it already; none: looked for here, of a tool that rewrites.
void JudgeDrill(const record::DrillEvidence& evidence, const std::optional<DrillWalks>& walks, record::DrillRecord* record,
                std::optional<Result<WindowJudgement>> window = std::nullopt);

/// The other way for the pairs: what a drill gathers.
void AddPairs(const Pairs& pairs, google::protobuf::RepeatedPtrField<record::DrillEvidence::Pair>* to);
Pairs PairsFrom(const google::protobuf::RepeatedPtrField<record::DrillEvidence::Pair>& from);

}  // namespace kvjury::judge
