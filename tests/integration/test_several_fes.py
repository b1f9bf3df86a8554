"""
Several FEs behind one Sluice: which one a new session gets, their health, and KILL, whose numbers
each FE counts for itself.
"""

import contextlib
import http.server
import json
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pymysql
import pytest

import procs
import wire
from address_rig import CLIENT, HERE, fes, haproxy, rows, wait_fe  # noqa: F401
from hostile_rig import FE, go_on

pytestmark = pytest.mark.sanitize


class Cluster:
    """Stand-ins behind one sluice. Each has a database that only it has: fe0, fe1, ..."""

    def __init__(self, standin, sluice, n, config=None, users=None):
        self.fes = [standin(users=users) for _ in range(n)]
        for i, fe in enumerate(self.fes):
            fe.rows("CREATE DATABASE fe%d" % i)
        self.front = sluice(self.fes[0], {
            "proxy.backend": ", ".join("%s:%d" % (HERE, fe.port) for fe in self.fes),
            "doris.http": None, "proxy.health_interval": 100, **(config or {})})
        for i in range(n):
            wait_fe(self.front, i, "up")

    def connect(self, source=HERE, user="root", password=""):
        return self.front.connect(user, password, bind_address=source)

    def where(self, connection):
        """The number of the FE that it is connected to."""
        return next(int(row[0][2:]) for row in rows(connection, "SHOW DATABASES")
                    if re.fullmatch(r"fe\d", row[0]))

    def kill(self, i):
        self.fes[i].kill9()

    def restart(self, i):
        self.fes[i].restart()
        wait_fe(self.front, i, "up")

    def on(self, i, source, user="root", password=""):
        """A connection to FE i from a host that has none yet: the FEs before it are stopped."""
        for k in range(i):
            self.kill(k)
        connection = self.connect(source, user, password)
        assert self.where(connection) == i
        for k in range(i):
            self.restart(k)
        return connection


def number(connection):
    return int(rows(connection, "SELECT CONNECTION_ID()")[0][0])


@pytest.fixture
def cluster(standin, sluice):
    return lambda n=2, **more: Cluster(standin, sluice, n, **more)


def test_a_dead_fe(cluster):
    """New sessions go on at once and without an error; the FE is used again once it is back."""
    c = cluster(3)
    assert c.where(c.connect()) == 0
    c.kill(0)
    for _ in range(5):
        assert c.where(c.connect("127.0.0.6")) == 1
    down = wait_fe(c.front, 0, "down")
    assert re.search("refused|Can't connect", down["reason"])
    c.kill(1)
    assert c.where(c.connect("127.0.0.7")) == 2
    c.restart(0)
    assert c.where(c.connect("127.0.0.8")) == 0
    log = c.front.log_text()
    assert len(re.findall(r"fe\.down .*:%d " % c.fes[0].port, log)) == 1
    assert len(re.findall(r"fe\.up .*:%d " % c.fes[0].port, log)) == 2
    assert 'sluice_fe_up{fe="%s:%d"} 1' % (HERE, c.fes[0].port) in c.front.http("/metrics")[1]


def test_all_dead(cluster):
    c = cluster(2)
    c.kill(0)
    c.kill(1)
    with pytest.raises(pymysql.OperationalError) as failed:
        c.connect()
    assert failed.value.args[0] == 1429
    for fe in c.fes:
        assert "%s:%d" % (HERE, fe.port) in failed.value.args[1]


def test_affinity(cluster):
    """A host's next connection goes where its connections are, as long as there are any."""
    c = cluster()
    first = c.on(1, CLIENT)
    second = c.connect(CLIENT)
    assert c.where(second) == 1
    assert c.where(c.connect("127.0.0.6")) == 0
    first.close()
    second.close()
    none = 'sluice_fe_sessions{fe="%s:%d"} 0\n' % (HERE, c.fes[1].port)
    procs.wait_until(lambda: none in c.front.http("/metrics")[1], 10, "no session at FE 1")
    assert c.where(c.connect(CLIENT)) == 0


@pytest.fixture
def mute():
    """(port, connections so far): it accepts and never says a word."""
    held = []
    listener = socket.create_server((HERE, 0))

    def accept():
        with contextlib.suppress(OSError):
            while True:
                held.append(listener.accept()[0])
    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1], held
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(procs.patience(10))
    for sock in held:
        sock.close()


@pytest.mark.parametrize("interval", [0, 100])
def test_a_hanging_fe(standin, sluice, mute, interval):
    """It costs connect_timeout once; then nobody waits for it any more."""
    port, held = mute
    fe = standin()
    front = sluice(fe, {"proxy.backend": "%s:%d, %s:%d" % (HERE, port, HERE, fe.port),
                        "doris.http": None, "proxy.connect_timeout": 3000,
                        "proxy.health_interval": interval})
    assert rows(front.connect(), "SELECT 1")
    down = wait_fe(front, 0, "down")
    assert "in time" in down["reason"]
    n_before, took = len(held), []
    for _ in range(9):
        began = time.monotonic()
        rows(front.connect(), "SELECT 1")
        took.append(time.monotonic() - began)
    assert sorted(took)[4] < procs.patience(2.8)  # of most: a busy machine may hold one up
    assert interval or len(held) == n_before  # with an interval it is asked for its health


def test_a_hanging_fe_and_a_stop(standin, sluice, mute):
    """An FE that is being asked for its health does not delay the end."""
    port, held = mute
    fe = standin()
    front = sluice(fe, {"proxy.backend": "%s:%d, %s:%d" % (HERE, fe.port, HERE, port),
                        "doris.http": None, "proxy.connect_timeout": 60000,
                        "proxy.health_interval": 100})
    procs.wait_until(lambda: held, 10, "a connection to the FE that hangs")
    front.stop()  # within 15 s, says procs


class Ready:
    """/api/bootstrap of one host, as a Doris FE answers it."""

    def __init__(self, at):
        self.is_ready, self.n_asked = True, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.n_asked += 1
                body = json.dumps({"msg": "success", "code": 0, "data": {}} if outer.is_ready else
                                  {"msg": "Error", "code": 1, "data": "not ready"}).encode()
                self.send_response(200 if self.path == "/api/bootstrap" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(at, Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(procs.patience(10))


def test_health_by_http(standin, sluice, haproxy):
    """An FE that is not ready takes logins, but is not chosen; each FE is asked at its own host."""
    standins = [standin(), standin()]
    hosts = ["127.0.0.2", "127.0.0.3"]
    port, http_port = procs.free_port(), procs.free_port()
    haproxy(*(((host, port), "%s:%d" % (HERE, fe.port)) for host, fe in zip(hosts, standins)))
    with contextlib.ExitStack() as stack:
        ready = [stack.enter_context(contextlib.closing(Ready((host, http_port))))
                 for host in hosts]
        front = sluice(standins[0], {
            "proxy.backend": ", ".join("%s:%d" % (host, port) for host in hosts),
            "doris.http": "127.0.0.2:%d" % http_port, "proxy.health_interval": 100})
        for i in range(2):
            wait_fe(front, i, "up")

        def accepted():
            return [fe.state()["connections_accepted"] for fe in standins]
        before = accepted()
        front.connect(bind_address="127.0.0.6")
        assert accepted() == [before[0] + 1, before[1]]
        ready[0].is_ready = False
        assert "not ready" in wait_fe(front, 0, "down")["reason"]
        front.connect(bind_address="127.0.0.7")
        assert accepted() == [before[0] + 1, before[1] + 1]
        ready[0].is_ready = True
        wait_fe(front, 0, "up")
        front.connect(bind_address="127.0.0.8")
        assert accepted() == [before[0] + 2, before[1] + 1]
        # Its HTTP server answers, but nobody gets through: a login has to prove that it is back.
        standins[0].kill9()
        front.connect(bind_address="127.0.0.9")
        wait_fe(front, 0, "down")
        asked = ready[0].n_asked
        procs.wait_until(lambda: ready[0].n_asked > asked + 2, 10, "more questions")
        assert fes(front)[0]["state"] == "down"
        standins[0].restart()
        wait_fe(front, 0, "up")


def test_refused_login_is_alive(standin, sluice):
    fe = standin(users={"sluice": "right"})
    front = sluice(fe, {"doris.user": "sluice", "doris.password": "wrong", "doris.http": None,
                        "proxy.health_interval": 20})
    wait_fe(front, 0, "up")
    accepted = fe.state()["connections_accepted"]
    for _ in range(3):
        front.http("/health")
        rows(front.connect(), "SELECT 1")
    assert len(re.findall("fe.login_denied", front.log_text())) == 1
    assert fe.state()["connections_accepted"] == accepted + 3  # accounts get locked


def test_locked_account_is_alive(sluice):
    """Doris blocks an account for some time after too many wrong passwords."""
    refused = []

    def script(stream):
        stream.send(wire.packet(0, wire.greeting()))
        if b"sluice\0" in stream.read_packet()[1]:
            refused.append(stream)
            stream.send(wire.packet(2, b"\xff\x73\x0f#HY000Account is blocked for 60 second(s)"))
            return
        stream.send(wire.packet(2, wire.OK_PACKET))
        go_on(stream)

    with FE(script) as fe:
        front = sluice(fe, {"doris.user": "sluice", "proxy.health_interval": 20})
        wait_fe(front, 0, "up")
        for _ in range(3):
            front.http("/health")
            assert wire.Client(front.port, "root").query("SELECT 1")
        assert len(refused) == 1
        assert len(re.findall("fe.login_denied", front.log_text())) == 1


# --- KILL -----------------------------------------------------------------------------------------

def begin(connection, sql):
    """Sends a statement and does not wait."""
    connection._execute_command(3, sql)


def wait_running(fe, connection_id):
    procs.wait_until(lambda: any(r["id"] == connection_id for r in fe.state()["running"]), 10,
                     "connection %d to run something" % connection_id)


def outcome(connection):
    """(code, text) of the statement that was begun."""
    try:
        connection._read_query_result()
    except pymysql.MySQLError as e:
        return e.args
    return 0, ""


def error_of(connection, sql):
    with pytest.raises(pymysql.MySQLError) as failed:
        rows(connection, sql)
    return failed.value.args


FAR = 1000003  # a number that no FE comes to by counting


def numbered(c, fe, wanted, source, *login):
    """A connection to the FE from `source` with that number there; a question after its health may have
    it for a moment."""
    c.fes[fe].knobs(connection_id=wanted)

    def look():
        connection = c.connect(source, *login)
        assert c.where(connection) == fe
        if number(connection) == wanted:
            return connection
        connection.close()
        return None
    try:
        return procs.wait_until(look, 30, "a connection with the number %d" % wanted)
    finally:
        c.fes[fe].knobs(connection_id=0)


def far_numbered(c, source, *login):
    """A connection to FE 1 with a number that FE 0 never gives; and another, since hosts stay."""
    kept = c.on(1, source, *login)
    return numbered(c, 1, FAR, source, *login), kept


@pytest.mark.parametrize("is_colliding", [False, True])
def test_ctrl_c_of_the_command_line(cluster, is_colliding):
    """mysql's Ctrl-C ends its own statement, at whichever FE, and nobody else's."""
    c = cluster(config={"proxy.health_interval": 200})
    c.kill(0)
    cli = subprocess.Popen(
        ["mariadb", "-h" + HERE, "-P%d" % c.front.port, "-uroot", "--batch", "--skip-ssl",
         "-e", "SELECT SLEEP(60)"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        running = procs.wait_until(lambda: c.fes[1].state()["running"], 15, "the CLI's statement")
        c.restart(0)
        victim = None
        if is_colliding:
            victim = numbered(c, 0, running[0]["id"], CLIENT)
        cli.send_signal(signal.SIGINT)
        text = cli.communicate(timeout=procs.patience(20))[0]
    finally:
        cli.kill()
        cli.wait()
    procs.wait_until(lambda: not c.fes[1].state()["running"], 10, "its end; it said " + text)
    if victim is not None:
        assert rows(victim, "SELECT 1")


def test_kill_finds_the_other_fe(cluster):
    """Only FE 1 has the number; the KILL comes on FE 0, of the same user."""
    c = cluster()
    target, kept = far_numbered(c, CLIENT)
    n = number(target)
    killer = c.connect("127.0.0.6")
    assert c.where(killer) == 0
    begin(target, "SELECT SLEEP(60)")
    wait_running(c.fes[1], n)
    assert rows(killer, "kill /* x */ query %d;" % n) == []
    assert "cancel" in outcome(target)[1]
    assert number(target) == n  # it lives
    assert rows(killer, "KILL CONNECTION %d" % n) == []
    assert error_of(target, "SELECT 1")[0] in (2006, 2013)
    assert error_of(killer, "KILL 4000000")[0] == 1094  # unknown here: the FE's word
    assert rows(killer, "SELECT 1")
    assert "kill.remote" in c.front.log_text()


def test_kill_of_another_user(cluster):
    """ADMIN may, others may not: as Doris has it, at every FE."""
    users = {"u": ("u", "global:Select_priv"), "v": ("v", "global:Select_priv"),
             "boss": ("b", "global:Admin_priv")}
    c = cluster(users=users)
    target, kept = far_numbered(c, CLIENT, "u", "u")
    n = number(target)
    begin(target, "SELECT SLEEP(60)")
    wait_running(c.fes[1], n)
    v = c.connect("127.0.0.6", "v", "v")
    assert c.where(v) == 0
    code, text = error_of(v, "KILL QUERY %d" % n)
    assert (code, text) == (1095, "You are not owner of thread or query: %d" % n)
    assert rows(v, "SELECT 1")
    assert c.fes[1].state()["running"]
    boss = c.connect("127.0.0.7", "boss", "b")
    assert c.where(boss) == 0
    assert rows(boss, "KILL QUERY %d" % n) == []
    assert "cancel" in outcome(target)[1]
    u = c.connect("127.0.0.8", "u", "u")
    assert c.where(u) == 0
    assert rows(u, "KILL %d" % n) == []
    assert error_of(target, "SELECT 1")[0] in (2006, 2013)


def test_kill_with_two_of_a_number(cluster):
    """The busy one of two; with nothing to tell them apart an error that names both FEs."""
    c = cluster()
    there, kept = far_numbered(c, CLIENT)
    n = number(there)
    other = c.connect("127.0.0.6")
    here = numbered(c, 0, n, "127.0.0.6")
    killer = c.connect("127.0.0.7")
    assert c.where(killer) == 0
    text = error_of(killer, "KILL QUERY %d" % n)[1]
    for fe in c.fes:
        assert "%s:%d" % (HERE, fe.port) in text
    begin(there, "SELECT SLEEP(60)")
    wait_running(c.fes[1], n)
    assert rows(killer, "KILL QUERY %d" % n) == []
    assert "cancel" in outcome(there)[1]
    begin(here, "SELECT SLEEP(60)")
    wait_running(c.fes[0], n)
    assert rows(killer, "KILL QUERY %d" % n) == []
    assert "cancel" in outcome(here)[1]
    assert rows(other, "KILL %d" % n) == []  # of the same host as the one at FE 0
    assert error_of(here, "SELECT 1")[0] in (2006, 2013)
    assert rows(there, "SELECT 1")


def test_process_kill(cluster):
    """COM_PROCESS_KILL across FEs; where it is the own FE's, Doris does not know the command."""
    c = cluster()
    target, kept = far_numbered(c, CLIENT)
    n = number(target)
    killer = wire.Client(c.front.port, "root", "")
    own = int(killer.query("SELECT CONNECTION_ID()")[0][1][0][0])
    killer.command(b"\x0c" + struct.pack("<I", n))
    assert killer.read_packet()[1][0] == wire.OK
    assert error_of(target, "SELECT 1")[0] in (2006, 2013)
    killer.command(b"\x0c" + struct.pack("<I", own))
    assert wire.error(killer.read_packet()[1])[0] == 1047
    assert killer.query("SELECT 1") == [("rows", [[b"1"]])]
    killer.close()


def test_kill_when_the_other_fe_is_gone(cluster, mute):
    """The service account cannot get there: an error in connect_timeout, and the session goes on."""
    c = cluster(config={"proxy.connect_timeout": 4000})  # in which each login must succeed, too
    target, kept = far_numbered(c, CLIENT)
    n = number(target)
    killer = c.connect("127.0.0.6")
    c.fes[1].popen.send_signal(signal.SIGSTOP)
    try:
        code, text = error_of(killer, "KILL %d" % n)
        assert "%s:%d" % (HERE, c.fes[1].port) in text
        assert rows(killer, "SELECT 1")
    finally:
        c.fes[1].popen.send_signal(signal.SIGCONT)
