#include "harness/backup/reference_backup.h"

#include <algorithm>
#include <map>

#include "fakes/pd/methods.h"
#include "fakes/tikv/methods.h"
#include "harness/backup/region_calls.h"

namespace kvjury::backup {

namespace {

using client::RegionPtr;
using sim::Label;
using sim::Task;

constexpr Micros kRoundPauseUs = 200'000;
constexpr Micros kLockWaitUsMax = 1'000'000;
constexpr Micros kStreamTimeoutUs = 60'000'000;
constexpr int64_t kSafePointTtlS = 300;
constexpr uint32_t kScanThreads = 4;
constexpr char kServiceId[] = "kvjury-backup";

/// A part of the key space that one region was asked for in one round.
struct Piece {
  KeyRange range;
  RegionPtr region;
  Timestamp ts;
  uint32_t round = 0;
  /// Why it is not complete, if anybody said.
  Status trouble;
};

class BackupRun {
 public:
  BackupRun(ToolHost host, BackupOptions options)
      : host_(host),
        options_(std::move(options)),
        calls_(host, options_.time_limit_us),
        objects_(host.world, host.objects),
        tree_(&host.world->bugs()),
        component_(host.world->log().Component("backup-tool")) {}

  Task<ToolReport> Run() {
    report_.cut_asked_us = now_us();
    auto work = Work();
    report_.failure = co_await std::move(work);
    report_.success = report_.failure.ok();
    auto release = ReleaseGc();
    co_await std::move(release);
    report_.retries += calls_.pauses();
    FillRanges();
    Log("end", report_.success ? 1 : 0, report_.keys);
    co_return std::move(report_);
  }

 private:
  Task<Status> Work() {
    auto check = CheckFolder();
    CO_RETURN_IF_ERROR(co_await std::move(check));
    report_.cut_asked_us = now_us();
    auto ask = host_.client->CurrentTimestamp(host_.label / "tso");
    CO_ASSIGN_OR_RETURN(report_.cut, co_await std::move(ask));
    Log("cut", report_.cut.value());
    auto hold = HoldGc();
    CO_RETURN_IF_ERROR(co_await std::move(hold));
    auto rounds = RunRounds();
    CO_RETURN_IF_ERROR(co_await std::move(rounds));
    auto verify = CheckGc();
    CO_RETURN_IF_ERROR(co_await std::move(verify));
    auto write = WriteMeta();
    co_return co_await std::move(write);
  }

  // ---- before and after ----

  Task<Status> CheckFolder() {
    for (;;) {
      auto head = objects_.Head(calls_.labels()->Numbered("head-meta"), kBackupMetaName);
      const Result<objects::ObjectInfo> info = co_await std::move(head);
      if (info.ok()) {
        co_return Status::AlreadyExists("the folder holds a backup already: it has a backupmeta");
      }
      if (info.status().code() == StatusCode::kNotFound) {
        co_return Status::Ok();
      }
      auto pause = calls_.Pause(info.status());
      CO_RETURN_IF_ERROR(co_await std::move(pause));
    }
  }

  Task<Status> HoldGc() {
    pdpb::UpdateServiceGCSafePointRequest request;
    request.set_service_id(kServiceId);
    request.set_ttl(kSafePointTtlS);
    request.set_safe_point(report_.cut.value() - 1);
    auto ask = calls_.AskPd(pd::kUpdateServiceGcSafePoint, std::move(request), "hold-gc", {});
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<const pdpb::UpdateServiceGCSafePointResponse> answer,
                        co_await std::move(ask));
    if (answer->min_safe_point() > report_.cut.value()) {
      co_return Status::Rejected("the service GC safe point " + std::to_string(answer->min_safe_point()) +
                                 " is beyond the backup's timestamp already");
    }
    co_return Status::Ok();
  }

  Task<Status> CheckGc() {
    auto ask = calls_.AskPd(pd::kGetGcSafePoint, pdpb::GetGCSafePointRequest(), "check-gc", {});
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<const pdpb::GetGCSafePointResponse> answer, co_await std::move(ask));
    if (answer->safe_point() > report_.cut.value()) {
      co_return Status::Rejected("garbage collection went to " + std::to_string(answer->safe_point()) +
                                 ", beyond the backup's timestamp " + std::to_string(report_.cut.value()) +
                                 ", while it was read: versions may be missing");
    }
    co_return Status::Ok();
  }

  /// Best effort: the hold ends by itself.
  Task<void> ReleaseGc() {
    pdpb::UpdateServiceGCSafePointRequest request;
    request.set_service_id(kServiceId);
    auto ask = calls_.Call(pd::kUpdateServiceGcSafePoint, calls_.PdLeader(), std::move(request),
                           calls_.labels()->Numbered("release-gc"));
    const auto answer = co_await std::move(ask);
    Log("release gc", answer.ok() ? 1 : 0);
  }

  // ---- rounds ----

  Task<Status> RunRounds() {
    std::vector<KeyRange> pending = {KeyRange{}};
    for (uint32_t round = 0; !pending.empty(); ++round) {
      report_.rounds = round + 1;
      Timestamp ts = report_.cut;
      if (round > 0 && host_.world->bugs().On(sim::Bug::kTwoTimestampsOneBackup)) {
        auto ask = host_.client->CurrentTimestamp((host_.label / "tso").Numbered("again", round));
        CO_ASSIGN_OR_RETURN(ts, co_await std::move(ask));
      }
      std::vector<Piece> pieces;
      auto plan = Plan(std::move(pending), ts, round, &pieces);
      CO_RETURN_IF_ERROR(co_await std::move(plan));
      auto read = ReadAll(&pieces);
      co_await std::move(read);
      pending.clear();
      Status trouble;
      for (const Piece& piece : pieces) {
        const std::vector<KeyRange> gaps = tree_.GapsIn(piece.range);
        pending.insert(pending.end(), gaps.begin(), gaps.end());
        trouble = !gaps.empty() && !piece.trouble.ok() ? piece.trouble : trouble;
      }
      if (!pending.empty()) {
        auto prepare = PrepareNextRound(pending, trouble);
        CO_RETURN_IF_ERROR(co_await std::move(prepare));
      }
    }
    co_return Status::Ok();
  }

  /// Cuts the pending ranges at region boundaries.
  Task<Status> Plan(std::vector<KeyRange> pending, Timestamp ts, uint32_t round, std::vector<Piece>* pieces) {
    client::Services services = host_.client->services();
    auto labels = std::make_shared<client::Labels>((host_.label / "plan").Numbered("round", round + 1));
    client::Backoffer backoff(services.messenger, labels, options_.time_limit_us);
    for (const KeyRange& range : pending) {
      Bytes cursor = range.start;
      for (;;) {
        auto locate = services.regions->LocateKey(cursor, &backoff);
        CO_ASSIGN_OR_RETURN(const RegionPtr region, co_await std::move(locate));
        const Bytes end = SmallerEnd(range.end, region->end);
        AddPieces(KeyRange{cursor, end}, region, ts, round, pieces);
        if (end == range.end) {
          break;
        }
        cursor = end;
      }
    }
    co_return Status::Ok();
  }

  /// A store may answer for a region in front of the first key, which ends at the encoded empty key and reads as "no bound".
  /// As long as no piece is asked for without any bound, such an answer shows itself by being larger than the question.
  void AddPieces(KeyRange range, const RegionPtr& region, Timestamp ts, uint32_t round, std::vector<Piece>* pieces) {
    if (range.start.empty() && range.end.empty() && !host_.world->bugs().On(sim::Bug::kEncodedEmptyBoundary)) {
      const Bytes second_key = NextKey({});
      pieces->push_back(Piece{KeyRange{{}, second_key}, region, ts, round, Status::Ok()});
      range.start = second_key;
    }
    pieces->push_back(Piece{std::move(range), region, ts, round, Status::Ok()});
  }

  Task<void> ReadAll(std::vector<Piece>* pieces) {
    sim::Scope scope(&host_.world->scheduler());
    for (Piece& piece : *pieces) {
      const std::string name = "region[" + Printable(piece.range.start) + "]";
      const Label label = (host_.label / name).Numbered("read", ++attempts_[piece.range.start]);
      report_.retries += piece.round > 0 ? 1 : 0;
      scope.Spawn(label.text(), ReadPiece(this, &piece, label));
    }
    auto join = scope.Join();
    co_await std::move(join);
  }

  static Task<void> ReadPiece(BackupRun* self, Piece* piece, Label label) {
    auto stream = self->ReadStream(piece, std::move(label));
    const Status status = co_await std::move(stream);
    if (!status.ok()) {
      piece->trouble = status;
    }
    const bool locked_only = piece->trouble.code() == StatusCode::kConflict;
    if (!locked_only && !self->tree_.GapsIn(piece->range).empty()) {
      self->host_.client->services().regions->Invalidate(piece->region);
    }
  }

  Task<Status> ReadStream(Piece* piece, Label label) {
    client::Services services = host_.client->services();
    auto labels = std::make_shared<client::Labels>(label);
    client::Backoffer backoff(services.messenger, labels, options_.time_limit_us);
    const StoreId store(piece->region->peers[piece->region->leader].store_id());
    auto find = services.regions->StoreAddress(store, &backoff);
    CO_ASSIGN_OR_RETURN(const sim::Address address, co_await std::move(find));
    auto identify = calls_.ClusterId();
    CO_ASSIGN_OR_RETURN(const uint64_t cluster_id, co_await std::move(identify));
    cluster_id_ = cluster_id;
    sim::CallOptions call_options;
    call_options.label = std::move(label);
    call_options.timeout_us = kStreamTimeoutUs;
    sim::MessagePtr request = std::make_shared<const ::backup::BackupRequest>(MakeRequest(*piece));
    auto open = host_.channel->OpenRaw(tikv::kBackup.path, address, std::move(request), std::move(call_options));
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<sim::StreamReader> reader, co_await std::move(open));
    for (;;) {
      auto next = reader->Next();
      CO_ASSIGN_OR_RETURN(const sim::MessagePtr message, co_await std::move(next));
      if (message == nullptr) {
        co_return Status::Ok();
      }
      const auto answer = std::static_pointer_cast<const ::backup::BackupResponse>(message);
      TakeAnswer(*answer, piece, store);
      if (answer->has_error() ? false : tree_.GapsIn(piece->range).empty()) {
        co_return Status::Ok();
      }
    }
  }

  [[nodiscard]] ::backup::BackupRequest MakeRequest(const Piece& piece) const {
    ::backup::BackupRequest request;
    request.set_cluster_id(cluster_id_);
    request.set_end_version(piece.ts.value());
    request.set_concurrency(kScanThreads);
    *request.mutable_storage_backend() = host_.storage;
    request.set_compression_type(options_.compression);
    request.mutable_cipher_info()->set_cipher_type(encryptionpb::PLAINTEXT);
    kvrpcpb::KeyRange* range = request.add_sub_ranges();
    range->set_start_key(piece.range.start);
    range->set_end_key(piece.range.end);
    return request;
  }

  // ---- answers ----

  void TakeAnswer(const ::backup::BackupResponse& answer, Piece* piece, StoreId store) {
    if (answer.has_error()) {
      TakeError(answer.error(), piece);
      return;
    }
    const KeyRange range{answer.start_key(), answer.end_key()};
    if (!MayCount(range, piece->range)) {
      Log("answer beyond the question", Hash64(range.start), piece->round);
      return;
    }
    AnsweredRange answered;
    answered.range = range;
    answered.end_ts = piece->ts;
    answered.region = piece->region->version.id;
    answered.store = store;
    answered.round = piece->round;
    answered.files.assign(answer.files().begin(), answer.files().end());
    Log("answer", Hash64(range.start), Hash64(range.end));
    const size_t deleted = tree_.Insert(std::move(answered));
    if (deleted > 0) {
      Log("answers deleted", deleted);
    }
  }

  /// An answer counts for keys that it was asked for and no others.
  bool MayCount(const KeyRange& answered, const KeyRange& asked) {
    if (Encloses(asked, answered)) {
      return true;
    }
    const bool upside_down = !answered.end.empty() && answered.end <= answered.start;
    return !upside_down && host_.world->bugs().On(sim::Bug::kEncodedEmptyBoundary);
  }

  void TakeError(const ::backup::Error& error, Piece* piece) {
    if (error.has_kv_error() && error.kv_error().has_locked()) {
      const kvrpcpb::LockInfo& lock = error.kv_error().locked();
      ++report_.locks_met;
      locks_[{lock.key(), lock.lock_version()}] = lock;
      Log("locked", Hash64(lock.key()), lock.lock_version());
      piece->trouble = Status::Conflict("key " + ToHex(lock.key()) + " is locked by the transaction that began at " +
                                        std::to_string(lock.lock_version()));
      return;
    }
    std::string text = error.msg();
    if (error.has_region_error()) {
      text = "the region says: " + error.region_error().message();
    }
    Log("error", piece->round);
    piece->trouble = Status::Unavailable(text.empty() ? "a store answered with an error without text" : text);
  }

  Task<Status> PrepareNextRound(const std::vector<KeyRange>& pending, Status trouble) {
    Micros wait_us = kRoundPauseUs;
    if (!locks_.empty()) {
      std::vector<kvrpcpb::LockInfo> locks;
      for (const auto& [key, lock] : locks_) {
        locks.push_back(lock);
      }
      locks_.clear();
      auto resolve = host_.client->ResolveLocks(std::move(locks), report_.cut, calls_.labels()->Numbered("resolve"));
      const Result<client::ResolveOutcome> outcome = co_await std::move(resolve);
      if (outcome.ok()) {
        wait_us = std::clamp<Micros>(outcome->wait_ms * 1000, kRoundPauseUs, kLockWaitUsMax);
      } else {
        trouble = outcome.error();
      }
    }
    if (now_us() + wait_us > report_.cut_asked_us + options_.time_limit_us) {
      co_return Status::DeadlineExceeded(
          std::to_string(pending.size()) + " ranges are still missing after " + std::to_string(report_.rounds) +
          " rounds, the first is " + DescribeRange(pending.front().start, pending.front().end) +
          (trouble.ok() ? std::string() : ": " + trouble.message()));
    }
    co_await host_.world->scheduler().Sleep(wait_us, host_.label.hash());
    co_return Status::Ok();
  }

  // ---- the meta ----

  Task<Status> WriteMeta() {
    BackupMeta meta;
    meta.set_cluster_id(cluster_id_);
    meta.set_cluster_version(options_.cluster_version);
    meta.set_br_version("BR\nRelease Version: kvjury reference");
    meta.set_end_version(report_.cut.value());
    meta.set_is_txn_kv(true);
    meta.set_ddls("[]");
    FillRanges();
    for (const AnsweredRange& answer : answers_) {
      for (const File& file : answer.files) {
        *meta.add_files() = file;
        ++report_.files;
        report_.keys += file.total_kvs();
        report_.key_bytes += file.total_bytes();
        report_.file_bytes += file.size();
      }
    }
    const Bytes bytes = SerializeBackupMeta(std::move(meta));
    for (;;) {
      auto put = objects_.Put(calls_.labels()->Numbered("put-meta"), kBackupMetaName, bytes);
      const Status status = co_await std::move(put);
      if (status.ok()) {
        co_return status;
      }
      auto pause = calls_.Pause(status);
      CO_RETURN_IF_ERROR(co_await std::move(pause));
    }
  }

  void FillRanges() {
    if (tree_.size() > 0) {
      answers_ = tree_.TakeAnswers();
    }
    report_.ranges.clear();
    for (const AnsweredRange& answer : answers_) {
      CoveredRange covered{answer.range, answer.end_ts, answer.region, answer.store, {}};
      for (const File& file : answer.files) {
        covered.files.push_back(file.name());
      }
      report_.ranges.push_back(std::move(covered));
    }
  }

  void Log(std::string_view kind, uint64_t a, uint64_t b = 0) { host_.world->log().Add(component_, kind, a, b); }
  [[nodiscard]] Micros now_us() const { return host_.world->scheduler().now_us(); }

  ToolHost host_;
  BackupOptions options_;
  RegionCalls calls_;
  objects::WorldObjectStore objects_;
  RangeTree tree_;
  RollingDigest* component_;
  ToolReport report_;
  std::vector<AnsweredRange> answers_;
  std::map<Bytes, uint64_t> attempts_;  // by start key
  std::map<std::pair<Bytes, uint64_t>, kvrpcpb::LockInfo> locks_;
  uint64_t cluster_id_ = 0;
};

}  // namespace

sim::Task<ToolReport> RunReferenceBackup(ToolHost host, BackupOptions options) {
  BackupRun run(std::move(host), std::move(options));
  auto running = run.Run();
  co_return co_await std::move(running);
}

}  // namespace kvjury::backup
