#include "harness/juicefs/view_json.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "fakes/base/compress.h"

namespace kvjury::juicefs {

namespace {

using nlohmann::json;

void AppendLatin1(std::string* out, std::string_view bytes) {
  out->push_back('"');
  for (char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    switch (c) {
      case '"':
      case '\\':
        out->push_back('\\');
        out->push_back(c);
        break;
      case '\n':
        *out += "\\n";
        break;
      case '\r':
        *out += "\\r";
        break;
      case '\t':
        *out += "\\t";
        break;
      case '\b':
        *out += "\\b";
        break;
      case '\f':
        *out += "\\f";
        break;
      default:
        if (byte >= 0x20 && byte < 0x7F) {
          out->push_back(c);
        } else {
          *out += fmt::format("\\u{:04x}", byte);
        }
    }
  }
  out->push_back('"');
}

/// UTF-8 text of code points up to U+00FF back to bytes. False for anything else.
bool FromLatin1(const std::string& text, Bytes* bytes) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (byte < 0x80) {
      bytes->push_back(text[i]);
      continue;
    }
    if ((byte != 0xC2 && byte != 0xC3) || i + 1 == text.size()) {
      return false;
    }
    ++i;
    bytes->push_back(static_cast<char>((byte & 0x03) << 6 | (static_cast<uint8_t>(text[i]) & 0x3F)));
  }
  return true;
}

/// Reads members of one object; the first one of a wrong form is remembered.
class LineReader {
 public:
  explicit LineReader(const json& object) : object_(object) {}

  Bytes Latin1(const char* name) {
    const auto found = object_.find(name);
    Bytes bytes;
    if (found == object_.end() || !found->is_string() || !FromLatin1(found->get_ref<const std::string&>(), &bytes)) {
      Expect(name, "a string of characters up to U+00FF");
    }
    return bytes;
  }

  uint64_t Number(const char* name) {
    const auto found = object_.find(name);
    if (found == object_.end() || !found->is_number_unsigned()) {
      Expect(name, "a number of 0 or more");
      return 0;
    }
    return found->get<uint64_t>();
  }

  uint32_t Number32(const char* name) {
    const uint64_t number = Number(name);
    if (number > UINT32_MAX) {
      Expect(name, "a 32-bit number");
    }
    return static_cast<uint32_t>(number);
  }

  template <class T>
  T NumberText(const char* name, std::string_view prefix = "", int base = 10) {
    const auto found = object_.find(name);
    T number{};
    const std::string text = found != object_.end() && found->is_string() ? found->get<std::string>() : "";
    const char* end = text.data() + text.size();
    if (text.substr(0, prefix.size()) == prefix && text.size() > prefix.size()) {
      const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, number, base);
      if (error == std::errc() && stop == end) {
        return number;
      }
    }
    Expect(name, "a number as a string");
    return T{};
  }

  void Expect(const std::string& name, const std::string& expected) {
    if (status_.ok()) {
      status_ = Status::DataLoss(fmt::format("member {}: expected {}", name, expected));
    }
  }

  [[nodiscard]] const json& object() const { return object_; }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  const json& object_;
  Status status_;
};

void ReadXattrs(LineReader* reader, ViewEntry* entry) {
  const auto found = reader->object().find("xattrs");
  if (found == reader->object().end()) {
    return;
  }
  if (!found->is_object()) {
    reader->Expect("xattrs", "an object");
    return;
  }
  for (const auto& [name, value] : found->items()) {
    Bytes name_bytes;
    Bytes value_bytes;
    if (!value.is_string() || !FromLatin1(name, &name_bytes) ||
        !FromLatin1(value.get_ref<const std::string&>(), &value_bytes)) {
      reader->Expect("xattrs", "strings of characters up to U+00FF");
      return;
    }
    entry->xattrs[name_bytes] = value_bytes;
  }
}

Status ParseLine(std::string_view line, View* view) {
  const json object = json::parse(line.begin(), line.end(), nullptr, false);
  if (!object.is_object()) {
    return Status::DataLoss("expected a JSON object");
  }
  LineReader reader(object);
  const Bytes path = reader.Latin1("path");
  ViewEntry entry;
  entry.inode = Inode(reader.NumberText<uint64_t>("inode"));
  entry.mode = reader.NumberText<uint32_t>("mode", "0o", 8);
  entry.uid = reader.Number32("uid");
  entry.gid = reader.Number32("gid");
  entry.rdev = reader.Number("rdev");
  entry.size = reader.NumberText<uint64_t>("size");
  entry.nlink = reader.Number32("nlink");
  entry.atime_ns = reader.NumberText<int64_t>("atime_ns");
  entry.mtime_ns = reader.NumberText<int64_t>("mtime_ns");
  entry.ctime_ns = reader.NumberText<int64_t>("ctime_ns");
  if (object.contains("target")) {
    entry.target = reader.Latin1("target");
  }
  if (object.contains("content")) {
    entry.content = reader.Latin1("content");
  }
  if (object.contains("sha256")) {
    entry.sha256 = reader.Latin1("sha256");
  }
  ReadXattrs(&reader, &entry);
  RETURN_IF_ERROR(reader.status());
  if (!view->entries.emplace(path, std::move(entry)).second) {
    return Status::DataLoss("expected every path once, found " + Printable(path) + " again");
  }
  return Status::Ok();
}

}  // namespace

std::string ViewEntryJson(const Bytes& path, const ViewEntry& entry) {
  std::string line = fmt::format("{{\"atime_ns\": \"{}\", ", entry.atime_ns);
  if (!entry.content.empty()) {
    line += fmt::format("\"content\": \"{}\", ", entry.content);
  }
  line += fmt::format("\"ctime_ns\": \"{}\", \"gid\": {}, \"inode\": \"{}\", \"mode\": \"0o{:o}\", \"mtime_ns\": \"{}\", ",
                      entry.ctime_ns, entry.gid, entry.inode.value(), entry.mode, entry.mtime_ns);
  line += fmt::format("\"nlink\": {}, \"path\": ", entry.nlink);
  AppendLatin1(&line, path);
  line += fmt::format(", \"rdev\": {}, ", entry.rdev);
  if (!entry.sha256.empty()) {
    line += fmt::format("\"sha256\": \"{}\", ", entry.sha256);
  }
  line += fmt::format("\"size\": \"{}\", ", entry.size);
  if (entry.target.has_value()) {
    line += "\"target\": ";
    AppendLatin1(&line, *entry.target);
    line += ", ";
  }
  line += fmt::format("\"uid\": {}", entry.uid);
  if (!entry.xattrs.empty()) {
    const char* separator = ", \"xattrs\": {";
    for (const auto& [name, value] : entry.xattrs) {
      line += separator;
      separator = ", ";
      AppendLatin1(&line, name);
      line += ": ";
      AppendLatin1(&line, value);
    }
    line += "}";
  }
  line += "}";
  return line;
}

std::string ViewJson(const View& view) {
  std::string text;
  for (const auto& [path, entry] : view.entries) {
    text += ViewEntryJson(path, entry);
    text += '\n';
  }
  return text;
}

Result<View> ParseViewJson(const std::string& file_name, std::string_view file_bytes, size_t text_bytes_max) {
  const Result<Bytes> decompressed = DecompressByMagic(file_bytes, text_bytes_max);
  if (!decompressed.ok()) {
    return decompressed.error().WithContext(file_name);
  }
  View view;
  std::string_view rest = *decompressed;
  for (uint64_t line_number = 1; !rest.empty(); ++line_number) {
    const size_t end = rest.find('\n');
    const Status status = ParseLine(rest.substr(0, end), &view);
    if (!status.ok()) {
      return status.WithContext(fmt::format("{} line {}", file_name, line_number));
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  view.IndexInodes();
  return view;
}

}  // namespace kvjury::juicefs
