#include "harness/drift/identity.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "harness/drift/field_rules.h"
#include "harness/drift/number_pattern.h"
#include "proto/tikv/import_sstpb.pb.h"

namespace kvjury::drift {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// "1/14_8_SHA_1795376868476_write.sst"
struct FileName {
  uint64_t store = 0;
  uint64_t region = 0;
  uint64_t version = 0;
  std::string key_digest;  // 64 hex digits
  std::string clock;       // 13 digits
  std::string family;      // "write.sst"
};

std::optional<FileName> ParseFileName(const std::string& name) {
  const std::optional<NumberMatch> head = FindNumbers(name, "#/#_#_");
  constexpr size_t kDigestSize = 64;
  constexpr size_t kClockSize = 13;
  if (!head || head->begin != 0 || name.size() < head->end + kDigestSize + kClockSize + 2) {
    return std::nullopt;
  }
  FileName parts{head->numbers[0].value, head->numbers[1].value, head->numbers[2].value, name.substr(head->end, kDigestSize),
                 name.substr(head->end + kDigestSize + 1, kClockSize), name.substr(head->end + kDigestSize + kClockSize + 2)};
  const bool formed = name[head->end + kDigestSize] == '_' && name[head->end + kDigestSize + 1 + kClockSize] == '_' &&
                      parts.key_digest.find_first_not_of("0123456789abcdef") == std::string::npos &&
                      parts.clock.find_first_not_of("0123456789") == std::string::npos && parts.family.ends_with(".sst");
  return formed ? std::optional<FileName>(std::move(parts)) : std::nullopt;
}

std::string ToString(const FileName& name, bool with_clock) {
  return std::to_string(name.store) + "/" + std::to_string(name.region) + "_" + std::to_string(name.version) + "_" + name.key_digest +
         "_" + (with_clock ? name.clock + "_" : std::string()) + name.family;
}

// The recorded region that a message is about: its own id, or the one it names.
uint64_t RegionNamedBy(const Message& message) {
  const Descriptor* type = message.GetDescriptor();
  const FieldDescriptor* field = type->FindFieldByName(type == metapb::Region::descriptor() ? "id" : "region_id");
  if (field == nullptr || field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_UINT64) {
    return 0;
  }
  return message.GetReflection()->GetUInt64(message, field);
}

void CollectRegions(const Message& message, std::vector<metapb::Region>* out) {
  if (message.GetDescriptor() == metapb::Region::descriptor()) {
    out->push_back(static_cast<const metapb::Region&>(message));
    return;
  }
  const Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      continue;
    }
    if (!field->is_repeated()) {
      CollectRegions(reflection->GetMessage(message, field), out);
      continue;
    }
    for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
      CollectRegions(reflection->GetRepeatedMessage(message, field, i), out);
    }
  }
}

std::string RangeAndFamily(const backup::File& file) {
  return file.cf() + '\0' + file.start_key() + '\0' + file.end_key();
}

}  // namespace

std::vector<metapb::Region> RegionsIn(const Message& message) {
  std::vector<metapb::Region> regions;
  CollectRegions(message, &regions);
  return regions;
}

std::string WithoutClock(const std::string& file_name) {
  const std::optional<FileName> parts = ParseFileName(file_name);
  return parts ? ToString(*parts, false) : std::string();
}

void Identity::SetStores(const std::vector<uint64_t>& recorded, const std::vector<uint64_t>& target) {
  for (size_t i = 0; i < std::min(recorded.size(), target.size()); ++i) {
    stores_[recorded[i]] = target[i];
  }
}

void Identity::AddRegion(const metapb::Region& recorded, const metapb::Region& target) {
  Counterpart counterpart;
  counterpart.id = target.id();
  counterpart.conf_version_ahead = target.region_epoch().conf_ver() - recorded.region_epoch().conf_ver();
  counterpart.version_ahead = target.region_epoch().version() - recorded.region_epoch().version();
  regions_.emplace(recorded.id(), counterpart);
  for (const metapb::Peer& peer : recorded.peers()) {
    for (const metapb::Peer& candidate : target.peers()) {
      if (candidate.store_id() == Store(peer.store_id())) {
        peers_.emplace(peer.id(), candidate.id());
      }
    }
  }
}

uint64_t Identity::Store(uint64_t recorded) const {
  const auto found = stores_.find(recorded);
  return found == stores_.end() ? recorded : found->second;
}
uint64_t Identity::Region(uint64_t recorded) const {
  const auto found = regions_.find(recorded);
  return found == regions_.end() ? recorded : found->second.id;
}
uint64_t Identity::Peer(uint64_t recorded) const {
  const auto found = peers_.find(recorded);
  return found == peers_.end() ? recorded : found->second;
}
Identity::Counterpart Identity::CounterpartOf(uint64_t region) const {
  const auto found = regions_.find(region);
  return found == regions_.end() ? Counterpart() : found->second;
}

void Identity::LearnRegions(const Message& recorded, const Message& got, uint64_t asked_region) {
  const std::vector<metapb::Region> ours = RegionsIn(got);
  for (const metapb::Region& region : RegionsIn(recorded)) {
    if (KnowsRegion(region.id())) {
      continue;
    }
    const auto same_range = std::find_if(ours.begin(), ours.end(), [&region](const metapb::Region& other) {
      return other.start_key() == region.start_key() && other.end_key() == region.end_key();
    });
    const bool taken = same_range != ours.end() && std::any_of(regions_.begin(), regions_.end(), [&](const auto& known) {
      return known.second.id == same_range->id();
    });
    if (same_range == ours.end() || taken) {
      continue;
    }
    AddRegion(region, *same_range);
    if (KnowsRegion(asked_region)) {
      const uint64_t id = same_range->id();
      regions_[region.id()] = CounterpartOf(asked_region);
      regions_[region.id()].id = id;
    }
  }
}

void Identity::LearnFiles(const backup::BackupResponse& recorded, const backup::BackupResponse& got) {
  for (const backup::File& file : recorded.files()) {
    for (const backup::File& other : got.files()) {
      if (RangeAndFamily(file) == RangeAndFamily(other)) {
        files_[file.name()] = other;
      }
    }
  }
}

void Identity::LearnDownload(const Message& recorded) {
  if (recorded.GetDescriptor() == import_sstpb::DownloadRequest::descriptor()) {
    const auto& download = static_cast<const import_sstpb::DownloadRequest&>(recorded);
    downloads_[download.sst().uuid()] = download.name();
  }
}

void Identity::Map(Message* message, uint64_t asked_region) const { MapFields(message, asked_region); }

void Identity::MapFields(Message* message, uint64_t region) const {
  MapOwnFile(message);
  const uint64_t named = RegionNamedBy(*message);
  region = named != 0 ? named : region;
  const Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    const int size = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
    for (int i = 0; i < size; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        // The key of a map entry names what its value is about.
        MapFields(field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, i)
                                       : reflection->MutableMessage(message, field), region);
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
        if (field->is_repeated()) {
          reflection->SetRepeatedUInt64(message, field, i,
                                        MapNumber(*field, reflection->GetRepeatedUInt64(*message, field, i), region));
        } else {
          reflection->SetUInt64(message, field, MapNumber(*field, reflection->GetUInt64(*message, field), region));
        }
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && field->type() == FieldDescriptor::TYPE_STRING) {
        if (field->is_repeated()) {
          reflection->SetRepeatedString(message, field, i,
                                        MapString(*field, reflection->GetRepeatedString(*message, field, i), region));
        } else {
          reflection->SetString(message, field, MapString(*field, reflection->GetString(*message, field), region));
        }
      }
    }
  }
}

uint64_t Identity::MapNumber(const FieldDescriptor& field, uint64_t value, uint64_t region) const {
  switch (RuleOf(field)) {
    case FieldRule::kClusterId: return Cluster(value);
    case FieldRule::kStoreId: return Store(value);
    case FieldRule::kRegionId: return Region(value);
    case FieldRule::kPeerId: return Peer(value);
    case FieldRule::kConfVersion: return value + CounterpartOf(region).conf_version_ahead;
    case FieldRule::kVersion: return value + CounterpartOf(region).version_ahead;
    default: return value;
  }
}

std::string Identity::MapString(const FieldDescriptor& field, std::string value, uint64_t region) const {
  switch (RuleOf(field)) {
    case FieldRule::kFileName: return MapFileName(value);
    case FieldRule::kFolder: return folder_.empty() ? value : folder_;
    case FieldRule::kText: return MapText(value, region);
    default: return value;
  }
}

// An SST's length and vector are those of the target's own file.
void Identity::MapOwnFile(Message* message) const {
  import_sstpb::SSTMeta* sst = nullptr;
  std::string recorded_name;
  if (message->GetDescriptor() == import_sstpb::DownloadRequest::descriptor()) {
    auto* download = static_cast<import_sstpb::DownloadRequest*>(message);
    sst = download->has_sst() ? download->mutable_sst() : nullptr;
    recorded_name = download->name();
  } else if (message->GetDescriptor() == import_sstpb::SSTMeta::descriptor()) {
    sst = static_cast<import_sstpb::SSTMeta*>(message);
    const auto found = downloads_.find(sst->uuid());
    recorded_name = found == downloads_.end() ? "" : found->second;
  }
  const auto own = files_.find(recorded_name);
  if (sst != nullptr && own != files_.end()) {
    sst->set_length(own->second.size());
    sst->set_cipher_iv(own->second.cipher_iv());
  }
}

std::string Identity::MapFileName(const std::string& name) const {
  if (const auto own = files_.find(name); own != files_.end()) {
    return own->second.name();
  }
  std::optional<FileName> parts = ParseFileName(name);
  if (!parts) {
    return name;
  }
  parts->version += CounterpartOf(parts->region).version_ahead;
  parts->region = Region(parts->region);
  parts->store = Store(parts->store);
  return ToString(*parts, true);
}

std::string Identity::MapText(const std::string& text, uint64_t asked_region) const {
  if (text.find_first_of("0123456789") == std::string::npos) {
    return text;
  }
  const std::optional<NumberMatch> named = FindNumbers(text, "region #");
  const uint64_t region = named ? named->numbers[0].value : asked_region;
  const Counterpart counterpart = CounterpartOf(region);
  const auto conf_version = [&](uint64_t value) { return value + counterpart.conf_version_ahead; };
  const auto version = [&](uint64_t value) { return value + counterpart.version_ahead; };
  const auto store = [this](uint64_t id) { return Store(id); };
  const auto peer = [this](uint64_t id) { return Peer(id); };
  std::string mapped = ReplaceNumbers(text, "conf_ver: # version: #", {conf_version, version});
  mapped = ReplaceNumbers(mapped, "[region #] #", {[](uint64_t id) { return id; }, peer});
  mapped = ReplaceNumbers(mapped, "region #", {[this](uint64_t id) { return Region(id); }});
  mapped = ReplaceNumbers(mapped, "to store id #, mine #", {store, store});
  mapped = ReplaceNumbers(mapped, "invalid store ID #", {store});
  mapped = ReplaceNumbers(mapped, "mismatch peer id # != #", {peer, peer});
  return ReplaceNumbers(mapped, "mismatch cluster id, need #", {[this](uint64_t id) { return Cluster(id); }});
}

std::string Identity::MapPath(const std::string& path) const {
  const auto region = [this](uint64_t id) { return Region(id); };
  const std::string mapped = ReplaceNumbers(ReplaceNumbers(path, "/region/id/#", {region}), "/regions/sibling/#", {region});
  return ReplaceNumbers(mapped, "/store/#", {[this](uint64_t id) { return Store(id); }});
}

}  // namespace kvjury::drift
