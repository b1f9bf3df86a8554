"""Runs the chosen cases and prints what comes out; relay.py reads the command line."""

import dataclasses
import json
import pathlib
import shutil
import sys
import tempfile
import time

import candidates
import cases
import drive
import machine
import report

FILES = 40000  # that a process may open: two sockets a connection


def make_scale(options):
    scale = cases.QUICK if options.quick else cases.FULL
    return dataclasses.replace(scale, rounds=options.rounds) if options.rounds else scale


def run_case(case, fleet, scale):
    try:
        samples, notes = case.run(fleet, scale)
    except (drive.LoadError, candidates.procs.ProcessError, TimeoutError, OSError) as e:
        samples, notes = {}, {"the case": "not measured: %s" % e}
    return cases.evaluate(case, samples, notes)


def measure(scale, names, chosen):
    """Every case, printed as it is done: the results, and {candidate: why it was left out}."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bench-"))
    machine.raise_file_limit(FILES)
    fleet = candidates.Fleet(directory, names)
    results = []
    try:
        for case in chosen:
            results.append(run_case(case, fleet, scale))
            print(report.case_text(results[-1]), flush=True)
    finally:
        fleet.end()
        shutil.rmtree(directory, ignore_errors=True)
    return results, fleet.left_out


def choose(options):
    names = options.candidates.split(",") if options.candidates else candidates.NAMES
    unknown = sorted(set(names) - set(candidates.NAMES))
    if unknown:
        sys.exit("tests/bench/relay: there is no candidate %s" % ", ".join(unknown))
    chosen = cases.choose(options.only)
    if not chosen:
        sys.exit("tests/bench/relay: there is no case %s; --list names them"
                 % ", ".join(options.only))
    return names, chosen


def run(options):
    names, chosen = choose(options)
    if options.list:
        print("\n".join("%-20s %s" % (case.name, case.title) for case in chosen))
        return
    about = machine.description()
    started = time.monotonic()
    print("%(processor)s, %(cores)d cores, kernel %(kernel)s, load %(load_before).2f\n" % about)
    results, left_out = measure(make_scale(options), names, chosen)
    found = report.goals(results)
    print(report.goals_text(found))
    for name, why in left_out.items():
        print("%s: left out: %s" % (name, why))
    print("took %.0f s" % (time.monotonic() - started))
    if options.json:
        options.json.write_text(json.dumps(
            {"machine": about, "is_quick": options.quick, "cases": results, "goals": found,
             "left_out": left_out}, indent=1))
