// Looking for the blocks of a volume's slices among objects; shared by OBJ and GC.
#pragma once

#include <map>
#include <string>

#include "harness/judge/finding.h"

namespace kvjury::judge {

struct BlockText {
  std::string kind;   // of the findings
  std::string place;  // "the restored volume"
};

/// Counts every block of every slice that `image` names, and adds a finding for each that is not among `objects` with its size. Unproven
/// without a bucket in the evidence, whose layout names the blocks.
void CheckBlocks(const Evidence& evidence, const juicefs::VolumeImage& image, const std::map<std::string, uint64_t>& objects,
                 const BlockText& text, Recorder* recorder);

}  // namespace kvjury::judge
