"""A `kvjury serve` of its own for tests: started, asked where it is, ended or killed, started again."""

import json
import os
import shutil
import subprocess
import tempfile
import time

READY_WITHIN_S = 60
ENDS_WITHIN_S = 10


class ServedProcess:
    """As a context: what was started ends with it. Free ports; with `--data` the same ones after a restart."""

    def __init__(self, program, *arguments):
        self.program, self.arguments = program, arguments

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="kvjury-served-")
        self.ready_file = os.path.join(self.folder, "ready.json")
        try:
            self.Start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.End()
        shutil.rmtree(self.folder, ignore_errors=True)

    def Start(self):
        """Returns once clients may connect."""
        with open(os.path.join(self.folder, "said"), "ab") as log:
            self.process = subprocess.Popen([self.program, "serve", "--pd-port", "0", "--ready-file", self.ready_file, *self.arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN_S
        while not os.path.exists(self.ready_file):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"kvjury serve did not get ready: {self.Said()}")
            time.sleep(0.01)
        with open(self.ready_file, encoding="utf-8") as file:
            self.addresses = json.load(file)
        self.pd = self.addresses["pd"][0]

    def Said(self):
        """All that it printed so far."""
        with open(os.path.join(self.folder, "said"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def End(self):
        """Asks with SIGTERM; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.Kill()
            return None

    def Kill(self):
        """As the machine's end would: no word, nothing put away."""
        self.process.kill()
        self.process.wait()
        if os.path.exists(self.ready_file):
            os.unlink(self.ready_file)

    def Volume(self, name):
        return f"tikv://{self.pd}/{name}"
