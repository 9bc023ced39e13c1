// The two codecs behind sst_file.h; not for other files.
#pragma once

#include "fakes/tikv/sst_file.h"

namespace kvjury::tikv::internal {

std::unique_ptr<SstFileWriter> MakeRocksDbSstWriter(SstCompression compression, int level);
Result<std::unique_ptr<SstFileReader>> OpenTableSst(std::string_view bytes);
/// Replaces the session id that RocksDB draws for each file by one that the file's other bytes give, so that equal entries make equal files.
/// Errors: kDataLoss if it is not where RocksDB puts it.
Status SettleSessionIdentity(Bytes* file);

std::unique_ptr<SstFileWriter> MakeMemorySstWriter();
bool IsMemorySst(std::string_view bytes);
Result<std::unique_ptr<SstFileReader>> OpenMemorySst(std::string_view bytes);

}  // namespace kvjury::tikv::internal
