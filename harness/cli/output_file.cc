#include "harness/cli/output_file.h"

#include "fakes/base/compress_stream.h"

namespace kvjury::cli {

Result<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& path) {
  ASSIGN_OR_RETURN(reports::WholeFile file, reports::WholeFile::Open(path));
  return std::unique_ptr<OutputFile>(new OutputFile(path, std::move(file)));
}

OutputFile::OutputFile(const std::string& path, reports::WholeFile file)
    : path_(path), file_(std::move(file)), compressor_(MakeCompressor(CompressionOfName(path), &file_)) {}

Status OutputFile::Write(std::string_view bytes) {
  if (stop_.requested().has_value()) {
    return Status::Cancelled("a signal came before " + path_ + " was whole");
  }
  return compressor_->Write(bytes);
}

Status OutputFile::Finish() { return compressor_->Finish(); }

}  // namespace kvjury::cli
