"""
For test_hostile*.py: an FE that does what a test's script says on every connection, floods without
end, and what must hold when hostile peers are gone.
"""

import contextlib
import itertools
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading

import pytest

import procs
import wire

MB = 1 << 20
IS_SANITIZED = procs.is_sanitized()
JOBS = 'SELECT * FROM jobs("type"="insert")'
DEFINITION = b"\3def\0\0\0\1a\1a\x0c\x3f\0\1\0\0\0\3\0\0\0\0\0"
EOF = b"\xfe\0\0\0\0"
MORE = b"\xfe\0\0\x08\0"
ERR = b"\xff\x28\x04#42000no"


def payloads(*parts, first=1):
    """Packets with rising numbers."""
    return b"".join(wire.packet(first + i, part) for i, part in enumerate(parts))


ROWS = payloads(b"\1", DEFINITION, EOF, b"\1v", EOF)


class FE(wire.FakeServer):
    """Runs script(stream) for every connection, each in a thread; `script` may be replaced."""

    def __init__(self, script=None):
        self.threads, self.streams = [], []
        self.is_closing = False
        super().__init__(script or behave)

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            stream = wire.Stream(sock)
            self.streams = [s for s in self.streams if s.sock.fileno() != -1] + [stream]
            self.threads = [t for t in self.threads if t.is_alive()]
            self.threads.append(threading.Thread(target=self._one, args=(stream,), daemon=True))
            self.threads[-1].start()

    def _one(self, stream):
        try:
            self.script(stream)
        except (wire.Closed, OSError):
            pass
        except Exception as e:  # noqa: BLE001: told to the test by close()
            self.error = self.error or e
        finally:
            stream.close()

    def close(self):
        for stream in self.streams:
            with contextlib.suppress(OSError):
                stream.sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(procs.patience(10))
        super().close()


def answer(payload):
    """What an FE with one column and one row says to a command."""
    command = payload[:1]
    if command == b"\x03":
        return b"" if payload.startswith(b"\x03SILENCE") else ROWS
    if command == b"\x16":
        return payloads(b"\0\1\0\0\0\1\0\1\0\0\0\0", DEFINITION, EOF, DEFINITION, EOF)
    if command == b"\x17":
        return payloads(b"\1", DEFINITION, EOF, b"\0\0\1v", EOF)
    return b"" if command in (b"\x18", b"\x19") else wire.packet(1, wire.OK_PACKET)


def behave(stream):
    wire.log_in(stream)
    go_on(stream)


def go_on(stream):
    while True:
        payload = stream.read_packet()[1]
        if payload[:1] == b"\x01":
            return
        stream.send(answer(payload))


def fds(process):
    return len(os.listdir("/proc/%d/fd" % process.pid))


def memory_kb(process, field="VmRSS"):
    text = pathlib.Path("/proc/%d/status" % process.pid).read_text()
    return int(re.search(field + r":\s+(\d+)", text).group(1))


def metric(front, name):
    text = front.http("/metrics")[1]
    text = text.decode() if isinstance(text, bytes) else text
    return sum(int(n) for n in re.findall(r"^%s(?:\{.*\})? (\d+)$" % name, text, re.M))


def reasons(front):
    return re.findall(r'session\.closed .*?reason="?(.*?)"?$', front.log_text(), re.M)


def well(front):
    """A client that behaves is served."""
    client = wire.Client(front.port, "u")
    assert client.query("SELECT 1") == [("rows", [[b"v"]])]
    client.command(b"\x01")
    assert client.is_closed()


def calm(front):
    """Every session is gone, and its sockets; every end was logged, once."""
    well(front)
    procs.wait_until(lambda: metric(front, "sluice_sessions") == 0, 20, "no session")
    procs.wait_until(lambda: fds(front) <= front.base_fds, 20, "no socket left behind")
    accepted = metric(front, "sluice_connections_total")
    assert len(reasons(front)) == accepted - metric(front, "sluice_connections_refused_total")


def is_idle(port):
    """Nobody holds a connection there any more."""
    found = subprocess.run(["ss", "-tnH", "sport = :%d" % port], capture_output=True, text=True,
                           check=True).stdout
    return not re.search("^(ESTAB|CLOSE-WAIT)", found, re.M)


@pytest.fixture
def front(sluice):
    """front(fe, {"section.key": value}) -> sluice, with the number of its files at rest."""
    def make(fe, config=None):
        made = sluice(fe, {"proxy.health_interval": 0, "log.level": "info", **(config or {})})
        with wire.FakeServer(lambda stream: None):
            procs.wait_until(lambda: made.http("/health")[0] == 200, 10)
        procs.wait_until(lambda: is_idle(made.http_port), what="the end of that connection")
        made.base_fds = fds(made)
        return made
    return make


@pytest.fixture
def fe():
    with FE() as made:
        yield made


def drain(sock):
    """Everything up to the end of the stream."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := sock.recv(1 << 16):
            data += piece
    return data


def say(client, data, how):
    """Sends it whole or, the first part, byte by byte; then FIN or RST. Returns what came back."""
    with contextlib.suppress(OSError):
        n_slow = 300 if how == "slow" else 0
        for i in range(min(n_slow, len(data))):
            client.send(data[i:i + 1])
        client.send(data[n_slow:])
        if how == "reset":
            client.reset()
            return b""
        client.sock.shutdown(socket.SHUT_WR)
    data = drain(client.sock)
    client.close()
    return data





# --- floods ---------------------------------------------------------------------------------------

def rows_without_end(first):
    """A result of 50-byte rows, by the block."""
    yield payloads(b"\1", DEFINITION, EOF, first=first)
    block = b"".join(wire.packet(i, b"\x31" + b"x" * 49) for i in range(256)) * 20
    yield from itertools.repeat(block)


def one_row_without_end(first):
    """A row that says it has 4 GB, in packets of 16 MB."""
    yield payloads(b"\1", DEFINITION, EOF, first=first)
    yield b"\xff\xff\xff\4\xfe" + struct.pack("<Q", 1 << 32) + bytes(0xffffff - 9)
    for i in itertools.count(5):
        yield b"\xff\xff\xff" + bytes([i & 255]) + bytes(0xffffff)


def columns_without_end(first):
    yield wire.packet(first, b"\xfe" + struct.pack("<Q", (1 << 62) + 5))
    yield from itertools.repeat(b"".join(wire.packet(i, DEFINITION) for i in range(256)) * 20)


def unasked(first):
    yield from itertools.repeat(wire.packet(first, wire.OK_PACKET) * 5000)


FLOODS = [rows_without_end, one_row_without_end, columns_without_end, unasked]


class Flood:
    """A script that sends without end and counts."""

    def __init__(self, blocks, asked=True):
        self.blocks, self.asked, self.sent = blocks, asked, 0

    def __call__(self, stream):
        wire.log_in(stream)
        if self.asked:
            stream.read_packet()
        for block in self.blocks(1):
            view = memoryview(block)
            while view:
                n = stream.sock.send(view[:1 << 18])
                self.sent += n
                view = view[n:]


def stuck(flood):
    """Waits until it sends no more, because nobody takes it."""
    last, same = [-1], [0]

    def look():
        same[0] = same[0] + 1 if flood.sent == last[0] else 0
        last[0] = flood.sent
        return same[0] > 10 and flood.sent > 0
    procs.wait_until(look, 30, "a flood that is stuck", interval=0.05)
