"""
MariaDB as clients see it behind a Doris FE's greeting (facts: doris-ports.md A1): version 5.7.99,
Doris's capabilities, status 0, the ten reserved bytes zero (drivers take MariaDB's own bits there for
leave to use its extensions). As with Doris, what a client claims beyond that counts for nothing but
MULTI_STATEMENTS; libmysqlclient claims DEPRECATE_EOF in vain, and expects so. Everything else is
relayed byte for byte, except
* SHOW GRANTS, which Sluice asks on the user's connection and MariaDB answers in a form of its own;
* @@transaction_isolation and _read_only in a text: the greeting's version promises it to Connector/J.

    PYTHONPATH=tests python -m clients.doris_front --port N --backend N
"""

import argparse
import asyncio
import re

from standin import protocol
from standin.profiles import CAPS, GRANTS_30

VERSION, CHARSET, NATIVE = b"5.7.99", 33, b"mysql_native_password"
SHOW_GRANTS = b"\x03SHOW GRANTS"
ISOLATION = re.compile(rb"(@@(?:session\.)?)transaction_(isolation|read_only)\b")
CHUNK = 1 << 16
# A1: the rest of a client's capabilities is not looked at.
HONOURED = CAPS | protocol.CLIENT_MULTI_STATEMENTS


def framed(seq, payload):
    return len(payload).to_bytes(3, "little") + bytes([seq]) + payload


def doris_greeting(payload):
    """MariaDB's greeting as Doris would word it: the thread id and the scramble stay."""
    end = payload.index(b"\0", 1) + 1
    thread, first = payload[end:end + 4], payload[end + 4:end + 12]
    rest = payload[end + 13:]  # after the filler: caps 2, charset 1, status 2, caps 2, length 1
    second = rest[18:18 + 12]
    return (b"\x0a" + VERSION + b"\0" + thread + first + b"\0" + (CAPS & 0xffff).to_bytes(2, "little")
            + bytes([CHARSET]) + b"\0\0" + (CAPS >> 16).to_bytes(2, "little") + bytes([21])
            + bytes(10) + second + b"\0" + NATIVE + b"\0")


def doris_login(payload):
    """A login as Doris reads it, which is how MariaDB is to read it."""
    caps = int.from_bytes(payload[:4], "little") & HONOURED
    return caps.to_bytes(4, "little") + payload[4:9] + bytes(23) + payload[32:]


def grants_answer(user):
    """One row: a user who may do everything."""
    cells = dict.fromkeys(GRANTS_30)
    cells.update(UserIdentity="'%s'@'%%'" % user, Password="Yes", Roles="",
                 GlobalPrivs="Select_priv,Load_priv,Admin_priv")
    payloads = [protocol.lenenc_int(len(cells))]
    payloads += [protocol.column_packet(name, protocol.STRING) for name in cells]
    payloads += [protocol.eof_packet(), protocol.text_row(list(cells.values()), [0] * len(cells)),
                 protocol.eof_packet()]
    return b"".join(framed(i + 1 & 255, payload) for i, payload in enumerate(payloads))


async def read_packet(reader):
    head = await reader.readexactly(4)
    return head[3], await reader.readexactly(int.from_bytes(head[:3], "little"))


class Pair:
    """One client and its connection to MariaDB."""

    def __init__(self, client, server):
        self.client_in, self.client_out = client
        self.server_in, self.server_out = server
        self.user = ""

    async def run(self):
        try:
            seq, payload = await read_packet(self.server_in)
            if payload[:1] == b"\x0a":
                payload = doris_greeting(payload)
            self.client_out.write(framed(seq, payload))
            ways = [asyncio.ensure_future(self._replies()), asyncio.ensure_future(self._commands())]
            _, rest = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in rest:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.server_out.close()
            self.client_out.close()

    async def _replies(self):
        while data := await self.server_in.read(CHUNK):
            self.client_out.write(data)
            await self.client_out.drain()

    async def _commands(self):
        """Packet by packet; the first is the login."""
        is_login, is_rest = True, False
        while True:
            seq, payload = await read_packet(self.client_in)
            if is_login:
                is_login = False
                self.user = payload[32:payload.index(b"\0", 32)].decode("utf-8", "replace")
                payload = doris_login(payload)
            if seq == 0 and payload == SHOW_GRANTS and not is_rest:
                # Asked only when nothing else is outstanding, so the answer cannot overtake one.
                self.client_out.write(grants_answer(self.user))
                continue
            if seq == 0 and payload[:1] == b"\x03" and len(payload) < CHUNK:
                payload = ISOLATION.sub(rb"\1tx_\2", payload)
            is_rest = len(payload) == protocol.MAX_PAYLOAD
            self.server_out.write(framed(seq, payload))
            await self.server_out.drain()


async def serve(port, backend):
    async def accept(reader, writer):
        try:
            server = await asyncio.open_connection("127.0.0.1", backend)
        except OSError:
            return writer.close()
        return await Pair((reader, writer), server).run()

    listener = await asyncio.start_server(accept, "127.0.0.1", port)
    print("ready port=%d" % listener.sockets[0].getsockname()[1], flush=True)
    async with listener:
        await listener.serve_forever()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--backend", type=int, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.backend))


if __name__ == "__main__":
    main()
