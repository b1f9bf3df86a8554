"""The C API's own suite before Doris's greeting: what passes without sluice passes with it."""

import client_suite
import procs
from bed import DorisFront
from mariadb import MariaDB

# Without TRANSACTIONS, MULTI_RESULTS and the like fewer tests pass than before MariaDB's own greeting.
AT_LEAST = 200
WAITS = ["--connect-timeout=10"]  # test_proxy_header waits for that


def test_mysql_client_test(tmp_path):
    made = []

    def start(make, *args):
        path = tmp_path / ("p%d" % len(made))
        path.mkdir()
        made.append(make(path, *args))
        made[-1].start()
        return made[-1]

    try:
        direct = start(DorisFront, start(MariaDB, WAITS))
        sluice = start(procs.Sluice, start(DorisFront, start(MariaDB, WAITS)))
        client_suite.compare(direct.port, sluice.port, tmp_path, AT_LEAST)
        for process in reversed(made):
            process.stop()
            assert not process.sanitizer_reports()
    finally:
        for process in made:
            process.kill9()
