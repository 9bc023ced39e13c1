#include "harness/judge/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "harness/juicefs/pieces.h"

namespace kvjury::judge {

using juicefs::Attr;
using juicefs::DeclaredTransaction;
using juicefs::ViewEntry;

namespace {

void AppendLittle(Bytes* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out->push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  }
}

/// The kernel's posix ACL xattr, version 2: tag, permission, id for each entry.
Bytes KernelAcl(const juicefs::AclRule& rule) {
  constexpr uint32_t kUnnamed = 0xFFFFFFFF;
  Bytes out;
  AppendLittle(&out, 2, 4);
  const auto add = [&out](uint16_t tag, uint16_t permission, uint32_t id) {
    AppendLittle(&out, tag, 2);
    AppendLittle(&out, permission, 2);
    AppendLittle(&out, id, 4);
  };
  add(0x01, rule.owner, kUnnamed);
  for (const juicefs::AclEntry& user : rule.users) {
    add(0x02, user.permission, user.id);
  }
  add(0x04, rule.group, kUnnamed);
  for (const juicefs::AclEntry& group : rule.groups) {
    add(0x08, group.permission, group.id);
  }
  if (rule.mask != 0xFFFF) {
    add(0x10, rule.mask, kUnnamed);
  }
  add(0x20, rule.other, kUnnamed);
  return out;
}

/// st_mode's type bits.
uint32_t TypeBits(uint8_t type) {
  constexpr uint32_t kBits[] = {0, 0100000, 0040000, 0120000, 0010000, 0060000, 0020000, 0140000};
  return type < std::size(kBits) ? kBits[type] : 0;
}

/// Unsigned, since a damaged volume may hold any seconds.
int64_t ToNanoseconds(int64_t seconds, uint32_t nanoseconds) {
  return static_cast<int64_t>(static_cast<uint64_t>(seconds) * 1'000'000'000 + nanoseconds);
}

}  // namespace

Model::Model(const juicefs::VolumeImage& initial)
    : inodes_(initial.inodes), symlinks_(initial.symlinks), xattrs_(initial.xattrs) {
  for (const auto& [directory, entries] : initial.dentries) {
    for (const auto& [name, dentry] : entries) {
      directories_[directory][name] = Entry{dentry.inode, dentry.type};
    }
  }
  for (const auto& [inode, chunks] : initial.chunks) {
    for (const auto& [index, records] : chunks) {
      for (const juicefs::SliceRecord& record : records) {
        contents_[inode][index].push_back(Slice{record.position, record.length, record.id, record.offset});
      }
    }
  }
  for (const auto& [id, rule] : initial.acl_rules) {
    acl_xattrs_[id] = KernelAcl(rule);
  }
}

/// Applies each kind of effect and says what contradicts the state.
struct Model::Applier {
  Model* model;
  const DeclaredTransaction& transaction;
  Timestamp commit_ts;

  void Anomaly(std::string text) { model->anomalies_.push_back({transaction.label, commit_ts, std::move(text)}); }

  void operator()(const juicefs::SetAttrEffect& e) {
    const auto [at, added] = model->inodes_.try_emplace(e.inode, e.attr);
    if (!added && at->second.type != e.attr.type) {
      Anomaly(fmt::format("inode {} changes its type from {} to {}", e.inode.value(), at->second.type, e.attr.type));
    }
    at->second = e.attr;
  }
  void operator()(const juicefs::RemoveInodeEffect& e) {
    if (model->inodes_.erase(e.inode) == 0) {
      Anomaly(fmt::format("inode {} is removed but does not exist", e.inode.value()));
    }
    model->symlinks_.erase(e.inode);
    model->xattrs_.erase(e.inode);
    model->contents_.erase(e.inode);
  }
  void operator()(const juicefs::AddDentryEffect& e) {
    const auto [at, added] = model->directories_[e.directory].try_emplace(e.name, Entry{e.inode, e.type});
    if (!added) {
      Anomaly(fmt::format("entry {}/{} is added but leads to inode {} already", e.directory.value(), Printable(e.name),
                          at->second.inode.value()));
      at->second = Entry{e.inode, e.type};
    }
  }
  void operator()(const juicefs::RemoveDentryEffect& e) {
    auto& entries = model->directories_[e.directory];
    const auto at = entries.find(e.name);
    if (at == entries.end()) {
      Anomaly(fmt::format("entry {}/{} is removed but does not exist", e.directory.value(), Printable(e.name)));
      return;
    }
    if (at->second.inode != e.inode) {
      Anomaly(fmt::format("entry {}/{} is removed as inode {} but leads to {}", e.directory.value(), Printable(e.name),
                          e.inode.value(), at->second.inode.value()));
    }
    entries.erase(at);
  }
  void operator()(const juicefs::SetSymlinkEffect& e) { model->symlinks_[e.inode] = e.target; }
  void operator()(const juicefs::SetXattrEffect& e) { model->xattrs_[e.inode][e.name] = e.value; }
  void operator()(const juicefs::RemoveXattrEffect& e) {
    // Gone already when the inode was removed meanwhile: neither transaction reads what the other writes.
    if (model->xattrs_[e.inode].erase(e.name) == 0 && model->inodes_.count(e.inode) > 0) {
      Anomaly(fmt::format("xattr {} of inode {} is removed but does not exist", Printable(e.name), e.inode.value()));
    }
  }
  void operator()(const juicefs::AppendSliceEffect& e) {
    if (model->inodes_.count(e.inode) == 0) {
      Anomaly(fmt::format("inode {} is written to but does not exist", e.inode.value()));
    }
    model->contents_[e.inode][e.chunk].push_back(Slice{e.position, e.length, e.slice_id, e.offset});
  }
  void operator()(const juicefs::ReplaceSlicesEffect& e) {
    if (model->inodes_.count(e.inode) == 0) {
      return;  // removed meanwhile: a compaction does not look at the inode, and the chunk waits for its deletion
    }
    std::vector<Slice>& slices = model->contents_[e.inode][e.chunk];
    if (slices.size() < uint64_t{e.first} + e.count || e.count == 0) {
      Anomaly(fmt::format("{} records of inode {} are replaced from number {} on but there are {}", e.count, e.inode.value(), e.first,
                          slices.size()));
      return;
    }
    const auto first = slices.begin() + e.first;
    slices.insert(slices.erase(first, first + e.count), Slice{e.position, e.length, e.slice_id, 0});
  }
};

void Model::Apply(const DeclaredTransaction& transaction, Timestamp commit_ts) {
  Applier applier{this, transaction, commit_ts};
  if (commit_ts < last_ts_) {
    applier.Anomaly(fmt::format("committed at {} but applied after {}", commit_ts.value(), last_ts_.value()));
  }
  last_ts_ = std::max(last_ts_, commit_ts);
  for (const juicefs::Effect& effect : transaction.effects) {
    std::visit(applier, effect);
    effects_applied_ += 1;
  }
  transactions_applied_ += 1;
}

uint64_t Model::ApplyUpTo(const std::vector<DeclaredTransaction>& transactions, Timestamp cut,
                          const FindCommit& find_commit) {
  std::vector<std::pair<Timestamp, const DeclaredTransaction*>> committed;
  for (const DeclaredTransaction& transaction : transactions) {
    const std::optional<Timestamp> commit_ts =
        transaction.undetermined ? find_commit(transaction) : std::optional<Timestamp>(transaction.commit_ts);
    if (commit_ts.has_value() && *commit_ts <= cut) {
      committed.emplace_back(*commit_ts, &transaction);
    }
  }
  std::stable_sort(committed.begin(), committed.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->start_ts < b.second->start_ts;
  });
  for (const auto& [commit_ts, transaction] : committed) {
    Apply(*transaction, commit_ts);
  }
  return committed.size();
}

std::string Model::ContentOf(Inode inode, uint64_t length) const {
  std::vector<juicefs::Piece> pieces;
  const auto append = [&pieces](uint64_t id, uint64_t offset, uint64_t bytes) {
    if (bytes == 0) {
      return;
    }
    if (!pieces.empty() && pieces.back().slice_id == id &&
        (id == 0 || pieces.back().slice_offset + pieces.back().length == offset)) {
      pieces.back().length += bytes;
    } else {
      pieces.push_back({id, id == 0 ? 0 : offset, bytes});
    }
  };
  uint64_t position = 0;
  const auto file = contents_.find(inode);
  if (file != contents_.end()) {
    for (const auto& [index, slices] : file->second) {
      const uint64_t chunk_begin = index * juicefs::kChunkBytes;
      if (chunk_begin >= length) {
        break;
      }
      append(0, 0, chunk_begin - position);
      const uint64_t size = std::min(juicefs::kChunkBytes, length - chunk_begin);
      // Between two neighbouring boundaries nothing changes: ask the list from its end who covers the stretch.
      std::set<uint64_t> boundaries = {0, size};
      for (const Slice& slice : slices) {
        boundaries.insert(std::min(slice.position, size));
        boundaries.insert(std::min(slice.position + slice.length, size));
      }
      for (auto at = boundaries.begin(); std::next(at) != boundaries.end(); ++at) {
        const uint64_t begin = *at;
        const uint64_t end = *std::next(at);
        const auto covering = std::find_if(slices.rbegin(), slices.rend(), [begin](const Slice& slice) {
          return slice.position <= begin && begin < slice.position + slice.length;
        });
        if (covering == slices.rend()) {
          append(0, 0, end - begin);
        } else {
          append(covering->id, covering->offset + (begin - covering->position), end - begin);
        }
      }
      position = chunk_begin + size;
    }
  }
  append(0, 0, length - position);
  return juicefs::ContentDigest(pieces);
}

ViewEntry Model::EntryOf(Inode inode, uint8_t entry_type) const {
  ViewEntry entry;
  entry.inode = inode;
  const auto found = inodes_.find(inode);
  if (found == inodes_.end()) {
    entry.mode = TypeBits(entry_type);  // a mount knows no more
    return entry;
  }
  const Attr& attr = found->second;
  entry.mode = TypeBits(attr.type) | attr.mode;
  entry.uid = attr.uid;
  entry.gid = attr.gid;
  entry.nlink = attr.nlink;
  entry.atime_ns = ToNanoseconds(attr.atime_s, attr.atime_ns);
  entry.mtime_ns = ToNanoseconds(attr.mtime_s, attr.mtime_ns);
  entry.ctime_ns = ToNanoseconds(attr.ctime_s, attr.ctime_ns);
  if (attr.type == juicefs::kTypeFile || attr.type == juicefs::kTypeDirectory || attr.type == juicefs::kTypeSymlink) {
    entry.size = attr.length;
  }
  if (attr.type == juicefs::kTypeFile) {
    entry.content = ContentOf(inode, attr.length);
  } else if (attr.type == juicefs::kTypeSymlink) {
    const auto target = symlinks_.find(inode);
    if (target != symlinks_.end()) {
      entry.target = target->second;
    }
  } else if (attr.type == juicefs::kTypeBlockDevice || attr.type == juicefs::kTypeCharDevice) {
    entry.rdev = attr.rdev;
  }
  const auto xattrs = xattrs_.find(inode);
  if (xattrs != xattrs_.end()) {
    entry.xattrs = xattrs->second;
  }
  const auto access = acl_xattrs_.find(attr.access_acl);
  if (attr.access_acl != 0 && access != acl_xattrs_.end()) {
    entry.xattrs["system.posix_acl_access"] = access->second;
  }
  const auto inherited = acl_xattrs_.find(attr.default_acl);
  if (attr.default_acl != 0 && inherited != acl_xattrs_.end()) {
    entry.xattrs["system.posix_acl_default"] = inherited->second;
  }
  return entry;
}

/// Lists every directory once, the root's tree before the trash.
struct Model::Walk {
  const Model& model;
  juicefs::View view;
  std::set<Inode> listed;
  std::vector<std::pair<Inode, Bytes>> pending;  // directory and its path with a slash behind; the root's is empty

  void Visit(Inode directory, const Bytes& path) {
    if (path.size() > juicefs::kPathBytesMax + 1) {
      view.problems.push_back({path, directory, "path too long"});
    } else if (!listed.insert(directory).second) {
      view.problems.push_back({path, directory, "directory reached a second time"});
    } else {
      pending.emplace_back(directory, path);
    }
  }

  void Run() {
    view.entries["."] = model.EntryOf(juicefs::kRootInode, juicefs::kTypeDirectory);
    ViewEntry trash;
    trash.inode = juicefs::kTrashInode;
    trash.mode = TypeBits(juicefs::kTypeDirectory) | 0555;
    trash.nlink = 2;
    view.entries[juicefs::kTrashName] = trash;
    Visit(juicefs::kRootInode, "");
    Visit(juicefs::kTrashInode, Bytes(juicefs::kTrashName) + "/");
    while (!pending.empty()) {
      const auto [directory, path] = pending.back();
      pending.pop_back();
      const auto entries = model.directories_.find(directory);
      if (entries == model.directories_.end()) {
        continue;
      }
      for (const auto& [name, child] : entries->second) {
        if (path.empty() && name == juicefs::kTrashName) {
          view.problems.push_back({name, child.inode, "hidden by the trash"});
          continue;
        }
        ViewEntry entry = model.EntryOf(child.inode, child.type);
        const bool is_directory = (entry.mode & 0170000) == TypeBits(juicefs::kTypeDirectory);
        view.entries[path + name] = std::move(entry);
        if (is_directory) {
          Visit(child.inode, path + name + "/");
        }
      }
    }
    view.IndexInodes();
  }
};

juicefs::View Model::MakeView() const {
  Walk walk{*this, {}, {}, {}};
  walk.Run();
  return std::move(walk.view);
}

}  // namespace kvjury::judge
