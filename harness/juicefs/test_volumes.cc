#include "harness/juicefs/test_volumes.h"

#include <fstream>
#include <sstream>

#include "fakes/base/compress.h"
#include "harness/juicefs/kv_text.h"

namespace kvjury::juicefs {

Bytes ReadVolumeFile(const std::string& volume, const std::string& file) {
  const std::string path = std::string(KVJURY_SOURCE_DIR) + "/scenarios/volumes/" + volume + "/" + file;
  std::ifstream stream(path, std::ios::binary);
  CHECK(stream.good()) << path;
  std::ostringstream content;
  content << stream.rdbuf();
  return content.str();
}

Bytes ReadVolumeText(const std::string& volume, const std::string& file) {
  return DecompressByMagic(ReadVolumeFile(volume, file), size_t{1} << 30).value();
}

const KeyValues& RealVolume(const std::string& volume) {
  static std::map<std::string, KeyValues> cache;
  auto found = cache.find(volume);
  if (found == cache.end()) {
    found = cache.emplace(volume, ParseKvText("kv.tsv.gz", ReadVolumeFile(volume, "kv.tsv.gz")).value()).first;
  }
  return found->second;
}

Bytes Hex(const std::string& spaced_hex) {
  std::string digits;
  for (char c : spaced_hex) {
    if (c != ' ') {
      digits.push_back(c);
    }
  }
  return FromHex(digits).value();
}

}  // namespace kvjury::juicefs
