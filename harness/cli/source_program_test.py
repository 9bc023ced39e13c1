"""`kvjury diff`, `check` and `view --summary` as a user runs them, on the recorded volumes and backups. Usage: source_program_test.py PROGRAM SOURCE_DIR [unittest arguments]
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

from program_test import Backup, Lines, PROGRAM, ProgramTest, Run, Volume


class Dumps(ProgramTest):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def Into(self, name):
        return os.path.join(self.folder, name)

    def Written(self, *arguments):
        code, out, err = Run(*arguments)
        self.assertEqual((code, out), (0, ""), err)
        self.assertRegex(err, r"kvjury (dump|load): \d+ entries, .* into ")

    @staticmethod
    def Plain(path):
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as file:
            return file.read()

    def test_every_form_of_a_dump_is_the_real_one(self):
        forms = {"dump.json.gz": [], "dump-fast.json.gz": ["--fast"], "dump-skip-trash.json.gz": ["--skip-trash", "--keep-secret-key"],
                 "dump-subdir.json.gz": ["--subdir", "data"]}
        for recorded, options in forms.items():
            for name in ("dump.json", "dump.json.gz"):
                code, out, err = Run("dump", "kv://" + Volume("odd", "kv.tsv.gz"), self.Into(name), *options)
                self.assertEqual((code, out), (0, ""), err)
                self.assertRegex(err, r"kvjury dump: \d+ entries, 1 problems, into ")
                self.assertIn("warning: I(330) is not there", err)
                self.assertEqual(self.Plain(self.Into(name)), self.Plain(Volume("odd", recorded)))

    def test_what_is_dumped_and_loaded_is_the_same_volume(self):
        address = "kv://" + Volume("busy", "kv.tsv.gz")
        for scheme, name, options in (("dump", "m.json.zst", []), ("dump-bin", "m.bin.gz", ["--binary"])):
            self.Written("dump", address, self.Into(name), *options)
            self.Written("load", f"{scheme}://{self.Into(name)}", self.Into("keys.gz"), "--volume", "restored")
            code, _, err = Run("diff", address, f"kv://{self.Into('keys.gz')}#restored")
            self.assertEqual(code, 0, err)
            self.assertIn("SAME: 4510 entries", err)
        # A dump can be dumped in the other form.
        self.Written("dump", f"dump://{self.Into('m.json.zst')}", self.Into("again.bin"), "--binary")
        self.assertEqual(Run("diff", address, "dump-bin://" + self.Into("again.bin"))[0], 0)

    def test_what_the_real_load_put_is_what_load_writes(self):
        for scheme, dump, loaded in (("dump", "dump.json.gz", "loaded-json.tsv.gz"), ("dump-bin", "dump.bin.gz", "loaded-bin.tsv.gz")):
            self.Written("load", f"{scheme}://" + Volume("odd", dump), self.Into("keys"))
            self.assertEqual(self.Plain(self.Into("keys")).split(), self.Plain(Volume("odd", loaded)).split())

    def test_a_signal_leaves_no_file_and_its_exit_code(self):
        part = self.Into("m.json.part")  # a pipe, so that the program is in the middle of writing when the signal comes
        os.mkfifo(part)
        process = subprocess.Popen([PROGRAM, "dump", "kv://" + Volume("busy", "kv.tsv.gz"), self.Into("m.json")], stderr=subprocess.PIPE, text=True)
        with open(part, "rb") as pipe:
            self.assertEqual(len(pipe.read(1000)), 1000)
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            self.assertLess(len(pipe.read()), 1_000_000)
        self.assertIn("a signal came", process.communicate(timeout=60)[1])
        self.assertEqual(process.returncode, 130)
        self.assertEqual(os.listdir(self.folder), [])

    def test_what_fails_leaves_no_file_and_the_old_one(self):
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        with open(self.Into("old.json"), "w", encoding="utf-8") as file:
            file.write("old")
        self.Refused(6, ["nosuch"], "dump", keys, self.Into("old.json"), "--subdir", "nosuch")
        self.Refused(6, ["old.json"], "load", "dump://" + self.Into("old.json"), self.Into("keys"))
        self.Refused(6, ["/nosuch/x"], "dump", keys, "/nosuch/x")
        self.Refused(2, ["no keys"], "dump", "view://" + Volume("rich", "mount.jsonl.gz"), self.Into("x"))
        self.Refused(2, ["2 volumes", "#"], "dump", "br://" + Backup("quiet"), self.Into("x"))
        self.Refused(2, ["--fast"], "dump", keys, self.Into("x"), "--binary", "--fast")
        self.Refused(2, ["dump://FILE"], "load", keys, self.Into("x"))
        self.assertEqual(os.listdir(self.folder), ["old.json"])
        self.assertEqual(self.Plain(self.Into("old.json")), b"old")


class Diff(ProgramTest):
    def Compared(self, code_wanted, *arguments):
        code, out, err = Run("diff", *arguments, "--json")
        self.assertEqual(code, code_wanted, err)
        result = json.loads(out)
        self.assertEqual(result["exit_code"], code_wanted)
        return result

    def test_records_a_dump_and_a_recorded_mount_of_one_volume_show_the_same_both_ways(self):
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        for other in ("dump://" + Volume("rich", "dump.json.gz"), "view://" + Volume("rich", "mount.jsonl.gz"), keys):
            for pair in ((keys, other), (other, keys)):
                result = self.Compared(0, *pair)
                self.assertEqual((result["verdict"], result["differences"], result["scope"]["entries_compared"]), ("SAME", [], "396"))
        self.assertEqual(self.Compared(0, keys, keys)["scope"]["contents_compared"], "308")
        self.assertEqual(self.Compared(0, keys, "view://" + Volume("rich", "mount.jsonl.gz"))["scope"]["contents_compared"], "0")
        code, out, err = Run("diff", keys, keys)
        self.assertEqual((code, out), (0, ""))
        self.assertRegex(err, r"\ASAME: 396 entries, \d+ fields, 0 differences")

    def Changed(self, change):
        """A view file with one line changed by `change`, or left out if that gives None."""
        lines = [change(json.loads(line)) for line in self.Good("view", "--json", "kv://" + Volume("rich", "kv.tsv.gz")).splitlines()]
        path = os.path.join(tempfile.mkdtemp(), "view.jsonl")
        self.addCleanup(shutil.rmtree, os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines if line is not None))
        return "view://" + path

    def test_every_field_that_differs_is_named_with_both_values_and_a_missing_entry_is_seen_from_both_sides(self):
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        path = "docs/f010.txt"
        changes = {"mode": "0o100600", "uid": 7, "gid": 7, "nlink": 9, "size": "1", "inode": "77", "mtime_ns": "1", "content": "xxh3:0", "rdev": 5}
        for field, value in changes.items():
            other = self.Changed(lambda line: {**line, field: value} if line["path"] == path else line)
            found = [(row["path"], row["field"]) for row in self.Compared(1, keys, other)["differences"]]
            self.assertEqual(found, [(path, field)])
        without = self.Changed(lambda line: None if line["path"] == path else line)
        for pair, sides in (((keys, without), ("1", "0")), ((without, keys), ("0", "1"))):
            result = self.Compared(1, *pair)
            self.assertEqual([(row["path"], row["field"]) for row in result["differences"]], [(path, "entry")])
            self.assertEqual((result["scope"]["entries_only_left"], result["scope"]["entries_only_right"]), sides)
        code, _, err = Run("diff", keys, without)
        self.assertEqual(code, 1)
        self.assertIn("- docs/f010.txt (inode ", err)
        times = self.Changed(lambda line: {**line, "atime_ns": "1", "mtime_ns": "2", "ctime_ns": "3"})
        self.Compared(1, keys, times)
        self.Compared(0, keys, times, "--ignore-times")

    def test_volumes_of_clusters_are_paired_by_name(self):
        result = self.Compared(1, "br://" + Backup("quiet"), "br://" + Backup("busy"))
        self.assertEqual({row["volume"] for row in result["differences"]}, {"vol1", "vol2"})
        self.Compared(0, "br://" + Backup("quiet"), "br://" + Backup("quiet"))
        one = self.Compared(1, "br://" + Backup("quiet"), "br://" + Backup("quiet") + "#vol1")
        self.assertIn("volume", {row["field"] for row in one["differences"]})

    def test_what_it_refuses(self):
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        self.Refused(6, ["/nowhere: no such folder"], "diff", keys, "mount:///nowhere")
        self.Refused(2, ["#vol"], "diff", keys, "sim://x#vol")
        self.Refused(6, ["does not tell its name"], "diff", keys, "view://" + Volume("rich", "mount.jsonl.gz") + "#vol")
        self.Refused(6, ["edge-keys"], "diff", keys, "br://" + Backup("edge-keys") + "#vol")
        code, out, err = Run("diff", keys, "br://" + Backup("edge-keys"))
        self.assertEqual((code, out), (4, ""))
        self.assertIn("holds no JuiceFS volume", err)


class Check(ProgramTest):
    KEYS = "kv://" + Volume("rich", "kv.tsv.gz")

    def Report(self, code_wanted, *arguments):
        code, out, err = Run("check", "--json", *arguments)
        self.assertEqual(code, code_wanted, err)
        report = json.loads(out)
        self.assertEqual((report["schema"], report["exit_code"]), (1, code_wanted))
        self.assertEqual(report["verdict"], "SOUND" if code == 0 else "DAMAGED")
        return report

    def Damaged(self, change):
        """The address of a copy of the recorded keys: `change` takes a list of (hexkey, hexvalue) and gives another."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "keys.txt")
        with open(path, "w", encoding="ascii") as file:
            file.writelines(f"{key} {value}\n" for key, value in change([line.split("\t") for line in Lines(Volume("rich", "kv.tsv.gz"))]))
        return "kv://" + path

    def test_recorded_volumes_are_sound_and_each_check_says_what_it_counted(self):
        for address in (self.KEYS, "br://" + Backup("quiet") + "#vol1", "dump-bin://" + Volume("crashed", "dump.bin.gz")):
            excuse = ("--excuse", "binary-load") if address.startswith("dump-bin") else ()
            volume = self.Report(0, address, *excuse)["volumes"][0]
            self.assertEqual(len(volume["checks"]), 15)
            self.assertGreater(int(volume["checks"]["dentries"]), 100)
            self.assertEqual(volume["violations"], "0")
        code, out, err = Run("check", self.KEYS)
        self.assertEqual((code, out), (0, ""))
        self.assertRegex(err, r"  dentries +394 counted +0 violations +0 hazards\n")
        self.assertRegex(err, r"\nSOUND: 1 volumes, \d+ subjects, 0 violations, 0 hazards\n\Z")

    def test_a_finding_has_path_inode_and_raw_key(self):
        links = "41" + (1).to_bytes(8, "little").hex()
        name = next(key for key, _ in (line.split("\t") for line in Lines(Volume("rich", "kv.tsv.gz"))) if key.startswith(links + "44"))
        report = self.Report(1, self.Damaged(lambda pairs: [[key, value[:2] + "00000000000fffff" if key == name else value] for key, value in pairs]))
        found = [finding for finding in report["volumes"][0]["findings"] if finding["check"] == "dentries"]
        self.assertEqual([(finding["severity"], finding["key"], finding["inode"], finding["path"]) for finding in found], [("violation", name, "1", ".")])
        self.assertIn("has no record", found[0]["text"])

    def test_at_rest_and_what_excuses_it(self):
        [finding] = self.Report(1, self.KEYS, "--at-rest")["volumes"][0]["findings"]
        self.assertEqual((finding["check"], finding["path"]), ("directory-statistics", "docs-clone"))
        excused = self.Report(0, self.KEYS, "--at-rest", "--excuse", "clones")["volumes"][0]
        self.assertEqual((excused["violations"], excused["hazards"], len(excused["checks"])), ("0", "1", 22))

    def test_objects_are_looked_for_in_the_bucket(self):
        with tempfile.TemporaryDirectory() as bucket:
            volume = self.Report(1, self.KEYS, "--bucket", bucket)["volumes"][0]
            objects = volume["objects"]
            self.assertGreater(len(objects["lost"]), 100)
            self.assertEqual(len(objects["lost"]), int(objects["blocks_checked"]))
            setting = next(value for key, value in (line.split("\t") for line in Lines(Volume("rich", "kv.tsv.gz"))) if bytes.fromhex(key) == b"setting")
            chunks = os.path.join(bucket, json.loads(bytes.fromhex(setting))["Name"], "chunks")
            for lost in objects["lost"]:
                path = os.path.join(chunks, lost["object"])
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as file:
                    file.truncate(int(lost["bytes"]))
            self.assertEqual(self.Report(0, self.KEYS, "--bucket", bucket)["volumes"][0]["objects"]["lost"], [])

    def test_what_it_refuses(self):
        self.Refused(2, ["--every-commit"], "check")
        self.Refused(2, ["excludes"], "check", self.KEYS, "--every-commit", "/tmp")
        self.Refused(2, ["--excuse"], "check", self.KEYS, "--excuse", "bad-luck")
        self.Refused(2, ["no records"], "check", "view://" + Volume("rich", "mount.jsonl.gz"))
        self.Refused(6, ["holds no cluster"], "check", "--every-commit", tempfile.gettempdir() + "/no-such-folder-of-kvjury")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "keys.txt")
            with open(path, "w", encoding="ascii") as file:
                file.write("6b 76\n")
            code, out, err = Run("check", "kv://" + path)
            self.assertEqual((code, out), (4, ""))
            self.assertIn("holds no JuiceFS volume", err)


class Summary(ProgramTest):
    def Summary(self, address, *arguments):
        return json.loads(self.Good("view", "--summary", "--json", address, *arguments))

    def test_counts_are_those_of_the_recorded_mount(self):
        entries = {entry["path"]: entry for entry in map(json.loads, Lines(Volume("rich", "mount.jsonl.gz")))}
        outside = {path: entry for path, entry in entries.items() if path != ".trash" and not path.startswith(".trash/")}
        kinds = lambda kind: [entry for entry in outside.values() if int(entry["mode"], 8) & 0o170000 == kind]
        sizes = {entry["inode"]: int(entry["size"]) for entry in kinds(0o100000)}
        for scheme, file in (("kv", "kv.tsv.gz"), ("dump", "dump.json.gz"), ("view", "mount.jsonl.gz")):
            volume = self.Summary(f"{scheme}://" + Volume("rich", file))["volumes"][0]
            self.assertEqual((volume["files"], volume["bytes"]), (str(len(sizes)), str(sum(sizes.values()))))
            self.assertEqual((volume["directories"], volume["symlinks"]), (str(len(kinds(0o040000))), str(len(kinds(0o120000)))))
            self.assertEqual(volume["entries_in_trash"], str(sum(path.startswith(".trash/") for path in entries)))

    def test_a_backup_tells_of_its_cut_its_size_and_how_long_it_takes(self):
        summary = self.Summary("br://" + Backup("quiet"), "--rate", "1KiB")
        files = [os.path.join(root, name) for root, _, names in os.walk(Backup("quiet")) for name in names if name.endswith(".sst")]
        size = sum(map(os.path.getsize, files))
        pairs = [line.split() for line in self.Good("view", "--keys", "br://" + Backup("quiet")).splitlines()]
        records = sum(len("".join(pair)) // 2 for pair in pairs)
        self.assertEqual(summary["backup"]["files"], str(len(files)))
        self.assertEqual(summary["backup"]["bytes"], str(size))
        self.assertEqual((summary["keys"], summary["record_bytes"]), (str(len(pairs)), str(records)))
        self.assertAlmostEqual(summary["backup"]["ratio"], size / records)
        self.assertEqual(summary["transfer"]["seconds"], str(-(-size // 1024)))
        self.assertEqual(summary["cut"]["time"][:10], "2026-11-22")
        self.assertEqual({volume["name"] for volume in summary["volumes"]}, {"vol1", "vol2"})
        words = self.Good("view", "--summary", "br://" + Backup("quiet"))
        self.assertRegex(words, r"cut: \d+ \(2026-11-22T[\d:]+Z\), .* old\n")
        self.assertRegex(words, r"backup: \d+ files, [\d.]+ KiB, [\d.]+ of its keys and values\n")

    def test_a_directory_is_counted_entry_by_entry(self):
        entries = [json.loads(line) for line in Lines(Volume("rich", "mount.jsonl.gz"))]
        below = [entry for entry in entries if entry["path"] != ".trash" and not entry["path"].startswith(".trash/")]
        is_a = lambda entry, kind: int(entry["mode"], 8) & 0o170000 == kind
        tree = self.Summary("kv://" + Volume("rich", "kv.tsv.gz"))["volumes"][0]["tree"]
        self.assertEqual(tree["directories"], str(sum(is_a(entry, 0o040000) for entry in below)))
        self.assertEqual(tree["files"], str(sum(not is_a(entry, 0o040000) for entry in below)))
        self.assertEqual(tree["length"], str(sum(int(entry["size"]) for entry in below if is_a(entry, 0o100000))))
        self.Refused(6, ["no-such"], "view", "kv://" + Volume("rich", "kv.tsv.gz"), "--summary", "--below", "/no-such")
        self.Refused(2, ["begins with"], "view", "kv://" + Volume("rich", "kv.tsv.gz"), "--summary", "--below", "plain")

    def test_wrong_arguments(self):
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        self.Refused(2, ["--summary"], "view", keys, "--rate", "1MiB")
        self.Refused(2, ["--keys"], "view", keys, "--keys", "--summary")
        self.Refused(2, ["--rate"], "view", keys, "--summary", "--rate", "fast")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
