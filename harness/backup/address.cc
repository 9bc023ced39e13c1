#include "harness/backup/address.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/dump_json.h"
#include "harness/juicefs/format.h"
#include "harness/juicefs/keys.h"
#include "harness/juicefs/kv_text.h"
#include "harness/juicefs/view_json.h"

namespace kvjury::backup {

namespace {

using juicefs::KeyValues;

constexpr size_t kWarningsOfAKindMax = 5;
constexpr char kOpened[] = "kv://, dump://, dump-bin://, br://, br+s3://, tikv://, mount:// and view://";

/// %23 and %25, and any other two hex digits.
Result<Bytes> UnescapePercent(std::string_view text) {
  Bytes bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      bytes.push_back(text[i]);
      continue;
    }
    Result<Bytes> byte = FromHex(text.substr(i + 1, 2));
    if (!byte.ok() || byte->size() != 1) {
      return Status::InvalidArgument("a '%' in an address is followed by two hex digits (%25 for '%' itself, %23 for '#')");
    }
    bytes += *byte;
    i += 2;
  }
  return bytes;
}

Result<Scheme> SchemeOf(std::string_view name, std::string_view text) {
  if (name == "kv") {
    return Scheme::kKv;
  }
  if (name == "dump") {
    return Scheme::kDump;
  }
  if (name == "dump-bin") {
    return Scheme::kDumpBinary;
  }
  if (name == "br") {
    return Scheme::kBr;
  }
  if (name == "br+s3") {
    return Scheme::kBrS3;
  }
  if (name == "tikv") {
    return Scheme::kTikv;
  }
  if (name == "mount") {
    return Scheme::kMount;
  }
  if (name == "view") {
    return Scheme::kView;
  }
  for (const std::string_view known : {"sim"}) {
    if (name == known) {
      return Status::Unsupported("\"" + std::string(text) + "\": " + std::string(known) + ":// cannot be opened; " + kOpened + " can");
    }
  }
  return Status::InvalidArgument("\"" + std::string(text) + "\" has the unknown scheme \"" + Printable(name) +
                                 "\": expected one of " + kOpened);
}

/// One file, read as an object of its folder.
Result<Bytes> ReadFile(const std::string& path) {
  const std::filesystem::path file(path);
  const std::string folder = file.has_parent_path() ? file.parent_path().string() : ".";
  ASSIGN_OR_RETURN(const std::unique_ptr<objects::ObjectStore> store,
                   objects::DirectoryObjectStore::Open(folder, objects::DirectoryObjectStore::Access::kReadOnly));
  return store->Get(file.filename().string());
}

/// `crypter.method=...&crypter.key=...`, as br's flags of these names.
Result<Cipher> ParseCrypter(std::string_view text) {
  Cipher cipher;
  std::optional<Bytes> hex;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::string_view name = part.substr(0, part.find('='));
    ASSIGN_OR_RETURN(const Bytes value, UnescapePercent(part.substr(std::min(part.size(), name.size() + 1))));
    if (name == "crypter.method") {
      ASSIGN_OR_RETURN(cipher.method, ParseCipherMethod(value));
    } else if (name == "crypter.key" && !hex.has_value()) {
      hex = value;
    } else if (name == "crypter.key-file" && !hex.has_value()) {
      ASSIGN_OR_RETURN(hex, ReadFile(value));
      hex->erase(hex->find_last_not_of(" \t\r\n") + 1);
    } else {
      return Status::InvalidArgument("\"" + Printable(name) +
                                     "\" behind '?' of a br:// address: expected crypter.method, and crypter.key or "
                                     "crypter.key-file once");
    }
  }
  if (hex.has_value()) {
    const Result<Bytes> key = FromHex(*hex);
    if (!key.ok()) {
      return Status::InvalidArgument("crypter.key: expected hex digits, two a byte");
    }
    cipher.key = *key;
  }
  if (cipher.key.size() != CipherKeyBytes(cipher.method)) {
    return Status::InvalidArgument("crypter.key: expected " + std::to_string(CipherKeyBytes(cipher.method)) +
                                   " bytes in hex for this crypter.method, got " + std::to_string(cipher.key.size()));
  }
  return cipher;
}

/// `endpoint=...&access-key=...`, as br takes it behind s3://bucket/prefix ('_' and '-' are one); what belongs to the cipher is left
/// in `rest`.
Status ParseS3(std::string_view text, ::backup::S3* s3, std::string* rest) {
  s3->set_force_path_style(true);
  const std::map<std::string_view, void (*)(::backup::S3*, const Bytes&)> setters = {
      {"endpoint", [](::backup::S3* to, const Bytes& value) { to->set_endpoint(value); }},
      {"region", [](::backup::S3* to, const Bytes& value) { to->set_region(value); }},
      {"access-key", [](::backup::S3* to, const Bytes& value) { to->set_access_key(value); }},
      {"secret-access-key", [](::backup::S3* to, const Bytes& value) { to->set_secret_access_key(value); }},
      {"session-token", [](::backup::S3* to, const Bytes& value) { to->set_session_token(value); }},
      {"force-path-style", [](::backup::S3* to, const Bytes& value) { to->set_force_path_style(value == "true"); }}};
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    std::string name(part.substr(0, part.find('=')));
    std::replace(name.begin(), name.end(), '_', '-');
    if (name.rfind("crypter.", 0) == 0) {
      *rest += (rest->empty() ? "" : "&") + std::string(part);
      continue;
    }
    ASSIGN_OR_RETURN(const Bytes value, UnescapePercent(part.substr(std::min(part.size(), name.size() + 1))));
    const auto setter = setters.find(name);
    if (setter == setters.end()) {
      return Status::InvalidArgument("\"" + Printable(name) + "\" behind '?' of a br+s3:// address: expected endpoint, region, access-key, "
                                     "secret-access-key, session-token, force-path-style or crypter.method");
    }
    if (name == "force-path-style" && value != "true" && value != "false") {
      return Status::InvalidArgument("force-path-style of a br+s3:// address: expected true or false");
    }
    setter->second(s3, value);
  }
  return Status::Ok();
}

/// The value behind each of `names`, in their order; every other name is an error.
Status ParseFiles(std::string_view text, const std::vector<std::pair<std::string_view, std::string*>>& names) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::string_view name = part.substr(0, part.find('='));
    const auto known = std::find_if(names.begin(), names.end(), [name](const auto& entry) { return entry.first == name; });
    if (known == names.end()) {
      return Status::InvalidArgument("\"" + Printable(name) + "\" behind '?' of a tikv:// address: expected ca, cert and key");
    }
    ASSIGN_OR_RETURN(*known->second, UnescapePercent(part.substr(std::min(part.size(), name.size() + 1))));
  }
  return Status::Ok();
}

/// `pd1:2379,pd2:2379/vol@TS?ca=...`, all behind tikv://; a volume behind '#' is in its place already.
Status ParseTikv(std::string_view rest, Address* address) {
  if (const size_t question = rest.find('?'); question != std::string_view::npos) {
    RETURN_IF_ERROR(ParseFiles(rest.substr(question + 1),
                               {{"ca", &address->ca}, {"cert", &address->certificate}, {"key", &address->key}}));
    rest = rest.substr(0, question);
  }
  if (address->certificate.empty() != address->key.empty() || (!address->certificate.empty() && address->ca.empty())) {
    return Status::InvalidArgument("cert and key of a tikv:// address belong together, and need ca");
  }
  std::string_view members = rest.substr(0, rest.find('/'));
  std::string_view path = rest.substr(std::min(rest.size(), members.size() + 1));
  if (const size_t at = path.rfind('@'); at != std::string_view::npos) {
    const std::string_view digits = path.substr(at + 1);
    uint64_t value = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() || value == 0 || value == UINT64_MAX) {
      return Status::InvalidArgument("\"" + Printable(digits) + "\" behind '@' of a tikv:// address: expected a timestamp of PD, such "
                                     "as 470647200531087367 (a '@' of the volume's name is %40)");
    }
    address->cut = Timestamp(value);
    path = path.substr(0, at);
  }
  while (!members.empty()) {
    const std::string_view member = members.substr(0, members.find(','));
    members.remove_prefix(std::min(members.size(), member.size() + 1));
    const size_t colon = member.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == member.size() ||
        member.find_first_not_of("0123456789", colon + 1) != std::string_view::npos) {
      return Status::InvalidArgument("\"" + Printable(member) + "\" in a tikv:// address: expected host:port of PD");
    }
    address->members.emplace_back(member);
  }
  if (address->members.empty()) {
    return Status::InvalidArgument("expected host:port of PD behind tikv://");
  }
  ASSIGN_OR_RETURN(address->path, UnescapePercent(path));
  if (!address->path.empty() && address->volume.has_value()) {
    return Status::InvalidArgument("a tikv:// address names its volume in the path or behind '#', not in both");
  }
  if (!address->path.empty()) {
    address->volume = address->path;
  }
  return Status::Ok();
}

std::string JoinNames(const std::vector<Bytes>& names) {
  std::string text;
  for (const Bytes& name : names) {
    text += (text.empty() ? "" : ", ") + (name.empty() ? std::string("one without a name") : Printable(name));
  }
  return text.empty() ? "none" : text;
}

Status NoSuchVolume(const Address& address, const std::vector<Bytes>& names) {
  return Status::NotFound(address.text + ": no volume \"" + Printable(*address.volume) + "\"; it holds " + JoinNames(names));
}

/// Finds the volumes among the pairs and keeps the one that was asked for.
Status ChooseVolume(OpenedSource* source) {
  juicefs::VolumeSplit split = juicefs::SplitVolumes(source->pairs);
  for (const juicefs::VolumePairs& volume : split.volumes) {
    source->volume_names.push_back(volume.name);
  }
  const bool unprefixed = split.volumes.size() == 1 && !split.volumes.front().prefixed;
  if (unprefixed) {
    source->content = OpenedSource::Content::kVolume;
  } else if (!split.remainder.empty()) {
    source->warnings.push_back(std::to_string(split.remainder.size()) + " keys belong to no volume, the first is " +
                               ToHex(split.remainder.begin()->first));
  }
  if (!source->address.volume.has_value()) {
    if (source->volume_names.empty()) {
      source->warnings.push_back("it holds no volume (no setting key among " + std::to_string(source->pairs.size()) + " pairs)");
    }
    return Status::Ok();
  }
  const Bytes& wanted = *source->address.volume;
  for (juicefs::VolumePairs& volume : split.volumes) {
    if (volume.name == wanted && volume.prefixed) {
      source->pairs = std::move(volume.pairs);
      source->content = OpenedSource::Content::kVolume;
      source->volume_names = {wanted};
      return Status::Ok();
    }
  }
  return NoSuchVolume(source->address, source->volume_names);
}

Result<OpenedSource> OpenKv(const Address& address) {
  OpenedSource source;
  source.address = address;
  ASSIGN_OR_RETURN(const Bytes bytes, ReadFile(address.path));
  ASSIGN_OR_RETURN(source.pairs, juicefs::ParseKvText(address.path, bytes));
  RETURN_IF_ERROR(ChooseVolume(&source));
  return source;
}

Result<OpenedSource> OpenDump(const Address& address) {
  OpenedSource source;
  source.address = address;
  source.content = OpenedSource::Content::kViews;
  ASSIGN_OR_RETURN(const Bytes bytes, ReadFile(address.path));
  ASSIGN_OR_RETURN(juicefs::JsonDump dump, juicefs::ReadDumpJson(address.path, bytes));
  const Bytes name = dump.image.setting.has_value() ? dump.image.setting->format.name : Bytes();
  source.volume_names = {name};
  if (address.volume.has_value() && *address.volume != name) {
    return NoSuchVolume(address, source.volume_names);
  }
  Result<juicefs::View> view = juicefs::BuildView(dump.image);
  if (!view.ok()) {
    return Status::DataLoss(address.text + ": " + view.error().message());
  }
  source.views[name] = *std::move(view);
  source.image = std::move(dump.image);
  for (size_t i = 0; i < dump.problems.size() && i < kWarningsOfAKindMax; ++i) {
    source.warnings.push_back(dump.problems[i]);
  }
  for (const juicefs::JsonDumpLoss& loss : juicefs::JsonDumpLosses()) {
    if (loss.in_view) {
      source.warnings.push_back("a JSON dump does not hold " + loss.name + ": " + loss.sentence);
    }
  }
  return source;
}

Result<OpenedSource> OpenDumpBinary(const Address& address) {
  OpenedSource source;
  source.address = address;
  source.content = OpenedSource::Content::kVolume;
  ASSIGN_OR_RETURN(const Bytes bytes, ReadFile(address.path));
  ASSIGN_OR_RETURN(source.pairs, juicefs::ReadDumpBinary(address.path, bytes));
  const auto setting = source.pairs.find(juicefs::EncodeKey(juicefs::SettingKey()));
  if (setting == source.pairs.end()) {
    return Status::DataLoss(address.text + ": it holds no setting");
  }
  ASSIGN_OR_RETURN(const juicefs::Setting decoded, juicefs::DecodeSetting(setting->second));
  source.volume_names = {decoded.format.name};
  if (address.volume.has_value() && *address.volume != decoded.format.name) {
    return NoSuchVolume(address, source.volume_names);
  }
  source.warnings = juicefs::BinaryDumpLosses();
  return source;
}

Result<OpenedSource> OpenView(const Address& address) {
  ASSIGN_OR_RETURN(const Bytes bytes, ReadFile(address.path));
  ASSIGN_OR_RETURN(juicefs::View view, juicefs::ParseViewJson(address.path, bytes));
  return SourceFromView(address, std::move(view));
}

void WarnOfBackup(const BackupContents& contents, std::vector<std::string>* warnings) {
  for (size_t i = 0; i < contents.unproven.size() && i < kWarningsOfAKindMax; ++i) {
    const KeyRange& gap = contents.unproven[i];
    warnings->push_back("no file covers " + DescribeRange(gap.start, gap.end) +
                        ": whether the source was empty there cannot be told from the backup alone");
  }
  for (size_t i = 0; i < contents.hazards.size() && i < kWarningsOfAKindMax; ++i) {
    warnings->push_back(contents.hazards[i]);
  }
  if (!contents.findings.empty()) {
    warnings->push_back("the backup is damaged: " + contents.findings.front().message());
  }
}

Result<OpenedSource> OpenBr(const Address& address) {
  ASSIGN_OR_RETURN(const std::unique_ptr<objects::ObjectStore> store,
                   objects::DirectoryObjectStore::Open(address.path, objects::DirectoryObjectStore::Access::kReadOnly));
  return OpenBackup(address, store.get());
}

Result<OpenedSource> OpenFile(const Address& address) {
  switch (address.scheme) {
    case Scheme::kKv:
      return OpenKv(address);
    case Scheme::kDump:
      return OpenDump(address);
    case Scheme::kDumpBinary:
      return OpenDumpBinary(address);
    case Scheme::kBr:
      return OpenBr(address);
    case Scheme::kView:
      return OpenView(address);
    case Scheme::kBrS3:
    case Scheme::kTikv:
    case Scheme::kMount:
      break;
  }
  return Status::Unsupported("\"" + address.text + "\" is no file and cannot be opened here");
}

}  // namespace

Result<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos) {
    return Status::InvalidArgument("\"" + Printable(text) + "\" is no address: expected kv://FILE, dump://FILE, dump-bin://FILE, "
                                   "br://FOLDER, br+s3://BUCKET/PREFIX, tikv://PD/VOLUME, mount://FOLDER or view://FILE");
  }
  Address address;
  address.text = std::string(text);
  ASSIGN_OR_RETURN(address.scheme, SchemeOf(text.substr(0, colon), text));
  std::string_view rest = text.substr(colon + 3);
  if (const size_t hash = rest.find('#'); hash != std::string_view::npos) {
    ASSIGN_OR_RETURN(address.volume, UnescapePercent(rest.substr(hash + 1)));
    if (address.volume->empty()) {
      return Status::InvalidArgument("\"" + Printable(text) + "\": expected the name of a volume behind '#'");
    }
    rest = rest.substr(0, hash);
  }
  if (address.scheme == Scheme::kTikv) {
    RETURN_IF_ERROR(ParseTikv(rest, &address));
    address.text = std::string(text.substr(0, text.find('?')));
    return address;
  }
  const bool in_s3 = address.scheme == Scheme::kBrS3;
  std::string_view behind_question;
  if (const size_t question = rest.find('?'); (in_s3 || address.scheme == Scheme::kBr) && question != std::string_view::npos) {
    behind_question = rest.substr(question + 1);
    rest = rest.substr(0, question);
    address.text = std::string(text.substr(0, colon + 3)) + std::string(rest) +
                   (address.volume.has_value() ? std::string(text.substr(text.find('#'))) : std::string());
  }
  std::string crypter(behind_question);
  if (in_s3) {
    crypter.clear();
    RETURN_IF_ERROR(ParseS3(behind_question, &address.s3, &crypter));
  }
  ASSIGN_OR_RETURN(address.cipher, ParseCrypter(crypter));
  ASSIGN_OR_RETURN(address.path, UnescapePercent(rest));
  if (in_s3) {
    address.s3.set_bucket(address.path.substr(0, address.path.find('/')));
    address.s3.set_prefix(address.path.substr(std::min(address.path.size(), address.s3.bucket().size() + 1)));
  }
  if (address.path.empty() || (in_s3 && address.s3.bucket().empty()) || address.path.find('\0') != std::string::npos) {
    return Status::InvalidArgument("\"" + Printable(text) + "\": expected a path behind ://");
  }
  return address;
}

juicefs::KeyValues OpenedSource::PairsOf(const Bytes& name) const {
  CHECK(content != Content::kViews);
  CHECK(std::find(volume_names.begin(), volume_names.end(), name) != volume_names.end()) << Printable(name);
  return content == Content::kVolume ? pairs : juicefs::SelectVolume(pairs, name);
}

Result<OpenedSource> SourceFromPairs(const Address& address, KeyValues pairs) {
  OpenedSource source;
  source.address = address;
  source.pairs = std::move(pairs);
  RETURN_IF_ERROR(ChooseVolume(&source));
  return source;
}

Result<OpenedSource> SourceFromView(const Address& address, juicefs::View view) {
  if (address.volume.has_value()) {
    return Status::NotFound(address.text + ": it shows one volume and does not tell its name; leave \"#" + Printable(*address.volume) + "\" out");
  }
  OpenedSource source;
  source.address = address;
  source.content = OpenedSource::Content::kViews;
  source.volume_names = {Bytes()};
  source.views.emplace(Bytes(), std::move(view));
  return source;
}

Result<OpenedSource> OpenBackup(const Address& address, objects::ObjectStore* store) {
  OpenedSource source;
  source.address = address;
  BackupReadOptions options;
  options.cipher = address.cipher;
  ASSIGN_OR_RETURN(BackupContents contents, ReadBackup(store, options));
  source.pairs = std::move(contents.pairs);
  contents.pairs.clear();
  source.cut = contents.cut;
  WarnOfBackup(contents, &source.warnings);
  source.backup = std::move(contents);
  RETURN_IF_ERROR(ChooseVolume(&source));
  return source;
}

Result<OpenedSource> OpenAddress(const Address& address) {
  Result<OpenedSource> source = OpenFile(address);
  if (!source.ok() && source.error().message().find(address.path) == std::string::npos) {
    return source.error().WithContext(address.text);
  }
  return source;
}

Result<OpenedSource> OpenAddress(std::string_view text) {
  ASSIGN_OR_RETURN(const Address address, ParseAddress(text));
  return OpenAddress(address);
}

}  // namespace kvjury::backup
