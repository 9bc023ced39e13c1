#include "harness/juicefs/dump_text.h"

#include <fmt/format.h>

#include "fakes/base/utf8.h"

namespace kvjury::juicefs {

namespace {

constexpr uint32_t kReplacementCharacter = 0xFFFD;

const char* TypeName(uint8_t type) {
  switch (type) {
    case 0:
      return "";
    case kTypeFile:
      return "regular";
    case kTypeDirectory:
      return "directory";
    case kTypeSymlink:
      return "symlink";
    case kTypeFifo:
      return "fifo";
    case kTypeBlockDevice:
      return "blockdev";
    case kTypeCharDevice:
      return "chardev";
    case kTypeSocket:
      return "socket";
    default:
      return "unknown";
  }
}

void AppendEscaped(std::string* out, std::string_view bytes) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  while (!bytes.empty()) {
    uint32_t character = 0;
    const size_t length = Utf8Length(bytes, &character);
    const auto first = static_cast<uint8_t>(bytes.front());
    if (length == 0 || character == kReplacementCharacter || character <= ' ' || character == '%' || character == '"' || character == '\\') {
      *out += '%';
      *out += kDigits[first >> 4];
      *out += kDigits[first & 0xF];
    } else {
      out->append(bytes, 0, length);
    }
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
}

/// As an encoder that knows text only: each other byte is a question mark.
Bytes OnlyText(std::string_view bytes) {
  Bytes text;
  while (!bytes.empty()) {
    uint32_t character = 0;
    const size_t length = Utf8Length(bytes, &character);
    text += length == 0 ? Bytes("?") : Bytes(bytes.substr(0, length));
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

template <class Number>
void AppendNumber(std::string* out, Number number) {
  const fmt::format_int text(number);
  out->append(text.data(), text.size());
}

template <class Number>
void AppendMember(std::string* out, const char* name, Number number) {
  *out += name;
  AppendNumber(out, number);
}

template <class Number>
void AppendUnlessZero(std::string* out, const char* name, Number number) {
  if (number != 0) {
    AppendMember(out, name, number);
  }
}

void AppendAttr(std::string* out, Inode inode, const Attr& attr) {
  AppendMember(out, "{\"inode\":", inode.value());
  AppendUnlessZero(out, ",\"flags\":", attr.flags);
  *out += ",\"type\":\"";
  *out += TypeName(attr.type);
  AppendMember(out, "\",\"mode\":", attr.mode);
  AppendMember(out, ",\"uid\":", attr.uid);
  AppendMember(out, ",\"gid\":", attr.gid);
  AppendMember(out, ",\"atime\":", attr.atime_s);
  AppendMember(out, ",\"mtime\":", attr.mtime_s);
  AppendMember(out, ",\"ctime\":", attr.ctime_s);
  AppendUnlessZero(out, ",\"atimensec\":", attr.atime_ns);
  AppendUnlessZero(out, ",\"mtimensec\":", attr.mtime_ns);
  AppendUnlessZero(out, ",\"ctimensec\":", attr.ctime_ns);
  AppendMember(out, ",\"nlink\":", attr.nlink);
  AppendMember(out, ",\"length\":", attr.type == kTypeFile ? attr.length : 0);
  AppendUnlessZero(out, ",\"rdev\":", attr.rdev);
  AppendUnlessZero(out, ",\"tier\":", attr.tier);
  *out += '}';
}

void AppendAclEntries(std::string* out, const std::vector<AclEntry>& entries) {
  if (entries.empty()) {
    *out += "null";
    return;
  }
  char separator = '[';
  for (const AclEntry& entry : entries) {
    *out += separator;
    separator = ',';
    AppendMember(out, "{\"id\":", entry.id);
    AppendMember(out, ",\"perm\":", entry.permission);
    *out += '}';
  }
  *out += ']';
}

void AppendAcl(std::string* out, const AclRule& rule) {
  AppendMember(out, "{\"owner\":", rule.owner);
  AppendMember(out, ",\"group\":", rule.group);
  AppendMember(out, ",\"other\":", rule.other);
  AppendMember(out, ",\"mask\":", rule.mask);
  *out += ",\"users\":";
  AppendAclEntries(out, rule.users);
  *out += ",\"groups\":";
  AppendAclEntries(out, rule.groups);
  *out += '}';
}

void AppendXattrs(std::string* out, const DumpEntry& entry) {
  char separator = '[';
  for (const auto& [name, value] : entry.xattrs) {
    *out += separator;
    separator = ',';
    *out += "{\"name\":";
    AppendGoJsonString(out, name, GoEncoder::kOfDumps);
    *out += ",\"value\":";
    Bytes escaped = value;
    for (uint32_t i = 0; i < entry.xattr_escapes; ++i) {
      escaped = EscapeDumpText(escaped);
    }
    AppendGoJsonString(out, escaped, GoEncoder::kOfDumps);
    *out += '}';
  }
  *out += ']';
}

void AppendChunk(std::string* out, uint32_t index, const std::vector<SliceRecord>& slices) {
  AppendMember(out, "{\"index\":", index);
  *out += ",\"slices\":[";
  const char* separator = "";
  for (const SliceRecord& slice : slices) {
    *out += separator;
    separator = ",";
    AppendMember(out, "{\"id\":", slice.id);
    AppendUnlessZero(out, ",\"pos\":", slice.position);
    AppendMember(out, ",\"size\":", slice.size);
    AppendUnlessZero(out, ",\"off\":", slice.offset);
    AppendMember(out, ",\"len\":", slice.length);
    *out += '}';
  }
  *out += "]}";
}

/// A list of objects, each given as its members, in lines without indentation.
std::string Lines(char open, const std::vector<std::string>& elements, char close) {
  std::string text(1, open);
  const char* separator = "\n";
  for (const std::string& element : elements) {
    text += separator + element;
    separator = ",\n";
  }
  return text + (elements.empty() ? "" : "\n") + close;
}

std::string QuotaLines(const std::map<std::string, Quota>& quotas) {
  std::vector<std::string> elements;
  for (const auto& [id, quota] : quotas) {
    elements.push_back(fmt::format("\"{}\": {{\n\"maxSpace\": {},\n\"maxInodes\": {}\n}}", id, quota.max_space, quota.max_inodes));
  }
  return Lines('{', elements, '}');
}

/// The head as an encoder without indentation writes it.
std::string PlainHead(const DumpHead& head) {
  Format format = head.format;
  format.tiers_present = true;  // this version writes every member, also of a volume that an older one made
  format.enable_acl_present = true;
  std::vector<std::string> counters = {
      fmt::format("\"usedSpace\": {}", head.used_space),   fmt::format("\"usedInodes\": {}", head.total_inodes),
      fmt::format("\"nextInodes\": {}", head.next_inode),  fmt::format("\"nextChunk\": {}", head.next_chunk),
      fmt::format("\"nextSession\": {}", head.next_session), fmt::format("\"nextTrash\": {}", head.next_trash)};
  if (head.last_changelog != 0) {
    counters.push_back(fmt::format("\"lastChangelog\": {}", head.last_changelog));
  }
  std::vector<std::string> sustained;
  for (const auto& [session, inodes] : head.sustained) {
    std::vector<std::string> numbers;
    for (const Inode inode : inodes) {
      numbers.push_back(std::to_string(inode.value()));
    }
    sustained.push_back(fmt::format("{{\n\"sid\": {},\n\"inodes\": {}\n}}", session, Lines('[', numbers, ']')));
  }
  std::vector<std::string> deleted;
  for (const auto& [file, expire] : head.deleted_files) {
    deleted.push_back(fmt::format("{{\n\"inode\": {},\n\"length\": {},\n\"expire\": {}\n}}", file.first.value(), file.second, expire));
  }
  std::vector<std::string> members = {"\"Setting\": " + EncodeFormat(format, GoEncoder::kOfDumps), "\"Counters\": " + Lines('{', counters, '}'),
                                      "\"Sustained\": " + Lines('[', sustained, ']'), "\"DelFiles\": " + Lines('[', deleted, ']')};
  for (const auto& [name, quotas] : {std::pair("Quotas", &head.dir_quotas), {"UserQuotas", &head.user_quotas}, {"GroupQuotas", &head.group_quotas}}) {
    if (!quotas->empty()) {
      members.push_back(fmt::format("\"{}\": {}", name, QuotaLines(*quotas)));
    }
  }
  if (!head.changelog.empty()) {
    std::vector<std::string> entries;
    for (const auto& [version, entry] : head.changelog) {
      std::string text;
      AppendGoJsonString(&text, entry, GoEncoder::kOfDumps);
      entries.push_back(fmt::format("{{\n\"version\": {},\n\"entry\": {}\n}}", version, text));
    }
    members.push_back("\"ChangeLog\": " + Lines('[', entries, ']'));
  }
  return Lines('{', members, '}');
}

/// Puts two spaces a level in front of each line. A line ends in a bracket only where one opens: texts end in a quote or comma.
std::string Indented(std::string_view plain) {
  std::string text;
  size_t depth = 0;
  while (!plain.empty()) {
    const std::string_view line = plain.substr(0, plain.find('\n'));
    plain.remove_prefix(std::min(plain.size(), line.size() + 1));
    depth -= line.front() == '}' || line.front() == ']' ? 1 : 0;
    text.append(2 * depth, ' ');
    text += line;
    text += plain.empty() ? "" : "\n";
    depth += line.back() == '{' || line.back() == '[' ? 1 : 0;
  }
  return text;
}

}  // namespace

std::string EscapeDumpText(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  AppendEscaped(&text, bytes);
  return text;
}

Status JsonDumpText::Head(const DumpHead& head) {
  text_ = Indented(PlainHead(head));
  text_.resize(text_.size() - 2);  // the trees come before "\n}"
  return Flush();
}

Status JsonDumpText::BeginDirectory(std::string_view name, const DumpEntry& entry) {
  AppendFront(name, entry, false);
  text_ += ',';
  NewLine(1);
  text_ += "\"entries\": {";
  levels_.push_back({levels_.back().depth + 2, false});
  return Flush();
}

Status JsonDumpText::Leaf(std::string_view name, const DumpEntry& entry) {
  AppendFront(name, entry, true);
  AppendChunks(entry);
  NewLine(0);
  text_ += '}';
  return Flush();
}

Status JsonDumpText::EndDirectory() {
  levels_.pop_back();
  CHECK(!levels_.empty());
  NewLine(1);
  text_ += '}';
  NewLine(0);
  text_ += '}';
  return Flush();
}

Status JsonDumpText::End() {
  CHECK_EQ(levels_.size(), 1u);
  text_ += "\n}\n";
  return Flush();
}

void JsonDumpText::AppendFront(std::string_view name, const DumpEntry& entry, bool link_target) {
  text_ += levels_.back().has_sibling ? "," : "";
  levels_.back().has_sibling = true;
  NewLine(0);
  text_ += '"';
  AppendEscaped(&text_, sim::BugOn(bugs_, sim::Bug::kNamesNotUtf8) ? OnlyText(name) : Bytes(name));
  text_ += "\": {";
  NewLine(1);
  text_ += "\"attr\": ";
  Attr attr = entry.attr;
  if (sim::BugOn(bugs_, sim::Bug::kAttributeFieldForgotten)) {
    attr.flags = 0;
    attr.tier = 0;
  }
  AppendAttr(&text_, entry.inode, attr);
  const auto member = [this](const char* label) {
    text_ += ',';
    NewLine(1);
    text_ += label;
  };
  if (link_target && !entry.target.empty()) {
    member("\"symlink\": \"");
    AppendEscaped(&text_, entry.target);
    text_ += '"';
  }
  if (!entry.xattrs.empty()) {
    member("\"xattrs\": ");
    AppendXattrs(&text_, entry);
  }
  if (entry.access_acl.has_value()) {
    member("\"posix_acl_access\": ");
    AppendAcl(&text_, *entry.access_acl);
  }
  if (entry.default_acl.has_value()) {
    member("\"posix_acl_default\": ");
    AppendAcl(&text_, *entry.default_acl);
  }
}

void JsonDumpText::AppendChunks(const DumpEntry& entry) {
  if (entry.chunks.empty()) {
    return;
  }
  text_ += ',';
  NewLine(1);
  text_ += "\"chunks\": [";
  const bool several = entry.chunks.size() > 1;
  const char* separator = "";
  for (const auto& [index, slices] : entry.chunks) {
    text_ += separator;
    separator = ",";
    if (several) {
      NewLine(2);
    }
    AppendChunk(&text_, index, slices);
  }
  if (several) {
    NewLine(1);
  }
  text_ += ']';
}

void JsonDumpText::NewLine(uint32_t extra_depth) {
  text_ += '\n';
  text_.append(2 * size_t{levels_.back().depth + extra_depth}, ' ');
}

Status JsonDumpText::Flush() {
  const Status written = to_->Write(text_);
  text_.clear();
  return written;
}

}  // namespace kvjury::juicefs
