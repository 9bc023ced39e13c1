// The flat codec: magic, then for each entry varint key length, varint value length, key, value; at the end the count of
// entries and XXH3 over everything in front of the checksum, both little endian.
#include "fakes/base/digest.h"
#include "fakes/tikv/sst_file_internal.h"

namespace kvjury::tikv::internal {

namespace {

constexpr std::string_view kMagic = "kvjSST1\n";
constexpr size_t kFooterBytes = 16;

class MemorySstWriter final : public SstFileWriter {
 private:
  Status AddInOrder(std::string_view key, std::string_view value) override {
    AppendVarint(&bytes_, key.size());
    AppendVarint(&bytes_, value.size());
    bytes_.append(key);
    bytes_.append(value);
    return Status::Ok();
  }
  Result<Bytes> FinishFile() override {
    AppendLe64(&bytes_, entries());
    AppendLe64(&bytes_, Hash64(bytes_));
    return std::move(bytes_);
  }

  Bytes bytes_{kMagic};
};

class MemorySstReader final : public SstFileReader {
 public:
  MemorySstReader(std::string_view body, uint64_t entries) : body_(body), entries_(entries) {}
  [[nodiscard]] uint64_t entries() const override { return entries_; }
  [[nodiscard]] SstCodec codec() const override { return SstCodec::kMemory; }

 private:
  Status VisitAll(const std::function<Status(std::string_view, std::string_view)>& visit) override {
    ByteReader reader(body_);
    while (!reader.empty()) {
      const uint64_t key_bytes = reader.Varint();
      const uint64_t value_bytes = reader.Varint();
      const std::string_view key = reader.Take(key_bytes);
      const std::string_view value = reader.Take(value_bytes);
      if (!reader.ok()) {
        return Status::DataLoss("an entry of the in-memory SST file is cut short");
      }
      RETURN_IF_ERROR(visit(key, value));
    }
    return Status::Ok();
  }

  std::string_view body_;
  uint64_t entries_;
};

}  // namespace

std::unique_ptr<SstFileWriter> MakeMemorySstWriter() { return std::make_unique<MemorySstWriter>(); }

bool IsMemorySst(std::string_view bytes) { return bytes.substr(0, kMagic.size()) == kMagic; }

Result<std::unique_ptr<SstFileReader>> OpenMemorySst(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + kFooterBytes) {
    return Status::DataLoss("the in-memory SST file is cut short");
  }
  ByteReader footer(bytes.substr(bytes.size() - kFooterBytes));
  const uint64_t entries = footer.Le64();
  if (footer.Le64() != Hash64(bytes.substr(0, bytes.size() - sizeof(uint64_t)))) {
    return Status::DataLoss("the checksum of the in-memory SST file is wrong");
  }
  bytes.remove_prefix(kMagic.size());
  bytes.remove_suffix(kFooterBytes);
  return std::unique_ptr<SstFileReader>(std::make_unique<MemorySstReader>(bytes, entries));
}

}  // namespace kvjury::tikv::internal
