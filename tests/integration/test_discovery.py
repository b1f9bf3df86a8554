"""Which files a job finds, on a real object store: late, overwritten, unreadable, one time only."""

import itertools
import json

import pytest

import procs
import suite_rig
from rig import Rig

TABLES = ("t%d" % n for n in itertools.count())

WATCHED = "LateFiles, OverwrittenFiles, QuarantinedFiles, TrackedFiles"


@pytest.fixture(scope="module")
def servers(swift):
    with suite_rig.running(swift) as made:
        yield made


@pytest.fixture
def made(servers, bucket):
    """A table and a bucket of the test's own, on servers that all of them share."""
    one = Rig(servers.fe, servers.sluice, bucket, table=next(TABLES))
    yield one
    one.execute("DROP JOB IF EXISTS WHERE jobName = 'j'")


def watched(made):
    """What jobs() has of the files that were seen and not loaded, as numbers or None."""
    row = made.execute('SELECT %s FROM jobs("type"="insert") WHERE Name = \'j\'' % WATCHED)[0]
    return {key: int(value) if value not in (None, "", "\\N") else None
            for key, value in row.items()}


def wait_watched(made, **wanted):
    def look():
        found = watched(made)
        return found if all(found[key] == value for key, value in wanted.items()) else None
    return procs.wait_until(look, 20, "jobs() to show %s" % wanted, interval=0.1)


def start(made, keys, **properties):
    """A job that has loaded the files of these keys, ten rows each."""
    for key in keys:
        made.bucket.put_rows(key, 10)
    made.create_job(properties={"max_interval": "1", **{k.replace("__", "."): v
                                                         for k, v in properties.items()}})
    made.check_exactly_once()
    # The rows are there before sluice knows: until then a file that changes is another story.
    procs.wait_until(lambda: made.offset() == {"fileName": max(keys)}, 30, "the offset")


def overwrite(made, key):
    """Another content with rows of its own; those that were loaded of it before stay."""
    return made.bucket.put_rows(key, 10)


def test_late_file_is_loaded_or_counted(made):
    start(made, ["in/b.csv", "in/d.csv"], s3__discovery="tracked")
    made.bucket.put_rows("in/a.csv", 10)
    made.bucket.put_rows("in/c,1.csv", 10)  # by an exact uri
    made.check_exactly_once()
    assert made.offset() == {"fileName": "in/d.csv"}
    made.bucket.put_rows("in/e.csv", 10)
    made.check_exactly_once()
    wait_watched(made, LateFiles=0, OverwrittenFiles=0, TrackedFiles=5)
    made.sluice.restart()
    made.bucket.put_rows("in/0.csv", 10)
    made.check_exactly_once()
    made.check_task_ids()


def test_overwritten_is_counted(made):
    start(made, ["in/a.csv", "in/b.csv"], s3__discovery="tracked")
    n_rows = made.bucket.n_rows
    overwrite(made, "in/a.csv")
    wait_watched(made, OverwrittenFiles=1)
    assert len(made.ids()) == n_rows


def test_overwritten_is_loaded_again(made):
    start(made, ["in/a.csv", "in/b.csv"], s3__discovery="tracked", s3__overwritten="reload")
    overwrite(made, "in/a.csv")
    made.check_exactly_once()
    wait_watched(made, OverwrittenFiles=0, TrackedFiles=2)


def test_overwritten_stops_the_job(made):
    start(made, ["in/a.csv", "in/b.csv", "in/c.csv"], s3__discovery="tracked",
          s3__overwritten="error")
    n_rows = made.bucket.n_rows
    overwrite(made, "in/b.csv")
    error = json.loads(made.wait_state("PAUSED")["ErrorMsg"])
    assert error["code"] == "CANNOT_RESUME_ERR"
    assert "file \"in/b.csv\" was loaded, and overwritten since" in error["msg"]
    assert len(made.ids()) == n_rows
    made.execute("ALTER JOB j RETRY FILE 'in/b.csv'")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.check_exactly_once()
    n_rows = made.bucket.n_rows
    made.bucket.put("in/c.csv", "not,to,be,read\n")
    made.wait_state("PAUSED")
    made.execute("ALTER JOB j SKIP FILE 'in/c.csv'")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.bucket.put_rows("in/d.csv", 10)
    made.check_exactly_once()
    assert made.job()["Status"] == "RUNNING" and len(made.ids()) == n_rows + 10


@pytest.mark.parametrize("discovery", ["ordered", "tracked"])
def test_one_time_job_ends(made, discovery):
    for key in ("in/a.csv", "in/b 1.csv", "in/c*.csv"):
        made.bucket.put_rows(key, 10)
    made.create_job(properties={"max_interval": "1", "s3.ingestion_mode": "one_time",
                                "s3.max_batch_files": "2", "s3.discovery": discovery})
    assert made.wait_state("FINISHED")["CurrentOffset"] == '{"fileName":"in/c*.csv"}'
    made.check_exactly_once()
    n_rows = made.bucket.n_rows
    made.bucket.put_rows("in/d.csv", 10)
    made.sluice.restart()
    assert made.job()["Status"] == "FINISHED" and len(made.ids()) == n_rows


def test_unreadable_name_is_set_aside(made):
    start(made, ["in/a.csv"])
    made.bucket.put("in/b?.csv", "1,x,1,2024-01-01 00:00:00\n")
    made.bucket.put_rows("in/c.csv", 10)
    made.check_exactly_once()
    assert watched(made)["QuarantinedFiles"] == 1
    row = made.execute('SELECT Quarantine FROM jobs("type"="insert") WHERE Name = \'j\'')[0]
    file, = json.loads(row["Quarantine"])
    assert "in/b?.csv" in file.values()
    assert any("Doris cuts names at '?'" in str(value) for value in file.values())
    made.execute("ALTER JOB j RETRY FILE 'in/b?.csv'")  # which does not help, and does no harm
    made.bucket.put_rows("in/d.csv", 10)
    made.check_exactly_once()
    made.execute("ALTER JOB j SKIP FILE 'in/b?.csv'")
    wait_watched(made, QuarantinedFiles=0)


def test_unreadable_name_pauses_the_job(made):
    start(made, ["in/a.csv"], s3__bad_files="pause")
    made.bucket.put("in/b#.csv", "1,x,1,2024-01-01 00:00:00\n")
    error = json.loads(made.wait_state("PAUSED")["ErrorMsg"])
    assert error["code"] == "CANNOT_RESUME_ERR"
    assert "object \"in/b#.csv\" cannot be loaded: Doris cuts names" in error["msg"]
    made.bucket.remove("in/b#.csv")
    made.execute("RESUME JOB WHERE jobName = 'j'")
    made.bucket.put_rows("in/c.csv", 10)
    made.check_exactly_once()


def test_late_file_of_an_ordered_job_is_counted(made):
    """Two seconds are the margin of the clocks; then one look back takes three polls at most."""
    start(made, ["in/b.csv"])
    n_rows = made.bucket.n_rows
    assert wait_watched(made, LateFiles=0)["OverwrittenFiles"] is None
    procs.wait_until(lambda: _put_late(made), 20, "a late file to be counted", interval=0.5)
    assert len(made.ids()) == n_rows


def _put_late(made):
    """Written again and again, until it is surely newer than the task that passed it."""
    made.bucket.put("in/a.csv", "1,x,1,2024-01-01 00:00:00\n")
    return watched(made)["LateFiles"] == 1
