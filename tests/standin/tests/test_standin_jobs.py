"""The FE's own jobs: who sees them, what the statements say, and what changes jobs() (facts 1 to 3, 8)."""

import json
import urllib.error
import urllib.request

import pytest

from standin_helpers import error_of, rows

STREAMING = "CREATE JOB s ON STREAMING DO INSERT INTO test.t SELECT 1, 'a'"
SCHEDULED = "CREATE JOB e ON SCHEDULE EVERY 1 HOUR DO INSERT INTO test.t SELECT 1, 'a'"
JOBS = "SELECT Name FROM jobs('type'='insert')"
LOADER = ("--user", "loader:pw:table:test.t:Load_priv,Select_priv")
OTHER = ("--user", "other:pw:db:test:Select_priv")


def control(fe, document):
    request = urllib.request.Request("http://127.0.0.1:%d/standin/jobs" % fe.http, method="POST",
                                     data=json.dumps(document).encode())
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 200


def test_rows_are_filtered(start_fe):
    fe = start_fe("4.1", *LOADER, *OTHER)
    with fe.connect(db="test") as c:
        rows(c, STREAMING)
        rows(c, SCHEDULED)
        assert rows(c, JOBS) == (("s",), ("e",))
    control(fe, {"s": {"tasks": [{"TaskId": "5"}, {"TaskId": "6", "Status": "FAILED"}]}})
    with fe.connect("loader", "pw", db="test") as c:
        assert rows(c, JOBS) == (("s",),)
        assert rows(c, "SELECT TaskId, Status FROM tasks('type'='insert')") == (
            ("6", "FAILED"), ("5", "SUCCESS"))
        rows(c, "PAUSE JOB WHERE jobName = 's'")
        assert error_of(c, "PAUSE JOB WHERE jobName = 'e'")[0] == 1227
    with fe.connect("other", "pw", db="test") as c:
        assert rows(c, JOBS) == rows(c, "SELECT * FROM tasks('type'='insert')") == ()
        for sql in ("RESUME JOB WHERE jobName = 's'", "ALTER JOB s PROPERTIES('max_interval'='5')",
                    "DROP JOB WHERE jobName = 's'", STREAMING):
            code, text = error_of(c, sql)
            assert code == 1142 and "LOAD command denied to user 'other'" in text, sql


def test_admin_only_before_4_0(start_fe):
    fe = start_fe("3.0", *LOADER)
    with fe.connect(db="test") as c:
        rows(c, SCHEDULED)
        assert rows(c, JOBS) == (("e",),)
    with fe.connect("loader", "pw", db="test") as c:
        for function in ("jobs", "tasks"):
            assert "only ADMIN priv can operate" in error_of(
                c, "SELECT * FROM %s('type'='insert')" % function)[1]
        assert error_of(c, "PAUSE JOB WHERE jobName = 'e'")[0] == 1227


def test_grants_on_the_catalog(start_fe):
    """GRANT … ON internal.*.* is not ON *.*.*: SHOW GRANTS has it in a column of its own."""
    fe = start_fe("4.1", "--user", "u:pw:catalog:Load_priv", "--user", "v:pw")
    with fe.connect(db="test") as c:
        rows(c, STREAMING)
        rows(c, "GRANT LOAD_PRIV ON internal.*.* TO 'v'")
    for user in "uv":
        with fe.connect(user, "pw") as c, c.cursor() as k:
            k.execute("SHOW GRANTS")
            found = dict(zip([d[0] for d in k.description], k.fetchone()))
            assert (found["GlobalPrivs"], found["CatalogPrivs"]) == (None, "internal: Load_priv")
            assert rows(c, JOBS) == (("s",),)
    with fe.connect() as c:
        rows(c, "REVOKE LOAD_PRIV ON internal.*.* FROM 'v'")
    with fe.connect("v", "pw") as c:
        assert rows(c, JOBS) == ()


def test_absent_values_by_version(start_fe):
    for profile, nothing in (("4.0", "\\N"), ("4.1", "")):
        with start_fe(profile).connect(db="test") as c:
            rows(c, STREAMING)
            assert rows(c, "SELECT RecurringStrategy, Properties, CurrentOffset, ErrorMsg, Comment "
                           "FROM jobs('type'='insert')") == ((nothing,) * 4 + ("",),)


def test_errors_of_the_statements(start_fe):
    fe = start_fe("4.1")
    with fe.connect(db="test") as c:
        rows(c, STREAMING)
        rows(c, SCHEDULED)
        for sql, text in (
                ("RESUME JOB WHERE jobName = 'n'", "job not exist, jobName: n"),
                ("ALTER JOB n PROPERTIES('offset'='{}')", "job not exist, jobName: n"),
                ("DROP JOB WHERE jobName = 'n'", "unregister job error, jobName:n"),
                ("PAUSE JOB WHERE jobName = 3", "Value must is string"),
                ("PAUSE JOB WHERE jobName = ''", "Value can't is null"),
                ("PAUSE JOB WHERE id = 's'", "Current not support left child of where: id"),
                ("PAUSE JOB WHERE jobName = 'inner_x'", "Can't alter inner job status"),
                ("CREATE JOB inner_x ON STREAMING DO INSERT INTO t SELECT 1, 'a'", "inner_"),
                ("ALTER JOB s PROPERTIES('offset'='{}')", "Only PAUSED job can be altered"),
                ("ALTER JOB e PROPERTIES('offset'='{}')", "Unsupported job type for ALTER:RECURRING"),
                ("CANCEL TASK WHERE jobName = 's' AND taskId = 1", "not support cancel task by id"),
                (SCHEDULED.replace("JOB e", "JOB s"), "job name exist, jobName:s")):
            assert text in error_of(c, sql)[1], sql
        rows(c, "PAUSE JOB WHERE jobName = 'nix'")  # says nothing, as read
        control(fe, {"s": {"Status": "RUNNING"}})
        assert "job already running" in error_of(c, "RESUME JOB WHERE jobName = 's'")[1]
        control(fe, {"s": {"Status": "FINISHED"}})
        assert "Can't update job FINISHED status to the PAUSED status" in error_of(
            c, "PAUSE JOB WHERE jobName = 's'")[1]
    with pytest.raises(urllib.error.HTTPError):
        control(fe, {"s": {"NoColumn": "1"}})


def test_session_variables_change_what_is_shown(start_fe):
    """They act on a SELECT over jobs() like on any other; SET_VAR and LIMIT overrule them."""
    with start_fe("4.1").connect(db="test") as c:
        rows(c, STREAMING)
        rows(c, SCHEDULED)
        rows(c, "SET sql_select_limit = 1")
        assert rows(c, JOBS) == (("s",),)
        assert len(rows(c, JOBS + " LIMIT 100")) == 2
        assert len(rows(c, JOBS.replace("SELECT", "SELECT /*+ SET_VAR(sql_select_limit=9) */"))) == 2
        assert rows(c, JOBS) == (("s",),)
        rows(c, "SET dry_run_query = true, sql_select_limit = DEFAULT")
        with c.cursor() as k:
            k.execute(JOBS)
            assert [d[0] for d in k.description] == ["ReturnedRows"] and k.fetchall() == ((2,),)
        assert rows(c, JOBS.replace("SELECT", "SELECT /*+ SET_VAR(dry_run_query=false) */")) == (
            ("s",), ("e",))
        assert rows(c, "SELECT DATABASE()") == (("test",),)


def test_schedules(start_fe):
    create = "CREATE JOB n ON SCHEDULE %s DO INSERT INTO test.t SELECT 1, 'a'"
    shown = "SELECT ExecuteType, RecurringStrategy FROM jobs('type'='insert')"
    with start_fe("2.1").connect(db="test") as c:
        for text, said in (
                ("AT '2023-11-13 14:18:07'", "startTimeMs must be greater than current time"),
                ("EVERY 1 YEARS", "interval time unit can not be years"),
                ("EVERY 1 EON", "Invalid interval time unit: EON"),
                ("EVERY 1 DAY ENDS '2023-11-13 14:18:07'", "must be greater than the start time"),
                ("EVERY 1 DAY STARTS '2052-01-02' ENDS '2052-01-01'",
                 "must be greater than the start time")):
            assert said in error_of(c, create % text)[1]
        for text, kind, strategy in (
                ("at '2052-03-18 00:00:00'", "ONE_TIME", "AT 2052-03-18 00:00:00"),
                ("every 2 hours starts '2020-01-01 00:00:00'", "RECURRING",
                 "EVERY 2 HOUR STARTS 2020-01-01 00:00:00")):
            rows(c, create % text)
            assert rows(c, shown) == ((kind, strategy),)
            rows(c, "DROP JOB WHERE jobName = 'n'")
