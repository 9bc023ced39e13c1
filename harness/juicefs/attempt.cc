#include "harness/juicefs/attempt.h"

namespace kvjury::juicefs {

sim::Task<Result<std::optional<Bytes>>> Attempt::GetRaw(const Key& key) {
  Bytes full_key = FullKey(key);
  sim::Task<Result<std::optional<Bytes>>> get = transaction_->Get(std::move(full_key));
  co_return co_await std::move(get);
}

sim::Task<Result<std::optional<Attr>>> Attempt::GetAttr(Inode inode) {
  const Key key = AttrKey(inode);
  Result<std::optional<Bytes>> value = co_await GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    co_return std::optional<Attr>();
  }
  Result<Attr> attr = DecodeAttr(**value);
  if (!attr.ok()) {
    co_return attr.error();
  }
  co_return std::optional<Attr>(*std::move(attr));
}

sim::Task<Result<std::optional<Dentry>>> Attempt::GetDentry(Inode directory, const Bytes& name) {
  const Key key = DentryKey(directory, name);
  Result<std::optional<Bytes>> value = co_await GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    co_return std::optional<Dentry>();
  }
  Result<Dentry> dentry = DecodeDentry(**value);
  if (!dentry.ok()) {
    co_return dentry.error();
  }
  co_return std::optional<Dentry>(*dentry);
}

sim::Task<Result<std::vector<SliceRecord>>> Attempt::GetChunk(Inode inode, uint32_t index) {
  const Key key = ChunkKey(inode, index);
  Result<std::optional<Bytes>> value = co_await GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    co_return std::vector<SliceRecord>();
  }
  co_return DecodeChunk(**value);
}

sim::Task<Result<int64_t>> Attempt::GetLinkCount(Inode inode, Inode directory) {
  const Key key = LinkCountKey(inode, directory);
  Result<std::optional<Bytes>> value = co_await GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    co_return int64_t{0};
  }
  co_return DecodeInt64Le(**value);
}

sim::Task<Result<int64_t>> Attempt::GetCounter(const char* name) {
  const Key key = CounterKey(name);
  Result<std::optional<Bytes>> value = co_await GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    co_return int64_t{0};
  }
  co_return DecodeInt64Le(**value);
}

sim::Task<Result<int64_t>> Attempt::GetReferences(SliceName slice) {
  const Key key = SliceReferencesKey(slice.id, slice.size);
  Result<std::optional<Bytes>> value = co_await GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  if (!value->has_value()) {
    co_return int64_t{0};
  }
  co_return DecodeInt64Le(**value);
}

sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> Attempt::ScanFamily(const Key& first, uint32_t limit) {
  Bytes start = EncodeKey(first);
  if (first.kind == KeyKind::kLinkCount || first.kind == KeyKind::kChunk) {
    start.resize(10);  // A inode and the letter
  } else if (first.kind == KeyKind::kAclRule) {
    start.resize(1);
  } else if (first.kind == KeyKind::kChangelog) {
    start.resize(4);
  }
  Bytes end = PrefixEnd(start);
  sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> scan = ScanRange(std::move(start), std::move(end), limit);
  co_return co_await std::move(scan);
}

sim::Task<Result<std::vector<Bytes>>> Attempt::ListXattrNames(Inode inode) {
  const Key first = XattrKey(inode, "");
  Result<std::vector<std::pair<Key, Bytes>>> xattrs = co_await ScanFamily(first, 0);
  if (!xattrs.ok()) {
    co_return xattrs.error();
  }
  std::vector<Bytes> names;
  for (const auto& [key, value] : *xattrs) {
    names.push_back(key.name);
  }
  co_return names;
}

sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> Attempt::ScanLetters(std::string_view letters) {
  return ScanRange(Bytes(letters), PrefixEnd(letters), 0);
}

sim::Task<Result<std::vector<std::pair<Key, Bytes>>>> Attempt::ScanRange(Bytes start, Bytes end, uint32_t limit) {
  sim::Task<Result<std::vector<client::Pair>>> scan = transaction_->Scan(*prefix_ + start, *prefix_ + end, limit);
  Result<std::vector<client::Pair>> pairs = co_await std::move(scan);
  if (!pairs.ok()) {
    co_return pairs.error();
  }
  std::vector<std::pair<Key, Bytes>> found;
  for (client::Pair& pair : *pairs) {
    Result<Key> key = ParseKey(std::string_view(pair.first).substr(prefix_->size()));
    if (!key.ok()) {
      co_return key.error();
    }
    found.emplace_back(*std::move(key), std::move(pair.second));
  }
  co_return found;
}

sim::Task<Result<std::map<uint32_t, std::vector<SliceRecord>>>> Attempt::ScanChunks(Inode inode, uint32_t first, uint32_t last) {
  Bytes start = FullKey(ChunkKey(inode, first));
  Bytes end = PrefixEnd(FullKey(ChunkKey(inode, last)));
  sim::Task<Result<std::vector<client::Pair>>> scan = transaction_->Scan(std::move(start), std::move(end), 0);
  Result<std::vector<client::Pair>> pairs = co_await std::move(scan);
  if (!pairs.ok()) {
    co_return pairs.error();
  }
  std::map<uint32_t, std::vector<SliceRecord>> chunks;
  for (const client::Pair& pair : *pairs) {
    Result<Key> key = ParseKey(std::string_view(pair.first).substr(prefix_->size()));
    if (!key.ok()) {
      co_return key.error();
    }
    Result<std::vector<SliceRecord>> records = DecodeChunk(pair.second);
    if (!records.ok()) {
      co_return records.error();
    }
    chunks[static_cast<uint32_t>(key->number)] = *std::move(records);
  }
  co_return chunks;
}

sim::Task<Status> Attempt::AddReferences(std::map<SliceName, int64_t> changes) {
  for (const auto& [slice, change] : changes) {
    const SliceName name = slice;
    Result<int64_t> references = co_await GetReferences(name);
    if (!references.ok()) {
      co_return references.error();
    }
    PutReferences(name, *references + change);
  }
  co_return Status::Ok();
}

void Attempt::PutAttr(Inode inode, const Attr& attr) {
  PutRaw(AttrKey(inode), EncodeAttr(attr));
  effects.push_back(SetAttrEffect{inode, attr});
}

void Attempt::RemoveInode(Inode inode, const Attr& attr, const std::vector<Bytes>& xattr_names) {
  DeleteRaw(AttrKey(inode));
  if (attr.type == kTypeSymlink) {
    DeleteRaw(SymlinkKey(inode));
  }
  for (const Bytes& name : xattr_names) {
    DeleteRaw(XattrKey(inode, name));
  }
  effects.push_back(RemoveInodeEffect{inode});
}

void Attempt::AddDentry(Inode directory, const Bytes& name, const Dentry& dentry) {
  PutRaw(DentryKey(directory, name), EncodeDentry(dentry));
  effects.push_back(AddDentryEffect{directory, name, dentry.inode, dentry.type});
}

void Attempt::RemoveDentry(Inode directory, const Bytes& name, Inode inode) {
  DeleteRaw(DentryKey(directory, name));
  effects.push_back(RemoveDentryEffect{directory, name, inode});
}

void Attempt::ReplaceDentry(Inode directory, const Bytes& name, Inode old_inode, const Dentry& dentry) {
  PutRaw(DentryKey(directory, name), EncodeDentry(dentry));
  effects.push_back(RemoveDentryEffect{directory, name, old_inode});
  effects.push_back(AddDentryEffect{directory, name, dentry.inode, dentry.type});
}

void Attempt::PutSymlink(Inode inode, const Bytes& target) {
  PutRaw(SymlinkKey(inode), target);
  effects.push_back(SetSymlinkEffect{inode, target});
}

void Attempt::PutXattr(Inode inode, const Bytes& name, const Bytes& value) {
  PutRaw(XattrKey(inode, name), value);
  effects.push_back(SetXattrEffect{inode, name, value});
}

void Attempt::RemoveXattr(Inode inode, const Bytes& name) {
  DeleteRaw(XattrKey(inode, name));
  effects.push_back(RemoveXattrEffect{inode, name});
}

void Attempt::PutAclRule(uint32_t id, const AclRule& rule) {
  PutRaw(AclRuleKey(id), EncodeAclRule(rule));
  effects.push_back(SetAclRuleEffect{id, rule});
}

void Attempt::AppendSlice(Inode inode, uint32_t index, std::vector<SliceRecord> records, const SliceRecord& added) {
  AppendSlices(inode, index, std::move(records), {added});
}

void Attempt::AppendSlices(Inode inode, uint32_t index, std::vector<SliceRecord> records, const std::vector<SliceRecord>& added) {
  records.insert(records.end(), added.begin(), added.end());
  PutRaw(ChunkKey(inode, index), EncodeChunk(records));
  for (const SliceRecord& record : added) {
    effects.push_back(AppendSliceEffect{inode, index, record.position, record.id, record.offset, record.length});
  }
}

void Attempt::ReplaceSlices(Inode inode, uint32_t index, std::vector<SliceRecord> records, uint32_t first, uint32_t count,
                            const SliceRecord& made) {
  CHECK(size_t{first} + count <= records.size() && count > 0) << "more records than the chunk has";
  const auto at = records.begin() + first;
  records.insert(records.erase(at, at + count), made);
  PutRaw(ChunkKey(inode, index), EncodeChunk(records));
  effects.push_back(ReplaceSlicesEffect{inode, index, first, count, made.position, made.id, made.length});
}

void Attempt::PutLinkCount(Inode inode, Inode directory, int64_t count) {
  PutRaw(LinkCountKey(inode, directory), EncodeInt64Le(count));
}

void Attempt::PutCounter(const char* name, int64_t value) { PutRaw(CounterKey(name), EncodeInt64Le(value)); }

void Attempt::PutReferences(const SliceName& slice, int64_t references) {
  PutRaw(SliceReferencesKey(slice.id, slice.size), EncodeInt64Le(references));
}

void Attempt::PutRaw(const Key& key, Bytes value) {
  CHECK(!value.empty()) << DescribeKey(key) << ": TiKV's client refuses empty values";
  Bytes full_key = FullKey(key);
  Wrote(full_key);
  transaction_->Put(std::move(full_key), std::move(value));
}

void Attempt::DeleteRaw(const Key& key) {
  Bytes full_key = FullKey(key);
  Wrote(full_key);
  transaction_->Delete(std::move(full_key));
}

void Attempt::Wrote(const Bytes& full_key) {
  if (!wrote_ || full_key < primary_key_) {
    primary_key_ = full_key;
  }
  wrote_ = true;
}

}  // namespace kvjury::juicefs
