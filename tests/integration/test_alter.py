"""ALTER JOB changes a job in all that the statement says or in nothing; CANCEL TASK ends one task."""

import contextlib
import json
import random
import threading

import pymysql
import pytest

import procs
import replies
import suite_rig
import wire
from suite_rig import DATA, EXAMPLES, example, example_rows, offset_text

OTHER_KEYS = {"s3.access_key": "AKIDOTHER", "s3.secret_key": "another-secret"}
SELECT = "INSERT INTO $TABLE SELECT c1, c2, c3 FROM $S3"
SWAPPED = "INSERT INTO $TABLE SELECT c3, c2, c1 FROM $S3"
NOW = "Status, ExecuteSql, Properties, CurrentOffset, LoadStatistic, ErrorMsg, SucceedTaskCount"


@pytest.fixture(scope="module")
def servers(swift):
    with suite_rig.running(swift) as made:
        yield made


@pytest.fixture
def suite(servers, request):
    """A table and a job that is PAUSED after it has loaded both files, nothing under way."""
    with servers.suite(request.node.name.replace("test_", "alter_", 1)) as s:
        yield s


def pause(s):
    s.sql("PAUSE JOB WHERE jobName = '$JOB'")
    assert s.job("Status") == ("PAUSED",)
    procs.wait_until(lambda: all(row[0] not in ("PENDING", "RUNNING") for row in s.tasks("Status")),
                     20, "no task open")


def resume(s):
    s.sql("RESUME JOB WHERE jobName = '$JOB'")


def paused(s, properties='"max_interval" = "1"'):
    s.sql("CREATE JOB $JOB PROPERTIES(%s) ON STREAMING DO %s" % (properties, SELECT))
    s.wait("CurrentOffset", lambda offset: offset == offset_text(EXAMPLES[1]))
    pause(s)
    return s


@contextlib.contextmanager
def third_file(s):
    """A file more that the job's pattern does not have."""
    key = DATA + "example_2.csv"
    s.bucket.put(key, example(21))
    try:
        yield key
    finally:
        s.bucket.remove(key)


def test_everything_at_once(suite):
    """Credentials, SELECT list, properties and offset in one statement; the job stays PAUSED."""
    s = paused(suite)
    before = s.job(NOW)
    s.sql("ALTER JOB $JOB PROPERTIES('s3.max_batch_files' = '1', 'offset' = '%s') %s"
          % (offset_text(EXAMPLES[0]), SWAPPED), **OTHER_KEYS)
    status, sql, properties, offset, statistic, message, done = s.job(NOW)
    assert status == "PAUSED"
    assert "SELECT c3, c2, c1" in sql and "another-secret" not in sql and "*XXX" in sql
    assert json.loads(properties) == {"max_interval": "1", "s3.max_batch_files": "1",
                                      "offset": offset_text(EXAMPLES[0])}
    assert offset == offset_text(EXAMPLES[0])
    assert (statistic, message, done) == (before[4], before[5], before[6])
    n_tasks = len(s.tasks("TaskId"))
    s.restart()
    assert s.job("Status, ExecuteSql, Properties, CurrentOffset") == ("PAUSED", sql, properties, offset)
    resume(s)
    s.wait("CurrentOffset, Status", lambda at, _: at == offset_text(EXAMPLES[1]))
    again = [(age, name, number) for number, name, age in example_rows(1)]
    assert s.rows() == sorted(example_rows(0, 1) + again)
    assert s.statistic()["scannedRows"] == 30  # it is not reset
    assert s.job("ErrorMsg, JobRuntimeMsg")[0] == ""
    assert sorted(int(row[0]) for row in s.tasks("TaskId")) == list(range(1, n_tasks + 2))


def test_new_select_list_is_for_new_files(suite):
    """Nothing is loaded again when no offset is given, and the position is kept."""
    s = suite
    pattern = DATA + "example_[0-2].csv"
    insert = "INSERT INTO $TABLE SELECT %s FROM $S3(" + pattern + ")"
    s.sql("CREATE JOB $JOB PROPERTIES('max_interval' = '1') ON STREAMING DO " + insert % "c1, c2, c3")
    s.wait("CurrentOffset", lambda offset: offset == offset_text(EXAMPLES[1]))
    pause(s)
    s.sql("ALTER JOB $JOB ON STREAMING DO " + insert % "c1, upper(c2), c3")
    assert s.job("CurrentOffset") == (offset_text(EXAMPLES[1]),)
    with third_file(s):
        resume(s)
        s.wait("SucceedTaskCount, CurrentOffset", lambda _, at: at.endswith('example_2.csv"}'))
    new = [(number, name.upper(), age) for number, name, age in example_rows(2)]
    assert s.rows() == sorted(example_rows(0, 1) + new)


def test_rewound_by_a_name_that_is_no_file(suite):
    """As Doris's own suite does it, twice; Properties shows what was given last."""
    s = paused(suite, properties='"max_interval" = "1", "offset" = "{\\"fileName\\":\\"%s\\"}"'
               % EXAMPLES[0])
    assert s.rows() == example_rows(1)
    first = offset_text(DATA + "anoexist1234.csv")
    for n_times in (2, 3):
        s.sql("ALTER JOB FOR $JOB PROPERTIES('offset' = '%s')" % first)
        assert s.job("CurrentOffset") == (first,)
        assert json.loads(s.job("Properties")[0])["offset"] == first
        resume(s)
        s.wait("CurrentOffset", lambda offset: offset == offset_text(EXAMPLES[1]))
        pause(s)
        assert s.rows() == sorted(example_rows(1) + example_rows(0, 1) * (n_times - 1))
    assert s.statistic()["scannedRows"] == 50
    succeeded, failed, canceled = s.job("SucceedTaskCount, FailedTaskCount, CanceledTaskCount")
    assert len(s.tasks("TaskId")) == int(succeeded) + int(failed) + int(canceled)


DETAIL = "errCode = 2, detailMessage = "
REFUSED = {
    "nothing": ("ALTER JOB $JOB", "No properties or sql changed in ALTER JOB"),
    "empty": ("ALTER JOB $JOB PROPERTIES()", "No properties or sql changed in ALTER JOB"),
    "the same": ("ALTER JOB $JOB PROPERTIES('MAX_INTERVAL' = 1) " + SELECT,
                 DETAIL + "No properties or sql changed in ALTER JOB", "another"),
    "target": ("ALTER JOB $JOB INSERT INTO other SELECT * FROM $S3",
               DETAIL + "The target table cannot be modified in ALTER JOB", "CREATE another job"),
    "database": ("ALTER JOB $JOB INSERT INTO `other`.$TABLE SELECT * FROM $S3",
                 "The target table cannot be modified in ALTER JOB"),
    "catalog": ("ALTER JOB $JOB INSERT INTO hive.regression.$TABLE SELECT * FROM $S3",
                "The target table cannot be modified in ALTER JOB"),
    "uri": ("ALTER JOB $JOB INSERT INTO $TABLE SELECT * FROM $S3(in/*.csv)",
            DETAIL + "The uri property cannot be modified in ALTER JOB", "in/*.csv"),
    "tvf": ("ALTER JOB $JOB INSERT INTO $TABLE SELECT * FROM hdfs('uri' = 's3://b/x')",
            DETAIL + "The tvf type cannot be modified in ALTER JOB: original=s3, new=hdfs"),
    "column": ("ALTER JOB $JOB INSERT INTO $TABLE SELECT c1, nosuch, c3 FROM $S3", "nosuch"),
    "too few": ("ALTER JOB $JOB INSERT INTO $TABLE SELECT c1 FROM $S3",
                "insert into cols should be corresponding to the query output"),
    "property": ("ALTER JOB $JOB PROPERTIES('xxx' = 'xxx')", "Invalid properties: [xxx]"),
    "interval": ("ALTER JOB $JOB PROPERTIES('max_interval' = '10s')",
                 "max_interval must be at least 1 second, but was 10s"),
    "files": ("ALTER JOB $JOB PROPERTIES('s3.max_batch_files' = '0')",
              "s3.max_batch_files must be at least 1, but was 0"),
    "bytes": ("ALTER JOB $JOB PROPERTIES('s3.max_batch_bytes' = '10')",
              "s3.max_batch_bytes must be between 100 MB and 10 GB, but was 10"),
    "offset blank": ("ALTER JOB $JOB PROPERTIES('offset' = '')", DETAIL + "Invalid format for offset"),
    "offset no JSON": ("ALTER JOB $JOB PROPERTIES('offset' = 'x')",
                       DETAIL + "Failed to initialize offset"),
    "offset no name": ("ALTER JOB $JOB PROPERTIES('offset' = '{\"a\":1}')",
                       DETAIL + "Invalid format for offset"),
    "variable": ("ALTER JOB $JOB PROPERTIES('session.xxx' = '1')",
                 DETAIL + "Invalid session variable, [xxx]"),
    "value": ("ALTER JOB $JOB PROPERTIES('session.enable_insert_strict' = 'xxx')",
              DETAIL + "Variable enable_insert_strict can't be set to the value of xxx"),
    "guarantee": ("ALTER JOB $JOB PROPERTIES('guarantee' = 'twice')",
                  DETAIL + "guarantee must be one of [label, transactional], but was twice"),
    "bad files": ("ALTER JOB $JOB PROPERTIES('s3.bad_files' = 'skip')",
                  DETAIL + "s3.bad_files must be one of [quarantine, pause], but was skip"),
    "mode": ("ALTER JOB $JOB PROPERTIES('s3.ingestion_mode' = 'ONCE')",
             DETAIL + "Unsupported s3.ingestion_mode: ONCE"),
    "overwritten": ("ALTER JOB $JOB PROPERTIES('s3.overwritten' = 'reload')",
                    "s3.overwritten = reload wants \"s3.discovery\" = \"tracked\""),
    "discovery, loaded": ("ALTER JOB $JOB PROPERTIES('s3.discovery' = 'tracked')",
                          "The s3.discovery property cannot be modified in ALTER JOB", "CREATE it with"),
    "mode, loaded": ("ALTER JOB $JOB PROPERTIES('s3.ingestion_mode' = 'one_time')",
                     "The s3.ingestion_mode property cannot be modified in ALTER JOB", "DROP this one"),
    "compute group": ("ALTER JOB $JOB PROPERTIES('compute_group' = 'x')",
                      "only supported in cloud mode"),
    "unknown job": ("ALTER JOB nosuch PROPERTIES('max_interval' = '1')",
                    DETAIL + "job not exist, jobName: nosuch"),
    "unknown job, INSERT": ("ALTER JOB nosuch " + SELECT, "job not exist, jobName: nosuch"),
}


def test_bad_input(suite):
    """Each is refused in Doris's words with a sentence of ours, and the job is as it was."""
    s = paused(suite)
    before = s.job()
    for case, (sql, *words) in REFUSED.items():
        try:
            s.refused(sql, *words)
            assert s.job() == before
        except AssertionError as e:
            raise AssertionError("case %s: %s" % (case, e)) from e
    s.refused("ALTER JOB $JOB " + SELECT, "s3.secret_key", **{"s3.secret_key": "wrong"})
    assert s.job() == before
    resume(s)
    s.refused("ALTER JOB $JOB PROPERTIES('max_interval' = '2')",
              DETAIL + "Only PAUSED job can be altered", "PAUSE JOB")
    pause(s)
    s.sql("ALTER JOB $JOB PROPERTIES('max_interval' = '2')")


def test_fe_away(suite):
    """What cannot be checked is refused: the client's session lives, the service account's cannot begin."""
    s = paused(suite)
    before = s.job()
    s.fe.knobs(refuse_connections=1)
    try:
        s.refused("ALTER JOB $JOB " + SWAPPED, "ALTER JOB was not done: ", "FE 127.0.0.1")
        assert s.job() == before
        s.sql("ALTER JOB $JOB PROPERTIES('max_interval' = '3')")  # nobody need be asked
        assert json.loads(s.job("Properties")[0])["max_interval"] == "3"
    finally:
        s.fe.knobs(refuse_connections=0)
    s.sql("ALTER JOB $JOB " + SWAPPED)


def test_bad_session_variables_at_create(suite):
    """CREATE has the same words."""
    for name, value, words in (("xxx", "1", "Invalid session variable, [xxx]"),
                               ("enable_insert_strict", "xxx", "Variable enable_insert_strict can't "
                                "be set to the value of xxx")):
        suite.refused("CREATE JOB $JOB PROPERTIES('session.%s' = '%s') ON STREAMING DO %s"
                      % (name, value, SELECT), DETAIL + words, "session." + name)


def test_session_variables_take_effect(suite):
    s = paused(suite)
    s.sql("ALTER JOB $JOB PROPERTIES('session.insert_timeout' = 77, 'offset' = '{\"fileName\":\"a\"}')")
    resume(s)
    s.wait_tasks(2)
    sent = [entry["repr"] for entry in s.fe.log()]
    assert any("SET SESSION insert_timeout = '77'" in text for text in sent), sent[-20:]


def test_prepared_and_in_a_script(suite):
    s = paused(suite)
    client = wire.Client(s.sluice.port, "root", "")
    try:
        assert client.query("USE " + suite_rig.DB)[0][0] == "ok"
        statement, n_params, columns = replies.prepare(
            client, s.filled("ALTER JOB $JOB PROPERTIES('s3.max_batch_files' = '3')"))
        assert n_params == 0 and not columns
        replies.run(client, statement)
        assert json.loads(s.job("Properties")[0])["s3.max_batch_files"] == "3"
    finally:
        client.close()
    flag = pymysql.constants.CLIENT.MULTI_STATEMENTS
    with contextlib.closing(s.sluice.connect(db=suite_rig.DB, client_flag=flag)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(s.filled("SELECT 1; ALTER JOB $JOB PROPERTIES('s3.max_batch_files' = '4'); "
                                    "SELECT 2; ALTER JOB $JOB " + SWAPPED + "; SELECT 3"))
            seen = [cursor.fetchall()]
            while cursor.nextset():
                seen.append(cursor.fetchall())
    assert [row for row in seen if row] == [((1,),), ((2,),), ((3,),)]
    sql, properties = s.job("ExecuteSql, Properties")
    assert "c3, c2, c1" in sql and json.loads(properties)["s3.max_batch_files"] == "4"


def test_two_at_once(suite):
    """Both are checked at the same time; what the job then is comes from one of them alone."""
    s = paused(suite)
    texts = [s.filled("ALTER JOB $JOB PROPERTIES('s3.max_batch_files' = '%d') INSERT INTO $TABLE "
                      "SELECT c1, c2, %d FROM $S3" % (n, n)) for n in (5, 6)]
    said = {}

    def send(n):
        try:
            with contextlib.closing(s.sluice.connect(db=suite_rig.DB)) as connection:
                connection.cursor().execute(texts[n])
            said[n] = ""
        except pymysql.MySQLError as e:
            said[n] = e.args[1]
    threads = [threading.Thread(target=send, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(said) == {0, 1}
    assert "" in said.values()  # the later one may have been sent after the other was done
    assert all(text == "" or "has changed while this ALTER JOB was" in text for text in said.values())
    sql, properties = s.job("ExecuteSql, Properties")
    number = json.loads(properties)["s3.max_batch_files"]
    assert "c1, c2, %s FROM" % number in sql


def test_killed_around_it(suite):
    """kill -9 at five random moments of an ALTER: the job is the old one or the new one."""
    s = paused(suite)
    rng = random.Random(7)
    for n in range(5, 10):
        text = s.filled("ALTER JOB $JOB PROPERTIES('s3.max_batch_files' = '%d', 'offset' = '%s') INSERT "
                        "INTO $TABLE SELECT c1, c2, %d FROM $S3"
                        % (n, offset_text("f%d" % n), n))
        old = s.job("ExecuteSql, Properties, CurrentOffset")
        client = wire.Client(s.sluice.port, "root", "")
        assert client.query("USE " + suite_rig.DB)[0][0] == "ok"
        client.command(b"\x03" + text.encode())
        threading.Event().wait(rng.uniform(0, 0.3))
        s.sluice.kill9()
        client.close()
        s.sluice.start()
        s.reconnect()
        status, sql, properties, offset = s.job("Status, ExecuteSql, Properties, CurrentOffset")
        is_new = "c1, c2, %d FROM" % n in sql
        assert status == "PAUSED"
        assert (json.loads(properties).get("s3.max_batch_files") == str(n)) == is_new
        assert (offset == offset_text("f%d" % n)) == is_new
        assert is_new or (sql, properties, offset) == old


def test_who_may(suite):
    """LOAD on the target, as for the other statements; the refusal tells nothing of the job."""
    s = paused(suite)
    s.fe.rows("CREATE USER IF NOT EXISTS 'reader' IDENTIFIED BY 'pw'")
    s.fe.rows("GRANT SELECT_PRIV ON regression.* TO 'reader'")
    before = s.job()
    for sql in ("ALTER JOB $JOB PROPERTIES('max_interval' = '2')", "ALTER JOB $JOB " + SWAPPED,
                "CANCEL TASK WHERE jobName = '$JOB' AND taskId = 1"):
        text = s.refused(sql, "LOAD", user=("reader", "pw"))
        assert "PAUSED" not in text
    assert s.job() == before


# --- CANCEL TASK ----------------------------------------------------------------------------------


def loading(s):
    """The id of the job's running task; the FE keeps its INSERT back."""
    s.sql("CREATE JOB $JOB PROPERTIES('max_interval' = '1', 's3.max_batch_files' = '1') ON STREAMING "
          "DO " + SELECT)

    def look():
        found = s.tasks("TaskId, Status")
        running = [int(number) for number, status in found if status == "RUNNING"]
        return running[0] if running and s.fe.state()["running"] else None
    return procs.wait_until(look, 30, "a running task")


def cancel(s, number):
    s.sql("CANCEL TASK WHERE jobName = '$JOB' AND taskId = %d" % number)


def test_cancel(suite):
    s = suite
    s.fe.knobs(slow_ms=20000)
    try:
        number = loading(s)
        s.refused("CANCEL TASK WHERE jobName = 'nosuch' AND taskId = 1",
                  DETAIL + "job not exist, jobName:nosuch")
        s.refused("CANCEL TASK WHERE jobName = '$JOB' AND taskId = 4711",
                  DETAIL + "Not found task id: 4711", "running task of job")
        cancel(s, number)
        s.fe.knobs(slow_ms=0)
        row = procs.wait_until(lambda: [r for r in s.tasks("TaskId, Status, ErrorMsg")
                                        if int(r[0]) == number and r[1] == "CANCELED"], 20,
                               "the task CANCELED")
        assert row[0][2] == "task cancelled"
        assert s.job("Status, CanceledTaskCount") == ("RUNNING", "1")
    finally:
        s.fe.knobs(slow_ms=0)
    s.wait("CurrentOffset", lambda offset: offset == offset_text(EXAMPLES[1]))
    assert s.rows() == example_rows(0, 1)  # the range came again, once
    assert [int(row[0]) for row in sorted(s.tasks("TaskId"), key=lambda r: int(r[0]))] == [1, 2, 3]
    pause(s)
    s.refused("CANCEL TASK WHERE jobName = '$JOB' AND taskId = %d" % number, DETAIL + "no running task")


def test_cancel_too_late(suite):
    """Loaded, but not visible yet: it cannot be taken back, and is SUCCESS."""
    s = suite
    s.fe.knobs(publish_delay_ms=6000)  # the CANCEL comes within that time
    try:
        number = loading(s)
        procs.wait_until(lambda: s.fe.state()["transactions"].get("COMMITTED"), 20, "the load to be committed")
        cancel(s, number)
        s.fe.knobs(publish_delay_ms=0)  # of the next load
        s.wait("CurrentOffset", lambda offset: offset == offset_text(EXAMPLES[1]))
    finally:
        s.fe.knobs(publish_delay_ms=0)
    assert s.job("SucceedTaskCount, CanceledTaskCount") == ("2", "0")
    assert s.rows() == example_rows(0, 1)
