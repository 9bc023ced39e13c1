// Dumps, loads and the view of a generated volume of a million inodes: inodes a second, and memory beyond the keys and values.
//
// peak_extra_MiB is how far the process's highest resident memory during one run stands above that before it. The volume's records are in
// memory before; what is written goes to a file or is only counted, so that all of it is what the work itself needs.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "fakes/base/compress_stream.h"
#include "fakes/base/file_source.h"
#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/format_volume.h"
#include "harness/juicefs/image.h"
#include "harness/juicefs/load_json.h"
#include "harness/juicefs/view.h"
#include "harness/juicefs/write_dump.h"

namespace kvjury::juicefs {
namespace {

constexpr uint32_t kDirectories = 50'000;
constexpr uint32_t kFiles = 820'000;  // with links, symlinks and the trash about a million inodes

/// `VmRSS:` or `VmHWM:` of this process, in KiB.
uint64_t MemoryKib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  std::string word;
  uint64_t value = 0;
  while (status >> word) {
    if (word == name) {
      status >> value;
      return value;
    }
  }
  CHECK(false) << name;
  return 0;
}

/// From construction to Report: the highest memory above that of the beginning.
class PeakMemory {
 public:
  PeakMemory() {
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";  // the highest value begins anew
    before_ = MemoryKib("VmRSS:");
  }
  void Report(benchmark::State* state) const {
    const uint64_t peak = MemoryKib("VmHWM:");
    state->counters["peak_extra_MiB"] = static_cast<double>(peak > before_ ? peak - before_ : 0) / 1024;
  }

 private:
  uint64_t before_;
};

class FileSink : public ByteSink {
 public:
  explicit FileSink(const std::string& path) : file_(std::fopen(path.c_str(), "wb")) { CHECK(file_ != nullptr) << path; }
  ~FileSink() override { std::fclose(file_); }
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  Status Write(std::string_view bytes) override {
    CHECK_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file_), bytes.size());
    bytes_ += bytes.size();
    return Status::Ok();
  }
  Status Finish() override { return Status::Ok(); }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  std::FILE* file_;
  uint64_t bytes_ = 0;
};

/// Keeps nothing but what a load asks for: the inode records of files with several names.
class CountingTarget : public LoadTarget {
 public:
  CountingTarget() : attr_(EncodeAttr(Attr{})) {}
  Status Put(const Bytes& key, const Bytes& value) override {
    bytes_ += key.size() + value.size();
    return Status::Ok();
  }
  Result<std::optional<Bytes>> Get(const Bytes&) override { return std::optional<Bytes>(attr_); }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  Bytes attr_;
  uint64_t bytes_ = 0;
};

struct Volume {
  KeyValues records;
  uint64_t inodes = 0;
  std::string folder;
  [[nodiscard]] std::string File(bool binary) const { return folder + (binary ? "/dump.bin" : "/dump.json"); }

  Volume() {
    GenerateOptions options;
    options.directories = kDirectories;
    options.files = kFiles;
    records = GenerateVolume(options);
    for (const auto& [key, value] : records) {
      inodes += key.size() == 10 && key.front() == 'A' && key.back() == 'I' ? 1 : 0;
    }
    char path[] = "/tmp/kvjury-dump-bench-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    folder = path;
  }
  ~Volume() { std::filesystem::remove_all(folder); }
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;
};

const Volume& Million() {
  static const Volume volume;
  return volume;
}

void Write(const Volume& volume, bool binary, DumpForm form, uint64_t* bytes) {
  FileSink file(volume.File(binary));
  BufferedSink sink(&file);
  DumpOptions options;
  options.form = form;
  const Result<DumpReport> report = binary ? WriteDumpBinary(volume.records, options, &sink) : WriteDumpJson(volume.records, options, &sink);
  CHECK(report.ok()) << report.status().ToString();
  CHECK_GT(report->entry_count, uint64_t{kFiles});
  CHECK(sink.Finish().ok());
  *bytes = file.bytes();
}

void Count(const Volume& volume, uint64_t bytes, benchmark::State* state) {
  state->SetItemsProcessed(static_cast<int64_t>(volume.inodes) * static_cast<int64_t>(state->iterations()));
  state->counters["inodes"] = static_cast<double>(volume.inodes);
  state->counters["MiB"] = static_cast<double>(bytes) / (1 << 20);
}

void BM_WriteDump(benchmark::State& state, bool binary, DumpForm form) {
  const Volume& volume = Million();
  const PeakMemory memory;
  uint64_t bytes = 0;
  for (auto _ : state) {
    Write(volume, binary, form, &bytes);
  }
  memory.Report(&state);
  Count(volume, bytes, &state);
}

void BM_LoadDump(benchmark::State& state, bool binary) {
  const Volume& volume = Million();
  uint64_t bytes = 0;
  Write(volume, binary, DumpForm::kWalk, &bytes);
  const PeakMemory memory;
  for (auto _ : state) {
    const std::unique_ptr<ByteSource> file = OpenFileSource(volume.File(binary)).value();
    const std::unique_ptr<ByteSource> source = OpenDecompressed(file.get()).value();
    CountingTarget target;
    const Result<LoadReport> report = binary ? LoadDumpBinary("bench", source.get(), &target) : LoadDumpJson("bench", source.get(), &target);
    CHECK(report.ok()) << report.status().ToString();
    CHECK_GT(report->pair_count, 2 * volume.inodes);
    benchmark::DoNotOptimize(target.bytes());
  }
  memory.Report(&state);
  Count(volume, bytes, &state);
}

// The decoded records and what a mount shows of them.
void BM_View(benchmark::State& state) {
  const Volume& volume = Million();
  const PeakMemory memory;
  for (auto _ : state) {
    const VolumeImage image = BuildImage(volume.records);
    const Result<View> view = BuildView(image);
    CHECK(view.ok()) << view.status().ToString();
    CHECK_GT(view->entries.size(), size_t{kFiles});
  }
  memory.Report(&state);
  Count(volume, 0, &state);
}

BENCHMARK(BM_View)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(BM_WriteDump, json, false, DumpForm::kWalk)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(BM_WriteDump, json_fast, false, DumpForm::kFast)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(BM_WriteDump, binary, true, DumpForm::kWalk)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(BM_LoadDump, json, false)->Unit(benchmark::kMillisecond)->Iterations(2);
BENCHMARK_CAPTURE(BM_LoadDump, binary, true)->Unit(benchmark::kMillisecond)->Iterations(2);

}  // namespace
}  // namespace kvjury::juicefs
