// The S3 endpoint beside a served cluster: options of `kvjury serve`, start, what is said of it.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "fakes/ports/s3_server.h"
#include "fakes/ports/served_cluster.h"
#include "harness/cli/verb.h"

namespace CLI {
class App;
}

namespace kvjury::cli {

class ServeS3 {
 public:
  void Register(CLI::App* verb);
  /// Starts it if it was asked for, on the cluster's host and with its certificate; takes the faults at external/s3/... out of `served`.
  /// Errors: those of S3Server; kInvalidArgument for options without --s3-port.
  Status Start(ports::ServeOptions* served);
  /// Adds the member `s3` and a line for people.
  void Describe(nlohmann::ordered_json* object, std::string* words) const;
  /// Stops it, and names what never came up.
  void End(Terminal* terminal, bool verbose);
  [[nodiscard]] const ports::S3Server* server() const { return server_.get(); }

 private:
  ports::S3ServerOptions options_;
  int port_ = -1;
  std::unique_ptr<ports::S3Server> server_;
};

}  // namespace kvjury::cli
