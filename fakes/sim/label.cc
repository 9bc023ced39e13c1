#include "fakes/sim/label.h"

#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::sim {

namespace {

// FNV-1a over the text, so that the hash of the whole text and the hash grown piece by piece are the same.
constexpr uint64_t kBasis = 0xCBF29CE484222325;
constexpr uint64_t kPrime = 0x100000001B3;

uint64_t Grow(uint64_t hash, std::string_view text) {
  for (char c : text) {
    hash = (hash ^ static_cast<uint8_t>(c)) * kPrime;
  }
  return hash;
}

}  // namespace

uint64_t LabelHash(std::string_view text) { return Grow(kBasis, text); }

Label::Label(std::string_view root)
    : hash_(LabelHash(root)), node_(std::make_shared<Node>(Node{nullptr, std::string(root)})) {}

Label Label::operator/(std::string_view piece) const {
  Label child;
  if (node_ == nullptr) {
    return Label(piece);
  }
  std::string text;
  text.reserve(piece.size() + 1);
  text.push_back('/');
  text.append(piece);
  child.hash_ = Grow(hash_, text);
  child.node_ = std::make_shared<Node>(Node{node_, std::move(text)});
  return child;
}

Label Label::Numbered(std::string_view piece, uint64_t number) const {
  return *this / (std::string(piece) + "#" + std::to_string(number));
}

Label Label::Keyed(std::string_view piece, std::string_view key, uint64_t number) const {
  return *this / (std::string(piece) + "[" + Printable(key) + "]#" + std::to_string(number));
}

std::string Label::text() const {
  std::vector<const Node*> nodes;
  for (const Node* node = node_.get(); node != nullptr; node = node->parent.get()) {
    nodes.push_back(node);
  }
  std::string text;
  for (size_t i = nodes.size(); i > 0; --i) {
    text += nodes[i - 1]->piece;
  }
  return text;
}

}  // namespace kvjury::sim
