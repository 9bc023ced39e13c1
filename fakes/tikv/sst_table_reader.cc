// Reads RocksDB's block-based tables. Opening verifies the footer, every block's checksum and that the blocks and the footer
// cover the whole file, so that no byte of it is free to change.
#include <algorithm>
#include <map>
#include <optional>

#include "fakes/base/digest.h"
#include "fakes/tikv/sst_file_internal.h"
#include "fakes/tikv/sst_table_blocks.h"

namespace kvjury::tikv::internal {

namespace {

constexpr size_t kFooterBytes = 53;
constexpr size_t kFooterHandlesBytes = 40;
constexpr std::string_view kFooterMagic = "\xf7\xcf\xf4\x85\xb7\x41\xe2\x88";
constexpr uint8_t kCrc32cChecksum = 1;
constexpr char kFormatVersion = 2;
constexpr uint64_t kPutType = 1;

Status Damaged(const std::string& what) { return Status::DataLoss("no intact SST file: " + what); }

uint64_t LittleEndian(std::string_view bytes) { return ByteReader(bytes).Le64(); }

struct Footer {
  BlockHandle metaindex;
  BlockHandle index;
};

Result<Footer> ParseFooter(std::string_view file) {
  if (file.size() < kFooterBytes) {
    return Status::DataLoss("file is too short (" + std::to_string(file.size()) + " bytes) to be an sstable: " +
                            Bytes(kSstFileWord));
  }
  const std::string_view bytes = file.substr(file.size() - kFooterBytes);
  if (bytes.substr(kFooterBytes - kFooterMagic.size()) != kFooterMagic) {
    // RocksDB's words: br's restore looks for them.
    return Status::DataLoss("Bad table magic number: expected " + std::to_string(LittleEndian(kFooterMagic)) + ", found " +
                            std::to_string(LittleEndian(bytes.substr(kFooterBytes - kFooterMagic.size()))) + " in " +
                            Bytes(kSstFileWord));
  }
  const std::string_view version = bytes.substr(1 + kFooterHandlesBytes, 4);
  if (version.substr(1) != std::string_view("\0\0\0", 3)) {
    return Damaged("its footer has the format version " + ToHex(version));
  }
  if (version[0] != kFormatVersion || static_cast<uint8_t>(bytes[0]) != kCrc32cChecksum) {
    const std::string message = "an SST file of format version " + std::to_string(static_cast<uint8_t>(version[0])) +
                                " with checksum kind " + std::to_string(static_cast<uint8_t>(bytes[0])) +
                                ": only format version 2 with CRC32c (kind 1) is read";
    return Status::Unsupported(message);
  }
  ByteReader reader(bytes.substr(1, kFooterHandlesBytes));
  Footer footer;
  footer.metaindex = TakeBlockHandle(&reader);
  footer.index = TakeBlockHandle(&reader);
  Bytes canonical;  // a varint may be written in more than one way, which would leave bits free to change
  for (const uint64_t number : {footer.metaindex.offset, footer.metaindex.bytes, footer.index.offset, footer.index.bytes}) {
    AppendVarint(&canonical, number);
  }
  canonical.resize(kFooterHandlesBytes, '\0');
  if (!reader.ok() || bytes.substr(1, kFooterHandlesBytes) != canonical) {
    return Damaged("its footer has no two block handles with zeros behind them");
  }
  return footer;
}

/// A property that is a varint. Errors: kDataLoss if it is missing or no varint.
Result<uint64_t> VarintProperty(const std::map<Bytes, Bytes>& properties, const Bytes& name) {
  auto found = properties.find(name);
  if (found == properties.end()) {
    return Damaged("it has no property " + name);
  }
  ByteReader reader(found->second);
  const uint64_t value = reader.Varint();
  if (!reader.ok() || !reader.empty()) {
    return Damaged("its property " + name + " is no number");
  }
  return value;
}

bool IsZeroOrAbsent(const std::map<Bytes, Bytes>& properties, const Bytes& name) {
  auto found = properties.find(name);
  return found == properties.end() || found->second.find_first_not_of('\0') == Bytes::npos;
}

class TableSstReader final : public SstFileReader {
 public:
  explicit TableSstReader(std::string_view file) : file_(file) {}

  Status OpenAndVerify() {
    ASSIGN_OR_RETURN(const Footer footer, ParseFooter(file_));
    std::vector<BlockHandle> blocks = {footer.metaindex, footer.index};
    RETURN_IF_ERROR(ReadMetaBlocks(footer.metaindex, &blocks));
    RETURN_IF_ERROR(ReadIndex(footer.index));
    for (const BlockHandle& block : data_blocks_) {
      RETURN_IF_ERROR(VerifyBlock(file_, block));
      blocks.push_back(block);
    }
    return CheckCover(std::move(blocks));
  }

  [[nodiscard]] uint64_t entries() const override { return entries_; }
  [[nodiscard]] SstCodec codec() const override { return SstCodec::kRocksDb; }

 private:
  Status ReadMetaBlocks(BlockHandle metaindex, std::vector<BlockHandle>* blocks) {
    ASSIGN_OR_RETURN(const Bytes content, ReadBlock(file_, metaindex));
    std::optional<BlockHandle> properties;
    RETURN_IF_ERROR(VisitBlock(content, [&](std::string_view name, std::string_view value) -> Status {
      ByteReader reader(value);
      const BlockHandle handle = TakeBlockHandle(&reader);
      if (!reader.ok()) {
        return Damaged("its metaindex has no block handle for " + Printable(name));
      }
      if (name == "rocksdb.compression_dict" || name == "rocksdb.range_del2" || name == "rocksdb.range_del") {
        return Status::Unsupported("an SST file with the block " + Printable(name) + ", which backups do not have");
      }
      if (name == "rocksdb.properties") {
        properties = handle;
      }
      blocks->push_back(handle);
      return VerifyBlock(file_, handle);
    }));
    if (!properties.has_value()) {
      return Damaged("it has no properties");
    }
    return ReadProperties(*properties);
  }

  Status ReadProperties(BlockHandle handle) {
    ASSIGN_OR_RETURN(const Bytes content, ReadBlock(file_, handle));
    std::map<Bytes, Bytes> properties;
    RETURN_IF_ERROR(VisitBlock(content, [&properties](std::string_view name, std::string_view value) {
      properties[Bytes(name)] = Bytes(value);
      return Status::Ok();
    }));
    ASSIGN_OR_RETURN(entries_, VarintProperty(properties, "rocksdb.num.entries"));
    ASSIGN_OR_RETURN(data_blocks_expected_, VarintProperty(properties, "rocksdb.num.data.blocks"));
    if (!IsZeroOrAbsent(properties, "rocksdb.deleted.keys") || !IsZeroOrAbsent(properties, "rocksdb.merge.operands")) {
      return Status::Unsupported("an SST file with deletions or merges: backups hold plain entries only");
    }
    if (!IsZeroOrAbsent(properties, "rocksdb.block.based.table.index.type")) {
      return Status::Unsupported("an SST file whose index is no plain binary search index");
    }
    if (!IsZeroOrAbsent(properties, "rocksdb.external_sst_file.global_seqno")) {
      return Status::Unsupported("an SST file with a global sequence number: it was ingested into a store already");
    }
    return Status::Ok();
  }

  Status ReadIndex(BlockHandle handle) {
    ASSIGN_OR_RETURN(const Bytes content, ReadBlock(file_, handle));
    RETURN_IF_ERROR(VisitBlock(content, [this](std::string_view, std::string_view value) -> Status {
      ByteReader reader(value);
      data_blocks_.push_back(TakeBlockHandle(&reader));
      return reader.ok() && reader.empty() ? Status::Ok() : Damaged("its index holds something else than block handles");
    }));
    if (data_blocks_.size() != data_blocks_expected_) {
      return Damaged("it says that it has " + std::to_string(data_blocks_expected_) + " data blocks, but its index has " +
                     std::to_string(data_blocks_.size()));
    }
    return Status::Ok();
  }

  Status CheckCover(std::vector<BlockHandle> blocks) const {
    std::sort(blocks.begin(), blocks.end(), [](const BlockHandle& a, const BlockHandle& b) {
      return a.offset != b.offset ? a.offset < b.offset : a.bytes < b.bytes;
    });
    uint64_t covered = 0;
    for (const BlockHandle& block : blocks) {
      if (block.offset != covered) {
        return Damaged("its blocks do not follow each other: expected one at " + std::to_string(covered) + ", found " +
                       std::to_string(block.offset));
      }
      covered += block.bytes + kBlockTrailerBytes;
    }
    if (covered != file_.size() - kFooterBytes) {
      return Damaged("bytes between its blocks and its footer belong to nothing");
    }
    return Status::Ok();
  }

  Status VisitAll(const std::function<Status(std::string_view, std::string_view)>& visit) override {
    for (const BlockHandle& block : data_blocks_) {
      ASSIGN_OR_RETURN(const Bytes content, ReadBlock(file_, block));
      RETURN_IF_ERROR(VisitBlock(content, [&visit](std::string_view key, std::string_view value) {
        if (key.size() < sizeof(uint64_t)) {
          return Damaged("a key is shorter than its sequence number");
        }
        ByteReader trailer(key.substr(key.size() - sizeof(uint64_t)));
        if (trailer.Le64() != kPutType) {
          return Status::Unsupported("an SST entry that is no plain put of sequence number 0");
        }
        return visit(key.substr(0, key.size() - sizeof(uint64_t)), value);
      }));
    }
    return Status::Ok();
  }

  std::string_view file_;
  uint64_t entries_ = 0;
  uint64_t data_blocks_expected_ = 0;
  std::vector<BlockHandle> data_blocks_;
};

}  // namespace

Status SettleSessionIdentity(Bytes* file) {
  ASSIGN_OR_RETURN(const Footer footer, ParseFooter(*file));
  ASSIGN_OR_RETURN(const Bytes metaindex, ReadBlock(*file, footer.metaindex));
  BlockHandle properties;
  RETURN_IF_ERROR(VisitBlock(metaindex, [&properties](std::string_view name, std::string_view value) {
    ByteReader reader(value);
    properties = name == "rocksdb.properties" ? TakeBlockHandle(&reader) : properties;
    return Status::Ok();
  }));
  RETURN_IF_ERROR(VerifyBlock(*file, properties));
  const std::string_view content = std::string_view(*file).substr(properties.offset, properties.bytes);
  size_t at = 0;
  size_t size = 0;
  RETURN_IF_ERROR(VisitBlock(content, [&](std::string_view name, std::string_view value) {
    if (name == "rocksdb.creating.session.identity") {
      at = properties.offset + static_cast<size_t>(value.data() - content.data());
      size = value.size();
    }
    return Status::Ok();
  }));
  if (size == 0) {
    return Damaged("it has no session id");
  }
  // The id is of letters and digits, and as long as it was.
  std::fill_n(file->begin() + static_cast<std::ptrdiff_t>(at), size, '0');
  SealBlock(file, properties);
  uint64_t hash = Hash64(*file);
  for (size_t i = 0; i < std::min<size_t>(size, 16); ++i, hash >>= 4) {
    (*file)[at + i] = "0123456789ABCDEF"[hash & 15];
  }
  SealBlock(file, properties);
  return Status::Ok();
}

Result<std::unique_ptr<SstFileReader>> OpenTableSst(std::string_view bytes) {
  auto reader = std::make_unique<TableSstReader>(bytes);
  RETURN_IF_ERROR(reader->OpenAndVerify());
  return std::unique_ptr<SstFileReader>(std::move(reader));
}

}  // namespace kvjury::tikv::internal
