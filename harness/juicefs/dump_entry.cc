#include "harness/juicefs/dump_entry.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvjury::juicefs {

namespace {

constexpr size_t kProblemsMax = 20;
constexpr uint64_t kChangelogTailTicks = uint64_t{10'000} << 18;  // 10 s of timestamps

/// Calls `visit(key, value)` for the pairs whose keys start with `prefix`, in order.
template <class Visit>
void Scan(const KeyValues& records, const Bytes& prefix, const Visit& visit) {
  for (auto pair = records.lower_bound(prefix); pair != records.end() && pair->first.compare(0, prefix.size(), prefix) == 0; ++pair) {
    visit(pair->first, pair->second);
  }
}

const Bytes* Find(const KeyValues& records, const Key& key) {
  const auto found = records.find(EncodeKey(key));
  return found == records.end() ? nullptr : &found->second;
}

/// Null for none. Errors: kDataLoss for a rule that is not there or does not parse.
Result<std::optional<AclRule>> RuleOf(const KeyValues& records, uint32_t id, DumpForm form) {
  if (id == 0) {
    return std::optional<AclRule>();
  }
  const Bytes* value = Find(records, AclRuleKey(id));
  if (value == nullptr) {
    if (form == DumpForm::kFast) {
      return std::optional<AclRule>();
    }
    return Status::DataLoss(fmt::format("ACL rule {} is used and not there", id));
  }
  ASSIGN_OR_RETURN(AclRule rule, DecodeAclRule(*value));
  return std::optional<AclRule>(std::move(rule));
}

/// The records of one inode, found in one pass over its keys, which stand in the order C D I P S X.
struct InodeRecords {
  const Bytes* attr = nullptr;
  const Bytes* target = nullptr;
  std::vector<std::pair<const Bytes*, const Bytes*>> chunks;  // key and value
  std::vector<std::pair<const Bytes*, const Bytes*>> xattrs;
};

InodeRecords RecordsOf(const KeyValues& records, Inode inode, bool is_directory) {
  const Bytes attr_key = EncodeKey(AttrKey(inode));
  const size_t kind_at = attr_key.size() - 1;
  const std::string_view prefix = std::string_view(attr_key).substr(0, kind_at);
  InodeRecords found;
  // Directories have names before their attributes, perhaps a million, and no chunks.
  auto pair = is_directory ? records.lower_bound(attr_key) : records.lower_bound(Bytes(prefix));
  while (pair != records.end() && pair->first.size() > kind_at && pair->first.compare(0, kind_at, prefix) == 0) {
    const auto& [key, value] = *pair;
    if (key[kind_at] == 'D') {
      pair = records.lower_bound(attr_key);
      continue;
    }
    if (key[kind_at] == 'C') {
      found.chunks.emplace_back(&key, &value);
    } else if (key == attr_key) {
      found.attr = &value;
    } else if (key[kind_at] == 'S') {
      found.target = &value;
    } else if (key[kind_at] == 'X') {
      found.xattrs.emplace_back(&key, &value);
    }
    ++pair;
  }
  return found;
}

Result<Attr> AttrOf(const InodeRecords& found, Inode inode, uint8_t dentry_type, DumpForm form, DumpReport* report) {
  if (found.attr != nullptr) {
    Result<Attr> attr = DecodeAttr(*found.attr);
    if (!attr.ok()) {
      return attr.error().WithContext(DescribeKey(AttrKey(inode)));
    }
    attr->type = attr->type == 0 ? dentry_type : attr->type;
    return attr;
  }
  Attr attr;
  attr.type = dentry_type;
  if (form == DumpForm::kWalk) {
    attr.nlink = dentry_type == kTypeDirectory ? 2 : 1;
  } else if (inode == kTrashInode && dentry_type == kTypeDirectory) {
    attr.nlink = 2;
  }
  if (inode != kTrashInode) {
    report->AddProblem(fmt::format("{} is not there", DescribeKey(AttrKey(inode))));
  }
  return attr;
}

void AddChunks(const InodeRecords& found, DumpForm form, DumpEntry* entry, DumpReport* report) {
  for (const auto& [key_bytes, value] : found.chunks) {
    const Result<Key> key = ParseKey(*key_bytes);
    if (!key.ok() || (form == DumpForm::kWalk && key->number * kChunkBytes >= entry->attr.length)) {
      continue;
    }
    Result<std::vector<SliceRecord>> slices = DecodeChunk(*value);
    if (!slices.ok()) {
      report->AddProblem(fmt::format("{}: {}", DescribeKey(*key), slices.error().message()));
      slices = std::vector<SliceRecord>();
    }
    entry->chunks.emplace_back(static_cast<uint32_t>(key->number), *std::move(slices));
  }
}

void AddHeadLists(const KeyValues& records, DumpHead* head) {
  Scan(records, "SS", [head](const Bytes& key_bytes, const Bytes&) {
    const Result<Key> key = ParseKey(key_bytes);
    if (!key.ok()) {
      return;
    }
    if (head->sustained.empty() || head->sustained.back().first != key->id) {
      head->sustained.emplace_back(key->id, std::vector<Inode>());
    }
    head->sustained.back().second.push_back(key->inode);
  });
  Scan(records, "D", [head](const Bytes& key_bytes, const Bytes& value) {
    const Result<Key> key = ParseKey(key_bytes);
    const Result<int64_t> expire = DecodeInt64Be(value);
    if (key.ok() && expire.ok()) {
      head->deleted_files.push_back({{key->inode, key->number}, *expire});
    }
  });
}

void AddQuotas(const KeyValues& records, const char* prefix, bool without_limits_too, std::map<std::string, Quota>* quotas) {
  Scan(records, prefix, [&](const Bytes& key_bytes, const Bytes& value) {
    const Result<Key> key = ParseKey(key_bytes);
    const Result<Quota> quota = DecodeQuota(value);
    if (key.ok() && quota.ok() && (without_limits_too || quota->max_space != -1 || quota->max_inodes != -1)) {
      (*quotas)[std::to_string(key->kind == KeyKind::kDirQuota ? key->inode.value() : key->id)] = *quota;
    }
  });
}

}  // namespace

void DumpReport::AddProblem(std::string sentence) {
  ++problem_count;
  if (problems.size() < kProblemsMax) {
    problems.push_back(std::move(sentence));
  }
}

Bytes InodeKeyPrefix(Inode inode, KeyKind kind) {
  switch (kind) {
    case KeyKind::kDentry:
      return EncodeKey(DentryKey(inode, ""));
    case KeyKind::kXattr:
      return EncodeKey(XattrKey(inode, ""));
    case KeyKind::kChunk: {
      Bytes key = EncodeKey(ChunkKey(inode, 0));
      key.resize(key.size() - sizeof(uint32_t));
      return key;
    }
    default:
      CHECK(false) << "no prefix of " << KeyKindName(kind);
      return {};
  }
}

Result<DumpEntry> DumpEntryOf(const KeyValues& records, Inode inode, uint8_t dentry_type, DumpForm form, DumpReport* report,
                              sim::PlantedBugs* bugs) {
  const bool fast = form == DumpForm::kFast;
  const InodeRecords found = RecordsOf(records, inode, dentry_type == kTypeDirectory && !fast);
  DumpEntry entry;
  entry.inode = inode;
  ASSIGN_OR_RETURN(entry.attr, AttrOf(found, inode, dentry_type, form, report));
  for (const auto& [key, value] : found.xattrs) {
    entry.xattrs.emplace_back(key->substr(EncodeKey(AttrKey(inode)).size()), *value);
  }
  entry.xattr_escapes = sim::BugOn(bugs, sim::Bug::kXattrDoubleEscaped) ? 2 : 1;
  ASSIGN_OR_RETURN(entry.access_acl, RuleOf(records, entry.attr.access_acl, form));
  ASSIGN_OR_RETURN(entry.default_acl, RuleOf(records, entry.attr.default_acl, form));
  if (fast || entry.attr.type == kTypeFile) {
    AddChunks(found, form, &entry, report);
  }
  if (fast || entry.attr.type == kTypeSymlink) {
    entry.target = found.target == nullptr ? Bytes() : *found.target;
    if (found.target == nullptr && entry.attr.type == kTypeSymlink) {
      report->AddProblem(fmt::format("{} is not there", DescribeKey(SymlinkKey(inode))));
    }
  }
  return entry;
}

// One letter would take in the sessions' own keys (SE, SH, SI).
Bytes SustainedPrefix(sim::PlantedBugs* bugs) { return sim::BugOn(bugs, sim::Bug::kKeyPrefixConfusion) ? "S" : "SS"; }

std::vector<std::pair<int64_t, Bytes>> ChangelogTail(const KeyValues& records) {
  std::vector<std::pair<int64_t, Bytes>> entries;
  uint64_t newest = 0;
  Scan(records, "XLOG", [&newest](const Bytes& key_bytes, const Bytes&) {
    const Result<Key> key = ParseKey(key_bytes);
    newest = key.ok() ? std::max(newest, key->number) : newest;
  });
  const uint64_t first = newest > kChangelogTailTicks ? newest - kChangelogTailTicks : 1;
  Scan(records, "XLOG", [&](const Bytes& key_bytes, const Bytes& value) {
    const Result<Key> key = ParseKey(key_bytes);
    if (key.ok() && key->number >= first) {
      entries.emplace_back(static_cast<int64_t>(key->number), value);
    }
  });
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return entries;
}

Result<Inode> FindDirectory(const KeyValues& records, std::string_view path) {
  Inode at = kRootInode;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (name.empty()) {
      continue;
    }
    const Bytes* value = Find(records, DentryKey(at, name));
    const Result<Dentry> dentry = value == nullptr ? Status::NotFound("") : DecodeDentry(*value);
    if (!dentry.ok() || dentry->type != kTypeDirectory) {
      return Status::NotFound(fmt::format("no directory \"{}\" in the directory {}", Printable(name), InodeText(at)));
    }
    at = dentry->inode;
  }
  return at;
}

Result<DumpHead> DumpHeadOf(const KeyValues& records, const DumpOptions& options) {
  const Bytes* setting_text = Find(records, SettingKey());
  if (setting_text == nullptr) {
    return Status::NotFound("the volume has no setting");
  }
  DumpHead head;
  ASSIGN_OR_RETURN(const Setting setting, DecodeSetting(*setting_text));
  head.format = setting.format;
  for (std::string* secret : {&head.format.secret_key, &head.format.session_token}) {
    if (!options.keep_secrets && !secret->empty()) {
      *secret = "removed";
    }
  }
  const std::vector<std::pair<const char*, int64_t*>> counters = {
      {"usedSpace", &head.used_space}, {"totalInodes", &head.total_inodes}, {"nextInode", &head.next_inode},
      {"nextChunk", &head.next_chunk}, {"nextSession", &head.next_session}, {"nextTrash", &head.next_trash}};
  for (const auto& [name, number] : counters) {
    const Bytes* value = Find(records, CounterKey(name));
    if (value != nullptr) {
      Result<int64_t> decoded = DecodeInt64Le(*value);
      if (!decoded.ok()) {
        return decoded.error().WithContext(DescribeKey(CounterKey(name)));
      }
      *number = *decoded;
    }
  }
  AddHeadLists(records, &head);
  AddQuotas(records, "QD", true, &head.dir_quotas);
  if (options.root == kRootInode && !sim::BugOn(options.bugs, sim::Bug::kQuotaLost)) {
    AddQuotas(records, "QU", false, &head.user_quotas);
    AddQuotas(records, "QG", false, &head.group_quotas);
  }
  if (head.format.change_log) {
    head.changelog = ChangelogTail(records);
    head.last_changelog = head.changelog.empty() ? 0 : head.changelog.back().first;
  }
  return head;
}

}  // namespace kvjury::juicefs
