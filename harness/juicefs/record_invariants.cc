// Checks of records that are not the tree: setting, owners of data, chunks, slice references, counters, forms.
#include <fmt/format.h>

#include <algorithm>

#include "harness/juicefs/client_version.h"
#include "harness/juicefs/invariant_context.h"

namespace kvjury::juicefs {

namespace {

void CheckInitialCounter(const VolumeImage& image, const char* name, int64_t least, InvariantResult* result) {
  ++result->counted;
  const auto found = image.counters.find(name);
  if (found == image.counters.end()) {
    AddViolation(result, CounterKey(name), "is absent in a formatted volume");
  } else if (found->second < least) {
    AddViolation(result, CounterKey(name), fmt::format("is {}: expected {} or more", found->second, least));
  }
}

/// The id came from nextChunk, where that counter is there.
void CheckSliceId(const VolumeImage& image, const Key& key, uint64_t id, InvariantResult* result) {
  const auto next = image.counters.find("nextChunk");
  if (next != image.counters.end() && id >= static_cast<uint64_t>(std::max<int64_t>(next->second, 0))) {
    AddViolation(result, key, fmt::format("slice {} is not below nextChunk {}", id, next->second));
  }
}

void CheckSliceRecord(const VolumeImage& image, const Key& chunk, const SliceRecord& record, InvariantResult* result) {
  if (uint64_t{record.position} + record.length > kChunkBytes) {
    AddViolation(result, chunk, fmt::format("a record of {} bytes at {} ends behind the chunk", record.length, record.position));
  }
  if (record.id == 0) {
    return;  // a hole; its offset and size mean nothing
  }
  if (record.size > kChunkBytes || uint64_t{record.offset} + record.length > record.size) {
    AddViolation(result, chunk, fmt::format("slice {} of {} bytes is read from {} for {}", record.id, record.size,
                                            record.offset, record.length));
  }
  CheckSliceId(image, chunk, record.id, result);
}

void CheckSession(const VolumeImage& image, const Key& key, uint64_t session, InvariantResult* result) {
  ++result->counted;
  const int64_t last = image.Counter("nextSession");
  if (session > static_cast<uint64_t>(std::max<int64_t>(last, 0))) {
    AddViolation(result, key, fmt::format("session {} is beyond nextSession {}", session, last));
  }
}

void CheckSessions(const VolumeImage& image, InvariantResult* result) {
  for (const auto& [session, expiry] : image.session_expiries) {
    CheckSession(image, SessionKey(KeyKind::kSessionExpiry, session), session, result);
  }
  for (const auto& [session, info] : image.session_infos) {
    CheckSession(image, SessionKey(KeyKind::kSessionInfo, session), session, result);
  }
  for (const auto& [session, beat] : image.session_heartbeats) {
    CheckSession(image, SessionKey(KeyKind::kSessionHeartbeat, session), session, result);
  }
  for (const auto& [session, inode] : image.sustained) {
    CheckSession(image, SustainedKey(session, inode), session, result);
  }
  for (const auto& [inode, locks] : image.flocks) {
    for (const Flock& lock : locks) {
      CheckSession(image, FlocksKey(inode), lock.session, result);
    }
  }
  for (const auto& [inode, locks] : image.plocks) {
    for (const Plock& lock : locks) {
      CheckSession(image, PlocksKey(inode), lock.session, result);
    }
  }
}

void CheckInodeNumber(const VolumeImage& image, Inode inode, InvariantResult* result) {
  ++result->counted;
  if (inode > kTrashInode) {
    const int64_t last = image.Counter("nextTrash");
    const uint64_t index = inode.value() - kTrashInode.value();
    if (index > static_cast<uint64_t>(std::max<int64_t>(last, 0))) {
      AddViolation(result, AttrKey(inode), fmt::format("hour directory {} is beyond nextTrash {}", index, last));
    }
    return;
  }
  const auto next = image.counters.find("nextInode");
  if (inode.value() < kSpecialInodeFirst && next != image.counters.end() &&
      inode.value() >= static_cast<uint64_t>(std::max<int64_t>(next->second, 0))) {
    AddViolation(result, AttrKey(inode), fmt::format("is not below nextInode {}", next->second));
  }
}

void CheckAclRules(const VolumeImage& image, Inode inode, const Attr& attr, InvariantResult* result) {
  for (const uint32_t id : {attr.access_acl, attr.default_acl}) {
    if (id == 0) {
      continue;
    }
    ++result->counted;
    if (image.acl_rules.count(id) == 0) {
      AddViolation(result, AclRuleKey(id), fmt::format("is absent, inode {} uses it", InodeText(inode)));
    }
  }
}

}  // namespace

InvariantResult CheckSetting(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  InvariantResult result{kInvariantSetting, 0, {}};
  const bool has_root = image.FindAttr(kRootInode) != nullptr;
  if (image.pair_count == 0) {
    return result;  // an empty key range is no volume
  }
  ++result.counted;
  // A setting or root that does not decode is there all the same and of the check `forms`.
  bool undecodable = false;
  for (const ImageProblem& problem : image.problems) {
    undecodable |= problem.key == SettingKey() || problem.key == AttrKey(kRootInode);
  }
  if (!undecodable && !image.setting.has_value()) {
    AddViolation(&result, SettingKey(), "is absent");
  }
  if (!undecodable && !has_root) {
    AddViolation(&result, AttrKey(kRootInode), "the root is absent");
  }
  if (image.setting.has_value()) {
    ++result.counted;
    if (const Status some = CheckSomeClientMayMount(image.setting->format); !some.ok()) {
      AddViolation(&result, SettingKey(), "no client mounts it: " + some.message());
    }
  }
  CheckInitialCounter(image, "nextInode", 2, &result);
  CheckInitialCounter(image, "nextChunk", 1, &result);
  return result;
}

InvariantResult CheckOwners(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  InvariantResult result{kInvariantOwners, 0, {}};
  std::set<Inode> deleted;
  for (const auto& [file, seconds] : image.deleted_files) {
    ++result.counted;
    deleted.insert(file.first);
    if (image.FindAttr(file.first) != nullptr) {
      AddViolation(&result, DeletedFileKey(file.first, file.second), "waits for deletion but its inode exists");
    }
  }
  for (const auto& [inode, chunks] : image.chunks) {
    ++result.counted;
    if (image.FindAttr(inode) == nullptr && deleted.count(inode) == 0) {
      AddViolation(&result, ChunkKey(inode, chunks.begin()->first), "belongs to no inode");
    }
  }
  for (const auto& [inode, target] : image.symlinks) {
    ++result.counted;
    const Attr* attr = image.FindAttr(inode);
    if (attr == nullptr || attr->type != kTypeSymlink) {
      AddViolation(&result, SymlinkKey(inode), "belongs to no symbolic link");
    }
  }
  for (const auto& [inode, attr] : image.inodes) {
    if (attr.type == kTypeSymlink && image.symlinks.count(inode) == 0) {
      ++result.counted;
      AddViolation(&result, SymlinkKey(inode), "the target of a symbolic link is absent");
    }
  }
  return result;
}

InvariantResult CheckChunks(const InvariantContext& context) {
  InvariantResult result{kInvariantChunks, 0, {}};
  for (const ImageProblem& problem : context.image.problems) {
    if (problem.key.has_value() && problem.key->kind == KeyKind::kChunk) {
      ++result.counted;
      AddViolation(&result, *problem.key, problem.status.message());
    }
  }
  for (const auto& [inode, chunks] : context.image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const SliceRecord& record : records) {
        ++result.counted;
        CheckSliceRecord(context.image, ChunkKey(inode, index), record, &result);
      }
    }
  }
  for (const auto& [when, slices] : context.image.delayed_slices) {
    for (const SliceName& slice : slices) {
      ++result.counted;
      CheckSliceId(context.image, DelayedSlicesKey(when.first, when.second), slice.id, &result);
    }
  }
  return result;
}

InvariantResult CheckSliceReferences(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  InvariantResult result{kInvariantSliceReferences, 0, {}};
  std::map<SliceName, int64_t> occurrences;
  for (const auto& [inode, chunks] : image.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const SliceRecord& record : records) {
        if (record.id != 0) {
          ++occurrences[{record.id, record.size}];
        }
      }
    }
  }
  for (const auto& [when, slices] : image.delayed_slices) {
    for (const SliceName& slice : slices) {
      ++occurrences[slice];
    }
  }
  for (const auto& [slice, extra] : image.slice_references) {
    occurrences.emplace(slice, 0);
  }
  for (const auto& [slice, occurrence_count] : occurrences) {
    ++result.counted;
    const Key key = SliceReferencesKey(slice.id, slice.size);
    const auto found = image.slice_references.find(slice);
    const int64_t extra = found == image.slice_references.end() ? 0 : found->second;
    if (slice.id == 0) {
      AddHazard(&result, key, "counts holes (a load writes this; harmless)");
    } else if (occurrence_count == 0 && extra != -1) {
      AddIssue(&result, context.options.after_binary_load ? IssueSeverity::kHazard : IssueSeverity::kViolation, key,
               fmt::format("says {} for a slice that nothing uses", extra));
    } else if (occurrence_count > 0 && extra != occurrence_count - 1) {
      const bool excused = extra > occurrence_count - 1 ? context.options.after_binary_load
                                                        : context.options.after_compaction_conflicts && extra == occurrence_count - 2;
      AddIssue(&result, excused ? IssueSeverity::kHazard : IssueSeverity::kViolation, key,
               fmt::format("{} {} extra references, the slice is used {} times",
                           found == image.slice_references.end() ? "absent, means" : "says", extra, occurrence_count));
    }
  }
  return result;
}

InvariantResult CheckCounters(const InvariantContext& context) {
  const VolumeImage& image = context.image;
  InvariantResult result{kInvariantCounters, 0, {}};
  for (const auto& [inode, attr] : image.inodes) {
    CheckInodeNumber(image, inode, &result);
    CheckAclRules(image, inode, attr, &result);
  }
  CheckSessions(image, &result);
  for (const auto& [id, rule] : image.acl_rules) {
    ++result.counted;
    const int64_t last = image.Counter("aclMaxId");
    if (static_cast<int64_t>(id) > last) {
      AddViolation(&result, AclRuleKey(id), fmt::format("is beyond aclMaxId {}", last));
    }
  }
  for (const auto& [id, token] : image.delegation_tokens) {
    ++result.counted;
    const int64_t last = image.Counter("krbTokenMaxId");
    if (static_cast<int64_t>(id) > last) {
      AddViolation(&result, DelegationTokenKey(id), fmt::format("is beyond krbTokenMaxId {}", last));
    }
  }
  return result;
}

InvariantResult CheckForms(const InvariantContext& context) {
  InvariantResult result{kInvariantForms, context.image.pair_count, {}};
  for (const ImageProblem& problem : context.image.problems) {
    if (problem.key.has_value() && (problem.key->kind == KeyKind::kDentry || problem.key->kind == KeyKind::kChunk)) {
      continue;  // of the checks `dentries` and `chunks`
    }
    const bool unknown = problem.status.code() == StatusCode::kUnsupported;
    result.issues.push_back({unknown ? IssueSeverity::kHazard : IssueSeverity::kViolation,
                             problem.key.has_value() ? problem.key->inode : Inode(), problem.key_bytes,
                             problem.status.message()});
  }
  for (const auto& [inode, attr] : context.image.inodes) {
    const size_t size = EncodeAttr(attr).size();
    if (!IsAttrLength(size)) {
      AddViolation(&result, AttrKey(inode), fmt::format("inode of {} bytes: expected 72, 73, 80 or 81", size));
    }
  }
  return result;
}

}  // namespace kvjury::juicefs
