"""Our dumps and loads beside those of the real juicefs on a served cluster: what either writes, the other reads, and the same.

Usage: dump_test.py PROGRAM SOURCE_DIR [unittest arguments]. Ends with 77 (skipped) without juicefs.
"""

import gzip
import json
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from real_tools import Folder, JuiceFs, PROGRAM, Require, ROOT, Run, Served

VOLUMES = ("odd", "rich", "crashed", "busy")
CHANGELOG = b"XLOG".hex()


def Recorded(volume, file):
    return os.path.join(ROOT, "scenarios/volumes", volume, file)


def Keys(address):
    """The key lines of an address, without the volume's prefix and the change log, which a load writes with its own timestamps."""
    done = subprocess.run([PROGRAM, "view", "--keys", address], capture_output=True, text=True, check=True)
    prefix = (address.split("/")[-1].encode() + b"\xfd").hex() if address.startswith("tikv") else ""
    lines = [line.removeprefix(prefix) for line in done.stdout.splitlines()]
    return [line for line in lines if not line.startswith(CHANGELOG)]


def SameOrder(path):
    """The text of a JSON dump with its sessions, their inodes and deleted files in one order: a hash table's in the real program."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        text = file.read()
    head = re.search(r'  "Sustained": (\[.*?\n  \]|\[\]),\n  "DelFiles": (\[.*?\n  \]|\[\]),', text, re.DOTALL)
    sustained = sorted((session["sid"], sorted(session["inodes"])) for session in json.loads(head.group(1)))
    deleted = sorted((file["inode"], file["length"], file["expire"]) for file in json.loads(head.group(2)))
    return text[:head.start()] + repr((sustained, deleted)) + text[head.end():]


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(Folder())

    def Into(self, name):
        return os.path.join(self.folder, name)

    def Source(self, volume):
        """Its keys as an address, without empty values, which the TiKV client refuses to write."""
        path = self.Into(volume + ".kv")
        with gzip.open(Recorded(volume, "kv.tsv.gz"), "rt") as keys, open(path, "w", encoding="ascii") as file:
            file.writelines(line for line in keys if line.split("\t")[1].strip())
        return "kv://" + path


class Dump(Case):
    FORMS = {"walk": [], "fast": ["--fast"], "skip-trash": ["--skip-trash"], "secrets": ["--keep-secret-key"]}

    def test_in_json_equals_the_real_one_byte_for_byte(self):
        compared = 0
        for volume in VOLUMES:
            source = self.Source(volume)
            with Served("--stores", "1", "--volume", source) as cluster:
                for name, options in self.FORMS.items():
                    real, ours = self.Into("real.json"), self.Into("ours.json")
                    JuiceFs("dump", cluster.Volume("vol"), real, *options)
                    Run(PROGRAM, "dump", source, ours, *options)
                    self.assertEqual(SameOrder(ours), SameOrder(real), f"{volume} {name}")
                    Run(PROGRAM, "dump", cluster.Volume("vol"), ours, *options)
                    self.assertEqual(SameOrder(ours), SameOrder(real), f"{volume} {name} from tikv://")
                    compared += 1
        self.assertEqual(compared, len(VOLUMES) * len(self.FORMS))

    def test_in_binary_holds_the_same_records_and_as_many_segments(self):
        for volume in VOLUMES:
            source = self.Source(volume)
            Run(PROGRAM, "dump", "--binary", source, self.Into("ours"))
            ours = Keys("dump-bin://" + self.Into("ours"))
            self.assertGreater(len(ours), 150)
            with Served("--stores", "1", "--volume", source) as cluster:
                for threads in ("1", "10"):
                    JuiceFs("dump", "--binary", "--threads", threads, cluster.Volume("vol"), self.Into("real"))
                    self.assertEqual(ours, Keys("dump-bin://" + self.Into("real")), f"{volume} {threads}")
                    # Offsets in the footer have other lengths when batches come in another order.
                    self.assertLess(abs(os.path.getsize(self.Into("ours")) - os.path.getsize(self.Into("real"))), 16)


class Load(Case):
    FORMS = {"json": ("dump", []), "binary": ("dump-bin", ["--binary"])}

    def test_the_real_load_reads_our_dumps_and_both_loads_make_the_same_keys(self):
        for volume in VOLUMES:
            source = self.Source(volume)
            for form, (scheme, options) in self.FORMS.items():
                dump, keys = self.Into("dump"), self.Into("keys")
                Run(PROGRAM, "dump", source, dump, *options)
                Run(PROGRAM, "load", f"{scheme}://{dump}", keys)
                with Served("--stores", "2", "--regions", "3") as cluster:
                    JuiceFs("load", cluster.Volume("vol"), dump, *options)
                    self.assertEqual(Keys(cluster.Volume("vol")), Keys("kv://" + keys), f"{volume} {form}")
                    if volume == "odd":  # which has entries without inodes, and bytes that the forms lose
                        continue
                    same = Run(PROGRAM, "diff", source, cluster.Volume("vol"), ok=()).stdout
                    if (volume, form) == ("crashed", "json"):  # files that were deleted while open are given up by this form
                        self.assertEqual({line[:12] for line in same.splitlines() if line[0] in "-+~"}, {"~ .: statfs."})
                    else:
                        self.assertRegex(same, r"SAME: \d+ entries", f"{volume} {form}")

    def test_an_empty_xattr_makes_the_real_load_fail_and_is_told(self):
        for scheme, name, options in (("dump", "dump.json", []), ("dump-bin", "dump.bin", ["--binary"])):
            with gzip.open(Recorded("rich", name + ".gz"), "rb") as packed, open(self.Into(name), "wb") as file:
                file.write(packed.read())
            with Served("--stores", "1") as cluster:
                failed = JuiceFs("load", cluster.Volume("vol"), self.Into(name), *options, ok=(1,))
            self.assertIn("can not set nil value", failed.stdout)
            said = Run(PROGRAM, "load", f"{scheme}://{self.Into(name)}", self.Into("keys")).stdout
            self.assertIn("1 value is empty", said)


if __name__ == "__main__":
    Require("juicefs")
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:], verbosity=2)
