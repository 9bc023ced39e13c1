// FaultPlan: what happens at which label. Faults and nudges are written out in the case, or drawn while exploring.
//
// Explicit ones hang on the hash of their label. Drawn ones are a function of hash(seed, label) alone, so that taking an
// operation away leaves all other draws as they were. Everything that fired is kept as an explicit list: with it, the seed
// is no longer needed. The message kinds (lost request or reply, duplicate, stream reset) and delays are carried out by the
// fabric; all others by the executor that the cluster registers.
// Source of the vocabulary: what real PD and TiKV clusters do; each kind is counted.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "fakes/base/ids.h"
#include "fakes/base/random.h"
#include "fakes/sim/label.h"
#include "proto/kvjury/case.pb.h"

namespace google::protobuf {
class Message;
}

namespace kvjury::sim {

/// The labelled message that a fault is about.
struct FaultSite {
  Label label;
  std::string to;      // address of the receiver; empty for a step that is no message
  std::string method;  // path of the method; "objects.Put" ... for a step of an object storage
  const google::protobuf::Message* request = nullptr;
};

/// "split_region" ...: the field name of the fault's kind in the case.
std::string FaultKindName(const record::Fault& fault);
/// The field names of all kinds, in the order of the case's definition.
std::vector<std::string> AllFaultKinds();
/// Those that a simulated world knows; the others strike a served S3 endpoint alone.
std::vector<std::string> SimulatedFaultKinds();
/// The receiver of calls to a served S3 endpoint.
inline constexpr char kS3Address[] = "s3";

class FaultPlan {
 public:
  /// Carries a fault of the cluster out. Returns false if it could not have an effect here (no such region, budget used
  /// up): such a draw is not written down and not counted.
  using Executor = std::function<bool(const record::Fault&, const FaultSite&)>;

  /// What the fabric does to one message.
  struct MessageFate {
    Micros delay_us = 0;
    bool lose_request = false;
    bool lose_reply = false;
    bool reset_stream = false;
    Micros duplicate_after_us = -1;  // negative: no duplicate
    // Only at steps of an object storage, whose front carries them out.
    bool fail_before_effect = false;
    bool fail_after_effect = false;
  };

  /// Takes the explicit faults and nudges and the drawing rules of `c`.
  void Load(const record::Case& c);
  void SetExecutor(Executor executor) { executor_ = std::move(executor); }

  /// Called once for every labelled message and step; carries out what hangs on it and returns what is left to the caller.
  MessageFate At(const FaultSite& site);

  /// The same for a step that can only be slow (a replication): its nudge, no faults. 0 for most labels.
  Micros DelayAt(const Label& label);

  /// From now on nothing is drawn and no explicit fault fires: the healing phase.
  void Heal() { healed_ = true; }
  [[nodiscard]] bool healed() const { return healed_; }

  /// Something explicit hangs on the label.
  [[nodiscard]] bool IsPlanned(const Label& label) const;
  /// Everything that fired, as explicit entries.
  [[nodiscard]] const std::vector<record::Fault>& fired_faults() const { return fired_faults_; }
  [[nodiscard]] const std::vector<record::Nudge>& fired_nudges() const { return fired_nudges_; }
  /// Count of fired faults by kind.
  [[nodiscard]] const std::map<std::string, uint64_t>& fired_counts() const { return fired_counts_; }
  /// Labels of the case's explicit entries that never came up: the case is stale.
  [[nodiscard]] std::vector<std::string> never_fired() const;

 private:
  struct Planned {
    std::vector<record::Fault> faults;
    Micros delay_us = 0;
    std::string label;
    bool fired = false;
  };
  void Apply(const record::Fault& fault, const FaultSite& site, MessageFate* fate);
  Micros FireNudge(const std::string& label, Micros delay_us);
  Micros DrawNudge(RandomStream* random, const Label& label);
  void DrawAt(const FaultSite& site, MessageFate* fate);
  std::optional<record::Fault> DrawFault(RandomStream* random, const FaultSite& site) const;

  std::map<uint64_t, Planned> planned_;
  record::Explore explore_;
  std::vector<std::string> drawn_kinds_;
  bool exploring_ = false;
  bool healed_ = false;
  Executor executor_;
  std::vector<record::Fault> fired_faults_;
  std::vector<record::Nudge> fired_nudges_;
  std::map<std::string, uint64_t> fired_counts_;
};

}  // namespace kvjury::sim
