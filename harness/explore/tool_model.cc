#include "harness/explore/tool_model.h"

#include <algorithm>
#include <array>

#include "fakes/base/compress.h"
#include "fakes/base/compress_stream.h"
#include "harness/backup/automatic_backup_model.h"
#include "harness/backup/juicefs_load_model.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/writer.h"

namespace kvjury::explore {

namespace {

using sim::Label;
using sim::Task;

constexpr std::array<ToolModel, 5> kModels = {{
    {.name = "reference"},
    {.name = "juicefs-dump", .rewrites = true},
    {.name = "juicefs-dump-fast", .rewrites = true, .fast = true},
    {.name = "juicefs-dump-binary", .rewrites = true, .binary = true},
    {.name = "backup-meta", .rewrites = true, .fast = true, .automatic = true},
}};
constexpr uint32_t kThreadsByDefault = 10;
constexpr size_t kDumpBytesMax = size_t{1} << 30;

ToolModel ModelOf(const record::Case& c) {
  const Result<ToolModel> model = FindToolModel(c.tool().model());
  CHECK(model.ok()) << model.status().ToString();
  return *model;
}

uint32_t ThreadsOf(const record::Case& c) { return c.tool().threads() > 0 ? c.tool().threads() : kThreadsByDefault; }

Task<Status> Dump(const backup::ToolHost* host, const record::Case* c, Bytes volume, DumpRun* run) {
  const ToolModel model = ModelOf(*c);
  backup::JuicefsDumpOptions options;
  options.volume_name = std::move(volume);
  options.binary = model.binary;
  options.threads = ThreadsOf(*c);
  options.dump.form = model.fast ? juicefs::DumpForm::kFast : juicefs::DumpForm::kWalk;
  options.dump.skip_trash = c->tool().skip_trash();
  options.dump.bugs = &host->world->bugs();
  options.dump.root = RewriteFormOf(*c).top;
  Bytes packed;
  MemorySink memory(&packed);
  const std::unique_ptr<ByteSink> gzip = MakeCompressor(Compression::kGzip, &memory);
  auto dump = backup::RunJuicefsDump(host->client, host->label, options, gzip.get());
  CO_ASSIGN_OR_RETURN(const backup::JuicefsDumpReport report, co_await std::move(dump));
  CO_RETURN_IF_ERROR(gzip->Finish());
  run->object = model.binary ? "dump.bin.gz" : "dump.json.gz";
  CO_RETURN_IF_ERROR(host->objects->Put(run->object, packed));
  run->first_ts = report.first_ts;
  run->last_ts = report.last_ts;
  run->entries = report.dump.entry_count;
  run->report.file_bytes = packed.size();
  co_return Status::Ok();
}

Task<Status> BackUpAutomatically(const backup::ToolHost* host, const record::Case* c, Bytes volume, int64_t wall_ns, DumpRun* run) {
  backup::AutomaticBackupOptions options;
  options.bucket_folder = volume;
  options.volume_name = std::move(volume);
  options.threads = ThreadsOf(*c);
  options.skip_trash = c->tool().skip_trash();
  options.bugs = &host->world->bugs();
  auto look = backup::RunAutomaticBackup(host->client, host->objects, host->label, options, wall_ns);
  CO_ASSIGN_OR_RETURN(const backup::AutomaticBackupReport report, co_await std::move(look));
  if (report.outcome != backup::AutomaticBackupReport::Outcome::kDone) {
    co_return Status::Rejected(report.outcome == backup::AutomaticBackupReport::Outcome::kNotDue
                                   ? "no backup is due: lastBackup says that there was one"
                                   : "no backup: too many inodes for so short an interval");
  }
  run->object = report.object;
  run->first_ts = report.dump.first_ts;
  run->last_ts = report.dump.last_ts;
  run->entries = report.dump.dump.entry_count;
  co_return Status::Ok();
}

// Everything of the volume goes, in one transaction.
Task<Status> Clear(const backup::ToolHost* host, Bytes prefix) {
  auto begin = host->client->Begin(host->label / "clear");
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(begin));
  auto scan = transaction->Scan(prefix, PrefixEnd(prefix), 0);
  CO_ASSIGN_OR_RETURN(const std::vector<client::Pair> left, co_await std::move(scan));
  for (const auto& [key, value] : left) {
    transaction->Delete(key);
  }
  auto commit = transaction->Commit();
  co_return (co_await std::move(commit)).status();
}

// Ids that the dump's head tells and its tree does not show are in use somewhere.
Task<Status> RaiseNextIds(const backup::ToolHost* host, Bytes prefix, const juicefs::VolumeImage* dumped) {
  auto begin = host->client->Begin(host->label / "next-ids");
  CO_ASSIGN_OR_RETURN(const std::unique_ptr<client::Transaction> transaction, co_await std::move(begin));
  for (const char* name : {"nextInode", "nextChunk", "nextTrash"}) {
    const Bytes key = prefix + juicefs::EncodeKey(juicefs::CounterKey(name));
    auto get = transaction->Get(key);
    CO_ASSIGN_OR_RETURN(const std::optional<Bytes> value, co_await std::move(get));
    const Result<int64_t> loaded = value.has_value() ? juicefs::DecodeInt64Le(*value) : Result<int64_t>(0);
    transaction->Put(key, juicefs::EncodeInt64Le(std::max(loaded.ok() ? *loaded : 0, dumped->Counter(name))));
  }
  auto commit = transaction->Commit();
  co_return (co_await std::move(commit)).status();
}

Task<Status> Load(const backup::ToolHost* host, const record::Case* c, Bytes volume, std::string object, bool again, LoadRun* run) {
  const ToolModel model = ModelOf(*c);
  const Bytes prefix = juicefs::VolumePrefix(volume);
  CO_ASSIGN_OR_RETURN(const Bytes packed, host->objects->Get(object));
  CO_ASSIGN_OR_RETURN(const Bytes dump, DecompressByMagic(packed, kDumpBytesMax));
  if (again) {
    auto clear = Clear(host, prefix);
    CO_RETURN_IF_ERROR(co_await std::move(clear));
  }
  backup::JuicefsLoadOptions options;
  options.volume_name = volume;
  options.binary = model.binary;
  options.writers = ThreadsOf(*c);
  options.bugs = &host->world->bugs();
  auto load = backup::RunJuicefsLoad(host->client, host->label, options, dump);
  CO_ASSIGN_OR_RETURN(const backup::JuicefsLoadReport report, co_await std::move(load));
  run->entries = report.entries;
  run->report.keys = report.pairs;
  const bool hides_ids = !model.binary && c->tool().skip_trash();
  if (hides_ids && !host->world->bugs().On(sim::Bug::kSkipTrashLowersNextId)) {
    CO_ASSIGN_OR_RETURN(const juicefs::JsonDump dumped, juicefs::ReadDumpJson("dump", dump));
    auto raise = RaiseNextIds(host, prefix, &dumped.image);
    CO_RETURN_IF_ERROR(co_await std::move(raise));
  }
  co_return Status::Ok();
}

}  // namespace

Result<ToolModel> FindToolModel(const std::string& name) {
  std::string known;
  for (const ToolModel& model : kModels) {
    if (model.name == name || (name.empty() && !model.rewrites)) {
      return model;
    }
    known += (known.empty() ? "" : ", ") + std::string(model.name);
  }
  return Status::InvalidArgument("\"" + name + "\" is not known; known are: " + known);
}

judge::RewriteForm RewriteFormOf(const record::Case& c) {
  const ToolModel model = ModelOf(c);
  judge::RewriteForm form;
  form.binary = model.binary;
  form.without_trash = c.tool().skip_trash() && !model.binary;  // which a binary dump does not look at
  if (c.trigger().dump_inode() != 0 && !model.binary && !model.fast) {
    form.top = Inode(c.trigger().dump_inode());
  }
  return form;
}

sim::Task<DumpRun> RunDumpTool(backup::ToolHost host, record::Case c, Bytes volume, int64_t wall_ns) {
  DumpRun run;
  run.report.cut_asked_us = host.world->scheduler().now_us();
  auto dump = ModelOf(c).automatic ? BackUpAutomatically(&host, &c, std::move(volume), wall_ns, &run) : Dump(&host, &c, std::move(volume), &run);
  run.report.failure = co_await std::move(dump);
  run.report.success = run.report.failure.ok();
  run.report.cut = run.first_ts;
  run.report.files = run.report.success ? 1 : 0;
  run.report.keys = run.entries;
  run.report.rounds = 1;
  co_return run;
}

sim::Task<LoadRun> RunLoadTool(backup::ToolHost host, record::Case c, Bytes volume, std::string object, bool again) {
  LoadRun run;
  auto load = Load(&host, &c, std::move(volume), std::move(object), again, &run);
  run.report.failure = co_await std::move(load);
  run.report.success = run.report.failure.ok();
  run.report.files = run.report.success ? 1 : 0;
  co_return run;
}

}  // namespace kvjury::explore
