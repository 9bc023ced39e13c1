// AWS's published examples of Signature Version 4 for S3 ("Authenticating Requests" of the API reference), and what must be refused.
#include "fakes/objects/s3_signature.h"

#include <gtest/gtest.h>

#include <cstring>

#include "fakes/base/digest.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::objects {
namespace {

const S3Credentials kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""};
constexpr char kEmptySha[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const int64_t kMay24 = *ParseBasicTime("20130524T000000Z");

::http::Request Request(const std::string& method, const std::string& path, const std::string& query = "",
                        const std::string& host = "examplebucket.s3.amazonaws.com") {
  ::http::Request request;
  request.set_method(method);
  request.set_path(path);
  request.set_query(query);
  AddHeader(&request, "Host", host);
  return request;
}

std::string SignatureIn(const ::http::Request& request) {
  const std::string authorization = HeaderOf(request, "authorization").value_or("");
  const size_t at = authorization.find("Signature=");
  return at == std::string::npos ? "" : authorization.substr(at + std::strlen("Signature="));
}

std::string CodeOf(const std::optional<S3Error>& error) { return error ? error->code : "none"; }

std::string Verify(const ::http::Request& request, int64_t now_ms = kMay24) {
  S3Payload payload;
  return CodeOf(VerifyS3(kExample, now_ms, request, &payload));
}

TEST(S3Signature, GetObjectOfTheReference) {
  ::http::Request request = Request("GET", "/test.txt");
  AddHeader(&request, "Range", "bytes=0-9");
  SignS3(kExample, "us-east-1", kMay24, kEmptySha, &request);
  EXPECT_EQ(SignatureIn(request), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(Verify(request), "none");
}

TEST(S3Signature, PutObjectOfTheReference) {
  ::http::Request request = Request("PUT", "/test$file.text");
  AddHeader(&request, "Date", "Fri, 24 May 2013 00:00:00 GMT");
  AddHeader(&request, "x-amz-storage-class", "REDUCED_REDUNDANCY");
  request.set_body("Welcome to Amazon S3.");
  SignS3(kExample, "us-east-1", kMay24, ToHex(Sha256(request.body())), &request);
  EXPECT_EQ(SignatureIn(request), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
  EXPECT_EQ(Verify(request), "none");
  request.set_body("Welcome to Amazon S3?");
  EXPECT_EQ(Verify(request), "XAmzContentSHA256Mismatch");
}

TEST(S3Signature, QueriesOfTheReference) {
  ::http::Request lifecycle = Request("GET", "/", "lifecycle");
  SignS3(kExample, "us-east-1", kMay24, kEmptySha, &lifecycle);
  EXPECT_EQ(SignatureIn(lifecycle), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  ::http::Request list = Request("GET", "/", "max-keys=2&prefix=J");
  SignS3(kExample, "us-east-1", kMay24, kEmptySha, &list);
  EXPECT_EQ(SignatureIn(list), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(S3Signature, PresignedQueryOfTheReferenceAndItsEnd) {
  ::http::Request request = Request("GET", "/test.txt");
  PresignS3(kExample, "us-east-1", kMay24, 86'400, &request);
  EXPECT_TRUE(request.query().ends_with("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")) << request.query();
  EXPECT_EQ(Verify(request), "none");
  EXPECT_EQ(Verify(request, kMay24 + 86'400'000), "none");
  S3Payload payload;
  const std::optional<S3Error> expired = VerifyS3(kExample, kMay24 + 86'401'000, request, &payload);
  ASSERT_TRUE(expired.has_value());
  EXPECT_EQ(expired->status, 403U);
  EXPECT_EQ(expired->code, "AccessDenied");
  EXPECT_EQ(expired->message, "Request has expired");
  request.set_query(request.query() + "&prefix=x");
  EXPECT_EQ(Verify(request), "SignatureDoesNotMatch");
}

// The chunked upload of the reference: 65 KiB of 'a' in chunks of 64 KiB and 1 KiB.
::http::Request ChunkedExample() {
  ::http::Request request = Request("PUT", "/examplebucket/chunkObject.txt", "", "s3.amazonaws.com");
  AddHeader(&request, "x-amz-date", "20130524T000000Z");
  AddHeader(&request, "x-amz-storage-class", "REDUCED_REDUNDANCY");
  AddHeader(&request, "x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
  AddHeader(&request, "Content-Encoding", "aws-chunked");
  AddHeader(&request, "x-amz-decoded-content-length", "66560");
  AddHeader(&request, "Content-Length", "66824");
  AddHeader(&request, "Authorization",
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-encoding;content-length;host;"
            "x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class,"
            "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
  request.set_body("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" + std::string(65'536, 'a') +
                   "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + std::string(1'024, 'a') +
                   "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n");
  return request;
}

TEST(S3Signature, ChunksOfTheReference) {
  ::http::Request request = ChunkedExample();
  EXPECT_EQ(request.body().size(), 66'824U);
  S3Payload payload;
  EXPECT_EQ(CodeOf(VerifyS3(kExample, kMay24, request, &payload)), "none");
  EXPECT_EQ(payload.body, std::string(66'560, 'a'));
  EXPECT_EQ(payload.md5, Md5(payload.body));
  (*request.mutable_body())[100] = 'b';
  EXPECT_EQ(Verify(request), "SignatureDoesNotMatch");
  request = ChunkedExample();
  request.mutable_body()->resize(50'000);
  EXPECT_EQ(Verify(request), "IncompleteBody");
}

TEST(S3Signature, UnsignedChunksCarryTheirChecksumBehindThem) {
  ::http::Request request = Request("PUT", "/x");
  AddHeader(&request, "x-amz-trailer", "x-amz-checksum-crc32");
  Bytes crc;
  AppendBe32(&crc, Crc32("hello world"));
  request.set_body("6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:" + Base64(crc) + "\r\n\r\n");
  SignS3(kExample, "us-east-1", kMay24, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", &request);
  S3Payload payload;
  EXPECT_EQ(CodeOf(VerifyS3(kExample, kMay24, request, &payload)), "none");
  EXPECT_EQ(payload.body, "hello world");
  ASSERT_EQ(payload.checksums.size(), 1U);
  (*request.mutable_body())[4] = 'x';
  EXPECT_EQ(Verify(request), "BadDigest");
}

TEST(S3Signature, WhatIsRefusedAndWithWhichWord) {
  const auto refused = [](S3Credentials credentials, int64_t signed_ms) {
    ::http::Request request = Request("GET", "/x");
    SignS3(credentials, "us-east-1", signed_ms, kEmptySha, &request);
    return Verify(request);
  };
  EXPECT_EQ(refused(kExample, kMay24 + 15 * 60'000), "none");
  EXPECT_EQ(refused(kExample, kMay24 + 15 * 60'000 + 1'000), "RequestTimeTooSkewed");
  EXPECT_EQ(refused(kExample, kMay24 - 15 * 60'000 - 1'000), "RequestTimeTooSkewed");
  EXPECT_EQ(refused({"OTHER", kExample.secret_key, ""}, kMay24), "InvalidAccessKeyId");
  EXPECT_EQ(refused({kExample.access_key, "other", ""}, kMay24), "SignatureDoesNotMatch");
  EXPECT_EQ(Verify(Request("GET", "/x")), "AccessDenied");
  ::http::Request old = Request("GET", "/x");
  AddHeader(&old, "Authorization", "AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=");
  EXPECT_EQ(Verify(old), "InvalidRequest");
  ::http::Request half = Request("GET", "/x");
  AddHeader(&half, "Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request");
  EXPECT_EQ(Verify(half), "AuthorizationHeaderMalformed");
}

TEST(S3Text, TimesAndEscapes) {
  EXPECT_EQ(BasicTime(kMay24), "20130524T000000Z");
  EXPECT_EQ(IsoTime(kMay24 + 7), "2013-05-24T00:00:00.007Z");
  EXPECT_EQ(HttpTime(kMay24), "Fri, 24 May 2013 00:00:00 GMT");
  EXPECT_EQ(ParseHttpTime("Fri, 24 May 2013 00:00:00 GMT"), kMay24);
  EXPECT_EQ(ParseBasicTime("20131324T000000Z"), std::nullopt);
  EXPECT_EQ(UriEncode("a b/\xc3\xa9~", true), "a%20b/%C3%A9~");
  EXPECT_EQ(UriEncode("a/b", false), "a%2Fb");
  EXPECT_FALSE(UriDecode("a%2").ok());
  EXPECT_EQ(Crc32("123456789"), 0xcbf43926U);
}

}  // namespace
}  // namespace kvjury::objects
