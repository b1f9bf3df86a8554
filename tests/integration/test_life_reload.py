"""Reload, drain and socket activation: what happens to a Sluice that runs."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest

import procs
import wire
from life_rig import (  # noqa: F401: fixtures, too
    HELD_UP, client, events, front, held_up, login_error, mariadb, metric, reload, wait_ended,
    wait_event, wait_held_up)
from mariadb import PASSWORD, USER

LISTEN_FDS_START = 3

# --- reload ---------------------------------------------------------------------------------------

@pytest.mark.quick
@pytest.mark.sanitize
def test_reload_of_limits(front):
    made = front({"log.level": "info"})
    c, d = client(made), client(made)
    line = reload(made, proxy__max_connections=2, proxy__max_user_connections=2, log__level="debug")
    assert "proxy.max_connections = 2" in line["changed"] and "log.level = debug" in line["changed"]
    assert login_error(made)[0] == 1040
    reload(made, 2, proxy__max_connections=100)
    assert login_error(made)[0] == 1203  # those of before the limit count
    line = reload(made, 3, proxy__max_user_connections=0)
    assert line["changed"] == "proxy.max_user_connections = 0"
    client(made).close()
    wait_event(made, "session.opened")  # of level debug
    reload(made, 4, proxy__idle_timeout="300ms")
    assert c.is_closed() and d.is_closed()  # sessions that ran before, too
    reload(made, 5, proxy__idle_timeout="1h", proxy__login_timeout="2s")  # the greeting comes in it
    late = wire.Client(made.port)
    late.read_packet()
    assert late.is_closed()
    assert metric(made, "sluice_config_read_successful") == 1


@pytest.mark.sanitize
def test_reload_that_needs_a_restart(front):
    made = front()
    line = reload(made, proxy__workers=1, doris__password="quiet", proxy__idle_timeout="2h")
    assert line["changed"] == "proxy.idle_timeout = 2h"
    assert wait_event(made, "config.waiting")["keys"] == "proxy.workers, doris.password"
    assert "quiet" not in made.log_text()
    assert reload(made, 2)["changed"] == "nothing"
    assert len(events(made, "config.waiting")) == 2


@pytest.mark.sanitize
def test_reload_that_is_wrong(front):
    made = front({"proxy.max_user_connections": 1})
    made.config.update({"proxy.max_user_connections": 5, "proxy.idle_timeout": "soon"})
    made.reload()
    wait_event(made, "config.reload", reason="idle_timeout")
    held = client(made)
    assert login_error(made)[0] == 1203
    assert metric(made, "sluice_config_read_successful") == 0
    reload(made, proxy__idle_timeout="1h")
    client(made).close()
    held.close()


@pytest.mark.sanitize
def test_reload_while_clients_come_and_go(front):
    """No worker sees half of a change; the old settings are freed (ASan, TSan)."""
    made = front()
    stop = threading.Event()
    errors = []

    def hammer():
        while not stop.is_set():
            try:
                c = client(made)
                assert c.query("SELECT 1") == [("rows", [[b"1"]])]
                c.close()
            except Exception as e:  # noqa: BLE001: told below
                errors.append(e)
                return

    threads = [threading.Thread(target=hammer) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(1, 21):
        reload(made, n, proxy__max_connections=100 + n, proxy__max_user_connections=50 + n)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]


def make_certificate(directory, name):
    cert, key = directory / (name + ".pem"), directory / (name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def subject(sluice):
    """Of the certificate that a client is shown; the session it had ends."""
    text = subprocess.run(["openssl", "s_client", "-starttls", "mysql", "-connect",
                           "127.0.0.1:%d" % sluice.port], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=procs.patience(20)).stdout
    found = re.search(r"subject=.*?CN ?= ?(\S+)", text)
    return found.group(1) if found else None


@pytest.mark.sanitize
def test_reload_of_the_certificate(front, tmp_path):
    cert, key = make_certificate(tmp_path, "first")
    made = front({"proxy.tls": "optional", "proxy.tls_cert": cert, "proxy.tls_key": key})
    assert subject(made) == "first"
    with procs.connect(made.port, USER, PASSWORD, ssl={"check_hostname": False}) as running:
        cert2, key2 = make_certificate(tmp_path, "second")
        cert.write_bytes(cert2.read_bytes())
        key.write_bytes(key2.read_bytes())
        assert reload(made)["changed"] == "nothing"  # but the file was read again
        assert subject(made) == "second"
        with running.cursor() as cursor:
            assert cursor.execute("SELECT 1") == 1
        assert metric(made, "sluice_tls_sessions") == 1
    procs.wait_until(lambda: metric(made, "sluice_tls_sessions") == 0, what="the end of it")
    cert.write_text("no certificate")
    reload(made, 2, proxy__max_connections=77)
    assert "tls_cert" in wait_event(made, "config.tls_kept")["reason"]
    assert subject(made) == "second"
    assert metric(made, "sluice_config_read_successful") == 0
    reload(made, 3, proxy__tls="off")
    assert metric(made, "sluice_config_read_successful") == 1
    assert subject(made) is None


# --- drain ----------------------------------------------------------------------------------------

@pytest.mark.quick
@pytest.mark.sanitize
def test_drain(front, mariadb):
    """Idle sessions end with a FIN, logins with an ERR, a statement may end, /health says so."""
    made = front({"proxy.drain_timeout": "60s"})
    idle, busy, probe = client(made), client(made), client(made)
    greeted = wire.Client(made.port)
    greeted.read_packet()
    assert json.loads(made.http("/health")[1])["status"] == "ok"
    with held_up(mariadb):
        busy.send(wire.query(HELD_UP))
        wait_held_up(probe)
        os.kill(made.pid, signal.SIGTERM)
        assert idle.sock.recv(1) == b"" and probe.sock.recv(1) == b""
        assert wire.error(greeted.read_packet()[1])[0] == 1053
        assert greeted.is_closed()
        procs.wait_until(lambda: procs.is_refused(made.port), what="the end of all listeners")
        status, body = made.http("/health")
        assert status == 503 and json.loads(body)["status"] == "draining"
        assert metric(made, "sluice_draining") == 1
    assert busy.read_results() == [("rows", [[b"1"]])]
    assert busy.sock.recv(1) == b""
    wait_ended(made)
    # procs.is_refused() may itself have been taken from the queue, and left: it never met an FE
    ended = [e for e in events(made, "session.closed") if e["state"] in ("login", "ready")]
    assert [e["kind"] for e in ended] == ["shutdown"] * 4


@pytest.mark.sanitize
@pytest.mark.parametrize("tls", [False, True])
def test_drain_cuts_statements(front, mariadb, tmp_path, tls):
    """At the end of proxy.drain_timeout: 1053, in TLS too, and to one in the middle of a command."""
    config = {"proxy.drain_timeout": "300ms"}
    if tls:
        cert, key = make_certificate(tmp_path, "sluice")
        config.update({"proxy.tls": "required", "proxy.tls_cert": cert, "proxy.tls_key": key})
    made = front(config)
    options = {"ssl": {"check_hostname": False}} if tls else {}
    busy = procs.connect(made.port, USER, PASSWORD, **options)
    found = []

    def run():
        try:
            with busy.cursor() as cursor:
                cursor.execute("SELECT SLEEP(60)")
        except procs.pymysql.MySQLError as e:
            found.append(e.args)

    thread = threading.Thread(target=run)
    thread.start()
    with mariadb.connect() as direct, direct.cursor() as cursor:
        def running():
            cursor.execute("SELECT ID FROM information_schema.processlist "
                           "WHERE INFO LIKE 'SELECT SLEEP%'")
            return cursor.fetchall()
        (number,), = procs.wait_until(running, what="the statement to run")
        half = None
        if not tls:
            half = client(made)
            half.send(wire.query("SELECT 1" + " " * 1000)[:100])
        os.kill(made.pid, signal.SIGTERM)
        thread.join(procs.patience(20))
        assert found and found[0][0] == 1053, found
        if half:
            assert wire.error(half.read_packet()[1])[0] == 1053
            half.send(b" " * 100)  # it had not read yet; still no reset
            assert half.sock.recv(1) == b""
        wait_ended(made)
        cursor.execute("KILL %d" % number)
    assert {e["kind"] for e in events(made, "session.closed")} == {"shutdown"}


@pytest.mark.sanitize
def test_drain_with_clients_in_the_queue(front):
    """Who connects while Sluice ends gets its greeting, an ERR or "refused", but no reset."""
    made = front({"proxy.workers": 1})
    stop = threading.Event()
    seen = {"served": 0, "told": 0, "refused": 0}
    wrong = []

    def hammer():
        while not stop.is_set():
            try:
                sock = socket.create_connection(("127.0.0.1", made.port), procs.patience(10))
            except ConnectionRefusedError:
                seen["refused"] += 1
                return
            try:
                payload = wire.Stream(sock).read_packet()[1]
                seen["told" if payload[0] == wire.ERR else "served"] += 1
            except (ConnectionError, wire.Closed) as e:
                wrong.append(repr(e))
            sock.close()

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for thread in threads:
        thread.start()
    procs.wait_until(lambda: seen["served"] > 200, what="many connects")
    assert made.stop() == 0
    for thread in threads:
        thread.join(procs.patience(10))
    stop.set()
    assert not wrong, (wrong, seen)


# --- socket activation ----------------------------------------------------------------------------

class Activated(procs.Sluice):
    """Started as systemd would: the sockets are ours, and passed to it as 3 and on."""

    def __init__(self, directory, fe, config=None, names=("mysql",)):
        super().__init__(directory, fe, config)
        self.sockets = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in names]
        self.names = names
        self.port = self.sockets[0].getsockname()[1]
        self.http_port = (self.sockets[names.index("http")].getsockname()[1] if "http" in names
                          else self.http_port)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.directory / "notify"))
        self.notify.settimeout(procs.patience(20))

    def launch(self):
        self.write_config()
        fds = [s.fileno() for s in self.sockets]

        def pass_sockets():
            # Out of the way first: a number may be another's.
            high = [os.dup2(fd, 200 + i) for i, fd in enumerate(fds)]
            for i, fd in enumerate(high):
                os.dup2(fd, LISTEN_FDS_START + i)
            os.environb[b"LISTEN_PID"] = b"%d" % os.getpid()

        # exec by the shell keeps the pid that LISTEN_PID has to name.
        argv = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *self.argv]
        env = {**self.env, "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(self.names),
               "NOTIFY_SOCKET": str(self.directory / "notify")}
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self._out_seen = out.tell()
            self.popen = subprocess.Popen(
                argv, cwd=self.directory, env=env, stdout=out, stderr=err,
                stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=pass_sockets,
                pass_fds=range(LISTEN_FDS_START, LISTEN_FDS_START + len(fds)))

    def close(self):
        for sock in [*self.sockets, self.notify]:
            sock.close()


@pytest.fixture
def activated(registry, mariadb):
    made = []

    def make(config=None, names=("mysql",)):
        process = Activated(registry.new_directory("sluice"), mariadb,
                            {"proxy.health_interval": 0, "proxy.listen": "127.0.0.1:1",
                             **(config or {})}, names)
        registry.add(process)
        made.append(process)
        process.start()
        return process
    yield make
    for process in made:
        process.close()


@pytest.mark.sanitize
def test_activation(activated):
    """It serves the sockets it was given, with all workers, and tells systemd how it is."""
    made = activated({"proxy.workers": 4, "http.listen": ""},
                     names=("mysql", "http", "second", "http"))
    for i in (1, 3):
        assert procs.http_get(made.sockets[i].getsockname()[1], "/health")[0] == 200
    assert made.notify.recv(100).startswith(b"READY=1")
    assert client(made).query("SELECT 1") == [("rows", [[b"1"]])]
    made.port = made.sockets[2].getsockname()[1]
    assert client(made).query("SELECT 1") == [("rows", [[b"1"]])]
    lines = events(made, "proxy.listen")
    assert len(lines) == 2 and {line["from"] for line in lines} == {"LISTEN_FDS"}
    made.reload()
    assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", made.notify.recv(100))
    assert made.notify.recv(100) == b"READY=1"
    made.stop()
    assert made.notify.recv(100).startswith(b"STOPPING=1")


@pytest.mark.quick
@pytest.mark.sanitize
def test_restart_with_activation_drops_no_connection(activated):
    made = activated({"proxy.workers": 2, "proxy.drain_timeout": "5s"})
    stop = threading.Event()
    wrong, served = [], []

    def hammer():
        while not stop.is_set():
            try:
                sock = socket.create_connection(("127.0.0.1", made.port), procs.patience(30))
                stream = wire.Stream(sock)
                payload = stream.read_packet()[1]
                if payload[0] == wire.ERR:  # it had come before the signal, and was not logged in
                    assert wire.error(payload)[0] == 1053, payload
                served.append(payload[0])
                stream.close()
            except Exception as e:  # noqa: BLE001: told below
                wrong.append(repr(e))

    threads = [threading.Thread(target=hammer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        n = len(served)
        procs.wait_until(lambda: len(served) > n + 50, what="connects")
        made.restart()
    n = len(served)
    procs.wait_until(lambda: len(served) > n + 50, what="connects after the last restart")
    stop.set()
    for thread in threads:
        thread.join(procs.patience(30))
    assert not wrong, wrong[:5]


def test_units_of_systemd(tmp_path):
    """systemd accepts every line of the units that we ship."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd here")
    paths = []
    for name in ("sluice.service", "sluice.socket"):
        text = (procs.ROOT / "deploy" / "systemd" / name).read_text()
        paths.append(tmp_path / name)
        paths[-1].write_text(text.replace("/usr/bin/sluice", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_socket_that_cannot_be_used(activated, registry, mariadb):
    with contextlib.closing(socket.socket()) as plain:
        made = Activated(registry.new_directory("sluice"), mariadb, {})
        registry.add(made)
        made.sockets.append(plain)  # it does not listen
        made.launch()
        procs.wait_until(lambda: not made.is_running(), what="sluice to give up")
        assert made.popen.returncode == 1 and "LISTEN_FDS" in made.log_text()
        made.sockets.pop()
        made.close()
