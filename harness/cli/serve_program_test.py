"""`kvjury serve` and `kvjury poke` as a user runs them. Usage: serve_program_test.py PROGRAM SOURCE_DIR [unittest arguments]
"""

import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
import time
import unittest
import urllib.request

from program_test import PROGRAM, ProgramTest, Run, Volume
from served_process import ServedProcess


class ServedTest(ProgramTest):
    def Start(self, *arguments):
        return self.enterContext(ServedProcess(PROGRAM, *arguments))


class Serve(ServedTest):
    def test_addresses_answer_until_a_signal_ends_it_within_a_second_and_leaves_nothing(self):
        served = self.Start("--stores", "2")
        self.assertEqual(len(served.addresses["stores"]), 2)
        url = f"http://{served.pd}/pd/api/v1/stores"
        with urllib.request.urlopen(url, timeout=10) as answer:
            stores = json.load(answer)
        self.assertEqual([store["store"]["address"] for store in stores["stores"]], [store["address"] for store in served.addresses["stores"]])
        begun = time.monotonic()
        self.assertEqual(served.End(), 143)
        self.assertLess(time.monotonic() - begun, 5)  # a second, on a machine that has one to spare
        self.assertFalse(os.path.exists(served.ready_file))

    def Answered(self, address, hello, context=None, name="127.0.0.1"):
        """Whether a peer that says `hello` gets a byte back, under TLS if there is a context for it."""
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=name) if context else plain as peer:
                    peer.sendall(hello)
                    return len(peer.recv(1)) == 1
            except (ssl.SSLError, ConnectionError):
                return False

    def test_an_s3_endpoint_is_beside_it_and_a_backup_in_a_bucket_is_an_address_whose_secrets_are_not_shown(self):
        served = self.Start("--stores", "1", "--s3-port", "0", "--s3-bucket", "one", "--s3-bucket", "two")
        endpoint = served.addresses["s3"]["endpoint"]
        self.assertEqual(served.addresses["s3"], {"endpoint": endpoint, "buckets": ["one", "two"], "access_key": "kvjury"})
        for bucket, secret, word in (("one", "kvjurysecret", "NoSuchKey"), ("none", "kvjurysecret", "NoSuchBucket"), ("one", "hunter2", "SignatureDoesNotMatch")):
            code, out, err = Run("view", f"br+s3://{bucket}/x?endpoint={endpoint}&access-key=kvjury&secret-access-key={secret}")
            self.assertEqual((code, out), (6, ""))
            self.assertIn(word, err)
            self.assertNotIn(secret, err)
        self.assertEqual(Run("view", f"br+s3://one/x?endpoint={endpoint}&key=hunter2")[0], 2)
        for arguments, code in ((["--s3-bucket", "x"], 2), (["--s3-port", "0", "--s3-bucket", "NO"], 2), (["--s3-port", endpoint.rsplit(":", 1)[1]], 6)):
            self.assertEqual(Run("serve", "--pd-port", "0", *arguments)[0], code, arguments)

    def test_under_mutual_tls_only_the_right_certificates_and_names_are_served_on_every_port(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for name in ("mine", "other"):
            self.assertEqual(Run("serve", "--tls-init", f"{folder}/{name}")[0], 0)
        served = self.Start("--stores", "2", "--pd-members", "2", "--ca", f"{folder}/mine/ca.pem", "--cert", f"{folder}/mine/server.pem",
                                     "--key", f"{folder}/mine/server-key.pem")
        http = b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n"
        grpc = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
        ports = [(address, hello, alpn) for address in served.addresses["pd"] for hello, alpn in ((http, "http/1.1"), (grpc, "h2"))]
        ports += [(store["address"], grpc, "h2") for store in served.addresses["stores"]]
        ports += [(store["status_address"], http, "http/1.1") for store in served.addresses["stores"]]
        self.assertEqual(len(ports), 8)
        for address, hello, alpn in ports:
            def Context(ca, certificate, alpn=alpn):
                context = ssl.create_default_context(cafile=f"{folder}/{ca}/ca.pem")
                context.set_alpn_protocols([alpn])
                if certificate:
                    context.load_cert_chain(f"{folder}/{certificate}/client.pem", f"{folder}/{certificate}/client-key.pem")
                return context
            with self.subTest(address=address, alpn=alpn):
                self.assertTrue(self.Answered(address, hello, Context("mine", "mine")))
                self.assertTrue(self.Answered(address, hello, Context("mine", "mine"), name="localhost"))
                self.assertFalse(self.Answered(address, hello, Context("mine", "mine"), name="elsewhere.example"))
                self.assertFalse(self.Answered(address, hello, Context("mine", None)))
                self.assertFalse(self.Answered(address, hello, Context("mine", "other")))
                self.assertFalse(self.Answered(address, hello, Context("other", "mine")))
                self.assertFalse(self.Answered(address, hello))

    def test_a_port_in_use_is_named(self):
        served = self.Start()
        port = served.pd.split(":")[1]
        self.Refused(6, [f"127.0.0.1:{port} is in use"], "serve", "--pd-port", port)

    def Bad(self, text):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "bad.case")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def test_a_case_strikes_outside_calls_and_what_never_came_up_is_told(self):
        case = self.Bad('nudge { at: "external/http/region[]#1" delay_us: 400000 } fault { at: "external/KvGet/region[]#9" lose_reply { } }')
        served = self.Start("--faults", case)
        begun = time.monotonic()
        urllib.request.urlopen(f"http://{served.pd}/pd/api/v1/version", timeout=10).close()
        self.assertGreaterEqual(time.monotonic() - begun, 0.4)
        self.assertEqual(served.End(), 143)
        self.assertIn('nothing came up at "external/KvGet/region[]#9"', served.Said())

    def test_poke(self):
        served = self.Start("--stores", "3")
        code, out, err = Run("poke", served.addresses["control"], "split", "vol\\xfdA")
        self.assertEqual((code, out), (0, ""), err)
        self.assertIn("split key=766f6cfd41: done", err)
        code, _, err = Run("poke", "--ready-file", served.ready_file, "split", "--hex", "766f6cfd41")
        self.assertEqual(code, 3, err)
        self.assertIn("no effect", err)
        state = json.loads(self.Good("poke", served.addresses["control"], "state"))
        self.assertEqual(len(state["regions"]), 6)
        self.assertEqual(Run("poke", served.addresses["control"], "kill-store", str(served.addresses["stores"][0]["id"]), "--for", "10m")[0], 0)
        self.assertEqual(Run("poke", served.addresses["control"], "slow", "KvGet", "--by", "20ms", "--for", "5s")[0], 0)
        self.assertEqual(Run("poke", served.addresses["control"], "clock-jump", "1s")[0], 0)
        self.assertEqual(Run("poke", served.addresses["control"], "lose-reply", "KvCommit", "2", "--json")[0], 0)
        self.assertEqual(Run("poke", served.addresses["control"], "heal")[0], 0)
        self.Refused(2, ["unknown command", "transfer-leader"], "poke", served.addresses["control"], "explode")
        self.Refused(2, ["pause-store needs for_ms"], "poke", served.addresses["control"], "pause-store", "1")
        self.Refused(2, ["--for"], "poke", served.addresses["control"], "pause-store", "1", "--for", "soon")
        self.Refused(2, ["nothing of heal"], "poke", served.addresses["control"], "heal", "me")
        served.End()
        self.assertFalse(os.path.exists(served.addresses["control"]))
        self.Refused(6, ["no served cluster listens"], "poke", served.addresses["control"], "state")

    def test_wrong_arguments(self):
        self.Refused(2, ["--cert"], "serve", "--cert", "/tmp/x.pem")
        self.Refused(2, ["--volume"], "serve", "--pd-port", "0", "--read-only")
        self.Refused(2, ["--data"], "serve", "--pd-port", "0", "--read-only", "--volume", "kv://" + Volume("rich", "kv.tsv.gz"), "--data", "/tmp/nosuch")
        self.Refused(6, ["/nonexistent.pem"], "serve", "--pd-port", "0", "--cert", "/nonexistent.pem", "--key", "/nonexistent.key")
        self.Refused(2, ["no address to listen on"], "serve", "--pd-port", "0", "--listen", "nowhere.invalid")
        self.Refused(2, ["bad.case:2:", "no field named"], "serve", "--pd-port", "0", "--faults", self.Bad("name: 'x'\nfalt { }\n"))
        self.Refused(6, ["nosuch.case"], "serve", "--pd-port", "0", "--faults", "/tmp/nosuch.case")
        self.Refused(2, ["view://"], "serve", "--pd-port", "0", "--volume", "view://" + Volume("rich", "mount.jsonl.gz"))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]] + sys.argv[3:])
