// report.html: the verdict first, then what was compared, the matrix, every drill, and how to go on.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "reports/drill_report.h"
#include "reports/drill_section.h"
#include "reports/drill_words.h"
#include "reports/html.h"
#include "reports/not_proved.h"
#include "reports/units.h"

namespace kvjury::reports {
namespace {

constexpr size_t kRunLinksMax = 12;
/// A matrix with more columns may be wider than the text.
constexpr size_t kFaultsInTextWidth = 7;

record::DrillOutcome WorstOf(const std::vector<record::DrillRecord>& drills) {
  record::DrillOutcome worst = drills.empty() ? record::DRILL_NOTHING : record::DRILL_SAME;
  for (const record::DrillRecord& drill : drills) {
    worst = DrillBadness(drill.outcome()) > DrillBadness(worst) ? drill.outcome() : worst;
  }
  return worst;
}

/// The colour of the verdict's word; the word itself is that of verdict.json.
std::string VerdictBadge(const DrillReport& report) {
  const std::string verdict = report.verdict();
  const record::DrillOutcome shown = verdict == "SAME"       ? record::DRILL_SAME
                                     : verdict == "UNPROVEN" ? record::DRILL_UNPROVEN
                                     : verdict == "NOTHING"  ? record::DRILL_NOTHING
                                                             : WorstOf(report.drills());
  std::string word = verdict;
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (verdict == "DIFFERENT" && report.drills().size() == 1) {
    word = DrillWord(shown);
  } else if (verdict == "NOTHING") {
    word = "nothing was checked";
  }
  return fmt::format("<span class=\"badge {}\"><span aria-hidden=\"true\">{}</span> {}</span>", OutcomeCss(shown),
                     OutcomeSign(shown), word);
}

std::string Verdict(const DrillReport& report) {
  const record::DrillOutcome worst = WorstOf(report.drills());
  const std::string css = report.verdict() == "SAME" ? "same" : report.verdict() == "NOTHING" ? "nothing" : OutcomeCss(worst);
  std::string out = fmt::format("<header class=\"verdict {}\">\n<p class=\"eyebrow\">Restore drill by kvjury {}</p>\n", css,
                                Html(report.info().version));
  out += fmt::format("<p>{}</p>\n<h1>{}</h1>\n", VerdictBadge(report), Html(report.Sentence()));
  if (report.drills().size() == 1) {
    out += "<p class=\"lead\">" + Html(WhyOf(report.drills().front())) + "</p>\n";
  }
  std::set<std::string> volumes;
  std::set<std::string> cuts;
  int64_t began_ms = 0;
  int64_t took_ms = 0;
  for (const record::DrillRecord& drill : report.drills()) {
    if (drill.outcome() != record::DRILL_SKIPPED) {
      cuts.insert(CutText(drill));
    }
    if (!drill.volume().empty()) {
      volumes.insert(HtmlBytes(drill.volume()));
    }
    began_ms = began_ms == 0 || (drill.began_ms() > 0 && drill.began_ms() < began_ms) ? drill.began_ms() : began_ms;
    took_ms += std::max<int64_t>(drill.took_ms(), 0);
  }
  out += "<dl class=\"facts\">\n";
  out += HtmlFact("volume", volumes.empty()       ? ""
                            : volumes.size() == 1 ? *volumes.begin()
                                                  : fmt::format("{}, named in each drill", volumes.size()));
  out += HtmlFact("cut", cuts.empty()       ? ""
                         : cuts.size() == 1 ? *cuts.begin()
                                            : fmt::format("{}, named in each drill", cuts.size()));
  out += HtmlFact("began", began_ms > 0 ? Utc(began_ms) : "");
  out += HtmlFact("drills took", report.drills().empty() ? "" : Duration(took_ms));
  out +=
      HtmlFact("exit code", fmt::format("{} ({})", static_cast<int>(report.exit_code()), ExitCodeMeaning(report.exit_code())));
  out += HtmlFact("seed, digest", fmt::format("{}, <span class=\"bytes\">{}</span>", report.info().seed, report.digest()));
  return out + "</dl>\n</header>\n";
}

std::string Tally(const DrillReport& report) {
  std::map<int, std::pair<record::DrillOutcome, uint64_t>, std::greater<>> counts;  // the worst first
  for (const record::DrillRecord& drill : report.drills()) {
    auto& [outcome, count] = counts[DrillBadness(drill.outcome())];
    outcome = drill.outcome();
    ++count;
  }
  std::string out;
  for (const auto& [badness, entry] : counts) {
    out += fmt::format("<span>{} {}</span> ", OutcomeBadge(entry.first), entry.second);
  }
  return report.drills().size() < 2 ? "" : "<p class=\"tally\">" + out + "</p>\n";
}

std::string Cell(const DrillCell* cell, const std::vector<record::DrillRecord>& drills) {
  if (cell == nullptr) {
    return "<td class=\"mute\"><span aria-hidden=\"true\">\u00B7</span><span class=\"unseen\">not driven</span></td>";
  }
  std::string out =
      fmt::format("<td class=\"{}\"><a href=\"#drill-{}\"><span aria-hidden=\"true\">{}&nbsp;</span>{}</a>",
                  OutcomeCss(cell->worst), cell->drills.front() + 1, OutcomeSign(cell->worst), DrillWord(cell->worst));
  if (!cell->Share().empty()) {
    out += "<small>" + cell->Share() + "</small><small class=\"runs\">";
    for (size_t i = 0; i < cell->drills.size() && i < kRunLinksMax; ++i) {
      const record::DrillRecord& drill = drills[cell->drills[i]];
      out += fmt::format(
          "<a href=\"#drill-{}\"><span aria-hidden=\"true\">{}</span><span class=\"unseen\">{}, drill </span>{}</a> ",
          cell->drills[i] + 1, OutcomeSign(drill.outcome()), DrillWord(drill.outcome()), drill.number());
    }
    out += cell->drills.size() > kRunLinksMax ? "\u2026" : "";
    out += "</small>";
  }
  return out + "</td>";
}

std::string Matrix(const std::vector<record::DrillRecord>& drills) {
  const DrillMatrix matrix(drills);
  if (matrix.rows().empty()) {
    return "";
  }
  std::string out = fmt::format(
      "<h2 id=\"matrix\">Tool and fault</h2>\n"
      "<div class=\"scroll{}\" role=\"region\" aria-labelledby=\"matrix\" tabindex=\"0\">\n<table class=\"matrix\">"
      "<caption class=\"unseen\">Outcome of each recipe under each fault; every cell leads to its drill</caption>\n"
      "<thead><tr><th scope=\"col\">recipe</th>",
      matrix.faults().size() > kFaultsInTextWidth ? " wide" : "");
  for (const std::string& fault : matrix.faults()) {
    out += "<th scope=\"col\">" + Html(fault) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  std::string whys;
  for (size_t row = 0; row < matrix.rows().size(); ++row) {
    const DrillMatrix::Row& recipe = matrix.rows()[row];
    out += "<tr><th scope=\"row\">" + Html(recipe.recipe) +
           (recipe.planted.empty() ? "" : " <span class=\"planted\">planted</span>") + "</th>";
    for (size_t fault = 0; fault < matrix.faults().size(); ++fault) {
      const DrillCell* cell = matrix.Find(row, fault);
      out += Cell(cell, drills);
      if (cell != nullptr && cell->NeedsWhy()) {
        whys += fmt::format("<li><a href=\"#drill-{}\">{} <small>under</small> {}</a>: <b>{}</b>. {}</li>\n",
                            cell->drills.front() + 1, Html(recipe.recipe), Html(matrix.faults()[fault]), cell->All(),
                            Html(cell->why));
      }
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
  return out + (whys.empty() ? "" : "<h3>Why</h3>\n<ul class=\"why-list\">\n" + whys + "</ul>\n");
}

/// Every tool once, by its digest.
std::string Tools(const std::vector<record::DrillRecord>& drills) {
  google::protobuf::RepeatedPtrField<record::DrillTool> tools;
  std::set<std::pair<std::string, std::string>> seen;
  for (const record::DrillRecord& drill : drills) {
    for (const record::DrillTool& tool : drill.tool()) {
      if (seen.emplace(tool.name(), tool.sha256()).second) {
        *tools.Add() = tool;
      }
    }
  }
  return tools.empty() ? "" : "<h2>Tools</h2>\n" + ToolTable(tools);
}

/// Of the drills that are same: that is what somebody may rely on.
std::string Open(const std::vector<record::DrillRecord>& drills) {
  std::vector<std::pair<std::string, uint64_t>> sentences;
  uint64_t same = 0;
  for (const record::DrillRecord& drill : drills) {
    if (drill.outcome() != record::DRILL_SAME) {
      continue;
    }
    ++same;
    for (const std::string& sentence : NotProved(drill)) {
      const auto known =
          std::find_if(sentences.begin(), sentences.end(), [&](const auto& entry) { return entry.first == sentence; });
      if (known == sentences.end()) {
        sentences.emplace_back(sentence, 1);
      } else {
        ++known->second;
      }
    }
  }
  std::string out;
  for (const auto& [sentence, count] : sentences) {
    out += "<li>" + Html(sentence) + (count < same ? fmt::format(" <small>({} of {} drills)</small>", count, same) : "") +
           "</li>\n";
  }
  return out.empty() ? "" : "<h2>What <em>same</em> does not say here</h2>\n<ul>\n" + out + "</ul>\n";
}

std::string Words() {
  std::string out;
  for (const record::DrillOutcome outcome :
       {record::DRILL_SAME, record::DRILL_FALSE_SUCCESS, record::DRILL_DIFFERENT, record::DRILL_HANG, record::DRILL_UNPROVEN,
        record::DRILL_HONEST_FAILURE, record::DRILL_SKIPPED, record::DRILL_NOTHING}) {
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", OutcomeBadge(outcome), DrillWordMeaning(outcome));
  }
  return "<details><summary>What the words mean</summary>\n<dl class=\"facts\">\n" + out + "</dl>\n</details>\n";
}

}  // namespace

std::string DrillReport::Html() const {
  std::string out = Verdict(*this);
  for (const Problem& problem : problems_) {
    out += fmt::format("<p class=\"note\"><b>{}.</b> {}</p>\n", ExitCodeMeaning(problem.code), reports::Html(problem.sentence));
  }
  uint64_t contents = 0;
  uint64_t files = 0;
  for (const record::DrillRecord& drill : drills_) {
    contents += drill.contents_compared();
    files += drill.regular_files();
  }
  out += "<h2>What was compared</h2>\n" + Tally(*this) + ScopeTiles(scope(), contents, files);
  out += Matrix(drills_) + Open(drills_) + Tools(drills_);
  if (!drills_.empty()) {
    out += "<h2>Drills</h2>\n";
  }
  for (size_t i = 0; i < drills_.size(); ++i) {
    out += DrillSection(drills_[i], {i + 1, info_.folder, drills_.size() > 1});
  }
  out += info_.repeat_command.empty() ? "" : "<h2>All of it again</h2>\n" + HtmlCommand(info_.repeat_command);
  out +=
      "<footer>\n" + Words() +
      "<p>Times are UTC. <code>drills.jsonl</code> beside this page holds every record, "
         "<code>verdict.json</code> the verdict for scripts.</p>\n</footer>\n";
  return HtmlPage("kvjury drive: " + verdict(), out);
}

}  // namespace kvjury::reports
