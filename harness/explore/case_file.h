// Case files: reading, checking and writing the protobuf text form of a case.
//
// A file that people write is checked as a whole before anything runs: every error names file, line and what was expected.
// Writing is atomic (a temporary file, then a rename).
#pragma once

#include <string>

#include "fakes/base/status.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::explore {

/// Reads and checks a case file. Errors: kNotFound, kInvalidArgument ("X.case:7:3: ...", a folder).
Result<record::Case> ReadCaseFile(const std::string& path);

/// Parses the text of a case; `name` stands for the file in messages. Errors: kInvalidArgument.
Result<record::Case> ParseCase(const std::string& text, const std::string& name);

/// Checks what the schema cannot say: unique writer and operation ids, labels, known bugs, bounds. Errors: kInvalidArgument.
Status CheckCase(const record::Case& c);

/// The text form, with `comment` lines ("# ...") in front.
std::string CaseText(const record::Case& c, const std::string& comment);

/// Errors: kEnvironment.
Status WriteCaseFile(const std::string& path, const record::Case& c, const std::string& comment);

}  // namespace kvjury::explore
