"""Points 1 to 10: a task's steps, and what users do while one is under way."""

import pymysql
import pytest

import procs
from link import TO_FE, TO_SLUICE
from points import point
from shim import KILL_BEFORE, WRITE

INSERT = rb"^....\x03INSERT INTO"


@point(1, "SIGKILL by the shim at the first write of the store after a new file was put")
def test_point_01_before_the_intent(rig):
    made = rig(shimmed=True).start()
    made.sluice.control.arm(KILL_BEFORE, WRITE)
    made.put("100")
    made.sluice.wait_killed()
    assert made.loads() == 1  # that of start()
    made.sluice.start()
    made.check(n_tasks=2)


@point(2, "the INSERT is held on its way to the FE, SIGKILL, and it never arrives")
def test_point_02_intent_and_nothing_sent(rig, link):
    made = rig(front=link).start()
    link.hold(TO_FE, INSERT)
    made.put("100")
    link.wait_hit()
    made.crash()
    link.release(drop=True)
    assert made.loads() == 1
    made.sluice.start()
    made.check(n_tasks=2)


@point(3, "SIGKILL while the FE runs the INSERT; the next life meets it running, or done")
@pytest.mark.parametrize("is_running", [True, False])
def test_point_03_sent_and_no_reply(rig, is_running):
    made = rig().start()
    with made.slow():
        made.put("100")
        label = made.wait_loading()
        made.crash()
        if not is_running:
            made.go_on()
            procs.wait_until(lambda: made.label_state(label) == "VISIBLE", 20, "its commit")
        made.sluice.start()
        if is_running:
            made.wait_asked(label)
    made.check(n_tasks=2)


@point(3, "the INSERT is held, SIGKILL, a new life loads the range; then the old INSERT arrives")
def test_point_03_a_straggler(rig, link):
    made = rig(front=link).start()
    link.hold(TO_FE, INSERT)
    made.put("100")
    link.wait_hit()
    made.crash()
    made.sluice.start()
    made.settle()
    n = made.loads()
    link.release()
    procs.wait_until(lambda: made.loads() == n + 1, 20, "the late INSERT at the FE")
    made.put("200")
    made.check(n_tasks=3)


@point(4, "SIGKILL by the shim at the first write of the store after the FE's OK")
def test_point_04_loaded_and_not_saved(rig):
    made = rig(shimmed=True).start()
    with made.slow():
        made.put("100")
        label = made.wait_loading()
        made.sluice.control.arm(KILL_BEFORE, WRITE)
    made.sluice.wait_killed()
    assert made.label_state(label) == "VISIBLE"
    made.sluice.start()
    made.check(n_tasks=2)


@point(5, "the FE commits, then resets the link; or the reply is lost and sluice, too, by SIGKILL")
@pytest.mark.parametrize("is_killed", [False, True])
def test_point_05_response_lost(rig, link, is_killed):
    made = rig(front=link).start()
    made.fe.knobs(cut_after_commit=0 if is_killed else 1)
    if is_killed:
        link.hold(TO_SLUICE, rb"'status':'VISIBLE'")
    made.put("100")
    if is_killed:
        link.wait_hit()
        made.crash()
        link.release(drop=True)
        made.sluice.start()
    made.check(n_tasks=2)


@point(6, "task_timeout passes (the shim moves the clock); the FE ignores its own limit and "
          "commits")
def test_point_06_timed_out_here_and_running_there(rig):
    made = rig({"scheduler.task_timeout": 2}, shimmed=True).start()
    made.fe.knobs(ignore_timeouts=1)
    with made.slow("commit_ms"):
        made.put("100")
        label = made.wait_committing()
        made.sluice.control.pass_time(100)
        made.wait_asked(label)
    made.check(n_tasks=2)


@point(7, "CANCEL TASK while the FE is in the commit, where it hears no KILL")
def test_point_07_cancel_while_committing(rig):
    made = rig().start()
    with made.slow("commit_ms"):
        made.put("100")
        made.wait_committing()
        made.execute("CANCEL TASK WHERE jobName = 'j' AND taskId = 2")
    made.check(n_tasks=2)  # there is no third one: what was loaded is SUCCESS


@point(8, "PAUSE JOB while the FE is in the commit; then RESUME JOB, or SIGKILL first")
@pytest.mark.parametrize("is_killed", [False, True])
def test_point_08_pause_while_committing(rig, is_killed):
    made = rig().start()
    with made.slow("commit_ms"):
        made.put("100")
        label = made.wait_committing()
        made.execute("PAUSE JOB WHERE jobName = 'j'")
        if is_killed:
            made.crash()
            made.sluice.start()
    procs.wait_until(lambda: made.label_state(label) == "VISIBLE", 20, "the commit")
    assert made.job()["Status"] == "PAUSED"
    resume(made)
    made.check(n_tasks=2)


def resume(made):
    """As soon as its task is decided."""
    def try_it():
        try:
            made.execute("RESUME JOB WHERE jobName = 'j'")
            return True
        except pymysql.MySQLError as e:
            assert "task" in e.args[1], e
    procs.wait_until(try_it, 30, "RESUME JOB to be taken")


@point(9, "PAUSE, ALTER of the query and of the credentials, RESUME, while the old INSERT commits")
def test_point_09_alter_while_loading(rig, swift):
    made = rig().start()
    new = made.bucket.tvf("in/*.csv", **{"s3.access_key": "AKIDOTHER",
                                       "s3.secret_key": "another-secret"})
    alter = "ALTER JOB j INSERT INTO %s SELECT c1, upper(c2), c3, c4 FROM %s" % (made.target, new)

    def try_it():
        try:
            made.execute(alter)
            return True
        except pymysql.MySQLError as e:
            assert "task" in e.args[1], e
    with made.slow("commit_ms"):
        made.put("100")
        label = made.wait_committing()
        made.execute("PAUSE JOB WHERE jobName = 'j'")
        assert not try_it()
    procs.wait_until(try_it, 30, "ALTER JOB to be taken")
    assert made.label_state(label) == "VISIBLE"
    resume(made)
    made.put("200")
    made.check(n_tasks=3)


@point(10, "DROP and CREATE of the same name while the old INSERT runs in the FE")
def test_point_10_drop_and_create_again(rig):
    made = rig()
    made.put("000")
    with made.slow():
        made.create_job(properties={"max_interval": "1"})
        old = made.wait_loading()
        made.execute("DROP JOB WHERE jobName = 'j'")
        made.create_job(properties={"max_interval": "1"})
        new = made.wait_loading()
        assert old.split("_")[0] != new.split("_")[0], "labels name the job by its number"
        assert made.tasks()[0]["TaskId"] == "1"
        made.put("100")
    made.check()
