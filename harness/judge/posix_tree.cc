#include "harness/judge/posix_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "fakes/base/civil_time.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/view.h"

namespace kvjury::judge {

bool PosixNode::IsDirectory() const { return type == juicefs::kTypeDirectory; }
bool PosixNode::IsFile() const { return type == juicefs::kTypeFile; }
uint64_t PosixNode::Space() const { return juicefs::SpaceOf(IsFile() ? content.length() : 0); }

PosixTree::PosixTree(TimeSpan now) {
  PosixNode root;
  root.type = juicefs::kTypeDirectory;
  root.mode = 0777;
  root.nlink = 2;
  root.inode = juicefs::kRootInode.value();
  root.atime = root.mtime = root.ctime = now;
  PosixNode trash = root;
  trash.mode = 0555;
  trash.inode = juicefs::kTrashInode.value();
  trash.parent = kRootNode;
  nodes_.emplace(kRootNode, std::move(root));
  nodes_.emplace(kTrashNode, std::move(trash));
}

NodeId PosixTree::Add(PosixNode node) {
  const NodeId id = next_++;
  nodes_.emplace(id, std::move(node));
  return id;
}

NodeId PosixTree::EntryOf(NodeId directory, const Bytes& name) const {
  if (directory == kRootNode && name == juicefs::kTrashName) {
    return kTrashNode;
  }
  const auto& entries = at(directory).entries;
  const auto found = entries.find(name);
  return found == entries.end() ? kNoNode : found->second;
}

PosixPlace PosixTree::Resolve(const Bytes& path, const std::function<bool(NodeId directory)>& may_search) const {
  PosixPlace place;
  place.node = kRootNode;
  size_t begin = 0;
  while (begin < path.size()) {
    const size_t slash = std::min(path.find('/', begin), path.size());
    Bytes name = path.substr(begin, slash - begin);
    begin = slash + 1;
    if (name.empty() || name == ".") {
      continue;
    }
    if (place.node == kNoNode) {
      place.error = ENOENT;
    } else if (!at(place.node).IsDirectory()) {
      place.error = ENOTDIR;
    } else if (!may_search(place.node)) {
      place.error = EACCES;
    } else if (name == "..") {
      place.error = EINVAL;
    } else if (name.size() > juicefs::kNameBytesMax) {
      place.error = ENAMETOOLONG;
    }
    if (place.error != 0) {
      place.at_last_name = place.error == ENAMETOOLONG && begin >= path.size();
      place.parent = place.node;
      return place;
    }
    place.parent = place.node;
    place.node = EntryOf(place.parent, name);
    place.name = std::move(name);
  }
  return place;
}

bool PosixTree::IsBelow(NodeId node, NodeId ancestor) const {
  // No loop is longer than the number of nodes.
  for (size_t steps = 0; node != kNoNode && node != kRootNode && steps <= nodes_.size(); ++steps) {
    node = at(node).parent;
    if (node == ancestor) {
      return true;
    }
  }
  return false;
}

bool PosixTree::IsTrash(NodeId directory) const {
  return directory == kTrashNode || (directory != kNoNode && at(directory).parent == kTrashNode);
}

NodeId PosixTree::TrashHour(TimeSpan now) {
  const CivilTime t = ToCivilTime(now.low_ns / 1'000'000'000);
  const Bytes name = fmt::format("{:04}-{:02}-{:02}-{:02}", t.year, t.month, t.day, t.hour);
  const NodeId present = EntryOf(kTrashNode, name);
  if (present != kNoNode) {
    return present;
  }
  PosixNode hour;
  hour.type = juicefs::kTypeDirectory;
  hour.mode = 0555;
  hour.nlink = 2;
  hour.parent = kTrashNode;
  hour.atime = hour.mtime = hour.ctime = now;
  const NodeId id = Add(std::move(hour));
  Mutable(kTrashNode).entries[name] = id;
  return id;
}

Bytes PosixTree::TrashName(NodeId parent, NodeId node, const Bytes& name) const {
  Bytes entry = fmt::format("{}-{}-", InodeOf(parent), InodeOf(node)) + name;
  entry.resize(std::min<size_t>(entry.size(), juicefs::kNameBytesMax));
  return entry;
}

uint64_t PosixTree::InodeOf(NodeId id) const { return at(id).inode == 0 ? id : at(id).inode; }

uint64_t PosixTree::UsedInodes() const {
  return static_cast<uint64_t>(std::count_if(nodes_.begin(), nodes_.end(), [](const auto& node) {
    return node.first != kRootNode && node.first != kTrashNode && !node.second.gone;
  }));
}

uint64_t PosixTree::UsedSpace() const {
  uint64_t space = 0;
  for (const auto& [id, node] : nodes_) {
    space += id == kRootNode || id == kTrashNode || node.gone ? 0 : node.Space();
  }
  return space;
}

PosixAttr PosixTree::AttrOf(NodeId id) const {
  const PosixNode& node = at(id);
  PosixAttr attr;
  attr.mode = juicefs::ModeTypeBits(node.type) | node.mode;
  attr.uid = node.uid;
  attr.gid = node.gid;
  attr.nlink = node.nlink;
  attr.atime = node.atime;
  attr.mtime = node.mtime;
  attr.ctime = node.ctime;
  if (node.IsDirectory()) {
    attr.size = id == kTrashNode ? 0 : juicefs::kDirectoryBytes;
  } else if (node.IsFile()) {
    attr.size = node.content.length();
  } else if (node.type == juicefs::kTypeSymlink) {
    attr.size = node.target.size();
  } else if (node.type == juicefs::kTypeBlockDevice || node.type == juicefs::kTypeCharDevice) {
    attr.rdev = node.rdev;
  }
  return attr;
}

}  // namespace kvjury::judge
