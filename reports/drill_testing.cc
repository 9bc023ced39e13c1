#include "reports/drill_testing.h"

#include "fakes/base/bytes.h"
#include "fakes/base/digest.h"

namespace kvjury::reports {
namespace {

constexpr int64_t kBeganMs = 1'795'725'565'000;
constexpr uint64_t kCutTs = (uint64_t{kBeganMs + 8'512} << 18) + 7;
constexpr std::string_view kHostile = "<script>alert('x')</script>\"&\x1b[31m\xff\n\xe2\x80\xaegpj|`*\\x0a";

void AddCommand(record::DrillRecord* drill, const std::string& phase, const std::string& line, int64_t took_ms,
                const std::string& last_line) {
  record::DrillCommand* command = drill->add_command();
  int64_t began_ms = kBeganMs;
  for (const record::DrillCommand& before : drill->command()) {
    began_ms += before.took_ms() + 900;
  }
  command->set_phase(phase);
  command->set_line(line);
  command->set_took_ms(took_ms);
  command->set_began_ms(began_ms);
  command->set_output_file(phase + ".log");
  command->set_last_line(last_line);
}

void AddCheck(record::DrillRecord* drill, const std::string& code, uint64_t counted, const std::string& unit,
              uint64_t findings = 0) {
  record::CheckResult* check = drill->add_check();
  check->set_check(code);
  check->set_counted(counted);
  check->set_unit(unit);
  check->set_findings(findings);
}

void AddInput(record::DrillRecord* drill, const std::string& what, const std::string& file, uint64_t bytes) {
  record::DrillInput* input = drill->add_input();
  input->set_what(what);
  input->set_file(file);
  input->set_bytes(bytes);
  input->set_sha256(ToHex(Sha256(file)));
}

record::Finding* AddFinding(record::DrillRecord* drill, const std::string& check, const std::string& kind,
                            const std::string& path, const std::string& message) {
  record::Finding* finding = drill->add_finding();
  finding->set_check(check);
  finding->set_kind(kind);
  finding->set_path(path);
  finding->set_message(message);
  finding->set_lost_at(record::LOST_AT_TARGET);
  finding->set_expected_present(true);
  return finding;
}

}  // namespace

record::DrillRecord SameDrill(const std::string& recipe, const std::string& fault, uint32_t number) {
  record::DrillRecord drill;
  drill.set_schema(1);
  drill.set_recipe(recipe);
  drill.set_fault(fault);
  drill.set_number(number);
  drill.set_outcome(record::DRILL_SAME);
  drill.set_why("942 entries and 1,475 keys are the same in both directions; the mounts of source and target walk the same.");
  drill.set_legal_because(fault.empty() ? "" : "A store may be restarted at any time; its regions elect new leaders.");
  drill.set_cut_ts(kCutTs);
  AddCommand(&drill, "backup", "br backup txn --pd 127.0.0.1:21379 -s local:///tmp/drill/storage --log-file br.log", 6'420,
             "Txn backup success");
  AddCommand(&drill, "restore", "br restore txn --pd 127.0.0.1:31379 -s local:///tmp/drill/storage", 4'130,
             "Txn restore success");
  record::DrillTool* tool = drill.add_tool();
  tool->set_name("br");
  tool->set_path("/opt/tools/br");
  tool->set_version("Release Version: v8.5.1");
  tool->set_sha256(ToHex(Sha256("br")));
  AddCheck(&drill, "DIFF", 1'475, "keys");
  AddCheck(&drill, "TREE", 942, "entries");
  drill.mutable_check(1)->set_fields(12'246);
  AddCheck(&drill, "FILE", 17, "files");
  AddCheck(&drill, "EXIT", 2, "commands");
  AddCheck(&drill, "LIVE", 16, "ranges");
  AddCheck(&drill, "TSO", 1, "timestamps");
  AddCheck(&drill, "RATE", 1, "phases with a limit");
  drill.mutable_scope()->set_keys_compared(1'475);
  drill.mutable_scope()->set_entries_compared(942);
  drill.mutable_scope()->set_fields_compared(12'246);
  drill.mutable_scope()->set_files_checked(17);
  drill.mutable_scope()->set_ranges_checked(16);
  drill.set_regular_files(700);
  drill.set_contents_compared(700);
  AddInput(&drill, "source at the cut", "source.kv.gz", 48'211);
  AddInput(&drill, "target", "target.kv.gz", 48'190);
  AddInput(&drill, "mount of the source at the cut", "source-mount.jsonl.gz", 61'002);
  AddInput(&drill, "mount of the target", "target-mount.jsonl.gz", 61'004);
  record::DrillRate* rate = drill.add_rate();
  rate->set_phase("backup");
  rate->set_bytes(52 << 20);
  rate->set_took_ms(6'420);
  rate->set_limit_bytes_per_s(8 << 20);
  rate->set_store_bytes_max(20 << 20);
  rate->set_judgement(record::DrillRate::KEPT);
  drill.set_operations(3'120);
  drill.set_operations_during_backup(214);
  drill.set_writers(3);
  drill.set_seed(7);
  drill.set_took_ms(21'840);
  drill.set_digest("6886b19ccb616ec1");
  drill.set_folder(recipe + (fault.empty() ? "" : "-" + fault) + "-" + std::to_string(number));
  drill.set_repeat_command("kvjury drive " + recipe + (fault.empty() ? "" : " --faults " + fault) + " --seed 7");
  drill.set_volume("tikv://127.0.0.1:21379/vol");
  drill.set_began_ms(kBeganMs);
  if (!fault.empty()) {
    (*drill.mutable_faults_fired())["kill_store"] = 2;
  }
  return drill;
}

record::DrillRecord DrillWith(record::DrillOutcome outcome, const std::string& recipe, const std::string& fault,
                              const std::string& why, uint32_t number) {
  record::DrillRecord drill = SameDrill(recipe, fault, number);
  drill.set_outcome(outcome);
  drill.set_why(why);
  if (outcome == record::DRILL_SKIPPED) {
    record::DrillRecord skipped;
    skipped.set_recipe(recipe);
    skipped.set_fault(fault);
    skipped.set_number(number);
    skipped.set_outcome(outcome);
    skipped.set_why(why);
    return skipped;
  }
  if (outcome == record::DRILL_HONEST_FAILURE || outcome == record::DRILL_HANG) {
    drill.mutable_command(1)->set_exit_code(outcome == record::DRILL_HANG ? -9 : 1);
    drill.mutable_command(1)->set_timed_out(outcome == record::DRILL_HANG);
    drill.mutable_command(1)->set_last_line("Error: rpc error: code = Unavailable");
  }
  return drill;
}

record::DrillRecord FalseSuccessDrill() {
  record::DrillRecord drill = DrillWith(
      record::DRILL_FALSE_SUCCESS, "br-txn", "newer-deletions-on-target",
      "br said \"Txn restore success\", and 3 of 942 entries are missing: the target holds deletions newer than the cut, "
      "and what is restored below them stays invisible.");
  drill.set_legal_because(
      "Restoring into the cluster that was backed up is what its manual describes; files deleted since then left tombstones.");
  drill.add_unproven("Contents of 3 files cannot be compared: they have no entry on the target.");
  drill.mutable_check(0)->set_findings(1);
  drill.mutable_check(1)->set_findings(4);
  for (const char* path : {"in/2026/a.bin", "in/2026/b\xffv.bin", "in/old"}) {
    record::Finding* finding =
        AddFinding(&drill, "TREE", "missing-entry", path, "was there at the cut and is not in the restored volume");
    finding->set_inode(3'077);
    finding->set_written_by("w2/op41");
    finding->set_expected_ts(kCutTs - 5'000'000);
    finding->set_expected("file");
  }
  record::Finding* field = AddFinding(&drill, "TREE", "field-differs", "in", "another modification time");
  field->set_field("mtime_ns");
  field->set_expected("1795725560000000000");
  field->set_lost_at(record::LOST_AT_IMPORT);
  field->set_actual("1795725562000000000");
  field->set_actual_present(true);
  record::Finding* key = AddFinding(&drill, "DIFF", "missing-key", "in/2026/a.bin",
                                    "D(3077,\"a.bin\") was visible at the cut and is not on the target");
  key->set_key(
      std::string("vol\xfd"
                  "A\x05\x0c\0\0\0\0\0\0Da.bin",
                  19));
  key->set_key_text("vol: D(3077,\"a.bin\")");
  key->set_expected(std::string("\x01\0\0\0\0\0\0\x0c\x06", 9));
  key->set_expected_ts(kCutTs - 5'000'000);
  key->set_actual_ts(kCutTs + 9'000'000);
  key->set_region_id(16);
  key->set_written_by("w2/op41/txn#1");
  return drill;
}

record::DrillRecord HostileDrill() {
  const std::string hostile(kHostile);
  record::DrillRecord drill = FalseSuccessDrill();
  drill.set_recipe(hostile);
  drill.set_fault("fault" + hostile);
  drill.set_why(hostile);
  drill.set_legal_because(hostile);
  drill.set_planted(hostile);
  drill.set_unproven(0, hostile);
  drill.set_folder("../" + hostile);
  drill.set_repeat_command(hostile);
  drill.set_volume(hostile);
  drill.set_digest(hostile);
  drill.mutable_command(0)->set_phase(hostile);
  drill.mutable_command(0)->set_line(hostile);
  drill.mutable_command(0)->set_last_line(hostile);
  drill.mutable_command(0)->set_output_file("javascript:alert(1)");
  drill.mutable_tool(0)->set_name(hostile);
  drill.mutable_tool(0)->set_version(hostile);
  drill.mutable_check(0)->set_check(hostile);
  drill.mutable_check(0)->set_unproven(hostile);
  drill.mutable_input(2)->set_file(hostile);
  drill.mutable_input(3)->set_what(hostile);
  (*drill.mutable_faults_fired())[hostile] = 1;
  record::Finding* finding = drill.mutable_finding(0);
  finding->set_path("in/" + hostile + "/" + std::string("\0\x7f", 2));
  finding->set_message(hostile);
  finding->set_kind(hostile);
  finding->set_key_text(hostile);
  finding->set_field(hostile);
  finding->set_expected(hostile);
  finding->set_written_by(hostile);
  finding->set_file(hostile);
  return drill;
}

std::vector<record::DrillRecord> ManyDrills() {
  std::vector<record::DrillRecord> drills = {SameDrill("br-txn"), SameDrill("br-txn", "store-dies"), FalseSuccessDrill()};
  drills.push_back(DrillWith(record::DRILL_HONEST_FAILURE, "br-txn", "gc-passes-the-cut",
                             "br ended with 1: \"GC safe point exceeded\"; the fault moved it there."));
  drills.push_back(SameDrill("br-txn-s3"));
  drills.push_back(DrillWith(record::DRILL_UNPROVEN, "br-txn-s3", "store-dies",
                             "The cell's 240 s were over before the target had been walked."));
  drills.back().add_unproven("The target was walked up to /in/2026 only.");
  drills.push_back(DrillWith(record::DRILL_HANG, "br-txn-s3", "gc-passes-the-cut",
                             "br did not end within 180 s: it waits for store 2, which answers ServerIsBusy since 21:02:11."));
  const std::string torn = "/in/a.bin is in both directories: the dump read /in before a rename and /out after it.";
  for (uint32_t number = 1; number <= 5; ++number) {
    drills.push_back(number % 2 == 1 ? DrillWith(record::DRILL_DIFFERENT, "juicefs-dump", "", torn, number)
                                     : SameDrill("juicefs-dump", "", number));
    drills.back().set_planted("juicefs documents that a dump under writes is no snapshot");
  }
  drills.push_back(DrillWith(record::DRILL_SKIPPED, "tikv-br-raw", "",
                             "no program tikv-br was found with --bin, KVJURY_TIKV_BR or in PATH"));
  return drills;
}

}  // namespace kvjury::reports
