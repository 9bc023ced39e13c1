#include "harness/drift/recorder.h"

#include "fakes/pd/methods.h"
#include "fakes/sim/http.h"
#include "harness/drift/method_types.h"
#include "harness/drift/recorded_cluster.h"

namespace kvjury::drift {

namespace {

const char* CodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kUnsupported: return "Unimplemented";
    case StatusCode::kUnavailable: return "Unavailable";
    case StatusCode::kDeadlineExceeded: return "DeadlineExceeded";
    case StatusCode::kCancelled: return "Canceled";
    default: return "Unknown";
  }
}

void KeepError(const Status& status, RecordedCall* call) {
  if (!status.ok()) {
    call->error_code = CodeName(status.code());
    call->error_text = status.message();
  }
}

}  // namespace

sim::Task<Result<std::vector<RecordedCall>>> Recorder::Record(std::vector<RecordedCall> requests) {
  auto finding = FindStores();
  CO_RETURN_IF_ERROR(co_await std::move(finding));
  for (RecordedCall& call : requests) {
    call.answers.clear();
    call.error_code.clear();
    call.error_text.clear();
    call.unrecorded = false;
    auto recording = call.http() ? RecordHttp(&call) : RecordOne(&call);
    const Status recorded = co_await std::move(recording);
    if (!recorded.ok()) {
      co_return recorded.WithContext("line " + std::to_string(call.line) + ", " + call.MethodText());
    }
  }
  co_return std::move(requests);
}

sim::Task<Status> Recorder::FindStores() {
  auto asking = sim::Call(channel_, pd::kGetMembers, pd_, pdpb::GetMembersRequest(), NextCall());
  CO_ASSIGN_OR_RETURN(const auto members, co_await std::move(asking));
  pdpb::GetAllStoresRequest request;
  request.mutable_header()->set_cluster_id(members->header().cluster_id());
  auto listing = sim::Call(channel_, pd::kGetAllStores, pd_, std::move(request), NextCall());
  CO_ASSIGN_OR_RETURN(const auto stores, co_await std::move(listing));
  for (const metapb::Store& store : stores->stores()) {
    addresses_[store.id()] = store.address();
  }
  co_return addresses_.empty() ? Status::Unavailable("PD at " + pd_ + " knows no stores") : Status::Ok();
}

sim::Task<Status> Recorder::RecordOne(RecordedCall* call) {
  const MethodTypes types = TypesOf(call->method);
  sim::MessagePtr request = ParseAs(*types.request, call->request);
  if (request == nullptr) {
    co_return Status::DataLoss("\"req_hex\" is no request of this method");
  }
  const auto named = addresses_.find(AskedBy(*request).store);
  sim::Address to = IsMethodOfPd(call->method)   ? pd_
                    : named != addresses_.end() ? named->second
                                                : addresses_.begin()->second;
  call->stream = types.client_streaming || types.server_streaming;
  if (types.server_streaming && !types.client_streaming) {
    auto reading = RecordStream(call, std::move(to), std::move(request));
    co_return co_await std::move(reading);
  }
  auto making = channel_->CallRaw(call->method.c_str(), std::move(to), std::move(request), NextCall());
  const Result<sim::MessagePtr> answer = co_await std::move(making);
  KeepError(answer.status(), call);
  if (answer.ok()) {
    call->answers.push_back((*answer)->SerializeAsString());
  }
  co_return Status::Ok();
}

sim::Task<Status> Recorder::RecordStream(RecordedCall* call, sim::Address to, sim::MessagePtr request) {
  auto opening = channel_->OpenRaw(call->method.c_str(), std::move(to), std::move(request), NextCall());
  Result<std::unique_ptr<sim::StreamReader>> reader = co_await std::move(opening);
  Status end = reader.status();
  while (end.ok()) {
    sim::Task<Result<sim::MessagePtr>> reading = (*reader)->Next();
    const Result<sim::MessagePtr> next = co_await std::move(reading);
    if (!next.ok() || *next == nullptr) {
      end = next.status();
      break;
    }
    call->answers.push_back((*next)->SerializeAsString());
  }
  KeepError(end, call);
  co_return Status::Ok();
}

sim::Task<Status> Recorder::RecordHttp(RecordedCall* call) {
  auto making = sim::Call(channel_, sim::kHttp, pd_, HttpRequestOf(*call, call->path), NextCall());
  CO_ASSIGN_OR_RETURN(const auto answer, co_await std::move(making));
  call->http_status = answer->status();
  call->content_type = answer->content_type();
  call->answers.push_back(answer->body());
  co_return Status::Ok();
}

sim::CallOptions Recorder::NextCall() {
  sim::CallOptions options;
  options.label = sim::Label("record").Numbered("call", ++calls_made_);
  options.timeout_us = timeout_us_;
  return options;
}

}  // namespace kvjury::drift
