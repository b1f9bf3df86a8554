"""Fixtures: swift, bucket, standin, sluice and rig, which puts them together."""

import contextlib
import pathlib
import shutil
import tempfile

import pytest

import procs
from bucket import Bucket
from rig import Rig

KEPT_LINES = 60
REGISTRY = pytest.StashKey()
SESSION = []  # processes that live for the whole run
RUN = {}  # what all workers of a run share


def pytest_configure(config):
    config.addinivalue_line("markers", "quick: runs in tests/run --quick too")
    config.addinivalue_line("markers", "sanitize: runs on the ASan and TSan builds too")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the processes of a failed test said goes into its report."""
    report = (yield).get_result()
    if not report.failed:
        return
    registry = item.stash.get(REGISTRY, None)
    for process in [*(registry.processes if registry else []), *SESSION]:
        text = process.log_text(KEPT_LINES)
        if text.strip():
            report.sections.append(("%s in %s" % (process.name, process.directory.name), text))


class Registry:
    """Every process of one test, so that it is ended however the test ends."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.processes = []

    def new_directory(self, name):
        path = self.directory / ("%s-%d" % (name, len(self.processes)))
        path.mkdir()
        return path

    def add(self, process):
        self.processes.append(process)
        return process

    def end(self):
        """Ends all, newest first; returns what went wrong."""
        wrong = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except procs.ProcessError as e:
                wrong.append(str(e))
            finally:
                process.kill9()
            wrong += process.sanitizer_reports()
        return wrong


@pytest.fixture
def registry(request):
    directory = tempfile.mkdtemp(prefix="sluice-test-")
    found = request.node.stash[REGISTRY] = Registry(directory)
    try:
        yield found
        wrong = found.end()
        if wrong:
            pytest.fail("after the test: " + "\n".join(wrong), pytrace=False)
    finally:
        for process in found.processes:
            process.kill9()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """In the process that starts the workers, for each: one Swift for all, its start is long."""
    if "swift" not in RUN:
        RUN["swift"] = procs.Swift(tempfile.mkdtemp(prefix="sluice-swift-"))
        RUN["swift"].start()
    node.workerinput["swift"] = (str(RUN["swift"].directory), RUN["swift"].port)


def pytest_unconfigure():
    if "swift" in RUN:
        end_swift(RUN.pop("swift"))


def end_swift(server):
    with contextlib.suppress(procs.ProcessError):
        server.stop(60)  # it waits for each of its four
    server.kill9()
    shutil.rmtree(server.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def swift(request):
    """One strict S3 server for the run: .endpoint .access_key .secret_key .region."""
    directory, port = getattr(request.config, "workerinput", {}).get("swift", (None, None))
    server = procs.Swift(directory or tempfile.mkdtemp(prefix="sluice-swift-"))
    SESSION.append(server)
    if directory:
        server.port = port
        yield server
        return
    try:
        server.start()
        yield server
    finally:
        end_swift(server)


@pytest.fixture
def bucket(swift):
    made = Bucket(swift).create()
    yield made
    made.delete()


@pytest.fixture
def standin(registry):
    """standin(profile="4.1", users={}, knobs={}) -> a running procs.StandIn."""
    def make(profile="4.1", users=None, knobs=None):
        process = registry.add(procs.StandIn(registry.new_directory("standin"), profile, users,
                                             knobs))
        process.start()
        return process
    return make


@pytest.fixture
def sluice(registry):
    """sluice(fe, {"section.key": value}, start=True) -> procs.Sluice in front of fe."""
    def make(fe, config=None, start=True):
        process = registry.add(procs.Sluice(registry.new_directory("sluice"), fe, config))
        if start:
            process.start()
        return process
    return make


@pytest.fixture
def rig(standin, sluice, bucket):
    """rig(profile="4.1", users, knobs, config) -> stand-in, sluice, bucket and a table: rig.Rig."""
    def make(profile="4.1", users=None, knobs=None, config=None):
        fe = standin(profile, users, knobs)
        return Rig(fe, sluice(fe, config), bucket)
    return make
