// ObjectStore: what backups are written to. Whole objects by name, strongly consistent, as S3 and a shared folder give it.
//
// Modelled: Put replaces a whole object at once or leaves the former one; List is in byte order of the names; in a world,
// latency and the fault `object_error` at labelled steps, before or after the effect (the caller learns only an error).
// Not modelled here: multipart uploads, signatures, permissions, bandwidth, versions of objects.
// Names are relative paths with '/' between their parts; an absolute name, an empty part, "." and ".." are refused.
// Determinism: nothing of an object's bytes or size enters a digest or a delay.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/sim/world.h"
#include "proto/tikv/backup.pb.h"

namespace kvjury::objects {

struct ObjectInfo {
  std::string name;
  uint64_t bytes = 0;
  friend bool operator==(const ObjectInfo&, const ObjectInfo&) = default;
};

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  /// Creates or replaces the object. Errors: kInvalidArgument (name), kEnvironment.
  virtual Status Put(const std::string& name, std::string_view bytes) = 0;
  /// The whole object. Errors: kNotFound, kInvalidArgument (name), kEnvironment.
  virtual Result<Bytes> Get(const std::string& name) = 0;
  /// Errors as Get.
  virtual Result<ObjectInfo> Head(const std::string& name) = 0;
  /// All objects whose name starts with `prefix`, in byte order of the names. Errors: kEnvironment.
  virtual Result<std::vector<ObjectInfo>> List(const std::string& prefix) = 0;
  /// An object that does not exist is deleted already. Errors: kInvalidArgument (name), kEnvironment.
  virtual Status Delete(const std::string& name) = 0;
  /// For messages: "memory" or the folder.
  [[nodiscard]] virtual std::string description() const = 0;
  /// True if calls wait for a device, and several may run at a time: they are offloaded then.
  [[nodiscard]] virtual bool is_slow() const { return false; }
};

/// Errors: kInvalidArgument for a name that no object may have.
Status CheckObjectName(const std::string& name);

/// Everything in memory.
class MemoryObjectStore final : public ObjectStore {
 public:
  Status Put(const std::string& name, std::string_view bytes) override;
  Result<Bytes> Get(const std::string& name) override;
  Result<ObjectInfo> Head(const std::string& name) override;
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override;
  Status Delete(const std::string& name) override;
  [[nodiscard]] std::string description() const override { return "memory"; }

 private:
  std::map<std::string, Bytes> objects_;
};

/// A folder of the local file system; objects are files. Put writes `NAME.tmp`, syncs it, renames it and syncs its folder,
/// so that a reader never sees a part. Files whose names end in ".tmp" are no objects.
class DirectoryObjectStore final : public ObjectStore {
 public:
  enum class Access { kReadOnly, kReadWrite };
  /// A read-write folder is created when it is missing. Errors: kNotFound, kEnvironment.
  static Result<std::unique_ptr<ObjectStore>> Open(const std::string& folder, Access access);

  /// Errors: as above, and kInvalidArgument on a read-only folder.
  Status Put(const std::string& name, std::string_view bytes) override;
  Result<Bytes> Get(const std::string& name) override;
  Result<ObjectInfo> Head(const std::string& name) override;
  Result<std::vector<ObjectInfo>> List(const std::string& prefix) override;
  Status Delete(const std::string& name) override;
  [[nodiscard]] std::string description() const override { return folder_; }
  [[nodiscard]] bool is_slow() const override { return true; }

 private:
  DirectoryObjectStore(std::string folder, Access access) : folder_(std::move(folder)), access_(access) {}
  [[nodiscard]] std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }
  Status CheckWritable(const std::string& name) const;

  std::string folder_;
  Access access_;
};

/// An object store as a program in a simulated world sees it: each call is a labelled step that takes virtual time and can
/// meet `object_error`. An error after the effect leaves the effect in place. Neither pointer is owned.
class WorldObjectStore {
 public:
  WorldObjectStore(sim::World* world, ObjectStore* store, Micros latency_us = 2'000)
      : world_(world), store_(store), latency_us_(latency_us) {}

  /// Errors: those of ObjectStore, and kUnavailable from `object_error`. All suspend; the work itself is offloaded if the store
  /// is a slow one.
  sim::Task<Status> Put(sim::Label label, std::string name, Bytes bytes);
  sim::Task<Result<Bytes>> Get(sim::Label label, std::string name);
  sim::Task<Result<ObjectInfo>> Head(sim::Label label, std::string name);
  sim::Task<Result<std::vector<ObjectInfo>>> List(sim::Label label, std::string prefix);
  sim::Task<Status> Delete(sim::Label label, std::string name);
  [[nodiscard]] ObjectStore* plain() const { return store_; }

 private:
  sim::Task<sim::FaultPlan::MessageFate> Arrive(sim::Label label, const char* method);
  sim::Task<void> Do(std::function<void()> work);

  sim::World* world_;
  ObjectStore* store_;
  Micros latency_us_;
};

/// Which object store a storage address of the backup protocol means. All stores and tools of a world share one registry,
/// as if every machine had mounted the same folder.
class Storages {
 public:
  /// Makes the object store of a local path that nobody added.
  using Factory = std::function<Result<std::unique_ptr<ObjectStore>>(const std::string& path)>;

  /// Paths are folders of this machine, as a store that is one process of its own has it. A missing folder is kNotFound: no
  /// store makes one.
  static Factory LocalFolders();

  /// Unknown paths come into being as empty memory.
  Storages();
  explicit Storages(Factory factory) : factory_(std::move(factory)) {}

  /// Makes the object store of an S3 address; without it S3 is not served.
  using S3Factory = std::function<Result<std::unique_ptr<ObjectStore>>(const ::backup::S3& target)>;
  void ServeS3(S3Factory s3_factory) { s3_factory_ = std::move(s3_factory); }

  void Add(const std::string& path, std::unique_ptr<ObjectStore> store);
  /// `local` by its path; `s3` by everything that it says; `noop` swallows everything. The pointer lives as long as this registry.
  /// Errors: kInvalidArgument for an empty address; kUnsupported for other kinds of storage; those of the factory.
  Result<ObjectStore*> Open(const ::backup::StorageBackend& backend);

 private:
  Result<ObjectStore*> OpenS3(const ::backup::S3& target);

  Factory factory_;
  S3Factory s3_factory_;
  std::map<std::string, std::unique_ptr<ObjectStore>> stores_;
  std::map<std::vector<std::string>, std::unique_ptr<ObjectStore>> s3_stores_;
  std::unique_ptr<ObjectStore> noop_;
};

/// The address of a local folder.
::backup::StorageBackend LocalStorage(const std::string& path);

}  // namespace kvjury::objects
