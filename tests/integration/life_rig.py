"""A Sluice before MariaDB, its log and its metrics: for test_life.py and test_life_reload.py."""

import contextlib
import re

import pytest

import procs
import wire
from mariadb import PASSWORD, USER
from relay_rig import mariadb  # noqa: F401: a fixture

HELD_UP = "SELECT GET_LOCK('held up', 600)"  # answers 1 when held_up() is over
BIG = "SELECT REPEAT('x', 1000) FROM mysql.seq_1_to_4000000"


@pytest.fixture
def front(sluice, mariadb):  # noqa: F811
    """front({"key": value}) -> a Sluice before MariaDB, with what the tests here ask of one."""
    def make(config=None, start=True):
        made = sluice(mariadb, {"proxy.health_interval": 0, **(config or {})}, start=False)
        if start:
            made.start()
        return made
    return make


def client(sluice, user=USER, password=PASSWORD, **more):
    return wire.Client(sluice.port, user, password, **more)


def login_error(sluice, user=USER, password=PASSWORD):
    """(code, text) of a login that is refused."""
    c = wire.Client(sluice.port)
    with contextlib.closing(c), pytest.raises(procs.pymysql.OperationalError) as e:
        c.login(user, password)
    return e.value.args


def events(sluice, name):
    """Log lines of an event, each a dict."""
    lines = re.findall(r" %s (.*)" % re.escape(name), sluice.log_text())
    return [dict((k, v.strip('"')) for k, v in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))
            for line in lines]


def wait_event(sluice, name, n=1, **values):
    """The n-th line of that event with these values."""
    def look():
        found = [e for e in events(sluice, name)
                 if all(re.search(v, e.get(k, "")) for k, v in values.items())]
        return found[n - 1] if len(found) >= n else None
    return procs.wait_until(look, 20, "log line %d of %s with %s" % (n, name, values))


def metric(sluice, name):
    status, text = sluice.http("/metrics")
    assert status == 200, text
    found = re.search(r"^%s (\S+)$" % re.escape(name), text, re.M)
    assert found, "%s is not in:\n%s" % (name, text)
    return float(found.group(1))


def sessions_now(sluice):
    return sum(int(n) for n in re.findall(r"^sluice_sessions\{.*\} (\d+)$",
                                          sluice.http("/metrics")[1], re.M))


def reload(sluice, n=1, **config):
    """SIGHUP with other values, section__key=value; waits for the n-th to be read."""
    sluice.config.update({key.replace("__", "."): value for key, value in config.items()})
    sluice.reload()
    return wait_event(sluice, "config.reloaded", n)


def wait_ended(sluice):
    """After a signal of the test's own: stop() would send a second one."""
    procs.wait_until(lambda: not sluice.is_running(), 20, "the end of sluice")
    assert sluice.popen.returncode == 0


@contextlib.contextmanager
def held_up(mariadb):  # noqa: F811
    """So long, the statement HELD_UP runs in MariaDB and does not end."""
    with mariadb.connect() as c, c.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('held up', 30)")
        assert cursor.fetchone() == (1,)
        yield


def wait_held_up(c):
    """Until HELD_UP runs in MariaDB."""
    procs.wait_until(lambda: c.query("SELECT COUNT(*) FROM information_schema.processlist WHERE "
                                     "INFO LIKE 'SELECT GET_LOCK%' AND STATE = 'User lock'")
                     == [("rows", [[b"1"]])], what="the statement to run")
