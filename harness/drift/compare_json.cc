#include "harness/drift/compare_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/drift/number_pattern.h"

namespace kvjury::drift {

namespace {

using Json = nlohmann::ordered_json;

const std::set<std::string, std::less<>>& OwnMembers() {
  static const std::set<std::string, std::less<>> names = {
      // who and where
      "address", "peer_address", "status_address", "deploy_path", "name", "member_id", "client_urls", "peer_urls", "client-urls",
      "peer-urls", "advertise-client-urls", "advertise-peer-urls", "data-dir", "initial-cluster", "filename", "job",
      // versions
      "version", "binary_version", "git_hash", "build_ts", "cluster-version",
      // times
      "start_timestamp", "start_ts", "last_heartbeat", "last_heartbeat_ts", "uptime", "raft_bootstrap_time", "min_resolved_ts",
      "expired_at",
      // sizes, flows, scores, and where leaders are
      "capacity", "available", "used_size", "region_score", "region_size", "leader_count", "leader_score", "leader_size",
      "cause_value", "cause_rate", "result_value", "result_rate", "written_bytes", "read_bytes", "written_keys", "read_keys",
      "cpu_usage", "approximate_size", "approximate_keys", "store_bytes", "store_keys", "store_query", "store_cpu", "empty_count",
      "storage_size", "user_storage_size", "storage_keys", "store_leader_count", "store_leader_size", "store_leader_keys",
      "store_peer_keys",      "hot_write_flow", "hot_read_flow"};
  return names;
}

bool IsRegion(const Json& value) {
  return value.is_object() && value.contains("epoch") && value.contains("start_key") && value.contains("end_key");
}
uint64_t IdOf(const Json& value) {
  const auto id = value.find("id");
  return id != value.end() && id->is_number_unsigned() ? id->get<uint64_t>() : 0;
}
uint64_t NumberAt(const Json& object, const char* name) {
  const auto member = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && member != object.end() && member->is_number_unsigned() ? member->get<uint64_t>() : 0;
}

metapb::Region ToRegion(const Json& value) {
  metapb::Region region;
  region.set_id(IdOf(value));
  const auto key = [&value](const char* name) {
    const Json& member = value.at(name);
    return member.is_string() ? FromHex(member.get<std::string>()) : Result<Bytes>(Status::DataLoss("no text"));
  };
  region.set_start_key(key("start_key").ok() ? *key("start_key") : "");
  region.set_end_key(key("end_key").ok() ? *key("end_key") : "");
  region.mutable_region_epoch()->set_conf_ver(NumberAt(value.at("epoch"), "conf_ver"));
  region.mutable_region_epoch()->set_version(NumberAt(value.at("epoch"), "version"));
  if (value.contains("peers") && value.at("peers").is_array()) {
    for (const Json& peer : value.at("peers")) {
      metapb::Peer* added = region.add_peers();
      added->set_id(NumberAt(peer, "id"));
      added->set_store_id(NumberAt(peer, "store_id"));
    }
  }
  return region;
}

void CollectRegions(const Json& value, std::vector<metapb::Region>* out) {
  if (IsRegion(value)) {
    out->push_back(ToRegion(value));
  } else if (value.is_structured()) {
    for (const Json& element : value) {
      CollectRegions(element, out);
    }
  }
}

// A recorded value in the target's terms: through a message, so that the rules are those of the messages.
class Mapper {
 public:
  explicit Mapper(const Identity& identity) : identity_(identity) {}

  Json Map(const Json& value) {
    if (value.is_array()) {
      Json mapped = Json::array();
      std::transform(value.begin(), value.end(), std::back_inserter(mapped), [this](const Json& element) { return Map(element); });
      return mapped;
    }
    if (!value.is_object()) {
      return value.is_string() ? Json(identity_.MapText(value.get<std::string>(), 0)) : value;
    }
    if (IsRegion(value)) {
      return MapRegion(value);
    }
    const bool by_store = !value.empty() && std::all_of(value.items().begin(), value.items().end(), [this](const auto& item) {
      return identity_.KnowsStore(StoreIdIn(item.key()));
    });
    Json mapped = Json::object();
    for (const auto& [name, member] : value.items()) {
      mapped[by_store ? std::to_string(identity_.Store(StoreIdIn(name))) : name] = MapMember(value, name, member);
    }
    return mapped;
  }

 private:
  static uint64_t StoreIdIn(const std::string& name) {
    const bool digits = !name.empty() && name.size() < 19 && name.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::stoull(name) : 0;
  }
  Json MapMember(const Json& object, const std::string& name, const Json& member) {
    if (member.is_number_unsigned()) {
      const auto number = member.get<uint64_t>();
      if (name == "store_id" || (name == "id" && object.contains("address"))) {
        return identity_.Store(number);
      }
      if (name == "cluster_id" || (name == "id" && object.contains("max_peer_count"))) {
        return identity_.Cluster(number);
      }
    }
    return Map(member);
  }
  Json MapRegion(const Json& value) {
    metapb::Region region = ToRegion(value);
    identity_.Map(&region, 0);
    Json mapped = Json::object();
    for (const auto& [name, member] : value.items()) {
      mapped[name] = Map(member);
    }
    mapped["id"] = region.id();
    mapped["epoch"]["conf_ver"] = region.region_epoch().conf_ver();
    mapped["epoch"]["version"] = region.region_epoch().version();
    for (int i = 0; i < region.peers_size(); ++i) {
      mapped["peers"][static_cast<size_t>(i)]["id"] = region.peers(i).id();
    }
    return mapped;
  }

  const Identity& identity_;
};

std::string SortKey(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (IsRegion(value)) {
    return value.at("start_key").dump() + value.at("end_key").dump();
  }
  const Json& store = value.is_object() && value.contains("store") ? value.at("store") : value;
  const bool is_store = store.is_object() && store.contains("address") && IdOf(store) != 0;
  return is_store ? std::string(20 - std::to_string(IdOf(store)).size(), '0') + std::to_string(IdOf(store)) : "";
}

class Comparer {
 public:
  explicit Comparer(std::vector<FieldDifference>* out) : out_(out) {}

  void Compare(const Json& recorded, const Json& got, const std::string& at) {
    if (recorded.is_object() && got.is_object()) {
      CompareObjects(recorded, got, at);
    } else if (recorded.is_array() && got.is_array()) {
      CompareLists(recorded, got, at);
    } else if (recorded != got && !(IsVersion(recorded) && IsVersion(got))) {
      Report(at, recorded.dump(), got.dump());
    }
  }

 private:
  void Report(std::string at, std::string recorded, std::string got) {
    out_->push_back({std::move(at), std::move(recorded), std::move(got)});
  }

  void CompareObjects(const Json& recorded, const Json& got, const std::string& at) {
    std::string order_recorded;
    std::string order_got;
    for (const auto& [name, member] : recorded.items()) {
      if (!got.contains(name)) {
        Report(at + "/" + name, member.dump(), "nothing");
        continue;
      }
      order_recorded += " " + name;
      CompareMember(recorded, got, name, at + "/" + name);
    }
    for (const auto& [name, member] : got.items()) {
      if (!recorded.contains(name)) {
        Report(at + "/" + name, "nothing", member.dump());
      } else {
        order_got += " " + name;
      }
    }
    if (order_recorded != order_got) {
      Report(at + " (order of members)", order_recorded.substr(1), order_got.substr(1));
    }
  }

  void CompareMember(const Json& recorded, const Json& got, const std::string& name, const std::string& at) {
    const Json& theirs = recorded.at(name);
    const Json& ours = got.at(name);
    if (OwnMembers().count(name) != 0) {
      if (theirs.is_number() != ours.is_number() || (!theirs.is_number() && theirs.type() != ours.type())) {
        Report(at, theirs.dump(), ours.dump());
      }
    } else if (name == "leader" && IsRegion(got) && got.contains("peers")) {
      const Json& peers = got.at("peers");
      if (std::find(peers.begin(), peers.end(), ours) == peers.end()) {
        Report(at, "one of the peers", ours.dump());
      }
    } else {
      Compare(theirs, ours, at);
    }
  }

  void CompareLists(const Json& recorded, const Json& got, const std::string& at) {
    const std::vector<const Json*> theirs = Sorted(recorded);
    const std::vector<const Json*> ours = Sorted(got);
    if (theirs.size() != ours.size()) {
      Report(at + " (number of)", std::to_string(theirs.size()), std::to_string(ours.size()));
    }
    for (size_t i = 0; i < std::min(theirs.size(), ours.size()); ++i) {
      Compare(*theirs[i], *ours[i], at + "/" + std::to_string(i));
    }
  }

  static std::vector<const Json*> Sorted(const Json& list) {
    std::vector<const Json*> sorted;
    std::transform(list.begin(), list.end(), std::back_inserter(sorted), [](const Json& element) { return &element; });
    std::stable_sort(sorted.begin(), sorted.end(), [](const Json* a, const Json* b) { return SortKey(*a) < SortKey(*b); });
    return sorted;
  }

  // A bare version as a whole body.
  static bool IsVersion(const Json& value) {
    if (!value.is_string()) {
      return false;
    }
    const auto match = FindNumbers(value.get<std::string>(), "#.#.#");
    return match && match->begin <= 1;
  }

  std::vector<FieldDifference>* out_;
};

}  // namespace

void CompareBodies(const Identity& identity, std::string_view recorded, std::string_view got, std::vector<FieldDifference>* out) {
  const Json theirs = Json::parse(recorded, nullptr, false);
  const Json ours = Json::parse(got, nullptr, false);
  if (theirs.is_discarded() || ours.is_discarded()) {
    if (recorded != got) {
      out->push_back({"body", Printable(recorded), Printable(got)});
    }
    return;
  }
  Comparer(out).Compare(Mapper(identity).Map(theirs), ours, "body");
}

std::vector<metapb::Region> RegionsInBody(std::string_view body) {
  std::vector<metapb::Region> regions;
  const Json value = Json::parse(body, nullptr, false);
  if (!value.is_discarded()) {
    CollectRegions(value, &regions);
  }
  return regions;
}

}  // namespace kvjury::drift
