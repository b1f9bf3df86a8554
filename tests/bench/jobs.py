"""
Measures how fast Sluice answers queries over jobs() and tasks(), and what that does to the relay.

A store is filled with paused jobs of 100 finished tasks each, a real sluice is started on it, in
front of a server that costs next to nothing (fakeserver.c: it has no jobs() of its own), and one
client asks again as soon as it has its answer. Then four clients relay `SELECT 1`, alone and while
another asks for all of jobs() again and again, or while a process beside just burns one core as
that query does: the difference between the latter two is what the queries take from the relay.
"""

import argparse
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

QUERIES = {
    "one job": "SELECT * FROM jobs('type'='insert') WHERE Name = 'orders_00007'",
    "states": "SELECT Status, COUNT(*) FROM jobs('type'='insert') GROUP BY Status",
    "a page": "SELECT Id, Name, Status, SucceedTaskCount, ErrorMsg FROM jobs('type'='insert') "
              "ORDER BY Name LIMIT 50",
    "tasks of one": "SELECT * FROM tasks('type'='insert') WHERE JobName = 'orders_00007'",
    "all jobs": "SELECT * FROM jobs('type'='insert')",
    "count of tasks": "SELECT COUNT(*) FROM tasks('type'='insert')",
}
GOALS_MS = {1000: 1.0, 10000: 20.0}  # of the first four: what a person or a dashboard asks
JUDGED = 4
RELAYS = 4


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="tests/bench/jobs", description=__doc__.strip(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="SLUICE_BUILD names the build to be measured; without "
                                            "it that is build/.")
    parser.add_argument("--quick", action="store_true",
                        help="a small store: shows that it works; the figures mean nothing")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path,
                        help="writes the figures there, too")
    return parser.parse_args(argv)


def directory_of_memory():
    """So that filling a store does not wait for a disk."""
    shared = pathlib.Path("/dev/shm")
    return shared if shared.is_dir() else None


@contextlib.contextmanager
def running(process):
    try:
        process.start()
        yield process
    finally:
        process.kill9()


def measure_queries(drive, port, ms):
    figures = {}
    for name, sql in QUERIES.items():
        with drive.Load("ask", port, 1, ms, sql) as load:
            result = load.say()
        figures[name] = {"p50_ms": result["p50_ns"] / 1e6, "p99_ms": result["p99_ns"] / 1e6,
                         "n": result["n"]}
    return figures


@contextlib.contextmanager
def burning():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
        try:
            yield
        finally:
            burner.kill()


@contextlib.contextmanager
def asking(drive, port, ms):
    """All of jobs(), again and again, for so long; ends with it."""
    with drive.Load("ask", port, 1, ms, QUERIES["all jobs"]) as load:
        thread = threading.Thread(target=load.say)
        thread.start()
        try:
            yield
        finally:
            thread.join()


def measure_relay(drive, port, ms):
    """SELECT 1 beside nothing, beside a burnt core, beside jobs()."""
    beside = {"alone": contextlib.nullcontext, "a busy core": burning,
              "jobs()": lambda: asking(drive, port, 2 * ms)}
    figures = {}
    for name, neighbour in beside.items():
        with drive.Load("queries", port, RELAYS, ms) as load, neighbour():
            result = load.say()
        figures[name] = {"rate": result["n"] / (result["ns"] / 1e9),
                         "p50_us": result["p50_ns"] / 1e3, "p99_us": result["p99_ns"] / 1e3}
    return figures


def measure(directory, n_jobs, n_tasks, ms):
    import candidates
    import drive
    import procs
    place = directory / ("jobs-%d" % n_jobs)
    place.mkdir()
    subprocess.run([candidates.tool("fill"), place / "sluice.db", str(n_jobs), str(n_tasks)],
                   check=True)
    backend = candidates.make_fake(place / "fake")
    with running(backend):
        sluice = procs.Sluice(place, backend, {"log.level": "info", "scheduler.max_jobs": 100000})
        with running(sluice):
            return {"jobs": n_jobs, "tasks": n_tasks,
                    "queries": measure_queries(drive, sluice.port, ms),
                    "relay": measure_relay(drive, sluice.port, ms)}


def text_of(figures):
    import report
    goal = GOALS_MS.get(figures["jobs"])
    rows = [["%d jobs of %d tasks" % (figures["jobs"], figures["tasks"]), "p50 ms", "p99 ms",
             "goal"]]
    for i, (name, f) in enumerate(figures["queries"].items()):
        said = "" if goal is None or i >= JUDGED else \
            "%g ms %s" % (goal, "ok" if f["p50_ms"] <= goal else "MISSED")
        rows.append([name, "%.3f" % f["p50_ms"], "%.3f" % f["p99_ms"], said])
    relay = [["SELECT 1 x %d, beside" % RELAYS, "rate/s", "p50 µs", "p99 µs"]]
    relay += [[name, "%.0f" % f["rate"], "%.0f" % f["p50_us"], "%.0f" % f["p99_us"]]
              for name, f in figures["relay"].items()]
    return "\n".join([*report.lines_of(rows), "", *report.lines_of(relay), ""])


def main(argv):
    options = parse_arguments(argv)
    import machine
    print("%(processor)s, %(cores)d cores, kernel %(kernel)s, load %(load_before).2f\n"
          % machine.description())
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-", dir=directory_of_memory()))
    results = []
    try:
        for n_jobs in (20,) if options.quick else sorted(GOALS_MS):
            results.append(measure(directory, n_jobs, 5 if options.quick else 100,
                                   100 if options.quick else 2000))
            print(text_of(results[-1]), flush=True)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
