"""Limits, timeouts, half-open links, and what the admin server says of it all."""

import contextlib
import ctypes
import itertools
import json
import os
import re
import resource
import socket
import subprocess
import threading

import pytest

import procs
import wire
from hostile_rig import DEFINITION, EOF, FE, go_on, payloads
from life_rig import (  # noqa: F401: fixtures, too
    BIG, HELD_UP, client, events, front, held_up, login_error, mariadb, metric, reload, sessions_now,
    wait_event, wait_held_up)
from mariadb import PASSWORD, USER

# --- limits ---------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_connections_of_one_user(front):
    made = front({"proxy.max_user_connections": 2})
    first, second = client(made), client(made)
    code, text = login_error(made)
    assert code == 1203 and "Reach limit of connections" in text and "proxy.max_user" in text
    assert client(made, "other", "other").query("SELECT 1") == [("rows", [[b"1"]])]
    wait_event(made, "session.closed", kind="too_many_of_user", reason="Reach limit")
    assert metric(made, 'sluice_disconnects_total{kind="too_many_of_user"}') == 1
    first.close()
    wait_event(made, "session.closed", kind="client_lost")
    third = client(made)
    assert third.query("SELECT 1") == [("rows", [[b"1"]])]
    second.command(b"\1")
    wait_event(made, "session.closed", kind="client_quit")
    client(made).close()


@pytest.mark.sanitize
def test_a_wrong_password_takes_no_place(front):
    made = front({"proxy.max_user_connections": 1})
    for _ in range(3):
        assert login_error(made, password="wrong")[0] == 1045
    assert client(made).query("SELECT 1") == [("rows", [[b"1"]])]
    procs.wait_until(lambda: metric(made, 'sluice_disconnects_total{kind="refused_by_fe"}') == 3,
                     what="three refused logins")


def change_user(c, user, password):
    """COM_CHANGE_USER; the server asks for a fresh answer. The last reply's payload."""
    c.command(b"\x11" + user.encode() + b"\0\0\0\x2d\0mysql_native_password\0")
    sequence, payload = c.read_packet()
    if payload[0] == wire.EOF:  # AuthSwitchRequest: the plugin's name, then the scramble
        scramble = payload[1:].split(b"\0", 1)[1][:20]
        c.send(wire.packet(sequence + 1, wire.native_password(password, scramble)))
        payload = c.read_packet()[1]
    return payload


@pytest.mark.sanitize
def test_change_user_moves_the_count(front):
    made = front({"proxy.max_user_connections": 1})
    c = client(made)
    assert change_user(c, "other", "other")[0] == wire.OK
    assert login_error(made, "other", "other")[0] == 1203
    d = client(made)  # the first user's place is free
    assert change_user(c, "other", "other")[0] == wire.OK  # nobody counts twice
    code, text = wire.error(change_user(c, USER, PASSWORD))
    assert code == 1203, text
    assert c.is_closed()
    procs.wait_until(lambda: metric(made, "sluice_users") == 1, what="one user")
    assert client(made, "other", "other").query("SELECT 1") == [("rows", [[b"1"]])]
    assert d.query("SELECT 1") == [("rows", [[b"1"]])]


@pytest.mark.sanitize
def test_too_many_connections(front):
    made = front({"proxy.max_connections": 2})
    held = [client(made), client(made)]
    code, text = login_error(made)
    assert code == 1040 and "proxy.max_connections = 2" in text
    assert wait_event(made, "session.refused")["reason"].startswith("Too many")
    assert metric(made, 'sluice_disconnects_total{kind="too_many"}') == 1
    assert len(held) == 2


@pytest.mark.sanitize
def test_no_descriptor_is_left(front):
    """Who connects waits, and nothing spins; once there are descriptors again, all are served."""
    made = front()
    used = {int(name) for name in os.listdir("/proc/%d/fd" % made.pid)}
    free = next(n for n in itertools.count() if n not in used)
    before = resource.prlimit(made.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(made.pid, resource.RLIMIT_NOFILE, (free, before[1]))
    # Several, as a connection of the test's before may have left room for one.
    https = [socket.create_connection(("127.0.0.1", made.http_port), procs.patience(20))
             for _ in range(3)]
    clients = [wire.Client(made.port) for _ in range(3)]
    for name in ("listener.paused", "admin.paused"):
        wait_event(made, name, 3, reason="Too many open files")
    assert "Error from accept" not in made.log_text()  # libevent's own, a million of them
    resource.prlimit(made.pid, resource.RLIMIT_NOFILE, before)
    clients[-1].login(USER, PASSWORD)
    for http in https:
        http.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert http.recv(1000).startswith(b"HTTP/1.0 200")
        http.close()


# --- timeouts -------------------------------------------------------------------------------------

@pytest.mark.quick
@pytest.mark.sanitize
def test_idle_timeout(front, mariadb):
    made = front()
    busy, half, held, idle, probe = (client(made) for _ in range(5))
    with held_up(mariadb):
        busy.send(wire.query(HELD_UP))
        wait_held_up(probe)
        probe.command(b"\1")
        wait_event(made, "session.closed", kind="client_quit")
        before = metric(made, "sluice_bytes_from_clients_total")
        half.send(wire.query("SELECT 1")[:7])
        held.send(wire.query("SHOW SLUICE JOB")[:7])  # may be ours: it is not sent on
        procs.wait_until(lambda: metric(made, "sluice_bytes_from_clients_total") == before + 14,
                         what="both to be heard")
        reload(made, proxy__idle_timeout="400ms")  # not before: a login may take longer than that
        for c in (idle, half, held):
            assert c.sock.recv(1) == b""  # a FIN, and no packet before it: as Doris does it
    assert busy.read_results() == [("rows", [[b"1"]])]
    assert busy.sock.recv(1) == b""
    wait_event(made, "session.closed", 4, kind="idle_timeout")
    reasons = [e["reason"] for e in events(made, "session.closed") if e["kind"] == "idle_timeout"]
    assert len([r for r in reasons if "asked nothing for proxy.idle_timeout" in r]) == 2
    assert len([r for r in reasons if "of a command it had begun" in r]) == 2
    assert metric(made, 'sluice_disconnects_total{kind="idle_timeout"}') == 4


@pytest.mark.sanitize
def test_an_active_client_is_not_idle(front):
    made = front({"proxy.idle_timeout": "2s"})  # what this test itself may be held up between two
    c = client(made)
    for _ in range(12):
        assert c.query("SELECT SLEEP(0.25)") == [("rows", [[b"0"]])]
    assert not events(made, "session.closed")


@pytest.mark.sanitize
def test_a_client_that_the_fe_holds_up_is_not_idle(sluice):
    """The FE pauses within a long command, a LOCAL INFILE say: the client would send, if it could."""
    goes_on = threading.Event()

    def script(stream):
        if b"held up" in wire.log_in(stream):
            goes_on.wait(procs.patience(30))
        go_on(stream)

    with FE(script) as fe:
        made = sluice(fe, {"proxy.health_interval": 0})
        c, seen = client(made, "held up", ""), [0]
        text = wire.query(b"SELECT " + b"x" * (15 << 20))  # more than all sockets on the way hold
        sender = threading.Thread(target=c.send, args=(text,))
        sender.start()

        def is_full():
            seen.append(metric(made, "sluice_bytes_from_clients_total"))
            return seen[-1] > 1 << 17 and seen[-1] == seen[-4 if len(seen) > 4 else 0]
        procs.wait_until(is_full, what="all buffers to be full", interval=0.1)
        reload(made, proxy__idle_timeout="400ms")  # not before: nobody holds it up between its bytes
        for _ in range(3):  # by then it has waited for longer
            assert client(made, "idle", "").sock.recv(1) == b""
        goes_on.set()
        assert c.read_packet()[1] == b"\1"  # a result with one column
        sender.join()


@pytest.mark.sanitize
def test_a_slow_reader_is_not_idle(front):
    """The FE has sent all of a result long before its client has it."""
    made = front({"proxy.idle_timeout": "2s"})
    c = client(made)
    sock = c.sock
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)

    class Slowly:
        def __getattr__(self, name):
            return getattr(sock, name)

        def recv(self, n):
            threading.Event().wait(0.03)
            return sock.recv(min(n, 1 << 15))

    c.sock = Slowly()
    [(_, read)] = c.query("SELECT REPEAT('x', 30000) FROM mysql.seq_1_to_120")
    assert len(read) == 120
    c.sock = sock
    assert c.query("SELECT 1") == [("rows", [[b"1"]])]
    assert not events(made, "session.closed")


@pytest.mark.sanitize
def test_a_slow_reader_gets_all_when_the_fe_is_gone(sluice):
    """What waits here goes out as long as the client takes of it: for more than ten seconds, too."""
    head = payloads(b"\1", DEFINITION, EOF) + b"\xfe\xff\xff\4"
    size = 15 << 20  # of the row, or so much of it as the FE sends before it dies

    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(head + b"x" * size)

    def ask():
        c = client(made, "slow", "")
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        c.send(wire.query("SELECT 1"))
        return c

    with FE(script) as fe:
        made = sluice(fe, {"proxy.health_interval": 0, "proxy.workers": 1})
        c, seen = ask(), [0]

        def is_full():
            seen.append(metric(made, "sluice_bytes_to_clients_total"))
            return seen[-1] > 1 << 17 and seen[-1] == seen[-4 if len(seen) > 4 else 0]
        procs.wait_until(is_full, what="all buffers to be full", interval=0.1)
        c.reset()
        size = int(seen[-1]) - (100 << 10)  # all of it is read, and some of it waits in user space
        procs.wait_until(lambda: sessions_now(made) == 0, what="the end of it")
        c, n = ask(), 0
        for _ in range(60):
            threading.Event().wait(0.2)
            n += len(c.sock.recv(8192))
        while True:
            piece = c.sock.recv(1 << 20)
            if not piece:
                break
            n += len(piece)
        assert n == len(head) + size
        c.close()


@pytest.mark.sanitize
def test_write_timeout(front):
    """A client that takes nothing ends; one that takes a little now and then does not."""
    made = front({"proxy.write_timeout": "2s"})  # what the slow reader may be held up
    stuck, slow = client(made), client(made)
    stuck.send(wire.query(BIG))
    slow.send(wire.query(BIG))
    reader_ends = threading.Event()
    taken = []

    def read_slowly():
        while not reader_ends.wait(0.05):
            taken.append(len(slow.sock.recv(1 << 16)))

    reader = threading.Thread(target=read_slowly)
    reader.start()
    line = wait_event(made, "session.closed", kind="write_timeout")
    assert "took nothing of what waits for it for proxy.write_timeout" in line["reason"]
    assert metric(made, 'sluice_disconnects_total{kind="write_timeout"}') == 1
    n = len(taken)
    procs.wait_until(lambda: len(taken) > n + 20, 30, "another second of slow reading")
    reader_ends.set()
    reader.join()
    assert len(events(made, "session.closed")) == 1 and min(taken) > 0
    with pytest.raises(ConnectionResetError):
        while stuck.sock.recv(1 << 20):
            pass
    slow.reset()


@pytest.mark.sanitize
def test_login_timeout(front):
    made = front({"proxy.login_timeout": "2s"})  # in which MariaDB has to greet
    c = wire.Client(made.port)
    c.read_packet()
    assert c.is_closed()
    wait_event(made, "session.closed", kind="login_timeout", reason="proxy.login_timeout")


# --- half-open links ------------------------------------------------------------------------------

def keepalive_of(port, end="sport"):
    """The kernel's keepalive timers of connections; none while something is not confirmed yet."""
    text = subprocess.run(["ss", "-tnoH", "state", "established", "%s = :%d" % (end, port)],
                          capture_output=True, text=True, check=True).stdout
    return re.findall(r"timer:\(keepalive,([^,]+),", text)


class Link:
    """
    Two ends of a cable: the network namespace `there` and us. cut() unplugs it, and neither side is
    told.
    """

    n = 0

    def __init__(self):
        Link.n += 1
        self.name = "sluice-%d-%d" % (os.getpid(), Link.n)
        self.cable = "slc%d-%d" % (os.getpid() % 100000, Link.n)
        net = "10.%d.%d" % (200 + Link.n % 50, os.getpid() % 250)
        self.here, self.there = net + ".1", net + ".2"
        self._ip("netns", "add", self.name)
        self._ip("link", "add", self.cable, "type", "veth", "peer", "name", "e0", "netns", self.name)
        self._ip("addr", "add", self.here + "/30", "dev", self.cable)
        self._ip("link", "set", self.cable, "up")
        self._ip("-n", self.name, "addr", "add", self.there + "/30", "dev", "e0")
        self._ip("-n", self.name, "link", "set", "e0", "up")

    @staticmethod
    def _ip(*argv):
        subprocess.run(["ip", *argv], check=True, capture_output=True)

    def socket_there(self):
        """A socket keeps the namespace in which it was made."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net") as ours, open("/run/netns/" + self.name) as theirs:
            if libc.setns(theirs.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return socket.socket()
            finally:
                libc.setns(ours.fileno(), 0)

    def cut(self):
        self._ip("-n", self.name, "link", "set", "e0", "down")

    def remove(self):
        self._ip("link", "del", self.cable)
        self._ip("netns", "del", self.name)


@pytest.fixture
def link():
    try:
        made = Link()
    except (OSError, subprocess.CalledProcessError) as e:
        pytest.skip("no network namespaces here: %s" % e)
    yield made
    made.remove()


@pytest.mark.parametrize("config, kind, is_busy", [
    ({"proxy.keepalive": "1s"}, "client_lost", False),
    ({"proxy.keepalive": "1s"}, "client_lost", True),
    ({"proxy.keepalive": "0", "proxy.write_timeout": "1s"}, "write_timeout", True)])
def test_lost_client(front, link, config, kind, is_busy):
    """One whose host is gone: while nothing is on its way to it, and while something is."""
    made = front(config, start=False)
    made.config["proxy.listen"] = "%s:%d" % (link.here, made.port)
    made.start()
    sock = link.socket_there()
    sock.connect((link.here, made.port))
    c = wire.Client.__new__(wire.Client)
    wire.Stream.__init__(c, sock)
    c.capabilities = wire.DEFAULT_CAPABILITIES
    c.login(USER, PASSWORD)
    if not is_busy:
        procs.wait_until(lambda: keepalive_of(made.port), what="all to be confirmed")
    else:
        c.send(wire.query("SELECT SLEEP(0.5)"))
    link.cut()
    line = wait_event(made, "session.closed", kind=kind)
    assert re.search("timed out|No route to host|unreachable|write_timeout|confirms nothing",
                     line["reason"])


@pytest.mark.parametrize("is_confirmed", [False, True])
def test_lost_fe_host(sluice, link, is_confirmed):
    """An FE whose host is gone, in the middle of a statement: the client is told."""
    listener = link.socket_there()
    listener.bind((link.there, 0))
    listener.listen(5)
    got = threading.Event()
    streams = []

    def serve():
        streams.append(wire.Stream(listener.accept()[0]))
        wire.log_in(streams[0])
        streams[0].read_packet()
        got.set()

    thread = threading.Thread(target=serve)
    thread.start()

    class Fe:
        port = 1

    made = sluice(Fe, {"proxy.keepalive": "1s", "proxy.health_interval": 0,
                       "proxy.backend": "%s:%d" % (link.there, listener.getsockname()[1])})
    c = client(made, "u", "")
    c.send(wire.query("SELECT 1"))
    assert got.wait(procs.patience(10))
    thread.join()
    if is_confirmed:
        procs.wait_until(lambda: keepalive_of(listener.getsockname()[1], "dport"),
                         what="all to be confirmed")
    link.cut()
    code, text = wire.error(c.read_packet()[1])
    assert code == 1152 and "COM_QUERY" in text
    wait_event(made, "session.closed", kind="fe_lost")


def seconds(text):
    found = re.fullmatch(r"(?:(\d+)min)?(?:([\d.]+)sec)?(?:(\d+)ms)?", text)
    return int(found.group(1) or 0) * 60 + float(found.group(2) or 0)


def test_keepalive_on_both_sides(front, mariadb):
    made = front({"proxy.keepalive": "7m"})
    c = client(made)
    for port, end in ((made.port, "sport"), (mariadb.port, "dport")):
        def is_set(port=port, end=end):
            return any(6 * 60 < seconds(t) <= 7 * 60 for t in keepalive_of(port, end))
        procs.wait_until(is_set, what="keepalive of 7 minutes")
    reload(made, proxy__keepalive="0")
    c.close()
    wait_event(made, "session.closed")
    c = client(made)
    assert c.query("SELECT SLEEP(0.3)") == [("rows", [[b"0"]])]  # what came before is confirmed
    assert keepalive_of(made.port) == []


# --- what is told ---------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_metrics_and_health(front, mariadb):
    made = front()
    c, d = client(made), client(made, "other", "other")
    before = metric(made, "sluice_bytes_to_clients_total")
    assert c.query("SELECT REPEAT('x', 10000)")
    procs.wait_until(lambda: metric(made, "sluice_bytes_to_clients_total") > before + 10000,
                     what="the bytes to be counted")
    assert metric(made, "sluice_bytes_from_clients_total") > 100
    procs.wait_until(lambda: metric(made, 'sluice_sessions{state="ready"}') == 2, what="two sessions")
    assert metric(made, "sluice_users") == 2
    assert metric(made, "sluice_draining") == 0
    assert metric(made, 'sluice_fe_sessions{fe="127.0.0.1:%d"}' % mariadb.port) == 2
    status, body = made.http("/health")
    (fe,) = json.loads(body)["fes"]
    assert status == 200 and fe["address"] == "127.0.0.1:%d" % mariadb.port
    assert fe["state"] in ("up", "unknown")
    d.command(b"\1")
    c.reset()
    procs.wait_until(lambda: metric(made, 'sluice_sessions{state="ready"}') == 0, what="the ends")
    procs.wait_until(lambda: metric(made, "sluice_users") == 0, what="no users")
    assert metric(made, 'sluice_disconnects_total{kind="client_quit"}') == 1
    assert metric(made, 'sluice_disconnects_total{kind="client_lost"}') == 1
    text = made.http("/metrics")[1]
    ended = sum(int(n) for n in re.findall(r"^sluice_disconnects_total\{.*\} (\d+)$", text, re.M))
    assert metric(made, "sluice_connections_total") == ended and sessions_now(made) == 0


@pytest.mark.sanitize
def test_every_end_is_logged_once(front, sluice):
    """As many lines as connections, whatever ended them; the kinds are as counted."""
    made = front({"proxy.max_connections": 3, "proxy.login_timeout": "%ds" % procs.patience(2),
                  "proxy.max_user_connections": 2})
    a, b = client(made), client(made)
    assert login_error(made)[0] == 1203
    procs.wait_until(lambda: metric(made, 'sluice_disconnects_total{kind="too_many_of_user"}') == 1
                     and sessions_now(made) == 2, what="two sessions")
    third = wire.Client(made.port)
    assert third.read_packet()[1][0] == 10
    assert login_error(made)[0] == 1040
    assert third.is_closed()  # its login takes too long
    a.command(b"\1")
    b.send(wire.query("SELECT 1")[:3])
    b.close()
    procs.wait_until(lambda: sessions_now(made) == 0, what="the ends of three sessions")
    bad = wire.Client(made.port)
    bad.read_packet()
    bad.send(wire.packet(9, b"x" * 50))
    with contextlib.suppress(OSError):
        while bad.sock.recv(1000):
            pass
    procs.wait_until(lambda: sessions_now(made) == 0, what="the end of the fourth")
    c = client(made)
    n = metric(made, "sluice_connections_total")
    made.stop()
    closed, refused = events(made, "session.closed"), events(made, "session.refused")
    assert len(closed) + len(refused) == n == 7
    assert len({e["id"] for e in closed}) == len(closed)
    assert sorted(e["kind"] for e in closed) == ["client_lost", "client_quit", "login_timeout",
                                                 "protocol", "shutdown", "too_many_of_user"]
    assert c.is_closed()
