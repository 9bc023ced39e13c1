// ClientTransaction: one optimistic transaction: a snapshot, a write buffer over it, and its commit.
//
// Reads see the buffer first. Nothing is sent for a write until Commit.
// Source: client-go v2.0.7 as JuiceFS 1.4 uses it: scans in pages of 10240 pairs, 256 for short ones.
#pragma once

#include "harness/client/committer.h"
#include "harness/client/snapshot.h"

namespace kvjury::client {

class ClientTransaction : public Transaction {
 public:
  /// The services and the resolver are the client's and must outlive the transaction.
  ClientTransaction(Services services, LockResolver* resolver, Timestamp start_ts, LabelsPtr labels);

  [[nodiscard]] Timestamp start_ts() const override { return snapshot_.version(); }
  [[nodiscard]] Bytes primary_key() const override { return primary_; }
  sim::Task<Result<std::optional<Bytes>>> Get(Bytes key) override;
  sim::Task<Result<std::map<Bytes, Bytes>>> BatchGet(std::vector<Bytes> keys) override;
  sim::Task<Result<std::vector<Pair>>> Scan(Bytes start, Bytes end, uint32_t limit) override;
  void Put(Bytes key, Bytes value) override;
  void Delete(Bytes key) override;
  sim::Task<Result<CommitInfo>> Commit() override;

 private:
  void Buffer(Bytes key, std::optional<Bytes> value);

  Services services_;
  LockResolver* resolver_;
  LabelsPtr labels_;
  Snapshot snapshot_;
  Micros began_us_;
  std::map<Bytes, std::optional<Bytes>> writes_;
  Bytes primary_;
  bool ended_ = false;
};

}  // namespace kvjury::client
