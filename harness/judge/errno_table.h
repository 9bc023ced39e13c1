// The errno table: odd calls and what a real mount of JuiceFS answered to each (scenarios/posix/errno_table.txt), and the list of what a
// witness is known to answer otherwise (scenarios/posix/known_differences.txt).
//
// A row is a line `OPERATION ; OPERATION => ANSWER`: operations as protobuf text (proto/kvjury/case.proto), the last one's answer as DescribeResult
// writes it. Each row works in a folder of its own, which is made first: `@` in a path. `{N}` stands for a name of N bytes. `#` begins a comment.
// The answers are recorded by posix_test.py with KVJURY_UPDATE_GOLDEN=1 on a volume of 1 GiB with trash, extended attributes and ioctl.
#pragma once

#include <string>
#include <vector>

#include "fakes/base/status.h"
#include "proto/kvjury/case.pb.h"

namespace kvjury::judge {

struct ErrnoRow {
  std::string text;  // the operations, as written
  std::vector<record::Operation> operations;  // the folder's first
  std::string answer;
};

/// Errors: kInvalidArgument naming the line.
Result<std::vector<ErrnoRow>> ParseErrnoTable(const std::string& text);

/// `text` with the answers of `rows`; comments stay.
std::string PrintErrnoTable(const std::string& text, const std::vector<ErrnoRow>& rows);

/// A difference that is known: one line WITNESS, KIND, WHAT, REASON with tabs between. It excuses differences of that witness ("model", "session")
/// in that kind of operation ("rename"; "*": any) whose text contains WHAT.
struct KnownDifference {
  std::string witness;
  std::string kind;
  std::string what;
  std::string reason;
};
/// Errors: kInvalidArgument naming the line.
Result<std::vector<KnownDifference>> ParseKnownDifferences(const std::string& text);
/// The first that excuses it; nullptr: none does.
const KnownDifference* FindKnown(const std::vector<KnownDifference>& known, const std::string& witness, const std::string& kind, const std::string& what);

/// "rename".
std::string KindName(const record::Operation& operation);

}  // namespace kvjury::judge
