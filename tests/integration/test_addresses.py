"""Whose connection it is: the PROXY protocol, from load balancers and to the FE."""

import contextlib
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

import procs
import wire
from address_rig import CLIENT, HERE, fes, haproxy  # noqa: F401

pytestmark = pytest.mark.sanitize

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def hello(capabilities=wire.DEFAULT_CAPABILITIES):
    """What a TLS request and a handshake response begin with."""
    return struct.pack("<IIB", capabilities, 1 << 30, 45) + bytes(23)


ROOT = b"root\0\0mysql_native_password\0"  # without a password the scramble does not matter
TLS = wire.DEFAULT_CAPABILITIES | wire.SSL


def v2(command, family, body=b""):
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body)) + body


V4_BODY = (socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.2")
           + struct.pack(">HH", 5311, 3306))
V6_BODY = (socket.inet_pton(socket.AF_INET6, "2001:db8::7")
           + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">HH", 5311, 3306))
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.2 5311 3306\r\n"
HEADERS = {
    "v1_tcp4": (V1, "192.0.2.7:5311"),
    "v1_tcp6": (b"PROXY TCP6 2001:db8::7 ::1 5311 3306\r\n", "[2001:db8::7]:5311"),
    "v1_mapped": (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 5311 3306\r\n", "192.0.2.7:5311"),
    "v1_unknown": (b"PROXY UNKNOWN\r\n", None),
    "v2_tcp4": (v2(1, 0x11, V4_BODY), "192.0.2.7:5311"),
    "v2_tcp6": (v2(1, 0x21, V6_BODY), "[2001:db8::7]:5311"),
    "v2_local": (v2(0, 0x00), None),
    "v2_unix": (v2(1, 0x31, bytes(216)), None),
    "v2_extensions": (v2(1, 0x11, V4_BODY + b"\x04" + struct.pack(">H", 4000) + bytes(4000)),
                      "192.0.2.7:5311"),
}


class Announced(wire.Client):
    """A client behind a load balancer, which is us: `header` goes first."""

    def __init__(self, port, header=b"", source=HERE):
        wire.Stream.__init__(self, socket.create_connection((HERE, port), 30, (source, 0)))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.capabilities = wire.DEFAULT_CAPABILITIES
        self.send(header)

    @property
    def name(self):
        return "%s:%d" % self.sock.getsockname()

    def wait_taken(self):
        """Until the other side has read all that was sent."""
        port = "%04X" % self.sock.getsockname()[1]

        def look():
            for line in open("/proc/net/tcp"):
                words = line.split()
                if words[2].endswith(":" + port):
                    return words[4].endswith(":00000000")
            return True
        procs.wait_until(look, 10, "the other side to read")


def closed(sluice):
    """Every session.closed so far, as dicts."""
    lines = re.findall(r"session\.closed (.*)", sluice.log_text())
    return [{k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|\S+)', line)}
            for line in lines]


def wait_closed(sluice, **wanted):
    """The first session.closed line of which these patterns hold."""
    def look():
        return next((line for line in closed(sluice)
                     if all(re.search(p, line.get(k, "")) for k, p in wanted.items())), None)
    return procs.wait_until(look, 15, "session.closed with %r" % wanted)


# --- the PROXY protocol from a load balancer ------------------------------------------------------

@pytest.fixture
def announced(standin, sluice):
    """A sluice that wants headers from 127.0.0.1, and a client behind it."""
    def make(config=None):
        return sluice(standin(), {"proxy.proxy_protocol_from": "192.0.2.0/24, 127.0.0.1",
                                  "proxy.health_interval": 0, **(config or {})})
    return make


def test_headers(announced):
    """Each form is taken; the log names the client, and the balancer as `via`."""
    front = announced()
    for header, wanted in HEADERS.values():
        client = Announced(front.port, header)
        own = client.name
        client.login("root", "")
        assert client.query("SELECT 40 + 2") == [("rows", [[b"42"]])]
        client.command(b"\x01")
        if wanted is None:
            line = wait_closed(front, client="^%s$" % re.escape(own))
            assert "via" not in line
        else:
            line = wait_closed(front, via="^%s$" % re.escape(own))
            assert line["client"] == wanted
        client.close()


def test_header_bytewise(announced):
    """Each byte alone, and the greeting comes after the last one only."""
    front = announced()
    for header in (V1, v2(1, 0x11, V4_BODY + b"\x04\0\3abc")):
        client = Announced(front.port)
        for i in range(len(header)):
            client.send(header[i:i + 1])
            client.wait_taken()
        client.login("root", "")
        assert client.query("SELECT 1") == [("rows", [[b"1"]])]
        client.close()


@pytest.mark.parametrize("cut", [0, 5, 20])
def test_header_and_more_in_one_segment(announced, cut):
    """What follows the header in its segment is the client's, to the byte."""
    front = announced()
    for header, _ in HEADERS.values():
        client = Announced(front.port, header[:cut])
        client.wait_taken()
        client.send(header[cut:] + wire.packet(1, hello() + ROOT) + wire.query("SELECT 7"))
        assert client.read_packet()[1][0] == 10
        assert client.read_packet()[1][0] == wire.OK
        assert client.read_results() == [("rows", [[b"7"]])]
        client.close()


@pytest.mark.parametrize("header, reason", [
    (b"\x85\xa6\xff\1", "does not begin with a PROXY protocol header"),
    (b"GET / HTTP/1.1\r\n\r\n", "does not begin with a PROXY protocol header"),
    (b"PROXY UNKNOWN " + b"x" * 200, "no end within 107 bytes"),
    (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n", "address or port that is none"),
    (b"PROXY TCP4 1.2.3.4\r\n", "none of"),
    (v2(1, 0x11, V4_BODY[:11]), "too short for its addresses"),
    (v2(2, 0x11, V4_BODY), "does not exist"),
    (SIGNATURE + b"\x21\x11\xff\xff", "longer than 4096"),
    (v2(1, 0x11, V4_BODY + b"\x03\0\4abcd"), "checksum is wrong"),
], ids=str)
def test_bad_header(announced, header, reason):
    """An ERR that says it, a reason in the log, and the FE hears nothing of it."""
    front = announced()
    client = Announced(front.port, header)
    payload = client.read_packet()[1]
    assert payload[0] == wire.ERR
    assert wire.error(payload)[0] == 1043
    assert reason in wire.error(payload)[1]
    assert client.is_closed()
    line = wait_closed(front, reason=re.escape(reason))
    assert line["state"] == "header" and line["fe"] == "-"
    client.close()


def test_missing_and_half_header(announced):
    """Without a header, or with half of one, it ends at login_timeout."""
    front = announced({"proxy.login_timeout": 2000})
    for header, reason in ((b"", "none came within"), (V1[:20], "not whole within")):
        client = Announced(front.port, header)
        assert reason in wire.error(client.read_packet()[1])[1]
        assert client.is_closed()
        wait_closed(front, reason=reason)
        client.close()


def test_login_timeout_counts_from_the_connect(announced):
    """A late header does not begin the time anew."""
    front = announced({"proxy.login_timeout": 2000})  # in which it must be greeted
    client = Announced(front.port, V1[:-1])
    client.wait_taken()
    began = time.monotonic()
    client.send(V1[-1:])
    assert client.read_packet()[1][0] == 10
    assert client.is_closed()
    assert time.monotonic() - began < procs.patience(5)
    wait_closed(front, reason="login_timeout", client="192.0.2.7")
    client.close()


def test_balancers_check_is_not_logged(announced):
    """Closed without a byte: a check, seen at level debug only. Half a header is worth a line."""
    front = announced({"log.level": "info"})
    for _ in range(3):
        Announced(front.port).close()
    client = Announced(front.port, V1[:10])
    client.wait_taken()
    client.close()
    wait_closed(front, reason="within its PROXY header")
    assert len(closed(front)) == 1


def test_header_from_elsewhere_is_not_believed(announced):
    """Who is not listed needs no header, and gets nowhere with one."""
    front = announced()
    client = Announced(front.port, b"", CLIENT)
    own = client.name
    client.login("root", "")
    client.close()
    assert "via" not in wait_closed(front, client=re.escape(own))
    for header in (V1, v2(1, 0x11, V4_BODY)):
        client = Announced(front.port, header, CLIENT)
        own = client.name
        assert client.read_packet()[1][0] == 10
        assert client.read_packet()[1][0] == wire.ERR
        assert client.is_closed()
        wait_closed(front, client=re.escape(own))
        client.close()
    assert not any("192.0.2.7" in line["client"] for line in closed(front))


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl crc32c-opt",
                                     "send-proxy-v2 check check-send-proxy inter 200"])
def test_behind_haproxy(announced, haproxy, version):
    front = announced()
    version = version.replace("crc32c-opt", "proxy-v2-options crc32c,unique-id")
    at = (HERE, procs.free_port())
    haproxy((at, "%s:%d %s" % (HERE, front.port, version)))
    for _ in range(3):
        with contextlib.closing(procs.connect(at[1], bind_address=CLIENT)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 40 + 2")
                assert cursor.fetchone() == (42,)
    line = wait_closed(front, client="^" + re.escape(CLIENT))
    assert line["via"].startswith(HERE + ":")


@pytest.mark.parametrize("value, entry", [
    ("10.0.0.0/8, 10.0.0.1/8", "10.0.0.1/8"), ("lb.example.com", "lb.example.com"),
    ("::1/129", "::1/129")])
def test_bad_networks(sluice, value, entry):
    """--check-config names the entry."""
    class Nowhere:
        port = 9030
    process = sluice(Nowhere(), {"proxy.proxy_protocol_from": value}, start=False)
    process.write_config()
    done = subprocess.run([*process.argv, "--check-config"], capture_output=True, text=True,
                          timeout=procs.patience(20))
    assert done.returncode != 0
    assert '"%s"' % entry in done.stderr and "proxy_protocol_from" in done.stderr


# --- the PROXY protocol to the FE -----------------------------------------------------------------

@pytest.mark.parametrize("mode", ["mandatory", "optional"])
def test_announced_to_the_fe(standin, sluice, mode):
    """The FE sees the client, and sees it in time; Sluice's own connections say UNKNOWN."""
    # 10 ms in Doris, in which a process that a busy machine holds up does not even see its connect.
    fe = standin(knobs={"proxy_protocol": mode, "proxy_wait_ms": 2000})
    front = sluice(fe, {"proxy.backend_proxy_protocol": "v1", "doris.http": None,
                        "proxy.health_interval": 100})
    procs.wait_until(lambda: fes(front)[0]["state"] == "up", 10, "the FE up")
    ports = []
    for _ in range(20):
        with contextlib.closing(front.connect(bind_address=CLIENT)) as connection:
            ports.append(connection._sock.getsockname()[1])
            with connection.cursor() as cursor:
                cursor.execute("SELECT USER()")
                assert cursor.fetchone()[0].endswith("@'%s'" % CLIENT)
    lines = fe.state()["proxy_lines"]
    for port in ports:
        assert "PROXY TCP4 %s %s %d %d" % (CLIENT, HERE, port, front.port) in lines
    assert "PROXY UNKNOWN" in lines
    assert set(lines) - {"PROXY UNKNOWN"} == {line for line in lines if "TCP4" in line}


@pytest.mark.parametrize("n_dead", [1, 3])
def test_announced_past_dead_fes(standin, sluice, n_dead):
    fe = standin(knobs={"proxy_protocol": "optional", "proxy_wait_ms": 2000})
    ports = [procs.free_port() for _ in range(n_dead)] + [fe.port]
    front = sluice(fe, {"proxy.backend": ", ".join("%s:%d" % (HERE, port) for port in ports),
                        "proxy.backend_proxy_protocol": "v1", "proxy.health_interval": 0})
    for _ in range(3):
        client = Announced(front.port)
        client.login("root", "")
        assert fe.state()["proxy_lines"][-1].startswith("PROXY TCP4 127.0.0.1 ")
        client.close()
    fe.kill9()
    client = Announced(front.port)
    code, text = wire.error(client.read_packet()[1])
    assert code == 1429 and all("%s:%d" % (HERE, port) in text for port in ports)
    client.close()


def test_announced_with_tls(announced, tmp_path):
    """The header is in clear, what follows is not."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key",
                    "-out", "crt", "-days", "2", "-subj", "/CN=sluice"], cwd=tmp_path, check=True,
                   capture_output=True)
    front = announced({"proxy.tls": "required", "proxy.tls_cert": tmp_path / "crt",
                       "proxy.tls_key": tmp_path / "key"})
    context = ssl.create_default_context(cafile=str(tmp_path / "crt"))
    context.check_hostname = False
    client = Announced(front.port, HEADERS["v2_tcp4"][0] + wire.packet(1, hello(TLS)))
    assert client.read_packet()[1][0] == 10
    client.sock = context.wrap_socket(client.sock)
    client.send(wire.packet(2, hello(TLS) + ROOT))
    assert client.read_packet()[1][0] == wire.OK
    assert client.query("SELECT 1") == [("rows", [[b"1"]])]
    client.close()
    assert wait_closed(front, client="192.0.2.7")


def test_announced_on(standin, sluice):
    """What a balancer announced is what the FE hears; with another family it is UNKNOWN."""
    fe = standin(knobs={"proxy_protocol": "mandatory"})
    front = sluice(fe, {"proxy.backend_proxy_protocol": "v1", "proxy.health_interval": 0,
                        "proxy.proxy_protocol_from": HERE})
    wanted = {"v1_tcp4": V1[:-2], "v1_tcp6": b"PROXY TCP6 2001:db8::7 ::1 5311 3306",
              "v1_mapped": b"PROXY UNKNOWN", "v2_tcp4": V1[:-2]}
    for name, line in wanted.items():
        client = Announced(front.port, HEADERS[name][0])
        client.login("root", "")
        assert fe.state()["proxy_lines"][-1] == line.decode(), name
        client.close()
