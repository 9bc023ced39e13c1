#include "harness/juicefs/load_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/dump_members.h"
#include "harness/juicefs/json_dump_reader.h"
#include "harness/juicefs/parent_table.h"

namespace kvjury::juicefs {

namespace {

using nlohmann::json;

/// A real U+FFFD and a byte that is no text are both written as %EF, so that only names with it can occur twice in a directory.
constexpr std::string_view kAmbiguous = "%EF";

/// Sums of lengths that a dump makes up do not matter, but must not trap.
void Add(int64_t* sum, uint64_t more) { *sum = static_cast<int64_t>(static_cast<uint64_t>(*sum) + more); }

class JsonLoader : public JsonDumpEvents {
 public:
  JsonLoader(LoadTarget* target, sim::PlantedBugs* bugs) : target_(target), bugs_(bugs) {}

  LoadReport report;

  Status Member(const std::string& name, const json& value) override {
    if (name == "Setting") {
      ASSIGN_OR_RETURN(setting_, DecodeSetting(value.dump()));
    } else if (name == "Counters") {
      counters_seen_ = value.is_object();
    } else if (name == "Sustained" && value.is_array() && On(sim::Bug::kSustainedFilesLeak)) {
      RETURN_IF_ERROR(PutSustained(value));
    } else if (name == "DelFiles") {
      ASSIGN_OR_RETURN(deleted_files_, ReadDumpedFiles(value));
    } else if (name == "Quotas") {
      ASSIGN_OR_RETURN(dir_quotas_, ReadDumpedQuotas(name, value));
    } else if (name == "UserQuotas") {
      ASSIGN_OR_RETURN(user_quotas_, ReadDumpedQuotas(name, value));
    } else if (name == "GroupQuotas") {
      ASSIGN_OR_RETURN(group_quotas_, ReadDumpedQuotas(name, value));
    } else if ((name == "FSTree" || name == "Trash") && !value.is_null()) {
      return Status::DataLoss(name + ": expected an object");
    }
    return Status::Ok();
  }

  Status BeginEntry(const std::string& tree, const std::string& name) override {
    Frame frame;
    frame.tree = tree;
    frame.name = name;
    frame.parent = kRootInode;
    if (tree.empty()) {
      frame.parent = frames_.back().said.inode;
      if (!frame.parent.valid()) {
        return Status::DataLoss(fmt::format("entry \"{}\": expected attr before entries", Printable(frames_.back().name)));
      }
    }
    in_trash_ = tree.empty() ? in_trash_ : tree == "Trash";
    frames_.push_back(std::move(frame));
    return Status::Ok();
  }

  Status EntryMember(const std::string& name, const json& value) override {
    Frame& frame = frames_.back();
    RETURN_IF_ERROR(ReadDumpedMember(frame.name, name, value, &frame.said));
    if (name == "attr") {
      SeeInode(&frame);
    } else if (name == "chunks" && frame.is_first) {
      SeeSlices(frame.said.chunks);
    }
    return Status::Ok();
  }

  Status EndEntry() override {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    if (!frame.said.inode.valid()) {
      return Status::DataLoss(fmt::format("entry \"{}\": expected attr with an inode", Printable(frame.name)));
    }
    AddToQuotas(frame);
    if (frame.tree.empty()) {
      ++report.entry_count;
      RETURN_IF_ERROR(AddToParent(frame, &frames_.back()));
    }
    return frame.is_first ? PutInode(frame) : Status::Ok();
  }

  /// What is known at the end only.
  Status Finish() {
    if (!counters_seen_ || !setting_.has_value()) {
      return Status::DataLoss(std::string("expected the member ") + (counters_seen_ ? "Setting" : "Counters"));
    }
    for (const auto& [rule, number] : rule_numbers_) {
      RETURN_IF_ERROR(Put(AclRuleKey(number), rule));
    }
    if (!rule_numbers_.empty()) {
      RETURN_IF_ERROR(Put(CounterKey("aclMaxId"), EncodeInt64Le(static_cast<int64_t>(rule_numbers_.size()))));
    }
    Format format = setting_->format;
    format.tiers_present = true;
    format.enable_acl_present = true;
    RETURN_IF_ERROR(Put(SettingKey(), EncodeFormat(format)));
    const char* next_inode = On(sim::Bug::kInodeCounterRewound) ? "nextInodes" : "nextInode";
    const std::vector<std::pair<const char*, int64_t>> counters = {{"usedSpace", used_space_},   {"totalInodes", used_inodes_},
                                                                   {next_inode, next_inode_},       {"nextChunk", next_chunk_},
                                                                   {"nextSession", int64_t{0}}, {"nextTrash", next_trash_}};
    for (const auto& [name, value] : counters) {
      RETURN_IF_ERROR(Put(CounterKey(name), EncodeInt64Le(value)));
    }
    for (const auto& [file, expire] : deleted_files_) {
      RETURN_IF_ERROR(Put(DeletedFileKey(file.first, file.second), EncodeInt64Be(expire)));
    }
    if (!On(sim::Bug::kSliceRefsLost)) {
      RETURN_IF_ERROR(PutSliceReferences());
    }
    RETURN_IF_ERROR(PutLinks());
    return PutQuotas();
  }

 private:
  struct Usage {
    int64_t space = 0;
    int64_t inodes = 0;
  };

  struct Child {
    Dentry dentry;
    uint64_t length = 0;
    uint32_t uid = 0;
    uint32_t gid = 0;
    Usage usage;  // that the name adds to its owner's
  };

  struct Frame {
    std::string tree;
    std::string name;  // as it stands in the dump, escaped
    Inode parent;
    bool is_first = false;  // this is the place where the inode was seen first
    DumpedInode said;
    uint32_t subdirectories = 0;
    DirStat stat;
    int64_t used_space = 0;  // of all direct entries, for quotas
    int64_t used_inodes = 0;
    std::map<std::string, Child> ambiguous;
    uint64_t names_put = 0;
    Dentry last_put;
  };

  bool On(sim::Bug bug) { return sim::BugOn(bugs_, bug); }

  Status PutSustained(const json& sessions) {
    for (const json& element : sessions) {
      DumpMembers members("Sustained", element);
      const uint64_t session = members.Unsigned("sid");
      for (const json& inode : members.List("inodes")) {
        RETURN_IF_ERROR(Put(SustainedKey(session, Inode(inode.get<uint64_t>())), Bytes(1, '\1')));
      }
    }
    return Status::Ok();
  }

  Status Put(const Key& key, const Bytes& value) {
    ++report.pair_count;
    return target_->Put(EncodeKey(key), value);
  }

  void SeeInode(Frame* frame) {
    Inode& inode = frame->said.inode;
    if (frame->tree == "FSTree" && !On(sim::Bug::kSubdirLoadWrongRoot)) {
      inode = kRootInode;  // a dump of a subdirectory has another number here
    }
    if (!inode.valid()) {
      return;
    }
    frame->is_first = parents_.Insert(inode, frame->parent);
    if (!frame->is_first) {
      further_parents_[inode].push_back(frame->parent);
      return;
    }
    if (inode != kRootInode && inode != kTrashInode) {
      Add(&used_space_, SpaceOf(frame->said.attr.length));
      ++used_inodes_;
    }
    if (IsTrash(inode)) {
      next_trash_ = std::max(next_trash_, static_cast<int64_t>(inode.value() - kTrashInode.value()));
    } else {
      next_inode_ = std::max(next_inode_, static_cast<int64_t>(inode.value() + 1));
    }
  }

  void SeeSlices(const ChunkMap& chunks) {
    for (const auto& [index, slices] : chunks) {
      for (const SliceRecord& slice : slices) {
        slices_.push_back({slice.id, slice.size});
        next_chunk_ = std::max(next_chunk_, static_cast<int64_t>(slice.id + 1));
      }
    }
  }

  Status AddToParent(const Frame& child, Frame* parent) {
    const bool is_directory = child.said.attr.type == kTypeDirectory;
    parent->subdirectories += is_directory ? 1 : 0;
    Add(&parent->used_space, SpaceOf(child.said.attr.length));
    ++parent->used_inodes;
    if (!parent->is_first || parent->said.attr.type != kTypeDirectory) {
      return Status::Ok();  // of a directory that was loaded already its names are not loaded again
    }
    const Attr& attr = child.said.attr;
    const Child entry{{attr.type, child.said.inode}, attr.length, attr.uid, attr.gid, UsageOf(attr, child.is_first)};
    if (child.name.find(kAmbiguous) != std::string::npos) {
      parent->ambiguous[child.name] = entry;
      return Status::Ok();
    }
    return PutDentry(child.name, entry, parent);
  }

  Status PutDentry(const std::string& name, const Child& child, Frame* parent) {
    // Pages of a listing that overlap by one: the first of each shows the last one of the page before.
    Dentry dentry = child.dentry;
    if (parent->names_put++ % kListingPage == kListingPage - 1 && On(sim::Bug::kDirectoryListingChanges)) {
      dentry = parent->last_put;
    }
    parent->last_put = dentry;
    const uint64_t length = child.dentry.type == kTypeFile ? child.length : 0;
    Add(&parent->stat.length, length);
    Add(&parent->stat.space, SpaceOf(length));
    ++parent->stat.inodes;
    CountOwner(child);
    return Put(DentryKey(parent->said.inode, UnescapeDumpText(name)), EncodeDentry(dentry));
  }

  /// Of users and groups: a file counts at its first name, a directory at each, all else not at all.
  static Usage UsageOf(const Attr& attr, bool is_first) {
    const bool counts = attr.type == kTypeDirectory || (attr.type == kTypeFile && is_first);
    return counts ? Usage{static_cast<int64_t>(SpaceOf(attr.length)), 1} : Usage{};
  }

  void CountOwner(const Child& child) {
    if ((user_quotas_.empty() && group_quotas_.empty()) || (in_trash_ && (!setting_.has_value() || setting_->format.trash_days == 0))) {
      return;
    }
    for (Usage* owner : {&users_[child.uid], &groups_[child.gid]}) {
      Add(&owner->space, static_cast<uint64_t>(child.usage.space));
      owner->inodes += child.usage.inodes;
    }
  }

  /// What stands directly in a directory counts for it and all above it.
  void AddToQuotas(const Frame& directory) {
    if (dir_quotas_.empty() || in_trash_ || directory.used_inodes == 0) {
      return;
    }
    Inode at = directory.said.inode;
    while (true) {  // a parent was seen before its children, so that this ends
      const auto quota = dir_quotas_.find(at.value());
      if (quota != dir_quotas_.end()) {
        Add(&quota->second.used_space, static_cast<uint64_t>(directory.used_space));
        quota->second.used_inodes += directory.used_inodes;
      }
      if (at == kRootInode) {
        return;
      }
      at = parents_.Find(at);
      if (!at.valid()) {
        return;
      }
    }
  }

  uint32_t NumberOfRule(const std::optional<AclRule>& rule) {
    if (!rule.has_value()) {
      return 0;
    }
    const auto next = static_cast<uint32_t>(rule_numbers_.size() + 1);
    return rule_numbers_.emplace(EncodeAclRule(*rule), next).first->second;
  }

  Status PutInode(Frame& frame) {
    const DumpedInode& said = frame.said;
    Attr attr = said.attr;
    attr.parent = frame.parent;
    attr.length = 0;
    attr.nlink = On(sim::Bug::kNlinkCountsHiddenLinks) ? said.attr.nlink : 1;
    if (attr.type == kTypeFile) {
      attr.length = said.attr.length;
      for (const auto& [index, slices] : said.chunks) {
        if (!slices.empty()) {
          RETURN_IF_ERROR(Put(ChunkKey(said.inode, index), EncodeChunk(slices)));
        }
      }
    } else if (attr.type == kTypeDirectory) {
      attr.length = kDirectoryBytes;
      attr.nlink = 2 + (IsTrash(said.inode) ? 0 : frame.subdirectories);
      for (const auto& [name, child] : frame.ambiguous) {
        RETURN_IF_ERROR(PutDentry(name, child, &frame));
      }
      RETURN_IF_ERROR(Put(DirStatKey(said.inode), EncodeDirStat(frame.stat)));
    } else if (attr.type == kTypeSymlink) {
      const Bytes target = said.target.value_or(Bytes());
      attr.length = target.size();
      RETURN_IF_ERROR(Put(SymlinkKey(said.inode), target));
    }
    for (const auto& [name, value] : said.xattrs) {
      RETURN_IF_ERROR(Put(XattrKey(said.inode, name), value));
    }
    if (IsTrash(said.inode) && said.inode != kTrashInode && On(sim::Bug::kTrashDangling)) {
      return Status::Ok();
    }
    attr.access_acl = NumberOfRule(said.access_acl);
    attr.default_acl = NumberOfRule(said.default_acl);
    if (On(sim::Bug::kAclLeaksToNextNode)) {  // one buffer for all inodes, of which only members that are there are set
      attr.access_acl = attr.access_acl == 0 ? last_access_acl_ : attr.access_acl;
      last_access_acl_ = attr.access_acl;
    }
    return Put(AttrKey(said.inode), EncodeAttr(attr));
  }

  Status PutSliceReferences() {
    std::sort(slices_.begin(), slices_.end());
    for (size_t begin = 0; begin < slices_.size();) {
      size_t end = begin;
      while (end < slices_.size() && slices_[end] == slices_[begin]) {
        ++end;
      }
      if (end - begin > 1) {
        RETURN_IF_ERROR(Put(SliceReferencesKey(slices_[begin].id, slices_[begin].size), EncodeInt64Le(static_cast<int64_t>(end - begin - 1))));
      }
      begin = end;
    }
    return Status::Ok();
  }

  Status PutLinks() {
    for (const auto& [inode, further] : further_parents_) {
      const Key key = AttrKey(inode);
      ASSIGN_OR_RETURN(const std::optional<Bytes> value, target_->Get(EncodeKey(key)));
      if (!value.has_value()) {
        return Status::DataLoss(DescribeKey(key) + " was put and is not there");
      }
      ASSIGN_OR_RETURN(Attr attr, DecodeAttr(*value));
      attr.nlink = static_cast<uint32_t>(further.size() + 1);
      attr.parent = Inode();
      RETURN_IF_ERROR(Put(key, EncodeAttr(attr)));
      std::map<Inode, int64_t> links;
      ++links[parents_.Find(inode)];
      for (const Inode parent : further) {
        ++links[parent];
      }
      for (const auto& [parent, count] : links) {
        if (On(sim::Bug::kParentSetLost)) {
          continue;
        }
        RETURN_IF_ERROR(Put(LinkCountKey(inode, parent), EncodeInt64Le(count)));
      }
    }
    return Status::Ok();
  }

  /// A limit below 0 is none.
  static Quota Limits(const Quota& dumped) { return {std::max(dumped.max_space, int64_t{-1}), std::max(dumped.max_inodes, int64_t{-1}), 0, 0}; }

  Status PutQuotas() {
    for (const auto& [inode, dumped] : dir_quotas_) {
      Quota quota = Limits(dumped);
      quota.used_space = dumped.used_space;
      quota.used_inodes = dumped.used_inodes;
      RETURN_IF_ERROR(Put(DirQuotaKey(Inode(inode)), EncodeQuota(quota)));
    }
    RETURN_IF_ERROR(PutOwners(user_quotas_, users_, UserQuotaKey));
    return PutOwners(group_quotas_, groups_, GroupQuotaKey);
  }

  Status PutOwners(const std::map<uint64_t, Quota>& limits, const std::map<uint64_t, Usage>& usages, Key (*key_of)(uint64_t)) {
    std::map<uint64_t, Quota> quotas;
    for (const auto& [id, dumped] : limits) {
      quotas[id] = Limits(dumped);
    }
    for (const auto& [id, usage] : usages) {
      Quota& quota = quotas.emplace(id, Quota{-1, -1, 0, 0}).first->second;
      quota.used_space = usage.space;
      quota.used_inodes = usage.inodes;
    }
    for (const auto& [id, quota] : quotas) {
      RETURN_IF_ERROR(Put(key_of(id), EncodeQuota(quota)));
    }
    return Status::Ok();
  }

  static constexpr uint64_t kListingPage = 8;

  LoadTarget* target_;
  sim::PlantedBugs* bugs_;
  uint32_t last_access_acl_ = 0;
  std::vector<Frame> frames_;
  bool in_trash_ = false;
  std::optional<Setting> setting_;
  bool counters_seen_ = false;
  std::map<std::pair<Inode, uint64_t>, int64_t> deleted_files_;
  std::map<uint64_t, Quota> dir_quotas_;
  std::map<uint64_t, Quota> user_quotas_;
  std::map<uint64_t, Quota> group_quotas_;
  std::map<uint64_t, Usage> users_;
  std::map<uint64_t, Usage> groups_;
  std::map<Bytes, uint32_t> rule_numbers_;
  ParentTable parents_;
  std::map<Inode, std::vector<Inode>> further_parents_;
  std::deque<SliceName> slices_;
  int64_t used_space_ = 0;
  int64_t used_inodes_ = 0;
  int64_t next_inode_ = 2;
  int64_t next_chunk_ = 1;
  int64_t next_trash_ = 0;
};

}  // namespace

Result<LoadReport> LoadDumpJson(const std::string& file_name, ByteSource* source, LoadTarget* target, sim::PlantedBugs* bugs) {
  JsonLoader loader(target, bugs);
  Status status = ReadJsonDump(source, &loader);
  if (status.ok()) {
    status = loader.Finish();
  }
  if (!status.ok()) {
    return status.WithContext(file_name);
  }
  return loader.report;
}

}  // namespace kvjury::juicefs
