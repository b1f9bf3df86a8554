"""
What an operator does to a job that an error has PAUSED, and what he finds afterwards: who did what in
the log and in tasks(), why jobs are PAUSED in the metrics, where a job stands after a crash.
"""

import json
import re

import procs
from life_rig import metric
from rig import SLOW_MS, create_table_sql

JOB = {"max_interval": "1", "s3.max_batch_files": "1"}


def error_of(made, name="j"):
    return json.loads(made.job(name)["ErrorMsg"])


def lines(made, event, levels="info|warn|error"):
    return re.findall(r"^\S+ (?:%s) +%s (.*)$" % (levels, re.escape(event)), made.sluice.log_text(),
                      re.M)


def failing(made):
    """A job that is PAUSED, since its table is gone, and would resume by itself."""
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/a.csv"}, 30, "the offset")
    made.fe.rows("DROP TABLE demo.t")
    made.bucket.put_rows("in/b.csv", 10)
    made.wait_state("PAUSED")
    assert error_of(made)["code"] == "INTERNAL_ERR", made.job()


def paused_metric(made, code):
    return metric(made.sluice, 'sluice_jobs_paused{reason="%s"}' % code)


def test_pause_holds_what_would_resume(rig):
    """PAUSE of a job that an error has PAUSED: it stays so beyond its time, and after a crash."""
    made = rig(config={"scheduler.resume_delay": "12s"})
    failing(made)
    assert paused_metric(made, "INTERNAL_ERR") == 1
    before = error_of(made)["msg"]
    made.execute("PAUSE JOB WHERE jobName = 'j'")
    held = error_of(made)
    assert held["code"] == "MANUAL_PAUSE_ERR" and "(before: %s)" % before in held["msg"]
    assert paused_metric(made, "INTERNAL_ERR") == 0 and paused_metric(made, "MANUAL_PAUSE_ERR") == 1
    # Another job goes the way that this one does not: when it is resumed, so would this one be.
    made.execute(create_table_sql("demo", "witness"))
    target, made.table = made.table, "witness"
    made.create_job("w", "w/*.csv", properties=JOB)
    made.fe.rows("DROP TABLE demo.witness")
    made.bucket.put("w/a.csv", "1,n,1.00,2024-05-01 12:00:00\n")  # not before: it would be loaded
    procs.wait_until(lambda: [x for x in lines(made, "job.resumed") if x.startswith("job=w by=auto")],
                     60, "the other job to be resumed by itself")
    made.table = target
    assert (made.job()["Status"], error_of(made)) == ("PAUSED", held)
    made.sluice.kill9()
    made.sluice.start()
    assert (made.job()["Status"], error_of(made)) == ("PAUSED", held)
    assert not [x for x in lines(made, "job.resumed") if x.startswith("job=j ")]
    made.fe.rows(create_table_sql("demo", "t"))
    made.execute("DROP JOB WHERE jobName = 'w'")
    assert paused_metric(made, "MANUAL_PAUSE_ERR") == 1
    made.check_refused("PAUSE JOB WHERE jobName = 'j'", 1105, "HY000", "same status", "PAUSED already")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.wait_rows(10)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/b.csv"}, 30, "the offset")
    assert made.ids() == list(range(11, 21))  # the first ten went with the table


def test_alter_holds_too(rig):
    """An ALTERed job waits for RESUME JOB, and its error stays readable."""
    made = rig(config={"scheduler.resume_delay": "60s"})
    failing(made)
    before = error_of(made)["msg"]
    made.execute("ALTER JOB j PROPERTIES('max_interval' = '2')")
    held = error_of(made)
    assert held["code"] == "MANUAL_PAUSE_ERR" and "altered" in held["msg"]
    assert "(before: %s)" % before in held["msg"]
    made.sluice.kill9()
    made.sluice.start()
    assert (made.job()["Status"], error_of(made)) == ("PAUSED", held)
    text = made.execute("EXPLAIN JOB j")
    assert "after ALTER JOB" in str(text) and "by itself" not in str(text)


def test_who_did_it(rig):
    """Every statement about a job leaves a line with its user."""
    made = rig()
    made.fe.rows("CREATE USER IF NOT EXISTS 'bob' IDENTIFIED BY 'pw'")
    made.fe.rows("GRANT LOAD_PRIV ON demo.* TO 'bob'")
    made.create_job(properties=JOB)
    bob = {"user": "bob", "password": "pw"}
    made.execute("PAUSE JOB WHERE jobName = 'j'", **bob)
    made.execute("ALTER JOB j PROPERTIES('max_interval' = '2')", **bob)
    made.execute("RESUME JOB WHERE jobName = 'j'", **bob)
    made.execute("DROP JOB WHERE jobName = 'j'", **bob)
    for event, user in (("job.created", "root"), ("job.paused", "bob"), ("job.altered", "bob"),
                        ("job.resumed", "bob"), ("job.dropped", "bob")):
        found = lines(made, event)
        assert len(found) == 1 and " user=%s@127.0.0.1" % user in found[0], (event, found)
    assert " by=user " in lines(made, "job.resumed")[0]


def test_after_a_crash_with_a_forgotten_label(rig):
    """
    Killed in a load whose label Doris forgets: EndOffset is that of the open task, and after RESOLVE
    tasks() tells who decided.
    """
    made = rig(knobs={"label_num": 1, "label_clean_ms": 50}, config={"scheduler.label_window": 1})
    made.execute("CREATE TABLE demo.other (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)")
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/200.csv", 10)
    made.wait_rows(10)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/200.csv"}, 30, "the offset")
    made.fe.knobs(slow_ms=SLOW_MS)
    made.bucket.put_rows("in/300.csv", 10)
    made.forget_a_load(20)
    made.sluice.start()
    made.wait_state("PAUSED")
    assert error_of(made)["code"] == "IN_DOUBT"
    assert paused_metric(made, "IN_DOUBT") == 1
    assert json.loads(made.job()["EndOffset"]) == {"fileName": "in/300.csv"}
    assert "caught up" not in str(made.execute("EXPLAIN JOB j"))
    made.execute("ALTER JOB j RESOLVE TASK 2 AS COMMITTED")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    for _ in range(2):
        task = made.tasks()[-1]
        assert (task["Status"], task["ErrorMsg"]) == ("SUCCESS", "\\N")
        assert task["FirstErrorMsg"] == "resolved as COMMITTED by root@127.0.0.1"
        assert made.job()["EndOffset"] == made.job()["CurrentOffset"]
        assert made.offset() == {"fileName": "in/300.csv"}
        made.sluice.restart()
    assert " user=root@127.0.0.1" in lines(made, "task.resolved")[0]
    made.check_exactly_once(20)


def test_outage_with_many_jobs(rig):
    """An FE that is gone for some seconds: a few lines for all jobs, and one when they go on."""
    made = rig()
    n_jobs = 12
    for i in range(n_jobs):
        made.create_job("j%d" % i, pattern="in%d/*.csv" % i, properties=JOB)
    made.bucket.put_rows("in0/a.csv", 10)
    made.wait_rows(10)
    made.fe.kill9()
    procs.wait_until(lambda: "jobs=%d " % n_jobs in "".join(lines(made, "job.waiting", "info|debug")),
                     60, "all jobs to wait")
    made.fe.start()
    over = procs.wait_until(lambda: lines(made, "job.waiting_over"), 60, "the end of the outage")
    assert len(lines(made, "job.waiting")) <= 4, lines(made, "job.waiting")
    assert re.match(r'jobs=%d s=\d+ because="the FE answers"' % n_jobs, over[-1]), over
    made.bucket.put_rows("in1/a.csv", 10)
    made.check_exactly_once(20)


def test_new_key_is_told(rig):
    """That the line of the old key may go is in the log."""
    made = rig()
    made.create_job(properties=JOB)
    made.sluice.stop()
    key = made.sluice.directory / "sluice.db.key"
    text = key.read_text().splitlines()
    text.insert(1, "a0" * 32)
    key.write_text("\n".join(text) + "\n")
    made.sluice.start()
    found = lines(made, "store.rekeyed")
    assert len(found) == 1 and re.match(r"n=\d+ key=[0-9a-f]{8} former=[0-9a-f]{8} store=", found[0])
    assert int(re.match(r"n=(\d+)", found[0]).group(1)) >= 1
    made.sluice.stop()
    key.write_text(text[0] + "\n" + "a0" * 32 + "\n")
    made.sluice.start()
    assert made.job() is not None and len(lines(made, "store.rekeyed")) == 1
