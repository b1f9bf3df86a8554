"""TLS on both sides of Sluice, in front of a MariaDB that offers it."""

import contextlib
import pathlib
import random
import re
import socket
import ssl
import struct
import threading

import pymysql
import pytest

import client_suite
import procs
import wire
from certs import Authority
from mariadb import PASSWORD, USER
from tls_rig import (app, authority, front, mariadb_with, refused, server,  # noqa: F401: fixtures
                     wait_log)
from tls_wire import client_context, login, serve_tls, server_context, start_tls

MB = 1 << 20


def status(connection, name):
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE '%s'" % name)
        return cursor.fetchone()[1]


@pytest.mark.sanitize
@pytest.mark.parametrize("fe", ["off", "preferred", "required", "verify"])
@pytest.mark.parametrize("client, is_encrypted", [
    ("off", False), ("optional", False), ("optional", True), ("required", True)])
def test_combinations(front, authority, client, is_encrypted, fe):
    running = front(client, fe)
    with app(running, authority, is_encrypted) as connection:
        assert (connection._secure, status(connection, "Ssl_version") != "") == (
            is_encrypted, fe != "off")
        with connection.cursor() as cursor:
            cursor.execute("SELECT REPEAT('x', 100000), 41 + 1")
            assert cursor.fetchone() == ("x" * 100000, 42)
            with pytest.raises(pymysql.OperationalError, match="is it a Doris FE"):
                cursor.execute("SELECT * FROM jobs('type'='insert')")  # answered here
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == ((1,),)
    opened = re.search(r"session\.opened.*user=%s.*" % USER, running.log_text()).group(0)
    assert (" tls=TLSv1.3" in opened) == is_encrypted
    assert ("fe_tls=TLSv1.3" in opened) == (fe != "off")


# --- the client's side ----------------------------------------------------------------------------

@pytest.mark.sanitize
def test_required(front, authority):
    running = front("required")
    code, text = refused(app, running, authority, False)
    assert code == 3159
    assert "insecure transport are prohibited" in text and "--ssl-mode=REQUIRED" in text
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(authority, maximum_version=version)
        client = login(running, USER, PASSWORD, context)
        assert client.query("SELECT 1") == [("rows", [[b"1"]])]
        client.close()
    wait_log(running, r"kind=tls.*insecure transport")


@pytest.mark.sanitize
def test_old_tls_is_refused(front, authority):
    running = front("optional")
    context = client_context(authority, minimum_version=ssl.TLSVersion.TLSv1,
                             maximum_version=ssl.TLSVersion.TLSv1_1)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, wire.Closed)):
        login(running, USER, PASSWORD, context)
    wait_log(running, r"TLS with the client failed: .*(protocol|version)")


@pytest.mark.sanitize
def test_client_that_does_not_trust_us(front, authority, tmp_path):
    running = front("optional")
    context = client_context(Authority(tmp_path, "stranger"))
    with pytest.raises(ssl.SSLCertVerificationError):
        login(running, USER, PASSWORD, context)
    wait_log(running, r"kind=(tls|client_lost)")
    with app(running, authority, True) as connection:
        assert status(connection, "Ssl_version") == ""


@pytest.mark.sanitize
def test_not_tls_after_all(front):
    running = front("optional")
    client = wire.Client(running.port)
    client.read_packet()
    client.send(wire.packet(1, struct.pack("<IIB", wire.DEFAULT_CAPABILITIES | wire.SSL, 1 << 24,
                                           45) + bytes(23)))
    client.send(b"SELECT 1; this is no ClientHello")
    wait_log(running, "TLS with the client failed")
    client.close()
    client = wire.Client(running.port, capabilities=wire.DEFAULT_CAPABILITIES | wire.SSL)
    greeting = client.read_packet()[1]
    client.send(wire.packet(1, client.response(greeting, USER, PASSWORD)))
    assert client.read_packet() == (2, b"\xff\x13\x04#08S01the client announced TLS and went on "
                                       b"without it")
    assert client.is_closed()


@pytest.mark.sanitize
def test_stops_in_the_handshake(front):
    """At each of its bytes once; proxy.login_timeout ends it."""
    running = front("optional", login_timeout=procs.patience(3) * 1000)  # in which each is greeted, too
    clients = []
    for n in (0, 1, 4, 35, 36):
        client = wire.Client(running.port)
        client.read_packet()
        client.send(wire.packet(1, struct.pack("<IIB", wire.DEFAULT_CAPABILITIES | wire.SSL,
                                               1 << 24, 45) + bytes(23))[:n])
        clients.append(client)
    clients[-1].send(b"\x16\x03\x01\x02\0\x01\0")
    for client in clients:
        assert client.is_closed()
    assert len(re.findall("kind=login_timeout", wait_log(
        running, "(?s)" + "kind=login_timeout.*" * 5).group(0))) == 5


@pytest.mark.sanitize
@pytest.mark.parametrize("size", [1, 7])
def test_bytewise(front, authority, size):
    """Greeting, handshake, login and commands in pieces of a few bytes."""
    client = login(front("required", "required"), USER, PASSWORD, client_context(authority), size)
    assert client.query("SELECT 'a', NULL") == [("rows", [[b"a", None]])]
    assert client.query(b"SELECT '" + b"x" * 3000 + b"'") == [("rows", [[b"x" * 3000]])]
    client.command(b"\1")
    assert client.is_closed()


@pytest.mark.sanitize
def test_truncated_by_the_client(front, authority):
    """Without close_notify it is a broken connection; with it, an orderly end."""
    running = front("required")
    client = login(running, USER, PASSWORD, client_context(authority))
    client.close()
    wait_log(running, r"kind=client_lost reason=\"the client's connection broke: the connection "
                      "ended without TLS's close_notify")
    client = login(running, USER, PASSWORD, client_context(authority))
    try:
        client.sock.tls.unwrap()
    except ssl.SSLWantReadError:
        client.sock._flush()
    client.close()
    wait_log(running, "closed its connection without COM_QUIT")


def test_resumption(front, authority):
    """A ticket of one worker is good at the other."""
    running = front("required", workers=4)
    context = client_context(authority, maximum_version=ssl.TLSVersion.TLSv1_2)
    session, reused = None, 0
    for _ in range(12):
        raw = socket.create_connection(("127.0.0.1", running.port))
        client = wire.Stream(raw)
        client.read_packet()
        client.send(wire.packet(1, struct.pack("<IIB", wire.DEFAULT_CAPABILITIES | wire.SSL,
                                               1 << 24, 45) + bytes(23)))
        with context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as tls:
            reused += tls.session_reused
            session = session or tls.session
    assert reused == 11


# --- the FE's side --------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("what, reason", [
    ("authority", "self-signed certificate|unable to get local issuer"), ("name", "mismatch"),
    ("expired", "has expired"), ("none", "does not offer TLS")])
def test_fe_that_is_not_to_be_trusted(front, authority, tmp_path, what, reason):
    """verify refuses it and says why; required takes it but for one without TLS; others take all."""
    stranger = Authority(tmp_path, "stranger")
    pair = {"authority": stranger.issue("fe"), "name": authority.issue("x", ("fe.test",)),
            "expired": authority.issue("old", from_days=-3, to_days=-1)}.get(what)

    def script(stream):
        if pair is None:
            wire.log_in(stream)
        else:
            sequence, response = serve_tls(stream, server_context(pair))
            assert sequence == 2 and response[1] & 0x08  # CAP_SSL, as on every side with TLS
            stream.send(wire.packet(3, wire.OK_PACKET))
        while stream.read_packet()[1] != b"\1":
            stream.send(wire.packet(1, wire.OK_PACKET))

    fe = wire.FakeServer(script)
    running = front("optional", "verify", to=fe)
    for is_encrypted in (False, True):
        code, text = refused(app, running, authority, is_encrypted)
        assert code == 1430 and re.search(reason, text), text
        assert "127.0.0.1:%d" % fe.port in text and "proxy.backend_tls" in text
    wait_log(running, "kind=tls")
    if what == "none":
        assert refused(app, front("off", "required", to=fe), authority, False)[0] == 1430
    else:
        app(front("off", "required", to=fe), authority, False).close()
    app(front("off", "preferred", to=fe), authority, False).close()
    fe.listener.close()


@pytest.mark.sanitize
def test_fe_by_name(front, server, authority):
    with app(front("off", "verify", backend="localhost:%d" % server.port), authority,
             False) as connection:
        assert status(connection, "Ssl_version") != ""


@pytest.mark.sanitize
def test_fe_without_words(front, authority):
    """It closes within the handshake, or sends something else."""
    def script(stream):
        stream.send(wire.packet(0, wire.greeting(wire.DORIS_CAPABILITIES | wire.SSL)))
        stream.read_packet()
        if script.is_loud:
            stream.send(wire.packet(2, b"\xff\x15\x04#28000no TLS today"))
            stream.is_closed()

    with wire.FakeServer(script) as fe:
        for script.is_loud, reason in ((False, "closed|reset"), (True, "version|record|packet")):
            code, text = refused(app, front("off", "preferred", to=fe), authority, False)
            assert code == 1430 and re.search(reason, text), text
            assert "proxy.backend_tls = off" in text


@pytest.mark.sanitize
def test_fe_that_dawdles(front, authority):
    """Its part of the handshake and its packets come byte by byte."""
    def script(stream):
        sequence, _ = serve_tls(stream, server_context(authority.fe), size=1)
        stream.send(wire.packet(sequence + 1, wire.OK_PACKET))
        while stream.read_packet()[1] != b"\1":
            stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as fe:
        client = login(front("required", "verify", to=fe), USER, PASSWORD,
                       client_context(authority))
        assert client.query("SELECT 1") == [("ok", (0, ""))]
        client.command(b"\1")
        assert client.is_closed()


@pytest.mark.sanitize
def test_clients_cut_anywhere(front, authority):
    """Closed or reset after any number of bytes: every session ends, and the next one works."""
    running = front("required", "required")
    context = client_context(authority)
    seed = random.randrange(1 << 32)
    print("seed", seed)
    dice = random.Random(seed)
    n = 120
    for _ in range(n):
        raw = Cut(socket.create_connection(("127.0.0.1", running.port)), dice.randrange(900))
        client = wire.Client.__new__(wire.Client)
        wire.Stream.__init__(client, raw)
        client.capabilities = wire.DEFAULT_CAPABILITIES
        with contextlib.suppress(CutShort):
            greeting = client.read_packet()[1]
            start_tls(client, context)
            client.send(wire.packet(2, client.response(greeting, USER, PASSWORD)))
            client.read_packet()
            client.query("SELECT REPEAT('x', 100000)")
            client.query("SELECT 1")
        if dice.random() < 0.5:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    procs.wait_until(lambda: running.log_text().count("session.closed") == n, 20,
                     "the end of %d sessions" % n)
    with app(running, authority, True) as connection:
        assert status(connection, "Ssl_version") != ""


class CutShort(Exception):
    """As many bytes were sent as were to be sent."""


class Cut:
    """A socket that sends `left` bytes and no more."""

    def __init__(self, sock, left):
        self.sock, self.left = sock, left

    def sendall(self, data):
        data = bytes(data)[:self.left]
        self.left -= len(data)
        self.sock.sendall(data)
        if self.left == 0:
            raise CutShort

    def __getattr__(self, name):
        return getattr(self.sock, name)


@pytest.mark.sanitize
def test_records_never_split_headers(front, authority):
    """What Doris demands: where a packet begins, its four bytes are in one record."""
    walker = {"left": 0}

    def on_record(plain):
        at = min(walker["left"], len(plain))
        walker["left"] -= at
        while at < len(plain):
            assert len(plain) - at >= 4, "a header was split"
            n = int.from_bytes(plain[at:at + 3], "little")
            body = min(n, len(plain) - at - 4)
            walker["left"] = n - body
            at += 4 + body

    def script(stream):
        sequence, _ = serve_tls(stream, server_context(authority.fe))
        stream.send(wire.packet(sequence + 1, wire.OK_PACKET))
        walker["left"] = 0
        stream.sock.on_record = on_record
        while True:
            payload = stream.read_packet()[1]
            if payload[:1] != b"\x19":
                stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as fe:
        client = front("off", "required", to=fe).connect(USER, PASSWORD, ssl_disabled=True)
        raw = client._sock
        for size in (1, 2, 3, 4, 5, 100, 16380, 16384, 70000):
            raw.sendall(wire.packet(0, b"\x19" + b"\1" * size) * (200000 // size + 1))
        raw.sendall(wire.packet(0, b"\x0e"))
        assert raw.recv(100)[4] == 0
        client._force_close()


# --- bytes ----------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_big_results(front, authority):
    """100 MB each, of small and of large rows, also to a client that pauses."""
    running = front("required", "required")
    with app(running, authority, True, cursorclass=pymysql.cursors.SSCursor) as connection:
        for sql, n in (("SELECT REPEAT('x', 1000) FROM mysql.seq_1_to_50000", 50000),
                       ("SELECT REPEAT('x', 20 << 20) FROM mysql.seq_1_to_3", 3),
                       ("SELECT seq, 'abc' FROM mysql.seq_1_to_100000", 100000)):
            with connection.cursor() as cursor:
                cursor.execute(sql)
                assert sum(1 for _ in cursor) == n


def test_client_that_reads_nothing(front, authority, server):
    running = front("required", "required")
    client = login(running, USER, PASSWORD, client_context(authority))
    before = rss_kb(running)
    client.send(wire.query("SELECT REPEAT('x', 1000) FROM mysql.seq_1_to_4000000"))

    def is_stuck():
        with server.connect() as c, c.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.processlist "
                           "WHERE STATE = 'Writing to net' AND TIME_MS > 1000")
            return cursor.fetchone()[0] > 0

    procs.wait_until(is_stuck, 20, "a server that waits for the client")
    if not procs.is_sanitized():
        assert rss_kb(running) - before < 1024
    client.read(20 * MB)  # it still goes on from there
    client.reset()
    wait_log(running, "kind=client_lost")


def rss_kb(running):
    text = pathlib.Path("/proc/%d/status" % running.pid).read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


@pytest.mark.sanitize
def test_uploads(front, authority):
    """A packet of 20 MB, and pipelined commands in both directions at once."""
    running = front("required", "required")
    with app(running, authority, True) as connection, connection.cursor() as cursor:
        text = "x" * (20 * MB)
        cursor.execute("SELECT LENGTH('%s'), CRC32('%s')" % (text, "abc"))
        assert cursor.fetchall() == ((20 * MB, 891568578),)
    client = login(running, USER, PASSWORD, client_context(authority))
    n = 300
    sender = threading.Thread(target=client.send,
                              args=(wire.query("SELECT '%s'" % ("y" * 20000)) * n,))
    sender.start()
    sender.join(procs.patience(30))
    for _ in range(n):
        assert client.read_results() == [("rows", [[b"y" * 20000]])]
    client.close()


@pytest.mark.sanitize
def test_busy_session_leaves_others_alone(front, authority, server):
    """One worker; a client whose input never ends does not keep the others from being served."""
    running = front("required", "off", workers=1)
    context = client_context(authority)
    busy, other = (login(running, USER, PASSWORD, context) for _ in range(2))
    stop = threading.Event()
    piece = wire.packet(0, b"\x19" + b"\1" * 60000) * 16  # COM_STMT_CLOSE: no reply

    def upload():
        with contextlib.suppress(OSError, wire.Closed):
            while not stop.is_set():
                busy.send(piece)

    sender = threading.Thread(target=upload)
    sender.start()
    try:
        for _ in range(50):
            assert other.query("SELECT 1") == [("rows", [[b"1"]])]
    finally:
        stop.set()
        sender.join(procs.patience(20))
    busy.close()
    other.close()


@pytest.mark.sanitize
def test_change_user(front, authority):
    running = front("required", "required")
    client = login(running, USER, PASSWORD, client_context(authority))
    for user, password in (("other", "other"), (USER, PASSWORD)):
        client.command(b"\x11" + user.encode() + b"\0\0\0\x2d\0mysql_native_password\0")
        sequence, switch = client.read_packet()
        assert (sequence, switch[0]) == (1, 0xfe)
        scramble = switch[switch.index(b"\0") + 1:][:20]
        client.send(wire.packet(2, wire.native_password(password, scramble)))
        assert client.read_packet()[0] == 3
        assert client.query("SELECT CURRENT_USER()") == [
            ("rows", [[("%s@127.0.0.1" % user).encode()]])]
    client.command(b"\x11other\0\0\0\x2d\0mysql_clear_password\0")
    assert client.read_packet()[0] == 1  # encrypted: MariaDB has the word
    client.close()


# --- the C API's own suite ------------------------------------------------------------------------

def test_mysql_client_test(front, authority, tmp_path):
    """
    What passes without Sluice passes with TLS on both sides of it. The suite knows no TLS itself: a
    second Sluice stands in front, so that one has TLS towards it and towards MariaDB.
    """
    with mariadb_with(authority.fe) as first, mariadb_with(authority.fe) as second:
        inner = front("required", "verify", to=second)
        outer = front("off", "verify", to=inner)
        client_suite.compare(first.port, outer.port, tmp_path, 250)
    assert "fe_tls=TLSv1.3" in outer.log_text()
    opened = re.findall(r"session\.opened.*", inner.log_text())
    assert opened and all(" tls=TLSv1.3 fe_tls=TLSv1.3" in line for line in opened)
