#include "fakes/ports/storage_waits.h"

namespace kvjury::ports {

class StorageWaits::WatchedStore : public objects::ObjectStore {
 public:
  WatchedStore(StorageWaits* waits, std::unique_ptr<objects::ObjectStore> store) : waits_(waits), store_(std::move(store)) {}

  Status Put(const std::string& name, std::string_view bytes) override {
    const Entry entry(this, "Put", name);
    return store_->Put(name, bytes);
  }
  Result<Bytes> Get(const std::string& name) override {
    const Entry entry(this, "Get", name);
    return store_->Get(name);
  }
  Result<objects::ObjectInfo> Head(const std::string& name) override {
    const Entry entry(this, "Head", name);
    return store_->Head(name);
  }
  Result<std::vector<objects::ObjectInfo>> List(const std::string& prefix) override {
    const Entry entry(this, "List", prefix);
    return store_->List(prefix);
  }
  Status Delete(const std::string& name) override {
    const Entry entry(this, "Delete", name);
    return store_->Delete(name);
  }
  [[nodiscard]] std::string description() const override { return store_->description(); }
  [[nodiscard]] bool is_slow() const override { return store_->is_slow(); }

 private:
  // A call while it lasts.
  class Entry {
   public:
    Entry(WatchedStore* store, const char* verb, const std::string& name) : waits_(store->waits_) {
      Open open{name, std::string(verb) + " of \"" + Printable(name) + "\" in " + store->store_->description()};
      const std::lock_guard lock(waits_->mutex_);
      self_ = waits_->open_.insert(waits_->open_.end(), std::move(open));
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() {
      const std::lock_guard lock(waits_->mutex_);
      waits_->open_.erase(self_);
    }

   private:
    StorageWaits* waits_;
    std::list<Open>::iterator self_;
  };

  StorageWaits* waits_;
  std::unique_ptr<objects::ObjectStore> store_;
};

std::unique_ptr<objects::ObjectStore> StorageWaits::Watched(std::unique_ptr<objects::ObjectStore> store) {
  return std::make_unique<WatchedStore>(this, std::move(store));
}

std::vector<StorageWaits::Open> StorageWaits::open() const {
  const std::lock_guard lock(mutex_);
  return {open_.begin(), open_.end()};
}

}  // namespace kvjury::ports
