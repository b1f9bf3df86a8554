"""DDL, users, variables, KILL and the administrator's statements."""

import dataclasses
import re

from . import jobs
from .auth import BY_NAME, CATALOG, User, double_sha1, parse_privs
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
    if c.accept("PASSWORD", "("):
        secret = double_sha1(c.string())
        c.expect(")")
    else:
        secret = _hash(c.string())
    _change_user(ex, name, secret=secret)
    return Ok()


def _hash(text):
    """What PASSWORD() makes: * and 40 hexadecimal digits."""
    if not re.fullmatch(r"\*[0-9A-Fa-f]{40}", text):
        raise DorisError("Password hash should be a 41-digit hexadecimal number", 1372)
    return bytes.fromhex(text[1:])


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
    if len(scope) == 3 and scope[0] != "*" and scope[1:] == ["*", "*"]:
        return privs, CATALOG, _user_name(c)
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
        return jobs.create_job(ex, c)
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
        return jobs.drop_job(ex, c)
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
        return jobs.alter_job(ex, c)
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
    if c.accept("MODIFY", "COLUMN"):
        return _modify_column(c, tab, new)
    c.expect("DROP", "COLUMN")
    name = c.identifier()
    if name.lower() not in names:
        raise DorisError("Column does not exists: " + name)
    new.columns = [x for x in new.columns if x.name.lower() != name.lower()]
    return 'ALTER TABLE %s DROP COLUMN "%s"' % (full_name(tab), name)


def _modify_column(c, tab, new):
    """A longer VARCHAR, a wider number: in Doris a job of its own, here done at once."""
    col = parse_column(c)
    old = next((x for x in new.columns if x.name.lower() == col.name.lower()), None)
    if old is None:
        raise DorisError("Column[%s] does not exists" % col.name)
    if col.length and col.length < old.length:
        raise DorisError("Shorten type length is prohibited, srcType=%s, dstType=%s"
                         % (old.type, col.type))
    col.key = old.key
    new.columns = [col if x is old else x for x in new.columns]
    return 'ALTER TABLE %s ALTER COLUMN "%s" TYPE %s' % (full_name(tab), old.name, col.duck)


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


