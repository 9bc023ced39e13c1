#include <unistd.h>

#include <iostream>

#include "harness/cli/signals.h"
#include "harness/cli/verb.h"

int main(int argument_count, char** arguments) {
  std::ios::sync_with_stdio(false);
  kvjury::cli::InstallSignalHandlers();
  kvjury::cli::Terminal terminal;
  terminal.out = &std::cout;
  terminal.err = &std::cerr;
  terminal.err_is_terminal = isatty(STDERR_FILENO) == 1;
  return kvjury::cli::RunProgram(argument_count, arguments, &terminal);
}
