"""A session of ours, the real juicefs mount and the model of POSIX: the same operations, the same answers, the same volume.

Usage: posix_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without juicefs, FUSE or root. KVJURY_TWIN_SEEDS=30: so many
sequences of 200 operations (6 otherwise). KVJURY_UPDATE_GOLDEN=1 records scenarios/posix/errno_table.txt anew.
"""

import collections
import json
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_tools import Differences, Folder, Format, Mount, PROGRAM, ROOT, Require, Served, Walk

TWIN = os.path.join(os.path.dirname(PROGRAM), "kvjury_mount_twin")
SEEDS = int(os.environ.get("KVJURY_TWIN_SEEDS", "6"))
OPERATIONS = 200
POSIX = os.path.join(ROOT, "scenarios/posix")
ATIME_MODES = ("noatime", "relatime", "strictatime")
UNCACHED = ("--attr-cache", "0", "--entry-cache", "0", "--dir-entry-cache", "0", "--open-cache", "0", "--enable-ioctl")
TIMES = ("atime_ns", "mtime_ns", "ctime_ns")


def Known():
    """Rows of (witness, kind, what, reason); the form is told in harness/judge/errno_table.h."""
    with open(os.path.join(POSIX, "known_differences.txt"), encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    assert all(len(row) == 4 for row in rows), rows
    return rows


def Mapped(entries, inodes):
    """The entries of a real mount with the inode numbers of ours, in names of the trash, too; hours of the trash that hold nothing left out."""
    def Name(part):
        found = re.fullmatch(r"(\d+)-(\d+)-(.*)", part, re.DOTALL)
        return f"{inodes.get(found[1], found[1])}-{inodes.get(found[2], found[2])}-{found[3]}" if found else part

    mapped = {}
    for path, entry in entries.items():
        parts = path.split("/")
        if parts[0] == ".trash" and len(parts) > 2:
            # What was too long is cut, and the numbers may differ in length.
            path = "/".join([*parts[:2], Name(parts[2])[:255], *parts[3:]])
        entry = {key: value for key, value in entry.items() if key not in TIMES}
        entry["inode"] = inodes.get(entry["inode"], entry["inode"])
        mapped[path] = entry
    return mapped


class Twins(unittest.TestCase):
    """Done when 1 of the whole of JuiceFS: drawn sequences on two served clusters."""

    def One(self, seed, excused, answers, in_front, not_ours):
        acl, atime = seed % 3 != 0, ATIME_MODES[seed % 4 % 3]
        with Folder() as folder, Served() as ours, Served() as theirs:
            buckets = [os.path.join(folder, "ours"), os.path.join(folder, "theirs")]
            for cluster, bucket in zip((ours, theirs), buckets):
                os.mkdir(bucket)
                Format(cluster.Volume("vol1"), bucket, *(() if acl else ("--enable-acl=false",)))
            with Mount(theirs.Volume("vol1"), *UNCACHED, "--atime-mode", atime) as mount:
                os.chmod(os.path.dirname(mount), 0o755)  # for callers who are not root
                done = subprocess.run([TWIN, "draw", ours.pd, buckets[0], mount, str(seed), str(OPERATIONS), "acl" if acl else "no-acl", atime], capture_output=True, text=True, timeout=300, check=False)
                self.assertEqual(done.returncode, 0, done.stderr[-2000:] + done.stdout[-2000:])
                *differences, counts = [json.loads(line) for line in done.stdout.splitlines()]
                real = Walk(mount)
            with Mount(ours.Volume("vol1"), *UNCACHED, "--read-only") as mount:
                seen = Walk(mount)
        self.assertEqual(counts["stopped"], "ok")
        self.assertGreaterEqual(counts["operations"], OPERATIONS)
        self.assertGreater(counts["statfs"], 0)
        answers.update(counts["answers"])
        in_front.update(counts["in_front"])
        not_ours.update(counts["not_ours"])
        inodes = {str(one): str(other) for one, other in counts["inodes"]}
        for path, field, left, right in Differences(Mapped(real, inodes), Mapped(seen, {}), ignore=()):
            differences.append({"seed": seed, "witness": "session", "kind": "walk", "what": f"{path}: {field}: {right} against {left}", "operation": "", "against": "mount"})
        unknown = []
        for one in differences:
            reason = next((row[3] for row in self.known if row[0] == one["witness"] and row[1] in ("*", one["kind"]) and row[2] in one["what"]), None)
            if reason is None:
                unknown.append("\n    ".join([f"seed {seed}: {one['witness']} against {one['against']}: {one['what']}: {one['operation']}"[:400], *one.get("before", [])]))
            else:
                excused[reason] += 1
        return unknown, len(real), sum(1 for entry in real.values() if "sha256" in entry)

    def test_the_same_answers_and_the_same_walk(self):
        self.known = Known()
        excused, answers, in_front, not_ours = collections.Counter(), collections.Counter(), collections.Counter(), collections.Counter()
        unknown, entries, contents = [], 0, 0
        for seed in range(1, SEEDS + 1):
            more, walked, read = self.One(seed, excused, answers, in_front, not_ours)
            unknown += more
            entries, contents = entries + walked, contents + read
        print(f"{SEEDS} sequences of {OPERATIONS} operations; answers of the mount: {dict(answers.most_common())}")
        print(f"refused in front of our session: {dict(in_front.most_common())}")
        print(f"{entries} entries walked on both mounts, {contents} files read")
        for reason, count in excused.most_common():
            print(f"{count} known differences: {reason}")
        self.assertFalse(unknown, f"{len(unknown)} differences:\n" + "\n".join(unknown[:20]))
        self.assertFalse(not_ours, "operations that a session of ours does not carry out")
        self.assertGreater(entries, 15 * SEEDS)
        self.assertGreater(contents, 5 * SEEDS)
        for name in ("0", "ENOENT", "EEXIST", "ENOTDIR", "ENOTEMPTY", "EINVAL", "ENODATA", "ENAMETOOLONG", "EPERM", "EACCES", *(("EAGAIN",) if SEEDS >= 30 else ())):
            self.assertGreater(answers[name], 0, name)


class OddCalls(unittest.TestCase):
    def test_the_recorded_answers_are_those_of_the_mount(self):
        path = os.path.join(POSIX, "errno_table.txt")
        with Folder() as folder, Served() as cluster:
            meta = cluster.Volume("vol1")
            Format(meta, os.path.join(folder, "bucket"), "--capacity", "1")
            with Mount(meta, *UNCACHED) as mount:
                os.chmod(os.path.dirname(mount), 0o755)  # for callers who are not root
                done = subprocess.run([TWIN, "table", path, mount], capture_output=True, text=True, timeout=300, check=False)
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])
        if os.environ.get("KVJURY_UPDATE_GOLDEN"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(done.stdout)
        with open(path, encoding="utf-8") as file:
            recorded = file.read()
        self.assertGreaterEqual(recorded.count(" => "), 30)
        self.assertEqual(done.stdout.splitlines(), recorded.splitlines())


if __name__ == "__main__":
    Require("juicefs", mounts=True)
    del sys.argv[1:3]
    unittest.main(verbosity=2)
