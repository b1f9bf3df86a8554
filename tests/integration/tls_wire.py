"""TLS by hand: peers that cut records, dawdle, or stop in the middle; wire.Stream underneath."""

import ssl
import struct
import warnings

import procs
import wire


def client_context(authority, **more):
    context = ssl.create_default_context(cafile=str(authority.ca))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of old versions of TLS
        for key, value in more.items():
            setattr(context, key, value)
    return context


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    return context


class Records:
    """
    In place of a socket: TLS over `sock`, whose bytes go out `size` at a time (None: all at once)
    and come in record by record; `on_record` sees the plain text of each.
    """

    def __init__(self, sock, context, size=None, server_side=False):
        self.sock, self.size = sock, size
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side,
                                    None if server_side else "127.0.0.1")
        self.on_record = lambda plain: None
        self.plain = b""
        self._handshake()

    def _flush(self):
        data = self.outgoing.read()
        for at in range(0, len(data), self.size or len(data) or 1):
            self.sock.sendall(data[at:at + (self.size or len(data))])

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise wire.Closed("%d of %d bytes of a record" % (len(data), n))
            data += piece
        return data

    def _feed(self):
        header = self._exactly(5)
        self.incoming.write(header + self._exactly(struct.unpack(">H", header[3:])[0]))

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._flush()
                self._feed()
        self._flush()

    def recv(self, n):
        while not self.plain:
            try:
                self.plain = self.tls.read(1 << 14)
                if not self.plain:
                    return b""
                self.on_record(self.plain)
            except ssl.SSLWantReadError:
                self._feed()
            except ssl.SSLZeroReturnError:
                return b""
        data, self.plain = self.plain[:n], self.plain[n:]
        return data

    def sendall(self, data):
        data = memoryview(data)
        while data:
            data = data[self.tls.write(data):]
        self._flush()

    def close(self):
        self.sock.close()

    def __getattr__(self, name):
        return getattr(self.sock, name)


def start_tls(stream, context, size=None):
    """A wire.Client that has read its greeting asks for TLS and shakes hands."""
    stream.capabilities |= wire.SSL
    request = struct.pack("<IIB", stream.capabilities, 1 << 24, 45) + bytes(23)
    for at in range(0, 36, size or 36):
        stream.send(wire.packet(1, request)[at:at + (size or 36)])
    stream.sock = Records(stream.sock, context, size)


def login(front, user, password, context, size=None, capabilities=wire.DEFAULT_CAPABILITIES):
    """A wire.Client that is logged in by TLS."""
    client = wire.Client(front.port, capabilities=capabilities)
    greeting = client.read_packet()[1]
    start_tls(client, context, size)
    client.send(wire.packet(2, client.response(greeting, user, password)))
    reply = client.read_packet()
    if reply[1][0] == wire.ERR:
        raise procs.pymysql.OperationalError(*wire.error(reply[1]))
    assert reply[0] == 3 and reply[1][0] == wire.OK, reply
    return client


def serve_tls(stream, context, capabilities=wire.DORIS_CAPABILITIES | wire.SSL, size=None):
    """A scripted FE: greeting, SSLRequest, handshake; returns (sequence, response)."""
    stream.send(wire.packet(0, wire.greeting(capabilities)))
    sequence, request = stream.read_packet()
    assert sequence == 1 and len(request) == 32, (sequence, request)
    assert int.from_bytes(request[:4], "little") & wire.SSL
    stream.sock = Records(stream.sock, context, size, server_side=True)
    return stream.read_packet()
