"""
A query over jobs() and tasks() means what it means to Doris, although SQLite runs it. MariaDB is the
oracle where Doris does as MySQL does; where it does not, the values are those of Doris's reference.
"""

import contextlib
import datetime
import pathlib
import shutil
import tempfile
import time

import mysql.connector
import pymysql
import pytest

import conftest
import procs
import wire
from bucket import Bucket
from relay_rig import mariadb  # noqa: F401: a fixture
from rig import create_job_sql, create_table_sql

JOBS = 'jobs("type"="insert")'
TASKS = 'tasks("type"="insert")'
STRING, BIGINT, DOUBLE, DECIMAL = 0xfe, 0x08, 0x05, 0xf6


@contextlib.contextmanager
def running(swift):
    """Jobs "one" with two tasks and "Two" without, both paused, from then on unchanged."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="sluice-sql-"))
    bucket = Bucket(swift).create()
    fe = procs.StandIn(directory / "fe", "4.1", {})
    sluice = procs.Sluice(directory / "sluice", fe)
    for process in (fe, sluice):
        process.directory.mkdir(parents=True, exist_ok=True)
    conftest.SESSION.extend([fe, sluice])
    try:
        fe.start()
        sluice.start()
        for sql in ("CREATE DATABASE demo", create_table_sql("demo", "t")):
            fe.rows(sql)
        bucket.put_rows("in/a.csv", 3)
        bucket.put_rows("in/b.csv", 4)
        for name, pattern in (("one", "in/*.csv"), ("Two", "none/*.csv")):
            insert = "INSERT INTO t SELECT c1, c2, c3, c4 FROM " + bucket.tvf(pattern)
            sluice.rows(create_job_sql(name, insert, {"s3.max_batch_files": "1"}), db="demo")
        procs.wait_until(lambda: sluice.rows("SELECT 1 FROM %s WHERE Name = 'one' AND "
                                             "SucceedTaskCount >= 2" % JOBS), 30, "two tasks")
        for name in ("one", "Two"):
            sluice.rows("PAUSE JOB WHERE jobName = '%s'" % name)
            procs.wait_until(lambda: sluice.rows("SELECT 1 FROM %s WHERE Name = '%s' AND Status = "
                                                 "'PAUSED'" % (JOBS, name)), 30, "PAUSED")
        yield sluice
        sluice.stop()
    finally:
        for process in (sluice, fe):
            process.kill9()
            conftest.SESSION.remove(process)
        bucket.delete()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def sluice(swift):
    with running(swift) as made:
        yield made


@pytest.fixture(scope="module")
def cursor(sluice):
    with sluice.connect() as connection, connection.cursor() as made:
        yield made


def column(cursor, sql):
    cursor.execute(sql)
    return [next(iter(row.values())) if isinstance(row, dict) else row[0]
            for row in cursor.fetchall()]


def texts(port, zone, sql):
    """The row as the wire has it: nothing is converted."""
    client = wire.Client(port, "root", "")
    try:
        assert client.query("SET time_zone = '%s'" % zone)[0][0] == "ok"
        (kind, rows), = client.query(sql)
        assert kind == "rows", rows
        return [None if cell is None else cell.decode() for cell in rows[0]]
    finally:
        client.close()


AS_MYSQL = """
concat('a', 1, 'é') | concat('a', NULL) | concat_ws('-', 'a', NULL, 'b') | length('é') | left('éab', 2)
char_length('éa') | right('abé', 2) | substr('abc', -2, 1) | substring('abcd' FROM 2 FOR 2) | mid('abc', 2, 1)
substr('abc', 0) | substr('abc', -4) | substring_index('a.b.c', '.', 2) | substring_index('a.b.c', '.', -1)
lower('AÉÖ') | upper('ñ') | trim('  a ') | lpad('7', 3, '0') | rpad('é', 4, 'ab') | lpad('abcd', 2, 'x')
repeat('ab', 3) | reverse('aéb') | replace('a.b.', '.', '--') | instr('añb', 'b') | locate('b', 'abab', 3)
position('b' IN 'ab') | find_in_set('b', 'a,b') | hex(255) | hex('aé') | md5('abc') | field('b', 'a', 'b')
if(1 > 2, 'a', 'b') | ifnull(NULL, 3) | nullif('a', 'a') | coalesce(NULL, 'x') | greatest(2, 10) | least(2, NULL)
5 DIV 2 | 5 MOD 3 | mod(5, 3) | mod(5, 0) | floor(-2.5) | ceil(2.1) | abs(-3) | cast('12' AS SIGNED)
cast(12 AS CHAR) | cast('abc' AS CHAR(2)) | cast('2026-11-22 10:20:30' AS DATE) | '10' > 9 | 9 < '10' | '10' = 10
'17' BETWEEN 5 AND 20 | '17' IN (1, 17) | '17' NOT IN (1, 17) | year('2025-11-22') = '2025' | NULL <=> 5
'a_b' LIKE 'a\\_b' | 'axb' LIKE 'a\\_b' | 'axb' LIKE 'a_b' | 'a%b' LIKE 'a!%b' ESCAPE '!' | 'aéb' LIKE 'a_b'
from_unixtime(1763805600) | unix_timestamp('2025-11-22 18:00:00') | date('2025-11-22 18:00:00')
extract(YEAR FROM '2025-11-22') | dayofweek('2025-11-22') | weekday('2025-11-22') | to_days('2007-10-07')
last_day('2024-02-03') | dayname('2025-11-22') | week('2008-02-20') | week('2008-02-20', 1) | week('2000-01-01', 2)
date_format('2025-01-02 15:04:05', '%Y-%m-%d %H:%i:%s') | date_format('2024-12-30', '%x-%v %X-%V %U %u')
date_format('2025-01-02 15:04:05', '%a %b %D %j %r %f %y %e %k %l %p %W %M %c %h %T %w')
str_to_date('2025-11-22 10:20:30', '%Y-%m-%d %H:%i:%s') | str_to_date('22/Nov/25', '%d/%b/%y')
datediff('2025-11-22 00:00:01', '2025-11-21 23:59:59') | timediff('2025-11-22 10:00:00', '2025-11-21 12:30:00')
timestampdiff(SECOND, '2025-11-22 10:00:00', '2025-11-22 10:01:00') | timestampdiff(YEAR, '2025-01-31', '2024-01-31')
timestampdiff(MONTH, '2025-01-31', '2025-03-30') | date_add('2025-11-22 00:00:00', INTERVAL 1 DAY)
date_sub('2025-03-31 00:00:00', INTERVAL 1 MONTH) | '2025-11-22 10:00:00' + INTERVAL 30 SECOND
date_add('2025-11-22 00:00:00', INTERVAL '2' HOUR) | sec_to_time(3661) | json_valid('{"a":1}') | json_length('[1,2]')
if(1 > 2, 1, 2) = '2' | 1 + 2 = '3' | '3' = 1 + 2 | greatest(2, 10) > '9' | coalesce(length('a'), 2) = '1'
case length('abc') when '3' then 'x' end | case left('5x', 1) when 5 then 'x' end | nullif('0', 0) | nullif('a', 'b')
cast('10' AS SIGNED) > '9' | (SELECT 10) > '9' | '5' + 1 | -'5' | 10 BETWEEN '9' AND '11' | 10 IN ('9', '10')
date('2025-11-22 18:00:00') = '2025-11-22 00:00:00' | count(*) OVER () > '0'
json_unquote('"x"') | json_extract('{"a":{"b":"x"}}', '$.a.b') | 1 / 0 | 'a' = 'a ' COLLATE utf8mb4_nopad_bin
"""


def test_expressions_as_mysql(sluice, mariadb):  # noqa: F811
    expressions = [e.strip() for line in AS_MYSQL.strip().splitlines() for e in line.split(" | ")]
    ours = [e.split(" COLLATE ")[0] for e in expressions]
    listed = texts(sluice.port, "+08:00", "SELECT %s FROM %s LIMIT 1" % (", ".join(ours), JOBS))
    expected = texts(mariadb.port, "+08:00", "SELECT " + ", ".join(expressions))
    assert dict(zip(expressions, listed)) == dict(zip(expressions, expected))


@pytest.mark.parametrize("where, names", [
    ("SucceedTaskCount > 1", ["one"]),
    ("SucceedTaskCount < 10", ["one", "Two"]),
    ("SucceedTaskCount BETWEEN 1 AND 10", ["one"]),
    ("SucceedTaskCount IN (0, 10)", ["Two"]),
    ("SucceedTaskCount + FailedTaskCount >= 2", ["one"]),
    ("Lag > 0", []),
    ("Name = 'two'", []),
    ("Name LIKE 't%'", []),
    ("Name LIKE 'T%'", ["Two"]),
    ("lower(Name) = 'two'", ["Two"]),
    ("get_json_int(LoadStatistic, '$.scannedRows') = 7", ["one"]),
    ("json_extract(LoadStatistic, '$.fileNumber') > 1", ["one"]),
    ("get_json_string(CurrentOffset, '$.fileName') LIKE '%b.csv'", ["one"]),
    ("CreateTime > NOW() - INTERVAL 1 HOUR", ["one", "Two"]),
    ("CreateTime > DATE_ADD(NOW(), INTERVAL 1 HOUR)", []),
    ("LastTaskSuccessTime > NOW() - INTERVAL 1 DAY", ["one"]),
    ("TIMESTAMPDIFF(SECOND, CreateTime, NOW()) < 3600", ["one", "Two"]),
    ("DATE(CreateTime) >= DATE_SUB(CURDATE(), INTERVAL 1 DAY)", ["one", "Two"]),
    ("IF(SucceedTaskCount > 0, 'yes', 'no') = 'yes'", ["one"]),
    ("CAST(SucceedTaskCount AS INT) > 1", ["one"]),
    ("SPLIT_PART(ExecuteSql, ' ', 1) = 'INSERT' AND LEFT(Name, 1) = 'o'", ["one"]),
    ("STARTS_WITH(Name, 'T')", ["Two"]),
    ("(SELECT COUNT(*) FROM %s) > '1'" % JOBS, ["one", "Two"]),
    ("CASE LENGTH(Name) WHEN '3' THEN 1 ELSE 0 END = '1'", ["one", "Two"]),
    ("1 + SucceedTaskCount = '3'", ["one"]),
    ("Lag + 1 = 1", []),
    ("Name = 'one' || Name = 'Two'", ["one", "Two"]),
    ("SucceedTaskCount > '10'", ["one"]),
])
def test_where(cursor, where, names):
    assert column(cursor, "SELECT Name FROM %s WHERE %s ORDER BY Id" % (JOBS, where)) == names


@pytest.mark.parametrize("sql, expected", [
    ("SELECT SUM(SucceedTaskCount) FROM " + JOBS, [2]),
    ("SELECT GROUP_CONCAT(Name) FROM (SELECT Name FROM %s ORDER BY Name) x" % JOBS, ["Two, one"]),
    ("SELECT COUNT(*) FROM %s t JOIN %s j ON t.JobId = j.Id WHERE j.SucceedTaskCount > 1"
     " AND t.Status = 'SUCCESS'" % (TASKS, JOBS), [2]),
    ("SELECT AVG(TIMESTAMPDIFF(SECOND, StartTime, FinishTime)) < 60 FROM %s WHERE Status = 'SUCCESS'"
     % TASKS, [1]),
    ("SELECT DATE_FORMAT(MAX(CreateTime), '%%Y') >= '2020' FROM %s" % JOBS, [1]),
    ("SELECT CONCAT(Name, ': ', Status) FROM %s ORDER BY 1" % JOBS, ["Two: PAUSED", "one: PAUSED"]),
    ("SELECT Name FROM %s ORDER BY FIELD(Name, 'Two', 'one')" % JOBS, ["Two", "one"]),
    ("SELECT JobName FROM %s GROUP BY JobName HAVING COUNT(*) >= 2" % TASKS, ["one"]),
    ("SELECT SucceedTaskCount / 4 FROM %s WHERE Name = 'one'" % JOBS, [0.5]),
])
def test_select(cursor, sql, expected):
    if "%Y" in sql:
        sql = sql.replace("%%", "%")
    assert column(cursor, sql) == expected


@pytest.mark.parametrize("sql, expected", [
    ("SELECT Name FROM %s WHERE Name REGEXP '^T'" % JOBS, ["Two"]),
    ("SELECT Name FROM %s WHERE NOT Name RLIKE 'o$' AND CONNECTION_ID() > 0" % JOBS, ["one"]),
    ("SELECT GROUP_CONCAT(Name, '/' ORDER BY Name DESC) FROM " + JOBS, ["one/Two"]),
])
def test_what_sqlite_lacks_the_fe_does(cursor, sql, expected):
    assert column(cursor, sql) == expected


@pytest.mark.parametrize("is_prepared", [False, True])
@pytest.mark.parametrize("expression, value", [
    ("DATABASE()", "demo"), ("SCHEMA()", "demo"), ("CURRENT_USER()", "'root'@'%'"),
    ("VERSION()", "5.7.99"), ("Name REGEXP '^o'", "1"), ("CAST(3 AS DECIMAL(9, 2))", "3.00"),
    ("CAST(LENGTH(Name) AS DECIMAL(9, 1)) + 1", "4.0"),
])
def test_what_only_the_fe_knows(sluice, expression, value, is_prepared):
    """Also without rows, and although PREPARE cannot tell the columns of some of them."""
    sql = "SELECT %s, Name, NULL FROM %s WHERE Name = %%s" % (expression, JOBS)
    connection = mysql.connector.connect(host="127.0.0.1", port=sluice.port, user="root", password="",
                                         database="demo", use_pure=True)
    with contextlib.closing(connection), connection.cursor(prepared=is_prepared) as own:
        for name, rows in (("one", [(value, "one", None)]), ("none", [])):
            own.execute(sql, (name,))
            assert own.description[1][0] == "Name"
            assert [(str(row[0]), *row[1:]) for row in own.fetchall()] == rows


@pytest.mark.parametrize("expression, kind", [
    ("Name", STRING), ("SucceedTaskCount", STRING), ("CreateTime", STRING), ("NULL", STRING),
    ("COUNT(*)", BIGINT), ("SUM(SucceedTaskCount)", BIGINT), ("AVG(SucceedTaskCount)", DOUBLE),
    ("MAX(Name)", STRING), ("NOW()", STRING), ("LENGTH(Name)", BIGINT), ("1 / 4", DOUBLE),
    ("LEFT(Name, 1)", STRING), ("CAST(Id AS BIGINT)", BIGINT),
    ("SUM(LENGTH(Name))", BIGINT), ("CAST(3 AS DECIMAL(9, 2))", DECIMAL), ("Id + 1", BIGINT),
])
def test_types_and_names(cursor, expression, kind):
    cursor.execute("SELECT %s FROM %s" % (expression, JOBS))
    assert [(d[0], d[1]) for d in cursor.description] == [(expression, kind)]


def test_times_follow_the_session(sluice):
    def times(zone):
        row = texts(sluice.port, zone, "SELECT j.CreateTime, t.FinishTime, NOW(), UNIX_TIMESTAMP("
                    "j.CreateTime) FROM %s j JOIN %s t ON t.JobId = j.Id WHERE j.Name = 'one' "
                    "ORDER BY t.TaskId LIMIT 1" % (JOBS, TASKS))
        return [datetime.datetime.fromisoformat(text) for text in row[:3]] + row[3:]

    east, west, utc = times("+08:00"), times("-03:30"), times("UTC")
    hours = datetime.timedelta(hours=8)
    assert east[0] - utc[0] == east[1] - utc[1] == hours
    assert utc[0] - west[0] == datetime.timedelta(hours=3, minutes=30)
    assert east[3] == west[3] == utc[3]
    assert abs(int(utc[3]) - time.time()) < 600
    assert abs((east[2] - utc[2] - hours).total_seconds()) < 60
    assert times("Asia/Shanghai")[0] == east[0]


@pytest.mark.parametrize("sql", [
    "SELECT Name FROM %s WHERE REPEAT(NoSuchColumn, 10) > 5" % JOBS,
    "SELECT Nme FROM " + JOBS,
])
def test_unknown_columns_are_named(cursor, sql):
    with pytest.raises(pymysql.err.OperationalError, match="Unknown column 'N") as refused:
        cursor.execute(sql)
    assert refused.value.args[0] == 1054
