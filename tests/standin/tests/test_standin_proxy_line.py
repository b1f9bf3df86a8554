"""enable_proxy_protocol (facts A2), over raw sockets."""

import contextlib
import socket

import pytest

LINE = b"PROXY TCP4 192.0.2.7 198.51.100.2 5311 9030\r\n"


@contextlib.contextmanager
def link(fe, first=b""):
    with socket.create_connection(("127.0.0.1", fe.mysql), 10) as s:
        s.sendall(first)
        yield s


def is_greeting(s):
    return s.recv(4096)[4:5] == b"\x0a"


@pytest.mark.parametrize("mode", ["mandatory", "optional"])
def test_lines(start_fe, mode):
    fe = start_fe(table=False)
    fe.knobs(proxy_protocol=mode)
    for line in (LINE, b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN what ever\r\n"):
        with link(fe, line) as s:
            assert is_greeting(s)
        assert fe.state()["proxy_lines"][-1] == line[:-2].decode()
    for line in (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", b"GET / HTTP/1.1\r\n", b"PROXY TCP4 1 2\r\n",
                 b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n"):
        with link(fe, line) as s, contextlib.suppress(ConnectionResetError):
            assert s.recv(1) == b""


def test_without_a_line(start_fe):
    """Mandatory: no greeting before it. Optional: one after 10 ms."""
    fe = start_fe(table=False)
    fe.knobs(proxy_protocol="mandatory")
    with link(fe) as s:
        s.settimeout(0.2)
        with pytest.raises(TimeoutError):
            s.recv(1)
        s.settimeout(10)
        s.sendall(LINE)
        assert is_greeting(s)
    fe.knobs(proxy_protocol="optional")
    with link(fe) as s:
        assert is_greeting(s)
        assert fe.state()["proxy_lines"][-1] == ""
