#include "fakes/ports/s3_server.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <thread>

#include "fakes/objects/s3_faults.h"
#include "fakes/objects/s3_service.h"
#include "fakes/objects/s3_text.h"
#include "fakes/ports/listener.h"

namespace kvjury::ports {

namespace {

using objects::KeepingObjectStore;
using objects::ObjectStore;

constexpr uint64_t kBodyBytesMax = uint64_t{1} << 30;
constexpr auto kDelayPoll = std::chrono::milliseconds(20);

int64_t WallClockMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

uint64_t MicrosSince(std::chrono::steady_clock::time_point begun) {
  const auto taken = std::chrono::steady_clock::now() - begun;
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(taken).count());
}

}  // namespace

class S3Server::Impl {
 public:
  explicit Impl(S3ServerOptions options)
      : options_(std::move(options)),
        service_([this](const std::string& bucket) { return MakeBucket(bucket); }, WallClockMs, options_.bytes_max),
        faults_(options_.faults) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { Stop(); }

  Status Start() {
    if (options_.access_key.empty() || options_.secret_key.empty()) {
      return Status::InvalidArgument("an S3 endpoint needs an access key and a secret key");
    }
    RETURN_IF_ERROR(AddBuckets());
    std::shared_ptr<const TlsContext> tls;
    if (!options_.tls.certificate.empty()) {
      ASSIGN_OR_RETURN(tls, TlsContext::Load(options_.tls));
    }
    ListenerHandlers handlers;
    handlers.on_http = [this](const ::http::Request& request) { return Answer(request); };
    handlers.http_body_bytes_max = kBodyBytesMax;
    ASSIGN_OR_RETURN(listener_, Listener::Start(options_.host, options_.port, std::move(tls), std::move(handlers)));
    address_ = listener_->address();
    return Status::Ok();
  }

  void Stop() {
    stopping_ = true;
    listener_.reset();
  }

  const S3ServerOptions options_;
  std::string address_;
  CallLog calls_;
  mutable std::mutex mutex_;
  // Under the mutex.
  objects::S3Service service_;
  objects::S3Faults faults_;

 private:
  Status AddBuckets() {
    std::vector<std::string> names = options_.buckets;
    if (!options_.data.empty()) {
      std::error_code error;
      std::filesystem::create_directories(options_.data, error);
      for (auto entry = std::filesystem::directory_iterator(options_.data, error); !error && entry != std::filesystem::directory_iterator();
           entry.increment(error)) {
        if (entry->is_directory(error)) {
          names.push_back(entry->path().filename().string());
        }
      }
      if (error) {
        return Status::Environment("cannot use the folder \"" + options_.data + "\" for buckets: " + error.message());
      }
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const std::string& name : names) {
      RETURN_IF_ERROR(service_.AddBucket(name));
    }
    return Status::Ok();
  }

  Result<std::unique_ptr<KeepingObjectStore>> MakeBucket(const std::string& name) const {
    std::unique_ptr<ObjectStore> inner = std::make_unique<objects::MemoryObjectStore>();
    if (!options_.data.empty()) {
      ASSIGN_OR_RETURN(inner, objects::DirectoryObjectStore::Open(options_.data + "/" + name, objects::DirectoryObjectStore::Access::kReadWrite));
    }
    return KeepingObjectStore::Open(std::move(inner), WallClockMs, options_.history_bytes_max);
  }

  ::http::Response Answer(const ::http::Request& request) {
    const auto begun = std::chrono::steady_clock::now();
    std::string call = "?";
    const ::http::Response answer = Carry(request, &call);
    calls_.Add("s3", call, MicrosSince(begun), answer.status() > 0 && answer.status() < 400);
    if (options_.on_call) {
      options_.on_call(call, request.path().substr(std::min<size_t>(1, request.path().size())), answer.status());
    }
    return answer;
  }

  ::http::Response Carry(const ::http::Request& request, std::string* call) {
    auto parsed = objects::ParseS3Request(request);
    if (const auto* error = std::get_if<objects::S3Error>(&parsed)) {
      return objects::S3ErrorAnswer(*error, request.path());
    }
    auto& action = std::get<objects::S3Action>(parsed);
    *call = objects::S3KindName(action.kind);
    const objects::S3Credentials known{options_.access_key, options_.secret_key, ""};
    if (const auto error = objects::VerifyS3(known, WallClockMs(), request, &action.payload)) {
      return objects::S3ErrorAnswer(*error, request.path());
    }
    Micros delay_us = 0;
    ::http::Response answer;
    {
      const std::lock_guard lock(mutex_);
      answer = faults_.Answer(&service_, std::move(action), &delay_us);
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(delay_us);
    while (!stopping_ && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(kDelayPoll, until - std::chrono::steady_clock::now()));
    }
    return answer;
  }

  std::atomic<bool> stopping_ = false;
  std::unique_ptr<Listener> listener_;
};

Result<std::unique_ptr<S3Server>> S3Server::Start(S3ServerOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<S3Server>(new S3Server(std::move(impl)));
}

S3Server::S3Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
S3Server::~S3Server() = default;
void S3Server::Stop() { impl_->Stop(); }
std::string S3Server::address() const { return impl_->address_; }
std::string S3Server::endpoint() const { return (impl_->options_.tls.certificate.empty() ? "http://" : "https://") + impl_->address_; }
std::string S3Server::access_key() const { return impl_->options_.access_key; }
const CallLog& S3Server::calls() const { return impl_->calls_; }

std::vector<std::string> S3Server::buckets() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->service_.bucket_names();
}

void S3Server::AddFaults(const record::Case& faults) {
  const std::lock_guard lock(impl_->mutex_);
  impl_->faults_.Add(faults);
}

std::map<std::string, uint64_t> S3Server::fired_counts() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->faults_.fired_counts();
}

std::vector<std::string> S3Server::never_fired() const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->faults_.never_fired();
}

Result<Bytes> S3Server::Get(const std::string& bucket, const std::string& key, int64_t at_ms) {
  const std::lock_guard lock(impl_->mutex_);
  KeepingObjectStore* store = impl_->service_.bucket(bucket);
  if (store == nullptr) {
    return Status::NotFound("no bucket \"" + bucket + "\"");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<ObjectStore> view, store->AsOf(at_ms));
  return view->Get(key);
}

Result<std::vector<objects::ObjectInfo>> S3Server::List(const std::string& bucket, const std::string& prefix, int64_t at_ms) {
  const std::lock_guard lock(impl_->mutex_);
  KeepingObjectStore* store = impl_->service_.bucket(bucket);
  if (store == nullptr) {
    return Status::NotFound("no bucket \"" + bucket + "\"");
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<ObjectStore> view, store->AsOf(at_ms));
  return view->List(prefix);
}

}  // namespace kvjury::ports
