"""
Doris's suites about offsets and what they survive, in our words. The restarts of an FE in these
suites are restarts of Sluice here, since it is Sluice that has the jobs.
"""

import pytest

import suite_rig
from suite_rig import BOTH, DATA, EXAMPLES, example_bytes, example_rows, offset_text

CREATE = "CREATE JOB $JOB PROPERTIES(%s) ON STREAMING DO INSERT INTO $TABLE SELECT * FROM $S3;"
BEFORE_ALL = DATA + "anoexist1234.csv"  # no object, and smaller than the examples
AT_LAST = "currentOffset, endoffset"


@pytest.fixture(scope="module", params=["4.1", "2.1"])
def servers(request, swift):
    with suite_rig.running(swift, request.param) as made:
        yield made


def statistic(n_rows, n_files, n_bytes):
    """
    LoadStatistic: what the suite compares to the byte, and filteredRows, which newer builds have.
    loadBytes is the size of the objects here, since Doris tells nobody what it made of them.
    """
    return {"scannedRows": n_rows, "loadBytes": n_bytes, "fileNumber": n_files,
            "fileSize": n_bytes, "filteredRows": 0}


BAD_OFFSETS = {
    "empty": ('"offset" = ""', "Invalid format for offset"),
    "no JSON": ('"offset" = "xxxx"', "Failed to initialize offset", "xxxx"),
    "other key": ('"offset" = \'{"errorkey":"1.csv"}\'', "Invalid format for offset", "fileName"),
}


@pytest.mark.parametrize("case", BAD_OFFSETS)
def test_bad_offset(servers, case):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_offset.groovy:
    an offset that is none is refused at CREATE."""
    given, *words = BAD_OFFSETS[case]
    with servers.suite("offset_bad") as s:
        s.refused(CREATE % given, *words)
        assert s.job() is None


def test_start_and_rewind(servers):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_offset.groovy:
    CREATE behind the first file, statistics and properties to the byte, ALTER to before all files,
    and both are loaded, the second one once more."""
    with servers.suite("test_streaming_insert_job_offset_name") as s:
        s.sql(CREATE % ("'offset' = '{\"fileName\":\"%s\"}'" % EXAMPLES[0]))
        s.wait_tasks(1)
        assert s.rows() == example_rows(1)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        status, n_tasks = s.job("status, SucceedTaskCount + FailedTaskCount + CanceledTaskCount")
        assert status == "PAUSED"
        assert s.tasks("count(1)") == [(n_tasks,)]
        s.wait(AT_LAST, lambda *both: both == (offset_text(EXAMPLES[1]),) * 2)
        assert s.statistic() == statistic(10, 1, example_bytes(1))
        given = '{"offset":"{\\"fileName\\":\\"%s\\"}"}'
        assert s.job("properties") == (given % EXAMPLES[0],)

        s.sql("ALTER JOB $JOB PROPERTIES ( 'offset' = '{\"fileName\":\"%s\"}' )" % BEFORE_ALL)
        s.sql("RESUME JOB where jobname = '$JOB'")
        s.wait("status, SucceedTaskCount", lambda state, n: state == "RUNNING" and int(n) >= 2)
        s.wait(AT_LAST, lambda *both: both == (offset_text(EXAMPLES[1]),) * 2)
        assert s.statistic() == statistic(30, 3, example_bytes(1) + example_bytes(0, 1))
        assert s.job("properties") == (given % BEFORE_ALL,)
        assert s.rows() == sorted(example_rows(1) + example_rows(0, 1))
        s.drop()


def test_altered_offset_survives_a_restart(servers):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_job_alter_offset_restart_fe.groovy:
    the offset that ALTER gave is shown at once, and after a restart, and RESUME reads from it."""
    with servers.suite("test_streaming_job_alter_offset_restart_fe_name") as s:
        s.sql(CREATE % ("'offset' = '{\"fileName\":\"%s\"}'" % EXAMPLES[0]))
        s.wait_tasks(1)
        s.wait(AT_LAST, lambda *both: both == (offset_text(EXAMPLES[1]),) * 2)
        s.sql("PAUSE JOB where jobname = '$JOB'")
        s.sql("ALTER JOB $JOB PROPERTIES ( 'offset' = '{\"fileName\":\"%s\"}' )" % BEFORE_ALL)
        altered = ("PAUSED", offset_text(BEFORE_ALL), offset_text(EXAMPLES[1]),
                   '{"offset":"{\\"fileName\\":\\"%s\\"}"}' % BEFORE_ALL)
        shown = "status, currentOffset, endoffset, properties"
        assert s.job(shown) == altered
        assert s.statistic() == statistic(10, 1, example_bytes(1))

        s.restart()
        assert s.job(shown) == altered
        assert s.statistic() == statistic(10, 1, example_bytes(1))
        s.sql("RESUME JOB where jobname = '$JOB'")
        s.wait("status, SucceedTaskCount", lambda state, n: state == "RUNNING" and int(n) >= 2)
        s.wait(AT_LAST, lambda *both: both == (offset_text(EXAMPLES[1]),) * 2)
        # CREATE's offset is forgotten: the first file is there too, the second one twice.
        assert s.rows() == sorted(example_rows(1) + example_rows(0, 1))
        assert s.statistic() == statistic(30, 3, example_bytes(1) + example_bytes(0, 1))
        s.drop()


@pytest.mark.parametrize("suite", ["test_streaming_job_restart_fe",
                                   "test_streaming_job_checkpoint_restart_fe"])
def test_restart(servers, suite):
    """Mirrors regression-test/suites/job_p0/streaming_job/<suite>.groovy: offset, statistic and
    state survive a restart, the one after RESUME, and the one by SIGKILL where Doris has an image
    only."""
    with servers.suite(suite) as s:
        s.sql(CREATE % '"s3.max_batch_files" = "1"')
        s.wait_tasks(2)
        if suite == "test_streaming_job_restart_fe":
            s.sql("PAUSE JOB where jobname = '$JOB'")
            s.sql("RESUME JOB where jobname = '$JOB'")
        before = statistic(20, 2, example_bytes(0, 1))
        assert s.job("currentOffset") == (offset_text(EXAMPLES[1]),)
        assert s.statistic() == before
        if suite == "test_streaming_job_checkpoint_restart_fe":
            s.sluice.kill9()
        s.restart()
        assert s.wait_status("RUNNING", "PENDING")
        assert s.job("currentOffset, SucceedTaskCount") == (offset_text(EXAMPLES[1]), "2")
        assert s.statistic() == before
        s.wait_status("RUNNING")
        s.wait("endoffset", lambda end: end == offset_text(EXAMPLES[1]))
        assert s.rows() == example_rows(0, 1)  # nothing was loaded again
        s.drop()


def test_one_file(servers):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_single_file.groovy: a uri
    without a pattern."""
    with servers.suite("test_streaming_insert_job_single_file_name") as s:
        s.sql("CREATE JOB $JOB PROPERTIES( \"s3.max_batch_files\" = \"1\" ) ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3(%s);" % EXAMPLES[0])
        s.wait_tasks(1)
        assert s.rows() == example_rows(0)
        s.wait(AT_LAST, lambda *both: both == (offset_text(EXAMPLES[0]),) * 2)
        assert s.statistic() == statistic(10, 1, example_bytes(0))
        s.drop()


def test_sibling_that_does_not_match(servers):
    """Mirrors
    regression-test/suites/job_p0/streaming_job/test_streaming_job_no_new_files_with_sibling.groovy:
    a key in the same listing that the pattern leaves out is no news: no task for it, no failure.
    Where the suite waits ten seconds, the idle hint of a second listing shows that it was looked
    at."""
    pattern = BOTH.replace("[0-1]", "[0-0]")
    with servers.suite("test_streaming_job_no_new_files_with_sibling_job") as s:
        s.sql("CREATE JOB $JOB PROPERTIES (\"max_interval\" = \"1\") ON STREAMING DO "
              "INSERT INTO $TABLE SELECT * FROM $S3(%s);" % pattern)
        s.wait_tasks(1)
        hint, = s.wait("JobRuntimeMsg", lambda text: "No data available" in text)
        s.wait("JobRuntimeMsg", lambda text: "No data available" in text and text != hint)
        assert s.job("Status, SucceedTaskCount, FailedTaskCount, ErrorMsg") == (
            "RUNNING", "1", "0", "")
        assert s.job(AT_LAST) == (offset_text(EXAMPLES[0]),) * 2
        assert s.rows() == example_rows(0)
