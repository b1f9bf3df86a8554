"""
Prepared statements that Sluice answers itself: the protocol packet by packet in front of MariaDB, and
jobs() and job statements in front of the stand-in.
"""

import datetime
import struct

import mysql.connector
import pytest

import replies
import wire
from mariadb import USER
from relay_rig import front, mariadb, ping, relay  # noqa: F401: fixtures
from replies import (CURSOR_EXISTS, DEPRECATE_EOF, LAST_ROW_SENT, Reply, execute, fetch, prepare, run)

PONG = ("ok", (3, USER))
FORMS = [wire.DEFAULT_CAPABILITIES, wire.DEFAULT_CAPABILITIES | DEPRECATE_EOF]
LAST = 0xffffffff
JOBS = "SELECT Name, COUNT(*) AS n FROM jobs(\"type\"=\"insert\")"


def echo(client, *params, **more):
    """The text that a statement with these parameters becomes."""
    marks = ", ".join("?" * len(params))
    statement, n_params, _ = prepare(client, "SHOW SLUICE JOB ECHO " + marks)
    assert n_params == len(params)
    (kind, content), = run(client, statement, params, **more)
    client.send(replies.close(statement))
    return content[0][1].decode() if kind == "rows" else content


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("capabilities", FORMS)
def test_prepare_execute_close(front, capabilities):
    client = front.client(capabilities=capabilities)
    statement, n_params, columns = prepare(client, "SHOW SLUICE JOB ROWS ? ")
    assert statement >= 0xf0000000 and n_params == 1
    assert [c.name for c in columns] == ["id", "name", "share"]
    for n in (0, 1, 4):
        expected = [[i, None if i % 3 == 0 else b"", i / 2] for i in range(1, n + 1)]
        assert run(client, statement, [(replies.LONG, n)]) == [("rows", expected)]
    assert len(run(client, statement, [(replies.LONG, 5)], types=False)[0][1]) == 5
    second = prepare(client, "SHOW SLUICE JOB PING")
    assert second == (second[0], 0, []) and second[0] != statement
    assert run(client, second[0]) == [PONG]
    client.send(replies.close(statement))
    (kind, content), = run(client, statement, [(replies.LONG, 5)])
    assert kind == "err" and content[0] == 1243 and "mysqld_stmt_execute" in content[1]
    assert run(client, second[0]) == [PONG]
    # the FE's own, in between
    other, _, _ = prepare(client, "SELECT ? + 1")
    assert other < 1000
    client.command(execute(other, [(replies.LONGLONG, 41)]))
    assert Reply(client).results(binary=True) == [("rows", [[42]])]
    assert run(client, second[0]) == [PONG]
    client.command(b"\x1a" + struct.pack("<I", second[0]))
    assert Reply(client).result()[0] == "ok"
    assert client.query("SELECT 1")[0][0] == "rows" if not capabilities & DEPRECATE_EOF else True


@pytest.mark.sanitize
def test_parameter_types(front):
    client = front.client()
    day = datetime.date(2026, 2, 3)
    moment = datetime.datetime(2026, 2, 3, 4, 5, 6)
    cases = [
        (replies.TINY, -5, "-5"), (replies.TINY | replies.UNSIGNED, 251, "251"),
        (replies.SHORT, -300, "-300"), (replies.SHORT | replies.UNSIGNED, 65535, "65535"),
        (replies.LONG, -1 << 31, "-2147483648"), (replies.YEAR, 2026, "2026"),
        (replies.LONGLONG, -1 << 63, "-9223372036854775808"),
        (replies.LONGLONG | replies.UNSIGNED, (1 << 64) - 1, "18446744073709551615"),
        (replies.INT24, 7, "7"), (replies.FLOAT, 0.1, "0.1"), (replies.DOUBLE, 0.1, "0.1"),
        (replies.DOUBLE, -1e300, "-1e+300"), (replies.DOUBLE, 12.0, "12"),
        (replies.NEWDECIMAL, "12.50", "12.50"), (replies.NEWDECIMAL, "x'", "'x'''"),
        (replies.DATE, day, "'2026-02-03'"), (replies.DATETIME, moment, "'2026-02-03 04:05:06'"),
        (replies.TIMESTAMP, moment.replace(microsecond=70), "'2026-02-03 04:05:06.000070'"),
        (replies.DATETIME, day, "'2026-02-03 00:00:00'"),
        (replies.TIME, datetime.timedelta(days=2, hours=3, seconds=4), "'51:00:04'"),
        (replies.TIME, -datetime.timedelta(seconds=1, microseconds=5), "'-00:00:01.000005'"),
        (replies.STRING, "it's a \\ \"é\" ?", "'it''s a \\\\ \"é\" ?'"),
        (replies.VAR_STRING, "", "''"), (replies.BLOB, b"a\0b", "'a\\0b'"),
        (replies.STRING, None, "NULL"), (replies.NULL, None, "NULL"),
        (replies.STRING, "x" * 70000, "'%s'" % ("x" * 70000)),
    ]
    for kind, v, expected in cases:
        assert echo(client, (kind, v)) == expected
    together = echo(client, *[(kind, v) for kind, v, _ in cases[:20]])
    assert together == ", ".join(expected for _, _, expected in cases[:20])
    assert echo(client, (replies.DOUBLE, float("nan")))[0] == 1210
    assert echo(client, (0x99, "x"))[0] == 1210
    assert ping(client) == USER


@pytest.mark.sanitize
def test_bad_executes(front):
    """What does not fit the statement is an error; the connection goes on."""
    client = front.client()
    statement, _, _ = prepare(client, "SHOW SLUICE JOB ECHO ?, ?")
    params = [(replies.STRING, "abc"), (replies.LONG, 5)]
    good = execute(statement, params)
    for bad in (execute(statement, params, types=False), good[:5], good[:9], good[:10], good[:12],
                good[:-1]):
        client.command(bad)
        (kind, content), = Reply(client).results()
        assert kind == "err" and content[0] == 1210, content
    client.command(good)
    assert Reply(client).results(binary=True)[0][1][0][1] == b"'abc', 5"
    client.command(b"\xfa" + struct.pack("<IH", statement, 0) + b"x")
    (kind, content), = Reply(client).results()
    assert kind == "err" and content[0] == 1295 and "bulk" in content[1]
    client.send(fetch(statement, 1))
    assert Reply(client).result()[1][0] == 1421
    client.send(fetch(statement + 1024, 1))
    assert Reply(client).result()[1][0] == 1243
    assert prepare(client, "SHOW SLUICE JOB ERROR")[0] == 1064
    assert ping(client) == USER


@pytest.mark.sanitize
def test_long_data(front):
    client = front.client()
    statement, _, _ = prepare(client, "SHOW SLUICE JOB ECHO ?, ?")

    def send(i, data, to=statement):
        client.send(wire.packet(0, b"\x18" + struct.pack("<IH", to, i) + data))

    params = [(replies.BLOB, "-"), (replies.LONG, 5)]
    send(0, b"one ")
    send(0, b"two's")
    client.command(execute(statement, params, long_data={0}))
    assert Reply(client).results(True)[0][1][0][1] == b"'one two''s', 5"
    client.command(execute(statement, params))  # it is gone after an EXECUTE
    assert Reply(client).results(True)[0][1][0][1] == b"'-', 5"
    send(0, b"gone")
    client.command(b"\x1a" + struct.pack("<I", statement))
    assert Reply(client).result()[0] == "ok"
    client.command(execute(statement, params))
    assert Reply(client).results(True)[0][1][0][1] == b"'-', 5"
    for bad in ((7, b"x"), (0, b"x" * (2 << 20))):  # no such parameter; more than is taken
        send(*bad)
        client.command(execute(statement, params, long_data={0}))
        assert Reply(client).results(True)[0][1][0] == 1153
    for _ in range(40):
        send(0, b"y" * 900000)
    client.command(execute(statement, params, long_data={0}))
    assert Reply(client).results(True)[0][1][0] == 1153
    client.command(execute(statement, [(replies.BLOB, "z" * (3 << 20)), (replies.LONG, 5)]))
    assert Reply(client).results(True)[0][1][0] == 1153
    client.command(execute(statement, params))
    assert Reply(client).results(True)[0][1][0][1] == b"'-', 5"
    assert ping(client) == USER


@pytest.mark.sanitize
@pytest.mark.parametrize("capabilities", FORMS)
def test_cursor(front, capabilities):
    client = front.client(capabilities=capabilities)
    statement, _, _ = prepare(client, "SHOW SLUICE JOB ROWS ? ")

    def open_cursor(n):
        client.command(execute(statement, [(replies.LONG, n)], flags=1))
        kind, columns, status = Reply(client).result(True)
        assert kind == "cursor" and len(columns) == 3 and status == CURSOR_EXISTS
        return columns

    def take(columns, n):
        client.send(fetch(statement, n))
        found, reply = [], Reply(client)
        while True:
            payload = reply.packet()
            if Reply.is_eof(payload):
                return found, reply._status_of_eof(payload)
            found.append(replies.binary_row(payload, columns)[0])

    columns = open_cursor(5)
    assert take(columns, 2) == ([1, 2], CURSOR_EXISTS)
    assert take(columns, 2) == ([3, 4], CURSOR_EXISTS)
    assert take(columns, 2) == ([5], LAST_ROW_SENT)
    client.send(fetch(statement, 1))
    assert Reply(client).result()[1][0] == 1421
    assert take(open_cursor(0), 9) == ([], LAST_ROW_SENT)
    assert take(open_cursor(1000), 1 << 20) == (list(range(1, 1001)), LAST_ROW_SENT)
    columns = open_cursor(9)
    assert take(columns, 1) == ([1], CURSOR_EXISTS)
    columns = open_cursor(3)  # closes the other one
    assert take(columns, 1) == ([1], CURSOR_EXISTS)
    client.command(b"\x1a" + struct.pack("<I", statement))
    assert Reply(client).result()[0] == "ok"
    client.send(fetch(statement, 1))
    assert Reply(client).result()[1][0] == 1421
    second, _, _ = prepare(client, "SHOW SLUICE JOB PING")  # no rows: no cursor
    assert run(client, second, flags=1) == [PONG]


def test_cursor_memory_is_bounded(front):
    """The same rows in every cursor, until there is no room for more."""
    client = front.client()
    refused = 0
    for _ in range(12):
        statement, _, _ = prepare(client, "SHOW SLUICE JOB ROWS 300000 xxxxxxxxxx")
        client.command(execute(statement, flags=1))
        kind, content, _ = Reply(client).result(True)
        assert kind == "cursor" or "64 MB" in content[1]
        refused += kind == "err"
    assert refused > 0
    assert ping(client) == USER


@pytest.mark.quick
@pytest.mark.sanitize
def test_pipelined(front):
    """Behind commands that are still running, in one segment; and MariaDB's "the last one"."""
    client = front.client()
    text = b"\x16SHOW SLUICE JOB ROWS ? "
    parts = [
        wire.query("SELECT SLEEP(0.1)"), wire.packet(0, text),
        wire.packet(0, execute(LAST, [(replies.LONG, 2)])), replies.close(LAST),
        wire.query("SELECT 2"), wire.packet(0, b"\x16SELECT ? + 1"),
        wire.packet(0, execute(LAST, [(replies.LONGLONG, 1)])), wire.packet(0, text),
        wire.packet(0, execute(LAST, [(replies.LONG, 1)])), wire.query("SELECT 3"),
        wire.packet(0, b"\x16SHOW SLUICE JOB ERROR"), wire.packet(0, execute(LAST)),
        wire.packet(0, b"\x16SELECT nonsense"), wire.query("SHOW SLUICE JOB PING")]
    for size in (1 << 20, 1, 11):
        data = b"".join(parts)
        for at in range(0, len(data), size):
            client.send(data[at:at + size])
        assert Reply(client).results()[0][0] == "rows"
        first = Reply(client).prepared()[0]
        assert Reply(client).results(True) == [("rows", [[1, b"", 0.5], [2, b"", 1.0]])]
        assert Reply(client).results() == [("rows", [[b"2"]])]
        assert Reply(client).prepared()[0] < 0xf0000000
        assert Reply(client).results(True) == [("rows", [[2]])]
        second = Reply(client).prepared()[0]
        assert second >= 0xf0000000 and second != first
        assert Reply(client).results(True) == [("rows", [[1, b"", 0.5]])]
        assert Reply(client).results() == [("rows", [[b"3"]])]
        assert Reply(client).prepared()[0] == 1064
        assert Reply(client).results()[0][1][0] == 1243
        assert Reply(client).prepared()[0] == 1054
        assert Reply(client).results() == [PONG]
    client.send(wire.query("SELECT 1") * 3 + replies.close(second) + wire.packet(0, b"\x0e") +
                wire.packet(0, execute(second, [(replies.LONG, 1)])) + wire.query("SELECT 4"))
    assert [Reply(client).results() for _ in range(3)] == [[("rows", [[b"1"]])]] * 3
    assert Reply(client).result()[0] == "ok"
    assert Reply(client).results()[0][1][0] == 1243
    assert Reply(client).results() == [("rows", [[b"4"]])]


@pytest.mark.sanitize
def test_too_many(front):
    client = front.client()
    found = [prepare(client, "SHOW SLUICE JOB PING")[0] for _ in range(1024)]
    assert len(set(found)) == 1024
    code, text = prepare(client, "SHOW SLUICE JOB PING")
    assert code == 1461 and "1024" in text
    client.send(replies.close(found[500]))
    again = prepare(client, "SHOW SLUICE JOB PING")[0]
    assert again not in found
    assert run(client, found[499]) == [PONG]
    for reset in (b"\x1f", None):
        if reset:
            client.command(reset)
            assert Reply(client).result()[0] == "ok"
        else:
            client.command(b"\x11other\0\0\0\x2d\0mysql_native_password\0")
            sequence, switch = client.read_packet()
            scramble = switch[switch.index(b"\0") + 1:][:20]
            client.send(wire.packet(sequence + 1, wire.native_password("other", scramble)))
            assert client.read_packet()[1][0] == wire.OK
        assert run(client, again)[0][1][0] == 1243
        again = prepare(client, "SHOW SLUICE JOB PING")[0]
        assert run(client, again)[0][0] == "ok"


@pytest.mark.sanitize
def test_ids_are_not_used_again(front):
    """A pool resets the connection, and closes its former statements only when it gets to it."""
    client = front.client()
    found = [prepare(client, "SHOW SLUICE JOB PING")[0] for _ in range(3)]
    for _ in range(3):
        client.command(b"\x1f")
        assert Reply(client).result()[0] == "ok"
        new = prepare(client, "SHOW SLUICE JOB PING")[0]
        client.send(b"".join(map(replies.close, found)))
        assert new not in found and run(client, new) == [PONG]
        found.append(new)


@pytest.mark.sanitize
def test_long_data_that_an_fe_answers(relay):
    """Doris sends an ERR to COM_STMT_SEND_LONG_DATA: late, it never lands in our answer."""
    err = b"\xff\x17\x04#08S01Unsupported command(COM_STMT_SEND_LONG_DATA)"

    def script(stream):
        wire.log_in(stream)
        assert stream.read_packet()[1][:1] == b"\x18"
        assert stream.read_packet()[1] == b"\x0e"  # the question whether an answer comes
        stream.send(wire.packet(1, err) + wire.packet(1, wire.OK_PACKET))
        assert stream.read_packet()[1] == b"\x03SELECT 1"
        stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as server:
        client = relay(server.port).client("u")
        client.command(b"\x18" + struct.pack("<IH", 1, 0) + b"x")
        client.send(wire.query("SHOW SLUICE JOB LATE") + wire.query("SELECT 1"))
        assert client.read_packet() == (1, err)
        assert Reply(client).results() == [("ok", (7, "late"))]
        assert Reply(client).results() == [("ok", (0, ""))]


@pytest.mark.sanitize
def test_surplus_packet(relay):
    """Some FEs close a PREPARE's definitions twice: the second time never lands in our answer."""
    eof = b"\xfe\0\0\0\0"
    param = b"\3def\0\0\0\1?\1?\x0c" + bytes(12)

    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(wire.packet(1, b"\0\1\0\0\0\0\0\1\0\0\0\0") + wire.packet(2, param) +
                    wire.packet(3, eof))
        assert stream.read_packet()[1] == b"\x0e"  # the question whether that was all
        stream.send(wire.packet(4, eof))
        stream.send(wire.packet(1, wire.OK_PACKET))
        assert stream.read_packet()[1] == b"\x03SELECT 1"
        stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.command(b"\x16SELECT ?")
        assert [client.read_packet()[0] for _ in range(3)] == [1, 2, 3]
        client.send(wire.query("SHOW SLUICE JOB PING") + wire.query("SELECT 1"))
        assert client.read_packet() == (4, eof)
        assert Reply(client).results() == [("ok", (3, "u"))]
        assert Reply(client).results() == [("ok", (0, ""))]


@pytest.mark.sanitize
def test_forwarded_execute(relay):
    """A statement that turns out to be the FE's is sent there as a text, parameters and all."""
    got = []

    def script(stream):
        wire.log_in(stream)
        for _ in range(2):
            got.append(stream.read_packet()[1])
            stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        statement, _, _ = prepare(client, "SHOW SLUICE JOB FORWARD")
        assert run(client, statement) == [("ok", (0, ""))]
        assert got == [b"\x03SELECT 1", b"\x03SHOW SLUICE JOB FORWARD"]


def test_query_attributes(relay):
    """MySQL 8: attributes in front of the text of a COM_QUERY, and behind an EXECUTE's parameters."""
    attributes = 1 << 27

    def script(stream):
        stream.send(wire.packet(0, wire.greeting(wire.DORIS_CAPABILITIES | attributes)))
        stream.read_packet()
        stream.send(wire.packet(2, wire.OK_PACKET))
        assert stream.read_packet()[1] == some + b"SELECT 1"
        stream.send(wire.packet(1, wire.OK_PACKET))
        assert stream.read_packet()[1] == some + b"SELECT 1"
        stream.send(wire.packet(1, wire.OK_PACKET))
        stream.is_closed()

    some = (b"\x03\2\1\1\1" + struct.pack("<H", 254) + b"\1a" + struct.pack("<H", 8) + b"\2bc" +
            struct.pack("<q", 5))
    assert some[3] == 1  # the first one is NULL
    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u", capabilities=wire.DEFAULT_CAPABILITIES | attributes)
        client.send(wire.packet(0, some + b"SHOW SLUICE JOB PING"))
        assert Reply(client).results() == [("ok", (3, "u"))]
        for at in range(len(some)):
            client.send(wire.packet(0, some + b"SHOW SLUICE JOB PING")[at:at + 1])
        client.send(wire.packet(0, some + b"SHOW SLUICE JOB PING")[len(some):])
        assert Reply(client).results() == [("ok", (3, "u"))]
        client.send(wire.packet(0, some + b"SELECT 1"))
        assert Reply(client).results() == [("ok", (0, ""))]
        client.send(wire.packet(0, some + b"SHOW SLUICE JOB PING; SELECT 1"))
        assert Reply(client).results() == [("ok", (3, "u")), ("ok", (0, ""))]
        statement, _, _ = prepare(client, "SHOW SLUICE JOB ECHO ?")
        client.command(b"\x17" + struct.pack("<IBI", statement, 8, 1) + b"\2\0\1" +
                       struct.pack("<H", 8) + b"\0" + struct.pack("<H", 254) + b"\1a" +
                       struct.pack("<q", 5) + b"\2bc")
        assert Reply(client).results(True) == [("rows", [[1, b"5", 0.5]])]


# --- the stand-in ------------------------------------------------------------------------------


@pytest.fixture
def fe_rig(rig):
    made = rig()
    made.create_job("j1", pattern="none/*.csv")
    return made


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("capabilities", FORMS)
def test_jobs(fe_rig, capabilities):
    client = wire.Client(fe_rig.sluice.port, "root", capabilities=capabilities)
    client.is_classic = True  # claimed to an FE that did not offer it
    statement, n_params, columns = prepare(client, JOBS + " WHERE Name = ? GROUP BY Name LIMIT ?")
    assert n_params == 2 and [c.name for c in columns] == ["Name", "n"]
    client.command(execute(statement, [(replies.STRING, "j1"), (replies.LONG, 5)]))
    kind, (columns, rows), _ = Reply(client).result(True)
    assert rows == [[b"j1", 1]]
    assert [(c.name, c.type) for c in columns] == [("Name", 254), ("n", 8)]
    assert run(client, statement, [(replies.STRING, "it's"), (replies.LONG, 5)]) == [("rows", [])]
    assert run(client, statement, [(replies.STRING, None), (replies.LONG, 5)]) == [("rows", [])]
    code, text = prepare(client, "SELECT Nome FROM jobs(\"type\"=\"insert\")")
    assert code == 1054 and "Nome" in text
    assert prepare(client, "PAUSE JOB ?")[0] == 1105
    assert "one by one" in prepare(client, JOBS + "; SELECT 1")[1]
    mixed, _, _ = prepare(client, "SELECT 1, 0.5, NULL, CASE WHEN Id = 'x' THEN 1 ELSE 'y' END "
                                  "FROM jobs(\"type\"=?)")
    assert run(client, mixed, [(replies.STRING, "insert")]) == [("rows", [[1, 0.5, None, b"y"]])]
    (kind, content), = run(client, mixed, [(replies.STRING, "mv")])
    assert kind == "err" and content[0] == 1295


@pytest.mark.sanitize
def test_job_statements(fe_rig):
    client = wire.Client(fe_rig.sluice.port, "root")
    client.query("USE demo")
    pause, n, columns = prepare(client, "PAUSE JOB WHERE jobName = ?")
    assert (n, columns) == (1, [])
    assert run(client, pause, [(replies.STRING, "j1")]) == [("ok", (0, ""))]
    assert fe_rig.job("j1")["Status"] == "PAUSED"
    (kind, content), = run(client, pause, [(replies.STRING, "j2")])
    assert kind == "err" and "job not exist, jobName: j2" in content[1]
    insert = "INSERT INTO demo.t SELECT c1, c2, c3, c4 FROM " + fe_rig.bucket.tvf("none/*.csv")
    create, n, _ = prepare(client, "CREATE JOB `Größe's` PROPERTIES (\"max_interval\" = ?) "
                                   "ON STREAMING COMMENT ? DO " + insert)
    assert n == 2
    assert run(client, create, [(replies.LONG, 30), (replies.STRING, "é's \\")]) == [("ok", (0, ""))]
    assert fe_rig.job("Größe\\'s")["Comment"] == "é's \\"
    resolve, n, _ = prepare(client, "ALTER JOB j1 RESOLVE TASK ? AS COMMITTED")
    (kind, content), = run(client, resolve, [(replies.LONGLONG, 77)])
    assert kind == "err" and "Job j1 has no task in doubt" in content[1]
    skip, n, _ = prepare(client, "ALTER JOB j1 SKIP FILE ?")
    assert n == 1
    (kind, content), = run(client, skip, [(replies.STRING, "in/é 1.csv")])
    assert kind == "err" and "Job j1" in content[1]
    drop, _, _ = prepare(client, "DROP JOB WHERE jobName = ?")
    assert run(client, drop, [(replies.STRING, "j1")]) == [("ok", (0, ""))]
    assert fe_rig.job("j1") is None


@pytest.mark.quick
def test_driver(fe_rig):
    """mysql-connector-python."""
    with mysql.connector.connect(host="127.0.0.1", port=fe_rig.sluice.port, user="root",
                                 use_pure=True, ssl_disabled=True) as c:
        cursor = c.cursor(prepared=True)
        text = "SELECT Name, Status, 1 + %s AS n FROM jobs(\"type\"=\"insert\") WHERE Name LIKE %s"
        for pattern, expected in (("j%", [("j1", 41)]), ("x%", [])):
            cursor.execute(text, (40, pattern))
            assert [(row[0], row[2]) for row in cursor.fetchall()] == expected
        cursor.execute("PAUSE JOB WHERE jobName = %s", ("j1",))
        cursor.execute("SELECT Status FROM jobs(\"type\"=\"insert\") WHERE Name = %s", ("j1",))
        assert cursor.fetchall() == [("PAUSED",)]
        cursor.close()
