#include "harness/juicefs/dump_binary.h"

#include <fmt/format.h>

#include <array>
#include <map>

#include "fakes/base/compress.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/record.h"
#include "proto/juicefs/dump.pb.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kEndMark = 0x00747083;
constexpr uint32_t kVersion = 1;
constexpr uint32_t kFormatType = 1;
constexpr size_t kSegmentHeadBytes = 12;
constexpr size_t kLengthBytes = 8;
// By type, from 1; the names that the footer uses.
constexpr std::array kTypeNames = {"format", "counter",   "node",  "edge", "chunk", "sliceRef", "symlink",  "sustained",
                                   "delFile", "xattr",    "acl",   "stat", "quota", "parent",   "changeLog"};

uint64_t BigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char c : bytes) {
    number = number << 8 | static_cast<uint8_t>(c);
  }
  return number;
}

class BinaryDumpReader {
 public:
  BinaryDumpReader(const std::string& file, std::string_view bytes) : file_(file), bytes_(bytes) {}

  Result<KeyValues> Read() {
    while (true) {
      if (bytes_.size() - at_ < sizeof(uint32_t)) {
        return Wrong("expected a segment or the end mark");
      }
      const auto type = static_cast<uint32_t>(BigEndian(bytes_.substr(at_, sizeof(uint32_t))));
      if (type == kEndMark) {
        break;
      }
      RETURN_IF_ERROR(ReadSegment(type));
    }
    RETURN_IF_ERROR(CheckFooter());
    return std::move(pairs_);
  }

 private:
  [[nodiscard]] Status Wrong(const std::string& words) const { return Status::DataLoss(fmt::format("{}, offset {}: {}", file_, at_, words)); }

  Status ReadSegment(uint32_t type) {
    if (type == 0 || type > kTypeNames.size()) {
      return Wrong(fmt::format("expected a segment of a type up to {}, got {}", kTypeNames.size(), type));
    }
    if (bytes_.size() - at_ < kSegmentHeadBytes) {
      return Wrong("the segment's head is cut off");
    }
    const uint64_t length = BigEndian(bytes_.substr(at_ + sizeof(uint32_t), kLengthBytes));
    if (length > bytes_.size() - at_ - kSegmentHeadBytes) {
      return Wrong(fmt::format("the segment has {} bytes, and so many are not there", length));
    }
    const std::string_view body = bytes_.substr(at_ + kSegmentHeadBytes, length);
    const auto size = static_cast<int>(length);
    ::juicefs::Format format;
    ::juicefs::Batch batch;
    const bool is_format = type == kFormatType;
    if (length > INT32_MAX || !(is_format ? format.ParseFromArray(body.data(), size) : batch.ParseFromArray(body.data(), size))) {
      return Wrong(fmt::format("the segment ({}) does not parse", kTypeNames[type - 1]));
    }
    type_ = kTypeNames[type - 1];
    if (is_format) {
      RETURN_IF_ERROR(Add(SettingKey(), format.setting()));
    } else {
      RETURN_IF_ERROR(AddBatch(batch));
    }
    at_ += kSegmentHeadBytes + length;
    return Status::Ok();
  }

  // One message of the dump with one record.
  Status Add(const Key& key, Bytes value) {
    ++counts_[type_];
    return Put(key, std::move(value));
  }
  Status Put(const Key& key, Bytes value) {
    Bytes key_bytes = EncodeKey(key);
    const Result<Record> decoded = DecodeRecord(key_bytes, value);
    if (!decoded.ok()) {
      return Wrong(decoded.error().message());
    }
    if (!pairs_.emplace(std::move(key_bytes), std::move(value)).second) {
      return Wrong(DescribeKey(key) + " is there twice");
    }
    return Status::Ok();
  }

  Status AddBatch(const ::juicefs::Batch& batch) {
    RETURN_IF_ERROR(AddTree(batch));
    for (const auto& counter : batch.counter()) {
      RETURN_IF_ERROR(Add(CounterKey(counter.key()), EncodeValue(CounterKey(counter.key()), counter.value())));
    }
    for (const auto& of_session : batch.sustained()) {
      ++counts_[type_];
      for (const uint64_t inode : of_session.inode()) {
        RETURN_IF_ERROR(Put(SustainedKey(of_session.session(), Inode(inode)), Bytes(1, '\1')));
      }
    }
    for (const auto& file : batch.deleted_file()) {
      RETURN_IF_ERROR(Add(DeletedFileKey(Inode(file.inode()), file.length()), EncodeInt64Be(file.expire())));
    }
    for (const auto& slice : batch.slice_references()) {
      RETURN_IF_ERROR(Add(SliceReferencesKey(slice.id(), slice.size()), EncodeInt64Le(slice.references() - 1)));
    }
    for (const auto& rule : batch.acl()) {
      RETURN_IF_ERROR(Add(AclRuleKey(rule.id()), rule.data()));
    }
    for (const auto& stat : batch.dir_stat()) {
      RETURN_IF_ERROR(Add(DirStatKey(Inode(stat.inode())), EncodeDirStat({stat.data_length(), stat.used_space(), stat.used_inodes()})));
    }
    RETURN_IF_ERROR(AddQuotas(batch.quota(), [](uint64_t id) { return DirQuotaKey(Inode(id)); }));
    RETURN_IF_ERROR(AddQuotas(batch.user_quota(), UserQuotaKey));
    RETURN_IF_ERROR(AddQuotas(batch.group_quota(), GroupQuotaKey));
    counts_[type_] += static_cast<uint64_t>(batch.change_log_size());
    return Status::Ok();
  }

  Status AddTree(const ::juicefs::Batch& batch) {
    for (const auto& node : batch.node()) {
      RETURN_IF_ERROR(Add(AttrKey(Inode(node.inode())), node.data()));
    }
    for (const auto& edge : batch.edge()) {
      RETURN_IF_ERROR(Add(DentryKey(Inode(edge.parent()), edge.name()), EncodeDentry({static_cast<uint8_t>(edge.type()), Inode(edge.inode())})));
    }
    for (const auto& chunk : batch.chunk()) {
      RETURN_IF_ERROR(Add(ChunkKey(Inode(chunk.inode()), chunk.index()), chunk.slices()));
    }
    for (const auto& symlink : batch.symlink()) {
      RETURN_IF_ERROR(Add(SymlinkKey(Inode(symlink.inode())), symlink.target()));
    }
    for (const auto& xattr : batch.xattr()) {
      RETURN_IF_ERROR(Add(XattrKey(Inode(xattr.inode()), xattr.name()), xattr.value()));
    }
    for (const auto& parent : batch.parent()) {
      RETURN_IF_ERROR(Add(LinkCountKey(Inode(parent.inode()), Inode(parent.parent())), EncodeInt64Le(parent.count())));
    }
    return Status::Ok();
  }

  template <class Quotas, class KeyOf>
  Status AddQuotas(const Quotas& quotas, const KeyOf& key_of) {
    for (const auto& quota : quotas) {
      RETURN_IF_ERROR(Add(key_of(quota.key()),
                          EncodeQuota({quota.max_space(), quota.max_inodes(), quota.used_space(), quota.used_inodes()})));
    }
    return Status::Ok();
  }

  Status CheckFooter() {
    const size_t begin = at_ + sizeof(uint32_t);
    if (bytes_.size() - begin < kLengthBytes) {
      return Wrong("the footer is cut off");
    }
    const size_t size = bytes_.size() - begin - kLengthBytes;
    ::juicefs::Footer footer;
    if (BigEndian(bytes_.substr(bytes_.size() - kLengthBytes)) != size || size > INT32_MAX ||
        !footer.ParseFromArray(bytes_.data() + begin, static_cast<int>(size)) || footer.magic() != kEndMark) {
      return Wrong("expected a footer behind the end mark");
    }
    if (footer.version() != kVersion) {
      return Status::Unsupported(fmt::format("{} is a binary dump of version {}; version {} can be read", file_, footer.version(), kVersion));
    }
    for (const char* name : kTypeNames) {
      const auto told = footer.segments().find(name);
      const uint64_t expected = told == footer.segments().end() ? 0 : told->second.count();
      if (expected != counts_[name]) {
        return Wrong(fmt::format("the footer tells of {} records of the kind {}, there are {}", expected, name, counts_[name]));
      }
    }
    return Status::Ok();
  }

  const std::string& file_;
  std::string_view bytes_;
  size_t at_ = 0;
  std::string type_;
  std::map<std::string, uint64_t> counts_;
  KeyValues pairs_;
};

}  // namespace

const std::vector<std::string>& BinaryDumpLosses() {
  static const std::vector<std::string> losses = {
      "A target of a symbolic link with %XX in it (two upper-case hex digits) is another one in a binary dump.",
      "Sessions, locks, slices delayed by compactions, unfinished clones and the times of background jobs are absent.",
  };
  return losses;
}

Result<KeyValues> ReadDumpBinary(const std::string& file_name, std::string_view file_bytes, size_t bytes_max) {
  Result<Bytes> bytes = DecompressByMagic(file_bytes, bytes_max);
  if (!bytes.ok()) {
    return bytes.error().WithContext(file_name);
  }
  return BinaryDumpReader(file_name, *bytes).Read();
}

}  // namespace kvjury::juicefs
