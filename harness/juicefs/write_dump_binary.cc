#include "harness/juicefs/write_dump_binary.h"

#include "fakes/base/utf8.h"
#include "harness/juicefs/dump_json.h"
#include "proto/juicefs/dump.pb.h"

namespace kvjury::juicefs {

namespace {

constexpr int kBatchRecords = 10'000;

/// Calls `visit(key, value)` for the records of one kind, in key order; stops at an error. Errors: kDataLoss for a key that does not parse.
template <class Visit>
Status ForEach(const KeyValues& records, const Bytes& prefix, const Visit& visit) {
  for (auto pair = records.lower_bound(prefix); pair != records.end() && pair->first.compare(0, prefix.size(), prefix) == 0; ++pair) {
    ASSIGN_OR_RETURN(const Key key, ParseKey(pair->first));
    const Status status = visit(key, pair->second);
    if (!status.ok()) {
      return status.WithContext(DescribeKey(key));
    }
  }
  return Status::Ok();
}

Status AddQuotas(const KeyValues& records, const Bytes& prefix, uint32_t type, ::google::protobuf::RepeatedPtrField<::juicefs::Quota>* to) {
  return ForEach(records, prefix, [type, to](const Key& key, const Bytes& value) {
    ASSIGN_OR_RETURN(const Quota quota, DecodeQuota(value));
    ::juicefs::Quota* message = to->Add();
    message->set_key(key.kind == KeyKind::kDirQuota ? key.inode.value() : key.id);
    message->set_max_space(quota.max_space);
    message->set_max_inodes(quota.max_inodes);
    message->set_used_space(quota.used_space);
    message->set_used_inodes(quota.used_inodes);
    message->set_type(type);
    return Status::Ok();
  });
}

Result<::juicefs::Batch> SustainedBatch(const KeyValues& records, sim::PlantedBugs* bugs) {
  ::juicefs::Batch batch;
  RETURN_IF_ERROR(ForEach(records, SustainedPrefix(bugs), [&batch](const Key& key, const Bytes&) {
    const int count = batch.sustained_size();
    ::juicefs::Sustained* of_session = count > 0 && batch.sustained(count - 1).session() == key.id ? batch.mutable_sustained(count - 1)
                                                                                                   : batch.add_sustained();
    of_session->set_session(key.id);
    of_session->add_inode(key.inode.value());
    return Status::Ok();
  }));
  return batch;
}

Result<::juicefs::Batch> DeletedFileBatch(const KeyValues& records) {
  ::juicefs::Batch batch;
  RETURN_IF_ERROR(ForEach(records, "D", [&batch](const Key& key, const Bytes& value) {
    ASSIGN_OR_RETURN(const int64_t expire, DecodeInt64Be(value));
    ::juicefs::DeletedFile* file = batch.add_deleted_file();
    file->set_inode(key.inode.value());
    file->set_length(key.number);
    file->set_expire(expire);
    return Status::Ok();
  }));
  return batch;
}

Result<::juicefs::Batch> SliceReferencesBatch(const KeyValues& records) {
  ::juicefs::Batch batch;
  RETURN_IF_ERROR(ForEach(records, "K", [&batch](const Key& key, const Bytes& value) {
    ASSIGN_OR_RETURN(const int64_t extra, DecodeInt64Le(value));
    ::juicefs::SliceReferences* slice = batch.add_slice_references();
    slice->set_id(key.id);
    slice->set_size(static_cast<uint32_t>(key.number));
    slice->set_references(extra + 1);
    return Status::Ok();
  }));
  return batch;
}

Result<::juicefs::Batch> AclBatch(const KeyValues& records) {
  ::juicefs::Batch batch;
  RETURN_IF_ERROR(ForEach(records, "R", [&batch](const Key& key, const Bytes& value) {
    ::juicefs::Acl* rule = batch.add_acl();
    rule->set_id(static_cast<uint32_t>(key.id));
    rule->set_data(value);
    return Status::Ok();
  }));
  return batch;
}

Result<::juicefs::Batch> DirStatBatch(const KeyValues& records) {
  ::juicefs::Batch batch;
  RETURN_IF_ERROR(ForEach(records, "U", [&batch](const Key& key, const Bytes& value) {
    ASSIGN_OR_RETURN(const DirStat stat, DecodeDirStat(value));
    ::juicefs::DirStat* message = batch.add_dir_stat();
    message->set_inode(key.inode.value());
    message->set_data_length(stat.length);
    message->set_used_space(stat.space);
    message->set_used_inodes(stat.inodes);
    return Status::Ok();
  }));
  return batch;
}

}  // namespace

/// What waits to be written, of each kind of the tree.
struct BinaryDumpSegments::Batches {
  std::map<SegmentKind, ::juicefs::Batch> of_kind;
};

BinaryDumpSegments::BinaryDumpSegments(ByteSink* to, BinaryDumpOrder order, sim::PlantedBugs* bugs)
    : to_(to), order_(std::move(order)), bugs_(bugs), batches_(std::make_unique<Batches>()) {}

BinaryDumpSegments::~BinaryDumpSegments() = default;

Status BinaryDumpSegments::WriteSegment(SegmentKind kind, const std::string& message, uint64_t count) {
  Bytes head;
  AppendBe32(&head, static_cast<uint32_t>(kind));
  AppendBe64(&head, message.size());
  RETURN_IF_ERROR(to_->Write(head));
  RETURN_IF_ERROR(to_->Write(message));
  Written& written = written_[kind];
  written.offsets.push_back(position_);
  written.count += count;
  position_ += head.size() + message.size();
  return Status::Ok();
}

Status BinaryDumpSegments::Head(const DumpHead& head, bool keep_secrets) {
  Format setting = head.format;
  setting.tiers_present = true;
  setting.enable_acl_present = true;
  if (!keep_secrets && !setting.encrypt_key.empty()) {
    setting.encrypt_key = "removed";  // the others are removed in the head already
  }
  ::juicefs::Format format;
  format.set_setting(EncodeFormat(setting));
  RETURN_IF_ERROR(WriteSegment(SegmentKind::kFormat, format.SerializeAsString(), 1));
  ::juicefs::Batch batch;
  const auto add = [&batch](const char* name, int64_t value) {
    ::juicefs::Counter* counter = batch.add_counter();
    counter->set_key(name);
    counter->set_value(value);
  };
  if (head.last_changelog != 0) {
    add("lastChangelog", head.last_changelog);
  }
  add("usedSpace", head.used_space);
  add("totalInodes", head.total_inodes);
  add("nextInode", head.next_inode);
  add("nextChunk", head.next_chunk);
  add("nextSession", head.next_session);
  add("nextTrash", head.next_trash);
  return WriteSegment(SegmentKind::kCounter, batch.SerializeAsString(), static_cast<uint64_t>(batch.counter_size()));
}

Status BinaryDumpSegments::TreeRecord(const Bytes& key_bytes, const Bytes& value) {
  ASSIGN_OR_RETURN(const Key key, ParseKey(key_bytes));
  SegmentKind kind = SegmentKind::kNode;
  int count = 0;
  const auto batch = [this, &kind](SegmentKind of) -> ::juicefs::Batch* { return &batches_->of_kind[kind = of]; };
  if (key.kind == KeyKind::kAttr) {
    ::juicefs::Batch* nodes = batch(SegmentKind::kNode);
    ::juicefs::Node* node = nodes->add_node();
    node->set_inode(key.inode.value());
    node->set_data(value);
    count = nodes->node_size();
  } else if (key.kind == KeyKind::kDentry) {
    const Result<Dentry> dentry = DecodeDentry(value);
    if (!dentry.ok()) {
      return dentry.error().WithContext(DescribeKey(key));
    }
    ::juicefs::Batch* edges = batch(SegmentKind::kEdge);
    ::juicefs::Edge* edge = edges->add_edge();
    edge->set_parent(key.inode.value());
    edge->set_inode(dentry->inode.value());
    edge->set_name(key.name);
    edge->set_type(dentry->type);
    count = edges->edge_size();
  } else if (key.kind == KeyKind::kChunk) {
    ::juicefs::Batch* chunks = batch(SegmentKind::kChunk);
    ::juicefs::Chunk* chunk = chunks->add_chunk();
    chunk->set_inode(key.inode.value());
    chunk->set_index(static_cast<uint32_t>(key.number));
    chunk->set_slices(value);
    count = chunks->chunk_size();
  } else if (key.kind == KeyKind::kSymlink) {
    ::juicefs::Batch* symlinks = batch(SegmentKind::kSymlink);
    ::juicefs::Symlink* symlink = symlinks->add_symlink();
    symlink->set_inode(key.inode.value());
    symlink->set_target(UnescapeDumpText(value));  // as juicefs does, and so loses what stood there
    count = symlinks->symlink_size();
  } else if (key.kind == KeyKind::kXattr) {
    if (!IsUtf8(key.name)) {
      return Status::Unsupported("a binary dump cannot hold " + DescribeKey(key) + ": its name is not UTF-8");
    }
    ::juicefs::Batch* xattrs = batch(SegmentKind::kXattr);
    ::juicefs::Xattr* xattr = xattrs->add_xattr();
    xattr->set_inode(key.inode.value());
    xattr->set_name(key.name);
    xattr->set_value(value);
    count = xattrs->xattr_size();
  } else if (key.kind == KeyKind::kLinkCount) {
    ASSIGN_OR_RETURN(const int64_t links, DecodeInt64Le(value));
    ::juicefs::Batch* parents = batch(SegmentKind::kParent);
    ::juicefs::Parent* parent = parents->add_parent();
    parent->set_inode(key.inode.value());
    parent->set_parent(key.parent.value());
    parent->set_count(links);
    count = parents->parent_size();
  }
  return count < kBatchRecords ? Status::Ok() : WriteBatch(kind);
}

Status BinaryDumpSegments::WriteBatch(SegmentKind kind) {
  ::juicefs::Batch& batch = batches_->of_kind[kind];
  const int count = batch.node_size() + batch.edge_size() + batch.chunk_size() + batch.symlink_size() + batch.xattr_size() + batch.parent_size();
  RETURN_IF_ERROR(WriteSegment(kind, batch.SerializeAsString(), static_cast<uint64_t>(count)));
  batch.Clear();
  return Status::Ok();
}

Status BinaryDumpSegments::EndTree() {
  for (const SegmentKind kind : order_.last_batches) {
    RETURN_IF_ERROR(WriteBatch(kind));
  }
  return Status::Ok();
}

Status BinaryDumpSegments::Rest(const DumpHead& head, const KeyValues& records) {
  ASSIGN_OR_RETURN(const ::juicefs::Batch sustained, SustainedBatch(records, bugs_));
  RETURN_IF_ERROR(WriteSegment(SegmentKind::kSustained, sustained.SerializeAsString(), static_cast<uint64_t>(sustained.sustained_size())));
  ASSIGN_OR_RETURN(const ::juicefs::Batch deleted, DeletedFileBatch(records));
  RETURN_IF_ERROR(WriteSegment(SegmentKind::kDeletedFile, deleted.SerializeAsString(), static_cast<uint64_t>(deleted.deleted_file_size())));
  ASSIGN_OR_RETURN(const ::juicefs::Batch slices, SliceReferencesBatch(records));
  RETURN_IF_ERROR(WriteSegment(SegmentKind::kSliceReferences, slices.SerializeAsString(), static_cast<uint64_t>(slices.slice_references_size())));
  ASSIGN_OR_RETURN(const ::juicefs::Batch rules, AclBatch(records));
  RETURN_IF_ERROR(WriteSegment(SegmentKind::kAcl, rules.SerializeAsString(), static_cast<uint64_t>(rules.acl_size())));
  ::juicefs::Batch quotas;
  RETURN_IF_ERROR(AddQuotas(records, "QD", 0, quotas.mutable_quota()));
  RETURN_IF_ERROR(AddQuotas(records, "QU", 1, quotas.mutable_user_quota()));
  RETURN_IF_ERROR(AddQuotas(records, "QG", 2, quotas.mutable_group_quota()));
  const int quota_count = quotas.quota_size() + quotas.user_quota_size() + quotas.group_quota_size();
  if (quota_count > 0) {  // the only kind of which an empty segment is not written
    RETURN_IF_ERROR(WriteSegment(SegmentKind::kQuota, quotas.SerializeAsString(), static_cast<uint64_t>(quota_count)));
  }
  ASSIGN_OR_RETURN(const ::juicefs::Batch stats, DirStatBatch(records));
  RETURN_IF_ERROR(WriteSegment(SegmentKind::kDirStat, stats.SerializeAsString(), static_cast<uint64_t>(stats.dir_stat_size())));
  if (!head.changelog.empty()) {
    ::juicefs::Batch changelog;
    for (const auto& [version, entry] : head.changelog) {
      ::juicefs::ChangeLog* message = changelog.add_change_log();
      message->set_version(version);
      message->set_entry(entry);
    }
    RETURN_IF_ERROR(WriteSegment(SegmentKind::kChangelog, changelog.SerializeAsString(), head.changelog.size()));
  }
  return WriteFooter();
}

// Written by hand: the order of a map's entries is chance in protobuf, too.
Status BinaryDumpSegments::WriteFooter() {
  std::vector<SegmentKind> kinds = order_.footer;
  if (kinds.empty()) {
    for (const auto& [kind, written] : written_) {
      kinds.push_back(kind);
    }
  }
  ::juicefs::Footer head;
  head.set_magic(kBinaryDumpEndMark);
  head.set_version(kBinaryDumpVersion);
  Bytes footer = head.SerializeAsString();
  for (const SegmentKind kind : kinds) {
    const auto written = written_.find(kind);
    if (written == written_.end()) {
      continue;
    }
    ::juicefs::Footer::Segments segments;
    segments.mutable_offset()->Add(written->second.offsets.begin(), written->second.offsets.end());
    segments.set_count(written->second.count);
    ::juicefs::Footer one;
    (*one.mutable_segments())[SegmentKindName(kind)] = std::move(segments);
    footer += one.SerializeAsString();
  }
  Bytes text;
  AppendBe32(&text, kBinaryDumpEndMark);
  text += footer;
  AppendBe64(&text, footer.size());
  return to_->Write(text);
}

Result<DumpReport> WriteDumpBinary(const KeyValues& records, const DumpOptions& options, ByteSink* to, const BinaryDumpOrder& order) {
  DumpReport report;
  ASSIGN_OR_RETURN(const DumpHead head, DumpHeadOf(records, options));
  BinaryDumpSegments segments(to, order, options.bugs);
  RETURN_IF_ERROR(segments.Head(head, options.keep_secrets));
  for (auto pair = records.lower_bound("A"); pair != records.end() && pair->first.front() == 'A'; ++pair) {
    RETURN_IF_ERROR(segments.TreeRecord(pair->first, pair->second));
    report.entry_count += pair->first.size() > 9 && pair->first[9] == 'D' ? 1 : 0;
  }
  RETURN_IF_ERROR(segments.EndTree());
  RETURN_IF_ERROR(segments.Rest(head, records));
  return report;
}

}  // namespace kvjury::juicefs
