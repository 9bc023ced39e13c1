#include "reports/drill_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "fakes/base/bytes.h"
#include "reports/drill_words.h"
#include "reports/finding_forms.h"
#include "reports/finding_section.h"
#include "reports/html.h"
#include "reports/not_proved.h"
#include "reports/units.h"

namespace kvjury::reports {
namespace {

/// A table of rows in markup; empty without rows. A name that starts with '#' heads a column of numbers.
std::string Table(std::string_view caption, const std::vector<std::string>& names, const std::string& rows) {
  if (rows.empty()) {
    return "";
  }
  std::string head;
  for (const std::string& name : names) {
    const bool number = name.starts_with('#');
    head += fmt::format("<th scope=\"col\"{}>{}</th>", number ? " class=\"num\"" : "", name.substr(number ? 1 : 0));
  }
  return fmt::format(
      "<div class=\"scroll\" role=\"region\" aria-label=\"{0}\" tabindex=\"0\"><table><caption class=\"unseen\">{0}</caption>\n"
      "<thead><tr>{1}</tr></thead>\n<tbody>\n{2}</tbody></table></div>\n",
      caption, head, rows);
}

std::string Details(const std::string& summary, bool open, const std::string& inside) {
  return inside.empty() ? ""
                        : fmt::format("<details{}><summary>{}</summary>\n{}</details>\n", open ? " open" : "", summary, inside);
}

/// Where a command's bar begins and how long it is, in tenths of a percent of the whole: by the clock where every command says
/// when it began, else one behind the other.
struct Bar {
  int64_t begin = 0;
  int64_t took = 0;
};

std::vector<Bar> Bars(const record::DrillRecord& drill) {
  const bool clock =
      std::all_of(drill.command().begin(), drill.command().end(), [](const auto& one) { return one.began_ms() > 0; });
  std::vector<Bar> bars;
  int64_t end = 0;
  for (const record::DrillCommand& command : drill.command()) {
    const int64_t begin = clock ? std::max<int64_t>(command.began_ms() - drill.command(0).began_ms(), 0) : end;
    bars.push_back({begin, std::max<int64_t>(command.took_ms(), 0)});
    end = std::max(end, begin + bars.back().took);
  }
  for (Bar& bar : bars) {
    bar = {bar.begin * 1000 / std::max<int64_t>(end, 1), bar.took * 1000 / std::max<int64_t>(end, 1)};
  }
  return bars;
}

std::string PerMille(int64_t value) { return fmt::format("{}.{}%", value / 10, value % 10); }

std::string CommandTable(const record::DrillRecord& drill, const std::string& folder) {
  std::string rows;
  const std::vector<Bar> bars = Bars(drill);
  for (int i = 0; i < drill.command_size(); ++i) {
    const record::DrillCommand& command = drill.command(i);
    const Bar& bar = bars[static_cast<size_t>(i)];
    std::string text = "<code>" + Html(command.line()) + "</code>";
    text += command.last_line().empty() ? "" : "<br><small>last line: " + Html(command.last_line()) + "</small>";
    if (!command.output_file().empty()) {
      text += fmt::format("<br><small><a href=\"{}\">what it printed</a></small>", Href(folder + command.output_file()));
    }
    const std::string ended = command.timed_out() ? "ended by the drill: out of time" : fmt::format("{}", command.exit_code());
    const std::string began = command.began_ms() > 0 ? "<br><small>" + Utc(command.began_ms()) + "</small>" : "";
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"num\">{}{}</td>"
        "<td class=\"bar\"><span{} style=\"margin-left:{};width:{}\"></span></td></tr>\n",
        Html(command.phase()), text, ended, Duration(command.took_ms()), began, command.timed_out() ? " class=\"ended\"" : "",
        PerMille(bar.begin), PerMille(bar.took));
  }
  return Table("Commands", {"phase", "command", "exit code", "#took", "when"}, rows);
}

/// More than any disk does, and less than what a number holds.
constexpr double kRateMax = 1e18;

std::string RateTable(const record::DrillRecord& drill) {
  std::string rows;
  for (const record::DrillRate& rate : drill.rate()) {
    const uint64_t took_ms = static_cast<uint64_t>(std::max<int64_t>(rate.took_ms(), 1));
    const double bytes_per_s = static_cast<double>(rate.bytes()) * 1000 / static_cast<double>(took_ms);
    const auto seen = static_cast<uint64_t>(std::min(bytes_per_s, kRateMax));
    const uint64_t limit = rate.limit_bytes_per_s();
    const std::string judged = rate.judgement() == record::DrillRate::EXCEEDED ? "<b>exceeded</b>"
                               : rate.judgement() == record::DrillRate::KEPT   ? "kept"
                                                                               : "not judged";
    const std::string against = limit == 0 ? "none asked for" : Size(limit) + " a second of each store: " + judged;
    rows += fmt::format(
        "<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td><td class=\"num\">{}</td>"
        "<td class=\"num\">{} a second</td><td>{}</td></tr>\n",
        Html(rate.phase()), Size(rate.bytes()), Duration(rate.took_ms()), Size(seen), against);
  }
  return Table("Rates", {"phase", "#moved", "#in", "#rate seen", "limit"}, rows);
}

std::string FaultsText(const record::DrillRecord& drill) {
  const std::map<std::string, uint64_t> sorted(drill.faults_fired().begin(), drill.faults_fired().end());
  std::string out;
  for (const auto& [kind, count] : sorted) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", Grouped(count), Html(kind));
  }
  return out;
}

std::string Facts(const record::DrillRecord& drill) {
  std::string out = HtmlFact("cut", CutText(drill));
  out += drill.began_ms() > 0 ? HtmlFact("began", Utc(drill.began_ms()) + ", took " + Duration(drill.took_ms())) : "";
  out += HtmlFact("volume", drill.volume().empty() ? "" : HtmlBytes(drill.volume()));
  if (drill.operations() > 0 || drill.writers() > 0) {
    out +=
        HtmlFact("written", fmt::format("{} operations by {} {}, {} of them while the backup ran", Grouped(drill.operations()),
                                        drill.writers(), drill.writers() == 1 ? "writer" : "writers",
                                        Grouped(drill.operations_during_backup())));
  }
  out += HtmlFact("what struck", FaultsText(drill));
  out += HtmlFact("seed, digest",
                  fmt::format("{}, {}", drill.seed(), drill.digest().empty() ? "none" : HtmlBytes(drill.digest())));
  return "<dl class=\"facts\">\n" + out + "</dl>\n";
}

/// Where a file of the drill stands, as an address of kvjury: recorded walks are views, all else holds keys.
std::string AddressOf(const std::string& path) {
  std::string out = path.find(".jsonl") != std::string::npos ? "view://" : "kv://";
  for (const char c : path) {
    out += c == '#' ? "%23" : c == '%' ? "%25" : std::string(1, c);
  }
  return out;
}

std::string DiffCommand(const record::DrillRecord& drill, const std::string& folder, std::string_view left,
                        std::string_view right) {
  const auto find = [&](std::string_view what) {
    return std::find_if(drill.input().begin(), drill.input().end(),
                        [&](const record::DrillInput& input) { return input.what() == what; });
  };
  if (find(left) == drill.input().end() || find(right) == drill.input().end()) {
    return "";
  }
  return "kvjury diff " + ShellWord(AddressOf(folder + find(left)->file())) + " " +
         ShellWord(AddressOf(folder + find(right)->file()));
}

std::string Commands(const record::DrillRecord& drill, const std::string& run_folder) {
  const std::string folder = (run_folder.empty() ? "" : run_folder + "/") + drill.folder();
  std::string out;
  const auto add = [&out](std::string_view what, const std::string& command) {
    out += command.empty() ? "" : fmt::format("<p>{}</p>\n", what) + HtmlCommand(command);
  };
  add("Carry it out again:", drill.repeat_command());
  if (!drill.folder().empty()) {
    add("Judge the same evidence again, without the tool:", "kvjury replay " + ShellWord(folder));
    add("Compare by hand what mounts showed:",
        DiffCommand(drill, folder + "/", "mount of the source at the cut", "mount of the target"));
    add("Compare by hand what the records say:", DiffCommand(drill, folder + "/", "source at the cut", "target"));
  }
  return out;
}

std::string List(const std::vector<std::string>& sentences) {
  std::string out;
  for (const std::string& sentence : sentences) {
    out += "<li>" + Html(sentence) + "</li>\n";
  }
  return out.empty() ? "" : "<ul>\n" + out + "</ul>\n";
}

std::string Notes(const record::DrillRecord& drill) {
  std::string out;
  if (!drill.planted().empty()) {
    out +=
        "<p class=\"note\"><span class=\"planted\">planted</span> Another verdict than same is what this row is there for: " +
        Html(drill.planted()) + "</p>\n";
  }
  if (!drill.fault().empty()) {
    out += "<p class=\"note\"><b>Why a real cluster can do this.</b> " +
           (drill.legal_because().empty() ? "The record does not say." : Html(drill.legal_because())) + "</p>\n";
  }
  return out;
}

std::string ToolNames(const record::DrillRecord& drill) {
  std::string out;
  for (const record::DrillTool& tool : drill.tool()) {
    out += (out.empty() ? "" : ", ") + Html(tool.name());
  }
  return out;
}

/// What stays open, what was done, what was looked at, and how to go on.
std::string WorkDetails(const record::DrillRecord& drill, const SectionPlace& place) {
  const bool same = drill.outcome() == record::DRILL_SAME;
  const std::string folder = drill.folder().empty() ? "" : drill.folder() + "/";
  const std::vector<std::string> open =
      same ? NotProved(drill) : std::vector<std::string>(drill.unproven().begin(), drill.unproven().end());
  std::string out = Details(fmt::format("What was not proved <small>{}</small>", open.size()),
                            drill.outcome() == record::DRILL_UNPROVEN, List(open));
  out += Details(fmt::format("Commands <small>{}, with {}</small>", drill.command_size(),
                             drill.tool().empty() ? "no tool named" : ToolNames(drill)),
                 !same, CommandTable(drill, folder) + RateTable(drill));
  out += Details(fmt::format("Checks <small>{}</small>", drill.check_size()), false, CheckTable(drill));
  out += Details(fmt::format("Evidence <small>{} files</small>", drill.input_size()), false, InputTable(drill, folder));
  return out + Details("Commands to copy", !same, Commands(drill, place.run_folder));
}

}  // namespace

std::string OutcomeCss(record::DrillOutcome outcome) {
  std::string css(DrillWord(outcome));
  std::replace(css.begin(), css.end(), ' ', '-');
  return css;
}

std::string OutcomeSign(record::DrillOutcome outcome) {
  switch (outcome) {
    case record::DRILL_SAME:
      return "=";
    case record::DRILL_DIFFERENT:
      return "\u2260";
    case record::DRILL_FALSE_SUCCESS:
      return "\u203C";
    case record::DRILL_HANG:
      return "\u221E";
    case record::DRILL_UNPROVEN:
      return "?";
    case record::DRILL_HONEST_FAILURE:
      return "!";
    default:
      return "\u2013";
  }
}

std::string OutcomeBadge(record::DrillOutcome outcome) {
  return fmt::format("<span class=\"badge {}\"><span aria-hidden=\"true\">{}</span> {}</span>", OutcomeCss(outcome),
                     OutcomeSign(outcome), DrillWord(outcome));
}

std::string ScopeTiles(const record::Scope& scope, uint64_t contents_compared, uint64_t regular_files) {
  std::string out;
  const auto tile = [&out](std::string_view what, uint64_t count) {
    out += fmt::format("<li{}><b>{}</b> {}</li>\n", count == 0 ? " class=\"zero\"" : "", Grouped(count), what);
  };
  tile("keys compared", scope.keys_compared());
  tile("entries compared", scope.entries_compared());
  tile("fields compared", scope.fields_compared());
  tile(regular_files == 0 ? "files compared by their bytes"
                          : fmt::format("of {} files compared by their bytes", Grouped(regular_files)),
       contents_compared);
  tile("backup files checked", scope.files_checked());
  tile("ranges checked", scope.ranges_checked());
  tile("transactions checked", scope.transactions_checked());
  tile("invariants checked", scope.invariants_checked());
  return "<ul class=\"tiles\">\n" + out + "</ul>\n";
}

std::string ToolTable(const google::protobuf::RepeatedPtrField<record::DrillTool>& tools) {
  std::string rows;
  for (const record::DrillTool& tool : tools) {
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}<br><small>{}</small></td><td>{}</td></tr>\n", Html(tool.name()),
                        Html(tool.version()), HtmlBytes(tool.path()), HtmlBytes(tool.sha256()));
  }
  return Table("Tools", {"tool", "version and path", "SHA-256"}, rows);
}

std::string CheckTable(const record::DrillRecord& drill) {
  std::string rows;
  for (const record::CheckResult& check : drill.check()) {
    const std::string open = !check.unproven().empty() ? "unproven: " + Html(check.unproven())
                             : check.counted() == 0    ? "unproven: nothing was looked at"
                                                       : "";
    const std::string counted = Grouped(check.counted()) + " " + Html(check.unit()) +
                                (check.fields() > 0 ? fmt::format(", {} fields", Grouped(check.fields())) : "");
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td><td class=\"num\">{}</td><td>{}</td></tr>\n",
                        Html(check.check()), counted, Grouped(check.findings()), open);
  }
  return Table("Checks", {"check", "#looked at", "#differences", "what stays open"}, rows);
}

std::string InputTable(const record::DrillRecord& drill, const std::string& folder) {
  std::string rows;
  for (const record::DrillInput& input : drill.input()) {
    rows +=
        fmt::format("<tr><th scope=\"row\">{}</th><td><a href=\"{}\">{}</a></td><td class=\"num\">{}</td><td>{}</td></tr>\n",
                    Html(input.what()), Href(folder + input.file()), HtmlBytes(input.file()), Size(input.bytes()),
                    HtmlBytes(input.sha256()));
  }
  return Table("Evidence", {"what", "file", "#size", "SHA-256"}, rows);
}

std::string CutText(const record::DrillRecord& drill) {
  if (drill.window_start_ts() != 0 || drill.window_end_ts() != 0) {
    return fmt::format("between {} and {}; the tool names no timestamp", TimestampText(drill.window_start_ts()),
                       TimestampText(drill.window_end_ts()));
  }
  return drill.cut_ts() == 0 ? "none was found" : TimestampText(drill.cut_ts());
}

std::string DrillSection(const record::DrillRecord& drill, const SectionPlace& place) {
  const bool same = drill.outcome() == record::DRILL_SAME;
  const std::string id = fmt::format("drill-{}", place.position);
  std::string out =
      fmt::format("<section class=\"drill {0}\" id=\"{1}\" aria-labelledby=\"{1}-name\">\n", OutcomeCss(drill.outcome()), id);
  out += fmt::format("<h3 id=\"{}-name\">{} <span>{}{}</span><span class=\"number\">drill {}</span></h3>\n", id,
                     OutcomeBadge(drill.outcome()), Html(drill.recipe()),
                     drill.fault().empty() ? "" : " <small>under</small> " + Html(drill.fault()), drill.number());
  out += "<p class=\"why\">" + Html(WhyOf(drill)) + "</p>\n";
  if (drill.outcome() == record::DRILL_SKIPPED) {
    return out + "</section>\n";
  }
  const std::string inside =
      Notes(drill) + Facts(drill) + FindingsDetails(drill.finding(), id + "-finding-") + WorkDetails(drill, place);
  return out + (same && place.fold_same ? Details("What was done and compared", false, inside) : inside) + "</section>\n";
}

}  // namespace kvjury::reports
