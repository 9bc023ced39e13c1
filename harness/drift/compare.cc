#include "harness/drift/compare.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <map>

#include "fakes/base/bytes.h"
#include "harness/drift/field_rules.h"
#include "harness/drift/identity.h"
#include "proto/tikv/metapb.pb.h"

namespace kvjury::drift {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr uint64_t kSecondsApartMax = 5;
constexpr int64_t kWithoutEndSeconds = int64_t{1} << 61;
constexpr char kNothing[] = "nothing";

Bytes UnknownBytes(const Message& message) {
  Bytes bytes;
  CHECK(message.GetReflection()->GetUnknownFields(message).SerializeToString(&bytes));
  return bytes;
}

class Comparer {
 public:
  explicit Comparer(std::vector<FieldDifference>* out) : out_(out) {}

  void Compare(const Message& recorded, const Message& got, const std::string& at) {
    const Bytes unknown_recorded = UnknownBytes(recorded);
    const Bytes unknown_got = UnknownBytes(got);
    if (unknown_recorded != unknown_got) {
      Report(at + "(unknown fields)", ToHex(unknown_recorded), ToHex(unknown_got));
    }
    const google::protobuf::Descriptor* type = recorded.GetDescriptor();
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor& field = *type->field(i);
      if (RuleOf(field) == FieldRule::kNoise) {
        continue;
      }
      if (field.is_map()) {
        CompareMap(recorded, got, field, at + field.name());
      } else if (field.is_repeated()) {
        CompareList(recorded, got, field, at + field.name());
      } else {
        CompareOne(recorded, got, field, at + field.name());
      }
    }
  }

 private:
  void Report(std::string field, std::string recorded, std::string got) {
    out_->push_back({std::move(field), std::move(recorded), std::move(got)});
  }

  void CompareOne(const Message& recorded, const Message& got, const FieldDescriptor& field, const std::string& at) {
    const bool message = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    const bool in_recorded = recorded.GetReflection()->HasField(recorded, &field);
    const bool in_got = got.GetReflection()->HasField(got, &field);
    if (in_recorded != in_got) {
      if (message || RuleOf(field) == FieldRule::kOwn || !SameValue(recorded, got, field, -1)) {
        Report(at, in_recorded ? Text(recorded, field, -1) : kNothing, in_got ? Text(got, field, -1) : kNothing);
      }
      return;
    }
    if (in_recorded) {
      CompareValue(recorded, got, field, -1, -1, at);
    }
  }

  void CompareList(const Message& recorded, const Message& got, const FieldDescriptor& field, const std::string& at) {
    const int size_recorded = recorded.GetReflection()->FieldSize(recorded, &field);
    const int size_got = got.GetReflection()->FieldSize(got, &field);
    if (size_recorded != size_got) {
      Report(at + " (number of)", std::to_string(size_recorded), std::to_string(size_got));
    }
    for (int i = 0; i < std::min(size_recorded, size_got); ++i) {
      CompareValue(recorded, got, field, i, i, at + "[" + std::to_string(i) + "]");
    }
  }

  // Entries are matched by key: their order means nothing.
  void CompareMap(const Message& recorded, const Message& got, const FieldDescriptor& field, const std::string& at) {
    const auto entries = [&field](const Message& of) {
      std::map<std::string, const Message*> by_key;
      for (int i = 0; i < of.GetReflection()->FieldSize(of, &field); ++i) {
        const Message& entry = of.GetReflection()->GetRepeatedMessage(of, &field, i);
        by_key[Text(entry, *entry.GetDescriptor()->field(0), -1)] = &entry;
      }
      return by_key;
    };
    const std::map<std::string, const Message*> theirs = entries(recorded);
    const std::map<std::string, const Message*> ours = entries(got);
    for (const auto& [key, entry] : theirs) {
      const auto found = ours.find(key);
      if (found == ours.end()) {
        Report(at + "[" + key + "]", entry->ShortDebugString(), kNothing);
      } else {
        Compare(*entry, *found->second, at + "[" + key + "].");
      }
    }
    for (const auto& [key, entry] : ours) {
      if (theirs.count(key) == 0) {
        Report(at + "[" + key + "]", kNothing, entry->ShortDebugString());
      }
    }
  }

  void CompareValue(const Message& recorded, const Message& got, const FieldDescriptor& field, int i, int j, const std::string& at) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && RuleOf(field) == FieldRule::kSame) {
      Compare(MessageAt(recorded, field, i), MessageAt(got, field, j), at + ".");
    } else if (!Agree(recorded, got, field, i)) {
      Report(at, Text(recorded, field, i), Text(got, field, j));
    }
  }

  bool Agree(const Message& recorded, const Message& got, const FieldDescriptor& field, int i) {
    switch (RuleOf(field)) {
      case FieldRule::kNoise:
      case FieldRule::kOwn: return true;
      case FieldRule::kLeader: return LeadsItsRegion(got, static_cast<const metapb::Peer&>(MessageAt(got, field, i)), i);
      case FieldRule::kDigest: return StringAt(recorded, field, i).size() == StringAt(got, field, i).size();
      case FieldRule::kFileName: {
        const std::string name = WithoutClock(StringAt(recorded, field, i));
        return name.empty() ? SameValue(recorded, got, field, i) : name == WithoutClock(StringAt(got, field, i));
      }
      case FieldRule::kSecondsLeft: return NearSeconds(recorded, got, field);
      default: return SameValue(recorded, got, field, i);
    }
  }

  // The region stands beside its leader as `region`, or in the same place of `region_metas`.
  static bool LeadsItsRegion(const Message& got, const metapb::Peer& leader, int i) {
    const FieldDescriptor* field = got.GetDescriptor()->FindFieldByName(i < 0 ? "region" : "region_metas");
    if (field == nullptr || field->message_type() != metapb::Region::descriptor() ||
        (i >= 0 && got.GetReflection()->FieldSize(got, field) <= i)) {
      return false;
    }
    const auto& region = static_cast<const metapb::Region&>(MessageAt(got, *field, i));
    return std::any_of(region.peers().begin(), region.peers().end(), [&leader](const metapb::Peer& peer) {
      return peer.id() == leader.id() && peer.store_id() == leader.store_id();
    });
  }

  static bool NearSeconds(const Message& recorded, const Message& got, const FieldDescriptor& field) {
    const int64_t theirs = recorded.GetReflection()->GetInt64(recorded, &field);
    const int64_t ours = got.GetReflection()->GetInt64(got, &field);
    if (theirs > kWithoutEndSeconds || ours > kWithoutEndSeconds) {
      return theirs > kWithoutEndSeconds && ours > kWithoutEndSeconds;
    }
    return std::max(theirs, ours) - std::min(theirs, ours) <= static_cast<int64_t>(kSecondsApartMax);
  }

  static const Message& MessageAt(const Message& of, const FieldDescriptor& field, int i) {
    return i < 0 ? of.GetReflection()->GetMessage(of, &field) : of.GetReflection()->GetRepeatedMessage(of, &field, i);
  }
  static std::string StringAt(const Message& of, const FieldDescriptor& field, int i) {
    return i < 0 ? of.GetReflection()->GetString(of, &field) : of.GetReflection()->GetRepeatedString(of, &field, i);
  }
  // Scalars print losslessly, so that equal texts are equal values.
  static bool SameValue(const Message& recorded, const Message& got, const FieldDescriptor& field, int i) {
    return field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ? StringAt(recorded, field, i) == StringAt(got, field, i)
                                                               : Text(recorded, field, i) == Text(got, field, i);
  }
  static std::string Text(const Message& of, const FieldDescriptor& field, int i) {
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      return "{" + MessageAt(of, field, i).ShortDebugString() + "}";
    }
    std::string text;
    google::protobuf::TextFormat::PrintFieldValueToString(of, &field, i, &text);
    return text;
  }

  std::vector<FieldDifference>* out_;
};

}  // namespace

void CompareMessages(const Message& recorded, const Message& got, const std::string& at, std::vector<FieldDifference>* out) {
  CHECK(recorded.GetDescriptor() == got.GetDescriptor());
  Comparer(out).Compare(recorded, got, at);
}

}  // namespace kvjury::drift
