// What an S3 server answers, without a socket: listings, objects, uploads, the past, and each fault with its effect.
#include "fakes/objects/s3_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/base/xml.h"
#include "fakes/objects/s3_faults.h"
#include "fakes/objects/s3_text.h"

namespace kvjury::objects {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A service with a bucket "b", whose clock stands still until it is told.
class Bench {
 public:
  explicit Bench(uint64_t bytes_max = 1 << 30, uint64_t history_bytes_max = 1 << 30)
      : service_(
            [this, history_bytes_max](const std::string&) {
              return KeepingObjectStore::Open(std::make_unique<MemoryObjectStore>(), [this]() { return now_ms; }, history_bytes_max);
            },
            [this]() { return now_ms; }, bytes_max),
        faults_(record::Case()) {
    EXPECT_TRUE(service_.AddBucket("bkt").ok());
  }

  ::http::Response Ask(const std::string& method, const std::string& target, const Bytes& body = "",
                       const std::vector<std::pair<std::string, std::string>>& headers = {}) {
    ::http::Request request;
    request.set_method(method);
    const size_t question = target.find('?');
    request.set_path(target.substr(0, question));
    request.set_query(question == std::string::npos ? "" : target.substr(question + 1));
    for (const auto& [name, value] : headers) {
      AddHeader(&request, name, value);
    }
    auto parsed = ParseS3Request(request);
    if (const S3Error* error = std::get_if<S3Error>(&parsed)) {
      return S3ErrorAnswer(*error, request.path());
    }
    auto& action = std::get<S3Action>(parsed);
    action.payload.body = body;
    action.payload.md5 = Md5(body);
    return faults_.Answer(&service_, std::move(action), &delay_us);
  }
  void Plan(const std::string& at, const std::function<void(record::Fault*)>& make) {
    record::Case c;
    c.add_fault()->set_at(at);
    make(c.mutable_fault(0));
    faults_.Add(c);
  }
  uint64_t Fired(const std::string& kind) const {
    const auto found = faults_.fired_counts().find(kind);
    return found == faults_.fired_counts().end() ? 0 : found->second;
  }
  S3Service& service() { return service_; }
  S3Faults& faults() { return faults_; }

  int64_t now_ms = 1'000;
  Micros delay_us = 0;

 private:
  S3Service service_;
  S3Faults faults_;
};

std::string HeaderIn(const ::http::Response& response, const std::string& name) {
  for (const ::http::Header& header : response.headers()) {
    if (header.name() == name) {
      return header.value();
    }
  }
  return "";
}

std::vector<std::string> Between(const std::string& text, const std::string& open, const std::string& close) {
  std::vector<std::string> found;
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at + 1)) {
    const size_t begin = at + open.size();
    found.push_back(text.substr(begin, text.find(close, begin) - begin));
  }
  return found;
}

TEST(S3Service, ObjectsWithTheirHeaders) {
  Bench bench;
  const ::http::Response put = bench.Ask("PUT", "/bkt/a%20b", "hello", {{"Content-Type", "text/x"}, {"x-amz-meta-who", "me"}});
  EXPECT_EQ(put.status(), 200U);
  EXPECT_EQ(HeaderIn(put, "ETag"), "\"5d41402abc4b2a76b9719d911017c592\"");
  const ::http::Response got = bench.Ask("GET", "/bkt/a%20b");
  EXPECT_EQ(got.body(), "hello");
  EXPECT_EQ(got.content_type(), "text/x");
  EXPECT_EQ(HeaderIn(got, "x-amz-meta-who"), "me");
  EXPECT_EQ(HeaderIn(got, "Last-Modified"), "Thu, 01 Jan 1970 00:00:01 GMT");
  const ::http::Response head = bench.Ask("HEAD", "/bkt/a%20b");
  EXPECT_EQ(head.length(), 5U);
  EXPECT_TRUE(head.body().empty());
  EXPECT_EQ(bench.Ask("GET", "/bkt/none").status(), 404U);
  EXPECT_THAT(bench.Ask("GET", "/none/x").body(), HasSubstr("<Code>NoSuchBucket</Code>"));
  EXPECT_EQ(bench.Ask("DELETE", "/bkt/a%20b").status(), 204U);
  EXPECT_EQ(bench.Ask("DELETE", "/bkt/a%20b").status(), 204U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/a%20b").status(), 404U);
}

TEST(S3Service, Ranges) {
  Bench bench;
  bench.Ask("PUT", "/bkt/x", "0123456789");
  const struct {
    const char* range;
    uint32_t status;
    const char* body;
  } kRows[] = {{"bytes=0-3", 206, "0123"}, {"bytes=8-99", 206, "89"}, {"bytes=7-", 206, "789"},    {"bytes=-2", 206, "89"}, {"bytes=-99", 206, "0123456789"},
               {"bytes=3-1", 200, "0123456789"}, {"lines=1-2", 200, "0123456789"}, {"bytes=0-18446744073709551615", 206, "0123456789"}};
  for (const auto& row : kRows) {
    const ::http::Response got = bench.Ask("GET", "/bkt/x", "", {{"Range", row.range}});
    EXPECT_EQ(got.status(), row.status) << row.range;
    EXPECT_EQ(got.body(), row.body) << row.range;
  }
  EXPECT_EQ(HeaderIn(bench.Ask("GET", "/bkt/x", "", {{"Range", "bytes=2-4"}}), "Content-Range"), "bytes 2-4/10");
  EXPECT_THAT(bench.Ask("GET", "/bkt/x", "", {{"Range", "bytes=10-"}}).body(), HasSubstr("InvalidRange"));
}

TEST(S3Service, Conditions) {
  Bench bench;
  const std::string etag = HeaderIn(bench.Ask("PUT", "/bkt/x", "1"), "ETag");
  EXPECT_EQ(bench.Ask("GET", "/bkt/x", "", {{"If-None-Match", etag}}).status(), 304U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/x", "", {{"If-Match", "\"no\""}}).status(), 412U);
  EXPECT_EQ(bench.Ask("PUT", "/bkt/x", "2", {{"If-None-Match", "*"}}).status(), 412U);
  EXPECT_EQ(bench.Ask("PUT", "/bkt/y", "2", {{"If-None-Match", "*"}}).status(), 200U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").body(), "1");
}

TEST(S3Service, ListingsInPagesWithDelimiter) {
  Bench bench;
  for (const char* key : {"a", "d/1", "d/2", "d/sub/3", "e", "f%26g"}) {
    bench.Ask("PUT", std::string("/bkt/") + key, "x");
  }
  for (const bool second : {true, false}) {
    for (const int page_size : {1, 2, 3, 1'000}) {
      std::vector<std::string> seen;
      std::string from;
      for (int pages = 0; pages < 10; ++pages) {
        const std::string body = bench.Ask("GET", std::string("/bkt?delimiter=/&max-keys=") + std::to_string(page_size) + (second ? "&list-type=2" : "") + from).body();
        for (const std::string& key : Between(body, "<Contents><Key>", "</Key>")) {
          seen.push_back(key);
        }
        for (const std::string& prefix : Between(body, "<CommonPrefixes><Prefix>", "</Prefix>")) {
          seen.push_back(prefix);
        }
        const std::vector<std::string> next = second ? Between(body, "<NextContinuationToken>", "<") : Between(body, "<NextMarker>", "<");
        if (next.empty()) {
          EXPECT_THAT(body, HasSubstr("<IsTruncated>false</IsTruncated>"));
          break;
        }
        from = (second ? "&continuation-token=" : "&marker=") + UriEncode(next.front(), false);
      }
      std::sort(seen.begin(), seen.end());
      EXPECT_EQ(seen, (std::vector<std::string>{"a", "d/", "e", "f&amp;g"})) << second << " " << page_size;
    }
  }
  const std::string encoded = bench.Ask("GET", "/bkt?list-type=2&prefix=d/&start-after=d/1&encoding-type=url").body();
  EXPECT_EQ(Between(encoded, "<Contents><Key>", "</Key>"), (std::vector<std::string>{"d/2", "d/sub/3"}));
  EXPECT_THAT(bench.Ask("GET", "/bkt?list-type=2&prefix=f&encoding-type=url").body(), HasSubstr("<Key>f%26g</Key>"));
  EXPECT_EQ(bench.Ask("GET", "/bkt?list-type=2&max-keys=0").status(), 200U);
  EXPECT_EQ(bench.Ask("GET", "/bkt?list-type=2&max-keys=x").status(), 400U);
  EXPECT_EQ(bench.Ask("GET", "/bkt?list-type=2&continuation-token=zz").status(), 400U);
}

TEST(S3Service, CopiesAndDeletions) {
  Bench bench;
  bench.Ask("PUT", "/bkt/x", "1", {{"x-amz-meta-a", "b"}});
  EXPECT_EQ(bench.Ask("PUT", "/bkt/y", "", {{"x-amz-copy-source", "/bkt/x"}}).status(), 200U);
  EXPECT_EQ(HeaderIn(bench.Ask("GET", "/bkt/y"), "x-amz-meta-a"), "b");
  EXPECT_EQ(bench.Ask("PUT", "/bkt/y", "", {{"x-amz-copy-source", "bkt/none"}}).status(), 404U);
  const std::string deleted =
      bench.Ask("POST", "/bkt?delete", "<Delete><Object><Key>x</Key></Object><Object><Key>not there</Key></Object></Delete>").body();
  EXPECT_EQ(Between(deleted, "<Deleted><Key>", "<"), (std::vector<std::string>{"x", "not there"}));
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").status(), 404U);
  EXPECT_EQ(bench.Ask("POST", "/bkt?delete", "<Delete>").status(), 400U);
}

TEST(S3Service, UploadsInParts) {
  Bench bench;
  const std::string id = Between(bench.Ask("POST", "/bkt/big?uploads", "", {{"x-amz-meta-a", "b"}}).body(), "<UploadId>", "<").at(0);
  const std::string big(5 << 20, 'x');
  const std::string one = HeaderIn(bench.Ask("PUT", "/bkt/big?partNumber=1&uploadId=" + id, big), "ETag");
  const std::string two = HeaderIn(bench.Ask("PUT", "/bkt/big?partNumber=2&uploadId=" + id, "tail"), "ETag");
  EXPECT_EQ(bench.Ask("PUT", "/bkt/big?partNumber=10001&uploadId=" + id, "tail").status(), 400U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/big").status(), 404U) << "parts are no object";
  EXPECT_THAT(bench.Ask("GET", "/bkt?uploads").body(), HasSubstr(id));
  EXPECT_EQ(Between(bench.Ask("GET", "/bkt/big?uploadId=" + id).body(), "<PartNumber>", "<").size(), 2U);
  const auto part = [](int number, const std::string& etag) {
    return "<Part><PartNumber>" + std::to_string(number) + "</PartNumber><ETag>" + XmlText(etag) + "</ETag></Part>";
  };
  const auto complete = [&](const std::string& parts) {
    return bench.Ask("POST", "/bkt/big?uploadId=" + id, "<CompleteMultipartUpload>" + parts + "</CompleteMultipartUpload>");
  };
  EXPECT_THAT(complete(part(2, two) + part(1, one)).body(), HasSubstr("InvalidPartOrder"));
  EXPECT_THAT(complete(part(1, two) + part(2, two)).body(), HasSubstr("InvalidPart"));
  const ::http::Response done = complete(part(1, one) + part(2, two));
  EXPECT_EQ(done.status(), 200U);
  EXPECT_THAT(done.body(), HasSubstr("-2&quot;"));
  EXPECT_EQ(bench.Ask("GET", "/bkt/big").body(), big + "tail");
  EXPECT_EQ(HeaderIn(bench.Ask("GET", "/bkt/big"), "x-amz-meta-a"), "b");
  EXPECT_THAT(complete(part(1, one)).body(), HasSubstr("NoSuchUpload"));
}

TEST(S3Service, WhatIsNotImplementedIsNotTakenForSomethingElse) {
  Bench bench;
  bench.Ask("PUT", "/bkt/x", "1");
  for (const auto& [method, target] : {std::pair("GET", "/bkt?versions"), std::pair("PUT", "/bkt?policy"), std::pair("DELETE", "/bkt?lifecycle"),
                                       std::pair("PUT", "/bkt/x?tagging"), std::pair("DELETE", "/bkt/x?versionId=1"), std::pair("GET", "/bkt/x?torrent")}) {
    EXPECT_EQ(bench.Ask(method, target).status(), 501U) << target;
  }
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").body(), "1");
}

TEST(S3Service, AFullServerRefusesPutsAndKeepsWhatItHas) {
  Bench bench(10);
  EXPECT_EQ(bench.Ask("PUT", "/bkt/x", "12345678").status(), 200U);
  EXPECT_EQ(bench.Ask("PUT", "/bkt/y", "123").status(), 507U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").body(), "12345678");
  bench.Ask("DELETE", "/bkt/x");
  EXPECT_EQ(bench.Ask("PUT", "/bkt/y", "123").status(), 200U);
}

TEST(S3Service, TheBucketAsItWas) {
  Bench bench;
  bench.Ask("PUT", "/bkt/x", "old");
  bench.now_ms = 2'000;
  bench.Ask("PUT", "/bkt/x", "new");
  bench.Ask("PUT", "/bkt/y", "y");
  bench.now_ms = 3'000;
  bench.Ask("DELETE", "/bkt/x");
  EXPECT_EQ(bench.Ask("GET", "/bkt-at-999/x").status(), 404U);
  EXPECT_EQ(bench.Ask("GET", "/bkt-at-1000/x").body(), "old");
  EXPECT_EQ(bench.Ask("GET", "/bkt-at-1999/x").body(), "old");
  EXPECT_EQ(bench.Ask("GET", "/bkt-at-2000/x").body(), "new");
  EXPECT_EQ(bench.Ask("GET", "/bkt-at-2999/x").body(), "new");
  EXPECT_EQ(bench.Ask("GET", "/bkt-at-3000/x").status(), 404U);
  EXPECT_EQ(Between(bench.Ask("GET", "/bkt-at-1500?list-type=2").body(), "<Contents><Key>", "<"), std::vector<std::string>{"x"});
  EXPECT_EQ(Between(bench.Ask("GET", "/bkt-at-2500?list-type=2").body(), "<Contents><Key>", "<"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(bench.Ask("PUT", "/bkt-at-2000/z", "z").status(), 403U);
  EXPECT_EQ(bench.Ask("DELETE", "/bkt-at-2000/x").status(), 403U);
  EXPECT_THAT(bench.Ask("GET", "/").body(), Not(HasSubstr("-at-")));
  EXPECT_EQ(bench.Ask("PUT", "/bkt-at-7").status(), 400U) << "no bucket may have such a name";
}

TEST(S3Faults, EachHasItsEffectAndCounts) {
  Bench bench;
  bench.Ask("PUT", "/bkt/x", "0123456789");
  bench.Plan("external/s3/PutObject[bkt/e]#1", [](record::Fault* fault) { fault->mutable_object_error(); });
  EXPECT_EQ(bench.Ask("PUT", "/bkt/e", "1").status(), 500U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/e").status(), 404U);
  EXPECT_EQ(bench.Ask("PUT", "/bkt/e", "1").status(), 200U) << "the second is not struck";

  bench.Plan("external/s3/PutObject[bkt/late]#1", [](record::Fault* fault) { fault->mutable_object_error()->set_after_effect(true); });
  EXPECT_EQ(bench.Ask("PUT", "/bkt/late", "1").status(), 500U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/late").body(), "1");

  bench.Plan("external/s3/CopyObject[bkt/c]#1", [](record::Fault* fault) { fault->mutable_object_error()->set_in_body(true); });
  const ::http::Response copy = bench.Ask("PUT", "/bkt/c", "", {{"x-amz-copy-source", "bkt/x"}});
  EXPECT_EQ(copy.status(), 200U);
  EXPECT_THAT(copy.body(), HasSubstr("<Error><Code>InternalError</Code>"));
  EXPECT_EQ(bench.Ask("GET", "/bkt/c").status(), 404U);
  EXPECT_EQ(bench.Fired("object_error"), 3U);

  bench.Plan("external/s3/PutObject#5", [](record::Fault* fault) { fault->mutable_object_throttle(); });
  EXPECT_EQ(bench.Ask("PUT", "/bkt/t", "1").status(), 503U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/t").status(), 404U);
  bench.Plan("external/s3/PutObject#6", [](record::Fault* fault) { fault->mutable_object_full(); });
  EXPECT_EQ(bench.Ask("PUT", "/bkt/t", "1").status(), 507U);
  EXPECT_EQ(bench.Fired("object_throttle") + bench.Fired("object_full"), 2U);

  bench.Plan("external/s3/GetObject[bkt/x]#1", [](record::Fault* fault) { fault->mutable_object_corrupt(); });
  const ::http::Response corrupt = bench.Ask("GET", "/bkt/x");
  EXPECT_EQ(corrupt.body(), "0123446789");
  EXPECT_EQ(HeaderIn(corrupt, "ETag"), "\"" + ToHex(Md5("0123456789")) + "\"");
  EXPECT_EQ(bench.Fired("object_corrupt"), 1U);

  bench.Plan("external/s3/GetObject[bkt/x]#2", [](record::Fault* fault) { fault->mutable_object_slow()->set_bytes_per_s(7); });
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").bytes_per_s(), 7U);
  bench.Plan("external/s3/GetObject[bkt/x]#3", [](record::Fault* fault) { fault->mutable_stream_reset(); });
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").cut_after(), 5U);

  bench.Ask("PUT", "/bkt/newest", "1");
  bench.Plan("external/s3/ListObjectsV2[bkt]#1", [](record::Fault* fault) { fault->mutable_object_stale_list(); });
  EXPECT_THAT(bench.Ask("GET", "/bkt?list-type=2").body(), Not(HasSubstr("newest")));
  EXPECT_THAT(bench.Ask("GET", "/bkt?list-type=2").body(), HasSubstr("newest"));
  EXPECT_EQ(bench.Fired("object_stale_list"), 1U);

  bench.Plan("external/s3/DeleteObject[bkt/x]#1", [](record::Fault* fault) { fault->mutable_lose_reply(); });
  EXPECT_EQ(bench.Ask("DELETE", "/bkt/x").status(), 0U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/x").status(), 404U);
  EXPECT_TRUE(bench.faults().never_fired().empty());
}

TEST(S3Faults, WhatCannotHaveAnEffectDoesNotCount) {
  Bench bench;
  bench.Plan("external/s3/PutObject[bkt/x]#1", [](record::Fault* fault) { fault->mutable_object_corrupt(); });
  bench.Plan("external/s3/GetObject[bkt/none]#1", [](record::Fault* fault) { fault->mutable_object_slow(); });
  EXPECT_EQ(bench.Ask("PUT", "/bkt/x", "1").status(), 200U);
  EXPECT_EQ(bench.Ask("GET", "/bkt/none").status(), 404U);
  EXPECT_TRUE(bench.faults().fired_counts().empty());
}

TEST(S3Faults, ACaseIsSharedBetweenClusterAndEndpoint) {
  record::Case c;
  c.add_fault()->set_at("external/KvGet/region[]#1");
  c.add_fault()->set_at("external/s3/GetObject#1");
  c.add_nudge()->set_at("external/s3/GetObject#2");
  const record::Case taken = TakeS3Faults(&c);
  EXPECT_EQ(c.fault_size(), 1);
  EXPECT_EQ(c.nudge_size(), 0);
  EXPECT_EQ(taken.fault_size(), 1);
  EXPECT_EQ(taken.nudge_size(), 1);
}

}  // namespace
}  // namespace kvjury::objects
