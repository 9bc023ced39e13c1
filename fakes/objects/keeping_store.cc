#include "fakes/objects/keeping_store.h"

#include <algorithm>
#include <tuple>

#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr std::string_view kDeleted = "-deleted";

// A part of a key as a part of a path: '%' as %25, a part that no file may have as one that begins with '%'.
std::string EscapePart(std::string_view part) {
  if (part.empty()) {
    return "%";
  }
  if (part == "." || part == "..") {
    return "%2E" + std::string(part.substr(1));
  }
  std::string out;
  for (const char c : part) {
    out += c == '%' ? "%25" : c == '\0' ? "%00" : std::string(1, c);
  }
  return out;
}

std::string EscapeKey(std::string_view key) {
  std::string out;
  for (;;) {
    const std::string_view part = key.substr(0, key.find('/'));
    out += EscapePart(part);
    if (part.size() == key.size()) {
      return out;
    }
    out += '/';
    key.remove_prefix(part.size() + 1);
  }
}

Result<std::string> UnescapeKey(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool whole_part = text[i] == '%' && (i == 0 || text[i - 1] == '/') && (i + 1 == text.size() || text[i + 1] == '/');
    plain += whole_part ? "" : std::string(1, text[i]);
  }
  return UriDecode(plain);
}

struct Parsed {
  std::string name;
  int64_t ms = 0;
  uint64_t number = 0;
  bool deleted = false;
};

std::string ObjectName(const std::string& name, int64_t ms, uint64_t number) {
  return EscapeKey(name) + "@" + std::to_string(ms) + "-" + std::to_string(number);
}

std::optional<Parsed> ParseObjectName(std::string_view text) {
  Parsed parsed;
  parsed.deleted = text.ends_with(kDeleted);
  text.remove_suffix(parsed.deleted ? kDeleted.size() : 0);
  const size_t at = text.rfind('@');
  const size_t dash = text.rfind('-');
  if (at == std::string_view::npos || dash == std::string_view::npos || dash < at) {
    return std::nullopt;
  }
  const std::optional<uint64_t> ms = ParseNumber(text.substr(at + 1, dash - at - 1));
  const std::optional<uint64_t> number = ParseNumber(text.substr(dash + 1));
  Result<std::string> name = UnescapeKey(text.substr(0, at));
  if (!ms || !number || !name.ok()) {
    return std::nullopt;
  }
  parsed.name = *std::move(name);
  parsed.ms = static_cast<int64_t>(*ms);
  parsed.number = *number;
  return parsed;
}

Status NoSuchObject(const std::string& name) { return Status::NotFound("no object \"" + Printable(name) + "\""); }

/// The state at a time.
class KeptView final : public ObjectStore {
 public:
  KeptView(KeepingObjectStore* store, int64_t at_ms) : store_(store), at_ms_(at_ms) {}

  Status Put(const std::string&, std::string_view) override { return ReadOnly(); }
  Status Delete(const std::string&) override { return ReadOnly(); }
  Result<Bytes> Get(const std::string& name) override {
    const KeepingObjectStore::Version* version = store_->At(name, at_ms_);
    return version == nullptr ? Result<Bytes>(NoSuchObject(name)) : store_->Read(name, *version);
  }
  Result<ObjectInfo> Head(const std::string& name) override {
    const KeepingObjectStore::Version* version = store_->At(name, at_ms_);
    return version == nullptr ? Result<ObjectInfo>(NoSuchObject(name)) : ObjectInfo{name, version->bytes};
  }
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override {
    std::vector<ObjectInfo> objects;
    for (auto [name, version] = store_->NextAt(prefix, at_ms_); version != nullptr && name.rfind(prefix, 0) == 0;
         std::tie(name, version) = store_->NextAt(NextKey(name), at_ms_)) {
      objects.push_back({name, version->bytes});
    }
    return objects;
  }
  [[nodiscard]] std::string description() const override { return store_->description() + " as of " + std::to_string(at_ms_) + " ms"; }
  [[nodiscard]] bool is_slow() const override { return store_->is_slow(); }

 private:
  [[nodiscard]] Status ReadOnly() const { return Status::InvalidArgument(description() + " is a state of the past and cannot be changed"); }

  KeepingObjectStore* store_;
  int64_t at_ms_;
};

}  // namespace

Result<std::unique_ptr<KeepingObjectStore>> KeepingObjectStore::Open(std::unique_ptr<ObjectStore> inner, Clock clock, uint64_t history_bytes_max) {
  std::unique_ptr<KeepingObjectStore> store(new KeepingObjectStore(std::move(inner), std::move(clock), history_bytes_max));
  RETURN_IF_ERROR(store->Load());
  return store;
}

Status KeepingObjectStore::Load() {
  struct Found : Parsed {
    uint64_t bytes = 0;
  };
  std::vector<Found> found;
  ASSIGN_OR_RETURN(const std::vector<ObjectInfo> objects, inner_->List(""));
  for (const ObjectInfo& object : objects) {
    std::optional<Parsed> parsed = ParseObjectName(object.name);
    if (!parsed) {
      return Status::DataLoss("\"" + Printable(object.name) + "\" in " + inner_->description() + " is no version of an object (NAME@MS-NUMBER)");
    }
    if (parsed->name.empty()) {
      horizon_object_ = object.name;
      complete_since_ms_ = std::max(complete_since_ms_, parsed->ms);
      continue;
    }
    found.push_back({*std::move(parsed), object.bytes});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.number < b.number; });
  for (const Found& one : found) {
    last_number_ = one.number;
    last_ms_ = std::max(last_ms_, one.ms);
    End(one.name, one.ms);
    std::vector<Version>& versions = objects_[one.name];
    if (one.deleted) {
      marks_[{one.name, versions.empty() ? 0 : versions.back().number}] = ObjectName(one.name, one.ms, one.number) + std::string(kDeleted);
      continue;
    }
    versions.push_back({one.number, one.ms, kNow, one.bytes, {}});
    current_bytes_ += one.bytes;
  }
  return Status::Ok();
}

int64_t KeepingObjectStore::Tick() {
  last_ms_ = std::max(last_ms_, clock_());
  return last_ms_;
}

void KeepingObjectStore::End(const std::string& name, int64_t until_ms) {
  const auto found = objects_.find(name);
  if (found == objects_.end() || found->second.empty() || found->second.back().until_ms != kNow) {
    return;
  }
  Version& version = found->second.back();
  version.until_ms = until_ms;
  current_bytes_ -= version.bytes;
  history_bytes_ += version.bytes;
  ended_.emplace_back(name, version.number);
}

Status KeepingObjectStore::RememberHorizon(int64_t ms) {
  if (ms <= complete_since_ms_) {
    return Status::Ok();
  }
  const std::string before = std::exchange(horizon_object_, ObjectName("", ms, 0));
  RETURN_IF_ERROR(inner_->Put(horizon_object_, ""));
  complete_since_ms_ = ms;
  return before.empty() ? Status::Ok() : inner_->Delete(before);
}

Status KeepingObjectStore::ForgetOldest() {
  while (history_bytes_ > history_bytes_max_ && !ended_.empty()) {
    const auto [name, number] = ended_.front();
    ended_.pop_front();
    std::vector<Version>& versions = objects_[name];
    const auto version = std::find_if(versions.begin(), versions.end(), [n = number](const Version& one) { return one.number == n; });
    CHECK(version != versions.end());
    RETURN_IF_ERROR(RememberHorizon(version->until_ms));
    RETURN_IF_ERROR(inner_->Delete(ObjectName(name, version->since_ms, number)));
    if (const auto mark = marks_.find({name, number}); mark != marks_.end()) {
      RETURN_IF_ERROR(inner_->Delete(mark->second));
      marks_.erase(mark);
    }
    history_bytes_ -= version->bytes;
    versions.erase(version);
    if (versions.empty()) {
      objects_.erase(name);
    }
  }
  return Status::Ok();
}

Status KeepingObjectStore::PutWith(const std::string& name, std::string_view bytes, Headers headers) {
  if (name.empty()) {
    return Status::InvalidArgument("an object needs a name");
  }
  const int64_t ms = Tick();
  const uint64_t number = last_number_ + 1;
  RETURN_IF_ERROR(inner_->Put(ObjectName(name, ms, number), bytes));
  last_number_ = number;
  End(name, ms);
  objects_[name].push_back({number, ms, kNow, bytes.size(), std::move(headers)});
  current_bytes_ += bytes.size();
  return ForgetOldest();
}

Result<Bytes> KeepingObjectStore::Get(const std::string& name) {
  const Version* version = At(name, kNow);
  return version == nullptr ? Result<Bytes>(NoSuchObject(name)) : Read(name, *version);
}

Result<ObjectInfo> KeepingObjectStore::Head(const std::string& name) {
  const Version* version = At(name, kNow);
  return version == nullptr ? Result<ObjectInfo>(NoSuchObject(name)) : ObjectInfo{name, version->bytes};
}

Result<std::vector<ObjectInfo>> KeepingObjectStore::List(const std::string& prefix) { return KeptView(this, kNow).List(prefix); }

Status KeepingObjectStore::Delete(const std::string& name) {
  const Version* version = At(name, kNow);
  if (version == nullptr) {
    return Status::Ok();
  }
  const int64_t ms = Tick();
  const std::string mark = ObjectName(name, ms, last_number_ + 1) + std::string(kDeleted);
  RETURN_IF_ERROR(inner_->Put(mark, ""));
  ++last_number_;
  marks_[{name, version->number}] = mark;
  End(name, ms);
  return ForgetOldest();
}

KeepingObjectStore::Version* KeepingObjectStore::At(const std::string& name, int64_t at_ms) {
  const auto found = objects_.find(name);
  if (found == objects_.end()) {
    return nullptr;
  }
  // The last that began by then; it counts if it had not ended.
  for (auto version = found->second.rbegin(); version != found->second.rend(); ++version) {
    if (version->since_ms <= at_ms) {
      return version->until_ms > at_ms || version->until_ms == kNow ? &*version : nullptr;
    }
  }
  return nullptr;
}

std::pair<std::string, KeepingObjectStore::Version*> KeepingObjectStore::NextAt(const std::string& from, int64_t at_ms) {
  for (auto object = objects_.lower_bound(from); object != objects_.end(); ++object) {
    if (Version* version = At(object->first, at_ms)) {
      return {object->first, version};
    }
  }
  return {};
}

Result<Bytes> KeepingObjectStore::Read(const std::string& name, const Version& version) {
  return inner_->Get(ObjectName(name, version.since_ms, version.number));
}

std::string KeepingObjectStore::Newest(const std::string& prefix) const {
  std::string name;
  uint64_t number = 0;
  for (auto object = objects_.lower_bound(prefix); object != objects_.end() && object->first.rfind(prefix, 0) == 0; ++object) {
    const std::vector<Version>& versions = object->second;
    if (!versions.empty() && versions.back().until_ms == kNow && versions.back().number > number) {
      number = versions.back().number;
      name = object->first;
    }
  }
  return name;
}

Result<std::unique_ptr<ObjectStore>> KeepingObjectStore::AsOf(int64_t at_ms) {
  if (at_ms < complete_since_ms_) {
    return Status::NotFound("what was in " + description() + " before " + std::to_string(complete_since_ms_) + " ms is kept no longer");
  }
  return std::unique_ptr<ObjectStore>(std::make_unique<KeptView>(this, at_ms));
}

}  // namespace kvjury::objects
