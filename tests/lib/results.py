"""Counts individual tests from what the test programs wrote."""

import dataclasses
import json
import re
import xml.etree.ElementTree

SUMMARY = re.compile(r"\[  (PASSED |FAILED |SKIPPED) \] (\d+) test")


@dataclasses.dataclass
class Outcome:
    """What a step came to. `show` is output worth reading, only of what failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    show: list = dataclasses.field(default_factory=list)
    skips: list = dataclasses.field(default_factory=list)

    def fail(self, text):
        self.failed += 1
        self.show.append(text)
        return self


def static_check(code, note, output):
    """A check that is one test."""
    out = Outcome()
    if code == 0 and not note:
        out.passed = 1
        return out
    return out.fail("\n".join(filter(None, [note, output])) or "exit code %d" % code)


def _count_program(out, record):
    text = (record.get("stdout") or "") + "\n" + (record.get("stderr") or "")
    counts = {"PASSED": 0, "FAILED": 0, "SKIPPED": 0}
    for kind, number in SUMMARY.findall(text):
        counts[kind.strip()] += int(number)
    result = record["result"]
    if result == "SKIP":
        out.skipped += 1
        out.skips.append(record["name"])
        return
    is_good = result in ("OK", "EXPECTEDFAIL")
    if not is_good and counts["FAILED"] == 0:
        counts["FAILED"] = 1  # a crash, a leak or a time-out behind passing assertions
    if is_good and not any(counts.values()):
        counts["PASSED"] = 1  # not a cmocka program
    out.passed += counts["PASSED"]
    out.failed += counts["FAILED"]
    out.skipped += counts["SKIPPED"]
    if counts["SKIPPED"]:
        out.skips.append("%s: %d" % (record["name"], counts["SKIPPED"]))
    if not is_good:
        out.show.append("%s: %s\n%s" % (record["name"], result, text.strip()[-6000:]))


def meson_log(path):
    """Meson's testlog.json, one JSON object a line; cmocka's own counts where a program has them."""
    out = Outcome()
    try:
        lines = path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return out.fail("meson wrote no test log")
    for line in lines:
        _count_program(out, json.loads(line))
    if out.passed + out.failed + out.skipped == 0:
        out.fail("no test ran")
    return out


def junit(path):
    """pytest's --junitxml. A test whose fixture failed to end is one failed test, not two."""
    out = Outcome()
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (FileNotFoundError, xml.etree.ElementTree.ParseError):
        return out.fail("pytest wrote no report")
    worst = {}
    for case in root.iter("testcase"):
        name = "%s::%s" % (case.get("classname"), case.get("name"))
        kind = 0
        for child in case:
            if child.tag in ("failure", "error"):
                kind = 2
            elif child.tag == "skipped" and kind == 0:
                kind = 1
                out.skips.append("%s: %s" % (name, child.get("message")))
        worst[name] = max(kind, worst.get(name, 0))
    out.passed = sum(1 for kind in worst.values() if kind == 0)
    out.skipped = sum(1 for kind in worst.values() if kind == 1)
    out.failed = sum(1 for kind in worst.values() if kind == 2)
    if not worst:
        out.fail("no test ran")
    return out
