"""The cases of the scheduler's benchmark. Each returns figures, lines of a table, and goals."""

import dataclasses
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

import candidates
import machine
import procs
import world

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import bucket as bucket_module  # noqa: E402


@dataclasses.dataclass(frozen=True)
class Size:
    """How much of everything."""

    samples: int         # objects put one by one
    direct: int          # loads sent to the FE directly, as the peer
    turns: int           # tasks one after the other
    jobs: int
    restarts: int
    interval_s: int      # of idle jobs; the default of scheduler.max_interval
    idle_s: float
    in_flight: int
    slow_ms: int
    listed: int          # keys
    swift_keys: int      # 0: Swift is left out
    tracked: int         # files
    tracked_s: int       # max_interval of their job
    batch: int           # files of a tracked task
    grown: int           # tasks
    disk: int


QUICK = Size(samples=4, direct=2, turns=20, jobs=30, restarts=1, interval_s=1, idle_s=2,
             in_flight=10, slow_ms=3000, listed=5000, swift_keys=0,
             tracked=25_000, tracked_s=1, batch=1000, grown=600, disk=20)
NORMAL = Size(samples=150, direct=25, turns=400, jobs=1000, restarts=4, interval_s=10,
              idle_s=30, in_flight=100, slow_ms=8000, listed=1_000_000, swift_keys=500,
              tracked=100_000, tracked_s=1, batch=10_000, grown=20_000, disk=300)
FULL = dataclasses.replace(NORMAL, samples=600, direct=60, turns=900, restarts=8, idle_s=60,
                           swift_keys=3000, tracked=10_000_000, tracked_s=10)


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    title: str
    run: object


def goal(what, value, bound, unit, is_upper=True):
    return {"what": what, "value": value, "bound": bound, "unit": unit, "is_upper": is_upper,
            "is_met": value <= bound if is_upper else value >= bound}


def p50_p99(values):
    return {"n": len(values), "p50": world.percentile(values, 50),
            "p99": world.percentile(values, 99)}


def ms(values, form="%.2f"):
    return [form % values["p50"], form % values["p99"], "%d" % values["n"]]


# --- from PUT to a visible row --------------------------------------------------------------------

class Watcher(threading.Thread):
    """Looks at the table without a pause: when was each id seen first?"""

    def __init__(self, fe, table):
        super().__init__(daemon=True)
        self.seen = {}
        self._link = fe.connect()
        self._sql = "SELECT id FROM %s" % table
        self._end = threading.Event()

    def run(self):
        with self._link.cursor() as cursor:
            while not self._end.wait(0.005):
                cursor.execute(self._sql)
                now = time.monotonic()
                for row in cursor.fetchall():
                    self.seen.setdefault(int(row[0]), now)

    def stop(self):
        self._end.set()
        self.join()
        self._link.close()


def load_directly(fe, bucket, target, n):
    """Seconds that the FE itself takes for the INSERT of one such file."""
    times = []
    with fe.connect() as link, link.cursor() as cursor:
        for i in range(n):
            key = "direct/%04d.csv" % i
            bucket.put(key, bucket_module.csv_text(1_000_000 + i, 1))
            sql = "INSERT INTO %s WITH LABEL direct_%d SELECT c1, c2, c3, c4 FROM %s" % (
                target, i, world.tvf(bucket.server, bucket.uri(key)))
            begin = time.monotonic()
            cursor.execute(sql)
            times.append(time.monotonic() - begin)
    return times


def put_one_by_one(bucket, n, n_jobs):
    """{id: when its object was there}, at times that have nothing to do with the scheduler's."""
    rng = random.Random(5)
    put = {}
    for i in range(n):
        time.sleep(rng.expovariate(1 / 0.3))
        bucket.put("in/%02d/%06d.csv" % (i % n_jobs, i), bucket_module.csv_text(i + 1, 1))
        put[i + 1] = time.monotonic()
    return put


def run_delay(place, size):
    n_jobs = 10
    swift, fe = procs.Swift(place / "swift"), procs.StandIn(place / "fe")
    sluice = world.make_sluice(place / "sluice", fe)
    with world.running(swift, fe, sluice):
        bucket = bucket_module.Bucket(swift, "delay").create()
        fe.rows("CREATE DATABASE bench")
        for table in ("t", "other"):
            fe.rows("CREATE TABLE bench.%s (%s) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id) "
                    "BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")"
                    % (table, bucket_module.COLUMNS))
        with sluice.connect() as link, link.cursor() as cursor:
            for i in range(n_jobs):
                world.create_job(cursor, "j%d" % i, "bench.t", swift,
                                 bucket.uri("in/%02d/*.csv" % i), {"max_interval": "1"},
                                 "c1, c2, c3, c4")
        watcher = Watcher(fe, "bench.t")
        watcher.start()
        put = put_one_by_one(bucket, size.samples, n_jobs)
        procs.wait_until(lambda: set(put) <= set(watcher.seen), 60, "the last row")
        watcher.stop()
        direct = load_directly(fe, bucket, "bench.other", size.direct)
    raw = p50_p99([watcher.seen[i] - put[i] for i in put])
    load = p50_p99(direct)
    net50, net99 = raw["p50"] - load["p50"], raw["p99"] - load["p50"]
    lines = [["s", "p50", "p99", "n"], ["PUT to visible row", *ms(raw, "%.3f")],
             ["the same INSERT sent to the FE directly", *ms(load, "%.3f")],
             ["net: beside the median of that", "%.3f" % net50, "%.3f" % net99]]
    return {"figures": {"raw_s": raw, "load_s": load, "net_s": {"p50": net50, "p99": net99}},
            "lines": lines,
            "goals": [goal("PUT to visible, beside the FE's load: p50", net50, 1.0, "s"),
                      goal("PUT to visible, beside the FE's load: p99", net99, 2.0, "s")]}


# --- from a task's end to the next one's start ----------------------------------------------------

def turn_parts(answered, came, lists):
    """
    Of one turn, in ms: all, the time in which the store was listing, and what lies before, between
    and behind its answers. The commit lies before the last list request, the INTENT behind it.
    """
    listing = sum(end - begin for begin, end, _ in lists)
    before = lists[-1][0] - (lists[-2][1] if len(lists) > 1 else answered)
    return {"all": (came - answered) / 1e6, "listing": listing / 1e6,
            "overhead": (came - answered - listing) / 1e6,
            "to check": (lists[0][0] - answered) / 1e6 if len(lists) > 1 else 0.0,
            "commit and on": before / 1e6, "INTENT and on": (came - lists[-1][1]) / 1e6,
            "lists": len(lists)}


def turns_of(loads, events):
    found = []
    at = 0
    for (_, answered), (came, _) in zip(loads, loads[1:]):
        while at < len(events) and events[at][0] < answered:
            at += 1
        end = at
        while end < len(events) and events[end][0] < came:
            end += 1
        if end > at:
            found.append(turn_parts(answered, came, events[at:end]))
    return found


def run_turns(place, size):
    s3, fe = world.FakeS3(place / "s3"), world.FakeFe(place / "fe")
    sluice = world.make_sluice(place / "sluice", fe)
    disk = world.measure_disk(place, size.disk)
    with world.running(s3, fe, sluice):
        with sluice.connect() as link, link.cursor() as cursor:
            world.create_job(cursor, "turns", "bench.t", s3, "s3://gen-%d/k/*.csv" % size.turns,
                             {"s3.max_batch_files": "1"})
        cpu = machine.cpu_ns(sluice.pid)
        procs.wait_until(lambda: fe.loads_seen() >= size.turns, 120, "%d tasks" % size.turns)
        cpu_ms = (machine.cpu_ns(sluice.pid) - cpu) / 1e6 / size.turns
        parts = turns_of(fe.times, s3.events())
    names = ("all", "listing", "overhead", "to check", "commit and on", "INTENT and on")
    figures = {name: p50_p99([part[name] for part in parts]) for name in names}
    titles = {"all": "a task's end to the next one's load",
              "listing": "  the object store's own time",
              "overhead": "  the rest: overhead", "to check": "    answer read, ETags asked for",
              "commit and on": "    ETags read, commit stored, next listing asked for",
              "INTENT and on": "    listing read, INTENT stored, load sent"}
    lines = [["ms", "p50", "p99", "n"], *([titles[name], *ms(figures[name])] for name in names),
             ["list requests a turn", "%.1f" % (sum(p["lists"] for p in parts) / len(parts))],
             ["CPU of sluice a task", "%.2f" % cpu_ms],
             ["the disk: 4 KB and fdatasync", "%.2f" % disk["fdatasync_ms"],
              "%.2f" % disk["fdatasync_p99_ms"], "%d" % size.disk],
             ["the disk: a transaction of plain SQLite", "%.2f" % disk["sqlite_commit_ms"]]]
    return {"figures": {**figures, "disk": disk, "cpu_ms": cpu_ms}, "lines": lines,
            "goals": [goal("a task's end to the next one, beside the listing: p50",
                           figures["overhead"]["p50"], 5.0, "ms")]}


# --- a thousand jobs ------------------------------------------------------------------------------

class Thousand:
    """Jobs of one prefix each between the two fakes; none has anything to do at first."""

    def __init__(self, place, n, interval_s):
        self.n = n
        self.s3, self.fe = world.FakeS3(place / "s3"), world.FakeFe(place / "fe")
        self.sluice = world.make_sluice(place / "sluice", self.fe,
                                        scheduler__max_interval=interval_s)

    def processes(self):
        return self.s3, self.fe, self.sluice

    def create(self):
        """Seconds that the CREATE JOBs took."""
        begin = time.monotonic()
        with self.sluice.connect() as link, link.cursor() as cursor:
            for i in range(self.n):
                world.create_job(cursor, "job_%05d" % i, "bench.t", self.s3,
                                 "s3://jobs/in/%05d/*.csv" % i,
                                 {"s3.max_batch_files": "1"})
        return time.monotonic() - begin

    def put(self, i, name):
        self.s3.put("jobs", "in/%05d/%s.csv" % (i, name), b"1,one\n")

    def wait_polls(self, n, timeout=60):
        """Until so many list requests have come from now on."""
        before = self.s3.counts()["lists"]
        procs.wait_until(lambda: self.s3.counts()["lists"] - before >= n, timeout, "%d polls" % n)

    def restart_with(self, numbers, name):
        """Killed, and started when those jobs have a new file: seconds until each load came."""
        self.sluice.kill9()
        for i in numbers:
            self.put(i, name)
        target = self.fe.loads_seen() + len(numbers)
        self.fe.times.clear()
        begin = time.monotonic_ns()
        self.sluice.launch()
        procs.wait_until(lambda: self.fe.loads_seen() >= target, 60, "the loads after a restart",
                         interval=0.01)
        return [(came - begin) / 1e9 for came, _ in self.fe.times]


    def restart_in_doubt(self):
        """
        Killed amid loads of all jobs, and started: how many tasks were in doubt, and seconds until
        the first new load came, for which those of its database have to be asked for first.
        """
        self.sluice.kill9()
        for i in range(self.n):
            for name in "m0", "m1", "m2", "m3":
                self.put(i, name)
        target = self.fe.loads_seen() + self.n // 2
        self.sluice.launch()
        procs.wait_until(lambda: self.fe.loads_seen() >= target, 60, "loads", interval=0.002)
        self.sluice.kill9()
        self.fe.loads_seen()
        self.fe.times.clear()
        seen = len(self.sluice.log_text())
        begin = time.monotonic_ns()
        self.sluice.launch()
        procs.wait_until(lambda: self.fe.loads_seen() and self.fe.times, 60, "a new load",
                         interval=0.01)
        return (self.sluice.log_text()[seen:].count("job.recovered"),
                (self.fe.times[0][0] - begin) / 1e9)


def run_restart(place, size):
    rig = Thousand(place, size.jobs, size.interval_s)
    rng = random.Random(7)
    with world.running(*rig.processes()):
        created_s = rig.create()
        rig.wait_polls(size.jobs)
        one = [rig.restart_with([rng.randrange(size.jobs)], "%04d" % i)[0]
               for i in range(size.restarts)]
        rig.sluice.wait_started()
        every = rig.restart_with(range(size.jobs), "last")
        rig.sluice.wait_started()
        n_doubt, doubt_s = rig.restart_in_doubt()
    lines = [["s", "", ""],
             ["%d CREATE JOBs, one after the other" % size.jobs, "%.2f" % created_s],
             ["kill -9, start, one job has a new file: its load comes, worst of %d" % len(one),
              "%.2f" % max(one), "best %.2f" % min(one)],
             ["kill -9, start, all have a new file: the first load comes", "%.2f" % min(every)],
             ["  the last of %d" % size.jobs, "%.2f" % max(every)],
             ["kill -9 amid loads, start, %d tasks in doubt: the first new load" % n_doubt,
              "%.2f" % doubt_s]]
    return {"figures": {"create_s": created_s, "one_s": one, "first_s": min(every),
                        "last_s": max(every), "in_doubt": n_doubt, "doubt_s": doubt_s},
            "lines": lines,
            "goals": [goal("restart with %d jobs to the first new task" % size.jobs,
                           max(*one, doubt_s), 2.0, "s")]}


def most_at_once(events, window_ns=100_000_000):
    """Most list requests within a tenth of a second."""
    came = [event[0] for event in events]
    most = low = 0
    for high, at in enumerate(came):
        while at - came[low] > window_ns:
            low += 1
        most = max(most, high - low + 1)
    return most


def run_idle(place, size):
    rig = Thousand(place, size.jobs, size.interval_s)
    with world.running(*rig.processes()):
        empty_kb = machine.memory_kb(rig.sluice.pid)
        rig.create()
        rig.sluice.restart()  # as it is for most of its life: not as it was when the jobs were made
        rig.wait_polls(2 * size.jobs)
        rig.s3.events()
        links = rig.s3.counts()["connections"]
        cpu, begin = machine.cpu_ns(rig.sluice.pid), time.monotonic()
        time.sleep(size.idle_s)
        spent, took = machine.cpu_ns(rig.sluice.pid) - cpu, time.monotonic() - begin
        events = rig.s3.events()
        links = rig.s3.counts()["connections"] - links
        kb = machine.memory_kb(rig.sluice.pid) - empty_kb
        files, threads = world.open_files(rig.sluice.pid), world.n_threads(rig.sluice.pid)
    percent = spent / 1e7 / took
    us = spent / 1e3 / max(1, len(events))
    kb_each = kb * 1000 / size.jobs
    lines = [["%d jobs, max_interval %d, %.0f s" % (size.jobs, size.interval_s, took), ""],
             ["CPU, % of one core", "%.2f" % percent],
             ["polls", "%d" % len(events)], ["CPU µs a poll", "%.0f" % us],
             ["most polls within 100 ms", "%d" % most_at_once(events)],
             ["new connections to the object store", "%d" % links],
             ["memory for 1,000 jobs, MB", "%.1f" % (kb_each / 1024)],
             ["sockets, eventfds, threads", "%d, %d, %d" % (files["socket"], files["eventfd"],
                                                            threads)]]
    return {"figures": {"percent": percent, "polls": len(events), "us_each": us, "kb": kb_each,
                        "files": files, "threads": threads, "most": most_at_once(events),
                        "links": links}, "lines": lines,
            "goals": [goal("%d idle jobs, of one core" % size.jobs, percent, 5.0, "%")]}


# --- a hundred loads at once ----------------------------------------------------------------------

def run_flight(place, size):
    n = size.in_flight
    s3 = world.FakeS3(place / "s3")
    fe = procs.StandIn(place / "fe", knobs={"slow_ms": size.slow_ms, "max_user_connections": 1000})
    sluice = world.make_sluice(place / "sluice", fe)
    most = kb = 0
    with world.running(s3, fe, sluice):
        fe.rows("CREATE DATABASE bench")
        fe.rows("CREATE TABLE bench.t (id BIGINT, name VARCHAR(64)) DUPLICATE KEY(id) DISTRIBUTED "
                "BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")")
        before_kb = machine.memory_kb(sluice.pid)
        with sluice.connect() as link, link.cursor() as cursor:
            for i in range(n):
                world.create_job(cursor, "job_%d" % i, "bench.t", s3, "s3://b/in/%d/*.csv" % i,
                                 {"max_interval": "1"}, "c1, c2")
        for i in range(n):
            s3.put("b", "in/%d/a.csv" % i, b"%d,x\n" % (i + 1))

        def look():
            nonlocal most, kb
            now = fe.state()["transactions"]
            most = max(most, now.get("PREPARE", 0))
            kb = max(kb, machine.memory_kb(sluice.pid))
            return now.get("VISIBLE", 0) >= n
        procs.wait_until(look, 120, "%d loads" % n, interval=0.1)
        threads, files = world.n_threads(sluice.pid), world.open_files(sluice.pid)
        ids = sorted(int(row["id"]) for row in fe.rows("SELECT id FROM bench.t"))
    is_once = ids == list(range(1, n + 1))
    lines = [["transactions of the FE under way at once, at most", "%d" % most],
             ["every row there exactly once", "yes" if is_once else "NO"],
             ["memory more than without jobs, MB", "%.1f" % ((kb - before_kb) / 1024)],
             ["threads, sockets", "%d, %d" % (threads, files["socket"])]]
    return {"figures": {"most": most, "is_once": is_once, "kb": kb - before_kb, "threads": threads,
                        "files": files}, "lines": lines,
            "goals": [goal("loads in flight at once", most, n, "loads", is_upper=False)]}


# --- listing --------------------------------------------------------------------------------------

def list_with_sluice(server, uri):
    done = subprocess.run([candidates.tool("lister"), server.endpoint, server.region,
                           server.access_key, server.secret_key, uri],
                          check=True, capture_output=True, text=True, timeout=900)
    return json.loads(done.stdout)


def fetch_with_curl(place, urls):
    """One curl that fetches the pages one after the other and looks at none: seconds."""
    config = place / "curl"
    config.write_text("".join('url = "%s"\noutput = "/dev/null"\n' % url for url in urls))
    begin = time.monotonic()
    subprocess.run(["curl", "--silent", "--fail", "--globoff", "--config", config], check=True,
                   timeout=900)
    return time.monotonic() - begin


def list_fake(place, n):
    s3 = world.FakeS3(place / "s3")
    with world.running(s3):
        urls = ["%s/gen-%d?list-type=2&encoding-type=url&max-keys=1000&prefix=k%%2F%s"
                % (s3.endpoint, n, "&start-after=k%%2F%010d.csv" % (at - 1) if at else "")
                for at in range(0, n, 1000)]
        ours, curls = [], []
        for _ in range(3):
            ours.append(list_with_sluice(s3, "s3://gen-%d/k/*.none" % n))
            curls.append(fetch_with_curl(place, urls))
    best = min(ours, key=lambda one: one["ns"])
    return {"rate": n / (best["ns"] / 1e9), "cpu_us": best["cpu_ns"] / 1e3 / n,
            "curl_rate": n / min(curls)}


def list_swift(place, n):
    swift = procs.Swift(place / "swift")
    with world.running(swift):
        bucket = bucket_module.Bucket(swift, "listing").create()
        for i in range(n):
            bucket.put("k/%010d.csv" % i, "x")
        urls = [bucket.client.generate_presigned_url(
            "list_objects_v2", ExpiresIn=3600,
            Params={"Bucket": "listing", "Prefix": "k/", "MaxKeys": 1000,
                    "StartAfter": "k/%010d.csv" % (at - 1) if at else "a"})
            for at in range(0, n, 1000)]
        ours = list_with_sluice(swift, bucket.uri("k/*.none"))
        curl_s = fetch_with_curl(place, urls)
    return {"rate": n / (ours["ns"] / 1e9), "cpu_us": ours["cpu_ns"] / 1e3 / n,
            "curl_rate": n / curl_s}


def run_listing(place, size):
    found = [("a store that costs nothing, %d keys" % size.listed, list_fake(place, size.listed))]
    if size.swift_keys:
        found.append(("Swift, %d keys" % size.swift_keys, list_swift(place, size.swift_keys)))
    rows = [[name, "%.0f" % f["rate"], "%.0f" % f["curl_rate"],
             "%.2f" % (f["rate"] / f["curl_rate"]),
             "%.2f" % f["cpu_us"]] for name, f in found]
    return {"figures": dict(found),
            "lines": [["keys/s", "sluice", "curl", "sluice/curl", "CPU µs a key"], *rows],
            "goals": [goal("listing", found[0][1]["rate"], 10_000, "keys/s", is_upper=False)]}


# --- tracked files --------------------------------------------------------------------------------

def rss_mb(pid):
    """All memory of one process that is there, with that of files."""
    for line in (machine.PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def loaded_files(sluice, name):
    found = sluice.rows("SELECT LoadStatistic FROM jobs('type'='insert') WHERE Name = '%s'" % name)
    text = found[0]["LoadStatistic"] if found else None
    return json.loads(text).get("fileNumber", 0) if text and text != "\\N" else 0


def shown_tracked(sluice):
    """(TrackedFiles, LateFiles) of the job; LateFiles is None until everything was swept over."""
    found = sluice.rows("SELECT TrackedFiles, LateFiles FROM jobs('type'='insert') "
                        "WHERE Name = 'tracked'")[0]
    return int(found["TrackedFiles"]), found["LateFiles"]


def take_in(sluice, s3, n, size):
    """Until n files are loaded and tracked: seconds, CPU seconds, most MB (RSS); and the store."""
    cpu, begin, most_mb = machine.cpu_ns(sluice.pid), time.monotonic(), 0.0
    with sluice.connect() as link, link.cursor() as cursor:
        world.create_job(cursor, "tracked", "bench.t", s3, "s3://gen-%d/k/*.csv" % n,
                         {"s3.discovery": "tracked", "s3.max_batch_files": str(size.batch),
                          "max_interval": str(size.tracked_s)})

    def look():
        nonlocal most_mb
        most_mb = max(most_mb, rss_mb(sluice.pid))
        return loaded_files(sluice, "tracked") >= n
    procs.wait_until(look, 1800, "all files tracked", interval=0.5)
    return {"s": time.monotonic() - begin, "cpu_s": (machine.cpu_ns(sluice.pid) - cpu) / 1e9,
            "rss_mb": most_mb, "store_mb": sum(path.stat().st_size for path in
                                               sluice.directory.glob("sluice.db*")) / 2**20}


def restart_with_new_file(sluice, s3, fe, n):
    """Killed, and started when there is a new file: seconds until its load came."""
    sluice.kill9()
    s3.put("gen-%d" % n, "k/9999999999.csv", b"1,new\n")
    target = fe.loads_seen() + 1
    begin = time.monotonic()
    sluice.launch()
    procs.wait_until(lambda: fe.loads_seen() >= target, 120, "the new file", interval=0.01)
    took = time.monotonic() - begin
    sluice.wait_started()
    return took


def sweep_whole(sluice, s3, fe, n):
    """
    A sluice that has just begun sweeps over everything, and nearly at the end of that lies a late
    file: nobody waits longer for one.
    """
    s3.put("gen-%d" % n, "k/%010d-late.csv" % (n - 500), b"1,late\n")
    target = fe.loads_seen() + 1
    before, cpu, begin, most_mb = s3.counts(), machine.cpu_ns(sluice.pid), time.monotonic(), 0.0

    def look():
        nonlocal most_mb
        most_mb = max(most_mb, rss_mb(sluice.pid))
        return fe.loads_seen() >= target
    procs.wait_until(look, 4000, "the late file", interval=0.1)
    late_s = time.monotonic() - begin
    procs.wait_until(lambda: shown_tracked(sluice)[1] is not None, 120, "the sweep to be through",
                     interval=0.1)
    took, after = time.monotonic() - begin, s3.counts()
    return {"s": took, "late_s": late_s, "lists": after["lists"] - before["lists"],
            "percent": (machine.cpu_ns(sluice.pid) - cpu) / 1e7 / took, "rss_mb": most_mb}


def run_tracked(place, size):
    n = size.tracked
    s3, fe = world.FakeS3(place / "s3"), world.FakeFe(place / "fe")
    sluice = world.make_sluice(place / "sluice", fe)
    with world.running(s3, fe, sluice):
        taken = take_in(sluice, s3, n, size)
        first_s = restart_with_new_file(sluice, s3, fe, n)
        sweep = sweep_whole(sluice, s3, fe, n)
        tracked = shown_tracked(sluice)[0]
        loaded = loaded_files(sluice, "tracked")
    lines = [["%d files, batches of %d, max_interval %d" % (n, size.batch, size.tracked_s), ""],
             ["s until all are loaded and tracked", "%.1f" % taken["s"]],
             ["  CPU s of sluice, memory (RSS) MB at most",
              "%.1f, %.1f" % (taken["cpu_s"], taken["rss_mb"])],
             ["store, MB", "%.1f" % taken["store_mb"]],
             ["kill -9, start, a new file: its load comes, s", "%.2f" % first_s],
             ["s for the first sweep over everything", "%.1f" % sweep["s"]],
             ["  until a late file at its end is loaded", "%.1f" % sweep["late_s"]],
             ["  list requests, CPU % of one core, memory (RSS) MB at most",
              "%d, %.1f, %.1f" % (sweep["lists"], sweep["percent"], sweep["rss_mb"])],
             ["files tracked, and loaded", "%d, %d" % (tracked, loaded)]]
    return {"figures": {"n": n, "taken": taken, "first_s": first_s, "sweep": sweep,
                        "tracked": tracked, "loaded": loaded}, "lines": lines,
            "goals": [goal("a late file among %d tracked ones" % n, sweep["late_s"], 3600, "s")]}


# --- the store ------------------------------------------------------------------------------------

def run_growth(place, size):
    n_jobs = max(1, size.grown // 200)
    done = subprocess.run([candidates.tool("grow"), place / "sluice.db", str(n_jobs),
                           str(size.grown), "6"], check=True, capture_output=True, text=True,
                          timeout=600)
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [["%d tasks" % step["tasks"], "%.2f" % (step["bytes"] / 2**20),
             "%.2f" % (step["wal_bytes"] / 2**20), "%.0f" % (step["tasks"] / (step["ns"] / 1e9))]
            for step in steps]
    kept = [step["bytes"] for step in steps if step["tasks"] >= 100 * n_jobs]
    growth = kept[-1] / kept[0] if kept else 0.0
    return {"figures": {"jobs": n_jobs, "steps": steps, "growth": growth},
            "lines": [["%d jobs" % n_jobs, "store MB", "its WAL MB", "tasks/s"], *rows],
            "goals": [goal("store, from 100 kept tasks a job to the end", growth, 1.1, "times")]}


ALL = (
    Case("delay", "From PUT to a visible row, 10 jobs at max_interval 1; Swift, stand-in FE",
         run_delay),
    Case("turns", "Between two tasks of a job", run_turns),
    Case("restart", "Restart with many jobs", run_restart),
    Case("idle", "Idle jobs, each of them polling at its max_interval", run_idle),
    Case("flight", "Loads in flight at once; stand-in FE", run_flight),
    Case("listing", "Listing through the real source, and curl fetching the same pages",
         run_listing),
    Case("tracked", "A job that tracks its files", run_tracked),
    Case("growth", "What finished tasks leave in the store", run_growth),
)
