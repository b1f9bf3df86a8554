"""
Doris's suites about creating, altering and dropping a streaming job, in our words.

Suites of what Sluice does not have, and why they are not here:
  test_streaming_insert_job_compute_group: its part without a cloud, the refusal, is in
      test_other_modes; the rest of it, _compute_group_docker and _compute_group_multi_cluster need
      a cloud cluster with compute groups.
  test_streaming_insert_job_s3_event_aksk, _s3_event_iam_role, _s3_event_restart_fe: they need a
      queue at Amazon; the mode and their properties are refused by name, see test_other_modes.
  test_streaming_job_retry_info: column RetryInfo and state RETRYING were never merged; what was,
      LastTaskSuccessTime, is in test_suite_progress.py.
  cdc/**: sources that are not there yet.
"""

import pytest

import suite_rig
from suite_rig import BOTH, DATA, EXAMPLES, example_rows, offset_text


@pytest.fixture(scope="module", params=["4.1", "2.1", "2.0"])
def servers(request, swift):
    with suite_rig.running(swift, request.param) as made:
        yield made


CREATE = "CREATE JOB $JOB %s ON STREAMING DO INSERT INTO $TABLE SELECT * FROM $S3;"

# What the suites look for: the texts of 4.0. Master has other ones; ours have both.
BAD_PROPERTIES = {
    "unknown": ('"xxx" = "sss"', "Invalid properties: [xxx]", "Supported keys are"),
    "files 0": ('"s3.max_batch_files" = "0"', "s3.max_batch_files should >=1",
                "s3.max_batch_files must be at least 1, but was 0"),
    "bytes small": ('"s3.max_batch_bytes" = "102400"',
                    "s3.max_batch_bytes should between 100MB and 10GB",
                    "s3.max_batch_bytes must be between 100 MB and 10 GB, but was 102400"),
    "interval": ('"max_interval" = "-1"', "max_interval should > 1",
                 "max_interval must be at least 1 second, but was -1"),
    "session value": ('"session.enable_insert_strict" = "xxx"',
                      "Variable enable_insert_strict can't be set to the value of xxx"),
    "mode": ('"s3.ingestion_mode" = "xxx"', "Unsupported s3.ingestion_mode: xxx"),
    "discovery": ('"s3.discovery" = "xxx"', "s3.discovery must be one of [ordered, tracked], but was xxx"),
    "session name": ('"session.xxx" = "abc"', "Invalid session variable, [xxx]"),
}


@pytest.mark.parametrize("case", BAD_PROPERTIES)
def test_properties_at_create(servers, case):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_crud.groovy: a
    bad property is refused and no job is there."""
    given, *words = BAD_PROPERTIES[case]
    if (case, servers.profile) == ("session value", "2.0"):
        words = ["enable_insert_strict", "xxx"]  # that Doris words it as MySQL does
    with servers.suite("crud_bad") as s:
        s.refused(CREATE % ("PROPERTIES(%s)" % given), *words)
        assert s.job() is None


def test_bad_names_at_create(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_crud.groovy: a
    name that is no identifier, and what does not exist has no row."""
    with servers.suite("crud_name") as s:
        s.refused("CREATE JOB a+b ON STREAMING DO INSERT INTO $TABLE SELECT * FROM $S3;",
                  "mismatched input")
        assert s.sql("select count(1) from jobs(\"type\"=\"insert\") where Name = 'a+b' "
                     "and ExecuteType='STREAMING'") == [(0,)]
        assert s.sql("select * from jobs(\"type\"=\"insert\") where Name = 'NoExistJob'") == []


def test_bad_source_at_create(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_crud.groovy: a
    uri without a scheme and a wrong secret key."""
    with servers.suite("crud_source") as s:
        s.refused(CREATE % "", "Invalid uri", uri=s.bucket.name + "/" + EXAMPLES[0])
        # The suite's words, then what the store said and what to check.
        s.refused(CREATE % "", "Can not build s3", "SignatureDoesNotMatch", "s3.secret_key",
                  **{"s3.secret_key": "xxxx"})
        assert s.job() is None


ALTER_SQL = "ALTER JOB $JOB %s INSERT INTO $TABLE SELECT * FROM $S3;"


def third_property(servers):
    """The suites' session.insert_max_filter_ratio, or what 2.0, which has none, takes instead."""
    return ("session.insert_timeout", "600") if servers.profile == "2.0" else (
        "session.insert_max_filter_ratio", "0.5")


def test_life(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_crud.groovy:
    from CREATE over every ALTER, the refused ones and the good one, to DROP of a paused job."""
    with servers.suite("test_streaming_insert_job_crud") as s:
        s.sql(CREATE % 'PROPERTIES("s3.max_batch_files" = "1")')
        s.wait("SucceedTaskCount", lambda n: int(n) >= 2)
        # Two files, two tasks: RUNNING for ever after, as the suite has it.
        assert s.job("status, currentOffset") == ("RUNNING", offset_text(EXAMPLES[1]))
        s.wait("endoffset", lambda end: end == offset_text(EXAMPLES[1]))
        assert s.rows() == example_rows(0, 1)

        strict = 'PROPERTIES("session.enable_insert_strict" = false)'
        s.refused(ALTER_SQL % strict, "Only PAUSED job can be altered", "PAUSE JOB")
        s.sql("PAUSE JOB where jobname = '$JOB'")
        assert s.job("status") == ("PAUSED",)
        s.refused("ALTER JOB noExistJob INSERT INTO $TABLE SELECT * FROM $S3;", "job not exist",
                  "noExistJob")
        s.refused(ALTER_SQL % 'PROPERTIES("s3.max_batch_files" = "-1")',
                  "s3.max_batch_files should >=1")
        assert s.job("properties") == ('{"s3.max_batch_files":"1"}',)

        name, value = third_property(servers)
        s.sql(ALTER_SQL % ('PROPERTIES("session.enable_insert_strict" = false, "%s" = %s, '
                           '"s3.max_batch_files" = "10")' % (name, value)))
        assert s.job("properties") == (
            '{"s3.max_batch_files":"10","session.enable_insert_strict":"false","%s":"%s"}'
            % (name, value),)

        s.refused("ALTER JOB $JOB INSERT INTO $TABLE SELECT * FROM $S3(%sxxxx.csv);" % DATA,
                  "The uri property cannot be modified in ALTER JOB")
        s.refused("ALTER JOB $JOB INSERT INTO NoExistTable123 SELECT * FROM $S3;",
                  "The target table cannot be modified in ALTER JOB")
        assert s.job("status") == ("PAUSED",)
        s.drop()
        # DROP IF EXISTS of none is no error here; the suite lets both pass.
        s.sql("DROP JOB IF EXISTS where jobname = 'NoExistJob'")
        s.refused("DROP JOB where jobname = 'NoExistJob'",
                  "unregister job error, jobName:NoExistJob", "job not exist")


def test_pause_alter_resume(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job.groovy: tasks,
    offsets and properties over PAUSE, ALTER of both, RESUME and DROP."""
    given = third_property(servers)
    with servers.suite("test_streaming_insert_job_name") as s:
        s.sql(CREATE % 'PROPERTIES( "s3.max_batch_files" = "1" )')
        s.wait_tasks(2)
        assert s.sql("select SucceedTaskCount from jobs(\"type\"=\"insert\") where Name like "
                     "'%$JOB%' and ExecuteType='STREAMING'") == [("2",)]
        assert s.rows() == example_rows(0, 1)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        # The first 4.0 forgot all tasks at PAUSE, and this suite says so; ours are kept.
        counts = "SucceedTaskCount + FailedTaskCount + CanceledTaskCount"
        status, n_tasks = s.job("status, " + counts)
        assert status == "PAUSED" and n_tasks == len(s.tasks())
        s.wait("currentOffset, endoffset", lambda *both: both == (offset_text(EXAMPLES[1]),) * 2)

        s.sql(ALTER_SQL % ('PROPERTIES("%s" = %s)' % given))
        kept = '{"s3.max_batch_files":"1","%s":"%s"}' % given
        assert s.job("status, properties, currentOffset") == (
            "PAUSED", kept, offset_text(EXAMPLES[1]))
        s.sql("RESUME JOB where jobname = '$JOB'")
        status, *rest = s.job("status, properties, currentOffset")
        assert status in ("RUNNING", "PENDING") and rest == [kept, offset_text(EXAMPLES[1])]
        s.wait_status("RUNNING")
        assert s.rows() == example_rows(0, 1)  # nothing was loaded again
        s.drop()


def test_empty_path(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_crud.groovy (as
    of 4.0): a path without a file. There the INSERT cannot be planned ("insert into cols should be
    corresponding to the query output"); here the job waits for its first file."""
    with servers.suite("crud_empty") as s:
        s.sql("CREATE JOB $JOB PROPERTIES(\"max_interval\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3(%s*.csv);" % "crud_empty/")
        s.wait("JobRuntimeMsg", lambda text: "No data available for consumption" in text)
        s.bucket.put("crud_empty/a.csv", suite_rig.example(1))
        s.wait_tasks(1)
        assert s.rows() == example_rows(0)
        # A file whose columns do not fit is refused, with the words of Doris.
        fits = "Column count doesn't match value count" if servers.profile == "2.0" else (
            "insert into cols should be corresponding to the query output")
        s.refused("CREATE JOB crud_wide ON STREAMING DO INSERT INTO $TABLE SELECT *, 1 FROM "
                  "$S3(%s);" % BOTH, fits)


OTHER_MODES = {
    "test_streaming_insert_job_compute_group": (
        '"compute_group" = "any_group"', "only supported in cloud mode", "compute_group"),
    "test_streaming_insert_job_s3_once (its mode's first name)": (
        '"s3.ingestion_mode" = "ONCE"', "Unsupported s3.ingestion_mode: ONCE"),
    "test_streaming_insert_job_s3_once": (
        '"s3.ingestion_mode" = "ONE_TIME", "offset" = \'{"fileName":"%s"}\'' % EXAMPLES[0],
        "offset is not supported when s3.ingestion_mode is ONE_TIME"),
    "test_streaming_insert_job_s3_event_aksk": (
        '"s3.ingestion_mode" = "NOTIFICATION", "s3.event.source" = "SQS"',
        "Unsupported s3.ingestion_mode: NOTIFICATION"),
    "test_streaming_insert_job_s3_event_iam_role": (
        '"s3.event.source" = "SQS"', "Invalid properties: [s3.event.source]"),
    "test_streaming_insert_job_s3_event_restart_fe": (
        '"s3.sqs.queue_url" = "https://sqs.example/q"', "Invalid properties: [s3.sqs.queue_url]"),
    "test_streaming_job_alter_offset_restart_fe (before #57138)": (
        '\'init_offset\' = \'{"fileName":"%s"}\'' % EXAMPLES[0],
        "Invalid properties: [init_offset]"),
}


@pytest.mark.parametrize("suite", OTHER_MODES)
def test_other_modes(servers, suite):
    """Mirrors regression-test/suites/job_p0/streaming_job/<suite>.groovy as far as it goes here:
    the property of a mode that is not there is refused by name, and none is there half."""
    given, *words = OTHER_MODES[suite]
    with servers.suite("crud_mode") as s:
        s.refused(CREATE % ("PROPERTIES(%s)" % given), *words)
        assert s.job() is None


def test_one_time(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_s3_once.groovy: the
    job is FINISHED once the files that are there are loaded, in several tasks, and stays so."""
    with servers.suite("test_streaming_insert_job_s3_once") as s:
        s.sql(CREATE % 'PROPERTIES("s3.max_batch_files" = "1", "s3.ingestion_mode" = "one_time")')
        s.wait_status("FINISHED")
        assert s.job("SucceedTaskCount, currentOffset, ErrorMsg") == ("2", offset_text(EXAMPLES[1]), "")
        assert s.rows() == example_rows(0, 1)
        s.refused("RESUME JOB where jobname = '$JOB'", "status")
        s.restart()
        assert s.job("Status") == ("FINISHED",)
        s.drop()
