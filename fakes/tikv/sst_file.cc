#include "fakes/tikv/sst_file.h"

#include "fakes/tikv/sst_file_internal.h"

namespace kvjury::tikv {

Status SstFileWriter::Add(std::string_view key, std::string_view value) {
  CHECK(!finished_) << "Add after Finish";
  if (entries_ > 0 && key <= last_key_) {
    return Status::InvalidArgument("keys of an SST file must ascend: " + ToHex(key) + " does not come after " +
                                   ToHex(last_key_));
  }
  RETURN_IF_ERROR(AddInOrder(key, value));
  last_key_.assign(key);
  ++entries_;
  raw_bytes_ += key.size() + value.size();
  return Status::Ok();
}

Result<Bytes> SstFileWriter::Finish() {
  CHECK(!finished_) << "Finish is called once";
  finished_ = true;
  if (entries_ == 0) {
    return Status::InvalidArgument("an SST file without entries cannot be made");
  }
  return FinishFile();
}

std::unique_ptr<SstFileWriter> MakeSstFileWriter(SstCodec codec, SstCompression compression, int level) {
  return codec == SstCodec::kRocksDb ? internal::MakeRocksDbSstWriter(compression, level) : internal::MakeMemorySstWriter();
}

Result<std::unique_ptr<SstFileReader>> SstFileReader::Open(std::string_view bytes) {
  return internal::IsMemorySst(bytes) ? internal::OpenMemorySst(bytes) : internal::OpenTableSst(bytes);
}

Status SstFileReader::Visit(const std::function<Status(std::string_view key, std::string_view value)>& visit) {
  uint64_t seen = 0;
  Bytes last_key;
  RETURN_IF_ERROR(VisitAll([&](std::string_view key, std::string_view value) {
    if (seen > 0 && key <= last_key) {
      return Status::DataLoss("keys of the SST file do not ascend: " + ToHex(key) + " follows " + ToHex(last_key));
    }
    last_key.assign(key);
    ++seen;
    return visit(key, value);
  }));
  if (seen != entries()) {
    return Status::DataLoss("the SST file says that it has " + std::to_string(entries()) + " entries, but " +
                            std::to_string(seen) + " can be read");
  }
  return Status::Ok();
}

Result<std::vector<SstEntry>> ReadSst(std::string_view bytes) {
  ASSIGN_OR_RETURN(const std::unique_ptr<SstFileReader> reader, SstFileReader::Open(bytes));
  std::vector<SstEntry> entries;
  RETURN_IF_ERROR(reader->Visit([&entries](std::string_view key, std::string_view value) {
    entries.push_back(SstEntry{Bytes(key), Bytes(value)});
    return Status::Ok();
  }));
  return entries;
}

Result<Bytes> WriteSst(const std::vector<SstEntry>& entries, SstCodec codec, SstCompression compression) {
  const std::unique_ptr<SstFileWriter> writer = MakeSstFileWriter(codec, compression);
  for (const SstEntry& entry : entries) {
    RETURN_IF_ERROR(writer->Add(entry.key, entry.value));
  }
  return writer->Finish();
}

Result<SstCompression> ParseSstCompression(std::string_view name) {
  if (name.empty() || name == "zstd") {
    return SstCompression::kZstd;
  }
  if (name == "lz4") {
    return SstCompression::kLz4;
  }
  if (name == "snappy") {
    return SstCompression::kSnappy;
  }
  if (name == "none") {
    return SstCompression::kNone;
  }
  return Status::InvalidArgument("unknown compression \"" + Printable(name) + "\": expected zstd, lz4, snappy or none");
}

}  // namespace kvjury::tikv
