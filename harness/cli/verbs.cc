#include "harness/cli/verb.h"

namespace kvjury::cli {

std::vector<std::unique_ptr<Verb>> MakeVerbs() {
  std::vector<std::unique_ptr<Verb>> verbs;
  verbs.push_back(MakeRunVerb());
  verbs.push_back(MakeReplayVerb());
  verbs.push_back(MakeSelftestVerb());
  verbs.push_back(MakeSoakVerb());
  verbs.push_back(MakeDriveVerb());
  verbs.push_back(MakeServeVerb());
  verbs.push_back(MakeDriftVerb());
  verbs.push_back(MakePokeVerb());
  verbs.push_back(MakeViewVerb());
  verbs.push_back(MakeDiffVerb());
  verbs.push_back(MakeCheckVerb());
  verbs.push_back(MakeDumpVerb());
  verbs.push_back(MakeLoadVerb());
  verbs.push_back(MakeReferenceVerb());
  verbs.push_back(MakeWriteVerb());
  verbs.push_back(MakeListVerb());
  return verbs;
}

}  // namespace kvjury::cli
