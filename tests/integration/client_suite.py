"""
The C API's own suite, mysql_client_test of MariaDB: what becomes of each of its tests directly and
through Sluice. A few of them race with themselves (they kill their own connection, say) and fail now
and then on either side: those that differ are run again, and differ only if no outcome is common.
"""

import re
import subprocess
import threading

import procs
from mariadb import PASSWORD, USER

RUNS = 4


def names():
    listed = subprocess.run(["mysql_client_test", "--no-defaults", "-T"], capture_output=True,
                            text=True, check=True).stdout
    return re.findall(r"^(test_\w+)", listed, re.M)


def run(tests, port, directory):
    """{test: did it pass}; one process a test, as some of them end theirs."""
    directory.mkdir(exist_ok=True)
    passed = {}
    for name in tests:
        done = subprocess.run(
            ["mysql_client_test", "--no-defaults", "-h127.0.0.1", "-P%d" % port, "-u" + USER,
             "-p" + PASSWORD, "-v", directory, "-c", "-s", name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=procs.patience(60))
        passed[name] = done.returncode == 0
        (directory / (name + ".log")).write_bytes(done.stdout)
    return passed


def compare(direct_port, through_port, directory, at_least):
    """Two servers, as the tests change global state. Fails if a test fares otherwise through Sluice."""
    tests, direct = names(), {}
    thread = threading.Thread(target=lambda: direct.update(
        run(tests, direct_port, directory / "direct")))
    thread.start()
    try:
        through = run(tests, through_port, directory / "through")
    finally:
        thread.join()
    assert sum(direct.values()) >= at_least, "the suite itself does not run"
    other = [name for name in tests if through[name] != direct[name]]
    for _ in range(RUNS - 1):
        # What both have done once is no difference; each began with another outcome.
        again = run(other, through_port, directory / "through")
        again_direct = run(other, direct_port, directory / "direct")
        other = [name for name in other if again[name] == through[name]
                 and again_direct[name] == direct[name]]
    assert not other, "\n".join("%s: %s" % (
        name, (directory / "through" / (name + ".log")).read_text(errors="replace")[-500:])
        for name in other)
