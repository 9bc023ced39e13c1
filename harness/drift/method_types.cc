#include "harness/drift/method_types.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/empty.pb.h>

#include <algorithm>

#include "proto/tikv/backup.pb.h"
#include "proto/tikv/etcdserverpb.pb.h"
#include "proto/tikv/import_sstpb.pb.h"
#include "proto/tikv/keyspacepb.pb.h"
#include "proto/tikv/meta_storagepb.pb.h"
#include "proto/tikv/pdpb.pb.h"
#include "proto/tikv/tikvpb.pb.h"

namespace kvjury::drift {

namespace protobuf = google::protobuf;

namespace {

// Messages that must be linked for their files' services to be found.
const protobuf::MethodDescriptor* FindDescriptor(const std::string& name) {
  for (const protobuf::Descriptor* known :
       {backup::BackupRequest::descriptor(), etcdserverpb::RangeRequest::descriptor(), import_sstpb::ClearRequest::descriptor(),
        keyspacepb::KeyspaceMeta::descriptor(), meta_storagepb::GetRequest::descriptor(), pdpb::RequestHeader::descriptor(),
        tikvpb::BatchCommandsRequest::descriptor()}) {
    const protobuf::FileDescriptor* file = known->file();
    for (int i = 0; i < file->service_count(); ++i) {
      const std::string& service = file->service(i)->full_name();
      if (name.size() > service.size() && name.starts_with(service) && name[service.size()] == '/') {
        return file->service(i)->FindMethodByName(name.substr(service.size() + 1));
      }
    }
  }
  return nullptr;
}

}  // namespace

MethodTypes TypesOf(const std::string& path) {
  const protobuf::MethodDescriptor* method = path.starts_with("/") ? FindDescriptor(path.substr(1)) : nullptr;
  MethodTypes types;
  types.request = &protobuf::Empty::default_instance();
  types.response = &protobuf::Empty::default_instance();
  if (method != nullptr) {
    types.declared = true;
    types.request = protobuf::MessageFactory::generated_factory()->GetPrototype(method->input_type());
    types.response = protobuf::MessageFactory::generated_factory()->GetPrototype(method->output_type());
    types.client_streaming = method->client_streaming();
    types.server_streaming = method->server_streaming();
  }
  return types;
}

bool IsMethodOfPd(const std::string& path) {
  return path.starts_with("/pdpb.") || path.starts_with("/etcdserverpb.") || path.starts_with("/keyspacepb.") ||
         path.starts_with("/meta_storagepb.");
}

::http::Request HttpRequestOf(const RecordedCall& call, const std::string& path) {
  ::http::Request request;
  const size_t question = std::min(path.find('?'), path.size());
  request.set_method(call.method);
  request.set_path(path.substr(0, question));
  request.set_query(question < path.size() ? path.substr(question + 1) : "");
  request.set_body(call.request);
  return request;
}

std::shared_ptr<protobuf::Message> ParseAs(const protobuf::Message& type, const Bytes& bytes) {
  std::shared_ptr<protobuf::Message> message(type.New());
  return message->ParseFromString(bytes) ? message : nullptr;
}

}  // namespace kvjury::drift
