"""The fault points that concern the store, Doris and S3, by their numbers, and who tests each."""

import pytest

POINTS = {
    1: "crash before the task's intent is durable",
    2: "crash after the intent, before the INSERT is sent",
    3: "crash after the INSERT was sent, without a reply",
    4: "reply OK received, crash before the offset is saved",
    5: "response lost after the commit",
    6: "INSERT timed out here while it still runs in Doris",
    7: "CANCEL TASK while it commits",
    8: "PAUSE racing with the commit",
    9: "ALTER while the task's statement still runs",
    10: "DROP JOB, CREATE of the same name, an old task in flight",
    11: "two schedulers active",
    12: "zombie: a stopped process wakes after its store was taken over",
    13: "the clock jumps by an hour, forth and back",
    14: "disk full under the state store",
    15: "torn last record",
    16: "fsync returns EIO",
    17: "power loss: what was not synced is gone",
    18: "state store restored from an older backup",
    19: "task ids after a crash",
    20: "upgrade with a task in flight",
    21: "label exists: PREPARE",
    22: "label exists: PRECOMMITTED",
    23: "label COMMITTED, not VISIBLE",
    24: "label VISIBLE",
    25: "label ABORTED, then used again",
    26: "label forgotten by age, task in doubt",
    27: "label forgotten by count, pushed out by other loads",
    28: "CLEAN LABEL by an administrator",
    29: "publish never completes",
    30: "FE master switch during a load",
    31: "FE restarted from an older image",
    32: "BE lost in the middle of a load",
    33: "transaction not found at the commit",
    34: "cut between the data and the commit",
    35: "reply of the commit lost",
    36: "the same load sent twice",
    37: "abort aimed at the wrong transaction",
    38: "too many versions (-235)",
    39: "running transactions of the database at their limit",
    40: "table dropped, truncated, changed during the job",
    41: "no privilege for SHOW TRANSACTION",
    42: "late file with a lower name",
    43: "overwritten between LIST and read",
    44: "overwritten after the load",
    45: "deleted between LIST and read",
    46: "objects of no bytes, directory markers",
    47: "LIST cut, SlowDown, an error in a 200",
    48: "continuation invalid in the middle of a listing",
    49: "the key of start-after is deleted",
    50: "eventual listing: a file appears after a greater one",
    51: "names that are special to globs, URIs and XML",
    52: "corrupt gzip, wrong schema in one of many files",
    53: "credentials expire in the middle",
    54: "a file greater than a batch may be",
    55: "the bucket goes, and comes back empty",
}


def point(number, how):
    """Marks the test of a fault point; `how` says how the fault is injected."""
    assert number in POINTS
    return pytest.mark.point(number=number, how=how)


def written(results):
    """
    tests/faults.md. `results`: [(number, how, test, outcome)]. Nothing in it depends on the machine
    or the time, so a run that finds the same leaves the same file.
    """
    lines = ["# Fault points 1 to 55, on real processes", "",
             "Written by a run of all of `tests/faults` (`tests/run --only faults`). faults/README.md says",
             "with what the faults are made and what is compared after each. `sluice` is the real binary,",
             "S3 is OpenStack Swift, the FE is `tests/standin`.", "",
             "| point | what | how the fault is made | test | result |", "|---|---|---|---|---|"]
    for (number, how, test), cases in sorted(_by_test(results).items()):
        lines.append("| %d | %s | %s | `%s` | %s |" % (number, POINTS[number], how, test,
                                                      _told(cases)))
    missing = sorted(set(POINTS) - {number for number, *_ in results})
    lines += ["| %d | %s | - | - | **not tested** |" % (number, POINTS[number])
              for number in missing]
    return "\n".join(lines) + "\n"


def _by_test(results):
    """{(number, how, test without its case): {case: outcome}}."""
    found = {}
    for number, how, test, outcome in results:
        name, _, case = test.partition("[")
        found.setdefault((number, how, name), {})[case.rstrip("]")] = outcome
    return found


def _told(cases):
    bad = sorted("%s %s" % (case, outcome) for case, outcome in cases.items()
                 if outcome != "passed")
    if bad:
        return "**%s**" % ", ".join(bad).strip()
    return "passed" if len(cases) == 1 else "passed, %d cases" % len(cases)
