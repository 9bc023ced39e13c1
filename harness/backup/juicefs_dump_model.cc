#include "harness/backup/juicefs_dump_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/juicefs/write_dump_binary.h"

namespace kvjury::backup {

namespace {

using juicefs::DumpEntry;
using juicefs::DumpForm;
using juicefs::Key;
using juicefs::KeyValues;
using juicefs::KeyKind;
using sim::Label;
using sim::Task;

constexpr uint32_t kNamesReadAhead = 10'000;
constexpr uint32_t kNamesOfTruncation = 3;
constexpr uint32_t kScanPage = 10'240;
constexpr Micros kEncodingUs = 500;
constexpr std::array kHeadKinds = {"SS", "QD", "QU", "QG"};
constexpr std::array kBinaryKinds = {"SS", "D", "K", "R", "QD", "QU", "QG", "U"};
constexpr std::array kCounters = {"usedSpace", "totalInodes", "nextInode", "nextChunk", "nextSession", "nextTrash"};

/// What one visit to an inode read.
struct Visit {
  DumpEntry entry;
  /// Of a directory: its names with what they stand for; absent for one that is read again.
  std::optional<std::vector<client::Pair>> names;
};

class DumpRun {
 public:
  DumpRun(client::Store* store, Label label, JuicefsDumpOptions options, ByteSink* to)
      : store_(store),
        label_(std::move(label)),
        options_(std::move(options)),
        to_(to),
        prefix_(juicefs::VolumePrefix(options_.volume_name)),
        text_(to, options_.dump.bugs) {}

  Task<Result<JuicefsDumpReport>> Run() {
    auto run = RunAny();
    CO_RETURN_IF_ERROR(co_await std::move(run));
    co_return report_;
  }

 private:
  /// One directory while its readers run ahead of the text.
  struct Level {
    Level(sim::Scheduler* scheduler, std::vector<client::Pair> all, size_t name_offset)
        : names(std::move(all)), name_at(name_offset), visits(names.size()), taken(names.size(), false), changed(scheduler) {}

    std::vector<client::Pair> names;
    size_t name_at;
    std::vector<std::optional<Visit>> visits;
    std::vector<bool> taken;
    Status failure;
    sim::Notifier changed;
  };

  Task<Status> RunAny() {
    auto setting = PointRead(juicefs::SettingKey(), "setting");
    CO_RETURN_IF_ERROR(co_await std::move(setting));
    if (records_.empty()) {
      co_return Status::NotFound("database is not formatted, please run `juicefs format ...` first");
    }
    CO_ASSIGN_OR_RETURN(const juicefs::Setting decoded, juicefs::DecodeSetting(records_.begin()->second));
    change_log_ = decoded.format.change_log;
    if (options_.binary) {
      auto binary = Binary();
      co_return co_await std::move(binary);
    }
    if (change_log_) {
      auto log = ScanKind("XLOG", "change-log");
      CO_RETURN_IF_ERROR(co_await std::move(log));
    }
    auto deleted = ScanKind("D", "deleted-files");
    CO_RETURN_IF_ERROR(co_await std::move(deleted));
    auto total = PointRead(juicefs::CounterKey("totalInodes"), "total-inodes");
    CO_RETURN_IF_ERROR(co_await std::move(total));
    const bool fast = options_.dump.form == DumpForm::kFast && options_.dump.root == juicefs::kRootInode;
    auto rest = fast ? Fast() : Walk();
    co_return co_await std::move(rest);
  }

  Task<Status> Walk() {
    const bool with_trash = options_.dump.root == juicefs::kRootInode && !options_.dump.skip_trash;
    auto visit_root = VisitInode(options_.dump.root, juicefs::kTypeDirectory);
    CO_ASSIGN_OR_RETURN(Visit root, co_await std::move(visit_root));
    std::optional<Visit> trash;
    if (with_trash) {
      auto visit_trash = VisitInode(juicefs::kTrashInode, juicefs::kTypeDirectory);
      CO_ASSIGN_OR_RETURN(trash, co_await std::move(visit_trash));
    }
    auto rest = HeadRest();
    CO_RETURN_IF_ERROR(co_await std::move(rest));
    CO_ASSIGN_OR_RETURN(const juicefs::DumpHead head, juicefs::DumpHeadOf(records_, options_.dump));
    CO_RETURN_IF_ERROR(text_.Head(head));
    auto tree = WriteDirectory("FSTree", std::move(root));
    CO_RETURN_IF_ERROR(co_await std::move(tree));
    if (trash.has_value()) {
      auto trash_tree = WriteDirectory("Trash", *std::move(trash));
      CO_RETURN_IF_ERROR(co_await std::move(trash_tree));
    }
    co_return text_.End();
  }

  Task<Status> Fast() {
    auto used = PointRead(juicefs::CounterKey("usedSpace"), "used-space");
    CO_RETURN_IF_ERROR(co_await std::move(used));
    auto rules = ScanKind("R", "acl");
    CO_RETURN_IF_ERROR(co_await std::move(rules));
    auto ask = store_->CurrentTimestamp(label_ / "scan");
    CO_ASSIGN_OR_RETURN(const Timestamp ts, co_await std::move(ask));
    Note(ts);
    const std::unique_ptr<client::Transaction> reader = store_->BeginAt(ts, label_ / "scan");
    auto scan = reader->Scan(prefix_, PrefixEnd(prefix_), 0);
    CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> all, co_await std::move(scan));
    for (const auto& [key, value] : all) {
      if (key[prefix_.size()] == 'A') {  // the rest of the scan is not looked at
        records_[key.substr(prefix_.size())] = value;
      }
    }
    auto rest = HeadRest();
    CO_RETURN_IF_ERROR(co_await std::move(rest));
    CO_ASSIGN_OR_RETURN(report_.dump, juicefs::WriteDumpJson(records_, options_.dump, to_));
    co_return Status::Ok();
  }

  Task<Status> Binary() {
    auto ask = store_->CurrentTimestamp(label_ / "tso");
    CO_ASSIGN_OR_RETURN(pinned_, co_await std::move(ask));
    auto counters = Counters();
    CO_RETURN_IF_ERROR(co_await std::move(counters));
    if (change_log_) {
      auto log = ScanKind("XLOG", "change-log");
      CO_RETURN_IF_ERROR(co_await std::move(log));
    }
    CO_ASSIGN_OR_RETURN(const juicefs::DumpHead head, juicefs::DumpHeadOf(records_, options_.dump));
    juicefs::BinaryDumpSegments segments(to_, juicefs::BinaryDumpOrder(), options_.dump.bugs);
    CO_RETURN_IF_ERROR(segments.Head(head, options_.dump.keep_secrets));
    {
      sim::Scope scope(store_->scheduler());
      const uint32_t threads = std::min<uint32_t>(options_.threads, 0xFF);
      for (uint32_t thread = 0; thread < threads; ++thread) {
        const uint32_t step = 0xFF / threads;
        const Bytes start = {'A', static_cast<char>(thread * step)};
        const Bytes end = thread + 1 == threads ? Bytes("B") : Bytes{'A', static_cast<char>((thread + 1) * step)};
        scope.Spawn(fmt::format("range#{}", thread), ScanTree(this, thread, start, end, &segments));
      }
      auto join = scope.Join();
      co_await std::move(join);
    }
    CO_RETURN_IF_ERROR(tree_failure_);
    CO_RETURN_IF_ERROR(segments.EndTree());
    for (const char* kind : kBinaryKinds) {
      auto scan = ScanKind(std::string_view(kind) == "SS" ? juicefs::SustainedPrefix(options_.dump.bugs) : Bytes(kind), kind);
      CO_RETURN_IF_ERROR(co_await std::move(scan));
    }
    co_return segments.Rest(head, records_);
  }

  static Task<void> ScanTree(DumpRun* self, uint32_t thread, Bytes start, Bytes end, juicefs::BinaryDumpSegments* segments) {
    auto scan = self->ScanRange(thread, std::move(start), std::move(end), segments);
    const Status status = co_await std::move(scan);
    if (!status.ok() && self->tree_failure_.ok()) {
      self->tree_failure_ = status;
    }
  }

  Task<Status> ScanRange(uint32_t thread, Bytes start, Bytes end, juicefs::BinaryDumpSegments* segments) {
    ++report_.transactions;
    const std::unique_ptr<client::Transaction> reader = store_->BeginAt(pinned_, label_.Numbered("range", thread));
    Note(pinned_);
    Bytes from = prefix_ + start;
    while (tree_failure_.ok()) {
      auto scan = reader->Scan(from, prefix_ + end, kScanPage);
      CO_ASSIGN_OR_RETURN(std::vector<client::Pair> page, co_await std::move(scan));
      if (sim::BugOn(options_.dump.bugs, sim::Bug::kDumpBufferReused)) {  // another reader fills it before its records are written
        shared_page_ = page;
        co_await store_->scheduler()->Sleep(kEncodingUs);
        page = shared_page_;
      }
      for (const auto& [key, value] : page) {
        report_.dump.entry_count += key.size() > prefix_.size() + 9 && key[prefix_.size() + 9] == 'D' ? 1 : 0;
        CO_RETURN_IF_ERROR(segments->TreeRecord(key.substr(prefix_.size()), value));
      }
      if (page.size() < kScanPage) {
        break;
      }
      from = NextKey(page.back().first);
    }
    co_return Status::Ok();
  }

  /// Counters, sustained files and quotas, a transaction each.
  Task<Status> HeadRest() {
    auto counters = Counters();
    CO_RETURN_IF_ERROR(co_await std::move(counters));
    for (const char* kind : kHeadKinds) {
      auto scan = ScanKind(kind, kind);
      CO_RETURN_IF_ERROR(co_await std::move(scan));
    }
    co_return Status::Ok();
  }

  Task<Status> Counters() {
    auto begin = Begin(label_ / "counters");
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> reader, co_await std::move(begin));
    std::vector<Bytes> keys;
    for (const char* name : kCounters) {
      records_.erase(juicefs::EncodeKey(juicefs::CounterKey(name)));
      keys.push_back(prefix_ + juicefs::EncodeKey(juicefs::CounterKey(name)));
    }
    auto get = reader->BatchGet(keys);
    CO_ASSIGN_OR_RETURN(const auto found, co_await std::move(get));
    for (const auto& [key, value] : found) {
      records_[key.substr(prefix_.size())] = value;
    }
    co_return Status::Ok();
  }

  /// All keys that begin so, in a transaction of their own, into records_.
  Task<Status> ScanKind(Bytes kind, const char* name) {
    auto begin = Begin(label_ / name);
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> reader, co_await std::move(begin));
    const Bytes start = prefix_ + kind;
    auto scan = reader->Scan(start, PrefixEnd(start), 0);
    CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> pairs, co_await std::move(scan));
    for (const auto& [key, value] : pairs) {
      records_[key.substr(prefix_.size())] = value;
    }
    co_return Status::Ok();
  }

  /// One key as it is now, without a timestamp, into records_.
  Task<Status> PointRead(Key key, const char* name) {
    const std::unique_ptr<client::Transaction> reader = store_->BeginAt(Timestamp::Max(), label_ / name);
    const Bytes bytes = juicefs::EncodeKey(key);
    auto get = reader->Get(prefix_ + bytes);
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> value, co_await std::move(get));
    if (value.has_value()) {
      records_[bytes] = *value;
    }
    co_return Status::Ok();
  }

  /// A transaction with a timestamp of its own; in a binary dump at the one that it took.
  Task<Result<std::unique_ptr<client::Transaction>>> Begin(Label label) {
    ++report_.transactions;
    if (pinned_.valid()) {
      Note(pinned_);
      co_return store_->BeginAt(pinned_, std::move(label));
    }
    auto begin = store_->Begin(std::move(label));
    CO_ASSIGN_OR_RETURN(std::unique_ptr<client::Transaction> transaction, co_await std::move(begin));
    Note(transaction->start_ts());
    co_return transaction;
  }

  void Note(Timestamp ts) {
    report_.first_ts = report_.first_ts.valid() ? std::min(report_.first_ts, ts) : ts;
    report_.last_ts = std::max(report_.last_ts, ts);
  }

  /// Reads an inode: attributes, xattrs, ACL rules that were not met before, chunks or target; and the names of a directory by another transaction.
  Task<Result<Visit>> VisitInode(Inode inode, uint8_t dentry_type) {
    auto begin = Begin(label_.Keyed("inode", juicefs::InodeText(inode), 1));
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> reader, co_await std::move(begin));
    KeyValues found;
    auto get = reader->Get(prefix_ + juicefs::EncodeKey(juicefs::AttrKey(inode)));
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> attr_bytes, co_await std::move(get));
    juicefs::Attr attr;
    attr.type = dentry_type;
    if (attr_bytes.has_value()) {
      found[juicefs::EncodeKey(juicefs::AttrKey(inode))] = *attr_bytes;
      CO_ASSIGN_OR_RETURN(attr, juicefs::DecodeAttr(*attr_bytes));
    }
    const Bytes xattrs = juicefs::InodeKeyPrefix(inode, KeyKind::kXattr);
    auto scan_xattrs = ScanInto(reader.get(), xattrs, PrefixEnd(xattrs), &found);
    CO_RETURN_IF_ERROR(co_await std::move(scan_xattrs));
    auto get_access_rule = GetRule(reader.get(), attr.access_acl);
    CO_RETURN_IF_ERROR(co_await std::move(get_access_rule));
    auto get_default_rule = GetRule(reader.get(), attr.default_acl);
    CO_RETURN_IF_ERROR(co_await std::move(get_default_rule));
    found.insert(rules_.begin(), rules_.end());
    Visit visit;
    if (attr.type == juicefs::kTypeFile) {
      const auto chunks = static_cast<uint32_t>(attr.length / juicefs::kChunkBytes) + 1;
      auto scan = ScanInto(reader.get(), juicefs::EncodeKey(juicefs::ChunkKey(inode, 0)), juicefs::EncodeKey(juicefs::ChunkKey(inode, chunks)), &found);
      CO_RETURN_IF_ERROR(co_await std::move(scan));
    } else if (attr.type == juicefs::kTypeSymlink) {
      auto get_target = reader->Get(prefix_ + juicefs::EncodeKey(juicefs::SymlinkKey(inode)));
      CO_ASSIGN_OR_RETURN(const std::optional<Bytes> target, co_await std::move(get_target));
      if (target.has_value()) {
        found[juicefs::EncodeKey(juicefs::SymlinkKey(inode))] = *target;
      }
    } else if (attr.type == juicefs::kTypeDirectory) {
      // Without the guard a small directory has to show it.
      const bool truncates = sim::BugOn(options_.dump.bugs, sim::Bug::kBatchLimitTruncates);
      const uint32_t names_max = truncates ? kNamesOfTruncation : kNamesReadAhead;
      auto read = ReadNames(inode, "names", names_max);
      CO_ASSIGN_OR_RETURN(std::vector<client::Pair> names, co_await std::move(read));
      if (names.size() < names_max || truncates) {
        visit.names = std::move(names);
      }
    }
    CO_ASSIGN_OR_RETURN(visit.entry, juicefs::DumpEntryOf(found, inode, dentry_type, DumpForm::kWalk, &report_.dump, options_.dump.bugs));
    co_return visit;
  }

  Task<Status> ScanInto(client::Transaction* reader, Bytes start, Bytes end, KeyValues* to) {
    auto scan = reader->Scan(prefix_ + start, prefix_ + end, 0);
    CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> pairs, co_await std::move(scan));
    for (const auto& [key, value] : pairs) {
      (*to)[key.substr(prefix_.size())] = value;
    }
    co_return Status::Ok();
  }

  Task<Status> GetRule(client::Transaction* reader, uint32_t rule) {
    const Bytes key = juicefs::EncodeKey(juicefs::AclRuleKey(rule));
    if (rule == 0 || rules_.count(key) != 0) {
      co_return Status::Ok();
    }
    auto get = reader->Get(prefix_ + key);
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> value, co_await std::move(get));
    if (value.has_value()) {
      rules_[key] = *value;
    }
    co_return Status::Ok();
  }

  /// Keys with the volume's prefix.
  Task<Result<std::vector<client::Pair>>> ReadNames(Inode directory, const char* name, uint32_t limit) {
    auto begin = Begin(label_.Keyed(name, juicefs::InodeText(directory), 1));
    CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> reader, co_await std::move(begin));
    const Bytes start = prefix_ + juicefs::InodeKeyPrefix(directory, KeyKind::kDentry);
    auto scan = reader->Scan(start, PrefixEnd(start), limit);
    co_return co_await std::move(scan);
  }

  Task<Status> WriteDirectory(Bytes name, Visit directory) {
    if (!directory.names.has_value()) {
      auto read = ReadNames(directory.entry.inode, "all-names", 0);
      CO_ASSIGN_OR_RETURN(directory.names, co_await std::move(read));
    }
    CO_RETURN_IF_ERROR(text_.BeginDirectory(name, directory.entry));
    const size_t name_at = prefix_.size() + juicefs::InodeKeyPrefix(directory.entry.inode, KeyKind::kDentry).size();
    Level level(store_->scheduler(), *std::move(directory.names), name_at);
    sim::Scope scope(store_->scheduler());
    for (size_t reader = 0; reader < std::min<size_t>(options_.threads, level.names.size()); ++reader) {
      scope.Spawn(fmt::format("directory[{}]#{}", juicefs::InodeText(directory.entry.inode), reader), ReadAhead(this, &level, reader));
    }
    auto write = WriteEntries(&level);
    const Status written = co_await std::move(write);
    level.failure = written.ok() ? level.failure : written;
    level.changed.NotifyAll();
    auto join = scope.Join();
    co_await std::move(join);
    CO_RETURN_IF_ERROR(level.failure);
    co_return text_.EndDirectory();
  }

  Task<Status> WriteEntries(Level* level) {
    for (size_t i = 0; i < level->names.size(); ++i) {
      while (!level->visits[i].has_value() && level->failure.ok()) {
        co_await level->changed.Wait();
      }
      CO_RETURN_IF_ERROR(level->failure);
      Visit visit = *std::move(level->visits[i]);
      level->visits[i].reset();
      level->taken[i] = true;
      level->changed.NotifyAll();
      ++report_.dump.entry_count;
      Bytes name = level->names[i].first.substr(level->name_at);
      if (visit.entry.attr.type == juicefs::kTypeDirectory) {
        auto write = WriteDirectory(std::move(name), std::move(visit));
        CO_RETURN_IF_ERROR(co_await std::move(write));
      } else {
        CO_RETURN_IF_ERROR(text_.Leaf(name, visit.entry));
      }
    }
    co_return Status::Ok();
  }

  /// Every `threads`th entry, each once the one before was taken.
  static Task<void> ReadAhead(DumpRun* self, Level* level, size_t first) {
    for (size_t i = first; i < level->names.size() && level->failure.ok(); i += self->options_.threads) {
      const Result<juicefs::Dentry> dentry = juicefs::DecodeDentry(level->names[i].second);
      if (!dentry.ok()) {
        level->failure = dentry.error();
        break;
      }
      auto read = self->VisitInode(dentry->inode, dentry->type);
      Result<Visit> visit = co_await std::move(read);
      if (!visit.ok()) {
        level->failure = level->failure.ok() ? visit.error() : level->failure;
        break;
      }
      level->visits[i] = *std::move(visit);
      level->changed.NotifyAll();
      while (!level->taken[i] && level->failure.ok()) {
        co_await level->changed.Wait();
      }
    }
    level->changed.NotifyAll();
  }

  client::Store* store_;
  Label label_;
  JuicefsDumpOptions options_;
  ByteSink* to_;
  Bytes prefix_;
  juicefs::JsonDumpText text_;
  bool change_log_ = false;
  Timestamp pinned_;
  KeyValues records_;  // of the head, and in a fast dump all; without the prefix
  KeyValues rules_;    // that were met
  Status tree_failure_;
  std::vector<client::Pair> shared_page_;
  JuicefsDumpReport report_;
};

Task<Result<JuicefsDumpReport>> RunDump(std::unique_ptr<DumpRun> run) {
  auto task = run->Run();
  co_return co_await std::move(task);
}

}  // namespace

Task<Result<JuicefsDumpReport>> RunJuicefsDump(client::Store* store, Label label, JuicefsDumpOptions options, ByteSink* to) {
  return RunDump(std::make_unique<DumpRun>(store, std::move(label), std::move(options), to));
}

}  // namespace kvjury::backup
