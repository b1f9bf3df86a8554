"""
A front for an S3 store that answers in its place, or changes what it says, as a rule of the test has
it. Signatures stay valid: what is asked is passed on as it came. Doris (the stand-in, by its
User-Agent) and sluice can be told apart.
"""

import dataclasses
import http.client
import http.server
import re
import socket
import struct
import threading
import urllib.parse

XML = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>'
HOP_HEADERS = ("connection", "keep-alive", "transfer-encoding", "content-length")
CONTENTS = re.compile(r"<Contents>.*?</Contents>", re.S)


@dataclasses.dataclass
class Request:
    method: str
    path: str
    is_doris: bool
    body: bytes

    @property
    def query(self):
        found = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[-1] for name, values in found.items()}

    @property
    def is_list(self):
        return self.method == "GET" and "list-type" in self.query

    @property
    def key(self):
        path = urllib.parse.urlsplit(self.path).path
        return urllib.parse.unquote(path.split("/", 2)[2]) if path.count("/") > 1 else ""


def error(status, code, text="injected"):
    """A rule's act(): the same answer always. Status 200 is how a store fails late."""
    return lambda request, forward: (status, [("Content-Type", "application/xml")],
                                     (XML % (code, text)).encode(), None)


def reset(request, forward):
    """No reply, RST."""
    return None


def half(is_cut):
    """Half of the store's own reply, in a whole HTTP message or with the link cut behind it."""
    def act(request, forward):
        status, headers, body = forward()
        n = len(body) // 2
        return (status, headers, body, n) if is_cut else (status, headers, body[:n], None)
    return act


def listing(change):
    """`change` gets the text of a listing and gives another one."""
    def act(request, forward):
        status, headers, body = forward()
        if status == 200:
            body = change(request, body.decode()).encode()
        return status, headers, body, None
    return act


def keys_of(text):
    """[(key, its <Contents>)] of a listing; keys are URL-encoded where the request asked for it."""
    return [(urllib.parse.unquote(re.search(r"<Key>(.*?)</Key>", part, re.S)[1]), part)
            for part in CONTENTS.findall(text)]


def without(key):
    def change(request, text):
        for name, part in keys_of(text):
            text = text.replace(part, "") if name == key else text
        return text
    return listing(change)


def modified(key, when):
    """The key's LastModified; Swift's own has been too short ago to tell late from in time."""
    def change(request, text):
        for name, part in keys_of(text):
            if name == key:
                text = text.replace(part, re.sub(r"(<LastModified>).*?(</LastModified>)",
                                                 r"\g<1>%s\g<2>" % when, part))
        return text
    return listing(change)


def pages_of(n):
    """Pages of n keys, whose continuation tokens have all expired when they are used."""
    def act(request, forward):
        if "continuation-token" in request.query:
            return error(400, "InvalidArgument", "The continuation token provided is incorrect")(
                request, forward)
        return listing(lambda request, text: first_page(text, n))(request, forward)
    return act


def first_page(text, n):
    parts = [part for _, part in keys_of(text)]
    for part in parts[n:]:
        text = text.replace(part, "")
    if len(parts) > n:
        text = re.sub(r"<IsTruncated>.*?</IsTruncated>", "<IsTruncated>true</IsTruncated>"
                      "<NextContinuationToken>expired+/=</NextContinuationToken>", text)
        text = re.sub(r"<KeyCount>.*?</KeyCount>", "<KeyCount>%d</KeyCount>" % n, text)
    return text


@dataclasses.dataclass
class Rule:
    fits: object
    act: object
    times: int


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        """Nothing."""

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path,
                          "otocore" in self.headers.get("User-Agent", ""), body)
        rule = self.server.front.take(request)
        reply = rule(request, lambda: self._forward(body)) if rule else (*self._forward(body), None)
        if reply is None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        self._reply(*reply)

    def _forward(self, body):
        store = urllib.parse.urlsplit(self.server.front.store.endpoint)
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

    def _reply(self, status, headers, body, sent):
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if sent is None else body[:sent])
        self.close_connection = self.close_connection or sent is not None

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _serve


class S3Front:
    """The front, with the interface of the store behind it."""

    def __init__(self, store):
        self.store = store
        self.access_key, self.secret_key = store.access_key, store.secret_key
        self.region = store.region
        self.seen = []
        self._rules = []
        self._lock = threading.Lock()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.front = self
        self.endpoint = "http://127.0.0.1:%d" % self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def rule(self, act, fits=lambda request: request.is_list and not request.is_doris, times=-1):
        """For the next `times` requests that fit, -1: for all; listings of sluice, unless said."""
        with self._lock:
            self._rules.append(Rule(fits, act, times))
        return self._rules[-1]

    def clear(self):
        with self._lock:
            self._rules.clear()

    def take(self, request):
        with self._lock:
            self.seen.append(request)
            for rule in self._rules:
                if rule.times != 0 and rule.fits(request):
                    rule.times -= 1
                    return rule.act
        return None

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
