#include "harness/remote/http_call.h"

#include <httplib.h>

#include "fakes/ports/pipe_signal.h"

namespace kvjury::remote {

namespace {

template <class Client>
Result<::http::Response> Ask(Client* client, const std::string& address, const ::http::Request& request, Micros timeout_us) {
  constexpr Micros kSecond = 1'000'000;
  client->set_connection_timeout(timeout_us / kSecond, timeout_us % kSecond);
  client->set_read_timeout(timeout_us / kSecond, timeout_us % kSecond);
  client->set_write_timeout(timeout_us / kSecond, timeout_us % kSecond);
  client->set_url_encode(false);
  httplib::Request asked;
  asked.method = request.method();
  asked.path = request.path() + (request.query().empty() ? "" : "?" + request.query());
  asked.body = request.body();
  for (const ::http::Header& header : request.headers()) {
    asked.set_header(header.name(), header.value());
  }
  const httplib::Result result = client->send(asked);
  if (!result) {
    return Status::Unavailable("no HTTP answer from " + address + ": " + httplib::to_string(result.error()));
  }
  ::http::Response response;
  response.set_status(static_cast<uint32_t>(result->status));
  response.set_body(result->body);
  for (const auto& [name, value] : result->headers) {
    if (name == "Content-Type") {
      response.set_content_type(value);
    } else {
      ::http::Header* header = response.add_headers();
      header->set_name(name);
      header->set_value(value);
    }
  }
  return response;
}

}  // namespace

Result<::http::Response> HttpCall(const std::string& address, const ::http::Request& request, const ports::TlsFiles& tls,
                                  Micros timeout_us) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || address.find_first_not_of("0123456789", colon + 1) != std::string::npos ||
      address.size() - colon > 6) {
    return Status::InvalidArgument("\"" + address + "\" is not of the form host:port");
  }
  const std::string host = address.substr(0, colon);
  const int port = std::atoi(address.c_str() + colon + 1);
  if (tls.ca.empty()) {
    httplib::ClientImpl client(host, port);
    return Ask(&client, address, request, timeout_us);
  }
  const ports::NoPipeSignal no_signal;
  httplib::SSLClient client(host, port, tls.certificate, tls.key);
  client.set_ca_cert_path(tls.ca);
  client.enable_server_certificate_verification(true);
  return Ask(&client, address, request, timeout_us);
}

}  // namespace kvjury::remote
