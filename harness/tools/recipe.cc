#include "harness/tools/recipe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "fakes/base/bytes.h"
#include "fakes/base/descriptor.h"
#include "fakes/base/digest.h"
#include "harness/explore/case_file.h"
#include "harness/explore/proto_text.h"
#include "harness/tools/process.h"

namespace kvjury::tools {
namespace {

namespace fs = std::filesystem;

constexpr auto kVersionLimit = std::chrono::seconds(20);

std::string Quoted(const std::string& value) {
  std::string quoted = "'";
  for (const char c : value) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + "'";
}

/// The text of NAME in `folder`, or of the file NAME; `found` is its path.
Result<std::string> ReadNamed(const std::string& name, const std::string& folder, const std::string& extension, const std::string& what,
                              std::string* found) {
  const std::string bundled = folder + "/" + name + "." + extension;
  std::error_code error;
  if (name.find('/') == std::string::npos && fs::exists(bundled, error)) {
    *found = bundled;
  } else if (fs::exists(name, error)) {
    *found = name;
  } else {
    return Status::InvalidArgument(fmt::format("no {} \"{}\": neither a file nor one of {}", what, name, fmt::join(NamesIn(folder, extension), ", ")));
  }
  return explore::ReadTextFile(*found, what);
}

Status CheckRecipe(const record::Recipe& recipe) {
  if (recipe.name().empty() || recipe.name().find_first_of("/ ") != std::string::npos) {
    return Status::InvalidArgument("name: expected a word without '/' and blanks");
  }
  if (recipe.backup().empty() || recipe.restore().empty()) {
    return Status::InvalidArgument("expected at least one command each of \"backup\" and \"restore\"");
  }
  if (recipe.cut() == record::Recipe::CUT_UNKNOWN) {
    return Status::InvalidArgument("expected a \"cut\": BACKUPMETA, WITHIN_BACKUP or GIVEN");
  }
  if (recipe.cut() == record::Recipe::WITHIN_BACKUP && !recipe.logical()) {
    return Status::InvalidArgument("cut: WITHIN_BACKUP is for a tool that rewrites the volume (logical: true)");
  }
  return Status::Ok();
}

bool CanRun(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

std::string FromEnvironment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::string() : std::string(value);
}

std::string VariableOf(const std::string& tool) {
  std::string variable = "KVJURY_";
  for (const char c : tool) {
    variable += c == '-' || c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return variable;
}

/// The newest of the entries that ci/tools keeps for the tool: NAME-HASH/program.
std::string InCache(const std::string& name) {
  std::string cache = FromEnvironment("KVJURY_TOOLS");
  if (cache.empty()) {
    const std::string home = FromEnvironment("XDG_CACHE_HOME");
    cache = (home.empty() ? FromEnvironment("HOME") + "/.cache" : home) + "/kvjury/tools";
  }
  std::error_code error;
  std::string newest;
  fs::file_time_type newest_time;
  for (const fs::directory_entry& entry : fs::directory_iterator(cache, error)) {
    const std::string folder = entry.path().filename().string();
    constexpr size_t kHashSize = 12;
    const std::string program = entry.path().string() + "/program";
    if (folder.size() != name.size() + 1 + kHashSize || folder.rfind(name + "-", 0) != 0 || !CanRun(program)) {
      continue;
    }
    const fs::file_time_type time = fs::last_write_time(program, error);
    if (newest.empty() || time > newest_time) {
      newest = program;
      newest_time = time;
    }
  }
  return newest;
}

std::string InPath(const std::string& name) {
  std::string folders = FromEnvironment("PATH");
  for (size_t begin = 0; begin < folders.size();) {
    const size_t end = std::min(folders.find(':', begin), folders.size());
    const std::string program = folders.substr(begin, end - begin) + "/" + name;
    if (CanRun(program)) {
      return program;
    }
    begin = end + 1;
  }
  return {};
}

std::string VersionOf(const std::string& path) {
  // In memory: whoever is killed meanwhile leaves no file.
  const int memory = memfd_create("kvjury-version", 0);
  const Descriptor closes(memory);
  const std::string output = fmt::format("/proc/self/fd/{}", memory);
  for (const char* flag : {"--version", "-V"}) {
    const bool emptied = ftruncate(memory, 0) == 0;
    const Result<int> code = RunToEnd({.arguments = {path, flag}, .output = output}, kVersionLimit);
    std::ifstream said(output);
    std::string line;
    while (emptied && code.ok() && *code == 0 && std::getline(said, line)) {
      if (line.find_first_not_of(" \t\r") != std::string::npos) {
        return line;
      }
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> NamesIn(const std::string& folder, const std::string& extension) {
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == "." + extension) {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<record::Recipe> ReadRecipe(const std::string& name_or_path, const std::string& folder) {
  std::string path;
  ASSIGN_OR_RETURN(const std::string text, ReadNamed(name_or_path, folder, "recipe", "recipe", &path));
  record::Recipe recipe;
  RETURN_IF_ERROR(explore::ParseProtoText(text, path, "a recipe", &recipe));
  const Status checked = CheckRecipe(recipe);
  if (!checked.ok()) {
    return checked.WithContext(path);
  }
  return recipe;
}

Result<record::DrillFault> ReadDrillFault(const std::string& name_or_path, const std::string& folder) {
  std::string path;
  ASSIGN_OR_RETURN(const std::string text, ReadNamed(name_or_path, folder, "fault", "fault", &path));
  record::DrillFault fault;
  RETURN_IF_ERROR(explore::ParseProtoText(text, path, "a fault of drills", &fault));
  if (fault.name().empty() || fault.legal_because().empty()) {
    return Status::InvalidArgument(path + ": expected a \"name\", and in \"legal_because\" why a real system does that");
  }
  for (const record::Case* side : {&fault.source(), &fault.target()}) {
    const Status checked = explore::CheckCase(*side);
    if (!checked.ok()) {
      return checked.WithContext(path);
    }
  }
  return fault;
}

Result<std::string> Expand(const std::string& command, const Words& words) {
  std::string expanded;
  for (size_t at = 0; at < command.size();) {
    if (command[at] != '{' || (at > 0 && command[at - 1] == '$')) {
      expanded += command[at++];
      continue;
    }
    const size_t end = command.find('}', at);
    if (end == std::string::npos) {
      return Status::InvalidArgument("the brace at \"" + command.substr(at, 20) + "\" is not closed");
    }
    const std::string word = command.substr(at + 1, end - at - 1);
    const auto found = words.find(word);
    if (found == words.end()) {
      std::vector<std::string> known;
      for (const auto& [name, value] : words) {
        known.push_back(name);
      }
      return Status::InvalidArgument(fmt::format("unknown word {{{}}}; known are {}", word, fmt::join(known, ", ")));
    }
    constexpr std::string_view kFlags = "_flags";
    const bool flags = word.size() > kFlags.size() && word.compare(word.size() - kFlags.size(), kFlags.size(), kFlags) == 0;
    expanded += flags ? found->second : Quoted(found->second);
    at = end + 1;
  }
  return expanded;
}

Result<FoundTool> FindTool(const std::string& name, const std::map<std::string, std::string>& given) {
  FoundTool tool;
  tool.name = name;
  const auto asked = given.find(name);
  const std::string variable = VariableOf(name);
  if (asked != given.end()) {
    tool.path = asked->second;
  } else if (std::string named = FromEnvironment(variable); !named.empty()) {
    tool.path = std::move(named);
  } else {
    tool.path = InCache(name);
    tool.path = tool.path.empty() ? InPath(name) : tool.path;
  }
  if (tool.path.empty() || !CanRun(tool.path)) {
    return Status::NotFound(tool.path.empty() ? fmt::format("no {}: ci/tools gets it, or name it with --bin {}=PATH or {}", name, name, variable)
                                              : fmt::format("{} is no program that can be run", tool.path));
  }
  tool.path = fs::absolute(tool.path).string();
  std::ifstream file(tool.path, std::ios::binary);
  Sha256Stream digest;
  std::vector<char> buffer(size_t{1} << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    digest.Add(std::string_view(buffer.data(), static_cast<size_t>(file.gcount())));
  }
  tool.sha256 = ToHex(digest.Finish());
  tool.version = VersionOf(tool.path);
  return tool;
}

}  // namespace kvjury::tools
