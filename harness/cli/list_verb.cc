// kvjury list bugs|faults|checks|recipes|drill-faults: what can be switched on, what can happen, what is looked at, what drills do.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "fakes/sim/faults.h"
#include "fakes/sim/planted_bugs.h"
#include "harness/cli/verb.h"
#include "harness/cli/version.h"
#include "harness/judge/checks.h"
#include "harness/tools/recipe.h"

namespace kvjury::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> SplitCommas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

Json Bugs() {
  Json rows = Json::array();
  for (const sim::BugInfo& info : sim::AllBugs()) {
    rows.push_back({{"name", info.name}, {"guard", info.guard}, {"checks", SplitCommas(info.checks)}});
  }
  return rows;
}

/// Name and parameters, as a case writes them.
Json Faults() {
  Json rows = Json::array();
  for (const std::string& kind : sim::AllFaultKinds()) {
    const google::protobuf::FieldDescriptor* field = record::Fault::descriptor()->FindFieldByName(kind);
    CHECK(field != nullptr) << kind;
    Json parameters = Json::array();
    for (int i = 0; i < field->message_type()->field_count(); ++i) {
      parameters.push_back(field->message_type()->field(i)->name());
    }
    rows.push_back({{"name", kind}, {"parameters", parameters}});
  }
  return rows;
}

Json Checks() {
  Json rows = Json::array();
  for (const judge::CheckInfo& info : judge::AllChecks()) {
    rows.push_back({{"name", info.code}, {"proves", info.proves}});
  }
  for (const judge::DrillCheckInfo& info : judge::DrillChecks()) {
    rows.push_back({{"name", info.code}, {"proves", std::string("of drills: ") + info.proves}});
  }
  return rows;
}

Json Recipes() {
  Json rows = Json::array();
  const std::string folder = std::string(kSourceFolder) + tools::kRecipesFolder;
  for (const std::string& name : tools::NamesIn(folder, "recipe")) {
    const Result<record::Recipe> recipe = tools::ReadRecipe(name, folder);
    rows.push_back({{"name", name},
                    {"tools", recipe.ok() ? std::vector<std::string>(recipe->tool().begin(), recipe->tool().end()) : std::vector<std::string>()},
                    {"about", recipe.ok() ? recipe->about() : recipe.error().message()}});
  }
  return rows;
}

Json DrillFaults() {
  Json rows = Json::array();
  const std::string folder = std::string(kSourceFolder) + tools::kDrillFaultsFolder;
  for (const std::string& name : tools::NamesIn(folder, "fault")) {
    const Result<record::DrillFault> fault = tools::ReadDrillFault(name, folder);
    rows.push_back({{"name", name}, {"about", fault.ok() ? fault->about() : fault.error().message()}});
  }
  return rows;
}

struct List {
  const char* name;
  Json (*rows)();
};
constexpr List kLists[] = {
    {"bugs", &Bugs}, {"faults", &Faults}, {"checks", &Checks}, {"recipes", &Recipes}, {"drill-faults", &DrillFaults},
};

std::string CellText(const Json& cell) {
  if (!cell.is_array()) {
    return cell.get<std::string>();
  }
  std::string text;
  for (const Json& part : cell) {
    text += (text.empty() ? "" : ", ") + part.get<std::string>();
  }
  return text;
}

/// One line a row, columns as wide as their longest cell, the member names on top.
std::string Table(const Json& rows) {
  std::vector<std::vector<std::string>> lines(1);
  for (const auto& [name, cell] : rows.at(0).items()) {
    lines[0].push_back(name);
  }
  for (const Json& row : rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const Json& cell : row) {
      line.push_back(CellText(cell));
    }
  }
  std::string out;
  for (const std::vector<std::string>& line : lines) {
    std::string text;
    for (size_t column = 0; column < line.size(); ++column) {
      size_t width = 0;
      for (const std::vector<std::string>& other : lines) {
        width = std::max(width, other[column].size());
      }
      text += column + 1 < line.size() ? fmt::format("{:<{}}  ", line[column], width) : line[column];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return out;
}

class ListVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    std::vector<std::string> names;
    for (const List& list : kLists) {
      names.emplace_back(list.name);
    }
    CLI::App* verb = program->add_subcommand("list", "Planted bugs, faults, checks, recipes of drills and their faults");
    verb->add_option("WHAT", what_, fmt::format("{}", fmt::join(names, ", ")))->required()->check(CLI::IsMember(names));
    verb->add_flag("--json", json_, "One JSON array instead of a table");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    const auto* chosen = std::find_if(std::begin(kLists), std::end(kLists), [this](const List& list) { return what_ == list.name; });
    const Json rows = chosen->rows();
    if (rows.empty()) {
      return Fail(terminal, Status::NotFound("there are no " + what_ + " below " + kSourceFolder));
    }
    *terminal->out << (json_ ? rows.dump(2) + "\n" : Table(rows));
    const Status flushed = FlushOut(terminal);
    return flushed.ok() ? ExitCode::kSame : Fail(terminal, flushed);
  }

 private:
  std::string what_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeListVerb() { return std::make_unique<ListVerb>(); }

}  // namespace kvjury::cli
