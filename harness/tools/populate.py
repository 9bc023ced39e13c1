"""Fills a mounted file system so that nearly every kind of metadata record of JuiceFS occurs.

Rich(root): a small tree of all kinds, through ordinary system calls. Busy(root, files): a plain tree of many small files.
Not covered: records that only `juicefs` commands make (quotas, clones), and empty values of extended attributes, which a
volume on TiKV refuses (EINVAL), since TiKV's client stores no empty value.
"""

import os
import random
import socket
import stat
import subprocess


def _Write(path, data=b"", mode="wb"):
    with open(path, mode) as file:
        file.write(data)


def _Files(at):
    draw = random.Random(20)
    os.mkdir(at("plain"))
    for i in range(60):
        _Write(at("plain", f"{i:03}.dat"), draw.randbytes(draw.choice([0, 1, 100, 4096, 65_000])))
    os.mkdir(at("slices"))
    _Write(at("slices", "patched"), draw.randbytes(200_000))
    for offset in (10, 70_000, 199_995):
        with open(at("slices", "patched"), "r+b") as file:
            file.seek(offset)
            file.write(draw.randbytes(9_000))
            os.fsync(file.fileno())
    for i in range(25):
        _Write(at("slices", "appended"), b"entry %d\n" % i, "ab")
    with open(at("slices", "over-a-chunk"), "wb") as file:
        file.seek((64 << 20) - 3)
        file.write(b"0123456")
    with open(at("slices", "sparse"), "wb") as file:
        file.truncate(1 << 38)
    _Write(at("slices", "cut-and-grown"), draw.randbytes(150_000))
    os.truncate(at("slices", "cut-and-grown"), 777)
    os.truncate(at("slices", "cut-and-grown"), 50_000)
    _Write(at("slices", "whole"), draw.randbytes(1_500_000))
    with open(at("slices", "whole"), "rb") as source, open(at("slices", "part"), "wb") as target:
        os.copy_file_range(source.fileno(), target.fileno(), 1_000_000, 33, 11)
    for name, arguments in (("punched", ["-p", "-o", "50000", "-l", "90000"]), ("reserved", ["-l", "333333"])):
        _Write(at("slices", name), draw.randbytes(200_000) if name == "punched" else b"")
        subprocess.run(["fallocate", *arguments, at("slices", name)], check=False, capture_output=True)


def _Names(at):
    os.mkdir(at("names"))
    for name in (b"\xc4\xe3\xba\xc3", "ñandú-日本".encode(), b"line\nfeed", b"100%2F%00", b"\"quoted\\", b"n" * 255, b" blank ", b"-n", b"a\tb"):
        _Write(os.path.join(os.fsencode(at("names")), name), name)
    os.mkdir(at("links"))
    _Write(at("links", "first"), b"one file, three names")
    os.link(at("links", "first"), at("links", "second"))
    os.link(at("links", "first"), at("plain", "third"))
    os.symlink("first", at("links", "near"))
    os.symlink("/no/such/" + "y" * 700, at("links", "far"))
    os.symlink(b"\xfd\xfe", os.path.join(os.fsencode(at("links")), b"bytes"))


def _Attributes(at):
    os.chmod(at("plain", "000.dat"), 0o4711)
    os.chmod(at("plain", "001.dat"), 0)
    os.chown(at("plain", "002.dat"), 1234, 4321)
    os.chown(at("plain", "003.dat"), 4_100_000_000, 4_100_000_001)
    os.utime(at("plain", "004.dat"), ns=(7, 999_999_998))
    os.utime(at("plain", "005.dat"), ns=(4_102_444_800_000_000_001, 7_258_118_400_999_999_999))
    os.mkdir(at("attributes"))
    os.chmod(at("attributes"), 0o3777)
    _Write(at("attributes", "file"))
    os.setxattr(at("attributes", "file"), "user.text", b"words")
    os.setxattr(at("attributes", "file"), "user.bytes", bytes(range(256)))
    os.setxattr(at("attributes", "file"), "user.removed", b"soon")
    os.removexattr(at("attributes", "file"), "user.removed")
    os.setxattr(at("attributes"), "user.folder", b"yes")
    os.mkdir(at("attributes", "inherits"))
    for arguments in (["-d", "-m", "u:1234:rwx,g:4321:r-x", at("attributes", "inherits")], ["-m", "u:77:rw-,m::rw-", at("attributes", "file")]):
        subprocess.run(["setfacl", *arguments], check=False, capture_output=True)
    _Write(at("attributes", "inherits", "child"))
    os.mkdir(at("attributes", "inherits", "folder"))


def _SpecialFiles(at):
    os.mkdir(at("special"))
    os.mkfifo(at("special", "pipe"))
    os.mknod(at("special", "character"), stat.S_IFCHR | 0o620, os.makedev(1, 3))
    os.mknod(at("special", "block"), stat.S_IFBLK | 0o600, os.makedev(259, 65_537))
    folder = os.open(at("special"), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(f"/proc/self/fd/{folder}/socket")  # a mount point's own path may be too long for an address
    os.close(folder)


def _Changes(at):
    os.mkdir(at("moves"))
    for name in "abcdef":
        _Write(at("moves", name), name.encode())
    os.rename(at("moves", "a"), at("moves", "moved"))
    os.rename(at("moves", "b"), at("moves", "c"))
    os.mkdir(at("moves", "folder"))
    os.rename(at("moves", "d"), at("moves", "folder", "d"))
    os.rename(at("moves", "folder"), at("moves", "renamed"))
    os.mkdir(at("deep"))
    path = at("deep")
    for i in range(30):
        path = os.path.join(path, f"level{i}")
        os.mkdir(path)
    _Write(os.path.join(path, "bottom"), b"x")
    os.mkdir(at("gone"))
    for i in range(20):
        _Write(at("gone", f"{i}"), b"soon in the trash")
        if i % 2:
            os.unlink(at("gone", f"{i}"))
    os.mkdir(at("gone", "empty"))
    os.rmdir(at("gone", "empty"))


def Rich(root):
    def At(*parts):
        return os.path.join(root, *parts)
    for part in (_Files, _Names, _Attributes, _SpecialFiles, _Changes):
        part(At)


def Busy(root, files):
    for i in range(files):
        folder = os.path.join(root, f"tree{i // 400}", f"folder{i // 20 % 20}")
        if i % 20 == 0:
            os.makedirs(folder, exist_ok=True)
        _Write(os.path.join(folder, f"{i}"), b"%d" % i if i % 3 else b"")
