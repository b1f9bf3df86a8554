"""What many jobs share, so that a thousand of them are cheap."""

import time

import procs

N_JOBS = 12


def looks(made, seen):
    """Adds to {job: the times it has told for its next look}; the smallest number of times."""
    for row in made.execute('SELECT Name, JobRuntimeMsg FROM jobs("type"="insert")'):
        if row["JobRuntimeMsg"] and "will retry after" in row["JobRuntimeMsg"]:
            seen.setdefault(row["Name"], set()).add(row["JobRuntimeMsg"].rsplit(" ", 1)[1])
    return min((len(times) for times in seen.values()), default=0) if len(seen) == N_JOBS else 0


def test_idle_jobs_ask_the_fe_together(rig):
    """Each looks at its source every second; the FE is asked once for all of them."""
    made = rig()
    for i in range(N_JOBS):
        made.create_job("j%d" % i, "none-%d/*.csv" % i, {"max_interval": "1"})
    procs.wait_until(lambda: looks(made, {}), 30, "every job's first look", interval=0.1)
    seen, begin = {}, time.time()
    procs.wait_until(lambda: looks(made, seen) >= 4, 60, "four looks of every job", interval=0.1)
    took = time.time() - begin
    pings = [entry for entry in made.fe.log()
             if entry["time"] >= begin and "PING" in entry["command"].upper()]
    assert sum(map(len, seen.values())) >= 4 * N_JOBS
    assert 1 <= len(pings) <= 1.5 * took + 3, (len(pings), took)


def test_jobs_of_a_restart_spread_their_looks(rig):
    """They begin in turn, and do not look in the same instant ever after."""
    made = rig()
    for i in range(N_JOBS):
        made.create_job("j%d" % i, "none-%d/*.csv" % i, {"max_interval": "8"})
    made.sluice.kill9()
    made.sluice.start()
    seen = {}
    procs.wait_until(lambda: looks(made, seen), 30, "every job's first look", interval=0.1)
    next_looks = sorted(int(max(times)) for times in seen.values())
    assert next_looks[-1] - next_looks[0] > 2000, next_looks


def test_idle_connections_make_room(rig):
    """Jobs whose sessions differ take turns with the few connections that the FE allows."""
    made = rig(users={"svc": ("right", "db:demo:Load_priv,Select_priv")},
               knobs={"max_user_connections": 4},
               config={"doris.user": "svc", "doris.password": "right", "scheduler.runners": 3})
    for i in range(N_JOBS):
        made.create_job("j%d" % i, "in-%d/*.csv" % i,
                        {"max_interval": "1", "session.query_timeout": str(1000 + i)})
    for i in range(N_JOBS):
        made.bucket.put_rows("in-%d/a.csv" % i, 1)
    began = time.monotonic()
    made.check_exactly_once()
    assert time.monotonic() - began < procs.patience(25)
