"""Exactly once through SIGKILL: of sluice at twenty random moments, of the FE at five."""

import json
import os
import random
import threading
import time

import pymysql
import pytest

import procs
from rig import SLOW_MS

N_SLUICE_KILLS = 20
N_FE_KILLS = 5
JOB = {"max_interval": "1", "s3.max_batch_files": "2"}


class Feeder(threading.Thread):
    """Puts files, keys rising, until it is told to stop."""

    def __init__(self, bucket, seed):
        super().__init__(daemon=True)
        self.bucket, self.random = bucket, random.Random(seed)
        self.stopping = threading.Event()
        self.error = None

    def run(self):
        number = 0
        try:
            while not self.stopping.wait(self.random.uniform(0.01, 0.15)):
                number += 1
                self.bucket.put_rows("in/%06d.csv" % number, self.random.randint(1, 20))
        except Exception as e:  # shown by stop()
            self.error = e

    def stop(self):
        self.stopping.set()
        self.join(30)
        assert self.error is None, self.error


class Watcher:
    """What may only rise: the offset, the task ids, and what was once said about a task."""

    def __init__(self, rig):
        self.rig = rig
        self.offset = ""
        self.last_task = 0
        self.ranges = {}

    def look(self):
        offset = self.rig.offset().get("fileName", "")
        assert offset >= self.offset, "the offset went back from %s to %s" % (self.offset, offset)
        self.offset = offset
        for task in self.rig.tasks():
            number, files = int(task["TaskId"]), task["RunningOffset"]
            known = self.ranges.setdefault(number, files)
            assert known == files, "task %d was %s and is %s" % (number, known, files)
            self.last_task = max(self.last_task, number)
        self.rig.check_task_ids()


def moment(rng):
    """A random moment: most often within a load, sometimes long after it."""
    threading.Event().wait(rng.choice([rng.uniform(0, 0.1), rng.uniform(0, 0.5),
                                       rng.uniform(0.3, 1.2)]))


@pytest.mark.sanitize
@pytest.mark.timeout(600)
def test_every_row_once_through_kills(rig):
    seed = int(os.environ.get("SLUICE_TEST_SEED", time.time_ns() % 1000000))
    print("SLUICE_TEST_SEED=%d" % seed)
    rng = random.Random(seed)
    made = rig(knobs={"slow_ms": 60})
    made.create_job(properties=JOB)
    watcher = Watcher(made)
    feeder = Feeder(made.bucket, seed)
    feeder.start()
    try:
        kill_all(made, rng, watcher)
    finally:
        feeder.stop()
    made.check_exactly_once(timeout=120)
    watcher.look()
    assert made.job()["Status"] == "RUNNING"
    procs.wait_until(lambda: made.offset()["fileName"] == made.bucket.keys[-1], 30,
                     "the offset at the last file")


def kill_all(made, rng, watcher):
    kills = ["sluice"] * N_SLUICE_KILLS + ["fe"] * N_FE_KILLS
    rng.shuffle(kills)
    for victim in kills:
        moment(rng)
        if victim == "fe":
            made.fe.kill9()
            moment(rng)
            made.fe.start()
        else:
            made.sluice.kill9()
            made.sluice.start()
        watcher.look()


@pytest.mark.sanitize
@pytest.mark.parametrize("knob", ["cut_before_commit", "cut_after_commit", "cut_running",
                                  "err_after_commit", "aborted_in_ok", "die_before_commit",
                                  "die_after_commit"])
def test_fault_in_the_middle_of_a_load(rig, knob):
    """Each way an answer can be missing or wrong, twice in a row, then the stream goes on."""
    made = rig()
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    for key in ("in/b.csv", "in/c.csv"):
        made.fe.knobs(**{knob: 1})
        made.bucket.put_rows(key, 10)
        if knob.startswith("die"):
            procs.wait_until(lambda: not made.fe.is_running(), 30, "the FE to die")
            made.fe.kill9()
            made.fe.start()
        made.check_exactly_once()
    made.check_task_ids()
    procs.wait_until(lambda: made.offset()["fileName"] == "in/c.csv", 30, "the last offset")
    assert made.job()["Status"] == "RUNNING"


@pytest.mark.sanitize
def test_committed_is_waited_for(rig):
    """The FE answers COMMITTED; the offset stays where it is until the rows are visible."""
    made = rig(knobs={"publish_delay_ms": 2500})
    made.create_job(properties={"session.insert_visible_timeout_ms": "1000", **JOB})
    made.bucket.put_rows("in/a.csv", 10)
    procs.wait_until(lambda: made.tasks(), 30, "the first task")

    def visible():
        # Before the rows are looked for: an offset that is there first must be seen.
        offset = made.offset()
        rows = made.ids()
        assert rows or offset == {}, "the offset moved before the rows were visible"
        return rows
    procs.wait_until(visible, 30, "the rows")
    made.check_exactly_once()
    procs.wait_until(lambda: made.offset() == {"fileName": "in/a.csv"}, 30, "the offset")
    assert len(made.tasks()) == 1


def test_fe_down_for_a_while(rig):
    """An outage is no failure of the job: it goes on by itself, no task FAILED."""
    made = rig()
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    made.fe.kill9()
    made.bucket.put_rows("in/b.csv", 10)
    procs.wait_until(lambda: "job.waiting" in made.sluice.log_text() or
                     "NOT_SENT" in made.sluice.log_text(), 30, "the job to notice the outage")
    made.fe.start()
    made.check_exactly_once()
    procs.wait_until(lambda: made.offset()["fileName"] == "in/b.csv", 30, "the last offset")
    job = made.job()
    assert (job["Status"], job["FailedTaskCount"]) == ("RUNNING", "0")


def test_forgotten_label_is_never_guessed(rig):
    """
    The only task was loaded while we were dead, and its label is forgotten: PAUSED with IN_DOUBT, the
    range named. The user decides, and the stream goes on.
    """
    made = rig(knobs={"label_num": 1, "label_clean_ms": 50, "slow_ms": SLOW_MS},
               config={"scheduler.label_window": 1})
    made.execute("CREATE TABLE demo.other (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)")
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.forget_a_load(10)
    made.sluice.start()

    job = made.wait_state("PAUSED")
    assert '"code":"IN_DOUBT"' in job["ErrorMsg"] and "in/a.csv" in job["ErrorMsg"]
    made.execute("RESUME JOB WHERE jobName = 'j'")  # asks once more, and knows no more than before
    made.wait_state("PAUSED")
    assert len(made.ids()) == 10
    made.execute("ALTER JOB j RESOLVE TASK 1 AS COMMITTED")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.bucket.put_rows("in/b.csv", 10)
    made.check_exactly_once()
    procs.wait_until(lambda: made.job()["SucceedTaskCount"] == "2", 30, "two tasks")


def test_label_that_was_never_ours(rig):
    """
    Doris has the label of a task that was not sent yet, as after a store from an older backup: neither
    loaded nor skipped before the user has looked.
    """
    made = rig()
    made.execute("CREATE TABLE demo.other (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)")
    made.create_job(properties=JOB)
    label = "%s_1" % made.job()["Id"]
    made.fe.rows("INSERT INTO demo.other WITH LABEL `%s` VALUES (1)" % label)
    made.bucket.put_rows("in/a.csv", 10)
    said = json.loads(made.wait_state("PAUSED")["ErrorMsg"])
    assert said["code"] == "LABEL_TAKEN" and "To its load Doris said: " in said["msg"]
    assert "already been used" in said["msg"] and "it was not asked" not in said["msg"].split(label)[0]
    made.sluice.restart()
    with pytest.raises(pymysql.err.MySQLError, match="cannot be resumed before its task is decided"):
        made.execute("RESUME JOB WHERE jobName = 'j'")
    assert made.ids() == [] and made.offset() == {}
    made.execute("ALTER JOB j RESOLVE TASK 1 AS ABORTED")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.check_exactly_once()
    assert [task["Status"] for task in made.tasks()] == ["FAILED", "SUCCESS"]


def test_a_row_of_a_later_task(rig):
    """Somebody wrote to the table, or the store is an older copy: the text says so, and a way out."""
    made = rig()
    made.create_job(properties={**JOB, "guarantee": "transactional"})
    made.bucket.put_rows("in/a.csv", 10)
    made.check_exactly_once()
    made.fe.rows("INSERT INTO demo.sluice_offsets VALUES (%s, 9, 1, 'x', NULL)" % made.job()["Id"])
    made.bucket.put_rows("in/b.csv", 10)
    said = json.loads(made.wait_state("PAUSED")["ErrorMsg"])
    assert said["code"] == "LABEL_TAKEN", said
    for words in ("an offset row of it or of a later one", "To its load Doris said: demo.`sluice_offsets`",
                  "DROP the job and CREATE it anew"):
        assert words in said["msg"], said
    assert "A label that Doris does not know" not in said["msg"]  # it decides nothing here
    evidence = made.execute('SELECT Evidence FROM jobs("type"="insert")')[0]["Evidence"]
    assert "or of a later one already" in evidence
    assert len(made.ids()) == 10
