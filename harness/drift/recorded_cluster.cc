#include "harness/drift/recorded_cluster.h"

#include <set>

#include "harness/drift/compare_json.h"
#include "harness/drift/identity.h"
#include "harness/drift/method_types.h"
#include "harness/drift/number_pattern.h"
#include "proto/tikv/backup.pb.h"
#include "proto/tikv/kvrpcpb.pb.h"
#include "proto/tikv/pdpb.pb.h"

namespace kvjury::drift {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const Message* MessageField(const Message& message, const char* name, const google::protobuf::Descriptor* type) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() || field->message_type() != type ||
      !message.GetReflection()->HasField(message, field)) {
    return nullptr;
  }
  return &message.GetReflection()->GetMessage(message, field);
}

class Collector {
 public:
  Status Add(const RecordedCall& call) {
    if (call.http()) {
      AddBody(call.answers.empty() ? Bytes() : call.answers.front());
      return Status::Ok();
    }
    const MethodTypes types = TypesOf(call.method);
    const std::shared_ptr<Message> request = ParseAs(*types.request, call.request);
    if (request == nullptr) {
      return Status::DataLoss("line " + std::to_string(call.line) + ": \"req_hex\" is no request of " + call.method);
    }
    AddRequest(*request);
    AddError(call.error_text);
    for (const Bytes& bytes : call.answers) {
      const std::shared_ptr<Message> answer = ParseAs(*types.response, bytes);
      if (answer == nullptr) {
        return Status::DataLoss("line " + std::to_string(call.line) + ": \"resp_hex\" is no answer of " + call.method);
      }
      AddAnswer(*answer);
    }
    return Status::Ok();
  }

  RecordedCluster Finish() {
    const std::set<uint64_t>& stores = stores_.empty() ? asked_stores_ : stores_;
    cluster_.stores.assign(stores.begin(), stores.end());
    cluster_.cluster_id = cluster_.cluster_id != 0 ? cluster_.cluster_id : asked_cluster_;
    return std::move(cluster_);
  }

 private:
  void AddRequest(const Message& request) {
    if (const uint64_t store = AskedBy(request).store; store != 0) {
      asked_stores_.insert(store);
    }
    if (request.GetDescriptor() == backup::BackupRequest::descriptor()) {
      asked_cluster_ = static_cast<const backup::BackupRequest&>(request).cluster_id();
    }
  }
  void AddAnswer(const Message& answer) {
    if (const Message* header = MessageField(answer, "header", pdpb::ResponseHeader::descriptor()); header != nullptr) {
      cluster_.cluster_id = static_cast<const pdpb::ResponseHeader*>(header)->cluster_id();
    }
    if (answer.GetDescriptor() == pdpb::GetAllStoresResponse::descriptor()) {
      for (const metapb::Store& store : static_cast<const pdpb::GetAllStoresResponse&>(answer).stores()) {
        stores_.insert(store.id());
      }
    }
    for (const metapb::Region& region : RegionsIn(answer)) {
      AddRegion(region);
    }
  }
  void AddError(const std::string& text) {
    if (const auto match = FindNumbers(text, "mismatch cluster id, need #"); match) {
      cluster_.cluster_id = match->numbers[0].value;
    }
  }
  void AddBody(const Bytes& body) {
    if (const auto match = FindNumbers(body, "\"cluster_id\": #"); match) {
      cluster_.cluster_id = match->numbers[0].value;
    }
    for (const metapb::Region& region : RegionsInBody(body)) {
      AddRegion(region);
    }
  }
  void AddRegion(const metapb::Region& region) {
    if (seen_.insert(region.id()).second) {
      cluster_.regions.push_back(region);
    }
    for (const metapb::Peer& peer : region.peers()) {
      stores_.insert(peer.store_id());
    }
  }

  RecordedCluster cluster_;
  std::set<uint64_t> seen_;
  std::set<uint64_t> stores_;
  // Requests may name what never was; they count where no answer tells.
  std::set<uint64_t> asked_stores_;
  uint64_t asked_cluster_ = 0;
};

}  // namespace

AskedRegion AskedBy(const Message& request) {
  if (const Message* context = MessageField(request, "context", kvrpcpb::Context::descriptor()); context != nullptr) {
    const auto& of = static_cast<const kvrpcpb::Context&>(*context);
    return {of.region_id(), of.peer().store_id()};
  }
  const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName("region_id");
  if (field == nullptr || field->is_repeated() || field->cpp_type() != FieldDescriptor::CPPTYPE_UINT64) {
    return {};
  }
  return {request.GetReflection()->GetUInt64(request, field), 0};
}

Result<RecordedCluster> DescribeCluster(const std::vector<RecordedCall>& calls) {
  Collector collector;
  for (const RecordedCall& call : calls) {
    RETURN_IF_ERROR(collector.Add(call));
  }
  return collector.Finish();
}

}  // namespace kvjury::drift
