"""`kvjury diff` as a user runs it, on the recorded volumes and backups. Usage: diff_program_test.py PROGRAM SOURCE_DIR [unittest arguments]
"""

import json
import os
import shutil
import sys
import tempfile
import unittest

from program_test import Backup, ProgramTest, Run, Volume


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


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
