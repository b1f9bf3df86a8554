"""
Doris's own regression suites in our words: the servers that the cases of a test_suite_*.py share,
and what a suite has of its own, a table and a job. `$JOB`, `$TABLE` and `$S3` in its statements
stand for these and for S3(…) over the two example files, `$S3(pattern)` for other objects.
"""

import contextlib
import json
import pathlib
import re
import shutil
import tempfile

import pymysql

import conftest
import procs
from bucket import Bucket

DB = "regression"
DATA = "regression/load/data/"  # where the suites of Doris have their files
EXAMPLES = [DATA + "example_0.csv", DATA + "example_1.csv"]
BOTH = DATA + "example_[0-1].csv"
COLUMNS = "c1 INT NULL, c2 STRING NULL, c3 INT NULL"
NAMES = ["Ada", "Bo", "Cid", "Di", "Eva", "Flo", "Gus", "Hal", "Ivo", "Jo"]


def example(first_id):
    """Ten rows: an id, a name of two or three letters, an age."""
    return "".join("%d,%s,%d\n" % (first_id + i, name, 20 + (first_id + i) * 7 % 50)
                   for i, name in enumerate(NAMES))


def example_rows(*files):
    """What the table has once the example files of these numbers are loaded, in order of the id."""
    lines = "".join(example(1 + 10 * n) for n in files).splitlines()
    return sorted((int(a), b, int(c)) for a, b, c in (line.split(",") for line in lines))


def offset_text(name):
    """CurrentOffset and EndOffset, to the byte."""
    return '{"fileName":"%s"}' % name


def example_bytes(*files):
    return sum(len(example(1 + 10 * n)) for n in files)


class Servers:
    """A stand-in FE, a sluice before it and a bucket with the example files."""

    def __init__(self, profile, fe, sluice, bucket):
        self.profile, self.fe, self.sluice, self.bucket = profile, fe, sluice, bucket

    @contextlib.contextmanager
    def suite(self, name, columns=COLUMNS, bucket=None):
        """A suite's table <name>_tbl and the name of its job, both gone afterwards."""
        made = Suite(self, name, bucket or self.bucket)
        try:
            made.sql("DROP JOB IF EXISTS where jobname = '$JOB'")
            made.sql("DROP TABLE IF EXISTS `$TABLE` FORCE")
            made.sql("CREATE TABLE IF NOT EXISTS $TABLE (%s) ENGINE=OLAP DUPLICATE KEY(`c1`) "
                     "COMMENT 'OLAP' DISTRIBUTED BY HASH(`c1`) BUCKETS 3 PROPERTIES "
                     "(\"replication_allocation\" = \"tag.location.default: 1\");" % columns)
            yield made
        finally:
            made.close()


@contextlib.contextmanager
def running(swift, profile="4.1", config=None):
    """Servers for the cases of one file."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-suite-"))
    bucket = Bucket(swift).create()
    fe = procs.StandIn(directory / "fe", profile)
    sluice = procs.Sluice(directory / "sluice", fe, config)
    conftest.SESSION.extend([fe, sluice])  # what they said goes into the report of a failed case
    try:
        fe.start()
        sluice.start()
        for n, key in enumerate(EXAMPLES):
            bucket.put(key, example(1 + 10 * n))
        procs.rows(sluice.connect, "CREATE DATABASE IF NOT EXISTS " + DB)
        yield Servers(profile, fe, sluice, bucket)
        assert sluice.stop() == 0
        assert sluice.sanitizer_reports() == []
    finally:
        conftest.SESSION.remove(fe)
        conftest.SESSION.remove(sluice)
        sluice.kill9()
        fe.kill9()
        with contextlib.suppress(Exception):  # of the test bed's own server, after the fact
            bucket.delete()
        shutil.rmtree(directory, ignore_errors=True)


class Suite:
    """Statements as a suite sends them, through Sluice on one connection with a database chosen."""

    def __init__(self, servers, name, bucket):
        self.servers, self.bucket = servers, bucket
        self.fe, self.sluice = servers.fe, servers.sluice
        self.name, self.table = name, name + "_tbl"
        self._connection = None

    def filled(self, text, **tvf):
        """The statement with the names that stand for something put in."""
        text = re.sub(r"\$S3\((.*?)\)", lambda m: self.bucket.tvf(m[1], **tvf), text)
        text = text.replace("$S3", self.bucket.tvf(BOTH, **tvf))
        return text.replace("$JOB", self.name).replace("$TABLE", self.table)

    def sql(self, text, user=None, **tvf):
        """Rows as tuples. `user`: (name, password), on a connection of its own."""
        text = self.filled(text, **tvf)
        if user is not None:
            with contextlib.closing(self.sluice.connect(*user, db=DB)) as connection:
                return _run(connection, text)
        if self._connection is None:
            self._connection = self.sluice.connect(db=DB)
        return _run(self._connection, text)

    def reconnect(self):
        """After the end of sluice or the FE."""
        if self._connection is not None:
            with contextlib.suppress(pymysql.Error):
                self._connection.close()
        self._connection = None

    def refused(self, text, *words, user=None, **tvf):
        """Refused with a text that has all `words`, and the session goes on; the text."""
        try:
            found = self.sql(text, user, **tvf)
        except pymysql.MySQLError as e:
            said = e.args[1]
        else:
            raise AssertionError("not refused, the answer is %r" % (found,))
        missing = [word for word in words if word not in said]
        assert not missing, "%r is not in: %s" % (missing, said)
        assert self.bucket.server.secret_key not in said
        return said

    def job(self, columns="*", name=None):
        """These columns of jobs() as a tuple; None when there is no such job."""
        found = self.sql("select %s from jobs(\"type\"=\"insert\") where Name='%s'"
                         % (columns, name or self.name))
        assert len(found) <= 1
        return found[0] if found else None

    def wait(self, columns, fits, timeout=30):
        """Until fits(*columns) of the job; the columns."""
        def look():
            row = self.sql("select %s from jobs(\"type\"=\"insert\") where Name = '$JOB' "
                           "and ExecuteType='STREAMING'" % columns)
            return row[0] if len(row) == 1 and fits(*row[0]) else None
        return procs.wait_until(look, timeout, "job %s, %s" % (self.name, columns), interval=0.05)

    def wait_tasks(self, n):
        """Until n tasks have succeeded."""
        return self.wait("SucceedTaskCount", lambda done: int(done) >= n)

    def wait_status(self, *states):
        return self.wait("Status", lambda state: state in states)[0]

    def tasks(self, columns="*"):
        return self.sql("select %s from tasks(\"type\"=\"insert\") where JobName='$JOB'" % columns)

    def statistic(self):
        return json.loads(self.job("loadStatistic")[0])

    def rows(self, table=None):
        """The table's, as the FE has them."""
        found = self.fe.rows("SELECT * FROM %s.%s" % (DB, table or self.table))
        return sorted(tuple(row.values()) for row in found)

    def restart(self):
        """Sluice ends and starts again: here it is what an FE's restart is to Doris's jobs."""
        self.reconnect()
        self.sluice.restart()

    def drop(self):
        """As the suites end: DROP, and jobs() has no row any more."""
        self.sql("DROP JOB IF EXISTS where jobname = '$JOB'")
        counted = self.sql("select count(1) from jobs(\"type\"=\"insert\")  where Name ='$JOB'")
        assert counted == [(0,)]

    def close(self):
        """Whatever the case did, nothing of it works on."""
        with contextlib.suppress(pymysql.Error, procs.ProcessError):
            self.reconnect()
            self.sql("DROP JOB IF EXISTS where jobname = '$JOB'")
        self.reconnect()


def _run(connection, text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())
