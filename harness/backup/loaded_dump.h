// Records wherever there is a way to them: of a JSON dump, which holds none, those that `juicefs load` makes of it.
//
// For whoever needs keys and values to go on with: serve, run, dump, load. What a dump shows of the volume that it was made from is OpenAddress's
// business (address.h).
#pragma once

#include "harness/backup/address.h"

namespace kvjury::backup {

/// As OpenAddress, but the content of dump:// is kVolume, read in pieces. Errors: as OpenAddress.
Result<OpenedSource> OpenRecords(const Address& address);

}  // namespace kvjury::backup
