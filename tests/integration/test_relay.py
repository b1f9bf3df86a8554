"""What goes through the relay: bytes, every kind of command, and the C API's own test suite."""

import contextlib
import pathlib
import struct
import tempfile
import threading

import pymysql
import pytest

import client_suite
import procs
import wire
from mariadb import PASSWORD, USER, MariaDB
from relay_rig import front, mariadb, ping, relay  # noqa: F401: fixtures

MB = 1 << 20


ODD_COMMANDS = [
    wire.query("SELECT 1"), wire.query(b"\xff\xfe\0 not UTF-8 \0"), wire.query(""),
    wire.packet(0, b"\x77 no such command"), wire.packet(0, b""), wire.packet(0, b"\x0e"),
    wire.query("-- job\nSELECT 1"), wire.query("/* task */"), wire.query("CREATE JOB x"),
    wire.packet(0, b"\x16SELECT ?"), wire.packet(0, b"\x18\1\0\0\0\0\0abc"),
    wire.packet(0, b"\x19\1\0\0\0"), wire.query(b"INSERT " + b"x" * 0xffffff), wire.query("SELECT 2"),
    wire.query("SET @a = 1; PAUSE JOB x"), wire.query(b"INSERT INTO t VALUES ('; task " +
                                                      b"x" * 70000 + b"')"),
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
        assert stream.is_closed()

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        for n, size in enumerate((1 << 30, 3), 1):
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
            front.wait_closed("without COM_QUIT", n)
    assert got == [b"".join(ODD_COMMANDS)] * 2


@pytest.mark.sanitize
def test_login_is_relayed(relay):
    """The response arrives as it was sent; the greeting but for compression and TLS."""
    responses = []
    offered = wire.DORIS_CAPABILITIES | wire.COMPRESS | wire.SSL

    def script(stream):
        stream.send(wire.packet(0, wire.greeting(offered)))
        responses.append(stream.read_packet()[1])
        stream.send(wire.packet(2, b"\xfeclient_ed25519\0"))
        responses.append(stream.read_packet()[1])
        stream.send(wire.packet(4, b"\xff\x15\x04#28000Access denied for user 'x'@'y'"))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = wire.Client(front.port)
        greeting = client.read_packet()[1]
        assert greeting == wire.greeting(offered & ~(wire.COMPRESS | wire.SSL))
        response = client.response(greeting, "anna#HIGH", "secret")
        client.send(wire.packet(1, response))
        assert client.read_packet() == (2, b"\xfeclient_ed25519\0")
        client.send(wire.packet(3, b"hashed secret\0"))
        assert client.read_packet() == (4, b"\xff\x15\x04#28000Access denied for user 'x'@'y'")
        assert client.is_closed()
        assert responses == [response, b"hashed secret\0"]
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
    client.query("CREATE OR REPLACE PROCEDURE test.two() BEGIN SELECT 1; SELECT 2; END")
    assert client.query("SHOW SLUICE JOB ASK CALL test.two()") == [("rows", [[b"1"]])]
    (kind, rows), = client.query("SHOW SLUICE JOB ASK SELECT seq FROM mysql.seq_1_to_100000")
    assert kind == "rows" and len(rows) == 100000
    (kind, content), = client.query("SHOW SLUICE JOB ASK SELECT REPEAT('x', 17 << 20)")
    assert kind == "err" and "16 MB" in content[1]
    assert ping(client) == USER


@contextlib.contextmanager
def own_mariadb():
    """For tests that change global state."""
    with tempfile.TemporaryDirectory(prefix="sluice-mariadb-") as directory:
        server = MariaDB(pathlib.Path(directory))
        try:
            server.start()
            yield server
        finally:
            server.kill9()


def test_mysql_client_test(relay, tmp_path):
    """The C API's own suite: what passes without the relay passes with it."""
    with own_mariadb() as first, own_mariadb() as second:
        client_suite.compare(first.port, relay(second.port).port, tmp_path, 250)
