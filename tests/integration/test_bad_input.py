"""Mistakes: each gets an error that says what, which object, why and what to do; nothing changes."""

import contextlib
import pathlib
import shutil
import tempfile

import pymysql
import pytest

import procs
from bucket import Bucket
from rig import Rig, create_job_sql, refusal

GENERAL, PREFIX = (1105, "HY000"), "errCode = 2, detailMessage = "
USERS = {"reader": ("pw", "db:demo:Select_priv"), "loader": ("pw", "table:demo.t:Load_priv")}


@pytest.fixture(scope="module")
def made(swift):
    """One rig for all statements that are refused: they change nothing, so they cannot meet."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-bad-"))
    bucket = Bucket(swift).create()
    fe = procs.StandIn(directory / "fe", "4.1", USERS)
    sluice = procs.Sluice(directory / "sluice", fe)
    try:
        fe.start()
        sluice.start()
        rig = Rig(fe, sluice, bucket)
        bucket.put_rows("in/a.csv", 5)
        rig.create_job("there", "other/*.csv")
        rig.execute("PAUSE JOB WHERE jobName = 'there'")
        yield rig
        assert rig.ids() == []
        assert sluice.stop() == 0
        assert sluice.sanitizer_reports() == []
    finally:
        sluice.kill9()
        fe.kill9()
        with contextlib.suppress(Exception):  # of the test bed's own server, after the fact
            bucket.delete()
        shutil.rmtree(directory, ignore_errors=True)


def insert(made, target="demo.t", select="SELECT c1, c2, c3, c4 FROM", **tvf):
    return "INSERT INTO %s %s %s" % (target, select, made.bucket.tvf("in/*.csv", **tvf))


def create(made, properties=None, name="j", **more):
    return create_job_sql(name, insert(made, **more), properties)


def filled(made, text):
    """$INSERT and $S3 are those that would work."""
    return text.replace("$INSERT", insert(made)).replace("$S3", made.bucket.tvf("in/*.csv"))


# --- CREATE: the text ---

DO = "CREATE JOB j ON STREAMING DO "
MALFORMED = {
    "nothing": ("CREATE JOB", "'<EOF>'", "a job name", "(line 1, pos 10)", "Write CREATE JOB"),
    "no name": ("CREATE JOB ON STREAMING DO $INSERT", "'ON'", "a job name", "(line 1, pos 11)"),
    "properties, no name": ("CREATE JOB PROPERTIES() ON STREAMING DO $INSERT", "a job name"),
    "plus in the name": ("CREATE JOB a+b ON STREAMING DO $INSERT", "mismatched input '+'",
                         "(line 1, pos 12)"),
    "dash in the name": ("CREATE JOB my-job ON STREAMING DO $INSERT", "my-", "back-quotes"),
    "name as a string": ("CREATE JOB 'n' ON STREAMING DO $INSERT", "''n''", "back-quotes"),
    "empty name": ("CREATE JOB `` ON STREAMING DO $INSERT", "Job name can not be empty"),
    "no ON": ("CREATE JOB j DO $INSERT", "mismatched input 'DO'", "'ON'"),
    "misspelt": ("CREATE JOB j ON STREAM DO $INSERT", "'STREAM'", "'STREAMING'",
                 "(line 1, pos 16)"),
    "no DO": ("CREATE JOB j ON STREAMING $INSERT", "mismatched input 'INSERT'", "'DO'"),
    "DO nothing": (DO, "'<EOF>'", "'INSERT'", "S3("),
    "DELETE": (DO + "DELETE FROM demo.t", "Only support insert command", "'DELETE'"),
    "SELECT": (DO + "SELECT * FROM $S3", "Only support insert command", "'SELECT'"),
    "OVERWRITE": (DO + "INSERT OVERWRITE TABLE demo.t SELECT * FROM $S3", "INSERT OVERWRITE",
                  "use INSERT INTO"),
    "VALUES": (DO + "INSERT INTO demo.t VALUES (1, 2, 3, 4)", "reads no table function", "S3("),
    "no source": (DO + "INSERT INTO demo.t SELECT * FROM demo.t", "reads no table function"),
    "two sources": (DO + "INSERT INTO demo.t SELECT * FROM $S3 UNION ALL SELECT * FROM $S3",
                    "Only support one source in insert streaming job", "jobs of their own"),
    "unknown source": (DO + "INSERT INTO demo.t SELECT * FROM HDFS('uri' = 'hdfs://h/x')",
                       "Unsupported tvf type:hdfs"),
    "no target": (DO + "INSERT INTO SELECT * FROM $S3", "'SELECT'", "a table name",
                  "(line 1, pos 41)"),
    "empty target": (DO + "INSERT INTO `` SELECT * FROM $S3", "a table name"),
    "empty database": (DO + "INSERT INTO ``.t SELECT * FROM $S3", "a table name"),
    "four parts": (DO + "INSERT INTO a.b.c.d SELECT * FROM $S3", "at most three names"),
    "open string": (DO + "INSERT INTO demo.t SELECT * FROM S3('uri'='x", "Unclosed string literal",
                    "(line 1, pos 71)"),
    "open comment": ("CREATE JOB j ON STREAMING /* DO $INSERT", "Unclosed bracketed comment"),
    "open parenthesis": (DO + "$INSERT WHERE (c1 > 0", "'<EOF>'", "')'"),
    "second line": ("CREATE JOB j\nPROPERTIES ('a' 'b')\nON STREAMING DO $INSERT",
                    "(line 2, pos 16)", '("key" = "value", ...)'),
    "behind UTF-8": ("CREATE JOB `größe` ON STREEM DO $INSERT", "(line 1, pos 22)"),
    "property twice": ("CREATE JOB j PROPERTIES('max_interval'='1', 'MAX_INTERVAL'='2') "
                       "ON STREAMING DO $INSERT", "same key", "(line 1, pos 44)"),
    "property in both places": ("CREATE JOB j PROPERTIES('max_interval'='1') ON STREAMING "
                                "PROPERTIES('max_interval'='2') DO $INSERT", "same key"),
    "secret in the way": (DO + "$INSERT $S3 ) ", "mismatched"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_create(made, case):
    text, *words = MALFORMED[case]
    made.check_refused(filled(made, text), *GENERAL, PREFIX, *words)


# --- CREATE: properties ---

SUPPORTED = "[max_interval, s3.max_batch_files, s3.max_batch_bytes, s3.discovery, "
OFFSET_FORM = '{"fileName":"'
PROPERTIES = {
    "unknown": ("max_batch", "1", GENERAL, "Invalid properties: [max_batch]", SUPPORTED),
    "empty key": ("", "1", GENERAL, "Invalid properties: []", SUPPORTED),
    "interval 0": ("max_interval", "0", GENERAL, "at least 1 second", "was 0", "without a unit"),
    "interval 10s": ("max_interval", "10s", GENERAL, "at least 1 second", "was 10s"),
    "interval below 0": ("max_interval", "-1", GENERAL, "at least 1 second", "was -1"),
    "interval empty": ("max_interval", "", GENERAL, "at least 1 second"),
    "interval half": ("max_interval", "0.5", GENERAL, "at least 1 second", "was 0.5"),
    "interval too large": ("max_interval", "2000000000", GENERAL, "at most 1000000000"),
    "interval beyond 64 bits": ("max_interval", "99999999999999999999", GENERAL, "at most"),
    "files 0": ("s3.max_batch_files", "0", GENERAL, "must be at least 1", "was 0"),
    "bytes 10G": ("s3.max_batch_bytes", "10G", GENERAL, "between 100 MB and 10 GB", "was 10G",
                  "without a unit"),
    "bytes 1": ("s3.max_batch_bytes", "1", GENERAL, "between 100 MB and 10 GB", "was 1"),
    "offset blank": ("offset", " ", GENERAL, "Invalid format for offset"),
    "offset no JSON": ("offset", "in/a.csv", GENERAL, "Failed to initialize offset", "in/a.csv"),
    "offset other key": ("offset", "{'file':'x'}", GENERAL, "Invalid format for offset",
                         OFFSET_FORM),
    "offset list": ("offset", "['x']", GENERAL, "Invalid format for offset", OFFSET_FORM),
    "offset empty name": ("offset", "{'fileName':''}", GENERAL, "Invalid format for offset"),
    "offset number": ("offset", "{'fileName':7}", GENERAL, "Invalid format for offset"),
    "variable unknown": ("session.nope", "1", (1193, "HY000"), "Invalid session variable, [nope]",
                         '"session.nope"'),
    "variable missing": ("session.", "1", GENERAL, "Invalid session variable"),
    "variable no name": ("session.a b=1;c", "1", GENERAL, "Invalid session variable", "letters"),
    "variable no bool": ("session.enable_insert_strict", "xxx", (1231, "42000"),
                         '"session.enable_insert_strict"', "can't be set to the value of 'xxx'"),
    "variable no number": ("session.insert_timeout", "soon", (1232, "42000"),
                           '"session.insert_timeout"', "Incorrect argument type"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", PROPERTIES)
def test_bad_property(made, case):
    key, value, code, *words = PROPERTIES[case]
    value = value.replace("'", '\\"')
    made.check_refused(create(made, {key: value}), *code, *words)


# --- CREATE: the source ---

NOWHERE = "http://127.0.0.1:%d" % procs.free_port()
SOURCES = {
    "no such bucket": ({"uri": "s3://no-such-bucket-here/in/*.csv"}, "no-such-bucket-here",
                       "does not exist", "check the uri"),
    "wrong secret": ({"s3.secret_key": "wrongwrong"}, "was refused", "check s3.access_key"),
    "unknown key": ({"s3.access_key": "NOBODY"}, "the access key was refused",
                    "check s3.access_key"),
    "wrong region": ({"s3.region": "eu-west-9"}, "not in region eu-west-9", "check s3.region"),
    "nobody listens": ({"s3.endpoint": NOWHERE}, NOWHERE, "Failed to connect",
                       "Check s3.endpoint, and that the object store is up"),
    "no such host": ({"s3.endpoint": "http://no.such.host.invalid"}, "no.such.host.invalid",
                     "resolve"),
    "no host at all": ({"s3.endpoint": "not a host"}, '"not a host"', "host:port"),
    "no endpoint": ({"s3.endpoint": None}, '"s3.endpoint" is missing'),
    "no keys": ({"s3.access_key": None, "s3.secret_key": None}, "no s3.access_key was given",
                "public"),
    "half a key": ({"s3.secret_key": None}, '"s3.secret_key" is missing', "belong together"),
    "token alone": ({"s3.access_key": None, "s3.secret_key": None, "s3.session_token": "x"},
                    '"s3.access_key"', "token alone"),
    "a mask": ({"s3.secret_key": "*XXX"}, '"s3.secret_key" is *XXX', "SHOW CREATE JOB",
               "put the real value there"),
    "a mask for a key": ({"s3.access_key": "*XXX"}, '"s3.access_key" is *XXX', "SHOW CREATE JOB"),
    "key twice": ({"AWS_ACCESS_KEY": "other"}, '"AWS_ACCESS_KEY"', "contradict each other"),
    "uri without scheme": ({"uri": "bucket/in/*.csv"}, 'Invalid uri: "bucket/in/*.csv"', "s3://"),
    "uri of FTP": ({"uri": "ftp://bucket/in/*.csv"}, 'scheme "ftp" is not one of s3'),
    "uri with ?": ({"uri": "s3://bucket/in/?.csv"}, "'?'", "[!/] or *"),
    "uri with #": ({"uri": "s3://bucket/in/#1.csv"}, "'#'", "[!/] or *"),
    "uri with ..": ({"uri": "s3://bucket/in/../a.csv"}, '".."'),
    "uri of a bucket": ({"uri": "s3://bucket"}, "names no object", "/**"),
    "uri of a folder": ({"uri": "s3://bucket/in/"}, "names no object", "/*"),
    "uri empty": ({"uri": ""}, '"uri" is missing', "s3://bucket/"),
    "uri missing": ({"uri": None}, '"uri" is missing', "s3://bucket/"),
    "bucket that cannot be": ({"uri": "s3://My Bucket/in/*.csv"}, '"My Bucket"', "bucket name"),
    "open bracket": ({"uri": "s3://bucket/in/[a.csv"}, "'[' has no ']'", "in/[a.csv"),
    "open brace": ({"uri": "s3://bucket/in/{a.csv"}, "'{' has no '}'"),
    "a resource": ({"resource": "r1"}, '"resource"', '"r1"', "Give s3.endpoint"),
    "a role": ({"s3.role_arn": "arn:x"}, '"s3.role_arn"', "Give s3.access_key"),
    "azure": ({"provider": "azure"}, "azure", "S3 protocol"),
    "unknown format": ({"format": "xml"}, "EXPLAIN", "format:xml is not supported"),
    "no format": ({"format": None}, "EXPLAIN", "format"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_bad_source(made, case):
    tvf, *words = SOURCES[case]
    made.check_refused(create(made, **tvf), *GENERAL, *words)


def test_source_without_properties(made):
    made.check_refused(filled(made, DO + "INSERT INTO demo.t SELECT * FROM S3()"), *GENERAL,
                       '"uri" is missing', "s3://bucket/")


def test_endpoint_is_something_else(made):
    """The FE's own ports, as after a slip of the hand."""
    for port, word in ((made.fe.http_port, "404"), (made.fe.port, "HTTP")):
        endpoint = "http://127.0.0.1:%d" % port
        made.check_refused(create(made, **{"s3.endpoint": endpoint}), *GENERAL, endpoint, word)


# --- CREATE: the target ---

TARGETS = {
    "no such table": ({"target": "demo.nope"}, (1146, "42S02"), "table `demo`.`nope` does not exist",
                      "CREATE TABLE it first", "FE "),
    "no such database": ({"target": "nodb.t"}, (1049, "42000"), "database `nodb` does not exist",
                         "CREATE DATABASE it first", "Unknown database 'nodb'"),
    "other catalog": ({"target": "hive.demo.t"}, GENERAL, "hive.demo.t", "external catalog",
                      "catalog internal"),
    "no database": ({"target": "t"}, (1046, "3D000"), "No database selected", "db.t", "USE"),
    "too few columns": ({"select": "SELECT c1, c2 FROM"}, GENERAL, "EXPLAIN",
                        "insert into cols should be corresponding to the query output"),
    "too many columns": ({"select": "SELECT c1, c2, c3, c4, c1 FROM"}, GENERAL, "EXPLAIN",
                         "insert into cols should be corresponding to the query output"),
    "no such column": ({"select": "SELECT c1, c2, c3, c9 FROM"}, GENERAL, "EXPLAIN", "'c9'"),
    "no such function": ({"select": "SELECT nofunc(c1), c2, c3, c4 FROM"}, GENERAL, "'nofunc'"),
    "no such target column": ({"target": "demo.t (id, nope)", "select": "SELECT c1, c2 FROM"},
                              GENERAL, "column nope is not found in table t"),
    "reserved name": ({"name": "inner_x"}, GENERAL, "job name can not start with inner_", "Choose another name"),
    "long name": ({"name": "n" * 300}, GENERAL, "300 bytes", "at most 256", "Choose a shorter one"),
    "name taken": ({"name": "there"}, GENERAL, "job name exist, jobName:there", "DROP JOB"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", TARGETS)
def test_bad_target(made, case):
    more, code, *words = TARGETS[case]
    made.check_refused(create(made, **more), *code, *words)


def test_create_without_load(made):
    who = {"user": "reader", "password": "pw"}
    made.check_refused(create(made), 1142, "42000", "LOAD command denied to user 'reader'",
                       "demo.t", "GRANT LOAD_PRIV", **who)


def test_name_of_another_kept_job(made):
    """Names are global: also of a job that this user may not see."""
    made.check_refused(create(made, name="there"), *GENERAL, "job name exist", user="loader",
                       password="pw")


# --- statements about a job ---

STATEMENTS = {
    "PAUSE of none": ("PAUSE JOB WHERE jobName = 'nope'", "job not exist, jobName: nope", "jobs("),
    "RESUME of none": ("RESUME JOB WHERE jobName = 'nope'", "job not exist, jobName: nope"),
    "DROP of none": ("DROP JOB WHERE jobName = 'nope'", "unregister job error, jobName:nope",
                     "job not exist, jobName:nope"),
    "other letter case": ("DROP JOB WHERE jobName = 'There'", "jobName:There", "case-sensitive"),
    "PAUSE of a paused one": ("PAUSE JOB WHERE jobName = 'there'", "jobName is there",
                              "Can't change job status to the same status"),
    "no WHERE": ("PAUSE JOB there", "'WHERE'", "Write PAUSE JOB WHERE jobName = 'name'"),
    "other key": ("DROP JOB WHERE name = 'there'", "Current not support left child of where: name",
                  "Write DROP JOB"),
    "bare name": ("DROP JOB WHERE jobName = there", "Value must is string", "there"),
    "empty name": ("DROP JOB WHERE jobName = ''", "Value can't is null"),
    "LIKE": ("DROP JOB WHERE jobName LIKE 't%'", "'LIKE'", "'='"),
    "two conditions": ("DROP JOB WHERE jobName = 'there' OR 1 = 1", "'OR'", "<EOF>"),
    "IF without EXISTS": ("DROP JOB IF WHERE jobName = 'there'", "'EXISTS'"),
    "RESOLVE of none": ("ALTER JOB nope RESOLVE TASK 1 AS COMMITTED", "jobName: nope"),
    "RESOLVE, no doubt": ("ALTER JOB there RESOLVE TASK 1 AS COMMITTED", "there",
                          "no task in doubt", "PAUSED"),
    "RESOLVE, no number": ("ALTER JOB there RESOLVE TASK x AS COMMITTED", "'x'", "INTEGER_VALUE"),
    "RESOLVE, task 0": ("ALTER JOB there RESOLVE TASK 0 AS COMMITTED", "0 is no task id", "tasks("),
    "RESOLVE as what": ("ALTER JOB there RESOLVE TASK 1 AS DONE", "'DONE'", "'COMMITTED'"),
    "RETRY of none": ("ALTER JOB nope RETRY FILE 'in/a.csv'", "jobName: nope"),
    "RETRY, never aside": ("ALTER JOB there RETRY FILE 'in/a.csv'", "there", "no file that is set aside"),
    "SKIP, none aside": ("ALTER JOB there SKIP ALL FILES", "there"),
    "RETRY what": ("ALTER JOB there RETRY TASK 1", "'TASK'", "{'FILE', 'ALL'}", "RETRY | SKIP FILE"),
    "SKIP, no string": ("ALTER JOB there SKIP FILE in", "'in'", "STRING_LITERAL"),
    "SKIP, empty": ("ALTER JOB there SKIP FILE ''", "The file's key can not be empty", "Quarantine"),
    "injection": ("PAUSE JOB WHERE jobName = 'x\\' OR \\'1\\'=\\'1'", "job not exist"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", STATEMENTS)
def test_bad_job_statement(made, case):
    text, *words = STATEMENTS[case]
    made.check_refused(text, *GENERAL, PREFIX if "no doubt" not in case else "", *words)


def test_statement_without_load(made):
    for verb in ("PAUSE", "RESUME", "DROP"):
        made.check_refused("%s JOB WHERE jobName = 'there'" % verb, 1142, "42000", "LOAD", "demo.t",
                           user="reader", password="pw")


def test_statements_that_find_nothing_to_do(made):
    """IF EXISTS and IF NOT EXISTS turn the mistake into nothing at all."""
    before = made.standing()
    made.execute("DROP JOB IF EXISTS WHERE jobName = 'nope'")
    made.execute(create(made, name="there").replace("CREATE JOB", "CREATE JOB IF NOT EXISTS"))
    assert made.standing() == before


# --- jobs() and tasks() ---

VIEWS = {
    "no property": ("SELECT * FROM jobs()", GENERAL, "Invalid job metadata query",
                    'jobs("type"="insert")'),
    "other property": ('SELECT * FROM jobs("typ"="insert")', GENERAL, "'typ' is invalid property"),
    "one too many": ('SELECT * FROM tasks("type"="insert", "x"="y")', GENERAL,
                     "'x' is invalid property", "(line 1, pos"),
    "other type": ('SELECT * FROM jobs("type"="load")', GENERAL, "Invalid job metadata query"),
    "unknown column": ('SELECT Nam FROM jobs("type"="insert")', (1054, "42S22"), "'Nam'",
                       "Name", "Status", "LastTaskSuccessTime"),
    "unknown column of tasks": ('SELECT 1 FROM tasks("type"="insert") t WHERE t.Stat = 1',
                                (1054, "42S22"), "'t.Stat'", "TaskId", "TrackingUrl"),
    "no condition": ('SELECT Name FROM jobs("type"="insert") WHERE', (1064, "42000"),
                     "jobs() or tasks()", "incomplete input"),
    # what Sluice does not know goes to the FE, whose error is the answer
    "unknown function": ('SELECT nofunc(Name) FROM jobs("type"="insert")', GENERAL, "nofunc"),
    "no such table": ('SELECT * FROM jobs("type"="insert") j, demo.missing', GENERAL, "missing"),
    "a file": ('SELECT * FROM jobs("type"="insert") INTO OUTFILE "x"', GENERAL),
    "extension": ('SELECT load_extension(\'x\') FROM jobs("type"="insert")', (1064, "42000"),
                  "only reading"),
}


@pytest.mark.quick
@pytest.mark.parametrize("case", VIEWS)
def test_bad_view_query(made, case):
    text, code, *words = VIEWS[case]
    made.check_refused(text, *code, *words)


def test_endless_view_query(made):
    """Bounded by time: nobody else waits for it longer, and it says so."""
    numbers = " UNION ALL ".join("SELECT %d AS n" % i for i in range(60))
    cross = ", ".join("(%s) n%d" % (numbers, i) for i in range(6))
    made.check_refused('SELECT count(*) FROM jobs("type"="insert") j, %s' % cross, 1317, "70100",
                       "longer than")


def test_prepared_statements_that_are_wrong(made):
    """Refused when they are prepared, as the same text is when it is run."""
    for text in ('SELECT Nam FROM jobs("type"="insert")', "PAUSE JOB WHERE jobNam = 'there'",
                 "CREATE JOB j ON STREAMING DO INSERT INTO t SELECT 1"):
        command = b"\x16" + text.encode()
        assert refusal(made.sluice.port, command) == refusal(made.sluice.port,
                                                             b"\x03" + text.encode())


def test_commands_of_other_kinds(made):
    """What the FE refuses is refused by the FE: with its code, its SQLSTATE and its text."""
    for text in ("CREATE JOBS j", "SHOW STREAMING JOBS", "SELEC 1", "DROP TABLE demo.nope",
                 'SELECT * FROM job_s("type"="insert")'):
        command = b"\x03" + text.encode()
        assert refusal(made.sluice.port, command) == refusal(made.fe.port, command)


# --- a job that runs ---

def test_resume_of_a_running_job(rig):
    made = rig()
    made.create_job(properties={"max_interval": "1"})
    made.wait_state("RUNNING")
    _, _, text = refusal(made.sluice.port, b"\x03RESUME JOB WHERE jobName = 'j'")
    assert "Can't change job status to the same status, job already running" in text
    _, _, text = refusal(made.sluice.port, b"\x03ALTER JOB j RESOLVE TASK 1 AS ABORTED")
    assert "no task in doubt" in text and "RUNNING" in text
    made.bucket.put_rows("in/a.csv", 5)
    made.check_exactly_once()


@pytest.mark.quick
@pytest.mark.parametrize("name", ["it's \"a\" `job`", "größe ☃ 数据", "a;b -- c /* d */", "\\n\\'",
                                  "%_", "WHERE"])
def test_names_as_people_have_them(rig, name):
    """Whatever may stand in back-quotes is a name, everywhere."""
    made = rig()
    identifier = "`%s`" % name.replace("`", "``")
    text = "'%s'" % name.replace("\\", "\\\\").replace("'", "\\'")
    made.execute(create_job_sql(identifier, insert(made), {"max_interval": "1"}))
    made.bucket.put_rows("in/a.csv", 5)
    made.check_exactly_once()
    query = 'SELECT Name, Status FROM jobs("type"="insert") WHERE Name = ' + text
    assert [row["Name"] for row in made.execute(query)] == [name]
    for verb, state in (("PAUSE", "PAUSED"), ("RESUME", None), ("DROP", None)):
        made.execute("%s JOB WHERE jobName = %s" % (verb, text))
        assert state is None or made.execute(query)[0]["Status"] == state
    assert made.execute(query) == []
    again = "DROP JOB WHERE jobName = " + text
    code, _, said = refusal(made.sluice.port, b"\x03" + again.encode())
    assert code == 1105 and "job not exist, jobName:" + name in said


# --- data errors ---

def test_bad_row_in_a_file(rig):
    """With s3.bad_files = pause the job stops at the file, says what Doris says, goes on when it is
    mended. What it does otherwise is in test_quarantine.py."""
    made = rig(config={"scheduler.resume_delay": 100})
    made.create_job(properties={"max_interval": "1", "s3.max_batch_files": "1", "s3.bad_files": "pause"})
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    made.bucket.put("in/b.csv", "11,n,1.00,2024-05-01 12:00:00\nnone,n,1.00,2024-05-01 12:00:00\n")
    job = made.wait_state("PAUSED")
    assert '"code":"TOO_MANY_FAILURE_ROWS_ERR"' in job["ErrorMsg"]
    for word in ("Insert has filtered data in strict mode", "first_error_msg", "none", "; task 2, range ",
                 "in/b.csv"):
        assert word in job["ErrorMsg"], job["ErrorMsg"]
    task = made.tasks()[-1]
    assert task["Status"] == "FAILED" and "in/b.csv" in task["RunningOffset"]
    assert "Insert has filtered data in strict mode" in task["ErrorMsg"]
    assert "column value is invalid" in task["FirstErrorMsg"]
    assert task["TrackingUrl"].startswith("http://") and "error_log" in task["TrackingUrl"]
    assert job["FailedTaskCount"] == "1"
    assert made.offset() == {"fileName": "in/a.csv"}
    assert made.ids() == list(range(1, 11))

    made.execute("RESUME JOB WHERE jobName = 'j'")  # nothing was mended: the same again
    made.wait_state("PAUSED")
    assert made.ids() == list(range(1, 11))
    made.bucket.put_rows("in/b.csv", 10)
    made.bucket.put_rows("in/c.csv", 10)
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.check_exactly_once()
    made.check_task_ids()
    assert made.wait_state("RUNNING")["ErrorMsg"] == ""


def test_object_that_went_away(rig):
    """Deleted between listing and load: the FE says so, and the job goes on by itself."""
    made = rig(config={"scheduler.resume_delay": 100})
    made.fe.knobs(fail_insert="Can not open file, err=404", fail_insert_count=2)
    made.create_job(properties={"max_interval": "1"})
    made.bucket.put_rows("in/a.csv", 10)
    made.check_exactly_once()


@pytest.mark.parametrize("profile", ["2.0", "4.1"])
def test_bucket_that_went_away(rig, profile):
    """A job that ran finds its bucket gone: PAUSED with the reason, and back when that is back."""
    made = rig(profile, config={"scheduler.resume_delay": 200})
    made.create_job(properties={"max_interval": "1"})
    made.bucket.put_rows("in/a.csv", 10)
    made.wait_rows(10)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/a.csv"}, 30, "the offset")
    made.bucket.delete()
    try:
        job = made.wait_state("PAUSED")
        assert '"code":"GET_REMOTE_DATA_ERROR"' in job["ErrorMsg"], job["ErrorMsg"]
        assert made.bucket.name in job["ErrorMsg"] and "does not exist" in job["ErrorMsg"]
    finally:
        made.bucket.create()
    made.bucket.put_rows("in/b.csv", 10)
    made.check_exactly_once()


# --- the service account and the FE ---

SERVICE = {"svc": ("right", "db:demo:Load_priv,Select_priv"),
           "poor": ("right", "db:demo:Select_priv")}


@pytest.mark.parametrize("profile", ["2.0", "2.1", "4.1"])
def test_service_account_with_a_wrong_password(rig, profile):
    made = rig(profile, users=SERVICE, config={"doris.user": "svc", "doris.password": "wr0ng"})
    text = made.check_refused(create(made), 1045, "28000", "svc", "doris.user", "FE 127.0.0.1",
                              "Access denied for user 'svc'")
    assert "wr0ng" not in text and "wr0ng" not in made.sluice.log_text()


@pytest.mark.parametrize("profile", ["2.0", "2.1", "4.1"])
def test_service_account_without_load(rig, profile):
    """CREATE says whose right is missing and how to give it; then it works."""
    made = rig(profile, users=SERVICE, config={"doris.user": "poor", "doris.password": "right"})
    made.check_refused(create(made), 1142, "42000", "service account", "poor", "LOAD", "demo",
                       "GRANT LOAD_PRIV ON")
    made.fe.rows("GRANT LOAD_PRIV ON demo.t TO 'poor'")
    made.bucket.put_rows("in/a.csv", 5)
    made.execute(create(made, {"max_interval": "1"}))
    made.check_exactly_once()


def test_service_account_loses_its_right(rig):
    """A job that ran shows it, loses nothing, and goes on when the right is back."""
    made = rig(users=SERVICE, config={"doris.user": "svc", "doris.password": "right",
                                      "scheduler.resume_delay": 200})
    made.create_job(properties={"max_interval": "1"})
    made.bucket.put_rows("in/a.csv", 5)
    made.wait_rows(5)
    made.fe.rows("REVOKE LOAD_PRIV ON demo.* FROM 'svc'")
    made.bucket.put_rows("in/b.csv", 5)
    job = made.wait_state("PAUSED")
    assert "LOAD command denied to user 'svc'" in job["ErrorMsg"], job["ErrorMsg"]
    made.fe.rows("GRANT LOAD_PRIV ON demo.* TO 'svc'")
    made.check_exactly_once()


def test_service_account_gets_a_new_password(rig):
    """What the running job waits for stands in jobs(); nothing is loaded twice or lost."""
    made = rig(users=SERVICE, config={"doris.user": "svc", "doris.password": "right",
                                      "scheduler.resume_delay": 200})
    made.create_job(properties={"max_interval": "1"})
    made.bucket.put_rows("in/a.csv", 5)
    made.wait_rows(5)
    made.fe.rows("SET PASSWORD FOR 'svc' = PASSWORD('new')")
    made.sluice.restart()  # sessions that were open before go on, as in Doris
    made.bucket.put_rows("in/b.csv", 5)

    def look():
        job = made.job()
        said = job["ErrorMsg"] + job["JobRuntimeMsg"]
        return said if "Access denied for user 'svc'" in said else None
    assert "right" not in procs.wait_until(look, 30, "the refused password in jobs()")
    assert len(made.ids()) == 5
    made.fe.rows("SET PASSWORD FOR 'svc' = PASSWORD('right')")
    made.check_exactly_once()


KNOBS = {
    "refuses connections": ({"refuse_connections": 1}, "FE 127.0.0.1"),
    "not ready": ({"not_ready": 1}, "SELECT DATABASE() failed", "not ready"),
}


@pytest.mark.parametrize("case", KNOBS)
def test_fe_down_at_create(rig, case):
    """The client's own session lives, the service account's cannot begin."""
    made = rig()
    knobs, *words = KNOBS[case]
    with contextlib.closing(made.sluice.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT 1")
        made.fe.knobs(**knobs)
        with pytest.raises(pymysql.err.MySQLError) as caught:
            cursor.execute(create(made))
        made.fe.knobs(**{key: 0 for key in knobs})
        for word in words:
            assert word in caught.value.args[1], caught.value.args
        cursor.execute('SELECT Name FROM jobs("type"="insert")')
        assert cursor.fetchall() == ()
        made.bucket.put_rows("in/a.csv", 5)
        cursor.execute(create(made))
    made.check_exactly_once()


def test_fe_dead_at_create(rig):
    """The client's session dies with its FE; a new one is told which FE cannot be reached."""
    made = rig()
    made.fe.kill9()
    with pytest.raises(pymysql.err.OperationalError, match="127.0.0.1:%d" % made.fe.port) as caught:
        made.sluice.connect()
    assert caught.value.args[0] == 1429
    made.fe.start()
    assert made.job() is None


@pytest.mark.parametrize("profile", ["2.0", "4.1"])
def test_without_doris_http(rig, profile):
    """Nobody has to tell where the HTTP port is, not even for what a crash leaves behind."""
    made = rig(profile, config={"doris.http": None}, knobs={"slow_ms": 300})
    made.create_job(properties={"max_interval": "1", "s3.max_batch_files": "1"})
    for key in ("in/a.csv", "in/b.csv", "in/c.csv"):
        made.bucket.put_rows(key, 10)
    procs.wait_until(made.fe.is_loading, 30, "a load to begin")
    made.sluice.kill9()
    made.sluice.start()
    made.check_exactly_once()
    made.check_task_ids()
