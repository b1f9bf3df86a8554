"""Fixtures of the fault tests, and the table that a run of all of them writes."""

import contextlib
import importlib.util
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
INTEGRATION = HERE.parent / "integration"
sys.path[:0] = [str(HERE), str(INTEGRATION)]

import points  # noqa: E402
import procs  # noqa: E402
from faults_rig import FaultRig  # noqa: E402
from link import Link  # noqa: E402
from s3front import S3Front  # noqa: E402
from shim import ShimmedSluice  # noqa: E402

_spec = importlib.util.spec_from_file_location("integration_conftest", INTEGRATION / "conftest.py")
shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(shared)
pytest_runtest_makereport = shared.pytest_runtest_makereport
pytest_configure_node, pytest_unconfigure = (shared.pytest_configure_node,
                                             shared.pytest_unconfigure)
registry, swift, bucket = shared.registry, shared.swift, shared.bucket

TABLE = HERE.parent / "faults.md"
RESULTS = {}  # (number, how, test): outcome


def pytest_configure(config):
    config.addinivalue_line("markers", "point(number, how): a fault point of points.py")


def pytest_collection_modifyitems(items):
    """
    A report says which points its test is about: the writer of the table sees only reports. The long
    tests go to the beginnings of the workers' shares.
    """
    long = [item for item in items if item.path.name.startswith("test_every")]
    rest = [item for item in items if item not in long]
    for i, item in enumerate(long):
        rest.insert(i * len(items) // len(long), item)
    items[:] = rest
    for item in items:
        for mark in item.iter_markers("point"):
            item.user_properties.append(("point", (mark.kwargs["number"], mark.kwargs["how"])))


def pytest_runtest_logreport(report):
    test = report.nodeid.rsplit("::", 1)[-1]
    for name, value in report.user_properties:
        if name == "point":
            key = (*value, test)
            if report.outcome != "passed":
                RESULTS[key] = report.outcome
            elif report.when == "call":
                RESULTS.setdefault(key, "passed")


def pytest_sessionfinish(session):
    """Only a run of everything may say what is tested: of this folder whole, and not of a worker."""
    is_worker = hasattr(session.config, "workerinput")
    chosen = session.config.option.keyword or session.config.option.markexpr
    names = [arg for arg in session.config.args if "::" not in arg]
    is_whole = any(pathlib.Path(name).resolve() == HERE for name in names)
    if is_worker or chosen or not is_whole or not RESULTS:
        return
    text = points.written([(*key, outcome) for key, outcome in RESULTS.items()])
    if not TABLE.exists() or TABLE.read_text() != text:
        TABLE.write_text(text)


def pytest_terminal_summary(terminalreporter):
    """How many calls the loops over every call met: figures that differ by the machine."""
    lines = [value for reports in terminalreporter.stats.values() for report in reports
             for name, value in getattr(report, "user_properties", ()) if name == "figure"
             and getattr(report, "when", "") == "call"]
    for line in sorted(lines):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def shared_fe():
    """One FE for the run; each test has a database of its own in it."""
    directory = tempfile.mkdtemp(prefix="sluice-faults-")
    fe = procs.StandIn(directory)
    shared.SESSION.append(fe)
    try:
        fe.start()
        fe.usual_knobs = {k: v for k, v in fe.state()["knobs"].items()}
        yield fe
    finally:
        with contextlib.suppress(procs.ProcessError):
            fe.stop()
        fe.kill9()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def fe(shared_fe):
    if not shared_fe.is_running():
        shared_fe.restart()
    shared_fe.knobs(**shared_fe.usual_knobs)
    return shared_fe


@pytest.fixture
def own_fe(registry):
    """own_fe(profile, knobs=…) -> an FE that only this test has."""
    def make(profile="4.1", users=None, knobs=None):
        made = registry.add(procs.StandIn(registry.new_directory("standin"), profile, users, knobs))
        made.start()
        return made
    return make


@pytest.fixture
def link(fe):
    """A proxy between sluice and the FE that can cut and hold packets."""
    made = Link(fe.port)
    made.http_port = fe.http_port
    yield made
    made.close()


@pytest.fixture
def front(swift, bucket):
    """What sluice and Doris take for the store; the bucket's own client asks it directly."""
    made = S3Front(swift)
    bucket.server = made
    yield made
    bucket.server = swift
    made.close()


@pytest.fixture
def rig(registry, fe, bucket):
    """rig(config, front=link, shimmed=False, of=another FE) -> FaultRig with sluice running."""
    def make(config=None, front=None, shimmed=False, of=None, store=bucket):
        at = front or of or fe
        kind = ShimmedSluice if shimmed else procs.Sluice
        sluice = registry.add(kind(registry.new_directory("sluice"), at,
                                   {"scheduler.resume_delay": 100, **(config or {})}))
        sluice.start()
        return FaultRig(of or fe, sluice, store, registry)
    return make
