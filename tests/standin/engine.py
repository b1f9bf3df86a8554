"""The durable half of the FE: databases, tables, transactions, labels, users, jobs, on DuckDB.

Every durable change is one DuckDB transaction under `wlock`; the dicts here mirror what is in the
file and change only after the commit. Facts B2 to B4, C1 to C4.
"""

import collections
import contextlib
import json
import os
import re
import threading
import time
from dataclasses import asdict, dataclass, field

import duckdb

from .auth import User
from .ddl import Table
from .errors import DorisError

LABEL_REGEX = "^[-_A-Za-z0-9:]{1,128}$"
SYSTEM_DBS = ("information_schema", "mysql", "__internal_schema")
MAX_RUNNING_TXNS = {2: 1000, 3: 1000, 4: 10000}
PREPARE, COMMITTED, VISIBLE, ABORTED = "PREPARE", "COMMITTED", "VISIBLE", "ABORTED"
PRECOMMITTED = "PRECOMMITTED"                 # two-phase commit: durable, waits for the second word


def now_ms():
    return int(time.time() * 1000)


@dataclass
class Txn:
    id: int
    db: str
    label: str
    table: str
    timeout_ms: int
    prepare_ms: int
    status: str = PREPARE
    commit_ms: int = -1
    publish_ms: int = -1
    finish_ms: int = -1
    reason: str = ""
    loaded: int = 0
    filtered: int = 0
    stages: list = field(default_factory=list)   # [[db, table, staging table]] until VISIBLE

    def finished(self):
        return self.status in (VISIBLE, ABORTED)


class Engine:
    """Shared by all sessions and the HTTP port; every method may be called from any thread."""

    def __init__(self, path, profile, knobs):
        self.profile = profile
        self.knobs = knobs
        self.wlock = threading.RLock()
        self.con = duckdb.connect(os.path.join(path, "fe.duckdb"))
        self.wcur = self.con.cursor()
        self.txns = {}
        self.by_label = {}
        self.tables = {}
        self.users = {}
        self.jobs = {}
        self.global_vars = {}
        self.counters = collections.Counter()
        self.visible = {}
        self.stop = threading.Event()
        self.wake = threading.Event()
        self.timers = set()
        self._load()
        self.cleaner = threading.Thread(target=self._clean_loop, name="cleaner", daemon=True)
        self.cleaner.start()

    # --- durable storage ---

    def _load(self):
        c = self.con
        c.execute("CREATE SCHEMA IF NOT EXISTS __standin")
        for name in ("txns(id BIGINT, doc VARCHAR)", "dbs(name VARCHAR)",
                     "tables(db VARCHAR, name VARCHAR, doc VARCHAR)",
                     "users(name VARCHAR, secret VARCHAR, grants VARCHAR)",
                     "jobs(id BIGINT, doc VARCHAR)", "meta(k VARCHAR, v BIGINT)"):
            c.execute("CREATE TABLE IF NOT EXISTS __standin." + name)
        if not c.execute("SELECT 1 FROM __standin.meta").fetchone():
            c.execute("INSERT INTO __standin.meta VALUES ('next_txn', 1), ('next_job', 10001)")
        self.next_txn, self.next_job = (
            c.execute("SELECT v FROM __standin.meta WHERE k = ?", [k]).fetchone()[0]
            for k in ("next_txn", "next_job"))
        for (name,) in c.execute("SELECT name FROM __standin.dbs").fetchall():
            self.tables[name] = {}
        for db, name, doc in c.execute("SELECT db, name, doc FROM __standin.tables").fetchall():
            self.tables[db][name] = Table.from_json(json.loads(doc))
        for _, doc in c.execute("SELECT id, doc FROM __standin.txns ORDER BY id").fetchall():
            self._remember(Txn(**json.loads(doc)))
        for name, secret, grants in c.execute("SELECT * FROM __standin.users").fetchall():
            self.users[name] = User(name, bytes.fromhex(secret), {
                tuple(scope): set(privs) for scope, privs in json.loads(grants)})
        for _, doc in c.execute("SELECT id, doc FROM __standin.jobs ORDER BY id").fetchall():
            job = json.loads(doc)
            self.jobs[job["Name"]] = job
        if "root" not in self.users:
            self.save_user(User("root", b"", {(): {"Node_priv", "Admin_priv"}}))
        for txn in list(self.txns.values()):
            if txn.status == COMMITTED:
                self.publish(txn)

    @contextlib.contextmanager
    def write(self, cursor=None):
        """One durable DuckDB transaction, on the session's cursor where its temp tables are."""
        with self.wlock:
            cur = cursor or self.wcur
            cur.execute("BEGIN TRANSACTION")
            try:
                yield cur
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cur.execute("ROLLBACK")
                raise
            cur.execute("COMMIT")

    def close(self):
        self.stop.set()
        self.wake.set()
        self.cleaner.join(5)
        with self.wlock:
            for timer in list(self.timers):
                timer.cancel()
            self.con.close()

    # --- databases and tables ---

    def create_db(self, name):
        with self.wlock:
            with self.write() as c:
                c.execute('CREATE SCHEMA "%s"' % name)
                c.execute("INSERT INTO __standin.dbs VALUES (?)", [name])
            self.tables[name] = {}

    def drop_db(self, name):
        with self.wlock:
            with self.write() as c:
                c.execute('DROP SCHEMA "%s" CASCADE' % name)
                c.execute("DELETE FROM __standin.dbs WHERE name = ?", [name])
                c.execute("DELETE FROM __standin.tables WHERE db = ?", [name])
            del self.tables[name]

    def create_table(self, table, cursor=None, as_select=None):
        """`as_select` is DuckDB text run on `cursor`; returns its row count."""
        cols = ", ".join('"%s" %s' % (c.name.replace('"', '""'), c.duck) for c in table.columns)
        target = full_name(table)
        count = 0
        with self.wlock:
            with self.write(cursor) as c:
                c.execute("CREATE TABLE %s (%s)" % (target, cols))
                if as_select:
                    count = c.execute("INSERT INTO %s %s" % (target, as_select)).fetchone()[0]
                c.execute("INSERT INTO __standin.tables VALUES (?, ?, ?)",
                          [table.db, table.name, json.dumps(table.to_json())])
            self.tables[table.db][table.name] = table
        return count

    def drop_table(self, db, name):
        with self.wlock:
            with self.write() as c:
                c.execute("DROP TABLE %s" % full_name(self.tables[db][name]))
                c.execute("DELETE FROM __standin.tables WHERE db = ? AND name = ?", [db, name])
            del self.tables[db][name]

    def alter_table(self, table, changed, sqls, new_name=None):
        """Runs `sqls` and stores the changed description, in one transaction."""
        with self.wlock:
            with self.write() as c:
                for sql in sqls:
                    c.execute(sql)
                c.execute("UPDATE __standin.tables SET doc = ?, name = ? WHERE db = ? AND name = ?",
                          [json.dumps(changed.to_json()), changed.name, table.db, table.name])
            if new_name:
                del self.tables[table.db][table.name]
            self.tables[table.db][changed.name] = changed

    # --- users ---

    def save_user(self, user):
        grants = json.dumps([[list(k), sorted(v)] for k, v in sorted(user.grants.items())])
        with self.wlock:
            with self.write() as c:
                c.execute("DELETE FROM __standin.users WHERE name = ?", [user.name])
                c.execute("INSERT INTO __standin.users VALUES (?, ?, ?)",
                          [user.name, user.secret.hex(), grants])
            self.users[user.name] = user

    def drop_user(self, name):
        with self.wlock:
            with self.write() as c:
                c.execute("DELETE FROM __standin.users WHERE name = ?", [name])
            del self.users[name]

    # --- native jobs (stored only) ---

    def save_job(self, job):
        with self.wlock:
            with self.write() as c:
                c.execute("DELETE FROM __standin.jobs WHERE id = ?", [job["Id"]])
                c.execute("INSERT INTO __standin.jobs VALUES (?, ?)", [job["Id"], json.dumps(job)])
            self.jobs[job["Name"]] = job

    def new_job_id(self):
        with self.wlock:
            job_id = self.next_job
            with self.write() as c:
                c.execute("UPDATE __standin.meta SET v = ? WHERE k = 'next_job'", [job_id + 1])
            self.next_job = job_id + 1
            return job_id

    def drop_job(self, name):
        with self.wlock:
            with self.write() as c:
                c.execute("DELETE FROM __standin.jobs WHERE id = ?", [self.jobs[name]["Id"]])
            del self.jobs[name]

    # --- transactions ---

    def _remember(self, txn):
        self.txns[txn.id] = txn
        self.by_label.setdefault((txn.db, txn.label), []).append(txn.id)

    def _forget(self, txn):
        del self.txns[txn.id]
        self.visible.pop(txn.id, None)
        ids = self.by_label[(txn.db, txn.label)]
        ids.remove(txn.id)
        if not ids:
            del self.by_label[(txn.db, txn.label)]

    def check_label(self, label):
        if not re.match(LABEL_REGEX, label) or "\n" in label:
            raise DorisError("Label format error. regex: %s, label: %s" % (LABEL_REGEX, label))

    def with_label(self, db, label):
        """Oldest first."""
        with self.wlock:
            return [self.txns[i] for i in self.by_label.get((db, label), ())]

    def begin(self, db, label, table, timeout_ms):
        """PREPARE, durable before this returns. The label blocks unless every user of it ABORTED."""
        with self.wlock:
            for txn in reversed(self.with_label(db, label)):
                if txn.status != ABORTED:
                    raise self._label_used(txn)
            running = sum(1 for t in self.txns.values()
                          if t.db == db and t.status in (PREPARE, PRECOMMITTED))
            limit = self.knobs.max_running_txn or MAX_RUNNING_TXNS[self.profile.number[0]]
            if running >= limit:
                raise DorisError("current running txns on db %s is %d, larger than limit %d"
                                 % (db, running, limit))
            txn = Txn(self.next_txn, db, label, table, timeout_ms, now_ms())
            with self.write() as c:
                c.execute("UPDATE __standin.meta SET v = ? WHERE k = 'next_txn'", [txn.id + 1])
                c.execute("INSERT INTO __standin.txns VALUES (?, ?)",
                          [txn.id, json.dumps(asdict(txn))])
            self.next_txn = txn.id + 1
            self._remember(txn)
            self.visible[txn.id] = threading.Event()
            self.counters["begun"] += 1
            return txn

    def take_txn_id(self):
        """A further statement of an explicit transaction: its own number, no transaction (G)."""
        with self.wlock:
            with self.write() as c:
                c.execute("UPDATE __standin.meta SET v = ? WHERE k = 'next_txn'", [self.next_txn + 1])
            self.next_txn += 1

    def _label_used(self, txn):
        text = "Label [%s] has already been used, relate to txn [%d]" % (txn.label, txn.id)
        if self.profile.label_text_status:
            text += ", status [%s]." % txn.status
        if self.profile.begin_wrapped:
            text = "begin transaction failed. errCode = 2, detailMessage = " + text
        return DorisError(text)

    def _save(self, c, txn, **change):
        doc = {**asdict(txn), **change}
        c.execute("UPDATE __standin.txns SET doc = ? WHERE id = ?", [json.dumps(doc), txn.id])
        return change

    def _apply(self, txn, change):
        for name, value in change.items():
            setattr(txn, name, value)

    def abort(self, txn, reason):
        """Only one that is not committed can be; the others answer as Doris does."""
        with self.wlock:
            if txn.status in (COMMITTED, VISIBLE):
                raise DorisError("transaction [%d] is already %s, could not abort."
                                 % (txn.id, txn.status))
            if txn.status == ABORTED:
                raise DorisError("transaction [%d] is already aborted, abort reason: %s"
                                 % (txn.id, txn.reason))
            with self.write() as c:
                for _, _, stage in txn.stages:
                    c.execute('DROP TABLE __standin."%s"' % stage)
                change = self._save(c, txn, status=ABORTED, reason=reason, finish_ms=now_ms(),
                                    stages=[])
            self._apply(txn, change)
            self.counters["aborted"] += 1

    def commit(self, txn, cursor, parts):
        """Rows and state in one transaction. parts: [(Table, temp table on cursor)].

        With a publish delay the rows wait in staging tables, in that same transaction.
        """
        with self.wlock:
            self._check_may_commit(txn, parts)
            delay = self.knobs.publish_delay_ms
            now = now_ms()
            with self.write(cursor) as c:
                if delay:
                    stages = self._stage(c, txn, parts)
                    change = self._save(c, txn, status=COMMITTED, commit_ms=now, stages=stages,
                                        loaded=txn.loaded, filtered=txn.filtered)
                else:
                    for table, temp in parts:
                        apply_rows(c, table, temp)
                    change = self._save(c, txn, status=VISIBLE, commit_ms=now, publish_ms=now,
                                        finish_ms=now)
            self._apply(txn, change)
            self.counters["committed"] += 1
            if delay:
                self._publish_later(txn, delay / 1000)
            else:
                self._seen(txn)

    def _check_may_commit(self, txn, parts):
        if txn.status == ABORTED:
            raise DorisError("transaction [%d] is already aborted. abort reason: %s"
                             % (txn.id, txn.reason))
        for table, _ in parts:
            if self.tables.get(table.db, {}).get(table.name) is not table:
                raise DorisError("table or column of %s.%s changed while loading"
                                 % (table.db, table.name))

    def precommit(self, txn, cursor, parts):
        """The first word of a two-phase commit; finish() is the second."""
        with self.wlock:
            self._check_may_commit(txn, parts)
            with self.write(cursor) as c:
                stages = self._stage(c, txn, parts)
                change = self._save(c, txn, status=PRECOMMITTED, stages=stages, loaded=txn.loaded,
                                    filtered=txn.filtered)
            self._apply(txn, change)

    def finish(self, db, label, how):
        """What a test does to the newest transaction of a label: commit, abort or publish it."""
        with self.wlock:
            txns = self.with_label(db, label)
            if not txns:
                raise DorisError("transaction not found, label=" + label)
            txn = txns[-1]
            if how == "abort":
                return self.abort(txn, "user cancel")
            if how == "commit" and txn.status == PRECOMMITTED:
                with self.write() as c:
                    change = self._save(c, txn, status=COMMITTED, commit_ms=now_ms())
                self._apply(txn, change)
                self.counters["committed"] += 1
            if txn.status != COMMITTED:
                raise DorisError("transaction [%d] is %s: %s?" % (txn.id, txn.status, how))
            self.publish(txn)

    def _stage(self, c, txn, parts):
        stages = []
        for i, (table, temp) in enumerate(parts):
            stage = "stage_%d_%d" % (txn.id, i)
            c.execute('CREATE TABLE __standin."%s" AS SELECT * FROM %s' % (stage, temp))
            stages.append([table.db, table.name, stage])
        return stages

    def _publish_later(self, txn, seconds):
        timer = threading.Timer(seconds, self._publish_timer, [txn])
        timer.daemon = True
        self.timers.add(timer)
        timer.start()

    def _publish_timer(self, txn):
        with self.wlock:
            self.timers.discard(threading.current_thread())
            if not self.stop.is_set():
                self.publish(txn)

    def publish(self, txn):
        """COMMITTED to VISIBLE: the staged rows move, in one transaction."""
        with self.wlock:
            if txn.status != COMMITTED:
                return
            now = now_ms()
            with self.write() as c:
                for db, name, stage in txn.stages:
                    table = self.tables.get(db, {}).get(name)
                    if table is not None:
                        apply_rows(c, table, '__standin."%s"' % stage)
                    c.execute('DROP TABLE __standin."%s"' % stage)
                change = self._save(c, txn, status=VISIBLE, publish_ms=now, finish_ms=now,
                                    stages=[])
            self._apply(txn, change)
            self._seen(txn)

    def _seen(self, txn):
        event = self.visible.pop(txn.id, None)
        if event:
            event.set()

    def wait_visible(self, txn, timeout_s):
        event = self.visible.get(txn.id)
        return event is None or event.wait(timeout_s)

    def cancel_label(self, db, label):
        """The HTTP _cancel: aborts a PREPARE one, else the two texts of C3."""
        with self.wlock:
            txns = self.with_label(db, label)
            if not txns:
                raise DorisError("transaction not found, label=" + label)
            for txn in reversed(txns):
                if txn.status == PREPARE:
                    return self.abort(txn, "user cancel")
            raise DorisError("running transaction not found, label=" + label)

    def clean_label(self, db, label):
        with self.wlock:
            self._remove([t for t in self.txns.values()
                          if t.db == db and t.finished() and (not label or t.label == label)])

    # --- the cleaner ---

    def _clean_loop(self):
        while not self.stop.is_set():
            self.wake.wait(max(self.knobs.label_clean_ms, 20) / 1000)
            self.wake.clear()
            if not self.stop.is_set():
                self.clean()

    def clean(self):
        """What Doris does every 30 s: time-outs, labels too old, labels too many."""
        with self.wlock:
            now = now_ms()
            for txn in list(self.txns.values()):
                if txn.status == PREPARE and txn.prepare_ms + txn.timeout_ms < now:
                    self.abort(txn, "timeout by txn manager")
            keep_ms = self.knobs.label_keep_s * 1000
            gone = [t for t in self.txns.values() if t.finished() and now - t.finish_ms > keep_ms]
            limit = self.knobs.label_num
            if limit >= 0:
                seen = {id(t) for t in gone}
                per_db = collections.defaultdict(list)
                for txn in self.txns.values():
                    if txn.finished() and id(txn) not in seen:
                        per_db[txn.db].append(txn)
                for txns in per_db.values():
                    txns.sort(key=lambda t: (t.finish_ms, t.id))
                    gone += txns[:max(0, len(txns) - limit)]
            self._remove(gone)

    def _remove(self, txns):
        if not txns:
            return
        with self.wlock:
            with self.write() as c:
                c.execute("DELETE FROM __standin.txns WHERE id IN (%s)"
                          % ", ".join(str(t.id) for t in txns))
            for txn in txns:
                self._forget(txn)


def full_name(table):
    return '"%s"."%s"' % (table.db, table.name)


def apply_rows(c, table, source):
    """Appends, or for a UNIQUE table replaces by key, the last of equal keys winning."""
    cols = ", ".join('"%s"' % x.name.replace('"', '""') for x in table.columns)
    if table.model != "UNIQUE":
        c.execute("INSERT INTO %s SELECT %s FROM %s" % (full_name(table), cols, source))
        return
    keys = ['"%s"' % k for k in table.keys]
    same = " AND ".join("t.{0} IS NOT DISTINCT FROM s.{0}".format(k) for k in keys)
    c.execute("DELETE FROM %s AS t WHERE EXISTS (SELECT 1 FROM %s AS s WHERE %s)"
              % (full_name(table), source, same))
    c.execute("INSERT INTO %s SELECT %s FROM (SELECT *, row_number() OVER (PARTITION BY %s ORDER BY "
              "rowid DESC) AS __rn FROM %s) WHERE __rn = 1"
              % (full_name(table), cols, ", ".join(keys), source))


