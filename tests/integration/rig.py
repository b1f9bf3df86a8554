"""A stand-in FE, a sluice before it, a bucket, and a table: what most end-to-end tests begin with."""

import json

import bucket as bucket_module
import procs
import wire

SLOW_MS = 10 * 60 * 1000  # a load takes until the knob slow_ms is 0 again


def create_table_sql(db, table, columns=bucket_module.COLUMNS):
    return ("CREATE TABLE IF NOT EXISTS %s.%s (%s) DUPLICATE KEY(id) "
            "DISTRIBUTED BY HASH(id) BUCKETS 1 PROPERTIES (\"replication_num\" = \"1\")"
            % (db, table, columns))


def create_job_sql(name, insert, properties=None):
    listed = ", ".join('"%s" = "%s"' % item for item in (properties or {}).items())
    return "CREATE JOB %s PROPERTIES (%s) ON STREAMING DO %s" % (name, listed, insert)


def refusal(port, command, user="root", password="", db=None):
    """(code, SQLSTATE, text) of a refused command; then the session has to answer a query."""
    client = wire.Client(port, user, password)
    try:
        if db:
            assert client.query("USE " + db)[0][0] == "ok"
        client.command(command)
        payload = client.read_packet()[1]
        assert payload[0] == wire.ERR, "not refused, the answer is %r" % payload[:200]
        assert payload[3:4] == b"#", "no SQLSTATE in %r" % payload[:200]
        assert client.query("SELECT 40 + 2") == [("rows", [[b"42"]])]
        return (*wire.error(payload)[:1], payload[4:9].decode(), payload[9:].decode())
    finally:
        client.close()


def failed_start(sluice, timeout=15.0):
    """(exit code, what it said on stderr) of a sluice that ends instead of starting."""
    before = sluice.err_path.stat().st_size if sluice.err_path.exists() else 0
    sluice.launch()
    procs.wait_until(lambda: not sluice.is_running(), timeout, "sluice to end by itself")
    return sluice.popen.returncode, sluice.err_path.read_bytes()[before:].decode()


class Rig:
    """Table `demo.t` unless named otherwise; the oracle looks at the FE directly, not through us."""

    def __init__(self, fe, sluice, bucket, db="demo", table="t"):
        self.fe, self.sluice, self.bucket = fe, sluice, bucket
        self.db, self.table = db, table
        self.execute("CREATE DATABASE IF NOT EXISTS %s" % db)
        self.execute(create_table_sql(db, table))

    @property
    def target(self):
        return "%s.%s" % (self.db, self.table)

    def execute(self, sql, **who):
        """Through sluice, on a connection of its own; rows as dicts."""
        return self.sluice.rows(sql, **who)

    def create_job(self, name="j", pattern="in/*.csv", properties=None, select=None, tvf=None):
        """A streaming job from the bucket's `pattern` into the table."""
        select = select or "SELECT c1, c2, c3, c4 FROM"
        insert = "INSERT INTO %s %s %s" % (self.target, select,
                                           self.bucket.tvf(pattern, **(tvf or {})))
        self.execute(create_job_sql(name, insert, properties), db=self.db)

    def job(self, name="j"):
        """The row of jobs() as a dict, or None."""
        found = self.execute('SELECT * FROM jobs("type"="insert") WHERE Name = \'%s\'' % name)
        return found[0] if found else None

    def tasks(self, name="j"):
        """tasks() of the job, oldest first."""
        found = self.execute('SELECT * FROM tasks("type"="insert") WHERE JobName = \'%s\'' % name)
        return sorted(found, key=lambda row: int(row["TaskId"]))

    def offset(self, name="j"):
        """CurrentOffset as a dict, {} before the first commit."""
        text = self.job(name)["CurrentOffset"]
        return json.loads(text) if text and text != "\\N" else {}

    def ids(self):
        """All ids in the table, sorted, as the FE has them."""
        return sorted(row["id"] for row in self.fe.rows("SELECT id FROM %s" % self.target))

    def wait_rows(self, n, timeout=30.0):
        """Until the table has at least `n` rows."""
        sql = "SELECT COUNT(*) AS n FROM %s" % self.target
        procs.wait_until(lambda: int(self.fe.rows(sql)[0]["n"]) >= n, timeout,
                         "%d rows in %s" % (n, self.target), interval=0.1)

    def forget_a_load(self, n):
        """
        Sluice dies in a load that succeeds all the same, with which there are `n` rows; then loads of
        others push its label out of Doris's memory. Wants the knobs label_num = 1 and slow_ms = SLOW_MS
        (until here), and demo.other.
        """
        procs.wait_until(self.fe.is_loading, 30, "the load to begin")
        self.sluice.kill9()
        self.fe.knobs(slow_ms=0)  # ends the waiting of the one that runs, too
        procs.wait_until(lambda: len(self.ids()) == n, 30, "the lost load's rows")
        for i in range(3):
            self.fe.rows("INSERT INTO demo.other WITH LABEL push%d VALUES (%d)" % (i, i))
        procs.wait_until(lambda: self.fe.state()["transactions"]["VISIBLE"] <= 1, 30,
                         "the label to be forgotten")

    def wait_state(self, state, name="j", timeout=30.0):
        def look():
            row = self.job(name)
            return row if row and row["Status"] == state else None
        return procs.wait_until(look, timeout, "job %s in state %s" % (name, state), interval=0.1)

    def standing(self):
        """What a refused statement may not change: our jobs, the FE's loads and the target's rows."""
        return {"jobs": self.execute('SELECT * FROM jobs("type"="insert")'),
                "tasks": self.execute('SELECT * FROM tasks("type"="insert")'),
                "inserts": self.fe.state()["inserts"], "ids": self.ids()}

    def check_refused(self, sql, code, state, *words, **who):
        """Refused with that code and SQLSTATE and all of `words`, and nothing changed."""
        command = sql if isinstance(sql, bytes) else b"\x03" + sql.encode()
        before = self.standing()
        found_code, found_state, text = refusal(self.sluice.port, command, **who)
        assert (found_code, found_state) == (code, state), text
        missing = [word for word in words if word not in text]
        assert not missing, "%r is not in: %s" % (missing, text)
        assert self.bucket.server.secret_key not in text
        assert self.standing() == before
        return text

    def check_exactly_once(self, n=None, timeout=60.0):
        """Waits for every row put into the bucket, then: each is there once, task ids only rise."""
        n = self.bucket.n_rows if n is None else n
        self.wait_rows(n, timeout)
        ids = self.ids()
        assert ids == list(range(1, n + 1)), "rows twice or missing: %s" % _difference(ids, n)

    def check_task_ids(self, name="j"):
        """Ids rise by one and no id has two tasks."""
        ids = [int(task["TaskId"]) for task in self.tasks(name)]
        assert not ids or ids == list(range(ids[0], ids[0] + len(ids))), "task ids: %s" % ids


def _difference(ids, n):
    missing = sorted(set(range(1, n + 1)) - set(ids))
    twice = sorted({i for i in ids if ids.count(i) > 1}) if len(ids) < 20000 else "(many)"
    strange = sorted(set(ids) - set(range(1, n + 1)))
    return "missing %s, twice %s, unknown %s" % (missing[:20], twice[:20], strange[:20])
