"""The C API's own suite before Doris's greeting: what passes without sluice passes with it."""

import re
import subprocess
import threading

import procs
from bed import DorisFront
from mariadb import PASSWORD, USER, MariaDB

# Without TRANSACTIONS, MULTI_RESULTS and the like fewer tests pass than before MariaDB's own greeting.
AT_LEAST = 200


def run_suite(names, port, directory):
    """{test: did it pass}; one process a test, as some of them end theirs."""
    directory.mkdir()
    passed = {}
    for name in names:
        done = subprocess.run(
            ["mysql_client_test", "--no-defaults", "-h127.0.0.1", "-P%d" % port, "-u" + USER,
             "-p" + PASSWORD, "-v", directory, "-c", "-s", name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=procs.patience(60))
        passed[name] = done.returncode == 0
        (directory / (name + ".log")).write_bytes(done.stdout)
    return passed


def test_mysql_client_test(tmp_path):
    listed = subprocess.run(["mysql_client_test", "--no-defaults", "-T"], capture_output=True,
                            text=True, check=True).stdout
    names = re.findall(r"^(test_\w+)", listed, re.M)
    made = []

    def start(make, *args):
        path = tmp_path / ("p%d" % len(made))
        path.mkdir()
        made.append(make(path, *args))
        made[-1].start()
        return made[-1]

    try:
        direct = start(DorisFront, start(MariaDB))
        sluice = start(procs.Sluice, start(DorisFront, start(MariaDB)))
        expected = {}
        thread = threading.Thread(target=lambda: expected.update(
            run_suite(names, direct.port, tmp_path / "direct")))
        thread.start()
        try:
            found = run_suite(names, sluice.port, tmp_path / "through")
        finally:
            thread.join()
        for process in reversed(made):
            process.stop()
            assert not process.sanitizer_reports()
    finally:
        for process in made:
            process.kill9()
    assert sum(expected.values()) >= AT_LEAST, "the suite itself does not run"
    other = [name for name in names if found[name] != expected[name]]
    assert not other, "\n".join("%s: %s" % (name, (tmp_path / "through" / (name + ".log")).read_text(
        errors="replace")[-500:]) for name in other)
