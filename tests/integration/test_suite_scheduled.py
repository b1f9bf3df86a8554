"""
Doris's suites about ON SCHEDULE jobs, in our words, as far as they concern a proxy: the statements
reach the FE as they were written, its answers come back, and jobs() shows its jobs beside ours.

What these suites let a job do is not here, since the stand-in stores native jobs and runs none: the
rows that EVERY 1 SECOND inserts, the task that AT starts and CANCEL TASK ends, one task more after
RESUME. Nor is job_p0/job_system_table/test_load_job_info_system_table, which knows no job: it reads
information_schema.loads, a foreign statement to Sluice.
"""

import base64

import pytest

import suite_rig
from suite_rig import DB

NAME, MIXED = "insert_recovery_test_base_insert_job", "Insert_recovery_Test_base_insert_job"
KEYWORDS = ["JOB", "SCHEDULE", "DO", "AT", "STARTS", "ENDS"]
TABLE = "t_test_BASE_inSert_job"
INTO = "insert into %s (timestamp, type, user_id) values ('2023-03-18','1','12213');" % TABLE
COMMENT = "test for test&68686781jbjbhj//ncsa"
FUTURE = "2052-03-18 00:00:00"


@pytest.fixture(scope="module", params=["4.1", "2.1"])
def servers(request, swift):
    with suite_rig.running(swift, request.param) as made:
        yield made


@pytest.fixture
def s(servers):
    """The suite's table; every job of these names is gone before and after."""
    with servers.suite("base_insert_job") as made:
        made.sql("""CREATE TABLE IF NOT EXISTS `%s` (
            `timestamp` DATE NOT NULL COMMENT "['0000-01-01', '9999-12-31']",
            `type` TINYINT NOT NULL COMMENT "[-128, 127]",
            `user_id` BIGINT COMMENT "[-9223372036854775808, 9223372036854775807]")
            DUPLICATE KEY(`timestamp`, `type`) DISTRIBUTED BY HASH(`type`) BUCKETS 1 PROPERTIES (
            "replication_allocation" = "tag.location.default: 1");""" % TABLE)
        drop_all(made)
        yield made
        drop_all(made)


def drop_all(s):
    for name in [NAME, MIXED, "JOB_ONETIME", "JOB_RECURRING", *KEYWORDS]:
        s.sql("DROP JOB IF EXISTS where jobname =  '%s'" % name)


def received(s, text):
    """The FE got this statement, byte for byte."""
    return any(base64.b64decode(entry["base64"]).decode(errors="replace") == text
               for entry in s.fe.log())


def test_names_and_comments(s):
    """Mirrors regression-test/suites/job_p0/test_base_insert_job.groovy: a name in mixed case is
    another job, a comment is shown as it was written, none is empty."""
    text = "CREATE JOB %s  ON SCHEDULE every 1 second   comment 'test' DO %s" % (NAME, INTO)
    s.sql(text)
    assert received(s, text)
    s.sql("CREATE JOB %s  ON SCHEDULE every 1 second  DO %s" % (MIXED, INTO))
    assert s.job("name,comment", MIXED) == (MIXED, "")
    assert s.job("name,comment", NAME) == (NAME, "test")
    s.sql("DROP JOB where jobname =  '%s'" % NAME)
    assert s.job("name", NAME) is None
    assert s.job("name", MIXED) == (MIXED,)
    s.sql("DROP JOB where jobname =  '%s'" % MIXED)
    assert s.job("name", MIXED) is None


def test_once(s):
    """Mirrors regression-test/suites/job_p0/test_base_insert_job.groovy: a job AT a time, its kind,
    SQL and comment. Its task would have to run for CANCEL TASK to end it; here the statement
    reaches the FE, which knows of no such task."""
    statement = "insert into %s  values  ('2023-07-19', sleep(10000), 1001)" % TABLE
    s.sql("CREATE JOB %s  ON SCHEDULE at '%s'   comment '%s' DO %s;"
          % (NAME, FUTURE, COMMENT, statement.replace("sleep(10000)", "1")))
    found = s.sql("select id,ExecuteSql from jobs(\"type\"=\"insert\") where Name like '%" + NAME
                  + "%' and ExecuteType='ONE_TIME' ")
    assert len(found) == 1
    job_id, shown = found[0]
    assert shown.rstrip(";") == statement.replace("sleep(10000)", "1")
    assert s.job("comment", NAME) == (COMMENT,)
    assert s.sql("select status,taskid from tasks(\"type\"=\"insert\") where jobid= %s"
                 % job_id) == []
    cancel = "cancel  task where jobName='%s' and taskId= %d" % (NAME, 1234)
    s.refused(cancel, "task")
    assert received(s, cancel)


def test_pause_and_resume(s):
    """Mirrors regression-test/suites/job_p0/test_base_insert_job.groovy: PAUSE and RESUME of the
    FE's own job, and the name that is taken. (Its tasks would have to run.)"""
    create = ("CREATE JOB %s  ON SCHEDULE every 10 second   comment '%s' DO insert into %s  "
              "values  ('2023-07-19', 1, 1001);" % (NAME, COMMENT, TABLE))
    s.sql(create)
    for statement, status in (("PAUSE", "PAUSED"), ("RESUME", "RUNNING")):
        text = "\n        %s JOB where jobname =  '%s'\n    " % (statement, NAME)
        s.sql(text)
        assert received(s, text)
        assert s.job("status", NAME) == (status,)
    s.refused(create, "job name exist, jobName:insert_recovery_test_base_insert_job")


REFUSED = {
    "no such table": ("ON SCHEDULE EVERY 10 second comment 'x' DO insert into %sqwertyuioppoiuyte "
                      "values ('2023-07-19', 1, 1001);" % TABLE, TABLE + "qwertyuioppoiuyte"),
    "update": ("ON SCHEDULE at '%s' comment 'test' DO update %s set type=2 where type=1;"
               % (FUTURE, TABLE), ""),
    "once in the past": ("ON SCHEDULE at '2023-11-13 14:18:07' comment 'test' DO " + INTO,
                         "startTimeMs must be greater than current time"),
    "ends in the past": ("ON SCHEDULE every 1 second ends '2023-11-13 14:18:07' comment 'test' DO "
                         + INTO, "endTimeMs must be greater than the start time"),
    "years": ("ON SCHEDULE every 1 years ends '2023-11-13 14:18:07' comment 'test' DO " + INTO,
              "interval time unit can not be years"),
    "inner": ("ON SCHEDULE at '%s' comment 'test' DO %s" % (FUTURE, INTO),
              "job name can not start with inner_"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_the_fe(s, case):
    """Mirrors regression-test/suites/job_p0/test_base_insert_job.groovy: mistakes in an ON SCHEDULE
    job are the FE's to find, and its words come back as they are."""
    rest, words = REFUSED[case]
    name = "inner_test" if case == "inner" else NAME
    text = "CREATE JOB %s  %s" % (name, rest)
    said = s.refused(text, words)
    assert received(s, text)
    assert said.startswith("errCode = 2, detailMessage = ")
    assert s.job("name", name) is None


def test_keywords_as_names(s):
    """Mirrors regression-test/suites/job_p0/test_base_insert_job.groovy: the words of the statement
    itself are names; and of our own jobs likewise, beside them."""
    for name in KEYWORDS:
        s.sql("CREATE JOB %s  ON SCHEDULE every 20 second   comment 'test' DO %s" % (name, INTO))
    listed = ("select count(1) from jobs(\"type\"=\"insert\") where name in ('JOB','DO',"
              "'SCHEDULE','AT','STARTS','ENDS')")
    assert s.sql(listed) == [(6,)]
    for name in KEYWORDS:
        s.sql("DROP JOB where jobname =  '%s'" % name)
        s.sql("CREATE JOB %s ON STREAMING DO INSERT INTO $TABLE SELECT * FROM $S3(none/*)" % name)
    assert s.sql(listed) == [(6,)]
    assert s.sql(listed + " and ExecuteType = 'STREAMING'") == [(6,)]


def test_a_job_survives_the_fe(s):
    """Mirrors regression-test/suites/job_p0/job_meta/load.groovy and job_query_test.groovy: the
    FE's jobs are shown alike before and after its restart, and ours stays beside them."""
    s.sql("CREATE JOB JOB_RECURRING  ON SCHEDULE every 1 HOUR STARTS '%s'   comment 'test' DO %s"
          % (FUTURE, INTO))
    s.sql("CREATE JOB JOB_ONETIME  ON SCHEDULE  AT '%s'  comment 'test' DO %s" % (FUTURE, INTO))
    s.sql("CREATE JOB $JOB ON STREAMING DO INSERT INTO $TABLE SELECT * FROM $S3(none/*)")
    for _ in range(2):
        shown = "name, ExecuteType,RecurringStrategy,ExecuteSql"
        once, every = s.job(shown, "JOB_ONETIME"), s.job(shown, "JOB_RECURRING")
        assert once[:3] == ("JOB_ONETIME", "ONE_TIME", "AT " + FUTURE)
        assert every[:3] == ("JOB_RECURRING", "RECURRING", "EVERY 1 HOUR STARTS " + FUTURE)
        assert {once[3].rstrip(";"), every[3].rstrip(";")} == {INTO.rstrip(";")}
        assert s.job("Name, ExecuteType") == (s.name, "STREAMING")
        s.reconnect()
        s.fe.kill9()
        s.fe.restart()


def test_names_are_global(s):
    """Mirrors regression-test/suites/job_p0/test_base_insert_job.groovy: the name that is taken,
    over both kinds of jobs."""
    s.sql("CREATE JOB %s ON SCHEDULE EVERY 1 HOUR DO %s" % (NAME, INTO))
    s.refused("CREATE JOB %s ON STREAMING DO INSERT INTO %s.$TABLE SELECT * FROM $S3(none/*)"
              % (NAME, DB), "job name exist, jobName:" + NAME)
    assert s.job("ExecuteType", NAME) == ("RECURRING",)
