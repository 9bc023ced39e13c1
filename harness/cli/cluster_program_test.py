"""The verbs that reach a cluster over its ports, as a user runs them, against `kvjury serve`: drift, view and check tikv://, serve --at.
Usage: cluster_program_test.py PROGRAM SOURCE_DIR [unittest arguments]
"""

import gzip
import json
import os
import shutil
import sys
import tempfile
import unittest

from program_test import Backup, PROGRAM, ROOT, Run, Volume
from serve_program_test import ServedTest
from served_process import ServedProcess


class Drift(ServedTest):
    def Probe(self, name):
        return os.path.join(ROOT, "scenarios/probes", name)

    def Played(self, code_wanted, *arguments):
        code, out, err = Run("drift", *arguments, "--scratch-cluster", "--json")
        self.assertEqual(code, code_wanted, err)
        result = json.loads(out)
        self.assertEqual(result["exit_code"], code_wanted)
        return result

    def test_every_recorded_call_of_a_real_store_and_pd_is_answered_alike(self):
        served = self.Start("--stores", "1")
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        result = self.Played(0, served.pd, self.Probe("tikv-8.5.0.jsonl.gz"), "--folder", folder,
                             "--left-out", self.Probe("tikv-8.5.0.left-out.jsonl"))
        self.assertEqual((result["calls"], result["compared"], result["differences"]), (196, 180, []))

    def test_a_difference_is_told_and_a_reason_explains_it(self):
        served = self.Start()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        files = {name: os.path.join(folder, name) for name in ("requests", "calls", "changed", "reasons", "none")}
        with open(files["requests"], "w", encoding="utf-8") as file:
            file.write('{"case":"who","method":"/pdpb.PD/GetMembers","req_hex":""}\n'
                       '{"case":"what","method":"GET /pd/api/v1/config/replicate"}\n'
                       '{"case":"no","method":"/pdpb.PD/NoSuchMethod","req_hex":""}\n')
        code, out, err = Run("drift", served.pd, "--record", files["requests"], "--out", files["calls"], "--scratch-cluster")
        self.assertEqual((code, out), (0, ""), err)
        self.assertEqual(self.Played(0, served.pd, files["calls"])["compared"], 3)
        with open(files["calls"], encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertIn("Unimplemented", lines[2]["grpc_error"])
        lines[1]["body"] = lines[1]["body"].replace('"max-replicas": 3', '"max-replicas": 5')
        with open(files["changed"], "w", encoding="utf-8") as file:
            file.write("".join(json.dumps(line) + "\n" for line in lines))
        code, out, err = Run("drift", served.pd, files["changed"], "--scratch-cluster")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("what#1 GET /pd/api/v1/config/replicate body/max-replicas: recorded 5, got 3\n", err)
        with open(files["reasons"], "w", encoding="utf-8") as file:
            file.write('{"case":"what","field":"body/max-replicas","reason":"ours has three"}\n')
        explained = self.Played(0, served.pd, files["changed"], "--reasons", files["reasons"])
        self.assertEqual(explained["differences"][0]["reason"], "ours has three")
        self.assertEqual(len(self.Played(7, served.pd, files["calls"], "--reasons", files["reasons"])["unused_reasons"]), 1)
        open(files["none"], "w", encoding="utf-8").close()
        self.Refused(4, ["holds no calls"], "drift", served.pd, files["none"], "--scratch-cluster")

    def test_what_it_refuses(self):
        calls = self.Probe("pd-8.5.7.jsonl.gz")
        self.Refused(2, ["--scratch-cluster"], "drift", "127.0.0.1:1", calls)
        self.Refused(2, ["CALLS"], "drift", "127.0.0.1:1", "--scratch-cluster")
        self.Refused(6, ["127.0.0.1:1"], "drift", "127.0.0.1:1", calls, "--scratch-cluster")
        self.Refused(6, ["/nonexistent"], "drift", "127.0.0.1:1", "/nonexistent", "--scratch-cluster")
        self.Refused(6, ["no PEM file"], "drift", "127.0.0.1:1", calls, "--scratch-cluster", "--ca", __file__)
        served = self.Start("--volume", "kv://" + Volume("rich", "kv.tsv.gz"))
        self.Refused(2, ["holds data"], "drift", served.pd, calls, "--scratch-cluster")


class ViewOfACluster(ServedTest):
    def test_a_running_cluster_shows_what_its_keys_show(self):
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        served = self.Start("--volume", keys, "--regions", "7")
        self.assertEqual(self.Good("view", "--json", f"tikv://127.0.0.1:1,{served.pd}/vol"), self.Good("view", "--json", keys))
        self.assertEqual(self.Good("view", "--keys", f"tikv://{served.pd}/vol"), self.Good("view", "--keys", keys))
        self.assertEqual(self.Good("view", "--keys", f"tikv://{served.pd}#vol"), self.Good("view", "--keys", keys))
        self.assertIn("766f6cfd73657474696e67 ", self.Good("view", "--keys", f"tikv://{served.pd}"))  # vol FD setting
        copy = self.Start("--volume", f"tikv://{served.pd}/vol")
        self.assertEqual(self.Good("view", f"tikv://{copy.pd}/vol"), self.Good("view", keys))
        self.Refused(6, ['no volume "other"'], "view", f"tikv://{served.pd}/other")
        self.Refused(6, ['no volume "vol"'], "view", f"tikv://{served.pd}/vol@100")
        self.Refused(3, ["future"], "view", f"tikv://{served.pd}/vol@18000000000000000000")
        self.Refused(2, ["timestamp of PD"], "view", f"tikv://{served.pd}/vol@yesterday")
        self.Refused(6, ["127.0.0.1:1"], "view", "tikv://127.0.0.1:1/vol")
        self.Refused(6, ["/nonexistent.pem"], "view", f"tikv://{served.pd}/vol?ca=/nonexistent.pem")

    def test_under_tls_with_the_right_certificates_only(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for name in ("a", "b"):
            self.assertEqual(Run("serve", "--tls-init", f"{folder}/{name}")[0], 0)
        keys = "kv://" + Volume("rich", "kv.tsv.gz")
        served = self.Start("--volume", keys, "--ca", f"{folder}/a/ca.pem", "--cert", f"{folder}/a/server.pem",
                                     "--key", f"{folder}/a/server-key.pem")
        address = f"tikv://{served.pd}/vol"
        files = "?ca={0}/a/ca.pem&cert={0}/a/client.pem&key={0}/a/client-key.pem".format(folder)
        self.assertEqual(self.Good("view", address + files), self.Good("view", keys))
        self.Refused(6, [served.pd], "view", address)
        self.Refused(6, [served.pd], "view", address + f"?ca={folder}/a/ca.pem")
        self.Refused(6, [served.pd], "view", address + f"?ca={folder}/b/ca.pem")
        # The client's certificate is for no host at all.
        elsewhere = self.Start("--volume", keys, "--cert", f"{folder}/a/client.pem", "--key", f"{folder}/a/client-key.pem")
        self.Refused(6, [elsewhere.pd], "view", f"tikv://{elsewhere.pd}/vol?ca={folder}/a/ca.pem")


class CheckOfACluster(ServedTest):
    KEYS = "kv://" + Volume("rich", "kv.tsv.gz")

    def Report(self, *arguments):
        code, out, err = Run("check", "--json", *arguments)
        self.assertEqual(code, 0, err)
        return json.loads(out)["volumes"]

    def test_a_running_cluster_and_every_commit_of_its_folder(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        data = os.path.join(folder, "data")
        with ServedProcess(PROGRAM, "--data", data, "--volume", self.KEYS) as served:
            [running] = self.Report(f"tikv://{served.pd}/vol")
            self.Refused(6, ["in use"], "check", "--every-commit", data)
        [walked] = self.Report("--every-commit", data)
        # What the volume was served with is one commit.
        self.assertEqual((walked["commits"], walked["changes"], walked["pairs"]), ("1", running["pairs"], running["pairs"]))
        self.assertEqual(walked["checks"], running["checks"])
        self.assertEqual(walked["findings"], [])


class ServeAt(ServedTest):
    """`serve --at`: what a source held at a timestamp, from each kind of source."""
    KEYS = "kv://" + Volume("rich", "kv.tsv.gz")

    def Frozen(self, *arguments):
        served = self.Start(*arguments)
        self.assertIn("read-only, as it was at " + served.addresses["at"], served.Said())
        return served

    def Pd(self, served):
        return json.loads(self.Good("poke", served.addresses["control"], "state"))["pd"]

    def test_a_running_cluster(self):
        source = self.Start("--volume", self.KEYS, "--regions", "5")
        address = f"tikv://{source.pd}/vol"
        then = self.Pd(source)["last_timestamp"]
        frozen = self.Frozen("--at", then, "--volume", address, "--regions", "3")
        self.assertEqual(frozen.addresses["at"], then)
        self.assertEqual(self.Good("view", "--keys", f"tikv://{frozen.pd}/vol"), self.Good("view", "--keys", self.KEYS))
        self.assertGreater(int(self.Pd(frozen)["last_timestamp"]), int(then))
        # It is that moment for those, too, who copy it; versions have the timestamps that they have at the source.
        again = self.Frozen("--at", "now", "--volume", f"tikv://{frozen.pd}")
        self.assertEqual(self.Good("view", "--json", f"tikv://{again.pd}/vol@{then}"), self.Good("view", "--json", self.KEYS))
        self.Refused(6, ['no volume "vol"'], "view", f"tikv://{again.pd}/vol@{int(then) - (10_000 << 18)}")
        self.Refused(6, ['no volume "vol"'], "serve", "--pd-port", "0", "--at", "2020-01-01T00:00:00Z", "--volume", address)
        self.Refused(3, ["future"], "serve", "--pd-port", "0", "--at", "2999-01-01T00:00:00Z", "--volume", address)
        self.Refused(2, ["already"], "serve", "--pd-port", "0", "--at", then, "--volume", f"{address}@{then}")
        self.Good("poke", source.addresses["control"], "state")
        self.assertEqual(Run("poke", source.addresses["control"], "gc-now")[0], 0)
        self.Refused(3, ["GC safe point"], "serve", "--pd-port", "0", "--at", then, "--volume", address)

    def test_a_folder(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        data = os.path.join(folder, "data")
        with ServedProcess(PROGRAM, "--data", data, "--volume", self.KEYS) as served:
            then = self.Pd(served)["last_timestamp"]
            self.Refused(6, ["in use"], "serve", "--pd-port", "0", "--at", then, "--data", data)
        before = {name: os.stat(os.path.join(data, name)).st_mtime_ns for name in os.listdir(data)}
        for at in (then, "now"):
            frozen = self.Frozen("--at", at, "--data", data)
            self.assertEqual(self.Good("view", "--keys", f"tikv://{frozen.pd}/vol"), self.Good("view", "--keys", self.KEYS))
        self.assertEqual({name: os.stat(os.path.join(data, name)).st_mtime_ns for name in os.listdir(data)}, before)
        self.Refused(3, ["future"], "serve", "--pd-port", "0", "--at", "2999-01-01T00:00:00Z", "--data", data)
        self.Refused(6, ["holds no cluster"], "serve", "--pd-port", "0", "--at", "now", "--data", os.path.join(folder, "none"))
        self.assertEqual(os.listdir(folder), ["data"])

    def test_a_backup_at_its_own_time(self):
        address = "br://" + Backup("quiet")
        cut = json.loads(self.Good("view", "--summary", "--json", address))["cut"]["timestamp"]
        for arguments in (("--read-only",), ("--at", cut), ("--at", "now")):
            frozen = self.Frozen(*arguments, "--volume", address)
            self.assertEqual(frozen.addresses["at"], cut)
            self.assertEqual(self.Good("view", "--keys", f"tikv://{frozen.pd}"), self.Good("view", "--keys", address))
        self.assertEqual(self.Good("view", "--keys", f"tikv://{frozen.pd}/@{cut}"), self.Good("view", "--keys", address))
        for other in (int(cut) - 1, int(cut) + 1):
            self.Refused(3, [cut], "serve", "--pd-port", "0", "--at", str(other), "--volume", address)

    def test_a_list_of_keys(self):
        at = "2026-01-01T00:00:00+00:00"
        frozen = self.Frozen("--at", at, "--volume", self.KEYS)
        self.assertEqual(int(frozen.addresses["at"]), 1767225600000 << 18)
        self.assertEqual(self.Good("view", "--keys", f"tikv://{frozen.pd}/vol@{frozen.addresses['at']}"), self.Good("view", "--keys", self.KEYS))
        self.Refused(6, ['no volume "vol"'], "view", f"tikv://{frozen.pd}/vol@{int(frozen.addresses['at']) - 1}")
        self.Refused(3, ["future"], "serve", "--pd-port", "0", "--at", "2999-01-01T00:00:00Z", "--volume", self.KEYS)

    def test_a_binary_dump(self):
        address = "dump-bin://" + Volume("rich", "dump.bin.gz")
        frozen = self.Frozen("--at", "now", "--volume", address)
        name = json.loads(self.Good("view", "--summary", "--json", address))["volumes"][0]["name"]
        self.assertEqual(self.Good("view", "--keys", f"tikv://{frozen.pd}/{name}"), self.Good("view", "--keys", address))
        self.assertIn("SAME: ", Run("diff", self.KEYS, f"tikv://{frozen.pd}/{name}")[2])

    def test_a_dump_in_json_is_loaded(self):
        frozen = self.Frozen("--at", "now", "--volume", "dump://" + Volume("odd", "dump.json.gz"))
        with gzip.open(Volume("odd", "loaded-json.tsv.gz"), "rt") as file:
            loaded = [line.split() for line in file]
        self.assertEqual([line.split() for line in self.Good("view", "--keys", f"tikv://{frozen.pd}#oddvol").splitlines()], loaded)

    def test_what_it_refuses(self):
        serve = ("serve", "--pd-port", "0", "--at")
        self.Refused(2, ["--volume or --data"], *serve, "now")
        self.Refused(2, ["--volume or --data"], *serve, "now", "--volume", self.KEYS, "--data", "/tmp/nosuch")
        self.Refused(2, ["no keys"], *serve, "now", "--volume", "view://" + Volume("rich", "mount.jsonl.gz"))
        self.Refused(2, ["yesterday", "2026-11-26T20:00:00Z"], *serve, "yesterday", "--volume", self.KEYS)
        self.Refused(2, ["yesterday"], *serve, "yesterday", "--data", "/tmp/nosuch")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
