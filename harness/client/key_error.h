// What a KeyError of a store means to a transaction.
//
// kConflict: lost, may be run again from its start ("write conflict", "TxnLockNotFound": the texts that JuiceFS retries);
// kRejected: any other refusal. Locks are not errors yet: the caller resolves them first.
// Source: kvrpcpb.KeyError; the order of extraction is client-go's.
#pragma once

#include "fakes/base/status.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::client {

/// The Status for a KeyError. A lock that comes here is kRejected.
Status KeyErrorStatus(const kvrpcpb::KeyError& error);

}  // namespace kvjury::client
