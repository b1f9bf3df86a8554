"""What every fault test compares in the end, whatever happened before."""

import contextlib
import itertools
import json
import os
import shutil

import pymysql

import procs
from rig import Rig, create_job_sql
from shim import STORE_FILES

JOB = {"max_interval": "1", "s3.max_batch_files": "1"}
_numbers = itertools.count(1)


class FaultRig(Rig):
    """
    A database of its own in the FE. The oracle: every row of the bucket is in the target once; task
    ids rise by one; the offset never went back; the ranges of the tasks that succeeded cover the keys
    in their order, none twice, none left out.
    """

    def __init__(self, fe, sluice, bucket, registry):
        self.registry = registry
        self._connection, self._of = None, None
        super().__init__(fe, sluice, bucket, db="f%d_%d" % (os.getpid(), next(_numbers)))
        self.last_offset = ""
        self.ranges = {}

    def execute(self, sql, **who):
        """On one connection as long as it lives: the tests ask often."""
        if who and set(who) != {"db"}:
            return super().execute(sql, **who)
        is_new = self._connection is None or self._of != self.sluice.pid
        if is_new:
            self._connection, self._of = self.sluice.connect(), self.sluice.pid
        try:
            return self._run(sql, who.get("db"))
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError) as e:
            self._connection = None
            if is_new or (e.args and e.args[0] not in (0, 2006, 2013)):
                raise
            return self.execute(sql, **who)

    def _run(self, sql, db):
        if db:
            self._connection.select_db(db)
        with self._connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def start(self, n=1, name="j", rows=5, **more):
        """The job and its first `n` files, which are loaded when this returns."""
        for i in range(n):
            self.bucket.put_rows("in/%03d.csv" % i, rows)
        self.create_job(name, properties={**JOB, **more.pop("properties", {})}, **more)
        self.settle()
        return self

    def put(self, key, n=5):
        self.bucket.put_rows("in/%s.csv" % key, n)

    def settle(self, timeout=30):
        """Until the offset is at the last key; the rows are there by then, or never."""
        last = self.keys()[-1]
        procs.wait_until(lambda: self.offset().get("fileName") == last, timeout,
                         "the offset at " + last)

    def keys(self):
        return sorted((key for key in set(self.bucket.keys) if key.startswith("in/")),
                      key=lambda key: key.encode())

    def look(self, name="j"):
        """What may only rise, so far."""
        offset = self.offset(name).get("fileName", "")
        assert offset.encode() >= self.last_offset.encode(), "the offset went back from %s to %s" % (
            self.last_offset, offset)
        self.last_offset = offset
        for task in self.tasks(name):
            known = self.ranges.setdefault((task["JobId"], task["TaskId"]), task["RunningOffset"])
            assert known == task["RunningOffset"], "task %s was %s and is %s" % (
                task["TaskId"], known, task["RunningOffset"])
        self.check_task_ids(name)

    def check(self, timeout=30, n_tasks=None):
        """The whole oracle, of job j in ordered mode, once everything is loaded."""
        self.settle(timeout)
        self.check_exactly_once(timeout=timeout)
        self.look()
        done = self.covered()
        assert done == self.keys(), "the tasks cover %s" % done
        job = self.job()
        assert job["Status"] == "RUNNING", job
        if n_tasks is not None:
            assert len(self.tasks()) == n_tasks, self.tasks()

    def covered(self, name="j"):
        """The keys of the tasks that succeeded, in the order of the tasks."""
        out = []
        for task in self.tasks(name):
            if task["Status"] == "SUCCESS":
                ends = json.loads(task["RunningOffset"])
                first, last = ends["startFileName"].encode(), ends["endFileName"].encode()
                out += [key for key in self.keys() if first <= key.encode() <= last]
        return out

    def hidden(self, *columns):
        """Columns of jobs() that only who names them gets."""
        row = self.execute("SELECT %s FROM jobs('type'='insert') WHERE Name = 'j'"
                           % ", ".join(columns))[0]
        return tuple(row[column] for column in columns)

    def rewrite_rows(self, key, n=5):
        """The object with other rows, whose ids go on where the last ones ended."""
        self.bucket.put_rows(key, n)

    def crash(self):
        self.sluice.kill9()

    def error(self, name="j"):
        """(code, text) of a job that is PAUSED."""
        found = json.loads(self.job(name)["ErrorMsg"])
        return found["code"], found["msg"]

    def wait_code(self, code, timeout=30):
        """PAUSED for that reason; the text."""
        def look():
            job = self.job()
            return '"code":"%s"' % code in job["ErrorMsg"] and json.loads(job["ErrorMsg"])["msg"]
        return procs.wait_until(look, timeout, "the job to be PAUSED with " + code)

    def resolve(self, how, task=None):
        task = task or self.tasks()[-1]["TaskId"]
        self.execute("ALTER JOB j RESOLVE TASK %s AS %s" % (task, how))
        self.execute("RESUME JOB WHERE jobName = 'j'")

    def label_state(self, label):
        """As the FE has it: None when it does not know it."""
        try:
            found = self.fe.rows("SHOW TRANSACTION /* standin-test */ FROM %s WHERE LABEL = '%s'"
                                 % (self.db, label))
        except pymysql.MySQLError as e:
            assert "does not exist" in e.args[1]
            return None
        return found[0]["TransactionStatus"]

    def wait_loading(self, state="PREPARE"):
        """Until the newest task's transaction is in that state; its label."""
        def look():
            tasks = self.tasks()
            label = tasks[-1]["Label"] if tasks else None
            return label if label and self.label_state(label) == state else None
        return procs.wait_until(look, 30, "a load in state " + state, interval=0.01)

    def loads(self):
        """How many INSERTs with a label into our table the FE was sent, by its log."""
        return sum("INSERT INTO %s" % self.target in entry["repr"] for entry in self.fe.log()
                   if "WITH LABEL" in entry["repr"])

    def another_sluice(self, kind=procs.Sluice, start=True, copy_store=False, config=None):
        """A second one, configured alike but for its ports; copy_store: with a store of its own."""
        directory = self.registry.new_directory("second")
        made = self.registry.add(kind(directory, self.fe, {**self.sluice.config}))
        made.config.update({"proxy.listen": "127.0.0.1:%d" % made.port,
                            "http.listen": "127.0.0.1:%d" % made.http_port, **(config or {})})
        if copy_store:
            self.copy_store(directory)
            made.config["store.url"] = "sqlite:%s" % (directory / "sluice.db")
        if start:
            made.start()
        return made

    def copy_store(self, directory):
        directory.mkdir(exist_ok=True)
        for path in self.sluice.directory.glob("sluice.db*"):
            if not path.name.endswith((".lock", "-shm")):
                shutil.copy2(path, directory / path.name)

    def restore_store(self, directory):
        """Of a sluice that does not run."""
        assert not self.sluice.is_running()
        for name in STORE_FILES:
            (self.sluice.directory / name).unlink(missing_ok=True)
        for path in directory.iterdir():
            shutil.copy2(path, self.sluice.directory / path.name)

    def end_transaction(self, label, how):
        """commit or abort of a PRECOMMITTED one, publish of a COMMITTED one."""
        self.fe._control("POST", "/standin/transactions",
                         {"db": self.db, "label": label, "how": how})

    @contextlib.contextmanager
    def slow(self, knob="slow_ms"):
        """Loads stay PREPARE, with commit_ms in the commit, where they hear no KILL; until go_on()."""
        self.n_commits = self.fe.state()["commits_begun"]
        self.fe.knobs(**{knob: 10 * 60 * 1000})
        try:
            yield
        finally:
            if self.fe.is_running():
                self.go_on()

    def wait_committing(self):
        """In slow("commit_ms"): until the newest task's load is there; its label."""
        label = self.wait_loading()
        procs.wait_until(lambda: self.fe.state()["commits_begun"] > self.n_commits, 30, "a commit")
        return label

    def go_on(self):
        self.fe.knobs(slow_ms=0, commit_ms=0)

    def wait_asked(self, label, n=1):
        """Until the FE was asked for the label n times more."""
        n += self.asked(label)
        procs.wait_until(lambda: self.asked(label) >= n, 30, "the label to be asked for")

    def asked(self, label):
        return sum("SHOW TRANSACTION" in entry["repr"] and label in entry["repr"]
                   and "standin-test" not in entry["repr"] for entry in self.fe.log())

    def lose_a_load(self):
        """SIGKILL in a load that succeeds all the same; its label."""
        with self.slow():
            label = self.wait_loading()
            self.crash()
        # An FE that forgets labels after a second may have forgotten this one before we look.
        procs.wait_until(lambda: self.label_state(label) in ("VISIBLE", None), 20,
                         "the lost load's commit")
        assert len(self.ids()) == self.bucket.n_rows
        return label

    def push_labels_out(self, n=3):
        """Loads of others in the database, so that its oldest labels are forgotten."""
        self.fe.rows("CREATE TABLE IF NOT EXISTS %s.other (id INT) DUPLICATE KEY(id) "
                     "DISTRIBUTED BY HASH(id) BUCKETS 1" % self.db)
        for _ in range(n):
            self.fe.rows("INSERT INTO %s.other WITH LABEL push%d VALUES (1)"
                         % (self.db, next(_numbers)))

    def job_sql(self, name="j", pattern="in/*.csv", properties=None):
        insert = "INSERT INTO %s SELECT c1, c2, c3, c4 FROM %s" % (self.target,
                                                                 self.bucket.tvf(pattern))
        return create_job_sql(name, insert, {**JOB, **(properties or {})})

