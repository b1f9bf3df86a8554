"""Runs one load and measures what it cost the relay: bench_load and sysbench."""

import json
import re
import subprocess
import time

import candidates
import machine

PATIENCE = 120  # seconds that a load may take in all


class LoadError(Exception):
    """A load did not come to its end; says why."""


class Load:
    """bench_load: ready, go, result."""

    def __init__(self, mode, port, *arguments):
        self.mode = mode
        self._popen = subprocess.Popen(
            [str(candidates.tool("load")), mode, str(port), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        try:
            self._line()  # ready
        except LoadError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._popen.stdin.close()
        try:
            self._popen.wait(PATIENCE)
        finally:
            self._popen.kill()
            self._popen.wait()
            self._popen.stdout.close()
            self._popen.stderr.close()

    def _line(self):
        line = self._popen.stdout.readline()
        if not line:
            raise LoadError("%s: %s" % (self.mode, self._popen.stderr.read().strip()))
        return line

    def say(self, word="go"):
        """The word, and what comes in return."""
        try:
            self._popen.stdin.write("%s\n" % word)
            self._popen.stdin.flush()
        except BrokenPipeError:
            pass  # it ended: the reason is read below
        return json.loads(self._line())


def with_cpu(process, work):
    """The result of work() and the CPU ns that it cost the relay; None without a relay."""
    before = machine.cpu_ns(process.pid) if process.pid else 0
    result = work()
    return result, machine.cpu_ns(process.pid) - before if process.pid else None


def per_operation(result, cpu_ns):
    """Figures of many small operations."""
    return {
        "rate": result["n"] / (result["ns"] / 1e9),
        "p50_us": result["p50_ns"] / 1e3,
        "p99_us": result["p99_ns"] / 1e3,
        "cpu_us": None if cpu_ns is None else cpu_ns / 1e3 / max(1, result["n"]),
        "client_busy": result.get("client_cpu_ns", 0) / result["ns"],
    }


def queries(process, connections, ms, *tls):
    with Load("queries", process.port, connections, ms, *tls) as load:
        return per_operation(*with_cpu(process, load.say))


def connects(process, at_a_time, ms):
    with Load("connects", process.port, at_a_time, ms) as load:
        return per_operation(*with_cpu(process, load.say))


def big(process, n_bytes, row_size):
    with Load("big", process.port, n_bytes, row_size) as load:
        result, cpu_ns = with_cpu(process, load.say)
    return {
        "rate": result["n"] / 1e6 / (result["ns"] / 1e9),
        "cpu_s_per_gb": None if cpu_ns is None else cpu_ns / 1e9 / (result["n"] / 1e9),
        "client_busy": result["client_cpu_ns"] / result["ns"],
    }


def settle(process, seconds):
    """
    Its memory once that has been the same for so long: what a program loads or sets up at its first
    work, health checks included, is no cost of a connection.
    """
    with Load("queries", process.port, 4, 20) as load:
        load.say()
    start = since = time.monotonic()
    last = machine.memory_kb(process.pid)
    while time.monotonic() - since < seconds and time.monotonic() - start < 5 * seconds:
        time.sleep(0.05)
        now = machine.memory_kb(process.pid)
        if now != last:
            last, since = now, time.monotonic()
    return last


def stall(process, n_bytes, row_size, seconds):
    """KB by which the relay grows while its client reads nothing."""
    big(process, n_bytes // 100, row_size)
    before = most = settle(process, seconds)
    with Load("stall", process.port, n_bytes, row_size) as load:
        load.say()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            most = max(most, machine.memory_kb(process.pid))
            time.sleep(0.05)
    return {"grown_kb": most - before}


def idle(process, steps, n_tls, seconds):
    """[KB a connection] with so many connections."""
    with Load("idle", process.port, min(n_tls, 20)) as load:
        load.say(20)  # the first ones set up what all share
    before = settle(process, seconds)
    found = []
    with Load("idle", process.port, n_tls) as load:
        for n in steps:
            load.say(n)
            found.append({"connections": n,
                          "kb": (machine.memory_kb(process.pid) - before) / n})
    return found


# --- sysbench -------------------------------------------------------------------------------------

SYSBENCH_ROW = re.compile(r"^\s+([\d.]+) \|\**\s+(\d+)$", re.M)


def sysbench_argv(port, command, rows, *more):
    return ["sysbench", "oltp_point_select", "--db-driver=mysql", "--mysql-host=127.0.0.1",
            "--mysql-port=%d" % port, "--mysql-user=root", "--mysql-db=test", "--tables=1",
            "--table-size=%d" % rows, "--db-ps-mode=auto", *more, command]


def run_sysbench(argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if done.returncode != 0:
        raise LoadError("sysbench: %s" % (done.stdout + done.stderr).strip()[-300:])
    return done.stdout


def sysbench_prepare(backend, rows):
    run_sysbench(sysbench_argv(backend.port, "cleanup", rows))
    run_sysbench(sysbench_argv(backend.port, "prepare", rows))


def percentile_ms(rows, share):
    wanted, seen = sum(n for _, n in rows) * share, 0
    for ms, n in rows:
        seen += n
        if seen >= wanted:
            return ms
    return 0.0


def sysbench(process, connections, rows, seconds, events=0):
    """Point selects by prepared statements; connecting and preparing counts as well."""
    argv = sysbench_argv(process.port, "run", rows, "--threads=%d" % connections,
                         "--time=%d" % seconds, "--events=%d" % events, "--histogram=on")
    text, cpu_ns = with_cpu(process, lambda: run_sysbench(argv))
    done, rate = re.search(r"queries:\s+(\d+)\s+\(([\d.]+) per sec", text).groups()
    found = [(float(ms), int(n)) for ms, n in SYSBENCH_ROW.findall(text)]
    return {
        "rate": float(rate),
        "p50_us": percentile_ms(found, 0.5) * 1e3,
        "p99_us": percentile_ms(found, 0.99) * 1e3,
        "cpu_us": None if cpu_ns is None else cpu_ns / 1e3 / max(1, int(done)),
    }
