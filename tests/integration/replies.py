"""
Replies read packet by packet, with every sequence id and status looked at: what a driver passes over
in silence. Text and binary rows, classic EOF and DEPRECATE_EOF, COM_STMT_PREPARE.
"""

import datetime
import struct

import wire

DEPRECATE_EOF = 1 << 24
MULTI_STATEMENTS = wire.MULTI_STATEMENTS
CURSOR_EXISTS, LAST_ROW_SENT = 0x40, 0x80
TINY, SHORT, LONG, FLOAT, DOUBLE, NULL, TIMESTAMP, LONGLONG, INT24 = range(1, 10)
DATE, TIME, DATETIME, YEAR = 10, 11, 12, 13
NEWDECIMAL, BLOB, VAR_STRING, STRING = 246, 252, 253, 254
UNSIGNED = 0x8000


class Reply:
    """
    The reply to one command, from its first packet on. `first` is its sequence id. A client has
    `is_classic` when the server did not offer DEPRECATE_EOF: then its own claim counts for nothing.
    """

    def __init__(self, client, first=1):
        self.client = client
        self.next = first

    @property
    def is_deprecated(self):
        is_claimed = bool(self.client.capabilities & DEPRECATE_EOF)
        return is_claimed and not getattr(self.client, "is_classic", False)

    def packet(self):
        """One payload; a payload of 16 MB and more has several numbers."""
        header = self.client.read(4)
        n = int.from_bytes(header[:3], "little")
        assert header[3] == self.next, "sequence id %d where %d is due" % (header[3], self.next)
        self.next = (self.next + 1) & 0xff
        payload = self.client.read(n)
        return payload + self.packet() if n == 0xffffff else payload

    def definitions(self, n):
        return [Column(self.packet()) for _ in range(n)]

    def eof(self):
        """The status of the packet behind definitions or rows."""
        return self._status_of_eof(self.packet())

    @staticmethod
    def is_eof(payload):
        return payload[0] == wire.EOF and len(payload) < 9

    @staticmethod
    def _status_of_eof(payload):
        assert Reply.is_eof(payload), payload
        return int.from_bytes(payload[3:5], "little")

    def result(self, binary=False):
        """(kind, content, status); kind "rows" has content (columns, rows)."""
        payload = self.packet()
        if payload[0] == wire.ERR:
            return "err", wire.error(payload), 0
        if payload[0] == wire.OK:
            affected, at = wire.lenenc(payload, 1)
            at = wire.lenenc(payload, at)[1]
            status = int.from_bytes(payload[at:at + 2], "little")
            info = payload[at + 4:]
            info = info[wire.lenenc(info, 0)[1]:] if info else b""
            return "ok", (affected, info.decode()), status
        columns = self.definitions(wire.lenenc(payload, 0)[0])
        if not self.is_deprecated:
            status = self.eof()
            if status & CURSOR_EXISTS:
                return "cursor", columns, status
        return self.rows(columns, binary)

    def rows(self, columns, binary):
        found = []
        while True:
            payload = self.packet()
            if payload[0] == wire.ERR:
                return "err", wire.error(payload), 0
            if self.is_eof(payload):
                status = self._status_of_eof(payload)
                if status & CURSOR_EXISTS and not found:
                    return "cursor", columns, status
                return "rows", (columns, found), status
            found.append(binary_row(payload, columns) if binary else wire.cells(payload))

    def results(self, binary=False):
        """All results of the command: [(kind, content)]; every one but the last says "more"."""
        found = []
        while True:
            kind, content, status = self.result(binary)
            found.append((kind, content[1] if kind == "rows" else content))
            if kind == "err" or not status & wire.MORE_RESULTS:
                return found

    def prepared(self):
        """(statement id, number of parameters, columns), or the error's (code, text)."""
        payload = self.packet()
        if payload[0] == wire.ERR:
            return wire.error(payload)
        statement, n_columns, n_params = struct.unpack("<IHH", payload[1:9])
        params = self.definitions(n_params)
        if params and not self.is_deprecated:
            self.eof()
        columns = self.definitions(n_columns)
        if columns and not self.is_deprecated:
            self.eof()
        return statement, n_params, columns


class Column:
    def __init__(self, payload):
        at, texts = 0, []
        for _ in range(6):
            n, at = wire.lenenc(payload, at)
            texts.append(payload[at:at + n].decode())
            at += n
        self.name = texts[4]
        n, at = wire.lenenc(payload, at)
        self.charset, self.width, self.type, self.flags, self.decimals = struct.unpack(
            "<HIBHB", payload[at:at + 10])

    def __repr__(self):
        return "%s:%d" % (self.name, self.type)


def binary_row(payload, columns):
    assert payload[0] == 0
    n_bitmap = (len(columns) + 9) // 8
    bitmap, at, row = payload[1:1 + n_bitmap], 1 + n_bitmap, []
    for i, column in enumerate(columns):
        if bitmap[(i + 2) // 8] >> ((i + 2) % 8) & 1:
            row.append(None)
        elif column.type in (LONGLONG, DOUBLE):
            row += struct.unpack("<q" if column.type == LONGLONG else "<d", payload[at:at + 8])
            at += 8
        else:
            n, at = wire.lenenc(payload, at)
            row.append(payload[at:at + n])
            at += n
    assert at == len(payload)
    return row


def lenenc_text(data):
    n = len(data)
    if n < 251:
        return bytes([n]) + data
    return (b"\xfc" + struct.pack("<H", n) if n < 1 << 16 else b"\xfd" + struct.pack("<I", n)[:3]) + data


def value(kind, v):
    """A parameter's bytes in the binary protocol."""
    base = kind & 0xff
    formats = {TINY: "b", SHORT: "h", YEAR: "h", LONG: "i", INT24: "i", LONGLONG: "q"}
    if base in formats:
        code = formats[base].upper() if kind & UNSIGNED else formats[base]
        return struct.pack("<" + code, v)
    if base in (FLOAT, DOUBLE):
        return struct.pack("<f" if base == FLOAT else "<d", v)
    if base in (DATE, DATETIME, TIMESTAMP):
        return date_value(v)
    if base == TIME:
        return time_value(v)
    return lenenc_text(v if isinstance(v, bytes) else v.encode())


def date_value(v):
    if not isinstance(v, datetime.datetime):
        return struct.pack("<BHBB", 4, v.year, v.month, v.day)
    out = struct.pack("<HBBBBB", v.year, v.month, v.day, v.hour, v.minute, v.second)
    out += struct.pack("<I", v.microsecond) if v.microsecond else b""
    return bytes([len(out)]) + out


def time_value(v):
    is_negative = v < datetime.timedelta()
    v = -v if is_negative else v
    out = struct.pack("<BIBBB", is_negative, v.days, v.seconds // 3600, v.seconds // 60 % 60,
                      v.seconds % 60)
    out += struct.pack("<I", v.microseconds) if v.microseconds else b""
    return bytes([len(out)]) + out


def execute(statement, params=(), types=True, flags=0, long_data=()):
    """COM_STMT_EXECUTE's payload; params: (type, value), None is NULL, long_data: sent before."""
    out = b"\x17" + struct.pack("<IBI", statement, flags, 1)
    if not params:
        return out
    bitmap = bytearray((len(params) + 7) // 8)
    for i, (kind, v) in enumerate(params):
        if v is None:
            bitmap[i // 8] |= 1 << (i % 8)
    out += bytes(bitmap) + bytes([types])
    if types:
        out += b"".join(struct.pack("<H", kind) for kind, _ in params)
    return out + b"".join(value(kind, v) for i, (kind, v) in enumerate(params)
                          if v is not None and i not in long_data)


def prepare(client, text):
    client.command(b"\x16" + text.encode())
    return Reply(client).prepared()


def run(client, statement, params=(), **more):
    """Results of an EXECUTE."""
    client.command(execute(statement, params, **more))
    return Reply(client).results(binary=True)


def close(statement):
    return wire.packet(0, b"\x19" + struct.pack("<I", statement))


def fetch(statement, n):
    return wire.packet(0, b"\x1c" + struct.pack("<II", statement, n))
