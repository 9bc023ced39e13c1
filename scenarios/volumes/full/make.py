#!/usr/bin/env python3
"""Writes kv.tsv.gz beside it: a volume by hand that holds one of everything which dumps and loads have lost before, and is whole.

All invariants hold, usage is exact, and nothing in it is a known loss of any form of dump but one: the open file that was deleted, whose
session a binary dump does not hold. Keys and values as juicefs 1.4 writes them. The bytes of kv.tsv.gz depend on this file alone.
"""
import gzip
import os
import struct

T = 0x7FFFFFFF10000000
FILE, DIRECTORY, SYMLINK, FIFO, CHAR = 1, 2, 3, 4, 6
SESSION = 3
pairs = {}
inodes = {}
names = {}  # directory -> name -> inode
now = [1_790_000_000]


def Le(number):
    return struct.pack("<q", number)


def In(inode):
    return struct.pack("<Q", inode)


def A(inode, rest):
    return b"A" + In(inode) + rest


def Make(directory, name, kind, inode, mode=0o644, **more):
    now[0] += 7
    attr = dict(flags=0, type=kind, mode=mode, uid=0, gid=0, time=now[0], nlink=2 if kind == DIRECTORY else 1,
                length=4096 if kind == DIRECTORY else 0, rdev=0, parent=directory, access=0, default=0, tier=0)
    attr.update(more)
    inodes[inode] = attr
    if name is not None:
        names.setdefault(directory, {})[name] = inode
    return inode


def Xattr(inode, name, value):
    pairs[A(inode, b"X" + name)] = value


def Chunk(inode, slices, index=0):
    """slices: position, id, size, offset, length."""
    pairs[A(inode, b"C" + struct.pack(">I", index))] = b"".join(struct.pack(">IQIII", *one) for one in slices)


def Rule(number, owner, group, mask, other, users, groups):
    text = struct.pack(">HHHH", owner, group, mask, other)
    for entries in (users, groups):
        text += struct.pack(">I", len(entries)) + b"".join(struct.pack(">IH", *entry) for entry in entries)
    pairs[b"R" + struct.pack(">I", number)] = text


def Space(length):
    return 4096 if length == 0 else (length + 4095) // 4096 * 4096


def Tree():
    inodes[1] = dict(flags=0, type=DIRECTORY, mode=0o777, uid=0, gid=0, time=now[0], nlink=2, length=4096, rdev=0, parent=1, access=0, default=0, tier=0)
    # ACLs: names in an order in which one with a rule stands before one without.
    acl = Make(1, b"acl", DIRECTORY, 2, 0o750, access=1, default=2)
    Make(acl, b"a-with", FILE, 3, 0o664, access=3)
    Make(acl, b"b-without", FILE, 4)
    Make(acl, b"c-with", FILE, 5, 0o660, access=1)
    Rule(1, 7, 5, 7, 0, [(1000, 7)], [(1001, 5)])
    Rule(2, 7, 5, 5, 0, [(1002, 4)], [])
    Rule(3, 6, 4, 6, 4, [(1000, 6), (1003, 4)], [(2000, 6)])
    # Attributes that came with later versions.
    kept = Make(1, b"attributes", DIRECTORY, 6, 0o755)
    Make(kept, b"immutable", FILE, 7, flags=1)
    Make(kept, b"append", FILE, 8, flags=2)
    Make(kept, b"cold", FILE, 9, tier=1)
    Make(kept, b"cold-with-rule", FILE, 10, tier=2, access=3, flags=32)
    Make(kept, b"fifo", FIFO, 11, 0o600)
    Make(kept, b"device", CHAR, 12, 0o600, rdev=0x501)
    # Slices that two files share, as clone and copy_file_range leave them.
    shared = Make(1, b"clones", DIRECTORY, 13, 0o755)
    Make(shared, b"one", FILE, 14, length=5000)
    Make(shared, b"two", FILE, 15, length=5000)
    Chunk(14, [(0, 1, 5000, 0, 5000)])
    Chunk(15, [(0, 1, 5000, 0, 5000), (100, 2, 50, 0, 50)])
    pairs[b"K" + struct.pack(">QI", 1, 5000)] = Le(1)
    # Links: twice in one directory and once in another; once in the trash.
    links = Make(1, b"links", DIRECTORY, 16, 0o755)
    Make(links, b"first", FILE, 17, nlink=3, parent=0, length=10)
    names[links].update({b"second": 17})
    names[shared][b"third"] = 17
    Chunk(17, [(0, 3, 10, 0, 10)])
    pairs[A(17, b"P" + In(links))] = Le(2)
    pairs[A(17, b"P" + In(shared))] = Le(1)
    Make(links, b"kept", FILE, 18, nlink=2, parent=0)
    # Names and values that are no text.
    odd = Make(1, b"names", DIRECTORY, 19, 0o755)
    inode = 20
    for name in (b"\xff\xfe raw", "\u4e2d\u6587".encode("gbk"), "\u4e2d\u6587".encode(), b"100% %41", b"quote\"back\\slash", b" space ", b"new\nline"):
        Make(odd, name, FILE, inode)
        inode += 1
    Xattr(20, b"user.bytes", bytes(range(256)))
    Xattr(21, b"user.percent", b"%41 %25 100%")
    Xattr(22, b"user.text", b"plain")
    link = Make(odd, b"link", SYMLINK, 27, 0o777, length=len(b"../links/first"))
    pairs[A(link, b"S")] = b"../links/first"
    # A directory that is listed in pages.
    many = Make(1, b"many", DIRECTORY, 28, 0o755)
    for i in range(20):
        Make(many, b"file-%02d" % i, FILE, 29 + i, uid=1000, gid=1000, length=i * 1000)
        if i > 0:
            Chunk(29 + i, [(0, 10 + i, i * 1000, 0, i * 1000)])
    below = Make(many, b"below", DIRECTORY, 49, 0o755)
    Make(below, b"deep", FILE, 50)


def Trash():
    Make(1, None, DIRECTORY, T, 0o555)
    for number, hour in ((1, b"2026-09-21-12"), (2, b"2026-09-21-14")):
        Make(T, hour, DIRECTORY, T + number, 0o555)
    Make(T + 1, b"1-51-gone", FILE, 51, length=700)
    Chunk(51, [(0, 40, 700, 0, 700)])
    Make(T + 1, b"1-52-emptied", DIRECTORY, 52, 0o755)
    names[T + 2] = {b"16-18-also": 18}
    # The newest inode and the newest slice of all are here.
    Make(T + 2, b"1-2060-newest", FILE, 2060, length=900)
    Chunk(2060, [(0, 5000, 900, 0, 900)])
    pairs[A(18, b"P" + In(16))] = Le(1)
    pairs[A(18, b"P" + In(T + 2))] = Le(1)


def Sessions():
    # An open file that was deleted, and locks, of a client that was killed; and a file whose data wait for deletion.
    Make(0, None, FILE, 53, nlink=0, length=300, parent=1)
    Chunk(53, [(0, 41, 300, 0, 300)])
    pairs[b"SS" + struct.pack(">Q", SESSION) + In(53)] = b"\x01"
    pairs[b"SE" + struct.pack(">Q", SESSION)] = struct.pack(">q", 1_900_000_000)
    pairs[b"SI" + struct.pack(">Q", SESSION)] = (b'{"Version":"1.4.2","HostName":"host","IPAddrs":["10.0.0.1"],"MountPoint":"/jfs",'
                                                 b'"MountTime":"2026-09-21T12:00:00Z","ProcessID":4321}')
    pairs[b"F" + In(14)] = struct.pack(">QQ", SESSION, 11) + b"W"
    pairs[b"P" + In(15)] = struct.pack(">QQI", SESSION, 12, 24) + struct.pack(">IIQQ", 1, 4321, 0, 99)
    pairs[b"D" + In(54) + struct.pack(">Q", 400)] = struct.pack(">q", 1_789_999_000)
    Chunk(54, [(0, 42, 400, 0, 400)])


def Totals():
    space = count = 0
    usage = {}
    for inode, attr in inodes.items():
        if inode in (1, T) or attr["nlink"] == 0:
            continue
        used = Space(attr["length"]) if attr["type"] == FILE else 4096
        space += used
        count += 1
        if attr["type"] in (FILE, DIRECTORY):
            for kind, owner in (("QU", attr["uid"]), ("QG", attr["gid"])):
                before = usage.get((kind, owner), (0, 0))
                usage[kind, owner] = (before[0] + used, before[1] + 1)
    return space, count, usage


def Below(directory):
    """Space and inodes of all names below."""
    space = count = 0
    for inode in names.get(directory, {}).values():
        attr = inodes[inode]
        space += Space(attr["length"]) if attr["type"] == FILE else 4096
        count += 1
        if attr["type"] == DIRECTORY:
            more = Below(inode)
            space += more[0]
            count += more[1]
    return space, count


def WriteOut():
    for directory, entries in names.items():
        length = space = 0
        for name, inode in entries.items():
            attr = inodes[inode]
            pairs[A(directory, b"D" + name)] = struct.pack(">BQ", attr["type"], inode)
            if attr["type"] == DIRECTORY and directory < T:
                inodes[directory]["nlink"] += 1
            size = attr["length"] if attr["type"] == FILE else 0
            length += size
            space += Space(size)
        if directory != T:
            pairs[b"U" + In(directory)] = struct.pack(">qqq", length, space, len(entries))
    for inode, attr in inodes.items():
        if attr["type"] == DIRECTORY and inode not in names:
            pairs[b"U" + In(inode)] = struct.pack(">qqq", 0, 0, 0)
        tail = b""
        if attr["access"] or attr["default"]:
            tail += struct.pack(">II", attr["access"], attr["default"])
        tail += bytes([attr["tier"]]) if attr["tier"] else b""
        pairs[A(inode, b"I")] = struct.pack(">BHIIqIqIqIIQIQ", attr["flags"], attr["type"] << 12 | attr["mode"], attr["uid"], attr["gid"], attr["time"], 1,
                                            attr["time"], 2, attr["time"], 3, attr["nlink"], attr["length"], attr["rdev"], attr["parent"]) + tail + b"\x00"
    space, count, usage = Totals()
    for name, value in (("nextInode", 3074), ("nextChunk", 8193), ("nextSession", SESSION), ("nextTrash", 2), ("usedSpace", space), ("totalInodes", count),
                        ("aclMaxId", 3)):
        pairs[b"C" + name.encode()] = Le(value)
    pairs[b"QD" + In(28)] = struct.pack(">qqqq", 1 << 30, 1000, *Below(28))
    for kind, owner, limits in (("QU", 1000, (1 << 31, 500)), ("QG", 1000, (-1, 600)), ("QU", 0, (-1, -1)), ("QG", 0, (-1, -1))):
        pairs[kind.encode() + struct.pack(">Q", owner)] = struct.pack(">qqqq", *limits, *usage[kind, owner])
    pairs[b"setting"] = (b'{\n"Name": "full",\n"UUID": "6c1f1a52-7a0b-4c7e-9d53-0c5f2f6a9e11",\n"Storage": "file",\n"Tiers": {\n"0": {\n"ID": 0,\n"StorageClass": "",'
                         b'\n"Tag": ""\n}\n},\n"Bucket": "/var/jfs/",\n"BlockSize": 4096,\n"Compression": "none",\n"EncryptAlgo": "aes256gcm-rsa",\n"TrashDays": 1,'
                         b'\n"MetaVersion": 1,\n"MinClientVersion": "1.2.0-A",\n"DirStats": true,\n"UserGroupQuota": true,\n"EnableACL": true\n}')


def Main():
    Tree()
    Trash()
    Sessions()
    WriteOut()
    text = "".join(f"{key.hex()}\t{value.hex()}\n" for key, value in sorted(pairs.items()))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kv.tsv.gz")
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(text.encode())


if __name__ == "__main__":
    Main()
