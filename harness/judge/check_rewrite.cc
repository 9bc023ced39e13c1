#include "harness/judge/check_rewrite.h"

#include <algorithm>
#include <set>

#include "harness/juicefs/volumes.h"

namespace kvjury::judge {

namespace {

using juicefs::Key;
using juicefs::KeyKind;

// Every value that a key had in the window; none: it was not there.
using Values = std::vector<std::optional<Bytes>>;

class Window {
 public:
  explicit Window(const Evidence& evidence) : rewrite_(*evidence.rewrite), prefix_(juicefs::VolumePrefix(evidence.volume)) {
    for (const KeyChange& change : rewrite_.changes) {
      Values& values = changed_[change.key];
      if (values.empty()) {
        values.push_back(Before(change.key));
      }
      values.push_back(change.version.has_value() ? std::make_optional(change.version->value) : std::nullopt);
    }
  }

  [[nodiscard]] Values ValuesOf(const Bytes& key) const {
    const auto changed = changed_.find(key);
    return changed != changed_.end() ? changed->second : Values{Before(key)};
  }

  /// Keys of the volume that were there at some moment, in order.
  [[nodiscard]] std::set<Bytes> Keys() const {
    std::set<Bytes> keys;
    const auto add = [this, &keys](const Bytes& key) {
      if (key.compare(0, prefix_.size(), prefix_) == 0) {
        keys.insert(key);
      }
    };
    for (const auto& [key, version] : rewrite_.at_begin) {
      add(key);
    }
    for (const auto& [key, values] : changed_) {
      add(key);
    }
    return keys;
  }
  [[nodiscard]] const Bytes& prefix() const { return prefix_; }

 private:
  [[nodiscard]] std::optional<Bytes> Before(const Bytes& key) const {
    const auto found = rewrite_.at_begin.find(key);
    return found == rewrite_.at_begin.end() ? std::nullopt : std::make_optional(found->second.value);
  }

  const Rewrite& rewrite_;
  Bytes prefix_;
  std::map<Bytes, Values> changed_;
};

// The part of a quota that comes through; nothing of one of users and groups without limits.
std::optional<Bytes> LimitsOf(const Key& key, const std::optional<Bytes>& value) {
  const Result<juicefs::Quota> quota = value.has_value() ? juicefs::DecodeQuota(*value) : Status::NotFound("");
  if (!quota.ok()) {
    return std::nullopt;
  }
  const int64_t space = std::max<int64_t>(quota->max_space, -1);
  const int64_t inodes = std::max<int64_t>(quota->max_inodes, -1);
  if (key.kind != KeyKind::kDirQuota && space == -1 && inodes == -1) {
    return std::nullopt;
  }
  return juicefs::EncodeQuota({space, inodes, 0, 0});
}

// Of counters: one that is not there is 0, and a binary dump has it as that.
std::optional<Bytes> NoneIfZero(const Key& key, std::optional<Bytes> value) {
  return key.kind == KeyKind::kCounter && value == juicefs::EncodeInt64Le(0) ? std::nullopt : std::move(value);
}

// Which inodes of the tree a dump in JSON holds: those that it shows.
bool Holds(const Evidence& evidence, const std::set<Inode>& shown, const Key& key) {
  const bool of_tree = key.kind == KeyKind::kDentry || key.kind == KeyKind::kChunk || key.kind == KeyKind::kSymlink || key.kind == KeyKind::kXattr;
  if (evidence.rewrite->form.binary || !of_tree) {
    return true;
  }
  return shown.count(key.inode) > 0;
}

// Chunks that a dump in JSON may leave out: at and beyond the end, or of an inode that is not shown.
bool BeyondEnd(const Evidence& evidence, const Key& key) {
  const juicefs::Attr* attr = evidence.source_image->FindAttr(key.inode);
  return key.kind == KeyKind::kChunk && (attr == nullptr || key.number * juicefs::kChunkBytes >= attr->length);
}

std::set<Inode> ShownInodes(const juicefs::View& view) {
  std::set<Inode> shown;
  for (const auto& [path, entry] : view.entries) {
    shown.insert(entry.inode);
  }
  return shown;
}

// The setting but for what is removed from it.
Bytes PublicSetting(const std::optional<juicefs::Setting>& setting) {
  if (!setting.has_value()) {
    return {};
  }
  juicefs::Format format = setting->format;
  format.secret_key.clear();
  format.session_token.clear();
  format.encrypt_key.clear();
  format.tiers_present = true;
  format.enable_acl_present = true;
  return juicefs::EncodeFormat(format);
}

void AddKey(const Evidence& evidence, const Bytes& key, const char* kind, const std::string& words, const std::optional<Bytes>& expected,
            const std::optional<Bytes>& actual, Recorder* recorder) {
  record::Finding* finding = recorder->Add(kind, KeyText(key) + words);
  DescribeKeyInto(evidence, key, Timestamp(), finding);
  finding->set_expected(expected.value_or(Bytes()));
  finding->set_actual(actual.value_or(Bytes()));
  finding->set_expected_present(expected.has_value());
  finding->set_actual_present(actual.has_value());
}

void AddDifference(const Evidence& evidence, const juicefs::ViewDifference& difference, Recorder* recorder) {
  const std::string loss = FormLoss(difference, evidence.rewrite->form.binary);
  const char* kind = !loss.empty() ? "form-loss" : difference.field == "entry" ? "entry" : "field";
  const std::string why = loss.empty() ? std::string() : "; the form loses " + loss;
  record::Finding* finding = recorder->Add(kind, "the source at the cut and the target differ: " + difference.ToString() + why);
  finding->set_path(difference.path);
  finding->set_inode(difference.inode.value());
  finding->set_field(difference.field);
  finding->set_expected(difference.left);
  finding->set_actual(difference.right);
  finding->set_expected_present(difference.left != "absent");
  finding->set_actual_present(difference.right != "absent");
}

// What an inode has and no mount shows.
void CompareHiddenFields(const Evidence& evidence, Recorder* recorder) {
  for (const auto& [inode, attr] : evidence.source_image->inodes) {
    const Inode renumbered = inode == evidence.rewrite->form.top ? juicefs::kRootInode : inode;
    const juicefs::Attr* other = evidence.target_image->FindAttr(renumbered);
    if (other == nullptr || (inode == juicefs::kRootInode && evidence.rewrite->form.top != inode)) {
      continue;
    }
    recorder->CountFields(2);
    const std::vector<std::tuple<const char*, unsigned, unsigned>> fields = {{"flags", attr.flags, other->flags}, {"tier", attr.tier, other->tier}};
    for (const auto& [name, expected, actual] : fields) {
      if (expected != actual) {
        record::Finding* finding = recorder->Add("field", "inode " + juicefs::InodeText(inode) + ": " + name + ": " + std::to_string(expected) +
                                                              " against " + std::to_string(actual));
        finding->set_inode(inode.value());
        finding->set_field(name);
        finding->set_expected(std::to_string(expected));
        finding->set_actual(std::to_string(actual));
      }
    }
  }
}

}  // namespace

void CompareRewrittenTree(const Evidence& evidence, Recorder* recorder) {
  const WindowJudgement& window = *evidence.rewrite->window;
  recorder->Count(window.entries_compared);
  recorder->CountFields(window.fields_compared);
  if (window.torn.has_value()) {
    record::Finding* finding = recorder->Add("torn-pair", "the dump is none of one moment: " + TornWords(window));
    finding->set_path(window.torn->first.path);
    finding->set_expected_ts(window.torn->first.last.value());
    finding->set_actual_ts(window.torn->second.first.value());
  }
  if (!window.failure.empty()) {
    recorder->Add("no-volume", "the source shows no volume: " + window.failure)->set_lost_at(record::LOST_AT_SOURCE);
  }
  for (const juicefs::ViewDifference& difference : window.differences) {
    AddDifference(evidence, difference, recorder);
  }
  CompareHiddenFields(evidence, recorder);
}

void CompareRewrittenKeys(const Evidence& evidence, Recorder* recorder) {
  const RewriteForm& form = evidence.rewrite->form;
  const Window window(evidence);
  const Result<juicefs::View> source = juicefs::BuildView(*evidence.source_image);
  std::set<Inode> shown = source.ok() ? ShownInodes(PromisedView(*source, form)) : std::set<Inode>();
  if (!form.holds_trash()) {
    shown.erase(juicefs::kTrashInode);  // every view shows it
  }
  recorder->Count();
  if (PublicSetting(evidence.source_image->setting) != PublicSetting(evidence.target_image->setting)) {
    recorder->Add("value-differs", "the setting is another one, secrets aside");
  }
  std::set<Bytes> keys = window.Keys();
  const Bytes end = PrefixEnd(window.prefix());
  for (auto pair = evidence.target->lower_bound(window.prefix()); pair != evidence.target->end() && pair->first < end; ++pair) {
    keys.insert(pair->first);
  }
  for (const Bytes& key_bytes : keys) {
    const Result<Key> key = juicefs::ParseKey(std::string_view(key_bytes).substr(window.prefix().size()));
    if (!key.ok()) {
      continue;  // of the invariant `forms`
    }
    const KeyPromise promise = PromiseOf(*key, form);
    // Of a subdirectory the inodes are others, and only the tree comes along.
    if (promise == KeyPromise::kMadeAnew || !Holds(evidence, shown, *key) || form.top != juicefs::kRootInode) {
      continue;
    }
    recorder->Count();
    const auto found = evidence.target->find(key_bytes);
    std::optional<Bytes> actual = found == evidence.target->end() ? std::nullopt : std::make_optional(found->second.value);
    Values values = promise == KeyPromise::kDropped ? Values{std::nullopt} : window.ValuesOf(key_bytes);
    actual = NoneIfZero(*key, std::move(actual));
    for (std::optional<Bytes>& value : values) {
      value = NoneIfZero(*key, std::move(value));
    }
    if (promise == KeyPromise::kLimits) {
      actual = LimitsOf(*key, actual);
      for (std::optional<Bytes>& value : values) {
        value = LimitsOf(*key, value);
      }
    }
    const bool legal = std::find(values.begin(), values.end(), actual) != values.end();
    if (legal || (!actual.has_value() && !form.binary && BeyondEnd(evidence, *key))) {
      continue;
    }
    if (!actual.has_value()) {
      AddKey(evidence, key_bytes, "missing-key", " comes through and is not on the target", values.back(), actual, recorder);
    } else if (!values.back().has_value() && values.size() == 1) {
      AddKey(evidence, key_bytes, "extra-key", " is on the target and has no business there", values.back(), actual, recorder);
    } else {
      AddKey(evidence, key_bytes, "value-differs", " has a value that the source never showed while it was read", values.back(), actual, recorder);
    }
  }
}

void CheckIdsOfTrash(const Evidence& evidence, Recorder* recorder) {
  const juicefs::VolumeImage& source = *evidence.source_image;
  const int64_t next_inode = evidence.target_image->Counter("nextInode");
  const int64_t next_slice = evidence.target_image->Counter("nextChunk");
  const Result<juicefs::View> view = juicefs::BuildView(source);
  if (evidence.rewrite->form.holds_trash() || evidence.rewrite->form.top != juicefs::kRootInode || !view.ok()) {
    return;
  }
  for (const Inode inode : ShownInodes(*view)) {
    if (juicefs::IsTrash(inode)) {
      continue;
    }
    recorder->Count();
    if (static_cast<int64_t>(inode.value()) >= next_inode) {
      recorder->Add("id-given-out-again", "inode " + juicefs::InodeText(inode) + " of the trash is not below the next one, " +
                                              std::to_string(next_inode))
          ->set_inode(inode.value());
    }
    const auto chunks = source.chunks.find(inode);
    if (chunks == source.chunks.end()) {
      continue;
    }
    for (const auto& [index, slices] : chunks->second) {
      for (const juicefs::SliceRecord& slice : slices) {
        recorder->Count();
        if (static_cast<int64_t>(slice.id) >= next_slice) {
          recorder->Add("id-given-out-again", "slice " + std::to_string(slice.id) + " of inode " + juicefs::InodeText(inode) +
                                                  ", whose blocks exist, is not below the next one, " + std::to_string(next_slice))
              ->set_inode(inode.value());
        }
      }
    }
  }
}

}  // namespace kvjury::judge
