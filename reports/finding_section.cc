#include "reports/finding_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "fakes/base/bytes.h"
#include "reports/drill_section.h"
#include "reports/drill_words.h"
#include "reports/finding_tree.h"
#include "reports/html.h"
#include "reports/run_report.h"

namespace kvjury::reports {
namespace {

constexpr size_t kValueBytesMax = 256;

size_t UnseenBytes(std::string_view bytes) {
  return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) { return c < 0x20 || c >= 0x7F; }));
}

std::string Hex(std::string_view bytes) { return HtmlBytes(ToHex(bytes), 2 * kValueBytesMax); }

std::string Value(const std::string& bytes, bool present) {
  if (!present) {
    return "<i>absent</i>";
  }
  if (bytes.empty()) {
    return "<i>present and empty</i>";
  }
  const size_t unseen = UnseenBytes(bytes);
  const std::string hex = "<small>hex</small> " + Hex(bytes);
  return 2 * unseen > bytes.size() ? hex : HtmlBytes(bytes, kValueBytesMax) + (unseen == 0 ? "" : "<br>" + hex);
}

std::string Version(uint64_t timestamp) {
  return timestamp == 0 ? "" : "<br><small>version committed at " + TimestampText(timestamp) + "</small>";
}

/// Which layers still had the truth: source, files, import, target.
std::string Chain(record::LostAt lost_at) {
  if (lost_at < record::LOST_AT_SOURCE || lost_at > record::LOST_AT_TARGET) {
    return "not known";
  }
  std::string out;
  for (int layer = record::LOST_AT_SOURCE; layer <= record::LOST_AT_TARGET; ++layer) {
    const std::string name = LostAtName(static_cast<record::LostAt>(layer));
    const char* css = layer < lost_at ? "" : layer == lost_at ? " class=\"lost\"" : " class=\"after\"";
    out += fmt::format("<li{}>{}{}</li>", css, name, layer < lost_at ? " has it" : layer == lost_at ? ": lost here" : "");
  }
  return "<ol class=\"chain\">" + out + "</ol>";
}

std::string Both(const record::Finding& finding) {
  if (!finding.expected_present() && !finding.actual_present() && finding.expected_ts() == 0 && finding.actual_ts() == 0) {
    return "";
  }
  std::string out =
      HtmlFact("source at the cut", Value(finding.expected(), finding.expected_present()) + Version(finding.expected_ts()));
  out += HtmlFact("restored", Value(finding.actual(), finding.actual_present()) + Version(finding.actual_ts()));
  const auto [left, right] =
      std::mismatch(finding.expected().begin(), finding.expected().end(), finding.actual().begin(), finding.actual().end());
  if (finding.expected_present() && finding.actual_present() && finding.expected() != finding.actual() &&
      finding.expected().size() > 16) {
    out += HtmlFact("first difference", fmt::format("byte {} (counted from 0)", left - finding.expected().begin()));
  }
  return out;
}

std::string Card(const record::Finding& finding, const std::string& id) {
  const Difference difference = DifferenceOf(finding);
  std::string out = fmt::format("<article class=\"finding\" id=\"{}\">\n<h5>{} {}: {}</h5>\n", id, Html(finding.check()),
                                Html(finding.kind()), Html(finding.message()));
  std::string facts;
  if (!finding.path().empty()) {
    facts += HtmlFact("path", HtmlBytes(finding.path(), 4096) +
                                  (finding.inode() == 0 ? "" : fmt::format(" <small>inode {}</small>", finding.inode())));
  } else {
    facts += HtmlFact("inode", finding.inode() == 0 ? "" : std::to_string(finding.inode()));
  }
  facts += HtmlFact("key", finding.key_text().empty() ? "" : HtmlBytes(finding.key_text()));
  facts += HtmlFact("key, hex", finding.key().empty() ? "" : Hex(finding.key()));
  facts += HtmlFact("field", finding.field().empty() ? "" : HtmlBytes(finding.field()) + " " + DifferenceWord(difference));
  facts += Both(finding);
  facts += HtmlFact("region", finding.region_id() == 0 ? "" : std::to_string(finding.region_id()));
  facts += HtmlFact("written by", finding.written_by().empty() ? "" : HtmlBytes(finding.written_by()));
  facts += HtmlFact("file", finding.file().empty() ? "" : HtmlBytes(finding.file()));
  facts += HtmlFact("lost at", Chain(finding.lost_at()));
  return out + "<dl class=\"facts\">\n" + facts + "</dl>\n</article>\n";
}

}  // namespace

std::string FindingsDetails(const google::protobuf::RepeatedPtrField<record::Finding>& findings, const std::string& anchor) {
  if (findings.empty()) {
    return "";
  }
  const int shown = std::min(findings.size(), kFindingsInPageMax);
  const std::string tree = FindingTree(findings, anchor, shown);
  std::string out = fmt::format("<details open><summary>Differences <small>{}</small></summary>\n",
                                Grouped(static_cast<uint64_t>(findings.size())));
  if (!tree.empty()) {
    out += "<h4>Where</h4>\n<p><small>\u2212 missing in the restored volume, + only there, \u2260 another value</small></p>\n" +
           tree;
  }
  out += "<h4>Each</h4>\n";
  for (int i = 0; i < shown; ++i) {
    out += Card(findings[i], fmt::format("{}{}", anchor, i + 1));
  }
  if (findings.size() > shown) {
    out += fmt::format("<p>\u2026 and {} more differences in <code>drills.jsonl</code>.</p>\n",
                       Grouped(static_cast<uint64_t>(findings.size() - shown)));
  }
  return out + "</details>\n";
}

}  // namespace kvjury::reports
