"""Doris's suite about who may do what with a streaming job, in our words."""

import pytest

import suite_rig
from suite_rig import DB

USER = ("test_streaming_insert_job_priv_user", "123456")
SHOWN = "SELECT * from jobs(\"type\"=\"insert\") where Name='$JOB'"
CHANGES = ["PAUSE JOB where jobname = '$JOB'", "RESUME JOB where jobname = '$JOB'",
           "DROP JOB where jobname = '$JOB'"]
CREATE = ("CREATE JOB $JOB PROPERTIES( \"s3.max_batch_files\" = \"1\" ) ON STREAMING DO "
          "INSERT INTO $TABLE SELECT * FROM $S3;")


@pytest.fixture(scope="module", params=["4.1", "2.0"])
def servers(request, swift):
    with suite_rig.running(swift, request.param) as made:
        yield made


@pytest.fixture
def s(servers):
    """The suite's table and job, and a user that may only read."""
    with servers.suite("test_streaming_insert_job_priv_name") as made:
        made.sql("DROP USER IF EXISTS '%s'" % USER[0])
        made.sql("CREATE USER '%s' IDENTIFIED BY '%s'" % USER)
        made.sql("grant select_priv on %s.* to %s" % (DB, USER[0]))
        yield made
        made.sql("DROP USER IF EXISTS '%s'" % USER[0])


def test_load_on_the_target(s):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_priv.groovy:
    CREATE, every change and every row want LOAD on the target; GRANT and REVOKE count at once for a
    session that begins then. (USAGE on a cluster is for the cloud, and left out.)"""
    grant = "grant load_priv on %s.$TABLE to %s" % (DB, USER[0])
    s.refused(CREATE, "LOAD command denied to user", USER[0], s.table, user=USER)
    assert s.sql(SHOWN) == []
    s.sql(grant)
    s.sql(CREATE, user=USER)
    s.wait_tasks(2)
    assert s.job("Definer") == (USER[0],)

    s.sql("REVOKE load_priv on %s.$TABLE FROM %s" % (DB, USER[0]))
    assert s.sql(SHOWN, user=USER) == []
    for statement in CHANGES:
        s.refused(statement, "LOAD command denied to user", user=USER)
    assert s.wait_status("RUNNING")

    s.sql(grant)
    assert len(s.sql(SHOWN, user=USER)) == 1
    s.sql(CHANGES[0], user=USER)
    assert s.sql("select status from jobs(\"type\"=\"insert\") where Name='$JOB'", user=USER) == [
        ("PAUSED",)]
    s.sql(CHANGES[1], user=USER)
    s.wait_status("RUNNING")
    s.sql(CHANGES[2], user=USER)
    assert s.sql(SHOWN, user=USER) == []
    assert s.sql("select count(1) from jobs(\"type\"=\"insert\")  where Name ='$JOB'") == [(0,)]


def test_alter_and_tasks_too(s):
    """Mirrors regression-test/suites/job_p0/streaming_job/test_streaming_insert_job_priv.groovy:
    what the suite leaves out, ALTER and tasks(), by the same rule."""
    alter = "ALTER JOB $JOB PROPERTIES(\"s3.max_batch_files\" = \"2\")"
    tasks = "select count(1) from tasks(\"type\"=\"insert\") where JobName='$JOB'"
    s.sql(CREATE)
    s.wait_tasks(2)
    s.sql(CHANGES[0])
    s.refused(alter, "LOAD command denied to user", user=USER)
    assert s.job("properties") == ('{"s3.max_batch_files":"1"}',)
    assert s.sql(tasks, user=USER) == [(0,)]
    s.sql("grant load_priv on %s.$TABLE to %s" % (DB, USER[0]))
    s.sql(alter, user=USER)
    assert s.job("properties") == ('{"s3.max_batch_files":"2"}',)
    assert s.sql(tasks, user=USER) == [(2,)]
