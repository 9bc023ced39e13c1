// The text of `juicefs dump` in JSON, piece by piece: head, entries, ends. Whoever walks a volume calls it in the order of the file.
//
// Byte for byte as juicefs 1.4 writes it: two spaces a level; attributes, xattrs, ACLs and a chunk on one line each; names, targets and xattr
// values with %XX for what is not plain text. A real U+FFFD becomes %EF and loses two bytes, as there. Sessions and
// deleted files stand in key order: the real program's order is that of a hash table, and changes from run to run.
// Not here: which records an entry is made from (dump_entry.h), the order of the walk (write_dump.h). Source: JuiceFS 1.4, dump.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fakes/base/byte_stream.h"
#include "fakes/sim/planted_bugs.h"
#include "harness/juicefs/image.h"

namespace kvjury::juicefs {

/// Everything of a dump outside its trees.
struct DumpHead {
  Format format;
  int64_t used_space = 0;
  int64_t total_inodes = 0;
  int64_t next_inode = 0;
  int64_t next_chunk = 0;
  int64_t next_session = 0;
  int64_t next_trash = 0;
  int64_t last_changelog = 0;                                          // 0: not written
  std::vector<std::pair<uint64_t, std::vector<Inode>>> sustained;      // by session
  std::vector<std::pair<std::pair<Inode, uint64_t>, int64_t>> deleted_files;  // inode, length: unix seconds
  std::map<std::string, Quota> dir_quotas;                             // by the number's text, which is the order in the file
  std::map<std::string, Quota> user_quotas;
  std::map<std::string, Quota> group_quotas;
  std::vector<std::pair<int64_t, Bytes>> changelog;                    // version, entry
};

/// One entry of a tree, without its name and children.
struct DumpEntry {
  Inode inode;
  Attr attr;  // type 0: written as the empty name
  Bytes target;
  std::vector<std::pair<Bytes, Bytes>> xattrs;
  std::optional<AclRule> access_acl;
  std::optional<AclRule> default_acl;
  std::vector<std::pair<uint32_t, std::vector<SliceRecord>>> chunks;
  /// How often xattr values are escaped: a fast dump escapes those of a file with several links once more at each of them.
  uint32_t xattr_escapes = 1;
};

/// A name, target or xattr value as a dump writes it; UnescapeDumpText is the way back.
std::string EscapeDumpText(std::string_view bytes);

class JsonDumpText {
 public:
  /// `to` must outlive it, and is not finished by it; so must `bugs`, which may be null.
  explicit JsonDumpText(ByteSink* to, sim::PlantedBugs* bugs = nullptr) : to_(to), bugs_(bugs), levels_{{1, true}} {}

  /// First, once. Errors of all: those of the sink.
  Status Head(const DumpHead& head);
  /// A directory: its children follow up to EndDirectory. At the top: "FSTree", "Trash".
  Status BeginDirectory(std::string_view name, const DumpEntry& entry);
  Status Leaf(std::string_view name, const DumpEntry& entry);
  Status EndDirectory();
  /// After both trees.
  Status End();

 private:
  struct Level {
    uint32_t depth = 0;
    bool has_sibling = false;
  };

  /// The lines that both kinds of entries share; `link_target` is left out for directories.
  void AppendFront(std::string_view name, const DumpEntry& entry, bool link_target);
  void AppendChunks(const DumpEntry& entry);
  void NewLine(uint32_t extra_depth);
  Status Flush();

  ByteSink* to_;
  sim::PlantedBugs* bugs_;
  std::vector<Level> levels_;
  std::string text_;
};

}  // namespace kvjury::juicefs
