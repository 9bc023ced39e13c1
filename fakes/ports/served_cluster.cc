#include "fakes/ports/served_cluster.h"

#include <unistd.h>

#include <algorithm>
#include <future>
#include <thread>

#include "fakes/base/digest.h"
#include "fakes/objects/object_store.h"
#include "fakes/ports/control.h"
#include "fakes/ports/control_socket.h"
#include "fakes/ports/grpc_server.h"
#include "fakes/ports/http_calls.h"
#include "fakes/ports/listener.h"
#include "fakes/ports/recorder.h"
#include "fakes/ports/s3_client.h"
#include "fakes/ports/served_state.h"
#include "fakes/ports/served_world.h"

namespace kvjury::ports {

namespace {

constexpr int64_t kLoadedBeforeMs = 1'000;
constexpr int kPdPort = 2379;
constexpr uint32_t kStores = 3;
constexpr int kSettlePolls = 200;
constexpr auto kSettlePoll = std::chrono::milliseconds(5);

int64_t WallClockMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

// Another one for every cluster that anybody starts; positive as a signed number, never 0.
uint64_t NewClusterId() {
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return Mix64(static_cast<uint64_t>(now), static_cast<uint64_t>(getpid())) >> 1 | 1;
}

// The clock begins above all that was given out where the versions are from.
int64_t ClockStartMs(const ServeOptions& options) {
  Timestamp newest = options.at;
  for (const tikv::UserVersion& version : options.versions) {
    newest = std::max(newest, version.commit_ts);
  }
  return std::max(WallClockMs() - options.faults.trigger().target_clock_lag_ms(), newest.physical_ms() + 1);
}

// Versions without timestamps get those of one transaction.
void DateVersions(Timestamp commit_ts, std::vector<tikv::UserVersion>* versions) {
  for (tikv::UserVersion& version : *versions) {
    if (!version.commit_ts.valid()) {
      version.start_ts = commit_ts.Previous();
      version.commit_ts = commit_ts;
    }
  }
}

}  // namespace

std::string ControlPathIn(const std::string& folder) { return folder + "/control"; }

// One address of the world with its ports. Its listeners open first, since the cluster must know their numbers; whoever
// connects that early waits.
struct Endpoint {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Listener> status_listener;
  std::unique_ptr<GrpcServer> grpc;
  std::unique_ptr<HttpCalls> http;

  void SetAccepting(bool accepting) const {
    for (const std::unique_ptr<Listener>* one : {&listener, &status_listener}) {
      if (*one != nullptr) {
        (*one)->SetAccepting(accepting);
      }
    }
  }
  [[nodiscard]] uint64_t open_connections() const {
    return listener->open_connections() + (status_listener == nullptr ? 0 : status_listener->open_connections());
  }
  [[nodiscard]] bool settled() const { return listener->settled() && (status_listener == nullptr || status_listener->settled()); }
};

class ServedCluster::Impl {
 public:
  explicit Impl(ServeOptions options)
      : options_(std::move(options)),
        served_(options_.faults, [this](const std::string& path) { return OpenFolder(path); }),
        live_(&served_.world()),
        ready_(ready_promise_.get_future().share()) {
    if (options_.on_recorded) {
      recorder_ = std::make_unique<Recorder>(&served_.world(), options_.on_recorded);
      live_.RecordTo(recorder_.get());
    }
    served_.storages().ServeS3([this](const ::backup::S3& target) { return OpenS3(target); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { Stop(); }

  Status Start() {
    const Status started = StartAll();
    ready_promise_.set_value(started.ok());
    if (started.ok()) {
      live_.Start();
    }
    return started;
  }

  void Stop() {
    if (std::exchange(stopped_, true)) {
      return;
    }
    socket_.reset();
    for (std::unique_ptr<Endpoint>& endpoint : endpoints_) {
      endpoint->SetAccepting(false);
    }
    live_.Stop();
    if (served_.has_cluster()) {
      cluster().WatchStores({});
    }
    for (std::unique_ptr<Endpoint>& endpoint : endpoints_) {
      endpoint->listener.reset();
      endpoint->status_listener.reset();
      if (endpoint->grpc != nullptr) {
        endpoint->grpc->Stop(0);
      }
    }
    if (served_.has_cluster()) {
      if (recorder_ != nullptr) {
        recorder_->End();
      }
      cluster().Shutdown();
    }
    if (kept_.state != nullptr) {
      (void)kept_.state->Drain().ok();  // a failure was told when it happened
    }
  }

  std::vector<std::string> pd_addresses_;
  std::vector<ServedStore> stores_;
  CallLog calls_;
  LiveWorld& live() { return live_; }
  sim::World& world() { return served_.world(); }
  tikv::Cluster& cluster() { return served_.cluster(); }
  Recorder* recorder() { return recorder_.get(); }
  CallScript& script() { return served_.script(); }

 private:
  Result<std::unique_ptr<objects::ObjectStore>> OpenFolder(const std::string& path) {
    objects::Storages::Factory open = objects::Storages::LocalFolders();
    return Watched(recorder_ == nullptr ? open(path) : RecordedStorages(recorder_.get(), std::move(open))(path));
  }

  Result<std::unique_ptr<objects::ObjectStore>> OpenS3(const ::backup::S3& target) {
    objects::Storages::S3Factory open = [this](const ::backup::S3& bucket) {
      S3ClientOptions client;
      client.stopping = [this]() { return live_.stopping(); };
      return S3ObjectStore::Open(bucket, std::move(client));
    };
    return Watched(recorder_ == nullptr ? open(target) : RecordedStorages(recorder_.get(), std::move(open))(target));
  }

  Status StartAll() {
    if (!options_.tls.certificate.empty()) {
      Result<std::shared_ptr<TlsContext>> loaded = TlsContext::Load(options_.tls);
      RETURN_IF_ERROR(loaded.status());
      tls_ = *std::move(loaded);
    }
    // A port that somebody asked for and cannot have is no reason to make a folder.
    const bool port_is_given = options_.pd_port > 0;
    Endpoint* first = AddEndpoint();
    RETURN_IF_ERROR(port_is_given ? Listen(first, options_.pd_port, true) : Status::Ok());
    RETURN_IF_ERROR(OpenData());
    if (!port_is_given) {
      const int otherwise = options_.pd_port < 0 ? kPdPort : 0;
      RETURN_IF_ERROR(Listen(first, kept_.ports.pd.empty() ? otherwise : kept_.ports.pd.front(), true));
    }
    pd_addresses_.push_back(first->listener->address());
    for (uint32_t i = 1; i < options_.pd_members; ++i) {
      RETURN_IF_ERROR(ListenAsMember(i));
    }
    for (uint32_t i = 0; i < options_.stores; ++i) {
      RETURN_IF_ERROR(ListenAsStore(i));
    }
    RETURN_IF_ERROR(MakeCluster());
    RETURN_IF_ERROR(KeepPorts());
    size_t i = 0;
    for (const sim::Address& address : cluster().pd().addresses()) {
      RETURN_IF_ERROR(Serve(endpoints_[i].get(), address, &cluster().pd().methods()));
      ++i;
    }
    i = 0;
    for (const StoreId id : cluster().store_ids()) {
      stores_[i].id = id.value();
      RETURN_IF_ERROR(Serve(EndpointOfStore(i), cluster().store_address(id), &cluster().methods(id)));
      ++i;
    }
    cluster().WatchStores([this](StoreId id, bool alive) { FollowStore(id, alive); });
    return ListenForCommands();
  }

  Result<std::unique_ptr<objects::ObjectStore>> Watched(Result<std::unique_ptr<objects::ObjectStore>> store) {
    return store.ok() ? served_.script().waiting().storage().Watched(*std::move(store)) : std::move(store);
  }

  Status ListenForCommands() {
    if (options_.control.empty()) {
      return Status::Ok();
    }
    control_ = std::make_unique<Control>(&cluster(), &served_.script(), &calls_);
    ASSIGN_OR_RETURN(socket_, ControlSocket::Start(options_.control, [this](std::string_view line) { return Command(line); }));
    return Status::Ok();
  }

  std::string Command(std::string_view line) {
    std::string answer = R"({"error": "the cluster is stopping"})";
    live_.Run([this, line, &answer]() {
      if (recorder_ != nullptr) {
        recorder_->Command(line);
      }
      answer = control_->Execute(line);
    });
    // Who killed a store finds its ports closed.
    for (int i = 0; i < kSettlePolls; ++i) {
      if (std::all_of(endpoints_.begin(), endpoints_.end(), [](const auto& endpoint) { return endpoint->settled(); })) {
        break;
      }
      std::this_thread::sleep_for(kSettlePoll);
    }
    return answer;
  }

  void FollowStore(StoreId id, bool alive) {
    for (size_t i = 0; i < stores_.size(); ++i) {
      if (stores_[i].id == id.value()) {
        EndpointOfStore(i)->SetAccepting(alive);
      }
    }
  }

  Status OpenData() {
    if (!options_.data.empty()) {
      ASSIGN_OR_RETURN(kept_, OpenServedState(options_.data, {.sync = true, .on_failure = options_.on_failure}));
      live_.KeepIn(kept_.state.get());
    }
    const auto kept = static_cast<uint32_t>(kept_.saved.stores.size());
    if (kept > 0 && !options_.versions.empty()) {
      return Status::InvalidArgument("the folder " + options_.data + " holds a cluster already; a volume is for a new one");
    }
    if (kept > 0 && options_.stores > 0 && options_.stores != kept) {
      return Status::InvalidArgument("the cluster in the folder " + options_.data + " has " + std::to_string(kept) + " stores, not " +
                                     std::to_string(options_.stores));
    }
    options_.stores = options_.stores > 0 ? options_.stores : kept > 0 ? kept : kStores;
    const auto members = static_cast<uint32_t>(std::max<size_t>(kept_.ports.pd.size(), 1));
    options_.pd_members = options_.pd_members > 0 ? options_.pd_members : members;
    return Status::Ok();
  }

  // Where `what` was before, if that is free; clients learn of another address from PD.
  Status ListenAsBefore(const char* what, int port, const std::function<Status(int)>& listen_on) {
    const Status listening = listen_on(port);
    if (listening.ok() || port == 0) {
      return listening;
    }
    if (options_.on_warning) {
      options_.on_warning(std::string(what) + " cannot be where it was, " + listening.message() + "; it takes another port");
    }
    return listen_on(0);
  }

  // A further member of PD.
  Status ListenAsMember(size_t index) {
    const int before = index < kept_.ports.pd.size() ? kept_.ports.pd[index] : 0;
    Endpoint* member = AddEndpoint();
    RETURN_IF_ERROR(ListenAsBefore("a member of PD", before, [this, member](int port) { return Listen(member, port, true); }));
    pd_addresses_.push_back(member->listener->address());
    return Status::Ok();
  }

  Status ListenAsStore(size_t index) {
    const ServedPorts::Store before = index < kept_.ports.stores.size() ? kept_.ports.stores[index] : ServedPorts::Store();
    Endpoint* store = AddEndpoint();
    RETURN_IF_ERROR(ListenAsBefore("a store", before.port, [this, store](int port) { return Listen(store, port, false); }));
    RETURN_IF_ERROR(ListenAsBefore("a store", before.status_port, [this, store](int port) { return ListenForStatus(store, port); }));
    stores_.push_back({0, store->listener->address(), store->status_listener->address()});
    return Status::Ok();
  }

  // What was made is kept before anybody is told where it is.
  Status KeepPorts() {
    if (kept_.state == nullptr) {
      return Status::Ok();
    }
    ServedPorts ports;
    for (size_t i = 0; i < options_.pd_members; ++i) {
      ports.pd.push_back(endpoints_[i]->listener->port());
    }
    for (size_t i = options_.pd_members; i < endpoints_.size(); ++i) {
      ports.stores.push_back({endpoints_[i]->listener->port(), endpoints_[i]->status_listener->port()});
    }
    kept_.WritePorts(ports);
    return kept_.state->Drain();
  }

  // What the cluster begins as, but for the versions.
  [[nodiscard]] record::RecordingBegin BeginOf() const {
    record::RecordingBegin begin;
    begin.set_schema(kRecordingSchema);
    begin.set_cluster_id(kept_.is_new() ? NewClusterId() : kept_.saved.cluster_id);
    begin.set_keep_collected(options_.keep_collected);
    begin.set_stores(options_.stores);
    begin.set_pd_members(options_.pd_members);
    begin.set_regions(options_.regions);
    begin.set_clock_start_ms(ClockStartMs(options_));
    begin.set_read_only(options_.read_only);
    *begin.mutable_faults() = options_.faults;
    for (const std::string& address : pd_addresses_) {
      begin.add_pd_client_url((tls_ != nullptr ? "https://" : "http://") + address);
    }
    for (const ServedStore& store : stores_) {
      record::RecordingBegin::Advertised* advertised = begin.add_advertised();
      advertised->set_address(store.address);
      advertised->set_status_address(store.status_address);
    }
    return begin;
  }

  Status MakeCluster() {
    record::RecordingBegin begin = BeginOf();
    DateVersions(options_.at.valid() ? options_.at : Timestamp::Compose(begin.clock_start_ms() - kLoadedBeforeMs, 0), &options_.versions);
    if (recorder_ != nullptr) {
      for (const tikv::UserVersion& version : options_.versions) {
        record::RecordingBegin::Version* recorded = begin.add_version();
        recorded->set_key(version.key);
        recorded->set_value(version.value);
        recorded->set_start_ts(version.start_ts.value());
        recorded->set_commit_ts(version.commit_ts.value());
      }
      options_.versions = {};
      recorder_->Begin(begin);
    }
    const Status made = served_.MakeCluster(begin, std::exchange(options_.versions, {}), kept_.state.get(), kept_.is_new());
    if (!made.ok()) {
      return Status::DataLoss("the state in " + options_.data + " cannot be used: " + made.message());
    }
    served_.script().RecordTo(options_.on_call);
    return Status::Ok();
  }

  // After those of PD's members.
  Endpoint* EndpointOfStore(size_t index) { return endpoints_[options_.pd_members + index].get(); }

  Endpoint* AddEndpoint() { return endpoints_.emplace_back(std::make_unique<Endpoint>()).get(); }

  Status Listen(Endpoint* endpoint, int port, bool with_http) {
    ListenerHandlers handlers;
    handlers.on_connection = options_.on_connection;
    handlers.preface_timeout = options_.preface_timeout;
    handlers.on_grpc = [this, endpoint](int descriptor, const std::string& peer) {
      if (ready_.get()) {
        endpoint->grpc->AddConnection(descriptor, peer);
      } else {
        close(descriptor);
      }
    };
    if (with_http) {
      handlers.on_http = HttpHandler(endpoint);
    }
    Result<std::unique_ptr<Listener>> listener = Listener::Start(options_.host, port, tls_, std::move(handlers));
    RETURN_IF_ERROR(listener.status());
    endpoint->listener = *std::move(listener);
    return Status::Ok();
  }

  Status ListenForStatus(Endpoint* endpoint, int port) {
    ListenerHandlers handlers;
    handlers.on_connection = options_.on_connection;
    handlers.preface_timeout = options_.preface_timeout;
    handlers.on_http = HttpHandler(endpoint);
    Result<std::unique_ptr<Listener>> listener = Listener::Start(options_.host, port, tls_, std::move(handlers));
    RETURN_IF_ERROR(listener.status());
    endpoint->status_listener = *std::move(listener);
    return Status::Ok();
  }

  std::function<::http::Response(const ::http::Request&)> HttpHandler(Endpoint* endpoint) {
    return [this, endpoint](const ::http::Request& request) {
      return ready_.get() ? endpoint->http->Answer(request) : ::http::Response();
    };
  }

  Status Serve(Endpoint* endpoint, const sim::Address& address, const sim::MethodTable* methods) {
    auto measure = [this, endpoint, address]() { return Measure(*endpoint, address); };
    endpoint->http = std::make_unique<HttpCalls>(&live_, methods, &calls_, &served_.script(), address, std::move(measure));
    endpoint->grpc = std::make_unique<GrpcServer>(&live_, methods, &calls_, GrpcServerOptions{address, &served_.script(), options_.read_only});
    return endpoint->grpc->Start();
  }

  MetricsOfAddress Measure(const Endpoint& endpoint, const sim::Address& address) {
    MetricsOfAddress metrics;
    metrics.address = address;
    metrics.connections = endpoint.open_connections();
    const StoreId store = cluster().StoreAt(address);
    for (const auto& [start, region] : cluster().regions().by_start()) {
      const StoreId leader = cluster().raft().Leader(region->id);
      ++metrics.regions;
      metrics.leaders += leader.valid() && (leader == store || !store.valid()) ? 1 : 0;
    }
    for (size_t cf = 0; store.valid() && cf < tikv::kColumnFamilyCount; ++cf) {
      const auto family = static_cast<tikv::ColumnFamily>(cf);
      metrics.records.emplace_back(tikv::ColumnFamilyName(family), cluster().engine().RecordCount(family));
    }
    metrics.longest_step_us = static_cast<uint64_t>(live_.longest_step_us());
    const auto& faults = cluster().world()->faults().fired_counts();
    metrics.faults.assign(faults.begin(), faults.end());
    return metrics;
  }

  ServeOptions options_;
  std::shared_ptr<const TlsContext> tls_;
  ServedState kept_;
  ServedWorld served_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<ControlSocket> socket_;
  LiveWorld live_;
  std::promise<bool> ready_promise_;
  std::shared_future<bool> ready_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  bool stopped_ = false;
};

Result<std::unique_ptr<ServedCluster>> ServedCluster::Start(ServeOptions options) {
  RETURN_IF_ERROR(sim::CheckBugNames(options.faults));
  CHECK(options.on_recorded == nullptr || options.data.empty()) << "what a folder holds is not recorded";
  auto impl = std::make_unique<Impl>(std::move(options));
  RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<ServedCluster>(new ServedCluster(std::move(impl)));
}

ServedCluster::ServedCluster(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ServedCluster::~ServedCluster() = default;
const std::vector<std::string>& ServedCluster::pd_addresses() const { return impl_->pd_addresses_; }
const std::vector<ServedStore>& ServedCluster::stores() const { return impl_->stores_; }
const CallLog& ServedCluster::calls() const { return impl_->calls_; }
std::vector<std::string> ServedCluster::never_fired() { return impl_->world().faults().never_fired(); }
std::vector<std::string> ServedCluster::WhoWaits(const WhoWaitsQuery& query) {
  return ports::WhoWaits(&impl_->cluster(), impl_->script().waiting(), query);
}
LiveWorld& ServedCluster::live() { return impl_->live(); }
tikv::Cluster& ServedCluster::cluster() { return impl_->cluster(); }
void ServedCluster::Mark(const std::string& what) {
  if (impl_->recorder() != nullptr) {
    impl_->recorder()->Mark(what);
  }
}
void ServedCluster::Stop() { impl_->Stop(); }

}  // namespace kvjury::ports
