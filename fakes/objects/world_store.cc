#include "fakes/objects/object_store.h"

namespace kvjury::objects {

namespace {

using sim::FaultPlan;
using sim::Label;
using sim::Task;

Status Injected(const std::string& name) {
  return Status::Unavailable("object storage failed at \"" + Printable(name) + "\" (injected object_error)");
}

/// Swallows everything and holds nothing: br's storage "noop".
class NoopObjectStore final : public ObjectStore {
 public:
  Status Put(const std::string& name, std::string_view) override { return CheckObjectName(name); }
  Result<Bytes> Get(const std::string& name) override { return Nothing(name); }
  Result<ObjectInfo> Head(const std::string& name) override { return Nothing(name); }
  Result<std::vector<ObjectInfo>> List(const std::string&) override { return std::vector<ObjectInfo>{}; }
  Status Delete(const std::string& name) override { return CheckObjectName(name); }
  [[nodiscard]] std::string description() const override { return "noop"; }

 private:
  static Status Nothing(const std::string& name) {
    return Status::NotFound("the storage \"noop\" holds nothing, not \"" + Printable(name) + "\" either");
  }
};

}  // namespace

Task<FaultPlan::MessageFate> WorldObjectStore::Arrive(Label label, const char* method) {
  const uint64_t order = label.hash();
  Task<FaultPlan::MessageFate> step = world_->Step(std::move(label), method);
  const FaultPlan::MessageFate fate = co_await std::move(step);
  co_await world_->scheduler().Sleep(latency_us_, order);
  co_return fate;
}

Task<void> WorldObjectStore::Do(std::function<void()> work) {
  if (!store_->is_slow()) {
    work();
    co_return;
  }
  Task<void> working = world_->Offload(std::move(work));
  co_await std::move(working);
}

Task<Status> WorldObjectStore::Put(Label label, std::string name, Bytes bytes) {
  Task<FaultPlan::MessageFate> arrival = Arrive(std::move(label), "objects.Put");
  const FaultPlan::MessageFate fate = co_await std::move(arrival);
  if (fate.fail_before_effect) {
    co_return Injected(name);
  }
  Status status;
  const auto put = [this, &status, &name, &bytes]() { status = store_->Put(name, bytes); };
  Task<void> doing = Do(put);
  co_await std::move(doing);
  if (status.ok() && fate.fail_after_effect) {
    status = Injected(name);
  }
  co_return status;
}

Task<Result<Bytes>> WorldObjectStore::Get(Label label, std::string name) {
  Task<FaultPlan::MessageFate> arrival = Arrive(std::move(label), "objects.Get");
  const FaultPlan::MessageFate fate = co_await std::move(arrival);
  if (fate.fail_before_effect || fate.fail_after_effect) {
    co_return Injected(name);
  }
  Result<Bytes> result = Status::Unavailable("not begun");
  const auto read = [this, &result, &name]() { result = store_->Get(name); };
  Task<void> doing = Do(read);
  co_await std::move(doing);
  co_return result;
}

Task<Result<ObjectInfo>> WorldObjectStore::Head(Label label, std::string name) {
  Task<FaultPlan::MessageFate> arrival = Arrive(std::move(label), "objects.Head");
  const FaultPlan::MessageFate fate = co_await std::move(arrival);
  if (fate.fail_before_effect || fate.fail_after_effect) {
    co_return Injected(name);
  }
  Result<ObjectInfo> result = Status::Unavailable("not begun");
  const auto read = [this, &result, &name]() { result = store_->Head(name); };
  Task<void> doing = Do(read);
  co_await std::move(doing);
  co_return result;
}

Task<Result<std::vector<ObjectInfo>>> WorldObjectStore::List(Label label, std::string prefix) {
  Task<FaultPlan::MessageFate> arrival = Arrive(std::move(label), "objects.List");
  const FaultPlan::MessageFate fate = co_await std::move(arrival);
  if (fate.fail_before_effect || fate.fail_after_effect) {
    co_return Injected(prefix);
  }
  Result<std::vector<ObjectInfo>> result = Status::Unavailable("not begun");
  const auto read = [this, &result, &prefix]() { result = store_->List(prefix); };
  Task<void> doing = Do(read);
  co_await std::move(doing);
  co_return result;
}

Task<Status> WorldObjectStore::Delete(Label label, std::string name) {
  Task<FaultPlan::MessageFate> arrival = Arrive(std::move(label), "objects.Delete");
  const FaultPlan::MessageFate fate = co_await std::move(arrival);
  if (fate.fail_before_effect) {
    co_return Injected(name);
  }
  Status status;
  const auto remove = [this, &status, &name]() { status = store_->Delete(name); };
  Task<void> doing = Do(remove);
  co_await std::move(doing);
  if (status.ok() && fate.fail_after_effect) {
    status = Injected(name);
  }
  co_return status;
}

Storages::Storages()
    : Storages([](const std::string&) -> Result<std::unique_ptr<ObjectStore>> {
        return std::unique_ptr<ObjectStore>(std::make_unique<MemoryObjectStore>());
      }) {}

Storages::Factory Storages::LocalFolders() {
  return [](const std::string& path) -> Result<std::unique_ptr<ObjectStore>> {
    // Opened for reading first, which does not create it.
    RETURN_IF_ERROR(DirectoryObjectStore::Open(path, DirectoryObjectStore::Access::kReadOnly).status());
    return DirectoryObjectStore::Open(path, DirectoryObjectStore::Access::kReadWrite);
  };
}

void Storages::Add(const std::string& path, std::unique_ptr<ObjectStore> store) {
  CHECK(store != nullptr);
  CHECK(stores_.find(path) == stores_.end()) << "a storage was added twice: " << path;
  stores_[path] = std::move(store);
}

Result<ObjectStore*> Storages::Open(const ::backup::StorageBackend& backend) {
  switch (backend.backend_case()) {
    case ::backup::StorageBackend::kLocal: {
      std::unique_ptr<ObjectStore>& store = stores_[backend.local().path()];
      if (store == nullptr) {
        ASSIGN_OR_RETURN(store, factory_(backend.local().path()));
      }
      return store.get();
    }
    case ::backup::StorageBackend::kS3:
      return OpenS3(backend.s3());
    case ::backup::StorageBackend::kNoop:
      if (noop_ == nullptr) {
        noop_ = std::make_unique<NoopObjectStore>();
      }
      return noop_.get();
    case ::backup::StorageBackend::BACKEND_NOT_SET:
      return Status::InvalidArgument("a storage address without any kind of storage");
    default:
      return Status::Unsupported("the storage kind " +
                                 backend.GetDescriptor()->FindFieldByNumber(backend.backend_case())->name() +
                                 " is not served: only local folders, s3 and noop are");
  }
}

Result<ObjectStore*> Storages::OpenS3(const ::backup::S3& target) {
  if (s3_factory_ == nullptr) {
    return Status::Unsupported("the storage kind s3 is not served in a simulation: only local folders and noop are");
  }
  std::vector<std::string> identity = {target.endpoint(), target.region(), target.bucket(), target.prefix(), target.storage_class(), target.sse(),
                                       target.sse_kms_key_id(), target.acl(), target.access_key(), target.secret_access_key(), target.session_token(),
                                       target.role_arn(), target.force_path_style() ? "path" : "host"};
  std::unique_ptr<ObjectStore>& store = s3_stores_[std::move(identity)];
  if (store == nullptr) {
    ASSIGN_OR_RETURN(store, s3_factory_(target));
  }
  return store.get();
}

::backup::StorageBackend LocalStorage(const std::string& path) {
  ::backup::StorageBackend backend;
  backend.mutable_local()->set_path(path);
  return backend;
}

}  // namespace kvjury::objects
