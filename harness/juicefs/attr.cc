#include "harness/juicefs/attr.h"

#include <fmt/format.h>

namespace kvjury::juicefs {

namespace {

constexpr size_t kFixedBytes = 63;
constexpr size_t kModeBits = 12;

void AppendFixed(Bytes* out, const Attr& attr) {
  out->push_back(static_cast<char>(attr.flags));
  AppendBe16(out, static_cast<uint16_t>(attr.type << kModeBits | (attr.mode & 0xFFF)));
  AppendBe32(out, attr.uid);
  AppendBe32(out, attr.gid);
  AppendBe64(out, static_cast<uint64_t>(attr.atime_s));
  AppendBe32(out, attr.atime_ns);
  AppendBe64(out, static_cast<uint64_t>(attr.mtime_s));
  AppendBe32(out, attr.mtime_ns);
  AppendBe64(out, static_cast<uint64_t>(attr.ctime_s));
  AppendBe32(out, attr.ctime_ns);
  AppendBe32(out, attr.nlink);
  AppendBe64(out, attr.length);
  AppendBe32(out, attr.rdev);
}

Bytes EncodeForm(const Attr& attr, bool has_parent, bool has_acl_ids, std::string_view tail) {
  Bytes value;
  AppendFixed(&value, attr);
  if (has_parent) {
    AppendBe64(&value, attr.parent.value());
  }
  if (has_acl_ids) {
    AppendBe32(&value, attr.access_acl);
    AppendBe32(&value, attr.default_acl);
  }
  value += tail;
  return value;
}

Bytes EncodeCanonical(const Attr& attr) {
  Bytes tail;
  if (attr.tier != 0) {
    tail.push_back(static_cast<char>(attr.tier));
  }
  tail.push_back('\0');
  return EncodeForm(attr, true, attr.access_acl != 0 || attr.default_acl != 0, tail);
}

}  // namespace

Result<Attr> DecodeAttr(std::string_view value) {
  if (value.size() < kFixedBytes) {
    return Status::DataLoss(fmt::format("inode of {} bytes: expected 72, 73, 80 or 81", value.size()));
  }
  ByteReader reader(value);
  Attr attr;
  attr.flags = reader.U8();
  const uint16_t type_and_mode = reader.Be16();
  attr.type = static_cast<uint8_t>(type_and_mode >> kModeBits);
  attr.mode = type_and_mode & 0xFFF;
  attr.uid = reader.Be32();
  attr.gid = reader.Be32();
  attr.atime_s = static_cast<int64_t>(reader.Be64());
  attr.atime_ns = reader.Be32();
  attr.mtime_s = static_cast<int64_t>(reader.Be64());
  attr.mtime_ns = reader.Be32();
  attr.ctime_s = static_cast<int64_t>(reader.Be64());
  attr.ctime_ns = reader.Be32();
  attr.nlink = reader.Be32();
  attr.length = reader.Be64();
  attr.rdev = reader.Be32();
  CHECK(reader.ok());
  AttrOddForm form;
  form.has_parent = reader.remaining() >= 8;
  if (form.has_parent) {
    attr.parent = Inode(reader.Be64());
  }
  form.has_acl_ids = reader.remaining() >= 8;
  if (form.has_acl_ids) {
    attr.access_acl = reader.Be32();
    attr.default_acl = reader.Be32();
  }
  form.tail = Bytes(reader.rest());
  if (!form.tail.empty()) {
    attr.tier = static_cast<uint8_t>(form.tail[0]);
  }
  if (EncodeCanonical(attr) != value) {
    attr.odd_form = std::move(form);
  }
  return attr;
}

Bytes EncodeAttr(const Attr& attr) {
  if (attr.odd_form.has_value()) {
    return EncodeForm(attr, attr.odd_form->has_parent, attr.odd_form->has_acl_ids, attr.odd_form->tail);
  }
  return EncodeCanonical(attr);
}

bool IsAttrLength(size_t size) { return size == 72 || size == 73 || size == 80 || size == 81; }

}  // namespace kvjury::juicefs
