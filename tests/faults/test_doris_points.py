"""Points 21 to 32 and 38 to 41: states of a label, and an FE or BE that fails."""

import contextlib
import shutil

import pytest

import procs
from faults_rig import JOB
from points import point

NO_BACKEND = "there exists unhealthy backend. Backend 10001 is not alive"
TOO_MANY_VERSIONS = (
    "[E-235]failed to init rowset builder. version count: 2001, exceed limit: 2000, tablet: 10105. "
    "Please reduce the frequency of loading data or adjust the max_tablet_version_num or "
    "time_series_max_tablet_version_num in be.conf to a larger value.")


@point(21, "the link is cut while the statement runs: it goes on, or the FE leaves its transaction"
           " behind")
@pytest.mark.parametrize("is_orphan", [False, True])
def test_point_21_prepare(rig, is_orphan):
    made = rig(shimmed=True).start()
    with made.slow():
        made.fe.knobs(**({"cut_before_commit": 1, "slow_ms": 0} if is_orphan else {"cut_running": 1}))
        made.put("100")
        label = made.wait_loading()
        if is_orphan:
            let_it_be_fenced(made, label)
        else:
            made.wait_asked(label)
    made.check(n_tasks=2)


def let_it_be_fenced(made, label):
    """A PREPARE that nobody works at is aborted after some seconds; the shim makes them pass."""
    made.wait_asked(label)
    made.sluice.control.pass_time(6)


@point(22, "the transaction stays PRECOMMITTED until somebody commits or aborts it")
@pytest.mark.parametrize("how", ["commit", "abort"])
def test_point_22_precommitted(rig, how):
    made = rig().start()
    made.fe.knobs(hold_precommitted=1)
    made.put("100")
    label = made.wait_loading("PRECOMMITTED")
    made.crash()
    made.sluice.start()
    made.put("200")
    made.wait_asked(label, 3)
    assert made.loads() == 2 and len(made.tasks()) == 2
    made.end_transaction(label, how)
    made.check(n_tasks=3)


@point(23, "the publish comes late: status COMMITTED, an error that says committed, SIGKILL "
           "meanwhile")
@pytest.mark.parametrize("case", ["status", "error", "crash"])
def test_point_23_committed(rig, case):
    made = rig().start(properties={"session.insert_visible_timeout_ms": "1000"})
    made.fe.knobs(publish_delay_ms=3600 * 1000, visible_timeout_as_error=case == "error")
    made.put("100")
    label = made.wait_loading("COMMITTED")
    if case == "crash":
        made.crash()
        made.sluice.start()
    made.wait_asked(label, 2)
    assert made.offset() == {"fileName": "in/000.csv"}
    made.fe.knobs(publish_delay_ms=0)
    made.end_transaction(label, "publish")
    made.put("200")
    made.check(n_tasks=3)


@point(24, "the FE dies right after its commit; sluice, too, by SIGKILL")
@pytest.mark.parametrize("is_killed", [False, True])
def test_point_24_visible(rig, is_killed):
    made = rig().start()
    made.fe.knobs(die_after_commit=1)
    made.put("100")
    procs.wait_until(lambda: not made.fe.is_running(), 20, "the FE to die")
    if is_killed:
        made.crash()
    made.fe.restart()
    if is_killed:
        made.sluice.start()
    made.check(n_tasks=2)


@point(25, "the first transaction of the label is ABORTED: by an error, by an FE that died, in an "
           "OK packet")
@pytest.mark.parametrize("knobs", [{"fail_insert": NO_BACKEND, "fail_insert_count": 1},
                                   {"cut_before_commit": 1, "orphan": "ABORTED"},
                                   {"aborted_in_ok": 1}], ids=["error", "death", "ok"])
def test_point_25_aborted_and_again(rig, knobs):
    made = rig().start()
    made.fe.knobs(**knobs)
    made.put("100")
    made.check(n_tasks=2)
    label = made.tasks()[-1]["Label"]
    found = made.fe.rows("SHOW TRANSACTION FROM %s WHERE label LIKE '%s'" % (made.db, label))
    assert sorted(row["TransactionStatus"] for row in found) == ["ABORTED", "VISIBLE"]


def label_gone(made, label):
    procs.wait_until(lambda: made.label_state(label) is None, 20, "the label to be forgotten")


@point(26, "streaming_label_keep_max_second = 1, read by sluice; SIGKILL in a load that succeeds, "
           "the job's first or second; the label is forgotten: IN_DOUBT, the user decides")
@pytest.mark.parametrize("n_before", [1, 0])
def test_point_26_forgotten_by_age(rig, n_before):
    made = forgetting(rig, {"label_keep_s": 1, "label_clean_ms": 50}, n_before)
    label_gone(made, made.lose_a_load())
    decide(made)


@point(27, "label_num_threshold = 10, read by sluice; SIGKILL in a load that succeeds, the job's "
           "first or second; loads of others push its label out: IN_DOUBT, the user decides")
@pytest.mark.parametrize("n_before", [1, 0])
def test_point_27_forgotten_by_count(rig, n_before):
    made = forgetting(rig, {"label_num": 10, "label_clean_ms": 50}, n_before)
    label = made.lose_a_load()
    made.push_labels_out(14)
    label_gone(made, label)
    decide(made)


@point(28, "CLEAN LABEL of the whole database while sluice is down and a load that succeeded is in"
           " doubt: IN_DOUBT, the user decides")
def test_point_28_clean_label(rig):
    made = forgetting(rig, {}, 1)
    label = made.lose_a_load()
    made.fe.rows("CLEAN LABEL FROM " + made.db)
    label_gone(made, label)
    decide(made)


def forgetting(rig, knobs, n_before):
    """The FE has its configuration before sluice asks for it. The job's next task loads in/100.csv."""
    made = rig()
    made.fe.knobs(**knobs)
    made.sluice.restart()
    if n_before:
        made.start(n_before)
        made.put("100")
    else:
        made.put("100")
        made.fe.knobs(slow_ms=10 * 60 * 1000)
        made.create_job(properties=JOB)
    return made


def decide(made):
    """Sluice must not guess: it says what is in doubt, and goes on once the user has looked."""
    made.sluice.start()
    text = made.wait_code("IN_DOUBT")
    assert "in/100.csv" in text
    assert len(made.ids()) == made.bucket.n_rows
    made.resolve("COMMITTED")
    made.put("200")
    made.check()


@point(29, "COMMITTED for ever: no offset, no further task, until a publish by hand; SIGKILL "
           "meanwhile")
def test_point_29_never_published(rig):
    made = rig().start(properties={"session.insert_visible_timeout_ms": "1000"})
    made.fe.knobs(publish_delay_ms=3600 * 1000)
    made.put("100")
    label = made.wait_loading("COMMITTED")
    made.fe.knobs(publish_delay_ms=0)
    made.put("200")
    made.wait_asked(label, 2)
    made.crash()
    made.sluice.start()
    made.wait_asked(label, 3)
    assert made.offset() == {"fileName": "in/000.csv"} and len(made.tasks()) == 2
    assert len(made.ids()) == 5
    made.end_transaction(label, "publish")
    made.check(n_tasks=3)


@point(30, "the FE dies in a load, before or after the commit; what comes back is not the master "
           "for a while")
@pytest.mark.parametrize("knob", ["die_before_commit", "die_after_commit"])
def test_point_30_master_switch(rig, knob):
    made = rig(shimmed=True).start()
    made.fe.knobs(**{knob: 1})
    made.put("100")
    procs.wait_until(lambda: not made.fe.is_running(), 20, "the FE to die")
    made.fe.restart()
    made.fe.knobs(not_master=1)
    procs.wait_until(lambda: any("SHOW TRANSACTION" in entry["repr"] for entry in made.fe.log()), 20,
                     "a question that only a master answers")
    assert len(made.tasks()) == 2
    made.fe.knobs(not_master=0)
    if knob == "die_before_commit":
        let_it_be_fenced(made, made.tasks()[-1]["Label"])
    made.check(n_tasks=2)


@point(31, "the FE's files are put back to an older copy while a load is in doubt: IN_DOUBT; the "
           "user sets the offset back to what Doris still has")
def test_point_31_older_image(rig, own_fe, tmp_path):
    fe = own_fe()
    made = rig(of=fe).start()
    fe.stop()
    shutil.copytree(fe.directory / "data", tmp_path / "image")
    fe.start()
    for key in ("100", "200"):
        made.put(key)
        made.settle()
    made.put("300")
    made.lose_a_load()
    fe.kill9()
    shutil.rmtree(fe.directory / "data")
    shutil.copytree(tmp_path / "image", fe.directory / "data")
    fe.start()
    made.sluice.start()
    assert "in/300.csv" in made.wait_code("IN_DOUBT")
    assert made.ids() == list(range(1, 6))
    made.execute("ALTER JOB j RESOLVE TASK 4 AS ABORTED")
    made.execute("ALTER JOB j PROPERTIES ('offset' = '{\"fileName\":\"in/000.csv\"}')")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.settle()
    made.check_exactly_once()
    made.check_task_ids()


@point(32, "errors as of a BE that is not there: before the load, and after its commit")
@pytest.mark.parametrize("knobs", [{"fail_insert": NO_BACKEND, "fail_insert_count": 2},
                                   {"err_after_commit": 2}], ids=["before", "after"])
def test_point_32_backend_lost(rig, knobs):
    made = rig().start()
    made.fe.knobs(**knobs)
    made.put("100")
    made.check(n_tasks=2)
    assert made.job()["FailedTaskCount"] == "0"


@point(38, "three loads are refused with [E-235]")
def test_point_38_too_many_versions(rig):
    made = rig().start()
    made.fe.knobs(fail_insert=TOO_MANY_VERSIONS, fail_insert_count=3)
    made.put("100")
    made.put("200")
    made.check()


@point(39, "max_running_txn_num_per_db = 1, and somebody else has a transaction open")
def test_point_39_running_transactions(rig):
    made = rig({"scheduler.max_auto_resumes": 1000}).start()
    made.fe.knobs(max_running_txn=1)
    made.fe.rows("CREATE TABLE %s.other LIKE %s" % (made.db, made.target))
    with contextlib.closing(made.fe.connect(db=made.db)) as holder, holder.cursor() as cursor:
        cursor.execute("BEGIN WITH LABEL held")
        cursor.execute("INSERT INTO other SELECT 1, 'x', 1, NULL")
        made.put("100")
        procs.wait_until(lambda: made.loads() >= 3, 20, "a second try of the load")
        assert made.offset() == {"fileName": "in/000.csv"}
        cursor.execute("COMMIT")
    made.check()


@point(40, "the table is dropped, made again, gets a column and loses it, is emptied: while loads "
           "run")
def test_point_40_table_changes(rig):
    made = rig({"scheduler.max_auto_resumes": 1000})
    made.put("000")
    with made.slow("commit_ms"):
        made.create_job(properties={"max_interval": "1", "s3.max_batch_files": "1"})
        made.wait_committing()
        create = made.fe.rows("SHOW CREATE TABLE " + made.target)[0]["Create Table"]
        made.fe.rows("DROP TABLE %s FORCE" % made.target)
    label = made.tasks()[0]["Label"]
    procs.wait_until(lambda: made.label_state(label) == "ABORTED", 20, "the load to fail")
    made.fe.rows(create.replace("CREATE TABLE ", "CREATE TABLE %s." % made.db, 1))
    made.settle()
    with made.slow("commit_ms"):
        made.put("100")
        made.wait_committing()
        made.fe.rows("ALTER TABLE %s ADD COLUMN extra INT" % made.target)
        made.fe.rows("ALTER TABLE %s DROP COLUMN extra" % made.target)
    made.check()
    made.fe.rows("TRUNCATE TABLE " + made.target)
    made.put("200")
    made.settle()
    assert made.ids() == list(range(11, 16)) and made.covered() == made.keys()


@point(41, "SHOW TRANSACTION is refused: the FE's HTTP API is asked; without it nothing is guessed")
@pytest.mark.parametrize("has_http", [True, False])
def test_point_41_not_allowed_to_ask(rig, has_http):
    made = rig({} if has_http else {"doris.http": None}).start()
    made.fe.knobs(no_show_transaction=1, cut_after_commit=1)
    made.put("100")
    if not has_http:
        label = procs.wait_until(lambda: len(made.tasks()) > 1 and made.tasks()[1]["Label"], 20,
                                 "the task")
        made.put("200")
        procs.wait_until(lambda: made.asked(label), 20, "the question")
        made.crash()
        made.sluice.start()
        made.wait_asked(label, 2)
        assert "may not ask" in made.sluice.log_text()
        assert len(made.tasks()) == 2 and len(made.ids()) == 10
        made.fe.knobs(no_show_transaction=0)
    made.check()
