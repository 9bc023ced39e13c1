#include "harness/juicefs/dump_members.h"

#include <map>

namespace kvjury::juicefs {

namespace {

using nlohmann::json;

uint8_t TypeOfName(const std::string& name) {
  static const std::map<std::string, uint8_t> types = {
      {"regular", kTypeFile},          {"directory", kTypeDirectory}, {"symlink", kTypeSymlink}, {"fifo", kTypeFifo},
      {"blockdev", kTypeBlockDevice}, {"chardev", kTypeCharDevice},  {"socket", kTypeSocket}};
  const auto found = types.find(name);
  return found == types.end() ? uint8_t{0} : found->second;
}

Result<std::vector<AclEntry>> ReadAclEntries(const std::string& what, const json& list) {
  std::vector<AclEntry> entries;
  for (const json& element : list) {
    DumpMembers members(what, element);
    entries.push_back({members.Unsigned32("id"), static_cast<uint16_t>(members.Unsigned("perm"))});
    RETURN_IF_ERROR(members.status());
  }
  return entries;
}

}  // namespace

Result<Attr> ReadDumpAttr(const std::string& what, const json& value, Inode* inode) {
  DumpMembers members(what, value);
  Attr attr;
  *inode = Inode(members.Unsigned("inode"));
  attr.flags = static_cast<uint8_t>(members.Unsigned("flags"));
  attr.type = TypeOfName(members.Text("type"));
  if (attr.type == 0) {
    members.Expect("type", "one of regular, directory, symlink, fifo, blockdev, chardev, socket");
  }
  attr.mode = static_cast<uint16_t>(members.Unsigned("mode") & 0xFFF);
  attr.uid = members.Unsigned32("uid");
  attr.gid = members.Unsigned32("gid");
  attr.atime_s = members.Signed("atime");
  attr.mtime_s = members.Signed("mtime");
  attr.ctime_s = members.Signed("ctime");
  attr.atime_ns = members.Unsigned32("atimensec");
  attr.mtime_ns = members.Unsigned32("mtimensec");
  attr.ctime_ns = members.Unsigned32("ctimensec");
  attr.nlink = members.Unsigned32("nlink");
  attr.length = members.Unsigned("length");
  attr.rdev = members.Unsigned32("rdev");
  attr.tier = static_cast<uint8_t>(members.Unsigned("tier"));
  if (attr.type == kTypeDirectory) {
    attr.length = kDirectoryBytes;
  }
  RETURN_IF_ERROR(members.status());
  return attr;
}

Result<AclRule> ReadDumpAcl(const std::string& what, const json& value) {
  DumpMembers members(what, value);
  AclRule rule;
  rule.owner = static_cast<uint16_t>(members.Unsigned("owner"));
  rule.group = static_cast<uint16_t>(members.Unsigned("group"));
  rule.other = static_cast<uint16_t>(members.Unsigned("other"));
  rule.mask = static_cast<uint16_t>(members.Unsigned("mask"));
  ASSIGN_OR_RETURN(rule.users, ReadAclEntries(what, members.List("users")));
  ASSIGN_OR_RETURN(rule.groups, ReadAclEntries(what, members.List("groups")));
  RETURN_IF_ERROR(members.status());
  return rule;
}

Result<ChunkMap> ReadDumpChunks(const std::string& what, const json& value) {
  if (!value.is_array()) {
    return Status::DataLoss(what + ": expected a list of chunks");
  }
  ChunkMap chunks;
  for (const json& element : value) {
    DumpMembers chunk(what, element);
    std::vector<SliceRecord>& records = chunks[chunk.Unsigned32("index")];
    for (const json& slice : chunk.List("slices")) {
      DumpMembers members(what, slice);
      SliceRecord record;
      record.id = members.Unsigned("id");
      record.position = members.Unsigned32("pos");
      record.size = members.Unsigned32("size");
      record.offset = members.Unsigned32("off");
      record.length = members.Unsigned32("len");
      RETURN_IF_ERROR(members.status());
      records.push_back(record);
    }
    RETURN_IF_ERROR(chunk.status());
  }
  return chunks;
}

}  // namespace kvjury::juicefs
