"""MySQL packets: framing with sequence checks, and the few packets a Doris FE sends."""

import asyncio
import datetime
import decimal
import socket
import struct

MAX_PAYLOAD = 0xFFFFFF

CLIENT_LONG_FLAG = 1 << 2
CLIENT_CONNECT_WITH_DB = 1 << 3
CLIENT_LOCAL_FILES = 1 << 7
CLIENT_PROTOCOL_41 = 1 << 9
CLIENT_SECURE_CONNECTION = 1 << 15
CLIENT_MULTI_STATEMENTS = 1 << 16
CLIENT_PLUGIN_AUTH = 1 << 19
CLIENT_PLUGIN_AUTH_LENENC = 1 << 21
CLIENT_DEPRECATE_EOF = 1 << 24

SERVER_MORE_RESULTS_EXISTS = 0x0008

TINY, SHORT, LONG, FLOAT, DOUBLE, LONGLONG, DATE, DATETIME = 1, 2, 3, 4, 5, 8, 10, 12
NEWDECIMAL, STRING, VARCHAR = 246, 254, 253

COMMANDS = {
    0: "COM_SLEEP", 1: "COM_QUIT", 2: "COM_INIT_DB", 3: "COM_QUERY", 4: "COM_FIELD_LIST",
    5: "COM_CREATE_DB", 6: "COM_DROP_DB", 7: "COM_REFRESH", 8: "COM_SHUTDOWN", 9: "COM_STATISTICS",
    10: "COM_PROCESS_INFO", 11: "COM_CONNECT", 12: "COM_PROCESS_KILL", 13: "COM_DEBUG",
    14: "COM_PING", 15: "COM_TIME", 16: "COM_DELAYED_INSERT", 17: "COM_CHANGE_USER",
    18: "COM_BINLOG_DUMP", 19: "COM_TABLE_DUMP", 20: "COM_CONNECT_OUT", 21: "COM_REGISTER_SLAVE",
    22: "COM_STMT_PREPARE", 23: "COM_STMT_EXECUTE", 24: "COM_STMT_SEND_LONG_DATA",
    25: "COM_STMT_CLOSE", 26: "COM_STMT_RESET", 27: "COM_SET_OPTION", 28: "COM_STMT_FETCH",
    29: "COM_DAEMON", 31: "COM_RESET_CONNECTION",
}


class BadSequence(Exception):
    """Doris closes such a connection without a word."""


class Malformed(Exception):
    """A packet that ends before its fields do."""


class Reader:
    """Walks one payload; every step checks the bounds."""

    def __init__(self, data):
        self.data = data
        self.pos = 0

    def left(self):
        return len(self.data) - self.pos

    def take(self, n):
        if n < 0 or n > self.left():
            raise Malformed("wanted %d bytes, %d left" % (n, self.left()))
        out = self.data[self.pos:self.pos + n]
        self.pos += n
        return out

    def int(self, n):
        return int.from_bytes(self.take(n), "little")

    def lenenc(self):
        first = self.int(1)
        if first < 0xFB:
            return first
        if first == 0xFB:
            return None
        return self.int({0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, -1))

    def lenenc_bytes(self):
        n = self.lenenc()
        return None if n is None else self.take(n)

    def nul(self):
        end = self.data.find(b"\0", self.pos)
        if end < 0:
            return self.take(self.left())
        out = self.take(end - self.pos)
        self.pos += 1
        return out

    def rest(self):
        return self.take(self.left())


class PacketStream:
    """Framing over an asyncio stream pair. One command at a time owns the sequence number."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.seq = 0
        self.dead = False

    async def read(self):
        """The next payload, or None at a clean end. Joins 16 MB pieces."""
        parts = []
        while True:
            try:
                head = await self.reader.readexactly(4)
                size = int.from_bytes(head[:3], "little")
                body = await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            if head[3] != self.seq:
                raise BadSequence()
            self.seq = (self.seq + 1) & 0xFF
            parts.append(body)
            if size < MAX_PAYLOAD:
                return b"".join(parts) if len(parts) > 1 else body

    def write(self, payload):
        """Frames one payload; 16 MB pieces, with the empty last piece where it is due."""
        if self.dead:
            return
        pos = 0
        while True:
            piece = payload[pos:pos + MAX_PAYLOAD]
            self.writer.write(struct.pack("<I", len(piece))[:3] + bytes([self.seq]) + piece)
            self.seq = (self.seq + 1) & 0xFF
            pos += len(piece)
            if len(piece) < MAX_PAYLOAD:
                return

    async def drain(self):
        if not self.dead:
            await self.writer.drain()

    def cut(self):
        """A reset, not a shutdown: what a dead FE or a torn network looks like."""
        self.dead = True
        transport = self.writer.transport
        sock = transport.get_extra_info("socket")
        if sock is not None:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
        transport.abort()


def lenenc_int(n):
    if n < 0xFB:
        return bytes([n])
    if n <= 0xFFFF:
        return b"\xfc" + struct.pack("<H", n)
    if n <= 0xFFFFFF:
        return b"\xfd" + struct.pack("<I", n)[:3]
    return b"\xfe" + struct.pack("<Q", n)


def lenenc_str(data):
    return lenenc_int(len(data)) + data


def greeting(conn_id, version, caps, charset, scramble):
    return (b"\x0a" + version.encode() + b"\0" + struct.pack("<I", conn_id & 0xFFFFFFFF)
            + scramble[:8] + b"\0" + struct.pack("<H", caps & 0xFFFF) + bytes([charset])
            + struct.pack("<H", 0) + struct.pack("<H", caps >> 16) + bytes([21]) + bytes(10)
            + scramble[8:] + b"\0" + b"mysql_native_password\0")


def ok_packet(affected=0, warnings=0, info="", status=0):
    out = b"\0" + lenenc_int(affected) + b"\0" + struct.pack("<HH", status,
                                                              min(warnings, 0xFFFF))
    return out + lenenc_str(info.encode()) if info else out


def err_packet(code, state, text):
    return (b"\xff" + struct.pack("<H", code) + b"#" + state.encode()
            + text.encode("utf-8", "replace"))


def eof_packet(status=0):
    return b"\xfe" + struct.pack("<HH", 0, status)


def column_packet(name, kind, decimals=0, schema=b"", table=b"", with_default=False):
    raw = name.encode()
    length = {TINY: 4, SHORT: 6, LONG: 11, LONGLONG: 20, FLOAT: 12, DOUBLE: 22,
              DATE: 10, DATETIME: 26}.get(kind, 255)
    out = (lenenc_str(b"def") + lenenc_str(schema) + lenenc_str(table) + lenenc_str(table)
           + lenenc_str(raw) + lenenc_str(raw) + b"\x0c" + struct.pack("<H", 33)
           + struct.pack("<I", length) + bytes([kind]) + struct.pack("<H", 0)
           + bytes([decimals]) + b"\0\0")
    return out + b"\xfb" if with_default else out


def to_text(value, scale=0):
    """One cell as the text protocol shows it; None is NULL."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        if value != value:
            return "nan"
        if value in (float("inf"), float("-inf")):
            return "inf" if value > 0 else "-inf"
        return "%d" % value if value == int(value) and abs(value) < 1e15 else repr(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S")
        return text + (".%06d" % value.microsecond)[:scale + 1] if scale else text
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return "[" + ", ".join(_nested(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join("%s:%s" % (_nested(k), _nested(v)) for k, v in value.items()) + "}"
    return str(value)


def _nested(value):
    if value is None:
        return "null"
    return '"%s"' % value if isinstance(value, str) else to_text(value)


def text_row(values, scales):
    out = []
    for value, scale in zip(values, scales):
        if value is None:
            out.append(b"\xfb")
        else:
            out.append(lenenc_str(to_text(value, scale).encode("utf-8", "surrogateescape")))
    return b"".join(out)


def _binary_time(value):
    if not isinstance(value, datetime.datetime):
        return struct.pack("<BHBB", 4, value.year, value.month, value.day)
    if value.microsecond:
        return struct.pack("<BHBBBBBI", 11, value.year, value.month, value.day, value.hour,
                           value.minute, value.second, value.microsecond)
    return struct.pack("<BHBBBBB", 7, value.year, value.month, value.day, value.hour,
                       value.minute, value.second)


BINARY_FORMATS = {TINY: "<b", SHORT: "<h", LONG: "<i", LONGLONG: "<q", FLOAT: "<f", DOUBLE: "<d"}


def binary_row(values, kinds, scales):
    nulls = bytearray((len(values) + 9) // 8)
    out = []
    for i, (value, kind) in enumerate(zip(values, kinds)):
        if value is None:
            nulls[(i + 2) // 8] |= 1 << ((i + 2) % 8)
        elif kind in BINARY_FORMATS:
            out.append(struct.pack(BINARY_FORMATS[kind], value))
        elif kind in (DATE, DATETIME) and isinstance(value, datetime.date):
            out.append(_binary_time(value))
        else:
            out.append(lenenc_str(to_text(value, scales[i]).encode("utf-8", "surrogateescape")))
    return b"\0" + bytes(nulls) + b"".join(out)


def read_param(r, kind, unsigned):
    """One value of COM_STMT_EXECUTE as an SQL literal."""
    if kind in (1, 2, 3, 8, 9, 13):
        size = {1: 1, 2: 2, 13: 2, 3: 4, 9: 4, 8: 8}[kind]
        return str(int.from_bytes(r.take(size), "little", signed=not unsigned))
    if kind == 4:
        return repr(struct.unpack("<f", r.take(4))[0])
    if kind == 5:
        return repr(struct.unpack("<d", r.take(8))[0])
    if kind in (7, 10, 12):
        return "'%s'" % _param_date(r.take(r.int(1)), kind == 10)
    if kind == 11:
        return "'%s'" % _param_time(r.take(r.int(1)))
    if kind == 6:
        return "NULL"
    text = (r.lenenc_bytes() or b"").decode("utf-8", "surrogateescape")
    if kind in (0, 246):
        return text
    return "'%s'" % text.replace("\\", "\\\\").replace("'", "''")


def _param_date(b, date_only):
    year, month, day = struct.unpack("<HBB", b[:4]) if len(b) >= 4 else (0, 0, 0)
    text = "%04d-%02d-%02d" % (year, month, day)
    if date_only:
        return text
    text += " %02d:%02d:%02d" % (tuple(b[4:7]) if len(b) >= 7 else (0, 0, 0))
    return text + ".%06d" % int.from_bytes(b[7:11], "little") if len(b) >= 11 else text


def _param_time(b):
    if len(b) < 8:
        return "00:00:00"
    hours = int.from_bytes(b[1:5], "little") * 24 + b[5]
    return "%s%02d:%02d:%02d" % ("-" if b[0] else "", hours, b[6], b[7])
