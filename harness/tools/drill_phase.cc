// The phases of a drill: the tool's commands, what the fault does meanwhile, and whether it still gets on.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <thread>
#include <tuple>

#include "harness/juicefs/keys.h"
#include "harness/tools/drill_site.h"

namespace kvjury::tools {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

constexpr auto kPoll = milliseconds(20);
// A tool whose time is over and that wrote nothing for so long got on no more.
constexpr auto kStuckAfter = seconds(30);

int64_t MsSince(Clock::time_point begun) { return std::chrono::duration_cast<milliseconds>(Clock::now() - begun).count(); }

using CallCounts = std::map<std::pair<std::string, std::string>, ports::CallLog::Counts>;

/// The number behind an option of a command; 0 if it is not there.
uint64_t NumberOf(const std::string& option, const std::string& line) {
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    if (word.compare(0, option.size() + 1, option + "=") == 0) {
      return std::strtoull(word.c_str() + option.size() + 1, nullptr, 10);
    }
    if (word == option && words >> word) {
      return std::strtoull(word.c_str(), nullptr, 10);
    }
  }
  return 0;
}

/// The store that a file of a backup names by its first number, "1/2_3_write.sst" or "1_2_3_write.sst"; 0 for what none wrote.
uint64_t StoreOfFile(const std::string& name) {
  constexpr std::string_view kSuffix = ".sst";
  const size_t end = name.find_first_not_of("0123456789");
  const bool is_file = name.size() > kSuffix.size() && name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
  return is_file && end != 0 && end != std::string::npos ? std::strtoull(name.c_str(), nullptr, 10) : 0;
}

/// Of the files that stores wrote: a backup's are uploaded by the store that each names; in a restore each store has a peer of each region
/// and downloads all of them.
uint64_t StoreBytesMax(const std::string& phase, objects::ObjectStore* storage) {
  const Result<std::vector<objects::ObjectInfo>> files = storage->List("");
  std::map<uint64_t, uint64_t> bytes_of_store;
  uint64_t all = 0;
  for (const objects::ObjectInfo& file : files.ok() ? *files : std::vector<objects::ObjectInfo>()) {
    if (const uint64_t store = StoreOfFile(file.name); store != 0) {
      bytes_of_store[store] += file.bytes;
      all += file.bytes;
    }
  }
  uint64_t most = 0;
  for (const auto& [store, bytes] : bytes_of_store) {
    most = std::max(most, bytes);
  }
  return phase == "backup" ? most : all;
}

/// What was written or read in how long, and what br was told to stay below: --ratelimit of --ratelimit-unit bytes, a MiB by default.
void AddRate(const std::string& phase, uint64_t bytes, uint64_t store_bytes_max, record::DrillRecord* record) {
  constexpr uint64_t kRateUnit = uint64_t{1} << 20;
  record::DrillRate rate;
  rate.set_phase(phase);
  rate.set_bytes(bytes);
  rate.set_store_bytes_max(store_bytes_max);
  for (const record::DrillCommand& command : record->command()) {
    if (command.phase() == phase) {
      rate.set_took_ms(rate.took_ms() + command.took_ms());
      const uint64_t unit = NumberOf("--ratelimit-unit", command.line());
      rate.set_limit_bytes_per_s(std::max(rate.limit_bytes_per_s(), NumberOf("--ratelimit", command.line()) * (unit == 0 ? kRateUnit : unit)));
    }
  }
  *record->add_rate() = rate;
}

/// "store-2 KvScan 120": what was asked most between two looks.
std::string MostAsked(const CallCounts& before, const CallCounts& after) {
  std::vector<std::pair<uint64_t, std::string>> grown;
  for (const auto& [where, counts] : after) {
    const auto found = before.find(where);
    const uint64_t more = counts.calls - (found == before.end() ? 0 : found->second.calls);
    if (more > 0) {
      grown.emplace_back(more, fmt::format("{} {} {} times", where.first, where.second, more));
    }
  }
  std::sort(grown.rbegin(), grown.rend());
  std::string words;
  for (size_t i = 0; i < std::min<size_t>(grown.size(), 4); ++i) {
    words += (i == 0 ? "" : ", ") + grown[i].second;
  }
  return words.empty() ? "nobody was asked anything" : words;
}

/// A key as it stands in the cluster, and what it is in the volume.
std::string KeyWords(const std::string& volume_name, std::string_view key) {
  std::string words = "\"" + Printable(key) + "\"";
  const std::string prefix = volume_name + '\xfd';
  if (key.substr(0, prefix.size()) == prefix) {
    if (const Result<juicefs::Key> parsed = juicefs::ParseKey(key.substr(prefix.size())); parsed.ok()) {
      words += fmt::format(" ({}: {})", volume_name, juicefs::DescribeKey(*parsed));
    }
  }
  return words;
}

/// Which call waits for which, by what happened since nothing was written any more.
std::string WhoWaits(ports::ServedCluster* cluster, const std::string& volume_name, milliseconds quiet) {
  std::vector<std::string> sentences;
  cluster->live().Run([&]() {
    ports::WhoWaitsQuery query;
    query.since_us = cluster->cluster().world()->scheduler().now_us() - std::chrono::microseconds(quiet).count();
    query.key_words = [&volume_name](std::string_view key) { return KeyWords(volume_name, key); };
    sentences = cluster->WhoWaits(query);
  });
  return sentences.empty() ? "nobody waits" : fmt::format("{}", fmt::join(sentences, "; "));
}

}  // namespace

// What the tool has come to: grows while it gets on.
struct DrillSite::Progress {
  Clock::time_point begun = Clock::now();
  Clock::time_point deadline;
  size_t next_event = 0;
  Clock::time_point changed = Clock::now();
  Written written;
  CallCounts source;
  CallCounts target;
};

std::pair<uint64_t, uint64_t> DrillSite::StorageSize() const {
  std::pair<uint64_t, uint64_t> size;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(words_.at("storage_folder"), error)) {
    if (entry.is_regular_file(error)) {
      ++size.first;
      size.second += entry.file_size(error);
    }
  }
  return size;
}

Status DrillSite::FireEvents(const std::string& phase, int64_t elapsed_ms, size_t* next) {
  constexpr int kHadNoEffect = 3;
  const auto& events = phase == "backup" ? options_.fault.during_backup() : options_.fault.during_restore();
  while (*next < static_cast<size_t>(events.size()) && events[static_cast<int>(*next)].after_ms() <= elapsed_ms) {
    const record::DrillFault::Event& event = events[static_cast<int>(*next)];
    ++*next;
    const std::string control = options_.scratch + (event.at_target() && target_ != nullptr ? "/target" : "/source") + ".control";
    Command command;
    command.arguments = {"/bin/sh", "-c", fmt::format("exec \"$0\" poke \"$1\" {}", event.poke()), options_.kvjury, control};
    command.output = options_.folder + "/poke.said";
    ASSIGN_OR_RETURN(const int code, RunToEnd(command, seconds(10)));
    if (code != 0 && code != kHadNoEffect) {
      return Status::InvalidArgument(fmt::format("fault {}, poke \"{}\": {}", options_.fault.name(), event.poke(), LastLine(command.output)));
    }
    pokes_[event.poke().substr(0, event.poke().find(' '))] += code == 0 ? 1 : 0;
  }
  return Status::Ok();
}

std::map<std::string, uint64_t> DrillSite::FaultsFired() {
  std::map<std::string, uint64_t> fired = s3_->fired_counts();
  for (const auto& [kind, count] : pokes_) {
    fired[kind] += count;
  }
  for (ports::ServedCluster* cluster : {source_.get(), target_.get()}) {
    if (cluster != nullptr) {
      cluster->live().Run([&fired, cluster]() {
        sim::FaultPlan& plan = cluster->cluster().world()->faults();
        for (const auto& [kind, count] : plan.fired_counts()) {
          fired[kind] += count;
        }
        if (!plan.fired_nudges().empty()) {
          fired["nudge"] += plan.fired_nudges().size();
        }
      });
    }
  }
  return fired;
}

DrillSite::Written DrillSite::WrittenSoFar(const std::string& phase) {
  Written written;
  std::tie(written.files, written.bytes) = StorageSize();
  if (phase == "restore") {
    target().live().Run([this, &written]() {
      tikv::Cluster& cluster = target().cluster();
      written.changes = cluster.engine().last_sequence();
      for (const StoreId id : cluster.store_ids()) {
        written.files += cluster.Run(id)->memory.import_files.size();
      }
    });
  }
  return written;
}

std::string DrillSite::Stuck(const std::string& phase, const Progress& progress) {
  const milliseconds quiet(MsSince(progress.changed));
  std::string words = fmt::format("{} wrote nothing for {} s. At the source: {}; asked most since then: {}.", phase, quiet.count() / 1000,
                                  WhoWaits(source_.get(), options_.volume_name, quiet), MostAsked(progress.source, source_->calls().counts()));
  if (&target() != source_.get()) {
    words += fmt::format(" At the target: {}; asked most since then: {}.", WhoWaits(target_.get(), options_.volume_name, quiet),
                         MostAsked(progress.target, target_->calls().counts()));
  }
  return words;
}

record::DrillCommand DrillSite::RunCommand(const std::string& phase, const std::string& line, int number, Progress* progress) {
  record::DrillCommand done;
  done.set_phase(phase);
  done.set_line(line);
  done.set_output_file(fmt::format("{}-{}.out", phase, number));
  Command command;
  command.arguments = {"/bin/sh", "-c", line};
  command.environment = Environment();
  command.folder = options_.working_folder;
  command.output = options_.folder + "/" + done.output_file();
  done.set_began_ms(UnixMs());
  const auto begun = Clock::now();
  Result<Process> process = Process::Start(command);
  if (!process.ok()) {
    done.set_exit_code(127);
    done.set_last_line(process.error().message());
    return done;
  }
  auto looked = begun;
  while (!process->Poll().has_value() && Clock::now() < progress->deadline) {
    const Status fired = FireEvents(phase, MsSince(progress->begun), &progress->next_event);
    event_failure_ = event_failure_.ok() ? fired : event_failure_;
    if (Clock::now() - looked > seconds(1)) {
      looked = Clock::now();
      if (const Written written = WrittenSoFar(phase); written != progress->written) {
        progress->written = written;
        progress->changed = looked;
        progress->source = source_->calls().counts();
        progress->target = target().calls().counts();
      }
    }
    std::this_thread::sleep_for(kPoll);
  }
  done.set_timed_out(!process->Poll().has_value());
  if (done.timed_out() && Clock::now() - progress->changed > kStuckAfter) {
    stuck_ = Stuck(phase, *progress);
  }
  process->Kill();
  done.set_exit_code(process->Poll().value_or(128 + SIGKILL));
  done.set_took_ms(MsSince(begun));
  done.set_last_line(LastLine(command.output));
  return done;
}

Status DrillSite::RunPhase(const std::string& phase, record::DrillRecord* record) {
  Progress progress;
  RETURN_IF_ERROR(FireEvents(phase, 0, &progress.next_event));
  progress.begun = Clock::now();
  progress.deadline = Clock::now() + options_.time_limit;
  progress.source = source_->calls().counts();
  progress.target = target().calls().counts();
  int number = 0;
  for (const std::string& command : phase == "backup" ? options_.recipe.backup() : options_.recipe.restore()) {
    Result<std::string> line = Expand(command, words_);
    if (!line.ok()) {
      return line.error().WithContext(fmt::format("recipe {}, {}", options_.recipe.name(), phase));
    }
    if (options_.on_step) {
      options_.on_step(phase);
    }
    const record::DrillCommand& done = *record->add_command() = RunCommand(phase, *line, ++number, &progress);
    if (done.exit_code() != 0 || done.timed_out()) {
      break;
    }
  }
  const Result<std::unique_ptr<objects::ObjectStore>> storage = Storage();
  AddRate(phase, StorageSize().second, storage.ok() ? StoreBytesMax(phase, storage->get()) : 0, record);
  return event_failure_;
}

}  // namespace kvjury::tools
