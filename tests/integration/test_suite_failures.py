"""Doris's suites about a job that fails, resumes by itself, or gives up; in our words."""

import base64
import contextlib
import json
import re

import pymysql
import pytest

import procs
import suite_rig
from bucket import Bucket
from suite_rig import EXAMPLES, example_rows, offset_text

CREATE = ("CREATE JOB $JOB PROPERTIES(\"s3.max_batch_files\" = \"1\") ON STREAMING DO "
          "INSERT INTO $TABLE SELECT * FROM $S3;")
ATTEMPTS = 4  # of one task, as in Doris


@pytest.fixture(scope="module")
def slow(swift):
    """Servers where a failed job stays PAUSED."""
    with suite_rig.running(swift, config={"scheduler.resume_delay": "5m"}) as made:
        yield made


@pytest.fixture(scope="module")
def quick(swift):
    """Where it is resumed at once, three times: streaming_job_max_auto_resume_count = 3."""
    with suite_rig.running(swift, config={"scheduler.resume_delay": "50ms",
                                          "scheduler.max_auto_resumes": 3}) as made:
        yield made


def error(s):
    """ErrorMsg, which is JSON: its code and message."""
    found = json.loads(s.job("ErrorMsg")[0])
    assert list(found) == ["code", "msg"]
    return found["code"], found["msg"]


@contextlib.contextmanager
def failing(servers, text, times=-1):
    """The FE refuses every load, or so many, where the suites have a debug point."""
    servers.fe.knobs(fail_insert=text, fail_insert_count=times)
    try:
        yield
    finally:
        servers.fe.knobs(fail_insert="", fail_insert_count=-1)


def test_task_timeout(slow):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_task_retry.groovy: a load
    that is slower than its session's timeouts fails, is tried again, and the job is PAUSED with one
    failed task. The FE is slow by itself here, where the suite selects sleep(10)."""
    with slow.suite("test_streaming_insert_job_name_task_retry") as s:
        slow.fe.knobs(slow_ms=10000)
        try:
            s.sql("CREATE JOB $JOB PROPERTIES( \"session.insert_timeout\" = \"1\", "
                  "\"session.query_timeout\" = \"1\" ) ON STREAMING DO "
                  "INSERT INTO $TABLE SELECT c1, c2, c3 FROM $S3;")
            s.wait("Status, FailedTaskCount", lambda *found: found == ("PAUSED", "1"), 60)
        finally:
            slow.fe.knobs(slow_ms=0)
        assert error(s)[0] == "INTERNAL_ERR" and "Execute timeout" in error(s)[1]
        sent = labels_sent(s)
        assert len(sent) == ATTEMPTS and len(set(sent)) == 1  # all of them with one label
        s.drop()


def labels_sent(s):
    """The labels of the loads into the table, in the FE's order."""
    texts = [base64.b64decode(entry["base64"]).decode() for entry in s.fe.log()]
    return [found[1] for found in (re.match(r"INSERT INTO %s WITH LABEL `(\S+)`" % s.table, text)
                                   for text in texts) if found]


def test_listing_fails(slow, swift):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_fetch_meta_error.groovy: a
    store that cannot be listed any more pauses the job, it does not hang. The bucket goes away,
    where the suite has a debug point."""
    gone = Bucket(swift).create()
    with slow.suite("test_streaming_insert_job_fetch_meta_error_job", bucket=gone) as s:
        s.sql("CREATE JOB $JOB PROPERTIES(\"max_interval\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_status("RUNNING")
        gone.delete()
        s.wait_status("PAUSED")
        code, text = error(s)
        assert code == "GET_REMOTE_DATA_ERROR"
        assert "Failed to fetch meta" in text and "Failed to list S3 files" in text
        assert "NoSuchBucket" in text
        s.drop()


def test_scheduling_fails(slow):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_job_schedule_task_error.groovy: what
    goes wrong before a load begins pauses the job, with the text. The target is dropped behind the
    job's back, where the suite has a debug point."""
    with slow.suite("test_streaming_job_schedule_task_error_job") as s:
        s.sql("CREATE JOB $JOB PROPERTIES(\"max_interval\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3(later/*.csv);")
        s.sql("DROP TABLE $TABLE FORCE")
        s.bucket.put("later/a.csv", suite_rig.example(1))
        s.wait_status("PAUSED")
        code, text = error(s)
        assert code == "INTERNAL_ERR"
        with pytest.raises(pymysql.MySQLError) as caught:
            s.sql("SELECT * FROM $TABLE")
        assert s.table in text and s.table in str(caught.value)
        s.drop()


def test_resumes_by_itself(quick):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_job_auto_resume.groovy: a
    failure that passes is got over without anybody; what the user paused stays so. Where the suite
    watches for ten seconds, another job is resumed three times meanwhile."""
    with quick.suite("test_streaming_job_auto_resume") as s:
        with failing(quick, "submit flush error", times=ATTEMPTS):
            s.sql(CREATE)
            s.wait_tasks(2)
        assert s.job("FailedTaskCount, ErrorMsg") == ("1", "")
        assert s.rows() == example_rows(0, 1)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        paused = s.job("status, ErrorMsg, SucceedTaskCount")
        assert paused[0] == "PAUSED" and error(s)[0] == "MANUAL_PAUSE_ERR"
        with quick.suite("test_streaming_job_auto_resume_other") as other, \
                failing(quick, "submit flush error"):
            other.sql(CREATE)
            other.wait("ErrorMsg", lambda text: "CANNOT_RESUME_ERR" in text)
        assert s.job("status, ErrorMsg, SucceedTaskCount") == paused


def test_gives_up(quick):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_job_max_retry.groovy: once
    the budget is spent, ErrorMsg says so, and only RESUME helps."""
    with quick.suite("test_streaming_job_max_retry_job") as s:
        with failing(quick, "StreamingJob.scheduleTask.exception"):
            s.sql(CREATE)
            s.wait("Status, ErrorMsg", lambda state, text: state == "PAUSED"
                   and "CANNOT_RESUME_ERR" in text)
            code, text = error(s)
            assert code == "CANNOT_RESUME_ERR"
            assert text.startswith("Auto resume failed after 3 attempts. Last error: ")
            assert "StreamingJob.scheduleTask.exception" in text
        assert s.job("Status, FailedTaskCount") == ("PAUSED", "4")  # the first and three resumes
        s.sql("RESUME JOB where jobname = '$JOB'")
        s.wait_tasks(2)
        assert s.job("ErrorMsg, currentOffset") == ("", offset_text(EXAMPLES[1]))
        assert s.rows() == example_rows(0, 1)
        s.drop()


def test_fe_is_away(quick):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_job_restart_fe.groovy: the
    other half here, the FE's own restart. It is an outage and no failure: no task fails, none is
    lost."""
    with quick.suite("test_streaming_job_fe_restart") as s:
        s.sql("CREATE JOB $JOB PROPERTIES(\"max_interval\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3(away/*.csv);")
        s.bucket.put("away/a.csv", suite_rig.example(1))
        s.wait_tasks(1)
        quick.fe.kill9()
        s.reconnect()
        s.bucket.put("away/b.csv", suite_rig.example(11))
        quick.fe.restart()
        procs.wait_until(lambda: s.rows() == example_rows(0, 1), 30, "the second file")
        s.wait_tasks(2)
        assert s.job("FailedTaskCount, ErrorMsg, currentOffset") == (
            "0", "", offset_text("away/b.csv"))
