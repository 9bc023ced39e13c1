#include "harness/juicefs/dump_binary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "fakes/base/compress_stream.h"
#include "harness/juicefs/dump_segments.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/record.h"
#include "proto/juicefs/dump.pb.h"

namespace kvjury::juicefs {

namespace {

constexpr size_t kReadStepBytes = size_t{1} << 20;

uint64_t BigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char c : bytes) {
    number = number << 8 | static_cast<uint8_t>(c);
  }
  return number;
}

class BinaryDumpLoader {
 public:
  BinaryDumpLoader(const std::string& file, ByteSource* source, LoadTarget* target, uint64_t bytes_max, sim::PlantedBugs* bugs)
      : file_(file), source_(source), target_(target), bytes_max_(bytes_max), bugs_(bugs) {}

  Result<LoadReport> Load() {
    while (true) {
      ASSIGN_OR_RETURN(const Bytes number, Take(sizeof(uint32_t)));
      if (number.size() < sizeof(uint32_t)) {
        return Wrong("expected a segment or the end mark");
      }
      const auto type = static_cast<uint32_t>(BigEndian(number));
      if (type == kBinaryDumpEndMark) {
        break;
      }
      RETURN_IF_ERROR(ReadSegment(type));
    }
    RETURN_IF_ERROR(CheckFooter());
    if (acl_id_max_ != 0) {
      RETURN_IF_ERROR(Put(CounterKey("aclMaxId"), EncodeInt64Le(acl_id_max_)));
    }
    return report_;
  }

 private:
  [[nodiscard]] Status Wrong(const std::string& words) const { return Status::DataLoss(fmt::format("{}, offset {}: {}", file_, at_, words)); }

  /// So many bytes, or those up to the end. A length that is a lie costs no more memory than there are bytes.
  Result<Bytes> Take(uint64_t count) {
    Bytes bytes;
    while (bytes.size() < count) {
      const size_t before = bytes.size();
      bytes.resize(before + std::min<uint64_t>(count - before, kReadStepBytes));
      const Result<size_t> got = ReadFully(source_, bytes.data() + before, bytes.size() - before);
      if (!got.ok()) {
        return got.error().WithContext(file_);
      }
      taken_ += *got;
      if (taken_ > bytes_max_) {
        return Status::InvalidArgument(fmt::format("{}: decompressed size is over the limit of {} bytes", file_, bytes_max_));
      }
      if (*got < bytes.size() - before) {
        bytes.resize(before + *got);
        break;
      }
    }
    return bytes;
  }

  Status ReadSegment(uint32_t type) {
    if (type == 0 || type > kSegmentKindCount) {
      return Wrong(fmt::format("expected a segment of a type up to {}, got {}", kSegmentKindCount, type));
    }
    ASSIGN_OR_RETURN(const Bytes length_bytes, Take(kSegmentHeadBytes - sizeof(uint32_t)));
    if (length_bytes.size() < kSegmentHeadBytes - sizeof(uint32_t)) {
      return Wrong("the segment's head is cut off");
    }
    const uint64_t length = BigEndian(length_bytes);
    ASSIGN_OR_RETURN(const Bytes body, Take(length));
    if (body.size() < length) {
      return Wrong(fmt::format("the segment has {} bytes, and so many are not there", length));
    }
    const auto size = static_cast<int>(length);
    ::juicefs::Format format;
    kind_ = static_cast<SegmentKind>(type);
    const bool is_format = kind_ == SegmentKind::kFormat;
    if (length > INT32_MAX || !(is_format ? format.ParseFromArray(body.data(), size) : batch_.ParseFromArray(body.data(), size))) {
      return Wrong(fmt::format("the segment ({}) does not parse", SegmentKindName(kind_)));
    }
    if (is_format) {
      RETURN_IF_ERROR(Add(SettingKey(), format.setting()));
    } else {
      RETURN_IF_ERROR(AddBatch(batch_));
    }
    at_ += kSegmentHeadBytes + length;
    return Status::Ok();
  }

  uint64_t& Count() { return counts_[static_cast<size_t>(kind_) - 1]; }

  // One message of the dump with one record.
  Status Add(const Key& key, Bytes value) {
    ++Count();
    return Put(key, std::move(value));
  }
  Status Put(const Key& key, Bytes value) {
    Bytes key_bytes = EncodeKey(key);
    const Result<Record> decoded = DecodeRecord(key_bytes, value);
    if (!decoded.ok()) {
      return Wrong(decoded.error().message());
    }
    ++report_.pair_count;
    const Status put = target_->Put(key_bytes, value);
    return put.code() == StatusCode::kAlreadyExists ? Wrong(DescribeKey(key) + " is there twice") : put;
  }

  Status AddBatch(const ::juicefs::Batch& batch) {
    RETURN_IF_ERROR(AddTree(batch));
    for (const auto& counter : batch.counter()) {
      if ((counter.key() == "usedSpace" || counter.key() == "totalInodes") && sim::BugOn(bugs_, sim::Bug::kUsageCountersZero)) {
        ++Count();
        continue;
      }
      RETURN_IF_ERROR(Add(CounterKey(counter.key()), EncodeValue(CounterKey(counter.key()), counter.value())));
    }
    for (const auto& of_session : batch.sustained()) {
      ++Count();
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
      const bool of_first_batch = acl_id_max_ != 0 && sim::BugOn(bugs_, sim::Bug::kAclIdCollision);
      acl_id_max_ = of_first_batch ? acl_id_max_ : std::max(acl_id_max_, rule.id());
    }
    for (const auto& stat : batch.dir_stat()) {
      RETURN_IF_ERROR(Add(DirStatKey(Inode(stat.inode())), EncodeDirStat({stat.data_length(), stat.used_space(), stat.used_inodes()})));
    }
    for (const auto& quota : batch.quota()) {
      // Since 1.4 the three kinds have lists of their own; a type says the same.
      const Key key = quota.type() == 1 ? UserQuotaKey(quota.key()) : quota.type() == 2 ? GroupQuotaKey(quota.key()) : DirQuotaKey(Inode(quota.key()));
      RETURN_IF_ERROR(AddQuota(key, quota));
    }
    for (const auto& quota : batch.user_quota()) {
      RETURN_IF_ERROR(AddQuota(UserQuotaKey(quota.key()), quota));
    }
    for (const auto& quota : batch.group_quota()) {
      RETURN_IF_ERROR(AddQuota(GroupQuotaKey(quota.key()), quota));
    }
    Count() += static_cast<uint64_t>(batch.change_log_size());
    return Status::Ok();
  }

  /// Neither a file nor a directory nor a symbolic link.
  static bool IsOdd(const std::string& attr_bytes) {
    const Result<Attr> attr = DecodeAttr(attr_bytes);
    return attr.ok() && attr->type != kTypeFile && attr->type != kTypeDirectory && attr->type != kTypeSymlink;
  }

  Status AddTree(const ::juicefs::Batch& batch) {
    for (const auto& node : batch.node()) {
      if (IsOdd(node.data()) && sim::BugOn(bugs_, sim::Bug::kDanglingEdgeOrInode)) {
        ++Count();
        continue;
      }
      RETURN_IF_ERROR(Add(AttrKey(Inode(node.inode())), node.data()));
    }
    report_.entry_count += static_cast<uint64_t>(batch.edge_size());
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

  Status AddQuota(const Key& key, const ::juicefs::Quota& quota) {
    return Add(key, EncodeQuota({quota.max_space(), quota.max_inodes(), quota.used_space(), quota.used_inodes()}));
  }

  Status CheckFooter() {
    const size_t footer_bytes_max = size_t{64} << 20;  // an offset a segment
    ASSIGN_OR_RETURN(const Bytes rest, Take(footer_bytes_max));
    if (rest.size() < kFooterLengthBytes) {
      return Wrong("the footer is cut off");
    }
    const size_t size = rest.size() - kFooterLengthBytes;
    ::juicefs::Footer footer;
    if (BigEndian(std::string_view(rest).substr(size)) != size || !footer.ParseFromArray(rest.data(), static_cast<int>(size)) ||
        footer.magic() != kBinaryDumpEndMark) {
      return Wrong("expected a footer behind the end mark");
    }
    if (footer.version() != kBinaryDumpVersion) {
      return Status::Unsupported(fmt::format("{} is a binary dump of version {}; version {} can be read", file_, footer.version(), kBinaryDumpVersion));
    }
    for (uint32_t number = 1; number <= kSegmentKindCount; ++number) {
      const char* name = SegmentKindName(static_cast<SegmentKind>(number));
      const auto told = footer.segments().find(name);
      const uint64_t expected = told == footer.segments().end() ? 0 : told->second.count();
      if (expected != counts_[number - 1]) {
        return Wrong(fmt::format("the footer tells of {} records of the kind {}, there are {}", expected, name, counts_[number - 1]));
      }
    }
    return Status::Ok();
  }

  const std::string& file_;
  ByteSource* source_;
  LoadTarget* target_;
  uint64_t bytes_max_;
  uint64_t taken_ = 0;
  uint64_t at_ = 0;  // of the segment that is being read
  SegmentKind kind_ = SegmentKind::kFormat;
  std::array<uint64_t, kSegmentKindCount> counts_{};
  ::juicefs::Batch batch_;  // of this segment; what it holds of memory serves the next one
  uint32_t acl_id_max_ = 0;
  sim::PlantedBugs* bugs_;
  LoadReport report_;
};

/// A dump names no key twice.
class EachKeyOnce : public LoadTarget {
 public:
  KeyValues pairs;

  Status Put(const Bytes& key, const Bytes& value) override {
    // The clients count ACL rules anew from those that are there, whatever the counters of the dump may say.
    if (key == EncodeKey(CounterKey("aclMaxId"))) {
      pairs[key] = value;
      return Status::Ok();
    }
    return pairs.emplace(key, value).second ? Status::Ok() : Status::AlreadyExists("twice");
  }
  Result<std::optional<Bytes>> Get(const Bytes& key) override {
    const auto found = pairs.find(key);
    return found == pairs.end() ? std::optional<Bytes>() : std::optional<Bytes>(found->second);
  }
};

}  // namespace

const std::vector<std::string>& BinaryDumpLosses() {
  static const std::vector<std::string> losses = {
      "A target of a symbolic link with %XX in it (two upper-case hex digits) is another one in a binary dump.",
      "Sessions, locks, slices delayed by compactions, unfinished clones and the times of background jobs are absent.",
  };
  return losses;
}

Result<LoadReport> LoadDumpBinary(const std::string& file_name, ByteSource* source, LoadTarget* target, uint64_t bytes_max,
                                  sim::PlantedBugs* bugs) {
  return BinaryDumpLoader(file_name, source, target, bytes_max, bugs).Load();
}

Result<KeyValues> ReadDumpBinary(const std::string& file_name, std::string_view file_bytes, size_t bytes_max) {
  MemorySource compressed(file_bytes);
  const Result<std::unique_ptr<ByteSource>> source = OpenDecompressed(&compressed);
  if (!source.ok()) {
    return source.error().WithContext(file_name);
  }
  EachKeyOnce target;
  RETURN_IF_ERROR(LoadDumpBinary(file_name, source->get(), &target, bytes_max).status());
  return std::move(target.pairs);
}

}  // namespace kvjury::juicefs
