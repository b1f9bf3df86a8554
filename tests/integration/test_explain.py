"""EXPLAIN CREATE JOB, EXPLAIN JOB and SHOW CREATE JOB: what they tell, to whom, and that they change nothing."""

import contextlib
import pathlib
import re
import select
import shutil
import socket
import tempfile

import pymysql
import pytest

import conftest
import procs
import wire
from bucket import Bucket, csv_text
from replies import DEPRECATE_EOF, prepare, run
from rig import SLOW_MS, Rig, create_job_sql, create_table_sql

PW = "pw"
USERS = {"loader": (PW, "table:demo.t:Load_priv"), "reader": (PW, "db:demo:Select_priv"),
         "svc": (PW, "table:demo.t:Load_priv"), "nothing": (PW, "")}
LOADER, READER = ({"user": name, "password": PW} for name in ("loader", "reader"))
SELECT = "SELECT c1, c2, c3, c4 FROM "
JOB = {"max_interval": "1"}
FILES = ["in/%c.csv" % c for c in "abcdefg"]


@contextlib.contextmanager
def built(swift, profile="4.1", config=None, knobs=None):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-explain-"))
    bucket = Bucket(swift).create()
    fe = procs.StandIn(directory / "fe", profile, USERS, knobs)
    sluice = procs.Sluice(directory / "sluice", fe, config)
    conftest.SESSION.extend([fe, sluice])
    try:
        fe.start()
        sluice.start()
        rig = Rig(fe, sluice, bucket)
        rig.execute(create_table_sql("demo", "narrow", "id INT NOT NULL, name VARCHAR(9) NOT NULL"))
        rig.execute("CREATE TABLE demo.once (id INT, name VARCHAR(9)) UNIQUE KEY(id) DISTRIBUTED BY "
                    "HASH(id) BUCKETS 1 PROPERTIES ('replication_num' = '1')")
        for key in FILES:
            bucket.put_rows(key, 5)
        bucket.put("in/empty.csv", "")
        yield rig
        assert sluice.stop() == 0
        assert sluice.sanitizer_reports() == []
    finally:
        conftest.SESSION.remove(fe)
        conftest.SESSION.remove(sluice)
        sluice.kill9()
        fe.kill9()
        with contextlib.suppress(Exception):  # of the test bed's own server, after the fact
            bucket.delete()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def made(swift):
    with built(swift) as rig:
        yield rig


@pytest.fixture(scope="module")
def poor(swift):
    """2.0, a service account with the least it needs, no doris.http, an empty table."""
    with built(swift, "2.0", {"doris.user": "svc", "doris.password": PW, "doris.http": None}) as rig:
        yield rig


@pytest.fixture
def job(made):
    """Job `j`, idle after all files; gone afterwards."""
    made.create_job(properties={"max_interval": "1", "s3.max_batch_files": "2"})
    procs.wait_until(lambda: "No data" in made.job()["JobRuntimeMsg"], 30, "the job to be idle")
    yield made
    made.execute("DROP JOB IF EXISTS WHERE jobName = 'j'")


def lines_of(rows):
    """[(item, level, value)]; a value goes on in the rows below its own."""
    assert all(list(row) == ["Item", "Level", "Value"] for row in rows)
    lines = []
    for row in rows:
        assert len(row["Value"].encode()) <= 100
        if row["Item"] == "":
            assert row["Level"] == ""
            item, level, value = lines.pop()
            gap = "" if value.endswith(",") and len(value) > 60 else " "
            lines.append((item, level, value + gap + row["Value"]))
        else:
            lines.append((row["Item"], row["Level"], row["Value"]))
    return lines


def explain(rig, what, **who):
    """The lines; no secret is in them, and the first is the summary, which counts the others."""
    rows = rig.execute("EXPLAIN " + what, **who)
    text = repr(rows)
    assert rig.bucket.server.secret_key not in text and rig.bucket.server.access_key not in text
    lines = lines_of(rows)
    for _, _, value in lines:  # whoever reads a time knows of which zone it is
        assert not re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?! UTC)", value), value
    n_errors = sum(1 for item, level, _ in lines if level == "ERROR" and item != "summary")
    assert lines[0][0] == "summary"
    assert ("%d problem" % n_errors in lines[0][2]) == (n_errors > 0), lines
    return lines


def create(rig, target="demo.t", select=SELECT, pattern="in/*.csv", properties=None, name="x", **tvf):
    insert = "INSERT INTO %s %s%s" % (target, select, rig.bucket.tvf(pattern, **tvf))
    return create_job_sql(name, insert, properties)


def check(lines, *wanted):
    """Each (item, level, words) is one of the lines."""
    for item, level, *words in wanted:
        found = [line for line in lines if line[0] == item and line[1] == level and
                 all(word in line[2] for word in words)]
        assert found, "no %s %r with %r in:\n%s" % (level, item, words, "\n".join(map(repr, lines)))


@pytest.mark.quick
@pytest.mark.sanitize
def test_nothing_is_wrong(made):
    before = made.standing()
    lines = explain(made, create(made, properties={"s3.max_batch_files": "3",
                                                   "session.enable_insert_strict": "false"}))
    check(lines, ("summary", "OK", "CREATE JOB would create this job"),
          ("name", "", "x, no job of Sluice has it"), ("name at the FE", "", "no job of the FE"), ("target", "", "demo.t, 4 columns"),
          ("your privileges", "", "'root' has LOAD on demo.t"),
          ("service account", "", "'root' (doris.user) is let in"),
          ("source", "", made.bucket.uri("in/*.csv"), made.bucket.server.endpoint),
          ("first batch", "", "3 files", "more files follow"), ("first file", "", "in/a.csv"),
          ("last file", "", "in/c.csv"), ("estimate", "", "3 batches: 7 files"),
          ("skipped", "", "1 empty"), ("column 1", "", "id bigint <- c1 TEXT"),
          ("column 4", "", "created datetime <- c4 TEXT"), ("guarantee", "", "exactly once"),
          ("FE", "", "Doris 4.1"), ("label memory", "", "12 h", "newest 2000 loads"),
          ("interrupted loads", "", "through doris.http"), ("in doubt", "", "IN_DOUBT"),
          ("max_interval", "", "1 s", "scheduler.max_interval"), ("s3.max_batch_files", "", "3"),
          ("s3.max_batch_bytes", "", "10737418240", "default"),
          ("session.enable_insert_strict", "", "false"), ("plan", "", "plans the INSERT"),
          ("first INSERT", "", "INSERT INTO demo.t WITH LABEL `<job id>_1` SELECT",
           "in/{a.csv,b.csv,c.csv}", "*XXX"))
    items = [line[0] for line in lines]
    order = ["name", "target", "your privileges", "source", "column 1", "guarantee", "max_interval",
             "first INSERT"]
    assert sorted(order, key=items.index) == order
    assert made.standing() == before


@pytest.mark.parametrize("change, wanted", [
    ({"target": "demo.nope"}, [("target", "ERROR", "demo.nope does not exist: CREATE TABLE it first"),
                               ("first batch", "", "7 files"), ("summary", "ERROR", "1 problem:"),
                               ("plan", "", "for what is marked ERROR above")]),
    ({"target": "nodb.t"}, [("target", "ERROR", "database nodb does not exist: CREATE DATABASE it"),
                            ("summary", "ERROR", "1 problem:")]),
    ({"s3.secret_key": "no such key"}, [("source", "ERROR", "SignatureDoesNotMatch"),
                                        ("column 1", "", "id bigint <- ?")]),
    ({"pattern": "in/*.txt"}, [("first batch", "WARNING", "of 8 objects", "none matches the uri"),
                               ("first INSERT", "", "none yet"),
                               ("columns", "WARNING", "not checked: no file is there yet"),
                               ("summary", "WARNING", "2 warnings")]),
    ({"pattern": "none/*"}, [("first batch", "WARNING", "no object below \"none/\"")]),
    ({"uri": "s3://b/{a"}, [("source", "ERROR", "Invalid uri"), ("target", "", "4 columns")]),
    ({"select": "SELECT c1, c2 FROM "},
     [("number of columns", "ERROR", "the SELECT has 2 and the target takes 4"),
      ("column 3", "", "amount decimal(10,2) <- nothing"), ("plan", "", "insert into cols"),
      ("summary", "ERROR", "1 problem:")]),
    ({"select": "SELECT nonsense FROM "}, [("plan", "ERROR", "nonsense"), ("summary", "ERROR", "1 problem")]),
    ({"select": "SELECT nonsense FROM ", "pattern": "none/*"},
     [("columns", "WARNING", "not checked"), ("summary", "WARNING", "2 warnings")]),
    ({"bogus_prop": "1"}, [("property", "WARNING", '"bogus_prop" of S3(...) is not known to Sluice'),
                           ("summary", "WARNING", "1 warning:")]),
    ({"select": "SELECT c1, max(c2), c3, c4 FROM "},
     [("SELECT", "WARNING", "max(): computed for each batch of files, not over all of them")]),
    ({"select": "SELECT c2 AS name, c1 AS id, c3, c4 FROM "},
     [("column 1", "WARNING", "id bigint <- name TEXT", "by position"), ("column 2", "WARNING")]),
    ({"select": "SELECT c1, c1, c3, c4 FROM "}, [("column 2", "", "name varchar(64) <- ")]),
    ({"target": "demo.narrow", "select": "SELECT CAST(c1 AS BIGINT) AS n, c2 FROM "},
     [("column 1", "WARNING", "id int NOT NULL <- n BIGINT", "too large"),
      ("column 2", "", "name varchar(9) NOT NULL <- c2 TEXT")]),
    ({"target": "demo.narrow (name)", "select": "SELECT c2 FROM "},
     [("column 1", "", "name varchar(9) NOT NULL <- c2"),
      ("column not listed", "ERROR", "id int NOT NULL has no default")]),
    ({"target": "demo.t (id, amount)", "select": "SELECT c1, c3 FROM "},
     [("column 2", "", "amount decimal(10,2) <- c3"),
      ("column not listed", "", "name varchar(64) gets its default"), ("summary", "OK")]),
    ({"target": "demo.once", "select": "SELECT c1, c2 FROM "},
     [("in doubt", "", "UNIQUE KEY", "is safe"), ("summary", "OK")]),
    ({"properties": {"max_interval": "0", "s3.max_batch_files": "x", "nonsense": "1"}},
     [("max_interval", "ERROR", "at least 1 second"), ("s3.max_batch_files", "ERROR", "but was x"),
      ("nonsense", "ERROR", "Invalid properties: [nonsense]"), ("estimate", "", "1 batch")]),
    ({"properties": {"session.no_such_variable": "1"}},
     [("session", "ERROR", "no_such_variable"), ("column 1", "", "id bigint <- c1")]),
    ({"properties": {"offset": "{\"fileName\":\"in/e.csv\"}"}},
     [("offset", "", "in/e.csv", "what comes behind it"), ("first file", "", "in/f.csv"),
      ("estimate", "", "2 files")]),
    ({"properties": {"offset": "nonsense"}}, [("source", "ERROR", "offset", "nonsense")]),
], ids=str)
def test_each_problem(made, change, wanted):
    before = made.standing()
    properties = change.get("properties")
    if properties and properties.get("offset"):
        change = {k: v for k, v in change.items() if k != "properties"}
        sql = create(made, **change).replace(
            "PROPERTIES ()", "PROPERTIES ('offset' = '%s')" % properties["offset"])
    else:
        sql = create(made, **change)
    check(explain(made, sql), *wanted)
    assert made.standing() == before


def test_properties_of_files(made):
    """Discovery, bad files, mode and guarantee are told, given or not; then a wrong one, as of CREATE."""
    check(explain(made, create(made)), ("guarantee", "", "exactly once by label"),
          ("s3.discovery", "", "ordered"), ("s3.bad_files", "", "quarantine"),
          ("s3.ingestion_mode", "", "ORDERED_LIST"))
    given = {"s3.discovery": "TRACKED", "s3.overwritten": "reload", "s3.bad_files": "pause",
             "s3.ingestion_mode": "one_time", "guarantee": "transactional"}
    listed = ", ".join('"%s" = "%s"' % pair for pair in given.items())
    sql = create(made).replace("ON STREAMING", "PROPERTIES (%s) ON STREAMING" % listed)
    check(explain(made, sql), ("guarantee", "", "exactly once by transaction"),
          ("s3.discovery", "", "tracked"), ("s3.overwritten", "", "reload"),
          ("s3.bad_files", "", "pause"), ("s3.ingestion_mode", "", "ONE_TIME"))
    lines = explain(made, sql.replace("transactional", "twice").replace("TRACKED", "ordered"))
    check(lines, ("summary", "ERROR", "2 problems"),
          ("guarantee", "ERROR", "must be one of [label, transactional], but was twice"),
          ("s3.overwritten", "ERROR", 'wants "s3.discovery" = "tracked"'),
          ("s3.bad_files", "", "pause"))


def test_errors_as_of_create(made):
    """What is no statement, or has no target, is an ERR packet, the same as CREATE's."""
    bad = ["CREATE JOB x ON STREAMING DO INSERT INTO demo.t SELECT 1",
           "CREATE JOB x PROPERTIES (1) ON STREAMING DO INSERT INTO demo.t SELECT * FROM S3()",
           create(made, target="hive.demo.t"), create(made, target="t")]
    for sql in bad:
        errors = []
        for text in (sql, "EXPLAIN " + sql):
            with pytest.raises(pymysql.MySQLError) as caught:
                made.execute(text)
            errors.append((caught.value.args[0], caught.value.args[1].split("(line")[0]))
        assert errors[0] == errors[1]


def test_names(job):
    assert [line[1] for line in explain(job, create(job, name="free")) if line[0] == "name"] == [""]
    check(explain(job, create(job, name="j")), ("name", "ERROR", "DROP JOB WHERE jobName = 'j'"))
    check(explain(job, create(job, name="j").replace("JOB j", "JOB IF NOT EXISTS j")),
          ("name", "WARNING", "do nothing"))
    odd = "`o'clock x`"
    job.create_job(odd, properties=JOB)
    try:
        advice = "DROP JOB WHERE jobName = 'o''clock x' first"
        check(explain(job, create(job, name=odd)), ("name", "ERROR", advice))
        with pytest.raises(pymysql.MySQLError) as caught:
            job.execute(create(job, name=odd))
        assert advice in caught.value.args[1]
        check(explain(job, "JOB `o'clock x`"), ("job", "", "o'clock x"))
    finally:
        job.execute("DROP JOB WHERE jobName = 'o''clock x'")
    job.fe.rows("CREATE JOB fes ON SCHEDULE EVERY 1 HOUR DO INSERT INTO demo.t SELECT * FROM demo.t",
                db="demo")
    try:
        check(explain(job, create(job, name="fes")),
              ("name at the FE", "ERROR", "a job of the FE's own"))
        for sql in ("EXPLAIN JOB fes", "SHOW CREATE JOB fes"):
            with pytest.raises(pymysql.MySQLError, match="own, which Sluice does not run"):
                job.execute(sql)
    finally:
        job.fe.rows("DROP JOB WHERE jobName = 'fes'", db="demo")


@pytest.mark.sanitize
def test_privileges(job):
    lines = explain(job, create(job), **READER)
    assert [line[0] for line in lines] == ["summary", "your privileges"]
    check(lines, ("your privileges", "ERROR", "LOAD command denied to user 'reader'"))
    listed = len(job.fe.log())
    assert explain(job, create(job, target="demo.secret"), **READER)[1][1] == "ERROR"
    commands = job.fe.log()[listed:]
    assert {entry["user"] for entry in commands} <= {"reader", "root"}
    check(explain(job, create(job), **LOADER), ("summary", "OK"))
    for sql in ("EXPLAIN JOB j", "SHOW CREATE JOB j"):
        with pytest.raises(pymysql.MySQLError, match="LOAD command denied") as caught:
            job.execute(sql, **READER)
        assert caught.value.args[0] == 1142
        assert job.execute(sql, **LOADER)
        with pytest.raises(pymysql.MySQLError, match="job not exist"):
            job.execute(sql.replace(" j", " none"))


def test_guarantee_of_a_poor_setting(poor):
    """The least that an FE and an account give: said, and what to do about it."""
    lines = explain(poor, create(poor))
    check(lines, ("FE", "", "Doris 2.0"), ("label memory", "", "may not read", "label_window = 1 min"),
          ("service account", "WARNING", "no LOAD on the database demo",
           "nothing can tell what became", "GRANT LOAD_PRIV ON demo.* TO 'svc'"),
          ("interrupted loads", "", "up to 1800 s", "doris.http is not set"),
          ("estimate", "", "7 batches: 7 files"), ("column 1", "", "id bigint <- c1"),
          ("first batch", "", "1 file,"),
          ("s3.max_batch_files", "", "256 (the default); Doris 2.0 has no brace lists: one file a task"))
    lines = explain(poor, create(poor, target="demo.narrow", select="SELECT c1, c2 FROM "))
    check(lines, ("service account", "ERROR", "no LOAD on demo.narrow: GRANT LOAD_PRIV"),
          ("target", "", "may not see demo.narrow"), ("summary", "ERROR", "1 problem "))


def test_an_offset_table_that_may_not_be_made(rig):
    """EXPLAIN knows what CREATE JOB would fail of; both tell the statement to send, which works."""
    made = rig(users={"svc": ("pw", "db:demo:LOAD_PRIV,SELECT_PRIV")},
               config={"doris.user": "svc", "doris.password": "pw"})
    made.bucket.put_rows("in/a.csv", 10)
    sql = create(made, properties={"max_interval": "1", "guarantee": "transactional"})
    check(explain(made, sql), ("summary", "ERROR", "1 problem: "),
          ("offset table", "ERROR", "lacks CREATE_PRIV to make and use it", "DUPLICATE KEY(job_id"))
    with pytest.raises(pymysql.err.MySQLError) as caught:
        made.execute(sql)
    text = caught.value.args[1]
    assert "may not create: run CREATE TABLE IF NOT EXISTS `demo`.`sluice_offsets`" in text
    assert "TO 'svc'; " in text[:512]  # what the mysql client shows of an error
    made.fe.rows(text.split("may not create: run ")[1].split("; and GRANT")[0])
    made.execute(sql)
    made.check_exactly_once()
    (n,), = (row.values() for row in made.fe.rows("SELECT COUNT(*) FROM demo.sluice_offsets"))
    assert n == 1


def test_label_window_beyond_the_fe(made):
    made.fe.knobs(label_keep_s=5)
    try:
        check(explain(made, create(made)), ("label memory", "", "5 s"),
              ("label memory", "WARNING", "scheduler.label_window = 1 min is longer", "5s or less"))
    finally:
        made.fe.knobs(label_keep_s=43200)


def test_service_account_is_not_let_in(made, sluice):
    """The rest is told all the same: the user's own connection and the bucket do not need it."""
    second = sluice(made.fe, {"doris.user": "svc", "doris.password": "wrong one"})
    lines = explain(Rig(made.fe, second, made.bucket), create(made))
    check(lines, ("summary", "ERROR", "1 problem"),
          ("service account", "ERROR", "'svc'", "check doris.user and doris.password"),
          ("FE", "WARNING", "not asked"), ("name", "", "x"), ("first file", "", "in/a.csv"),
          ("your privileges", "", "'root' has LOAD"), ("first INSERT", "", "INSERT INTO demo.t"))
    assert "wrong one" not in repr(lines)


def test_left_to_the_fe(made, sluice):
    second = sluice(made.fe, {"proxy.on_streaming": "fe"})
    check(explain(Rig(made.fe, second, made.bucket), create(made)),
          ("proxy.on_streaming", "WARNING", "CREATE JOB goes to the FE"))


def test_long_statement(made):
    """Its middle is left out: what matters would scroll away."""
    sql = create(made) + " WHERE c1 NOT IN (%s)" % ", ".join(map(str, range(1000, 3000)))
    shown = [line[2] for line in explain(made, sql) if line[0] == "first INSERT"][0]
    assert "bytes are left out here" in shown and len(shown) < 3000
    assert shown.startswith("INSERT INTO demo.t WITH LABEL") and shown.endswith("2998, 2999)")


@pytest.mark.parametrize("capabilities", [wire.DEFAULT_CAPABILITIES,
                                          wire.DEFAULT_CAPABILITIES | DEPRECATE_EOF])
@pytest.mark.sanitize
def test_prepared(job, capabilities):
    """The columns are known at PREPARE, and rows are binary."""
    client = wire.Client(job.sluice.port, "root", "", capabilities)
    client.is_classic = True
    try:
        for sql, names in (("EXPLAIN " + create(job), ["Item", "Level", "Value"]),
                           ("EXPLAIN JOB j", ["Item", "Level", "Value"]),
                           ("SHOW CREATE JOB j", ["Job", "Create Job"])):
            statement, n_params, columns = prepare(client, sql)
            assert n_params == 0 and [c.name for c in columns] == names
            for _ in range(2):
                (kind, found), = run(client, statement)
                assert kind == "rows" and len(found[0]) == len(names)
                assert found[0][0] in (b"summary", b"j")
    finally:
        client.close()


def test_in_a_script(job):
    with contextlib.closing(job.sluice.connect(
            client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1; EXPLAIN JOB j; SHOW CREATE JOB j; EXPLAIN %s; SELECT 2"
                           % create(job))
            results = [cursor.fetchall()]
            while cursor.nextset():
                results.append(cursor.fetchall())
    assert [rows[0][0] for rows in results] == [1, "summary", "j", "summary", 2]


def test_show_create_makes_the_job_again(job):
    row, = job.execute("SHOW CREATE JOB j")
    assert list(row) == ["Job", "Create Job"] and row["Job"] == "j"
    text = row["Create Job"]
    assert text.startswith("CREATE JOB `j`\nPROPERTIES (\n") and "\"s3.secret_key\" = \"*XXX\"" in text
    server = job.bucket.server
    assert server.secret_key not in text and server.access_key not in text
    before = job.job()
    job.execute("DROP JOB WHERE jobName = 'j'")
    job.execute(text.replace("\"s3.access_key\" = \"*XXX\"", "\"s3.access_key\" = \"%s\"" % server.access_key)
                .replace("\"s3.secret_key\" = \"*XXX\"", "\"s3.secret_key\" = \"%s\"" % server.secret_key)
                .replace("ON STREAMING", "ON STREAMING COMMENT 'it''s \"so\"'"))
    again = job.job()
    assert (again["Properties"], again["ExecuteSql"]) == (before["Properties"], before["ExecuteSql"])
    assert job.execute("SHOW CREATE JOB j")[0]["Create Job"] == text.replace(
        "ON STREAMING", "ON STREAMING\nCOMMENT \"it's \"\"so\"\"\"")


# --- EXPLAIN JOB ---

@pytest.mark.quick
@pytest.mark.sanitize
def test_idle_job(job):
    lines = procs.wait_until(  # and not at its look at the source, once a second
        lambda: (lambda found: found if any("next look" in line[2] for line in found)
                 else None)(explain(job, "JOB j")), what="the job between two looks")
    check(lines, ("summary", "OK", "looks for new files"), ("job", "", "demo.t", "root"),
          ("state", "", "RUNNING for"), ("phase", "", "next look at the source is"),
          ("last listing", "", "nothing new"), ("committed offset", "", "in/g.csv"),
          ("end offset", "", "caught up"), ("last success", "", "task 4"),
          ("tasks", "", "4 succeeded, 0 failed, 0 canceled"), ("loaded", "", "35 rows", "7 files"),
          ("automatic resumes", "", "0 of 10"))
    job.execute("PAUSE JOB WHERE jobName = 'j'")
    check(explain(job, "JOB WHERE jobName = 'j'"), ("summary", "WARNING", "PAUSED by the user"),
          ("reason", "", "MANUAL_PAUSE_ERR"), ("what resumes it", "", "RESUME JOB"))


def test_paused_by_an_error(made):
    made.fe.knobs(fail_insert="no such luck", fail_insert_count=-1)
    try:
        made.create_job("e", properties=JOB)
        made.wait_state("PAUSED", "e")
        lines = procs.wait_until(
            lambda: (lambda found: found if found[0][1] == "ERROR" else None)(explain(made, "JOB e")),
            what="the job to be PAUSED")
        check(lines, ("summary", "ERROR", "does not move"), ("reason", "ERROR", "no such luck"),
              ("what resumes it", "", "by itself in",
               "of 10; RESUME JOB WHERE jobName = 'e' does it at once"))
    finally:
        made.fe.knobs(fail_insert="", fail_insert_count=-1)
        made.execute("DROP JOB IF EXISTS WHERE jobName = 'e'")


def test_loading_and_publishing(made):
    """A slow load, then one that Doris has committed and not published yet."""
    made.fe.knobs(slow_ms=SLOW_MS, publish_delay_ms=6000)
    try:
        made.create_job("p", properties={"max_interval": "1",
                                         "session.insert_visible_timeout_ms": "1000"})
        procs.wait_until(made.fe.is_loading, 30, "the load")
        check(explain(made, "JOB p"), ("summary", "OK", "the job is loading"),
              ("phase", "", "loading task 1 for", "attempt 1", "Doris may take 1800 s"),
              ("open task", "", "7 files", "in/a.csv", "in/g.csv"))
        made.fe.knobs(slow_ms=0)
        lines = procs.wait_until(
            lambda: (lambda found: found if any(line[0] == "waits for" for line in found)
                     else None)(explain(made, "JOB p")), 30, "the job to wait for its publish")
        check(lines, ("phase", "", "waiting for the outcome of task 1"), ("waits for", "", "publish"))
    finally:
        made.fe.knobs(slow_ms=0, publish_delay_ms=0)
        made.execute("DROP JOB IF EXISTS WHERE jobName = 'p'")


def test_in_doubt(rig):
    """Loaded while we were dead, and the label is forgotten: what to look at, and how to decide."""
    made = rig(knobs={"label_num": 1, "label_clean_ms": 50, "slow_ms": SLOW_MS},
               config={"scheduler.label_window": 1})
    made.execute("CREATE TABLE demo.other (id INT) DUPLICATE KEY(id) DISTRIBUTED BY HASH(id)")
    made.create_job(properties=JOB)
    made.bucket.put("in/a.csv", csv_text(1, 10))
    made.forget_a_load(10)
    made.sluice.start()
    made.wait_state("PAUSED")
    lines = explain(made, "JOB j")
    check(lines, ("phase", "", "whether task 1 was loaded"), ("summary", "ERROR", "1 problem"),
          ("range in doubt", "", "in/a.csv"),
          ("look at", "", "`demo`.`t`", "SHOW TRANSACTION FROM `demo`"), ("reason", "ERROR", "IN_DOUBT"))
    evidence = made.execute('SELECT Id, Evidence FROM jobs("type"="insert") WHERE Evidence != \'\'')[0]
    assert evidence["Id"] + "_1" in evidence["Evidence"] and "in/a.csv" in evidence["Evidence"]
    with pytest.raises(pymysql.MySQLError, match="Task 1 of job j, label .*, is still open"):
        made.execute("ALTER JOB j PROPERTIES ('guarantee' = 'transactional')")
    decisions = [line[2].split(": ", 1)[1] for line in lines if line[0] == "decide"]
    made.execute(decisions[0])
    made.execute(decisions[-1])
    procs.wait_until(lambda: made.offset() == {"fileName": "in/a.csv"}, 30, "the offset")
    assert made.ids() == list(range(1, 11))


@pytest.mark.sanitize
def test_create_and_alter_of_a_source_that_hangs(made):
    """They wait, and nobody else does: neither statements, nor jobs, nor EXPLAIN. Then an error."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = {"s3.endpoint": "http://127.0.0.1:%d" % silent.getsockname()[1]}
        silent.settimeout(procs.patience(20))
        made.create_job("h", "none/*", properties=JOB)  # without a task that is open
        made.execute("PAUSE JOB WHERE jobName = 'h'")
        statements = (create(made, name="hanging", **endpoint),
                      "ALTER JOB h INSERT INTO demo.t " + SELECT + made.bucket.tvf("none/*", **endpoint))
        clients, links = [], []
        try:
            for sql in statements:
                clients.append(wire.Client(made.sluice.port, "root", ""))
                clients[-1].command(b"\x03" + sql.encode())
                links.append(silent.accept()[0])
            assert made.execute("SELECT 1 AS one") == [{"one": 1}]
            assert [job["Status"] for job in made.execute(
                'SELECT Status FROM jobs("type"="insert") WHERE Name = \'h\'')] == ["PAUSED"]
            assert explain(made, "JOB h")[0][1] == "WARNING"
            assert all(select.select([c.sock], [], [], 0)[0] == [] for c in clients)
            silent.close()  # nobody else comes through either
            for link in links:
                link.close()
            for c in clients:
                code, text = wire.error(c.read_packet()[1])
                assert code == 1105 and endpoint["s3.endpoint"].split("//")[1] in text, text
                assert c.query("SELECT 1")[0][0] == "rows"
            assert made.job("hanging") is None
        finally:
            for each in [*clients, *links]:
                each.close()
            made.execute("DROP JOB IF EXISTS WHERE jobName = 'h'")


@pytest.mark.sanitize
def test_session_ends_while_it_is_explained(made):
    """A source that hangs keeps neither the relay nor, once its client is gone, a runner."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = create(made, **{"s3.endpoint": "http://127.0.0.1:%d" % silent.getsockname()[1]})
        client = wire.Client(made.sluice.port, "root", "")
        client.command(b"\x03EXPLAIN " + hanging.encode())
        link = silent.accept()[0]
        with contextlib.closing(link):
            assert made.execute("SELECT 1 AS one") == [{"one": 1}]
            assert explain(made, create(made))[0][1] in ("OK", "WARNING")
            client.reset()
            link.settimeout(procs.patience(8))  # and no half of a minute
            while link.recv(4096):  # until sluice hangs up
                pass
