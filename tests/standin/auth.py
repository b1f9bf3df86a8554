"""Handshake parsing, mysql_native_password, users and privileges (facts A1, A3, F)."""

import hashlib
import os

from . import protocol as p

PRIVS = ["Node_priv", "Admin_priv", "Grant_priv", "Select_priv", "Load_priv", "Alter_priv",
         "Create_priv", "Drop_priv", "Usage_priv", "Show_view_priv"]
BY_NAME = {name.lower(): name for name in PRIVS}


def scramble():
    return bytes(1 + b % 127 for b in os.urandom(20))


def double_sha1(password):
    if not password:
        return b""
    return hashlib.sha1(hashlib.sha1(password.encode()).digest()).digest()


def verify_native(stored, salt, answer):
    """stored = SHA1(SHA1(password)), empty for no password."""
    if not stored or not answer:
        return not stored and not answer
    if len(answer) != 20:
        return False
    mask = hashlib.sha1(salt + stored).digest()
    stage1 = bytes(a ^ b for a, b in zip(answer, mask))
    return hashlib.sha1(stage1).digest() == stored


class HandshakeResponse:
    """What the client said; caps decide which fields follow."""

    def __init__(self, payload):
        r = p.Reader(payload)
        self.caps = r.int(4)
        r.take(4 + 1 + 23)
        self.user = r.nul().decode("utf-8", "replace").split("#", 1)[0]
        if self.caps & p.CLIENT_PLUGIN_AUTH_LENENC:
            self.answer = r.lenenc_bytes() or b""
        else:
            self.answer = r.take(r.int(1))
        self.db = ""
        if self.caps & p.CLIENT_CONNECT_WITH_DB and r.left():
            self.db = r.nul().decode("utf-8", "replace")
        self.plugin = ""
        if self.caps & p.CLIENT_PLUGIN_AUTH and r.left():
            self.plugin = r.nul().decode("utf-8", "replace")


class ChangeUser:
    """COM_CHANGE_USER without its command byte."""

    def __init__(self, payload):
        r = p.Reader(payload)
        self.user = r.nul().decode("utf-8", "replace").split("#", 1)[0]
        self.answer = r.take(r.int(1)) if r.left() else b""
        self.db = r.nul().decode("utf-8", "replace") if r.left() else ""
        if r.left() >= 2:
            r.take(2)
        self.plugin = r.nul().decode("utf-8", "replace") if r.left() else ""


CATALOG = ("internal", "*", "*")  # GRANT … ON internal.*.*


class User:
    """grants: {(): global, CATALOG: its, (db,): database, (db, table): table} to privilege names."""

    def __init__(self, name, secret=b"", grants=None):
        self.name = name
        self.secret = secret
        self.grants = grants or {}

    def has(self, priv, db=None, table=None):
        """Does any level of the chain give `priv` (or Admin_priv, for all but Node)?"""
        wanted = {priv} if priv == "Node_priv" else {priv, "Admin_priv"}
        if self.grants.get((), set()) & wanted:
            return True
        if db is not None and self.grants.get(CATALOG, set()) & wanted:
            return True
        if db is not None and self.grants.get((db,), set()) & wanted:
            return True
        return table is not None and bool(self.grants.get((db, table), set()) & wanted)

    def has_on_any_table(self, db):
        return any(len(scope) == 2 and scope[0] == db and privs
                   for scope, privs in self.grants.items())

    def sees_db(self, db):
        return any(privs and (scope in ((), CATALOG) or scope[0] == db)
                   for scope, privs in self.grants.items()) or db in ("information_schema",
                                                                      "mysql")

    def add(self, scope, privs):
        self.grants.setdefault(scope, set()).update(privs)

    def remove(self, scope, privs):
        left = self.grants.get(scope, set()) - set(privs)
        if left:
            self.grants[scope] = left
        else:
            self.grants.pop(scope, None)

    def cell(self, depth):
        """One cell of SHOW GRANTS: depth 0 global, 1 databases, 2 tables, 3 the catalog; None is NULL."""
        out = []
        for scope in sorted(s for s in self.grants if len(s) == depth):
            privs = ",".join(x for x in PRIVS if x in self.grants[scope])
            shown = "internal" if scope == CATALOG else "internal." + ".".join(scope)
            out.append(privs if not depth else "%s: %s" % (shown, privs))
        return "; ".join(out) or None


def parse_privs(text):
    out = set()
    for name in text.split(","):
        name = name.strip()
        if name.upper() in ("ALL", "ALL_PRIVS"):
            out.update(PRIVS[3:8])
        elif name.lower() in BY_NAME:
            out.add(BY_NAME[name.lower()])
        else:
            raise ValueError("unknown privilege %r, one of %s" % (name, ", ".join(PRIVS)))
    return out


def parse_grant(text):
    """`global:P,P`, `catalog:P,P`, `db:D:P,P` or `table:D.T:P,P` to (scope, privileges)."""
    kind, _, rest = text.strip().partition(":")
    if kind == "global":
        return (), parse_privs(rest)
    if kind == "catalog":
        return CATALOG, parse_privs(rest)
    name, _, privs = rest.rpartition(":")
    if kind == "db":
        return (name,), parse_privs(privs)
    if kind == "table" and "." in name:
        return tuple(name.split(".", 1)), parse_privs(privs)
    raise ValueError("grant %r is none of global:PRIV, catalog:PRIV, db:DB:PRIV, table:DB.TABLE:PRIV" % text)


def parse_user(text):
    """`NAME:PASSWORD[:GRANT;GRANT…]` of the command line."""
    parts = text.split(":", 2)
    if len(parts) < 2 or not parts[0]:
        raise ValueError("user %r is not NAME:PASSWORD[:GRANT;GRANT]" % text)
    user = User(parts[0], double_sha1(parts[1]))
    for grant in (parts[2] if len(parts) == 3 else "").split(";"):
        if grant.strip():
            user.add(*parse_grant(grant))
    return user
