"""Privileges, SHOW, variables, native jobs, HTTP and load: F, G, H, C1."""

import concurrent.futures
import os
import pathlib

import pymysql
import pytest
from standin_helpers import error_of, ok_info, rows

USERS = ["--user", "ld:p:table:test.t:Load_priv", "--user", "rd:p:db:test:Select_priv",
         "--user", "dbl:p:db:test:Load_priv,Select_priv", "--user", "no:p"]


def names(connection, sql):
    with connection.cursor() as k:
        k.execute(sql)
        return [d[0] for d in k.description]


@pytest.mark.parametrize("profile, name", [("2.0", "internal: test: t"), ("3.0", "test.t")])
def test_insert_needs_load(start_fe, profile, name):
    fe = start_fe(profile, *USERS)
    with fe.connect("rd", "p") as c:
        code, text = error_of(c, "INSERT INTO test.t VALUES (1, 'a')")
        assert code == 1142
        assert text.endswith("LOAD command denied to user 'rd'@'127.0.0.1' for table '%s'" % name)
        explain = "EXPLAIN INSERT INTO test.t SELECT 1, 'a'"
        if profile == "2.0":
            assert error_of(c, explain)[0] == 1142
        else:
            rows(c, explain)
    with fe.connect("ld", "p") as c:
        ok_info(c, "INSERT INTO test.t VALUES (1, 'a')")
        assert error_of(c, "SELECT * FROM test.t")[0] in (1105, 1142)
        assert error_of(c, "SHOW TRANSACTION FROM test WHERE LABEL = 'x'")[0] == 1044
    with fe.connect("dbl", "p") as c:
        assert "does not exist" in error_of(c, "SHOW TRANSACTION FROM test WHERE LABEL = 'x'")[1]
    with pytest.raises(pymysql.err.MySQLError) as e:
        fe.connect("no", "p", "test")
    assert e.value.args[0] == 1044


@pytest.mark.parametrize("profile, count", [("2.0", 10), ("3.0", 15), ("4.0", 15)])
def test_show_grants(start_fe, profile, count):
    fe = start_fe(profile, *USERS)
    with fe.connect("ld", "p") as c, c.cursor(pymysql.cursors.DictCursor) as k:
        k.execute("SHOW GRANTS")
        row = k.fetchone()
        assert len(row) == count
        assert row["TablePrivs"] == "internal.test.t: Load_priv"
        assert row["GlobalPrivs"] is None
        assert error_of(c, "SHOW GRANTS FOR 'rd'")[0] == 1227
    with fe.connect() as c:
        rows(c, "CREATE USER 'neu' IDENTIFIED BY 'x'")
        rows(c, "GRANT LOAD_PRIV, SELECT_PRIV ON test.* TO 'neu'@'%'")
        with fe.connect("neu", "x", "test") as n:
            ok_info(n, "INSERT INTO t VALUES (1, 'a')")
            rows(c, "REVOKE LOAD_PRIV ON test.* FROM 'neu'")
            assert error_of(n, "INSERT INTO t VALUES (1, 'a')")[0] == 1142


def test_nodes(start_fe):
    for profile, fronts, backs in (("2.0", 17, 24), ("2.1", 19, 25), ("3.0", 19, 27), ("4.0", 20, 29)):
        fe = start_fe(profile, "--user", "no:p", table=False)
        with fe.connect() as c:
            assert len(names(c, "SHOW FRONTENDS")) == fronts
            assert len(names(c, "SHOW BACKENDS")) == backs
            assert "doris-" + profile in rows(c, "SELECT @@version_comment")[0][0]
        with fe.connect("no", "p") as c:
            if profile == "4.0":
                rows(c, "SHOW FRONTENDS")
            else:
                assert error_of(c, "SHOW FRONTENDS")[0] == 1227


def test_variables(start_fe):
    with start_fe().connect() as c, c.cursor() as k:
        k.execute("SET insert_timeout = 7, enable_insert_strict = 0")
        k.execute("SELECT @@insert_timeout, @@session.enable_insert_strict")
        assert k.fetchone() == (7, 0)
        assert rows(c, "SHOW VARIABLES LIKE 'insert_timeout'") == (("insert_timeout", "7", "14400", "1"),)
        assert rows(c, "SHOW VARIABLES WHERE variable_name = 'version'")[0][1] == "5.7.99"
        assert error_of(c, "SET no_such_thing = 1")[0] == 1193
        assert error_of(c, "SELECT @@no_such_thing")[0] == 1193
        assert error_of(c, "SET insert_timeout = 'x'")[0] == 1232
        k.execute("SET @a = 5")
        assert rows(c, "SELECT @a + 1, @b") == ((6, None),)


def test_native_jobs_by_version(start_fe):
    create = "CREATE JOB j PROPERTIES('offset'='{}') ON STREAMING DO INSERT INTO test.t SELECT 1, 'a'"
    with start_fe("2.0").connect(db="test") as c:
        assert "Syntax error" in error_of(c, create)[1]
        assert "jobs" in error_of(c, "SELECT * FROM jobs('type'='insert')")[1]
    for profile, count in (("2.1", 12), ("3.0", 12)):
        with start_fe(profile).connect(db="test") as c:
            assert "mismatched input" in error_of(c, create)[1]
            assert "mismatched input 'STREAMING'" in error_of(c, create.replace(
                "PROPERTIES('offset'='{}') ", ""))[1]
            assert len(names(c, "SELECT * FROM jobs('type'='insert')")) == count
    for profile, count in (("4.0", 18), ("4.1", 20)):
        with start_fe(profile).connect(db="test") as c:
            rows(c, create)
            assert rows(c, "SELECT Name, Status, Properties FROM jobs('type'='insert')") == (
                ("j", "PENDING", '{"offset":"{}"}'),)
            assert len(names(c, "SELECT * FROM jobs('type'='insert')")) == count
            assert len(names(c, "SELECT * FROM tasks('type'='insert')")) == 14
            assert "job name exist, jobName:j" in error_of(c, create)[1]
            rows(c, "PAUSE JOB WHERE jobname = 'j'")
            assert "same status" in error_of(c, "PAUSE JOB WHERE jobname = 'j'")[1]
            rows(c, "RESUME JOB WHERE jobname = 'j'")
            rows(c, "DROP JOB WHERE jobname = 'j'")
            assert "unregister job error, jobName:j" in error_of(c, "DROP JOB WHERE jobname = 'j'")[1]


def test_ddl_rules(start_fe):
    with start_fe().connect(db="test") as c:
        for sql, text in (
                ("CREATE TABLE x (v STRING, k INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(k)", "ordered prefix"),
                ("CREATE TABLE x (k STRING) UNIQUE KEY(k) DISTRIBUTED BY HASH(k)", "String Type"),
                ("CREATE TABLE x (k INT, v INT) UNIQUE KEY(k) DISTRIBUTED BY HASH(v)", "is not key column"),
                ("CREATE TABLE x (k DOUBLE) DUPLICATE KEY(k)", "Float or double"),
                ("CREATE TABLE x (__DORIS_A INT)", "__DORIS_A"), ("CREATE TABLE t (k INT)", "already exists"),
                ("CREATE DATABASE test", "database exists"), ("DROP TABLE nix", "Unknown table")):
            assert text in error_of(c, sql)[1], sql
        rows(c, "ALTER TABLE t ADD COLUMN n BIGINT NULL")
        assert [r[0] for r in rows(c, "DESC t")] == ["id", "v", "n"]
        rows(c, "CREATE TABLE m (k INT, v VARCHAR(2)) DUPLICATE KEY(k)")
        assert error_of(c, "INSERT INTO m VALUES (1, 'abc')")
        rows(c, "ALTER TABLE m MODIFY COLUMN v VARCHAR(3) NULL")
        rows(c, "INSERT INTO m VALUES (1, 'abc')")
        assert rows(c, "DESC m")[1][:2] == ("v", "varchar(3)")
        assert rows(c, "SELECT * FROM m") == ((1, "abc"),)
        assert "Shorten" in error_of(c, "ALTER TABLE m MODIFY COLUMN v VARCHAR(2)")[1]


def test_http(start_fe):
    fe = start_fe("4.0", *USERS)
    with fe.connect() as c:
        ok_info(c, "INSERT INTO test.t WITH LABEL a VALUES (1, 'x')")
    assert fe.get("/api/health", None)[1]["data"] == {"online_backend_num": 1, "total_backend_num": 1}
    assert fe.get("/api/bootstrap", None)[1]["msg"] == "success"
    assert fe.get("/api/test/get_load_state?label=a", "no:p") == (
        200, {"msg": "success", "code": 0, "data": "VISIBLE", "count": 0})
    assert fe.get("/api/test/get_load_state?label=a", "no:bad")[1]["code"] == 401
    assert fe.get("/api/test/get_load_state?label=zz")[1]["data"] == "UNKNOWN"
    answer = fe.get("/api/test/_cancel?label=zz", method="POST")[1]
    assert answer["code"] == 1 and "transaction not found, label=zz" in answer["data"]
    assert "denied" in fe.get("/api/test/_cancel?label=a", "rd:p", "POST")[1]["data"]
    assert fe.get("/api/test/t/_stream_load", method="PUT")[0] == 501
    assert fe.get("/standin/knobs", None, "POST", b'{"nope": 1}')[0] == 400


def test_information_schema(start_fe):
    with start_fe().connect() as c:
        assert rows(c, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'test'") == (
            ("t",),)
        assert rows(c, "SELECT column_name FROM information_schema.columns ORDER BY ordinal_position") == (
            ("id",), ("v",))


def test_show_index(start_fe):
    """What SQLAlchemy asks for each table; columns as ShowIndexStmt has them."""
    with start_fe().connect() as c:
        for text in ("SHOW INDEX FROM `test`.`t`", "SHOW KEYS IN t FROM test"):
            assert names(c, text)[1::9] == ["Non_unique", "Index_type"]
            assert rows(c, text) == ()
        assert "does not exist" in error_of(c, "SHOW INDEX FROM test.nope")[1]


def test_large_result(start_fe):
    with start_fe().connect() as c:
        got = rows(c, "SELECT number, repeat('x', 20) FROM numbers('number' = '50000')")
        assert len(got) == 50000 and got[-1][0] == 49999


def test_fifty_connections(start_fe):
    fe = start_fe("4.0")

    def work(n):
        with fe.connect() as c:
            for i in range(4):
                ok_info(c, "INSERT INTO test.t WITH LABEL w%d_%d VALUES (%d, 'x')" % (n, i, n))
            return rows(c, "SELECT count(*) FROM test.t WHERE id = %d" % n)[0][0]

    before = cpu_seconds(fe.process.pid)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert list(pool.map(work, range(50))) == [4] * 50
    # Of the time that it had: how much it gets is the machine's affair.
    assert 200 / (cpu_seconds(fe.process.pid) - before) > 20, "20 inserts a second"


def cpu_seconds(pid):
    words = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def test_sigterm_ends_cleanly(start_fe):
    fe = start_fe("4.0")
    with fe.connect() as c:
        c._execute_command(3, "SELECT sleep(600)")
        fe.wait("it runs", lambda: fe.state()["running"])
        assert fe.stop() == 0  # within a minute


@pytest.mark.parametrize("profile", ["2.0", "2.1", "4.1"])
def test_one_set_of_many_variables(start_fe, profile):
    """The login of MariaDB Connector/J 3.5; NAMES may stand anywhere in the list."""
    with start_fe(profile, table=False).connect() as c:
        rows(c, "SET autocommit=1,sql_mode=CONCAT(@@sql_mode,',STRICT_TRANS_TABLES'),NAMES utf8mb4")
        assert rows(c, "SELECT @@sql_mode, @@autocommit") == (
            ("ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES", 1),)
        rows(c, "SET NAMES 'utf8mb4' COLLATE utf8mb4_bin, CHARSET DEFAULT, @x = 3")
        assert rows(c, "SELECT @x") == ((3,),)
        for wrong in ("SET NAMES", "SET NAMES utf8 utf8", "SET NAMES utf8,", "SET NAMES 7"):
            assert error_of(c, wrong)


def test_columns_as_mariadb_dump_asks_for_them(start_fe):
    with start_fe().connect() as c:
        found = rows(c, "SELECT COLUMN_NAME, generation_expression, CHARACTER_MAXIMUM_LENGTH, SRS_ID "
                        "FROM information_schema.columns WHERE table_name = 't' "
                        "ORDER BY ORDINAL_POSITION")
        assert found[0][:2] == ("id", None) and [row[3] for row in found] == [None] * len(found)
