// Identity: which id of the target stands for which recorded id, and recorded messages in the target's terms.
//
// Two clusters do not share ids, epochs, file names and clocks. Counterparts are found, never guessed from an answer under test:
//   cluster   as both sides' PD names itself
//   stores    in the order of their ids
//   regions   those of one range: at the beginning as the target's PD lists them; later when both answers to one call describe
//             a region of this range. An epoch keeps its distance from the first one; a region born by a split takes over the
//             distance of the region that was asked
//   peers     those of one region on counterpart stores
//   files     those of one backup answer with one range and column family
// An id without a counterpart stays as it is (a region that nobody knows is asked for on purpose).
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "proto/tikv/backup.pb.h"
#include "proto/tikv/metapb.pb.h"

namespace kvjury::drift {

class Identity {
 public:
  void SetCluster(uint64_t recorded, uint64_t target) { cluster_ = {recorded, target}; }
  void SetStores(const std::vector<uint64_t>& recorded, const std::vector<uint64_t>& target);
  /// Where requests that name a local folder may write; empty: where they say.
  void SetFolder(std::string folder) { folder_ = std::move(folder); }
  /// These describe one region.
  void AddRegion(const metapb::Region& recorded, const metapb::Region& target);

  [[nodiscard]] bool KnowsRegion(uint64_t recorded) const { return regions_.count(recorded) != 0; }
  [[nodiscard]] bool KnowsStore(uint64_t recorded) const { return stores_.count(recorded) != 0; }
  [[nodiscard]] uint64_t Cluster(uint64_t recorded) const { return recorded == cluster_.first ? cluster_.second : recorded; }
  [[nodiscard]] uint64_t Store(uint64_t recorded) const;
  [[nodiscard]] uint64_t Region(uint64_t recorded) const;

  /// Rewrites a recorded message. `asked_region`: the recorded region of the call, for epochs that stand alone; 0 without.
  void Map(google::protobuf::Message* message, uint64_t asked_region) const;
  [[nodiscard]] std::string MapText(const std::string& text, uint64_t asked_region) const;
  /// Ids inside the path of an HTTP call.
  [[nodiscard]] std::string MapPath(const std::string& path) const;

  /// Takes over regions of one range that both answers describe. `asked_region` as above.
  void LearnRegions(const google::protobuf::Message& recorded, const google::protobuf::Message& got, uint64_t asked_region);
  /// Takes over the files of one backup answer.
  void LearnFiles(const backup::BackupResponse& recorded, const backup::BackupResponse& got);
  /// Notes which file an SST of the request comes from. `recorded`: before it was mapped.
  void LearnDownload(const google::protobuf::Message& recorded);

 private:
  struct Counterpart {
    uint64_t id = 0;
    // What the target's numbers are ahead of the recorded ones, modulo 2^64.
    uint64_t conf_version_ahead = 0;
    uint64_t version_ahead = 0;
  };
  void MapFields(google::protobuf::Message* message, uint64_t region) const;
  [[nodiscard]] uint64_t MapNumber(const google::protobuf::FieldDescriptor& field, uint64_t value, uint64_t region) const;
  [[nodiscard]] std::string MapString(const google::protobuf::FieldDescriptor& field, std::string value, uint64_t region) const;
  [[nodiscard]] std::string MapFileName(const std::string& name) const;
  void MapOwnFile(google::protobuf::Message* message) const;
  [[nodiscard]] uint64_t Peer(uint64_t recorded) const;
  [[nodiscard]] Counterpart CounterpartOf(uint64_t region) const;

  std::pair<uint64_t, uint64_t> cluster_{0, 0};
  std::string folder_;
  std::map<uint64_t, uint64_t> stores_;
  std::map<uint64_t, Counterpart> regions_;
  std::map<uint64_t, uint64_t> peers_;
  std::map<std::string, backup::File> files_;  // by recorded name
  std::map<Bytes, std::string> downloads_;     // recorded file name by the SST's uuid
};

/// Every region that a message describes, in its order.
std::vector<metapb::Region> RegionsIn(const google::protobuf::Message& message);

/// "1/14_8_SHA_1795376868476_write.sst" without the milliseconds; empty if the name has another form.
std::string WithoutClock(const std::string& file_name);

}  // namespace kvjury::drift
