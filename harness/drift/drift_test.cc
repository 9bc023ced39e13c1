// The player's own eyes: every changed field of every kind of answer is reported, and what belongs to a cluster is not.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "harness/drift/compare_json.h"
#include "harness/drift/conformance_test_bench.h"
#include "harness/drift/field_rules.h"
#include "harness/drift/method_types.h"

namespace kvjury::drift {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<RecordedCall> LoadProbe(const std::string& name) {
  Result<std::vector<RecordedCall>> calls = LoadCalls(Probe(name));
  CHECK(calls.ok()) << calls.status();
  return *std::move(calls);
}

// --- files ---

std::string ErrorOf(const std::string& text) { return ParseCalls("f.jsonl", text).status().ToString(); }

TEST(CallFile, SaysFileAndLineOfWhatItCannotRead) {
  const std::string good = R"({"case":"a","method":"/pdpb.PD/GetMembers","req_hex":"","resp_hex":""})";
  EXPECT_THAT(ErrorOf(good + "\n\n{"), HasSubstr("f.jsonl line 3: no JSON object"));
  EXPECT_THAT(ErrorOf(R"({"case":"a"})"), HasSubstr("f.jsonl line 1: no member \"method\""));
  EXPECT_THAT(ErrorOf(R"({"method":"GetMembers"})"), HasSubstr("neither"));
  EXPECT_THAT(ErrorOf(R"({"method":"/a.B/C","req_hex":"0x"})"), HasSubstr("line 1: \"req_hex\": "));
  EXPECT_THAT(ErrorOf(R"({"method":"/a.B/C","grpc_error":"broken"})"), HasSubstr("grpc_error"));
  EXPECT_THAT(ErrorOf(R"({"method":"GET /pd/api/v1/stores","body":"{}"})"), HasSubstr("no member \"status\""));
  EXPECT_EQ(ParseCalls("f.jsonl", "\n \n")->size(), 0U);
  EXPECT_EQ(LoadCalls("/nowhere/f.jsonl").status().code(), StatusCode::kNotFound);
}

TEST(CallFile, LinesOfEveryKindComeBackAsTheyWere) {
  size_t lines = 0;
  for (const char* name : {"tikv-8.5.0.jsonl.gz", "pd-8.5.7.jsonl.gz", "pd-http-8.5.7.jsonl.gz", "tikv-8.5.0.left-out.jsonl"}) {
    for (const RecordedCall& call : LoadProbe(name)) {
      const RecordedCall again = ParseCalls("again", ToLine(call))->front();
      EXPECT_EQ(ToLine(again), ToLine(call));
      EXPECT_EQ(again.answers, call.answers);
      EXPECT_EQ(again.error_code + again.error_text, call.error_code + call.error_text);
      ++lines;
    }
  }
  EXPECT_EQ(lines, 180U + 53U + 35U + 16U);
}

// --- comparing messages ---

// Changes the n-th set scalar inside the message; tells its rule. False if there are fewer.
bool ChangeLeaf(Message* message, int* n, FieldRule outer, FieldRule* rule) {
  const Reflection* reflection = message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    const FieldRule here = outer != FieldRule::kSame ? outer : RuleOf(*field);
    const int size = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
    for (int i = 0; i < size; ++i) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        Message* inner = field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, i)
                                              : reflection->MutableMessage(message, field);
        if (ChangeLeaf(inner, n, here, rule)) {
          return true;
        }
        continue;
      }
      if ((*n)-- > 0) {
        continue;
      }
      *rule = here;
      const bool repeated = field->is_repeated();
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING: {
          std::string value = repeated ? reflection->GetRepeatedString(*message, field, i) : reflection->GetString(*message, field);
          value += 'x';
          repeated ? reflection->SetRepeatedString(message, field, i, value) : reflection->SetString(message, field, value);
          return true;
        }
        case FieldDescriptor::CPPTYPE_UINT64:
          repeated ? reflection->SetRepeatedUInt64(message, field, i, reflection->GetRepeatedUInt64(*message, field, i) + 1)
                   : reflection->SetUInt64(message, field, reflection->GetUInt64(*message, field) + 1);
          return true;
        default:
          repeated ? static_cast<void>(reflection->RemoveLast(message, field)) : reflection->ClearField(message, field);
          return true;
      }
    }
  }
  return false;
}

TEST(Comparing, NoticesEveryChangeOfEveryRecordedAnswer) {
  size_t changes = 0;
  size_t own = 0;
  for (const char* name : {"tikv-8.5.0.jsonl.gz", "pd-8.5.7.jsonl.gz"}) {
    for (const RecordedCall& call : LoadProbe(name)) {
      for (const Bytes& bytes : call.answers) {
        const auto recorded = ParseAs(*TypesOf(call.method).response, bytes);
        for (int n = 0;; ++n) {
          std::shared_ptr<Message> changed(recorded->New());
          changed->CopyFrom(*recorded);
          int countdown = n;
          FieldRule rule = FieldRule::kSame;
          if (!ChangeLeaf(changed.get(), &countdown, FieldRule::kSame, &rule)) {
            break;
          }
          std::vector<FieldDifference> found;
          CompareMessages(*recorded, *changed, "", &found);
          const bool excused = rule == FieldRule::kNoise || rule == FieldRule::kOwn;
          if (rule == FieldRule::kOwn && !found.empty()) {
            continue;  // unset: that is noticed
          }
          EXPECT_EQ(found.empty(), excused) << call.line << " " << call.method << " leaf " << n;
          ++(excused ? own : changes);
        }
      }
    }
  }
  EXPECT_GT(changes, 1000U);
  EXPECT_GT(own, 200U);
}

TEST(Comparing, FindsWhatIsMissingAndWhatIsTooMuch) {
  kvrpcpb::ScanResponse two;
  two.add_pairs()->set_key("a");
  two.add_pairs()->set_key("b");
  kvrpcpb::ScanResponse one;
  one.add_pairs()->set_key("a");
  std::vector<FieldDifference> found;
  CompareMessages(two, one, "", &found);
  CompareMessages(one, two, "", &found);
  one.GetReflection()->MutableUnknownFields(&one)->AddVarint(999, 1);
  CompareMessages(two, one, "", &found);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].field + " " + found[0].recorded + " " + found[0].got, "pairs (number of) 2 1");
  EXPECT_EQ(found[1].recorded + " " + found[1].got, "1 2");
  EXPECT_EQ(found[2].field, "(unknown fields)");
}

// --- whole calls ---

class PlantedDifference : public testing::Test {
 protected:
  // Plays `calls` and returns what differs.
  std::vector<std::string> Play(std::vector<RecordedCall> calls) {
    Result<Played> played = PlayInWorld(&bench_, std::move(calls));
    CHECK(played.ok()) << played.status();
    std::vector<std::string> texts;
    for (const Difference& difference : played->differences) {
      texts.push_back(ToText(difference));
    }
    return texts;
  }
  static std::vector<RecordedCall> Calls(const std::string& name, const std::string& case_prefix) {
    std::vector<RecordedCall> calls = LoadProbe(name);
    std::erase_if(calls, [&case_prefix](const RecordedCall& call) { return !call.case_name.starts_with(case_prefix); });
    CHECK(!calls.empty());
    return calls;
  }
  template <class Message>
  static void Change(RecordedCall* call, void (*change)(Message*), size_t answer = 0) {
    Message message;
    CHECK(message.ParseFromString(call->answers.at(answer)));
    change(&message);
    call->answers[answer] = message.SerializeAsString();
  }

  tikv::ClusterBench bench_{1};
};

TEST_F(PlantedDifference, InAValueIsReported) {
  std::vector<RecordedCall> calls = Calls("tikv-8.5.0.jsonl.gz", "01");
  const auto changed = [](kvrpcpb::GetResponse* answer) { answer->set_value("w"); };
  Change<kvrpcpb::GetResponse>(&calls.at(12), changed);
  EXPECT_THAT(Play(calls),
              ElementsAre("01 prewrite+commit short/255/256#13 /tikvpb.Tikv/KvGet value: recorded \"w\", got \"v\""));
}

TEST_F(PlantedDifference, InARegionErrorIsReportedInTheTargetsTerms) {
  std::vector<RecordedCall> calls = Calls("tikv-8.5.0.jsonl.gz", "11");
  calls.resize(4);
  const auto changed = [](kvrpcpb::GetResponse* answer) {
    metapb::Region* region = answer->mutable_region_error()->mutable_epoch_not_match()->mutable_current_regions(0);
    region->mutable_region_epoch()->set_version(region->region_epoch().version() + 1);
  };
  // The second description of the region; the first one is how it is known.
  Change<kvrpcpb::GetResponse>(&calls.at(3), changed);
  const std::vector<std::string> found = Play(calls);
  EXPECT_THAT(found, SizeIs(1));
  EXPECT_THAT(found[0], HasSubstr("region_error.epoch_not_match.current_regions[0].region_epoch.version: recorded 6, got 5"));
}

TEST_F(PlantedDifference, InAStreamIsReported) {
  std::vector<RecordedCall> calls = Calls("tikv-8.5.0.jsonl.gz", "17f");
  const auto changed = [](backup::BackupResponse* answer) { answer->set_end_key("p/03"); };
  Change<backup::BackupResponse>(&calls.at(0), changed);
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("answers[0].end_key: recorded \"p/03\", got \"p/02\"")));
  calls[0].answers.clear();
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("answers (number of): recorded 0, got 1")));
}

TEST_F(PlantedDifference, InAnErrorIsReported) {
  std::vector<RecordedCall> calls = Calls("pd-8.5.7.jsonl.gz", "bad cluster id");
  EXPECT_THAT(Play(calls), ElementsAre());
  calls.resize(1);
  calls.push_back(Calls("pd-8.5.7.jsonl.gz", "members").front());  // tells the recorded cluster's id
  calls.at(0).error_text = "mismatch";
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("grpc_error: recorded FailedPrecondition \"mismatch\", got ")));
  calls.at(0).error_code = "Unimplemented";
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("grpc_error: recorded Unimplemented")));
  calls.at(0).error_code.clear();
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("grpc_error: recorded an answer, got ")));
  calls = Calls("pd-8.5.7.jsonl.gz", "bootstrapped");
  calls.at(0).error_code = "Unknown";
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("grpc_error: recorded Unknown \"\", got an answer")));
}

TEST_F(PlantedDifference, InATimestampsCountIsReported) {
  std::vector<RecordedCall> calls = Calls("pd-8.5.7.jsonl.gz", "tso count 5");
  const auto changed = [](pdpb::TsoResponse* answer) { answer->set_count(4); };
  Change<pdpb::TsoResponse>(&calls.at(0), changed);
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("count: recorded 4, got 5")));
}

TEST_F(PlantedDifference, InAnHttpAnswerIsReported) {
  std::vector<RecordedCall> calls = Calls("pd-http-8.5.7.jsonl.gz", "config_replicate");
  EXPECT_THAT(Play(calls), ElementsAre());
  std::string& body = calls.at(0).answers.at(0);
  body.replace(body.find("\"strictly-match-label\": \"false\""), 31, "\"strictly-match-label\": \"true\"");
  calls[0].content_type = "text/plain";
  calls[0].http_status = 201;
  EXPECT_THAT(Play(calls), ElementsAre(HasSubstr("status: recorded 201, got 200"), HasSubstr("content_type: recorded text/plain"),
                                       HasSubstr("body/strictly-match-label: recorded \"true\", got \"false\"")));
}

TEST_F(PlantedDifference, AtARegionThatTheRecordingNeverDescribesIsFoundByItsKeys) {
  std::vector<RecordedCall> calls = LoadProbe("leftover-locks.jsonl.gz");
  EXPECT_THAT(Play(calls), ElementsAre());
}

TEST(Bodies, OrderAndKindsOfMembersCount) {
  const Identity identity;
  const auto differences = [&identity](const char* recorded, const char* got) {
    std::vector<FieldDifference> found;
    CompareBodies(identity, recorded, got, &found);
    std::string text;
    for (const FieldDifference& difference : found) {
      text += difference.field + ";";
    }
    return text;
  };
  EXPECT_EQ(differences(R"({"a":1,"b":[2]})", R"({"a":1,"b":[2]})"), "");
  EXPECT_EQ(differences(R"({"a":1,"b":2})", R"({"b":2,"a":1})"), "body (order of members);");
  EXPECT_EQ(differences(R"({"a":1})", R"({"b":1})"), "body/a;body/b;");
  EXPECT_EQ(differences(R"({"a":[1,2]})", R"({"a":[1]})"), "body/a (number of);");
  EXPECT_EQ(differences(R"({"address":"a:1"})", R"({"address":"b:2"})"), "");
  EXPECT_EQ(differences(R"({"address":"a:1"})", R"({"address":7})"), "body/address;");
  EXPECT_EQ(differences("404 page not found\n", "404\n"), "body;");
}

TEST(Reasons, ExplainWhatTheyNameAndTheUselessOnesAreTold) {
  const auto reasons = ParseReasons("r", "{\"case\":\"c\",\"field\":\"a.b\",\"reason\":\"why\"}\n{\"method\":\"m\",\"reason\":\"other\"}\n");
  ASSERT_TRUE(reasons.ok()) << reasons.status();
  std::vector<Difference> differences(3);
  differences[0] = {"c", 1, 1, "x", {"a.b[0].c", "1", "2"}, ""};
  differences[1] = {"c", 1, 1, "x", {"a.bc", "1", "2"}, ""};
  differences[2] = {"d", 1, 1, "x", {"a.b", "1", "2"}, ""};
  const std::vector<KnownDifference> unused = Explain(*reasons, &differences);
  EXPECT_EQ(differences[0].reason, "why");
  EXPECT_EQ(differences[1].reason + differences[2].reason, "");
  ASSERT_EQ(unused.size(), 1U);
  EXPECT_EQ(unused[0].line, 2U);
  EXPECT_THAT(ParseReasons("r", "{\"case\":\"c\"}").status().ToString(), HasSubstr("r line 1: a known difference needs its reason"));
  EXPECT_THAT(ParseReasons("r", "{\"cases\":\"c\"}").status().ToString(), HasSubstr("r line 1: expected"));
}

}  // namespace
}  // namespace kvjury::drift
