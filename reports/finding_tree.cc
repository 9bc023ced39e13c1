#include "reports/finding_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <vector>

#include "reports/drill_words.h"
#include "reports/html.h"

namespace kvjury::reports {
namespace {

constexpr size_t kChildrenMax = 25;  // shown of one folder
constexpr size_t kLeavesMax = 200;   // shown in all
constexpr size_t kDepthMax = 40;     // what lies deeper is one name

/// A path component; `paths` counts the paths with findings at or below it.
struct Node {
  std::map<std::string, Node> children;
  std::vector<int> findings;
  uint64_t paths = 0;
};

void Insert(Node* node, std::string_view path, int finding) {
  std::vector<Node*> way = {node};
  for (size_t depth = 0; !path.empty(); ++depth) {
    const size_t end = depth + 1 < kDepthMax ? std::min(path.find('/'), path.size()) : path.size();
    if (end > 0) {
      node = &node->children[std::string(path.substr(0, end))];
      way.push_back(node);
    }
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  if (node->findings.empty()) {
    for (Node* above : way) {
      ++above->paths;
    }
  }
  node->findings.push_back(finding);
}

class Printer {
 public:
  Printer(const google::protobuf::RepeatedPtrField<record::Finding>& findings, const std::string& anchor, int linked)
      : findings_(findings), anchor_(anchor), linked_(linked) {}

  std::string Children(const Node& node, std::string_view attributes) {
    std::string out = fmt::format("<ul{}>", attributes);
    uint64_t left_out = node.paths - (node.findings.empty() ? 0 : 1);
    size_t shown = 0;
    for (const auto& [name, child] : node.children) {
      if (shown == kChildrenMax || leaves_ >= kLeavesMax) {
        break;
      }
      ++shown;
      left_out -= child.paths;
      out += Item(name, &child);
    }
    if (left_out > 0) {
      out += fmt::format("<li class=\"mute\">\u2026 and {} more {}</li>", Grouped(left_out), left_out == 1 ? "path" : "paths");
    }
    return out + "</ul>\n";
  }

 private:
  /// Folders with nothing but one folder inside are joined: "a/b/c/".
  std::string Item(std::string name, const Node* node) {
    while (node->findings.empty() && node->children.size() == 1) {
      const auto& [below, child] = *node->children.begin();
      name += "/" + below;
      node = &child;
    }
    std::string out = "<li>";
    if (!node->findings.empty()) {
      ++leaves_;
      out += Sign(*node) + " ";
    }
    out += HtmlBytes(name + (node->children.empty() ? "" : "/"));
    if (!node->findings.empty()) {
      out += " " + About(*node);
    }
    if (!node->children.empty()) {
      out += fmt::format(" <small>{} {} differ</small>", Grouped(node->paths), node->paths == 1 ? "path" : "paths");
      out += Children(*node, "");
    }
    return out + "</li>\n";
  }

  std::string Sign(const Node& node) const {
    const Difference difference = DifferenceOf(findings_[node.findings.front()]);
    return fmt::format("<span class=\"sign\" aria-hidden=\"true\">{}</span>", DifferenceSign(difference));
  }

  /// "missing", "differs: mode, size", each once, with a link where the finding is shown.
  std::string About(const Node& node) const {
    std::vector<std::string> words;
    std::string out;
    for (const int position : node.findings) {
      const record::Finding& finding = findings_[position];
      const std::string word = DifferenceWord(DifferenceOf(finding)) + (finding.field().empty() ? "" : ": " + finding.field());
      if (words.size() == kChildrenMax || std::find(words.begin(), words.end(), word) != words.end()) {
        continue;
      }
      words.push_back(word);
      out += out.empty() ? "" : ", ";
      out += position < linked_ ? fmt::format("<a href=\"#{}{}\">{}</a>", anchor_, position + 1, Html(word)) : Html(word);
    }
    return "<small>" + out + "</small>";
  }

  const google::protobuf::RepeatedPtrField<record::Finding>& findings_;
  const std::string& anchor_;
  int linked_;
  size_t leaves_ = 0;
};

}  // namespace

Difference DifferenceOf(const record::Finding& finding) {
  if (finding.expected_present() == finding.actual_present()) {
    return Difference::kDiffers;
  }
  return finding.expected_present() ? Difference::kMissing : Difference::kSurplus;
}

std::string DifferenceSign(Difference difference) {
  return difference == Difference::kMissing ? "\u2212" : difference == Difference::kSurplus ? "+" : "\u2260";
}

std::string DifferenceWord(Difference difference) {
  return difference == Difference::kMissing ? "missing" : difference == Difference::kSurplus ? "surplus" : "differs";
}

std::string FindingTree(const google::protobuf::RepeatedPtrField<record::Finding>& findings, const std::string& anchor,
                        int linked) {
  Node root;
  for (int i = 0; i < findings.size(); ++i) {
    if (!findings[i].path().empty()) {
      Insert(&root, findings[i].path(), i);
    }
  }
  return root.paths == 0 ? "" : Printer(findings, anchor, linked).Children(root, " class=\"tree\"");
}

}  // namespace kvjury::reports
