"""How sessions of the relay end: clients and FEs that go away, slow readers, SIGTERM."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading

import pytest

import procs
import wire
from mariadb import PASSWORD, USER
from relay_rig import front, mariadb, ping, relay, sessions  # noqa: F401: fixtures

MB = 1 << 20


BIG = "SELECT REPEAT('x', 1000) FROM mysql.seq_1_to_4000000"


@pytest.mark.sanitize
def test_client_killed_in_a_result(front, mariadb):
    before = sessions(mariadb)
    clients = [front.client() for _ in range(10)]
    for client in clients:
        client.send(wire.query(BIG))
    for client in clients:
        client.read(100000)
        client.reset()
    front.wait_closed("client's connection broke", 10)
    procs.wait_until(lambda: sessions(mariadb) == before, 20, "an end of all sessions")


def test_client_that_reads_nothing(front, mariadb):
    """Of 4 GB: the relay's memory grows by less than 1 MB."""
    client = front.client()
    before = front.rss_kb()
    client.send(wire.query(BIG))

    def is_stuck():
        with mariadb.connect() as c, c.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.processlist "
                           "WHERE STATE = 'Writing to net' AND TIME_MS > 1000")
            return cursor.fetchone()[0] > 0

    procs.wait_until(is_stuck, 20, "a server that waits for the client")
    if not procs.is_sanitized():
        assert front.rss_kb() - before < 1024
    client.seen.clear()
    client.read(10 * MB)  # it still goes on from there
    client.reset()
    front.wait_closed("broke")


@pytest.mark.sanitize
def test_half_closed_client(front, mariadb):
    """It sends no more, but gets what it asked for."""
    client = front.client()
    client.send(wire.query("SELECT SLEEP(0.3)") + wire.query("SHOW SLUICE JOB LATE"))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.read_results() == [("rows", [[b"0"]])]
    assert client.read_results() == [("ok", (7, "late"))]
    assert client.is_closed()
    client = front.client()
    client.send(wire.query("SELECT 1")[:8])  # half a command: nothing can come of it
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed()
    front.wait_closed("without COM_QUIT", 2)


@pytest.mark.sanitize
@pytest.mark.parametrize("sent, told", [
    (b"", True), (wire.packet(1, b"\1") + wire.packet(2, b"\3def"), True),
    (wire.packet(1, b"\1")[:3], False), (wire.packet(1, b"x" * 100)[:50], False)])
def test_lost_fe(relay, sent, told):
    """During a statement: ERR 1152 where the client can read one, else a plain close."""
    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(sent)

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.send(wire.query("SELECT 1"))
        assert client.read(len(sent)) == sent
        if told:
            sequence, payload = client.read_packet()
            code, text = wire.error(payload)
            assert code == 1152 and "COM_QUERY" in text and "127.0.0.1:%d" % server.port in text
            assert sequence == (3 if sent else 1)
        assert client.is_closed()
        front.wait_closed("Sluice lost the FE")


def test_lost_fe_told_to_the_mariadb_client(relay):
    """libmariadb hides an ERR whose number is one of the client's own (2013)."""
    def script(stream):
        wire.log_in(stream)
        while not stream.read_packet()[1].startswith(b"\3SELECT 7"):
            stream.send(wire.packet(1, b"\0\0\0\2\0\0\0"))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        done = subprocess.run(["mariadb", "--no-defaults", "-h127.0.0.1", "-P%d" % front.port,
                               "-uu", "--skip-ssl", "-e", "SELECT 7"],
                              capture_output=True, text=True, timeout=procs.patience(30))
        assert done.returncode == 1
        assert "ERROR 1152 (08S01)" in done.stderr and "Sluice lost the FE" in done.stderr


@pytest.mark.sanitize
def test_lost_fe_while_idle_and_local(relay):
    """Idle: closed. In a local statement: an ERR."""
    def script(stream):
        wire.log_in(stream)
        stream.read_packet()

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.command(b"\x19\1\0\0\0")  # no reply is due
        assert client.is_closed()
        front.wait_closed("the FE ended the session")
        client = front.client("u")
        client.send(wire.query("SHOW SLUICE JOB ASK SELECT 1"))
        assert wire.error(client.read_packet()[1])[0] == 1152
        assert client.is_closed()


@pytest.mark.sanitize
def test_last_words_of_the_fe(relay):
    """The FE says why and closes; the client's next command comes too late, the reason does not."""
    may_close = threading.Event()

    def script(stream):
        wire.log_in(stream)
        may_close.wait(procs.patience(30))
        stream.send(wire.packet(0, b"\xff\xbf\x0f#HY000disconnected by the server"))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        may_close.set()
        assert b"disconnected by" in client.read_packet()[1]
        assert client.is_closed()


@pytest.mark.sanitize
def test_clients_cut_at_random_bytes(front, mariadb):
    """None hangs, none leaves a session behind."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    before = sessions(mariadb)
    n = 150
    for _ in range(n):
        client = wire.Client(front.port)
        greeting = client.read_packet()[1]
        login = wire.packet(1, client.response(greeting, USER, PASSWORD))
        commands = b"".join(rng.choice([
            wire.query("SELECT 1"), wire.query("SHOW SLUICE JOB PING"),
            wire.query("SHOW SLUICE JOB LATE"), wire.query("SHOW SLUICE JOB ASK SELECT 1"),
            wire.packet(0, b"\x16SELECT ?"), wire.query("SELECT REPEAT('x', 100000)"),
        ]) for _ in range(5))
        with contextlib.suppress(OSError):
            if rng.random() < 0.7:
                client.send(login)
                client.read_packet()
                client.send(commands[:rng.randrange(len(commands) + 1)])
            else:
                client.send(login[:rng.randrange(len(login) + 1)])
        client.reset() if rng.random() < 0.5 else client.close()
    front.wait_closed(".", n)
    procs.wait_until(lambda: sessions(mariadb) == before, 20, "an end of all sessions")
    assert ping(front.client()) == USER


@pytest.mark.quick
@pytest.mark.sanitize
def test_nothing_behind_quit(relay):
    """Doris's OK to COM_QUIT is not the OK to a change of user that was sent behind it."""
    def script(stream):
        wire.log_in(stream)
        assert stream.read_packet()[1] == b"\x01"
        stream.send(wire.packet(1, wire.OK_PACKET))
        while not stream.is_closed():
            pass

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.send(wire.packet(0, b"\x01") +
                    wire.packet(0, b"\x11root\0\0\0\x2d\0mysql_native_password\0") +
                    wire.query("SHOW SLUICE JOB PING"))
        assert client.read_packet() == (1, wire.OK_PACKET)
        client.sock.shutdown(socket.SHUT_WR)
        assert client.is_closed()
        assert front.wait_closed("the client quit") and front.closed()[0]["user"] == "u"


@pytest.mark.sanitize
@pytest.mark.parametrize("command", [b"\x11no end", b"\x11" + b"x" * 300000])
def test_refused_change_of_user(front, command):
    """The ERR has the number that this command's reply is due to have, whatever came before."""
    client = front.client()
    assert client.query("SELECT 1 UNION SELECT 2")[0][0] == "rows"
    client.command(command)
    sequence, payload = client.read_packet()
    assert sequence == 1 and payload[0] == wire.ERR
    assert client.is_closed()


@pytest.mark.sanitize
def test_odd_sequence_ids_and_lengths(front, mariadb):
    """What a broken or hostile client may send ends that session at most."""
    for data in (b"\xff\xff\xff\0\x03" + b"x" * 1000, b"\xff" * 5000, bytes(5000),
                 wire.packet(9, b"\x03SELECT 1"), wire.packet(200, b"\x11x"),
                 wire.packet(0, b"\x11" + b"x" * 300000), wire.packet(0, b"\x11no end")):
        client = front.client()
        with contextlib.suppress(OSError):
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            while client.sock.recv(65536):
                pass
        client.close()
    for data in (b"\xff" * 5000, bytes(100), wire.packet(1, b""), wire.packet(0, bytes(100)),
                 b"\xff\xff\x0f\1" + bytes(70000)):
        client = wire.Client(front.port)
        client.read_packet()
        with contextlib.suppress(OSError):
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            while client.sock.recv(65536):
                pass
        client.close()
    assert ping(front.client()) == USER


@pytest.mark.quick
@pytest.mark.sanitize
def test_drain(relay, mariadb):
    """SIGTERM: idle sessions end, a running statement does, too, and then its session."""
    front = relay(mariadb.port, drain_ms=60000)
    idle, busy = front.client(), front.client()
    busy.send(wire.query("SELECT SLEEP(%d)" % procs.patience(2)))  # seen by the probe meanwhile
    probe = front.client()
    procs.wait_until(lambda: probe.query("SELECT COUNT(*) FROM information_schema.processlist WHERE "
                                         "INFO LIKE 'SELECT SLEEP%'") == [("rows", [[b"1"]])],
                     what="the statement to run")
    os.kill(front.pid, signal.SIGTERM)
    assert idle.is_closed() and probe.is_closed()
    procs.wait_until(lambda: procs.is_refused(front.port), what="the end of all listeners")
    assert busy.read_results() == [("rows", [[b"0"]])]
    assert busy.is_closed()
    assert front.stop() == 0
    # procs.is_refused() may itself have been taken from the queue, and told so
    ended = [line["reason"] for line in front.closed() if line["state"] == "ready"]
    assert ended == ["Sluice is being stopped"] * 3


@pytest.mark.sanitize
def test_drain_timeout(relay, mariadb):
    front = relay(mariadb.port, drain_ms=300)
    busy, local = front.client(), front.client()
    busy.send(wire.query("SELECT SLEEP(60)"))
    local.send(wire.query("SHOW SLUICE JOB ASK SELECT SLEEP(60)"))
    probe = front.client()
    procs.wait_until(lambda: probe.query("SELECT COUNT(*) FROM information_schema.processlist WHERE "
                                         "INFO LIKE 'SELECT SLEEP%'") == [("rows", [[b"2"]])],
                     what="the statements to run")
    os.kill(front.pid, signal.SIGTERM)
    for client in (busy, local):
        assert wire.error(client.read_packet()[1])[0] == 1053
        assert client.is_closed()
    assert front.stop() == 0
    with mariadb.connect() as c, c.cursor() as cursor:  # nobody waits for those any more
        cursor.execute("SELECT ID FROM information_schema.processlist WHERE INFO LIKE 'SELECT SLEEP%'")
        for (number,) in cursor.fetchall():
            cursor.execute("KILL %d" % number)


def test_idle_sessions_are_small(relay):
    """At most 4 KB of memory each."""
    n = 400

    def script(stream):
        wire.log_in(stream)
        streams.append(stream)
        stream.close = lambda: None  # kept open

    streams = []
    with wire.FakeServer(script) as server:
        front = relay(server.port, workers=1)
        clients = [front.client("u") for _ in range(50)]
        before = front.rss_kb()
        clients += [front.client("u") for _ in range(n)]
        grown = front.rss_kb() - before
        for client in [*clients, *streams]:
            client.sock.close()
    if not procs.is_sanitized():
        assert grown <= 4 * n, "%.1f KB a session" % (grown / n)
