"""
The relay between a client and a server, without Sluice's own statements: tests/unit/relay_main.c has
a local side of a few lines (SHOW SLUICE JOB PING|ERROR|LATE|ASK <sql>|FORWARD). MariaDB stands for
the FE where the protocol is what counts, a fake server where bytes are.
"""

import contextlib
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import pymysql
import pytest

import procs
import wire
from mariadb import PASSWORD, USER, MariaDB

MB = 1 << 20


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


@pytest.fixture(scope="module")
def mariadb():
    with tempfile.TemporaryDirectory(prefix="sluice-mariadb-") as directory:
        server = MariaDB(pathlib.Path(directory))
        try:
            server.start()
            yield server
            server.stop(60)
        finally:
            server.kill9()


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


# --- bytes -------------------------------------------------------------------------------------

ODD_COMMANDS = [
    wire.query("SELECT 1"), wire.query(b"\xff\xfe\0 not UTF-8 \0"), wire.query(""),
    wire.packet(0, b"\x77 no such command"), wire.packet(0, b""), wire.packet(0, b"\x0e"),
    wire.query("-- job\nSELECT 1"), wire.query("/* task */"), wire.query("CREATE JOB x"),
    wire.packet(0, b"\x16SELECT ?"), wire.packet(0, b"\x18\1\0\0\0\0\0abc"),
    wire.packet(0, b"\x19\1\0\0\0"), wire.query(b"INSERT " + b"x" * 0xffffff), wire.query("SELECT 2"),
]


@pytest.mark.quick
@pytest.mark.sanitize
def test_every_byte_is_relayed(relay):
    """Commands and replies, whole and cut anywhere, reach the other side as they were sent."""
    got = []
    replies = [wire.packet(1, wire.OK_PACKET), wire.packet(1, b"\xff\x28\x04#42000near ''")]

    def script(stream):
        wire.log_in(stream)
        stream.seen.clear()
        for i, sent in enumerate(ODD_COMMANDS):
            if i == 4:  # an empty packet is a command, too
                assert stream.read(4) == sent
            else:
                stream.read_packet()
            if sent[4:5] not in (b"\x18", b"\x19"):
                stream.send(replies[i % 2])
        got.append(bytes(stream.seen))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        for size in (1 << 30, 3):
            client = front.client("u")
            client.seen.clear()
            for sent in ODD_COMMANDS:
                if len(sent) > 1000:
                    client.send(sent)
                else:
                    for at in range(0, len(sent), size):
                        client.send(sent[at:at + size])
            expected = b"".join(replies[i % 2] for i, sent in enumerate(ODD_COMMANDS)
                                if sent[4:5] not in (b"\x18", b"\x19"))
            assert client.read(len(expected)) == expected
            client.close()
            front.wait_closed("without COM_QUIT", len(got))
    assert got == [b"".join(ODD_COMMANDS)] * 2


@pytest.mark.sanitize
def test_login_is_relayed(relay):
    """The response arrives as it was sent; the greeting but for compression and TLS."""
    responses = []
    offered = wire.DORIS_CAPABILITIES | wire.COMPRESS | wire.SSL

    def script(stream):
        stream.send(wire.packet(0, wire.greeting(offered)))
        responses.append(stream.read_packet()[1])
        stream.send(wire.packet(2, b"\xfemysql_clear_password\0"))
        responses.append(stream.read_packet()[1])
        stream.send(wire.packet(4, b"\xff\x15\x04#28000Access denied for user 'x'@'y'"))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = wire.Client(front.port)
        greeting = client.read_packet()[1]
        assert greeting == wire.greeting(offered & ~(wire.COMPRESS | wire.SSL))
        response = client.response(greeting, "anna#HIGH", "secret")
        client.send(wire.packet(1, response))
        assert client.read_packet() == (2, b"\xfemysql_clear_password\0")
        client.send(wire.packet(3, b"clear secret\0"))
        assert client.read_packet() == (4, b"\xff\x15\x04#28000Access denied for user 'x'@'y'")
        assert client.is_closed()
        assert responses == [response, b"clear secret\0"]
        front.wait_closed("refused the login")
        assert front.closed()[0]["user"] == "anna"


@pytest.mark.quick
def test_statements_arrive_byte_for_byte(front, mariadb):
    with mariadb.connect() as c, c.cursor() as cursor:
        cursor.execute("SET GLOBAL general_log = 1")
        try:
            with front.connect() as client, client.cursor() as own:
                own.execute("SELECT  'é',\n\t/* job */ 'x\\'y' -- end")
                assert own.fetchall() == (("é", "x'y"),)
                with pytest.raises(pymysql.ProgrammingError):
                    own.execute("CREATE JOB `odd`  ON SCHEDULE EVERY 1 HOUR DO SELECT 1")
            procs.wait_until(lambda: b"EVERY 1 HOUR" in mariadb.statements(), what="the log")
        finally:
            cursor.execute("SET GLOBAL general_log = 0")
    log = mariadb.statements()
    assert "SELECT  'é',\n\t/* job */ 'x\\'y' -- end\n".encode() in log
    assert b"CREATE JOB `odd`  ON SCHEDULE EVERY 1 HOUR DO SELECT 1\n" in log


# --- login -------------------------------------------------------------------------------------

@pytest.mark.quick
@pytest.mark.sanitize
def test_wrong_password(front, mariadb):
    """The server's own error, the same bytes as without the relay."""
    def refusal(port):
        client = wire.Client(port)
        greeting = client.read_packet()[1]
        client.send(wire.packet(1, client.response(greeting, USER, "wrong")))
        client.seen.clear()
        client.read_packet()
        assert client.is_closed()
        return bytes(client.seen)

    assert refusal(front.port) == refusal(mariadb.port)
    with pytest.raises(pymysql.OperationalError) as caught:
        front.connect(password="wrong")
    assert caught.value.args[0] == 1045
    front.wait_closed("the FE refused the login", 2)


@pytest.mark.quick
@pytest.mark.sanitize
def test_unreachable_fe(relay):
    port = procs.free_port()
    front = relay(port)
    with pytest.raises(pymysql.OperationalError) as caught:
        front.connect()
    assert caught.value.args[0] == 2003
    for part in ("127.0.0.1:%d" % port, "Connection refused", "proxy.backend", "query_port"):
        assert part in caught.value.args[1]
    front.wait_closed("cannot reach the Doris FE")


@pytest.mark.sanitize
def test_next_fe_is_tried(relay, mariadb):
    """One refuses, one accepts and says nothing; the third is used, and first from then on."""
    silent = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(silent):
        front = relay(procs.free_port(), silent.getsockname()[1], mariadb.port, connect_ms=300,
                      workers=1)
        for _ in range(2):
            with front.connect() as c, c.cursor() as cursor:
                cursor.execute("SELECT 1")
        assert front.log_text().count("fe.unreachable") == 2
        only = relay(procs.free_port(), silent.getsockname()[1], connect_ms=300)
        with pytest.raises(pymysql.OperationalError) as caught:
            only.connect()
    assert caught.value.args[0] == 2003
    assert "2 Doris FEs" in caught.value.args[1] and "in time" in caught.value.args[1]


@pytest.mark.sanitize
@pytest.mark.parametrize("first", [
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n",
    wire.packet(0, b"\x09old server\0" + bytes(60)), wire.packet(0, b""),
    wire.packet(0, wire.greeting()) + b"more", wire.packet(1, wire.greeting())])
def test_not_a_mysql_server(relay, first):
    def script(stream):
        stream.send(first)
        stream.is_closed()

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        with pytest.raises(pymysql.MySQLError) as caught:
            front.connect()
    assert caught.value.args[0] == 1043
    assert "127.0.0.1:%d" % server.port in caught.value.args[1]


@pytest.mark.sanitize
def test_fe_refuses_at_once(relay):
    """An ERR in the place of the greeting is the FE's word, and stays it."""
    refusal = wire.packet(0, b"\xff\x10\x04Reach limit of connections")

    def script(stream):
        stream.send(refusal)

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = wire.Client(front.port)
        assert client.read(len(refusal)) == refusal
        assert client.is_closed()
        front.wait_closed("refused the connection: Reach limit")


@pytest.mark.sanitize
def test_tls_and_compression(front):
    """Neither is offered; who wants it all the same is told so."""
    client = wire.Client(front.port)
    client.read_packet()
    client.send(wire.packet(1, struct.pack("<IIB", wire.DEFAULT_CAPABILITIES | wire.SSL, 1 << 24,
                                           33) + bytes(23)))
    assert wire.error(client.read_packet()[1])[0] == 1043
    client.close()
    client = wire.Client(front.port, capabilities=wire.DEFAULT_CAPABILITIES | wire.COMPRESS)
    greeting = client.read_packet()[1]
    client.send(wire.packet(1, client.response(greeting, USER, PASSWORD)))
    code, text = wire.error(client.read_packet()[1])
    assert code == 1043 and "compression" in text
    client.close()
    client = wire.Client(front.port, capabilities=wire.LONG_PASSWORD)
    client.read_packet()
    client.send(wire.packet(1, b"\x05\0\0\0\x01root\0"))
    assert wire.error(client.read_packet()[1])[0] == 1251
    client.close()
    for option in ("--compress", "--ssl", "--skip-ssl"):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", "-P%d" % front.port, "-u" + USER,
             "-p" + PASSWORD, option, "-N", "-e", "SELECT 41 + 1"], capture_output=True, text=True,
            timeout=procs.patience(20))
        assert done.stdout == "42\n", (option, done.stderr)


@pytest.mark.sanitize
def test_login_timeout(relay, mariadb):
    front = relay(mariadb.port, login_ms=300)
    client = wire.Client(front.port)
    client.read_packet()
    assert client.is_closed()
    front.wait_closed("proxy.login_timeout")
    client.close()
    with front.connect() as c, c.cursor() as cursor:  # not for those who are in
        cursor.execute("SELECT SLEEP(0.6)")
        assert cursor.fetchall() == ((0,),)


@pytest.mark.sanitize
def test_too_many_connections(relay, mariadb):
    front = relay(mariadb.port, max_connections=3)
    held = [front.client() for _ in range(3)]
    with pytest.raises(pymysql.OperationalError) as caught:
        front.connect()
    assert caught.value.args[0] == 1040
    assert "Too many connections" in caught.value.args[1]
    held.pop().close()
    front.wait_closed("without COM_QUIT")
    procs.wait_until(lambda: can_connect(front), what="room for one more")


def can_connect(front):
    try:
        front.connect().close()
    except pymysql.OperationalError as e:
        assert e.args[0] == 1040
        return False
    return True


# --- the command phase -------------------------------------------------------------------------

@pytest.mark.quick
def test_unknown_command(front):
    client = front.client()
    client.command(b"\x77what")
    assert wire.error(client.read_packet()[1])[0] == 1047
    assert ping(client) == USER


@pytest.mark.sanitize
def test_local_infile(front, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("".join("%d,%s\n" % (i, "x" * 50) for i in range(200000)))
    with front.connect(local_infile=True) as c, c.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE TABLE test.t (a INT, b TEXT)")
        cursor.execute("LOAD DATA LOCAL INFILE '%s' INTO TABLE test.t FIELDS TERMINATED BY ','"
                       % path)
        cursor.execute("SHOW SLUICE JOB PING")
        cursor.execute("SELECT COUNT(*), SUM(a) FROM test.t")
        assert cursor.fetchall() == ((200000, sum(range(200000))),)
    client = front.client()
    client.send(wire.query("LOAD DATA LOCAL INFILE '/x' INTO TABLE test.t"))
    assert client.read_packet() == (1, b"\xfb/x")
    client.send(wire.packet(2, b"1\t2\n") + wire.packet(3, b"") + wire.query("SHOW SLUICE JOB PING"))
    assert client.read_results()[0][0] == "ok"  # of LOAD DATA
    assert client.read_results() == [("ok", (3, USER))]


@pytest.mark.sanitize
def test_prepared_with_cursor(front):
    client = front.client()
    client.command(b"\x16SELECT seq FROM mysql.seq_1_to_5 WHERE seq > ?")
    _, reply = client.read_packet()
    statement = reply[1:5]
    assert reply[5:9] == b"\1\0\1\0"
    for _ in range(4):
        client.read_packet()
    execute = (b"\x17" + statement + b"\1\1\0\0\0" + b"\0\1\x03\0" + struct.pack("<i", 2))
    fetch = b"\x1c" + statement + struct.pack("<I", 2)
    client.send(wire.packet(0, execute) + wire.query("SHOW SLUICE JOB PING"))
    client.read_packet()
    client.read_packet()
    assert client.read_packet()[1] == b"\xfe\0\0\x42\0"  # a cursor: no rows
    assert client.read_results() == [("ok", (3, USER))]
    client.send(wire.packet(0, fetch) + wire.query("SHOW SLUICE JOB PING"))
    assert [client.read_packet()[1][0] for _ in range(3)] == [0, 0, 0xfe]
    assert client.read_results() == [("ok", (3, USER))]
    client.send(wire.packet(0, fetch) + wire.packet(0, b"\x19" + statement) +
                wire.query("SHOW SLUICE JOB PING"))
    assert [client.read_packet()[1][0] for _ in range(2)] == [0, 0xfe]
    assert client.read_results() == [("ok", (3, USER))]


@pytest.mark.sanitize
def test_multi_results(front):
    client = front.client()
    client.query("DROP PROCEDURE IF EXISTS test.p")
    client.query("CREATE PROCEDURE test.p() BEGIN SELECT 1; DO 1; SELECT 2, NULL; END")
    expected = [("rows", [[b"1"]]), ("rows", [[b"2", None]]), ("ok", (0, ""))]
    assert client.query("CALL test.p()") == expected
    client.send(wire.query("CALL test.p(); SELECT 3") + wire.query("SHOW SLUICE JOB PING"))
    assert client.read_results() == expected + [("rows", [[b"3"]])]
    assert client.read_results() == [("ok", (3, USER))]
    client.send(wire.query("SELECT 1; SELECT nonsense; SELECT 2") + wire.query("SHOW SLUICE JOB PING"))
    results = client.read_results()
    assert results[0] == ("rows", [[b"1"]]) and results[1][1][0] == 1054
    assert client.read_results() == [("ok", (3, USER))]


@pytest.mark.parametrize("size", [20 * MB, 0xffffff - 15, 0xffffff - 14, 2 * 0xffffff])
def test_huge_packets(front, size):
    """Both ways; also where the text or the row ends at a packet's very end."""
    client = front.client()
    text = b"x" * (size - 100)
    (kind, rows), = client.query(b"SELECT '" + text + b"'")
    assert kind == "rows" and rows == [[text]]
    for n in (size - 4, size):  # with and without the cell's length
        (kind, rows), = client.query("SELECT REPEAT('y', %d)" % n)
        assert kind == "rows" and rows == [[b"y" * n]]
    assert ping(client) == USER


def test_huge_command_that_looks_like_ours(front):
    """Too long to be one of ours: it streams through."""
    client = front.client()
    (kind, content), = client.query(b"SHOW SLUICE JOB PING" + b" " * (3 * MB))
    assert kind == "err" and content[0] == 1064
    (kind, content), = client.query(b"SHOW SLUICE JOB PING " + b" " * MB)
    assert kind == "err"
    assert ping(client) == USER


@pytest.mark.sanitize
def test_change_user(front):
    client = front.client()
    assert ping(client) == USER
    client.command(b"\x11other\0\0\0\x2d\0mysql_native_password\0")
    sequence, switch = client.read_packet()
    assert switch[0] == 0xfe
    scramble = switch[switch.index(b"\0") + 1:][:20]
    client.send(wire.packet(sequence + 1, wire.native_password("other", scramble)))
    assert client.read_packet()[1][0] == wire.OK
    assert ping(client) == "other"
    client.command(b"\x11" + USER.encode() + b"\0\0\0\x2d\0mysql_native_password\0")
    sequence, switch = client.read_packet()
    client.send(wire.packet(sequence + 1, bytes(20)))
    assert wire.error(client.read_packet()[1])[0] == 1045
    assert ping(client) == "other"  # MariaDB goes on as before
    client.close()
    front.wait_closed("without COM_QUIT")
    assert front.closed()[0]["user"] == "other"


@pytest.mark.quick
@pytest.mark.sanitize
def test_pipelined_commands(front):
    """In one segment, local ones between: each gets its reply, in order."""
    client = front.client()
    rounds = 20
    text = b"".join([
        wire.query("SELECT 1"), wire.query("SHOW SLUICE JOB PING"), wire.query("SELECT 2"),
        wire.packet(0, b"\x19\1\0\0\0"), wire.query("SHOW SLUICE JOB LATE"),
        wire.query("SHOW SLUICE JOB ASK SELECT 'a', NULL"), wire.query("SHOW SLUICE JOB ERROR"),
        wire.query("SHOW SLUICE JOB FORWARD"), wire.packet(0, b"\x0e"), wire.query("SELECT 'job'")])
    expected = [
        ("rows", [[b"1"]]), ("ok", (3, USER)), ("rows", [[b"2"]]), ("ok", (7, "late")),
        ("rows", [[b"a", None]]), ("err", (1064, "this statement is wrong")), ("err", None),
        ("ok", (0, "")), ("rows", [[b"job"]])]
    for cut in (None, 1, 5):
        data = text * (rounds if cut is None else 1)
        for at in range(0, len(data), cut or len(data)):
            client.send(data[at:at + (cut or len(data))])
        for _ in range(len(data) // len(text)):
            for kind, content in expected:
                (got_kind, got), = client.read_results()
                assert got_kind == kind
                assert content is None or got == content


def test_many_outstanding_commands(front):
    """More than the tracker has places for: the rest waits, none is lost."""
    client = front.client()
    n = 500
    sender = threading.Thread(target=client.send, args=(wire.query("SELECT 1") * n,))
    sender.start()
    for _ in range(n):
        assert client.read_results() == [("rows", [[b"1"]])]
    sender.join()
    assert ping(client) == USER


@pytest.mark.sanitize
def test_questions(front):
    """session_ask(): rows, OK, ERR and more than it takes."""
    client = front.client()
    assert client.query("SHOW SLUICE JOB ASK SET @x = 1") == [("ok", (0, "the FE said OK"))]
    assert client.query("SHOW SLUICE JOB ASK SELECT @x") == [("rows", [[b"1"]])]
    assert client.query("SHOW SLUICE JOB ASK nonsense")[0][1][0] == 1064
    assert client.query("SHOW SLUICE JOB ASK SELECT 1 FROM dual WHERE 0") == [("rows", [])]
    assert client.query("SHOW SLUICE JOB ASK SELECT 1; SELECT 2") == [("rows", [[b"1"]])]
    (kind, rows), = client.query("SHOW SLUICE JOB ASK SELECT seq FROM mysql.seq_1_to_100000")
    assert kind == "rows" and len(rows) == 100000
    (kind, content), = client.query("SHOW SLUICE JOB ASK SELECT REPEAT('x', 17 << 20)")
    assert kind == "err" and "16 MB" in content[1]
    assert ping(client) == USER


# --- ends --------------------------------------------------------------------------------------

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
    """During a statement: ERR 2013 where the client can read one, else a plain close."""
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
            assert code == 2013 and "COM_QUERY" in text and "127.0.0.1:%d" % server.port in text
            assert sequence == (3 if sent else 1)
        assert client.is_closed()
        front.wait_closed("Sluice lost the FE")


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
        assert wire.error(client.read_packet()[1])[0] == 2013
        assert client.is_closed()


@pytest.mark.sanitize
def test_last_words_of_the_fe(relay):
    """The FE says why and closes; the client's next command comes too late, the reason does not."""
    may_close = threading.Event()

    def script(stream):
        wire.log_in(stream)
        may_close.wait(10)
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


@pytest.mark.sanitize
def test_odd_sequence_ids_and_lengths(front, mariadb):
    """What a broken or hostile client may send ends that session at most."""
    for data in (b"\xff\xff\xff\0\x03" + b"x" * 1000, b"\xff" * 5000, bytes(5000),
                 wire.packet(9, b"\x03SELECT 1"), wire.packet(200, b"\x11x"),
                 wire.packet(0, b"\x11" + b"x" * 70000), wire.packet(0, b"\x11no end")):
        client = front.client()
        with contextlib.suppress(OSError):
            client.send(data)
            client.sock.shutdown(socket.SHUT_WR)
            while client.sock.recv(65536):
                pass
        client.close()
    for data in (b"\xff" * 5000, bytes(100), wire.packet(1, b""), wire.packet(0, bytes(100)),
                 b"\xff\xff\0\1" + bytes(70000)):
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
def test_drain(front):
    """SIGTERM: idle sessions end, a running statement does, too, and then its session."""
    idle, busy = front.client(), front.client()
    busy.send(wire.query("SELECT SLEEP(1)"))
    probe = front.client()
    procs.wait_until(lambda: probe.query("SELECT COUNT(*) FROM information_schema.processlist WHERE "
                                         "INFO LIKE 'SELECT SLEEP%'") == [("rows", [[b"1"]])],
                     what="the statement to run")
    os.kill(front.pid, signal.SIGTERM)
    assert idle.is_closed() and probe.is_closed()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", front.port)).close()
    assert busy.read_results() == [("rows", [[b"0"]])]
    assert busy.is_closed()
    assert front.stop() == 0
    assert [line["reason"] for line in front.closed()] == ["Sluice is being stopped"] * 3


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
    assert grown <= 4 * n, "%.1f KB a session" % (grown / n)


# --- mysql_client_test -------------------------------------------------------------------------

def run_client_tests(names, port, vardir):
    """{test: did it pass}; one process a test, as some of them end theirs."""
    vardir.mkdir()
    passed = {}
    for name in names:
        done = subprocess.run(
            ["mysql_client_test", "--no-defaults", "-h127.0.0.1", "-P%d" % port, "-u" + USER,
             "-p" + PASSWORD, "-v", vardir, "-c", "-s", name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=procs.patience(60))
        passed[name] = done.returncode == 0
        (vardir / (name + ".log")).write_bytes(done.stdout)
    return passed


def test_mysql_client_test(front, mariadb, tmp_path):
    """The C API's own suite: what passes without the relay passes with it."""
    listed = subprocess.run(["mysql_client_test", "--no-defaults", "-T"], capture_output=True,
                            text=True, check=True).stdout
    names = re.findall(r"^(test_\w+)", listed, re.M)
    with tempfile.TemporaryDirectory(prefix="sluice-mariadb-") as directory:
        second = MariaDB(pathlib.Path(directory))  # some tests change global state
        second.start()
        direct = {}
        thread = threading.Thread(target=lambda: direct.update(
            run_client_tests(names, second.port, tmp_path / "direct")))
        try:
            thread.start()
            relayed = run_client_tests(names, front.port, tmp_path / "relayed")
            thread.join()
        finally:
            thread.join()
            second.stop(60)
    assert sum(direct.values()) >= 250, "the suite itself does not run"
    lost = [name for name in names if direct[name] and not relayed[name]]
    assert not lost, "\n".join("%s: %s" % (name, (tmp_path / "relayed" / (name + ".log")).read_text(
        errors="replace")[-500:]) for name in lost)
