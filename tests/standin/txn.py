"""BEGIN, INSERTs inside, COMMIT, ROLLBACK, as each version has them (fact G)."""

from dataclasses import dataclass, field

from .engine import PREPARE
from .errors import DorisError
from .insert import info, materialize
from .results import Ok


@dataclass
class Explicit:
    label: str
    txn: object = None
    parts: list = field(default_factory=list)     # [(Table, temp table)]
    by_values: object = None


def start(ex, c):
    c.next()
    c.expect("TRANSACTION")
    c.rest()
    return _begin(ex, None)


def begin(ex, c):
    c.next()
    label = None
    if c.accept("WITH", "LABEL"):
        label = c.identifier() if not c.done() else None
    c.end()
    return _begin(ex, label)


def _begin(ex, label):
    if ex.explicit is not None:
        return Ok()
    if label is not None:
        ex.engine.check_label(label)
    label = label if label is not None else ex.auto_label().replace("insert_", "txn_insert_").replace(
        "label_", "txn_insert_")
    ex.explicit = Explicit(label)
    return Ok(0, 0, info(label, PREPARE, ""))


def insert(ex, planned):
    """One INSERT of an explicit transaction: its rows wait in a temp table of the session."""
    stmt, table, state = planned.stmt, planned.table, ex.explicit
    if stmt.label is not None:
        raise DorisError("Insert in a transaction can not carry a label of its own")
    by_values = bool(stmt.values)
    if not ex.profile.txn_insert and not by_values:
        raise DorisError("Insert into ** select is not supported in a transaction")
    if state.by_values is not None and state.by_values != by_values:
        raise DorisError("Transaction insert can not insert into values and insert into select at the "
                         "same time")
    if state.txn is not None and state.txn.db != table.db:
        raise DorisError("Transaction insert must be in the same database, expect db_id=%s"
                         % state.txn.db)
    if by_values and state.parts and state.parts[0][0].name != table.name:
        raise DorisError("Only one table can be inserted in one transaction.")
    if state.txn is None:
        timeout_s = max(ex.vars.int("insert_timeout"), ex.vars.int("query_timeout"))
        state.txn = ex.engine.begin(table.db, state.label, table.name, timeout_s * 1000)
    state.by_values = by_values
    before = state.txn.loaded
    temp = materialize(ex, planned, state.txn)
    ex.temps.remove(temp)
    state.parts.append((table, temp))
    count, state.txn.loaded = state.txn.loaded, state.txn.loaded + before
    return Ok(count, 0, info(state.label, PREPARE, state.txn.id))


def _finish(ex):
    state, ex.explicit = ex.explicit, None
    ex.temps += [temp for _, temp in state.parts]
    return state


def commit(ex, c):
    c.rest()
    if ex.explicit is None:
        return Ok()
    state = _finish(ex)
    if state.txn is None:
        return Ok(0, 0, info(state.label, "VISIBLE", ""))
    try:
        ex.engine.commit(state.txn, ex.cur, state.parts)
    except DorisError:
        raise
    except BaseException as e:
        ex.engine.abort(state.txn, str(e).split("\n")[0])
        raise
    ex.last_insert = state.txn
    wait_s = max(ex.vars.int("insert_visible_timeout_ms"), 1000) / 1000
    if not ex.engine.wait_visible(state.txn, wait_s) and state.by_values:
        raise DorisError("transaction commit successfully, BUT data will be visible later.")
    return Ok(state.txn.loaded, 0, info(state.label, state.txn.status, state.txn.id))


def rollback(ex, c):
    c.rest()
    if ex.explicit is None:
        return Ok()
    state = _finish(ex)
    if state.txn is not None:
        ex.engine.abort(state.txn, "user rollback")
    return Ok(0, 0, info(state.label, "ABORTED", state.txn.id if state.txn else ""))


def closed(ex):
    """The link ended inside a transaction: rolled back."""
    if ex.explicit is not None:
        state = _finish(ex)
        if state.txn is not None and state.txn.status == PREPARE:
            ex.engine.abort(state.txn, "connection is closed")
