"""
The processes of an integration test, each with a private directory and free ports: Swift (S3), the
stand-in FE and sluice. Started when their ready line or port answers, ended by pid, output kept for
the failure report. deploy/quickstart uses them too.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pymysql

ROOT = pathlib.Path(__file__).resolve().parents[2]
SYSTEM_PYTHON = "/usr/bin/python3"  # Swift's modules are Debian's
LEAST_S = 60  # that anything is waited for: a machine may have ten times more to do than it can
SANITIZER_REPORT = re.compile(
    r"^.*(?:ERROR: (?:Address|Leak)Sanitizer|WARNING: ThreadSanitizer|runtime error:)"
    r"(?:.*\n){1,70}?(?=SUMMARY: |=====|\Z)", re.M)


class ProcessError(Exception):
    """A process did not start, did not stay, or did not end as it should."""


def build_dir():
    """Where the sluice under test was built; tests/run sets it to the sanitizers' builds too."""
    return pathlib.Path(os.environ.get("SLUICE_BUILD") or ROOT / "build").resolve()


def is_sanitized():
    """The build under test keeps freed memory, and is slower."""
    return "san" in build_dir().name


def patience(seconds):
    """A deadline for the build under test: sanitizers are slower."""
    return seconds * (4 if is_sanitized() else 1)


def is_refused(port):
    """Nobody listens there. Until then the attempt is a connection that the listener may take."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return True
    return False


def wait_until(fn, timeout=10.0, what="the condition", interval=0.03):
    """Calls fn until it returns something true, which is returned. Exceptions of fn pass through."""
    limit = max(patience(timeout), LEAST_S)
    deadline = time.monotonic() + limit
    while True:
        is_last = time.monotonic() > deadline  # before the look: what it finds is not older than that
        result = fn()
        if result:
            return result
        if is_last:
            last = "" if result is None else "; at last it was %r" % (result,)
            raise TimeoutError("%s did not come true within %.0f s%s"
                               % (what, limit, last))
        time.sleep(interval)


_reservations = []


def free_port():
    """
    A free port that stays ours as long as this process lives, also while nothing listens on it: from
    below the kernel's range for outgoing connections, and claimed under a name that every run here
    looks at.
    """
    for _ in range(1000):
        port = random.randint(15000, 31999)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.closing(socket.socket()) as probe:
            try:
                claim.bind("\0sluice-test-port-%d" % port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        _reservations.append(claim)
        return port
    raise ProcessError("no free port between 15000 and 31999")


def http_get(port, path, timeout=30.0):
    """(status, body); status 0 when nobody answers."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path),
                                    timeout=timeout) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors="replace")
    except OSError as e:
        return 0, str(e)


class Process:
    """One program. Its stdout and stderr go to <directory>/<name>.out and .err, appended."""

    def __init__(self, name, directory, argv, env=None):
        self.name = name
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.argv = [str(arg) for arg in argv]
        # Our own variables would be configuration to the program.
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}
        self.env.update(env or {})
        self.out_path = self.directory / (name + ".out")
        self.err_path = self.directory / (name + ".err")
        self.popen = None
        self._out_seen = 0

    @property
    def pid(self):
        return self.popen.pid if self.popen else None

    def is_running(self):
        return self.popen is not None and self.popen.poll() is None

    def start(self):
        """Returns when it does its work."""
        self.launch()
        self.wait_started()

    def wait_started(self):
        """Until it does its work; a program that says nothing of it is ready at once."""

    def launch(self):
        """Starts it and does not wait."""
        if self.is_running():
            raise ProcessError("%s runs already (pid %d)" % (self.name, self.pid))
        argv = self.argv
        if threading.current_thread() is threading.main_thread():
            # Should we be killed, the kernel ends it. Not from other threads: the signal comes
            # when the thread that started it ends, not the process.
            argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self._out_seen = out.tell()
            self.popen = subprocess.Popen(argv, cwd=self.directory, env=self.env, stdout=out,
                                          stderr=err, stdin=subprocess.DEVNULL,
                                          start_new_session=True)

    def must_live(self):
        """Raises with what it said last when it has ended."""
        if not self.is_running():
            code = self.popen.returncode if self.popen else None
            raise ProcessError("%s ended with %s:\n%s" % (self.name, code, self.log_text(40)))

    def wait_ready(self, pattern, timeout=20.0):
        """The match of the first line of this start's stdout that fits."""
        def look():
            text = self.out_path.read_bytes()[self._out_seen:].decode(errors="replace")
            found = re.search(pattern, text, re.M)
            if found is None:
                self.must_live()
            return found
        return wait_until(look, timeout, "the ready line of %s" % self.name)

    def log_text(self, lines=None):
        """Everything it wrote to both; the last `lines` of each."""
        parts = []
        for path in (self.out_path, self.err_path):
            if path.exists():
                text = path.read_text(errors="replace").splitlines(keepends=True)
                parts += text[-lines:] if lines else text
        return "".join(parts)

    def sanitizer_reports(self):
        """What a sanitizer complained about, each complaint once."""
        return list(dict.fromkeys(SANITIZER_REPORT.findall(self.log_text() + "\n")))

    def kill9(self):
        """SIGKILL and wait; nothing of it is left when this returns."""
        if self.popen is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait()
        self._end_group()

    def stop(self, timeout=15.0):
        """SIGTERM and wait. Returns the exit code; ProcessError when it had to be killed."""
        if self.popen is None:
            return None
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            self.popen.wait(patience(timeout))
        except subprocess.TimeoutExpired:
            self.kill9()
            raise ProcessError("%s did not end within %.0f s of SIGTERM"
                               % (self.name, patience(timeout))) from None
        self._end_group()
        return self.popen.returncode

    def _end_group(self):
        """What it started itself is in its process group, which is ours alone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, signal.SIGKILL)


class Swift(Process):
    """A strict S3 server: OpenStack Swift with its s3api."""

    program = ROOT / "tests" / "s3" / "swift.py"

    def __init__(self, directory):
        super().__init__("swift", directory, [SYSTEM_PYTHON, self.program, "--dir",
                                              pathlib.Path(directory) / "data", "--port", "0"])
        constants = runpy.run_path(str(self.program), run_name="swift_constants")
        self.access_key, self.secret_key = constants["KEYS"][0]
        self.region = constants["REGION"]
        self.port = None

    @property
    def endpoint(self):
        return "http://127.0.0.1:%d" % self.port

    def wait_started(self):
        # It has a time limit of its own, and says of which of its four servers it was.
        self.port = int(self.wait_ready(r"^ready port=(\d+)", 210).group(1))


class StandIn(Process):
    """The stand-in FE. `users`: {"name": "password"} or {"name": ("password", "grants")}."""

    def __init__(self, directory, profile="4.1", users=None, knobs=None):
        self.users = users or {}
        self.port, self.http_port = free_port(), free_port()
        argv = [sys.executable, "-m", "standin", "--dir", pathlib.Path(directory) / "data",
                "--profile", profile, "--port", self.port, "--http-port", self.http_port]
        for name, secret in self.users.items():
            parts = (secret,) if isinstance(secret, str) else tuple(secret)
            argv += ["--user", ":".join((name, *parts))]
        for key, value in (knobs or {}).items():
            argv += ["--knob", "%s=%s" % (key, value)]
        super().__init__("standin", directory, argv, {"PYTHONPATH": str(ROOT / "tests")})

    def wait_started(self):
        self.wait_ready(r"^ready mysql=%d http=%d" % (self.port, self.http_port), 30)

    def restart(self):
        """After kill9() or stop(): the same data and ports."""
        if self.is_running():
            self.kill9()
        self.start()

    def connect(self, user="root", password="", db=None, **more):
        return connect(self.port, user, password, db, **more)

    def rows(self, sql, **who):
        return rows(self.connect, sql, **who)

    def state(self):
        return self._control("GET", "/standin/state")

    def is_loading(self):
        """An INSERT has begun its transaction; "running" is true of any statement, a SET, say."""
        now = self.state()
        return bool(now["running"]) and now["transactions"].get("PREPARE", 0) > 0

    def log(self):
        return self._control("GET", "/standin/log")

    def knobs(self, **values):
        return self._control("POST", "/standin/knobs", values)

    def show_jobs(self, **changed):
        """What jobs() and tasks() show of the FE's own jobs: tests/standin/jobs.py, control()."""
        return self._control("POST", "/standin/jobs", changed)

    def _control(self, method, path, document=None):
        request = urllib.request.Request(
            "http://127.0.0.1:%d%s" % (self.http_port, path), method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=patience(30)) as reply:
                text = reply.read().decode()
        except urllib.error.HTTPError as e:
            raise ProcessError("stand-in: %s %s: %d %s"
                               % (method, path, e.code, e.read().decode())) from None
        try:
            return json.loads(text)
        except ValueError:
            return text


def connect(port, user="root", password="", db=None, **more):
    """PyMySQL, autocommit, with deadlines."""
    options = {"connect_timeout": patience(30), "read_timeout": patience(60),
               "write_timeout": patience(60), "autocommit": True, **more}
    return pymysql.connect(host="127.0.0.1", port=port, user=user, password=password, database=db,
                           **options)


def rows(connect_fn, sql, **who):
    """The rows of one statement on a connection of its own, each a dict."""
    with contextlib.closing(connect_fn(**who)) as connection:
        with connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())


class Sluice(Process):
    """
    The proxy in front of `fe` (anything with .port and, for doris.http, .http_port). `config` is
    {"section.key": value} over the defaults below; a value of None leaves the key out.
    """

    def __init__(self, directory, fe, config=None, binary=None):
        directory = pathlib.Path(directory)
        self.binary = pathlib.Path(binary or build_dir() / "proxy" / "sluice")
        super().__init__("sluice", directory, [self.binary, "-c", directory / "sluice.conf"])
        self.port, self.http_port = free_port(), free_port()
        self.config = {
            "proxy.listen": "127.0.0.1:%d" % self.port,
            "proxy.backend": "127.0.0.1:%d" % fe.port,
            "proxy.workers": 2,
            "proxy.drain_timeout": 500,
            "doris.user": "root",
            "store.url": "sqlite:%s" % (directory / "sluice.db"),
            "http.listen": "127.0.0.1:%d" % self.http_port,
            "scheduler.max_interval": 1,
            "log.level": "debug",
        }
        if getattr(fe, "http_port", None):
            self.config["doris.http"] = "127.0.0.1:%d" % fe.http_port
        self.config.update(config or {})

    def write_config(self):
        sections = {}
        for key, value in self.config.items():
            if value is not None:
                section, name = key.split(".", 1)
                sections.setdefault(section, []).append("%s = %s\n" % (name, value))
        text = "".join("[%s]\n%s" % (name, "".join(lines)) for name, lines in sections.items())
        (self.directory / "sluice.conf").write_text(text)

    def launch(self):
        if not self.binary.exists():
            raise ProcessError("%s is not there: build it first (tests/run --only build)"
                               % self.binary)
        self.write_config()
        super().launch()

    def wait_started(self, timeout=15.0):
        def look():
            self.must_live()
            return http_get(self.http_port, "/health")[0] == 200
        wait_until(look, timeout, "GET /health of sluice with 200")

    def restart(self):
        """Starts it again, after kill9(), stop() or neither."""
        if self.is_running():
            self.stop()
        self.start()

    def stop(self, timeout=15.0):
        was_running = self.is_running()
        code = super().stop(timeout)
        if was_running and code != 0:
            raise ProcessError("sluice ended with %s after SIGTERM:\n%s" % (code, self.log_text(40)))
        return code

    def reload(self):
        self.write_config()
        os.kill(self.pid, signal.SIGHUP)

    def connect(self, user="root", password="", db=None, **more):
        return connect(self.port, user, password, db, **more)

    def rows(self, sql, **who):
        return rows(self.connect, sql, **who)

    def http(self, path):
        return http_get(self.http_port, path)
