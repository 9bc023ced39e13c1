"""The built program, as a user runs it: exit codes, what stands on stdout and on stderr, on the recorded volumes and
backups of scenarios/ and on bad input. Usage: program_test.py PROGRAM SOURCE_DIR [unittest arguments]
"""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM, ROOT = sys.argv[1], sys.argv[2]


def Run(*arguments, **options):
    done = subprocess.run([PROGRAM, *arguments], capture_output=True, timeout=300, **options)
    return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8")


def Volume(name, file):
    return os.path.join(ROOT, "scenarios/volumes", name, file)


def Backup(name):
    return os.path.join(ROOT, "scenarios/backups", name)


def Lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()


class ProgramTest(unittest.TestCase):
    def Good(self, *arguments):
        code, out, err = Run(*arguments)
        self.assertEqual(code, 0, err)
        self.assertNotEqual(out, "")
        for line in err.splitlines():
            self.assertTrue(line.startswith("kvjury: warning: "), line)
        return out

    def Refused(self, code_wanted, words, *arguments):
        """Nothing on stdout, one sentence on stderr."""
        code, out, err = Run(*arguments)
        self.assertEqual(code, code_wanted, f"{arguments}: {err}")
        self.assertEqual(out, "")
        self.assertRegex(err, r"\Akvjury: [^\n]+\n\Z")
        for word in words:
            self.assertIn(word, err)


class View(ProgramTest):
    def CompareWithMount(self, address, recorded):
        """Every entry and field but the content's digest and the made-up times of the trash's root."""
        shown = {}
        for line in self.Good("view", "--json", address).splitlines():
            entry = json.loads(line)
            shown[entry["path"]] = entry
        compared = 0
        for line in Lines(recorded):
            expected = json.loads(line)
            if expected["path"] is None:
                continue  # statfs
            actual = shown.pop(expected["path"])
            for left_out in ("sha256", "content"):
                expected.pop(left_out, None)
                actual.pop(left_out, None)
            if expected["path"] == ".trash":
                for field in ("atime_ns", "mtime_ns", "ctime_ns"):
                    expected[field] = actual[field]
            self.assertEqual(actual, expected)
            compared += 1
        self.assertEqual(shown, {})
        return compared

    def test_shows_recorded_volumes_as_their_mounts_did(self):
        for name, entries in (("rich", 390), ("crashed", 300), ("busy", 4000)):
            with self.subTest(volume=name):
                compared = self.CompareWithMount("kv://" + Volume(name, "kv.tsv.gz"), Volume(name, "mount.jsonl.gz"))
                self.assertGreater(compared, entries)

    def test_shows_real_backups_as_their_mounts_did(self):
        for name in ("quiet", "busy"):
            for volume in ("vol1", "vol2"):
                kind = "mount" if name == "quiet" else "restored-mount"
                recorded = os.path.join(Backup(name), f"{volume}.{kind}.jsonl.gz")
                with self.subTest(backup=name, volume=volume):
                    compared = self.CompareWithMount(f"br://{Backup(name)}#{volume}", recorded)
                    self.assertGreater(compared, 100)

    def test_keys_are_the_recorded_pairs(self):
        for name in ("rich", "busy"):
            out = self.Good("view", "--keys", "kv://" + Volume(name, "kv.tsv.gz"))
            expected = [line.replace("\t", " ") for line in Lines(Volume(name, "kv.tsv.gz"))]
            self.assertGreater(len(expected), 1000)
            self.assertEqual(out.splitlines(), expected)

    def test_a_named_volume_has_keys_without_its_prefix(self):
        whole = self.Good("view", "--keys", "br://" + Backup("quiet")).splitlines()
        prefix = b"vol1\xfd".hex()
        expected = [line[len(prefix):] for line in whole if line.startswith(prefix)]
        self.assertGreater(len(expected), 100)
        self.assertEqual(self.Good("view", "--keys", "br://" + Backup("quiet") + "#vol1").splitlines(), expected)

    def test_entries_of_several_volumes_name_theirs(self):
        counts = {}
        for line in self.Good("view", "--json", "br://" + Backup("quiet")).splitlines():
            volume = json.loads(line)["volume"]
            counts[volume] = counts.get(volume, 0) + 1
        self.assertEqual(sorted(counts), ["vol1", "vol2"])

    def test_a_backup_without_anything_is_no_view(self):
        self.Refused(4, ["holds no visible key"], "view", "br://" + Backup("silently-empty"))
        self.Refused(4, ["holds no visible key"], "view", "--keys", "br://" + Backup("silently-empty"))
        self.Refused(4, ["no JuiceFS volume"], "view", "br://" + Backup("edge-keys"))


class BadInput(ProgramTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kvjury-program-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def File(self, name, data):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def test_truncated_files_are_refused(self):
        for name in ("kv.tsv.gz", "dump.json.gz"):
            with open(Volume("rich", name), "rb") as file:
                data = file.read()
            scheme = "kv" if name.startswith("kv") else "dump"
            for size in (len(data) // 2, len(data) - 1, 5):
                path = self.File(f"{size}-{name}", data[:size])
                self.Refused(6, [f"{size}-{name}"], "view", f"{scheme}://{path}")

    def test_a_wrong_line_is_named(self):
        path = self.File("kv.txt", b"41 42\n4g 42\n")
        self.Refused(6, ["kv.txt", "line 2"], "view", f"kv://{path}")

    def test_damaged_backups_are_refused(self):
        copy = os.path.join(self.folder, "backup")
        shutil.copytree(Backup("quiet"), copy)
        files = sorted(os.path.join(folder, name) for folder, _, names in os.walk(copy) for name in names
                       if name.endswith(".sst"))
        self.assertGreater(len(files), 0)
        with open(files[0], "r+b") as file:
            file.seek(100)
            byte = file.read(1)
            file.seek(100)
            file.write(bytes([byte[0] ^ 1]))
        self.Refused(6, ["damaged", os.path.basename(files[0])], "view", f"br://{copy}")
        os.remove(files[0])
        self.Refused(6, [os.path.basename(files[0])], "view", f"br://{copy}")
        with open(os.path.join(copy, "backupmeta"), "r+b") as file:
            file.truncate(50)
        self.Refused(6, ["backupmeta"], "view", f"br://{copy}")

    def test_missing_and_unreadable_paths_are_refused(self):
        self.Refused(6, ["no-such"], "view", f"kv://{self.folder}/no-such")
        self.Refused(6, ["no-such"], "view", f"br://{self.folder}/no-such")
        self.Refused(6, [self.folder], "view", f"kv://{self.folder}")
        self.Refused(6, ["backupmeta"], "view", f"br://{self.folder}")

    def test_wrong_use_is_refused(self):
        self.Refused(2, ["--help"])
        self.Refused(2, ["frobnicate"], "frobnicate")
        self.Refused(2, ["--frobnicate"], "view", "--frobnicate", "kv://x")
        self.Refused(2, ["ADDRESS"], "view")
        self.Refused(2, ["nonsense://x"], "view", "nonsense://x")
        self.Refused(2, ["no keys"], "view", "--keys", "dump://" + Volume("rich", "dump.json.gz"))
        self.Refused(2, ["cheeses"], "list", "cheeses")
        self.Refused(6, ["vol9", "vol1, vol2"], "view", "br://" + Backup("quiet") + "#vol9")

    def test_a_full_disk_behind_stdout_is_told(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([PROGRAM, "view", "kv://" + Volume("rich", "kv.tsv.gz")], stdout=full,
                                  stderr=subprocess.PIPE, timeout=100)
        self.assertEqual(done.returncode, 6)
        self.assertIn(b"cannot write to the standard output", done.stderr)

    def test_signals_end_the_program_with_their_exit_code(self):
        fifo = os.path.join(self.folder, "kv.txt")
        os.mkfifo(fifo)
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            program = subprocess.Popen([PROGRAM, "view", f"kv://{fifo}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            with open(fifo, "wb"):  # opens when the program reads
                program.send_signal(number)
                out, _ = program.communicate(timeout=100)
            self.assertEqual((program.returncode, out), (code, b""))


class List(ProgramTest):
    def Catalogue(self):
        """name -> fields of every file of scenarios/bugs."""
        folder = os.path.join(ROOT, "scenarios/bugs")
        catalogue = {}
        for name in sorted(os.listdir(folder)):
            self.assertTrue(name.endswith(".txt"), name)
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                fields = dict(line.split(": ", 1) for line in file.read().splitlines() if line and line[0] != " ")
            self.assertEqual(fields["name"] + ".txt", name)
            catalogue[fields["name"]] = fields
        return catalogue

    def test_bugs_agree_with_the_catalogue(self):
        bugs = json.loads(self.Good("list", "bugs", "--json"))
        catalogue = self.Catalogue()
        self.assertGreaterEqual(len(bugs), 12)
        self.assertEqual([bug["name"] for bug in bugs if bug["name"] not in catalogue], [])
        self.assertEqual(sorted(catalogue), sorted(bug["name"] for bug in bugs))
        for bug in bugs:
            fields = catalogue[bug["name"]]
            self.assertEqual(fields["guard"], bug["guard"])
            self.assertEqual(fields["checks"].split(", "), bug["checks"])
            for wanted in ("trigger", "imitates"):
                self.assertGreater(len(fields[wanted]), 20)

    def test_checks_of_bugs_exist(self):
        checks = {check["name"] for check in json.loads(self.Good("list", "checks", "--json"))}
        for bug in json.loads(self.Good("list", "bugs", "--json")):
            self.assertLessEqual(set(bug["checks"]), checks)
        self.assertGreaterEqual(len(checks), 9)

    def test_tables_hold_what_json_holds(self):
        for what in ("bugs", "faults", "checks", "recipes", "drill-faults"):
            rows = json.loads(self.Good("list", what, "--json"))
            table = self.Good("list", what).splitlines()
            self.assertEqual([line.split()[0] for line in table[1:]], [row["name"] for row in rows])

    def test_legal_differences_say_why_and_who_provokes_them(self):
        folder = os.path.join(ROOT, "scenarios/legal")
        names = sorted(os.listdir(folder))
        self.assertGreater(len(names), 5)
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                fields = dict(line.split(": ", 1) for line in file.read().splitlines() if line and line[0] != " ")
            self.assertEqual(fields["name"] + ".txt", name)
            for wanted in ("seen", "why-legal", "provoked-by"):
                self.assertGreater(len(fields[wanted]), 10, f"{name}: {wanted}")


class Proofs(ProgramTest):
    """run, replay, selftest and soak, in a working directory of their own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="kvjury-program-test-")
        self.addCleanup(shutil.rmtree, self.folder)

    def Here(self, *arguments):
        return Run(*arguments, cwd=self.folder)

    def Path(self, *names):
        return os.path.join(self.folder, *names)

    def Json(self, *names):
        with open(self.Path(*names), encoding="utf-8") as file:
            return json.load(file)

    def CheckVerdict(self, verdict):
        """The types that scripts rely on: 64-bit numbers are strings."""
        self.assertEqual(type(verdict["schema"]), int)
        self.assertEqual(type(verdict["exit_code"]), int)
        self.assertIn(verdict["verdict"], ("SAME", "DIFFERENT", "UNPROVEN", "HONEST_FAILURE"))
        self.assertEqual(sorted(verdict["cases"]), ["different", "error", "honest_failure", "same", "unproven"])
        for name in ("keys_compared", "entries_compared"):
            self.assertRegex(verdict["scope"][name], r"\A\d+\Z")
        self.assertRegex(verdict["seed"], r"\A\d+\Z")
        self.assertRegex(verdict["digest"], r"\A[0-9a-f]{16}\Z")
        self.assertEqual(type(verdict["findings"]), list)

    def test_the_main_job_runs_from_any_folder_and_says_what_it_was(self):
        code, out, err = self.Here("run", "--cases", "1", "--json")
        self.assertEqual(code, 0, err)
        verdict = json.loads(out)
        self.CheckVerdict(verdict)
        self.assertEqual((verdict["verdict"], verdict["exit_code"]), ("SAME", 0))
        with open(self.Path("out/run.jsonl"), encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        main = [record for record in records if record.get("name") == "real-volume-rich"][0]
        self.assertEqual(main["outcome"], "SAME")
        counts = main["counts"]
        self.assertGreaterEqual(int(counts["writers"]), 3)
        self.assertGreaterEqual(int(counts["operations"]), 300)
        self.assertGreaterEqual(int(counts["regions_at_end"]), 8)
        self.assertGreater(int(main["scope"]["keys_compared"]), 1000)
        fired = counts["faults_fired"]
        self.assertGreater(int(fired["split_region"]), 0)
        self.assertGreater(int(fired.get("lose_request", 0)) + int(fired.get("lose_reply", 0)), 0)
        self.assertLessEqual({"real files", "several writers", "fault: split_region"}, set(main["class"]))
        self.assertGreaterEqual(self.Json("out/run.json")["classes"]["several writers"], 1)
        self.assertTrue(err.startswith("kvjury run: seed 1, results in out\n"), err)
        self.assertTrue(err.splitlines()[-1].startswith("replay: kvjury run --seed 1"), err)

    def test_a_kept_backup_is_a_folder_that_view_reads(self):
        code, _, err = self.Here("run", "--cases", "0", "--keep-backup", self.Path("kept"))
        self.assertEqual(code, 0, err)
        shown = self.Good("view", "--json", f"br://{self.Path('kept')}")
        self.assertGreater(len(shown.splitlines()), 400)
        with open(self.Path("memory.case"), "w", encoding="utf-8") as file:
            file.write("volume { generate { directories: 2 files: 5 } }\ntool { memory_sst: true }\n")
        self.Refused(2, ["memory_sst", "cannot be kept"], "run", self.Path("memory.case"), "--keep-backup", self.Path("none"), "--out", self.Path("refused"))
        self.assertFalse(os.path.exists(self.Path("none")))

    def test_a_planted_bug_is_convicted_and_its_case_replays(self):
        code, out, err = self.Here("run", "--bug", "target-clock-behind", "--cases", "12")
        self.assertEqual((code, out), (1, ""), err)
        self.assertIn("DIFFERENT", err)
        self.assertRegex(err, r"(?m)^    (key|path) ")
        self.assertIn("lost at: ", err)
        words = err.splitlines()[-1].split()
        self.assertEqual(words[:3], ["replay:", "kvjury", "replay"])
        first = self.Json("out/verdict.json")
        self.CheckVerdict(first)
        self.assertEqual((first["verdict"], first["exit_code"]), ("DIFFERENT", 1))
        self.assertGreater(len(first["findings"]), 0)
        code, out, err = self.Here(*words[2:], "--json")
        self.assertEqual(code, 1, err)
        again = json.loads(out)
        self.CheckVerdict(again)
        with open(self.Path("out/run.jsonl"), encoding="utf-8") as file:
            recorded = {record["name"]: record["digest"] for record in map(json.loads, file) if "name" in record}
        with open(self.Path("out/replay/run.jsonl"), encoding="utf-8") as file:
            replayed = [record for record in map(json.loads, file) if "name" in record]
        self.assertEqual(len(replayed), 1)
        self.assertEqual(replayed[0]["digest"], recorded[replayed[0]["name"]])

    def test_bad_input_is_refused_before_anything_runs(self):
        scenario = os.path.join(ROOT, "scenarios/split-while-backup-reads.case")
        with open(scenario, "rb") as file:
            text = file.read()
        for name, data in (("cut.case", text[:len(text) // 2]), ("damaged.case", text.replace(b"writers", b"wr\xffters")),
                           ("unknown.case", text.replace(b"split_region", b"split_regoin"))):
            with open(self.Path(name), "wb") as file:
                file.write(data)
            self.Refused(2, [name], "run", self.Path(name), "--out", self.Path("o"))
            self.Refused(2, [name], "replay", self.Path(name), "--out", self.Path("o"))
        self.Refused(2, ["no-such-bug"], "run", "--bug", "no-such-bug", "--out", self.Path("o"))
        self.Refused(2, ["no-such-bug"], "selftest", "--bug", "no-such-bug", "--out", self.Path("o"))
        self.Refused(2, ["--time-budget"], "soak", "--time-budget", "soon", "--out", self.Path("o"))
        self.Refused(6, ["missing.case"], "run", self.Path("missing.case"), "--out", self.Path("o"))
        self.assertFalse(os.path.exists(self.Path("o")))

    def RefusedAfterTheStart(self, code_wanted, words, *arguments):
        """Nothing on stdout; on stderr what runs and where, then one sentence; no verdict in the folder."""
        code, out, err = self.Here(*arguments)
        self.assertEqual((code, out), (code_wanted, ""), err)
        sentences = [line for line in err.splitlines() if line.startswith("kvjury: ")]
        self.assertEqual(len(sentences), 1, err)
        for word in words:
            self.assertIn(word, sentences[0])
        self.assertFalse(os.path.exists(self.Path("out/verdict.json")))

    def test_volumes_that_cannot_be_read_leave_no_verdict(self):
        self.RefusedAfterTheStart(2, ["nonsense://x"], "run", "--volume", "nonsense://x")
        self.RefusedAfterTheStart(6, ["no-such"], "run", "--volume", "kv://no-such.gz")
        with open(Volume("rich", "kv.tsv.gz"), "rb") as file:
            data = file.read()
        with open(self.Path("half.tsv.gz"), "wb") as file:
            file.write(data[:len(data) // 2])
        self.RefusedAfterTheStart(6, ["half.tsv.gz"], "run", "--volume", "kv://half.tsv.gz")

    def test_an_out_folder_that_cannot_be_written_is_refused(self):
        with open(self.Path("file"), "w", encoding="utf-8"):
            pass
        for verb in (["run", "--cases", "1"], ["soak", "--time-budget", "1s"], ["selftest"]):
            self.Refused(6, ["file"], *verb, "--out", self.Path("file/out"))

    def test_selftest_scores_as_json(self):
        code, out, err = self.Here("selftest", "--bug", "target-clock-behind", "--bug", "split-keys-unencoded",
                                   "--clean-cases", "4", "--json")
        self.assertEqual(code, 0, err)
        score = json.loads(out)
        self.assertEqual([bug["name"] for bug in score["bugs"]], ["target-clock-behind", "split-keys-unencoded"])
        for bug in score["bugs"]:
            self.assertIs(bug["convicted"], True)
            self.assertGreater(len(bug["checks"]), 0)
            for name in ("cases", "operations", "faults"):
                self.assertEqual(type(bug[name]), int)
        self.assertEqual((score["clean_cases"], score["false_alarms"]), (4, 0))

    def test_soak_joins_what_its_jobs_did(self):
        code, out, err = self.Here("soak", "--seed", "3", "--cases", "4", "--jobs", "2", "--time-budget", "60s", "--json")
        self.assertEqual(code, 0, err)
        verdict = json.loads(out)
        self.CheckVerdict(verdict)
        self.assertEqual(sum(int(count) for count in verdict["cases"].values()), 4)
        with open(self.Path("out/soak/run.jsonl"), encoding="utf-8") as file:
            names = sorted(record["name"] for record in map(json.loads, file) if "name" in record)
        self.assertEqual(names, [f"soak-3-{i}" for i in range(4)])

    def StartSoak(self):
        """A soak in a process of its own that has at least two finished cases."""
        program = subprocess.Popen([PROGRAM, "soak", "--seed", "5", "--time-budget", "10m"], cwd=self.folder,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(program.kill)
        path = self.Path("out/soak/run.jsonl")
        deadline = time.monotonic() + 100
        while time.monotonic() < deadline:
            if os.path.exists(path):
                with open(path, "rb") as file:
                    if file.read().count(b"\n") >= 3:
                        return program, path
            time.sleep(0.05)
        self.fail("no case ended within 100 s")

    def test_kill_minus_nine_leaves_what_was_finished(self):
        program, path = self.StartSoak()
        program.kill()
        program.communicate(timeout=100)
        self.assertFalse(os.path.exists(self.Path("out/soak/verdict.json")))
        with open(path, "rb") as file:
            lines = file.read().split(b"\n")
        records = [json.loads(line) for line in lines[:-1]]  # behind the last line feed: nothing, or a cut line
        self.assertGreaterEqual(len(records), 2)

    def test_an_interrupt_ends_after_a_finished_case(self):
        program, _ = self.StartSoak()
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=100)
        self.assertEqual((program.returncode, out), (130, b""), err)
        self.CheckVerdict(self.Json("out/soak/verdict.json"))


class Help(ProgramTest):
    def test_version_and_help_stand_on_stdout(self):
        self.assertRegex(self.Good("--version"), r"\Akvjury \d+\.\d+\.\d+\n\Z")
        text = self.Good("--help")
        for code in ("0 same", "1 different", "70 blind judge"):
            self.assertIn(code, text)
        for verb in ("run", "replay", "selftest", "soak", "drive", "view", "list"):
            self.assertIn(verb, text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
