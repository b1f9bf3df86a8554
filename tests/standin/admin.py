"""DDL, users, variables, KILL and the administrator's statements."""

import dataclasses
import json
import re
import time

from . import insert
from .auth import BY_NAME, User, double_sha1, parse_privs
from .ddl import DB_NAME, Column, Table, parse_column, parse_create_table
from .engine import SYSTEM_DBS, full_name
from .errors import DorisError
from .results import Ok, table
from .show import like
from .sql import quote_str


def nothing(ex, c):
    c.rest()
    return Ok()


def set_password(ex, c):
    name = ex.user.name
    if c.accept("FOR"):
        name = _user_name(c)
        ex.need_global("Grant_priv", "GRANT")
    c.expect("=")
    c.expect("PASSWORD", "(")
    secret = double_sha1(c.string())
    c.expect(")")
    _change_user(ex, name, secret=secret)
    return Ok()


def use(ex, c):
    c.next()
    first = c.identifier()
    if c.accept("."):
        first = c.identifier()
    c.end()
    ex.use(first)
    return Ok()


def switch(ex, c):
    c.next()
    name = c.identifier()
    if name != "internal":
        raise DorisError("Unknown catalog '%s'" % name, 5086)
    return Ok()


# --- users ---

def _user_name(c):
    name = c.next().value
    t = c.peek()
    if t is not None and t.kind == "var":
        c.next()
    elif t is not None and t.text == "@":
        c.next()
        c.next()
    return name.split("@", 1)[0]


def _change_user(ex, name, **change):
    user = ex.engine.users.get(name)
    if user is None:
        raise DorisError("user '%s'@'%%' does not exist" % name)
    new = User(name, user.secret, {k: set(v) for k, v in user.grants.items()})
    for key, value in change.items():
        setattr(new, key, value)
    ex.engine.save_user(new)
    ex.server.user_changed(new)


def _create_user(ex, c):
    ex.need_global("Grant_priv", "GRANT")
    there = c.accept("IF", "NOT", "EXISTS")
    name = _user_name(c)
    secret = b""
    if c.accept("IDENTIFIED", "BY"):
        secret = double_sha1(c.string())
    if name in ex.engine.users:
        if there:
            return Ok()
        raise DorisError("User '%s'@'%%' already exist" % name)
    ex.engine.save_user(User(name, secret))
    return Ok()


def _privs_and_scope(c, word):
    names = []
    while not c.at("ON"):
        t = c.next()
        if t.kind == "id":
            names.append(t.text)
    try:
        privs = parse_privs(",".join(n if n.lower() in BY_NAME or n.upper().startswith("ALL")
                                     else n + "_priv" for n in names))
    except ValueError as e:
        raise DorisError(str(e)) from None
    c.expect("ON")
    scope = []
    while not c.at(word):
        t = c.next()
        if t.text != ".":
            scope.append(t.value)
    c.expect(word)
    if len(scope) == 3:
        scope = scope[1:]
    return privs, tuple(x for x in scope if x != "*"), _user_name(c)


def grant(ex, c):
    ex.need_global("Grant_priv", "GRANT")
    c.next()
    privs, scope, name = _privs_and_scope(c, "TO")
    user = ex.engine.users.get(name)
    grants = {k: set(v) for k, v in user.grants.items()} if user else {}
    grants.setdefault(scope, set()).update(privs)
    _change_user(ex, name, grants=grants)
    return Ok()


def revoke(ex, c):
    ex.need_global("Grant_priv", "GRANT")
    c.next()
    privs, scope, name = _privs_and_scope(c, "FROM")
    user = ex.engine.users.get(name)
    grants = {k: set(v) for k, v in user.grants.items()} if user else {}
    left = grants.pop(scope, set()) - privs
    if left:
        grants[scope] = left
    _change_user(ex, name, grants=grants)
    return Ok()


# --- databases and tables ---

def create(ex, c):
    c.next()
    if c.accept("DATABASE") or c.accept("SCHEMA"):
        return _create_db(ex, c)
    if c.accept("USER"):
        return _create_user(ex, c)
    if c.at("JOB"):
        return create_job(ex, c)
    c.accept("EXTERNAL")
    c.expect("TABLE")
    there = c.accept("IF", "NOT", "EXISTS")
    db, name = c.name()
    db = ex.need_db(db)
    ex.need_table_priv("Create_priv", "CREATE", db, name)
    if db in SYSTEM_DBS:
        raise DorisError("can not create table in " + db)
    if name in ex.engine.tables[db]:
        if there:
            return Ok()
        raise DorisError("Table '%s' already exists" % name, 1050)
    if c.accept("LIKE"):
        other = ex.find_table(*c.name())
        c.end()
        ex.engine.create_table(dataclasses.replace(other, db=db, name=name))
        return Ok()
    if any(t.word() in ("AS", "SELECT") for t in c.tokens[c.i:]) and not c.at("("):
        return _create_as(ex, c, db, name)
    new = parse_create_table(c, db, name, ex.profile)
    c.end()
    ex.engine.create_table(new)
    return Ok()


def _create_as(ex, c, db, name):
    at = next((i for i in range(c.i, len(c.tokens)) if c.tokens[i].word() == "AS"), None)
    if at is None:
        c.fail()
    binding = ex.bind(c.tokens[at + 1:])
    binding.plan()
    try:
        sql = ex.to_duck(binding.tokens)
        ex.check_select(sql)
        shown = {"VARCHAR": "text", "INTEGER": "int", "TIMESTAMP": "datetime(6)", "HUGEINT": "largeint"}
        cols = [Column(n, shown.get(k, k.lower()), k) for n, k in ex.describe(sql)]
        binding.load()
        new = Table(db, name, cols, keys=[cols[0].name])
        return Ok(ex.engine.create_table(new, ex.cur, sql))
    finally:
        binding.drop()


def _create_db(ex, c):
    there = c.accept("IF", "NOT", "EXISTS")
    name = c.identifier()
    if c.accept("."):
        name = c.identifier()
    if c.accept("PROPERTIES"):
        c.properties()
    c.end()
    if not DB_NAME.fullmatch(name):
        raise DorisError("Incorrect database name '%s'" % name, 1102)
    ex.need_db_priv("Create_priv", "CREATE", name)
    if name in ex.engine.tables or name in SYSTEM_DBS:
        if there:
            return Ok()
        raise DorisError("Can't create database '%s'; database exists" % name, 1007)
    ex.engine.create_db(name)
    return Ok()


def drop(ex, c):
    c.next()
    if c.accept("DATABASE") or c.accept("SCHEMA"):
        there = c.accept("IF", "EXISTS")
        name = c.identifier()
        if name not in ex.engine.tables:
            if there:
                return Ok()
            raise DorisError("Can't drop database '%s'; database doesn't exist" % name, 1008)
        ex.need_db_priv("Drop_priv", "DROP", name)
        ex.engine.drop_db(name)
        return Ok()
    if c.accept("USER"):
        there = c.accept("IF", "EXISTS")
        name = _user_name(c)
        ex.need_global("Grant_priv", "GRANT")
        if name in ex.engine.users:
            ex.engine.drop_user(name)
        elif not there:
            raise DorisError("user '%s'@'%%' does not exist" % name)
        return Ok()
    if c.at("JOB"):
        return drop_job(ex, c)
    c.expect("TABLE")
    there = c.accept("IF", "EXISTS")
    db, name = c.name()
    c.accept("FORCE")
    c.end()
    db = ex.need_db(db)
    ex.need_table_priv("Drop_priv", "DROP", db, name)
    if name not in ex.engine.tables.get(db, {}):
        if there:
            return Ok()
        raise DorisError("Unknown table '%s'" % name, 1051)
    ex.engine.drop_table(db, name)
    return Ok()


def truncate(ex, c):
    c.next()
    c.expect("TABLE")
    tab = ex.find_table(*c.name())
    c.accept("FORCE")
    c.end()
    ex.need_load(tab.db, tab.name)
    with ex.engine.write() as cur:
        cur.execute("DELETE FROM " + full_name(tab))
    return Ok()


def alter(ex, c):
    c.next()
    if c.at("JOB"):
        return alter_job(ex, c)
    c.expect("TABLE")
    tab = ex.find_table(*c.name())
    ex.need_table_priv("Alter_priv", "ALTER", tab.db, tab.name)
    new = dataclasses.replace(tab, columns=list(tab.columns))
    if c.accept("RENAME"):
        new.name = c.identifier()
        if new.name in ex.engine.tables[tab.db]:
            raise DorisError("Table name[%s] is already used" % new.name)
        ex.engine.alter_table(tab, new, ['ALTER TABLE %s RENAME TO "%s"' % (full_name(tab), new.name)],
                              new.name)
        return Ok()
    sqls = []
    while True:
        sqls.append(_alter_column(c, tab, new))
        if c.done():
            break
        c.expect(",")
    ex.engine.alter_table(tab, new, sqls)
    return Ok()


def _alter_column(c, tab, new):
    names = [x.name.lower() for x in new.columns]
    if c.accept("ADD", "COLUMN"):
        col = parse_column(c)
        if col.name.lower() in names:
            raise DorisError("Can not add column which already exists in base table: " + col.name)
        new.columns.append(col)
        default = " DEFAULT " + quote_str(col.default) if col.default is not None else ""
        return 'ALTER TABLE %s ADD COLUMN "%s" %s%s' % (full_name(tab), col.name, col.duck, default)
    c.expect("DROP", "COLUMN")
    name = c.identifier()
    if name.lower() not in names:
        raise DorisError("Column does not exists: " + name)
    new.columns = [x for x in new.columns if x.name.lower() != name.lower()]
    return 'ALTER TABLE %s DROP COLUMN "%s"' % (full_name(tab), name)


# --- native jobs: stored, shown, never run ---

STREAMING_PROPERTIES = ("max_interval", "s3.max_batch_files", "s3.max_batch_bytes", "offset")


def create_job(ex, c):
    profile = ex.profile
    if profile.old_parser:
        c.fail()
    c.expect("JOB")
    _, name = c.name()
    props = {}
    if profile.streaming_jobs and c.accept("PROPERTIES"):
        props = c.properties()
    c.expect("ON")
    streaming = bool(profile.streaming_jobs and c.accept("STREAMING"))
    strategy = "" if streaming else _schedule(c)
    comment = c.string() if c.accept("COMMENT") else ""
    c.expect("DO")
    at = c.tokens[c.i].pos if not c.done() else c.fail()
    stmt = insert.parse_insert(c)
    db = ex.current_db(None)
    if name in ex.engine.jobs:
        raise DorisError("job name exist, jobName:" + name)
    if not streaming:
        ex.need_global("Admin_priv", "ADMIN")
    _check_job_properties(props)
    planned = insert.plan(ex, stmt)
    planned.binding.drop()
    job = {n: "" for n in profile.jobs}
    job.update(Id=str(ex.engine.new_job_id()), Name=name, Definer=ex.user.name,
               ExecuteType="STREAMING" if streaming else "RECURRING", RecurringStrategy=strategy,
               Status="PENDING" if streaming else "RUNNING", ExecuteSql=_mask(c.text_from(at)),
               CreateTime=time.strftime("%Y-%m-%d %H:%M:%S"), SucceedTaskCount="0",
               FailedTaskCount="0", CanceledTaskCount="0", Comment=comment)
    if "Properties" in job:
        job["Properties"] = json.dumps(props, separators=(",", ":")) if props else ""
    job.update(_db=planned.table.db, _table=planned.table.name, _current=db)
    ex.engine.save_job(job)
    return Ok()


def _check_job_properties(props):
    for key in props:
        if key not in STREAMING_PROPERTIES and not key.startswith("session."):
            raise DorisError("Invalid properties: [%s]. Supported keys are [%s] or any key starting with "
                             "'session.'." % (key, ", ".join(STREAMING_PROPERTIES)))


def _mask(sql):
    return re.sub(r"""((["'])[^"']*(?:secret|token|password)[^"']*\2\s*=\s*)(["'])[^"']*\3""",
                  r"\1\3*XXX\3", sql, flags=re.I)


def _schedule(c):
    c.expect("SCHEDULE")
    if c.accept("EVERY"):
        text = "EVERY %d %s" % (c.integer(), c.identifier().upper())
        for word in ("STARTS", "ENDS"):
            if c.accept(word):
                text += " %s %s" % (word, c.next().value)
        return text
    c.expect("AT")
    return "AT " + c.next().value


def _job_name(c):
    c.expect("WHERE")
    key = c.identifier()
    if key.lower() != "jobname":
        raise DorisError("Current not support left child of where: " + key)
    c.expect("=")
    return c.string()


def _own_job(ex, name, missing):
    job = ex.engine.jobs.get(name)
    if job is None:
        raise DorisError(missing + name)
    ex.need_load(job["_db"], job["_table"])
    return job


def job_state(ex, c):
    word = c.next().word()
    if ex.profile.old_parser:
        c.i = 0
        c.fail()
    c.expect("JOB")
    name = _job_name(c)
    c.end()
    if word == "PAUSE" and name not in ex.engine.jobs:
        return Ok()
    job = _own_job(ex, name, "job not exist, jobName: ")
    wanted = "PAUSED" if word == "PAUSE" else "PENDING"
    if job["Status"] == wanted:
        raise DorisError("Alter job status error, jobName is %s, errorMsg is Can't change job status to "
                         "the same status" % name)
    ex.engine.save_job({**job, "Status": wanted})
    return Ok()


def drop_job(ex, c):
    if ex.profile.old_parser:
        c.fail()
    c.expect("JOB")
    there = c.accept("IF", "EXISTS")
    name = _job_name(c)
    c.end()
    if name not in ex.engine.jobs:
        if there:
            return Ok()
        raise DorisError("unregister job error, jobName:" + name)
    _own_job(ex, name, "")
    ex.engine.drop_job(name)
    return Ok()


def alter_job(ex, c):
    if not ex.profile.streaming_jobs:
        c.fail()
    c.expect("JOB")
    _, name = c.name()
    job = _own_job(ex, name, "job not exist, jobName: ")
    if job["Status"] != "PAUSED":
        raise DorisError("Only PAUSED job can be altered")
    if c.accept("PROPERTIES"):
        props = c.properties()
        _check_job_properties(props)
        old = json.loads(job.get("Properties") or "{}")
        job = {**job, "Properties": json.dumps({**old, **props}, separators=(",", ":"))}
    if c.at("INSERT"):
        at = c.peek().pos
        insert.plan(ex, insert.parse_insert(c)).binding.drop()
        job = {**job, "ExecuteSql": _mask(c.text_from(at))}
    c.end()
    ex.engine.save_job(job)
    return Ok()


def cancel(ex, c):
    c.next()
    if ex.profile.old_parser or not c.accept("TASK"):
        c.fail()
    raise DorisError("streaming job not support cancel task by id" if ex.profile.streaming_jobs
                     else "no running task")


# --- the rest ---

def kill(ex, c):
    c.next()
    query = bool(c.accept("QUERY"))
    if not query:
        c.accept("CONNECTION")
    t = c.next()
    c.end()
    if t.kind == "str":
        raise DorisError("Unknown query id: %s" % t.value, 1097)
    if not t.text.isdigit():
        c.i -= 1
        c.fail()
    target = ex.server.session_of(int(t.text))
    if target is None:
        raise DorisError("Unknown thread id: %s" % t.text, 1094)
    if target.executor.user.name != ex.user.name and not ex.user.has("Admin_priv"):
        raise DorisError("You are not owner of thread or query: %s" % t.text, 1095)
    target.executor.cancel("cancel query by user from %s" % ex.host)
    if not query:
        target.kill_link()
    return Ok()


def clean(ex, c):
    c.next()
    c.expect("LABEL")
    label = None if c.at("FROM") else c.identifier()
    c.expect("FROM")
    db = ex.need_db(c.identifier())
    c.end()
    ex.need_db_priv("Load_priv", "LOAD", db)
    ex.engine.clean_label(db, label)
    return Ok()


def configs(ex):
    knobs = ex.knobs
    long_keep = 21600 if ex.profile.number < (2, 1) else 259200
    limit = 10000 if ex.profile.number >= (4, 0) else 1000
    return {
        "label_keep_max_second": (str(long_keep), "int"),
        "streaming_label_keep_max_second": (str(knobs.label_keep_s), "int"),
        "label_num_threshold": (str(knobs.label_num), "int"),
        "label_clean_interval_second": ("3600", "int"), "label_regex_length": ("128", "int"),
        "transaction_clean_interval_second": (str(max(1, knobs.label_clean_ms // 1000)), "int"),
        "max_running_txn_num_per_db": (str(limit), "int"),
        "qe_max_connection": (str(knobs.max_conn), "int"),
    }


MUTABLE = {"streaming_label_keep_max_second": "label_keep_s", "label_num_threshold": "label_num"}


def admin(ex, c):
    c.next()
    ex.need_global("Admin_priv", "ADMIN")
    if c.accept("SET", "FRONTEND", "CONFIG"):
        for key, value in c.properties().items():
            if key not in MUTABLE:
                raise DorisError("Config '%s' does not exist or is not mutable" % key)
            ex.knobs.set(MUTABLE[key], value)
        ex.engine.wake.set()
        return Ok()
    c.expect("SHOW", "FRONTEND", "CONFIG")
    match = like(c.string() if c.accept("LIKE") else None)
    c.end()
    return table(["Key", "Value", "Type", "IsMutable", "MasterOnly", "Comment"],
                 [[k, v, kind, "true", "true", ""] for k, (v, kind) in sorted(configs(ex).items())
                  if match(k)])


