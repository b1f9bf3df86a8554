"""SET, in all its forms."""

import contextlib
import re

from .admin import set_password
from .results import Ok
from .sql import quote_str


HINT = re.compile(r"\s*/\*\+(.*?)\*/", re.S)
SET_VAR = re.compile(r"\bSET_VAR\s*\(([^()]*)\)", re.I)


@contextlib.contextmanager
def hinted(ex, tokens):
    """SELECT /*+ SET_VAR(a = 1, b = 'c') */: for this statement."""
    before = dict(ex.vars.values)
    found = HINT.match(ex.sql, tokens[0].pos + len("SELECT")) if tokens[0].word() == "SELECT" else None
    try:
        for listed in SET_VAR.findall(found.group(1)) if found else ():
            for item in listed.split(","):
                name, _, value = item.partition("=")
                ex.vars.set(name.strip(), value.strip().strip("'\""))
        yield
    finally:
        ex.vars.values = before


def set_vars(ex, c):
    c.next()
    if c.accept("TRANSACTION") or c.at("SESSION", "TRANSACTION") or c.at("GLOBAL", "TRANSACTION"):
        c.rest()
        return Ok()
    if c.accept("PASSWORD"):
        return set_password(ex, c)
    if c.accept("PROPERTY"):
        ex.need_global("Admin_priv", "ADMIN")
        c.rest()
        return Ok()
    while True:
        if c.accept("NAMES") or c.accept("CHARACTER", "SET") or c.accept("CHARSET"):
            _set_charset(c)
        else:
            _set_one(ex, c)
        if c.done():
            return Ok()
        c.expect(",")


def _set_charset(c):
    """A name or DEFAULT, one of a list like any other variable; everything is UTF-8 anyway."""
    c.accept("=")
    _charset_name(c)
    if c.accept("COLLATE"):
        _charset_name(c)


def _charset_name(c):
    if c.done() or c.next().kind not in ("id", "bq", "str"):
        c.fail()


def _set_one(ex, c):
    is_global = bool(c.accept("GLOBAL"))
    if not is_global:
        c.accept("SESSION") or c.accept("LOCAL")
    t = c.next()
    name = t.value
    m = re.match(r"@@(?:(global|session|local)\.)?(.+)", name, re.I | re.S) if t.kind == "var" else None
    if m:
        is_global, name = (m.group(1) or "").lower() == "global", m.group(2)
    elif t.kind not in ("id", "bq", "var"):
        c.i -= 1
        c.fail()
    if not c.accept("=") and not c.accept(":="):
        c.fail()
    value = _value(ex, c)
    if name.startswith("@"):
        ex.user_vars[name[1:].strip("`").lower()] = value
        return
    if is_global:
        ex.need_global("Admin_priv", "ADMIN")
    ex.vars.set(name, None if value == "DEFAULT" else _unquote(value), is_global)


def _unquote(text):
    return text[1:-1].replace("''", "'") if text.startswith("'") else text


def _value(ex, c):
    """The tokens up to a comma, evaluated: a literal, a word, or any constant expression."""
    part, depth = [], 0
    while not c.done():
        if depth == 0 and c.at(","):
            break
        t = c.next()
        depth += {"(": 1, ")": -1}.get(t.text if t.kind == "op" else "", 0)
        part.append(t)
    if not part:
        c.fail()
    if len(part) == 1 and part[0].kind in ("id", "bq"):
        return part[0].text.upper() if part[0].word() == "DEFAULT" else part[0].value
    if len(part) == 1 and part[0].kind == "str":
        return quote_str(part[0].value)
    row = ex.run_duck("SELECT " + ex.to_duck(part)).fetchone()[0]
    if row is None:
        return "NULL"
    if isinstance(row, bool):
        return "true" if row else "false"
    return str(row) if isinstance(row, (int, float)) else quote_str(str(row))
