"""Doris's suites about a job that cannot go on as it is, and ALTER JOB, in our words."""

import json

import pytest

import suite_rig
from suite_rig import EXAMPLES, example_rows, offset_text


@pytest.fixture(scope="module")
def servers(swift):
    with suite_rig.running(swift) as made:
        yield made


def test_bad_rows(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_alter.groovy:
    rows that do not fit pause the job for good; ALTER of session properties, a longer column, and
    RESUME loads them. The names are as long as the new column: that Doris cuts longer ones in
    non-strict mode is its BE's doing, and the stand-in has none. s3.bad_files has the job do as
    Doris's does; by itself it would set the files aside."""
    columns = "c1 INT NULL, c2 VARCHAR(2) NULL, c3 INT NULL"
    with servers.suite("test_streaming_insert_job_alter", columns) as s:
        s.sql("CREATE JOB $JOB PROPERTIES( \"s3.bad_files\" = \"pause\" ) ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_status("PAUSED")
        message = json.loads(s.job("ErrorMsg")[0])
        assert message["code"] == "TOO_MANY_FAILURE_ROWS_ERR"  # and so it is not resumed by itself
        assert "Insert has filtered data in strict mode" in message["msg"]
        s.sql("ALTER JOB $JOB PROPERTIES( \"session.enable_insert_strict\" = false, "
              "\"session.insert_max_filter_ratio\" = 1 )")
        assert s.job("status, properties") == ("PAUSED", '{"s3.bad_files":"pause",'
                                                         '"session.enable_insert_strict":"false",'
                                                         '"session.insert_max_filter_ratio":"1"}')
        s.sql("ALTER TABLE $TABLE MODIFY COLUMN c2 VARCHAR(3) NULL;")
        described = s.sql("Desc $TABLE")
        assert len(described) == 3 and described[1][:2] == ("c2", "varchar(3)")
        s.sql("RESUME JOB where jobname = '$JOB'")
        s.wait("status, SucceedTaskCount", lambda state, n: state == "RUNNING" and int(n) >= 1)
        assert s.job("currentOffset, ErrorMsg") == (offset_text(EXAMPLES[1]), "")
        assert s.rows() == example_rows(0, 1)
        assert s.statistic()["filteredRows"] == 0
        s.drop()


def test_wrong_keys(servers):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_alter_aksk.groovy: the
    credentials of an ALTER are those that count. The suite lets wrong ones in and finds the job
    PAUSED ("Failed to fetch meta"); here ALTER tries them first, refuses, and the job keeps what
    worked."""
    alter = "ALTER JOB $JOB INSERT INTO $TABLE SELECT * FROM $S3"
    with servers.suite("test_streaming_insert_job_alter_aksk") as s:
        s.sql("CREATE JOB $JOB ON STREAMING DO INSERT INTO $TABLE SELECT * FROM $S3;")
        s.wait_tasks(1)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        assert s.wait_status("PAUSED")
        s.refused(alter, "Failed to list S3 files", "s3.secret_key",
                  **{"s3.access_key": "wrong_ak_for_test", "s3.secret_key": "wrong_sk_for_test"})
        # Good ones are taken, under other names here.
        server = s.bucket.server
        s.sql(alter, **{"s3.access_key": None, "AWS_ACCESS_KEY": server.access_key,
                        "s3.secret_key": None, "AWS_SECRET_KEY": server.secret_key})
        s.sql("RESUME JOB where jobname = '$JOB'")
        s.wait_status("RUNNING")
        assert s.job("currentOffset") == (offset_text(EXAMPLES[1]),)
        assert s.rows() == example_rows(0, 1)
        s.drop()
