// A file, read from its front in pieces. Opened for reading only.
#pragma once

#include <memory>
#include <string>

#include "fakes/base/byte_stream.h"

namespace kvjury {

/// Errors: kNotFound, kEnvironment (it may not be read, or is a folder); each names the file. So do those of Read: kEnvironment.
Result<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path);

}  // namespace kvjury
