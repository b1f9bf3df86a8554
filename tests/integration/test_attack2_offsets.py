"""guarantee=transactional when `sluice_offsets` is not what it was: emptied, made anew, read late."""

import json

import pytest

import procs
from fake_fe import err
from rig import SLOW_MS
from sink_tool import CODE, fe, run  # noqa: F401
from test_transactional import JOB, NO_MEMORY, ZLIB_CRC_OF_R1, counts, make, statements  # noqa: F401

UNKNOWN = err(CODE + "transaction with label l1 does not exist")


def forget(made):
    procs.wait_until(lambda: made.process.state()["transactions"].get("VISIBLE", 0) == 0, 30,
                     "the labels to be forgotten")


# --- the sink -------------------------------------------------------------------------------------

def ask(made, task, succeeded):
    return made.label("l%d" % task, task=task, succeeded=succeeded)


def test_no_row_is_a_proof_beside_the_one_before(make):
    made = make(label_num=0, label_clean_ms=20)
    assert made.load("l2", task=2)["result"] == "VISIBLE"
    forget(made)
    got = ask(made, 5, succeeded=2)
    assert got["result"] == "ABSENT" and "has no row of task 5" in got["evidence"], got
    assert ask(made, 5, succeeded=0)["result"] == "ABSENT"  # of a job's first one nobody can tell


@pytest.mark.parametrize("how", ["DELETE FROM d.sluice_offsets WHERE job_id = 7", "TRUNCATE TABLE d.sluice_offsets",
                                 "DROP TABLE d.sluice_offsets"])
def test_no_row_in_a_table_that_was_emptied_is_none(make, how):
    made = make(label_num=0, label_clean_ms=20)
    for task in (2, 3):
        assert made.load("l%d" % task, task=task)["result"] == "VISIBLE"
    forget(made)
    assert ask(made, 3, succeeded=2)["result"] == "VISIBLE"
    made.rows(how)
    assert made.check()["result"] is True  # which makes it anew, as the next CREATE JOB does
    got = ask(made, 3, succeeded=2)
    assert got["result"] == "UNKNOWN", got
    assert "has no row of task 3 of job 7, nor one of task 2" in got["evidence"], got
    assert "does not exist" in got["evidence"] and got["error"] == "", got
    # What the FE itself knows is worth as much as ever.
    made.process.knobs(label_num=1000)
    assert made.load("l4", task=4)["result"] == "VISIBLE"
    assert ask(made, 4, succeeded=3)["result"] == "VISIBLE"


def test_a_row_that_comes_back_while_it_is_looked_for(fe):
    fe.on("^SHOW TRANSACTION", UNKNOWN)
    fe.on("`task_id` = 3", counts(0, None, None)).on("`task_id` > 3", counts(0, None, None))
    fe.on(r"`task_id` IN \(2, 3\)", counts(2, 2, 3))
    got = run(fe, "label", "d", "l1", row="7:3:r1", succeeded=2)
    assert got["result"] == "UNREACHABLE" and "while it was read" in got["error"], got


def test_the_proof_cannot_be_read(fe):
    fe.on("^SHOW TRANSACTION", UNKNOWN)
    fe.on("`task_id` = 3", counts(0, None, None)).on("`task_id` > 3", counts(0, None, None))
    fe.on("`task_id` IN", err(CODE + "backend is gone"))
    got = run(fe, "label", "d", "l1", row="7:3:r1", succeeded=2)
    assert got["result"] == "UNREACHABLE" and "backend is gone" in got["error"], got


def test_nobody_may_ask_for_the_label_either(fe):
    """Neither label nor table tells anything: that is no answer, and not an unknown label."""
    fe.on("^SHOW TRANSACTION", err("Access denied; you need LOAD", 1044, "42000"))
    fe.on("`task_id`", counts(0, None, None))
    got = run(fe, "label", "d", "l1", row="7:3:r1", succeeded=2)
    assert got["result"] == "UNREACHABLE" and "may not ask" in got["error"], got


@pytest.mark.parametrize("variable", ["cloud_partition_version_cache_ttl_ms",
                                      "cloud_table_version_cache_ttl_ms",
                                      "query_freshness_tolerance_ms"])
def test_versions_that_an_fe_has_cached_do_not_hide_a_row(fe, variable):
    """In cloud mode a variable that is set for all sessions lets a SELECT miss what is visible."""
    def answer(link, sql):
        is_set = fe.statements("^SET %s = (0|-1)$" % variable)
        link.send(*(counts(1, ZLIB_CRC_OF_R1, ZLIB_CRC_OF_R1) if is_set else counts(0, None, None)))

    fe.on("^SHOW TRANSACTION", UNKNOWN)
    fe.on("`task_id` = 1", answer).on("`task_id` > 1", counts(0, None, None))
    assert run(fe, "label", "d", "l1", row="7:1:r1")["result"] == "VISIBLE"


# --- a whole job ----------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_a_table_emptied_while_a_task_is_open(rig):
    """The load is visible, its label forgotten and its row gone: not to be loaded once more."""
    made = rig(knobs=NO_MEMORY)
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.check_exactly_once()
    procs.wait_until(lambda: made.job()["SucceedTaskCount"] == "1", 30, "the first task")
    made.fe.knobs(commit_ms=SLOW_MS)
    n_before = len(statements(made, "COMMIT"))
    made.bucket.put_rows("in/b.csv", 10)
    procs.wait_until(lambda: len(statements(made, "COMMIT")) > n_before, 30, "the COMMIT")
    made.sluice.kill9()
    made.fe.knobs(commit_ms=0)
    made.wait_rows(20)
    made.fe.rows("TRUNCATE TABLE demo.sluice_offsets")
    made.sluice.start()
    said = json.loads(made.wait_state("PAUSED")["ErrorMsg"])
    assert said["code"] == "IN_DOUBT" and "in/b.csv" in said["msg"], said
    evidence = made.execute('SELECT Evidence FROM jobs("type"="insert")')[0]["Evidence"]
    assert "nor one of task 1, which succeeded before" in evidence, evidence
    assert "the newest success of the database before it, Doris said UNKNOWN" in evidence, evidence
    assert len(made.ids()) == 20
    made.execute("ALTER JOB j RESOLVE TASK 2 AS COMMITTED")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.bucket.put_rows("in/c.csv", 10)
    made.check_exactly_once()
    made.check_task_ids()
