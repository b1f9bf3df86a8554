"""
Fixtures: superset (one server for the run, signed in by API and by browser) and place, which puts a
stand-in FE with a table, a sluice before it, a bucket and a job under it, once for each profile.
"""

import contextlib
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import procs  # noqa: E402
from bucket import Bucket  # noqa: E402

import api  # noqa: E402
import bed  # noqa: E402
import browser  # noqa: E402
from place import PROFILES, Place  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
KEPT_LINES = 60
RUNNING = []  # for the report of a failed test


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """In one process whatever -n says, when only this is asked for: each would start a Superset."""
    asked = [pathlib.Path(arg.split("::")[0]).resolve() for arg in config.args]
    if getattr(config.option, "numprocesses", None) and all(HERE in (p, *p.parents) for p in asked):
        config.option.numprocesses = 0


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """What the processes of a failed test said goes into its report."""
    report = (yield).get_result()
    if report.failed:
        for process in RUNNING:
            report.sections.append(("%s in %s" % (process.name, process.directory),
                                    process.log_text(KEPT_LINES)))


@contextlib.contextmanager
def running(make):
    """The process that make(directory) gives, in a private directory; nothing is left of either."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-superset-"))
    process = None
    try:
        process = make(directory)
        RUNNING.append(process)
        process.start()
        yield process
        process.stop()
        assert not process.sanitizer_reports()
    finally:
        if process is not None:
            process.kill9()
            RUNNING.remove(process)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def server():
    """Superset itself."""
    with running(bed.Superset) as made:
        yield made


@pytest.fixture(scope="session")
def superset(server):
    """Its REST API, signed in."""
    return api.Api(server.url)


@pytest.fixture(scope="session")
def page(server):
    """A browser whose user has signed in as a person does."""
    with running(browser.Browser) as made:
        made.open(server.url + "/login/")
        made.click("document.querySelector('#username')")
        made.type_text(bed.USER)
        made.click("document.querySelector('#password')")
        made.type_text(bed.PASSWORD)
        made.key("Enter")
        made.wait_for("location.pathname.includes('welcome')", "the page after the login")
        yield made


@pytest.fixture(scope="session")
def swift():
    with running(procs.Swift) as made:
        yield made


@pytest.fixture(scope="module", params=PROFILES)
def place(request, superset, swift):
    bucket = Bucket(swift).create()
    with contextlib.ExitStack() as stack:
        stack.callback(bucket.delete)
        fe = stack.enter_context(running(lambda d: procs.StandIn(d, request.param, Place.users())))
        sluice = stack.enter_context(running(lambda d: procs.Sluice(d, fe)))
        made = Place(request.param, superset, fe, sluice, bucket)
        stack.callback(made.close)
        yield made
