"""
Who may do what: LOAD on a job's target, as the FE says on the client's own connection, for every
statement and every row; what a session may remember of it; and whose jobs are whose.
"""

import base64
import contextlib
import os
import pathlib
import shutil
import signal
import tempfile
import time

import pymysql
import pytest

import procs
import wire
from bucket import Bucket
from life_rig import reload
from rig import Rig, create_job_sql, create_table_sql, refusal

PW = "pw"
MAY = {"of_table": "table:demo.t:Load_priv", "of_db": "db:demo:Select_priv,Load_priv",
       "of_catalog": "catalog:Load_priv", "of_all": "global:Load_priv",
       "chief": "global:Admin_priv"}
MAY_NOT = {"reader": "db:demo:Select_priv;global:Select_priv", "of_other": "table:demo.u:Load_priv",
           "of_prefix": "table:demo.t2:Load_priv;db:dem:Load_priv", "node": "global:Node_priv",
           "nobody": ""}
FOR_TESTS = ("remember", "granted", "changing")
USERS = {name: (PW, grants) for name, grants in
         {**MAY, **MAY_NOT, **{name: "" for name in FOR_TESTS},
          "remover": "global:Grant_priv"}.items()}
JOBS, TASKS = 'SELECT * FROM jobs("type"="insert")', 'SELECT * FROM tasks("type"="insert")'
KEPT = {"proxy.grants_cache": "300s"}
FE_STREAMING = "CREATE JOB %s ON STREAMING DO INSERT INTO demo.t SELECT 1, 'a', 1.5, NULL"
FE_SCHEDULED = FE_STREAMING.replace("STREAMING", "SCHEDULE EVERY 1 DAY")


@contextlib.contextmanager
def built(swift, profile="4.1", config=None):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-rights-"))
    bucket = Bucket(swift).create()
    fe = procs.StandIn(directory / "fe", profile, USERS)
    sluice = procs.Sluice(directory / "sluice", fe, config)
    try:
        fe.start()
        sluice.start()
        rig = Rig(fe, sluice, bucket)
        rig.execute(create_table_sql("demo", "u"))
        bucket.put_rows("in/a.csv", 5)
        yield rig
        assert sluice.stop() == 0
        assert sluice.sanitizer_reports() == []
    finally:
        sluice.kill9()
        fe.kill9()
        with contextlib.suppress(Exception):  # of the test bed's own server, after the fact
            bucket.delete()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def made(swift):
    """Job `j` into demo.t with a task, PAUSED at the start and the end of every test; no cache."""
    with built(swift, config={"proxy.grants_cache": "0s"}) as rig:
        rig.create_job()
        rig.wait_rows(5)
        pause(rig, "j")
        yield rig


@pytest.fixture(scope="module")
def kept(swift):
    """The same with what a session knows of its user kept for 300 s."""
    with built(swift, config=KEPT) as rig:
        rig.create_job()
        rig.wait_rows(5)
        pause(rig, "j")
        yield rig


def pause(rig, name):
    """At rest: no task of it runs any more."""
    rig.execute("PAUSE JOB WHERE jobName = '%s'" % name)
    rig.wait_state("PAUSED", name)
    procs.wait_until(lambda: not {t["Status"] for t in rig.tasks(name)} & {"PENDING", "RUNNING"},
                     what="no task of %s" % name)


def insert(rig, target="demo.t"):
    return "INSERT INTO %s SELECT c1, c2, c3, c4 FROM %s" % (target, rig.bucket.tvf("no/*.csv"))


def sql_of_job(rig, name="j"):
    """Every statement about a job or its target."""
    return {
        "create": create_job_sql("fresh", insert(rig)),
        "create if not exists": create_job_sql("fresh", insert(rig)).replace(
            "JOB", "JOB IF NOT EXISTS", 1),
        "alter properties": "ALTER JOB %s PROPERTIES ('max_interval' = '7')" % name,
        "alter insert": "ALTER JOB %s %s" % (name, insert(rig)),
        "pause": "PAUSE JOB WHERE jobName = '%s'" % name,
        "resume": "RESUME JOB WHERE jobName = '%s'" % name,
        "drop": "DROP JOB WHERE jobName = '%s'" % name,
        "drop if exists": "DROP JOB IF EXISTS WHERE jobName = '%s'" % name,
        "cancel": "CANCEL TASK WHERE jobName = '%s' AND taskId = 1" % name,
        "resolve": "ALTER JOB %s RESOLVE TASK 1 AS ABORTED" % name,
        "retry file": "ALTER JOB %s RETRY FILE 'in/a.csv'" % name,
        "skip files": "ALTER JOB %s SKIP ALL FILES" % name,
        "explain": "EXPLAIN JOB %s" % name,
        "show create": "SHOW CREATE JOB %s" % name,
    }


def run(connection, sql):
    with connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def denied(connection, sql):
    """The text of a statement that must be refused."""
    with pytest.raises(pymysql.err.MySQLError) as e:
        run(connection, sql)
    return e.value.args


def questions(fe, user, since):
    """How often the FE was asked SHOW GRANTS by the user. Its clock is ours."""
    return sum(line["user"] == user and base64.b64decode(line["base64"]) == b"SHOW GRANTS"
               for line in fe.log() if line["time"] >= since)


# --- every statement, every row ---

@pytest.mark.parametrize("user", MAY)
def test_load_at_any_level_is_enough(made, user):
    with contextlib.closing(made.sluice.connect(user, PW, db="demo")) as c:
        assert [row["Name"] for row in run(c, JOBS)] == ["j"]
        assert [row["JobName"] for row in run(c, TASKS)] == ["j"] * len(made.tasks())
        run(c, "RESUME JOB WHERE jobName = 'j'")
        run(c, "PAUSE JOB WHERE jobName = 'j'")
        run(c, create_job_sql("of_" + user, insert(made)))
        run(c, "DROP JOB WHERE jobName = 'of_%s'" % user)
    pause_again(made)


def pause_again(rig):
    if rig.job()["Status"] != "PAUSED":
        pause(rig, "j")
    rig.wait_state("PAUSED")


@pytest.mark.parametrize("user", MAY_NOT)
def test_without_load_nothing_is_seen_or_done(made, user):
    before = made.standing()
    for what, sql in sql_of_job(made).items():
        code, state, text = refusal(made.sluice.port, b"\x03" + sql.encode(), user, PW)
        assert (code, state) == (1142, "42000"), (what, text)
        assert "LOAD command denied to user '%s'@'%%' for table 'demo.t'" % user in text, (what, text)
        assert "GRANT LOAD_PRIV ON `demo`.`t` TO '%s'@'%%'" % user in text
        assert made.bucket.server.secret_key not in text
    with contextlib.closing(made.sluice.connect(user, PW)) as c:
        assert run(c, JOBS) == [] and run(c, TASKS) == []
        assert run(c, JOBS.replace("*", "COUNT(*) AS n")) == [{"n": 0}]
        told = run(c, "EXPLAIN " + create_job_sql("fresh", insert(made).replace("no/*", "in/*")))
        text = " ".join(row["Value"] for row in told)
        assert "LOAD command denied to user '%s'@'%%' for table 'demo.t'" % user in text
        assert "a.csv" not in text  # nor what is at the source
    assert made.standing() == before


def test_prepared_and_scripted_are_asked_for_too(made):
    pausing = "PAUSE JOB WHERE jobName = 'j'"
    client = wire.Client(made.sluice.port, "reader", PW, wire.DEFAULT_CAPABILITIES | 0x10000)
    try:
        kind, content = client.query("SELECT 1; RESUME JOB WHERE jobName = 'j'; SELECT 2")[-1]
        assert kind == "err" and content[0] == 1142
        client.command(b"\x16" + pausing.encode())  # its preparing says nothing of the job
        reply = client.read_packet()[1]
        assert reply[0] == wire.OK
        client.command(b"\x17" + reply[1:5] + b"\0\1\0\0\0")
        assert wire.error(client.read_packet()[1])[0] == 1142
    finally:
        client.close()


def test_a_job_reads_what_its_author_may_read(made):
    """Tasks run as doris.user: by their query nobody gets at tables that are closed to himself."""
    made.fe.rows("CREATE DATABASE IF NOT EXISTS closed")
    made.fe.rows(create_table_sql("closed", "s"))
    made.fe.rows("INSERT INTO closed.s VALUES (777, 'for others', 1, NULL)")
    tvf = made.bucket.tvf("in/*.csv")
    queries = {"join": "SELECT s.* FROM %s x JOIN closed.s s ON 1 = 1" % tvf,
               "subquery": "SELECT c1, (SELECT MAX(name) FROM closed.s), c3, c4 FROM %s" % tvf,
               "its own CTE": "WITH s AS (SELECT * FROM closed.s) SELECT s.* FROM s, %s x" % tvf,
               "catalog": "SELECT s.* FROM %s x, `internal`.`closed`.`s` s" % tvf}
    before = made.standing()
    for what, query in queries.items():
        load = "INSERT INTO demo.t " + query
        for sql in (create_job_sql("reads", load), "ALTER JOB j " + load):
            code, _, text = refusal(made.sluice.port, b"\x03" + sql.encode(), "of_table", PW)
            assert "[SELECT] command on [internal].[closed].[s]" in text, (what, text)
            assert "doris.user" in text and "777" not in text
        with contextlib.closing(made.sluice.connect("of_table", PW)) as c:
            told = " ".join(row["Value"] for row in run(c, "EXPLAIN " + create_job_sql("x", load)))
            assert "you need SELECT on them" in told and "a.csv" not in told
            assert "name varchar" not in told  # a column of it
    load = "INSERT INTO demo.t SELECT x.* FROM %s x, " % tvf
    for table in ("information_schema.tables", "mysql.user", "INFORMATION_SCHEMA.processlist"):
        assert code_of_refusal(made, create_job_sql("x", load + table), "chief") == 1142
    assert code_of_refusal(made, create_job_sql("x", load + "s"), "chief") == 1046  # in which database?
    assert made.standing() == before
    with contextlib.closing(made.sluice.connect("chief", PW, db="closed")) as c:
        run(c, create_job_sql("reads", (load + "s").replace("in/*", "no/*")))
        run(c, "DROP JOB WHERE jobName = 'reads'")


def test_a_session_property_is_a_variable_and_nothing_else(made):
    """SET password = '...' would give doris.user a password of the job's author's choice."""
    for name in ("password", "PASSWORD", "ldap_admin_password", "names"):
        sql = create_job_sql("x", insert(made), {"session." + name: "*" + "A1" * 20})
        _, _, text = refusal(made.sluice.port, b"\x03" + sql.encode(), "of_table", PW)
        assert "Invalid session variable, [%s]" % name in text, text
    assert made.fe.rows("SELECT 1 AS n") == [{"n": 1}]  # as doris.user, who has none


def code_of_refusal(rig, sql, user):
    return refusal(rig.sluice.port, b"\x03" + sql.encode(), user, PW)[0]


# --- what a session remembers ---

def test_a_session_asks_once_while_it_may_remember(kept):
    since = time.time()
    with contextlib.closing(kept.sluice.connect("of_table", PW)) as c:
        for _ in range(3):
            run(c, "RESUME JOB WHERE jobName = 'j'")
            run(c, "PAUSE JOB WHERE jobName = 'j'")
    assert questions(kept.fe, "of_table", since) == 1
    with contextlib.closing(kept.sluice.connect("chief", PW)) as c:
        since = time.time()
        for _ in range(3):
            assert run(c, JOBS)
        assert questions(kept.fe, "chief", since) == 1
    pause_again(kept)


def test_what_is_revoked_works_for_as_long_as_configured(kept):
    grant = "GRANT LOAD_PRIV ON demo.t TO 'remember'"
    revoke = "REVOKE LOAD_PRIV ON demo.t FROM 'remember'"
    kept.fe.rows(grant)
    with contextlib.closing(kept.sluice.connect("remember", PW)) as c:
        run(c, "RESUME JOB WHERE jobName = 'j'")
        kept.fe.rows(revoke)
        run(c, "PAUSE JOB WHERE jobName = 'j'")
        assert run(c, JOBS) == []  # rows are left out by what the FE says now
        with contextlib.closing(kept.sluice.connect("remember", PW)) as other:
            assert denied(other, "PAUSE JOB WHERE jobName = 'j'")[0] == 1142
        kept.fe.rows(grant)
        run(c, "RESUME JOB WHERE jobName = 'j'")
        pause(kept, "j")
        kept.fe.rows(revoke)
        n = len(kept.sluice.log_text().split("config.reloaded"))
        reload(kept.sluice, n, proxy__grants_cache="150ms")
        since = time.monotonic()
        # Allowed, "same status", for at most so long.
        procs.wait_until(lambda: denied(c, "PAUSE JOB WHERE jobName = 'j'")[0] == 1142,
                         what="the denial")
        assert time.monotonic() - since < procs.patience(10)
        reload(kept.sluice, n + 1, proxy__grants_cache="300s")
    pause_again(kept)


def test_what_is_granted_works_at_once(kept):
    for scope in ("demo.t", "demo.*", "internal.*.*", "*.*.*"):
        with contextlib.closing(kept.sluice.connect("granted", PW)) as c:
            assert denied(c, "RESUME JOB WHERE jobName = 'j'")[0] == 1142
            assert run(c, JOBS) == []
            kept.fe.rows("GRANT LOAD_PRIV ON %s TO 'granted'" % scope)
            run(c, "RESUME JOB WHERE jobName = 'j'")
            run(c, "PAUSE JOB WHERE jobName = 'j'")
            assert [row["Name"] for row in run(c, JOBS)] == ["j"]
        kept.fe.rows("REVOKE LOAD_PRIV ON %s FROM 'granted'" % scope)
    pause_again(kept)


def test_what_the_session_revokes_itself_ends_at_once(kept):
    """As statement of its own, in a text of several, and in pieces; other statements change nothing."""
    pausing = "PAUSE JOB WHERE jobName = 'j'"
    allow = "GRANT LOAD_PRIV ON demo.t TO 'remover'"
    deny = "REVOKE LOAD_PRIV ON demo.t FROM 'remover'"
    for text in (deny, "SELECT 1; " + deny, "/* no longer */ " + deny.lower()):
        client = wire.Client(kept.sluice.port, "remover", PW)
        try:
            kept.fe.rows(allow)
            assert "same status" in client.query(pausing)[0][1][1]
            kept.fe.rows(deny)  # by others: remembered
            client.query("SELECT 'REVOKE'")
            assert "same status" in client.query(pausing)[0][1][1]
            kept.fe.rows(allow)
            client.query(text)
            assert client.query(pausing)[0][1][0] == 1142, text
        finally:
            client.close()
    client = wire.Client(kept.sluice.port, "remover", PW)
    try:
        kept.fe.rows(allow)
        assert "same status" in client.query(pausing)[0][1][1]
        *_, last = client.query(deny + "; " + pausing)  # a text with a part of ours
        assert last[0] == "err" and last[1][0] == 1142, last
        kept.fe.rows(allow)
        assert "same status" in client.query(pausing)[0][1][1]
        for data in (wire.query(deny)[:8], wire.query(deny)[8:]):
            client.send(data)
        client.read_results()
        assert client.query(pausing)[0][1][0] == 1142
    finally:
        client.close()


def change_user(c, user):
    c.command(b"\x11" + user.encode() + b"\0\0\0\x2d\0mysql_native_password\0")
    sequence, payload = c.read_packet()
    assert payload[0] == wire.EOF
    scramble = payload[1:].split(b"\0", 1)[1][:20]
    c.send(wire.packet(sequence + 1, wire.native_password(PW, scramble)))
    assert c.read_packet()[1][0] == wire.OK


def test_another_user_begins_anew(kept):
    pausing = "PAUSE JOB WHERE jobName = 'j'"
    client = wire.Client(kept.sluice.port, "of_db", PW)
    try:
        assert "same status" in client.query(pausing)[0][1][1]
        change_user(client, "reader")
        (kind, content), = client.query(pausing)
        assert kind == "err" and content[0] == 1142 and "'reader'@'%'" in content[1]
        assert client.query(JOBS) == [("rows", [])]
        change_user(client, "of_table")
        assert "same status" in client.query(pausing)[0][1][1]
    finally:
        client.close()


def test_a_reset_connection_begins_anew(kept):
    kept.fe.rows("GRANT LOAD_PRIV ON demo.t TO 'changing'")
    client = wire.Client(kept.sluice.port, "changing", PW)
    pausing = "PAUSE JOB WHERE jobName = 'j'"
    try:
        assert "same status" in client.query(pausing)[0][1][1]
        kept.fe.rows("REVOKE LOAD_PRIV ON demo.t FROM 'changing'")
        assert "same status" in client.query(pausing)[0][1][1]
        client.command(b"\x1f")
        assert client.read_packet()[1][0] == wire.OK
        assert client.query(pausing)[0][1][0] == 1142
    finally:
        client.close()


# --- the FE cannot be asked ---

def test_no_answer_is_no(made):
    before = made.standing()
    with contextlib.closing(made.sluice.connect("of_db", PW, db="demo")) as c:
        try:
            made.fe.knobs(not_ready=1)
            for sql in [*sql_of_job(made).values(), JOBS, TASKS]:
                code, text = denied(c, sql)
                assert code == 1105 and "catalog is not ready" in text, (sql, text)
                assert "Sluice cannot learn" in text or "cannot ask the FE" in text, (sql, text)
            code, text = denied(c, "DROP JOB IF EXISTS WHERE jobName = 'unknown'")
            assert "cannot ask the FE" in text and "Nothing was changed" in text
        finally:
            made.fe.knobs(not_ready=0)
        assert denied(c, "PAUSE JOB WHERE jobName = 'j'")[1].count("same status") == 1
    assert made.standing() == before


def wait_question(fe):
    """Until a stopped FE has a question of Sluice's own unread in one of its sockets."""
    sizes = {4 + 1 + len(sql) for sql in ("SHOW GRANTS", "SELECT DATABASE() LIMIT 1")}

    def look():
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, _, queues = line.split()[:5]
            if int(local.split(":")[1], 16) == fe.port and int(queues.split(":")[1], 16) in sizes:
                return True
        return False
    procs.wait_until(look, what="a question to the FE")


@pytest.mark.parametrize("what", ("pause", "drop", "create", "jobs"))
def test_fe_dies_while_it_is_asked(made, what):
    before = made.standing()
    sql = {**sql_of_job(made), "jobs": JOBS}[what]
    c = made.sluice.connect("of_db", PW, db="demo")
    try:
        os.kill(made.fe.pid, signal.SIGSTOP)  # the question goes out, no answer comes
        c._execute_command(3, sql)
        wait_question(made.fe)
        made.fe.kill9()
        with pytest.raises(pymysql.err.MySQLError) as e:
            c._read_query_result()
        code, text = e.value.args
        assert code == 1152 and "lost the FE" in text and "nothing was changed" in text, text
    finally:
        with contextlib.suppress(pymysql.err.Error):
            c.close()
        made.fe.restart()
    now = made.standing()
    assert [row["Name"] for row in now["jobs"]] == ["j"]
    assert (now["jobs"][0]["Status"], now["ids"]) == ("PAUSED", before["ids"])
    assert now["jobs"][0]["Properties"] == before["jobs"][0]["Properties"]


def test_job_that_goes_while_the_fe_is_asked(kept):
    """It was found, and its target looked up; the change is for that job and no other."""
    kept.create_job("goes", "no/*.csv")
    c = kept.sluice.connect("of_table", PW)
    with contextlib.closing(kept.sluice.connect("chief", PW)) as chief:
        run(chief, JOBS)  # so that the FE need not be asked again
        os.kill(kept.fe.pid, signal.SIGSTOP)
        try:
            c._execute_command(3, "PAUSE JOB WHERE jobName = 'goes'")
            wait_question(kept.fe)
            run(chief, "DROP JOB WHERE jobName = 'goes'")
        finally:
            os.kill(kept.fe.pid, signal.SIGCONT)
        with pytest.raises(pymysql.err.MySQLError, match="job not exist, jobName: goes"):
            c._read_query_result()
    c.close()
    assert [row["Name"] for row in kept.execute(JOBS)] == ["j"]


# --- whose job it is ---

@pytest.fixture
def native(made):
    """Jobs of the FE's own: s is a streaming one, e is not."""
    made.fe.rows(FE_STREAMING % "s", db="demo")
    made.fe.rows(FE_SCHEDULED % "e", db="demo")
    yield made.fe
    for name in [row["Name"] for row in made.fe.rows(JOBS)]:
        made.fe.rows("DROP JOB WHERE jobName = '%s'" % name)


def status(fe, name):
    return {row["Name"]: row["Status"] for row in fe.rows(JOBS)}.get(name)


def test_statements_about_the_fes_jobs_reach_it(made, native):
    with contextlib.closing(made.sluice.connect(db="demo")) as c:
        run(c, "PAUSE JOB WHERE jobName = 's'")
        assert status(native, "s") == "PAUSED"
        assert "same status" in denied(c, "PAUSE JOB WHERE jobName = 's'")[1]  # the FE's own words
        run(c, "ALTER JOB s PROPERTIES ('max_interval' = '7')")
        run(c, "RESUME JOB WHERE jobName = 's'")
        assert status(native, "s") == "PENDING"
        assert "not support cancel task by id" in denied(
            c, "CANCEL TASK WHERE jobName = 's' AND taskId = 1")[1]
        run(c, "DROP JOB IF EXISTS WHERE jobName = 's'")
        assert status(native, "s") is None
        run(c, "/* a */ pause job where JOBNAME = \"e\";")
        assert status(native, "e") == "PAUSED"
        for sql in ("EXPLAIN JOB e", "SHOW CREATE JOB e", "ALTER JOB e RESOLVE TASK 1 AS ABORTED",
                    "ALTER JOB e RETRY ALL FILES"):
            assert "one of the FE's own" in denied(c, sql)[1]
    with contextlib.closing(made.sluice.connect("of_db", PW, db="demo")) as c:
        assert "job not exist, jobName: e" in denied(c, "RESUME JOB WHERE jobName = 'e'")[1]


def test_the_fes_jobs_in_scripts_and_prepared(made, native):
    client = wire.Client(made.sluice.port, "root", "", wire.DEFAULT_CAPABILITIES | 0x10000)
    try:
        found = client.query("PAUSE JOB WHERE jobName = 's'; PAUSE JOB WHERE jobName = 'e'; SELECT 7")
        assert [kind for kind, _ in found] == ["ok", "ok", "rows"], found
        assert (status(native, "s"), status(native, "e")) == ("PAUSED", "PAUSED")
        client.command(b"\x16RESUME JOB WHERE jobName = 's'")
        reply = client.read_packet()[1]
        assert reply[0] == wire.OK
        client.command(b"\x17" + reply[1:5] + b"\0\1\0\0\0")
        assert client.read_packet()[1][0] == wire.OK
        assert status(native, "s") == "PENDING"
        client.command(b"\x17" + reply[1:5] + b"\0\1\0\0\0")
        assert "same status" in wire.error(client.read_packet()[1])[1]
        assert client.query("SELECT 8") == [("rows", [[b"8"]])]
    finally:
        client.close()


def test_job_names_are_global(made, native):
    made.check_refused(create_job_sql("s", insert(made)), 1105, "HY000",
                       "job name exist, jobName:s", "a job of the FE's own", db="demo")
    made.execute(create_job_sql("s", insert(made)).replace("JOB", "JOB IF NOT EXISTS", 1), db="demo")
    assert status(native, "s") == "PENDING"
    # The other way round the FE knows nothing of ours; a statement by name means ours then.
    made.execute(FE_SCHEDULED % "j", db="demo")
    assert status(native, "j") == "RUNNING"
    assert "same status" in made.check_refused("PAUSE JOB WHERE jobName = 'j'", 1105, "HY000")
    assert status(native, "j") == "RUNNING"


@pytest.mark.parametrize("setting", ("sql_select_limit = 1", "dry_run_query = true"))
def test_the_sessions_variables_hide_no_job(made, native, setting):
    with contextlib.closing(made.sluice.connect(db="demo")) as c:
        run(c, "SET " + setting)
        if setting.startswith("sql"):
            run(c, "PAUSE JOB WHERE jobName = 'e'")
            assert status(native, "e") == "PAUSED"
        else:
            assert "dry_run_query" in denied(c, "PAUSE JOB WHERE jobName = 'e'")[1]
        assert "same status" in denied(c, "PAUSE JOB WHERE jobName = 'j'")[1]


def test_unknown_jobs_in_doriss_words(made):
    for sql, words in {
            "PAUSE JOB WHERE jobName = 'n'": "job not exist, jobName: n",
            "RESUME JOB WHERE jobName = 'n'": "job not exist, jobName: n",
            "ALTER JOB n PROPERTIES ('max_interval' = '7')": "job not exist, jobName: n",
            "DROP JOB WHERE jobName = 'n'": "unregister job error, jobName:n: job not exist, jobName:n",
            "CANCEL TASK WHERE jobName = 'n' AND taskId = 1": "job not exist, jobName:n",
            "EXPLAIN JOB n": "job not exist, jobName: n",
            "SHOW CREATE JOB n": "job not exist, jobName: n"}.items():
        made.check_refused(sql, 1105, "HY000", words, "Neither Sluice nor the FE")
    made.execute("DROP JOB IF EXISTS WHERE jobName = 'n'")


@pytest.mark.parametrize("profile", ("2.0", "2.1", "3.0"))
def test_an_fe_that_tells_nothing_of_its_jobs(swift, profile):
    """No jobs() at all in 2.0, for administrators alone in 2.1 and 3.0; ours work all the same."""
    with built(swift, profile) as rig:
        with contextlib.closing(rig.sluice.connect("of_db", PW, db="demo")) as c:
            run(c, create_job_sql("j", insert(rig)))
            run(c, "PAUSE JOB WHERE jobName = 'j'")
            assert [row["Name"] for row in run(c, JOBS)] == ["j"]
            text = denied(c, "PAUSE JOB WHERE jobName = 'n'")[1]
            assert "job not exist, jobName: n" in text
            assert ("administrators alone" in text) == (profile != "2.0")
            run(c, "DROP JOB IF EXISTS WHERE jobName = 'n'")
            run(c, "DROP JOB WHERE jobName = 'j'")


def test_on_streaming_fe(swift):
    """The FE makes streaming jobs itself; ours go on, and a reload changes it back."""
    with built(swift) as rig:
        rig.create_job("ours", "no/*.csv")
        early = wire.Client(rig.sluice.port, "root")
        assert early.query("USE demo")[0][0] == "ok"
        early.command(b"\x16" + create_job_sql("s0", insert(rig).replace("no/", "in/")).encode())
        reply = early.read_packet()[1]
        assert reply[0] == wire.OK
        reload(rig.sluice, 1, proxy__on_streaming="fe")
        early.command(b"\x17" + reply[1:5] + b"\0\1\0\0\0")  # prepared for Sluice, run by the FE
        assert early.read_packet()[1][0] == wire.OK
        early.close()
        assert status(rig.fe, "s0") == "PENDING"
        with contextlib.closing(rig.sluice.connect(db="demo")) as c:
            run(c, FE_STREAMING % "s")
            run(c, "/* x */ create  JOB s2 PROPERTIES('session.a'='1') ON STREAMING DO INSERT INTO t "
                   "SELECT 1, 'a', 1.5, NULL;")
            assert {status(rig.fe, "s"), status(rig.fe, "s2")} == {"PENDING"}
            # What Sluice would refuse is the FE's to judge, in its words.
            assert "mismatched input" in denied(c, "CREATE JOB x ON STREAMING DO NOTHING")[1]
            run(c, "PAUSE JOB WHERE jobName = 's'")
            assert status(rig.fe, "s") == "PAUSED"
            run(c, "PAUSE JOB WHERE jobName = 'ours'")
            assert rig.job("ours")["Status"] == "PAUSED"
        client = wire.Client(rig.sluice.port, "root", "", wire.DEFAULT_CAPABILITIES | 0x10000)
        try:
            assert client.query("USE demo; %s; SELECT 1" % (FE_STREAMING % "s3"))[-1] == (
                "rows", [[b"1"]])
            client.command(b"\x16" + (FE_STREAMING % "s4").encode())
            reply = client.read_packet()[1]
            client.command(b"\x17" + reply[1:5] + b"\0\1\0\0\0")
            assert client.read_packet()[1][0] == wire.OK
            assert {status(rig.fe, "s3"), status(rig.fe, "s4")} == {"PENDING"}
        finally:
            client.close()
        reload(rig.sluice, 2, proxy__on_streaming="sluice")
        rig.create_job("again", "no/*.csv")
        assert rig.job("again") and status(rig.fe, "again") is None
