"""INSERT, labels, transaction states and every fault knob: B1 to B6, C1 to C4, G."""

import json

import pymysql
import pytest
from standin_helpers import error_of, ok_info, rows

SLOW = "slow_ms=600000"  # until the knob is 0 again
LOST = (pymysql.err.OperationalError, pymysql.err.InterfaceError, ConnectionError)


def insert(label, n=1):
    return "INSERT INTO test.t WITH LABEL %s VALUES (%d, 'x')" % (label, n)


def count(fe):
    with fe.connect() as c:
        return rows(c, "SELECT count(*) FROM test.t")[0][0]


def transaction(fe, label):
    with fe.connect(db="test") as c, c.cursor(pymysql.cursors.DictCursor) as k:
        k.execute("SHOW TRANSACTION WHERE LABEL = '%s'" % label)
        return k.fetchone()


def test_info_string_and_label_used(start_fe):
    for profile, want in (
            ("2.0", "errCode = 2, detailMessage = Label [a] has already been used, relate to txn [1]"),
            ("3.0", "errCode = 2, detailMessage = begin transaction failed. errCode = 2, detailMessage = "
                    "Label [a] has already been used, relate to txn [1], status [VISIBLE].")):
        fe = start_fe(profile)
        with fe.connect() as c:
            assert ok_info(c, insert("a")) == (1, 0, "{'label':'a', 'status':'VISIBLE', 'txnId':'1'}")
            assert error_of(c, insert("a")) == (1105, want)
        assert count(fe) == 1


@pytest.mark.parametrize("sql", [
    "INSERT INTO test.t (id, v) WITH LABEL x VALUES (1, 'a')",
    "INSERT INTO test.t WITH LABEL x (id, v) WITH LABEL y VALUES (1, 'a')",
    "INSERT INTO test.t WITH LABEL 'x' VALUES (1, 'a')", "INSERT INTO test.t WITH LABEL 12 VALUES (1, 'a')",
    "INSERT test.t VALUES (1, 'a')", "INSERT INTO test.t WITH LABEL x", "INSERT INTO test.t SELECT 1, 'a' WITH LABEL x"])
def test_clause_order_is_strict(start_fe, sql):
    fe = start_fe()
    with fe.connect() as c:
        code, text = error_of(c, sql)
        assert code == 1105 and "mismatched input" in text
    assert fe.state()["inserts"]["begun"] == 0


def test_label_format(start_fe):
    fe = start_fe()
    with fe.connect() as c:
        assert "Label format error. regex: ^[-_A-Za-z0-9:]{1,128}$, label: a b" in error_of(
            c, insert("`a b`"))[1]
        error_of(c, insert("`%s`" % ("x" * 129)))
        ok_info(c, insert("`a-b:c`"))
        ok_info(c, insert("12_34"))


def test_labels_are_per_database(start_fe):
    fe = start_fe()
    with fe.connect() as c:
        rows(c, "CREATE DATABASE other")
        rows(c, "CREATE TABLE other.t LIKE test.t")
        ok_info(c, insert("same"))
        ok_info(c, "INSERT INTO other.t WITH LABEL same VALUES (1, 'x')")


def test_provably_empty_input(start_fe):
    sql = "INSERT INTO test.t WITH LABEL e SELECT 1, 'a' FROM test.t WHERE FALSE"
    fe = start_fe("3.0")
    with fe.connect() as c:
        assert ok_info(c, sql) == (0, 0, "")
        assert "does not exist" in error_of(c, "SHOW TRANSACTION FROM test WHERE LABEL = 'e'")[1]
        fe.knobs(empty_insert="txn")
        assert "'status':'VISIBLE'" in ok_info(c, sql)[2]
    with start_fe("2.0").connect() as c:
        assert ok_info(c, sql)[2] != ""


def test_strict_mode_and_filter_ratio(start_fe):
    bad = "INSERT INTO test.t WITH LABEL %s SELECT 'abc', 'x' UNION ALL SELECT '1', 'y'"
    for profile, code, text in (
            ("2.0", 5025, "Insert has filtered data in strict mode, tracking_url=http"),
            ("3.0", 1105, "Insert has filtered data in strict mode. url: http"),
            ("4.0", 1105, "Insert has filtered data in strict mode. first_error_msg: ")):
        fe = start_fe(profile)
        with fe.connect() as c:
            got = error_of(c, bad % "s1")
            assert got[0] == code and text in got[1]
            assert fe.label("s1") == "ABORTED"
            rows(c, "SET enable_insert_strict = false")
            assert ok_info(c, bad % "s1")[:2] == (1, 1)
            if profile != "2.0":
                rows(c, "SET insert_max_filter_ratio = 0.1")
                assert "Insert has too many filtered data 1/2 insert_max_filter_ratio is 0.100000" in (
                    error_of(c, bad % "s2")[1])
            else:
                assert error_of(c, "SET insert_max_filter_ratio = 0.1")[0] == 1193


def test_show_transaction_takes_the_newest(start_fe):
    fe = start_fe("4.0", "--knob", "fail_insert=boom", "--knob", "fail_insert_count=1")
    with fe.connect(db="test") as c:
        assert error_of(c, insert("n")) == (1105, "errCode = 2, detailMessage = boom")
        assert transaction(fe, "n")["TransactionStatus"] == "ABORTED"
        assert transaction(fe, "n")["Reason"] == "boom"
        ok_info(c, insert("n"))
        assert transaction(fe, "n")["TransactionId"] == "2"
        assert len(rows(c, "SHOW TRANSACTION WHERE label LIKE 'n%'")) == 2
        assert len(rows(c, "SHOW TRANSACTION WHERE status = 'aborted'")) == 1
        assert rows(c, "SHOW TRANSACTION WHERE id = 1")[0][3] == "ABORTED"
        assert error_of(c, "SHOW TRANSACTION FROM test WHERE LABEL = 'q'") == (
            1105, "errCode = 2, detailMessage = transaction with label q does not exist")
        assert "Where clause should looks like" in error_of(c, "SHOW TRANSACTION")[1]


@pytest.mark.parametrize("orphan", ["PREPARE", "ABORTED"])
def test_cut_before_commit(start_fe, orphan):
    fe = start_fe("4.0", "--knob", "cut_before_commit=1", "--knob", "orphan=" + orphan)
    with pytest.raises(LOST):
        rows(fe.connect(), insert("c"))
    fe.wait("the label is " + orphan, lambda: fe.label("c") == orphan)
    assert count(fe) == 0
    with fe.connect() as c:
        if orphan == "PREPARE":
            assert "status [PREPARE]." in error_of(c, insert("c"))[1]
            assert fe.get("/api/test/_cancel?label=c", method="POST")[1]["code"] == 0
        ok_info(c, insert("c"))
    assert count(fe) == 1


def test_cut_after_commit_and_error_after_commit(start_fe):
    fe = start_fe("4.0", "--knob", "cut_after_commit=1")
    with pytest.raises(LOST):
        rows(fe.connect(), insert("c"))
    assert fe.label("c") == "VISIBLE"
    fe.knobs(err_after_commit=1)
    with fe.connect() as c:
        assert error_of(c, insert("d", 2))[0] == 1105
    assert fe.label("d") == "VISIBLE" and count(fe) == 2


def test_knob_counts_only_labelled_inserts(start_fe):
    fe = start_fe("4.0", "--knob", "err_after_commit=1")
    with fe.connect() as c:
        ok_info(c, "INSERT INTO test.t VALUES (1, 'x')")
        error_of(c, insert("l"))
        ok_info(c, insert("l2"))
    assert fe.state()["knobs"]["err_after_commit"] == 0


def test_cut_running_runs_on_and_commits(start_fe):
    fe = start_fe("4.0", "--knob", "cut_running=1", "--knob", SLOW)
    with pytest.raises(LOST):
        rows(fe.connect(), insert("r"))
    assert fe.label("r") == "PREPARE"
    fe.knobs(slow_ms=0)
    fe.wait("it commits", lambda: fe.label("r") == "VISIBLE")
    assert count(fe) == 1


def test_client_that_leaves_is_not_noticed(start_fe):
    fe = start_fe("4.0", "--knob", SLOW)
    c = fe.connect()
    c._execute_command(3, insert("gone"))
    fe.wait("it runs", lambda: fe.label("gone") == "PREPARE")
    c._force_close()
    fe.knobs(slow_ms=0)
    fe.wait("it commits", lambda: fe.label("gone") == "VISIBLE")
    assert count(fe) == 1


def test_publish_delay(start_fe):
    fe = start_fe("4.0", "--knob", "publish_delay_ms=600000")
    with fe.connect() as c:
        rows(c, "SET insert_visible_timeout_ms = 1")
        assert "'status':'COMMITTED'" in ok_info(c, insert("p"))[2]
        assert count(fe) == 0 and fe.label("p") == "COMMITTED"
        assert "status [COMMITTED]." in error_of(c, insert("p"))[1]
        assert "running transaction not found" in fe.get("/api/test/_cancel?label=p",
                                                         method="POST")[1]["data"]
        fe.knobs(visible_timeout_as_error=1)
        assert "transaction commit successfully, BUT data did not become visible" in error_of(
            c, insert("p2"))[1]
        fe.knobs(publish_delay_ms=100, visible_timeout_as_error=0)
        rows(c, "SET insert_visible_timeout_ms = 1000")  # the least it can be
        ok_info(c, insert("p3"))
        fe.wait("visible", lambda: fe.label("p3") == "VISIBLE")
        assert fe.label("p") == fe.label("p2") == "COMMITTED" and count(fe) == 1
    fe.restart()
    assert fe.label("p") == fe.label("p2") == "VISIBLE" and count(fe) == 3


def test_publish_within_the_timeout_answers_visible(start_fe):
    fe = start_fe("4.0", "--knob", "publish_delay_ms=200")
    with fe.connect() as c:
        assert "'status':'VISIBLE'" in ok_info(c, insert("p"))[2]
    assert count(fe) == 1


def test_aborted_in_ok(start_fe):
    fe = start_fe("4.0", "--knob", "aborted_in_ok=1")
    with fe.connect() as c:
        affected, _, text = ok_info(c, insert("a"))
        assert affected == 0 and "'status':'ABORTED'" in text and "'err':'" in text
    assert count(fe) == 0 and fe.label("a") == "ABORTED"


def test_label_window_by_count_and_age(start_fe):
    fe = start_fe("4.0", "--knob", "label_num=2", "--knob", "label_clean_ms=50")
    with fe.connect() as c:
        for i in range(4):
            ok_info(c, insert("w%d" % i))
        fe.wait("the oldest are gone", lambda: fe.label("w1") == "UNKNOWN")
        assert fe.label("w3") == "VISIBLE"
        ok_info(c, insert("w0"))
        fe.knobs(label_keep_s=0)
        fe.wait("all are gone", lambda: fe.label("w0") == "UNKNOWN")
        assert rows(c, "ADMIN SHOW FRONTEND CONFIG LIKE 'label_num_threshold'")[0][1] == "2"
    assert count(fe) == 5


def test_insert_timeout(start_fe):
    fe = start_fe("4.0", "--knob", "slow_ms=15000")
    with fe.connect() as c:
        rows(c, "SET insert_timeout = 1")
        rows(c, "SET query_timeout = 1")
        assert "timeout" in error_of(c, insert("slow"))[1]
    assert fe.label("slow") == "ABORTED"


def test_cancelled_while_running_fails_at_commit(start_fe):
    fe = start_fe("4.0", "--knob", SLOW)
    with fe.connect() as c:
        c._execute_command(3, insert("x"))
        fe.wait("it runs", lambda: fe.label("x") == "PREPARE")
        assert fe.get("/api/test/_cancel?label=x", method="POST")[1]["code"] == 0
        fe.knobs(slow_ms=0)
        with pytest.raises(pymysql.err.MySQLError, match="already aborted"):
            c._read_query_result()
    assert count(fe) == 0


def test_sigkill_before_and_after_commit(start_fe):
    fe = start_fe("4.0")
    with fe.connect() as c:
        ok_info(c, insert("first"))
    fe.knobs(die_before_commit=1)
    with pytest.raises(LOST):
        with fe.connect() as c:
            rows(c, "SET insert_timeout = 3, query_timeout = 3")
            rows(c, insert("dead"))
    fe.process.wait(10)
    fe.start()
    assert fe.label("first") == "VISIBLE" and fe.label("dead") == "PREPARE" and count(fe) == 1
    fe.knobs(label_clean_ms=50)
    fe.wait("the orphan times out", lambda: fe.label("dead") == "ABORTED")
    assert transaction(fe, "dead")["Reason"] == "timeout by txn manager"
    fe.knobs(die_after_commit=1)
    with pytest.raises(LOST):
        rows(fe.connect(), insert("dead"))
    fe.process.wait(10)
    fe.start()
    assert fe.label("dead") == "VISIBLE" and count(fe) == 2
    assert transaction(fe, "dead")["TransactionId"] == "3"


def test_committed_becomes_visible_at_restart(start_fe):
    fe = start_fe("4.0", "--knob", "publish_delay_ms=60000")
    with fe.connect() as c:
        rows(c, "SET insert_visible_timeout_ms = 1000")
        assert "COMMITTED" in ok_info(c, insert("p"))[2]
    fe.restart()
    assert fe.label("p") == "VISIBLE" and count(fe) == 1


def test_master_and_readiness_knobs(start_fe):
    fe = start_fe("4.0", "--knob", "not_ready=1", table=False)
    with pytest.raises(pymysql.err.MySQLError, match="Node catalog is not ready, please wait"):
        fe.connect()        # logs in; its SET NAMES is refused
    assert fe.get("/api/health")[0] == 503
    assert fe.get("/api/bootstrap")[1]["code"] == 1
    fe.knobs(not_ready=0, not_master=1)
    with fe.connect() as c:
        assert "Master FE is not ready" in error_of(c, "CREATE DATABASE x")[1]
        assert rows(c, "SELECT 1") == ((1,),)
    fe.knobs(not_master=0, refuse_connections=1)
    with pytest.raises(LOST):
        fe.connect()


def test_explicit_transactions(start_fe):
    fe = start_fe("3.0")
    with fe.connect(db="test") as c:
        rows(c, "CREATE TABLE u LIKE t")
        assert ok_info(c, "BEGIN WITH LABEL b")[2] == "{'label':'b', 'status':'PREPARE', 'txnId':''}"
        assert "'status':'PREPARE'" in ok_info(c, "INSERT INTO t SELECT 1, 'a'")[2]
        ok_info(c, "INSERT INTO u SELECT 2, 'b'")
        assert "This is in a transaction" in error_of(c, "SELECT 1")[1]
        assert "same time" in error_of(c, "INSERT INTO t VALUES (3, 'c')")[1]
        assert "'status':'VISIBLE'" in ok_info(c, "COMMIT")[2]
        assert rows(c, "SELECT t.id, u.id FROM t, u") == ((1, 2),)
        ok_info(c, "BEGIN WITH LABEL r")
        ok_info(c, "INSERT INTO t SELECT 5, 'a'")
        ok_info(c, "ROLLBACK")
        assert fe.label("r") == "ABORTED"
        ok_info(c, "BEGIN WITH LABEL gone")
        ok_info(c, "INSERT INTO t SELECT 5, 'a'")
    fe.wait("closing rolls back", lambda: fe.label("gone") == "ABORTED")
    assert count(fe) == 1
    with start_fe("2.1").connect(db="test") as c:
        rows(c, "BEGIN")
        assert "not supported in a transaction" in error_of(c, "INSERT INTO t SELECT 1, 'a'")[1]


def in_txn(c, label, n=5, commit=True):
    ok_info(c, "BEGIN WITH LABEL " + label)
    ok_info(c, "INSERT INTO t SELECT %d, 'a'" % n)
    return ok_info(c, "COMMIT") if commit else None


def test_what_a_transaction_refuses(start_fe):
    fe = start_fe("3.0")
    with fe.connect(db="test") as c:
        rows(c, "CREATE DATABASE other")
        rows(c, "CREATE TABLE other.t LIKE test.t")
        ok_info(c, "BEGIN WITH LABEL b")
        for sql in ("SELECT 1", "SET insert_timeout = 5", "SHOW TABLES", "CREATE TABLE v LIKE t"):
            assert "only insert, update, delete, commit, rollback" in error_of(c, sql)[1]
        assert "label" in error_of(c, "INSERT INTO t WITH LABEL x SELECT 1, 'a'")[1]
        ok_info(c, "BEGIN WITH LABEL ignored")
        ok_info(c, "INSERT INTO t SELECT 1, 'a'")
        assert "same database" in error_of(c, "INSERT INTO other.t SELECT 1, 'a'")[1]
        assert "strict mode" in error_of(c, "INSERT INTO t SELECT 'abc', 'a'")[1]
        ok_info(c, "INSERT INTO t SELECT 2, 'b'")
        assert ok_info(c, "COMMIT")[::2] == (2, "{'label':'b', 'status':'VISIBLE', 'txnId':'1'}")
        assert error_of(c, insert("b"))[0] == 1105 and fe.label("ignored") == "UNKNOWN"
        in_txn(c, "later", 3)
        assert transaction(fe, "later")["TransactionId"] > "2"  # each INSERT had a number
    assert count(fe) == 3


def test_label_of_a_transaction_is_taken(start_fe):
    fe = start_fe("4.0")
    with fe.connect(db="test") as c:
        ok_info(c, insert("b"))
        ok_info(c, "BEGIN WITH LABEL b")
        assert "already been used" in error_of(c, "INSERT INTO t SELECT 1, 'a'")[1]
        ok_info(c, "ROLLBACK")
    assert count(fe) == 1


def test_time_limit_of_a_transaction(start_fe):
    """From BEGIN, whatever the client does meanwhile."""
    fe = start_fe("4.0", "--knob", "label_clean_ms=50")
    with fe.connect(db="test") as c:
        rows(c, "SET insert_timeout = 1")
        rows(c, "SET query_timeout = 1")
        in_txn(c, "slow", commit=False)
        fe.wait("it is over", lambda: fe.label("slow") == "ABORTED")
        assert "timeout by txn manager" in error_of(c, "COMMIT")[1]
    assert count(fe) == 0


@pytest.mark.parametrize("knob, state, n", [
    ("cut_before_commit", "PREPARE", 0), ("cut_after_commit", "VISIBLE", 1),
    ("cut_running", "VISIBLE", 1), ("cut_in_txn", "ABORTED", 0)])
def test_cut_in_a_transaction(start_fe, knob, state, n):
    fe = start_fe("4.0", "--knob", knob + "=1")
    with pytest.raises(LOST):
        in_txn(fe.connect(db="test"), "c")
    fe.wait("the label is " + state, lambda: fe.label("c") == state)
    assert count(fe) == n


def test_faults_of_commit(start_fe):
    fe = start_fe("4.0", "--knob", "err_after_commit=1")
    with fe.connect(db="test") as c:
        ok_info(c, "BEGIN WITH LABEL e")
        ok_info(c, "INSERT INTO t SELECT 1, 'a'")
        assert error_of(c, "COMMIT")[0] == 1105 and fe.label("e") == "VISIBLE"
        fe.knobs(txn_not_found=1)
        ok_info(c, "BEGIN WITH LABEL v")
        ok_info(c, "INSERT INTO t SELECT 2, 'a'")
        assert error_of(c, "COMMIT")[1].endswith("not found") and fe.label("v") == "UNKNOWN"
        fe.knobs(fail_insert="boom", fail_insert_count=1)
        ok_info(c, "BEGIN WITH LABEL f")
        assert "boom" in error_of(c, "INSERT INTO t SELECT 3, 'a'")[1]
        ok_info(c, "INSERT INTO t SELECT 4, 'a'")
        assert ok_info(c, "COMMIT")[0] == 1
        fe.knobs(publish_delay_ms=60000)
        rows(c, "SET insert_visible_timeout_ms = 1")
        assert "'status':'COMMITTED'" in in_txn(c, "p")[2] and count(fe) == 2
    assert fe.get("/standin/transactions", None, "POST", json.dumps(
        {"db": "test", "label": "p", "how": "publish"}).encode())[0] == 200
    assert fe.label("p") == "VISIBLE" and count(fe) == 3


@pytest.mark.parametrize("how, n", [("commit", 1), ("abort", 0)])
def test_precommitted(start_fe, how, n):
    fe = start_fe("4.0", "--knob", "hold_precommitted=1")
    with pytest.raises(LOST):
        rows(fe.connect(), insert("h"))
    assert fe.label("h") == "PRECOMMITTED" and count(fe) == 0
    with fe.connect() as c:
        assert "status [PRECOMMITTED]." in error_of(c, insert("h"))[1]
    assert "running transaction not found" in fe.get("/api/test/_cancel?label=h",
                                                     method="POST")[1]["data"]
    fe.restart()
    assert fe.label("h") == "PRECOMMITTED"
    assert fe.get("/standin/transactions", None, "POST", json.dumps(
        {"db": "test", "label": "h", "how": how}).encode())[0] == 200
    assert fe.label("h") == ("VISIBLE" if n else "ABORTED") and count(fe) == n


def test_running_transactions_are_limited(start_fe):
    fe = start_fe("4.0", "--knob", "max_running_txn=1")
    with fe.connect(db="test") as holder, fe.connect(db="test") as c:
        in_txn(holder, "held", commit=False)
        assert "current running txns on db test is 1, larger than limit 1" in error_of(
            c, insert("n"))[1]
        ok_info(holder, "ROLLBACK")
        ok_info(c, insert("n"))


def test_unique_table_is_an_upsert(start_fe):
    fe = start_fe("4.0")
    with fe.connect(db="test") as c:
        rows(c, "CREATE TABLE uq (k INT, v STRING) UNIQUE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS AUTO")
        rows(c, "INSERT INTO uq VALUES (1, 'a'), (2, 'b'), (1, 'c')")
        rows(c, "INSERT INTO uq VALUES (2, 'd')")
        assert rows(c, "SELECT * FROM uq ORDER BY k") == ((1, "c"), (2, "d"))


def test_clean_label(start_fe):
    fe = start_fe("4.0")
    with fe.connect(db="test") as c:
        ok_info(c, insert("a"))
        rows(c, "CLEAN LABEL a FROM test")
        assert fe.label("a") == "UNKNOWN"
        ok_info(c, insert("a"))
