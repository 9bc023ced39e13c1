// kvjury serve: a simulated cluster on real ports, until a signal ends it.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>

#include "fakes/ports/served_cluster.h"
#include "harness/cli/serve_s3.h"
#include "harness/cli/served_content.h"
#include "harness/cli/signals.h"
#include "harness/cli/verb.h"
#include "harness/explore/case_file.h"
#include "reports/out_files.h"

namespace kvjury::cli {
namespace {

constexpr auto kWorthAWord = std::chrono::seconds(1);
constexpr auto kSignalPoll = std::chrono::milliseconds(20);

class ServeVerb : public Verb {
 public:
  CLI::App* Register(CLI::App* program) override {
    CLI::App* verb = program->add_subcommand("serve", "A simulated PD and TiKV on real ports, for juicefs, br and other clients");
    verb->add_option("--listen", options_.host, "The address of all ports")->capture_default_str();
    verb->add_option("--pd-port", options_.pd_port, "PD's port, 2379 if not given; 0: any free one")->check(CLI::Range(0, 65535));
    verb->add_option("--pd-members", options_.pd_members, "Members of PD, 1 if not given; all but the first have free ports")
        ->check(CLI::Range(1, 9));
    verb->add_option("--stores", options_.stores, "Stores, 3 if not given")->check(CLI::Range(1, 64));
    verb->add_option("--regions", options_.regions, "Cut into about so many regions more than a fresh cluster has")
        ->check(CLI::Range(1, 100'000));
    verb->add_option("--data", options_.data, "Keep the state in this folder, and go on from it: the same cluster on the same ports");
    verb->add_option("--faults", faults_, "Faults and delays of this case file strike outside calls by their labels (external/KvGet/region[...]#1)");
    verb->add_option("--control", options_.control, "The socket on which kvjury poke is heard");
    verb->add_option("--volume", volume_, "What the cluster holds: kv://, dump-bin://, br://, br+s3:// or tikv://");
    verb->add_flag("--read-only", read_only_, "Clients may not change data: what --volume held stays as it was, for juicefs mount --read-only")
        ->needs("--volume")
        ->excludes("--data");
    verb->add_option("--at", at_, "What --volume, or the folder of --data, held at this timestamp of PD or time (2026-11-26T20:00:00Z, now), "
                                  "in memory and read-only; the source is only read");
    verb->add_option("--ready-file", ready_file_, "Written, whole, once clients may connect: the addresses as JSON");
    verb->add_option("--cert", options_.tls.certificate, "TLS on all ports with this certificate (PEM)");
    verb->add_option("--key", options_.tls.key, "Its key (PEM)");
    verb->add_option("--ca", options_.tls.ca, "Mutual TLS: clients must show a certificate that this CA (PEM) signed");
    s3_.Register(verb);
    verb->add_option("--tls-init", tls_init_, "Only make a small CA and certificates for tests in this folder, and end");
    verb->add_flag("--json", json_, "The addresses as one JSON object on stdout");
    verb->add_flag("-v,--verbose", verbose_, "A line for each connection, and at the end a summary of calls");
    return verb;
  }

  ExitCode Run(Terminal* terminal) override {
    if (!tls_init_.empty()) {
      const Status made = ports::MakeTestCertificates(tls_init_);
      if (!made.ok()) {
        return Fail(terminal, made);
      }
      *terminal->err << fmt::format("kvjury serve: {0}/ca.pem, server.pem, client.pem and their keys are made\n", tls_init_);
      return ExitCode::kSame;
    }
    if (options_.tls.certificate.empty() != options_.tls.key.empty() || (!options_.tls.ca.empty() && options_.tls.key.empty())) {
      return Fail(terminal, Status::InvalidArgument("--cert and --key belong together, and --ca needs both"));
    }
    const Status taken = TakeContent(terminal);
    if (!taken.ok()) {
      return Fail(terminal, taken);
    }
    if (!faults_.empty()) {
      Result<record::Case> faults = explore::ReadCaseFile(faults_);
      if (!faults.ok()) {
        return Fail(terminal, faults.error());
      }
      options_.faults = *std::move(faults);
    }
    ChooseControlPath();
    std::mutex mutex;
    if (verbose_) {
      options_.on_connection = [&mutex, terminal](const std::string& line) {
        const std::lock_guard lock(mutex);
        *terminal->err << line << "\n" << std::flush;
      };
    }
    std::promise<Status> failure;
    std::future<Status> failed = failure.get_future();
    options_.on_failure = [&failure](const Status& status) { failure.set_value(status); };
    options_.on_warning = [terminal](const std::string& sentence) { Warn(terminal, sentence); };
    const GracefulStop stop;
    if (const Status s3 = s3_.Start(&options_); !s3.ok()) {
      return Fail(terminal, s3);
    }
    Result<std::unique_ptr<ports::ServedCluster>> started = ports::ServedCluster::Start(std::move(options_));
    if (!started.ok()) {
      return Fail(terminal, started.error());
    }
    const Status said = SayReady(terminal, **started);
    if (!said.ok()) {
      return Fail(terminal, said);
    }
    while (!stop.requested() && failed.wait_for(kSignalPoll) == std::future_status::timeout) {
    }
    (*started)->Stop();
    if (!ready_file_.empty()) {
      unlink(ready_file_.c_str());
    }
    if (verbose_) {
      SaySummary(terminal, (*started)->calls());
      if (s3_.server() != nullptr) {
        SaySummary(terminal, s3_.server()->calls());
      }
    }
    s3_.End(terminal, verbose_);
    for (const std::string& label : (*started)->never_fired()) {
      Warn(terminal, "nothing came up at \"" + label + "\" of " + faults_);
    }
    return stop.requested() ? *stop.requested() : Fail(terminal, failed.get());
  }

 private:
  /// What the cluster begins with, if it is given.
  Status TakeContent(Terminal* terminal) {
    if (!at_.empty() && volume_.empty() == options_.data.empty()) {
      return Status::InvalidArgument("--at needs either --volume or --data: whose past is meant?");
    }
    if (at_.empty() && volume_.empty()) {
      return Status::Ok();
    }
    const std::string source = volume_.empty() ? options_.data : volume_;
    const auto begun = std::chrono::steady_clock::now();
    ASSIGN_OR_RETURN(ServedContent content, volume_.empty() ? ReadContentOfFolder(source, at_) : ReadContent(volume_, at_));
    if (std::chrono::steady_clock::now() - begun > kWorthAWord) {
      *terminal->err << fmt::format("kvjury serve: {} holds {} keys\n", source, content.versions.size()) << std::flush;
    }
    for (const std::string& warning : content.warnings) {
      Warn(terminal, warning);
    }
    options_.versions = std::move(content.versions);
    options_.at = content.at;
    if (read_only_ || !at_.empty()) {
      options_.data.clear();
      frozen_at_ = content.at;
      options_.read_only = "this cluster is served read-only and shows " + source +
                           (content.at.valid() ? " as it was at " + std::to_string(content.at.value()) : "");
    }
    return Status::Ok();
  }

  void ChooseControlPath() {
    // A socket's path has little room.
    constexpr size_t kPathSizeMax = 100;
    if (options_.control.empty() && !options_.data.empty()) {
      const std::string path = ports::ControlPathIn(std::filesystem::absolute(options_.data).lexically_normal().string());
      options_.control = path.size() <= kPathSizeMax ? path : "";
    }
    if (options_.control.empty()) {
      std::error_code error;
      const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
      options_.control = (error ? "/tmp" : folder.string()) + "/kvjury-serve-" + std::to_string(getpid());
    }
    control_ = options_.control;
  }

  Status SayReady(Terminal* terminal, const ports::ServedCluster& served) {
    nlohmann::ordered_json object;
    object["pd"] = served.pd_addresses();
    object["stores"] = nlohmann::ordered_json::array();
    std::string words = "kvjury serve: PD " + fmt::format("{}", fmt::join(served.pd_addresses(), ", ")) + "\n";
    for (const ports::ServedStore& store : served.stores()) {
      object["stores"].push_back({{"id", store.id}, {"address", store.address}, {"status_address", store.status_address}});
      words += fmt::format("  store {}: {}, status http://{}\n", store.id, store.address, store.status_address);
    }
    object["control"] = control_;
    if (frozen_at_.valid()) {
      object["at"] = std::to_string(frozen_at_.value());
      words += fmt::format("  read-only, as it was at {}\n", frozen_at_.value());
    }
    words += fmt::format("  control socket: {}\n", control_);
    s3_.Describe(&object, &words);
    words += fmt::format("  juicefs: tikv://{}/NAME; br: --pd {}; Ctrl-C ends it\n", served.pd_addresses().front(),
                         served.pd_addresses().front());
    const std::string text = object.dump(2) + "\n";
    if (!ready_file_.empty()) {
      RETURN_IF_ERROR(reports::WriteFileWhole(ready_file_, text));
    }
    *terminal->err << words << std::flush;
    if (json_) {
      *terminal->out << text;
      return FlushOut(terminal);
    }
    return Status::Ok();
  }

  static void SaySummary(Terminal* terminal, const ports::CallLog& log) {
    for (const auto& [where, counts] : log.counts()) {
      *terminal->err << fmt::format("{:<10} {:<24} {:>9} calls {:>6} failed  mean {:>8} us  p50 < {:>8} us  p99 < {:>8} us\n",
                                    where.first, where.second, counts.calls, counts.failed, counts.us_total / counts.calls,
                                    counts.UsOfShare(0.5), counts.UsOfShare(0.99));
    }
    *terminal->err << std::flush;
  }

  ports::ServeOptions options_;
  ServeS3 s3_;
  std::string volume_;
  std::string at_;
  Timestamp frozen_at_;
  std::string faults_;
  std::string control_;
  std::string ready_file_;
  std::string tls_init_;
  bool read_only_ = false;
  bool json_ = false;
  bool verbose_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeServeVerb() { return std::make_unique<ServeVerb>(); }

}  // namespace kvjury::cli
