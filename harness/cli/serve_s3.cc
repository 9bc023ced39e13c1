#include "harness/cli/serve_s3.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "fakes/objects/s3_faults.h"

namespace kvjury::cli {

void ServeS3::Register(CLI::App* verb) {
  CLI::Option* port = verb->add_option("--s3-port", port_, "Also an S3 endpoint on this port, in path style; 0: any free one")->check(CLI::Range(0, 65535));
  verb->add_option("--s3-bucket", options_.buckets, "A bucket that is there from the start; may be repeated")->needs(port);
  verb->add_option("--s3-access-key", options_.access_key, "The only key that it knows")->needs(port)->capture_default_str();
  verb->add_option("--s3-secret-key", options_.secret_key, "What clients sign with")->needs(port)->capture_default_str();
  verb->add_option("--s3-data", options_.data, "Keep the buckets, and all that was overwritten or deleted, in this folder")->needs(port);
}

Status ServeS3::Start(ports::ServeOptions* served) {
  if (port_ < 0) {
    return Status::Ok();
  }
  ports::S3ServerOptions options = options_;
  options.port = port_;
  options.host = served->host;
  // S3 proves who asks by signatures: no client shows a certificate.
  options.tls = {"", served->tls.certificate, served->tls.key};
  options.faults = objects::TakeS3Faults(&served->faults);
  if (served->on_connection) {
    options.on_call = [say = served->on_connection](const std::string& call, const std::string& resource, uint32_t status) {
      say("S3 " + call + " " + resource + ": " + std::to_string(status));
    };
  }
  ASSIGN_OR_RETURN(server_, ports::S3Server::Start(std::move(options)));
  return Status::Ok();
}

void ServeS3::Describe(nlohmann::ordered_json* object, std::string* words) const {
  if (server_ == nullptr) {
    return;
  }
  (*object)["s3"] = {{"endpoint", server_->endpoint()}, {"buckets", server_->buckets()}, {"access_key", server_->access_key()}};
  *words += fmt::format("  S3: {}, buckets: {}\n", server_->endpoint(), fmt::join(server_->buckets(), ", "));
}

void ServeS3::End(Terminal* terminal, bool verbose) {
  if (server_ == nullptr) {
    return;
  }
  server_->Stop();
  for (const std::string& label : server_->never_fired()) {
    Warn(terminal, "nothing came up at \"" + label + "\"");
  }
  for (const auto& [kind, count] : server_->fired_counts()) {
    if (verbose) {
      *terminal->err << fmt::format("{:<10} {:<24} {:>9} times\n", "s3", kind, count);
    }
  }
}

}  // namespace kvjury::cli
