"""
relay_only between a client and a server: the relay without Sluice's own statements.

tests/unit/relay_main.c has a local side of a few lines, SHOW SLUICE JOB PING|ERROR|LATE|ASK
<sql>|FORWARD. MariaDB stands for the FE where the protocol is what counts, wire.FakeServer where
bytes are.
"""

import pathlib
import re
import tempfile

import pytest

import procs
import wire
from mariadb import PASSWORD, USER, MariaDB


class Relay(procs.Process):
    """relay_only in front of ports. Ends with an error if it crashed, leaked or lost a session."""

    def __init__(self, directory, *ports, **options):
        argv = [procs.build_dir() / "tests" / "unit" / "relay_only"]
        for port in ports:
            argv += ["--backend", port]
        for name, value in options.items():
            argv += ["--" + name.replace("_", "-"), value]
        super().__init__("relay_only", directory, argv)
        self.port = None

    def start(self):
        super().start()
        self.port = int(self.wait_ready(r"^listening (\d+)$").group(1))

    def connect(self, user=USER, password=PASSWORD, **more):
        return procs.connect(self.port, user, password, **more)

    def client(self, user=USER, password=PASSWORD, **more):
        return wire.Client(self.port, user, password, **more)

    def closed(self):
        """Every session.closed line so far: [{"client": ..., "reason": ...}]."""
        lines = re.findall(r"session\.closed (.*)", self.log_text())
        return [dict((k, v.strip('"')) for k, v in re.findall(r'(\w+)=("[^"]*"|\S+)', line))
                for line in lines]

    def wait_closed(self, pattern, n=1):
        """Waits until n sessions have ended for a reason that fits; returns the reasons."""
        def look():
            reasons = [line["reason"] for line in self.closed()]
            return reasons if len([r for r in reasons if re.search(pattern, r)]) >= n else None
        return procs.wait_until(look, 20, "%d sessions ended with %r" % (n, pattern))

    def rss_kb(self):
        text = pathlib.Path("/proc/%d/status" % self.pid).read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))

    def stop(self, timeout=30.0):
        was_running = self.is_running()
        code = super().stop(timeout)
        text = self.log_text()
        if was_running and (code != 0 or procs.SANITIZER_REPORT.search(text)):
            raise procs.ProcessError("relay_only ended with %s:\n%s" % (code, text[-4000:]))
        ids = [line["id"] for line in self.closed()]
        if len(ids) != len(set(ids)):
            raise procs.ProcessError("a disconnect was logged twice:\n" + text[-4000:])
        return code


_shared = []  # one MariaDB for all test files; pytest ends it


@pytest.fixture(scope="session")
def mariadb(request):
    if not _shared:
        directory = tempfile.TemporaryDirectory(prefix="sluice-mariadb-")
        server = MariaDB(pathlib.Path(directory.name))
        request.config.add_cleanup(directory.cleanup)
        request.config.add_cleanup(server.kill9)
        server.start()
        _shared.append(server)
    return _shared[0]


@pytest.fixture
def relay(registry):
    """relay(port, ..., option=value) -> a running Relay."""
    def make(*ports, **options):
        process = registry.add(Relay(registry.new_directory("relay"), *ports, **options))
        process.start()
        return process
    return make


@pytest.fixture
def front(relay, mariadb):
    return relay(mariadb.port)


def sessions(mariadb):
    with mariadb.connect() as c, c.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.processlist "
                       "WHERE USER IN (%s, 'other', 'unauthenticated user')", (USER,))
        return cursor.fetchone()[0]


def ping(client):
    """The user as the local side knows it: the stream is in step, too."""
    (kind, content), = client.query("SHOW SLUICE JOB PING")
    assert kind == "ok", content
    return content[1]
