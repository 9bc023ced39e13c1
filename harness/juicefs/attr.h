// Attr: the value of an I key, the inode.
//
// Four shapes are written by JuiceFS 1.1 to 1.4: 72 bytes, 73 (tier), 80 (ACL ids), 81 (both); each ends in one pad byte
// because the buffers are one byte longer than the fields. Decoding takes any value of 63 bytes or more, as the clients
// do (64 bytes without parent came from ancient ones); what differs from the four shapes is kept in `odd_form`, so that
// EncodeAttr(DecodeAttr(v)) == v. Whether a shape is legal is a question for invariants.h.
#pragma once

#include <cstdint>
#include <optional>

#include "fakes/base/bytes.h"
#include "fakes/base/ids.h"

namespace kvjury::juicefs {

/// How a value that is none of the four canonical ones was built.
struct AttrOddForm {
  bool has_parent = false;
  bool has_acl_ids = false;
  Bytes tail;  // everything behind the fields; its first byte, if any, is the tier

  friend bool operator==(const AttrOddForm&, const AttrOddForm&) = default;
};

struct Attr {
  uint8_t flags = 0;
  uint8_t type = 0;   // constants.h
  uint16_t mode = 0;  // permission, set-id and sticky bits: 0..07777
  uint32_t uid = 0;
  uint32_t gid = 0;
  int64_t atime_s = 0;
  uint32_t atime_ns = 0;
  int64_t mtime_s = 0;
  uint32_t mtime_ns = 0;
  int64_t ctime_s = 0;
  uint32_t ctime_ns = 0;
  uint32_t nlink = 0;
  uint64_t length = 0;  // bytes; 4096 for directories
  uint32_t rdev = 0;
  Inode parent;  // 0: more than one link was made once
  uint32_t access_acl = 0;
  uint32_t default_acl = 0;
  uint8_t tier = 0;
  std::optional<AttrOddForm> odd_form;

  friend bool operator==(const Attr&, const Attr&) = default;
};

/// Errors: kDataLoss for fewer than 63 bytes.
Result<Attr> DecodeAttr(std::string_view value);

/// The canonical shape for the fields, or `odd_form` where that is set.
Bytes EncodeAttr(const Attr& attr);

/// True for the lengths that JuiceFS 1.1 to 1.4 write.
bool IsAttrLength(size_t size);

}  // namespace kvjury::juicefs
