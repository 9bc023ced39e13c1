"""`kvjury view --mount`, with the kernel as judge: what programs see of it is what they saw of the real mounts.

Usage: view_mount_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without FUSE or root; without juicefs its tests alone are.
"""

import atexit
import contextlib
import errno
import glob
import gzip
import json
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import populate
from real_tools import Differences, Folder, Format, JuiceFs, Mount, PROGRAM, Require, ROOT, Run, Served, TOOLS, Walk

VOLUMES = os.path.join(ROOT, "scenarios/volumes")
TIMES = ("atime_ns", "mtime_ns", "ctime_ns")


class ViewMount:
    """`kvjury view --mount` of an address, as a context; the value is the mount point."""

    def __init__(self, address, *arguments):
        self.address, self.arguments = address, arguments

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kvjury-view-")
        self.path = os.path.join(self.folder, "mnt")
        os.mkdir(self.path)
        atexit.register(self._Release)
        self.errors = open(os.path.join(self.folder, "errors"), "w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([PROGRAM, "view", "--mount", self.path, self.address, *self.arguments], stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True, errors="replace",
                                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # ignored where a shell runs us in the background
        self.begun = self.process.stdout.readline()
        if " is mounted read-only at " not in self.begun:
            self.process.wait()
            raise AssertionError(f"{self.address} is not mounted: {self.begun}{self.Said()}")
        return self.path

    def Said(self):
        """All that it said on stderr, so far or in all."""
        if self.errors.closed:
            return self.said
        self.errors.seek(0)
        return self.errors.read()

    def End(self, how=signal.SIGINT):
        """Its exit code and its last line; nothing is mounted then."""
        if how is not None:
            self.process.send_signal(how)
            self.process.send_signal(how)  # an impatient user, and timeout(1)
        rest = self.process.stdout.read()
        code = self.process.wait(timeout=30)
        if os.path.ismount(self.path):
            raise AssertionError(f"{self.path} is still mounted")
        return code, rest

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.End()
        self.said = self.Said()
        self._Release()
        atexit.unregister(self._Release)

    def _Release(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()
        if os.path.ismount(self.path):
            subprocess.run(["umount", "-l", self.path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def Recorded(path):
    """A recorded walk of a real mount, in the form of Walk."""
    entries = {}
    with gzip.open(path, "rt") as lines:
        for line in lines:
            entry = json.loads(line)
            entry.pop("sha256", None)
            entries[entry.pop("path")] = entry
    for field in TIMES:
        entries[".trash"].pop(field)
    return entries


def KeysOf(volume):
    with gzip.open(os.path.join(VOLUMES, volume, "kv.tsv.gz"), "rt") as lines:
        return {bytes.fromhex(key): bytes.fromhex(value) for key, value in (line.rstrip("\n").split("\t") for line in lines)}


def WriteKeys(path, pairs):
    with open(path, "w", encoding="ascii") as file:
        file.writelines(f"{key.hex()}\t{value.hex()}\n" for key, value in sorted(pairs.items()))
    return "kv://" + path


class Recordings(unittest.TestCase):
    """Volumes whose real mounts were walked, through every kind of address."""

    def Same(self, address, walk, entries, ignore=()):
        truth = Recorded(walk)
        with ViewMount(address) as mount:
            seen = Walk(mount, contents=False)
        self.assertEqual(Differences(truth, seen, ignore)[:10], [])
        self.assertEqual((len(truth), len(seen)), (entries, entries), address)
        print(f"  {len(seen)} entries of {os.path.relpath(address.split('://')[1], ROOT)}", file=sys.stderr)

    def test_a_walk_equals_that_of_the_real_mount_in_every_entry_both_ways(self):
        for volume, entries in (("rich", 396), ("crashed", 382), ("busy", 4510)):
            with self.subTest(volume):
                self.Same(f"kv://{VOLUMES}/{volume}/kv.tsv.gz", f"{VOLUMES}/{volume}/mount.jsonl.gz", entries)

    def test_dumps_and_written_views_show_the_same(self):
        for address in ("dump://{}/dump.json.gz", "dump-bin://{}/dump.bin.gz", "view://{}/mount.jsonl.gz"):
            with self.subTest(address):
                self.Same(address.format(f"{VOLUMES}/rich"), f"{VOLUMES}/rich/mount.jsonl.gz", 396)

    def test_a_backup_folder_is_looked_into_without_restoring_it(self):
        backups = os.path.join(ROOT, "scenarios/backups")
        compared = 0
        for walk in sorted(glob.glob(os.path.join(backups, "*/*.restored-mount.jsonl.gz"))):
            folder, name = os.path.split(walk)
            volume = name.split(".")[0]
            with self.subTest(walk):
                self.Same(f"br://{folder}#{volume}", walk, len(Recorded(walk)))
                compared += 1
        self.assertGreaterEqual(compared, 3)

    def test_one_false_attribute_is_found(self):
        """What makes the comparisons above worth something."""
        pairs = KeysOf("rich")
        truth = Recorded(f"{VOLUMES}/rich/mount.jsonl.gz")
        inode = {path: struct.pack("<Q", int(entry["inode"])) for path, entry in truth.items()}
        # Where the byte of an attribute stands in its record.
        lies = {"mode": 2, "uid": 6, "gid": 10, "atime_ns": 22, "mtime_ns": 34, "ctime_ns": 46, "nlink": 50, "size": 58}
        path = next(path for path, entry in truth.items() if entry["mode"].startswith("0o100") and entry["nlink"] == 1 and "trash" not in path)
        changes = [(path, field, b"A" + inode[path] + b"I", offset) for field, offset in lies.items()]
        link = next(path for path, entry in truth.items() if "target" in entry)
        changes.append((link, "target", b"A" + inode[link] + b"S", 0))
        tagged = next(path for path, entry in truth.items() if any(name.startswith("user.") and entry["xattrs"][name] for name in entry.get("xattrs", {})))
        name = next(name for name in truth[tagged]["xattrs"] if name.startswith("user.") and truth[tagged]["xattrs"][name])
        changes.append((tagged, "xattrs", b"A" + inode[tagged] + b"X" + name.encode("latin-1"), 0))
        with Folder() as folder:
            for path, field, key, offset in changes:
                value = bytearray(pairs[key])
                value[offset] ^= 1
                with ViewMount(WriteKeys(os.path.join(folder, "keys"), {**pairs, key: bytes(value)})) as mount:
                    found = Differences(truth, Walk(mount, contents=False))
                self.assertEqual([difference[:2] for difference in found], [(path, field)])
            lost = next(key for key in pairs if key[:1] == b"A" and key[9:10] == b"D" and struct.unpack("<Q", key[1:9])[0] == 1)
            kept = {key: value for key, value in pairs.items() if key != lost}
            with ViewMount(WriteKeys(os.path.join(folder, "keys"), kept)) as mount:
                found = Differences(truth, Walk(mount, contents=False))
            self.assertIn((lost[10:].decode("latin-1"), "entry", True, False), found)
        self.assertEqual(len(changes), 10)


class Kernel(unittest.TestCase):
    RICH = f"kv://{VOLUMES}/rich/kv.tsv.gz"

    def test_a_directory_of_many_entries_is_listed_whole_and_in_byte_order(self):
        count = 12_000
        pairs = KeysOf("rich")
        file = next(value for key, value in pairs.items() if key[:1] == b"A" and key[9:] == b"I" and value[1] >> 4 == 1)
        directory = b"A" + struct.pack("<Q", 900_000)
        pairs[b"A" + struct.pack("<Q", 1) + b"D" + b"many"] = b"\x02" + struct.pack(">Q", 900_000)
        pairs[directory + b"I"] = pairs[b"A" + struct.pack("<Q", 1) + b"I"]
        expected = {}
        for i in range(count):
            name, inode = b"entry-%d-" % i + b"x" * (i % 200), 1_000_000 + i
            pairs[directory + b"D" + name] = b"\x01" + struct.pack(">Q", inode)
            pairs[b"A" + struct.pack("<Q", inode) + b"I"] = file
            expected[name] = inode
        with Folder() as folder, ViewMount(WriteKeys(os.path.join(folder, "keys"), pairs)) as mount:
            path = os.path.join(os.fsencode(mount), b"many")
            for _ in range(2):  # the second time from the kernel's memory
                with os.scandir(path) as listed:
                    seen = [(entry.name, entry.inode()) for entry in listed]
                self.assertEqual(seen, sorted(expected.items()))
            self.assertEqual({name: os.lstat(os.path.join(path, name)).st_ino for name in expected}, expected)
            # While one reads, another begins; and a reader goes back to the start.
            with os.scandir(path) as first, os.scandir(path) as second:
                self.assertEqual([next(first).name for _ in range(5_000)], [next(second).name for _ in range(5_000)])

    def test_every_write_ends_with_erofs(self):
        with ViewMount(self.RICH) as mount:
            def At(*parts):
                return os.path.join(mount, *parts)
            file = next(At("docs", name) for name in sorted(os.listdir(At("docs"))) if os.path.isfile(At("docs", name)))
            before = Walk(mount, contents=False)
            writes = {"create": lambda: open(At("new"), "wb"), "overwrite": lambda: open(file, "r+b"), "truncate": lambda: os.truncate(file, 0),
                      "mkdir": lambda: os.mkdir(At("new")), "mknod": lambda: os.mkfifo(At("new")), "symlink": lambda: os.symlink("a", At("new")),
                      "link": lambda: os.link(file, At("new")), "rename": lambda: os.rename(file, At("new")), "unlink": lambda: os.unlink(file),
                      "rmdir": lambda: os.rmdir(At("empty")), "chmod": lambda: os.chmod(file, 0o777), "chown": lambda: os.chown(file, 1, 1),
                      "utime": lambda: os.utime(file), "setxattr": lambda: os.setxattr(file, "user.new", b"x"),
                      "removexattr": lambda: os.removexattr(file, "user.new")}
            for remounted in (False, True):
                if remounted:  # by somebody who insists
                    Run("mount", "-i", "-o", "remount,rw", mount)
                for name, write in writes.items():
                    with self.assertRaises(OSError, msg=name) as refused:
                        write()
                    self.assertEqual(refused.exception.errno, errno.EROFS, name)
            self.assertEqual(Differences(before, Walk(mount, contents=False)), [])

    def test_statfs_shows_the_volume_and_the_quota(self):
        with ViewMount(self.RICH) as mount:
            root, quota = os.statvfs(mount), os.statvfs(os.path.join(mount, "quota/q0"))
        self.assertEqual((root.f_blocks, root.f_bavail, root.f_files, root.f_ffree, root.f_namemax), (274877906944, 274609451895, 10486151, 10485760, 255))
        self.assertEqual((quota.f_blocks, quota.f_bavail, quota.f_files, quota.f_ffree), (262144, 262019, 100, 95))

    def test_without_a_bucket_only_what_is_zero_or_empty_is_read(self):
        for address in (self.RICH, f"view://{VOLUMES}/rich/mount.jsonl.gz"):
            mounted = ViewMount(address)
            with mounted as mount:
                with open(os.path.join(mount, "docs/f000.txt"), "rb") as file, self.assertRaises(OSError) as refused:
                    file.read()
                self.assertEqual(refused.exception.errno, errno.EIO)
                empty = [path for path in glob.glob(os.path.join(mount, "**"), recursive=True) if os.path.isfile(path) and os.path.getsize(path) == 0]
                for path in empty:
                    with open(path, "rb") as file:
                        self.assertEqual(file.read(), b"")
                self.assertGreater(len(empty), 0)
                self.assertIn("ends with EIO", mounted.Said())
                self.assertIn("warning: EIO: ", mounted.Said())

    def test_it_ends_by_signals_and_when_it_is_unmounted_with_a_line_each(self):
        for how, code, words in ((signal.SIGINT, 130, "a signal ended it"), (signal.SIGTERM, 143, "a signal ended it"), (None, 0, "it was unmounted")):
            mounted = ViewMount(self.RICH)
            with mounted as mount, contextlib.ExitStack() as busy:
                if how is None:
                    Run("fusermount3", "-u", mount)
                else:  # somebody looks in at that moment
                    busy.enter_context(os.scandir(mount))
                self.assertEqual(mounted.begun, f"kvjury view: {self.RICH} is mounted read-only at {mount}; Ctrl-C or fusermount3 -u ends it\n")
                self.assertEqual(mounted.End(how), (code, f"kvjury view: {mount} is no longer mounted: {words}\n"))
                self.assertEqual(os.listdir(mount), [])

    def Refused(self, code, words, *arguments):
        done = subprocess.run([PROGRAM, "view", *arguments], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertRegex(done.stderr, words)
        return done.stderr

    def test_what_cannot_be_mounted_is_refused_in_one_sentence(self):
        with Folder() as folder:
            empty, full, file = (os.path.join(folder, name) for name in ("empty", "full", "file"))
            os.makedirs(os.path.join(full, "entry"))
            os.mkdir(empty)
            with open(file, "w", encoding="ascii"):
                pass
            for path, words in ((full, "is not empty"), (file, "this is no folder"), (os.path.join(folder, "none"), "nothing that exists"),
                                (os.path.join(file, "below"), "Not a directory")):
                self.assertEqual(self.Refused(2, words, "--mount", path, self.RICH).count("\n"), 1)
            self.Refused(2, "holds 2 volumes; one is mounted: name it behind '#'", "--mount", empty, f"br://{ROOT}/scenarios/backups/quiet")
            self.Refused(2, "--mount", "--bucket", folder, self.RICH)
            self.Refused(2, "expected a folder or s3://", "--mount", empty, "--bucket", "gs://bucket", self.RICH)
            self.Refused(6, "no/such", "--mount", empty, "--bucket", os.path.join(folder, "no/such"), self.RICH)
            self.Refused(2, "--bucket needs records", "--mount", empty, "--bucket", folder, f"view://{VOLUMES}/rich/mount.jsonl.gz")
            pairs = KeysOf("rich")
            pairs[b"setting"] = pairs[b"setting"].replace(b'"EncryptAlgo"', b'"EncryptKey": "removed",\n"EncryptAlgo"')
            encrypted = WriteKeys(os.path.join(folder, "keys"), pairs)
            self.Refused(2, "encrypted", "--mount", empty, "--bucket", folder, encrypted)
            with ViewMount(encrypted) as mount:
                self.assertGreater(len(os.listdir(mount)), 10)
            self.assertEqual(os.listdir(empty), [])

    def test_without_the_library_the_package_is_named(self):
        libraries = sorted({os.path.realpath(path) for path in glob.glob("/lib/*/libfuse3.so.3") + glob.glob("/usr/lib/*/libfuse3.so.3")})
        self.assertGreater(len(libraries), 0)
        hide = "; ".join(f"mount --bind /dev/null {path}" for path in libraries)
        with Folder() as folder:
            done = subprocess.run(["unshare", "--mount", "sh", "-c", f'{hide}; exec "$@"', "sh", PROGRAM, "view", "--mount", folder, self.RICH],
                                  capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (6, "", 1), done.stderr)
        self.assertIn("install the package fuse3", done.stderr)


def Shown(mount):
    """What Walk leaves out: blocks, the size of a block, and the file system's numbers, below a quota too."""
    shown = {}
    for folder, folders, files in os.walk(os.fsencode(mount)):
        for name in folders + files:
            path = os.path.join(folder, name)
            if os.path.relpath(path, os.fsencode(mount)) not in (b".accesslog", b".config", b".stats", b".control"):
                status = os.lstat(path)
                entry = (status.st_blocks, status.st_blksize)
                if stat.S_ISDIR(status.st_mode):
                    system = os.statvfs(path)
                    entry += (system.f_bsize, system.f_frsize, system.f_blocks, system.f_bfree, system.f_bavail, system.f_files, system.f_ffree, system.f_namemax)
                shown[os.path.relpath(path, os.fsencode(mount))] = entry
    return shown


@unittest.skipUnless("juicefs" in TOOLS, "no juicefs (ci/tools gets it)")
class BesideJuiceFs(unittest.TestCase):
    """A volume that the real juicefs writes, mounted by it and by us at a timestamp, with all bytes of all files."""

    SETTINGS = (["--compress", "none"], ["--compress", "lz4", "--hash-prefix"], ["--compress", "zstd", "--block-size", "256K"])

    def test_the_bytes_and_all_numbers_are_those_of_the_real_mount(self):
        for settings in self.SETTINGS:
            with self.subTest(settings), Folder() as folder, Served("--stores", "2", "--regions", "3") as cluster:
                meta, bucket = cluster.Volume("vol1"), os.path.join(folder, "bucket")
                Format(meta, bucket, *settings)
                with Mount(meta) as real:
                    populate.Rich(real)
                    os.mkdir(os.path.join(real, "limited"))
                    JuiceFs("quota", "set", meta, "--path", "/limited", "--capacity", "1", "--inodes", "50")
                    with open(os.path.join(real, "limited", "file"), "wb") as file:
                        file.write(b"within" * 4_000)
                    subprocess.run(["sync", "-f", real], check=False)
                    time.sleep(6)  # usage and quotas are flushed by then
                with Mount(meta) as real:
                    time.sleep(2)  # it has read the quotas
                    truth, numbers = Walk(real), Shown(real)
                    state = json.loads(Run(PROGRAM, "poke", "--ready-file", cluster.ready_file, "state").stdout)
                    at = f"{meta}@{state['pd']['last_timestamp']}"
                    for where in (bucket, os.path.join(bucket, "vol1")):
                        mounted = ViewMount(at, "--bucket", where)
                        with mounted as ours:
                            seen = Walk(ours)
                            self.assertEqual(Differences(truth, seen, ignore=())[:10], [])
                            self.assertEqual(numbers, Shown(ours))
                            with open(os.path.join(real, "slices/patched"), "rb") as one, open(os.path.join(ours, "slices/patched"), "rb") as other:
                                for offset in (199_999, 3, 70_001, 65_535):  # not in order
                                    one.seek(offset)
                                    other.seek(offset)
                                    self.assertEqual(one.read(777), other.read(777))
                        self.assertEqual(mounted.Said(), "")
                    # It stays as it was at its timestamp while the live one goes on; an object that is gone is an error, never zeros.
                    with ViewMount(at, "--bucket", bucket) as ours:
                        os.rename(os.path.join(real, "links"), os.path.join(real, "renamed"))
                        self.assertEqual(Differences(truth, Walk(ours, contents=False))[:10], [])
                        shutil.rmtree(os.path.join(bucket, "vol1/chunks"))
                        with open(os.path.join(ours, "slices/whole"), "rb") as file, self.assertRaises(OSError):
                            file.read()
                compared = sum("sha256" in entry for entry in seen.values())
                self.assertGreater(compared, 90)
                self.assertGreater(len(numbers), 150)
                print(f"  {settings}: {len(seen)} entries, contents of {compared} files", file=sys.stderr)

    def test_the_bytes_come_from_a_bucket_of_s3_too_and_from_its_past(self):
        keys = "access-key=kvjury&secret-access-key=kvjurysecret"
        with Served("--stores", "1", "--s3-port", "0", "--s3-bucket", "bkt") as cluster:
            meta, url = cluster.Volume("vol1"), cluster.addresses["s3"]["endpoint"]
            JuiceFs("format", meta, "vol1", "--storage", "s3", "--bucket", f"{url}/bkt", "--access-key", "kvjury", "--secret-key", "kvjurysecret",
                    "--trash-days", "0", "--enable-acl")
            with Mount(meta) as real:
                populate.Rich(real)
                subprocess.run(["sync", "-f", real], check=False)
                time.sleep(2)
                truth = Walk(real)
                then_ms, at = int(time.time() * 1000), json.loads(Run(PROGRAM, "poke", "--ready-file", cluster.ready_file, "state").stdout)["pd"]["last_timestamp"]
                for where in ("bkt", "bkt/vol1"):
                    mounted = ViewMount(meta, "--bucket", f"s3://{where}?endpoint={url}&{keys}")
                    with mounted as ours:
                        seen = Walk(ours)
                        self.assertEqual(Differences(truth, seen, ignore=())[:10], [])
                    self.assertNotIn("kvjurysecret", mounted.Said())
                shutil.rmtree(os.path.join(real, "plain"))
                time.sleep(3)  # the objects go in the background
                with ViewMount(f"{meta}@{at}", "--bucket", f"s3://bkt-at-{then_ms}?endpoint={url}&{keys}") as ours:
                    self.assertEqual(Differences(truth, Walk(ours), ignore=())[:10], [])
                with ViewMount(f"{meta}@{at}", "--bucket", f"s3://bkt?endpoint={url}&{keys}") as ours, self.assertRaises(OSError):
                    Walk(ours)
        self.assertGreater(sum("sha256" in entry for entry in seen.values()), 90)


if __name__ == "__main__":
    Require(mounts=True)
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:], verbosity=2)
