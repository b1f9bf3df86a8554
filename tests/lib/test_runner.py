"""The runner's own tests: that it counts right, notices what is left behind, and ends what hangs."""

import os
import pathlib
import subprocess
import sys
import time

import proc
import results
import tidy

HERE = pathlib.Path(__file__).resolve().parent


def in_child(tmp_path, code):
    """Runs code in a process of its own: adopting orphans is for a process as a whole."""
    script = tmp_path / "script.py"
    script.write_text("import sys\nsys.path.insert(0, %r)\nimport proc\nproc.adopt_orphans()\n%s"
                      % (str(HERE), code))
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def is_alive(pid):
    try:
        return pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_daemon_left_behind_is_named_and_ended(tmp_path):
    pid_file = tmp_path / "pid"
    out = in_child(tmp_path, """
code, note = proc.run(["sh", "-c", "setsid sleep 300 & echo $! > %s"], %r, cwd="/")
print(code, note)
""" % (pid_file, str(tmp_path / "log")))
    assert out == "0 left processes behind: sleep 300"
    assert not is_alive(int(pid_file.read_text()))


def test_clean_command_has_no_note(tmp_path):
    out = in_child(tmp_path, "print(proc.run(['sh', '-c', 'echo hi; exit 3'], %r, cwd='/'))"
                   % str(tmp_path / "log"))
    assert out == "(3, '')"
    assert (tmp_path / "log").read_text().endswith("hi\n")


def test_hanging_command_is_ended_at_its_deadline(tmp_path):
    start = time.monotonic()
    out = in_child(tmp_path, "print(proc.run(['sleep', '300'], %r, cwd='/', timeout_s=0.5))"
                   % str(tmp_path / "log"))
    assert out.startswith("(124, 'ended after")
    assert time.monotonic() - start < 30


def test_missing_program_is_said(tmp_path):
    code, note = proc.run(["no-such-program-here"], tmp_path / "log", cwd="/")
    assert code == 127 and "no-such-program-here" in note


def meson_record(**more):
    return {"name": "t", "result": "OK", "stdout": "", "stderr": "", **more}


def meson_outcome(tmp_path, *records):
    import json
    path = tmp_path / "testlog.json"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return results.meson_log(path)


def test_meson_counts_cmocka_tests(tmp_path):
    out = meson_outcome(
        tmp_path,
        meson_record(stderr="[  PASSED  ] 5 test(s).\n"),
        meson_record(stderr="[  PASSED  ] 2 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n"),
        meson_record(result="FAIL", stderr="[  PASSED  ] 3 test(s).\n[  FAILED  ] 2 test(s)\n"),
        meson_record(stdout="12 inputs replayed\n"))
    assert (out.passed, out.failed, out.skipped) == (11, 2, 1)


def test_meson_leak_behind_passing_tests_is_a_failure(tmp_path):
    out = meson_outcome(tmp_path, meson_record(result="ERROR", stderr="[  PASSED  ] 5 test(s).\n"))
    assert (out.passed, out.failed) == (5, 1)
    assert "t: ERROR" in out.show[0]


def test_meson_without_tests_is_a_failure(tmp_path):
    assert meson_outcome(tmp_path).failed == 1
    assert results.meson_log(tmp_path / "none").failed == 1


def test_junit_counts_a_test_once(tmp_path):
    path = tmp_path / "r.xml"
    path.write_text("""<testsuites><testsuite>
        <testcase classname="a" name="good"/>
        <testcase classname="a" name="bad"><failure/></testcase>
        <testcase classname="a" name="bad"><error/></testcase>
        <testcase classname="a" name="not"><skipped message="why"/></testcase>
        </testsuite></testsuites>""")
    out = results.junit(path)
    assert (out.passed, out.failed, out.skipped) == (1, 1, 1)
    assert out.skips == ["a::not: why"]


def test_junit_missing_or_empty_is_a_failure(tmp_path):
    assert results.junit(tmp_path / "none.xml").failed == 1
    (tmp_path / "e.xml").write_text("<testsuites><testsuite/></testsuites>")
    assert results.junit(tmp_path / "e.xml").failed == 1


def test_tidy_sees_headers_of_headers(tmp_path):
    for name, text in (("base/a.c", '#include "base/b.h"\n'), ("base/b.h", '#include "base/c.h"\n'),
                       ("base/c.h", ""), ("base/d.h", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {p.name for p in tidy.with_headers(tmp_path, tmp_path / "base/a.c")}
    assert found == {"a.c", "b.h", "c.h"}
    before = tidy._key(tmp_path, tmp_path / "base/a.c", b"")
    (tmp_path / "base/c.h").write_text("int x;\n")
    assert tidy._key(tmp_path, tmp_path / "base/a.c", b"") != before


def run_py(*arguments):
    return subprocess.run([sys.executable, str(HERE / "run.py"), *arguments], capture_output=True,
                          text=True, timeout=60, check=False, env={**os.environ, "NO_COLOR": "1"})


def test_unknown_step_is_refused():
    done = run_py("--only", "nonsense")
    assert done.returncode == 1 and "there is no step nonsense" in done.stderr


def test_list_names_every_step():
    names = [line.split()[0] for line in run_py("--list").stdout.splitlines()]
    assert len(names) == len(set(names)) and {"layers", "unit", "integration"} <= set(names)
