// Recorder: writes down everything that reaches a served cluster from outside, so that replayed_cluster.h makes the same cluster again.
//
// An input has its place among the world's events: after how many of them, at which virtual time. That and what is said here is all that
// makes one run of a served world differ from another, since its handlers know nothing but the world. Recorded: calls and what they ask,
// when a stream's reader took a message or was gone, when work beside the world was done, what object storages answered, commands of the
// control socket. Not recorded: a folder of `serve --data`, what went over the wire beside messages, /metrics, who called.
// Credentials of a storage are masked, with as many bytes: they matter to the storage alone, whose answers are recorded.
// Format: proto/kvjury/recording.proto.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "fakes/objects/object_store.h"
#include "fakes/sim/world.h"
#include "proto/kvjury/recording.pb.h"

namespace kvjury::ports {

inline constexpr uint32_t kRecordingSchema = 1;

class Recorder {
 public:
  /// Takes the next bytes of the recording, not compressed. From several threads, one at a time.
  using Sink = std::function<void(std::string_view bytes)>;

  /// `world` must outlive this.
  Recorder(sim::World* world, Sink sink) : world_(world), sink_(std::move(sink)) {}
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// First of all.
  void Begin(const record::RecordingBegin& begin);

  // Only on the world's thread.
  void Call(const sim::Address& address, const std::string& path, Micros timeout_us, const google::protobuf::Message& request);
  void Stream(const sim::Address& address, const std::string& path, Micros timeout_us, const google::protobuf::Message& request);
  void Written(uint64_t stream, uint64_t message);
  void StreamEnded(uint64_t stream, uint64_t look);
  void Offloaded(uint64_t number);
  void Command(std::string_view line);
  void Echo(Micros delay_us, uint64_t order);
  void Mark(const std::string& what);

  /// An answer of an object storage. Any thread.
  void Storage(record::RecordedInput::Storage answer);

  /// Last of all, after the world has stopped. Once.
  void End();

 private:
  /// At this moment of the world.
  [[nodiscard]] record::RecordedInput Now() const;
  void Write(const google::protobuf::Message& message);

  sim::World* world_;
  Sink sink_;
  std::mutex mutex_;
  uint64_t inputs_ = 0;
  // By storage, call and name.
  std::map<std::string, uint64_t> storage_calls_;
};

/// The same message, or null if `request` holds no credentials of a storage: with them as many 'x'.
std::unique_ptr<google::protobuf::Message> WithoutCredentials(const google::protobuf::Message& request);

/// What storage an answer is of: the folder, or what a bucket is called without its credentials.
std::string StorageName(const ::backup::S3& target);

/// Opens storages as `open` and `open_s3` do, and records what they answer. All must outlive what this makes.
objects::Storages::Factory RecordedStorages(Recorder* recorder, objects::Storages::Factory open);
objects::Storages::S3Factory RecordedStorages(Recorder* recorder, objects::Storages::S3Factory open_s3);

}  // namespace kvjury::ports
