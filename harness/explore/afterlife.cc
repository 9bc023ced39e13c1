#include "harness/explore/afterlife.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/explore/case_shape.h"
#include "harness/explore/gather.h"
#include "harness/judge/model.h"
#include "harness/juicefs/object_cleaner.h"
#include "harness/juicefs/operation_mix.h"

namespace kvjury::explore {

namespace {

constexpr uint32_t kSessionsByDefault = 2;
constexpr uint32_t kOperationsByDefault = 20;
constexpr uint32_t kFirstNewSession = 700;
constexpr uint32_t kCaretaker = 790;
constexpr uint32_t kFirstOldOperation = 100'001;
constexpr Micros kThinkUs = 2'000;
constexpr Micros kDayUs = 86'400'000'000;
constexpr Micros kPdDownUs = 60'000'000;
constexpr Micros kPdBackUs = 90'000'000;
constexpr Micros kPdChangeUs = 100'000;
constexpr Micros kRepairPauseUs = 3'000'000;
// The caretaker's periods: days pass, so that it does little in an hour.
constexpr Micros kCaretakerHeartbeatUs = 600'000'000;
constexpr Micros kCaretakerFlushUs = 60'000'000;
// Besides the cleaners' time: sessions, whole reads, changes of PD's leader.
constexpr Micros kRestOfItUsMax = 3'600'000'000;

Micros CleanersUs(const record::Afterlife& spec, uint32_t trash_days) {
  return spec.jobs_us() > 0 ? spec.jobs_us() : (Micros{trash_days} + 1) * kDayUs;
}

// The paths that an operation names.
void AddNamed(const record::Operation& operation, std::set<Bytes>* named) {
  const auto* oneof = record::Operation::descriptor()->FindOneofByName("kind");
  const auto* kind = operation.GetReflection()->GetOneofFieldDescriptor(operation, oneof);
  if (kind == nullptr) {
    return;
  }
  const google::protobuf::Message& arguments = operation.GetReflection()->GetMessage(operation, kind);
  for (const char* name : {"path", "from", "to"}) {
    const auto* field = arguments.GetDescriptor()->FindFieldByName(name);
    if (field == nullptr || field->type() != google::protobuf::FieldDescriptor::TYPE_BYTES) {
      continue;
    }
    Bytes path = arguments.GetReflection()->GetString(arguments, field);
    path.erase(0, path.find_first_not_of('/'));
    if (!path.empty()) {
      named->insert(std::move(path));
    }
  }
}

// What kills the session, waits, or brings back what no path names has no place among these operations.
bool MayBeDrawn(const record::Operation& operation) {
  return operation.kind_case() != record::Operation::kDie && operation.kind_case() != record::Operation::kSleep &&
         operation.kind_case() != record::Operation::kRestoreTrash;
}

}  // namespace

Micros AfterlifeUsMax(const record::Case& c, uint32_t trash_days) {
  return c.has_afterlife() ? CleanersUs(c.afterlife(), trash_days) + kRestOfItUsMax : 0;
}

Afterlife::Afterlife(Stage* stage, Cast* cast)
    : stage_(stage),
      cast_(cast),
      spec_(stage->spec().afterlife()),
      source_client_(stage->world().fabric().ChannelFrom("cutover"), &stage->scheduler(), "client-cutover", stage->source().pd_address(),
                     &stage->world().log()),
      client_(stage->world().fabric().ChannelFrom("afterlife"), &stage->scheduler(), "client-afterlife", stage->target().pd_address(),
              &stage->world().log()) {
  // A volume that shares its bucket with a living one may only be looked at.
  only_look_ = spec_.shared_bucket() && !stage->world().bugs().On(sim::Bug::kTwoMastersOneBucket);
}

void Afterlife::Expect(const Status& status, const std::string& step) {
  if (!status.ok()) {
    evidence_.troubles.push_back(step + ": " + status.message());
  }
}

sim::Task<judge::Pairs> Afterlife::ReadAll(std::string step) {
  const sim::Label label = sim::Label("afterlife") / step;
  auto ask = client_.CurrentTimestamp(label / "timestamp");
  const Result<Timestamp> now = co_await std::move(ask);
  if (!now.ok()) {
    Expect(now.status(), step);
    co_return judge::Pairs();
  }
  evidence_.timestamps.push_back(*now);
  auto read = ReadTarget(&client_, *now, {}, label);
  TargetReading reading = co_await std::move(read);
  for (const std::string& range : reading.unreadable) {
    evidence_.troubles.push_back(step + ": " + range);
  }
  co_return std::move(reading.pairs);
}

sim::Task<void> Afterlife::ChangePdLeader() {
  static_cast<void>(stage_->target().PdLeaderChange(kPdChangeUs));
  co_await stage_->scheduler().Sleep(2 * kPdChangeUs);
}

sim::Task<void> Afterlife::Prepare(Micros cut_us) {
  BringObjectsBack(stage_, &stage_->bucket(), cut_us);
  own_bucket_ = spec_.shared_bucket() ? nullptr : stage_->bucket().Copy();
  bucket_ = spec_.shared_bucket() ? &stage_->bucket() : own_bucket_.get();
  replaced_before_ = bucket_->replaced().size();
  if (!only_look_) {
    auto raise = RaiseCounters(stage_, &source_client_, &client_, bucket_);
    const Status raised = co_await std::move(raise);
    Expect(raised, "raising the counters");
    auto repair = RepairUsage(stage_, &client_, 0);
    const Status repaired = co_await std::move(repair);
    Expect(repaired, "counting usage");
  }
  auto read = ReadAll("begun");
  const judge::Pairs begun = co_await std::move(read);
  evidence_.begun = judge::ImageOf(begun, stage_->volume().name);
  evidence_.only_looked = only_look_;
  bucket_evidence_.layout = stage_->block_layout();
  bucket_evidence_.objects = bucket_->Sizes();
  bucket_evidence_.in_use = !only_look_;
  Result<juicefs::View> view = juicefs::BuildView(evidence_.begun);
  Expect(view.status(), "the restored volume's view");
  if (view.ok()) {
    restored_view_ = *std::move(view);
  }
}

std::vector<record::Operation> Afterlife::DrawFor(uint32_t writer, uint32_t first_id) const {
  RandomStream random = RandomStream(spec_.seed(), "afterlife").Fork(std::to_string(writer));
  juicefs::MixOptions options;
  options.writer = writer;
  options.operations = spec_.operations() > 0 ? spec_.operations() : kOperationsByDefault;
  options.first_id = first_id;
  juicefs::PathPicture picture = PictureOf(restored_view_);
  std::vector<record::Operation> operations = juicefs::DrawOperations(&random, options, &picture);
  operations.erase(std::remove_if(operations.begin(), operations.end(), [](const auto& operation) { return !MayBeDrawn(operation); }),
                   operations.end());
  return operations;
}

void Afterlife::AddNewSession(uint32_t number) {
  auto session = std::make_unique<Session>();
  session->name = fmt::format("w{}", number);
  session->client = std::make_unique<client::Client>(stage_->world().fabric().ChannelFrom(session->name), &stage_->scheduler(),
                                                     "client-" + session->name, stage_->target().pd_address(), &stage_->world().log());
  session->blocks = std::make_unique<juicefs::BlockStore>(WorldBucket(), stage_->block_layout());
  juicefs::WriterOptions options;
  options.id = number;
  options.volume_name = stage_->volume().name;
  options.wall_ns = [stage = stage_]() { return stage->wall_ns(); };
  options.blocks = session->blocks.get();
  if (number == kCaretaker) {
    options.mount.heartbeat_period_us = kCaretakerHeartbeatUs;
    options.mount.flush_period_us = kCaretakerFlushUs;
    options.history = session->client.get();
  } else {
    session->operations = DrawFor(number, 1);
  }
  session->own = std::make_unique<juicefs::Writer>(session->client.get(), std::move(options));
  session->writer = session->own.get();
  sessions_.push_back(std::move(session));
}

void Afterlife::AddOldSession(const Cast::HeldSession& held) {
  auto session = std::make_unique<Session>();
  session->name = fmt::format("w{}", held.id);
  session->old = true;
  session->client = std::make_unique<client::Client>(stage_->world().fabric().ChannelFrom(session->name), &stage_->scheduler(),
                                                     "client-" + session->name + "-again", stage_->target().pd_address(),
                                                     &stage_->world().log());
  session->blocks = std::make_unique<juicefs::BlockStore>(WorldBucket(), stage_->block_layout());
  session->writer = held.writer;
  session->operations = DrawFor(held.id, kFirstOldOperation);
  session->history_before = held.writer->history().size();
  session->inodes_before = held.writer->issued().inodes.size();
  session->slices_before = held.writer->issued().slices.size();
  held.writer->Redirect(session->client.get(), session->blocks.get());
  if (!stage_->world().bugs().On(sim::Bug::kConsumersSeeTimeGoBack)) {
    held.writer->ForgetCaches();
  }
  sessions_.push_back(std::move(session));
}

sim::Task<void> Afterlife::PlaySession(Session* session) {
  if (!session->old) {
    auto start = session->writer->Start();
    const Status started = co_await std::move(start);
    Expect(started, session->name + " mounts");
    if (!started.ok()) {
      co_return;
    }
  }
  sim::Scope background(&stage_->scheduler());
  background.Spawn(session->name + "/background-again", session->writer->RunBackground());
  for (const record::Operation& operation : session->operations) {
    co_await stage_->scheduler().Sleep(kThinkUs, sim::Label(session->name).hash());
    auto run = session->writer->Do(operation);
    const juicefs::OperationResult result = co_await std::move(run);
    ++evidence_.operations;
    evidence_.operations_failed += result.error != 0 ? 1 : 0;
    AddNamed(operation, &evidence_.named);
  }
  if (session->own != nullptr && session->operations.empty()) {
    co_await stage_->scheduler().Sleep(CleanersUs(spec_, stage_->volume().trash_days));
    auto collect = session->writer->CollectGarbage();
    co_await std::move(collect);
  }
  auto stop = session->writer->Stop();
  const Status stopped = co_await std::move(stop);
  Expect(stopped, session->name + " unmounts");
  co_await background.Join();
  co_await session->client->Join();
}

sim::Task<void> Afterlife::Work() {
  const std::vector<Cast::HeldSession> held = cast_->held_sessions();
  for (const Cast::HeldSession& session : held) {
    AddOldSession(session);
  }
  const uint32_t count = spec_.writers() > 0 ? spec_.writers() : kSessionsByDefault;
  for (uint32_t i = 0; i < count; ++i) {
    AddNewSession(kFirstNewSession + i);
  }
  sim::Scope scope(&stage_->scheduler());
  for (const std::unique_ptr<Session>& session : sessions_) {
    scope.Spawn(session->name + "/again", PlaySession(session.get()));
  }
  if (stage_->world().bugs().On(sim::Bug::kRepairOverwritesNewDelta)) {
    auto repair = RepairUsage(stage_, &client_, kRepairPauseUs);
    const Status repaired = co_await std::move(repair);
    Expect(repaired, "counting usage");
  }
  co_await scope.Join();
  for (const std::unique_ptr<Session>& session : sessions_) {
    Declare(*session);
  }
  // What old sessions had not flushed is of another history: from then on usage is only about right.
  evidence_.usage_is_exact = held.empty();
}

// Nobody mounts: every file is looked at without a session, which writes nothing.
sim::Task<void> Afterlife::Look() {
  juicefs::WriterOptions options;
  options.id = kFirstNewSession;
  options.volume_name = stage_->volume().name;
  options.wall_ns = [stage = stage_]() { return stage->wall_ns(); };
  options.mount.read_only = true;
  juicefs::Writer reader(&client_, std::move(options));
  uint32_t number = 0;
  for (const Bytes& path : PictureOf(restored_view_).files) {
    record::Operation operation;
    operation.set_id(++number);
    operation.mutable_read()->set_path(path);
    operation.mutable_read()->set_length(UINT32_MAX);
    auto run = reader.Do(operation);
    const juicefs::OperationResult result = co_await std::move(run);
    ++evidence_.operations;
    if (result.error != 0) {
      ++evidence_.operations_failed;
      evidence_.troubles.push_back(fmt::format("reading {} ends with errno {}", Printable(path), result.error));
    }
  }
}

void Afterlife::Declare(const Session& session) {
  const auto& history = session.writer->history();
  history_.insert(history_.end(), history.begin() + static_cast<ptrdiff_t>(session.history_before), history.end());
  const juicefs::Writer::IssuedIds& issued = session.writer->issued();
  for (size_t i = session.inodes_before; i < issued.inodes.size(); ++i) {
    evidence_.issued.push_back({false, issued.inodes[i].value(), session.name, false});
  }
  for (size_t i = session.slices_before; i < issued.slices.size(); ++i) {
    evidence_.issued.push_back({true, issued.slices[i], session.name, false});
  }
}

// GC's safe point moves to the present, everything below it goes.
sim::Task<void> Afterlife::Collect() {
  co_await ChangePdLeader();
  if (!stage_->target().GcNow()) {
    evidence_.troubles.push_back("GC's safe point did not move to the present");
  }
  static_cast<void>(stage_->target().CompactNow());
  auto read = ReadAll("collected");
  evidence_.after_gc = co_await std::move(read);
}

sim::Task<void> Afterlife::CleanObjects(uint32_t number) {
  juicefs::CleanerOptions options;
  options.volume_name = stage_->volume().name;
  options.layout = stage_->block_layout();
  options.trusts_broken_listing = stage_->world().bugs().On(sim::Bug::kCleanerDeletesLiveBlocks);
  if (number == 1) {
    options.after_page = [this](uint64_t page) {
      if (page == 1) {
        static_cast<void>(stage_->target().PdLeaderChange(kPdDownUs));
      }
    };
  }
  auto clean = juicefs::DeleteLeakedObjects(&client_, WorldBucket(), std::move(options), sim::Label("afterlife").Numbered("cleaner", number));
  const juicefs::CleanerReport report = co_await std::move(clean);
  if (number > 1) {
    Expect(report.failure, "gc --delete");
  }
}

sim::Task<void> Afterlife::Clean() {
  AddNewSession(kCaretaker);
  auto stay = PlaySession(sessions_.back().get());
  co_await std::move(stay);
  auto broken_off = CleanObjects(1);
  co_await std::move(broken_off);
  co_await stage_->scheduler().Sleep(kPdBackUs);
  auto whole = CleanObjects(2);
  co_await std::move(whole);
}

sim::Task<void> Afterlife::Play(Micros cut_us) {
  for (const Cast::SourceIds& ids : cast_->IssuedIds()) {
    for (const Inode inode : ids.issued.inodes) {
      evidence_.issued.push_back({false, inode.value(), ids.name, true});
    }
    for (const uint64_t slice : ids.issued.slices) {
      evidence_.issued.push_back({true, slice, ids.name, true});
    }
  }
  auto prepare = Prepare(cut_us);
  co_await std::move(prepare);
  auto use = only_look_ ? Look() : Work();
  co_await std::move(use);
  Timestamp newest;
  for (const juicefs::DeclaredTransaction& transaction : history_) {
    newest = std::max(newest, transaction.commit_ts);
  }
  if (newest.valid()) {
    // A store may commit at the timestamp that PD gives next, not above it.
    evidence_.timestamps.push_back(newest.Previous());
  }
  auto read = ReadAll("worked");
  evidence_.before_gc = co_await std::move(read);
  evidence_.worked = judge::ImageOf(evidence_.before_gc, stage_->volume().name);
  auto collect = Collect();
  co_await std::move(collect);
  if (!only_look_) {
    auto clean = Clean();
    co_await std::move(clean);
  }
  auto read_last = ReadAll("cleaned");
  const judge::Pairs cleaned = co_await std::move(read_last);
  evidence_.cleaned = judge::ImageOf(cleaned, stage_->volume().name);
  evidence_.objects_left = bucket_->Sizes();
  co_await ChangePdLeader();
  auto last = client_.CurrentTimestamp(sim::Label("afterlife/last-timestamp"));
  const Result<Timestamp> after = co_await std::move(last);
  Expect(after.status(), "a timestamp after PD's change");
  if (after.ok()) {
    evidence_.timestamps.push_back(*after);
  }
  co_await source_client_.Join();
  co_await client_.Join();
}

judge::AfterlifeEvidence Afterlife::TakeEvidence() {
  judge::Model model(evidence_.begun);
  std::vector<juicefs::DeclaredTransaction> to_settle = history_;
  for (juicefs::DeclaredTransaction& transaction : to_settle) {
    transaction.undetermined = true;
  }
  model.ApplyUpTo(to_settle, Timestamp::Max(), [this](const juicefs::DeclaredTransaction& transaction) -> std::optional<Timestamp> {
    const auto fate = stage_->target().OracleTransaction(transaction.start_ts, transaction.primary_key);
    return fate.fate == tikv::Cluster::Fate::kCommitted ? std::optional<Timestamp>(fate.commit_ts) : std::nullopt;
  });
  evidence_.model_view = model.MakeView();
  for (const judge::ModelAnomaly& anomaly : model.anomalies()) {
    evidence_.model_anomalies.push_back(anomaly.label + ": " + anomaly.text);
  }
  return std::move(evidence_);
}

judge::BucketEvidence Afterlife::TakeBucket() {
  const std::vector<std::string>& replaced = bucket_->replaced();
  bucket_evidence_.replaced.assign(replaced.begin() + static_cast<ptrdiff_t>(replaced_before_), replaced.end());
  if (spec_.shared_bucket()) {
    bucket_evidence_.living_source = judge::ImageOf(ReadTruth(&stage_->source(), Timestamp::Max()), stage_->volume().name);
    bucket_evidence_.objects_at_end = stage_->bucket().Sizes();
  }
  return std::move(bucket_evidence_);
}

}  // namespace kvjury::explore
