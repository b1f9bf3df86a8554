"""guarantee=transactional: the sink against the stand-in FE, and against a scripted one."""

import base64

import pymysql
import pytest

import procs
from fake_fe import err, ok, result_set
from rig import create_job_sql
from sink_tool import CODE, REACHED_MS, Address, cut, end_tools, fe, http, run, start  # noqa: F401

TABLE = ("CREATE TABLE d.t (k INT, v VARCHAR(20)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 "
         "PROPERTIES('replication_num' = '1')")
TXN = {"prop": "guarantee:transactional"}
SQL = "INSERT INTO `d`.`t` SELECT * FROM S3('uri' = 's3://b/f')"
LOADER = {"user": "loader", "password": "pw"}
ZLIB_CRC_OF_R1 = 219023793


class FE:
    """A stand-in with a target d.t, seen by way of sink_tool; task n of job 7 has the range "r<n>"."""

    def __init__(self, process):
        self.process = process
        self.port, self.http = process.port, Address(process.http_port)

    def load(self, label, rows=2, task=1, value="'x'", **options):
        sql = "INSERT INTO d.t SELECT number, %s FROM numbers('number' = '%d')" % (value, rows)
        return run(self, "load", label, sql, row="7:%d:r%d" % (task, task), **{**TXN, **options})

    def check(self, **options):
        return run(self, "check", **{**TXN, **options})

    def label(self, label, task=1, what=None, **options):
        row = "7:%d:%s" % (task, what or "r%d" % task)
        return run(self, "label", "d", label, row=row, **options)

    def rows(self, sql):
        return self.process.rows(sql)

    def counts(self):
        """Rows of the target, and of the offset table."""
        return (self.rows("SELECT COUNT(*) AS n FROM d.t")[0]["n"],
                self.rows("SELECT COUNT(*) AS n FROM d.sluice_offsets")[0]["n"])


@pytest.fixture
def make(standin):
    def make(profile="4.1", users=None, is_checked=True, **knobs):
        process = standin(profile, users, knobs)
        process.rows("CREATE DATABASE d")
        process.rows(TABLE)
        made = FE(process)
        if is_checked:
            got = made.check()
            assert got["result"] is True, got
        return made
    yield make
    end_tools()


# --- the stand-in: a load and what is found of it -------------------------------------------------

@pytest.mark.quick
@pytest.mark.parametrize("profile", ["3.0", "4.0", "4.1"])
def test_rows_and_offset_are_one_transaction(make, profile):
    made = make(profile)
    assert made.counts() == (0, 0)  # the try of check() has left nothing
    got = made.load("l1", rows=3)
    assert (got["result"], got["scanned_rows"], got["filtered_rows"]) == ("VISIBLE", 3, 0), got
    row, = made.rows("SELECT * FROM d.sluice_offsets")
    assert (row["job_id"], row["task_id"], row["range_crc"]) == (7, 1, ZLIB_CRC_OF_R1), row
    assert row["offset"] == '{"fileName":"a\'b"}' and row["committed_at"] is not None
    assert made.label("l1")["result"] == "VISIBLE"
    assert made.label("l1")["txn_id"] == got["txn_id"]
    other = made.label("l1", what="another range")  # of a store that was restored
    assert other["result"] == "UNREACHABLE" and "from an older copy" in other["error"], other
    again = made.load("l1", rows=3)
    assert again["result"] == "LABEL_USED" and made.counts() == (3, 1), again
    assert made.load("l2", rows=1, task=2)["result"] == "VISIBLE" and made.counts() == (4, 2)


def test_an_empty_range_has_its_row_too(make):
    made = make()
    sql = "INSERT INTO d.t SELECT number, 'x' FROM numbers('number' = '5') WHERE FALSE"
    got = run(made, "load", "l1", sql, **TXN)
    assert got["result"] == "VISIBLE" and got["scanned_rows"] == 0, got
    assert made.counts() == (0, 1)


def test_the_row_outlives_the_label(make):
    """Doris forgets labels at once: the row tells, whatever was asked and in whatever order."""
    made = make(label_num=0, label_clean_ms=20)
    assert made.load("l2", task=2)["result"] == "VISIBLE"
    procs.wait_until(lambda: made.process.state()["transactions"].get("VISIBLE", 0) == 0, 30,
                     "the label to be forgotten")
    got = made.label("l2", task=2)
    assert got["result"] == "VISIBLE" and "has the row of task 2 of job 7" in got["evidence"], got
    got = made.label("l3", task=3)
    assert got["result"] == "ABSENT" and "has no row of task 3" in got["evidence"], got
    assert "does not exist" in got["evidence"] or "UNKNOWN" in got["evidence"], got
    got = made.label("l2", task=2, what="another range")
    assert got["result"] == "UNREACHABLE" and "changed by hand" in got["error"], got
    got = made.label("l1", task=1)
    assert got["result"] == "UNREACHABLE" and "restored from an older copy" in got["error"], got
    assert "rows of later ones up to 2" in got["error"]
    # A zombie wakes up: its task, and one before it, are refused although no label is left.
    for task in (2, 1):
        got = made.load("l%d" % task, task=task)
        assert got["result"] == "LABEL_USED" and "a later one" in got["error"], got
        assert "CREATE it anew" in got["error"]
    # The label is the zombie's by now, and aborted, which says nothing of the load before it.
    made.process.knobs(label_num=1000)
    assert made.load("l2", task=2)["result"] == "LABEL_USED"
    assert made.rows("SHOW TRANSACTION FROM d WHERE LABEL = 'l2'")[0]["TransactionStatus"] == "ABORTED"
    got = made.label("l2", task=2)
    assert got["result"] == "VISIBLE" and got["txn_id"] is None and got["reason"] is None, got
    assert made.counts() == (2, 1)


def test_old_rows_are_pruned(make):
    made = make()
    for task in (1, 999, 1000, 1001, 1999):
        made.rows("INSERT INTO d.sluice_offsets VALUES (7, %d, 0, NULL, NULL), (8, %d, 0, NULL, NULL)"
                  % (task, task))
    assert made.load("l1", task=2000)["result"] == "VISIBLE"
    left = made.rows("SELECT job_id, task_id FROM d.sluice_offsets WHERE job_id = 7 ORDER BY task_id")
    assert [row["task_id"] for row in left] == [1000, 1001, 1999, 2000]
    assert made.counts()[1] == 4 + 5


# --- the stand-in: what goes wrong ----------------------------------------------------------------

@pytest.mark.quick
def test_what_is_not_committed_leaves_nothing(make):
    made = make()
    for task, (knobs, result, words) in enumerate([
            ({"fail_insert": "insert timeout", "fail_insert_count": 1}, "REFUSED", "insert timeout"),
            ({"cut_in_txn": 1}, "ROLLED_BACK", "was rolled back"),
            ({"aborted_in_ok": 1}, "REFUSED", "aborted while completing"),
            ({"txn_not_found": 1}, "REFUSED", "could not be committed")], 1):
        made.process.knobs(**knobs)
        label, before = "l%d" % task, made.counts()
        got = made.load(label, task=task)
        assert got["result"] == result and words in got["error"], got
        assert not got["is_data_error"] and got["scanned_rows"] == 0
        assert made.counts() == before
        assert made.label(label, task=task)["result"] in ("ABORTED", "ABSENT")
        assert made.load(label, task=task)["result"] == "VISIBLE"
        assert made.counts() == (before[0] + 2, before[1] + 1)


def test_another_file_before_commit(make):
    made = make()
    for verify, is_changed in (("changed", True), ("fail", False)):
        got = made.load("l1", verify=verify)
        assert (got["result"], got["is_changed"]) == ("ROLLED_BACK", is_changed), got
        assert "the tool was told so" in got["error"] and made.counts() == (0, 0)
    assert made.load("l1", verify="same")["result"] == "VISIBLE"


def test_bad_rows_are_the_data_s_fault(make):
    made = make()
    got = made.load("l1", value="'too long for a column of twenty bytes'")
    assert got["result"] == "REFUSED" and got["is_data_error"], got
    assert "strict mode" in got["error"] and got["tracking_url"], got
    assert made.counts() == (0, 0)


def test_filtered_rows_are_counted(make):
    made = make()
    sql = ("INSERT INTO d.t SELECT number, CASE WHEN number = 1 THEN 'too long for a column of "
           "twenty' ELSE 'x' END FROM numbers('number' = '3')")
    got = run(made, "load", "l1", sql,
              prop=["guarantee:transactional", "session.enable_insert_strict:false"])
    assert (got["result"], got["scanned_rows"], got["filtered_rows"]) == ("VISIBLE", 3, 1), got
    assert made.counts() == (2, 1)


def test_what_comes_of_commit(make):
    made = make()
    for task, (knobs, result, label) in enumerate([
            ({"cut_after_commit": 1}, "LOST", "VISIBLE"),
            ({"cut_before_commit": 1}, "LOST", "PREPARE"),
            ({"cut_before_commit": 1, "orphan": "ABORTED"}, "LOST", "ABORTED"),
            ({"err_after_commit": 1}, "REFUSED", "VISIBLE"),
            ({"visible_timeout_as_error": 1, "publish_delay_ms": 3600 * 1000}, "COMMITTED", "COMMITTED"),
            ({"publish_delay_ms": 3600 * 1000}, "COMMITTED", "COMMITTED")], 1):
        made.process.knobs(**knobs)
        name = "l%d" % task
        got = made.load(name, task=task, prop=["guarantee:transactional",
                                               "session.insert_visible_timeout_ms:1000"])
        assert got["result"] == result, got
        found = made.label(name, task=task)
        assert found["result"] == label and label in found["evidence"], found
        if label == "PREPARE":
            assert run(made, "fence", "d", name, http=made.http)["result"] is True
            assert made.label(name, task=task)["result"] == "ABORTED"


def test_a_table_that_was_dropped(make):
    made = make(label_num=0, label_clean_ms=20)
    made.rows("DROP TABLE d.sluice_offsets")
    got = made.load("l1")
    assert got["result"] == "REFUSED" and "CREATE TABLE IF NOT EXISTS `d`.`sluice_offsets`" in got["error"]
    assert made.rows("SELECT COUNT(*) AS n FROM d.t")[0]["n"] == 0
    got = made.label("l9", task=9)
    assert got["result"] == "UNREACHABLE" and "is gone" in got["error"], got


# --- the stand-in: before a job is accepted -------------------------------------------------------

@pytest.mark.parametrize("profile, number", [("2.0", "2.0"), ("2.1", "2.1")])
def test_an_old_fe_is_told_so(make, profile, number):
    got = make(profile, is_checked=False).check()
    assert got["result"] is False, got
    assert "needs Doris 3.0 or later" in got["error"] and "is %s" % number in got["error"], got
    assert '"label"' in got["error"]


def test_rights_that_are_missing_are_named(make):
    made = make(users={"loader": ("pw", "db:d:LOAD_PRIV")}, is_checked=False)
    got = made.check(**LOADER)
    assert got["result"] is False and "may not create: run CREATE TABLE IF NOT EXISTS" in got["error"]
    ddl = got["error"].split("may not create: run ")[1].split("; and GRANT")[0]
    assert '"replication_allocation"' in ddl or '"replication_num" = "1"' in ddl, ddl
    made.rows(ddl)
    got = made.check(**LOADER)
    assert got["result"] is False, got
    assert "may neither read nor create" in got["error"], got
    assert "GRANT SELECT_PRIV, LOAD_PRIV ON `d`.`sluice_offsets` TO 'loader'" in got["error"], got
    made.rows("GRANT SELECT_PRIV ON d.sluice_offsets TO 'loader'")
    assert made.check(**LOADER)["result"] is True
    got = made.load("l1", **LOADER)
    assert got["result"] == "VISIBLE" and made.counts() == (2, 1), got


def test_a_reader_only_may_not_write_offsets(make):
    users = {"loader": ("pw", "table:d.t:LOAD_PRIV"), "owner": ("", "global:Admin_priv")}
    made = make(users=users)
    made.rows("GRANT SELECT_PRIV ON d.sluice_offsets TO 'loader'")
    got = made.check(**LOADER)
    assert got["result"] is False and "may not write `d`.`sluice_offsets`" in got["error"], got
    assert made.counts() == (0, 0)


def test_a_row_that_is_not_written_is_noticed(fe):
    """Before the first load, by check(), and not only in it."""
    fe.on("^SELECT COUNT", counts(0, None, None))
    fe.on("^SELECT @@version_comment", result_set(["v"], [["Doris version doris-3.0.4-rc1"]]))
    got = run(fe, "check", **TXN)
    assert got["result"] is False and "did not write it" in got["error"], got
    assert said(fe) == ["BEGIN", "INSERT", "ROLLBACK"]


# --- a scripted FE --------------------------------------------------------------------------------

def info(status="PREPARE", label="l1", txn="12"):
    return "{'label':'%s', 'status':'%s', 'txnId':'%s'}" % (label, status, txn)


@pytest.fixture
def txn(fe):
    """An FE on which all goes well; what a test says before `good` counts first."""
    def good():
        return (fe.on("^BEGIN", ok(info=info(txn="")))
                .on("^INSERT INTO `d`.`t`", ok(5, info=info(txn="12")))
                .on("^INSERT INTO `d`.`sluice_offsets`", ok(1, info=info(txn="13")))
                .on("^COMMIT", ok(info=info("VISIBLE")))
                .on("^ROLLBACK", ok(info=info("ABORTED"))))
    fe.good = good
    return fe


def load(fe, **options):
    return run(fe, "load", "l1", SQL, **{**TXN, **options})


def said(fe):
    """The transaction's statements, by their first word."""
    return [sql.split()[0] for sql in fe.statements("^(BEGIN|INSERT|COMMIT|ROLLBACK|KILL)")]


@pytest.mark.quick
def test_the_statements_of_a_transaction(txn):
    got = load(txn.good(), verify="same")
    assert (got["result"], got["txn_id"], got["scanned_rows"]) == ("VISIBLE", "12", 5), got
    begin, data, row, commit = txn.statements("^(BEGIN|INSERT|COMMIT|ROLLBACK)")
    assert (begin, data, commit) == ("BEGIN WITH LABEL `l1`", SQL, "COMMIT")
    assert "VALUES" not in row and " (SELECT COUNT(*)" in row and "`task_id` >= 1" in row
    sets = [i for i, (_, sql) in enumerate(txn.seen) if sql.startswith("SET ")]
    assert sets and max(sets) < [sql for _, sql in txn.seen].index(begin)


@pytest.mark.parametrize("pattern, answer, result, words, after", [
    ("^BEGIN", ok(), "NOT_SENT", "no outcome", ["BEGIN", "ROLLBACK"]),
    ("^BEGIN", ok(info=info(label="l2")), "NOT_SENT", "another label", ["BEGIN", "ROLLBACK"]),
    ("^BEGIN", err("no"), "REFUSED", "BEGIN failed: no", ["BEGIN", "ROLLBACK"]),
    ("^BEGIN", cut, "NOT_SENT", "BEGIN failed", ["BEGIN"]),
    ("`t`", err("insert timeout"), "REFUSED", "insert timeout", ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", err("Label [l1] has already been used, relate to txn [9]"), "LABEL_USED", "already",
     ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", err(CODE + "Transaction load is not supported for merge on write unique keys table in "
                "cloud mode"), "REFUSED", 'set "guarantee" = "label"', ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", ok(5), "ROLLED_BACK", "no outcome", ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", ok(5, info=info(label="l2")), "ROLLED_BACK", "another label",
     ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", ok(5, info=info("FINISHED")), "ROLLED_BACK", "not known", ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", ok(5, info=info("ABORTED")), "REFUSED", "aborted", ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", ok(5, info=info("VISIBLE")), "COMMITTED", "outside", ["BEGIN", "INSERT", "ROLLBACK"]),
    ("`t`", cut, "ROLLED_BACK", "lost", ["BEGIN", "INSERT"]),
    ("offsets", ok(0, info=info()), "LABEL_USED", "later one", ["BEGIN", "INSERT", "INSERT", "ROLLBACK"]),
    ("offsets", err("no table"), "REFUSED", "could not be written", ["BEGIN", "INSERT", "INSERT", "ROLLBACK"]),
    ("offsets", ok(1, info=info(label="l2")), "ROLLED_BACK", "another label",
     ["BEGIN", "INSERT", "INSERT", "ROLLBACK"]),
    ("offsets", cut, "ROLLED_BACK", "lost", ["BEGIN", "INSERT", "INSERT"]),
    ("^COMMIT", ok(info=info("COMMITTED")), "COMMITTED", "", ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", err(CODE + "transaction commit successfully, BUT data will be visible later."),
     "COMMITTED", "", ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", ok(info=info("ABORTED")), "REFUSED", "aborted", ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", err("commit failed, rollback."), "REFUSED", "could not be committed",
     ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", ok(), "LOST", "no outcome", ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", ok(info=info(label="l2")), "LOST", "another label",
     ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", ok(info=info("PREPARE")), "LOST", "no COMMIT has",
     ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
    ("^COMMIT", cut, "LOST", "outcome is not known", ["BEGIN", "INSERT", "INSERT", "COMMIT"]),
])
def test_every_answer(txn, pattern, answer, result, words, after):
    txn.on(pattern, answer)
    got = load(txn.good())
    assert got["result"] == result and words in got["error"], got
    assert bool(got["error"]) == bool(words) and said(txn) == after, (got, said(txn))
    if result not in ("COMMITTED", "LOST"):
        assert got["scanned_rows"] == 0


@pytest.mark.parametrize("answer", [cut, err("transaction [12] is already aborted")])
def test_a_rollback_that_is_not_confirmed(txn, answer):
    """The end of the connection does the same, so it is closed, and the refusal proves no more."""
    txn.on("^ROLLBACK", answer)
    text = CODE + "Insert has filtered data in strict mode. url: http://be/e"
    got = load(txn.on("`t`", err(text)).good(), repeat=1)
    assert got["result"] == "ROLLED_BACK" and not got["is_data_error"], got
    assert text in got["error"] and "was rolled back" in got["error"]


def test_a_connection_is_used_again_after_rollback_and_commit(txn):
    answers = [err("insert timeout"), ok(5, info=info())]
    txn.on("`t`", lambda link, sql: link.send(answers.pop(0) if answers else ok(5, info=info())))
    got = start(txn.good(), "load", "l1", SQL, repeat=3, **TXN).results()
    assert [r["result"] for r in got] == ["REFUSED", "VISIBLE", "VISIBLE"], got
    assert len([s for _, s in txn.seen if s == "CONNECT"]) == 1
    assert said(txn).count("BEGIN") == 3


def silent(link, sql):
    """No answer; the next statement is still read."""


def test_time_is_up_in_the_insert(txn):
    """KILL QUERY, the statement's own answer, ROLLBACK: and the connection is as it was."""
    held = []
    txn.on("^KILL", lambda link, sql: (link.send(ok()), held[0].send(err("cancel query by user"))))
    txn.on("`t`", lambda link, sql: held.append(link))
    got = load(txn.good(), deadline_ms=REACHED_MS)
    assert got["result"] == "ROLLED_BACK" and "no answer in time" in got["error"], got
    assert said(txn) == ["BEGIN", "INSERT", "KILL", "ROLLBACK"]


def test_canceled_in_the_insert(txn):
    txn.on("^KILL", lambda link, sql: (link.send(ok()), txn.held.send(ok(5, info=info()))))
    txn.on("`t`", lambda link, sql: setattr(txn, "held", link))
    tool = start(txn.good(), "load", "l1", SQL, cancel="eof", **TXN)
    txn.wait_for("^INSERT INTO `d`.`t`")
    tool.cancel()
    got = tool.result()
    assert got["result"] == "ROLLED_BACK" and "canceled" in got["error"], got
    assert said(txn) == ["BEGIN", "INSERT", "KILL", "ROLLBACK"]


def test_canceled_at_commit(txn):
    """What was sent may happen: nothing is killed, and its answer gets a last chance."""
    txn.on("^COMMIT", lambda link, sql: setattr(txn, "held", link))
    tool = start(txn.good(), "load", "l1", SQL, cancel="eof", **TXN)
    txn.wait_for("^COMMIT")
    tool.cancel()
    txn.held.send(ok(info=info("VISIBLE")))
    assert tool.result()["result"] == "VISIBLE"
    assert said(txn) == ["BEGIN", "INSERT", "INSERT", "COMMIT"]


# --- a scripted FE: the row ------------------------------------------------------------------------

def counts(n, low, high):
    return result_set(["n", "low", "high"], [[n, low, high]])


def ask(fe, exact, later=None, **options):
    fe.on("^SHOW TRANSACTION", err(CODE + "transaction with label l1 does not exist"))
    fe.on("`task_id` = 1", exact)
    fe.on("`task_id` > 1", later or counts(0, None, None))
    return run(fe, "label", "d", "l1", row="7:1:r1", **options)


@pytest.mark.parametrize("exact, later, result, words", [
    (counts(1, ZLIB_CRC_OF_R1, ZLIB_CRC_OF_R1), None, "VISIBLE", ""),
    (counts(2, ZLIB_CRC_OF_R1, ZLIB_CRC_OF_R1), None, "VISIBLE", ""),
    (counts(0, None, None), None, "ABSENT", ""),
    (counts(1, 5, 5), None, "UNREACHABLE", "CRC 5 instead of %d" % ZLIB_CRC_OF_R1),
    (counts(2, 5, ZLIB_CRC_OF_R1), None, "UNREACHABLE", "changed by hand"),
    (counts(0, None, None), counts(3, 2, 4), "UNREACHABLE", "later ones up to 4"),
    (result_set(["n", "low", "high"], []), None, "UNREACHABLE", "one row of counts"),
    (result_set(["ReturnedRows"], [[1]]), None, "UNREACHABLE", "dry_run_query"),
    (counts(None, None, None), None, "UNREACHABLE", "one row of counts"),
    (counts(1, None, None), None, "UNREACHABLE", "one row of counts"),
    (counts(-1, 1, 1), None, "UNREACHABLE", "one row of counts"),
    (err("SELECT command denied to user", 1142, "42000"), None, "UNREACHABLE", "GRANT SELECT_PRIV"),
    (err(CODE + "Unknown table 'sluice_offsets'"), None, "UNREACHABLE", "is gone"),
    (err(CODE + "Node catalog is not ready"), None, "UNREACHABLE", "could not be read"),
    (cut, None, "UNREACHABLE", "could not be read"),
])
def test_what_the_row_tells(fe, exact, later, result, words):
    got = ask(fe, exact, later)
    assert got["result"] == result and words in got["error"], got
    assert bool(got["error"]) == bool(words), got
    strong, = fe.statements("enable_strong_consistency_read")
    read, = fe.statements("`task_id` = 1")
    order = [sql for _, sql in fe.seen]
    assert order.index(strong) < order.index(read), "read before the FE had to catch up"
    assert order.index(fe.statements("^SHOW TRANSACTION")[0]) < order.index(strong)


@pytest.mark.parametrize("state, expected", [("PREPARE", "PREPARE"), ("COMMITTED", "COMMITTED"),
                                             ("ABORTED", "ABORTED"), ("VISIBLE", "VISIBLE")])
def test_a_known_label_is_enough(fe, state, expected):
    columns = ["TransactionId", "Label", "TransactionStatus", "Reason", "ErrMsg"]
    fe.on("^SHOW TRANSACTION", result_set(columns, [[12, "l1", state, "", ""]]))
    got = run(fe, "label", "d", "l1", row="7:1:r1")
    assert got["result"] == expected, got
    # Of one that has ended the row is looked for; it does not answer here.
    assert bool(fe.statements("sluice_offsets")) == (state in ("VISIBLE", "ABORTED"))
    assert "label l1 of database d is %s, transaction 12" % state in got["evidence"]


@pytest.mark.parametrize("exact, result, words", [
    (counts(1, ZLIB_CRC_OF_R1, ZLIB_CRC_OF_R1), "VISIBLE", ""),
    (counts(0, None, None), "UNREACHABLE", "may not ask for transactions"),
    (err("no"), "UNREACHABLE", "and the offset table"),
])
def test_a_label_nobody_may_ask_for(fe, exact, result, words):
    """The row proves that it is loaded; its absence proves nothing while the label may be under way."""
    fe.on("^SHOW TRANSACTION", err("Access denied; you need LOAD", 1044, "42000"))
    got = ask(fe, exact)
    assert got["result"] == result and words in got["error"], got
    assert "row of task 1" in (got["evidence"] or "") or exact[:1] == b"\xff", got


def test_an_fe_that_cannot_read_strongly_is_not_believed(fe):
    fe.on("enable_strong", err("Unknown system variable 'enable_strong_consistency_read'", 1193))
    got = ask(fe, counts(0, None, None))
    assert got["result"] == "UNREACHABLE" and "could not be read" in got["error"], got


def test_variables_that_a_version_has_not_are_left_out(fe):
    fe.on("^SET skip_", err("Unknown system variable 'skip_bad_tablet'", 1193))
    assert ask(fe, counts(0, None, None))["result"] == "ABSENT"


# --- whole jobs -----------------------------------------------------------------------------------

JOB = {"max_interval": "1", "s3.max_batch_files": "2", "guarantee": "transactional"}
# Doris forgets every load at once: a job that asks labels could only stop.
NO_MEMORY = {"label_num": 0, "label_clean_ms": 20}


def offsets(made):
    return made.fe.rows("SELECT task_id, `offset` FROM demo.sluice_offsets ORDER BY task_id")


def statements(made, word):
    """What the stand-in has been sent since it was started, and begins with `word`."""
    texts = [base64.b64decode(entry["base64"])[:80].decode() for entry in made.fe.log()
             if entry["command"] == "COM_QUERY"]
    return [text for text in texts if text.startswith(word)]


def check_once(made):
    """Every row once, and a row of the offset table for every task that succeeded, in order."""
    made.check_exactly_once()
    procs.wait_until(lambda: made.offset().get("fileName") == made.bucket.keys[-1], 30,
                     "the last offset")
    good = [task for task in made.tasks() if task["Status"] == "SUCCESS"]
    found = offsets(made)
    assert [row["task_id"] for row in found] == [int(task["TaskId"]) for task in good]
    assert made.bucket.keys[-1] in found[-1]["offset"]
    made.check_task_ids()
    assert made.job()["Status"] == "RUNNING"


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("profile", ["3.0", "4.1"])
def test_a_job_from_end_to_end(rig, profile):
    made = rig(profile, knobs=NO_MEMORY)
    made.create_job(properties=JOB)
    for i in range(5):
        made.bucket.put_rows("in/%d.csv" % i, 10)
    check_once(made)
    begun = statements(made, "BEGIN WITH LABEL")
    assert len(begun) == len(set(begun)) >= 3


@pytest.mark.sanitize
@pytest.mark.parametrize("knobs", [{"slow_ms": 700}, {"commit_ms": 700}])
def test_killed_in_the_insert_and_at_commit(rig, knobs):
    """Nothing of the load is left, or all of it, and no label tells which."""
    made = rig(knobs={**NO_MEMORY, **knobs})
    made.create_job(properties=JOB)
    for i in range(2):
        word = "COMMIT" if "commit_ms" in knobs else "INSERT INTO"
        before = len(statements(made, word))
        made.bucket.put_rows("in/%d.csv" % i, 10)
        procs.wait_until(lambda: len(statements(made, word)) > before, 30, "the next " + word)
        made.sluice.kill9()
        made.sluice.start()
    made.fe.knobs(**{name: 0 for name in knobs})
    check_once(made)


@pytest.mark.sanitize
@pytest.mark.parametrize("knob", ["cut_after_commit", "txn_not_found"])
def test_a_fault_at_commit_without_any_memory(rig, knob):
    made = rig(knobs=NO_MEMORY, config={"scheduler.label_window": 1})
    made.create_job(properties=JOB)
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    made.fe.knobs(**{knob: 1})
    made.bucket.put_rows("in/b.csv", 10)
    check_once(made)


def explain(made, item):
    """[(level, text)] of an item of EXPLAIN CREATE JOB for such a job; long texts are several rows."""
    insert = "INSERT INTO demo.t SELECT c1, c2, c3, c4 FROM " + made.bucket.tvf("in/*.csv")
    found, last = [], None
    for row in made.execute("EXPLAIN " + create_job_sql("x", insert, JOB)):
        last = row["Item"] or last
        if row["Item"] == item:
            found.append([row["Level"], row["Value"]])
        elif last == item:
            found[-1][1] += " " + row["Value"]
    return found


def test_explain_tells_what_it_rests_on(rig):
    made = rig()
    (level, text), = explain(made, "offset table")
    assert level == "" and "is made by CREATE JOB" in text and "DUPLICATE KEY" in text
    assert "by transaction" in explain(made, "guarantee")[0][1]
    assert not explain(made, "label memory")
    made.bucket.put_rows("in/0.csv", 10)
    (level, text), = explain(made, "first INSERT")
    assert text.startswith("BEGIN WITH LABEL `<job id>_1`; INSERT INTO demo.t SELECT") and \
        text.endswith("; the row of the offset table; COMMIT")
    assert made.fe.rows("SHOW TABLES FROM demo") == made.fe.rows("SHOW TABLES FROM demo LIKE 't'")
    made.create_job(properties=JOB)
    assert "is there" in explain(made, "offset table")[0][1]


def test_an_old_fe_refuses_the_job(rig):
    made = rig("2.1")
    assert explain(made, "guarantee")[0][0] == "ERROR"
    with pytest.raises(pymysql.err.MySQLError, match="needs Doris 3.0 or later.* is 2.1"):
        made.create_job(properties=JOB)
    assert made.job() is None
    made.create_job(properties={**JOB, "guarantee": "label"})
