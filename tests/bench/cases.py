"""
The cases: what is done to each candidate, and how often. In every round each candidate has its
turn, each time another one first, so that a machine that drifts drifts for all.
"""

import dataclasses
import fnmatch
import statistics

import drive
import machine
import procs

PEERS = ("direct", "floor", "haproxy", "nginx")
CONNECTIONS = (1, 16, 64)
AT_A_TIME = 8
ROWS = {"50B": 50, "1000B": 1000, "32MB": 32 << 20}
TABLE_ROWS = 10000
GB = 1000 ** 3
SPARE_FILES = 200
QUERY_ROUNDS = 3  # where the scheduler puts the processes matters: many short rounds


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much of everything."""

    rounds: int
    ms: int  # of a round of queries or connects, of which there are QUERY_ROUNDS times as many
    sysbench_s: int
    sysbench_events: int  # 0: as many as fit
    big_bytes: int
    stall_bytes: int
    settle_s: float  # that memory must not change, and is watched
    idle: tuple
    idle_tls: int  # of the last number


FULL = Scale(rounds=5, ms=200, sysbench_s=1, sysbench_events=0, big_bytes=3 * GB // 2,
             stall_bytes=4 * GB, settle_s=1.2, idle=(2000, 10000), idle_tls=2000)
QUICK = Scale(rounds=1, ms=50, sysbench_s=1, sysbench_events=200, big_bytes=GB // 20,
              stall_bytes=GB // 5, settle_s=0.3, idle=(20, 60), idle_tls=20)


@dataclasses.dataclass(frozen=True)
class Case:
    """`run(fleet, scale)` gives {candidate: [figures of each round]} and {candidate: note}."""

    name: str
    title: str
    form: str  # rate, big, stall or idle: which figures there are
    run: object


def interleave(candidates, rounds, measure):
    """A candidate that fails is measured no further; the others are."""
    samples = {name: [] for name, _ in candidates}
    notes = {}
    for turn in range(rounds):
        first = turn % max(1, len(candidates))
        for name, process in candidates[first:] + candidates[:first]:
            if name in notes:
                continue
            try:
                samples[name].append(measure(process))
            except (drive.LoadError, procs.ProcessError, OSError) as e:
                notes[name] = "not measured: %s" % e
                del samples[name]
    return samples, notes


def once(candidates, measure):
    return interleave([c for c in candidates if c[0] != "direct"], 1, measure)


def select1(kind, n):
    return Case("select1-%s-%d" % (kind, n), "SELECT 1, %d connections, %s" % (n, kind), "rate",
                lambda fleet, scale: interleave(fleet.candidates(kind), QUERY_ROUNDS * scale.rounds,
                                                lambda p: drive.queries(p, n, scale.ms)))


def connects(kind):
    return Case("connects-%s" % kind,
                "connect + login + SELECT 1 + quit, %d at a time, %s" % (AT_A_TIME, kind), "rate",
                lambda fleet, scale: interleave(fleet.candidates(kind), QUERY_ROUNDS * scale.rounds,
                                                lambda p: drive.connects(p, AT_A_TIME, scale.ms)))


def sysbench(n):
    def run(fleet, scale):
        if "sysbench" in fleet.left_out:
            return {}, {"sysbench": fleet.left_out["sysbench"]}
        drive.sysbench_prepare(fleet.backend("mariadb"), TABLE_ROWS)
        return interleave(
            fleet.candidates("mariadb"), scale.rounds,
            lambda p: drive.sysbench(p, n, TABLE_ROWS, scale.sysbench_s, scale.sysbench_events))
    return Case("sysbench-%d" % n,
                "sysbench oltp_point_select, prepared, %d connections, mariadb" % n, "rate", run)


def big(label, row_size):
    return Case("big-%s" % label, "one result of 1.5 GB, rows of %s, fake" % label, "big",
                lambda fleet, scale: interleave(
                    fleet.candidates("fake"), scale.rounds,
                    lambda p: drive.big(p, scale.big_bytes, row_size)))


def stall():
    return Case("stall", "a client that reads nothing of a 4 GB result, fake", "stall",
                lambda fleet, scale: once(
                    fleet.candidates("fake"),
                    lambda p: drive.stall(p, scale.stall_bytes, 1000, scale.settle_s)))


def steps_that_fit(steps):
    """
    The numbers of connections, the last one cut to what a process may open here, and a note of
    that. A relay needs two sockets a connection, and some files of its own.
    """
    most = (machine.max_files() - SPARE_FILES) // 2
    if most >= steps[-1]:
        return steps, {}
    return (*steps[:-1], most), {
        "note": "%d connections instead of %d: a process may open %d files here (ulimit -Hn)"
                % (most, steps[-1], machine.max_files())}


def first_rounds(samples):
    return {name: rounds[0] for name, rounds in samples.items()}


def idle():
    def run(fleet, scale):
        steps, note = steps_that_fit(scale.idle)
        found, notes = once(fleet.candidates("fake"),
                            lambda p: drive.idle(p, steps, 0, scale.settle_s))
        return first_rounds(found), note | notes
    return Case("idle", "idle connections, fake", "idle", run)


def idle_tls():
    def run(fleet, scale):
        steps, note = steps_that_fit(scale.idle[-1:])
        found, notes = once([("sluice", fleet.sluice_with_tls("fake"))],
                             lambda p: drive.idle(p, steps, scale.idle_tls, scale.settle_s))
        return first_rounds(found), note | notes
    return Case("idle-tls", "idle connections, 2,000 of the 10,000 with TLS, fake", "idle", run)


def tls(n):
    """The other relays cannot: in MySQL's protocol TLS begins behind the greeting."""
    def run(fleet, scale):
        pair = [("direct", dict(fleet.candidates("mariadb"))["direct"])] \
            if "direct" in fleet.names else []
        encrypted = fleet.sluice_with_tls("mariadb")
        return interleave(
            [*pair, ("sluice", encrypted)], QUERY_ROUNDS * scale.rounds,
            lambda p: drive.queries(p, n, scale.ms, *(["tls"] if p is encrypted else [])))
    return Case("tls-%d" % n,
                "SELECT 1 over TLS that sluice terminates, %d connections, mariadb" % n, "rate",
                run)


ALL = [
    *(select1("mariadb", n) for n in CONNECTIONS),
    *(select1("fake", n) for n in CONNECTIONS),
    *(sysbench(n) for n in CONNECTIONS),
    connects("mariadb"),
    connects("fake"),
    *(big(label, size) for label, size in ROWS.items()),
    stall(),
    idle(),
    idle_tls(),
    tls(16),
]


def choose(patterns):
    """The cases that a pattern names; a plain word also names those that begin with it."""
    if not patterns:
        return ALL
    return [case for case in ALL
            if any(fnmatch.fnmatch(case.name, p) or case.name.startswith(p) for p in patterns)]


def medians(rounds):
    keys = rounds[0].keys()
    return {key: None if rounds[0][key] is None else statistics.median(r[key] for r in rounds)
            for key in keys}


def ratios(samples, name, key):
    """Median over the rounds of candidate / peer, for every peer that has the figure."""
    found = {}
    for peer in PEERS:
        pairs = [(own[key], other[key])
                 for own, other in zip(samples[name], samples.get(peer, []))
                 if own.get(key) is not None and other.get(key)]
        if pairs and peer != name:
            found[peer] = statistics.median(a / b for a, b in pairs)
    return found


COST = {"rate": "cpu_us", "big": "cpu_s_per_gb"}


def evaluate(case, samples, notes):
    """What is reported of a case, for people and machines."""
    result = {"name": case.name, "title": case.title, "form": case.form, "notes": notes,
              "candidates": {}}
    for name, rounds in samples.items():
        if not rounds:
            continue
        entry = {"rounds": rounds}
        if case.form in COST:
            entry["median"] = medians(rounds)
            entry["rate_ratio"] = ratios(samples, name, "rate")
            entry["cpu_ratio"] = ratios(samples, name, COST[case.form])
        result["candidates"][name] = entry
    return result
