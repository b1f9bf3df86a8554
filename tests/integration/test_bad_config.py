"""Mistakes in the configuration: one line that names file, line and key, and exit code 2."""

import os
import subprocess

import pytest

import procs
from rig import failed_start

LINES = {  # content of the file, words behind the file's name
    "unknown section": ("[prox]\nlisten = 127.0.0.1:1\n", ":2: prox.listen:", "mean proxy.listen?"),
    "unknown key": ("[proxy]\n\nlistn = 127.0.0.1:1\n", ":3: proxy.listn:", "mean proxy.listen?"),
    "far from all": ("[proxy]\ncolour = red\n", ":2: proxy.colour:", "--print-config"),
    "before a section": ("listen = 127.0.0.1:1\n", ":1: listen", "[section]"),
    "open section": ("[proxy\nlisten = 127.0.0.1:1\n", ":1:", "[section]"),
    "no value": ("[log]\nlevel\n", ":2:", "key = value"),
    "no number": ("[proxy]\nworkers = many\n", ":2: proxy.workers:", '"many"', "from 0 to 64"),
    "above": ("[proxy]\nworkers = 65\n", ":2: proxy.workers:", '"65"', "from 0 to 64"),
    "below": ("[proxy]\nworkers = -1\n", ":2: proxy.workers:", '"-1"', "from 0 to 64"),
    "empty": ("[proxy]\nworkers =\n", ":2: proxy.workers:", "from 0 to 64"),
    "unit": ("[proxy]\nconnect_timeout = 5 years\n", ":2: proxy.connect_timeout:", "ms, s, m or h"),
    "time below": ("[scheduler]\nmax_interval = 500ms\n", ":2: scheduler.max_interval:", "from 1s"),
    "address": ("[proxy]\nlisten = here\n", ":2: proxy.listen:", '"here"', "HOST:PORT"),
    "port": ("[proxy]\nlisten = 127.0.0.1:70000\n", ":2: proxy.listen:", "65535"),
    "no backend": ("[proxy]\nbackend =\n", ":2: proxy.backend:", "HOST:PORT"),
    "backend twice": ("[proxy]\nbackend = a:1, b:1, a:1\n", ":2: proxy.backend:", '"a:1"'),
    "choice": ("[log]\nlevel = loud\n", ":2: log.level:", "debug, info, warn or error"),
    "store": ("[store]\nurl = mysql://h/d\n", ":2: store.url:", "sqlite:PATH"),
    "store without path": ("[store]\nurl = sqlite:\n", ":2: store.url:", "sqlite:PATH"),
    "twice": ("[log]\nlevel = info\n[proxy]\nworkers = 1\n[log]\nlevel = warn\n",
              ":6: log.level:", "line 2"),
    "control character": ("[log]\nlevel = in\x01fo\n", ":2:", "control character"),
    "two passwords": ("[doris]\npassword = a\npassword_file = b\n", "password_file", "keep one"),
    "no password file": ("[doris]\npassword_file = /nowhere/x\n", ":2: doris.password_file:",
                         "/nowhere/x", "No such file"),
    "user empty": ("[doris]\nuser =\n", ":2: doris.user:", "1 to 128 bytes"),
}
VARIABLES = {
    "unknown": ({"SLUICE_PROXY_LISTN": "x"}, "SLUICE_PROXY_LISTN", "mean SLUICE_PROXY_LISTEN?"),
    "bound": ({"SLUICE_PROXY_WORKERS": "99"}, "SLUICE_PROXY_WORKERS", '"99"', "from 0 to 64"),
    "type": ({"SLUICE_PROXY_WORKERS": "x"}, "SLUICE_PROXY_WORKERS", '"x"', "from 0 to 64"),
    "choice": ({"SLUICE_LOG_LEVEL": ""}, "SLUICE_LOG_LEVEL", "debug, info, warn or error"),
}
ARGUMENTS = {
    "unknown key": (["--set", "proxy.worker=1"], "--set proxy.worker", "mean proxy.workers?"),
    "bound": (["--set", "proxy.workers=99"], "--set proxy.workers", '"99"', "from 0 to 64"),
    "type": (["--set", "scheduler.max_interval=1d"], "--set scheduler.max_interval", '"1d"'),
    "no section": (["--set", "workers=1"], "--set workers", "section.key=value"),
    "no value": (["--set", "proxy.workers"], "--set proxy.workers", "section.key=value"),
    "no argument": (["--set"], "--set", "--help"),
    "unknown option": (["--listen", "1"], "--listen", "--help"),
    "something else": (["start"], "start", "--help"),
    "no file": (["-c", "/nowhere/x.conf"], "/nowhere/x.conf", "No such file"),
    "a directory": (["-c", "/"], "configuration file /", "directory"),
}


def run_sluice(arguments, environment):
    env = {**{k: v for k, v in os.environ.items() if not k.startswith("SLUICE_")}, **environment}
    return subprocess.run([procs.build_dir() / "proxy" / "sluice", *arguments], env=env, text=True,
                          capture_output=True, timeout=procs.patience(20))


def check_usage(arguments, environment, *words):
    """Exit code 2, nothing on stdout, one line on stderr; --check-config and a start agree."""
    for more in ([], ["--check-config"]):
        done = run_sluice([*more, *arguments], environment)
        assert done.returncode == 2, (more, done)
        assert done.stdout == ""
        assert done.stderr.startswith("sluice: ") and done.stderr.count("\n") == 1, done.stderr
        missing = [word for word in words if word not in done.stderr]
        assert not missing, "%r is not in: %s" % (missing, done.stderr)


@pytest.mark.quick
@pytest.mark.parametrize("case", LINES)
def test_bad_line_of_the_configuration(tmp_path, case):
    text, *words = LINES[case]
    path = tmp_path / "sluice.conf"
    path.write_text(text)
    check_usage(["-c", path], {}, str(path), *words)


@pytest.mark.quick
@pytest.mark.parametrize("case", VARIABLES)
def test_bad_variable(tmp_path, case):
    environment, *words = VARIABLES[case]
    (tmp_path / "sluice.conf").write_text("")
    check_usage(["-c", tmp_path / "sluice.conf"], environment, *words)


@pytest.mark.quick
@pytest.mark.parametrize("case", ARGUMENTS)
def test_bad_argument(case):
    arguments, *words = ARGUMENTS[case]
    check_usage(arguments, {}, *words)


@pytest.mark.quick
def test_secret_on_the_command_line_is_not_repeated():
    done = run_sluice(["--set", "doris.passwrd=h0sh"], {})
    assert done.returncode == 2 and "doris.password" in done.stderr and "h0sh" not in done.stderr


@pytest.mark.quick
def test_bad_reload_changes_nothing(rig):
    made = rig()
    made.sluice.config["log.level"] = "loud"
    made.sluice.reload()
    procs.wait_until(lambda: "log.level" in made.sluice.log_text(), 10, "the refused reload")
    assert made.execute("SELECT 1 AS n") == [{"n": 1}]


def test_address_that_is_taken(rig, sluice):
    made = rig()
    second = sluice(made.fe, {"proxy.listen": made.sluice.config["proxy.listen"]}, start=False)
    code, said = failed_start(second)
    assert code == 1
    line = [line for line in said.splitlines() if "sluice.failed" in line]
    assert len(line) == 1 and "proxy.listen" in line[0] and str(made.sluice.port) in line[0]
    assert "Address already in use. Set proxy.listen to another address" in line[0]


@pytest.mark.quick
def test_all_errors_at_once(tmp_path):
    """Each is a line; who mends a file does not see them one by one."""
    path = tmp_path / "sluice.conf"
    path.write_text("[proxy]\nworkers = x\nnonsense\n[log]\nlevel = loud\n")
    for more in ([], ["--check-config"]):
        done = run_sluice([*more, "-c", path, "--set", "doris.passwrd=h0sh"], {"SLUICE_LOG_FORMAT": "xml"})
        assert done.returncode == 2 and done.stdout == "" and "h0sh" not in done.stderr
        lines = done.stderr.splitlines()
        assert all(line.startswith("sluice: ") for line in lines)
        for line, words in zip(lines, (":2: proxy.workers", ":3: the line", ":5: log.level",
                                       "SLUICE_LOG_FORMAT", "doris.password"), strict=True):
            assert words in line
    path.write_text("x\n" * 100)
    assert run_sluice(["--check-config", "-c", path], {}).stderr.count("\n") == 21


@pytest.mark.quick
def test_what_is_right(tmp_path):
    """With no file it says so, and where a relative path leads to."""
    done = subprocess.run([procs.build_dir() / "proxy" / "sluice", "--check-config", "--set",
                           "store.url=sqlite:relative.db"], env={}, cwd=tmp_path, text=True,
                          capture_output=True, timeout=procs.patience(20))
    assert done.returncode == 0 and done.stderr == ""
    assert "there is no file" in done.stdout
    assert "the store is %s/relative.db\n" % tmp_path in done.stdout
    assert not (tmp_path / "relative.db").exists()
