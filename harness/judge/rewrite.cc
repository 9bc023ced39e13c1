#include "harness/judge/rewrite.h"

#include <map>
#include <set>

#include "fakes/base/utf8.h"

namespace kvjury::judge {

namespace {

constexpr uint32_t kTypeBits = 0170000;
constexpr uint32_t kDirectory = 0040000;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
const std::set<Bytes>& CountersOfDumps() {
  static const std::set<Bytes> kNames = {"usedSpace", "totalInodes", "nextInode", "nextChunk", "nextSession", "nextTrash"};
  return kNames;
}

bool IsDirectory(const juicefs::ViewEntry& entry) { return (entry.mode & kTypeBits) == kDirectory; }

bool InTrash(const Bytes& path) {
  constexpr std::string_view kInTrash = ".trash/";
  return path.compare(0, kInTrash.size(), kInTrash) == 0;
}

// Only what lies below `top`, which becomes the root.
void MakeRoot(Inode top, juicefs::View* view) {
  std::map<Bytes, juicefs::ViewEntry> below;
  const std::optional<Bytes> path = view->PathOfInode(top);
  if (path.has_value()) {
    below["."] = view->entries.at(*path);
    below["."].inode = juicefs::kRootInode;
    below[juicefs::kTrashName] = view->entries.at(juicefs::kTrashName);
    const Bytes start = *path + "/";
    for (auto entry = view->entries.lower_bound(start); entry != view->entries.end() && entry->first.compare(0, start.size(), start) == 0; ++entry) {
      below[entry->first.substr(start.size())] = entry->second;
    }
  }
  view->entries = std::move(below);
}

// A load of JSON gives each inode as many links as the dump has names for it.
void CountLinks(juicefs::View* view) {
  std::map<Inode, uint32_t> names;
  std::map<Bytes, uint32_t> subdirectories;
  for (const auto& [path, entry] : view->entries) {
    ++names[entry.inode];
    if (IsDirectory(entry) && path != "." && path != juicefs::kTrashName) {
      const size_t slash = path.rfind('/');
      ++subdirectories[slash == Bytes::npos ? "." : path.substr(0, slash)];
    }
  }
  for (auto& [path, entry] : view->entries) {
    if (!IsDirectory(entry)) {
      entry.nlink = names[entry.inode];
    } else if (!juicefs::IsTrash(entry.inode)) {
      entry.nlink = 2 + subdirectories[path];
    }
  }
}

// "%2F" somewhere: what a binary dump takes for one byte.
bool HasEscape(std::string_view text) {
  const auto upper_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
  for (size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] == '%' && upper_hex(text[i + 1]) && upper_hex(text[i + 2])) {
      return true;
    }
  }
  return false;
}

}  // namespace

juicefs::View PromisedView(const juicefs::View& source, const RewriteForm& form) {
  juicefs::View view = source;
  view.statfs.reset();
  if (form.top != juicefs::kRootInode) {
    MakeRoot(form.top, &view);
  }
  if (!form.holds_trash()) {
    std::erase_if(view.entries, [](const auto& entry) { return InTrash(entry.first); });
  }
  if (!form.binary) {
    CountLinks(&view);
  }
  view.IndexInodes();
  return view;
}

KeyPromise PromiseOf(const juicefs::Key& key, const RewriteForm& form) {
  using juicefs::KeyKind;
  switch (key.kind) {
    case KeyKind::kCounter:
      if (CountersOfDumps().count(key.name) > 0) {
        return form.binary ? KeyPromise::kVerbatim : KeyPromise::kMadeAnew;
      }
      // Where the change log of the source ended, which the source itself has nowhere: the load of a binary dump alone writes it.
      return key.name == "aclMaxId" || (key.name == "lastChangelog" && form.binary) ? KeyPromise::kMadeAnew : KeyPromise::kDropped;
    case KeyKind::kDentry:
    case KeyKind::kChunk:
    case KeyKind::kSymlink:
    case KeyKind::kXattr:
    case KeyKind::kDeletedFile:
      return KeyPromise::kVerbatim;
    case KeyKind::kAttr:
    case KeyKind::kLinkCount:
    case KeyKind::kSliceReferences:
    case KeyKind::kAclRule:
    case KeyKind::kDirStat:
      return form.binary ? KeyPromise::kVerbatim : KeyPromise::kMadeAnew;
    case KeyKind::kSustained:
      return form.binary ? KeyPromise::kVerbatim : KeyPromise::kDropped;
    case KeyKind::kDirQuota:
    case KeyKind::kUserQuota:
    case KeyKind::kGroupQuota:
      return form.binary ? KeyPromise::kVerbatim : KeyPromise::kLimits;
    case KeyKind::kSetting:
      return KeyPromise::kMadeAnew;  // by the check of its own
    default:
      return KeyPromise::kDropped;
  }
}

std::string FormLoss(const juicefs::ViewDifference& difference, std::optional<bool> binary) {
  const bool may_be_json = !binary.value_or(false);
  const bool may_be_binary = binary.value_or(true);
  // It becomes the byte EF, so that the source's name has the character and the target's is no text.
  const bool has_replacement = difference.path.find(kReplacement) != Bytes::npos ||
                               (!IsUtf8(difference.path) && difference.path.find('\xEF') != Bytes::npos);
  if (may_be_json && has_replacement) {
    return "a name with a real U+FFFD, of which a dump in JSON keeps one byte of three";
  }
  const std::string printed = Printable(kReplacement);
  if (may_be_json && (difference.left.find(printed) != std::string::npos || difference.field.find(printed) != std::string::npos)) {
    return "a value with a real U+FFFD, of which a dump in JSON keeps one byte of three, or an xattr whose name is no text";
  }
  if (may_be_binary && difference.field == "target" && HasEscape(difference.left)) {
    return "a symbolic link's target with %XX, which a binary dump unescapes";
  }
  return {};
}

}  // namespace kvjury::judge
