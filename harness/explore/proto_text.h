// Files that people write as protobuf text: cases, recipes of drills, their faults.
#pragma once

#include <google/protobuf/message.h>

#include <string>

#include "fakes/base/status.h"

namespace kvjury::explore {

/// The whole file. `what` it should be ("case file") is for messages. Errors: kNotFound, kInvalidArgument (a folder).
Result<std::string> ReadTextFile(const std::string& path, const std::string& what);

/// Fills `message`; `name` stands for the file in messages, `what` is what it should have been ("a case file"). Errors: kInvalidArgument
/// with the place: "X.case:7:3: ...".
Status ParseProtoText(const std::string& text, const std::string& name, const std::string& what, google::protobuf::Message* message);

}  // namespace kvjury::explore
