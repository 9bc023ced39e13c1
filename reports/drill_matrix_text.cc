// The matrix on a terminal.
#include <fmt/format.h>

#include <algorithm>

#include "reports/drill_matrix.h"
#include "reports/drill_words.h"
#include "reports/text.h"

namespace kvjury::reports {
namespace {

constexpr size_t kRecipeColumnsMax = 28;
constexpr size_t kFaultColumnsMin = 10;
constexpr std::string_view kGap = "  ";
constexpr std::string_view kNotDriven = "-";

using Lines = std::vector<std::string>;

/// Columns on a terminal: characters, since CleanUtf8 leaves whole ones.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0u) != 0x80; }));
}

size_t Width(const Lines& lines) {
  size_t width = 0;
  for (const std::string& line : lines) {
    width = std::max(width, Width(line));
  }
  return width;
}

std::string Padded(std::string_view text, size_t width) {
  return std::string(text) + std::string(width - std::min(width, Width(text)), ' ');
}

/// Breaks at spaces, and inside of words that are longer than a line.
Lines Wrapped(std::string_view text, size_t columns) {
  Lines lines = {""};
  std::string word;
  const auto take_word = [&] {
    if (!lines.back().empty() && Width(lines.back()) + 1 + Width(word) > columns) {
      lines.emplace_back();
    }
    lines.back() += lines.back().empty() ? word : " " + word;
    word.clear();
  };
  while (!text.empty()) {
    const size_t length = std::max<size_t>(ShownLength(text), 1);
    if (text[0] == ' ') {
      take_word();
    } else {
      word += text.substr(0, length);
      if (Width(word) == columns) {
        take_word();
      }
    }
    text.remove_prefix(length);
  }
  if (!word.empty()) {
    take_word();
  }
  return lines;
}

/// How columns are saved, the least first.
enum class Fit { kWhole, kLongNamesNumbered, kOneWordALine };

/// One line, or one for each word where columns are dear.
Lines CellLines(const DrillCell* cell, Fit fit) {
  if (cell == nullptr) {
    return {std::string(kNotDriven)};
  }
  const std::string word(DrillWord(cell->worst));
  if (fit != Fit::kOneWordALine) {
    return {cell->Share().empty() ? word : word + " " + cell->Share()};
  }
  Lines lines = {word.substr(0, word.find(' '))};
  if (lines[0] != word) {
    lines.push_back(word.substr(lines[0].size() + 1));
  }
  if (!cell->Share().empty()) {
    lines.push_back(cell->Share());
  }
  return lines;
}

/// A column of cells with its heading.
struct Column {
  std::string heading;
  std::vector<Lines> cells;
  size_t width = 0;
};

class TextTable {
 public:
  TextTable(const DrillMatrix& matrix, Fit fit) : matrix_(matrix) {
    for (const DrillMatrix::Row& row : matrix.rows()) {
      recipes_.push_back(Wrapped(OneLine(row.recipe) + (row.planted.empty() ? "" : " *"), kRecipeColumnsMax));
      recipe_width_ = std::max(recipe_width_, Width(recipes_.back()));
    }
    for (size_t fault = 0; fault < matrix.faults().size(); ++fault) {
      AddColumn(fault, fit);
    }
  }

  size_t width() const {
    size_t width = recipe_width_;
    for (const Column& column : columns_) {
      width += kGap.size() + column.width;
    }
    return width;
  }

  std::string Print() const {
    std::string out;
    for (size_t first = 0; first < columns_.size();) {
      size_t end = first;
      size_t width = recipe_width_;
      while (end < columns_.size() && (end == first || width + kGap.size() + columns_[end].width <= kMatrixTextColumnsMax)) {
        width += kGap.size() + columns_[end].width;
        ++end;
      }
      out += (first == 0 ? "" : "\n") + Block(first, end, width);
      first = end;
    }
    return out + (legend_.empty() ? "" : "\n" + legend_);
  }

 private:
  void AddColumn(size_t fault, Fit fit) {
    Column column;
    for (size_t row = 0; row < matrix_.rows().size(); ++row) {
      column.cells.push_back(CellLines(matrix_.Find(row, fault), fit));
      column.width = std::max(column.width, Width(column.cells.back()));
    }
    const std::string name = OneLine(matrix_.faults()[fault]);
    if (fit == Fit::kWhole || Width(name) <= std::max(column.width, kFaultColumnsMin)) {
      column.heading = name;
    } else {
      column.heading = fmt::format("[{}]", ++numbered_);
      bool first = true;
      for (const std::string& line : Wrapped(name, kMatrixTextColumnsMax - 6)) {
        legend_ += first ? fmt::format("{:>5} {}\n", column.heading, line) : fmt::format("      {}\n", line);
        first = false;
      }
    }
    column.width = std::max(column.width, Width(column.heading));
    columns_.push_back(std::move(column));
  }

  std::string Block(size_t first, size_t end, size_t width) const {
    std::string out = Padded("recipe", recipe_width_);
    for (size_t i = first; i < end; ++i) {
      out += std::string(kGap) + Padded(columns_[i].heading, columns_[i].width);
    }
    out = Trimmed(out) + "\n" + std::string(width, '-') + "\n";
    for (size_t row = 0; row < recipes_.size(); ++row) {
      size_t height = recipes_[row].size();
      for (size_t i = first; i < end; ++i) {
        height = std::max(height, columns_[i].cells[row].size());
      }
      for (size_t line = 0; line < height; ++line) {
        std::string text = Padded(At(recipes_[row], line), recipe_width_);
        for (size_t i = first; i < end; ++i) {
          text += std::string(kGap) + Padded(At(columns_[i].cells[row], line), columns_[i].width);
        }
        out += Trimmed(text) + "\n";
      }
    }
    return out;
  }

  static std::string At(const Lines& lines, size_t line) { return line < lines.size() ? lines[line] : ""; }
  static std::string Trimmed(const std::string& line) { return line.substr(0, line.find_last_not_of(' ') + 1); }

  const DrillMatrix& matrix_;
  std::vector<Lines> recipes_;
  size_t recipe_width_ = std::string_view("recipe").size();
  std::vector<Column> columns_;
  std::string legend_;
  size_t numbered_ = 0;
};

std::string Indented(std::string_view text, size_t spaces) {
  std::string out;
  for (const std::string& line : Wrapped(text, kMatrixTextColumnsMax - spaces)) {
    out += std::string(spaces, ' ') + line + "\n";
  }
  return out;
}

}  // namespace

std::string DrillMatrix::Text() const {
  if (rows_.empty()) {
    return "no drill was carried out\n";
  }
  std::string whys;
  std::string planted;
  for (size_t row = 0; row < rows_.size(); ++row) {
    const std::string recipe = OneLine(rows_[row].recipe);
    planted += rows_[row].planted.empty() ? "" : Indented("* " + recipe + " is planted: " + OneLine(rows_[row].planted), 2);
    for (size_t column = 0; column < faults_.size(); ++column) {
      const DrillCell* cell = Find(row, column);
      if (cell != nullptr && cell->NeedsWhy()) {
        whys += Indented(fmt::format("{}, fault {}: {}", recipe, OneLine(faults_[column]), cell->All()), 2);
        whys += Indented(OneLine(cell->why), 4);
      }
    }
  }
  std::string out;
  for (const Fit fit : {Fit::kWhole, Fit::kLongNamesNumbered, Fit::kOneWordALine}) {
    const TextTable table(*this, fit);
    if (table.width() <= kMatrixTextColumnsMax || fit == Fit::kOneWordALine) {
      out = table.Print();
      break;
    }
  }
  out += planted.empty() ? "" : "\n" + planted;
  return out + (whys.empty() ? "" : "\nwhy\n" + whys);
}

}  // namespace kvjury::reports
