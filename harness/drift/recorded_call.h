// Recorded calls: what a program asked a cluster, and what it was told. The file form of them.
//
// JSON Lines, plain or packed (gzip, zstd, xz). A line is one call:
//   case        what is looked at; calls of one case are numbered in the file's order
//   method      "/tikvpb.Tikv/KvGet", with " (stream)" behind it for server streams and PD's message streams;
//               "GET /pd/api/v1/stores" for PD's HTTP interface
//   req_hex     the request message; of an HTTP call its body
//   resp_hex    the answer; of a server stream each answer followed by a space
//   grpc_error  "rpc error: code = Unimplemented desc = ..."; "EOF" is the proper end of a stream
//   status, content_type, body     instead of the two above: the answer of an HTTP call
//   unrecorded  true: nobody knows the answer; the call is made for what it leaves behind
// Other members (texts for people) are not read. Source: recordings of a real cluster by a client that printed kvproto's messages.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fakes/base/bytes.h"

namespace kvjury::drift {

struct RecordedCall {
  /// Where it stands: from 1.
  size_t line = 0;
  std::string case_name;
  /// "/tikvpb.Tikv/KvGet", or "GET" and "POST" of an HTTP call, whose path is in `path`.
  std::string method;
  /// Of an HTTP call: path and query as sent. Empty for gRPC.
  std::string path;
  bool stream = false;
  Bytes request;
  /// gRPC: the messages. HTTP: the body.
  std::vector<Bytes> answers;
  /// "Unimplemented" and its words, for a call that ended with a gRPC error.
  std::string error_code;
  std::string error_text;
  uint64_t http_status = 0;
  std::string content_type;
  bool unrecorded = false;

  [[nodiscard]] bool http() const { return !path.empty(); }
  /// "/tikvpb.Tikv/KvGet" or "GET /pd/api/v1/stores".
  [[nodiscard]] std::string MethodText() const { return http() ? method + " " + path : method; }
};

/// Reads a whole file; it may hold no call at all. Errors: kNotFound and kEnvironment for the file, kDataLoss with file and line
/// for what is in it.
Result<std::vector<RecordedCall>> LoadCalls(const std::string& path);
/// The same of a file of requests: what lines say about answers is not read.
Result<std::vector<RecordedCall>> LoadRequests(const std::string& path);
/// As LoadCalls from text; `name` is for errors.
Result<std::vector<RecordedCall>> ParseCalls(const std::string& name, std::string_view text);

/// The calls of `left_out` in front of the lines of `calls` that their member "before" names. Errors: as LoadCalls.
Result<std::vector<RecordedCall>> WithLeftOut(std::vector<RecordedCall> calls, const std::string& left_out_path);

/// One line of such a file, without its end.
std::string ToLine(const RecordedCall& call);

}  // namespace kvjury::drift
