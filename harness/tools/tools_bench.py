"""Figures of the real programs on a served cluster, as one JSON object: start-up, files that a mount creates a second, and a backup
and restore by br of 20,000 files. Usage: tools_bench.py PROGRAM SOURCE_DIR [FILES]. Needs juicefs, br, FUSE and root.
"""

import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from br_test import Backup, Restore
from real_tools import Folder, Format, Mount, Require, Served


def Took(work):
    begun = time.monotonic()
    work()
    return round(time.monotonic() - begun, 3)


def StartMs():
    """From the call of the program until clients may connect, the best of five."""
    best = 1e9
    for _ in range(5):
        begun = time.monotonic()
        with Served("--stores", "3"):
            best = min(best, (time.monotonic() - begun) * 1000)
    return round(best, 1)


def Create(mount, first, count):
    for i in range(first, first + count):
        folder = os.path.join(mount, f"d{i // 500}")
        if i % 500 == 0:
            os.mkdir(folder)
        with open(os.path.join(folder, str(i)), "wb"):
            pass


def ResidentMib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS"))


def main():
    Require("juicefs", "br", mounts=True)
    files = int(sys.argv[3]) if len(sys.argv) > 3 else 20_000
    figures = {"start_ms": StartMs(), "files": files}
    with Folder() as folder, Served("--stores", "3", "--regions", "6") as source, Served("--stores", "3") as target:
        backup = os.path.join(folder, "backup")
        os.mkdir(backup)
        Format(source.Volume("vol1"), os.path.join(folder, "bucket"))
        with Mount(source.Volume("vol1")) as mount:
            took = Took(lambda: Create(mount, 0, files))
            figures["creations_per_s"] = round(files / took)
        figures["backup_s"] = Took(lambda: Backup(source, backup))
        figures["restore_s"] = Took(lambda: Restore(target, backup))
        figures["source_resident_mib"] = ResidentMib(source.process.pid)
        figures["target_resident_mib"] = ResidentMib(target.process.pid)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
