"""
Measures the scheduler on one machine: how soon a new object's rows are there, what lies between two
tasks, how soon a restarted sluice works, what a thousand idle jobs cost, a hundred loads at once,
listing, tracked files, and how the store grows.

Where sluice is what is measured, the object store and the FE are programs of this folder that cost
next to nothing; where a whole load is, they are Swift and the stand-in FE. The last table compares
with the goals. A missed goal changes no exit code: figures of a busy machine mean little.
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import time


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="tests/bench/scheduler", description=__doc__.strip(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="SLUICE_BUILD names the build to be measured; without "
                                            "it that is build/. The store lies on the disk of "
                                            "TMPDIR.")
    parser.add_argument("--quick", action="store_true",
                        help="small numbers: shows that it works; the figures mean nothing")
    parser.add_argument("--full", action="store_true",
                        help="ten million tracked files and more samples: three quarters of "
                             "an hour")
    parser.add_argument("--only", metavar="CASE", action="append", default=[],
                        help="some cases; --list names them")
    parser.add_argument("--list", action="store_true", help="names the cases")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path,
                        help="writes the figures there, too")
    return parser.parse_args(argv)


def goals_text(goals):
    import report
    rows = [["", "is", "must be", ""]]
    for goal in goals:
        rows.append([goal["what"], "%.4g %s" % (goal["value"], goal["unit"]),
                     "%s %g %s" % ("<=" if goal["is_upper"] else ">=", goal["bound"], goal["unit"]),
                     "met" if goal["is_met"] else "MISSED"])
    n_met = sum(goal["is_met"] for goal in goals)
    return "\n".join(["the scheduler reaches %d of %d goals" % (n_met, len(goals)),
                      *report.lines_of(rows)])


def run_case(case, directory, size):
    """The case's result: figures, lines and goals, or why there are none."""
    import procs
    place = directory / case.name
    place.mkdir()
    begin = time.monotonic()
    try:
        result = case.run(place, size)
    except (procs.ProcessError, TimeoutError, OSError) as e:
        result = {"figures": {}, "lines": [["not measured: %s" % e]], "goals": [],
                  "failure": str(e)}
    result.update(name=case.name, title=case.title, took_s=time.monotonic() - begin)
    return result


def print_case(result):
    import report
    print("%s  [%s, %.0f s]" % (result["title"], result["name"], result["took_s"]))
    width = max(len(line) for line in result["lines"])
    rows = [line + [""] * (width - len(line)) for line in result["lines"]]
    print("\n".join(report.lines_of(rows)) + "\n", flush=True)


def main(argv):
    options = parse_arguments(argv)
    import machine
    import sched_cases
    chosen = [case for case in sched_cases.ALL if not options.only or case.name in options.only]
    unknown = set(options.only) - {case.name for case in sched_cases.ALL}
    if unknown:
        sys.exit("tests/bench/scheduler: there is no case %s; --list names them"
                 % ", ".join(sorted(unknown)))
    if options.list:
        print("\n".join("%-10s %s" % (case.name, case.title) for case in chosen))
        return 0
    size = sched_cases.QUICK if options.quick else \
        sched_cases.FULL if options.full else sched_cases.NORMAL
    about = machine.description()
    print("%(processor)s, %(cores)d cores, kernel %(kernel)s, load %(load_before).2f\n" % about)
    machine.raise_file_limit(20000)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    results = []
    try:
        for case in chosen:
            results.append(run_case(case, directory, size))
            print_case(results[-1])
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    goals = [goal for result in results for goal in result["goals"]]
    if goals:
        print(goals_text(goals))
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "cases": results, "goals": goals},
                                           indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
