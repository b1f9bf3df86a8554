"""Sluice with TLS on either side, in front of a MariaDB that offers it: fixtures and helpers."""

import contextlib
import pathlib
import re
import tempfile

import pymysql
import pytest

import procs
from certs import Authority
from mariadb import PASSWORD, USER, MariaDB


@pytest.fixture(scope="module")
def authority():
    with tempfile.TemporaryDirectory(prefix="sluice-certs-") as directory:
        made = Authority(pathlib.Path(directory))
        made.proxy = made.issue("proxy")
        made.fe = made.issue("fe")
        yield made


@contextlib.contextmanager
def mariadb_with(pair, *options):
    """A MariaDB with this certificate."""
    with tempfile.TemporaryDirectory(prefix="sluice-mariadb-") as directory:
        server = MariaDB(pathlib.Path(directory), (
            "--ssl-cert=%s" % pair.cert, "--ssl-key=%s" % pair.key, *options))
        try:
            server.start()
            yield server
        finally:
            server.kill9()


@pytest.fixture(scope="module")
def server(authority):
    with mariadb_with(authority.fe) as running:
        yield running


@pytest.fixture
def front(sluice, server, authority):
    """front(client="off", fe="off", **keys) -> sluice; `_` in a key of proxy stays."""
    def make(client="off", fe="off", start=True, to=None, **keys):
        config = {"proxy.tls": client, "proxy.backend_tls": fe,
                  "proxy.backend_tls_ca": authority.ca, "proxy.health_interval": 0}
        if client != "off":
            config.update({"proxy.tls_cert": authority.proxy.cert,
                           "proxy.tls_key": authority.proxy.key})
        config.update({"proxy." + key: value for key, value in keys.items()})
        return sluice(to or server, config, start)
    return make


def tls_options(authority):
    return {"ssl": {"ca": str(authority.ca), "check_hostname": True}}


def app(front, authority, is_encrypted, **more):
    tls = tls_options(authority) if is_encrypted else {"ssl_disabled": True}
    return front.connect(USER, PASSWORD, **tls, **more)


def refused(make, *args):
    with pytest.raises(pymysql.MySQLError) as caught:
        make(*args).close()
    return caught.value.args


def wait_log(running, pattern):
    return procs.wait_until(lambda: re.search(pattern, running.log_text()), what=pattern)
