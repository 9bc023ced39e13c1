// RawService: the raw key-value calls of one store.
//
// Puts and deletes latch their keys only when they say that they are to be atomic against compare-and-swap (`for_cas`), which
// always does. What is modelled and what is not: commands_raw.h.
// Source: TiKV 8.5, src/server/service/kv.rs.
#pragma once

#include "fakes/tikv/commands_raw.h"
#include "fakes/tikv/store_calls.h"

namespace kvjury::tikv {

class RawService {
 public:
  /// `calls` must outlive the service.
  explicit RawService(const StoreCalls* calls) : calls_(calls) {}
  RawService(const RawService&) = delete;
  RawService& operator=(const RawService&) = delete;

  void Register(sim::MethodTable* methods);

 private:
  template <class Message>
  using Ptr = StoreCalls::Ptr<Message>;
  template <class Message>
  using Answer = StoreCalls::Answer<Message>;

#define KVJURY_HANDLER(name) \
  Answer<kvrpcpb::Raw##name##Response> name(Ptr<kvrpcpb::Raw##name##Request> request, sim::CallContext context);
  KVJURY_HANDLER(Get)
  KVJURY_HANDLER(BatchGet)
  KVJURY_HANDLER(Scan)
  KVJURY_HANDLER(BatchScan)
  KVJURY_HANDLER(GetKeyTTL)
  KVJURY_HANDLER(Checksum)
  KVJURY_HANDLER(Put)
  KVJURY_HANDLER(BatchPut)
  KVJURY_HANDLER(Delete)
  KVJURY_HANDLER(BatchDelete)
  KVJURY_HANDLER(DeleteRange)
  KVJURY_HANDLER(CAS)
#undef KVJURY_HANDLER

  template <class Request, class Response>
  Answer<Response> Read(Ptr<Request> request, sim::CallContext context, StoreCalls::ReadCommand<Request, Response> read);
  template <class Request, class Response>
  Answer<Response> Write(Ptr<Request> request, sim::CallContext context, StoreCalls::Compute<Request, Response> compute);

  const StoreCalls* calls_;
};

}  // namespace kvjury::tikv
