"""INSERT: its strict grammar, planning, and execution under a label (facts B1 to B6, F)."""

import os
from dataclasses import dataclass, field

import duckdb

from .engine import ABORTED, PREPARE
from .errors import DorisError, LinkCut
from .results import Ok
from .sql import Token, quote_id, quote_str


@dataclass
class Insert:
    db: str
    table: str
    label: str
    columns: list
    source: list                      # tokens
    overwrite: bool = False
    values: list = field(default_factory=list)


def parse_insert(c):
    """INSERT INTO t [PARTITION(..)] [WITH LABEL l] [(cols)] ['['hints']'] query, nothing else."""
    c.expect("INSERT")
    overwrite = c.accept("OVERWRITE", "TABLE")
    if not overwrite:
        c.expect("INTO")
    db, table = c.name()
    label, columns = None, []
    c.accept("TEMPORARY")
    if c.accept("PARTITION") or c.accept("PARTITIONS"):
        c.identifiers()
    if c.accept("WITH", "LABEL"):
        label = c.identifier()
    if c.at("(") and not (c.at("(", "SELECT") or c.at("(", "WITH") or c.at("(", "(")):
        columns = c.identifiers()
    if c.accept("["):
        while not c.accept("]"):
            c.next()
    stmt = Insert(db, table, label, columns, [], overwrite)
    if c.accept("VALUES"):
        stmt.values = _values(c)
        c.end()
    elif c.at("SELECT") or c.at("WITH") or c.at("("):
        if c.at("WITH", "LABEL"):
            c.fail()
        stmt.source = c.rest()
    else:
        c.fail()
    return stmt


def _values(c):
    rows = []
    while True:
        inner = c.skip_parens()
        row, item, depth = [], [], 0
        for t in inner:
            depth += {"(": 1, ")": -1}.get(t.text if t.kind == "op" else "", 0)
            if t.kind == "op" and t.text == "," and depth == 0:
                row.append(item)
                item = []
            else:
                item.append(t)
        if item or row:
            row.append(item)
        if any(not x for x in row):
            c.fail()
        rows.append(row)
        if not c.accept(","):
            return rows


class Planned:
    """An INSERT that names existing things and fits; nothing durable has happened."""

    def __init__(self, stmt, table, targets, binding, source_sql, source_columns):
        self.stmt = stmt
        self.table = table
        self.targets = targets
        self.binding = binding
        self.source_sql = source_sql
        self.source_columns = source_columns


def plan(ex, stmt, check_load=True):
    """Target, privileges, sources, column counts: in the order Doris looks at them."""
    table = ex.find_table(stmt.db, stmt.table)
    if check_load:
        ex.need_load(table.db, table.name)
    targets = _target_columns(table, stmt.columns, ex.profile)
    if stmt.values:
        tokens = _values_query(stmt.values, targets, ex.profile)
    else:
        tokens = stmt.source
    binding = ex.bind(tokens)
    binding.plan()
    try:
        sql = ex.to_duck(binding.tokens)
        ex.check_select(sql)
        cols = ex.describe(sql)
    except BaseException:
        binding.drop()
        raise
    if len(cols) != len(targets):
        binding.drop()
        if ex.profile.old_parser:
            raise DorisError("Column count doesn't match value count at row 1", 1136)
        raise DorisError("insert into cols should be corresponding to the query output")
    return Planned(stmt, table, targets, binding, sql, cols)


def _target_columns(table, names, profile):
    by_name = {x.name.lower(): x for x in table.columns}
    if not names:
        return list(table.columns)
    out = []
    for name in names:
        if name.lower() not in by_name:
            raise DorisError("Unknown column '%s' in '%s'" % (name, table.name)
                             if profile.old_parser else
                             "column %s is not found in table %s" % (name, table.name))
        if by_name[name.lower()] in out:
            raise DorisError("Duplicate column name '%s'" % name, 1060)
        out.append(by_name[name.lower()])
    for col in table.columns:
        if col not in out and not col.null and col.default is None:
            raise DorisError("Column has no default value, column=" + col.name)
    return out


def _values_query(rows, targets, profile):
    """VALUES as a query whose cells keep their text until they meet the column's type."""
    head = [_word("SELECT"), _op("*"), _word("FROM"), _op("("), _word("VALUES")]
    out = list(head)
    for row in rows:
        if len(row) != len(targets):
            raise DorisError("Column count doesn't match value count at row 1", 1136) \
                if profile.old_parser else DorisError("Column count doesn't match value count")
        out += [_op(",")] if len(out) > len(head) else []
        out.append(_op("("))
        for i, (cell, col) in enumerate(zip(row, targets)):
            if i:
                out.append(_op(","))
            if len(cell) == 1 and cell[0].word() == "DEFAULT":
                cell = [_literal(col.default)]
            out += cell
        out.append(_op(")"))
    return out + [_op(")"), _word("AS"), _word("q")]


def _word(text):
    return Token("id", text, 0, text)


def _op(text):
    return Token("op", text, 0, text)


def _literal(value):
    if value is None:
        return _word("NULL")
    if value == "CURRENT_TIMESTAMP":
        return _word("localtimestamp")
    return Token("str", value, 0, value)


def provably_empty(tokens):
    """WHERE FALSE, WHERE 1=0 or LIMIT 0 at the outermost level: no transaction is begun (B2)."""
    depth = 0
    for i, t in enumerate(tokens):
        depth += {"(": 1, ")": -1}.get(t.text if t.kind == "op" else "", 0)
        nxt = [x.text.upper() for x in tokens[i + 1:i + 5]]
        if depth:
            continue
        if t.word() == "LIMIT" and nxt[:1] == ["0"]:
            return True
        if t.word() == "WHERE" and (nxt[:1] == ["FALSE"] or nxt[:3] in (["1", "=", "0"], ["0", "=", "1"])):
            rest = nxt[1] if nxt[:1] == ["FALSE"] and len(nxt) > 1 else (
                nxt[3] if len(nxt) > 3 else "")
            return rest in ("", "AND", "ORDER", "LIMIT", "GROUP")
    return False


def run(ex, stmt):
    """A whole INSERT; returns Ok, raises DorisError, or LinkCut when a knob tore the link."""
    if stmt.label is not None:
        ex.engine.check_label(stmt.label)
    planned = plan(ex, stmt)
    try:
        if ex.explicit is not None:
            return ex.insert_in_txn(planned)
        if (ex.knobs.empty_insert == "no_info" and not stmt.values
                and provably_empty(stmt.source)):
            return Ok()
        return _execute(ex, planned)
    finally:
        planned.binding.drop()


def _execute(ex, planned):
    stmt, table, engine, knobs = planned.stmt, planned.table, ex.engine, ex.knobs
    hit = knobs.take() if stmt.label is not None else {}
    label = stmt.label if stmt.label is not None else ex.auto_label()
    timeout_s = max(ex.vars.int("insert_timeout"), ex.vars.int("query_timeout"))
    ex.arm(timeout_s, "Execute timeout", 5024)
    txn = engine.begin(table.db, label, table.name, timeout_s * 1000)
    if hit.get("cut_running"):
        ex.cut_link()
    try:
        ex.sleep_knob("slow_ms")
        if "fail_insert" in hit:
            raise DorisError(hit["fail_insert"])
        if stmt.overwrite:
            raise DorisError("INSERT OVERWRITE is real in Doris but not in this stand-in")
        ex.check_cancel()
        temp = materialize(ex, planned, txn)
        ex.check_cancel()
        if hit.get("aborted_in_ok"):
            engine.abort(txn, "aborted while completing")
            return Ok(0, txn.filtered, info(label, ABORTED, txn.id, "aborted while completing"))
        before_commit(ex, txn, hit, [(table, temp)])
        engine.commit(txn, ex.cur, [(table, temp)])
    except LinkCut:
        raise
    except BaseException as e:
        abort_quietly(engine, txn, e)
        raise _failure(e)
    ex.last_insert = txn
    after_commit(ex, hit)
    wait_s = max(ex.vars.int("insert_visible_timeout_ms"), 1000) / 1000
    seen = engine.wait_visible(txn, wait_s)
    if not seen and (hit.get("visible_timeout_as_error") or ex.visible_timeout_is_error()):
        raise DorisError("transaction commit successfully, BUT data did not become visible within "
                         "%d ms, label=%s, txnId=%d" % (wait_s * 1000, txn.label, txn.id))
    return Ok(txn.loaded, txn.filtered, info(txn.label, txn.status, txn.id))


def before_commit(ex, txn, hit, parts):
    """The faults in front of a commit, of an INSERT or of COMMIT. A KILL comes too late here (B6)."""
    with ex.engine.wlock:
        ex.engine.counters["commits_begun"] += 1
    ex.sleep_knob("commit_ms", hears_kill=False)
    if hit.get("die_before_commit"):
        os._exit(137)
    if hit.get("cut_before_commit"):
        if ex.knobs.orphan == "ABORTED":
            ex.engine.abort(txn, "coordinator is gone")
        ex.cut_link()
        raise LinkCut()
    if hit.get("hold_precommitted"):
        ex.engine.precommit(txn, ex.cur, parts)
        ex.cut_link()
        raise LinkCut()


def after_commit(ex, hit):
    """The faults behind a commit: nothing changes what became of the rows."""
    if hit.get("die_after_commit"):
        os._exit(137)
    if hit.get("cut_after_commit"):
        ex.cut_link()
        raise LinkCut()
    if hit.get("err_after_commit"):
        raise DorisError(ex.knobs.err_after_commit_text)


def abort_quietly(engine, txn, e):
    """Doris logs a failed abort and goes on: an ERR then proves nothing."""
    try:
        if txn.status == PREPARE:
            engine.abort(txn, getattr(e, "text", None) or str(e).split("\n")[0])
    except DorisError:
        pass


def _failure(e):
    if isinstance(e, duckdb.Error):
        return DorisError(str(e).split("\n")[0])
    return e


def info(label, status, txn_id, err=None):
    """Doris's own builder: single quotes, so no JSON."""
    text = "{'label':'%s', 'status':'%s', 'txnId':'%s'" % (label, status, txn_id)
    return text + (", 'err':'%s'}" % err if err else "}")


def materialize(ex, planned, txn):
    """Reads the sources, converts, filters; the good rows in a temp table named in the result."""
    planned.binding.load()
    ex.n_temp += 1
    raw, good = "__raw_%d" % ex.n_temp, "__good_%d" % ex.n_temp
    names = ["s%d" % i for i in range(len(planned.targets))]
    ex.run_duck("CREATE TEMP TABLE %s AS SELECT * FROM (%s) AS q(%s)"
                % (raw, planned.source_sql, ", ".join(names)))
    ex.temps += [raw, good]
    by_col = {id(col): name for col, name in zip(planned.targets, names)}
    kinds = dict(zip(names, (kind for _, kind in planned.source_columns)))
    casts, bads = [], []
    for col in planned.table.columns:
        name = by_col.get(id(col))
        expr, bad = _convert(ex, col, name, kinds.get(name))
        casts.append("%s AS %s" % (expr, quote_id(col.name)))
        if bad:
            bads.append("(%s)" % bad)
    bad = " OR ".join(bads) or "FALSE"
    where = "coalesce(%s, FALSE)" % bad
    txn.filtered = ex.run_duck("SELECT count(*) FROM %s WHERE %s" % (raw, where)).fetchone()[0]
    if txn.filtered:
        _check_filtered(ex, txn, raw, where)
    ex.run_duck("CREATE TEMP TABLE %s AS SELECT %s FROM %s WHERE NOT (%s)"
                % (good, ", ".join(casts), raw, where))
    txn.loaded = ex.run_duck("SELECT count(*) FROM " + good).fetchone()[0]
    return good


def _convert(ex, col, name, kind):
    """(expression of the column's value, condition of a bad row or None)."""
    if name is None:
        if col.default is None:
            return "CAST(NULL AS %s)" % col.duck, None
        value = ("CAST(now() AS TIMESTAMP)" if col.default == "CURRENT_TIMESTAMP"
                 else quote_str(col.default))
        return "CAST(%s AS %s)" % (value, col.duck), None
    cast = "CAST(%s AS VARCHAR)" % name if col.duck == "VARCHAR" else (
        "TRY_CAST(%s AS %s)" % (name, col.duck))
    bad = []
    if col.duck != "VARCHAR" and col.duck != kind:
        mode = ex.knobs.bad_cast
        if mode == "filter":
            bad.append("%s IS NOT NULL AND %s IS NULL" % (name, cast))
        elif mode == "error":
            cast = "CAST(%s AS %s)" % (name, col.duck)
    if not col.null:
        bad.append("%s IS NULL" % cast)
    if col.length:
        bad.append("strlen(%s) > %d" % (cast, col.length))
    return cast, " OR ".join(bad) or None


def _check_filtered(ex, txn, raw, where):
    total = ex.run_duck("SELECT count(*) FROM " + raw).fetchone()[0]
    first = ex.run_duck("SELECT * FROM %s WHERE %s LIMIT 1" % (raw, where)).fetchone()
    line = "Reason: column value is invalid. src line [%s];" % " ".join(str(x) for x in first)
    url = "http://127.0.0.1:8040/api/_load_error_log?file=__shard_0/error_log_insert_stmt_%x" % txn.id
    if ex.vars.true("enable_insert_strict"):
        if ex.profile.old_parser:
            raise DorisError("Insert has filtered data in strict mode, tracking_url=" + url, 5025)
        raise DorisError("Insert has filtered data in strict mode" + _tail(ex, line, url))
    if ex.profile.max_filter_ratio:
        ratio = float(ex.vars.get("insert_max_filter_ratio"))
        if txn.filtered > total * ratio:
            raise DorisError("Insert has too many filtered data %d/%d insert_max_filter_ratio is %f"
                             % (txn.filtered, total, ratio) + _tail(ex, line, url))


def _tail(ex, line, url):
    first = ". first_error_msg: " + line if ex.profile.number >= (4, 0) else ""
    return first + ". url: " + url
