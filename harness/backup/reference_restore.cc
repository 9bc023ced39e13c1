#include "harness/backup/reference_restore.h"

#include <algorithm>
#include <map>
#include <set>

#include "fakes/base/memcomparable.h"
#include "fakes/pd/methods.h"
#include "fakes/tikv/methods.h"
#include "harness/backup/backup_reader.h"
#include "harness/backup/piece_importer.h"
#include "harness/backup/region_calls.h"

namespace kvjury::backup {

namespace {

using sim::Bug;
using sim::Label;
using sim::Task;
template <class T>
using Answer = Result<std::shared_ptr<const T>>;

/// Stands for "no bound" where a request needs an upper key. Longer than any run of ff that a file system makes.
constexpr size_t kSentinelBytes = 32;

bool IsBehind(const Bytes& end, const Bytes& key) { return end.empty() || end > key; }

class RestoreRun {
 public:
  RestoreRun(ToolHost host, RestoreOptions options)
      : host_(host),
        options_(options),
        calls_(host, options.time_limit_us),
        objects_(host.world, host.objects),
        importer_(&calls_),
        component_(host.world->log().Component("restore-tool")) {}

  Task<ToolReport> Run() {
    auto work = Work();
    report_.failure = co_await std::move(work);
    report_.success = report_.failure.ok();
    auto finish = SwitchMode(import_sstpb::Normal);
    const Status normal = co_await std::move(finish);
    Log("normal mode", normal.ok() ? 1 : 0);
    report_.retries = calls_.pauses();
    Log("end", report_.success ? 1 : 0, report_.keys);
    co_return std::move(report_);
  }

 private:
  Task<Status> Work() {
    auto read = ReadFiles();
    CO_RETURN_IF_ERROR(co_await std::move(read));
    auto advance = AdvanceTimestamps();
    CO_RETURN_IF_ERROR(co_await std::move(advance));
    auto clear = ClearTarget();
    CO_RETURN_IF_ERROR(co_await std::move(clear));
    auto split = SplitTarget();
    CO_RETURN_IF_ERROR(co_await std::move(split));
    auto import_mode = SwitchMode(import_sstpb::Import);
    CO_RETURN_IF_ERROR(co_await std::move(import_mode));
    for (const RangeFiles& range : ranges_) {
      ++report_.rounds;
      auto import = ImportRange(range);
      CO_RETURN_IF_ERROR(co_await std::move(import));
    }
    auto verify = Verify();
    CO_RETURN_IF_ERROR(co_await std::move(verify));
    if (host_.world->bugs().On(Bug::kLockWithoutSession)) {
      auto forget = ForgetRecords("sessions", {"SE", "SI"});
      CO_RETURN_IF_ERROR(co_await std::move(forget));
    }
    if (host_.world->bugs().On(Bug::kHalfCloneLeft)) {
      auto forget = ForgetRecords("half-clones", {"N"});
      CO_RETURN_IF_ERROR(co_await std::move(forget));
    }
    co_return Status::Ok();
  }

  /// What a tool does that takes what former clients left for litter: their sessions, so that nobody ends their locks and open files; the
  /// marks of half-made clones, so that nobody clears the trees away.
  Task<Status> ForgetRecords(std::string step, std::vector<std::string> letters) {
    auto begin = host_.client->Begin(host_.label / step);
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(begin));
    for (const auto& [key, value] : contents_.pairs) {
      const size_t kind = key.find('\xFD') + 1;
      const auto begins = [&](const std::string& with) { return key.compare(kind, with.size(), with) == 0; };
      if (kind != 0 && std::any_of(letters.begin(), letters.end(), begins)) {
        transaction->Delete(key);
      }
    }
    auto commit = transaction->Commit();
    co_return (co_await std::move(commit)).status();
  }

  // ---- the files ----

  Task<Result<Bytes>> Fetch(std::string name, std::string piece, Bytes key) {
    for (;;) {
      auto get = objects_.Get(calls_.labels()->Keyed(piece, key), name);
      Result<Bytes> bytes = co_await std::move(get);
      if (bytes.ok() || bytes.status().code() == StatusCode::kNotFound) {
        co_return bytes;
      }
      auto pause = calls_.Pause(bytes.status());
      CO_RETURN_IF_ERROR(co_await std::move(pause));
    }
  }

  /// Everything is fetched once and verified before anything of the target is touched.
  Task<Status> ReadFiles() {
    objects::MemoryObjectStore copy;
    auto get_meta = Fetch(kBackupMetaName, "get-meta", {});
    CO_ASSIGN_OR_RETURN(const Bytes meta_bytes, co_await std::move(get_meta));
    CO_RETURN_IF_ERROR(copy.Put(kBackupMetaName, meta_bytes));
    CO_ASSIGN_OR_RETURN(contents_.meta, ParseBackupMeta(meta_bytes));
    for (int i = 0; i < contents_.meta.files_size(); ++i) {
      const std::string& name = contents_.meta.files(i).name();
      auto get = Fetch(name, "get-file", std::to_string(i));
      const Result<Bytes> bytes = co_await std::move(get);
      if (bytes.ok()) {
        CO_RETURN_IF_ERROR(copy.Put(name, *bytes));
      } else if (bytes.status().code() != StatusCode::kNotFound) {
        co_return bytes.status();
      }
    }
    CO_ASSIGN_OR_RETURN(contents_, ReadBackup(&copy));
    report_.cut = contents_.cut;
    report_.commit_ts_max = contents_.commit_ts_max;
    if (!contents_.intact() && !host_.world->bugs().On(Bug::kRightNameWrongFile)) {
      const record::Finding& first = contents_.findings.front();
      co_return Status::DataLoss("the backup breaks the rule " + first.kind() + ": " + first.file() + ": " +
                                 first.message());
    }
    ranges_ = GroupByRange(contents_.meta);
    for (const File& file : contents_.meta.files()) {
      ++report_.files;
      report_.file_bytes += file.size();
      sums_.Add(SumsOfFile(file));
    }
    report_.keys = sums_.total_kvs;
    report_.key_bytes = sums_.total_bytes;
    Log("files", report_.files, report_.keys);
    co_return Status::Ok();
  }

  // ---- the clock ----

  Task<Status> AdvanceTimestamps() {
    const Timestamp highest = std::max(contents_.cut, contents_.commit_ts_max);
    if (host_.world->bugs().On(Bug::kTargetClockBehind)) {
      co_return Status::Ok();
    }
    for (;;) {
      auto ask = host_.client->CurrentTimestamp(calls_.labels()->Numbered("tso"));
      CO_ASSIGN_OR_RETURN(const Timestamp now, co_await std::move(ask));
      if (now > highest) {
        co_return Status::Ok();
      }
      Log("clock behind", now.value(), highest.value());
      pdhttp::ResetTsRequest request;
      request.set_tso(std::to_string(highest.value() + 1));
      request.set_force_use_larger(true);
      auto reset = calls_.Call(pd::kResetTs, calls_.PdLeader(), std::move(request), calls_.labels()->Numbered("reset-ts"));
      const Answer<pdhttp::ResetTsResponse> answer = co_await std::move(reset);
      if (answer.ok() && (*answer)->status() == 200) {
        continue;
      }
      auto pause = calls_.PauseForPd(answer.ok() ? Status::Unavailable("PD refuses reset-ts: " + (*answer)->body()) : answer.error());
      CO_RETURN_IF_ERROR(co_await std::move(pause));
    }
  }

  // ---- the target's former content ----

  Task<Status> ClearTarget() {
    if (host_.world->bugs().On(Bug::kNewerTombstoneHidesRestore)) {
      co_return Status::Ok();
    }
    auto count = ScanAll("before");
    CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> visible, co_await std::move(count));
    report_.cleared_keys = visible.size();
    if (!visible.empty() && !options_.clear_target) {
      co_return Status::AlreadyExists("the target is not empty: it holds " + std::to_string(visible.size()) +
                                      " pairs, the first is " + ToHex(visible.front().first));
    }
    // What is not visible (tombstones, locks, old versions) would hide or outlive the restored pairs, so that an empty scan
    // is no reason to leave this out.
    Bytes cursor;
    for (;;) {
      auto scan = calls_.Scan(cursor, {}, 1);
      CO_ASSIGN_OR_RETURN(const std::vector<RegionRoute> routes, co_await std::move(scan));
      const RegionRoute& route = routes.front();
      auto clear = ClearRegion(route);
      const Status status = co_await std::move(clear);
      if (!status.ok()) {
        auto pause = calls_.Pause(status);
        CO_RETURN_IF_ERROR(co_await std::move(pause));
        continue;
      }
      if (route.region.end_key().empty()) {
        co_return Status::Ok();
      }
      cursor = route.region.end_key();
    }
  }

  Task<Status> ClearRegion(RegionRoute route) {
    CO_ASSIGN_OR_RETURN(const Bytes start, DecodeBoundary(route.region.start_key()));
    CO_ASSIGN_OR_RETURN(Bytes end, DecodeBoundary(route.region.end_key()));
    if (!route.region.end_key().empty() && end.empty()) {
      co_return Status::Ok();  // it ends at the encoded empty key and holds none
    }
    if (end.empty()) {
      end.assign(kSentinelBytes, '\xff');
    }
    kvrpcpb::DeleteRangeRequest request;
    *request.mutable_context() = ContextOf(route);
    request.set_start_key(start);
    request.set_end_key(end);
    cleared_.insert({route.region.id(), route.region.region_epoch().version()});
    auto find = calls_.StoreAddress(route.leader.store_id());
    CO_ASSIGN_OR_RETURN(const sim::Address address, co_await std::move(find));
    auto call = calls_.Call(tikv::kKvDeleteRange, address, std::move(request), calls_.labels()->Keyed("clear", start));
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<const kvrpcpb::DeleteRangeResponse> answer, co_await std::move(call));
    if (answer->has_region_error()) {
      co_return FromRegionError(answer->region_error());
    }
    if (!answer->error().empty()) {
      co_return Status::Unavailable("a range cannot be cleared: " + answer->error());
    }
    Log("clear", Hash64(start));
    co_return Status::Ok();
  }

  // ---- splitting ----

  /// The keys at which this region is still to be split, as the request carries them.
  std::vector<Bytes> SplitKeysOf(const RegionRoute& route, bool unencoded) const {
    std::vector<Bytes> keys;
    const auto add = [&](const Bytes& key) {
      const Bytes boundary = unencoded ? key : EncodeKey(key);
      if (boundary > route.region.start_key() && IsBehind(route.region.end_key(), boundary)) {
        keys.push_back(key);
      }
    };
    for (const RangeFiles& range : ranges_) {
      for (const Bytes& key : {range.start, range.end}) {
        if (!key.empty() && (keys.empty() || keys.back() != key)) {
          add(key);
        }
      }
    }
    if (keys.empty() && cleared_.count({route.region.id(), route.region.region_epoch().version()}) > 0) {
      Result<Bytes> start = DecodeBoundary(route.region.start_key());
      if (start.ok()) {
        add(NextKey(*start));
      }
    }
    return keys;
  }

  Task<Status> SplitTarget() {
    const bool unencoded = host_.world->bugs().On(Bug::kSplitKeysUnencoded);
    for (;;) {
      auto scan = calls_.Scan({}, {}, 0);
      CO_ASSIGN_OR_RETURN(const std::vector<RegionRoute> routes, co_await std::move(scan));
      bool done = true;
      Status trouble = Status::Unavailable("PD has not learnt of the split regions yet");
      for (const RegionRoute& route : routes) {
        std::vector<Bytes> keys = SplitKeysOf(route, unencoded);
        if (keys.empty()) {
          continue;
        }
        done = false;
        auto split = SplitRegion(route, std::move(keys), unencoded);
        const Status status = co_await std::move(split);
        trouble = status.ok() ? trouble : status;
      }
      if (done) {
        auto scatter = Scatter(routes);
        co_await std::move(scatter);
        co_return Status::Ok();
      }
      auto pause = calls_.Pause(trouble);
      CO_RETURN_IF_ERROR(co_await std::move(pause));
    }
  }

  Task<Status> SplitRegion(RegionRoute route, std::vector<Bytes> keys, bool unencoded) {
    kvrpcpb::SplitRegionRequest request;
    *request.mutable_context() = ContextOf(route);
    request.set_is_raw_kv(unencoded);
    for (Bytes& key : keys) {
      request.add_split_keys(std::move(key));
    }
    auto find = calls_.StoreAddress(route.leader.store_id());
    CO_ASSIGN_OR_RETURN(const sim::Address address, co_await std::move(find));
    Label label = calls_.labels()->Keyed("split", route.region.start_key());
    auto call = calls_.Call(tikv::kSplitRegion, address, std::move(request), std::move(label));
    CO_ASSIGN_OR_RETURN(const std::shared_ptr<const kvrpcpb::SplitRegionResponse> answer, co_await std::move(call));
    if (answer->has_region_error()) {
      co_return FromRegionError(answer->region_error());
    }
    Log("split", Hash64(route.region.start_key()), static_cast<uint64_t>(answer->regions_size()));
    co_return Status::Ok();
  }

  /// Best effort: regions that stay where they are make a restore slower and not wrong.
  Task<void> Scatter(std::vector<RegionRoute> routes) {
    auto identify = calls_.ClusterId();
    const Result<uint64_t> cluster_id = co_await std::move(identify);
    if (!cluster_id.ok()) {
      co_return;
    }
    pdpb::ScatterRegionRequest request;
    request.mutable_header()->set_cluster_id(*cluster_id);
    request.set_skip_store_limit(true);
    for (const RegionRoute& route : routes) {
      request.add_regions_id(route.region.id());
    }
    auto call = calls_.Call(pd::kScatterRegion, calls_.PdLeader(), std::move(request), calls_.labels()->Numbered("scatter"));
    const Answer<pdpb::ScatterRegionResponse> answer = co_await std::move(call);
    Log("scatter", answer.ok() ? (*answer)->finished_percentage() : 0);
  }

  // ---- import ----

  Task<Status> SwitchMode(import_sstpb::SwitchMode mode) {
    auto list = calls_.Stores();
    CO_ASSIGN_OR_RETURN(const std::vector<metapb::Store> stores, co_await std::move(list));
    for (const metapb::Store& store : stores) {
      for (;;) {
        import_sstpb::SwitchModeRequest request;
        request.set_mode(mode);
        Label label = calls_.labels()->Keyed(mode == import_sstpb::Import ? "import-mode" : "normal-mode",
                                             std::to_string(store.id()));
        auto call = calls_.Call(tikv::kSwitchMode, store.address(), std::move(request), std::move(label));
        const Answer<import_sstpb::SwitchModeResponse> answer = co_await std::move(call);
        if (answer.ok()) {
          break;
        }
        auto pause = calls_.Pause(answer.error());
        CO_RETURN_IF_ERROR(co_await std::move(pause));
      }
    }
    co_return Status::Ok();
  }

  /// Region by region from the left; progress is a key, never a region.
  Task<Status> ImportRange(const RangeFiles& range) {
    const Bytes end = EncodeBoundary(range.end);
    Bytes cursor = EncodeBoundary(range.start);
    for (;;) {
      auto scan = calls_.Scan(cursor, end, 1);
      CO_ASSIGN_OR_RETURN(const std::vector<RegionRoute> routes, co_await std::move(scan));
      const RegionRoute& route = routes.front();
      auto import = importer_.Import(range, route, cursor);
      const Status status = co_await std::move(import);
      if (!status.ok()) {
        auto pause = calls_.Pause(status);
        CO_RETURN_IF_ERROR(co_await std::move(pause));
        continue;
      }
      const Bytes& region_end = route.region.end_key();
      if (region_end.empty() || (!end.empty() && region_end >= end)) {
        break;
      }
      cursor = region_end;
    }
    CoveredRange covered;
    covered.range = KeyRange{range.start, range.end};
    covered.end_ts = contents_.cut;
    for (const File* file : range.files) {
      covered.files.push_back(file->name());
    }
    report_.ranges.push_back(std::move(covered));
    Log("imported", Hash64(range.start));
    co_return Status::Ok();
  }

  // ---- looking afterwards ----

  [[nodiscard]] bool LooksAfterwards() const {
    const sim::PlantedBugs& bugs = host_.world->bugs();
    for (const Bug bug : {Bug::kValueOrCommitFamilyMissing, Bug::kRightNameWrongFile, Bug::kNewerTombstoneHidesRestore,
                          Bug::kTargetClockBehind, Bug::kSplitKeysUnencoded}) {
      if (bugs.is_on(bug)) {
        return false;
      }
    }
    return true;
  }

  Task<Result<std::vector<client::Pair>>> ScanAll(std::string piece) {
    auto ask = host_.client->CurrentTimestamp(calls_.labels()->Numbered("tso"));
    CO_ASSIGN_OR_RETURN(const Timestamp ts, co_await std::move(ask));
    const std::unique_ptr<client::Transaction> reader = host_.client->BeginAt(ts, calls_.labels()->Numbered(piece));
    auto scan = reader->Scan({}, {}, 0);
    co_return co_await std::move(scan);
  }

  Task<Status> Verify() {
    if (!LooksAfterwards()) {
      co_return Status::Ok();
    }
    auto scan = ScanAll("verify");
    CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> restored, co_await std::move(scan));
    ContentSums sums;
    for (const auto& [key, value] : restored) {
      sums.Add(key, value);
      auto expected = contents_.pairs.find(key);
      if (expected == contents_.pairs.end() || expected->second != value) {
        co_return Status::DataLoss("after the restore key " + ToHex(key) +
                                   (expected == contents_.pairs.end() ? " is there and not in the backup"
                                                                      : " has another value than in the backup"));
      }
    }
    if (restored.size() != contents_.pairs.size() || sums != sums_) {
      co_return Status::DataLoss("after the restore " + sums.ToString() + " are visible; the backup says " +
                                 sums_.ToString());
    }
    Log("verified", sums.total_kvs, sums.crc64xor);
    co_return Status::Ok();
  }

  void Log(std::string_view kind, uint64_t a, uint64_t b = 0) { host_.world->log().Add(component_, kind, a, b); }

  ToolHost host_;
  RestoreOptions options_;
  RegionCalls calls_;
  objects::WorldObjectStore objects_;
  PieceImporter importer_;
  RollingDigest* component_;
  ToolReport report_;
  BackupContents contents_;
  std::vector<RangeFiles> ranges_;
  ContentSums sums_;
  /// Regions by id and version that a request to clear was sent to.
  std::set<std::pair<uint64_t, uint64_t>> cleared_;
};

}  // namespace

sim::Task<ToolReport> RunReferenceRestore(ToolHost host, RestoreOptions options) {
  RestoreRun run(std::move(host), options);
  auto running = run.Run();
  co_return co_await std::move(running);
}

}  // namespace kvjury::backup
