"""
The MySQL protocol by hand, for what no driver would do: a client that sends exact bytes, and a fake
server that records what it gets. Independent of the proxy's own protocol code.
"""

import hashlib
import socket
import struct
import threading

import procs

PROTOCOL_41 = 1 << 9
SECURE_CONNECTION = 1 << 15
MULTI_STATEMENTS = 1 << 16
MULTI_RESULTS = 1 << 17
PLUGIN_AUTH = 1 << 19
LOCAL_FILES = 1 << 7
SSL = 1 << 11
COMPRESS = 1 << 5
LONG_PASSWORD = 1
DEFAULT_CAPABILITIES = (LONG_PASSWORD | PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH | LOCAL_FILES |
                        MULTI_STATEMENTS | MULTI_RESULTS)
OK, EOF, ERR = 0x00, 0xfe, 0xff
MORE_RESULTS = 8


class Closed(Exception):
    """The peer closed the connection where a packet was due."""


def packet(sequence, payload):
    """As many packets as the payload needs."""
    out = bytearray()
    while True:
        piece, payload = payload[:0xffffff], payload[0xffffff:]
        out += struct.pack("<I", len(piece))[:3] + bytes([sequence & 0xff]) + piece
        sequence += 1
        if len(piece) < 0xffffff:
            return bytes(out)


def query(text):
    return packet(0, b"\x03" + (text if isinstance(text, bytes) else text.encode()))


def native_password(password, scramble):
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()
    mask = hashlib.sha1(scramble + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


class Stream:
    """Packets over a socket. `seen` keeps every byte received."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(procs.patience(30))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.seen = bytearray()

    def send(self, data):
        self.sock.sendall(data)

    def read(self, n):
        data = bytearray()
        while len(data) < n:
            piece = self.sock.recv(min(n - len(data), 1 << 20))
            if not piece:
                raise Closed("%d of %d bytes had come" % (len(data), n))
            data += piece
        self.seen += data
        return bytes(data)

    def read_packet(self):
        """(sequence id, payload), joined if it was split."""
        payload = b""
        while True:
            header = self.read(4)
            n = int.from_bytes(header[:3], "little")
            payload += self.read(n)
            if n < 0xffffff:
                return header[3], payload

    def is_closed(self):
        """Waits for the end of the stream; False when more comes instead."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def reset(self):
        """Closes with RST, as a killed host would."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


class Client(Stream):
    """A client that logs in with mysql_native_password and then sends what it is told."""

    def __init__(self, port, user=None, password="", capabilities=DEFAULT_CAPABILITIES):
        super().__init__(socket.create_connection(("127.0.0.1", port)))
        self.capabilities = capabilities
        if user is not None:
            self.login(user, password)

    def login(self, user, password):
        greeting = self.read_packet()[1]
        if greeting[0] == ERR:
            raise procs.pymysql.OperationalError(*error(greeting))
        self.send(packet(1, self.response(greeting, user, password)))
        reply = self.read_packet()[1]
        if reply[0] == ERR:
            raise procs.pymysql.OperationalError(*error(reply))
        assert reply[0] == OK, reply

    def response(self, greeting, user, password):
        at = greeting.index(b"\0", 1) + 5
        scramble = greeting[at:at + 8] + greeting[at + 27:at + 39]
        auth = native_password(password, scramble)
        return (struct.pack("<IIB", self.capabilities, 1 << 30, 45) + bytes(23) + user.encode() +
                b"\0" + bytes([len(auth)]) + auth + b"mysql_native_password\0")

    def command(self, payload):
        self.send(packet(0, payload))

    def query(self, text):
        self.send(query(text))
        return self.read_results()

    def read_result(self):
        """One result: (kind, content, status): "ok" info, "err" (code, text), "rows" a list."""
        sequence, payload = self.read_packet()
        if payload[0] == ERR:
            return "err", error(payload), 0
        if payload[0] == OK:
            affected, at = lenenc(payload, 1)
            at = lenenc(payload, at)[1]
            status = int.from_bytes(payload[at:at + 2], "little")
            info = payload[at + 4:]
            if info:
                n, start = lenenc(info, 0)
                info = info[start:start + n]
            return "ok", (affected, info.decode()), status
        for _ in range(lenenc(payload, 0)[0]):
            self.read_packet()
        assert self.read_packet()[1][0] == EOF
        rows = []
        while True:
            sequence, payload = self.read_packet()
            if payload[0] == ERR:
                return "err", error(payload), 0
            if payload[0] == EOF and len(payload) < 9:
                return "rows", rows, int.from_bytes(payload[3:5], "little")
            rows.append(cells(payload))

    def read_results(self):
        """The results of one command, without their status."""
        results = []
        while True:
            kind, content, status = self.read_result()
            results.append((kind, content))
            if not status & MORE_RESULTS:
                return results


def error(payload):
    text = payload[9:] if payload[3:4] == b"#" else payload[3:]
    return int.from_bytes(payload[1:3], "little"), text.decode(errors="replace")


def lenenc(data, at):
    """(value, position behind it); None for SQL NULL."""
    first = data[at]
    if first < 0xfb:
        return first, at + 1
    if first == 0xfb:
        return None, at + 1
    size = {0xfc: 2, 0xfd: 3, 0xfe: 8}[first]
    return int.from_bytes(data[at + 1:at + 1 + size], "little"), at + 1 + size


def cells(payload):
    row, at = [], 0
    while at < len(payload):
        n, at = lenenc(payload, at)
        if n is None:
            row.append(None)
        else:
            row.append(payload[at:at + n])
            at += n
    return row


# Doris 2.1's greeting: facts of A1. Capabilities as it has them, status 0.
DORIS_CAPABILITIES = (PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH | LOCAL_FILES | 1 << 2 | 1 << 3)


def greeting(capabilities=DORIS_CAPABILITIES, version=b"5.7.99"):
    return (b"\x0a" + version + b"\0" + struct.pack("<I", 42) + b"abcdefgh\0" +
            struct.pack("<HBHHB", capabilities & 0xffff, 33, 0, capabilities >> 16, 21) +
            bytes(10) + b"ijklmnopqrst\0" + b"mysql_native_password\0")


OK_PACKET = b"\0\0\0\0\0\0\0"


class FakeServer:
    """Accepts connections one after the other and runs script(stream) on each, in a thread."""

    def __init__(self, script):
        self.script = script
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.error = None
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            stream = Stream(sock)
            try:
                self.script(stream)
            except (Closed, ConnectionError):
                pass
            except Exception as e:  # noqa: BLE001: told to the test by close()
                self.error = e
            finally:
                stream.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(procs.patience(10))
        if self.error is not None:
            raise self.error

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


def log_in(stream):
    """The server's side of a login that always succeeds; returns the response's payload."""
    stream.send(packet(0, greeting()))
    response = stream.read_packet()[1]
    stream.send(packet(2, OK_PACKET))
    return response
