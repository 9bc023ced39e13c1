// Answers of an S3 server: XML documents, errors, headers.
//
// Source: Amazon S3 API Reference; XMinioStorageFull is MinIO's (HTTP 507), as S3 itself is never full.
#pragma once

#include <string>
#include <string_view>

#include "fakes/objects/s3_signature.h"
#include "proto/tikv/http.pb.h"

namespace kvjury::objects {

/// <name>text</name>, escaped.
std::string XmlElement(const std::string& name, std::string_view text);

::http::Response EmptyAnswer(uint32_t status = 200);
/// 200 with a document of S3's name space; `inside` is XML.
::http::Response XmlAnswer(const std::string& root, const std::string& inside);
void AddHeader(::http::Response* response, const std::string& name, const std::string& value);

/// S3's error document, with the error's status.
::http::Response S3ErrorAnswer(const S3Error& error, const std::string& resource);

/// What MinIO says when there is no space.
S3Error StorageFull();

}  // namespace kvjury::objects
