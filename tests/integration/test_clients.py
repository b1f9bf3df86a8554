"""
Clients as people use them: each does the same through sluice and directly, and must see the same.
Before MariaDB, where the protocol is what counts, and before the stand-in FE.
"""

import collections
import contextlib
import datetime
import decimal
import re
import signal
import subprocess

import mysql.connector
import mysql.connector.pooling
import pymysql
import pytest
import sqlalchemy
from pymysql.constants import CLIENT

import procs
from mariadb import PASSWORD, USER
from relay_rig import mariadb  # noqa: F401: a fixture
from rig import create_table_sql

JOBS = "SELECT Name, Status FROM jobs(\"type\"=\"insert\")"
STATE = JOBS + " WHERE Name = '%s'"
BYTES = bytes(range(256)) * 20
Place = collections.namedtuple("Place", "server sluice")


@pytest.fixture(scope="module")
def places(mariadb, tmp_path_factory):
    """{"mariadb", "4.1", "2.0": a server and the sluice before it}, with a database `test`."""
    made, found = [], {}

    def front(name, server):
        sluice = procs.Sluice(tmp_path_factory.mktemp("sluice"), server)
        made.append(sluice)
        sluice.start()
        found[name] = Place(server, sluice)

    try:
        for profile in ("4.1", "2.0"):
            fe = procs.StandIn(tmp_path_factory.mktemp("standin"), profile,
                               {USER: (PASSWORD, "global:Admin_priv")})
            made.append(fe)
            fe.start()
            rows_of(fe, "CREATE DATABASE test")
            rows_of(fe, create_table_sql("test", "t"))
            front(profile, fe)
        rows_of(mariadb, "CREATE OR REPLACE TABLE test.t (id INT, name VARCHAR(64))")
        front("mariadb", mariadb)
        yield found
        for process in reversed(made):
            process.stop()
            assert not process.sanitizer_reports()
    finally:
        for process in made:
            process.kill9()


def rows_of(server, sql):
    """As root, past sluice."""
    return procs.rows(server.connect, sql)


@pytest.fixture(params=["mariadb", "4.1", "2.0"])
def place(request, places):
    return places[request.param]


@pytest.fixture(params=["4.1", "2.0"])
def fe_place(request, places):
    return places[request.param]


def masked(text, port):
    """Without what differs from one connection, or from one run, to the next."""
    text = re.sub(r"\b%d\b" % port, "PORT", str(text))
    return re.sub(r"Connection id:\s+\d+|KILL QUERY \d+|\d+(\.\d+)? sec|Dump completed on .*|"
                  r"127\.0\.0\.1:\d+|Uptime: .*|Threads: .*", "~", text)


def both(place, fn):
    """fn(port) on each way; returns what it returned through sluice, after the comparison."""
    direct, through = (outcome(fn, process.port) for process in place)
    assert through == direct
    return through


def outcome(fn, port):
    try:
        return fn(port)
    except (pymysql.MySQLError, mysql.connector.Error, sqlalchemy.exc.SQLAlchemyError) as e:
        return type(e).__name__, masked(e, port)


# --- the command line family ---------------------------------------------------------------------


def argv_of(program, port, *args, password=PASSWORD):
    return [program, "--no-defaults", "-h127.0.0.1", "-P%d" % port, "-u" + USER, "-p" + password,
            *args]


def run(program, *args, stdin="", password=PASSWORD):
    """A function of the port: (exit code, stdout, stderr), masked."""
    def on(port):
        done = subprocess.run(argv_of(program, port, *args, password=password),
                              input=stdin.encode(), capture_output=True,
                              timeout=procs.patience(60))
        return (done.returncode, masked(done.stdout.decode(), port),
                masked(done.stderr.decode(), port))
    return on


def cli(place, sql, *args):
    """Through sluice alone: (exit code, stdout, stderr)."""
    return run("mariadb", *args, "-e", sql)(place.sluice.port)


@pytest.mark.quick
def test_cli(place, tmp_path):
    script = tmp_path / "script.sql"
    script.write_text("SELECT 'sourced';\nSELECT nope;\n")
    assert both(place, run("mariadb", "-N", "-e", "SELECT 1, NULL, 'é😀'")) == (
        0, "1\tNULL\té😀\n", "")
    for args in (["-e", "SELECT 1 a, NULL b\\G"], ["-vvv", "-e", "SELECT 1; SELECT 2"],
                 ["-e", "status"], ["test", "-e", "SELECT DATABASE()"],
                 ["-e", "USE test; SELECT DATABASE(); SHOW TABLES"], ["-e", "USE nodb; SELECT 1"],
                 ["nodb", "-e", "SELECT 1"], ["-e", "source %s" % script], ["-C", "-e", "SELECT 1"],
                 ["--ssl", "-e", "SELECT 1"], ["--column-type-info", "-e", "SELECT 1 a, 'x' b"],
                 ["--auto-rehash", "test", "-e", "SELECT 1"], ["-e", "KILL 99999999"]):
        assert both(place, run("mariadb", *args))[1:] != ("", ""), args
    both(place, run("mariadb", "--delimiter=//", "-e", "SELECT 1; SELECT 2; SELECT nope; SELECT 3"))
    both(place, run("mariadb", stdin="SELECT 1;\nDELIMITER //\nSELECT 'a;b'//\n"))
    both(place, run("mariadb", stdin="SELECT LENGTH('%s');" % ("x" * 3000000)))
    code, _, err = both(place, run("mariadb", "-e", "SELECT 1", password="wrong"))
    assert code == 1 and "ERROR 1045 (28000): Access denied for user 'app'" in err


def test_admin(place):
    assert "mysqld is alive" in both(place, run("mariadb-admin", "ping"))[1]
    for command in ("status", "version", "extended-status", "refresh", "debug"):
        code, out, err = run("mariadb-admin", command)(place.sluice.port)
        direct = run("mariadb-admin", command)(place.server.port)
        # The figures move; what kind of answer it is does not.
        assert (code, err, len(out.splitlines())) == (direct[0], direct[2],
                                                      len(direct[1].splitlines())), command
    made = [run("mariadb-admin", "--force", command, "made")(process.port)
            for command in ("create", "drop") for process in place]
    assert [code for code, _, _ in made] == [0, 1, 0, 1], made


def test_dump(place):
    dump = both(place, run("mariadb-dump", "--no-tablespaces", "--skip-lock-tables", "test"))
    if place.server.name == "mariadbd":
        assert dump[0] == 0 and "Dump completed" not in dump[1] and "-- Host: " in dump[1]


def test_import(places, tmp_path):
    place = places["mariadb"]
    path = tmp_path / "imported.csv"
    path.write_text("".join("%d,é😀 %d\n" % (i, i) for i in range(50000)))
    for process in place:
        rows_of(place.server, "CREATE OR REPLACE TABLE test.imported (id INT, s TEXT) "
                              "CHARSET utf8mb4")
        code, out, err = run("mariadb-import", "--local", "--default-character-set=utf8mb4",
                             "--fields-terminated-by=,", "test", str(path))(process.port)
        assert (code, err) == (0, "") and "Records: 50000" in out
        assert rows_of(place.server, "SELECT COUNT(*) n, SUM(id) i FROM test.imported "
                                 "WHERE s = CONCAT('é😀 ', id)") == [{"n": 50000, "i": 1249975000}]


def test_interrupted_cli(place):
    """Ctrl-C: the client sends KILL QUERY on a connection of its own."""
    def is_running():
        return [row for row in rows_of(place.server, "SHOW FULL PROCESSLIST")
                if "SLEEP(50)" in str(row.get("Info"))]

    argv = argv_of("mariadb", place.sluice.port, "-e", "SELECT SLEEP(50)")
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          start_new_session=True) as process:
        try:
            procs.wait_until(is_running, 20, "SELECT SLEEP(50) in the process list")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=procs.patience(20))
        finally:
            process.kill()
    assert process.returncode == 1 and b"query killed" in out, (out, err)
    assert b"interrupted" in err or b"cancel query by user" in err, err
    procs.wait_until(lambda: not is_running(), 10, "the end of SLEEP(50)")


# --- drivers -------------------------------------------------------------------------------------


class PyMySQL:
    @staticmethod
    def connect(port, password=PASSWORD, db="test", **more):
        return procs.connect(port, USER, password, db, **more)

    @staticmethod
    def rows(connection, sql, args=None):
        with contextlib.closing(connection.cursor()) as cursor:
            cursor.execute(sql, args)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


class Connector(PyMySQL):
    @staticmethod
    def connect(port, password=PASSWORD, db="test", **more):
        return mysql.connector.connect(host="127.0.0.1", port=port, user=USER, password=password,
                                       database=db, autocommit=True, use_pure=True, **more)


class Alchemy:
    @staticmethod
    def connect(port, password=PASSWORD, db="test"):
        return Alchemy.engine(port, password, db).connect()

    @staticmethod
    def engine(port, password=PASSWORD, db="test", **more):
        url = sqlalchemy.URL.create("mysql+pymysql", USER, password, "127.0.0.1", port, db)
        return sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT", **more)

    @staticmethod
    def rows(connection, sql, args=None):
        result = connection.exec_driver_sql(sql, args)
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture(params=[PyMySQL, Connector, Alchemy], ids=["pymysql", "connector", "sqlalchemy"])
def driver(request):
    return request.param


QUERIES = ["SELECT 1, NULL, 'é😀', 1.50", "SELECT CAST('2024-01-02' AS DATE)",
           "SELECT CAST('2024-01-02 03:04:05' AS DATETIME)", "SELECT * FROM t ORDER BY 1",
           "SHOW VARIABLES LIKE 'sql_mode'", "SELECT nope", "SELEC 1", "SELECT * FROM nodb.t", ""]


@pytest.mark.quick
def test_driver(place, driver):
    def session(port):
        with contextlib.closing(driver.connect(port)) as c:
            found = [outcome(lambda _, sql=sql: driver.rows(c, sql), port) for sql in QUERIES]
            args = (7, None, "é😀'\\", decimal.Decimal("1.50"), datetime.date(2024, 1, 2))
            found.append(driver.rows(c, "SELECT %s, %s, %s, %s, %s", args))
            return [*found, driver.rows(c, "SELECT 40 + 2")]

    found = both(place, session)
    assert found[0] == [(1, None, "é😀", decimal.Decimal("1.50"))] and found[-1] == [(42,)]
    for options in ({"password": "wrong"}, {"db": "nodb"}):
        def refused(port, options=options):
            with contextlib.closing(driver.connect(port, **options)):
                return "not refused"
        assert re.search(r"\b%d\b" % (1045 if "password" in options else 1049),
                         both(place, refused)[1])


VALUES = [(1, "é😀", decimal.Decimal("12345.6789"), datetime.datetime(2024, 1, 2, 3, 4, 5, 678000),
           BYTES), (2, None, None, None, None), (3, "", decimal.Decimal("-0.0001"),
                                                 datetime.datetime(1000, 1, 1), b"")]


def test_values_there_and_back(places, driver):
    place = places["mariadb"]
    rows_of(place.server, "CREATE OR REPLACE TABLE test.v (id INT, s TEXT, d DECIMAL(20,4), "
                          "t DATETIME(6), b LONGBLOB) CHARSET utf8mb4")
    with contextlib.closing(driver.connect(place.sluice.port)) as c:
        for row in VALUES:
            driver.rows(c, "INSERT INTO v VALUES (%s, %s, %s, %s, %s)", row)
        assert driver.rows(c, "SELECT * FROM v ORDER BY id") == VALUES
    with contextlib.closing(driver.connect(place.server.port)) as c:
        assert driver.rows(c, "SELECT * FROM v ORDER BY id") == VALUES


def test_prepared(place):
    """mysql-connector-python prepares on request; Doris 2.0 refuses, and says so as if direct."""
    sql = "SELECT %s, %s, %s, %s"
    args = (7, None, "é😀", datetime.date(2024, 1, 2))

    def session(port):
        with contextlib.closing(Connector.connect(port)) as c:
            found = []
            for text, given in ((sql, args), ("SELECT nope, %s", (1,))):
                with contextlib.closing(c.cursor(prepared=True)) as cursor:
                    for _ in range(3):
                        found.append(outcome(lambda _, a=given, t=text, k=cursor:
                                             (k.execute(t, a), k.fetchall())[1], port))
            return [*found, Connector.rows(c, "SELECT 42")]

    found = both(place, session)
    assert found[-1] == [(42,)] and found[0] == found[1] == found[2]
    if place.server.name == "mariadbd":
        assert found[0][0][:3] == args[:3]


def test_pools(place):
    """A session is reset (RESET_CONNECTION, or CHANGE_USER) between two that borrow it."""
    def connector(port):
        pool = mysql.connector.pooling.MySQLConnectionPool(
            pool_name="p%d" % port, pool_size=2, pool_reset_session=True, use_pure=True,
            host="127.0.0.1", port=port, user=USER, password=PASSWORD, database="test")
        found = []
        for i in range(6):
            c = pool.get_connection()
            found.append(outcome(lambda _, c=c, i=i: Connector.rows(c, "SELECT %d" % i), port))
            found.append(outcome(lambda _, c=c: c.close(), port))
        return found

    def alchemy(port):
        engine = Alchemy.engine(port, pool_size=2, pool_pre_ping=True)
        try:
            found = []
            for i in range(6):
                with engine.connect() as c:
                    found += Alchemy.rows(c, "SELECT %s", (i,))
            return found
        finally:
            engine.dispose()

    both(place, connector)
    assert both(place, alchemy) == [(i,) for i in range(6)]


@pytest.mark.filterwarnings("ignore:Unknown schema content")
def test_schema_of_a_bi_tool(place):
    def schema(port):
        engine = Alchemy.engine(port)
        try:
            seen = sqlalchemy.inspect(engine)
            return seen.get_table_names(), str(seen.get_columns("t"))
        finally:
            engine.dispose()

    assert "t" in both(place, schema)[0]


def test_big_result(places):
    """100 MB, read row by row."""
    port = places["mariadb"].sluice.port
    with PyMySQL.connect(port) as c, c.cursor(pymysql.cursors.SSCursor) as cursor:
        cursor.execute("SELECT REPEAT('x', 100000) FROM seq_1_to_1000")
        assert sum(len(row[0]) for row in cursor) == 100000000


def test_cancelled_query(place, driver):
    """KILL QUERY by another connection; the session goes on."""
    with contextlib.closing(driver.connect(place.sluice.port)) as c, \
            contextlib.closing(PyMySQL.connect(place.sluice.port)) as other:
        number = driver.rows(c, "SELECT CONNECTION_ID()")[0][0]
        killer = procs.threading.Thread(target=kill_when_running, args=(place, other, number))
        killer.start()
        found = outcome(lambda _: driver.rows(c, "SELECT SLEEP(49) FROM (SELECT 1 AS a) AS x"), 0)
        killer.join()
        assert "interrupted" in str(found) or "cancel query" in str(found) or found == [(1,)], found
        assert driver.rows(c, "SELECT 42") == [(42,)]


def kill_when_running(place, connection, number):
    procs.wait_until(lambda: [row for row in rows_of(place.server, "SHOW FULL PROCESSLIST")
                              if "SLEEP(49)" in str(row.get("Info"))], 20, "SLEEP(49)")
    PyMySQL.rows(connection, "KILL QUERY %d" % number)


# --- statements of sluice's own ------------------------------------------------------------------


def create_sql(name, bucket):
    return ("CREATE JOB %s PROPERTIES (\"max_interval\" = \"60\") ON STREAMING DO "
            "INSERT INTO test.t SELECT c1, c2, c3, c4 FROM %s" % (name, bucket.tvf("none/*.csv")))


def test_job_from_the_cli(fe_place, bucket):
    code, out, err = cli(fe_place, "%s; %s; PAUSE JOB WHERE jobName = 'cli'; %s\\G "
                         "RESUME JOB WHERE jobName = 'cli'; DROP JOB WHERE jobName = 'cli'; "
                         "SELECT COUNT(*) FROM jobs(\"type\"=\"insert\")"
                         % (create_sql("cli", bucket), STATE % "cli", STATE % "cli"), "-N", "test")
    assert (code, err) == (0, "")
    out = re.sub(r"^cli\tPENDING", "cli\tRUNNING", out)  # which every job is for a moment
    assert re.sub(r"\*+", "*", out) == "cli\tRUNNING\n* 1. row *\ncli\nPAUSED\n0\n"


def test_job_from_a_driver(fe_place, driver, bucket):
    name = "by_" + driver.__name__.lower()
    with contextlib.closing(driver.connect(fe_place.sluice.port)) as c:
        driver.rows(c, create_sql(name, bucket))
        procs.wait_until(lambda: driver.rows(c, STATE % name) == [(name, "RUNNING")],
                         what="the job to be RUNNING")
        driver.rows(c, "PAUSE JOB WHERE jobName = '%s'" % name)
        assert driver.rows(c, JOBS + " WHERE Name = %s", (name,)) == [(name, "PAUSED")]
        driver.rows(c, "RESUME JOB WHERE jobName = '%s'" % name)
        driver.rows(c, "DROP JOB WHERE jobName = '%s'" % name)
        with pytest.raises((pymysql.MySQLError, mysql.connector.Error,
                            sqlalchemy.exc.SQLAlchemyError)) as caught:
            driver.rows(c, "DROP JOB WHERE jobName = '%s'" % name)
        assert "1105" in str(caught.value) and "job not exist" in str(caught.value)
        assert driver.rows(c, "SELECT 42") == [(42,)]


COUNTED = "SELECT COUNT(*) FROM jobs(\"type\"=\"insert\") WHERE Name = 'x'"
NONE = "job not exist"
# A text, what the command line prints, and what is in its complaint.
TEXTS_OF_SEVERAL = [
    ("SELECT 1; " + COUNTED, "1\n0\n", ""), ("USE test; " + COUNTED, "0\n", ""),
    (COUNTED + "; SELECT 1", "0\n1\n", ""),
    ("SET autocommit = 1; DROP JOB WHERE jobName = 'x'; SELECT 7", "", NONE),
    ("SELECT 5; /* then; */ PAUSE JOB WHERE jobName = 'x'; SELECT 7", "5\n", NONE),
    ("USE test; CREATE JOB x ON STREAMING DO INSERT INTO t SELECT * FROM S3('uri' = 's3://b/x')",
     "", "s3.endpoint")]


@pytest.mark.quick
@pytest.mark.parametrize("text, printed, complaint", TEXTS_OF_SEVERAL)
def test_text_of_several(fe_place, text, printed, complaint):
    """Nothing of ours reaches the FE, which from 4.0 has job statements itself."""
    before = len(fe_place.server.log())
    code, out, err = cli(fe_place, "/**/ %s$$" % text, "-N", "--comments", "--delimiter=$$", "test")
    assert (code, out) == (1 if complaint else 0, printed) and complaint in err, (out, err)
    with PyMySQL.connect(fe_place.sluice.port, client_flag=CLIENT.MULTI_STATEMENTS) as c:
        with c.cursor() as cursor, (pytest.raises(pymysql.MySQLError, match=complaint) if complaint
                                    else contextlib.nullcontext()):
            cursor.execute(text)
            found = [cursor.fetchall()] if cursor.description else []
            while cursor.nextset():
                found += [cursor.fetchall()] if cursor.description else []
            assert "".join("%s\n" % rows[0] for rows in found) == printed
        assert PyMySQL.rows(c, "SELECT 42") == [(42,)]
    sent = [entry["repr"] for entry in fe_place.server.log()[before:]]
    assert not [s for s in sent if re.search("(create|pause|drop) job", s.lower())], sent


@pytest.mark.quick
def test_prepared_statement_of_ours(fe_place):
    with contextlib.closing(Connector.connect(fe_place.sluice.port)) as c:
        for sql, args in ((COUNTED, ()), (COUNTED.replace("'x'", "%s"), ("x",))):
            with contextlib.closing(c.cursor(prepared=True)) as cursor:
                for _ in range(2):
                    cursor.execute(sql, args)
                    assert cursor.fetchall() == [(0,)]
        with contextlib.closing(c.cursor(prepared=True)) as cursor:
            for _ in range(2):
                with pytest.raises(mysql.connector.Error, match=NONE) as caught:
                    cursor.execute("DROP JOB WHERE jobName = 'x'")
                assert caught.value.errno == 1105
        assert Connector.rows(c, "SELECT 42") == [(42,)]
