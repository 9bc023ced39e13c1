"""The real juicefs on a served cluster: everything that it can do, judged by the kernel and by itself.

Usage: juicefs_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without juicefs, FUSE or root.
"""

import fcntl
import itertools
import json
import multiprocessing
import os
import random
import shutil
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import populate
from real_tools import Differences, Folder, Format, JuiceFs, Mount, PROGRAM, Require, Run, Served, SetAcl, TOOLS, View, Walk


class OneVolume(unittest.TestCase):
    """A served cluster of three stores and a formatted volume, for each test anew."""

    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.cluster = self.enterContext(Served("--stores", "3", "--regions", "4"))
        self.meta = self.cluster.Volume("vol1")
        Format(self.meta, os.path.join(self.folder, "bucket"))

    def Same(self, left, right, entries_at_least, ignore=("sha256",)):
        self.assertGreaterEqual(len(left), entries_at_least)
        self.assertEqual(Differences(left, right, ignore)[:10], [])


class Mounts(OneVolume):
    def test_two_mounts_at_once_show_the_same_and_our_view_equals_the_kernel(self):
        with Mount(self.meta) as first, Mount(self.meta) as second:
            populate.Rich(os.path.join(first))
            populate.Busy(os.path.join(second), 400)
            subprocess.run(["sync", "-f", first], check=False)
            time.sleep(2)  # writers hand their last slices over
            seen = Walk(first)
            self.Same(seen, Walk(second), 560, ignore=())
            contents = ("--contents", "--contents-max", "64MiB")
            self.assertRegex(Run(PROGRAM, "diff", f"mount://{first}", f"mount://{second}", *contents).stdout,
                             r"SAME: \d+ entries, \d+ fields, 0 differences .*; contents of [1-9]\d* of \d+ files compared")
            self.assertIn("SAME: ", Run(PROGRAM, "diff", self.meta, f"mount://{second}").stdout)
            kept = os.path.join(self.folder, "kept.jsonl")
            with open(kept, "wb") as file:
                subprocess.run([PROGRAM, "view", "--json", "--contents", f"mount://{first}"], stdout=file, check=True)
            os.truncate(os.path.join(first, "slices/patched"), 1)
            time.sleep(2)
            self.assertRegex(Run(PROGRAM, "diff", f"view://{kept}", f"mount://{second}", *contents, ok=(1,)).stdout, r"~ slices/patched: sha256: ")

    def test_locks_and_open_deleted_files_are_seen_from_the_other_mount(self):
        with Mount(self.meta) as first, Mount(self.meta) as second:
            with open(os.path.join(first, "locked"), "wb") as file:
                file.write(b"content")
            time.sleep(1.2)  # the other mount's attribute cache
            with open(os.path.join(first, "locked"), "r+b") as mine, open(os.path.join(second, "locked"), "r+b") as other:
                fcntl.flock(mine, fcntl.LOCK_EX)
                with self.assertRaises(BlockingIOError):
                    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(mine, fcntl.LOCK_UN)
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fcntl.flock(other, fcntl.LOCK_UN)
                fcntl.lockf(mine, fcntl.LOCK_EX, 10, 5)
                with self.assertRaises(BlockingIOError):
                    fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)
                fcntl.lockf(other, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 15)
                os.unlink(os.path.join(first, "locked"))
                mine.seek(0)
                self.assertEqual(mine.read(), b"content")

    def test_a_killed_client_leaves_a_volume_that_mounts_and_shows_what_was_synced(self):
        with Mount(self.meta) as first:
            populate.Busy(first, 200)
            subprocess.run(["sync", "-f", first], check=False)
            time.sleep(2)
            before = Walk(first)
            for pid in subprocess.run(["pgrep", "-f", f"mount {self.meta} {first}"], capture_output=True, text=True, check=False).stdout.split():
                subprocess.run(["kill", "-9", pid], check=False)
        with Mount(self.meta) as again:
            self.Same(before, Walk(again), 200, ignore=("atime_ns",))

    def test_backup_meta_writes_a_dump_into_the_bucket(self):
        with Mount(self.meta) as first:
            populate.Busy(first, 20)
        with Mount(self.meta, "--backup-meta", "5m") as first:
            deadline = time.monotonic() + 60
            found = []
            while not found and time.monotonic() < deadline:
                time.sleep(1)
                found = os.listdir(os.path.join(self.folder, "bucket/vol1/meta")) if os.path.isdir(os.path.join(self.folder, "bucket/vol1/meta")) else []
            self.assertRegex(" ".join(found), r"dump-.*\.json\.gz")


class Frozen(OneVolume):
    """`serve --at`: the source as it was, mounted beside the live one, which goes on, forgets its past and loses files."""

    SECONDS = int(os.environ.get("KVJURY_SOAK_S", "20"))

    def State(self):
        return json.loads(Run(PROGRAM, "poke", "--ready-file", self.cluster.ready_file, "state").stdout)["pd"]

    @staticmethod
    def Rewrite(live, stop, counts):
        """Files come, change, move and go, old ones too."""
        draw = random.Random(7)
        os.mkdir(os.path.join(live, "later"))
        old = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(live, "tree0")) for name in names]
        while not stop.is_set():
            path = os.path.join(live, "later", str(draw.randrange(50)))
            with open(path, "ab") as file:
                file.write(draw.randbytes(draw.choice([1, 5_000])))
            counts["written"] += 1
            if draw.randrange(3) == 0:
                os.rename(path, path + ".moved")
            if old and draw.randrange(5) == 0:
                os.unlink(old.pop())
                counts["deleted"] += 1
            time.sleep(0.01)

    def Look(self, mount, meta):
        """What programs see of a mount. rsync and find walk it all; a dump reads the records behind it."""
        own = (".accesslog", ".config", ".stats", ".control", ".trash")  # juicefs's files about the mount, and what it makes up
        excluded = [f"--exclude=/{name}" for name in own]
        pruned = [word for name in own for word in ("-path", f"{mount}/{name}", "-prune", "-o")]
        dump = os.path.join(self.folder, "dump")
        JuiceFs("dump", meta, dump, "--keep-secret-key")
        with open(dump, encoding="utf-8") as file:
            dumped = json.load(file)
        return {"ls": Run("ls", "-lR", "--time-style=full-iso", mount).stdout,
                "find": sorted(Run("find", mount, *pruned, "-printf", "%p %y %s %m %n %T@\\0").stdout.split("\0")),
                "rsync": sorted(Run("rsync", "-n", "-a", "-i", *excluded, mount + "/", os.path.join(self.folder, "empty/")).stdout.splitlines()),
                "dump": dumped["FSTree"]}

    def test_it_does_not_change_while_the_live_cluster_is_written_collected_and_compacted(self):
        os.mkdir(os.path.join(self.folder, "empty"))
        stop, counts = threading.Event(), {"written": 0, "deleted": 0, "collected": 0, "looks": 0}
        with Mount(self.meta) as live:
            populate.Rich(live)
            populate.Busy(live, 300)
            subprocess.run(["sync", "-f", live], check=False)
            time.sleep(2)
            at = self.State()["last_timestamp"]
            kept = os.path.join(self.folder, "kept.jsonl")
            with open(kept, "wb") as file:
                subprocess.run([PROGRAM, "view", "--json", f"{self.meta}@{at}"], stdout=file, check=True)
            writer = threading.Thread(target=self.Rewrite, args=(live, stop, counts))
            with Served("--at", at, "--volume", self.meta, "--stores", "2", "--regions", "5") as frozen:
                meta = frozen.Volume("vol1")
                with Mount(meta, "--read-only") as mount:
                    self.assertIn("SAME: ", Run(PROGRAM, "diff", f"{self.meta}@{at}", f"mount://{mount}").stdout)
                    before, looked = Walk(mount), self.Look(mount, meta)
                    self.assertGreater(len(looked["rsync"]), 400)
                    writer.start()
                    try:
                        deadline = time.monotonic() + self.SECONDS
                        while time.monotonic() < deadline or counts["looks"] < 2:
                            counts["collected"] += Run(PROGRAM, "poke", "--ready-file", self.cluster.ready_file, "gc-now", ok=(0, 3)).returncode == 0
                            self.assertEqual(Differences(before, Walk(mount), ignore=("atime_ns",))[:10], [])
                            now = self.Look(mount, meta)
                            for name, seen in looked.items():
                                self.assertEqual(seen, now[name], name)
                            counts["looks"] += 1
                    finally:
                        stop.set()
                        writer.join()
                    self.assertGreater(int(self.State()["gc_safe_point"]), int(at))
                    self.assertIn("GC safe point", Run(PROGRAM, "view", f"{self.meta}@{at}", ok=(3,)).stdout)
                    same = Run(PROGRAM, "diff", f"view://{kept}", f"mount://{mount}").stdout
                    self.assertIn("SAME: ", same)
                    self.assertIn("DIFFERENT: ", Run(PROGRAM, "diff", self.meta, f"mount://{mount}", ok=(1,)).stdout)
                    self.assertIn("SAME: ", Run(PROGRAM, "diff", f"view://{kept}", f"{meta}@{at}").stdout)
        self.assertTrue(all(count > 0 for count in counts.values()), counts)
        print(f"  {self.SECONDS} s beside the live cluster: {counts}; {same.splitlines()[-1]}", file=sys.stderr)

    def test_the_source_as_it_was_at_a_timestamp_is_mounted_beside_the_live_one_and_does_not_change(self):
        with Mount(self.meta) as live:
            populate.Busy(live, 200)
            subprocess.run(["sync", "-f", live], check=False)
            time.sleep(2)
            then = f"{self.meta}@{self.State()['last_timestamp']}"
            with Served("--read-only", "--volume", then, "--stores", "2", "--regions", "5") as frozen:
                meta = frozen.Volume("vol1")
                with Mount(meta, "--read-only") as mount:
                    self.assertIn("SAME: ", Run(PROGRAM, "diff", then, f"mount://{mount}").stdout)
                    before = Walk(mount)
                    populate.Rich(live)
                    shutil.rmtree(os.path.join(live, "tree0"))
                    time.sleep(2)
                    self.assertEqual(Differences(before, Walk(mount), ignore=("atime_ns",)), [])
                    self.assertGreater(len(before), 200)
                    self.assertIn("DIFFERENT: ", Run(PROGRAM, "diff", self.meta, f"mount://{mount}", ok=(1,)).stdout)
                    with self.assertRaises(OSError):
                        os.mkdir(os.path.join(mount, "new"))
                # Who tries to write all the same is told why.
                refused = JuiceFs("format", frozen.Volume("other"), "other", "--storage", "file", "--bucket", self.folder, ok=())
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn("read-only", refused.stdout)
                self.assertIn("SAME: ", Run(PROGRAM, "diff", then, meta).stdout)


class Trouble(OneVolume):
    """Two mounts write while regions split, leaders move and stores die: nothing that was acknowledged is lost."""

    SECONDS = int(os.environ.get("KVJURY_SOAK_S", "20"))

    def Write(self, mount, name, written, stop):
        draw = random.Random(name)
        os.mkdir(os.path.join(mount, name))
        while not stop.is_set():
            path = os.path.join(name, str(draw.randrange(200)))
            content = draw.randbytes(draw.choice([1, 100, 30_000]))
            with open(os.path.join(mount, path), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            written[path] = content
            if draw.randrange(4) == 0:
                moved = path + ".moved"
                os.rename(os.path.join(mount, path), os.path.join(mount, moved))
                written[moved] = written.pop(path)

    def Disturb(self, stop):
        """Each kind in turn; a store is down for two seconds, the others elect meanwhile."""
        draw, effects = random.Random(1), {"split": 0, "transfer-leader": 0, "kill-store": 0}
        for step in range(10**6):
            if stop.wait(0.3):
                return effects
            key = (b"vol1\xfdA" + struct.pack("<Q", draw.randrange(1, 2000)) + b"I").hex()
            words = (["split", key, "--hex"], ["transfer-leader", key, "--hex"], ["kill-store", str(draw.randrange(1, 4)), "--for", "2s"])[step % 12 == 11 and 2 or step % 2]
            effects[words[0]] += self.cluster.Poke(*words, ok=(0, 3)) == 0
        return effects

    def test_nothing_acknowledged_is_lost(self):
        stop, written, effects = threading.Event(), [{}, {}], {}
        with Mount(self.meta) as first, Mount(self.meta) as second:
            workers = [threading.Thread(target=self.Write, args=(mount, f"w{i}", written[i], stop)) for i, mount in enumerate((first, second))]
            workers.append(threading.Thread(target=lambda: effects.update(self.Disturb(stop))))
            for worker in workers:
                worker.start()
            time.sleep(self.SECONDS)
            stop.set()
            for worker in workers:
                worker.join()
            self.assertTrue(all(count > 0 for count in effects.values()), effects)
            time.sleep(2)  # attribute caches
            for mount in (first, second):
                for path, content in {**written[0], **written[1]}.items():
                    with open(os.path.join(mount, path), "rb") as file:
                        self.assertEqual(file.read(), content, path)
            seen = Walk(first)
            self.Same(seen, Walk(second), 20, ignore=())
        self.assertGreater(len(written[0]), 10)
        self.assertGreater(len(written[1]), 10)
        self.Same(seen, View(self.meta), 20)
        JuiceFs("fsck", self.meta)
        print(f"  {len(written[0]) + len(written[1])} files at the end of {self.SECONDS} s; {effects}", file=sys.stderr)


class Killed(unittest.TestCase):
    """`serve --data` is killed while a mount writes: what was synced is there, and the same mount goes on.

    It goes on after up to 30 s, on a real cluster too: client-go finds PD dead when it asks where the dead store is, and asks again then.
    """

    ROUNDS = int(os.environ.get("KVJURY_KILLS", "2"))

    @staticmethod
    def Write(mount, log):
        """In a process of its own: a start of the cluster that had the open files too would wait for the cluster."""
        synced = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for i in itertools.count():
            path = os.path.join(mount, str(i % 400))
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write(f"{i}\n" * 50)
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".new", path)
            os.write(synced, b"%d\n" % i)

    def Synced(self, log):
        with open(log, encoding="ascii") as file:
            return sum(1 for _ in file)

    def UntilItWrites(self, log):
        """How long the mount took to go on, in seconds."""
        begun, before = time.monotonic(), self.Synced(log) + 1  # one may have been under way
        while self.Synced(log) <= before:
            self.assertLess(time.monotonic() - begun, 90, "the mount hangs")
            time.sleep(0.02)
        return time.monotonic() - begun

    def test_nothing_that_a_mount_synced_is_lost(self):
        folder = self.enterContext(Folder())
        cluster = self.enterContext(Served("--stores", "2", "--data", os.path.join(folder, "data")))
        Format(cluster.Volume("vol1"), os.path.join(folder, "bucket"))
        draw, log, slowest_s = random.Random(1), os.path.join(folder, "synced"), 0
        with Mount(cluster.Volume("vol1")) as mount:
            open(log, "w", encoding="ascii").close()
            writer = multiprocessing.Process(target=self.Write, args=(mount, log))
            writer.start()
            try:
                for _ in range(self.ROUNDS):
                    slowest_s = max(slowest_s, self.UntilItWrites(log))
                    time.sleep(draw.uniform(0, 1))
                    cluster.Kill()
                    cluster.Start()
                slowest_s = max(slowest_s, self.UntilItWrites(log))
            finally:
                writer.kill()
                writer.join()
        count, newer = self.Synced(log), 0
        with Mount(cluster.Volume("vol1")) as again:
            for i in range(max(0, count - 400), count):
                with open(os.path.join(again, str(i % 400)), encoding="ascii") as file:
                    held = file.read()
                newer += held != f"{i}\n" * 50
                self.assertIn(held, (f"{i}\n" * 50, f"{i + 400}\n" * 50))
            self.assertLessEqual(newer, 1, "only the last one may have been on its way")
            seen = Walk(again)
        self.assertEqual(Differences(seen, View(cluster.Volume("vol1")))[:10], [])
        JuiceFs("fsck", cluster.Volume("vol1"))
        print(f"  {self.ROUNDS} kills, {count} files synced, the mount went on within {slowest_s:.1f} s", file=sys.stderr)


class Commands(OneVolume):
    def setUp(self):
        super().setUp()
        with Mount(self.meta) as mount:
            populate.Rich(mount)
            subprocess.run(["sync", "-f", mount], check=False)
            time.sleep(2)

    def Load(self, *arguments, form=()):
        """Dumps, loads into an empty cluster, and dumps there again: both files."""
        first, second = os.path.join(self.folder, "first"), os.path.join(self.folder, "second")
        JuiceFs("dump", self.meta, first, *form, *arguments)
        with Served("--stores", "2") as other:
            target = other.Volume("vol1")
            JuiceFs("load", target, first, *form)
            JuiceFs("dump", target, second, *form, *arguments)
            self.Same(View(self.meta), View(target), 150)
            if form:  # not text: what both clusters hold now is compared as JSON
                self.assertLess(abs(os.path.getsize(first) - os.path.getsize(second)), 4096)
                JuiceFs("dump", self.meta, first, "--keep-secret-key")
                JuiceFs("dump", target, second, "--keep-secret-key")
        return first, second

    def Dumped(self, path):
        with open(path, encoding="utf-8") as file:
            dump = json.load(file)
        # A dump says when it was made by whom; a loaded volume counts on from higher numbers.
        for key in ("Setting", "Counters", "Sustained", "DelFiles"):
            dump.pop(key, None)
        return dump

    def test_a_json_dump_loads_into_an_empty_cluster_and_dumps_the_same_again(self):
        first, second = self.Load("--keep-secret-key")
        self.assertEqual(self.Dumped(first), self.Dumped(second))

    def test_a_fast_json_dump_does_too(self):
        first, second = self.Load("--keep-secret-key", "--fast")
        self.assertEqual(self.Dumped(first), self.Dumped(second))

    def test_a_binary_dump_does_too(self):
        first, second = self.Load(form=("--binary",))
        self.assertEqual(self.Dumped(first), self.Dumped(second))

    def test_every_command_that_looks_or_repairs_ends_well(self):
        with Mount(self.meta) as mount:
            self.assertIn('"Name": "vol1"', JuiceFs("status", self.meta).stdout)
            self.assertIn("inode", JuiceFs("info", os.path.join(mount, "plain")).stdout)
            self.assertIn("FILES", JuiceFs("summary", mount).stdout)
            JuiceFs("fsck", self.meta)
            JuiceFs("gc", self.meta)
            JuiceFs("gc", self.meta, "--compact", "--delete")
            JuiceFs("quota", "set", self.meta, "--path", "/plain", "--capacity", "1", "--inodes", "500")
            self.assertIn("/plain", JuiceFs("quota", "list", self.meta).stdout)
            JuiceFs("quota", "check", self.meta, "--path", "/plain", "--repair")
            JuiceFs("clone", os.path.join(mount, "plain"), os.path.join(mount, "cloned"))
            self.assertEqual(sorted(os.listdir(os.path.join(mount, "plain"))), sorted(os.listdir(os.path.join(mount, "cloned"))))
            JuiceFs("compact", os.path.join(mount, "slices"))
            JuiceFs("rmr", os.path.join(mount, "cloned"))
            self.assertFalse(os.path.exists(os.path.join(mount, "cloned")))
            JuiceFs("fsck", self.meta)

    def test_destroy_leaves_no_volume(self):
        status = subprocess.run([TOOLS["juicefs"], "status", self.meta, "--no-agent"], capture_output=True, text=True, check=True).stdout
        uuid = json.loads(status[status.index("{"):])["Setting"]["UUID"]
        JuiceFs("destroy", self.meta, uuid, "--yes", "--force")
        self.assertNotEqual(JuiceFs("status", self.meta, ok=()).returncode, 0)


class FastDump(OneVolume):
    """What scenarios/juicefs-dump-fast-loses-a-new-rule.case says of the real program."""

    FILES = 400

    def SetAcls(self, mount):
        for i in range(self.FILES):
            if self.dumped.is_set():
                return
            SetAcl(os.path.join(mount, f"f{i}"), 10_000 + i, 6)
            time.sleep(0.02)

    def test_an_acl_whose_rule_is_made_between_its_two_scans_is_lost(self):
        path = os.path.join(self.folder, "dump.json")
        self.dumped = threading.Event()
        with Mount(self.meta) as mount:
            for i in range(self.FILES):
                os.close(os.open(os.path.join(mount, f"f{i}"), os.O_CREAT | os.O_WRONLY, 0o644))
            self.cluster.Poke("slow", "KvScan", "--by", "1s")
            writer = threading.Thread(target=self.SetAcls, args=(mount,))
            writer.start()
            try:
                time.sleep(0.3)
                JuiceFs("dump", "--fast", self.meta, path)
            finally:
                self.dumped.set()
                writer.join()
                self.cluster.Poke("heal")  # the mount ends its session with scans
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)["FSTree"]["entries"]
        # Of a file with an ACL the group's bits of the mode are its mask.
        masked = {name for name, entry in entries.items() if entry["attr"]["mode"] & 0o070 == 0o070}
        kept = {name for name, entry in entries.items() if "posix_acl_access" in entry}
        self.assertGreater(len(kept), 0)
        self.assertLess(kept, masked)


class ObjectStorage(unittest.TestCase):
    def test_a_volume_keeps_its_blocks_in_the_cluster_too(self):
        with Served("--stores", "3") as meta, Served("--stores", "2") as blocks:
            JuiceFs("format", meta.Volume("vol1"), "vol1", "--storage", "tikv", "--bucket", blocks.pd)
            content = os.urandom(3_000_000)
            with Mount(meta.Volume("vol1")) as mount:
                with open(os.path.join(mount, "file"), "wb") as file:
                    file.write(content)
            with Mount(meta.Volume("vol1")) as mount, open(os.path.join(mount, "file"), "rb") as file:
                self.assertEqual(file.read(), content)
            JuiceFs("fsck", meta.Volume("vol1"))
            JuiceFs("gc", meta.Volume("vol1"))


class Tls(unittest.TestCase):
    def Calls(self, cluster):
        return json.loads(Run(PROGRAM, "poke", "--ready-file", cluster.ready_file, "state").stdout)["calls"]

    def test_mutual_tls_serves_those_with_a_certificate_and_refuses_others(self):
        with Folder() as folder, Folder() as other:
            Run(PROGRAM, "serve", "--tls-init", folder)
            Run(PROGRAM, "serve", "--tls-init", other)
            ca, cert, key = (os.path.join(folder, name) for name in ("ca.pem", "client.pem", "client-key.pem"))
            with Served("--cert", os.path.join(folder, "server.pem"), "--key", os.path.join(folder, "server-key.pem"), "--ca", ca) as cluster:
                # Each tries for 100 s before it gives up. None gets an answer from a cluster that nobody else has asked yet.
                for query in ("", f"?ca={ca}", f"?ca={os.path.join(other, 'ca.pem')}&cert={cert}&key={key}"):
                    with self.subTest(query), self.assertRaises(subprocess.TimeoutExpired):
                        JuiceFs("status", f"{cluster.Volume('vol1')}{query}", timeout_s=8)
                self.assertEqual(self.Calls(cluster), {})
                meta = f"{cluster.Volume('vol1')}?ca={ca}&cert={cert}&key={key}"
                JuiceFs("format", meta, "vol1", "--storage", "file", "--bucket", os.path.join(folder, "bucket"))
                with Mount(meta) as mount:
                    populate.Busy(mount, 20)
                    self.assertEqual(len(Walk(mount)), 20 + 4)
                self.assertIn("pd", self.Calls(cluster))


if __name__ == "__main__":
    Require("juicefs", mounts=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
