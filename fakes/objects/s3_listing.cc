// S3Service's listings of objects: pages, common prefixes, both versions of the call.
#include <algorithm>
#include <tuple>

#include "fakes/base/xml.h"
#include "fakes/objects/s3_service.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr uint64_t kPageMax = 1'000;

// Tokens look like nothing that a client could make a key of, and say where the next page begins.
std::string TokenOf(const std::string& from) { return "k" + ToHex(from); }

std::optional<std::string> FromOf(std::string_view token) {
  Result<Bytes> from = token.starts_with("k") ? FromHex(token.substr(1)) : Result<Bytes>(Status::InvalidArgument("no token"));
  return from.ok() ? std::optional<std::string>(*std::move(from)) : std::nullopt;
}

// One page, as elements of XML.
struct Page {
  std::string contents;
  std::string prefixes;
  uint64_t count = 0;
  /// Of the last entry: a key or a common prefix.
  std::string last;
  bool truncated = false;
};

}  // namespace

S3Service::Outcome S3Service::List(const S3Action& action, const Place& place) {
  const bool second = action.kind == S3Kind::kListObjectsV2;
  const std::string prefix = action.Query("prefix");
  const std::string delimiter = action.Query("delimiter");
  const std::string max_keys = action.Query("max-keys");
  const std::optional<uint64_t> asked = max_keys.empty() ? kPageMax : ParseNumber(max_keys);
  const std::string encoding = action.Query("encoding-type");
  if (!asked || (!encoding.empty() && encoding != "url")) {
    return S3Error{400, "InvalidArgument", !asked ? "max-keys must be a number" : "Invalid Encoding Method specified in Request"};
  }
  const auto text = [&encoding](const std::string& key) { return XmlText(encoding.empty() ? key : UriEncode(key, true)); };
  // Where the page begins: behind a key, or at one.
  const std::string after = action.Query(second ? "start-after" : "marker");
  std::string from = std::max(prefix, after.empty() ? after : NextKey(after));
  if (!after.empty() && !delimiter.empty() && after.ends_with(delimiter) && after.rfind(prefix, 0) == 0) {
    from = std::max(from, PrefixEnd(after));  // a common prefix was the last entry
  }
  const std::string token = action.Query("continuation-token");
  if (second && !token.empty()) {
    const std::optional<std::string> told = FromOf(token);
    if (!told) {
      return S3Error{400, "InvalidArgument", "The continuation token provided is incorrect"};
    }
    from = *told;
  }
  const uint64_t limit = std::min(*asked, kPageMax);
  Page page;
  for (auto [name, version] = place.store->NextAt(from, place.at_ms); version != nullptr && name.rfind(prefix, 0) == 0;
       std::tie(name, version) = place.store->NextAt(from, place.at_ms)) {
    const size_t cut = delimiter.empty() ? std::string::npos : name.find(delimiter, prefix.size());
    const std::string common = cut == std::string::npos ? std::string() : name.substr(0, cut + delimiter.size());
    if (common.empty() && name == action.hidden_key) {
      from = NextKey(name);
      continue;
    }
    if (page.count == limit) {
      page.truncated = limit > 0;
      break;
    }
    ++page.count;
    page.last = common.empty() ? name : common;
    from = common.empty() ? NextKey(name) : PrefixEnd(common);
    if (!common.empty()) {
      page.prefixes += "<CommonPrefixes><Prefix>" + text(common) + "</Prefix></CommonPrefixes>";
    } else {
      const auto storage_class = version->headers.find("x-amz-storage-class");
      page.contents += "<Contents><Key>" + text(name) + "</Key><LastModified>" + IsoTime(version->since_ms) + "</LastModified><ETag>" +
                       XmlText("\"" + EtagOf(place.store, name, version) + "\"") + "</ETag><Size>" + std::to_string(version->bytes) +
                       "</Size><StorageClass>" + (storage_class == version->headers.end() ? "STANDARD" : XmlText(storage_class->second)) +
                       "</StorageClass></Contents>";
    }
    if (from.empty()) {
      break;  // nothing can be behind
    }
  }
  std::string inside = "<Name>" + XmlText(action.bucket) + "</Name><Prefix>" + text(prefix) + "</Prefix><MaxKeys>" + std::to_string(limit) + "</MaxKeys>";
  inside += delimiter.empty() ? "" : "<Delimiter>" + text(delimiter) + "</Delimiter>";
  inside += encoding.empty() ? "" : "<EncodingType>url</EncodingType>";
  inside += std::string("<IsTruncated>") + (page.truncated ? "true" : "false") + "</IsTruncated>";
  if (second) {
    inside += "<KeyCount>" + std::to_string(page.count) + "</KeyCount>";
    inside += after.empty() ? "" : "<StartAfter>" + text(after) + "</StartAfter>";
    inside += token.empty() ? "" : "<ContinuationToken>" + XmlText(token) + "</ContinuationToken>";
    inside += page.truncated ? "<NextContinuationToken>" + TokenOf(from) + "</NextContinuationToken>" : "";
  } else {
    inside += "<Marker>" + text(after) + "</Marker>";
    inside += page.truncated && !delimiter.empty() ? "<NextMarker>" + text(page.last) + "</NextMarker>" : "";
  }
  return XmlAnswer("ListBucketResult", inside + page.contents + page.prefixes);
}

}  // namespace kvjury::objects
