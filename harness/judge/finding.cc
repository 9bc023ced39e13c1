#include "harness/judge/finding.h"

#include "harness/juicefs/keys.h"

namespace kvjury::judge {

namespace {
constexpr char kPrefixEnd = static_cast<char>(0xFD);
}  // namespace

record::Finding* Recorder::Add(std::string kind, std::string message) {
  checked_.result.set_findings(checked_.result.findings() + 1);
  record::Finding* finding = &scratch_;
  if (checked_.findings.size() < kFindingsKeptMax) {
    checked_.findings.emplace_back();
    finding = &checked_.findings.back();
  } else {
    scratch_.Clear();
  }
  finding->set_check(checked_.result.check());
  finding->set_kind(std::move(kind));
  finding->set_message(std::move(message));
  return finding;
}

void Recorder::Add(record::Finding finding) {
  checked_.result.set_findings(checked_.result.findings() + 1);
  if (checked_.findings.size() < kFindingsKeptMax) {
    finding.set_check(checked_.result.check());
    checked_.findings.push_back(std::move(finding));
  }
}

std::string KeyText(std::string_view key) {
  const size_t end = key.find(kPrefixEnd);
  if (end == std::string_view::npos) {
    return Printable(key);
  }
  return Printable(key.substr(0, end)) + ": " + juicefs::DescribeKey(key.substr(end + 1));
}

void DescribeKeyInto(const Evidence& evidence, std::string_view key, Timestamp start_ts, record::Finding* finding) {
  finding->set_key(Bytes(key));
  finding->set_key_text(KeyText(key));
  const size_t end = key.find(kPrefixEnd);
  if (end != std::string_view::npos) {
    auto parsed = juicefs::ParseKey(key.substr(end + 1));
    if (parsed.ok()) {
      finding->set_inode(parsed->inode.value());
    }
  }
  if (start_ts.valid()) {
    for (const DeclaredTransaction& transaction : evidence.transactions) {
      if (transaction.start_ts == start_ts) {
        finding->set_written_by(transaction.label);
        break;
      }
    }
  }
}

}  // namespace kvjury::judge
