"""
Every call: a small job is run again and again, from CREATE JOB to its last file, and ended at the
n-th call of a kind, for all n until a run ends without having been ended. After each it is started
again on the store that is left, and has to load what is missing, and nothing twice.
"""

import contextlib

import pymysql
import pytest

import procs
from faults_rig import FaultRig
from points import point
from shim import KILL_BEFORE, SEND, SYNC, TORN, WRITE, ShimmedSluice

N_FILES = 2
LOOPS = {
    "write": (KILL_BEFORE, WRITE, False),
    "torn": (TORN, WRITE, False),
    "sync": (KILL_BEFORE, SYNC, True),
    "send": (KILL_BEFORE, SEND, True),
}


class Life:
    """One run: its own store, table and job, in the FE and with the files that all runs share."""

    def __init__(self, registry, fe, bucket, number):
        directory = registry.directory / ("life-%d" % number)
        directory.mkdir()
        sluice = ShimmedSluice(directory, fe,
                               {"scheduler.resume_delay": 20, "log.level": "info"})
        registry.processes.append(sluice)
        sluice.start()
        self.sluice = sluice
        self.rig = FaultRig(fe, sluice, bucket, registry)
        self.create = self.rig.job_sql().replace("CREATE JOB j", "CREATE JOB IF NOT EXISTS j")

    def run(self):
        """Until the last file is loaded, or sluice has ended: then False."""
        try:
            with contextlib.closing(self.sluice.connect(db=self.rig.db)) as connection:
                with connection.cursor() as cursor:
                    cursor.execute(self.create)
                    procs.wait_until(lambda: self._is_done(cursor), 30, "the last file")
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
            self.sluice.wait_killed()
            return False
        return True

    def _is_done(self, cursor):
        cursor.execute("SELECT CurrentOffset FROM jobs('type'='insert') WHERE Name = 'j'")
        return self.rig.keys()[-1] in cursor.fetchone()[0]

    def _was_spared(self):
        """All is well; False when a call that was in the shim as we disarmed it ended sluice after all."""
        try:
            self.rig.check()
        except Exception:
            if self.sluice.control.n_hits == 0:
                raise
        return self.sluice.control.n_hits == 0

    def ended_at(self, fault, classes, n, is_power_lost):
        """True when the n-th call was there to end it."""
        control = self.sluice.control
        control.arm(fault, classes, n)
        is_done = self.run()
        control.disarm()
        if is_done and control.n_hits == 0 and self._was_spared():
            return False
        self.sluice.wait_killed()  # perhaps after the last file, by the next look at the bucket
        if is_power_lost:
            self.sluice.lose_power()
        self.sluice.start()
        assert self.run()
        self.rig.check()
        return True


@pytest.mark.parametrize("loop", [
    pytest.param("write", marks=[
        point(1, "SIGKILL before the n-th write of the store, for all n of a small job")]),
    pytest.param("torn", marks=[
        point(15, "half of the n-th write of the store, then SIGKILL, for all n of a small job")]),
    pytest.param("sync", marks=[
        point(4, "SIGKILL before the n-th fsync, for all n of a small job; the store is then what "
                 "was synced"),
        point(17, "SIGKILL before the n-th fsync, for all n of a small job; the store is then what"
                  " was synced")]),
    pytest.param("send", marks=[
        point(2, "SIGKILL before the n-th send to FE or S3, for all n of a small job; the store is"
                 " then what was synced"),
        point(17, "SIGKILL before the n-th send to FE or S3, for all n of a small job; the store "
                  "is then what was synced")])])
@pytest.mark.timeout(600)
def test_every_call(registry, fe, bucket, loop, record_property):
    for i in range(N_FILES):
        bucket.put_rows("in/%03d.csv" % i, 3)
    n = 1
    while True:
        life = Life(registry, fe, bucket, n)
        try:
            if not life.ended_at(*LOOPS[loop][:2], n, LOOPS[loop][2]):
                break
        except (AssertionError, TimeoutError, procs.ProcessError) as e:
            raise AssertionError("with n = %d: %s" % (n, e)) from e
        life.sluice.kill9()
        life.sluice.control.close()
        registry.processes.remove(life.sluice)
        n += 1
    assert n > 3, "the loop met only %d calls" % (n - 1)
    record_property("figure", "every call: %d runs ended, one at each %s" % (n - 1, loop))
