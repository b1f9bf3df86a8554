"""BEGIN, INSERTs inside, COMMIT, ROLLBACK, as each version has them (fact G)."""

from dataclasses import dataclass, field

from .engine import ABORTED, PREPARE, now_ms
from .errors import DorisError, LinkCut
from .insert import abort_quietly, after_commit, before_commit, info, materialize
from .results import Ok


@dataclass
class Explicit:
    label: str
    timeout_s: int                                # from BEGIN, for all of it
    has_label: bool = False                       # of the client's own: the knobs apply
    begun_ms: int = field(default_factory=now_ms)
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
    timeout_s = max(ex.vars.int("insert_timeout"), ex.vars.int("query_timeout"))
    auto = ex.auto_label().replace("insert_", "txn_insert_").replace("label_", "txn_insert_")
    ex.explicit = Explicit(auto if label is None else label, timeout_s, label is not None)
    return Ok(0, 0, info(ex.explicit.label, PREPARE, ""))


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
    left_ms = state.begun_ms + state.timeout_s * 1000 - now_ms()
    ex.arm(max(left_ms, 1) / 1000, "Execute timeout", 5024)
    if state.txn is None:
        state.txn = ex.engine.begin(table.db, state.label, table.name, max(left_ms, 0))
    elif not by_values:
        ex.engine.take_txn_id()
    state.by_values = by_values
    _faults_of_insert(ex, state)
    return _collect(ex, planned, state)


def _faults_of_insert(ex, state):
    ex.sleep_knob("slow_ms")
    if not state.has_label:
        return
    hit = ex.knobs.take_failure()
    if hit:
        raise DorisError(hit["fail_insert"])
    if ex.knobs.take_one("cut_in_txn"):
        ex.cut_link()
        raise LinkCut()


def _collect(ex, planned, state):
    """A statement that fails leaves what the others loaded; the transaction goes on without it (G)."""
    before, state.txn.loaded = state.txn.loaded, 0
    try:
        temp = materialize(ex, planned, state.txn)
    except BaseException:
        state.txn.loaded = before
        raise
    ex.temps.remove(temp)
    state.parts.append((planned.table, temp))
    count, state.txn.loaded = state.txn.loaded, state.txn.loaded + before
    return Ok(count, state.txn.filtered, info(state.label, PREPARE, state.txn.id))


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
    hit = ex.knobs.take_counts() if state.has_label else {}
    if hit.get("cut_running"):
        ex.cut_link()
    if state.has_label and ex.knobs.take_one("txn_not_found"):
        _vanish(ex, state.txn)
    try:
        if hit.get("aborted_in_ok"):
            ex.engine.abort(state.txn, "aborted while completing")
            return Ok(0, 0, info(state.label, ABORTED, state.txn.id, "aborted while completing"))
        before_commit(ex, state.txn, hit, state.parts)
        ex.engine.commit(state.txn, ex.cur, state.parts)
    except LinkCut:
        raise
    except BaseException as e:
        abort_quietly(ex.engine, state.txn, e)
        raise
    ex.last_insert = state.txn
    after_commit(ex, hit)
    return _published(ex, state, hit)


def _vanish(ex, txn):
    """The transaction is one that the FE does not know any more."""
    ex.engine.abort(txn, "vanished")
    ex.engine.clean_label(txn.db, txn.label)
    raise DorisError("transaction [%d] not found" % txn.id)


def _published(ex, state, hit):
    wait_s = max(ex.vars.int("insert_visible_timeout_ms"), 1000) / 1000
    seen = ex.engine.wait_visible(state.txn, wait_s)
    if not seen and (state.by_values or hit.get("visible_timeout_as_error")):
        raise DorisError("transaction commit successfully, BUT data will be visible later.")
    return Ok(state.txn.loaded, 0, info(state.label, state.txn.status, state.txn.id))


def rollback(ex, c):
    c.rest()
    if ex.explicit is None:
        return Ok()
    state = _finish(ex)
    if state.txn is not None:
        ex.engine.abort(state.txn, "user rollback")
    return Ok(0, 0, info(state.label, ABORTED, state.txn.id if state.txn else ""))


def closed(ex):
    """The link ended inside a transaction: rolled back."""
    if ex.explicit is not None:
        state = _finish(ex)
        if state.txn is not None and state.txn.status == PREPARE:
            ex.engine.abort(state.txn, "connection is closed")
