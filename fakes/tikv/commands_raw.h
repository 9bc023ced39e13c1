// The raw commands: keys and values as they stand, in a named column family, without timestamps, locks or encoding.
//
// Pure functions like the transaction commands. They share the engine with transactions: the family "default" shows long
// values of transactions to whoever looks, and "write" and "lock" their records. Region borders are compared as bytes.
// Modelled: API version 1 without time to live, with TiKV's words. Not modelled: API version 2, API version 1 with time to live.
// Different from TiKV: what is put into the families "write" and "lock" must be a record of a transaction (TiKV takes anything
// and fails in later transactions); RawGetKeyTTL answers an error (a real store of this configuration crashes).
// Source: TiKV 8.5.0, src/storage/mod.rs, src/storage/raw and its raftstore's checks at apply.
#pragma once

#include "fakes/tikv/commands_common.h"
#include "fakes/tikv/raw_checks.h"

namespace kvjury::tikv {

// Reads. A key outside the region is an error of that key; a scan that starts outside is a region error, one that ends
// outside is cut at the border.
void RawGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* unused,
            const kvrpcpb::RawGetRequest& request, kvrpcpb::RawGetResponse* response);
void RawBatchGet(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* unused,
                 const kvrpcpb::RawBatchGetRequest& request, kvrpcpb::RawBatchGetResponse* response);
void RawScan(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* unused,
             const kvrpcpb::RawScanRequest& request, kvrpcpb::RawScanResponse* response);
void RawBatchScan(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* unused,
                  const kvrpcpb::RawBatchScanRequest& request, kvrpcpb::RawBatchScanResponse* response);
void RawGetKeyTtl(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* unused,
                  const kvrpcpb::RawGetKeyTTLRequest& request, kvrpcpb::RawGetKeyTTLResponse* response);
void RawChecksum(const Snapshot& snapshot, const RegionBounds& region, ConcurrencyManager* unused,
                 const kvrpcpb::RawChecksumRequest& request, kvrpcpb::RawChecksumResponse* response);

// Writes. A key outside the region is a region error, and nothing is written.
CommandResult<kvrpcpb::RawPutResponse> RawPut(const RegionBounds& region, const kvrpcpb::RawPutRequest& request);
CommandResult<kvrpcpb::RawBatchPutResponse> RawBatchPut(const RegionBounds& region,
                                                        const kvrpcpb::RawBatchPutRequest& request);
CommandResult<kvrpcpb::RawDeleteResponse> RawDelete(const RegionBounds& region, const kvrpcpb::RawDeleteRequest& request);
CommandResult<kvrpcpb::RawBatchDeleteResponse> RawBatchDelete(const RegionBounds& region,
                                                              const kvrpcpb::RawBatchDeleteRequest& request);
CommandResult<kvrpcpb::RawDeleteRangeResponse> RawDeleteRange(const RegionBounds& region,
                                                              const kvrpcpb::RawDeleteRangeRequest& request);
CommandResult<kvrpcpb::RawCASResponse> RawCompareAndSwap(const Snapshot& snapshot, const RegionBounds& region,
                                                         const kvrpcpb::RawCASRequest& request);

// The keys to latch: those of compare-and-swap and of the writes that say they are to be atomic against it.
std::vector<Bytes> KeysOf(const kvrpcpb::RawPutRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::RawBatchPutRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::RawDeleteRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::RawBatchDeleteRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::RawDeleteRangeRequest& request);
std::vector<Bytes> KeysOf(const kvrpcpb::RawCASRequest& request);

}  // namespace kvjury::tikv
