// Any bytes as a request to an S3 server lead to an answer: first line `METHOD target`, header lines, an empty line, the body.
//
// Signed by nobody they are refused; taken as verified (its payload as it stands) they are carried out and answered with a status.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "fakes/objects/s3_service.h"

namespace {

using kvjury::objects::KeepingObjectStore;

http::Request Read(std::string_view text) {
  http::Request request;
  const auto line = [&text]() {
    const std::string_view one = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    return one;
  };
  const std::string_view first = line();
  const std::string_view target = first.substr(std::min(first.size(), first.find(' ') + 1));
  request.set_method(std::string(first.substr(0, first.find(' '))));
  request.set_path(std::string(target.substr(0, target.find('?'))));
  request.set_query(target.find('?') == std::string_view::npos ? std::string() : std::string(target.substr(target.find('?') + 1)));
  for (std::string_view header = line(); !header.empty(); header = line()) {
    const size_t colon = std::min(header.find(':'), header.size());
    kvjury::objects::AddHeader(&request, std::string(header.substr(0, colon)), std::string(header.substr(std::min(header.size(), colon + 1))));
  }
  request.set_body(std::string(text));
  return request;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kInputBytesMax = 64 << 10;
  constexpr int64_t kNowMs = 1'369'353'600'000;
  if (size > kInputBytesMax) {
    return 0;
  }
  const http::Request request = Read({reinterpret_cast<const char*>(data), size});
  const kvjury::objects::S3Credentials example{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
  kvjury::objects::S3Payload payload;
  if (const auto error = kvjury::objects::VerifyS3(example, kNowMs, request, &payload); error && (error->status < 400 || error->code.empty())) {
    std::abort();
  }
  auto parsed = kvjury::objects::ParseS3Request(request);
  auto* action = std::get_if<kvjury::objects::S3Action>(&parsed);
  if (action == nullptr) {
    return 0;
  }
  kvjury::objects::S3Service service(
      [](const std::string&) {
        return KeepingObjectStore::Open(std::make_unique<kvjury::objects::MemoryObjectStore>(), []() { return kNowMs; }, 1 << 20);
      },
      []() { return kNowMs; }, 1 << 20);
  if (!service.AddBucket("bkt").ok() || !service.bucket("bkt")->Put("a/b", "0123456789").ok()) {
    std::abort();
  }
  action->payload.body = request.body();
  const http::Response answer = service.Answer(*action);
  if (answer.status() < 200 || answer.status() > 599) {
    std::abort();
  }
  return 0;
}
