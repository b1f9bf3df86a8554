"""Apache Superset as a process of the tests: its virtualenv, its private metadata, its server."""

import fcntl
import hashlib
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile

import procs

HERE = pathlib.Path(__file__).resolve().parent
REQUIREMENTS = HERE / "requirements.txt"
PYTHON = "/usr/bin/python3"  # Debian's: the one that tests/packages.txt installs the headers for
DATABASE = "superset.db"  # in superset_config.py, too
USER, PASSWORD = "admin", "admin"
INSTALL_S = 900


class BedError(Exception):
    """Superset could not be installed or prepared."""


def _run(argv, what, timeout=INSTALL_S, **options):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, timeout=timeout, check=False, **options)
    text = done.stdout.decode(errors="replace")
    if done.returncode:
        raise BedError("%s failed with %d:\n%s" % (what, done.returncode, text[-3000:]))
    return text


def _environment(directory):
    return {
        "SUPERSET_CONFIG_PATH": str(HERE / "superset_config.py"), "FLASK_APP": "superset",
        "SUPERSET_HOME": str(directory), "HOME": str(directory), "BED_DIRECTORY": str(directory),
        "BED_SECRET": secrets.token_urlsafe(42), "PYTHONDONTWRITEBYTECODE": "1",
        "SCARF_ANALYTICS": "false",  # asks a host outside for a picture otherwise
        "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}


def _install(found):
    _run([PYTHON, "-m", "venv", found], "python3 -m venv")
    _run([found / "bin/python", "-m", "pip", "install", "--disable-pip-version-check",
          "--no-input", "-r", REQUIREMENTS], "pip install -r %s" % REQUIREMENTS)


def _initialise(found):
    """Metadata tables, the administrator, roles and permissions, in a file to start from."""
    with tempfile.TemporaryDirectory(prefix="sluice-superset-") as directory:
        env = {**os.environ, **_environment(directory)}
        for args in (["db", "upgrade"],
                     ["fab", "create-admin", "--username", USER, "--password", PASSWORD,
                      "--firstname", "Ada", "--lastname", "Min", "--email", "admin@example.com"],
                     ["init"]):
            _run([found / "bin/superset", *args], "superset " + " ".join(args[:2]),
                 cwd=directory, env=env)
        shutil.copy(pathlib.Path(directory) / DATABASE, found / DATABASE)


def venv():
    """
    The directory of a virtualenv with the pinned packages and of initialised metadata: made by the
    first that asks, and kept.
    """
    home = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    cache = home / "sluice"
    cache.mkdir(parents=True, exist_ok=True)
    key = REQUIREMENTS.read_bytes() + _run([PYTHON, "-V"], "python3 -V").encode()
    found = cache / ("superset-" + hashlib.sha256(key).hexdigest()[:12])
    with open(cache / "superset.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (found / ".complete").exists():
            shutil.rmtree(found, ignore_errors=True)
            _install(found)
            _initialise(found)
            (found / ".complete").touch()
    return found


class Superset(procs.Process):
    """One gunicorn with one worker on a free port, and an administrator USER with PASSWORD."""

    def __init__(self, directory):
        self.port = procs.free_port()
        home = venv()
        shutil.copy(home / DATABASE, directory)
        argv = [home / "bin/gunicorn", "--workers", "1", "--worker-class", "gthread",
                "--threads", "8", "--timeout", "120", "--graceful-timeout", "1",
                "--no-control-socket", "--bind", "127.0.0.1:%d" % self.port,
                "superset.app:create_app()"]
        super().__init__("superset", directory, argv, _environment(directory))

    @property
    def url(self):
        return "http://127.0.0.1:%d" % self.port

    def wait_started(self):
        def look():
            self.must_live()
            return procs.http_get(self.port, "/health")[0] == 200
        procs.wait_until(look, 90, "GET /health of Superset with 200", interval=0.1)
