"""The INSERT sink's label(), fence(), traits() and check(), against a scripted FE."""

import contextlib
import json
import threading
import time

import pytest

import procs
from fake_fe import DEADLINE_S, FakeHTTP, err, ok, result_set
from sink_tool import CODE, REACHED_MS, SQL, Address, Running, cut, fe, http, load, run, start  # noqa: F401

TRANSACTION = ("TransactionId Label Coordinator TransactionStatus LoadJobSourceType PrepareTime "
               "PreCommitTime CommitTime PublishTime FinishTime Reason ErrorReplicasCount "
               "ListenerId TimeoutMs ErrMsg").split()
UNKNOWN = err(CODE + "transaction with label l1 does not exist")
NOT_READY = '{"msg":"not ready","code":1,"data":null,"count":0}'


def state(text, code=0):
    return json.dumps({"msg": "success" if code == 0 else "error", "code": code, "data": text,
                       "count": 0})


def row(status, label="l1", number="12", **cells):
    cells = {"TransactionId": number, "Label": label, "TransactionStatus": status, **cells}
    return [cells.get(c, "") for c in TRANSACTION]


@pytest.mark.quick
@pytest.mark.parametrize("status", ["PREPARE", "PRECOMMITTED", "COMMITTED", "VISIBLE", "ABORTED"])
def test_label_state(fe, http, status):
    fe.on("^SHOW", result_set(TRANSACTION, [row(status, Reason="why not")]))
    got = run(fe, "label", "my`db", "l1", http=http)
    assert (got["result"], got["txn_id"], got["reason"]) == (status, "12", "why not")
    assert fe.statements("SHOW") == ["SHOW TRANSACTION FROM `my``db` WHERE LABEL = 'l1'"]
    assert got["error"] == "" and http.seen == []


def test_label_columns_are_read_by_name(fe):
    columns = list(reversed(TRANSACTION)) + ["New"]
    fe.on("^SHOW", result_set(columns, [list(reversed(row("ABORTED", ErrMsg="bad"))) + ["x"]]))
    got = run(fe, "label", "d", "l1")
    assert (got["result"], got["txn_id"], got["reason"]) == ("ABORTED", "12", "bad")


def test_label_newest_transaction_counts(fe):
    rows = [row("ABORTED", number="9"), row("VISIBLE", number="11"), row("ABORTED", number="10"),
            row("PREPARE", label="l11", number="99")]
    fe.on("^SHOW", result_set(TRANSACTION, rows))
    got = run(fe, "label", "d", "l1")
    assert (got["result"], got["txn_id"]) == ("VISIBLE", "11")


@pytest.mark.parametrize("answer, error", [
    (result_set(TRANSACTION, []), "without a row"),
    (result_set(TRANSACTION, [row("VISIBLE", label="l2")]), "without a row"),
    (result_set(TRANSACTION, [row("UNKNOWN")]), "without a row"),
    (result_set(TRANSACTION, [row("VISIBLE", number="x")]), "without a row"),
    (result_set(TRANSACTION, [[None] * 15]), "without a row"),
    (result_set(["a"], [["1"]]), "without a row"),
    (ok(), "without a row"),
    (err(CODE + "Node catalog is not ready, please wait for a while."), "not ready"),
    (err(CODE + "Unknown database 'd'", 1049, "42000"), "Unknown database"),
    (err(CODE + "transaction with label l11 does not exist"), "l11 does not exist"),
    (err("Access denied for user 'root' to database 'd'", 1044, "42000"),
     "GRANT LOAD_PRIV ON `d`.* TO 'root'"),
    (result_set(TRANSACTION, [row("VISIBLE")])[:-2] + [err("backend is gone")], "backend is gone"),
    (cut, "is lost"),
])
def test_label_is_never_guessed(fe, answer, error):
    got = run(fe.on("^SHOW", answer), "label", "d", "l1")
    assert got["result"] == "UNREACHABLE" and error in got["error"], got
    assert got["txn_id"] is None and got["reason"] is None


def test_label_unknown(fe, http):
    fe.on("^SHOW", UNKNOWN)
    assert run(fe, "label", "d", "l1")["result"] == "UNKNOWN"
    got = run(fe, "label", "d", "l1", http=http)
    assert got["result"] == "UNKNOWN" and got["error"] == ""
    assert http.lines() == ["GET /api/bootstrap"]


@pytest.mark.parametrize("reply", [(NOT_READY, 200), ('{"code":503,"msg":"Server is not ready"}', 503),
                                   ("", 200), ("<html>", 500), ("[]", 200), ('{"code":"0"}', 200)])
def test_label_unknown_of_an_fe_that_is_not_ready(fe, reply):
    with contextlib.closing(FakeHTTP()) as http:
        http.on("bootstrap", reply[0], status=reply[1])
        got = run(fe.on("^SHOW", UNKNOWN), "label", "d", "l1", http=http)
    assert got["result"] == "UNREACHABLE" and "cannot be believed yet" in got["error"], got


@pytest.mark.parametrize("body, result", [
    (state("VISIBLE"), "VISIBLE"), (state("COMMITTED"), "COMMITTED"), (state("PREPARE"), "PREPARE"),
    (state("PRECOMMITTED"), "PRECOMMITTED"), (state("ABORTED"), "ABORTED"),
    (state("UNKNOWN"), "UNKNOWN"),
    (state("transaction with label l:1 does not exist", 1), "UNKNOWN"),  # cloud
    (state("some other text", 1), "UNREACHABLE"), (state("NEW"), "UNREACHABLE"),
    (state("VISIBLE", 1), "UNREACHABLE"), (state(None), "UNREACHABLE"),
    (state("Access denied for root@127.0.0.1", 401), "UNREACHABLE"),
])
def test_label_over_http(fe, http, body, result):
    fe.on("^SHOW", err("Access denied for user 'u' to database 'd b'", 1044, "42000"))
    http.on("get_load_state", body)
    got = run(fe, "label", "d b", "l:1", http=http, user="u", password="p:w")
    assert got["result"] == result, got
    assert bool(got["error"]) == (result == "UNREACHABLE")
    line, headers = http.seen[-1]
    assert line == "GET /api/d%20b/get_load_state?label=l%3A1"
    assert headers["Authorization"] == "Basic dTpwOnc="
    if result == "UNREACHABLE":
        assert "GRANT LOAD_PRIV" in got["error"] and "over HTTP" in got["error"]


def test_label_over_http_without_any_mysql_port(http):
    http.on("get_load_state", state("VISIBLE"))
    assert run(procs.free_port(), "label", "d", "l1", http=http)["result"] == "VISIBLE"


def test_label_follows_the_master_without_showing_the_password(fe, http):
    fe.on("^SHOW", err("no", 1105))
    with contextlib.closing(FakeHTTP()) as master:
        to = "http://root:geheim@127.0.0.1:%d/elsewhere" % master.port
        http.on("get_load_state", "", status=307, Location=to)
        master.on("^GET /api/d/get_load_state.label=l1$", state("VISIBLE"))
        got = run(fe, "label", "d", "l1", http=http, password="own")
        assert got["result"] == "VISIBLE"
        assert master.seen[0][1]["Authorization"] == "Basic cm9vdDpvd24="
        master.replies[0] = (".", 307, {"Location": to}, "")
        got = run(fe, "label", "d", "l1", http=http, password="own")
        assert got["result"] == "UNREACHABLE" and len(master.seen) == 2  # once is enough
        assert "geheim" not in got["error"] and "own" not in got["error"].split()


@pytest.mark.parametrize("location", ["https://h/x", "ftp://u:geheim@h/", "http://u:geheim@h o/x", ""])
def test_label_follows_no_nonsense(fe, http, location):
    fe.on("^SHOW", err("no", 1105))
    http.on("get_load_state", "", status=307, Location=location)
    got = run(fe, "label", "d", "l1", http=http)
    assert got["result"] == "UNREACHABLE" and "makes no sense" in got["error"]
    assert "geheim" not in got["error"]


def test_label_of_another_host_is_asked_where_readiness_is_known(fe, http):
    fe.on("^SHOW", UNKNOWN)
    http.on("get_load_state", state("VISIBLE"))
    argv = ["fe=localhost:%d" % fe.port, "http=127.0.0.1:%d" % http.port, "label", "d", "l1"]
    assert Running(argv).result()["result"] == "VISIBLE"


@pytest.mark.parametrize("body, status, result, error", [
    ('{"msg":"success","code":0,"data":null,"count":0}', 200, True, ""),
    (state("transaction not found, label=l1", 1), 200, True, ""),
    (state("running transaction not found, label=l1", 1), 200, True, ""),
    (state("transaction [12] is already COMMITTED, could not abort.", 1), 200, True, ""),
    ('{"msg":"transaction not found, label=l1","code":1,"data":"","count":0}', 200, True, ""),
    (state("Node catalog is not ready", 1), 200, False, "not ready"),
    (state("Access denied; you need (at least one of) the (LOAD) privilege(s) for this operation", 1),
     200, False, "GRANT LOAD_PRIV ON `d`.* TO 'root'"),
    (state("Unauthorized", 401), 200, False, "doris.password"),
    ("", 401, False, "doris.password"),
    ("<html>", 502, False, "not that of an FE"),
])
def test_fence(fe, http, body, status, result, error):
    http.on("_cancel", body, status=status)
    got = run(fe, "fence", "d", "l1", http=http)
    assert got["result"] is result and error in got["error"], got
    assert bool(got["error"]) != result
    assert http.lines() == ["POST /api/d/_cancel?label=l1"] and fe.seen == []


def test_fence_needs_http(fe):
    got = run(fe, "fence", "d", "l1")
    assert got["result"] is False and "doris.http" in got["error"]
    got = run(fe, "fence", "d", "l1", http=Address(procs.free_port()))
    assert got["result"] is False and got["error"]


@pytest.mark.parametrize("comment, version", [
    ("Doris version doris-2.0.15-rc05-1ab9e1f0a1", 2000), ("ours 4.1.0", 4001), ("trunk", 0),
])
def test_traits_are_asked_once(fe, comment, version):
    fe.on("version_comment", result_set(["@@version_comment"], [[comment]]))
    got = start(fe, "traits", repeat=3).results()
    assert [g["version"] for g in got] == [version] * 3
    assert len(fe.statements("version_comment")) == len(fe.statements("FRONTEND CONFIG")) == 1


@pytest.mark.parametrize("config, keep_s, n", [
    (result_set(["Key", "Value"], [["label_num_threshold", "100"],
                                   ["streaming_label_keep_max_second", "43200"]]), 43200, 100),
    (err("Access denied; you need (at least one of) the (ADMIN) privilege(s)", 1227, "42000"), 0, 0),
    (ok(), 0, 0),
    (cut, 0, 0),
    (lambda link, sql: None, 0, 0),
])
def test_traits_tell_how_long_labels_are_known(fe, config, keep_s, n):
    """Where the FE lets one read it; and a version is enough for a plan."""
    fe.on("version_comment", result_set(["c"], [["Doris version doris-3.0.4-rc02"]]))
    got = run(fe.on("FRONTEND CONFIG", config), "traits", deadline_ms=REACHED_MS)
    assert (got["result"], got["version"], got["error"]) == (True, 3000, ""), got
    assert (got["label_keep_s"], got["label_num"]) == (keep_s, n)


@pytest.mark.parametrize("pattern, answer, error", [
    ("DESC", err(CODE + "Unknown table 't'", 1051, "42S02"), "table `d`.`t` does not exist: CREATE TABLE it first; the FE"),
    ("DESC", err("DESCRIBE command denied to user 'u'", 1142, "42000"),
     "GRANT LOAD_PRIV ON `d`.`t` TO 'root'"),
    ("DESC", err(CODE + "Node catalog is not ready"), "could not be looked up: "),
    ("EXPLAIN", err(CODE + "Unknown column 'x' in 'table list'"),
     "cannot plan the job's INSERT (EXPLAIN): " + CODE + "Unknown column 'x' in 'table list'"),
    ("EXPLAIN", cut, "could not be tried"),
    ("version_comment", cut, "is lost"),
])
def test_check_says_what_is_wrong(fe, pattern, answer, error):
    got = run(fe.on(pattern, answer), "check", "INSERT INTO t SELECT x")
    assert got["result"] is False and error in got["error"], got
    assert fe.statements("^INSERT") == []


def test_check_is_content(fe):
    fe.on("DESC", result_set(["Field", "Type"], [["k", "int"]]))
    fe.on("EXPLAIN", result_set(["Explain String"], [["PLAN FRAGMENT 0"]] * 300))
    fe.on("version_comment", result_set(["c"], [["Doris version doris-3.0.4-rc02"]]))
    assert run(fe, "check", "INSERT INTO t SELECT 1", db="d")["version"] == 3000
    assert fe.statements("^(USE|DESC|EXPLAIN)") == ["USE `d`", "DESC `d`.`t`",
                                                    "EXPLAIN INSERT INTO t SELECT 1"]
    assert run(fe, "check")["result"] is True
    assert len(fe.statements("^EXPLAIN")) == 1


def test_secrets_of_the_job_are_not_quoted(fe):
    text = CODE + "syntax error near 's3.secret_key'='AbCd/eFgH', 'x'='AKIA1', " + "x" * 1950
    props = ["s3.secret_key:AbCd/eFgH", "s3.access_key:AKIA1", "uri:s3://b"]
    fe.on("EXPLAIN", err(text)).on("^INSERT", err(text[:1000] + "." * 1036 + "AbCd/eFgH"))
    for got in (run(fe, "check", SQL, tvf=props), load(fe, tvf=props)):
        assert got["error"]
        assert "AbCd" not in got["error"] and "AKIA1" not in got["error"], got
        assert "*XXX" in got["error"] and "syntax error near" in got["error"]


def test_nothing_waits_longer_than_its_deadline(fe, http):
    release = threading.Event()
    fe.on("SHOW|DESC|version", lambda link, sql: release.wait(DEADLINE_S))
    before = time.monotonic()
    assert run(fe, "label", "d", "l1", deadline_ms=300)["result"] == "UNREACHABLE"
    assert run(fe, "check", deadline_ms=300)["result"] is False
    assert run(fe, "traits", deadline_ms=300)["result"] is False
    assert time.monotonic() - before < procs.patience(10)
    release.set()
