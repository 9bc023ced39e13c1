#include "fakes/ports/s3_client.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <pugixml.hpp>
#include <thread>

#include "fakes/base/digest.h"
#include "fakes/base/xml.h"
#include "fakes/objects/s3_request.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::ports {

namespace {

using objects::ObjectInfo;

constexpr uint64_t kPartsMax = 10'000;
constexpr long kConnectMs = 10'000;
// Fewer bytes than one a second for so long end a call.
constexpr long kSilenceS = 60;
constexpr long kCallS = 900;
constexpr auto kPausePoll = std::chrono::milliseconds(20);
constexpr int kPauseMsMax = 5'000;
constexpr int kPagesMax = 1'000'000;

struct Answer {
  long status = 0;
  Bytes body;
  std::string etag;
  uint64_t length = 0;
  /// Of an answer that is an error.
  std::string code;
  std::string message;
};

struct Call {
  const char* name = "";  // for people: "PutObject"
  std::string method;
  std::string key;  // empty: the bucket
  std::string query;
  std::string_view body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
};

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

int64_t WallClockMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

bool IsWorthAnotherTry(long status, const std::string& code) {
  return status == 429 || status >= 500 || code == "RequestTimeout" || code == "SlowDown" || code == "InternalError";
}

size_t TakeBody(char* bytes, size_t size, size_t count, void* answer) {
  static_cast<Answer*>(answer)->body.append(bytes, size * count);
  return size * count;
}

size_t TakeHeader(char* bytes, size_t size, size_t count, void* user) {
  auto* answer = static_cast<Answer*>(user);
  const std::string_view line(bytes, size * count);
  const size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    const std::string name = objects::Lower(line.substr(0, colon));
    std::string value(line.substr(colon + 1));
    value.erase(value.find_last_not_of(" \t\r\n") + 1);
    value.erase(0, value.find_first_not_of(" \t"));
    if (name == "etag") {
      answer->etag = value;
    } else if (name == "content-length") {
      answer->length = objects::ParseNumber(value).value_or(0);
    }
  }
  return size * count;
}

int AskWhetherToStop(void* stopping, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<const std::function<bool()>*>(stopping))() ? 1 : 0;
}

// An error document, whatever the status that it came with.
void ReadError(Answer* answer) {
  pugi::xml_document document;
  if (answer->body.find("<Error") == std::string::npos || !document.load_buffer(answer->body.data(), answer->body.size())) {
    return;
  }
  const pugi::xml_node error = document.child("Error");
  answer->code = error.child_value("Code");
  answer->message = error.child_value("Message");
}

}  // namespace

class S3ObjectStore::Impl {
 public:
  Impl(const ::backup::S3& target, S3ClientOptions options) : target_(target), options_(std::move(options)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    for (CURL* handle : idle_) {
      curl_easy_cleanup(handle);
    }
  }

  Status Prepare() {
    static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (kReady != CURLE_OK) {
      return Status::Environment("libcurl cannot be used");
    }
    if (target_.bucket().empty()) {
      return Status::InvalidArgument("an s3:// storage needs a bucket");
    }
    if (!target_.role_arn().empty()) {
      return Status::Unsupported("roles (role-arn) of an s3:// storage are not supported");
    }
    credentials_ = {target_.access_key(), target_.secret_access_key(), target_.session_token()};
    if (credentials_.access_key.empty() && credentials_.secret_key.empty()) {
      credentials_ = {FromEnvironment("AWS_ACCESS_KEY_ID"), FromEnvironment("AWS_SECRET_ACCESS_KEY"), FromEnvironment("AWS_SESSION_TOKEN")};
    }
    if (credentials_.access_key.empty() || credentials_.secret_key.empty()) {
      return Status::InvalidArgument("credential info not found: an s3:// storage needs access-key and secret-access-key, or AWS_ACCESS_KEY_ID and "
                                     "AWS_SECRET_ACCESS_KEY");
    }
    ca_ = FromEnvironment("AWS_CA_BUNDLE");
    region_ = target_.region().empty() ? "us-east-1" : target_.region();
    prefix_ = target_.prefix();
    prefix_.erase(0, prefix_.find_first_not_of('/'));
    prefix_.erase(prefix_.find_last_not_of('/') + 1);
    prefix_ += prefix_.empty() ? "" : "/";
    return ReadEndpoint();
  }

  std::string description() const { return "s3://" + target_.bucket() + "/" + prefix_ + " at " + origin_; }
  const std::string& prefix() const { return prefix_; }
  const S3ClientOptions& options() const { return options_; }
  std::string KeyOf(const std::string& name) const { return prefix_ + name; }

  std::vector<std::pair<std::string, std::string>> PutHeaders() const {
    std::vector<std::pair<std::string, std::string>> headers;
    for (const auto& [name, value] : {std::pair("x-amz-storage-class", target_.storage_class()), std::pair("x-amz-acl", target_.acl()),
                                      std::pair("x-amz-server-side-encryption", target_.sse()),
                                      std::pair("x-amz-server-side-encryption-aws-kms-key-id", target_.sse_kms_key_id())}) {
      if (!value.empty()) {
        headers.emplace_back(name, value);
      }
    }
    return headers;
  }

  // The answer to a request that S3 carried out.
  Result<Answer> Ask(const Call& call) {
    const std::string what = std::string(call.name) + " s3://" + target_.bucket() + "/" + Printable(call.key) + " at " + origin_;
    int pause_ms = options_.first_pause_ms;
    for (int attempt = 1;; ++attempt) {
      Answer answer;
      const std::string trouble = Try(call, &answer);
      if (trouble.empty() && answer.status < 300 && answer.code.empty()) {
        return answer;
      }
      const bool again = !trouble.empty() || IsWorthAnotherTry(answer.status, answer.code);
      if (again && attempt < options_.tries_max && Pause(pause_ms)) {
        pause_ms = std::min(2 * pause_ms, kPauseMsMax);
        continue;
      }
      if (!trouble.empty()) {
        return Status::Unavailable(what + ": error during dispatch: " + trouble);
      }
      std::string words = what + ": HTTP " + std::to_string(answer.status);
      words += answer.code.empty() ? "" : ", <Code>" + Printable(answer.code) + "</Code> " + Printable(answer.message);
      if (again) {
        return Status::Unavailable(words);
      }
      const bool no_object = answer.status == 404 && (answer.code.empty() || answer.code == "NoSuchKey");
      return no_object ? Status::NotFound(words) : Status::Rejected(words);
    }
  }

 private:
  Status ReadEndpoint() {
    // Without an endpoint it is AWS, whose buckets are hosts; any other server is asked by path unless it is told otherwise.
    const bool by_host = !target_.force_path_style();
    std::string endpoint = target_.endpoint().empty() ? "https://s3." + region_ + ".amazonaws.com" : target_.endpoint();
    while (!endpoint.empty() && endpoint.back() == '/') {
      endpoint.pop_back();
    }
    const size_t scheme = endpoint.find("://");
    const std::string name = endpoint.substr(0, scheme);
    std::string host = scheme == std::string::npos ? "" : endpoint.substr(scheme + 3);
    if ((name != "http" && name != "https") || host.empty() || host.find_first_of("/?#@ ") != std::string::npos) {
      return Status::InvalidArgument("\"" + Printable(endpoint) + "\" is no endpoint of S3: expected http://HOST:PORT or https://HOST:PORT");
    }
    const std::string default_port = name == "http" ? ":80" : ":443";
    if (host.ends_with(default_port)) {
      host.resize(host.size() - default_port.size());
    }
    host_ = by_host ? target_.bucket() + "." + host : host;
    origin_ = name + "://" + host_;
    root_ = by_host ? "" : "/" + objects::UriEncode(target_.bucket(), false);
    return Status::Ok();
  }

  bool Pause(int ms) const {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
    while (std::chrono::steady_clock::now() < until) {
      if (options_.stopping && options_.stopping()) {
        return false;
      }
      std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(kPausePoll, until - std::chrono::steady_clock::now()));
    }
    return true;
  }

  CURL* TakeHandle() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) {
      return curl_easy_init();
    }
    CURL* handle = idle_.back();
    idle_.pop_back();
    return handle;
  }

  // What libcurl says if no answer came; empty if one did.
  std::string Try(const Call& call, Answer* answer) {
    ::http::Request request;
    request.set_method(call.method);
    request.set_path(root_ + (call.key.empty() ? "/" : "/" + objects::UriEncode(call.key, true)));
    request.set_query(call.query);
    objects::AddHeader(&request, "host", host_);
    for (const auto& [name, value] : call.headers) {
      objects::AddHeader(&request, name, value);
    }
    objects::SignS3(credentials_, region_, WallClockMs(), ToHex(Sha256(call.body)), &request);
    CURL* handle = TakeHandle();
    if (handle == nullptr) {
      return "libcurl has no handle";
    }
    const std::string url = origin_ + request.path() + (call.query.empty() ? "" : "?" + call.query);
    curl_easy_reset(handle);
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectMs);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kSilenceS);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, kCallS);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, TakeBody);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, TakeHeader);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, answer);
    if (options_.stopping) {
      curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
      curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, AskWhetherToStop);
      curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &options_.stopping);
    }
    if (!ca_.empty()) {
      curl_easy_setopt(handle, CURLOPT_CAINFO, ca_.c_str());
    }
    if (call.method == "HEAD") {
      curl_easy_setopt(handle, CURLOPT_NOBODY, 1L);
    } else if (call.method == "PUT" || call.method == "POST") {
      curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
      curl_easy_setopt(handle, CURLOPT_POSTFIELDS, call.body.data() == nullptr ? "" : call.body.data());
    }
    if (call.method != "HEAD") {
      curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    }
    curl_slist* lines = curl_slist_append(nullptr, "Expect:");
    lines = curl_slist_append(lines, call.body.empty() ? "Content-Type:" : "Content-Type: application/octet-stream");
    for (const ::http::Header& header : request.headers()) {
      lines = curl_slist_append(lines, (header.name() + ": " + header.value()).c_str());
    }
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, lines);
    const CURLcode code = curl_easy_perform(handle);
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_slist_free_all(lines);
    {
      const std::lock_guard lock(mutex_);
      idle_.push_back(handle);
    }
    if (code != CURLE_OK) {
      return curl_easy_strerror(code);
    }
    if (answer->status >= 300 || call.method == "POST") {
      ReadError(answer);
    }
    return "";
  }

  const ::backup::S3 target_;
  const S3ClientOptions options_;
  objects::S3Credentials credentials_;
  std::string ca_;
  std::string region_;
  std::string prefix_;
  std::string host_;
  std::string origin_;
  std::string root_;
  std::mutex mutex_;
  std::vector<CURL*> idle_;
};

Result<std::unique_ptr<objects::ObjectStore>> S3ObjectStore::Open(const ::backup::S3& target, S3ClientOptions options) {
  auto impl = std::make_unique<Impl>(target, std::move(options));
  RETURN_IF_ERROR(impl->Prepare());
  return std::unique_ptr<objects::ObjectStore>(new S3ObjectStore(std::move(impl)));
}

S3ObjectStore::S3ObjectStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
S3ObjectStore::~S3ObjectStore() = default;
std::string S3ObjectStore::description() const { return impl_->description(); }

Status S3ObjectStore::Put(const std::string& name, std::string_view bytes) {
  const std::string key = impl_->KeyOf(name);
  if (bytes.size() <= impl_->options().part_bytes) {
    return impl_->Ask({"PutObject", "PUT", key, "", bytes, impl_->PutHeaders()}).status();
  }
  ASSIGN_OR_RETURN(const Answer begun, impl_->Ask({"CreateMultipartUpload", "POST", key, "uploads=", "", impl_->PutHeaders()}));
  pugi::xml_document document;
  document.load_buffer(begun.body.data(), begun.body.size());
  const std::string id = document.child("InitiateMultipartUploadResult").child_value("UploadId");
  if (id.empty()) {
    return Status::DataLoss("CreateMultipartUpload of " + description() + Printable(name) + " was answered without an UploadId");
  }
  const std::string upload = "uploadId=" + objects::UriEncode(id, false);
  const uint64_t part_bytes = std::max<uint64_t>(impl_->options().part_bytes, (bytes.size() + kPartsMax - 1) / kPartsMax);
  const auto send_all = [&]() -> Status {
    std::string list = "<CompleteMultipartUpload>";
    uint64_t number = 0;
    for (size_t at = 0; at < bytes.size(); at += part_bytes) {
      const std::string query = "partNumber=" + std::to_string(++number) + "&" + upload;
      ASSIGN_OR_RETURN(const Answer part, impl_->Ask({"UploadPart", "PUT", key, query, bytes.substr(at, part_bytes)}));
      list += "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" + XmlText(part.etag) + "</ETag></Part>";
    }
    list += "</CompleteMultipartUpload>";
    return impl_->Ask({"CompleteMultipartUpload", "POST", key, upload, list}).status();
  };
  const Status sent = send_all();
  if (!sent.ok()) {
    (void)impl_->Ask({"AbortMultipartUpload", "DELETE", key, upload}).status().ok();  // the error that counts is the first one
  }
  return sent;
}

Result<Bytes> S3ObjectStore::Get(const std::string& name) {
  ASSIGN_OR_RETURN(Answer answer, impl_->Ask({"GetObject", "GET", impl_->KeyOf(name), ""}));
  return std::move(answer.body);
}

Result<ObjectInfo> S3ObjectStore::Head(const std::string& name) {
  ASSIGN_OR_RETURN(const Answer answer, impl_->Ask({"HeadObject", "HEAD", impl_->KeyOf(name), ""}));
  return ObjectInfo{name, answer.length};
}

Result<std::vector<ObjectInfo>> S3ObjectStore::List(const std::string& prefix) {
  const Status damaged = Status::DataLoss("the listing of " + description() + " cannot be read");
  std::vector<ObjectInfo> found;
  std::string token;
  for (int page = 0; page < kPagesMax; ++page) {
    // In the order that a signature wants, and encoded as it wants.
    const std::string from = token.empty() ? "" : "continuation-token=" + objects::UriEncode(token, false) + "&";
    const std::string query = from + "encoding-type=url&list-type=2&prefix=" + objects::UriEncode(impl_->KeyOf(prefix), false);
    ASSIGN_OR_RETURN(const Answer answer, impl_->Ask({"ListObjectsV2", "GET", "", query}));
    pugi::xml_document document;
    if (!document.load_buffer(answer.body.data(), answer.body.size(), pugi::parse_default | pugi::parse_ws_pcdata_single)) {
      return damaged;
    }
    const pugi::xml_node root = document.child("ListBucketResult");
    const bool encoded = std::strcmp(root.child_value("EncodingType"), "url") == 0;
    for (const pugi::xml_node object : root.children("Contents")) {
      const std::string text = object.child_value("Key");
      const Result<Bytes> key = encoded ? objects::UriDecode(text) : Result<Bytes>(text);
      const std::optional<uint64_t> bytes = objects::ParseNumber(object.child_value("Size"));
      if (!key.ok() || !bytes || key->rfind(impl_->prefix(), 0) != 0) {
        return damaged;
      }
      found.push_back({key->substr(impl_->prefix().size()), *bytes});
    }
    if (std::strcmp(root.child_value("IsTruncated"), "true") != 0) {
      std::sort(found.begin(), found.end(), [](const ObjectInfo& a, const ObjectInfo& b) { return a.name < b.name; });
      return found;
    }
    token = root.child_value("NextContinuationToken");
    if (token.empty()) {
      return damaged;
    }
  }
  return damaged;
}

Status S3ObjectStore::Delete(const std::string& name) { return impl_->Ask({"DeleteObject", "DELETE", impl_->KeyOf(name), ""}).status(); }

}  // namespace kvjury::ports
