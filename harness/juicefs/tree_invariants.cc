// Checks of the tree: entries, links, directories, reachability, trash.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "harness/juicefs/invariant_context.h"

namespace kvjury::juicefs {

namespace {

bool IsDirectory(const Attr& attr) { return attr.type == kTypeDirectory; }

void CheckEntryDirectory(const InvariantContext& context, Inode directory, InvariantResult* result) {
  const Attr* attr = context.image.FindAttr(directory);
  const Key key = AttrKey(directory);
  if (attr != nullptr) {
    if (!IsDirectory(*attr)) {
      AddViolation(result, key, fmt::format("has entries but is of type {}", attr->type));
    }
    return;
  }
  if (directory == kRootInode) {
    return;  // of the check `setting`
  }
  if (directory == kTrashInode) {
    AddViolation(result, key, "the trash has entries but no inode record");
  } else if (context.PlaceCount(directory) == 0) {
    AddHazard(result, key, "entries below a removed directory (created while it was being removed)");
  }  // else: the entry of the directory itself has lost its inode and is reported
}

/// Entries of `inode` by directory.
std::map<Inode, int64_t> EntriesByDirectory(const InvariantContext& context, Inode inode) {
  std::map<Inode, int64_t> entries;
  const auto found = context.places.find(inode);
  if (found != context.places.end()) {
    for (const EntryPlace& place : found->second) {
      ++entries[place.directory];
    }
  }
  return entries;
}

void CheckCountedLinks(const InvariantContext& context, Inode inode, const Attr& attr, InvariantResult* result) {
  std::map<Inode, int64_t> entries = EntriesByDirectory(context, inode);
  const auto counts = context.image.link_counts.find(inode);
  if (counts != context.image.link_counts.end()) {
    for (const auto& [directory, count] : counts->second) {
      const int64_t listed = entries[directory];
      if (count != listed) {
        AddViolation(result, LinkCountKey(inode, directory), fmt::format("says {} links, entries are {}", count, listed));
      }
      entries[directory] = 0;
    }
  }
  for (const auto& [directory, listed] : entries) {
    if (listed != 0) {
      AddViolation(result, LinkCountKey(inode, directory), fmt::format("is absent, entries are {}", listed));
    }
  }
  if (attr.nlink != context.PlaceCount(inode)) {
    AddViolation(result, AttrKey(inode), fmt::format("nlink {}, entries are {}", attr.nlink, context.PlaceCount(inode)));
  }
}

void CheckSingleLink(const InvariantContext& context, Inode inode, const Attr& attr, InvariantResult* result) {
  const std::vector<EntryPlace>& places = context.places.at(inode);
  if (places.size() != 1) {
    AddViolation(result, AttrKey(inode),
                 fmt::format("has parent {} and {} entries: expected one", InodeText(attr.parent), places.size()));
  } else if (places[0].directory != attr.parent) {
    AddViolation(result, AttrKey(inode), fmt::format("has parent {}, its entry is in {}", InodeText(attr.parent),
                                                     InodeText(places[0].directory)));
  }
  if (attr.nlink > 1 && attr.type != kTypeFile && places.size() == 1) {
    AddHazard(result, AttrKey(inode), fmt::format("nlink {}: expected 1 (a clone of a hard link that is no file keeps the number)", attr.nlink));
  } else if (attr.nlink != 1) {
    AddViolation(result, AttrKey(inode), fmt::format("nlink {}: expected 1", attr.nlink));
  }
}

/// What keeps an inode from hanging below a root.
enum class Anchor { kRooted, kOrphan, kBelowOrphan, kBelowRemoved, kCycle };

Anchor FindAnchor(const InvariantContext& context, Inode inode, std::map<Inode, Anchor>* known) {
  std::vector<Inode> chain;
  std::set<Inode> on_chain;
  Anchor anchor = Anchor::kRooted;
  for (Inode at = inode;;) {
    const auto memo = known->find(at);
    if (memo != known->end()) {
      anchor = memo->second == Anchor::kOrphan && at != inode ? Anchor::kBelowOrphan : memo->second;
      break;
    }
    if (at == kRootInode || at == kTrashInode || context.image.detached.count(at) != 0 || context.sustained.count(at) != 0) {
      break;
    }
    if (!on_chain.insert(at).second) {
      anchor = Anchor::kCycle;
      break;
    }
    const auto places = context.places.find(at);
    if (places == context.places.end()) {
      if (context.image.FindAttr(at) == nullptr) {
        anchor = Anchor::kBelowRemoved;
      } else {
        (*known)[at] = Anchor::kOrphan;
        anchor = at == inode ? Anchor::kOrphan : Anchor::kBelowOrphan;
      }
      break;
    }
    chain.push_back(at);
    at = places->second.front().directory;
  }
  for (Inode link : chain) {
    known->emplace(link, anchor);
  }
  return anchor;
}

/// Of several links one that hangs below a root is enough.
Anchor FindAnchorOfAny(const InvariantContext& context, Inode inode, std::map<Inode, Anchor>* known) {
  const Anchor anchor = FindAnchor(context, inode, known);
  const auto places = context.places.find(inode);
  if (anchor != Anchor::kRooted && places != context.places.end() && places->second.size() > 1) {
    for (const EntryPlace& place : places->second) {
      if (FindAnchor(context, place.directory, known) == Anchor::kRooted) {
        return Anchor::kRooted;
      }
    }
  }
  return anchor;
}

bool IsHourName(std::string_view name) {
  constexpr std::string_view kForm = "dddd-dd-dd-dd";
  if (name.size() != kForm.size()) {
    return false;
  }
  for (size_t i = 0; i < name.size(); ++i) {
    const bool digit = name[i] >= '0' && name[i] <= '9';
    if (kForm[i] == 'd' ? !digit : name[i] != '-') {
      return false;
    }
  }
  return true;
}

/// `<parent>-<inode>-<name>` cut to 255 bytes, of that inode.
bool IsTrashedName(std::string_view name, Inode inode) {
  const size_t parent_end = name.find_first_not_of("0123456789");
  if (parent_end == 0 || parent_end == std::string_view::npos || name[parent_end] != '-') {
    return false;
  }
  const std::string expected = std::to_string(inode.value()) + "-";
  return name.substr(parent_end + 1, expected.size()) == expected && name.size() > parent_end + 1 + expected.size();
}

void CheckHourEntry(const InvariantContext& context, Inode hour, const Bytes& name, const Dentry& dentry,
                    InvariantResult* result) {
  if (!IsTrashedName(name, dentry.inode)) {
    AddViolation(result, DentryKey(hour, name),
                 fmt::format("expected a name of the form parent-{}-name", InodeText(dentry.inode)));
  }
  const auto below = context.image.dentries.find(dentry.inode);
  if (dentry.type == kTypeDirectory && below != context.image.dentries.end() && !below->second.empty()) {
    AddHazard(result, DentryKey(hour, name), "a directory in the trash has entries (created while it was being removed)");
  }
}

}  // namespace

InvariantResult CheckDentries(const InvariantContext& context) {
  InvariantResult result{kInvariantDentries, 0, {}};
  for (const ImageProblem& problem : context.image.problems) {
    if (problem.key.has_value() && problem.key->kind == KeyKind::kDentry) {
      ++result.counted;
      AddViolation(&result, *problem.key, problem.status.message());
    }
  }
  for (const auto& [directory, entries] : context.image.dentries) {
    CheckEntryDirectory(context, directory, &result);
    for (const auto& [name, dentry] : entries) {
      ++result.counted;
      const Attr* attr = context.image.FindAttr(dentry.inode);
      if (dentry.type < kTypeFile || dentry.type > kTypeSocket) {
        AddViolation(&result, DentryKey(directory, name), fmt::format("type {}: expected 1 to 7", dentry.type));
      } else if (attr == nullptr) {
        AddViolation(&result, DentryKey(directory, name), fmt::format("inode {} has no record", InodeText(dentry.inode)));
      } else if (attr->type != dentry.type) {
        AddViolation(&result, DentryKey(directory, name),
                     fmt::format("type {}, inode {} is of type {}", dentry.type, InodeText(dentry.inode), attr->type));
      }
    }
  }
  return result;
}

InvariantResult CheckLinks(const InvariantContext& context) {
  InvariantResult result{kInvariantLinks, 0, {}};
  for (const auto& [inode, attr] : context.image.inodes) {
    if (IsDirectory(attr)) {
      continue;
    }
    ++result.counted;
    const bool listed = context.PlaceCount(inode) != 0;
    const bool sustained = context.sustained.count(inode) != 0;
    if (!listed && !sustained) {
      continue;  // of the check `reachable`
    }
    if (sustained && attr.nlink != 0) {
      AddViolation(&result, AttrKey(inode), fmt::format("is sustained with nlink {}: expected 0", attr.nlink));
    } else if (sustained && listed) {
      AddViolation(&result, AttrKey(inode), "is sustained and has an entry");
    } else if (listed && attr.parent.valid()) {
      CheckSingleLink(context, inode, attr, &result);
    } else if (listed) {
      CheckCountedLinks(context, inode, attr, &result);
    }
  }
  for (const auto& [session, inode] : context.image.sustained) {
    ++result.counted;
    if (context.image.FindAttr(inode) == nullptr) {
      AddViolation(&result, SustainedKey(session, inode), "the sustained inode has no record");
    }
  }
  return result;
}

InvariantResult CheckDirectories(const InvariantContext& context) {
  InvariantResult result{kInvariantDirectories, 0, {}};
  for (const auto& [inode, attr] : context.image.inodes) {
    if (!IsDirectory(attr) || inode == kRootInode || inode == kTrashInode) {
      continue;
    }
    ++result.counted;
    const auto places = context.places.find(inode);
    if (places == context.places.end()) {
      continue;  // of the check `reachable`
    }
    if (context.image.detached.count(inode) != 0) {
      AddViolation(&result, DetachedKey(inode), "a detached directory has an entry");
    } else if (places->second.size() != 1) {
      AddViolation(&result, AttrKey(inode), fmt::format("directory with {} entries: expected one", places->second.size()));
    } else if (places->second[0].directory != attr.parent) {
      AddViolation(&result, AttrKey(inode), fmt::format("has parent {}, its entry is in {}", InodeText(attr.parent),
                                                        InodeText(places->second[0].directory)));
    }
  }
  return result;
}

InvariantResult CheckDirectoryNlink(const InvariantContext& context) {
  InvariantResult result{kInvariantDirectoryNlink, 0, {}};
  for (const auto& [inode, attr] : context.image.inodes) {
    if (!IsDirectory(attr) || context.InsideDetached(inode)) {
      continue;
    }
    ++result.counted;
    uint64_t expected = 2;
    const auto entries = context.image.dentries.find(inode);
    if (!IsTrash(inode) && entries != context.image.dentries.end()) {
      for (const auto& [name, dentry] : entries->second) {
        // The inode's own word counts where there is one: a wrong type in the entry is of the check `dentries`.
        const Attr* child = context.image.FindAttr(dentry.inode);
        expected += (child != nullptr ? child->type : dentry.type) == kTypeDirectory ? 1 : 0;
      }
    }
    if (attr.nlink != expected) {
      AddIssue(&result, context.options.skipped_directory_nlink ? IssueSeverity::kHazard : IssueSeverity::kViolation,
               AttrKey(inode), fmt::format("directory with nlink {}: expected {}", attr.nlink, expected));
    }
  }
  return result;
}

InvariantResult CheckReachable(const InvariantContext& context) {
  InvariantResult result{kInvariantReachable, 0, {}};
  std::map<Inode, Anchor> known;
  for (const auto& [inode, attr] : context.image.inodes) {
    ++result.counted;
    switch (FindAnchorOfAny(context, inode, &known)) {
      case Anchor::kOrphan:
        AddViolation(&result, AttrKey(inode), "has no entry and is neither sustained nor detached");
        break;
      case Anchor::kCycle:
        AddHazard(&result, AttrKey(inode), "hangs in a cycle of directories (two renames at the same time)");
        break;
      case Anchor::kBelowRemoved:
        AddHazard(&result, AttrKey(inode), "hangs below a removed directory (created while it was being removed)");
        break;
      case Anchor::kRooted:
      case Anchor::kBelowOrphan:  // the orphan itself is reported
        break;
    }
  }
  return result;
}

InvariantResult CheckTrash(const InvariantContext& context) {
  InvariantResult result{kInvariantTrash, 0, {}};
  const auto hours = context.image.dentries.find(kTrashInode);
  if (hours == context.image.dentries.end()) {
    return result;
  }
  for (const auto& [name, dentry] : hours->second) {
    ++result.counted;
    const Key key = DentryKey(kTrashInode, name);
    if (!IsHourName(name)) {
      AddViolation(&result, key, "expected a name of the form YYYY-MM-DD-HH");
    }
    if (dentry.type != kTypeDirectory) {
      AddViolation(&result, key, fmt::format("type {}: expected a directory", dentry.type));
    }
    if (dentry.inode <= kTrashInode) {
      AddViolation(&result, key, fmt::format("inode {} is none of an hour directory", dentry.inode.value()));
    }
    const auto entries = context.image.dentries.find(dentry.inode);
    if (entries != context.image.dentries.end()) {
      for (const auto& [trashed, trashed_dentry] : entries->second) {
        ++result.counted;
        CheckHourEntry(context, dentry.inode, trashed, trashed_dentry, &result);
      }
    }
  }
  return result;
}

}  // namespace kvjury::juicefs
