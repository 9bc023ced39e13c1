#include "harness/judge/test_posix.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstdio>

#include "fakes/base/check.h"
#include "fakes/base/random.h"
#include "harness/juicefs/constants.h"
#include "harness/juicefs/operation_mix.h"
#include "harness/judge/posix_model.h"

namespace kvjury::judge {

namespace {

void ClearHandle(record::Operation* operation) {
  if (operation->has_write()) {
    operation->mutable_write()->clear_handle();
  } else if (operation->has_read()) {
    operation->mutable_read()->clear_handle();
  } else if (operation->has_truncate()) {
    operation->mutable_truncate()->clear_handle();
  } else if (operation->has_fallocate()) {
    operation->mutable_fallocate()->clear_handle();
  }
}

/// An extended attribute that hangs on anything: the kernel, which keeps user.* from all but files and folders, is not there.
void TrustName(record::Operation* operation) {
  Bytes* name = operation->has_setxattr()      ? operation->mutable_setxattr()->mutable_name()
                : operation->has_removexattr() ? operation->mutable_removexattr()->mutable_name()
                : operation->has_get_xattr()   ? operation->mutable_get_xattr()->mutable_name()
                                               : nullptr;
  if (name != nullptr) {
    *name = "trusted." + *name;
  }
}

/// What several sessions at once are not asked: open files, which are a session's own and commit nothing; locks, which declare no effect that
/// would tell their order; what reads names and inode at two moments; the volume's numbers, to which others add late.
bool IsOfOneSession(const record::Operation& operation) {
  return operation.has_open() || operation.has_close() || operation.has_flock() || operation.has_set_lock() || operation.has_get_lock() ||
         operation.has_list_xattr() || operation.has_stat_fs();
}

}  // namespace

std::string TextOf(const record::Operation& operation) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(operation, &text);
  return text;
}

std::vector<record::Operation> DrawForPosix(uint64_t seed, uint32_t writer, uint32_t count, uint32_t odd_path_ppm, bool alone) {
  RandomStream random(seed, "operations-of-writer-" + std::to_string(writer));
  juicefs::PathPicture picture;
  juicefs::MixOptions mix;
  mix.writer = writer;
  mix.operations = count;
  mix.names = 6;
  mix.odd_path_ppm = odd_path_ppm;
  mix.acl = true;
  std::vector<record::Operation> operations;
  for (record::Operation& operation : juicefs::DrawOperations(&random, mix, &picture)) {
    if (!PosixModel::KnowsOperation(operation) || (!alone && IsOfOneSession(operation))) {
      continue;
    }
    if (!alone) {
      ClearHandle(&operation);
      TrustName(&operation);
      // Root alone: nobody stands in front of these sessions and looks at permission bits.
      operation.clear_uid();
      operation.clear_gid();
      if (operation.setattr().has_mode()) {
        // No set-id bits: what is made in a set-gid folder gets the group that the folder had when it was read, a skew that no answer tells at
        // once; what a chown does to them is asked of one session alone.
        operation.mutable_setattr()->set_mode(operation.setattr().mode() & 01777);
      }
    }
    if (operation.has_write()) {
      // A write over the end of a chunk is two commits, between which others come.
      record::Write* write = operation.mutable_write();
      const uint64_t room = juicefs::kChunkBytes - write->offset() % juicefs::kChunkBytes;
      write->set_length(static_cast<uint32_t>(std::min<uint64_t>(write->length(), room)));
      write->set_seed(seed * 1000 + operation.id());
    }
    operations.push_back(std::move(operation));
  }
  return operations;
}

std::vector<KnownDifference> ReadKnownDifferences() {
  const std::string path = std::string(KVJURY_SOURCE_DIR) + "/scenarios/posix/known_differences.txt";
  FILE* file = std::fopen(path.c_str(), "rb");
  CHECK(file != nullptr) << path;
  std::string text(1 << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  return *ParseKnownDifferences(text);
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(lines.size(), 10); ++i) {
    text += lines[i] + "\n";
  }
  return text;
}

}  // namespace kvjury::judge
