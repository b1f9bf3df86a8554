"""The INSERT sink's load(), against a scripted FE."""

import contextlib
import socket
import threading

import pytest

import procs
from certs import Authority
from fake_fe import DEADLINE_S, FakeFE, err, ok, packets, result_set
from sink_tool import CODE, REACHED_MS, SQL, cut, fe, load, start  # noqa: F401

USED = "Label [l1] has already been used, relate to txn [12]"


def info(status="VISIBLE", label="l1", more=""):
    return "{'label':'%s', 'status':'%s', 'txnId':'12'%s}" % (label, status, more)


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
    fe.script.clear()
    got = load(fe.on("^INSERT", ok(7, info=info("ABORTED", more=", 'err':'no disk'"))))
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
    got = load(fe, deadline_ms=REACHED_MS, pad=16 << 20)
    release.set()
    assert got["result"] == "LOST" and "may have been sent" in got["error"], got
    assert got["ms"] < REACHED_MS + procs.patience(10) * 1000


def test_a_large_statement_arrives_whole(fe):
    got = load(fe.on("^INSERT", ok(1, info=info())), pad=40_000_000)
    assert got["result"] == "VISIBLE", got
    sent, = fe.statements("^INSERT")
    assert len(sent) == len(SQL) + 40_000_000 and sent.startswith(SQL)


def test_an_error_of_odd_bytes_can_be_shown(fe):
    text = err("row ") + b"\xff\xfe\xc3(\xc3\xa4) end"
    got = load(fe.on("^INSERT", text))
    assert (got["result"], got["error"]) == ("REFUSED", "row ???(\u00e4) end")
    fe.script.clear()
    aborted = ok(0, info=info("ABORTED", more=", 'err':'@'")).replace(b"@", b"\xff")
    assert load(fe.on("^INSERT", aborted))["error"] == "?"


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
    assert 300 <= got["ms"] < procs.patience(10) * 1000


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
        "SET SESSION enable_insert_strict = 'false'",
        "SET SESSION b = 'it''s a \\\\ back'",
        "SET SESSION insert_timeout = '77'",
        "SET group_commit = 'off_mode'",
        "USE `my``db`",
        SQL,
    ]


@pytest.mark.parametrize("pattern, answer, options, error", [
    ("query_timeout", err("Unknown system variable 'x'", 1193), {}, "insert_timeout"),
    ("SET SESSION nosuch", err("Unknown system variable 'nosuch'", 1193), {"prop": "session.nosuch:1"},
     "Invalid session variable, [nosuch]"),
    ("SET SESSION a", err("Variable 'a' can't be set to the value of 'b'", 1231), {"prop": "session.a:b"},
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
    assert len(fe.statements("^SET SESSION a")) == 1 and len(fe.statements("^INSERT")) == 3


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


# As enum fe_tls of sources/fe_conn.h.
TLS_OFF, TLS_PREFERRED, TLS_REQUIRED, TLS_VERIFY = range(4)


def test_tls_is_used_when_offered(fe, tmp_path):
    """proxy.backend_tls for the service account; a certificate is checked by "verify" alone."""
    authority = Authority(tmp_path)
    pair = authority.issue("fe")
    stranger = Authority(tmp_path, "stranger").ca
    fe.use_tls(pair.cert, pair.key)
    fe.on("^INSERT", ok(1, info=info()))
    for mode, ca, n in ((TLS_PREFERRED, None, 1), (TLS_OFF, None, 1), (TLS_REQUIRED, stranger, 2),
                        (TLS_VERIFY, authority.ca, 3)):
        assert load(fe, tls=mode, **({"tls_ca": ca} if ca else {}))["result"] == "VISIBLE"
        assert len(fe.statements("^TLS$")) == n, mode
    for ca, names in ((stranger, ("127.0.0.1",)), (authority.ca, ("fe.test",))):
        pair = authority.issue("other", names)
        fe.use_tls(pair.cert, pair.key)
        got = load(fe, tls=TLS_VERIFY, tls_ca=ca)
        assert got["result"] == "NOT_SENT" and "proxy.backend_tls" in got["error"], got


def test_tls_that_is_not_offered(fe):
    fe.on("^INSERT", ok(1, info=info()))
    got = load(fe, tls=TLS_REQUIRED)
    assert got["result"] == "NOT_SENT" and "proxy.backend_tls" in got["error"], got
    assert load(fe, tls=TLS_PREFERRED)["result"] == "VISIBLE"


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
    assert got["ms"] < procs.patience(15) * 1000 and len(fe.statements("^INSERT")) == 1


def test_a_deadline_kills_too(fe):
    answers_after_kill(fe, err("killed"))
    got = load(fe, deadline_ms=REACHED_MS)
    assert got["result"] == "REFUSED" and got["error"] == "killed" and got["ms"] >= REACHED_MS
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
    assert got["result"] == "NOT_SENT" and got["ms"] < procs.patience(10) * 1000
