"""What the tests with the label `tools` share: finding the real programs, a served cluster, mounts, and what a mount shows.

Everything that a test starts ends with it: processes by their own ids, mounts by their own folders. Traffic stays on loopback.
"""

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "cli"))
from served_process import ServedProcess

PROGRAM, ROOT = sys.argv[1], sys.argv[2]
SKIPPED = 77  # what ctest shows as skipped


def _Tools():
    done = subprocess.run([os.path.join(ROOT, "ci/tools"), "--cached"], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


TOOLS = _Tools()


def Require(*names, mounts=False):
    """Ends the whole test file as skipped, with the reason, unless all of these are here."""
    missing = [f"no {name} (ci/tools gets it)" for name in names if name not in TOOLS]
    if mounts and not (os.access("/dev/fuse", os.R_OK | os.W_OK) and os.geteuid() == 0):
        missing.append("no /dev/fuse, or not root")
    if missing:
        print(f"skipped: {'; '.join(missing)}")
        sys.exit(SKIPPED)


def Run(*command, timeout_s=120, cwd=None, ok=(0,)):
    """Its stdout and stderr together; fails the test unless the exit code is one of `ok` (empty: any)."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout_s, cwd=cwd, text=True, errors="replace")
    if ok and done.returncode not in ok:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done


def JuiceFs(*arguments, timeout_s=120, ok=(0,)):
    return Run(TOOLS["juicefs"], *arguments, "--no-agent", timeout_s=timeout_s, ok=ok)


@contextlib.contextmanager
def Folder():
    path = tempfile.mkdtemp(prefix="kvjury-tools-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Served(ServedProcess):
    """One `kvjury serve`, as a context."""

    def __init__(self, *arguments):
        super().__init__(PROGRAM, *arguments)

    def Poke(self, *words, ok=(0,)):
        """`kvjury poke`: its exit code, 0 if it had an effect, 3 if it had none."""
        return Run(PROGRAM, "poke", "--ready-file", self.ready_file, *words, ok=ok).returncode


class Mount:
    """A volume mounted through the kernel, as a context; the value is the mount point."""

    def __init__(self, meta, *arguments):
        self.meta, self.arguments = meta, arguments

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kvjury-mount-")
        self.path = os.path.join(self.folder, "mnt")
        os.mkdir(self.path)
        atexit.register(self._Release)
        JuiceFs("mount", self.meta, self.path, "-d", "--no-usage-report", "--enable-xattr", "--backup-meta", "0", "--cache-size", "0", "--log",
                os.path.join(self.folder, "log"), *self.arguments)
        return self.path

    def __exit__(self, *_):
        JuiceFs("umount", self.path, ok=())
        self._Release()
        atexit.unregister(self._Release)

    def _Release(self):
        if os.path.ismount(self.path):
            subprocess.run(["umount", "-l", self.path], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def SetAcl(path, user, permissions, default=False):
    """rwx for owner, r-x for the group, r-- for others, one user more; the mask is 7."""
    entries = [(1, 7, 2**32 - 1), (2, permissions, user), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 4, 2**32 - 1)]
    value = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_" + ("default" if default else "access"), value)


def Format(meta, bucket, *arguments, name="vol1"):
    JuiceFs("format", meta, name, "--storage", "file", "--bucket", bucket, "--trash-days", "1", "--enable-acl", *arguments)


def _Entry(root, path, contents):
    status = os.lstat(path)
    entry = {"inode": str(status.st_ino), "mode": oct(status.st_mode), "uid": status.st_uid, "gid": status.st_gid, "nlink": status.st_nlink,
             "size": str(status.st_size), "rdev": status.st_rdev, "atime_ns": str(status.st_atime_ns), "mtime_ns": str(status.st_mtime_ns),
             "ctime_ns": str(status.st_ctime_ns)}
    if stat.S_ISLNK(status.st_mode):
        entry["target"] = os.readlink(path).decode("latin-1")
        return entry
    with contextlib.suppress(OSError):  # the made-up folder of the trash has none to list
        names = sorted(os.listxattr(path, follow_symlinks=False))
        if names:
            entry["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False).decode("latin-1") for name in names}
    if contents and stat.S_ISREG(status.st_mode) and status.st_size <= 256 << 20:
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        entry["sha256"] = digest.hexdigest()
    return entry


def Walk(mount, contents=True):
    """Every entry that the mount shows, by path (bytes as Latin-1 text); the trash too, juicefs's own files not."""
    root = os.fsencode(mount)
    own = {b".accesslog", b".config", b".stats", b".control", b".trash"}
    entries, waiting = {}, [root, os.path.join(root, b".trash")]
    while waiting:
        path = waiting.pop()
        entries[os.path.relpath(path, root).decode("latin-1")] = _Entry(root, path, contents)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            waiting.extend(os.path.join(path, name) for name in os.listdir(path) if not (path == root and name in own))
    for field in ("atime_ns", "mtime_ns", "ctime_ns"):  # those of the trash's root are the mount's own
        entries[".trash"].pop(field)
    return entries


def View(address):
    """What kvjury computes for the volume at `address`, in the form of Walk without contents."""
    done = subprocess.run([PROGRAM, "view", "--json", address], capture_output=True, timeout=300, check=False)
    if done.returncode != 0:
        raise AssertionError(f"kvjury view {address} ended with {done.returncode}: {done.stderr.decode()}")
    entries = {}
    for line in done.stdout.decode().splitlines():
        entry = json.loads(line)
        entry.pop("content", None)
        entry.pop("volume", None)
        entries[entry.pop("path")] = entry
    for field in ("atime_ns", "mtime_ns", "ctime_ns"):
        entries[".trash"].pop(field, None)
    return entries


def Differences(left, right, ignore=("sha256",)):
    """Both directions, every field: [(path, field, left, right)]. Nothing to compare is a difference, too."""
    if not left or not right:
        return [("", "entries", len(left), len(right))]
    found = []
    for path in sorted(left.keys() | right.keys()):
        one, other = left.get(path), right.get(path)
        if one is None or other is None:
            found.append((path, "entry", one is not None, other is not None))
            continue
        for field in sorted((one.keys() | other.keys()) - set(ignore)):
            if one.get(field) != other.get(field):
                found.append((path, field, one.get(field), other.get(field)))
    return found
