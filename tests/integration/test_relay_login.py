"""Logging in through the relay, and the FEs that cannot be logged in to."""

import contextlib
import socket
import struct
import subprocess

import pymysql
import pytest

import procs
import wire
from mariadb import PASSWORD, USER
from relay_rig import front, mariadb, relay  # noqa: F401: fixtures


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
    assert caught.value.args[0] == 1429
    for part in ("127.0.0.1:%d" % port, "Connection refused", "proxy.backend", "query_port"):
        assert part in caught.value.args[1]
    front.wait_closed("cannot reach the Doris FE")


@pytest.mark.sanitize
def test_next_fe_is_tried(relay, mariadb):
    """One refuses, one accepts and says nothing; the third is used, and first from then on."""
    silent = socket.create_server(("127.0.0.1", 0))
    with contextlib.closing(silent):
        front = relay(procs.free_port(), silent.getsockname()[1], mariadb.port, connect_ms=3000,
                      workers=1)
        for _ in range(2):
            with front.connect() as c, c.cursor() as cursor:
                cursor.execute("SELECT 1")
        assert front.log_text().count("fe.unreachable") == 2
        only = relay(procs.free_port(), silent.getsockname()[1], connect_ms=300)
        with pytest.raises(pymysql.OperationalError) as caught:
            only.connect()
    assert caught.value.args[0] == 1429
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
    front = relay(mariadb.port, login_ms=2000)
    client = wire.Client(front.port)
    client.read_packet()
    assert client.is_closed()
    front.wait_closed("proxy.login_timeout")
    client.close()
    with front.connect() as c, c.cursor() as cursor:  # not for those who are in
        cursor.execute("SELECT SLEEP(2.5)")
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
