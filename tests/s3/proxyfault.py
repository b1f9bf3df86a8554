"""A front for an S3 store that forwards every request unless a fault is set for it.

    with FaultyS3(store) as s3:                        # store: anything with .endpoint and the keys
        s3.inject("slow_down", times=2, match="list-type=2")
        … use s3.endpoint, s3.access_key, s3.secret_key, s3.region …
        s3.served                                      # [(fault or "", request line), …]

Signatures stay valid: the Host header is passed on as it came.
"""

import http.client
import http.server
import socket
import struct
import threading
import urllib.parse

XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>injected</Message></Error>'
HOP_HEADERS = ("connection", "keep-alive", "transfer-encoding", "content-length")

# fault: (status, body); None as body: handled by name below
FAULTS = {
    "slow_down": (503, XML % "SlowDown"),
    "internal_error": (500, XML % "InternalError"),
    "error_in_200": (200, XML % "InternalError"),
    "access_denied": (403, XML % "AccessDenied"),
    "expired_token": (400, XML % "ExpiredToken"),
    "no_such_bucket": (404, XML % "NoSuchBucket"),
    "not_s3": (502, "<html>bad gateway</html>"),
    "truncated": (None, None),  # the store's reply, half of it, in an intact HTTP message
    "cut": (None, None),        # the store's reply, the connection closed in the middle
    "reset": (None, None),      # no reply, RST
}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        """Nothing: the tests look at .served."""

    def _reply(self, status, headers, body, sent=None):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if sent is None else body[:sent])
        self.close_connection = self.close_connection or sent is not None

    def _reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _forward(self, body):
        store = urllib.parse.urlsplit(self.server.store.endpoint)
        upstream = http.client.HTTPConnection(store.hostname, store.port, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders(body or None)
            reply = upstream.getresponse()
            return reply.status, reply.getheaders(), reply.read()
        finally:
            upstream.close()

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.front.take_fault(self.requestline)
        if fault == "reset":
            self._reset()
        elif fault and FAULTS[fault][0]:
            status, text = FAULTS[fault]
            self._reply(status, [("Content-Type", "application/xml")], text.encode())
        else:
            status, headers, reply = self._forward(body)
            half = len(reply) // 2
            if fault == "truncated":
                self._reply(status, headers, reply[:half])
            else:
                self._reply(status, headers, reply, sent=half if fault == "cut" else None)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve


class FaultyS3:
    """The front, with the interface of the store behind it."""

    def __init__(self, store):
        self.access_key, self.secret_key = store.access_key, store.secret_key
        self.region = store.region
        self.served = []
        self._faults = []  # [name, times, match], the first that fits is used
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.store, self._server.front = store, self
        self.port = self._server.server_address[1]
        self.endpoint = "http://127.0.0.1:%d" % self.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def inject(self, fault, times=1, match=""):
        """The next `times` requests whose request line contains `match` get `fault`."""
        if fault not in FAULTS:
            raise ValueError("no such fault: %s; there are %s" % (fault, ", ".join(FAULTS)))
        with self._lock:
            self._faults.append([fault, times, match])

    def clear(self):
        with self._lock:
            self._faults.clear()

    def take_fault(self, line):
        """For the handler: the fault for this request, "" for none."""
        with self._lock:
            found = next((f for f in self._faults if f[2] in line), None)
            if found:
                found[1] -= 1
                if found[1] == 0:
                    self._faults.remove(found)
            self.served.append((found[0] if found else "", line))
            return found[0] if found else ""

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
