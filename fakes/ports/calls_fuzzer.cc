// Any request to any method of PD and of a store is answered or refused, alone or as a command of a batch; none ends the program.
//
// An input is the path of a method, a line end, and the bytes of its request. What names the cluster, a region or a peer is put
// right, so that the request gets further than the first check; a frame of BatchCommands is taken apart as the port does.
#include <google/protobuf/descriptor.h>

#include <cstdint>

#include "fakes/sim/http.h"
#include "fakes/tikv/cluster.h"
#include "fakes/tikv/methods.h"
#include "proto/tikv/tikvpb.pb.h"

namespace {

namespace protobuf = google::protobuf;
using namespace kvjury;  // NOLINT: one program

constexpr uint64_t kClusterId = 42;
constexpr Micros kCallUs = 1'000'000;

protobuf::Message* FieldMessage(protobuf::Message* message, const char* name, const protobuf::Descriptor* type) {
  const protobuf::FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
  return field != nullptr && !field->is_repeated() && field->message_type() == type ? message->GetReflection()->MutableMessage(message, field) : nullptr;
}

void PutRight(const tikv::Cluster& cluster, StoreId store, protobuf::Message* request) {
  if (auto* header = static_cast<pdpb::RequestHeader*>(FieldMessage(request, "header", pdpb::RequestHeader::descriptor()))) {
    header->set_cluster_id(kClusterId);
  }
  if (auto* context = static_cast<kvrpcpb::Context*>(FieldMessage(request, "context", kvrpcpb::Context::descriptor()))) {
    const tikv::Region* region = cluster.regions().FindByKey("");
    context->set_region_id(region->id.value());
    context->mutable_region_epoch()->set_conf_ver(region->conf_ver);
    context->mutable_region_epoch()->set_version(region->version);
    context->mutable_peer()->set_id(region->PeerOn(store)->id.value());
    context->mutable_peer()->set_store_id(store.value());
    context->clear_term();
  }
}

// A label whose messages are serialised and parsed on their way, as one in twenty is.
sim::Label HonestLabel() {
  constexpr uint64_t kHonestShare = 20;
  sim::Label label("call");
  for (uint64_t i = 0; label.hash() % kHonestShare != 0; ++i) {
    label = sim::Label("call").Numbered("n", i);
  }
  return label;
}

sim::Task<void> Unary(sim::Channel* channel, std::string path, sim::Address to, sim::MessagePtr request) {
  sim::CallOptions options;
  options.label = HonestLabel();
  options.timeout_us = kCallUs;
  auto call = channel->CallRaw(path.c_str(), std::move(to), std::move(request), std::move(options));
  const Result<sim::MessagePtr> answer = co_await std::move(call);
  static_cast<void>(answer.ok());
}

sim::Task<void> Stream(sim::Channel* channel, std::string path, sim::Address to, sim::MessagePtr request) {
  sim::CallOptions options;
  options.label = HonestLabel();
  options.timeout_us = kCallUs;
  auto opening = channel->OpenRaw(path.c_str(), std::move(to), std::move(request), std::move(options));
  Result<std::unique_ptr<sim::StreamReader>> reader = co_await std::move(opening);
  while (reader.ok()) {
    auto next = (*reader)->Next();
    const Result<sim::MessagePtr> message = co_await std::move(next);
    if (!message.ok() || *message == nullptr) {
      break;
    }
  }
}

struct Bench {
  Bench() : world({}), cluster(&world, Options(&storages)) {
    cluster.LoadPairs({{"a", "1"}, {"b", std::string(300, 'x')}, {"c", ""}}, Timestamp(400));
    store = cluster.store_ids().front();
  }
  static tikv::ClusterOptions Options(objects::Storages* storages) {
    tikv::ClusterOptions options;
    options.stores = 1;
    options.cluster_id = kClusterId;
    options.clock_start_ms = 1'700'000'000'000;
    options.storages = storages;
    options.fresh_boundaries = false;
    return options;
  }

  void Send(const std::string& path, std::shared_ptr<protobuf::Message> request) {
    PutRight(cluster, store, request.get());
    const sim::MethodTable* methods = &cluster.methods(store);
    sim::Address to = cluster.store_address(store);
    if (path == sim::kHttp.path || (methods->FindUnary(path) == nullptr && methods->FindStream(path) == nullptr)) {
      methods = &cluster.pd().methods();
      to = cluster.pd_address();
    }
    sim::Channel* channel = world.fabric().ChannelFrom("fuzzer");
    if (methods->FindStream(path) != nullptr) {
      world.Run(Stream(channel, path, to, std::move(request)), 2 * kCallUs, 20'000);
    } else {
      world.Run(Unary(channel, path, to, std::move(request)), 2 * kCallUs, 20'000);
    }
  }

  void SendBatch(const std::string& bytes) {
    tikvpb::BatchCommandsRequest batch;
    if (!batch.ParseFromString(bytes)) {
      return;
    }
    const protobuf::ServiceDescriptor* service = tikvpb::BatchCommandsRequest::descriptor()->file()->FindServiceByName("Tikv");
    for (const tikvpb::BatchCommandsRequest::Request& request : batch.requests()) {
      const protobuf::FieldDescriptor* field = request.GetDescriptor()->FindFieldByNumber(request.cmd_case());
      for (int i = 0; field != nullptr && i < service->method_count(); ++i) {
        if (service->method(i)->input_type() == field->message_type() && !service->method(i)->server_streaming()) {
          const protobuf::Message& command = request.GetReflection()->GetMessage(request, field);
          std::shared_ptr<protobuf::Message> copy(command.New());
          copy->CopyFrom(command);
          Send("/" + service->full_name() + "/" + service->method(i)->name(), std::move(copy));
          break;
        }
      }
    }
  }

  objects::Storages storages;
  sim::World world;
  tikv::Cluster cluster;
  StoreId store;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t end = input.find('\n');
  if (end == std::string::npos || input[0] != '/') {
    return 0;
  }
  std::string name = input.substr(1, end - 1);
  const std::string path = "/" + name;
  const std::string bytes = input.substr(end + 1);
  Bench bench;
  if (name == "tikvpb.Tikv/BatchCommands") {
    bench.SendBatch(bytes);
    return 0;
  }
  if (path == sim::kHttp.path) {
    auto request = std::make_shared<http::Request>();
    if (request->ParseFromString(bytes)) {
      bench.Send(path, std::move(request));
    }
    return 0;
  }
  const size_t slash = name.find('/');
  if (slash == std::string::npos) {
    return 0;
  }
  name[slash] = '.';
  const protobuf::MethodDescriptor* method = protobuf::DescriptorPool::generated_pool()->FindMethodByName(name);
  if (method == nullptr) {
    return 0;
  }
  std::shared_ptr<protobuf::Message> request(
      protobuf::MessageFactory::generated_factory()->GetPrototype(method->input_type())->New());
  if (request->ParseFromString(bytes)) {
    bench.Send(path, std::move(request));
  }
  return 0;
}
