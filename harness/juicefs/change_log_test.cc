// The change log of our sessions is that of the real client: recorded operations, carried out again, leave the recorded texts.
//
// scenarios/change-log/*.txt tell their form on top; what is not said there are the jobs' texts, which are asked for one by one, from the source.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "fakes/sim/scheduler.h"
#include "harness/juicefs/change_log.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/test_store.h"
#include "harness/juicefs/writer.h"

namespace kvjury::juicefs {
namespace {

constexpr char kVolume[] = "vol";
constexpr Micros kStepUs = 1'500'000;  // so that usage is flushed and parents' times are old
constexpr int64_t kAgeS = 7200;
constexpr int64_t kExplicitTimeMax = 1'700'000'000;

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (c == ',') {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  return words;
}

void SortBatch(std::vector<std::string>* words, std::string* inodes) {
  const std::vector<std::string> numbers = Split(*inodes);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (size_t i = 0; i < numbers.size(); ++i) {
    pairs.emplace_back(words->at(i + 1), numbers[i]);
  }
  std::sort(pairs.begin(), pairs.end());
  std::vector<std::string> sorted;
  for (size_t i = 0; i < pairs.size(); ++i) {
    words->at(i + 1) = pairs[i].first;
    sorted.push_back(pairs[i].second);
  }
  *inodes = fmt::format("{}", fmt::join(sorted, ","));
}

/// Operation and arguments without what hangs on the run, as the recording has them; slices are named by `slices`.
std::string Normal(const std::string& text, std::map<std::string, std::string>* slices) {
  const size_t open = text.find('(');
  const size_t close = text.rfind(')');
  const std::string operation = text.substr(0, open);
  std::vector<std::string> words = Split(text.substr(open + 1, close - open - 1));
  std::string result = text.substr(close + 1);
  const auto name_slice = [slices](std::string* id) {
    *id = slices->try_emplace(*id, fmt::format("slice{}", slices->size() + 1)).first->second;
  };
  if (operation == "SETATTR") {
    for (const auto& [second, nanosecond] : {std::pair{7, 9}, std::pair{8, 10}, std::pair{11, 12}}) {
      if (std::stoll(words.at(second)) > kExplicitTimeMax) {
        words[second] = words[nanosecond] = "now";
      }
    }
  } else if (operation == "WRITE") {
    name_slice(&words.at(3));
    words.at(5) = words.at(6) = "now";
  } else if (operation == "NEWSESSION") {
    words = {words.at(0), "now", "*"};
  } else if (operation == "COMPACTCHUNK") {
    name_slice(&words.at(5));
  } else if (operation == "DELETESLICE") {
    name_slice(&words.at(0));
  } else if (operation == "FLOCK" || operation == "SETLK") {
    words.at(1) = "*";
    words.back() = operation == "SETLK" ? "*" : words.back();
  } else if (operation == "CREATE" && words.at(0) == std::to_string(kTrashInode.value())) {
    words.at(1) = "*";  // the hour
  } else if (operation == "UNLINKBATCH") {
    std::string inodes = result.substr(1);
    SortBatch(&words, &inodes);
    result = ":" + inodes;
  }
  return fmt::format("{}({}){}", operation, fmt::join(words, ","), result);
}

/// Each number, with its sign, as `*`.
std::string WithoutNumbers(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit = [&text](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
    if (!is_digit(i) && !(text[i] == '-' && is_digit(i + 1))) {
      out += text[i];
      continue;
    }
    while (is_digit(i + 1)) {
      ++i;
    }
    out += '*';
  }
  return out;
}

/// "CREATE true" of "CREATE(1,c,...,true):7|(1,2)".
std::string NameAndLastWord(const std::string& record) {
  const size_t end = record.find("):");
  const size_t word = record.rfind(',', end) + 1;
  return record.substr(0, record.find('(')) + " " + record.substr(word, end - word);
}

bool IsBackground(const std::string& text) {
  return text.rfind("INCR_COUNTER(usedSpace,", 0) == 0 || text.rfind("INCR_COUNTER(totalInodes,", 0) == 0 || text.rfind("SET(", 0) == 0 ||
         text.rfind("DIRSTAT(", 0) == 0;
}

/// Sessions with their background on a volume that keeps a change log.
class Sessions {
 public:
  explicit Sessions(uint32_t trash_days) : store_(&scheduler_, {}), scope_(&scheduler_) {
    Format format = DefaultFormat(kVolume, trash_days);
    format.change_log = true;
    format.change_log_age_s_max = kAgeS;
    format.enable_acl = true;
    format.user_group_quota = true;
    store_.Preload(WithPrefix(FormatPairs(format, store_.wall_ns()), kVolume));
  }
  ~Sessions() {
    for (const auto& writer : writers_) {
      writer->Die();
    }
    while (scope_.running() > 0) {
      CHECK(scheduler_.RunOne());
    }
  }

  Writer* Start() {
    WriterOptions options;
    options.id = static_cast<uint32_t>(writers_.size() + 1);
    options.volume_name = kVolume;
    options.wall_ns = [this] { return store_.wall_ns(); };
    writers_.push_back(std::make_unique<Writer>(&store_, options));
    Writer* writer = writers_.back().get();
    RunAll([](Writer* one) -> sim::Task<void> {
      sim::Task<Status> start = one->Start();
      const Status started = co_await std::move(start);
      EXPECT_TRUE(started.ok()) << started;
    }(writer));
    scope_.Spawn("background", writer->RunBackground());
    return writer;
  }
  void Stop(Writer* writer) {
    RunAll([](Writer* one) -> sim::Task<void> {
      sim::Task<Status> stop = one->Stop();
      const Status stopped = co_await std::move(stop);
      EXPECT_TRUE(stopped.ok()) << stopped;
    }(writer));
  }
  /// One operation for each of these writers, all at once.
  void Do(const std::vector<std::pair<Writer*, std::string>>& operations) {
    sim::Scope scope(&scheduler_);
    for (const auto& [writer, text] : operations) {
      record::Operation operation;
      ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &operation)) << text;
      operation.set_id(++last_id_);
      scope.Spawn("operation", DoOne(writer, std::move(operation), text));
    }
    Join(&scope);
  }
  void CollectGarbage(Writer* writer) { RunAll(writer->CollectGarbage()); }
  void Pass(Micros duration_us) {
    RunAll([](sim::Scheduler* scheduler, Micros how_long_us) -> sim::Task<void> {
      co_await scheduler->Sleep(how_long_us, 7);
    }(&scheduler_, duration_us));
  }
  void Put(const KeyValues& pairs) { store_.Preload(WithPrefix(pairs, kVolume)); }

  /// Records that came since the last call, in the order of their timestamps: "OPERATION(...)|(session,number)".
  std::vector<std::string> NewRecords() {
    std::map<uint64_t, std::string> found;
    for (const auto& [bytes, text] : SelectVolume(store_.Snapshot(store_.Now()), kVolume)) {
      const Result<Key> key = ParseKey(bytes);
      if (key.ok() && key->kind == KeyKind::kChangelog && key->number > seen_ts_) {
        EXPECT_EQ(key->shard, ChangeLogShard(Timestamp(key->number)));
        EXPECT_NE(ChangeLogTimeNs(text), 0) << text;
        found[key->number] = text.substr(text.find('|') + 1);
      }
    }
    std::vector<std::string> records;
    for (const auto& [ts, text] : found) {
      seen_ts_ = ts;
      records.push_back(text);
    }
    return records;
  }
  /// The same without session and number.
  std::vector<std::string> NewTexts() {
    std::vector<std::string> texts = NewRecords();
    for (std::string& text : texts) {
      text.resize(text.rfind('|'));
    }
    return texts;
  }
  /// How many records have a timestamp below this one.
  size_t CountBelow(uint64_t ts) {
    size_t count = 0;
    for (const auto& [bytes, text] : SelectVolume(store_.Snapshot(store_.Now()), kVolume)) {
      const Result<Key> key = ParseKey(bytes);
      count += key.ok() && key->kind == KeyKind::kChangelog && key->number < ts ? 1 : 0;
    }
    return count;
  }
  int64_t now_s() { return store_.wall_ns() / 1'000'000'000; }

 private:
  static sim::Task<void> DoOne(Writer* writer, record::Operation operation, std::string text) {
    sim::Task<OperationResult> run = writer->Do(std::move(operation));
    const OperationResult result = co_await std::move(run);
    EXPECT_EQ(result.error, 0) << text;
  }
  void RunAll(sim::Task<void> task) {
    sim::Scope scope(&scheduler_);
    scope.Spawn("test", std::move(task));
    Join(&scope);
  }
  void Join(sim::Scope* scope) {
    while (scope->running() > 0) {
      ASSERT_TRUE(scheduler_.RunOne());
    }
    scope->RethrowFirst();
  }

  sim::Scheduler scheduler_;
  TestStore store_;
  sim::Scope scope_;
  std::vector<std::unique_ptr<Writer>> writers_;
  uint64_t seen_ts_ = 0;
  uint32_t last_id_ = 0;
};

struct Recording {
  struct Step {
    std::string operation;
    std::vector<std::string> texts;
  };
  std::vector<Step> steps;
  std::vector<std::string> background;
};

Recording ReadRecording(const std::string& name) {
  std::ifstream file(std::string(KVJURY_SOURCE_DIR) + "/scenarios/change-log/" + name);
  Recording recording;
  for (std::string line; std::getline(file, line);) {
    const std::string background = "background ";
    if (line.rfind("> ", 0) == 0) {
      recording.steps.push_back({line.substr(2), {}});
    } else if (line.rfind(background, 0) == 0) {
      recording.background.push_back(line.substr(background.size()));
    } else if (line.rfind('#', 0) != 0) {
      recording.steps.at(recording.steps.size() - 1).texts.push_back(line);
    }
  }
  return recording;
}

void ExpectTheSame(const std::string& name, uint32_t trash_days, size_t steps_min) {
  const Recording recording = ReadRecording(name);
  ASSERT_GE(recording.steps.size(), steps_min);
  Sessions sessions(trash_days);
  Writer* writer = nullptr;
  std::map<std::string, std::string> slices;
  std::set<std::string> background;
  for (const Recording::Step& step : recording.steps) {
    if (step.operation == "start") {
      writer = sessions.Start();
    } else if (step.operation == "stop") {
      sessions.Stop(writer);
    } else {
      sessions.Do({{writer, step.operation}});
    }
    sessions.Pass(kStepUs);
    std::vector<std::string> texts;
    for (const std::string& text : sessions.NewTexts()) {
      if (IsBackground(text)) {
        background.insert(WithoutNumbers(text));
      } else {
        texts.push_back(Normal(text, &slices));
      }
    }
    if (step.operation.rfind("remove_tree", 0) == 0 || step.operation.rfind("compact", 0) == 0) {
      std::sort(texts.begin(), texts.end());
    }
    EXPECT_EQ(texts, step.texts) << step.operation;
  }
  EXPECT_THAT(recording.background, testing::IsSupersetOf(background));
  EXPECT_GE(background.size(), 3U);
}

TEST(ChangeLogTexts, AreThoseOfARealMountWithTrash) { ExpectTheSame("with-trash.txt", 1, 70); }

TEST(ChangeLogTexts, AreThoseOfARealMountWithoutTrash) { ExpectTheSame("without-trash.txt", 0, 25); }

TEST(ChangeLogTexts, OfAJobNameWhatItCleaned) {
  Sessions sessions(1);
  Writer* writer = sessions.Start();
  const auto long_ago_s = static_cast<uint64_t>(sessions.now_s() - 3 * 86'400);
  Attr detached;
  detached.type = kTypeDirectory;
  detached.nlink = 2;
  sessions.Put({{EncodeKey(DelayedSlicesKey(long_ago_s, 7)), EncodeSliceNames({{5, 100}})},
                {EncodeKey(DetachedKey(Inode(60))), EncodeInt64Be(sessions.now_s() - 25 * 3600)},
                {EncodeKey(AttrKey(Inode(60))), EncodeAttr(detached)}});
  sessions.NewTexts();
  sessions.CollectGarbage(writer);
  EXPECT_THAT(sessions.NewTexts(),
              testing::ElementsAre(fmt::format("CLEANUP_TRASH_SLICES(7,{})", long_ago_s), "DELETESLICE(5,100)", "CLEANUP(60)"));
  sessions.Put({{EncodeKey(DelayedSlicesKey(long_ago_s, 9)), EncodeSliceNames({{6, 50}})}});
  sessions.Pass(Micros{3'600'000'000} * 5 / 4);
  EXPECT_THAT(sessions.NewTexts(), testing::IsSupersetOf({fmt::format("CLEANUP_DELAYED_SLICES(9,{})", long_ago_s), std::string("DELETESLICE(6,50)")}))
      << "elected";
}

TEST(ChangeLogCleanUp, TakesBatchesOfAThousandUpToTheFirstThatIsYoung) {
  Sessions sessions(1);
  Writer* writer = sessions.Start();
  const auto text_of = [&sessions](int64_t age_s) { return fmt::format("{}.000000000|ACCESS(1)|(1,1)", sessions.now_s() - age_s); };
  KeyValues old;
  for (uint64_t ts = 1; ts <= 1500; ++ts) {
    old[EncodeKey(ChangelogKey(ChangeLogShard(Timestamp(ts)), ts))] = text_of(kAgeS + 1);
  }
  old[EncodeKey(ChangelogKey(3, 1501))] = text_of(kAgeS - 1);
  old[EncodeKey(ChangelogKey(2, 1502))] = text_of(kAgeS + 1);
  sessions.Put(old);
  sessions.CollectGarbage(writer);
  EXPECT_EQ(sessions.CountBelow(1501), 0U);
  EXPECT_EQ(sessions.CountBelow(1503), 2U) << "what comes behind a young one stays";
  EXPECT_EQ(std::count_if(writer->history().begin(), writer->history().end(),
                          [](const DeclaredTransaction& transaction) { return transaction.kind == TransactionKind::kCleanup; }),
            2);
}

TEST(ChangeLogTexts, AfterAConflictAreThoseOfTheTryThatWasCommitted) {
  Sessions sessions(1);
  Writer* first = sessions.Start();
  Writer* second = sessions.Start();
  sessions.Do({{first, "create { path: 'a' mode: 0644 }"}});
  sessions.Do({{second, "create { path: 'b' mode: 0644 }"}});
  sessions.Pass(kStepUs);
  sessions.NewRecords();
  sessions.Do({{first, "create { path: 'c' mode: 0644 }"}, {second, "create { path: 'd' mode: 0644 }"}});
  ASSERT_EQ(first->conflicts() + second->conflicts(), 1U);
  std::vector<std::string> changed;
  for (const std::string& record : sessions.NewRecords()) {
    changed.push_back(NameAndLastWord(record));
  }
  EXPECT_THAT(changed, testing::UnorderedElementsAre("CREATE true", "CREATE false")) << "the parent's times are new at the second try";
}

}  // namespace
}  // namespace kvjury::juicefs
