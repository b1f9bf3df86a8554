"""
jobs() and tasks() with the FE's own rows among them, joined with real tables, prepared, and in texts
of several statements. A query that the FE runs over the rows is the oracle for the one that Sluice
answers itself: both give the same.
"""

import base64
import contextlib
import decimal
import pathlib
import shutil
import tempfile

import pymysql
import pytest

import conftest
import procs
import replies
import wire
from bucket import Bucket
from replies import execute, prepare
from rig import create_job_sql, create_table_sql

JOBS = 'jobs("type"="insert")'
TASKS = 'tasks("type"="insert")'
USERS = {"loader": ("pw", "db:demo:Load_priv,Select_priv"), "guest": ("pw", "db:demo:Select_priv")}
COMMENT = "it's a \\ \"b\" `c` é"
NO_FUNCTION = "2.0"
NO_STREAMING = ("2.0", "2.1")


class Front:
    """A stand-in and a sluice with jobs of both: alpha (two tasks), beta and gamma are Sluice's."""

    def __init__(self, profile, fe, sluice, bucket):
        self.profile, self.fe, self.sluice, self.bucket = profile, fe, sluice, bucket
        self.native = []  # in the order that jobs() shows them, behind ours
        self.fill()

    def fill(self):
        for sql in ("CREATE DATABASE demo", "CREATE DATABASE other",
                    create_table_sql("demo", "t"), create_table_sql("other", "t"),
                    create_table_sql("demo", "owner", "id INT, job VARCHAR(20), who VARCHAR(20)"),
                    "INSERT INTO demo.owner VALUES (1, 'alpha', 'Ann'), (2, 'gamma', 'Bob'), "
                    "(3, 'none', 'Cid')"):
            self.fe.rows(sql)
        self.bucket.put_rows("in/a.csv", 3)
        self.bucket.put_rows("in/b.csv", 4)
        self.create("alpha", "demo", "in/*.csv", '"s3.max_batch_files" = "1"', "COMMENT 'first'")
        self.create("beta", "demo", "none/*.csv", "", "COMMENT 'it''s a \\\\ \"b\" `c` é'")
        self.create("gamma", "other", "none/*.csv")
        if self.profile != NO_FUNCTION:
            self.create_native()
        procs.wait_until(lambda: self.value("SELECT SucceedTaskCount FROM %s WHERE Name = 'alpha'"
                                            % JOBS) == "2", 30, "two tasks of alpha")
        for name in ("alpha", "beta", "gamma"):
            self.rows("PAUSE JOB WHERE jobName = '%s'" % name)
            procs.wait_until(lambda: self.value("SELECT Status FROM %s WHERE Name = '%s'"
                                                % (JOBS, name)) == "PAUSED", 30, name + " paused")

    def create(self, name, db, pattern, properties="", comment=""):
        self.rows("CREATE JOB %s PROPERTIES(%s) ON STREAMING %s DO INSERT INTO %s.t SELECT c1, c2, "
                  "c3, c4 FROM %s" % (name, properties, comment, db, self.bucket.tvf(pattern)),
                  db=db)

    def create_native(self):
        self.fe.rows("CREATE JOB hourly ON SCHEDULE EVERY 1 HOUR COMMENT 'theirs' "
                     "DO INSERT INTO demo.t SELECT * FROM demo.t", db="demo")
        self.native = ["hourly"]
        if self.profile not in NO_STREAMING:
            self.bucket.put_rows("fe/a.csv", 1)
            self.fe.rows(create_job_sql("stream", "INSERT INTO demo.t SELECT * FROM "
                                        + self.bucket.tvf("fe/*.csv")), db="demo")
            self.native.append("stream")
        tasks = [{"TaskId": "7001", "ErrorMsg": "bad"}, {"TaskId": "7002"}]
        self.fe.show_jobs(hourly={"SucceedTaskCount": "12", "tasks": tasks})

    def rows(self, sql, **who):
        return self.sluice.rows(sql, **who)

    def value(self, sql, **who):
        (row,) = self.rows(sql, **who)
        (value,) = row.values()
        return value

    def column(self, sql, **who):
        return [next(iter(row.values())) for row in self.rows(sql, **who)]

    @property
    def names(self):
        return ["alpha", "beta", "gamma", *self.native]


def texts(fe):
    """What the FE was sent, the last 1000 commands."""
    return [base64.b64decode(entry["base64"]).decode("utf-8", "replace") for entry in fe.log()]


@contextlib.contextmanager
def running(swift, profile):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-views-"))
    bucket = Bucket(swift).create()
    fe = procs.StandIn(directory / "fe", profile, USERS)
    sluice = procs.Sluice(directory / "sluice", fe)
    for process in (fe, sluice):
        process.directory.mkdir(parents=True, exist_ok=True)
    conftest.SESSION.extend([fe, sluice])  # what they said goes into the report of a failed case
    try:
        fe.start()
        sluice.start()
        yield Front(profile, fe, sluice, bucket)
        sluice.stop()
    finally:
        for process in (sluice, fe):
            process.kill9()
            conftest.SESSION.remove(process)
        bucket.delete()
        shutil.rmtree(directory, ignore_errors=True)


PROFILES = ["2.0", "2.1", "4.0", "4.1"]


@pytest.fixture(scope="module")
def fronts(swift):
    """Of each profile one, started when it is first asked for."""
    made = {}
    with contextlib.ExitStack() as stack:
        def get(profile):
            if profile not in made:
                made[profile] = stack.enter_context(running(swift, profile))
            return made[profile]
        yield get


@pytest.fixture(params=[pytest.param(p, marks=pytest.mark.sanitize) if p == "4.0" else p
                        for p in PROFILES])
def front(request, fronts):
    return fronts(request.param)


@pytest.fixture
def newest(fronts):
    return fronts("4.1")


# --- the FE's own rows ---

def test_the_fes_jobs_are_there(front):
    found = front.rows("SELECT * FROM " + JOBS)
    assert [row["Name"] for row in found] == front.names
    assert list(found[0])[:20] == list(front.rows("SELECT * FROM %s WHERE Name = 'alpha'" % JOBS)[0])[:20]
    by_name = {row["Name"]: row for row in found}
    assert by_name["beta"]["Comment"] == COMMENT
    if front.native:
        direct = {row["Name"]: row for row in front.fe.rows("SELECT * FROM " + JOBS)}
        for name in front.native:
            for key, value in by_name[name].items():
                assert value == direct[name].get(key, ""), (name, key)
        assert by_name["hourly"]["ExecuteType"] == "RECURRING"
        assert front.column("SELECT Name FROM %s WHERE ExecuteType = recurring" % JOBS) == ["hourly"]
        assert front.column("SELECT Id FROM %s WHERE Id = %s" % (JOBS, direct["hourly"]["Id"])) == [
            direct["hourly"]["Id"]]


def test_the_fes_tasks_are_there(front):
    found = front.rows("SELECT * FROM %s ORDER BY TaskId" % TASKS)
    ours = [row for row in found if row["JobName"] == "alpha"]
    theirs = [row for row in found if row["JobName"] == "hourly"]
    assert [row["Status"] for row in ours if row["Status"] == "SUCCESS"] == ["SUCCESS"] * 2
    assert [row["TaskId"] for row in theirs] == (["7001", "7002"] if front.native else [])
    if theirs:
        direct = {row["TaskId"]: row for row in front.fe.rows("SELECT * FROM " + TASKS)}
        for row in theirs:
            for key, value in row.items():
                assert value == direct[row["TaskId"]].get(key, "\\N"), key
        assert front.column("SELECT ErrorMsg FROM %s WHERE TaskId = '7001'" % TASKS) == ["bad"]
        assert front.column("SELECT TaskId FROM %s WHERE JobName = 'hourly' AND TaskId = 7002"
                            % TASKS) == ["7002"]


def test_privileges(front):
    """Ours by LOAD on the target; the FE's own as it tells this user."""
    loader = {"user": "loader", "password": "pw"}
    guest = {"user": "guest", "password": "pw"}
    theirs = ["stream"] if "stream" in front.native else []
    assert front.column("SELECT Name FROM " + JOBS, **loader) == ["alpha", "beta", *theirs]
    assert front.column("SELECT Name FROM " + JOBS, **guest) == []
    assert front.rows("SELECT * FROM " + TASKS, **guest) == []
    sql = "SELECT o.job FROM demo.owner o JOIN %s j ON o.job = j.Name" % JOBS
    assert front.column(sql, **loader) == ["alpha"]
    assert sorted(front.column(sql)) == ["alpha", "gamma"]
    assert front.column(sql, **guest) == []


def test_one_question_for_each_function(front):
    mark = "SELECT 'mark %s'" % front.profile
    front.rows(mark)
    front.rows("SELECT Name FROM " + JOBS)
    sent = texts(front.fe)
    asked = sent[sent.index(mark):]
    assert sum('jobs("type"="insert")' in text for text in asked) == 1
    assert not any('tasks("type"="insert")' in text for text in asked)
    assert not any("time_zone" in text for text in asked)


@pytest.mark.parametrize("setting", [
    "sql_select_limit = 1", "sql_select_limit = 0", "dry_run_query = true",
    "sql_mode = 'NO_BACKSLASH_ESCAPES'", "time_zone = '+03:00'"])
def test_settings_do_not_spoil_it(front, setting):
    with contextlib.closing(front.sluice.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET " + setting)
        for sql in ("SELECT Name FROM " + JOBS, "SELECT JobName FROM " + TASKS):
            expected = {(name,) for name in front.names} if "Name FROM jobs" in sql else {
                ("alpha",), *([("hourly",)] if front.native else [])}
            cursor.execute(sql)
            assert set(cursor.fetchall()) == expected


def test_an_fe_that_cannot_say(newest):
    """Its error is the answer: a list without its jobs must not pass for a whole one."""
    newest.fe.knobs(not_ready=1)
    try:
        with pytest.raises(pymysql.err.MySQLError) as caught:
            newest.rows("SELECT Name FROM " + JOBS)
        assert "not ready" in caught.value.args[1]
    finally:
        newest.fe.knobs(not_ready=0)
    assert newest.column("SELECT Name FROM " + JOBS) == newest.names


def test_another_type_is_the_fes(front):
    if front.profile != NO_FUNCTION:
        assert front.rows('SELECT * FROM jobs("type"="mv")') == []
    for sql, text in (('SELECT * FROM jobs("typ"="insert")', "'typ' is invalid property"),
                      ("SELECT * FROM jobs()", "Invalid job metadata query")):
        with pytest.raises(pymysql.err.MySQLError) as caught:
            front.rows(sql)
        assert text in caught.value.args[1]


def test_the_same_name_twice(newest):
    """One of ours and one of the FE's: both rows, with different ids."""
    newest.fe.rows("CREATE JOB beta ON SCHEDULE EVERY 1 HOUR DO INSERT INTO demo.t SELECT * FROM "
                   "demo.t", db="demo")
    try:
        found = newest.rows("SELECT Id, Name FROM %s WHERE Name = 'beta'" % JOBS)
        assert len(found) == 2 and len({row["Id"] for row in found}) == 2
    finally:
        newest.fe.rows("DROP JOB WHERE jobName = 'beta'")


# --- queries ---

# Run by Sluice, and by the FE over the same rows. $J and $T are the functions.
QUERIES = [
    "SELECT Name, Status, ExecuteType FROM $J j ORDER BY Name",
    "SELECT name, `STATUS`, J.eXecuteType FROM $J j ORDER BY j.NAME DESC",
    "SELECT jobs.Name n FROM $J ORDER BY n LIMIT 2",
    "SELECT Name FROM $J ORDER BY 1 DESC LIMIT 1, 2",
    "SELECT Name FROM $J ORDER BY 1 LIMIT 2 OFFSET 1",
    "SELECT * FROM $J WHERE Name = 'beta'",
    "SELECT * FROM $T WHERE JobName = 'alpha' AND Status = 'SUCCESS' ORDER BY TaskId",
    "SELECT Name, Comment FROM $J WHERE Comment <> '' ORDER BY Name",
    "SELECT Name FROM $J WHERE Name = \"beta\"",
    "SELECT Name FROM $J WHERE Name IN ('alpha', 'gamma', 'x') ORDER BY Name",
    "SELECT Name FROM $J WHERE Name NOT IN ('alpha') AND NOT (Name = 'gamma') ORDER BY Name",
    "SELECT Name FROM $J WHERE Name BETWEEN 'alpha' AND 'beta' ORDER BY Name",
    "SELECT Name FROM $J WHERE Name LIKE '%a' ORDER BY Name",
    "SELECT Name FROM $J WHERE Name LIKE 'A%'",
    "SELECT Name FROM $J WHERE Name NOT LIKE '_e%' ORDER BY Name",
    "SELECT Status, COUNT(*) AS n FROM $J GROUP BY Status ORDER BY Status",
    "SELECT Status s, COUNT(*) FROM $J GROUP BY 1 HAVING COUNT(*) > 1",
    "SELECT COUNT(*), COUNT(DISTINCT JobName), MIN(JobName), MAX(JobName) FROM $T",
    "SELECT j.Name, t.TaskId FROM $J j JOIN $T t ON t.JobId = j.Id ORDER BY 1, 2",
    "SELECT j.Name, COUNT(t.TaskId) FROM $J j LEFT JOIN $T t ON t.JobName = j.Name GROUP BY j.Name "
    "ORDER BY 1",
    "SELECT Name FROM $J WHERE Id IN (SELECT JobId FROM $T) ORDER BY Name",
    "SELECT Name FROM $J j WHERE EXISTS (SELECT 1 FROM $T t WHERE t.JobId = j.Id AND "
    "t.Status = 'SUCCESS') ORDER BY Name",
    "SELECT Name, (SELECT COUNT(*) FROM $T t WHERE t.JobId = j.Id) FROM $J j ORDER BY Name",
    "SELECT n FROM (SELECT Name AS n FROM $J WHERE Status = 'PAUSED') x WHERE n > 'alpha' ORDER BY n",
    "SELECT Name FROM $J UNION SELECT JobName FROM $T ORDER BY 1",
    "(SELECT Name FROM $J WHERE Name = 'alpha') UNION ALL (SELECT JobName FROM $T WHERE "
    "Status = 'SUCCESS' AND JobName = 'alpha') ORDER BY 1",
    "SELECT CASE WHEN Name = 'alpha' THEN 'first' ELSE 'other' END c, COUNT(*) FROM $J GROUP BY 1 "
    "ORDER BY 1",
    "SELECT DISTINCT Status FROM $J ORDER BY 1",
    "SELECT Name FROM $J WHERE CAST(SucceedTaskCount AS INT) > 1 ORDER BY Name",
    "SELECT UPPER(Name), LENGTH(Comment), CONCAT(Name, '-', Status) FROM $J ORDER BY 1",
    "SELECT COALESCE(NULLIF(Comment, ''), 'none') FROM $J ORDER BY Name",
    "SELECT a.Name, b.Name FROM $J a, $J b WHERE a.Name < b.Name AND b.Name < 'h' ORDER BY 1, 2",
    "SELECT Name FROM $J WHERE Comment IS NOT NULL AND Name <=> 'beta'",
    "SELECT Name, ROW_NUMBER() OVER (ORDER BY Name) FROM $J ORDER BY 1",
    "/* a */ SELECT /*+ SET_VAR(query_timeout=5) */ Name -- b\nFROM $J WHERE Name = 'beta'",
]


def run(front, sql):
    with contextlib.closing(front.sluice.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return [[plain(cell) for cell in row] for row in cursor.fetchall()]


def plain(cell):
    """A cell without its type, which may differ: a sum is a DOUBLE here and a DECIMAL there."""
    return str(float(cell)) if isinstance(cell, (int, float, decimal.Decimal)) else cell


def of(sql):
    return sql.replace("$J", JOBS).replace("$T", TASKS)


@pytest.mark.parametrize("sql", QUERIES)
def test_both_answers_are_the_same(newest, sql):
    ours = run(newest, of(sql))
    assert not any("AS STRING) AS" in text for text in texts(newest.fe)[-3:])  # Sluice's own
    assert ours or "LIKE 'A%'" in sql
    assert run(newest, "WITH force AS (SELECT 1 FROM demo.owner) " + of(sql)) == ours
    (sent,) = [text for text in texts(newest.fe)[-2:] if text.startswith("WITH force")]
    assert "AS STRING) AS `" in sent and "insert" not in sent


@pytest.mark.parametrize("sql, expected", [
    ("SELECT Name FROM $J WHERE ExecuteType = streaming AND Definer = root ORDER BY 1 LIMIT 1",
     [["alpha"]]),
    ("select Name from job(type=insert) where Status in (paused) order by Name limit 1", [["alpha"]]),
    ("SELECT job.Name FROM job(\"type\" = 'Insert') WHERE job.Name = 'beta'", [["beta"]]),
    ("SELECT Name FROM $J WHERE Name RLIKE '^(al|be)' ORDER BY 1", [["alpha"], ["beta"]]),
    ("SELECT Name FROM $J WHERE Name REGEXP 'mm'", [["gamma"]]),
    ("WITH a AS (SELECT * FROM $J), b (x) AS (SELECT Name FROM a) SELECT x FROM b WHERE x = 'beta'",
     [["beta"]]),
    ("SELECT Name FROM $J WHERE SucceedTaskCount > 1 AND SucceedTaskCount < 10", [["alpha"]]),
    ("SELECT Name FROM $J WHERE SucceedTaskCount = 12", [["hourly"]]),
])
def test_queries(newest, sql, expected):
    assert run(newest, of(sql)) == expected


# --- with real tables: the FE runs it ---

TABLE_QUERIES = [
    ("SELECT j.Name, o.who FROM $J j JOIN demo.owner o ON o.job = j.Name ORDER BY 1",
     [["alpha", "Ann"], ["gamma", "Bob"]]),
    ("SELECT who FROM demo.owner WHERE job NOT IN (SELECT Name FROM $J)", [["Cid"]]),
    ("SELECT o.who, COUNT(t.TaskId) FROM demo.owner o LEFT JOIN $T t ON t.JobName = o.job AND "
     "t.Status = 'SUCCESS' GROUP BY o.who ORDER BY 1", [["Ann", "2.0"], ["Bob", "0.0"],
                                                        ["Cid", "0.0"]]),
    ("SELECT o.who FROM demo.owner o, $J WHERE jobs.Name = o.job AND jobs.Name = 'gamma'", [["Bob"]]),
    ("SELECT Comment FROM $J j, demo.owner WHERE j.Name = 'beta' LIMIT 1", [[COMMENT]]),
    ("SELECT COUNT(*) FROM $J j, demo.owner WHERE j.Name = 'absent'", [["0.0"]]),
    ("SELECT o.who FROM demo.owner o WHERE EXISTS (SELECT 1 FROM $T t JOIN $J j ON j.Id = t.JobId "
     "WHERE j.Name = o.job AND t.ErrorMsg = '\\\\N')", [["Ann"]]),
]


@pytest.mark.parametrize("sql, expected", TABLE_QUERIES)
def test_with_tables(front, sql, expected):
    assert run(front, of(sql)) == expected


@pytest.mark.parametrize("sql_mode", ["", "NO_BACKSLASH_ESCAPES"])
def test_values_arrive_as_they_are(front, sql_mode):
    with contextlib.closing(front.sluice.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '%s'" % sql_mode)
        cursor.execute(of("SELECT j.Comment, j.ExecuteSql FROM $J j JOIN demo.owner ON who = 'Ann' "
                          "WHERE j.Name = 'beta'"))
        comment, text = cursor.fetchone()
    assert comment == COMMENT
    assert text == front.value(of("SELECT ExecuteSql FROM $J WHERE Name = 'beta'"))
    assert "*XXX" in text and front.bucket.server.secret_key not in text
    sent = "".join(texts(front.fe))
    assert front.bucket.server.secret_key.encode().hex().upper() not in sent
    assert comment.encode().hex().upper() in sent


def test_star_of_a_join(front):
    (row,) = front.rows(of("SELECT * FROM $J j JOIN demo.owner o ON o.job = j.Name WHERE j.Name = "
                           "'alpha'"))
    alone = front.rows(of("SELECT * FROM $J WHERE Name = 'alpha'"))[0]
    assert list(row) == [*alone, "id", "job", "who"]
    assert {key: row[key] for key in alone} == alone


def test_what_sqlite_lacks(front):
    """The FE may know the function; or its error is the answer."""
    assert run(front, of("SELECT list_sort([3, 1])[1], Name FROM $J WHERE Name = 'beta'")) == [
        ["1.0", "beta"]]
    with pytest.raises(pymysql.err.MySQLError, match="(?i)nofunc"):
        front.rows(of("SELECT nofunc(Name) FROM $J"))
    with pytest.raises(pymysql.err.MySQLError) as caught:
        front.rows(of("SELECT Name FROM $J JOIN demo.missing ON 1 = 1"))
    assert "missing" in caught.value.args[1]
    assert front.column(of("SELECT Name FROM $J WHERE Name = 'beta'")) == ["beta"]


def test_pipes_are_the_fes(newest):
    """OR, or a text of both: the session's sql_mode says, which the FE has."""
    assert newest.column(of("SELECT Name FROM $J WHERE Name = 'beta' || Name = 'alpha' ORDER BY 1")
                         ) == ["alpha", "beta"]
    (sent,) = [text for text in texts(newest.fe)[-3:] if "'beta' || Name" in text]
    assert "AS STRING) AS `" in sent and "insert" not in sent


def test_in_a_text_of_several(front):
    client = wire.Client(front.sluice.port, "root", "")
    try:
        found = client.query("SELECT 1; " + of(TABLE_QUERIES[0][0]) + "; SELECT Name FROM %s WHERE Name "
                             "= 'beta'; SELECT 2" % JOBS)
        assert found == [("rows", [[b"1"]]), ("rows", [[b"alpha", b"Ann"], [b"gamma", b"Bob"]]),
                         ("rows", [[b"beta"]]), ("rows", [[b"2"]])]
        found = client.query("SELECT who FROM demo.owner, %s WHERE nothing = 1; SELECT 2" % JOBS)
        assert [kind for kind, _ in found] == ["err"]
        assert client.query("SELECT 40 + 2") == [("rows", [[b"42"]])]
    finally:
        client.close()


def test_prepared(front):
    """The FE runs the text with the parameters in it; its rows come back in the binary protocol."""
    client = wire.Client(front.sluice.port, "root", "")
    try:
        statement, n_params, columns = prepare(
            client, of("SELECT j.Name, o.id, o.who, NULL FROM $J j JOIN demo.owner o ON o.job = j.Name "
                       "WHERE o.who = ? AND o.id < ?"))
        assert n_params == 2 and columns == []
        for who, expected in (("Ann", [[b"alpha", 1, b"Ann", None]]), ("Cid", [])):
            client.command(execute(statement, [(replies.STRING, who), (replies.LONG, 9)]))
            assert replies.Reply(client).results(binary=True) == [("rows", expected)]
        client.command(execute(statement, [(replies.STRING, "Ann"), (replies.LONG, 9)], flags=1))
        kind, found, _ = replies.Reply(client).result(True)
        assert kind == "cursor" and [c.name for c in found][:3] == ["Name", "id", "who"]
        client.send(replies.fetch(statement, 5))
        payload = replies.Reply(client).packet()
        assert replies.binary_row(payload, found)[:3] == [b"alpha", 1, b"Ann"]
        client.read_packet()
        statement, _, columns = prepare(client, of("SELECT Name, Status FROM $J WHERE Name = ?"))
        assert [c.name for c in columns] == ["Name", "Status"]
        client.command(execute(statement, [(replies.STRING, "beta")]))
        assert replies.Reply(client).results(binary=True) == [("rows", [[b"beta", b"PAUSED"]])]
        assert client.query("SELECT 40 + 2") == [("rows", [[b"42"]])]
    finally:
        client.close()


def test_show_jobs(front):
    assert front.column("SHOW JOBS LIKE '%a'") == front.column(
        of("SELECT Id FROM $J WHERE Name LIKE '%a'"))


def test_a_query_within_a_statement(front):
    """INSERT, CREATE TABLE AS and EXPLAIN read the rows of Sluice, too; the FE runs them."""
    front.rows("CREATE TABLE demo.snap (name VARCHAR(50), status VARCHAR(20)) "
               "DISTRIBUTED BY HASH(name) BUCKETS 1 PROPERTIES ('replication_num' = '1')")
    try:
        assert front.rows("INSERT INTO demo.snap SELECT Name, Status FROM %s" % JOBS) == []
        want = sorted((j["Name"], j["Status"]) for j in front.rows("SELECT Name, Status FROM %s" % JOBS))
        assert len(want) >= 3
        got = front.rows("SELECT name, status FROM demo.snap")
        assert sorted((row["name"], row["status"]) for row in got) == want
        assert front.rows("INSERT INTO demo.snap WITH LABEL one (name) SELECT JobName FROM %s t "
                          "WHERE JobName = 'alpha'" % TASKS) == []
        assert len(front.rows("SELECT name FROM demo.snap WHERE status IS NULL")) == 2
        assert front.rows("EXPLAIN SELECT Name FROM %s" % JOBS)
        with pytest.raises(pymysql.Error, match="is invalid property"):
            front.rows('INSERT INTO demo.snap SELECT Name, Status FROM jobs("typ"="insert")')
    finally:
        front.rows("DROP TABLE demo.snap")
