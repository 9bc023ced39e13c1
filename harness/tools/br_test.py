"""The real br on served clusters: backup of a volume that is being written to, restore into another cluster, its flags, its errors.

Usage: br_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without br, juicefs, FUSE or root.
A cut is what br claims: BackupTS of its summary. What was there at the cut is read from the source by its own timestamp.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import populate
from real_tools import Differences, Folder, Format, JuiceFs, Mount, PROGRAM, ROOT, Require, Run, Served, TOOLS, View, Walk


def Br(*arguments, timeout_s=300, ok=(0,), tool="br"):
    with Folder() as folder:
        return Run(TOOLS[tool], *arguments, "--log-file", os.path.join(folder, "log"), timeout_s=timeout_s, ok=ok, cwd=folder)


def Backup(cluster, folder, *flags, tool="br", **options):
    return Br("backup", "txn", "--pd", cluster.pd, "-s", f"local://{folder}", *flags, tool=tool, **options)


def Restore(cluster, folder, *flags, tool="br", **options):
    return Br("restore", "txn", "--pd", cluster.pd, "-s", f"local://{folder}", *flags, tool=tool, **options)


def Cut(done):
    return re.search(r"BackupTS=(\d+)", done.stdout).group(1)


def Keys(address):
    done = subprocess.run([PROGRAM, "view", "--keys", address], capture_output=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kvjury view --keys {address} ended with {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode().splitlines()


class Writer:
    """Creates, renames and removes files until the context ends."""

    def __init__(self, mount):
        self.mount, self.done, self.count = mount, threading.Event(), 0

    def __enter__(self):
        self.thread = threading.Thread(target=self._Work)
        self.thread.start()
        return self

    def _Work(self):
        os.mkdir(os.path.join(self.mount, "writer"))
        while not self.done.is_set():
            name = os.path.join(self.mount, "writer", str(self.count % 50))
            with open(name, "wb") as file:
                file.write(b"%d" % self.count)
            os.rename(name, name + ".done")
            if self.count % 3 == 0:
                os.unlink(name + ".done")
            self.count += 1

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


class WhileWritten(unittest.TestCase):
    def Drill(self, source_flags=(), target_flags=(), br_flags=(), meta_query="", backup_flags=(), restore_flags=(), tool="br"):
        """Backs up under writes, restores elsewhere, compares keys and views at the cut; the backup's folder and br's answer."""
        folder = self.enterContext(Folder())
        backup = os.path.join(folder, "backup")
        os.mkdir(backup)
        source = self.enterContext(Served("--stores", "3", "--regions", "6", *source_flags))
        target = self.enterContext(Served("--stores", "2", "--regions", "9", *target_flags))
        meta = source.Volume("vol1") + meta_query
        Format(source.Volume("vol1") + meta_query, os.path.join(folder, "bucket"), name="vol1")
        with Mount(meta) as mount:
            populate.Rich(mount)
            with Writer(mount) as writer:
                done = Backup(source, backup, *br_flags, *backup_flags, tool=tool)
            self.assertGreater(writer.count, 5)
        Restore(target, backup, *br_flags, *restore_flags, tool=tool)
        at_cut = f"{source.Volume('vol1')}@{Cut(done)}{meta_query}"
        restored = target.Volume("vol1") + meta_query
        keys = Keys(at_cut)
        self.assertGreater(len(keys), 300)
        self.assertEqual(keys, Keys(restored))
        seen = View(at_cut)
        with Mount(restored, "--read-only") as mount:
            walked = Walk(mount)
        self.assertGreater(len(walked), 150)
        self.assertEqual(Differences(seen, walked)[:10], [])
        return backup, done

    def test_the_restored_volume_is_the_source_at_the_cut(self):
        self.Drill()

    def test_the_same_under_mutual_tls(self):
        folder = self.enterContext(Folder())
        Run(PROGRAM, "serve", "--tls-init", folder)
        ca, cert, key = (os.path.join(folder, name) for name in ("ca.pem", "client.pem", "client-key.pem"))
        tls = ("--cert", os.path.join(folder, "server.pem"), "--key", os.path.join(folder, "server-key.pem"), "--ca", ca)
        self.Drill(tls, tls, ("--ca", ca, "--cert", cert, "--key", key), f"?ca={ca}&cert={cert}&key={key}")

    def test_the_same_with_every_flag_that_has_an_effect(self):
        crypter = ("--crypter.method", "aes128-ctr", "--crypter.key", "0123456789abcdef0123456789abcdef")
        backup, _ = self.Drill(backup_flags=("--compression", "lz4", "--ratelimit", "1", "--ratelimit-unit", "8388608", "--concurrency", "2",
                                             "--check-requirements=false", "--remove-schedulers", *crypter),
                               restore_flags=("--ratelimit", "8", *crypter))
        plain = subprocess.run([PROGRAM, "view", f"br://{backup}#vol1"], capture_output=True, check=False)
        self.assertEqual(plain.returncode, 2, plain.stderr)
        self.assertGreater(len(View(f"br://{backup}?crypter.method=aes128-ctr&crypter.key=0123456789abcdef0123456789abcdef#vol1")), 150)

    @unittest.skipUnless("br-7.5" in TOOLS, "no br-7.5 (ci/tools gets it)")
    def test_the_same_with_br_7_5(self):
        self.Drill(tool="br-7.5", br_flags=("--check-requirements=false",))


class Flags(unittest.TestCase):
    """Flags do what they are for."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Served("--stores", "3", "--volume", f"kv://{ROOT}/scenarios/volumes/busy/kv.tsv.gz"))

    def Calls(self):
        state = json.loads(Run(PROGRAM, "poke", "--ready-file", self.cluster.ready_file, "state").stdout)
        return {name: calls["calls"] for name, calls in state["calls"].get("pd", {}).items()}

    def Backup(self, *flags):
        """Seconds, bytes of files, what PD was asked."""
        folder = os.path.join(self.enterContext(Folder()), "backup")
        os.mkdir(folder)
        before, begun = self.Calls(), time.monotonic()
        Backup(self.cluster, folder, *flags)
        took_s, after = time.monotonic() - begun, self.Calls()
        self.assertGreater(len(View(f"br://{folder}#vol")), 4000)
        size = sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(folder) for name in names if name.endswith(".sst"))
        return took_s, size, {name: count - before.get(name, 0) for name, count in after.items()}

    def test_a_rate_limit_slows_the_upload_down(self):
        quick_s, size, _ = self.Backup()
        slow_s, _, _ = self.Backup("--ratelimit", "1", "--ratelimit-unit", str(size // 4))
        self.assertGreater(slow_s - quick_s, 3)

    def test_compressions_make_files_of_other_sizes(self):
        self.assertEqual(len({self.Backup("--compression", name)[1] for name in ("zstd", "lz4", "snappy")}), 3)

    def test_schedulers_are_paused_only_on_request(self):
        _, _, plain = self.Backup()
        _, _, paused = self.Backup("--remove-schedulers")
        self.assertGreater(paused["http"], plain["http"] + 5)

    def test_requirements_are_checked_unless_told_not_to(self):
        _, _, checked = self.Backup()
        _, _, unchecked = self.Backup("--check-requirements=false")
        self.assertGreater(checked["GetAllStores"], unchecked["GetAllStores"])


class Folders(unittest.TestCase):
    """Backups that others made, restored by br into a served cluster."""

    def Restored(self, folder, volumes, years_ahead=0):
        target = self.enterContext(Served("--stores", "3"))
        for _ in range(0, years_ahead, 30):
            target.Poke("clock-jump", "--by", f"{30 * 365 * 24 * 60}m")
        Restore(target, folder)
        for volume in volumes:
            seen = View(f"br://{folder}#{volume}")
            self.assertGreater(len(seen), 100)
            self.assertEqual(Differences(seen, View(target.Volume(volume)))[:10], [])
        return target

    def test_the_recorded_backups_restore_to_what_the_real_mounts_showed(self):
        for name in ("quiet", "busy"):
            with self.subTest(name):
                folder = os.path.join(ROOT, "scenarios/backups", name)
                target = self.Restored(folder, ("vol1", "vol2"))
                with gzip.open(os.path.join(folder, "kv.txt.gz"), "rt") as file:
                    truth = [line.rstrip("\n").replace("\t", " ") for line in file]
                self.assertGreater(len(truth), 2000)
                self.assertEqual(truth, Keys(f"tikv://{target.pd}"))

    def test_what_our_own_tool_wrote_is_restored_by_br_and_decoded(self):
        folder = self.enterContext(Folder())
        backup = os.path.join(folder, "backup")
        Run(PROGRAM, "run", "--volume", f"kv://{ROOT}/scenarios/volumes/rich/kv.tsv.gz", "--keep-backup", backup, "--out", os.path.join(folder, "out"))
        volume = re.search(r"^(\S+): SAME", Run(PROGRAM, "run", "--volume", f"br://{backup}", "--out", os.path.join(folder, "again")).stdout, re.M)
        self.assertIsNotNone(volume)
        names = {name for name in ("vol", "vol1", "rich") if subprocess.run([PROGRAM, "view", f"br://{backup}#{name}"], capture_output=True, check=False).returncode == 0}
        self.assertEqual(len(names), 1)
        self.Restored(backup, names, years_ahead=210)  # that simulation begins after the latest time in the volume, the year 2200
        Br("debug", "decode", "-s", f"local://{backup}")
        with open(os.path.join(backup, "jsons/backupmeta.json"), encoding="utf-8") as file:
            self.assertIn("is_txn_kv", file.read())


class FalseSuccesses(unittest.TestCase):
    """What br restores wrongly or not at all while it ends with success, every time."""

    def Clusters(self, *source):
        folder = self.enterContext(Folder())
        backup = os.path.join(folder, "backup")
        os.mkdir(backup)
        return backup, self.enterContext(Served(*source)), self.enterContext(Served("--stores", "3"))

    def KeysHeld(self, cluster):
        """All visible keys of a cluster, by a backup of it."""
        with Folder() as folder:
            Backup(cluster, folder)
            return {line.split(" ")[0] for line in Keys(f"br://{folder}")}

    def test_keys_of_nine_and_more_ff_bytes_are_lost(self):
        backup, source, target = self.Clusters("--stores", "3", "--volume", f"br://{ROOT}/scenarios/backups/edge-keys")
        Backup(source, backup)
        Restore(target, backup)
        before = {line.split(" ")[0] for line in Keys(f"br://{backup}")}
        self.assertGreater(len(before), 10)
        self.assertEqual(before - self.KeysHeld(target), {"ff" * 9, "ff" * 12})

    def test_a_late_answer_of_the_region_that_ends_at_the_encoded_empty_key_empties_the_backup(self):
        folder = self.enterContext(Folder())
        late = os.path.join(folder, "late.case")
        with open(late, "w", encoding="utf-8") as file:
            file.write('trigger { empty_key_region: true }\nnudge { at: "external/backup/answer[..]#1" delay_us: 2000000 }\n')
        for attempt in range(3):
            backup, source, _ = self.Clusters("--stores", "3", "--volume", f"kv://{ROOT}/scenarios/volumes/rich/kv.tsv.gz", "--faults", late)
            self.assertGreater(len(Keys(source.Volume("vol"))), 1000)
            self.assertIn("Txn Backup success summary", Backup(source, backup).stdout)
            orphans = [name for _, _, names in os.walk(backup) for name in names if name.endswith(".sst")]
            self.assertGreater(len(orphans), 0, attempt)
            judged = Run(PROGRAM, "view", f"br://{backup}", ok=(4,))
            self.assertIn("holds no visible key", judged.stdout)

    def test_a_restore_into_a_cluster_whose_clock_is_behind_is_invisible(self):
        backup, source, target = self.Clusters("--stores", "3")
        folder = self.enterContext(Folder())
        source.Poke("clock-jump", "--by", "60m")
        Format(source.Volume("vol1"), os.path.join(folder, "bucket"))
        with Mount(source.Volume("vol1")) as mount:
            populate.Busy(mount, 20)
        Backup(source, backup)
        self.assertGreater(len(View(f"br://{backup}#vol1")), 20)
        Restore(target, backup)
        JuiceFs("status", target.Volume("vol1"))
        with Mount(target.Volume("vol1"), "--read-only") as mount:
            self.assertEqual([name for name in os.listdir(mount) if not name.startswith(".")], [])


class SpoiledBackups(unittest.TestCase):
    """A cluster that holds something, one that does not, and backups of the first to spoil."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(Folder())
        cls.cluster = cls.enterClassContext(Served("--stores", "3", "--volume", f"kv://{ROOT}/scenarios/volumes/rich/kv.tsv.gz"))
        cls.empty = cls.enterClassContext(Served("--stores", "3"))
        cls.backup = cls.Make("plain")
        cls.encrypted = cls.Make("encrypted", "--crypter.method", "aes128-ctr", "--crypter.key", "00112233445566778899aabbccddeeff")
        cls.raw = os.path.join(cls.folder, "raw")
        os.mkdir(cls.raw)
        Br("backup", "raw", "--pd", cls.cluster.pd, "-s", f"local://{cls.raw}", "--start", "", "--end", "", "--format", "hex", "--cf", "default")

    @classmethod
    def Make(cls, name, *flags):
        path = os.path.join(cls.folder, name)
        os.mkdir(path)
        Backup(cls.cluster, path, *flags)
        return path

    def Copy(self, name):
        path = os.path.join(self.folder, name)
        shutil.copytree(self.backup, path)
        return path

    def Sst(self, folder):
        return max((os.path.join(root, name) for root, _, names in os.walk(folder) for name in names if name.endswith(".sst")), key=os.path.getsize)

    def Ends(self, code, words, done):
        self.assertEqual(done.returncode, code, done.stdout[-2000:])
        self.assertRegex(done.stdout, words)


class Errors(SpoiledBackups):
    """Bad uses of br end as they do on a real cluster."""

    def test_backup_into_a_used_folder(self):
        self.Ends(1, "Error: backup meta file exists in .*invalid argument", Backup(self.cluster, self.backup, ok=()))

    def test_restore_txn_of_raw_and_raw_of_txn(self):
        self.Ends(1, "Error: cannot do transactional restore from raw data: .*restore mode mismatch", Restore(self.empty, self.raw, ok=()))
        self.Ends(1, "Error: cannot do raw restore from transactional data: .*restore mode mismatch", Br("restore", "raw", "--pd", self.empty.pd, "-s", f"local://{self.backup}", "--start", "", "--end", "", "--format", "hex", ok=()))

    def test_restore_from_no_folder(self):
        self.Ends(1, "Error: load backupmeta failed: .*no such file or directory", Restore(self.empty, os.path.join(self.folder, "nowhere"), ok=()))

    def test_restore_of_an_encrypted_backup_without_and_with_a_wrong_key(self):
        for flags in ((), ("--crypter.method", "aes128-ctr", "--crypter.key", "0" * 32)):
            self.Ends(1, "Error: parse backupmeta failed because of wrong aes cipher", Restore(self.empty, self.encrypted, *flags, ok=()))

    def test_backup_with_an_unknown_compression(self):
        self.Ends(1, "Error: invalid compression type 'bogus'", Backup(self.cluster, os.path.join(self.folder, "unused"), "--compression", "bogus", ok=()))

    def test_backup_of_an_empty_cluster_and_restore_of_it(self):
        path = os.path.join(self.folder, "nothing")
        os.mkdir(path)
        with Served("--stores", "3") as cluster:
            self.Ends(0, "Txn Backup success summary", Backup(cluster, path, ok=()))
            self.Ends(0, "Txn Restore failed summary", Restore(cluster, path, ok=()))

    def test_a_second_restore_over_the_first_changes_nothing(self):
        with Served("--stores", "3") as cluster:
            Restore(cluster, self.backup)
            once = Keys(cluster.Volume("vol"))
            Restore(cluster, self.backup)
            self.assertGreater(len(once), 1000)
            self.assertEqual(once, Keys(cluster.Volume("vol")))

    def test_a_wrong_digest_in_the_meta_is_looked_at_by_nobody(self):
        folder = self.Copy("digest")
        with open(self.Sst(folder), "rb") as file:
            digest = hashlib.sha256(file.read()).digest()
        path = os.path.join(folder, "backupmeta")
        with open(path, "rb") as file:
            meta = file.read()
        self.assertEqual(meta.count(digest), 1)
        with open(path, "wb") as file:
            file.write(meta.replace(digest, bytes(32)))
        with Served("--stores", "3") as cluster:
            self.Ends(0, "Txn Restore success summary", Restore(cluster, folder, ok=()))
            self.assertEqual(Keys(cluster.Volume("vol")), Keys(f"br://{self.backup}#vol"))

    def test_a_missing_a_truncated_and_a_flipped_file_keep_br_trying(self):
        """The real ones go on for about ten minutes; what can be seen in a minute is that they neither succeed nor give up."""
        for name, spoil in (("missing", os.unlink), ("truncated", lambda path: os.truncate(path, os.path.getsize(path) - 100)), ("flipped", _FlipABit)):
            with self.subTest(name):
                folder = self.Copy(name)
                spoil(self.Sst(folder))
                with Served("--stores", "3") as cluster, self.assertRaises(subprocess.TimeoutExpired):
                    Restore(cluster, folder, timeout_s=25, ok=())


@unittest.skipUnless(os.environ.get("KVJURY_NIGHTLY"), "takes minutes; KVJURY_NIGHTLY=1 runs it")
class SlowErrors(SpoiledBackups):
    def test_pd_that_is_down(self):
        done = Br("backup", "txn", "--pd", "127.0.0.1:1", "-s", f"local://{os.path.join(self.folder, 'down')}", timeout_s=200, ok=())
        self.Ends(1, "Error: .*failed to get cluster id", done)

    def test_a_flipped_file_ends_with_a_corruption(self):
        folder = self.Copy("flipped-slow")
        _FlipABit(self.Sst(folder))
        self.Ends(1, "Corruption: block checksum mismatch", Restore(self.empty, folder, timeout_s=1200, ok=()))


def _FlipABit(path):
    with open(path, "r+b") as file:
        file.seek(100)
        byte = file.read(1)[0]
        file.seek(100)
        file.write(bytes([byte ^ 1]))


if __name__ == "__main__":
    Require("br", "juicefs", mounts=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
