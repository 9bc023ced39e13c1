#include "harness/juicefs/dump_json.h"

#include <fmt/format.h>

#include <map>

#include "fakes/base/compress.h"
#include "harness/juicefs/dump_members.h"
#include "harness/juicefs/json_dump_reader.h"

namespace kvjury::juicefs {

namespace {

using nlohmann::json;

/// Fills the image; entries of one directory are attached when its object ends, so that member order does not matter.
class ImageFromDump : public JsonDumpEvents {
 public:
  JsonDump dump;

  Status Member(const std::string& name, const json& value) override {
    if (name == "Setting") {
      ASSIGN_OR_RETURN(Setting setting, DecodeSetting(value.dump()));
      setting.text.clear();  // the dump holds the members, not the bytes of the record
      dump.image.setting = std::move(setting);
      return Status::Ok();
    }
    if (name == "Counters") {
      return ReadCounters(value);
    }
    if (name == "Sustained") {
      return ReadSustained(value);
    }
    if (name == "DelFiles") {
      return ReadDeletedFiles(value);
    }
    if (name == "Quotas" || name == "UserQuotas" || name == "GroupQuotas") {
      return ReadQuotas(name, value);
    }
    if (name == "FSTree" || name == "Trash") {
      return value.is_null() ? Status::Ok() : Status::DataLoss(name + ": expected an object");
    }
    return Status::Ok();  // the change log and members of later versions
  }

  Status BeginEntry(const std::string& tree, const std::string& name) override {
    frames_.emplace_back();
    frames_.back().tree = tree;
    frames_.back().name = UnescapeDumpText(name);
    return Status::Ok();
  }

  Status EntryMember(const std::string& name, const json& value) override {
    Frame& frame = frames_.back();
    const std::string what = fmt::format("entry \"{}\", {}", Printable(frame.name), name);
    if (name == "attr") {
      Inode inode;
      ASSIGN_OR_RETURN(frame.attr, ReadDumpAttr(what, value, &inode));
      frame.inode = inode;
    } else if (name == "symlink") {
      if (!value.is_string()) {
        return Status::DataLoss(what + ": expected a string");
      }
      frame.target = UnescapeDumpText(value.get_ref<const std::string&>());
    } else if (name == "xattrs") {
      return ReadXattrs(what, value, &frame);
    } else if (name == "chunks") {
      ASSIGN_OR_RETURN(frame.chunks, ReadDumpChunks(what, value));
    } else if (name == "posix_acl_access") {
      ASSIGN_OR_RETURN(frame.access_acl, ReadDumpAcl(what, value));
    } else if (name == "posix_acl_default") {
      ASSIGN_OR_RETURN(frame.default_acl, ReadDumpAcl(what, value));
    } else if (name == "entries" && !value.is_null()) {
      return Status::DataLoss(what + ": expected an object");
    }
    return Status::Ok();
  }

  Status EndEntry() override {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frame.inode.valid()) {
      return Status::DataLoss(fmt::format("entry \"{}\": expected attr with an inode", Printable(frame.name)));
    }
    for (auto& [name, dentry] : frame.children) {
      dump.image.dentries[frame.inode][name] = dentry;
      Inode& parent = dump.image.inodes[dentry.inode].parent;
      parent = parent.valid() ? parent : frame.inode;
    }
    if (frame.tree.empty()) {
      ++dump.entry_count;
      const bool is_new = frames_.back().children.emplace(frame.name, Dentry{frame.attr.type, frame.inode}).second;
      if (!is_new) {
        dump.problems.push_back(fmt::format("entry \"{}\" occurs twice in its directory", Printable(frame.name)));
      }
    }
    Store(std::move(frame));
    return Status::Ok();
  }

 private:
  struct Frame {
    std::string tree;
    Bytes name;
    Inode inode;
    Attr attr;
    std::optional<Bytes> target;
    std::map<Bytes, Bytes> xattrs;
    ChunkMap chunks;
    std::optional<AclRule> access_acl;
    std::optional<AclRule> default_acl;
    std::map<Bytes, Dentry> children;
  };

  static Status ReadXattrs(const std::string& what, const json& value, Frame* frame) {
    if (!value.is_array()) {
      return Status::DataLoss(what + ": expected a list");
    }
    for (const json& element : value) {
      DumpMembers members(what, element);
      const Bytes name = UnescapeDumpText(members.Text("name"));
      frame->xattrs[name] = UnescapeDumpText(members.Text("value"));
      RETURN_IF_ERROR(members.status());
    }
    return Status::Ok();
  }

  Status ReadCounters(const json& value) {
    DumpMembers members("Counters", value);
    const std::vector<std::pair<const char*, const char*>> names = {
        {"usedSpace", "usedSpace"}, {"usedInodes", "totalInodes"}, {"nextInodes", "nextInode"},
        {"nextChunk", "nextChunk"}, {"nextSession", "nextSession"}, {"nextTrash", "nextTrash"}};
    for (const auto& [member, counter] : names) {
      dump.image.counters[counter] = members.Signed(member);
    }
    return members.status();
  }

  Status ReadSustained(const json& value) {
    if (!value.is_array() && !value.is_null()) {
      return Status::DataLoss("Sustained: expected a list");
    }
    for (const json& element : value) {
      DumpMembers members("Sustained", element);
      const uint64_t session = members.Unsigned("sid");
      for (const json& inode : members.List("inodes")) {
        if (!inode.is_number_unsigned()) {
          return Status::DataLoss("Sustained: expected inodes");
        }
        dump.image.sustained.insert({session, Inode(inode.get<uint64_t>())});
      }
      RETURN_IF_ERROR(members.status());
    }
    return Status::Ok();
  }

  Status ReadDeletedFiles(const json& value) {
    if (!value.is_array() && !value.is_null()) {
      return Status::DataLoss("DelFiles: expected a list");
    }
    for (const json& element : value) {
      DumpMembers members("DelFiles", element);
      const Inode inode(members.Unsigned("inode"));
      const uint64_t length = members.Unsigned("length");
      dump.image.deleted_files[{inode, length}] = members.Signed("expire");
      RETURN_IF_ERROR(members.status());
    }
    return Status::Ok();
  }

  Status ReadQuotas(const std::string& name, const json& value) {
    if (!value.is_object()) {
      return Status::DataLoss(name + ": expected an object");
    }
    for (const auto& [id_text, limits] : value.items()) {
      const bool digits = !id_text.empty() && id_text.size() <= 19 &&
                          id_text.find_first_not_of("0123456789") == std::string::npos;
      if (!digits) {
        return Status::DataLoss(fmt::format("{}: expected an id, found \"{}\"", name, Printable(id_text)));
      }
      const uint64_t id = std::stoull(id_text);
      DumpMembers members(name, limits);
      const Quota quota{members.Signed("maxSpace"), members.Signed("maxInodes"), 0, 0};
      RETURN_IF_ERROR(members.status());
      if (name == "Quotas") {
        dump.image.dir_quotas[Inode(id)] = quota;
      } else {
        (name == "UserQuotas" ? dump.image.user_quotas : dump.image.group_quotas)[id] = quota;
      }
    }
    return Status::Ok();
  }

  uint32_t NumberOfRule(const std::optional<AclRule>& rule) {
    if (!rule.has_value()) {
      return 0;
    }
    const auto next = static_cast<uint32_t>(rule_numbers_.size() + 1);
    const auto [found, is_new] = rule_numbers_.emplace(EncodeAclRule(*rule), next);
    if (is_new) {
      dump.image.acl_rules[next] = *rule;
    }
    return found->second;
  }

  void Store(Frame frame) {
    VolumeImage& image = dump.image;
    Attr attr = frame.attr;
    attr.access_acl = NumberOfRule(frame.access_acl);
    attr.default_acl = NumberOfRule(frame.default_acl);
    if (frame.target.has_value()) {
      attr.length = frame.target->size();
      image.symlinks[frame.inode] = *frame.target;
    }
    if (frame.inode == kRootInode || frame.inode == kTrashInode) {
      attr.parent = kRootInode;
    }
    const auto [stored, is_new] = image.inodes.emplace(frame.inode, attr);
    if (!is_new) {
      attr.parent = stored->second.parent;
      const auto chunks = image.chunks.find(frame.inode);
      const bool same_chunks = chunks == image.chunks.end() ? frame.chunks.empty() : chunks->second == frame.chunks;
      if (!(stored->second == attr) || !same_chunks) {
        dump.problems.push_back(fmt::format("inode {} is described in two ways", InodeText(frame.inode)));
      }
      return;
    }
    if (!frame.xattrs.empty()) {
      image.xattrs[frame.inode] = std::move(frame.xattrs);
    }
    if (!frame.chunks.empty()) {
      image.chunks[frame.inode] = std::move(frame.chunks);
    }
  }

  std::vector<Frame> frames_;
  std::map<Bytes, uint32_t> rule_numbers_;
};

int UpperHexValue(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

}  // namespace

const std::vector<JsonDumpLoss>& JsonDumpLosses() {
  static const std::vector<JsonDumpLoss> losses = {
      {"replacement-character", "A real U+FFFD in a name, target or xattr value is written as %EF and loses two bytes.", true},
      {"chunks-beyond-end", "A slow dump leaves out chunks at or beyond the end of a file.", false},
      {"several-timestamps", "A slow dump reads every inode and every directory at another time.", true},
      {"counters-at-another-time", "Counters, sustained and deleted files come from other reads than the tree.", true},
      {"trash-root", "Without an inode record the root of the trash is written with mode 0 and times 0.", false},
      {"link-records", "Parents of inodes and counts of links per directory are absent.", false},
      {"slice-references", "Extra references of slices and slices delayed by compactions are absent.", false},
      {"directory-statistics", "Statistics of directories are absent.", true},
      {"quota-usage", "Quotas have limits only; quotas of users and groups without limits are absent.", true},
      {"acl-numbers", "ACL rules stand inside the entries; their numbers and unused rules are lost.", false},
      {"sessions", "Sessions, BSD and POSIX locks are absent.", false},
      {"unreachable", "Unfinished clones, inodes without an entry and chunks of deleted files are absent.", false},
      {"job-counters", "Times of background jobs, aclMaxId, tokens and the change log's records are absent.", false},
      {"secrets", "Without --keep-secret-key the secret key and session token say `removed`.", false},
      {"pad-bytes", "The bytes of the setting and unusual forms of inodes are not kept.", false},
  };
  return losses;
}

Bytes UnescapeDumpText(std::string_view text) {
  Bytes bytes;
  bytes.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = UpperHexValue(text[i + 1]);
      const int low = UpperHexValue(text[i + 2]);
      if (high >= 0 && low >= 0) {
        bytes.push_back(static_cast<char>(high << 4 | low));
        i += 2;
        continue;
      }
    }
    bytes.push_back(text[i]);
  }
  return bytes;
}

Result<JsonDump> ReadDumpJson(const std::string& file_name, std::string_view file_bytes, size_t text_bytes_max) {
  const Result<Bytes> text = DecompressByMagic(file_bytes, text_bytes_max);
  if (!text.ok()) {
    return text.error().WithContext(file_name);
  }
  ImageFromDump reader;
  const Status status = ReadJsonDump(*text, &reader);
  if (!status.ok()) {
    return status.WithContext(file_name);
  }
  return std::move(reader.dump);
}

}  // namespace kvjury::juicefs
