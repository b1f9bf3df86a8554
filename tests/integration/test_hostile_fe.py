"""
FEs that mean no good, or are none: greetings, replies and floods that no FE would send. The client is
told where it can be told; memory stays bounded.
"""

import itertools
import struct

import pytest

import procs
import wire
from hostile_rig import (DEFINITION, EOF, ERR, FLOODS, IS_SANITIZED, JOBS, MB, MORE, ROWS, Flood, answer,
                         behave, calm, drain, fe, front, memory_kb, payloads, stuck,  # noqa: F401
                         unasked)

pytestmark = pytest.mark.sanitize


# --- FEs ------------------------------------------------------------------------------------------

OLD = (b"\x0a3.23.58\0" + struct.pack("<I", 7) + b"abcdefgh\0" + struct.pack("<HBH", 0x2c, 8, 2) +
       bytes(13))
WRONG_GREETINGS = {
    "garbage": b"\x13\x37" * 100, "http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "ssh": b"SSH-2.0-x\r\n",
    "empty": wire.packet(0, b""), "protocol 9": wire.packet(0, b"\x093.20.32\0" + bytes(20)),
    "out of sequence": wire.packet(3, wire.greeting()), "cut short": wire.packet(0, b"\x0a5.7"),
    "no capabilities": wire.packet(0, b"\x0a5.7\0" + bytes(13)),
    "oversized": b"\0\0\x05\0\x0a" + bytes(70000), "largest": b"\xff\xff\xff\0\x0a" + bytes(20 * MB),
    "a flood behind it": wire.packet(0, wire.greeting()) + wire.OK_PACKET * 1000,
    "half a header": b"\x40\0", "half a greeting": wire.packet(0, wire.greeting())[:30],
}


@pytest.mark.parametrize("name", WRONG_GREETINGS)
def test_wrong_greeting(front, fe, name):
    """The client reads what is wrong; the FE's connection is closed, whatever it still sends."""
    made = front(fe)

    def script(stream):
        stream.send(WRONG_GREETINGS[name])
        if not name.startswith("half"):
            assert stream.is_closed()

    fe.script = script
    client = wire.Client(made.port)
    payload = client.read_packet()[1]
    assert payload[0] == wire.ERR and b"127.0.0.1:%d" % fe.port in payload
    assert client.is_closed()
    client.close()
    fe.script = behave
    calm(made)


def test_greetings_that_are_passed_on(front, fe):
    """An FE that refuses at once, and one that is too old to know: the client reads their words."""
    made = front(fe)
    for said in (wire.packet(0, b"\xff\x10\x04Too many connections"), wire.packet(0, b"\xff"),
                 wire.packet(0, b"\xff\x10\x04" + b"x" * 100000)):
        fe.script = lambda stream, said=said: stream.send(said)
        client = wire.Client(made.port)
        assert client.read(len(said)) == said and client.is_closed()
        client.close()
    fe.script = lambda stream: (stream.send(wire.packet(0, OLD)), stream.is_closed())
    client = wire.Client(made.port)
    payload = client.read_packet()[1]
    assert payload.startswith(b"\x0a3.23.58\0")
    client.send(wire.packet(1, struct.pack("<HI", 0x2c, 0)[:5] + b"u\0abcdefgh"))
    assert wire.error(client.read_packet()[1])[0] == 1251
    client.close()
    fe.script = behave
    calm(made)


REPLIES = {
    "ok": (wire.query("INSERT"), wire.packet(1, wire.OK_PACKET)),
    "err": (wire.query("SELECT"), wire.packet(1, ERR)),
    "rows": (wire.query("SELECT"), ROWS),
    "two results": (wire.query("SELECT"), payloads(b"\1", DEFINITION, EOF, b"\1v", MORE,
                                                   wire.OK_PACKET)),
    "prepare": (wire.packet(0, b"\x16SELECT ?"), answer(b"\x16")),
    "execute": (wire.packet(0, b"\x17\1\0\0\0\0\1\0\0\0"), answer(b"\x17")),
    "fields": (wire.packet(0, b"\x04t\0"), payloads(DEFINITION, DEFINITION, EOF)),
    "statistics": (wire.packet(0, b"\x09"), wire.packet(1, b"Uptime: 1")),
    "infile": (wire.query("LOAD DATA"), wire.packet(1, b"\xfb/etc/hostname")),
    "change user": (wire.packet(0, b"\x11u\0\0\0\x21\0p\0"), wire.packet(
        1, b"\xfemysql_native_password\0abcdefghijklmnopqrst\0")),
}


def boundaries(data):
    """Where its packets begin, and its end."""
    at = 0
    while at < len(data):
        yield at
        at += 4 + int.from_bytes(data[at:at + 3], "little")
    yield at


@pytest.mark.parametrize("name", REPLIES)
def test_fe_that_closes_in_a_reply(front, fe, name):
    """At each of its bytes: the client has read those, and is told where an ERR can be told."""
    command, reply = REPLIES[name]
    made = front(fe)
    places = list(boundaries(reply))
    for cut in range(len(reply)):
        def script(stream, cut=cut):
            wire.log_in(stream)
            stream.read_packet()
            stream.send(reply[:cut])
            if cut % 5 == 4:
                stream.reset()

        fe.script = script
        client = wire.Client(made.port, "u")
        client.send(command)
        said = drain(client.sock)
        client.close()
        if cut % 5 == 4:  # the reset may overtake
            continue
        if name == "change user" and cut > 0:  # such a packet is passed on as a whole
            assert said[:cut] == reply[:cut] or wire.error(said[4:])[0] == 1152
            continue
        assert said[:cut] == reply[:cut]
        if cut in places:
            sequence, error = said[cut + 3], wire.error(said[cut + 4:])
            assert error[0] == 1152 and sequence == places.index(cut) + 1
        else:
            assert said == reply[:cut]
    fe.script = behave
    calm(made)


@pytest.mark.parametrize("local", [False, True])
def test_fe_that_answers_with_nonsense(front, fe, local):
    """Then closes. To a query of the client's it is passed on; to one of Sluice's own it is not."""
    made = front(fe)
    for reply in (wire.packet(1, b""), b"\0\0\0\1" * 50, wire.packet(200, wire.OK_PACKET),
                  b"\xff" * 5000, bytes(5000), wire.packet(1, b"\xfe" + b"\xff" * 8),
                  payloads(b"\xfd\xff\xff\xff", DEFINITION), payloads(b"\1", b"\xff"),
                  payloads(b"\1", b"\xfb", EOF), payloads(b"\1", DEFINITION, EOF, b"\xfc"),
                  payloads(b"\1", DEFINITION, EOF, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff", EOF),
                  wire.packet(1, b"\xfb/etc/passwd"), payloads(b"\0\xfc"), payloads(b"\xff\xff"),
                  ROWS + ROWS, payloads(b"\1", DEFINITION, EOF, b"\5ab", EOF),
                  payloads(b"\2", DEFINITION, EOF), payloads(EOF, EOF, EOF)):
        def script(stream, reply=reply):
            wire.log_in(stream)
            stream.read_packet()
            stream.send(reply)

        fe.script = script
        client = wire.Client(made.port, "u")
        client.send(wire.query(JOBS if local else "SELECT 1"))
        said = drain(client.sock)
        assert said.startswith(reply) or (local and (said == b"" or said[4] in (1, wire.ERR, 9)))
        client.close()
    fe.script = behave
    calm(made)


# --- floods ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("blocks", FLOODS)
def test_client_that_reads_nothing(front, fe, blocks):
    """Of 4 GB and more: memory grows by less than 1 MB, and the rest still comes when it reads."""
    flood = fe.script = Flood(blocks, blocks is not unasked)
    made = front(fe)
    client = wire.Client(made.port, "u")
    before = memory_kb(made)
    if flood.asked:
        client.send(wire.query("SELECT 1"))
    stuck(flood)
    if not IS_SANITIZED:
        assert memory_kb(made) - before < 1024
    n = flood.sent
    data = client.read(32 * MB)
    wanted = b"".join(itertools.takewhile(lambda _: True, itertools.islice(blocks(1), 4)))
    assert data.startswith(wanted[:len(data)])
    procs.wait_until(lambda: flood.sent > n, 10, "more of the flood")
    client.reset()
    fe.script = behave
    calm(made)


@pytest.mark.parametrize("blocks", FLOODS)
def test_client_that_reads_all(front, fe, blocks):
    """Half a GB of it: memory does not grow with it."""
    n = (64 if IS_SANITIZED else 512) * MB
    flood = fe.script = Flood(blocks, blocks is not unasked)
    made = front(fe)
    client = wire.Client(made.port, "u")
    before = memory_kb(made, "VmHWM")
    client.send(wire.query("SELECT 1"))
    got, buffer = 0, bytearray(4 * MB)
    while got < n:
        some = client.sock.recv_into(buffer)
        assert some > 0
        got += some
    if not IS_SANITIZED:
        assert memory_kb(made, "VmHWM") - before < 2048
    client.reset()
    fe.script = behave
    calm(made)


@pytest.mark.parametrize("blocks", FLOODS[:3])
def test_flood_for_a_question_of_ours(front, fe, blocks):
    """The FE answers Sluice's own question without end: memory is bounded, the client may leave."""
    flood = fe.script = Flood(blocks)
    made = front(fe)
    client = wire.Client(made.port, "u")
    before = memory_kb(made, "VmHWM")
    client.send(wire.query(JOBS))
    procs.wait_until(lambda: flood.sent > 100 * MB, 60, "100 MB of the flood")
    if not IS_SANITIZED:
        assert memory_kb(made, "VmHWM") - before < 100 * 1024
    client.reset()
    fe.script = behave
    calm(made)
