// Main of a fuzzer that is built without libFuzzer: replays a corpus and seeded mutations of it.
//
//   kvjury_x_fuzzer CORPUS [MUTATIONS_OF_EACH [SEED]]
//
// Files in byte order of their names; for each the file itself and MUTATIONS_OF_EACH (200) inputs made from it by one to
// four edits. The same corpus, count and seed give the same inputs on every machine. A crash of the target ends the
// process; the input that was running is named by the last line of stderr when KVJURY checks fail, or by running again
// with one file. Exit codes: 0 all inputs ran, 2 wrong usage, 4 there was nothing to run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "fakes/base/check.h"
#include "fakes/base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using kvjury::RandomStream;

constexpr uint64_t kDefaultMutations = 200;
constexpr size_t kInputBytesMax = 64 * 1024;  // mutations only; files run as they are

std::string current_input;  // NOLINT: read by the check context while aborting

std::string CurrentInput() { return "input " + current_input; }

struct CorpusFile {
  std::string name;
  std::string bytes;
};

std::vector<CorpusFile> ReadCorpus(const std::filesystem::path& folder) {
  std::vector<CorpusFile> files;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    if (item.is_regular_file()) {
      std::ifstream stream(item.path(), std::ios::binary);
      std::ostringstream content;
      content << stream.rdbuf();
      files.push_back({item.path().filename().string(), content.str()});
    }
  }
  std::sort(files.begin(), files.end(), [](const CorpusFile& a, const CorpusFile& b) { return a.name < b.name; });
  return files;
}

void EditOnce(RandomStream* random, const std::vector<CorpusFile>& corpus, std::string* bytes) {
  constexpr uint64_t kEdits = 6;
  const uint64_t edit = random->Below(kEdits);
  const size_t at = bytes->empty() ? 0 : random->Below(bytes->size());
  const auto byte = static_cast<char>(random->Below(256));
  if (bytes->empty() || edit == 0) {
    bytes->insert(bytes->begin() + static_cast<std::ptrdiff_t>(at), byte);
  } else if (edit == 1) {
    (*bytes)[at] = byte;
  } else if (edit == 2) {
    (*bytes)[at] = static_cast<char>((*bytes)[at] ^ (1 << random->Below(8)));
  } else if (edit == 3) {
    bytes->erase(at, 1 + random->Below(16));
  } else if (edit == 4) {
    bytes->resize(at);
  } else {
    // A stretch of another file, where it may make sense.
    const std::string& other = random->Pick(corpus).bytes;
    const size_t from = other.empty() ? 0 : random->Below(other.size());
    const size_t count = 1 + random->Below(64);
    bytes->insert(at, other.substr(from, count));
  }
}

void Run(const std::string& name, const std::string& bytes) {
  current_input = name;
  // A copy of exactly this size, so that the address sanitizer sees every read beyond it.
  const std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(copy.data(), copy.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS_OF_EACH [SEED]]\n", argv[0]);
    return 2;
  }
  const uint64_t mutations = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : kDefaultMutations;
  const uint64_t seed = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1;
  kvjury::SetCheckContext(&CurrentInput);
  const std::vector<CorpusFile> corpus = ReadCorpus(argv[1]);
  uint64_t ran = 0;
  for (const CorpusFile& file : corpus) {
    Run(file.name, file.bytes);
    ++ran;
    RandomStream random(seed, file.name);
    for (uint64_t i = 0; i < mutations; ++i) {
      std::string bytes = file.bytes.substr(0, kInputBytesMax);
      const uint64_t edits = 1 + random.Below(4);
      for (uint64_t edit = 0; edit < edits; ++edit) {
        EditOnce(&random, corpus, &bytes);
      }
      Run(file.name + " mutation " + std::to_string(i), bytes);
      ++ran;
    }
  }
  std::printf("%llu inputs ran (%zu files, %llu mutations of each, seed %llu)\n", static_cast<unsigned long long>(ran),
              corpus.size(), static_cast<unsigned long long>(mutations), static_cast<unsigned long long>(seed));
  if (ran == 0) {
    std::fprintf(stderr, "no files in the corpus %s\n", argv[1]);
    return 4;
  }
  return 0;
}
