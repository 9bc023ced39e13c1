// BatchCommands: many commands of a store in one stream, answered by id in whatever order they end.
//
// A command is the unary call of tikvpb.Tikv that takes its message type, so that nothing is listed twice. Answers that end
// while another frame is being written share the next one. A command nobody serves is answered with no command set: no id hangs.
// Health feedback that was asked for stands beside the answers, too; nothing is attached unasked.
// A command whose connection broke (a lost request or reply, a dead store) ends the whole stream, as in real life.
#pragma once

#include <grpcpp/generic/async_generic_service.h>

#include "fakes/ports/outside_calls.h"

namespace kvjury::ports {

/// The reactor of one stream. `calls` must outlive it.
grpc::ServerGenericBidiReactor* ServeBatchCommands(OutsideCalls* calls, grpc::GenericCallbackServerContext* context);

}  // namespace kvjury::ports
