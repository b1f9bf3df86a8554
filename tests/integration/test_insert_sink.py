"""The INSERT sink (sources/insert_sink.c), driven by sink_tool, against a scripted FE."""

import contextlib
import json
import socket
import subprocess
import threading
import time

import pytest

import procs
from fake_fe import DEADLINE_S, FakeFE, FakeHTTP, err, ok, packets, result_set

CODE = "errCode = 2, detailMessage = "
SQL = "INSERT INTO `d`.`t` WITH LABEL `l1` SELECT * FROM S3('uri' = 's3://b/f')"
USED = "Label [l1] has already been used, relate to txn [12]"
TRANSACTION = ("TransactionId Label Coordinator TransactionStatus LoadJobSourceType PrepareTime "
               "PreCommitTime CommitTime PublishTime FinishTime Reason ErrorReplicasCount "
               "ListenerId TimeoutMs ErrMsg").split()
UNKNOWN = err(CODE + "transaction with label l1 does not exist")
READY = '{"msg":"success","code":0,"data":{"replayedJournalId":0},"count":0}'
NOT_READY = '{"msg":"not ready","code":1,"data":null,"count":0}'
LIVE = set()


def info(status="VISIBLE", label="l1", more=""):
    return "{'label':'%s', 'status':'%s', 'txnId':'12'%s}" % (label, status, more)


def state(text, code=0):
    return json.dumps({"msg": "success" if code == 0 else "error", "code": code, "data": text,
                       "count": 0})


class Running:
    """A sink_tool that runs: cancel() raises its flag, results() waits for its end."""

    def __init__(self, args):
        tool = procs.build_dir() / "tests" / "unit" / "sink_tool"
        self.popen = subprocess.Popen([tool, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        LIVE.add(self.popen)

    def cancel(self):
        self.popen.stdin.close()
        self.popen.stdin = None

    def results(self):
        out, errors = self.popen.communicate(timeout=procs.patience(DEADLINE_S))
        LIVE.discard(self.popen)
        assert self.popen.returncode == 0 and not errors, (self.popen.returncode, errors)
        return [json.loads(line) for line in out.splitlines()]

    def result(self):
        only, = self.results()
        return only


@pytest.fixture(autouse=True)
def no_tool_is_left():
    yield
    left = list(LIVE)
    for popen in left:
        popen.kill()
        popen.communicate()
    LIVE.clear()


@pytest.fixture
def fe():
    with contextlib.closing(FakeFE()) as fake:
        yield fake


@pytest.fixture
def http():
    with contextlib.closing(FakeHTTP()) as fake:
        yield fake.on("bootstrap", READY)


def start(fes, *args, http=None, **options):
    fes = fes if isinstance(fes, list) else [fes]
    argv = ["fe=127.0.0.1:%d" % (f if isinstance(f, int) else f.port) for f in fes]
    if http:
        argv.append("http=127.0.0.1:%d" % http.port)
    options = {"target": "d.t", **options}
    for key, value in options.items():
        argv += ["%s=%s" % (key, v) for v in (value if isinstance(value, list) else [value])]
    return Running([*argv, *args])


def run(fes, *args, **options):
    return start(fes, *args, **options).result()


def load(fes, **options):
    return run(fes, "load", "l1", SQL, **options)


# --- load: what the FE answers --------------------------------------------------------------------

@pytest.mark.parametrize("answer, result, error", [
    (ok(5, info=info()), "VISIBLE", ""),
    (ok(5, info=info("visible")), "VISIBLE", ""),
    (ok(5, info=info(more=", 'err':'it''s minor'")), "VISIBLE", ""),
    (ok(5, info=info("COMMITTED")), "COMMITTED", ""),
    (ok(5, info=info("PREPARE")), "LOST", "PREPARE"),
    (ok(5, info=info("FINISHED")), "LOST", "status that is not known"),
    (ok(5, info=info(label="l2")), "LOST", "another label"),
    (ok(5, info="Records: 5"), "LOST", "not the outcome"),
    (ok(0), "EMPTY", ""),
    (ok(5), "LOST", "without a label"),
    (ok(5, info=info(), status=8), "LOST", "second answer"),
    (err(CODE + "transaction commit successfully, BUT data will be visible later."), "COMMITTED", ""),
    (err(USED), "LABEL_USED", USED),
    (err(CODE + "begin transaction failed. " + CODE + USED + ", status [PREPARE]."), "LABEL_USED",
     "status [PREPARE]"),
    (err(CODE + USED + ", status=[TXN_STATUS_VISIBLE]"), "LABEL_USED", "TXN_STATUS_VISIBLE"),
    (err("Label [l11] has already been used"), "REFUSED", "l11"),
    (err(CODE + "insert timeout"), "REFUSED", CODE + "insert timeout"),
    (err("LOAD command denied to user 'u'", 1142, "42000"), "REFUSED", "LOAD command denied"),
    (err("", 1105), "REFUSED", "no reason"),
    (b"\xff", "LOST", "outcome is not known"),
    (b"\xff\x51\x04", "REFUSED", "no reason"),
    (b"\0\0", "LOST", "outcome is not known"),
    (b"\0\x05\0\0\0\0\0\xfd\xff\xff\xff", "LOST", "outcome is not known"),
    (result_set(["a"], [["1"]]), "LOST", "result set"),
])
def test_load_outcome(fe, answer, result, error):
    got = load(fe.on("^INSERT", answer))
    assert got["result"] == result, got
    assert error in got["error"], got
    assert bool(got["error"]) == (result in ("LOST", "REFUSED", "LABEL_USED")), got
    assert fe.statements("^INSERT") == [SQL]


@pytest.mark.quick
def test_load_counts_rows(fe):
    got = load(fe.on("^INSERT", ok(70000, warnings=3, info=info())))
    assert (got["scanned_rows"], got["filtered_rows"], got["txn_id"]) == (70003, 3, "12")
    got = load(FakeFE().on("^INSERT", ok(7, info=info("ABORTED", more=", 'err':'no disk'"))))
    assert (got["result"], got["error"]) == ("REFUSED", "no disk")
    assert (got["scanned_rows"], got["txn_id"]) == (0, "12")


def test_aborted_in_ok_may_be_an_error_of_the_data(fe):
    text = ", 'err':'Insert has filtered data in strict mode. url: http://be:8040/e'"
    got = load(fe.on("^INSERT", ok(0, info=info("ABORTED", more=text))))
    assert got["result"] == "REFUSED" and got["is_data_error"]
    assert got["tracking_url"] == "http://be:8040/e"


# Connector/C keeps 511 bytes of a text, and takes 5001 to 5026 for numbers of its own.
@pytest.mark.parametrize("code", [1105, 5024, 5025, 2013])
def test_a_long_error_is_kept(fe, code):
    row = "Reason: column_name[k], null value for not null column. src line [%s]; " % ("x" * 900)
    text = (CODE + "Insert has filtered data in strict mode. first_error_msg: " + row
            + ". url: http://10.0.0.1:8040/api/_load_error_log?file=__shard_0/error_log_1_2")
    got = load(fe.on("^INSERT", err(text, code)))
    assert (got["result"], got["code"], got["sqlstate"]) == ("REFUSED", code, "HY000")
    assert got["error"] == text and got["is_data_error"] and got["first_error"] == row
    assert got["tracking_url"] == "http://10.0.0.1:8040/api/_load_error_log?file=__shard_0/error_log_1_2"


def test_an_address_behind_a_huge_row_is_found(fe):
    text = ("Insert has filtered data in strict mode. first_error_msg: " + "ü" * 20000
            + ". url: http://be:8040/e")
    got = load(fe.on("^INSERT", err(text)))
    assert got["tracking_url"] == "http://be:8040/e"
    assert got["error"].endswith("ü") and len(got["error"].encode()) < 2048


def test_an_fe_cannot_ask_for_files(fe):
    got = load(fe.on("^INSERT", b"\xfb/etc/passwd"))
    assert got["result"] == "LOST"
    assert not any("root:" in sql for _, sql in fe.seen)


# --- load: links that break -----------------------------------------------------------------------

def cut(link, sql):
    link.close()
    raise EOFError


def cut_in_packet(link, sql):
    link.send_raw(packets(ok(5, info=info()))[:-4])
    cut(link, sql)


def garbage(link, sql):
    link.send_raw(b"\xff" * 64)
    cut(link, sql)


@pytest.mark.quick
@pytest.mark.sanitize
@pytest.mark.parametrize("how", [cut, cut_in_packet, garbage])
def test_a_lost_answer_is_lost(fe, how):
    got = load(fe.on("^INSERT", how))
    assert got["result"] == "LOST" and "its outcome is not known" in got["error"]
    assert "127.0.0.1:%d" % fe.port in got["error"]
    assert fe.statements("^INSERT") == [SQL]  # never sent again
    assert len([s for _, s in fe.seen if s == "CONNECT"]) == 1


def test_an_fe_that_stops_reading(fe):
    release = threading.Event()

    def deaf(link, sql):
        link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.send(ok())
        release.wait(DEADLINE_S)
        raise EOFError
    fe.on("group_commit", deaf)
    got = load(fe, deadline_ms=700, pad=16 << 20)
    release.set()
    assert got["result"] == "LOST" and "may have been sent" in got["error"], got
    assert got["ms"] < 5000


@pytest.mark.parametrize("on_connect, error", [
    (lambda link: link.close(), "cannot connect to the FE"),
    (lambda link: link.send(err("Reach limit of connections", 1203, "42000"), first=0),
     "Reach limit of connections"),
    (lambda link: link.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "cannot connect to the FE"),
])
def test_no_login_is_not_sent(fe, on_connect, error):
    fe.on_connect = on_connect
    got = load(fe)
    assert got["result"] == "NOT_SENT" and error in got["error"], got
    assert "'root'" in got["error"] and "proxy.backend" in got["error"]
    assert fe.statements("INSERT") == []


def test_a_silent_fe_is_not_sent(fe):
    release = threading.Event()
    fe.on_connect = lambda link: release.wait(DEADLINE_S) and False
    got = load(fe, connect_ms=300)
    release.set()
    assert got["result"] == "NOT_SENT" and "did not answer a login" in got["error"]
    assert 300 <= got["ms"] < 3000


def test_a_wrong_password(fe):
    fe.login_answer = err("Access denied for user 'loader' (using password: YES)", 1045, "28000")
    with contextlib.closing(FakeFE()) as other:
        got = load([fe, other], user="loader", password="geheim")
        assert other.seen == []  # accounts get locked: ask once
    assert got["result"] == "NOT_SENT" and got["code"] == 1045
    assert "'loader'" in got["error"] and "doris.password" in got["error"]
    assert "geheim" not in got["error"]


def test_a_password_is_not_shown(fe):
    fe.login_answer = b"\xfemysql_clear_password\0"
    got = load(fe, user="loader", password="geheim")
    assert got["result"] == "NOT_SENT" and "native Doris password" in got["error"], got


# --- the session ----------------------------------------------------------------------------------

def test_session_of_a_job(fe):
    fe.on("group_commit", err("Unknown system variable 'group_commit'", 1193))
    fe.on("^INSERT", ok(1, info=info()))
    got = load(fe, timeout_s=20, db="my`db",
               prop=["session.enable_insert_strict:false", "max_interval:5",
                     "session.b:it's a \\ back", "session.insert_timeout:77"])
    assert got["result"] == "VISIBLE" and got["error"] == ""
    assert fe.statements("SET|USE|INSERT") == [
        "SET insert_timeout = 20, query_timeout = 20",
        "SET insert_visible_timeout_ms = 20000",
        "SET enable_insert_strict = 'false'",
        "SET b = 'it''s a \\\\ back'",
        "SET insert_timeout = '77'",
        "SET group_commit = 'off_mode'",
        "USE `my``db`",
        SQL,
    ]


@pytest.mark.parametrize("pattern, answer, options, error", [
    ("query_timeout", err("Unknown system variable 'x'", 1193), {}, "insert_timeout"),
    ("SET nosuch", err("Unknown system variable 'nosuch'", 1193), {"prop": "session.nosuch:1"},
     "Invalid session variable, [nosuch]"),
    ("SET a", err("Variable 'a' can't be set to the value of 'b'", 1231), {"prop": "session.a:b"},
     "can't be set to the value of"),
    ("x", ok(), {"prop": "session.a b:1"}, "Invalid session variable, [a b]"),
    ("x", ok(), {"prop": "session.a=1;drop:1"}, "Invalid session variable"),
    ("group_commit", err("no", 1105), {}, "group_commit"),
    ("USE", err("Unknown database 'n'", 1049, "42000"), {"db": "n"}, "current database `n`"),
    ("SET", cut, {}, "is lost"),
])
def test_a_session_that_cannot_be_set_up_is_not_sent(fe, pattern, answer, options, error):
    got = load(fe.on(pattern, answer), **options)
    assert got["result"] == "NOT_SENT" and error in got["error"], got
    assert got["error"].startswith("the load l1 was not sent: ")
    assert fe.statements("^INSERT") == []


def test_a_connection_serves_the_next_load_of_the_same_job(fe):
    fe.on("^INSERT", ok(1, info=info()))
    got = start(fe, "load", "l1", SQL, repeat=3, prop="session.a:1").results()
    assert [g["result"] for g in got] == ["VISIBLE"] * 3
    assert len(fe.statements("^CONNECT$")) == 1 and len(fe.statements("^PING$")) == 2
    assert len(fe.statements("^SET a")) == 1 and len(fe.statements("^INSERT")) == 3


def test_a_connection_the_fe_has_closed_is_replaced(fe):
    def once(link, sql):
        link.send(ok(1, info=info()))
        raise EOFError
    fe.on("^INSERT", once)
    got = start(fe, "load", "l1", SQL, repeat=3).results()
    assert [g["result"] for g in got] == ["VISIBLE"] * 3
    assert len(fe.statements("^CONNECT$")) == 3 and len(fe.statements("^INSERT")) == 3


@pytest.mark.sanitize
def test_many_runners_at_once(fe):
    fe.on("^INSERT", ok(1, info=info()))
    got = start(fe, "load", "l1", SQL, repeat=20, threads=8).results()
    assert [g["result"] for g in got] == ["VISIBLE"] * 160
    assert len(fe.statements("^INSERT")) == 160 and len(fe.statements("^CONNECT$")) <= 16


def test_the_next_fe_is_tried(fe):
    fe.on("^INSERT", ok(1, info=info()))
    dead = procs.free_port()
    assert load([dead, fe])["result"] == "VISIBLE"
    got = load([dead, procs.free_port()])
    assert got["result"] == "NOT_SENT" and "none of the 2 FEs answered" in got["error"]


def test_an_fe_that_is_not_ready_is_left(fe):
    fe.on("SET", err("Node catalog is not ready, please wait for a while."))
    with contextlib.closing(FakeFE()) as other:
        other.on("^INSERT", ok(1, info=info()))
        got = start([fe, other], "load", "l1", SQL, repeat=2).results()
    assert [g["result"] for g in got] == ["NOT_SENT", "VISIBLE"]


def test_tls_is_used_when_offered(fe, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key",
                    "-out", "crt", "-days", "2", "-subj", "/CN=fe"], cwd=tmp_path, check=True,
                   capture_output=True)
    fe.use_tls(tmp_path / "crt", tmp_path / "key")
    fe.on("^INSERT", ok(1, info=info()))
    assert load(fe)["result"] == "VISIBLE"
    assert fe.statements("^TLS$") == ["TLS"]


# --- cancel and deadline --------------------------------------------------------------------------

def answers_after_kill(fe, *payloads):
    """The INSERT is answered when KILL QUERY has come; with nothing: never."""
    killed = threading.Event()

    def insert(link, sql):
        assert killed.wait(DEADLINE_S)
        if payloads:
            link.send(*payloads)

    def kill(link, sql):
        link.send(ok())
        killed.set()
    fe.on("^INSERT", insert).on("^KILL", kill)


@pytest.mark.parametrize("payload, result", [
    (err(CODE + "cancel query by user from 127.0.0.1"), "REFUSED"),
    (ok(5, info=info()), "VISIBLE"),
    (ok(5, info=info("COMMITTED")), "COMMITTED"),
])
@pytest.mark.quick
@pytest.mark.sanitize
def test_cancel_kills_and_takes_the_last_word(fe, payload, result):
    answers_after_kill(fe, payload)
    with contextlib.closing(FakeFE()) as other:
        tool = start([fe, other], "load", "l1", SQL, cancel="eof")
        number, _ = fe.wait_for("^INSERT")
        tool.cancel()
        assert tool.result()["result"] == result
        assert fe.statements("^KILL") == ["KILL QUERY %d" % number]
        assert other.seen == []


def test_cancel_without_an_answer_is_lost(fe):
    answers_after_kill(fe)
    tool = start(fe, "load", "l1", SQL, cancel="eof")
    fe.wait_for("^INSERT")
    tool.cancel()
    got = tool.result()
    assert got["result"] == "LOST" and "canceled while waiting" in got["error"], got
    assert got["ms"] < 15000 and len(fe.statements("^INSERT")) == 1


def test_a_deadline_kills_too(fe):
    answers_after_kill(fe, err("killed"))
    got = load(fe, deadline_ms=400)
    assert got["result"] == "REFUSED" and got["error"] == "killed" and got["ms"] >= 400
    assert len(fe.statements("^KILL")) == 1


def test_cancel_before_it_is_sent(fe):
    got = load(fe, cancel="now")
    assert got["result"] == "NOT_SENT" and "canceled" in got["error"]
    assert fe.statements("INSERT") == []


def test_cancel_while_connecting(fe):
    release = threading.Event()
    fe.on_connect = lambda link: release.wait(DEADLINE_S) and False
    tool = start(fe, "load", "l1", SQL, cancel="eof")
    fe.wait_for("CONNECT")
    tool.cancel()
    got = tool.result()
    release.set()
    assert got["result"] == "NOT_SENT" and got["ms"] < 5000


# --- label ----------------------------------------------------------------------------------------

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


# --- fence ----------------------------------------------------------------------------------------

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
    got = run(fe, "fence", "d", "l1", http=FakeAddress(procs.free_port()))
    assert got["result"] is False and got["error"]


class FakeAddress:
    def __init__(self, port):
        self.port = port


# --- traits and check -----------------------------------------------------------------------------

@pytest.mark.parametrize("comment, version", [
    ("Doris version doris-2.0.15-rc05-1ab9e1f0a1", 2000), ("ours 4.1.0", 4001), ("trunk", 0),
])
def test_traits_are_asked_once(fe, comment, version):
    fe.on("version_comment", result_set(["@@version_comment"], [[comment]]))
    got = start(fe, "traits", repeat=3).results()
    assert [g["version"] for g in got] == [version] * 3
    assert len(fe.statements("version_comment")) == 1


@pytest.mark.parametrize("pattern, answer, error", [
    ("DESC", err(CODE + "Unknown table 't'", 1051, "42S02"), "table `d`.`t` does not exist; the FE"),
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
