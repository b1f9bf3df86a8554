"""One session's statements, run in a worker thread: dispatch, queries, DML, shared helpers."""

import re
import threading
import time
import uuid

import duckdb

from . import admin, insert, jobs, setvars, show, txn
from .binding import Binding
from .engine import SYSTEM_DBS
from .errors import DorisError, syntax_error
from .results import Ok, Rows, duck_col
from .sql import Cursor, Token, quote_str, split_statements, translate
from .vars import B, F, I, Variables

NOT_READY = ("Node catalog is not ready, please wait for a while. To master progress: 0.0%.\n"
             "Please wait until the replay is finished, or check fe.log")
NOT_MASTER = ("The statement has been forwarded to master FE(127.0.0.1) and failed to execute because "
              "Master FE is not ready. You may need to check FE's status")
NEEDS_MASTER = {"INSERT", "CREATE", "DROP", "ALTER", "UPDATE", "DELETE", "TRUNCATE", "BEGIN", "GRANT",
                "REVOKE", "PAUSE", "RESUME", "CLEAN"}
NO_LIMIT = 2 ** 63 - 1
ONLY_DML = ("This is in a transaction, only insert, update, delete, commit, rollback is acceptable.")


class Executor:
    """`cut_link` is the session's; `cur` belongs to one running statement at a time."""

    def __init__(self, server, conn_id, host, cut_link):
        self.server = server
        self.engine = server.engine
        self.profile = server.profile
        self.knobs = server.knobs
        self.conn_id = conn_id
        self.host = host
        self.cut_link = cut_link
        self.user = None
        self.db = ""
        self.vars = Variables(server.profile, server.engine.global_vars)
        self.user_vars = {}
        self.cur = server.engine.con.cursor()
        self.n_temp = 0
        self.temps = []
        self.explicit = None
        self.last_insert = None
        self.cancelled = threading.Event()
        self.cancel_text = ""
        self.timer = None
        self.command = "Sleep"
        self.sql = ""
        self.since = time.time()
        self.login_time = time.strftime("%Y-%m-%d %H:%M:%S")

    # --- one statement ---

    def execute(self, text, tokens):
        """Ok or Rows; DorisError and LinkCut otherwise."""
        self.cancelled.clear()
        self.cancel_text = ""
        self.command, self.sql, self.since = "Query", text, time.time()
        try:
            return self._dispatch(text, tokens)
        except duckdb.Error as e:
            raise self._echo(self.translate_error(e, text), text) from None
        except DorisError as e:
            raise self._echo(e, text)
        finally:
            self._disarm()

    def _echo(self, error, text):
        if self.knobs.echo_sql:
            error.text += " The statement was: " + text
        return error

    def finished(self):
        """The result was sent: temp tables may go."""
        self.command, self.since = "Sleep", time.time()
        self.drop_temps()

    def _dispatch(self, text, tokens):
        c = Cursor(text, tokens, self.profile.old_parser)
        word = tokens[0].word()
        if self.knobs.not_ready:
            raise DorisError(NOT_READY, raw=True)
        if self.knobs.not_master and (word in NEEDS_MASTER or c.at("SHOW", "TRANSACTION")):
            raise DorisError(NOT_MASTER)
        if self.explicit is not None and word not in (
                "INSERT", "UPDATE", "DELETE", "COMMIT", "ROLLBACK", "BEGIN"):
            raise DorisError(ONLY_DML)
        handler = HANDLERS.get(word)
        if handler:
            return handler(self, c)
        if tokens[0].kind == "op" and tokens[0].text == "(":
            return self.select(tokens)
        c.fail()

    # --- SELECT ---

    def select(self, tokens):
        with setvars.hinted(self, tokens):
            return self._select(tokens)

    def _limited(self, tokens, sql):
        """What sql_select_limit and dry_run_query make of a query that is sent to a BE."""
        limit = self.vars.int("sql_select_limit")
        if 0 <= limit < NO_LIMIT and not has_top_word(tokens, "LIMIT"):
            sql = "SELECT * FROM (%s) LIMIT %d" % (sql, limit)
        if self.vars.true("dry_run_query") and has_top_word(tokens, "FROM"):
            sql = 'SELECT COUNT(*) AS "ReturnedRows" FROM (%s)' % sql
        return sql

    def _select(self, tokens):
        binding = self.bind(name_columns(tokens))
        binding.plan()
        try:
            sql = self._limited(tokens, self.to_duck(binding.tokens))
            self.check_select(sql)
            self.arm(self.vars.int("query_timeout"), "query timeout")
            binding.load()
            self.check_cancel()
            self.run_duck(sql)
        except BaseException:
            binding.drop()
            raise
        self.temps += ['temp.main."%s"' % name for name, _ in binding.sources]
        cols = [duck_col(d[0], d[1]) for d in self.cur.description]
        return Rows(cols, fetch=self._fetch)

    def _fetch(self, n):
        try:
            return self.cur.fetchmany(n)
        except duckdb.Error as e:
            raise self.translate_error(e, self.sql) from None

    def dml(self, c):
        """UPDATE and DELETE: at once, outside the label machinery."""
        tokens = c.tokens
        word = tokens[0].word()
        c.next()
        if word == "DELETE":
            c.expect("FROM")
        db, name = c.name()
        table = self.find_table(db, name)
        self.need_load(table.db, table.name)
        if word == "DELETE" and "WHERE" not in [t.word() for t in tokens]:
            raise DorisError("Where clause is not set")
        if self.explicit is not None:
            raise DorisError("UPDATE and DELETE in a transaction are not in this stand-in")
        with self.engine.write(self.cur):
            count = self.run_duck(self.to_duck(tokens)).fetchone()[0]
        return Ok(count)

    def insert_in_txn(self, planned):
        return txn.insert(self, planned)

    def explain(self, c):
        """Plans only. LOAD is asked for in 2.0 alone (F)."""
        c.next()
        for word in ("VERBOSE", "GRAPH", "TREE", "LOGICAL", "PHYSICAL", "SHAPE", "ALL", "MEMO", "PLAN"):
            c.accept(word)
        if c.at("INSERT"):
            stmt = insert.parse_insert(c)
            if stmt.label is not None:
                self.engine.check_label(stmt.label)
            planned = insert.plan(self, stmt, self.profile.explain_checks_load)
            planned.binding.drop()
            lines = ["PLAN FRAGMENT 0", "  OUTPUT EXPRS:"]
            lines += ["    " + n for n, _ in planned.source_columns]
            lines += ["  OLAP TABLE SINK", "    TUPLE ID: 0", "    TABLE: %s.%s"
                      % (planned.table.db, planned.table.name)]
            return show.table(["Explain String"], [[x] for x in lines])
        binding = self.bind(c.rest())
        binding.plan()
        try:
            sql = self.to_duck(binding.tokens)
            self.check_select(sql)
            cols = self.describe(sql)
        finally:
            binding.drop()
        return show.table(["Explain String"], [["PLAN FRAGMENT 0"], ["  OUTPUT EXPRS:"]]
                          + [["    " + n] for n, _ in cols])

    # --- helpers of planning ---

    def bind(self, tokens):
        return Binding(self, tokens)

    def to_duck(self, tokens):
        return translate(tokens, self.value_of)

    def run_duck(self, sql):
        self.check_cancel()
        return self.cur.execute(sql)

    def describe(self, sql):
        return [(r[0], r[1]) for r in self.cur.execute("DESCRIBE " + sql).fetchall()]

    def describe_result(self, tokens):
        """The columns a SELECT would have; for COM_STMT_PREPARE."""
        binding = self.bind(name_columns(tokens))
        try:
            binding.plan()
            sql = self.to_duck(binding.tokens)
            self.check_select(sql)
            return [duck_col(n, k) for n, k in self.describe(sql)]
        except duckdb.Error as e:
            raise self.translate_error(e, self.sql) from None
        finally:
            binding.drop()

    def current_db(self, db):
        db = db or self.db
        if not db:
            raise DorisError("No database selected", 1046)
        return db

    def need_db(self, db):
        db = self.current_db(db)
        if db not in self.engine.tables and db not in SYSTEM_DBS:
            raise DorisError("Unknown database '%s'" % db, 1049)
        return db

    def find_table(self, db, name):
        db = self.need_db(db)
        table = self.engine.tables.get(db, {}).get(name)
        if table is None:
            if self.profile.old_parser:
                raise DorisError("Unknown table '%s'" % name, 1051)
            raise DorisError("Table [%s] does not exist in database [%s]." % (name, db))
        return table

    def check_select(self, sql):
        """Existence (case matters) and SELECT on every table the query names."""
        names = self.cur.get_table_names(sql, qualified=True)
        for item in sorted(names):
            db, name = split_name(item)
            if name.startswith("__tvf_"):
                continue
            if db == "information_schema" or db == "__standin":
                raise DorisError("Unknown table '%s' in %s" % (name, db), 1109)
            table = self.find_table(db, name)
            if not self.user.has("Select_priv", table.db, table.name):
                raise self._select_denied(table)

    def _select_denied(self, table):
        how = self.knobs.select_denied
        if how == "1142" or (how == "auto" and self.profile.old_parser):
            return DorisError("SELECT command denied to user '%s'@'%s' for table '%s'" % (
                self.user.name, self.host, self.denied_name(table.db, table.name)), 1142)
        return DorisError("Permission denied: user ['%s'@'%%'] does not have privilege for [SELECT] "
                          "command on [internal].[%s].[%s]" % (self.user.name, table.db, table.name))

    def denied_name(self, db, name):
        if self.profile.table_denied_colons:
            return "internal: %s: %s" % (db, name)
        return "%s.%s" % (db, name)

    def need_load(self, db, name):
        self.need_table_priv("Load_priv", "LOAD", db, name)

    def need_table_priv(self, priv, word, db, name):
        if not self.user.has(priv, db, name):
            raise DorisError("%s command denied to user '%s'@'%s' for table '%s'"
                             % (word, self.user.name, self.host, self.denied_name(db, name)), 1142)

    def need_db_priv(self, priv, word, db):
        if not self.user.has(priv, db):
            if self.profile.db_denied_new:
                raise DorisError("%s command denied to user '%s'@'%s' for database '%s'"
                                 % (word, self.user.name, self.host, db), 1044)
            raise DorisError("Access denied for user '%s' to database '%s'"
                             % (self.user.name, db), 1044)

    def need_global(self, priv, word):
        if not self.user.has(priv):
            raise DorisError("Access denied; you need (at least one of) the (%s) privilege(s) for this "
                             "operation" % word, 1227)

    def may_use(self, db):
        if not (self.user.sees_db(db) or self.user.has("Select_priv", db)):
            raise DorisError("Access denied for user '%s'@'%s' to database '%s'"
                             % (self.user.name, self.host, db), 1044)

    def use(self, db):
        db = db.split(".", 1)[1] if db.startswith("internal.") else db
        self.may_use(self.need_db(db))
        if db in self.engine.tables:
            self.cur.execute('USE "%s"' % db)
        self.db = db

    def auto_label(self):
        text = uuid.uuid4().hex
        if self.profile.old_parser:
            return "insert_%s_%s" % (text[:16], text[16:])
        return "label_%s_%s" % (text[:16], text[16:])

    def visible_timeout_is_error(self):
        return ("insert_visible_timeout_return_mode" in self.vars.kinds
                and self.vars.get("insert_visible_timeout_return_mode").lower() == "error")

    def value_of(self, kind, name):
        """What @@x, @x and the session's functions stand for, as DuckDB text."""
        if kind == "function":
            return self._function(name)
        if not name.startswith("@@"):
            return self.user_vars.get(name[1:].strip("`").lower(), "NULL")
        name = re.sub(r"^@@((session|global|local)\.)?", "", name.replace("`", ""), flags=re.I).lower()
        value = self.vars.get(name)
        sort = self.vars.kinds[name][0]
        if sort == B:
            return "CAST(%d AS BOOLEAN)" % (value == "true")
        return value if sort in (I, F) else quote_str(value)

    def _function(self, name):
        user = "'%s'@'%s'" % (self.user.name, "%")
        return {
            "DATABASE": quote_str(self.db), "SCHEMA": quote_str(self.db),
            "VERSION": quote_str(self.vars.get("version")), "CONNECTION_ID": str(self.conn_id),
            "CURRENT_USER": quote_str(user), "CURRENT_CATALOG": "'internal'",
            "USER": quote_str("'%s'@'%s'" % (self.user.name, self.host)),
            "SESSION_USER": quote_str("'%s'@'%s'" % (self.user.name, self.host)),
            "NOW": "CAST(now() AS TIMESTAMP)", "UNIX_TIMESTAMP": "CAST(epoch(now()) AS BIGINT)",
            "LAST_INSERT_ID": "0", "ROW_COUNT": "-1", "FOUND_ROWS": "0",
        }.get(name)

    def information_schema(self, name):
        return show.information_schema(self, name)

    # --- time and cancelling ---

    def arm(self, seconds, text, code=1105):
        self._disarm()
        if self.knobs.ignore_timeouts:
            return
        self.timer = threading.Timer(seconds, self.cancel, [text, code])
        self.timer.daemon = True
        self.timer.start()

    def _disarm(self):
        if self.timer:
            self.timer.cancel()
            self.timer = None

    def cancel(self, text, code=1105):
        self.cancel_text, self.cancel_code = text, code
        self.cancelled.set()
        self.cur.interrupt()

    def check_cancel(self):
        if self.cancelled.is_set():
            raise DorisError(self.cancel_text, self.cancel_code)

    def sleep(self, seconds):
        self.cancelled.wait(seconds)
        self.check_cancel()

    def sleep_knob(self, name, hears_kill=True):
        """As long as the knob says, also when it is changed meanwhile."""
        since = time.monotonic()
        while time.monotonic() - since < getattr(self.knobs, name) / 1000:
            left = getattr(self.knobs, name) / 1000 - (time.monotonic() - since)
            if hears_kill:
                self.sleep(min(left, 0.02) if left > 0 else 0)
            else:
                time.sleep(min(max(left, 0), 0.02))

    def drop_temps(self):
        for name in self.temps:
            try:
                self.cur.execute("DROP TABLE IF EXISTS " + name)
            except duckdb.Error:
                break
        self.temps = []

    def close(self):
        self._disarm()
        try:
            self.cur.close()
        except duckdb.Error:
            pass

    def translate_error(self, e, text):
        """DuckDB's complaint in Doris's words."""
        if isinstance(e, duckdb.InterruptException) or self.cancelled.is_set():
            return DorisError(self.cancel_text or "cancel query by user from " + self.host)
        line = str(e).split("\n")[0]
        if isinstance(e, duckdb.ParserException):
            near = re.search(r'at or near "(.*)"', line)
            word = near.group(1) if near else ""
            pos = text.find(word) if word else len(text)
            return syntax_error(word, text, max(pos, 0), self.profile.old_parser)
        m = re.search(r'column "?([^"\s]+)"? not found', line) or re.search(
            r'does not have a column named "([^"]+)"', line)
        if m:
            return DorisError("Unknown column '%s' in 'table list'" % m.group(1), 1054
                              if self.profile.old_parser else 1105)
        m = re.search(r"Table with name (\S+) does not exist", line)
        if m:
            return DorisError("Table [%s] does not exist in database [%s]." % (m.group(1), self.db))
        m = re.search(r"Scalar Function with name (\S+) does not exist", line)
        if m:
            return DorisError("Can not found function '%s'" % m.group(1))
        return DorisError(line)


def split_name(item):
    """`db.t AS x` of DuckDB's table list, parts maybe quoted."""
    parts = re.findall(r'"((?:[^"]|"")*)"|([^\s."]+)', re.split(r'\s+AS\s+(?=\S+$)', item)[0])
    names = [(a.replace('""', '"') if a else b) for a, b in parts]
    return (names[-2] if len(names) > 1 else None), names[-1]


def name_columns(tokens):
    """Gives select items without an alias the name Doris shows: their own text."""
    if tokens[0].word() != "SELECT":
        return tokens
    out, item, depth, i = [tokens[0]], [], 0, 1
    if len(tokens) > 1 and tokens[1].word() in ("DISTINCT", "ALL"):
        out.append(tokens[1])
        i = 2
    while i < len(tokens):
        t = tokens[i]
        if depth == 0 and (t.word() in ENDS or (t.kind == "op" and t.text == ",")):
            out += _named(item) + [t]
            item = []
            if t.word() in ENDS:
                return out + tokens[i + 1:]
        else:
            depth += {"(": 1, ")": -1}.get(t.text if t.kind == "op" else "", 0)
            item.append(t)
        i += 1
    return out + _named(item)


def has_top_word(tokens, word):
    depth = 0
    for t in tokens:
        depth += {"(": 1, ")": -1}.get(t.text if t.kind == "op" else "", 0)
        if depth == 0 and t.word() == word:
            return True
    return False


MAX_NAME = 256
ENDS = {"FROM", "WHERE", "LIMIT", "ORDER", "GROUP", "HAVING", "UNION", "INTERSECT", "EXCEPT"}


def _named(item):
    if not item or item[-1].text == "*" and len(item) in (1, 3, 5):
        return item
    words = [t.word() for t in item]
    last, before = item[-1], item[-2] if len(item) > 1 else None
    if "AS" in words and before is not None and before.word() == "AS":
        if last.kind == "str":
            return item[:-1] + [Token("bq", last.text, last.pos, last.value)]
        return item
    if last.kind in ("id", "bq") and (len(item) == 1 or before.text == "."):
        return item if last.kind == "bq" or last.word() not in ("NULL", "TRUE", "FALSE",
                                                                  "CURRENT_USER") else _alias(item)
    if last.kind in ("id", "bq") and last.word() not in ("END", "NULL", "TRUE", "FALSE") and (
            before.kind != "op" or before.text == ")"):
        return item
    return _alias(item)


def _alias(item):
    start = item[0].pos
    text = ""
    for t in item:
        text += " " * max(0, min(1, t.pos - start - len(text))) + t.text if text else t.text
        if len(text) > MAX_NAME:
            text = text[:MAX_NAME]
            break
    return item + [Token("id", "AS", start, "AS"), Token("bq", text, start, text)]


def run_select(ex, c):
    if c.at("WITH"):
        words = [t.word() for t in c.tokens]
        if "INSERT" in words and "SELECT" in words:
            return _cte_insert(ex, c)
    return ex.select(c.tokens)


def _cte_insert(ex, c):
    """WITH cte INSERT INTO …: the CTE moves in front of the query."""
    at = next(i for i, t in enumerate(c.tokens) if t.word() == "INSERT")
    cte = c.tokens[:at]
    c.i = at
    stmt = insert.parse_insert(c)
    stmt.source = cte + stmt.source
    return insert.run(ex, stmt)


def run_insert(ex, c):
    return insert.run(ex, insert.parse_insert(c))


HANDLERS = {
    "SELECT": run_select, "WITH": run_select, "VALUES": run_select, "INSERT": run_insert,
    "UPDATE": Executor.dml, "DELETE": Executor.dml, "EXPLAIN": Executor.explain,
    "SHOW": show.show, "DESC": show.describe, "DESCRIBE": show.describe, "SET": setvars.set_vars,
    "USE": admin.use, "SWITCH": admin.switch, "CREATE": admin.create, "DROP": admin.drop,
    "ALTER": admin.alter, "TRUNCATE": admin.truncate, "GRANT": admin.grant, "REVOKE": admin.revoke,
    "KILL": admin.kill, "CLEAN": admin.clean, "ADMIN": admin.admin, "PAUSE": jobs.job_state,
    "RESUME": jobs.job_state, "BEGIN": txn.begin, "START": txn.start, "COMMIT": txn.commit,
    "ROLLBACK": txn.rollback, "CANCEL": jobs.cancel, "SYNC": admin.nothing,
    "LOCK": admin.nothing, "UNLOCK": admin.nothing, "ANALYZE": admin.nothing,
}


def statements(text, profile):
    return split_statements(text, profile.old_parser)
