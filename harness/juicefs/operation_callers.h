// CallerDraw: who asks for a drawn operation: root, or one of few other users.
//
// Others never write, and ask for no set-group-id bit: there the kernel changes set-id bits by itself. Some of what they ask is of things that
// they made. Determinism: the stream it is given, drawn in a fixed order.
#pragma once

#include <utility>
#include <vector>

#include "fakes/base/bytes.h"
#include "fakes/base/random.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::juicefs {

inline constexpr uint32_t kFirstUser = 1001;  // each in a group with its own number
inline constexpr uint32_t kUsers = 2;

class CallerDraw {
 public:
  /// Parts per million of the operations that can be asked by others.
  explicit CallerDraw(uint32_t callers_ppm) : callers_ppm_(callers_ppm) {}

  /// Sets the caller of `operation`, and perhaps another path.
  void Draw(RandomStream* random, record::Operation* operation);

 private:
  uint32_t callers_ppm_;
  std::vector<std::pair<Bytes, uint32_t>> owned_;  // made by somebody else than root: path and user
};

}  // namespace kvjury::juicefs
