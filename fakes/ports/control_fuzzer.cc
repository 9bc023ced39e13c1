// Any line is a command that is written as it was read, or an error in one sentence.
#include <cstdint>
#include <cstdlib>

#include "fakes/ports/control_commands.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvjury::ports::ControlCommand;
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const kvjury::Result<ControlCommand> command = kvjury::ports::ParseControlCommand(line);
  if (!command.ok()) {
    if (command.error().message().empty() || command.error().message().find('\n') != std::string::npos) {
      std::abort();
    }
    return 0;
  }
  const kvjury::Result<ControlCommand> again = kvjury::ports::ParseControlCommand(FormatControlCommand(*command));
  if (!again.ok() || !(*again == *command)) {
    std::abort();
  }
  return 0;
}
