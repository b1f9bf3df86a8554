"""
Clients that mean no good, or lost their mind: bytes that are no MySQL, packets cut anywhere, silence,
hosts that vanish. At most their own session ends; nothing of it stays behind, and others are served
meanwhile.
"""

import contextlib
import os
import random
import resource
import select
import socket
import ssl
import struct
import threading

import pytest

import procs
import wire
from hostile_rig import (DEFINITION, EOF, ERR, IS_SANITIZED, JOBS, ROWS, FE, Flood, answer, behave, calm,
                         drain, fe, front, go_on, memory_kb, metric, payloads, reasons,  # noqa: F401
                         rows_without_end, say, stuck, well)
from test_life import link  # noqa: F401: fixture

pytestmark = pytest.mark.sanitize

WAYS = ("whole", "slow", "reset")


# --- clients --------------------------------------------------------------------------------------

def client_hello():
    out = ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="fe")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


LARGE = struct.pack("<IIB", wire.DEFAULT_CAPABILITIES, 1 << 30, 45) + bytes(23)
NO_GREETING_YET = {
    "nothing": b"", "half a header": b"\x20\0", "a header": b"\x20\0\0\1",
    "half a response": wire.packet(1, LARGE + b"u\0\0")[:20], "no user": wire.packet(1, LARGE),
    "a user without end": wire.packet(1, LARGE + b"u" * 100),
    "oversized": b"\xff\xff\x0f\1" + bytes(70000), "largest": b"\xff\xff\xff\1" + bytes(300000),
    "out of sequence": wire.packet(0, LARGE + b"u\0\0"), "far out": wire.packet(200, LARGE + b"u\0\0"),
    "zero length": wire.packet(1, b""), "many of them": b"\0\0\0\1" * 1000,
    "before 4.1": wire.packet(1, b"\x05\0\0\0\0u\0"), "http": b"GET / HTTP/1.1\r\nHost: fe\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n", "tls": client_hello(), "a TLS request": wire.packet(
        1, struct.pack("<IIB", wire.DEFAULT_CAPABILITIES | wire.SSL, 1 << 30, 45) + bytes(23)),
    "ones": b"\xff" * 5000, "zeros": bytes(5000), "a command": wire.query("SELECT 1"),
}


@pytest.mark.parametrize("how", WAYS)
def test_clients_that_do_not_log_in(front, fe, how):
    made = front(fe)
    for data in NO_GREETING_YET.values():
        client = wire.Client(made.port)
        client.read_packet()
        said = say(client, data, how)
        assert said == b"" or said[4] == wire.ERR, said
    for data in NO_GREETING_YET.values():  # some do not wait for the greeting, either
        say(wire.Client(made.port), data, how)
    calm(made)


AFTER_LOGIN = {
    "half a header": b"\x09\0\0", "half a query": wire.query("SELECT 1")[:8],
    "half a local one": wire.query(JOBS)[:-3], "zero length": wire.packet(0, b""),
    "many of them": b"\0\0\0\0" * 1000, "16 MB announced": b"\xff\xff\xff\0\x03" + b"x" * 100000,
    "16 MB local": b"\xff\xff\xff\0\x03" + JOBS.encode() + b" " * 100000,
    "out of sequence": wire.packet(9, b"\x03SELECT 1"), "local, too": wire.packet(
        7, b"\x03" + JOBS.encode()), "unknown": wire.packet(0, b"\xee1234"),
    "a long user": wire.packet(0, b"\x11" + b"u" * 300000), "no end": wire.packet(0, b"\x11u"),
    "no user": wire.packet(0, b"\x11"), "execute": wire.packet(0, b"\x17\1"),
    "execute a far one": wire.packet(0, b"\x17\xff\xff\xff\xff\0\1\0\0\0"),
    "close": wire.packet(0, b"\x19") * 500, "long data": wire.packet(0, b"\x18") * 500,
    "not UTF-8": wire.query(b"SELECT \xff\xfe FROM jobs(\xc0)"), "NULs": wire.query(bytes(5000)),
    "open": wire.query("SELECT * FROM jobs('" + "(" * 20000), "deep": wire.query(
        "CREATE JOB j ON STREAMING DO INSERT INTO t SELECT " + "(" * 50000),
    "scripts": wire.query((JOBS + ";") * 3000), "local prepared": wire.packet(
        0, b"\x16" + JOBS.encode()) * 50, "ones": b"\xff" * 5000, "tls": client_hello(),
    "http": b"GET / HTTP/1.1\r\nHost: fe\r\n\r\n",
}


@pytest.mark.parametrize("how", WAYS)
def test_clients_that_are_wrong_afterwards(front, fe, how):
    made = front(fe)
    for data in AFTER_LOGIN.values():
        say(wire.Client(made.port, "u"), data, how)
    calm(made)


def test_slow_clients_and_slow_fe(front):
    """Byte by byte in both directions: everything as if it came at once."""
    def trickle(stream):
        data = wire.packet(0, wire.greeting())
        while True:
            for i in range(len(data)):
                stream.send(data[i:i + 1])
            sequence, payload = stream.read_packet()
            if payload[:1] == b"\x01":
                return
            data = answer(payload) if sequence == 0 else wire.packet(2, wire.OK_PACKET)

    with FE(trickle) as fe:
        made = front(fe)
        client = wire.Client(made.port)
        send = client.send
        client.send = lambda data: [send(data[i:i + 1]) for i in range(len(data))]
        client.login("u", "")
        for _ in range(3):
            assert client.query("SELECT 1") == [("rows", [[b"v"]])]
            (kind, content), = client.query("PAUSE JOB WHERE jobName = 'none'")
            assert kind == "err" and "none" in content[1]
        client.command(b"\x16SELECT ?")
        assert client.read(len(answer(b"\x16"))) == answer(b"\x16")
        client.command(b"\x01")
        assert client.is_closed()
        calm(made)


def test_reply_cut_in_two(front, fe):
    """Sluice's answer to the command behind it waits for all of the last packet, not for its start."""
    reply = wire.packet(1, ERR + b" " * 100)
    may_go_on = threading.Event()

    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(reply[:60])
        may_go_on.wait(procs.patience(30))
        stream.send(reply[60:])
        go_on(stream)

    fe.script = script
    made = front(fe)
    client = wire.Client(made.port, "u")
    client.send(wire.query("SELECT 1") + wire.query("PAUSE JOB WHERE jobName = 'none'"))
    assert client.read(60) == reply[:60]
    assert select.select([client.sock], [], [], 0.2)[0] == []
    may_go_on.set()
    assert client.read(len(reply) - 60) == reply[60:]
    (kind, content), = client.read_results()
    assert kind == "err" and "none" in content[1]
    client.close()
    fe.script = behave
    calm(made)


def conversation(rng):
    """What a client may send once it is logged in, each command as a whole."""
    return b"".join(rng.choice([
        wire.query("SELECT 1"), wire.query(JOBS), wire.query("PAUSE JOB WHERE jobName = 'none'"),
        wire.query("SELECT 1; " + JOBS), wire.packet(0, b"\x16SELECT ?"), wire.packet(0, b"\x0e"),
        wire.packet(0, b"\x16" + JOBS.encode()), wire.packet(0, b"\x17\1\0\0\0\0\1\0\0\0"),
        wire.packet(0, b"\x18\1\0\0\0\0\0abc"), wire.packet(0, b"\x19\1\0\0\0"),
        wire.packet(0, b"\x11u\0\0db\0\x21\0mysql_native_password\0"), wire.packet(0, b"\x1f"),
        wire.query("SELECT '%s'" % ("x" * rng.randrange(100000))), wire.packet(0, b"\x01"),
    ]) for _ in range(6))


def cut_one(front, rng):
    client = wire.Client(front.port)
    with contextlib.suppress(OSError, wire.Closed):
        response = wire.packet(1, client.response(client.read_packet()[1], "u", ""))
        data = response + conversation(rng)
        if rng.random() < 0.8:
            client.send(response)
            client.read_packet()
            data = data[len(response):]
        client.send(data[:rng.randrange(len(data) + 1)])
        if rng.random() < 0.3:
            client.sock.settimeout(0.005)
            client.read(rng.randrange(200))
        if rng.random() < 0.3:
            client.sock.shutdown(socket.SHUT_WR)
    client.reset() if rng.random() < 0.5 else client.close()


def test_clients_cut_at_random_bytes(front, fe):
    """1,000 of them: no session, socket or memory stays."""
    seed = int(os.environ.get("SLUICE_TEST_SEED") or random.randrange(1 << 30))
    print("SLUICE_TEST_SEED=%d" % seed)
    rng = random.Random(seed)
    made = front(fe)
    for _ in range(200):  # the allocator has what it wants after these
        cut_one(made, rng)
    calm(made)
    before = memory_kb(made)
    for _ in range(1000):
        cut_one(made, rng)
    calm(made)
    if not IS_SANITIZED:
        assert memory_kb(made) - before < 2048


def test_scans(front, fe):
    """Connections that come to nothing: closed or reset at once, or after a look at the greeting."""
    made = front(fe)
    for i in range(300):
        client = wire.Client(made.port)
        if i % 3 == 2:
            client.read(10)
        client.reset() if i % 2 else client.close()
    calm(made)


def test_silent_clients(front, fe):
    """200 that log in never: others are served, and proxy.login_timeout ends them all."""
    made = front(fe, {"proxy.login_timeout": procs.patience(5) * 1000})  # all of them are greeted in that time
    clients = [wire.Client(made.port) for _ in range(200)]
    for client in clients:
        client.read_packet()
    slow = wire.Client(made.port)  # a byte now and then does not help
    well(made)

    def has_ended():
        with contextlib.suppress(OSError):
            slow.send(b"\xff" if has_ended.n == 0 else b"\0")
            has_ended.n += 1
            return bool(select.select([slow.sock], [], [], 0)[0]) and drain(slow.sock) is not None
        return True

    has_ended.n = 0
    slow.read_packet()
    procs.wait_until(has_ended, 30, "an end of the slow login", interval=0.1)
    for client in clients:
        drain(client.sock)
        client.close()
    calm(made)
    assert len([r for r in reasons(made) if "proxy.login_timeout" in r]) >= 200


def test_pipelined_commands(front, fe):
    """10,000 commands, some of them Sluice's own, before the first reply is read: all in order."""
    def script(stream):
        wire.log_in(stream)
        while True:
            payload = stream.read_packet()[1]
            if not payload.startswith(b"\x03SELECT "):
                stream.send(ROWS)
            else:
                text = payload[8:]
                stream.send(payloads(b"\1", DEFINITION, EOF, bytes([len(text)]) + text, EOF))

    fe.script = script
    made = front(fe)
    client = wire.Client(made.port, "u")
    before = memory_kb(made)
    n = 10000
    commands = b"".join(wire.query("PAUSE JOB WHERE jobName = 'none'" if i % 100 == 99 else
                                   "SELECT %d" % i) for i in range(n))
    sender = threading.Thread(target=client.send, args=(commands,))
    sender.start()
    for i in range(n):
        (kind, content), = client.read_results()
        if i % 100 == 99:
            assert kind == "err" and "none" in content[1]
        else:
            assert (kind, content) == ("rows", [[b"%d" % i]])
    sender.join()
    if not IS_SANITIZED:
        assert memory_kb(made) - before < 4096
    client.close()
    fe.script = behave
    calm(made)


def test_out_of_files(front, fe):
    """Clients wait while there are no descriptors, and are served once there are again."""
    made = front(fe, {"proxy.workers": 1})
    soft, hard = resource.prlimit(made.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(made.pid, resource.RLIMIT_NOFILE, (made.base_fds + 11, hard))
    clients = [wire.Client(made.port) for _ in range(40)]
    procs.wait_until(lambda: "listener.paused" in made.log_text(), 20, "listener.paused")
    told = [client.read_packet()[1] for client in clients[:6]]  # five have an FE, one has none
    assert sum(b"no file descriptor left" in payload for payload in told) == 1, told
    for client in clients:
        client.reset()

    def is_served():  # some of those clients may still be in the queue
        with contextlib.suppress(procs.pymysql.OperationalError):
            well(made)
            return True
        return False

    procs.wait_until(is_served, 20, "a client that is served")
    resource.prlimit(made.pid, resource.RLIMIT_NOFILE, (soft, hard))
    calm(made)


# --- half-open links; idle ones and lost FEs are in test_life.py ---------------------------------------

def client_there(made, link):  # noqa: F811
    sock = link.socket_there()
    sock.connect((link.here, made.port))
    client = wire.Client.__new__(wire.Client)
    wire.Stream.__init__(client, sock)
    client.capabilities = wire.DEFAULT_CAPABILITIES
    return client


@pytest.mark.parametrize("when", ["in the login", "in a flood", "in its own packet"])
def test_client_whose_host_vanishes(sluice, fe, link, when):  # noqa: F811
    """No FIN comes, no RST, no ACK: the session ends, and its FE is let go."""
    flood = fe.script = Flood(rows_without_end)
    made = sluice(fe, {"proxy.keepalive": "1s", "proxy.login_timeout": "%ds" % procs.patience(3), "log.level": "info",
                       "proxy.health_interval": 0}, start=False)
    made.config["proxy.listen"] = "%s:%d" % (link.here, made.port)
    made.start()
    client = client_there(made, link)
    if when == "in the login":
        client.read_packet()
    else:
        client.login("u", "")
        client.send(wire.query("SELECT 1") if when == "in a flood" else b"\xff\xff\xff\0\x03" * 100)
    if when == "in a flood":
        stuck(flood)
    link.cut()
    procs.wait_until(lambda: len(reasons(made)) == 1, 30, "the end of the session")
    procs.wait_until(lambda: all(not t.is_alive() for t in fe.threads), 10, "the FE's end")
    procs.wait_until(lambda: metric(made, "sluice_sessions") == 0, 10, "no session")
    client.close()
