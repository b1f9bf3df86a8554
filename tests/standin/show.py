"""SHOW, DESC and information_schema (facts C1, F3, H)."""

import re
import time

from .engine import SYSTEM_DBS
from .errors import DorisError
from .profiles import TRANSACTION_COLUMNS
from .results import table

TXN_WHERE = ("Where clause should looks like one of them: id = 123 or label =/like 'label' or "
             "status = 'prepare/precommitted/committed/visible/aborted'")


def like(pattern):
    if pattern is None:
        return lambda text: True
    parts = re.findall(r"\\.|[%_]|[^\\%_]+|\\", pattern)
    regex = "".join({"%": ".*", "_": "."}.get(x) or re.escape(x[1:] if x[0] == "\\" and len(x) == 2
                                                           else x) for x in parts)
    return re.compile(regex, re.S | re.I).fullmatch


def stamp(ms):
    return None if ms < 0 else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ms / 1000))


def show(ex, c):
    c.next()
    full = bool(c.accept("FULL") or c.accept("ALL") or c.accept("VERBOSE"))
    for word in ("GLOBAL", "SESSION", "LOCAL"):
        c.accept(word)
    t = c.next()
    handler = SHOWS.get(t.word())
    if handler is None:
        c.i -= 1
        c.fail()
    return handler(ex, c, full)


def _like(c):
    """`[LIKE 'x' | WHERE col = 'x']` as a predicate."""
    if c.accept("LIKE"):
        pattern = c.string()
    elif c.accept("WHERE"):
        c.identifier()
        if c.accept("="):
            word = c.string()
            c.end()
            return lambda text: text.lower() == word.lower()
        c.expect("LIKE")
        pattern = c.string()
    else:
        pattern = None
    c.end()
    return like(pattern)


def _databases(ex, c, _full):
    match = _like(c)
    names = sorted(set(ex.engine.tables) | set(SYSTEM_DBS))
    return table(["Database"], [[n] for n in names if match(n) and (
        ex.user.sees_db(n) or ex.user.has("Select_priv", n)) and (
            n != "__internal_schema" or ex.user.has("Admin_priv"))])


def _from_db(ex, c):
    db = c.identifier() if c.accept("FROM") or c.accept("IN") else None
    if db and c.accept("."):
        db = c.identifier()
    return ex.need_db(db)


def _tables(ex, c, full):
    db = _from_db(ex, c)
    match = _like(c)
    names = [n for n in sorted(ex.engine.tables.get(db, {})) if match(n)]
    names = [n for n in names if any(ex.user.has(p, db, n) for p in
                                     ("Select_priv", "Load_priv", "Alter_priv", "Create_priv"))]
    if full:
        return table(["Tables_in_" + db, "Table_type", "Storage_format", "Inverted_index_storage_format"],
                     [[n, "BASE TABLE", "V2", "V2"] for n in names])
    return table(["Tables_in_" + db], [[n] for n in names])


def _create(ex, c, _full):
    if c.accept("DATABASE") or c.accept("SCHEMA"):
        db = ex.need_db(c.identifier())
        return table(["Database", "Create Database"], [[db, "CREATE DATABASE `%s`" % db]])
    c.expect("TABLE")
    tab = _readable(ex, *c.name())
    c.end()
    return table(["Table", "Create Table"], [[tab.name, tab.create_text()]])


def _readable(ex, db, name):
    tab = ex.find_table(db, name)
    if not any(ex.user.has(p, tab.db, tab.name) for p in (
            "Select_priv", "Load_priv", "Alter_priv", "Create_priv", "Drop_priv")):
        ex.need_table_priv("Select_priv", "SHOW", tab.db, tab.name)
    return tab


def _column_rows(tab):
    for col in tab.columns:
        extra = "" if col.key else (col.agg or "NONE")
        yield [col.name, col.type, "Yes" if col.null else "No", "true" if col.key else "false",
               col.default, extra]


COLUMN_NAMES = ["Field", "Type", "Null", "Key", "Default", "Extra"]


def _columns(ex, c, full):
    if not (c.accept("FROM") or c.accept("IN")):
        c.fail()
    db, name = c.name()
    if c.accept("FROM") or c.accept("IN"):
        db = c.identifier()
    match = _like(c)
    tab = _readable(ex, db, name)
    rows = [r for r in _column_rows(tab) if match(r[0])]
    if not full:
        return table(COLUMN_NAMES, rows)
    notes = {x.name: x.comment for x in tab.columns}
    return table(["Field", "Type", "Collation", "Null", "Key", "Default", "Extra", "Privileges", "Comment"],
                 [[r[0], r[1], "", r[2], r[3], r[4], r[5], "", notes[r[0]]] for r in rows])


def _index(ex, c, _full):
    """Secondary indexes, of which this stand-in has none (ShowIndexStmt, ShowIndexCommand)."""
    if not (c.accept("FROM") or c.accept("IN")):
        c.fail()
    db, name = c.name()
    if c.accept("FROM") or c.accept("IN"):
        db = c.identifier()
    c.end()
    _readable(ex, db, name)
    return table(["Table", "Non_unique", "Key_name", "Seq_in_index", "Column_name", "Collation",
                  "Cardinality", "Sub_part", "Packed", "Null", "Index_type", "Comment", "Properties"], [])


def describe(ex, c):
    c.next()
    if c.accept("FUNCTION"):
        binding = ex.bind([_word("FROM")] + c.rest())
        try:
            binding.plan()
            cols = [col for _, source in binding.sources for col in source.columns]
        finally:
            binding.drop()
        shown = {"VARCHAR": "text", "INTEGER": "int", "HUGEINT": "largeint", "TIMESTAMP": "datetime"}
        return table(COLUMN_NAMES, [[n, shown.get(k, k.lower()), "Yes", "false", None, "NONE"]
                                    for n, k in cols])
    db, name = c.name()
    c.accept("ALL")
    c.end()
    return table(COLUMN_NAMES, _column_rows(_readable(ex, db, name)))


def _word(text):
    from .sql import Token
    return Token("id", text, 0, text)


def _variables(ex, c, _full):
    match = _like(c)
    return table(["Variable_name", "Value", "Default_Value", "Changed"], ex.vars.rows(match))


def _processlist(ex, c, _full):
    c.end()
    names = ["CurrentConnected", "Id", "User", "Host", "LoginTime", "Catalog", "Db", "Command", "Time",
             "State", "QueryId", "Info"]
    if ex.profile.number >= (2, 1):
        names.append("FE")
    if ex.profile.number >= (3, 0):
        names.append("CloudCluster")
    rows = []
    for s in ex.server.sessions():
        e = s.executor
        if e.user is None or not (ex.user.has("Admin_priv") or e.user.name == ex.user.name):
            continue
        rows.append(["Yes" if e is ex else "No", str(e.conn_id), e.user.name, "%s:%d" % s.peer,
                     e.login_time, "internal", e.db, e.command, str(int(time.time() - e.since)),
                     "OK" if e.command == "Sleep" else "", "%x-%x" % (id(e) & 0xFFFF, e.conn_id),
                     e.sql if e.command == "Query" else "", "127.0.0.1", "NULL"][:len(names)])
    return table(names, rows)


def _nodes(ex, names, values):
    if not ex.profile.nodes_open and not ex.user.has("Admin_priv") and not ex.user.has("Node_priv"):
        raise DorisError("Access denied; you need (at least one of) the (ADMIN,NODE) privilege(s) for "
                         "this operation", 1227)
    return table(names, [[values.get(n, "") for n in names]])


def _frontends(ex, c, _full):
    c.end()
    server = ex.server
    return _nodes(ex, ex.profile.frontends, {
        "Name": "fe_standin_1", "Host": "127.0.0.1", "EditLogPort": "9010",
        "HttpPort": str(server.http_port), "QueryPort": str(server.mysql_port), "RpcPort": "9020",
        "ArrowFlightSqlPort": "-1", "Role": "FOLLOWER",
        "IsMaster": "false" if ex.knobs.not_master else "true", "ClusterId": "1734567890",
        "Join": "true", "Alive": "true", "ReplayedJournalId": str(ex.engine.next_txn),
        "LastStartTime": server.started, "LastHeartbeat": time.strftime("%Y-%m-%d %H:%M:%S"),
        "IsHelper": "true", "Version": ex.profile.version_comment.split("version ", 1)[1],
        "CurrentConnected": "Yes", "LiveSince": server.started})


def _backends(ex, c, _full):
    c.end()
    server = ex.server
    return _nodes(ex, ex.profile.backends, {
        "BackendId": "10002", "Host": "127.0.0.1", "HeartbeatPort": "9050", "BePort": "9060",
        "HttpPort": "8040", "BrpcPort": "8060", "ArrowFlightSqlPort": "-1",
        "LastStartTime": server.started, "LastHeartbeat": time.strftime("%Y-%m-%d %H:%M:%S"),
        "Alive": "true", "SystemDecommissioned": "false", "TabletNum": "10",
        "DataUsedCapacity": "0.000 ", "TrashUsedCapcacity": "0.000 ", "AvailCapacity": "10.000 GB",
        "TotalCapacity": "20.000 GB", "UsedPct": "50.00 %", "MaxDiskUsedPct": "50.00 %",
        "RemoteUsedCapacity": "0.000 ", "Tag": '{"location" : "default"}',
        "Version": ex.profile.version_comment.split("version ", 1)[1],
        "Status": '{"lastSuccessReportTabletsTime":"N/A","isQueryDisabled":false,"isLoadDisabled":false}',
        "HeartbeatFailureCounter": "0", "NodeRole": "mix", "CpuCores": "2", "Memory": "8.00 GB",
        "LiveSince": server.started, "RunningTasks": "0"})


def _grants(ex, c, full):
    users = [ex.user]
    if c.accept("FOR"):
        name = c.next().value
        if c.peek() is not None:
            c.next()
        if name != ex.user.name:
            ex.need_global("Grant_priv", "GRANT")
        if name not in ex.engine.users:
            raise DorisError("user '%s'@'%%' does not exist" % name)
        users = [ex.engine.users[name]]
    elif full:
        ex.need_global("Grant_priv", "GRANT")
        users = sorted(ex.engine.users.values(), key=lambda u: u.name)
    c.end()
    return table(ex.profile.grants, [_grant_row(ex, u) for u in users])


def _grant_row(ex, user):
    system = "internal.information_schema: Select_priv; internal.mysql: Select_priv"
    own = user.cell(1)
    cells = {
        "UserIdentity": "'%s'@'%%'" % user.name, "Comment": "",
        "Password": "Yes" if user.secret else "No",
        "Roles": {"root": "operator", "admin": "admin"}.get(user.name, ""),
        "GlobalPrivs": user.cell(0), "CatalogPrivs": user.cell(3),
        "DatabasePrivs": "; ".join(sorted((own + "; " + system).split("; "))) if own else system,
        "TablePrivs": user.cell(2), "WorkloadGroupPrivs": "normal: Usage_priv"}
    return [cells.get(n) for n in ex.profile.grants]


def txn_row(t):
    return [str(t.id), t.label, "FE: 127.0.0.1", t.status, "INSERT_STREAMING", stamp(t.prepare_ms), None,
            stamp(t.commit_ms), stamp(t.publish_ms), stamp(t.finish_ms), t.reason, "0", "-1",
            str(t.timeout_ms), None]


def _transaction(ex, c, _full):
    if ex.knobs.no_show_transaction:
        raise DorisError("Access denied; you need (at least one of) the (ADMIN) privilege(s) for this "
                         "operation", 1227)
    db = ex.need_db(c.identifier() if c.accept("FROM") else None)
    ex.need_db_priv("Load_priv", "LOAD", db)
    if not c.accept("WHERE"):
        raise DorisError(TXN_WHERE)
    key = c.identifier().lower()
    if c.accept("="):
        t = c.next()
        value, exact = t.value, True
    elif c.accept("LIKE"):
        value, exact = c.string(), False
    else:
        raise DorisError(TXN_WHERE)
    if not c.done() or key not in ("label", "id", "status") or (key != "label" and not exact):
        raise DorisError(TXN_WHERE)
    with ex.engine.wlock:
        found = _find(ex.engine, db, key, value, exact)
        return table(TRANSACTION_COLUMNS, [txn_row(t) for t in found])


def _find(engine, db, key, value, exact):
    if key == "label" and exact:
        txns = engine.with_label(db, value)
        if not txns:
            raise DorisError("transaction with label %s does not exist" % value)
        return [max(txns, key=lambda t: t.id)]
    if key == "id":
        txn = engine.txns.get(int(value)) if value.isdigit() else None
        if txn is None or txn.db != db:
            raise DorisError("transaction with id %s does not exist" % value)
        return [txn]
    if key == "status":
        if value.lower() not in ("prepare", "precommitted", "committed", "visible", "aborted"):
            raise DorisError(TXN_WHERE)
        match = like(value)
        return [t for t in engine.txns.values() if t.db == db and match(t.status)]
    match = like(value)
    return [t for t in engine.txns.values() if t.db == db and match(t.label)]


def _last(ex, c, _full):
    c.expect("INSERT")
    c.end()
    t = ex.last_insert
    names = ["TransactionId", "Label", "Database", "Table", "TransactionStatus", "LoadedRows",
             "FilteredRows"]
    if t is None:
        return table(names, [])
    return table(names, [[str(t.id), t.label, t.db, t.table, t.status, str(t.loaded), str(t.filtered)]])


def _fixed(names, rows=()):
    def run(_ex, c, _full):
        c.rest()
        return table(names, rows)
    return run


def _table_word(ex, c, full):
    c.expect("STATUS")
    db = _from_db(ex, c)
    match = _like(c)
    names = ["Name", "Engine", "Version", "Row_format", "Rows", "Avg_row_length", "Data_length",
             "Max_data_length", "Index_length", "Data_free", "Auto_increment", "Create_time", "Update_time",
             "Check_time", "Collation", "Checksum", "Create_options", "Comment"]
    return table(names, [[n, "Doris"] + [None] * 15 + [""] for n in sorted(ex.engine.tables.get(db, {}))
                         if match(n)])


SHOWS = {
    "DATABASES": _databases, "SCHEMAS": _databases, "TABLES": _tables, "CREATE": _create,
    "COLUMNS": _columns, "FIELDS": _columns, "VARIABLES": _variables, "PROCESSLIST": _processlist,
    "FRONTENDS": _frontends, "BACKENDS": _backends, "GRANTS": _grants, "TRANSACTION": _transaction,
    "LAST": _last, "TABLE": _table_word,
    "INDEX": _index, "INDEXES": _index, "KEY": _index, "KEYS": _index,
    "WARNINGS": _fixed(["Level", "Code", "Message"]), "ERRORS": _fixed(["Level", "Code", "Message"]),
    "STATUS": _fixed(["Variable_name", "Value"]), "PLUGINS": _fixed(["Name", "Status"]),
    "EVENTS": _fixed(["Db", "Name"]), "TRIGGERS": _fixed(["Trigger", "Event"]),
    "PROCEDURE": _fixed(["Db", "Name"]), "FUNCTION": _fixed(["Db", "Name"]),
    "COLLATION": _fixed(["Collation", "Charset", "Id", "Default", "Compiled", "Sortlen"],
                        [["utf8mb4_0900_bin", "utf8mb4", "309", "Yes", "Yes", "1"]]),
    "CHARSET": _fixed(["Charset", "Description", "Default collation", "Maxlen"],
                      [["utf8mb4", "UTF-8 Unicode", "utf8mb4_0900_bin", "4"]]),
    "ENGINES": _fixed(["Engine", "Support", "Comment", "Transactions", "XA", "Savepoints"],
                      [["Olap engine", "YES", "Default storage engine of palo", "NO", "NO", "NO"]]),
    "CATALOGS": _fixed(["CatalogId", "CatalogName", "Type", "IsCurrent", "CreateTime", "LastUpdateTime",
                        "Comment"], [["0", "internal", "internal", "Yes", None, None, "Doris internal catalog"]]),
}


# --- information_schema ---

def information_schema(ex, name):
    """(columns, rows), or None for a table this stand-in does not have."""
    maker = INFORMATION.get(name)
    return maker(ex) if maker else None


def _text(names):
    return [(n, "VARCHAR") for n in names]


def _visible_tables(ex):
    for db, tabs in sorted(ex.engine.tables.items()):
        for name, tab in sorted(tabs.items()):
            if any(ex.user.has(p, db, name) for p in ("Select_priv", "Load_priv")):
                yield db, tab


def _is_schemata(ex):
    names = ["CATALOG_NAME", "SCHEMA_NAME", "DEFAULT_CHARACTER_SET_NAME", "DEFAULT_COLLATION_NAME", "SQL_PATH"]
    dbs = sorted(set(ex.engine.tables) | set(SYSTEM_DBS[:2]))
    return _text(names), [["internal", d, "utf8", "utf8_general_ci", None] for d in dbs
                          if ex.user.sees_db(d) or ex.user.has("Select_priv", d)]


def _is_tables(ex):
    names = ["TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", "TABLE_TYPE", "ENGINE", "TABLE_COMMENT"]
    return (_text(names) + [("TABLE_ROWS", "BIGINT"), ("DATA_LENGTH", "BIGINT")],
            [["internal", db, t.name, "BASE TABLE", "Doris", t.comment, 0, 0]
             for db, t in _visible_tables(ex)])


# FE/catalog/SchemaTable.java, in its order; these are numbers, the others texts.
COLUMNS_COLUMNS = (
    "TABLE_CATALOG TABLE_SCHEMA TABLE_NAME COLUMN_NAME ORDINAL_POSITION COLUMN_DEFAULT IS_NULLABLE "
    "DATA_TYPE CHARACTER_MAXIMUM_LENGTH CHARACTER_OCTET_LENGTH NUMERIC_PRECISION NUMERIC_SCALE "
    "DATETIME_PRECISION CHARACTER_SET_NAME COLLATION_NAME COLUMN_TYPE COLUMN_KEY EXTRA PRIVILEGES "
    "COLUMN_COMMENT COLUMN_SIZE DECIMAL_DIGITS GENERATION_EXPRESSION SRS_ID").split()
COLUMNS_NUMBERS = {
    "ORDINAL_POSITION", "CHARACTER_MAXIMUM_LENGTH", "CHARACTER_OCTET_LENGTH", "NUMERIC_PRECISION",
    "NUMERIC_SCALE", "DATETIME_PRECISION", "COLUMN_SIZE", "DECIMAL_DIGITS", "SRS_ID"}


def _is_columns(ex):
    rows = []
    for db, t in _visible_tables(ex):
        for i, col in enumerate(t.columns):
            key = {"UNIQUE": "UNI", "DUPLICATE": "DUP", "AGGREGATE": "AGG"}[t.model] if col.key else ""
            cells = dict.fromkeys(COLUMNS_COLUMNS)
            cells.update(_column_sizes(col.type))
            cells.update(
                TABLE_CATALOG="internal", TABLE_SCHEMA=db, TABLE_NAME=t.name, COLUMN_NAME=col.name,
                ORDINAL_POSITION=i + 1, COLUMN_DEFAULT=col.default, COLUMN_TYPE=col.type,
                IS_NULLABLE="YES" if col.null else "NO", DATA_TYPE=col.type.split("(")[0],
                COLUMN_KEY=key, EXTRA="", PRIVILEGES="", COLUMN_COMMENT=col.comment)
            rows.append(list(cells.values()))
    return [(n, "BIGINT" if n in COLUMNS_NUMBERS else "VARCHAR") for n in COLUMNS_COLUMNS], rows


def _column_sizes(kind):
    """The length of a text, or precision and scale of a decimal, as far as the type says."""
    m = re.fullmatch(r"(\w+)\((\d+)(?:,\s*(\d+))?\)", kind)
    if not m:
        return {}
    word, first, second = m.group(1).lower(), int(m.group(2)), int(m.group(3) or 0)
    if word in ("char", "varchar"):
        return {"CHARACTER_MAXIMUM_LENGTH": first, "CHARACTER_OCTET_LENGTH": first * 4,
                "COLUMN_SIZE": first}
    if word.startswith("decimal"):
        return {"NUMERIC_PRECISION": first, "NUMERIC_SCALE": second, "COLUMN_SIZE": first,
                "DECIMAL_DIGITS": second}
    return {"DATETIME_PRECISION": first} if word.startswith("datetime") else {}


PRIVILEGE_TYPES = {"Select_priv": "SELECT", "Load_priv": "INSERT", "Alter_priv": "ALTER",
                   "Create_priv": "CREATE", "Drop_priv": "DROP", "Usage_priv": "USAGE",
                   "Show_view_priv": "SHOW VIEW"}


def _privileges(depth):
    def make(ex):
        names = ["GRANTEE", "TABLE_CATALOG"] + ["TABLE_SCHEMA", "TABLE_NAME"][:depth] + [
            "PRIVILEGE_TYPE", "IS_GRANTABLE"]
        rows = []
        for user in ex.engine.users.values():
            if user.name != ex.user.name and not ex.user.has("Admin_priv"):
                continue
            for scope, privs in user.grants.items():
                if len(scope) == depth:
                    rows += [["'%s'@'%%'" % user.name, "internal", *scope, PRIVILEGE_TYPES[p], "NO"]
                             for p in sorted(privs) if p in PRIVILEGE_TYPES]
        return _text(names), rows
    return make


def _is_variables(ex):
    return _text(["VARIABLE_NAME", "VARIABLE_VALUE", "DEFAULT_VALUE", "CHANGED"]), [
        list(r) for r in ex.vars.rows(lambda _: True)]


INFORMATION = {
    "schemata": _is_schemata, "tables": _is_tables, "columns": _is_columns,
    "user_privileges": _privileges(0), "schema_privileges": _privileges(1),
    "table_privileges": _privileges(2), "session_variables": _is_variables,
}
