// Recipes and faults of drills: small text files, ours and other people's, and how their commands are made.
//
// A recipe says which commands back a volume up and restore it; proto/kvjury/drill.proto has the fields. In a command `{word}` becomes a
// value, quoted for /bin/sh; the same values are in the environment as KVJURY_WORD.
//
//   pd, pd2             PD of the source and of the target, host:port         volume        the volume's name
//   meta, meta2         the volume on both, as juicefs writes it              bucket        the volume's object storage, as juicefs takes it
//   bucket_folder       the same as a folder, to look into: a file NAME@MS-N for each version
//   storage             where the backup goes, as br takes it                 storage_folder  the same as a folder (no S3)
//   dump                a file that is to be written                          ts            a timestamp of PD from right before the backup
//   log                 a file for the tool's own log                         work          a folder of the drill's own
//   tls_flags, storage_flags, backup_flags, restore_flags                     words for br, not quoted as one
//   kvjury, and each program of `tool` by its name with _ for -               paths
// A name without '/' is looked for among those of the project, then as a file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fakes/base/status.h"
#include "proto/kvjury/drill.pb.h"

namespace kvjury::tools {

/// Where the bundled ones are, below the project's folder.
inline constexpr char kRecipesFolder[] = "/scenarios/drills/recipes";
inline constexpr char kDrillFaultsFolder[] = "/scenarios/drills/faults";

/// The names of all files `FOLDER/*.EXTENSION`, in byte order.
std::vector<std::string> NamesIn(const std::string& folder, const std::string& extension);

/// Reads the recipe NAME of `folder`, or the file. Errors: kInvalidArgument naming those there are, or with the place.
Result<record::Recipe> ReadRecipe(const std::string& name_or_path, const std::string& folder);
Result<record::DrillFault> ReadDrillFault(const std::string& name_or_path, const std::string& folder);

using Words = std::map<std::string, std::string>;

/// The command with its words filled in; the words that stay unquoted are those whose names end in "_flags".
/// Errors: kInvalidArgument for an unknown word or a brace that is not closed.
Result<std::string> Expand(const std::string& command, const Words& words);

struct FoundTool {
  std::string name;
  std::string path;
  /// The first line that it says of its version; empty if it says nothing.
  std::string version;
  std::string sha256;
};

/// Where the program is: `given` (--bin), KVJURY_NAME in the environment, the cache of ci/tools, or PATH. Runs it for its version.
/// Errors: kNotFound with a sentence.
Result<FoundTool> FindTool(const std::string& name, const std::map<std::string, std::string>& given);

}  // namespace kvjury::tools
