#include "harness/judge/posix_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace kvjury::judge {

namespace {

constexpr size_t kShownBytesMax = 24;

constexpr std::array<std::pair<int, const char*>, 35> kErrnoNames = {{
    {0, "0"},                 {EPERM, "EPERM"},         {ENOENT, "ENOENT"},     {EIO, "EIO"},           {ENXIO, "ENXIO"},
    {EBADF, "EBADF"},         {EAGAIN, "EAGAIN"},       {EACCES, "EACCES"},     {EBUSY, "EBUSY"},       {EEXIST, "EEXIST"},
    {EXDEV, "EXDEV"},         {ENOTDIR, "ENOTDIR"},     {EISDIR, "EISDIR"},     {EINVAL, "EINVAL"},     {EFBIG, "EFBIG"},
    {ENOSPC, "ENOSPC"},       {EROFS, "EROFS"},         {EMLINK, "EMLINK"},     {EPIPE, "EPIPE"},       {ERANGE, "ERANGE"},
    {EDEADLK, "EDEADLK"},     {ENAMETOOLONG, "ENAMETOOLONG"}, {ENOLCK, "ENOLCK"}, {ENOSYS, "ENOSYS"},   {ENOTEMPTY, "ENOTEMPTY"},
    {ELOOP, "ELOOP"},         {ENODATA, "ENODATA"},     {EOVERFLOW, "EOVERFLOW"}, {ENOTSUP, "ENOTSUP"}, {EDQUOT, "EDQUOT"},
    {ENOTTY, "ENOTTY"},       {E2BIG, "E2BIG"},         {ESTALE, "ESTALE"},     {ESPIPE, "ESPIPE"},     {EINTR, "EINTR"},
}};

std::string Shown(const Bytes& bytes) {
  return bytes.size() <= kShownBytesMax ? Printable(bytes) : fmt::format("{} bytes {}...", bytes.size(), Printable(bytes.substr(0, kShownBytesMax)));
}

template <class T>
void CompareField(const char* name, const T& left, const T& right, std::vector<std::string>* differences) {
  if (left != right) {
    differences->push_back(fmt::format("{}: {} against {}", name, left, right));
  }
}

void CompareTime(const char* name, const TimeSpan& left, const TimeSpan& right, std::vector<std::string>* differences) {
  if (left.low_ns > right.high_ns || right.low_ns > left.high_ns) {
    differences->push_back(fmt::format("{}: {}..{} against {}..{}", name, left.low_ns, left.high_ns, right.low_ns, right.high_ns));
  }
}

std::string Joined(const std::vector<Bytes>& names) {
  std::string text;
  for (const Bytes& name : names) {
    text += (text.empty() ? "" : " ") + Shown(name);
  }
  return text;
}

}  // namespace

std::string ErrnoName(int error) {
  const auto found = std::find_if(kErrnoNames.begin(), kErrnoNames.end(), [error](const auto& row) { return row.first == error; });
  return found == kErrnoNames.end() ? std::to_string(error) : found->second;
}

int ErrnoOf(const std::string& name) {
  const auto found = std::find_if(kErrnoNames.begin(), kErrnoNames.end(), [&name](const auto& row) { return name == row.second; });
  return found == kErrnoNames.end() ? -1 : found->first;
}

std::string DescribeResult(const PosixResult& result) {
  std::string text = ErrnoName(result.error);
  if (result.attr.has_value()) {
    text += fmt::format(" mode {:o} uid {} gid {} nlink {} size {}", result.attr->mode, result.attr->uid, result.attr->gid, result.attr->nlink,
                        result.attr->size);
  }
  if (result.names.has_value()) {
    text += " names " + Joined(*result.names);
  }
  if (result.bytes.has_value()) {
    text += " bytes " + Shown(*result.bytes);
  }
  if (result.count.has_value()) {
    text += fmt::format(" count {}", *result.count);
  }
  if (result.lock.has_value()) {
    text += fmt::format(" lock kind {} {}..{}", result.lock->kind, result.lock->start, result.lock->end);
  }
  if (result.statfs.has_value()) {
    text += fmt::format(" blocks {} available {} files {} free {}", result.statfs->blocks, result.statfs->blocks_available, result.statfs->files,
                        result.statfs->files_free);
  }
  return text;
}

std::vector<std::string> ResultDifferences(const PosixResult& left, const PosixResult& right, bool times) {
  std::vector<std::string> differences;
  CompareField("error", ErrnoName(left.error), ErrnoName(right.error), &differences);
  if (left.attr.has_value() && right.attr.has_value()) {
    if (left.attr->mode != right.attr->mode) {
      differences.push_back(fmt::format("mode: {:o} against {:o}", left.attr->mode, right.attr->mode));
    }
    CompareField("uid", left.attr->uid, right.attr->uid, &differences);
    CompareField("gid", left.attr->gid, right.attr->gid, &differences);
    CompareField("nlink", left.attr->nlink, right.attr->nlink, &differences);
    CompareField("size", left.attr->size, right.attr->size, &differences);
    CompareField("rdev", left.attr->rdev, right.attr->rdev, &differences);
    if (times) {
      CompareTime("atime", left.attr->atime, right.attr->atime, &differences);
      CompareTime("mtime", left.attr->mtime, right.attr->mtime, &differences);
      CompareTime("ctime", left.attr->ctime, right.attr->ctime, &differences);
    }
  }
  if (left.names.has_value() && right.names.has_value() && *left.names != *right.names) {
    differences.push_back("names: " + Joined(*left.names) + " against " + Joined(*right.names));
  }
  if (left.bytes.has_value() && right.bytes.has_value() && *left.bytes != *right.bytes) {
    const size_t at = static_cast<size_t>(std::mismatch(left.bytes->begin(), left.bytes->end(), right.bytes->begin(), right.bytes->end()).first -
                                          left.bytes->begin());
    differences.push_back(fmt::format("bytes from {}: {} against {}", at, Shown(left.bytes->substr(at)), Shown(right.bytes->substr(at))));
  }
  if (left.count.has_value() && right.count.has_value()) {
    CompareField("count", *left.count, *right.count, &differences);
  }
  if (left.lock.has_value() && right.lock.has_value() && !(*left.lock == *right.lock)) {
    differences.push_back(fmt::format("lock: kind {} {}..{} against kind {} {}..{}", left.lock->kind, left.lock->start, left.lock->end,
                                      right.lock->kind, right.lock->start, right.lock->end));
  }
  if (left.statfs.has_value() && right.statfs.has_value()) {
    CompareField("blocks", left.statfs->blocks, right.statfs->blocks, &differences);
    CompareField("blocks available", left.statfs->blocks_available, right.statfs->blocks_available, &differences);
    CompareField("files", left.statfs->files, right.statfs->files, &differences);
    CompareField("files free", left.statfs->files_free, right.statfs->files_free, &differences);
  }
  return differences;
}

}  // namespace kvjury::judge
