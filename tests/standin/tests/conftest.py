"""Fixtures: a stand-in per test, and an S3 store (Swift where S3_URL names one, else a small fake)."""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
import urllib.request

import pymysql
import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TESTS))
DEADLINE_S = 20


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
        return pymysql.connect(host="127.0.0.1", port=self.mysql, user=user, password=password,
                               database=db, read_timeout=DEADLINE_S, **kw)

    def get(self, path, auth="root:", method="GET", body=None):
        import base64
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


@pytest.fixture
def start_fe(tmp_path):
    fes = []

    def start(profile="4.0", *args, table=True):
        fe = Fe(tmp_path / ("fe%d" % len(fes)), ["--profile", profile, *args])
        fes.append(fe)
        if table:
            with fe.connect() as c, c.cursor() as k:
                k.execute("CREATE DATABASE IF NOT EXISTS test")
                k.execute("CREATE TABLE IF NOT EXISTS test.t (id INT, v VARCHAR(20)) "
                          "DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) BUCKETS 1 "
                          'PROPERTIES ("replication_num" = "1")')
        return fe

    yield start
    for fe in fes:
        fe.stop()


def rows(connection, sql):
    with connection.cursor() as k:
        k.execute(sql)
        return k.fetchall()


def error_of(connection, sql):
    """(code, text) of a statement that must fail."""
    with pytest.raises(pymysql.err.MySQLError) as e:
        rows(connection, sql)
    return e.value.args


def ok_info(connection, sql):
    """(affected, warnings, info text) of a statement that must succeed with an OK packet."""
    with connection.cursor() as k:
        affected = k.execute(sql)
        message = connection._result.message
    return affected, connection._result.warning_count, message[1:].decode() if message else ""


class S3:
    """A bucket of one's own."""

    def __init__(self, url, bucket):
        import botocore.config
        import botocore.session
        self.url, self.bucket = url, bucket
        self.access, self.secret = (os.environ.get("S3_ACCESS_KEY", "AKIDEXAMPLE"),
                                    os.environ.get("S3_SECRET_KEY", "wJalrXUtnFEMI"))
        self.client = botocore.session.Session().create_client(
            "s3", region_name="us-east-1", endpoint_url=url, aws_access_key_id=self.access,
            aws_secret_access_key=self.secret, config=botocore.config.Config(
                s3={"addressing_style": "path"}, request_checksum_calculation="when_required",
                response_checksum_validation="when_required", proxies={}))
        self.client.create_bucket(Bucket=bucket)

    def put(self, key, data):
        self.client.put_object(Bucket=self.bucket, Key=key,
                               Body=data.encode() if isinstance(data, str) else data)

    def call(self, key, fmt="csv", **more):
        props = {"uri": "s3://%s/%s" % (self.bucket, key), "s3.endpoint": self.url,
                 "s3.region": "us-east-1", "s3.access_key": self.access,
                 "s3.secret_key": self.secret, "use_path_style": "true", "format": fmt}
        props.update((k.replace("__", "."), v) for k, v in more.items())
        return "S3(%s)" % ", ".join('"%s" = "%s"' % kv for kv in props.items() if kv[1] is not None)


@pytest.fixture(scope="session")
def s3_url():
    url = os.environ.get("S3_URL")
    if url:
        yield url
        return
    from fake_s3 import FakeS3
    with FakeS3() as fake:
        yield fake.url


@pytest.fixture
def s3(s3_url, tmp_path_factory):
    return S3(s3_url, "b%d" % time.time_ns())
