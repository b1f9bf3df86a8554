"""
Sluice's own statements in a text of several: every result in its place, with the right number and
flag, in front of MariaDB, of scripted servers, and of the stand-in.
"""

import os
import signal

import pymysql
import pytest
from pymysql.constants import CLIENT

import procs
import wire
from mariadb import USER
from relay_rig import front, mariadb, relay  # noqa: F401: fixtures
from replies import DEPRECATE_EOF, Reply, MULTI_STATEMENTS

PING = "SHOW SLUICE JOB PING"
PONG = ("ok", (3, USER))
ALONE = wire.DEFAULT_CAPABILITIES & ~MULTI_STATEMENTS
FORMS = [wire.DEFAULT_CAPABILITIES, wire.DEFAULT_CAPABILITIES | DEPRECATE_EOF]
JOBS = "SELECT Name FROM jobs(\"type\"=\"insert\")"


def rows(*cells):
    return "rows", [[None if c is None else str(c).encode() for c in row] for row in cells]


def ask(client, text):
    client.send(wire.query(text))
    return Reply(client).results()


SCRIPTS = {
    "SELECT 1; " + PING: [rows([1]), PONG],
    PING + "; SELECT 1": [PONG, rows([1])],
    PING + ";" + PING: [PONG, PONG],
    "SELECT 1; SELECT 2; " + PING + " ;; SELECT 3;;": [rows([1]), rows([2]), PONG, rows([3])],
    "SET @a = 7; SHOW SLUICE JOB ASK SELECT @a; SELECT @a": [("ok", (0, "")), rows([7]), rows([7])],
    "SELECT ';', `;`.x FROM (SELECT 5 x) `;` -- ;\n; " + PING + "; # bye; \n": [rows([";", 5]), PONG],
    "SELECT 1 FROM dual WHERE 0;" + PING: [("rows", []), PONG],
    PING + "; SHOW SLUICE JOB ROWS 3 x; DO 1": [
        PONG, rows([1, "x", 0.5], [2, "x", 1.0], [3, None, 1.5]), ("ok", (0, ""))],
    "SELECT 1; SHOW SLUICE JOB LATE; SELECT 2": [rows([1]), ("ok", (7, "late")), rows([2])],
    PING + "; SHOW SLUICE JOB ERROR; SELECT 2": [PONG, ("err", (1064, "this statement is wrong"))],
    PING + "; /* job */ ; SELECT /* job */ 4": [PONG, rows([4])],
}


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("capabilities", FORMS)
def test_every_result_is_sent(front, capabilities):
    client = front.client(capabilities=capabilities)
    for text, expected in SCRIPTS.items():
        assert ask(client, text) == expected, text
    # all of them at once, and cut anywhere
    client.send(b"".join(map(wire.query, SCRIPTS)))
    for text, expected in SCRIPTS.items():
        assert Reply(client).results() == expected, text
    for size in (1, 7):
        data = b"".join(map(wire.query, SCRIPTS))
        for at in range(0, len(data), size):
            client.send(data[at:at + size])
        for text, expected in SCRIPTS.items():
            assert Reply(client).results() == expected, text
    assert ask(client, PING) == [PONG]


@pytest.mark.sanitize
def test_the_fes_error_ends_it(front):
    client = front.client()
    (first, second) = ask(client, PING + "; SELECT nonsense; " + PING)
    assert first == PONG and second[0] == "err" and second[1][0] == 1054
    assert ask(client, "SELECT 1; SELECT 2; SELECT nonsense; " + PING)[:2] == [rows([1]), rows([2])]
    assert ask(client, PING) == [PONG]


@pytest.mark.sanitize
def test_last_result_alone(front):
    """Without MULTI_STATEMENTS Doris runs all and answers with the last one; so do we."""
    client = front.client(capabilities=ALONE)
    assert ask(client, PING + "; SELECT 1") == [rows([1])]
    assert ask(client, "SET @b = 5; " + PING) == [PONG]
    assert ask(client, "SET @b = @b + 1; " + PING + "; SELECT @b") == [rows([6])]
    assert ask(client, "SHOW SLUICE JOB ROWS 2 x; SELECT seq FROM mysql.seq_1_to_100000; " + PING) == [PONG]
    assert ask(client, "SELECT 1; SHOW SLUICE JOB ERROR; SELECT 2")[0][1][0] == 1064
    assert ask(client, "SELECT nonsense; " + PING)[0][1][0] == 1054
    assert ask(client, PING) == [PONG]


@pytest.mark.sanitize
def test_forward(front):
    """A statement that is the FE's after all runs there, in its place."""
    results = ask(front.client(), "SELECT 1; SHOW SLUICE JOB FORWARD; SELECT 2")
    assert results[0] == rows([1]) and results[1][0] == "err" and len(results) == 2


def test_big_results(front):
    """Rows of 16 MB and more; numbers go round many times; nothing is held back."""
    client = front.client()
    text = "SELECT REPEAT('y', 40000000); " + PING + "; SELECT seq FROM mysql.seq_1_to_200000; " + PING
    results = ask(client, text)
    assert results[0] == ("rows", [[b"y" * 40000000]]) and results[1] == results[3] == PONG
    assert len(results[2][1]) == 200000


def test_slow_client(front):
    """A client that reads nothing: the FE's part is not read into memory."""
    client = front.client()
    before = front.rss_kb()
    client.send(wire.query(PING + "; SELECT REPEAT('y', 1000) FROM mysql.seq_1_to_200000; " + PING))
    assert Reply(client).result()[0] == "ok"
    reply = Reply(client, first=2)
    assert len(reply.result()[1][1]) == 200000
    if not procs.is_sanitized():  # what they have freed stays in their memory
        assert front.rss_kb() - before < 20000
    assert Reply(client, reply.next).result()[1] == PONG[1]


@pytest.mark.sanitize
@pytest.mark.parametrize("capabilities", [wire.DEFAULT_CAPABILITIES, ALONE])
def test_local_infile(front, capabilities):
    """MariaDB closes on a wrong sequence id: the file is renumbered on its way there."""
    client = front.client(capabilities=capabilities)
    client.query("CREATE OR REPLACE TABLE test.f (a INT)")
    shown = capabilities & MULTI_STATEMENTS
    for whole in (True, False):
        client.send(wire.query(PING + "; SELECT 1; LOAD DATA LOCAL INFILE '/x' INTO TABLE test.f; " +
                               PING) if shown else
                    wire.query(PING + "; LOAD DATA LOCAL INFILE '/x' INTO TABLE test.f; " + PING))
        reply = Reply(client)
        if shown:
            assert reply.result()[1] == PONG[1]
            assert reply.result()[1][1] == [[b"1"]]
        assert reply.packet() == b"\xfb/x"
        data = b"".join(wire.packet(reply.next + i, b"%d\n" % i * 1000) for i in range(100))
        data += wire.packet(reply.next + 100, b"") + wire.query("SELECT COUNT(*) FROM test.f")
        for at in range(0, len(data), len(data) if whole else 9999):
            client.send(data[at:at + (len(data) if whole else 9999)])
        reply.next = (reply.next + 101) & 0xff
        if shown:
            kind, content, status = reply.result()
            assert kind == "ok" and content[0] == 100000 and status & wire.MORE_RESULTS
        kind, content, status = reply.result()
        assert (kind, content) == PONG and not status & wire.MORE_RESULTS
        count = 100000 if whole else 200000
        assert Reply(client).results() == [rows([count])]


@pytest.mark.sanitize
def test_client_leaves_within_a_file(front):
    client = front.client()
    client.query("CREATE OR REPLACE TABLE test.g (a INT)")
    client.send(wire.query(PING + "; LOAD DATA LOCAL INFILE '/x' INTO TABLE test.g"))
    reply = Reply(client)
    reply.result()
    reply.packet()
    client.send(wire.packet(reply.next, b"1\n"))
    client.close()
    front.wait_closed("without COM_QUIT")


@pytest.mark.sanitize
def test_drain(relay, mariadb):
    """SIGTERM in the middle: the text is run to its end, and answered."""
    front = relay(mariadb.port)
    client = front.client()
    client.send(wire.query(PING + "; SELECT SLEEP(0.5); " + PING))
    reply = Reply(client)
    assert reply.result()[0] == "ok"
    os.kill(front.pid, signal.SIGTERM)
    assert reply.result()[1][1] == [[b"0"]]
    assert reply.result()[:2] == PONG
    assert client.is_closed()
    front.wait_closed("being stopped")


@pytest.mark.sanitize
def test_fe_leaves_between_parts(relay):
    """It answers its part and goes: what is left fails, with the next number."""
    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.send(wire.query("SELECT 1; SHOW SLUICE JOB ASK SELECT 2; SELECT 3"))
        results = Reply(client).results()
        assert results[0] == ("ok", (0, "")) and results[1][1][0] == 1152, results
        assert client.is_closed()


@pytest.mark.sanitize
def test_fe_is_lost(relay):
    """In the middle of a part: an ERR with the next number where there is place for one."""
    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(wire.packet(1, b"\1") + wire.packet(2, b"\3def\0\0\0\1a\1a\x0c" + bytes(12)))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.send(wire.query("SHOW SLUICE JOB ROWS 1 x; SELECT 1; " + PING))
        reply = Reply(client)
        assert reply.result()[1][1] == [[b"1", b"x", b"0.5"]]
        reply.packet()
        reply.packet()
        payload = reply.packet()
        code, text = wire.error(payload)
        assert code == 1152 and "while COM_QUERY was running" in text
        assert client.is_closed()
        front.wait_closed("Sluice lost the FE")


@pytest.mark.sanitize
def test_fe_says_too_much(relay):
    def script(stream):
        wire.log_in(stream)
        stream.read_packet()
        stream.send(wire.packet(1, wire.OK_PACKET) * 2)
        stream.is_closed()

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        client.send(wire.query(PING + "; SELECT 1; " + PING))
        front.wait_closed("the FE sent (more|something)")


@pytest.mark.sanitize
def test_bytes_of_the_parts(relay):
    """What the FE gets: foreign statements in a row together, exactly as they were written."""
    got = []

    def script(stream):
        wire.log_in(stream)
        while True:
            payload = stream.read_packet()[1]
            if payload == b"\x01":
                return
            got.append(payload[1:].decode())
            stream.send(wire.packet(1, wire.OK_PACKET))

    with wire.FakeServer(script) as server:
        front = relay(server.port)
        client = front.client("u")
        ok = ("ok", (0, ""))
        pong = ("ok", (3, "u"))
        cases = {
            "/*a*/ SELECT 'é;' ;\n SELECT  2 ; %s; -- x\n SELECT 3 -- y" % PING: [
                "/*a*/ SELECT 'é;' ;\n SELECT  2 ", "-- x\n SELECT 3 -- y"],
            "%s;BEGIN; INSERT INTO t VALUES (1); COMMIT;" % PING: [
                "BEGIN; INSERT INTO t VALUES (1); COMMIT"],
            "%s; CREATE PROCEDURE p() BEGIN %s; END" % (PING, PING): [
                "CREATE PROCEDURE p() BEGIN %s; END" % PING],
        }
        for text, expected in cases.items():
            got.clear()
            client.send(wire.query(text))
            kinds = Reply(client).results()
            assert got == expected
            assert all(k in (ok, pong) for k in kinds)
        client.send(wire.packet(0, b"\x01"))


# --- the stand-in ------------------------------------------------------------------------------


@pytest.fixture
def fe_client(rig):
    r = rig()
    return r, r.sluice.connect(client_flag=CLIENT.MULTI_STATEMENTS)


def all_results(cursor):
    found = [cursor.fetchall()]
    while cursor.nextset():
        found.append(cursor.fetchall())
    return found


@pytest.mark.quick
def test_jobs_among_others(fe_client):
    rig, connection = fe_client
    with connection, connection.cursor() as cursor:
        rig.create_job("j1", pattern="none/*.csv")
        cursor.execute("USE demo; %s; PAUSE JOB WHERE jobName = 'j1'; SELECT 1; "
                       "SELECT Status FROM jobs(\"type\"=\"insert\"); DROP JOB WHERE jobName = 'j1';" % JOBS)
        found = [[tuple(r.values()) if isinstance(r, dict) else r for r in rows] for rows in
                 all_results(cursor)]
        assert [list(map(tuple, rows)) for rows in found] == [
            [], [("j1",)], [], [(1,)], [("PAUSED",)], []]
        cursor.execute(JOBS)
        assert not cursor.fetchall()
        with pytest.raises(pymysql.MySQLError, match="job not exist"):
            cursor.execute("SELECT 1; DROP JOB WHERE jobName = 'gone'; SELECT 2")
            all_results(cursor)


def test_error_tells_the_place(fe_client):
    _, connection = fe_client
    with connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.MySQLError, match=r"line 2, pos 10") as e:
            cursor.execute("SELECT 1;\nPAUSE JOB n")
            all_results(cursor)
        assert e.value.args[0] == 1105
        cursor.execute("SELECT 2")
        assert cursor.fetchall()


@pytest.mark.parametrize("charset", ["latin1", "gbk", "utf8mb4", "binary"])
def test_character_sets(fe_client, charset):
    """Ours are UTF-8 whatever the client chose; other bytes get an error that tells where."""
    rig, connection = fe_client
    connection.close()
    client = wire.Client(rig.sluice.port, "root")
    client.query("SET NAMES %s" % charset)
    name = "größe_大小"
    text = "SELECT COUNT(*) FROM jobs(\"type\"=\"insert\") WHERE Name = '%s'" % name
    assert ask(client, text) == [rows([0])]
    encoded = ("SELECT 1;\n" + text.replace(name, "ä")).encode("latin1")
    client.send(wire.query(encoded))
    (first, (kind, (code, message))) = Reply(client).results()
    assert first == rows([1]) and (kind, code) == ("err", 1300)
    assert "0xe4 at (line 2, pos 57), byte 68" in message
    assert ask(client, text) == [rows([0])]
    client.close()
