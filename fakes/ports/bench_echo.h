// For benchmarks of ports: a bare gRPC server that gives every message back, the yardstick of every round trip.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

namespace kvjury::ports {

class Echo : public grpc::CallbackGenericService {
 public:
  Echo() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~Echo() override { server_->Shutdown(); }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  class Call : public grpc::ServerGenericBidiReactor {
   public:
    Call() { StartRead(&bytes_); }

   private:
    void OnReadDone(bool ok) override {
      if (ok) {
        StartWrite(&bytes_);
      } else {
        Finish(grpc::Status::OK);
      }
    }
    void OnWriteDone(bool) override { StartRead(&bytes_); }
    void OnDone() override { delete this; }
    grpc::ByteBuffer bytes_;
  };
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override { return new Call; }

  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace kvjury::ports
