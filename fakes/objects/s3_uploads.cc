// S3Service's multipart uploads.
#include <algorithm>

#include "fakes/objects/s3_service.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::objects {

namespace {

constexpr uint32_t kPartsMax = 10'000;
constexpr size_t kPartBytesMin = size_t{5} << 20;

}  // namespace

S3Service::Outcome S3Service::OfUpload(S3Action* action, const Place& place) {
  if (action->kind == S3Kind::kCreateMultipartUpload) {
    const std::string id = ToHex(Md5(action->bucket + "/" + action->key + " " + std::to_string(clock_()) + " " + std::to_string(++last_upload_)));
    uploads_[id] = {action->bucket, action->key, ObjectHeaders(*action), clock_(), {}};
    return XmlAnswer("InitiateMultipartUploadResult", XmlElement("Bucket", action->bucket) + XmlElement("Key", action->key) + XmlElement("UploadId", id));
  }
  const auto found = uploads_.find(action->Query("uploadId"));
  if (found == uploads_.end() || found->second.bucket != action->bucket || found->second.key != action->key) {
    return S3Error{404, "NoSuchUpload",
                   "The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."};
  }
  switch (action->kind) {
    case S3Kind::kUploadPart:
      return PutPart(action, &found->second);
    case S3Kind::kListParts:
      return ListParts(*action, found->second);
    case S3Kind::kAbortMultipartUpload: {
      uploads_.erase(found);
      return EmptyAnswer(204);
    }
    default: {
      Outcome outcome = Complete(*action, place, found->second);
      if (std::holds_alternative<::http::Response>(outcome)) {
        uploads_.erase(found);
      }
      return outcome;
    }
  }
}

S3Service::Outcome S3Service::PutPart(S3Action* action, Upload* upload) {
  const std::optional<uint64_t> number = ParseNumber(action->Query("partNumber"));
  if (!number || *number < 1 || *number > kPartsMax) {
    return S3Error{400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive"};
  }
  if (!HasRoom(action->payload.body.size())) {
    return StorageFull();
  }
  const std::string etag = "\"" + ToHex(action->payload.md5) + "\"";
  upload->parts[static_cast<uint32_t>(*number)] = {action->payload.md5, std::move(action->payload.body)};
  ::http::Response answer = EmptyAnswer();
  AddHeader(&answer, "ETag", etag);
  for (const auto& [name, value] : action->payload.checksums) {
    if (name != "x-amz-checksum-algorithm") {
      AddHeader(&answer, name, value);
    }
  }
  return answer;
}

S3Service::Outcome S3Service::Complete(const S3Action& action, const Place& place, const Upload& upload) {
  auto parsed = ParsePartList(action.payload.body);
  if (const S3Error* error = std::get_if<S3Error>(&parsed)) {
    return *error;
  }
  const auto& list = std::get<S3PartList>(parsed);
  Bytes whole;
  Bytes digests;
  const auto not_ascending = [](const auto& one, const auto& next) { return one.first >= next.first; };
  if (std::adjacent_find(list.begin(), list.end(), not_ascending) != list.end()) {
    return S3Error{400, "InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number."};
  }
  for (const auto& [number, etag] : list) {
    const auto part = upload.parts.find(number);
    if (part == upload.parts.end() || ToHex(part->second.etag) != etag) {
      return S3Error{400, "InvalidPart",
                     "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not "
                     "match the part's entity tag."};
    }
    if (part->second.bytes.size() < kPartBytesMin && number != list.back().first) {
      return S3Error{400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"};
    }
    whole += part->second.bytes;
    digests += part->second.etag;
  }
  const std::string etag = ToHex(Md5(digests)) + "-" + std::to_string(list.size());
  KeepingObjectStore::Headers headers = upload.headers;
  headers["etag"] = etag;
  const Status put = place.store->PutWith(action.key, whole, std::move(headers));
  if (!put.ok()) {
    return S3Error{500, "InternalError", "We encountered an internal error. " + put.message()};
  }
  return XmlAnswer("CompleteMultipartUploadResult", XmlElement("Location", "/" + action.bucket + "/" + action.key) + XmlElement("Bucket", action.bucket) +
                                                  XmlElement("Key", action.key) + XmlElement("ETag", "\"" + etag + "\""));
}

S3Service::Outcome S3Service::ListParts(const S3Action& action, const Upload& upload) const {
  const uint64_t marker = ParseNumber(action.Query("part-number-marker")).value_or(0);
  const uint64_t limit = std::min<uint64_t>(ParseNumber(action.Query("max-parts")).value_or(1'000), 1'000);
  std::string inside = XmlElement("Bucket", action.bucket) + XmlElement("Key", action.key) + XmlElement("UploadId", action.Query("uploadId")) +
                       XmlElement("PartNumberMarker", std::to_string(marker)) + XmlElement("MaxParts", std::to_string(limit));
  uint64_t count = 0;
  uint32_t last = 0;
  bool truncated = false;
  for (const auto& [number, part] : upload.parts) {
    if (number <= marker) {
      continue;
    }
    if (count == limit) {
      truncated = true;
      break;
    }
    ++count;
    last = number;
    inside += "<Part>" + XmlElement("PartNumber", std::to_string(number)) + XmlElement("LastModified", IsoTime(upload.since_ms)) +
              XmlElement("ETag", "\"" + ToHex(part.etag) + "\"") + XmlElement("Size", std::to_string(part.bytes.size())) + "</Part>";
  }
  inside += truncated ? XmlElement("NextPartNumberMarker", std::to_string(last)) : "";
  return XmlAnswer("ListPartsResult", inside + XmlElement("IsTruncated", truncated ? "true" : "false"));
}

S3Service::Outcome S3Service::ListUploads(const S3Action& action) const {
  const std::string prefix = action.Query("prefix");
  std::string inside = XmlElement("Bucket", action.bucket) + XmlElement("Prefix", prefix) + XmlElement("MaxUploads", "1000");
  std::vector<std::pair<std::string, std::string>> rows;
  for (const auto& [id, upload] : uploads_) {
    if (upload.bucket == action.bucket && upload.key.rfind(prefix, 0) == 0) {
      rows.emplace_back(upload.key, "<Upload>" + XmlElement("Key", upload.key) + XmlElement("UploadId", id) + XmlElement("Initiated", IsoTime(upload.since_ms)) +
                                        "<StorageClass>STANDARD</StorageClass></Upload>");
    }
  }
  std::sort(rows.begin(), rows.end());
  for (const auto& [key, row] : rows) {
    inside += row;
  }
  return XmlAnswer("ListMultipartUploadsResult", inside + "<IsTruncated>false</IsTruncated>");
}

}  // namespace kvjury::objects
