#include "harness/explore/case_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <google/protobuf/text_format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>
#include <sstream>

#include "fakes/sim/planted_bugs.h"
#include "harness/explore/proto_text.h"
#include "harness/juicefs/mount_options.h"
#include "harness/explore/tool_model.h"

namespace kvjury::explore {

namespace {

// Bounds that keep a case finite; far above anything useful.
constexpr uint32_t kStoresMax = 15;
constexpr uint32_t kRegionsMax = 4096;
constexpr int kWritersMax = 256;
constexpr int kOperationsMax = 100'000;

Status CheckWriters(const record::Case& c) {
  if (c.writers_size() > kWritersMax) {
    return Status::InvalidArgument("writers: at most " + std::to_string(kWritersMax));
  }
  std::set<uint32_t> writer_ids;
  for (const record::Writer& writer : c.writers()) {
    if (writer.id() == 0 || !writer_ids.insert(writer.id()).second) {
      return Status::InvalidArgument("writers: id " + std::to_string(writer.id()) +
                                     " must be positive and used by one writer only");
    }
    if (writer.op_size() > kOperationsMax) {
      return Status::InvalidArgument("writer " + std::to_string(writer.id()) + ": at most " +
                                     std::to_string(kOperationsMax) + " operations");
    }
    const Status mount = juicefs::MountOptionsOf(writer.mount()).status();
    if (!mount.ok()) {
      return mount.WithContext("writer " + std::to_string(writer.id()));
    }
    std::set<uint32_t> operation_ids;
    for (const record::Operation& operation : writer.op()) {
      const std::string place = "writer " + std::to_string(writer.id()) + ", op " + std::to_string(operation.id());
      if (operation.id() == 0 || !operation_ids.insert(operation.id()).second) {
        return Status::InvalidArgument(place + ": the id must be positive and used once in its writer");
      }
      if (operation.kind_case() == record::Operation::KIND_NOT_SET) {
        return Status::InvalidArgument(place + ": expected a kind of operation (mkdir, create, write ...)");
      }
    }
  }
  return Status::Ok();
}

Status CheckBackupLabel(const record::Case& c) {
  if (c.backup().when_case() != record::Backup::kAfter) {
    return Status::Ok();
  }
  for (const record::Writer& writer : c.writers()) {
    for (const record::Operation& operation : writer.op()) {
      if (c.backup().after() == "w" + std::to_string(writer.id()) + "/op" + std::to_string(operation.id())) {
        return Status::Ok();
      }
    }
  }
  return Status::InvalidArgument("backup.after: no operation is labelled \"" + c.backup().after() +
                                 "\"; expected a label such as \"w1/op3\"");
}

Status CheckVolume(const record::Volume& volume) {
  if (volume.from_case() != record::Volume::kAddress) {
    return Status::Ok();
  }
  record::Volume without = volume;
  without.clear_enable_acl();
  without.clear_user_group_quota();
  without.clear_change_log();
  without.clear_hash_prefix();
  without.clear_capacity_bytes();
  without.clear_inodes_max();
  if (without.ByteSizeLong() != volume.ByteSizeLong()) {
    return Status::InvalidArgument("volume: the one from " + volume.address() +
                                   " has a setting of its own; enable_acl, user_group_quota, change_log, hash_prefix, capacity_bytes and inodes_max "
                                   "are those of a generated volume");
  }
  return Status::Ok();
}

}  // namespace

Status CheckCase(const record::Case& c) {
  if (c.cluster().stores() > kStoresMax || c.cluster().target_stores() > kStoresMax) {
    return Status::InvalidArgument("cluster.stores: at most " + std::to_string(kStoresMax));
  }
  if (c.cluster().regions() > kRegionsMax) {
    return Status::InvalidArgument("cluster.regions: at most " + std::to_string(kRegionsMax));
  }
  for (const std::string& name : c.bug()) {
    RETURN_IF_ERROR(sim::FindBug(name).status());
  }
  RETURN_IF_ERROR(CheckVolume(c.volume()));
  RETURN_IF_ERROR(CheckWriters(c));
  RETURN_IF_ERROR(CheckBackupLabel(c));
  for (const record::Fault& fault : c.fault()) {
    if (fault.at().empty() || fault.kind_case() == record::Fault::KIND_NOT_SET) {
      return Status::InvalidArgument("fault: expected a label \"at\" and one kind, got: " + fault.ShortDebugString());
    }
  }
  for (const record::Nudge& nudge : c.nudge()) {
    if (nudge.at().empty() || nudge.delay_us() <= 0) {
      return Status::InvalidArgument("nudge: expected a label \"at\" and a positive delay_us, got: " +
                                     nudge.ShortDebugString());
    }
  }
  const Result<ToolModel> model = FindToolModel(c.tool().model());
  if (!model.ok()) {
    return Status::InvalidArgument("tool.model: " + model.status().message());
  }
  static const std::set<std::string> kCompressions = {"", "zstd", "lz4", "snappy"};
  if (kCompressions.count(c.tool().compression()) == 0) {
    return Status::InvalidArgument("tool.compression: expected zstd, lz4 or snappy, got \"" + c.tool().compression() + "\"");
  }
  static const std::set<std::string> kVerdicts = {"", "SAME", "DIFFERENT", "UNPROVEN", "HONEST_FAILURE"};
  if (kVerdicts.count(c.expect().verdict()) == 0) {
    return Status::InvalidArgument("expect.verdict: expected SAME, DIFFERENT, UNPROVEN or HONEST_FAILURE, got \"" +
                                   c.expect().verdict() + "\"");
  }
  return Status::Ok();
}

Result<record::Case> ParseCase(const std::string& text, const std::string& name) {
  record::Case c;
  RETURN_IF_ERROR(ParseProtoText(text, name, "a case file", &c));
  Status checked = CheckCase(c);
  if (!checked.ok()) {
    return checked.WithContext(name);
  }
  return c;
}

Result<record::Case> ReadCaseFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path, "case file"));
  return ParseCase(text, path);
}

std::string CaseText(const record::Case& c, const std::string& comment) {
  std::string text;
  std::istringstream lines(comment);
  for (std::string line; std::getline(lines, line);) {
    text += "# " + line + "\n";
  }
  std::string body;
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseShortRepeatedPrimitives(true);
  CHECK(printer.PrintToString(c, &body));
  return text + body;
}

Status WriteCaseFile(const std::string& path, const record::Case& c, const std::string& comment) {
  const std::string text = CaseText(c, comment);
  const std::string temporary = path + ".tmp";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) {
    return Status::Environment("cannot write " + temporary + ": " + std::strerror(errno));
  }
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(file, text.data() + written, text.size() - written);
    if (count < 0) {
      const Status failed = Status::Environment("cannot write " + temporary + ": " + std::strerror(errno));
      ::close(file);
      ::unlink(temporary.c_str());
      return failed;
    }
    written += static_cast<size_t>(count);
  }
  ::close(file);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    return Status::Environment("cannot rename " + temporary + " to " + path + ": " + std::strerror(errno));
  }
  return Status::Ok();
}

}  // namespace kvjury::explore
