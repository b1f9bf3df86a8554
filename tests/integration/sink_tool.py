"""sink_tool (tests/unit/sink_tool.c), which drives the INSERT sink, and what its tests share."""

import contextlib
import json
import subprocess

import pytest

import procs
from fake_fe import DEADLINE_S, FakeFE, FakeHTTP

CODE = "errCode = 2, detailMessage = "
SQL = "INSERT INTO `d`.`t` WITH LABEL `l1` SELECT * FROM S3('uri' = 's3://b/f')"
READY = '{"msg":"success","code":0,"data":{"replayedJournalId":0},"count":0}'
LIVE = set()


class Address:
    def __init__(self, port):
        self.port = port

# For a load that is to end by its deadline: in it the INSERT is reached, on a busy machine, too.
REACHED_MS = procs.patience(3) * 1000


class Running:
    """A sink_tool that runs: cancel() raises its flag, results() waits for its end."""

    def __init__(self, args):
        tool = procs.build_dir() / "tests" / "unit" / "sink_tool"
        self.popen = subprocess.Popen([tool, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        LIVE.add(self.popen)

    def cancel(self):
        self.popen.stdin.close()
        self.popen.stdin = None

    def results(self):
        out, errors = self.popen.communicate(timeout=procs.patience(DEADLINE_S))
        LIVE.discard(self.popen)
        assert self.popen.returncode == 0 and not errors, (self.popen.returncode, errors)
        return [json.loads(line) for line in out.splitlines()]

    def result(self):
        only, = self.results()
        return only


def end_tools():
    for popen in list(LIVE):
        popen.kill()
        popen.communicate()
    LIVE.clear()


@pytest.fixture
def fe():
    with contextlib.closing(FakeFE()) as fake:
        yield fake
        end_tools()


@pytest.fixture
def http():
    with contextlib.closing(FakeHTTP()) as fake:
        yield fake.on("bootstrap", READY)
        end_tools()


def start(fes, *args, http=None, **options):
    fes = fes if isinstance(fes, list) else [fes]
    argv = ["fe=127.0.0.1:%d" % (f if isinstance(f, int) else f.port) for f in fes]
    if http:
        argv.append("http=127.0.0.1:%d" % http.port)
    options = {"target": "d.t", **options}
    for key, value in options.items():
        argv += ["%s=%s" % (key, v) for v in (value if isinstance(value, list) else [value])]
    return Running([*argv, *args])


def run(fes, *args, **options):
    return start(fes, *args, **options).result()


def load(fes, **options):
    return run(fes, "load", "l1", SQL, **options)


def cut(link, sql):
    """For a script: the link breaks instead of an answer."""
    link.close()
    raise EOFError
