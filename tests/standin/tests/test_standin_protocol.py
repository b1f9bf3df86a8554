"""The wire, byte by byte: A1 to A9, over raw sockets and PyMySQL."""

import hashlib
import socket
import struct

import pymysql
import pytest
from standin_helpers import error_of, rows

CAPS = (1 << 9) | (1 << 15) | (1 << 19) | (1 << 3)


class Raw:
    """A client that sends exactly what it is told to."""

    def __init__(self, fe):
        self.s = socket.create_connection(("127.0.0.1", fe.mysql), 10)
        self.s.settimeout(10)
        self.seq = 0
        self.greeting = self.read()

    def exact(self, n):
        out = b""
        while len(out) < n:
            more = self.s.recv(n - len(out))
            if not more:
                raise EOFError
            out += more
        return out

    def read(self):
        head = self.exact(4)
        assert head[3] == self.seq, "sequence"
        self.seq = (self.seq + 1) & 255
        return self.exact(int.from_bytes(head[:3], "little"))

    def send(self, payload, seq=None):
        seq = self.seq if seq is None else seq
        self.s.sendall(struct.pack("<I", len(payload))[:3] + bytes([seq]) + payload)
        self.seq = (seq + 1) & 255

    def command(self, payload):
        self.send(payload, 0)

    def login(self, user=b"root", password=b"", db=b"", caps=CAPS, plugin=b"mysql_native_password"):
        salt = scramble_of(self.greeting)
        self.salt = salt
        answer = native(password, salt) if plugin == b"mysql_native_password" else b"x" * 32
        self.send(struct.pack("<IIB", caps, 1 << 24, 33) + bytes(23) + user + b"\0"
                  + bytes([len(answer)]) + answer + db + b"\0" + plugin + b"\0")
        return self.read()


def scramble_of(greeting):
    at = greeting.index(b"\0", 1) + 5
    return greeting[at:at + 8] + greeting[at + 27:at + 39]


def native(password, salt):
    if not password:
        return b""
    one = hashlib.sha1(password).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()
    return bytes(a ^ b for a, b in zip(one, mask))


def test_greeting(start_fe):
    fe = start_fe("3.0", table=False)
    raw = Raw(fe)
    g = raw.greeting
    assert g[:8] == b"\x0a5.7.99\0"
    assert int.from_bytes(g[8:12], "little") == 0
    low, charset, status, high, size = struct.unpack("<HBHHB", g[21:29])
    assert (charset, status, size) == (33, 0, 21)
    assert low | high << 16 == (1 << 2 | 1 << 3 | 1 << 7 | 1 << 9 | 1 << 15 | 1 << 19)
    assert g[29:39] == bytes(10)
    assert g.endswith(b"\0mysql_native_password\0")
    assert int.from_bytes(Raw(fe).greeting[8:12], "little") == 1


def test_login_and_refusals(start_fe):
    fe = start_fe("4.0", "--user", "u:secret:global:Select_priv")
    assert Raw(fe).login(b"u", b"secret")[:1] == b"\0"
    assert Raw(fe).login(b"u#HIGH", b"secret")[:1] == b"\0"
    wrong = Raw(fe)
    reply = wrong.login(b"u", b"bad")
    assert reply == (b"\xff" + struct.pack("<H", 1045)
                     + b"#28000Access denied for user 'u' (using password: YES)")
    with pytest.raises(EOFError):
        wrong.read()
    assert b"#28000Access denied for user 'nobody' (using password: NO)" in Raw(fe).login(b"nobody")
    assert b"#42000Unknown database 'nix'" in Raw(fe).login(db=b"nix")
    old = Raw(fe)
    old.send(struct.pack("<HHB", 0, 0, 1) + b"root\0\0")
    assert old.read()[1:3] == struct.pack("<H", 1251)


def test_auth_switch(start_fe):
    fe = start_fe("4.0", "--user", "u:secret", table=False)
    raw = Raw(fe)
    ask = raw.login(b"u", plugin=b"caching_sha2_password")
    assert ask == b"\xfemysql_native_password\0" + raw.salt + b"\0"
    raw.send(native(b"secret", raw.salt))
    assert raw.read()[:1] == b"\0"


def test_bad_sequence_closes_without_a_word(start_fe):
    raw = Raw(start_fe(table=False))
    raw.login()
    raw.send(b"\x0e", 5)
    with pytest.raises((EOFError, ConnectionError)):
        raw.read()


def test_quit_answers_ok(start_fe):
    raw = Raw(start_fe(table=False))
    raw.login()
    raw.command(b"\x01")
    assert raw.read()[:1] == b"\0"
    with pytest.raises(EOFError):
        raw.read()


@pytest.mark.parametrize("profile, code, want", [
    ("4.0", 9, b"\0"), ("4.0", 13, b"\0"), ("2.0", 9, b"COM_STATISTICS"), ("2.0", 17, b"COM_CHANGE_USER"),
    ("4.0", 24, b"COM_STMT_SEND_LONG_DATA"), ("4.0", 10, b"COM_PROCESS_INFO"), ("4.0", 200, b"(200)")])
def test_commands(start_fe, profile, code, want):
    raw = Raw(start_fe(profile, table=False))
    raw.login()
    raw.command(bytes([code]) + b"\0\0\0\0")
    reply = raw.read()
    if want == b"\0":
        assert reply == b"\0\0\0\0\0\0\0"
    else:
        kind = b"Unknown" if want == b"(200)" else b"Unsupported"
        name = want if want == b"(200)" else b"(" + want + b")"
        assert reply == b"\xff" + struct.pack("<H", 1047) + b"#08S01" + kind + b" command" + name
    raw.command(b"\x0e")
    assert raw.read()[:1] == b"\0"


def read_result(raw, deprecate=False):
    """Payloads of one text result set."""
    out = [raw.read()]
    count = out[0][0]
    for _ in range(count + (0 if deprecate else 1)):
        out.append(raw.read())
    while True:
        out.append(raw.read())
        if out[-1][0] == 0xFE and len(out[-1]) == 5:
            return out


def test_classic_eof_and_the_deprecate_eof_quirk(start_fe):
    """A client may claim what was not offered, as libmysqlclient does: its rows stay classic."""
    fe = start_fe(table=False)
    for caps, block_end in ((CAPS, b"\xfe\0\0\0\0"), (CAPS | 1 << 24, b"\0\0\0\0\0\0\0")):
        raw = Raw(fe)
        raw.login(caps=caps)
        raw.command(b"\x03SELECT 1")
        assert [x[:1] for x in read_result(raw)] == [b"\1", b"\3", b"\xfe", b"\1", b"\xfe"]
        raw.command(b"\x16SELECT ?, 2")
        head = raw.read()
        assert head[:1] == b"\0" and head[5:9] == b"\2\0\1\0"
        assert raw.read()[:4] == b"\3def"
        assert raw.read() == block_end
        assert [raw.read()[:4] for _ in range(2)] == [b"\3def"] * 2
        assert raw.read() == block_end
        raw.command(b"\x17" + head[1:5] + b"\0\1\0\0\0" + b"\0\1\x08\0" + struct.pack("<q", 7))
        assert [x[:1] for x in read_result(raw)] == [b"\2", b"\3", b"\3", b"\xfe", b"\0", b"\xfe"]


def test_multi_statements(start_fe):
    fe = start_fe(table=False)
    raw = Raw(fe)
    raw.login()
    raw.command(b"\x03SELECT 1; SET NAMES utf8; SELECT 7")
    assert read_result(raw)[-2] == b"\x017"
    raw = Raw(fe)
    raw.login(caps=CAPS | 1 << 16)
    raw.command(b"\x03SELECT 1; SELECT nosuch(1); SELECT 3")
    assert read_result(raw)[-1] == b"\xfe\0\0\x08\0"
    assert raw.read()[:3] == b"\xff" + struct.pack("<H", 1105)
    raw.command(b"\x0e")
    assert raw.read()[:1] == b"\0"


def test_pipelined_commands_keep_their_order(start_fe):
    raw = Raw(start_fe(table=False))
    raw.login()
    for n in (b"1", b"2", b"3"):
        raw.s.sendall(struct.pack("<I", 9)[:3] + b"\0\x03SELECT " + n)
    for n in (b"1", b"2", b"3"):
        raw.seq = 1
        assert read_result(raw)[-2] == b"\1" + n


def test_packets_over_16_mb(start_fe):
    fe = start_fe()
    with fe.connect() as c:
        big = "x" * 17_000_000
        assert rows(c, "SELECT length('%s')" % big) == ((17_000_000,),)
        assert len(rows(c, "SELECT repeat('y', 17000000)")[0][0]) == 17_000_000


def test_prepared_statements(start_fe):
    fe = start_fe()
    raw = Raw(fe)
    raw.login(db=b"test")
    raw.command(b"\x16INSERT INTO t VALUES (?, ?)")
    head = raw.read()
    assert len(head) == 13
    stmt = head[1:5]
    assert [raw.read()[:1] for _ in range(3)] == [b"\3", b"\3", b"\xfe"]
    raw.command(b"\x17" + stmt + b"\0\1\0\0\0" + b"\0\1" + b"\3\0\xfd\0" + struct.pack("<i", 5) + b"\2ab")
    assert b"'status':'VISIBLE'" in raw.read()
    raw.command(b"\x16SELECT id, v FROM t WHERE id = ?")
    head = raw.read()
    stmt = head[1:5]
    assert head[5:9] == b"\2\0\1\0"
    for _ in range(5):
        raw.read()
    raw.command(b"\x17" + stmt + b"\0\1\0\0\0" + b"\0\1" + b"\3\0" + struct.pack("<i", 5))
    assert read_result(raw)[-2] == b"\0\0" + struct.pack("<i", 5) + b"\2ab"
    raw.command(b"\x16INSERT INTO t WITH LABEL x VALUES (1, 'a')")
    assert b"without label" in raw.read()


def test_field_list_and_init_db(start_fe):
    raw = Raw(start_fe())
    raw.login()
    raw.command(b"\x02nix")
    assert b"Unknown database 'nix'" in raw.read()
    raw.command(b"\x02test")
    assert raw.read()[:1] == b"\0"
    raw.command(b"\x04t\0")
    assert [raw.read()[:1] for _ in range(3)] == [b"\3", b"\3", b"\xfe"]


def test_connection_limits(start_fe):
    for profile, text in (("3.0", "Reach limit of connections"),
                          ("4.0", "Reach limit of connections. Total: 1024, User: 2, Current: 2")):
        fe = start_fe(profile, "--knob", "max_user_connections=2", table=False)
        with fe.connect(), fe.connect():
            with pytest.raises(pymysql.err.OperationalError) as e:
                fe.connect()
            assert e.value.args == (1203, text)


def test_kill(start_fe):
    fe = start_fe("4.0", "--user", "u:p:global:Select_priv")
    with fe.connect() as killer, fe.connect("u", "p") as victim, fe.connect("u", "p") as other:
        raw_id = rows(victim, "SELECT connection_id()")[0][0]
        assert error_of(killer, "KILL 4711")[0] == 1094
        own = rows(killer, "SELECT connection_id()")[0][0]
        assert error_of(other, "KILL QUERY %d" % own)[0] == 1095
        victim._execute_command(3, "SELECT sleep(600)")
        fe.wait("the sleep runs", lambda: any(r["id"] == raw_id for r in fe.state()["running"]))
        rows(other, "KILL QUERY %d" % raw_id)
        with pytest.raises(pymysql.err.MySQLError) as e:
            victim._read_query_result()
        assert e.value.args[0] == 1105 and "cancel query by user" in e.value.args[1]
        assert rows(victim, "SELECT 1") == ((1,),)
        rows(killer, "KILL %d" % raw_id)
        with pytest.raises(pymysql.err.OperationalError):
            rows(victim, "SELECT 1")


def test_statement_log_is_byte_for_byte(start_fe):
    import base64
    fe = start_fe(table=False)
    text = "SELECT /* \u00fc \x07 */  'a''b' ;"
    with fe.connect() as c:
        rows(c, text)
    logged = [base64.b64decode(x["base64"]) for x in fe.get("/standin/log", None)[1]
              if x["command"] == "COM_QUERY"]
    assert text.encode() in logged
