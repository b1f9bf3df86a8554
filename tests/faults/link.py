"""A TCP proxy that understands packets of the MySQL protocol well enough to count and cut them."""

import contextlib
import re
import socket
import struct
import threading

import procs

TO_FE, TO_SLUICE = "to the FE", "to sluice"


class Link:
    """
    In front of `port`. One rule at a time: what fits is either cut (both sides are reset before the
    packet is passed on, or after it) or held until release().
    """

    def __init__(self, port):
        self.target = port
        self._lock = threading.Lock()
        self._rule = None
        self.n_seen = 0
        self.hit = threading.Event()
        self._go_on = threading.Event()
        self._is_dropped = False
        self._sockets = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    # --- the rule ---

    def cut(self, way, at=1, pattern=b"", after=False):
        """The `at`-th packet that goes `way` and matches, from now on."""
        self._set(("cut after" if after else "cut", way, at, re.compile(pattern, re.S | re.I)))

    def hold(self, way, pattern=b""):
        self._set(("hold", way, 1, re.compile(pattern, re.S | re.I)))

    def _set(self, rule):
        with self._lock:
            self._rule, self.n_seen = rule, 0
            self.hit.clear()
            self._go_on.clear()
            self._is_dropped = False

    def release(self, drop=False):
        """No rule any more; a packet that was held goes on, or with `drop` its link ends before it."""
        with self._lock:
            self._rule, self._is_dropped = None, drop
        self._go_on.set()

    def wait_hit(self, timeout=30):
        assert self.hit.wait(procs.patience(timeout)), "no packet was such as the rule wants"

    def _take(self, way, packet):
        """What is to be done with this packet: "", "cut", "cut after" or "hold"."""
        with self._lock:
            if self._rule is None or self._rule[1] != way or not self._rule[3].search(packet):
                return ""
            self.n_seen += 1
            if self.n_seen != self._rule[2]:
                return ""
            what, self._rule = self._rule[0], None
            self.hit.set()
            return what

    # --- moving bytes ---

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.target), 10)
            server.settimeout(None)
        except OSError:
            reset(client)
            client.close()
            return
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets |= {client, server}
        back = threading.Thread(target=self._pump, args=(client, server, TO_FE), daemon=True)
        back.start()
        self._pump(server, client, TO_SLUICE)
        back.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _pump(self, source, sink, way):
        try:
            while True:
                packet = _read_packet(source)
                if not packet:
                    sink.shutdown(socket.SHUT_WR)
                    return
                what = self._take(way, packet)
                if what == "hold":
                    self._go_on.wait()
                    what = "cut" if self._is_dropped else what
                if what != "cut":
                    sink.sendall(packet)
                if what.startswith("cut"):
                    break
        except OSError:
            pass
        reset(sink)
        reset(source)

    def cut_all(self):
        """Whatever is open now."""
        with self._lock:
            open_now, self._sockets = self._sockets, set()
        for sock in open_now:
            reset(sock)

    def close(self):
        """The threads are gone as soon as their sockets are."""
        self.release(drop=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut_all()
        self._thread.join(10)


def _read_packet(sock):
    head = _read(sock, 4)
    return head and head + _read(sock, head[0] | head[1] << 8 | head[2] << 16)


def _read(sock, n):
    out = b""
    while len(out) < n:
        more = sock.recv(n - len(out))
        if not more:
            return b""
        out += more
    return out


def reset(sock):
    """The end at once; RST when it is closed: what is on its way is lost."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)  # wakes whoever reads it
