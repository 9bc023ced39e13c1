"""The S3 endpoint under the real clients, and our client under another S3 server: s3cmd, boto3, juicefs, br, moto.

Usage: s3_test.py PROGRAM SOURCE_DIR [unittest arguments]. Each class says what it needs; ends with 77 (skipped) when nothing of it is here.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import populate
from real_tools import Differences, Folder, JuiceFs, Mount, PROGRAM, SKIPPED, Run, Served, TOOLS, View, Walk

MOUNTS = os.access("/dev/fuse", os.R_OK | os.W_OK) and os.geteuid() == 0
KEYS = {"AWS_ACCESS_KEY_ID": "kvjury", "AWS_SECRET_ACCESS_KEY": "kvjurysecret", "AWS_DEFAULT_REGION": "us-east-1"}


def Needs(*names, mounts=False):
    missing = [f"no {name} (ci/tools gets it)" for name in names if name not in TOOLS] + (["no /dev/fuse, or not root"] if mounts and not MOUNTS else [])
    return unittest.skipIf(missing, "; ".join(missing))


class Endpoint(Served):
    """`kvjury serve` with an S3 endpoint that has the bucket `bkt`."""

    def __init__(self, *arguments):
        super().__init__("--stores", "3", "--s3-port", "0", "--s3-bucket", "bkt", *arguments)

    @property
    def url(self):
        return self.addresses["s3"]["endpoint"]

    def Source(self, path):
        return f"br+s3://bkt/{path}?endpoint={self.url}&access-key=kvjury&secret-access-key=kvjurysecret"


def Boto(url, script, ok=(0,), **keys):
    """Runs a script that has a client `c` of the endpoint; what it prints."""
    head = f"import boto3, io, requests, time\nfrom botocore.config import Config\nc = boto3.client('s3', endpoint_url='{url}', config=Config(signature_version='s3v4'))\n"
    done = subprocess.run([TOOLS["python-s3"], "-c", head + textwrap.dedent(script)], env=os.environ | KEYS | keys, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    if done.returncode not in ok:
        raise AssertionError(f"boto3 ended with {done.returncode}: {done.stdout}")
    return done.stdout


HAS_S3CMD = unittest.skipUnless(shutil.which("s3cmd"), "no s3cmd (Debian's package)")


@HAS_S3CMD
class S3Cmd(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(Folder())
        self.endpoint = self.enterContext(Endpoint())
        self.host = self.endpoint.url.split("://")[1]

    def S3(self, *arguments, secret="kvjurysecret", ok=(0,)):
        return Run("s3cmd", "--config", "/dev/null", "--access_key", "kvjury", "--secret_key", secret, "--no-ssl", "--host", self.host, "--host-bucket",
                   self.host, *arguments, ok=ok).stdout

    def test_it_puts_lists_measures_gets_copies_and_deletes(self):
        path = os.path.join(self.folder, "small file")
        with open(path, "wb") as file:
            file.write(b"hello")
        large = os.path.join(self.folder, "large")
        with open(large, "wb") as file:
            file.write(os.urandom(20_000_000))
        self.S3("put", path, "s3://bkt/d/small file")
        self.S3("put", large, "s3://bkt/d/large")
        self.assertIn("s3://bkt", self.S3("ls"))
        self.assertRegex(self.S3("ls", "s3://bkt"), r"DIR +s3://bkt/d/")
        self.assertRegex(self.S3("ls", "s3://bkt/d/"), r"20000000 +s3://bkt/d/large\n.* 5 +s3://bkt/d/small file")
        self.assertRegex(self.S3("du", "s3://bkt"), r"20000005 +2 objects s3://bkt")
        again = os.path.join(self.folder, "again")
        self.S3("get", "s3://bkt/d/large", again)
        with open(large, "rb") as one, open(again, "rb") as other:
            self.assertEqual(one.read(), other.read())
        self.S3("cp", "s3://bkt/d/large", "s3://bkt/copy")
        self.S3("del", "--recursive", "--force", "s3://bkt/d")
        self.assertRegex(self.S3("ls", "--recursive", "s3://bkt"), r"^[^\n]* s3://bkt/copy\n$")
        self.S3("mb", "s3://second")
        self.assertIn("s3://second", self.S3("ls"))

    def test_a_wrong_key_is_refused(self):
        self.assertIn("SignatureDoesNotMatch", self.S3("ls", secret="other", ok=(77,)))


@Needs("python-s3")
class Boto3(unittest.TestCase):
    def setUp(self):
        self.endpoint = self.enterContext(Endpoint())

    def test_objects_parts_listings_and_checksums(self):
        said = Boto(self.endpoint.url, """
            key = 'a b/\\u00e9\\n%'
            c.put_object(Bucket='bkt', Key=key, Body=b'hello', Metadata={'k': 'v'}, ContentType='text/x')
            got = c.get_object(Bucket='bkt', Key=key, ChecksumMode='ENABLED')
            print(got['Body'].read(), got['Metadata'], got['ContentType'], 'ChecksumCRC32' in got)
            print(c.get_object(Bucket='bkt', Key=key, Range='bytes=1-2')['Body'].read())
            big = bytes(range(256)) * 100_000
            c.upload_fileobj(io.BytesIO(big), 'bkt', 'big')
            back = io.BytesIO()
            c.download_fileobj('bkt', 'big', back)
            print(back.getvalue() == big, '-' in c.head_object(Bucket='bkt', Key='big')['ETag'])
            for i in range(12):
                c.put_object(Bucket='bkt', Key=f'page/{i:02}', Body=b'')
            pages = c.get_paginator('list_objects_v2').paginate(Bucket='bkt', Prefix='page/', PaginationConfig={'PageSize': 5})
            print([len(page['Contents']) for page in pages])
            print(c.list_objects_v2(Bucket='bkt', Delimiter='/')['CommonPrefixes'])
            print(len(c.delete_objects(Bucket='bkt', Delete={'Objects': [{'Key': key}, {'Key': 'page/00'}, {'Key': 'none'}]})['Deleted']))
            print(c.list_objects(Bucket='bkt')['Contents'][0]['Key'])
        """)
        self.assertEqual(said.splitlines(), ["b'hello' {'k': 'v'} text/x True", "b'el'", "True True", "[5, 5, 2]", "[{'Prefix': 'a b/'}, {'Prefix': 'page/'}]", "3", "big"])

    def test_wrong_keys_and_expired_signatures_are_refused(self):
        for keys, code in (({"AWS_ACCESS_KEY_ID": "other"}, "InvalidAccessKeyId"), ({"AWS_SECRET_ACCESS_KEY": "other"}, "SignatureDoesNotMatch")):
            self.assertIn(code, Boto(self.endpoint.url, "c.list_buckets()", ok=(1,), **keys))
        said = Boto(self.endpoint.url, """
            c.put_object(Bucket='bkt', Key='x', Body=b'1')
            url = c.generate_presigned_url('get_object', Params={'Bucket': 'bkt', 'Key': 'x'}, ExpiresIn=1)
            print(requests.get(url).status_code)
            time.sleep(2.5)
            late = requests.get(url)
            print(late.status_code, '<Code>AccessDenied</Code>' in late.text, 'expired' in late.text)
            print(requests.get(url.split('?')[0]).status_code)
        """)
        self.assertEqual(said.splitlines(), ["200", "403 True True", "403"])

    def test_the_bucket_as_it_was(self):
        then = Boto(self.endpoint.url, """
            c.put_object(Bucket='bkt', Key='x', Body=b'old')
            print(int(time.time() * 1000))
            time.sleep(0.05)
            c.put_object(Bucket='bkt', Key='x', Body=b'new')
            c.put_object(Bucket='bkt', Key='y', Body=b'y')
            c.delete_object(Bucket='bkt', Key='x')
        """).strip()
        said = Boto(self.endpoint.url, f"""
            past = 'bkt-at-{then}'
            print(c.get_object(Bucket=past, Key='x')['Body'].read(), [o['Key'] for o in c.list_objects_v2(Bucket=past)['Contents']])
            print([b['Name'] for b in c.list_buckets()['Buckets']])
            c.put_object(Bucket=past, Key='x', Body=b'changed')
        """, ok=(1,))
        self.assertEqual(said.splitlines()[:2], ["b'old' ['x']", "['bkt']"])
        self.assertIn("AccessDenied", said)


@Needs("python-s3")
class Faults(unittest.TestCase):
    """Planned in a case file, seen by a client that nobody here wrote."""

    def test_each_kind_has_its_effect(self):
        folder = self.enterContext(Folder())
        case = os.path.join(folder, "faults.case")
        with open(case, "w", encoding="utf-8") as file:
            file.write("""
                fault { at: "external/s3/PutObject[bkt/full]#1" object_full { } }
                fault { at: "external/s3/PutObject[bkt/late]#1" object_error { after_effect: true } }
                fault { at: "external/s3/GetObject[bkt/x]#1" object_corrupt { } }
                fault { at: "external/s3/GetObject[bkt/x]#2" object_throttle { } }
                fault { at: "external/s3/GetObject[bkt/x]#3" object_slow { bytes_per_s: 2000 } }
                fault { at: "external/s3/ListObjectsV2[bkt]#1" object_stale_list { } }
                nudge { at: "external/s3/HeadObject[bkt/x]#1" delay_us: 300000 }
                fault { at: "external/s3/GetObject[bkt/never]#1" object_slow { } }
            """)
        with Endpoint("--faults", case, "-v") as endpoint:
            said = Boto(endpoint.url, """
                c = boto3.client('s3', endpoint_url=c.meta.endpoint_url, config=Config(signature_version='s3v4', retries={'total_max_attempts': 1}))
                def code(call, **arguments):
                    try:
                        return call(Bucket='bkt', **arguments)['ResponseMetadata']['HTTPStatusCode']
                    except Exception as error:
                        return error.response['Error']['Code'] if hasattr(error, 'response') else type(error).__name__
                print(code(c.put_object, Key='full', Body=b'1'))
                print(code(c.put_object, Key='late', Body=b'1'), code(c.head_object, Key='late'))
                c.put_object(Bucket='bkt', Key='x', Body=b'a' * 1000)
                try:
                    c.get_object(Bucket='bkt', Key='x', ChecksumMode='ENABLED')['Body'].read()
                except Exception as error:
                    print(type(error).__name__)
                print(code(c.get_object, Key='x'))
                begun = time.time()
                c.get_object(Bucket='bkt', Key='x')['Body'].read()
                print(time.time() - begun > 0.4)
                print([len(c.list_objects_v2(Bucket='bkt')['Contents']) for _ in range(2)])
                begun = time.time()
                c.head_object(Bucket='bkt', Key='x')
                print(time.time() - begun > 0.3)
            """)
            endpoint.End()
            self.assertEqual(said.splitlines(), ["XMinioStorageFull", "InternalError 200", "FlexibleChecksumError", "SlowDown", "True", "[1, 2]", "True"])
            summary = endpoint.Said()
        self.assertIn('nothing came up at "external/s3/GetObject[bkt/never]#1"', summary)
        for kind in ("object_full", "object_error", "object_corrupt", "object_throttle", "object_slow", "object_stale_list"):
            self.assertRegex(summary, rf"s3 +{kind} +1 times")


@Needs("juicefs")
class JuiceFsBench(unittest.TestCase):
    def test_objbench_finds_nothing_wrong(self):
        endpoint = self.enterContext(Endpoint())
        for storage in ("s3", "minio"):
            done = JuiceFs("objbench", "--storage", storage, "--access-key", "kvjury", "--secret-key", "kvjurysecret", "--big-object-size", "64",
                           "--small-objects", "20", "--no-color", f"{endpoint.url}/bkt", timeout_s=300)
            rows = dict(re.findall(r"\|\s+(?:basic|sync) \|\s+([\w/ -]+?) \|\s+(\S.*?) \|", done.stdout))
            self.assertGreater(len(rows), 12, done.stdout)
            # A range behind the end is an error (416) on S3, too; the rest are attributes that S3 has not.
            self.assertIn("offset out of r", rows.pop("get partial object"))
            self.assertEqual({row for row, result in rows.items() if result != "pass"}, {"change owner/group", "change permission", "change mtime"})


@HAS_S3CMD
@Needs("juicefs", mounts=True)
class EvidenceSurvives(unittest.TestCase):
    def test_a_mount_of_the_past_reads_blocks_that_were_deleted_since(self):
        cluster = self.enterContext(Endpoint())
        meta = cluster.Volume("vol1")
        JuiceFs("format", meta, "vol1", "--storage", "minio", "--bucket", f"{cluster.url}/bkt", "--access-key", "kvjury", "--secret-key", "kvjurysecret",
                "--trash-days", "0")
        with Mount(meta) as live:
            populate.Busy(live, 20)
            with open(os.path.join(live, "precious"), "wb") as file:
                file.write(os.urandom(5_000_000))
            subprocess.run(["sync", "-f", live], check=False)
            time.sleep(1)
            before = Walk(live)
            state = Run(PROGRAM, "poke", "--ready-file", cluster.ready_file, "state").stdout
            timestamp = re.search(r'"last_timestamp": "?(\d+)', state).group(1)
            then_ms = int(time.time() * 1000)
            time.sleep(0.1)
            os.unlink(os.path.join(live, "precious"))
            deadline = time.monotonic() + 60
            while "precious" in before and time.monotonic() < deadline and self._Blocks(cluster, "bkt") >= self._Blocks(cluster, f"bkt-at-{then_ms}"):
                time.sleep(0.5)
            self.assertLess(self._Blocks(cluster, "bkt"), self._Blocks(cluster, f"bkt-at-{then_ms}"), "juicefs deletes blocks of an unlinked file")
        with Served("--read-only", "--volume", f"{meta}@{timestamp}", "--stores", "2") as frozen:
            with Mount(frozen.Volume("vol1"), "--read-only", "--bucket", f"{cluster.url}/bkt-at-{then_ms}") as mount:
                self.assertEqual(Differences(before, Walk(mount), ignore=("atime_ns",))[:5], [])

    def _Blocks(self, cluster, bucket):
        host = cluster.url.split("://")[1]
        listed = Run("s3cmd", "--config", "/dev/null", "--access_key", "kvjury", "--secret_key", "kvjurysecret", "--no-ssl", "--host", host, "--host-bucket",
                     host, "ls", "--recursive", f"s3://{bucket}/vol1/chunks/").stdout
        return len(listed.splitlines())


class OtherServer:
    """moto, an S3 server that is not ours, as a context with the bucket `bkt`."""

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen([TOOLS["python-s3"], "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        Boto(self.url, "c.create_bucket(Bucket='bkt')")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def Source(self, path):
        return f"br+s3://bkt/{path}?endpoint={self.url}&access-key=kvjury&secret-access-key=kvjurysecret"


@Needs("python-s3")
class OurClientOnMoto(unittest.TestCase):
    def test_a_backup_in_a_bucket_reads_as_in_its_folder(self):
        moto = self.enterContext(OtherServer())
        folder = self.enterContext(Folder())
        backup = os.path.join(folder, "backup")
        Run(PROGRAM, "run", "--cases", "1", "--seed", "1", "--out", os.path.join(folder, "out"), "--keep-backup", backup, timeout_s=300)
        Boto(moto.url, f"""
            import os
            for root, _, names in os.walk('{backup}'):
                for name in names:
                    path = os.path.join(root, name)
                    c.upload_file(path, 'bkt', 'some/prefix/' + os.path.relpath(path, '{backup}'))
        """)
        for what in ("--keys", "--json"):
            there = Run(PROGRAM, "view", what, moto.Source("some/prefix")).stdout
            self.assertGreater(len(there.splitlines()), 100)
            self.assertEqual(there, Run(PROGRAM, "view", what, f"br://{backup}").stdout)
        self.assertIn("SAME: ", Run(PROGRAM, "diff", f"br://{backup}", moto.Source("some/prefix")).stdout)
        with Served("--stores", "1", "--volume", moto.Source("some/prefix")) as cluster:
            self.assertIn("SAME: ", Run(PROGRAM, "diff", f"br://{backup}", f"tikv://{cluster.pd}").stdout)
        none = Run(PROGRAM, "view", moto.Source("none"), ok=()).stdout
        self.assertIn("NoSuchKey", none)
        self.assertNotIn("kvjurysecret", none)


def Br(*arguments, timeout_s=300, ok=(0,)):
    with Folder() as folder:
        return Run(TOOLS["br"], *arguments, "--log-file", os.path.join(folder, "log"), timeout_s=timeout_s, ok=ok, cwd=folder)


def InBucket(server, path):
    return ("-s", f"s3://bkt/{path}?access-key=kvjury&secret-access-key=kvjurysecret", "--s3.endpoint", server.url)


@Needs("br")
class BrOnS3(unittest.TestCase):
    """`br backup txn` and `restore txn`: br and the stores both speak to the bucket."""

    VOLUME = ("--volume", f"kv://{os.path.join(sys.argv[2], 'scenarios/volumes/rich/kv.tsv.gz')}")

    def Drill(self, server, source):
        Br("backup", "txn", "--pd", source.pd, *InBucket(server, "a/b"))
        with Served("--stores", "2", "--regions", "5") as target:
            Br("restore", "txn", "--pd", target.pd, *InBucket(server, "a/b"))
            for left in (server.Source("a/b"), f"tikv://{source.pd}"):
                self.assertIn("SAME: ", Run(PROGRAM, "diff", left, f"tikv://{target.pd}").stdout)

    def test_on_our_endpoint(self):
        source = self.enterContext(Endpoint("--regions", "6", *self.VOLUME))
        self.Drill(source, source)

    @Needs("python-s3")
    def test_on_moto(self):
        self.Drill(self.enterContext(OtherServer()), self.enterContext(Endpoint("--regions", "6", *self.VOLUME)))

    def test_a_wrong_key_is_an_honest_failure(self):
        source = self.enterContext(Endpoint(*self.VOLUME))
        done = Br("backup", "txn", "--pd", source.pd, "-s", "s3://bkt/x?access-key=kvjury&secret-access-key=wrong", "--s3.endpoint", source.url, ok=(1,))
        self.assertNotIn("BackupTS=", done.stdout)

    def test_under_faults_it_ends_in_the_same_or_says_that_it_failed(self):
        outcomes = {}
        for name, faults in FAULTS.items():
            with self.subTest(name), Folder() as folder:
                case = os.path.join(folder, "faults.case")
                with open(case, "w", encoding="utf-8") as file:
                    file.write(faults)
                with Endpoint("--regions", "6", "--faults", case, "-v", *self.VOLUME) as source:
                    outcomes[name] = self.Outcome(source)
                    source.End()
                    self.assertRegex(source.Said(), r"s3 +\w+ +\d+ times", "it never struck")
                self.assertIn(outcomes[name], ("same", "backup failed", "restore failed"))
        print(outcomes)

    def Outcome(self, source):
        if Br("backup", "txn", "--pd", source.pd, *InBucket(source, "a"), ok=()).returncode != 0:
            return "backup failed"
        with Served("--stores", "2") as target:
            if Br("restore", "txn", "--pd", target.pd, *InBucket(source, "a"), ok=()).returncode != 0:
                return "restore failed"
            return Run(PROGRAM, "diff", f"tikv://{source.pd}", f"tikv://{target.pd}", ok=()).stdout.splitlines()[-1].split(":")[0].lower()


# Of the endpoint; a backup of `rich` in six regions makes about a dozen files.
FAULTS = {
    "error": 'fault { at: "external/s3/PutObject#3" object_error { } }',
    "error after the effect": 'fault { at: "external/s3/PutObject#4" object_error { after_effect: true } }',
    "throttle": "\n".join(f'fault {{ at: "external/s3/PutObject#{i}" object_throttle {{ }} }}' for i in range(2, 6)),
    "full": "\n".join(f'fault {{ at: "external/s3/PutObject#{i}" object_full {{ }} }}' for i in range(4, 60)),
    "lost reply": 'fault { at: "external/s3/PutObject#5" lose_reply { } }',
    "corrupt read": 'fault { at: "external/s3/GetObject#4" object_corrupt { } }',
    "cut read": 'fault { at: "external/s3/GetObject#4" stream_reset { } }',
    "slow read": 'fault { at: "external/s3/GetObject#3" object_slow { bytes_per_s: 20000 } }',
}


if __name__ == "__main__":
    ended = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2, exit=False).result
    if ended.testsRun == len(ended.skipped):
        sys.exit(SKIPPED)
    sys.exit(not ended.wasSuccessful())
