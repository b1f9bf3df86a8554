#!/usr/bin/python3
"""A one-node OpenStack Swift with its S3 API on the loopback address, for tests.

    tests/s3/swift.py --dir DIR [--port PORT]      prints "ready port=PORT pid=PID", ends on SIGTERM
    with start_swift(DIR) as s3: s3.endpoint, s3.access_key, s3.secret_key, s3.region

Strict on purpose: a wrong signature, region or clock is refused, unlike most S3 mocks. Needs
Debian's python3-swift, which only /usr/bin/python3 can import; the importing side may be any Python
3.9 or later. Four processes (account, container, object, proxy), no root, no memcached; they end
when the launcher does, also when that is killed. Virtual-host style: BUCKET.localhost:PORT.
"""

import argparse
import contextlib
import ctypes
import os
import pwd
import random
import select
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FILTERS = os.path.join(HERE, "filters")
PYTHON = "/usr/bin/python3"
SERVERS = ("account", "container", "object", "proxy")
START_TIMEOUT_S = 200
STOP_TIMEOUT_S = 10

REGION = "us-east-1"
# (access key, secret key): all of the one account "main". The second serves as "another user".
KEYS = (("AKIDSLUICETEST", "sluice/Test+Secret"), ("AKIDOTHER", "another-secret"))

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_prefix = sluice
swift_hash_path_suffix = test
[storage-policy:0]
name = one
default = yes
"""

SERVER_CONF = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {dir}
devices = {dir}/devices
mount_check = false
log_address = {dir}/no-syslog
log_level = ERROR
"""

# One node, which nobody stands in for: a server that is slow, as all are on a busy machine, is waited
# for. By default a connect may take 0.5 s; and after 1 s a PUT is acknowledged with its key not yet in
# the listing, where a later one may then be before it.
PATIENCE = """\
conn_timeout = 120
node_timeout = 120
container_update_timeout = 120
"""

STORAGE_CONF = """\
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
{patience}"""

PROXY_CONF = """\
[pipeline:main]
pipeline = catch_errors gatekeeper cache listing_formats s3api keys bulk slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
recheck_account_existence = 0
recheck_container_existence = 0
error_suppression_limit = 1000000
{patience}[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
minimum_segment_size = 1
[filter:dlo]
use = egg:swift#dlo
[filter:s3api]
use = egg:swift#s3api
location = {region}
storage_domain = localhost
allow_multipart_uploads = true
s3_acl = false
check_bucket_owner = true
[filter:keys]
paste.filter_factory = swift_filters:keys_factory
keys = {keys}
[filter:cache]
paste.filter_factory = swift_filters:cache_factory
"""


class SwiftError(Exception):
    """The store could not be started; the text says why."""


# ---- launcher: runs under Debian's Python -------------------------------------------------------

_claims = []


def free_ports(n):
    """
    n different free ports, from below those that the kernel gives to outgoing connections. Ours as
    long as this process lives: Swift binds with SO_REUSEPORT, so that two of them started at the same
    time could share a port, and each get half of the other's requests. Hence a claim under a name that
    every launcher here looks at, before the port is tried.
    """
    found = []
    for port in random.sample(range(10000, 15000), 1000):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.closing(socket.socket()) as probe:
            try:
                claim.bind("\0sluice-test-port-%d" % port)
                probe.bind(("127.0.0.1", port))
            except OSError:
                claim.close()
                continue
        _claims.append(claim)
        found.append(port)
        if len(found) == n:
            return found
    raise SwiftError("no free port between 10000 and 14999")


def write_file(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def write_config(directory, ports):
    os.makedirs(os.path.join(directory, "devices", "d1"), exist_ok=True)
    write_file(os.path.join(directory, "swift.conf"), SWIFT_CONF)
    user = pwd.getpwuid(os.getuid()).pw_name
    for kind in SERVERS:
        text = SERVER_CONF.format(port=ports[kind], user=user, dir=directory)
        if kind == "proxy":
            keys = " ".join("=".join(pair) for pair in KEYS)
            text += PROXY_CONF.format(region=REGION, keys=keys, patience=PATIENCE)
        else:
            text += STORAGE_CONF.format(kind=kind, patience=PATIENCE)
        write_file(os.path.join(directory, kind + ".conf"), text)


def use_private_config(directory):
    """Swift looks for /etc/swift/swift.conf when it is imported; ours is elsewhere."""
    from swift.common import constraints, utils
    utils.SWIFT_CONF_FILE = os.path.join(directory, "swift.conf")
    constraints.SWIFT_CONSTRAINTS_LOADED = False


def write_rings(directory, ports):
    from swift.common.ring import RingBuilder
    for kind in SERVERS[:3]:
        builder = RingBuilder(4, 1, 1)  # 16 partitions, one replica
        builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[kind],
                         "replication_ip": "127.0.0.1", "replication_port": ports[kind],
                         "device": "d1", "weight": 1.0, "meta": ""})
        builder.rebalance()
        builder.get_ring().save(os.path.join(directory, kind + ".ring.gz"))


def end_with_parent(parent):
    """SIGTERM for this process when its parent dies (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)  # it died before


def serve(directory, kind, parent):
    end_with_parent(parent)
    use_private_config(directory)
    from swift.common.wsgi import run_wsgi
    sys.exit(run_wsgi(os.path.join(directory, kind + ".conf"), kind + "-server"))


def is_listening(port):
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
        return True
    except OSError:
        return False


def wait_ready(processes, ports, deadline):
    for kind in SERVERS:
        while not is_listening(ports[kind]):
            code = processes[kind].poll()
            if code is not None:
                raise SwiftError(f"swift's {kind} server ended with status {code}")
            if time.monotonic() > deadline:
                raise SwiftError(f"swift's {kind} server does not listen on port {ports[kind]}")
            select.select([], [], [], 0.02)


def stop_all(processes):
    for p in processes.values():
        if p.poll() is None:
            p.terminate()
    for p in processes.values():
        try:
            p.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()


def launch(directory, port):
    directory = os.path.abspath(directory)
    ports = dict(zip(SERVERS, free_ports(len(SERVERS))))
    if port != 0:
        ports["proxy"] = port
    write_config(directory, ports)
    use_private_config(directory)
    write_rings(directory, ports)
    env = {**os.environ, "PYTHONPATH": FILTERS, "PYTHONWARNINGS": "ignore",
           "PYTHONDONTWRITEBYTECODE": "1"}
    command = [PYTHON, os.path.abspath(__file__), "--dir", directory, "--parent", str(os.getpid())]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    processes = {}
    try:
        for kind in SERVERS:
            processes[kind] = subprocess.Popen(command + ["--serve", kind], env=env)
        wait_ready(processes, ports, time.monotonic() + START_TIMEOUT_S)
        print(f"ready port={ports['proxy']} pid={os.getpid()}", flush=True)
        while True:
            signal.pause()
    except SwiftError as why:
        print(f"swift: {why}", file=sys.stderr)
        return 1
    finally:
        stop_all(processes)


# ---- importing side ----------------------------------------------------------------------------

class Swift:
    """A running store; a context manager that stops it."""

    def __init__(self, process, port):
        self.process = process
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"
        self.access_key, self.secret_key = KEYS[0]
        self.region = REGION

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(2 * STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def start_swift(directory, port=0):
    """Starts a store with its data below `directory`; returns when it serves."""
    process = subprocess.Popen([PYTHON, os.path.abspath(__file__), "--dir", str(directory),
                                "--port", str(port)], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()  # ends with the launcher, which has its own time limit
    words = dict(word.split("=", 1) for word in line.split() if "=" in word)
    if not line.startswith("ready "):
        process.wait()
        process.stdout.close()
        raise SwiftError(f"{PYTHON} {os.path.basename(__file__)} ended with status "
                         f"{process.returncode}; is python3-swift installed?")
    return Swift(process, int(words["port"]))


def run_under_debian_python():
    """This file must not hide the package "swift", which another Python does not even have."""
    if os.path.realpath(sys.executable) != os.path.realpath(PYTHON):
        os.execv(PYTHON, [PYTHON, os.path.abspath(__file__)] + sys.argv[1:])
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != HERE]


def main():
    parser = argparse.ArgumentParser(description="One-node Swift with its S3 API, for tests.")
    parser.add_argument("--dir", required=True, help="directory for configuration and data")
    parser.add_argument("--port", type=int, default=0, help="port of the S3 API; 0: a free one")
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    run_under_debian_python()
    if args.serve:
        serve(args.dir, args.serve, args.parent)
    return launch(args.dir, args.port)


if __name__ == "__main__":
    sys.exit(main())
