// The session: setting, records, heartbeats, the clean-up of sessions whose client is gone, and the end.
#include <fmt/format.h>

#include "harness/juicefs/change_log.h"
#include "harness/juicefs/rfc3339.h"
#include "harness/juicefs/writer_arguments.h"
#include "harness/juicefs/writer_run.h"

namespace kvjury::juicefs {

namespace {

constexpr int64_t kMetaVersionMax = 1;
constexpr int64_t kYearS = 365 * 86'400;
constexpr int64_t kOldHeartbeatLeaseS = 300;  // of clients before 1.0
constexpr size_t kStaleSessionsMax = 1000;    // of one clean-up

template <class Lock>
Status AddOwners(Result<std::vector<Lock>> locks, uint64_t session, const Key& key, std::vector<std::pair<Key, uint64_t>>* found) {
  RETURN_IF_ERROR(locks.status());
  for (const Lock& lock : *locks) {
    if (lock.session == session) {
      found->emplace_back(key, lock.owner);
    }
  }
  return Status::Ok();
}

template <class Lock, class Encode>
Result<Bytes> WithoutOwner(Result<std::vector<Lock>> locks, Encode encode, uint64_t session, uint64_t owner) {
  RETURN_IF_ERROR(locks.status());
  std::vector<Lock> left;
  for (Lock& lock : *locks) {
    if (lock.session != session || lock.owner != owner) {
      left.push_back(std::move(lock));
    }
  }
  return left.empty() ? Bytes() : encode(left);
}

}  // namespace

sim::Task<Result<std::optional<Bytes>>> Writer::PointRead(sim::Label label, Key key) {
  const std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), std::move(label));
  Attempt reader(transaction.get(), &prefix_, 0);
  co_return co_await reader.GetRaw(key);
}

sim::Task<Result<int64_t>> Writer::PointReadCounter(sim::Label label, const char* name) {
  const std::unique_ptr<client::Transaction> transaction = store_->BeginAt(Timestamp::Max(), std::move(label));
  Attempt reader(transaction.get(), &prefix_, 0);
  co_return co_await reader.GetCounter(name);
}

sim::Task<Result<Format>> Writer::ReadSetting(sim::Label label) {
  sim::Task<Result<std::optional<Bytes>>> read = PointRead(std::move(label), SettingKey());
  Result<std::optional<Bytes>> text = co_await std::move(read);
  if (!text.ok()) {
    co_return text.error();
  }
  if (!text->has_value()) {
    co_return Status::NotFound("database is not formatted, please run `juicefs format ...` first");
  }
  Result<Setting> setting = DecodeSetting(**text);
  if (!setting.ok()) {
    co_return setting.error();
  }
  co_return std::move(setting->format);
}

Bytes Writer::ExpiryRecord() const {
  const Micros heartbeat_us = options_.mount.heartbeat_period_us;
  return EncodeInt64Be(WallSeconds() + (heartbeat_us > 0 ? 5 * heartbeat_us / 1'000'000 : kYearS));
}

Bytes Writer::InformationRecord() const {
  return fmt::format("{{\"Version\":\"1.4.1\",\"HostName\":\"writer-{}\",\"IPAddrs\":[\"10.0.0.{}\"],"
                     "\"MountPoint\":\"/jfs\",\"MountTime\":\"{}\",\"ProcessID\":{}}}",
                     options_.id, options_.id % 250 + 1, Rfc3339(options_.wall_ns()), 1000 + options_.id);
}

sim::Task<Status> Writer::PutSessionRecords(Attempt* attempt, SessionArguments* arguments) {
  for (const auto& [key, value] : arguments->records) {
    attempt->PutRaw(key, value);
  }
  attempt->log = arguments->log;
  co_return Status::Ok();
}

sim::Task<Status> Writer::Start() {
  CHECK(!started_ && session_id_ == 0) << "a writer starts once";
  sim::Task<Result<Format>> read = ReadSetting(label_ / "setting");
  Result<Format> setting = co_await std::move(read);
  if (!setting.ok()) {
    co_return setting.error();
  }
  setting_ = *std::move(setting);
  if (setting_.enable_acl) {
    const Status rules = co_await ReadAclRules();
    CO_RETURN_IF_ERROR(rules);
  }
  if (!options_.mount.read_only) {
    Context context = MakeContext(label_ / "session");
    IdArguments number{"nextSession", 1, 0};
    if (co_await Run(&context, TransactionKind::kSession, &Writer::IncrementCounter, &number) != 0) {
      co_return Status::Unavailable("no session number");
    }
    session_id_ = static_cast<uint64_t>(number.value);
    SessionArguments records;
    records.records = {{SessionKey(KeyKind::kSessionExpiry, session_id_), ExpiryRecord()},
                       {SessionKey(KeyKind::kSessionInfo, session_id_), InformationRecord()}};
    SessionArguments information;
    if (!setting_.change_log) {
      information.records = {records.records.back()};
      records.records.pop_back();
    } else {
      const Bytes expiry = records.records.front().second;
      records.log = fmt::format("NEWSESSION({},{},{})", session_id_, DecodeInt64Be(expiry).value(), ChangeLogText(records.records.back().second));
    }
    if (co_await Run(&context, TransactionKind::kSession, &Writer::PutSessionRecords, &records) != 0) {
      co_return Status::Unavailable("no session expiry");
    }
    if (!information.records.empty() &&
        co_await Run(&context, TransactionKind::kSession, &Writer::PutSessionRecords, &information) != 0) {
      co_return Status::Unavailable("no session information");
    }
    co_await LoadQuotas(&context);
  }
  started_ = true;
  changed_.NotifyAll();
  co_return Status::Ok();
}

sim::Task<Status> Writer::RefreshSession(Attempt* attempt, SessionArguments*) {
  const Key key = SessionKey(KeyKind::kSessionExpiry, session_id_);
  Result<std::optional<Bytes>> old = co_await attempt->GetRaw(key);
  if (!old.ok()) {
    co_return old.error();
  }
  if (!old->has_value()) {
    // Somebody took it for dead.
    attempt->PutRaw(SessionKey(KeyKind::kSessionInfo, session_id_), InformationRecord());
  }
  attempt->PutRaw(key, ExpiryRecord());
  co_return Status::Ok();
}

sim::Task<bool> Writer::ReloadSetting(Context* context) {
  sim::Task<Result<Format>> read = ReadSetting(context->label / "setting");
  Result<Format> setting = co_await std::move(read);
  if (!setting.ok()) {
    co_return setting.status().code() != StatusCode::kNotFound;  // all else is a warning
  }
  if (setting->meta_version > kMetaVersionMax || setting->uuid != setting_.uuid) {
    co_return false;
  }
  setting_ = *std::move(setting);
  co_return true;
}

sim::Task<void> Writer::Beat(Context* context) {
  if (!options_.mount.read_only && options_.mount.heartbeat_period_us > 0) {
    SessionArguments none;
    co_await Run(context, TransactionKind::kSession, &Writer::RefreshSession, &none);
  }
  const bool ours = co_await ReloadSetting(context);
  if (!ours) {
    Die();
  }
  if (dead_) {
    co_return;
  }
  sim::Task<Result<int64_t>> read_space = PointReadCounter(context->label / "used-space", "usedSpace");
  const Result<int64_t> space = co_await std::move(read_space);
  used_space_ = space.ok() ? *space : used_space_;
  sim::Task<Result<int64_t>> read_inodes = PointReadCounter(context->label / "total-inodes", "totalInodes");
  const Result<int64_t> inodes = co_await std::move(read_inodes);
  used_inodes_ = inodes.ok() ? *inodes : used_inodes_;
  co_await LoadQuotas(context);
  if (options_.mount.read_only || options_.mount.no_background_jobs || options_.mount.heartbeat_period_us == 0) {
    co_return;
  }
  const bool elected = co_await Elected(context, "lastCleanupSessions", options_.mount.heartbeat_period_us);
  if (elected && !stopped_) {
    background_->Spawn(context->label.text() + "/stale", CleanStaleSessions(MakeContext(context->label / "stale")));
  }
}

sim::Task<Status> Writer::FindSessions(Attempt* attempt, StaleArguments* arguments) {
  arguments->sessions.clear();
  for (const KeyKind kind : {KeyKind::kSessionExpiry, KeyKind::kSessionHeartbeat}) {
    const bool old_form = kind == KeyKind::kSessionHeartbeat;
    const int64_t edge_s = WallSeconds() - (old_form ? kOldHeartbeatLeaseS : 0);
    Result<std::vector<std::pair<Key, Bytes>>> records = co_await attempt->ScanLetters(old_form ? "SH" : "SE");
    if (!records.ok()) {
      co_return records.error();
    }
    for (const auto& [key, value] : *records) {
      Result<int64_t> time_s = DecodeInt64Be(value);
      if (!time_s.ok()) {
        co_return time_s.error();
      }
      if (*time_s < edge_s && arguments->sessions.size() < kStaleSessionsMax) {
        arguments->sessions.push_back(key.id);
      }
    }
  }
  co_return Status::Ok();
}

sim::Task<void> Writer::CleanStaleSessions(Context context) {
  context.kind = TransactionKind::kSession;
  StaleArguments arguments;
  if (co_await Run(&context, TransactionKind::kSession, &Writer::FindSessions, &arguments) != 0) {
    co_return;
  }
  for (const uint64_t session : arguments.sessions) {
    if (stopped_) {
      co_return;
    }
    // Read for the client's log alone.
    sim::Label label = context.label.Numbered("session", session);
    sim::Task<Result<std::optional<Bytes>>> expiry = PointRead(label / "expiry", SessionKey(KeyKind::kSessionExpiry, session));
    static_cast<void>(co_await std::move(expiry));
    sim::Task<Result<std::optional<Bytes>>> information = PointRead(label / "info", SessionKey(KeyKind::kSessionInfo, session));
    static_cast<void>(co_await std::move(information));
    co_await CleanSession(&context, session);
  }
}

sim::Task<Status> Writer::FindLeftovers(Attempt* attempt, StaleArguments* arguments) {
  arguments->found.clear();
  const uint64_t session = arguments->session;
  if (arguments->kind == KeyKind::kSustained) {
    const Bytes start = EncodeKey(SustainedKey(session, Inode())).substr(0, 10);
    Result<std::vector<std::pair<Key, Bytes>>> records = co_await attempt->ScanRange(start, PrefixEnd(start), 0);
    if (!records.ok()) {
      co_return records.error();
    }
    for (const auto& [key, value] : *records) {
      arguments->found.emplace_back(key, 0);
    }
    co_return Status::Ok();
  }
  Result<std::vector<std::pair<Key, Bytes>>> records =
      co_await attempt->ScanLetters(arguments->kind == KeyKind::kFlocks ? "F" : "P");
  if (!records.ok()) {
    co_return records.error();
  }
  for (const auto& [key, value] : *records) {
    const Status added = arguments->kind == KeyKind::kFlocks ? AddOwners(DecodeFlocks(value), session, key, &arguments->found)
                                                             : AddOwners(DecodePlocks(value), session, key, &arguments->found);
    CO_RETURN_IF_ERROR(added);
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::DropLocks(Attempt* attempt, StaleArguments* arguments) {
  const Key key = arguments->lock;
  Result<std::optional<Bytes>> value = co_await attempt->GetRaw(key);
  if (!value.ok()) {
    co_return value.error();
  }
  const Bytes locks = value->value_or(Bytes());
  Result<Bytes> left = key.kind == KeyKind::kFlocks
                           ? WithoutOwner(DecodeFlocks(locks), EncodeFlocks, arguments->session, arguments->owner)
                           : WithoutOwner(DecodePlocks(locks), EncodePlocks, arguments->session, arguments->owner);
  if (!left.ok()) {
    co_return left.error();
  }
  if (left->empty()) {
    attempt->DeleteRaw(key);
  } else {
    attempt->PutRaw(key, *std::move(left));
  }
  co_return Status::Ok();
}

sim::Task<Status> Writer::RemoveSessionRecords(Attempt* attempt, StaleArguments* arguments) {
  attempt->DeleteRaw(SessionKey(KeyKind::kSessionExpiry, arguments->session));
  attempt->DeleteRaw(SessionKey(KeyKind::kSessionHeartbeat, arguments->session));
  attempt->DeleteRaw(SessionKey(KeyKind::kSessionInfo, arguments->session));
  attempt->log = fmt::format("CLEANSESSION({})", arguments->session);
  co_return Status::Ok();
}

sim::Task<int> Writer::CleanSession(Context* context, uint64_t session) {
  int first_error = 0;
  StaleArguments arguments;
  arguments.session = session;
  for (const KeyKind kind : {KeyKind::kFlocks, KeyKind::kPlocks, KeyKind::kSustained}) {
    arguments.kind = kind;
    int error = co_await Run(context, TransactionKind::kSession, &Writer::FindLeftovers, &arguments);
    first_error = first_error != 0 ? first_error : error;
    const std::vector<std::pair<Key, uint64_t>> found = error == 0 ? arguments.found : std::vector<std::pair<Key, uint64_t>>();
    for (const auto& [key, owner] : found) {
      arguments.lock = key;
      arguments.owner = owner;
      if (kind == KeyKind::kSustained) {
        error = co_await DropSustained(context, session, key.inode);
      } else {
        error = co_await Run(context, TransactionKind::kSession, &Writer::DropLocks, &arguments);
      }
      first_error = first_error != 0 ? first_error : error;
    }
  }
  if (first_error != 0) {
    co_return first_error;
  }
  co_return co_await Run(context, TransactionKind::kSession, &Writer::RemoveSessionRecords, &arguments);
}

void Writer::Die() {
  dead_ = true;
  EndBackground();
}

void Writer::Redirect(client::Store* store, BlockStore* blocks) {
  CHECK(stopped_ && !busy_) << "a session is redirected while it stands still";
  store_ = store;
  options_.blocks = blocks;
  options_.backup = nullptr;
  stopped_ = false;
  used_space_ = -1;
  used_inodes_ = -1;
}

void Writer::ForgetCaches() {
  trash_hour_name_.clear();
  trash_hour_ = Inode();
  open_files_.clear();
  removed_open_files_.clear();
  acl_cache_ = AclCache();
  quotas_ = QuotaBook();
}

sim::Task<Status> Writer::Stop() {
  EndBackground();
  if (dead_ || !started_ || options_.mount.read_only) {
    co_return Status::Ok();
  }
  Context context = MakeContext(label_ / "close");
  context.kind = TransactionKind::kSession;
  while (!open_files_.empty()) {
    co_await CloseHandle(&context, open_files_.begin()->first);
  }
  int error = co_await Flush(&context);
  const int charged = co_await FlushQuotas(&context);
  error = error != 0 ? error : charged;
  const int cleaned = co_await CleanSession(&context, session_id_);
  error = error != 0 ? error : cleaned;
  if (error != 0) {
    co_return Status::Unavailable("the session was not closed whole");
  }
  co_return Status::Ok();
}

}  // namespace kvjury::juicefs
