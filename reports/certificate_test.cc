#include "reports/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fakes/base/bytes.h"
#include "fakes/base/digest.h"
#include "reports/drill_testing.h"
#include "reports/golden_testing.h"

namespace kvjury::reports {
namespace {

using ::testing::HasSubstr;

class CertificateTest : public ::testing::Test {
 protected:
  CertificateTest() : folder_(::testing::TempDir() + "kvjury-certificate-" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/deeper");
    drill_.mutable_input(0)->set_file("deeper/source.kv.gz");
    for (record::DrillInput& input : *drill_.mutable_input()) {
      const std::string content = std::string(3'000'000, 'x') + input.what();  // more than one piece
      Write(input.file(), content);
      input.set_bytes(content.size());
      input.set_sha256(ToHex(Sha256(content)));
    }
  }
  ~CertificateTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
  }

  std::string VerifyError() {
    const Result<uint64_t> verified = VerifyInputs(MakeCertificate(drill_, "0.1.0").value(), folder_);
    return verified.ok() ? "" : verified.error().ToString();
  }

  record::DrillRecord drill_ = SameDrill("br-txn", "store-dies");
  std::string folder_;
};

TEST_F(CertificateTest, JsonAndPageAreAsTheGoldenFilesShow) {
  const Result<record::Certificate> certificate = MakeCertificate(SameDrill("br-txn", "store-dies"), "0.1.0");
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  const std::string json = CertificateJson(*certificate).value();
  ExpectGolden("certificate.json", json);
  ExpectGolden("certificate.html", CertificateHtml(*certificate, json));
}

TEST_F(CertificateTest, IsReadBackAsItWasWritten) {
  const record::Certificate certificate = MakeCertificate(drill_, "0.1.0").value();
  ASSERT_TRUE(WriteCertificate(folder_, certificate).ok());
  const std::string json = ReadAll(folder_ + "/certificate.json");
  const Result<record::Certificate> read = ParseCertificate("certificate.json", json);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->DebugString(), certificate.DebugString());
  EXPECT_THAT(ReadAll(folder_ + "/certificate.html"), HasSubstr(ToHex(Sha256(json)))) << "a signed print pins the file";
  const Result<uint64_t> verified = VerifyInputs(*read, folder_);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(*verified, 4u);
}

TEST_F(CertificateTest, NothingButSameIsCertified) {
  int refused = 0;
  for (int outcome = 0; outcome < record::DrillOutcome_ARRAYSIZE; ++outcome) {
    record::DrillRecord drill = drill_;
    drill.set_outcome(static_cast<record::DrillOutcome>(outcome));
    const Result<record::Certificate> certificate = MakeCertificate(drill, "0.1.0");
    EXPECT_EQ(certificate.ok(), outcome == record::DRILL_SAME);
    refused += certificate.ok() ? 0 : 1;
  }
  EXPECT_EQ(refused, record::DrillOutcome_ARRAYSIZE - 1);
  EXPECT_EQ(
      MakeCertificate(FalseSuccessDrill(), "0.1.0").error().message(),
      "no certificate for br-txn, fault newer-deletions-on-target, drill 1: it is false success, and only what is same can be certified");
  record::DrillRecord empty = drill_;
  empty.clear_scope();
  EXPECT_THAT(MakeCertificate(empty, "0.1.0").error().message(), HasSubstr("it compared no key and no entry"));
  record::DrillRecord without_inputs = drill_;
  without_inputs.clear_input();
  EXPECT_THAT(MakeCertificate(without_inputs, "0.1.0").error().message(), HasSubstr("it names no input"));
  record::DrillRecord without_digest = drill_;
  without_digest.mutable_input(2)->set_sha256("abc");
  EXPECT_THAT(MakeCertificate(without_digest, "0.1.0").error().message(),
              HasSubstr("source-mount.jsonl.gz has no SHA-256 of 64 hex digits"));
  record::DrillRecord contradiction = drill_;
  contradiction.add_finding();
  EXPECT_THAT(MakeCertificate(contradiction, "0.1.0").error().message(), HasSubstr("is called same and has findings"));
}

TEST_F(CertificateTest, TheFirstFileThatIsMissingOrDiffersIsNamed) {
  EXPECT_EQ(VerifyError(), "");
  Write("target.kv.gz", std::string(drill_.input(1).bytes(), 'x'));
  EXPECT_THAT(VerifyError(),
              HasSubstr("target.kv.gz (target) is not the file of the certificate: expected 3000006 bytes with SHA-256"));
  std::filesystem::remove(folder_ + "/deeper/source.kv.gz");
  EXPECT_THAT(VerifyError(), HasSubstr("deeper/source.kv.gz (source at the cut) is missing"));
}

TEST_F(CertificateTest, AFileOutsideOfTheFolderIsNotRead) {
  for (const char* file : {"../source.kv.gz", "/etc/hostname", "deeper/../../x", ""}) {
    drill_.mutable_input(0)->set_file(file);
    EXPECT_THAT(VerifyError(), HasSubstr("which is no file below its folder")) << file;
  }
}

TEST_F(CertificateTest, WhatIsNoCertificateIsRefused) {
  const auto error = [](const std::string& text) {
    const Result<record::Certificate> certificate = ParseCertificate("c.json", text);
    return certificate.ok() ? "" : certificate.error().ToString();
  };
  const std::string json = CertificateJson(MakeCertificate(drill_, "0.1.0").value()).value();
  EXPECT_EQ(error(json), "");
  EXPECT_THAT(error(""), HasSubstr("c.json: expected a certificate of kvjury"));
  EXPECT_THAT(error(json.substr(0, json.size() / 2)), HasSubstr("c.json: expected a certificate of kvjury"));
  EXPECT_THAT(error("{}"), HasSubstr("c.json: expected a certificate of schema 1, found 0"));
  EXPECT_THAT(error("{\"schema\": 1}"), HasSubstr("c.json: its drill cannot have been certified: it is not checked"));
  std::string forged = json;
  forged.replace(forged.find("DRILL_SAME"), 10, "DRILL_DIFFERENT");
  EXPECT_THAT(error(forged), HasSubstr("it is different"));
}

}  // namespace
}  // namespace kvjury::reports
