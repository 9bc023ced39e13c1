#include "harness/tools/volume_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include "harness/client/client.h"
#include "harness/juicefs/operation_mix.h"
#include "harness/juicefs/writer.h"
#include "harness/remote/remote_world.h"

namespace kvjury::tools {

namespace {

constexpr uint64_t kFilesInAFolder = 500;
constexpr uint32_t kBytesOfAFileMax = 10'000;
constexpr uint32_t kOperationsDrawnAtOnce = 200;

int64_t WallNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string FolderOf(uint64_t file) { return fmt::format("made/{:04}", file / kFilesInAFolder); }

class Sessions {
 public:
  Sessions(remote::RemoteWorld* world, sim::Address pd, const VolumeWriting& writing, objects::ObjectStore* bucket)
      : world_(world), pd_(std::move(pd)), writing_(writing), bucket_(bucket), random_(writing.seed, "volume-writer") {}
  Sessions(const Sessions&) = delete;
  Sessions& operator=(const Sessions&) = delete;

  sim::Task<Result<VolumeWritten>> Run() {
    auto reading = ReadFormat();
    CO_ASSIGN_OR_RETURN(const juicefs::Format format, co_await std::move(reading));
    if (bucket_ != nullptr) {
      const juicefs::BlockLayout layout{Bytes(format.name), static_cast<uint32_t>(format.block_size_kib << 10), format.hash_prefix};
      blocks_ = std::make_unique<juicefs::BlockStore>(objects::WorldObjectStore(world_->world(), bucket_, 0), layout);
    }
    for (uint32_t i = 1; i <= writing_.sessions; ++i) {
      AddSession(i);
    }
    sim::Scope scope(world_->scheduler());
    for (Session& session : sessions_) {
      scope.Spawn(fmt::format("session-{}", session.number), Work(&session));
    }
    co_await scope.Join();
    if (!failed_.ok()) {
      co_return failed_;
    }
    for (const Session& session : sessions_) {
      written_.transactions += session.writer->history().size();
      written_.conflicts += session.writer->conflicts();
      for (const juicefs::DeclaredTransaction& transaction : session.writer->history()) {
        written_.undetermined += transaction.undetermined ? 1 : 0;
      }
    }
    co_return written_;
  }

 private:
  struct Session {
    uint32_t number = 0;
    std::unique_ptr<client::Client> client;
    std::unique_ptr<juicefs::Writer> writer;
    juicefs::PathPicture picture;
  };

  sim::Task<Result<juicefs::Format>> ReadFormat() {
    client::Client client(world_->channel(), world_->scheduler(), "setting", pd_, nullptr);
    const Bytes key = juicefs::VolumePrefix(*writing_.address.volume) + "setting";
    std::unique_ptr<client::Transaction> transaction = client.BeginAt(Timestamp::Max(), sim::Label("setting"));
    auto getting = transaction->Get(key);
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> text, co_await std::move(getting));
    auto closing = client.Close();
    co_await std::move(closing);
    if (!text.has_value()) {
      co_return Status::NotFound(writing_.address.text + ": no volume of this name is formatted there");
    }
    CO_ASSIGN_OR_RETURN(const juicefs::Setting setting, juicefs::DecodeSetting(*text));
    co_return setting.format;
  }

  void AddSession(uint32_t number) {
    Session& session = sessions_.emplace_back();
    session.number = number;
    session.client = std::make_unique<client::Client>(world_->channel(), world_->scheduler(), fmt::format("session-{}", number), pd_, nullptr);
    juicefs::WriterOptions options;
    options.id = number;
    options.volume_name = *writing_.address.volume;
    options.wall_ns = WallNs;
    options.history = session.client.get();
    options.blocks = blocks_.get();
    session.writer = std::make_unique<juicefs::Writer>(session.client.get(), std::move(options));
    session.picture.directories = {"", "shared"};
  }

  sim::Task<void> Work(Session* session) {
    sim::Scope background(world_->scheduler());
    auto starting = session->writer->Start();
    const Status started = co_await std::move(starting);
    if (started.ok()) {
      background.Spawn("background", session->writer->RunBackground());
      auto making = MakeFiles(session);
      co_await std::move(making);
      auto drawing = DrawAndDo(session);
      co_await std::move(drawing);
    }
    auto stopping = session->writer->Stop();
    const Status stopped = co_await std::move(stopping);
    co_await background.Join();
    auto closing = session->client->Close();
    co_await std::move(closing);
    if (failed_.ok()) {
      failed_ = started.ok() ? stopped : started;
    }
  }

  // Session n makes every n-th of the folders with its files.
  sim::Task<void> MakeFiles(Session* session) {
    record::Operation operation;
    operation.mutable_mkdir()->set_path("shared");
    operation.mutable_mkdir()->set_mode(0755);
    auto shared = Do(session, operation);
    co_await std::move(shared);
    if (writing_.files > 0) {
      operation.mutable_mkdir()->set_path("made");
      auto made = Do(session, operation);
      co_await std::move(made);
    }
    for (uint64_t first = 0; first < writing_.files && !Stopping(); first += kFilesInAFolder) {
      if (first / kFilesInAFolder % writing_.sessions == session->number - 1) {
        operation.mutable_mkdir()->set_path(FolderOf(first));
        auto folder = Do(session, operation);
        co_await std::move(folder);
        auto files = FillFolder(session, first, std::min(writing_.files, first + kFilesInAFolder));
        co_await std::move(files);
        session->picture.directories.push_back(FolderOf(first));
      }
    }
  }

  sim::Task<void> FillFolder(Session* session, uint64_t first, uint64_t end) {
    for (uint64_t file = first; file < end && !Stopping(); ++file) {
      record::Operation operation;
      operation.mutable_create()->set_path(fmt::format("{}/{:06}", FolderOf(file), file));
      operation.mutable_create()->set_mode(0644);
      auto create = Do(session, operation);
      co_await std::move(create);
      const Bytes path = operation.create().path();
      operation.mutable_write()->set_path(path);
      operation.mutable_write()->set_length(1 + static_cast<uint32_t>(random_.Below(kBytesOfAFileMax)));
      auto write = Do(session, operation);
      co_await std::move(write);
      if (file % 50 == 0) {
        session->picture.files.push_back(path);
      }
    }
  }

  sim::Task<void> DrawAndDo(Session* session) {
    juicefs::MixOptions mix;
    mix.writer = session->number;
    mix.names = 200;
    uint64_t done = 0;
    for (uint32_t round = 0; !Stopping() && (writing_.operations_max == 0 || done < writing_.operations_max); ++round) {
      mix.operations = kOperationsDrawnAtOnce;
      if (writing_.operations_max > 0) {
        mix.operations = static_cast<uint32_t>(std::min<uint64_t>(writing_.operations_max - done, kOperationsDrawnAtOnce));
      }
      RandomStream random(writing_.seed, fmt::format("session-{}-round-{}", session->number, round));
      for (const record::Operation& operation : juicefs::DrawOperations(&random, mix, &session->picture)) {
        if (Stopping()) {
          co_return;
        }
        auto doing = Do(session, operation);
        co_await std::move(doing);
        ++done;
      }
    }
  }

  sim::Task<void> Do(Session* session, record::Operation operation) {
    operation.set_id(static_cast<uint32_t>(++written_.operations));
    auto doing = session->writer->Do(std::move(operation));
    const juicefs::OperationResult result = co_await std::move(doing);
    if (result.error != 0) {
      ++written_.refused;
      ++written_.by_errno[result.error];
    }
    if (writing_.progress) {
      writing_.progress(written_.operations);
    }
  }

  [[nodiscard]] bool Stopping() const { return writing_.stop && writing_.stop(); }

  remote::RemoteWorld* world_;
  sim::Address pd_;
  const VolumeWriting& writing_;
  objects::ObjectStore* bucket_;
  RandomStream random_;
  std::unique_ptr<juicefs::BlockStore> blocks_;
  std::list<Session> sessions_;
  Status failed_;
  VolumeWritten written_;
};

sim::Task<Result<VolumeWritten>> FindAndWrite(remote::RemoteWorld* world, const VolumeWriting* writing, objects::ObjectStore* bucket) {
  auto finding = remote::FindPdLeader(world->channel(), writing->address.members);
  CO_ASSIGN_OR_RETURN(sim::Address pd, co_await std::move(finding));
  Sessions sessions(world, std::move(pd), *writing, bucket);
  auto running = sessions.Run();
  co_return co_await std::move(running);
}

}  // namespace

Result<VolumeWritten> WriteToVolume(const VolumeWriting& writing) {
  if (writing.address.scheme != backup::Scheme::kTikv || !writing.address.volume.has_value()) {
    return Status::InvalidArgument(writing.address.text + ": expected tikv://HOST:PORT/VOLUME");
  }
  if (writing.address.cut.has_value()) {
    return Status::InvalidArgument(writing.address.text + ": the past cannot be written to; leave out the timestamp");
  }
  std::unique_ptr<objects::ObjectStore> bucket;
  if (!writing.bucket.empty()) {
    ASSIGN_OR_RETURN(bucket, objects::DirectoryObjectStore::Open(writing.bucket, objects::DirectoryObjectStore::Access::kReadWrite));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<remote::RemoteWorld> world,
                   remote::RemoteWorld::Start({writing.address.ca, writing.address.certificate, writing.address.key}));
  return world->Run(FindAndWrite(world.get(), &writing, bucket.get()));
}

}  // namespace kvjury::tools
