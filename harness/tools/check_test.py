"""`kvjury check` on volumes that the real juicefs makes: the invariants at every commit, under crashes of clients and stores, and the numbers of
juicefs fsck, info and summary beside ours.

Usage: check_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without juicefs, FUSE or root.
"""

import csv
import fcntl
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import populate
from real_tools import Differences, Folder, Format, JuiceFs, Mount, PROGRAM, Require, Run, Served, TOOLS, View, Walk


def Check(*arguments, ok=(0,)):
    """`kvjury check --json`: the object."""
    done = subprocess.run([PROGRAM, "check", "--json", *arguments], capture_output=True, text=True, timeout=900, check=False)
    if done.returncode not in ok:
        raise AssertionError(f"kvjury check {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}\n{done.stdout[-4000:]}")
    return json.loads(done.stdout)


def Findings(volume, severity="violation"):
    return [(f["check"], f["record"], f["text"], f.get("path")) for f in volume["findings"] if f["severity"] == severity]


class EveryCommit(unittest.TestCase):
    """Three mounts write; one is killed, its session is cleaned up by the others; stores die; regions split. No commit breaks an invariant."""

    SECONDS = int(os.environ.get("KVJURY_SOAK_S", "25"))

    def Writer(self, mount, number):
        return subprocess.Popen([PROGRAM, "write", mount, "--writer", str(number), "--seed", "5"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def Disturb(self, cluster, stop, effects):
        draw = random.Random(1)
        for step in range(10**6):
            if stop.wait(0.4):
                return
            key = (b"vol1\xfdA" + draw.randrange(1, 2000).to_bytes(8, "little") + b"I").hex()
            words = ["kill-store", str(draw.randrange(1, 4)), "--for", "1500ms"] if step % 8 == 7 else \
                [("split", "transfer-leader")[step % 2], key, "--hex"]
            effects[words[0]] = effects.get(words[0], 0) + (cluster.Poke(*words, ok=(0, 3)) == 0)

    def RemoveOpen(self, mount, name):
        """Also out of the trash: then it lives as long as it is open."""
        os.unlink(os.path.join(mount, name))
        trash = os.path.join(mount, ".trash")
        for path in [os.path.join(trash, hour, entry) for hour in os.listdir(trash) for entry in os.listdir(os.path.join(trash, hour)) if entry.endswith("-" + name)]:
            os.unlink(path)

    def OddOperations(self, mount):
        """What the writers do not do: open files that are gone, locks, clones, also of a symbolic link with two names, whole trees away."""
        kept = open(os.path.join(mount, "kept-open"), "wb")
        kept.write(b"x" * 100_000)
        kept.flush()
        fcntl.flock(kept, fcntl.LOCK_EX)
        fcntl.lockf(kept, fcntl.LOCK_EX, 10, 5)
        self.RemoveOpen(mount, "kept-open")
        os.symlink("first", os.path.join(mount, "links", "near-too"))
        os.link(os.path.join(mount, "links", "near-too"), os.path.join(mount, "links", "near-again"), follow_symlinks=False)
        JuiceFs("clone", os.path.join(mount, "links"), os.path.join(mount, "links-cloned"))
        JuiceFs("clone", os.path.join(mount, "slices"), os.path.join(mount, "slices-cloned"))
        JuiceFs("rmr", os.path.join(mount, "deep"))
        return kept

    def Kill(self, mount):
        """kill -9 of the processes that serve this mount."""
        found = subprocess.run(["pgrep", "-f", f"mount .* {mount} "], capture_output=True, text=True, check=False).stdout.split()
        for pid in found:
            os.kill(int(pid), signal.SIGKILL)
        return len(found)

    def test_every_commit_of_mounts_that_crash_holds_the_invariants(self):
        self.CrashAndCheck(trash_days=1)

    def test_it_does_without_a_trash_too_where_files_wait_for_deletion(self):
        self.CrashAndCheck(trash_days=0)

    def CrashAndCheck(self, trash_days):
        folder = self.enterContext(Folder())
        data, effects, stop = os.path.join(folder, "data"), {}, threading.Event()
        with Served("--stores", "3", "--regions", "4", "--data", data) as cluster:
            meta = cluster.Volume("vol1")
            Format(meta, os.path.join(folder, "bucket"), "--trash-days", str(trash_days))
            with Mount(meta, "--heartbeat", "2s") as first, Mount(meta, "--heartbeat", "2s") as second, Mount(meta, "--heartbeat", "2s") as third:
                populate.Rich(first)
                kept, held = self.OddOperations(first), open(os.path.join(third, "held"), "wb")
                held.write(b"of the client that dies")
                held.flush()
                fcntl.flock(held, fcntl.LOCK_EX)
                self.RemoveOpen(third, "held")
                writers = [self.Writer(mount, i + 1) for i, mount in enumerate((first, second, third))]
                disturber = threading.Thread(target=self.Disturb, args=(cluster, stop, effects))
                disturber.start()
                try:
                    time.sleep(self.SECONDS / 3)
                    self.assertGreater(self.Kill(third), 0)
                    time.sleep(self.SECONDS * 2 / 3)
                finally:
                    stop.set()
                    disturber.join()
                    for writer in writers:
                        writer.terminate()
                        writer.wait()
                time.sleep(3)
                kept.close()
                try:
                    held.close()
                except OSError:
                    pass  # its client is dead
            self.assertTrue(all(count > 0 for count in effects.values()) and len(effects) == 3, effects)
            at_end = Check(meta)["volumes"][0]
        begun = time.monotonic()
        report = Check("--every-commit", data)
        took_s = time.monotonic() - begun
        [volume] = report["volumes"]
        self.assertEqual(Findings(volume), [], f"{volume['commits']} commits")
        self.assertEqual((report["verdict"], volume["name"]), ("SOUND", "vol1"))
        self.assertGreater(int(volume["commits"]), 300)
        # Every check had something to look at, at some commit.
        self.assertEqual({name for name, counted in volume["checks"].items() if counted == "0"}, set() if trash_days > 0 else {"trash"})
        # What JuiceFS 1.4 makes of a clone of a symbolic link with two names.
        self.assertIn("a clone of a hard link that is no file keeps the number", " ".join(f[2] for f in Findings(volume, "hazard")))
        self.assertIn("detached", {f[0] for f in Findings(volume, "hazard")})
        # The dead client's session was cleaned up by the others.
        self.assertEqual((at_end["checks"]["sustained-sessions"], at_end["checks"]["lock-sessions"]), ("0", "0"))
        print(f"  {volume['commits']} commits of at most {volume['pairs']} pairs in {took_s:.1f} s, {volume['hazards']} hazards; {effects}", file=sys.stderr)


class Drills(unittest.TestCase):
    @unittest.skipUnless("br" in TOOLS, "no br (ci/tools gets it)")
    def test_every_commit_of_a_drills_source_is_made_again_from_its_recording(self):
        folder = self.enterContext(Folder())
        Run(PROGRAM, "drive", "br-txn", "--out", folder, timeout_s=600)
        [drill] = [root for root, _, names in os.walk(folder) if "recording-source.pb.zst" in names]
        report = Check("--every-commit", drill)
        [volume] = report["volumes"]
        self.assertEqual(Findings(volume), [])
        self.assertGreater(int(volume["commits"]), 50)
        # The same recording, the same history.
        self.assertEqual(Check("--every-commit", drill), report)
        print(f"  {volume['commits']} commits of a drill", file=sys.stderr)


class Numbers(unittest.TestCase):
    """The numbers that juicefs fsck, info and summary print are those that records and a listing give."""

    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.bucket = os.path.join(self.folder, "bucket")
        self.cluster = self.enterContext(Served("--stores", "1"))
        self.meta = self.cluster.Volume("vol1")
        Format(self.meta, self.bucket)

    def Info(self, path):
        said = JuiceFs("info", "-r", "--strict", path).stdout
        number = lambda pattern: re.search(pattern, said).group(1)
        return {"files": number(r"files: (\d+)"), "directories": number(r"dirs: (\d+)"), "length": number(r"length: (?:.*\()?(\d+) Bytes"),
                "size": number(r"size: (?:.*\()?(\d+) Bytes")}

    def Summary(self, path):
        """PATH, SIZE, DIRS, FILES of the folder itself."""
        said = JuiceFs("summary", "--strict", "--depth", "0", "--csv", path).stdout
        row = list(csv.reader(io.StringIO(said[said.index("PATH,SIZE"):])))[1]
        return {"size": row[1], "directories": row[2], "files": row[3]}

    def Ours(self, below):
        done = subprocess.run([PROGRAM, "view", "--summary", "--json", "--below", below, self.meta], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["volumes"][0]["tree"]

    def Fsck(self):
        said = JuiceFs("fsck", self.meta, ok=()).stdout
        blocks, block_bytes = re.search(r"Found (\d+) blocks \((\d+) bytes\)", said).groups()
        slices, slice_bytes = re.search(r"Used by (\d+) slices \((\d+) bytes\)", said).groups()
        lost = re.search(r"(\d+) objects are lost \((\d+) bytes\), (\d+) broken files", said)
        files = set(re.findall(r"^ +(\d+): (.*?)(?: \[fsck@.*\])?$", said, re.MULTILINE))
        return {"blocks_found": blocks, "block_bytes_found": block_bytes, "slices_used": slices, "slice_bytes_used": slice_bytes}, \
            lost.groups() if lost else ("0", "0", "0"), files

    def Compare(self, code):
        volume = Check(self.meta, "--bucket", self.bucket, ok=(code,))["volumes"][0]
        self.assertEqual(Findings(volume), [])
        objects = volume["objects"]
        numbers, lost, files = self.Fsck()
        self.assertEqual({name: objects[name] for name in numbers}, numbers)
        self.assertEqual((str(len(objects["lost"])), objects["bytes_lost"], objects["broken_files"]), lost)
        self.assertEqual({(each["inode"], each["path"]) for each in objects["lost"]}, files)
        self.assertGreater(int(numbers["slices_used"]), 100)
        return objects

    def test_what_fsck_info_and_summary_print_is_what_check_and_view_compute(self):
        with Mount(self.meta) as mount:
            populate.Rich(mount)
            populate.Busy(mount, 100)
            JuiceFs("clone", os.path.join(mount, "plain"), os.path.join(mount, "plain-cloned"))
            subprocess.run(["sync", "-f", mount], check=False)
            time.sleep(2)
            for below in ("/", "/plain", "/slices", "/links", "/special", "/deep", "/attributes/inherits"):
                ours = self.Ours(below)
                self.assertEqual(self.Info(mount + below), ours, below)
                self.assertEqual(self.Summary(mount + below), {name: ours[name] for name in ("size", "directories", "files")}, below)
            self.assertGreater(int(self.Ours("/")["files"]), 200)
        objects = self.Compare(0)
        self.assertEqual((objects["lost"], objects["future"], objects["wrong_sizes"]), ([], [], []))
        # At rest all that is flushed late has arrived; of the cloned folder the statistics are those of its source, which were right.
        report = Check(self.meta, "--at-rest", "--excuse", "clones")
        self.assertEqual(Findings(report["volumes"][0]), [])
        self.assertEqual(len(report["volumes"][0]["checks"]), 22)
        # A block of each of three files is gone, and one is cut.
        chunks = sorted(os.path.join(root, name) for root, _, names in os.walk(os.path.join(self.bucket, "vol1/chunks")) for name in names)
        for chunk in random.Random(3).sample(chunks[:-1], 3):
            os.unlink(chunk)
        os.truncate(chunks[-1], 1)
        objects = self.Compare(1)
        self.assertGreaterEqual(len(objects["lost"]), 3)
        self.assertEqual([wrong["bytes"] for wrong in objects["wrong_sizes"]], ["1"])


# A bucket in a folder has no tiers, which is told each time.
COMPLAINT = "<(WARNING|ERROR|FATAL)>: (?!Set storage tier: not supported)"


class OurVolume(unittest.TestCase):
    """A volume of many files that three of our sessions made at once: the real juicefs has nothing to complain about."""

    FILES = int(os.environ.get("KVJURY_FILES", "4000"))

    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.bucket = os.path.join(self.folder, "bucket")
        self.cluster = self.enterContext(Served("--stores", "3", "--regions", "6"))
        self.meta = self.cluster.Volume("vol1")
        Format(self.meta, self.bucket)

    def Write(self, *arguments):
        Run(PROGRAM, "write", self.meta, "--bucket", self.bucket, "--sessions", "3", *arguments, timeout_s=900)

    def Dumped(self, name):
        path = os.path.join(self.folder, name)
        said = JuiceFs("dump", self.meta, path, "--fast", "--keep-secret-key", timeout_s=300).stdout
        self.assertNotRegex(said, COMPLAINT)
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return json.load(file)

    def test_the_real_juicefs_mounts_checks_dumps_and_cleans_it_without_a_complaint(self):
        begun = time.monotonic()
        self.Write("--files", str(self.FILES), "--operations", "1500", "--seed", "11")
        took_s = time.monotonic() - begun
        report = Check(self.meta, "--bucket", self.bucket)["volumes"][0]
        self.assertEqual(Findings(report), [])
        self.assertEqual((report["objects"]["lost"], report["objects"]["wrong_sizes"]), ([], []))
        self.assertGreater(int(report["objects"]["slices_used"]), self.FILES / 2)
        # fsck tells of nothing; gc finds every slice in use, and then nothing more to delete.
        said = JuiceFs("fsck", self.meta, timeout_s=300).stdout
        self.assertNotRegex(said, COMPLAINT)
        view = View(self.meta)
        self.assertGreater(len(view), self.FILES)
        tree = self.Dumped("before.json")
        self.assertGreater(int(tree["Counters"]["nextInodes"]), self.FILES)
        said = JuiceFs("gc", self.meta, "--delete", timeout_s=300).stdout
        self.assertNotRegex(said, COMPLAINT)
        self.assertEqual(Findings(Check(self.meta, "--bucket", self.bucket)["volumes"][0]), [])
        JuiceFs("fsck", self.meta, timeout_s=300)
        with Mount(self.meta) as mount:
            walked = Walk(mount)
            broken = [path for path, entry in walked.items() if "error" in entry]
            self.assertEqual(broken, [])
            # The kernel shows user.* of files and folders only; our sessions have no kernel in front that would refuse them elsewhere.
            shown = View(self.meta)
            for entry in shown.values():
                if stat_letter(entry["mode"]) not in "-d":
                    entry.pop("xattrs", None)
            self.assertEqual(Differences(walked, shown, ignore=("sha256", "atime_ns")), [])
            with open(os.path.join(mount, "by-the-real-one"), "w", encoding="utf-8") as file:
                file.write("written\n")
        self.assertEqual(Findings(Check(self.meta, "--bucket", self.bucket)["volumes"][0]), [])
        kinds = {"".join(sorted({stat_letter(entry["mode"]) for entry in view.values()}))}
        print(f"  {len(view)} entries in {took_s:.1f} s, kinds {kinds}; checks with nothing to look at: "
              f"{sorted(name for name, counted in report['checks'].items() if counted == '0')}", file=sys.stderr)


def stat_letter(mode):
    """The first letter of ls -l."""
    return {0o04: "d", 0o10: "-", 0o12: "l", 0o01: "p", 0o02: "c", 0o06: "b", 0o14: "s"}[int(mode, 8) >> 12]


if __name__ == "__main__":
    Require("juicefs", mounts=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
