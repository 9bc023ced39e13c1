// Writing and reading SST files: RocksDB's own format in every compression, and the memory codec.
#include <benchmark/benchmark.h>

#include "fakes/base/memcomparable.h"
#include "fakes/base/mvcc_records.h"
#include "fakes/tikv/sst_file.h"

namespace kvjury::tikv {
namespace {

constexpr uint64_t kEntries = 10'000;

std::vector<SstEntry> Entries() {
  std::vector<SstEntry> entries;
  entries.reserve(kEntries);
  for (uint64_t i = 0; i < kEntries; ++i) {
    const std::string number = std::to_string(kEntries + i);
    WriteRecord record{.type = WriteType::kPut, .start_ts = Timestamp(1'000 + i)};
    record.short_value = "a value of a small file's attribute " + number;
    entries.push_back({"z" + EncodeVersionedKey("vol" + number, Timestamp(2'000 + i)), record.Encode()});
  }
  return entries;
}

SstCodec CodecOf(const benchmark::State& state) { return state.range(0) != 0 ? SstCodec::kRocksDb : SstCodec::kMemory; }
SstCompression CompressionOf(const benchmark::State& state) { return static_cast<SstCompression>(state.range(1)); }

uint64_t BytesOf(const std::vector<SstEntry>& entries) {
  uint64_t bytes = 0;
  for (const SstEntry& entry : entries) {
    bytes += entry.key.size() + entry.value.size();
  }
  return bytes;
}

void BM_SstWrite(benchmark::State& state) {
  const std::vector<SstEntry> entries = Entries();
  size_t file_bytes = 0;
  for (auto _ : state) {
    const Result<Bytes> file = WriteSst(entries, CodecOf(state), CompressionOf(state));
    CHECK(file.ok()) << file.status().ToString();
    file_bytes = file->size();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kEntries));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(BytesOf(entries)));
  state.counters["file_bytes"] = static_cast<double>(file_bytes);
}

void BM_SstRead(benchmark::State& state) {
  const std::vector<SstEntry> entries = Entries();
  const Result<Bytes> file = WriteSst(entries, CodecOf(state), CompressionOf(state));
  CHECK(file.ok()) << file.status().ToString();
  for (auto _ : state) {
    const Result<std::vector<SstEntry>> read = ReadSst(*file);
    CHECK(read.ok()) << read.status().ToString();
    CHECK_EQ(read->size(), entries.size());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kEntries));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(BytesOf(entries)));
}

// {1 for RocksDB or 0 for memory, compression}
void Kinds(benchmark::internal::Benchmark* bench) {
  for (const SstCompression compression :
       {SstCompression::kNone, SstCompression::kSnappy, SstCompression::kLz4, SstCompression::kZstd}) {
    bench->Args({1, static_cast<int64_t>(compression)});
  }
  bench->Args({0, static_cast<int64_t>(SstCompression::kNone)})->ArgNames({"rocksdb", "compression"});
}
BENCHMARK(BM_SstWrite)->Apply(Kinds);
BENCHMARK(BM_SstRead)->Apply(Kinds);

}  // namespace
}  // namespace kvjury::tikv
