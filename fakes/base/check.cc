#include "fakes/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace kvjury {

namespace {
CheckContextFunction g_check_context = nullptr;
}  // namespace

CheckContextFunction SetCheckContext(CheckContextFunction function) {
  CheckContextFunction former = g_check_context;
  g_check_context = function;
  return former;
}

namespace internal {

CheckFailure::CheckFailure(const char* file, int line, const char* condition) {
  stream_ << file << ':' << line << ": check failed: " << condition << ' ';
}

CheckFailure::~CheckFailure() {
  std::string text = stream_.str();
  if (g_check_context != nullptr) {
    text += "\n  at ";
    text += g_check_context();
  }
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace internal
}  // namespace kvjury
