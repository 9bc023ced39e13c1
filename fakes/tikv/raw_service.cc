#include "fakes/tikv/raw_service.h"

#include "fakes/tikv/methods.h"

namespace kvjury::tikv {

void RawService::Register(sim::MethodTable* methods) {
  methods->Add(kRawGet, this, &RawService::Get);
  methods->Add(kRawBatchGet, this, &RawService::BatchGet);
  methods->Add(kRawScan, this, &RawService::Scan);
  methods->Add(kRawBatchScan, this, &RawService::BatchScan);
  methods->Add(kRawGetKeyTtl, this, &RawService::GetKeyTTL);
  methods->Add(kRawChecksum, this, &RawService::Checksum);
  methods->Add(kRawPut, this, &RawService::Put);
  methods->Add(kRawBatchPut, this, &RawService::BatchPut);
  methods->Add(kRawDelete, this, &RawService::Delete);
  methods->Add(kRawBatchDelete, this, &RawService::BatchDelete);
  methods->Add(kRawDeleteRange, this, &RawService::DeleteRange);
  methods->Add(kRawCompareAndSwap, this, &RawService::CAS);
}

template <class Request, class Response>
RawService::Answer<Response> RawService::Read(Ptr<Request> request, sim::CallContext context,
                                              StoreCalls::ReadCommand<Request, Response> read) {
  Response refused;
  if (Refuse(*request, &refused)) {
    co_return refused;
  }
  Answer<Response> reading = calls_->Read<Request, Response>(request, context, read);
  co_return co_await std::move(reading);
}

template <class Request, class Response>
RawService::Answer<Response> RawService::Write(Ptr<Request> request, sim::CallContext context,
                                               StoreCalls::Compute<Request, Response> compute) {
  Response refused;
  if (Refuse(*request, &refused)) {
    co_return refused;
  }
  Answer<Response> writing = calls_->Write<Request, Response>(request, context, KeysOf(*request), std::move(compute));
  co_return co_await std::move(writing);
}

#define KVJURY_RAW_READ(name, command)                                                                                \
  RawService::Answer<kvrpcpb::Raw##name##Response> RawService::name(Ptr<kvrpcpb::Raw##name##Request> request,         \
                                                                    sim::CallContext context) {                       \
    auto reading = Read<kvrpcpb::Raw##name##Request, kvrpcpb::Raw##name##Response>(request, context, &command);       \
    co_return co_await std::move(reading);                                                                            \
  }
#define KVJURY_RAW_WRITE(name, call)                                                                                  \
  RawService::Answer<kvrpcpb::Raw##name##Response> RawService::name(Ptr<kvrpcpb::Raw##name##Request> request,         \
                                                                    sim::CallContext context) {                       \
    StoreCalls::Compute<kvrpcpb::Raw##name##Request, kvrpcpb::Raw##name##Response> compute =                          \
        []([[maybe_unused]] const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager*,                \
           const kvrpcpb::Raw##name##Request& asked) { return call; };                                                \
    auto writing =                                                                                                    \
        Write<kvrpcpb::Raw##name##Request, kvrpcpb::Raw##name##Response>(request, context, std::move(compute));       \
    co_return co_await std::move(writing);                                                                            \
  }

KVJURY_RAW_READ(Get, RawGet)
KVJURY_RAW_READ(BatchGet, RawBatchGet)
KVJURY_RAW_READ(Scan, RawScan)
KVJURY_RAW_READ(BatchScan, RawBatchScan)
KVJURY_RAW_READ(GetKeyTTL, RawGetKeyTtl)
KVJURY_RAW_READ(Checksum, RawChecksum)
KVJURY_RAW_WRITE(Put, RawPut(region, asked))
KVJURY_RAW_WRITE(BatchPut, RawBatchPut(region, asked))
KVJURY_RAW_WRITE(Delete, RawDelete(region, asked))
KVJURY_RAW_WRITE(BatchDelete, RawBatchDelete(region, asked))
KVJURY_RAW_WRITE(DeleteRange, RawDeleteRange(region, asked))
KVJURY_RAW_WRITE(CAS, RawCompareAndSwap(snapshot, region, asked))

#undef KVJURY_RAW_READ
#undef KVJURY_RAW_WRITE

}  // namespace kvjury::tikv
