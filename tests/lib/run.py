"""
Runs Sluice's checks and tests; tests/run sets the machine up and calls it.

One line a step, output only of what failed (all of it is kept in build/test-logs), and as the last
line the number of individual tests: `N passed, N failed, N skipped`. Exit code 0 without failures.
"""

import argparse
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import proc  # noqa: E402
import results  # noqa: E402
import steps  # noqa: E402

COLOURS = {"ok": "\033[32m", "FAIL": "\033[31m", "skip": "\033[33m"}


def parse_arguments(argv):
    extra = []
    if "--" in argv:
        extra = argv[argv.index("--") + 1:]
        argv = argv[:argv.index("--")]
    parser = argparse.ArgumentParser(prog="tests/run", description=__doc__.strip(),
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="What follows -- goes to pytest: tests/run --only "
                                            "integration -- -k crash -x")
    parser.add_argument("--quick", action="store_true",
                        help="the inner loop: static checks, plain build, unit and a few "
                             "integration tests")
    parser.add_argument("--only", metavar="STEP", action="append", default=[],
                        help="this step and what it needs; may be given more than once")
    parser.add_argument("--list", action="store_true", help="name the steps")
    parser.add_argument("--no-skips", action="store_true", help="a skipped test is a failure")
    options = parser.parse_args(argv)
    options.extra = extra
    return options


def choose(options, all_steps):
    """The steps to run, in order; those that --only named and those they need."""
    by_name = {step.name: step for step in all_steps}
    unknown = [name for name in options.only if name not in by_name]
    if unknown:
        sys.exit("tests/run: there is no step %s; --list names them" % ", ".join(unknown))
    if not options.only:
        return [step for step in all_steps
                if (step.in_quick if options.quick else step.in_whole)]
    wanted = set(options.only)
    for name in options.only:
        wanted.update(by_name[name].needs)
    return [step for step in all_steps if step.name in wanted]


def print_step(name, word, counts, seconds):
    shown = "%-4s" % word
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        shown = COLOURS[word] + shown + "\033[0m"
    print("%s  %-12s %-36s %7.1f s" % (shown, name, counts, seconds), flush=True)


def describe(outcome):
    parts = [(outcome.passed, "passed"), (outcome.failed, "failed"), (outcome.skipped, "skipped")]
    return ", ".join("%d %s" % part for part in parts if part[0])


def run_step(step, ctx, broken):
    """Runs one step unless something it needs failed; returns its Outcome."""
    missing = [name for name in step.needs if name in broken]
    start = time.monotonic()
    if missing:
        outcome = results.Outcome(failed=1)
        counts = "not run: %s failed" % ", ".join(missing)
    else:
        ctx.log = ctx.logs / (step.name + ".log")
        ctx.log.unlink(missing_ok=True)
        try:
            outcome = step.run(ctx)
        except OSError as e:
            outcome = results.Outcome().fail("%s: %s" % (e.filename or step.name, e.strerror))
        counts = describe(outcome)
    print_step(step.name, "FAIL" if outcome.failed else "ok", counts, time.monotonic() - start)
    for text in outcome.show:
        print("\n".join("    " + line for line in text.splitlines()), flush=True)
    if outcome.failed and not missing:
        print("    log: %s" % os.path.relpath(ctx.log, steps.ROOT), flush=True)
    for text in outcome.skips:
        print("    skipped: %s" % text, flush=True)
    return outcome


def main(argv):
    options = parse_arguments(argv)
    all_steps = steps.all_steps()
    if options.list:
        for step in all_steps:
            when = " (quick)" if step.in_quick else "" if step.in_whole else " (by --only)"
            print("%-12s %s%s" % (step.name, step.what, when))
        return 0
    chosen = choose(options, all_steps)
    ctx = steps.Context(steps.ROOT / "build" / "test-logs", options.extra, options.quick)
    ctx.logs.mkdir(parents=True, exist_ok=True)
    proc.adopt_orphans()
    total, broken = results.Outcome(), set()
    for step in chosen:
        outcome = run_step(step, ctx, broken)
        if outcome.failed:
            broken.add(step.name)
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.skipped += outcome.skipped
    is_good = total.failed == 0
    if options.no_skips and total.skipped:
        is_good = False
        print("FAIL  with --no-skips every test has to run")
    print("%d passed, %d failed, %d skipped" % (total.passed, total.failed, total.skipped))
    return 0 if is_good else 1


def interrupt(number, frame):
    """SIGTERM is like Ctrl-C: what was started is ended first."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("\ntests/run: interrupted", file=sys.stderr)
        sys.exit(130)
