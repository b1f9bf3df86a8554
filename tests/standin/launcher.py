"""Starts, kills and questions a stand-in process; for this package's tests and for others."""

import base64
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

TESTS = pathlib.Path(__file__).resolve().parents[1]
DEADLINE_S = 60


class Fe:
    """One stand-in process; `restart` keeps directory and ports."""

    def __init__(self, directory, args):
        self.directory = str(directory)
        self.args = args
        self.mysql = self.http = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "standin", "--dir", self.directory, "--port", str(self.mysql),
             "--http-port", str(self.http), *self.args],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(TESTS)})
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_S)
        assert ready, "no ready line in time"
        line = self.process.stdout.readline()
        assert line.startswith("ready "), "stand-in said %r" % line
        fields = dict(part.split("=") for part in line.split()[1:])
        self.mysql, self.http = int(fields["mysql"]), int(fields["http"])
        assert int(fields["pid"]) == self.process.pid

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(DEADLINE_S)
        if not self.process.stdout.closed:
            self.process.stdout.close()
        return code

    def restart(self):
        self.kill()
        self.start()

    def connect(self, user="root", password="", db=None, **kw):
        import pymysql
        return pymysql.connect(host="127.0.0.1", port=self.mysql, user=user, password=password,
                               database=db, read_timeout=DEADLINE_S, **kw)

    def get(self, path, auth="root:", method="GET", body=None):
        request = urllib.request.Request("http://127.0.0.1:%d%s" % (self.http, path), method=method,
                                         data=body)
        if auth is not None:
            request.add_header("Authorization", "Basic " + base64.b64encode(auth.encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            with e:
                return e.code, json.load(e)

    def knobs(self, **values):
        status, doc = self.get("/standin/knobs", None, "POST", json.dumps(values).encode())
        assert status == 200, doc
        return doc

    def state(self):
        return self.get("/standin/state", None)[1]

    def label(self, label, db="test"):
        return self.get("/api/%s/get_load_state?label=%s" % (db, label))[1]["data"]

    def wait(self, what, until):
        """Polls `until` against a deadline; the events are the FE's own."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if until():
                return
            time.sleep(0.01)
        raise AssertionError("never: " + what)
