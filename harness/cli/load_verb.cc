// kvjury load ADDRESS FILE: the keys and values that `juicefs load` makes of a dump, as a file for kv://.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "fakes/base/compress_stream.h"
#include "fakes/base/file_source.h"
#include "harness/backup/address.h"
#include "harness/cli/output_file.h"
#include "harness/cli/verb.h"
#include "harness/juicefs/dump_binary.h"
#include "harness/juicefs/load_json.h"

namespace kvjury::cli {
namespace {

class LoadVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("load", "Writes the keys that juicefs load makes of a dump, for kv:// and serve --volume");
    verb->add_option("ADDRESS", address_, "dump:///m.json[.gz] or dump-bin:///m.bin[.gz]")->required();
    verb->add_option("FILE", file_, "Where to: lines `hexkey hexvalue`, compressed if its name ends in .gz, .zst or .zstd")->required();
    verb->add_option("--volume", volume_, "The keys as they stand in a cluster, in the volume of this name; default: without a prefix");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    juicefs::KeyValues pairs;
    Result<juicefs::LoadReport> report = Load(&pairs);
    if (report.ok()) {
      const Status written = Write(pairs);
      report = written.ok() ? std::move(report) : Result<juicefs::LoadReport>(written);
    }
    if (!report.ok()) {
      const ExitCode code = Fail(terminal, report.error());
      return signal_.value_or(code);
    }
    const auto empty = std::count_if(pairs.begin(), pairs.end(), [](const auto& pair) { return pair.second.empty(); });
    if (empty > 0) {
      Warn(terminal, fmt::format("{} value{} empty, which the TiKV client refuses: juicefs load fails with \"can not set nil value\"", empty,
                                 empty == 1 ? " is" : "s are"));
    }
    *terminal->err << fmt::format("kvjury load: {} entries, {} keys, into {}\n", report->entry_count, pairs.size(), file_) << std::flush;
    return ExitCode::kSame;
  }

 private:
  Result<juicefs::LoadReport> Load(juicefs::KeyValues* pairs) const {
    ASSIGN_OR_RETURN(const backup::Address address, backup::ParseAddress(address_));
    const bool json = address.scheme == backup::Scheme::kDump;
    if ((!json && address.scheme != backup::Scheme::kDumpBinary) || address.volume.has_value()) {
      return Status::InvalidArgument(address.text + ": expected dump://FILE or dump-bin://FILE, whose one volume is loaded");
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<ByteSource> file, OpenFileSource(address.path));
    Result<std::unique_ptr<ByteSource>> source = OpenDecompressed(file.get());
    if (!source.ok()) {
      return source.error().WithContext(address.path);
    }
    juicefs::KeyValuesTarget target(pairs);
    return json ? juicefs::LoadDumpJson(address.path, source->get(), &target) : juicefs::LoadDumpBinary(address.path, source->get(), &target);
  }

  Status Write(const juicefs::KeyValues& pairs) {
    const Bytes prefix = volume_.empty() ? Bytes() : juicefs::VolumePrefix(volume_);
    ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file, OutputFile::Open(file_));
    for (const auto& [key, value] : pairs) {
      const Status written = file->Write(ToHex(prefix) + ToHex(key) + " " + ToHex(value) + "\n");
      signal_ = file->signal();
      RETURN_IF_ERROR(written);
    }
    return file->Finish();
  }

  std::string address_;
  std::string file_;
  std::string volume_;
  std::optional<ExitCode> signal_;
};

}  // namespace

std::unique_ptr<Verb> MakeLoadVerb() { return std::make_unique<LoadVerb>(); }

}  // namespace kvjury::cli
