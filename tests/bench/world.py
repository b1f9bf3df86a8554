"""
What the scheduler works between, for its benchmark: an object store and an FE, each in two kinds.

Swift and the stand-in FE do everything, and cost more than sluice does. fakes3.c and fakeserver.c
cost next to nothing, so that sluice is what is measured, and tell to the nanosecond when a request
came and when it was answered: on the clock that time.monotonic_ns() reads, too.
"""

import contextlib
import http.client
import json
import os
import sqlite3
import time

import candidates
import machine
import procs

REGION, ACCESS, SECRET = "us-east-1", "bench", "bench-secret"


class FakeS3(candidates.Listener):
    """tests/bench/fakes3.c; bucket gen-N has N objects, every other one is empty at first."""

    access_key, secret_key, region = ACCESS, SECRET, REGION

    def __init__(self, directory):
        port = procs.free_port()
        super().__init__("fakes3", directory, [candidates.tool("fakes3"), port], port)
        self._link = None

    @property
    def endpoint(self):
        return "http://127.0.0.1:%d" % self.port

    def ask(self, method, path, body=None):
        if self._link is None:
            self._link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self._link.request(method, path, body)
        reply = self._link.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise procs.ProcessError("fakes3: %s %s: %d" % (method, path, reply.status))
        return text

    def put(self, bucket, key, body):
        self.ask("PUT", "/%s/%s" % (bucket, key), body)

    def events(self):
        """[(came, answered, keys)] of the list requests since the last question."""
        return [tuple(map(int, line.split())) for line in self.ask("GET", "/_events").splitlines()]

    def counts(self):
        return json.loads(self.ask("GET", "/_counts"))


class FakeFe(candidates.Listener):
    """tests/bench/fakeserver.c: every INSERT under a label is VISIBLE at once."""

    def __init__(self, directory):
        port = procs.free_port()
        super().__init__("fakeserver", directory,
                         [candidates.tool("fakeserver"), candidates.N_THREADS, port], port)
        self._link = None
        self.times = []  # (came, answered) of each INSERT that loads_seen() has found

    def loads_seen(self):
        """How many INSERTs came ever."""
        if self._link is None:
            self._link = procs.connect(self.port)
        with self._link.cursor() as cursor:
            cursor.execute("loads")
            n, times = cursor.fetchone()
        numbers = list(map(int, times.split()))
        self.times += zip(numbers[::2], numbers[1::2])
        return int(n)


def tvf(server, uri):
    values = {"uri": uri, "format": "csv", "column_separator": ",",
              "s3.endpoint": server.endpoint, "s3.region": server.region,
              "s3.access_key": server.access_key, "s3.secret_key": server.secret_key,
              "use_path_style": "true"}
    return "S3(%s)" % ", ".join('"%s" = "%s"' % item for item in values.items())


def create_job(cursor, name, table, server, uri, properties=None, columns="*"):
    listed = ", ".join('"%s" = "%s"' % item for item in (properties or {}).items())
    cursor.execute("CREATE JOB %s %s ON STREAMING DO INSERT INTO %s SELECT %s FROM %s"
                   % (name, "PROPERTIES (%s)" % listed if listed else "", table, columns,
                      tvf(server, uri)))


def make_sluice(directory, fe, **config):
    return procs.Sluice(directory, fe, {
        "log.level": "info", "scheduler.max_interval": None, "scheduler.max_jobs": 100000,
        **{key.replace("__", "."): value for key, value in config.items()}})


@contextlib.contextmanager
def running(*processes):
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in reversed(processes):
            process.kill9()


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def open_files(pid):
    """{kind: how many} of a process's descriptors."""
    found = {"socket": 0, "eventfd": 0, "other": 0}
    directory = machine.PROC / str(pid) / "fd"
    for entry in os.listdir(directory):
        with contextlib.suppress(OSError):
            target = os.readlink(directory / entry)
            kind = "socket" if target.startswith("socket:") else \
                "eventfd" if "eventfd" in target else "other"
            found[kind] += 1
    return found


def n_threads(pid):
    return len(os.listdir(machine.PROC / str(pid) / "task"))


def measure_disk(directory, n):
    """
    What the disk takes for 4 KB that have to be on it, and SQLite for a transaction of two rows as
    our store makes it: neither can a commit of ours be faster.
    """
    path = directory / "disk"
    syncs, commits = [], []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    for _ in range(n):
        begin = time.monotonic_ns()
        os.write(fd, b"x" * 4096)
        os.fdatasync(fd)
        syncs.append((time.monotonic_ns() - begin) / 1e6)
    os.close(fd)
    with contextlib.closing(sqlite3.connect(directory / "peer.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)")
        db.execute("CREATE TABLE u (id INTEGER PRIMARY KEY, n INTEGER)")
        db.execute("INSERT INTO u VALUES (1, 0)")
        for _ in range(n):
            begin = time.monotonic_ns()
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT INTO t (text) VALUES (?)", ("x" * 500,))
            db.execute("UPDATE u SET n = n + 1")
            db.execute("COMMIT")
            commits.append((time.monotonic_ns() - begin) / 1e6)
    return {"fdatasync_ms": percentile(syncs, 50), "fdatasync_p99_ms": percentile(syncs, 99),
            "sqlite_commit_ms": percentile(commits, 50)}
