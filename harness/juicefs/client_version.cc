#include "harness/juicefs/client_version.h"

#include <fmt/format.h>

#include <charconv>

namespace kvjury::juicefs {

namespace {

bool ReadNumber(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

int Compare(uint64_t a, uint64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

/// The bounds of the setting; one that is not set is none.
Status ReadBound(const char* member, const std::string& text, ClientVersion* bound) {
  Result<ClientVersion> parsed = ParseClientVersion(text);
  if (!parsed.ok()) {
    return Status::Rejected(fmt::format("{} \"{}\" is no version: every client refuses", member, Printable(text)));
  }
  *bound = *std::move(parsed);
  return Status::Ok();
}

}  // namespace

Result<ClientVersion> ParseClientVersion(std::string_view text) {
  std::string_view rest = text;
  if (const size_t build = rest.find('+'); build != std::string_view::npos && build > 0) {
    rest = rest.substr(0, build);
  }
  ClientVersion version;
  if (const size_t dash = rest.find('-'); dash != std::string_view::npos && dash > 0) {
    version.pre_release = std::string(rest.substr(dash + 1));
    rest = rest.substr(0, dash);
  }
  for (uint64_t* number : {&version.major, &version.minor, &version.patch}) {
    const size_t dot = rest.find('.');
    if (!ReadNumber(rest.substr(0, dot), number)) {
      break;
    }
    if (dot == std::string_view::npos) {
      return version;
    }
    rest.remove_prefix(dot + 1);
  }
  return Status::InvalidArgument("\"" + Printable(text) + "\" is no version of JuiceFS: expected up to three numbers with dots");
}

int CompareClientVersions(const ClientVersion& a, const ClientVersion& b) {
  for (const int compared : {Compare(a.major, b.major), Compare(a.minor, b.minor), Compare(a.patch, b.patch)}) {
    if (compared != 0) {
      return compared;
    }
  }
  if (a.pre_release.empty() != b.pre_release.empty()) {
    return a.pre_release.empty() ? 1 : -1;
  }
  return a.pre_release.compare(b.pre_release);
}

Status CheckMayMount(const Format& format, const ClientVersion& client) {
  if (format.meta_version > kMetaVersionMax) {
    return Status::Rejected(fmt::format("MetaVersion is {}: clients up to JuiceFS 1.4 know {}", format.meta_version, kMetaVersionMax));
  }
  ClientVersion bound;
  if (!format.min_client_version.empty()) {
    RETURN_IF_ERROR(ReadBound("MinClientVersion", format.min_client_version, &bound));
    if (CompareClientVersions(client, bound) < 0) {
      return Status::Rejected("the client is older than MinClientVersion " + Printable(format.min_client_version));
    }
  }
  if (!format.max_client_version.empty()) {
    RETURN_IF_ERROR(ReadBound("MaxClientVersion", format.max_client_version, &bound));
    if (CompareClientVersions(client, bound) > 0) {
      return Status::Rejected("the client is newer than MaxClientVersion " + Printable(format.max_client_version));
    }
  }
  return Status::Ok();
}

Status CheckSomeClientMayMount(const Format& format) {
  // The oldest that is allowed: if the newest bound lets it in, somebody may.
  ClientVersion oldest;
  if (!format.min_client_version.empty()) {
    RETURN_IF_ERROR(ReadBound("MinClientVersion", format.min_client_version, &oldest));
  }
  return CheckMayMount(format, oldest);
}

}  // namespace kvjury::juicefs
