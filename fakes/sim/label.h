// Label: the stable name of one message or step, for example "w1/op6/commit[/in]#1".
//
// Made of names only: writer, operation id, phase of the transaction, a region by its start key, attempt. Never of a global
// counter such as a region id, so that a label means the same after the case was changed elsewhere. A label is an incremental 64-bit
// hash; its text is made on demand. Faults, nudges and draws hang on labels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace kvjury::sim {

class Label {
 public:
  Label() = default;
  explicit Label(std::string_view root);

  /// This label with "/piece" behind it.
  [[nodiscard]] Label operator/(std::string_view piece) const;
  /// This label with "/piece#number" behind it.
  [[nodiscard]] Label Numbered(std::string_view piece, uint64_t number) const;
  /// This label with "/piece[key]#number" behind it; the key is shown printable.
  [[nodiscard]] Label Keyed(std::string_view piece, std::string_view key, uint64_t number) const;

  [[nodiscard]] uint64_t hash() const { return hash_; }
  [[nodiscard]] std::string text() const;

 private:
  struct Node {
    std::shared_ptr<const Node> parent;
    std::string piece;
  };
  uint64_t hash_ = 0;
  std::shared_ptr<const Node> node_;
};

/// The hash of a label written as text; equal to hash() of the label made piece by piece.
uint64_t LabelHash(std::string_view text);

}  // namespace kvjury::sim
