// Descriptor: closes a file descriptor whatever way a function is left.
#pragma once

#include <unistd.h>

namespace kvjury {

class Descriptor {
 public:
  /// Negative: none, as open() says that it failed.
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) {
      ::close(number_);
    }
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

}  // namespace kvjury
