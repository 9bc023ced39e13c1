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
      ASSIGN_OR_RETURN(dump.image.deleted_files, ReadDumpedFiles(value));
      return Status::Ok();
    }
    if (name == "UserQuotas") {
      ASSIGN_OR_RETURN(dump.image.user_quotas, ReadDumpedQuotas(name, value));
      return Status::Ok();
    }
    if (name == "GroupQuotas") {
      ASSIGN_OR_RETURN(dump.image.group_quotas, ReadDumpedQuotas(name, value));
      return Status::Ok();
    }
    if (name == "Quotas") {
      ASSIGN_OR_RETURN(const auto quotas, ReadDumpedQuotas(name, value));
      for (const auto& [inode, quota] : quotas) {
        dump.image.dir_quotas[Inode(inode)] = quota;
      }
      return Status::Ok();
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
    return ReadDumpedMember(frames_.back().name, name, value, &frames_.back().said);
  }

  Status EndEntry() override {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frame.said.inode.valid()) {
      return Status::DataLoss(fmt::format("entry \"{}\": expected attr with an inode", Printable(frame.name)));
    }
    for (auto& [name, dentry] : frame.children) {
      dump.image.dentries[frame.said.inode][name] = dentry;
      Inode& parent = dump.image.inodes[dentry.inode].parent;
      parent = parent.valid() ? parent : frame.said.inode;
    }
    if (frame.tree.empty()) {
      ++dump.entry_count;
      const bool is_new = frames_.back().children.emplace(frame.name, Dentry{frame.said.attr.type, frame.said.inode}).second;
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
    DumpedInode said;
    std::map<Bytes, Dentry> children;
  };

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
    Attr attr = frame.said.attr;
    attr.access_acl = NumberOfRule(frame.said.access_acl);
    attr.default_acl = NumberOfRule(frame.said.default_acl);
    if (attr.type == kTypeDirectory) {
      attr.length = kDirectoryBytes;
    }
    if (frame.said.target.has_value()) {
      attr.length = frame.said.target->size();
      image.symlinks[frame.said.inode] = *frame.said.target;
    }
    if (frame.said.inode == kRootInode || frame.said.inode == kTrashInode) {
      attr.parent = kRootInode;
    }
    const auto [stored, is_new] = image.inodes.emplace(frame.said.inode, attr);
    if (!is_new) {
      attr.parent = stored->second.parent;
      const auto chunks = image.chunks.find(frame.said.inode);
      const bool same_chunks = chunks == image.chunks.end() ? frame.said.chunks.empty() : chunks->second == frame.said.chunks;
      if (!(stored->second == attr) || !same_chunks) {
        dump.problems.push_back(fmt::format("inode {} is described in two ways", InodeText(frame.said.inode)));
      }
      return;
    }
    if (!frame.said.xattrs.empty()) {
      image.xattrs[frame.said.inode] = std::move(frame.said.xattrs);
    }
    if (!frame.said.chunks.empty()) {
      image.chunks[frame.said.inode] = std::move(frame.said.chunks);
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
      {"xattr-names", "A name of an xattr that is not UTF-8 has U+FFFD in its place.", true},
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
  MemorySource source(*text);
  ImageFromDump reader;
  const Status status = ReadJsonDump(&source, &reader);
  if (!status.ok()) {
    return status.WithContext(file_name);
  }
  return std::move(reader.dump);
}

}  // namespace kvjury::juicefs
