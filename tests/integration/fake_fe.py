"""
A scripted FE for hostile cases: it speaks just enough of the MySQL protocol to get a statement, and
then does whatever the script of the test says. Next to it a scripted HTTP port. Everything ends with
the test.
"""

import http.server
import re
import socket
import ssl
import struct
import threading

CLIENT_SSL = 0x800
CAPS = 0x1 | 0x4 | 0x8 | 0x80 | 0x200 | 0x8000 | 0x80000  # as Doris, LOCAL_FILES among them
SCRAMBLE = b"abcdefghijklmnopqrst"
DEADLINE_S = 30


def lenenc(n):
    if n < 251:
        return bytes([n])
    if n < 1 << 16:
        return b"\xfc" + struct.pack("<H", n)
    return b"\xfe" + struct.pack("<Q", n)


def lenenc_text(text):
    return lenenc(len(text)) + text


def ok(affected=0, warnings=0, info="", status=0):
    body = b"\0" + lenenc(affected) + b"\0" + struct.pack("<HH", status, warnings)
    return body + (lenenc_text(info.encode()) if info else b"")


def err(text, code=1105, state="HY000"):
    return b"\xff" + struct.pack("<H", code) + b"#" + state.encode() + text.encode()


def packets(*payloads, first=1):
    out = b""
    for i, body in enumerate(payloads):
        out += struct.pack("<I", len(body))[:3] + bytes([(first + i) & 255]) + body
    return out


def result_set(columns, rows):
    """Payloads of a text result set; a cell of None is NULL."""
    eof = b"\xfe\0\0\0\0"
    out = [lenenc(len(columns))]
    for name in columns:
        out.append(b"".join(lenenc_text(t) for t in (b"def", b"", b"", b"", name.encode(), b""))
                   + b"\x0c" + struct.pack("<HIBHBH", 33, 255, 253, 0, 0, 0))
    out.append(eof)
    for row in rows:
        out.append(b"".join(b"\xfb" if c is None else lenenc_text(str(c).encode()) for c in row))
    return out + [eof]


class Link:
    """One client. `number` is what the FE calls the connection id."""

    def __init__(self, fe, sock, number):
        self.fe, self.sock, self.number = fe, sock, number

    def read_exactly(self, n):
        out = b""
        while len(out) < n:
            more = self.sock.recv(n - len(out))
            if not more:
                raise EOFError
            out += more
        return out

    def read_packet(self):
        out, n = b"", 0xffffff
        while n == 0xffffff:
            head = self.read_exactly(4)
            n = head[0] | head[1] << 8 | head[2] << 16
            out += self.read_exactly(n)
        return out

    def send(self, *payloads, first=1):
        self.sock.sendall(packets(*payloads, first=first))

    def send_raw(self, data):
        self.sock.sendall(data)

    def close(self):
        """RST rather than FIN: nothing that is still on its way arrives."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def login(self):
        caps = CAPS | (CLIENT_SSL if self.fe.tls else 0)
        self.send(b"\x0a5.7.99\0" + struct.pack("<I", self.number) + SCRAMBLE[:8] + b"\0"
                  + struct.pack("<HBHH", caps & 0xffff, 33, 0, caps >> 16) + b"\x15" + bytes(10)
                  + SCRAMBLE[8:] + b"\0mysql_native_password\0", first=0)
        answer, after = self.read_packet(), 2
        if self.fe.tls and len(answer) == 32:
            self.sock = self.fe.tls.wrap_socket(self.sock, server_side=True)
            self.fe.seen.append((self.number, "TLS"))
            self.read_packet()
            after = 3
        self.send(self.fe.login_answer or ok(), first=after)

    def serve(self):
        self.login()
        while True:
            body = self.read_packet()
            if body[:1] == b"\x01":
                return
            if body[:1] == b"\x0e":
                self.fe.seen.append((self.number, "PING"))
                self.send(ok())
                continue
            self.fe.answer(self, body[1:].decode("utf-8", "replace"))


class FakeFE:
    """
    `script`: [(regex, what)]; the first regex found in a statement decides. `what` is a payload, a
    list of payloads, or a function of (link, statement). Anything else is answered by OK.
    """

    def __init__(self):
        self.script, self.seen, self.threads, self.socks = [], [], [], []
        self.on_connect = self.login_answer = self.tls = None
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self._start(self._accept)

    def _start(self, fn, *args):
        thread = threading.Thread(target=fn, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def _accept(self):
        number = 100
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(DEADLINE_S)
            self.socks.append(sock)
            number += 1
            self._start(self._serve, Link(self, sock, number))

    def _serve(self, link):
        with self.changed:
            self.seen.append((link.number, "CONNECT"))
            self.changed.notify_all()
        try:
            if self.on_connect is None or self.on_connect(link):
                link.serve()
        except (EOFError, OSError):
            pass
        finally:
            link.sock.close()

    def answer(self, link, sql):
        with self.changed:
            self.seen.append((link.number, sql))
            self.changed.notify_all()
        for pattern, what in self.script:
            if re.search(pattern, sql, re.I | re.S):
                if callable(what):
                    what(link, sql)
                else:
                    link.send(*([what] if isinstance(what, bytes) else what))
                return
        link.send(ok())

    def on(self, pattern, what):
        self.script.append((pattern, what))
        return self

    def statements(self, pattern="."):
        return [sql for _, sql in self.seen if re.search(pattern, sql, re.I | re.S)]

    def wait_for(self, pattern, timeout=DEADLINE_S):
        """The (connection id, statement) that fits, as soon as it has come."""
        def find():
            return next((s for s in self.seen if re.search(pattern, s[1], re.I)), None)
        with self.changed:
            assert self.changed.wait_for(find, timeout), "no %s among %r" % (pattern, self.seen)
            return find()

    def use_tls(self, certificate, key):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)

    def close(self):
        # shutdown() wakes accept() and recv(); close() alone would not.
        for sock in [self.listener, *self.socks]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self.threads:
            thread.join(DEADLINE_S)


class FakeHTTP:
    """`replies`: [(regex over "METHOD path", status, headers, body)], the first that fits."""

    def __init__(self):
        self.replies, self.seen = [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                line = "%s %s" % (self.command, self.path)
                outer.seen.append((line, dict(self.headers)))
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                for pattern, status, headers, body in outer.replies:
                    if re.search(pattern, line):
                        break
                else:
                    status, headers, body = 404, {}, "no such thing"
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,),
                                       daemon=True)
        self.thread.start()

    def on(self, pattern, body, status=200, **headers):
        self.replies.append((pattern, status, {k.replace("_", "-"): v for k, v in headers.items()},
                             body))
        return self

    def lines(self):
        return [line for line, _ in self.seen]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(DEADLINE_S)
