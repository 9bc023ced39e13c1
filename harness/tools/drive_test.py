"""Drills with the real programs: `kvjury drive` on the bundled real volume, with writers on a kernel mount.

Usage: drive_test.py PROGRAM SOURCE_FOLDER [Class[.test]]. KVJURY_DRILLS=N repeats the test of interrupted drills N times.
"""

import glob
import gzip
import html
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest

from real_tools import PROGRAM, ROOT, TOOLS, Folder, Require, Run

DRILLS = int(os.environ.get("KVJURY_DRILLS", "6"))


def Drive(test, *arguments, ok=(0,), timeout_s=900, cwd=None):
    """The records by recipe and fault, and the folder of the results."""
    out = os.path.join(test.enterContext(Folder()), "out")
    bins = [f"--bin={name}={path}" for name, path in TOOLS.items() if name in ("br", "juicefs")]
    done = Run(PROGRAM, "drive", *arguments, *bins, "--out", out, timeout_s=timeout_s, ok=ok, cwd=cwd)
    with open(os.path.join(out, "drills.jsonl"), encoding="utf-8") as file:
        records = [json.loads(line) for line in file]
    test.assertGreater(len(records), 0, done.stdout)
    return {(record["recipe"], record.get("fault", "")): record for record in records}, out, done


BACKUP = "{br} backup txn --pd {pd} -s {storage} --log-file {log} {storage_flags}"
RESTORE = "{br} restore txn --pd {pd2} -s {storage} --log-file {log} {storage_flags}"


def Recipe(test, name, fields, backup, restore):
    """A recipe of our own in a file: `backup` are commands, nobody writes meanwhile."""
    path = os.path.join(test.enterContext(Folder()), f"{name}.recipe")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'name: "{name}" about: "x" quiet: true {fields}\n')
        file.writelines(f"backup: {json.dumps(command)}\n" for command in backup)
        file.write(f"restore: {json.dumps(restore)}\n")
    return path


class Same(unittest.TestCase):
    """A tool that is right is called right, with counts, and a certificate is left that replay checks."""

    def test_the_tools_that_take_a_snapshot_are_same_under_three_writers(self):
        recipes = ("br-txn", "br-txn-s3", "br-txn-tls", "reference", "juicefs-dump-binary", "juicefs-dump-fast-quiet")
        records, out, done = Drive(self, *recipes)
        for recipe in recipes:
            record = records[(recipe, "")]
            self.assertEqual(record["outcome"], "DRILL_SAME", record)
            self.assertGreater(int(record["scope"]["entries_compared"]), 300)
            mounts = next(check for check in record["check"] if check["check"] == "MOUNT")
            self.assertGreater(int(mounts["counted"]), 300)
            if not recipe.endswith("quiet"):
                self.assertGreater(int(record["operations_during_backup"]), 0)
                self.assertGreater(int(record["contents_compared"]), 0)
            if not recipe.startswith("juicefs"):
                self.assertGreater(int(record["scope"]["keys_compared"]), 1000)
        for name in ("report.html", "matrix.md", "junit.xml", "verdict.json"):
            self.assertGreater(os.path.getsize(os.path.join(out, name)), 100, name)
        self.assertIn("report:", done.stdout)
        for recipe in recipes:
            self.PlaysAgain(os.path.join(out, records[(recipe, "")]["folder"]), records[(recipe, "")]["digest"])
        with gzip.open(os.path.join(out, records[("br-txn-s3", "")]["folder"], "calls-s3.tsv.gz"), "rt", encoding="utf-8") as file:
            requests = [line.split("\t") for line in file.read().splitlines()]
        self.assertTrue(any(call == "PutObject" and status == "200" and key.startswith("backup/full/") for _, status, call, key in requests), requests[:5])
        folder = os.path.join(out, records[("br-txn", "")]["folder"])
        self.AnotherAnswerIsNotTheSameRun(folder)
        self.assertIn("inputs are those of the certificate", Run(PROGRAM, "replay", os.path.join(folder, "certificate.json")).stdout)
        # Its own tools see the same: the kept keys, and the kept walks.
        Run(PROGRAM, "diff", f"view://{folder}/mount-source.jsonl", f"view://{folder}/mount-target.jsonl")
        Run(PROGRAM, "diff", f"kv://{folder}/source-at-the-cut.kv.gz", f"kv://{folder}/target.kv.gz")
        # An input that is another one is no input of the certificate.
        with open(os.path.join(folder, "mount-target.jsonl"), "a", encoding="utf-8") as file:
            file.write("\n")
        self.assertIn("mount-target.jsonl", Run(PROGRAM, "replay", os.path.join(folder, "certificate.json"), ok=(6,)).stdout)


    def PlaysAgain(self, folder, digest):
        """Without the tools: all that reached both clusters makes them again, call by call."""
        said = Run(PROGRAM, "replay", folder).stdout
        self.assertRegex(said, r"both clusters played again through \d+ s, \d{3,} calls answered as they were")
        self.assertIn(digest, said)

    def AnotherAnswerIsNotTheSameRun(self, folder):
        """One digit of one recorded answer's digest in a copy of the folder."""
        copy = os.path.join(self.enterContext(Folder()), "copy")
        shutil.copytree(folder, copy)
        os.remove(os.path.join(copy, "certificate.json"))
        calls = os.path.join(copy, "calls-source.tsv.gz")
        with gzip.open(calls, "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")
        fields = lines[100].split("\t")
        fields[6] = ("0" if fields[6][0] != "0" else "1") + fields[6][1:]
        lines[100] = "\t".join(fields)
        with gzip.open(calls, "wt", encoding="utf-8") as file:
            file.write("\n".join(lines))
        said = Run(PROGRAM, "replay", copy, ok=(5,)).stdout
        self.assertIn("of the source, call 101 was", said)
        # A recording that breaks off is none.
        shutil.copy(os.path.join(folder, "calls-source.tsv.gz"), calls)
        recording = os.path.join(copy, "recording-source.pb.zst")
        with open(recording, "r+b") as file:
            file.truncate(os.path.getsize(recording) // 2)
        self.assertIn("zstd", Run(PROGRAM, "replay", copy, ok=(6,)).stdout)
        os.remove(recording)
        self.assertIn("recording-source.pb.zst", Run(PROGRAM, "replay", copy, ok=(6,)).stdout)


class FalseSuccesses(unittest.TestCase):
    """What br of the 8.5 line ends with 0 over, each convicted with the sentence that an operator reads."""

    def Convicted(self, recipe, fault, *words):
        records, out, _ = Drive(self, recipe, *(("--faults", fault) if fault else ()), ok=(1,))
        record = records[(recipe, fault)]
        self.assertEqual(record["outcome"], "DRILL_FALSE_SUCCESS", record["why"])
        for word in words:
            self.assertIn(word, record["why"])
        folder = os.path.join(out, record["folder"])
        # The same verdict from the evidence alone, without the tool.
        again = Run(PROGRAM, "replay", folder, ok=(1,)).stdout
        self.assertIn(record["digest"], again)
        return record

    def test_a_backup_that_is_silently_empty(self):
        record = self.Convicted("br-txn", "empty-key-region", "lost in the backup's files", "success over 0 keys")
        self.assertEqual(record["command"][0].get("exit_code", 0), 0)

    def test_keys_above_nine_bytes_ff(self):
        self.Convicted("br-txn", "keys-above-nine-ff", "the target lacks 2,", "\\xff\\xff\\xff\\xff")

    def test_a_restore_under_newer_removals(self):
        self.Convicted("br-txn-same-cluster", "", "lost in the target")

    def test_a_target_whose_clock_is_behind(self):
        self.Convicted("br-txn", "clock-behind", "TSO: the target gives the timestamp")

    def test_gc_that_passes_the_cut(self):
        self.Convicted("br-txn", "gc-passes-the-cut", "lost in the backup's files")

    def test_a_pause_of_schedulers_that_pd_refuses(self):
        record = self.Convicted("br-txn", "pause-refused", "the backup said success and left nothing to restore")
        self.assertEqual(record["command"][0].get("exit_code", 0), 0)

    def test_a_raw_backup_of_a_volume(self):
        self.Convicted("br-raw-on-txn", "", "keys at the cut the target lacks")

    def test_a_folder_removed_behind_the_tool(self):
        self.Convicted("planted-lost-file", "", "lost in the target")


class Rates(unittest.TestCase):
    """The bundled volume, of which a backup is some 20 KB: a store uploads a part of it and downloads all."""

    def Limited(self, backup_flags, restore_flags, outcome, ok):
        recipe = Recipe(self, "limited", 'tool: "br" cut: BACKUPMETA', [f"{BACKUP} {backup_flags}"], f"{RESTORE} {restore_flags}")
        records, out, _ = Drive(self, recipe, ok=(ok,))
        record = records[("limited", "")]
        self.assertEqual(record["outcome"], outcome, record["why"])
        self.assertIn(record["digest"], Run(PROGRAM, "replay", os.path.join(out, record["folder"]), ok=(ok,)).stdout)
        return record, next(check for check in record["check"] if check["check"] == "RATE")

    def test_br_and_the_stores_keep_the_limit_that_both_are_told(self):
        flags = "--ratelimit 1 --ratelimit-unit 3000"
        record, check = self.Limited(flags, flags, "DRILL_SAME", ok=0)
        self.assertEqual([rate["judgement"] for rate in record["rate"]], ["KEPT", "KEPT"], record["rate"])
        self.assertEqual(check["counted"], "2")
        self.assertGreater(int(record["rate"][1]["took_ms"]), 4000)

    def test_a_limit_that_the_tool_is_not_told_of_is_not_kept_and_what_is_same_is_unproven(self):
        record, check = self.Limited("# --ratelimit 1 --ratelimit-unit 1000", "", "DRILL_UNPROVEN", ok=3)
        self.assertIn("the limit was not kept: the backup moved", record["why"])
        self.assertIn("two mounts show the same", record["why"])
        self.assertEqual(check["findings"], "1")
        self.assertEqual([finding["check"] for finding in record["finding"]], ["RATE"])


def _Field(number, value):
    """One field of a protobuf message: bytes, or an integer."""
    def Varint(rest):
        out = b""
        while rest > 127:
            out += bytes([rest & 127 | 128])
            rest >>= 7
        return out + bytes([rest])
    if isinstance(value, int):
        return Varint(number << 3) + Varint(value)
    return Varint(number << 3 | 2) + Varint(len(value)) + value


class Hangs(unittest.TestCase):
    """A tool that does not end: the verdict says which call waits for which."""

    TIME_OUT_S = 36  # what wrote nothing for 30 s is a hang

    def Hung(self, *arguments):
        records, out, _ = Drive(self, *arguments, "--time-out", str(self.TIME_OUT_S), ok=(1,))
        (record,) = records.values()
        self.assertTrue(record["command"][-1]["timed_out"])
        self.assertEqual(record["outcome"], "DRILL_HANG", record["why"])
        # The evidence alone says the same, and the page and the matrix say it to the end.
        self.assertIn(record["digest"], Run(PROGRAM, "replay", os.path.join(out, record["folder"]), ok=(1,)).stdout)
        with open(os.path.join(out, "report.html"), encoding="utf-8") as file:
            self.assertIn(record["why"], html.unescape(file.read()))
        with open(os.path.join(out, "matrix.md"), encoding="utf-8") as file:
            self.assertIn(record["why"][-100:], file.read())
        return record

    def test_br_that_is_told_again_and_again_that_the_stores_are_busy(self):
        fault = os.path.join(self.enterContext(Folder()), "busy.fault")
        with open(fault, "w", encoding="utf-8") as file:
            file.write('name: "busy" about: "no store ever has time for a backup" legal_because: "write stalls do that"\n'
                       'during_backup { after_ms: 0 poke: "server-busy backup 1000000" }\n')
        why = self.Hung("br-txn", "--faults", fault)["why"]
        for store in (1, 2, 3):
            self.assertRegex(why, rf"backup on store {store}, asked \d\d+ times within 3\d s, the last time \d\.\d s ago: it is busy")
        self.assertIn("At the target: nobody waits", why)

    def test_br_whose_stores_wait_for_a_bucket(self):
        folder = self.enterContext(Folder())
        recipe, fault = os.path.join(folder, "quiet.recipe"), os.path.join(folder, "silent.fault")
        with open(os.path.join(ROOT, "scenarios/drills/recipes/br-txn-s3.recipe"), encoding="utf-8") as file:
            text = file.read().replace('name: "br-txn-s3"', 'name: "quiet" quiet: true')
        with open(recipe, "w", encoding="utf-8") as file:
            file.write(text)
        delays = "".join(f'nudge {{ at: "external/s3/PutObject#{n}" delay_us: 300000000 }}\n' for n in range(3, 100))
        with open(fault, "w", encoding="utf-8") as file:
            file.write(f'name: "silent" about: "the bucket takes five minutes for an object" legal_because: "a full disk" only_s3: true\n'
                       f'source {{\n{delays}}}\n')
        why = self.Hung(recipe, "--faults", fault)["why"]
        self.assertRegex(why, r"backup on store (\d) is not answered( after \d+ answers?)? for 3\d s: the store waits for its object storage, "
                              r'for 3\d s now for the Put of "\1_[^"]*\.sst" in s3://backup/')

    def test_juicefs_that_waits_for_a_lock_which_a_dead_client_has_left(self):
        folder = self.enterContext(Folder())
        lock = os.path.join(folder, "lock.jsonl")
        key = b"other\xfdsetting"
        start_ts = int(time.time() * 1000) - 1000 << 18
        # KvPrewrite of one put, by whoever never comes again, in the first region of a fresh cluster as recorded ones name it.
        request = (_Field(1, bytes.fromhex("08041204080110051a0408051001")) + _Field(2, _Field(2, key) + _Field(3, b"x")) + _Field(3, key) +
                   _Field(4, start_ts) + _Field(5, 3_600_000) + _Field(8, 1))
        with open(lock, "w", encoding="utf-8") as file:
            file.write(json.dumps({"case": "lock", "method": "/tikvpb.Tikv/KvPrewrite", "req_hex": request.hex(), "resp_hex": ""}) + "\n")
        recipe = os.path.join(folder, "locked.recipe")
        restore = ("{kvjury} drift {pd2} " + lock + " --scratch-cluster && "
                   "{juicefs} format tikv://{pd2}/other other --storage file --bucket {work}/objects --no-agent")
        with open(recipe, "w", encoding="utf-8") as file:
            file.write(f'name: "locked" about: "x" tool: "juicefs" quiet: true cut: GIVEN backup: "true" restore: {json.dumps(restore)}')
        why = self.Hung(recipe)["why"]
        self.assertIn("At the source: nobody waits", why)
        self.assertRegex(why, r"KvPrewrite of transaction \d+ on store \d, asked \d+ times within \d\d s, ")
        self.assertIn(f'"other\\xfdsetting" is locked by transaction {start_ts}, its primary, whose time to live ends in 35', why)
        self.assertRegex(why, r"whose client was last heard 3\d s ago \(KvPrewrite\)")

    def test_a_backup_to_a_storage_that_is_full_for_good(self):
        fault = os.path.join(self.enterContext(Folder()), "full.fault")
        with open(fault, "w", encoding="utf-8") as file:
            file.write('name: "full" about: "x" legal_because: "MinIO on a full disk answers so until somebody makes room" only_s3: true\n'
                       'source { explore { fault_ppm: 1000000 fault_count_max: 1000000 kind: "object_full" } }\n')
        record = self.Hung(Recipe(self, "to-s3", 'tool: "br" cut: BACKUPMETA s3: true', [BACKUP], RESTORE), "--faults", fault)
        self.assertRegex(record["why"], r"^the tool did not end and got on no more: backup wrote nothing for 3\d s\. At the source: .*GetStore \d+ times")
        self.assertGreater(int(record["faults_fired"]["object_full"]), 3)

    def test_a_restore_by_a_backupmeta_that_names_files_which_are_not_there(self):
        spoil = "sed -i s/_write.sst/_wrote.sst/ {storage_folder}/backupmeta"
        record = self.Hung(Recipe(self, "spoilt", 'tool: "br" cut: BACKUPMETA', [BACKUP, spoil], RESTORE))
        self.assertRegex(record["why"], r"^the tool did not end and got on no more: restore wrote nothing for 3\d s\. At the source: nobody "
                                        r"waits; .* At the target: .*Download \d+ times")
        self.assertEqual([command.get("exit_code", 0) for command in record["command"][:2]], [0, 0])


class Dumps(unittest.TestCase):
    def test_a_dump_that_walks_while_writers_write_is_torn_in_some_runs_and_never_on_a_quiet_volume(self):
        out = os.path.join(self.enterContext(Folder()), "out")
        Run(PROGRAM, "drive", "juicefs-dump", "--cases", "5", f"--bin=juicefs={TOOLS['juicefs']}", "--out", out, ok=(0, 1), timeout_s=600)
        with open(os.path.join(out, "drills.jsonl"), encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        self.assertEqual(len(records), 5)
        torn = [record for record in records if record["outcome"] == "DRILL_FALSE_SUCCESS"]
        self.assertGreater(len(torn), 0)
        self.assertTrue(any("no moment shows both" in record["why"] for record in torn), [record["why"] for record in torn])
        with open(os.path.join(out, "matrix.md"), encoding="utf-8") as file:
            self.assertIn("of 5", file.read() if len(torn) < 5 else "5 of 5")
        records, _, _ = Drive(self, "juicefs-dump-quiet")
        self.assertEqual(records[("juicefs-dump-quiet", "")]["outcome"], "DRILL_SAME")

    def Lost(self, dump, load, make, field, words):
        """`make` in the mounted source, then a dump of it while nobody writes."""
        mount = ("mkdir -p {work}/m && {juicefs} mount {meta} {work}/m -d --no-usage-report --no-agent --storage s3 --bucket {bucket} "
                 "--backup-meta 0 --log {log} && " + make + " && {juicefs} umount {work}/m")
        recipe = Recipe(self, "lossy", 'tool: "juicefs" cut: WITHIN_BACKUP logical: true', [mount, dump], load)
        records, _, _ = Drive(self, recipe, ok=(1,))
        record = records[("lossy", "")]
        self.assertEqual(record["outcome"], "DRILL_FALSE_SUCCESS", record)
        self.assertIn(words, record["why"])
        self.assertIn(field, {finding.get("field") for finding in record["finding"]})

    def test_a_binary_dump_loses_targets_with_percent_signs_and_says_nothing(self):
        self.Lost("{juicefs} dump --binary {meta} {dump} --no-agent", "{juicefs} load --binary {meta2} {dump} --no-agent", "ln -s 'a%2Fb' {work}/m/link",
                  "target", "a symbolic link's target with %XX")


def _Traces():
    """Processes, mounts and files that a drill could leave: what tells of drills on this machine."""
    processes = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                line = file.read()
        except OSError:
            continue
        if b"/scratch/mounts/" in line or b" drive\0" in line or b"\0drive\0" in line or b"kvjury\0write\0" in line:
            processes.append(line)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line for line in file if "kvjury" in line or "JuiceFS" in line]
    temporary = {name for name in os.listdir("/tmp") if name.startswith(("fuse_fd_comm", "kvjury-version"))}
    with open("/proc/net/tcp", encoding="utf-8") as file:
        ports = {line.split()[1].split(":")[1] for line in file if line.split()[3] == "0A"}
    return processes, mounts, temporary, {port for port in ports if int(port, 16) in (2379, 3379, 4379, 9000)}


class NothingIsLeft(unittest.TestCase):
    def test_drills_that_end_are_interrupted_or_killed_leave_nothing(self):
        draw = random.Random(7)
        before = _Traces()
        root = self.enterContext(Folder())
        for number in range(DRILLS):
            out = os.path.join(root, str(number))
            drive = subprocess.Popen([PROGRAM, "drive", "br-txn" if number % 2 else "juicefs-dump-fast", "--out", out, f"--bin=br={TOOLS['br']}",
                                      f"--bin=juicefs={TOOLS['juicefs']}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            kind = (None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[number % 4 if DRILLS < 40 or number % 10 < 4 else 0]
            if kind is not None:
                time.sleep(draw.uniform(0.2, 4))
                drive.send_signal(kind)
            code = drive.wait(120)
            if kind in (signal.SIGINT, signal.SIGTERM):
                self.assertIn(code, (0, 128 + kind))
            deadline = time.monotonic() + 10
            while _Traces() != before and time.monotonic() < deadline:
                time.sleep(0.05)
            self.assertEqual(_Traces(), before, (number, kind))
            self.assertEqual([path for path in glob.glob(f"{out}/**/scratch/*", recursive=True)], [], kind)


class Mistakes(unittest.TestCase):
    def Says(self, code, words, *arguments):
        done = Run(PROGRAM, "drive", *arguments, "--out", os.path.join(self.enterContext(Folder()), "out"), ok=(code,))
        self.assertIn(words, done.stdout)

    def test_what_is_wrong_is_said_in_a_sentence(self):
        self.Says(2, "no recipe \"nothing\"", "nothing")
        self.Says(2, "no fault \"nothing\"", "br-txn", "--faults", "nothing")
        self.Says(2, "expected NAME=PATH", "br-txn", "--bin", "br")
        self.Says(2, "none of these faults is for any of these recipes", "reference", "--faults", "object-store")

    def test_a_program_that_is_missing_is_a_skipped_row_or_with_a_flag_an_error(self):
        self.Says(4, "skipped", "br-txn", "--bin", "br=/nowhere/br")
        self.Says(6, "/nowhere/br", "br-txn", "--bin", "br=/nowhere/br", "--require-tool")

    def test_a_recipe_of_ones_own_can_be_driven(self):
        folder = self.enterContext(Folder())
        recipe = os.path.join(folder, "mine.recipe")
        with open(recipe, "w", encoding="utf-8") as file:
            file.write('name: "mine" about: "nothing at all" backup: "sh ./mine.sh $KVJURY_PD {pd}" restore: "true" cut: GIVEN')
        with open(os.path.join(folder, "mine.sh"), "w", encoding="utf-8") as file:
            file.write('echo "$1 $2"')
        records, out, _ = Drive(self, recipe, ok=(1,), cwd=folder)
        record = records[("mine", "")]
        self.assertEqual(record["outcome"], "DRILL_FALSE_SUCCESS")
        with open(os.path.join(out, record["folder"], "backup-1.out"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "127.0.0.1:2379 127.0.0.1:2379\n")


if __name__ == "__main__":
    Require("br", "juicefs", mounts=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
