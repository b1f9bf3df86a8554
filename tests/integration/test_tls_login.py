"""Passwords and configuration with TLS on one side of Sluice or on both."""

import re
import subprocess

import pytest

import procs
import wire
from tls_rig import authority, front, server  # noqa: F401: fixtures
from tls_wire import client_context, serve_tls, server_context, start_tls


def scripted_login(stream, context, *exchange):
    """
    A scripted FE: with TLS if there is a context; then `exchange`: what it sends, and None where
    the client's packet is due. Returns what the client sent.
    """
    got = []
    if context:
        sequence, response = serve_tls(stream, context)
    else:
        stream.send(wire.packet(0, wire.greeting()))
        sequence, response = stream.read_packet()
    assert sequence == (2 if context else 1)
    got.append(response)
    for payload in exchange:
        if payload is None:
            number, answer = stream.read_packet()
            assert number == sequence + 1
            got.append(answer)
        else:
            stream.send(wire.packet(sequence + 1, payload))
        sequence += 1
    return got


def log_in_by_hand(front, authority, is_encrypted, plugin=b"mysql_native_password"):
    """(client, the sequence id that its response had)."""
    client = wire.Client(front.port)
    greeting = client.read_packet()[1]
    if is_encrypted:
        start_tls(client, client_context(authority))
    response = client.response(greeting, "anna", "secret")
    response = response.replace(b"mysql_native_password", plugin)
    client.send(wire.packet(1 + is_encrypted, response))
    return client, 1 + is_encrypted


CLEAR = b"\xfemysql_clear_password\0"
SHA2 = b"\xfecaching_sha2_password\0abcdefghijklmnopqrst\0"


@pytest.mark.sanitize
@pytest.mark.parametrize("has_fe_tls", [False, True])
def test_clear_password(front, authority, has_fe_tls):
    """Of an LDAP account: only by TLS, or when it is allowed."""
    context = server_context(authority.fe) if has_fe_tls else None
    got = []

    def script(stream):
        got.append(None)
        got[-1] = scripted_login(stream, context, CLEAR, None, wire.OK_PACKET)
        stream.is_closed()

    with wire.FakeServer(script) as fe:
        running = front("optional", to=fe, fe="preferred")
        client, sequence = log_in_by_hand(running, authority, False)
        number, reply = client.read_packet()
        code, text = wire.error(reply)
        assert (number, code) == (sequence + 1, 1251) and "proxy.allow_clear_passwords" in text
        assert client.is_closed()
        allowing = front("optional", to=fe, fe="preferred", allow_clear_passwords="on")
        for where, is_encrypted in ((running, True), (allowing, False), (allowing, True)):
            client, sequence = log_in_by_hand(where, authority, is_encrypted)
            assert client.read_packet() == (sequence + 1, CLEAR)
            client.send(wire.packet(sequence + 2, b"secret\0"))
            assert client.read_packet() == (sequence + 3, wire.OK_PACKET)
            assert got[-1][1] == b"secret\0" if got[-1] else True
            client.close()
        for payload in (b"mysql_clear_password", b"dialog"):  # unasked
            n = len(got)
            client, sequence = log_in_by_hand(running, authority, False, payload)
            number, reply = client.read_packet()
            assert (number, wire.error(reply)[0]) == (sequence + 1, 1251)
            assert client.is_closed()
            procs.wait_until(lambda: len(got) > n and got[-1] is None, what="the FE saw nothing")
    assert got[0] is None and b"secret" not in repr(got[0]).encode()


@pytest.mark.sanitize
@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("has_fe_tls", [False, True])
def test_caching_sha2(front, authority, is_encrypted, has_fe_tls):
    """The full exchange goes through with the same on both sides, and is refused otherwise."""
    context = server_context(authority.fe) if has_fe_tls else None
    got = []

    def script(stream):
        got.extend(scripted_login(stream, context, SHA2, None, b"\1\4", None, wire.OK_PACKET))
        stream.is_closed()

    with wire.FakeServer(script) as fe:
        running = front("optional", to=fe, fe="preferred")
        client, at = log_in_by_hand(running, authority, is_encrypted)
        assert client.read_packet() == (at + 1, SHA2)
        client.send(wire.packet(at + 2, b"s" * 32))
        number, reply = client.read_packet()
        assert number == at + 3
        if is_encrypted == has_fe_tls:
            assert reply == b"\1\4"
            client.send(wire.packet(at + 4, b"secret\0"))
            assert client.read_packet() == (at + 5, wire.OK_PACKET)
        else:
            code, text = wire.error(reply)
            assert code == 1251 and "caching_sha2_password" in text and "proxy.backend_tls" in text
            assert client.is_closed()
        client.close()
    assert got == [] or got[1:] == [b"s" * 32, b"secret\0"]


@pytest.mark.sanitize
def test_change_user_shows_no_password(front, authority):
    """COM_CHANGE_USER asked for the clear password, and naming the plugin itself."""
    def script(stream):
        wire.log_in(stream)
        assert stream.read_packet()[1][:1] == b"\x11"
        stream.send(wire.packet(1, CLEAR))
        stream.is_closed()

    with wire.FakeServer(script) as fe:
        running = front(to=fe)
        for plugin in (b"mysql_native_password", b"mysql_clear_password"):
            client = wire.Client(running.port, "anna", "secret")
            client.command(b"\x11other\0\0\0\x2d\0" + plugin + b"\0")
            number, reply = client.read_packet()
            assert (number, wire.error(reply)[0]) == (1, 1251)
            assert client.is_closed()
            client.close()


# --- configuration --------------------------------------------------------------------------------

def test_check_config(front, authority, tmp_path):
    old = authority.issue("expired", from_days=-3, to_days=-1)
    wrong = [({"tls": "optional", "tls_cert": None}, "proxy.tls_cert"),
             ({"tls_cert": tmp_path / "none"}, "No such file"),
             ({"tls_key": authority.fe.key}, "does not belong to the certificate"),
             ({"tls_cert": authority.proxy.both, "tls_key": None}, None),
             ({"tls_cert": old.cert, "tls_key": old.key}, "warning: .*has expired"),
             ({"backend_tls": "verify", "backend_tls_ca": authority.fe.key}, "no certificate")]
    for i, (keys, text) in enumerate(wrong):
        running = front("required", start=False, **keys)
        running.write_config()
        done = subprocess.run([*running.argv, "--check-config"], env=running.env,
                              capture_output=True, text=True)
        is_right = text is None or "warning" in text
        assert done.returncode == (0 if is_right else 2), done
        assert re.search(text or "is right", done.stderr + done.stdout), done
        if i < 3:
            with pytest.raises(procs.ProcessError):
                running.start()
            assert re.search(text, running.log_text())
