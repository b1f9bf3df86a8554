"""The INSERT sink against the stand-in FE: what the versions of Doris answer, and its faults."""

import pytest

import procs
from sink_tool import Address, end_tools, run, start

PROFILES = ["2.0", "2.1", "3.0", "4.0", "4.1"]
TABLE = ("CREATE TABLE d.t (k INT, v VARCHAR(20)) DUPLICATE KEY(k) DISTRIBUTED BY HASH(k) BUCKETS 1 "
         "PROPERTIES('replication_num' = '1')")
USERS = {"loader": ("pw", "table:d.t:LOAD_PRIV"), "keeper": ("pw", "db:d:LOAD_PRIV")}


class FE:
    """What sink_tool needs of a stand-in, and rows of the target."""

    def __init__(self, process):
        self.process = process
        self.port, self.http = process.port, Address(process.http_port)

    def load(self, label, rows=2, **options):
        sql = "INSERT INTO d.t WITH LABEL `%s` SELECT number, 'x' FROM numbers('number' = '%d')"
        return run(self, "load", label, sql % (label, rows), **options)

    def label(self, label, **options):
        return run(self, "label", "d", label, **{"http": self.http, **options})["result"]

    def count(self):
        return self.process.rows("SELECT COUNT(*) AS n FROM d.t")[0]["n"]


@pytest.fixture
def make(standin):
    def make(profile="4.1", **knobs):
        process = standin(profile, USERS, knobs)
        process.rows("CREATE DATABASE d")
        process.rows(TABLE)
        return FE(process)
    yield make
    end_tools()


@pytest.mark.quick
@pytest.mark.parametrize("profile", PROFILES)
def test_a_load_and_its_label(make, profile):
    fe = make(profile)
    got = fe.load("l1", rows=3)
    assert (got["result"], got["scanned_rows"], got["filtered_rows"]) == ("VISIBLE", 3, 0), got
    again = fe.load("l1", rows=3)
    assert (again["result"], again["txn_id"]) == ("LABEL_USED", got["txn_id"]), again
    assert fe.label("l1") == "VISIBLE" and fe.label("l2") == "UNKNOWN" and fe.count() == 3
    assert run(fe, "label", "d", "l1")["txn_id"] == got["txn_id"]
    assert run(fe, "fence", "d", "l1", http=fe.http)["result"] is True
    number = {"2.0": 2000, "2.1": 2001, "3.0": 3000, "4.0": 4000, "4.1": 4001}[profile]
    assert run(fe, "traits")["version"] == number


@pytest.mark.parametrize("profile", PROFILES)
def test_check(make, profile):
    fe = make(profile)
    mine = {"user": "loader", "password": "pw"}
    assert run(fe, "check", "INSERT INTO d.t SELECT 1, 'a'", **mine)["result"] is True
    assert run(fe, "check", "INSERT INTO t SELECT 1, 'a'", db="d", **mine)["result"] is True
    assert run(fe, "check", **mine)["result"] is True
    got = run(fe, "check", target="d.nosuch")
    assert got["result"] is False and "table `d`.`nosuch` does not exist" in got["error"], got
    got = run(fe, "check", target="nosuch.t")
    assert got["result"] is False and "database `nosuch` does not exist" in got["error"], got
    got = run(fe, "check", "INSERT INTO d.t SELECT nosuch, 'a'")
    assert got["result"] is False and "EXPLAIN" in got["error"] and "nosuch" in got["error"], got
    got = run(fe, "check", prop="session.nosuch:1")
    assert "Invalid session variable, [nosuch]" in got["error"], got
    got = run(fe, "check", prop="session.enable_insert_strict:xxx")
    assert got["result"] is False and "enable_insert_strict" in got["error"], got
    assert fe.count() == 0


def test_missing_privileges_are_named(make):
    fe = make()
    loader = {"user": "loader", "password": "pw"}
    assert fe.load("l1", **loader)["result"] == "VISIBLE"
    got = run(fe, "label", "d", "l1", **loader)  # LOAD on the table is not LOAD on the database
    assert got["result"] == "UNREACHABLE" and "GRANT LOAD_PRIV ON `d`.* TO 'loader'" in got["error"]
    assert fe.label("l1", **loader) == "VISIBLE"  # get_load_state asks for no privilege
    assert fe.label("l1", user="keeper", password="pw") == "VISIBLE"
    got = run(fe, "fence", "d", "l1", http=fe.http, **loader)
    assert got["result"] is False and "GRANT LOAD_PRIV ON `d`.* TO 'loader'" in got["error"], got
    got = run(fe, "check", user="keeper", password="wrong")
    assert got["result"] is False and "doris.password" in got["error"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("knob, result, states, rows", [
    ("cut_before_commit", "LOST", ("PREPARE", "ABORTED"), 0),
    ("cut_after_commit", "LOST", ("VISIBLE",), 2),
    ("aborted_in_ok", "REFUSED", ("ABORTED",), 0),
    ("err_after_commit", "REFUSED", ("COMMITTED", "VISIBLE"), 2),
])
def test_a_fault_and_what_the_label_says(make, profile, knob, result, states, rows):
    fe = make(profile, **{knob: 1})
    got = fe.load("l1")
    assert got["result"] == result, got
    assert fe.label("l1") in states
    assert fe.count() == rows


def test_a_lost_load_is_fenced(make):
    fe = make(cut_before_commit=1, orphan="PREPARE")
    assert fe.load("l1")["result"] == "LOST" and fe.label("l1") == "PREPARE"
    assert fe.load("l1")["result"] == "LABEL_USED"
    assert run(fe, "fence", "d", "l1", http=fe.http)["result"] is True
    assert fe.label("l1") == "ABORTED"
    assert fe.load("l1")["result"] == "VISIBLE" and fe.count() == 2


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("as_error", [0, 1])
def test_publish_takes_its_time(make, profile, as_error):
    fe = make(profile, publish_delay_ms=60000, visible_timeout_as_error=as_error)
    got = fe.load("l1", timeout_s=1)
    assert got["result"] == "COMMITTED" and fe.label("l1") == "COMMITTED", got


def test_an_fe_that_is_not_ready_is_not_believed(make):
    fe = make()
    fe.process.knobs(not_ready=True)
    got = run(fe, "label", "d", "never", http=fe.http)
    assert got["result"] == "UNREACHABLE" and "not ready" in got["error"], got
    assert fe.load("l1")["result"] in ("NOT_SENT", "REFUSED")
    fe.process.knobs(not_ready=False)
    assert fe.label("never") == "UNKNOWN"


def test_without_show_transaction_http_tells(make):
    fe = make()
    assert fe.load("l1")["result"] == "VISIBLE"
    fe.process.knobs(no_show_transaction=True)
    assert fe.label("l1") == "VISIBLE" and fe.label("l2") == "UNKNOWN"
    assert run(fe, "label", "d", "l2")["result"] == "UNREACHABLE"


def test_cancel_stops_the_statement(make):
    fe = make(slow_ms=60000)
    tool = start(fe, "load", "l1", "INSERT INTO d.t WITH LABEL l1 SELECT 1, 'x'", cancel="eof")
    procs.wait_until(lambda: fe.label("l1") == "PREPARE", what="the load to run")
    tool.cancel()
    assert tool.result()["result"] in ("REFUSED", "LOST")
    procs.wait_until(lambda: fe.label("l1") == "ABORTED", what="the end of the load")
    assert fe.count() == 0


@pytest.mark.quick
def test_bad_rows(make):
    fe = make()
    sql = "INSERT INTO d.t WITH LABEL %s SELECT v, v FROM d.s"
    fe.process.rows(TABLE.replace("d.t ", "d.s "))
    fe.process.rows("INSERT INTO d.s VALUES (1, '1'), (2, 'zwei')")
    got = run(fe, "load", "l1", sql % "l1")
    assert (got["result"], got["is_data_error"]) == ("REFUSED", True), got
    assert fe.label("l1") == "ABORTED" and fe.count() == 0
    got = run(fe, "load", "l1", sql % "l1", prop="session.enable_insert_strict:false")
    assert (got["scanned_rows"], got["filtered_rows"]) == (2, 1), got
    fe.process.knobs(fail_insert="Insert has filtered data in strict mode. first_error_msg: bad row. "
                                 "url: http://127.0.0.1:8040/e")
    got = run(fe, "load", "l2", sql % "l2")
    assert (got["result"], got["is_data_error"]) == ("REFUSED", True), got
    assert (got["first_error"], got["tracking_url"]) == ("bad row", "http://127.0.0.1:8040/e")


def test_connections_are_few(make):
    fe = make(max_user_connections=3)
    got = start(fe, "traits", repeat=30).results()
    assert [g["result"] for g in got] == [True] * 30
