"""One streaming job from CREATE to DROP, over every version of Doris that Sluice is for."""

import json

import pymysql
import pytest

import procs
from rig import create_job_sql

PROFILES = ["2.0", "2.1", "3.0", "4.0", "4.1"]
JOBS_COLUMNS = [
    "Id", "Name", "Definer", "ExecuteType", "RecurringStrategy", "Status", "ExecuteSql",
    "CreateTime", "SucceedTaskCount", "FailedTaskCount", "CanceledTaskCount", "Comment",
    "Properties", "CurrentOffset", "EndOffset", "LoadStatistic", "ErrorMsg", "JobRuntimeMsg", "Lag",
    "LastTaskSuccessTime"]
TASKS_COLUMNS = [
    "TaskId", "JobId", "JobName", "Label", "Status", "ErrorMsg", "CreateTime", "StartTime",
    "FinishTime", "TrackingUrl", "LoadStatistic", "User", "FirstErrorMsg", "RunningOffset"]


@pytest.mark.parametrize("profile", [pytest.param(p, marks=pytest.mark.quick) if p == "4.1" else p
                                     for p in PROFILES])
def test_job_from_create_to_drop(rig, profile):
    made = rig(profile)
    made.create_job(properties={"max_interval": "1", "s3.max_batch_files": "2"})
    for key in ("in/a.csv", "in/b.csv", "in/c.csv"):
        made.bucket.put_rows(key, 10)
    made.bucket.put("in/a.txt", "no part of the pattern\n")
    made.check_exactly_once()
    procs.wait_until(lambda: made.offset() == {"fileName": "in/c.csv"}, 30, "the last offset")

    job = made.job()
    assert list(job) == JOBS_COLUMNS
    assert (job["Status"], job["ExecuteType"], job["Definer"]) == ("RUNNING", "STREAMING", "root")
    statistic = json.loads(job["LoadStatistic"])
    assert (statistic["scannedRows"], statistic["fileNumber"]) == (30, 3)
    assert made.bucket.server.secret_key not in json.dumps(job, default=str)
    tasks = made.tasks()
    assert list(tasks[0]) == TASKS_COLUMNS
    assert {task["Status"] for task in tasks} == {"SUCCESS"}
    assert [task["Label"] for task in tasks] == ["%s_%s" % (job["Id"], task["TaskId"])
                                                 for task in tasks]

    made.execute("PAUSE JOB WHERE jobName = 'j'")
    made.bucket.put_rows("in/d.csv", 10)
    assert made.wait_state("PAUSED")["ErrorMsg"].startswith('{"code":"MANUAL_PAUSE_ERR"')
    made.sluice.restart()  # a pause by the user outlives the process
    assert made.job()["Status"] == "PAUSED"
    assert len(made.ids()) == 30
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.check_exactly_once()
    made.check_task_ids()
    made.execute("DROP JOB WHERE jobName = 'j'")
    assert made.job() is None and made.tasks() == []


@pytest.mark.parametrize("text", [
    # the proposal's, with empty and with missing properties, and a bare word in the query
    "CREATE JOB {name} Properties() ON STREAMING DO INSERT INTO demo.t select * from {tvf}",
    "create job {name} on streaming do insert into demo.t select * from {tvf};",
    # as shipped, and what its documentation shows
    "CREATE JOB {name} PROPERTIES('max_interval'='1') ON STREAMING COMMENT 'it''s' "
    "DO INSERT INTO demo.t SELECT * FROM {tvf}",
    "CREATE JOB `{name}` ON STREAMING PROPERTIES(\"max_interval\" = 1) COMMENT \"x\" "
    "DO\n  INSERT INTO `demo`.`t` (id, name, amount, created)\n  SELECT c1, c2, c3, c4 FROM {tvf} "
    "-- comment",
    "/* tool */ CREATE JOB IF NOT EXISTS {name} ON STREAMING DO INSERT INTO t "
    "SELECT c1, concat(c2, ';'), c3, c4 FROM {tvf} WHERE c1 <> ''",
], ids=["proposal", "bare", "shipped", "documented", "unqualified"])
def test_spellings_of_create(rig, text):
    made = rig()
    sql = text.format(name="n1", tvf=made.bucket.tvf("in/*.csv"))
    made.bucket.put_rows("in/a.csv", 10)
    made.execute(sql, db="demo")
    made.check_exactly_once()
    found = made.execute('select * from job("type"="insert") where ExecuteType = streaming')
    assert [job["Name"] for job in found] == ["n1"]
    # What the FE was sent is the user's INSERT, byte for byte, but for label and uri.
    sent = [entry["text"] for entry in insert_texts(made) if "WITH LABEL" in entry["text"]][-1]
    body = sql[sql.lower().index("insert into"):].rstrip("; ").removesuffix("-- comment").rstrip()
    label = " WITH LABEL `%s_1`" % found[0]["Id"]
    assert sent.replace(label, "", 1).replace("in/a.csv", "in/*.csv", 1) == body


def insert_texts(made):
    """Labelled INSERTs as the FE received them."""
    import base64
    found = []
    for entry in made.fe.log():
        text = base64.b64decode(entry["base64"]).decode()
        if text.lower().lstrip().startswith("insert"):
            found.append({"text": text, "user": entry.get("user")})
    return found


def test_formats(rig):
    """CSV with names, JSON lines and Parquet: Doris reads them, we only name the files."""
    made = rig()
    made.execute("CREATE TABLE demo.p (id BIGINT, v VARCHAR(20)) DUPLICATE KEY(id) "
                 "DISTRIBUTED BY HASH(id) BUCKETS 1")
    made.bucket.put("h/a.csv", "id,v\n1,x\n2,y\n")
    made.bucket.put("j/a.json", '{"id": 3, "v": "x"}\n{"id": 4, "v": "y"}\n')
    made.bucket.put("p/a.parquet", parquet_rows())
    options = {"h": ("csv_with_names", {}), "j": ("json", {"read_json_by_line": "true"}),
               "p": ("parquet", {"column_separator": None})}
    for prefix, (kind, more) in options.items():
        tvf = made.bucket.tvf(prefix + "/*", format=kind, **more)
        made.execute(create_job_sql(prefix, "INSERT INTO demo.p SELECT id, v FROM " + tvf))
    procs.wait_until(lambda: len(made.fe.rows("SELECT id FROM demo.p")) == 6, 30, "six rows")
    assert sorted(r["id"] for r in made.fe.rows("SELECT id FROM demo.p")) == [1, 2, 3, 4, 5, 6]


def parquet_rows():
    import pathlib
    import tempfile

    import duckdb
    with tempfile.TemporaryDirectory() as directory:
        path = pathlib.Path(directory) / "x.parquet"
        duckdb.sql("COPY (SELECT unnest([5, 6])::BIGINT AS id, 'z' AS v) TO '%s' (FORMAT parquet)"
                   % path)
        return path.read_bytes()


def test_job_waits_for_its_first_file(rig):
    """An empty bucket is no error: the job is there before its files are."""
    made = rig()
    made.create_job(properties={"max_interval": "1"})
    job = made.wait_state("RUNNING")
    assert job["SucceedTaskCount"] == "0"
    procs.wait_until(lambda: "No data available" in made.job()["JobRuntimeMsg"], 30, "the idle hint")
    made.bucket.put_rows("in/a.csv", 3)
    made.check_exactly_once()


def test_offset_property(rig):
    made = rig()
    for key in ("in/a.csv", "in/b.csv", "in/c.csv"):
        made.bucket.put_rows(key, 10)
    made.execute(create_job_sql(
        "j", "INSERT INTO demo.t SELECT * FROM " + made.bucket.tvf("in/*.csv")).replace(
            "PROPERTIES ()", "PROPERTIES ('offset' = '{\"fileName\":\"in/b.csv\"}')"))
    made.wait_rows(10)
    procs.wait_until(lambda: made.offset() == {"fileName": "in/c.csv"}, 30, "the offset")
    assert made.ids() == list(range(21, 31))


def test_privileges(rig):
    """LOAD on the target, for every statement and every row."""
    users = {"loader": ("pw", "table:demo.t:Load_priv,Select_priv"), "reader": ("pw", "db:demo:Select_priv")}
    made = rig(users=users)
    loader = {"user": "loader", "password": "pw"}
    reader = {"user": "reader", "password": "pw"}
    sql = create_job_sql("j", "INSERT INTO demo.t SELECT * FROM " + made.bucket.tvf("in/*.csv"))
    denied = pytest.raises(pymysql.err.OperationalError, match="LOAD command denied to user 'reader'")
    with denied as caught:
        made.execute(sql, **reader)
    assert caught.value.args[0] == 1142
    assert made.job() is None
    made.execute(sql, **loader)
    assert made.execute('SELECT * FROM jobs("type"="insert")', **reader) == []
    assert len(made.execute('SELECT * FROM jobs("type"="insert")', **loader)) == 1
    for statement in ("PAUSE JOB WHERE jobName = 'j'", "RESUME JOB WHERE jobName = 'j'",
                      "DROP JOB WHERE jobName = 'j'"):
        with pytest.raises(pymysql.err.OperationalError, match="LOAD command denied"):
            made.execute(statement, **reader)
    assert made.job()["Definer"] == "loader"
    made.execute("DROP JOB WHERE jobName = 'j'", **loader)


def test_jobs_of_the_fe_itself(rig):
    """ON SCHEDULE jobs are Doris's: created, paused and dropped there, through us."""
    made = rig("4.1")
    made.execute("CREATE JOB s ON SCHEDULE EVERY 1 HOUR DO INSERT INTO demo.t SELECT * FROM demo.t",
                 db="demo")

    def status():
        found = made.fe.rows('SELECT Status FROM jobs("type"="insert") WHERE Name = \'s\'')
        return found[0]["Status"] if found else None
    assert status() == "RUNNING"
    made.execute("PAUSE JOB WHERE jobName = 's'")
    assert status() == "PAUSED"
    made.execute("DROP JOB WHERE jobName = 's'")
    assert status() is None
