#include "harness/explore/cast.h"

namespace kvjury::explore {

namespace {

constexpr uint32_t kFirstOrphanId = 900;
constexpr uint32_t kOrphanOperations = 200;
constexpr uint32_t kFirstClonerId = 950;
constexpr uint32_t kClonedDirectories = 6;
constexpr uint32_t kClones = 100;

std::string LabelOf(uint32_t writer, uint32_t operation) {
  return "w" + std::to_string(writer) + "/op" + std::to_string(operation);
}

// Creates files in the root until it dies.
record::Writer OrphanScript(uint32_t id) {
  record::Writer script;
  script.set_id(id);
  for (uint32_t i = 1; i <= kOrphanOperations; ++i) {
    record::Operation* operation = script.add_op();
    operation->set_id(i);
    operation->mutable_create()->set_path("/orphan-" + std::to_string(id) + "-" + std::to_string(i));
    operation->mutable_create()->set_mode(0644);
  }
  return script;
}

// Clones a tree of directories again and again until it dies.
record::Writer ClonerScript(uint32_t id) {
  record::Writer script;
  script.set_id(id);
  const auto add = [&script]() {
    record::Operation* operation = script.add_op();
    operation->set_id(static_cast<uint32_t>(script.op_size()));
    return operation;
  };
  const std::string top = "/cloned-" + std::to_string(id);
  for (uint32_t i = 0; i <= kClonedDirectories; ++i) {
    record::Mkdir* mkdir = add()->mutable_mkdir();
    mkdir->set_path(i == 0 ? top : top + "/" + std::to_string(i));
    mkdir->set_mode(0755);
  }
  for (uint32_t i = 1; i <= kClones; ++i) {
    record::Clone* clone = add()->mutable_clone();
    clone->set_from(top);
    clone->set_to(top + "-copy-" + std::to_string(i));
  }
  return script;
}

std::string KindName(const record::Operation& operation) {
  const auto* oneof = record::Operation::descriptor()->FindOneofByName("kind");
  const auto* field = operation.GetReflection()->GetOneofFieldDescriptor(operation, oneof);
  return field == nullptr ? std::string() : field->name();
}

}  // namespace

Cast::Cast(Stage* stage) : stage_(stage), scope_(&stage->scheduler()), progress_(&stage->scheduler()) {
  for (const record::Writer& script : stage->spec().writers()) {
    AddPlayer(script, false);
  }
  for (uint32_t i = 0; i < stage->spec().trigger().orphan_locks(); ++i) {
    AddPlayer(OrphanScript(kFirstOrphanId + i), true);
  }
  for (uint32_t i = 0; i < stage->spec().trigger().half_clones(); ++i) {
    AddPlayer(ClonerScript(kFirstClonerId + i), true);
  }
}

void Cast::AddPlayer(record::Writer script, bool orphan) {
  auto player = std::make_unique<Player>();
  const std::string name = "w" + std::to_string(script.id());
  player->orphan = orphan;
  player->client = std::make_unique<client::Client>(stage_->world().fabric().ChannelFrom(name), &stage_->scheduler(),
                                                    "client-" + name, stage_->source().pd_address(),
                                                    &stage_->world().log());
  juicefs::WriterOptions options;
  options.id = script.id();
  options.volume_name = stage_->volume().name;
  options.mount = juicefs::MountOptionsOf(script.mount()).value();  // CheckCase refuses wrong ones
  options.wall_ns = [stage = stage_]() { return stage->wall_ns(); };
  options.history = player->client.get();
  player->blocks = std::make_unique<juicefs::BlockStore>(objects::WorldObjectStore(&stage_->world(), &stage_->bucket()),
                                                         stage_->block_layout());
  options.blocks = player->blocks.get();
  backup::AutomaticBackupOptions backup;
  backup.volume_name = stage_->volume().name;
  backup.bucket_folder = stage_->volume().image.setting->format.name;
  player->backup = std::make_unique<backup::SessionBackup>(&stage_->bucket(), std::move(backup));
  options.backup = player->backup.get();
  player->writer = std::make_unique<juicefs::Writer>(player->client.get(), std::move(options));
  player->script = std::move(script);
  players_.push_back(std::move(player));
}

void Cast::Start() {
  for (const std::unique_ptr<Player>& player : players_) {
    playing_ += player->orphan ? 0 : 1;
    scope_.Spawn("w" + std::to_string(player->script.id()), Play(player.get()));
  }
}

sim::Task<void> Cast::Play(Player* player) {
  sim::Scope background(&stage_->scheduler());
  Status started = co_await player->writer->Start();
  if (started.ok()) {
    background.Spawn("w" + std::to_string(player->script.id()) + "/background", player->writer->RunBackground());
    co_await PlayOperations(player);
  }
  const record::Afterlife& afterlife = stage_->spec().afterlife();
  player->held = started.ok() && !player->orphan && afterlife.old_clients() && !afterlife.shared_bucket();
  if (player->held) {
    player->writer->Hold();
  } else {
    // A session that cannot be ended is what a crashed mount leaves behind; nothing of the view depends on it.
    static_cast<void>(co_await player->writer->Stop());
  }
  co_await background.Join();
  co_await player->client->Join();
  playing_ -= player->orphan ? 0 : 1;
  progress_.NotifyAll();
}

sim::Task<void> Cast::PlayOperations(Player* player) {
  for (const record::Operation& operation : player->script.op()) {
    if (player->client->crashed()) {
      co_return;
    }
    if (player->script.think_us() > 0) {
      co_await stage_->scheduler().Sleep(player->script.think_us(), player->script.id());
    }
    juicefs::OperationResult result = co_await player->writer->Do(operation);
    Count(*player, operation, result);
    if (player->writer->dead()) {
      player->client->Crash();
    }
    done_.insert(LabelOf(player->script.id(), operation.id()));
    progress_.NotifyAll();
  }
}

void Cast::Count(const Player& player, const record::Operation& operation, const juicefs::OperationResult& result) {
  if (player.orphan) {
    return;
  }
  ++tally_.operations;
  tally_.during_backup += in_backup_ ? 1 : 0;
  if (result.error != 0) {
    ++tally_.failed;
    ++tally_.by_errno[result.error];
  } else {
    ++tally_.by_kind[KindName(operation)];
  }
}

sim::Task<void> Cast::WaitForBackup() {
  const record::Backup& backup = stage_->spec().backup();
  if (backup.when_case() == record::Backup::kAtUs) {
    co_await stage_->scheduler().Sleep(std::max<Micros>(backup.at_us() - stage_->scheduler().now_us(), 0));
    co_return;
  }
  while (done_.count(backup.after()) == 0 && !backup.after().empty() && !Finished()) {
    co_await progress_.Wait();
  }
}

void Cast::BackupStarts() {
  in_backup_ = true;
  for (const std::unique_ptr<Player>& player : players_) {
    if (player->orphan) {
      player->client->Crash();
    }
  }
}

sim::Task<void> Cast::Join() { return scope_.Join(); }

std::vector<juicefs::DeclaredTransaction> Cast::History() const {
  std::vector<juicefs::DeclaredTransaction> history;
  for (const std::unique_ptr<Player>& player : players_) {
    const auto& own = player->writer->history();
    history.insert(history.end(), own.begin(), own.end());
  }
  return history;
}

std::vector<Cast::HeldSession> Cast::held_sessions() const {
  std::vector<HeldSession> held;
  for (const std::unique_ptr<Player>& player : players_) {
    if (player->held) {
      held.push_back({player->script.id(), player->writer.get()});
    }
  }
  return held;
}

std::vector<Cast::SourceIds> Cast::IssuedIds() const {
  std::vector<SourceIds> ids;
  for (const std::unique_ptr<Player>& player : players_) {
    ids.push_back({"w" + std::to_string(player->script.id()), player->writer->issued()});
  }
  return ids;
}

client::Counters Cast::ClientCounters() const {
  client::Counters sum;
  for (const std::unique_ptr<Player>& player : players_) {
    const client::Counters& own = player->client->counters();
    sum.committed_one_phase += own.committed_one_phase;
    sum.committed_async += own.committed_async;
    sum.committed_two_phase += own.committed_two_phase;
    sum.conflicts += own.conflicts;
    sum.undetermined += own.undetermined;
    sum.locks_met += own.locks_met;
    sum.locks_resolved += own.locks_resolved;
    sum.async_recoveries += own.async_recoveries;
    sum.messages += own.messages;
  }
  return sum;
}

}  // namespace kvjury::explore
