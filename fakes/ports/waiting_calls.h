// WaitingCalls: an account of who from outside waits: calls that were begun and not answered, and answers that told a client to wait or to
// come again. who_waits.h makes sentences of it.
//
//   held      KvPessimisticLock at store-2, begun 12 s ago; its request tells the keys and the transaction
//   deferred  KvGet at store-1: key locked by transaction 4582, 34 times within 63 s, the last time just now
// An answer defers when it holds a region error, an error of a key that goes away by waiting or by another try (locked, conflict, deadlock
// ...), a header's error of PD, an HTTP status of 400 or more, or none at all (a gRPC status). Of the same kind about the same subject it is
// counted once: with a pause of more than a minute in between, the count begins anew.
// Also kept: when the client of each undecided transaction was last heard, by the calls that only a transaction's owner makes.
// Bounded: of subjects and of transactions, those that are longest silent are forgotten first.
// Not modelled: sessions (no call tells one); whether the client is still there: a call whose client went away is held until its handler
// ends. A client that cannot connect makes no call, and is not seen here.
// Source: kvrpcpb, errorpb, pdpb of TiKV 8.5; which errors client-go tries again. Only on the world's thread.
#pragma once

#include <list>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/ports/storage_waits.h"
#include "fakes/sim/channel.h"
#include "fakes/sim/world.h"
#include "proto/tikv/errorpb.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::ports {

class WaitingCalls {
 public:
  /// One call that was begun and not answered. Times are virtual.
  struct Held {
    sim::Address address;
    std::string method;  // "KvGet"
    sim::Label label;
    sim::MessagePtr request;
    Micros begun_us = 0;
    /// Of a stream: those that came, and when the last did.
    uint64_t messages = 0;
    Micros last_message_us = 0;
    /// A message of the stream that a fault holds back: its label, and until when; 0 if none is.
    std::string held_back;
    Micros held_back_until_us = 0;
    /// There is an answer; it waits until what it tells is kept on disk.
    bool is_answered = false;

    /// Since when nothing came.
    [[nodiscard]] Micros silent_since_us() const { return messages > 0 ? last_message_us : begun_us; }
  };

  /// What answers that told to wait or to come again are counted by.
  struct Subject {
    sim::Address address;
    std::string method;
    /// The field's name in the protocol: "locked", "not_leader", "server_is_busy"; "header" of PD's, "status" of no answer, "http".
    std::string kind;
    /// Of a region error and of a status; 0 if the request names no region.
    uint64_t region = 0;
    /// Of an error about a key: as the user writes it.
    Bytes key;
    /// Of "locked": the lock's owner.
    Timestamp owner;

    friend auto operator<=>(const Subject&, const Subject&) = default;
  };
  struct Deferred {
    Subject subject;
    uint64_t times = 0;
    Micros first_us = 0;
    Micros last_us = 0;
    /// Of the last answer: the lock; the transaction or the timestamp that asked, if any; the store that a region error names as leader,
    /// 0 if it knows none; what else it said.
    kvrpcpb::LockInfo lock;
    Timestamp asked_by;
    uint64_t leader_store = 0;
    std::string words;
  };

  struct Heard {
    Micros last_us = 0;
    std::string method;
  };

  /// A call while it lasts; its end ends the entry.
  class Call {
   public:
    Call(WaitingCalls* calls, std::list<Held>::iterator held) : calls_(calls), held_(held) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { calls_->held_.erase(held_); }

    /// The answer, which may still have to be kept on disk, or the error instead.
    void Answered(const Result<sim::MessagePtr>& answer);
    /// The next message of a stream.
    void Message(const google::protobuf::Message& message);
    /// The message that came last goes on its way only later.
    void HeldBack(const sim::Label& label, Micros delay_us);
    /// A stream's end.
    void Ended(const Status& status);

   private:
    WaitingCalls* calls_;
    std::list<Held>::iterator held_;
  };

  /// Of transactions and of subjects that are remembered.
  static constexpr size_t kRememberedMax = 4096;
  /// A subject that was silent for longer begins anew.
  static constexpr Micros kPauseUsMax = 60'000'000;

  explicit WaitingCalls(sim::World* world) : world_(world) {}
  WaitingCalls(const WaitingCalls&) = delete;
  WaitingCalls& operator=(const WaitingCalls&) = delete;

  /// A call of `method` begins. This must outlive what is returned.
  [[nodiscard]] Call Begin(sim::Address address, std::string method, sim::Label label, sim::MessagePtr request);

  /// In the order in which they began.
  [[nodiscard]] const std::list<Held>& held() const { return held_; }
  /// Those that were counted at `since_us` or later, by subject.
  [[nodiscard]] std::vector<Deferred> DeferredSince(Micros since_us) const;
  /// What the stores themselves wait for.
  StorageWaits& storage() { return storage_; }
  [[nodiscard]] const StorageWaits& storage() const { return storage_; }
  /// When the client of an undecided transaction made its last call for it; null if it never did, or is forgotten.
  [[nodiscard]] const Heard* FindHeard(Timestamp start_ts) const;

 private:
  void Hear(const Held& held);
  /// The transaction of the call is decided, or has nothing left to decide.
  void ForgetDecided(const Held& held, const google::protobuf::Message& answer);
  void Look(const Held& held, const google::protobuf::Message& answer);
  void LookAtError(const Held& held, const google::protobuf::Message& error);
  void LookAtKeyError(const Held& held, const kvrpcpb::KeyError& error);
  void LookAtRegionError(const Held& held, const errorpb::Error& error);
  Deferred* Count(const Held& held, std::string kind, uint64_t region, Bytes key, Timestamp owner = Timestamp());
  [[nodiscard]] Micros now_us() const { return world_->scheduler().now_us(); }

  sim::World* world_;
  std::list<Held> held_;
  std::map<Subject, Deferred> deferred_;
  std::map<Timestamp, Heard> heard_;  // by start
  StorageWaits storage_;
};

/// The transaction or the timestamp that a request is about: its start_version, or a read's version; invalid if it names none.
Timestamp AskedBy(const google::protobuf::Message& request);

}  // namespace kvjury::ports
