#include "harness/drift/player.h"

#include <algorithm>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/methods.h"
#include "fakes/sim/http.h"
#include "harness/drift/compare_json.h"
#include "harness/drift/method_types.h"
#include "proto/tikv/kvrpcpb.pb.h"

namespace kvjury::drift {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kErrorField[] = "grpc_error";

StatusCode CodeNamed(const std::string& name) {
  return name == "Unimplemented"      ? StatusCode::kUnsupported
         : name == "Unavailable"      ? StatusCode::kUnavailable
         : name == "DeadlineExceeded" ? StatusCode::kDeadlineExceeded
         : name == "Canceled"         ? StatusCode::kCancelled
                                      : StatusCode::kRejected;
}
// A client tells no more kinds apart than these.
StatusCode KindOf(StatusCode code) {
  switch (code) {
    case StatusCode::kUnsupported:
    case StatusCode::kUnavailable:
    case StatusCode::kDeadlineExceeded:
    case StatusCode::kCancelled: return code;
    default: return StatusCode::kRejected;
  }
}

// The first key of a request, by the usual names of fields; false without one.
bool FirstKey(const Message& request, Bytes* key) {
  for (const char* name : {"key", "primary_lock", "primary_key", "start_key", "keys", "mutations"}) {
    const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || (field->is_repeated() && request.GetReflection()->FieldSize(request, field) == 0)) {
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return FirstKey(request.GetReflection()->GetRepeatedMessage(request, field, 0), key);
    }
    *key = field->is_repeated() ? request.GetReflection()->GetRepeatedString(request, field, 0)
                                : request.GetReflection()->GetString(request, field);
    return true;
  }
  return false;
}

bool SaysRegionIsMissing(const RecordedCall& call) {
  for (const Bytes& bytes : call.answers) {
    const std::shared_ptr<Message> answer = ParseAs(*TypesOf(call.method).response, bytes);
    const FieldDescriptor* field = answer->GetDescriptor()->FindFieldByName("region_error");
    if (field != nullptr && field->message_type() == errorpb::Error::descriptor() &&
        static_cast<const errorpb::Error&>(answer->GetReflection()->GetMessage(*answer, field)).has_region_not_found()) {
      return true;
    }
  }
  return false;
}

Bytes StartKeyOf(const Message& answer) {
  const FieldDescriptor* field = answer.GetDescriptor()->FindFieldByName("start_key");
  return field == nullptr ? Bytes() : answer.GetReflection()->GetString(answer, field);
}

}  // namespace

std::string ToText(const Difference& difference) {
  return difference.case_name + "#" + std::to_string(difference.number) + " " + difference.method + " " + difference.what.field +
         ": recorded " + difference.what.recorded + ", got " + difference.what.got;
}

sim::Task<Result<Played>> Player::Play(std::vector<RecordedCall> calls) {
  CO_ASSIGN_OR_RETURN(RecordedCluster recorded, DescribeCluster(calls));
  auto introduction = Introduce(std::move(recorded));
  CO_RETURN_IF_ERROR(co_await std::move(introduction));
  for (const RecordedCall& call : calls) {
    ++calls_of_case_[call.case_name];
    auto playing = PlayOne(&call);
    const Status played = co_await std::move(playing);
    if (!played.ok()) {
      played_.stopped = played.WithContext("line " + std::to_string(call.line) + ", " + call.MethodText());
      break;
    }
    ++played_.calls;
    ++(call.unrecorded ? played_.unrecorded : played_.compared);
  }
  co_return std::move(played_);
}

template <class Request, class Response>
sim::Task<Result<std::shared_ptr<const Response>>> Player::AskPd(sim::UnaryMethod<Request, Response> method, Request request) {
  request.mutable_header()->set_cluster_id(cluster_id_);
  auto call = sim::Call(channel_, method, options_.pd, std::move(request), NextCall());
  Result<std::shared_ptr<const Response>> answer = co_await std::move(call);
  if (!answer.ok()) {
    co_return answer.error().WithContext("PD at " + options_.pd);
  }
  co_return answer;
}

sim::Task<Status> Player::Introduce(RecordedCluster recorded) {
  auto members_call = AskPd(pd::kGetMembers, pdpb::GetMembersRequest());
  CO_ASSIGN_OR_RETURN(const auto members, co_await std::move(members_call));
  cluster_id_ = members->header().cluster_id();
  identity_.SetCluster(recorded.cluster_id, cluster_id_);
  identity_.SetFolder(options_.folder);

  auto stores_call = AskPd(pd::kGetAllStores, pdpb::GetAllStoresRequest());
  CO_ASSIGN_OR_RETURN(const auto stores, co_await std::move(stores_call));
  for (const metapb::Store& store : stores->stores()) {
    addresses_[store.id()] = store.address();
  }
  if (addresses_.empty()) {
    co_return Status::Unavailable("PD at " + options_.pd + " knows no stores");
  }
  std::vector<uint64_t> ids;
  for (const auto& [id, address] : addresses_) {
    ids.push_back(id);
  }
  identity_.SetStores(recorded.stores, ids);

  auto regions_call = AskPd(pd::kScanRegions, pdpb::ScanRegionsRequest());
  CO_ASSIGN_OR_RETURN(const auto regions, co_await std::move(regions_call));
  for (const metapb::Region& theirs : recorded.regions) {
    for (const metapb::Region& ours : regions->region_metas()) {
      if (ours.start_key() == theirs.start_key() && ours.end_key() == theirs.end_key()) {
        identity_.AddRegion(theirs, ours);
      }
    }
  }
  co_return Status::Ok();
}

sim::Task<Status> Player::PlayOne(const RecordedCall* call) {
  if (call->http()) {
    return PlayHttp(call);
  }
  const MethodTypes types = TypesOf(call->method);
  return types.server_streaming && !types.client_streaming ? PlayStream(call) : PlayUnary(call);
}

sim::Task<Status> Player::PlayUnary(const RecordedCall* call) {
  const std::shared_ptr<Message> recorded = ParseAs(*TypesOf(call->method).request, call->request);
  auto locating = LocateAskedRegion(call, recorded.get());
  CO_RETURN_IF_ERROR(co_await std::move(locating));
  const uint64_t asked_region = AskedBy(*recorded).region;
  auto making = channel_->CallRaw(call->method.c_str(), AddressFor(*call, *recorded), MapRequest(*recorded), NextCall());
  const Result<sim::MessagePtr> answer = co_await std::move(making);
  if (call->unrecorded) {
    co_return answer.status();
  }
  if (!answer.ok() && call->error_code.empty() && answer.error().code() == StatusCode::kUnavailable) {
    co_return answer.error();
  }
  if (!answer.ok() || !call->error_code.empty()) {
    CompareError(*call, answer.status(), asked_region);
    co_return Status::Ok();
  }
  CompareAnswer(*call, call->answers.empty() ? Bytes() : call->answers.front(), **answer, asked_region, "");
  CheckTimestamp(*call, **answer);
  co_return Status::Ok();
}

sim::Task<Status> Player::PlayStream(const RecordedCall* call) {
  const MethodTypes types = TypesOf(call->method);
  const std::shared_ptr<Message> request = ParseAs(*types.request, call->request);
  const uint64_t asked_region = AskedBy(*request).region;
  auto opening = channel_->OpenRaw(call->method.c_str(), AddressFor(*call, *request), MapRequest(*request), NextCall());
  Result<std::unique_ptr<sim::StreamReader>> reader = co_await std::move(opening);
  Status end = reader.status();
  std::vector<sim::MessagePtr> got;
  while (end.ok()) {
    sim::Task<Result<sim::MessagePtr>> reading = (*reader)->Next();
    Result<sim::MessagePtr> next = co_await std::move(reading);
    if (!next.ok() || *next == nullptr) {
      end = next.status();
      break;
    }
    got.push_back(*std::move(next));
  }
  if (call->unrecorded) {
    co_return end;
  }
  std::vector<std::shared_ptr<Message>> recorded;
  for (const Bytes& bytes : call->answers) {
    recorded.push_back(ParseAs(*types.response, bytes));
  }
  const auto by_start = [](const auto& a, const auto& b) { return StartKeyOf(*a) < StartKeyOf(*b); };
  std::stable_sort(recorded.begin(), recorded.end(), by_start);
  std::stable_sort(got.begin(), got.end(), by_start);
  if (recorded.size() != got.size()) {
    Report(*call, {"answers (number of)", std::to_string(recorded.size()), std::to_string(got.size())});
  }
  for (size_t i = 0; i < std::min(recorded.size(), got.size()); ++i) {
    CompareAnswer(*call, recorded[i]->SerializeAsString(), *got[i], asked_region, "answers[" + std::to_string(i) + "].");
  }
  if (!end.ok() || !call->error_code.empty()) {
    CompareError(*call, end, asked_region);
  }
  co_return Status::Ok();
}

sim::Task<Status> Player::PlayHttp(const RecordedCall* call) {
  auto making = sim::Call(channel_, sim::kHttp, options_.pd, HttpRequestOf(*call, identity_.MapPath(call->path)), NextCall());
  CO_ASSIGN_OR_RETURN(const auto answer, co_await std::move(making));
  if (call->unrecorded) {
    co_return Status::Ok();
  }
  if (answer->status() != call->http_status) {
    Report(*call, {"status", std::to_string(call->http_status), std::to_string(answer->status())});
  }
  if (answer->content_type() != call->content_type) {
    Report(*call, {"content_type", call->content_type, answer->content_type()});
  }
  std::vector<FieldDifference> found;
  CompareBodies(identity_, call->answers.front(), answer->body(), &found);
  for (FieldDifference& difference : found) {
    Report(*call, std::move(difference));
  }
  co_return Status::Ok();
}

sim::Task<Status> Player::LocateAskedRegion(const RecordedCall* call, const Message* request) {
  const FieldDescriptor* field = request->GetDescriptor()->FindFieldByName("context");
  if (field == nullptr || field->message_type() != kvrpcpb::Context::descriptor()) {
    co_return Status::Ok();
  }
  const auto& context = static_cast<const kvrpcpb::Context&>(request->GetReflection()->GetMessage(*request, field));
  Bytes key;
  if (context.region_id() == 0 || identity_.KnowsRegion(context.region_id()) || SaysRegionIsMissing(*call) || !FirstKey(*request, &key)) {
    co_return Status::Ok();
  }
  pdpb::GetRegionRequest question;
  question.set_region_key(EncodeKey(key));
  auto asking = AskPd(pd::kGetRegion, std::move(question));
  CO_ASSIGN_OR_RETURN(const auto answer, co_await std::move(asking));
  metapb::Region recorded;
  recorded.set_id(context.region_id());
  *recorded.mutable_region_epoch() = context.region_epoch();
  *recorded.add_peers() = context.peer();
  identity_.AddRegion(recorded, answer->region());
  co_return Status::Ok();
}

sim::MessagePtr Player::MapRequest(const Message& recorded) {
  identity_.LearnDownload(recorded);
  std::shared_ptr<Message> mapped(recorded.New());
  mapped->CopyFrom(recorded);
  identity_.Map(mapped.get(), AskedBy(recorded).region);
  return mapped;
}

sim::Address Player::AddressFor(const RecordedCall& call, const Message& recorded) const {
  if (IsMethodOfPd(call.method)) {
    return options_.pd;
  }
  const auto named = addresses_.find(identity_.Store(AskedBy(recorded).store));
  return named != addresses_.end() ? named->second : addresses_.begin()->second;
}

sim::CallOptions Player::NextCall() {
  sim::CallOptions options;
  options.label = sim::Label("drift").Numbered("call", ++calls_made_);
  options.timeout_us = options_.timeout_us;
  return options;
}

void Player::CompareAnswer(const RecordedCall& call, const Bytes& recorded, const Message& got, uint64_t asked_region,
                           const std::string& at) {
  const std::shared_ptr<Message> theirs = ParseAs(got, recorded);
  CHECK(theirs != nullptr);
  identity_.LearnRegions(*theirs, got, asked_region);
  if (got.GetDescriptor() == backup::BackupResponse::descriptor()) {
    identity_.LearnFiles(static_cast<const backup::BackupResponse&>(*theirs), static_cast<const backup::BackupResponse&>(got));
  }
  identity_.Map(theirs.get(), asked_region);
  std::vector<FieldDifference> found;
  CompareMessages(*theirs, got, at, &found);
  for (FieldDifference& difference : found) {
    Report(call, std::move(difference));
  }
}

void Player::CompareError(const RecordedCall& call, const Status& got, uint64_t asked_region) {
  const std::string recorded = call.error_code.empty()
                                   ? "an answer"
                                   : call.error_code + " \"" + identity_.MapText(call.error_text, asked_region) + "\"";
  if (got.ok() || call.error_code.empty()) {
    Report(call, {kErrorField, recorded, got.ok() ? "an answer" : got.ToString()});
    return;
  }
  const StatusCode kind = CodeNamed(call.error_code);
  const bool same_words = kind == StatusCode::kUnsupported || got.message() == identity_.MapText(call.error_text, asked_region);
  if (KindOf(got.code()) != kind || !same_words) {
    Report(call, {kErrorField, recorded, got.ToString()});
  }
}

void Player::CheckTimestamp(const RecordedCall& call, const Message& got) {
  if (got.GetDescriptor() != pdpb::TsoResponse::descriptor()) {
    return;
  }
  const auto& answer = static_cast<const pdpb::TsoResponse&>(got);
  const uint64_t timestamp =
      Timestamp::Compose(answer.timestamp().physical(), static_cast<uint32_t>(answer.timestamp().logical())).value();
  if (timestamp < last_timestamp_ + answer.count()) {
    Report(call, {"timestamp", "at least " + std::to_string(last_timestamp_ + answer.count()), std::to_string(timestamp)});
  }
  last_timestamp_ = timestamp;
}

void Player::Report(const RecordedCall& call, FieldDifference what) {
  played_.differences.push_back({call.case_name, calls_of_case_[call.case_name], call.line, call.MethodText(), std::move(what), ""});
}

}  // namespace kvjury::drift
