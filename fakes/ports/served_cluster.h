// ServedCluster: PD and the stores of one simulated cluster behind real ports, for programs that nobody here wrote.
//
//   PD's ports    one for each member: gRPC (PD's and etcd's) and HTTP/1.1
//   store i       one gRPC port, one status port (HTTP/1.1)
// The same handlers as in the simulation; time follows the wall clock, processing takes what it takes, messages travel at the
// speed of the loopback, and the fault plan of a case strikes outside calls by their labels (outside_calls.h).
// With a folder the state outlives the process, however that ends, with the same ports: an answer leaves once what it tells is kept.
// Not modelled: several processes; a killed store is a closed port and cut connections.
// Threads: the world's, gRPC's, one for each port, one for each HTTP connection. Nothing survives Stop.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"
#include "fakes/base/status.h"
#include "fakes/ports/call_log.h"
#include "fakes/ports/call_script.h"
#include "fakes/ports/live_world.h"
#include "fakes/ports/tls.h"
#include "fakes/ports/who_waits.h"
#include "fakes/tikv/cluster.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::ports {

struct ServeOptions {
  /// Where all ports are.
  std::string host = "127.0.0.1";
  /// Of PD's first member. 0: any free one. Negative: the one that the folder remembers, else 2379.
  int pd_port = -1;
  /// The second and further have free ports. 0: as many as the folder remembers, for a new cluster one.
  uint32_t pd_members = 0;
  /// 0: as many as the folder holds, for a new cluster three.
  uint32_t stores = 0;
  /// The folder of the state, made if it is not there; empty: in memory alone.
  std::string data;
  /// Told, from another thread, that the state can be kept no longer: nothing is answered from then on.
  std::function<void(const Status&)> on_failure;
  /// A sentence for people on what is not as before. May be empty.
  std::function<void(const std::string&)> on_warning;
  /// At least so many; 0: those of a fresh cluster, five.
  uint32_t regions = 0;
  /// What the cluster holds from the start: ascending user keys, one version each. A version without timestamps was written at `at`,
  /// or without that a second before the start.
  std::vector<tikv::UserVersion> versions;
  /// What the versions are the state at, if they are of some time; none is younger. PD's clock begins above it and them.
  Timestamp at;
  /// What GC removes stays readable for Snapshot::IncludingCollected, the judge's memory: it grows with every write.
  bool keep_collected = false;
  /// Not empty: no client may change data; each is told this sentence. With `at` the cluster is frozen there.
  std::string read_only;
  /// Faults, delays, what is drawn of them, and of the trigger: a region that ends at the encoded empty key, a clock behind the wall
  /// clock. The rest of the case does not count.
  record::Case faults;
  /// The path of a socket for commands (control.h); empty: none.
  std::string control;
  /// Certificates for all ports; without a certificate they are plain.
  TlsFiles tls;
  /// How long a peer may take until it is clear what it speaks.
  std::chrono::milliseconds preface_timeout{10'000};
  /// Told of every call from outside after it was answered, on the world's thread. May be empty.
  std::function<void(const CallRecord&)> on_call;
  /// Takes the recording of everything that reaches the cluster (recorder.h), as it grows and until Stop has returned. Not with `data`.
  /// From several threads, one at a time. May be empty.
  std::function<void(std::string_view bytes)> on_recorded;
  /// A line for people about a connection. May be empty. From several threads.
  std::function<void(const std::string&)> on_connection;
};

struct ServedStore {
  uint64_t id = 0;
  std::string address;
  std::string status_address;
};

/// Where the control socket of a cluster with this folder is, unless another place was asked for.
std::string ControlPathIn(const std::string& folder);

class ServedCluster {
 public:
  /// Errors: kEnvironment for ports, certificates (both named) and gRPC; kInvalidArgument for a host, a bug's name, and for stores or versions that
  /// a folder with a cluster cannot take; those of OpenServedState. Nothing listens any more after an error.
  static Result<std::unique_ptr<ServedCluster>> Start(ServeOptions options);
  ServedCluster(const ServedCluster&) = delete;
  ServedCluster& operator=(const ServedCluster&) = delete;
  /// Stops.
  ~ServedCluster();

  /// "127.0.0.1:2379" of each member.
  [[nodiscard]] const std::vector<std::string>& pd_addresses() const;
  [[nodiscard]] const std::vector<ServedStore>& stores() const;
  [[nodiscard]] const CallLog& calls() const;
  /// Labels of the case's explicit entries that never came up. Only on the world's thread, or after Stop.
  [[nodiscard]] std::vector<std::string> never_fired();
  /// Which call from outside waits for what (who_waits.h). Only on the world's thread.
  [[nodiscard]] std::vector<std::string> WhoWaits(const WhoWaitsQuery& query);
  LiveWorld& live();
  /// Only on the world's thread, or after Stop.
  tikv::Cluster& cluster();
  /// Says in the recording, if there is one, that somebody looks at the cluster now, and what for. Only on the world's thread.
  void Mark(const std::string& what);

  /// Closes the ports, ends all calls, stops the world. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit ServedCluster(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvjury::ports
