"""
The relays that are compared, each with two threads in front of one backend, and the backends. All
listen on free ports of 127.0.0.1 and live in a private directory.
"""

import contextlib
import pathlib
import shutil
import subprocess
import sys

import machine

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import mariadb  # noqa: E402
import procs  # noqa: E402

N_THREADS = 2
NAMES = ("direct", "floor", "haproxy", "nginx", "sluice")
MAX_CONNECTIONS = 20000
NGINX_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
PACKAGES = {"haproxy": "haproxy", "nginx": "nginx libnginx-mod-stream", "sysbench": "sysbench"}

HAPROXY_CONFIG = """
global
    nbthread %(threads)d
    maxconn %(connections)d
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend front
    bind 127.0.0.1:%(port)d
    default_backend back
backend back
    server only 127.0.0.1:%(backend)d
"""

NGINX_CONFIG = """
load_module %(module)s;
daemon off;
worker_processes %(threads)d;
worker_rlimit_nofile %(files)d;
pid %(directory)s/nginx.pid;
error_log %(directory)s/error.log;
events { worker_connections %(files)d; }
stream {
    access_log off;
    server {
        listen 127.0.0.1:%(port)d;
        proxy_pass 127.0.0.1:%(backend)d;
        proxy_timeout 1h;
    }
}
"""


def tool(name):
    """A program of this folder, as the build left it."""
    path = procs.build_dir() / "tests" / "bench" / ("bench_" + name)
    if not path.exists():
        sys.exit("tests/bench: %s is not there: build it first (tests/run --only build)" % path)
    return path


class Listener(procs.Process):
    """A program that is ready when it listens on its port."""

    def __init__(self, name, directory, argv, port):
        self.port = port
        super().__init__(name, directory, argv)

    def wait_started(self):
        def look():
            self.must_live()
            return machine.is_listening(self.port)
        procs.wait_until(look, 15, "%s listening on its port" % self.name)


class Direct:
    """No relay at all."""

    name = "direct"
    pid = None

    def __init__(self, backend):
        self.port = backend.port

    def start(self):
        """Runs already."""


def make_fake(directory):
    port = procs.free_port()
    return Listener("fakeserver", directory, [tool("fakeserver"), N_THREADS, port], port)


def make_mariadb(directory):
    return mariadb.MariaDB(directory, ["--max-connections=600", "--thread-cache-size=300",
                                       "--back-log=500"])


def make_floor(directory, backend):
    port = procs.free_port()
    return Listener("floor", directory, [tool("floor"), N_THREADS, port, backend.port], port)


def write_config(path, template, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template % {"threads": N_THREADS, "directory": path.parent, **values})
    return path


def make_haproxy(directory, backend):
    port = procs.free_port()
    config = write_config(directory / "haproxy.cfg", HAPROXY_CONFIG, port=port,
                          backend=backend.port, connections=machine.max_files() // 2 - 50)
    return Listener("haproxy", directory, [shutil.which("haproxy"), "-db", "-f", config], port)


def make_nginx(directory, backend):
    port = procs.free_port()
    config = write_config(directory / "nginx.conf", NGINX_CONFIG, port=port, backend=backend.port,
                          files=machine.max_files(), module=NGINX_MODULE)
    return Listener("nginx", directory, [shutil.which("nginx"), "-p", directory, "-c", config],
                    port)


def make_sluice(directory, backend, tls=None):
    """`tls`: (certificate, key) to terminate TLS with."""
    config = {
        "proxy.workers": N_THREADS,
        "proxy.max_connections": MAX_CONNECTIONS,
        "log.level": "info",
    }
    if tls:
        config.update({"proxy.tls": "optional", "proxy.tls_cert": tls[0], "proxy.tls_key": tls[1]})
    return procs.Sluice(directory, backend, config)


MAKERS = {"floor": make_floor, "haproxy": make_haproxy, "nginx": make_nginx,
          "sluice": make_sluice}


def missing(name):
    """Why a candidate cannot be measured here; None when it can."""
    if name in PACKAGES and not shutil.which(name):
        return "not installed (Debian: %s)" % PACKAGES[name]
    if name == "nginx" and not NGINX_MODULE.exists():
        return "its stream module is not installed (Debian: libnginx-mod-stream)"
    return None


def make_certificate(directory):
    """A certificate for 127.0.0.1 and its key: elliptic, as a new one is today."""
    directory.mkdir(parents=True, exist_ok=True)
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


class Fleet:
    """Every process of a run: backends and candidates, started when first asked for."""

    def __init__(self, directory, names):
        self.directory = pathlib.Path(directory)
        self.names = [name for name in names if missing(name) is None]
        self.left_out = {name: missing(name) for name in (*names, "sysbench") if missing(name)}
        self._backends = {}
        self._candidates = {}
        self._tls = {}
        self._processes = []

    def _start(self, process):
        self._processes.append(process)  # before: what started halfway is ended, too
        process.start()
        return process

    def backend(self, kind):
        if kind not in self._backends:
            make = {"fake": make_fake, "mariadb": make_mariadb}[kind]
            self._backends[kind] = self._start(make(self.directory / kind))
        return self._backends[kind]

    def candidates(self, kind):
        """[(name, process)] in front of a backend; one that does not start is left out."""
        if kind not in self._candidates:
            backend = self.backend(kind)
            self._candidates[kind] = []
            for name in list(self.names):
                self._add_candidate(kind, name, backend)
        return self._candidates[kind]

    def _add_candidate(self, kind, name, backend):
        directory = self.directory / ("%s-%s" % (name, kind))
        try:
            process = Direct(backend) if name == "direct" else \
                self._start(MAKERS[name](directory, backend))
        except (procs.ProcessError, TimeoutError) as e:
            self.left_out[name] = "did not start: %s" % e
            self.names.remove(name)
            return
        self._candidates[kind].append((name, process))

    def sluice_with_tls(self, kind):
        if kind not in self._tls:
            tls = make_certificate(self.directory / "tls")
            directory = self.directory / ("sluice-tls-%s" % kind)
            self._tls[kind] = self._start(make_sluice(directory, self.backend(kind), tls))
        return self._tls[kind]

    def end(self):
        """In order where they can, so that nginx waits for its workers."""
        for process in reversed(self._processes):
            with contextlib.suppress(procs.ProcessError):
                process.stop()
            process.kill9()
