"""Doris's suites about what a job tells of itself, files, rows and times, in our words."""

import re

import pytest

import suite_rig
from suite_rig import EXAMPLES, example_bytes, example_rows, offset_text


@pytest.fixture(scope="module")
def servers(swift):
    with suite_rig.running(swift) as made:
        yield made


def test_file_number(servers):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_file_number.groovy:
    fileNumber counts objects, however Doris splits them for its BEs."""
    with servers.suite("test_streaming_insert_job_file_number_name") as s:
        s.sql("CREATE JOB $JOB PROPERTIES( \"s3.max_batch_files\" = \"2\", "
              "\"session.max_initial_file_split_size\" = \"50\" ) ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_tasks(1)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        found = s.statistic()
        assert (found["scannedRows"], found["fileNumber"]) == (20, 2)
        assert found["fileSize"] == found["loadBytes"] == example_bytes(0, 1)
        assert s.rows() == example_rows(0, 1)
        assert s.tasks("RunningOffset") == [(
            '{"startFileName":"%s","endFileName":"%s"}' % tuple(EXAMPLES),)]
        s.drop()


def test_filtered_rows(servers):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_filtered_rows.groovy: rows
    that Doris filters are scanned and counted, and the job goes on when it may."""
    columns = "c1 INT NULL, c2 INT NOT NULL, c3 INT NULL"  # the names are no numbers
    with servers.suite("test_streaming_insert_job_filtered_rows_name", columns) as s:
        s.sql("CREATE JOB $JOB PROPERTIES( \"s3.max_batch_files\" = \"1\", "
              "\"session.enable_insert_strict\" = \"false\", "
              "\"session.insert_max_filter_ratio\" = \"1\" ) ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_tasks(2)
        assert s.job("currentOffset") == (offset_text(EXAMPLES[1]),)
        found = s.statistic()
        assert (found["scannedRows"], found["fileNumber"], found["filteredRows"]) == (20, 2, 20)
        assert s.sql("select count(1) from $TABLE") == [(0,)]
        s.drop()


def test_last_success(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_job_retry_info.groovy: the
    part that was merged, LastTaskSuccessTime. Column RetryInfo is not there, and says which are."""
    with servers.suite("test_streaming_job_retry_info_job") as s:
        s.sql("CREATE JOB $JOB PROPERTIES(\"s3.max_batch_files\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_tasks(1)
        when, = s.job("LastTaskSuccessTime")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", when)
        s.refused("select RetryInfo from jobs(\"type\"=\"insert\")", "RetryInfo",
                  "LastTaskSuccessTime")
        s.drop()


def test_tasks_of_a_job(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job.groovy (newer):
    the tasks of a job by name and by id, their labels, ranges and results."""
    with servers.suite("test_streaming_insert_job_tasks") as s:
        s.sql("CREATE JOB $JOB PROPERTIES(\"s3.max_batch_files\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_tasks(2)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        job_id, = s.job("Id")
        found = s.tasks("TaskId, Label, Status, ErrorMsg, RunningOffset, User")
        assert found == s.sql("select TaskId, Label, Status, ErrorMsg, RunningOffset, User from "
                              "tasks(\"type\"=\"insert\") where jobid = %s" % job_id)
        # Newest first.
        assert [row[1:] for row in found] == [
            ("%s_%s" % (job_id, task), "SUCCESS", "\\N",
             '{"startFileName":"%s","endFileName":"%s"}' % (key, key), "root")
            for task, key in zip((row[0] for row in found), reversed(EXAMPLES))]
        s.drop()
        assert s.tasks() == []
