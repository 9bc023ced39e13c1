#include "harness/juicefs/dump_members.h"

#include <charconv>
#include <map>

#include "harness/juicefs/dump_json.h"

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
      record.id = record.id == 0 ? members.Unsigned("chunkid") : record.id;  // its name before 1.0
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

Status ReadXattrs(const std::string& what, const json& value, std::map<Bytes, Bytes>* xattrs) {
  if (!value.is_array()) {
    return Status::DataLoss(what + ": expected a list");
  }
  for (const json& element : value) {
    DumpMembers members(what, element);
    const Bytes name = members.Text("name");  // the one text that is not escaped
    (*xattrs)[name] = UnescapeDumpText(members.Text("value"));
    RETURN_IF_ERROR(members.status());
  }
  return Status::Ok();
}

Status ReadMember(const std::string& member, const json& value, DumpedInode* to) {
  if (member == "attr") {
    Inode inode;
    ASSIGN_OR_RETURN(to->attr, ReadDumpAttr(member, value, &inode));
    to->inode = inode;
  } else if (member == "symlink") {
    if (!value.is_string()) {
      return Status::DataLoss(member + ": expected a string");
    }
    to->target = UnescapeDumpText(value.get_ref<const std::string&>());
  } else if (member == "xattrs") {
    return ReadXattrs(member, value, &to->xattrs);
  } else if (member == "chunks") {
    ASSIGN_OR_RETURN(to->chunks, ReadDumpChunks(member, value));
  } else if (member == "posix_acl_access") {
    ASSIGN_OR_RETURN(to->access_acl, ReadDumpAcl(member, value));
  } else if (member == "posix_acl_default") {
    ASSIGN_OR_RETURN(to->default_acl, ReadDumpAcl(member, value));
  } else if (member == "entries" && !value.is_null()) {
    return Status::DataLoss(member + ": expected an object");
  }
  return Status::Ok();
}

}  // namespace

Status ReadDumpedMember(std::string_view entry_name, const std::string& member, const json& value, DumpedInode* inode) {
  const Status status = ReadMember(member, value, inode);
  return status.ok() ? status : Status(status.code(), fmt::format("entry \"{}\", {}", Printable(entry_name), status.message()));
}

Result<std::map<uint64_t, Quota>> ReadDumpedQuotas(const std::string& member, const json& value) {
  if (!value.is_object()) {
    return Status::DataLoss(member + ": expected an object");
  }
  std::map<uint64_t, Quota> quotas;
  for (const auto& [id_text, limits] : value.items()) {
    uint64_t id = 0;
    const auto parsed = std::from_chars(id_text.data(), id_text.data() + id_text.size(), id);
    if (parsed.ec != std::errc() || parsed.ptr != id_text.data() + id_text.size()) {
      return Status::DataLoss(fmt::format("{}: expected an id, found \"{}\"", member, Printable(id_text)));
    }
    DumpMembers members(member, limits);
    quotas[id] = {members.Signed("maxSpace"), members.Signed("maxInodes"), 0, 0};
    RETURN_IF_ERROR(members.status());
  }
  return quotas;
}

Result<std::map<std::pair<Inode, uint64_t>, int64_t>> ReadDumpedFiles(const json& value) {
  std::map<std::pair<Inode, uint64_t>, int64_t> files;
  if (!value.is_array() && !value.is_null()) {
    return Status::DataLoss("DelFiles: expected a list");
  }
  for (const json& element : value) {
    DumpMembers members("DelFiles", element);
    const Inode inode(members.Unsigned("inode"));
    const uint64_t length = members.Unsigned("length");
    files[{inode, length}] = members.Signed("expire");
    RETURN_IF_ERROR(members.status());
  }
  return files;
}

}  // namespace kvjury::juicefs
