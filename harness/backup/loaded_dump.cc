#include "harness/backup/loaded_dump.h"

#include "fakes/base/compress_stream.h"
#include "fakes/base/file_source.h"
#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/format.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/load_json.h"

namespace kvjury::backup {

Result<OpenedSource> OpenRecords(const Address& address) {
  if (address.scheme != Scheme::kDump) {
    return OpenAddress(address);
  }
  OpenedSource source;
  source.address = address;
  source.content = OpenedSource::Content::kVolume;
  ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> file, OpenFileSource(address.path));
  Result<std::unique_ptr<ByteSource>> text = OpenDecompressed(file.get());
  if (!text.ok()) {
    return text.error().WithContext(address.path);
  }
  juicefs::KeyValuesTarget target(&source.pairs);
  RETURN_IF_ERROR(juicefs::LoadDumpJson(address.path, text->get(), &target).status());
  ASSIGN_OR_RETURN(const juicefs::Setting setting, juicefs::DecodeSetting(source.pairs.at(juicefs::EncodeKey(juicefs::SettingKey()))));
  source.volume_names = {setting.format.name};
  if (address.volume.has_value() && *address.volume != setting.format.name) {
    return Status::NotFound(address.text + ": no volume \"" + Printable(*address.volume) + "\"; it holds " + Printable(setting.format.name));
  }
  for (const juicefs::JsonDumpLoss& loss : juicefs::JsonDumpLosses()) {
    if (loss.in_view) {
      source.warnings.push_back("a JSON dump does not hold " + loss.name + ": " + loss.sentence);
    }
  }
  return source;
}

}  // namespace kvjury::backup
