"""The change log that the real juicefs mount writes is the recorded one, which harness/juicefs/change_log_test.cc asks of our sessions.

Usage: change_log_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without juicefs, FUSE or root. KVJURY_UPDATE_GOLDEN=1
records scenarios/change-log/*.txt anew; what stands in them is told on top of each. Each step is an operation of a case as text, which our
sessions read, and the call that does the same on a mount.
"""

import ctypes
import fcntl
import os
import re
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_tools import Folder, Format, JuiceFs, Mount, PROGRAM, ROOT, Require, Served, SetAcl

RECORDED = os.path.join(ROOT, "scenarios/change-log")
UNCACHED = ("--attr-cache", "0", "--entry-cache", "0", "--dir-entry-cache", "0", "--open-cache", "0", "--enable-ioctl", "--atime-mode", "noatime")
QUIET_S = 0.7  # so long nothing more comes: background work that an operation starts is done
HEAD = """# The change log of a mount of juicefs 1.4.2 on a volume {trash}. `> ` an operation, in the text form of proto/kvjury/case.proto; below it
# the texts that it left, in the order of their timestamps; those of compact and remove_tree, which have threads, sorted, names of one batch, too.
# Times of the moment are `now`, what else hangs on the run `*`; slices are numbered as they appear. `background`: what came at any time besides,
# numbers left out. Recorded by harness/tools/change_log_test.py.
"""


def Normal(text):
    """The operation of a record without what hangs on the run."""
    operation, arguments, result = re.fullmatch(r"([A-Z_]+)\((.*)\)(?::(.*))?", text).groups()
    words = arguments.split(",")
    if operation == "SETATTR":
        for second, nanosecond in ((7, 9), (8, 10), (11, 12)):
            if int(words[second]) > 1_700_000_000:
                words[second] = words[nanosecond] = "now"
    elif operation == "WRITE":
        words[5] = words[6] = "now"
    elif operation == "SET":
        words[1] = "now"
    elif operation == "NEWSESSION":
        words[1:] = ["now", "*"]
    elif operation in ("CLEANUP_DELAYED_SLICES", "CLEANUP_TRASH_SLICES"):
        words[1] = "now"
    elif operation in ("FLOCK", "SETLK"):
        words[1] = "*"
        if operation == "SETLK":
            words[5] = "*"
    elif operation == "CREATE" and words[0] == "9223372032828243968":
        words[1] = "*"  # the hour
    elif operation == "UNLINKBATCH":
        pairs = sorted(zip(words[1:-2], result.split(",")))
        words[1:-2] = [name for name, _ in pairs]
        result = ",".join(inode for _, inode in pairs)
    return f"{operation}({','.join(words)})" + ("" if result is None else f":{result}")


def WithSlices(texts, names):
    """The ids of slices by their first appearance: the real client leaves some out."""
    for line in texts:
        found = re.match(r"(WRITE\((?:\d+,){3}|COMPACTCHUNK\((?:\d+,){5}|(?:DELETESLICE|CLEANUP_DELAYED_SLICES|CLEANUP_TRASH_SLICES)\()(\d+)(.*)", line)
        yield line if found is None else f"{found[1]}{names.setdefault(found[2], f'slice{len(names) + 1}')}{found[3]}"


def IsBackground(text):
    return re.match(r"INCR_COUNTER\((usedSpace|totalInodes),|SET\(|DIRSTAT\(", text) is not None


class Steps:
    """The operations that the recording knows, as calls on a mount."""

    def __init__(self, mount, meta):
        self.mount, self.meta, self.handles, self.locks = os.fsencode(mount), meta, {}, {}

    def At(self, path):
        return os.path.join(self.mount, path)

    def create(self, path, mode):
        os.close(os.open(self.At(path), os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))

    def open(self, path, handle, flags):
        self.handles[handle] = os.open(self.At(path), flags)

    def close(self, handle):
        os.close(self.handles.pop(handle))

    def write(self, path, offset, length):
        self.With(path, os.O_WRONLY, lambda file: os.pwrite(file, b"x" * length, offset))

    def With(self, path, flags, use):
        file = os.open(self.At(path), flags)
        try:
            use(file)
        finally:
            os.close(file)

    def truncate_handle(self, handle, length):
        os.ftruncate(self.handles[handle], length)

    def fallocate(self, path, mode, offset, length):
        libc = ctypes.CDLL(None, use_errno=True)
        call = lambda file: self.assert_zero(libc.fallocate(file, mode, ctypes.c_long(offset), ctypes.c_long(length)))
        self.With(path, os.O_WRONLY, call)

    @staticmethod
    def assert_zero(answer):
        if answer != 0:
            raise OSError(ctypes.get_errno(), "fallocate")

    def copy(self, source, source_offset, target, target_offset, length):
        self.With(source, os.O_RDONLY, lambda one: self.With(target, os.O_WRONLY, lambda other: os.copy_file_range(one, other, length, source_offset, target_offset)))

    def rename2(self, source, target, flags):
        libc = ctypes.CDLL(None, use_errno=True)
        self.assert_zero(libc.renameat2(-100, self.At(source), -100, self.At(target), flags))

    def acl(self, path, user, permissions, default=False):
        SetAcl(self.At(path), user, permissions, default)

    def Locked(self, path):
        if path not in self.locks:
            self.locks[path] = os.open(self.At(path), os.O_RDWR)
        return self.locks[path]

    def release(self):
        """An open file keeps its mount; what closing one that was locked leaves in the log is the kernel's."""
        for file in self.locks.values():
            os.close(file)

    def flock(self, path, how):
        fcntl.flock(self.Locked(path), how)

    def set_lock(self, path, how, start, length):
        fcntl.lockf(self.Locked(path), how, length, start)

    def tool(self, *words, umask=0o022):
        old = os.umask(umask)
        try:
            JuiceFs(*words)
        finally:
            os.umask(old)


def Tree(s):
    """Steps of both volumes: names, contents, and what becomes of them when they are removed."""
    return [
        ("mkdir { path: 'd' mode: 0755 }", lambda: os.mkdir(s.At(b"d"), 0o755)),
        ("create { path: 'd/f' mode: 0644 }", lambda: s.create(b"d/f", 0o644)),
        ("write { path: 'd/f' length: 10000 }", lambda: s.write(b"d/f", 0, 10000)),
        ("write { path: 'd/f' offset: 4096 length: 100 }", lambda: s.write(b"d/f", 4096, 100)),
        ("write { path: 'd/f' offset: 67108869 length: 7 }", lambda: s.write(b"d/f", 67108869, 7)),
        ("compact { path: 'd' }", lambda: s.tool("compact", os.fsdecode(s.At(b"d")))),
        ("create { path: 'd/g' mode: 0644 }", lambda: s.create(b"d/g", 0o644)),
        ("copy_file_range { from: 'd/f' from_offset: 100 to: 'd/g' to_offset: 50 length: 6000 }", lambda: s.copy(b"d/f", 100, b"d/g", 50, 6000)),
        ("truncate { path: 'd/f' length: 5000 }", lambda: os.truncate(s.At(b"d/f"), 5000)),
        ("truncate { path: 'd/f' length: 70000 }", lambda: os.truncate(s.At(b"d/f"), 70000)),
        ("link { from: 'd/f' to: 'd/h' }", lambda: os.link(s.At(b"d/f"), s.At(b"d/h"))),
        ("unlink { path: 'd/h' }", lambda: os.unlink(s.At(b"d/h"))),
        ("create { path: 'd/i' mode: 0600 }", lambda: s.create(b"d/i", 0o600)),
        ("write { path: 'd/i' length: 5 }", lambda: s.write(b"d/i", 0, 5)),
        ("open { path: 'd/i' handle: 1 }", lambda: s.open(b"d/i", 1, os.O_RDONLY)),
        ("unlink { path: 'd/i' }", lambda: os.unlink(s.At(b"d/i"))),
        ("close { handle: 1 }", lambda: s.close(1)),
        ("create { path: 'd/j' mode: 0600 }", lambda: s.create(b"d/j", 0o600)),
        ("write { path: 'd/j' length: 6 }", lambda: s.write(b"d/j", 0, 6)),
        ("rename { from: 'd/g' to: 'd/j' }", lambda: os.rename(s.At(b"d/g"), s.At(b"d/j"))),
        ("symlink { path: 'd/l' target: 'j' }", lambda: os.symlink(b"j", s.At(b"d/l"))),
        ("mkdir { path: 'd/e' mode: 0700 }", lambda: os.mkdir(s.At(b"d/e"), 0o700)),
        ("mkdir { path: 'd/e/e' mode: 0700 }", lambda: os.mkdir(s.At(b"d/e/e"), 0o700)),
        ("rename { from: 'd/e/e' to: 'n' }", lambda: os.rename(s.At(b"d/e/e"), s.At(b"n"))),
        ("rmdir { path: 'n' }", lambda: os.rmdir(s.At(b"n"))),
        ("create { path: 'd/e/k' mode: 0600 }", lambda: s.create(b"d/e/k", 0o600)),
        ("remove_tree { path: 'd' }", lambda: s.tool("rmr", os.fsdecode(s.At(b"d")))),
    ]


def Others(s):
    """Steps that do not hang on the trash."""
    odd = b"a,b(c)%\"\\ \xc3\xa9\n"
    return [
        ("create { path: 'a,b(c)%\\\"\\\\ \\303\\251\\n' mode: 0640 }", lambda: s.create(odd, 0o640)),
        ("symlink { path: 'l' target: 'a,b(c)%\\\"\\\\ \\303\\251\\n' }", lambda: os.symlink(odd, s.At(b"l"))),
        ("mknod { path: 'p' mode: 0600 type: 4 }", lambda: os.mknod(s.At(b"p"), stat.S_IFIFO | 0o600)),
        ("mknod { path: 'c' mode: 0600 type: 6 rdev: 259 }", lambda: os.mknod(s.At(b"c"), stat.S_IFCHR | 0o600, os.makedev(1, 3))),
        ("create { path: 'x' mode: 0600 }", lambda: s.create(b"x", 0o600)),
        ("rename { from: 'x' to: 'p' flags: 2 }", lambda: s.rename2(b"x", b"p", 2)),
        ("rename { from: 'p' to: 'y' flags: 1 }", lambda: s.rename2(b"p", b"y", 1)),
        ("mkdir { path: 'q' mode: 0755 }", lambda: os.mkdir(s.At(b"q"), 0o755)),
        ("fallocate { path: 'y' length: 20000 }", lambda: s.fallocate(b"y", 0, 0, 20000)),
        ("fallocate { path: 'y' mode: 3 offset: 15000 length: 10000 }", lambda: s.fallocate(b"y", 3, 15000, 10000)),
        ("fallocate { path: 'y' mode: 16 offset: 100 length: 50000 }", lambda: s.fallocate(b"y", 16, 100, 50000)),
        ("open { path: 'y' handle: 2 flags: 2 }", lambda: s.open(b"y", 2, os.O_RDWR)),
        ("truncate { handle: 2 length: 300 }", lambda: s.truncate_handle(2, 300)),
        ("close { handle: 2 }", lambda: s.close(2)),
        ("open { path: 'y' handle: 3 flags: 513 }", lambda: s.open(b"y", 3, os.O_WRONLY | os.O_TRUNC)),
        ("close { handle: 3 }", lambda: s.close(3)),
        ("setattr { path: 'y' mode: 0604 }", lambda: os.chmod(s.At(b"y"), 0o604)),
        ("setattr { path: 'y' uid: 7 gid: 8 }", lambda: os.chown(s.At(b"y"), 7, 8)),
        ("setattr { path: 'y' uid: 9 }", lambda: os.chown(s.At(b"y"), 9, -1)),
        ("setattr { path: 'y' atime_ns: 1000000000000000001 mtime_ns: 1100000000000000002 }",
         lambda: os.utime(s.At(b"y"), ns=(1000000000000000001, 1100000000000000002))),
        ("setxattr { path: 'y' name: 'user.k,' value: '\\001%v' }", lambda: os.setxattr(s.At(b"y"), "user.k,", b"\x01%v")),
        ("setxattr { path: 'y' name: 'user.k,' value: 'w' flags: 2 }", lambda: os.setxattr(s.At(b"y"), "user.k,", b"w", os.XATTR_REPLACE)),
        ("removexattr { path: 'y' name: 'user.k,' }", lambda: os.removexattr(s.At(b"y"), "user.k,")),
        ("set_acl { path: 'y' owner: 7 group: 5 other: 4 mask: 7 user { id: 11 permissions: 6 } }", lambda: s.acl(b"y", 11, 6)),
        ("set_acl { path: 'q' is_default: true owner: 7 group: 5 other: 4 mask: 7 user { id: 12 permissions: 6 } }", lambda: s.acl(b"q", 12, 6, True)),
        ("create { path: 'q/r' mode: 0666 }", lambda: s.create(b"q/r", 0o666)),
        ("set_acl { path: 'q' is_default: true remove: true }", lambda: os.removexattr(s.At(b"q"), "system.posix_acl_default")),
        ("flock { path: 'y' owner: 1 }", lambda: s.flock(b"y", fcntl.LOCK_SH)),
        ("flock { path: 'y' owner: 1 kind: 1 }", lambda: s.flock(b"y", fcntl.LOCK_EX)),
        ("flock { path: 'y' owner: 1 kind: 2 }", lambda: s.flock(b"y", fcntl.LOCK_UN)),
        ("set_lock { path: 'y' owner: 1 kind: 1 start: 5 end: 14 }", lambda: s.set_lock(b"y", fcntl.LOCK_EX, 5, 10)),
        ("set_lock { path: 'y' owner: 1 start: 7 end: 8 }", lambda: s.set_lock(b"y", fcntl.LOCK_SH, 7, 2)),
        ("set_lock { path: 'y' owner: 1 kind: 2 start: 0 end: 100 }", lambda: s.set_lock(b"y", fcntl.LOCK_UN, 0, 101)),
        ("mkdir { path: 'q/s' mode: 0777 }", lambda: os.mkdir(s.At(b"q/s"), 0o777)),
        ("rename { from: 'q/r' to: 'q/s/r' }", lambda: os.rename(s.At(b"q/r"), s.At(b"q/s/r"))),
        ("write { path: 'q/s/r' length: 9 }", lambda: s.write(b"q/s/r", 0, 9)),
        ("clone { from: 'q/s/r' to: 'z' }", lambda: s.tool("clone", os.fsdecode(s.At(b"q/s/r")), os.fsdecode(s.At(b"z")))),
        ("clone { from: 'q' to: 't' preserve: true }", lambda: s.tool("clone", "-p", os.fsdecode(s.At(b"q")), os.fsdecode(s.At(b"t")))),
        ("set_quota { path: 'q' space_max: 1073741824 inodes_max: 100 }",
         lambda: s.tool("quota", "set", s.meta, "--path", "/q", "--capacity", "1", "--inodes", "100")),
        ("delete_quota { path: 'q' }", lambda: s.tool("quota", "delete", s.meta, "--path", "/q")),
        ("set_quota { uid: 7 space_max: 1073741824 inodes_max: 100 }", lambda: s.tool("quota", "set", s.meta, "--uid", "7", "--capacity", "1", "--inodes", "100")),
        ("set_quota { gid: 8 space_max: 2147483648 }", lambda: s.tool("quota", "set", s.meta, "--gid", "8", "--capacity", "2", "--inodes", "0")),
        ("delete_quota { uid: 7 }", lambda: s.tool("quota", "delete", s.meta, "--uid", "7")),
        ("delete_quota { gid: 8 }", lambda: s.tool("quota", "delete", s.meta, "--gid", "8")),
    ]


class Recording(unittest.TestCase):
    maxDiff = None

    def Records(self):
        """The whole log in the order of its timestamps: (timestamp, text, session)."""
        done = subprocess.run([PROGRAM, "view", "--keys", self.meta], capture_output=True, text=True, timeout=60, check=True)
        found = []
        for line in done.stdout.splitlines():
            key, value = (bytes.fromhex(word) for word in line.split())
            if key.startswith(b"XLOG"):
                moment, text, number = value.decode("ascii").split("|")
                self.assertRegex(moment, r"^\d{10}\.\d{9}$")
                self.assertRegex(number, r"^\(\d+,\d+\)$")
                stamp = int.from_bytes(key[5:13], "big")
                self.assertEqual(key[4], (stamp ^ stamp >> 18) % 64)
                found.append((stamp, text))
        return sorted(found)

    def Settled(self, awaited=None):
        """What came since the last call, once nothing more comes; what the background writes at any time is kept apart."""
        before, begun = None, time.monotonic()
        quiet, normal = begun, []
        while time.monotonic() - quiet < QUIET_S or (awaited not in (None, *normal) and time.monotonic() - begun < 20):
            records = self.Records()
            texts = [text for stamp, text in records if stamp not in self.seen]
            if texts != before:
                before, quiet = texts, time.monotonic()
                normal = [Normal(text) for text in texts if not IsBackground(text)]
            time.sleep(0.1)
        self.seen.update(stamp for stamp, _ in records)
        self.background.update(re.sub(r"-?\d+", "*", text) for text in texts if IsBackground(text))
        return list(WithSlices(normal, self.slices))

    def Record(self, trash_days, steps):
        lines = []
        self.seen, self.background, self.slices = set(), set(), {}
        with Folder() as folder, Served() as cluster:
            self.meta = cluster.Volume("vol1")
            Format(self.meta, os.path.join(folder, "bucket"), "--trash-days", str(trash_days))
            JuiceFs("quota", "set", self.meta, "--uid", "1", "--inodes", "1000000")  # from here on users and groups are counted
            JuiceFs("config", self.meta, "--changelog", "--yes")
            with Mount(self.meta, *UNCACHED) as mount:
                lines += ["> start", *self.Settled("NEWSESSION(1,now,*)")]
                carried = Steps(mount, self.meta)
                for text, call in steps(carried):
                    with self.subTest(text):
                        call()
                        texts = self.Settled()
                        lines += ["> " + text, *(sorted(texts) if text.startswith(("compact", "remove_tree")) else texts)]
                carried.release()
                self.Settled()
            lines += ["> stop", *self.Settled("CLEANSESSION(1)")]
        return [*lines, *(f"background {text}" for text in sorted(self.background))]

    def Compare(self, name, trash_days, steps):
        os.umask(0)
        lines = self.Record(trash_days, steps)
        path = os.path.join(RECORDED, name)
        if os.environ.get("KVJURY_UPDATE_GOLDEN"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(HEAD.format(trash="with trash" if trash_days > 0 else "without trash") + "\n".join(lines) + "\n")
        with open(path, encoding="utf-8") as file:
            recorded = [line for line in file.read().splitlines() if not line.startswith("#")]
        self.assertGreaterEqual(len(recorded), 60)
        self.assertEqual(lines, recorded)

    def test_a_volume_with_trash(self):
        self.Compare("with-trash.txt", 1, lambda s: [*Tree(s), *Others(s)])

    def test_a_volume_without_trash(self):
        self.Compare("without-trash.txt", 0, Tree)


if __name__ == "__main__":
    Require("juicefs", mounts=True)
    del sys.argv[1:3]
    unittest.main(verbosity=2)
