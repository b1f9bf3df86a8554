"""
Builds the programs of this folder with their drivers, each once for a state of its sources, into
the cache that tests/setup uses, which installs the tools for it. Versions are exact:
requirements.txt, pom.xml, go.sum, package-lock.json and Cargo.lock.in, which is Cargo.lock without
the registry's name.

    python toolbox.py       builds all
"""

import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
COPY_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
JDBC = ("mysql-9", "mariadb-2.7", "mariadb-3.5")
TIMEOUT_S = 900


class ToolError(Exception):
    """A driver could not be fetched or built."""


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    path = pathlib.Path(base) / "sluice"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def locked(name):
    with open(cache() / (name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(argv, cwd, **env):
    """What it printed. A second try, since registries have bad moments."""
    argv = [str(arg) for arg in argv]
    if not shutil.which(argv[0], path=os.environ.get("PATH")) and "/" not in argv[0]:
        raise ToolError("%s is not here; tests/setup tests installs it" % argv[0])
    for left in (1, 0):
        done = subprocess.run(argv, cwd=cwd, env={**os.environ, **env}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=TIMEOUT_S)
        if done.returncode == 0:
            return done.stdout
        if not left:
            raise ToolError("%s failed with %d:\n%s" % (" ".join(argv), done.returncode,
                                                       done.stdout[-4000:]))
    return None


def _digest(folder, version):
    seen = hashlib.sha256(version.encode())
    for path in sorted(p for p in (HERE / folder).rglob("*") if p.is_file()):
        if "__pycache__" not in path.parts:
            seen.update(path.relative_to(HERE).as_posix().encode() + b"\0" + path.read_bytes())
    return seen.hexdigest()[:12]


def _built(folder, version_of, build):
    """The directory that `build` filled for this state of `folder`."""
    version = run(version_of, HERE)
    path = cache() / ("client-%s-%s" % (folder, _digest(folder, version)))
    with locked("client-" + folder):
        if not (path / ".complete").exists():
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(HERE / folder, path, ignore=shutil.ignore_patterns("__pycache__"))
            build(path)
            (path / ".complete").touch()
    return path


@functools.cache
def python():
    def build(path):
        run(["/usr/bin/python3", "-m", "venv", "venv"], path)
        run(["venv/bin/python", "-m", "pip", "install", "--disable-pip-version-check",
             "--no-input", "-r", "requirements.txt"], path)

    path = _built("python", ["/usr/bin/python3", "-V"], build)
    return [path / "venv/bin/python", path / "client.py"]


@functools.cache
def java(driver):
    def build(path):
        for name in JDBC:
            run(["mvn", "-q", "-B", "-P", name, COPY_PLUGIN,
                 "-DoutputDirectory=%s" % (path / name)], path)
        run(["javac", "--release", "17", "-d", path, "Client.java"], path)

    path = _built("java", ["javac", "-version"], build)
    # Short runs: what the compiler could gain is less than what it costs.
    return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-cp",
            "%s:%s/%s/*" % (path, path, driver), "Client"]


@functools.cache
def go():
    def build(path):
        run(["go", "build", "-mod=readonly", "-p", "2", "-o", "client", "."], path, CGO_ENABLED="0")

    return [_built("go", ["go", "version"], build) / "client"]


@functools.cache
def node():
    def build(path):
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], path)

    return ["node", _built("node", ["node", "--version"], build) / "client.js"]


def _registry():
    """What this cargo calls its registry: a lock file has to say so."""
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name)
        (path / "src").mkdir()
        (path / "src/lib.rs").touch()
        (path / "Cargo.toml").write_text('[package]\nname = "x"\nversion = "0.1.0"\n'
                                         '[dependencies]\ncfg-if = "=1.0.0"\n')
        run(["cargo", "generate-lockfile"], path)
        return re.search(r'^source = "(.*)"$', (path / "Cargo.lock").read_text(), re.M).group(1)


@functools.cache
def rust():
    def build(path):
        text = (path / "Cargo.lock.in").read_text()
        (path / "Cargo.lock").write_text(text.replace("@registry@", _registry()))
        run(["cargo", "build", "--locked", "-j", "2"], path)
        shutil.copy(path / "target/debug/client", path / "client")
        shutil.rmtree(path / "target")

    return [_built("rust", ["cargo", "--version"], build) / "client"]


def main():
    for make in (python, go, node, rust, lambda: java(JDBC[0])):
        print(*make())


if __name__ == "__main__":
    try:
        main()
    except ToolError as e:
        sys.exit("toolbox: %s" % e)
