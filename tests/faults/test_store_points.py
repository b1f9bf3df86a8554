"""Points 11 to 20: the store, its owner and its clock."""

import os
import pathlib
import shutil
import signal

import pytest

import procs
from link import TO_FE
from points import point
from rig import failed_start
from shim import EIO, ENOSPC, KILL_BEFORE, SYNC, TORN, WRITE

INSERT = rb"^....\x03INSERT INTO"


@point(11, "a second sluice on the same store; then one on a copy of it, both loading from one "
           "bucket")
def test_point_11_two_schedulers(rig):
    made = rig().start()
    refused = made.another_sluice(start=False)
    code, said = failed_start(refused)
    assert code == 1 and "in use by process %d" % made.sluice.pid in said
    second = made.another_sluice(copy_store=True)
    for key in ("100", "200"):
        made.put(key)
    made.wait_rows(made.bucket.n_rows)

    def settled():
        return all(process.rows("SELECT Status FROM jobs('type'='insert') WHERE Name = 'j'")[0]
                   ["Status"] == "PAUSED" or is_at_end(process) for process in (made.sluice, second))
    procs.wait_until(settled, 30, "both to have loaded, or to have seen the other's labels")
    made.check_exactly_once()
    made.look()


def is_at_end(process):
    offset = process.rows("SELECT CurrentOffset FROM jobs('type'='insert') WHERE Name = 'j'")
    return "in/200.csv" in offset[0]["CurrentOffset"]


@point(12, "SIGSTOP in a load; a second sluice is refused; with the lock file gone (as on a "
           "network file system) it takes over; SIGCONT")
def test_point_12_zombie(rig):
    made = rig().start()
    second = made.another_sluice(start=False)
    with made.slow():
        made.put("100")
        made.wait_loading()
        os.kill(made.sluice.pid, signal.SIGSTOP)
        code, said = failed_start(second)
        assert code == 1 and "in use by process %d" % made.sluice.pid in said
        lock = pathlib.Path(str(made.sluice.directory / "sluice.db") + ".lock")
        lock.unlink()
        second.start()
    zombie, made.sluice = made.sluice, second
    made.check(n_tasks=2)
    os.kill(zombie.pid, signal.SIGCONT)
    procs.wait_until(lambda: "store.stale" in zombie.log_text(), 30, "the zombie to find out")
    for key in ("200", "300"):
        made.put(key)
    made.check(n_tasks=4)
    stale = [line for line in zombie.http("/metrics")[1].splitlines()
             if line.startswith("sluice_") and "stale" in line]
    assert stale and float(stale[0].split()[-1]) > 0, stale


@point(13, "the shim moves the wall clock by +1 h, -1 h and back, between loads, in one, and at a "
           "restart")
@pytest.mark.parametrize("hours", [1, -1])
def test_point_13_clock_jumps(rig, hours):
    made = rig(shimmed=True).start()
    clock = made.sluice.control
    with made.slow():
        made.put("100")
        made.wait_loading()
        clock.move_clock(hours * 3600)
    made.settle()
    with made.slow():
        made.put("200")  # a new listing, signed with that clock
        made.wait_loading()
        made.crash()
        clock.move_clock(0)
        made.sluice.start()
    made.settle()
    clock.move_clock(-hours * 3600)
    made.put("300")
    made.check(n_tasks=4)


def arm_at(made, at_commit, *fault, **more):
    """For the task of a new file: from its intent on, or from its commit on."""
    if not at_commit:
        made.sluice.control.arm(*fault, **more)
        made.put("100")
        return
    with made.slow():
        made.put("100")
        made.wait_loading()
        made.sluice.control.arm(*fault, **more)


@point(14, "ENOSPC by the shim at every write of the store, from the intent or from the commit on;"
           " a real full tmpfs: integration/test_store_full.py")
@pytest.mark.parametrize("at_commit", [False, True])
def test_point_14_disk_full(rig, at_commit):
    made = rig(shimmed=True).start()
    arm_at(made, at_commit, ENOSPC, WRITE, is_sticky=True)
    assert "the disk is full" in made.wait_code("STORE_ERR")
    assert made.offset()["fileName"] == "in/000.csv"
    made.sluice.control.disarm()
    made.check()


@point(15, "half of the record is written, then SIGKILL: of the intent, or of the commit")
@pytest.mark.parametrize("at_commit", [False, True])
def test_point_15_torn_record(rig, at_commit):
    made = rig(shimmed=True).start()
    arm_at(made, at_commit, TORN, WRITE, at=2)
    made.sluice.wait_killed()
    made.sluice.start()
    made.check(n_tasks=2)


@point(16, "EIO by the shim at one fsync, of the intent or of the commit; then what was not synced"
           " is lost")
@pytest.mark.parametrize("at_commit", [False, True])
def test_point_16_fsync_fails(rig, at_commit):
    made = rig(shimmed=True).start()
    arm_at(made, at_commit, EIO, SYNC)
    procs.wait_until(lambda: made.sluice.control.n_hits, 20, "the fsync that fails")
    made.crash()
    made.sluice.lose_power()
    made.sluice.start()
    made.check(n_tasks=2)


@point(16, "EIO by the shim at one fsync; the process lives on")
def test_point_16_fsync_fails_once(rig):
    made = rig(shimmed=True).start()
    made.sluice.control.arm(EIO, SYNC)
    made.put("100")
    procs.wait_until(lambda: made.sluice.control.n_hits, 20, "the fsync that fails")
    made.put("200")
    made.check(n_tasks=3)


@point(17, "SIGKILL once the INSERT is on its way, or right before its commit is synced; the store"
           " is then what was synced")
@pytest.mark.parametrize("at_commit", [False, True])
def test_point_17_power_loss(rig, link, at_commit):
    made = rig(front=link, shimmed=True).start()
    if at_commit:
        arm_at(made, True, KILL_BEFORE, SYNC)
        made.sluice.wait_killed()
    else:
        link.hold(TO_FE, INSERT)
        made.put("100")
        link.wait_hit()
        made.crash()
        link.release()  # it arrives all the same, and is loaded
        procs.wait_until(lambda: len(made.ids()) == made.bucket.n_rows, 20, "the rows")
    made.sluice.lose_power()
    made.sluice.start()
    made.check(n_tasks=2)


@point(18, "the store is put back to a copy from two tasks ago")
def test_point_18_older_backup(rig, tmp_path):
    made = rig().start(2)
    made.sluice.stop()
    made.copy_store(tmp_path / "backup")
    made.sluice.start()
    for key in ("100", "200"):
        made.put(key)
    made.check(n_tasks=4)
    made.sluice.stop()
    made.restore_store(tmp_path / "backup")
    made.last_offset = ""
    made.sluice.start()
    for _ in range(2):
        # Doris has the label of a task that this store never sent: the user has to say what it is.
        assert "in/" in made.wait_code("LABEL_TAKEN")
        made.resolve("COMMITTED")
    made.put("300")
    made.check(n_tasks=5)


@point(19, "SIGKILL at the intent, in the load and at the commit, one after the other")
def test_point_19_task_ids(rig):
    made = rig(shimmed=True).start()
    control = made.sluice.control
    for i, at in enumerate((1, 3, 5, 7)):  # writes of the store: this one is the end
        control.arm(KILL_BEFORE, WRITE, at)
        made.put("10%d" % i)
        made.sluice.wait_killed()
        made.sluice.start()
        made.settle()
        made.look()
    made.check(n_tasks=5)


@point(20, "SIGTERM with a load under way that outlives the drain; another binary goes on with the"
           " store")
def test_point_20_upgrade(rig, tmp_path):
    made = rig().start()
    newer = tmp_path / "sluice-newer"
    shutil.copy2(made.sluice.binary, newer)
    with made.slow():
        made.put("100")
        made.wait_loading()
        assert made.sluice.stop() == 0
        made.sluice.binary = newer
        made.sluice.argv[0] = newer
        made.sluice.start()
    made.check(n_tasks=2)
