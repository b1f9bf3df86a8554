"""A file that Doris cannot load is set aside while the stream goes on; then it is retried or skipped."""

import contextlib
import json

import pymysql
import pytest

import procs
import replies
import suite_rig
import wire
from suite_rig import example, offset_text

BAD = "eleven,Ada,20\n"
REASON = "Insert has filtered data in strict mode"
CREATE = "CREATE JOB $JOB PROPERTIES('max_interval' = '1'%s) ON STREAMING DO " \
         "INSERT INTO $TABLE SELECT c1, c2, c3 FROM $S3(%s/*.csv)"
ALL = ["Guarantee", "LateFiles", "OverwrittenFiles", "QuarantinedFiles", "TrackedFiles", "Quarantine",
       "Evidence"]


@pytest.fixture(scope="module")
def servers(swift):
    with suite_rig.running(swift, config={"scheduler.resume_delay": "100ms"}) as made:
        yield made


@pytest.fixture
def suite(servers, request):
    with servers.suite(request.node.name.replace("test_", "aside_", 1)) as s:
        yield s


def key(s, n):
    return "%s/%02d.csv" % (s.name, n)


def put(s, *numbers, bad=()):
    """Files of ten rows each, whose ids their number tells; `bad` ones that Doris refuses."""
    for n in sorted({*numbers, *bad}):
        s.bucket.put(key(s, n), BAD if n in bad else example(1 + 10 * n))


def create(s, properties=""):
    s.sql(CREATE % (properties, s.name))


def check_rows(s, *numbers):
    """The rows of these files are in the table, each once, and no others."""
    wanted = sorted(i for n in numbers for i in range(1 + 10 * n, 11 + 10 * n))
    procs.wait_until(lambda: len(s.rows()) >= len(wanted), 30, "%d rows" % len(wanted))
    assert [row[0] for row in s.rows()] == wanted


def aside(s):
    """Column Quarantine: what it has of each key."""
    text, n = s.job("Quarantine, QuarantinedFiles")
    files = json.loads(text)
    assert all(list(f) == ["key", "reason", "task", "time", "retried"] for f in files)
    assert len(files) == int(n)
    return {f["key"]: f for f in files}


def wait_aside(s, *numbers):
    wanted = {key(s, n) for n in numbers}
    def look():
        found = aside(s)
        return (found or True) if set(found) == wanted else None
    return procs.wait_until(look, 30, "the files aside to be %s" % sorted(wanted))


def wait_offset(s, n):
    s.wait("CurrentOffset", lambda offset: offset == offset_text(key(s, n)))


def decide(s, what):
    """ALTER JOB; how many files the answer says it was."""
    with contextlib.closing(s.sluice.connect(db=suite_rig.DB)) as connection:
        with connection.cursor() as cursor:
            return cursor.execute(s.filled("ALTER JOB $JOB " + what))


def explained(s):
    return {line[0]: line for line in s.sql("EXPLAIN JOB $JOB")}, str(s.sql("EXPLAIN JOB $JOB"))


@pytest.mark.sanitize
def test_one_of_twenty(suite):
    """The one is set aside, all others are loaded, new ones too; mended and retried it is loaded."""
    s = suite
    put(s, *range(20), bad=[7])
    create(s)
    found = wait_aside(s, 7)[key(s, 7)]
    wait_offset(s, 19)
    check_rows(s, *range(7), *range(8, 20))
    assert REASON in found["reason"] and not found["retried"]
    status, error = {int(n): (status, error) for n, status, error in
                     s.tasks("TaskId, Status, ErrorMsg")}[found["task"]]
    assert status == "FAILED" and REASON in error
    put(s, 20)
    wait_offset(s, 20)
    assert s.job("Status, ErrorMsg") == ("RUNNING", "")
    _, text = explained(s)
    assert key(s, 7) in text and "RETRY FILE" in text
    assert "sluice_files_quarantined 1\n" in s.sluice.http("/metrics")[1]

    s.bucket.put(key(s, 7), example(71))
    assert decide(s, "RETRY FILE '%s'" % key(s, 7)) == 1
    wait_aside(s)
    check_rows(s, *range(21))
    assert s.job("CurrentOffset") == (offset_text(key(s, 20)),)  # it was passed long ago
    put(s, 21)
    check_rows(s, *range(22))
    ids = sorted(int(row[0]) for row in s.tasks("TaskId"))
    assert ids == list(range(1, len(ids) + 1))
    assert key(s, 7) not in explained(s)[1]


def test_a_first_file_with_too_few_columns(suite):
    """Doris finds the columns in the first file. The INSERT has loaded before: it is not at fault."""
    s = suite
    put(s, 0)
    create(s)
    wait_offset(s, 0)
    s.bucket.put(key(s, 1), "\n")
    put(s, 2, 3)
    assert "Unknown column 'c" in wait_aside(s, 1)[key(s, 1)]["reason"]
    wait_offset(s, 3)
    check_rows(s, 0, 2, 3)
    assert s.job("Status") == ("RUNNING",)
    s.sql("PAUSE JOB WHERE jobName = '$JOB'")
    s.sql("ALTER JOB $JOB INSERT INTO $TABLE SELECT c1, c2, upper(c3) FROM $S3(%s/*.csv)" % s.name)
    s.bucket.put(key(s, 4), "\n")
    s.sql("RESUME JOB WHERE jobName = '$JOB'")
    s.wait("ErrorMsg", lambda text: "INTERNAL_ERR" in text and "Unknown column 'c" in text)
    assert set(aside(s)) == {key(s, 1)}  # nothing was loaded with that one: no file is blamed


def test_retry_in_vain_and_skip(suite):
    """What fails again stays aside; what is skipped is forgotten; both also when PAUSED."""
    s = suite
    put(s, 0, 2, 4, bad=[1, 3])
    create(s)
    first = wait_aside(s, 1, 3)[key(s, 1)]["task"]
    assert decide(s, "RETRY FILE '%s'" % key(s, 1)) == 1
    again = procs.wait_until(lambda: aside(s)[key(s, 1)]["task"] not in (first, None) and
                             aside(s)[key(s, 1)], 30, "the file to fail again")
    assert not again["retried"] and REASON in again["reason"]
    assert s.job("Status") == ("RUNNING",)
    assert decide(s, "SKIP FILE '%s'" % key(s, 1)) == 1
    assert set(aside(s)) == {key(s, 3)}
    s.sql("PAUSE JOB WHERE jobName = '$JOB'")
    s.restart()
    assert set(aside(s)) == {key(s, 3)}
    assert decide(s, "RETRY ALL FILES") == 1
    assert aside(s)[key(s, 3)]["retried"]
    assert decide(s, "SKIP ALL FILES") == 1
    assert aside(s) == {}
    s.sql("RESUME JOB WHERE jobName = '$JOB'")
    put(s, 5)
    wait_offset(s, 5)
    check_rows(s, 0, 2, 4, 5)


def test_nothing_to_decide(suite):
    """A wrong key, or none aside at all: an error that says where the right ones are."""
    s = suite
    put(s, 0, bad=[1])
    create(s)
    wait_aside(s, 1)
    before = s.job("Status, CurrentOffset, FailedTaskCount, ErrorMsg, Quarantine")
    s.refused("ALTER JOB $JOB RETRY FILE 'in/other.csv'", "in/other.csv")
    s.refused("ALTER JOB $JOB SKIP FILE '%s'" % key(s, 0), key(s, 0))
    s.refused("ALTER JOB nosuch SKIP ALL FILES", "job not exist, jobName: nosuch")
    s.refused("ALTER JOB $JOB SKIP FILES '%s'" % key(s, 1), "{'FILE', 'ALL'}", "(line 1, pos ")
    s.fe.rows("CREATE USER IF NOT EXISTS 'reader' IDENTIFIED BY 'pw'")
    s.fe.rows("GRANT SELECT_PRIV ON regression.* TO 'reader'")
    s.refused("ALTER JOB $JOB SKIP ALL FILES", "LOAD", user=("reader", "pw"))
    assert s.job("Status, CurrentOffset, FailedTaskCount, ErrorMsg, Quarantine") == before
    assert decide(s, "SKIP ALL FILES") == 1
    s.refused("ALTER JOB $JOB SKIP ALL FILES", "aside")


def test_pause_instead(suite):
    """With s3.bad_files = pause the job stops, as Doris's does; ALTER makes it go on."""
    s = suite
    put(s, 0, 2, bad=[1])
    create(s, ", 's3.bad_files' = 'PAUSE', 's3.max_batch_files' = '1'")
    s.wait_status("PAUSED")
    error = json.loads(s.job("ErrorMsg")[0])
    assert error["code"] == "TOO_MANY_FAILURE_ROWS_ERR" and REASON in error["msg"]
    assert aside(s) == {}
    check_rows(s, 0)
    s.sql("ALTER JOB $JOB PROPERTIES('s3.bad_files' = 'quarantine')")
    s.sql("RESUME JOB WHERE jobName = '$JOB'")
    wait_aside(s, 1)
    wait_offset(s, 2)
    check_rows(s, 0, 2)


def test_eleven_in_a_row(suite):
    """Then it is the statement that is wrong, not the files: PAUSED, and nothing more set aside."""
    s = suite
    put(s, 0, 13, bad=range(1, 13))
    create(s)
    s.wait_status("PAUSED")
    error = json.loads(s.job("ErrorMsg")[0])
    assert error["code"] == "TOO_MANY_FAILURE_ROWS_ERR" and REASON in error["msg"]
    assert set(aside(s)) == {key(s, n) for n in range(1, 11)}
    assert s.job("CurrentOffset") == (offset_text(key(s, 10)),)
    check_rows(s, 0)
    put(s, *range(1, 13))
    assert decide(s, "RETRY ALL FILES") == 10
    s.sql("RESUME JOB WHERE jobName = '$JOB'")
    wait_aside(s)
    check_rows(s, *range(14))


def test_outage_is_no_bad_file(suite):
    """What Doris says of itself has nothing set aside, however often."""
    s = suite
    put(s, 0)
    s.fe.knobs(fail_insert="no backend is available", fail_insert_count=6)
    try:
        create(s)
        check_rows(s, 0)
    finally:
        s.fe.knobs(fail_insert="", fail_insert_count=-1)
    assert aside(s) == {} and int(s.job("FailedTaskCount")[0]) >= 1


def test_columns(suite):
    """Named, they are there: prepared, in conditions, beside real tables; `*` is Doris's own."""
    s = suite
    put(s, 0, bad=[1])
    create(s)
    wait_aside(s, 1)
    with contextlib.closing(s.sluice.connect(db=suite_rig.DB)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM jobs('type'='insert') LIMIT 0")
            names = [column[0] for column in cursor.description]
            assert len(names) == 20 and not set(ALL) & set(names)
            cursor.execute("SELECT %s FROM jobs('type'='insert') WHERE Name = %%s" % ", ".join(ALL),
                           (s.name,))
            assert [column[0] for column in cursor.description] == ALL
            row = cursor.fetchone()
    assert (row[0], row[3], row[4], row[6]) == ("label", "1", "0", "")
    assert s.sql("SHOW JOBS LIKE '$JOB' WHERE QuarantinedFiles > 0 AND Guarantee = 'label'")[0][1] == s.name
    assert s.sql("SHOW JOBS WHERE QuarantinedFiles > 1") == []
    joined = s.sql("SELECT j.Name, j.QuarantinedFiles, t.c1 FROM jobs('type'='insert') j JOIN $TABLE t "
                   "ON t.c1 = j.QuarantinedFiles WHERE j.Guarantee = 'label' AND j.Name = '$JOB'")
    assert joined == [(s.name, "1", 1)]
    client = wire.Client(s.sluice.port, "root", "")
    try:
        statement, n_params, columns = replies.prepare(
            client, "SELECT Quarantine, QuarantinedFiles FROM jobs('type'='insert') WHERE Name = ? "
            "ORDER BY QuarantinedFiles")
        assert n_params == 1 and [c.name for c in columns] == ["Quarantine", "QuarantinedFiles"]
    finally:
        client.close()
    with pytest.raises(pymysql.MySQLError, match="has Id, Name, .*Guarantee, LateFiles"):
        s.sql("SELECT Quarantined FROM jobs('type'='insert')")


def test_fe_jobs_have_none(suite):
    s = suite
    s.fe.rows("CREATE JOB fes ON SCHEDULE EVERY 1 HOUR DO INSERT INTO {0} SELECT * FROM {0}".format(
        s.table), db=suite_rig.DB)
    try:
        assert s.sql("SELECT Name, Guarantee, Quarantine FROM jobs('type'='insert') "
                     "WHERE Name = 'fes'") == [("fes", None, None)]
    finally:
        s.fe.rows("DROP JOB WHERE jobName = 'fes'", db=suite_rig.DB)


def test_show_create_and_properties(suite):
    """The new properties go through SHOW CREATE JOB as they were given."""
    s = suite
    create(s, ", 's3.discovery' = 'Tracked', 's3.overwritten' = 'reload', 's3.bad_files' = 'pause', "
           "'guarantee' = 'LABEL'")
    text = s.sql("SHOW CREATE JOB $JOB")[0][1]
    for pair in ('"s3.discovery" = "Tracked"', '"s3.overwritten" = "reload"',
                 '"s3.bad_files" = "pause"', '"guarantee" = "LABEL"'):
        assert pair in text, text
    put(s, 0)
    wait_offset(s, 0)
    s.wait("TrackedFiles", lambda n: n == "1")
    s.sql("DROP JOB WHERE jobName = '$JOB'")
    server = s.bucket.server
    s.sql(text.replace('"s3.access_key" = "*XXX"', '"s3.access_key" = "%s"' % server.access_key)
          .replace('"s3.secret_key" = "*XXX"', '"s3.secret_key" = "%s"' % server.secret_key))
    assert s.sql("SHOW CREATE JOB $JOB")[0][1] == text
