"""Hosts and balancers: HAProxy, the FEs as /health shows them, rows without ado."""

import contextlib
import json
import socket

import pytest

import procs

HERE = "127.0.0.1"
CLIENT = "127.0.0.5"  # any host of 127/8 is ours


def rows(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def fes(front):
    return json.loads(front.http("/health")[1])["fes"]


def wait_fe(front, i, state, timeout=15):
    def look():
        return fes(front)[i] if fes(front)[i]["state"] == state else None
    return procs.wait_until(look, timeout, "FE %d %s" % (i, state))


class HAProxy(procs.Process):
    """Listens where each of `pairs` says and connects to where it says: ((host, port), "server")."""

    def __init__(self, directory, pairs):
        self.pairs = pairs
        text = ("defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n"
                " timeout server 60s\n")
        for i, (at, server) in enumerate(pairs):
            text += "listen l%d\n bind %s:%d\n server s %s\n" % (i, *at, server)
        (directory / "haproxy.cfg").write_text(text)
        super().__init__("haproxy", directory,
                         ["/usr/sbin/haproxy", "-db", "-f", directory / "haproxy.cfg"])

    def wait_started(self):
        def look():
            self.must_live()
            with contextlib.closing(socket.socket()) as probe:
                return probe.connect_ex(self.pairs[-1][0]) == 0
        procs.wait_until(look, 15, "haproxy to listen")

    def stop(self, timeout=15.0):
        self.kill9()  # SIGTERM waits for connections


@pytest.fixture
def haproxy(registry):
    def make(*pairs):
        process = registry.add(HAProxy(registry.new_directory("haproxy"), pairs))
        process.start()
        return process
    return make
