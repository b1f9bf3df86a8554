"""Fixtures: the places the clients are sent to, see bed.py."""

import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from bed import PROFILES, Bed  # noqa: E402

KEPT_LINES = 40
BEDS = []


@pytest.fixture(scope="session")
def bed():
    with tempfile.TemporaryDirectory(prefix="sluice-clients-") as directory:
        made = Bed(directory)
        BEDS.append(made)
        try:
            yield made
            wrong = made.end()
            assert not wrong, "\n".join(wrong)
        finally:
            BEDS.remove(made)
            for process in made.processes:
                process.kill9()


@pytest.fixture(params=["mariadb", *PROFILES])
def place(request, bed):
    return bed.place(request.param)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """What the processes said goes into a failed test's report."""
    report = (yield).get_result()
    if report.failed:
        for process in (p for made in BEDS for p in made.processes):
            text = process.log_text(KEPT_LINES)
            if text.strip():
                report.sections.append((process.name, text))
