"""The steps of tests/run, in their order. A step is a function of a context and returns Outcome."""

import dataclasses
import os
import pathlib
import re
import sys
import typing

import build
import proc
import results
import tidy

ROOT = build.ROOT
LAYERS = ("base", "parser", "scheduler", "sources", "proxy")
SHOWN_LINES = 120
# Folders of tests/ with a step each.
OWN_STEPS = ("integration", "faults", "clients", "superset", "bench")


@dataclasses.dataclass
class Context:
    logs: pathlib.Path
    extra: list  # arguments behind --, for pytest
    is_quick: bool = False
    log: pathlib.Path = None  # of the step that runs


@dataclasses.dataclass
class Step:
    name: str
    what: str
    run: typing.Callable
    needs: tuple = ()
    in_quick: bool = False
    in_whole: bool = True  # else only by --only: what takes long and another step nearly covers


def _tail(path, lines=SHOWN_LINES):
    text = path.read_text(errors="replace").splitlines()
    cut = len(text) - lines
    head = ["… %d lines before, see the log" % cut] if cut > 0 else []
    return "\n".join(head + text[-lines:])


def _compiler_output(path):
    """A build log from its first complaint on."""
    text = path.read_text(errors="replace")
    m = re.search(r"^(FAILED: |.*\bERROR: )", text, re.M)
    lines = (text[m.start():] if m else text).splitlines()
    return "\n".join(lines[:SHOWN_LINES])


def _run(ctx, command, **options):
    return proc.run(command, ctx.log, cwd=ROOT, **options)


def _check(ctx, command, **options):
    code, note = _run(ctx, command, **options)
    return results.static_check(code, note, _tail(ctx.log))


def c_files(folders, suffixes=(".c",)):
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*")
                  if p.suffix in suffixes and p.is_file())


def layers(ctx):
    return _check(ctx, [sys.executable, ROOT / "tests/check_layers.py", "--self-test", ROOT])


def banned(ctx):
    return _check(ctx, [sys.executable, ROOT / "tests/check_banned.py", "--self-test", ROOT])


def clang_format(ctx):
    """One short line a file: where it differs, and the command that mends it."""
    files = c_files([*LAYERS, "tests"], (".c", ".h"))
    code, note = _run(ctx, ["clang-format-14", "--dry-run", "-Werror", *files])
    places = {}
    for m in re.finditer(r"^(\S+?):(\d+):\d+: error: code should be", ctx.log.read_text(), re.M):
        places.setdefault(os.path.relpath(m.group(1), ROOT), []).append(int(m.group(2)))
    shown = ["%s: line %d%s: clang-format-14 -i %s"
             % (name, lines[0], " and %d more" % (len(lines) - 1) if lines[1:] else "", name)
             for name, lines in places.items()]
    return results.static_check(code, note, "\n".join(shown) or _tail(ctx.log))


def cppcheck(ctx):
    state = ROOT / "build" / "cppcheck"
    state.mkdir(parents=True, exist_ok=True)
    return _check(ctx, ["cppcheck", "-j%d" % build.JOBS, "--quiet", "--std=c11", "-I", ROOT,
                        "-D_GNU_SOURCE", '-DSLUICE_VERSION="x"', "--inline-suppr",
                        "--enable=warning,performance,portability", "--error-exitcode=1",
                        "--suppressions-list=%s" % (ROOT / "tests/lib/cppcheck.supp"),
                        "--cppcheck-build-dir=%s" % state, *LAYERS], timeout_s=900)


def clang_tidy(ctx):
    """Wants a configured build, not a finished one: the compile commands."""
    for command, env in build.commands("build")[:-1]:
        code, note = _run(ctx, command, env=env)
        if code or note:
            return results.Outcome().fail(note or _compiler_output(ctx.log))
    return tidy.run(ctx.log, ROOT, c_files(LAYERS), build.JOBS)


def _build(name):
    def step(ctx):
        for command, env in build.commands(name):
            code, note = _run(ctx, command, env=env, timeout_s=900)
            if code or note:
                return results.Outcome().fail(
                    "\n".join(filter(None, [note, _compiler_output(ctx.log)])))
        return results.Outcome()
    return step


def _meson_test(directory, suites=(), wrap=None, env=None, prefix=()):
    def step(ctx):
        logs = ROOT / directory / "meson-logs"
        for old in logs.glob("%s*.json" % ctx.log.stem):
            old.unlink()
        command = [*prefix, "meson", "test", "-C", ROOT / directory, "--no-rebuild",
                   "--num-processes", build.JOBS, "--logbase", ctx.log.stem]
        for suite in suites:
            command += ["--suite", suite]
        if wrap:
            command += ["--wrap", wrap, "--timeout-multiplier", "10"]
        code, note = _run(ctx, command, env=env, timeout_s=1200)
        written = sorted(logs.glob("%s*.json" % ctx.log.stem))
        out = results.meson_log(written[0] if written else logs / "none")
        return _reconcile(ctx, out, code, note)
    return step


def _reconcile(ctx, out, code, note):
    """An exit code that the counted tests do not explain is a failure of its own."""
    if note:
        out.fail(note)
    if code and not out.failed:
        out.fail("exit code %d\n%s" % (code, _tail(ctx.log)))
    return out


def _pytest(paths, sluice_build="build", marker=None, quick_marker=None, env=None, prefix=(),
            timeout_s=300, jobs=build.JOBS):
    """Two at a time: most of these tests wait for processes."""
    def step(ctx):
        report = ctx.log.with_suffix(".xml")
        report.unlink(missing_ok=True)
        command = [*prefix, sys.executable, "-m", "pytest", "-q", "-rs", "--tb=short",
                   "-p", "no:cacheprovider", "--durations=8", "--timeout=%d" % timeout_s,
                   "-n", jobs, "--dist", "worksteal",
                   "--junitxml=%s" % report]
        chosen = quick_marker if ctx.is_quick else marker
        command += ["-m", chosen] if chosen else []
        variables = {"SLUICE_BUILD": str(ROOT / sluice_build), "PYTHONPATH": str(ROOT / "tests"),
                     **(env or {})}
        code, note = _run(ctx, [*command, *paths(), *ctx.extra], env=variables, timeout_s=1500)
        out = results.junit(report)
        if out.failed:
            out.show.append(_tail(ctx.log))
        return _reconcile(ctx, out, code, note)
    return step


def quickstart(ctx):
    """What README.md tells a new user to run first."""
    return _check(ctx, [ROOT / "deploy" / "quickstart", "--once"], timeout_s=300)


def _bed_paths():
    """Tests of the test bed itself, wherever its parts keep them."""
    found = [p for p in (ROOT / "tests").rglob("test_*.py")
             if p.relative_to(ROOT / "tests").parts[0] not in OWN_STEPS]
    return sorted({p.parent for p in found})


def _tests(folder):
    return lambda: [ROOT / "tests" / folder]


_integration_paths = _tests("integration")


def all_steps():
    env = build.sanitizer_env()
    prefix = build.without_aslr()
    valgrind = ("valgrind --quiet --leak-check=full --show-leak-kinds=definite,indirect "
                "--errors-for-leak-kinds=definite,indirect --error-exitcode=99")
    suppressions = ROOT / "tests/lib/valgrind.supp"
    if suppressions.exists():
        valgrind += " --suppressions=%s" % suppressions
    return [
        Step("layers", "include directions and header guards", layers, in_quick=True),
        Step("banned", "banned functions, sizes, machine paths", banned, in_quick=True),
        Step("format", "clang-format", clang_format, in_quick=True),
        Step("build", "gcc, warnings are errors", _build("build"), in_quick=True),
        Step("unit", "unit tests and fuzz corpora", _meson_test("build"), ("build",), True),
        Step("valgrind", "unit tests under valgrind, no leak",
             _meson_test("build", ["unit"], valgrind), ("build",), in_whole=False),
        Step("cppcheck", "cppcheck", cppcheck),
        Step("tidy", "clang-tidy", clang_tidy),
        Step("build-asan", "clang, ASan and UBSan", _build("build-asan")),
        Step("unit-asan", "unit tests and corpora, ASan and UBSan",
             _meson_test("build-asan", env=env, prefix=prefix), ("build-asan",)),
        Step("build-tsan", "clang, TSan", _build("build-tsan")),
        Step("unit-tsan", "unit tests and corpora, TSan",
             _meson_test("build-tsan", env=env, prefix=prefix), ("build-tsan",)),
        Step("bed", "the test bed's own tests", _pytest(_bed_paths)),
        Step("integration", "the real binary, end to end",
             _pytest(_integration_paths, quick_marker="quick", jobs=2 * build.JOBS), ("build",),
             True),
        Step("faults", "fault points 1 to 55 on real processes",
             _pytest(_tests("faults"), jobs=2 * build.JOBS), ("build",)),
        Step("clients", "MySQL drivers of every kind", _pytest(_tests("clients")), ("build",)),
        Step("superset", "Apache Superset, by API and by browser",
             _pytest(_tests("superset"), timeout_s=900), ("build",)),
        Step("bench", "the benchmarks run; their figures are not judged",
             _pytest(_tests("bench")), ("build",)),
        Step("quickstart", "deploy/quickstart --once", quickstart, ("build",)),
        Step("e2e-asan", "crash and end-to-end tests, ASan and UBSan",
             _pytest(_integration_paths, "build-asan", "sanitize", env=env, prefix=prefix,
                     jobs=2 * build.JOBS),
             ("build-asan",)),
        Step("e2e-tsan", "crash and end-to-end tests, TSan",
             _pytest(_integration_paths, "build-tsan", "sanitize", env=env, prefix=prefix,
                     jobs=2 * build.JOBS),
             ("build-tsan",)),
    ]
